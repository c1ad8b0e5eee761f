//! How much of a request body is taken, and for how long it is waited for.
//!
//! [`DeclaredBody`] refuses by the head what says itself that it is too large; [`collect`] reads
//! a body whole for those who must see it, under the same limit, a deadline, and a cap on the
//! bytes that all requests together hold.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::guard::{Admit, Guard, Optional};
use crate::rejection::{Reason, Rejection};

/// Largest request body by default: 2 MiB.
pub const DEFAULT_LIMIT: u64 = 2 * 1024 * 1024;

/// Refuses with 413 a body whose Content-Length is over the limit, before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct DeclaredBody {
    limit: u64,
}

impl DeclaredBody {
    /// At most `limit` bytes.
    pub const fn new(limit: u64) -> Self {
        Self { limit }
    }
}

impl Default for DeclaredBody {
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}

impl Guard for DeclaredBody {
    fn admit(&self, head: &mut Parts) -> Result<Admit, Rejection> {
        // What is no number does not frame a body either, and is not this guard's to judge.
        let lengths = head.headers.get_all(CONTENT_LENGTH).iter();
        match lengths.filter_map(|value| number(value.as_bytes())).max() {
            Some(length) if length > self.limit => Err(too_large(length, self.limit)),
            _ => Ok(Admit::pass()),
        }
    }
}

impl Optional for DeclaredBody {}

/// Bytes of request bodies that all requests together may hold at once. A cheap handle.
#[derive(Clone, Debug)]
pub struct Inflight(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: u64,
    held: AtomicU64,
}

impl Inflight {
    /// At most `limit` bytes.
    #[must_use]
    pub fn new(limit: u64) -> Self {
        Self(Arc::new(Shared {
            limit,
            held: AtomicU64::new(0),
        }))
    }

    /// Bytes held now.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.0.held.load(Ordering::Relaxed)
    }

    /// A hold on nothing yet.
    #[must_use]
    pub fn hold(&self) -> Hold {
        Hold {
            inflight: self.clone(),
            bytes: 0,
        }
    }
}

/// A part of [`Inflight`]; given back when dropped. Keep it as long as the bytes.
#[derive(Debug)]
pub struct Hold {
    inflight: Inflight,
    bytes: u64,
}

impl Hold {
    /// Takes `more` bytes.
    ///
    /// # Errors
    /// 503 `limit.inflight` where they would go over the limit; the hold stays as it was.
    pub fn grow(&mut self, more: u64) -> Result<(), Rejection> {
        let Shared { limit, held } = &*self.inflight.0;
        let grown = held.try_update(Ordering::Relaxed, Ordering::Relaxed, |held| {
            held.checked_add(more).filter(|sum| sum <= limit)
        });
        match grown {
            Ok(_) => {
                self.bytes += more;
                Ok(())
            }
            Err(held) => Err(Rejection::new(Reason::LimitInflight)
                .with_detail(format_args!("{held} bytes of request bodies in flight"))
                .with_remedy(format_args!("raise `limits.inflight_bytes` above {limit}"))
                .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
                .closing()),
        }
    }

    /// Bytes held.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.inflight
            .0
            .held
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A body read whole, and its part of what is in flight.
#[derive(Debug)]
pub struct Collected {
    /// The body.
    pub bytes: Bytes,
    /// To be kept as long as `bytes` are.
    pub hold: Hold,
}

impl Collected {
    /// The body as bytes that keep their hold themselves, until the last slice of them is gone.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        struct Owner(Collected);
        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                &self.0.bytes
            }
        }
        Bytes::from_owner(Owner(self))
    }
}

/// Reads `body` whole, at most `limit` bytes and until `deadline`.
///
/// A body that comes in one frame is not copied. Only bytes that have arrived count as in
/// flight, not those that a client has merely announced. Trailers are dropped. Without a
/// deadline pass [`std::future::pending`].
///
/// The future's errors, each closing the connection, for the rest of the body is still to come:
/// * 413 `body.too_large`, as soon as the limit is passed or announced;
/// * 503 `limit.inflight`;
/// * 408 `body.timeout`, when `deadline` ends before the body, however steadily it trickles;
/// * 400 `body.incomplete`, when the body breaks off.
pub fn collect<B, D>(body: B, limit: u64, inflight: &Inflight, deadline: D) -> Collect<B, D>
where
    B: Body<Data = Bytes>,
    B::Error: fmt::Display,
    D: Future<Output = ()>,
{
    Partial::new(inflight).wait(body, limit, deadline)
}

pin_project! {
    /// The future of [`collect`].
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct Collect<B, D> {
        #[pin]
        body: B,
        #[pin]
        deadline: D,
        limit: u64,
        partial: Partial,
    }
}

/// What has come of a body.
#[derive(Debug)]
pub(crate) struct Partial {
    /// Taken with the result.
    hold: Option<Hold>,
    read: Read,
}

/// How far reading on has come.
#[derive(Debug)]
pub(crate) enum Step {
    /// To the end, good or bad.
    Done(Result<Collected, Rejection>),
    /// No more is there.
    Waits,
    /// More may be there, but others have their turn first.
    Yields,
}

#[derive(Debug)]
enum Read {
    Nothing,
    One(Bytes),
    Many(BytesMut),
}

/// Frames taken in one poll before others have their turn: empty ones cost the sender little.
const FRAMES_PER_POLL: usize = 64;

/// Most that is set aside on the word of a Content-Length alone.
const MAX_ANNOUNCED: u64 = 64 * 1024;

impl<B, D> Future for Collect<B, D>
where
    B: Body<Data = Bytes>,
    B::Error: fmt::Display,
    D: Future<Output = ()>,
{
    type Output = Result<Collected, Rejection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        match this.partial.step(this.body, cx, *this.limit) {
            Step::Done(result) => Poll::Ready(result),
            Step::Waits => waited(this.deadline.poll(cx)),
            Step::Yields => {
                let waited = waited(this.deadline.poll(cx));
                if waited.is_pending() {
                    cx.waker().wake_by_ref();
                }
                waited
            }
        }
    }
}

impl Partial {
    /// Nothing yet.
    pub(crate) fn new(inflight: &Inflight) -> Self {
        Self {
            hold: Some(inflight.hold()),
            read: Read::Nothing,
        }
    }

    /// Goes on as [`collect`] would.
    pub(crate) const fn wait<B, D>(self, body: B, limit: u64, deadline: D) -> Collect<B, D> {
        Collect {
            body,
            deadline,
            limit,
            partial: self,
        }
    }

    /// Takes what is there of `body`.
    pub(crate) fn step<B>(
        &mut self,
        mut body: Pin<&mut B>,
        cx: &mut Context<'_>,
        limit: u64,
    ) -> Step
    where
        B: Body<Data = Bytes>,
        B::Error: fmt::Display,
    {
        let Some(hold) = self.hold.as_mut() else {
            return Step::Waits;
        };
        let announced = hold.bytes().saturating_add(body.size_hint().lower());
        if announced > limit {
            return Step::Done(Err(too_large(announced, limit)));
        }
        for _ in 0..FRAMES_PER_POLL {
            let frame = match body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(error))) => {
                    let rejection = Rejection::new(Reason::BodyIncomplete).with_detail(error);
                    return Step::Done(Err(rejection.closing()));
                }
                Poll::Ready(None) => {
                    let bytes = std::mem::replace(&mut self.read, Read::Nothing).finish();
                    return match self.hold.take() {
                        Some(hold) => Step::Done(Ok(Collected { bytes, hold })),
                        None => Step::Waits,
                    };
                }
                Poll::Pending => return Step::Waits,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let length = hold.bytes().saturating_add(data.len() as u64);
            if length > limit {
                return Step::Done(Err(too_large(length, limit)));
            }
            if let Err(rejection) = hold.grow(data.len() as u64) {
                return Step::Done(Err(rejection));
            }
            self.read.push(data, body.size_hint().lower());
        }
        Step::Yields
    }
}

impl Read {
    /// Takes `data`, after which `rest` bytes at least are said to come.
    fn push(&mut self, data: Bytes, rest: u64) {
        if data.is_empty() {
            return;
        }
        match self {
            Self::Nothing => *self = Self::One(data),
            Self::One(first) => {
                let rest = usize::try_from(rest.min(MAX_ANNOUNCED)).unwrap_or(0);
                let mut many = BytesMut::with_capacity(first.len() + data.len() + rest);
                many.extend_from_slice(first);
                many.extend_from_slice(&data);
                *self = Self::Many(many);
            }
            Self::Many(many) => many.extend_from_slice(&data),
        }
    }

    fn finish(self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::One(bytes) => bytes,
            Self::Many(bytes) => bytes.freeze(),
        }
    }
}

fn waited<T>(deadline: Poll<()>) -> Poll<Result<T, Rejection>> {
    deadline.map(|()| {
        Err(Rejection::new(Reason::BodyTimeout)
            .with_remedy("raise `limits.timeouts.body`")
            .closing())
    })
}

fn too_large(length: u64, limit: u64) -> Rejection {
    Rejection::new(Reason::BodyTooLarge)
        .with_detail(format_args!("{length} bytes or more"))
        .with_remedy(format_args!("raise `limits.body` above {limit} bytes"))
        .closing()
}

/// `1*DIGIT`; what does not fit is as large as can be.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        Some(sum.saturating_mul(10).saturating_add(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Mode;
    use http::Request;
    use http_body::{Frame, SizeHint};
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::future::{pending, ready};
    use std::task::Waker;

    /// A body that gives what it is told to.
    #[derive(Default)]
    struct Script {
        steps: VecDeque<Step>,
        hint: SizeHint,
        polls: usize,
    }

    enum Step {
        Data(Bytes),
        Trailers,
        Fail,
        Wait,
    }

    impl Body for Script {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            self.polls += 1;
            match self.steps.pop_front() {
                None => Poll::Ready(None),
                Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(Step::Trailers) => {
                    Poll::Ready(Some(Ok(Frame::trailers(http::HeaderMap::new()))))
                }
                Some(Step::Fail) => Poll::Ready(Some(Err("broke off"))),
                Some(Step::Wait) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        }

        fn size_hint(&self) -> SizeHint {
            self.hint
        }
    }

    fn script(steps: impl IntoIterator<Item = Step>) -> Script {
        Script {
            steps: steps.into_iter().collect(),
            ..Script::default()
        }
    }

    fn data(text: &'static str) -> Step {
        Step::Data(Bytes::from_static(text.as_bytes()))
    }

    fn reason<T>(result: Result<T, Rejection>) -> Option<Reason> {
        result.err().map(|rejection| rejection.reason())
    }

    // REQ: R-3
    #[test]
    fn a_declared_oversize_is_refused_from_the_head() {
        for (lengths, refused) in [
            (&[][..], false),
            (&["0"], false),
            (&["10"], false),
            (&["11"], true),
            (&["0011"], true),
            (&["18446744073709551616"], true),
            (&["99999999999999999999999999"], true),
            (&["5", "11"], true),
            (&["11", "5"], true),
            (&["x"], false),
            (&[""], false),
        ] {
            let mut head = Request::builder();
            for length in lengths {
                head = head.header(CONTENT_LENGTH, *length);
            }
            let (mut head, ()) = head.body(()).unwrap().into_parts();
            let got = DeclaredBody::new(10).admit(&mut head);
            assert_eq!(got.is_err(), refused, "{lengths:?}");
            if let Err(rejection) = got {
                assert_eq!(rejection.remedy(), "raise `limits.body` above 10 bytes");
                let answer = rejection.into_response(&head);
                assert_eq!(answer.status(), 413);
                assert_eq!(answer.headers()["connection"], "close");
            }
            let report = DeclaredBody::new(10).with_mode(Mode::Report);
            assert!(report.admit(&mut head).is_ok());
        }
        assert_eq!(DeclaredBody::default().limit, 2_097_152);
    }

    // REQ: R-3
    #[tokio::test]
    async fn one_frame_is_not_copied_and_its_hold_lasts_as_long_as_its_bytes() {
        let inflight = Inflight::new(100);
        let given = Bytes::from(vec![7; 10]);
        let body = script([
            Step::Data(Bytes::new()),
            Step::Data(given.clone()),
            Step::Trailers,
        ]);
        let collected = collect(body, 10, &inflight, pending()).await.unwrap();
        assert_eq!(collected.bytes.as_ptr(), given.as_ptr());
        assert_eq!((inflight.held(), collected.hold.bytes()), (10, 10));
        let bytes = collected.into_bytes();
        let slice = bytes.slice(2..4);
        drop(bytes);
        assert_eq!(inflight.held(), 10);
        drop(slice);
        assert_eq!(inflight.held(), 0);
    }

    // REQ: R-3
    #[tokio::test]
    async fn over_the_limit_is_refused_as_soon_as_it_is_passed() {
        let inflight = Inflight::new(100);
        for (limit, refused) in [(6, false), (5, true), (2, true), (0, true)] {
            let body = script([data("ab"), Step::Wait, data("cd"), data("ef"), Step::Fail]);
            let result = collect(body, limit, &inflight, pending()).await;
            // The failure behind it shows that nothing is read past the limit.
            let expected = if refused {
                Reason::BodyTooLarge
            } else {
                Reason::BodyIncomplete
            };
            assert_eq!(reason(result), Some(expected), "{limit}");
            assert_eq!(inflight.held(), 0);
        }
        let mut announced = script([data("ab")]);
        announced.hint.set_lower(11);
        let mut future = Box::pin(collect(announced, 10, &inflight, pending()));
        let result = future.as_mut().await;
        assert_eq!(reason(result), Some(Reason::BodyTooLarge));
        assert_eq!(future.body.polls, 0);
        let empty = collect(script([]), 0, &inflight, pending()).await;
        assert!(empty.unwrap().bytes.is_empty());
    }

    // REQ: R-3
    #[tokio::test]
    async fn all_bodies_together_are_bounded() {
        let inflight = Inflight::new(5);
        let first = collect(script([data("abc")]), 10, &inflight, pending())
            .await
            .unwrap();
        let over = collect(script([data("de"), data("f")]), 10, &inflight, pending()).await;
        let rejection = over.err().unwrap();
        assert_eq!(rejection.reason(), Reason::LimitInflight);
        assert!(rejection.remedy().contains("limits.inflight_bytes"));
        assert_eq!(inflight.held(), 3);
        let fits = collect(script([data("de")]), 10, &inflight, pending()).await;
        assert_eq!(inflight.held(), 5);
        drop((first, fits));
        assert_eq!(inflight.held(), 0);
    }

    // REQ: R-3
    #[tokio::test]
    async fn a_trickler_and_a_flood_of_nothing_meet_the_deadline() {
        let inflight = Inflight::new(100);
        let trickle = script([data("a"), Step::Wait, data("b"), Step::Wait, data("c")]);
        let result = collect(trickle, 10, &inflight, ready(())).await;
        assert_eq!(reason(result), Some(Reason::BodyTimeout));
        assert_eq!(inflight.held(), 0);

        let nothing = || (0..1000).map(|_| Step::Data(Bytes::new()));
        let result = collect(script(nothing()), 10, &inflight, ready(())).await;
        assert_eq!(reason(result), Some(Reason::BodyTimeout));
        // It lets others run, and comes back.
        let mut future = Box::pin(collect(script(nothing()), 10, &inflight, pending()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut cx).is_pending());
        assert_eq!(future.body.polls, FRAMES_PER_POLL);
        assert!(future.await.unwrap().bytes.is_empty());
    }

    proptest! {
        #[test]
        fn what_comes_in_goes_out(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..9),
            limit in 0u64..300,
        ) {
            let whole: Vec<u8> = frames.concat();
            let steps = frames.into_iter().flat_map(|f| [Step::Data(f.into()), Step::Wait]);
            let body = script(steps);
            let inflight = Inflight::new(1000);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let result = runtime.block_on(collect(body, limit, &inflight, pending()));
            if whole.len() as u64 > limit {
                prop_assert_eq!(reason(result), Some(Reason::BodyTooLarge));
            } else {
                prop_assert_eq!(&result.unwrap().bytes[..], &whole[..]);
            }
            prop_assert_eq!(inflight.held(), 0);
        }
    }
}

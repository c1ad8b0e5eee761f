//! The tokio driver: bytes in, requests to a service, answers out, under deadlines.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use super::answer::Answer;
use super::body::{RequestBody, Upload};
use super::connection::{Connection, Limits};
use crate::alarm::Alarm;
use crate::body::{Framing, Piece};
use crate::fault::Fault;
use crate::head::FieldLines;
use crate::io::poll_receive;
use crate::outbox::Outbox;
use crate::request::RequestHead;

/// How a connection is served.
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// Bounds of what a client may send.
    pub limits: Limits,
    /// How long it may take.
    pub patience: Patience,
}

/// How long a client may take for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// From the start to the first byte of the first request. Default: 10 s.
    pub first_byte: Duration,
    /// From the first byte of a head to its end. Default: 10 s.
    pub head: Duration,
    /// Between two pieces of a body that is waited for. Default: 20 s.
    pub body: Duration,
    /// Between an answer and the next request. Default: 60 s.
    pub idle: Duration,
    /// For taking 16 KiB of an answer, or all that there is of it. Default: 30 s.
    pub write: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(10),
            body: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            write: Duration::from_secs(30),
        }
    }
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ended {
    /// Between two requests, or after an answer that said so.
    Closed,
    /// The client was silent for too long before its first byte.
    FirstByteTimeout,
    /// The client was silent for too long between two requests.
    IdleTimeout,
    /// The client went away, or the connection broke, within a request or an answer.
    Gone,
    /// The client did not take its answer in time.
    WriteTimeout,
    /// The answer's body failed, or had another length than its head said.
    Broken,
}

/// Bytes of later requests that are read ahead of their turn.
const MAX_AHEAD: usize = 64 * 1024;
/// Bytes of an unread body that are discarded rather than closing the connection.
const MAX_DISCARDED: u64 = 64 * 1024;
/// For how long the rest of such a body is waited for: who was refused holds no connection by
/// sending slowly what nobody wants.
const DISCARDING: Duration = Duration::from_secs(5);
/// Bytes of an answer that are put together before they are written.
const FULL: usize = 32 * 1024;
/// Bytes that a slow reader must take in the time of [`Patience::write`].
const MIN_TAKEN: u64 = 16 * 1024;
/// For how long, and how far, what still comes is read before the connection closes: with bytes
/// unread the system resets it, and the reset may overtake the answer (RFC 9112 section 9.6).
const LINGER: Linger = Linger {
    quiet: Duration::from_secs(1),
    total: Duration::from_secs(10),
    bytes: 8 * 1024 * 1024,
};

struct Linger {
    /// How long nothing may come.
    quiet: Duration,
    total: Duration,
    bytes: u64,
}

/// Serves one connection to its end.
///
/// `service` gets each request; a malformed one has its [`Fault`] in its extensions, and no other
/// follows it. Dropping the service's future or the answer's body is how they learn that the
/// client is gone. Once `stop` resolves, the request in progress is the last.
pub async fn serve<I, S, F>(
    io: I,
    config: &Config,
    stop: impl Future<Output = ()>,
    mut service: S,
) -> Ended
where
    I: AsyncRead + AsyncWrite + Unpin,
    S: FnMut(Request<RequestBody>) -> F,
    F: Future<Output: Answer<Body: Body<Data = Bytes>>>,
{
    let mut driver = Driver::new(io, config);
    let mut stop = pin!(Some(stop));
    loop {
        let head = match poll_fn(|cx| driver.poll_request(cx, stop.as_mut())).await {
            Ok(head) => head,
            Err(ended) => {
                driver.part(ended).await;
                return ended;
            }
        };
        let request = driver.begin(head);
        let answer = {
            let mut answering = pin!(service(request));
            poll_fn(|cx| driver.poll_answer(cx, answering.as_mut())).await
        };
        let Some(answer) = answer else {
            return Ended::Gone;
        };
        if poll_fn(|cx| Poll::Ready(has_stopped(stop.as_mut(), cx))).await {
            driver.core.close_after_answer();
        }
        let written = {
            let (head, body, lines) = Answer::into_parts(answer);
            driver.answer(&head, &lines, body.size_hint().exact());
            drop(head);
            let mut body = pin!(body);
            poll_fn(|cx| driver.poll_body(cx, body.as_mut())).await
        };
        if let Err(ended) = written {
            return ended;
        }
        if !driver.finish().await {
            driver.close().await;
            return Ended::Closed;
        }
    }
}

/// Whether `stop` has resolved; it is gone then.
fn has_stopped<F: Future<Output = ()>>(
    mut stop: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> bool {
    if let Some(future) = stop.as_mut().as_pin_mut()
        && future.poll(cx).is_pending()
    {
        return false;
    }
    stop.set(None);
    true
}

struct Driver<I> {
    io: I,
    core: Connection,
    out: Outbox,
    patience: Patience,
    alarm: Alarm,
    /// Since when the client is waited for; `None`: not looked at the clock yet.
    since: Option<Instant>,
    /// Whether a request has been served.
    served: bool,
    /// Where the pieces of the current request's body go.
    upload: Option<Arc<Upload>>,
    /// Whether `100 Continue` is due once the body is wanted.
    expects_continue: bool,
    /// Whether the client has ended its side.
    input_ended: bool,
    /// Whether the client itself closes after the answer, and nothing more is to come from it.
    client_closes: bool,
    /// The answer's body is over.
    answered: bool,
    /// Since when the client does not take what is written, and how much it had taken then.
    stalled: Option<(Instant, u64)>,
}

/// What [`Driver::poll_input`] found.
enum Input {
    /// There is a new piece for the service.
    Fed,
    /// The client is gone.
    Gone,
    /// Nothing.
    Waiting,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Driver<I> {
    fn new(io: I, config: &Config) -> Self {
        Self {
            io,
            core: Connection::new(config.limits),
            out: Outbox::default(),
            patience: config.patience,
            alarm: Alarm::default(),
            since: None,
            served: false,
            upload: None,
            expects_continue: false,
            input_ended: false,
            client_closes: false,
            answered: false,
            stalled: None,
        }
    }

    /// Waits for the next head.
    fn poll_request<F: Future<Output = ()>>(
        &mut self,
        cx: &mut Context<'_>,
        mut stop: Pin<&mut Option<F>>,
    ) -> Poll<Result<RequestHead, Ended>> {
        loop {
            if let Some(head) = self.core.request() {
                return Poll::Ready(Ok(head));
            }
            let begun = self.core.head_has_begun();
            let core = &mut self.core;
            match poll_receive(&mut self.io, cx, |bytes| core.receive(bytes)) {
                Poll::Ready(Ok(1..)) => {
                    if !begun {
                        self.since = None;
                    }
                }
                Poll::Ready(Ok(0)) if !begun => return Poll::Ready(Err(Ended::Closed)),
                Poll::Ready(_) => return Poll::Ready(Err(Ended::Gone)),
                Poll::Pending => break,
            }
        }
        let begun = self.core.head_has_begun();
        if !begun && has_stopped(stop.as_mut(), cx) {
            return Poll::Ready(Err(Ended::Closed));
        }
        let patience = match (begun, self.served) {
            (true, _) => self.patience.head,
            (false, false) => self.patience.first_byte,
            (false, true) => self.patience.idle,
        };
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.alarm.poll(cx, since + patience).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(match (begun, self.served) {
            (true, _) => Ok(self.core.give_up(Fault::HeadTimeout)),
            (false, false) => Err(Ended::FirstByteTimeout),
            (false, true) => Err(Ended::IdleTimeout),
        })
    }

    /// Makes the request of its head.
    fn begin(&mut self, head: RequestHead) -> Request<RequestBody> {
        self.since = None;
        self.served = true;
        self.answered = false;
        self.client_closes = !head.persistent && head.fault.is_none();
        self.expects_continue = head.expects_continue;
        let body = match head.framing {
            Framing::Empty => RequestBody::here(Bytes::new()),
            Framing::Length(length) if self.core.waiting() as u64 >= length => {
                // The whole body is here, so neither error nor end can come of it.
                match self.core.body() {
                    Ok(Some(Piece::Data(bytes))) => RequestBody::here(bytes),
                    _ => RequestBody::here(Bytes::new()),
                }
            }
            framing => {
                let (body, upload) = RequestBody::comes(framing);
                self.upload = Some(upload);
                body
            }
        };
        let mut request = Request::from_parts(head.parts, body);
        if let Some(fault) = head.fault {
            request.extensions_mut().insert(fault);
        }
        request
    }

    /// Waits for the service's answer, and reads for it. `None`: the client is gone.
    fn poll_answer<F: Future>(
        &mut self,
        cx: &mut Context<'_>,
        mut answering: Pin<&mut F>,
    ) -> Poll<Option<F::Output>> {
        loop {
            if let Poll::Ready(answer) = answering.as_mut().poll(cx) {
                return Poll::Ready(Some(answer));
            }
            match self.poll_input(cx) {
                Input::Fed => {}
                Input::Gone => return Poll::Ready(None),
                Input::Waiting => return Poll::Pending,
            }
        }
    }

    /// Reads what the service waits for, and otherwise looks whether the client is still there.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Input {
        loop {
            let wanted = self
                .upload
                .as_ref()
                .is_some_and(|upload| upload.is_wanted());
            if wanted {
                match self.core.body() {
                    Ok(Some(piece)) => return self.feed(Ok(piece)),
                    Err(fault) => return self.feed(Err(fault)),
                    Ok(None) if self.input_ended => {
                        return self.feed(Err(Fault::BodyIncomplete));
                    }
                    Ok(None) => {}
                }
                if std::mem::take(&mut self.expects_continue) && self.core.waiting() == 0 {
                    let interim = b"HTTP/1.1 100 Continue\r\n\r\n";
                    self.out.buffer().extend_from_slice(interim);
                }
                if !self.out.is_empty()
                    && let Poll::Ready(Err(_)) = self.out.poll_flush(&mut self.io, cx)
                {
                    return Input::Gone;
                }
            }
            if self.input_ended || (!wanted && self.core.waiting() >= MAX_AHEAD) {
                return Input::Waiting;
            }
            let core = &mut self.core;
            match poll_receive(&mut self.io, cx, |bytes| core.receive(bytes)) {
                Poll::Ready(Ok(1..)) => self.since = None,
                Poll::Ready(_) if wanted => {
                    // Whoever reads the body answers for it; a client that only ended its side
                    // still reads that.
                    self.input_ended = true;
                }
                Poll::Ready(_) => return Input::Gone,
                Poll::Pending if wanted => {
                    let since = *self.since.get_or_insert_with(Instant::now);
                    if self.alarm.poll(cx, since + self.patience.body).is_ready() {
                        return self.feed(Err(Fault::BodyTimeout));
                    }
                    return Input::Waiting;
                }
                Poll::Pending => return Input::Waiting,
            }
        }
    }

    fn feed(&mut self, piece: Result<Piece, Fault>) -> Input {
        self.since = None;
        // Who sends does not wait.
        self.expects_continue = false;
        let last = !matches!(piece, Ok(Piece::Data(_)));
        if piece.is_err() {
            self.core.close_after_answer();
        }
        if let Some(upload) = &self.upload {
            upload.put(piece);
        }
        if last {
            self.upload = None;
        }
        Input::Fed
    }

    /// Writes the head of the answer into the outbox.
    fn answer(&mut self, head: &http::response::Parts, lines: &FieldLines, exact: Option<u64>) {
        let discardable = !self.expects_continue
            && !self.input_ended
            && self
                .core
                .body_remaining()
                .is_some_and(|rest| rest <= MAX_DISCARDED);
        if !self.core.body_is_done() && !discardable {
            self.core.close_after_answer();
        }
        self.core.head(head, lines, exact, self.out.buffer());
        self.answered = self.core.answer_is_done();
    }

    /// Carries the answer's body to the client.
    fn poll_body<B: Body<Data = Bytes>>(
        &mut self,
        cx: &mut Context<'_>,
        mut body: Pin<&mut B>,
    ) -> Poll<Result<(), Ended>> {
        loop {
            let mut waits = false;
            // What a stream (TLS) holds back is not taken by the client: nothing is added to it.
            while !self.answered && !waits && !self.out.is_held() && self.out.len() < FULL {
                match body.as_mut().poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        let Some(data) = frame.data_ref() else {
                            continue;
                        };
                        if self.core.data(data, self.out.buffer()).is_err() {
                            return Poll::Ready(Err(Ended::Broken));
                        }
                        self.answered = body.is_end_stream();
                    }
                    Poll::Ready(None) => self.answered = true,
                    // What was announced and does not come is broken off, not ended.
                    Poll::Ready(Some(Err(_))) => return self.poll_break(cx),
                    // All that was announced is there.
                    Poll::Pending if self.core.answer_is_done() => self.answered = true,
                    Poll::Pending => waits = true,
                }
                if self.answered && self.core.end(self.out.buffer()).is_err() {
                    return Poll::Ready(Err(Ended::Broken));
                }
            }
            match self.out.poll_flush(&mut self.io, cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Ended::Gone)),
                Poll::Ready(Ok(())) => {
                    self.stalled = None;
                    if self.answered {
                        return Poll::Ready(Ok(()));
                    }
                    if waits {
                        break;
                    }
                }
                Poll::Pending => {
                    if self.has_stalled(cx) {
                        return Poll::Ready(Err(Ended::WriteTimeout));
                    }
                    break;
                }
            }
        }
        loop {
            match self.poll_input(cx) {
                Input::Gone => return Poll::Ready(Err(Ended::Gone)),
                Input::Waiting => return Poll::Pending,
                // The piece's reader has been woken.
                Input::Fed => {}
            }
        }
    }

    /// Sends what there is of a broken answer, without waiting for it.
    fn poll_break(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let _ = self.out.poll_flush(&mut self.io, cx);
        Poll::Ready(Err(Ended::Broken))
    }

    /// Whether the client has taken too little for too long.
    fn has_stalled(&mut self, cx: &mut Context<'_>) -> bool {
        let total = self.out.total();
        let (since, _) = match self.stalled {
            // The time runs from the last step, or whoever fills his buffers first has it twice.
            Some((since, had)) if total - had < MIN_TAKEN => (since, had),
            _ => *self.stalled.insert((Instant::now(), total)),
        };
        self.alarm.poll(cx, since + self.patience.write).is_ready()
    }

    /// Comes to the end of a request that has been answered. Whether another may follow.
    async fn finish(&mut self) -> bool {
        self.upload = None;
        self.stalled = None;
        // A body that was waited for and then not wanted must not count against the next head.
        self.since = None;
        let deadline = Instant::now;
        let mut until = None;
        while !self.core.body_is_done() {
            if !self.core.is_reusable() {
                return false;
            }
            match self.core.body() {
                Ok(Some(_)) => continue,
                Ok(None) => {}
                Err(_) => return false,
            }
            let patience = self.patience.body.min(DISCARDING);
            let until = *until.get_or_insert_with(|| deadline() + patience);
            let received = poll_fn(|cx| {
                let core = &mut self.core;
                match poll_receive(&mut self.io, cx, |bytes| core.receive(bytes)) {
                    Poll::Pending if self.alarm.poll(cx, until).is_ready() => Poll::Ready(false),
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(read) => Poll::Ready(matches!(read, Ok(1..))),
                }
            });
            if !received.await {
                return false;
            }
        }
        self.core.is_reusable()
    }

    /// Ends our side between two requests: over TLS, an end without a word is an error to some
    /// clients.
    async fn part(&mut self, ended: Ended) {
        if ended != Ended::Gone {
            let _ = tokio::time::timeout(LINGER.quiet, self.io.shutdown()).await;
        }
    }

    /// Ends our side, and reads what still comes.
    async fn close(&mut self) {
        let quiet = self.client_closes && self.core.body_is_done() && self.core.waiting() == 0;
        let shut = tokio::time::timeout(LINGER.quiet, self.io.shutdown()).await;
        if quiet || self.input_ended || !matches!(shut, Ok(Ok(()))) {
            return;
        }
        let end = Instant::now() + LINGER.total;
        let mut rest = LINGER.bytes;
        while rest > 0 {
            // Who still sends on a slow line is waited for, who is silent is not.
            let until = end.min(Instant::now() + LINGER.quiet);
            let read = poll_fn(|cx| match poll_receive(&mut self.io, cx, |_| {}) {
                Poll::Pending => self.alarm.poll(cx, until).map(|()| 0),
                Poll::Ready(read) => Poll::Ready(read.unwrap_or(0)),
            });
            match read.await {
                0 => return,
                read => rest = rest.saturating_sub(read as u64),
            }
        }
    }
}

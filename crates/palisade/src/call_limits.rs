//! Time limits and numbers of calls at once, per server and per tool.
//!
//! Past a limit the call is refused or cut off, and the upstream's connection with it; the
//! audit record says so. What is no call has no limit here: `GET` streams, `DELETE`, and the
//! subscription stream of 2026-07-28.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::answer::Answer;
use crate::exchange::{Call, CallOutcome, Exchange, Text};
use crate::guard::{Guard as _, Moded};
use crate::rate::{ByCaller, Limiter, Peer, RateGuard, RateKey as _};
use crate::rejection::{Reason, Rejection};
use crate::timer::Timer;

/// The limits of one server's calls, shared by all workers.
#[derive(Debug, Default)]
pub struct CallLimits {
    /// What holds for every call.
    pub server: CallLimit,
    /// What holds besides for calls of these tools; their time limit replaces the server's.
    pub tools: HashMap<String, CallLimit>,
    /// Asked once more for each message of a batch behind the first: before the body is read, a
    /// batch is one request.
    pub each: Option<Arc<Moded<RateGuard<Peer>>>>,
    /// The same by caller.
    pub each_caller: Option<Arc<Moded<RateGuard<ByCaller>>>>,
}

/// A time limit and a number of calls at once.
#[derive(Debug, Default)]
pub struct CallLimit {
    /// From the call's arrival here to the end of its result; `None`: none.
    pub timeout: Option<Duration>,
    /// Calls at once; `None`: any number.
    pub concurrency: Option<Slots>,
    /// Calls per window and caller, or client address where nobody is asked who calls; `None`: as many as come.
    pub rate: Option<Limiter>,
}

/// Places for calls at once.
#[derive(Clone, Debug)]
pub struct Slots {
    taken: Arc<AtomicU32>,
    most: u32,
}

impl Slots {
    /// Places for `most` calls.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self {
            taken: Arc::default(),
            most,
        }
    }

    pub(crate) fn take(&self) -> Option<Slot> {
        let one_more = |taken| (taken < self.most).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .ok()?;
        Some(Slot(Arc::clone(&self.taken)))
    }
}

/// One place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<AtomicU32>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The layer that keeps [`CallLimits`].
#[derive(Clone, Debug)]
#[must_use]
pub struct CallLimitLayer<T> {
    limits: Arc<CallLimits>,
    timer: T,
}

impl<T> CallLimitLayer<T> {
    /// Keeps `limits`; time is `timer`'s.
    pub const fn new(limits: Arc<CallLimits>, timer: T) -> Self {
        Self { limits, timer }
    }
}

impl<S, T: Clone> Layer<S> for CallLimitLayer<T> {
    type Service = CallLimitService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        CallLimitService {
            limits: Arc::clone(&self.limits),
            timer: self.timer.clone(),
            inner,
        }
    }
}

/// The service of [`CallLimitLayer`].
#[derive(Clone, Debug)]
pub struct CallLimitService<S, T> {
    limits: Arc<CallLimits>,
    timer: T,
    inner: S,
}

impl<S, T, B, R> Service<Request<B>> for CallLimitService<S, T>
where
    T: Timer,
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    type Response = Response<Answer<Limited<R, T::Sleep>>>;
    type Error = Infallible;
    type Future = CallLimitFuture<S::Future, T::Sleep>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let exchange = Exchange::of(&mut head);
        let charged = self.limits.charge(&mut head, &exchange);
        match charged.and_then(|()| self.limits.admit(&head, &exchange, &self.timer)) {
            Err(rejection) => CallLimitFuture::Refused {
                answer: Some(rejection.into_response(&head)),
            },
            Ok(held) => {
                // The refusal after a time-out is shaped like the request.
                let shape = held.timer.is_some().then(|| Box::new(shape(&head)));
                CallLimitFuture::Calling {
                    future: self.inner.call(Request::from_parts(head, body)),
                    held: Some(held),
                    exchange,
                    shape,
                }
            }
        }
    }
}

impl CallLimits {
    /// What a batch costs beyond its first message.
    fn charge(&self, head: &mut Parts, exchange: &Exchange) -> Result<(), Rejection> {
        let more = match &self.each {
            Some(_) => exchange.facts().calls.len(),
            None => 0,
        };
        // What is left is told by the guard of the request; it is off by these.
        let mark = exchange.facts().lines.mark();
        let charged = (1..more).try_for_each(|_| {
            if let Some(each) = &self.each {
                each.admit(head)?;
            }
            if let Some(each) = &self.each_caller {
                each.admit(head)?;
            }
            Ok(())
        });
        exchange.facts().lines.back_to(mark);
        charged
    }

    fn admit<T: Timer>(
        &self,
        head: &Parts,
        exchange: &Exchange,
        timer: &T,
    ) -> Result<Held<T::Sleep>, Rejection> {
        let mut held = Held::default();
        if head.method != Method::POST {
            return Ok(held);
        }
        let facts = exchange.facts();
        let mut timeout: Option<Duration> = None;
        for call in &facts.calls {
            let Some(method) = call.method.as_ref().map(Text::as_str) else {
                continue;
            };
            // A notification that names a tool makes lax servers run it all the same.
            if method.starts_with("notifications/") || method == "subscriptions/listen" {
                continue;
            }
            let tool = (method == "tools/call")
                .then(|| {
                    call.target
                        .as_ref()
                        .and_then(|name| self.tools.get(name.as_str()))
                })
                .flatten();
            for limit in std::iter::once(&self.server).chain(tool) {
                if let Some(rate) = &limit.rate {
                    let decision = match facts.caller.as_deref() {
                        Some(caller) => rate.take(caller.mark()),
                        None => rate.take(&Peer::default().of(head)),
                    };
                    if !decision.allowed {
                        return Err(too_many(decision.retry_after, call));
                    }
                }
                if let Some(slots) = &limit.concurrency {
                    match slots.take() {
                        Some(slot) => held.slots.push(slot),
                        None => return Err(crowded(slots, call)),
                    }
                }
            }
            // A batch may take as long as its slowest call.
            let own = tool.and_then(|tool| tool.timeout).or(self.server.timeout);
            timeout = timeout.max(own);
        }
        held.timer = timeout.map(|timeout| Box::pin(timer.sleep(timeout)));
        Ok(held)
    }
}

fn too_many(retry_after: u64, call: &Call) -> Rejection {
    let seconds = retry_after.div_ceil(1_000_000_000).max(1);
    Rejection::new(Reason::RateExceeded)
        .with_id(call.id.clone())
        .with_header(RETRY_AFTER, HeaderValue::from(seconds))
        .with_detail("calls of this tool")
        .with_remedy("raise `rate` of the tool")
}

fn crowded(slots: &Slots, call: &Call) -> Rejection {
    Rejection::new(Reason::CallConcurrency)
        .with_id(call.id.clone())
        .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
        .with_detail(format_args!("{} calls at once", slots.most))
        .with_remedy("raise `concurrency` of the server or of the tool")
}

/// The parts of a head that decide what a refusal looks like.
fn shape(head: &Parts) -> Parts {
    let mut shape = Request::new(()).into_parts().0;
    shape.method = head.method.clone();
    shape.version = head.version;
    if let Some(value) = head.headers.get(http::header::CONTENT_TYPE) {
        shape
            .headers
            .insert(http::header::CONTENT_TYPE, value.clone());
    }
    shape
}

/// What a call holds while it runs.
struct Held<Z> {
    slots: Vec<Slot>,
    timer: Option<Pin<Box<Z>>>,
}

impl<Z> Default for Held<Z> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            timer: None,
        }
    }
}

impl<Z: Future<Output = ()>> Held<Z> {
    fn timed_out(&mut self, cx: &mut Context<'_>) -> bool {
        self.timer
            .as_mut()
            .is_some_and(|timer| timer.as_mut().poll(cx).is_ready())
    }
}

pin_project! {
    /// The future of [`CallLimitService`].
    #[project = CallLimitFutureProjection]
    #[allow(missing_docs, reason = "pin_project fields of the two variants")]
    pub enum CallLimitFuture<F, Z> {
        /// The inner service is at work.
        Calling { #[pin] future: F, held: Option<Held<Z>>, exchange: Exchange, shape: Option<Box<Parts>> },
        /// A limit refused.
        Refused { answer: Option<Response<Bytes>> },
    }
}

impl<F, Z, R> Future for CallLimitFuture<F, Z>
where
    Z: Future<Output = ()>,
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<Answer<Limited<R, Z>>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            CallLimitFutureProjection::Calling {
                future,
                held,
                exchange,
                shape,
            } => {
                if let Poll::Ready(Ok(answer)) = future.poll(cx) {
                    let held = held.take().unwrap_or_default();
                    return Poll::Ready(Ok(answer.map(|body| {
                        Answer::inner(Limited {
                            body: Some(body),
                            held,
                            exchange: exchange.clone(),
                        })
                    })));
                }
                if let Some(held) = held
                    && held.timed_out(cx)
                    && let Some(shape) = shape
                {
                    let id = {
                        let calls = &mut exchange.facts().calls;
                        // Before the inner future is dropped, which may look at this.
                        for call in calls.iter_mut() {
                            call.outcome.get_or_insert(CallOutcome::Timeout);
                        }
                        calls.first().and_then(|call| call.id.clone())
                    };
                    let answer = timed_out().with_id(id).into_response(shape);
                    return Poll::Ready(Ok(answer.map(Answer::own)));
                }
                Poll::Pending
            }
            CallLimitFutureProjection::Refused { answer } => {
                Poll::Ready(Ok(answer.take().unwrap_or_default().map(Answer::own)))
            }
        }
    }
}

fn timed_out() -> Rejection {
    Rejection::new(Reason::CallTimeout).with_remedy("raise `timeout` of the server or of the tool")
}

pin_project! {
    /// An answer that is cut off when its call has run for too long.
    pub struct Limited<R, Z> {
        #[pin]
        body: Option<R>,
        held: Held<Z>,
        exchange: Exchange,
    }
}

/// Why a [`Limited`] answer breaks off that its own body did not break off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TookTooLong;

impl fmt::Display for TookTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the call took longer than its time limit")
    }
}

impl std::error::Error for TookTooLong {}

impl<R, Z> Body for Limited<R, Z>
where
    R: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    Z: Future<Output = ()>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        let Some(body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(frame) = body.poll_frame(cx) {
            if frame.is_none() {
                *this.held = Held::default();
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if !this.held.timed_out(cx) {
            return Poll::Pending;
        }
        // The answer has begun, so its status is said; what is left is to break it off, so that
        // nobody takes half of it for the whole. Dropping the inner body closes the upstream's
        // connection: the call is cancelled there.
        for call in &mut this.exchange.facts().calls {
            call.outcome.get_or_insert(CallOutcome::Timeout);
        }
        this.body.set(None);
        *this.held = Held::default();
        Poll::Ready(Some(Err(TookTooLong.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

//! Collects the body once it is wanted, and reads the message once.
//!
//! The body decides (row G-14): method, tool and revision are the body's, whatever headers say.
//! What two readers could read differently is refused; everything else goes on byte for byte.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::answer::Answer;
use crate::body::{Inflight, Partial, Step};
use crate::exchange::{Call, Exchange, Text};
use crate::mcp::headers::{Agreement, ParamHeaders, ParamLimits, agreement, params_within};
use crate::mcp::json::Raw;
use crate::mcp::message::{self, FaultKind, Kind, Message, Payload};
use crate::mcp::shown::Shown;
use crate::mcp::{Fault, Limits};
use crate::media;
use crate::rejection::{Reason, Rejection};
use crate::timer::Timer;
use crate::urls::Urls;

/// How the messages of one server are read.
#[derive(Clone, Debug)]
pub struct Inspection<T> {
    /// Whether the server speaks MCP; without, its bodies are bounded but not read.
    pub mcp: bool,
    /// The largest body, in bytes.
    pub limit: u64,
    /// Where the limit is only reported: above how many bytes. What was declared has been
    /// reported by then.
    pub report_above: Option<u64>,
    /// How long a body may take to arrive.
    pub deadline: Duration,
    /// Bodies of all servers together.
    pub inflight: Inflight,
    /// The bounds of a message.
    pub message: Limits,
    /// The bounds of `Mcp-Param-*` headers.
    pub params: ParamLimits,
    /// What the server has shown of itself.
    pub shown: Shown,
    /// What happens to URLs in the arguments of calls; `None`: nobody looks.
    pub urls: Option<Urls>,
    /// For the deadline.
    pub timer: T,
}

/// The layer of an [`Inspection`].
#[derive(Debug)]
#[must_use]
pub struct InspectLayer<T> {
    inspection: Arc<Inspection<T>>,
}

impl<T> InspectLayer<T> {
    /// Reads messages by `inspection`.
    pub fn new(inspection: Arc<Inspection<T>>) -> Self {
        if inspection.urls.is_some() {
            inspection.shown.want_schemas();
        }
        Self { inspection }
    }
}

impl<T> Clone for InspectLayer<T> {
    fn clone(&self) -> Self {
        Self {
            inspection: Arc::clone(&self.inspection),
        }
    }
}

impl<S, T> Layer<S> for InspectLayer<T> {
    type Service = InspectService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        InspectService {
            inspection: Arc::clone(&self.inspection),
            inner,
        }
    }
}

/// The service of [`InspectLayer`].
#[derive(Debug)]
pub struct InspectService<S, T> {
    inspection: Arc<Inspection<T>>,
    inner: S,
}

impl<S: Clone, T> Clone for InspectService<S, T> {
    fn clone(&self) -> Self {
        Self {
            inspection: Arc::clone(&self.inspection),
            inner: self.inner.clone(),
        }
    }
}

impl<S, T, B, R> Service<Request<B>> for InspectService<S, T>
where
    S: Service<Request<Inspected>, Response = Response<R>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    T: Timer,
    B: Body<Data = Bytes, Error: std::fmt::Display> + Send + Unpin + 'static,
    R: Body<Data = Bytes> + 'static,
{
    type Response = Response<Answer<R>>;
    type Error = Infallible;
    type Future = InspectFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, mut body) = request.into_parts();
        let inspection = &self.inspection;
        let mut partial = Partial::new(&inspection.inflight);
        // Most bodies are here by now; then nothing is waited for.
        let mut cx = Context::from_waker(Waker::noop());
        let judged = match inspection.admit(&head) {
            Err(rejection) => Err(rejection),
            // Names are looked up for it.
            Ok(()) if inspection.urls.is_some() => return self.wait(head, body, partial),
            Ok(()) if body.is_end_stream() => inspection.finish(&mut head, Bytes::new()),
            Ok(()) => match partial.step(Pin::new(&mut body), &mut cx, inspection.limit) {
                Step::Done(Ok(body)) => inspection.finish(&mut head, body.into_bytes()),
                Step::Done(Err(rejection)) => Err(rejection),
                Step::Waits | Step::Yields => return self.wait(head, body, partial),
            },
        };
        match judged {
            Ok(body) => InspectFuture::Called {
                future: self.inner.call(Request::from_parts(head, body)),
            },
            Err(rejection) => InspectFuture::Refused {
                answer: Some(rejection.into_response(&head)),
            },
        }
    }
}

impl<S, T> InspectService<S, T> {
    /// Waits for the rest of the body.
    fn wait<B, R>(&self, mut head: Parts, body: B, partial: Partial) -> InspectFuture<S::Future, R>
    where
        S: Service<Request<Inspected>, Response = Response<R>, Error = Infallible, Future: Send>
            + Clone
            + Send
            + 'static,
        T: Timer,
        B: Body<Data = Bytes, Error: std::fmt::Display> + Send + 'static,
    {
        let inspection = Arc::clone(&self.inspection);
        let mut inner = self.inner.clone();
        let waiting = async move {
            let deadline = inspection.timer.sleep(inspection.deadline);
            let collected = partial.wait(body, inspection.limit, deadline).await;
            let judged = collected.and_then(|body| inspection.finish(&mut head, body.into_bytes()));
            let judged = match (judged, &inspection.urls) {
                (Ok(body), Some(urls)) => {
                    let exchange = Exchange::of(&mut head);
                    urls.check(&exchange, &inspection.shown)
                        .await
                        .map(|()| body)
                }
                (judged, _) => judged,
            };
            match judged {
                Ok(body) => {
                    let answered = inner.call(Request::from_parts(head, body));
                    answered.await.map(|answer| answer.map(Answer::inner))
                }
                Err(rejection) => Ok(rejection.into_response(&head).map(Answer::own)),
            }
        };
        InspectFuture::Waits {
            future: Box::pin(waiting),
        }
    }
}

pin_project! {
    /// The future of [`InspectService`].
    #[project = InspectFutureProjection]
    #[allow(missing_docs, reason = "pin_project fields of the variants")]
    pub enum InspectFuture<F, R> {
        /// The inner service is at work.
        Called { #[pin] future: F },
        /// The body is still to come.
        Waits { future: Pin<Box<dyn Future<Output = Result<Response<Answer<R>>, Infallible>> + Send>> },
        /// The body or the message was refused.
        Refused { answer: Option<Response<Bytes>> },
    }
}

impl<F, R> Future for InspectFuture<F, R>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<Answer<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            InspectFutureProjection::Called { future } => {
                let Ok(answer) = ready!(future.poll(cx));
                Poll::Ready(Ok(answer.map(Answer::inner)))
            }
            InspectFutureProjection::Waits { future } => future.as_mut().poll(cx),
            InspectFutureProjection::Refused { answer } => {
                Poll::Ready(Ok(answer.take().unwrap_or_default().map(Answer::own)))
            }
        }
    }
}

impl<T> Inspection<T> {
    /// Judges what can be judged before there is a body.
    fn admit(&self, head: &Parts) -> Result<(), Rejection> {
        // What is not called JSON is not read as JSON here, so nobody behind may either: a page
        // can send `text/plain` anywhere without asking first. And what another reader would
        // decode before reading is not the message that is judged here.
        if self.mcp && head.method == Method::POST && !media::is_plain_json(&head.headers) {
            return Err(Rejection::new(Reason::MessageMediaType));
        }
        Ok(())
    }

    /// Judges the whole body.
    fn finish(&self, head: &mut Parts, body: Bytes) -> Result<Inspected, Rejection> {
        let exchange = Exchange::of(head);
        let length = body.len() as u64;
        exchange.facts().request_bytes = length;
        if self.report_above.is_some_and(|limit| length > limit)
            && !exchange.facts().reported.contains(&Reason::BodyTooLarge)
        {
            exchange.report(&Rejection::new(Reason::BodyTooLarge));
        }
        // A server that does not read such a body takes it for the next request.
        if !body.is_empty() && takes_no_body(&head.method) {
            return Err(Rejection::new(Reason::RequestMalformed)
                .with_detail(format_args!("a body with {}", head.method))
                .closing());
        }
        if self.mcp && head.method == Method::POST {
            self.judge(head, &body, &exchange)?;
        }
        Ok(Inspected { bytes: body })
    }

    fn judge(&self, head: &Parts, body: &Bytes, exchange: &Exchange) -> Result<(), Rejection> {
        if params_within(&head.headers, &self.params) != ParamHeaders::Within {
            return Err(Rejection::new(Reason::RequestHeaderTooLarge)
                .with_detail("Mcp-Param-* headers: too many, or too large"));
        }
        let payload = message::read(body, &self.message).map_err(refused)?;
        let mut facts = exchange.facts();
        facts.batch = matches!(payload, Payload::Batch(_));
        for message in payload.messages() {
            facts.calls.push(call(head, body, message));
        }
        drop(facts);
        for message in payload.messages() {
            self.agree(head, message)?;
        }
        Ok(())
    }

    /// Headers that say something else than the body are refused where the server would act on
    /// either; an older one ignores them, and gets them as they are.
    fn agree(&self, head: &Parts, message: &Message<'_>) -> Result<(), Rejection> {
        match agreement(&head.headers, message) {
            Agreement::Agrees | Agreement::NotApplicable => Ok(()),
            _ if !self.shown.is_modern() => Ok(()),
            disagreement => {
                let id = message
                    .raw_id
                    .map(|id| Bytes::copy_from_slice(id.text().as_bytes()));
                Err(Rejection::new(Reason::MessageHeaderMismatch)
                    .with_id(id)
                    .with_detail(disagreement))
            }
        }
    }
}

/// Methods whose requests have no content that means anything (RFC 9110 section 9.3).
fn takes_no_body(method: &Method) -> bool {
    matches!(
        *method,
        Method::DELETE | Method::GET | Method::HEAD | Method::OPTIONS
    )
}

#[cold]
fn refused(fault: Fault) -> Rejection {
    let reason = match fault.kind {
        FaultKind::Json(_) => Reason::MessageMalformed,
        FaultKind::BatchEmpty
        | FaultKind::BatchLength
        | FaultKind::BatchNested
        | FaultKind::BatchRepeatedId => Reason::MessageBatch,
        _ => Reason::MessageInvalid,
    };
    let id = fault.id.as_ref().map(|id| Bytes::from(id.to_string()));
    Rejection::new(reason).with_id(id).with_detail(format_args!(
        "{} at byte {}",
        fault.kind.name(),
        fault.offset
    ))
}

/// What later layers and the audit record need of a message; texts share the body's memory.
fn call(head: &Parts, body: &Bytes, message: &Message<'_>) -> Call {
    let text = |text: &str| Text::shared(body, text);
    let asks = message.kind == Kind::Request;
    let raw = |raw: Raw<'_>| body.slice_ref(raw.text().as_bytes());
    Call {
        method: message.method.as_deref().map(text),
        id: message.raw_id.filter(|_| asks).map(raw),
        key: message.id.clone().filter(|_| asks),
        modern: message.is_modern(),
        target: message.target.as_ref().map(|target| text(&target.name)),
        arguments: message.arguments.map(raw),
        revision: message.protocol_version.as_deref().map(text).or_else(|| {
            let header = head.headers.get(&MCP_PROTOCOL_VERSION)?;
            Some(Text::from(header.to_str().ok()?))
        }),
        trace_id: message.traceparent.as_deref().and_then(trace_id).map(text),
        destructive: false,
        intent: false,
        opening: None,
        response: None,
        outcome: None,
    }
}

static MCP_PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// The trace id of a `traceparent` (W3C Trace Context section 3.2.2).
fn trace_id(traceparent: &str) -> Option<&str> {
    let (_, rest) = traceparent.split_once('-')?;
    let (trace_id, _) = rest.split_once('-')?;
    let hex = trace_id.len() == 32 && trace_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    hex.then_some(trace_id)
}

/// A request body that has been collected and read; its bytes are the client's.
#[derive(Clone, Debug, Default)]
pub struct Inspected {
    bytes: Bytes,
}

impl Body for Inspected {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

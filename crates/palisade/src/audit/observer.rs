//! The inner half: what the server answered.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::HeaderName;
use http::request::Parts;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use palisade_audit::Fingerprint;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::recorder::{Fail, Recorder};
use crate::answer::Answer;
use crate::exchange::{Call, CallOutcome, Exchange, Facts};
use crate::mcp::outcome::{Outcome, Outcomes, Scanner, Verdict};
use crate::mcp::revision::Revision;
use crate::mcp::shown::Shown;
use crate::mcp::sse::Peeker;
use crate::media;
use crate::rejection::{Reason, Rejection};

static SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// Watches what passes between the layers and the server.
#[derive(Clone, Debug)]
#[must_use]
pub struct ObserverLayer {
    recorder: Recorder,
    fail: Fail,
    shown: Shown,
}

impl ObserverLayer {
    /// Watches for `recorder`; `shown` learns what the server shows of itself.
    pub const fn new(recorder: Recorder, fail: Fail, shown: Shown) -> Self {
        Self {
            recorder,
            fail,
            shown,
        }
    }
}

impl<S> Layer<S> for ObserverLayer {
    type Service = ObserverService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ObserverService {
            layer: self.clone(),
            inner,
        }
    }
}

/// The service of [`ObserverLayer`].
#[derive(Clone, Debug)]
pub struct ObserverService<S> {
    layer: ObserverLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for ObserverService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    type Response = Response<Answer<ObservedBody<R>>>;
    type Error = Infallible;
    type Future = ObserverFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let exchange = Exchange::of(&mut head);
        exchange.facts().shown = Some(self.layer.shown.clone());
        exchange.facts().session = head.headers.get(&SESSION).map(fingerprint);
        if self.layer.fail == Fail::Closed && !self.layer.recorder.healthy() {
            let answer = self.unavailable(&head, &exchange);
            return ObserverFuture::Refused {
                answer: Some(answer),
            };
        }
        ObserverFuture::Asked {
            future: self.inner.call(Request::from_parts(head, body)),
            exchange,
            shown: self.layer.shown.clone(),
        }
    }
}

impl<S> ObserverService<S> {
    /// What cannot be recorded does not reach the server.
    fn unavailable(&self, head: &Parts, exchange: &Exchange) -> Response<Bytes> {
        let id = exchange
            .facts()
            .calls
            .first()
            .and_then(|call| call.id.clone());
        Rejection::new(Reason::AuditUnavailable)
            .with_id(id)
            .with_remedy("mend the audit sink, or set audit.fail = \"open\"")
            .into_response(head)
    }
}

pin_project! {
    /// The future of [`ObserverService`].
    #[project = ObserverFutureProjection]
    #[derive(Debug)]
    #[allow(missing_docs, reason = "pin_project fields of the two variants")]
    pub enum ObserverFuture<F> {
        /// The server is at work.
        Asked { #[pin] future: F, exchange: Exchange, shown: Shown },
        /// The call could not have been recorded.
        Refused { answer: Option<Response<Bytes>> },
    }
}

impl<F, R> Future for ObserverFuture<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<Answer<ObservedBody<R>>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            ObserverFutureProjection::Asked {
                future,
                exchange,
                shown,
            } => {
                let Ok(answer) = ready!(future.poll(cx));
                let reading = reading(&answer, exchange, shown.wants_schemas());
                if let Some(session) = answer.headers().get(&SESSION) {
                    exchange.facts().session = Some(fingerprint(session));
                }
                let watch = reading.map(|reading| {
                    Box::new(Watch {
                        reading,
                        exchange: exchange.clone(),
                        shown: shown.clone(),
                    })
                });
                Poll::Ready(Ok(
                    answer.map(|body| Answer::inner(ObservedBody { body, watch }))
                ))
            }
            ObserverFutureProjection::Refused { answer } => {
                Poll::Ready(Ok(answer.take().unwrap_or_default().map(Answer::own)))
            }
        }
    }
}

fn fingerprint(session: &http::HeaderValue) -> Fingerprint {
    Fingerprint::of(session.as_bytes())
}

/// How the answer is to be read, if any call waits for it.
fn reading<R>(answer: &Response<R>, exchange: &Exchange, schemas: bool) -> Option<Reading> {
    if answer.extensions().get::<Rejection>().is_some()
        || !exchange.facts().calls.iter().any(|call| call.id.is_some())
    {
        return None;
    }
    if media::is_json(answer.headers()) {
        Some(Reading::Json(Scanner::new().reading_schemas(schemas)))
    } else if media::is_event_stream(answer.headers()) {
        Some(Reading::Events(Peeker::new().reading_schemas(schemas)))
    } else {
        None
    }
}

pin_project! {
    /// The server's answer, watched as it passes; its bytes are not touched.
    #[derive(Debug)]
    pub struct ObservedBody<R> {
        #[pin]
        body: R,
        watch: Option<Box<Watch>>,
    }
}

impl<R: Body<Data = Bytes>> Body for ObservedBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(watch) = this.watch
            && let Some(data) = frame.data_ref()
        {
            watch.push(data);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Reads an answer for the calls of an exchange; tells what it found when dropped.
#[derive(Debug)]
struct Watch {
    reading: Reading,
    exchange: Exchange,
    shown: Shown,
}

#[derive(Debug)]
enum Reading {
    Events(Peeker),
    Json(Scanner),
}

impl Watch {
    fn push(&mut self, data: &[u8]) {
        match &mut self.reading {
            Reading::Json(scanner) => scanner.push(data),
            Reading::Events(peeker) => {
                let (exchange, shown) = (&self.exchange, &self.shown);
                peeker.push(data, |event| note(exchange, shown, &event.outcomes));
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Reading::Json(scanner) = &mut self.reading {
            let outcomes = scanner.take();
            note(&self.exchange, &self.shown, &outcomes);
        }
    }
}

fn note(exchange: &Exchange, shown: &Shown, outcomes: &Outcomes) {
    if outcomes.messages.is_empty() {
        return;
    }
    let mut facts = exchange.facts();
    for outcome in &outcomes.messages {
        note_one(&mut facts, shown, outcome);
    }
}

fn note_one(facts: &mut Facts, shown: &Shown, outcome: &Outcome) {
    let came_of_it = match outcome.verdict() {
        Verdict::NotAResponse => return,
        Verdict::Success => CallOutcome::Ok,
        Verdict::InputRequired => CallOutcome::InputRequired,
        Verdict::ToolError => CallOutcome::Error(outcome.error_text.clone().unwrap_or_default()),
        Verdict::Error => CallOutcome::Error(rpc_error(outcome)),
    };
    if let Some(version) = outcome
        .server
        .as_ref()
        .and_then(|server| server.version.as_deref())
    {
        shown.saw_version(version);
    }
    shown.saw_tools(&outcome.tools);
    let fits = |call: &&mut Call| call.outcome.is_none() && call.key == outcome.id;
    // An error about a request that the server could not read has no id; it is about the only one.
    let only = facts.calls.len() == 1 && outcome.id.is_none();
    let call = if only {
        facts.calls.first_mut()
    } else {
        facts.calls.iter_mut().find(fits)
    };
    let Some(call) = call else { return };
    if call.outcome.is_some() {
        return;
    }
    // Only a modern server answers a modern request with a result of the modern shape.
    if outcome.result_type.is_some() && call.modern
        || outcome
            .supported_versions
            .iter()
            .any(|name| Revision::parse(name).is_modern())
    {
        shown.saw_modern();
    }
    call.outcome = Some(came_of_it);
}

fn rpc_error(outcome: &Outcome) -> String {
    let Some(error) = &outcome.error else {
        return String::new();
    };
    let message = error.message.as_deref().unwrap_or_default();
    match error.code {
        Some(code) => format!("{code} {message}"),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::CONTENT_TYPE;

    #[test]
    fn a_stream_without_calls_is_not_read() {
        let exchange = Exchange::begin(crate::Connection::default());
        let answer = Response::builder()
            .header(CONTENT_TYPE, "text/event-stream")
            .body(())
            .unwrap();
        assert!(reading(&answer, &exchange, false).is_none());
        exchange.facts().calls.push(Call {
            id: Some("1".into()),
            ..Call::default()
        });
        assert!(matches!(
            reading(&answer, &exchange, false),
            Some(Reading::Events(_))
        ));
    }
}

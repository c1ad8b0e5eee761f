//! The inner half: what the server answered.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::request::Parts;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use palisade_audit::{Ahead, Fingerprint, Staged, Ticket};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::intent::Intents;
use super::keep::Keep;
use super::recorder::{Fail, Recorder};
use crate::answer::Answer;
use crate::exchange::{Call, CallOutcome, Exchange, Facts, Passage};
use crate::mcp::outcome::{Outcome, Outcomes, Scanner, Verdict};
use crate::mcp::revision::Revision;
use crate::mcp::shown::Shown;
use crate::mcp::sse::Peeker;
use crate::media;
use crate::rejection::{Reason, Rejection};
use crate::timer::Timer;

static SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// Watches what passes between the layers and the server.
#[derive(Clone, Debug)]
#[must_use]
pub struct ObserverLayer<T> {
    recorder: Recorder,
    fail: Fail,
    intents: Arc<Intents>,
    shown: Shown,
    timer: T,
}

impl<T> ObserverLayer<T> {
    /// Watches for `recorder`, and writes `intents` down first; `shown` learns what the server shows of itself. Time is
    /// `timer`'s.
    pub const fn new(
        recorder: Recorder,
        fail: Fail,
        intents: Arc<Intents>,
        shown: Shown,
        timer: T,
    ) -> Self {
        Self {
            recorder,
            fail,
            intents,
            shown,
            timer,
        }
    }
}

impl<S, T: Clone> Layer<S> for ObserverLayer<T> {
    type Service = ObserverService<S, T>;

    fn layer(&self, inner: S) -> Self::Service {
        ObserverService {
            layer: self.clone(),
            inner,
        }
    }
}

/// The service of [`ObserverLayer`].
#[derive(Clone, Debug)]
pub struct ObserverService<S, T> {
    layer: ObserverLayer<T>,
    inner: S,
}

impl<S, T, B, R> Service<Request<B>> for ObserverService<S, T>
where
    T: Timer,
    S: Service<Request<B>, Response = Response<R>, Error = Infallible> + Clone,
    R: Body<Data = Bytes>,
{
    type Response = Response<Answer<ObservedBody<R>>>;
    type Error = Infallible;
    type Future = ObserverFuture<S::Future, S, B, T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let exchange = Exchange::of(&mut head);
        let intended = {
            let mut facts = exchange.facts();
            facts.shown = Some(self.layer.shown.clone());
            facts.session = head.headers.get(&SESSION).map(fingerprint);
            self.layer.intents.mark(&mut facts, &self.layer.shown)
        };
        let closed = self.layer.fail == Fail::Closed;
        if closed && !self.layer.recorder.healthy() {
            return ObserverFuture::refused(&head, &exchange);
        }
        let shown = self.layer.shown.clone();
        let keeps = self.layer.recorder.keeps_answers(&exchange.facts());
        let staged = intended.then(|| self.layer.recorder.stage(&exchange));
        match staged.flatten() {
            Some(Err(_)) if closed => return ObserverFuture::refused(&head, &exchange),
            Some(Ok(staged)) => {
                return ObserverFuture::Writing {
                    held: Some(Box::new(Held {
                        step: Step::Staged {
                            staged: Uncommitted {
                                recorder: self.layer.recorder.clone(),
                                staged,
                            },
                            waited: false,
                        },
                        layer: self.layer.clone(),
                        request: Request::from_parts(head, body),
                        inner: self.inner.clone(),
                        exchange,
                        shown,
                        keeps,
                    })),
                };
            }
            // Where calls pass without a record, the log has counted it.
            Some(Err(_)) | None => {}
        }
        ObserverFuture::Asked {
            future: self.inner.call(Request::from_parts(head, body)),
            exchange,
            shown,
            keeps,
        }
    }
}

/// How long a call waits for its intent to be written, at the most; then it is refused. So long, too, a sink may take nothing
/// before the log counts as failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same where it passes then: the intent is written as soon as it can be.
const PATIENCE_OPEN: Duration = Duration::from_millis(100);

/// A call that waits for its intent to be written.
pub struct Held<S, B, T: Timer> {
    step: Step<T::Sleep>,
    layer: ObserverLayer<T>,
    request: Request<B>,
    inner: S,
    exchange: Exchange,
    shown: Shown,
    keeps: bool,
}

impl<S, B, T: Timer> fmt::Debug for Held<S, B, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut held = f.debug_struct("Held");
        held.field("exchange", &self.exchange)
            .finish_non_exhaustive()
    }
}

enum Step<Z> {
    /// What other calls of this worker stage in this turn of it is written with it.
    Staged { staged: Uncommitted, waited: bool },
    /// The writer thread is at it.
    Waiting { ticket: Ticket, sleep: Pin<Box<Z>> },
}

/// A call that is given up leaves its intent behind, and it stands before the outcome all the same.
struct Uncommitted {
    recorder: Recorder,
    staged: Staged,
}

impl Uncommitted {
    fn commit(&self) -> Ahead {
        self.recorder.commit(&self.staged)
    }
}

impl Drop for Uncommitted {
    fn drop(&mut self) {
        // Nobody waits for it; where it was committed, nothing happens.
        let _ = self.commit();
    }
}

impl<S, B, T: Timer> Held<S, B, T> {
    /// Whether the call may go.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let closed = self.layer.fail == Fail::Closed;
        if let Step::Staged { staged, waited } = &mut self.step {
            if !std::mem::replace(waited, true) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let ticket = match staged.commit() {
                Ahead::Written => return Poll::Ready(true),
                // Where calls pass without a record, the log has counted it.
                Ahead::Failed(_) => return Poll::Ready(!closed),
                // Nobody waits for a log that is known not to work.
                Ahead::Waiting(_) if !closed && !self.layer.recorder.healthy() => {
                    return Poll::Ready(true);
                }
                Ahead::Waiting(ticket) => ticket,
            };
            let patience = if closed { PATIENCE } else { PATIENCE_OPEN };
            let sleep = Box::pin(self.layer.timer.sleep(patience));
            self.step = Step::Waiting { ticket, sleep };
        }
        let Step::Waiting { ticket, sleep } = &mut self.step else {
            return Poll::Ready(false);
        };
        if let Poll::Ready(written) = Pin::new(ticket).poll(cx) {
            return Poll::Ready(written || !closed);
        }
        sleep.as_mut().poll(cx).map(|()| !closed)
    }
}

pin_project! {
    /// The future of [`ObserverService`].
    #[project = ObserverFutureProjection]
    #[derive(Debug)]
    #[allow(missing_docs, reason = "pin_project fields of the variants")]
    pub enum ObserverFuture<F, S, B, T: Timer> {
        /// The server is at work.
        Asked { #[pin] future: F, exchange: Exchange, shown: Shown, keeps: bool },
        /// The call could not have been recorded.
        Refused { answer: Option<Response<Bytes>> },
        /// The intent is being written.
        Writing { held: Option<Box<Held<S, B, T>>> },
    }
}

impl<F, S, B, T: Timer> ObserverFuture<F, S, B, T> {
    /// What cannot be recorded does not reach the server.
    #[cold]
    fn refused(head: &Parts, exchange: &Exchange) -> Self {
        let id = exchange
            .facts()
            .calls
            .first()
            .and_then(|call| call.id.clone());
        let answer = Rejection::new(Reason::AuditUnavailable)
            .with_id(id)
            .with_remedy("mend the audit sink, or set audit.fail = \"open\"")
            .into_response(head);
        Self::Refused {
            answer: Some(answer),
        }
    }
}

impl<F, S, B, T, R> Future for ObserverFuture<F, S, B, T>
where
    S: Service<Request<B>, Future = F>,
    F: Future<Output = Result<Response<R>, Infallible>>,
    T: Timer,
{
    type Output = Result<Response<Answer<ObservedBody<R>>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.as_mut().project() {
                ObserverFutureProjection::Writing { held } => {
                    let may_go = match held {
                        Some(held) => ready!(held.poll_written(cx)),
                        None => false,
                    };
                    let Some(held) = held.take() else {
                        return Poll::Pending; // Polled after its end.
                    };
                    let next = held.go_on(may_go);
                    self.set(next);
                }
                ObserverFutureProjection::Asked {
                    future,
                    exchange,
                    shown,
                    keeps,
                } => {
                    let Ok(answer) = ready!(future.poll(cx));
                    return Poll::Ready(Ok(observed(answer, exchange, shown, *keeps)));
                }
                ObserverFutureProjection::Refused { answer } => {
                    let answer = answer.take().unwrap_or_default();
                    return Poll::Ready(Ok(answer.map(Answer::own)));
                }
            }
        }
    }
}

impl<S, B, T: Timer> Held<S, B, T> {
    fn go_on<F>(mut self, may_go: bool) -> ObserverFuture<F, S, B, T>
    where
        S: Service<Request<B>, Future = F>,
    {
        if may_go {
            self.exchange.facts().ahead = Passage::Gone;
            return ObserverFuture::Asked {
                // Every layer is always ready; see `GuardService`.
                future: self.inner.call(self.request),
                exchange: self.exchange,
                shown: self.shown,
                keeps: self.keeps,
            };
        }
        let (head, _body) = self.request.into_parts();
        ObserverFuture::refused(&head, &self.exchange)
    }
}

fn observed<R>(
    answer: Response<R>,
    exchange: &Exchange,
    shown: &Shown,
    keeps: bool,
) -> Response<Answer<ObservedBody<R>>> {
    let reading = reading(&answer, exchange, shown.wants_schemas());
    if let Some(session) = answer.headers().get(&SESSION) {
        exchange.facts().session = Some(fingerprint(session));
    }
    let watch = reading.map(|reading| {
        Box::new(Watch {
            reading,
            exchange: exchange.clone(),
            shown: shown.clone(),
            keep: keeps.then(Keep::default),
        })
    });
    answer.map(|body| Answer::inner(ObservedBody { body, watch }))
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
    /// Where answers are to be recorded.
    keep: Option<Keep>,
}

#[derive(Debug)]
enum Reading {
    Events(Peeker),
    Json(Scanner),
}

impl Watch {
    fn push(&mut self, data: &[u8]) {
        let (exchange, shown) = (&self.exchange, &self.shown);
        match (&mut self.reading, &mut self.keep) {
            (Reading::Json(scanner), keep) => {
                scanner.push(data);
                if let Some(keep) = keep {
                    keep.push(data);
                }
            }
            (Reading::Events(peeker), None) => {
                peeker.push(data, |event| note(exchange, shown, &event.outcomes));
            }
            // In pieces that end with lines, so that what an event was is known when it is told.
            (Reading::Events(peeker), Some(keep)) => {
                for piece in data.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
                    keep.push_line(piece);
                    peeker.push(piece, |event| {
                        keep.give(&mut exchange.facts(), &event.outcomes);
                        note(exchange, shown, &event.outcomes);
                    });
                }
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Reading::Json(scanner) = &mut self.reading {
            let outcomes = scanner.take();
            if let Some(keep) = &self.keep {
                keep.give(&mut self.exchange.facts(), &outcomes);
            }
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
    if call.method.as_ref().map(crate::Text::as_bytes) == Some(b"tools/list") {
        shown.saw_tools(&outcome.tools);
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

    /// No time passes.
    #[derive(Clone)]
    struct Still;

    impl Timer for Still {
        type Sleep = std::future::Pending<()>;

        fn sleep(&self, _: Duration) -> Self::Sleep {
            std::future::pending()
        }
    }

    // REQ: L-0, L-1
    #[test]
    fn a_call_that_is_given_up_before_it_left_was_cancelled_and_its_intent_comes_first() {
        use super::super::intent::WriteAhead;
        use super::super::witness::WitnessLayer;
        use palisade_audit::{Config, Log, SinkConfig};

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.ndjson");
        let log = Log::open(Config::new(SinkConfig::File(path.clone()))).unwrap();
        let recorder = Recorder::new(log.handle(), Arc::default(), "0.1.0", None);
        let intents = Intents {
            of: WriteAhead::All,
            destructive: Vec::new(),
        };
        let inner = tower::service_fn(|_: Request<()>| async {
            Ok::<_, Infallible>(Response::new(http_body_util::Empty::<Bytes>::new()))
        });
        let observer = ObserverLayer::new(
            recorder.clone(),
            Fail::Closed,
            Arc::new(intents),
            Shown::default(),
            Still,
        );
        let mut service = WitnessLayer::new(recorder).layer(observer.layer(inner));
        // The first one is staged and dropped while the second one waits for the same write.
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut first = Box::pin(service.call(Request::new(())));
        let mut second = Box::pin(service.call(Request::new(())));
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        drop(first);
        // The writer thread may be at it.
        let answer = (0..10_000).find_map(|_| {
            let polled = second.as_mut().poll(&mut cx);
            if polled.is_pending() {
                std::thread::sleep(Duration::from_millis(5));
            }
            match polled {
                Poll::Ready(Ok(answer)) => Some(answer),
                Poll::Pending => None,
            }
        });
        assert!(answer.is_some());
        drop(answer);
        drop(second);
        log.close(Duration::from_secs(60)).unwrap();
        drop(service);
        let text = std::fs::read_to_string(path).unwrap();
        let records = text.lines().filter(|line| line.contains("\"phase\""));
        let phases: Vec<_> = records
            .map(|line| {
                let find = |word: &str| line.contains(word);
                (
                    find("\"phase\":\"outcome\""),
                    find("\"outcome\":\"cancelled\""),
                )
            })
            .collect();
        assert_eq!(phases[..3], [(false, false), (false, false), (true, true)]);
        assert_eq!(phases.len(), 4, "{text}");
        assert!(phases[3].0 && !phases[3].1, "{text}");
    }

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

//! What each request costs beside its transport: the message, the answer, the record.
//!
//! `cargo bench -p palisade --bench hot -- [message | answer | record] [ROUNDS]` prints nanoseconds a round, at
//! best. With `ROUNDS` at two values under `valgrind --tool=callgrind`, the difference of the totals over
//! the difference of the rounds is the number of instructions a round.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body::Body;
use http_body_util::Full;
use palisade::audit::{
    Aggregate, Fail, Intents, ObserverLayer, Recorder, WitnessLayer, WriteAhead,
};
use palisade::mcp::outcome::Scanner;
use palisade::mcp::shown::Shown;
use palisade::mcp::{self, Limits, Payload};
use palisade::timer::Timer;
use palisade::{Call, Connection, Exchange, Text};
use palisade_audit::{Config, Log, SinkConfig};
use tower_layer::Layer;
use tower_service::Service;

/// A `tools/call` of 395 bytes.
const CALL: &[u8] = include_bytes!("../../../bench/src/body400.json");

/// Rounds that are timed together, short enough to be left alone by the scheduler now and then.
const BATCH: u32 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|argument| *argument != "--bench")
        .collect();
    let which = arguments.first().copied();
    let rounds = arguments
        .get(1)
        .map_or(Ok(200_000), |count| count.parse())?;
    let wants = |name| which.is_none_or(|which| which == name);
    let answer = answer();
    if wants("message") {
        let limits = Limits::default();
        time("message", CALL.len(), rounds, || {
            black_box(mcp::read(black_box(CALL), &limits)).is_ok()
        });
    }
    if wants("answer") {
        time("answer", answer.len(), rounds, || {
            let mut scanner = Scanner::new();
            scanner.push(black_box(&answer));
            !black_box(scanner.take()).unreadable
        });
    }
    if wants("record") {
        record("record", WriteAhead::None, &answer, rounds)?;
    }
    if wants("intent") {
        record("intent", WriteAhead::All, &answer, rounds)?;
    }
    Ok(())
}

/// No time passes here.
#[derive(Clone)]
struct Never;

impl Timer for Never {
    type Sleep = std::future::Pending<()>;

    fn sleep(&self, _: Duration) -> Self::Sleep {
        std::future::pending()
    }
}

/// A result of 598 bytes.
fn answer() -> Vec<u8> {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(12);
    let text = &text[..510];
    let answer = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"{text}"}}],"isError":false}}}}"#
    );
    answer.into_bytes()
}

#[expect(clippy::print_stdout, reason = "this is what the bench is for")]
fn time(name: &str, bytes: usize, rounds: u32, mut round: impl FnMut() -> bool) {
    let mut best = Duration::MAX;
    for _ in 0..rounds.div_ceil(BATCH) {
        let start = Instant::now();
        for _ in 0..BATCH {
            assert!(round());
        }
        best = best.min(start.elapsed());
    }
    let each = best.as_nanos() / u128::from(BATCH);
    println!("{name}: {bytes} bytes in {each} ns at best");
}

/// A call, its answer and its record, through both halves of the audit.
fn record(
    name: &str,
    of: WriteAhead,
    answer: &[u8],
    rounds: u32,
) -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let mut config = Config::new(SinkConfig::File(directory.path().join("audit.ndjson")));
    config.buffer_max = 1024 * 1024 * 1024;
    let log = Log::open(config)?;
    let recorder = Recorder::new(log.handle(), Arc::new(Aggregate::default()), "0.1.0", None);
    let observer = ObserverLayer::new(
        recorder.clone(),
        Fail::Closed,
        Arc::new(Intents {
            of,
            ..Intents::default()
        }),
        Shown::default(),
        Never,
    );
    let asks = Asks {
        inner: observer.layer(Answers(Bytes::copy_from_slice(answer))),
        server: "files".into(),
    };
    let mut service = WitnessLayer::new(recorder).layer(asks);
    let peer = Connection::new("203.0.113.7:50000".parse()?, true);
    time(name, answer.len(), rounds, || {
        let mut request = Request::new(());
        request.extensions_mut().insert(peer.clone());
        let mut context = Context::from_waker(Waker::noop());
        let mut future = Box::pin(service.call(request));
        // An intent waits a turn for others.
        let mut polled = (0..2).map(|_| future.as_mut().poll(&mut context));
        let Some(Poll::Ready(Ok(mut answer))) = polled.find(Poll::is_ready) else {
            return false;
        };
        let frame = Pin::new(answer.body_mut()).poll_frame(&mut context);
        matches!(frame, Poll::Ready(Some(Ok(_))))
    });
    log.close(Duration::from_secs(60))?;
    Ok(())
}

/// Notes what `Inspect` would find in [`CALL`].
struct Asks<S> {
    inner: S,
    server: Arc<str>,
}

impl<S: Service<Request<()>>> Service<Request<()>> for Asks<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<()>) -> S::Future {
        let body = Bytes::from_static(CALL);
        if let Ok(Payload::Single(message)) = mcp::read(&body, &Limits::default()) {
            let text = |text: &str| Text::shared(&body, text);
            let mut call = Call::default();
            call.method = message.method.as_deref().map(text);
            call.id = message
                .raw_id
                .map(|id| body.slice_ref(id.text().as_bytes()));
            call.key = message.id.clone();
            call.target = message.target.as_ref().map(|target| text(&target.name));
            let arguments = message.arguments;
            call.arguments = arguments.map(|raw| body.slice_ref(raw.text().as_bytes()));
            call.revision = Some(Text::from("2025-11-25"));
            let exchange = Exchange::within(request.extensions_mut());
            let mut facts = exchange.facts();
            facts.request_bytes = body.len() as u64;
            facts.server = Some(Arc::clone(&self.server));
            facts.calls.push(call);
        }
        self.inner.call(request)
    }
}

#[derive(Clone)]
struct Answers(Bytes);

impl Service<Request<()>> for Answers {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let mut answer = Response::new(Full::new(self.0.clone()));
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(CONTENT_TYPE, json);
        ready(Ok(answer))
    }
}

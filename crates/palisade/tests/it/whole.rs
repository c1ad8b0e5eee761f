//! The gateway's whole stack, as a library, round an axum router and round the official SDK.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use palisade::audit::{Fail, Recorder};
use palisade::body::{DEFAULT_LIMIT, DeclaredBody, Inflight};
use palisade::call_limits::CallLimits;
use palisade::cors::CorsPolicy;
use palisade::headers::HeaderPolicy;
use palisade::host::{HostGuard, HostSet};
use palisade::inspect::{Inspected, Inspection};
use palisade::mcp::shown::Shown;
use palisade::origin::OriginGuard;
use palisade::origins::OriginSet;
use palisade::overload::Overload;
use palisade::rate::{Limiter, Peer, Preflights, Quota, RateGuard};
use palisade::route::{Entry, Route};
use palisade::sanity::Sanity;
use palisade::stack::{self, Inner, InnerStack, Outer};
use palisade::timer::Timer;
use palisade::{Mode, Optional, Reason, Rejection};
use palisade_audit::{Config, Log, SinkConfig};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::{Value, json};
use tower::{Service, ServiceExt};

#[derive(Clone)]
struct TokioTimer;

impl Timer for TokioTimer {
    type Sleep = tokio::time::Sleep;

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        tokio::time::sleep(duration)
    }
}

/// Every layer round `server`, recording into a file.
fn guarded<S, R>(
    server: S,
    audit: &Path,
) -> (
    impl Service<
        Request<Full<Bytes>>,
        Response = Response<impl Body<Data = Bytes, Error: std::fmt::Debug>>,
        Error = Infallible,
    > + Clone,
    Log,
)
where
    S: Service<Request<Inspected>, Response = Response<R>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    R: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let log = Log::open(Config::new(SinkConfig::File(audit.to_owned()))).unwrap();
    let recorder = Recorder::new(log.handle(), Arc::default(), "test", None);
    let origins = Arc::new(OriginSet::parse(["https://app.example.com"]).unwrap());
    let cors = Arc::new(CorsPolicy::builder(Arc::clone(&origins)).build().unwrap());
    let headers = Arc::new(HeaderPolicy::default());
    let shown = Shown::default();
    let limiter = || {
        let quota = Quota::new(NonZeroU32::MAX, Duration::from_secs(3600)).unwrap();
        Arc::new(Limiter::new(quota))
    };
    let inner = Inner {
        recorder: recorder.clone(),
        fail: Fail::Closed,
        intents: Arc::default(),
        shown: shown.clone(),
        headers: Arc::clone(&headers),
        cors: Arc::clone(&cors),
        origin: Arc::new(OriginGuard::new(origins).with_mode(Mode::Enforce)),
        preflights: Arc::new(
            RateGuard::new("preflight", Preflights::default(), limiter()).with_mode(Mode::Enforce),
        ),
        peer: Arc::new(RateGuard::new("peer", Peer::default(), limiter()).with_mode(Mode::Enforce)),
        body: Arc::new(DeclaredBody::default().with_mode(Mode::Enforce)),
        authenticate: None,
        caller: None,
        sessions: None,
        access: None,
        calls: Arc::new(CallLimits::default()),
        inspect: Arc::new(Inspection {
            urls: None,
            mcp: true,
            limit: DEFAULT_LIMIT,
            report_above: None,
            deadline: Duration::from_secs(10),
            inflight: Inflight::new(256 << 20),
            message: Default::default(),
            params: Default::default(),
            shown,
            timer: TokioTimer,
        }),
    };
    let outer = Outer {
        recorder,
        headers,
        sanity: Arc::new(Sanity::default()),
        overload: Overload::new(1000),
        host: Arc::new(HostGuard::new(HostSet::loopback()).with_mode(Mode::Enforce)),
        cors,
    };
    let route = Route::<InnerStack<Full<Bytes>>>::new(vec![Entry {
        name: "library".into(),
        host: None,
        path: "/mcp".to_owned(),
        service: stack::inner(inner, server),
    }]);
    (stack::outer(outer, route), log)
}

fn initialize() -> Value {
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" },
        },
    })
}

fn request(host: &str, body: &Value) -> Request<Full<Bytes>> {
    Request::post("/mcp")
        .header("host", host)
        .header("origin", "https://app.example.com")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(Full::from(body.to_string()))
        .unwrap()
}

/// One call that passes, one that is refused; both secured and recorded.
async fn shows_the_whole_wall<S, R>(server: S)
where
    S: Service<Request<Inspected>, Response = Response<R>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    R: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let folder = tempfile::tempdir().unwrap();
    let audit = folder.path().join("audit.ndjson");
    let (service, log) = guarded(server, &audit);

    let answer = service
        .clone()
        .oneshot(request("localhost", &initialize()))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(
        answer.headers()["access-control-allow-origin"],
        "https://app.example.com"
    );
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&body).contains("protocolVersion"));

    let answer = service
        .oneshot(request("rebound.example", &initialize()))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    let rejection = answer.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.reason(), Reason::HostNotAllowed);
    drop(answer);

    log.close(Duration::from_secs(5)).unwrap();
    let records: Vec<Value> = std::fs::read_to_string(&audit)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        // Its first line is the log's own.
        .filter(|line: &Value| line["event"].is_null())
        .collect();
    let told = |key: &str| {
        records
            .iter()
            .map(|record| record[key].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(told("outcome"), ["ok", "denied"]);
    assert_eq!(told("method"), [json!("initialize"), Value::Null]);
    assert_eq!(told("reason"), [Value::Null, json!("host.not_allowed")]);
}

// REQ: G-6, G-12
#[tokio::test]
async fn round_an_axum_router() {
    let answer = || async {
        axum::Json(json!({
            "jsonrpc": "2.0", "id": 1,
            "result": { "protocolVersion": "2025-11-25", "capabilities": {},
                "serverInfo": { "name": "axum", "version": "1" } },
        }))
    };
    let router: Router = Router::new().route("/mcp", post(answer));
    shows_the_whole_wall(router).await;
}

// REQ: G-12
#[tokio::test]
async fn round_the_official_sdk() {
    #[derive(Clone)]
    struct Server;
    impl ServerHandler for Server {}
    shows_the_whole_wall(StreamableHttpService::new(
        || Ok(Server),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    ))
    .await;
}

//! The gateway's layers round an axum router, in the gateway's own order.
//!
//! ```text
//! cargo run -p palisade --example axum
//! curl -i http://127.0.0.1:3000/mcp -H 'content-type: application/json' \
//!     -d '{"jsonrpc":"2.0","id":1,"method":"ping"}'
//! ```
//!
//! The call is answered and stands on standard output as an audit record. With
//! `-H 'host: evil.example'` or `-H 'origin: https://evil.example'` it is refused, and that is
//! recorded too.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::routing::post;
use axum::{Json, Router};
use http::Request;
use palisade::audit::{Fail, Recorder};
use palisade::body::{DEFAULT_LIMIT, DeclaredBody, Inflight};
use palisade::call_limits::CallLimits;
use palisade::cors::CorsPolicy;
use palisade::headers::HeaderPolicy;
use palisade::host::{HostGuard, HostSet};
use palisade::inspect::Inspection;
use palisade::mcp::shown::Shown;
use palisade::origin::OriginGuard;
use palisade::origins::{OriginSet, WebScheme};
use palisade::overload::Overload;
use palisade::rate::{Limiter, Peer, Preflights, Quota, RateGuard};
use palisade::route::{Entry, Route};
use palisade::sanity::Sanity;
use palisade::stack::{self, Inner, InnerStack, Outer};
use palisade::timer::Timer;
use palisade::{Connection, Mode, Optional};
use palisade_audit::{Config, Log, SinkConfig};
use serde_json::{Value, json};
use tower::ServiceExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let log = Log::open(Config::new(SinkConfig::Stdout))?;
    let recorder = Recorder::new(
        log.handle(),
        Arc::default(),
        env!("CARGO_PKG_VERSION"),
        None,
    );

    let server = Router::new().route("/mcp", post(answer));
    let guarded = guard(server, recorder)?;
    let app = Router::new().fallback_service(guarded);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}

/// An MCP server; any other tower service will do, rmcp's `StreamableHttpService` for one.
async fn answer(Json(message): Json<Value>) -> Json<Value> {
    Json(json!({ "jsonrpc": "2.0", "id": message["id"], "result": {} }))
}

/// The whole stack round `server`.
fn guard(
    server: Router,
    recorder: Recorder,
) -> Result<
    impl tower::Service<
        Request<axum::body::Body>,
        Response = axum::response::Response,
        Error = Infallible,
        Future: Send,
    > + Clone
    + Send
    + Sync
    + 'static,
    Box<dyn Error>,
> {
    // Who may be asked for, and whose pages may ask.
    let hosts = HostSet::loopback();
    let mut own = OriginSet::new();
    own.insert_hosts(WebScheme::Http, &hosts, 3000);
    let origins = Arc::new(OriginSet::parse(["https://app.example.com"])?);

    let per_minute = |requests| {
        let requests = NonZeroU32::new(requests).unwrap_or(NonZeroU32::MIN);
        Quota::new(requests, Duration::from_secs(60)).map(|quota| Arc::new(Limiter::new(quota)))
    };
    let peer = RateGuard::new("peer", Peer::default(), per_minute(600)?);
    let preflights = RateGuard::new("preflight", Preflights::default(), per_minute(1200)?);

    let headers = Arc::new(HeaderPolicy::default());
    let shown = Shown::default();
    let cors = Arc::new(CorsPolicy::builder(Arc::clone(&origins)).build()?);
    let inner = Inner {
        recorder: recorder.clone(),
        fail: Fail::Closed,
        intents: Arc::default(),
        shown: shown.clone(),
        headers: Arc::clone(&headers),
        cors: Arc::clone(&cors),
        origin: Arc::new(
            OriginGuard::new(origins)
                .with_own(own)
                .with_mode(Mode::Enforce),
        ),
        preflights: Arc::new(preflights.styles(&[]).with_mode(Mode::Enforce)),
        peer: Arc::new(peer.with_mode(Mode::Enforce)),
        body: Arc::new(DeclaredBody::default().with_mode(Mode::Enforce)),
        authenticate: None,
        caller: None,
        sessions: None,
        access: None,
        calls: Arc::new(CallLimits::default()),
        inspect: Arc::new(Inspection {
            mcp: true,
            limit: DEFAULT_LIMIT,
            report_above: None,
            deadline: Duration::from_secs(10),
            inflight: Inflight::new(256 << 20),
            message: Default::default(),
            params: Default::default(),
            shown,
            urls: None,
            timer: TokioTimer,
        }),
    };
    let outer = Outer {
        recorder,
        headers,
        sanity: Arc::new(Sanity::default()),
        overload: Overload::new(1000),
        host: Arc::new(HostGuard::new(hosts).with_mode(Mode::Enforce)),
        cors,
    };
    let route = Route::<InnerStack<axum::body::Body>>::new(vec![Entry {
        name: "example".into(),
        host: None,
        path: "/mcp".to_owned(),
        service: stack::inner(inner, server),
    }]);

    let stack = stack::outer(outer, route);
    Ok(stack
        .map_request(with_connection)
        .map_response(|answer| answer.map(axum::body::Body::new)))
}

/// Tells the layers who is at the other end: rates and records go by that.
fn with_connection(mut request: Request<axum::body::Body>) -> Request<axum::body::Body> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    if let Some(connection) = peer.map(|peer| Connection::new(peer.0, false)) {
        request.extensions_mut().insert(connection);
    }
    request
}

/// The runtime's clock, for the deadline of bodies.
#[derive(Clone)]
struct TokioTimer;

impl Timer for TokioTimer {
    type Sleep = tokio::time::Sleep;

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        tokio::time::sleep(duration)
    }
}

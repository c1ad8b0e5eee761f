//! Host, CORS and Origin in the order in which a gateway stacks them, round real services.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Version};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use palisade::cors::{CorsLayer, CorsPolicy};
use palisade::host::{HostGuard, HostSet};
use palisade::origin::OriginGuard;
use palisade::origins::{OriginSet, WebScheme};
use palisade::{Admit, Guard, GuardLayer, Mode, Optional, Reason, Rejection};
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tower::{Layer, Service, ServiceExt};

const APP: &str = "https://app.example.com";

/// Host, CORS and Origin round any service.
fn stack<S, R>(
    inner: S,
) -> impl Service<
    Request<Full<Bytes>>,
    Response = Response<impl Body<Data = Bytes, Error = R::Error>>,
    Error = Infallible,
> + Clone
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Infallible> + Clone,
    R: Body<Data = Bytes>,
{
    let hosts = HostSet::parse(["mcp.example.com"]).unwrap();
    let mut own = OriginSet::new();
    own.insert_hosts(WebScheme::Https, &hosts, 443);
    let origins = Arc::new(OriginSet::parse([APP]).unwrap());
    let cors = CorsPolicy::builder(Arc::clone(&origins)).build().unwrap();
    let origin = GuardLayer::new(OriginGuard::new(origins).with_own(own));
    let stack = CorsLayer::new(cors).layer(origin.layer(inner));
    GuardLayer::new(HostGuard::new(hosts)).layer(stack)
}

struct Case {
    method: &'static str,
    headers: &'static [(&'static str, &'static str)],
    status: u16,
    reason: Option<Reason>,
    granted: bool,
}

const HOST: (&str, &str) = ("host", "mcp.example.com");
const ORIGIN: (&str, &str) = ("origin", APP);
const EVIL: (&str, &str) = ("origin", "https://evil.example");

/// What every service behind the stack must show, whatever it answers itself.
const REFUSALS: &[Case] = &[
    Case {
        method: "POST",
        headers: &[ORIGIN],
        status: 400,
        reason: Some(Reason::HostMissing),
        granted: false,
    },
    Case {
        method: "POST",
        headers: &[HOST, HOST, ORIGIN],
        status: 400,
        reason: Some(Reason::HostAmbiguous),
        granted: false,
    },
    Case {
        method: "POST",
        headers: &[("host", "evil.example"), ORIGIN],
        status: 403,
        reason: Some(Reason::HostNotAllowed),
        granted: false,
    },
    Case {
        method: "POST",
        headers: &[HOST, EVIL],
        status: 403,
        reason: Some(Reason::OriginNotAllowed),
        granted: false,
    },
    Case {
        method: "GET",
        headers: &[HOST, ("origin", "null")],
        status: 403,
        reason: Some(Reason::OriginNotAllowed),
        granted: false,
    },
    Case {
        method: "OPTIONS",
        headers: &[HOST, EVIL],
        status: 403,
        reason: Some(Reason::OriginNotAllowed),
        granted: false,
    },
    Case {
        method: "DELETE",
        headers: &[HOST, ORIGIN, ORIGIN],
        status: 403,
        reason: Some(Reason::OriginMalformed),
        granted: false,
    },
    Case {
        method: "OPTIONS",
        headers: &[HOST, EVIL, ("access-control-request-method", "POST")],
        status: 403,
        reason: Some(Reason::CorsPreflightRefused),
        granted: false,
    },
    Case {
        method: "OPTIONS",
        headers: &[HOST, ORIGIN, ("access-control-request-method", "POST")],
        status: 204,
        reason: None,
        granted: true,
    },
];

async fn check<S, R>(service: &S, case: &Case, body: &'static str)
where
    S: Service<Request<Full<Bytes>>, Response = Response<R>, Error = Infallible> + Clone,
    R: Body<Data = Bytes>,
{
    let mut request = Request::builder().method(case.method).uri("/mcp");
    for (name, value) in case.headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::from(body)).unwrap();
    let Ok(answer) = service.clone().oneshot(request).await;
    let (method, headers) = (case.method, case.headers);
    assert_eq!(answer.status(), case.status, "{method} {headers:?}");
    let rejection = answer.extensions().get::<Rejection>();
    assert_eq!(rejection.map(Rejection::reason), case.reason, "{headers:?}");
    let echoed = answer.headers().get("access-control-allow-origin");
    assert_eq!(echoed.is_some(), case.granted, "{method} {headers:?}");
    if case.granted {
        assert_eq!(echoed.unwrap(), APP);
    } else {
        let mut names = answer.headers().keys();
        assert!(!names.any(|name| name.as_str().starts_with("access-control-")));
    }
    // Only what the host check refuses lies outside CORS.
    if !case
        .reason
        .is_some_and(|reason| reason.code().starts_with("host."))
    {
        let vary = answer.headers()["vary"].to_str().unwrap();
        assert!(vary.starts_with("Origin"), "{vary}");
    }
}

// REQ: H-1, H-2, H-3, C-3, C-7
#[tokio::test]
async fn round_an_axum_router() {
    let router = Router::new()
        .route("/mcp", get(|| async { "read" }))
        .route("/mcp", post(|body: String| async { body }));
    let service = stack(router);
    for case in REFUSALS {
        check(&service, case, "{}").await;
    }
    for case in [
        Case {
            method: "POST",
            headers: &[HOST],
            status: 200,
            reason: None,
            granted: false,
        },
        Case {
            method: "POST",
            headers: &[HOST, ORIGIN],
            status: 200,
            reason: None,
            granted: true,
        },
        Case {
            method: "GET",
            headers: &[
                ("host", "MCP.Example.com.:8443"),
                ("origin", "https://mcp.example.com"),
            ],
            status: 200,
            reason: None,
            granted: false,
        },
        // Errors of the router can be read too; plain OPTIONS is the router's.
        Case {
            method: "PUT",
            headers: &[HOST, ORIGIN],
            status: 405,
            reason: None,
            granted: true,
        },
        Case {
            method: "OPTIONS",
            headers: &[HOST, ORIGIN],
            status: 405,
            reason: None,
            granted: true,
        },
    ] {
        check(&service, &case, "{}").await;
    }
}

// REQ: H-3, C-7
#[tokio::test]
async fn a_body_passes_unchanged() {
    let service = stack(Router::new().route("/mcp", post(|body: String| async { body })));
    let request = Request::post("/mcp").header("host", "mcp.example.com");
    let request = request.body(Full::from("the body")).unwrap();
    let Ok(answer) = service.oneshot(request).await;
    assert_eq!(Body::size_hint(answer.body()).exact(), Some(8));
    let body = answer.into_body().collect().await;
    let Ok(body) = body else {
        panic!("the body breaks off");
    };
    assert_eq!(body.to_bytes(), "the body");
}

/// Refuses with a 429 that says when to come again.
struct Busy;

impl Guard for Busy {
    fn admit(&self, _head: &mut Parts) -> Result<Admit, Rejection> {
        let again = HeaderValue::from_static("7");
        Err(Rejection::new(Reason::RateExceeded).with_header(RETRY_AFTER, again))
    }
}

// REQ: C-7
#[tokio::test]
async fn a_page_can_read_why_an_inner_layer_refuses() {
    let router = Router::new().route("/mcp", post(|| async { "" }));
    let service = stack(GuardLayer::new(Busy).layer(router));
    let request = Request::post("/mcp").header(HOST.0, HOST.1);
    let request = request.header(ORIGIN.0, ORIGIN.1);
    let request = request.body(Full::default()).unwrap();
    let Ok(answer) = service.oneshot(request).await;
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    let headers = answer.headers();
    assert_eq!(headers["access-control-allow-origin"], APP);
    assert_eq!(headers["retry-after"], "7");
    let exposed = headers["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.contains("Retry-After"));
    let reason = answer.extensions().get().map(Rejection::reason);
    assert_eq!(reason, Some(Reason::RateExceeded));
}

/// An axum user's own way of stacking.
#[tokio::test]
async fn as_layers_of_a_router() {
    let origins = Arc::new(OriginSet::parse([APP]).unwrap());
    let cors = CorsPolicy::builder(Arc::clone(&origins)).build().unwrap();
    let router: Router = Router::new()
        .route("/mcp", get(|| async { "read" }))
        .layer(GuardLayer::new(OriginGuard::new(origins)))
        .layer(CorsLayer::new(cors))
        .layer(GuardLayer::new((
            HostGuard::new(HostSet::loopback()).with_mode(Mode::Enforce),
            (),
        )));
    for (host, origin, status) in [
        ("localhost:3000", None, 200),
        ("localhost", Some(APP), 200),
        ("[::1]:3000", Some("https://evil.example"), 403),
        ("evil.example", None, 403),
    ] {
        let mut request = Request::get("/mcp").header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let request = request.body(axum::body::Body::empty()).unwrap();
        let Ok(answer) = router.clone().oneshot(request).await;
        assert_eq!(answer.status(), status, "{host} {origin:?}");
    }
}

#[derive(Clone)]
struct Bare;

impl ServerHandler for Bare {}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{
    "protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

const JSON: (&str, &str) = ("content-type", "application/json");
const ACCEPT: (&str, &str) = ("accept", "application/json, text/event-stream");

// REQ: H-1, H-2, H-3, C-1, C-3, C-7
#[tokio::test]
async fn round_the_official_sdk() {
    let config = StreamableHttpServerConfig::default().disable_allowed_hosts();
    let sdk = StreamableHttpService::new(
        || Ok(Bare),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let service = stack(sdk);
    for case in REFUSALS {
        check(&service, case, INITIALIZE).await;
    }
    for case in [
        Case {
            method: "POST",
            headers: &[HOST, JSON, ACCEPT],
            status: 200,
            reason: None,
            granted: false,
        },
        Case {
            method: "POST",
            headers: &[HOST, JSON, ACCEPT, ORIGIN],
            status: 200,
            reason: None,
            granted: true,
        },
        // The SDK's own refusals can be read by the page.
        Case {
            method: "POST",
            headers: &[HOST, ("content-type", "text/plain"), ACCEPT, ORIGIN],
            status: 415,
            reason: None,
            granted: true,
        },
        Case {
            method: "PUT",
            headers: &[HOST, ORIGIN],
            status: 405,
            reason: None,
            granted: true,
        },
    ] {
        check(&service, &case, INITIALIZE).await;
    }
}

// REQ: C-1, C-4
#[tokio::test]
async fn a_page_can_read_the_session_of_the_official_sdk() {
    let config = StreamableHttpServerConfig::default().disable_allowed_hosts();
    let sessions = Arc::new(LocalSessionManager::default());
    let service = stack(StreamableHttpService::new(|| Ok(Bare), sessions, config));
    let mut request = Request::post("/mcp").version(Version::HTTP_2);
    for (name, value) in [JSON, ACCEPT, ORIGIN] {
        request = request.header(name, value);
    }
    request = request.uri("https://mcp.example.com/mcp");
    let request = request.body(Full::from(INITIALIZE)).unwrap();
    let Ok(answer) = service.oneshot(request).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.headers().contains_key("mcp-session-id"));
    let exposed = answer.headers()["access-control-expose-headers"].to_str();
    assert!(exposed.unwrap().contains("Mcp-Session-Id"));
    let event_stream = HeaderValue::from_static("text/event-stream");
    assert_eq!(answer.headers()["content-type"], event_stream);
    let mut body = Box::pin(answer.into_body());
    let mut read = Vec::new();
    while !read.windows(10).any(|window| window == b"serverInfo") {
        let Some(Ok(frame)) = body.frame().await else {
            panic!("the stream ends before its answer");
        };
        read.extend_from_slice(frame.data_ref().unwrap());
    }
}

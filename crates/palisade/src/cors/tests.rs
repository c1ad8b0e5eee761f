use std::sync::Mutex;

use http_body_util::Full;
use proptest::prelude::*;
use tower::{ServiceExt, service_fn};

use super::*;
use crate::guard::Admit;
use crate::origins::{Origin, OriginSet};

/// Header fields of a request.
type Fields<'a> = &'a [(&'a str, &'a str)];

/// The methods and the headers that a preflight is granted.
type Granted<'a> = (&'a str, Option<&'a str>);

const APP: &str = "https://app.example.com";

fn policy() -> CorsPolicyBuilder {
    let origins = OriginSet::parse([APP, "https://*.tenant.example.com", "vscode-webview://1a"]);
    CorsPolicy::builder(origins.unwrap())
}

fn request(method: &str, headers: Fields<'_>) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = method.parse().unwrap();
    for (name, value) in headers {
        let name: HeaderName = name.parse().unwrap();
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        request.headers_mut().append(name, value);
    }
    request
}

/// What came of a request: the answer's head, and whether the inner service saw it.
struct Seen {
    answer: http::response::Parts,
    reached: bool,
}

impl Seen {
    /// Every value of a header, joined.
    fn get(&self, name: &str) -> Option<String> {
        let values = self.answer.headers.get_all(name).iter();
        let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
        (!values.is_empty()).then(|| values.join(" | "))
    }

    fn has_cors(&self) -> bool {
        let mut names = self.answer.headers.keys();
        names.any(|name| name.as_str().starts_with("access-control-"))
    }

    fn rejection(&self) -> Option<&Rejection> {
        self.answer.extensions.get()
    }
}

/// Asks `layer` round a service that answers 202 with `headers`.
async fn ask<G: Guard>(
    layer: CorsLayer<G>,
    headers: &'static [(&'static str, &'static str)],
    request: Request<()>,
) -> Seen {
    let reached = Mutex::new(false);
    let inner = service_fn(|_: Request<()>| {
        *reached.lock().unwrap() = true;
        let mut answer = Response::new(Full::<Bytes>::default());
        *answer.status_mut() = StatusCode::ACCEPTED;
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            answer.headers_mut().append(*name, value);
        }
        std::future::ready(Ok(answer))
    });
    let Ok(answer) = layer.layer(inner).oneshot(request).await;
    Seen {
        answer: answer.into_parts().0,
        reached: *reached.lock().unwrap(),
    }
}

async fn ask_policy(policy: CorsPolicyBuilder, request: Request<()>) -> Seen {
    ask(CorsLayer::new(policy.build().unwrap()), &[], request).await
}

const ORIGIN_APP: (&str, &str) = ("origin", APP);
const ASK_POST: (&str, &str) = ("access-control-request-method", "POST");

// REQ: C-1, C-3, C-4
#[tokio::test]
async fn a_preflight_is_answered_with_what_mcp_clients_need() {
    let asked = "content-type,authorization,accept,mcp-session-id,mcp-protocol-version,mcp-method,\
        mcp-name,last-event-id,x-request-id,traceparent,tracestate";
    let headers = ("access-control-request-headers", asked);
    let seen = ask_policy(
        policy(),
        request("OPTIONS", &[ORIGIN_APP, ASK_POST, headers]),
    )
    .await;
    assert!(!seen.reached);
    assert_eq!(seen.answer.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", Some(APP)),
        (
            "access-control-allow-methods",
            Some("GET, POST, DELETE, OPTIONS"),
        ),
        (
            "access-control-allow-headers",
            Some(
                "Content-Type, Authorization, Accept, Mcp-Session-Id, MCP-Protocol-Version, \
                 Mcp-Method, Mcp-Name, Last-Event-ID, X-Request-ID, traceparent, tracestate",
            ),
        ),
        ("access-control-max-age", Some("600")),
        ("access-control-allow-credentials", None),
        ("access-control-expose-headers", None),
        ("access-control-allow-private-network", None),
        (
            "vary",
            Some("Origin, Access-Control-Request-Method, Access-Control-Request-Headers"),
        ),
        ("content-type", None),
    ] {
        assert_eq!(seen.get(name).as_deref(), value, "{name}");
    }
}

// REQ: C-3
#[tokio::test]
async fn a_preflight_is_options_with_both_headers_and_nothing_else() {
    for (method, headers, is_one) in [
        ("OPTIONS", &[ORIGIN_APP, ASK_POST][..], true),
        ("OPTIONS", &[("origin", "null"), ASK_POST], true),
        (
            "OPTIONS",
            &[("origin", ""), ("access-control-request-method", "")],
            true,
        ),
        ("OPTIONS", &[ORIGIN_APP], false),
        ("OPTIONS", &[ASK_POST], false),
        ("OPTIONS", &[], false),
        (
            "OPTIONS",
            &[ORIGIN_APP, ("access-control-request-headers", "x")],
            false,
        ),
        ("POST", &[ORIGIN_APP, ASK_POST], false),
        ("GET", &[ORIGIN_APP, ASK_POST], false),
        ("options", &[ORIGIN_APP, ASK_POST], false),
    ] {
        let seen = ask_policy(policy(), request(method, headers)).await;
        assert_eq!(seen.reached, !is_one, "{method} {headers:?}");
    }
}

// REQ: C-1, C-3
#[tokio::test]
async fn preflights_are_judged_by_origin_method_and_headers() {
    const METHOD: &str = "access-control-request-method";
    const HEADERS: &str = "access-control-request-headers";
    let many = |count: usize| "accept,".repeat(count);
    let (most, too_many) = (many(64), many(65));
    let cases: &[(Fields<'_>, Option<&str>)] = &[
        (&[ORIGIN_APP, ASK_POST], None),
        (
            &[("origin", "https://a.tenant.example.com"), ASK_POST],
            None,
        ),
        (&[("origin", "vscode-webview://1a"), ASK_POST], None),
        (&[ORIGIN_APP, (METHOD, "GET")], None),
        (&[ORIGIN_APP, (METHOD, "DELETE")], None),
        (&[ORIGIN_APP, (METHOD, "OPTIONS")], None),
        (&[ORIGIN_APP, ASK_POST, (HEADERS, "")], None),
        (
            &[ORIGIN_APP, ASK_POST, (HEADERS, "Content-TYPE , ,\tACCEPT,")],
            None,
        ),
        (
            &[
                ORIGIN_APP,
                ASK_POST,
                (HEADERS, "accept"),
                (HEADERS, "mcp-name"),
            ],
            None,
        ),
        (&[ORIGIN_APP, ASK_POST, (HEADERS, &most)], None),
        // Origins.
        (
            &[("origin", "https://evil.example"), ASK_POST],
            Some("add \"https://evil.example\" to cors.origins"),
        ),
        (
            &[("origin", "http://app.example.com"), ASK_POST],
            Some("add \"http://app.example.com\" to cors.origins"),
        ),
        (
            &[("origin", "https://app.example.com:8443"), ASK_POST],
            Some("add \"https://app.example.com:8443\" to cors.origins"),
        ),
        (
            &[("origin", "https://app.example.com.evil.test"), ASK_POST],
            Some("add \"https://app.example.com.evil.test\" to cors.origins"),
        ),
        (
            &[("origin", "https://a.b.tenant.example.com"), ASK_POST],
            Some("add \"https://a.b.tenant.example.com\" to cors.origins"),
        ),
        (&[("origin", "null"), ASK_POST], Some("")),
        (&[("origin", ""), ASK_POST], Some("")),
        (
            &[("origin", "https://app.example.com."), ASK_POST],
            Some(""),
        ),
        (
            &[("origin", "https://app.example.com/"), ASK_POST],
            Some(""),
        ),
        (&[ORIGIN_APP, ORIGIN_APP, ASK_POST], Some("")),
        (
            &[ORIGIN_APP, ("origin", "https://evil.example"), ASK_POST],
            Some(""),
        ),
        // Methods.
        (
            &[ORIGIN_APP, (METHOD, "PUT")],
            Some("add \"PUT\" to cors.methods"),
        ),
        (
            &[ORIGIN_APP, (METHOD, "post")],
            Some("add \"post\" to cors.methods"),
        ),
        (&[ORIGIN_APP, (METHOD, "")], Some("")),
        (&[ORIGIN_APP, (METHOD, "*")], Some("")),
        (&[ORIGIN_APP, (METHOD, "POST, GET")], Some("")),
        (&[ORIGIN_APP, ASK_POST, ASK_POST], Some("")),
        (&[ORIGIN_APP, ASK_POST, (METHOD, "PUT")], Some("")),
        // Headers.
        (
            &[ORIGIN_APP, ASK_POST, (HEADERS, "X-Foo")],
            Some("add \"x-foo\" to cors.allow_headers"),
        ),
        (
            &[
                ORIGIN_APP,
                ASK_POST,
                (HEADERS, "accept, x-foo"),
                (HEADERS, "Mcp-Param-A"),
            ],
            Some("add \"x-foo\", \"mcp-param-a\" to cors.allow_headers"),
        ),
        (
            &[ORIGIN_APP, ASK_POST, (HEADERS, "mcp-param-*")],
            Some("add \"mcp-param-*\" to cors.allow_headers"),
        ),
        (&[ORIGIN_APP, ASK_POST, (HEADERS, "*")], Some("")),
        (&[ORIGIN_APP, ASK_POST, (HEADERS, "x foo")], Some("")),
        (&[ORIGIN_APP, ASK_POST, (HEADERS, "accept;x")], Some("")),
        (&[ORIGIN_APP, ASK_POST, (HEADERS, "é")], Some("")),
        (&[ORIGIN_APP, ASK_POST, (HEADERS, &too_many)], Some("")),
        (
            &[ORIGIN_APP, ASK_POST, (HEADERS, &most), (HEADERS, "accept")],
            Some(""),
        ),
        (&[ORIGIN_APP, (METHOD, "PUT"), (HEADERS, "*")], Some("")),
    ];
    for (headers, refused) in cases {
        let seen = ask_policy(policy(), request("OPTIONS", headers)).await;
        assert!(!seen.reached);
        let vary = seen.get("vary").unwrap();
        assert!(vary.starts_with("Origin, Access-Control-Request-Method"));
        let Some(remedy) = refused else {
            assert_eq!(seen.answer.status, 204, "{headers:?}");
            let echoed = seen.get("access-control-allow-origin");
            assert_eq!(echoed.as_deref(), Some(headers[0].1));
            continue;
        };
        assert_eq!(seen.answer.status, 403, "{headers:?}");
        assert!(!seen.has_cors(), "{headers:?}");
        let rejection = seen.rejection().unwrap();
        assert_eq!(rejection.reason(), Reason::CorsPreflightRefused);
        assert_eq!(rejection.remedy(), *remedy, "{headers:?}");
        assert!(!rejection.detail().is_empty());
    }
}

// REQ: C-1, C-4
#[tokio::test]
async fn an_answer_to_an_allowed_origin_can_be_read() {
    for (origin, granted) in [
        (APP, true),
        ("https://a.tenant.example.com", true),
        ("HTTPS://App.example.com:443", true),
        ("vscode-webview://1a", true),
        ("vscode-webview://1A", false),
        ("https://evil.example", false),
        ("https://app.example.com.evil.test", false),
        ("https://evilapp.example.com", false),
        ("null", false),
        ("*", false),
        ("", false),
    ] {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let request = request(method, &[("origin", origin)]);
            let seen = ask_policy(policy().credentials(true), request).await;
            assert!(seen.reached);
            assert_eq!(seen.answer.status, 202);
            assert_eq!(seen.get("vary").as_deref(), Some("Origin"), "{origin}");
            if !granted {
                assert!(!seen.has_cors(), "{origin}");
                continue;
            }
            for (name, value) in [
                ("access-control-allow-origin", Some(origin)),
                ("access-control-allow-credentials", Some("true")),
                (
                    "access-control-expose-headers",
                    Some(
                        "Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, X-Request-ID, \
                         Retry-After, RateLimit, RateLimit-Policy",
                    ),
                ),
                ("access-control-allow-methods", None),
                ("access-control-allow-headers", None),
                ("access-control-max-age", None),
            ] {
                assert_eq!(seen.get(name).as_deref(), value, "{origin} {name}");
            }
        }
    }
    for doubled in [[APP, APP], [APP, "null"], ["https://evil.example", APP]] {
        let headers = doubled.map(|origin| ("origin", origin));
        let seen = ask_policy(policy(), request("POST", &headers)).await;
        assert!(seen.reached && !seen.has_cors());
        assert_eq!(seen.get("vary").as_deref(), Some("Origin"));
    }
}

// REQ: C-5
#[tokio::test]
async fn credentials_are_off_unless_asked_for() {
    for (credentials, expected) in [(false, None), (true, Some("true"))] {
        for request in [
            request("OPTIONS", &[ORIGIN_APP, ASK_POST]),
            request("POST", &[ORIGIN_APP]),
        ] {
            let seen = ask_policy(policy().credentials(credentials), request).await;
            let header = seen.get("access-control-allow-credentials");
            assert_eq!(header.as_deref(), expected);
            assert_eq!(
                seen.get("access-control-allow-origin").as_deref(),
                Some(APP)
            );
        }
        for request in [
            request("OPTIONS", &[("origin", "null"), ASK_POST]),
            request("POST", &[("origin", "null")]),
            request("POST", &[]),
        ] {
            let seen = ask_policy(policy().credentials(credentials), request).await;
            assert!(!seen.has_cors());
        }
    }
}

// REQ: C-7
#[tokio::test]
async fn the_inner_services_own_cors_never_gets_out() {
    const THEIRS: &[(&str, &str)] = &[
        ("access-control-allow-origin", "*"),
        ("access-control-allow-origin", "https://evil.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "*"),
        ("access-control-allow-headers", "*"),
        ("access-control-expose-headers", "*"),
        ("access-control-max-age", "9999"),
        ("access-control-allow-private-network", "true"),
        ("access-control-of-tomorrow", "*"),
        ("mcp-session-id", "s"),
    ];
    let layer = || CorsLayer::new(policy().build().unwrap());
    for origin in [None, Some(("origin", "https://evil.example"))] {
        let headers: Vec<_> = origin.into_iter().collect();
        let seen = ask(layer(), THEIRS, request("POST", &headers)).await;
        assert!(!seen.has_cors(), "{origin:?}");
        assert_eq!(seen.get("mcp-session-id").as_deref(), Some("s"));
    }
    let seen = ask(layer(), THEIRS, request("POST", &[ORIGIN_APP])).await;
    assert_eq!(
        seen.get("access-control-allow-origin").as_deref(),
        Some(APP)
    );
    let names = seen.answer.headers.keys().map(HeaderName::as_str);
    let cors: Vec<_> = names
        .filter(|name| name.starts_with("access-control"))
        .collect();
    assert_eq!(cors.len(), 2, "{cors:?}");
}

// REQ: C-1
#[test]
fn vary_names_the_origin_once() {
    for (theirs, expected) in [
        (&[][..], &["Origin"][..]),
        (&["Origin"], &["Origin"]),
        (&["origin"], &["origin"]),
        (&["Accept-Encoding, ORIGIN"], &["Accept-Encoding, ORIGIN"]),
        (
            &["Accept-Encoding", "Origin"],
            &["Accept-Encoding", "Origin"],
        ),
        (&["*"], &["*"]),
        (&["Accept, *"], &["Accept, *"]),
        (&["Accept-Encoding"], &["Origin, Accept-Encoding"]),
        (
            &["Accept-Encoding", "Accept"],
            &["Origin, Accept-Encoding, Accept"],
        ),
        (&["X-Origin, Origin-X"], &["Origin, X-Origin, Origin-X"]),
        (&[""], &["Origin"]),
        (&[" , Accept ,"], &["Origin, Accept"]),
    ] {
        let mut headers = HeaderMap::new();
        for value in theirs {
            headers.append(VARY, HeaderValue::from_static(value));
        }
        vary_on_origin(&mut headers);
        let values: Vec<_> = headers.get_all(VARY).iter().collect();
        assert_eq!(values, expected, "{theirs:?}");
    }
    let mut headers = HeaderMap::new();
    headers.append(VARY, HeaderValue::from_bytes(b"\xff").unwrap());
    vary_on_origin(&mut headers);
    assert_eq!(headers[VARY].as_bytes(), b"Origin, \xff");
}

// REQ: C-3
#[tokio::test]
async fn the_private_network_answer_is_by_key_only() {
    const ASK: (&str, &str) = ("access-control-request-private-network", "true");
    let listed = || policy().private_network(OriginSet::parse([APP]).unwrap());
    let tenant = ("origin", "https://a.tenant.example.com");
    let no = ("access-control-request-private-network", "false");
    for (policy, headers, expected) in [
        (listed(), &[ORIGIN_APP, ASK_POST, ASK][..], Some("true")),
        (listed(), &[ORIGIN_APP, ASK_POST], None),
        (listed(), &[ORIGIN_APP, ASK_POST, no], None),
        (listed(), &[tenant, ASK_POST, ASK], None),
        (policy(), &[ORIGIN_APP, ASK_POST, ASK], None),
    ] {
        let varies = !policy.clone().build().unwrap().private_network.is_empty();
        let seen = ask_policy(policy, request("OPTIONS", headers)).await;
        assert_eq!(seen.answer.status, 204);
        let header = seen.get("access-control-allow-private-network");
        assert_eq!(header.as_deref(), expected, "{headers:?}");
        let vary = seen.get("vary").unwrap();
        assert_eq!(
            vary.ends_with(", Access-Control-Request-Private-Network"),
            varies
        );
    }
    let seen = ask_policy(listed(), request("POST", &[ORIGIN_APP, ASK])).await;
    assert_eq!(seen.get("access-control-allow-private-network"), None);
    let evil = OriginSet::parse(["https://evil.example"]).unwrap();
    let evil = policy().private_network(evil);
    let request = request(
        "OPTIONS",
        &[("origin", "https://evil.example"), ASK_POST, ASK],
    );
    let seen = ask_policy(evil, request).await;
    assert!(seen.answer.status == 403 && !seen.has_cors());
}

// REQ: G-7
#[tokio::test]
async fn report_mode_never_grants_an_unmatched_origin() {
    const HEADERS: (&str, &str) = ("access-control-request-headers", "x-foo, accept");
    let put = ("access-control-request-method", "PUT");
    let evil = ("origin", "https://evil.example");
    let cases: &[(Fields<'_>, usize, Option<Granted<'_>>)] = &[
        (&[evil, ASK_POST], 1, None),
        (&[evil, ASK_POST, HEADERS], 1, None),
        (&[("origin", "null"), ASK_POST], 1, None),
        (&[ORIGIN_APP, ORIGIN_APP, ASK_POST], 1, None),
        (&[ORIGIN_APP, put], 1, Some(("PUT", None))),
        (
            &[ORIGIN_APP, put, HEADERS],
            1,
            Some(("PUT", Some("x-foo, accept"))),
        ),
        (
            &[ORIGIN_APP, ASK_POST, HEADERS],
            1,
            Some(("POST", Some("x-foo, accept"))),
        ),
        (
            &[
                ORIGIN_APP,
                ASK_POST,
                ("access-control-request-headers", "accept"),
            ],
            0,
            Some((
                "GET, POST, DELETE, OPTIONS",
                Some(
                    "Content-Type, Authorization, Accept, Mcp-Session-Id, MCP-Protocol-Version, Mcp-Method, Mcp-Name, Last-Event-ID, X-Request-ID, traceparent, tracestate",
                ),
            )),
        ),
        (
            &[ORIGIN_APP, ("access-control-request-method", "*")],
            1,
            None,
        ),
        (
            &[
                ORIGIN_APP,
                ASK_POST,
                ("access-control-request-headers", "*"),
            ],
            1,
            None,
        ),
    ];
    for (headers, reported, granted) in cases {
        let exchange = Exchange::begin(crate::Connection::default());
        let mut request = request("OPTIONS", headers);
        request.extensions_mut().insert(exchange.clone());
        let seen = ask_policy(policy().mode(Mode::Report), request).await;
        assert_eq!(seen.answer.status, 204, "{headers:?}");
        assert!(!seen.reached && seen.rejection().is_none());
        let expected = vec![Reason::CorsPreflightRefused; *reported];
        assert_eq!(exchange.facts().reported, expected, "{headers:?}");
        assert!(seen.get("vary").is_some());
        let Some((methods, names)) = granted else {
            assert!(!seen.has_cors(), "{headers:?}");
            continue;
        };
        assert_eq!(
            seen.get("access-control-allow-origin").as_deref(),
            Some(APP)
        );
        assert_eq!(
            seen.get("access-control-allow-methods").as_deref(),
            Some(*methods)
        );
        assert_eq!(seen.get("access-control-allow-headers").as_deref(), *names);
        assert_eq!(seen.get("access-control-max-age").as_deref(), Some("600"));
    }
    let seen = ask_policy(policy().mode(Mode::Report), request("POST", &[evil])).await;
    assert!(seen.reached && !seen.has_cors());
    let seen = ask_policy(policy().mode(Mode::Report), request("POST", &[ORIGIN_APP])).await;
    assert_eq!(
        seen.get("access-control-allow-origin").as_deref(),
        Some(APP)
    );
}

// REQ: G-7
#[tokio::test]
async fn off_is_not_there() {
    const THEIRS: &[(&str, &str)] = &[("access-control-allow-origin", "https://their.example")];
    for request in [
        request("OPTIONS", &[ORIGIN_APP, ASK_POST]),
        request("POST", &[ORIGIN_APP]),
        request("POST", &[]),
    ] {
        let layer = CorsLayer::new(policy().mode(Mode::Off).build().unwrap());
        let seen = ask(layer, THEIRS, request).await;
        assert!(seen.reached);
        assert_eq!(seen.answer.headers.len(), 1, "{:?}", seen.answer.headers);
        assert_eq!(
            seen.get("access-control-allow-origin").as_deref(),
            Some("https://their.example")
        );
    }
}

/// Refuses every second request, and says how many it let pass.
#[derive(Default)]
struct EverySecond(Mutex<u32>);

impl Guard for EverySecond {
    fn admit(&self, _head: &mut Parts) -> Result<Admit, Rejection> {
        let mut count = self.0.lock().unwrap();
        *count += 1;
        if count.is_multiple_of(2) {
            return Err(Rejection::new(Reason::RateExceeded));
        }
        let name = HeaderName::from_static("ratelimit");
        Ok(Admit::pass().header(name, HeaderValue::from(*count)))
    }
}

// REQ: C-3, R-1
#[tokio::test]
async fn preflights_have_a_bucket_of_their_own() {
    let layer = CorsLayer::new(policy().build().unwrap());
    let layer = layer.with_preflight_guard(EverySecond::default());
    let evil = ("origin", "https://evil.example");
    for (headers, status, limit) in [
        (&[ORIGIN_APP, ASK_POST][..], 204, Some("1")),
        (&[ORIGIN_APP, ASK_POST], 429, None),
        (&[evil, ASK_POST], 403, Some("3")),
        (&[evil, ASK_POST], 429, None),
    ] {
        let actual = ask(layer.clone(), &[], request("POST", &[ORIGIN_APP])).await;
        assert!(actual.reached && actual.get("ratelimit").is_none());
        let seen = ask(layer.clone(), &[], request("OPTIONS", headers)).await;
        assert_eq!(seen.answer.status, status);
        assert_eq!(seen.get("ratelimit").as_deref(), limit);
        assert_eq!(seen.has_cors(), status == 204);
        assert!(seen.get("vary").is_some() && !seen.reached);
    }
}

#[test]
fn the_inner_service_decides_when_it_is_ready() {
    let mut service = CorsLayer::new(policy().build().unwrap()).layer(Never);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(Service::<Request<()>>::poll_ready(&mut service, &mut cx).is_pending());
}

/// Is never ready.
struct Never;

impl Service<Request<()>> for Never {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Pending<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn call(&mut self, _request: Request<()>) -> Self::Future {
        std::future::pending()
    }
}

// REQ: C-3, C-4, C-6
#[tokio::test]
async fn the_keys_do_what_they_say() {
    let asked = ("access-control-request-headers", "Mcp-Param-Region, x-foo");
    let put = ("access-control-request-method", "PUT");
    let policy = || {
        policy()
            .methods(["POST", "PUT"])
            .allow_headers(["Mcp-Param-Region", "X-FOO"])
            .expose_headers(["X-RateLimit-Limit"])
            .max_age(60)
    };
    let preflight = || request("OPTIONS", &[ORIGIN_APP, put, asked]);
    let seen = ask_policy(policy(), preflight()).await;
    assert_eq!(seen.answer.status, 204);
    for (name, value) in [
        ("access-control-allow-methods", "POST, PUT"),
        ("access-control-max-age", "60"),
    ] {
        assert_eq!(seen.get(name).as_deref(), Some(value));
    }
    let names = seen.get("access-control-allow-headers").unwrap();
    assert!(names.starts_with("Content-Type, ") && names.ends_with(", Mcp-Param-Region, X-FOO"));

    let seen = ask_policy(policy().replace_headers(true), preflight()).await;
    let names = seen.get("access-control-allow-headers");
    assert_eq!(names.as_deref(), Some("Mcp-Param-Region, X-FOO"));
    let accept = ("access-control-request-headers", "accept");
    let refused = request("OPTIONS", &[ORIGIN_APP, put, accept]);
    let seen = ask_policy(policy().replace_headers(true), refused).await;
    assert_eq!(seen.answer.status, 403);

    let seen = ask_policy(policy(), request("POST", &[ORIGIN_APP])).await;
    let names = seen.get("access-control-expose-headers").unwrap();
    assert!(names.ends_with("RateLimit-Policy, X-RateLimit-Limit"));

    let bare = self::policy().replace_headers(true);
    let seen = ask_policy(bare, request("OPTIONS", &[ORIGIN_APP, ASK_POST])).await;
    assert_eq!(seen.get("access-control-allow-headers"), None);
}

proptest! {
    /// What is echoed is what was sent, and only ever a member of the list.
    #[test]
    fn the_echo_is_the_requests_own_allowed_origin(
        origin in prop_oneof![
            "(HTTPS|https?)://([a-b]|app|\\.|tenant|example|com|evil|:443|[@/*]){0,8}",
            "https://[a-c._-]{0,3}\\.?tenant\\.example\\.com(:443|:80|\\.|/)?",
            "\\PC{0,30}",
        ],
        preflight in any::<bool>(),
        mode in prop_oneof![Just(Mode::Enforce), Just(Mode::Report)],
    ) {
        let Ok(value) = HeaderValue::from_bytes(origin.as_bytes()) else { return Ok(()) };
        let mut asking = request("OPTIONS", if preflight { &[ASK_POST] } else { &[] });
        asking.headers_mut().insert(ORIGIN, value);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let seen = runtime.block_on(ask_policy(policy().mode(mode), asking));
        let echoed = seen.get("access-control-allow-origin");
        let set = policy().build().unwrap().origins;
        let member = Origin::parse(origin.as_bytes()).is_ok_and(|parsed| set.allows(&parsed));
        prop_assert_eq!(echoed, member.then_some(origin));
        prop_assert!(seen.get("vary").unwrap().starts_with("Origin"));
    }
}

// REQ: C-7, C-3
#[test]
fn an_answer_that_no_layer_sees() {
    let preflight = [("origin", APP), ("access-control-request-method", "POST")];
    for (mode, method, fields, origin, vary) in [
        (
            Mode::Enforce,
            "POST",
            &[("origin", APP)][..],
            Some(APP),
            "Origin, Accept",
        ),
        (
            Mode::Report,
            "POST",
            &[("origin", APP)],
            Some(APP),
            "Origin, Accept",
        ),
        (
            Mode::Enforce,
            "OPTIONS",
            &[("origin", APP)],
            Some(APP),
            "Origin, Accept",
        ),
        (
            Mode::Enforce,
            "POST",
            &[("origin", "https://evil.example")],
            None,
            "Origin, Accept",
        ),
        (Mode::Enforce, "POST", &[], None, "Origin, Accept"),
        // It will not become an answer that grants something.
        (Mode::Enforce, "OPTIONS", &preflight, None, "Origin, Accept"),
        (Mode::Off, "POST", &[("origin", APP)], None, "Accept"),
        (Mode::Off, "OPTIONS", &preflight, None, "Accept"),
    ] {
        let policy = Arc::new(policy().mode(mode).build().unwrap());
        let (head, ()) = request(method, fields).into_parts();
        let mut answer = HeaderMap::new();
        answer.insert(VARY, HeaderValue::from_static("Accept"));
        policy.apply(&head, &mut answer);
        let row = format!("{mode:?} {method} {fields:?}");
        let granted = answer.get(ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(
            granted.map(HeaderValue::as_bytes),
            origin.map(str::as_bytes),
            "{row}"
        );
        assert_eq!(
            answer.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS),
            origin.is_some(),
            "{row}"
        );
        assert_eq!(answer[VARY], vary, "{row}");
    }
}

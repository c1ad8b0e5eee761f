use super::*;
use crate::exchange::Connection;
use crate::guard::Mode;
use http::HeaderMap;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, SERVER,
    STRICT_TRANSPORT_SECURITY, VIA, X_FRAME_OPTIONS,
};
use std::future::ready;
use tower::{ServiceExt, service_fn};

const COMMON: [(&str, &str); 8] = [
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    (
        "permissions-policy",
        "camera=(), microphone=(), geolocation=(), payment=()",
    ),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("origin-agent-cluster", "?1"),
    ("x-permitted-cross-domain-policies", "none"),
    ("x-dns-prefetch-control", "off"),
];

/// What goes out for `upstream`'s headers, under `policy`, asked as `host` over TLS or not.
async fn answer(
    policy: HeaderPolicy,
    host: &str,
    tls: bool,
    upstream: &[(&'static str, &'static str)],
) -> Response<()> {
    let mut given = HeaderMap::new();
    for (name, value) in upstream {
        given.append(*name, HeaderValue::from_static(value));
    }
    let inner = service_fn(move |_: Request<()>| {
        let mut answer = Response::new(());
        answer.headers_mut().clone_from(&given);
        ready(Ok::<_, Infallible>(answer))
    });
    let request = Request::builder()
        .header("host", host)
        .extension(Connection::new(([192, 0, 2, 1], 1).into(), tls))
        .body(())
        .unwrap();
    let Ok(answer) = SecurityHeadersLayer::new(policy)
        .layer(inner)
        .oneshot(request)
        .await;
    answer
}

fn sorted(answer: &Response<()>) -> Vec<(String, String)> {
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    let mut pairs: Vec<_> = answer.headers().iter().map(pair).collect();
    pairs.sort();
    pairs
}

fn expected(more: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut pairs: Vec<_> = COMMON
        .iter()
        .chain(more)
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    pairs.sort();
    pairs
}

const OTHER_CSP: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const HTML_CSP: &str = "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; font-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; upgrade-insecure-requests";
const HSTS: (&str, &str) = (
    "strict-transport-security",
    "max-age=63072000; includeSubDomains",
);

// REQ: S-1
#[tokio::test]
async fn the_exact_defaults_and_nothing_else() {
    let json = ("content-type", "application/json");
    let got = answer(HeaderPolicy::default(), "mcp.example.com", true, &[json]).await;
    assert_eq!(
        sorted(&got),
        expected(&[
            json,
            HSTS,
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", OTHER_CSP),
            ("cache-control", "no-store"),
        ])
    );
    let html = ("content-type", "text/html; charset=utf-8");
    let got = answer(HeaderPolicy::default(), "mcp.example.com", true, &[html]).await;
    assert_eq!(
        sorted(&got),
        expected(&[
            html,
            HSTS,
            ("referrer-policy", "strict-origin-when-cross-origin"),
            ("content-security-policy", HTML_CSP),
            ("cache-control", "no-store"),
        ])
    );
}

// REQ: S-1
#[tokio::test]
async fn hsts_only_over_tls_and_never_for_loopback_or_addresses_even_from_the_upstream() {
    for (host, tls, pinned) in [
        ("mcp.example.com", true, true),
        ("mcp.example.com", false, false),
        ("localhost:8443", true, false),
        ("127.0.0.1", true, false),
        ("[::1]:8443", true, false),
        ("192.0.2.1", true, false),
    ] {
        for upstream in [&[][..], &[("strict-transport-security", "max-age=1")]] {
            let got = answer(HeaderPolicy::default(), host, tls, upstream).await;
            let value = got.headers().get(STRICT_TRANSPORT_SECURITY);
            assert_eq!(
                value.map(|value| value.to_str().unwrap()),
                pinned.then_some(HSTS.1),
                "{host} {tls}"
            );
        }
    }
}

// REQ: S-1
#[tokio::test]
async fn ours_replace_the_upstreams_and_none_is_doubled() {
    let upstream = [
        ("x-frame-options", "SAMEORIGIN"),
        ("x-frame-options", "DENY"),
        ("content-security-policy", "default-src *"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("cache-control", "no-cache"),
        ("cache-control", "private"),
        ("mcp-session-id", "s"),
    ];
    let got = answer(HeaderPolicy::default(), "a.example", true, &upstream).await;
    assert_eq!(
        sorted(&got),
        expected(&[
            HSTS,
            ("referrer-policy", "no-referrer"),
            ("content-security-policy", OTHER_CSP),
            ("cache-control", "no-cache"),
            ("cache-control", "private"),
            ("mcp-session-id", "s"),
        ])
    );
}

// REQ: S-1
#[tokio::test]
async fn each_header_can_be_set_kept_or_left_alone() {
    let corp = HeaderName::from_static("cross-origin-resource-policy");
    let policy = HeaderPolicy::builder()
        .set(corp.clone(), HeaderValue::from_static("cross-origin"))
        .set_for(
            Variant::Html,
            REFERRER_POLICY,
            HeaderValue::from_static("origin"),
        )
        .omit(&X_FRAME_OPTIONS)
        .keep(CONTENT_SECURITY_POLICY)
        .replace(&CACHE_CONTROL)
        .build()
        .unwrap();
    let got = answer(
        policy.clone(),
        "a.example",
        true,
        &[
            ("x-frame-options", "SAMEORIGIN"),
            ("content-security-policy", "default-src 'self'"),
            ("cache-control", "public"),
        ],
    )
    .await;
    assert_eq!(got.headers()[&corp], "cross-origin");
    assert_eq!(got.headers()[REFERRER_POLICY], "no-referrer");
    assert_eq!(got.headers()[X_FRAME_OPTIONS], "SAMEORIGIN");
    assert_eq!(got.headers()[CONTENT_SECURITY_POLICY], "default-src 'self'");
    assert_eq!(got.headers()[CACHE_CONTROL], "no-store");

    let got = answer(policy, "a.example", true, &[("content-type", "text/html")]).await;
    assert_eq!(got.headers()[REFERRER_POLICY], "origin");
    assert!(!got.headers().contains_key(X_FRAME_OPTIONS));
    assert_eq!(got.headers()[CONTENT_SECURITY_POLICY], HTML_CSP);
}

// REQ: S-1
#[tokio::test]
async fn the_upstreams_hsts_passes_where_it_is_kept_or_ours_is_omitted() {
    let upstream = [("strict-transport-security", "max-age=1")];
    let kept = || HeaderPolicy::builder().keep(STRICT_TRANSPORT_SECURITY);
    let omitted = || HeaderPolicy::builder().omit(&STRICT_TRANSPORT_SECURITY);
    for (policy, host, given, expected) in [
        (kept(), "a.example", &upstream[..], Some("max-age=1")),
        (kept(), "a.example", &[], Some(HSTS.1)),
        (kept(), "localhost", &upstream, None),
        (omitted(), "a.example", &upstream, Some("max-age=1")),
        (omitted(), "a.example", &[], None),
        (omitted(), "localhost", &upstream, None),
        (
            omitted().strip(STRICT_TRANSPORT_SECURITY),
            "a.example",
            &upstream,
            None,
        ),
    ] {
        let got = answer(policy.build().unwrap(), host, true, given).await;
        let value = got.headers().get(STRICT_TRANSPORT_SECURITY);
        assert_eq!(value.map(|value| value.to_str().unwrap()), expected);
    }
}

// REQ: S-4
#[tokio::test]
async fn fingerprints_go_unless_kept() {
    let upstream = [
        ("server", "nginx/1.2.3"),
        ("via", "1.1 inner"),
        ("x-powered-by", "Express"),
        ("x-powered-by", "PHP"),
        ("x-envoy-upstream-service-time", "3"),
        ("x-build", "42"),
    ];
    let got = answer(HeaderPolicy::default(), "a.example", false, &upstream).await;
    for (name, _) in &upstream[..5] {
        assert!(!got.headers().contains_key(*name), "{name}");
    }
    assert_eq!(got.headers()["x-build"], "42");

    let policy = HeaderPolicy::builder()
        .keep(VIA)
        .strip(HeaderName::from_static("x-build"));
    let got = answer(policy.build().unwrap(), "a.example", false, &upstream).await;
    assert_eq!(got.headers()[VIA], "1.1 inner");
    assert!(!got.headers().contains_key(SERVER));
    assert!(!got.headers().contains_key("x-build"));
}

// REQ: G-7
#[tokio::test]
async fn report_and_off_leave_the_answer_alone() {
    let upstream = [
        ("server", "nginx"),
        ("strict-transport-security", "max-age=1"),
        ("x-frame-options", "DENY"),
        ("cache-control", "public"),
    ];
    let policy = |mode| HeaderPolicy::builder().mode(mode).build().unwrap();
    let given = answer(policy(Mode::Off), "localhost", true, &upstream).await;
    assert_eq!(given.headers().len(), upstream.len());
    assert!(given.extensions().get::<Reported>().is_none());

    let got = answer(policy(Mode::Report), "localhost", true, &upstream).await;
    assert_eq!(got.headers(), given.headers());
    let reported = got.extensions().get::<Reported>().unwrap();
    assert_eq!(reported.removed, [SERVER, STRICT_TRANSPORT_SECURITY]);
    assert_eq!(reported.set.len(), 9);
    assert!(!reported.set.contains(&X_FRAME_OPTIONS));
    assert!(!reported.set.contains(&CACHE_CONTROL));
}

// REQ: S-1
#[tokio::test]
async fn a_servers_own_policy_wins_on_the_way_out() {
    let own = HeaderPolicy::builder()
        .set(X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"))
        .build()
        .unwrap();
    let inner = service_fn(|_: Request<()>| {
        let mut answer = Response::new(());
        let html = HeaderValue::from_static("text/html");
        answer.headers_mut().insert(CONTENT_TYPE, html);
        ready(Ok::<_, Infallible>(answer))
    });
    let stack = SecurityHeadersLayer::default().layer(OverrideLayer::new(own).layer(inner));
    let Ok(got) = stack.oneshot(Request::new(())).await;
    assert_eq!(got.headers()[X_FRAME_OPTIONS], "SAMEORIGIN");
    assert_eq!(got.headers()[CONTENT_SECURITY_POLICY], HTML_CSP);
}

/// What a server that writes headers itself sends: what all answers have in common, the lines, and
/// what the policy leaves of the upstream's; the layers inside have said `inner` by lines.
async fn written(
    policy: HeaderPolicy,
    upstream: &[(&'static str, &'static str)],
    inner: &'static [(&'static str, &'static str)],
) -> Vec<(String, String)> {
    let mut given = HeaderMap::new();
    for (name, value) in upstream {
        given.append(*name, HeaderValue::from_static(value));
    }
    let connection = Connection::new(([192, 0, 2, 1], 1).into(), true);
    let exchange = Exchange::begin_leaving_headers(connection);
    let inside = exchange.clone();
    let service = service_fn(move |_: Request<()>| {
        for (name, value) in inner {
            let name = HeaderName::from_static(name);
            inside.facts().lines.put(&name, &[value.as_bytes()]);
        }
        let mut answer = Response::new(());
        answer.headers_mut().clone_from(&given);
        ready(Ok::<_, Infallible>(answer))
    });
    let request = Request::builder()
        .header("host", "mcp.example.com")
        .extension(exchange.clone())
        .body(())
        .unwrap();
    let layer = SecurityHeadersLayer::new(policy);
    let Ok(answer) = layer.layer(service).oneshot(request).await;
    let mut facts = exchange.facts();
    let common = facts.common.take().unwrap();
    let lines = std::mem::take(&mut facts.lines).into_bytes();
    let lines = String::from_utf8(lines).unwrap();
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    let own = answer.headers().iter().map(pair);
    let own = own.filter(|(name, _)| !common.hides(&HeaderName::try_from(name).unwrap()));
    let lines = lines.lines().map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_owned(), value.to_owned())
    });
    let mut all: Vec<_> = common
        .headers()
        .iter()
        .map(pair)
        .chain(own)
        .chain(lines)
        .collect();
    all.sort();
    all
}

// REQ: S-1, S-3
#[tokio::test]
async fn headers_that_the_server_writes_are_those_that_the_layer_would_set() {
    let name = HeaderName::from_static;
    let value = HeaderValue::from_static;
    let build = |builder: Builder| builder.build().unwrap();
    let policies = [
        HeaderPolicy::default(),
        build(HeaderPolicy::builder().strip(name("ratelimit"))),
        build(HeaderPolicy::builder().strip(name("vary")).hsts(None)),
        build(HeaderPolicy::builder().set(name("vary"), value("Accept"))),
        build(HeaderPolicy::builder().set(name("ratelimit-policy"), value("none"))),
        build(
            HeaderPolicy::builder()
                .set(name("vary"), value("Accept"))
                .keep(name("vary")),
        ),
        build(HeaderPolicy::builder().keep(name("server"))),
        build(HeaderPolicy::builder().replace(&CACHE_CONTROL)),
        build(HeaderPolicy::builder().omit(&X_FRAME_OPTIONS)),
        build(HeaderPolicy::builder().keep(STRICT_TRANSPORT_SECURITY)),
    ];
    let upstreams: [&[(&str, &str)]; 6] = [
        &[],
        &[("content-type", "text/html"), ("server", "x")],
        &[("cache-control", "max-age=1"), ("x-powered-by", "y")],
        &[("strict-transport-security", "max-age=1"), ("via", "z")],
        &[("x-frame-options", "SAMEORIGIN"), ("set-cookie", "a=1")],
        &[("x-a", "1"), ("x-a", "2"), ("referrer-policy", "origin")],
    ];
    let inners: [&[(&str, &str)]; 3] = [
        &[],
        &[("vary", "Origin")],
        &[
            ("ratelimit", "\"peer\";r=1;t=1"),
            ("ratelimit-policy", "\"peer\";q=1;w=1"),
            ("vary", "Origin"),
        ],
    ];
    for (at, policy) in policies.iter().enumerate() {
        for upstream in upstreams {
            for inner in inners {
                let whole = [upstream, inner].concat();
                let set = answer(policy.clone(), "mcp.example.com", true, &whole).await;
                let written = written(policy.clone(), upstream, inner).await;
                assert_eq!(written, sorted(&set), "{at} {upstream:?} {inner:?}");
            }
        }
    }
}

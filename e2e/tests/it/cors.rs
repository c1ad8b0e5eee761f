//! C: CORS, over the wire. Which origins are allowed is `origin.rs`'s table.

use std::time::Duration;

use e2e::wire::{Answer, Ask, BOTH, Protocol};
use e2e::{Palisade, Reply, Shared, Upstream};
use serde_json::json;

use crate::judge::{Pair, granted, ungranted};

const APP: &str = "https://app.example.com";

static PAIR: Shared<Pair> =
    Shared::new(|| Pair::new("[cors]\norigins = [\"https://app.example.com\"]"));

/// The headers that MCP clients send, and what a page may ask for besides: nothing.
const HEADERS: [(&[&str], bool); 36] = [
    (&[], true),
    (&[""], true),
    (&["content-type"], true),
    (&["authorization"], true),
    (&["accept"], true),
    (&["mcp-session-id"], true),
    (&["mcp-protocol-version"], true),
    (&["mcp-method"], true),
    (&["mcp-name"], true),
    (&["last-event-id"], true),
    (&["x-request-id"], true),
    (&["traceparent"], true),
    (&["tracestate"], true),
    (&["Content-Type"], true),
    (&["AUTHORIZATION"], true),
    (&["content-type,mcp-session-id"], true),
    (&["content-type, mcp-session-id , authorization"], true),
    (&["content-type,,\t,accept"], true),
    (&["content-type", "mcp-method, mcp-name"], true),
    (&["x-evil"], false),
    (&["content-type, x-evil"], false),
    (&["x-evil,content-type"], false),
    (&["content-type", "x-evil"], false),
    (&["cookie"], false),
    (&["x-forwarded-for"], false),
    (&["x-api-key"], false),
    (&["mcp-param-tenant"], false),
    (&["mcp-session"], false),
    (&["mcp-session-idx"], false),
    (&["content-type mcp-session-id"], false),
    (&["content-type;q=1"], false),
    (&["*"], false),
    (&["content-type, *"], false),
    (&["content_type"], false),
    (&["\"content-type\""], false),
    (&["content-type: x"], false),
];

// REQ: C-3, C-4, G-6
#[tokio::test]
async fn preflights_by_header() {
    let pair = PAIR.get();
    for (lists, allowed) in HEADERS {
        for protocol in BOTH {
            let row = format!("{lists:?} {protocol:?}");
            let mut ask = Ask::preflight(APP, "POST");
            for list in lists {
                ask = ask.field("access-control-request-headers", list);
            }
            let answer = pair.ask(protocol, &ask).await;
            judge(&pair, &answer, allowed, &row);
        }
    }
}

// REQ: C-3
#[tokio::test]
async fn preflights_by_method() {
    let pair = PAIR.get();
    for (method, allowed) in [
        ("GET", true),
        ("POST", true),
        ("DELETE", true),
        ("OPTIONS", true),
        ("PUT", false),
        ("PATCH", false),
        ("HEAD", false),
        ("TRACE", false),
        ("CONNECT", false),
        ("post", false),
        ("Post", false),
        ("POSTX", false),
        ("POS", false),
        ("*", false),
        ("", false),
        ("GET, POST", false),
        ("GET POST", false),
        ("\"POST\"", false),
    ] {
        for protocol in BOTH {
            let row = format!("{method:?} {protocol:?}");
            let answer = pair.ask(protocol, &Ask::preflight(APP, method)).await;
            judge(&pair, &answer, allowed, &row);
        }
    }
    for two in [["POST", "POST"], ["POST", "PUT"]] {
        for protocol in BOTH {
            let ask = Ask::preflight(APP, two[0]).field("access-control-request-method", two[1]);
            let answer = pair.ask(protocol, &ask).await;
            judge(&pair, &answer, false, &format!("{two:?}"));
        }
    }
}

#[track_caller]
fn judge(pair: &Pair, answer: &Answer, allowed: bool, row: &str) {
    for name in [
        "origin",
        "access-control-request-method",
        "access-control-request-headers",
    ] {
        assert!(answer.lists("vary", name), "{row}: {answer:?}");
    }
    if !allowed {
        pair.refused(answer, 403, "cors.preflight_refused", row);
        return ungranted(answer, row);
    }
    assert_eq!(answer.status, 204, "{row}: {answer:?}");
    assert_eq!(answer.body, b"", "{row}");
    assert_eq!(pair.upstream.of_case(&answer.case), [], "{row}");
    granted(answer, APP, row);
    assert_eq!(
        answer.header("access-control-max-age"),
        Some("600"),
        "{row}"
    );
    let methods = answer.header("access-control-allow-methods");
    assert_eq!(methods, Some("GET, POST, DELETE, OPTIONS"), "{row}");
    let names = answer.names_with("access-control-");
    let expected =
        ["headers", "methods", "origin"].map(|what| format!("access-control-allow-{what}"));
    assert_eq!(names[..3], expected, "{row}");
    assert_eq!(names[3..], ["access-control-max-age"], "{row}");
    for header in [
        "content-type",
        "authorization",
        "accept",
        "mcp-session-id",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "last-event-id",
        "x-request-id",
        "traceparent",
        "tracestate",
    ] {
        assert!(
            answer.lists("access-control-allow-headers", header),
            "{row}: {header}"
        );
    }
    assert_eq!(
        answer.header("x-content-type-options"),
        Some("nosniff"),
        "{row}"
    );
}

/// OPTIONS is a preflight only with Origin and `Access-Control-Request-Method`; all else is a
/// request like others.
// REQ: C-3
#[tokio::test]
async fn options_that_are_no_preflights() {
    let pair = PAIR.get();
    for protocol in BOTH {
        let answer = pair.ask(protocol, &Ask::new("OPTIONS", "/mcp")).await;
        pair.passed(&answer, "bare");
        ungranted(&answer, "bare");
        let answer = pair
            .ask(protocol, &Ask::new("OPTIONS", "/mcp").origin(APP))
            .await;
        pair.passed(&answer, "origin alone");
        granted(&answer, APP, "origin alone");
        assert_eq!(answer.all("access-control-allow-methods"), [""; 0]);
        let ask = Ask::new("OPTIONS", "/mcp").field("access-control-request-method", "POST");
        let answer = pair.ask(protocol, &ask).await;
        pair.passed(&answer, "no origin");
        ungranted(&answer, "no origin");
        let ask = Ask::new("OPTIONS", "/mcp")
            .origin(APP)
            .field("access-control-request-headers", "content-type");
        let answer = pair.ask(protocol, &ask).await;
        pair.passed(&answer, "no method");
        // Other methods are none, whatever they carry.
        let ask = Ask::call()
            .origin(APP)
            .field("access-control-request-method", "POST");
        let answer = pair.ask(protocol, &ask).await;
        pair.passed(&answer, "POST");
        granted(&answer, APP, "POST");
        assert_eq!(answer.all("access-control-max-age"), [""; 0]);
    }
}

/// The legacy private-network answer, by key and for the origins of that key alone.
// REQ: C-3
#[tokio::test]
async fn private_network() {
    let ask = |origin: &str, asks: &str| {
        let ask = Ask::preflight(origin, "POST");
        ask.field("access-control-request-private-network", asks)
    };
    let without = PAIR.get();
    let with = Pair::new(
        r#"
        [cors]
        origins = ["https://app.example.com", "https://*.tenant.example.com"]
        private_network = ["https://app.example.com"]
        "#,
    );
    for protocol in BOTH {
        for (pair, origin, asks, answered) in [
            (&*without, APP, "true", false),
            (&with, APP, "true", true),
            (&with, APP, "false", false),
            (&with, APP, "TRUE", false),
            (&with, APP, "", false),
            (&with, "https://a.tenant.example.com", "true", false),
        ] {
            let row = format!("{origin} {asks} {protocol:?}");
            let answer = pair.ask(protocol, &ask(origin, asks)).await;
            assert_eq!(answer.status, 204, "{row}");
            granted(&answer, origin, &row);
            let allow = answer.header("access-control-allow-private-network");
            assert_eq!(allow, answered.then_some("true"), "{row}");
        }
        let answer = with
            .ask(protocol, &ask("https://evil.example", "true"))
            .await;
        with.refused(&answer, 403, "cors.preflight_refused", "evil");
        ungranted(&answer, "evil");
        let answer = with.ask(protocol, &Ask::preflight(APP, "POST")).await;
        assert!(answer.lists("vary", "access-control-request-private-network"));
        assert_eq!(answer.all("access-control-allow-private-network"), [""; 0]);
    }
}

// REQ: C-5
#[tokio::test]
async fn credentials_only_by_key() {
    let with = Pair::new(
        "[cors]\norigins = [\"https://app.example.com\", \"https://*.tenant.example.com\"]\ncredentials = true",
    );
    for (pair, expected) in [(&with, Some("true")), (&*PAIR.get(), None)] {
        for protocol in BOTH {
            for ask in [Ask::call().origin(APP), Ask::preflight(APP, "POST")] {
                let answer = pair.ask(protocol, &ask).await;
                granted(&answer, APP, &ask.method);
                assert_eq!(answer.header("access-control-allow-credentials"), expected);
            }
            for ask in [
                Ask::call().origin("https://evil.example"),
                Ask::call().origin("null"),
                Ask::preflight("https://evil.example", "POST"),
                Ask::call(),
            ] {
                let answer = pair.ask(protocol, &ask).await;
                ungranted(&answer, &ask.method);
            }
        }
    }
    for origins in ["[]", "[\"*\"]"] {
        let ended = Palisade::builder()
            .config(&format!("[cors]\norigins = {origins}\ncredentials = true"))
            .arguments(&["http://127.0.0.1:3000/mcp"])
            .fail();
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("cors."), "{}", ended.stderr);
    }
}

// REQ: C-2, G-8
#[test]
fn lists_that_let_anyone_in_are_refused_at_start() {
    for (key, entry) in [
        ("origins", "*"),
        ("origins", "null"),
        ("origins", "https://*"),
        ("origins", "https://*.com"),
        ("origins", "http://*.example.com"),
        ("origins", "https://*example.com"),
        ("origins", "https://app.*.com"),
        ("origins", "app.example.com"),
        ("origins", "https://app.example.com/"),
        ("origin_regexes", ".*"),
        ("origin_regexes", "https://.*"),
        ("origin_regexes", "https://app.example.com"),
        ("origin_regexes", r"http://app\.example\.com"),
        ("origin_regexes", r"https://a\.example\.com)|(?:https://.*"),
    ] {
        let ended = Palisade::builder()
            .config(&format!("[cors]\n{key} = ['{entry}']"))
            .arguments(&["http://127.0.0.1:3000/mcp"])
            .fail();
        assert_eq!(ended.code, Some(2), "{entry}: {}", ended.stderr);
        let named = ended.stderr.contains(&format!("cors.{key}"));
        assert!(
            named && ended.stderr.contains("help:"),
            "{entry}: {}",
            ended.stderr
        );
    }
}

// REQ: C-3, C-4
#[tokio::test]
async fn keys_change_what_is_allowed() {
    let pair = Pair::new(
        r#"
        [cors]
        origins = ["https://app.example.com"]
        methods = ["POST", "PUT"]
        allow_headers = ["Mcp-Param-Tenant"]
        expose_headers = ["X-Own"]
        max_age = 60
        "#,
    );
    for protocol in BOTH {
        for (method, header, allowed) in [
            ("POST", "mcp-param-tenant", true),
            ("PUT", "content-type", true),
            ("GET", "content-type", false),
            ("POST", "mcp-param-other", false),
        ] {
            let ask = Ask::preflight(APP, method).field("access-control-request-headers", header);
            let answer = pair.ask(protocol, &ask).await;
            assert_eq!(
                answer.status,
                if allowed { 204 } else { 403 },
                "{method} {header}"
            );
            let age = answer.header("access-control-max-age");
            assert_eq!(age, allowed.then_some("60"));
        }
        let answer = pair.ask(protocol, &Ask::call().origin(APP)).await;
        for name in [
            "x-own",
            "mcp-session-id",
            "www-authenticate",
            "x-request-id",
            "retry-after",
        ] {
            assert!(
                answer.lists("access-control-expose-headers", name),
                "{name}"
            );
        }
    }
}

/// An upstream with a CORS of its own, the open kind.
fn open_upstream() -> Upstream {
    Upstream::answering(|request| {
        let origin = request.header("origin").unwrap_or("*");
        let vary = request.header("x-vary").unwrap_or("Accept-Encoding");
        let mut fields = vec![
            ("Access-Control-Allow-Origin", origin),
            ("access-control-allow-origin", "https://evil.example"),
            ("Access-Control-Allow-Credentials", "true"),
            ("Access-Control-Allow-Methods", "*"),
            ("Access-Control-Allow-Headers", "*"),
            ("Access-Control-Expose-Headers", "*"),
            ("Access-Control-Max-Age", "86400"),
            ("Access-Control-Allow-Private-Network", "true"),
        ];
        if !vary.is_empty() {
            fields.push(("Vary", vary));
        }
        Reply::json_with(&fields, &json!({}))
    })
}

// REQ: C-7, C-1
#[tokio::test]
async fn the_upstreams_own_cors_is_replaced() {
    let pair = Pair::before(
        open_upstream(),
        "[cors]\norigins = [\"https://app.example.com\"]",
    );
    for protocol in BOTH {
        let answer = pair.ask(protocol, &Ask::call().origin(APP)).await;
        granted(&answer, APP, "allowed");
        let names = [
            "access-control-allow-origin",
            "access-control-expose-headers",
        ];
        assert_eq!(answer.names_with("access-control-"), names);
        assert!(!answer.lists("access-control-expose-headers", "*"));
        for ask in [
            Ask::call(),
            Ask::new("GET", "/mcp"),
            Ask::new("OPTIONS", "/mcp"),
        ] {
            let answer = pair.ask(protocol, &ask).await;
            pair.passed(&answer, "no origin");
            ungranted(&answer, &ask.method);
        }
    }
}

/// Whatever the upstream says of `Vary`, `Origin` joins it.
// REQ: C-1
#[tokio::test]
async fn vary_is_always_right() {
    let pair = Pair::before(
        open_upstream(),
        "[cors]\norigins = [\"https://app.example.com\"]",
    );
    for protocol in BOTH {
        for (said, expected) in [
            ("", "Origin"),
            ("Accept-Encoding", "Origin, Accept-Encoding"),
            ("Accept-Encoding, Cookie", "Origin, Accept-Encoding, Cookie"),
            ("Origin", "Origin"),
            ("origin", "origin"),
            ("Accept-Encoding, ORIGIN", "Accept-Encoding, ORIGIN"),
            ("Original", "Origin, Original"),
            ("X-Origin", "Origin, X-Origin"),
            ("*", "*"),
        ] {
            for ask in [Ask::call(), Ask::call().origin(APP)] {
                let answer = pair.ask(protocol, &ask.field("x-vary", said)).await;
                assert_eq!(answer.all("vary"), [expected], "{said} {protocol:?}");
            }
        }
    }
}

/// Browser code of an allowed origin can read every kind of refusal.
// REQ: C-7, S-1
#[tokio::test]
async fn errors_carry_cors_headers() {
    let upstream = Upstream::answering(|request| match request.header("x-do") {
        Some("garbage") => Reply::garbage(),
        Some("reset") => Reply::reset(),
        Some("close") => Reply::close(),
        Some("never") => Reply::never(),
        Some(status) => Reply::new(
            status.parse().unwrap(),
            &[("Access-Control-Allow-Origin", "*")],
            "",
        ),
        None => Reply::result(request, &json!({})),
    });
    let config = "[cors]\norigins = [\"https://app.example.com\"]\n[limits]\nbody = 4096\ntimeouts.body = \"1s\"";
    let palisade = Palisade::with(&format!(
        "{config}\n[[server]]\nname = \"test\"\npath = \"/mcp\"\ntimeout = \"1s\"\nupstream = \"{0}\"\n\
         [[server]]\nname = \"rated\"\npath = \"/rated\"\nrate.peer = \"1/h\"\nupstream = \"{0}\"\n\
         [[server]]\nname = \"down\"\npath = \"/down\"\nupstream = \"http://{1}/mcp\"",
        upstream.url(),
        Upstream::nobody(),
    ));
    let pair = Pair { upstream, palisade };
    let asked = |what: &str| Ask::call().field("x-do", what);
    // One request is all there is.
    pair.ask(Protocol::Http1, &Ask::call().target("/rated"))
        .await;
    for (ask, status, reason) in [
        (Ask::post("{"), 400, Some("message.malformed")),
        (Ask::post("{}"), 400, Some("message.invalid")),
        (Ask::post("[]"), 400, Some("message.batch")),
        (
            Ask::new("GET", "/mcp").body("x"),
            400,
            Some("request.malformed"),
        ),
        (Ask::call().target("/rated"), 429, Some("rate.exceeded")),
        (
            Ask::call().body(vec![b' '; 5000]),
            413,
            Some("body.too_large"),
        ),
        (
            Ask::call().without("content-type"),
            415,
            Some("message.media_type"),
        ),
        (
            Ask::call()
                .without("content-type")
                .field("content-type", "text/plain"),
            415,
            Some("message.media_type"),
        ),
        (
            Ask::call().target("/down"),
            502,
            Some("upstream.unreachable"),
        ),
        (asked("garbage"), 502, Some("upstream.malformed")),
        (asked("reset"), 502, Some("upstream.unreachable")),
        (asked("close"), 502, Some("upstream.unreachable")),
        (asked("never"), 504, Some("call.timeout")),
        (asked("400"), 400, None),
        (asked("401"), 401, None),
        (asked("404"), 404, None),
        (asked("405"), 405, None),
        (asked("500"), 500, None),
        (asked("503"), 503, None),
    ] {
        for protocol in BOTH {
            let row = format!("{reason:?} {status} {protocol:?}");
            let answer = pair.ask(protocol, &ask.clone().origin(APP)).await;
            assert_eq!(answer.reason().as_deref(), reason, "{row}: {answer:?}");
            assert_eq!(answer.status, status, "{row}");
            granted(&answer, APP, &row);
            assert!(
                answer.lists("access-control-expose-headers", "retry-after"),
                "{row}"
            );
            assert_eq!(
                answer.header("x-content-type-options"),
                Some("nosniff"),
                "{row}"
            );

            // And to nobody else: there Origin refuses first.
            let answer = pair
                .ask(protocol, &ask.clone().origin("https://evil.example"))
                .await;
            assert_eq!(answer.status, 403, "{row}");
            ungranted(&answer, &row);
            let answer = pair.ask(protocol, &ask).await;
            assert_eq!(answer.status, status, "{row}");
            ungranted(&answer, &row);
            assert!(answer.lists("vary", "origin"), "{row}");
        }
    }
}

// REQ: C-7, G-3
#[tokio::test]
async fn event_streams_carry_cors_headers_at_once() {
    let upstream = Upstream::answering(|_| Reply::open_events(&[(Duration::ZERO, "data: 1\n\n")]));
    let pair = Pair::before(upstream, "[cors]\norigins = [\"https://app.example.com\"]");
    let ask = Ask::new("GET", "/mcp")
        .origin(APP)
        .field("accept", "text/event-stream");
    let mut one = pair.client().http1().await;
    granted(&one.open(&ask).await, APP, "HTTP/1.1");
    assert_eq!(one.chunk().await.unwrap(), b"data: 1\n\n");
    let mut two = pair.client().http2().await;
    let mut opened = two.open(&ask).await;
    granted(&opened.head, APP, "HTTP/2");
    assert_eq!(opened.chunk().await.unwrap(), "data: 1\n\n");
}

/// Report mode lets through what enforcing would refuse to allowed origins, grants nothing to
/// others, and records both.
// REQ: C-3, G-7
#[tokio::test]
async fn report_mode() {
    let pair = Pair::before(
        open_upstream(),
        "[cors]\nmode = \"report\"\norigins = [\"https://app.example.com\"]\n[origin]\nmode = \"report\"",
    );
    for protocol in BOTH {
        let refused = |origin| {
            Ask::preflight(origin, "PUT").field("access-control-request-headers", "x-evil")
        };
        let answer = pair.ask(protocol, &refused(APP)).await;
        assert_eq!(answer.status, 204);
        granted(&answer, APP, "PUT");
        assert_eq!(answer.header("access-control-allow-methods"), Some("PUT"));
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some("x-evil")
        );
        for origin in [
            "https://evil.example",
            "null",
            "",
            "https://app.example.com.evil.example",
        ] {
            let answer = pair.ask(protocol, &refused(origin)).await;
            assert_eq!(answer.status, 204, "{origin}");
            ungranted(&answer, origin);
            let answer = pair.ask(protocol, &Ask::call().origin(origin)).await;
            pair.passed(&answer, origin);
            ungranted(&answer, origin);
        }
    }
}

/// A preflight that report mode let through stands in the log: otherwise nobody could learn
/// from it which line is missing.
// REQ: G-7, G-18
#[tokio::test]
async fn report_mode_is_recorded() {
    let pair = Pair::new("[cors]\nmode = \"report\"\norigins = [\"https://app.example.com\"]");
    for protocol in BOTH {
        for ask in [
            Ask::preflight("https://evil.example", "POST"),
            Ask::preflight(APP, "PUT"),
        ] {
            let answer = pair.ask(protocol, &ask).await;
            assert_eq!(answer.status, 204);
            let record = pair.palisade.record_of(&answer);
            assert_eq!(
                record["reported"],
                json!(["cors.preflight_refused"]),
                "{record}"
            );
        }
    }
}

/// Mode off: the layer is not there, the upstream's own CORS passes.
// REQ: G-7
#[tokio::test]
async fn off_mode() {
    let pair = Pair::before(
        open_upstream(),
        "[cors]\nmode = \"off\"\norigins = [\"https://app.example.com\"]",
    );
    for protocol in BOTH {
        for ask in [Ask::call().origin(APP), Ask::preflight(APP, "PUT")] {
            let answer = pair.ask(protocol, &ask).await;
            pair.passed(&answer, &ask.method);
            assert_eq!(
                answer.all("access-control-allow-origin"),
                // The upstream sees the origin, so that its own rule is not disarmed.
                [APP, "https://evil.example"]
            );
            assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        }
        // Origin is a layer of its own.
        let answer = pair
            .ask(protocol, &Ask::call().origin("https://evil.example"))
            .await;
        pair.refused(&answer, 403, "origin.not_allowed", "evil");
    }
}

// REQ: C-6
#[tokio::test]
async fn development_adds_the_pages_of_this_machine() {
    let upstream = Upstream::new();
    let palisade = Palisade::builder()
        .server(&upstream)
        .arguments(&["--dev"])
        .start();
    let pair = Pair { upstream, palisade };
    for protocol in BOTH {
        for (origin, allowed) in [
            ("http://localhost:5173", true),
            ("https://localhost", true),
            ("http://127.0.0.1:1", true),
            ("http://[::1]:3000", true),
            ("http://localhost.evil.example", false),
            ("http://127.0.0.2:3000", false),
            ("http://evil.example", false),
            ("null", false),
        ] {
            let answer = pair.ask(protocol, &Ask::preflight(origin, "POST")).await;
            assert_eq!(answer.status, if allowed { 204 } else { 403 }, "{origin}");
            assert_eq!(
                answer.header("access-control-max-age"),
                allowed.then_some("60")
            );
            let answer = pair.ask(protocol, &Ask::call().origin(origin)).await;
            if allowed {
                pair.passed(&answer, origin);
                granted(&answer, origin, origin);
            } else {
                pair.refused(&answer, 403, "origin.not_allowed", origin);
            }
        }
        for origin in ["http://localhost:5173", "http://127.0.0.1:1"] {
            let answer = PAIR
                .get()
                .ask(protocol, &Ask::preflight(origin, "POST"))
                .await;
            assert_eq!(answer.status, 403, "without --dev");
        }
    }
}

// REQ: C-3, R-1
#[tokio::test]
async fn preflights_have_a_bucket_of_their_own() {
    let pair = Pair::new("[cors]\norigins = [\"https://app.example.com\"]\n[rate]\npeer = \"2/h\"");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        let answer = pair
            .ask(Protocol::Http2, &Ask::preflight(APP, "POST"))
            .await;
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [204, 204, 204, 204, 429, 429]);
    let answer = pair.ask(Protocol::Http2, &Ask::call().origin(APP)).await;
    pair.passed(&answer, "calls are counted apart");
}

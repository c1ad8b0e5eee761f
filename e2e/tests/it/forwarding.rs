//! G-15: what reaches the upstream of a request's head, and of an answer's head the client.

use e2e::wire::{Ask, BOTH, Protocol};
use e2e::{Reply, Upstream};

use crate::judge::Pair;

/// Fields by which a client could pretend to be another, or to come another way.
const FORGED: [(&str, &str); 24] = [
    ("x-forwarded-for", "10.0.0.1"),
    ("x-forwarded-for", "127.0.0.1, 10.0.0.1"),
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-port", "80"),
    ("x-forwarded-prefix", "/admin"),
    ("x-forwarded-user", "root"),
    ("x-forwarded-client-cert", "Subject=\"CN=root\""),
    ("forwarded", "for=10.0.0.1;host=evil.example;proto=http"),
    ("x-real-ip", "10.0.0.1"),
    ("x-client-ip", "10.0.0.1"),
    ("x-cluster-client-ip", "10.0.0.1"),
    ("true-client-ip", "10.0.0.1"),
    ("cf-connecting-ip", "10.0.0.1"),
    ("x-original-url", "/admin"),
    ("x-rewrite-url", "/admin"),
    ("x-http-method-override", "DELETE"),
    ("x-request-id", "forged"),
    ("via", "1.1 evil.example"),
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-mode", "cors"),
    ("accept-encoding", "gzip"),
    ("proxy-authorization", "Basic cm9vdDpyb290"),
    ("http2-settings", "AAMAAABkAAQAAP__"),
];

// REQ: G-15, G-3
#[tokio::test]
async fn what_a_client_says_of_itself_does_not_pass() {
    let pair = Pair::new("");
    for protocol in BOTH {
        for (name, value) in FORGED {
            let row = format!("{name}: {value} {protocol:?}");
            let answer = pair.ask(protocol, &Ask::call().field(name, value)).await;
            let arrived = pair.passed(&answer, &row);
            assert!(!arrived.all(name).contains(&value), "{row}: {arrived:?}");
            for (name, expected) in [
                ("x-forwarded-for", "127.0.0.1"),
                ("x-real-ip", "127.0.0.1"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "localhost"),
                ("forwarded", "for=127.0.0.1;proto=https;host=\"localhost\""),
            ] {
                assert_eq!(arrived.header(name), Some(expected), "{row}");
            }
            assert_eq!(
                arrived.header("x-request-id"),
                answer.header("x-request-id")
            );
        }
    }
}

// REQ: G-15, A-7
#[tokio::test]
async fn what_is_the_clients_own_passes() {
    let pair = Pair::new("");
    for protocol in BOTH {
        for (name, value) in [
            ("authorization", "Bearer abc"),
            ("mcp-session-id", "s-1"),
            ("mcp-protocol-version", "2025-11-25"),
            ("last-event-id", "7"),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            ("mcp-param-tenant_id", "t"),
            ("user-agent", "test/1"),
            ("x-own", "Case, kept"),
        ] {
            let answer = pair.ask(protocol, &Ask::call().field(name, value)).await;
            let arrived = pair.passed(&answer, name);
            assert_eq!(arrived.header(name), Some(value), "{name} {protocol:?}");
            assert_eq!(arrived.body, Ask::call().body);
        }
    }
}

// REQ: G-15
#[tokio::test]
async fn hop_by_hop_fields_do_not_pass() {
    let pair = Pair::new("");
    for (fields, gone) in [
        (&[("te", "trailers")][..], "te"),
        (&[("keep-alive", "timeout=5")], "keep-alive"),
        (&[("proxy-connection", "keep-alive")], "proxy-connection"),
        (&[("upgrade", "h2c"), ("connection", "upgrade")], "upgrade"),
        (&[("trailer", "x-late")], "trailer"),
    ] {
        let mut ask = Ask::call();
        for (name, value) in fields {
            ask = ask.field(name, value);
        }
        let answer = pair.ask(Protocol::Http1, &ask).await;
        let row = format!("{fields:?}");
        let arrived = pair.passed(&answer, &row);
        assert_eq!(arrived.all(gone), [""; 0], "{row}");
    }
}

/// What `Connection` names would be judged here and never reach the upstream.
// REQ: G-15
#[tokio::test]
async fn connection_takes_no_field_of_the_message_away() {
    let pair = Pair::new("");
    for named in [
        "x-own",
        "keep-alive, X-Own , x-two",
        "authorization, content-type, host, x-forwarded-for",
        "Mcp-Session-Id",
    ] {
        let ask = Ask::call().field("connection", named).field("x-own", "1");
        let answer = pair.ask(Protocol::Http1, &ask).await;
        pair.refused(&answer, 400, "request.malformed", named);
    }
}

// REQ: G-15
#[tokio::test]
async fn the_public_name_is_preserved_by_key() {
    let upstream = Upstream::new();
    let palisade = e2e::Palisade::with(&format!(
        r#"
        hosts = ["mcp.example.com"]
        [[server]]
        name = "test"
        path = "/public"
        upstream = "{}"
        upstream_host = "preserve"
        "#,
        upstream.url()
    ));
    for protocol in BOTH {
        for host in ["mcp.example.com", "MCP.example.com:443", "localhost"] {
            let ask = Ask::call().host(host).target("/public/a?b=c%20d");
            let answer = palisade.client().ask(protocol, &ask).await;
            assert_eq!(answer.status, 200);
            let arrived = &upstream.of_case(&answer.case)[0];
            assert_eq!(arrived.header("host"), Some(host), "{protocol:?}");
            assert_eq!(arrived.line, "POST /mcp/a?b=c%20d HTTP/1.1");
        }
    }
}

// REQ: G-13, G-15
#[tokio::test]
async fn statuses_pass_verbatim_and_are_never_asked_for_twice() {
    let upstream = Upstream::answering(|request| {
        let status = request.header("x-status").unwrap().parse().unwrap();
        Reply::status(status)
    });
    let pair = Pair::before(upstream, "");
    for protocol in BOTH {
        for status in [
            200, 202, 204, 304, 400, 401, 404, 405, 406, 409, 415, 429, 500, 502, 503, 504,
        ] {
            let ask = Ask::call().field("x-status", status.to_string());
            let answer = pair.ask(protocol, &ask).await;
            assert_eq!(answer.status, status, "{protocol:?}");
            assert_eq!(answer.reason(), None);
            assert_eq!(pair.upstream.of_case(&answer.case).len(), 1, "{status}");
        }
    }
}

// REQ: G-15
#[tokio::test]
async fn locations_that_name_the_upstream_become_public() {
    let upstream = Upstream::answering(|request| {
        let own = request.header("host").unwrap();
        let location = request.header("x-location").unwrap().replace("OWN", own);
        Reply::new(307, &[("Location", &location)], "")
    });
    let pair = Pair::before(
        upstream,
        "hosts = [\"mcp.example.com\"]\npublic_url = \"https://mcp.example.com\"",
    );
    for protocol in BOTH {
        for (location, public) in [
            ("http://OWN/mcp/next", "https://mcp.example.com/mcp/next"),
            ("http://OWN/mcp?a=b", "https://mcp.example.com/mcp?a=b"),
            ("/mcp/next", "https://mcp.example.com/mcp/next"),
            (
                "https://login.example.com/mcp",
                "https://login.example.com/mcp",
            ),
            ("//evil.example/mcp", "//evil.example/mcp"),
        ] {
            let ask = Ask::call().field("x-location", location);
            let answer = pair.ask(protocol, &ask).await;
            assert_eq!(answer.header("location"), Some(public), "{protocol:?}");
        }
    }
}

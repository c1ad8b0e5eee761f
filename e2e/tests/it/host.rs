//! H: the Host header, over the wire.

use e2e::wire::frames::{self, Verdict};
use e2e::wire::{Ask, BOTH, Http1, Protocol, case};
use e2e::{Palisade, Shared, Upstream};

use crate::judge::Pair;

static PAIR: Shared<Pair> = Shared::new(|| {
    Pair::new(
        r#"hosts = ["mcp.example.com", "port.example.com:8443", "[2001:db8::1]", "xn--bcher-kva.example", "under_score.example"]"#,
    )
});

/// Served, by `Host` in HTTP/1.1 and by `:authority` in HTTP/2.
const ALLOWED: [&str; 20] = [
    "mcp.example.com",
    "MCP.Example.COM",
    "mcp.example.com.",
    "mcp.example.com.:443",
    // The entry names no port, so any will do.
    "mcp.example.com:443",
    "mcp.example.com:8443",
    "mcp.example.com:1",
    "port.example.com:8443",
    "PORT.example.com.:8443",
    "xn--bcher-kva.example",
    "XN--BCHER-KVA.example",
    "under_score.example",
    // On a loopback listener this machine's names are in.
    "localhost",
    "LocalHost:9",
    "127.0.0.1",
    "127.0.0.1:65535",
    "[::1]",
    "[0:0:0:0:0:0:0:1]:8443",
    "[2001:db8::1]",
    "[2001:DB8:0:0::1]:443",
];

/// 403 `host.not_allowed`.
const FOREIGN: [&str; 32] = [
    "evil.example",
    // Look-alikes: to the left, to the right, in the middle.
    "mcp.example.com.evil.example",
    "evil-mcp.example.com",
    "evilmcp.example.com",
    "mcp.example.com-evil.example",
    "mcp.example.comx",
    "mcp.example.co",
    "cp.example.com",
    "example.com",
    "sub.mcp.example.com",
    "mcp-example.com",
    "mcpxexample.com",
    "mcp.exarnple.com",
    "com",
    // Port: the entry names 8443.
    "port.example.com",
    "port.example.com:443",
    "port.example.com:8444",
    "port.example.com:844",
    // What a rebinding page or a resolver trick would use.
    "localhost.evil.example",
    "evil.localhost",
    "localhost.localdomain",
    "127.0.0.1.nip.io",
    "127.0.0.2",
    "0.0.0.0",
    "169.254.169.254",
    "10.0.0.5:8443",
    "[::]",
    "[::2]",
    "[::ffff:127.0.0.1]",
    "[fe80::1]",
    "[2001:db8::2]",
    "bcher-kva.example",
];

/// 400 `host.malformed`: two readers could read two hosts.
const MALFORMED: [&str; 22] = [
    "mcp.example.com:",
    "mcp.example.com:0",
    "mcp.example.com:0443",
    "mcp.example.com:65536",
    "mcp.example.com:99999999999999999999",
    "mcp.example.com..",
    ".mcp.example.com",
    "mcp..example.com",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "127.0.0.01",
    "127.0.0.256",
    "localhost.1",
    "user@mcp.example.com",
    "mcp.example.com@evil.example",
    "user:password@mcp.example.com",
    "mcp.example.com,evil.example",
    "[::1].",
    "mcp.example.com*",
];

/// The same, but no HTTP/2 client library sends it.
const MALFORMED_HTTP1: [&str; 18] = [
    "",
    ".",
    ":443",
    "mcp.example.com evil.example",
    "mcp.example.com\tevil.example",
    "mcp.example.com:443:443",
    "mcp.example.com/evil",
    "mcp.example.com?evil",
    "mcp.example.com#evil",
    "mcp.example.com\\evil.example",
    "https://mcp.example.com",
    "mcp.example.com%2eevil.example",
    "mcp%2eexample.com",
    "bücher.example",
    "mcp.example.com\u{ff0e}",
    "[::1",
    "[::1%25lo]",
    "::1",
];

// REQ: H-0, H-1, G-15
#[tokio::test]
async fn listed_hosts_are_served() {
    let pair = PAIR.get();
    for host in ALLOWED {
        for protocol in BOTH {
            let row = format!("{host} {protocol:?}");
            let answer = pair.ask(protocol, &Ask::call().host(host)).await;
            let arrived = pair.passed(&answer, &row);
            assert_eq!(arrived.header("x-forwarded-host"), Some(host), "{row}");
            let forwarded = format!("for=127.0.0.1;proto=https;host=\"{host}\"");
            assert_eq!(arrived.header("forwarded"), Some(&*forwarded), "{row}");
        }
    }
}

// REQ: H-0, H-1, H-2, L-1
#[tokio::test]
async fn other_hosts_are_refused_and_recorded() {
    let pair = PAIR.get();
    for host in FOREIGN {
        for protocol in BOTH {
            let row = format!("{host} {protocol:?}");
            let answer = pair.ask(protocol, &Ask::call().host(host)).await;
            pair.refused(&answer, 403, "host.not_allowed", &row);
            assert!(!answer.text().contains(host), "{row}");
        }
    }
    let answer = pair
        .ask(Protocol::Http1, &Ask::call().host("evil.example:7"))
        .await;
    let record = pair.palisade.record_of(&answer);
    assert_eq!(record["reason"], "host.not_allowed");
    assert_eq!(record["outcome"], "denied");
    assert_eq!(record["status"], 403);
    assert_eq!(record["actor"]["ip"], "127.0.0.1");
    // The operator is told which line would let it pass.
    let told = "evil.example:7; add \"evil.example\" to hosts";
    assert_eq!(record["error"], told);
}

// REQ: H-1, H-2
#[tokio::test]
async fn what_is_no_host_is_refused() {
    let pair = PAIR.get();
    for host in MALFORMED {
        for protocol in BOTH {
            let row = format!("{host} {protocol:?}");
            let answer = pair.ask(protocol, &Ask::call().host(host)).await;
            pair.refused(&answer, 400, "host.malformed", &row);
        }
    }
    for host in MALFORMED_HTTP1 {
        let answer = pair.ask(Protocol::Http1, &Ask::call().host(host)).await;
        pair.refused(&answer, 400, "host.malformed", host);
    }
}

/// Heads of HTTP/1.1: what stands in them, and the reason of the refusal if it is one.
const HEADS: [(&str, Option<(u16, &str)>); 31] = {
    const MISSING: Option<(u16, &str)> = Some((400, "host.missing"));
    const AMBIGUOUS: Option<(u16, &str)> = Some((400, "host.ambiguous"));
    const MALFORMED: Option<(u16, &str)> = Some((400, "host.malformed"));
    const FOREIGN: Option<(u16, &str)> = Some((403, "host.not_allowed"));
    const SYNTAX: Option<(u16, &str)> = Some((400, "request.malformed"));
    const PATH: Option<(u16, &str)> = Some((400, "request.path_ambiguous"));
    [
        ("POST /mcp HTTP/1.1\r\nHost: mcp.example.com", None),
        ("POST /mcp HTTP/1.1\r\nhOST:mcp.example.com", None),
        ("POST /mcp HTTP/1.1\r\nHost: \t mcp.example.com \t", None),
        ("POST /mcp HTTP/1.0\r\nHost: mcp.example.com", None),
        // Missing.
        ("POST /mcp HTTP/1.1", MISSING),
        ("POST /mcp HTTP/1.0", MISSING),
        ("POST /mcp HTTP/1.1\r\nX-Host: mcp.example.com", MISSING),
        (
            "POST /mcp HTTP/1.1\r\nX-Forwarded-Host: mcp.example.com",
            MISSING,
        ),
        ("POST https://mcp.example.com/mcp HTTP/1.1", MISSING),
        // Doubled, equal ones too.
        (
            "POST /mcp HTTP/1.1\r\nHost: mcp.example.com\r\nHost: mcp.example.com",
            AMBIGUOUS,
        ),
        (
            "POST /mcp HTTP/1.1\r\nHost: mcp.example.com\r\nHost: evil.example",
            AMBIGUOUS,
        ),
        (
            "POST /mcp HTTP/1.1\r\nHost: evil.example\r\nHost: mcp.example.com",
            AMBIGUOUS,
        ),
        (
            "POST /mcp HTTP/1.1\r\nHost: mcp.example.com\r\nX: y\r\nhost: ",
            AMBIGUOUS,
        ),
        (
            "POST /mcp HTTP/1.1\r\nHost: mcp.example.com, mcp.example.com",
            MALFORMED,
        ),
        // Absolute-form targets agree with Host or are refused.
        (
            "POST https://mcp.example.com/mcp HTTP/1.1\r\nHost: mcp.example.com",
            None,
        ),
        (
            "POST https://MCP.example.com./mcp HTTP/1.1\r\nHost: mcp.example.com",
            None,
        ),
        (
            "POST https://mcp.example.com:443/mcp HTTP/1.1\r\nHost: mcp.example.com",
            None,
        ),
        (
            "POST https://mcp.example.com/mcp HTTP/1.1\r\nHost: mcp.example.com:443",
            None,
        ),
        (
            "POST http://mcp.example.com/mcp HTTP/1.1\r\nHost: mcp.example.com",
            None,
        ),
        (
            "POST http://mcp.example.com/mcp HTTP/1.1\r\nHost: mcp.example.com:443",
            AMBIGUOUS,
        ),
        (
            "POST https://mcp.example.com/mcp HTTP/1.1\r\nHost: mcp.example.com:444",
            AMBIGUOUS,
        ),
        (
            "POST https://mcp.example.com/mcp HTTP/1.1\r\nHost: localhost",
            AMBIGUOUS,
        ),
        (
            "POST https://evil.example/mcp HTTP/1.1\r\nHost: mcp.example.com",
            AMBIGUOUS,
        ),
        (
            "POST https://mcp.example.com/mcp HTTP/1.1\r\nHost: evil.example",
            AMBIGUOUS,
        ),
        (
            "POST https://evil.example/mcp HTTP/1.1\r\nHost: evil.example",
            FOREIGN,
        ),
        (
            "POST https://evil.example@mcp.example.com/mcp HTTP/1.1\r\nHost: mcp.example.com",
            SYNTAX,
        ),
        (
            "POST https://127.1/mcp HTTP/1.1\r\nHost: localhost",
            MALFORMED,
        ),
        // A path that looks like a host is none.
        (
            "POST //evil.example/mcp HTTP/1.1\r\nHost: mcp.example.com",
            PATH,
        ),
        ("POST /mcp/../mcp HTTP/1.1\r\nHost: mcp.example.com", PATH),
        (
            "POST https://mcp.example.com//mcp HTTP/1.1\r\nHost: mcp.example.com",
            PATH,
        ),
        (
            "POST mcp.example.com:443 HTTP/1.1\r\nHost: mcp.example.com",
            SYNTAX,
        ),
    ]
};

// REQ: H-1, H-2, G-15
#[tokio::test]
async fn heads_by_literal_bytes() {
    let pair = PAIR.get();
    for (head, refused) in HEADS {
        let mut connection = pair.client().http1().await;
        let (mut answer, closes) = literal(&mut connection, head).await;
        answer.line.clear();
        match refused {
            None => {
                let arrived = pair.passed(&answer, head);
                // Whatever the form of the target, the upstream gets the origin-form.
                assert_eq!(arrived.line, "POST /mcp HTTP/1.1", "{head}");
            }
            Some((status, reason)) => {
                pair.refused(&answer, status, reason, head);
                // A sender that names two hosts may be two senders.
                assert!(closes || reason != "host.ambiguous", "{head}");
            }
        }
    }
}

/// Sends `head` with the rest of a call, and says whether the connection closes after it.
async fn literal(connection: &mut Http1, head: &str) -> (e2e::wire::Answer, bool) {
    let (case, body) = (case(), Ask::call().body);
    let length = body.len();
    let mut bytes = format!(
        "{head}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nX-Case: {case}\r\n\r\n"
    )
    .into_bytes();
    bytes.extend(body);
    let mut answer = connection.exchange(bytes).await;
    answer.case = case;
    let closes = answer.lists("connection", "close");
    if closes {
        assert!(connection.is_closed().await, "{head}");
    }
    (answer, closes)
}

// REQ: H-1, H-2
#[tokio::test]
async fn authority_against_host() {
    let pair = PAIR.get();
    for (authority, hosts, refused) in [
        (Some("mcp.example.com"), &[][..], None),
        (Some("mcp.example.com"), &["mcp.example.com"], None),
        (Some("mcp.example.com"), &["MCP.example.com."], None),
        (Some("mcp.example.com"), &["mcp.example.com:443"], None),
        (Some("mcp.example.com:443"), &["mcp.example.com"], None),
        (None, &["mcp.example.com"], None),
        (None, &["evil.example"], Some((403, "host.not_allowed"))),
        (None, &[], Some((400, "host.missing"))),
        (None, &[""], Some((400, "host.malformed"))),
        (
            Some("mcp.example.com"),
            &["evil.example"],
            Some((400, "host.ambiguous")),
        ),
        (
            Some("evil.example"),
            &["mcp.example.com"],
            Some((400, "host.ambiguous")),
        ),
        (
            Some("mcp.example.com"),
            &["localhost"],
            Some((400, "host.ambiguous")),
        ),
        (
            Some("mcp.example.com"),
            &["mcp.example.com:8443"],
            Some((400, "host.ambiguous")),
        ),
        (
            Some("mcp.example.com"),
            &["mcp.example.com", "mcp.example.com"],
            Some((400, "host.ambiguous")),
        ),
        (
            Some("mcp.example.com"),
            &["mcp.example.com", "evil.example"],
            Some((400, "host.ambiguous")),
        ),
        (
            None,
            &["mcp.example.com", "mcp.example.com"],
            Some((400, "host.ambiguous")),
        ),
        (
            Some("mcp.example.com"),
            &[""],
            Some((400, "host.malformed")),
        ),
        (
            Some("evil.example"),
            &["evil.example"],
            Some((403, "host.not_allowed")),
        ),
    ] {
        let row = format!("{authority:?} {hosts:?}");
        let mut ask = Ask::call();
        ask.host = authority.map(str::to_owned);
        for host in hosts {
            ask = ask.field("host", host);
        }
        let answer = pair.ask(Protocol::Http2, &ask).await;
        match refused {
            None => {
                pair.passed(&answer, &row);
            }
            Some((status, reason)) => pair.refused(&answer, status, reason, &row),
        }
    }
}

type Frames<'a> = &'a [(&'a str, &'a str)];

/// Fields of HTTP/2 in this order behind `:method: GET`, and the status of the answer; 0 where
/// the stream or the connection ends without one.
const FRAMES: [(Frames<'_>, u16); 34] = {
    const OK: (&str, &str) = (":authority", "mcp.example.com");
    const HTTPS: (&str, &str) = (":scheme", "https");
    const PATH: (&str, &str) = (":path", "/mcp");
    [
        (&[HTTPS, OK, PATH], 200),
        (&[PATH, OK, HTTPS], 200),
        // What the client says of the scheme is not believed.
        (&[(":scheme", "http"), OK, PATH], 200),
        (&[HTTPS, PATH, ("host", "mcp.example.com")], 200),
        // Doubled, misplaced, unknown.
        (&[HTTPS, OK, OK, PATH], 0),
        (&[HTTPS, OK, (":authority", "evil.example"), PATH], 0),
        (&[HTTPS, (":authority", "evil.example"), OK, PATH], 0),
        (&[HTTPS, PATH, PATH, OK], 0),
        (&[HTTPS, HTTPS, PATH, OK], 0),
        (&[HTTPS, PATH, ("x-own", "y"), OK], 0),
        (&[HTTPS, PATH, OK, (":host", "evil.example")], 0),
        (&[HTTPS, PATH, OK, (":protocol", "websocket")], 0),
        (&[HTTPS, PATH, OK, (":status", "200")], 0),
        (&[HTTPS, PATH, OK, ("Host", "mcp.example.com")], 0),
        (&[HTTPS, PATH, OK, ("X-Own", "y")], 0),
        (&[HTTPS, PATH, OK, ("x own", "y")], 0),
        (&[HTTPS, PATH, OK, ("", "y")], 0),
        (&[HTTPS, OK], 0),
        (&[OK, PATH], 0),
        (&[HTTPS, OK, (":path", "")], 0),
        (&[HTTPS, OK, (":path", "mcp")], 0),
        // No field splits another, and none belongs to another protocol.
        (&[HTTPS, PATH, OK, ("x-own", "y\r\nhost: evil.example")], 0),
        (&[HTTPS, PATH, OK, ("x-own", "y\nhost: evil.example")], 0),
        (&[HTTPS, PATH, OK, ("x-own", "y\0")], 0),
        (&[HTTPS, PATH, OK, ("x-own\r\nhost", "evil.example")], 0),
        (&[HTTPS, PATH, OK, ("connection", "close")], 0),
        (&[HTTPS, PATH, OK, ("transfer-encoding", "chunked")], 0),
        (&[HTTPS, PATH, OK, ("upgrade", "h2c")], 0),
        (&[HTTPS, PATH, OK, ("te", "gzip")], 0),
        // No host.
        (
            &[HTTPS, PATH, (":authority", "mcp.example.com evil.example")],
            0,
        ),
        (&[HTTPS, PATH, (":authority", "mcp.example.com/evil")], 0),
        (&[HTTPS, PATH, (":authority", "mcp.example.com\0")], 0),
        (&[HTTPS, PATH, (":authority", "bücher.example")], 0),
        (&[HTTPS, PATH, (":authority", "[::1")], 0),
    ]
};

/// Heads of HTTP/2 that no library sends.
// REQ: H-1, R-3
#[tokio::test]
async fn heads_by_literal_frames() {
    let pair = PAIR.get();
    for (fields, status) in FRAMES {
        let case = case();
        let mut all: Vec<(&[u8], &[u8])> = vec![(b":method", b"GET")];
        all.extend(
            fields
                .iter()
                .map(|(name, value)| (name.as_bytes(), value.as_bytes())),
        );
        all.push((b"x-case", case.as_bytes()));
        let stream = pair.client().connect("h2").await.unwrap();
        let verdict = frames::request(stream, &all, None).await;
        let answered = match verdict {
            Verdict::Answered(status) => status.unwrap_or(1),
            Verdict::Ended(_) | Verdict::Reset(_) => 0,
        };
        assert_eq!(answered, status, "{fields:?}: {verdict:?}");
        let arrived = pair.upstream.of_case(&case);
        assert_eq!(arrived.len(), usize::from(status == 200), "{fields:?}");
        for request in arrived {
            assert_eq!(request.header("x-forwarded-proto"), Some("https"));
            assert_eq!(request.header("x-forwarded-host"), Some("mcp.example.com"));
        }
    }
}

/// The server's name in TLS decides nothing: what counts is the Host of each request.
// REQ: H-1
#[tokio::test]
async fn the_name_in_tls_vouches_for_nothing() {
    let pair = PAIR.get();
    for protocol in BOTH {
        let client = pair.client().sni("mcp.example.com");
        let answer = client
            .ask(protocol, &Ask::call().host("evil.example"))
            .await;
        pair.refused(&answer, 403, "host.not_allowed", "mcp.example.com in SNI");
    }
    // On one connection too, each request is judged by itself.
    let mut connection = pair.client().http1().await;
    let answer = connection.ask(&Ask::call()).await;
    pair.passed(&answer, "first");
    let answer = connection.ask(&Ask::call().host("evil.example")).await;
    pair.refused(&answer, 403, "host.not_allowed", "second");
    let answer = connection.ask(&Ask::call()).await;
    pair.passed(&answer, "third");
}

// REQ: H-1, H-2, G-7
#[tokio::test]
async fn modes() {
    for mode in ["report", "off"] {
        let pair = Pair::new(&format!(
            "hosts = [\"mcp.example.com\"]\nhost.mode = \"{mode}\""
        ));
        for protocol in BOTH {
            let answer = pair.ask(protocol, &Ask::call().host("evil.example")).await;
            pair.passed(&answer, mode);
            let record = pair.palisade.record_of(&answer);
            let reported = record["reported"].as_array().cloned().unwrap_or_default();
            let expected: &[&str] = if mode == "report" {
                &["host.not_allowed"]
            } else {
                &[]
            };
            assert_eq!(reported, expected, "{mode}: {record}");
            assert_eq!(record["outcome"], "ok");
            // What protects whoever reads the host after us has no mode.
            let answer = pair.ask(protocol, &Ask::call().host("127.1")).await;
            pair.refused(&answer, 400, "host.malformed", mode);
            let answer = pair.ask(protocol, &Ask::call().no_host()).await;
            pair.refused(&answer, 400, "host.missing", mode);
        }
        let two = Ask::call().field("host", "evil.example");
        for protocol in BOTH {
            let answer = pair.ask(protocol, &two).await;
            pair.refused(&answer, 400, "host.ambiguous", mode);
        }
    }
}

// REQ: G-4, H-1
#[tokio::test]
async fn hosts_choose_servers() {
    let (one, two) = (Upstream::new(), Upstream::new());
    let palisade = Palisade::with(&format!(
        r#"
        hosts = ["mcp.example.com", "other.example.com"]
        [[server]]
        name = "one"
        path = "/mcp"
        upstream = "{}"
        [[server]]
        name = "two"
        path = "/mcp"
        host = "other.example.com"
        upstream = "{}"
        "#,
        one.url(),
        two.url()
    ));
    for protocol in BOTH {
        for (host, to_two) in [
            ("mcp.example.com", false),
            ("localhost", false),
            ("other.example.com", true),
            ("OTHER.example.com.:443", true),
        ] {
            let answer = palisade
                .client()
                .ask(protocol, &Ask::call().host(host))
                .await;
            assert_eq!(answer.status, 200, "{host}");
            let counts = [&one, &two].map(|upstream| upstream.of_case(&answer.case).len());
            assert_eq!(counts, if to_two { [0, 1] } else { [1, 0] }, "{host}");
        }
        let answer = palisade
            .client()
            .ask(protocol, &Ask::call().target("/mcpx"))
            .await;
        assert_eq!(answer.reason().as_deref(), Some("route.not_found"));
        assert_eq!(answer.status, 404);
    }
}

/// A listener that others can reach knows its public names alone.
// REQ: H-0, H-1, H-3, G-11
#[tokio::test]
async fn public_listener() {
    if !e2e::namespace::entered("host::public_listener") {
        return;
    }
    let upstream = Upstream::new();
    let config = "listen = \"0.0.0.0:0\"\nhosts = [\"mcp.example.com\"]";
    let builder = Palisade::builder().server(&upstream).config(config);
    let ended = builder.clone().fail();
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("no_authentication"),
        "{}",
        ended.stderr
    );

    let accepted = builder.config("i_accept.no_authentication = true");
    let palisade = accepted.start();
    let warned = "warning[config.risk]: `i_accept.no_authentication`";
    assert!(palisade.stderr().contains(warned), "{}", palisade.stderr());
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], palisade.port()));
    let client = e2e::wire::Client::new(address, &palisade.root());
    let pair = Pair { upstream, palisade };
    for protocol in BOTH {
        for (host, allowed) in [
            ("mcp.example.com", true),
            ("localhost", false),
            ("127.0.0.1", false),
            ("[::1]", false),
            ("0.0.0.0", false),
            ("evil.example", false),
        ] {
            let answer = client.ask(protocol, &Ask::call().host(host)).await;
            if allowed {
                pair.passed(&answer, host);
            } else {
                pair.refused(&answer, 403, "host.not_allowed", host);
            }
        }
        for origin in [
            "https://localhost",
            "https://127.0.0.1",
            "http://localhost:3000",
        ] {
            let ask = Ask::call().host("mcp.example.com").origin(origin);
            let answer = client.ask(protocol, &ask).await;
            pair.refused(&answer, 403, "origin.not_allowed", origin);
        }
    }
}

//! Heads that HTTP/2 can carry and HTTP/1.1 cannot, or not in one meaning.

use e2e::wire::frames::{
    DATA, END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADERS, RST_STREAM, block, frame,
};
use e2e::wire::{Ask, Protocol};
use e2e::{Palisade, Upstream};

// REQ: R-3, G-15, S-1, L-1
#[tokio::test]
async fn nothing_breaks_out_of_a_head() {
    let upstream = Upstream::new();
    let palisade = Palisade::before(&upstream);
    let plain = |path: &str| vec![(":path".to_owned(), path.to_owned())];
    let mut heads: Vec<Vec<(String, String)>> = [
        "/mcp HTTP/1.1\r\nx-own: 1",
        "/mcp HTTP/1.1\r\n\r\nGET /admin HTTP/1.1",
        "/mcp x",
        " /mcp",
        "/mcp ",
        "/mcp\t",
        "/mcp\0",
        "/mcp\x7f",
        "/mcp\x01",
        "/mcp?a b",
        "/mcp?a\r\nb",
        "/mcp?a\nb",
        "/mcp?a\0b",
        "/mcp?a\x7fb",
        "/mcp?a#b",
        "/mcp#b",
        "mcp",
        "?a",
        "*",
        "",
        "//mcp",
        "/mcp/../admin",
        "/mcp/%2e%2e/admin",
        "/mcp\\admin",
        "/mcp;a",
        "/mcp/\u{fc}",
        "/mcp/\"a\"",
        "/mcp\"",
        "/mcp<a>",
        "/mcp?a=\"b\"",
        "/mcp?a=<b>",
        "/mcp?\u{fc}",
        "/mcp?a=b&c=\u{ff0f}",
        "http://localhost/mcp",
        "https://evil.example/mcp",
        "localhost:443",
    ]
    .map(plain)
    .to_vec();
    let field = |name: &str, value: &str| {
        vec![
            (":path".to_owned(), "/mcp".to_owned()),
            (name.to_owned(), value.to_owned()),
        ]
    };
    for scheme in [
        "",
        "ftp",
        "file",
        "https:",
        "http://x",
        "ht tp",
        "javascript",
    ] {
        heads.push(field(":scheme", scheme));
    }
    for method in [
        "",
        "GE T",
        "GET /admin HTTP/1.1\r\n",
        "get",
        "G\r\nET",
        "TRACE",
        "PRI",
        "\u{fc}",
    ] {
        heads.push(field(":method", method));
    }
    for authority in [
        "",
        "a@localhost",
        "localhost@evil.example",
        "localhost:",
        "localhost:x",
        "localhost:99999",
        "local host",
        "localhost,evil.example",
        "localhost/mcp",
        "localhost#a",
        "localhost?a",
        "localhost\r\nx-own: 1",
    ] {
        heads.push(field(":authority", authority));
    }
    for (name, value) in [
        ("host", "evil.example"),
        ("host", ""),
        ("x-own", "1\r\n\r\nGET /admin HTTP/1.1"),
        ("x-own", "1\r\nx-forwarded-for: ::1"),
        ("x-own", "\r\n folded"),
        ("x-own", "1\x7f"),
        ("x-own", "1\x08"),
        ("x-own\r\nx-other", "1"),
        ("x-own: 1\r\nx-other", "1"),
        ("x-own ", "1"),
        (" x-own", "1"),
        ("x-own\"", "1"),
        ("\"x-own\"", "1"),
        ("x-own,", "1"),
        ("x-own;", "1"),
        ("x(own)", "1"),
        ("proxy", "http://evil.example"),
        ("last_event_id", "1"),
        ("expect", "y 100-continue"),
        ("expect", "100-continue, 100-continue"),
        ("content-length", "5"),
        ("content-length", "0, 0"),
        ("content-length", " 0"),
        ("content-length", "-1"),
        ("content_length", "5"),
        ("transfer-encoding", "chunked"),
        ("transfer_encoding", "chunked"),
        ("trailer", "\r\nx: y"),
        ("expect", "100-continue\r\n"),
        ("http2-settings", "a\r\nb: c"),
        ("cookie", "a=1\r\nb: 2"),
        ("mcp-session-id", " a"),
        ("authorization", "Bearer a\t"),
    ] {
        heads.push(field(name, value));
    }
    let mut wrong = Vec::new();
    let mut refused = 0;
    for head in heads {
        let mut all: Vec<(&str, &str)> = Vec::new();
        for (name, value) in [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "localhost"),
        ] {
            if !head.iter().any(|(other, _)| other == name) {
                all.push((name, value));
            }
        }
        let (pseudo, rest): (Vec<_>, Vec<_>) =
            head.iter().partition(|(name, _)| name.starts_with(':'));
        all.extend(pseudo.iter().map(|(name, value)| (&name[..], &value[..])));
        all.extend(rest.iter().map(|(name, value)| (&name[..], &value[..])));
        let before = upstream.arrived().len();
        let mut frames = Frames::opened(palisade.client().connect("h2").await.unwrap()).await;
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&all));
        frames.send(&request).await;
        let about = |frame: &Frame| match frame.kind {
            RST_STREAM | HEADERS => frame.stream == 1,
            kind => kind == GOAWAY,
        };
        let first = frames.until(about).await.unwrap();
        let passed = first.status() == Some(200);
        if first.kind == HEADERS && !passed {
            let data = frames.until(|frame| frame.kind == DATA).await.unwrap();
            let text = String::from_utf8_lossy(&data.payload).into_owned();
            assert!(text.contains("\"reason\":"), "{head:?}: {text}");
            refused += 1;
        }
        let arrived = upstream.arrived().split_off(before);
        // `http` cuts a fragment off: nobody here or behind sees it.
        let cut = head[0].1.contains('#') && head.len() == 1;
        if passed != cut || arrived.len() != usize::from(cut) {
            wrong.push(format!("{head:?}: {first:?} {arrived:?}"));
        }
        for request in arrived {
            assert!(!request.line.contains('#'), "{request:?}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let records = palisade.audit_where(refused, |record| record["outcome"] == "denied");
    assert!(records.iter().all(|record| record["reason"].is_string()));
    assert_eq!(upstream.broken(), 0);
    // Refusals carry what every answer carries.
    let ask = Ask::call().field("x-own", "a\t");
    let answer = palisade.client().ask(Protocol::Http2, &ask).await;
    assert_eq!(
        (answer.status, answer.reason().as_deref()),
        (400, Some("request.malformed"))
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(upstream.of_case(&answer.case).is_empty());
}

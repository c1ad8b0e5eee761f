use proptest::prelude::*;

use super::*;

fn scan(body: &[u8]) -> Outcomes {
    let mut scanner = Scanner::new();
    scanner.push(body);
    scanner.finish()
}

fn one(body: &str) -> Outcome {
    let mut outcomes = scan(body.as_bytes());
    assert!(!outcomes.unreadable && !outcomes.truncated, "{body}");
    assert_eq!(outcomes.messages.len(), 1, "{body}");
    outcomes.messages.remove(0)
}

fn result(result: &str) -> Outcome {
    one(&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#))
}

// REQ: L-1
#[test]
fn verdicts() {
    let table = [
        (r#"{"result":{}}"#, Verdict::Success),
        (r#"{"result":null}"#, Verdict::Success),
        (r#"{"result":{"isError":false}}"#, Verdict::Success),
        (r#"{"result":{"isError":"true"}}"#, Verdict::Success),
        (r#"{"result":{"isError":true}}"#, Verdict::ToolError),
        (r#"{"result":{"x":{"isError":true}}}"#, Verdict::Success),
        (
            r#"{"result":{"x":[{"isError":true}],"y":"\"isError\":true"}}"#,
            Verdict::Success,
        ),
        (
            r#"{"result":{"isError":true},"result":{}}"#,
            Verdict::Success,
        ),
        (
            r#"{"result":{},"result":{"isError":true}}"#,
            Verdict::ToolError,
        ),
        (
            r#"{"result":{"isError":false,"is\u0045rror":true}}"#,
            Verdict::ToolError,
        ),
        (r#"{"result":{"resultType":"complete"}}"#, Verdict::Success),
        (
            r#"{"result":{"resultType":"input_required"}}"#,
            Verdict::InputRequired,
        ),
        (r#"{"error":{"code":-1}}"#, Verdict::Error),
        (r#"{"error":"x"}"#, Verdict::Error),
        (r#"{"error":{},"result":{}}"#, Verdict::Error),
        (r#"{"error":null,"result":{}}"#, Verdict::Success),
        (r#"{"method":"ping","id":1}"#, Verdict::NotAResponse),
        (r#"{}"#, Verdict::NotAResponse),
    ];
    for (body, verdict) in table {
        assert_eq!(one(body).verdict(), verdict, "{body}");
    }
}

// REQ: L-1
#[test]
fn ids_and_errors() {
    let outcome = one(
        r#" {"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no \"such\" m\u00e9thod","data":{"code":1}}} "#,
    );
    assert_eq!(outcome.id, Some(RequestId::Integer(7)));
    let error = outcome.error.unwrap();
    assert_eq!(
        (error.code, error.message.as_deref()),
        (Some(-32601), Some("no \"such\" m\u{e9}thod"))
    );
    let ids = [
        ("1.0", Some(RequestId::Integer(1))),
        ("\"\\u0031\"", Some(RequestId::String("1".into()))),
        ("null", None),
        ("1.5", None),
        ("[1]", None),
        ("{\"id\":1}", None),
        ("123456789012345678901234567890123456789012", None),
    ];
    for (text, id) in ids {
        assert_eq!(
            one(&format!(r#"{{"id":{text},"result":{{}}}}"#)).id,
            id,
            "{text}"
        );
    }
    assert_eq!(one(r#"{"id":1,"id":{},"result":1}"#).id, None);
    assert_eq!(
        one(r#"{"method":"notifications/progress","params":{"id":3}}"#)
            .method
            .as_deref(),
        Some("notifications/progress")
    );
    let long = "i".repeat(MAX_EXACT + 1);
    assert_eq!(one(&format!(r#"{{"id":"{long}"}}"#)).id, None);
    assert!(one(&format!(r#"{{"id":"{}"}}"#, &long[1..])).id.is_some());
}

// REQ: L-1
#[test]
fn error_texts() {
    let text =
        |content: &str| result(&format!(r#"{{"content":{content},"isError":true}}"#)).error_text;
    assert_eq!(
        text(r#"[{"type":"text","text":"boom"}]"#).as_deref(),
        Some("boom")
    );
    assert_eq!(
        text(r#"[{"type":"image","data":"AA"},{"type":"text","text":"a"},{"text":"b"}]"#)
            .as_deref(),
        Some("a")
    );
    assert_eq!(text("[]"), None);
    assert_eq!(text("{}"), None);
    assert_eq!(text(r#"[[{"text":"no"}]]"#), None);
    assert_eq!(text(r#"[{"resource":{"text":"no"}}]"#), None);
    // The order does not matter, and without isError nothing is kept.
    let outcome = result(r#"{"isError":true,"content":[{"text":"x"}]}"#);
    assert_eq!(outcome.error_text.as_deref(), Some("x"));
    assert_eq!(result(r#"{"content":[{"text":"x"}]}"#).error_text, None);

    // Cut at characters, whatever their width and however they are written.
    for (unit, character) in [
        ("a", "a"),
        ("\u{e9}", "\u{e9}"),
        ("\u{1f600}", "\u{1f600}"),
        ("\\ud83d\\ude00", "\u{1f600}"),
        ("\\n", "\n"),
    ] {
        for count in [499, 500, 501, 3000] {
            let kept = text(&format!(r#"[{{"text":"{}"}}]"#, unit.repeat(count))).unwrap();
            assert_eq!(kept, character.repeat(count.min(500)), "{unit} {count}");
        }
    }
    assert_eq!(
        text(r#"[{"text":"a\ud800b\udc00\ud800\ud83d\ude00\ud800"}]"#).unwrap(),
        "a\u{fffd}b\u{fffd}\u{fffd}\u{1f600}\u{fffd}"
    );
    assert_eq!(text(r#"[{"text":"\u00zz"}]"#).unwrap(), "\u{fffd}zz");
}

#[test]
fn handshakes() {
    let outcome = result(
        r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"s","version":"1.2","x":{"name":"no"}}}"#,
    );
    assert_eq!(outcome.protocol_version.as_deref(), Some("2025-11-25"));
    assert_eq!(
        outcome.server,
        Some(ServerInfo {
            name: Some("s".into()),
            version: Some("1.2".into())
        })
    );
    let outcome = result(
        r#"{"supportedVersions":["2025-11-25","2026-07-28",1,["x"]],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"m","version":"2"},"name":"no"}}"#,
    );
    assert_eq!(outcome.supported_versions, ["2025-11-25", "2026-07-28"]);
    assert_eq!(
        outcome.server,
        Some(ServerInfo {
            name: Some("m".into()),
            version: Some("2".into())
        })
    );
    assert_eq!(result(r#"{"serverInfo":1}"#).server, None);
    let many = format!(
        r#"{{"supportedVersions":[{}]}}"#,
        vec!["\"v\""; 99].join(",")
    );
    assert_eq!(result(&many).supported_versions.len(), MAX_VERSIONS);
    let long = "v".repeat(MAX_NAME + 1);
    let outcome = result(&format!(r#"{{"protocolVersion":"{long}"}}"#));
    assert_eq!(outcome.protocol_version.as_deref(), Some(&long[1..]));
}

#[test]
fn tools() {
    let outcome = result(
        r#"{"tools":[{"name":"a","inputSchema":{"name":"no","annotations":{"readOnlyHint":true}},"annotations":{"destructiveHint":true,"readOnlyHint":false}},
            {"annotations":{"readOnlyHint":true,"x":{"destructiveHint":true}},"name":"b"},{"name":"c"},{"name":"d","annotations":{"destructiveHint":null}}],"nextCursor":"x"}"#,
    );
    let hint = |name: &str, destructive, read_only| ToolHint {
        name: name.to_owned(),
        destructive,
        read_only,
        destinations: Vec::new(),
    };
    let expected = [
        hint("a", Some(true), Some(false)),
        hint("b", None, Some(true)),
        hint("c", None, None),
        hint("d", None, None),
    ];
    assert_eq!(outcome.tools, expected);
    assert!(!outcome.tools_truncated);
    let many = format!(
        r#"{{"tools":[{}]}}"#,
        vec![r#"{"name":"t"}"#; MAX_TOOLS + 1].join(",")
    );
    let outcome = result(&many);
    assert_eq!(
        (outcome.tools.len(), outcome.tools_truncated),
        (MAX_TOOLS, true)
    );
    // Half a name would be another tool's.
    let outcome = result(&format!(
        r#"{{"tools":[{{"name":"{}"}},{{"name":"x"}}]}}"#,
        "t".repeat(MAX_EXACT + 1)
    ));
    assert_eq!((outcome.tools.len(), outcome.tools_truncated), (1, true));
    assert!(
        result(r#"{"tools":[{"name":"a"}],"tools":[]}"#)
            .tools
            .is_empty()
    );
}

/// However the body is cut, and only where somebody asks.
// REQ: E-4
#[test]
fn schemas_of_tools() {
    let list = |schema: &str| {
        format!(
            r#"{{"id":1,"result":{{"tools":[{{"name":"a","inputSchema":{schema},"annotations":{{"readOnlyHint":true}}}},{{"name":"b"}}]}}}}"#
        )
    };
    let read = |body: &str, size: usize, wanted: bool| {
        let mut scanner = Scanner::new().reading_schemas(wanted);
        for chunk in body.as_bytes().chunks(size) {
            scanner.push(chunk);
        }
        let mut outcomes = scanner.finish();
        assert!(!outcomes.unreadable);
        let tools = outcomes.messages.remove(0).tools;
        assert_eq!((tools.len(), tools[0].read_only), (2, Some(true)));
        assert!(tools[1].destinations.is_empty());
        tools[0].destinations.clone()
    };
    let schema =
        r#"{"properties":{"to\"}":{"format":"uri"},"x":{"properties":{"at":{"format":"uri"}}}}}"#;
    let body = list(schema);
    for size in [1, 2, 3, 7, 64, 4096] {
        assert_eq!(read(&body, size, true), ["at", "to\"}"], "{size}");
    }
    assert_eq!(read(&body, 64, false), [""; 0]);
    // The last of repeated keys counts, and what is too long tells nothing.
    assert_eq!(
        read(&list(&format!("{schema},\"inputSchema\":{{}}")), 64, true),
        [""; 0]
    );
    let long = format!(r#"{{"title":"{}",{}"#, "x".repeat(MAX_SCHEMA), &schema[1..]);
    assert_eq!(read(&list(&long), 4096, true), [""; 0]);
    assert_eq!(read(&list("[]"), 64, true), [""; 0]);
}

#[test]
fn batches() {
    let outcomes = scan(br#"[{"id":1,"result":{}},{"id":2,"error":{"code":5}},3,[{"id":9}],{"id":"x","result":{"isError":true}}]"#);
    assert!(!outcomes.unreadable);
    let seen: Vec<_> = outcomes
        .messages
        .iter()
        .map(|m| (m.id.clone().unwrap(), m.verdict()))
        .collect();
    assert_eq!(
        seen,
        [
            (RequestId::Integer(1), Verdict::Success),
            (RequestId::Integer(2), Verdict::Error),
            (RequestId::String("x".into()), Verdict::ToolError)
        ]
    );
    let outcomes = scan(format!("[{}]", vec!["{}"; MAX_MESSAGES + 1].join(",")).as_bytes());
    assert_eq!(
        (outcomes.messages.len(), outcomes.truncated),
        (MAX_MESSAGES, true)
    );
}

#[test]
fn unreadable() {
    for body in [
        "<html>",
        "{",
        "{\"id\"",
        "{\"id\":1",
        "{\"id\":1,",
        "[",
        "[{}",
        "{}{}",
        "{} x",
        "{]",
        "[}",
        "{\"a\":}",
        "{\"a\":[1,2}",
        "\"abc",
        "{\"a\" 1}",
        "{1:2}",
        "{,}",
        "[1 2]",
        "{\"result\":{\"x\":{\"y\":1}",
        "{\"a\":1]",
        "not json",
        "{\"a\":1,}",
        "{\"id\":tru",
    ] {
        assert!(scan(body.as_bytes()).unreadable, "{body}");
    }
    for body in [
        "",
        " \n",
        "{}",
        "[]",
        "12",
        "null",
        "\"x\"",
        "\u{feff}{}",
        "[1,\"a\",{},[]]",
        "{\"a\":{\"b\":[{\"c\":\"}\"}]}}",
        "{\"a\":\"\\\\\"}",
    ] {
        assert!(!scan(body.as_bytes()).unreadable, "{body}");
    }
    // What was whole before the end is still told.
    let outcomes = scan(br#"[{"id":1,"result":{}},{"id":2,"#);
    assert!(outcomes.unreadable);
    assert_eq!(outcomes.messages.len(), 1);
}

#[test]
fn a_scanner_is_used_again() {
    let mut scanner = Scanner::new();
    scanner.push(br#"{"id":1,"error":{"message":"x"#);
    assert!(scanner.take().unreadable);
    scanner.push(br#"{"id":2,"result":{}}"#);
    let outcomes = scanner.take();
    assert!(!outcomes.unreadable);
    assert_eq!(outcomes.messages[0].id, Some(RequestId::Integer(2)));
    assert_eq!(scanner.take(), Outcomes::default());
    // Nothing of a body that stopped in the middle shows in the next.
    scanner.push(
        br#"{"id":3,"result":{"isError":true,"resultType":"x","tools":[{"name":"t"},{"name":"u","annotations":{"readOnlyHint":true}"#,
    );
    assert!(scanner.take().unreadable);
    scanner.push(br#"{"result":{"content":[{"text":"old"#);
    assert!(scanner.take().unreadable);
    scanner.push(br#"{"result":{"content":[{"text":"old"}],"#);
    assert!(scanner.take().unreadable);
    let body = br#"[{"result":{"content":[],"isError":true}},{"result":{"tools":[{}]}}]"#;
    scanner.push(body);
    assert_eq!(scanner.take(), scan(body));
}

const SAMPLES: [&str; 6] = [
    r#"{"jsonrpc":"2.0","id":"a\u00e9\ud83d\ude00","error":{"code":-32601,"message":"no\tm\u00e9thod \u1F600"},"x":[{"y":"\\\""}]}"#,
    r#"{"result":{"isError":true,"content":[{"type":"text","text":"bo\"om \ud83d\ude00é"}],"structuredContent":{"a":["]","}"]}},"id":-12.0}"#,
    r#"[{"id":1,"result":{"resultType":"input_required","tools":[{"name":"a","annotations":{"readOnlyHint":true}}]}} , {"id":2,"error":null}]"#,
    r#"{"id":1,"result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"s","version":"1"},"supportedVersions":["a","b"]}}"#,
    "\u{feff} {\"method\" : \"x\" , \"id\" : null } ",
    r#"{"id":1,"result":{"text":"\ud800","content":[{"text":"\ud800x\u12"}]}"#,
];

#[test]
fn split_anywhere() {
    for body in SAMPLES {
        let whole = scan(body.as_bytes());
        for cut in 0..=body.len() {
            let mut scanner = Scanner::new();
            scanner.push(&body.as_bytes()[..cut]);
            scanner.push(&body.as_bytes()[cut..]);
            assert_eq!(scanner.finish(), whole, "{body} at {cut}");
        }
    }
}

// What is whole in a chunk is read where it stands, the rest by way of a copy: the bounds on what
// is kept are the same.
#[test]
fn bounds_hold_wherever_the_chunks_end() {
    let around = |length: usize| length - 2..=length + 2;
    let lengths = [MAX_SCALAR, MAX_KEY, MAX_NAME, MAX_TEXT, MAX_EXACT].map(around);
    let more = [MAX_NAME * 4, MAX_TEXT * 4].map(around);
    for length in lengths.into_iter().chain(more).flatten() {
        for filler in [&b"x"[..], "\u{e9}".as_bytes(), b"\xff", b"1"] {
            let text: Vec<u8> = filler.iter().copied().cycle().take(length).collect();
            let quoted = [b"\"", &text[..], b"\""].concat();
            for (before, value, behind) in [
                ("{\"id\":", &quoted, "}"),
                ("{\"id\":", &text, "}"),
                ("{", &quoted, ":1,\"id\":1}"),
                ("{\"error\":{\"message\":", &quoted, "}}"),
                ("{\"result\":{\"resultType\":", &quoted, "}}"),
                ("{\"result\":{\"tools\":[{\"name\":", &quoted, "}]}}"),
                (
                    "{\"result\":{\"content\":[{\"text\":",
                    &quoted,
                    "}],\"isError\":true}}",
                ),
            ] {
                let body = [before.as_bytes(), value, behind.as_bytes()].concat();
                let mut scanner = Scanner::new();
                scanner.push(&body[..before.len() + 2]);
                scanner.push(&body[before.len() + 2..]);
                assert_eq!(scanner.finish(), scan(&body), "{before} {length}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn ends_are_found(bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'!'), Just(b'#'), Just(b'"')], 0..40)) {
        let slow = bytes.iter().position(|b| matches!(b, b'"' | b'\\'));
        prop_assert_eq!(find_end(&bytes, 0), slow.unwrap_or(bytes.len()));
    }

    #[test]
    fn bytewise_is_the_same(sample in 0..SAMPLES.len(), at in any::<usize>(), byte in any::<u8>()) {
        let mut body = SAMPLES[sample].as_bytes().to_vec();
        let at = at % body.len();
        body[at] = byte;
        let mut scanner = Scanner::new();
        for byte in &body {
            scanner.push(std::slice::from_ref(byte));
        }
        prop_assert_eq!(scanner.finish(), scan(&body));
    }

    /// What strict reading accepts, lenient reading does too.
    #[test]
    fn strict_json_is_readable(body in "[\\[\\]{}:,\"a\\\\1 truenl-]{0,24}") {
        if crate::mcp::json::validate(body.as_bytes(), 64).is_ok() {
            prop_assert!(!scan(body.as_bytes()).unreadable);
        }
    }
}

#[test]
fn memory_is_bounded() {
    let mut scanner = Scanner::new();
    scanner.push(br#"{"id":""#);
    for _ in 0..1000 {
        scanner.push(&[b'x'; 4096]);
        assert!(scanner.capture.kept.capacity() <= 2 * MAX_EXACT);
    }
    scanner.push(br#"","result":{"content":[{"text":""#);
    for _ in 0..1000 {
        scanner.push(&[0x80; 4096]);
        assert!(scanner.capture.kept.capacity() <= 4 * MAX_TEXT * 2);
    }
    let mut deep = Scanner::new();
    for _ in 0..1000 {
        deep.push(&[b'['; 4096]);
        assert!(deep.stack.open <= 1);
    }
}

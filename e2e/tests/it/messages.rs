//! Messages, read strictly: what two readers could read differently never reaches the upstream,
//! and everything else reaches it byte for byte.

use e2e::wire::{Ask, BOTH, Protocol};
use e2e::{Arrived, Palisade, Reply, Shared, Upstream};
use serde_json::{Value as Json, json};

use crate::rig::{Rig, modern, modern_request, server};

static ONE: Shared<Rig> = Shared::new(|| Rig::new("", [server("mcp", Upstream::new())]));

/// What is refused: the body, the reason, the JSON-RPC code and the word in the record.
fn refusals() -> Vec<(Vec<u8>, &'static str, i64, &'static str)> {
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{}{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    let text: [(&str, &str, i64, &str); 32] = [
        ("", "message.malformed", -32700, "empty"),
        ("  ", "message.malformed", -32700, "empty"),
        ("null", "message.invalid", -32600, "not_an_object"),
        ("\"x\"", "message.invalid", -32600, "not_an_object"),
        ("{", "message.malformed", -32700, "unexpected_end"),
        ("{}", "message.invalid", -32600, "jsonrpc_version"),
        (
            "\u{feff}{\"jsonrpc\":\"2.0\",\"method\":\"x\"}",
            "message.malformed",
            -32700,
            "byte_order_mark",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}"#,
            "message.malformed",
            -32700,
            "duplicate_key",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"tools/call"}"#,
            "message.malformed",
            -32700,
            "duplicate_key",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"delete"}}"#,
            "message.malformed",
            -32700,
            "duplicate_key",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"a":1,"a":2}}}"#,
            "message.malformed",
            -32700,
            "duplicate_key",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"x"}"#,
            "message.malformed",
            -32700,
            "trailing_data",
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\0",
            "message.malformed",
            -32700,
            "trailing_data",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"\ud800"}"#,
            "message.malformed",
            -32700,
            "lone_surrogate",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":"\udc00\ud800"}}"#,
            "message.malformed",
            -32700,
            "lone_surrogate",
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\nb\"}",
            "message.malformed",
            -32700,
            "control_character",
        ),
        (
            r#"{"jsonrpc":"2.0","id":01,"method":"x"}"#,
            "message.malformed",
            -32700,
            "",
        ),
        (
            r#"{"jsonrpc":"2.0","id":NaN,"method":"x"}"#,
            "message.malformed",
            -32700,
            "",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x",}"#,
            "message.malformed",
            -32700,
            "",
        ),
        (
            r#"{"jsonrpc":"2.0",/**/"id":1,"method":"x"}"#,
            "message.malformed",
            -32700,
            "",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
            "message.invalid",
            -32600,
            "key_case",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","Name":"b"}}"#,
            "message.invalid",
            -32600,
            "key_case",
        ),
        (
            r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#,
            "message.invalid",
            -32600,
            "jsonrpc_version",
        ),
        (
            r#"{"id":1,"method":"x"}"#,
            "message.invalid",
            -32600,
            "jsonrpc_version",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
            "message.invalid",
            -32600,
            "method",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#,
            "message.invalid",
            -32600,
            "id",
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#,
            "message.invalid",
            -32600,
            "id",
        ),
        (
            r#"{"jsonrpc":"2.0","id":[1],"method":"x"}"#,
            "message.invalid",
            -32600,
            "id",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1}"#,
            "message.invalid",
            -32600,
            "no_kind",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","result":{}}"#,
            "message.invalid",
            -32600,
            "two_kinds",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":["echo"]}"#,
            "message.invalid",
            -32600,
            "target",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a\u0000b"}}"#,
            "message.invalid",
            -32600,
            "control_character_in_name",
        ),
    ];
    let mut all: Vec<_> = text
        .into_iter()
        .map(|(body, reason, code, word)| (body.as_bytes().to_vec(), reason, code, word))
        .collect();
    all.push((deep.into_bytes(), "message.malformed", -32700, "depth"));
    all.push((
        b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\xff\"}".to_vec(),
        "message.malformed",
        -32700,
        "utf8",
    ));
    // UTF-16, which a lenient reader may sniff.
    let wide = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}".encode_utf16();
    all.push((
        wide.flat_map(u16::to_le_bytes).collect(),
        "message.malformed",
        -32700,
        "",
    ));
    all
}

// REQ: G-14, G-13, R-3, L-1
#[tokio::test]
async fn what_two_readers_could_read_differently_is_refused() {
    let rig = ONE.get();
    for protocol in BOTH {
        for (body, reason, code, word) in refusals() {
            let shown = String::from_utf8_lossy(&body).into_owned();
            let ask = Ask::post("").body(&body);
            let (answer, record) = rig.recorded("mcp", protocol, &ask).await;
            let context = format!("{shown} {protocol:?} {answer:?} {record}");
            assert_eq!(answer.status, 400, "{context}");
            assert_eq!(answer.reason().as_deref(), Some(reason), "{context}");
            assert_eq!(answer.json()["error"]["code"], code, "{context}");
            assert_eq!(rig.upstream("mcp").of_case(&answer.case), [], "{context}");
            assert_eq!(
                (&record["outcome"], &record["reason"]),
                (&"denied".into(), &reason.into())
            );
            assert!(
                record["error"]
                    .as_str()
                    .is_some_and(|text| text.contains(word)),
                "{context}"
            );
        }
    }
}

// REQ: G-14
#[tokio::test]
async fn what_one_reader_alone_can_read_passes_byte_for_byte() {
    let rig = ONE.get();
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{}{}}}}}"#,
        "[".repeat(120),
        "]".repeat(120)
    );
    let long = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":"{}"}}}}"#,
        "é".repeat(200_000)
    );
    for body in [
        " \r\n\t{ \"jsonrpc\" : \"2.0\" ,\"id\":1, \"method\" : \"ping\" } \n",
        r#"{"method":"ping","id":1,"jsonrpc":"2.0"}"#,
        r#"{"jsonrpc":"\u0032.0","id":1,"m\u0065thod":"pi\u006eg"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":1e2,"b":-0.0,"c":1E400,"d":12345678901234567890123}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"s":"\/\ud83d\ude00\u0000\"\\"}}"#,
        r#"{"jsonrpc":"2.0","id":"abc","method":"no/such/method","params":{},"more":[1,{"a":null}]}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"x"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        &deep,
        &long,
    ] {
        for protocol in BOTH {
            let answer = rig.ask("mcp", protocol, &Ask::post(body)).await;
            assert_eq!(answer.status, 200, "{body:.300} {answer:?}");
            let arrived = rig.upstream("mcp").of_case(&answer.case);
            assert_eq!(arrived.len(), 1);
            assert_eq!(arrived[0].body, body.as_bytes(), "{body:.300}");
            assert_eq!(
                arrived[0].header("content-length"),
                Some(&*body.len().to_string())
            );
            assert_eq!(arrived[0].header("content-type"), Some("application/json"));
        }
    }
    // Chunked by the client, one piece for the upstream.
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let mut chunks = String::new();
    for piece in body.as_bytes().chunks(5) {
        chunks += &format!(
            "{:x}\r\n{}\r\n",
            piece.len(),
            String::from_utf8_lossy(piece)
        );
    }
    let ask = Ask::post("")
        .field("transfer-encoding", "chunked")
        .body(format!("{chunks}0\r\n\r\n"));
    let answer = rig.ask("mcp", Protocol::Http1, &ask).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        rig.upstream("mcp").of_case(&answer.case)[0].body,
        body.as_bytes()
    );
}

fn batch(count: usize) -> Vec<Json> {
    let call = |id| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": format!("tool{id}"), "arguments": {} } });
    (1..=count).map(call).collect()
}

// REQ: G-14, L-1
#[tokio::test]
async fn a_batch_is_read_and_recorded_element_by_element() {
    // Answers out of order, with a failure among them, and nothing to the notification.
    let upstream = Upstream::answering(|_| {
        Reply::json(&json!([
            { "jsonrpc": "2.0", "id": 3, "error": { "code": -32001, "message": "no such note" } },
            { "jsonrpc": "2.0", "id": 1, "result": { "content": [] } },
            { "jsonrpc": "2.0", "id": 2, "result": { "isError": true, "content": [{ "type": "text", "text": "it broke" }] } },
        ]))
    });
    let rig = Rig::new("", [server("batch", upstream)]);
    let mut messages = batch(3);
    messages.push(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    for protocol in BOTH {
        let ask = Ask::post(&Json::from(messages.clone()).to_string());
        let answer = rig.ask("batch", protocol, &ask).await;
        assert_eq!(answer.status, 200);
        let id = answer.header("x-request-id").unwrap();
        let records = rig
            .palisade
            .audit_where(4, |record| record["requestId"] == id);
        let said: Vec<_> = records
            .iter()
            .map(|record| {
                (
                    record["method"].as_str().unwrap(),
                    record["tool"].as_str(),
                    record["outcome"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(
            said,
            [
                ("tools/call", Some("tool1"), "ok"),
                ("tools/call", Some("tool2"), "error"),
                ("tools/call", Some("tool3"), "error"),
                ("notifications/initialized", None, "ok"),
            ]
        );
        assert!(records[1]["error"].as_str().unwrap().contains("it broke"));
        assert!(
            records[2]["error"]
                .as_str()
                .unwrap()
                .contains("no such note")
        );
    }
}

// REQ: G-14, R-1
#[tokio::test]
async fn each_message_of_a_batch_is_charged() {
    let rig = Rig::new(
        "rate.peer = \"10/h\"",
        [
            server("batch", Upstream::new()),
            server("other", Upstream::new()),
        ],
    );
    let of = |count| serde_json::to_string(&batch(count)).unwrap();
    // 10 in all: 7, then 4, of which one is too much; what was taken of them is spent.
    for (count, status, arrived) in [(7, 200, 1), (4, 429, 1)] {
        let answer = rig
            .ask("batch", Protocol::Http1, &Ask::post(&of(count)))
            .await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(rig.upstream("batch").arrived().len(), arrived);
        if status == 429 {
            assert_eq!(answer.reason().as_deref(), Some("rate.exceeded"));
            assert!(answer.header("retry-after").is_some());
        }
    }
    // Each server has its own.
    let answer = rig.ask("other", Protocol::Http1, &Ask::post(&of(10))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

// REQ: G-14
#[tokio::test]
async fn one_bad_element_and_one_too_many_refuse_the_whole_batch() {
    let rig = ONE.get();
    let of = |messages: Vec<Json>| Json::from(messages).to_string();
    let with = |bad: Json| {
        let mut messages = batch(3);
        messages.insert(2, bad);
        of(messages)
    };
    let repeated = {
        let mut messages = batch(3);
        messages[2]["id"] = 1.into();
        of(messages)
    };
    for (body, status, reason, code) in [
        (of(batch(50)), 200, None, 0),
        (of(batch(51)), 400, Some("message.batch"), -32600),
        ("[]".to_owned(), 400, Some("message.batch"), -32600),
        (
            format!("[{}]", of(batch(1))),
            400,
            Some("message.batch"),
            -32600,
        ),
        (repeated, 400, Some("message.batch"), -32600),
        (
            with(json!({ "jsonrpc": "2.0", "id": 9, "method": 7 })),
            400,
            Some("message.invalid"),
            -32600,
        ),
        (with(json!(1)), 400, Some("message.invalid"), -32600),
        (
            of(batch(2)).replace("\"tool2\"", "\"tool2\",\"name\":\"x\""),
            400,
            Some("message.malformed"),
            -32700,
        ),
    ] {
        for protocol in BOTH {
            let answer = rig.ask("mcp", protocol, &Ask::post(&body)).await;
            assert_eq!(answer.status, status, "{body:.400}");
            assert_eq!(answer.reason().as_deref(), reason, "{body:.400}");
            let arrived = rig.upstream("mcp").of_case(&answer.case);
            assert_eq!(arrived.len(), usize::from(status == 200), "{body:.400}");
            if status != 200 {
                assert_eq!(answer.json()["error"]["code"], code);
                assert!(
                    answer.json()["id"].is_null(),
                    "one element's id is no answer to all: {answer:?}"
                );
            }
        }
    }
}

/// Answers as a server of 2026-07-28 does.
fn modern_server(request: &Arrived) -> Reply {
    Reply::result(request, &json!({ "resultType": "complete", "content": [] }))
}

// REQ: G-14, G-13
#[tokio::test]
async fn headers_that_disagree_with_the_body_are_refused_towards_a_modern_upstream_alone() {
    let rig = Rig::new(
        "",
        [
            server("modern", Upstream::answering(modern_server)),
            server("older", Upstream::new()),
        ],
    );
    let ask = || modern(7, "echo");
    let disagreeing = [
        ask().without("mcp-method"),
        ask().without("mcp-name"),
        ask().without("mcp-protocol-version"),
        ask()
            .without("mcp-method")
            .field("mcp-method", "tools/list"),
        ask().without("mcp-name").field("mcp-name", "delete"),
        ask().without("mcp-name").field("mcp-name", "Echo"),
        ask()
            .without("mcp-name")
            .field("mcp-name", "=?base64?ZGVsZXRl?="),
        ask()
            .without("mcp-name")
            .field("mcp-name", "=?base64?***?="),
        ask()
            .without("mcp-protocol-version")
            .field("mcp-protocol-version", "2025-11-25"),
        ask().field("mcp-name", "echo"),
        ask().field("mcp-method", "tools/call"),
    ];
    // Nobody has shown an era yet: everything passes to both, as it is.
    for name in ["modern", "older"] {
        let answer = rig
            .ask(name, Protocol::Http1, &disagreeing[4].clone())
            .await;
        let status = answer.status;
        assert_eq!(status, 200, "{name}: {answer:?}");
        let arrived = rig.upstream(name).of_case(&answer.case);
        assert_eq!(arrived[0].header("mcp-name"), Some("delete"));
        assert_eq!(arrived[0].body, ask().body);
    }
    // The one has shown its era by now.
    for protocol in BOTH {
        for name in ["modern", "older"] {
            assert_eq!(rig.ask(name, protocol, &ask()).await.status, 200);
            let encoded = ask()
                .without("mcp-name")
                .field("mcp-name", "=?base64?ZWNobw==?=");
            assert_eq!(rig.ask(name, protocol, &encoded).await.status, 200);
            // The body decides what the record says, whatever the headers did.
            for (index, ask) in disagreeing.iter().enumerate() {
                let (answer, record) = rig.recorded(name, protocol, ask).await;
                let context = format!("{name} {index} {protocol:?} {answer:?} {record}");
                assert_eq!(
                    (&record["tool"], &record["method"]),
                    (&"echo".into(), &"tools/call".into()),
                    "{context}"
                );
                let arrived = rig.upstream(name).of_case(&answer.case).len();
                if name == "older" {
                    assert_eq!((answer.status, arrived), (200, 1), "{context}");
                    continue;
                }
                assert_eq!((answer.status, arrived), (400, 0), "{context}");
                assert_eq!(answer.json()["error"]["code"], -32020, "{context}");
                assert_eq!(answer.json()["id"], 7, "{context}");
                assert_eq!(answer.reason().as_deref(), Some("message.header_mismatch"));
            }
            // A message of an older revision gives these headers no meaning.
            let legacy = Ask::call().field("mcp-method", "x").field("mcp-name", "y");
            assert_eq!(rig.ask(name, protocol, &legacy).await.status, 200);
        }
    }
}

// REQ: G-14, S-4
#[tokio::test]
async fn only_json_is_taken_and_only_post_has_a_body() {
    let rig = ONE.get();
    for protocol in BOTH {
        for (content_type, status) in [
            (Some("application/json"), 200),
            (Some("application/json; charset=utf-8"), 200),
            (Some("Application/JSON ;charset=UTF-8"), 200),
            (Some("text/plain"), 415),
            (Some("application/x-www-form-urlencoded"), 415),
            (Some("multipart/form-data; boundary=x"), 415),
            (Some("application/jsonp"), 415),
            (Some("application/json, text/plain"), 415),
            (Some("text/plain; application/json"), 415),
            (Some(""), 415),
            (None, 415),
        ] {
            let mut ask = Ask::call().without("content-type");
            if let Some(content_type) = content_type {
                ask = ask.field("content-type", content_type);
            }
            let answer = rig.ask("mcp", protocol, &ask).await;
            assert_eq!(answer.status, status, "{content_type:?} {answer:?}");
            let arrived = rig.upstream("mcp").of_case(&answer.case).len();
            assert_eq!(arrived, usize::from(status == 200), "{content_type:?}");
            if status == 415 {
                assert_eq!(answer.reason().as_deref(), Some("message.media_type"));
                assert_eq!(
                    answer.header("content-type"),
                    Some("application/problem+json")
                );
            }
        }
        for method in ["GET", "DELETE"] {
            let with = Ask::call();
            let with = Ask {
                method: method.to_owned(),
                ..with
            };
            let answer = rig.ask("mcp", protocol, &with).await;
            assert_eq!(
                (answer.status, answer.reason().as_deref()),
                (400, Some("request.malformed")),
                "{method} {answer:?}"
            );
            assert!(rig.upstream("mcp").of_case(&answer.case).is_empty());
            let without = Ask::new(method, "/mcp").field("accept", "text/event-stream");
            let answer = rig.ask("mcp", protocol, &without).await;
            assert_eq!(answer.status, 200, "{method} {answer:?}");
        }
    }
}

// REQ: G-14
#[tokio::test]
async fn parameter_headers_pass_within_their_bounds() {
    let rig = ONE.get();
    let with = |count: usize, length: usize| {
        let mut ask = modern_request(7, "tools/list", &json!({}));
        for number in 0..count {
            ask = ask.field(&format!("mcp-param-p{number}"), "x".repeat(length));
        }
        ask
    };
    for protocol in BOTH {
        for (count, length, status) in
            [(64, 8, 200), (65, 8, 431), (4, 3_900, 200), (4, 4_200, 431)]
        {
            let answer = rig.ask("mcp", protocol, &with(count, length)).await;
            assert_eq!(answer.status, status, "{count} x {length}: {answer:?}");
            let arrived = rig.upstream("mcp").of_case(&answer.case);
            if status == 200 {
                let params = arrived[0]
                    .headers
                    .iter()
                    .filter(|(name, _)| name.starts_with("mcp-param-"));
                assert_eq!(params.count(), count);
            } else {
                assert_eq!(answer.reason().as_deref(), Some("request.header_too_large"));
                assert!(arrived.is_empty());
            }
        }
    }
}

// REQ: R-3
#[tokio::test]
async fn the_depth_of_json_is_a_setting_without_a_mode() {
    let upstream = Upstream::new();
    let palisade = Palisade::with(&format!(
        "mode = \"off\"\n[limits]\njson_depth = 5\n[[server]]\nname = \"a\"\npath = \"/mcp\"\nupstream = \"{}\"\n",
        upstream.url()
    ));
    for (depth, status) in [(3, 200), (4, 400)] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":{}{}}}}}"#,
            "[".repeat(depth),
            "]".repeat(depth)
        );
        let answer = palisade
            .client()
            .ask(Protocol::Http2, &Ask::post(&body))
            .await;
        assert_eq!(answer.status, status, "{depth}");
    }
}

//! Who may use what.

use e2e::wire::{Ask, BOTH};
use e2e::{Palisade, Reply, Upstream};
use serde_json::{Value as Json, json};

use super::keys::new_key;

/// Lists three tools, in JSON or as an event.
fn upstream() -> Upstream {
    Upstream::answering(|request| {
        let message = request.json();
        let tools = json!([{ "name": "read_file" }, { "name": "delete_file", "title": "read_file" }, { "name": "read_dir" }]);
        let result = match message["method"].as_str() {
            Some("tools/list") => json!({ "tools": tools, "cacheScope": "public" }),
            Some("prompts/list") => json!({ "prompts": [{ "name": "a" }, { "name": "b" }] }),
            Some("resources/list") => {
                json!({ "resources": [{ "uri": "file:///a" }, { "uri": "db:///b" }] })
            }
            _ => json!({}),
        };
        let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
        if request.header("x-events").is_some() {
            let event = format!("event: message\nid: 7\ndata: {answer}\n\n");
            return Reply::new(200, &[("content-type", "text/event-stream")], event);
        }
        Reply::json(&answer)
    })
}

fn ask(key: &str, method: &str, params: Json) -> Ask {
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    Ask::post(&message.to_string()).field("authorization", format!("Bearer {key}"))
}

fn gateway(upstream: &Upstream) -> (Palisade, [String; 3]) {
    let (reader, first) = new_key("reader", &["--scope", "files:read"]);
    let (admin, second) = new_key(
        "admin",
        &["--scope", "files:read", "--scope", "files:write"],
    );
    let (guest, third) = new_key("guest", &[]);
    let palisade = Palisade::builder()
        .config(&format!("{first}{second}{third}"))
        .config(&format!(
            r#"
            [[server]]
            name = "test"
            path = "/mcp"
            upstream = "{}"
            [[server.allow]]
            tool = "read_*"
            scope = "files:read"
            [[server.allow]]
            tool = "delete_*"
            caller = "key:admin"
            scope = ["files:read", "files:write"]
            [[server.allow]]
            resource = "file:///*"
            prompt = "a"
            "#,
            upstream.url()
        ))
        .start();
    (palisade, [reader, admin, guest])
}

// REQ: A-4, G-14
#[tokio::test]
async fn only_what_a_rule_allows_is_done() {
    let upstream = upstream();
    let (palisade, [reader, admin, guest]) = gateway(&upstream);
    let client = palisade.client();
    let tool = |name: &str| json!({ "name": name, "arguments": {} });
    for (key, method, params, status, reason) in [
        (&reader, "tools/call", tool("read_file"), 200, ""),
        (
            &reader,
            "tools/call",
            tool("delete_file"),
            403,
            "access.denied",
        ),
        (
            &reader,
            "tools/call",
            tool("Read_file"),
            403,
            "access.denied",
        ),
        (&reader, "tools/call", tool("other"), 403, "access.denied"),
        (&admin, "tools/call", tool("delete_file"), 200, ""),
        (&guest, "tools/call", tool("read_file"), 403, "access.scope"),
        (
            &guest,
            "resources/read",
            json!({ "uri": "file:///a" }),
            200,
            "",
        ),
        (
            &guest,
            "resources/read",
            json!({ "uri": "db:///a" }),
            403,
            "access.denied",
        ),
        (&guest, "prompts/get", json!({ "name": "a" }), 200, ""),
        (
            &guest,
            "prompts/get",
            json!({ "name": "b" }),
            403,
            "access.denied",
        ),
        (&guest, "ping", json!({}), 200, ""),
        (&guest, "initialize", json!({}), 200, ""),
        (&guest, "future/method", json!({}), 403, "access.denied"),
    ] {
        for protocol in BOTH {
            let before = upstream.arrived().len();
            let answer = client
                .ask(protocol, &ask(key, method, params.clone()))
                .await;
            assert_eq!(answer.status, status, "{method} {params} {answer:?}");
            if status == 200 {
                continue;
            }
            assert_eq!(
                answer.reason().as_deref(),
                Some(reason),
                "{method} {params}"
            );
            assert_eq!(answer.json()["id"], 1);
            assert_eq!(upstream.arrived().len(), before);
            let record = palisade.record_of(&answer);
            assert_eq!(record["outcome"], "denied", "{record}");
            assert!(record["actor"]["id"].as_str().unwrap().starts_with("key:"));
            let challenge = answer.header("www-authenticate");
            match reason {
                "access.scope" => {
                    let challenge = challenge.unwrap();
                    assert!(
                        challenge.contains("error=\"insufficient_scope\""),
                        "{challenge}"
                    );
                    assert!(challenge.contains("scope=\"files:read\""), "{challenge}");
                }
                _ => assert_eq!(challenge, None),
            }
        }
    }
    // One message of a batch is enough, and headers change nothing.
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "ping" },
        { "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": tool("delete_file") },
    ]);
    let batch = Ask::post(&batch.to_string()).field("authorization", format!("Bearer {reader}"));
    assert_eq!(client.ask(BOTH[0], &batch).await.status, 403);
    let lying = ask(&reader, "tools/call", tool("delete_file"))
        .field("mcp-method", "tools/call")
        .field("mcp-name", "read_file");
    assert_eq!(client.ask(BOTH[0], &lying).await.status, 403);
}

// REQ: A-4
#[tokio::test]
async fn lists_hold_what_the_caller_may_use() {
    let upstream = upstream();
    let (palisade, [reader, admin, guest]) = gateway(&upstream);
    let client = palisade.client();
    for (key, method, list, name, expected) in [
        (
            &reader,
            "tools/list",
            "tools",
            "name",
            &["read_file", "read_dir"][..],
        ),
        (
            &admin,
            "tools/list",
            "tools",
            "name",
            &["read_file", "delete_file", "read_dir"],
        ),
        (&guest, "tools/list", "tools", "name", &[]),
        (&guest, "prompts/list", "prompts", "name", &["a"]),
        (&guest, "resources/list", "resources", "uri", &["file:///a"]),
    ] {
        for protocol in BOTH {
            for events in [false, true] {
                let mut ask = ask(key, method, json!({}));
                if events {
                    ask = ask.field("x-events", "1");
                }
                let answer = client.ask(protocol, &ask).await;
                assert_eq!(answer.status, 200, "{answer:?}");
                let text = answer.text();
                let json: Json = if events {
                    assert!(text.contains("event: message\nid: 7\n"), "{text}");
                    let data = text.lines().find_map(|line| line.strip_prefix("data: "));
                    serde_json::from_str(data.unwrap()).unwrap()
                } else {
                    answer.json()
                };
                let result = &json["result"];
                let listed: Vec<&str> = result[list]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|item| item[name].as_str().unwrap())
                    .collect();
                assert_eq!(listed, expected, "{method} {events} {text}");
                assert_eq!(result["cacheScope"], "private", "{text}");
            }
        }
    }
}

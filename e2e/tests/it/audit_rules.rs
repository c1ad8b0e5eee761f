//! How much the audit log tells of which calls.

use std::time::Duration;

use e2e::wire::{Ask, BOTH, Protocol};
use e2e::{Palisade, Reply, Upstream};
use serde_json::{Value as Json, json};

use crate::rig::{Rig, modern, section, server};

fn call(tool: &str, arguments: &Json) -> Ask {
    let params = json!({ "name": tool, "arguments": arguments });
    let message = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params });
    Ask::post(&message.to_string())
}

/// Answers in JSON, or in events where the tool's name says so.
fn upstream() -> Upstream {
    Upstream::answering(|request| {
        let message = request.json();
        let tool = message["params"]["name"].as_str().unwrap_or_default();
        let text = match tool {
            "long_answer" => "x".repeat(70_000),
            _ => "mail bob@example.com".to_owned(),
        };
        let result = json!({ "content": [{ "type": "text", "text": text }] });
        if !tool.starts_with("sse_") {
            return Reply::result(request, &result);
        }
        let noise = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progress": 1 } });
        let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
        let answer = answer.to_string().replacen(',', ",\ndata: ", 1);
        Reply::events(&[
            (Duration::ZERO, &*format!("data: {noise}\n\n")),
            (Duration::ZERO, &*format!("data: {answer}\r\n\r\n")),
        ])
    })
}

const RULES: &str = r#"
    [[audit.rule]]
    tool = "quiet_*"
    level = "none"
    [[audit.rule]]
    tool = "vault_*"
    redact = "whole"
    [[audit.rule]]
    tool = "meta_*"
    level = "metadata"
    [[audit.rule]]
    tool = "send_mail"
    allow = ["/to", "/cc/*"]
    [[audit.rule]]
    tool = "*_answer"
    level = "response"
"#;

// REQ: L-1, L-2
#[tokio::test]
async fn a_rule_says_how_much_is_told() {
    let rig = Rig::new(RULES, [server("mcp", upstream())]);
    let arguments = json!({ "to": "bob@example.com", "cc": ["eve@example.com"], "body": "from al@example.com" });
    for protocol in BOTH {
        for (tool, args, response) in [
            (
                "other",
                json!({ "to": "[REDACTED]", "cc": ["[REDACTED]"], "body": "from [REDACTED]" }),
                false,
            ),
            ("vault_read", json!("[REDACTED]"), false),
            ("meta_read", Json::Null, false),
            (
                "send_mail",
                json!({ "to": "bob@example.com", "cc": ["eve@example.com"], "body": "from [REDACTED]" }),
                false,
            ),
            (
                "plain_answer",
                json!({ "to": "[REDACTED]", "cc": ["[REDACTED]"], "body": "from [REDACTED]" }),
                true,
            ),
            (
                "sse_answer",
                json!({ "to": "[REDACTED]", "cc": ["[REDACTED]"], "body": "from [REDACTED]" }),
                true,
            ),
        ] {
            let (answer, record) = rig.recorded("mcp", protocol, &call(tool, &arguments)).await;
            assert_eq!(answer.status, 200);
            assert_eq!(
                (&record["tool"], &record["outcome"]),
                (&tool.into(), &"ok".into())
            );
            assert_eq!(record["args"], args, "{tool} {protocol:?}");
            assert_eq!(
                record.get("response").is_some(),
                response,
                "{tool} {record}"
            );
            if response {
                let answered = &record["response"];
                assert_eq!(answered["id"], 7, "{record}");
                assert_eq!(answered["result"]["content"][0]["text"], "mail [REDACTED]");
            }
            // The intent tells no more.
            let id = &record["requestId"];
            let lines = rig.palisade.audit_lines();
            let intent = lines.iter().find(|line| line["requestId"] == *id).unwrap();
            assert_eq!(intent["phase"], "intent");
            assert_eq!(intent["args"], args, "{tool}");
        }
        let (_, record) = rig
            .recorded("mcp", protocol, &call("long_answer", &json!({})))
            .await;
        assert_eq!(record["response"]["omitted"], true, "{record}");
        assert!(
            record["response"]["bytes"]
                .as_u64()
                .is_some_and(|bytes| bytes > 70_000)
        );
    }
}

// REQ: L-1
#[tokio::test]
async fn at_level_none_only_refusals_are_told() {
    let rated = server("mcp", upstream()).with("[server.tool.quiet_rated]\nrate = \"1/h\"");
    let rig = Rig::new(RULES, [rated]);
    let quiet = rig
        .ask("mcp", Protocol::Http1, &call("quiet_read", &json!({})))
        .await;
    assert_eq!(quiet.status, 200);
    let refused = call("quiet_rated", &json!({}));
    let _ = rig.ask("mcp", Protocol::Http1, &refused).await;
    let (refused, record) = rig.recorded("mcp", Protocol::Http1, &refused).await;
    assert_eq!(refused.status, 429);
    assert_eq!(record["outcome"], "denied");
    let (_, _) = rig
        .recorded("mcp", Protocol::Http1, &call("other", &json!({})))
        .await;
    let id = quiet.header("x-request-id").unwrap();
    let lines = rig.palisade.audit_lines();
    assert!(
        lines.iter().all(|line| line["requestId"] != *id),
        "{lines:?}"
    );
}

// REQ: L-1, L-2
#[tokio::test]
async fn each_server_has_rules_of_its_own_and_all_one_key() {
    let upstream = upstream();
    let key = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(key.path(), "01".repeat(32)).unwrap();
    let other = section(
        "other",
        &upstream.url(),
        "[[server.audit.rule]]\ntool = \"*\"\nlevel = \"metadata\"",
    );
    let palisade = Palisade::with(&format!(
        "[audit]\npseudonym_key = \"{}\"\n{}{other}",
        key.path().display(),
        section("mcp", &upstream.url(), "")
    ));
    let ask = call("send", &json!({ "to": "bob@example.com" }));
    let answer = palisade
        .client()
        .ask(Protocol::Http1, &ask.clone().target("/mcp"))
        .await;
    let record = palisade.record_of(&answer);
    let to = record["args"]["to"].as_str().unwrap();
    assert!(to.starts_with("[REDACTED:email:") && to.len() == 25, "{to}");
    let answer = palisade
        .client()
        .ask(Protocol::Http1, &ask.target("/other"))
        .await;
    assert_eq!(palisade.record_of(&answer)["args"], Json::Null);
}

/// The issue's list, in one place.
// REQ: L-1
#[tokio::test]
async fn what_goes_wrong_shows_with_outcome_and_reason() {
    let answers = Upstream::answering(|request| match request.json()["params"]["name"].as_str() {
        Some("fails") => Reply::result(
            request,
            &json!({ "isError": true, "content": [{ "type": "text", "text": "no" }] }),
        ),
        Some("breaks") => Reply::close(),
        Some("streams") => Reply::open_events(&[(
            Duration::ZERO,
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n",
        )]),
        _ => Reply::result(request, &json!({})),
    });
    let stranger = Palisade::before(&answers);
    let config = format!(
        "[limits]\nbody = 2000\n{}{}{}{}",
        section("mcp", &answers.url(), ""),
        section("rated", &answers.url(), "[server.rate]\npeer = \"1/h\""),
        // Its certificate is by an authority that the gateway does not know.
        section(
            "tls",
            &format!("https://localhost:{}/mcp", stranger.port()),
            ""
        ),
        section("gone", &format!("http://{}/mcp", Upstream::nobody()), ""),
    );
    let palisade = Palisade::with(&config);
    let ask = |path: &str, tool: &str| call(tool, &json!({})).target(path);
    let _ = palisade
        .client()
        .ask(Protocol::Http1, &ask("/rated", "x"))
        .await;
    for (ask, status, outcome, reason) in [
        (
            ask("/mcp", "x").host("evil.example"),
            403,
            "denied",
            Some("host.not_allowed"),
        ),
        (
            ask("/mcp", "x").body(" ".repeat(3_000)),
            413,
            "denied",
            Some("body.too_large"),
        ),
        (ask("/rated", "x"), 429, "denied", Some("rate.exceeded")),
        (
            ask("/tls", "x"),
            502,
            "upstream_unreachable",
            Some("upstream."),
        ),
        (
            ask("/gone", "x"),
            502,
            "upstream_unreachable",
            Some("upstream."),
        ),
        (
            ask("/mcp", "breaks"),
            502,
            "upstream_unreachable",
            Some("upstream."),
        ),
        (ask("/mcp", "fails"), 200, "error", None),
    ] {
        for protocol in BOTH {
            let answer = palisade.client().ask(protocol, &ask).await;
            let record = palisade.record_of(&answer);
            let context = format!("{protocol:?} {ask:?} {record}");
            assert_eq!(answer.status, status, "{context}");
            assert_eq!(record["outcome"], outcome, "{context}");
            match reason {
                Some(reason) => assert!(
                    record["reason"]
                        .as_str()
                        .is_some_and(|found| found.starts_with(reason)),
                    "{context}"
                ),
                None => assert_eq!(record.get("reason"), None, "{context}"),
            }
        }
    }
    // An event stream that the client leaves.
    for (ask, outcome) in [
        (ask("/mcp", "streams"), "detached"),
        (modern(7, "streams").target("/mcp"), "cancelled"),
    ] {
        let mut client = palisade.client().http1().await;
        let answer = client.open(&ask).await;
        assert_eq!(answer.status, 200);
        drop(client);
        assert_eq!(palisade.record_of(&answer)["outcome"], outcome);
    }
}

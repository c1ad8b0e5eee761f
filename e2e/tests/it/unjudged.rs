//! What would reach a server other than as it was judged, or without a record.

use e2e::Upstream;
use e2e::wire::{Ask, BOTH, Protocol};

use crate::rig::{Rig, server};

// REQ: L-1
#[tokio::test]
async fn options_that_reach_the_upstream_are_recorded() {
    let rig = Rig::new("", [server("mcp", Upstream::new())]);
    for protocol in BOTH {
        let (answer, record) = rig
            .recorded("mcp", protocol, &Ask::new("OPTIONS", "/"))
            .await;
        assert_eq!(answer.status, 200);
        assert_eq!(record["outcome"], "ok", "{record}");
    }
}

// REQ: G-15
#[tokio::test]
async fn no_body_is_left_for_a_server_to_take_for_a_request() {
    let plain = server("plain", Upstream::new()).with("kind = \"http\"");
    let rig = Rig::new("", [plain]);
    let hidden = "GET /admin HTTP/1.1\r\nHost: internal\r\n\r\n";
    for method in ["GET", "DELETE", "OPTIONS"] {
        let ask = Ask::new(method, "/").body(hidden);
        let answer = rig.ask("plain", Protocol::Http1, &ask).await;
        assert_eq!(
            (answer.status, answer.reason().as_deref()),
            (400, Some("request.malformed"))
        );
    }
    assert_eq!(rig.upstream("plain").arrived().len(), 0);

    // Nobody knows whether a plain endpoint reads its body: its connection serves no other.
    for _ in 0..2 {
        let ask = Ask::new("POST", "/").body(hidden);
        assert_eq!(rig.ask("plain", Protocol::Http1, &ask).await.status, 200);
    }
    assert_eq!(rig.upstream("plain").connections(), 2);
}

// REQ: G-17
#[tokio::test]
async fn a_notification_does_not_pass_a_tools_limit() {
    let lines = "[server.tool.\"danger\"]\nrate = \"1/min\"";
    let rig = Rig::new("", [server("mcp", Upstream::new()).with(lines)]);
    let ask = Ask::post(
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"danger","arguments":{}}}"#,
    );
    assert_eq!(rig.ask("mcp", Protocol::Http1, &ask).await.status, 200);
    let answer = rig.ask("mcp", Protocol::Http1, &ask).await;
    assert_eq!(
        (answer.status, answer.reason().as_deref()),
        (429, Some("rate.exceeded"))
    );
    assert_eq!(rig.upstream("mcp").arrived().len(), 1);
}

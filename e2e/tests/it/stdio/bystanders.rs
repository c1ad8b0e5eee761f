//! Servers as their READMEs start them.

use serde_json::json;

use crate::peers::{e2e, node};

use super::{Session, before, messages};

// REQ: G-1, G-16
#[tokio::test]
async fn server_everything() {
    let script = "node_modules/@modelcontextprotocol/server-everything/dist/index.js";
    let command = [node(), e2e().join(script), "stdio".into()];
    let command: Vec<String> = command
        .iter()
        .map(|word| word.display().to_string())
        .collect();
    let palisade = before(&command, "");
    let session = Session::open(&palisade).await;
    let answer = session
        .ask(&json!({
            "jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": { "name": "echo", "arguments": { "message": "through" } },
        }))
        .await;
    let result = &messages(&answer).pop().unwrap()["result"];
    assert_eq!(result["content"][0]["text"], "Echo: through");
    assert_eq!(session.delete().await.status, 200);
}

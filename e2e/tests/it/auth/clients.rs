//! The official SDKs' clients, with nothing but Palisade's URL.

use std::time::Duration;

use e2e::Palisade;
use serde_json::json;

use super::idp::Idp;
use crate::peers::{Kind, Program, Server, room};

const LIMIT: Duration = Duration::from_secs(120);

/// Runs the clients against `/mcp` of a gateway.
async fn through(palisade: &Palisade, more: &[&str]) {
    let url = format!("https://127.0.0.1:{}/mcp", palisade.port());
    let node = |script| Program::node(script).arguments(&[&url]);
    for (program, first) in [
        (node("clients/oauth-v1.mjs"), "challenged"),
        (node("clients/oauth-v2.mjs"), "challenged"),
        (
            Program::python("venv", "clients/oauth_client.py")
                .arguments(&[&url])
                .ca(),
            "",
        ),
    ] {
        let ran = program.run(LIMIT).await;
        let mut expected: Vec<&str> = [first, "token", "call"].into();
        expected.retain(|step| !step.is_empty());
        if !first.is_empty() {
            expected.extend(more);
        }
        assert_eq!(
            ran.report["passed"],
            json!(expected),
            "{}\n{}",
            ran.said,
            palisade.stderr()
        );
    }
}

// REQ, G-1
#[tokio::test]
async fn obtain_a_token_for_palisade_and_call_a_tool() {
    let _room = room().await;
    let idp = Idp::start();
    let server = Server::start(Kind::Everything);
    let palisade = Palisade::with(&format!(
        "[auth]\nscopes = [\"mcp:read\"]\nallow_special = [\"{}\"]\n[[auth.jwt]]\nissuer = \"{}\"\n[[server]]\nname = \"test\"\npath = \"/mcp\"\nupstream = \"{}\"\n",
        idp.authority(),
        idp.issuer(),
        server.url(),
    ));
    through(&palisade, &["refreshed"]).await;
    let calls = palisade.audit_where(3, |record| record["tool"] == "echo");
    for call in calls {
        assert_eq!(call["actor"]["id"], "alice", "{call}");
    }
}

// REQ: A-7
#[tokio::test]
async fn obtain_a_token_for_an_upstream_of_its_own_and_call_a_tool() {
    let _room = room().await;
    let idp = Idp::start();
    let server = Server::start_with(Kind::OAuth, &[idp.issuer()]);
    let palisade = Palisade::with(&format!(
        "[[server]]\nname = \"test\"\npath = \"/mcp\"\nupstream = \"{}\"\nauth = \"none\"\n",
        server.url(),
    ));
    through(&palisade, &["refreshed"]).await;
    for call in palisade.audit_where(3, |record| record["tool"] == "echo") {
        assert_eq!(call["actor"]["id"], "anonymous", "{call}");
    }
}

/// For how long the gateway takes tokens that are over, in seconds. No client asks for another so
/// long before its own clock says so.
const LEEWAY: u32 = 5;

// REQ, G-1
#[tokio::test]
async fn refresh_a_token_that_is_over_without_asking_anybody() {
    let _room = room().await;
    let idp = Idp::lasting(4);
    let server = Server::start(Kind::Everything);
    let palisade = Palisade::with(&format!(
        "[auth]\nscopes = [\"mcp:read\"]\nallow_special = [\"{}\"]\n[[auth.jwt]]\nissuer = \"{}\"\nleeway = \"{LEEWAY}s\"\n[[server]]\nname = \"test\"\npath = \"/mcp\"\nupstream = \"{}\"\n",
        idp.authority(),
        idp.issuer(),
        server.url(),
    ));
    let url = format!("https://127.0.0.1:{}/mcp", palisade.port());
    let over = (LEEWAY + 1).to_string();
    let node = |script| Program::node(script).arguments(&[&url, &over]).run(LIMIT);
    let python = Program::python("venv", "clients/oauth_client.py")
        .arguments(&[&url, "--over", &over])
        .ca();
    let (first, second, third) = tokio::join!(
        node("clients/oauth-v1.mjs"),
        node("clients/oauth-v2.mjs"),
        python.run(LIMIT)
    );
    let typescript = &["challenged", "token", "call", "over", "refreshed"][..];
    for (ran, expected) in [
        (first, typescript),
        (second, typescript),
        (third, &["token", "call", "over"]),
    ] {
        assert_eq!(
            ran.report["passed"],
            json!(expected),
            "{}\n{}",
            ran.said,
            palisade.stderr()
        );
    }
    // Two calls of each client, all alice's, and what was refused in between was over.
    let calls = palisade.audit_where(6, |record| {
        record["tool"] == "echo" && record["outcome"] == "ok"
    });
    for call in calls {
        assert_eq!(call["actor"]["id"], "alice", "{call}");
    }
    let refused = palisade.audit_where(1, |record| record["reason"] == "auth.invalid");
    assert!(
        refused.iter().any(|record| record["error"]
            .as_str()
            .is_some_and(|error| error.contains("`exp`"))),
        "{refused:?}"
    );
}

//! Real clients at one end, real servers behind `palisade serve` with TLS at the other.

use std::time::Duration;

use e2e::{Palisade, palisade};

use crate::clients::passed;
use crate::peers::{Kind, Program, Server, gateway, room, url};
use crate::stdio::{Sdk, before};

const LIMIT: Duration = Duration::from_secs(240);

const BOTH: &[&str] = &[
    "legacy/list",
    "legacy/call",
    "legacy/progress",
    "legacy/sampling",
    "legacy/elicitation",
    "legacy/cancellation",
    "legacy/subscription",
];
const AUTO: &[&str] = &[
    "auto/list",
    "auto/call",
    "auto/progress",
    "auto/sampling",
    "auto/elicitation",
    "auto/cancellation",
    "auto/subscription",
    "auto/rounds",
];
/// A server by HTTP closes the stream of a call, and the client comes back to it.
const RESUMED: &[&str] = &["legacy/resumption"];

/// With stdio at both ends: what goes both ways, which is what could go astray.
const ASKED: &[&str] = &["legacy/call", "legacy/sampling", "legacy/elicitation"];
const ASKED_AUTO: &[&str] = &["auto/call", "auto/sampling", "auto/elicitation"];

/// Puts a client through its exercises: before a server by HTTP, and before a command.
async fn client(
    program: impl Fn() -> Program,
    kind: Kind,
    by_http: &[&[&str]],
    by_stdio: &[&[&str]],
) {
    let _room = room().await;
    let server = Server::start(kind);
    exercise(&program, &gateway(&server, "/mcp", "rewrite"), by_http).await;
    let palisade = before(&Sdk::Python.command(), "");
    exercise(&program, &palisade, by_stdio).await;
}

async fn exercise(program: impl Fn() -> Program, palisade: &Palisade, wanted: &[&[&str]]) {
    let binary = palisade::binary().canonicalize().unwrap();
    let url = url(palisade, "/mcp");
    let wanted: Vec<String> = wanted
        .concat()
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    let mut arguments = vec![url, "--connect".to_owned(), binary.display().to_string()];
    for exercise in &wanted {
        arguments.extend(["--only".to_owned(), exercise.clone()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ran = program().arguments(&arguments).ca().run(LIMIT).await;
    passed(&ran, &wanted);
    let refused = palisade.audit_where(0, |record| record["reason"].is_string());
    assert!(refused.is_empty(), "{refused:?}");
    // Each in its era, as the headers of its messages said.
    for (era, revision) in [("legacy/", "2025-11-25"), ("auto/", "2026-07-28")] {
        if wanted.iter().any(|exercise| exercise.starts_with(era)) {
            palisade.audit_where(1, |record| {
                record["tool"] == "echo" && record["revision"] == revision
            });
        }
    }
}

// REQ: U-2, G-2
#[tokio::test]
async fn python() {
    let program = || Program::python("venv", "clients/python_client.py");
    client(
        program,
        Kind::Rmcp,
        &[BOTH, RESUMED, AUTO],
        &[ASKED, ASKED_AUTO],
    )
    .await;
}

// REQ: U-2, G-2
#[tokio::test]
async fn fastmcp() {
    let program = || Program::python("venv-fastmcp", "clients/fastmcp_client.py");
    client(
        program,
        Kind::Python,
        &[BOTH, RESUMED, AUTO],
        &[ASKED, ASKED_AUTO],
    )
    .await;
}

// REQ: U-2, G-2
#[tokio::test]
async fn typescript_1() {
    let program = || Program::node("clients/typescript-v1.mjs");
    client(program, Kind::Python, &[BOTH, RESUMED], &[ASKED]).await;
}

// REQ: U-2, G-2
#[tokio::test]
async fn typescript_2() {
    let program = || Program::node("clients/typescript-v2.mjs");
    client(
        program,
        Kind::Python,
        &[BOTH, RESUMED, AUTO],
        &[ASKED, ASKED_AUTO],
    )
    .await;
}

// REQ: U-2, G-2
#[tokio::test]
async fn rmcp() {
    let program = || Program::built("rmcp-client");
    client(
        program,
        Kind::Rmcp,
        &[BOTH, RESUMED, AUTO],
        &[ASKED, ASKED_AUTO],
    )
    .await;
}

// REQ: U-2, G-2
#[tokio::test]
async fn inspector() {
    let program = || Program::node("clients/inspector.mjs");
    let legacy: &[&str] = &["legacy/list", "legacy/call", "legacy/elicitation"];
    let newer: &[&str] = &[
        "auto/list",
        "auto/call",
        "auto/cancellation",
        "modern/list",
        "modern/call",
        "modern/cancellation",
    ];
    let some: &[&str] = &[
        "legacy/call",
        "legacy/elicitation",
        "auto/call",
        "modern/call",
    ];
    client(program, Kind::Python, &[legacy, RESUMED, newer], &[some]).await;
}

/// A client that looks for 2026-07-28 finds that the server has none, and goes on with what it has.
// REQ: U-2, G-2
#[tokio::test]
async fn clients_fall_back_before_an_older_server() {
    let _room = room().await;
    let server = Server::start(Kind::Everything);
    let palisade = gateway(&server, "/mcp", "rewrite");
    let url = url(&palisade, "/mcp");
    let binary = palisade::binary().canonicalize().unwrap();
    let binary = binary.display().to_string();
    let clients: [fn() -> Program; 3] = [
        || Program::python("venv", "clients/python_client.py"),
        || Program::node("clients/typescript-v2.mjs"),
        || Program::built("rmcp-client"),
    ];
    for client in clients {
        let arguments = [&url, "--connect", &binary, "--only", "auto/list"];
        let ran = client().arguments(&arguments).ca().run(LIMIT).await;
        let reason = ran.report["failed"][0]["reason"].as_str();
        let reason = reason.unwrap_or_default();
        assert!(
            reason.contains("2026-07-28 was to be negotiated") && reason.contains("2025-11-25"),
            "{}",
            ran.said
        );
    }
}

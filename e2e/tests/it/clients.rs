//! Real clients through Palisade over TLS, to servers of the Python and the Rust SDK.

use std::time::Duration;

use serde_json::Value as Json;

use crate::peers::{Kind, Program, Ran, Server, gateway, room, say, url};

/// The slowest, the Inspector, takes twenty seconds alone on a machine: a process for each call.
const LIMIT: Duration = Duration::from_secs(240);

type Client = fn() -> Program;

/// Both eras have these.
const BOTH: &[&str] = &[
    "list",
    "call",
    "progress",
    "sampling",
    "elicitation",
    "cancellation",
    "subscription",
];
const LEGACY: &[&str] = &["resumption", "session_end"];
const MODERN: &[&str] = &["rounds"];

/// Everything that the clients can be put through; `auto` has to find 2026-07-28.
fn everything() -> Vec<String> {
    let mut all = exercises("legacy", &[BOTH, LEGACY]);
    all.extend(exercises("auto", &[BOTH, MODERN]));
    all
}

fn exercises(era: &str, lists: &[&[&str]]) -> Vec<String> {
    let names = lists.iter().copied().flatten();
    names.map(|name| format!("{era}/{name}")).collect()
}

// REQ: G-1, G-2, G-3, G-13
#[tokio::test]
async fn python() {
    let client = || Program::python("venv", "clients/python_client.py");
    through_palisade(client, &everything()).await;
}

// REQ: G-1, G-2, G-3, G-13
#[tokio::test]
async fn fastmcp() {
    let client = || Program::python("venv-fastmcp", "clients/fastmcp_client.py");
    through_palisade(client, &everything()).await;
}

// REQ: G-1, G-2, G-3
#[tokio::test]
async fn typescript_1() {
    let client = || Program::node("clients/typescript-v1.mjs");
    through_palisade(client, &exercises("legacy", &[BOTH, LEGACY])).await;
}

// REQ: G-1, G-2, G-3, G-13
#[tokio::test]
async fn typescript_2() {
    let client = || Program::node("clients/typescript-v2.mjs");
    through_palisade(client, &everything()).await;
}

// REQ: G-1, G-2, G-3, G-13
#[tokio::test]
async fn inspector() {
    let client = || Program::node("clients/inspector.mjs");
    let mut wanted = exercises(
        "legacy",
        &[&["era", "list", "call", "elicitation", "resumption"]],
    );
    for era in ["auto", "modern"] {
        wanted.extend(exercises(era, &[&["era", "list", "call", "cancellation"]]));
    }
    through_palisade(client, &wanted).await;
}

// REQ: G-1, G-2, G-3, G-13, T-3
#[tokio::test]
async fn rmcp_by_http2() {
    let client = || Program::built("rmcp-client");
    for report in through_palisade(client, &everything()).await {
        assert_eq!(report["http"], "HTTP/2.0", "{report}");
    }
}

// REQ: G-1, G-2, G-3, G-13, T-3
#[tokio::test]
async fn rmcp_by_http1() {
    let client = || Program::built("rmcp-client").arguments(&["--http1"]);
    for report in through_palisade(client, &everything()).await {
        assert_eq!(report["http"], "HTTP/1.1", "{report}");
    }
}

/// A server that knows no 2026-07-28: clients that probe for it find the older revision through
/// Palisade as they do without it. What they report is that they did not get 2026-07-28.
// REQ: G-2, G-13
#[tokio::test]
async fn clients_fall_back_before_an_older_server() {
    let _room = room().await;
    let server = Server::start(Kind::Everything);
    let palisade = gateway(&server, "/mcp", "rewrite");
    let clients: [(&str, Client); 4] = [
        ("python", || {
            Program::python("venv", "clients/python_client.py")
        }),
        ("fastmcp", || {
            Program::python("venv-fastmcp", "clients/fastmcp_client.py")
        }),
        ("typescript-v2", || {
            Program::node("clients/typescript-v2.mjs")
        }),
        ("rmcp", || Program::built("rmcp-client")),
    ];
    for (name, client) in clients {
        let mut reasons = Vec::new();
        for url in [server.url().to_owned(), url(&palisade, "/mcp")] {
            let client = client().arguments(&[&url, "--only", "auto/list"]).ca();
            let ran = client.run(LIMIT).await;
            assert_eq!(ran.code, Some(1), "{}", ran.said);
            let reason = ran.report["failed"][0]["reason"].clone();
            reasons.push(reason.as_str().unwrap_or_default().to_owned());
        }
        let [direct, through] = &reasons[..] else {
            unreachable!("two runs")
        };
        say(&format!("{name}: {through}"));
        assert_eq!(direct, through, "{name}");
        assert!(
            through.contains("2026-07-28 was to be negotiated"),
            "{name}: {through}"
        );
        assert!(through.contains("2025-11-25"), "{name}: {through}");
    }
}

/// Runs a client through Palisade to each server; all that is `wanted` has to pass, and nothing
/// may be refused on the way. Gives back the reports.
async fn through_palisade(client: impl Fn() -> Program, wanted: &[String]) -> Vec<Json> {
    let _room = room().await;
    let mut reports = Vec::new();
    for kind in [Kind::Python, Kind::Rmcp] {
        let server = Server::start(kind);
        let palisade = gateway(&server, "/mcp", "rewrite");
        let url = url(&palisade, "/mcp");
        let ran = client().arguments(&[&url]).ca().run(LIMIT).await;
        passed(&ran, wanted);
        // It was Palisade that carried it, in each era that the client speaks.
        let revisions = [("legacy/", "2025-11-25"), ("auto/", "2026-07-28")];
        for (era, revision) in revisions {
            if wanted.iter().any(|exercise| exercise.starts_with(era)) {
                palisade.audit_where(1, |record| {
                    record["tool"] == "echo"
                        && record["outcome"] == "ok"
                        && record["revision"] == revision
                });
            }
        }
        let refused = palisade.audit_where(0, |record| record["reason"].is_string());
        assert!(refused.is_empty(), "{refused:?}");
        reports.push(ran.report);
    }
    reports
}

/// Whether a client reports that all that is `wanted`, and nothing else, was tried and passed.
pub(crate) fn passed(ran: &Ran, wanted: &[String]) {
    say(&ran.report.to_string());
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    let mut wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let found = ran.report["passed"].as_array();
    let mut found: Vec<&str> = found
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .collect();
    wanted.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, wanted, "{}", ran.said);
    assert_eq!(
        ran.report["failed"],
        Json::Array(Vec::new()),
        "{}",
        ran.said
    );
}

//! Commands behind HTTP: real stdio servers of three SDKs, and a small one that misbehaves.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by a panic"
)]

mod bridge;
mod bystanders;
mod life;
mod sdks;

use std::time::{Duration, Instant};

use e2e::wire::{Answer, Ask, Protocol};
use e2e::{PATIENCE, Palisade};
use serde_json::{Value as Json, json};

use crate::peers::{e2e, node, python};

/// The command line of `upstreams/odd.py`.
pub(crate) fn odd(mode: &str) -> Vec<String> {
    // Not whatever `python3` is in somebody's PATH: that may be a shell script with children.
    let mut words = vec![python("venv").display().to_string(), "-IS".to_owned()];
    words.push(e2e().join("upstreams/odd.py").display().to_string());
    if !mode.is_empty() {
        words.push(mode.to_owned());
    }
    words
}

/// A gateway before a command, at `/mcp`; `lines` join the server's section.
pub(crate) fn before(command: &[String], lines: &str) -> Palisade {
    let command = json!(command);
    Palisade::builder()
        .config(&format!(
            r#"
            [cors]
            origin_regexes = ["http://localhost:[0-9]+"]
            [[server]]
            name = "test"
            command = {command}
            {lines}
            "#
        ))
        .start()
}

/// A session of the wire's own client.
pub(crate) struct Session<'a> {
    palisade: &'a Palisade,
    pub(crate) id: String,
}

impl<'a> Session<'a> {
    pub(crate) async fn open(palisade: &'a Palisade) -> Self {
        let answer = palisade
            .client()
            .ask(Protocol::Http1, &initialize("2025-11-25"))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let id = answer.header("mcp-session-id").unwrap().to_owned();
        let session = Self { palisade, id };
        let said = session
            .ask(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
            .await;
        assert_eq!((said.status, said.text().as_str()), (202, ""));
        session
    }

    pub(crate) fn with(&self, ask: Ask) -> Ask {
        ask.target("/mcp")
            .field("mcp-session-id", &self.id)
            .field("mcp-protocol-version", "2025-11-25")
    }

    pub(crate) fn message(&self, message: &Json) -> Ask {
        self.with(Ask::post(&message.to_string()))
    }

    pub(crate) async fn ask(&self, message: &Json) -> Answer {
        let ask = self.message(message);
        self.palisade.client().ask(Protocol::Http1, &ask).await
    }

    pub(crate) async fn call(&self, id: &Json, arguments: &Json) -> Answer {
        self.ask(&call(id, arguments)).await
    }

    pub(crate) async fn delete(&self) -> Answer {
        let ask = self.with(Ask::new("DELETE", "/mcp"));
        self.palisade.client().ask(Protocol::Http1, &ask).await
    }
}

pub(crate) fn initialize(revision: &str) -> Ask {
    let params = json!({
        "protocolVersion": revision,
        "capabilities": { "sampling": {} },
        "clientInfo": { "name": "test", "version": "1" },
    });
    let message =
        json!({ "jsonrpc": "2.0", "id": "first", "method": "initialize", "params": params });
    Ask::post(&message.to_string()).target("/mcp")
}

pub(crate) fn call(id: &Json, arguments: &Json) -> Json {
    let params = json!({
        "name": "do",
        "arguments": arguments,
        "_meta": { "progressToken": id },
    });
    json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params })
}

/// What `odd.py` said, in an answer of JSON or of events.
pub(crate) fn said(answer: &Answer) -> Json {
    let last = messages(answer).pop().unwrap_or_default();
    let text = last
        .pointer("/result/content/0/text")
        .and_then(Json::as_str);
    let text = text.unwrap_or_else(|| panic!("{} {}", answer.status, answer.text()));
    serde_json::from_str(text).unwrap()
}

/// The messages of an answer.
pub(crate) fn messages(answer: &Answer) -> Vec<Json> {
    if answer.header("content-type") == Some("application/json") {
        return vec![answer.json()];
    }
    events(&answer.text())
        .into_iter()
        .map(|event| event.1)
        .collect()
}

/// Ids and messages of an event stream; what has no message is left out.
pub(crate) fn events(text: &str) -> Vec<(String, Json)> {
    text.split("\n\n")
        .filter_map(|event| {
            let field = |name: &str| {
                let mut lines = event.lines();
                lines.find_map(|line| line.strip_prefix(name).map(str::to_owned))
            };
            let data = serde_json::from_str(&field("data: ")?).ok()?;
            Some((field("id: ").unwrap_or_default(), data))
        })
        .collect()
}

/// How many of something; a soak asks for more by `PALISADE_STDIO_name`.
pub(crate) fn amount(name: &str, usual: usize) -> usize {
    let asked = std::env::var_os(format!("PALISADE_STDIO_{name}"));
    asked.map_or(usual, |asked| asked.to_str().unwrap().parse().unwrap())
}

/// Every process whose parents lead to `root`.
pub(crate) fn below(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut at = 0;
    let table = table();
    while let Some(parent) = found.get(at).copied() {
        found.extend(
            table
                .iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| *pid),
        );
        at += 1;
    }
    found.remove(0);
    found
}

/// The process below `root` that knows itself by this number, which may be one of a namespace of its
/// own (`NSpid` in proc(5)).
pub(crate) fn outside(root: u32, inside: &Json) -> u32 {
    let inside = inside.as_u64().unwrap().to_string();
    let own_number = |pid: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        line.and_then(|line| line.split_ascii_whitespace().next_back())
            .is_some_and(|number| number == inside)
    };
    // Outer processes come first, and have other numbers inside or none.
    let mut found: Vec<_> = below(root).into_iter().filter(own_number).collect();
    assert_eq!(found.len(), 1, "{inside}: {found:?}");
    found.remove(0)
}

/// Processes and their parents; those that have ended and wait to be taken leave of count as well.
fn table() -> Vec<(u32, u32)> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(process.path().join("stat")).ok()?;
            let (_, rest) = stat.rsplit_once(')')?;
            Some((pid, rest.split_ascii_whitespace().nth(1)?.parse().ok()?))
        })
        .collect()
}

/// A process's memory, in kB.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

pub(crate) fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, None | Some(None | Some('Z')))
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    within(PATIENCE, what, holds).await;
}

pub(crate) async fn within(limit: Duration, what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The stdio servers of the SDKs, with the fixtures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sdk {
    /// Both eras; not all of the fixtures.
    Fastmcp,
    /// Both eras.
    Python,
    /// Both eras.
    Rmcp,
    /// Up to 2025-11-25.
    Typescript,
}

impl Sdk {
    pub(crate) fn command(self) -> Vec<String> {
        let words: Vec<std::path::PathBuf> = match self {
            Self::Fastmcp => vec![
                python("venv-fastmcp"),
                e2e().join("upstreams/fastmcp/server.py"),
            ],
            Self::Python => vec![
                python("venv"),
                e2e().join("upstreams/python/server.py"),
                "stdio".into(),
            ],
            Self::Rmcp => vec![crate::peers::built("rmcp-server"), "stdio".into()],
            Self::Typescript => vec![node(), e2e().join("upstreams/typescript/server.mjs")],
        };
        words
            .iter()
            .map(|word| word.display().to_string())
            .collect()
    }
}

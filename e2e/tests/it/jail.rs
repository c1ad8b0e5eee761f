//! The jail by the real binary's own launch path: keeper, launcher, command. The test stands in the
//! gateway's place; in `serve`, the gateway itself.

#[path = "../../../crates/palisade-egress/tests/support/container.rs"]
mod container;
mod flood;
mod restricted;
mod serve;

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::PATIENCE;
use palisade_egress::jail::{self, Jail};
use palisade_egress::proxy::{Identity, Plan, Proxy, ProxyLimits};
use palisade_egress::{
    Answers, BoxFuture, Guard, Level, Name, OwnAddresses, Policy, Resolve, ResolveError, Unobserved,
};
use serde_json::{Value as Json, json};
use tokio::runtime::Handle;

use crate::peers::{built, e2e, node24, python};
use crate::stdio::Sdk;

const WALLS: [Level; 2] = [Level::Isolated, Level::Supervised];

/// The keeper of a command.
fn keeper(command: &[OsString], wall: Option<&str>) -> Command {
    let mut keeper = Command::new(built("palisade"));
    keeper
        .arg("__keep")
        .arg(std::process::id().to_string())
        .arg(wall.unwrap_or("-"))
        .args(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    keeper
}

#[derive(Debug)]
struct NoNames;

impl Resolve for NoNames {
    fn resolve<'a>(&'a self, _: &'a Name) -> BoxFuture<'a, Result<Answers, ResolveError>> {
        Box::pin(async { Err(ResolveError::NoAddress) })
    }
}

/// Starts a command that may reach nothing.
fn jailed(level: Level, command: &[String], runtime: &Handle) -> Child {
    let policy = Policy::builder().own_addresses(OwnAddresses::fixed([]));
    let policy = Arc::new(policy.allowlist([""; 0]).build().unwrap());
    let guard = Guard::new(policy, Arc::new(NoNames));
    let plan = Plan::new().with_listener(Identity::new("test", guard));
    let proxy = Proxy::new(plan, ProxyLimits::default(), Arc::new(Unobserved));
    let prepared = Jail::new(level, proxy, "test").prepare().unwrap().unwrap();
    let command: Vec<_> = command.iter().map(OsString::from).collect();
    let child = prepared
        .start(|wall| keeper(&command, Some(wall)).spawn())
        .unwrap();
    prepared.guard(runtime).unwrap();
    child
}

// REQ: E-3
#[tokio::test(flavor = "multi_thread")]
async fn the_canary_proves_both_walls() {
    let runtime = Handle::current();
    for level in WALLS {
        let mut start = |command: &[OsString], wall: Option<&str>| keeper(command, wall).spawn();
        let proven = tokio::task::block_in_place(|| jail::prove(level, &runtime, &mut start));
        let proven = proven.unwrap();
        assert_eq!(proven.level, level, "{proven}");
    }
}

// REQ: E-3
#[tokio::test(flavor = "multi_thread")]
async fn official_servers_start_and_list_their_tools() {
    let text = |path: std::path::PathBuf| path.display().to_string();
    let everything =
        text(e2e().join("node_modules/@modelcontextprotocol/server-everything/dist/index.js"));
    let npx = text(e2e().join("node_modules/.bin/mcp-server-everything"));
    let servers = [
        Sdk::Python.command(),
        Sdk::Rmcp.command(),
        Sdk::Typescript.command(),
        vec![text(node24()), everything, "stdio".to_owned()],
        // A shell that starts it, as npx does.
        vec![
            "sh".to_owned(),
            "-c".to_owned(),
            format!("{npx} stdio; exit $?"),
        ],
    ];
    for level in WALLS {
        for server in &servers {
            let mut child = jailed(level, server, &Handle::current());
            let answer = tokio::task::block_in_place(|| tools(&mut child));
            assert!(!answer.is_empty(), "{level} {server:?}");
            drop(child.stdin.take());
            ended(&mut child);
        }
    }
}

/// The names of a server's tools.
fn tools(child: &mut Child) -> Vec<Json> {
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ask = |message: Json| writeln!(stdin, "{message}").unwrap();
    ask(
        json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" },
    } }),
    );
    ask(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    ask(json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/list" }));
    let answer = lines.by_ref().map(Result::unwrap).find_map(|line| {
        let message: Json = serde_json::from_str(&line).ok()?;
        (message["id"] == 2).then_some(message)
    });
    child.stdin = Some(stdin);
    let Some(answer) = answer else {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
        panic!("no answer; it said: {said}");
    };
    answer["result"]["tools"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

fn ended(child: &mut Child) {
    let until = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < until, "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
}

// REQ: E-3
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_keeper_takes_the_jail_with_it() {
    for level in WALLS {
        // Held by the jailed command; free again when it has ended.
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("held");
        let script = format!(
            "import fcntl, sys, time\nf = open({:?}, 'w'); fcntl.flock(f, fcntl.LOCK_EX)\nprint('held', flush=True)\ntime.sleep(600)",
            file.display().to_string()
        );
        let command = [
            python("venv").display().to_string(),
            "-c".to_owned(),
            script,
        ];
        let mut child = jailed(level, &command, &Handle::current());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "held");
        child.kill().unwrap();
        child.wait().unwrap();
        let until = Instant::now() + PATIENCE;
        let held = std::fs::File::open(&file).unwrap();
        while held.try_lock().is_err() {
            assert!(Instant::now() < until, "{level}: it goes on");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

// REQ: E-3
#[tokio::test(flavor = "multi_thread")]
async fn a_jail_that_cannot_be_built_runs_nothing() {
    let bait = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = bait.local_addr().unwrap().port();
    // As if the gateway had gone before the launcher asked.
    let script = format!("import socket; socket.create_connection(('127.0.0.1', {port}))");
    let command = [
        python("venv").display().to_string(),
        "-c".to_owned(),
        script,
    ]
    .map(OsString::from);
    for wall in ["0", "77", "x", ""] {
        let ran = keeper(&command, Some(wall)).output().unwrap();
        assert_eq!(ran.status.code(), Some(126), "{wall:?}");
        assert!(String::from_utf8_lossy(&ran.stderr).starts_with("palisade: "));
    }
    bait.set_nonblocking(true).unwrap();
    assert!(bait.accept().is_err());
}

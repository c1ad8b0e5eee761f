//! `palisade connect`: clients that speak only stdio, before real servers behind `palisade serve`, and before
//! scripted ones that fail in every way.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by a panic"
)]

mod faults;
mod sdks;
mod sessions;

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use e2e::{authority, palisade};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

/// How long a line may take; a server's command may have to start first.
const PATIENCE: Duration = Duration::from_secs(60);

/// `palisade connect` with a test at its streams.
pub(crate) struct Connect {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    stderr: Option<JoinHandle<String>>,
    _home: TempDir,
}

/// How it ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
    /// Lines that nobody had read.
    pub(crate) rest: Vec<Json>,
}

impl Connect {
    /// To a gateway of the tests, whose authority it trusts.
    pub(crate) fn to(url: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let ca = home.path().join("ca.pem");
        std::fs::write(&ca, authority::root_pem()).unwrap();
        Self::start(
            home,
            &[
                "connect".as_ref(),
                url.as_ref(),
                "--ca".as_ref(),
                ca.as_ref(),
            ],
            &[],
        )
    }

    /// With these arguments behind `connect`, and these variables.
    pub(crate) fn with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut all: Vec<&OsStr> = vec!["connect".as_ref()];
        all.extend(arguments.iter().map(OsStr::new));
        Self::start(tempfile::tempdir().unwrap(), &all, environment)
    }

    fn start(home: TempDir, arguments: &[&OsStr], environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(palisade::binary())
            .args(arguments)
            .env_clear()
            .env("HOME", home.path())
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self {
            input: child.stdin.take(),
            child,
            lines,
            stderr: Some(stderr),
            _home: home,
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn send(&mut self, message: &Json) {
        self.send_text(&message.to_string());
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        input.write_all(b"\n").unwrap();
    }

    /// The next message; every line must be one.
    pub(crate) fn next(&self) -> Json {
        let line = self.lines.recv_timeout(PATIENCE);
        let line = line.unwrap_or_else(|error| panic!("no line: {error}"));
        message(&line)
    }

    /// Messages up to and with the answer to `id`.
    pub(crate) fn until(&self, id: &Json) -> Vec<Json> {
        let mut found = Vec::new();
        loop {
            found.push(self.next());
            let last = found.last().unwrap();
            if last["id"] == *id && last.get("method").is_none() {
                return found;
            }
        }
    }

    /// Sends a request and yields its answer; what comes before it is passed over.
    pub(crate) fn ask(&mut self, message: &Json) -> Json {
        self.send(message);
        self.until(&message["id"]).pop().unwrap()
    }

    /// The handshake of 2025-11-25.
    pub(crate) fn open(&mut self) -> Json {
        let answer = self.ask(&initialize("2025-11-25"));
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        answer
    }

    /// Nothing more is said to it.
    pub(crate) fn close(&mut self) {
        self.input = None;
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        let until = Instant::now() + PATIENCE;
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            assert!(Instant::now() < until, "it does not end");
            thread::sleep(Duration::from_millis(10));
        };
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => rest.push(message(&line)),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("its standard output stays open"),
            }
        }
        Ended {
            code,
            rest,
            stderr: self.stderr.take().unwrap().join().unwrap(),
        }
    }

    /// Closes its input and waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        self.close();
        self.wait()
    }
}

impl Drop for Connect {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line of standard output, which is a message or a fault of the program.
fn message(line: &str) -> Json {
    let message: Json = serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    assert_eq!(message["jsonrpc"], "2.0", "{line}");
    message
}

pub(crate) fn initialize(revision: &str) -> Json {
    let params = json!({
        "protocolVersion": revision,
        "capabilities": { "sampling": {} },
        "clientInfo": { "name": "test", "version": "1" },
    });
    json!({ "jsonrpc": "2.0", "id": "first", "method": "initialize", "params": params })
}

/// A request of 2026-07-28.
pub(crate) fn modern(id: u64, method: &str, params: &Json) -> Json {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

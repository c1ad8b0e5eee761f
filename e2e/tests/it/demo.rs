//! `palisade demo`: what it prints is what happens.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use e2e::palisade::binary;
use e2e::wire::{Answer, Ask, BOTH, Client, Protocol};
use e2e::{PATIENCE, authority};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::rig::modern_request;

/// A running demo; its output is read by threads.
struct Demo {
    child: Child,
    home: TempDir,
    stdout: Arc<Mutex<String>>,
    stderr: Arc<Mutex<String>>,
    took: Duration,
}

impl Demo {
    fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap())
    }

    fn start_in(home: TempDir) -> Self {
        let began = Instant::now();
        let mut child = Command::new(binary())
            .args([
                "demo",
                "--listen-tls",
                "127.0.0.1:0",
                "--listen",
                "127.0.0.1:0",
            ])
            .current_dir(home.path())
            .env_clear()
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = follow(child.stdout.take().unwrap());
        let stderr = follow(child.stderr.take().unwrap());
        while !stderr.lock().unwrap().contains("Ctrl-C ends it.") {
            assert!(began.elapsed() < PATIENCE, "{}", stderr.lock().unwrap());
            thread::sleep(Duration::from_millis(2));
        }
        Self {
            child,
            home,
            stdout,
            stderr,
            took: began.elapsed(),
        }
    }

    fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// The port behind `scheme://localhost:` in what it printed.
    fn address(&self, scheme: &str) -> SocketAddr {
        let text = self.stderr();
        let (_, rest) = text
            .split_once(&format!("  {scheme}://localhost:"))
            .unwrap();
        let port: u16 = rest.split('/').next().unwrap().parse().unwrap();
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn authority(&self) -> PathBuf {
        let text = self.stderr();
        let (_, rest) = text.split_once("certificate authority: ").unwrap();
        PathBuf::from(rest.split(')').next().unwrap())
    }

    fn tls(&self) -> Client {
        Client::new(
            self.address("https"),
            &authority::root_of(&self.authority()),
        )
    }

    fn plain(&self) -> Client {
        Client::new(self.address("http"), &authority::root()).plain()
    }

    fn stop(mut self) -> (Option<i32>, String) {
        let pid = i32::try_from(self.child.id()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let until = Instant::now() + PATIENCE;
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            assert!(Instant::now() < until, "still running:\n{}", self.stderr());
            thread::sleep(Duration::from_millis(10));
        };
        let stdout = self.stdout.lock().unwrap().clone();
        (code, stdout)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(mut from: impl std::io::Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let follower = Arc::clone(&text);
    thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut piece) {
            let piece = String::from_utf8_lossy(&piece[..length]).into_owned();
            follower.lock().unwrap().push_str(&piece);
        }
    });
    text
}

fn tool(name: &str, arguments: Json) -> Ask {
    modern_request(
        1,
        "tools/call",
        &json!({ "name": name, "arguments": arguments }),
    )
    .field("mcp-name", name)
}

/// The messages of an answer, in JSON or in events.
fn messages(answer: &Answer) -> Vec<Json> {
    if !answer
        .header("content-type")
        .unwrap()
        .starts_with("text/event-stream")
    {
        return vec![answer.json()];
    }
    let text = answer.text();
    let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
    data.filter_map(|data| serde_json::from_str(data.trim()).ok())
        .collect()
}

/// The result of the call with id 1.
fn result(answer: &Answer) -> Json {
    assert_eq!(answer.status, 200, "{answer:?}");
    let messages = messages(answer);
    let found = messages.iter().find(|message| message["id"] == 1);
    found.unwrap_or_else(|| panic!("{messages:?}"))["result"].clone()
}

fn text(result: &Json) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_default()
}

// REQ: U-1
#[tokio::test]
async fn each_tool_does_what_is_promised_over_both_addresses() {
    let demo = Demo::start();
    for (client, protocols) in [(demo.tls(), &BOTH[..]), (demo.plain(), &[Protocol::Http1])] {
        for &protocol in protocols {
            let ask = async |ask: Ask| client.ask(protocol, &ask).await;
            let added = ask(tool("add", json!({ "a": 2, "b": 3 }))).await;
            assert_eq!(text(&result(&added)), "5");
            let echoed = ask(tool("echo", json!({ "message": "hello \u{1f600}" }))).await;
            assert_eq!(text(&result(&echoed)), "hello \u{1f600}");
            let deleted = result(&ask(tool("delete_note", json!({ "name": "x" }))).await);
            assert_eq!(deleted["isError"], true, "{deleted}");
            for url in [
                "http://169.254.169.254/latest/meta-data/",
                "http://localhost/",
                "http://[::1]/",
            ] {
                let fetched = result(&ask(tool("fetch_url", json!({ "url": url }))).await);
                assert_eq!(fetched["isError"], true, "{fetched}");
                assert!(text(&fetched).contains("refused"), "{fetched}");
            }
            let mut slow = json!({ "name": "slow", "arguments": { "seconds": 1 } });
            slow["_meta"] = json!({});
            let mut ask_slow = modern_request(1, "tools/call", &slow).field("mcp-name", "slow");
            let mut body: Json = serde_json::from_slice(&ask_slow.body).unwrap();
            body["params"]["_meta"]["progressToken"] = "p1".into();
            ask_slow.body = body.to_string().into_bytes();
            let slow = ask(ask_slow).await;
            assert_eq!(text(&result(&slow)), "1 s");
            let progress = messages(&slow);
            let progress = progress
                .iter()
                .find(|message| message["method"] == "notifications/progress");
            assert_eq!(progress.unwrap()["params"]["progressToken"], "p1");
            let listed = ask(modern_request(1, "tools/list", &json!({}))).await;
            let listed = result(&listed);
            let mut names: Vec<&str> = listed["tools"]
                .as_array()
                .unwrap()
                .iter()
                .map(|tool| tool["name"].as_str().unwrap())
                .collect();
            names.sort_unstable();
            assert_eq!(names, ["add", "delete_note", "echo", "fetch_url", "slow"]);
        }
    }
    let (code, stdout) = demo.stop();
    assert_eq!(code, Some(0));
    // Both addresses write one log.
    let log = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(log.path(), &stdout).unwrap();
    let verified = Command::new(binary())
        .args(["audit", "verify"])
        .arg(log.path())
        .output()
        .unwrap();
    assert!(verified.status.success(), "{verified:?}\n{stdout}");
    let records: Vec<Json> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        records
            .iter()
            .filter(|record| record["tool"] == "add" && record["outcome"] == "ok")
            .count(),
        3
    );
    assert_eq!(
        records
            .iter()
            .filter(|record| record["tool"] == "delete_note" && record["outcome"] == "error")
            .count(),
        3
    );
}

// REQ: U-1
#[tokio::test]
async fn the_older_era_works_too() {
    let demo = Demo::start();
    let client = demo.tls();
    for protocol in BOTH {
        let initialize = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } } });
        let answer = client
            .ask(protocol, &Ask::post(&initialize.to_string()))
            .await;
        assert_eq!(result(&answer)["serverInfo"]["name"], "palisade-demo");
        let session = answer.header("mcp-session-id").unwrap().to_owned();
        let of_session = |body: Json| {
            Ask::post(&body.to_string())
                .field("mcp-session-id", &session)
                .field("mcp-protocol-version", "2025-11-25")
        };
        let initialized =
            of_session(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        assert_eq!(client.ask(protocol, &initialized).await.status, 202);
        let add = of_session(
            json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "add", "arguments": { "a": 20, "b": 22 } } }),
        );
        assert_eq!(text(&result(&client.ask(protocol, &add).await)), "42");
        let end = Ask::new("DELETE", "/mcp").field("mcp-session-id", &session);
        let ended = client.ask(protocol, &end).await.status;
        assert!(matches!(ended, 200..=204), "{ended}");
        assert_eq!(client.ask(protocol, &add).await.status, 404);
    }
    assert_eq!(demo.stop().0, Some(0));
}

// REQ: U-1, H-1, H-3
#[tokio::test]
async fn it_is_up_at_once_and_keeps_its_authority() {
    let demo = Demo::start();
    // With a debug build on a busy machine; the bound of a second is for a quiet one.
    assert!(demo.took < Duration::from_secs(3), "{:?}", demo.took);
    let first = std::fs::read(demo.authority()).unwrap();
    assert!(demo.authority().starts_with(demo.home.path()));
    let home = tempfile::tempdir().unwrap();
    let kept = home.path().join(".local/share");
    std::fs::create_dir_all(&kept).unwrap();
    std::fs::rename(
        demo.home.path().join(".local/share/palisade"),
        kept.join("palisade"),
    )
    .unwrap();
    assert_eq!(demo.stop().0, Some(0));
    let again = Demo::start_in(home);
    assert_eq!(
        std::fs::read(again.authority()).unwrap(),
        first,
        "clients that trust it would have to trust anew"
    );
    assert_eq!(
        result(
            &again
                .tls()
                .ask(Protocol::Http2, &tool("add", json!({ "a": 2, "b": 3 })))
                .await
        )["content"][0]["text"],
        "5"
    );
}

// REQ: U-1, H-1, H-3, U-4
#[test]
fn the_printed_commands_give_what_they_promise() {
    if Command::new("curl").arg("--version").output().is_err() {
        // Every other test of this file drives the same requests without it.
        return;
    }
    let demo = Demo::start();
    let text = demo.stderr();
    let script: String = {
        let from = text.find("  call='").unwrap();
        let to = text[from..].find("https://localhost").unwrap() + from;
        let end = text[to..].find('\n').unwrap() + to;
        text[from..=end].to_owned()
    };
    // A line of the form `  command    promise`, or with the promise on the next line.
    let lines: Vec<&str> = text.lines().collect();
    let mut tried = 0;
    for (at, line) in lines.iter().enumerate() {
        let line = line.trim_start();
        let command = line == "mcp" || line.starts_with("mcp ") && !line.starts_with("mcp()");
        if !command && !line.ends_with("' mcp") {
            continue;
        }
        let (command, promise) = line.split_once("   ").unwrap_or((line, lines[at + 1]));
        let status = promise.trim().split(' ').next().unwrap();
        let output = Command::new("bash")
            .args(["-c", &format!("{script}\n{command}")])
            .output()
            .unwrap();
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = answer.lines().next().unwrap_or_default();
        assert!(
            said.contains(&format!(" {status}")),
            "{command}\n{promise}\n{answer}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        match status {
            "200" => assert!(answer.contains("\"5\""), "{answer}"),
            _ => {
                let reason = promise.trim().split([' ', ':']).nth(1).unwrap();
                assert!(answer.contains(reason), "{command}: {reason}\n{answer}");
            }
        }
        tried += 1;
    }
    assert_eq!(tried, 4, "{text}");
    let (code, stdout) = demo.stop();
    assert_eq!(code, Some(0));
    // Refused for what the greeting is about, not for how the shell put it together.
    assert!(stdout.contains("duplicate_key"), "{stdout}");
}

//! Where records go over the network, how safe an intent is, and what a call leaves behind that never left.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use e2e::palisade::{Builder, verify};
use e2e::wire::{Ask, Protocol};
use e2e::{PATIENCE, Palisade, Reply, Upstream, authority};
use serde_json::{Value as Json, json};

use crate::peers::python;

/// A script of `upstreams` that tells on its standard output what it got, a line of JSON each.
struct Peer {
    child: Child,
    stdin: ChildStdin,
    lines: Arc<Mutex<Vec<Json>>>,
}

impl Peer {
    fn start(script: &str, arguments: &[&str]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("upstreams")
            .join(script);
        let mut child = Command::new(python("venv-audit"))
            .arg(script)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (all, out) = (Arc::clone(&lines), child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in BufReader::new(out).lines() {
                let line = serde_json::from_str(&line.unwrap()).unwrap();
                all.lock().unwrap().push(line);
            }
        });
        let stdin = child.stdin.take().unwrap();
        let peer = Self {
            child,
            stdin,
            lines,
        };
        peer.wait(1, |line| line["port"].is_u64());
        peer
    }

    fn port(&self) -> u64 {
        self.lines.lock().unwrap()[0]["port"].as_u64().unwrap()
    }

    fn lines(&self, fits: impl Fn(&Json) -> bool) -> Vec<Json> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| fits(line)).cloned().collect()
    }

    /// Waits for so many lines that fit.
    fn wait(&self, count: usize, fits: impl Fn(&Json) -> bool) -> Vec<Json> {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.lines(&fits);
            if found.len() >= count {
                return found;
            }
            let all = self.lines(|_| true);
            assert!(
                Instant::now() < until,
                "{} of {count}: {all:?}",
                found.len()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends a command, and waits for its answer.
    fn ask(&mut self, command: &Json) -> Json {
        let before = self.lines.lock().unwrap().len();
        writeln!(self.stdin, "{command}").unwrap();
        self.wait(before + 1, |_| true).pop().unwrap()
    }

    /// How the collector answers from now on.
    async fn behave(&self, how: &Json) {
        let address = ([127, 0, 0, 1], u16::try_from(self.port()).unwrap()).into();
        let client = e2e::wire::Client::new(address, &authority::root()).plain();
        let ask = Ask::post(&how.to_string()).target("/control");
        assert_eq!(client.ask(Protocol::Http1, &ask).await.status, 200);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collector() -> Peer {
    Peer::start("otlp_receiver.py", &[])
}

/// Answers by the name of the tool.
fn upstream() -> Upstream {
    Upstream::answering(|request| {
        let id = request.json()["id"].clone();
        let result = match request.json()["params"]["name"].as_str() {
            Some("broken") => {
                json!({ "isError": true, "content": [{ "type": "text", "text": "the disk is full" }] })
            }
            Some("unknown") => {
                let error = json!({ "code": -32602, "message": "no such tool" });
                return Reply::json(&json!({ "jsonrpc": "2.0", "id": id, "error": error }));
            }
            _ => json!({ "content": [] }),
        };
        Reply::json(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
    })
}

fn gateway(upstream: &Upstream, audit: &str) -> Builder {
    Palisade::builder()
        .plain()
        .config(&format!("[audit]\n{audit}"))
        .server(upstream)
}

fn call(tool: &str) -> Ask {
    let params = json!({
        "name": tool,
        "arguments": { "text": "hello", "password": "hunter2hunter2" },
        "_meta": { "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" },
    });
    let message = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params });
    Ask::post(&message.to_string())
        .target("/mcp")
        .field("mcp-protocol-version", "2025-06-18")
}

async fn status(palisade: &Palisade, ask: &Ask) -> u16 {
    palisade
        .client()
        .plain()
        .ask(Protocol::Http1, ask)
        .await
        .status
}

/// The lines that the collector has, as a file.
fn file_of(collector: &Peer, directory: &Path) -> PathBuf {
    let file = directory.join("collected.ndjson");
    let bodies = collector.lines(|line| line["body"].is_string());
    let text: String = bodies
        .iter()
        .map(|line| format!("{}\n", line["body"].as_str().unwrap()))
        .collect();
    fs::write(&file, text).unwrap();
    file
}

// REQ: L-3, L-4
#[tokio::test]
async fn a_collector_gets_every_line_with_the_names_of_the_conventions() {
    let (collector, upstream) = (collector(), upstream());
    let audit = format!(
        "sink = [{{ file = \"audit.ndjson\" }}, {{ otlp = \"http://127.0.0.1:{}\" }}]",
        collector.port()
    );
    let mut palisade = gateway(&upstream, &audit).start();
    for tool in ["echo", "broken", "unknown"] {
        assert_eq!(status(&palisade, &call(tool)).await, 200);
    }
    for (method, key, value) in [
        (
            "resources/read",
            "uri",
            "file:///notes/todo?token=ghp_0123456789abcdef0123456789abcdef0123",
        ),
        ("prompts/get", "name", "summary"),
    ] {
        let message =
            json!({ "jsonrpc": "2.0", "id": "a-1", "method": method, "params": { key: value } });
        let ask = Ask::post(&message.to_string()).target("/mcp");
        assert_eq!(status(&palisade, &ask).await, 200);
    }
    let evil = call("echo").host("evil.example");
    assert_eq!(status(&palisade, &evil).await, 403);
    assert_eq!(palisade.stop(), Some(0));
    let records = collector.wait(1, |line| line["attributes"]["palisade.reason"].is_string());
    let denied = &records[0];
    assert_eq!(denied["attributes"]["error.type"], "host.not_allowed");
    assert_eq!(denied["severityText"], "WARN");
    let outcome_of = |tool: &str| {
        let fits = |line: &Json| {
            line["attributes"]["gen_ai.tool.name"] == tool
                && line["attributes"]["palisade.phase"] == "outcome"
        };
        collector.wait(1, fits).remove(0)
    };
    let echo = outcome_of("echo");
    assert_eq!(echo["resource"]["service.name"], "palisade", "{echo}");
    assert_eq!(
        echo["resource"]["service.version"],
        env!("CARGO_PKG_VERSION")
    );
    assert!(echo["resource"]["service.instance.id"].is_string());
    assert_eq!(echo["trace"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(
        (&echo["severity"], &echo["event"]),
        (&9.into(), &"palisade.audit.record".into())
    );
    for (key, value) in [
        ("mcp.method.name", json!("tools/call")),
        ("gen_ai.operation.name", json!("execute_tool")),
        ("mcp.protocol.version", json!("2025-06-18")),
        ("jsonrpc.request.id", json!("7")),
        ("client.address", json!("127.0.0.1")),
        ("network.transport", json!("tcp")),
        ("network.protocol.name", json!("http")),
        ("http.response.status_code", json!(200)),
        ("user.id", json!("anonymous")),
        ("palisade.outcome", json!("ok")),
        ("palisade.server.name", json!("test")),
        ("palisade.destructive", json!(true)),
        ("error.type", Json::Null),
    ] {
        assert_eq!(echo["attributes"][key], value, "{key}");
    }
    let resource = collector.wait(1, |line| {
        line["attributes"]["mcp.method.name"] == "resources/read"
    });
    assert_eq!(resource[0]["attributes"]["jsonrpc.request.id"], "a-1");
    let uri = resource[0]["attributes"]["mcp.resource.uri"]
        .as_str()
        .unwrap();
    assert!(
        uri.starts_with("file:///notes/todo") && !uri.contains("ghp_"),
        "{uri}"
    );
    let prompt = collector.wait(1, |line| {
        line["attributes"]["mcp.method.name"] == "prompts/get"
    });
    assert_eq!(prompt[0]["attributes"]["gen_ai.prompt.name"], "summary");
    let broken = outcome_of("broken");
    assert_eq!(broken["attributes"]["error.type"], "tool_error");
    assert_eq!(broken["attributes"]["error.message"], "the disk is full");
    assert_eq!(broken["severityText"], "ERROR");
    let unknown = outcome_of("unknown");
    assert_eq!(unknown["attributes"]["rpc.response.status_code"], "-32602");
    assert_eq!(unknown["attributes"]["error.type"], "-32602");
    // The body is the line: nothing is told there that the file does not tell, and the chain holds.
    let file = fs::read_to_string(palisade.path("audit.ndjson")).unwrap();
    let collected = file_of(&collector, palisade.path("").as_path());
    assert_eq!(fs::read_to_string(&collected).unwrap(), file);
    assert!(!file.contains("hunter2") && !echo.to_string().contains("hunter2"));
    let (holds, said) = verify(&[collected]);
    assert!(holds, "{said}");
}

// REQ: L-0, L-3
#[tokio::test]
async fn alone_a_collector_is_waited_for_and_fails_closed() {
    let (collector, upstream) = (collector(), upstream());
    let audit = format!(
        "sink = {{ otlp = \"http://127.0.0.1:{}\" }}\nwrite_ahead = \"all\"",
        collector.port()
    );
    let mut palisade = gateway(&upstream, &audit).start();
    assert_eq!(status(&palisade, &call("echo")).await, 200);
    let intent = |line: &Json| line["attributes"]["palisade.phase"] == "intent";
    assert_eq!(collector.lines(intent).len(), 1);
    let unhealthy = async || {
        // One may pass the time limit of its own before the log is known to fail.
        let until = Instant::now() + PATIENCE;
        while status(&palisade, &call("echo")).await != 503 {
            assert!(Instant::now() < until);
        }
    };
    for how in [
        json!({ "status": 503 }),
        json!({ "status": 401 }),
        json!({ "hang": true }),
    ] {
        let came = upstream.arrived().len();
        collector.behave(&how).await;
        unhealthy().await;
        assert_eq!(status(&palisade, &call("echo")).await, 503, "{how}");
        // What was not acknowledged never reached the server.
        assert_eq!(upstream.arrived().len(), came, "{how}");
        collector.behave(&json!({})).await;
        let until = Instant::now() + PATIENCE;
        while status(&palisade, &call("echo")).await != 200 {
            assert!(Instant::now() < until, "{}", palisade.stderr());
            thread::sleep(Duration::from_millis(20));
        }
    }
    palisade.wait_for_stderr("it answered 401");
    palisade.wait_for_stderr("token_file");
    assert_eq!(palisade.stop(), Some(0));
    // Every call that came has its intent there.
    let ids: Vec<Json> = collector
        .lines(intent)
        .iter()
        .map(|line| line["attributes"]["palisade.request.id"].clone())
        .collect();
    for request in upstream.arrived() {
        let id = json!(request.header("x-request-id").unwrap());
        assert!(ids.contains(&id), "{id}");
    }
    let (holds, said) = verify(&[file_of(&collector, &palisade.path(""))]);
    assert!(holds, "{said}");
}

// REQ: L-3
#[tokio::test]
async fn alone_a_collector_that_is_not_there_fails_open_where_that_is_said() {
    let upstream = upstream();
    let nobody = Upstream::nobody();
    for (fail, expected) in [("open", 200), ("closed", 503)] {
        let audit = format!("sink = {{ otlp = \"http://{nobody}\" }}\nfail = \"{fail}\"");
        let palisade = gateway(&upstream, &audit).start();
        palisade.wait_for_stderr("it cannot be reached");
        palisade.wait_for_stderr("mend its URL");
        assert_eq!(status(&palisade, &call("echo")).await, expected);
    }
}

// REQ: L-3
#[tokio::test]
async fn beside_a_file_a_collector_holds_up_nothing_and_rejections_are_told() {
    let (collector, upstream) = (collector(), upstream());
    let audit = format!(
        "sink = [{{ file = \"audit.ndjson\" }}, {{ otlp = \"http://127.0.0.1:{}\" }}]\nwrite_ahead = \"all\"",
        collector.port()
    );
    collector.behave(&json!({ "hang": true })).await;
    let mut palisade = gateway(&upstream, &audit).start();
    for _ in 0..20 {
        assert_eq!(status(&palisade, &call("echo")).await, 200);
    }
    assert_eq!(collector.lines(|line| line["body"].is_string()).len(), 0);
    collector
        .behave(&json!({ "status": 503, "retry_after": 2 }))
        .await;
    collector.wait(1, |line| line["refused"] == 503);
    palisade.wait_for_stderr("it answered 503");
    assert_eq!(status(&palisade, &call("echo")).await, 200);
    collector.behave(&json!({})).await;
    palisade.wait_for_stderr("takes lines again");
    collector.behave(&json!({ "reject": 1 })).await;
    assert_eq!(status(&palisade, &call("echo")).await, 200);
    palisade.wait_for_stderr("it has rejected 1 records: too old");
    collector.behave(&json!({})).await;
    let gap = |line: &Json| line["event"] == "palisade.audit.gap";
    collector.wait(1, gap);
    assert_eq!(palisade.stop(), Some(0));
    let lines = palisade.audit_lines();
    let gap = lines.iter().find(|line| line["event"] == "gap").unwrap();
    let name = gap["sink"].as_str().unwrap();
    assert!(
        name.starts_with("http://127.0.0.1:") && gap["dropped"] == 1,
        "{gap}"
    );
    let (holds, said) = verify(&[palisade.path("audit.ndjson")]);
    assert!(holds, "{said}");
}

// REQ: L-3
#[tokio::test]
async fn a_collector_over_tls_with_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = authority::certificate(directory.path(), &["localhost"]);
    let collector = Peer::start(
        "otlp_receiver.py",
        &[
            "--token",
            "some-token-of-ours",
            "--certificate",
            certificate.to_str().unwrap(),
            "--key",
            key.to_str().unwrap(),
        ],
    );
    let ca = directory.path().join("ca.pem");
    fs::write(&ca, authority::root_pem()).unwrap();
    let token = directory.path().join("token");
    fs::write(&token, "some-token-of-ours\n").unwrap();
    let upstream = upstream();
    let sink = |more: &str| {
        let url = format!("https://localhost:{}", collector.port());
        let audit = format!("sink = {{ otlp = \"{url}\"{more} }}");
        gateway(&upstream, &audit).start()
    };
    let trusting = format!(", ca = {:?}", ca.to_str().unwrap());
    let untrusted = sink("");
    untrusted.wait_for_stderr("it cannot be reached");
    untrusted.wait_for_stderr("UnknownIssuer");
    let without = sink(&trusting);
    without.wait_for_stderr("it answered 401");
    let with = format!("{trusting}, token_file = {:?}", token.to_str().unwrap());
    let mut with = sink(&with);
    assert_eq!(status(&with, &call("echo")).await, 200);
    assert_eq!(with.stop(), Some(0));
    assert!(!with.stderr().contains("some-token"));
    assert_eq!(
        collector
            .lines(|line| line["attributes"]["palisade.phase"] == "intent")
            .len(),
        1
    );
}

const CREDENTIALS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "test-id"),
    ("AWS_SECRET_ACCESS_KEY", "test-secret"),
];

fn with_credentials(builder: Builder) -> Builder {
    CREDENTIALS
        .iter()
        .fold(builder, |builder, (name, value)| builder.env(name, value))
}

// REQ: L-3, L-4
#[tokio::test]
async fn objects_in_a_bucket_are_locked_and_hold_the_chain() {
    let mut store = Peer::start("s3_store.py", &["0"]);
    let upstream = upstream();
    let audit = format!(
        "sink = [{{ file = \"audit.ndjson\" }}, {{ s3 = \"s3://audit/gateways/a\", endpoint = \"http://127.0.0.1:{}\", \
         allow_http = true, retention = \"30d\", every = \"100ms\" }}]",
        store.port()
    );
    let mut palisade = with_credentials(gateway(&upstream, &audit)).start();
    for _ in 0..5 {
        assert_eq!(status(&palisade, &call("echo")).await, 200);
        thread::sleep(Duration::from_millis(150));
    }
    assert_eq!(palisade.stop(), Some(0), "{}", palisade.stderr());
    let objects = store.ask(&json!({ "do": "list" }));
    let objects = objects.as_array().unwrap();
    assert!(objects.len() >= 3, "{objects:?}");
    for object in objects {
        let key = object["key"].as_str().unwrap();
        assert!(
            key.starts_with("gateways/a/20") && key.ends_with(".ndjson.zst"),
            "{key}"
        );
        assert_eq!(object["mode"], "COMPLIANCE");
        assert_eq!(object["versions"], 1);
        assert!(
            object["until"].as_str().unwrap().starts_with("20"),
            "{object}"
        );
        assert_eq!(store.ask(&json!({ "do": "delete", "key": key })), 403);
        assert_eq!(store.ask(&json!({ "do": "overwrite", "key": key })), 412);
    }
    let to = palisade.path("fetched");
    fs::create_dir(&to).unwrap();
    let files = store.ask(&json!({ "do": "fetch", "to": to }));
    let files: Vec<PathBuf> = files
        .as_array()
        .unwrap()
        .iter()
        .map(|file| PathBuf::from(file.as_str().unwrap()))
        .collect();
    let in_any_order: Vec<PathBuf> = files.iter().rev().cloned().collect();
    let (holds, said) = verify(&in_any_order);
    assert!(holds, "{said}");
    assert!(said.contains(" checkpoint"), "{said}");
    // All of it, and each object ends sealed.
    let mut all = String::new();
    for file in &files {
        let unpacked = Command::new("zstd").arg("-dc").arg(file).output().unwrap();
        let text = String::from_utf8(unpacked.stdout).unwrap();
        let last = text.lines().last().unwrap();
        assert!(last.contains("\"event\":\"checkpoint\""), "{last}");
        all.push_str(&text);
    }
    assert_eq!(
        all,
        fs::read_to_string(palisade.path("audit.ndjson")).unwrap()
    );
}

// REQ: L-0, L-3
#[tokio::test]
async fn alone_a_store_that_is_not_there_fails_closed_until_it_is() {
    let upstream = upstream();
    let nobody = Upstream::nobody();
    let audit = format!(
        "sink = {{ s3 = \"s3://audit\", endpoint = \"http://{nobody}\", allow_http = true, retention = \"1d\" }}"
    );
    let mut palisade = with_credentials(gateway(&upstream, &audit)).start();
    palisade.wait_for_stderr("it cannot be reached");
    assert_eq!(status(&palisade, &call("echo")).await, 503);
    assert_eq!(upstream.arrived().len(), 0);
    let mut store = Peer::start("s3_store.py", &[&nobody.port().to_string()]);
    palisade.wait_for_stderr("it is written again");
    assert_eq!(status(&palisade, &call("echo")).await, 200);
    // The call came when its intent was there, though nothing was due yet.
    let objects = store.ask(&json!({ "do": "list" }));
    assert!(objects.as_array().unwrap().len() >= 2, "{objects}");
    assert_eq!(palisade.stop(), Some(0));
}

// REQ: L-3, U-3
#[test]
fn a_store_without_credentials_or_region_is_told_at_start() {
    let upstream = upstream();
    for (more, named, words) in [
        (", region = \"eu-north-1\"", false, "AWS_ACCESS_KEY_ID"),
        ("", true, "AWS_REGION"),
    ] {
        let audit = format!("sink = {{ s3 = \"s3://audit\", retention = \"1d\"{more} }}");
        let builder = gateway(&upstream, &audit);
        let builder = if named {
            with_credentials(builder)
        } else {
            builder
        };
        let ended = builder.fail();
        assert_ne!(ended.code, Some(0));
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

// REQ: L-0
#[tokio::test]
async fn synced_the_disk_has_the_intent_before_the_server_has_the_call() {
    let upstream = upstream();
    for durability in ["written", "synced"] {
        let audit = format!(
            "sink = {{ file = \"audit.ndjson\" }}\nwrite_ahead = \"all\"\ndurability = \"{durability}\""
        );
        let mut palisade = gateway(&upstream, &audit)
            .shell("exec strace -D -f -qq -s 200 -e trace=fdatasync,write,writev,sendto,sendmsg -o trace \"$@\"")
            .start();
        assert_eq!(status(&palisade, &call("echo")).await, 200);
        assert_eq!(palisade.stop(), Some(0));
        // The tracer is done a moment after what it traces.
        let until = Instant::now() + PATIENCE;
        let trace = loop {
            let trace = fs::read_to_string(palisade.path("trace")).unwrap_or_default();
            if trace.matches("\\\"phase\\\":\\\"outcome\\\"").count() > 0 {
                break trace;
            }
            assert!(Instant::now() < until, "{trace}");
            thread::sleep(Duration::from_millis(20));
        };
        let trace: Vec<&str> = trace.lines().collect();
        let find = |fits: &dyn Fn(&str) -> bool| trace.iter().position(|line| fits(line));
        let intent = find(&|line| line.contains("phase\\\":\\\"intent")).unwrap();
        let left = find(&|line| line.contains("POST /") && line.contains("HTTP/1.1")).unwrap();
        let synced = trace[intent..left].iter().any(|line| {
            line.contains("fdatasync") && line.ends_with("= 0") && !line.contains("unfinished")
        });
        assert!(intent < left, "{trace:#?}");
        assert_eq!(synced, durability == "synced", "{trace:#?}");
    }
}

// REQ: L-0
#[tokio::test]
async fn buffered_an_intent_waits_for_no_write() {
    let upstream = upstream();
    let audit =
        "sink = { file = \"audit.ndjson\" }\nwrite_ahead = \"all\"\ndurability = \"buffered\"";
    let mut palisade = gateway(&upstream, audit).start();
    assert_eq!(status(&palisade, &call("echo")).await, 200);
    assert_eq!(palisade.stop(), Some(0));
    let lines = palisade.audit_lines();
    let phases: Vec<_> = lines
        .iter()
        .filter_map(|line| line["phase"].as_str())
        .collect();
    assert_eq!(phases, ["intent", "outcome"]);
}

// REQ: L-0, L-1
#[tokio::test]
async fn what_is_no_message_has_an_outcome_of_its_intent() {
    let upstream = Upstream::always(Reply::status(405));
    let palisade = gateway(&upstream, "write_ahead = \"all\"").start();
    for method in ["GET", "DELETE"] {
        let ask = Ask::new(method, "/mcp").field("accept", "text/event-stream");
        let answer = palisade.client().plain().ask(Protocol::Http1, &ask).await;
        assert_eq!(answer.status, 405);
        let record = palisade.record_of(&answer);
        assert_eq!(record["phase"], "outcome", "{record}");
        assert_eq!(record["outcome"], "error", "{record}");
    }
    let intents = palisade.audit_lines();
    let intents = intents.iter().filter(|line| line["phase"] == "intent");
    assert_eq!(intents.count(), 2);
}

// REQ: L-0, L-1
#[tokio::test]
async fn a_client_that_leaves_before_its_call_has_left_has_cancelled() {
    let (collector, upstream) = (collector(), upstream());
    let audit = format!(
        "sink = {{ otlp = \"http://127.0.0.1:{}\" }}",
        collector.port()
    );
    collector.behave(&json!({ "hang_on": "gone" })).await;
    let mut palisade = gateway(&upstream, &audit).start();
    let client = palisade.client().plain();
    let sockets = |palisade: &Palisade| {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", palisade.pid())).unwrap();
        let is_socket = |path: &PathBuf| {
            fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
        };
        descriptors
            .map(|entry| entry.unwrap().path())
            .filter(is_socket)
            .count()
    };
    let mut connection = client.http1().await;
    let ask = call("gone");
    let held = async {
        while collector.lines(|line| line["hangs"] == true).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    // It waits for its intent, which the collector has and does not acknowledge.
    tokio::select! {
        _ = connection.open(&ask) => panic!("there is an answer"),
        () = held => {}
    }
    let with_client = sockets(&palisade);
    drop(connection);
    let until = Instant::now() + PATIENCE;
    while sockets(&palisade) >= with_client {
        assert!(
            Instant::now() < until,
            "the gateway does not see that its client is gone"
        );
        thread::sleep(Duration::from_millis(5));
    }
    collector.behave(&json!({})).await;
    let fits = |line: &Json| {
        line["attributes"]["gen_ai.tool.name"] == "gone"
            && line["attributes"]["palisade.phase"] == "outcome"
    };
    let outcome = collector.wait(1, fits).remove(0);
    assert_eq!(outcome["attributes"]["palisade.outcome"], "cancelled");
    assert_eq!(palisade.stop(), Some(0));
    // Its intent stands before it.
    let records = collector.lines(|line| line["attributes"]["gen_ai.tool.name"] == "gone");
    let phases: Vec<_> = records
        .iter()
        .map(|line| line["attributes"]["palisade.phase"].as_str().unwrap())
        .collect();
    assert_eq!(phases, ["intent", "outcome"]);
    assert!(upstream.arrived().is_empty());
}

// TLS that fails is told as well: see handshake.rs for that with clients, upstream.rs for that with servers.
// REQ: L-1
#[tokio::test]
async fn each_kind_of_end_shows_with_its_outcome_and_reason() {
    let events = Upstream::answering(|request| match request.json()["params"]["name"].as_str() {
        Some("events") => {
            let progress = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } });
            Reply::open_events(&[(Duration::ZERO, &format!("data: {progress}\n\n"))])
        }
        _ => Reply::result(
            request,
            &json!({ "isError": true, "content": [{ "type": "text", "text": "the disk is full" }] }),
        ),
    });
    let nobody = Upstream::nobody();
    let mut config = String::from(
        r#"
        limits.body = 2000
        [[auth.api_key]]
        name = "test"
        hash = "sha256:20143aaee9d451b99abdd3f50fc2446327c2842305847c753c24bb56bccc0248"
        "#,
    );
    for (name, url, more) in [
        (
            "tools",
            events.url(),
            "[[server.allow]]\ntool = \"broken\"\n[[server.allow]]\ntool = \"events\"",
        ),
        ("rated", events.url(), "[server.rate]\npeer = \"1/h\""),
        ("gone", format!("http://{nobody}/mcp"), ""),
    ] {
        config.push_str(&crate::rig::section(name, &url, more));
    }
    let palisade = Palisade::with(&config);
    let known = |ask: Ask, server: &str| {
        ask.target(&format!("/{server}"))
            .field("authorization", "Bearer palisade_test")
    };
    let client = palisade.client();
    client
        .ask(Protocol::Http1, &known(call("echo"), "rated"))
        .await;
    for (ask, server, status, outcome, reason, error) in [
        (
            call("delete"),
            "tools",
            403,
            "denied",
            json!("access.denied"),
            "",
        ),
        (
            call("broken"),
            "tools",
            200,
            "error",
            Json::Null,
            "the disk is full",
        ),
        (
            call("x").body(vec![b' '; 3000]),
            "tools",
            413,
            "denied",
            json!("body.too_large"),
            "",
        ),
        (
            call("x"),
            "rated",
            429,
            "denied",
            json!("rate.exceeded"),
            "",
        ),
        (
            call("x"),
            "gone",
            502,
            "upstream_unreachable",
            json!("upstream.unreachable"),
            "",
        ),
    ] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let answer = client.ask(protocol, &known(ask.clone(), server)).await;
            let record = palisade.record_of(&answer);
            assert_eq!(answer.status, status, "{server} {record}");
            assert_eq!(record["outcome"], outcome, "{record}");
            assert_eq!(
                record.get("reason").cloned().unwrap_or_default(),
                reason,
                "{record}"
            );
            assert!(
                record["error"].as_str().unwrap().contains(error),
                "{record}"
            );
        }
    }
    // Whoever leaves a stream has cancelled by one revision, and by another one has only left.
    let asks = [
        (crate::rig::modern(7, "events"), "cancelled"),
        (call("events"), "detached"),
    ];
    for (ask, outcome) in asks {
        let before = palisade.audit().len();
        client.http1().await.open(&known(ask, "tools")).await;
        let records = palisade.audit_where(before + 1, |_| true);
        assert_eq!(records[before]["outcome"], outcome, "{}", records[before]);
        assert_eq!(records[before]["tool"], "events");
    }
}

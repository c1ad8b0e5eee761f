//! The record of every call: its shape, its outcome, where it goes, and what happens without it.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::process::Command;
use std::time::{Duration, Instant};

use e2e::upstream::Step;
use e2e::wire::{Answer, Ask, BOTH, Protocol};
use e2e::{Arrived, Palisade, Reply, Upstream};
use serde_json::{Value as Json, json};

use crate::rig::{Rig, always, modern, section, server};

fn call(params: &Json) -> Ask {
    Ask::post(
        &json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params }).to_string(),
    )
}

// REQ: L-1
#[tokio::test]
async fn a_record_has_every_documented_field() {
    let upstream = Upstream::answering(|request| {
        let result = json!({ "content": [], "_meta": {} });
        let id = &request.json()["id"];
        Reply::json_with(
            &[("Mcp-Session-Id", "secret-session-1")],
            &json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        )
    });
    let rig = Rig::new("", [server("notes", upstream)]);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let params = json!({
        "name": "echo",
        "arguments": { "text": "hello", "list": [1, 2.50, null] },
        "_meta": { "traceparent": format!("00-{trace}-b7ad6b7169203331-01") },
    });
    for protocol in BOTH {
        let ask = call(&params)
            .field("mcp-session-id", "secret-session-1")
            .field("mcp-protocol-version", "2025-06-18");
        let (answer, record) = rig.recorded("notes", protocol, &ask).await;
        let record = record.as_object().unwrap();
        let mut names: Vec<&str> = record.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "actor",
                "args",
                "bytes",
                "destructive",
                "durationMs",
                "error",
                "gatewayVersion",
                "method",
                "outcome",
                "phase",
                "prev",
                "requestId",
                "revision",
                "rpcId",
                "seq",
                "server",
                "serverVersion",
                "session",
                "status",
                "timestamp",
                "tool",
                "traceId",
            ]
        );
        assert_eq!(
            record["actor"],
            json!({ "id": "anonymous", "ip": "127.0.0.1" })
        );
        assert_eq!(record["tool"], "echo");
        assert_eq!(record["args"], params["arguments"]);
        assert_eq!(record["outcome"], "ok");
        assert_eq!(record["error"], Json::Null);
        assert!(record["durationMs"].as_u64().is_some_and(|ms| ms < 20_000));
        assert_eq!(record["serverVersion"], "unknown");
        assert_eq!(record["gatewayVersion"], env!("CARGO_PKG_VERSION"));
        assert_eq!(record["method"], "tools/call");
        assert_eq!(record["revision"], "2025-06-18");
        assert_eq!(record["server"], "notes");
        assert_eq!(record["status"], 200);
        assert_eq!(record["traceId"], trace);
        assert_eq!(
            record["bytes"],
            json!({ "request": ask.body.len(), "response": answer.body.len() })
        );
        // A session's id works like a bearer token: only eight characters of its hash are kept.
        let session = record["session"].as_str().unwrap();
        assert!(
            session.len() == 8 && session.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{session}"
        );
        let time = record["timestamp"].as_str().unwrap();
        assert!(
            time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T',
            "{time}"
        );
    }
    // What is no call has no tool, and the refused have a reason.
    let (_, record) = rig
        .recorded("notes", Protocol::Http1, &Ask::call().host("evil.example"))
        .await;
    assert_eq!(
        (&record["tool"], &record["args"]),
        (&Json::Null, &Json::Null)
    );
    assert_eq!(
        (&record["outcome"], &record["reason"], &record["status"]),
        (&"denied".into(), &"host.not_allowed".into(), &403.into())
    );
}

/// What the scripted server answers, by the name of the tool.
fn by_tool(request: &Arrived) -> Reply {
    let id = request.json()["id"].clone();
    let tool = request.json()["params"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let result = |result: Json| json!({ "jsonrpc": "2.0", "id": id, "result": result });
    let noise = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": 1, "progress": 1 } });
    let foreign = json!({ "jsonrpc": "2.0", "id": 9999, "result": { "isError": true } });
    let message = match tool.strip_prefix("sse_").unwrap_or(&tool) {
        "ok" => result(json!({ "content": [] })),
        "tool_error" => result(
            json!({ "isError": true, "content": [{ "type": "text", "text": "the disk is full" }] }),
        ),
        "rpc_error" => {
            json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32602, "message": "no such argument" } })
        }
        "input" => result(json!({ "resultType": "input_required", "inputRequests": {} })),
        "long_error" => result(
            json!({ "isError": true, "content": [{ "type": "text", "text": "é".repeat(2000) }] }),
        ),
        "http_error" => return Reply::new(500, &[("Content-Type", "text/plain")], "it broke"),
        "close" => return Reply::close(),
        "head" => return Reply::never(),
        "json" => {
            return Reply::raw(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{",
            )
            .then(Step::Never);
        }
        "events" => return Reply::open_events(&[(Duration::ZERO, &format!("data: {noise}\n\n"))]),
        other => panic!("no tool {other:?}"),
    };
    if !tool.starts_with("sse_") {
        return Reply::json(&message);
    }
    // The result stands between other messages, its data in two lines, its line ends of all kinds.
    let text = message.to_string().replacen(',', ",\ndata: ", 1);
    let events = [
        (
            Duration::ZERO,
            format!(": hello\n\nid: 1\ndata: {noise}\n\n"),
        ),
        (Duration::ZERO, format!("data: {foreign}\r\n\r\n")),
        (
            Duration::from_millis(20),
            format!("event: message\nid: 2\ndata: {text}\n\n"),
        ),
        (Duration::ZERO, format!("data: {noise}\n\n")),
    ];
    let events: Vec<(Duration, &str)> = events
        .iter()
        .map(|(pause, event)| (*pause, &**event))
        .collect();
    Reply::events(&events)
}

// REQ: L-1
#[tokio::test]
async fn each_way_a_call_can_end_has_its_outcome() {
    let rig = Rig::new("", [server("tools", Upstream::answering(by_tool))]);
    for (tool, outcome, error) in [
        ("ok", "ok", None),
        ("tool_error", "error", Some("the disk is full")),
        ("rpc_error", "error", Some("-32602 no such argument")),
        ("http_error", "error", Some("500")),
        ("input", "input_required", None),
        ("close", "upstream_unreachable", Some("")),
        ("sse_ok", "ok", None),
        ("sse_tool_error", "error", Some("the disk is full")),
        ("sse_rpc_error", "error", Some("-32602 no such argument")),
        ("sse_input", "input_required", None),
    ] {
        for protocol in BOTH {
            for ask in [modern(7, tool), call(&json!({ "name": tool }))] {
                let (answer, record) = rig.recorded("tools", protocol, &ask).await;
                let context = format!("{tool} {protocol:?} {record} {}", answer.text());
                assert_eq!(record["outcome"], outcome, "{context}");
                assert_eq!(record["tool"], tool, "{context}");
                match error {
                    Some(text) => assert!(
                        record["error"]
                            .as_str()
                            .is_some_and(|error| error.contains(text)),
                        "{context}"
                    ),
                    None => assert_eq!(record["error"], Json::Null, "{context}"),
                }
            }
        }
    }
    let (_, record) = rig
        .recorded(
            "tools",
            Protocol::Http1,
            &call(&json!({ "name": "long_error" })),
        )
        .await;
    assert_eq!(record["error"].as_str().unwrap().chars().count(), 500);
}

// REQ: L-1, G-3
#[tokio::test]
async fn a_client_that_leaves_has_cancelled_or_is_detached_by_its_revision() {
    let rig = Rig::new("", [server("tools", Upstream::answering(by_tool))]);
    for tool in ["head", "json", "events"] {
        for protocol in BOTH {
            for (ask, outcome) in [
                (modern(7, tool), "cancelled"),
                (call(&json!({ "name": tool })), "detached"),
            ] {
                let upstream = rig.upstream("tools");
                let (left, seen) = (upstream.left(), upstream.arrived().len());
                let before = rig.palisade.audit().len();
                let ask = ask.target("/tools");
                let client = rig.palisade.client();
                // Leaves as soon as the call, or what there is of an answer, has come.
                let leaves = async {
                    match protocol {
                        Protocol::Http1 => {
                            client.http1().await.open(&ask).await;
                        }
                        Protocol::Http2 => {
                            client.http2().await.open(&ask).await;
                        }
                    }
                };
                let arrived = async {
                    if tool != "head" {
                        return std::future::pending().await;
                    }
                    while upstream.arrived().len() == seen {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                tokio::select! { () = leaves => {} () = arrived => {} }
                upstream.wait_for_left(left + 1);
                let records = rig.palisade.audit_where(before + 1, |_| true);
                let record = &records[before];
                assert_eq!(record["outcome"], outcome, "{tool} {protocol:?} {record}");
                assert_eq!(record["tool"], tool);
            }
        }
    }
}

// REQ: L-1
#[tokio::test]
async fn every_layer_that_refuses_is_recorded_with_its_reason() {
    let config = "[limits]\nbody = 2000\n[cors]\norigins = [\"https://app.example.com\"]";
    let rig = Rig::new(
        config,
        [
            server("mcp", Upstream::new()),
            server("rated", Upstream::new()).with("[server.rate]\npeer = \"1/h\""),
            always("busy", Reply::never()).with("concurrency = 1"),
        ],
    );
    let mcp = || Ask::call().target("/mcp");
    let nowhere = Ask::call().target("/nowhere");
    rig.ask("rated", Protocol::Http1, &Ask::call()).await;
    let mut busy = rig.palisade.client().http1().await;
    busy.send("POST /busy HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}").await;
    rig.upstream("busy").wait_for(1);
    for (ask, status, reason, server) in [
        (
            mcp().target("/mcp/../x"),
            400,
            "request.path_ambiguous",
            None,
        ),
        (
            Ask {
                method: "TRACE".to_owned(),
                body: Vec::new(),
                ..mcp()
            },
            501,
            "request.method",
            None,
        ),
        (mcp().host("evil.example"), 403, "host.not_allowed", None),
        (nowhere, 404, "route.not_found", None),
        (
            mcp().origin("https://evil.example"),
            403,
            "origin.not_allowed",
            Some("mcp"),
        ),
        (mcp().origin("null"), 403, "", Some("mcp")),
        (
            Ask::preflight("https://evil.example", "POST"),
            403,
            "cors.preflight_refused",
            Some("mcp"),
        ),
        (mcp().target("/rated"), 429, "rate.exceeded", Some("rated")),
        (
            mcp().body(" ".repeat(3000)),
            413,
            "body.too_large",
            Some("mcp"),
        ),
        (
            mcp()
                .without("content-type")
                .field("content-type", "text/plain"),
            415,
            "message.media_type",
            Some("mcp"),
        ),
        (mcp().body("{"), 400, "message.malformed", Some("mcp")),
        (mcp().target("/busy"), 429, "call.concurrency", Some("busy")),
    ] {
        for protocol in BOTH {
            let answer: Answer = rig.palisade.client().ask(protocol, &ask).await;
            let record = rig.palisade.record_of(&answer);
            let context = format!("{reason} {protocol:?} {answer:?} {record}");
            assert_eq!(answer.status, status, "{context}");
            assert_eq!(record["outcome"], "denied", "{context}");
            assert_eq!(record["status"], status, "{context}");
            assert!(
                record["reason"].as_str().unwrap().starts_with(reason),
                "{context}"
            );
            assert_eq!(
                record.get("server").and_then(Json::as_str),
                server,
                "{context}"
            );
        }
    }
    // A preflight that was answered is no MCP request.
    let before = rig.palisade.audit().len();
    let answer = rig
        .palisade
        .client()
        .ask(
            Protocol::Http1,
            &Ask::preflight("https://app.example.com", "POST"),
        )
        .await;
    assert_eq!(answer.status, 204);
    let after = rig.recorded("mcp", Protocol::Http1, &Ask::call()).await.1;
    assert_eq!(rig.palisade.audit()[before], after);
}

// REQ: L-1
#[tokio::test]
async fn the_servers_version_is_the_one_it_names_or_the_operators() {
    let initialize = || {
        Ask::post(
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}"#,
        )
    };
    let upstream = || {
        Upstream::answering(|request| match request.json()["method"].as_str() {
            Some("initialize") => Reply::result(
                request,
                &json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": { "name": "notes", "version": "4.5.6-rc1" } }),
            ),
            _ => Reply::result(request, &json!({})),
        })
    };
    let rig = Rig::new("", [server("a", upstream()), server("b", upstream())]);
    assert_eq!(
        rig.recorded("a", Protocol::Http1, &Ask::call()).await.1["serverVersion"],
        "unknown"
    );
    let (_, record) = rig.recorded("a", Protocol::Http2, &initialize()).await;
    assert_eq!(
        (&record["serverVersion"], &record["revision"]),
        (&"4.5.6-rc1".into(), &"2025-11-25".into())
    );
    for protocol in BOTH {
        assert_eq!(
            rig.recorded("a", protocol, &Ask::call()).await.1["serverVersion"],
            "4.5.6-rc1"
        );
    }
    // Each server has its own.
    assert_eq!(
        rig.recorded("b", Protocol::Http1, &Ask::call()).await.1["serverVersion"],
        "unknown"
    );
    let upstream = upstream();
    let palisade = Palisade::builder()
        .server(&upstream)
        .env("SERVER_VERSION", "2026.11")
        .start();
    for ask in [initialize(), Ask::call()] {
        let answer = palisade.client().ask(Protocol::Http1, &ask).await;
        assert_eq!(palisade.record_of(&answer)["serverVersion"], "2026.11");
    }
}

// REQ: L-1, L-2
#[tokio::test]
async fn arguments_are_redacted_and_bounded() {
    let key = format!("sk-ant-api03-{}", "abcdefghij0123456789");
    let upstream = Upstream::answering({
        let key = key.clone();
        move |request| {
            Reply::result(
                request,
                &json!({ "isError": true, "content": [{ "type": "text", "text": format!("bad key {key}") }] }),
            )
        }
    });
    let rig = Rig::new("", [server("mcp", upstream)]);
    let arguments = json!({
        "password": "hunter2",
        "apiKey": key,
        "note": format!("the key is {key}, mail bob@example.com"),
        "deep": [{ "Authorization": "Bearer abcdefghijklmnop" }],
        "plain": "stays",
    });
    let (answer, record) = rig
        .recorded(
            "mcp",
            Protocol::Http1,
            &call(&json!({ "name": "echo", "arguments": arguments })),
        )
        .await;
    let line = record.to_string();
    for secret in ["hunter2", &key, "bob@example.com", "abcdefghijklmnop"] {
        assert!(!line.contains(secret), "{secret} in {line}");
    }
    assert_eq!(record["args"]["plain"], "stays");
    assert_eq!(record["args"]["password"], "[REDACTED]");
    assert!(
        record["args"]["apiKey"]
            .as_str()
            .unwrap()
            .starts_with("[REDACTED:sha256:")
    );
    // What the upstream gets and what the client gets is not touched.
    assert_eq!(
        rig.upstream("mcp").of_case(&answer.case)[0].json()["params"]["arguments"],
        arguments
    );
    assert!(answer.text().contains(&key));
    // The header of a parameter never gets into a record.
    let (_, record) = rig
        .recorded(
            "mcp",
            Protocol::Http1,
            &Ask::call().field("mcp-param-token", "zzz-secret-zzz"),
        )
        .await;
    assert!(!record.to_string().contains("zzz-secret-zzz"));
    let big = json!({ "name": "echo", "arguments": { "a": "x".repeat(70_000) } });
    let (_, record) = rig.recorded("mcp", Protocol::Http1, &call(&big)).await;
    assert_eq!(record["args"]["omitted"], true, "{}", record["args"]);
    assert_eq!(record["args"]["bytes"], big["arguments"].to_string().len());
    assert_eq!(record["args"]["sha256"].as_str().unwrap().len(), 64);
}

// REQ: L-1
#[tokio::test]
async fn records_go_to_a_file_to_standard_output_or_to_both() {
    let upstream = Upstream::new();
    let server = section("mcp", &upstream.url(), "");
    let both = Palisade::with(&format!(
        "[audit]\nsink = [\"stdout\", {{ file = \"more.ndjson\" }}]\n{server}"
    ));
    let answer = both
        .client()
        .ask(
            Protocol::Http1,
            &Ask::post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
        )
        .await;
    let id = answer.header("x-request-id").unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    let file = || std::fs::read_to_string(both.path("more.ndjson")).unwrap_or_default();
    while !(both.stdout().contains(id) && file().contains(id)) {
        assert!(Instant::now() < until, "{} {}", both.stdout(), file());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // Lines of the log alone; words go to standard error. It is one log, with one chain.
    assert_eq!(both.stdout(), file());
    for line in both.stdout().lines() {
        let line: Json = serde_json::from_str(line).unwrap();
        assert!(
            line["event"] == "start" || line["method"] == "ping",
            "{line}"
        );
        assert!(line["seq"].is_u64());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(both.path("more.ndjson"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// A gateway whose standard output, its audit log, is a pipe that the test reads or does not.
fn piped(config: &str, upstream: &Upstream) -> (Palisade, File, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    // For both, so that nobody waits for the other end.
    let reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    let palisade = Palisade::builder()
        .config(&format!(
            "workers = 1\n{config}\n{}",
            section("mcp", &upstream.url(), "")
        ))
        .shell(&format!("exec \"$@\" > '{}'", pipe.display()))
        .start();
    (palisade, reader, directory)
}

fn heavy() -> Ask {
    call(&json!({ "name": "echo", "arguments": { "a": "x".repeat(60_000) } })).target("/mcp")
}

/// Asks until the answer has this status.
async fn until_status(palisade: &Palisade, ask: &Ask, status: u16) -> Answer {
    let until = Instant::now() + Duration::from_secs(15);
    loop {
        let answer = palisade.client().ask(Protocol::Http1, ask).await;
        if answer.status == status {
            return answer;
        }
        assert!(Instant::now() < until, "still {answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn light() -> Ask {
    Ask::call().target("/mcp")
}

// REQ: L-1, L-3
#[tokio::test]
async fn a_log_that_nobody_reads_stops_calls_until_somebody_does() {
    let upstream = Upstream::new();
    let (palisade, mut reader, _directory) = piped(
        "[audit]\nsink = \"stdout\"\nwrite_ahead = \"none\"",
        &upstream,
    );
    for _ in 0..4 {
        assert_eq!(
            palisade
                .client()
                .ask(Protocol::Http1, &heavy())
                .await
                .status,
            200
        );
    }
    // A pipe holds 64 KiB; the writer makes no progress from here.
    let refused = until_status(&palisade, &light(), 503).await;
    assert_eq!(refused.reason().as_deref(), Some("audit.unavailable"));
    assert_eq!(refused.json()["id"], 7);
    assert_eq!(refused.header("x-content-type-options"), Some("nosniff"));
    assert!(
        upstream.of_case(&refused.case).is_empty(),
        "an unrecorded call reached the server"
    );
    let reading = std::thread::spawn(move || {
        let mut seen = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        while !seen.ends_with(b"end\n") {
            let length = reader.read(&mut piece).unwrap();
            seen.extend(&piece[..length]);
        }
        String::from_utf8(seen).unwrap()
    });
    let back = until_status(&palisade, &light(), 200).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let pipe = OpenOptions::new()
        .write(true)
        .open(_directory.path().join("pipe"))
        .unwrap();
    std::io::Write::write_all(&mut &pipe, b"end\n").unwrap();
    let log = tokio::task::spawn_blocking(|| reading.join().unwrap())
        .await
        .unwrap();
    // Nothing that passed is missing.
    let records: Vec<Json> = log
        .lines()
        .filter(|line| *line != "end")
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |answer: &Answer| {
        records
            .iter()
            .any(|record| record["requestId"] == answer.header("x-request-id").unwrap())
    };
    assert!(of(&back));
    let heavy = records
        .iter()
        .filter(|record| record["args"]["a"].is_string());
    assert_eq!(heavy.count(), 4);
    let passed = records
        .iter()
        .filter(|record| record["outcome"] == "ok")
        .count();
    assert_eq!(passed, upstream.arrived().len());
}

// REQ: L-1, L-3
#[tokio::test]
async fn a_log_that_may_fail_open_says_how_much_is_missing() {
    let upstream = Upstream::new();
    let (palisade, mut reader, directory) = piped(
        "[audit]\nsink = \"stdout\"\nfail = \"open\"\nwrite_ahead = \"none\"",
        &upstream,
    );
    let mut http1 = palisade.client().http1().await;
    // More than the pipe, the writer and the worker's buffer hold together: 4 MiB each.
    const CALLS: usize = 200;
    for _ in 0..CALLS {
        assert_eq!(http1.ask(&heavy()).await.status, 200);
    }
    let reading = std::thread::spawn(move || {
        let mut seen = Vec::new();
        let mut piece = vec![0; 64 * 1024];
        while !seen.ends_with(b"end\n") {
            let length = reader.read(&mut piece).unwrap();
            seen.extend(&piece[..length]);
        }
        String::from_utf8(seen).unwrap()
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(http1.ask(&light()).await.status, 200);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let pipe = OpenOptions::new()
        .write(true)
        .open(directory.path().join("pipe"))
        .unwrap();
    std::io::Write::write_all(&mut &pipe, b"end\n").unwrap();
    let log = tokio::task::spawn_blocking(|| reading.join().unwrap())
        .await
        .unwrap();
    let records: Vec<Json> = log
        .lines()
        .filter(|line| *line != "end")
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let dropped: u64 = records
        .iter()
        .filter(|record| record["event"] == "gap")
        .map(|gap| gap["dropped"].as_u64().unwrap())
        .sum();
    let told = records
        .iter()
        .filter(|record| record["outcome"] == "ok")
        .count();
    assert!(dropped > 0, "nothing was lost: {} records", records.len());
    assert_eq!(told + usize::try_from(dropped).unwrap(), CALLS + 1);
}

// REQ: L-1, L-3
#[tokio::test]
async fn a_full_disk_stops_calls_and_its_end_lets_them_pass() {
    let upstream = Upstream::new();
    // A limit on the size of files stands for a full disk; its signal is ignored, as root's would be.
    let palisade = Palisade::builder()
        .config(&section("mcp", &upstream.url(), ""))
        .shell("trap '' XFSZ; ulimit -f 400; exec \"$@\"")
        .start();
    until_status(&palisade, &heavy(), 503).await;
    let refused = palisade.client().ask(Protocol::Http2, &light()).await;
    assert_eq!(
        (refused.status, refused.reason().as_deref()),
        (503, Some("audit.unavailable"))
    );
    palisade.wait_for_stderr("audit log");
    // Room again.
    let log = OpenOptions::new()
        .write(true)
        .open(palisade.path("audit.ndjson"))
        .unwrap();
    log.set_len(0).unwrap();
    until_status(&palisade, &light(), 200).await;
}

// REQ: L-1, G-10
#[tokio::test]
async fn the_log_is_whole_after_a_drain() {
    let upstream = Upstream::new();
    let mut palisade = Palisade::before(&upstream);
    let mut ids = Vec::new();
    let mut http1 = palisade.client().http1().await;
    for _ in 0..50 {
        let answer = http1.ask(&Ask::call()).await;
        ids.push(answer.header("x-request-id").unwrap().to_owned());
    }
    assert_eq!(palisade.stop(), Some(0));
    let written: Vec<String> = palisade
        .audit()
        .iter()
        .map(|record| record["requestId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(written, ids);
}

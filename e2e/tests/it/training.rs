//! The load by which `cargo xtask dist` teaches the compiler which paths are hot: clients of both
//! versions of HTTP before two gateways, one that writes an intent for every call and one that
//! knows its callers. `PALISADE_TRAINING` is the number of rounds; in a plain run there are few,
//! and what is tested is that each answer is the right one.

use e2e::wire::{Answer, Ask, Client};
use e2e::{Arrived, Palisade, Reply, Upstream};
use serde_json::{Value as Json, json};
use std::time::Duration;

use crate::rig::section;

/// Rounds of a plain run.
const FEW: usize = 3;

/// Connections of each version at a time.
const CONNECTIONS: usize = 8;

/// Streams of an HTTP/2 connection at a time.
const STREAMS: usize = 8;

/// Of the key in [`KNOWN`].
const KEY: &str = "pal_training_0123456789abcdefghijklmnop";

/// One caller, who may call what reads.
const KNOWN: &str = r#"
[rate]
limit = "1000000/min"
failed = "1000000/min"
[[auth.api_key]]
name = "training"
hash = "sha256:HASH"
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_the_training_load_is_answered() {
    let rounds = std::env::var_os("PALISADE_TRAINING")
        .map_or(FEW, |rounds| rounds.to_str().unwrap().parse().unwrap());
    let upstream = Upstream::answering(answer);
    let open = gateway(
        "[audit]\nwrite_ahead = \"all\"\n",
        &section("open", &upstream.url(), ""),
    );
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, KEY.as_bytes());
    let hash: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let known = gateway(
        &KNOWN.replace("HASH", &hash),
        &section(
            "known",
            &upstream.url(),
            "[[server.allow]]\ntool = \"search_*\"\n",
        ),
    );
    let work: Vec<_> = (0..CONNECTIONS)
        .flat_map(|_| {
            [
                tokio::spawn(over_http1(open.client(), known.client(), rounds)),
                tokio::spawn(over_http2(open.client(), known.client(), rounds)),
            ]
        })
        .collect();
    for work in work {
        work.await.unwrap();
    }
    for mut gateway in [open, known] {
        assert_eq!(gateway.stop(), Some(0), "{}", gateway.stderr());
    }
}

fn gateway(config: &str, server: &str) -> Palisade {
    let mut builder = Palisade::builder().config(&format!("{config}{server}"));
    // The counts of a build that counts; written when it ends.
    if let Some(counts) = std::env::var_os("LLVM_PROFILE_FILE") {
        builder = builder.env("LLVM_PROFILE_FILE", counts.to_str().unwrap());
    }
    builder.start()
}

async fn over_http1(open: Client, known: Client, rounds: usize) {
    let mut connection = open.http1().await;
    let mut asked = known.http1().await;
    for round in 0..rounds {
        for call in calls("/open") {
            check(&connection.ask(&call).await, 200);
        }
        for call in calls("/known") {
            check(&asked.ask(&with_key(call)).await, 200);
        }
        if round % 8 == 0 {
            for (refused, status) in refusals() {
                check(&open.http1().await.ask(&refused).await, status);
            }
            check(
                &known.http1().await.ask(&Ask::call().target("/known")).await,
                401,
            );
            let other = with_key(Ask::call().target("/known"));
            check(&known.http1().await.ask(&other).await, 403);
        }
    }
}

async fn over_http2(open: Client, known: Client, rounds: usize) {
    let mut connection = open.http2().await;
    let mut asked = known.http2().await;
    for round in 0..rounds {
        let mut streams = Vec::new();
        for call in calls("/open").into_iter().take(STREAMS) {
            streams.push(connection.open(&call).await);
        }
        for mut stream in streams {
            assert_eq!(stream.head.status, 200, "{:?}", stream.head);
            while stream.chunk().await.is_some() {}
        }
        for call in calls("/known") {
            check(&asked.ask(&with_key(call)).await, 200);
        }
        if round % 8 == 0 {
            for (refused, status) in refusals() {
                check(&open.http2().await.ask(&refused).await, status);
            }
        }
    }
}

fn check(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
}

fn with_key(call: Ask) -> Ask {
    call.field("authorization", format!("Bearer {KEY}"))
}

/// What clients call: some of it holds what must not stand in a log.
fn calls(path: &str) -> Vec<Ask> {
    let arguments = [
        json!({ "query": "open invoices", "limit": 10 }),
        json!({ "q": "status:open author:bob@example.org", "page": 2, "per_page": 50, "sort": "updated" }),
        json!({ "path": "/srv/data/reports/2026/q3.csv", "columns": ["region", "revenue", "margin"], "header": true }),
        json!({ "url": "https://user:hunter2@example.com/a?token=abcdef0123456789", "timeout_ms": 1500 }),
        json!({ "filter": { "and": [{ "field": "state", "is": "late" }, { "field": "due", "before": "2026-06-30T12:00:00Z" }] }, "cursor": null }),
        json!({ "text": "Please book the room for Tuesday, and tell +44 20 7946 0958 that we come.\nThanks,\nAnn", "lang": "en" }),
    ];
    let mut calls: Vec<Ask> = arguments
        .iter()
        .enumerate()
        .map(|(id, arguments)| {
            let params = json!({ "name": "search_notes", "arguments": arguments });
            request(id, "tools/call", &params).target(path)
        })
        .collect();
    let streamed =
        json!({ "name": "search_slowly", "arguments": {}, "_meta": { "progressToken": "p" } });
    calls.push(request(7, "tools/call", &streamed).target(path));
    calls.push(request(8, "tools/list", &json!({})).target(path));
    calls
}

fn request(id: usize, method: &str, params: &Json) -> Ask {
    Ask::post(
        &json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string(),
    )
}

/// What strangers send, and its answer.
fn refusals() -> [(Ask, u16); 4] {
    let call = || Ask::call().target("/open");
    [
        (call().host("localhost.example.net"), 403),
        (call().origin("https://example.net"), 403),
        (Ask::post("{\"jsonrpc\":\"2.0\",").target("/open"), 400),
        (call().target("/elsewhere"), 404),
    ]
}

fn answer(request: &Arrived) -> Reply {
    let asked = request.json();
    let result = match asked["method"].as_str() {
        Some("tools/list") => json!({ "tools": (0..12).map(tool).collect::<Vec<_>>() }),
        _ => {
            let text =
                "Three notes fit: the offer to the northern branch, its answer, and the minutes.";
            json!({ "content": [{ "type": "text", "text": text.repeat(6) }], "isError": false })
        }
    };
    if asked["params"]["name"] != "search_slowly" {
        return Reply::result(request, &result);
    }
    let progress = |done: u32| json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": "p", "progress": done, "total": 3 } });
    let last = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result });
    let events: Vec<String> = [progress(1), progress(2), progress(3), last]
        .iter()
        .map(|message| format!("event: message\ndata: {message}\n\n"))
        .collect();
    let events: Vec<(Duration, &str)> = events
        .iter()
        .map(|event| (Duration::ZERO, event.as_str()))
        .collect();
    Reply::events(&events)
}

fn tool(number: usize) -> Json {
    json!({
        "name": format!("search_{number}"),
        "description": "Looks through the notes of a project and returns those that fit, newest first.",
        "inputSchema": { "type": "object", "properties": {
            "query": { "type": "string", "description": "What to look for." },
            "limit": { "type": "integer", "minimum": 1, "maximum": 100 },
        }, "required": ["query"] },
    })
}

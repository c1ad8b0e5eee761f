//! What may be used up, and what happens past it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::upstream::Step;
use e2e::wire::{Answer, Ask, BOTH, Outcome, Protocol};
use e2e::{Palisade, Reply, Upstream};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::rig::{Rig, always, modern_request, section, server};

const LIMIT: usize = 2_097_152;
const ORIGIN: &str = "https://app.example.com";

/// A message of exactly this many bytes.
fn message(length: usize) -> Vec<u8> {
    let (head, tail) = (
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"a":""#,
        r#""}}"#,
    );
    let fill = "a".repeat(length - head.len() - tail.len());
    format!("{head}{fill}{tail}").into_bytes()
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in body.chunks(64 * 1024) {
        bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
        bytes.extend(piece);
        bytes.extend(b"\r\n");
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

// REQ: R-3, C-5, S-1, G-13
#[tokio::test]
async fn a_body_over_two_mebibytes_is_refused_however_it_comes() {
    let rig = Rig::new(
        &format!("[cors]\norigins = [\"{ORIGIN}\"]"),
        [server("body", Upstream::new())],
    );
    let ask = |body: &[u8]| Ask::post("").body(body).origin(ORIGIN).target("/body");
    let (fits, over, far) = (message(LIMIT), message(LIMIT + 1), message(3 * LIMIT));
    for body in [&fits, &over, &far] {
        let mut answers = Vec::new();
        for protocol in BOTH {
            answers.push(rig.ask("body", protocol, &ask(body)).await);
        }
        let chunks = ask(&chunked(body)).field("transfer-encoding", "chunked");
        answers.push(rig.ask("body", Protocol::Http1, &chunks).await);
        // HTTP/2 without a length: the harness sends none by itself; now with one.
        let declared = ask(body).field("content-length", body.len().to_string());
        answers.push(rig.ask("body", Protocol::Http2, &declared).await);
        for (index, answer) in answers.iter().enumerate() {
            let arrived = rig.upstream("body").of_case(&answer.case);
            let context = format!("{} bytes, way {index}: {answer:?}", body.len());
            assert_eq!(
                answer.header("access-control-allow-origin"),
                Some(ORIGIN),
                "{context}"
            );
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            if body.len() == LIMIT {
                assert_eq!((answer.status, arrived.len()), (200, 1), "{context}");
                assert_eq!(arrived[0].body, fits);
                continue;
            }
            too_large(answer, &context);
            assert!(arrived.is_empty(), "{context}");
            let record = rig.palisade.record_of(answer);
            assert_eq!(
                (&record["outcome"], &record["reason"]),
                (&"denied".into(), &"body.too_large".into())
            );
            assert!(
                record["error"].as_str().unwrap().contains("limits.body"),
                "{record}"
            );
        }
    }
}

fn too_large(answer: &Answer, context: &str) {
    assert_eq!(answer.status, 413, "{context}");
    assert!(!answer.cut, "{context}");
    assert_eq!(
        answer.reason().as_deref(),
        Some("body.too_large"),
        "{context}"
    );
}

// REQ: R-3
#[tokio::test]
async fn a_declared_length_is_refused_before_a_byte_of_the_body() {
    let rig = Rig::new("", [server("body", Upstream::new())]);
    let mut http1 = rig.palisade.client().http1().await;
    let head = format!(
        "POST /body HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        LIMIT + 1
    );
    too_large(&http1.exchange(&head).await, "no body sent");
    // Who asks first is told not to send.
    let mut http1 = rig.palisade.client().http1().await;
    let expecting = head.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    too_large(&http1.exchange(expecting).await, "100-continue");
    let mut http2 = rig.palisade.client().http2().await;
    let request = http::Request::post("https://localhost/body")
        .version(http::Version::HTTP_2)
        .header("content-type", "application/json")
        .header("content-length", LIMIT + 1)
        .body(())
        .unwrap();
    let (answer, _send) = http2.begin(request, false).await;
    let answer = tokio::time::timeout(Duration::from_secs(5), answer)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.status(), 413);
    // The connection serves on.
    assert_eq!(http2.ask(&Ask::call().target("/body")).await.status, 200);
}

// REQ: R-1
#[tokio::test]
async fn each_peer_has_its_rate_and_preflights_have_their_own() {
    let config = format!("[rate]\npeer = \"4/min\"\n[cors]\norigins = [\"{ORIGIN}\"]");
    let rig = Rig::new(
        &config,
        [
            server("rate", Upstream::new()),
            server("other", Upstream::new()),
        ],
    );
    for (count, protocol) in [0, 1, 0, 1, 0, 1]
        .map(|index| BOTH[index])
        .into_iter()
        .enumerate()
    {
        let answer = rig.ask("rate", protocol, &Ask::call().origin(ORIGIN)).await;
        let left = 3_usize.saturating_sub(count);
        let field = answer.header("ratelimit").unwrap();
        assert!(
            field.starts_with(&format!("\"peer\";r={left};t=")),
            "{count}: {field}"
        );
        assert_eq!(answer.header("ratelimit-policy"), Some("\"peer\";q=4;w=60"));
        assert_eq!(answer.header("access-control-allow-origin"), Some(ORIGIN));
        if count < 4 {
            assert_eq!(
                (answer.status, answer.header("retry-after")),
                (200, None),
                "{count}"
            );
            continue;
        }
        assert_eq!(answer.status, 429, "{count}");
        assert_eq!(answer.reason().as_deref(), Some("rate.exceeded"));
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        assert!(rig.upstream("rate").of_case(&answer.case).is_empty());
        let record = rig.palisade.record_of(&answer);
        assert_eq!(
            (&record["outcome"], &record["reason"]),
            (&"denied".into(), &"rate.exceeded".into())
        );
    }
    // Another server counts for itself.
    assert_eq!(
        rig.ask("other", Protocol::Http1, &Ask::call()).await.status,
        200
    );
    // Twice as many preflights, in a bucket of their own; they carry no rate.
    let preflight = Ask::preflight(ORIGIN, "POST");
    for count in 0..10 {
        let answer = rig.ask("rate", BOTH[count % 2], &preflight).await;
        let status = if count < 8 { 204 } else { 429 };
        assert_eq!(answer.status, status, "{count}: {answer:?}");
        assert_eq!(answer.header("ratelimit"), None);
        assert_eq!(answer.header("retry-after").is_some(), status == 429);
    }
}

// REQ: R-1
#[tokio::test]
async fn the_rate_speaks_three_forms_and_has_a_burst() {
    let config =
        "[rate]\npeer = \"600/min\"\nburst = 2\nheaders = [\"draft-6\", \"draft-8\", \"legacy\"]";
    let rig = Rig::new(config, [server("rate", Upstream::new())]);
    let first = rig.ask("rate", Protocol::Http1, &Ask::call()).await;
    assert_eq!(first.status, 200);
    for name in [
        "ratelimit",
        "ratelimit-limit",
        "ratelimit-remaining",
        "ratelimit-reset",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
    ] {
        assert!(first.header(name).is_some(), "no {name}: {first:?}");
    }
    // At once on one connection: the burst is spent long before ten more a second come in.
    let mut http2 = rig.palisade.client().http2().await;
    let asks = (0..12).map(|_| {
        let mut http2 = http2.clone();
        tokio::spawn(async move { http2.ask(&Ask::call().target("/rate")).await.status })
    });
    let mut statuses = Vec::new();
    for ask in asks.collect::<Vec<_>>() {
        statuses.push(ask.await.unwrap());
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(http2.ask(&Ask::call().target("/rate")).await.status, 200);
}

fn tool(name: &str) -> Ask {
    Ask::post(&json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": name, "arguments": {} } }).to_string())
}

// REQ: G-17
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_at_once_are_bounded_per_server_and_per_tool() {
    let slow = || {
        Upstream::answering(|request| match request.json()["params"]["name"].as_str() {
            Some("quick") => Reply::result(request, &json!({})),
            _ if request.method() == "GET" => Reply::status(405),
            _ => Reply::never(),
        })
    };
    let rig = Rig::new(
        "",
        [
            server("all", slow()).with("concurrency = 2"),
            server("one", slow()).with("[server.tool.slow]\nconcurrency = 1"),
        ],
    );
    for (name, held) in [("all", 2), ("one", 1)] {
        let ask = tool("slow").target(&format!("/{name}"));
        let upstream = rig.upstream(name);
        let mut calls = Vec::new();
        for count in 1..=held {
            let mut http2 = rig.palisade.client().http2().await;
            calls.push(tokio::spawn(async move {
                http2.outcome(&ask_of(&ask_name(name))).await
            }));
            upstream.wait_for(count);
        }
        for protocol in BOTH {
            let (answer, record) = rig.recorded(name, protocol, &ask).await;
            assert_eq!(answer.status, 429, "{name} {answer:?}");
            assert_eq!(answer.reason().as_deref(), Some("call.concurrency"));
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert_eq!(answer.json()["id"], 7);
            assert!(upstream.of_case(&answer.case).is_empty());
            assert_eq!(
                (&record["outcome"], &record["reason"]),
                (&"denied".into(), &"call.concurrency".into())
            );
            assert!(
                record["error"].as_str().unwrap().contains("concurrency"),
                "{record}"
            );
            // What is no call is not counted; another tool only where the server counts all.
            assert_eq!(
                rig.ask(name, protocol, &Ask::new("GET", "/")).await.status,
                405
            );
            let other = rig.ask(name, protocol, &tool("quick")).await.status;
            assert_eq!(other, if name == "all" { 429 } else { 200 }, "{name}");
        }
        // A place is free as soon as a client leaves.
        calls.pop().unwrap().abort();
        upstream.wait_for_left(1);
        let until = Instant::now() + Duration::from_secs(5);
        let before = upstream.arrived().len();
        let mut http2 = rig.palisade.client().http2().await;
        let again = tokio::spawn(async move { http2.outcome(&ask_of(&ask_name(name))).await });
        while upstream.arrived().len() == before {
            assert!(
                Instant::now() < until,
                "{name}: the place was not given back"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        again.abort();
    }
}

fn ask_name(name: &str) -> String {
    format!("/{name}")
}

fn ask_of(target: &str) -> Ask {
    tool("slow").target(target)
}

// REQ: G-17, L-1
#[tokio::test]
async fn calls_end_at_their_time_limit_wherever_they_stand() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"half\":\r\n";
    const LENGTH: &str =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{\"half\":";
    let limit = "timeout = \"400ms\"\n[server.tool.patient]\ntimeout = \"60s\"\n[server.tool.hasty]\ntimeout = \"100ms\"";
    let rig = Rig::new(
        "",
        [
            always("head", Reply::never()).with(limit),
            always("chunked", Reply::raw(CHUNKED).then(Step::Never)).with(limit),
            always("length", Reply::raw(LENGTH).then(Step::Never)).with(limit),
            always(
                "events",
                Reply::open_events(&[(Duration::ZERO, "data: half\n\n")]),
            )
            .with(limit),
        ],
    );
    for name in ["head", "chunked", "length", "events"] {
        for protocol in BOTH {
            for (tool_name, least) in [("any", 400), ("hasty", 100)] {
                let left = rig.upstream(name).left();
                let began = Instant::now();
                let (answer, record) = rig.recorded(name, protocol, &tool(tool_name)).await;
                let took = began.elapsed();
                let context =
                    format!("{name} {tool_name} {protocol:?} {took:?} {answer:?} {record}");
                assert!(took >= Duration::from_millis(least), "{context}");
                assert!(took < Duration::from_secs(5), "{context}");
                if name == "head" {
                    assert_eq!(
                        (answer.status, answer.reason().as_deref()),
                        (504, Some("call.timeout")),
                        "{context}"
                    );
                    assert_eq!(answer.json()["id"], 7);
                } else {
                    assert_eq!(answer.status, 200, "{context}");
                    assert!(answer.text().contains("half"), "{context}");
                    assert!(
                        answer.cut,
                        "half an answer passes for a whole one: {context}"
                    );
                }
                assert_eq!(record["outcome"], "timeout", "{context}");
                rig.upstream(name).wait_for_left(left + 1);
            }
        }
    }
    // A tool's own, longer limit replaces the server's; streams that stay open have none.
    let listen = modern_request(7, "subscriptions/listen", &json!({}));
    for ask in [
        tool("patient"),
        listen,
        Ask::new("GET", "/").field("accept", "text/event-stream"),
    ] {
        let mut http1 = rig.palisade.client().http1().await;
        http1.open(&ask.target("/events")).await;
        assert_eq!(http1.chunk().await.unwrap(), b"data: half\n\n");
        let more = tokio::time::timeout(Duration::from_millis(900), http1.chunk()).await;
        assert!(more.is_err(), "cut off: {more:?}");
    }
}

// REQ: G-7
#[tokio::test]
async fn report_mode_passes_and_records_and_off_looks_at_nothing() {
    let config = |mode: &str| {
        format!(
            "mode = \"{mode}\"\nhosts = [\"mcp.example.com\"]\n[rate]\npeer = \"1/h\"\n[limits]\nbody = 100"
        )
    };
    for mode in ["report", "off"] {
        let rig = Rig::new(&config(mode), [server("mode", Upstream::new())]);
        // The first request of the hour.
        rig.ask("mode", Protocol::Http1, &Ask::call()).await;
        for protocol in BOTH {
            let ask = Ask::post("")
                .body(message(300))
                .host("evil.example")
                .origin("https://evil.example");
            let (answer, record) = rig.recorded("mode", protocol, &ask).await;
            assert_eq!(answer.status, 200, "{mode} {answer:?}");
            assert_eq!(rig.upstream("mode").of_case(&answer.case).len(), 1);
            assert_eq!(
                answer.header("access-control-allow-origin"),
                None,
                "an unmatched origin was granted"
            );
            assert_eq!(record["outcome"], "ok");
            let mut reported: Vec<String> =
                serde_json::from_value(record["reported"].clone()).unwrap_or_default();
            reported.sort();
            let all = [
                "body.too_large",
                "host.not_allowed",
                "origin.not_allowed",
                "rate.exceeded",
            ];
            assert_eq!(
                reported,
                if mode == "report" { &all[..] } else { &[] },
                "{mode} {record}"
            );
            // What protects a parser has no mode.
            let bad = rig.ask("mode", protocol, &Ask::post("{}")).await;
            assert_eq!(bad.status, 400, "{mode}");
            let path = rig
                .palisade
                .client()
                .ask(protocol, &Ask::call().target("/mode/../x"))
                .await;
            assert_eq!(path.status, 400, "{mode}");
        }
        // Chunked, the limit is passed unannounced; the same holds.
        let ask = Ask::post("")
            .field("transfer-encoding", "chunked")
            .body(chunked(&message(300)));
        assert_eq!(
            rig.ask("mode", Protocol::Http1, &ask).await.status,
            200,
            "{mode}"
        );
    }
}

// REQ: G-7
#[tokio::test]
async fn one_layer_of_one_server_may_have_a_mode_of_its_own() {
    let rig = Rig::new(
        "[origin]\nmode = \"enforce\"",
        [
            server("strict", Upstream::new()),
            server("loose", Upstream::new()).with("[server.origin]\nmode = \"report\""),
        ],
    );
    let ask = Ask::call().origin("https://evil.example");
    assert_eq!(rig.ask("strict", Protocol::Http2, &ask).await.status, 403);
    let (answer, record) = rig.recorded("loose", Protocol::Http2, &ask).await;
    assert_eq!(
        (answer.status, &record["reported"]),
        (200, &json!(["origin.not_allowed"]))
    );
}

// REQ: R-3
#[tokio::test]
async fn heads_are_bounded_in_fields_and_in_bytes() {
    let rig = Rig::new("", [server("head", Upstream::new())]);
    let many =
        |count: usize| (0..count).fold(Ask::call(), |ask, n| ask.field(&format!("x-n{n}"), "x"));
    let big = |bytes: usize| Ask::call().field("x-big", "x".repeat(bytes));
    for protocol in BOTH {
        for (ask, passes) in [
            (many(80), true),
            (many(120), false),
            (many(5000), false),
            (big(28 << 10), true),
            (big(33 << 10), false),
            (big(2 << 20), false),
        ] {
            let mut http2;
            let (status, case) = match protocol {
                Protocol::Http1 => {
                    let answer = rig.ask("head", protocol, &ask).await;
                    (Some(answer.status), answer.case)
                }
                Protocol::Http2 => {
                    http2 = rig.palisade.client().http2().await;
                    match http2.outcome(&ask.target("/head")).await {
                        Outcome::Answer(answer) => (Some(answer.status), answer.case),
                        // A head this large may end the connection.
                        Outcome::Reset(_) => (None, String::from("none")),
                    }
                }
            };
            if passes {
                assert_eq!(status, Some(200), "{protocol:?}");
            } else {
                assert!(
                    matches!(status, Some(431) | None),
                    "{protocol:?} {status:?}"
                );
            }
            assert_eq!(
                rig.upstream("head").of_case(&case).len(),
                usize::from(passes)
            );
        }
    }
}

// REQ: R-3
#[tokio::test]
async fn connections_are_bounded_in_all() {
    let rig = Rig::new(
        "[limits]\nconnections = 3",
        [server("mcp", Upstream::new())],
    );
    let client = rig.palisade.client();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(client.http1().await);
    }
    // Closed without a word, and without the cost of a handshake.
    assert!(client.connect("http/1.1").await.is_err());
    for http1 in &mut held {
        assert_eq!(http1.ask(&Ask::call().target("/mcp")).await.status, 200);
    }
    held.pop();
    let until = Instant::now() + Duration::from_secs(5);
    while client.connect("http/1.1").await.is_err() {
        assert!(Instant::now() < until, "the place was not given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

// REQ: R-3, L-1
#[tokio::test]
async fn what_comes_too_slowly_is_given_up() {
    let timeouts = "[limits.timeouts]\nhandshake = \"500ms\"\nheaders = \"500ms\"\nidle = \"500ms\"\nbody = \"500ms\"\nfirst_byte = \"500ms\"";
    let rig = Rig::new(timeouts, [server("slow", Upstream::new())]);
    let client = rig.palisade.client();
    let head = "POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    // Half a body, by each framing, and a body that trickles.
    for start in [
        "Content-Length: 100\r\n\r\n{",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n",
    ] {
        let mut http1 = client.http1().await;
        let began = Instant::now();
        let answer = http1.exchange(format!("{head}{start}")).await;
        assert!(began.elapsed() >= Duration::from_millis(450));
        slow(&answer);
        assert!(http1.is_closed().await, "what follows cannot be framed");
        let record = rig.palisade.record_of(&answer);
        assert_eq!(
            (&record["outcome"], &record["reason"]),
            (&"denied".into(), &"body.timeout".into())
        );
    }
    let mut http1 = client.http1().await;
    http1
        .send(format!("{head}Content-Length: 100\r\n\r\n"))
        .await;
    for _ in 0..12 {
        http1.send(" ").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    slow(&http1.answer().await);
    // HTTP/2.
    let mut http2 = client.http2().await;
    let request = http::Request::post("https://localhost/slow")
        .version(http::Version::HTTP_2)
        .header("content-type", "application/json")
        .body(())
        .unwrap();
    let (answer, mut send) = http2.begin(request, false).await;
    send.send_data(Bytes::from_static(b"{"), false).unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(5), answer)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.status(), 408);
    // Half a head, nothing at all, no handshake.
    for start in [
        "POST /slow HTT",
        "POST /slow HTTP/1.1\r\nHost: localhost\r\n",
        "",
    ] {
        let mut http1 = client.http1().await;
        let began = Instant::now();
        http1.send(start).await;
        let rest = String::from_utf8(http1.rest().await).unwrap();
        assert!(
            rest.is_empty() || rest.starts_with("HTTP/1.1 408"),
            "{rest}"
        );
        assert!(began.elapsed() < Duration::from_secs(5), "{start:?}");
    }
    let mut silent = rig.palisade.client().plain().http1().await;
    let began = Instant::now();
    assert!(silent.is_closed().await);
    assert!(
        (400..5000).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );
    assert!(rig.upstream("slow").arrived().is_empty());
}

fn slow(answer: &Answer) {
    assert_eq!(
        (answer.status, answer.reason().as_deref()),
        (408, Some("body.timeout")),
        "{answer:?}"
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

// REQ: R-3
#[tokio::test]
async fn bodies_in_flight_are_bounded_together() {
    let upstream = Upstream::new();
    let palisade = Palisade::with(&format!(
        "[limits]\nbody = \"1MB\"\ninflight_bytes = \"2MB\"\n{}",
        section("mcp", &upstream.url(), "")
    ));
    let client = palisade.client();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        1 << 20
    );
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut http1 = client.http1().await;
        http1.send(format!("{head}{}", " ".repeat(1_000_000))).await;
        waiting.push(http1);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut http1 = client.http1().await;
    let answer = http1
        .exchange(format!("{head}{}", " ".repeat(1_000_000)))
        .await;
    assert_eq!(
        (answer.status, answer.reason().as_deref()),
        (503, Some("limit.inflight")),
        "{answer:?}"
    );
    // Given back with those who leave.
    drop(waiting);
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        let answer = client
            .ask(Protocol::Http1, &Ask::post("").body(message(1 << 20)))
            .await;
        if answer.status == 200 {
            break;
        }
        assert!(Instant::now() < until, "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

// REQ: R-3, G-13
#[tokio::test]
async fn a_refusal_reaches_clients_that_are_still_sending() {
    let rig = Rig::new("", [server("mcp", Upstream::new())]);
    let mut http2 = rig.palisade.client().http2().await;
    for finishes in [true, false] {
        let request = http::Request::post("https://localhost/mcp")
            .version(http::Version::HTTP_2)
            .header("content-type", "application/json")
            .header("origin", "https://evil.example")
            .body(())
            .unwrap();
        let (answer, mut send) = http2.begin(request, false).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), answer).await;
        let mut answer = answer.unwrap().unwrap();
        assert_eq!(answer.status(), 403);
        let mut seen = Vec::new();
        while let Some(data) = answer.body_mut().data().await {
            seen.extend(data.expect("a reset before the end of the answer"));
        }
        assert!(String::from_utf8_lossy(&seen).contains("origin.not_allowed"));
        // There is time to finish: some clients forget the answer over a reset while they send.
        tokio::time::sleep(Duration::from_millis(200)).await;
        send.send_data(Bytes::from_static(b"{}"), finishes)
            .expect("already reset");
        let reset = std::future::poll_fn(|cx| send.poll_reset(cx));
        let reset = tokio::time::timeout(Duration::from_secs(3), reset).await;
        if finishes {
            assert!(!matches!(reset, Ok(Ok(_))), "{reset:?}");
        } else {
            // But not for ever.
            assert_eq!(reset.unwrap().unwrap(), h2::Reason::NO_ERROR);
        }
    }
    assert_eq!(http2.ask(&Ask::call().target("/mcp")).await.status, 200);
}

// REQ: R-3, G-13
#[tokio::test]
async fn a_refused_sender_over_http1_is_heard_out_for_a_while() {
    let rig = Rig::new("", [server("mcp", Upstream::new())]);
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nOrigin: https://evil.example\r\nContent-Length: 4000000\r\n\r\n";
    let mut http1 = rig.palisade.client().http1().await;
    let answer = http1.exchange(head).await;
    assert_eq!(
        answer.reason().as_deref(),
        Some("origin.not_allowed"),
        "{answer:?}"
    );
    assert!(http1.is_closed().await, "the gateway's own end");
    // What is sent now would meet a reset, were the socket closed.
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let sent = http1.stream().write_all(&[b' '; 100_000]).await;
        sent.expect("the connection was reset");
    }
    // But not for ever.
    let until = Instant::now() + Duration::from_secs(10);
    while http1.stream().write_all(&[b' '; 1000]).await.is_ok() {
        assert!(Instant::now() < until, "it reads on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

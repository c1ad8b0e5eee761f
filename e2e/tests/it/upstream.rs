//! Upstreams that fail, in every way a network knows, and what becomes of the call.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::upstream::Step;
use e2e::wire::{Answer, Ask, BOTH, Protocol};
use e2e::{Palisade, Reply, Upstream, authority};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::rig::{Rig, always, section, server};

// REQ: G-15, G-13, G-17, L-1
#[tokio::test]
async fn an_upstream_without_an_answer_is_named_by_reason_and_outcome() {
    let full = Full::new();
    let mut config = String::from("[limits.timeouts]\nconnect = \"300ms\"\n");
    config += &section("nobody", &format!("http://{}/mcp", Upstream::nobody()), "");
    config += &section("full", &format!("http://{}/mcp", full.address), "");
    let big_head = format!("HTTP/1.1 200 OK\r\nX-Big: {}\r\n\r\n", "x".repeat(1 << 20));
    let many = "X-Many: x\r\n".repeat(2000);
    let many = format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 0\r\n\r\n");
    let two_lengths = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}";
    let switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
    let rig = Rig::new(
        &config,
        [
            always("reset", Reply::reset()),
            always("close", Reply::close()),
            always(
                "half",
                Reply::raw("HTTP/1.1 200 OK\r\nContent-").then(Step::Close),
            ),
            always("garbage", Reply::garbage()),
            always("tls", Reply::raw([21, 3, 1, 0, 2, 2, 70]).then(Step::Close)),
            always("big_head", Reply::raw(big_head).then(Step::Close)),
            always("many", Reply::raw(many).then(Step::Close)),
            always("two_lengths", Reply::raw(two_lengths).then(Step::Close)),
            always("switched", Reply::raw(switched).then(Step::Never)),
            always("never", Reply::never()).with("timeout = \"300ms\""),
        ],
    );
    for (name, status, reason, outcome) in [
        (
            "nobody",
            502,
            "upstream.unreachable",
            "upstream_unreachable",
        ),
        ("full", 504, "upstream.timeout", "timeout"),
        ("reset", 502, "upstream.unreachable", "upstream_unreachable"),
        ("close", 502, "upstream.unreachable", "upstream_unreachable"),
        ("half", 502, "upstream.unreachable", "upstream_unreachable"),
        ("garbage", 502, "upstream.malformed", "error"),
        ("tls", 502, "upstream.malformed", "error"),
        ("big_head", 502, "upstream.malformed", "error"),
        ("many", 502, "upstream.malformed", "error"),
        ("two_lengths", 502, "upstream.malformed", "error"),
        ("switched", 502, "upstream.malformed", "error"),
        ("never", 504, "call.timeout", "timeout"),
    ] {
        for protocol in BOTH {
            let (answer, record) = rig.recorded(name, protocol, &Ask::call()).await;
            let context = format!("{name} {protocol:?} {answer:?} {record}");
            assert_eq!(answer.status, status, "{context}");
            assert_eq!(answer.reason().as_deref(), Some(reason), "{context}");
            assert_eq!(answer.json()["id"], 7, "{context}");
            assert_eq!(answer.header("content-type"), Some("application/json"));
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
            assert_eq!(record["outcome"], outcome, "{context}");
            assert_eq!(record["reason"], reason, "{context}");
            assert_eq!(record["status"], status, "{context}");
            assert!(
                record["error"].as_str().is_some_and(|text| text.len() > 8),
                "{context}"
            );
        }
    }
    // What ran into its time limit was cancelled at the upstream too.
    rig.upstream("never").wait_for_left(2);
    rig.upstream("switched").wait_for_left(2);
    // The operator learns what to do.
    for (name, remedy) in [
        ("nobody", "start the upstream"),
        ("full", "limits.timeouts.connect"),
        ("reset", "the upstream's own log"),
        ("garbage", "names an HTTP server"),
        ("never", "raise `timeout`"),
    ] {
        let record = rig
            .palisade
            .audit_where(2, |record| record["server"] == name)
            .remove(0);
        assert!(
            record["error"].as_str().unwrap().contains(remedy),
            "{record}"
        );
    }
}

/// A listener whose queue is full: a connection to it is neither accepted nor refused.
struct Full {
    address: SocketAddr,
    _held: Vec<socket2::Socket>,
}

impl Full {
    fn new() -> Self {
        let tcp = || socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let listener = tcp().unwrap();
        listener
            .bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())
            .unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut held = vec![listener];
        for _ in 0..4 {
            let filler = tcp().unwrap();
            filler.set_nonblocking(true).unwrap();
            let _ = filler.connect(&address);
            held.push(filler);
        }
        Self {
            address: address.as_socket().unwrap(),
            _held: held,
        }
    }
}

// REQ: G-15, L-1
#[tokio::test]
async fn an_answer_that_breaks_off_is_broken_off_for_the_client_too() {
    let length = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"half\":";
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"half\":\r\n";
    let in_chunk = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"half\":";
    let bad_chunk = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"half\":\r\nzz\r\n";
    let events = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n: half\n\n\r\n";
    // A client reads what came before the end; a reset may overtake it.
    let pause = Step::Pause(Duration::from_millis(50));
    let dies = |bytes: &str, how: Step| Reply::raw(bytes).then(pause.clone()).then(how);
    let rig = Rig::new(
        "",
        [
            always("length", dies(length, Step::Close)),
            always("length_reset", dies(length, Step::Reset)),
            always("chunked", dies(chunked, Step::Close)),
            always("in_chunk", dies(in_chunk, Step::Close)),
            always("bad_chunk", dies(bad_chunk, Step::Never)),
            always("chunked_reset", dies(chunked, Step::Reset)),
            always("events", dies(events, Step::Close)),
            always("events_reset", dies(events, Step::Reset)),
        ],
    );
    for name in [
        "length",
        "length_reset",
        "chunked",
        "in_chunk",
        "bad_chunk",
        "chunked_reset",
        "events",
        "events_reset",
    ] {
        for protocol in BOTH {
            let (answer, record) = rig.recorded(name, protocol, &Ask::call()).await;
            let context = format!("{name} {protocol:?} {answer:?} {record}");
            assert_eq!(answer.status, 200, "{context}");
            assert!(answer.cut, "taken for whole: {context}");
            assert!(answer.text().contains("half"), "{context}");
            assert_eq!(record["outcome"], "upstream_unreachable", "{context}");
            assert_eq!(
                rig.upstream(name).of_case(&answer.case).len(),
                1,
                "{context}"
            );
        }
    }
}

// REQ: G-13, G-15
#[tokio::test]
async fn statuses_pass_verbatim() {
    const STATUSES: [u16; 22] = [
        200, 201, 202, 204, 206, 303, 304, 400, 401, 402, 403, 404, 405, 406, 409, 410, 415, 418,
        429, 500, 503, 529,
    ];
    let upstream = Upstream::answering(|request| {
        let status: u16 = request.header("x-status").unwrap().parse().unwrap();
        Reply::new(
            status,
            &[("Content-Type", "text/plain"), ("X-Own", "1")],
            match status {
                202 | 204 | 304 => "",
                _ => "the upstream's own words",
            },
        )
    });
    let rig = Rig::new("", [server("all", upstream)]);
    for protocol in BOTH {
        for status in STATUSES {
            let ask = Ask::call().field("x-status", status.to_string());
            let (answer, record) = rig.recorded("all", protocol, &ask).await;
            assert_eq!(answer.status, status, "{protocol:?} {answer:?}");
            assert_eq!(answer.header("x-own"), Some("1"));
            assert_eq!(answer.reason(), None);
            let empty = matches!(status, 202 | 204 | 304);
            assert_eq!(
                answer.text(),
                if empty {
                    ""
                } else {
                    "the upstream's own words"
                }
            );
            assert_eq!(record["status"], status);
            assert_eq!(record.get("reason"), None, "{record}");
            // What came of the call is not known where the answer holds no result.
            let outcome = if status >= 400 { "error" } else { "detached" };
            assert_eq!(record["outcome"], outcome, "{record}");
        }
    }
}

// REQ: G-15
#[tokio::test]
async fn a_request_is_never_sent_twice_and_an_unsent_one_is_tried_again() {
    // What an answered request leaves behind is a connection in the pool; the second one on it
    // meets its end.
    let second = |how: fn() -> Reply| {
        let on = std::sync::Mutex::new(std::collections::HashMap::<usize, usize>::new());
        Upstream::answering(move |request| {
            let mut on = on.lock().unwrap();
            let count = on.entry(request.connection).or_default();
            *count += 1;
            if *count == 1 {
                Reply::result(request, &serde_json::json!({}))
            } else {
                how()
            }
        })
    };
    // One worker, so that the pool is one.
    let rig = Rig::new(
        "workers = 1",
        [
            server("close", second(Reply::close)),
            server("reset", second(Reply::reset)),
            server("garbage", second(Reply::garbage)),
            server(
                "idle",
                Upstream::answering(|request| {
                    Reply::result(request, &serde_json::json!({})).then(Step::Close)
                }),
            ),
        ],
    );
    for name in ["close", "reset", "garbage"] {
        for protocol in BOTH {
            let first = rig.ask(name, protocol, &Ask::call()).await;
            assert_eq!(first.status, 200, "{name}");
            let second = rig.ask(name, protocol, &Ask::call()).await;
            assert_eq!(second.status, 502, "{name}: {second:?}");
            let arrived = rig.upstream(name).of_case(&second.case);
            assert_eq!(arrived.len(), 1, "{name} was sent {} times", arrived.len());
            let before = rig.upstream(name).of_case(&first.case)[0].connection;
            assert_eq!(
                arrived[0].connection, before,
                "{name}: no connection was used again"
            );
        }
    }
    // Closed behind its answer: whoever comes next finds a dead connection, or finds out while it
    // writes. Nothing had been read, so it is tried again.
    for pause in [Duration::ZERO, Duration::from_millis(30)] {
        for round in 0..20 {
            let answer = rig.ask("idle", BOTH[round % 2], &Ask::call()).await;
            let arrived = rig.upstream("idle").of_case(&answer.case).len();
            assert!(arrived <= 1, "sent {arrived} times");
            if !pause.is_zero() {
                assert_eq!((answer.status, arrived), (200, 1), "{answer:?}");
            }
            tokio::time::sleep(pause).await;
        }
    }
}

// REQ: G-15
#[tokio::test]
async fn connections_are_used_again_whatever_the_answer_was() {
    let upstream = Upstream::answering(|request| match request.header("x-wants") {
        Some("202") => Reply::status(202),
        Some("204") => Reply::status(204),
        Some("events") => Reply::events(&[(Duration::ZERO, "data: 1\n\n")]),
        Some("big") => Reply::big(1 << 20),
        _ => Reply::result(request, &serde_json::json!({})),
    });
    let rig = Rig::new("workers = 1", [server("again", upstream)]);
    for wants in ["202", "204", "json", "events", "big", "202", "json"] {
        let ask = Ask::call().field("x-wants", wants);
        let answer = rig.ask("again", Protocol::Http1, &ask).await;
        assert!(matches!(answer.status, 200 | 202 | 204), "{answer:?}");
        assert_eq!(
            rig.upstream("again").connections(),
            1,
            "a new connection for {wants}"
        );
    }
}

// REQ: G-15
#[tokio::test]
async fn bytes_behind_an_answer_reach_nobody() {
    let evil = "HTTP/1.1 200 OK\r\nX-Evil: 1\r\nContent-Length: 4\r\n\r\nevil";
    let with = |behind: &str| {
        let answer =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        Reply::raw(format!("{answer}{behind}"))
    };
    let late = with("")
        .then(Step::Pause(Duration::from_millis(5)))
        .then(Step::Bytes(evil.as_bytes().to_vec()));
    let rig = Rig::new(
        "workers = 1",
        [always("at_once", with(evil)), always("late", late)],
    );
    for name in ["at_once", "late"] {
        let mut http2 = rig.palisade.client().http2().await;
        for round in 0..10 {
            let ask = Ask::call().target(&format!("/{name}"));
            let answer = http2.ask(&ask).await;
            // What was sent on a connection that turns out bad may fail, but not get another's answer.
            assert_eq!(answer.header("x-evil"), None, "{name} {round}: {answer:?}");
            assert!(
                answer.text() != "evil" && matches!(answer.status, 200 | 502),
                "{name}: {answer:?}"
            );
            // What comes while a call waits is its answer, whatever the upstream meant.
            if name == "late" {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

// REQ: G-15
#[tokio::test]
async fn interim_answers_and_early_ones_pass_as_http_has_them() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    // Answers by the head alone, and closes with the body unread.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let early = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 256]);
            let answer = "HTTP/1.1 413 Too Much\r\nConnection: close\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nno";
            let _ = stream.write_all(answer.as_bytes());
            // As a server should that wants its answer read: the rest is taken for a while.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.set_read_timeout(Some(Duration::from_millis(500)));
            while matches!(stream.read(&mut [0; 65536]), Ok(1..)) {}
        }
    });
    let early = section("early", &format!("http://{early}/mcp"), "");
    let rig = Rig::new(&early, [always("interim", Reply::raw(interim))]);
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"a":"{}"}}}}"#,
        "a".repeat(1 << 20)
    );
    for protocol in BOTH {
        let answer = rig.ask("interim", protocol, &Ask::call()).await;
        assert_eq!((answer.status, &*answer.text()), (200, "{}"), "{answer:?}");
        let answer = rig.ask("early", protocol, &Ask::post(&body)).await;
        assert_eq!(
            (answer.status, answer.header("x-own")),
            (413, Some("1")),
            "{answer:?}"
        );
    }
}

// REQ: G-15, L-1
#[tokio::test]
async fn a_request_that_breaks_off_reaches_nobody_but_the_log() {
    let rig = Rig::new("", [server("half", Upstream::new())]);
    let head = "POST /half HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    for (count, body) in [
        "Content-Length: 100\r\n\r\n{",
        "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let mut http1 = rig.palisade.client().http1().await;
        http1.send(format!("{head}{body}")).await;
        drop(http1);
        let records = rig
            .palisade
            .audit_where(count + 1, |record| record["server"] == "half");
        let outcome = records[count]["outcome"].as_str().unwrap();
        assert!(
            matches!(outcome, "denied" | "cancelled"),
            "{}",
            records[count]
        );
    }
    let mut http2 = rig.palisade.client().http2().await;
    let request = http::Request::post("https://localhost/half")
        .version(http::Version::HTTP_2)
        .header("content-type", "application/json")
        .body(())
        .unwrap();
    let (answer, mut send) = http2.begin(request, false).await;
    send.send_data(Bytes::from_static(b"{"), false).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop((answer, send));
    rig.palisade
        .audit_where(3, |record| record["server"] == "half");
    assert_eq!(rig.upstream("half").arrived(), []);
    assert_eq!(rig.upstream("half").broken(), 0);
}

// REQ: G-15
#[tokio::test]
async fn idle_connections_are_closed_after_four_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let upstream = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"{}}}") {
            let mut piece = [0; 1024];
            let length = stream.read(&mut piece).unwrap();
            seen.extend(&piece[..length]);
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        let answered = Instant::now();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "no end but more bytes");
        answered.elapsed()
    });
    let rig = Rig::new(&section("idle", &format!("http://{address}/mcp"), ""), []);
    let answer = rig.ask("idle", Protocol::Http1, &Ask::call()).await;
    assert_eq!(answer.status, 200);
    let lived = tokio::task::spawn_blocking(|| upstream.join().unwrap())
        .await
        .unwrap();
    // Shorter than the five seconds after which Node's server closes, whatever the load here.
    assert!(lived > Duration::from_secs(3), "closed after {lived:?}");
    assert!(
        lived < Duration::from_millis(5500),
        "closed after {lived:?}"
    );
}

// REQ: G-3, G-15
#[tokio::test]
async fn a_client_that_leaves_frees_the_upstream_within_a_second() {
    let half = Reply::raw(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"half\":",
    );
    let rig = Rig::new(
        "",
        [
            always("head", Reply::never()),
            always("json", half.then(Step::Never)),
            always(
                "events",
                Reply::open_events(&[(Duration::ZERO, "data: half\n\n")]),
            ),
        ],
    );
    for name in ["head", "json", "events"] {
        for protocol in BOTH {
            let upstream = rig.upstream(name);
            let (arrived, left) = (upstream.arrived().len(), upstream.left());
            let ask = Ask::call().target(&format!("/{name}"));
            let client = rig.palisade.client();
            let since = match protocol {
                Protocol::Http1 => {
                    let mut http1 = client.http1().await;
                    if name == "head" {
                        let body = String::from_utf8(ask.body.clone()).unwrap();
                        http1
                            .send(format!(
                                "POST /head HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                                body.len()
                            ))
                            .await;
                    } else {
                        assert_eq!(http1.open(&ask).await.status, 200);
                    }
                    upstream.wait_for(arrived + 1);
                    drop(http1);
                    Instant::now()
                }
                Protocol::Http2 => {
                    let mut http2 = client.http2().await;
                    let since;
                    if name == "head" {
                        let request = http::Request::post("https://localhost/head")
                            .version(http::Version::HTTP_2)
                            .header("content-type", "application/json")
                            .body(())
                            .unwrap();
                        let (answer, mut send) = http2.begin(request, false).await;
                        send.send_data(Bytes::from(ask.body.clone()), true).unwrap();
                        upstream.wait_for(arrived + 1);
                        since = Instant::now();
                        drop((answer, send));
                    } else {
                        let opened = http2.open(&ask).await;
                        assert_eq!(opened.head.status, 200);
                        since = Instant::now();
                        // The stream alone: the connection stays.
                        drop(opened);
                    }
                    upstream.wait_for_left(left + 1);
                    let took = since.elapsed();
                    assert!(
                        took < Duration::from_secs(1),
                        "{name} {protocol:?}: {took:?}"
                    );
                    assert_eq!(http2.ask(&Ask::new("GET", "/none")).await.status, 404);
                    continue;
                }
            };
            upstream.wait_for_left(left + 1);
            let took = since.elapsed();
            assert!(
                took < Duration::from_secs(1),
                "{name} {protocol:?}: {took:?}"
            );
        }
    }
}

// REQ: G-15
#[tokio::test]
async fn the_upstream_is_asked_under_its_own_name_or_the_clients() {
    let own = |request: &e2e::Arrived| {
        let host = request.header("host").unwrap().to_owned();
        Reply::json_with(&[("X-Host", &host)], &serde_json::json!({}))
    };
    let rig = Rig::new(
        "",
        [
            server("rewrite", Upstream::answering(own)),
            server("preserve", Upstream::answering(own)).with("upstream_host = \"preserve\""),
        ],
    );
    for protocol in BOTH {
        let host = format!("localhost:{}", rig.palisade.port());
        let ask = Ask::call().host(&host);
        let answer = rig.ask("rewrite", protocol, &ask).await;
        let address = rig.upstream("rewrite").address().to_string();
        assert_eq!(answer.header("x-host"), Some(&*address));
        let answer = rig.ask("preserve", protocol, &ask).await;
        assert_eq!(answer.header("x-host"), Some(&*host));
        for name in ["rewrite", "preserve"] {
            let arrived = rig.upstream(name).arrived();
            let arrived = arrived.last().unwrap();
            assert_eq!(arrived.header("x-forwarded-host"), Some(&*host));
            assert_eq!(arrived.header("x-forwarded-proto"), Some("https"));
            assert_eq!(arrived.header("x-forwarded-for"), Some("127.0.0.1"));
        }
    }
}

// REQ: G-15
#[tokio::test]
async fn a_location_that_names_the_upstream_names_the_gateway() {
    let upstream = Upstream::answering(|request| {
        let host = request.header("host").unwrap();
        let to = request.header("x-to").unwrap().replace("UPSTREAM", host);
        Reply::new(307, &[("Location", &to)], "")
    });
    let config = "public_url = \"https://mcp.example.com\"\nhosts = [\"mcp.example.com\"]";
    let rig = Rig::new(config, [server("moved", upstream)]);
    for (to, seen) in [
        (
            "http://UPSTREAM/mcp/x?y=1",
            "https://mcp.example.com/moved/x?y=1",
        ),
        ("http://UPSTREAM/mcp", "https://mcp.example.com/moved"),
        ("/mcp/x", "https://mcp.example.com/moved/x"),
        (
            "https://elsewhere.example/mcp",
            "https://elsewhere.example/mcp",
        ),
    ] {
        for protocol in BOTH {
            let ask = Ask::call().host("mcp.example.com").field("x-to", to);
            let answer = rig.ask("moved", protocol, &ask).await;
            assert_eq!(answer.status, 307);
            assert_eq!(answer.header("location"), Some(seen), "{to}");
        }
    }
}

// REQ: T-5
#[test]
fn plain_http_off_this_machine_needs_its_key() {
    for url in [
        "http://192.0.2.1:3000/mcp",
        "http://mcp.example.com/mcp",
        "http://[2001:db8::1]/mcp",
    ] {
        let refused = Palisade::builder().config(&section("far", url, "")).check();
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(
            refused.stderr.contains("plaintext_upstream = true"),
            "{}",
            refused.stderr
        );
        let serve = Palisade::builder().config(&section("far", url, "")).fail();
        assert_eq!(serve.code, Some(2), "{serve:?}");
        assert!(
            serve.stderr.contains("plaintext_upstream = true"),
            "{}",
            serve.stderr
        );
        let accepted = section("far", url, "plaintext_upstream = true");
        let accepted = Palisade::builder().config(&accepted).check();
        assert_eq!(accepted.code, Some(0), "{accepted:?}");
        assert!(accepted.stderr.contains("warning"), "{}", accepted.stderr);
    }
    for url in [
        "http://127.0.0.1:9/mcp",
        "http://[::1]:9/mcp",
        "http://localhost:9/mcp",
        "https://mcp.example.com/mcp",
    ] {
        let passes = Palisade::builder()
            .config(&section("near", url, ""))
            .check();
        assert_eq!(passes.code, Some(0), "{url}: {passes:?}");
    }
}

// REQ: G-15, T-1, O-1
#[tokio::test]
async fn an_upstream_whose_certificate_does_not_hold_gets_no_request() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root.pem");
    std::fs::write(&root, authority::root_pem()).unwrap();
    let good = Tls::start(directory.path(), &["localhost"]);
    let other = Tls::start(directory.path(), &["other.example.com"]);
    let servers = || {
        [("good", &good), ("other", &other)].map(|(name, tls)| {
            section(
                name,
                &format!("https://localhost:{}/mcp", tls.address.port()),
                "",
            )
        })
    };
    // Trusted by a file of roots, as an operator would add it.
    let trusting = Palisade::builder()
        .config(&servers().concat())
        .env("SSL_CERT_FILE", root.to_str().unwrap())
        .start();
    let answer = trusting
        .client()
        .ask(Protocol::Http1, &Ask::call().target("/good"))
        .await;
    assert_eq!((answer.status, good.read()), (200, 1), "{answer:?}");
    refused(&trusting, "/other", &other).await;
    // The same by the configuration's own key, beside the system's roots.
    let ca = format!("[egress]\nca = \"{}\"\n", root.display());
    let trusting = Palisade::builder()
        .config(&ca)
        .config(&servers().concat())
        .start();
    let answer = trusting
        .client()
        .ask(Protocol::Http1, &Ask::call().target("/good"))
        .await;
    assert_eq!((answer.status, good.read()), (200, 2), "{answer:?}");
    refused(&trusting, "/other", &other).await;
    // The system's roots do not know the authority.
    let palisade = Palisade::builder().config(&servers().concat()).start();
    refused(&palisade, "/good", &good).await;
    refused(&palisade, "/other", &other).await;
}

async fn refused(palisade: &Palisade, path: &str, upstream: &Tls) {
    let before = upstream.read();
    for protocol in BOTH {
        let answer: Answer = palisade
            .client()
            .ask(protocol, &Ask::call().target(path))
            .await;
        assert_eq!(answer.status, 502, "{answer:?}");
        assert_eq!(
            answer.reason().as_deref(),
            Some("upstream.untrusted"),
            "{answer:?}"
        );
        assert_eq!(answer.json()["error"]["code"], -32603);
        let record = palisade.record_of(&answer);
        assert_eq!(record["reason"], "upstream.untrusted");
        assert_eq!(record["outcome"], "upstream_unreachable");
        assert!(
            record["error"].as_str().unwrap().contains("certificate"),
            "{record}"
        );
    }
    assert_eq!(upstream.read(), before, "the request was sent");
}

/// A TLS server that answers every connection once and counts those that sent a byte of HTTP.
struct Tls {
    address: SocketAddr,
    read: Arc<AtomicUsize>,
}

impl Tls {
    fn start(directory: &Path, names: &[&str]) -> Self {
        let (chain, key) = authority::certificate(directory, names);
        let chain: Vec<_> = CertificateDer::pem_file_iter(chain)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let read = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&read);
        // Ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                let mut tls = rustls::StreamOwned::new(connection, stream.unwrap());
                if matches!(tls.read(&mut [0; 4096]), Ok(1..)) {
                    count.fetch_add(1, Ordering::SeqCst);
                    let _ = tls.write_all(
                        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
                    );
                }
            }
        });
        Self { address, read }
    }

    fn read(&self) -> usize {
        self.read.load(Ordering::SeqCst)
    }
}

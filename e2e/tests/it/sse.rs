//! Event streams: unchanged, at once, to their end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::upstream::Step;
use e2e::wire::{Ask, BOTH, Client, Http1, Protocol};
use e2e::{Palisade, Reply, Upstream};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::rig::{Rig, always, modern_request, section, server};

/// Everything that the format allows and a careless copy would change.
const ODD: [&str; 14] = [
    "\u{feff}: a byte order mark before the first event\n\n",
    "data: one line\n\n",
    "data: carriage returns\r\n\r\n",
    "data: old\rdata: line ends\r\r",
    "data:no space\n\n",
    "data:  two spaces\n\n",
    "data\ndata\n\n",
    "id: 7\nevent: message\nretry: 100\ndata: {\"a\":\ndata: 1}\n\n",
    "id\ndata: the id is reset\n\n",
    ": comment\n: another\n\n",
    "unknown: field\n\n",
    "data: nul \u{0} and \u{1f600} \u{2028}\n\n",
    "\n\n\n",
    "data: never ended",
];

// REQ: G-3
#[tokio::test]
async fn the_bytes_pass_unchanged() {
    let odd = ODD.map(|event| (Duration::ZERO, event));
    let raw = |body: &str| {
        Reply::raw(format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    // In pieces that fall anywhere: within an event, a line end, a character.
    let mut bytes = String::from(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n",
    )
    .into_bytes();
    bytes.extend(ODD.concat().bytes());
    let mut shredded = Reply(Vec::new());
    for piece in bytes.chunks(7) {
        shredded = shredded.then(Step::Bytes(piece.to_vec()));
    }
    let rig = Rig::new(
        "",
        [
            always("chunked", Reply::events(&odd)),
            always("length", raw(&ODD.concat())),
            always("shredded", shredded.then(Step::Close)),
        ],
    );
    for name in ["chunked", "length", "shredded"] {
        for protocol in BOTH {
            for ask in [Ask::call(), get()] {
                let answer = rig.ask(name, protocol, &ask).await;
                assert_eq!(answer.status, 200);
                assert!(!answer.cut);
                assert!(
                    answer
                        .header("content-type")
                        .unwrap()
                        .starts_with("text/event-stream")
                );
                assert_eq!(answer.header("content-encoding"), None);
                assert_eq!(answer.text(), ODD.concat(), "{name} {protocol:?}");
            }
        }
        let arrived = rig.upstream(name).arrived();
        assert!(
            arrived
                .iter()
                .all(|request| request.all("accept-encoding").is_empty())
        );
    }
}

fn get() -> Ask {
    Ask::new("GET", "/mcp").field("accept", "text/event-stream")
}

// REQ: G-3
#[tokio::test]
async fn each_event_arrives_before_the_next_is_sent() {
    const PAUSE: Duration = Duration::from_millis(400);
    let events = [
        (Duration::ZERO, "data: 1\n\n"),
        (PAUSE, "data: 2\n\n"),
        // Half an event is passed on too: nothing is held back until a blank line.
        (PAUSE, "data: 3"),
        (PAUSE, "\n\n"),
        (PAUSE, "data: 4\n\n"),
    ];
    let rig = Rig::new("", [always("paced", Reply::events(&events))]);
    for protocol in BOTH {
        let ask = Ask::call().target("/paced");
        let mut arrivals = Vec::new();
        match protocol {
            Protocol::Http1 => {
                let mut http1 = rig.palisade.client().http1().await;
                http1.open(&ask).await;
                while let Some(chunk) = http1.chunk().await {
                    arrivals.push((Instant::now(), chunk));
                }
            }
            Protocol::Http2 => {
                let mut opened = rig.palisade.client().http2().await.open(&ask).await;
                while let Some(chunk) = opened.chunk().await {
                    arrivals.push((Instant::now(), chunk.to_vec()));
                }
                assert!(opened.body.is_end_stream(), "no END_STREAM");
            }
        }
        arrivals.retain(|(_, chunk)| !chunk.is_empty());
        let texts: Vec<_> = arrivals
            .iter()
            .map(|(_, chunk)| String::from_utf8_lossy(chunk).into_owned())
            .collect();
        assert_eq!(texts, events.map(|(_, event)| event), "joined or split");
        for pair in arrivals.windows(2) {
            let gap = pair[1].0 - pair[0].0;
            assert!(gap > PAUSE / 4, "held back and sent together: {gap:?}");
        }
    }
}

// REQ: G-3
#[tokio::test]
async fn a_comment_keeps_idle_streams_alive_but_never_within_an_event() {
    let rig = Rig::new(
        "",
        [
            always(
                "between",
                Reply::open_events(&[(Duration::ZERO, "data: 1\n\n")]),
            ),
            always(
                "within",
                Reply::open_events(&[(Duration::ZERO, "data: 1\n")]),
            ),
            always("nothing", Reply::open_events(&[])),
            // A length that is announced has no room for comments.
            always("length", Reply::raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 18\r\n\r\ndata: 1\n\n")
                .then(Step::Pause(Duration::from_millis(16_500)))
                .then(Step::Bytes(b"data: 2\n\n".to_vec()))),
        ],
    );
    let length = {
        let client = rig.palisade.client();
        tokio::spawn(async move { client.ask(Protocol::Http1, &get().target("/length")).await })
    };
    let watched = ["between", "within", "nothing"].map(|name| {
        let client = rig.palisade.client();
        let ask = get().target(&format!("/{name}"));
        tokio::spawn(async move {
            let mut http1 = client.http1().await;
            assert_eq!(http1.open(&ask).await.status, 200);
            let begun = Instant::now();
            let mut seen = Vec::new();
            let all = async {
                while let Some(chunk) = http1.chunk().await {
                    seen.push((begun.elapsed().as_secs(), String::from_utf8(chunk).unwrap()));
                }
            };
            let _ = tokio::time::timeout(Duration::from_millis(17_500), all).await;
            seen
        })
    });
    let [between, within, nothing] = watched;
    let comments = |seen: &[(u64, String)]| -> Vec<(u64, String)> {
        seen.iter()
            .filter(|(_, text)| text.starts_with(':'))
            .cloned()
            .collect()
    };
    for seen in [between.await.unwrap(), nothing.await.unwrap()] {
        let comments = comments(&seen);
        assert_eq!(comments.len(), 1, "{seen:?}");
        assert!((14..=17).contains(&comments[0].0), "{seen:?}");
        assert!(comments[0].1.ends_with("\n\n"), "{seen:?}");
    }
    let answer = length.await.unwrap();
    assert!(!answer.cut, "{answer:?}");
    assert_eq!(answer.text(), "data: 1\n\n: keep-alive\n\ndata: 2\n\n");
    let seen = within.await.unwrap();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0].1, "data: 1\n");
}

// REQ: G-3
#[tokio::test]
async fn resumption_passes() {
    let upstream = Upstream::answering(|request| {
        let last = request.header("last-event-id").unwrap_or("none").to_owned();
        Reply::events(&[(Duration::ZERO, &format!("id: {last}+1\ndata: x\n\n"))])
    });
    let rig = Rig::new("", [server("resume", upstream)]);
    for protocol in BOTH {
        let ask = get()
            .field("last-event-id", "a/7==")
            .field("mcp-session-id", "s-1");
        let answer = rig.ask("resume", protocol, &ask).await;
        assert_eq!(answer.text(), "id: a/7==+1\ndata: x\n\n");
        let arrived = rig.upstream("resume").of_case(&answer.case);
        assert_eq!(arrived[0].header("mcp-session-id"), Some("s-1"));
        assert_eq!(arrived[0].header("accept"), Some("text/event-stream"));
    }
}

// REQ: L-1, G-3
#[tokio::test]
async fn streams_that_stay_open_record_opening_and_close() {
    let rig = Rig::new(
        "",
        [always(
            "stream",
            Reply::open_events(&[(Duration::ZERO, "data: 1\n\n")]),
        )],
    );
    let listen = modern_request(7, "subscriptions/listen", &serde_json::json!({}));
    for (ask, method) in [(get(), None), (listen, Some("subscriptions/listen"))] {
        for protocol in BOTH {
            let ask = ask.clone().target("/stream");
            let client = rig.palisade.client();
            let (id, records) = match protocol {
                Protocol::Http1 => {
                    let mut http1 = client.http1().await;
                    let head = http1.open(&ask).await;
                    let id = head.header("x-request-id").unwrap().to_owned();
                    assert_eq!(http1.chunk().await.unwrap(), b"data: 1\n\n");
                    (
                        id.clone(),
                        opened_then_closed(&rig.palisade, &id, || drop(http1)),
                    )
                }
                Protocol::Http2 => {
                    let mut opened = client.http2().await.open(&ask).await;
                    assert_eq!(opened.chunk().await.unwrap(), "data: 1\n\n");
                    let id = opened.head.header("x-request-id").unwrap().to_owned();
                    (
                        id.clone(),
                        opened_then_closed(&rig.palisade, &id, || drop(opened)),
                    )
                }
            };
            let [open, close] = &records[..] else {
                panic!("{id}: {records:?}")
            };
            assert_eq!(open["phase"], "open");
            assert!(
                open["outcome"].is_null() && open["durationMs"].is_null(),
                "{open}"
            );
            assert_eq!(close["phase"], "close");
            assert_eq!(close["outcome"], "ok", "{close}");
            assert!(close["bytes"]["response"].as_u64().unwrap() >= 9, "{close}");
            for record in [open, close] {
                assert_eq!(
                    record.get("method").and_then(|method| method.as_str()),
                    method
                );
                assert_eq!(record["server"], "stream");
            }
        }
    }
}

fn opened_then_closed(
    palisade: &Palisade,
    id: &str,
    leave: impl FnOnce(),
) -> Vec<serde_json::Value> {
    let of = |record: &serde_json::Value| record["requestId"] == id;
    assert_eq!(
        palisade.audit_where(1, of).len(),
        1,
        "closed before the client left"
    );
    leave();
    palisade.audit_where(2, of)
}

// REQ: G-10, G-3
#[tokio::test]
async fn a_drain_ends_streams_cleanly_between_two_events() {
    let text = || {
        [
            always(
                "open",
                Reply::open_events(&[(Duration::ZERO, "data: 1\n\n")]),
            ),
            always(
                "half",
                Reply::events(&[
                    (Duration::ZERO, "data: 1\n"),
                    (Duration::from_millis(700), "\n"),
                    (Duration::from_secs(30), "data: never\n\n"),
                ]),
            ),
        ]
    };
    let mut rig = Rig::new("[drain]\ndeadline = \"15s\"", text());
    let mut http1 = rig.palisade.client().http1().await;
    http1.open(&get().target("/open")).await;
    assert_eq!(http1.chunk().await.unwrap(), b"data: 1\n\n");
    let listen = modern_request(7, "subscriptions/listen", &serde_json::json!({}));
    let mut http2 = rig
        .palisade
        .client()
        .http2()
        .await
        .open(&listen.target("/open"))
        .await;
    assert_eq!(http2.chunk().await.unwrap(), "data: 1\n\n");
    let mut half = rig.palisade.client().http1().await;
    half.open(&get().target("/half")).await;
    assert_eq!(half.chunk().await.unwrap(), b"data: 1\n");
    let begun = Instant::now();
    rig.palisade.terminate();
    // The terminating chunk, then the end of the connection.
    assert_eq!(http1.chunk().await, None);
    assert!(http1.is_closed().await, "more bytes, or no end");
    while let Some(end) = http2.chunk().await {
        assert_eq!(end, "", "more than the end");
    }
    assert!(http2.body.is_end_stream(), "no END_STREAM");
    // The event that has begun is finished first.
    let mut rest = Vec::new();
    while let Some(chunk) = half.chunk().await {
        rest.extend(chunk);
    }
    assert_eq!(rest, b"\n");
    assert_eq!(rig.palisade.wait(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let closed = rig
        .palisade
        .audit_where(3, |record| record["phase"] == "close");
    assert!(
        closed.iter().all(|record| record["outcome"] == "ok"),
        "{closed:?}"
    );
}

const STREAMS: usize = 1000;
const EVENTS: usize = 8;
const LATEST: Duration = Duration::from_millis(900);

// REQ: G-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_with_an_event_a_second() {
    raise_files();
    let began = Instant::now();
    let upstream = Ticker::start(began).await;
    let palisade = Palisade::with(&format!(
        "[limits]\nconnections_per_peer = {}\n{}",
        STREAMS + 10,
        section("ticks", &format!("http://{upstream}/mcp"), "")
    ));
    let client = Arc::new(palisade.client());
    // Handshakes in the debug build take their time; streams begin as they come.
    let places = Arc::new(tokio::sync::Semaphore::new(64));
    let streams: Vec<_> = (0..STREAMS)
        .map(|_| {
            let (client, places) = (Arc::clone(&client), Arc::clone(&places));
            tokio::spawn(async move {
                let place = places.acquire_owned().await.unwrap();
                let http1 = connect(&client).await;
                drop(place);
                watch(http1, began).await
            })
        })
        .collect();
    let mut worst = Duration::ZERO;
    let mut late = 0;
    for stream in streams {
        for delay in stream.await.unwrap() {
            worst = worst.max(delay);
            late += usize::from(delay > LATEST);
        }
    }
    assert_eq!(
        late,
        0,
        "of {} events were later than {LATEST:?}; the worst came {worst:?} late",
        STREAMS * EVENTS
    );
    let records = palisade.audit_where(2 * STREAMS, |record| record["server"] == "ticks");
    assert_eq!(
        records
            .iter()
            .filter(|record| record["phase"] == "close" && record["outcome"] == "ok")
            .count(),
        STREAMS
    );
}

async fn connect(client: &Client) -> Http1 {
    let mut http1 = client.http1().await;
    let head = http1.open(&get().target("/ticks")).await;
    assert_eq!(head.status, 200);
    http1
}

/// How late each event of a stream came. Each says its number and when it was sent.
async fn watch(mut http1: Http1, began: Instant) -> Vec<Duration> {
    let mut delays = Vec::new();
    while let Some(chunk) = http1.chunk().await {
        let now = began.elapsed();
        let text = String::from_utf8(chunk).unwrap();
        // One event in each chunk: none waited for the next.
        let event = text
            .strip_prefix("id: ")
            .and_then(|text| text.strip_suffix("\n\n"));
        let (id, sent) = event
            .unwrap_or_else(|| panic!("{text:?}"))
            .split_once("\ndata: ")
            .unwrap();
        assert_eq!(id.parse::<usize>().unwrap(), delays.len(), "out of order");
        let sent = Duration::from_micros(sent.parse().unwrap());
        delays.push(now.saturating_sub(sent));
    }
    assert_eq!(delays.len(), EVENTS, "the stream is not complete");
    delays
}

/// An upstream of one task per stream: an event a second, then the end.
struct Ticker;

impl Ticker {
    async fn start(began: Instant) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tick(stream, began));
            }
        });
        address
    }
}

async fn tick(mut stream: tokio::net::TcpStream, began: Instant) {
    let _ = stream.set_nodelay(true);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if !matches!(stream.read_buf(&mut head).await, Ok(1..)) {
            return;
        }
    }
    let start =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let _ = stream.write_all(start.as_bytes()).await;
    for id in 0..EVENTS {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let event = format!("id: {id}\ndata: {}\n\n", began.elapsed().as_micros());
        let chunk = format!("{:x}\r\n{event}\r\n", event.len());
        let _ = stream.write_all(chunk.as_bytes()).await;
    }
    let _ = stream.write_all(b"0\r\n\r\n").await;
}

/// Two sockets of this process for each stream, and two of the gateway's, which inherits this.
fn raise_files() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = 8192;
    if limit.current.is_some_and(|current| current < wanted) {
        let current = Some(limit.maximum.map_or(wanted, |most| most.min(wanted)));
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current,
                maximum: limit.maximum,
            },
        )
        .unwrap();
    }
}

//! HTTP/2 connections that take without asking: each is ended by a limit, and whoever asks on
//! another connection does not notice.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use e2e::palisade::leeway;
use e2e::upstream::Step;
use e2e::wire::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Flooded, Frame, Frames, GOAWAY, HEADERS, PADDED,
    PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, flood, frame, opening,
    request_block,
};
use e2e::wire::{Ask, Client, Protocol};
use e2e::{Palisade, Reply, Upstream};

use crate::rig::{Rig, always, server};

const ENHANCE_YOUR_CALM: u32 = 0xb;

/// Short, so that a test can wait for them; long beside what an honest client needs.
const TIMEOUTS: &str = "[limits.timeouts]\nfirst_byte = \"500ms\"\nheaders = \"500ms\"\nbody = \"500ms\"\nidle = \"20s\"\nwrite = \"1s\"";

fn get(path: &str, stream: u32) -> Vec<u8> {
    let block = request_block("GET", path, &[]);
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

fn post(stream: u32) -> Vec<u8> {
    let json = [("content-type", "application/json")];
    frame(
        HEADERS,
        END_HEADERS,
        stream,
        &request_block("POST", "/mcp", &json),
    )
}

/// A tool's call, whole.
fn call(path: &str, stream: u32) -> Vec<u8> {
    let ask = Ask::call();
    let fields: Vec<(&str, &str)> = ask
        .fields
        .iter()
        .map(|(name, value)| (name.as_str(), std::str::from_utf8(value).unwrap()))
        .collect();
    let head = frame(
        HEADERS,
        END_HEADERS,
        stream,
        &request_block("POST", path, &fields),
    );
    [head, frame(DATA, END_STREAM, stream, &ask.body)].concat()
}

fn odd(n: usize) -> u32 {
    2 * u32::try_from(n).unwrap() + 1
}

fn update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

/// Clients that ask all the time, each on a connection of its own, one request after the other.
const BYSTANDERS: usize = 4;

/// Ordinary requests until told to stop.
struct Bystanders {
    over: Arc<AtomicBool>,
    asking: Vec<tokio::task::JoinHandle<Vec<Duration>>>,
}

impl Bystanders {
    async fn start(client: &Client) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut asking = Vec::new();
        for _ in 0..BYSTANDERS {
            let stop = Arc::clone(&over);
            let mut http2 = client.http2().await;
            asking.push(tokio::spawn(async move {
                let mut times = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let answer = http2.ask(&Ask::call().target("/mcp")).await;
                    assert_eq!(answer.status, 200, "{answer:?}");
                    times.push(began.elapsed());
                }
                times
            }));
        }
        Self { over, asking }
    }

    /// How long 99 of 100 took at most, and how many there were.
    async fn stop(self) -> (Duration, usize) {
        self.over.store(true, Ordering::Relaxed);
        let mut times = Vec::new();
        for asking in self.asking {
            times.extend(asking.await.unwrap());
        }
        times.sort_unstable();
        let count = times.len();
        (times[(count * 99 / 100).min(count - 1)], count)
    }
}

/// What a flood is ended by.
struct Abuse {
    name: &'static str,
    /// Sent first.
    begin: Vec<u8>,
    /// Sent over and over.
    piece: Box<dyn Fn(usize) -> Vec<u8> + Send + Sync>,
    /// How often.
    count: usize,
    /// Whether answers are read.
    reads: bool,
    /// The kind in the gateway's log.
    kind: &'static str,
    /// The most of its kind that may be taken.
    most: u64,
}

fn abuse(
    name: &'static str,
    count: usize,
    piece: impl Fn(usize) -> Vec<u8> + Send + Sync + 'static,
    kind: &'static str,
    most: u64,
) -> Abuse {
    Abuse {
        name,
        begin: Vec::new(),
        piece: Box::new(piece),
        count,
        reads: true,
        kind,
        most,
    }
}

impl Abuse {
    fn begin(mut self, begin: Vec<u8>) -> Self {
        self.begin = begin;
        self
    }

    fn unread(mut self) -> Self {
        self.reads = false;
        self
    }
}

fn abuses() -> Vec<Abuse> {
    let always = |frame: Vec<u8>| move |_| frame.clone();
    let reset = |n| {
        [
            get("/mcp", odd(n)),
            frame(RST_STREAM, 0, odd(n), &[0, 0, 0, 8]),
        ]
        .concat()
    };
    // A fault that makes the gateway reset the stream: a window above 2^31-1.
    let made = |n| [post(odd(n)), update(odd(n), 0x7fff_ffff)].concat();
    // Twice the same length of content: what is announced, and another.
    let lied = |n| {
        let fields = [
            ("content-type", "application/json"),
            ("content-length", "1"),
        ];
        let head = frame(
            HEADERS,
            END_HEADERS,
            odd(n),
            &request_block("POST", "/mcp", &fields),
        );
        [head, frame(DATA, END_STREAM, odd(n), b"{}")].concat()
    };
    let begun = frame(HEADERS, 0, 1, &request_block("GET", "/mcp", &[]));
    let bomb = {
        // One long field into the dynamic table, then again and again by its index.
        let mut seed = vec![0x40, 1, b'x', 0x7f, 0xbd, 0x1d];
        seed.extend([b'a'; 127 + 0x3d + 0x1d * 128]);
        move |n| {
            let mut block = request_block("GET", "/mcp", &[]);
            if n == 0 {
                block.extend(&seed);
            } else {
                block.extend([0xbe; 15_000]);
            }
            frame(HEADERS, END_HEADERS | END_STREAM, odd(n), &block)
        }
    };
    vec![
        abuse("rapid reset", 20_000, reset, "reset", 256 + 64),
        abuse("rapid reset, unread", 20_000, reset, "reset", 256 + 64).unread(),
        abuse(
            "MadeYouReset by a window",
            20_000,
            made,
            "provoked_reset",
            128 + 16,
        ),
        abuse(
            "MadeYouReset by a length",
            20_000,
            lied,
            "provoked_reset",
            128 + 16,
        ),
        abuse(
            "CONTINUATION",
            4096,
            always(frame(CONTINUATION, 0, 1, &[0; 16_384])),
            "continuation",
            8,
        )
        .begin(begun.clone()),
        abuse(
            "empty CONTINUATION",
            50_000,
            always(frame(CONTINUATION, 0, 1, b"")),
            "continuation",
            8,
        )
        .begin(begun),
        abuse("HPACK bomb", 200, bomb, "header_list", 0),
        abuse(
            "SETTINGS",
            100_000,
            always(frame(SETTINGS, 0, 0, b"")),
            "settings",
            64 + 8,
        ),
        abuse(
            "SETTINGS, unread",
            100_000,
            always(frame(SETTINGS, 0, 0, b"")),
            "settings",
            64 + 8,
        )
        .unread(),
        abuse(
            "PING",
            200_000,
            always(frame(PING, 0, 0, &[0; 8])),
            "ping",
            256 + 16,
        ),
        abuse(
            "PING, unread",
            200_000,
            always(frame(PING, 0, 0, &[0; 8])),
            "ping",
            256 + 16,
        )
        .unread(),
        abuse(
            "empty DATA",
            100_000,
            always(frame(DATA, 0, 1, b"")),
            "empty_data",
            64 + 16,
        )
        .begin(post(1)),
        abuse(
            "padded empty DATA",
            100_000,
            always(frame(DATA, PADDED, 1, &[1, 0])),
            "empty_data",
            64 + 16,
        )
        .begin(post(1)),
        abuse(
            "PRIORITY",
            100_000,
            always(frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9])),
            "priority",
            256 + 64,
        ),
        abuse(
            "WINDOW_UPDATE",
            100_000,
            always(update(0, 1)),
            "window_update",
            2048 + 256,
        ),
        abuse(
            "unknown kinds",
            100_000,
            always(frame(0xfa, 0, 0, b"x")),
            "unknown",
            256 + 32,
        ),
        abuse(
            "large unknown kinds",
            4096,
            always(frame(0xfa, 0, 0, &[0; 16_384])),
            "unknown",
            256 + 32,
        ),
        abuse(
            "too many streams",
            2000,
            |n| get("/hang", odd(n)),
            "streams",
            256 + 64,
        ),
    ]
}

/// What the gateway's log says was taken when it first ended a connection by this limit.
fn taken(palisade: &Palisade, kind: &str) -> Option<u64> {
    let text = palisade.stderr();
    let line = text
        .lines()
        .find(|line| line.contains(&format!("kind=\"{kind}\"")))?;
    let frames = line.split("frames=").nth(1)?;
    frames.split_whitespace().next()?.parse().ok()
}

/// One flood after the other: whoever is thrown out comes back.
async fn floods(abuse: &Abuse, client: &Client) -> Vec<Flooded> {
    let began = Instant::now();
    let mut ends = Vec::new();
    while ends.is_empty() || began.elapsed() < Duration::from_millis(600) {
        let stream = client.connect("h2").await.unwrap();
        let begin = [opening(&[]), abuse.begin.clone()].concat();
        let pieces = std::iter::once(begin).chain((0..abuse.count).map(&abuse.piece));
        ends.push(flood(stream, pieces, abuse.reads, Duration::from_secs(5)).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    ends
}

/// Runs `attack` on a thread that yields to all others, as do the threads that it starts: an attacker has
/// a machine of its own, and what it spends there nobody here waits for.
fn elsewhere<F: Future>(attack: impl FnOnce() -> F + Send) -> F::Output
where
    F::Output: Send,
{
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let this = rustix::thread::gettid().as_raw_nonzero().to_string();
            let idle = Command::new("chrt")
                .args(["--idle", "--pid", "0", &this])
                .status();
            assert!(idle.unwrap().success());
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_all().build().unwrap();
            runtime.block_on(attack())
        });
        thread.join().unwrap()
    })
}

/// What one try at an abuse has shown.
struct Tried {
    wrong: Vec<String>,
    /// Whether others had to wait longer than they may.
    slow: bool,
    row: String,
}

/// Floods one gateway for a while; the log tells the first end of a kind.
async fn attempt(abuse: &Abuse) -> Tried {
    // What it takes to hang is no matter of this machine either.
    let hangs = elsewhere(|| async { always("hang", Reply::default().then(Step::Never)) });
    let rig = Rig::new(TIMEOUTS, [server("mcp", Upstream::new()), hangs]);
    let client = rig.palisade.client();
    let name = abuse.name;
    let mut wrong = Vec::new();
    let bystander = Bystanders::start(&client).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let (calm, _) = bystander.stop().await;
    let bystander = Bystanders::start(&client).await;
    let ends = tokio::task::block_in_place(|| elsewhere(|| floods(abuse, &client)));
    let (p99, count) = bystander.stop().await;
    if ends.iter().any(|end| !end.ended) {
        wrong.push(format!("{name}: not ended: {:?}", ends.last()));
    }
    let codes: Vec<u32> = ends.iter().filter_map(|end| end.code).collect();
    if abuse.reads && codes.is_empty() {
        wrong.push(format!("{name}: never told to go"));
    }
    if let Some(code) = codes.iter().find(|code| **code != ENHANCE_YOUR_CALM) {
        wrong.push(format!("{name}: told to go by {code}"));
    }
    let taken = taken(&rig.palisade, abuse.kind);
    if taken.is_none_or(|taken| taken > abuse.most) {
        wrong.push(format!("{name}: {taken:?} taken, not {}", abuse.most));
    }
    if rig.upstream("mcp").broken() > 0 {
        wrong.push(format!("{name}: bytes upstream that are no request"));
    }
    Tried {
        wrong,
        // Cores that are shared with who knows whom: twice, but never less than this.
        slow: p99 > (2 * calm).max(leeway(Duration::from_millis(400))),
        row: format!(
            "{name}: {} connections, taken {taken:?}, told {}, others {count} at p99 {p99:?}, calm {calm:?}",
            ends.len(),
            codes.len(),
        ),
    }
}

// REQ: R-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_are_ended_and_others_served() {
    let mut wrong = Vec::new();
    for abuse in abuses() {
        let mut slow = Vec::new();
        // A neighbour's burst of work passes; what the flood does to others does not.
        for _ in 0..5 {
            let tried = attempt(&abuse).await;
            wrong.extend(tried.wrong);
            #[expect(clippy::print_stderr, reason = "the figures of a quiet run")]
            let () = eprintln!("{}", tried.row);
            if !tried.slow {
                slow.clear();
                break;
            }
            slow.push(tried.row);
        }
        wrong.extend(slow);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// REQ: L-1
#[tokio::test]
async fn floods_are_recorded_in_sum() {
    // Each worker sums its own.
    let mut rig = Rig::new("workers = 1\n", [server("mcp", Upstream::new())]);
    for _ in 0..3 {
        let mut frames = Frames::opened(rig.palisade.client().connect("h2").await.unwrap()).await;
        frames.send(&frame(SETTINGS, 0, 0, &[]).repeat(200)).await;
        frames.rest().await;
    }
    assert_eq!(rig.palisade.stop(), Some(0));
    let mut records = rig.palisade.audit();
    records.retain(|record| record["reason"] == "connection.abuse");
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["count"], 3);
    let error = records[0]["error"].as_str().unwrap();
    assert!(error.contains("settings"), "{error}");
}

// REQ: L-1
#[tokio::test]
async fn what_http2_itself_refuses_is_recorded_in_sum() {
    // Each worker sums its own.
    let mut rig = Rig::new("workers = 1\n", [server("mcp", Upstream::new())]);
    let client = rig.palisade.client();
    // Streams that are reset; the connection goes on, and so do others on it.
    let no_path = block(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "localhost"),
    ]);
    for count in 1..=3 {
        let mut frames = Frames::opened(client.connect("h2").await.unwrap()).await;
        for stream in 0..count {
            let stream = 2 * stream + 1;
            let request = frame(HEADERS, END_HEADERS | END_STREAM, stream, &no_path);
            frames.send(&request).await;
            let reset = frames
                .until(|frame| frame.kind == RST_STREAM)
                .await
                .unwrap();
            assert_eq!((reset.stream, reset.code()), (stream, Some(0x1)));
        }
        frames.send(&get("/mcp", 99)).await;
        let answer = frames.until(|frame| frame.kind == HEADERS).await.unwrap();
        assert_eq!(answer.status(), Some(200));
    }
    // A connection that hyper ends.
    let mut frames = Frames::opened(client.connect("h2").await.unwrap()).await;
    let upper = request_block("GET", "/mcp", &[("X-Own", "1")]);
    frames
        .send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &upper))
        .await;
    frames.rest().await;
    // What nobody has refused is nobody's fault.
    let mut frames = Frames::opened(client.connect("h2").await.unwrap()).await;
    frames.send(&get("/mcp", 1)).await;
    frames.until(|frame| frame.kind == HEADERS).await.unwrap();
    drop(frames);
    assert_eq!(rig.palisade.stop(), Some(0));
    let mut records = rig.palisade.audit();
    records.retain(|record| record["count"].is_number());
    assert_eq!(records.len(), 1, "{records:?}");
    let record = &records[0];
    assert_eq!(
        (&record["reason"], &record["outcome"]),
        (&"connection.malformed".into(), &"denied".into())
    );
    assert_eq!(record["count"], 4, "{record}");
    assert_eq!(record["actor"]["ip"], "127.0.0.1");
    let error = record["error"].as_str().unwrap();
    assert!(
        error.contains("streams reset with PROTOCOL_ERROR (1)"),
        "{error}"
    );
    assert!(record["status"].is_null(), "{record}");
}

/// The end of a connection: how long it took, what came, and the code of its GOAWAY.
async fn end(frames: &mut Frames, began: Instant) -> (Duration, Vec<Frame>, Option<u32>) {
    let all = frames.rest().await;
    let goaway = all.iter().rev().find(|frame| frame.kind == GOAWAY);
    let code = goaway.and_then(Frame::code);
    (began.elapsed(), all, code)
}

fn about(took: Duration, limit: u64) -> bool {
    let limit = Duration::from_millis(limit);
    took >= limit.mul_f32(0.9) && took < limit + Duration::from_secs(3)
}

// REQ: R-3
#[tokio::test]
async fn who_says_nothing_or_not_all_is_not_waited_for() {
    let rig = Rig::new(TIMEOUTS, [server("mcp", Upstream::new())]);
    let client = rig.palisade.client();
    let preface = opening(&[]);
    let head = get("/mcp", 1);
    for (name, bytes) in [
        ("TLS and nothing", vec![]),
        ("half a preface", preface[..10].to_vec()),
        ("no SETTINGS", preface[..24].to_vec()),
        ("half of SETTINGS", preface[..30].to_vec()),
        ("half a frame's head", [&preface[..], &head[..5]].concat()),
        ("half of HEADERS", [&preface[..], &head[..30]].concat()),
        (
            "no END_HEADERS",
            [
                &preface[..],
                &frame(HEADERS, 1, 1, &request_block("GET", "/mcp", &[])),
            ]
            .concat(),
        ),
        (
            "half of SETTINGS, later",
            [&preface[..], &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0]].concat(),
        ),
    ] {
        let mut frames = Frames::new(client.connect("h2").await.unwrap());
        let began = Instant::now();
        frames.send(&bytes).await;
        let (took, _, code) = end(&mut frames, began).await;
        assert!(about(took, 500), "{name}: {took:?}");
        assert_eq!(code, Some(0), "{name}");
    }
    // Trickling keeps nothing alive.
    for (name, bytes, trickle) in [
        ("the preface", vec![], preface.clone()),
        ("HEADERS", preface.clone(), head.clone()),
        (
            "CONTINUATION",
            [preface.clone(), frame(HEADERS, 1, 1, b"")].concat(),
            frame(CONTINUATION, 0, 1, b"\x82").repeat(5),
        ),
    ] {
        let mut frames = Frames::new(client.connect("h2").await.unwrap());
        frames.send(&bytes).await;
        let began = Instant::now();
        for byte in trickle.chunks(trickle.len().div_ceil(15)) {
            frames.send(byte).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            if began.elapsed() > Duration::from_millis(900) {
                break;
            }
        }
        let (took, ..) = end(&mut frames, began).await;
        assert!(took < Duration::from_secs(3), "{name}: {took:?}");
    }
    assert!(rig.upstream("mcp").arrived().is_empty());
}

// REQ: R-3, L-1
#[tokio::test]
async fn a_body_that_trickles_is_refused_and_the_connection_serves_on() {
    let rig = Rig::new(TIMEOUTS, [server("mcp", Upstream::new())]);
    let mut frames = Frames::opened(rig.palisade.client().connect("h2").await.unwrap()).await;
    let began = Instant::now();
    frames.send(&post(1)).await;
    for _ in 0..8 {
        frames.send(&frame(DATA, 0, 1, b" ")).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let answer = frames.until(|frame| frame.kind == DATA).await.unwrap();
    let text = String::from_utf8_lossy(&answer.payload).into_owned();
    assert!(text.contains("body.timeout"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(4));
    frames.send(&get("/mcp", 3)).await;
    let answer = frames
        .until(|frame| frame.kind == HEADERS && frame.stream == 3)
        .await;
    assert_eq!(answer.unwrap().status(), Some(200));
    let records = rig
        .palisade
        .audit_where(1, |record| record["reason"] == "body.timeout");
    assert_eq!(records.len(), 1);
}

// REQ: R-3
#[tokio::test]
async fn an_idle_connection_is_closed_in_order_and_a_silent_stream_is_not() {
    let config = "[limits.timeouts]\nidle = \"500ms\"\nwrite = \"300ms\"\nheaders = \"300ms\"";
    let events = Reply::open_events(&[(Duration::ZERO, "data: 1\n\n")]);
    let servers = [server("mcp", Upstream::new()), always("sse", events)];
    let rig = Rig::new(config, servers);
    let client = rig.palisade.client();
    // Answers the PING that asks whether our GOAWAY was heard, or does not.
    for answers in [true, false] {
        let mut frames = Frames::opened(client.connect("h2").await.unwrap()).await;
        frames.send(&get("/mcp", 1)).await;
        frames
            .until(|frame| frame.flags & END_STREAM != 0 && frame.kind == DATA)
            .await
            .unwrap();
        let began = Instant::now();
        // Signs of life are no requests.
        frames.send(&frame(PING, 0, 0, &[7; 8])).await;
        let goaway = frames.until(|frame| frame.kind == GOAWAY).await.unwrap();
        assert_eq!(goaway.code(), Some(0));
        assert_eq!(
            goaway.payload[..4],
            [0x7f, 0xff, 0xff, 0xff],
            "not all were heard"
        );
        if answers {
            let ping = frames
                .until(|frame| frame.kind == PING && frame.flags == 0)
                .await
                .unwrap();
            frames.send(&frame(PING, 1, 0, &ping.payload)).await;
        }
        let (took, _, code) = end(&mut frames, began).await;
        assert!(about(took, 500), "{answers} {took:?}");
        assert_eq!(code, Some(0), "{answers}");
    }
    // Silent streams have time, and a request between the two GOAWAYs is served.
    let mut frames = Frames::opened(client.connect("h2").await.unwrap()).await;
    frames.send(&get("/sse", 1)).await;
    frames.until(|frame| frame.kind == DATA).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    frames.send(&get("/mcp", 3)).await;
    let answer = frames
        .until(|frame| frame.kind == HEADERS && frame.stream == 3)
        .await;
    assert_eq!(answer.unwrap().status(), Some(200));
    frames.send(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])).await;
    let goaway = frames.until(|frame| frame.kind == GOAWAY).await.unwrap();
    assert_eq!(goaway.code(), Some(0));
    frames.send(&get("/mcp", 5)).await;
    let answer = frames.until(|frame| frame.kind == HEADERS).await.unwrap();
    assert_eq!((answer.stream, answer.status()), (5, Some(200)));
}

// REQ: R-3, G-17
#[tokio::test]
async fn an_answer_that_is_not_taken_gives_its_place_back() {
    let big = server("big", Upstream::always(Reply::big(8 << 20))).with("concurrency = 4");
    let small = always("small", Reply::big(1000));
    let rig = Rig::new(TIMEOUTS, [big, small, server("mcp", Upstream::new())]);
    let client = rig.palisade.client();
    let bystander = Bystanders::start(&client).await;
    // A window that stays at 0: streams are reset one by one, the connection serves on.
    let mut frames = Frames::new(client.connect("h2").await.unwrap());
    frames.send(&opening(&[(4, 0)])).await;
    let began = Instant::now();
    for n in 0..4 {
        frames.send(&call("/big", odd(n))).await;
    }
    rig.upstream("big").wait_for(4);
    let full = Ask::call().target("/big");
    let answer = client.ask(Protocol::Http2, &full).await;
    assert_eq!(
        answer.reason().as_deref(),
        Some("call.concurrency"),
        "{}",
        answer.status
    );
    let mut resets = Vec::new();
    while resets.len() < 4 {
        let reset = frames
            .until(|frame| frame.kind == RST_STREAM)
            .await
            .unwrap();
        resets.push(reset.stream);
    }
    assert!(about(began.elapsed(), 1000), "{:?}", began.elapsed());
    rig.upstream("big").wait_for_left(4);
    frames
        .send(&[update(0, 1 << 20), get("/mcp", 9), update(9, 1 << 20)].concat())
        .await;
    let answer = frames
        .until(|frame| frame.kind == HEADERS && frame.stream == 9)
        .await;
    assert_eq!(answer.unwrap().status(), Some(200));
    let answer = client.ask(Protocol::Http2, &full).await;
    assert_eq!((answer.status, answer.body.len()), (200, 8 << 20));
    // A client that takes a piece now and then is served.
    let mut frames = Frames::new(client.connect("h2").await.unwrap());
    frames.send(&opening(&[(4, 0)])).await;
    frames.send(&call("/big", 1)).await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        frames.send(&update(1, 8192)).await;
        let next = frames
            .until(|frame| matches!(frame.kind, DATA | RST_STREAM))
            .await;
        assert_eq!(next.unwrap().kind, DATA);
    }
    drop(frames);
    // Answers that are over for us, and wait in memory alone: the connection ends.
    let mut frames = Frames::new(client.connect("h2").await.unwrap());
    frames.send(&opening(&[(4, 500)])).await;
    let began = Instant::now();
    for n in 0..100 {
        frames.send(&get("/small", odd(n))).await;
    }
    let (took, all, code) = end(&mut frames, began).await;
    let headers = all.iter().filter(|frame| frame.kind == HEADERS).count();
    assert!(about(took, 1000), "{took:?} {headers}");
    assert_eq!((code, headers), (Some(ENHANCE_YOUR_CALM), 100));
    // A socket that is not read, however wide its windows.
    let began = Instant::now();
    let mut frames = Frames::new(client.connect("h2").await.unwrap());
    frames.send(&opening(&[(4, 0x7fff_ffff)])).await;
    frames.send(&update(0, 0x7fff_0000)).await;
    let left = rig.upstream("big").left();
    for n in 0..4 {
        frames.send(&call("/big", odd(n))).await;
    }
    // The system's buffers may hold one of them whole.
    rig.upstream("big").wait_for_left(left + 2);
    assert!(about(began.elapsed(), 1000), "{:?}", began.elapsed());
    let (p99, _) = bystander.stop().await;
    assert!(p99 < Duration::from_millis(200), "{p99:?}");
    let cut = rig.palisade.audit_where(8, |record| {
        record["server"] == "big" && record["outcome"] != "ok"
    });
    assert!(cut.len() >= 8);
}

// REQ: G-10, R-3
#[tokio::test]
async fn a_drain_waits_for_nobody_who_sits_there() {
    let mut rig = Rig::new("", [always("small", Reply::big(1000))]);
    let client = rig.palisade.client();
    // Nothing said, nothing asked, and a PING that nobody answers.
    let silent = client.connect("h2").await.unwrap();
    let half = Frames::new(client.connect("h2").await.unwrap());
    let mut idle = Frames::opened(client.connect("h2").await.unwrap()).await;
    idle.send(&get("/small", 1)).await;
    idle.until(|frame| frame.flags & END_STREAM != 0 && frame.kind == DATA)
        .await
        .unwrap();
    let mut begun = Frames::opened(client.connect("h2").await.unwrap()).await;
    begun.send(&get("/small", 1)[..20]).await;
    let began = Instant::now();
    assert_eq!(rig.palisade.stop(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(4),
        "{:?}",
        began.elapsed()
    );
    drop((silent, half, idle, begun));

    // Nor for one who does not take what was answered.
    let mut rig = Rig::new("", [always("small", Reply::big(1000))]);
    let mut dry = Frames::new(rig.palisade.client().connect("h2").await.unwrap());
    dry.send(&opening(&[(4, 0)])).await;
    dry.send(&get("/small", 1)).await;
    dry.until(|frame| frame.kind == HEADERS).await.unwrap();
    let began = Instant::now();
    assert_eq!(rig.palisade.stop(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(9),
        "{:?}",
        began.elapsed()
    );
}

// REQ: R-3
#[tokio::test]
async fn a_hundred_cancelled_at_once_again_and_again_are_an_honest_client() {
    let hangs = always("hang", Reply::default().then(Step::Never));
    let rig = Rig::new("", [server("mcp", Upstream::new()), hangs]);
    let mut http2 = rig.palisade.client().http2().await;
    for round in 0..3 {
        let mut asked = Vec::new();
        for _ in 0..60 {
            let request = http::Request::get("https://localhost/hang")
                .version(http::Version::HTTP_2)
                .body(())
                .unwrap();
            asked.push(http2.begin(request, true).await);
        }
        drop(asked);
        let answer = http2.ask(&Ask::call().target("/mcp")).await;
        assert_eq!(answer.status, 200, "{round}");
        // A second later, as many again.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

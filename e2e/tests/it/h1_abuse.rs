//! Who takes and gives nothing over HTTP/1.1: each is ended by its limit, and nobody else waits
//! for it. And the clients that use connections well.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use e2e::palisade::leeway;
use e2e::upstream::Step;
use e2e::wire::{Ask, Client, Http1, Stream};
use e2e::{Palisade, Reply, Upstream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use crate::rig::{Rig, server};

/// How long the limits of these tests are.
const LIMIT: Duration = Duration::from_secs(3);
/// Connections of each abuse; fewer than the refusals that are recorded one by one.
const COUNT: usize = 60;

const LIMITS: &str = "[limits.timeouts]\nhandshake = \"3s\"\nfirst_byte = \"3s\"\n\
    headers = \"3s\"\nbody = \"3s\"\nidle = \"3s\"\nwrite = \"3s\"";

fn rig() -> Rig {
    let mcp = Upstream::new();
    // Larger than what all the buffers on its way hold.
    let big = Upstream::always(Reply::big(24 << 20));
    Rig::new(LIMITS, [server("mcp", mcp), server("big", big)])
}

/// Within twice of what it was, with room for the tests that run at the same time: this is to find
/// who waits for the abuser, not to measure.
async fn stays_quick(rig: &Rig, before: Duration) {
    let bound = (before * 2).max(leeway(Duration::from_millis(200)));
    let mut found = Vec::new();
    for _ in 0..10 {
        let now = p99(rig).await;
        if now <= bound {
            #[expect(clippy::print_stderr, reason = "the figures of a quiet run")]
            let () = eprintln!("at p99 {now:?}, calm {before:?}");
            return;
        }
        found.push(now);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the 99th percentile was {before:?} and is {found:?}");
}

/// These tests measure, so they run one at a time.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn p99(rig: &Rig) -> Duration {
    let mut http1 = rig.palisade.client().http1().await;
    let ask = Ask::call().target("/mcp");
    let mut times = Vec::new();
    for _ in 0..200 {
        let since = Instant::now();
        assert_eq!(http1.ask(&ask).await.status, 200);
        times.push(since.elapsed());
    }
    times.sort();
    times[times.len() * 99 / 100]
}

/// Drives `abuse` on many connections; each must end by itself about when the limit says.
async fn ended_by_the_limit<F>(
    rig: &Rig,
    limit: Duration,
    abuse: impl Fn(Client) -> F,
) -> Vec<String>
where
    F: Future<Output = String> + Send + 'static,
{
    let before = p99(rig).await;
    let client = rig.palisade.client();
    let tasks: Vec<JoinHandle<(Duration, String)>> = (0..COUNT)
        .map(|_| {
            let abuse = abuse(client.clone());
            tokio::spawn(async move {
                let since = Instant::now();
                let read = abuse.await;
                (since.elapsed(), read)
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    stays_quick(rig, before).await;
    let mut answers = Vec::new();
    for task in tasks {
        let (took, read) = task.await.unwrap();
        let bounds = limit - Duration::from_millis(500)..limit + Duration::from_secs(5);
        assert!(bounds.contains(&took), "{took:?}");
        answers.push(read);
    }
    // And afterwards everything is as it was.
    stays_quick(rig, before).await;
    answers
}

/// Everything until the other end closes.
async fn rest(stream: &mut Stream) -> String {
    let mut read = Vec::new();
    let limit = Duration::from_secs(60);
    let _ = tokio::time::timeout(limit, stream.read_to_end(&mut read))
        .await
        .unwrap();
    String::from_utf8_lossy(&read).into_owned()
}

// REQ: R-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silence_is_ended() {
    let _turn = TURN.lock().await;
    let rig = rig();
    // No TLS.
    let read = ended_by_the_limit(&rig, LIMIT, |client| async move {
        let mut stream = client.plain().connect("").await.unwrap();
        rest(&mut stream).await
    });
    assert!(read.await.iter().all(String::is_empty));
    // TLS, and nothing more.
    let read = ended_by_the_limit(&rig, LIMIT, |client| async move {
        let mut stream = client.connect("http/1.1").await.unwrap();
        rest(&mut stream).await
    });
    assert!(read.await.iter().all(String::is_empty));
    // A request, and nothing more.
    let read = ended_by_the_limit(&rig, LIMIT, |client| async move {
        let mut http1 = client.http1().await;
        let ask = Ask::call().target("/mcp");
        assert_eq!(http1.ask(&ask).await.status, 200);
        rest(http1.stream()).await
    });
    assert!(read.await.iter().all(String::is_empty));
}

/// Sends `head`, then `piece` again and again, and reads until the end.
async fn trickle(client: Client, head: &'static str, piece: &'static str) -> String {
    let mut stream = client.connect("http/1.1").await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let written = writer.write_all(piece.as_bytes()).await;
            if written.is_err() || writer.flush().await.is_err() {
                return;
            }
        }
    });
    let mut read = Vec::new();
    let limit = Duration::from_secs(60);
    let _ = tokio::time::timeout(limit, reader.read_to_end(&mut read))
        .await
        .unwrap();
    writing.abort();
    String::from_utf8_lossy(&read).into_owned()
}

// REQ: R-3, S-1, L-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_heads_and_bodies_are_ended() {
    let _turn = TURN.lock().await;
    let rig = rig();
    let head = "POST /mcp HTTP/1.1\r\nHost: localhost\r\n";
    let length = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n\r\n";
    let chunked = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (start, piece, reason) in [
        (head, "X-Slow: y\r\n", "request.timeout"),
        (length, " ", "body.timeout"),
        (chunked, "1\r\n \r\n", "body.timeout"),
    ] {
        let read = ended_by_the_limit(&rig, LIMIT, |client| trickle(client, start, piece)).await;
        for answer in &read {
            assert!(answer.starts_with("HTTP/1.1 408 "), "{reason}: {answer:?}");
            assert!(answer.contains("connection: close\r\n"), "{answer:?}");
            assert!(
                answer.contains("x-content-type-options: nosniff\r\n"),
                "{answer:?}"
            );
            assert!(answer.contains(reason), "{reason}: {answer:?}");
        }
    }
    let timeouts = |reason: &'static str| {
        move |record: &serde_json::Value| record["reason"] == reason && record["status"] == 408
    };
    rig.palisade.audit_where(COUNT, timeouts("request.timeout"));
    rig.palisade.audit_where(100, timeouts("body.timeout"));
    let calls = rig.upstream("mcp").arrived().len();
    let asked = rig
        .upstream("mcp")
        .arrived()
        .iter()
        .filter(|each| !each.body.is_empty())
        .count();
    assert_eq!(calls, asked, "a broken body was forwarded");
}

// REQ: R-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_are_ended() {
    let _turn = TURN.lock().await;
    let rig = rig();
    // For 16 KiB.
    let limit = Duration::from_secs(3);
    let before = p99(&rig).await;
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut http1 = rig.palisade.client().http1().await;
        http1.start(&Ask::call().target("/big")).await;
        held.push(http1);
    }
    let since = Instant::now();
    stays_quick(&rig, before).await;
    // The upstream's connections are closed with them.
    while rig.upstream("big").left() < held.len() {
        assert!(since.elapsed() < limit + Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(
        since.elapsed() > limit - Duration::from_secs(2),
        "{:?}",
        since.elapsed()
    );
    stays_quick(&rig, before).await;
}

/// Runs slowhttptest until no connection is left, and gives back how long that took.
fn slowhttptest(palisade: &Palisade, arguments: &[&str]) -> Duration {
    let url = format!("https://localhost:{}/mcp", palisade.port());
    let since = Instant::now();
    let output = Command::new("slowhttptest")
        .args([
            "-c", "300", "-r", "300", "-i", "5", "-l", "60", "-p", "5", "-v", "1", "-u", &url,
        ])
        .args(arguments)
        .output()
        .expect("slowhttptest, of Debian's package of that name");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("No open connections left"), "{text}");
    assert!(!text.contains("service available:   NO"), "{text}");
    since.elapsed()
}

// REQ: R-3
#[test]
fn slowhttptest_is_shown_out() {
    let _turn = TURN.blocking_lock();
    let modes: [(&str, &'static [&str]); 3] = [
        ("slow heads", &["-H"]),
        ("slow bodies, refused", &["-B"]),
        ("slow bodies", &["-B", "-f", "application/json"]),
    ];
    let shown = modes.map(|(mode, arguments)| {
        std::thread::spawn(move || {
            let upstream = Upstream::new();
            let palisade = Palisade::builder().server(&upstream).start();
            let took = slowhttptest(&palisade, arguments);
            assert!(took <= Duration::from_secs(30), "{mode}: {took:?}");
            // Its own probes alone arrive.
            let arrived = upstream.arrived();
            let probes = |each: &e2e::Arrived| each.method() == "GET" && each.body.is_empty();
            assert!(arrived.iter().all(probes), "{mode}: {arrived:?}");
        })
    });
    for thread in shown {
        thread.join().unwrap();
    }
}

const CALL: &str =
    r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;

fn run(program: &str, arguments: &[&str]) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; `cargo xtask install` brings it"));
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{program}: {status}\n{stdout}\n{stderr}");
    stdout
}

// REQ: H-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_clients_keep_their_connections() {
    let _turn = TURN.lock().await;
    let rig = rig();
    let url = format!("https://localhost:{}/mcp", rig.palisade.port());
    let before = rig.upstream("mcp").arrived().len();
    let mut expected = 0;

    // curl, several requests: one connection.
    let mut arguments = vec![
        "-sk",
        "--http1.1",
        "-w",
        "%{num_connects} %{http_code}\n",
        "-o",
        "/dev/null",
    ];
    arguments.extend(["-H", "Content-Type: application/json", "-d", CALL]);
    arguments.extend([url.as_str(); 5]);
    // Each URL has its own output.
    for _ in 1..5 {
        arguments.extend(["-o", "/dev/null"]);
    }
    assert_eq!(
        run("curl", &arguments),
        "1 200\n0 200\n0 200\n0 200\n0 200\n"
    );
    expected += 5;
    // curl again, with a body that it announces first.
    let file = rig.palisade.path("long.json");
    std::fs::write(&file, format!("{CALL}{}", " ".repeat(1_500_000))).unwrap();
    let data = format!("@{}", file.display());
    for header in ["X-Way: by length", "Transfer-Encoding: chunked"] {
        let more = ["-H", "Content-Type: application/json", "-H", header];
        let arguments = [
            "-sk",
            "--http1.1",
            "-H",
            "Expect: 100-continue",
            "--data-binary",
            &data,
            &url,
            &url,
        ];
        let answers = run("curl", &[&arguments[..], &more].concat());
        assert_eq!(answers.matches(r#""id":7"#).count(), 2, "{answers}");
        expected += 2;
    }

    // h2load, ten requests at once on each connection.
    let body = rig.palisade.path("call.json");
    std::fs::write(&body, CALL).unwrap();
    let body = body.display().to_string();
    let arguments = [
        "--h1",
        "-n",
        "2000",
        "-c",
        "4",
        "-m",
        "10",
        "-d",
        &body,
        "-H",
        "Content-Type: application/json",
        &url,
    ];
    let report = run("h2load", &arguments);
    assert!(
        report.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"),
        "{report}"
    );
    assert!(report.contains("2000 2xx"), "{report}");
    expected += 2000;

    // Python's and Node's own.
    let python = format!(
        "import http.client, ssl\n\
         c = http.client.HTTPSConnection('localhost', {}, context=ssl._create_unverified_context())\n\
         sockets = set()\n\
         for _ in range(20):\n\
         \x20   c.request('POST', '/mcp', '''{CALL}''', {{'Content-Type': 'application/json'}})\n\
         \x20   r = c.getresponse()\n\
         \x20   assert r.status == 200 and b'jsonrpc' in r.read()\n\
         \x20   sockets.add(c.sock.fileno())\n\
         print(len(sockets))",
        rig.palisade.port()
    );
    assert_eq!(run("python3", &["-c", &python]), "1\n");
    expected += 20;
    let node = format!(
        "const https = require('https');\n\
         const agent = new https.Agent({{ keepAlive: true, maxSockets: 2, rejectUnauthorized: false }});\n\
         const one = () => new Promise((done, fail) => {{\n\
           const r = https.request({{ host: 'localhost', family: 4, port: {}, path: '/mcp', method: 'POST', agent,\n\
             headers: {{ 'Content-Type': 'application/json' }} }}, (a) => {{\n\
               let s = ''; a.on('data', (d) => s += d); a.on('end', () => done([a.statusCode, r.socket.localPort])); }});\n\
           r.on('error', fail); r.end('{CALL}'); }});\n\
         Promise.all(Array.from({{ length: 20 }}, one)).then((all) => {{\n\
           if (all.some(([status]) => status !== 200)) process.exit(1);\n\
           console.log(new Set(all.map(([, port]) => port)).size); agent.destroy(); }});",
        rig.palisade.port()
    );
    assert_eq!(run("node", &["-e", &node]), "2\n");
    expected += 20;
    assert_eq!(rig.upstream("mcp").arrived().len() - before, expected);

    // wrk, which counts what is no 2xx.
    let report = run(
        "wrk",
        &[
            "-t",
            "1",
            "-c",
            "8",
            "-d",
            "1s",
            &url.replace("/mcp", "/nowhere"),
        ],
    );
    assert!(
        report.contains("Non-2xx or 3xx responses") && !report.contains("Socket errors"),
        "{report}"
    );
}

// REQ: R-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order() {
    let slow = Upstream::answering(|request| {
        let reply = Reply::result(request, &request.json()["params"]);
        let wait = u64::from(request.json()["id"].as_u64().unwrap().is_multiple_of(3)) * 50;
        reply.after(Duration::from_millis(wait))
    });
    let rig = Rig::new("", [server("mcp", slow)]);
    let mut http1: Http1 = rig.palisade.client().http1().await;
    let mut all = String::new();
    for id in 0..30 {
        let body = CALL.replace("\"id\":7", &format!("\"id\":{id}"));
        let length = body.len();
        all.push_str(&format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"));
    }
    http1.send(&all).await;
    for id in 0..30 {
        let answer = http1.answer().await;
        assert_eq!((answer.status, &answer.json()["id"]), (200, &id.into()));
    }
    // One that is malformed in the middle ends it: what came before is answered, nothing else.
    let call = all.split_inclusive("}}}").next().unwrap();
    http1
        .send(format!("{call}{}{call}", call.replace("Host: ", "Host : ")))
        .await;
    assert_eq!(http1.answer().await.status, 200);
    assert_eq!(
        http1.answer().await.reason().as_deref(),
        Some("request.malformed")
    );
    assert!(http1.is_closed().await);
    assert_eq!(rig.upstream("mcp").arrived().len(), 31);
}

// REQ: R-3
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_upstream_makes_no_second_answer() {
    // What an upstream says behind its answer is nobody's answer.
    let poison = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
    let evil =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n\"evil\"";
    let rig = Rig::new(
        "",
        [
            server(
                "behind",
                Upstream::always(Reply::raw(format!("{poison}{evil}"))),
            ),
            server(
                "later",
                Upstream::always(
                    Reply::raw(poison)
                        .then(Step::Pause(Duration::from_millis(50)))
                        .then(Step::Bytes(evil.as_bytes().to_vec())),
                ),
            ),
        ],
    );
    for name in ["behind", "later"] {
        let mut http1 = rig.palisade.client().http1().await;
        for _ in 0..5 {
            let answer = http1.ask(&Ask::call().target(&format!("/{name}"))).await;
            assert_eq!(
                (answer.status, answer.text().as_str()),
                (200, "{}"),
                "{name}"
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(rig.upstream(name).connections(), 5, "{name}");
    }
}

//! The server's driver, over a pipe and with a clock that stands still unless all wait.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests fail as the tests do"
)]

mod support;

use std::future::{pending, ready};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use palisade_http1::Fault;
use palisade_http1::server::{Config, Ended, RequestBody, serve};
use support::{AnyBody, Counted, Holding, Step, empty, frames, full, rest, sized, undated, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

fn start<F>(
    buffer: usize,
    service: impl FnMut(Request<RequestBody>) -> F + Send + 'static,
) -> (DuplexStream, JoinHandle<Ended>)
where
    F: Future<Output = Response<AnyBody>> + Send + 'static,
{
    start_until(buffer, pending(), service)
}

fn start_until<F>(
    buffer: usize,
    stop: impl Future<Output = ()> + Send + 'static,
    service: impl FnMut(Request<RequestBody>) -> F + Send + 'static,
) -> (DuplexStream, JoinHandle<Ended>)
where
    F: Future<Output = Response<AnyBody>> + Send + 'static,
{
    let (client, server) = duplex(buffer);
    let served =
        tokio::spawn(async move { serve(server, &Config::default(), stop, service).await });
    (client, served)
}

/// Says what the request was, and its body.
async fn echo(request: Request<RequestBody>) -> Response<AnyBody> {
    let line = format!("{} {}", request.method(), request.uri());
    let fault = request.extensions().get::<Fault>().copied();
    let body = match request.into_body().collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(fault) => return fault_answer(fault),
    };
    match fault {
        Some(fault) => fault_answer(fault),
        None => Response::new(full(format!("{line} {body}"))),
    }
}

fn fault_answer(fault: Fault) -> Response<AnyBody> {
    let answer = Response::builder().status(400);
    answer.body(full(format!("{fault:?}"))).unwrap()
}

/// Answers without a look at the body.
async fn refuse(_: Request<RequestBody>) -> Response<AnyBody> {
    Response::builder().status(413).body(full("no")).unwrap()
}

fn ok(text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
}

/// All that comes in a while.
async fn came(client: &mut DuplexStream) -> String {
    sleep(Duration::from_millis(10)).await;
    let mut buffer = [0; 4096];
    let length = client.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

async fn seconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 10.0).round() / 10.0
}

// REQ: R-3
#[tokio::test(start_paused = true)]
async fn silence_before_the_first_byte_ends() {
    let (mut client, served) = start(1024, echo);
    let since = Instant::now();
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(served.await.unwrap(), Ended::FirstByteTimeout);
    assert_eq!(seconds(since).await, 10.0);

    // An empty line is no first byte of a request, and wins no second time.
    let (mut client, served) = start(1024, echo);
    let since = Instant::now();
    sleep(Duration::from_secs(9)).await;
    client.write_all(b"\r\n").await.unwrap();
    assert_eq!(served.await.unwrap(), Ended::FirstByteTimeout);
    assert!(seconds(since).await <= 20.0);
}

// REQ: R-3
#[tokio::test(start_paused = true)]
async fn a_slow_head_is_a_fault_and_has_an_answer() {
    let (client, served) = start(1024, echo);
    let since = Instant::now();
    sleep(Duration::from_secs(5)).await;
    let (mut reader, mut writer) = tokio::io::split(client);
    let slow = tokio::spawn(async move {
        writer.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        loop {
            sleep(Duration::from_secs(1)).await;
            if writer.write_all(b"X: y\r\n").await.is_err() {
                return;
            }
        }
    });
    let mut answer = String::new();
    reader.read_to_string(&mut answer).await.unwrap();
    assert_eq!(seconds(since).await, 15.0);
    assert_eq!(
        undated(&answer),
        "HTTP/1.1 400 Bad Request\r\ncontent-length: 11\r\nconnection: close\r\n\r\nHeadTimeout"
    );
    assert_eq!(served.await.unwrap(), Ended::Closed);
    slow.await.unwrap();
}

// REQ: R-3
#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_and_a_begun_head_counts_anew() {
    let (mut client, served) = start(1024, echo);
    client.write_all(GET).await.unwrap();
    until(&mut client, "GET / ").await;
    let since = Instant::now();
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(served.await.unwrap(), Ended::IdleTimeout);
    assert_eq!(seconds(since).await, 60.0);

    let (mut client, _served) = start(1024, echo);
    client.write_all(GET).await.unwrap();
    until(&mut client, "GET / ").await;
    sleep(Duration::from_secs(59)).await;
    client.write_all(&GET[..5]).await.unwrap();
    sleep(Duration::from_secs(9)).await;
    client.write_all(&GET[5..]).await.unwrap();
    until(&mut client, "GET / ").await;
}

// REQ: R-3
#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_a_fault() {
    let (mut client, served) = start(1024, echo);
    client
        .write_all(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n1")
        .await
        .unwrap();
    // Every piece counts anew.
    for _ in 0..3 {
        sleep(Duration::from_secs(19)).await;
        client.write_all(b"2").await.unwrap();
    }
    let since = Instant::now();
    let answer = rest(&mut client).await;
    assert!(
        answer.ends_with("BodyTimeout") && answer.contains("connection: close"),
        "{answer}"
    );
    assert_eq!(seconds(since).await, 20.0);
    assert_eq!(served.await.unwrap(), Ended::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_body_does_not_count_against_the_next_head() {
    // Waits for the body for a while, and answers without it.
    let (mut client, _served) = start(1024, |request: Request<RequestBody>| async move {
        if request.method() == "GET" {
            return echo(request).await;
        }
        let _ = timeout(Duration::from_secs(15), request.into_body().collect()).await;
        Response::new(full("late"))
    });
    client
        .write_all(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n")
        .await
        .unwrap();
    until(&mut client, "late").await;
    client.write_all(b"12GET / HT").await.unwrap();
    sleep(Duration::from_secs(9)).await;
    client.write_all(b"TP/1.1\r\n\r\n").await.unwrap();
    assert!(
        until(&mut client, "\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

// REQ: R-3
#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_is_left() {
    let big = |_| ready(Response::new(full(vec![b'x'; 1 << 20])));
    let (mut client, served) = start(1024, big);
    client.write_all(GET).await.unwrap();
    let since = Instant::now();
    assert_eq!(served.await.unwrap(), Ended::WriteTimeout);
    assert_eq!(seconds(since).await, 30.0);

    // 15 KiB in the time are too little, 17 KiB are enough.
    for (every, survives) in [(15 << 10, false), (17 << 10, true)] {
        let (mut client, served) = start(1024, big);
        client.write_all(GET).await.unwrap();
        let mut buffer = vec![0; every];
        for _ in 0..20 {
            sleep(Duration::from_secs(29)).await;
            if client.read_exact(&mut buffer).await.is_err() {
                break;
            }
        }
        assert_eq!(!served.is_finished(), survives, "{every}");
        if survives {
            client.read_to_end(&mut Vec::new()).await.unwrap();
        }
    }
    // The time runs from the last step.
    let (mut client, served) = start(1024, big);
    client.write_all(GET).await.unwrap();
    sleep(Duration::from_secs(20)).await;
    client.read_exact(&mut vec![0; 100 << 10]).await.unwrap();
    let since = Instant::now();
    assert_eq!(served.await.unwrap(), Ended::WriteTimeout);
    assert_eq!(seconds(since).await, 30.0);

    // What TLS takes before the client does is no step, whatever wakes the connection.
    let (mut client, server) = duplex(1024);
    let served = tokio::spawn(async move {
        let many = || std::iter::repeat_with(|| Step::Data(Bytes::from(vec![b'x'; 20_000])));
        let service = move |_| ready(Response::new(frames(many())));
        serve(
            Holding(server, Vec::new()),
            &Config::default(),
            pending(),
            service,
        )
        .await
    });
    client.write_all(GET).await.unwrap();
    let since = Instant::now();
    while !served.is_finished() && since.elapsed() < Duration::from_secs(120) {
        sleep(Duration::from_secs(5)).await;
        let _ = client.write_all(GET).await;
    }
    assert_eq!(served.await.unwrap(), Ended::WriteTimeout);
    assert!(seconds(since).await <= 35.0);

    // Neither does a stream that has nothing to say count as stalled.
    let (mut client, served) = start(1024, |_| {
        ready(Response::new(frames([Step::from("first"), Step::Wait])))
    });
    client.write_all(GET).await.unwrap();
    until(&mut client, "first\r\n").await;
    sleep(Duration::from_secs(3600)).await;
    assert!(!served.is_finished());
}

// REQ: R-3
#[tokio::test(start_paused = true)]
async fn an_early_answer_is_read_by_a_client_that_still_sends() {
    for pause in [Duration::ZERO, Duration::from_millis(700)] {
        let (mut client, served) = start(64 << 10, refuse);
        let head = b"POST / HTTP/1.1\r\nContent-Length: 4000000\r\n\r\n";
        client.write_all(head).await.unwrap();
        for _ in 0..10 {
            sleep(pause).await;
            client.write_all(&[b'x'; 400_000]).await.unwrap();
        }
        let answer = until(&mut client, "no").await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("connection: close\r\n"));
        assert_eq!(rest(&mut client).await, "");
        assert_eq!(served.await.unwrap(), Ended::Closed);
    }
    // Silence is not waited for, nor is there an end to what is read.
    let (mut client, served) = start(64 << 10, refuse);
    client
        .write_all(b"POST / HTTP/1.1\r\nContent-Length: 4000000\r\n\r\n")
        .await
        .unwrap();
    let since = Instant::now();
    assert_eq!(served.await.unwrap(), Ended::Closed);
    assert_eq!(seconds(since).await, 1.0);
    let (mut client, served) = start(64 << 10, refuse);
    client
        .write_all(b"POST / HTTP/1.1\r\nContent-Length: 99000000\r\n\r\n")
        .await
        .unwrap();
    let mut sent = 0;
    while client.write_all(&[b'x'; 65_536]).await.is_ok() {
        sent += 65_536;
    }
    assert!((8 << 20..9 << 20).contains(&sent), "{sent}");
    assert_eq!(served.await.unwrap(), Ended::Closed);
    let (mut client, served) = start(1024, refuse);
    client
        .write_all(b"POST / HTTP/1.1\r\nContent-Length: 99000000\r\n\r\n")
        .await
        .unwrap();
    let since = Instant::now();
    while client.write_all(b"x").await.is_ok() {
        sleep(Duration::from_millis(500)).await;
    }
    assert!(seconds(since).await <= 11.0);
    assert_eq!(served.await.unwrap(), Ended::Closed);
}

#[tokio::test(start_paused = true)]
async fn requests_that_come_together_are_answered_in_order() {
    // The first answer takes longest.
    let (mut client, _served) = start(1024, |request: Request<RequestBody>| async move {
        if request.uri() == "/1" {
            sleep(Duration::from_secs(5)).await;
        }
        echo(request).await
    });
    let requests = "GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 3\r\n\r\ntwo\
        POST /3 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\nHEAD /4 HTTP/1.1\r\n\r\n\
        GET /5 HTTP/1.1\r\nConnection: close\r\n\r\nGET /6 HTTP/1.1\r\n\r\n";
    client.write_all(requests.as_bytes()).await.unwrap();
    let expected = [
        ok("GET /1 "),
        ok("POST /2 two"),
        ok("POST /3 three"),
        "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n".to_owned(),
        ok("GET /5 ").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"),
    ];
    assert_eq!(undated(&rest(&mut client).await), expected.concat());
}

// REQ: R-3
#[tokio::test(start_paused = true)]
async fn what_is_sent_ahead_is_bounded() {
    let blocked = |_| pending();
    let (mut client, served) = start(1024, blocked);
    let mut sent = 0;
    while timeout(Duration::from_secs(1), client.write_all(GET))
        .await
        .is_ok()
    {
        sent += GET.len();
        assert!(sent < 200 << 10);
    }
    assert!(sent >= 64 << 10, "{sent}");
    assert!(!served.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_kept() {
    let (mut client, served) = start(1024, echo);
    for _ in 0..100 {
        client.write_all(GET).await.unwrap();
        let answer = until(&mut client, "GET / ").await;
        assert_eq!(undated(&answer), ok("GET / "));
        assert!(answer.contains("\r\ndate: "), "{answer}");
    }
    drop(client);
    assert_eq!(served.await.unwrap(), Ended::Closed);
}

#[tokio::test(start_paused = true)]
async fn bodies_come_as_they_are_sent() {
    let (mut client, _served) = start(1024, echo);
    let long = "x".repeat(100_000);
    let chunked = format!("186a0\r\n{long}\r\n0\r\n\r\n");
    for (framing, body) in [
        ("Content-Length: 100000", &long),
        ("Transfer-Encoding: chunked", &chunked),
    ] {
        for size in [1000, 33_333, 200_000] {
            let (mut reader, mut writer) = tokio::io::split(client);
            let request = format!("POST / HTTP/1.1\r\n{framing}\r\n\r\n{body}");
            let sending = tokio::spawn(async move {
                for piece in request.as_bytes().chunks(size) {
                    writer.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                }
                writer
            });
            let expected = ok(&format!("POST / {long}"));
            let mut answer =
                vec![0; expected.len() + "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n".len()];
            reader.read_exact(&mut answer).await.unwrap();
            assert!(undated(&String::from_utf8(answer).unwrap()) == expected);
            client = reader.unsplit(sending.await.unwrap());
        }
    }
}

// REQ: R-3
#[tokio::test(start_paused = true)]
async fn nothing_behind_a_fault_is_answered() {
    for (bytes, fault) in [
        ("GET  / HTTP/1.1\r\n\r\n", "StartLine"),
        ("GET / HTTP/1.1\r\nA : b\r\n\r\n", "FieldName"),
        (
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            "ContentLength",
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "ChunkSize",
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
            "ChunkEnd",
        ),
    ] {
        let (mut client, served) = start(4096, echo);
        client.write_all(bytes.as_bytes()).await.unwrap();
        client.write_all(GET).await.unwrap();
        let answer = undated(&rest(&mut client).await);
        let expected = format!(
            "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{fault}",
            fault.len()
        );
        assert_eq!(answer, expected);
        assert_eq!(served.await.unwrap(), Ended::Closed);
    }
}

#[tokio::test(start_paused = true)]
async fn continue_is_said_when_the_body_is_wanted() {
    let head = "POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
    let (mut client, _served) = start(1024, echo);
    for _ in 0..2 {
        client.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(
            until(&mut client, "\r\n\r\n").await,
            "HTTP/1.1 100 Continue\r\n\r\n"
        );
        client.write_all(b"abc").await.unwrap();
        assert_eq!(undated(&until(&mut client, "abc").await), ok("POST / abc"));
    }
    // The body is there already.
    client
        .write_all(format!("{head}abc").as_bytes())
        .await
        .unwrap();
    assert_eq!(undated(&until(&mut client, "abc").await), ok("POST / abc"));
    client
        .write_all(format!("{head}a").as_bytes())
        .await
        .unwrap();
    sleep(Duration::from_secs(1)).await;
    client.write_all(b"bc").await.unwrap();
    assert_eq!(undated(&until(&mut client, "abc").await), ok("POST / abc"));

    // Nobody wants it. Whether the client sends it nevertheless is not known: no other request.
    let (mut client, served) = start(1024, refuse);
    client.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut client).await;
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("connection: close"),
        "{answer}"
    );
    assert_eq!(served.await.unwrap(), Ended::Closed);
}

// REQ: R-3
#[tokio::test(start_paused = true)]
async fn a_small_unread_body_is_discarded_and_a_large_one_closes() {
    for (framing, body, goes_on) in [
        ("Content-Length: 65536", "x".repeat(65_536), true),
        ("Content-Length: 65537", "x".repeat(65_537), false),
        (
            "Transfer-Encoding: chunked",
            "1\r\nx\r\n0\r\n\r\n".to_owned(),
            false,
        ),
        (
            "Content-Length: 3\r\nExpect: 100-continue",
            "abc".to_owned(),
            false,
        ),
    ] {
        // What of it came with the head may be known to the connection; so nothing does.
        let (mut client, served) = start(1 << 20, refuse);
        client
            .write_all(format!("POST / HTTP/1.1\r\n{framing}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let answer = until(&mut client, "no").await;
        assert_eq!(!answer.contains("connection: close"), goes_on, "{framing}");
        client
            .write_all(&[body.as_bytes(), GET].concat())
            .await
            .unwrap();
        if goes_on {
            assert!(until(&mut client, "no").await.starts_with("HTTP/1.1 413 "));
        } else {
            assert_eq!(rest(&mut client).await, "");
            assert_eq!(served.await.unwrap(), Ended::Closed);
        }
    }
    // A discarded body has a deadline too.
    let (mut client, served) = start(1024, refuse);
    client
        .write_all(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n")
        .await
        .unwrap();
    let since = Instant::now();
    assert!(until(&mut client, "no").await.contains("413"));
    assert_eq!(served.await.unwrap(), Ended::Closed);
    assert!((5.0..=7.0).contains(&seconds(since).await));
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_request_in_progress_be_the_last() {
    // Idle.
    let stop = Arc::new(Notify::new());
    let stopped = |stop: &Arc<Notify>| {
        let stop = Arc::clone(stop);
        async move { stop.notified().await }
    };
    let (mut client, served) = start_until(1024, stopped(&stop), echo);
    client.write_all(GET).await.unwrap();
    until(&mut client, "GET / ").await;
    stop.notify_one();
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(served.await.unwrap(), Ended::Closed);

    // In progress; the next has come already.
    let go = Arc::new(Notify::new());
    let (stop, waits) = (Arc::new(Notify::new()), Arc::clone(&go));
    let (mut client, served) = start_until(1024, stopped(&stop), move |request| {
        let go = Arc::clone(&waits);
        async move {
            go.notified().await;
            echo(request).await
        }
    });
    client.write_all(&GET.repeat(2)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    stop.notify_one();
    sleep(Duration::from_secs(1)).await;
    go.notify_one();
    let answer = undated(&rest(&mut client).await);
    assert_eq!(
        answer,
        ok("GET / ").replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n")
    );
    assert_eq!(served.await.unwrap(), Ended::Closed);

    // A head that has begun is still answered.
    let stop = Arc::new(Notify::new());
    let (mut client, served) = start_until(1024, stopped(&stop), echo);
    client.write_all(&GET[..9]).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    stop.notify_one();
    sleep(Duration::from_secs(1)).await;
    client.write_all(&GET[9..]).await.unwrap();
    assert!(rest(&mut client).await.contains("connection: close\r\n"));
    assert_eq!(served.await.unwrap(), Ended::Closed);
}

/// Says when it is dropped.
struct Told(Arc<AtomicBool>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_learns_that_its_client_is_gone() {
    // Before the answer.
    let gone = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&gone);
    let (mut client, served) = start(1024, move |request: Request<RequestBody>| {
        let told = Told(Arc::clone(&told));
        async move {
            let _told = told;
            let _ = request.into_body().collect().await;
            pending().await
        }
    });
    client
        .write_all(b"POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")
        .await
        .unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(!gone.load(Ordering::SeqCst));
    drop(client);
    assert_eq!(served.await.unwrap(), Ended::Gone);
    assert!(gone.load(Ordering::SeqCst));

    // Within it.
    let gone = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&gone);
    let (mut client, served) = start(1024, move |_| {
        let told = Told(Arc::clone(&told));
        let steps = [Step::from("first"), Step::Wait]
            .into_iter()
            .inspect(move |_| {
                let _ = &told;
            });
        ready(Response::new(frames(steps)))
    });
    client.write_all(GET).await.unwrap();
    until(&mut client, "first\r\n").await;
    assert!(!gone.load(Ordering::SeqCst));
    drop(client);
    assert_eq!(served.await.unwrap(), Ended::Gone);
    assert!(gone.load(Ordering::SeqCst));
}

// REQ: R-3
#[tokio::test(start_paused = true)]
async fn a_client_that_ends_its_side_within_the_body_reads_why() {
    for body in [
        "Content-Length: 5\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nabc",
    ] {
        let (mut client, served) = start(1024, echo);
        client
            .write_all(format!("POST / HTTP/1.1\r\n{body}").as_bytes())
            .await
            .unwrap();
        client.shutdown().await.unwrap();
        let answer = rest(&mut client).await;
        assert!(
            answer.ends_with("BodyIncomplete") && answer.contains("connection: close"),
            "{answer}"
        );
        assert_eq!(served.await.unwrap(), Ended::Closed);
    }
    // Within the head there is nobody to answer.
    let (mut client, served) = start(1024, echo);
    client.write_all(&GET[..9]).await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut client).await, "");
    assert_eq!(served.await.unwrap(), Ended::Gone);
}

#[tokio::test(start_paused = true)]
async fn head_and_body_leave_in_one_write() {
    fn chunks() -> impl Iterator<Item = Step> + Send {
        (0..20).map(|_| Step::Data(Bytes::from(vec![b'x'; 1000])))
    }
    let makes: [fn() -> AnyBody; 5] = [
        || full("body"),
        empty,
        || frames(chunks()),
        || sized(20_000, chunks()),
        || frames([Step::from("a"), Step::Wait]),
    ];
    for make in makes {
        let count = Arc::new(AtomicUsize::new(0));
        let (mut client, server) = duplex(1 << 20);
        let server = Counted(server, Arc::clone(&count));
        tokio::spawn(async move {
            let body = move |_| ready(Response::new(make()));
            serve(server, &Config::default(), pending(), body).await
        });
        client.write_all(GET).await.unwrap();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_answer_has_no_end() {
    for (body, sent) in [
        (
            frames([Step::from("abc"), Step::Fail]),
            "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ),
        (
            sized(10, [Step::from("abc"), Step::Fail]),
            "content-length: 10\r\n\r\nabc",
        ),
    ] {
        let body = Mutex::new(Some(body));
        let (mut client, served) = start(4096, move |_| {
            ready(Response::new(body.lock().unwrap().take().unwrap()))
        });
        client.write_all(&GET.repeat(2)).await.unwrap();
        let answer = undated(&rest(&mut client).await);
        assert_eq!(answer, format!("HTTP/1.1 200 OK\r\n{sent}"));
        assert_eq!(served.await.unwrap(), Ended::Broken);
    }
    // Less and more than announced: never a second answer, never the surplus.
    for body in [
        sized(10, [Step::from("abc")]),
        sized(2, [Step::from("abc")]),
        sized(2, [Step::from("ab"), Step::from("HTTP/1.1 200 OK\r\n\r\n")]),
    ] {
        let body = Mutex::new(Some(body));
        let (mut client, served) = start(4096, move |_| {
            ready(Response::new(body.lock().unwrap().take().unwrap()))
        });
        client.write_all(&GET.repeat(2)).await.unwrap();
        let answer = rest(&mut client).await;
        assert_eq!(served.await.unwrap(), Ended::Broken);
        assert!(answer.matches("HTTP/1.1").count() <= 1, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_framing_of_an_answer_is_ours() {
    let answer = || {
        Response::builder()
            .header("content-length", "3")
            .header("transfer-encoding", "chunked")
            .header("connection", "keep-alive, x-secret")
            .header("keep-alive", "timeout=5")
            .header("upgrade", "h2c")
            .header("x-kept", "1")
            .header("x-kept", "2")
    };
    let bare = "x-kept: 1\r\nx-kept: 2\r\n";
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-trailer", http::HeaderValue::from_static("1"));
    let rows: Vec<(&[u8], u16, AnyBody, String)> = vec![
        (
            GET,
            200,
            full("four"),
            format!("HTTP/1.1 200 OK\r\n{bare}content-length: 4\r\n\r\nfour"),
        ),
        (
            GET,
            200,
            frames([
                Step::from("ab"),
                Step::from(""),
                Step::from("c"),
                Step::Trailers(trailers),
            ]),
            format!("HTTP/1.1 200 OK\r\n{bare}content-length: 3\r\n\r\nabc"),
        ),
        (
            b"HEAD / HTTP/1.1\r\n\r\n",
            200,
            full("four"),
            format!("HTTP/1.1 200 OK\r\n{bare}content-length: 3\r\n\r\n"),
        ),
        (
            GET,
            204,
            full("four"),
            format!("HTTP/1.1 204 No Content\r\n{bare}\r\n"),
        ),
        (
            GET,
            304,
            empty(),
            format!("HTTP/1.1 304 Not Modified\r\n{bare}content-length: 3\r\n\r\n"),
        ),
        (
            GET,
            101,
            empty(),
            format!("HTTP/1.1 101 Switching Protocols\r\n{bare}connection: close\r\n\r\n"),
        ),
        (
            b"CONNECT a:1 HTTP/1.1\r\n\r\n",
            200,
            full("x"),
            format!("HTTP/1.1 200 OK\r\n{bare}content-length: 1\r\nconnection: close\r\n\r\nx"),
        ),
        (
            b"GET / HTTP/1.0\r\n\r\n",
            200,
            full("x"),
            format!("HTTP/1.1 200 OK\r\n{bare}content-length: 1\r\nconnection: close\r\n\r\nx"),
        ),
    ];
    for (request, status, body, expected) in rows {
        let answer = Mutex::new(Some(answer().status(status).body(body).unwrap()));
        let (mut client, _served) =
            start(4096, move |_| ready(answer.lock().unwrap().take().unwrap()));
        client.write_all(request).await.unwrap();
        assert_eq!(undated(&came(&mut client).await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn lengths_that_nobody_knows_are_not_said() {
    for (request, status, body, expected) in [
        (
            "GET / HTTP/1.1",
            200,
            frames([Step::from("a")]),
            "transfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        ),
        (
            "GET / HTTP/1.0",
            200,
            frames([Step::from("a")]),
            "connection: close\r\n\r\na",
        ),
        ("HEAD / HTTP/1.1", 200, empty(), "\r\n"),
        ("HEAD / HTTP/1.1", 200, frames([Step::from("a")]), "\r\n"),
        ("GET / HTTP/1.1", 200, empty(), "content-length: 0\r\n\r\n"),
        ("GET / HTTP/1.1", 304, empty(), "\r\n"),
        ("GET / HTTP/1.1", 204, empty(), "\r\n"),
    ] {
        let answer = Mutex::new(Some(Response::builder().status(status).body(body).unwrap()));
        let (mut client, _served) =
            start(4096, move |_| ready(answer.lock().unwrap().take().unwrap()));
        client
            .write_all(format!("{request}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        let answer = undated(&came(&mut client).await);
        let (_, fields) = answer.split_once("\r\n").unwrap();
        assert_eq!(fields, expected, "{request} {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_s_own_close_and_date_count() {
    let (mut client, served) = start(4096, |_| {
        let answer = Response::builder()
            .header("connection", "Close")
            .header("date", "then");
        ready(answer.body(full("x")).unwrap())
    });
    client.write_all(&GET.repeat(2)).await.unwrap();
    let answer = rest(&mut client).await;
    assert_eq!(
        answer,
        "HTTP/1.1 200 OK\r\ndate: then\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx"
    );
    assert_eq!(served.await.unwrap(), Ended::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_body_can_be_read_while_the_answer_is_written() {
    // Each piece of the request's body is a piece of the answer's.
    let (mut client, _served) = start(1024, |request: Request<RequestBody>| {
        let body = request.into_body().map_err(|_| "fault").boxed_unsync();
        ready(Response::new(body))
    });
    client
        .write_all(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    until(&mut client, "\r\n\r\n").await;
    for _ in 0..3 {
        client.write_all(b"5\r\nhello\r\n").await.unwrap();
        assert_eq!(until(&mut client, "hello\r\n").await, "5\r\nhello\r\n");
        sleep(Duration::from_secs(1)).await;
    }
    client.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(until(&mut client, "0\r\n\r\n").await, "0\r\n\r\n");
    // The head said `close`: by then nobody knew how the body would end.
    assert_eq!(rest(&mut client).await, "");
}

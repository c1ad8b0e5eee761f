//! The client's driver: hostile and early servers, and which connections are used again.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests fail as the tests do"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use palisade_http1::client::{Connection, Outgoing, ResponseBody, SendError};
use palisade_http1::{Fault, HeadLimits};
use support::{AnyBody, Counted, Step, empty, frames, full, rest, sized, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::sleep;

type Answer = Response<ResponseBody<DuplexStream, AnyBody>>;

fn pair(buffer: usize) -> (Connection<DuplexStream>, DuplexStream) {
    let (client, server) = duplex(buffer);
    (Connection::new(client, HeadLimits::default()), server)
}

fn outgoing(method: &str, uri: &str, body: AnyBody) -> Outgoing<AnyBody> {
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("host", "a");
    written(&request.body(()).unwrap().into_parts().0, body)
}

fn written(parts: &Parts, body: AnyBody) -> Outgoing<AnyBody> {
    let target = parts.uri.path_and_query().unwrap();
    Outgoing::new(&parts.method, target, body, |out| {
        for (name, value) in &parts.headers {
            out.put(name, value);
        }
    })
}

fn get() -> Outgoing<AnyBody> {
    outgoing("GET", "/", empty())
}

/// What comes of a GET that is answered with `bytes`, and then the end of the connection.
async fn answered(bytes: &str) -> Result<Answer, SendError<AnyBody>> {
    let (connection, mut server) = pair(1 << 20);
    server.write_all(bytes.as_bytes()).await.unwrap();
    server.shutdown().await.unwrap();
    let answer = connection.send(get()).await;
    until(&mut server, "\r\n\r\n").await;
    answer
}

async fn text(answer: &mut Answer) -> Result<String, Fault> {
    let body = answer.body_mut().collect().await?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn requests_are_framed_by_us() {
    let request = |method: &str| {
        Request::builder()
            .method(method)
            .uri("http://upstream/a?b=c")
            .header("host", "h:1")
            .header("x-first", "1")
            .header("content-length", "999")
            .header("transfer-encoding", "chunked")
            .header("connection", "close")
            .header("keep-alive", "1")
            .header("upgrade", "h2c")
            .body(())
            .unwrap()
            .into_parts()
            .0
    };
    let head = |method: &str| format!("{method} /a?b=c HTTP/1.1\r\nhost: h:1\r\nx-first: 1\r\n");
    for (method, body, expected) in [
        ("GET", empty(), "\r\n"),
        ("DELETE", empty(), "\r\n"),
        ("POST", empty(), "content-length: 0\r\n\r\n"),
        ("PUT", full(""), "content-length: 0\r\n\r\n"),
        ("POST", full("abc"), "content-length: 3\r\n\r\nabc"),
        ("GET", full("abc"), "content-length: 3\r\n\r\nabc"),
        (
            "POST",
            sized(3, [Step::from("a"), Step::from("bc")]),
            "content-length: 3\r\n\r\nabc",
        ),
        (
            "POST",
            frames([
                Step::from("a"),
                Step::from(""),
                Step::from("0123456789abcdef"),
            ]),
            "transfer-encoding: chunked\r\n\r\n1\r\na\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n",
        ),
    ] {
        let (connection, mut server) = pair(4096);
        let sending = tokio::spawn(connection.send(written(&request(method), body)));
        let expected = head(method) + expected;
        let mut came = vec![0; expected.len()];
        server.read_exact(&mut came).await.unwrap();
        assert_eq!(String::from_utf8(came).unwrap(), expected);
        server.write_all(b"HTTP/1.1 204 N\r\n\r\n").await.unwrap();
        let mut answer = sending.await.unwrap().unwrap();
        assert_eq!(answer.status(), 204);
        // Nothing more came.
        drop(answer.body_mut().take_connection().unwrap());
        assert_eq!(rest(&mut server).await, "");
    }
}

#[tokio::test]
async fn head_and_body_leave_in_one_write() {
    for body in [
        full("abc"),
        frames([Step::from("a"), Step::from("b")]),
        empty(),
    ] {
        let count = Arc::new(AtomicUsize::new(0));
        let (client, mut server) = duplex(4096);
        server.write_all(b"HTTP/1.1 204 N\r\n\r\n").await.unwrap();
        let client = Counted(client, Arc::clone(&count));
        let connection = Connection::new(client, HeadLimits::default());
        connection.send(outgoing("POST", "/", body)).await.unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}

// REQ: R-3
#[tokio::test]
async fn malformed_answers_are_none() {
    for (bytes, fault) in [
        ("SSH-2.0-x\r\n", Fault::NotHttp),
        ("HTTP/2.0 200 OK\r\n\r\n", Fault::Version),
        ("HTTP/1.1 2 OK\r\n\r\n", Fault::StartLine),
        ("HTTP/1.1 200 OK\n\n", Fault::BareLf),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", Fault::ObsFold),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            Fault::LengthAndCoding,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            Fault::ContentLength,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n",
            Fault::TransferEncoding,
        ),
    ] {
        match answered(bytes).await {
            Err(SendError::Malformed(found)) => assert_eq!(found, fault, "{bytes:?}"),
            other => panic!("{bytes:?}: {other:?}"),
        }
    }
    let long = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "a".repeat(40_000));
    assert!(matches!(
        answered(&long).await,
        Err(SendError::Malformed(Fault::HeadTooLarge))
    ));
    // Ended before or within its head.
    for half in [
        "",
        "HT",
        "HTTP/1.1 200 OK\r\nA: b",
        "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 2",
    ] {
        assert!(
            matches!(answered(half).await, Err(SendError::Closed)),
            "{half:?}"
        );
    }
    assert!(matches!(
        answered("HTTP/1.1 100 C\r\n\r\n").await,
        Err(SendError::Closed)
    ));
}

// REQ: R-3
#[tokio::test]
async fn interim_answers_are_read_over_within_bounds() {
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
    let last = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let mut answer = answered(&(interim.repeat(16) + last)).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers().get("link")),
        (200, None)
    );
    assert_eq!(text(&mut answer).await.unwrap(), "ok");
    let endless = answered(&(interim.repeat(17) + last)).await;
    assert!(matches!(endless, Err(SendError::Interim)), "{endless:?}");
    let switched = answered(&("HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n".to_owned() + last)).await;
    assert!(matches!(switched, Err(SendError::Interim)), "{switched:?}");
}

#[tokio::test]
async fn broken_bodies_are_errors() {
    for (bytes, fault) in [
        ("Content-Length: 5\r\n\r\nabc", Fault::BodyIncomplete),
        (
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            Fault::BodyIncomplete,
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
            Fault::BodyIncomplete,
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
            Fault::ChunkEnd,
        ),
        (
            "Transfer-Encoding: chunked\r\n\r\n-3\r\nabc",
            Fault::ChunkSize,
        ),
    ] {
        let mut answer = answered(&format!("HTTP/1.1 200 OK\r\n{bytes}"))
            .await
            .unwrap();
        assert_eq!(text(&mut answer).await, Err(fault), "{bytes:?}");
        assert!(answer.body_mut().take_connection().is_none());
        // It stays over.
        assert!(answer.body_mut().frame().await.is_none());
    }
}

#[tokio::test]
async fn some_answers_end_with_their_connection() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"] {
        let mut answer = answered(&format!("{head}abc")).await.unwrap();
        assert_eq!(answer.body().size_hint().exact(), None);
        assert_eq!(text(&mut answer).await.unwrap(), "abc");
        assert!(answer.body_mut().take_connection().is_none());
    }
}

#[tokio::test]
async fn which_connections_are_used_again() {
    for (bytes, reusable) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true),
        ("HTTP/1.1 204 N\r\n\r\n", true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            false,
        ),
        (
            "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok",
            false,
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
            false,
        ),
        // What stands behind it would be the answer to the next.
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n",
            false,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok\r\n", false),
        ("HTTP/1.1 204 N\r\nContent-Length: 2\r\n\r\nok", false),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx",
            false,
        ),
    ] {
        let (connection, mut server) = pair(4096);
        server.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = connection.send(get()).await.unwrap();
        if !answer.body().is_end_stream() {
            assert!(answer.body_mut().take_connection().is_none(), "{bytes:?}");
            text(&mut answer).await.unwrap();
        }
        let taken = answer.body_mut().take_connection();
        assert_eq!(taken.is_some(), reusable, "{bytes:?}");
        assert!(answer.body_mut().take_connection().is_none());
        let Some(mut connection) = taken else {
            continue;
        };
        assert!(connection.is_open());
        until(&mut server, "\r\n\r\n").await;
        server
            .write_all(b"HTTP/1.1 404 N\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(connection.send(get()).await.unwrap().status(), 404);
    }
}

// REQ: R-3
#[tokio::test]
async fn an_idle_connection_that_speaks_or_ends_is_not_open() {
    let (mut connection, mut server) = pair(4096);
    assert!(connection.is_open());
    server
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
        .await
        .unwrap();
    assert!(!connection.is_open());
    let (mut connection, server) = pair(4096);
    drop(server);
    assert!(!connection.is_open());
}

#[tokio::test]
async fn a_request_that_has_not_left_is_given_back() {
    let (connection, server) = pair(4096);
    drop(server);
    let Err(SendError::Unsent(unsent)) = connection.send(outgoing("POST", "/", full("abc"))).await
    else {
        panic!("it has left");
    };
    // It arrives whole on another.
    let (connection, mut server) = pair(4096);
    server.write_all(b"HTTP/1.1 204 N\r\n\r\n").await.unwrap();
    let answer = connection.send(*unsent).await.unwrap();
    assert_eq!(answer.status(), 204);
    assert!(
        until(&mut server, "abc")
            .await
            .starts_with("POST / HTTP/1.1\r\n")
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_of_which_something_has_left_is_not() {
    // The server takes a little and closes.
    let (connection, mut server) = pair(16);
    let sending = tokio::spawn(connection.send(outgoing("POST", "/", full(vec![b'x'; 100_000]))));
    server.read_exact(&mut [0; 8]).await.unwrap();
    drop(server);
    let result = sending.await.unwrap();
    assert!(matches!(result, Err(SendError::Io(_))), "{result:?}");
    // It answers before it closes: that counts, also behind an interim answer.
    for interim in ["", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let (connection, mut server) = pair(128);
        let sending =
            tokio::spawn(connection.send(outgoing("POST", "/", full(vec![b'x'; 100_000]))));
        server.read_exact(&mut [0; 8]).await.unwrap();
        let answer = format!("{interim}HTTP/1.1 413 N\r\nContent-Length: 2\r\n\r\nno");
        server.write_all(answer.as_bytes()).await.unwrap();
        drop(server);
        let mut answer = sending.await.unwrap().unwrap();
        assert_eq!(answer.status(), 413);
        assert_eq!(text(&mut answer).await.unwrap(), "no");
        assert!(answer.body_mut().take_connection().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_is_taken_and_the_rest_of_the_request_follows() {
    let (connection, mut server) = pair(64);
    let body = vec![b'x'; 10_000];
    let sending = tokio::spawn(connection.send(outgoing("POST", "/", full(body))));
    until(&mut server, "\r\n\r\n").await;
    server
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        .await
        .unwrap();
    let mut answer = sending.await.unwrap().unwrap();
    let reading = tokio::spawn(async move {
        let body = text(&mut answer).await.unwrap();
        (body, answer.body_mut().take_connection())
    });
    // The request goes on while its answer is read.
    server.read_exact(&mut vec![0; 10_000]).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    server.write_all(b"cd").await.unwrap();
    let (body, connection) = reading.await.unwrap();
    assert_eq!(body, "abcd");
    assert!(connection.is_some());

    // Over before the request is: no other may follow on this connection.
    let (connection, mut server) = pair(4096);
    let body = frames([Step::from("a"), Step::Wait]);
    let sending = tokio::spawn(connection.send(outgoing("POST", "/", body)));
    until(&mut server, "1\r\na\r\n").await;
    server
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = sending.await.unwrap().unwrap();
    assert!(answer.body().is_end_stream());
    assert!(answer.body_mut().take_connection().is_none());
    assert_eq!(rest(&mut server).await, "");
}

// REQ: R-3
#[tokio::test]
async fn a_body_that_lies_ends_the_connection() {
    for (body, sent) in [
        (
            sized(5, [Step::from("abc")]),
            "content-length: 5\r\n\r\nabc",
        ),
        (sized(2, [Step::from("abc")]), "content-length: 2\r\n\r\n"),
        (
            sized(5, [Step::from("abc"), Step::Fail]),
            "content-length: 5\r\n\r\nabc",
        ),
        (
            frames([Step::from("abc"), Step::Fail]),
            "chunked\r\n\r\n3\r\nabc\r\n",
        ),
    ] {
        let (connection, mut server) = pair(4096);
        let result = connection.send(outgoing("POST", "/", body)).await;
        assert!(matches!(result, Err(SendError::Body)), "{result:?}");
        // What has left is no whole request.
        let came = rest(&mut server).await;
        let (_, fields) = came.split_once("host: a\r\n").unwrap_or_default();
        assert!(
            sent.ends_with(fields) || fields.ends_with(sent) || fields.is_empty(),
            "{came:?}"
        );
        assert!(!came.ends_with("0\r\n\r\n"), "{came:?}");
    }
}

#[tokio::test]
async fn dropped_it_closes() {
    let (connection, mut server) = pair(4096);
    server
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        .await
        .unwrap();
    let mut answer = connection.send(get()).await.unwrap();
    assert_eq!(answer.body().size_hint().exact(), Some(5));
    let frame = answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), Bytes::from_static(b"ab"));
    assert_eq!(answer.body().size_hint().exact(), Some(3));
    drop(answer);
    until(&mut server, "\r\n\r\n").await;
    assert_eq!(rest(&mut server).await, "");
}

#[tokio::test]
async fn an_answer_to_head_has_a_length_and_no_body() {
    let (connection, mut server) = pair(4096);
    server
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        .await
        .unwrap();
    let mut answer = connection
        .send(outgoing("HEAD", "/", empty()))
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-length"], "5");
    assert!(answer.body().is_end_stream());
    assert!(answer.body_mut().take_connection().is_some());
    until(&mut server, "\r\n\r\n").await;
}

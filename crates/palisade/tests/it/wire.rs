//! What the host and origin checks make of bytes that came over a connection, through hyper.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use palisade::GuardLayer;
use palisade::host::{HostGuard, HostSet};
use palisade::origin::OriginGuard;
use palisade::origins::OriginSet;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tower::{Layer, service_fn};

/// The far end of a connection to a server that admits the loopback names and one origin.
fn connect(http2: bool) -> DuplexStream {
    let (near, far) = duplex(64 * 1024);
    let inner = service_fn(|_| async { Ok(Response::new(Full::<Bytes>::from("fine"))) });
    let origins = OriginSet::parse(["https://app.example.com"]).unwrap();
    let guards = (
        HostGuard::new(HostSet::loopback()),
        OriginGuard::new(origins),
    );
    let service = TowerToHyperService::new(GuardLayer::new(guards).layer(inner));
    let near = TokioIo::new(near);
    tokio::spawn(async move {
        // The client hangs up when it has seen enough.
        if http2 {
            let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = http2.serve_connection(near, service).await;
        } else {
            let http1 = hyper::server::conn::http1::Builder::new();
            let _ = http1.serve_connection(near, service).await;
        }
    });
    far
}

/// The first line of the answer, and its body.
async fn send(head: &str) -> (String, String) {
    let mut connection = connect(false);
    let request = format!("{head}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.lines().next().unwrap();
    (status[9..12].into(), body.into())
}

// REQ: H-1, H-2, H-3
#[tokio::test]
async fn over_http1() {
    for (head, status, body) in [
        ("GET / HTTP/1.1\r\nHost: localhost", "200", "fine"),
        ("GET / HTTP/1.1\r\nhost:LOCALHOST.:8080 ", "200", "fine"),
        ("GET / HTTP/1.1\r\nHost: [::1]:8080", "200", "fine"),
        ("GET / HTTP/1.1\r\nHost: 127.0.0.1", "200", "fine"),
        (
            "GET http://localhost/ HTTP/1.1\r\nHost: localhost",
            "200",
            "fine",
        ),
        (
            "GET http://localhost:80/ HTTP/1.1\r\nHost: localhost",
            "200",
            "fine",
        ),
        ("GET / HTTP/1.1\r\nX: y", "400", "host.missing"),
        ("GET / HTTP/1.0\r\nX: y", "400", "host.missing"),
        (
            "GET http://localhost/ HTTP/1.1\r\nX: y",
            "400",
            "host.missing",
        ),
        ("GET / HTTP/1.1\r\nHost:", "400", "host.malformed"),
        (
            "GET / HTTP/1.1\r\nHost: local host",
            "400",
            "host.malformed",
        ),
        (
            "GET / HTTP/1.1\r\nHost: a@localhost",
            "400",
            "host.malformed",
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost:http",
            "400",
            "host.malformed",
        ),
        ("GET / HTTP/1.1\r\nHost: 127.1", "400", "host.malformed"),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost",
            "400",
            "host.ambiguous",
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example",
            "400",
            "host.ambiguous",
        ),
        (
            "GET http://evil.example/ HTTP/1.1\r\nHost: localhost",
            "400",
            "host.ambiguous",
        ),
        (
            "GET http://localhost/ HTTP/1.1\r\nHost: evil.example",
            "400",
            "host.ambiguous",
        ),
        (
            "GET / HTTP/1.1\r\nHost: evil.example",
            "403",
            "host.not_allowed",
        ),
        (
            "GET / HTTP/1.1\r\nHost: 127.0.0.1.nip.io",
            "403",
            "host.not_allowed",
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example.com",
            "200",
            "fine",
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: \thttps://app.example.com ",
            "200",
            "fine",
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example",
            "403",
            "origin.not_allowed",
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: null",
            "403",
            "origin.not_allowed",
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin:",
            "403",
            "origin.malformed",
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://app.example.com\r\nOrigin: null",
            "403",
            "origin.malformed",
        ),
    ] {
        let (found, text) = send(head).await;
        assert_eq!(found, status, "{head:?}: {text}");
        assert!(text.contains(body), "{head:?}: {text}");
        assert!(!text.contains("evil"), "reflects what was sent: {text}");
    }
}

// REQ: H-1, H-2
#[tokio::test]
async fn over_http2() {
    for (authority, hosts, status, body) in [
        ("localhost", &[][..], 200, "fine"),
        ("LOCALHOST:8443", &[], 200, "fine"),
        ("[::1]:8443", &[], 200, "fine"),
        ("localhost", &["localhost"], 200, "fine"),
        ("localhost", &["localhost:443"], 200, "fine"),
        ("evil.example", &[], 403, "host.not_allowed"),
        ("evil.example", &["localhost"], 400, "host.ambiguous"),
        ("localhost", &["evil.example"], 400, "host.ambiguous"),
        (
            "localhost",
            &["localhost", "localhost"],
            400,
            "host.ambiguous",
        ),
        ("localhost:8443", &["localhost"], 400, "host.ambiguous"),
        ("a@localhost", &[], 400, "host.malformed"),
    ] {
        let io = TokioIo::new(connect(true));
        let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
        let (mut client, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::get(format!("https://{authority}/"));
        for host in hosts {
            request = request.header("host", *host);
        }
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        let answer = client.send_request(request).await.unwrap();
        assert_eq!(answer.status(), status, "{authority} {hosts:?}");
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(text.into()).unwrap();
        assert!(text.contains(body), "{authority} {hosts:?}: {text}");
    }
}

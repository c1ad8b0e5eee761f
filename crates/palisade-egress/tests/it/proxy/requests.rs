//! Requests that are no requests, and hosts that are not there.

use tokio::net::TcpListener;

use super::rig::{BASIC, open, setup, talk};
use super::socks::socks;
use crate::support::server::{Server, ok, server};

// REQ: E-2
#[tokio::test]
async fn requests_that_two_readers_could_read_differently() {
    let server = server(|_| ok("hello")).await;
    let port = server.address.port();
    let setup = setup(open(&[&server])).await;
    let url = server.url("page.example", "/");
    let host = format!("Host: page.example:{port}\r\n");
    for (request, status) in [
        (format!("GET {url} HTTP/1.1\r\n{host}{BASIC}\r\n"), 200),
        (
            format!("GET {url} HTTP/1.1\r\nHost: other.example:{port}\r\n{BASIC}\r\n"),
            400,
        ),
        (
            format!("GET {url} HTTP/1.1\r\nHost: page.example\r\n{BASIC}\r\n"),
            400,
        ),
        (
            format!("GET {url} HTTP/1.1\r\n{host}{host}{BASIC}\r\n"),
            400,
        ),
        (format!("GET {url} HTTP/1.1\r\n{BASIC}\r\n"), 400),
        (format!("GET / HTTP/1.1\r\n{host}{BASIC}\r\n"), 400),
        (
            format!("GET https://page.example:{port}/ HTTP/1.1\r\n{host}{BASIC}\r\n"),
            403,
        ),
        (
            format!("GET http://user@page.example:{port}/ HTTP/1.1\r\n{host}{BASIC}\r\n"),
            403,
        ),
        (
            format!("CONNECT page.example HTTP/1.1\r\nHost: page.example\r\n{BASIC}\r\n"),
            403,
        ),
        (
            format!("CONNECT user@page.example:{port} HTTP/1.1\r\n{host}{BASIC}\r\n"),
            403,
        ),
    ] {
        let mut stream = setup.connect().await;
        let answer = talk(&mut stream, request.as_bytes(), "\r\n\r\n").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}\n{answer}"
        );
    }
    let request = format!(
        "POST {url} HTTP/1.1\r\n{host}{BASIC}Connection: close, X-Hop\r\nX-Hop: 1\r\nUpgrade: x\r\nTE: trailers\r\nKeep-Alive: 1\r\nContent-Length: 4\r\n\r\nbody"
    );
    let mut stream = setup.connect().await;
    assert!(
        talk(&mut stream, request.as_bytes(), "")
            .await
            .ends_with("hello")
    );
    let got = server.got().pop().expect("a request").to_ascii_lowercase();
    for gone in ["x-hop", "upgrade", "te:", "keep-alive", "proxy"] {
        assert!(!got.contains(gone), "{gone}: {got}");
    }
    assert!(got.ends_with("body"), "{got}");
}

// REQ: E-2
#[tokio::test]
async fn what_cannot_be_reached_says_nothing_more() {
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address");
    let gone = Server::at(closed);
    let setup = setup(open(&[&gone])).await;
    let to = format!("page.example:{}", closed.port());
    let mut stream = setup.connect().await;
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{BASIC}\r\n");
    let answer = talk(&mut stream, request.as_bytes(), "}").await;
    assert!(
        answer.starts_with("HTTP/1.1 502 ") && answer.contains("egress.proxy.unreachable"),
        "{answer}"
    );
    assert!(
        !answer.contains("127.0.0.1") && !answer.to_lowercase().contains("refused"),
        "{answer}"
    );
    assert_eq!(socks(&setup, b"page.example", closed.port()).await, 4);
}

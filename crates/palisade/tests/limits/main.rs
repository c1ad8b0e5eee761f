//! The limiting layers in one stack on a real HTTP/1.1 server, asked by raw bytes.

#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is the report"
)]

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use palisade::body::{DeclaredBody, Inflight, collect};
use palisade::headers::{Builder, HeaderPolicy, SecurityHeadersLayer};
use palisade::rate::{Limiter, Peer, Preflights, RateGuard};
use palisade::request_id::RequestIdLayer;
use palisade::sanity::Sanity;
use palisade::{Answer, GuardLayer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::{Layer as _, service_fn};

const LIMIT: u64 = 64;

/// Gives the body back, once it has it whole; as a layer that inspects messages will.
async fn echo(
    request: Request<Incoming>,
    inflight: Inflight,
) -> Result<Response<Answer<Full<Bytes>>>, Infallible> {
    let (head, body) = request.into_parts();
    let deadline = tokio::time::sleep(Duration::from_millis(200));
    Ok(match collect(body, LIMIT, &inflight, deadline).await {
        Ok(collected) => Response::new(Answer::own(collected.into_bytes())),
        Err(rejection) => rejection.into_response(&head).map(Answer::own),
    })
}

/// What the server sends until it closes, for what the client sends at once.
async fn exchange(rate: &str, sent: &[u8]) -> String {
    let inflight = Inflight::new(1 << 20);
    let held = inflight.clone();
    let inner = service_fn(move |request| echo(request, inflight.clone()));
    let limiter = |rate: &str| Arc::new(Limiter::new(rate.parse().unwrap()));
    let service = RequestIdLayer.layer(
        SecurityHeadersLayer::default().layer(
            GuardLayer::new((
                Sanity::default(),
                RateGuard::new(
                    "preflight",
                    Preflights::<Peer>::default(),
                    limiter("60/min"),
                ),
                RateGuard::new("peer", Peer::default(), limiter(rate)),
                DeclaredBody::new(LIMIT),
            ))
            .layer(inner),
        ),
    );
    let (mut client, server) = tokio::io::duplex(1 << 16);
    let connection = hyper::server::conn::http1::Builder::new()
        // Its own limit, 100, answers without us.
        .max_headers(200)
        .serve_connection(TokioIo::new(server), TowerToHyperService::new(service));
    let server = tokio::spawn(connection);
    client.write_all(sent).await.unwrap();
    let mut received = Vec::new();
    let read = client.read_to_end(&mut received);
    // A connection that stays open is cut off here.
    let _ = tokio::time::timeout(Duration::from_secs(1), read).await;
    server.abort();
    let _ = server.await;
    assert_eq!(held.held(), 0);
    String::from_utf8(received).unwrap()
}

fn assert_ours(answer: &str, status: &str, reason: &str) {
    assert!(
        answer.starts_with(&format!("HTTP/1.1 {status}")),
        "{answer}"
    );
    assert!(
        answer.contains(&format!("\"reason\":\"{reason}\"")),
        "{answer}"
    );
    for field in [
        "x-frame-options: DENY",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'",
        "cache-control: no-store",
        "x-request-id: ",
    ] {
        assert_eq!(answer.matches(field).count(), 1, "{field} in {answer}");
    }
}

// REQ
#[tokio::test]
async fn what_is_within_the_limits_passes() {
    let sent = b"POST /mcp HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\
        connection: close\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let answer = exchange("100/min", sent).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nabcde"), "{answer}");
    assert!(
        answer.contains("ratelimit: \"peer\";r=99;t=1\r\n"),
        "{answer}"
    );
    assert!(answer.contains("ratelimit-policy: \"peer\";q=100;w=60\r\n"));
}

// REQ: R-3, S-1
#[tokio::test]
async fn bodies_are_refused_declared_or_chunked_and_the_connection_closes() {
    // 65 bytes announced, none sent.
    let declared = b"POST /mcp HTTP/1.1\r\nhost: a.example\r\ncontent-length: 65\r\n\r\n".to_vec();
    let mut chunked =
        b"POST /mcp HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    // The end never comes.
    chunked.extend(b"20\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(3));
    for sent in [declared, chunked] {
        let answer = exchange("100/min", &sent).await;
        assert_ours(&answer, "413", "body.too_large");
        assert!(answer.contains("connection: close\r\n"), "{answer}");
    }
}

// REQ: R-3
#[tokio::test]
async fn a_body_that_does_not_come_or_breaks_off() {
    let late = b"POST /mcp HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\nabc";
    assert_ours(&exchange("100/min", late).await, "408", "body.timeout");
    let broken =
        b"POST /mcp HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    assert_ours(&exchange("100/min", broken).await, "400", "body.incomplete");
}

// REQ, G-15, S-1
#[tokio::test]
async fn heads_that_are_refused() {
    let many = "x: y\r\n".repeat(99);
    let large = format!("x: {}\r\n", "y".repeat(33 * 1024));
    for (line, fields, status, reason) in [
        (
            "GET /a/../mcp HTTP/1.1",
            "",
            "400",
            "request.path_ambiguous",
        ),
        (
            "GET /%2e%2e/mcp HTTP/1.1",
            "",
            "400",
            "request.path_ambiguous",
        ),
        ("GET //mcp HTTP/1.1", "", "400", "request.path_ambiguous"),
        ("GET /mcp%2fx HTTP/1.1", "", "400", "request.path_ambiguous"),
        ("TRACE /mcp HTTP/1.1", "", "501", "request.method"),
        (
            "CONNECT a.example:443 HTTP/1.1",
            "",
            "501",
            "request.method",
        ),
        ("BREW /mcp HTTP/1.1", "", "501", "request.method"),
        (
            "GET /mcp HTTP/1.1",
            "upgrade: websocket\r\n",
            "501",
            "request.method",
        ),
        (
            "GET /mcp HTTP/1.1",
            &many,
            "431",
            "request.header_too_large",
        ),
        (
            "GET /mcp HTTP/1.1",
            &large,
            "431",
            "request.header_too_large",
        ),
        (
            "GET /mcp HTTP/1.1",
            "content_length: 5\r\n",
            "400",
            "request.malformed",
        ),
        (
            "GET /mcp HTTP/1.1",
            "authorization: a\r\nauthorization: b\r\n",
            "400",
            "request.malformed",
        ),
    ] {
        let sent = format!("{line}\r\nhost: a.example\r\nconnection: close\r\n{fields}\r\n");
        assert_ours(&exchange("100/min", sent.as_bytes()).await, status, reason);
    }
}

// REQ: R-1, S-1
#[tokio::test]
async fn the_second_request_of_one_per_hour() {
    let sent = b"GET /mcp HTTP/1.1\r\nhost: a.example\r\n\r\n\
        GET /mcp HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n";
    let answers = exchange("1/h", sent).await;
    let second = answers.rfind("HTTP/1.1 ").unwrap();
    assert!(answers.starts_with("HTTP/1.1 200"), "{answers}");
    assert_ours(&answers[second..], "429", "rate.exceeded");
    assert!(
        answers[second..].contains("retry-after: 3600\r\n"),
        "{answers}"
    );
    assert!(answers[second..].contains("ratelimit: \"peer\";r=0;t=3600\r\n"));
}

#[test]
fn a_policy_is_made_once_and_shared() {
    let policy: Arc<HeaderPolicy> = Arc::new(Builder::default().build().unwrap());
    let _one = SecurityHeadersLayer::new(Arc::clone(&policy));
    let _other = SecurityHeadersLayer::new(Arc::clone(&policy));
    assert_eq!(Arc::strong_count(&policy), 3);
}

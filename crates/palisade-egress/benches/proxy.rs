//! What the proxy adds to a request on loopback: below 1 ms in the median. Prints microseconds.

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use palisade_egress::Unobserved;
use palisade_egress::proxy::{Identity, Plan, Proxy, ProxyLimits};
use support::{LoopbackDialer, Names, guard, policy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const ROUNDS: usize = 2000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = upstream.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = upstream.accept().await.expect("a connection");
            tokio::spawn(answer(stream));
        }
    });
    let names = Names::loopback(&["page.example"]);
    let policy = policy().allow_special([address.to_string()]);
    let guard = guard(policy, names, Arc::<LoopbackDialer>::default());
    let plan = Plan::new().with_listener(Identity::new("bench", guard));
    let proxy = Proxy::new(plan, ProxyLimits::default(), Arc::new(Unobserved));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let through = listener.local_addr().expect("an address");
    tokio::spawn(async move { proxy.serve_as(listener, "bench").await });

    let port = address.port();
    let direct = format!("GET / HTTP/1.1\r\nHost: page.example:{port}\r\n\r\n");
    let absolute =
        format!("GET http://page.example:{port}/ HTTP/1.1\r\nHost: page.example:{port}\r\n\r\n");
    let (direct, absolute) = (
        median(address, &direct).await,
        median(through, &absolute).await,
    );
    report(&format!(
        "direct {direct} µs, through the proxy {absolute} µs, added {} µs",
        absolute.saturating_sub(direct)
    ));
}

#[expect(clippy::print_stdout, reason = "this is what the bench is for")]
fn report(line: &str) {
    println!("{line}");
}

/// The median time of a request on a connection of its own.
async fn median(to: SocketAddr, request: &str) -> u128 {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let started = Instant::now();
        #[expect(clippy::disallowed_methods, reason = "loopback")]
        let mut stream = TcpStream::connect(to).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut got = [0; 1024];
        let read = stream.read(&mut got).await.expect("an answer");
        assert!(got[..read].starts_with(b"HTTP/1.1 200"));
        times.push(started.elapsed().as_micros());
    }
    times.sort_unstable();
    times[ROUNDS / 2]
}

async fn answer(mut stream: TcpStream) {
    let mut request = [0; 1024];
    while matches!(stream.read(&mut request).await, Ok(1..)) {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

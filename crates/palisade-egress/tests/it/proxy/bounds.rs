//! New plans, silence, and how much one server may take.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use palisade_egress::proxy::{Identity, Plan, ProxyLimits};
use palisade_egress::{BoxFuture, Dial, Dialed, Host, Pinned};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::rig::{BASIC, connector, open, over_tls, setup, setup_with, talk, tunnel};
use crate::support::policy;
use crate::support::server::{ok, server};

// REQ: E-2
#[tokio::test]
async fn a_new_plan_ends_what_it_does_not_allow() {
    let (authority, tls) = over_tls("page.example").await;
    let setup = setup(open(&[&tls])).await;
    let to = format!("page.example:{}", tls.address.port());
    let name = || ServerName::try_from("page.example").expect("a name");
    let stream = tunnel(&setup, &to).await;
    let mut open_tunnel = connector(&authority)
        .connect(name(), stream)
        .await
        .expect("a tunnel");
    assert_eq!(setup.proxy.open(), 1);
    assert_eq!(
        setup
            .proxy
            .reload(setup.plan(open(&[&tls]).allowlist(["page.example:*"]))),
        0,
        "still allowed"
    );
    assert_eq!(setup.proxy.open(), 1);
    assert_eq!(
        setup
            .proxy
            .reload(setup.plan(open(&[&tls]).allowlist(["other.example"]))),
        1
    );
    let mut byte = [0];
    let ended = timeout(Duration::from_secs(5), open_tunnel.read(&mut byte))
        .await
        .expect("it is closed");
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
    timeout(Duration::from_secs(5), async {
        while setup.proxy.open() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it leaves the registry");
    assert!(
        setup.log.traffic()[0].ends_with(" true"),
        "{:?}",
        setup.log.traffic()
    );
    let mut stream = setup.connect().await;
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{BASIC}\r\n");
    assert!(
        talk(&mut stream, request.as_bytes(), "}")
            .await
            .contains("egress.host.not_listed")
    );
}

// REQ: E-2
#[tokio::test]
async fn silence_and_slowness_are_bounded() {
    let (authority, tls) = over_tls("page.example").await;
    let mut limits = ProxyLimits::default();
    (limits.begin, limits.idle, limits.connections) =
        (Duration::from_millis(200), Duration::from_millis(200), 4);
    let setup = setup_with(open(&[&tls]), limits).await;
    let to = format!("page.example:{}", tls.address.port());
    let quiet = async |mut stream: TcpStream| talk(&mut stream, b"", "").await;
    assert_eq!(quiet(setup.connect().await).await, "", "not a byte");
    let mut stream = setup.connect().await;
    assert_eq!(talk(&mut stream, b"\x05", "").await, "", "half a greeting");
    let mut stream = setup.connect().await;
    let head = talk(&mut stream, b"GET http://page", "").await;
    assert!(
        head.is_empty() || head.starts_with("HTTP/1.1 408"),
        "half a head: {head}"
    );
    assert_eq!(
        quiet(tunnel(&setup, &to).await).await,
        "",
        "an empty tunnel"
    );
    let stream = tunnel(&setup, &to).await;
    let name = ServerName::try_from("page.example").expect("a name");
    let mut idle = connector(&authority)
        .connect(name, stream)
        .await
        .expect("a tunnel");
    let ended = timeout(Duration::from_secs(5), idle.read(&mut [0]))
        .await
        .expect("it is closed");
    assert!(!matches!(ended, Ok(1..)), "{ended:?}");
    // All slots were given back.
    for _ in 0..8 {
        assert_eq!(quiet(setup.connect().await).await, "");
    }
}

// REQ: E-2
#[tokio::test]
async fn one_server_cannot_take_all_connections() {
    let (_authority, tls) = over_tls("page.example").await;
    let mut limits = ProxyLimits::default();
    limits.per_identity = 2;
    let setup = setup_with(open(&[&tls]), limits).await;
    let to = format!("page.example:{}", tls.address.port());
    let _held = [tunnel(&setup, &to).await, tunnel(&setup, &to).await];
    let mut stream = setup.connect().await;
    let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{BASIC}\r\n");
    let answer = talk(&mut stream, request.as_bytes(), "}").await;
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("egress.proxy.busy"),
        "{answer}"
    );
    let told = setup.log.decisions();
    let last = told.last().expect("a decision");
    assert_eq!(*last, format!("connect files {to} egress.proxy.busy 0"));
}

/// Each connection that is opened is told twice, so nobody opens them without pause.
// REQ: E-2, L-1
#[tokio::test]
async fn connections_are_opened_one_after_the_other() {
    let server = server(|_| ok("page")).await;
    let mut limits = ProxyLimits::default();
    // Whoever has had these has to wait 15 s for the next, which is longer than anybody waits.
    limits.openings = 4;
    let setup = setup_with(open(&[&server]), limits).await;
    let host = format!("page.example:{}", server.address.port());
    let mut answers = Vec::new();
    for _ in 0..6 {
        let mut stream = setup.connect().await;
        let request = format!(
            "GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n{BASIC}Connection: close\r\n\r\n"
        );
        answers.push(talk(&mut stream, request.as_bytes(), "}").await);
    }
    for (at, answer) in answers.iter().enumerate() {
        let (status, text) = match at {
            0..4 => ("HTTP/1.1 200 ", "page"),
            _ => ("HTTP/1.1 503 ", "egress.proxy.busy"),
        };
        assert!(
            answer.starts_with(status) && answer.contains(text),
            "{at}: {answer}"
        );
    }
    assert_eq!(setup.dialer.dialed().len(), 4);
    let busy = format!("absolute files {host} egress.proxy.busy 0");
    assert_eq!(setup.log.decisions()[4..], [busy.clone(), busy]);
}

/// Never gets through, but counts.
#[derive(Debug, Default)]
struct Silent(AtomicUsize);

impl Dial for Silent {
    fn dial<'a>(&'a self, _: &'a Pinned) -> BoxFuture<'a, std::io::Result<Dialed>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::pending())
    }
}

/// What one server's command leaves half open keeps no other's waiting.
// REQ: E-2
#[tokio::test]
async fn one_server_keeps_no_other_waiting() {
    let page = server(|_| ok("page")).await;
    let mut limits = ProxyLimits::default();
    (limits.connections, limits.per_identity) = (8, 4);
    let setup = setup_with(policy(), limits).await;
    let silent = Arc::new(Silent::default());
    let greedy = setup.guard(open(&[&page])).with_dialer(silent.clone());
    let plan = Plan::new()
        .with_listener(Identity::new("greedy", greedy))
        .with_listener(Identity::new("honest", setup.guard(open(&[&page]))));
    setup.proxy.reload(plan);
    let port = page.address.port();
    let intercept = |identity: &'static str| {
        let (client, stream) = tokio::io::duplex(64 << 10);
        let (proxy, host) = (setup.proxy.clone(), Host::parse("page.example"));
        let host = host.expect("a host");
        tokio::spawn(async move { proxy.intercepted(stream, identity, host, port).await });
        client
    };
    let _held: Vec<_> = (0..100).map(|_| intercept("greedy")).collect();
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while silent.0.load(Ordering::Relaxed) < 8 {
        assert!(std::time::Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let mut client = intercept("honest");
    let request =
        format!("GET / HTTP/1.1\r\nHost: page.example:{port}\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    let read = timeout(Duration::from_secs(5), client.read_to_string(&mut answer)).await;
    read.expect("it does not wait for those of others")
        .expect("an answer");
    assert!(answer.contains("page"), "{answer}");
    assert_eq!(silent.0.load(Ordering::Relaxed), 8);
}

use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::decision::Grant;
use crate::name::Name;
use crate::own::OwnAddresses;
use crate::policy::PolicyBuilder;

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

fn policy() -> PolicyBuilder {
    Policy::builder().own_addresses(OwnAddresses::fixed([]))
}

/// Gives its answers in turn, the last one for ever.
#[derive(Debug)]
struct Script {
    answers: Vec<Result<Answers, ResolveError>>,
    asked: AtomicUsize,
}

impl Script {
    fn new(answers: Vec<Result<Answers, ResolveError>>) -> Arc<Self> {
        let asked = AtomicUsize::new(0);
        Arc::new(Self { answers, asked })
    }

    fn addresses(turns: &[&[&str]]) -> Arc<Self> {
        let turn = |addresses: &&[&str]| {
            let addresses = addresses.iter().map(|address| ip(address)).collect();
            Ok(Answers {
                addresses,
                aliases: Vec::new(),
            })
        };
        Self::new(turns.iter().map(turn).collect())
    }
}

impl Resolve for Script {
    fn resolve<'a>(&'a self, _: &'a Name) -> BoxFuture<'a, Result<Answers, ResolveError>> {
        let turn = self.asked.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers[turn % self.answers.len()].clone();
        Box::pin(async move { answer })
    }
}

#[derive(Debug)]
struct Never;

impl Resolve for Never {
    fn resolve<'a>(&'a self, _: &'a Name) -> BoxFuture<'a, Result<Answers, ResolveError>> {
        Box::pin(std::future::pending())
    }
}

/// Keeps what it is asked to dial; nothing leaves the process.
#[derive(Debug, Default)]
struct Counter {
    dialed: Mutex<Vec<SocketAddr>>,
    /// What it says of the other end, where that differs.
    peer: Option<SocketAddr>,
    /// These do not answer, or refuse.
    silent: Vec<IpAddr>,
    closed: Vec<IpAddr>,
}

impl Dial for Counter {
    fn dial<'a>(&'a self, to: &'a Pinned) -> BoxFuture<'a, io::Result<Dialed>> {
        let address = to.address();
        self.dialed.lock().expect("no panic").push(address);
        Box::pin(async move {
            if self.silent.contains(&address.ip()) {
                std::future::pending::<()>().await;
            }
            if self.closed.contains(&address.ip()) {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let stream = Box::new(tokio::io::duplex(64).0);
            Ok(Dialed {
                stream,
                peer: self.peer.unwrap_or(address),
            })
        })
    }
}

fn guard(policy: PolicyBuilder, resolver: Arc<dyn Resolve>, dialer: Arc<Counter>) -> Guard {
    let policy = Arc::new(policy.build().expect("a policy"));
    Guard::new(policy, resolver).with_dialer(dialer)
}

async fn go(guard: &Guard, url: &str) -> Result<Connection, String> {
    let target = guard
        .policy()
        .check_url(url)
        .map_err(|refusal| refusal.reason().code().to_owned())?;
    let checked = guard
        .resolve(target)
        .await
        .map_err(|refusal| refusal.reason().code().to_owned())?;
    guard.connect(checked).await.map_err(|error| match error {
        ConnectError::Refused(refusal) => refusal.reason().code().to_owned(),
        error => error.to_string(),
    })
}

// REQ: E-1
#[tokio::test]
async fn the_checked_address_is_dialed() {
    let dialer = Arc::new(Counter::default());
    let resolver = Script::addresses(&[&["8.8.8.8", "8.8.4.4"]]);
    let guard = guard(policy(), resolver.clone(), dialer.clone());
    let connection = go(&guard, "https://example.com/").await.expect("public");
    assert_eq!(connection.address.to_string(), "8.8.8.8:443");
    assert_eq!(connection.target.host().to_string(), "example.com");
    assert_eq!(connection.target.grant(), Grant::Public);
    assert_eq!(
        resolver.asked.load(Ordering::Relaxed),
        1,
        "one lookup for one hop"
    );
    assert_eq!(
        *dialer.dialed.lock().expect("no panic"),
        [connection.address]
    );
}

// REQ: E-1
#[tokio::test]
async fn a_name_that_flips_never_gets_past_the_check() {
    // Good and bad answers in turn, in every mixture, as a rebinding server gives them.
    let resolver = Script::addresses(&[
        &["8.8.8.8"],
        &["127.0.0.1"],
        &["8.8.8.8", "169.254.169.254"],
        &["::ffff:10.0.0.1"],
        &["8.8.4.4"],
        &["64:ff9b::7f00:1"],
        &[],
        &["2606:4700::1111"],
        &["2002:7f00:1::"],
    ]);
    let dialer = Arc::new(Counter::default());
    let guard = guard(policy(), resolver.clone(), dialer.clone());
    let mut through = 0;
    for _ in 0..10_000 {
        through += usize::from(go(&guard, "http://rebind.example/").await.is_ok());
    }
    let dialed = dialer.dialed.lock().expect("no panic");
    let bad: Vec<_> = dialed
        .iter()
        .filter(|address| crate::address::classify(address.ip()).is_err())
        .collect();
    assert!(bad.is_empty(), "{bad:?}");
    assert_eq!(resolver.asked.load(Ordering::Relaxed), 10_000);
    assert_eq!(dialed.len(), through, "refused ones are not dialed");
    assert_eq!(
        through, 3334,
        "every turn with public addresses alone is served"
    );
}

#[tokio::test]
async fn refusals_dial_nothing() {
    let alias = Name::from_ascii("metadata.google.internal").expect("a name");
    let aliased = Answers {
        addresses: vec![ip("8.8.8.8")],
        aliases: vec![alias],
    };
    let cases = [
        ("http://a.example/", Ok(aliased), "egress.dns.alias"),
        (
            "http://a.example/",
            Ok(Answers::default()),
            "egress.dns.no_address",
        ),
        (
            "http://a.example/",
            Err(ResolveError::NoAddress),
            "egress.dns.no_address",
        ),
        (
            "http://a.example/",
            Err(ResolveError::Timeout),
            "egress.dns.timeout",
        ),
        (
            "http://a.example/",
            Err(ResolveError::Other("SERVFAIL".into())),
            "egress.dns.failed",
        ),
        (
            "http://127.0.0.1/",
            Ok(Answers::default()),
            "egress.address.loopback",
        ),
        (
            "http://localhost/",
            Ok(Answers::default()),
            "egress.host.local",
        ),
    ];
    for (url, answer, code) in cases {
        let dialer = Arc::new(Counter::default());
        let guard = guard(policy(), Script::new(vec![answer]), dialer.clone());
        assert_eq!(go(&guard, url).await.expect_err(url), code);
        assert!(dialer.dialed.lock().expect("no panic").is_empty());
    }
}

// REQ: E-1
#[tokio::test]
async fn another_peer_than_the_checked_one_is_refused() {
    for peer in ["127.0.0.1:80", "8.8.8.8:81", "[::1]:80"] {
        let peer = Some(peer.parse().expect(peer));
        let dialer = Arc::new(Counter {
            peer,
            ..Counter::default()
        });
        let guard = guard(policy(), Script::addresses(&[&["8.8.8.8"]]), dialer);
        assert_eq!(
            go(&guard, "http://a.example/")
                .await
                .expect_err("elsewhere"),
            "egress.peer.changed"
        );
    }
    let peer = Some("[::ffff:8.8.8.8]:80".parse().expect("an address"));
    let dialer = Arc::new(Counter {
        peer,
        ..Counter::default()
    });
    let guard = guard(policy(), Script::addresses(&[&["8.8.8.8"]]), dialer);
    assert!(go(&guard, "http://a.example/").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_dead_address_leaves_time_for_the_others() {
    let dialer = Arc::new(Counter {
        silent: vec![ip("2606:4700::1")],
        closed: vec![ip("8.8.8.8")],
        ..Counter::default()
    });
    let resolver = Script::addresses(&[&["2606:4700::1", "8.8.8.8", "8.8.4.4"]]);
    let guard = guard(policy(), resolver, dialer.clone());
    let connection = go(&guard, "http://a.example/")
        .await
        .expect("the third answers");
    assert_eq!(connection.address.to_string(), "8.8.4.4:80");
    assert_eq!(dialer.dialed.lock().expect("no panic").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn times_are_bounded() {
    let started = Instant::now();
    let slow = guard(policy(), Arc::new(Never), Arc::default());
    assert_eq!(
        go(&slow, "http://a.example/").await.expect_err("never"),
        "egress.dns.timeout"
    );
    assert!(started.elapsed() <= Duration::from_secs(5));
    let started = Instant::now();
    let dialer = Arc::new(Counter {
        silent: vec![ip("8.8.8.8"), ip("8.8.4.4")],
        ..Counter::default()
    });
    let deaf = guard(
        policy(),
        Script::addresses(&[&["8.8.8.8", "8.8.4.4"]]),
        dialer.clone(),
    );
    let deaf = deaf.with_times(Times {
        connect: Duration::from_secs(2),
        ..Times::default()
    });
    assert_eq!(
        go(&deaf, "http://a.example/").await.expect_err("deaf"),
        "the host did not answer in time"
    );
    assert!(started.elapsed() <= Duration::from_secs(2));
    assert_eq!(dialer.dialed.lock().expect("no panic").len(), 2);
    let dialer = Arc::new(Counter {
        closed: vec![ip("8.8.8.8")],
        ..Counter::default()
    });
    let closed = guard(policy(), Script::addresses(&[&["8.8.8.8"]]), dialer);
    assert_eq!(
        go(&closed, "http://a.example/").await.expect_err("closed"),
        "the host cannot be reached"
    );
}

// REQ: E-1
#[tokio::test]
async fn tcp_to_loopback_where_it_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let special = policy().allow_special([address.to_string()]);
    let policy = Arc::new(special.build().expect("a policy"));
    let guard = Guard::new(policy, Script::addresses(&[&["127.0.0.1"]]));
    let url = format!("http://a.example:{}/", address.port());
    let connection = go(&guard, &url).await.expect("named");
    assert_eq!(connection.address, address);
    assert_eq!(connection.target.grant(), Grant::Special);
    listener.accept().await.expect("a connection");
}

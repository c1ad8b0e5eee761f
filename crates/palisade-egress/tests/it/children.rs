//! The children of one server at the proxy: told apart, unable to pass for one another, and served
//! only while decisions can be told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::server::{Server, ok, server};
use crate::support::{LoopbackDialer, Names, guard, policy};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use palisade_egress::proxy::{ChildPasswords, Credential, Identity, Plan, Proxy, ProxyLimits};
use palisade_egress::{Event, Observe, Traffic};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Who was told of, and whether anybody can be.
#[derive(Debug)]
struct Told {
    seen: Mutex<Vec<(String, Option<u64>, &'static str)>>,
    ready: AtomicBool,
}

impl Told {
    fn take(&self) -> Vec<(String, Option<u64>, &'static str)> {
        std::mem::take(&mut *self.seen.lock().expect("no panic"))
    }
}

impl Observe for Told {
    fn decided(&self, event: &Event<'_>) {
        let told = (
            event.identity.to_owned(),
            event.child,
            event.decision.code(),
        );
        self.seen.lock().expect("no panic").push(told);
    }

    fn ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    fn ended(&self, traffic: &Traffic<'_>) {
        let told = (traffic.identity.to_owned(), traffic.child, "end");
        self.seen.lock().expect("no panic").push(told);
    }
}

struct Setup {
    server: Server,
    proxy: Proxy,
    address: SocketAddr,
    passwords: ChildPasswords,
    dialer: Arc<LoopbackDialer>,
    told: Arc<Told>,
}

async fn setup() -> Setup {
    let server = server(|_| ok("hello")).await;
    let dialer = Arc::<LoopbackDialer>::default();
    let policy = policy().allow_special([server.address.to_string()]);
    let guard = guard(policy, Names::loopback(&["page.example"]), dialer.clone());
    let (credential, passwords) = Credential::for_children("files").expect("random numbers");
    let plan = Plan::new().with_credential(Identity::new("files", guard), credential);
    let told = Arc::new(Told {
        seen: Mutex::default(),
        ready: AtomicBool::new(true),
    });
    let proxy = Proxy::new(plan, ProxyLimits::default(), told.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = proxy.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    Setup {
        server,
        proxy,
        address,
        passwords,
        dialer,
        told,
    }
}

impl Setup {
    async fn ask(&self, to: SocketAddr, credential: &str) -> String {
        #[expect(clippy::disallowed_methods, reason = "the proxy on loopback")]
        let mut stream = TcpStream::connect(to).await.expect("it listens");
        let host = format!("page.example:{}", self.server.address.port());
        let request = format!(
            "GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n{credential}Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    }

    async fn ask_as(&self, user: &str, password: &str) -> String {
        let basic = STANDARD.encode(format!("{user}:{password}"));
        let credential = format!("Proxy-Authorization: Basic {basic}\r\n");
        self.ask(self.address, &credential).await
    }
}

// REQ: E-2
#[tokio::test]
async fn children_are_told_apart() {
    let setup = setup().await;
    for child in [1, 2] {
        let (user, password) = setup.passwords.of(child);
        let answer = setup.ask_as(&user, &password).await;
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("hello"),
            "{answer}"
        );
        let told = setup.told.take();
        assert_eq!(
            told[0],
            ("files".to_owned(), Some(child), "egress.allow.special")
        );
    }
    let (first, second) = (setup.passwords.of(1), setup.passwords.of(2));
    for (user, password) in [
        (first.0.as_str(), second.1.as_str()),
        ("files", first.1.as_str()),
        ("files.01", first.1.as_str()),
        ("other.1", first.1.as_str()),
    ] {
        let answer = setup.ask_as(user, password).await;
        assert!(answer.starts_with("HTTP/1.1 407"), "{user}: {answer}");
    }
    assert_eq!(setup.dialer.dialed().len(), 2);
}

// REQ: E-2
#[tokio::test]
async fn a_listener_can_be_one_childs() {
    let setup = setup().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let proxy = setup.proxy.clone();
    tokio::spawn(async move { proxy.serve_as(listener, "files/7").await });
    let answer = setup.ask(address, "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let told = setup.told.take();
    assert_eq!(
        told[0],
        ("files".to_owned(), Some(7), "egress.allow.special")
    );
}

// REQ: E-2, L-3
#[tokio::test]
async fn nothing_is_opened_that_cannot_be_told() {
    let setup = setup().await;
    setup.told.ready.store(false, Ordering::Relaxed);
    let (user, password) = setup.passwords.of(1);
    let answer = setup.ask_as(&user, &password).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("egress.proxy.unrecorded"), "{answer}");
    assert!(setup.dialer.dialed().is_empty());
    setup.told.ready.store(true, Ordering::Relaxed);
    assert!(
        setup
            .ask_as(&user, &password)
            .await
            .starts_with("HTTP/1.1 200")
    );
}

//! The handshake before any request: names, protocols, tickets, and how it is told when nothing
//! comes of it.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream as StdTcp;
use std::sync::Arc;
use std::time::{Duration, Instant};

use e2e::palisade::Builder;
use e2e::wire::{Ask, BOTH, Http1};
use e2e::{Palisade, Upstream, authority};
use rustls::client::Resumption;
use rustls::{AlertDescription, ClientConfig, HandshakeKind, RootCertStore};
use rustls_pki_types::ServerName;
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio_rustls::TlsConnector;

/// The alert that a client was sent.
#[track_caller]
fn alert(failed: io::Error) -> AlertDescription {
    match failed.downcast::<rustls::Error>() {
        Ok(rustls::Error::AlertReceived(alert)) => alert,
        other => panic!("no alert: {other:?}"),
    }
}

// REQ: T-2
#[tokio::test]
async fn only_names_that_are_served_are_shown_a_certificate() {
    let upstream = Upstream::new();
    // `host.example.com` stands in `hosts`, but not in the certificate.
    let palisade = Palisade::builder()
        .server(&upstream)
        .config("hosts = [\"mcp.example.com\", \"host.example.com\"]")
        .names(&["mcp.example.com", "*.tenant.example.com", "127.0.0.1"])
        .start();
    for (name, served) in [
        ("mcp.example.com", true),
        ("MCP.Example.COM", true),
        ("a.tenant.example.com", true),
        ("tenant.example.com", false),
        ("b.a.tenant.example.com", false),
        ("evil.example", false),
        ("example.com", false),
        ("xmcp.example.com", false),
    ] {
        let shaken = palisade.client().sni(name).connect("h2").await;
        match shaken {
            Ok(_) => assert!(served, "{name}"),
            Err(failed) => {
                assert!(!served, "{name}: {failed}");
                assert_eq!(alert(failed), AlertDescription::UnrecognisedName, "{name}");
            }
        }
    }
    // No name: who calls an address sends none.
    palisade
        .client()
        .sni("127.0.0.1")
        .connect("h2")
        .await
        .unwrap();

    // OpenSSL, which looks at no name: the host that is configured is served, and so is `localhost`,
    // a host of loopback listeners; another hears why not, in both versions.
    for version in ["-tls1_2", "-tls1_3"] {
        for (name, served) in [
            ("host.example.com", true),
            ("localhost", true),
            ("other.example.com", false),
        ] {
            let (ok, text) = s_client(&palisade, &[version, "-servername", name]).await;
            assert_eq!(ok, served, "{version} {name}: {text}");
            let refused = text.contains("unrecognized name");
            assert_eq!(refused, !served, "{version} {name}: {text}");
        }
        let (ok, text) = s_client(&palisade, &[version, "-noservername"]).await;
        assert!(ok, "{version}: {text}");
    }
}

/// Whether OpenSSL's client ends a handshake well, and what it says.
async fn s_client(palisade: &Palisade, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl")
        .args(["s_client", "-brief", "-connect"])
        .arg(palisade.address().to_string())
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output();
    let output = tokio::time::timeout(e2e::PATIENCE, output).await;
    let output = output.unwrap().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (output.status.success(), text)
}

// REQ: T-3
#[tokio::test]
async fn alpn_is_strict() {
    let upstream = Upstream::new();
    let palisade = Palisade::before(&upstream);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for offered in [
            &["http/1.0"][..],
            &["h3", "spdy/3"],
            &["H2"],
            &["HTTP/1.1"],
            &["h2c"],
        ] {
            let client = palisade.client().version(version).alpn(offered);
            let failed = client.connect("h2").await.unwrap_err();
            assert_eq!(
                alert(failed),
                AlertDescription::NoApplicationProtocol,
                "{offered:?}"
            );
        }
        for (offered, agreed) in [
            (&["http/1.1", "h2"][..], Some("h2")),
            (&["h3", "http/1.1"], Some("http/1.1")),
            (&[], None),
        ] {
            let client = palisade.client().version(version).alpn(offered);
            let stream = client.connect("h2").await.unwrap();
            assert_eq!(stream.alpn().as_deref(), agreed, "{offered:?}");
            if agreed != Some("h2") {
                let answer = Http1::new(stream).ask(&Ask::call()).await;
                assert_eq!(answer.status, 200, "{offered:?}");
            }
        }
    }
}

/// A client that keeps its tickets.
#[derive(Clone)]
struct Returning(Arc<ClientConfig>);

impl Returning {
    fn new() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority::root()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(8);
        Self(Arc::new(config))
    }

    /// Connects, asks so that tickets arrive, and says how the handshake went.
    async fn visit(&self, palisade: &Palisade) -> HandshakeKind {
        #[expect(clippy::disallowed_methods, reason = "a test's client")]
        let tcp = tokio::net::TcpStream::connect(palisade.address())
            .await
            .unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = TlsConnector::from(Arc::clone(&self.0));
        let mut stream = connector.connect(name, tcp).await.unwrap();
        let ask = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 404 "));
        stream.get_ref().1.handshake_kind().unwrap()
    }
}

/// The wall clock of a gateway under test, moved by `libfaketime`.
struct Clock(TempDir);

impl Clock {
    fn new() -> Self {
        let clock = Self(tempfile::tempdir().unwrap());
        clock.set("+0");
        clock
    }

    /// Moves it: so much later than it is.
    fn set(&self, offset: &str) {
        // In one step: the file is read at any moment.
        let new = self.0.path().join("new");
        fs::write(&new, offset).unwrap();
        fs::rename(new, self.0.path().join("clock")).unwrap();
    }

    fn moves(&self, gateway: Builder) -> Builder {
        let file = self.0.path().join("clock");
        gateway
            .shell(
                "LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketimeMT.so.1); \
                 test -f \"$LD_PRELOAD\" || exit 9; export LD_PRELOAD; exec \"$@\"",
            )
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap())
            // Timers go on as they are. The names of two versions of the library.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
    }
}

/// The keys of tickets change every 6 hours; those of the 6 hours before still open theirs.
// REQ: T-1
#[tokio::test]
async fn the_keys_of_tickets_rotate() {
    let upstream = Upstream::new();
    let clock = Clock::new();
    let palisade = clock.moves(Palisade::builder().server(&upstream)).start();

    let (regular, rare, patient) = (Returning::new(), Returning::new(), Returning::new());
    assert_eq!(patient.visit(&palisade).await, HandshakeKind::Full);
    assert_eq!(rare.visit(&palisade).await, HandshakeKind::Full);
    assert_eq!(regular.visit(&palisade).await, HandshakeKind::Full);
    assert_eq!(regular.visit(&palisade).await, HandshakeKind::Resumed);

    // It is the change that ends a ticket, no age of its own.
    clock.set("+5h");
    assert_eq!(patient.visit(&palisade).await, HandshakeKind::Resumed);

    clock.set("+7h");
    assert_eq!(regular.visit(&palisade).await, HandshakeKind::Resumed);
    // The key of before is still there, for those who come back in time.
    assert_eq!(regular.visit(&palisade).await, HandshakeKind::Resumed);

    // Two changes later it is gone, and with it what it would have opened.
    clock.set("+14h");
    assert_eq!(regular.visit(&palisade).await, HandshakeKind::Resumed);
    assert_eq!(rare.visit(&palisade).await, HandshakeKind::Full);
    assert_eq!(rare.visit(&palisade).await, HandshakeKind::Resumed);
    drop(palisade);

    // They are in memory alone: another process opens none of these tickets.
    let again = Palisade::before(&upstream);
    assert_eq!(regular.visit(&again).await, HandshakeKind::Full);
}

/// The records of connections that were refused.
fn connections(palisade: &Palisade) -> Vec<Json> {
    let mut records = palisade.audit();
    records.retain(|record| {
        let reason = record["reason"].as_str();
        reason.is_some_and(|reason| reason.starts_with("connection."))
    });
    records
}

/// Sends bytes on a connection of its own and waits until the gateway closes it.
fn send(palisade: &Palisade, bytes: &[u8]) -> Vec<u8> {
    #[expect(clippy::disallowed_methods, reason = "a test's client")]
    let mut tcp = StdTcp::connect(palisade.address()).unwrap();
    tcp.set_read_timeout(Some(e2e::PATIENCE)).unwrap();
    tcp.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    if let Err(error) = tcp.read_to_end(&mut answer) {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
    }
    answer
}

// REQ: L-1
#[tokio::test(flavor = "multi_thread")]
async fn handshakes_that_fail_are_recorded_in_sum() {
    const FLOOD: u64 = 400;
    let upstream = Upstream::new();
    let mut palisade = Palisade::builder()
        .server(&upstream)
        .config("[tls]\nprofile = \"modern\"\n[limits.timeouts]\nhandshake = \"1s\"")
        .start();

    // What is no TLS, by the hundred.
    let begun = Instant::now();
    for _ in 0..FLOOD {
        send(&palisade, b"SSH-2.0-OpenSSH_9.2\r\n");
    }
    // A client whose versions are too old, and one that trusts another authority.
    let old = palisade.client().version(&rustls::version::TLS12);
    let failed = old.connect("h2").await.unwrap_err();
    assert_eq!(alert(failed), AlertDescription::ProtocolVersion);
    let distrust = Command::new("openssl")
        .args(["s_client", "-brief", "-verify_return_error", "-connect"])
        .arg(palisade.address().to_string())
        .args(["-servername", "localhost"])
        .stdin(std::process::Stdio::null())
        .output()
        .await
        .unwrap();
    assert!(!distrust.status.success());
    // One that breaks off amid its ClientHello.
    #[expect(clippy::disallowed_methods, reason = "a test's client")]
    let mut half = StdTcp::connect(palisade.address()).unwrap();
    half.write_all(b"\x16\x03\x01\x02\x00\x01").unwrap();
    drop(half);
    // Plain HTTP, which hears why.
    for _ in 0..3 {
        let answer = send(&palisade, b"GET /mcp HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(answer.starts_with(b"HTTP/1.1 400 "));
    }
    // A foreign name.
    for _ in 0..2 {
        let client = palisade.client().sni("evil.example");
        client.connect("h2").await.unwrap_err();
    }
    // Too slow.
    send(&palisade, b"\x16\x03\x01\x02\x00\x01");
    // A load balancer that looks whether somebody is there.
    for _ in 0..5 {
        #[expect(clippy::disallowed_methods, reason = "a test's client")]
        drop(StdTcp::connect(palisade.address()).unwrap());
    }
    // Ordinary requests are served all the while.
    for protocol in BOTH {
        let answer = palisade.client().ask(protocol, &Ask::call()).await;
        assert_eq!(answer.status, 200);
    }
    assert!(
        begun.elapsed() < Duration::from_secs(50),
        "the window passed amid the test"
    );
    assert_eq!(connections(&palisade), [""; 0], "told one by one");
    assert_eq!(palisade.stop(), Some(0));

    let mut records = connections(&palisade);
    records.sort_by_key(|record| record["reason"].to_string());
    let told: Vec<(&str, u64, Option<u64>)> = records
        .iter()
        .map(|record| {
            (
                record["reason"].as_str().unwrap(),
                record["count"].as_u64().unwrap(),
                record["status"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("connection.handshake", FLOOD + 3, None),
            ("connection.handshake_timeout", 1, None),
            ("connection.plain_http", 3, Some(400)),
            ("connection.server_name", 2, None),
        ]
    );
    for (record, cause) in records.iter().zip([
        "the handshake failed: ",
        "the handshake took too long",
        "its URL must begin with `https://`",
        "`evil.example`",
    ]) {
        assert!(
            record["error"].as_str().unwrap().contains(cause),
            "{record}"
        );
        assert_eq!(record["outcome"], "denied");
        assert_eq!(record["actor"]["ip"], "127.0.0.1");
        for name in ["tool", "args", "durationMs"] {
            assert_eq!(record[name], Json::Null, "{record}");
        }
    }
}

// REQ: L-1
#[tokio::test(flavor = "multi_thread")]
async fn sums_are_told_once_a_minute_while_it_runs() {
    let upstream = Upstream::new();
    let palisade = Palisade::before(&upstream);
    for _ in 0..3 {
        send(&palisade, b"SSH-2.0-OpenSSH_9.2\r\n");
    }
    // The minute is measured from the first; it is looked at every five seconds.
    tokio::time::sleep(Duration::from_secs(55)).await;
    assert_eq!(connections(&palisade), [""; 0]);
    let told = palisade.audit_where(1, |record| record["reason"] == "connection.handshake");
    assert_eq!(told[0]["count"], 3, "{told:?}");
}

// REQ: L-1, R-3
#[tokio::test(flavor = "multi_thread")]
async fn connections_over_the_cap_are_recorded_in_sum() {
    let upstream = Upstream::new();
    let mut palisade = Palisade::builder()
        .server(&upstream)
        .config("[limits]\nconnections = 2")
        .start();
    let mut first = palisade.client().http1().await;
    let second = palisade.client().http1().await;
    for _ in 0..50 {
        assert_eq!(send(&palisade, b""), b"");
    }
    assert_eq!(first.ask(&Ask::call()).await.status, 200);
    drop((first, second));
    assert_eq!(palisade.stop(), Some(0));
    let records = connections(&palisade);
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(records[0]["reason"], "connection.over_cap");
    assert_eq!(records[0]["count"], 50);
    let error = records[0]["error"].as_str().unwrap();
    assert!(
        error.contains("`limits.connections` allows more"),
        "{error}"
    );
}

// REQ: R-3
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_does_not_wait_for_handshakes() {
    let upstream = Upstream::new();
    let mut palisade = Palisade::builder()
        .server(&upstream)
        .config("[limits.timeouts]\nhandshake = \"15s\"")
        .start();
    // Silent, and amid the ClientHello.
    let open: Vec<StdTcp> = [&b""[..], b"\x16\x03\x01\x02\x00\x01"]
        .iter()
        .map(|bytes| {
            #[expect(clippy::disallowed_methods, reason = "a test's client")]
            let mut tcp = StdTcp::connect(palisade.address()).unwrap();
            tcp.write_all(bytes).unwrap();
            tcp
        })
        .collect();
    // By now both are accepted.
    assert_eq!(
        palisade
            .client()
            .http1()
            .await
            .ask(&Ask::call())
            .await
            .status,
        200
    );
    let begun = Instant::now();
    assert_eq!(palisade.stop(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    for mut tcp in open {
        tcp.set_read_timeout(Some(e2e::PATIENCE)).unwrap();
        let mut rest = Vec::new();
        let _ = tcp.read_to_end(&mut rest);
        assert_eq!(rest, b"");
    }
    // Nobody was refused.
    assert_eq!(connections(&palisade), [""; 0]);
}

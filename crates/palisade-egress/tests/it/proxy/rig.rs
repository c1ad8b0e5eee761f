//! A proxy before servers on loopback, and what talks to it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use palisade_egress::proxy::{Credential, Identity, Plan, Proxy, ProxyLimits};
use palisade_egress::{Guard, PolicyBuilder};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::support::server::{Authority, Server, ok, serve};
use crate::support::{Log, LoopbackDialer, Names, guard, policy};

pub(super) const PASSWORD: &str = "a-password-nobody-guesses";

pub(super) struct Setup {
    pub(super) proxy: Proxy,
    pub(super) address: SocketAddr,
    pub(super) names: Arc<Names>,
    pub(super) dialer: Arc<LoopbackDialer>,
    pub(super) log: Arc<Log>,
}

impl Setup {
    /// The proxy's URL for a user.
    pub(super) fn url(&self, scheme: &str, user: &str) -> String {
        format!("{scheme}://{user}:{PASSWORD}@{}", self.address)
    }

    pub(super) fn guard(&self, policy: PolicyBuilder) -> Guard {
        guard(policy, self.names.clone(), self.dialer.clone())
    }

    pub(super) fn plan(&self, policy: PolicyBuilder) -> Plan {
        let credential = Credential::new("files", PASSWORD).expect("a credential");
        Plan::new().with_credential(Identity::new("files", self.guard(policy)), credential)
    }

    pub(super) async fn connect(&self) -> TcpStream {
        #[expect(clippy::disallowed_methods, reason = "the proxy on loopback")]
        TcpStream::connect(self.address)
            .await
            .expect("the proxy listens")
    }
}

/// A server that answers `tls`, with a certificate for `name` of an authority of its own.
pub(super) async fn over_tls(name: &str) -> (Authority, Server) {
    let authority = Authority::new();
    let server = serve(|_| ok("tls"), Some(authority.acceptor(name, false))).await;
    (authority, server)
}

/// A policy that opens these servers.
pub(super) fn open(servers: &[&Server]) -> PolicyBuilder {
    policy().allow_special(servers.iter().map(|server| server.address.to_string()))
}

/// A proxy with one user, `files`, under this policy.
pub(super) async fn setup(policy: PolicyBuilder) -> Setup {
    setup_with(policy, ProxyLimits::default()).await
}

pub(super) async fn setup_with(policy: PolicyBuilder, limits: ProxyLimits) -> Setup {
    let names = Names::new(&[
        ("page.example", &[&["127.0.0.1"]]),
        ("other.example", &[&["127.0.0.1"]]),
        ("inside.example", &[&["10.0.0.1"]]),
        ("mixed.example", &[&["127.0.0.1", "169.254.169.254"]]),
    ]);
    let (dialer, log) = (Arc::<LoopbackDialer>::default(), Arc::<Log>::default());
    let proxy = Proxy::new(Plan::new(), limits, log.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = proxy.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let setup = Setup {
        proxy,
        address,
        names,
        dialer,
        log,
    };
    setup.proxy.reload(setup.plan(policy));
    setup
}

/// Runs a program with nothing of this environment but the path, and gives its output.
pub(super) async fn run(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a path"))
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(home) = std::env::var_os("HOME") {
        command.env("HOME", home);
    }
    let output = timeout(Duration::from_secs(30), command.output()).await;
    let output = output.expect("it ends").expect("it is installed");
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

pub(super) async fn curl(arguments: &[&str]) -> String {
    let mut all = vec!["-q", "-sS", "--max-time", "10"];
    all.extend(arguments);
    run("curl", &all, &[]).await
}

pub(super) fn path(file: &Path) -> &str {
    file.to_str().expect("a path in UTF-8")
}

/// Sends bytes and reads until the other end closes, or `end` has come.
pub(super) async fn talk(stream: &mut TcpStream, bytes: &[u8], end: &str) -> String {
    stream.write_all(bytes).await.expect("sent");
    let mut got = Vec::new();
    let mut chunk = [0; 4096];
    while end.is_empty() || !String::from_utf8_lossy(&got).contains(end) {
        match timeout(Duration::from_secs(10), stream.read(&mut chunk))
            .await
            .expect("an answer")
        {
            Ok(0) | Err(_) => break,
            Ok(read) => got.extend_from_slice(&chunk[..read]),
        }
    }
    String::from_utf8_lossy(&got).into_owned()
}

/// `files:PASSWORD` in base64.
pub(super) const BASIC: &str =
    "Proxy-Authorization: Basic ZmlsZXM6YS1wYXNzd29yZC1ub2JvZHktZ3Vlc3Nlcw==\r\n";

/// A tunnel to `authority`, opened by CONNECT.
pub(super) async fn tunnel(setup: &Setup, authority: &str) -> TcpStream {
    let mut stream = setup.connect().await;
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{BASIC}\r\n");
    let answer = talk(&mut stream, request.as_bytes(), "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    stream
}

pub(super) fn connector(authority: &Authority) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(authority.file.path()).expect("a certificate");
    roots.add(certificate).expect("a CA");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

//! The forward proxy with real clients: curl, Python, Node, and clients that do not play by the
//! rules.

mod support;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use palisade_egress::proxy::{Credential, Identity, Plan, Proxy, ProxyLimits};
use palisade_egress::{BoxFuture, Dial, Dialed, Guard, Host, Pinned, PolicyBuilder};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use support::server::{Authority, Server, ok, serve, server};
use support::{Log, LoopbackDialer, Names, guard, policy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const PASSWORD: &str = "a-password-nobody-guesses";

struct Setup {
    proxy: Proxy,
    address: SocketAddr,
    names: Arc<Names>,
    dialer: Arc<LoopbackDialer>,
    log: Arc<Log>,
}

impl Setup {
    /// The proxy's URL for a user.
    fn url(&self, scheme: &str, user: &str) -> String {
        format!("{scheme}://{user}:{PASSWORD}@{}", self.address)
    }

    fn guard(&self, policy: PolicyBuilder) -> Guard {
        guard(policy, self.names.clone(), self.dialer.clone())
    }

    fn plan(&self, policy: PolicyBuilder) -> Plan {
        let credential = Credential::new("files", PASSWORD).expect("a credential");
        Plan::new().with_credential(Identity::new("files", self.guard(policy)), credential)
    }

    async fn connect(&self) -> TcpStream {
        #[expect(clippy::disallowed_methods, reason = "the proxy on loopback")]
        TcpStream::connect(self.address)
            .await
            .expect("the proxy listens")
    }
}

/// A policy that opens these servers.
fn open(servers: &[&Server]) -> PolicyBuilder {
    policy().allow_special(servers.iter().map(|server| server.address.to_string()))
}

/// A proxy with one user, `files`, under this policy.
async fn setup(policy: PolicyBuilder) -> Setup {
    setup_with(policy, ProxyLimits::default()).await
}

async fn setup_with(policy: PolicyBuilder, limits: ProxyLimits) -> Setup {
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
async fn run(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> String {
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

async fn curl(arguments: &[&str]) -> String {
    let mut all = vec!["-q", "-sS", "--max-time", "10"];
    all.extend(arguments);
    run("curl", &all, &[]).await
}

fn path(file: &Path) -> &str {
    file.to_str().expect("a path in UTF-8")
}

/// Sends bytes and reads until the other end closes, or `end` has come.
async fn talk(stream: &mut TcpStream, bytes: &[u8], end: &str) -> String {
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
const BASIC: &str = "Proxy-Authorization: Basic ZmlsZXM6YS1wYXNzd29yZC1ub2JvZHktZ3Vlc3Nlcw==\r\n";

// REQ: E-2
#[tokio::test]
async fn curl_through_every_form() {
    let authority = Authority::new();
    let plain = server(|_| ok("plain")).await;
    let tls = serve(
        |_| ok("tls"),
        Some(authority.acceptor("page.example", false)),
    )
    .await;
    let setup = setup(open(&[&plain, &tls])).await;
    let http = plain.url("page.example", "/a?b");
    let https = tls.url("page.example", "/").replace("http:", "https:");
    let ca = path(authority.file.path());
    let proxy = setup.url("http", "files");
    let socks = setup.url("socks5h", "files");
    assert_eq!(curl(&["-x", &proxy, &http]).await, "plain");
    assert_eq!(
        curl(&["-x", &proxy, "-p", &http]).await,
        "plain",
        "HTTP in a tunnel"
    );
    assert_eq!(curl(&["-x", &proxy, "--cacert", ca, &https]).await, "tls");
    assert_eq!(curl(&["-x", &socks, &http]).await, "plain");
    assert_eq!(curl(&["-x", &socks, "--cacert", ca, &https]).await, "tls");
    let (p, t) = (plain.address.port(), tls.address.port());
    assert_eq!(
        setup.log.decisions(),
        [
            format!("absolute files page.example:{p} egress.allow.special 0"),
            format!("connect files page.example:{p} egress.allow.special 0"),
            format!("connect files page.example:{t} egress.allow.special 0"),
            format!("socks files page.example:{p} egress.allow.special 0"),
            format!("socks files page.example:{t} egress.allow.special 0"),
        ],
        "one event for each decision"
    );
    for got in plain.got() {
        assert!(got.starts_with("GET /a?b HTTP/1.1\r\n"), "{got}");
        let got = got.to_ascii_lowercase();
        assert!(
            got.contains(&format!("host: page.example:{p}\r\n")),
            "{got}"
        );
        assert!(!got.contains("proxy-"), "{got}");
    }
    timeout(Duration::from_secs(5), async {
        while setup.log.traffic().len() < 5 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("every connection is told of at its end");
    assert_eq!(setup.proxy.open(), 0);
}

// REQ: E-2
#[tokio::test]
async fn python_and_node_through_their_own_means() {
    const PYTHON: &str = "import ssl, sys, urllib.request
context = ssl.create_default_context(cafile=sys.argv[3])
opener = urllib.request.build_opener(urllib.request.ProxyHandler(), urllib.request.HTTPSHandler(context=context))
for url in sys.argv[1:3]: print(opener.open(url, timeout=10).read().decode())
try: opener.open('http://169.254.169.254/latest/meta-data/', timeout=10)
except urllib.error.HTTPError as error: print(error.code, error.read().decode())";
    const NODE: &str = "const http = require('http'), tls = require('tls'), fs = require('fs');
const proxy = new URL(process.env.http_proxy), auth = 'Basic ' + Buffer.from(proxy.username + ':' + proxy.password).toString('base64');
const to = new URL(process.argv[2]), headers = { Host: to.host, 'Proxy-Authorization': auth };
http.get({ host: proxy.hostname, port: proxy.port, path: to.href, headers }, answer => {
  answer.on('data', data => console.log(data.toString()));
  answer.on('end', () => {
    const to = new URL(process.argv[3]);
    http.request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path: to.host, headers: { Host: to.host, 'Proxy-Authorization': auth } })
      .on('connect', (answer, socket) => {
        const secure = tls.connect({ socket, servername: to.hostname, ca: fs.readFileSync(process.argv[4]) }, () =>
          secure.write('GET / HTTP/1.1\\r\\nHost: ' + to.host + '\\r\\nConnection: close\\r\\n\\r\\n'));
        secure.on('data', data => console.log(data.toString()));
      }).end();
  });
});";
    let authority = Authority::new();
    let plain = server(|_| ok("plain")).await;
    let tls = serve(
        |_| ok("tls"),
        Some(authority.acceptor("page.example", false)),
    )
    .await;
    let setup = setup(open(&[&plain, &tls])).await;
    let http = plain.url("page.example", "/");
    let https = tls.url("page.example", "/").replace("http:", "https:");
    let proxy = setup.url("http", "files");
    let variables = [
        ("http_proxy", proxy.as_str()),
        ("https_proxy", proxy.as_str()),
        ("no_proxy", ""),
    ];
    let ca = path(authority.file.path());
    let python = run("python3", &["-c", PYTHON, &http, &https, ca], &variables).await;
    assert!(python.contains("plain\ntls\n403 "), "{python}");
    assert!(
        python.contains("\"code\":\"egress.address.platform\""),
        "{python}"
    );
    let node = run(
        "node",
        &["-e", NODE, "--", "-", &http, &https, ca],
        &variables,
    )
    .await;
    assert!(node.contains("plain") && node.contains("tls"), "{node}");
}

// REQ: E-2, E-5
#[tokio::test]
async fn what_is_refused_is_refused_in_every_form() {
    let server = server(|_| ok("secret")).await;
    let port = server.address.port();
    let policy = open(&[&server]).allowlist([
        "page.example:*",
        "mixed.example:*",
        "inside.example",
        "*.wild.example",
    ]);
    let setup = setup(policy).await;
    for (host, port, code) in [
        ("169.254.169.254", 80, "egress.address.platform"),
        ("[::ffff:169.254.169.254]", 80, "egress.address.platform"),
        ("127.0.0.1", 80, "egress.address.loopback"),
        ("127.1", 80, "egress.address.loopback"),
        ("2130706433", 80, "egress.address.loopback"),
        ("[::1]", 80, "egress.address.loopback"),
        ("localhost", 80, "egress.host.local"),
        ("metadata.google.internal", 80, "egress.host.metadata"),
        ("inside.example", 80, "egress.address.private"),
        ("mixed.example", port, "egress.address.platform"),
        ("other.example", port, "egress.host.not_listed"),
        ("wild.example", 80, "egress.host.not_listed"),
        ("a.wild.example", 22, "egress.host.not_listed"),
        ("page.example.evil.example", port, "egress.host.not_listed"),
        ("absent.wild.example", 80, "egress.dns.no_address"),
    ] {
        let authority = format!("{host}:{port}");
        let before = setup.log.decisions().len();
        let mut stream = setup.connect().await;
        let request =
            format!("GET http://{authority}/ HTTP/1.1\r\nHost: {authority}\r\n{BASIC}\r\n");
        let absolute = talk(&mut stream, request.as_bytes(), "}").await;
        assert!(
            absolute.starts_with("HTTP/1.1 403 ") && absolute.contains(code),
            "{absolute}"
        );
        let mut stream = setup.connect().await;
        let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{BASIC}\r\n");
        let connect = talk(&mut stream, request.as_bytes(), "}").await;
        assert!(
            connect.starts_with("HTTP/1.1 403 ") && connect.contains(code),
            "{connect}"
        );
        let socks = socks(&setup, host.as_bytes(), port).await;
        assert_eq!(socks, 2, "{host}: not allowed by the rules");
        let decisions = setup.log.decisions().split_off(before);
        assert_eq!(decisions.len(), 3, "{decisions:?}");
        assert!(
            decisions.iter().all(|line| line.contains(code)),
            "{decisions:?}"
        );
        assert!(
            decisions.iter().all(|line| !line.contains(" :0 ")),
            "{decisions:?}"
        );
    }
    assert!(setup.dialer.dialed().is_empty());
    assert!(server.got().is_empty());
}

/// The reply's code to a SOCKS5 request for a host.
async fn socks(setup: &Setup, host: &[u8], port: u16) -> u8 {
    let length = u8::try_from(host.len()).expect("a short host");
    let mut request = vec![5, 1, 0, 3, length];
    request.extend_from_slice(host);
    request.extend(port.to_be_bytes());
    socks_raw(setup, PASSWORD, &request).await.expect("a reply")
}

async fn socks_raw(setup: &Setup, password: &str, request: &[u8]) -> Option<u8> {
    let mut stream = setup.connect().await;
    let mut greeting = vec![5, 1, 2, 1, 5];
    greeting.extend(b"files");
    greeting.push(u8::try_from(password.len()).expect("short"));
    greeting.extend(password.as_bytes());
    greeting.extend(request);
    stream.write_all(&greeting).await.expect("sent");
    let mut answer = [0; 4];
    stream
        .read_exact(&mut answer)
        .await
        .expect("method and status");
    assert_eq!(answer[..3], [5, 2, 1]);
    if answer[3] != 0 {
        return None;
    }
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).await.ok()?;
    Some(reply[1])
}

// REQ: E-2
#[tokio::test]
async fn socks_takes_names_alone() {
    let server = server(|_| ok("")).await;
    let port = server.address.port();
    let setup = setup(open(&[&server])).await;
    assert_eq!(socks(&setup, b"page.example", port).await, 0);
    for host in [
        &b"page.example\0.evil.example"[..],
        b"page.example\n",
        b"",
        b"page example",
        b"\xff\xfe",
        b"a@page.example",
        b"page.example/",
    ] {
        assert_eq!(socks(&setup, host, port).await, 2, "{host:?}");
    }
    let [high, low] = port.to_be_bytes();
    assert_eq!(
        socks_raw(&setup, PASSWORD, &[5, 1, 0, 1, 127, 0, 0, 1, high, low]).await,
        Some(8),
        "an address"
    );
    assert_eq!(
        socks_raw(&setup, PASSWORD, &[5, 2, 0, 3, 1, b'a', high, low]).await,
        Some(7),
        "BIND"
    );
    assert_eq!(
        socks_raw(&setup, PASSWORD, &[5, 3, 0, 3, 1, b'a', high, low]).await,
        Some(7),
        "UDP"
    );
    assert_eq!(socks_raw(&setup, "wrong", &[]).await, None);
    let mut stream = setup.connect().await;
    stream.write_all(&[5, 1, 0]).await.expect("sent");
    let mut answer = [0; 2];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(answer, [5, 0xff], "nobody comes without a credential");
}

// REQ: E-2
#[tokio::test]
async fn nobody_passes_without_a_credential() {
    let server = server(|_| ok("secret")).await;
    let setup = setup(open(&[&server])).await;
    let authority = format!("page.example:{}", server.address.port());
    for credential in [
        "",
        "Proxy-Authorization: Basic ZmlsZXM6d3Jvbmc=\r\n",
        "Proxy-Authorization: Bearer x\r\n",
        "Authorization: Basic ZmlsZXM6YS1wYXNzd29yZC1ub2JvZHktZ3Vlc3Nlcw==\r\n",
    ] {
        for line in [
            format!("CONNECT {authority}"),
            format!("GET http://{authority}/"),
        ] {
            let mut stream = setup.connect().await;
            let request = format!("{line} HTTP/1.1\r\nHost: {authority}\r\n{credential}\r\n");
            let answer = talk(&mut stream, request.as_bytes(), "}").await;
            assert!(answer.starts_with("HTTP/1.1 407 "), "{answer}");
            assert!(
                answer.contains("egress.proxy.credential")
                    && answer.contains("proxy-authenticate: Basic"),
                "{answer}"
            );
        }
    }
    assert!(setup.dialer.dialed().is_empty());
    assert_eq!(setup.log.decisions().len(), 8);
}

// REQ: E-2, E-5
#[tokio::test]
async fn every_server_has_its_own_list() {
    let server = server(|_| ok("hello")).await;
    let setup = setup(open(&[&server]).allowlist(Vec::<String>::new())).await;
    let other = Identity::new(
        "other",
        setup.guard(open(&[&server]).allowlist(["page.example:*"])),
    );
    let reporting = Identity::new(
        "reporting",
        setup.guard(open(&[&server]).allowlist(["a.example"]).report(true)),
    );
    let credential = |user| Credential::new(user, PASSWORD).expect("a credential");
    let plan = setup.plan(open(&[&server]).allowlist(Vec::<String>::new()));
    let plan = plan.with_credential(other, credential("other"));
    setup
        .proxy
        .reload(plan.with_credential(reporting, credential("reporting")));
    let url = server.url("page.example", "/");
    assert!(
        curl(&["-x", &setup.url("http", "files"), &url])
            .await
            .contains("egress.host.not_listed")
    );
    assert_eq!(
        curl(&["-x", &setup.url("http", "other"), &url]).await,
        "hello"
    );
    assert_eq!(
        curl(&["-x", &setup.url("http", "reporting"), &url]).await,
        "hello"
    );
    let codes: Vec<_> = setup
        .log
        .decisions()
        .iter()
        .map(|line| line.split(' ').nth(3).expect("a code").to_owned())
        .collect();
    assert_eq!(
        codes,
        [
            "egress.host.not_listed",
            "egress.allow.special",
            "egress.allow.reported"
        ]
    );
}

// REQ: E-2
#[tokio::test]
async fn a_listener_can_be_the_identity() {
    let server = server(|_| ok("hello")).await;
    let setup = setup(open(&[&server])).await;
    let identity = Identity::new("jailed", setup.guard(open(&[&server])));
    setup.proxy.reload(Plan::new().with_listener(identity));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let proxy = setup.proxy.clone();
    tokio::spawn(async move { proxy.serve_as(listener, "jailed").await });
    let url = server.url("page.example", "/");
    assert_eq!(
        curl(&["-x", &format!("http://{address}"), &url]).await,
        "hello"
    );
    assert_eq!(
        curl(&["-x", &format!("socks5h://{address}"), &url]).await,
        "hello"
    );
    assert!(
        curl(&["-x", &format!("http://{address}"), "http://10.0.0.1/"])
            .await
            .contains("egress.address.private")
    );
    assert!(
        setup
            .log
            .decisions()
            .iter()
            .all(|line| line.contains(" jailed "))
    );
    setup.proxy.reload(Plan::new());
    assert!(
        curl(&["-x", &format!("http://{address}"), &url])
            .await
            .contains("egress.proxy.credential")
    );
}

/// A tunnel to `authority`, opened by CONNECT.
async fn tunnel(setup: &Setup, authority: &str) -> TcpStream {
    let mut stream = setup.connect().await;
    let request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{BASIC}\r\n");
    let answer = talk(&mut stream, request.as_bytes(), "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    stream
}

fn connector(authority: &Authority) -> TlsConnector {
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

// REQ: E-2
#[tokio::test]
async fn a_tunnel_holds_what_it_was_opened_for() {
    let authority = Authority::new();
    let tls = serve(
        |_| ok("tls"),
        Some(authority.acceptor("other.example", false)),
    )
    .await;
    let setup = setup(open(&[&tls])).await;
    let to = format!("page.example:{}", tls.address.port());
    let name = |name: &'static str| ServerName::try_from(name).expect("a name");
    // Another host's name in the handshake: fronting through an allowed address.
    let stream = tunnel(&setup, &to).await;
    connector(&authority)
        .connect(name("other.example"), stream)
        .await
        .expect_err("another name");
    // No name at all.
    let stream = tunnel(&setup, &to).await;
    connector(&authority)
        .connect(name("127.0.0.1"), stream)
        .await
        .expect_err("no name");
    let codes: Vec<_> = setup
        .log
        .decisions()
        .iter()
        .filter(|line| line.contains("egress.tls.name"))
        .cloned()
        .collect();
    assert_eq!(codes.len(), 2, "{codes:?}");
    // The right name passes, and the host's certificate is the client's to judge.
    let to_other = format!("other.example:{}", tls.address.port());
    let stream = tunnel(&setup, &to_other).await;
    connector(&authority)
        .connect(name("other.example"), stream)
        .await
        .expect("the host's own name");
    // No TLS and no HTTP.
    for bytes in [
        &b"\x00\x01\x02"[..],
        b"\x16\x03\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xff",
        b"{}",
    ] {
        let mut stream = tunnel(&setup, &to).await;
        stream.write_all(bytes).await.expect("sent");
        stream.shutdown().await.expect("sent");
        assert_eq!(talk(&mut stream, b"", "").await, "", "{bytes:?}");
    }
    let sni: Vec<_> = tls.got();
    assert_eq!(
        sni,
        ["sni other.example"],
        "not a byte of the others reached the host"
    );
}

// REQ: E-2
#[tokio::test]
async fn http_in_a_tunnel_is_for_its_host_alone() {
    let server = server(|_| b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi".to_vec()).await;
    let port = server.address.port();
    let setup = setup(open(&[&server]).allowlist(["page.example:*"])).await;
    let to = format!("page.example:{port}");
    let mut stream = tunnel(&setup, &to).await;
    for _ in 0..2 {
        let request = format!("GET /x HTTP/1.1\r\nHost: {to}\r\n\r\n");
        let answer = talk(&mut stream, request.as_bytes(), "hi").await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    for request in [
        format!("GET / HTTP/1.1\r\nHost: other.example:{port}\r\n\r\n"),
        "GET / HTTP/1.1\r\nHost: page.example\r\n\r\n".to_owned(),
        format!("GET http://other.example:{port}/ HTTP/1.1\r\nHost: other.example:{port}\r\n\r\n"),
        format!("CONNECT other.example:{port} HTTP/1.1\r\nHost: other.example:{port}\r\n\r\n"),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
    ] {
        let mut stream = tunnel(&setup, &to).await;
        let answer = talk(&mut stream, request.as_bytes(), "}").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request}: {answer}");
    }
    assert_eq!(server.got().len(), 2);
}

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

// REQ: E-2
#[tokio::test]
async fn a_new_plan_ends_what_it_does_not_allow() {
    let authority = Authority::new();
    let tls = serve(
        |_| ok("tls"),
        Some(authority.acceptor("page.example", false)),
    )
    .await;
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
    let authority = Authority::new();
    let tls = serve(
        |_| ok("tls"),
        Some(authority.acceptor("page.example", false)),
    )
    .await;
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
    let authority = Authority::new();
    let tls = serve(
        |_| ok("tls"),
        Some(authority.acceptor("page.example", false)),
    )
    .await;
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

// REQ: E-2
#[tokio::test]
async fn an_intercepted_connection_is_judged_alike() {
    let authority = Authority::new();
    let plain = server(|_| ok("plain")).await;
    let tls = serve(
        |_| ok("tls"),
        Some(authority.acceptor("page.example", false)),
    )
    .await;
    let setup = setup(open(&[&plain, &tls])).await;
    let intercept = |host: &str, port: u16| {
        let (client, stream) = tokio::io::duplex(64 << 10);
        let (proxy, host) = (setup.proxy.clone(), Host::parse(host).expect("a host"));
        let passing = async move { proxy.intercepted(stream, "files", host, port).await };
        tokio::spawn(passing);
        client
    };
    let port = plain.address.port();
    for (host, expected) in [
        (format!("page.example:{port}"), "HTTP/1.1 200 "),
        (format!("other.example:{port}"), "HTTP/1.1 400 "),
    ] {
        let mut client = intercept("page.example", port);
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with(expected), "{answer}");
    }
    for (name, passes) in [("page.example", true), ("other.example", false)] {
        let name = ServerName::try_from(name).expect("a name");
        let client = intercept("page.example", tls.address.port());
        let connected = connector(&authority).connect(name, client).await;
        assert_eq!(connected.is_ok(), passes);
    }
    for host in [
        "169.254.169.254",
        "localhost",
        "inside.example",
        "127.0.0.1",
    ] {
        let mut client = intercept(host, 443);
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.expect("it is closed");
        assert!(answer.is_empty());
    }
    let told = setup.log.decisions();
    assert!(
        told.iter()
            .all(|line| line.starts_with("transparent files ")),
        "{told:?}"
    );
    assert!(
        told.iter()
            .any(|line| line.contains("inside.example:443 egress.address.private"))
    );
    assert!(told.iter().any(|line| line.contains("egress.tls.name")));
}

//! Real clients: curl, Python, Node; what they are refused, and how they are told.

use std::time::Duration;

use tokio::time::timeout;

use super::rig::{BASIC, curl, open, over_tls, path, run, setup, talk};
use super::socks::socks;
use crate::support::server::{ok, server};

// REQ: E-2
#[tokio::test]
async fn curl_through_every_form() {
    let plain = server(|_| ok("plain")).await;
    let (authority, tls) = over_tls("page.example").await;
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
    let plain = server(|_| ok("plain")).await;
    let (authority, tls) = over_tls("page.example").await;
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

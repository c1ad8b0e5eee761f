//! The client against real servers on loopback.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::server::{Authority, Server, answer, ok, redirect, serve, server};
use crate::support::{Log, LoopbackDialer, Names, guard, policy};
use http::header::{ACCEPT, AUTHORIZATION, COOKIE, HeaderName};
use http::{HeaderValue, Method};
use palisade_egress::client::{Client, FetchError, Limits, Request};
use tokio::net::TcpListener;

struct Setup {
    client: Client,
    dialer: Arc<LoopbackDialer>,
    log: Arc<Log>,
}

/// A client that may reach these servers and knows these names.
fn setup(servers: &[&Server], names: Arc<Names>) -> Setup {
    setup_with(servers, names, Limits::default(), None)
}

fn setup_with(
    servers: &[&Server],
    names: Arc<Names>,
    limits: Limits,
    ca: Option<&std::path::Path>,
) -> Setup {
    let special = servers.iter().map(|server| server.address.to_string());
    let dialer = Arc::new(LoopbackDialer::default());
    let log = Arc::new(Log::default());
    let guard = guard(policy().allow_special(special), names, dialer.clone());
    let mut builder = Client::builder(guard)
        .limits(limits)
        .observer("tool", log.clone());
    if let Some(ca) = ca {
        builder = builder.ca_file(ca);
    }
    let client = builder.build().expect("a client");
    Setup {
        client,
        dialer,
        log,
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, FetchError>) -> &'static str {
    result.expect_err("an error").code()
}

// REQ: E-1
#[tokio::test]
async fn a_page_and_what_is_told_of_it() {
    let server = server(|_| ok("hello")).await;
    let setup = setup(&[&server], Names::loopback(&["page.example"]));
    let url = server.url("PAGE.example.", "/a/../b?q=%20#fragment");
    let page = setup.client.get(&url).await.expect("a page");
    assert_eq!(
        (page.status.as_u16(), page.text().as_ref(), page.redirects),
        (200, "hello", 0)
    );
    let port = server.address.port();
    assert_eq!(
        page.url.as_str(),
        format!("http://page.example:{port}/b?q=%20")
    );
    let got = server.got();
    assert!(got[0].starts_with("GET /b?q=%20 HTTP/1.1\r\n"), "{got:?}");
    assert!(
        got[0].contains(&format!("host: page.example:{port}\r\n")),
        "{got:?}"
    );
    assert_eq!(setup.dialer.dialed(), [server.address]);
    assert_eq!(
        setup.log.decisions(),
        [format!(
            "fetch tool page.example:{port} egress.allow.special 0"
        )]
    );
}

// REQ: E-1
#[tokio::test]
async fn proxies_of_the_environment_are_ignored() {
    let proxy = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", proxy.local_addr().expect("an address"));
    let program = std::env::current_exe().expect("this program");
    let run = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(program);
        command.args(["--exact", "a_page_and_what_is_told_of_it"]);
        for name in [
            "http_proxy",
            "HTTP_PROXY",
            "https_proxy",
            "HTTPS_PROXY",
            "all_proxy",
            "ALL_PROXY",
        ] {
            command.env(name, &address);
        }
        command.output().expect("the test runs")
    });
    tokio::select! {
        output = run => assert!(output.expect("no panic").status.success()),
        _ = proxy.accept() => panic!("the proxy was asked"),
    }
}

// REQ: E-1
#[tokio::test]
async fn what_is_refused_is_not_dialed() {
    let server = server(|_| ok("secret")).await;
    let names = Names::new(&[
        ("inside.example", &[&["10.0.0.1"]]),
        ("mixed.example", &[&["127.0.0.1", "169.254.169.254"]]),
        ("mapped.example", &[&["::ffff:127.0.0.2"]]),
    ]);
    let setup = setup(&[&server], names);
    let port = server.address.port();
    for (url, expected) in [
        (
            "http://169.254.169.254/latest/meta-data/".to_owned(),
            "egress.address.platform",
        ),
        ("http://localhost/".to_owned(), "egress.host.local"),
        ("http://127.1/".to_owned(), "egress.address.loopback"),
        (
            format!("http://127.0.0.2:{port}/"),
            "egress.address.loopback",
        ),
        (
            "http://inside.example/".to_owned(),
            "egress.address.private",
        ),
        (
            format!("http://mixed.example:{port}/"),
            "egress.address.platform",
        ),
        (
            "http://mapped.example/".to_owned(),
            "egress.address.loopback",
        ),
        ("http://absent.example/".to_owned(), "egress.dns.no_address"),
        ("file:///etc/passwd".to_owned(), "egress.url.scheme"),
        (
            format!("http://user@127.0.0.1:{port}/"),
            "egress.url.userinfo",
        ),
    ] {
        assert_eq!(code(setup.client.get(&url).await), expected, "{url}");
    }
    assert!(setup.dialer.dialed().is_empty());
    assert_eq!(setup.log.decisions().len(), 10, "one event for each");
    assert!(server.got().is_empty());
}

// REQ: E-1
#[tokio::test]
async fn every_redirect_is_judged() {
    let server = server(|got| {
        let path = got
            .split(' ')
            .nth(1)
            .expect("a path")
            .strip_prefix('/')
            .expect("a slash")
            .to_owned();
        redirect(&path.replace("%5C", "\\"))
    })
    .await;
    let names = Names::new(&[
        ("page.example", &[&["127.0.0.1"]]),
        ("inside.example", &[&["192.168.1.1"]]),
    ]);
    let setup = setup(&[&server], names);
    for (location, expected) in [
        ("http://169.254.169.254/latest/", "egress.address.platform"),
        (
            "http://[::ffff:169.254.169.254]/",
            "egress.address.platform",
        ),
        ("http://2852039166/", "egress.address.platform"),
        ("//inside.example/", "egress.address.private"),
        ("http://localhost/", "egress.host.local"),
        ("http://metadata.google.internal/", "egress.host.metadata"),
        ("http://127.0.0.1/", "egress.address.loopback"),
        ("https://page.example:1/", "egress.port.not_allowed"),
        ("file:///etc/passwd", "egress.url.scheme"),
        ("gopher://page.example/", "egress.url.scheme"),
        ("http://a@page.example/", "egress.url.userinfo"),
        ("http:///page.example/", "egress.url.ambiguous"),
        ("http://page.example%5C@127.0.0.1/", "egress.url.ambiguous"),
    ] {
        let before = setup.dialer.dialed().len();
        let url = server.url("page.example", &format!("/{location}"));
        assert_eq!(code(setup.client.get(&url).await), expected, "{location}");
        assert_eq!(setup.dialer.dialed().len(), before + 1, "{location}");
        let last = setup.log.decisions().pop().expect("an event");
        assert!(last.ends_with(&format!("{expected} 1")), "{last}");
    }
}

// REQ: E-1
#[tokio::test]
async fn a_name_that_flips_between_hops_is_refused() {
    let server = server(|got| {
        if got.starts_with("GET /a") {
            redirect("/b")
        } else {
            ok("secret")
        }
    })
    .await;
    let names = Names::new(&[("rebind.example", &[&["127.0.0.1"], &["127.0.0.2"]])]);
    let setup = setup(&[&server], names);
    // 127.0.0.2 is not opened: the second hop is looked up and judged again.
    assert_eq!(
        code(setup.client.get(&server.url("rebind.example", "/a")).await),
        "egress.address.loopback"
    );
    assert_eq!(setup.dialer.dialed(), [server.address]);
}

#[tokio::test]
async fn redirects_are_followed_and_counted() {
    let server = server(|got| {
        let left: u32 = got
            .split(['/', ' '])
            .nth(2)
            .expect("a path")
            .parse()
            .expect("a number");
        if left == 0 {
            ok("there")
        } else {
            redirect(&format!("/{}", left - 1))
        }
    })
    .await;
    let names = Names::loopback(&["page.example"]);
    let setup = setup(&[&server], names.clone());
    let page = setup
        .client
        .get(&server.url("page.example", "/5"))
        .await
        .expect("five are followed");
    assert_eq!((page.text().as_ref(), page.redirects), ("there", 5));
    assert_eq!(
        code(setup.client.get(&server.url("page.example", "/6")).await),
        "egress.redirect.too_many"
    );
    let mut limits = Limits::default();
    limits.redirects = 0;
    let none = setup_with(&[&server], names.clone(), limits, None);
    assert_eq!(
        code(none.client.get(&server.url("page.example", "/1")).await),
        "egress.redirect.too_many"
    );
    limits.redirects = 255;
    let most = setup_with(&[&server], names, limits, None);
    assert!(
        most.client
            .get(&server.url("page.example", "/20"))
            .await
            .is_ok()
    );
    assert_eq!(
        code(most.client.get(&server.url("page.example", "/21")).await),
        "egress.redirect.too_many"
    );
}

// REQ: E-1
#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let other = server(|_| ok("other")).await;
    let to = other.url("page.example", "/other");
    let first = server(move |got| {
        if got.contains(" /a ") {
            redirect("/b")
        } else {
            redirect(&to)
        }
    })
    .await;
    let setup = setup(&[&first, &other], Names::loopback(&["page.example"]));
    let value = HeaderValue::from_static;
    let request = Request::get(first.url("page.example", "/a"))
        .header(AUTHORIZATION, value("Bearer secret"))
        .header(COOKIE, value("id=secret"))
        .header(HeaderName::from_static("x-api-key"), value("secret"))
        .header(ACCEPT, value("text/plain"));
    setup.client.fetch(request).await.expect("an answer");
    let same = &first.got()[1];
    assert!(
        same.contains("authorization: Bearer secret") && same.contains("x-api-key: secret"),
        "{same}"
    );
    let other = &other.got()[0];
    assert!(
        !other.contains("secret") && other.contains("accept: text/plain"),
        "{other}"
    );
}

#[tokio::test]
async fn methods_and_bodies() {
    let server = server(|got| match got.split(' ').next() {
        Some("HEAD") => {
            b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nContent-Encoding: gzip\r\n\r\n".to_vec()
        }
        Some("DELETE") => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        Some("POST") => answer("303 See Other\r\nLocation: /made", b""),
        _ => answer("404 Not Found", b"not here"),
    })
    .await;
    let setup = setup(&[&server], Names::loopback(&["page.example"]));
    let url = server.url("page.example", "/");
    let head = setup
        .client
        .fetch(Request::new(Method::HEAD, &url))
        .await
        .expect("a head");
    assert!(head.body.is_empty() && head.status == 200);
    let gone = setup
        .client
        .fetch(Request::new(Method::DELETE, &url))
        .await
        .expect("no content");
    assert_eq!((gone.status.as_u16(), gone.body.len()), (204, 0));
    let media = HeaderValue::from_static("application/json");
    let made = setup
        .client
        .fetch(Request::post(&url, media, r#"{"a":1}"#))
        .await
        .expect("made");
    assert_eq!(
        (made.status.as_u16(), made.text().as_ref()),
        (404, "not here")
    );
    let got = server.got();
    assert!(
        got[2].contains("content-type: application/json") && got[2].ends_with("{\"a\":1}"),
        "{}",
        got[2]
    );
    assert!(
        got[3].starts_with("GET /made ") && !got[3].contains("content-"),
        "{}",
        got[3]
    );
}

// REQ: E-1
#[tokio::test]
async fn sizes_are_bounded() {
    let server = server(|got| match got.split(' ').nth(1).expect("a path") {
        "/declared" => b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\nHOLD".to_vec(),
        "/long" => answer("200 OK", &vec![b'x'; 2000]),
        "/endless" => {
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for _ in 0..300 {
                answer.extend_from_slice(b"a\r\n0123456789\r\n");
            }
            answer
        }
        "/fits" => answer("200 OK", &vec![b'x'; 1000]),
        "/head" => answer(&format!("200 OK\r\nX: {}", "x".repeat(20_000)), b""),
        "/fields" => answer(&format!("200 OK{}", "\r\nX: x".repeat(300)), b""),
        _ => ok(""),
    })
    .await;
    let mut limits = Limits::default();
    (limits.body, limits.head, limits.total) = (1000, 8 << 10, Duration::from_secs(2));
    let setup = setup_with(&[&server], Names::loopback(&["page.example"]), limits, None);
    for (path, expected) in [
        ("/declared", "egress.fetch.too_large"),
        ("/long", "egress.fetch.too_large"),
        ("/endless", "egress.fetch.too_large"),
        ("/head", "egress.fetch.too_large"),
        ("/fields", "egress.fetch.too_large"),
    ] {
        assert_eq!(
            code(setup.client.get(&server.url("page.example", path)).await),
            expected,
            "{path}"
        );
    }
    assert!(
        setup
            .client
            .get(&server.url("page.example", "/fits"))
            .await
            .is_ok()
    );
}

// REQ: E-1
#[tokio::test]
async fn times_are_bounded() {
    let server = server(|got| match got.split(' ').nth(1).expect("a path") {
        "/silent" => b"HTTP/1.1 200 OK\r\nX: HOLD".to_vec(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nHOLD".to_vec(),
    })
    .await;
    let mut limits = Limits::default();
    (limits.first_byte, limits.total) = (Duration::from_millis(200), Duration::from_millis(600));
    let setup = setup_with(&[&server], Names::loopback(&["page.example"]), limits, None);
    let started = Instant::now();
    let silent = setup
        .client
        .get(&server.url("page.example", "/silent"))
        .await
        .expect_err("silence");
    assert_eq!(
        silent.to_string(),
        "the answer's head took longer than 200ms"
    );
    let stalled = setup
        .client
        .get(&server.url("page.example", "/stalled"))
        .await
        .expect_err("a stall");
    assert_eq!(stalled.to_string(), "the request took longer than 600ms");
    assert!(started.elapsed() < Duration::from_secs(3));
}

// REQ: E-1
#[tokio::test]
async fn bodies_are_unpacked_and_bombs_are_not() {
    use std::io::Write as _;
    let gzip = |plain: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(plain).expect("in memory");
        encoder.finish().expect("in memory")
    };
    let (hello, bomb) = (gzip(b"hello"), gzip(&vec![0; 11 << 20]));
    let nested = gzip(&bomb);
    let server = server(move |got| match got.split(' ').nth(1).expect("a path") {
        "/hello" => answer("200 OK\r\nContent-Encoding: gzip", &hello),
        "/bomb" => answer("200 OK\r\nContent-Encoding: gzip", &bomb),
        "/nested" => answer("200 OK\r\nContent-Encoding: gzip, gzip", &nested),
        "/br" => answer(
            "200 OK\r\nContent-Encoding: br",
            include_bytes!("../data/hello.br"),
        ),
        "/zstd" => answer(
            "200 OK\r\nContent-Encoding: zstd",
            &zstd::stream::encode_all(&b"hello"[..], 3).expect("in memory"),
        ),
        _ => answer("200 OK\r\nContent-Encoding: gzip", b"no gzip"),
    })
    .await;
    let setup = setup(&[&server], Names::loopback(&["page.example"]));
    for path in ["/hello", "/br", "/zstd"] {
        let page = setup
            .client
            .get(&server.url("page.example", path))
            .await
            .expect(path);
        assert!(page.text().starts_with("hello"), "{path}");
    }
    assert!(server.got()[0].contains("accept-encoding: gzip, deflate, br, zstd"));
    for (path, expected) in [
        ("/bomb", "egress.fetch.bomb"),
        ("/nested", "egress.fetch.encoding"),
        ("/broken", "egress.fetch.encoding"),
    ] {
        assert_eq!(
            code(setup.client.get(&server.url("page.example", path)).await),
            expected,
            "{path}"
        );
    }
}

#[tokio::test]
async fn broken_answers_are_errors() {
    let server = server(|got| match got.split(' ').nth(1).expect("a path") {
        "/short" => b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_vec(),
        "/twice" => answer("302 Found\r\nLocation: /a\r\nLocation: /b", b""),
        "/bytes" => b"HTTP/1.1 302 Found\r\nLocation: /\xff\r\nContent-Length: 0\r\n\r\n".to_vec(),
        "/nowhere" => answer("302 Found", b"nowhere"),
        "/upgrade" => b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".to_vec(),
        _ => b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(),
    })
    .await;
    let setup = setup(&[&server], Names::loopback(&["page.example"]));
    for (path, expected) in [
        ("/short", "egress.fetch.http"),
        ("/twice", "egress.redirect.malformed"),
        ("/bytes", "egress.redirect.malformed"),
        ("/upgrade", "egress.fetch.http"),
        ("/other", "egress.fetch.http"),
    ] {
        assert_eq!(
            code(setup.client.get(&server.url("page.example", path)).await),
            expected,
            "{path}"
        );
    }
    let page = setup
        .client
        .get(&server.url("page.example", "/nowhere"))
        .await
        .expect("no redirect");
    assert_eq!(
        (page.status.as_u16(), page.text().as_ref()),
        (302, "nowhere")
    );
    let closed = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address");
    let gone = Server::at(closed);
    let setup = self::setup(&[&gone], Names::loopback(&["page.example"]));
    assert_eq!(
        code(setup.client.get(&gone.url("page.example", "/")).await),
        "egress.fetch.unreachable"
    );
}

// REQ: O-1, E-1
#[tokio::test]
async fn certificates_are_validated() {
    let authority = Authority::new();
    let good = serve(
        |_| ok("private"),
        Some(authority.acceptor("page.example", false)),
    )
    .await;
    let expired = serve(
        |_| ok("old"),
        Some(authority.acceptor("page.example", true)),
    )
    .await;
    let plain = server(|_| ok("plain")).await;
    let servers = [&good, &expired, &plain];
    let names = Names::loopback(&["page.example", "other.example"]);
    let https = |server: &Server, host: &str| server.url(host, "/").replace("http:", "https:");

    let setup = setup_with(
        &servers,
        names.clone(),
        Limits::default(),
        Some(authority.file.path()),
    );
    let page = setup
        .client
        .get(&https(&good, "page.example"))
        .await
        .expect("a trusted page");
    assert_eq!(page.text(), "private");
    assert_eq!(good.got()[0], "sni page.example");
    assert!(
        good.got()[1].contains("host: page.example:"),
        "the URL's host in SNI and Host"
    );

    for (url, host) in [
        (https(&good, "other.example"), "other.example"),
        (https(&expired, "page.example"), "page.example"),
        (https(&good, "127.0.0.1"), "127.0.0.1"),
    ] {
        let error = setup
            .client
            .get(&url)
            .await
            .expect_err("an invalid certificate");
        assert_eq!(error.code(), "egress.tls.certificate", "{url}");
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("TLS certificate validation failed for {host}: ")),
            "{text}"
        );
    }
    let told = setup.log.decisions();
    let port = good.address.port();
    assert!(
        told.contains(&format!(
            "fetch tool other.example:{port} egress.tls.certificate 0"
        )),
        "{told:?}"
    );
    assert_eq!(
        code(setup.client.get(&https(&plain, "page.example")).await),
        "egress.fetch.tls"
    );

    let stranger = setup_with(&servers, names, Limits::default(), None);
    let error = stranger
        .client
        .get(&https(&good, "page.example"))
        .await
        .expect_err("an unknown CA");
    assert_eq!(error.code(), "egress.tls.certificate");
    let requests = good
        .got()
        .iter()
        .filter(|got| got.starts_with("GET"))
        .count();
    assert_eq!(
        requests, 1,
        "nothing is sent before the certificate is proven"
    );
}

// REQ: E-1
#[tokio::test]
async fn from_https_to_http_there_is_no_way() {
    let authority = Authority::new();
    let plain = server(|_| ok("plain")).await;
    let to = plain.url("page.example", "/");
    let tls = serve(
        move |_| redirect(&to),
        Some(authority.acceptor("page.example", false)),
    )
    .await;
    let names = Names::loopback(&["page.example"]);
    let setup = setup_with(
        &[&tls, &plain],
        names,
        Limits::default(),
        Some(authority.file.path()),
    );
    let url = tls.url("page.example", "/").replace("http:", "https:");
    assert_eq!(
        code(setup.client.get(&url).await),
        "egress.redirect.downgrade"
    );
    assert!(plain.got().is_empty());
}

#[test]
fn ca_files_that_cannot_be_used_are_named() {
    use std::io::Write as _;
    let build = |path: &std::path::Path| {
        let guard = guard(policy(), Names::loopback(&[]), Arc::default());
        Client::builder(guard)
            .ca_file(path)
            .build()
            .expect_err("no CA")
            .to_string()
    };
    assert!(build("absent.pem".as_ref()).contains("absent.pem cannot be read"));
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    assert!(build(file.path()).contains("holds no certificate"));
    file.write_all(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        .expect("written");
    assert!(build(file.path()).contains("cannot be used"));
}

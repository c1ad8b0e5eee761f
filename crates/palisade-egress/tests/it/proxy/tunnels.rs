//! What is inside CONNECT, and what is intercepted.

use palisade_egress::Host;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::rig::{connector, open, over_tls, setup, talk, tunnel};
use crate::support::server::{ok, server};

// REQ: E-2
#[tokio::test]
async fn a_tunnel_holds_what_it_was_opened_for() {
    let (authority, tls) = over_tls("other.example").await;
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
async fn an_intercepted_connection_is_judged_alike() {
    let plain = server(|_| ok("plain")).await;
    let (authority, tls) = over_tls("page.example").await;
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

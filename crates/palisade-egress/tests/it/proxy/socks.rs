//! SOCKS5.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::rig::{PASSWORD, Setup, open, setup};
use crate::support::server::{ok, server};

/// The reply's code to a SOCKS5 request for a host.
pub(super) async fn socks(setup: &Setup, host: &[u8], port: u16) -> u8 {
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

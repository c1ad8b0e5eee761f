//! Who may pass, and under whose list.

use palisade_egress::proxy::{Credential, Identity, Plan};
use tokio::net::TcpListener;

use super::rig::{PASSWORD, curl, open, setup, talk};
use crate::support::server::{ok, server};

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

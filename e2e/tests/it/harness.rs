//! The harness itself: what the other tests rest on.

use std::time::Duration;

use e2e::wire::{Ask, BOTH, Protocol};
use e2e::{Palisade, Reply, Upstream};

// REQ: G-1, G-15, L-1
#[tokio::test]
async fn a_call_goes_through_and_is_recorded_at_both_ends() {
    let upstream = Upstream::new();
    let mut palisade = Palisade::before(&upstream);
    for (count, protocol) in BOTH.into_iter().enumerate() {
        let answer = palisade.client().ask(protocol, &Ask::call()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json()["id"], 7);
        let arrived = upstream.of_case(&answer.case);
        assert_eq!(arrived.len(), 1);
        assert_eq!(arrived[0].line, "POST /mcp HTTP/1.1");
        assert_eq!(arrived[0].body, Ask::call().body);
        let record = palisade.record_of(&answer);
        assert_eq!(
            (&record["tool"], &record["outcome"]),
            (&"echo".into(), &"ok".into())
        );
        assert_eq!(upstream.arrived().len(), count + 1);
    }
    assert_eq!(palisade.stop(), Some(0));
}

// REQ: T-1, T-3
#[tokio::test]
async fn clients_choose_version_alpn_and_name() {
    let upstream = Upstream::new();
    let palisade = Palisade::before(&upstream);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for (offer, agreed) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1")] {
            let client = palisade
                .client()
                .version(version)
                .alpn(offer)
                .sni("mcp.example.com");
            let stream = client.connect("").await.unwrap();
            assert_eq!(stream.alpn().as_deref(), Some(agreed));
            assert_eq!(
                stream.tls().unwrap().protocol_version(),
                Some(version.version)
            );
        }
    }
}

#[tokio::test]
async fn local_ca_and_plain_http() {
    let upstream = Upstream::new();
    let local = Palisade::builder().server(&upstream).local_ca().start();
    let answer = local.client().ask(Protocol::Http2, &Ask::call()).await;
    assert_eq!(answer.status, 200);
    let plain = Palisade::builder().server(&upstream).plain().start();
    let answer = plain.client().ask(Protocol::Http1, &Ask::call()).await;
    assert_eq!(answer.status, 200);
}

// REQ: G-3
#[tokio::test]
async fn events_pass_one_by_one_and_a_client_that_leaves_is_noticed() {
    let pause = Duration::from_millis(50);
    let upstream = Upstream::answering(move |_| {
        Reply::open_events(&[(Duration::ZERO, "data: 1\n\n"), (pause, "data: 2\n\n")])
    });
    let palisade = Palisade::before(&upstream);
    let mut one = palisade.client().http1().await;
    assert_eq!(one.open(&Ask::call()).await.status, 200);
    assert_eq!(one.chunk().await.unwrap(), b"data: 1\n\n");
    assert_eq!(one.chunk().await.unwrap(), b"data: 2\n\n");
    drop(one);
    upstream.wait_for_left(1);
    let mut two = palisade.client().http2().await;
    let mut opened = two.open(&Ask::call()).await;
    assert_eq!(opened.chunk().await.unwrap(), "data: 1\n\n");
    drop(opened);
    upstream.wait_for_left(2);
}

#[test]
fn a_gateway_that_must_not_start_says_why() {
    let ended = Palisade::builder()
        .config("listne = \"127.0.0.1:0\"")
        .fail();
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("listne"), "{}", ended.stderr);
}

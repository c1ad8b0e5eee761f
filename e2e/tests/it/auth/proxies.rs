//! Behind another terminator: who the client is, believed from trusted addresses alone.

use aws_lc_rs::digest::{SHA256, digest};
use e2e::wire::{Ask, BOTH};
use e2e::{Palisade, Upstream};
use serde_json::json;

use super::issuer::{Issuer, encode};

fn gateway(upstream: &Upstream, proxy: &str) -> Palisade {
    Palisade::builder()
        .config(&format!("[proxy]\n{proxy}\n"))
        .server(upstream)
        .start()
}

// REQ: T-6, G-15, L-1
#[tokio::test]
async fn a_trusted_proxy_tells_the_client_by_the_one_header_that_is_configured() {
    let upstream = Upstream::new();
    let told = [
        ("x-forwarded-for", "6.6.6.6, 203.0.113.7"),
        ("x-real-ip", "203.0.113.8"),
        (
            "forwarded",
            "for=6.6.6.6, for=\"203.0.113.9:4711\";proto=http",
        ),
        ("x-forwarded-proto", "http"),
    ];
    for (proxy, expected) in [
        ("trusted = \"127.0.0.1\"", "203.0.113.7"),
        (
            "trusted = \"127.0.0.0/8\"\nclient_address = \"x-real-ip\"",
            "203.0.113.8",
        ),
        (
            "trusted = \"127.0.0.0/8\"\nclient_address = \"forwarded\"",
            "203.0.113.9",
        ),
        // Not from here.
        ("trusted = \"10.0.0.0/8\"", "127.0.0.1"),
        (
            "trusted = \"10.0.0.0/8\"\nclient_address = \"proxy-protocol\"",
            "127.0.0.1",
        ),
    ] {
        let palisade = gateway(&upstream, proxy);
        for protocol in BOTH {
            let before = upstream.arrived().len();
            let mut ask = Ask::call();
            for (name, value) in told {
                ask = ask.field(name, value);
            }
            let answer = palisade.client().ask(protocol, &ask).await;
            assert_eq!(answer.status, 200, "{proxy} {answer:?}");
            let record = palisade.record_of(&answer);
            assert_eq!(record["actor"]["ip"], expected, "{proxy} {record}");
            let arrived = &upstream.arrived()[before];
            assert_eq!(arrived.all("x-forwarded-for"), [expected], "{proxy}");
            assert_eq!(arrived.all("x-real-ip"), [expected], "{proxy}");
            let scheme = if expected == "127.0.0.1" {
                "https"
            } else {
                "http"
            };
            assert_eq!(arrived.all("x-forwarded-proto"), [scheme], "{proxy}");
        }
    }
}

// REQ: T-6
#[tokio::test]
async fn the_proxy_protocol_tells_the_client_of_a_connection() {
    let upstream = Upstream::new();
    let palisade = Palisade::builder()
        .plain()
        .config("[proxy]\ntrusted = \"127.0.0.1\"\nclient_address = \"proxy-protocol\"\n")
        .server(&upstream)
        .start();
    let body = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let v2: &[u8] = &[
        13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10, 0x21, 0x11, 0, 12, 203, 0, 113, 9, 127, 0,
        0, 1, 0x12, 0x34, 0, 80,
    ];
    for (header, expected) in [
        (
            &b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n"[..],
            "203.0.113.7",
        ),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (v2, "203.0.113.9"),
    ] {
        let mut http1 = palisade.client().http1().await;
        let answer = http1.exchange([header, request.as_bytes()].concat()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(palisade.record_of(&answer)["actor"]["ip"], expected);
        // The connection goes on, and is the same client's.
        let answer = http1.exchange(request.as_bytes()).await;
        assert_eq!(palisade.record_of(&answer)["actor"]["ip"], expected);
    }
    // Without the header nothing is said.
    let mut http1 = palisade.client().http1().await;
    http1.send(&request).await;
    assert!(http1.is_closed().await);
}

// REQ: T-6, T-4, A-2
#[tokio::test]
async fn a_terminators_word_on_a_certificate_counts_from_where_it_is_trusted() {
    let upstream = Upstream::new();
    let params = rcgen::CertificateParams::new(vec!["robot.example".to_owned()]).unwrap();
    let issued = params
        .self_signed(&rcgen::KeyPair::generate().unwrap())
        .unwrap();
    let escaped = issued
        .pem()
        .replace("\r\n", "\n")
        .replace('+', "%2B")
        .replace(' ', "%20")
        .replace('\n', "%0A");
    for (trusted, status) in [("127.0.0.1", 200), ("10.0.0.0/8", 401)] {
        let palisade = gateway(
            &upstream,
            &format!("trusted = \"{trusted}\"\nclient_certificate = \"nginx\""),
        );
        for protocol in BOTH {
            let client = palisade.client();
            let verified = Ask::call()
                .field("ssl-client-verify", "SUCCESS")
                .field("ssl-client-cert", &escaped);
            let answer = client.ask(protocol, &verified).await;
            assert_eq!(answer.status, status, "{trusted} {answer:?}");
            if status == 200 {
                let record = palisade.record_of(&answer);
                assert_eq!(record["actor"]["id"], "cert:robot.example", "{record}");
            }
            for ask in [
                Ask::call(),
                Ask::call()
                    .field("ssl-client-verify", "NONE")
                    .field("ssl-client-cert", &escaped),
                Ask::call().field("ssl-client-verify", "SUCCESS"),
                Ask::call().field("x-forwarded-client-cert", format!("Cert=\"{escaped}\"")),
            ] {
                assert_eq!(client.ask(protocol, &ask).await.status, 401, "{ask:?}");
            }
        }
    }
    for arrived in upstream.arrived() {
        assert_eq!(arrived.header("ssl-client-cert"), None);
    }
}

// REQ: T-6, T-4, A-2
#[tokio::test]
async fn what_a_terminator_appends_to_is_not_its_own_word() {
    let upstream = Upstream::new();
    let params = rcgen::CertificateParams::new(vec!["robot.example".to_owned()]).unwrap();
    let issued = params.self_signed(&rcgen::KeyPair::generate().unwrap());
    let escaped = issued
        .unwrap()
        .pem()
        .replace("\r\n", "\n")
        .replace('+', "%2B")
        .replace(' ', "%20")
        .replace('\n', "%0A");
    let own = format!("Hash=ab;Cert=\"{escaped}\";Subject=\"CN=robot\"");
    for (trusted, status) in [("127.0.0.1", 200), ("10.0.0.0/8", 401)] {
        let palisade = gateway(
            &upstream,
            &format!("trusted = \"{trusted}\"\nclient_certificate = \"xfcc\""),
        );
        let client = palisade.client();
        for protocol in BOTH {
            for (name, fields, status) in [
                ("its word", vec![own.clone()], status),
                (
                    "behind a client's",
                    vec![format!("{own},Hash=cd;Subject=\"CN=other\"")],
                    401,
                ),
                ("before another's", vec![format!("Hash=cd,{own}")], 401),
                (
                    "in two fields",
                    vec![own.clone(), "Hash=cd".to_owned()],
                    401,
                ),
                (
                    "within a subject",
                    vec![format!("Hash=ab;Subject=\"x;Cert={escaped}\"")],
                    401,
                ),
                (
                    "no certificate",
                    vec!["Hash=ab;Subject=\"CN=robot\"".to_owned()],
                    401,
                ),
            ] {
                let mut ask = Ask::call();
                for field in fields {
                    ask = ask.field("x-forwarded-client-cert", field);
                }
                let answer = client.ask(protocol, &ask).await;
                assert_eq!(
                    answer.status, status,
                    "{trusted} {name} {protocol:?} {answer:?}"
                );
                if status == 200 {
                    let record = palisade.record_of(&answer);
                    assert_eq!(record["actor"]["id"], "cert:robot.example", "{record}");
                }
            }
        }
    }
    for arrived in upstream.arrived() {
        assert_eq!(arrived.header("x-forwarded-client-cert"), None);
    }
}

// REQ: T-6, A-6
#[tokio::test]
async fn a_token_is_bound_to_the_certificate_that_a_trusted_terminator_tells() {
    let upstream = Upstream::new();
    let issuer = Issuer::start();
    let certificate = || {
        let params = rcgen::CertificateParams::new(vec!["robot.example".to_owned()]).unwrap();
        let issued = params.self_signed(&rcgen::KeyPair::generate().unwrap());
        issued.unwrap()
    };
    let (own, other) = (certificate(), certificate());
    let thumbprint = encode(digest(&SHA256, own.der()));
    let token = issuer.token(json!({ "cnf": { "x5t#S256": thumbprint } }));
    let escaped = |pem: String| {
        pem.replace("\r\n", "\n")
            .replace('+', "%2B")
            .replace(' ', "%20")
            .replace('\n', "%0A")
    };
    let told = |certificate: &rcgen::Certificate| {
        Ask::call()
            .field("authorization", format!("Bearer {token}"))
            .field("ssl-client-verify", "SUCCESS")
            .field("ssl-client-cert", escaped(certificate.pem()))
    };
    for (trusted, status) in [("127.0.0.1", 200), ("10.0.0.0/8", 401)] {
        let palisade = Palisade::builder()
            .config(&format!(
                "{}[proxy]\ntrusted = \"{trusted}\"\nclient_certificate = \"nginx\"\n[rate]\nfailed = \"100000/s\"\n",
                issuer.section()
            ))
            .server(&upstream)
            .start();
        let client = palisade.client();
        for protocol in BOTH {
            for (name, ask, status) in [
                ("its own", told(&own), status),
                ("another", told(&other), 401),
                (
                    "two",
                    told(&own).field("ssl-client-cert", escaped(other.pem())),
                    401,
                ),
                (
                    "not verified",
                    told(&own)
                        .without("ssl-client-verify")
                        .field("ssl-client-verify", "FAILED:x"),
                    401,
                ),
                ("none", told(&own).without("ssl-client-cert"), 401),
            ] {
                let answer = client.ask(protocol, &ask).await;
                assert_eq!(
                    answer.status, status,
                    "{trusted} {name} {protocol:?} {answer:?}"
                );
            }
        }
    }
}

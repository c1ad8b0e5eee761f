//! Where keys come from, and what an issuer can do that is hostile, or not well.

use std::time::{Duration, Instant};

use e2e::upstream::Step;
use e2e::wire::{Ask, BOTH};
use e2e::{PATIENCE, Palisade, Reply, Upstream};
use serde_json::json;

use super::idp::{Idp, gateway};
use super::issuer::Issuer;
use super::keys::new_key;
use crate::peers::room;

fn bearing(token: &str) -> Ask {
    Ask::call().field("authorization", format!("Bearer {token}"))
}

/// How an issuer may answer who asks for its keys; `inside` is a server that nobody may be led to.
fn hostile(issuer: &Issuer, inside: &Upstream) -> Vec<(&'static str, Reply)> {
    let keys = issuer.keys().to_string();
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let many: Vec<_> = (0..64)
        .map(|number| issuer.key(&number.to_string()))
        .chain([issuer.key("k")])
        .collect();
    let mut private = issuer.key("k");
    private["d"] = json!("AQAB");
    let mut weak = json!({ "kty": "RSA", "alg": "RS256", "kid": "k", "e": "AQAB" });
    weak["n"] = json!(super::issuer::encode([0xff; 128]));
    let symmetric = json!({ "kty": "oct", "alg": "HS256", "kid": "k", "k": "AAAA" });
    let led = |status: u16| {
        let location = inside.url();
        Reply::new(status, &[("Location", &location)], &keys)
    };
    vec![
        ("huge", Reply::big(4 << 20)),
        (
            "endless",
            Reply::raw(format!(
                "{chunked}{:x}\r\n{}\r\n",
                300 << 10,
                " ".repeat(300 << 10)
            ))
            .then(Step::Never),
        ),
        ("slow", Reply::slow(&keys, Duration::from_millis(200))),
        ("silent", Reply::never()),
        ("closes", Reply::close()),
        ("resets", Reply::reset()),
        ("garbage", Reply::garbage()),
        (
            "breaks off",
            Reply::raw(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{keys}"
            ))
            .then(Step::Close),
        ),
        ("moved", led(302)),
        ("moved for good", led(308)),
        ("an error", Reply::new(500, &[], &keys)),
        ("nothing", Reply::status(204)),
        ("too many keys", Reply::json(&json!({ "keys": many }))),
        ("no keys", Reply::json(&json!({ "keys": [] }))),
        ("a private key", Reply::json(&json!({ "keys": [private] }))),
        ("a weak key", Reply::json(&json!({ "keys": [weak] }))),
        ("a secret", Reply::json(&json!({ "keys": [symmetric] }))),
        (
            "keys twice",
            Reply::new(200, &[], format!("{{\"keys\":[],{}", &keys[1..])),
        ),
        (
            "deep",
            Reply::new(
                200,
                &[],
                format!("{{\"x\":{},{}", "[".repeat(9000), &keys[1..]),
            ),
        ),
        ("no json", Reply::new(200, &[], "<html>")),
    ]
}

// REQ: A-1, E-1
#[tokio::test]
async fn no_answer_of_an_issuer_does_harm() {
    let _room = room().await;
    let issuer = Issuer::start();
    let inside = Upstream::always(Reply::json(&issuer.keys()));
    let upstream = Upstream::new();
    let cases = hostile(&issuer, &inside);
    let path = |number: usize| format!("/{number}");
    let (api_key, lines) = new_key("ci", &[]);
    // Arrays of tables come last: `lines` are one too.
    let mut config = format!(
        "[auth]\nallow_special = [\"{}\"]\n{}",
        issuer.authority(),
        issuer.jwt("", "")
    );
    issuer.says("/jwks", Reply::json(&issuer.keys()));
    for (number, (_, reply)) in cases.iter().enumerate() {
        issuer.says(&format!("{}/jwks", path(number)), reply.clone());
        config.push_str(&issuer.jwt(&path(number), "key_cache = \"1s\""));
    }
    // An issuer whose metadata lead inside, and one whose key set would have to be asked for there.
    issuer.says(
        "/led/.well-known/openid-configuration",
        Reply::json(&json!({ "issuer": issuer.name("/led"), "jwks_uri": inside.url() })),
    );
    for (name, more) in [
        ("led", ""),
        ("named", &*format!("jwks = \"{}\"\n", inside.url())),
    ] {
        config.push_str(&format!(
            "[[auth.jwt]]\nissuer = \"{}\"\naudience = \"{}\"\n{more}",
            issuer.name(&format!("/{name}")),
            super::idp::RESOURCE
        ));
    }
    config.push_str(&lines);
    config.push_str("[rate]\nfailed = \"100000/s\"\npeer = \"100000/s\"\nlimit = \"100000/s\"\n");
    let palisade = Palisade::builder()
        .config(&config)
        .server(&upstream)
        .start();
    let client = palisade.client();
    let asks = |path: String| {
        let (client, ask) = (client.clone(), bearing(&issuer.token_of(&path, json!({}))));
        async move { client.ask(BOTH[path.len() % 2], &ask).await }
    };
    // Every one at once; the others are served meanwhile.
    let mut tasks = tokio::task::JoinSet::new();
    let names = cases.iter().map(|(name, _)| *name);
    let paths = (0..cases.len()).map(path);
    let paths = paths.chain(["/led".to_owned(), "/named".to_owned()]);
    for (name, path) in names.chain(["led", "named"]).zip(paths) {
        let ask = asks(path);
        tasks.spawn(async move { (name, ask.await) });
    }
    let honest = bearing(&issuer.token(json!({})));
    for protocol in BOTH {
        for ask in [&honest, &bearing(&api_key)] {
            let answer = client.ask(protocol, ask).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    while let Some(ended) = tasks.join_next().await {
        let (name, answer) = ended.unwrap();
        assert_eq!(answer.status, 503, "{name} {answer:?}");
        assert_eq!(
            answer.reason().as_deref(),
            Some("auth.unavailable"),
            "{name}"
        );
        assert!(answer.header("retry-after").is_some(), "{name}");
    }
    assert_eq!(inside.connections(), 0);
    // What the guard on the way out refused stands in the log, as its own.
    let refused = palisade.audit_where(2, |record| {
        record["server"] == "auth.jwt" && record["outcome"] == "denied"
    });
    for record in refused {
        let reason = record["reason"].as_str().unwrap();
        assert!(reason.starts_with("egress."), "{record}");
    }
    // They mend: nothing but time is needed.
    for number in 0..cases.len() {
        let target = format!("{}/jwks", path(number));
        issuer.says(&target, Reply::json(&issuer.keys()));
    }
    let mended = Instant::now();
    for (number, (name, _)) in cases.iter().enumerate() {
        while asks(path(number)).await.status != 200 {
            assert!(mended.elapsed() < 3 * PATIENCE, "{name}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    // And are hostile again: the last good keys hold, also for tokens that are new.
    for (number, (_, reply)) in cases.iter().enumerate() {
        issuer.says(&format!("{}/jwks", path(number)), reply.clone());
    }
    let warned = |number: usize| {
        let name = format!("issuer={} ", issuer.name(&path(number)));
        let said = palisade.stderr();
        said.lines()
            .filter(|line| line.contains(&name) && line.contains("cannot be fetched"))
            .count()
    };
    let before: Vec<_> = (0..cases.len()).map(warned).collect();
    let again = Instant::now();
    for (number, (name, _)) in cases.iter().enumerate() {
        while warned(number) == before[number] {
            assert!(
                again.elapsed() < 3 * PATIENCE,
                "{name}\n{}",
                palisade.stderr()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let answer = asks(path(number)).await;
        assert_eq!(answer.status, 200, "{name} {answer:?}");
    }
    assert_eq!(inside.connections(), 0);
}

// REQ: A-1
#[tokio::test]
async fn a_key_that_is_withdrawn_ends_and_no_valid_call_is_refused() {
    let _room = room().await;
    let idp = Idp::start();
    let upstream = Upstream::new();
    let palisade = Palisade::builder()
        .config(&format!(
            "{}key_cache = \"1s\"\n[rate]\nlimit = \"100000/s\"\npeer = \"100000/s\"\n",
            idp.section()
        ))
        .server(&upstream)
        .start();
    let client = palisade.client();
    let old = idp.token(json!({})).await;
    let answer = client.ask(BOTH[0], &bearing(&old)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    // A new key signs; the old one is still published. Tokens of both pass all the while.
    idp.control("rotate", &json!({ "keys": ["r2", "r1", "e1"] }))
        .await;
    let new = idp.token(json!({})).await;
    assert_ne!(old.split('.').next(), new.split('.').next());
    let published = Instant::now();
    while published.elapsed() < Duration::from_secs(3) {
        for protocol in BOTH {
            for token in [&old, &new] {
                let answer = client.ask(protocol, &bearing(token)).await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        }
    }
    // It is withdrawn: what it signed ends with the window, what the new one signed does not.
    idp.control("rotate", &json!({ "keys": ["r2", "e1"] }))
        .await;
    let withdrawn = Instant::now();
    let mut refused = 0;
    while refused < 5 {
        assert!(withdrawn.elapsed() < PATIENCE, "the old key still holds");
        for protocol in BOTH {
            let answer = client.ask(protocol, &bearing(&new)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let answer = client.ask(protocol, &bearing(&old)).await;
            match answer.status {
                200 => assert_eq!(refused, 0, "refused, and then not"),
                401 => {
                    assert_eq!(answer.reason().as_deref(), Some("auth.invalid"));
                    refused += 1;
                }
                429 => refused += 1,
                _ => panic!("{answer:?}"),
            }
        }
    }
    // A key that was never seen before is asked for as soon as a token names it.
    idp.control("rotate", &json!({ "keys": ["r3", "r2", "e1"] }))
        .await;
    let newest = idp.token(json!({})).await;
    drop(palisade);
    let palisade = gateway(&idp, &upstream, "");
    let client = palisade.client();
    for token in [&newest, &new] {
        assert_eq!(client.ask(BOTH[0], &bearing(token)).await.status, 200);
    }
    idp.control("rotate", &json!({ "keys": ["r4", "r3", "e1"] }))
        .await;
    let newest = idp.token(json!({})).await;
    for protocol in BOTH {
        let answer = client.ask(protocol, &bearing(&newest)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // With that the set is a new one, and what r2 signed is over although nobody waited.
    assert_eq!(client.ask(BOTH[0], &bearing(&new)).await.status, 401);
}

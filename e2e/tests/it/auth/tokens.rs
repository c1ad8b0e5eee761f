//! Access tokens: what holds, and what does not.

use e2e::Upstream;
use e2e::wire::{Ask, BOTH, Protocol};
use serde_json::json;

use super::idp::{Idp, RESOURCE, gateway};
use super::issuer::{Issuer, forged};
use crate::peers::room;

fn bearing(token: &str) -> Ask {
    Ask::call().field("authorization", format!("Bearer {token}"))
}

// REQ, L-1
#[tokio::test]
async fn a_token_of_a_real_issuer_lets_its_subject_in_and_nobody_else() {
    let _room = room().await;
    let idp = Idp::start();
    let upstream = Upstream::new();
    let palisade = gateway(&idp, &upstream, "");
    let client = palisade.client();
    for alg in ["RS256", "ES256"] {
        let token = idp.token(json!({ "alg": alg })).await;
        for protocol in BOTH {
            let answer = client.ask(protocol, &bearing(&token)).await;
            assert_eq!(answer.status, 200, "{alg} {protocol:?} {answer:?}");
            let record = palisade.record_of(&answer);
            assert_eq!(record["actor"]["id"], "mcp-cli", "{record}");
            assert_eq!(record["authMethod"], "jwt", "{record}");
        }
    }
    for request in upstream.arrived() {
        assert_eq!(request.header("authorization"), None);
        let assertion = request.header("x-palisade-assertion").unwrap();
        assert_eq!(assertion.split('.').count(), 3);
    }
    let arrived = upstream.arrived().len();
    for protocol in BOTH {
        let answer = client.ask(protocol, &Ask::call()).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        assert_eq!(answer.reason().as_deref(), Some("auth.required"));
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer "), "{challenge}");
        assert!(
            challenge.contains("resource_metadata=\"https://"),
            "{challenge}"
        );
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    assert_eq!(upstream.arrived().len(), arrived);
}

// REQ
#[tokio::test]
async fn no_hostile_token_passes_and_none_is_written_down() {
    let _room = room().await;
    let idp = Idp::start();
    let upstream = Upstream::new();
    let mut config = idp.section();
    config.push_str("[rate]\nfailed = \"100000/s\"\n");
    let palisade = e2e::Palisade::builder()
        .config(&config)
        .server(&upstream)
        .start();
    let client = palisade.client();
    let hostile = idp
        .control("hostile", &json!({ "resource": RESOURCE }))
        .await;
    // The same request with a token of the same making that is honest passes.
    for honest in ["valid", "es"] {
        let token = hostile[honest].as_str().unwrap();
        let answer = client.ask(BOTH[0], &bearing(token)).await;
        assert_eq!(answer.status, 200, "{honest} {answer:?}");
    }
    let arrived = upstream.arrived().len();
    let tokens = hostile["tokens"].as_object().unwrap();
    assert!(tokens.len() > 50);
    for (name, token) in tokens {
        let token = token.as_str().unwrap();
        for protocol in BOTH {
            let answer = client.ask(protocol, &bearing(token)).await;
            assert_eq!(answer.status, 401, "{name} {protocol:?} {answer:?}");
            assert_eq!(answer.reason().as_deref(), Some("auth.invalid"), "{name}");
            let challenge = answer.header("www-authenticate").unwrap();
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
            assert!(!answer.text().contains(token) && !challenge.contains(token));
        }
    }
    let valid = hostile["valid"].as_str().unwrap();
    for (name, ask, status) in [
        (
            "query",
            Ask::call().target(&format!("/mcp?access_token={valid}")),
            401,
        ),
        (
            "query, encoded",
            Ask::call().target(&format!("/mcp?a=b&%61ccess%5Ftoken={valid}")),
            401,
        ),
        (
            "query beside a header",
            bearing(valid).target("/mcp?access_token=x"),
            401,
        ),
        (
            "two headers",
            bearing(valid).field("authorization", format!("Bearer {valid}")),
            401,
        ),
        (
            "two headers of two schemes",
            bearing(valid).field("authorization", "Basic eDp5"),
            401,
        ),
        (
            "an empty header beside one",
            bearing(valid).field("authorization", ""),
            401,
        ),
        (
            "a form",
            Ask::call()
                .without("content-type")
                .field("content-type", "application/x-www-form-urlencoded")
                .body(format!("access_token={valid}")),
            401,
        ),
        (
            "a message",
            Ask::post(
                &json!({ "jsonrpc": "2.0", "id": 1, "method": "ping", "access_token": valid })
                    .to_string(),
            ),
            401,
        ),
        (
            "another header",
            Ask::call().field("x-access-token", valid),
            401,
        ),
        (
            "the header of proxies",
            Ask::call().field("proxy-authorization", format!("Bearer {valid}")),
            401,
        ),
        (
            "a tab",
            Ask::call().field("authorization", format!("Bearer\t{valid}")),
            401,
        ),
        ("something behind it", bearing(&format!("{valid};x=y")), 401),
        ("beyond ASCII", bearing(&format!("{valid}\u{e9}")), 401),
        ("in quotes", bearing(&format!("\"{valid}\"")), 401),
        ("a long one", bearing(&"A".repeat(17 << 10)), 401),
        ("a longer one", bearing(&"A".repeat(31 << 10)), 401),
        (
            "over the limit of heads",
            bearing(&format!(
                "{}.{}.{}",
                "A".repeat(20 << 10),
                "B".repeat(20 << 10),
                "C".repeat(86)
            )),
            401,
        ),
        ("a megabyte", bearing(&"A".repeat(1 << 20)), 401),
        ("no scheme", Ask::call().field("authorization", valid), 401),
        (
            "basic",
            Ask::call().field("authorization", format!("Basic {valid}")),
            401,
        ),
        ("two tokens", bearing(&format!("{valid} {valid}")), 401),
        ("a list", bearing(&format!("{valid}, Bearer {valid}")), 401),
        ("nothing", Ask::call().field("authorization", "Bearer"), 401),
        (
            "a cookie",
            Ask::call().field("cookie", format!("access_token={valid}")),
            401,
        ),
        (
            "dpop without binding",
            Ask::call().field("authorization", format!("DPoP {valid}")),
            401,
        ),
    ] {
        for protocol in BOTH {
            let answer = client.ask(protocol, &ask).await;
            assert_eq!(answer.status, status, "{name} {protocol:?} {answer:?}");
            if status == 401 {
                assert!(answer.header("www-authenticate").is_some(), "{name}");
            }
        }
    }
    assert_eq!(upstream.arrived().len(), arrived);
    let log: String = palisade
        .audit()
        .iter()
        .map(|record| record.to_string())
        .collect();
    let said = palisade.stderr();
    for (name, token) in tokens
        .iter()
        .chain([(&"valid".to_owned(), &hostile["valid"])])
    {
        for part in token
            .as_str()
            .unwrap()
            .split('.')
            .filter(|part| part.len() > 60)
        {
            assert!(!log.contains(part) && !said.contains(part), "{name}");
        }
    }
    // Of issuers that tokens name nothing was fetched; the trusted one was asked once, and once more
    // for an id that it might have had.
    let count = idp.control("count", &json!({})).await;
    assert!(count["fetched"].as_u64().unwrap() <= 2, "{count}");
}

// REQ, L-1, S-1
#[tokio::test]
async fn a_credential_that_makes_the_head_too_large_is_a_bad_one() {
    let issuer = Issuer::start();
    let upstream = Upstream::new();
    let url = upstream.url();
    let server = |name: &str, more: &str| {
        format!("[[server]]\nname = \"{name}\"\npath = \"/{name}\"\nupstream = \"{url}\"\n{more}")
    };
    let palisade = e2e::Palisade::with(&format!(
        "{}{}{}",
        issuer.section(),
        server("mcp", ""),
        server("open", "auth = \"none\"\n")
    ));
    let client = palisade.client();
    let megabyte = format!("Bearer {}", "A".repeat(1 << 20));
    let field = |name: &str| format!("{name}: {megabyte}\r\n");
    let host = "Host: localhost\r\n";
    let asked = (401, "auth.invalid");
    let large = (431, "request.header_too_large");
    for (name, path, lines, (status, reason)) in [
        (
            "behind the host",
            "/mcp",
            [host, &field("Authorization")].concat(),
            asked,
        ),
        (
            "before the host",
            "/mcp",
            [&field("authorization"), host].concat(),
            asked,
        ),
        (
            "twice",
            "/mcp",
            [host, &field("Authorization"), &field("Authorization")].concat(),
            asked,
        ),
        (
            "where nobody asks",
            "/open",
            [host, &field("Authorization")].concat(),
            large,
        ),
        (
            "where nobody is",
            "/none",
            [host, &field("Authorization")].concat(),
            large,
        ),
        (
            "at a document",
            "/.well-known/oauth-protected-resource/mcp",
            [host, &field("Authorization")].concat(),
            large,
        ),
        (
            "in a cookie",
            "/mcp",
            [host, &field("Cookie")].concat(),
            large,
        ),
        (
            "in a header of proxies",
            "/mcp",
            [host, &field("Proxy-Authorization")].concat(),
            large,
        ),
    ] {
        let mut http1 = client.http1().await;
        let case = e2e::wire::case();
        let head = format!("POST {path} HTTP/1.1\r\nX-Case: {case}\r\n{lines}\r\n");
        let answer = http1.exchange(head).await;
        assert_eq!(answer.status, status, "{name} {answer:?}");
        assert_eq!(answer.reason().as_deref(), Some(reason), "{name}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("connection"), Some("close"), "{name}");
        assert!(http1.is_closed().await, "{name}");
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge.is_some(), status == 401, "{name}");
        let record = palisade.record_of(&answer);
        assert_eq!(record["outcome"], "denied", "{name} {record}");
        assert_eq!(record["reason"], reason, "{name} {record}");
        if let Some(challenge) = challenge {
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
            assert!(
                challenge.contains("/.well-known/oauth-protected-resource/mcp\""),
                "{challenge}"
            );
            assert_eq!(record["server"], "mcp", "{record}");
        }
        assert!(!record.to_string().contains("AAAA"), "{name}");
    }
    // Two of them, where nobody asks and where one does.
    let token = issuer.token(json!({}));
    for protocol in BOTH {
        for (path, status) in [("/mcp", 401), ("/open", 400)] {
            let twice = bearing(&token).field("authorization", format!("Bearer {token}"));
            let answer = client.ask(protocol, &twice.target(path)).await;
            assert_eq!(answer.status, status, "{path} {protocol:?} {answer:?}");
            let challenged = answer.header("www-authenticate").is_some();
            assert_eq!(challenged, status == 401, "{path} {protocol:?}");
        }
        // As large as it may be in one head of HTTP/2, and by far too large for ours.
        let long = bearing(&"A".repeat(50 << 10));
        for (path, status) in [("/mcp", 401), ("/open", 431)] {
            let answer = client.ask(protocol, &long.clone().target(path)).await;
            assert_eq!(answer.status, status, "{path} {protocol:?} {answer:?}");
        }
        let cookie = Ask::call().field("cookie", "A".repeat(50 << 10));
        assert_eq!(client.ask(protocol, &cookie).await.status, 431);
    }
    assert_eq!(upstream.arrived().len(), 0);
    for (name, path, ask, (status, reason)) in [
        ("a megabyte", "/mcp", bearing(&"A".repeat(1 << 20)), asked),
        (
            "two of them",
            "/mcp",
            bearing(&"A".repeat(900 << 10)).field("authorization", megabyte.as_str()),
            asked,
        ),
        (
            "where nobody asks",
            "/open",
            bearing(&"A".repeat(1 << 20)),
            large,
        ),
        (
            "where nobody is",
            "/none",
            bearing(&"A".repeat(1 << 20)),
            large,
        ),
        (
            "in a cookie",
            "/mcp",
            Ask::call().field("cookie", megabyte.as_str()),
            large,
        ),
    ] {
        // On a connection that goes on to be used.
        let mut http2 = client.http2().await;
        let answer = http2.ask(&ask.target(path)).await;
        assert_eq!(answer.status, status, "{name} {answer:?}");
        assert_eq!(answer.reason().as_deref(), Some(reason), "{name}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let challenge = answer.header("www-authenticate");
        assert_eq!(challenge.is_some(), status == 401, "{name}");
        let record = palisade.record_of(&answer);
        assert_eq!(record["outcome"], "denied", "{name} {record}");
        assert_eq!(record["reason"], reason, "{name} {record}");
        let text = record.to_string();
        assert!(!text.contains("AAAA") && !text.contains("aaaa"), "{name}");
        let before = upstream.arrived().len();
        let good = http2.ask(&bearing(&token).target("/mcp")).await;
        assert_eq!(good.status, 200, "{name} {good:?}");
        assert_eq!(upstream.arrived().len(), before + 1, "{name}");
    }
    assert!(!palisade.stderr().contains("AAAA"));
}

// REQ
#[tokio::test]
async fn a_flood_of_bad_tokens_is_cut_before_it_costs_signatures() {
    let issuer = Issuer::start();
    let upstream = Upstream::new();
    let palisade = e2e::Palisade::builder()
        .config(&format!(
            "{}[proxy]\ntrusted = \"127.0.0.1\"\n[rate]\nfailed = \"4/h\"\npeer = \"100000/s\"\nlimit = \"100000/s\"\n",
            issuer.section()
        ))
        .env("PALISADE_LOG", "info,palisade::auth=trace")
        .server(&upstream)
        .start();
    let client = palisade.client();
    let from = |address: &str, token: &str| bearing(token).field("x-forwarded-for", address);
    let known = issuer.token(json!({}));
    let answer = client.ask(BOTH[0], &from("192.0.2.1", &known)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for number in 0..60 {
        let token = forged(&issuer.token(json!({})));
        let ask = from("192.0.2.1", &token);
        let answer = client.ask(BOTH[number % 2], &ask).await;
        let (status, reason) = match number {
            0..4 => (401, "auth.invalid"),
            _ => (429, "auth.failures"),
        };
        assert_eq!(answer.status, status, "{number} {answer:?}");
        assert_eq!(answer.reason().as_deref(), Some(reason));
        assert_eq!(answer.header("retry-after").is_some(), status == 429);
    }
    // Who was known goes on, and other addresses are not meant.
    let fresh = issuer.token(json!({}));
    for (address, token, status) in [
        ("192.0.2.1", &known, 200),
        ("192.0.2.1", &fresh, 429),
        ("192.0.2.2", &fresh, 200),
    ] {
        for protocol in BOTH {
            let answer = client.ask(protocol, &from(address, token)).await;
            assert_eq!(answer.status, status, "{address} {answer:?}");
        }
    }
    // What is told at the end comes behind all that was told before.
    palisade.terminate();
    palisade.wait_for_stderr("draining");
    let said = palisade.stderr();
    let verified = said.matches("a signature is verified").count();
    assert_eq!(verified, 1 + 4 + 1, "{said}");
}

// REQ: A-6
#[tokio::test]
async fn a_bound_token_needs_its_key_for_each_request() {
    let _room = room().await;
    let idp = Idp::start();
    let upstream = Upstream::new();
    let mut config = idp.section();
    config.push_str("[rate]\nfailed = \"100000/s\"\n");
    let palisade = e2e::Palisade::builder()
        .config(&config)
        .server(&upstream)
        .start();
    let client = palisade.client();
    let token = idp.token(json!({ "dpop": true })).await;
    let url = "https://localhost/mcp".to_owned();
    let proof = async |more: serde_json::Value| {
        let mut ask = json!({ "method": "POST", "url": url, "token": token });
        for (name, value) in more.as_object().unwrap() {
            ask[name] = value.clone();
        }
        let answer = idp.control("proof", &ask).await;
        answer["proof"].as_str().unwrap().to_owned()
    };
    let bound = |proof: &str| {
        let ask = Ask::call().field("authorization", format!("DPoP {token}"));
        ask.field("dpop", proof)
    };
    let another = Issuer::start().key("k");
    let first = proof(json!({})).await;
    let answer = client.ask(BOTH[0], &bound(&first)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(upstream.arrived()[0].header("dpop").is_none());
    let second = proof(json!({})).await;
    assert_eq!(client.ask(BOTH[1], &bound(&second)).await.status, 200);
    for (name, ask) in [
        ("the same proof again", bound(&first)),
        (
            "no proof",
            Ask::call().field("authorization", format!("DPoP {token}")),
        ),
        ("as a plain bearer", bearing(&token)),
        (
            "as a plain bearer with a proof",
            bearing(&token).field("dpop", proof(json!({})).await),
        ),
        ("another key", bound(&proof(json!({ "other": true })).await)),
        (
            "another method",
            bound(&proof(json!({ "method": "GET" })).await),
        ),
        (
            "another path",
            bound(&proof(json!({ "url": format!("{url}/x") })).await),
        ),
        (
            "another host",
            bound(&proof(json!({ "url": "https://evil.example/mcp" })).await),
        ),
        (
            "another token",
            bound(&proof(json!({ "token": "x" })).await),
        ),
        ("no token", bound(&proof(json!({ "token": null })).await)),
        (
            "an old proof",
            bound(&proof(json!({ "claims": { "iat": 1 } })).await),
        ),
        (
            "a future proof",
            bound(&proof(json!({ "claims": { "iat": 9_999_999_999_u64 } })).await),
        ),
        (
            "no id",
            bound(&proof(json!({ "claims": { "jti": "" } })).await),
        ),
        (
            "another type",
            bound(&proof(json!({ "header": { "typ": "JWT" } })).await),
        ),
        (
            "two proofs",
            bound(&proof(json!({})).await).field("dpop", proof(json!({})).await),
        ),
        (
            "a proof beyond ASCII",
            bound(&format!("{}\u{e9}", proof(json!({})).await)),
        ),
        (
            "its private key",
            bound(&proof(json!({ "private": true })).await),
        ),
        (
            "a symmetric key",
            bound(&proof(json!({ "header": { "jwk": { "kty": "oct", "k": "AAAA" } } })).await),
        ),
        (
            "the key of another in its header",
            bound(&proof(json!({ "header": { "jwk": another } })).await),
        ),
        (
            "a demand",
            bound(&proof(json!({ "claims": { "iat": 1.5 } })).await),
        ),
        (
            "the method in other letters",
            bound(&proof(json!({ "method": "post" })).await),
        ),
        (
            "by http",
            bound(&proof(json!({ "url": "http://localhost/mcp" })).await),
        ),
        (
            "another port",
            bound(&proof(json!({ "url": "https://localhost:8443/mcp" })).await),
        ),
        (
            "the path in other letters",
            bound(&proof(json!({ "url": "https://localhost/MCP" })).await),
        ),
        (
            "the hash of another token",
            bound(
                &proof(
                    json!({ "claims": { "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo" } }),
                )
                .await,
            ),
        ),
        ("garbage", bound("x.y.z")),
    ] {
        for protocol in BOTH {
            let answer = client.ask(protocol, &ask).await;
            assert_eq!(answer.status, 401, "{name} {protocol:?} {answer:?}");
            assert_eq!(answer.reason().as_deref(), Some("auth.invalid"), "{name}");
            let challenge = answer.header("www-authenticate").unwrap();
            let scheme = if name.starts_with("as a plain") {
                "Bearer "
            } else {
                "DPoP "
            };
            assert!(challenge.starts_with(scheme), "{name} {challenge}");
            assert!(
                challenge.contains("error=\"invalid_token\""),
                "{name} {challenge}"
            );
        }
    }
    assert_eq!(upstream.arrived().len(), 2);
    // None of them has used up the key: it still proves.
    for protocol in BOTH {
        let fresh = proof(json!({})).await;
        let (one, other) = match protocol {
            Protocol::Http1 => (Protocol::Http1, Protocol::Http2),
            Protocol::Http2 => (Protocol::Http2, Protocol::Http1),
        };
        assert_eq!(client.ask(one, &bound(&fresh)).await.status, 200);
        assert_eq!(client.ask(other, &bound(&fresh)).await.status, 401);
    }
}

// REQ: A-1
#[tokio::test]
async fn clients_find_where_to_ask_for_a_token() {
    let _room = room().await;
    let idp = Idp::start();
    let upstream = Upstream::new();
    let palisade = e2e::Palisade::builder()
        .config(&format!(
            "public_url = \"https://mcp.example.com\"\n{}[cors]\norigins = [\"https://app.example.com\"]\n",
            idp.section()
        ))
        .server(&upstream)
        .start();
    let client = palisade.client();
    for protocol in BOTH {
        for path in [
            "/.well-known/oauth-protected-resource/mcp",
            "/.well-known/oauth-protected-resource",
        ] {
            let ask = Ask::new("GET", path).origin("https://app.example.com");
            let answer = client.ask(protocol, &ask).await;
            assert_eq!(answer.status, 200, "{path} {answer:?}");
            let metadata = answer.json();
            assert_eq!(metadata["resource"], RESOURCE);
            assert_eq!(metadata["authorization_servers"], json!([idp.issuer()]));
            let origin = answer.header("access-control-allow-origin");
            assert_eq!(origin, Some("https://app.example.com"));
        }
        for (method, path, status) in [
            ("GET", "/.well-known/oauth-protected-resource/other", 404),
            ("POST", "/.well-known/oauth-protected-resource/mcp", 405),
            ("GET", "/.well-known/palisade/jwks.json", 200),
        ] {
            let answer = client.ask(protocol, &Ask::new(method, path)).await;
            assert_eq!(answer.status, status, "{path} {answer:?}");
        }
        let ask = Ask::call().origin("https://app.example.com");
        let answer = client.ask(protocol, &ask).await;
        let challenge = answer.header("www-authenticate").unwrap();
        let metadata = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";
        assert!(
            challenge.contains(&format!("resource_metadata=\"{metadata}\"")),
            "{challenge}"
        );
        assert!(answer.lists("access-control-expose-headers", "www-authenticate"));
    }
}

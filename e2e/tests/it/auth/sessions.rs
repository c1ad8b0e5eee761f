//! A session belongs to who opened it, and nothing that a client says makes it somebody else.

use e2e::wire::{Ask, BOTH};
use e2e::{Palisade, Reply, Upstream};
use serde_json::json;

use super::issuer::Issuer;
use super::keys::new_key;

fn upstream() -> Upstream {
    Upstream::answering(|request| {
        let message = request.json();
        let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": {} });
        Reply::json_with(&[("mcp-session-id", "upstream-1")], &answer)
    })
}

fn ask(key: &str) -> Ask {
    Ask::call().field("authorization", format!("Bearer {key}"))
}

// REQ: A-5
#[tokio::test]
async fn another_callers_session_is_not_there() {
    let (alice, first) = new_key("alice", &[]);
    let (bob, second) = new_key("bob", &[]);
    let upstream = upstream();
    let palisade = Palisade::builder()
        .config(&format!("{first}{second}"))
        .server(&upstream)
        .start();
    let client = palisade.client();
    for protocol in BOTH {
        let opened = client.ask(protocol, &ask(&alice)).await;
        let session = opened.header("mcp-session-id").unwrap().to_owned();
        assert_ne!(session, "upstream-1");
        for method in ["POST", "GET", "DELETE"] {
            let with = |key: &str, session: &str| {
                let ask = match method {
                    "POST" => ask(key),
                    _ => Ask::new(method, "/mcp").field("authorization", format!("Bearer {key}")),
                };
                ask.field("mcp-session-id", session)
            };
            let before = upstream.arrived().len();
            let own = client.ask(protocol, &with(&alice, &session)).await;
            assert_eq!(own.status, 200, "{method} {own:?}");
            assert_eq!(own.header("mcp-session-id"), Some(&*session));
            let sent = upstream.arrived();
            assert_eq!(sent[before].header("mcp-session-id"), Some("upstream-1"));
            let mut changed = session.clone();
            changed.replace_range(0..1, if session.starts_with('A') { "B" } else { "A" });
            for (key, session) in [
                (&bob, &*session),
                (&alice, "upstream-1"),
                (&alice, &changed),
                (&alice, "AAAA"),
            ] {
                let foreign = client.ask(protocol, &with(key, session)).await;
                assert_eq!(foreign.status, 404, "{method} {foreign:?}");
                assert_eq!(foreign.reason().as_deref(), Some("session.unknown"));
                if method == "POST" {
                    assert_eq!(foreign.json()["error"]["code"], -32001);
                }
            }
            assert_eq!(upstream.arrived().len(), before + 1);
        }
        // A session is no proof of who calls.
        let bare = Ask::call().field("mcp-session-id", &session);
        assert_eq!(client.ask(protocol, &bare).await.status, 401);
    }
}

// REQ: A-5
#[tokio::test]
async fn a_session_goes_on_with_a_refreshed_token_of_its_caller() {
    let issuer = Issuer::start();
    let upstream = upstream();
    let palisade = Palisade::builder()
        .config(&issuer.section())
        .server(&upstream)
        .start();
    let client = palisade.client();
    for protocol in BOTH {
        let opened = client.ask(protocol, &ask(&issuer.token(json!({})))).await;
        let session = opened.header("mcp-session-id").unwrap().to_owned();
        for (claims, status) in [
            (json!({}), 200),
            (json!({ "scope": "more", "client_id": "another" }), 200),
            (json!({ "sub": "mallory" }), 404),
        ] {
            let with = ask(&issuer.token(claims.clone())).field("mcp-session-id", &session);
            let answer = client.ask(protocol, &with).await;
            assert_eq!(answer.status, status, "{claims} {answer:?}");
        }
    }
}

// REQ: A-5
#[tokio::test]
async fn a_session_survives_a_restart() {
    let (alice, lines) = new_key("alice", &[]);
    let upstream = upstream();
    let kept = tempfile::tempdir().unwrap();
    let start = || {
        Palisade::builder()
            .config(&lines)
            .server(&upstream)
            .env("XDG_DATA_HOME", kept.path().to_str().unwrap())
            .start()
    };
    let mut palisade = start();
    let opened = palisade.client().ask(BOTH[0], &ask(&alice)).await;
    let session = opened.header("mcp-session-id").unwrap().to_owned();
    assert_eq!(palisade.stop(), Some(0));
    let palisade = start();
    let again = ask(&alice).field("mcp-session-id", &session);
    let answer = palisade.client().ask(BOTH[1], &again).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

// REQ: A-3, T-6, G-15
#[tokio::test]
async fn nothing_that_a_client_says_of_itself_reaches_the_upstream() {
    let (alice, lines) = new_key("alice", &["--scope", "read"]);
    let upstream = Upstream::new();
    let forged = [
        ("x-palisade-assertion", "forged"),
        ("x-palisade-caller", "root"),
        ("x-palisade-scopes", "all"),
        ("x-palisade-anything", "x"),
        ("x-forwarded-client-cert", "Subject=root"),
        ("ssl-client-cert", "root"),
        ("x-client-cert", "root"),
        ("x-forwarded-user", "root"),
        ("x-remote-user", "root"),
        ("remote-user", "root"),
        ("x-real-ip", "6.6.6.6"),
        ("x-forwarded-for", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
    ];
    for (form, expected) in [
        ("headers", Some("key:alice")),
        ("none", None),
        ("jwt", None),
    ] {
        let palisade = Palisade::with(&format!(
            "{lines}[rate]\nlimit = \"100000/s\"\npeer = \"100000/s\"\n[[server]]\nname = \"test\"\npath = \"/mcp\"\nupstream = \"{}\"\ncaller_header = \"{form}\"\n",
            upstream.url()
        ));
        for protocol in BOTH {
            let before = upstream.arrived().len();
            let mut ask = ask(&alice);
            for (name, value) in forged {
                ask = ask.field(name, value);
            }
            let answer = palisade.client().ask(protocol, &ask).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let arrived = &upstream.arrived()[before];
            assert_eq!(arrived.header("x-palisade-caller"), expected, "{form}");
            let assertion = arrived.header("x-palisade-assertion");
            assert_eq!(assertion.is_some(), form == "jwt", "{form}");
            for (name, value) in forged {
                assert!(!arrived.all(name).contains(&value), "{form} {name}");
            }
            let record = palisade.record_of(&answer);
            assert_eq!(record["actor"]["ip"], "127.0.0.1");
            assert_eq!(record["actor"]["id"], "key:alice");
            // What a CGI-like upstream would take for one of these never gets there.
            let arrived = upstream.arrived().len();
            for (name, value) in forged.into_iter().filter(|(name, _)| name.contains('-')) {
                for sign in ["_", "."] {
                    let name = name.replace('-', sign);
                    let ask = self::ask(&alice).field(&name, value);
                    let answer = palisade.client().ask(protocol, &ask).await;
                    assert_eq!(answer.status, 400, "{name} {protocol:?} {answer:?}");
                    assert_eq!(answer.reason().as_deref(), Some("request.malformed"));
                }
            }
            assert_eq!(upstream.arrived().len(), arrived);
        }
    }
}

// REQ: A-1
#[tokio::test]
async fn the_upstream_gets_the_credential_that_is_meant_for_it() {
    let (alice, lines) = new_key("alice", &[]);
    let upstream = Upstream::new();
    for (more, expected) in [
        (
            "forward_authorization = true",
            Some(format!("Bearer {alice}")),
        ),
        (
            "credential_env = \"UPSTREAM_TOKEN\"",
            Some("Bearer of-its-own".to_owned()),
        ),
        ("", None),
    ] {
        let before = upstream.arrived().len();
        let palisade = Palisade::builder()
            .config(&format!(
                "{lines}[[server]]\nname = \"test\"\npath = \"/mcp\"\nupstream = \"{}\"\n{more}\n",
                upstream.url()
            ))
            .env("UPSTREAM_TOKEN", "Bearer of-its-own")
            .start();
        let answer = palisade.client().ask(BOTH[0], &ask(&alice)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let arrived = &upstream.arrived()[before];
        assert_eq!(
            arrived.header("authorization"),
            expected.as_deref(),
            "{more}"
        );
    }
}

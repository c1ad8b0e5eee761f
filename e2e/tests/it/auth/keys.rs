//! API keys, and how often one may fail.

use std::process::Command;

use e2e::wire::{Ask, BOTH};
use e2e::{Palisade, Upstream};

/// A key, and its lines of the configuration, as `palisade auth new-key` prints them.
pub(crate) fn new_key(name: &str, more: &[&str]) -> (String, String) {
    let made = Command::new(e2e::palisade::binary())
        .args(["auth", "new-key", name])
        .args(more)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let said = String::from_utf8(made.stderr).unwrap();
    let lines = &said[said.find("[[auth.api_key]]").unwrap()..];
    assert!(!lines.contains(&key));
    (key, lines.to_owned())
}

// REQ, L-1, U-1
#[tokio::test]
async fn a_key_names_its_holder() {
    let (key, lines) = new_key("ci", &[]);
    let (old, expired) = new_key("old", &["--expires", "2020-01-31"]);
    let upstream = Upstream::new();
    let palisade = Palisade::builder()
        .config(&format!(
            "{lines}{expired}[auth]\nkey_headers = [\"X-API-Key\"]\n[rate]\nfailed = \"100000/s\"\n"
        ))
        .server(&upstream)
        .start();
    let client = palisade.client();
    for protocol in BOTH {
        for ask in [
            Ask::call().field("authorization", format!("Bearer {key}")),
            Ask::call().field("x-api-key", &key),
        ] {
            let answer = client.ask(protocol, &ask).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let record = palisade.record_of(&answer);
            assert_eq!(record["actor"]["id"], "key:ci", "{record}");
            assert_eq!(record["authMethod"], "api_key", "{record}");
        }
        for (name, ask) in [
            ("expired", Ask::call().field("x-api-key", &old)),
            ("unknown", Ask::call().field("x-api-key", "palisade_x")),
            ("empty", Ask::call().field("x-api-key", "")),
            (
                "the hash",
                Ask::call().field("x-api-key", lines.split('"').nth(3).unwrap()),
            ),
            (
                "both",
                Ask::call()
                    .field("x-api-key", &key)
                    .field("authorization", format!("Bearer {key}")),
            ),
            ("nothing", Ask::call()),
        ] {
            let answer = client.ask(protocol, &ask).await;
            assert_eq!(answer.status, 401, "{name} {answer:?}");
        }
    }
    for request in upstream.arrived() {
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("x-api-key"), None);
    }
    assert!(
        !palisade
            .audit()
            .iter()
            .any(|record| record.to_string().contains(&key))
    );
}

// REQ
#[tokio::test]
async fn who_fails_too_often_is_refused_before_the_work() {
    let (key, lines) = new_key("ci", &[]);
    let upstream = Upstream::new();
    let palisade = Palisade::builder()
        .config(&format!(
            "{lines}[rate]\nfailed = \"3/h\"\npeer = \"100000/s\"\nlimit = \"100000/s\"\n"
        ))
        .server(&upstream)
        .start();
    let client = palisade.client();
    let wrong = Ask::call().field("authorization", "Bearer palisade_wrong");
    for _ in 0..3 {
        assert_eq!(client.ask(BOTH[0], &wrong).await.status, 401);
    }
    let answer = client.ask(BOTH[1], &wrong).await;
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.reason().as_deref(), Some("auth.failures"));
    assert!(
        answer
            .header("retry-after")
            .unwrap()
            .parse::<u32>()
            .unwrap()
            > 1
    );
    // Who presents nothing has not failed.
    assert_eq!(client.ask(BOTH[0], &Ask::call()).await.status, 401);
    // Keys are work like any other: a right one has to wait as well.
    let right = Ask::call().field("authorization", format!("Bearer {key}"));
    assert_eq!(client.ask(BOTH[0], &right).await.status, 429);
}

// REQ: R-1
#[tokio::test]
async fn each_caller_has_a_quota_of_its_own() {
    let (one, first) = new_key("one", &[]);
    let (two, second) = new_key("two", &[]);
    let upstream = Upstream::new();
    let palisade = Palisade::builder()
        .config(&format!(
            "{first}{second}[rate]\nlimit = \"2/h\"\npeer = \"100000/s\"\n"
        ))
        .server(&upstream)
        .start();
    let client = palisade.client();
    for key in [&one, &two] {
        let ask = Ask::call().field("authorization", format!("Bearer {key}"));
        for protocol in BOTH {
            assert_eq!(client.ask(protocol, &ask).await.status, 200);
        }
        let answer = client.ask(BOTH[0], &ask).await;
        assert_eq!(answer.status, 429, "{answer:?}");
        assert_eq!(answer.reason().as_deref(), Some("rate.exceeded"));
    }
}

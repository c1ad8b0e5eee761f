use super::*;

/// Cases, one a line, each with what must come of it: `allow` or a reason, and what is dialed.
const CASES: &str = include_str!("../tests/data/cases.ndjson");

#[derive(Deserialize)]
struct Expected {
    verdict: String,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    connected: Option<Vec<IpAddr>>,
}

// REQ: E-1, E-5
#[tokio::test]
async fn the_table() {
    let (mut bad, mut good) = (0, 0);
    for text in CASES.lines().filter(|line| !line.is_empty()) {
        let verdict = line(text)
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        let verdict: serde_json::Value = serde_json::from_str(&verdict).expect("JSON");
        let whole: serde_json::Value = serde_json::from_str(text).expect("JSON");
        let expected: Expected = serde_json::from_value(whole["expect"].clone()).expect(text);
        assert_eq!(verdict["id"], whole["id"]);
        assert_eq!(verdict["verdict"], expected.verdict, "{text}\n{verdict}");
        if let Some(reason) = expected.reason {
            assert_eq!(verdict["reason"], reason, "{text}\n{verdict}");
        }
        let connected: Vec<IpAddr> =
            serde_json::from_value(verdict["connected"].clone()).expect("addresses");
        for address in &connected {
            assert_eq!(
                crate::address::classify(*address),
                Ok(()),
                "{text}\n{verdict}"
            );
        }
        if let Some(expected) = expected.connected {
            assert_eq!(connected, expected, "{text}\n{verdict}");
        }
        if expected.verdict == "allow" {
            good += 1
        } else {
            bad += 1
        }
    }
    assert!(bad >= 70 && good >= 40, "{bad} bad, {good} good");
}

#[tokio::test]
async fn what_is_no_case_is_told() {
    for text in ["", "{}", r#"{"id":1,"kind":"x","input":""}"#] {
        let error = line(text).await.expect_err(text).to_string();
        assert!(error.contains("one JSON object a line"), "{error}");
    }
    let star =
        r#"{"id":1,"kind":"url","input":"http://a.example/","opts":{"allowed_hosts":["*"]}}"#;
    assert!(
        line(star)
            .await
            .expect_err("a star")
            .to_string()
            .contains("`egress` entry")
    );
}

#[tokio::test]
async fn answers_may_be_written_in_brief() {
    let public = "93.184.216.34";
    for (zone, connected) in [
        (
            format!(r#"{{"A":"{public}","AAAA":null,"sequence":null,"then":"127.0.0.1"}}"#),
            1,
        ),
        (format!(r#"{{"A":"{public}","then":["{public}"]}}"#), 2),
        (format!(r#"{{"sequence":["{public}",["127.0.0.1"]]}}"#), 1),
        (
            format!(r#"{{"sequence":[["{public}"],{{"A":"{public}"}}]}}"#),
            2,
        ),
    ] {
        let case = format!(
            r#"{{"id":1,"kind":"redirect","input":"http://a.example/","dns":{{"a.example":{zone}}},
                "redirects":[{{"status":302,"location":" /b "}}],"opts":{{"deny_downgrade":null}}}}"#
        );
        let case: Case = serde_json::from_str(&case).expect(&zone);
        let verdict = case.run(None).await.expect("a verdict");
        assert_eq!(verdict.connected.len(), connected, "{zone}");
        assert_eq!(
            verdict.verdict,
            if connected == 2 { "allow" } else { "block" },
            "{zone}"
        );
    }
    let null = r#"{"id":1,"kind":"url","input":"http://a.example/","dns":null,"redirects":null,"opts":null}"#;
    assert!(line(null).await.expect("a verdict").contains("allow"));
}

#[tokio::test]
async fn a_policy_can_be_given() {
    let case = r#"{"id":"x","kind":"url","input":"https://a.example/"}"#;
    let case: Case = serde_json::from_str(case).expect("a case");
    let policy = Policy::builder().own_addresses(OwnAddresses::fixed([]));
    let policy = policy.allowlist(["b.example"]).build().expect("a policy");
    let verdict = case.run(Some(Arc::new(policy))).await.expect("a verdict");
    assert_eq!(
        (verdict.verdict, verdict.reason.as_str()),
        ("block", "egress.host.not_listed")
    );
}

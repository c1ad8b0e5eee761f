use std::sync::Mutex;

use super::*;
use crate::exchange::{Call, Connection};

/// Refuses what holds `bad`, knows addresses by their first digit, and counts lookups.
#[derive(Debug, Default)]
struct Pretend {
    looked_up: Mutex<Vec<String>>,
}

impl UrlPolicy for Pretend {
    fn judge(&self, url: &str) -> Judgement {
        let host = url.split("//").nth(1).unwrap_or_default();
        let host = host.split(['/', ':']).next().unwrap_or_default();
        if url.contains("bad") {
            Judgement::Refused("egress.address.loopback: the address is this machine".to_owned())
        } else if host.starts_with(|c: char| c.is_ascii_digit()) {
            Judgement::Allowed
        } else {
            Judgement::Name(host.to_owned())
        }
    }

    fn look_up<'a>(&'a self, found: &'a [Found]) -> BoxFuture<'a, Result<(), String>> {
        let urls = found.iter().map(|found| found.url.clone());
        self.looked_up.lock().unwrap().extend(urls);
        let evil = found.iter().any(|found| found.url.contains("evil"));
        let answer = if evil {
            Err("egress.address.private".to_owned())
        } else {
            Ok(())
        };
        Box::pin(std::future::ready(answer))
    }
}

fn found(arguments: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(
        &serde_json::from_str(arguments).unwrap(),
        &[],
        false,
        &mut found,
    );
    found.into_iter().map(|found| found.url).collect()
}

// REQ: E-4
#[tokio::test]
async fn a_schema_names_destinations_too() {
    use crate::mcp::outcome::ToolHint;
    let (urls, _) = urls(Mode::Enforce, &[]);
    let shown = Shown::default();
    let tools = |destinations: &[&str]| {
        [ToolHint {
            name: "fetch".to_owned(),
            destinations: destinations.iter().map(|key| (*key).to_owned()).collect(),
            ..ToolHint::default()
        }]
    };
    let call = || {
        exchange(
            "fetch",
            r#"{"deep":[{"target":"bad.example/x"}],"other":"bad.example"}"#,
        )
    };
    // Nobody wants to know yet.
    shown.saw_tools(&tools(&["target"]));
    assert!(urls.check(&call(), &shown).await.is_ok());
    shown.want_schemas();
    shown.saw_tools(&tools(&["target"]));
    assert!(urls.check(&call(), &shown).await.is_err());
    assert!(
        urls.check(&exchange("other", r#"{"target":"bad.example"}"#), &shown)
            .await
            .is_ok()
    );
    // What was listed last counts.
    shown.saw_tools(&tools(&[]));
    assert!(urls.check(&call(), &shown).await.is_ok());
}

fn exchange(tool: &str, arguments: &str) -> Exchange {
    let exchange = Exchange::begin(Connection::default());
    exchange.facts().calls.push(Call {
        method: Some("tools/call".into()),
        id: Some(Bytes::from_static(b"7")),
        target: Some(tool.into()),
        arguments: Some(Bytes::copy_from_slice(arguments.as_bytes())),
        ..Call::default()
    });
    exchange
}

fn urls(server: Mode, tools: &[(&str, Mode)]) -> (Urls, Arc<Pretend>) {
    let policy = Arc::new(Pretend::default());
    let tools = tools.iter().map(|(tool, mode)| ((*tool).to_owned(), *mode));
    let modes = UrlModes {
        server,
        tools: tools.collect(),
    };
    (Urls::new(modes, Arc::clone(&policy) as _), policy)
}

// REQ: E-4
#[test]
fn urls_are_found_by_shape_at_any_depth() {
    for (text, expected) in [
        ("http://a.example/", Some("http://a.example/")),
        ("HTTPS://a.example", Some("HTTPS://a.example")),
        (" http://a.example/\\n", Some("http://a.example/")),
        ("ht\\ttp://a.example/", Some("ht\ttp://a.example/")),
        ("http:a.example", Some("http:a.example")),
        ("http:/a.example", Some("http:/a.example")),
        ("gopher://a.example/_x", Some("gopher://a.example/_x")),
        ("file:///etc/passwd", Some("file:///etc/passwd")),
        ("//a.example/x", Some("http://a.example/x")),
        ("\\\\\\\\a.example", Some("http:\\\\a.example")),
        ("\\ufeffhttp://127.0.0.1/", Some("http://127.0.0.1/")),
        ("/\\\\127.0.0.1/", Some("http:/\\127.0.0.1/")),
        ("//localhost/", Some("http://localhost/")),
        ("// a comment. And more", None),
        ("//comment", None),
        ("see http://a.example/", None),
        ("note: this", None),
        ("mailto:a@b.example", None),
        ("a.example", None),
        ("127.0.0.1", None),
        ("", None),
    ] {
        let value = format!("{{\"x\":[[{{\"y\":\"{text}\"}}]]}}");
        let expected: Vec<String> = expected.map(str::to_owned).into_iter().collect();
        assert_eq!(found(&value), expected, "{text}");
    }
}

#[test]
fn a_scheme_is_found_behind_any_number_of_line_feeds() {
    let text = format!("h{}ttp://127.0.0.1/", "\n".repeat(5000));
    let value = serde_json::json!({ "x": text });
    assert_eq!(found(&value.to_string()), [text]);
}

#[test]
fn what_may_be_no_host_is_marked() {
    let bare = |arguments: &str| {
        let mut found = Vec::new();
        collect(
            &serde_json::from_str(arguments).unwrap(),
            &[],
            false,
            &mut found,
        );
        found.remove(0).bare
    };
    assert!(bare(r#"{"href":"page.html"}"#));
    assert!(!bare(r#"{"href":"http://page.html"}"#));
    assert!(!bare(r#"{"href":"//page.html"}"#));
}

// REQ: E-4
#[test]
fn hosts_are_found_under_keys_that_name_one() {
    for key in [
        "url",
        "URL",
        "callback_url",
        "callbackUrl",
        "base-url",
        "endpoint",
        "Host",
        "webhook",
        "apiEndpoint",
        "targetURL",
        "urls",
        "image_uri",
        "href",
    ] {
        let value = format!("{{\"{key}\":[\"127.0.0.1:8080/x\"]}}");
        assert_eq!(found(&value), ["http://127.0.0.1:8080/x"], "{key}");
    }
    for key in ["text", "curl", "ghost", "hosted", "source", "query", "hurl"] {
        assert!(
            found(&format!("{{\"{key}\":\"127.0.0.1\"}}")).is_empty(),
            "{key}"
        );
    }
    for (text, is_host) in [
        ("169.254.169.254", true),
        ("a.example", true),
        ("localhost:3000", true),
        ("LOCALHOST", true),
        ("[::1]:80", true),
        ("2130706433", true),
        ("10", false),
        ("left", false),
        ("a sentence. And more", false),
        ("", false),
    ] {
        let value = format!("{{\"url\":\"{text}\"}}");
        assert_eq!(found(&value).len(), usize::from(is_host), "{text}");
    }
    // What stands under another key in between is no longer named.
    assert!(found(r#"{"url":{"text":"127.0.0.1"}}"#).is_empty());
}

// REQ: E-4
#[tokio::test]
async fn a_call_is_refused_reported_or_let_pass() {
    let bad = r#"{"a":{"b":["https://good.example/","http://bad.example/"]}}"#;
    let (urls, policy) = urls(Mode::Enforce, &[("lax", Mode::Off), ("soft", Mode::Report)]);
    let refused = urls
        .check(&exchange("fetch", bad), &Shown::default())
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::UrlRefused);
    assert!(refused.detail().contains("egress.address.loopback"));
    assert!(policy.looked_up.lock().unwrap().is_empty());
    let soft = exchange("soft", bad);
    assert!(urls.check(&soft, &Shown::default()).await.is_ok());
    assert_eq!(soft.facts().reported, [Reason::UrlRefused]);
    let lax = exchange("lax", bad);
    assert!(urls.check(&lax, &Shown::default()).await.is_ok());
    assert!(lax.facts().reported.is_empty());
    let good =
        r#"{"a":"http://good.example/1","b":"http://good.example/2","c":"http://93.184.216.34/"}"#;
    assert!(
        urls.check(&exchange("fetch", good), &Shown::default())
            .await
            .is_ok()
    );
    assert_eq!(*policy.looked_up.lock().unwrap(), ["http://good.example/1"]);
    let evil = urls
        .check(
            &exchange("fetch", r#"{"url":"evil.example"}"#),
            &Shown::default(),
        )
        .await;
    assert!(
        evil.unwrap_err()
            .detail()
            .contains("egress.address.private")
    );
}

#[tokio::test]
async fn names_and_urls_are_bounded() {
    let (urls, policy) = urls(Mode::Enforce, &[]);
    let many = |count: usize, host: fn(usize) -> String| {
        let list: Vec<_> = (0..count)
            .map(|at| format!("\"http://{}/\"", host(at)))
            .collect();
        exchange("fetch", &format!("{{\"urls\":[{}]}}", list.join(",")))
    };
    assert!(
        urls.check(
            &many(MAX_NAMES, |at| format!("h{at}.example")),
            &Shown::default()
        )
        .await
        .is_ok()
    );
    assert_eq!(policy.looked_up.lock().unwrap().len(), MAX_NAMES);
    let over = urls
        .check(
            &many(MAX_NAMES + 1, |at| format!("h{at}.example")),
            &Shown::default(),
        )
        .await;
    assert!(over.unwrap_err().detail().contains("8 different hosts"));
    assert!(
        urls.check(
            &many(MAX_URLS, |_| "93.184.216.34".to_owned()),
            &Shown::default()
        )
        .await
        .is_ok()
    );
    let over = urls
        .check(
            &many(MAX_URLS + 1, |_| "93.184.216.34".to_owned()),
            &Shown::default(),
        )
        .await;
    assert!(over.unwrap_err().detail().contains("64 URLs"));
    assert_eq!(policy.looked_up.lock().unwrap().len(), MAX_NAMES);
}

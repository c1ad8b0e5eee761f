//! S: security headers, over the wire.

use e2e::wire::{Ask, BOTH};
use e2e::{Palisade, Reply, Upstream};

use crate::judge::{HSTS, Pair, SECURITY, secured};

/// An upstream that says the opposite, doubly, and tells what it runs on.
fn talkative(content_type: &'static str) -> Upstream {
    Upstream::answering(move |request| {
        let mut fields = vec![("Content-Type", content_type)];
        for (name, _) in SECURITY {
            if name != "cache-control" {
                fields.extend([(name, "unsafe"), (name, "unsafer")]);
            }
        }
        fields.extend([
            ("Strict-Transport-Security", "max-age=1; preload"),
            ("Server", "Apache/2.4.1 (Unix)"),
            ("X-Powered-By", "PHP/5.3"),
            ("X-AspNet-Version", "4.0"),
            ("X-Runtime", "0.1"),
            ("X-Generator", "Drupal"),
            ("Via", "1.1 inner.example"),
            ("X-Own", "kept"),
            ("Mcp-Session-Id", "s-1"),
        ]);
        if let Some(value) = request.header("x-cache") {
            fields.push(("Cache-Control", value));
        }
        Reply::new(200, &fields, "{}")
    })
}

// REQ: S-1, S-4
#[tokio::test]
async fn ours_win_and_fingerprints_go() {
    let pair = Pair::before(
        talkative("application/json"),
        "hosts = [\"mcp.example.com\"]",
    );
    for protocol in BOTH {
        let answer = pair
            .ask(protocol, &Ask::call().host("mcp.example.com"))
            .await;
        secured(&answer, "JSON");
        assert_eq!(answer.all("strict-transport-security"), [HSTS]);
        for gone in ["x-aspnet-version", "x-runtime", "x-generator"] {
            assert_eq!(answer.all(gone), [""; 0], "{gone}");
        }
        assert_eq!(answer.header("x-own"), Some("kept"));
        assert_eq!(answer.header("mcp-session-id"), Some("s-1"));
        // What the upstream says of caches counts.
        let ask = Ask::call().field("x-cache", "private, max-age=60");
        let answer = pair.ask(protocol, &ask).await;
        assert_eq!(answer.all("cache-control"), ["private, max-age=60"]);
    }
}

// REQ: S-1
#[tokio::test]
async fn pages_get_the_policy_of_pages() {
    for content_type in [
        "text/html",
        "TEXT/HTML; charset=utf-8",
        "application/xhtml+xml",
    ] {
        let pair = Pair::before(talkative(content_type), "");
        for protocol in BOTH {
            let answer = pair.ask(protocol, &Ask::new("GET", "/mcp")).await;
            assert_eq!(
                answer.all("referrer-policy"),
                ["strict-origin-when-cross-origin"]
            );
            assert_eq!(
                answer.all("content-security-policy"),
                [
                    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                     img-src 'self' data:; connect-src 'self'; font-src 'self'; \
                     object-src 'none'; base-uri 'self'; form-action 'self'; \
                     frame-ancestors 'none'; upgrade-insecure-requests"
                ]
            );
            assert_eq!(answer.all("x-frame-options"), ["DENY"]);
        }
    }
    let pair = Pair::before(talkative("text/htmlx"), "");
    let answer = pair.ask(BOTH[0], &Ask::new("GET", "/mcp")).await;
    secured(&answer, "not HTML");
}

/// Never for names and addresses where it would pin every other local port to TLS.
// REQ: S-1
#[tokio::test]
async fn hsts_by_host() {
    let config = r#"hosts = ["mcp.example.com", "[2001:db8::1]", "192.0.2.1", "app.localhost", "mcp_server"]"#;
    let pair = Pair::before(talkative("application/json"), config);
    for (host, pinned) in [
        ("mcp.example.com", true),
        ("MCP.example.com.:443", true),
        ("mcp.example.com:8443", true),
        ("mcp_server", true),
        ("localhost", false),
        ("LOCALHOST:8443", false),
        ("localhost.", false),
        ("app.localhost", false),
        ("127.0.0.1", false),
        ("127.0.0.1:8443", false),
        ("[::1]", false),
        ("[::1]:8443", false),
        ("[2001:db8::1]", false),
        ("192.0.2.1", false),
    ] {
        for protocol in BOTH {
            let answer = pair.ask(protocol, &Ask::call().host(host)).await;
            pair.passed(&answer, host);
            let expected = pinned.then_some(HSTS);
            assert_eq!(
                answer.header("strict-transport-security"),
                expected,
                "{host}"
            );
        }
    }
    // Plain HTTP pins nothing (RFC 6797 section 7.2).
    let upstream = talkative("application/json");
    let builder = Palisade::builder().server(&upstream).config(config);
    let plain = builder.plain().start();
    let answer = plain
        .client()
        .ask(BOTH[0], &Ask::call().host("mcp.example.com"))
        .await;
    secured(&answer, "plain HTTP");
    assert_eq!(answer.all("strict-transport-security"), [""; 0]);
}

// REQ: S-1, S-3
#[tokio::test]
async fn keys_change_single_headers() {
    let (one, two) = (talkative("application/json"), talkative("application/json"));
    let palisade = Palisade::with(&format!(
        r#"
        hosts = ["mcp.example.com"]
        [headers]
        x_frame_options = "SAMEORIGIN"
        permissions_policy = false
        hsts = {{ max_age = 31536000, include_subdomains = true, preload = true }}
        keep = ["Origin-Agent-Cluster"]
        [[server]]
        name = "one"
        path = "/mcp"
        upstream = "{}"
        [[server]]
        name = "two"
        path = "/two"
        upstream = "{}"
        headers = {{ cross_origin_resource_policy = "cross-origin", hsts = false }}
        "#,
        one.url(),
        two.url()
    ));
    for protocol in BOTH {
        let ask = Ask::call().host("mcp.example.com");
        let answer = palisade.client().ask(protocol, &ask).await;
        assert_eq!(answer.all("x-frame-options"), ["SAMEORIGIN"]);
        assert_eq!(answer.all("cross-origin-resource-policy"), ["same-origin"]);
        let pin = "max-age=31536000; includeSubDomains; preload";
        assert_eq!(answer.all("strict-transport-security"), [pin]);
        assert_eq!(answer.all("origin-agent-cluster"), ["unsafe", "unsafer"]);
        let answer = palisade.client().ask(protocol, &ask.target("/two")).await;
        assert_eq!(answer.all("cross-origin-resource-policy"), ["cross-origin"]);
        assert_eq!(answer.all("x-frame-options"), ["SAMEORIGIN"]);
        // Without ours the upstream's own passes.
        assert_eq!(
            answer.all("strict-transport-security"),
            ["max-age=1; preload"]
        );
    }
    for hsts in [
        "{ max_age = 31536000, include_subdomains = false, preload = true }",
        "{ max_age = 60, preload = true }",
    ] {
        let ended = Palisade::builder()
            .config(&format!("headers.hsts = {hsts}"))
            .arguments(&["http://127.0.0.1:3000/mcp"])
            .fail();
        assert_eq!(ended.code, Some(2), "{hsts}: {}", ended.stderr);
        assert!(ended.stderr.contains("preload"), "{}", ended.stderr);
    }
}

// REQ: S-1, G-7
#[tokio::test]
async fn modes() {
    for mode in ["report", "off"] {
        let config = format!("headers.mode = \"{mode}\"");
        let pair = Pair::before(talkative("application/json"), &config);
        for protocol in BOTH {
            let answer = pair.ask(protocol, &Ask::call()).await;
            pair.passed(&answer, mode);
            assert_eq!(
                answer.all("x-frame-options"),
                ["unsafe", "unsafer"],
                "{mode}"
            );
            assert_eq!(answer.all("server"), ["Apache/2.4.1 (Unix)"], "{mode}");
            assert_eq!(answer.all("cache-control"), [""; 0], "{mode}");
        }
    }
}

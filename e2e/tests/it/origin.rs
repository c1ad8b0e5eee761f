//! H-3 and C-1, C-2: whose pages may call, over the wire.

use e2e::Shared;
use e2e::wire::{Ask, BOTH, Protocol};

use crate::judge::{Pair, granted, ungranted};

pub(crate) const CONFIG: &str = r#"
hosts = ["mcp.example.com", "named.example.com:9443"]
[cors]
origins = [
    "https://app.example.com",
    "https://*.tenant.example.com",
    "https://*.ports.example.com:8443",
    "https://port.example.com:8443",
    "http://127.0.0.1:6274",
    "http://lan.example.com:3000",
    "https://[2001:db8::1]",
    "https://xn--bcher-kva.example",
    "vscode-webview://1a2b3c",
    "chrome-extension://abcdefghijklmnop",
    "moz-extension://0000-1111",
]
origin_regexes = ['https://pr-[0-9]+\.preview\.example\.com', '^https://(red|blue)\.example\.com$']
"#;

pub(crate) static PAIR: Shared<Pair> = Shared::new(|| Pair::new(CONFIG));

/// Echoed as they came.
const ALLOWED: [&str; 22] = [
    "https://app.example.com",
    "https://app.example.com:443",
    "HTTPS://App.Example.COM",
    "https://a.tenant.example.com",
    "https://acme-42.tenant.example.com",
    "https://A.Tenant.Example.Com",
    "https://xn--bcher-kva.tenant.example.com",
    "https://a.tenant.example.com:443",
    "https://a.ports.example.com:8443",
    "https://port.example.com:8443",
    "http://127.0.0.1:6274",
    "http://lan.example.com:3000",
    "https://[2001:db8::1]",
    "https://[2001:DB8:0:0::1]:443",
    "https://xn--bcher-kva.example",
    "vscode-webview://1a2b3c",
    "chrome-extension://abcdefghijklmnop",
    "moz-extension://0000-1111",
    "https://pr-1.preview.example.com",
    "https://pr-20391.preview.example.com",
    "https://red.example.com",
    "https://blue.example.com",
];

/// 403 `origin.not_allowed`.
const FOREIGN: [&str; 63] = [
    "https://evil.example",
    "null",
    "NULL",
    // Look-alikes of an exact entry.
    "https://app.example.com.evil.example",
    "https://evilapp.example.com",
    "https://evil-app.example.com",
    "https://app.example.comevil.example",
    "https://app.example.co",
    "https://pp.example.com",
    "https://example.com",
    "https://sub.app.example.com",
    "https://appxexample.com",
    "https://app-example.com",
    "https://app_example.com",
    // Scheme and port.
    "http://app.example.com",
    "http://app.example.com:443",
    "https://app.example.com:8443",
    "https://app.example.com:80",
    "https://app.example.com:4430",
    "https://port.example.com",
    "https://port.example.com:443",
    "https://port.example.com:84",
    "http://port.example.com:8443",
    "https://127.0.0.1:6274",
    "http://127.0.0.1:6275",
    "http://127.0.0.1",
    "http://localhost:6274",
    "http://[::1]:6274",
    "http://[::ffff:127.0.0.1]:6274",
    "http://127.0.0.2:6274",
    "https://lan.example.com:3000",
    // Tenants: one label, of what DNS holds, by https, at the port of the entry.
    "https://tenant.example.com",
    "https://a.b.tenant.example.com",
    "https://atenant.example.com",
    "https://a-tenant.example.com",
    "https://a.tenant.example.com.evil.example",
    "https://a.tenant.example.comx",
    "https://under_score.tenant.example.com",
    "http://a.tenant.example.com",
    "https://a.tenant.example.com:8443",
    "https://a.ports.example.com",
    "https://a.ports.example.com:443",
    // IPv6.
    "https://[2001:db8::2]",
    "http://[2001:db8::1]",
    "https://[2001:db8::1]:8443",
    // Extensions are compared as written.
    "vscode-webview://1A2B3C",
    "vscode-webview://1a2b3c4",
    "vscode-webview://1a2b3",
    "chrome-extension://abcdefghijklmnoq",
    "moz-extension://abcdefghijklmnop",
    "safari-web-extension://abcdefghijklmnop",
    // Regular expressions are anchored, and see only what is well formed.
    "https://pr-1.preview.example.com.evil.example",
    "https://evil.pr-1.preview.example.com",
    "https://pr-.preview.example.com",
    "https://pr-1xpreview.example.com",
    "http://pr-1.preview.example.com",
    "https://pr-1.preview.example.com:8443",
    "https://redblue.example.com",
    "https://red.example.com.evil.example",
    // They see it as it was written; browsers write lower case, and no default port.
    "https://pr-7.preview.example.com:443",
    "https://BLUE.example.com",
    // Not ours: the port or the scheme differs.
    "http://mcp.example.com",
    "https://localhost",
];

/// 403 `origin.malformed`.
const MALFORMED: [&str; 41] = [
    "",
    "app.example.com",
    "https:app.example.com",
    "https:/app.example.com",
    "//app.example.com",
    "https://",
    "https:///",
    "https://app.example.com/",
    "https://app.example.com/path",
    "https://app.example.com?",
    "https://app.example.com#",
    "https://app.example.com.",
    "https://a.tenant.example.com.",
    "https://app.example.com:",
    "https://app.example.com:0",
    "https://app.example.com:0443",
    "https://app.example.com:65536",
    "https://app.example.com:https",
    "https://user@app.example.com",
    "https://app.example.com@evil.example",
    "https://evil.example\\app.example.com",
    "https://app.example.com%2eevil.example",
    "https://app.example.com%00.evil.example",
    "https://app.example.com evil.example",
    "https://app.example.com https://evil.example",
    "https://app.example.com, https://app.example.com",
    "https://app.example.com,https://evil.example",
    "https://*.tenant.example.com",
    "https://*",
    "*",
    "https://127.1",
    "https://0x7f.0.0.1",
    "https://[2001:db8::1",
    "https://2001:db8::1",
    "https://b\u{fc}cher.example",
    "https://app.example.com\u{ff0e}",
    "file://app.example.com",
    "data://app.example.com",
    "javascript://app.example.com",
    "Chrome-Extension://abcdefghijklmnop",
    "https://a,b.tenant.example.com",
];

// REQ: H-3, C-1, C-2, C-7, G-15
#[tokio::test]
async fn allowed_origins_are_echoed() {
    let pair = PAIR.get();
    for origin in ALLOWED {
        for protocol in BOTH {
            let row = format!("{origin} {protocol:?}");
            let answer = pair.ask(protocol, &Ask::call().origin(origin)).await;
            let arrived = pair.passed(&answer, &row);
            assert_eq!(arrived.all("origin"), [""; 0], "{row}");
            granted(&answer, origin, &row);
            assert_eq!(answer.all("access-control-allow-credentials"), [""; 0]);
            assert!(answer.lists("access-control-expose-headers", "mcp-session-id"));

            let answer = pair.ask(protocol, &Ask::preflight(origin, "POST")).await;
            assert_eq!(answer.status, 204, "{row}: {answer:?}");
            granted(&answer, origin, &row);
            assert_eq!(pair.upstream.of_case(&answer.case), [], "{row}");
        }
    }
}

// REQ: H-3, C-1, C-2, C-3
#[tokio::test]
async fn other_origins_are_refused() {
    let pair = PAIR.get();
    for (list, reason) in [
        (&FOREIGN[..], "origin.not_allowed"),
        (&MALFORMED, "origin.malformed"),
    ] {
        for origin in list {
            for protocol in BOTH {
                let row = format!("{origin} {protocol:?}");
                let answer = pair.ask(protocol, &Ask::call().origin(origin)).await;
                pair.refused(&answer, 403, reason, &row);
                ungranted(&answer, &row);
                assert!(answer.lists("vary", "origin"), "{row}");
                assert!(origin.len() < 5 || !answer.text().contains(origin), "{row}");

                let answer = pair.ask(protocol, &Ask::preflight(origin, "POST")).await;
                pair.refused(&answer, 403, "cors.preflight_refused", &row);
                ungranted(&answer, &row);
                assert!(answer.lists("vary", "origin"), "{row}");
            }
        }
    }
}

// REQ: H-3
#[tokio::test]
async fn two_origins_are_refused() {
    let pair = PAIR.get();
    for pair_of in [
        ["https://app.example.com", "https://app.example.com"],
        ["https://app.example.com", "https://evil.example"],
        ["https://evil.example", "https://app.example.com"],
        ["https://app.example.com", ""],
        ["", "https://app.example.com"],
        ["null", "https://app.example.com"],
    ] {
        for protocol in BOTH {
            let row = format!("{pair_of:?} {protocol:?}");
            let ask = Ask::call().origin(pair_of[0]).origin(pair_of[1]);
            let answer = pair.ask(protocol, &ask).await;
            pair.refused(&answer, 403, "origin.malformed", &row);
            ungranted(&answer, &row);
            let ask = Ask::preflight(pair_of[0], "POST").origin(pair_of[1]);
            let answer = pair.ask(protocol, &ask).await;
            pair.refused(&answer, 403, "cors.preflight_refused", &row);
            ungranted(&answer, &row);
        }
    }
}

/// Every method of every MCP transport, not POST alone.
// REQ: H-3
#[tokio::test]
async fn every_method_and_path_is_guarded() {
    let pair = PAIR.get();
    for protocol in BOTH {
        for target in ["/mcp", "/mcp/messages", "/mcp?session=1"] {
            for method in ["GET", "DELETE", "OPTIONS", "PUT", "PATCH"] {
                let row = format!("{method} {target} {protocol:?}");
                let evil = Ask::new(method, target).origin("https://evil.example");
                let answer = pair.ask(protocol, &evil).await;
                pair.refused(&answer, 403, "origin.not_allowed", &row);
                ungranted(&answer, &row);
                let answer = pair.ask(protocol, &Ask::new(method, target)).await;
                pair.passed(&answer, &row);
                ungranted(&answer, &row);
            }
        }
        let head = Ask::new("HEAD", "/mcp").origin("https://evil.example");
        let answer = pair.ask(protocol, &head).await;
        assert_eq!(answer.status, 403);
        assert_eq!(pair.upstream.of_case(&answer.case), []);
    }
}

/// No `Origin`: curl, servers, SDK clients.
// REQ: H-3, C-1
#[tokio::test]
async fn without_an_origin_it_passes_and_caches_know() {
    let pair = PAIR.get();
    for protocol in BOTH {
        let answer = pair.ask(protocol, &Ask::call()).await;
        pair.passed(&answer, "no origin");
        ungranted(&answer, "no origin");
        assert!(answer.lists("vary", "origin"));
        // Fetch metadata without Origin says nothing that an attacker's page could not avoid.
        let ask = Ask::call().field("sec-fetch-site", "same-origin");
        let answer = pair.ask(protocol, &ask).await;
        let arrived = pair.passed(&answer, "sec-fetch-site");
        assert_eq!(arrived.all("sec-fetch-site"), [""; 0]);
    }
}

/// Pages that the gateway itself serves call it without being listed; CORS does not concern
/// them.
// REQ: H-3
#[tokio::test]
async fn its_own_origins_are_allowed() {
    let pair = PAIR.get();
    let port = pair.palisade.port();
    for (origin, own) in [
        ("https://mcp.example.com".to_owned(), true),
        (format!("https://mcp.example.com:{port}"), true),
        ("https://named.example.com:9443".to_owned(), true),
        (format!("https://localhost:{port}"), true),
        (format!("https://127.0.0.1:{port}"), true),
        (format!("https://[::1]:{port}"), true),
        (format!("http://localhost:{port}"), false),
        (format!("http://mcp.example.com:{port}"), false),
        (format!("https://named.example.com:{port}"), false),
        ("https://named.example.com".to_owned(), false),
        ("https://mcp.example.com:1".to_owned(), false),
    ] {
        for protocol in BOTH {
            let answer = pair.ask(protocol, &Ask::call().origin(&origin)).await;
            if own {
                pair.passed(&answer, &origin);
            } else {
                pair.refused(&answer, 403, "origin.not_allowed", &origin);
            }
            ungranted(&answer, &origin);
        }
    }
}

// REQ: H-3, G-7, L-1
#[tokio::test]
async fn modes() {
    for mode in ["report", "off"] {
        let pair = Pair::new(&format!(
            "origin.mode = \"{mode}\"\n[cors]\norigins = [\"https://app.example.com\"]"
        ));
        for (origin, reason) in [
            ("https://evil.example", Some("origin.not_allowed")),
            ("null", Some("origin.not_allowed")),
            ("https://app.example.com/", Some("origin.malformed")),
            ("https://app.example.com", None),
        ] {
            for protocol in BOTH {
                let row = format!("{mode} {origin} {protocol:?}");
                let answer = pair.ask(protocol, &Ask::call().origin(origin)).await;
                let arrived = pair.passed(&answer, &row);
                // Nobody here enforces, so the upstream's own check is not disarmed.
                assert_eq!(arrived.all("origin"), [origin], "{row}");
                let record = pair.palisade.record_of(&answer);
                let reported = record["reported"].as_array().cloned().unwrap_or_default();
                let expected = reason.filter(|_| mode == "report");
                assert_eq!(reported, expected.into_iter().collect::<Vec<_>>(), "{row}");
                // No mode grants what is not allowed.
                match reason {
                    Some(_) => ungranted(&answer, &row),
                    None => granted(&answer, origin, &row),
                }
            }
        }
    }
}

// REQ: H-3, L-1
#[tokio::test]
async fn a_refusal_is_recorded_with_the_line_that_would_allow_it() {
    let pair = PAIR.get();
    let ask = Ask::call().origin("https://forgotten.example:8443");
    let answer = pair.ask(Protocol::Http2, &ask).await;
    let record = pair.palisade.record_of(&answer);
    assert_eq!(record["reason"], "origin.not_allowed");
    assert_eq!(
        (&record["outcome"], &record["status"]),
        (&"denied".into(), &403.into())
    );
    let error = record["error"].as_str().unwrap();
    let remedy = "add \"https://forgotten.example:8443\" to cors.origins";
    assert!(error.contains(remedy), "{error}");
}

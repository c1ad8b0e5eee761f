use super::*;

fn pattern(text: &str) -> HostPattern {
    HostPattern::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
}

fn matches(pattern_text: &str, host: &str, port: u16) -> bool {
    let host = Host::parse(host).expect(host);
    pattern(pattern_text).matches(&host, port, |port| matches!(port, 80 | 443))
}

// REQ: E-5
#[test]
fn patterns_match_on_label_boundaries_and_ports() {
    let cases = [
        ("api.example.com", "api.example.com", 443, true),
        ("API.Example.COM.", "api.example.com", 80, true),
        ("api.example.com", "API.EXAMPLE.COM.", 443, true),
        ("api.example.com", "api.example.com", 8443, false),
        ("api.example.com", "x.api.example.com", 443, false),
        ("api.example.com", "xapi.example.com", 443, false),
        ("api.example.com", "example.com", 443, false),
        (
            "api.example.com",
            "api.example.com.evil.example",
            443,
            false,
        ),
        ("api.example.com:8443", "api.example.com", 8443, true),
        ("api.example.com:8443", "api.example.com", 443, false),
        ("api.example.com:*", "api.example.com", 1, true),
        ("*.example.com", "api.example.com", 443, true),
        ("*.example.com", "a.b.example.com", 443, true),
        ("*.example.com", "example.com", 443, false),
        ("*.example.com", "evilexample.com", 443, false),
        ("*.example.com", "api.example.com.evil.example", 443, false),
        ("*.example.com:8443", "api.example.com", 8443, true),
        ("*.example.com:8443", "api.example.com", 443, false),
        ("bücher.example", "xn--bcher-kva.example", 443, true),
        ("*.bücher.example", "a.xn--bcher-kva.example", 443, true),
        ("93.184.216.34", "93.184.216.34", 443, true),
        ("93.184.216.34", "93.184.216.35", 443, false),
        ("93.184.216.34:8080", "93.184.216.34", 8080, true),
        ("[2606:2800::1]:443", "[2606:2800::1]", 443, true),
        ("[2606:2800::1]", "[2606:2800:0::1]", 80, true),
        ("[::ffff:8.8.8.8]", "8.8.8.8", 443, true),
        ("localhost", "localhost", 80, true),
        ("db", "db", 80, true),
        ("github.io", "github.io", 443, true),
    ];
    for (pattern, host, port, expected) in cases {
        assert_eq!(
            matches(pattern, host, port),
            expected,
            "{pattern} {host}:{port}"
        );
    }
}

// REQ: E-5
#[test]
fn patterns_that_say_too_much_or_nothing_are_refused() {
    let cases = [
        "",
        " ",
        "*",
        "*:443",
        "*.",
        "*.*",
        "*.com",
        "*.co.uk",
        "*.github.io",
        "*.localhost:x",
        "com",
        "co.uk",
        "api.*.com",
        "a*.example.com",
        "*example.com",
        "**.example.com",
        "https://example.com",
        "example.com/path",
        "//example.com",
        "user@example.com",
        "example.com:",
        "example.com:0",
        "example.com:65536",
        "example.com:+443",
        "example.com:0443",
        "example.com:http",
        "exam ple.com",
        "example..com",
        ".example.com",
        "127.1",
        "0x7f.0.0.1",
        "010.8.8.8",
        "2606:2800::1",
        "[2606:2800::1",
        "[::1%25lo]",
        "*.10.0.0.1",
        "10.0.0.0/8",
        "example.com\0",
        "example.com\n",
        "*.[::1]",
    ];
    for text in cases {
        let fault = HostPattern::parse(text).expect_err(text);
        assert!(!fault.0.is_empty() && !fault.1.is_empty());
    }
}

#[test]
fn patterns_print_as_they_are_meant() {
    for (text, printed) in [
        ("API.example.com.:8443", "api.example.com:8443"),
        ("*.Example.com", "*.example.com"),
        ("example.com:*", "example.com:*"),
        ("[2606:2800:0:0::1]:443", "[2606:2800::1]:443"),
        ("93.184.216.34", "93.184.216.34"),
    ] {
        assert_eq!(pattern(text).to_string(), printed);
        assert_eq!(pattern(printed), pattern(text));
    }
}

#[test]
fn special_entries() {
    let exact = |text: &str| Special::Exact(text.parse().expect(text));
    let range = |text: &str, port| Special::Range(text.parse().expect(text), port);
    let cases = [
        ("127.0.0.1:3000", exact("127.0.0.1:3000")),
        ("[::1]:3000", exact("[::1]:3000")),
        ("[::ffff:10.0.0.1]:80", exact("10.0.0.1:80")),
        ("10.0.0.5", range("10.0.0.5/32", None)),
        ("fd00::5", range("fd00::5/128", None)),
        ("10.0.0.0/8", range("10.0.0.0/8", None)),
        ("10.1.0.0/16:5432", range("10.1.0.0/16", Some(5432))),
        ("[fd00::/8]:5432", range("fd00::/8", Some(5432))),
        ("fc00::/7", range("fc00::/7", None)),
    ];
    for (text, expected) in cases {
        assert_eq!(Special::parse(text), Ok(expected), "{text}");
    }
    for text in [
        "",
        "localhost:80",
        "10.0.0.1:0",
        "[::1]:0",
        "10.0.0.1:99999",
        "10.0.0.5/8",
        "0.0.0.0/0",
        "0.0.0.0/7",
        "::/0",
        "fc00::/6",
        "::ffff:10.0.0.0/104",
        "10.0.0.0/33",
        "010.0.0.1:80",
        "10.0.0.0/8:0",
        "10.0.0.0/8:x",
        "*",
        "example.com",
        "0.0.0.0/0:80",
    ] {
        Special::parse(text).expect_err(text);
    }
}

#[test]
fn nat64_prefixes() {
    nat64("2001:db8:64::/96").expect("a prefix");
    for text in [
        "",
        "64:ff9b::1/96",
        "64:ff9b::/97",
        "10.0.0.0/8",
        "64:ff9b::",
    ] {
        nat64(text).expect_err(text);
    }
}

#[test]
fn an_error_names_key_entry_cause_and_remedy() {
    let error = read("egress", "*", HostPattern::parse).expect_err("a bare star");
    assert_eq!(
        error.to_string(),
        "`egress` entry \"*\": a `*` may only stand for whole labels at the front; \
         write `*.domain.example`, or leave the key `egress` out for the public internet"
    );
}

use super::*;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, Request};

fn judge(head: http::request::Builder) -> Option<Rejection> {
    let (mut head, ()) = head.body(()).unwrap().into_parts();
    Sanity::default().admit(&mut head).err()
}

fn reason(head: http::request::Builder) -> Option<Reason> {
    judge(head).map(|rejection| rejection.reason())
}

fn closes(rejection: Rejection) -> bool {
    let (head, ()) = Request::new(()).into_parts();
    rejection
        .into_response(&head)
        .headers()
        .contains_key("connection")
}

// REQ: R-3, G-13
#[test]
fn methods_and_upgrades() {
    for (method, carried) in [
        ("GET", true),
        ("HEAD", true),
        ("POST", true),
        ("PUT", true),
        ("PATCH", true),
        ("DELETE", true),
        ("OPTIONS", true),
        ("TRACE", false),
        ("CONNECT", false),
        ("get", false),
        ("Post", false),
        ("PROPFIND", false),
        ("QUERY", false),
        ("PRI", false),
        ("GETT", false),
    ] {
        let rejection = judge(Request::builder().method(method));
        let expected = (!carried).then_some(Reason::RequestMethod);
        assert_eq!(
            rejection.as_ref().map(Rejection::reason),
            expected,
            "{method}"
        );
        assert!(rejection.is_none_or(closes), "{method}");
    }
    for (offers, carried) in [
        (&["h2c"][..], true),
        (&["TLS/1.0, HTTP/1.1"], true),
        (&["websocket2"], true),
        (&["websocket"], false),
        (&["WebSocket"], false),
        (&["h2c, websocket"], false),
        (&["websocket/13"], false),
        (&["h2c", "websocket"], false),
    ] {
        let mut head = Request::builder();
        for offer in offers {
            head = head.header(UPGRADE, *offer);
        }
        let expected = (!carried).then_some(Reason::RequestMethod);
        assert_eq!(reason(head), expected, "{offers:?}");
    }
}

// REQ: R-3
#[test]
fn framing_means_one_thing() {
    const V1: Version = Version::HTTP_11;
    const V0: Version = Version::HTTP_10;
    const V2: Version = Version::HTTP_2;
    for (version, lengths, codings, fine) in [
        (V1, &[][..], &[][..], true),
        (V1, &["0"], &[], true),
        (V1, &["5"], &[], true),
        (V1, &["005"], &[], true),
        (V1, &["999999999999999999"], &[], true),
        (V2, &["5"], &[], true),
        (V0, &["5"], &[], true),
        (V1, &[], &["chunked"], true),
        (V1, &[], &["Chunked"], true),
        (V1, &["5", "5"], &[], false),
        (V1, &["5", "6"], &[], false),
        (V2, &["5", "5"], &[], false),
        (V1, &["5, 5"], &[], false),
        (V1, &["5,"], &[], false),
        (V1, &["+5"], &[], false),
        (V1, &["-5"], &[], false),
        (V1, &["0x5"], &[], false),
        (V1, &["5 "], &[], false),
        (V1, &[" 5"], &[], false),
        (V1, &["5 6"], &[], false),
        (V1, &["5.0"], &[], false),
        (V1, &["1_0"], &[], false),
        (V1, &[""], &[], false),
        (V1, &["1000000000000000000"], &[], false),
        (V1, &["18446744073709551621"], &[], false),
        (V1, &["5"], &["chunked"], false),
        (V1, &["0"], &["chunked"], false),
        (V1, &["5"], &["identity"], false),
        (V1, &[], &["chunked", "chunked"], false),
        (V1, &[], &["gzip, chunked"], false),
        (V1, &[], &["chunked, identity"], false),
        (V1, &[], &["identity"], false),
        (V1, &[], &["xchunked"], false),
        (V1, &[], &["chunked "], false),
        (V1, &[], &["\tchunked"], false),
        (V1, &[], &["chunked;q=1"], false),
        (V1, &[], &[""], false),
        (V0, &[], &["chunked"], false),
        (V2, &[], &["chunked"], false),
    ] {
        let mut head = Request::builder().method("POST").version(version);
        for length in lengths {
            head = head.header(CONTENT_LENGTH, *length);
        }
        for coding in codings {
            head = head.header(TRANSFER_ENCODING, *coding);
        }
        let rejection = judge(head);
        let expected = (!fine).then_some(Reason::RequestMalformed);
        let got = rejection.as_ref().map(Rejection::reason);
        assert_eq!(got, expected, "{version:?} {lengths:?} {codings:?}");
        assert!(rejection.is_none_or(closes));
    }
    let old = Request::builder().version(Version::HTTP_09);
    assert_eq!(reason(old), Some(Reason::RequestMalformed));
    assert_eq!(reason(Request::builder().version(V0)), None);
    assert_eq!(reason(Request::builder().version(Version::HTTP_3)), None);
}

// REQ: R-3
#[test]
fn doubles_and_confusable_names() {
    for (fields, fine) in [
        (&[("content-type", "a"), ("content-type", "a")][..], false),
        (&[("authorization", "a"), ("authorization", "b")], false),
        (&[("accept", "a"), ("accept", "b")], true),
        (&[("x-own", " a")], false),
        (&[("x-own", "a ")], false),
        (&[("x-own", "\ta")], false),
        (&[("x-own", "a\t")], false),
        (&[("x-own", " ")], false),
        (&[("x-own", "a\t b")], true),
        (&[("x-own", "")], true),
        (&[("cookie", "a"), ("cookie", "b")], true),
        (&[("content_length", "1")], false),
        (&[("transfer_encoding", "chunked")], false),
        (&[("content_type", "a")], false),
        (&[("x_forwarded_for", "::1")], false),
        (&[("x-forwarded_for", "::1")], false),
        (&[("x_real-ip", "::1")], false),
        (&[("mcp_session_id", "s")], false),
        (&[("mcp-session_id", "s")], false),
        (&[("access_control_request_method", "s")], false),
        (&[("x_palisade_caller", "root")], false),
        (&[("x-palisade_caller", "root")], false),
        (&[("x.palisade.assertion", "root")], false),
        (&[("x~palisade!scopes", "root")], false),
        (&[("x-palisade-caller", "root")], true),
        (&[("ssl_client_verify", "SUCCESS")], false),
        (&[("x_client_cert", "a")], false),
        (&[("x.forwarded.client.cert", "a")], false),
        (&[("cf_connecting_ip", "::1")], false),
        (&[("fastly_client_ip", "::1")], false),
        (&[("x_cluster_client_ip", "::1")], false),
        (&[("accept_encoding", "gzip")], false),
        (&[("palisade_caller", "root")], true),
        (&[("x_palisades", "a")], true),
        (&[("x.own", "a")], true),
        (&[("api_key", "a")], true),
        (&[("x_custom", "a")], true),
        (&[("_", "a")], true),
        (&[("hos_", "a")], true),
        (&[("mcp-param-tenant_id", "a")], true),
        (&[("mcp_param-tenant", "a")], false),
        (&[("x-forwarded-for", "::1")], true),
        (&[("last_event_id", "1")], false),
        (&[("last-event-id", "1")], true),
        (&[("proxy", "http://evil.example")], false),
        (&[("proxy_", "a")], true),
        (&[("expect", "100-continue")], true),
        (&[("expect", "100-Continue")], true),
        (&[("expect", "")], true),
        (
            &[("expect", "100-continue"), ("expect", "100-continue")],
            false,
        ),
        (&[("expect", "100-continue, 100-continue")], false),
        (&[("expect", "y 100-continue")], false),
        (&[("expect", "100-continue;a=b")], false),
        (&[("expect", "\"100-continue\"")], false),
        (&[("expect", "100")], false),
        (&[("expect", "teapot")], false),
    ] {
        let mut head = Request::builder();
        for (name, value) in fields {
            head = head.header(*name, *value);
        }
        let expected = (!fine).then_some(Reason::RequestMalformed);
        assert_eq!(reason(head), expected, "{fields:?}");
    }
}

/// Refuses for everything below `/asks`.
#[derive(Debug)]
struct Asks;

impl Challenger for Asks {
    fn refuse(&self, head: &Parts, fault: CredentialFault) -> Option<Rejection> {
        let asks = head.uri.path() == "/asks";
        asks.then(|| Rejection::new(Reason::AuthInvalid).with_detail(format_args!("{fault:?}")))
    }
}

// REQ
#[test]
fn who_asks_for_credentials_answers_for_a_faulty_one() {
    use Reason::{AuthInvalid, RequestHeaderTooLarge, RequestMalformed, RequestMethod};
    let sanity = Sanity::default().max_bytes(300).challenger(Arc::new(Asks));
    let long = "x".repeat(290);
    let short = "x".repeat(10);
    let token = |value: &str| ("authorization", value.to_owned());
    let other = |value: &str| ("cookie", value.to_owned());
    for (name, fields, asked, unasked) in [
        ("one", vec![token(&short)], None, None),
        (
            "two",
            vec![token(&short), token(&short)],
            Some(AuthInvalid),
            Some(RequestMalformed),
        ),
        (
            "three",
            vec![token(&short), token("y"), token("z")],
            Some(AuthInvalid),
            Some(RequestMalformed),
        ),
        (
            "long",
            vec![token(&long), other(&short)],
            Some(AuthInvalid),
            Some(RequestHeaderTooLarge),
        ),
        (
            "long together",
            vec![token(&long[..150]), token(&long[..150])],
            Some(AuthInvalid),
            Some(RequestHeaderTooLarge),
        ),
        (
            "another is long",
            vec![token(&short), other(&long)],
            Some(RequestHeaderTooLarge),
            Some(RequestHeaderTooLarge),
        ),
        (
            "two, and something else",
            vec![
                token(&short),
                token(&short),
                ("content-length", "x".to_owned()),
            ],
            Some(RequestMalformed),
            Some(RequestMalformed),
        ),
    ] {
        for (path, expected) in [("/asks", asked), ("/none", unasked)] {
            let mut head = Request::builder().uri(path);
            for (name, value) in &fields {
                head = head.header(*name, value);
            }
            let (mut head, ()) = head.body(()).unwrap().into_parts();
            let rejection = sanity.admit(&mut head).err();
            let reason = rejection.as_ref().map(Rejection::reason);
            assert_eq!(reason, expected, "{name} {path}");
            assert!(rejection.is_none_or(closes), "{name} {path}");
            // Without anybody who asks it is as if nobody did.
            let alone = Sanity::default().max_bytes(300).admit(&mut head).err();
            assert_eq!(alone.map(|rejection| rejection.reason()), unasked, "{name}");
        }
    }
    // What a server's own parser found.
    for (malformed, asked, unasked) in [
        (
            Malformed::CredentialTooLarge("x"),
            AuthInvalid,
            RequestHeaderTooLarge,
        ),
        (
            Malformed::TooLarge("x"),
            RequestHeaderTooLarge,
            RequestHeaderTooLarge,
        ),
        (Malformed::Syntax("x"), RequestMalformed, RequestMalformed),
    ] {
        for (path, expected) in [("/asks", asked), ("/none", unasked)] {
            let head = Request::builder().uri(path).extension(malformed);
            let (mut head, ()) = head.body(()).unwrap().into_parts();
            let rejection = sanity.admit(&mut head).err().unwrap();
            assert_eq!(rejection.reason(), expected, "{malformed:?} {path}");
            assert!(closes(rejection), "{malformed:?} {path}");
        }
    }
    let traced = Request::builder().method("TRACE").uri("/asks");
    let traced = traced
        .header("authorization", "a")
        .header("authorization", "b");
    let (mut traced, ()) = traced.body(()).unwrap().into_parts();
    let rejection = sanity.admit(&mut traced).err().unwrap();
    assert_eq!(rejection.reason(), RequestMethod);
}

// REQ: R-3
#[test]
fn sizes_to_the_byte() {
    let with = |fields: usize, value: usize| {
        let mut head = Request::builder().uri("/mcp?q");
        for field in 0..fields {
            head = head.header(format!("x-{field:03}"), "v".repeat(value));
        }
        head.body(()).unwrap().into_parts().0
    };
    let sanity = Sanity::default().max_fields(3).max_bytes(6 + 3 * 19);
    for (fields, value, expected) in [
        (3, 10, None),
        (3, 11, Some("limits.header_bytes")),
        (4, 1, Some("limits.header_count")),
        (2, 25, Some("limits.header_bytes")),
        (0, 0, None),
    ] {
        let rejection = sanity.admit(&mut with(fields, value)).err();
        assert_eq!(rejection.is_some(), expected.is_some(), "{fields} {value}");
        if let (Some(rejection), Some(setting)) = (rejection, expected) {
            assert_eq!(rejection.reason(), Reason::RequestHeaderTooLarge);
            assert!(
                rejection.remedy().contains(setting),
                "{}",
                rejection.remedy()
            );
        }
    }
    let mut long = Request::new(()).into_parts().0;
    long.uri = format!("/mcp?{}", "q".repeat(64)).parse().unwrap();
    assert!(sanity.admit(&mut long).is_err());
    let mut usual = with(100, 200);
    assert!(Sanity::default().admit(&mut usual).is_ok());
    assert!(Sanity::default().admit(&mut with(101, 1)).is_err());
}

// REQ: G-15
#[test]
fn targets() {
    for (method, target, fine) in [
        ("POST", "/mcp", true),
        ("POST", "/mcp?a=/../%2e%2e//;%00", true),
        ("POST", "https://a.example/mcp", true),
        ("POST", "https://a.example", true),
        ("POST", "https://a.example//mcp", false),
        ("OPTIONS", "*", true),
        ("POST", "*", false),
        ("POST", "/a/../mcp", false),
        ("POST", "/%2e%2e/mcp", false),
        ("POST", "a.example:443", false),
    ] {
        let got = reason(Request::builder().method(method).uri(target));
        let expected = (!fine).then_some(Reason::RequestPathAmbiguous);
        assert_eq!(got, expected, "{method} {target}");
    }
    for query in ["\u{e9}", "a=\u{ff0f}", "a=b&\u{2028}"] {
        let mut head = Request::new(()).into_parts().0;
        head.version = Version::HTTP_2;
        let target = format!("https://a.example/mcp?{query}").into_bytes();
        head.uri = http::Uri::from_maybe_shared(target).unwrap();
        let rejection = Sanity::default().admit(&mut head).unwrap_err();
        assert_eq!(rejection.reason(), Reason::RequestMalformed, "{query}");
    }
    for scheme in ["ftp", "file", "javascript", "wss"] {
        let got = reason(Request::builder().uri(format!("{scheme}://a.example/mcp")));
        assert_eq!(got, Some(Reason::RequestMalformed), "{scheme}");
    }
}

#[test]
fn the_types_hold_nothing_that_could_break_a_head() {
    for byte in 0..=u8::MAX {
        let value = HeaderValue::from_bytes(&[byte]);
        let fine = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        assert_eq!(value.is_ok(), fine, "{byte:#x}");
        // The first is HTTP/1.1's, the second HTTP/2's; long names take another way.
        let long = [&[b'x'; 80][..], &[byte]].concat();
        for name in [
            HeaderName::from_bytes(&[byte]),
            HeaderName::from_lowercase(&[byte]),
            HeaderName::from_bytes(&long),
            HeaderName::from_lowercase(&long),
        ] {
            let Ok(name) = name else { continue };
            let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            let refused = reason(Request::builder().header(&name, "a"));
            let expected = (!token).then_some(Reason::RequestMalformed);
            assert_eq!(refused, expected, "{name:?}");
            assert!(token || byte == b'"', "{name:?}");
        }
    }
}

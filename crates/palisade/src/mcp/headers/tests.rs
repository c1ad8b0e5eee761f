use http::{HeaderMap, HeaderName, HeaderValue};

use super::Agreement::{Agrees, Differs, Missing, NotApplicable, Repeated, Undecodable};
use super::MirrorHeader::{Method, Name, ProtocolVersion};
use super::*;
use crate::mcp::message::{Limits, Payload, read};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

fn map(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
    }
    map
}

fn judge(body: &str, pairs: &[(&str, &str)]) -> Agreement {
    let Payload::Single(message) = read(body.as_bytes(), &Limits::default()).unwrap() else {
        panic!()
    };
    agreement(&map(pairs), &message)
}

fn call(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{META}}}}}"#)
}

// REQ: G-2, G-14
#[test]
fn a_modern_notification() {
    let method = "notifications/cancelled";
    let body =
        format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"requestId":1,{META}}}}}"#);
    let version = ("mcp-protocol-version", "2026-07-28");
    let right = ("mcp-method", method);
    let table: &[(&[(&str, &str)], Agreement)] = &[
        (&[version, right], Agrees),
        (&[version], Agrees),
        (&[right], Missing(ProtocolVersion)),
        (&[version, right, right], Repeated(Method)),
        (&[version, ("mcp-method", "tools/call")], Differs(Method)),
        (&[version, ("mcp-method", "")], Differs(Method)),
        (&[version, ("mcp-method", "\u{fc}")], Undecodable(Method)),
    ];
    for (pairs, expected) in table {
        assert_eq!(judge(&body, pairs), *expected, "{pairs:?}");
    }
}

// REQ: G-14
#[test]
fn a_modern_call() {
    let body = call("tools/call", r#""name":"echo","#);
    let version = ("MCP-Protocol-Version", "2026-07-28");
    let method = ("Mcp-Method", "tools/call");
    let name = ("Mcp-Name", "echo");
    let table: &[(&[(&str, &str)], Agreement)] = &[
        (&[version, method, name], Agrees),
        (
            &[
                ("mcp-protocol-version", "2026-07-28"),
                ("MCP-METHOD", "tools/call"),
                ("mcp-name", "echo"),
            ],
            Agrees,
        ),
        (&[version, method, ("Mcp-Name", "  echo\t")], Agrees),
        (
            &[version, method, ("Mcp-Name", "=?base64?ZWNobw==?=")],
            Agrees,
        ),
        (
            &[version, ("Mcp-Method", "=?base64?dG9vbHMvY2FsbA==?="), name],
            Agrees,
        ),
        (&[version, method, name, ("Mcp-Param-X", "1")], Agrees),
        (&[], Missing(ProtocolVersion)),
        (&[method, name], Missing(ProtocolVersion)),
        (&[version, name], Missing(Method)),
        (&[version, method], Missing(Name)),
        (&[version, version, method, name], Repeated(ProtocolVersion)),
        (&[version, method, method, name], Repeated(Method)),
        (&[version, method, name, name], Repeated(Name)),
        (
            &[version, method, name, ("Mcp-Name", "delete")],
            Repeated(Name),
        ),
        (
            &[("MCP-Protocol-Version", "2025-11-25"), method, name],
            Differs(ProtocolVersion),
        ),
        (
            &[version, ("Mcp-Method", "tools/list"), name],
            Differs(Method),
        ),
        (
            &[version, ("Mcp-Method", "TOOLS/CALL"), name],
            Differs(Method),
        ),
        (&[version, method, ("Mcp-Name", "Echo")], Differs(Name)),
        (
            &[version, method, ("Mcp-Name", "echo, echo")],
            Differs(Name),
        ),
        (&[version, method, ("Mcp-Name", "")], Differs(Name)),
        (
            &[version, method, ("Mcp-Name", "=?BASE64?ZWNobw==?=")],
            Differs(Name),
        ),
        (
            &[version, method, ("Mcp-Name", "=?base64?ZWNobw==")],
            Differs(Name),
        ),
        (&[version, method, ("Mcp-Name", "ZWNobw==")], Differs(Name)),
        (
            &[version, method, ("Mcp-Name", "=?base64?ZGVsZXRl?=")],
            Differs(Name),
        ),
        (
            &[version, method, ("Mcp-Name", "=?base64?ZWNobw?=")],
            Undecodable(Name),
        ),
        (
            &[version, method, ("Mcp-Name", "=?base64?ZWNobx==?=")],
            Undecodable(Name),
        ),
        (
            &[version, method, ("Mcp-Name", "=?base64?ZW!obw==?=")],
            Undecodable(Name),
        ),
        (
            &[version, method, ("Mcp-Name", "\u{e9}cho")],
            Undecodable(Name),
        ),
    ];
    for (headers, expected) in table {
        assert_eq!(judge(&body, headers), *expected, "{headers:?}");
    }
}

// REQ: G-14
#[test]
fn what_is_mirrored() {
    let version = ("MCP-Protocol-Version", "2026-07-28");
    let table = [
        ("tools/list", "", None, Agrees),
        ("tools/list", "", Some("anything"), Agrees),
        ("prompts/get", r#""name":"p","#, Some("p"), Agrees),
        ("prompts/get", r#""name":"p","#, Some("q"), Differs(Name)),
        ("prompts/get", r#""name":"p","#, None, Missing(Name)),
        (
            "resources/read",
            r#""uri":"file:///a b","#,
            Some("file:///a b"),
            Agrees,
        ),
        ("resources/read", r#""uri":"u","#, None, Missing(Name)),
        ("tools/call", "", None, Agrees),
        ("tasks/get", r#""taskId":"t","#, None, Agrees),
        ("tasks/get", r#""taskId":"t","#, Some("t"), Agrees),
        ("tasks/get", r#""taskId":"t","#, Some("u"), Differs(Name)),
        (
            "completion/complete",
            r#""ref":{"type":"ref/prompt","name":"p"},"#,
            Some("q"),
            Agrees,
        ),
        (
            "completion/complete",
            r#""ref":{"type":"ref/resource","uri":"p"},"#,
            Some("q"),
            Agrees,
        ),
        (
            "tools/call",
            r#""name":"ä","#,
            Some("=?base64?w6Q=?="),
            Agrees,
        ),
        (
            "tools/call",
            r#""name":" x","#,
            Some("=?base64?IHg=?="),
            Agrees,
        ),
        ("tools/call", r#""name":" x","#, Some(" x"), Differs(Name)),
        (
            "tools/call",
            r#""name":"=?base64?eA==?=","#,
            Some("=?base64?PT9iYXNlNjQ/ZUE9PT89?="),
            Agrees,
        ),
        (
            "tools/call",
            r#""name":"=?base64?eA==?=","#,
            Some("=?base64?eA==?="),
            Differs(Name),
        ),
        ("tools/call", r#""name":"","#, Some(""), Agrees),
    ];
    for (method, params, name, expected) in table {
        let mut headers = vec![version, ("Mcp-Method", method)];
        headers.extend(name.map(|name| ("Mcp-Name", name)));
        assert_eq!(
            judge(&call(method, params), &headers),
            expected,
            "{method} {params} {name:?}"
        );
    }
}

// REQ: G-2, G-14
#[test]
fn older_revisions_are_left_alone() {
    let wrong = [
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "x"),
        ("Mcp-Name", "y"),
    ];
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2026-07-28"}}"#.to_owned(),
        call("tools/call", r#""name":"echo","#).replace("2026-07-28", "2025-11-25"),
        call("tools/call", r#""name":"echo","#).replace("2026-07-28", "garbage"),
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#.to_owned(),
    ] {
        assert_eq!(judge(&body, &wrong), NotApplicable, "{body}");
    }
    assert!(!NotApplicable.is_mismatch() && !Agrees.is_mismatch());
    assert!(Missing(Name).is_mismatch() && Repeated(Name).is_mismatch());
    assert!(Undecodable(Name).is_mismatch() && Differs(Name).is_mismatch());
}

#[test]
fn base64_has_one_form() {
    let good: &[(&str, &[u8])] = &[
        ("", b""),
        ("Zg==", b"f"),
        ("Zm8=", b"fo"),
        ("Zm9v", b"foo"),
        ("Zm9vYg==", b"foob"),
        ("Zm9vYmE=", b"fooba"),
        ("Zm9vYmFy", b"foobar"),
        ("+/+/", b"\xfb\xff\xbf"),
        ("AZaz0w==", b"\x01\x96\xb3\xd3"),
    ];
    for (text, bytes) in good {
        assert_eq!(base64(text.as_bytes()).as_deref(), Some(*bytes), "{text}");
    }
    for text in [
        "Z", "Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Zm=v", "-_-_",
        "Zm 9", "Z=g=",
    ] {
        assert_eq!(base64(text.as_bytes()), None, "{text}");
    }
}

// REQ: G-14
#[test]
fn parameters_are_bounded() {
    let limits = ParamLimits {
        count: 2,
        bytes: 30,
    };
    let table: &[(&[(&str, &str)], ParamHeaders)] = &[
        (&[], ParamHeaders::Within),
        (
            &[("Mcp-Param-A", "1"), ("mcp-param-b", "2")],
            ParamHeaders::Within,
        ),
        (
            &[
                ("Mcp-Param-A", "1"),
                ("Mcp-Param-A", "2"),
                ("Mcp-Param-A", "3"),
            ],
            ParamHeaders::TooMany,
        ),
        (
            &[("Mcp-Param-A", "0123456789012345678")],
            ParamHeaders::Within,
        ),
        (
            &[("Mcp-Param-A", "01234567890123456789")],
            ParamHeaders::TooLarge,
        ),
        (
            &[("Mcp-Parameter", "01234567890123456789012345678901234567890")],
            ParamHeaders::Within,
        ),
    ];
    for (headers, expected) in table {
        assert_eq!(
            params_within(&map(headers), &limits),
            *expected,
            "{headers:?}"
        );
    }
}

use super::*;

fn single(body: &str) -> Result<Message<'_>, Fault> {
    match read(body.as_bytes(), &Limits::default())? {
        Payload::Single(message) => Ok(message),
        Payload::Batch(_) => panic!("a batch: {body}"),
    }
}

fn good(body: &str) -> Message<'_> {
    single(body).unwrap_or_else(|fault| panic!("{body}: {fault}"))
}

/// A request of that method with those params.
fn request(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#)
}

// REQ: G-14
#[test]
fn refused() {
    use FaultKind::*;
    let table = [
        // Not an object
        ("1", NotAnObject),
        ("null", NotAnObject),
        (r#""x""#, NotAnObject),
        ("nope", Json(JsonErrorKind::UnexpectedByte)),
        ("1 2", NotAnObject),
        // Version
        (r#"{}"#, Version),
        (r#"{"id":1,"method":"ping"}"#, Version),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, Version),
        (r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, Version),
        (r#"{"jsonrpc":"2","id":1,"method":"ping"}"#, Version),
        (r#"{"jsonrpc":null,"id":1,"method":"ping"}"#, Version),
        // Kind
        (r#"{"jsonrpc":"2.0"}"#, NoKind),
        (r#"{"jsonrpc":"2.0","id":1}"#, NoKind),
        (r#"{"jsonrpc":"2.0","id":1,"params":{}}"#, NoKind),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","result":{}}"#,
            TwoKinds,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","error":{}}"#,
            TwoKinds,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
            TwoKinds,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#,
            TwoKinds,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","result":{},"error":{}}"#,
            TwoKinds,
        ),
        // Method
        (r#"{"jsonrpc":"2.0","id":1,"method":1}"#, Method),
        (r#"{"jsonrpc":"2.0","id":1,"method":null}"#, Method),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":["tools/call"]}"#,
            Method,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":{"a":"tools/call"}}"#,
            Method,
        ),
        // Id
        (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, Id),
        (r#"{"jsonrpc":"2.0","id":true,"method":"x"}"#, Id),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"x"}"#, Id),
        (r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#, Id),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#, Id),
        (r#"{"jsonrpc":"2.0","id":1e-1,"method":"x"}"#, Id),
        (r#"{"jsonrpc":"2.0","id":1e400,"method":"x"}"#, Id),
        (
            r#"{"jsonrpc":"2.0","id":9007199254740992.0,"method":"x"}"#,
            Id,
        ),
        (
            r#"{"jsonrpc":"2.0","id":9223372036854775808,"method":"x"}"#,
            Id,
        ),
        (
            r#"{"jsonrpc":"2.0","id":-9223372036854775809,"method":"x"}"#,
            Id,
        ),
        (r#"{"jsonrpc":"2.0","result":{}}"#, Id),
        (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, Id),
        (r#"{"jsonrpc":"2.0","id":1.5,"result":{}}"#, Id),
        (r#"{"jsonrpc":"2.0","id":true,"error":{}}"#, Id),
        // Params
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":1}"#,
            Params,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":"x"}"#,
            Params,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","params":false}"#,
            Params,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"x"}"#,
            Params,
        ),
        // Key case, as Go folds it
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call"}"#,
            KeyCase,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"METHOD":"tools/call"}"#, KeyCase),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","Params":{}}"#,
            KeyCase,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","param\u017f":{}}"#,
            KeyCase,
        ),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","ID":2}"#, KeyCase),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","JsonRPC":"2.0"}"#,
            KeyCase,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","Result":1}"#,
            KeyCase,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","erroR":1}"#,
            KeyCase,
        ),
        // Duplicates and other JSON
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call"}"#,
            Json(JsonErrorKind::DuplicateKey),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","m\u0065thod":"x"}"#,
            Json(JsonErrorKind::DuplicateKey),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x"}{}"#,
            Json(JsonErrorKind::TrailingData),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x","x":"\ud800"}"#,
            Json(JsonErrorKind::LoneSurrogate),
        ),
        (r#""#, Json(JsonErrorKind::Empty)),
        // Batches
        ("[]", BatchEmpty),
        (" [ ] ", BatchEmpty),
        ("[[]]", BatchNested),
        (
            r#"[{"jsonrpc":"2.0","method":"x"},[{"jsonrpc":"2.0","method":"x"}]]"#,
            BatchNested,
        ),
        ("[1]", NotAnObject),
        ("[{}]", Version),
        (
            r#"[{"jsonrpc":"2.0","method":"x"},{"jsonrpc":"2.0","id":null,"method":"x"}]"#,
            Id,
        ),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"x"},{"jsonrpc":"2.0","id":1,"method":"y"}]"#,
            BatchRepeatedId,
        ),
        (
            r#"[{"jsonrpc":"2.0","id":1,"method":"x"},{"jsonrpc":"2.0","id":1.0,"method":"y"}]"#,
            BatchRepeatedId,
        ),
        (
            r#"[{"jsonrpc":"2.0","method":"x"}] 1"#,
            Json(JsonErrorKind::TrailingData),
        ),
    ];
    for (body, kind) in table {
        let fault = read(body.as_bytes(), &Limits::default()).expect_err(body);
        assert_eq!(fault.kind, kind, "{body}");
    }
}

// REQ: G-14
#[test]
fn refused_params() {
    use FaultKind::{ControlCharacter, KeyCase, Target};
    let table = [
        ("tools/call", r#"{"name":1}"#, Target),
        ("tools/call", r#"{"name":null}"#, Target),
        ("tools/call", r#"{"name":{"a":"b"}}"#, Target),
        ("tools/call", r#"["echo",{}]"#, Target),
        ("tools/call", r#"[]"#, Target),
        ("tools/call", r#"{"name":"read","Name":"delete"}"#, KeyCase),
        ("tools/call", r#"{"Name":"delete"}"#, KeyCase),
        ("tools/call", r#"{"name":"x","Arguments":{}}"#, KeyCase),
        ("tools/call", r#"{"name":"x","argument\u017f":{}}"#, KeyCase),
        ("tools/call", r#"{"name":"x","_Meta":{}}"#, KeyCase),
        ("tools/call", r#"{"name":"a\u0000b"}"#, ControlCharacter),
        ("tools/call", r#"{"name":"a\nb"}"#, ControlCharacter),
        ("tools/call", r#"{"name":"a\u007f"}"#, ControlCharacter),
        ("tools/call", r#"{"name":"a\u0085"}"#, ControlCharacter),
        ("x\\ny", "{}", ControlCharacter),
        ("x\\u0000", "{}", ControlCharacter),
        ("x", r#"{"_META":{}}"#, KeyCase),
        ("prompts/get", r#"{"name":[]}"#, Target),
        ("prompts/get", r#"{"NAME":"x"}"#, KeyCase),
        ("prompts/get", r#"["x"]"#, Target),
        ("resources/read", r#"{"uri":1}"#, Target),
        ("resources/read", r#"{"URI":"file:///x"}"#, KeyCase),
        ("resources/read", r#"["x"]"#, Target),
        ("resources/subscribe", r#"{"uri":true}"#, Target),
        ("resources/unsubscribe", r#"{"uri":{}}"#, Target),
        ("tasks/get", r#"{"taskId":1}"#, Target),
        ("tasks/cancel", r#"{"taskId":1}"#, Target),
        ("tasks/result", r#"{"TaskId":"1"}"#, KeyCase),
        ("tasks/result", r#"{"tas\u212aId":"1"}"#, KeyCase),
        ("tasks/update", r#"{"taskid":"1"}"#, KeyCase),
        (
            "notifications/cancelled",
            r#"{"requestId":1,"requestID":2}"#,
            KeyCase,
        ),
        ("notifications/cancelled", r#"[1]"#, Target),
        ("initialize", r#"{"ProtocolVersion":"x"}"#, KeyCase),
        ("initialize", r#"["2025-11-25"]"#, Target),
        ("completion/complete", r#"{"ref":1}"#, Target),
        ("completion/complete", r#"{"Ref":{}}"#, KeyCase),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":1}}"#,
            Target,
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/resource","uri":1}}"#,
            Target,
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"x","Name":"y"}}"#,
            KeyCase,
        ),
        (
            "completion/complete",
            r#"{"ref":{"Type":"ref/prompt"}}"#,
            KeyCase,
        ),
        ("completion/complete", r#"{"ref":{"URI":"x"}}"#, KeyCase),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"a\tb"}}"#,
            ControlCharacter,
        ),
        ("completion/complete", r#"["x"]"#, Target),
    ];
    for (method, params, kind) in table {
        let body = request(method, params);
        let fault = single(&body).expect_err(&body);
        assert_eq!((fault.kind, fault.offset), (kind, 0), "{body}");
        assert_eq!(fault.id, Some(RequestId::Integer(1)), "{body}");
    }
}

/// What the upstream answers itself, and so must get as it is.
// REQ: G-2, G-14
#[test]
fn passed_on() {
    let table = [
        ("tools/call", r#"{}"#),
        ("tools/call", "null"),
        ("tools/call", r#"{"arguments":{}}"#),
        ("tools/call", r#"{"name":"x","URI":"y","TaskId":1,"Ref":2}"#),
        (
            "tools/call",
            r#"{"name":"x","arguments":{"Name":1,"name":2}}"#,
        ),
        ("tools/call", r#"{"name":"x","arguments":[]}"#),
        ("tools/call", r#"{"name":"x","_meta":1}"#),
        ("tools/call", r#"{"name":"x","_meta":{"ProgressToken":1}}"#),
        ("tools/call", r#"{"name":"","arguments":null}"#),
        ("resources/read", r#"{"name":1,"Name":"x"}"#),
        ("resources/read", r#"{"uri":"file:///ä b"}"#),
        ("prompts/get", r#"{"uri":1}"#),
        ("completion/complete", r#"{}"#),
        ("completion/complete", r#"{"ref":{}}"#),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/other","name":1}}"#,
        ),
        ("completion/complete", r#"{"ref":{"type":1}}"#),
        ("completion/complete", r#"{"ref":{"type":"ref/prompt"}}"#),
        ("tools/list", "[]"),
        ("tools/list", r#"{"Name":1,"URI":2,"ref":3}"#),
        ("no/such/method", r#"[1,2]"#),
        ("TOOLS/CALL", r#"{"name":1}"#),
        ("", "{}"),
    ];
    for (method, params) in table {
        let body = request(method, params);
        let message = good(&body);
        assert_eq!(message.method.as_deref(), Some(method), "{body}");
        assert_eq!(message.kind, Kind::Request, "{body}");
    }
    assert!(
        good(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#)
            .target
            .is_none()
    );
    assert!(
        good(r#"{"jsonrpc":"2.0","id":1,"method":"x","extra":[{}]}"#)
            .params
            .is_none()
    );
}

#[test]
fn kinds() {
    let table = [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#,
            Kind::Request,
            Some(RequestId::Integer(1)),
        ),
        (
            r#"{"jsonrpc":"2.0","method":"x"}"#,
            Kind::Notification,
            None,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            Kind::Result,
            Some(RequestId::Integer(1)),
        ),
        (
            r#"{"jsonrpc":"2.0","id":"a","result":null}"#,
            Kind::Result,
            Some(RequestId::String("a".into())),
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#,
            Kind::Error,
            Some(RequestId::Integer(1)),
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"error":{}}"#,
            Kind::Error,
            None,
        ),
        (r#"{"jsonrpc":"2.0","error":{}}"#, Kind::Error, None),
    ];
    for (body, kind, id) in table {
        let message = good(body);
        assert_eq!((message.kind, &message.id), (kind, &id), "{body}");
        assert_eq!(message.result.is_some(), kind == Kind::Result);
        assert_eq!(message.error.is_some(), kind == Kind::Error);
        assert_eq!(
            message.method.is_some(),
            matches!(kind, Kind::Request | Kind::Notification)
        );
    }
    assert_eq!(
        good(r#"{"jsonrpc":"2.0","id":1,"result":[7]}"#)
            .result
            .unwrap()
            .text(),
        "[7]"
    );
    assert_eq!(
        good(r#"{"jsonrpc":"2.0","id":1,"error":{"c":7}}"#)
            .error
            .unwrap()
            .text(),
        r#"{"c":7}"#
    );
}

#[test]
fn ids() {
    let table = [
        ("1", Some(RequestId::Integer(1))),
        ("0", Some(RequestId::Integer(0))),
        ("-0", Some(RequestId::Integer(0))),
        ("-7", Some(RequestId::Integer(-7))),
        ("1.0", Some(RequestId::Integer(1))),
        ("-1.0", Some(RequestId::Integer(-1))),
        ("1e2", Some(RequestId::Integer(100))),
        ("1E2", Some(RequestId::Integer(100))),
        ("15e-1", None),
        ("9223372036854775807", Some(RequestId::Integer(i64::MAX))),
        ("-9223372036854775808", Some(RequestId::Integer(i64::MIN))),
        (
            "9007199254740991.0",
            Some(RequestId::Integer(9_007_199_254_740_991)),
        ),
        ("-9007199254740992.0", None),
        (r#""1""#, Some(RequestId::String("1".into()))),
        (r#""""#, Some(RequestId::String("".into()))),
        (r#""\u0031""#, Some(RequestId::String("1".into()))),
        ("null", None),
    ];
    for (text, id) in table {
        let raw = super::super::json::validate(text.as_bytes(), 1).unwrap();
        assert_eq!(RequestId::from_raw(raw, 10), id, "{text}");
        if id.is_some() {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{text},"method":"x"}}"#);
            let message = good(&body);
            assert_eq!(message.id, id);
            assert_eq!(message.raw_id.unwrap().text(), text);
        }
    }
    assert_eq!(RequestId::Integer(-5).to_string(), "-5");
    assert_eq!(RequestId::String("a\"b".into()).to_string(), r#""a\"b""#);
    // The bound counts bytes of the unescaped string.
    for (length, fits) in [(1024, true), (1025, false)] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"{}","method":"x"}}"#,
            "i".repeat(length)
        );
        assert_eq!(single(&body).is_ok(), fits);
    }
}

// REQ: G-14
#[test]
fn targets() {
    use TargetKind::{Prompt, Resource, Task, Tool};
    let table = [
        ("tools/call", r#"{"name":"echo"}"#, Tool, "echo"),
        ("tools/call", r#"{"name":"\u0065cho"}"#, Tool, "echo"),
        (
            "tools/call",
            r#"{"arguments":{"name":"no"},"name":"ä/ö"}"#,
            Tool,
            "ä/ö",
        ),
        ("prompts/get", r#"{"name":"p","uri":"no"}"#, Prompt, "p"),
        (
            "resources/read",
            r#"{"uri":"file:///a","name":"no"}"#,
            Resource,
            "file:///a",
        ),
        ("resources/subscribe", r#"{"uri":"u"}"#, Resource, "u"),
        ("resources/unsubscribe", r#"{"uri":"u"}"#, Resource, "u"),
        ("tasks/get", r#"{"taskId":"t"}"#, Task, "t"),
        ("tasks/result", r#"{"taskId":"t"}"#, Task, "t"),
        ("tasks/update", r#"{"taskId":"t"}"#, Task, "t"),
        ("tasks/cancel", r#"{"taskId":"t"}"#, Task, "t"),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/prompt","name":"p","uri":"u"}}"#,
            Prompt,
            "p",
        ),
        (
            "completion/complete",
            r#"{"ref":{"type":"ref/resource","name":"p","uri":"u"}}"#,
            Resource,
            "u",
        ),
    ];
    for (method, params, kind, name) in table {
        let body = request(method, params);
        assert_eq!(
            good(&body).target,
            Some(Target {
                kind,
                name: name.into()
            }),
            "{body}"
        );
    }
    // The order of members does not matter, and escapes are seen through.
    let turned = r#"{"params":{"name":"x","arguments":{"k":1}},"m\u0065thod":"tools\/call","id":"a","jsonrpc":"2.0"}"#;
    let message = good(turned);
    assert!(message.is("tools/call") && !message.is("tools/list"));
    assert_eq!(message.target.unwrap().name, "x");
    assert_eq!(message.arguments.unwrap().text(), r#"{"k":1}"#);
    assert_eq!(&turned[message.arguments.unwrap().range()], r#"{"k":1}"#);
    assert_eq!(
        message.params.unwrap().text(),
        r#"{"name":"x","arguments":{"k":1}}"#
    );
    for method in [
        "tools/list",
        "initialize",
        "notifications/cancelled",
        "ping",
    ] {
        assert_eq!(
            good(&request(method, r#"{"name":"x","uri":"y","taskId":"z"}"#)).target,
            None
        );
    }
}

// REQ: G-2
#[test]
fn revisions() {
    let meta = |version: &str, rest: &str| {
        format!(r#"{{"_meta":{{"io.modelcontextprotocol/protocolVersion":{version}{rest}}}}}"#)
    };
    let capabilities = r#","io.modelcontextprotocol/clientCapabilities":{}"#;
    let table = [
        ("tools/list", "{}".to_owned(), None, false, false),
        (
            "tools/list",
            r#"{"protocolVersion":"2026-07-28"}"#.to_owned(),
            None,
            false,
            false,
        ),
        (
            "tools/list",
            meta(r#""2026-07-28""#, capabilities),
            Some(Revision::V2026_07_28),
            true,
            true,
        ),
        (
            "tools/list",
            meta(r#""2026-07-28""#, ""),
            Some(Revision::V2026_07_28),
            true,
            false,
        ),
        (
            "tools/list",
            meta(r#""2025-11-25""#, capabilities),
            Some(Revision::V2025_11_25),
            false,
            true,
        ),
        (
            "tools/list",
            meta(r#""2027-01-01""#, ""),
            Some(Revision::parse("2027-01-01")),
            true,
            false,
        ),
        (
            "tools/list",
            meta(r#""garbage""#, ""),
            Some(Revision::UNKNOWN),
            false,
            false,
        ),
        ("tools/list", meta("1", capabilities), None, false, false),
        (
            "tools/list",
            meta(
                r#""2026-07-28""#,
                r#","io.modelcontextprotocol/clientCapabilities":1"#,
            ),
            Some(Revision::V2026_07_28),
            true,
            false,
        ),
        (
            "tools/list",
            r#"{"_meta":{"io.modelcontextprotocol/clientCapabilities":{}}}"#.to_owned(),
            None,
            false,
            false,
        ),
        (
            "initialize",
            r#"{"protocolVersion":"2025-06-18"}"#.to_owned(),
            Some(Revision::V2025_06_18),
            false,
            false,
        ),
        (
            "initialize",
            r#"{"protocolVersion":"2026-07-28"}"#.to_owned(),
            Some(Revision::V2026_07_28),
            false,
            false,
        ),
        (
            "initialize",
            meta(r#""2026-07-28""#, ""),
            None,
            false,
            false,
        ),
        (
            "initialize",
            r#"{"protocolVersion":5}"#.to_owned(),
            None,
            false,
            false,
        ),
    ];
    for (method, params, revision, modern, whole) in table {
        let body = request(method, &params);
        let message = good(&body);
        assert_eq!(message.revision(), revision, "{body}");
        assert_eq!(message.is_modern(), modern, "{body}");
        assert_eq!(message.has_modern_meta, whole, "{body}");
    }
}

#[test]
fn meta() {
    let body = request(
        "tools/call",
        r#"{"name":"x","_meta":{"progressToken":"p","traceparent":"00-a-b-01","x":[{}],
            "io.modelcontextprotocol/clientInfo":{"name":"c","version":"1","title":"t"}}}"#,
    );
    let message = good(&body);
    assert_eq!(message.progress_token, Some(RequestId::String("p".into())));
    assert_eq!(message.traceparent.as_deref(), Some("00-a-b-01"));
    let info = message.client_info().unwrap();
    assert_eq!((&*info.name, info.version.as_deref()), ("c", Some("1")));

    let body = request("initialize", r#"{"clientInfo":{"name":"c"}}"#);
    assert_eq!(
        good(&body).client_info(),
        Some(Implementation {
            name: "c".into(),
            version: None
        })
    );
    for (method, params) in [
        ("initialize", "{}"),
        ("initialize", r#"{"clientInfo":1}"#),
        ("initialize", r#"{"clientInfo":{"version":"1"}}"#),
        (
            "initialize",
            r#"{"_meta":{"io.modelcontextprotocol/clientInfo":{"name":"c"}}}"#,
        ),
        ("tools/list", r#"{"clientInfo":{"name":"c"}}"#),
    ] {
        assert_eq!(
            good(&request(method, params)).client_info(),
            None,
            "{method} {params}"
        );
    }
    for (token, read) in [
        ("7", Some(RequestId::Integer(7))),
        ("null", None),
        ("[]", None),
        ("1.5", None),
    ] {
        let body = request(
            "x",
            &format!(r#"{{"_meta":{{"progressToken":{token},"traceparent":{token}}}}}"#),
        );
        assert_eq!(good(&body).progress_token, read);
        assert_eq!(good(&body).traceparent, None);
    }
    let long = "t".repeat(MAX_TOKEN + 1);
    let body = request("x", &format!(r#"{{"_meta":{{"progressToken":"{long}"}}}}"#));
    assert_eq!(good(&body).progress_token, None);
    let body = request(
        "x",
        &format!(r#"{{"_meta":{{"progressToken":"{}"}}}}"#, &long[1..]),
    );
    assert!(good(&body).progress_token.is_some());
}

#[test]
fn cancellation() {
    let cancel = |params: &str| {
        format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}"#)
    };
    let table = [
        (r#"{"requestId":3}"#, Some(RequestId::Integer(3))),
        (
            r#"{"requestId":"3","reason":"r"}"#,
            Some(RequestId::String("3".into())),
        ),
        (r#"{"requestId":null}"#, None),
        (r#"{}"#, None),
    ];
    for (params, cancels) in table {
        assert_eq!(good(&cancel(params)).cancels, cancels, "{params}");
    }
    assert_eq!(good(&request("x", r#"{"requestId":3}"#)).cancels, None);
}

// REQ: G-14
#[test]
fn batches() {
    let element = |n: usize| {
        format!(r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/call","params":{{"name":"t{n}"}}}}"#)
    };
    let batch = |count: usize| {
        format!(
            "[{}]",
            (0..count).map(element).collect::<Vec<_>>().join(" , ")
        )
    };
    let read_all = |body: &str, limits: &Limits| -> Result<Vec<String>, FaultKind> {
        let payload = read(body.as_bytes(), limits).map_err(|fault| fault.kind)?;
        assert!(matches!(payload, Payload::Batch(_)));
        Ok(payload
            .messages()
            .iter()
            .map(|m| m.target.clone().unwrap().name.into_owned())
            .collect())
    };
    let limits = Limits::default();
    assert_eq!(read_all(&batch(1), &limits), Ok(vec!["t0".to_owned()]));
    assert_eq!(read_all(&batch(50), &limits).unwrap().len(), 50);
    assert_eq!(read_all(&batch(51), &limits), Err(FaultKind::BatchLength));
    assert_eq!(
        read_all(
            &batch(3),
            &Limits {
                batch: 2,
                ..limits.clone()
            }
        ),
        Err(FaultKind::BatchLength)
    );

    // Responses and notifications may repeat ids; another type of id is another id.
    for body in [
        r#"[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":1,"method":"x"}]"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"x"},{"jsonrpc":"2.0","id":1,"result":{}}]"#,
        r#"[{"jsonrpc":"2.0","method":"x"},{"jsonrpc":"2.0","method":"x"}]"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"x"},{"jsonrpc":"2.0","id":"1","method":"x"}]"#,
    ] {
        assert_eq!(
            read(body.as_bytes(), &limits).unwrap().messages().len(),
            2,
            "{body}"
        );
    }
    // No answer may carry the id of one message of a batch, or of a text that is not JSON.
    let fault = read(br#"[{"jsonrpc":"2.0","id":1,"method":2}]"#, &limits).unwrap_err();
    assert_eq!(
        (fault.kind, fault.id, fault.offset),
        (FaultKind::Method, None, 1)
    );
    let fault = read(
        br#"{"jsonrpc":"2.0","id":1,"method":"x","a":1,"a":1}"#,
        &limits,
    )
    .unwrap_err();
    assert_eq!((fault.id, fault.offset), (None, 43));
    assert_eq!(
        single("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}")
            .map(|m| m.id)
            .unwrap(),
        Some(RequestId::Integer(1))
    );
}

// REQ: R-3
#[test]
fn depth() {
    // The message is one level, its params the second.
    let body = |levels: usize| {
        request(
            "x",
            &format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels)),
        )
    };
    assert!(single(&body(62)).is_ok());
    assert_eq!(
        single(&body(63)).unwrap_err().kind,
        FaultKind::Json(JsonErrorKind::Depth)
    );
    let limits = Limits {
        depth: 2,
        ..Limits::default()
    };
    assert!(read(body(0).replace(":}", ":1}").as_bytes(), &limits).is_ok());
    assert!(read(body(1).as_bytes(), &limits).is_err());
}

#[test]
fn folding() {
    let table = [
        ("Method", "method", true),
        ("METHOD", "method", true),
        ("protocolversion", "protocolVersion", true),
        ("re\u{17f}ult", "result", true),
        ("tas\u{212a}Id", "taskId", true),
        ("\u{17f}\u{17f}\u{17f}\u{17f}", "ssss", true),
        ("m\u{e9}thod", "method", false),
        ("methods", "method", false),
        ("metho", "method", false),
        ("", "id", false),
        ("\u{131}d", "id", false),
        ("method\0", "method", false),
    ];
    for (key, known, equal) in table {
        assert_eq!(equal_but_for_case(key, known), equal, "{key}");
    }
}

#[test]
fn faults_speak() {
    use FaultKind::*;
    let kinds = [
        BatchEmpty,
        BatchLength,
        BatchNested,
        BatchRepeatedId,
        ControlCharacter,
        Id,
        Json(JsonErrorKind::Depth),
        Json(JsonErrorKind::DuplicateKey),
        Json(JsonErrorKind::Utf8),
        KeyCase,
        Method,
        NoKind,
        NotAnObject,
        Params,
        Target,
        TwoKinds,
        Version,
    ];
    let names: std::collections::BTreeSet<_> = kinds.iter().map(|kind| kind.name()).collect();
    let texts: std::collections::BTreeSet<_> = kinds.iter().map(|kind| kind.explain()).collect();
    assert_eq!((names.len(), texts.len()), (kinds.len(), kinds.len()));
    assert!(names.iter().all(|name| name.len() > 1) && texts.iter().all(|text| text.len() > 10));
    assert_eq!(Json(JsonErrorKind::Empty).code(), -32700);
    assert_eq!(Target.code(), -32602);
    assert_eq!(Params.code(), -32602);
    assert_eq!(Method.code(), -32600);
    let fault = single("[]x").unwrap_err();
    assert_eq!(
        fault.to_string(),
        "the body must be exactly one valid JSON text (RFC 8259) in UTF-8 (trailing_data at byte 2)"
    );
}

#[test]
fn printable_is_what_every_byte_is() {
    for length in 0..20 {
        for at in 0..length.max(1) {
            for byte in 0..=u8::MAX {
                for around in [b'a', b' ', b'~'] {
                    let mut name = vec![around; length];
                    if let Some(here) = name.get_mut(at) {
                        *here = byte;
                    }
                    let each = name.iter().all(|byte| matches!(byte, b' '..=b'~'));
                    assert_eq!(is_printable(&name), each, "{name:?}");
                }
            }
        }
    }
}

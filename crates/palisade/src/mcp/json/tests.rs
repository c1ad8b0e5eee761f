use proptest::prelude::*;

use super::JsonErrorKind::{
    ByteOrderMark, ControlCharacter, Depth, DuplicateKey, Empty, Escape, LoneSurrogate, Number,
    TrailingData, UnexpectedByte, UnexpectedEnd, Utf8,
};
use super::scan::{find_special, head};
use super::*;

const DEPTH: usize = 64;

// REQ: G-14
#[test]
fn refused() {
    let table: &[(&[u8], JsonErrorKind, usize)] = &[
        (b"", Empty, 0),
        (b" \t\r\n", Empty, 4),
        (b"\xef\xbb\xbf{}", ByteOrderMark, 0),
        (b"\xef\xbb\xbf", ByteOrderMark, 0),
        (b"\"ab\xff\"", Utf8, 3),
        (b"\"\xc0\x80\"", Utf8, 1),
        (b"\"\xed\xa0\x80\"", Utf8, 1),
        (b"\x0c{}", UnexpectedByte, 0),
        (b"\xc2\xa0{}", UnexpectedByte, 0),
        // Structure
        (b"{", UnexpectedEnd, 1),
        (b"[", UnexpectedEnd, 1),
        (b"[1", UnexpectedEnd, 2),
        (b"[1,", UnexpectedEnd, 3),
        (b"[1,]", UnexpectedByte, 3),
        (b"[,1]", UnexpectedByte, 1),
        (b"[1 2]", UnexpectedByte, 3),
        (b"[1}", UnexpectedByte, 2),
        (b"{]", UnexpectedByte, 1),
        (b"{1:2}", UnexpectedByte, 1),
        (b"{\"a\"}", UnexpectedByte, 4),
        (b"{\"a\"", UnexpectedEnd, 4),
        (b"{\"a\" 1}", UnexpectedByte, 5),
        (b"{\"a\":}", UnexpectedByte, 5),
        (b"{\"a\":1,}", UnexpectedByte, 7),
        (b"{\"a\":1,", UnexpectedEnd, 7),
        (b"{\"a\":1]", UnexpectedByte, 6),
        (b"{,\"a\":1}", UnexpectedByte, 1),
        (b"{'a':1}", UnexpectedByte, 1),
        (b"{a:1}", UnexpectedByte, 1),
        (b"}", UnexpectedByte, 0),
        (b"/**/1", UnexpectedByte, 0),
        // Trailing data
        (b"{} {}", TrailingData, 3),
        (b"1 2", TrailingData, 2),
        (b"{}\0", TrailingData, 2),
        (b"null,", TrailingData, 4),
        (b"[]]", TrailingData, 2),
        (b"nullx", TrailingData, 4),
        (b"\"\"\"", TrailingData, 2),
        // Literals
        (b"nul", UnexpectedEnd, 3),
        (b"nulL", UnexpectedByte, 3),
        (b"tru]", UnexpectedByte, 3),
        (b"True", UnexpectedByte, 0),
        (b"fals", UnexpectedEnd, 4),
        (b"falsy", UnexpectedByte, 4),
        (b"NaN", UnexpectedByte, 0),
        (b"Infinity", UnexpectedByte, 0),
        (b"-Infinity", Number, 1),
        (b"undefined", UnexpectedByte, 0),
        // Numbers
        (b"01", Number, 1),
        (b"00", Number, 1),
        (b"-", UnexpectedEnd, 1),
        (b"-01", Number, 2),
        (b"--1", Number, 1),
        (b"+1", UnexpectedByte, 0),
        (b".5", UnexpectedByte, 0),
        (b"1.", UnexpectedEnd, 2),
        (b"1.]", Number, 2),
        (b"1..2", Number, 2),
        (b"1.2.3", Number, 3),
        (b"1e", UnexpectedEnd, 2),
        (b"1e+", UnexpectedEnd, 3),
        (b"1e]", Number, 2),
        (b"1e+-2", Number, 3),
        (b"1e5.5", Number, 3),
        (b"0x10", Number, 1),
        (b"1_000", TrailingData, 1),
        (b"1n", Number, 1),
        (b"1f", Number, 1),
        // Strings
        (b"\"", UnexpectedEnd, 1),
        (b"\"abc", UnexpectedEnd, 4),
        (b"\"abcdefghijkl", UnexpectedEnd, 13),
        (b"\"\\", UnexpectedEnd, 2),
        (b"\"\\\"", UnexpectedEnd, 3),
        (b"\"a\nb\"", ControlCharacter, 2),
        (b"\"\0\"", ControlCharacter, 1),
        (b"\"abcdefgh\x1fi\"", ControlCharacter, 9),
        (b"\"\\x41\"", Escape, 1),
        (b"\"\\'\"", Escape, 1),
        (b"\"\\U0041\"", Escape, 1),
        (b"\"\\u12G4\"", Escape, 1),
        (b"\"\\u12\"", Escape, 1),
        (b"\"\\u12", UnexpectedEnd, 5),
        (b"\"\\ud800\"", LoneSurrogate, 1),
        (b"\"\\ud800x\"", LoneSurrogate, 1),
        (b"\"\\ud800\\n\"", LoneSurrogate, 1),
        (b"\"\\ud800\\u0041\"", LoneSurrogate, 1),
        (b"\"\\ud800\\ud800\"", LoneSurrogate, 1),
        (b"\"\\udbff\\ue000\"", LoneSurrogate, 1),
        (b"\"\\udc00\"", LoneSurrogate, 1),
        (b"\"\\uDFFF\"", LoneSurrogate, 1),
        (b"\"\\udc00\\ud800\"", LoneSurrogate, 1),
        (b"\"ab\\ud800\"", LoneSurrogate, 3),
        // Keys
        (b"{\"a\":1,\"a\":2}", DuplicateKey, 7),
        (b"{\"a\":1,\"b\":2,\"a\":2}", DuplicateKey, 13),
        (b"{\"a\":1,\"\\u0061\":2}", DuplicateKey, 7),
        (b"{\"\\u0061\":1,\"a\":2}", DuplicateKey, 12),
        (b"{\"\\/\":1,\"/\":2}", DuplicateKey, 8),
        (b"{\"\":1,\"\":2}", DuplicateKey, 6),
        (b"[{\"x\":{\"a\":1,\"a\":2}}]", DuplicateKey, 13),
        (
            b"{\"longer_than_eight\":1,\"longer_than_eight\":2}",
            DuplicateKey,
            23,
        ),
        (
            b"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}",
            DuplicateKey,
            18,
        ),
        (b"{\"x\":{},\"y\":[{\"z\":1}],\"x\":0}", DuplicateKey, 22),
    ];
    for (body, kind, offset) in table {
        let text = String::from_utf8_lossy(body);
        assert_eq!(
            validate(body, DEPTH),
            Err(JsonError {
                kind: *kind,
                offset: *offset
            }),
            "{text}"
        );
    }
}

#[test]
fn accepted() {
    let table = [
        "0",
        "-0",
        "1",
        "10",
        "-12.5",
        "0.5",
        "1e5",
        "1E+5",
        "1.5e-7",
        "0e0",
        "123456789012345678901234567890",
        "1e400",
        "true",
        "false",
        "null",
        "\"\"",
        "{}",
        "[]",
        " { } ",
        "[ ]",
        "[[],[{}]]",
        "\t{\r\n\"a\" : 1 , \"b\":[1 , 2]}\n",
        r#"{"a":1,"A":2,"á":3,"a ":4,"":5}"#,
        r#"{"abcdefgh1":1,"abcdefgh2":2}"#,
        r#"{"a":{"a":{"a":1}},"b":{"a":1}}"#,
        r#"[{"a":1},{"a":1}]"#,
        r#""\"\\\/\b\f\n\r\t\u0000\u0041\uD83D\uDe00\ue000\ud7ff""#,
        "\"\u{7f}\u{80}\u{ffff}\u{10ffff}\"",
        "\"12345678\"",
        "\"1234567\"",
        "\"123456789\"",
    ];
    for body in table {
        let raw =
            validate(body.as_bytes(), DEPTH).unwrap_or_else(|error| panic!("{body}: {error}"));
        assert_eq!(raw.text(), body.trim());
        assert_eq!(&body[raw.range()], body.trim());
        assert!(
            serde_json::from_str::<&serde_json::value::RawValue>(body).is_ok(),
            "{body}"
        );
    }
}

#[test]
fn kinds() {
    let table = [
        ("{}", ValueKind::Object),
        ("[]", ValueKind::Array),
        ("\"\"", ValueKind::String),
        ("true", ValueKind::Boolean),
        ("false", ValueKind::Boolean),
        ("null", ValueKind::Null),
        ("-1", ValueKind::Number),
        ("0", ValueKind::Number),
        ("9", ValueKind::Number),
    ];
    for (text, kind) in table {
        assert_eq!(Reader::new(text.as_bytes(), 1).unwrap().peek(), Ok(kind));
        assert_eq!(validate(text.as_bytes(), 1).unwrap().kind(), kind);
        assert_eq!(
            validate(text.as_bytes(), 1).unwrap().string().is_some(),
            kind == ValueKind::String
        );
    }
}

#[test]
fn unescaped() {
    let table = [
        (r#""""#, ""),
        (r#""plain""#, "plain"),
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""a\u0041\u00e9b\u20ac""#, "aA\u{e9}b\u{20ac}"),
        (r#""\uD83D\uDE00 \udbff\udfff""#, "\u{1f600} \u{10ffff}"),
        (r#""\ud800\udc00""#, "\u{10000}"),
        (r#""\uaBcD""#, "\u{abcd}"),
    ];
    for (text, value) in table {
        assert_eq!(
            validate(text.as_bytes(), 1).unwrap().string().as_deref(),
            Some(value)
        );
        assert_eq!(serde_json::from_str::<String>(text).unwrap(), value);
    }
}

// REQ: R-3
#[test]
fn depth() {
    for (limit, allowed) in [
        (0, 0),
        (1, 1),
        (64, 64),
        (MAX_DEPTH, MAX_DEPTH),
        (usize::MAX, MAX_DEPTH),
    ] {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let nested = |levels: usize| {
                if levels == 0 {
                    return "1".to_owned();
                }
                let inner = if open == "[" { "" } else { "1" };
                format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
            };
            assert!(
                validate(nested(allowed).as_bytes(), limit).is_ok(),
                "{limit}"
            );
            let error = validate(nested(allowed + 1).as_bytes(), limit).unwrap_err();
            assert_eq!(
                (error.kind, error.offset),
                (Depth, open.len() * allowed),
                "{limit}"
            );
        }
    }
    // Depth is given back when a container closes.
    assert!(validate(b"[[],[],{},[{}]]", 3).is_ok());
    // A hostile body costs no stack.
    assert_eq!(
        validate(&b"[".repeat(2_000_000), 64).unwrap_err().kind,
        Depth
    );
}

// REQ: G-14
#[test]
fn duplicates_among_many_keys() {
    for count in [2, 15, 16, 17, 18, 33, 1000] {
        let keys: Vec<String> = (0..count).map(|n| format!("\"key{n}\"")).collect();
        let object = |keys: &[String]| {
            format!(
                "{{{}}}",
                keys.iter()
                    .map(|k| format!("{k}:0"))
                    .collect::<Vec<_>>()
                    .join(",")
            )
        };
        assert!(validate(object(&keys).as_bytes(), 1).is_ok());
        for copy in [0, count / 2, count - 1] {
            let mut doubled = keys.clone();
            doubled.push(keys[copy].clone());
            let text = object(&doubled);
            let offset = text.rfind(&keys[copy]).unwrap();
            assert_eq!(
                validate(text.as_bytes(), 1),
                Err(JsonError {
                    kind: DuplicateKey,
                    offset
                }),
                "{count} {copy}"
            );
            *doubled.last_mut().unwrap() = keys[copy].replace("key", "k\\u0065y");
            assert_eq!(
                validate(object(&doubled).as_bytes(), 1).unwrap_err().kind,
                DuplicateKey
            );
        }
    }
    // Objects with many keys side by side and nested do not see each other's.
    let many = |inner: &str| {
        let keys: Vec<String> = (0..20).map(|n| format!("\"k{n}\":{inner}")).collect();
        format!("{{{}}}", keys.join(","))
    };
    let inner = many("1");
    assert!(validate(many(&inner).as_bytes(), 2).is_ok());
    assert!(validate(format!("[{inner},{inner}]").as_bytes(), 2).is_ok());
}

#[test]
fn a_reader_over_a_part_keeps_the_offsets() {
    let raw = validate(br#" {"a":[1,{"b":2}]}"#, 8).unwrap();
    assert_eq!(raw.range(), 1..18);
    let mut seen = Vec::new();
    let mut reader = Reader::over(raw, 8);
    reader
        .object::<JsonError>(|reader, key| {
            let value = reader.value()?;
            seen.push((key.into_owned(), value.text(), value.range()));
            Ok(())
        })
        .unwrap();
    assert_eq!(seen, [("a".to_owned(), r#"[1,{"b":2}]"#, 6..17)]);
    assert_eq!(reader.offset(), 18);
    assert!(reader.end().is_ok());
}

#[test]
fn errors_speak() {
    let error = validate(b"{} x", 1).unwrap_err();
    assert_eq!(error.to_string(), "trailing_data at byte 3");
    let kinds = [
        ByteOrderMark,
        ControlCharacter,
        Depth,
        DuplicateKey,
        Empty,
        Escape,
        LoneSurrogate,
        Number,
        TrailingData,
        UnexpectedByte,
        UnexpectedEnd,
        Utf8,
    ];
    let names: std::collections::BTreeSet<_> = kinds.iter().map(|kind| kind.name()).collect();
    assert_eq!(names.len(), kinds.len());
    assert!(names.iter().all(|name| {
        name.bytes()
            .all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'8')
    }));
}

/// Bytes that look like JSON often enough.
fn jsonish() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("\"a\":".to_owned()),
        Just("\\u00e9".to_owned()),
        Just("\\ud83d\\ude00".to_owned()),
        Just("true".to_owned()),
        Just("null".to_owned()),
        Just("1.5e3".to_owned()),
        Just(" ".to_owned()),
        "[0-9eE.+-]{1,4}",
        "\"[a-z]{0,9}\"",
        "\\PC{0,3}",
    ];
    proptest::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Where no deliberate strictness stands between, serde_json and we agree on what is JSON.
    #[test]
    fn agrees_with_serde(body in jsonish()) {
        let theirs = serde_json::from_slice::<&serde_json::value::RawValue>(&body).is_ok();
        match validate(&body, DEPTH) {
            Ok(_) => prop_assert!(theirs),
            Err(error) if matches!(error.kind, DuplicateKey | LoneSurrogate | Depth) => {}
            Err(_) => prop_assert!(!theirs),
        }
    }

    #[test]
    fn strings_survive(value in ".*") {
        let text = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(validate(text.as_bytes(), 1).unwrap().string().unwrap(), value);
    }

    /// Keys alike in their first bytes, in their length, written with and without escapes.
    #[test]
    fn exactly_repeated_keys_are_refused(keys in proptest::collection::vec("[ab\u{e9}]{0,2}(same prefix)?[ab]{0,1}", 0..24), escape in any::<u32>()) {
        let written = |(index, key): (usize, &String)| {
            let key = if escape >> index & 1 == 1 { key.replace('a', "\\u0061") } else { key.clone() };
            format!("\"{key}\":0")
        };
        let members: Vec<String> = keys.iter().enumerate().map(written).collect();
        let text = format!("{{{}}}", members.join(","));
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        match validate(text.as_bytes(), 1) {
            Ok(_) => prop_assert_eq!(distinct.len(), keys.len()),
            Err(error) => {
                prop_assert_eq!(error.kind, DuplicateKey);
                prop_assert!(distinct.len() < keys.len());
            }
        }
    }

    /// What follows a key has no part in telling it from others.
    #[test]
    fn heads_tell_keys_apart(one in "[ab]{0,10}", other in "[ab]{0,10}", behind in "[ab\"]{0,9}") {
        let of = |key: &str, behind: &str| head(format!("{key}{behind}").as_bytes(), key.len());
        prop_assert_eq!(of(&one, &behind), of(&one, ""));
        // Of longer ones the eighth byte is mixed with the length.
        if one.len() < 8 && other.len() < 8 {
            prop_assert_eq!(of(&one, &behind) == of(&other, ""), one == other);
        }
    }

    #[test]
    fn special_bytes_are_found(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let slow = bytes.iter().position(|b| *b == b'"' || *b == b'\\' || *b < 0x20).unwrap_or(bytes.len());
        prop_assert_eq!(find_special(&bytes, 0), slow);
    }
}

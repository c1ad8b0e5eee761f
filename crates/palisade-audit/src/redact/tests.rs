//! What must go and what must stay, as tables; what may never happen, as properties.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::digest::Fingerprint;

fn json(input: &str) -> String {
    let mut out = Vec::new();
    redact_json(input.as_bytes(), &mut out);
    String::from_utf8(out).unwrap()
}

/// The mask that a token gets.
fn print(secret: &str) -> String {
    format!("[REDACTED:sha256:{}]", Fingerprint::of(secret.as_bytes()))
}

const GHP: &str = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
const JWT: &str =
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
const PEM: &str =
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA0Z3VS5JJcds3\n-----END RSA PRIVATE KEY-----";

// REQ: L-2
#[test]
fn json_keys() {
    for (input, expected) in [
        (r#"{"password":"hunter2"}"#, r#"{"password":"[REDACTED]"}"#),
        (
            r#"{"password": 12345, "a":1}"#,
            r#"{"password": "[REDACTED]", "a":1}"#,
        ),
        (
            r#"{"password":null,"token":true}"#,
            r#"{"password":null,"token":true}"#,
        ),
        (
            r#"{"a":{"b":[{"apiKey":"short"}]}}"#,
            r#"{"a":{"b":[{"apiKey":"[REDACTED]"}]}}"#,
        ),
        (
            r#"{"credentials":{"user":"u","x":[1,{"y":2}]},"z":3}"#,
            r#"{"credentials":"[REDACTED]","z":3}"#,
        ),
        (r#"{"secrets":[ ],"z":3}"#, r#"{"secrets":[ ],"z":3}"#),
        (
            r#"{"ssn":[1,219099999] ,"z":[ ]}"#,
            r#"{"ssn":[1,"[REDACTED]"] ,"z":[ ]}"#,
        ),
        // A key spelt with escapes is the same key.
        (
            r#"{"pass\u0077ord":"hunter2"}"#,
            r#"{"pass\u0077ord":"[REDACTED]"}"#,
        ),
        // Counts of tokens stay, tokens go.
        (
            r#"{"max_tokens":512,"tokens":["a1",{"n":1,"t":"b2"},"The"],"t":"c"}"#,
            r#"{"max_tokens":512,"tokens":["[REDACTED]",{"n":1,"t":"[REDACTED]"},"The"],"t":"c"}"#,
        ),
        (
            r#"{"tokens":{"password":{"x":1}},"t":"c"}"#,
            r#"{"tokens":{"password":"[REDACTED]"},"t":"c"}"#,
        ),
        (
            r#"{"email":"alice@example.com"}"#,
            r#"{"email":"[REDACTED]"}"#,
        ),
    ] {
        assert_eq!(json(input), expected);
    }
    let token = "0123456789abcdef";
    for input in [
        token.to_owned(),
        format!("Bearer {token}"),
        format!("bearer  {token}"),
    ] {
        let expected = format!(r#"{{"Authorization":"{}"}}"#, print(token));
        assert_eq!(json(&format!(r#"{{"Authorization":"{input}"}}"#)), expected);
    }
    // Basic is a password: no hash of it.
    assert_eq!(
        json(r#"{"Authorization":"Basic dXNlcjpwYXNzd29yZA=="}"#),
        r#"{"Authorization":"[REDACTED]"}"#
    );
    // The fingerprint is of the characters, however they are spelt.
    assert_eq!(
        json(r#"{"token":"0123456789abcd\u0065f"}"#),
        format!(r#"{{"token":"{}"}}"#, print(token))
    );
}

// REQ: L-2
#[test]
fn shapes_go() {
    for (text, expected) in [
        (GHP.to_owned(), print(GHP)),
        (
            format!("use {GHP}, please"),
            format!("use {}, please", print(GHP)),
        ),
        (format!("令牌{GHP}是"), format!("令牌{}是", print(GHP))),
        (format!("key{GHP}"), format!("key{}", print(GHP))),
        (format!("x={GHP}"), format!("x={}", print(GHP))),
        (format!("({JWT})"), format!("({})", print(JWT))),
        (format!("Bearer {JWT}"), format!("Bearer {}", print(JWT))),
        (
            "BEARER abcdef123456789xyz".to_owned(),
            format!("BEARER {}", print("abcdef123456789xyz")),
        ),
        (
            "Bearer opaquesecret".to_owned(),
            "Bearer [REDACTED]".to_owned(),
        ),
        (
            "basic dXNlcjpwYXNz".to_owned(),
            "basic [REDACTED]".to_owned(),
        ),
        (
            "mail alice.b+c@mail.example.com.".to_owned(),
            "mail [REDACTED].".to_owned(),
        ),
        (
            "邮箱alice@example.com".to_owned(),
            "邮箱[REDACTED]".to_owned(),
        ),
        (
            "<a@b.co>,c@d.org".to_owned(),
            "<[REDACTED]>,[REDACTED]".to_owned(),
        ),
        ("4111111111111111".to_owned(), "[REDACTED]".to_owned()),
        (
            "card 4111 1111 1111 1111 ok".to_owned(),
            "card [REDACTED] ok".to_owned(),
        ),
        ("5500-0055-5555-5559.".to_owned(), "[REDACTED].".to_owned()),
        ("378282246310005".to_owned(), "[REDACTED]".to_owned()),
        ("3782 822463 10005".to_owned(), "[REDACTED]".to_owned()),
        (
            "order-4111111111111111".to_owned(),
            "order-[REDACTED]".to_owned(),
        ),
        (
            "ssn 078-05-1120, ok".to_owned(),
            "ssn [REDACTED], ok".to_owned(),
        ),
        (
            format!("key:\n{PEM}\nrest"),
            "key:\n[REDACTED]\nrest".to_owned(),
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nMIIEow".to_owned(),
            "[REDACTED]".to_owned(),
        ),
        (format!("{GHP}{PEM}"), format!("{}[REDACTED]", print(GHP))),
        (
            format!("PRIVATE_KEY={PEM} x"),
            "PRIVATE_KEY=[REDACTED] x".to_owned(),
        ),
        (
            "authorization=Bearer abcdef&x".to_owned(),
            "authorization=Bearer [REDACTED]&x".to_owned(),
        ),
        ("token=bearer ".to_owned(), "token=bearer ".to_owned()),
        (
            "postgres://bob:s3cr3t@db.example.com/x".to_owned(),
            "postgres://[REDACTED]@db.example.com/x".to_owned(),
        ),
        (
            "redis://:p@ss@host:6379".to_owned(),
            "redis://[REDACTED]@host:6379".to_owned(),
        ),
        (
            "https://x.test/?a=1&token=abc&b=2".to_owned(),
            "https://x.test/?a=1&token=[REDACTED]&b=2".to_owned(),
        ),
        (
            "https://x.test/?api_key=0123456789abcdef#f".to_owned(),
            format!("https://x.test/?api_key={}#f", print("0123456789abcdef")),
        ),
        (
            "--password=hunter2 --x".to_owned(),
            "--password=[REDACTED] --x".to_owned(),
        ),
        (
            "Server=x;Password=hunter2;Port=1".to_owned(),
            "Server=x;Password=[REDACTED];Port=1".to_owned(),
        ),
        (
            r#"secret="two words" x"#.to_owned(),
            r#"secret="[REDACTED]" x"#.to_owned(),
        ),
        (
            r#"got {"password": "hunter2", "a": 1}"#.to_owned(),
            r#"got {"password": "[REDACTED]", "a": 1}"#.to_owned(),
        ),
        (
            r#"got {\"password\":\"hunter2\"}"#.to_owned(),
            r#"got {\"password\":\"[REDACTED]\"}"#.to_owned(),
        ),
        (
            r#"{"pin":1234}"#.to_owned(),
            r#"{"pin":"[REDACTED]"}"#.to_owned(),
        ),
        (
            "Authorization: Basic bad".to_owned(),
            "Authorization: [REDACTED]".to_owned(),
        ),
        (
            "Cookie: sid=1; theme=dark\nX: y".to_owned(),
            format!("Cookie: {}\nX: y", print("sid=1; theme=dark")),
        ),
        (
            "password: hunter2".to_owned(),
            "password: [REDACTED]".to_owned(),
        ),
        (
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            print("AKIAIOSFODNN7EXAMPLE"),
        ),
        // Small letters and nothing else that tells, in a word, in a sentence, at the very end.
        (
            "send bearer abcdefghijklmnopqrstuvwxyz".to_owned(),
            format!("send bearer {}", print("abcdefghijklmnopqrstuvwxyz")),
        ),
        ("basic ytpi".to_owned(), "basic ytpi".to_owned()),
        (
            "12 4111111111111111 07".to_owned(),
            "12 [REDACTED] 07".to_owned(),
        ),
    ] {
        assert_eq!(redact_text(&text), expected, "{text}");
    }
    for secret in [
        "gho_abcdefghijklmnopqrstuvwxyz0123456789",
        "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz",
        "glpat-abcdefghij0123456789",
        "sk-abcdefghijklmnopqrstuvwxyz",
        "sk-proj-abcdefghij0123456789",
        "sk-ant-api03-abcdefghij0123456789",
        "sk_live_abcdefghij0123456789",
        "xoxb-123456789012-abcdefghijkl",
        "xoxp-123456789012-abcdefghijkl",
        "npm_abcdefghijklmnopqrstuvwxyz0123456789",
        "hf_abcdefghijklmnopqrstuvwxyz01234567",
        "AIzaSyA-0123456789abcdefghijklmnopqrstu",
        "SG.abcdefghijklmnopqrstuv.wxyz0123456789abcdefghijklmnopqrs",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "ya29.a0AfH6SMBabcdefghijklmnop",
        "dop_v1_0123456789abcdef0123456789abcdef",
        "pypi-AgEIcHlwaS5vcmcCJDAwMDAwMDAw",
        JWT,
    ] {
        assert_eq!(redact_text(secret), print(secret));
        for around in ["\"@\"", "(@)", "_@", " @ ", "\u{e9}@\u{e9}", "a/@", "\n@\n"] {
            let (before, after) = around.split_once('@').unwrap();
            let text = format!("{before}{secret}{after}");
            assert!(!redact_text(&text).contains(secret), "{text}");
            assert!(
                !json(&Value::String(text.clone()).to_string()).contains(secret),
                "{text}"
            );
        }
        // In a key, in an escaped spelling, in a string with escapes, deep inside.
        assert!(!json(&format!(r#"{{"{secret}":1}}"#)).contains(secret));
        let spelt: String = secret
            .chars()
            .map(|c| format!("\\u{:04x}", u32::from(c)))
            .collect();
        assert_eq!(
            json(&format!("\"{spelt}\"")),
            format!("\"{}\"", print(secret))
        );
        assert_eq!(
            json(&format!(r#"[["a\n{secret}\n"]]"#)),
            format!(r#"[["a\n{}\n"]]"#, print(secret))
        );
    }
}

/// Byte for byte: number text, key order, spaces, and everything that only looks like a secret.
// REQ: L-2
#[test]
fn innocents_stay() {
    for input in [
        r#"{"b":1,"a":2}"#,
        r#"{ "a" : [ 1 , 2 ] , "b" : { } }"#,
        "[1e10,1E+2,-0.0,0,12345678901234567890,1.10,1e-999]",
        r#""\u0041\/\n\t\ud83d\ude00""#,
        r#"{"tokenizer":"cl100k","author":"Bob","keyboard":"qwerty","passenger":"Eve","max_tokens":4096}"#,
        r#"{"token_count":12,"password_policy":"strong","email_verified":true,"nextPageToken":"CAUQAA"}"#,
        r#"{"id":"550e8400-e29b-41d4-a716-446655440000","at":1700000000000,"sha":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}"#,
        r#"{"after":"2026-01-01T00:00:00Z","range":"2026-01-01 2026-02-02","phone_count":3}"#,
        r#"["4111111111111112",4111111111111112,1234567890123456,"1234-5678-9012-3456"]"#,
        r#"["000-12-3456","666-12-3456","900-12-3456","123-00-4567","123-45-0000","123-45-67890"]"#,
        r#"["user@localhost","icon@2x.png","git@github.com:a/b.git","pkg@1.2.3-4","@scope/name","a @ b.com","x@y"]"#,
        r#"["Bearer token","bearer authentication is needed","Basic understanding","Bearer realm=\"mcp\"","basic auth"]"#,
        r#"["https://example.com/a?b=c&page=2","http://user@host/","git+ssh://git@github.com/a","ratio a:b","12:30"]"#,
        r#"["sk-learn-contribution-guide","task-list-of-many-words","ghp_short","sk-1","eyJ is base64","AKIA","risk-assessment-of-things"]"#,
        r#"["-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----","-----BEGIN PUBLIC KEY-----\nMIIB"]"#,
        r#"["invalid token: expected a string","password must not be empty","key=value","a==b","password==x","tokens=12"]"#,
        r#"{"note":"grün 日本語 emoji 😀","path":"/usr/share/x","v":"1.2.3.4","ip":"10.0.0.1"}"#,
    ] {
        assert_eq!(json(input), input);
        let value: Value = serde_json::from_str(input).unwrap();
        for text in strings(&value) {
            assert_eq!(redact_text(&text), text.as_str());
        }
    }
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn what_json_cannot_hold() {
    // Line breaks between tokens go; what must not be shown raw becomes an escape.
    assert_eq!(json("{\r\n  \"a\": [\n1\n]\n}\n"), r#"{  "a": [1]}"#);
    assert_eq!(
        json("\"a\u{2028}b\u{202e}c\u{7f}\u{9b}\""),
        r#""a\u2028b\u202ec\u007f\u009b""#
    );
    assert_eq!(
        json(&format!("\"\u{2028}{GHP}\u{2029}\"")),
        format!(r#""\u2028{}\u2029""#, print(GHP))
    );
    // Strict readers refuse the whole line for such a number.
    assert_eq!(json("[1e999,-1e999]"), r#"["1e999","-1e999"]"#);
    assert_eq!(json(&"9".repeat(400)), format!("\"{}\"", "9".repeat(400)));
    assert_eq!(json("4111111111111111"), "\"[REDACTED]\"");
}

#[test]
fn what_is_not_json_becomes_a_string() {
    for input in [
        "",
        " ",
        "{",
        "}",
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "-",
        "nul",
        "truex",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"a\nb\"",
        "1 2",
        "{\"a\" 1}",
        "{1:2}",
        "[1 2]",
        "[}",
        "{]",
        "'a'",
        "NaN",
        "\u{feff}1",
    ] {
        assert_eq!(serde_json::from_str::<String>(&json(input)).unwrap(), input);
    }
    assert_eq!(
        json(r#"{"password":"hunter2""#),
        r#""{\"password\":\"[REDACTED]\"""#
    );
    let mut out = Vec::new();
    redact_json(b"\"\xff\xfe\"", &mut out);
    assert_eq!(
        serde_json::from_slice::<String>(&out).unwrap(),
        "\"\u{fffd}\u{fffd}\""
    );
    // Bounded, and a token across the edge does not show its beginning.
    let long = format!(
        "{} {GHP} {}",
        "x".repeat(INVALID_MAX - 20),
        "y".repeat(10_000)
    );
    let shown = json(&long);
    assert!(shown.len() < INVALID_MAX + 10);
    assert!(!shown.contains("ghp_"));
}

#[test]
fn too_deep_is_left_out() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(json(&nested(64)), nested(64));
    let shown: Value = serde_json::from_str(&json(&nested(65))).unwrap();
    assert_eq!(shown["omitted"], true);
    assert_eq!(shown["bytes"], 130);
    assert_eq!(shown["sha256"].as_str().unwrap().len(), 64);
    let objects = format!("{}1{}", "{\"a\":".repeat(65), "}".repeat(65));
    assert_eq!(
        serde_json::from_str::<Value>(&json(&objects)).unwrap()["omitted"],
        true
    );
    // Closed levels do not count.
    let wide = format!("[{}]", vec![nested(60); 100].join(","));
    assert_eq!(json(&wide), wide);
}

#[test]
fn cards() {
    for good in [
        "4111111111111111",
        "4222222222222",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "30569309025904",
        "6011111111111117",
        "3530111333300000",
        "6250941006528599",
    ] {
        assert!(values::is_card(good.as_bytes()), "{good}");
        let mut wrong = good.as_bytes().to_vec();
        let last = wrong.len() - 1;
        wrong[last] = b'0' + (wrong[last] - b'0' + 1) % 10;
        assert!(!values::is_card(&wrong), "{good} with another check digit");
    }
    for bad in [
        "",
        "4",
        "411111111111111a",
        "0000000000000000",
        "1111111111111117",
        "41111111111111111111",
    ] {
        assert!(!values::is_card(bad.as_bytes()), "{bad}");
    }
}

/// Inputs that would make a scan with an unbounded look back or ahead take quadratic time: minutes here.
#[test]
fn hostile_inputs_take_linear_time() {
    for unit in [
        "eyJ-",
        "eyJ",
        "sk-",
        "sk-learn-",
        "@",
        "a@",
        "a@b.",
        "=",
        "a=",
        "token=",
        "token:",
        "\"token\":",
        ":",
        "\":",
        "://",
        "a://b@",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "Bearer ",
        "Basic ",
        "Basic AAAA",
        "4111 ",
        "4111-",
        "411 ",
        "1",
        "eyJaaaaaaaaaa.",
        "eyJ-ghp_aaaaaaaaaaaaaaaaaaaa-",
        "xoxb-",
        "a.",
        "cookie:",
        "\\\"token\\\":",
        "tokens=1&",
        "\u{2028}",
        "\u{1f600}",
        "password='",
        "a@b.c1 ",
        "secret=null;",
        "glpat-.",
        "github_pat_",
        "%3A%2F%2F",
        "%3A%2F%2Fa%3Ab%40",
        "%253A%252F%252F",
        "小@",
        "a@小.",
        "小",
        "x[password]=",
        "&a%5B",
        "[[\"a\",\"password\"],",
        "{\"columns\":[",
        "{\"columns\":[\"password\"],\"rows\":[[\"x1\"],",
        "{\"columns\":[{\"a\":[",
        "{\"rows\":[[\"a\"]],\"columns\":[\"password\"]},",
    ] {
        let text = unit.repeat(400_000 / unit.len());
        let start = std::time::Instant::now();
        let shown = redact_text(&text);
        let quoted = Value::String(text.clone()).to_string();
        let mut out = Vec::new();
        redact_json(quoted.as_bytes(), &mut out);
        assert!(shown.len() <= text.len() * 4 + 64);
        serde_json::from_slice::<Value>(&out).unwrap();
        // Unoptimised, on a busy machine: a quadratic scan would be a thousand times over.
        assert!(
            start.elapsed().as_secs() < 20,
            "{unit}: {:?}",
            start.elapsed()
        );
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            GHP,
            JWT,
            PEM,
            "a@b.com",
            "password=",
            "Bearer ",
            "://a:b@c",
            "4111 1111 1111 1111",
            "\u{2028}\u{202e}",
            "\"password\":",
            "eyJ",
            "null",
            "-----BEGIN PRIVATE KEY-----",
        ])
        .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::collection::vec(text, 0..4).prop_map(|parts| {
            // A letter or digit before makes a token the inside of another word.
            let joined = parts.into_iter().fold(String::new(), |mut text, part| {
                if text.ends_with(|c: char| c.is_ascii_alphanumeric()) {
                    text.push(' ');
                }
                text + &part
            });
            Value::from(joined)
        }),
    ];
    let key = prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "password",
            "apiKey",
            "tokens",
            "note",
            "pass\u{2028}word",
            GHP
        ])
        .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Any bytes come out as one line of JSON in UTF-8.
    #[test]
    fn any_bytes(input in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut out = Vec::new();
        redact_json(&input, &mut out);
        prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
        prop_assert!(!out.contains(&b'\n') && !out.contains(&b'\r'));
    }

    /// As do bytes that are nearly JSON.
    #[test]
    fn nearly_json(value in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>(), pretty in any::<bool>()) {
        let mut input = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        let at = at.index(input.len());
        input[at] = byte;
        let mut out = Vec::new();
        redact_json(&input, &mut out);
        prop_assert!(serde_json::from_slice::<Value>(&out).is_ok());
        prop_assert!(!out.contains(&b'\n') && !out.contains(&b'\r'));
        // We call it JSON exactly when the independent parser does.
        let theirs = std::str::from_utf8(&input).is_ok_and(|text| serde_json::from_str::<Value>(text).is_ok());
        let mut copied = Vec::new();
        let ours = copy::copy(&input, &mut copied, &mut Scratch::default(), &Masker::PLAIN, &[]).is_ok();
        prop_assert!(ours || !theirs);
    }

    /// However secrets are strung together, none survives, and the outermost kind stays.
    #[test]
    fn strung_together(value in any_json()) {
        let once = json(&value.to_string());
        let parsed: Value = serde_json::from_str(&once).unwrap();
        prop_assert!(parsed.is_object() == value.is_object() && parsed.is_array() == value.is_array());
        for secret in [GHP, JWT, "MIIEowIBAAKCAQEA0Z3VS5JJcds3"] {
            prop_assert!(!once.contains(secret), "{}", once);
        }
    }

    /// A planted secret never survives, whatever stands around it.
    #[test]
    fn planted_in_text(before in "\\PC*", after in "\\PC*", which in 0..3_usize) {
        let secret = [GHP, "glpat-abcdefghij0123456789", "AKIAIOSFODNN7EXAMPLE"][which];
        // A letter or digit before makes it the inside of another word.
        prop_assume!(!before.ends_with(|c: char| c.is_ascii_alphanumeric()));
        let text = format!("{before}{secret}{after}");
        prop_assert!(!redact_text(&text).contains(secret), "{}", text);
        let line = json(&Value::String(text).to_string());
        prop_assert!(!line.contains(secret), "{}", line);
    }
}

/// Secrets between `‹` and `›` become masks, and nothing else does: forms that are told by what stands round them.
// REQ: L-2
#[test]
fn forms() {
    let shown = |text: &str| {
        let mut shown = redact_text(text).into_owned();
        while let Some(at) = shown.find("[REDACTED:sha256:") {
            shown.replace_range(at + 9..at + 25, "");
        }
        shown
    };
    let mut faults = Vec::new();
    for line in [
        // Tables.
        "user,password\nbob,‹hunter22›\namy,‹letmein›\n",
        "a(b),password\nbob,hunter22",
        "user,password\nbob,hunter22,more\n",
        "user,password\nbob,‹hunter22›\nno row\nbob,hunter22",
        "user,the password\nbob,hunter22",
        "user;the password\nbob;‹hunter22›",
        "user,password\nbob,abc",
        "user,password\nbob,string",
        "user,password\nbob,two words",
        "note\nuser,password\nbob,‹hunter22›",
        "one\ntwo\nthree\nuser,password\nbob,hunter22",
        "user\tpin\nbob\t‹4821›\namy\t13",
        "user|token\n----|-----\nbob|‹abc123›\namy|abc12\neve|abcdef",
        "a|password\nb|letmein",
        "a|password\n\nb|hunter22",
        "\"user\",\"password\"\n\"bob\",\"‹hunter22›\"",
        "user,password\nbob,[REDACTED]",
        "password\n‹hunter22›",
        "password\nhunter22 more",
        "the password\nhunter22",
        "title\nhunter22",
        // INSERT.
        "insert into t (a, password) values (1, '‹pw1›'), (2, '‹pw2›') returning '3'",
        "INSERT INTO t (password, a) VALUES ('‹pw1›', 'y'); SELECT 'z'",
        "INSERT INTO t (\"password\", `pin`) VALUES ('‹pw1›', ‹4821›)",
        "INSERT INTO t (a, pin) VALUES (4821, 13)",
        "INSERT INTO t (password) VALUES ('${PW}')",
        "INSERT INTO t (password) VALUES ($1)",
        "INSERT INTO t (password) SELECT 'x'",
        "INSERT INTO t (a, b) VALUES ('x', 'y')",
        "INSERT INTO t VALUES ('x', 'y')",
        // What looks like something else.
        "ｐａｓｓｗｏｒｄ＝‹hunter22› 次",
        "４２４２　４２４２　４２４２　４２４２"
            .replace('４', "4")
            .replace('２', "2")
            .replace('\u{3000}', " ")
            .replace("4242 4242 4242 4242", "‹4242 4242 4242 4242› 次")
            .as_str(),
        "次 ‹４２４２４２４２４２４２４２４２›次",
        "次 ‹٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢›",
        "次 ‹۴۲۴۲۴۲۴۲۴۲۴۲۴۲۴۲›",
        "次 ‹४२४२४२४२४२४२४२४२›",
        "‹4242\u{200b}4242\u{200b}4242\u{200b}4242› 4",
        "pass\u{ad}word=‹hunter22› x",
        "４２４２４２４２４２４２４２４３",
        "密码：‹hunter22›",
        "密码：请输入",
        // Pipes.
        "echo ‹hunter22› | sudo -S ls",
        "echo -n '‹hunter 22›' | sudo -S ls",
        "echo hunter22 | sudo tee x",
        "echo hunter22 | sort",
        "echo hunter22\n | sudo -S ls",
        "echo $PW | sudo -S ls",
        "printf '%s' ‹hunter22› | passwd --stdin bob",
        "printf ‹hunter22› | passwd --stdin bob",
        "echo bob:‹hunter22› | chpasswd",
        "echo bob | chpasswd",
        "echo ‹hunter22› | docker login --password-stdin r",
        "echo hunter22 | docker run -i x",
        "echo ‹hunter22› | gpg --passphrase-fd 0 x",
        "echo hunter22 | gpg x",
        "sudo -S ls <<< ‹hunter22›",
        "sudo ls <<< hunter22",
        "chpasswd <<< 'bob:‹hunter22›'",
        "cat <<< hunter22; sudo -S ls",
        "cat; sudo -S ls <<< '‹hunter22›'",
        // Words of their own.
        "htpasswd -b f bob ‹hunter22›",
        "htpasswd -nb bob ‹hunter22›",
        "htpasswd f bob hunter22",
        "htpasswd -c f bob hunter22",
        "rabbitmqctl add_user bob ‹hunter22›",
        "rabbitmqctl change_password bob ‹hunter22›",
        "rabbitmqctl list_queues bob hunter22",
        "net user bob ‹hunter22› /add",
        "net user bob /delete",
        "net use h /user:bob ‹hunter22›"
            .replace("h /user:bob", "x: /user:bob")
            .as_str(),
        "cargo login ‹abc123›",
        "cargo login",
        "cargo login abcdef",
        "cargo loginx abc123",
        "mycargo login abc123",
        "cargo login 'ab'",
        "setx API_KEY ‹abc123›",
        "setx COLOR abc123",
        "ENV TOKEN ‹abc123›",
        "ENV TOKEN=‹abc123› \\",
        "sqlplus bob/‹hunter22›@h",
        "sqlplus bob/‹hunter22›",
        "sqlplus /@h",
        "AUTH ‹hunter22›",
        "AUTH bob ‹hunter22›\n",
        "AUTH bob hunter22 now",
        "then AUTH hunter22",
        "redis-cli AUTH ‹letmein›",
        "AUTH letmein",
        // Elements.
        "<a:password x=\"y\">‹hunter22›</a:password>",
        "<password><![CDATA[‹hunter22›]]></password>",
        "<string name=\"api_key\">‹abc123›</string>",
        "<string name='api_key'>‹abc123›</string>",
        "<string name=\"title\">abc123</string>",
        "<key>password</key> <string>‹hunter22›</string>",
        "<name>password</name>\n<value>‹hunter22›</value>",
        "<key>title</key> <string>hunter22</string>",
        "<key>password</key> <true/>",
        "<password>hunter22</other>",
        "<password x=\"y\"/>hunter22</password>",
        // Lines above, blocks, types.
        "- name: password\n  value: ‹hunter22›\n",
        "- name: password\n  value: \"‹hunter22›\"",
        "- name: title\n  value: hunter22",
        "- other: password\n  value: hunter22",
        "name: password value: hunter22",
        "variable \"password\" {\n  default = \"‹hunter22›\"\n}",
        "variable \"title\" {\n  default = \"hunter22\"\n}",
        "password: |\n  ‹hunter22\n  more›\nuser: bob",
        "password: >-\n    ‹hunter22›\n  user: bob",
        "password: |\nuser: bob",
        "let password: string = \"‹hunter22›\"",
        "var password string = \"‹hunter22›\"",
        "let title: string = \"hunter22\"",
        "if password == \"‹hunter22›\" {",
        "if password === '‹hunter22›' {",
        "if password != \"hunter22\" {",
        "if password == \"admin\" {",
        "passphrase: ‹correct horse battery staple›.",
        "passphrase: must be at least so long",
        "passphrase: a word or two",
        "**Password:** ‹hunter22›",
        "**Password**: ‹hunter22›",
        "define('API_KEY', '‹abc123›')",
        "define('TITLE', 'abc123')",
        "setItem(\"token\", \"‹abc123›\")",
        "setPassword(\"‹hunter22›\")",
        "setTitle(\"hunter22\")",
        "getenv('PASSWORD', '‹hunter22›')",
        "call('PASSWORD', 'hunter22')",
        "login code is ‹482913›.",
        "login code: ‹482913›, soon",
        "zip code is 482913",
        "login code is 123",
        "login code is 123456789",
        "password for bob is ‹Xk3pq9z›",
        "password for bob, Xk3pq9z",
        "secret key ‹aB3dE5fG7hJ9›",
        "secret key ab3de5fg7hj9",
        "PASSWORD('‹hunter22›')",
        "password('hunter22')",
        "#define PASSWORD \"‹hunter22›\"",
        "say PASSWORD \"hunter22\"",
        // Places of their own.
        "db.x:5432:app:bob:‹hunter22›\n",
        "*:*:*:*:‹hunter22›",
        "x:12:app:bob:hunter22",
        "a:b:5432:app:bob:hunter22",
        "x:5432:1app:bob:hunter22",
        "x:5432:app:bob:hunter22 more",
        "xfreerdp /u:bob /p:‹hunter22› /v:h",
        "other /u:bob /p:hunter22",
        "bob:‹$6$saltsalt$0123456789abcdef›:1:2",
        "‹$argon2id$v=19$m=1,t=2,p=3$c2FsdA$aGFzaA›",
        "$9$saltsalt$0123456789abcdef",
        "$6$short",
        "1//0abc",
        "‹1//0aB3dE5fG7hJ9kLmN1pQrS›",
        "x.‹aB3dE5fG7hJ9kL.atlasv1.aB3dE5fG7hJ9kLmN1pQrS2tUvW4xYz6c8aB3dE5fG7h›"
            .replace("x.‹", "x ‹")
            .as_str(),
        "‹ATATT3aB3dE5fG7hJ9kLmN1pQr=0A1B2C3D› x",
        "‹ATATT3aB3dE5fG7hJ9kLmN1pQr›=0A1B",
        "‹s.aB3dE5fG7hJ9kLmN1pQrS2tU›",
        "s.aB3dE5fG7hJ9kLmN1pQrS2t",
        "s.abcdefghijklmnopqrstuvwx",
        "‹glpat-aB3dE5fG7hJ9kLmN1pQr›.",
        "https://‹abc123def456abc123def456:›@x.example/",
        "https://bob:@x.example/",
        "https://user:{token}@h.example/x",
        // Flags.
        "mysql -u root -p‹letmein› db",
        "mysql -u root -p‹hunter22› db",
        "mysql -p db",
        "bash -c 'mysql -p‹hunter22›'",
        "mysql -p\"$PW\"",
        "snmpwalk -A ‹hunter22› -X ‹hunter33› h",
        "snmpwalk -Ahunter22 h",
        "lftp -u bob,‹hunter22› h",
        "curl -b '‹a=b›' h",
        "curl -b jar h",
        "curl --user=bob:‹hunter22› h",
        "etcdctl --user root:‹hunter22› get",
        "docker login -p ‹hunter22› r",
        "docker run -p hunter22 r",
        "az keyvault secret set --value ‹hunter22›",
        "az x --value hunter22",
        "openssl x -pass pass:‹hunter22›",
    ] {
        let input = line.replace(['‹', '›'], "");
        let mut expected = String::new();
        for (at, part) in line.split(['‹', '›']).enumerate() {
            expected.push_str(if at % 2 == 0 { part } else { "[REDACTED]" });
        }
        for input in [&input, &expected] {
            if shown(input) != expected {
                faults.push(format!("{input}\n  -> {}", shown(input)));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// One word, of letters and digits only, is looked at as well.
// REQ: L-2
#[test]
fn words_that_tell() {
    for (word, plain) in [
        ("AKIAIOSFODNN7EXAMPLE", false),
        ("SK0123456789abcdef0123456789abcdef", false),
        ("4111111111111111", false),
        ("hello", true),
        ("Hello", true),
        ("4111111111111112", true),
    ] {
        assert_eq!(is_plain(word, Aim::All), plain, "{word}");
    }
}

/// Texts in texts beyond the bound go whole.
// REQ: L-2
#[test]
fn nested_too_often() {
    let mut value = Value::from("innermost");
    for _ in 0..9 {
        value = Value::from(serde_json::json!({ "a": value }).to_string());
    }
    let shown = json(&value.to_string());
    assert!(
        shown.contains("[REDACTED]") && !shown.contains("innermost"),
        "{shown}"
    );
}

/// What needs escapes is not plain, whatever else it is.
#[test]
fn plain_names() {
    for (text, plain) in [
        ("read file", true),
        ("read\"file", false),
        ("read\\file", false),
        ("read\u{e9}", false),
        ("read\n", false),
        ("a@b.co", false),
        ("a-b", true),
        ("", true),
    ] {
        assert_eq!(is_plain(text, Aim::All), plain, "{text}");
    }
    assert!(is_plain("a@b.co", Aim::Secrets));
    assert_eq!(cut_bytes("aé", 2), "a");
    assert_eq!(cut_bytes("aé", 3), "aé");
    assert_eq!(head(b"abc", 2), b"ab");
    assert_eq!(head(b"abc", 4), b"abc");
}

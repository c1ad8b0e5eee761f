//! The corpus of `tests/redaction/`: secrets of every kind in every place, and what only looks like them.
#![allow(clippy::unwrap_used, reason = "tests")]

use palisade_audit::{redact_json, redact_text};
use proptest::prelude::*;
use serde_json::{Value, json};

fn redacted(input: &str) -> String {
    let mut out = Vec::new();
    redact_json(input.as_bytes(), &mut out);
    String::from_utf8(out).unwrap()
}

/// Secrets in every place, and those that stand under the names that programs give them.
const SECRET_LINES: [&str; 2] = [
    include_str!("redaction/secrets.txt"),
    include_str!("redaction/named-secrets.txt"),
];

/// What only looks like them.
const INNOCENT_LINES: [&str; 2] = [
    include_str!("redaction/innocents.txt"),
    include_str!("redaction/named-innocents.txt"),
];

/// A line with its secrets between `‹` and `›`: none of them stays, all else does, byte for byte and in order; and a second
/// time nothing changes.
// REQ: L-2
#[test]
fn nothing_leaks() {
    let mut faults = Vec::new();
    for line in SECRET_LINES.iter().flat_map(|lines| lines.lines()) {
        let input = line.replace(['‹', '›'], "");
        let output = redacted(&input);
        let (mut innocent, mut secrets) = (Vec::new(), Vec::new());
        for (at, part) in line.split(['‹', '›']).enumerate() {
            if at % 2 == 0 {
                innocent.push(part)
            } else {
                secrets.push(part)
            }
        }
        let all = innocent.concat();
        let leaks = secrets
            .iter()
            .any(|secret| output.contains(secret) && !all.contains(secret));
        let mut rest = output.as_str();
        let damaged = innocent.iter().any(|part| {
            // A number's mask has quotes of its own.
            let part = part.trim_matches('"');
            let Some(at) = rest.find(part) else {
                return true;
            };
            rest = &rest[at + part.len()..];
            false
        });
        let unchanged = !secrets.is_empty() && output == input;
        let valid = serde_json::from_str::<Value>(&output).is_ok();
        let stable = redacted(&output) == output;
        if leaks || damaged || unchanged || !valid || !stable {
            faults.push(format!(
                "{input}\n  -> {output} (leaks {leaks}, damaged {damaged}, valid {valid}, stable {stable})"
            ));
        }
    }
    assert!(
        faults.is_empty(),
        "{}:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// What stands in the place of a secret begins and ends where it did: `redacted.txt` holds what has become of each line.
/// After a new case, `REDACTED=write cargo test -p palisade-audit --test redaction` writes it anew.
// REQ: L-2
#[test]
fn nothing_else_becomes_of_secrets() {
    let lines = SECRET_LINES.iter().flat_map(|lines| lines.lines());
    let become_of = lines.map(|line| redacted(&line.replace(['‹', '›'], "")));
    if std::env::var_os("REDACTED").is_some_and(|does| does == "write") {
        let all: Vec<String> = become_of.map(|line| line + "\n").collect();
        let first = SECRET_LINES[0].lines().count();
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/redaction/");
        for (name, lines) in [
            ("redacted", &all[..first]),
            ("named-redacted", &all[first..]),
        ] {
            std::fs::write(format!("{directory}{name}.txt"), lines.concat()).unwrap();
        }
        return;
    }
    let expected: Vec<&str> = [
        include_str!("redaction/redacted.txt"),
        include_str!("redaction/named-redacted.txt"),
    ]
    .iter()
    .flat_map(|lines| lines.lines())
    .collect();
    assert_eq!(become_of.clone().count(), expected.len());
    for (line, expected) in become_of.zip(expected) {
        assert_eq!(line, expected);
    }
}

/// What is innocent stays byte for byte: as JSON, in JSON in a string, as a text.
// REQ: L-2
#[test]
fn nothing_innocent_changes() {
    let mut faults = Vec::new();
    for line in INNOCENT_LINES.iter().flat_map(|lines| lines.lines()) {
        for input in [
            line.to_owned(),
            format!("[{line}]"),
            json!({ "body": line }).to_string(),
            json!({ "body": format!("got {line} there") }).to_string(),
        ] {
            let output = redacted(&input);
            if output != input {
                faults.push(format!("{input}\n  -> {output}"));
            }
        }
        if redact_text(line) != line {
            faults.push(format!("text {line}\n  -> {}", redact_text(line)));
        }
    }
    assert!(
        faults.is_empty(),
        "{}:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

const SECRETS: [&str; 6] = [
    "glpat-Zz9Yy8Xx7Ww6Vv5Uu4Tt",
    "AKIAIOSFODNN7EXAMPLE",
    "jane.doe@example.org",
    "4111 1111 1111 1111",
    "sk-ant-api03-Zz9Yy8Xx7Ww6Vv5Uu4TtSs3Rr2Qq1",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abcdefghijk",
];

/// What people write, and none of it a secret.
fn innocent() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            "[a-z]{1,9}",
            "[A-Z][a-z]{2,8}[.,]",
            "[0-9]{1,4}",
            "20[12][0-9]-0[1-9]-[12][0-9]T1[0-9]:[0-5][0-9]:00Z",
            "[0-9a-f]{40}",
            "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}",
            "v[0-9]\\.[0-9]{1,2}\\.[0-9]",
            "[a-z]{2,6}_(count|type|limit|id)=[0-9]{1,3}",
            "/[a-z]{2,5}/[a-z]{2,5}\\.(rs|md|py)",
            Just("grün 日本語 😀".to_owned()),
            Just("{\"a\": [1, 2]}".to_owned()),
            Just("fn main() {}".to_owned()),
            Just("\\d+\\n\t\"q\"".to_owned()),
        ],
        0..12,
    )
    .prop_map(|words| words.join(" "))
}

/// A value with a secret somewhere in it: as it stands, in a list, under a key, as a key, in a sentence, in JSON in a string.
fn planted(secret: &'static str) -> impl Strategy<Value = Value> {
    (innocent(), innocent(), "[a-z]{1,8}")
        .prop_flat_map(move |(before, after, key)| {
            let sentence = format!("{before} {secret} {after}");
            prop_oneof![
                Just(json!(secret)),
                Just(json!(sentence)),
                Just(json!({key.clone(): sentence, "rest": before})),
                Just(json!({sentence.clone(): 1})),
                Just(json!(format!(
                    "https://example.com/{key}?{key}={}",
                    secret.replace(' ', "-")
                ))),
            ]
        })
        .prop_recursive(4, 8, 2, |inner| {
            prop_oneof![
                inner.clone().prop_map(|value| json!([1, value, null])),
                inner
                    .clone()
                    .prop_map(|value| json!({"a": {"b": value}, "c": 1.5})),
                inner.clone().prop_map(|value| json!(value.to_string())),
                inner.prop_map(|value| json!(format!("got {value} from there"))),
            ]
        })
}

proptest! {
    // REQ: L-2
    #[test]
    fn no_planted_secret_survives((secret, value) in prop::sample::select(SECRETS.to_vec()).prop_flat_map(|secret| (Just(secret), planted(secret)))) {
        let once = redacted(&value.to_string());
        prop_assert!(!once.contains(secret) && !once.contains(&secret.replace(' ', "-")), "{value}\n{once}");
        let parsed: Value = serde_json::from_str(&once).unwrap();
        prop_assert_eq!(parsed.is_object(), value.is_object());
        prop_assert_eq!(redacted(&once), once);
    }

    // REQ: L-2
    #[test]
    fn innocents_stay_byte_for_byte(text in innocent(), key in "[a-z]{1,4}Count", pretty in any::<bool>()) {
        let value = json!({key: text, "list": [text, 1, 2.50, {"n": text}], "inner": json!({"text": text}).to_string()});
        let input = if pretty { serde_json::to_string_pretty(&value).unwrap().replace('\n', " ") } else { value.to_string() };
        prop_assert_eq!(redacted(&input), input);
        prop_assert_eq!(redact_text(&text), text.as_str());
    }
}

//! Texts of every kind, one a line in `tests/redaction/texts.txt`: what stands between `‹` and `›` is replaced, exactly that,
//! and all else stays byte for byte.
#![allow(clippy::unwrap_used, reason = "tests")]

use palisade_audit::{Fingerprint, redact_json, redact_text};
use serde_json::{Value, json};

/// The text of a line, and the two forms that each of its secrets may have become: a line break is written `⏎`, what begins
/// with `#` and a space is a heading.
fn cases(table: &str) -> impl Iterator<Item = (String, Vec<String>)> {
    let lines = table
        .lines()
        .filter(|line| !line.starts_with("# ") && !line.is_empty());
    lines.map(|line| {
        let line = line.replace('⏎', "\n");
        let parts = line.split(['‹', '›']).map(str::to_owned).collect();
        (line.replace(['‹', '›'], ""), parts)
    })
}

/// Whether `output` is the text of these parts with every other one masked.
fn is_masked(mut output: &str, parts: &[String]) -> bool {
    for (at, part) in parts.iter().enumerate() {
        let hash = format!("[REDACTED:sha256:{}]", Fingerprint::of(part.as_bytes()));
        let forms = [part.as_str(), "[REDACTED]", &hash];
        let forms = if at % 2 == 0 {
            &forms[..1]
        } else {
            &forms[1..]
        };
        let Some(rest) = forms.iter().find_map(|form| output.strip_prefix(form)) else {
            return false;
        };
        output = rest;
    }
    output.is_empty()
}

fn json_of(value: &Value) -> Value {
    let mut out = Vec::new();
    redact_json(value.to_string().as_bytes(), &mut out);
    serde_json::from_slice(&out).unwrap()
}

/// As a text, as a string of JSON, and in JSON in a string.
// REQ: L-2
#[test]
fn nothing_but_the_secrets_goes() {
    let mut faults = Vec::new();
    for (text, parts) in cases(include_str!("redaction/texts.txt")) {
        let in_json = json_of(&json!({ "text": text }));
        let inner = json_of(&json!({ "body": json!({ "note": text }).to_string() }));
        let inner: Value = serde_json::from_str(inner["body"].as_str().unwrap()).unwrap();
        let once = redact_text(&text).into_owned();
        for (form, output) in [
            ("text", once.as_str()),
            ("json", in_json["text"].as_str().unwrap()),
            ("json in json", inner["note"].as_str().unwrap()),
            ("again", &redact_text(&once)),
        ] {
            if !is_masked(output, &parts) {
                faults.push(format!("{form}: {}\n  -> {output}", parts.join("|")));
                break;
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{}:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

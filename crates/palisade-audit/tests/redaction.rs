//! The corpus of `tests/redaction/`: secrets of every kind in every place, and what only looks like them.
#![allow(clippy::unwrap_used, reason = "tests")]

use palisade_audit::{redact_json, redact_text};

fn json(input: &str) -> String {
    let mut out = Vec::new();
    redact_json(input.as_bytes(), &mut out);
    String::from_utf8(out).unwrap()
}

/// A line with its secrets between `‹` and `›`: none of them stays, all else does, byte for byte and in order; and a second
/// time nothing changes.
// REQ: L-2
#[test]
fn nothing_leaks() {
    let mut faults = Vec::new();
    for line in include_str!("redaction/secrets.txt").lines() {
        let input = line.replace(['‹', '›'], "");
        let output = json(&input);
        let (mut innocent, mut secrets) = (Vec::new(), Vec::new());
        for (at, part) in line.split(['‹', '›']).enumerate() {
            if at % 2 == 0 { innocent.push(part) } else { secrets.push(part) }
        }
        let all = innocent.concat();
        let leaks = secrets.iter().any(|secret| output.contains(secret) && !all.contains(secret));
        let mut rest = output.as_str();
        let damaged = innocent.iter().any(|part| {
            // A number's mask has quotes of its own.
            let part = part.trim_matches('"');
            let Some(at) = rest.find(part) else { return true };
            rest = &rest[at + part.len()..];
            false
        });
        let unchanged = !secrets.is_empty() && output == input;
        let valid = serde_json::from_str::<serde_json::Value>(&output).is_ok();
        let stable = json(&output) == output;
        if leaks || damaged || unchanged || !valid || !stable {
            faults.push(format!(
                "{input}\n  -> {output} (leaks {leaks}, damaged {damaged}, valid {valid}, stable {stable})"
            ));
        }
    }
    assert!(faults.is_empty(), "{}:\n{}", faults.len(), faults.join("\n"));
}

/// What is innocent stays byte for byte: as JSON, in JSON in a string, as a text.
// REQ: L-2
#[test]
fn nothing_innocent_changes() {
    let mut faults = Vec::new();
    for line in include_str!("redaction/innocents.txt").lines() {
        for input in [
            line.to_owned(),
            format!("[{line}]"),
            serde_json::json!({ "body": line }).to_string(),
            serde_json::json!({ "body": format!("got {line} there") }).to_string(),
        ] {
            let output = json(&input);
            if output != input {
                faults.push(format!("{input}\n  -> {output}"));
            }
        }
        if redact_text(line) != line {
            faults.push(format!("text {line}\n  -> {}", redact_text(line)));
        }
    }
    assert!(faults.is_empty(), "{}:\n{}", faults.len(), faults.join("\n"));
}

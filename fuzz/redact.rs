//! What must hold of redaction for every input.

use palisade_audit::{Redactor, redact_json, redact_text};
use serde_json::Value;
use serde_json::value::RawValue;

/// One line of valid JSON comes out, whatever goes in, and a second time; a planted secret is gone.
pub(crate) fn check(data: &[u8]) {
    let once = json(data);
    assert!(serde_json::from_slice::<&RawValue>(&once).is_ok());
    assert!(!once.contains(&b'\n') && !once.contains(&b'\r'));
    let twice = json(&once);
    assert!(serde_json::from_slice::<&RawValue>(&twice).is_ok());

    let mut strict = Vec::new();
    let accepted = Redactor::new()
        .json_strictly(None, data, &mut strict)
        .is_ok();
    assert_eq!(accepted, !strict.is_empty());
    if accepted {
        assert_eq!(strict, once);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let shown = redact_text(text);
        assert!(shown.len() <= text.len() * 12 + 64);
        let planted = format!("{text} {SECRET} {text}");
        // The text may hold it too, within a longer word that is none.
        let alone = format!(" {SECRET} ");
        assert!(!redact_text(&planted).contains(&alone));
        let value = Value::from(planted).to_string();
        let out = json(format!("{{\"a\":[{value}]}}").as_bytes());
        assert!(!String::from_utf8_lossy(&out).contains(&alone));
    }
}

const SECRET: &str = "glpat-Zz9Yy8Xx7Ww6Vv5Uu4Tt";

fn json(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    redact_json(data, &mut out);
    out
}

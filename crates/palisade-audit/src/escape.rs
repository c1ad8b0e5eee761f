//! JSON strings (RFC 8259, section 7) that are also safe to look at: besides what JSON demands,
//! DEL, the C1 controls, U+2028/2029 and the bidirectional controls are escaped, so that no line can
//! forge another line, move a terminal's cursor or turn text round before a reader's eyes.

use crate::digest::HEX;
use crate::survey::survey;

/// Appends `text` as a JSON string, quotes included.
pub(crate) fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_escaped(out, text.as_bytes());
    out.push(b'"');
}

/// Appends UTF-8 `text` as the inside of a JSON string.
pub(crate) fn push_escaped(out: &mut Vec<u8>, text: &[u8]) {
    let mut run = 0;
    let mut at = survey(text).plain;
    while at < text.len() {
        let byte = text[at];
        let short = match byte {
            b'"' => Some(b'"'),
            b'\\' => Some(b'\\'),
            b'\n' => Some(b'n'),
            b'\r' => Some(b'r'),
            b'\t' => Some(b't'),
            _ => None,
        };
        if let Some(letter) = short {
            out.extend_from_slice(&text[run..at]);
            out.extend_from_slice(&[b'\\', letter]);
            at += 1;
            run = at;
        } else if let Some((code, length)) = unsafe_to_show(&text[at..]) {
            out.extend_from_slice(&text[run..at]);
            push_code(out, code);
            at += length;
            run = at;
        } else {
            at += 1;
        }
        at += survey(&text[at..]).plain;
    }
    out.extend_from_slice(&text[run..]);
}

/// Appends the inside of a JSON string that is already valid JSON: escapes stay as they stand, raw
/// characters that are unsafe to show become escapes.
pub(crate) fn push_shown(out: &mut Vec<u8>, inside: &[u8]) {
    let mut run = 0;
    let mut at = 0;
    while at < inside.len() {
        if let Some((code, length)) = unsafe_to_show(&inside[at..]) {
            out.extend_from_slice(&inside[run..at]);
            push_code(out, code);
            at += length;
            run = at;
        } else {
            at += 1;
        }
    }
    out.extend_from_slice(&inside[run..]);
}

/// The code point at the start of `text`, with its length in bytes, if it must not be shown raw.
#[inline]
pub(crate) fn unsafe_to_show(text: &[u8]) -> Option<(u32, usize)> {
    match *text {
        [byte @ (0..=0x1f | 0x7f), ..] => Some((u32::from(byte), 1)),
        // U+0080..U+009F, the C1 controls: U+009B starts a terminal sequence.
        [0xc2, low @ 0x80..=0x9f, ..] => Some((u32::from(low), 2)),
        // U+061C, the Arabic letter mark.
        [0xd8, 0x9c, ..] => Some((0x061c, 2)),
        // U+200E/F marks, U+2028/9 separators, U+202A..E embeddings and overrides.
        [0xe2, 0x80, low @ (0x8e | 0x8f | 0xa8..=0xae), ..] => {
            Some((0x2000 + u32::from(low - 0x80), 3))
        }
        // U+2066..U+2069, the isolates.
        [0xe2, 0x81, low @ 0xa6..=0xa9, ..] => Some((0x2040 + u32::from(low - 0x80), 3)),
        _ => None,
    }
}

fn push_code(out: &mut Vec<u8>, code: u32) {
    let digit = |shift: u32| HEX[(code >> shift & 15) as usize];
    out.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = Vec::new();
        push_escaped(&mut out, text.as_bytes());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn table() {
        for (text, expected) in [
            (
                "plain text, longer than eight",
                "plain text, longer than eight",
            ),
            ("a\"b\\c", r#"a\"b\\c"#),
            ("a\nb\rc\td\0e", r"a\nb\rc\td\u0000e"),
            ("\u{1b}[31m\u{7f}\u{9b}", r"\u001b[31m\u007f\u009b"),
            ("a\u{2028}b\u{2029}", r"a\u2028b\u2029"),
            (
                "\u{202e}\u{2066}\u{2069}\u{200f}\u{61c}",
                r"\u202e\u2066\u2069\u200f\u061c",
            ),
            (
                "grün \u{2030} \u{2070} é \u{a0} ؛",
                "grün \u{2030} \u{2070} é \u{a0} ؛",
            ),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            let line = format!("\"{}\"", escaped(&text));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}

//! A string as it is meant.

use std::borrow::Cow;

/// What a string's content says.
#[inline]
pub(super) fn unescaped(content: &str, escaped: bool) -> Cow<'_, str> {
    if escaped {
        Cow::Owned(unescape(content))
    } else {
        Cow::Borrowed(content)
    }
}

/// Resolves the escapes of a string's content, which is known to be valid.
pub(super) fn unescape(content: &str) -> String {
    let mut out = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(slash) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..slash]);
        let bytes = &rest.as_bytes()[slash..];
        let (character, used) = match bytes.get(1) {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => {
                let first = unit_at(bytes, 2);
                if (0xD800..0xDC00).contains(&first) {
                    let second = unit_at(bytes, 8);
                    let code = 0x1_0000 + ((first & 0x3FF) << 10) + (second & 0x3FF);
                    (
                        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
                        12,
                    )
                } else {
                    (
                        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
                        6,
                    )
                }
            }
            Some(&other) => (char::from(other), 2),
            None => break,
        };
        out.push(character);
        rest = rest.get(slash + used..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

pub(super) fn unit_at(bytes: &[u8], at: usize) -> u32 {
    let digits = bytes.get(at..at + 4).unwrap_or_default();
    digits.iter().fold(0, |unit, byte| {
        unit << 4 | u32::from(hex(*byte).unwrap_or_default())
    })
}

pub(super) fn hex(byte: u8) -> Option<u16> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u16::try_from(digit).ok())
}

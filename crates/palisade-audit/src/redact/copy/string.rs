//! Strings with escapes, or with more than printable ASCII in them.

use std::borrow::Cow;

use super::{Copier, Refused};
use crate::escape::unsafe_to_show;
use crate::survey::survey;

/// A string's inside: `start..end` of the input.
pub(super) struct Text {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Holds a backslash: must be decoded before it is judged.
    pub(super) escaped: bool,
    /// Holds a character that must not be shown raw.
    pub(super) odd: bool,
}

impl Copier<'_> {
    /// Reads a string from behind its opening quote to behind its closing one.
    #[inline(never)]
    pub(super) fn string(&mut self) -> Result<Text, Refused> {
        let mut text = Text {
            start: self.at,
            end: 0,
            escaped: false,
            odd: false,
        };
        let json = self.json;
        let mut at = self.at;
        let mut ascii = true;
        loop {
            let rest = json.get(at..).unwrap_or_default();
            let plain = survey(rest).plain;
            at += plain + 1;
            match *rest.get(plain).ok_or(Refused::Invalid)? {
                b'"' => {
                    self.at = at;
                    text.end = at - 1;
                    // Nowhere else can JSON hold anything but ASCII.
                    if !ascii && std::str::from_utf8(&json[text.start..text.end]).is_err() {
                        return Err(Refused::Invalid);
                    }
                    return Ok(text);
                }
                b'\\' => {
                    text.escaped = true;
                    self.at = at;
                    self.escape()?;
                    at = self.at;
                }
                0..=0x1f => return Err(Refused::Invalid),
                byte => {
                    ascii &= byte < 0x80;
                    text.odd |= unsafe_to_show(&rest[plain..]).is_some();
                }
            }
        }
    }

    /// Reads an escape from behind its backslash.
    fn escape(&mut self) -> Result<(), Refused> {
        match self.next() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.hex()? {
                // A high surrogate and its low half; half a pair is no character.
                0xd800..=0xdbff => {
                    if self.next() == b'\\'
                        && self.next() == b'u'
                        && (0xdc00..=0xdfff).contains(&self.hex()?)
                    {
                        Ok(())
                    } else {
                        Err(Refused::Invalid)
                    }
                }
                0xdc00..=0xdfff => Err(Refused::Invalid),
                _ => Ok(()),
            },
            _ => Err(Refused::Invalid),
        }
    }

    fn hex(&mut self) -> Result<u32, Refused> {
        let digits = self.json[self.at..]
            .first_chunk::<4>()
            .ok_or(Refused::Invalid)?;
        self.at += 4;
        hex(digits).ok_or(Refused::Invalid)
    }

    /// Writes the string's characters to the scratch room; its escapes have been checked.
    pub(super) fn decode(&mut self, text: &Text) {
        self.scratch.clear();
        decode(&self.json[text.start..text.end], self.scratch);
    }
}

fn decode(mut rest: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (escape, length) = unescape(&rest[at + 1..]);
        out.extend_from_slice(escape.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(at + 1 + length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// The characters of a string that has not been checked yet, from its inside.
pub(super) fn characters(inside: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', inside).is_none() {
        return Cow::Borrowed(inside);
    }
    let mut out = Vec::with_capacity(inside.len());
    decode(inside, &mut out);
    Cow::Owned(out)
}

/// Finds the place of decoded characters in the spelling of a string.
pub(super) struct RawCursor<'a> {
    raw: &'a [u8],
    at: usize,
    decoded: usize,
}

impl<'a> RawCursor<'a> {
    pub(super) fn new(raw: &'a [u8]) -> Self {
        Self {
            raw,
            at: 0,
            decoded: 0,
        }
    }

    /// Where the decoded byte `target` is spelt; never goes back.
    pub(super) fn advance(&mut self, target: usize) -> usize {
        while self.decoded < target {
            let rest = &self.raw[self.at..];
            let plain = memchr::memchr(b'\\', rest)
                .unwrap_or(rest.len())
                .min(target - self.decoded);
            if plain > 0 {
                self.at += plain;
                self.decoded += plain;
            } else {
                let Some(escape) = rest.get(1..) else { break };
                let (letter, length) = unescape(escape);
                self.at += 1 + length;
                self.decoded += letter.len_utf8();
            }
        }
        self.at
    }
}

/// The character of a checked escape, read from behind the backslash, and its length there.
pub(crate) fn unescape(escape: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        escape
            .get(at..)
            .and_then(<[u8]>::first_chunk::<4>)
            .and_then(hex)
            .unwrap_or_default()
    };
    match escape.first() {
        Some(b'b') => ('\u{8}', 1),
        Some(b'f') => ('\u{c}', 1),
        Some(b'n') => ('\n', 1),
        Some(b'r') => ('\r', 1),
        Some(b't') => ('\t', 1),
        Some(b'u') => {
            let first = unit(1);
            if (0xd800..0xdc00).contains(&first) {
                let low = unit(7).wrapping_sub(0xdc00) & 0x3ff;
                let code = 0x10000 + ((first - 0xd800) << 10) + low;
                (
                    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
                    11,
                )
            } else {
                (
                    char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
                    5,
                )
            }
        }
        Some(&other) => (char::from(other), 1),
        None => (char::REPLACEMENT_CHARACTER, 0),
    }
}

fn hex(digits: &[u8; 4]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| {
        Some(value << 4 | char::from(digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        for (escape, letter, length) in [
            ("n", '\n', 1),
            ("bx", '\u{8}', 1),
            ("f", '\u{c}', 1),
            ("r", '\r', 1),
            ("t", '\t', 1),
            ("\"", '"', 1),
            ("\\", '\\', 1),
            ("/", '/', 1),
            ("u0041b", 'A', 5),
            ("u00e9", 'é', 5),
            ("uFFFD", '\u{fffd}', 5),
            ("ud7ff", '\u{d7ff}', 5),
            ("ue000", '\u{e000}', 5),
            ("ud800\\udc00", '\u{10000}', 11),
            ("ud83d\\ude00", '😀', 11),
            ("uD801\\uDC37", '\u{10437}', 11),
            ("udbff\\udfff", '\u{10ffff}', 11),
            ("", char::REPLACEMENT_CHARACTER, 0),
        ] {
            assert_eq!(unescape(escape.as_bytes()), (letter, length), "{escape}");
        }
        assert_eq!(hex(b"12aF"), Some(0x12af));
        assert_eq!(hex(b"12ag"), None);
    }

    /// Of what is no JSON, too: it is refused later.
    #[test]
    fn unchecked() {
        for (inside, characters) in [
            ("ab", "ab"),
            (r"a\u00e9b\n", "aéb\n"),
            (r"\u5bc6\u7801", "密码"),
            (r"a\", "a\u{fffd}"),
            (r"a\u1", "a\0"),
            (r"\ud83d", "\u{1f400}"),
        ] {
            let shown = super::characters(inside.as_bytes());
            assert_eq!(String::from_utf8_lossy(&shown), characters, "{inside}");
        }
    }

    #[test]
    fn places() {
        let raw = br"a\u00e9b\ud83d\ude00c\n";
        let mut cursor = RawCursor::new(raw);
        for (decoded, spelt) in [
            (0, 0),
            (1, 1),
            (3, 7),
            (4, 8),
            (8, 20),
            (9, 21),
            (10, 23),
            (11, 23),
        ] {
            assert_eq!(cursor.advance(decoded), spelt, "{decoded}");
        }
        // It never goes back.
        assert_eq!(cursor.advance(2), 23);
        let mut cursor = RawCursor::new(b"abcdef");
        assert_eq!(cursor.advance(4), 4);
        assert_eq!(cursor.advance(9), 6);
        let mut cursor = RawCursor::new(b"a\\");
        assert_eq!(cursor.advance(9), 3 - 1);
    }
}

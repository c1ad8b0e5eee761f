//! What a byte may be part of.

use super::prose::WORDS;
use super::token::SHAPES;

/// Where the bytes stop being of the class, from `at` on.
#[inline]
pub(super) fn run(text: &[u8], at: usize, class: u16) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|byte| CLASSES[usize::from(*byte)] & class == 0);
    at + length.unwrap_or(rest.len())
}

/// Where the bytes of the class before `at` begin, not below `floor`.
#[inline]
pub(super) fn run_back(text: &[u8], floor: usize, at: usize, class: u16) -> usize {
    let before = text.get(floor..at).unwrap_or_default();
    let length = before
        .iter()
        .rev()
        .position(|byte| CLASSES[usize::from(*byte)] & class == 0);
    at - length.unwrap_or(before.len())
}

/// As [`run`], looking at `max` bytes at most.
#[inline]
pub(super) fn run_within(text: &[u8], at: usize, class: u16, max: usize) -> usize {
    let end = text.len().min(at.saturating_add(max));
    run(&text[..end], at.min(end), class)
}

/// Letters and digits.
pub(super) const WORD: u16 = 1;
pub(super) const DIGIT: u16 = 1 << 1;
pub(super) const HEX: u16 = 1 << 2;
pub(super) const UPPER: u16 = 1 << 3;
/// Base64url and underscore words.
pub(super) const URL_SAFE: u16 = 1 << 4;
pub(super) const DOTTED: u16 = 1 << 5;
pub(super) const BASE64: u16 = 1 << 6;
/// RFC 9110, section 11.2.
pub(super) const TOKEN68: u16 = 1 << 7;
/// An e-mail address before its `@`, as addresses are in practice.
pub(super) const LOCAL: u16 = 1 << 8;
pub(super) const DOMAIN: u16 = 1 << 9;
/// A key in a text.
pub(super) const KEY: u16 = 1 << 10;
/// A value in a text: up to what separates.
pub(super) const VALUE: u16 = 1 << 11;
pub(super) const LINE: u16 = 1 << 12;
/// A word that begins so is looked at.
pub(super) const STARTS: u16 = 1 << 13;
/// Looked at wherever it stands.
pub(super) const MARK: u16 = 1 << 14;
/// Neither a space nor a control.
pub(super) const VISIBLE: u16 = 1 << 15;

/// The classes with one more, if the byte is of it.
const fn with(classes: u16, class: u16, is: bool) -> u16 {
    if is { classes | class } else { classes }
}

pub(super) static CLASSES: [u16; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let word = b.is_ascii_alphanumeric();
        let mut class = 0;
        class = with(class, WORD, word);
        class = with(class, DIGIT, b.is_ascii_digit());
        class = with(class, HEX, b.is_ascii_hexdigit());
        class = with(class, UPPER, b.is_ascii_uppercase() || b.is_ascii_digit());
        class = with(class, URL_SAFE, word || matches!(b, b'-' | b'_'));
        class = with(class, DOTTED, word || matches!(b, b'-' | b'_' | b'.'));
        class = with(class, BASE64, word || matches!(b, b'+' | b'/' | b'='));
        class = with(
            class,
            TOKEN68,
            word || matches!(b, b'-' | b'_' | b'.' | b'+' | b'/' | b'=' | b'~'),
        );
        class = with(
            class,
            LOCAL,
            word || matches!(b, b'-' | b'_' | b'.' | b'%' | b'+' | b'\''),
        );
        class = with(class, DOMAIN, word || matches!(b, b'-' | b'.'));
        class = with(class, KEY, word || matches!(b, b'-' | b'_' | b'.'));
        class = with(
            class,
            VALUE,
            !matches!(
                b,
                0..=b' '
                    | b'&'
                    | b';'
                    | b','
                    | b'"'
                    | b'\''
                    | b'<'
                    | b'>'
                    | b')'
                    | b']'
                    | b'}'
                    | b'|'
                    | b'\\'
            ),
        );
        class = with(
            class,
            LINE,
            !matches!(b, b'\r' | b'\n' | b'"' | b'\'' | b'\\'),
        );
        class = with(class, STARTS, b.is_ascii_digit());
        class = with(
            class,
            MARK,
            matches!(
                b,
                b'-' | b'@' | b'=' | b':' | b'_' | b'~' | b'%' | b'<' | b'{' | b'[' | b'$'
            ),
        );
        class = with(class, VISIBLE, !matches!(b, 0..=b' ' | 0x7f));
        classes[byte] = class;
        byte += 1;
    }
    let mut at = 0;
    while at < SHAPES.len() {
        let first = SHAPES[at].prefix[0] as usize;
        classes[first] = with(classes[first], STARTS, true);
        at += 1;
    }
    at = 0;
    while at < WORDS.len() {
        let first = WORDS[at].as_bytes()[0];
        let (small, capital) = (first as usize, first.to_ascii_uppercase() as usize);
        classes[small] = with(classes[small], STARTS, true);
        classes[capital] = with(classes[capital], STARTS, true);
        at += 1;
    }
    classes[b'e' as usize] = with(classes[b'e' as usize], STARTS, true);
    // Numbers of persons and accounts begin with capitals.
    let mut capital = b'A' as usize;
    while capital <= b'Z' as usize {
        classes[capital] = with(classes[capital], STARTS, true);
        capital += 1;
    }
    classes
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of each class, but for letters and digits.
    #[test]
    fn classes() {
        let all = |class: u16| -> String {
            (0..=255_u8)
                .filter(|byte| CLASSES[usize::from(*byte)] & class != 0)
                .map(char::from)
                .collect()
        };
        let (digits, upper, lower) = (
            "0123456789",
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            "abcdefghijklmnopqrstuvwxyz",
        );
        for (class, signs) in [
            (WORD, ""),
            (URL_SAFE, "-_"),
            (DOTTED, "-._"),
            (BASE64, "+/="),
            (TOKEN68, "+-./=_~"),
            (LOCAL, "%'+-._"),
            (DOMAIN, "-."),
            (KEY, "-._"),
        ] {
            let shown: String = all(class)
                .chars()
                .filter(|byte| !byte.is_ascii_alphanumeric())
                .collect();
            assert_eq!(shown, signs);
            assert_eq!(all(class).len(), 62 + signs.len());
        }
        assert_eq!(all(DIGIT), digits);
        assert_eq!(all(HEX), format!("{digits}ABCDEFabcdef"));
        assert_eq!(all(UPPER), format!("{digits}{upper}"));
        assert_eq!(all(MARK), "$%-:<=@[_{~");
        for (class, missing) in [
            (VALUE, "\"&'),;<>\\]|}"),
            (LINE, "\n\r\"'\\"),
            (VISIBLE, "\u{7f}"),
        ] {
            let without: String = (0..=255_u8)
                .filter(|byte| CLASSES[usize::from(*byte)] & class == 0)
                .map(char::from)
                .filter(|byte| class == LINE || *byte > ' ')
                .collect();
            assert_eq!(without, missing);
        }
        assert_eq!(all(VALUE | VISIBLE).chars().next(), Some('!'));
        // All capitals, all digits, and the letters that words and tokens begin with.
        let starts = all(STARTS);
        assert!(starts.starts_with(&format!("{digits}{upper}")));
        assert!(starts[36..].chars().all(|letter| lower.contains(letter)));
        assert!(starts.contains('e') && !starts.contains('q'));
    }

    #[test]
    fn runs() {
        assert_eq!(run(b"abc def", 0, WORD), 3);
        assert_eq!(run(b"abc def", 4, WORD), 7);
        assert_eq!(run(b"abc", 3, WORD), 3);
        assert_eq!(run(b" abc", 0, WORD), 0);
        assert_eq!(run_back(b"ab cde", 0, 6, WORD), 3);
        assert_eq!(run_back(b"ab cde", 4, 6, WORD), 4);
        assert_eq!(run_back(b"abc", 0, 3, WORD), 0);
        assert_eq!(run_back(b"ab ", 0, 3, WORD), 3);
        assert_eq!(run_within(b"abcdef", 1, WORD, 3), 4);
        assert_eq!(run_within(b"ab", 1, WORD, 3), 2);
        assert_eq!(run_within(b"ab", 5, WORD, 3), 2);
        assert_eq!(run_within(b"ab", 0, WORD, usize::MAX), 2);
    }
}

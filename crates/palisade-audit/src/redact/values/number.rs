//! Card numbers and social security numbers.

use super::classes::{CLASSES, DIGIT, WORD, run};
use crate::redact::{Finding, Mask};

/// Whether these digits, nothing else among them, are a payment card's number: a known issuer's prefix and
/// length, and the check digit by Luhn (ISO/IEC 7812-1).
pub(crate) fn is_card(digits: &[u8]) -> bool {
    if !(13..=19).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let prefix = |length: usize| {
        digits[..length]
            .iter()
            .fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'))
    };
    let known = match digits.len() {
        13 => digits[0] == b'4',
        14 => matches!(prefix(3), 300..=305) || matches!(prefix(2), 36 | 38 | 39),
        15 => matches!(prefix(2), 34 | 37),
        16 => {
            matches!(prefix(1), 4)
                || matches!(prefix(2), 51..=55 | 62 | 65)
                || matches!(prefix(3), 644..=649)
                || matches!(prefix(3), 300..=305)
                || matches!(prefix(2), 36 | 38 | 39 | 60)
                || matches!(
                    prefix(4),
                    2221..=2720 | 3528..=3589 | 6011 | 2200..=2204 | 5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763
                )
        }
        // What else has so many digits is an id.
        19 => prefix(2) == 62,
        _ => false,
    };
    known && luhn(digits)
}

pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let value = u32::from(digit - b'0') << (at & 1);
            // Modulo ten the sum of its digits.
            value / 10 + value
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether a card or social security number could begin here: nearly every number is neither.
#[inline]
pub(super) fn may_be_number(text: &[u8]) -> bool {
    let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    // The first group has three digits at least; days and hours have two.
    if !digit(2) || !digit(1) {
        return false;
    }
    match text.get(3) {
        Some(b'-') => digit(4),
        Some(b'0'..=b'9') => match text.get(4) {
            Some(b' ' | b'-' | b'.') => (5..9).all(digit),
            Some(0xc2 | 0xe2) => digit(6) || digit(7),
            Some(b'0'..=b'9') => digit(12),
            _ => false,
        },
        _ => false,
    }
}

/// A card number, bare or in its printed groups, or a US social security number.
#[inline(never)]
pub(super) fn number(text: &[u8], at: usize) -> Option<Finding> {
    // Not inside another number, nor behind a decimal point or a sign of a longer id.
    if let [.., before, b'-' | b'.'] = text[..at]
        && before.is_ascii_digit()
    {
        return None;
    }
    let mut digits = [0; 19];
    let mut groups = [0_usize; 5];
    let mut ends = [0_usize; 5];
    let mut count = 0;
    let mut group = 0;
    let mut end = at;
    let mut separator: Option<&[u8]> = None;
    loop {
        let start = end;
        let digits_end = run(text, start, DIGIT);
        let length = digits_end - start;
        if count + length > digits.len() {
            // What came before may be a card all the same.
            break;
        }
        end = digits_end;
        digits[count..count + length].copy_from_slice(&text[start..end]);
        count += length;
        groups[group] = length;
        ends[group] = end;
        group += 1;
        let sign = separator_at(&text[end..]);
        if sign.is_empty() || separator.is_some_and(|known| known != sign) || group == groups.len()
        {
            break;
        }
        separator = Some(sign);
        end += sign.len();
    }
    // Another number may follow in the same manner: then the first of its groups are the card's.
    (1..=group).rev().find_map(|group| {
        let end = ends[group - 1];
        let count = groups[..group].iter().sum();
        let card = match groups[..group] {
            [_] | [4, 4, 4, 4] | [4, 6, 4 | 5] | [4, 4, 4, 4, 1..=3] => is_card(&digits[..count]),
            [3, 2, 4] if separator == Some(b"-") => is_ssn(&digits[..9]),
            _ => false,
        };
        (card && ends_number(text, end)).then_some(Finding {
            start: at,
            end,
            mask: Mask::Plain,
        })
    })
}

/// Whether a number may end here: not in a word, nor before a decimal point or a sign of a longer id.
fn ends_number(text: &[u8], end: usize) -> bool {
    match text.get(end) {
        Some(b'.' | b'-') => !text.get(end + 1).is_some_and(u8::is_ascii_digit),
        Some(after) => CLASSES[usize::from(*after)] & WORD == 0,
        None => true,
    }
}

/// A space, a hyphen or a dot, also those that break no line.
fn separator_at(text: &[u8]) -> &[u8] {
    const SIGNS: [&str; 8] = [
        " ", "-", ".", "\u{a0}", "\u{2009}", "\u{202f}", "\u{2011}", "\u{2013}",
    ];
    SIGNS
        .iter()
        .map(|sign| sign.as_bytes())
        .find(|sign| text.starts_with(sign))
        .unwrap_or_default()
}

/// What the administration has ever given out: area not 000, 666, 9xx; group not 00; serial not 0000.
fn is_ssn(digits: &[u8]) -> bool {
    let (area, rest) = digits.split_at(3);
    let (group, serial) = rest.split_at(2);
    area != b"000" && area != b"666" && area[0] != b'9' && group != b"00" && serial != b"0000"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number of so many digits that begins with `prefix`, and is right by Luhn.
    fn with_luhn(prefix: &str, length: usize) -> Vec<u8> {
        let mut digits = prefix.as_bytes().to_vec();
        digits.resize(length, b'0');
        for check in b'0'..=b'9' {
            digits[length - 1] = check;
            if luhn(&digits) {
                break;
            }
        }
        digits
    }

    // REQ: L-2
    #[test]
    fn issuers() {
        assert!(luhn(b"79927398713") && !luhn(b"79927398710") && luhn(b"0"));
        for (length, prefixes, others) in [
            (13, "4", "3 5"),
            (14, "300 305 36 38 39", "299 306 37 35 40 301"),
            (15, "34 37", "33 35 36 38"),
            (
                16,
                "4 51 55 62 65 644 649 300 305 36 38 39 60 2221 2720 3528 3589 6011 2200 2204 5018 5020 5038 5893 6304 6759 6761 6763",
                "50 56 61 63 643 640 299 306 37 2220 2721 3527 3590 2199 2205 5017 5019 5021 5037 5039 5892 5894 6303 6305 6758 6760 6764",
            ),
            (19, "62", "4 61 63 5"),
            (12, "", "4"),
            (17, "", "4 62"),
            (18, "", "4 62"),
            (20, "", "4 62"),
        ] {
            for prefix in prefixes.split_whitespace() {
                let mut digits = with_luhn(prefix, length);
                assert!(is_card(&digits), "{prefix} {length}");
                digits[length - 1] = b'0' + (digits[length - 1] - b'0' + 1) % 10;
                assert!(!is_card(&digits), "{prefix} {length}");
            }
            for prefix in others.split_whitespace().filter(|other| *other != "301") {
                assert!(!is_card(&with_luhn(prefix, length)), "{prefix} {length}");
            }
        }
        assert!(!is_card(b"411111111111111a"));
        assert!(!is_card(b"-411111111111111"));
    }

    // REQ: L-2
    #[test]
    fn spelt() {
        for (text, at, end) in [
            ("4111111111111111", 0, Some(16)),
            ("4111 1111 1111 1111", 0, Some(19)),
            ("4111-1111-1111-1111", 0, Some(19)),
            ("4111.1111.1111.1111", 0, Some(19)),
            ("4111\u{a0}1111\u{a0}1111\u{a0}1111", 0, Some(22)),
            ("4111\u{2011}1111\u{2011}1111\u{2011}1111", 0, Some(25)),
            ("4111 1111-1111 1111", 0, None),
            ("4111  1111 1111 1111", 0, None),
            ("411 11111 1111 1111", 0, None),
            ("41111111 1111 1111", 0, None),
            ("3782 822463 10005", 0, Some(17)),
            ("3056 930902 5904", 0, Some(16)),
            ("6205 5000 0000 0000 004", 0, Some(23)),
            ("4111 1111 1111 1111 07", 0, Some(19)),
            ("4111 1111 1111 1111 2222 3333", 0, Some(19)),
            ("4111 1111 1111 11112222", 0, None),
            ("4111111111111111.5", 0, None),
            ("4111111111111111.", 0, Some(16)),
            ("4111111111111111-", 0, Some(16)),
            ("4111111111111111-2", 0, None),
            ("4111111111111111a", 0, None),
            ("4111111111111111,2", 0, Some(16)),
            ("1-4111111111111111", 2, None),
            ("1.4111111111111111", 2, None),
            ("a-4111111111111111", 2, Some(18)),
            ("1 4111111111111111", 2, Some(18)),
            ("-4111111111111111", 1, Some(17)),
            ("078-05-1120", 0, Some(11)),
            ("078 05 1120", 0, None),
            ("078.05.1120", 0, None),
            ("078-05-1120-1", 0, None),
            ("078-05-11201", 0, None),
            ("078-051-120", 0, None),
        ] {
            let found = number(text.as_bytes(), at);
            assert_eq!(found.map(|found| found.end), end, "{text}");
            assert!(found.is_none_or(|found| found.start == at));
        }
        for (digits, is) in [
            ("078051120", true),
            ("000051120", false),
            ("666051120", false),
            ("900051120", false),
            ("899051120", true),
            ("078001120", false),
            ("078050000", false),
        ] {
            assert_eq!(is_ssn(digits.as_bytes()), is, "{digits}");
        }
        for (text, may) in [
            ("123", false),
            ("12-45", false),
            ("1a345678901234", false),
            ("123-4", true),
            ("123-a", false),
            ("1234 5678", true),
            ("1234-5678", true),
            ("1234.5678", true),
            ("1234 567", false),
            ("1234 567a", false),
            ("1234\u{a0}5", true),
            ("1234\u{2009}5", true),
            ("1234\u{2009}a", false),
            ("1234567890123", true),
            ("123456789012", false),
            ("1234a", false),
            ("123 4", false),
        ] {
            assert_eq!(may_be_number(text.as_bytes()), may, "{text}");
        }
    }
}

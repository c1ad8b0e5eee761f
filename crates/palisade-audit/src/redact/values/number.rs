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
            value / 10 + value % 10
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
        if sign.is_empty()
            || separator.is_some_and(|known| known != sign)
            || group == groups.len()
            || !text.get(end + sign.len()).is_some_and(u8::is_ascii_digit)
            || !matches!(groups[..group], [3 | 4, ..])
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

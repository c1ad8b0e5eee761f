//! Numbers of persons behind their names, where no sign stands between: `PESEL 44051401359`, `passport no. C01X00T47`.

use super::classes::{WORD, run_within};
use crate::redact::{Finding, Mask};

/// The number behind the name `name` that ends at `end`.
#[inline(never)]
pub(super) fn number(text: &[u8], name: &[u8], end: usize) -> Option<Finding> {
    // `sin` and `rut` are words, too.
    if name.len() < 5 && name.iter().any(u8::is_ascii_lowercase) {
        return None;
    }
    let mut start = end;
    // `number`, `no.`, `id:`
    for _ in 0..3 {
        while matches!(text.get(start), Some(b' ' | b'-' | b':' | b'#' | b'.')) && start < end + 24
        {
            start += 1;
        }
        let word = run_within(text, start, WORD, 16);
        let between = &text[start..word];
        if !BETWEEN
            .iter()
            .any(|known| between.eq_ignore_ascii_case(known))
        {
            break;
        }
        start = word;
    }
    let head = &text[start..text.len().min(start + NUMBER_MAX)];
    let letters = head
        .iter()
        .take(2)
        .take_while(|byte| byte.is_ascii_uppercase())
        .count();
    let length = head
        .iter()
        .skip(letters)
        .position(|byte| !(byte.is_ascii_digit() || b" .-/".contains(byte)))
        .map_or(head.len(), |length| letters + length);
    let digits = head[..length].trim_ascii_end();
    let digits = digits.strip_suffix(b".").unwrap_or(digits);
    let mut stop = start + digits.len();
    // Letters and digits in turn, or a letter at its end: `C01X00T47`, `1234567FA`.
    stop = stop.max(run_within(text, stop, WORD, NUMBER_MAX));
    let number = &text[start..stop];
    let count = number.iter().filter(|byte| byte.is_ascii_digit()).count();
    let small = number.iter().any(u8::is_ascii_lowercase);
    let starts = matches!(number.first(), Some(b'0'..=b'9' | b'A'..=b'Z'));
    (starts && !small && (6..=15).contains(&count)).then_some(Finding {
        start,
        end: stop,
        mask: Mask::Plain,
    })
}

/// What stands between a number and its name.
const BETWEEN: [&[u8]; 8] = [
    b"number", b"no", b"nr", b"num", b"id", b"is", b"card", b"nummer",
];

/// No number of a person is longer, in bytes.
const NUMBER_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: L-2
    #[test]
    fn behind_names() {
        for (line, expected) in [
            ("PESEL 44051401359", Some("44051401359")),
            ("NHS number 943 476 5919.", Some("943 476 5919")),
            ("BSN 111222333 x", Some("111222333")),
            ("passport no. C01X00T47, x", Some("C01X00T47")),
            ("Passport No: 123456", Some("123456")),
            ("PPS 1234567FA", Some("1234567FA")),
            ("Steuer-ID 86 095 742 719", Some("86 095 742 719")),
            ("SIN 046-454-286", Some("046-454-286")),
            ("sin 046454286", None),
            ("SIN 12345", None),
            ("passport office 123456", None),
            ("passport in 2026", None),
            ("NHS England 2026 1234", None),
            ("PPS 1234567890123456", None),
            ("PPS", None),
            ("BSN abc123456", None),
        ] {
            let end = run_within(line.as_bytes(), 0, WORD, 24);
            let found = number(line.as_bytes(), &line.as_bytes()[..end], end);
            assert_eq!(
                found.map(|found| &line[found.start..found.end]),
                expected,
                "{line}"
            );
        }
    }
}

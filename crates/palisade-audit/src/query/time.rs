//! Moments as milliseconds since 1970, and spans.

use std::time::{Duration, UNIX_EPOCH};

use crate::stamp::Stamp;

/// Reads RFC 3339: `2026-01-31T12:00:00.123Z`, with any number of digits behind the point and any offset; also a date
/// alone, and seconds left out.
#[must_use]
pub fn parse_time(text: &[u8]) -> Option<i64> {
    let two = |at: usize| {
        let digits = text.get(at..at + 2)?;
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| i64::from(digits[0] - b'0') * 10 + i64::from(digits[1] - b'0'))
    };
    let is = |at: usize, byte: u8| text.get(at) == Some(&byte);
    let year = two(0)? * 100 + two(2)?;
    let (month, day) = (two(5)?, two(8)?);
    if !is(4, b'-')
        || !is(7, b'-')
        || !(1..=12).contains(&month)
        || !(1..=days(year, month)).contains(&day)
    {
        return None;
    }
    let date = days_since_1970(year, month, day) * 86_400_000;
    if text.len() == 10 {
        return Some(date);
    }
    if !matches!(text[10], b'T' | b't' | b' ') || !is(13, b':') {
        return None;
    }
    let (hour, minute) = (two(11)?, two(14)?);
    let mut at = 16;
    let mut second = 0;
    let mut millis = 0;
    if is(at, b':') {
        second = two(17)?;
        at = 19;
        if is(at, b'.') {
            at += 1;
            let start = at;
            while text.get(at).is_some_and(u8::is_ascii_digit) {
                let weight = [100, 10, 1].get(at - start).copied().unwrap_or(0);
                millis += i64::from(text[at] - b'0') * weight;
                at += 1;
            }
            if at == start {
                return None;
            }
        }
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let offset = match text.get(at) {
        None | Some(b'Z' | b'z') if text.len() <= at + 1 => 0,
        Some(sign @ (b'+' | b'-')) if text.len() == at + 6 && is(at + 3, b':') => {
            let minutes = two(at + 1)? * 60 + two(at + 4)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    Some(date + (hour * 3600 + minute * 60 + second) * 1000 + millis - offset * 60_000)
}

/// Writes RFC 3339, in UTC, to the millisecond; times before 1970 as its first moment.
#[must_use]
pub fn format_time(millis: i64) -> String {
    let since = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    let mut out = Vec::with_capacity(24);
    Stamp::default().push(&mut out, UNIX_EPOCH + since);
    String::from_utf8(out).unwrap_or_default()
}

/// Reads `90s`, `15m`, `24h`, `7d`, `2w`.
#[must_use]
pub fn parse_span(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 604_800,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some(Duration::from_secs(number.checked_mul(seconds)?))
}

/// Howard Hinnant's `days_from_civil`.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn days(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (text, expected) in [
            ("1970-01-01T00:00:00.000Z", Some(0)),
            ("2000-02-29T12:00:00.001Z", Some(951_825_600_001)),
            ("2026-10-31T00:00:00.042Z", Some(1_793_404_800_042)),
            ("2026-10-31T02:00:00.0429+02:00", Some(1_793_404_800_042)),
            ("2026-10-30T22:30:00-01:30", Some(1_793_404_800_000)),
            ("2026-10-31", Some(1_793_404_800_000)),
            ("2026-10-31 00:00", Some(1_793_404_800_000)),
            ("2026-10-31T00:00:00", Some(1_793_404_800_000)),
            ("1969-12-31T23:59:59.999Z", Some(-1)),
            ("2026-02-29", None),
            ("2026-13-01", None),
            ("2026-00-01", None),
            ("2026-1-1", None),
            ("2026-10-31T24:00:00Z", None),
            ("2026-10-31T00:60:00Z", None),
            ("2026-10-31T00:00:00.Z", None),
            ("2026-10-31T00:00:00Zx", None),
            ("2026-10-31T00:00:00+0200", None),
            ("2026-10-31T00", None),
            ("", None),
        ] {
            assert_eq!(parse_time(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(format_time(1_793_404_800_042), "2026-10-31T00:00:00.042Z");
        assert_eq!(format_time(-1), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn spans() {
        for (text, expected) in [
            ("90s", Some(90)),
            ("15m", Some(900)),
            ("24h", Some(86_400)),
            ("7d", Some(604_800)),
            ("2w", Some(1_209_600)),
            ("1", None),
            ("h", None),
            ("", None),
            ("-1h", None),
            ("1.5h", None),
            ("1y", None),
            ("99999999999999999999s", None),
            ("99999999999999999d", None),
            ("1é", None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(parse_span(text), expected, "{text}");
        }
    }
}

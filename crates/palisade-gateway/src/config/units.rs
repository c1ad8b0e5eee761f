//! Values with a unit, as they are written in the configuration: `"60s"`, `"2MB"`, `"100/min"`.
//!
//! Each reader is a pure function from the text to the value or to a sentence that says what was
//! wrong with it; the caller adds the place and the remedy.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

/// The longest duration that a key takes: ten years, far beyond any use and far from overflow.
const LONGEST: u64 = 10 * 366 * 24 * 3600;

/// How many requests may come in a window of time, written `"100/min"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in one window.
    pub requests: NonZeroU32,
    /// The window.
    pub per: Window,
}

/// The window of a [`RateLimit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// One hour, written `/h`.
    Hour,
    /// One minute, written `/min`.
    Minute,
    /// One second, written `/s`.
    Second,
}

impl RateLimit {
    /// A limit of `requests` in each minute; nought is taken as one.
    #[must_use]
    pub const fn per_minute(requests: u32) -> Self {
        let requests = match NonZeroU32::new(requests) {
            Some(requests) => requests,
            None => NonZeroU32::MIN,
        };
        Self {
            requests,
            per: Window::Minute,
        }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.requests, self.per.unit())
    }
}

impl Window {
    /// The window's length.
    #[must_use]
    pub const fn duration(self) -> Duration {
        match self {
            Self::Hour => Duration::from_secs(3600),
            Self::Minute => Duration::from_secs(60),
            Self::Second => Duration::from_secs(1),
        }
    }

    /// The unit as it is written after the slash.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Hour => "h",
            Self::Minute => "min",
            Self::Second => "s",
        }
    }
}

/// Reads a duration: a whole number and one of `ms`, `s`, `m`, `min`, `h`, `d`.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = number_and_unit(text)?;
    let seconds_in_one = match unit {
        "ms" => {
            return if number <= LONGEST * 1000 {
                Ok(Duration::from_millis(number))
            } else {
                Err(too_long())
            };
        }
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        "" => return Err("the unit is missing".to_owned()),
        other => return Err(format!("`{other}` is not a unit of time")),
    };
    match number.checked_mul(seconds_in_one) {
        Some(seconds) if seconds <= LONGEST => Ok(Duration::from_secs(seconds)),
        _ => Err(too_long()),
    }
}

/// Reads a number of bytes: a whole number and nothing, `B`, `KB`, `MB` or `GB` (`KiB`, `MiB` and
/// `GiB` mean the same: 1,024 and its powers; letter case does not matter).
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = number_and_unit(text)?;
    let factor: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" | "kib" => 1 << 10,
        "mb" | "mib" => 1 << 20,
        "gb" | "gib" => 1 << 30,
        _ => return Err(format!("`{unit}` is not a unit of size")),
    };
    number
        .checked_mul(factor)
        .filter(|bytes| i64::try_from(*bytes).is_ok())
        .ok_or_else(|| "the number is too large".to_owned())
}

/// Reads a rate: a whole number above nought, a slash, and one of `s`, `min`, `h`.
///
/// # Errors
/// A sentence that says what is wrong with the text.
pub(super) fn rate(text: &str) -> Result<RateLimit, String> {
    let Some((number, unit)) = text.split_once('/') else {
        return Err("the slash and the window are missing".to_owned());
    };
    let number = number.trim();
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("`{number}` is not a whole number"));
    }
    let requests: u32 = number
        .parse()
        .map_err(|_| "the number is too large".to_owned())?;
    let requests = NonZeroU32::new(requests)
        .ok_or_else(|| "a limit of nought lets nothing through".to_owned())?;
    let per = match unit.trim() {
        "s" => Window::Second,
        "min" => Window::Minute,
        "h" => Window::Hour,
        other => return Err(format!("`{other}` is not a window")),
    };
    Ok(RateLimit { requests, per })
}

/// Writes a duration in the largest unit that divides it.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    if duration.subsec_nanos() != 0 {
        return format!("{}ms", duration.as_millis());
    }
    let seconds = duration.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        s if s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 && s > 60 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// Writes a number of bytes in the largest unit that divides it.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    for (unit, shift) in [("GB", 30), ("MB", 20), ("KB", 10)] {
        if bytes != 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

fn number_and_unit(text: &str) -> Result<(u64, &str), String> {
    let text = text.trim();
    let end = text
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    if number.is_empty() {
        return Err("it does not begin with a whole number".to_owned());
    }
    let number = number
        .parse()
        .map_err(|_| "the number is too large".to_owned())?;
    Ok((number, unit.trim_start()))
}

fn too_long() -> String {
    "it is longer than ten years".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, wanted) in [
            ("60s", Some(Duration::from_secs(60))),
            ("500ms", Some(Duration::from_millis(500))),
            ("5m", Some(Duration::from_secs(300))),
            ("5min", Some(Duration::from_secs(300))),
            ("1h", Some(Duration::from_secs(3600))),
            ("730d", Some(Duration::from_secs(63_072_000))),
            (" 60 s ", Some(Duration::from_secs(60))),
            ("0s", Some(Duration::ZERO)),
            ("60", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1h30m", None),
            ("1w", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
            ("18446744073709551615ms", None),
        ] {
            assert_eq!(duration(text).ok(), wanted, "{text}");
        }
    }

    // REQ: R-3
    #[test]
    fn a_megabyte_is_a_mebibyte() {
        for (text, wanted) in [
            ("2MB", Some(2_097_152)),
            ("2MiB", Some(2_097_152)),
            ("2 mb", Some(2_097_152)),
            ("1GB", Some(1 << 30)),
            ("64KB", Some(65_536)),
            ("17", Some(17)),
            ("17B", Some(17)),
            ("2M", None),
            ("2TB", None),
            ("MB", None),
            ("", None),
            ("-2MB", None),
            ("18446744073709551615GB", None),
            ("18446744073709551615", None),
        ] {
            assert_eq!(size(text).ok(), wanted, "{text}");
        }
    }

    #[test]
    fn rates() {
        for (text, wanted) in [
            ("100/min", Some("100/min")),
            ("1/s", Some("1/s")),
            (" 10 / h ", Some("10/h")),
            ("0/s", None),
            ("100", None),
            ("100/m", None),
            ("100/minute", None),
            ("/min", None),
            ("+1/min", None),
            ("4294967296/s", None),
        ] {
            assert_eq!(
                rate(text).ok().map(|r| r.to_string()).as_deref(),
                wanted,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for seconds in [0, 1, 59, 60, 61, 300, 3600, 86_400, 63_072_000, 3661] {
            let value = Duration::from_secs(seconds);
            assert_eq!(duration(&show_duration(value)), Ok(value));
        }
        for bytes in [0, 1, 1023, 1024, 2_097_152, 1 << 30, (1 << 30) + 1] {
            assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }
    }
}

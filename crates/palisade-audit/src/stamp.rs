//! Timestamps by RFC 3339, in UTC, to the millisecond.

use std::time::{SystemTime, UNIX_EPOCH};

/// Formats timestamps; remembers the last second, since the records of a busy worker share it.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    second: u64,
    /// `2026-01-31T23:59:59.999Z`, of the last time that was written.
    text: [u8; 24],
}

impl Default for Stamp {
    fn default() -> Self {
        Self {
            second: 0,
            text: *b"1970-01-01T00:00:00.000Z",
        }
    }
}

impl Stamp {
    /// Appends `2026-01-31T23:59:59.999Z`. Times before 1970 are shown as its first moment, times
    /// after the year 9999, which RFC 3339 cannot write, as its last second.
    pub(crate) fn push(&mut self, out: &mut Vec<u8>, time: SystemTime) {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let second = since.as_secs().min(LAST_SECOND);
        if second != self.second {
            self.second = second;
            self.text = date_and_time(second);
        }
        let millis = since.subsec_millis();
        self.text[20] = digit(millis / 100);
        self.text[21] = digit(millis / 10);
        self.text[22] = digit(millis);
        out.extend_from_slice(&self.text);
    }
}

/// 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// The civil date of a day count, by Howard Hinnant's `civil_from_days`.
fn date_and_time(second: u64) -> [u8; 24] {
    let days = second / 86_400 + 719_468; // from 0000-03-01
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let of_day = second % 86_400;
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |at: usize, value: u64| {
        text[at] = digit((value / 10) as u32);
        text[at + 1] = digit(value as u32);
    };
    put(0, year / 100);
    put(2, year % 100);
    put(5, month);
    put(8, day);
    put(11, of_day / 3_600);
    put(14, of_day / 60 % 60);
    put(17, of_day % 60);
    text
}

fn digit(value: u32) -> u8 {
    b'0' + (value % 10) as u8
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn known_moments() {
        let mut stamp = Stamp::default();
        // Seconds by `date -u -d … +%s`.
        for (millis, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_825_600_001, "2000-02-29T12:00:00.001Z"),
            (1_793_404_800_000, "2026-10-31T00:00:00.000Z"),
            (1_793_404_800_042, "2026-10-31T00:00:00.042Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "9999-12-31T23:59:59.000Z"),
        ] {
            let mut out = Vec::new();
            stamp.push(&mut out, UNIX_EPOCH + Duration::from_millis(millis));
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
        let mut out = Vec::new();
        stamp.push(&mut out, UNIX_EPOCH - Duration::from_secs(5));
        assert_eq!(out, b"1970-01-01T00:00:00.000Z");
    }
}

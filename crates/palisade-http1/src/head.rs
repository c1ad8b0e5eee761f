//! Writing heads: field lines, dates, numbers.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Writes field lines behind a start line.
///
/// The fields by which this hop is framed are ours (Content-Length, Transfer-Encoding, Connection,
/// Keep-Alive, Upgrade): they are passed over.
#[derive(Debug)]
pub struct FieldWriter<'a> {
    pub(crate) out: &'a mut Vec<u8>,
}

impl FieldWriter<'_> {
    /// Writes one field.
    pub fn put(&mut self, name: &HeaderName, value: &HeaderValue) {
        if !is_ours(name) {
            self.line(name.as_str().as_bytes(), &[value.as_bytes()]);
        }
    }

    /// Writes all fields of a message that are not ours.
    fn put_all(&mut self, headers: &HeaderMap) {
        for (name, value) in headers {
            self.put(name, value);
        }
    }

    /// Writes one field whose value is made of pieces. One that could end its line early is not
    /// written.
    pub fn put_pieces(&mut self, name: &'static HeaderName, pieces: &[&[u8]]) {
        let ends = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
        if !is_ours(name) && !pieces.iter().any(|piece| piece.iter().any(ends)) {
            self.line(name.as_str().as_bytes(), pieces);
        }
    }

    /// Writes ready lines.
    pub fn put_lines(&mut self, lines: &FieldLines) {
        lines.put(self.out);
    }

    fn line(&mut self, name: &[u8], pieces: &[&[u8]]) {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        self.out.reserve(name.len() + length + 4);
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(b": ");
        for piece in pieces {
            self.out.extend_from_slice(piece);
        }
        self.out.extend_from_slice(b"\r\n");
    }
}

/// Field lines as they are sent: those that are written once and sent often, and those of one
/// message.
#[derive(Clone, Default)]
pub struct FieldLines {
    shared: Bytes,
    own: Vec<u8>,
    hides: Option<Hides>,
}

type Hides = Arc<dyn Fn(&HeaderName) -> bool + Send + Sync>;

impl FieldLines {
    /// The lines of `headers`, without those that frame a message.
    #[must_use]
    pub fn new(headers: &HeaderMap) -> Self {
        Self::of(|fields| fields.put_all(headers))
    }

    /// The lines that `put` writes.
    #[must_use]
    pub fn of(put: impl FnOnce(&mut FieldWriter<'_>)) -> Self {
        let mut lines = Vec::new();
        put(&mut FieldWriter { out: &mut lines });
        Self {
            shared: lines.into(),
            ..Self::default()
        }
    }

    /// Instead of the message's own fields of the names that `hides` knows.
    #[must_use]
    pub fn hiding(mut self, hides: impl Fn(&HeaderName) -> bool + Send + Sync + 'static) -> Self {
        self.hides = Some(Arc::new(hides));
        self
    }

    /// With `own` lines behind them: whole ones, each with its CRLF, and none that frames a
    /// message. They are sent as they are.
    #[must_use]
    pub fn and(mut self, own: Vec<u8>) -> Self {
        self.own = own;
        self
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.shared);
        out.extend_from_slice(&self.own);
    }

    /// Writes these lines and what they leave of a message's own `headers`.
    pub(crate) fn put_with(&self, headers: &HeaderMap, out: &mut Vec<u8>) {
        self.put(out);
        let mut writer = FieldWriter { out };
        for (name, value) in headers {
            if !self.hides.as_ref().is_some_and(|hides| hides(name)) {
                writer.put(name, value);
            }
        }
    }
}

impl fmt::Debug for FieldLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries([&self.shared[..], &self.own])
            .finish()
    }
}

fn is_ours(name: &HeaderName) -> bool {
    *name == CONTENT_LENGTH
        || *name == TRANSFER_ENCODING
        || *name == CONNECTION
        || *name == UPGRADE
        || name.as_str() == "keep-alive"
}

pub(crate) fn put_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"content-length: ");
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes the size line of a chunk.
pub(crate) fn put_chunk_size(size: usize, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - (size | 1).leading_zeros()).div_ceil(4);
    for place in (0..digits).rev() {
        let digit = size >> (place * 4) & 0xf;
        out.push(DIGITS.get(digit).copied().unwrap_or(b'0'));
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes `date: …` with the time of now (RFC 9110 section 6.6.1), worked out once a second.
pub(crate) fn put_date(out: &mut Vec<u8>) {
    thread_local! {
        static LAST: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    LAST.with_borrow_mut(|(second, text)| {
        if *second != now || text.is_empty() {
            *second = now;
            text.clear();
            put_imf_date(now, text);
        }
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"\r\n");
    });
}

/// IMF-fixdate (RFC 9110 section 5.6.7) of seconds since 1970.
fn put_imf_date(seconds: u64, out: &mut String) {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let days = seconds / 86_400;
    // Years that begin in March put the leap day at their end; 719,468 days lie between
    // 1 March of year 0 and 1970.
    let since_march = days + 719_468;
    let era = since_march / 146_097;
    let day_of_era = since_march % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let name = |names: &[&'static str], at: u64| {
        usize::try_from(at)
            .ok()
            .and_then(|at| names.get(at).copied())
            .unwrap_or_default()
    };
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        name(&DAYS, days % 7),
        name(&MONTHS, month - 1),
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        for (seconds, expected) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_709_251_199, "Thu, 29 Feb 2024 23:59:59 GMT"),
            (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ] {
            let mut text = String::new();
            put_imf_date(seconds, &mut text);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn chunk_sizes() {
        for size in [0, 1, 9, 10, 15, 16, 255, 256, 4095, 65_536, usize::MAX] {
            let mut out = Vec::new();
            put_chunk_size(size, &mut out);
            assert_eq!(out, format!("{size:x}\r\n").into_bytes());
        }
    }
}

//! Field lines (RFC 9112 section 5), for requests, responses and trailers.

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use memchr::memchr;

use crate::fault::Fault;
use crate::memory::Memory;

/// Looks for the empty line that ends a section of lines, from the start of the line at `line`.
///
/// Returns where the next section begins. Without an end, `line` moves to the start of the line
/// that is not complete yet, so nothing is looked at twice. A line that LF alone ends, ends here
/// too, so that a section with bare LFs is found and then refused.
pub(crate) fn section_end(bytes: &[u8], line: &mut usize) -> Option<usize> {
    loop {
        let rest = bytes.get(*line..)?;
        let length = memchr(b'\n', rest)?;
        if length == 0 || (length == 1 && rest.first() == Some(&b'\r')) {
            return Some(*line + length + 1);
        }
        *line += length + 1;
    }
}

/// A section of field lines, and what decides about the message's framing and connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields {
    pub(crate) map: HeaderMap,
    pub(crate) length: Length,
    pub(crate) coding: Coding,
    /// `Connection: close` was said.
    pub(crate) close: bool,
    /// `Expect: 100-continue` was said.
    pub(crate) expects_continue: bool,
    /// The first fault; fields from there on are not in the map.
    pub(crate) fault: Option<Fault>,
}

/// What was said by Content-Length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Length {
    #[default]
    Absent,
    Is(u64),
    Invalid,
}

/// What was said by Transfer-Encoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Coding {
    #[default]
    Absent,
    Chunked,
    Other,
}

impl Fields {
    /// As [`Fields::read`], with the help of what was read on this connection before.
    pub(crate) fn read_again(section: &Bytes, limit: usize, memory: &mut Memory) -> Self {
        memory.recall(section).unwrap_or_else(|| {
            let fields = Self::read(section, limit);
            memory.learn(section, &fields, limit);
            fields
        })
    }

    /// Reads the lines of `section`, at most `limit` of them. The empty line at its end is part
    /// of it.
    pub(crate) fn read(section: &Bytes, limit: usize) -> Self {
        let mut fields = Self {
            // Most requests have fewer than 14 fields, and more only cost a growth.
            map: HeaderMap::with_capacity(14),
            ..Self::default()
        };
        fields.fault = fields.lines(section, limit).err();
        fields
    }

    fn lines(&mut self, section: &Bytes, limit: usize) -> Result<(), Fault> {
        let mut start = 0;
        let mut count = 0;
        loop {
            let rest = section.get(start..).unwrap_or_default();
            let Some(length) = memchr(b'\n', rest) else {
                return Ok(());
            };
            let line = rest.get(..length).unwrap_or_default();
            let Some((b'\r', line)) = line.split_last() else {
                return Err(Fault::BareLf);
            };
            if line.is_empty() {
                return Ok(());
            }
            count += 1;
            if count > limit {
                return Err(Fault::TooManyFields);
            }
            let (name, value) = field(section, start, line)?;
            self.note(&name, &value);
            // A value's memory is the section's, so the map is all that grows.
            self.map
                .try_append(name, value)
                .map_err(|_| Fault::TooManyFields)?;
            start += length + 1;
        }
    }

    fn note(&mut self, name: &HeaderName, value: &HeaderValue) {
        if *name == CONTENT_LENGTH {
            self.length = match (self.length, decimal(value.as_bytes())) {
                (Length::Absent, Some(length)) => Length::Is(length),
                _ => Length::Invalid,
            };
        } else if *name == TRANSFER_ENCODING {
            self.coding = match self.coding {
                Coding::Absent if value.as_bytes().eq_ignore_ascii_case(b"chunked") => {
                    Coding::Chunked
                }
                _ => Coding::Other,
            };
        } else if *name == CONNECTION {
            self.close |= has_option(value, b"close");
        } else if *name == EXPECT {
            self.expects_continue |= value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        }
    }
}

/// One field line, which starts at `start` of the `section`.
pub(crate) fn field(
    section: &Bytes,
    start: usize,
    line: &[u8],
) -> Result<(HeaderName, HeaderValue), Fault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Fault::ObsFold);
    }
    let colon = memchr(b':', line).ok_or(Fault::NoColon)?;
    let (name, value) = line.split_at(colon);
    let name = HeaderName::from_bytes(name).map_err(|_| Fault::FieldName)?;
    let mut from = 1;
    let mut to = value.len();
    while from < to && is_white(value.get(from)) {
        from += 1;
    }
    while from < to && is_white(value.get(to - 1)) {
        to -= 1;
    }
    let range = start + colon + from..start + colon + to;
    match HeaderValue::from_maybe_shared(section.slice(range)) {
        Ok(value) => Ok((name, value)),
        Err(_) if value.contains(&b'\r') => Err(Fault::BareCr),
        Err(_) => Err(Fault::FieldValue),
    }
}

const fn is_white(byte: Option<&u8>) -> bool {
    matches!(byte, Some(b' ' | b'\t'))
}

/// `1*DIGIT` (RFC 9110 section 8.6) that every reader can count: at most 18 digits.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if !(1..=18).contains(&digits.len()) {
        return None;
    }
    digits.iter().try_fold(0, |sum, byte| {
        byte.is_ascii_digit()
            .then(|| sum * 10 + u64::from(byte - b'0'))
    })
}

/// Whether a list has `option` in it, letters' case aside.
pub(crate) fn has_option(value: &HeaderValue, option: &[u8]) -> bool {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .any(|each| each.trim_ascii().eq_ignore_ascii_case(option))
}

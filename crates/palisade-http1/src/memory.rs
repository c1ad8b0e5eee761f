//! What the last head on a connection looked like.
//!
//! A client that keeps its connection sends nearly the same head each time: the length of the
//! body changes, perhaps a name, and the rest is the same bytes. Equal bytes mean the same, so
//! only lines that differ are read again.

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, TRANSFER_ENCODING};
use memchr::memchr;

use crate::fields::{Fields, Length, decimal, field};

/// The fields of an earlier head, with its lines.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// A connection with one request, such as a stream, is not to hold this memory.
    again: bool,
    known: Option<Box<Known>>,
}

#[derive(Debug)]
struct Known {
    /// Every line with its CRLF, one behind the other.
    bytes: Bytes,
    lines: Vec<Line>,
    fields: Fields,
}

#[derive(Debug)]
struct Line {
    /// Where the next one begins.
    end: usize,
    /// Where another value under this name changes nothing but that value.
    name: Option<HeaderName>,
}

/// Lines that may differ.
const MAX_CHANGED: usize = 4;

impl Memory {
    /// The fields of `section`, if it is like the head that is remembered.
    pub(crate) fn recall(&self, section: &Bytes) -> Option<Fields> {
        let known = self.known.as_deref()?;
        let mut changed = [const { None }; MAX_CHANGED];
        let mut changes = changed.iter_mut();
        let (mut at, mut start) = (0, 0);
        for line in &known.lines {
            let rest = section.get(start..)?;
            let wanted = known.bytes.get(at..line.end)?;
            at = line.end;
            if rest.starts_with(wanted) {
                start += wanted.len();
                continue;
            }
            let name = line.name.as_ref()?;
            let length = memchr(b'\n', rest)?;
            let (b'\r', text) = rest.get(..length)?.split_last()? else {
                return None;
            };
            let (found, value) = field(section, start, text).ok()?;
            if found != *name {
                return None;
            }
            *changes.next()? = Some((name, value));
            start += length + 1;
        }
        if section.get(start..)? != b"\r\n" {
            return None;
        }
        let mut fields = known.fields.clone();
        for (name, value) in changed.into_iter().flatten() {
            if *name == CONTENT_LENGTH {
                fields.length = Length::Is(decimal(value.as_bytes())?);
            }
            *fields.map.get_mut(name)? = value;
        }
        Some(fields)
    }

    /// Remembers the second head of a connection, and later ones that are not like it.
    pub(crate) fn learn(&mut self, section: &Bytes, fields: &Fields, limit: usize) {
        if !std::mem::replace(&mut self.again, true) || fields.fault.is_some() {
            return;
        }
        // A copy: the section's memory may be that of a whole body.
        let section = Bytes::copy_from_slice(section);
        let fields = Fields::read(&section, limit);
        let mut lines = Vec::with_capacity(fields.map.len());
        let mut end = 0;
        while let Some(length) = memchr(b'\n', section.get(end..).unwrap_or_default()) {
            let line = section.get(end..end + length).unwrap_or_default();
            end += length + 1;
            let Some(colon) = memchr(b':', line) else {
                break;
            };
            let name = line
                .get(..colon)
                .and_then(|name| HeaderName::from_bytes(name).ok());
            let name = name.filter(|name| {
                let decides = [TRANSFER_ENCODING, CONNECTION, EXPECT].contains(name);
                !decides && fields.map.get_all(name).iter().nth(1).is_none()
            });
            lines.push(Line { end, name });
        }
        self.known = Some(Box::new(Known {
            bytes: section,
            lines,
            fields,
        }));
    }
}

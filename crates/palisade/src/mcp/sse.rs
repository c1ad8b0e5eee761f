//! An event stream (WHATWG HTML, "server-sent events"), watched while it streams past.
//!
//! The bytes go to the client unchanged; a [`Peeker`] reads beside them, in chunks of any size,
//! and reports each event with what its data held. The data itself is not collected.

use memchr::memchr2;

use super::outcome::{Outcomes, Scanner};

/// Bytes kept of an event's id; a longer one is reported as none.
pub const MAX_ID: usize = 1024;
/// Bytes kept of an event's name; a longer one is reported as none.
pub const MAX_NAME: usize = 128;
/// Bytes kept of an `endpoint` event's data.
pub const MAX_ENDPOINT: usize = 2048;

/// Reads one event stream, chunk by chunk.
#[derive(Debug, Default)]
pub struct Peeker {
    line: Line,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_return: bool,
    /// Bytes of a leading byte-order mark seen; 3 once the start of the stream is past.
    mark: u8,
    /// The event has begun: a field of it was seen.
    begun: bool,
    has_data: bool,
    data_bytes: u64,
    id: Bounded,
    name: Bounded,
    retry: Bounded,
    head: Bounded,
    scanner: Scanner,
}

/// One event, as a client dispatches it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The `event` field, at most [`MAX_NAME`] bytes; `None` means `message`.
    pub name: Option<String>,
    /// The `id` field of this very event, at most [`MAX_ID`] bytes.
    pub id: Option<String>,
    /// The `retry` field in milliseconds.
    pub retry: Option<u64>,
    /// Bytes of data, without the line ends between its lines.
    pub data_bytes: u64,
    /// What the data held, read as JSON-RPC. Empty data holds nothing.
    pub outcomes: Outcomes,
    /// The data of an event named `endpoint` (2024-11-05), if it is at most [`MAX_ENDPOINT`] bytes.
    pub endpoint: Option<String>,
}

impl Peeker {
    /// A peeker at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether tools' schemas are read; see [`Scanner::reading_schemas`].
    #[must_use]
    pub fn reading_schemas(mut self, read: bool) -> Self {
        self.scanner = self.scanner.reading_schemas(read);
        self
    }

    /// Reads the next chunk and calls `each` for every event that ends in it. An event without
    /// data is none, as for every client.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Event)) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            let used = if self.mark < 3 {
                self.start(byte)
            } else if std::mem::take(&mut self.after_return) && byte == b'\n' {
                1
            } else {
                self.step(rest, byte, &mut each)
            };
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// Whether the stream stands exactly between two events, so that a comment may be inserted
    /// (`:` and an empty line) without any client noticing.
    ///
    /// That is so before the first byte as well; whoever inserts something there must drop a
    /// byte-order mark that follows, as it would no longer stand at the start.
    #[must_use]
    pub fn between_events(&self) -> bool {
        self.line == Line::Start && !self.begun && matches!(self.mark, 0 | 3)
    }

    /// The first bytes, where a byte-order mark may stand.
    fn start(&mut self, byte: u8) -> usize {
        const MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];
        if MARK.get(usize::from(self.mark)) == Some(&byte) {
            self.mark += 1;
            return 1;
        }
        if self.mark > 0 {
            // Half a mark is the beginning of a field no one knows.
            self.line = Line::Name {
                kept: [0; 5],
                length: 6,
            };
        }
        self.mark = 3;
        0
    }

    fn step(&mut self, rest: &[u8], byte: u8, each: &mut impl FnMut(Event)) -> usize {
        let line_ends = matches!(byte, b'\r' | b'\n');
        match self.line {
            Line::Start if line_ends => {
                self.after_return = byte == b'\r';
                self.dispatch(each);
                1
            }
            Line::Start => {
                self.line = match byte {
                    b':' => Line::Ignored,
                    _ => Line::Name {
                        kept: [0; 5],
                        length: 0,
                    },
                };
                0
            }
            Line::Name { kept, length } if line_ends || byte == b':' => {
                let field = Field::named(&kept, length);
                self.begin(field);
                self.line = if field == Field::Unknown {
                    Line::Ignored
                } else {
                    Line::Space(field)
                };
                usize::from(!line_ends)
            }
            Line::Name { mut kept, length } => {
                if let Some(slot) = kept.get_mut(usize::from(length)) {
                    *slot = byte;
                }
                self.line = Line::Name {
                    kept,
                    length: (length + 1).min(6),
                };
                1
            }
            Line::Space(field) => {
                self.line = Line::Value(field);
                usize::from(byte == b' ')
            }
            Line::Value(_) | Line::Ignored if line_ends => {
                self.after_return = byte == b'\r';
                self.line = Line::Start;
                1
            }
            Line::Value(field) => {
                let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
                self.value(field, &rest[..end]);
                end
            }
            Line::Ignored => memchr2(b'\r', b'\n', rest).unwrap_or(rest.len()),
        }
    }

    fn begin(&mut self, field: Field) {
        match field {
            Field::Data => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.scanner.push(b"\n");
                    self.head.extend(b"\n", MAX_ENDPOINT);
                }
            }
            Field::Event => self.name.start(),
            Field::Id => self.id.start(),
            Field::Retry => self.retry.start(),
            Field::Unknown => return,
        }
        self.begun = true;
    }

    fn value(&mut self, field: Field, bytes: &[u8]) {
        match field {
            Field::Data => {
                self.data_bytes += bytes.len() as u64;
                self.head.extend(bytes, MAX_ENDPOINT);
                self.scanner.push(bytes);
            }
            Field::Event => self.name.extend(bytes, MAX_NAME),
            Field::Id => self.id.extend(bytes, MAX_ID),
            Field::Retry => self.retry.extend(bytes, MAX_RETRY),
            Field::Unknown => {}
        }
    }

    fn dispatch(&mut self, each: &mut impl FnMut(Event)) {
        if !std::mem::take(&mut self.begun) {
            return;
        }
        let id = self.id.take().filter(|id| !id.contains('\0'));
        let name = self.name.take().filter(|name| !name.is_empty());
        let retry = self
            .retry
            .take()
            .filter(|retry| retry.bytes().all(|b| b.is_ascii_digit()));
        let endpoint = match name.as_deref() {
            Some("endpoint") => self.head.text(),
            _ => None,
        };
        self.head.start();
        let outcomes = self.scanner.take();
        let data_bytes = std::mem::take(&mut self.data_bytes);
        if std::mem::take(&mut self.has_data) {
            let retry = retry.and_then(|retry| retry.parse().ok());
            each(Event {
                name,
                id,
                retry,
                data_bytes,
                outcomes,
                endpoint,
            });
        }
    }
}

/// Digits kept of a `retry` field.
const MAX_RETRY: usize = 20;

/// What the next byte is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// A comment, or a field no one knows.
    Ignored,
    /// A field's name: its first bytes, and how many there were (6 stands for too many).
    Name {
        kept: [u8; 5],
        length: u8,
    },
    /// The one space that may stand before a value.
    Space(Field),
    #[default]
    Start,
    Value(Field),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Data,
    Event,
    Id,
    Retry,
    Unknown,
}

impl Field {
    fn named(kept: &[u8; 5], length: u8) -> Self {
        match kept.get(..usize::from(length)) {
            Some(b"data") => Self::Data,
            Some(b"event") => Self::Event,
            Some(b"id") => Self::Id,
            Some(b"retry") => Self::Retry,
            _ => Self::Unknown,
        }
    }
}

/// A field's value, kept as long as it is short.
#[derive(Debug, Default)]
struct Bounded {
    kept: Vec<u8>,
    seen: bool,
    overflowed: bool,
}

impl Bounded {
    fn start(&mut self) {
        self.kept.clear();
        self.seen = true;
        self.overflowed = false;
    }

    fn extend(&mut self, bytes: &[u8], limit: usize) {
        if self.overflowed || self.kept.len() + bytes.len() > limit {
            self.overflowed = true;
        } else {
            self.kept.extend_from_slice(bytes);
        }
    }

    fn text(&self) -> Option<String> {
        if self.overflowed {
            None
        } else {
            String::from_utf8(self.kept.clone()).ok()
        }
    }

    /// The value, if the field was there and fitted; forgets it.
    fn take(&mut self) -> Option<String> {
        let text = if self.seen { self.text() } else { None };
        self.start();
        self.seen = false;
        text
    }
}

#[cfg(test)]
mod tests;

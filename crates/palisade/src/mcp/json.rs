//! A strict, borrowed, one-pass JSON reader (RFC 8259, narrowed by I-JSON, RFC 7493).
//!
//! A guard that reads a message must read the *same* message as whoever acts on it. So every
//! text on which two readers are known to differ is refused: duplicate keys at every level
//! (compared after unescaping), lone surrogates, trailing data, a byte-order mark, control
//! characters in strings, numbers outside the grammar, and nesting beyond a limit.
//!
//! What passes although I-JSON advises against it, because no reader sees another *structure*
//! in it: noncharacters, and numbers beyond the range or precision of a double.
//!
//! Nothing is built: values come back as spans of the input. The time is linear in the input
//! whatever the input is.

mod error;
mod keys;
mod scalars;
mod scan;
mod text;

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::ops::Range;

use self::keys::{FEW_KEYS, Key, Object};
use self::text::unescaped;

pub use self::error::{JsonError, JsonErrorKind};
pub(super) use self::keys::Member;

/// The deepest nesting any [`Reader`] allows, whatever limit it is given: reading recurses, and
/// the stack is finite.
pub const MAX_DEPTH: usize = 256;

/// Checks that `body` is exactly one strict JSON text and returns its span.
///
/// # Errors
/// The first violation, with its byte offset.
pub fn validate(body: &[u8], max_depth: usize) -> Result<Raw<'_>, JsonError> {
    let mut reader = Reader::new(body, max_depth)?;
    let raw = reader.value()?;
    reader.end()?;
    Ok(raw)
}

/// Reads one JSON text front to back.
///
/// The caller drives it: [`Reader::object`] and [`Reader::array`] visit members, and
/// [`Reader::value`] takes a whole value, checked to its depths. After the last value,
/// [`Reader::end`] refuses trailing data.
// Inside, an offset goes from function to function as a plain number, so that it stays in a
// register; `at` is where the caller's next value is looked for. Offsets always lie between
// characters: nothing but ASCII is ever stepped over by itself.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Added to every offset, for a reader over a part of a larger text.
    base: usize,
    depth: usize,
    max_depth: usize,
    /// The keys of all objects now open, innermost last.
    keys: Vec<Key>,
    /// What those of them say that are written with escapes, by where they stand.
    unescaped: Vec<(usize, Box<str>)>,
    /// Room to sort the hashes of one object's keys.
    hashes: Vec<(u64, usize)>,
    hasher: Option<RandomState>,
    /// Why a function returned [`Stopped`].
    fault: JsonError,
}

/// A value's span in the text it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    text: &'a str,
    /// Where it starts, doubled; plus one if it is a string with escapes in it.
    place: usize,
}

/// What kind of value a [`Raw`] is, told by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// `[…]`
    Array,
    /// `true` or `false`
    Boolean,
    /// `null`
    Null,
    /// A number.
    Number,
    /// `{…}`
    Object,
    /// `"…"`
    String,
}

impl<'a> Reader<'a> {
    /// A reader over `body` that allows `max_depth` levels of nesting ([`MAX_DEPTH`] at most).
    ///
    /// # Errors
    /// [`JsonErrorKind::Utf8`], [`JsonErrorKind::ByteOrderMark`] or [`JsonErrorKind::Empty`].
    pub fn new(body: &'a [u8], max_depth: usize) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(body).map_err(|error| JsonError {
            kind: JsonErrorKind::Utf8,
            offset: error.valid_up_to(),
        })?;
        if text.starts_with('\u{feff}') {
            return Err(JsonError {
                kind: JsonErrorKind::ByteOrderMark,
                offset: 0,
            });
        }
        let mut reader = Self::over(Raw { text, place: 0 }, max_depth);
        (reader.at, _) = reader.token(0);
        if reader.at == text.len() {
            return Err(reader.error(JsonErrorKind::Empty, reader.at));
        }
        Ok(reader)
    }

    /// A reader over a value that another reader returned; offsets stay those of the whole text.
    #[must_use]
    pub fn over(raw: Raw<'a>, max_depth: usize) -> Self {
        Self {
            text: raw.text,
            at: 0,
            base: raw.start(),
            depth: 0,
            max_depth: max_depth.min(MAX_DEPTH),
            // Enough for the usual call, in under a KiB.
            keys: Vec::with_capacity(FEW_KEYS + FEW_KEYS / 2),
            unescaped: Vec::new(),
            hashes: Vec::new(),
            hasher: None,
            fault: JsonError {
                kind: JsonErrorKind::UnexpectedEnd,
                offset: raw.start(),
            },
        }
    }

    /// The kind of the next value, which stays unread.
    ///
    /// # Errors
    /// When no value starts here.
    #[inline]
    pub fn peek(&mut self) -> Result<ValueKind, JsonError> {
        let (at, byte) = self.token(self.at);
        self.at = at;
        match byte {
            b'{' => Ok(ValueKind::Object),
            b'[' => Ok(ValueKind::Array),
            b'"' => Ok(ValueKind::String),
            b't' | b'f' => Ok(ValueKind::Boolean),
            b'n' => Ok(ValueKind::Null),
            b'-' | b'0'..=b'9' => Ok(ValueKind::Number),
            _ => Err(self.error(self.misplaced(at), at)),
        }
    }

    /// Reads and checks one whole value.
    ///
    /// # Errors
    /// The first violation inside it.
    pub fn value(&mut self) -> Result<Raw<'a>, JsonError> {
        let mut value = None;
        match (self.value_at(self.at, &mut value), value) {
            (Ok(end), Some(raw)) => {
                self.at = end;
                Ok(raw)
            }
            _ => Err(self.fault),
        }
    }

    /// Reads one object; `member` is called after each key and must read exactly one value.
    ///
    /// # Errors
    /// The first violation, or what `member` returned.
    #[inline]
    pub fn object<E: From<JsonError>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), E>,
    ) -> Result<Raw<'a>, E> {
        let (start, byte) = self.token(self.at);
        let mut failed = None;
        let read = if byte == b'{' {
            self.members(start, |reader, key| {
                reader.at = key.behind;
                let key = unescaped(&reader.text[key.start..key.end], key.escaped);
                match member(reader, key) {
                    Ok(()) => Ok(reader.at),
                    Err(error) => {
                        failed = Some(error);
                        Err(Stopped)
                    }
                }
            })
        } else {
            self.stop_at_misplaced(start)
        };
        match read {
            Ok(end) => {
                self.at = end;
                Ok(self.raw(start, end, false))
            }
            Err(Stopped) => Err(failed.unwrap_or_else(|| self.fault.into())),
        }
    }

    /// Reads one array; `element` is called before each element and must read exactly one value.
    ///
    /// # Errors
    /// The first violation, or what `element` returned.
    pub fn array<E: From<JsonError>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<Raw<'a>, E> {
        let (start, byte) = self.token(self.at);
        let mut failed = None;
        let read = if byte == b'[' {
            self.elements(start, |reader, at, _| {
                reader.at = at;
                match element(reader) {
                    Ok(()) => Ok(reader.at),
                    Err(error) => {
                        failed = Some(error);
                        Err(Stopped)
                    }
                }
            })
        } else {
            self.stop_at_misplaced(start)
        };
        match read {
            Ok(end) => {
                self.at = end;
                Ok(self.raw(start, end, false))
            }
            Err(Stopped) => Err(failed.unwrap_or_else(|| self.fault.into())),
        }
    }

    /// Refuses anything but whitespace up to the end of the text.
    ///
    /// # Errors
    /// [`JsonErrorKind::TrailingData`].
    pub fn end(&mut self) -> Result<(), JsonError> {
        (self.at, _) = self.token(self.at);
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.error(JsonErrorKind::TrailingData, self.at))
        }
    }

    /// The offset of the next unread byte in the whole text.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.base + self.at
    }

    /// Where the caller's next value starts, and its first byte.
    #[inline]
    pub(super) fn next(&mut self) -> (usize, u8) {
        let (at, byte) = self.token(self.at);
        self.at = at;
        (at, byte)
    }

    /// What became of it where a value was read from [`next`](Self::next) on.
    #[inline]
    pub(super) fn went(&mut self, read: Step) -> Result<(), JsonError> {
        match read {
            Ok(end) => {
                self.at = end;
                Ok(())
            }
            Err(Stopped) => Err(self.fault),
        }
    }

    /// Reads the value at `at` or behind whitespace into `value`.
    #[inline]
    pub(super) fn value_at(&mut self, at: usize, value: &mut Option<Raw<'a>>) -> Step {
        let (start, byte) = self.token(at);
        let (end, escaped) = if byte == b'"' {
            self.string(start)?
        } else {
            (self.skip_value(start, byte)?, false)
        };
        *value = Some(self.raw(start, end, escaped));
        Ok(end)
    }

    /// Reads the object at `at`, or behind whitespace, into `value`; see [`members`](Self::members).
    /// Where something else than an object stands, that is read as it is.
    #[inline(always)]
    pub(super) fn object_at(
        &mut self,
        at: usize,
        value: &mut Option<Raw<'a>>,
        member: impl FnMut(&mut Self, &Member) -> Step,
    ) -> Step {
        let (start, byte) = self.token(at);
        if byte != b'{' {
            return self.value_at(start, value);
        }
        let end = self.members(start, member)?;
        *value = Some(self.raw(start, end, false));
        Ok(end)
    }

    /// Reads the object whose brace stands at `at`; `member` is told its key and reads its value.
    /// Like all that read, both return where the text goes on.
    #[inline(always)]
    pub(super) fn members(
        &mut self,
        at: usize,
        mut member: impl FnMut(&mut Self, &Member) -> Step,
    ) -> Step {
        self.enter(at)?;
        let mut object = Object {
            first: self.keys.len(),
            seen: 0,
        };
        let brace = at;
        let (mut at, mut byte) = self.token(at + 1);
        if byte != b'}' {
            loop {
                let key = self.key(at, byte, &mut object)?;
                at = member(self, &key)?;
                let rest = self.text.as_bytes().get(at..);
                if rest.is_some_and(|rest| rest.starts_with(b",\"")) {
                    (at, byte) = (at + 1, b'"');
                    continue;
                }
                (at, byte) = self.token(at);
                if byte == b'}' {
                    break;
                }
                if byte != b',' {
                    return self.stop_at_misplaced(at);
                }
                (at, byte) = self.token(at + 1);
            }
        }
        self.forget(object.first, brace)?;
        self.depth -= 1;
        Ok(at + 1)
    }

    /// Reads the array whose bracket stands at `at`; `element` is told where each element starts, and
    /// its first byte.
    #[inline(always)]
    fn elements(
        &mut self,
        at: usize,
        mut element: impl FnMut(&mut Self, usize, u8) -> Step,
    ) -> Step {
        self.enter(at)?;
        let (mut at, mut byte) = self.token(at + 1);
        if byte != b']' {
            loop {
                at = element(self, at, byte)?;
                (at, byte) = self.token(at);
                if byte == b']' {
                    break;
                }
                if byte != b',' {
                    return self.stop_at_misplaced(at);
                }
                (at, byte) = self.token(at + 1);
            }
        }
        self.depth -= 1;
        Ok(at + 1)
    }

    /// Reads the value whose first byte, `byte`, stands at `at`.
    #[inline(never)]
    fn skip_value(&mut self, at: usize, byte: u8) -> Step {
        match byte {
            b'"' => self.string(at).map(|(end, _)| end),
            b'{' => self.skip_object(at),
            b'[' => self.skip_array(at),
            b'-' | b'0'..=b'9' => self.number(at),
            b't' => self.literal(at, "true"),
            b'f' => self.literal(at, "false"),
            b'n' => self.literal(at, "null"),
            _ => self.stop_at_misplaced(at),
        }
    }

    // Not inlined, so that a string or number pays for no stack frame of theirs.
    #[inline(never)]
    fn skip_object(&mut self, at: usize) -> Step {
        self.members(at, |reader, key| {
            let (at, byte) = reader.token(key.behind);
            if byte == b'"' {
                return reader.string(at).map(|(end, _)| end);
            }
            reader.skip_value(at, byte)
        })
    }

    #[inline(never)]
    fn skip_array(&mut self, at: usize) -> Step {
        self.elements(at, Self::skip_value)
    }

    #[inline]
    fn enter(&mut self, at: usize) -> Result<(), Stopped> {
        if self.depth == self.max_depth {
            return self.stop(JsonErrorKind::Depth, at).map(drop);
        }
        self.depth += 1;
        Ok(())
    }

    /// Where the first byte after any whitespace stands, and that byte; 0 at the end. (A zero byte
    /// of the text has no place outside strings either, and [`Reader::misplaced`] tells the two
    /// apart.)
    #[inline(always)]
    fn token(&self, at: usize) -> (usize, u8) {
        match self.byte(at) {
            Some(byte) if byte > b' ' => (at, byte),
            _ => {
                let at = self.past_whitespace(at);
                (at, self.byte(at).unwrap_or_default())
            }
        }
    }

    #[inline(never)]
    fn past_whitespace(&self, mut at: usize) -> usize {
        while matches!(self.byte(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            at += 1;
        }
        at
    }

    #[inline]
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    #[inline]
    fn raw(&self, start: usize, end: usize, escaped: bool) -> Raw<'a> {
        Raw {
            text: &self.text[start..end],
            place: (self.base + start) << 1 | usize::from(escaped),
        }
    }

    /// The kind of error for the byte at `at`, or for its absence.
    fn misplaced(&self, at: usize) -> JsonErrorKind {
        if at >= self.text.len() {
            JsonErrorKind::UnexpectedEnd
        } else {
            JsonErrorKind::UnexpectedByte
        }
    }

    fn error(&self, kind: JsonErrorKind, at: usize) -> JsonError {
        JsonError {
            kind,
            offset: self.base + at,
        }
    }

    #[cold]
    fn stopped(&mut self, kind: JsonErrorKind, at: usize) -> Stopped {
        self.fault = self.error(kind, at);
        Stopped
    }

    #[cold]
    fn stop(&mut self, kind: JsonErrorKind, at: usize) -> Step {
        Err(self.stopped(kind, at))
    }

    #[cold]
    fn stopped_at_misplaced(&mut self, at: usize) -> Stopped {
        self.stopped(self.misplaced(at), at)
    }

    #[cold]
    fn stop_at_misplaced(&mut self, at: usize) -> Step {
        Err(self.stopped_at_misplaced(at))
    }
}

/// Where the text goes on.
pub(super) type Step = Result<usize, Stopped>;

/// Reading has come to an end; [`Reader::fault`] says why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped;

impl<'a> Raw<'a> {
    /// The value as it was written.
    #[must_use]
    #[inline]
    pub fn text(self) -> &'a str {
        self.text
    }

    /// Where the value stands in the whole text, in bytes.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start()..self.start() + self.text.len()
    }

    fn start(self) -> usize {
        self.place >> 1
    }

    /// What the value is.
    #[must_use]
    #[inline]
    pub fn kind(self) -> ValueKind {
        match self.text.as_bytes().first() {
            Some(b'{') => ValueKind::Object,
            Some(b'[') => ValueKind::Array,
            Some(b'"') => ValueKind::String,
            Some(b't' | b'f') => ValueKind::Boolean,
            Some(b'n') | None => ValueKind::Null,
            Some(_) => ValueKind::Number,
        }
    }

    /// The string, unescaped; `None` for any other kind.
    #[must_use]
    pub fn string(self) -> Option<Cow<'a, str>> {
        let content = self.text.strip_prefix('"')?.strip_suffix('"')?;
        Some(unescaped(content, self.place & 1 == 1))
    }
}

#[cfg(test)]
mod tests;

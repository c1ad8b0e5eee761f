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

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::ops::Range;

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
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Added to every offset, for a reader over a part of a larger text.
    base: usize,
    depth: usize,
    max_depth: usize,
    /// The keys of all objects now open, innermost last.
    keys: Vec<Key<'a>>,
    /// Room to sort the hashes of one object's keys.
    hashes: Vec<(u64, usize)>,
    hasher: Option<RandomState>,
}

/// A value's span in the text it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    text: &'a str,
    start: usize,
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

/// Why a text was refused, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// What was wrong.
    pub kind: JsonErrorKind,
    /// The byte at which it was noticed, counted from 0.
    pub offset: usize,
}

/// The kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// The text starts with a byte-order mark.
    ByteOrderMark,
    /// A string holds a raw control character (below U+0020).
    ControlCharacter,
    /// Arrays and objects are nested beyond the limit.
    Depth,
    /// An object holds the same key twice.
    DuplicateKey,
    /// There is nothing but whitespace.
    Empty,
    /// A backslash is followed by what JSON does not know.
    Escape,
    /// A `\u` escape names half of a surrogate pair.
    LoneSurrogate,
    /// A number breaks the grammar (`01`, `+1`, `1.`, `.5`, `NaN`, …).
    Number,
    /// A value is followed by more than whitespace.
    TrailingData,
    /// A byte stands where the grammar has no place for it.
    UnexpectedByte,
    /// The text stops in the middle.
    UnexpectedEnd,
    /// The bytes are not UTF-8.
    Utf8,
}

impl JsonErrorKind {
    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "byte_order_mark",
            Self::ControlCharacter => "control_character",
            Self::Depth => "depth",
            Self::DuplicateKey => "duplicate_key",
            Self::Empty => "empty",
            Self::Escape => "escape",
            Self::LoneSurrogate => "lone_surrogate",
            Self::Number => "number",
            Self::TrailingData => "trailing_data",
            Self::UnexpectedByte => "unexpected_byte",
            Self::UnexpectedEnd => "unexpected_end",
            Self::Utf8 => "utf8",
        }
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind.name(), self.offset)
    }
}

impl std::error::Error for JsonError {}

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
        let mut reader = Self::over(Raw { text, start: 0 }, max_depth);
        reader.skip_whitespace();
        if reader.at == text.len() {
            return Err(reader.error(JsonErrorKind::Empty));
        }
        Ok(reader)
    }

    /// A reader over a value that another reader returned; offsets stay those of the whole text.
    #[must_use]
    pub fn over(raw: Raw<'a>, max_depth: usize) -> Self {
        Self {
            text: raw.text,
            at: 0,
            base: raw.start,
            depth: 0,
            max_depth: max_depth.min(MAX_DEPTH),
            keys: Vec::with_capacity(FEW_KEYS * 2),
            hashes: Vec::new(),
            hasher: None,
        }
    }

    /// The kind of the next value, which stays unread.
    ///
    /// # Errors
    /// When no value starts here.
    pub fn peek(&mut self) -> Result<ValueKind, JsonError> {
        self.skip_whitespace();
        match self.byte() {
            Some(b'{') => Ok(ValueKind::Object),
            Some(b'[') => Ok(ValueKind::Array),
            Some(b'"') => Ok(ValueKind::String),
            Some(b't' | b'f') => Ok(ValueKind::Boolean),
            Some(b'n') => Ok(ValueKind::Null),
            Some(b'-' | b'0'..=b'9') => Ok(ValueKind::Number),
            _ => Err(self.misplaced()),
        }
    }

    /// Reads and checks one whole value.
    ///
    /// # Errors
    /// The first violation inside it.
    pub fn value(&mut self) -> Result<Raw<'a>, JsonError> {
        self.skip_whitespace();
        let start = self.at;
        self.skip_value()?;
        Ok(self.since(start))
    }

    /// Reads one object; `member` is called after each key and must read exactly one value.
    ///
    /// # Errors
    /// The first violation, or what `member` returned.
    pub fn object<E: From<JsonError>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), E>,
    ) -> Result<Raw<'a>, E> {
        self.skip_whitespace();
        let start = self.at;
        self.open(b'{')?;
        let base = self.keys.len();
        self.skip_whitespace();
        if self.byte() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let key = self.key(base)?;
                member(self, key)?;
                if self.separator(b'}')? {
                    break;
                }
            }
        }
        if self.keys.len() - base > FEW_KEYS {
            self.compare_many(base)?;
        }
        self.keys.truncate(base);
        self.depth -= 1;
        Ok(self.since(start))
    }

    /// Reads one array; `element` is called before each element and must read exactly one value.
    ///
    /// # Errors
    /// The first violation, or what `element` returned.
    pub fn array<E: From<JsonError>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<Raw<'a>, E> {
        self.skip_whitespace();
        let start = self.at;
        self.open(b'[')?;
        self.skip_whitespace();
        if self.byte() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                element(self)?;
                if self.separator(b']')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(self.since(start))
    }

    /// Refuses anything but whitespace up to the end of the text.
    ///
    /// # Errors
    /// [`JsonErrorKind::TrailingData`].
    pub fn end(&mut self) -> Result<(), JsonError> {
        self.skip_whitespace();
        if self.at == self.text.len() {
            Ok(())
        } else {
            Err(self.error(JsonErrorKind::TrailingData))
        }
    }

    /// The offset of the next unread byte in the whole text.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.base + self.at
    }

    fn skip_value(&mut self) -> Result<(), JsonError> {
        match self.peek()? {
            ValueKind::Object => self.object(|reader, _key| reader.skip_value()).map(drop),
            ValueKind::Array => self.array(Self::skip_value).map(drop),
            ValueKind::String => self.string().map(drop),
            ValueKind::Number => self.number(),
            ValueKind::Boolean if self.byte() == Some(b't') => self.literal("true"),
            ValueKind::Boolean => self.literal("false"),
            ValueKind::Null => self.literal("null"),
        }
    }

    /// Reads a key and its colon. `base` is where this object's keys begin on the stack.
    fn key(&mut self, base: usize) -> Result<Cow<'a, str>, JsonError> {
        self.skip_whitespace();
        let start = self.at;
        if self.byte() != Some(b'"') {
            return Err(self.misplaced());
        }
        let (content, escaped) = self.string()?;
        let text = if escaped {
            Cow::Owned(unescape(content))
        } else {
            Cow::Borrowed(content)
        };
        let key = Key {
            prefix: prefix(&text),
            text: text.clone(),
            start,
        };
        let siblings = &self.keys[base..];
        if siblings.len() < FEW_KEYS && siblings.contains(&key) {
            self.at = start;
            return Err(self.error(JsonErrorKind::DuplicateKey));
        }
        self.keys.push(key);
        self.skip_whitespace();
        if self.byte() != Some(b':') {
            return Err(self.misplaced());
        }
        self.at += 1;
        Ok(text)
    }

    /// Looks for duplicates among the many keys of an object that is complete: equal keys have
    /// equal hashes, which sorting brings side by side. The hash is keyed at random, so that no one
    /// can choose keys that collide.
    fn compare_many(&mut self, base: usize) -> Result<(), JsonError> {
        let hasher = self.hasher.get_or_insert_default();
        let hashed = self.keys.iter().enumerate().skip(base);
        self.hashes.clear();
        self.hashes
            .extend(hashed.map(|(index, key)| (hasher.hash_one(&key.text), index)));
        let keys = &self.keys;
        self.hashes.sort_unstable_by(|(one, first), (two, second)| {
            let texts = || keys[*first].text.cmp(&keys[*second].text);
            one.cmp(two).then_with(texts).then(first.cmp(second))
        });
        for pair in self.hashes.windows(2) {
            if let [(one, first), (two, second)] = pair
                && one == two
                && self.keys[*first] == self.keys[*second]
            {
                let offset = self.base + self.keys[*second].start;
                return Err(JsonError {
                    kind: JsonErrorKind::DuplicateKey,
                    offset,
                });
            }
        }
        Ok(())
    }

    /// True at the closing byte, false at a comma.
    fn separator(&mut self, close: u8) -> Result<bool, JsonError> {
        self.skip_whitespace();
        let done = match self.byte() {
            Some(b',') => false,
            Some(byte) if byte == close => true,
            _ => return Err(self.misplaced()),
        };
        self.at += 1;
        Ok(done)
    }

    fn open(&mut self, bracket: u8) -> Result<(), JsonError> {
        if self.byte() != Some(bracket) {
            return Err(self.misplaced());
        }
        if self.depth == self.max_depth {
            return Err(self.error(JsonErrorKind::Depth));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Reads a string, whose opening quote is known to be there: its content as written, and whether
    /// there are escapes in it.
    fn string(&mut self) -> Result<(&'a str, bool), JsonError> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        let bytes = self.text.as_bytes();
        loop {
            at = find_special(bytes, at);
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at = at;
                    at = self.escape()?;
                }
                Some(_) => {
                    self.at = at;
                    return Err(self.error(JsonErrorKind::ControlCharacter));
                }
                None => {
                    self.at = at;
                    return Err(self.error(JsonErrorKind::UnexpectedEnd));
                }
            }
        }
        self.at = at + 1;
        Ok((&self.text[start..at], escaped))
    }

    /// Checks the escape at the backslash under `self.at`; returns where the text goes on.
    fn escape(&mut self) -> Result<usize, JsonError> {
        match self.text.as_bytes().get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(self.at + 2),
            Some(b'u') => match self.unit(self.at + 2)? {
                0xDC00..=0xDFFF => Err(self.error(JsonErrorKind::LoneSurrogate)),
                0xD800..=0xDBFF => {
                    if !self.text.as_bytes()[self.at + 6..].starts_with(b"\\u") {
                        return Err(self.error(JsonErrorKind::LoneSurrogate));
                    }
                    match self.unit(self.at + 8)? {
                        0xDC00..=0xDFFF => Ok(self.at + 12),
                        _ => Err(self.error(JsonErrorKind::LoneSurrogate)),
                    }
                }
                _ => Ok(self.at + 6),
            },
            Some(_) => Err(self.error(JsonErrorKind::Escape)),
            None => {
                self.at += 1;
                Err(self.error(JsonErrorKind::UnexpectedEnd))
            }
        }
    }

    /// The four hexadecimal digits at `at`.
    fn unit(&mut self, at: usize) -> Result<u16, JsonError> {
        let mut unit = 0;
        for index in at..at + 4 {
            let Some(&byte) = self.text.as_bytes().get(index) else {
                self.at = self.text.len();
                return Err(self.error(JsonErrorKind::UnexpectedEnd));
            };
            let Some(digit) = hex(byte) else {
                return Err(self.error(JsonErrorKind::Escape));
            };
            unit = unit << 4 | digit;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<(), JsonError> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        match self.byte() {
            Some(b'0'..=b'9' | b'.' | b'+' | b'-' | b'a'..=b'z' | b'A'..=b'Z') => {
                Err(self.error(JsonErrorKind::Number))
            }
            _ => Ok(()),
        }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        match self.byte() {
            None if self.at == start => Err(self.error(JsonErrorKind::UnexpectedEnd)),
            Some(_) if self.at == start => Err(self.error(JsonErrorKind::Number)),
            _ => Ok(()),
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), JsonError> {
        let rest = &self.text.as_bytes()[self.at..];
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        let matching = rest
            .iter()
            .zip(word.bytes())
            .take_while(|(a, b)| **a == *b)
            .count();
        self.at += matching;
        Err(self.misplaced())
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn since(&self, start: usize) -> Raw<'a> {
        Raw {
            text: &self.text[start..self.at],
            start: self.base + start,
        }
    }

    /// The error for the byte under `self.at`, or for its absence.
    fn misplaced(&self) -> JsonError {
        self.error(if self.at >= self.text.len() {
            JsonErrorKind::UnexpectedEnd
        } else {
            JsonErrorKind::UnexpectedByte
        })
    }

    fn error(&self, kind: JsonErrorKind) -> JsonError {
        JsonError {
            kind,
            offset: self.base + self.at,
        }
    }
}

impl<'a> Raw<'a> {
    /// The value as it was written.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.text
    }

    /// Where the value stands in the whole text, in bytes.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }

    /// What the value is.
    #[must_use]
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
        Some(if memchr::memchr(b'\\', content.as_bytes()).is_some() {
            Cow::Owned(unescape(content))
        } else {
            Cow::Borrowed(content)
        })
    }
}

/// A key of an object that is open.
#[derive(Debug)]
struct Key<'a> {
    /// Its first bytes and its length, so that most comparisons end here.
    prefix: u64,
    text: Cow<'a, str>,
    start: usize,
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.prefix == other.prefix && self.text == other.text
    }
}

/// Up to this many keys of an object are compared one by one, as they come; more are compared by
/// hash once the object is complete, so that neither the usual message pays for hashing nor a
/// hostile one for comparing.
const FEW_KEYS: usize = 16;

fn prefix(key: &str) -> u64 {
    let mut prefix = [0; 8];
    for (slot, byte) in prefix.iter_mut().zip(key.bytes()) {
        *slot = byte;
    }
    u64::from_le_bytes(prefix) ^ (key.len() as u64) << 56
}

/// The index of the first byte at or after `at` that ends a plain run inside a string: a quote,
/// a backslash or a control character; the length of `bytes` if there is none.
fn find_special(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // A byte of `word` is zero: the lowest flagged byte is exact, higher ones may be spurious.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let below_space = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (zero(word ^ (ONES * u64::from(b'"')))
            | zero(word ^ (ONES * u64::from(b'\\')))
            | below_space)
            & HIGH;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if byte == b'"' || byte == b'\\' || byte < 0x20 {
            break;
        }
        at += 1;
    }
    at
}

/// Resolves the escapes of a string's content, which is known to be valid.
fn unescape(content: &str) -> String {
    let mut out = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(slash) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..slash]);
        let bytes = &rest.as_bytes()[slash..];
        let (character, used) = match bytes.get(1) {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => {
                let first = unit_at(bytes, 2);
                if (0xD800..0xDC00).contains(&first) {
                    let second = unit_at(bytes, 8);
                    let code = 0x1_0000 + ((first & 0x3FF) << 10) + (second & 0x3FF);
                    (
                        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
                        12,
                    )
                } else {
                    (
                        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
                        6,
                    )
                }
            }
            Some(&other) => (char::from(other), 2),
            None => break,
        };
        out.push(character);
        rest = rest.get(slash + used..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

fn unit_at(bytes: &[u8], at: usize) -> u32 {
    let digits = bytes.get(at..at + 4).unwrap_or_default();
    digits.iter().fold(0, |unit, byte| {
        unit << 4 | u32::from(hex(*byte).unwrap_or_default())
    })
}

fn hex(byte: u8) -> Option<u16> {
    char::from(byte)
        .to_digit(16)
        .and_then(|digit| u16::try_from(digit).ok())
}

#[cfg(test)]
mod tests;

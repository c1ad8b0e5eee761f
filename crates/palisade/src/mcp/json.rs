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
    keys: Vec<Key>,
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
            // Enough for the usual call, in under a KiB.
            keys: Vec::with_capacity(FEW_KEYS + FEW_KEYS / 2),
            hashes: Vec::new(),
            hasher: None,
        }
    }

    /// The kind of the next value, which stays unread.
    ///
    /// # Errors
    /// When no value starts here.
    #[inline]
    pub fn peek(&mut self) -> Result<ValueKind, JsonError> {
        match self.look() {
            b'{' => Ok(ValueKind::Object),
            b'[' => Ok(ValueKind::Array),
            b'"' => Ok(ValueKind::String),
            b't' | b'f' => Ok(ValueKind::Boolean),
            b'n' => Ok(ValueKind::Null),
            b'-' | b'0'..=b'9' => Ok(ValueKind::Number),
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
        self.members(|reader, key| {
            let escaped = reader
                .keys
                .last()
                .is_some_and(|key| key.unescaped.is_some());
            let key = unescaped(&reader.text[key], escaped);
            member(reader, key)
        })?;
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
        self.elements(|reader| element(reader))?;
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

    /// Reads an object; `member` is told where the key stands, for nothing is made of the keys of a
    /// value that is only checked.
    #[inline]
    fn members<E: From<JsonError>>(
        &mut self,
        mut member: impl FnMut(&mut Self, Range<usize>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open(b'{')?;
        let base = self.keys.len();
        if self.look() == b'}' {
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
        Ok(())
    }

    #[inline]
    fn elements<E: From<JsonError>>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open(b'[')?;
        if self.look() == b']' {
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
        Ok(())
    }

    #[inline]
    fn skip_value(&mut self) -> Result<(), JsonError> {
        match self.look() {
            b'"' => self.string().map(drop),
            b'{' => self.skip_object(),
            b'[' => self.skip_array(),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => Err(self.misplaced()),
        }
    }

    // Not inlined, so that a string or number pays for no stack frame of theirs.
    #[inline(never)]
    fn skip_object(&mut self) -> Result<(), JsonError> {
        self.members(|reader, _key| reader.skip_value())
    }

    #[inline(never)]
    fn skip_array(&mut self) -> Result<(), JsonError> {
        self.elements(Self::skip_value)
    }

    /// Reads a key and its colon; returns where its content stands. `base` is where this object's
    /// keys begin on the stack.
    #[inline]
    fn key(&mut self, base: usize) -> Result<Range<usize>, JsonError> {
        if self.look() != b'"' {
            return Err(self.misplaced());
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let content = start..self.at - 1;
        let key = if escaped {
            self.escaped_key(content.clone())
        } else {
            Key {
                head: head(&self.text.as_bytes()[start..], content.len()),
                content: content.clone(),
                unescaped: None,
            }
        };
        let siblings = &self.keys[base..];
        if siblings.len() < FEW_KEYS
            && siblings.iter().any(|sibling| sibling.head == key.head)
            && self.repeats(base, &key)
        {
            self.at = start - 1;
            return Err(self.error(JsonErrorKind::DuplicateKey));
        }
        self.keys.push(key);
        if self.look() != b':' {
            return Err(self.misplaced());
        }
        self.at += 1;
        Ok(content)
    }

    #[inline(never)]
    fn repeats(&self, base: usize, key: &Key) -> bool {
        let same = |sibling: &Key| sibling.text(self.text) == key.text(self.text);
        self.keys[base..].iter().any(same)
    }

    #[inline(never)]
    fn escaped_key(&self, content: Range<usize>) -> Key {
        let unescaped = unescape(&self.text[content.clone()]).into_boxed_str();
        Key {
            head: head(unescaped.as_bytes(), unescaped.len()),
            content,
            unescaped: Some(unescaped),
        }
    }

    /// Looks for duplicates among the many keys of an object that is complete: equal keys have
    /// equal hashes, which sorting brings side by side. The hash is keyed at random, so that no one
    /// can choose keys that collide.
    fn compare_many(&mut self, base: usize) -> Result<(), JsonError> {
        let hasher = self.hasher.get_or_insert_default();
        let hashed = self.keys.iter().enumerate().skip(base);
        self.hashes.clear();
        self.hashes
            .extend(hashed.map(|(index, key)| (hasher.hash_one(key.text(self.text)), index)));
        let text = |index: usize| self.keys[index].text(self.text);
        self.hashes.sort_unstable_by(|(one, first), (two, second)| {
            let texts = || text(*first).cmp(text(*second));
            one.cmp(two).then_with(texts).then(first.cmp(second))
        });
        for pair in self.hashes.windows(2) {
            if let [(one, first), (two, second)] = pair
                && one == two
                && text(*first) == text(*second)
            {
                let offset = self.base + self.keys[*second].content.start - 1;
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
        let done = match self.look() {
            b',' => false,
            byte if byte == close => true,
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

    /// Reads a string, whose opening quote is known to be there; returns whether there are escapes in
    /// it. Its content ends before the quote that was read last.
    #[inline]
    fn string(&mut self) -> Result<bool, JsonError> {
        let bytes = self.text.as_bytes();
        let end = find_special(bytes, self.at + 1);
        if bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(false);
        }
        self.escaped_string(end)
    }

    /// Reads on in a string whose first special byte, at `at`, does not end it.
    #[inline(never)]
    fn escaped_string(&mut self, mut at: usize) -> Result<bool, JsonError> {
        let bytes = self.text.as_bytes();
        loop {
            self.at = at;
            match bytes.get(at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(true);
                }
                Some(b'\\') => at = find_special(bytes, self.escape()?),
                Some(_) => return Err(self.error(JsonErrorKind::ControlCharacter)),
                None => return Err(self.error(JsonErrorKind::UnexpectedEnd)),
            }
        }
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

    /// The byte after any whitespace, which stays unread; 0 at the end. (A zero byte of the text has
    /// no place outside strings either, and [`Reader::misplaced`] tells the two apart.)
    #[inline]
    fn look(&mut self) -> u8 {
        match self.byte() {
            Some(byte) if byte > b' ' => byte,
            _ => self.look_past_whitespace(),
        }
    }

    #[inline(never)]
    fn look_past_whitespace(&mut self) -> u8 {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.byte().unwrap_or_default()
    }

    fn skip_whitespace(&mut self) {
        self.look();
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
    #[inline]
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
        // In what a reader has checked, the first special byte is a backslash.
        let escaped = find_special(content.as_bytes(), 0) < content.len();
        Some(unescaped(content, escaped))
    }
}

/// A key of an object that is open.
#[derive(Debug)]
struct Key {
    /// See [`head`]; tells most keys apart.
    head: u64,
    /// Where it stands in the text, without the quotes.
    content: Range<usize>,
    /// What it says, if that is not what is written.
    unescaped: Option<Box<str>>,
}

impl Key {
    /// What the key says; `text` is that of the reader.
    fn text<'a>(&'a self, text: &'a str) -> &'a [u8] {
        match &self.unescaped {
            None => &text.as_bytes()[self.content.clone()],
            Some(key) => key.as_bytes(),
        }
    }
}

/// Up to this many keys of an object are compared one by one, as they come; more are compared by
/// hash once the object is complete, so that neither the usual message pays for hashing nor a
/// hostile one for comparing.
const FEW_KEYS: usize = 16;

/// The first eight bytes of a key of that length, mixed with the length. What `bytes` holds behind
/// the key does not count.
#[inline]
fn head(bytes: &[u8], length: usize) -> u64 {
    let word = match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => (bytes.iter().rev()).fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    let word = match length {
        0..8 => word & !(u64::MAX << (length * 8)),
        _ => word,
    };
    word ^ (length as u64) << 56
}

/// The index of the first byte at or after `at` that ends a plain run inside a string: a quote,
/// a backslash or a control character; the length of `bytes` if there is none.
#[inline]
fn find_special(bytes: &[u8], at: usize) -> usize {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let mut rest = bytes.get(at..).unwrap_or_default();
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // Subtracting borrows from a byte's high bit if the byte is less. Flipping bit 1 puts the
        // quote (0x22) at 0x20, next to the control characters, and nothing else below 0x21. The
        // lowest byte flagged is exact; higher ones may be flagged by a borrow from it.
        let quote_or_control = (word ^ each(0x02)).wrapping_sub(each(0x21));
        let backslash = (word ^ each(b'\\')).wrapping_sub(each(1));
        let found = (quote_or_control | backslash) & !word & each(0x80);
        if found != 0 {
            return bytes.len() - rest.len() + found.trailing_zeros() as usize / 8;
        }
        rest = behind;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20);
    let left = rest.iter().position(special).unwrap_or(rest.len());
    bytes.len() - rest.len() + left
}

/// What a string's content says.
#[inline]
fn unescaped(content: &str, escaped: bool) -> Cow<'_, str> {
    if escaped {
        Cow::Owned(unescape(content))
    } else {
        Cow::Borrowed(content)
    }
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

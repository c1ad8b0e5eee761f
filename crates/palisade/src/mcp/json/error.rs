//! Why a text is no JSON that we take.

use std::fmt;

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

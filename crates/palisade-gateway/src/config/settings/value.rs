//! Values that know where they came from.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything; the default holds.
    #[default]
    Default,
    /// The environment variable of this name.
    Environment(Arc<str>),
    /// The configuration file.
    File(Position),
    /// The command-line flag or argument of this name.
    Flag(Arc<str>),
}

/// A place in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Counted from 1.
    pub line: u32,
    /// In characters, counted from 1.
    pub column: u32,
    /// First byte of the value.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
}

/// A resolved value that remembers where it came from. It dereferences to the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

/// A list in which each entry also remembers its own place.
pub type List<T> = Value<Vec<Value<T>>>;

impl<T> Value<T> {
    /// A value with its place.
    pub const fn new(value: T, source: Source) -> Self {
        Self { value, source }
    }

    /// Another value with the same place.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Value<U> {
        Value::new(f(self.value), self.source)
    }
}

impl<T> From<T> for Value<T> {
    fn from(value: T) -> Self {
        Self::new(value, Source::Default)
    }
}

impl<T> Deref for Value<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(position) => write!(f, "line {}", position.line),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

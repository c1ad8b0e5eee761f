//! Strings, numbers and words.

use super::scan::find_special;
use super::text::hex;
use super::{JsonErrorKind, Reader, Step, Stopped};

impl Reader<'_> {
    /// Reads the string whose opening quote stands at `at`; returns where the text goes on, and
    /// whether there are escapes in it.
    #[inline(always)]
    pub(super) fn string(&mut self, at: usize) -> Result<(usize, bool), Stopped> {
        let bytes = self.text.as_bytes();
        let end = find_special(bytes, at + 1);
        if bytes.get(end) == Some(&b'"') {
            return Ok((end + 1, false));
        }
        Ok((self.escaped_string(end)?, true))
    }

    /// Reads on in a string whose first special byte, at `at`, does not end it.
    #[inline(never)]
    pub(super) fn escaped_string(&mut self, mut at: usize) -> Step {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(at) {
                Some(b'"') => return Ok(at + 1),
                Some(b'\\') => at = find_special(bytes, self.escape(at)?),
                Some(_) => return self.stop(JsonErrorKind::ControlCharacter, at),
                None => return self.stop(JsonErrorKind::UnexpectedEnd, at),
            }
        }
    }

    /// Checks the escape whose backslash stands at `at`.
    pub(super) fn escape(&mut self, at: usize) -> Step {
        match self.text.as_bytes().get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => match self.unit(at, at + 2)? {
                0xDC00..=0xDFFF => self.stop(JsonErrorKind::LoneSurrogate, at),
                0xD800..=0xDBFF => {
                    if !self.text.as_bytes()[at + 6..].starts_with(b"\\u") {
                        return self.stop(JsonErrorKind::LoneSurrogate, at);
                    }
                    match self.unit(at, at + 8)? {
                        0xDC00..=0xDFFF => Ok(at + 12),
                        _ => self.stop(JsonErrorKind::LoneSurrogate, at),
                    }
                }
                _ => Ok(at + 6),
            },
            Some(_) => self.stop(JsonErrorKind::Escape, at),
            None => self.stop(JsonErrorKind::UnexpectedEnd, at + 1),
        }
    }

    /// The four hexadecimal digits at `at`, of the escape that begins at `escape`.
    pub(super) fn unit(&mut self, escape: usize, at: usize) -> Result<u16, Stopped> {
        let mut unit = 0;
        for index in at..at + 4 {
            let Some(&byte) = self.text.as_bytes().get(index) else {
                return Err(self.stopped(JsonErrorKind::UnexpectedEnd, self.text.len()));
            };
            let Some(digit) = hex(byte) else {
                return Err(self.stopped(JsonErrorKind::Escape, escape));
            };
            unit = unit << 4 | digit;
        }
        Ok(unit)
    }

    #[inline(never)]
    pub(super) fn number(&mut self, mut at: usize) -> Step {
        if self.byte(at) == Some(b'-') {
            at += 1;
        }
        if self.byte(at) == Some(b'0') {
            at += 1;
        } else {
            at = self.digits(at)?;
        }
        if self.byte(at) == Some(b'.') {
            at = self.digits(at + 1)?;
        }
        if matches!(self.byte(at), Some(b'e' | b'E')) {
            at += 1;
            if matches!(self.byte(at), Some(b'+' | b'-')) {
                at += 1;
            }
            at = self.digits(at)?;
        }
        match self.byte(at) {
            Some(b'0'..=b'9' | b'.' | b'+' | b'-' | b'a'..=b'z' | b'A'..=b'Z') => {
                self.stop(JsonErrorKind::Number, at)
            }
            _ => Ok(at),
        }
    }

    /// Reads at least one digit.
    #[inline]
    pub(super) fn digits(&mut self, start: usize) -> Step {
        let mut at = start;
        while matches!(self.byte(at), Some(b'0'..=b'9')) {
            at += 1;
        }
        if at > start {
            return Ok(at);
        }
        self.stop(
            match self.byte(at) {
                None => JsonErrorKind::UnexpectedEnd,
                Some(_) => JsonErrorKind::Number,
            },
            at,
        )
    }

    #[inline]
    pub(super) fn literal(&mut self, at: usize, word: &str) -> Step {
        if self.text.as_bytes()[at..].starts_with(word.as_bytes()) {
            return Ok(at + word.len());
        }
        self.no_literal(at, word)
    }

    #[cold]
    pub(super) fn no_literal(&mut self, at: usize, word: &str) -> Step {
        let matching = self.text.as_bytes()[at..]
            .iter()
            .zip(word.bytes())
            .take_while(|(a, b)| **a == *b)
            .count();
        self.stop_at_misplaced(at + matching)
    }
}

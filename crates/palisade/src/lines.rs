//! Header fields of an answer as they are written.

use http::HeaderName;

/// Field lines (RFC 9112 section 5), each with its CRLF, for a server that writes them as they are.
#[derive(Debug, Default)]
pub struct Lines(Vec<u8>);

/// What our layers say on one answer is rarely longer.
const USUAL: usize = 192;

impl Lines {
    /// Adds a field whose value is made of `pieces`, which are of our own making: nothing in them
    /// ends a line.
    pub(crate) fn put(&mut self, name: &HeaderName, pieces: &[&[u8]]) {
        let ends = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
        debug_assert!(!pieces.iter().any(|piece| piece.iter().any(ends)));
        self.reserve();
        self.0.extend_from_slice(name.as_str().as_bytes());
        self.0.extend_from_slice(b": ");
        self.end(pieces);
    }

    /// Adds lines that begin with their name; the last one lacks its CRLF.
    pub(crate) fn put_ready(&mut self, pieces: &[&[u8]]) {
        self.reserve();
        self.end(pieces);
    }

    fn reserve(&mut self) {
        if self.0.capacity() == 0 {
            self.0.reserve(USUAL);
        }
    }

    fn end(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            self.0.extend_from_slice(piece);
        }
        self.0.extend_from_slice(b"\r\n");
    }

    /// How much has been added.
    pub(crate) const fn mark(&self) -> usize {
        self.0.len()
    }

    /// Takes back what was added after `mark`.
    pub(crate) fn back_to(&mut self, mark: usize) {
        self.0.truncate(mark);
    }

    /// Whether there is a line of this name.
    pub(crate) fn has(&self, name: &HeaderName) -> bool {
        let mut lines = self.0.split_inclusive(|byte| *byte == b'\n');
        lines.any(|line| {
            line.strip_prefix(name.as_str().as_bytes())
                .is_some_and(|rest| rest.starts_with(b":"))
        })
    }

    /// Takes back the lines of the names that `hides` knows.
    pub(crate) fn without(&mut self, hides: impl Fn(&HeaderName) -> bool) {
        let hidden = |line: &[u8]| {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            HeaderName::from_bytes(name).is_ok_and(|name| hides(&name))
        };
        let lines = self.0.split_inclusive(|byte| *byte == b'\n');
        self.0 = lines
            .filter(|line| !hidden(line))
            .flatten()
            .copied()
            .collect();
    }

    /// The lines, one behind the other.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_and_can_be_taken_back() {
        let mut lines = Lines::default();
        lines.put(&http::header::VARY, &[b"Ori", b"gin"]);
        let mark = lines.mark();
        lines.put(&http::header::AGE, &[b"1"]);
        lines.back_to(mark);
        lines.put_ready(&[b"age: 2\r\nage: ", b"1"]);
        assert_eq!(lines.into_bytes(), b"vary: Origin\r\nage: 2\r\nage: 1\r\n");
    }
}

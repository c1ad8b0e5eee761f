//! Lines out of a child's standard output: one JSON text each (MCP, "stdio" transport).

use bytes::{Bytes, BytesMut};

/// Cuts bytes into lines.
#[derive(Debug)]
pub(super) struct Lines {
    buffer: BytesMut,
    /// Bytes of the buffer that are known to hold no line feed.
    searched: usize,
    most: usize,
}

/// A line is longer than it may be; whatever follows cannot be told apart from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Lines {
    /// Lines of at most `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            searched: 0,
            most,
        }
    }

    /// Where what is read is put.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        // One read of a pipe yields 64 KiB at most.
        self.buffer.reserve(16 * 1024);
        &mut self.buffer
    }

    /// The next line, without its end; blank ones are no lines. `None`: there is no whole one.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, TooLong> {
        loop {
            let found = memchr::memchr(b'\n', &self.buffer[self.searched..]);
            let Some(at) = found.map(|at| at + self.searched) else {
                self.searched = self.buffer.len();
                return if self.searched > self.most {
                    Err(TooLong)
                } else {
                    Ok(None)
                };
            };
            self.searched = 0;
            let mut line = self.buffer.split_to(at + 1);
            line.truncate(at);
            if line.len() > self.most {
                return Err(TooLong);
            }
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(line.freeze()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(lines: &mut Lines) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        while let Ok(Some(line)) = lines.next() {
            found.push(line.to_vec());
        }
        found
    }

    #[test]
    fn ends_and_blanks() {
        for (text, wanted) in [
            ("{}\n", &["{}"][..]),
            ("{}\r\n[]\n", &["{}", "[]"]),
            ("\n\r\n  \n{}\n", &["{}"]),
            ("{}", &[]),
            ("a\rb\n", &["a\rb"]),
        ] {
            let mut lines = Lines::new(100);
            lines.room().extend_from_slice(text.as_bytes());
            let wanted: Vec<Vec<u8>> = wanted.iter().map(|line| line.as_bytes().to_vec()).collect();
            assert_eq!(all(&mut lines), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_line_has_an_end_or_none() {
        let mut lines = Lines::new(4);
        lines.room().extend_from_slice(b"1234\n12345");
        assert_eq!(lines.next().unwrap().unwrap(), "1234");
        assert_eq!(lines.next(), Err(TooLong));
        let mut lines = Lines::new(4);
        lines.room().extend_from_slice(b"12345\n");
        assert_eq!(lines.next(), Err(TooLong));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "[ab\r\n]{0,60}", cut in 0_usize..60) {
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            let mut whole = Lines::new(100);
            whole.room().extend_from_slice(bytes);
            let mut pieces = Lines::new(100);
            pieces.room().extend_from_slice(&bytes[..cut]);
            let mut found = all(&mut pieces);
            pieces.room().extend_from_slice(&bytes[cut..]);
            found.extend(all(&mut pieces));
            prop_assert_eq!(all(&mut whole), found);
        }
    }
}

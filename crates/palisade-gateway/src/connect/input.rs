//! Lines of the client, from its standard output, which is our standard input.

use std::io::{self, Read};
use std::thread;

use bytes::Bytes;
use tokio::sync::mpsc;

/// What comes from the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// One line, without its end; never blank.
    Line(Bytes),
    /// A line that was longer than allowed; it has been passed over.
    TooLong,
}

/// Lines that wait while the one before is on its way; the client waits for the rest.
const WAITING: usize = 4;

/// Reads lines of at most `most` bytes on a thread of its own: a file or a terminal cannot be
/// waited for in any other way. The channel closes when the input ends.
pub(super) fn follow(
    mut input: impl Read + Send + 'static,
    most: usize,
) -> io::Result<mpsc::Receiver<Incoming>> {
    let (sender, receiver) = mpsc::channel(WAITING);
    thread::Builder::new()
        .name("connect-stdin".to_owned())
        .spawn(move || {
            let mut lines = Splitter::new(most);
            let mut piece = vec![0; 64 * 1024];
            let mut found = Vec::new();
            loop {
                match input.read(&mut piece) {
                    Ok(0) => break,
                    Ok(length) => lines.push(&piece[..length], &mut found),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        tracing::warn!("standard input cannot be read: {error}");
                        break;
                    }
                }
                for incoming in found.drain(..) {
                    if sender.blocking_send(incoming).is_err() {
                        return;
                    }
                }
            }
            // A last line without its end is a message as well, if it is whole.
            lines.end(&mut found);
            for incoming in found.drain(..) {
                let _ = sender.blocking_send(incoming);
            }
        })?;
    Ok(receiver)
}

/// Cuts bytes into lines; what is too long is passed over up to its end.
#[derive(Debug)]
struct Splitter {
    line: Vec<u8>,
    most: usize,
    passing: bool,
}

impl Splitter {
    const fn new(most: usize) -> Self {
        Self {
            line: Vec::new(),
            most,
            passing: false,
        }
    }

    fn push(&mut self, mut bytes: &[u8], found: &mut Vec<Incoming>) {
        while !bytes.is_empty() {
            let end = memchr::memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if !self.passing {
                if self.line.len() + part.len() > self.most {
                    self.passing = true;
                    self.line = Vec::new();
                    found.push(Incoming::TooLong);
                } else {
                    self.line.extend_from_slice(part);
                }
            }
            let Some(end) = end else { return };
            bytes = &bytes[end + 1..];
            self.end(found);
        }
    }

    fn end(&mut self, found: &mut Vec<Incoming>) {
        self.passing = false;
        let line = std::mem::take(&mut self.line);
        let line = line.trim_ascii();
        if !line.is_empty() {
            found.push(Incoming::Line(Bytes::copy_from_slice(line)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(pieces: &[&[u8]], most: usize) -> Vec<String> {
        let mut lines = Splitter::new(most);
        let mut found = Vec::new();
        for piece in pieces {
            lines.push(piece, &mut found);
        }
        lines.end(&mut found);
        let show = |incoming| match incoming {
            Incoming::Line(line) => String::from_utf8_lossy(&line).into_owned(),
            Incoming::TooLong => "TOO LONG".to_owned(),
        };
        found.into_iter().map(show).collect()
    }

    // REQ: U-2
    #[test]
    fn lines_ends_and_what_is_too_long() {
        for (text, wanted) in [
            ("", &[][..]),
            ("{}\n", &["{}"]),
            ("{}", &["{}"]),
            ("{}\r\n\n \t\r\n[]\n", &["{}", "[]"]),
            ("123456\n1234567\n1\n", &["123456", "TOO LONG", "1"]),
            ("1234567890123\n\n2", &["TOO LONG", "2"]),
            ("1234567", &["TOO LONG"]),
            ("1\r2\n", &["1\r2"]),
        ] {
            assert_eq!(cut(&[text.as_bytes()], 6), wanted, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "[ab\r\n]{0,60}", at in 0_usize..60) {
            let (one, two) = text.as_bytes().split_at(at.min(text.len()));
            prop_assert_eq!(cut(&[text.as_bytes()], 9), cut(&[one, two], 9));
        }
    }

    #[test]
    fn a_thread_reads_to_the_end() {
        let mut lines = follow(&b"one\ntwo\nthree"[..], 100).unwrap();
        let mut found = Vec::new();
        while let Some(Incoming::Line(line)) = lines.blocking_recv() {
            found.push(line);
        }
        assert_eq!(found, ["one", "two", "three"]);
    }
}

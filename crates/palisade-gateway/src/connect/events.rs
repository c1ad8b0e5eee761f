//! Server-sent events with their data (WHATWG HTML section 9.2.6), from bytes in pieces of any size.

/// Reads one event stream.
#[derive(Debug)]
pub(super) struct Events {
    most: usize,
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_return: bool,
    first_line: bool,
    event: Event,
    has_data: bool,
}

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    /// Its data, without the last line end; empty where it has none.
    pub(super) data: Vec<u8>,
    /// Its own `id` field.
    pub(super) id: Option<String>,
    /// Its name; `None` means `message`.
    pub(super) name: Option<String>,
    /// Its `retry` field, in milliseconds.
    pub(super) retry: Option<u64>,
}

/// An event is larger than allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Bytes of an `id` or a name; a longer one is taken for none.
const SHORT: usize = 1024;

impl Events {
    /// Events of at most `most` bytes.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            line: Vec::new(),
            after_return: false,
            first_line: true,
            event: Event::default(),
            has_data: false,
        }
    }

    /// Reads a piece, and puts what ends in it into `found`. An event without data is given as
    /// well: its id counts.
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        found: &mut Vec<Event>,
    ) -> Result<(), TooLarge> {
        if bytes.is_empty() {
            return Ok(());
        }
        if std::mem::take(&mut self.after_return) {
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while !bytes.is_empty() {
            let end = memchr::memchr2(b'\r', b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            if self.line.len() + self.event.data.len() + part.len() > self.most {
                return Err(TooLarge);
            }
            self.line.extend_from_slice(part);
            let Some(end) = end else { return Ok(()) };
            self.line(found);
            let is_pair = bytes[end] == b'\r' && bytes.get(end + 1) == Some(&b'\n');
            self.after_return = bytes[end] == b'\r' && end + 1 == bytes.len();
            bytes = &bytes[end + 1 + usize::from(is_pair)..];
        }
        Ok(())
    }

    /// A whole line has been collected.
    fn line(&mut self, found: &mut Vec<Event>) {
        let line = std::mem::take(&mut self.line);
        let mut text = line.as_slice();
        if std::mem::take(&mut self.first_line) {
            text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        }
        if text.is_empty() {
            self.has_data = false;
            let event = std::mem::take(&mut self.event);
            if event != Event::default() {
                found.push(event);
            }
        } else {
            let colon = memchr::memchr(b':', text);
            let (name, value) = text.split_at(colon.unwrap_or(text.len()));
            let value = value.strip_prefix(b":").unwrap_or(value);
            self.field(name, value.strip_prefix(b" ").unwrap_or(value));
        }
        // The room is used again.
        self.line = line;
        self.line.clear();
        if self.line.capacity() > 64 * 1024 {
            self.line = Vec::new();
        }
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        let short = || {
            let text = (value.len() <= SHORT).then_some(value)?;
            String::from_utf8(text.to_vec()).ok()
        };
        match name {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(value);
            }
            b"event" => self.event.name = short().filter(|name| !name.is_empty()),
            // One that cannot be sent back by a header field is none.
            b"id" => {
                let is_visible = value.iter().all(|byte| matches!(byte, b' '..=b'~'));
                self.event.id = short().filter(|_| is_visible);
            }
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.event.retry = short().and_then(|text| text.parse().ok());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]]) -> Result<Vec<Event>, TooLarge> {
        let mut events = Events::new(64);
        let mut found = Vec::new();
        for piece in pieces {
            events.push(piece, &mut found)?;
        }
        Ok(found)
    }

    fn event(data: &str, id: Option<&str>, name: Option<&str>, retry: Option<u64>) -> Event {
        Event {
            data: data.as_bytes().to_vec(),
            id: id.map(str::to_owned),
            name: name.map(str::to_owned),
            retry,
        }
    }

    // REQ: U-2
    #[test]
    fn events() {
        for (text, wanted) in [
            ("data: {}\n\n", vec![event("{}", None, None, None)]),
            ("data:{}\r\n\r\n", vec![event("{}", None, None, None)]),
            (
                "data: a\rdata:  b\r\r",
                vec![event("a\n b", None, None, None)],
            ),
            ("\u{feff}data: a\n\n", vec![event("a", None, None, None)]),
            (
                "event: message\nid: 3-1\nretry: 500\ndata: x\n\n",
                vec![event("x", Some("3-1"), Some("message"), Some(500))],
            ),
            (
                "id: 3-0\nretry: 1000\ndata: \n\n",
                vec![event("", Some("3-0"), None, Some(1000))],
            ),
            (": keep-alive\n\n", vec![]),
            ("\n\n\n", vec![]),
            ("data: unfinished\n", vec![]),
            ("datax: 1\ndata\n\n", vec![]),
            (
                "retry: 5s\nid: a\u{0}b\nevent:\ndata: x\n\n",
                vec![event("x", None, None, None)],
            ),
            (
                "data: a\n\ndata: b\n\n",
                vec![event("a", None, None, None), event("b", None, None, None)],
            ),
        ] {
            assert_eq!(read(&[text.as_bytes()]), Ok(wanted), "{text:?}");
        }
    }

    #[test]
    fn a_line_end_of_two_bytes_may_come_in_two_pieces() {
        let wanted = vec![event("a", None, None, None)];
        for pieces in [
            &["data: a\r", "\n", "\n"][..],
            &["data: a\r", "", "\n\r", "", "\n"],
            &["data: a\r", "\r"],
        ] {
            let pieces: Vec<&[u8]> = pieces.iter().map(|piece| piece.as_bytes()).collect();
            assert_eq!(read(&pieces), Ok(wanted.clone()), "{pieces:?}");
        }
    }

    // REQ: U-2
    #[test]
    fn nothing_grows_beyond_its_bound() {
        let long = "x".repeat(70);
        for text in [
            format!("data: {long}"),
            format!("data: {}\ndata: {}\n", &long[..40], &long[..40]),
            format!(": {long}"),
            long.clone(),
        ] {
            assert_eq!(read(&[text.as_bytes()]), Err(TooLarge), "{text}");
        }
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "(data: |id:|a|\r|\n|\r\n|:){0,30}", cuts in prop::collection::vec(0_usize..90, 0..6)) {
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&pieces), read(&[bytes]));
        }

        #[test]
        fn hostile_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&[&bytes]);
        }
    }
}

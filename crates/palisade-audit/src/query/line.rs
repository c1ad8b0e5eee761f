//! One record read back: only the members that questions ask for, the others skipped, none of it copied.

/// A record of the log, as it stands in its line: strings still with their escapes, without quotes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Line<'a> {
    /// `timestamp`.
    pub timestamp: &'a [u8],
    /// `requestId`.
    pub request_id: &'a [u8],
    /// `phase`.
    pub phase: &'a [u8],
    /// `actor.id`.
    pub actor: &'a [u8],
    /// `actor.ip`.
    pub ip: &'a [u8],
    /// `tool`.
    pub tool: &'a [u8],
    /// `outcome`.
    pub outcome: &'a [u8],
    /// `error`.
    pub error: &'a [u8],
    /// `server`.
    pub server: &'a [u8],
    /// `method`.
    pub method: &'a [u8],
    /// `reason`.
    pub reason: &'a [u8],
    /// `event`: of lines that are no record.
    pub event: &'a [u8],
    /// `durationMs`.
    pub duration_ms: Option<u64>,
    /// `destructive`.
    pub destructive: bool,
}

impl<'a> Line<'a> {
    /// Reads a line without its line feed; `None` if it is no object. What stands in nested values is never taken for a
    /// member.
    #[must_use]
    pub fn read(text: &'a [u8]) -> Option<Self> {
        let mut line = Self::default();
        let mut reader = Reader { text, at: 0 };
        reader.expect(b'{')?;
        if reader.peek() == b'}' {
            reader.at += 1;
            return reader.ends().then_some(line);
        }
        loop {
            let key = reader.string()?;
            reader.expect(b':')?;
            match key {
                b"timestamp" => line.timestamp = reader.text_or_skip()?,
                b"requestId" => line.request_id = reader.text_or_skip()?,
                b"phase" => line.phase = reader.text_or_skip()?,
                b"actor" => (line.actor, line.ip) = reader.actor()?,
                b"tool" => line.tool = reader.text_or_skip()?,
                b"outcome" => line.outcome = reader.text_or_skip()?,
                b"error" => line.error = reader.text_or_skip()?,
                b"server" => line.server = reader.text_or_skip()?,
                b"method" => line.method = reader.text_or_skip()?,
                b"reason" => line.reason = reader.text_or_skip()?,
                b"event" => line.event = reader.text_or_skip()?,
                b"durationMs" => line.duration_ms = parse(reader.skip()?),
                b"destructive" => line.destructive = reader.skip()? == b"true",
                _ => {
                    reader.skip()?;
                }
            }
            match reader.next()? {
                b',' => {}
                b'}' => return reader.ends().then_some(line),
                _ => return None,
            }
        }
    }

    /// A call of a tool that is to be counted: told whole, or its second half.
    #[must_use]
    pub fn is_call(&self) -> bool {
        !self.tool.is_empty() && matches!(self.phase, b"" | b"outcome")
    }
}

fn parse(number: &[u8]) -> Option<u64> {
    std::str::from_utf8(number).ok()?.parse().ok()
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    #[inline]
    fn peek(&mut self) -> u8 {
        while let Some(b' ' | b'\t' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
        self.text.get(self.at).copied().unwrap_or_default()
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += 1;
        (byte != 0).then_some(byte)
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn ends(&mut self) -> bool {
        self.peek() == 0 && self.at >= self.text.len()
    }

    /// A string's inside.
    #[inline]
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        loop {
            let rest = self.text.get(self.at..)?;
            let length = memchr::memchr2(b'"', b'\\', rest)?;
            self.at += length + 1;
            if rest[length] == b'"' {
                return Some(&self.text[start..self.at - 1]);
            }
            self.at += 1;
        }
    }

    /// A string; nothing for any other value.
    #[inline]
    fn text_or_skip(&mut self) -> Option<&'a [u8]> {
        if self.peek() == b'"' {
            return self.string();
        }
        self.skip()?;
        Some(b"")
    }

    fn actor(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let mut actor = (&b""[..], &b""[..]);
        if self.peek() != b'{' {
            self.skip()?;
            return Some(actor);
        }
        self.at += 1;
        if self.peek() == b'}' {
            self.at += 1;
            return Some(actor);
        }
        loop {
            let key = self.string()?;
            self.expect(b':')?;
            match key {
                b"id" => actor.0 = self.text_or_skip()?,
                b"ip" => actor.1 = self.text_or_skip()?,
                _ => {
                    self.skip()?;
                }
            }
            match self.next()? {
                b',' => {}
                b'}' => return Some(actor),
                _ => return None,
            }
        }
    }

    /// Any value; its bytes.
    fn skip(&mut self) -> Option<&'a [u8]> {
        let first = self.peek();
        let start = self.at;
        match first {
            b'"' => {
                self.string()?;
            }
            b'{' | b'[' => self.container()?,
            _ => {
                let rest = self.text.get(start..)?;
                let length = rest
                    .iter()
                    .position(|byte| matches!(byte, b',' | b'}' | b']' | b' '))?;
                if length == 0 {
                    return None;
                }
                self.at += length;
            }
        }
        self.text.get(start..self.at)
    }

    /// To the bracket that closes what opens here; strings are passed over, so brackets in them do not count.
    fn container(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            let byte = *self.text.get(self.at)?;
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn members() {
        let text = br#"{"timestamp":"2026-11-21T08:10:11.994Z","requestId":"r1","actor":{"id":"al\"ice","ip":"127.0.0.1"},"tool":"read","args":{"tool":"x","outcome":"no","s":"}\",\"tool\":\"y\""},"outcome":"ok","error":null,"durationMs":41,"destructive":true}"#;
        let line = Line::read(text).unwrap();
        assert_eq!(line.timestamp, b"2026-11-21T08:10:11.994Z");
        assert_eq!(line.actor, br#"al\"ice"#);
        assert_eq!(line.ip, b"127.0.0.1");
        assert_eq!(line.tool, b"read");
        assert_eq!(line.outcome, b"ok");
        assert_eq!(line.error, b"");
        assert_eq!(line.duration_ms, Some(41));
        assert!(line.destructive && line.is_call());
        assert!(Line::read(b"{}").is_some());
        for bad in [
            "",
            "{",
            "[]",
            "{\"a\":1",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1}x",
            "{\"a\":\"x}",
            "null",
            "{a:1}",
            "{\"a\":1 2}",
        ] {
            // A bracket of another kind closes as well: what is skipped is not judged.
            assert_eq!(Line::read(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        /// Whatever stands in a record, its members are those that an independent reader finds.
        #[test]
        fn agrees(tool in any::<Option<String>>(), args in any::<Vec<String>>(), actor in any::<String>(), duration in any::<u64>(), pretty in any::<bool>()) {
            let value = serde_json::json!({"args": {"tool": args, "x": [{}, [], {"outcome": "[{"}]}, "tool": tool, "actor": {"x": 1, "id": actor, "ip": null}, "durationMs": duration, "zz": -1.5e3});
            let mut text = if pretty { serde_json::to_string_pretty(&value).unwrap().replace('\n', " ") } else { value.to_string() };
            let line = Line::read(text.as_bytes()).unwrap();
            let read = |raw: &[u8]| serde_json::from_str::<String>(&format!("\"{}\"", std::str::from_utf8(raw).unwrap())).unwrap();
            prop_assert_eq!(read(line.tool), tool.unwrap_or_default());
            prop_assert_eq!(read(line.actor), actor);
            prop_assert_eq!(line.duration_ms, Some(duration));
            text.pop();
            prop_assert_eq!(Line::read(text.as_bytes()), None);
        }

        #[test]
        fn any_bytes(text in prop::collection::vec(prop::sample::select(b"{}[]\":,\\ ax1".to_vec()), 0..60)) {
            let line = Line::read(&text);
            if serde_json::from_slice::<Value>(&text).is_ok_and(|value| value.is_object()) {
                prop_assert!(line.is_some());
            }
        }
    }
}

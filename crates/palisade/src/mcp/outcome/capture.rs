//! What is kept of a string.

/// A bounded copy of a string's content, unescaped.
#[derive(Debug, Default)]
pub(super) struct Capture {
    pub(super) kept: Vec<u8>,
    /// Bytes that fit in all.
    pub(super) bytes: usize,
    pub(super) overflowed: bool,
    pub(super) escape: Escape,
    /// The first half of a surrogate pair, waiting for the second.
    pub(super) surrogate: Option<u32>,
}

/// How far into an escape the string stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Escape {
    Backslash,
    #[default]
    None,
    Unicode {
        digits: u8,
        unit: u32,
    },
}

impl Capture {
    pub(super) fn start(&mut self, bytes: usize) {
        self.kept.clear();
        self.bytes = bytes;
        self.overflowed = bytes == 0;
        self.escape = Escape::None;
        self.surrogate = None;
    }

    /// Reads one byte of an escape, if the string stands in one.
    pub(super) fn escape(&mut self, bytes: &[u8]) -> Option<usize> {
        let byte = *bytes.first()?;
        match self.escape {
            Escape::None => return None,
            Escape::Backslash if byte == b'u' => {
                self.escape = Escape::Unicode { digits: 0, unit: 0 };
            }
            Escape::Backslash => {
                self.escape = Escape::None;
                let plain = match byte {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => other,
                };
                self.extend(&[plain]);
            }
            Escape::Unicode { digits, unit } => {
                let Some(digit) = char::from(byte).to_digit(16) else {
                    // No escape after all: the byte is read again, as itself.
                    self.escape = Escape::None;
                    self.extend("\u{fffd}".as_bytes());
                    return Some(0);
                };
                let unit = unit << 4 | digit;
                if digits < 3 {
                    self.escape = Escape::Unicode {
                        digits: digits + 1,
                        unit,
                    };
                } else {
                    self.escape = Escape::None;
                    self.unit(unit);
                }
            }
        }
        Some(1)
    }

    pub(super) fn unit(&mut self, unit: u32) {
        if (0xD800..0xDC00).contains(&unit) {
            self.flush_surrogate();
            self.surrogate = Some(unit);
            return;
        }
        let code = match self.surrogate {
            Some(first) if (0xDC00..0xE000).contains(&unit) => {
                self.surrogate = None;
                0x1_0000 + ((first & 0x3FF) << 10) + (unit & 0x3FF)
            }
            _ => unit,
        };
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Half a pair that never got its other half.
    pub(super) fn flush_surrogate(&mut self) {
        if self.surrogate.take().is_some() {
            self.extend("\u{fffd}".as_bytes());
        }
    }

    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.flush_surrogate();
        if self.overflowed {
            return;
        }
        let fit = bytes.len().min(self.bytes - self.kept.len());
        self.kept.extend_from_slice(&bytes[..fit]);
        self.overflowed = fit < bytes.len();
    }
}

/// At most so many characters of a text that may be no UTF-8, or end in the middle of one.
pub(super) fn cut(text: &[u8], characters: usize) -> String {
    let text = String::from_utf8_lossy(text);
    if text.len() <= characters {
        return text.into_owned();
    }
    text.chars().take(characters).collect()
}

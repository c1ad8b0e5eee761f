//! What holds nothing of interest is stepped over.

use memchr::memchr2;

/// Steps over a container that holds nothing of interest.
#[derive(Debug, Default)]
pub(super) struct Skip {
    pub(super) depth: usize,
    pub(super) in_string: bool,
    pub(super) escaped: bool,
}

impl Skip {
    /// Reads until the container ends (`depth` is 0 then) or the bytes do; returns how many.
    pub(super) fn run(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
            } else if self.in_string {
                let Some(found) = memchr2(b'"', b'\\', &bytes[at..]) else {
                    return bytes.len();
                };
                self.escaped = bytes[at + found] == b'\\';
                self.in_string = self.escaped;
                at += found + 1;
            } else {
                let byte = bytes[at];
                at += 1;
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            return at;
                        }
                    }
                    _ => {}
                }
            }
        }
        at
    }
}

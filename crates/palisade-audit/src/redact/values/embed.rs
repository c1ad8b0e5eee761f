//! JSON inside a text: a whole string of it, or a piece in a sentence or a command.

use crate::redact::copy::{Nested, Refused, nested};
use crate::redact::keys::mask_length;
use crate::redact::policy::Masker;
use crate::redact::{Finding, Mask};

/// What JSON within the text has given: findings still to be told, and what stands in their place.
#[derive(Default)]
pub(super) struct Given {
    bytes: Vec<u8>,
    /// The last one first.
    findings: Vec<Finding>,
    /// Up to here the text has been read as JSON, and is done with.
    done: usize,
    /// Up to here it has been tried: what begins before is none either.
    tried: usize,
}

impl Given {
    /// Reads what begins at `at`.
    pub(super) fn read(&mut self, text: &[u8], at: usize, nest: u8, masker: &Masker) {
        if let Some(length) = mask_length(&text[at..]) {
            self.done = at + length;
            return;
        }
        if at < self.tried || !may_begin(text, at) {
            return;
        }
        if nest == NEST_MAX {
            // Nobody writes this: all that is left goes.
            self.whole(at, text.len());
            return;
        }
        let Nested {
            end,
            edits,
            refused,
        } = nested(&text[at..], nest + 1, masker);
        match refused {
            None => {
                self.done = at + end;
                self.tried = at + end;
                for edit in edits.iter().rev() {
                    let from = self.bytes.len();
                    self.bytes.extend_from_slice(&edit.text);
                    self.findings.push(Finding {
                        start: at + edit.start,
                        end: at + edit.end,
                        mask: Mask::Given(from, self.bytes.len()),
                    });
                }
            }
            // Too deep to be looked through.
            Some(Refused::Deep) if text[..at].trim_ascii().is_empty() => self.whole(at, text.len()),
            Some(_) => self.tried = at + end.max(1),
        }
    }

    fn whole(&mut self, start: usize, end: usize) {
        self.done = end;
        self.tried = end;
        self.findings.push(Finding {
            start,
            end,
            mask: Mask::Plain,
        });
    }

    /// The next finding.
    pub(super) fn take(&mut self) -> Option<Finding> {
        self.findings.pop()
    }

    pub(super) fn end(&self) -> usize {
        self.done
    }

    pub(super) fn bytes(&self, from: usize, to: usize) -> &[u8] {
        &self.bytes[from..to]
    }
}

/// A look at what follows the bracket: of programs and sentences nearly none goes on like JSON.
fn may_begin(text: &[u8], at: usize) -> bool {
    let rest = &text[at + 1..];
    let space = rest
        .iter()
        .take(64)
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    match rest.get(space) {
        Some(b'"') => true,
        Some(b'{' | b'[' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => text[at] == b'[',
        _ => false,
    }
}

/// Texts within texts that are looked through.
const NEST_MAX: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, at: usize, nest: u8) -> (Vec<(usize, usize, String)>, usize) {
        let mut given = Given::default();
        given.read(text.as_bytes(), at, nest, &Masker::PLAIN);
        let mut found = Vec::new();
        while let Some(finding) = given.take() {
            let shown = match finding.mask {
                Mask::Given(from, to) => String::from_utf8(given.bytes(from, to).to_vec()).unwrap(),
                _ => String::new(),
            };
            found.push((finding.start, finding.end, shown));
        }
        (found, given.end())
    }

    // REQ: L-2
    #[test]
    fn pieces() {
        let mask = "\"[REDACTED]\"".to_owned();
        assert_eq!(
            read(r#"x {"pin":1234,"otp":5678} y"#, 2, 0),
            (vec![(9, 13, mask.clone()), (20, 24, mask)], 25)
        );
        assert_eq!(read(r#"x {"a":1} y"#, 2, 5), (vec![], 9));
        // None, or none that is worth a look.
        assert_eq!(read("x {a} y", 2, 0), (vec![], 0));
        assert_eq!(read(r#"x {"a":} y"#, 2, 0), (vec![], 0));
        // A mask is no array.
        assert_eq!(read("x [REDACTED] y", 2, 0), (vec![], 12));
        assert_eq!(read("x [REDACTED#12] y", 2, 0), (vec![], 15));
        // Beyond the bound, all that is left.
        assert_eq!(
            read(r#"x {"a":1} y"#, 2, 6),
            (vec![(2, 11, String::new())], 11)
        );
        let deep = format!(" {}", "[".repeat(70));
        assert_eq!(read(&deep, 1, 0), (vec![(1, 71, String::new())], 71));
        let deep = format!("a{}", "[".repeat(70));
        assert_eq!(read(&deep, 1, 0), (vec![], 0));
    }

    /// What has been tried is not tried again.
    #[test]
    fn once() {
        let text = br#"[1,[2,x {"pin":1234}"#;
        let mut given = Given::default();
        given.read(text, 0, 0, &Masker::PLAIN);
        assert_eq!((given.done, given.tried), (0, 7));
        given.read(text, 3, 0, &Masker::PLAIN);
        assert_eq!((given.done, given.tried), (0, 7));
        given.read(text, 8, 0, &Masker::PLAIN);
        assert_eq!((given.done, given.tried), (20, 20));
        assert_eq!(given.take().map(|found| found.start), Some(15));
        let text = br#"[1,{"pin":1234} x"#;
        let mut given = Given::default();
        given.read(text, 0, 0, &Masker::PLAIN);
        assert!(given.tried > 3);
        given.read(text, 3, 0, &Masker::PLAIN);
        assert_eq!(given.take(), None);
    }

    #[test]
    fn beginnings() {
        for (text, may) in [
            (r#"{"a"#, true),
            (r#"["a"#, true),
            (r#"{  "a"#, true),
            ("[1", true),
            ("[-", true),
            ("[{", true),
            ("[[", true),
            ("[t", true),
            ("[f", true),
            ("[n", true),
            ("{1", false),
            ("[x", false),
            ("{}", false),
            ("[]", false),
            ("[", false),
        ] {
            assert_eq!(may_begin(text.as_bytes(), 0), may, "{text}");
        }
        assert!(may_begin(format!("{{{}\"", " ".repeat(64)).as_bytes(), 0));
        assert!(!may_begin(format!("{{{}\"", " ".repeat(65)).as_bytes(), 0));
    }
}

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

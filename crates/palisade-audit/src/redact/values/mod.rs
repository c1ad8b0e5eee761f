//! What the shape of a text gives away, whatever key it stands under.
//!
//! The scan looks twice only where something can begin: at the first letter of a word, at a digit, and at
//! `@`, `=`, `:`, `-`. Every look back is bounded and every look ahead that finds nothing is bounded or
//! remembered, so the time is linear in the text, whoever wrote it.

mod address;
mod classes;
mod member;
mod number;
mod pem;
mod scheme;
mod token;

use super::{Aim, Finding, Mask};
use crate::survey::Survey;
use address::{email, userinfo};
use classes::{CLASSES, MARK, STARTS, URL_SAFE, WORD, run};
use member::{assignment, member};
use number::{may_be_number, number};
use pem::private_key;
use scheme::scheme;
use token::{SECONDS, token};

pub(crate) use number::is_card;
pub(crate) use scheme::credential;

/// Finds secrets in a text, from left to right, none overlapping.
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// The end of the last finding: nothing before is looked at again.
    floor: usize,
    /// Up to here a run of base64url letters is known to be no JWT.
    no_jwt: usize,
    aim: Aim,
}

impl<'a> Scanner<'a> {
    /// Findings begin and end at ASCII bytes, so that valid UTF-8 stays so around them.
    pub(crate) fn new(text: &'a [u8], aim: Aim) -> Self {
        let at = if may_hold(text) { 0 } else { text.len() };
        Self::surveyed(text, at, aim)
    }

    /// From `at` on, without the look whether there could be anything.
    pub(crate) fn surveyed(text: &'a [u8], at: usize, aim: Aim) -> Self {
        Self {
            text,
            at,
            floor: 0,
            no_jwt: 0,
            aim,
        }
    }

    fn look_at_word(&mut self) -> Option<Finding> {
        let (text, at) = (self.text, self.at);
        let first = text[at];
        if first.is_ascii_digit() {
            return if self.aim == Aim::All && may_be_number(&text[at..]) {
                number(text, at)
            } else {
                None
            };
        }
        let second = *text.get(at + 1)?;
        if second >= 0x80 || SECONDS[usize::from(first)] & 1 << second == 0 {
            return None;
        }
        match first {
            b'b' | b'B' => scheme(text, at),
            b'e' => self.jwt(at),
            _ => None,
        }
        .or_else(|| token(text, at))
    }

    /// The neighbours say first whether a mark is worth a look: hyphens in dates, colons in times are not.
    #[inline]
    fn look_at_mark(&mut self, mark: u8) -> Option<Finding> {
        let (text, at) = (self.text, self.at);
        let before = at.checked_sub(1).map_or(0, |at| text[at]);
        let after = text.get(at + 1).copied().unwrap_or_default();
        match mark {
            b'@' if self.aim == Aim::All => email(text, self.floor, at),
            b'=' => assignment(text, self.floor, at),
            b':' if after == b'/' => userinfo(text, at),
            // Neither a time of day nor a port has a key before its colon.
            b':' if before.is_ascii_alphabetic() || matches!(before, b'"' | b'\'') => {
                member(text, self.floor, at)
            }
            b'-' if after == b'-' => private_key(text, at),
            // GitHub's prefixes are telling enough to be seen inside a word.
            b'_' if matches!(before, b'o' | b'p' | b'r' | b's' | b'u') => self.github(),
            _ => None,
        }
    }

    #[inline(never)]
    fn github(&self) -> Option<Finding> {
        let at = self.at.checked_sub(3).filter(|at| *at >= self.floor)?;
        if self.text[at..].starts_with(b"gh") {
            token(self.text, at)
        } else {
            None
        }
    }

    /// Three parts of base64url, the first a JSON object (`{"` is `eyJ`), RFC 7519; five for a JWE.
    fn jwt(&mut self, at: usize) -> Option<Finding> {
        let text = self.text;
        if at < self.no_jwt || !text[at..].starts_with(b"eyJ") {
            return None;
        }
        let header = run(text, at, URL_SAFE);
        if header - at < 10 || text.get(header) != Some(&b'.') {
            self.no_jwt = header;
            return None;
        }
        let mut end = run(text, header + 1, URL_SAFE);
        if end - header < 8 {
            self.no_jwt = header;
            return None;
        }
        for _ in 0..3 {
            if text.get(end) != Some(&b'.') {
                break;
            }
            let part = run(text, end + 1, URL_SAFE);
            if part == end + 1 {
                break;
            }
            end = part;
        }
        Some(Finding {
            start: at,
            end,
            mask: Mask::Fingerprint,
        })
    }
}

impl Iterator for Scanner<'_> {
    type Item = Finding;

    fn next(&mut self) -> Option<Finding> {
        let text = self.text;
        let mut at = self.at;
        while let Some(&byte) = text.get(at) {
            let class = CLASSES[usize::from(byte)];
            if class & (STARTS | MARK) != 0 {
                self.at = at;
                let finding = if class & MARK != 0 {
                    self.look_at_mark(byte)
                } else {
                    self.look_at_word()
                };
                if let Some(finding) = finding {
                    return Some(self.found(finding));
                }
            }
            at += 1;
            if class & WORD != 0 {
                while text
                    .get(at)
                    .is_some_and(|byte| CLASSES[usize::from(*byte)] & WORD != 0)
                {
                    at += 1;
                }
            }
        }
        self.at = at;
        None
    }
}

impl Scanner<'_> {
    fn found(&mut self, mut finding: Finding) -> Finding {
        // Hyphens run on from a token into a private key behind it, which would then go unseen.
        if self.text[finding.start..finding.end].ends_with(b"-----BEGIN") {
            finding.end -= 10;
        }
        self.at = finding.end.max(self.at + 1);
        self.floor = finding.end;
        finding
    }
}

/// Whether a scan could find anything: the one look that nearly every string gets.
#[inline]
pub(crate) fn may_hold(text: &[u8]) -> bool {
    let marks = text
        .iter()
        .fold(0, |marks, byte| marks | MARKS[usize::from(*byte)]);
    if text.len() < SHORTEST_PLAIN {
        return marks & PAIRED != 0;
    }
    marks != 0 || names_scheme(text)
}

/// Whether a text that is one word, of letters and digits only, gives something away.
pub(crate) fn is_telling_word(word: &[u8], aim: Aim) -> bool {
    !word.is_empty() && Scanner::surveyed(word, 0, aim).look_at_word().is_some()
}

/// As [`may_hold`], of a text whose survey reached its end.
#[inline]
pub(crate) fn may_hold_surveyed(text: &[u8], survey: Survey) -> bool {
    if survey.telling {
        text.len() >= SHORTEST_PLAIN || may_hold(text)
    } else {
        names_scheme(text)
    }
}

/// Words of small letters and none of [`MARKS`] can be a secret only behind `bearer` or `basic`.
#[inline]
fn names_scheme(text: &[u8]) -> bool {
    text.len() >= SHORTEST_PLAIN && scheme::may_be_named(text) && scheme::is_named(text)
}

/// What is known by `@`, `=` or `:`; a mark of [`MARKS`].
const PAIRED: u8 = 1;
/// What any other finding has at least one of.
const TELLING: u8 = 2;

static MARKS: [u8; 256] = {
    let mut marks = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        marks[byte] = match byte as u8 {
            b'@' | b'=' | b':' => PAIRED,
            b'-' | b'_' | b'.' | b'0'..=b'9' | b'A'..=b'Z' => TELLING,
            _ => 0,
        };
        byte += 1;
    }
    marks
};

/// The shortest finding without one of [`PAIRED`]: `Basic YTpi`.
const SHORTEST_PLAIN: usize = 10;

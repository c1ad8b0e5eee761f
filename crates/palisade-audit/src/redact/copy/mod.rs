//! The walk over raw JSON: checks the grammar (RFC 8259) and copies, replacing what keys and values say.

mod number;
mod string;

use super::keys::{self, Rule};
use super::values::{self, Scanner};
use super::{Aim, Mask, push_mask};
use crate::escape::{push_escaped, push_shown};
use crate::survey::{Survey, quoted_word, survey};
use string::Text;

/// Why nothing was copied; what is in the output by then is to be cut off again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// Nested deeper than [`DEPTH_MAX`].
    Deep,
    /// Not JSON, or not UTF-8.
    Invalid,
}

/// Room for decoded strings, kept between calls.
#[derive(Debug, Default)]
pub(crate) struct Scratch(Vec<u8>);

/// Appends a redacted copy of `json`.
pub(crate) fn copy(json: &[u8], out: &mut Vec<u8>, scratch: &mut Scratch) -> Result<(), Refused> {
    let mut copier = Copier {
        json,
        at: 0,
        run: 0,
        out,
        scratch: &mut scratch.0,
        objects: 0,
        depth: 0,
        hidden: None,
        strings: None,
    };
    copier.document()
}

/// One bit of a `u64` per level.
const DEPTH_MAX: u32 = 64;

struct Copier<'a> {
    json: &'a [u8],
    at: usize,
    /// Everything before is dealt with.
    run: usize,
    out: &'a mut Vec<u8>,
    scratch: &'a mut Vec<u8>,
    /// One bit per open level, the innermost lowest: set for an object.
    objects: u64,
    depth: u32,
    /// The value that began at this depth and offset is left out whole.
    hidden: Option<(u32, usize, Mask)>,
    /// Inside the value that began at this depth every string is replaced.
    strings: Option<(u32, Mask)>,
}

/// A string's inside, `start..end` of the input: no escapes, all of printable ASCII.
struct Plain {
    start: usize,
    end: usize,
    survey: Survey,
}

/// What was read of a value.
enum Read {
    /// All of it.
    Whole,
    /// The beginning of a container that is not empty.
    Opened,
}

impl Plain {
    fn as_text(&self) -> Text {
        Text {
            start: self.start,
            end: self.end,
            escaped: false,
            odd: false,
        }
    }
}

impl Copier<'_> {
    fn document(&mut self) -> Result<(), Refused> {
        let mut member = false;
        loop {
            if member {
                self.key()?;
            }
            match self.value()? {
                Read::Whole => {}
                Read::Opened => {
                    member = self.in_object();
                    continue;
                }
            }
            // A value is complete: close what closes after it, or go on to its neighbour.
            loop {
                if self.depth == 0 {
                    self.space();
                    if self.at != self.json.len() {
                        return Err(Refused::Invalid);
                    }
                    self.flush(self.at);
                    return Ok(());
                }
                member = self.in_object();
                match self.token() {
                    b',' => break,
                    b'}' if member => self.close(),
                    b']' if !member => self.close(),
                    _ => return Err(Refused::Invalid),
                }
            }
        }
    }

    #[inline]
    fn value(&mut self) -> Result<Read, Refused> {
        match self.token() {
            b'"' => {
                if let Some(plain) = self.plain() {
                    self.judge_plain(&plain);
                } else {
                    let text = self.string()?;
                    self.judge_string(&text);
                }
            }
            b'{' => return self.open(true),
            b'[' => return self.open(false),
            first @ (b'-' | b'0'..=b'9') => self.number(first)?,
            b't' => self.literal(b"rue")?,
            b'f' => self.literal(b"alse")?,
            b'n' => self.literal(b"ull")?,
            _ => return Err(Refused::Invalid),
        }
        Ok(Read::Whole)
    }

    /// Opens a container, and closes it again if it is empty.
    fn open(&mut self, object: bool) -> Result<Read, Refused> {
        if self.depth == DEPTH_MAX {
            return Err(Refused::Deep);
        }
        self.objects = self.objects << 1 | u64::from(object);
        self.depth += 1;
        self.space();
        if self.peek() != if object { b'}' } else { b']' } {
            return Ok(Read::Opened);
        }
        self.at += 1;
        self.close();
        Ok(Read::Whole)
    }

    #[inline]
    fn in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    fn close(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
        if let Some((depth, start, _)) = self.hidden
            && depth == self.depth
        {
            self.hidden = None;
            // A subtree has no one spelling worth a fingerprint.
            self.replace_value(start, b"", Mask::Plain);
        }
        if self.strings.is_some_and(|(depth, _)| depth == self.depth) {
            self.strings = None;
        }
    }

    /// A key with its colon; leaves the rule for its value set.
    #[inline]
    fn key(&mut self) -> Result<(), Refused> {
        if self.token() != b'"' {
            return Err(Refused::Invalid);
        }
        let rest = self.json.get(self.at..).unwrap_or_default();
        let rule = if let Some(word) = quoted_word(rest) {
            self.at += word.len() + 1;
            match self.hidden {
                None => keys::classify_word(word),
                Some(_) => None,
            }
        } else {
            self.other_key()?
        };
        if self.token() != b':' {
            return Err(Refused::Invalid);
        }
        if let Some(rule) = rule {
            self.space();
            self.apply(rule);
        }
        Ok(())
    }

    #[inline(never)]
    fn other_key(&mut self) -> Result<Option<Rule>, Refused> {
        let Some(plain) = self.plain() else {
            let text = self.string()?;
            return Ok(self.judge_key(&text));
        };
        if self.hidden.is_some() {
            return Ok(None);
        }
        let rule = keys::classify(&self.json[plain.start..plain.end]);
        self.scan_plain(&plain);
        Ok(rule)
    }

    /// Reads a string without escapes, all of printable ASCII, as nearly all are: from behind its opening
    /// quote to behind its closing one.
    #[inline(always)]
    fn plain(&mut self) -> Option<Plain> {
        let start = self.at;
        let rest = self.json.get(start..)?;
        let survey = survey(rest);
        if rest.get(survey.plain) != Some(&b'"') {
            return None;
        }
        let end = start + survey.plain;
        self.at = end + 1;
        Some(Plain { start, end, survey })
    }

    #[inline(always)]
    fn judge_plain(&mut self, text: &Plain) {
        if self.hidden.is_some() || self.strings.is_some() {
            self.judge_string(&text.as_text());
        } else {
            self.scan_plain(text);
        }
    }

    /// Looks twice at what may hold a secret by its survey.
    #[inline(always)]
    fn scan_plain(&mut self, text: &Plain) {
        if values::may_hold_surveyed(&self.json[text.start..text.end], text.survey) {
            self.scan(&text.as_text());
        }
    }

    fn judge_key(&mut self, text: &Text) -> Option<Rule> {
        if self.hidden.is_some() {
            return None;
        }
        let rule = if text.escaped {
            self.decode(text);
            keys::classify(self.scratch)
        } else {
            keys::classify(&self.json[text.start..text.end])
        };
        self.judge_text(text);
        rule
    }

    fn apply(&mut self, rule: Rule) {
        let opens = matches!(self.peek(), b'{' | b'[');
        let scalar = matches!(self.peek(), b'"' | b'-' | b'0'..=b'9');
        match rule {
            // Within a subtree whose strings go, a stricter rule may still take a value whole.
            Rule::Whole(mask) if opens || scalar => self.hidden = Some((self.depth, self.at, mask)),
            Rule::Strings(mask) if opens || self.peek() == b'"' => {
                if self.strings.is_none() {
                    self.strings = Some((self.depth, mask));
                }
            }
            Rule::Whole(_) | Rule::Strings(_) => {}
        }
    }

    fn judge_string(&mut self, text: &Text) {
        if let Some((depth, start, mask)) = self.hidden {
            if depth == self.depth {
                self.hidden = None;
                self.replace_string(text, start, mask);
            }
            return;
        }
        if let Some((depth, mask)) = self.strings {
            if depth == self.depth {
                self.strings = None;
            }
            return self.replace_string(text, text.start - 1, mask);
        }
        self.judge_text(text);
    }

    /// Copies a string or key, replacing what its text gives away.
    fn judge_text(&mut self, text: &Text) {
        let json = self.json;
        if text.escaped {
            self.decode(text);
            let mut from = 0;
            for finding in Scanner::new(self.scratch, Aim::All) {
                if from == 0 {
                    flush(self.out, json, &mut self.run, text.start);
                }
                push_escaped(self.out, &self.scratch[from..finding.start]);
                push_mask(
                    self.out,
                    &self.scratch[finding.start..finding.end],
                    finding.mask,
                );
                from = finding.end;
            }
            if from == 0 {
                return self.shown(text);
            }
            push_escaped(self.out, &self.scratch[from..]);
            self.run = text.end;
            return;
        }
        if values::may_hold(&json[text.start..text.end]) {
            self.scan(text);
        } else {
            self.shown(text);
        }
    }

    /// Copies a string without escapes, replacing what is found in it.
    #[inline(never)]
    fn scan(&mut self, text: &Text) {
        let inside = &self.json[text.start..text.end];
        let mut from = 0;
        for finding in Scanner::surveyed(inside, 0, Aim::All) {
            self.flush(text.start + from);
            push_shown(self.out, &inside[from..finding.start]);
            push_mask(self.out, &inside[finding.start..finding.end], finding.mask);
            from = finding.end;
            self.run = text.start + from;
        }
        if text.odd {
            self.flush(text.start + from);
            push_shown(self.out, &inside[from..]);
            self.run = text.end;
        }
    }

    /// Copies a string without findings.
    fn shown(&mut self, text: &Text) {
        if text.odd {
            self.flush(text.start);
            push_shown(self.out, &self.json[text.start..text.end]);
            self.run = text.end;
        }
    }

    /// Puts a mask in the place of the whole string, whose quote stands at `start`.
    fn replace_string(&mut self, text: &Text, start: usize, mask: Mask) {
        let json = self.json;
        if text.escaped {
            self.decode(text);
            let secret = std::mem::take(self.scratch);
            self.replace_value(start, &secret, mask);
            *self.scratch = secret;
        } else {
            self.replace_value(start, &json[text.start..text.end], mask);
        }
    }

    /// Puts a mask in the place of everything from `start` to here.
    fn replace_value(&mut self, start: usize, secret: &[u8], mask: Mask) {
        self.flush(start);
        self.out.push(b'"');
        let (secret, mask) = values::credential(secret, mask);
        push_mask(self.out, secret, mask);
        self.out.push(b'"');
        self.run = self.at;
    }

    /// The rest of a literal name.
    fn literal(&mut self, word: &[u8]) -> Result<(), Refused> {
        if !self.json[self.at..].starts_with(word) {
            return Err(Refused::Invalid);
        }
        self.at += word.len();
        Ok(())
    }

    /// Reads the next byte that is no space.
    #[inline]
    fn token(&mut self) -> u8 {
        let byte = self.peek();
        if byte > b' ' {
            self.at += 1;
            return byte;
        }
        self.some_space();
        self.next()
    }

    #[inline]
    fn space(&mut self) {
        if self.peek() <= b' ' {
            self.some_space();
        }
    }

    #[inline(never)]
    fn some_space(&mut self) {
        loop {
            match self.peek() {
                b' ' | b'\t' => {}
                b'\n' | b'\r' => {
                    if self.hidden.is_none() {
                        self.flush(self.at);
                        self.run = self.at + 1;
                    }
                }
                _ => return,
            }
            self.at += 1;
        }
    }

    /// Copies the innocent bytes up to `end`.
    #[inline]
    fn flush(&mut self, end: usize) {
        flush(self.out, self.json, &mut self.run, end);
    }

    /// The byte here. Behind the end it is 0, which JSON holds nowhere: it is refused wherever it is met.
    #[inline]
    fn peek(&self) -> u8 {
        self.json.get(self.at).copied().unwrap_or_default()
    }

    #[inline]
    fn next(&mut self) -> u8 {
        let byte = self.peek();
        self.at += 1;
        byte
    }
}

#[inline]
fn flush(out: &mut Vec<u8>, json: &[u8], run: &mut usize, end: usize) {
    if *run < end {
        out.extend_from_slice(&json[*run..end]);
        *run = end;
    }
}

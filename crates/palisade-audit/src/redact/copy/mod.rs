//! The walk over raw JSON: checks the grammar (RFC 8259) and copies, replacing what keys and values say.

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
        loop {
            if self.value()? {
                continue; // opened: its first element is next
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
                match (self.token(), self.objects & 1 == 1) {
                    (b',', true) => {
                        self.key()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => self.close(),
                    _ => return Err(Refused::Invalid),
                }
            }
        }
    }

    /// Reads a scalar, an empty container, or the opening of a container up to its first value (then `true`).
    #[inline]
    fn value(&mut self) -> Result<bool, Refused> {
        match self.token() {
            b'"' => {
                if let Some(plain) = self.plain() {
                    self.judge_plain(&plain);
                } else {
                    let text = self.string()?;
                    self.judge_string(&text);
                }
            }
            b'{' => {
                self.open(true)?;
                if self.peek() == b'}' {
                    self.at += 1;
                    self.close();
                } else {
                    self.key()?;
                    return Ok(true);
                }
            }
            b'[' => {
                self.open(false)?;
                if self.peek() == b']' {
                    self.at += 1;
                    self.close();
                } else {
                    return Ok(true);
                }
            }
            first @ (b'-' | b'0'..=b'9') => self.number(first)?,
            b't' => self.literal(b"rue")?,
            b'f' => self.literal(b"alse")?,
            b'n' => self.literal(b"ull")?,
            _ => return Err(Refused::Invalid),
        }
        Ok(false)
    }

    fn open(&mut self, object: bool) -> Result<(), Refused> {
        if self.depth == DEPTH_MAX {
            return Err(Refused::Deep);
        }
        self.objects = self.objects << 1 | u64::from(object);
        self.depth += 1;
        self.space();
        Ok(())
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

    /// A key with its colon; leaves the position at the value and the rule for it set.
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
        } else if let Some(plain) = self.plain() {
            self.judge_plain_key(&plain)
        } else {
            let text = self.string()?;
            self.judge_key(&text)
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

    #[inline]
    fn judge_plain_key(&mut self, key: &Plain) -> Option<Rule> {
        if self.hidden.is_some() {
            return None;
        }
        let inside = &self.json[key.start..key.end];
        let rule = keys::classify(inside);
        self.scan_plain(key);
        rule
    }

    #[inline]
    fn judge_plain(&mut self, text: &Plain) {
        if self.hidden.is_some() || self.strings.is_some() {
            self.judge_string(&text.as_text());
        } else {
            self.scan_plain(text);
        }
    }

    /// Looks twice at what may hold a secret by its survey.
    #[inline]
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

    fn number(&mut self, mut first: u8) -> Result<(), Refused> {
        let start = self.at - 1;
        if first == b'-' {
            first = self.next();
        }
        let mut float = false;
        match first {
            b'0' => {}
            b'1'..=b'9' => self.digits(),
            _ => return Err(Refused::Invalid),
        }
        let digits = self.at - start;
        if self.json.get(self.at) == Some(&b'.') {
            float = true;
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.json.get(self.at), Some(b'e' | b'E')) {
            float = true;
            self.at += 1;
            if matches!(self.json.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        if let Some((depth, from, mask)) = self.hidden {
            if depth == self.depth {
                self.hidden = None;
                self.replace_value(from, &self.json[start..self.at], mask);
            }
            return Ok(());
        }
        let text = &self.json[start..self.at];
        if !float && values::is_card(text) {
            self.replace_value(start, text, Mask::Plain);
        } else if (float || digits > 300) && !is_finite(text) {
            self.flush(start);
            self.out.push(b'"');
            self.out.extend_from_slice(text);
            self.out.push(b'"');
            self.run = self.at;
        }
        Ok(())
    }

    fn digits(&mut self) {
        while matches!(self.json.get(self.at), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), Refused> {
        let start = self.at;
        self.digits();
        if self.at == start {
            Err(Refused::Invalid)
        } else {
            Ok(())
        }
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
        self.space();
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

fn is_finite(number: &[u8]) -> bool {
    std::str::from_utf8(number)
        .ok()
        .and_then(|text| text.parse::<f64>().ok())
        .is_some_and(f64::is_finite)
}

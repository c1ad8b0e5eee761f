//! The walk over raw JSON: checks the grammar (RFC 8259) and copies, replacing what keys and values say.

use super::keys::{self, Rule};
use super::values::{self, Scanner};
use super::{Aim, Mask, push_mask};
use crate::escape::{push_escaped, push_shown, survey, unsafe_to_show};

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

/// A string's inside: `start..end` of the input.
struct Text {
    start: usize,
    end: usize,
    /// Holds a backslash: must be decoded before it is judged.
    escaped: bool,
    /// Holds a character that must not be shown raw.
    odd: bool,
    /// Holds a sign of what a scan looks for, or what was not surveyed.
    telling: bool,
}

impl Copier<'_> {
    fn document(&mut self) -> Result<(), Refused> {
        self.space();
        loop {
            if self.value()? {
                continue; // opened: its first element is next
            }
            // A value is complete: close what closes after it, or go on to its neighbour.
            loop {
                self.space();
                if self.depth == 0 {
                    if self.at != self.json.len() {
                        return Err(Refused::Invalid);
                    }
                    self.flush(self.at);
                    return Ok(());
                }
                match (self.next()?, self.objects & 1 == 1) {
                    (b',', true) => {
                        self.space();
                        self.key()?;
                        break;
                    }
                    (b',', false) => {
                        self.space();
                        break;
                    }
                    (b'}', true) | (b']', false) => self.close(),
                    _ => return Err(Refused::Invalid),
                }
            }
        }
    }

    /// Reads a scalar, an empty container, or the opening of a container up to its first value (then `true`).
    fn value(&mut self) -> Result<bool, Refused> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                let text = self.string()?;
                self.judge_string(&text);
            }
            b'{' => {
                self.open(true)?;
                if self.peek()? == b'}' {
                    self.at += 1;
                    self.close();
                } else {
                    self.key()?;
                    return Ok(true);
                }
            }
            b'[' => {
                self.open(false)?;
                if self.peek()? == b']' {
                    self.at += 1;
                    self.close();
                } else {
                    return Ok(true);
                }
            }
            b'-' | b'0'..=b'9' => self.number()?,
            b't' => self.literal(b"true")?,
            b'f' => self.literal(b"false")?,
            b'n' => self.literal(b"null")?,
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
        self.at += 1;
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
        if self.next()? != b'"' {
            return Err(Refused::Invalid);
        }
        let text = self.string()?;
        let rule = self.judge_key(&text);
        self.space();
        if self.next()? != b':' {
            return Err(Refused::Invalid);
        }
        self.space();
        if let Some(rule) = rule {
            self.apply(rule)?;
        }
        Ok(())
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

    fn apply(&mut self, rule: Rule) -> Result<(), Refused> {
        let opens = matches!(self.peek()?, b'{' | b'[');
        let scalar = matches!(self.peek()?, b'"' | b'-' | b'0'..=b'9');
        match rule {
            // Within a subtree whose strings go, a stricter rule may still take a value whole.
            Rule::Whole(mask) if opens || scalar => self.hidden = Some((self.depth, self.at, mask)),
            Rule::Strings(mask) if opens || self.peek()? == b'"' => {
                if self.strings.is_none() {
                    self.strings = Some((self.depth, mask));
                }
            }
            Rule::Whole(_) | Rule::Strings(_) => {}
        }
        Ok(())
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
        let inside = &json[text.start..text.end];
        if !text.telling && !text.odd && !values::names_scheme(inside) {
            return;
        }
        let mut from = 0;
        for finding in Scanner::new(inside, Aim::All) {
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

    fn number(&mut self) -> Result<(), Refused> {
        let start = self.at;
        if self.json[self.at] == b'-' {
            self.at += 1;
        }
        let mut float = false;
        match self.next()? {
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

    fn literal(&mut self, word: &[u8]) -> Result<(), Refused> {
        if !self.json[self.at..].starts_with(word) {
            return Err(Refused::Invalid);
        }
        self.at += word.len();
        Ok(())
    }

    /// Reads a string from behind its opening quote to behind its closing one.
    #[inline]
    fn string(&mut self) -> Result<Text, Refused> {
        let mut text = Text {
            start: self.at,
            end: 0,
            escaped: false,
            odd: false,
            telling: false,
        };
        let json = self.json;
        let mut at = self.at;
        let mut ascii = true;
        loop {
            let rest = json.get(at..).unwrap_or_default();
            let (plain, telling) = survey(rest);
            text.telling |= telling;
            at += plain + 1;
            match *rest.get(plain).ok_or(Refused::Invalid)? {
                b'"' => {
                    self.at = at;
                    text.end = at - 1;
                    // Nowhere else can JSON hold anything but ASCII.
                    if !ascii && std::str::from_utf8(&json[text.start..text.end]).is_err() {
                        return Err(Refused::Invalid);
                    }
                    return Ok(text);
                }
                b'\\' => {
                    text.escaped = true;
                    self.at = at;
                    self.escape()?;
                    at = self.at;
                }
                0..=0x1f => return Err(Refused::Invalid),
                byte => {
                    ascii &= byte < 0x80;
                    text.odd |= unsafe_to_show(&rest[plain..]).is_some();
                }
            }
        }
    }

    /// Reads an escape from behind its backslash.
    fn escape(&mut self) -> Result<(), Refused> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.hex()? {
                // A high surrogate and its low half; half a pair is no character.
                0xd800..=0xdbff => {
                    if self.next()? == b'\\'
                        && self.next()? == b'u'
                        && (0xdc00..=0xdfff).contains(&self.hex()?)
                    {
                        Ok(())
                    } else {
                        Err(Refused::Invalid)
                    }
                }
                0xdc00..=0xdfff => Err(Refused::Invalid),
                _ => Ok(()),
            },
            _ => Err(Refused::Invalid),
        }
    }

    fn hex(&mut self) -> Result<u32, Refused> {
        let digits = self.json[self.at..]
            .first_chunk::<4>()
            .ok_or(Refused::Invalid)?;
        self.at += 4;
        hex(digits).ok_or(Refused::Invalid)
    }

    /// Writes the string's characters to the scratch room; its escapes have been checked.
    fn decode(&mut self, text: &Text) {
        self.scratch.clear();
        let mut rest = &self.json[text.start..text.end];
        while let Some(at) = memchr::memchr(b'\\', rest) {
            self.scratch.extend_from_slice(&rest[..at]);
            let (escape, length) = unescape(&rest[at + 1..]);
            self.scratch
                .extend_from_slice(escape.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[at + 1 + length..];
        }
        self.scratch.extend_from_slice(rest);
    }

    #[inline]
    fn space(&mut self) {
        while let Some(&byte) = self.json.get(self.at) {
            match byte {
                b' ' | b'\t' => self.at += 1,
                b'\n' | b'\r' => {
                    if self.hidden.is_none() {
                        self.flush(self.at);
                        self.run = self.at + 1;
                    }
                    self.at += 1;
                }
                _ => break,
            }
        }
    }

    /// Copies the innocent bytes up to `end`.
    #[inline]
    fn flush(&mut self, end: usize) {
        flush(self.out, self.json, &mut self.run, end);
    }

    #[inline]
    fn peek(&self) -> Result<u8, Refused> {
        self.json.get(self.at).copied().ok_or(Refused::Invalid)
    }

    #[inline]
    fn next(&mut self) -> Result<u8, Refused> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
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

/// The character of a checked escape, read from behind the backslash, and its length there.
fn unescape(escape: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        escape
            .get(at..)
            .and_then(<[u8]>::first_chunk::<4>)
            .and_then(hex)
            .unwrap_or_default()
    };
    match escape.first() {
        Some(b'b') => ('\u{8}', 1),
        Some(b'f') => ('\u{c}', 1),
        Some(b'n') => ('\n', 1),
        Some(b'r') => ('\r', 1),
        Some(b't') => ('\t', 1),
        Some(b'u') => {
            let first = unit(1);
            if (0xd800..0xdc00).contains(&first) {
                let low = unit(7).wrapping_sub(0xdc00) & 0x3ff;
                let code = 0x10000 + ((first - 0xd800) << 10) + low;
                (
                    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
                    11,
                )
            } else {
                (
                    char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
                    5,
                )
            }
        }
        Some(&other) => (char::from(other), 1),
        None => (char::REPLACEMENT_CHARACTER, 0),
    }
}

fn hex(digits: &[u8; 4]) -> Option<u32> {
    digits.iter().try_fold(0, |value, &digit| {
        Some(value << 4 | char::from(digit).to_digit(16)?)
    })
}

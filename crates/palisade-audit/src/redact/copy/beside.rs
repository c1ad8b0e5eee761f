//! What stands beside a value says what it is: `{"name":"password","value":"…"}`, `["--token","…"]`; and which
//! values a policy lets stay.

use super::Copier;
use crate::redact::keys::{self, Kind};
use crate::redact::values::flag;
use crate::survey::survey;

/// A value whose name may follow.
pub(super) struct Unnamed {
    /// Of its object.
    pub(super) depth: u32,
    /// Where it begins in the output.
    written: usize,
    /// Where it begins in the input.
    start: usize,
}

impl Copier<'_> {
    /// The name that begins here names the value beside it.
    pub(super) fn name(&mut self) {
        let rest = &self.json[self.at + 1..];
        let plain = survey(&rest[..rest.len().min(NAME_MAX)]).plain;
        let name = &rest[..plain];
        // The types and ids of things are called all sorts of names.
        let before = self.json[..self.at].trim_ascii_end();
        let loose = [b"\"type\":".as_slice(), b"\"id\":"]
            .iter()
            .any(|key| before.ends_with(key));
        let password = matches!(keys::classify(name), Some(Kind::Password));
        if rest.get(plain) != Some(&b'"') || !names_secret(name) || loose && !password {
            return;
        }
        self.named |= 1;
        if let Some(unnamed) = self.unnamed.take()
            && unnamed.depth == self.depth
        {
            self.name_after(&unnamed);
        }
    }

    /// The value that begins here may have its name beside it.
    pub(super) fn value_beside(&mut self) {
        let scalar = matches!(self.peek(), b'"' | b'-' | b'0'..=b'9');
        if self.named & 1 == 1 {
            if scalar {
                self.expected = Some(Kind::Password);
            } else if matches!(self.peek(), b'{' | b'[') {
                self.hidden = Some((self.depth, self.at));
            }
        } else if scalar && self.scalars.is_none() {
            self.flush(self.at);
            self.unnamed = Some(Unnamed {
                depth: self.depth,
                written: self.out.len(),
                start: self.at,
            });
        }
    }

    /// Replaces a value that has been copied already.
    fn name_after(&mut self, unnamed: &Unnamed) {
        let Some(end) = scalar_end(self.json, unnamed.start) else {
            return;
        };
        let value = &self.json[unnamed.start..end];
        let inside = value.strip_prefix(b"\"").unwrap_or(value);
        let inside = inside.strip_suffix(b"\"").unwrap_or(inside);
        if Kind::Password.judge(inside).is_none() {
            return;
        }
        self.changed = true;
        if self.inner {
            // What was found in it is a part of the whole.
            self.edits.retain(|edit| edit.start < unnamed.start);
            self.edits.push(super::Edit {
                start: unnamed.start,
                end,
                text: b"\"[REDACTED]\"".to_vec(),
            });
            return;
        }
        self.flush(self.at);
        if let Some(length) = scalar_end(&self.out[unnamed.written..], 0) {
            let end = unnamed.written + length;
            self.out
                .splice(unnamed.written..end, b"\"[REDACTED]\"".iter().copied());
        }
    }

    /// `["--password", "…"]`: the string behind a flag is its value.
    pub(super) fn after_flag(&mut self, text: &[u8]) {
        if self.depth == 0 || self.in_object() || self.in_key {
            return;
        }
        let rest = self.json.get(self.at..).unwrap_or_default();
        let Some([b',', rest @ ..]) = skip_space(rest) else {
            return;
        };
        let Some([b'"', next @ ..]) = skip_space(rest) else {
            return;
        };
        if next.first() == Some(&b'-') {
            return;
        }
        self.expected = match flag::names_value(text) {
            None if text.len() == 2 && text[0] == b'-' => {
                let before = &self.json[self.at.saturating_sub(256)..self.at];
                flag::short_names_value(before, text[1])
            }
            None if is_header(text) => {
                // A list of headers' names has only names in it.
                let head = &next[..survey(&next[..next.len().min(NAME_MAX)]).plain];
                let value = head
                    .iter()
                    .any(|byte| matches!(byte, b' ' | b'=' | b'0'..=b'9'));
                value.then_some(Kind::Token)
            }
            kind => kind,
        };
    }

    // --- What a policy lets stay.

    /// The container that is about to open: which paths lead into it.
    pub(super) fn leading(&self) -> u64 {
        if self.depth > 0 && self.in_object() {
            self.lead
        } else {
            self.alive[self.depth as usize]
        }
    }

    /// The container that was just opened: which paths lead on to its values. The elements of an array are not
    /// told apart.
    #[inline(never)]
    pub(super) fn lead_on(&mut self, object: bool, mut leading: u64) {
        let depth = self.depth as usize;
        if !object {
            let (on, here) = step(self.paths, leading, depth - 1, |segment| segment == "*");
            leading = on;
            if here && self.allowed.is_none() {
                self.allowed = Some(self.depth - 1);
            }
        }
        if let Some(level) = self.alive.get_mut(depth) {
            *level = leading;
        }
    }

    /// The member `start..end` of the object: whether it is let stay, and which paths lead on.
    #[inline(never)]
    pub(super) fn follow(&mut self, start: usize, end: usize) {
        let depth = self.depth as usize;
        let key = self.json.get(start..end).unwrap_or_default();
        let (on, here) = step(self.paths, self.alive[depth], depth - 1, |segment| {
            segment == "*" || segment.as_bytes() == key
        });
        self.lead = on;
        if here && self.allowed.is_none() {
            self.allowed = Some(self.depth);
        }
    }

    /// A path of no segments: all of it stays.
    pub(super) fn allow_root(&mut self) {
        if self.paths.iter().any(|path| path.segments().is_empty()) {
            self.allowed = Some(0);
        }
    }

    /// A value is complete.
    #[inline]
    pub(super) fn end_allowed(&mut self) {
        if self.allowed == Some(self.depth) {
            self.allowed = None;
        }
    }
}

/// Which of the paths `alive` lead on over a segment, and whether one ends with it.
fn step(
    paths: &[super::Path],
    alive: u64,
    at: usize,
    matches: impl Fn(&str) -> bool,
) -> (u64, bool) {
    let (mut on, mut here) = (0, false);
    for (index, path) in paths.iter().enumerate() {
        if alive & 1 << index == 0 {
            continue;
        }
        let segments = path.segments();
        if segments.get(at).is_some_and(|segment| matches(segment)) {
            if segments.len() == at + 1 {
                here = true;
            } else {
                on |= 1 << index;
            }
        }
    }
    (on, here)
}

/// Whether a value beside this name is a secret. A longer name is a sentence: only passwords count there.
fn names_secret(name: &[u8]) -> bool {
    let words = name.split(|byte| *byte == b' ').count();
    match keys::classify(name) {
        Some(Kind::Password | Kind::Word) => words <= 4,
        Some(Kind::Token) => words <= 2,
        Some(Kind::Digits(_)) => words <= 3,
        _ => false,
    }
}

/// The name of a header that carries a secret: `["Authorization","Bearer …"]`.
fn is_header(text: &[u8]) -> bool {
    let known = [b"authorization".as_slice(), b"cookie", b"set-cookie"]
        .iter()
        .any(|name| text.eq_ignore_ascii_case(name));
    text.len() <= 48
        && (known || text.contains(&b'-') && !text.contains(&b' '))
        && keys::classify(text) == Some(Kind::Token)
}

fn skip_space(text: &[u8]) -> Option<&[u8]> {
    let start = text
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))?;
    Some(&text[start..])
}

/// The end of the string or number at `start` of JSON that has been read before.
fn scalar_end(json: &[u8], start: usize) -> Option<usize> {
    let rest = json.get(start..)?;
    if rest.first() != Some(&b'"') {
        let length = rest
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric() && !b"+-.".contains(byte));
        return Some(start + length.unwrap_or(rest.len()));
    }
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', rest.get(at..)?)?;
        if rest[at] == b'"' {
            return Some(start + at + 1);
        }
        at += 2;
    }
}

const NAME_MAX: usize = 96;

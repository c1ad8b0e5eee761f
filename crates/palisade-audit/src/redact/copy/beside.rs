//! What stands beside a value says what it is: `{"name":"password","value":"…"}`, `["--token","…"]`; and which
//! values a policy lets stay.

use super::Copier;
use super::string::characters;
use crate::redact::keys::{self, Kind};
use crate::redact::values::flag;
use crate::survey::survey;

/// A value whose name may follow.
pub(super) struct Unnamed {
    /// Of its object.
    pub(super) depth: u32,
    kind: Kind,
    /// Where it begins in the output.
    written: usize,
    /// Where it begins in the input.
    start: usize,
}

impl Copier<'_> {
    /// The name that begins here names the value beside it.
    pub(super) fn name(&mut self) {
        let rest = &self.json[self.at..];
        let Some(end) = scalar_end(&rest[..rest.len().min(NAME_MAX)], 0) else {
            return;
        };
        let name = &*characters(&rest[1..end - 1]);
        let rest = &rest[end..];
        // The types and ids of things are called all sorts of names.
        let before = self.json[..self.at].trim_ascii_end();
        // Paths are of patches (RFC 6902) only: others are files.
        if before.ends_with(b"\"path\":") {
            let operation = before.len().saturating_sub(64);
            let follows = skip_space(rest)
                .and_then(|rest| skip_space(rest.strip_prefix(b",")?))
                .is_some_and(|rest| rest.starts_with(b"\"op\""));
            if !name.starts_with(b"/")
                || !follows && memchr::memmem::find(&before[operation..], b"\"op\"").is_none()
            {
                return;
            }
        }
        let loose = [b"\"type\":".as_slice(), b"\"id\":"]
            .iter()
            .any(|key| before.ends_with(key));
        let asks = ASKS.iter().any(|key| before.ends_with(key));
        let name = if asks { question(name) } else { name };
        let password = matches!(keys::classify(name), Some(Kind::Password));
        if !names_secret(name) || loose && !password {
            return;
        }
        self.named |= 1;
        self.digits |= u64::from(matches!(keys::classify(name), Some(Kind::Digits(..=4))));
        self.asked |= u64::from(asks);
        if let Some(unnamed) = self.unnamed.take()
            && unnamed.depth == self.depth
            && (asks || unnamed.kind != Kind::Answer)
        {
            self.name_after(&unnamed);
        }
    }

    /// The value that begins here may have its name beside it.
    pub(super) fn value_beside(&mut self, kind: Kind) {
        let scalar = matches!(self.peek(), b'"' | b'-' | b'0'..=b'9');
        if kind == Kind::Answer && (!scalar || self.scalars.is_some()) {
            return;
        }
        if kind == Kind::Answer && self.asked & 1 == 1 {
            self.expected = Some(Kind::Answer);
        } else if self.named & 1 == 1 && kind != Kind::Answer {
            if scalar {
                self.expected = Some(if kind == Kind::Content {
                    Kind::Content
                } else if self.digits & 1 == 1 {
                    Kind::Digits(4)
                } else {
                    Kind::Password
                });
            } else if kind == Kind::Content {
                self.scalars = self.scalars.or(Some((self.depth, Kind::Content)));
            } else if matches!(self.peek(), b'{' | b'[') {
                self.hidden = Some((self.depth, self.at));
            }
        } else if scalar && self.scalars.is_none() && kind != Kind::Content {
            self.flush(self.at);
            self.unnamed = Some(Unnamed {
                depth: self.depth,
                kind,
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
        let kind = if unnamed.kind == Kind::Answer {
            Kind::Answer
        } else {
            Kind::Password
        };
        if kind.judge(inside).is_none() {
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
            let mask = b"\"[REDACTED]\"";
            self.out.splice(unnamed.written..end, mask.iter().copied());
            if let Some(pending) = &mut self.pending {
                pending.moved(unnamed.written, length, mask.len());
            }
        }
    }

    /// Whether the string that was read is an element of an array.
    #[inline]
    pub(super) fn in_array(&self) -> bool {
        self.depth > 0 && !self.in_object()
    }

    /// `["mysql", "-psecret"]`: of a flag with its value behind it, where the value begins.
    pub(super) fn glued(&self, text: &[u8]) -> Option<usize> {
        if text.len() < 3 || text[0] != b'-' || text[1] == b'-' || !self.in_array() {
            return None;
        }
        let round = &self.json[self.at.saturating_sub(256)..self.json.len().min(self.at + 128)];
        flag::glued(round, text)
    }

    /// `[["password", "…"], …]`: a list of pairs.
    fn pair_of(&self, text: &[u8], next: &[u8]) -> Option<Kind> {
        let pairs = self.depth >= 2 && self.objects >> 1 & 1 == 0;
        if !pairs || text.len() > NAME_MAX || self.in_typed_row() {
            return None;
        }
        let before = self.json[..self.at].trim_ascii_end();
        let first = before
            .len()
            .checked_sub(text.len() + 2)
            .and_then(|start| before[..start].trim_ascii_end().last())
            == Some(&b'[');
        let length = survey(&next[..next.len().min(256)]).plain;
        let ends = next.get(length) == Some(&b'"')
            && next[length + 1..].trim_ascii_start().first() == Some(&b']');
        let value = &next[..length];
        let header = keys::classify(value).is_some()
            || HEADINGS.iter().any(|word| value.eq_ignore_ascii_case(word));
        if !first || !ends || header || !names_secret(text) {
            return None;
        }
        keys::classify(text)
    }

    /// `["--password", "…"]`: the string behind a flag is its value.
    pub(super) fn after_flag(&mut self, text: &[u8]) {
        if !self.in_array() {
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
            // Redis: `["AUTH", "…"]`, `["AUTH", "user", "…"]`.
            None if text == b"AUTH" => {
                let length = survey(&next[..next.len().min(256)]).plain;
                let last = next[length..]
                    .strip_prefix(b"\"")
                    .map(<[u8]>::trim_ascii_start);
                last.is_some_and(|rest| !rest.starts_with(b","))
                    .then_some(Kind::Content)
            }
            None if self.json[..self.at.saturating_sub(text.len() + 2)]
                .trim_ascii_end()
                .strip_suffix(b",")
                .is_some_and(|before| before.trim_ascii_end().ends_with(b"\"AUTH\"")) =>
            {
                Some(Kind::Content)
            }
            None => self.pair_of(text, next),
            kind => kind,
        };
    }

    // --- What a policy lets stay.

    /// The container that is about to open: which paths lead into it.
    pub(super) fn leading(&self) -> u64 {
        if self.in_object() {
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
        if alive >> index & 1 == 0 {
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
    // `Password field`: what a browser shows.
    let name = match name.iter().rposition(|byte| *byte == b' ') {
        Some(space)
            if FIELDS
                .iter()
                .any(|word| name[space + 1..].eq_ignore_ascii_case(word)) =>
        {
            &name[..space]
        }
        _ => name,
    };
    let words = name.split(|byte| *byte == b' ').count();
    match keys::classify(name) {
        Some(Kind::Password | Kind::Word) => words <= 4,
        Some(Kind::Token) => words <= 2,
        Some(Kind::Digits(_)) => words <= 3,
        // A header: `X-Hub-Signature`.
        Some(Kind::Opaque) => words == 1 && name.contains(&b'-'),
        _ => false,
    }
}

/// What a question asks for, without the words that it is asked with: `What is your API key?`
fn question(text: &[u8]) -> &[u8] {
    let text = text.trim_ascii_end();
    let end = text
        .iter()
        .rposition(|byte| !matches!(byte, b'?' | b':' | b'*' | b' ' | b'.'))
        .map_or(0, |at| at + 1);
    let mut rest = &text[..end];
    while let Some(word) = ASKING.iter().find(|word| {
        rest.get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word))
    }) {
        rest = &rest[word.len()..];
    }
    rest
}

/// The words that a question begins with.
const ASKING: [&[u8]; 14] = [
    b"please ",
    b"what is ",
    b"what's ",
    b"what was ",
    b"enter ",
    b"provide ",
    b"type ",
    b"type in ",
    b"choose ",
    b"confirm ",
    b"repeat ",
    b"your ",
    b"the ",
    b"new ",
];

/// The members that ask for what stands beside them.
const ASKS: [&[u8]; 6] = [
    b"\"question\":",
    b"\"prompt\":",
    b"\"label\":",
    b"\"title\":",
    b"\"field\":",
    b"\"placeholder\":",
];

const FIELDS: [&[u8]; 6] = [
    b"field",
    b"input",
    b"box",
    b"textbox",
    b"textfield",
    b"entry",
];

/// Names of columns.
pub(super) const HEADINGS: &[&[u8]] = &[
    b"user",
    b"username",
    b"name",
    b"email",
    b"login",
    b"role",
    b"id",
    b"type",
    b"host",
    b"port",
    b"url",
    b"value",
    b"string",
    b"text",
    b"required",
    b"optional",
];

/// The name of a header that carries a secret: `["Authorization","Bearer …"]`.
fn is_header(text: &[u8]) -> bool {
    let known = [b"authorization".as_slice(), b"cookie", b"set-cookie"]
        .iter()
        .any(|name| text.eq_ignore_ascii_case(name));
    text.len() <= 48
        && (known || text.contains(&b'-') && !text.contains(&b' '))
        && keys::classify(text) == Some(Kind::Token)
}

pub(super) fn skip_space(text: &[u8]) -> Option<&[u8]> {
    let start = text
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))?;
    Some(&text[start..])
}

/// The end of the string or number at `start` of JSON that has been read before.
pub(super) fn scalar_end(json: &[u8], start: usize) -> Option<usize> {
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

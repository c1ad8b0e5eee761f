//! The walk over raw JSON: checks the grammar (RFC 8259) and copies, replacing what keys and values say.

mod beside;
mod columns;
mod number;
mod schema;
mod string;

use super::keys::{self, Kind};
use super::policy::{Masker, Path};
use super::values::{self, Scanner};
use super::{Aim, Finding, Mask};
use crate::escape::{push_escaped, push_shown};
use crate::survey::{Survey, quoted_word, survey};
use columns::{NO_ROWS, Pending, Table};
use string::{RawCursor, Text};

pub(crate) use string::unescape;

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

/// Appends a redacted copy of `json`; says whether anything was replaced. What stands at one of `paths` stays as it is.
pub(crate) fn copy(
    json: &[u8],
    out: &mut Vec<u8>,
    scratch: &mut Scratch,
    masker: &Masker,
    paths: &[Path],
) -> Result<bool, Refused> {
    let mut copier = Copier::new(json, out, &mut scratch.0, masker);
    copier.paths = paths;
    if !paths.is_empty() {
        copier.alive = vec![0; DEPTH_MAX as usize + 2];
        copier.alive[0] = Path::all(paths);
        copier.allow_root();
    }
    copier.document()?;
    Ok(copier.changed)
}

/// What is to be replaced in the JSON value at the beginning of a text.
pub(super) struct Nested {
    /// Where the value ends; or where it stops being one.
    pub(super) end: usize,
    pub(super) edits: Vec<Edit>,
    pub(super) refused: Option<Refused>,
}

/// Bytes `start..end` become `text`.
pub(super) struct Edit {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: Vec<u8>,
}

/// Reads the value that `text` begins with, at a nesting of `nest` texts.
pub(super) fn nested(text: &[u8], nest: u8, masker: &Masker) -> Nested {
    let (mut out, mut scratch) = (Vec::new(), Vec::new());
    let mut copier = Copier::new(text, &mut out, &mut scratch, masker);
    copier.inner = true;
    copier.nest = nest;
    let refused = copier.document().err();
    Nested {
        end: copier.at.min(text.len()),
        edits: std::mem::take(&mut copier.edits),
        refused,
    }
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
    masker: &'a Masker,
    changed: bool,
    /// One bit per open level, the innermost lowest: set for an object.
    objects: u64,
    /// As `objects`: an object whose members describe values.
    schemas: u64,
    /// As `objects`: an object with a member that names a secret.
    named: u64,
    /// As `objects`: an object whose named value is a number of few digits.
    digits: u64,
    /// As `objects`: an object with a member that asks for a secret.
    asked: u64,
    depth: u32,
    /// The next container to open describes values.
    schema_next: bool,
    /// The value that began at this depth and offset is left out whole.
    hidden: Option<(u32, usize)>,
    /// Inside the value that began at this depth every scalar is of this kind.
    scalars: Option<(u32, Kind)>,
    /// The next scalar is of this kind.
    expected: Option<Kind>,
    /// The value that may yet be named a secret: its object's depth, its place in the output, and in the input.
    unnamed: Option<beside::Unnamed>,
    /// The value that began at this depth stays as it is.
    allowed: Option<u32>,
    paths: &'a [Path],
    /// For each level the paths that lead on from it, one bit each; empty without paths.
    alive: Vec<u64>,
    /// Those that lead on over the last key.
    lead: u64,
    /// A key is being judged.
    in_key: bool,
    /// Keys that have become the plain mask.
    masked_keys: u32,
    /// Inside a text: what is replaced is noted down, nothing else changes.
    inner: bool,
    nest: u8,
    edits: Vec<Edit>,
    /// The tables that are open, the innermost last.
    tables: Vec<Table>,
    /// The depth of the rows of the innermost.
    row_depth: u32,
    /// Rows whose names may follow.
    pending: Option<Pending>,
    /// How many bytes were read again.
    again: usize,
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

impl<'a> Copier<'a> {
    fn new(
        json: &'a [u8],
        out: &'a mut Vec<u8>,
        scratch: &'a mut Vec<u8>,
        masker: &'a Masker,
    ) -> Self {
        Self {
            json,
            at: 0,
            run: 0,
            out,
            scratch,
            masker,
            changed: false,
            objects: 0,
            schemas: 0,
            named: 0,
            digits: 0,
            asked: 0,
            depth: 0,
            schema_next: false,
            hidden: None,
            scalars: None,
            expected: None,
            unnamed: None,
            allowed: None,
            paths: &[],
            alive: Vec::new(),
            lead: 0,
            in_key: false,
            masked_keys: 0,
            inner: false,
            nest: 0,
            edits: Vec::new(),
            tables: Vec::new(),
            row_depth: NO_ROWS,
            pending: None,
            again: 0,
        }
    }

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
                    if self.inner {
                        return Ok(());
                    }
                    self.space();
                    if self.at != self.json.len() {
                        return Err(Refused::Invalid);
                    }
                    self.flush(self.at);
                    return Ok(());
                }
                member = self.in_object();
                match self.token() {
                    b',' => {
                        if self.depth == self.row_depth {
                            self.next_cell();
                        }
                        break;
                    }
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
        self.end_allowed();
        Ok(Read::Whole)
    }

    /// Opens a container, and closes it again if it is empty.
    fn open(&mut self, object: bool) -> Result<Read, Refused> {
        if self.depth == DEPTH_MAX {
            return Err(Refused::Deep);
        }
        let leading = if self.alive.is_empty() {
            0
        } else {
            self.leading()
        };
        self.objects = self.objects << 1 | u64::from(object);
        let start = self.at - 1;
        self.schemas = self.schemas << 1 | u64::from(std::mem::take(&mut self.schema_next));
        self.named <<= 1;
        self.digits <<= 1;
        self.asked <<= 1;
        self.depth += 1;
        if !self.alive.is_empty() {
            self.lead_on(object, leading);
        }
        self.space();
        if self.peek() != if object { b'}' } else { b']' } {
            if !object {
                self.open_row(start);
            }
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
        self.schemas >>= 1;
        self.named >>= 1;
        self.digits >>= 1;
        self.asked >>= 1;
        self.depth -= 1;
        if let Some((depth, start)) = self.hidden
            && depth == self.depth
        {
            self.hidden = None;
            // A subtree has no one spelling worth a fingerprint.
            self.replace_value(start, b"", Mask::Plain);
        }
        if self.scalars.is_some_and(|(depth, _)| depth == self.depth) {
            self.scalars = None;
        }
        if self
            .unnamed
            .as_ref()
            .is_some_and(|unnamed| unnamed.depth > self.depth)
        {
            self.unnamed = None;
        }
        if !self.tables.is_empty() {
            self.close_row();
        }
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.depth > self.depth)
        {
            self.pending = None;
        }
        self.end_allowed();
    }

    /// A key with its colon; what it says of its value is kept in mind.
    #[inline]
    fn key(&mut self) -> Result<(), Refused> {
        if self.token() != b'"' {
            return Err(Refused::Invalid);
        }
        let start = self.at;
        let rest = self.json.get(self.at..).unwrap_or_default();
        let kind = if let Some(word) = quoted_word(rest) {
            self.at += word.len() + 1;
            match self.hidden {
                None => keys::classify_word(word),
                Some(_) => None,
            }
        } else {
            self.other_key()?
        };
        let end = self.at - 1;
        if self.token() != b':' {
            return Err(Refused::Invalid);
        }
        if !self.alive.is_empty() && self.hidden.is_none() {
            self.follow(start, end);
        }
        if matches!(self.scalars, Some((_, Kind::Schema))) {
            // What a schema says of a secret stays, but for its values.
            let key = self.json.get(start..end).unwrap_or_default();
            self.space();
            if SCHEMA_VALUES.contains(&key) {
                self.apply(Kind::Password);
            } else if let Some(kind) = kind
                && is_secret(kind)
                && self.peek() != b'{'
            {
                self.apply(kind);
            }
        } else if let Some(kind) = kind
            && self.allowed.is_none()
        {
            self.space();
            self.apply(kind);
        }
        Ok(())
    }

    #[inline(never)]
    fn other_key(&mut self) -> Result<Option<Kind>, Refused> {
        let Some(plain) = self.plain() else {
            let text = self.string()?;
            return Ok(self.judge_key(&text));
        };
        if self.hidden.is_some() {
            return Ok(None);
        }
        let kind = keys::classify(&self.json[plain.start..plain.end]);
        self.in_key = true;
        self.scan_plain(&plain);
        self.in_key = false;
        Ok(kind)
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
        if self.hidden.is_some()
            || self.scalars.is_some()
            || self.expected.is_some()
            || self.allowed.is_some()
        {
            self.judge_string(&text.as_text());
        } else {
            self.scan_plain(text);
        }
    }

    /// Looks twice at what may hold a secret by its survey.
    #[inline(always)]
    fn scan_plain(&mut self, text: &Plain) {
        let inside = &self.json[text.start..text.end];
        if values::may_hold_surveyed(inside, text.survey) {
            self.scan(&text.as_text());
        } else if self.in_array() && inside.len() <= FLAG_MAX {
            if let Some(from) = self.glued(inside) {
                return self.replace_tail(&text.as_text(), from);
            }
            self.after_flag(inside);
        }
    }

    fn judge_key(&mut self, text: &Text) -> Option<Kind> {
        if self.hidden.is_some() {
            return None;
        }
        let kind = if text.escaped {
            self.decode(text);
            keys::classify(self.scratch)
        } else {
            keys::classify(&self.json[text.start..text.end])
        };
        self.in_key = true;
        self.judge_text(text);
        self.in_key = false;
        kind
    }

    /// Keeps in mind what the value that begins here is.
    fn apply(&mut self, kind: Kind) {
        if self.hidden.is_some() {
            return;
        }
        let first = self.peek();
        match (kind, first) {
            (Kind::Name, b'"') => self.name(),
            (Kind::Content, b'[') if self.has_columns() => self.rows(),
            (Kind::Answer | Kind::Value | Kind::Content, _) => self.value_beside(kind),
            (Kind::Schema, b'{') => self.schema_next = true,
            (Kind::Columns | Kind::Name, b'[') => self.columns(),
            (Kind::Rows, b'[') => self.rows(),
            (Kind::Columns | Kind::Name | Kind::Rows | Kind::Schema, _) => {}
            (Kind::Phrase, b'[') if self.is_long() => self.hidden = Some((self.depth, self.at)),
            (Kind::Phrase, b'[') => {}
            (_, b'"' | b'-' | b'0'..=b'9') => self.expected = Some(kind),
            (_, b'{') if self.schemas & 1 == 1 => {
                let known = self.scalars;
                self.scalars = known.or(Some((self.depth, Kind::Schema)));
            }
            (Kind::Password | Kind::Token | Kind::Word, b'{')
                if self.scalars.is_none() && schema::describes(&self.json[self.at..]) =>
            {
                self.scalars = Some((self.depth, Kind::Schema));
            }
            (Kind::Password | Kind::Token | Kind::Word, b'[')
                if schema::is_said_of(&self.json[self.at..]) => {}
            (Kind::Password | Kind::Token | Kind::Word, b'{' | b'[') if !self.is_empty() => {
                self.hidden = Some((self.depth, self.at));
            }
            // The addresses in an object called `email` are found by their shape; its subject stays.
            (Kind::Tokens | Kind::Digits(5..), b'{') | (_, b'[') if self.scalars.is_none() => {
                self.scalars = Some((self.depth, kind));
            }
            _ => {}
        }
    }

    /// Whether the array that begins here has as many elements as a phrase has words, or is cut off before that.
    fn is_long(&self) -> bool {
        let head = &self.json[self.at..self.json.len().min(self.at + 256)];
        let head = &head[..memchr::memchr(b']', head).unwrap_or(head.len())];
        memchr::memchr_iter(b',', head).count() >= 9
    }

    /// Whether the container that begins here is empty.
    fn is_empty(&self) -> bool {
        self.json[self.at + 1..]
            .iter()
            .find(|byte| !byte.is_ascii_whitespace())
            .is_some_and(|byte| matches!(byte, b'}' | b']'))
    }

    fn judge_string(&mut self, text: &Text) {
        if self.hidden.is_some() {
            return;
        }
        let expected = self.expected.take();
        if self.allowed.is_some() {
            return self.shown(text);
        }
        let kinds = [expected, self.scalars.map(|(_, kind)| kind)];
        if kinds != [None, None] {
            if text.escaped {
                self.decode(text);
            }
            let value = if text.escaped {
                self.scratch.as_slice()
            } else {
                &self.json[text.start..text.end]
            };
            let mask = kinds.iter().flatten().find_map(|kind| kind.judge(value));
            if let Some(mask) = mask {
                return self.replace_string(text, text.start - 1, mask);
            }
        }
        self.judge_text(text);
    }

    /// Copies a string or key, replacing what its text gives away.
    fn judge_text(&mut self, text: &Text) {
        if self.allowed.is_some() {
            return self.shown(text);
        }
        if !text.escaped {
            if values::may_hold(&self.json[text.start..text.end]) {
                self.scan(text);
            } else {
                self.shown(text);
            }
            return;
        }
        self.decode(text);
        let decoded = std::mem::take(self.scratch);
        if values::may_hold(&decoded) {
            self.scan_decoded(text, &decoded);
        } else {
            self.shown(text);
        }
        *self.scratch = decoded;
    }

    /// Copies a string with escapes, whose characters are `decoded`: what is innocent in its own spelling.
    fn scan_decoded(&mut self, text: &Text, decoded: &[u8]) {
        let mut scanner = Scanner::new(decoded, Aim::All, self.masker)
            .nested(self.nest)
            .prepared();
        let mut cursor = RawCursor::new(&self.json[text.start..text.end]);
        let mut from = text.start;
        while let Some(finding) = scanner.next() {
            let start = text.start + cursor.advance(finding.start);
            let end = text.start + cursor.advance(finding.end);
            self.innocent(from, start, text.odd);
            self.replace(start, end, &scanner, decoded, &finding);
            from = end;
        }
        self.innocent(from, text.end, text.odd);
        self.after_flag(decoded);
    }

    /// Copies a string without escapes, replacing what is found in it.
    #[inline(never)]
    fn scan(&mut self, text: &Text) {
        let inside = &self.json[text.start..text.end];
        if let Some(from) = self.glued(inside) {
            return self.replace_tail(text, from);
        }
        let mut scanner = Scanner::surveyed(inside, Aim::All, self.masker).nested(self.nest);
        if !inside.is_ascii() {
            scanner = scanner.prepared();
        }
        let mut from = text.start;
        while let Some(finding) = scanner.next() {
            let (start, end) = (text.start + finding.start, text.start + finding.end);
            self.innocent(from, start, text.odd);
            self.replace(start, end, &scanner, inside, &finding);
            from = end;
        }
        self.innocent(from, text.end, text.odd);
        self.after_flag(inside);
    }

    /// Copies innocent characters of a string: later, with what follows, unless they must not be shown raw.
    fn innocent(&mut self, from: usize, to: usize, odd: bool) {
        if odd {
            self.flush(from);
            push_shown(self.out, &self.json[from..to]);
            self.run = to;
        }
    }

    /// Puts a mask in the place of a part of a string.
    fn replace(
        &mut self,
        start: usize,
        end: usize,
        scanner: &Scanner<'_>,
        text: &[u8],
        finding: &Finding,
    ) {
        self.changed = true;
        self.flush(start);
        let written = self.out.len();
        if let Mask::Given(from, to) = finding.mask {
            push_escaped(self.out, scanner.given(from, to));
        } else {
            self.masker
                .push(self.out, &text[finding.start..finding.end], finding.mask);
            self.number_key(written);
        }
        self.run = end;
        self.note(start, end, written);
    }

    /// Puts a mask in the place of a string without escapes, from its byte `from` on.
    fn replace_tail(&mut self, text: &Text, from: usize) {
        self.changed = true;
        let start = text.start + from;
        self.innocent(text.start, start, text.odd);
        self.flush(start);
        let written = self.out.len();
        self.out.extend_from_slice(b"[REDACTED]");
        self.run = text.end;
        self.note(start, text.end, written);
    }

    /// Tells apart keys that would otherwise be the same: readers keep only one of them.
    fn number_key(&mut self, written: usize) {
        if self.in_key && &self.out[written..] == b"[REDACTED]" {
            self.masked_keys += 1;
            if self.masked_keys > 1 {
                self.out.pop();
                self.out.push(b'#');
                let number = itoa::Buffer::new().format(self.masked_keys).to_owned();
                self.out.extend_from_slice(number.as_bytes());
                self.out.push(b']');
            }
        }
    }

    /// Notes down what was written since `written` in the place of `start..end`.
    fn note(&mut self, start: usize, end: usize, written: usize) {
        if self.inner {
            self.edits.push(Edit {
                start,
                end,
                text: self.out[written..].to_vec(),
            });
        }
    }

    /// Copies a string without findings.
    fn shown(&mut self, text: &Text) {
        self.innocent(text.start, text.end, text.odd);
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
        self.changed = true;
        self.flush(start);
        let written = self.out.len();
        self.out.push(b'"');
        let (secret, mask) = values::credential(secret, mask);
        self.masker.push(self.out, secret, mask);
        self.out.push(b'"');
        self.run = self.at;
        self.note(start, self.at, written);
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
                    if self.hidden.is_none() && !self.inner {
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
        if self.run < end {
            // Of a text only what is replaced is kept.
            if !self.inner {
                self.out.extend_from_slice(&self.json[self.run..end]);
            }
            self.run = end;
        }
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

/// Whether what stands under a name of this kind is a secret.
fn is_secret(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Digits(_) | Kind::Opaque | Kind::Password | Kind::Single | Kind::Token | Kind::Word
    )
}

/// Elements of an array that are longer name nothing, in bytes.
const FLAG_MAX: usize = 48;

/// Members of a JSON schema that hold values.
const SCHEMA_VALUES: [&[u8]; 6] = [
    b"const",
    b"default",
    b"enum",
    b"example",
    b"examples",
    b"value",
];

#[cfg(test)]
mod tests;

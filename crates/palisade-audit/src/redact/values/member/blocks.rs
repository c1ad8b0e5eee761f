//! Values that stand on lines of their own: of YAML, of Terraform, of a pass phrase, of a key of PuTTY.

use super::super::classes::{BASE64, KEY, VISIBLE, run, run_back, run_within};
use super::super::value::{ends_line, in_text, is_kind_word, quoted, visible_end};
use super::judge;
use crate::redact::keys::Kind;
use crate::redact::{Finding, Mask};

/// The lines of a block scalar of YAML: `password: |`, and lines with more space before them.
#[inline(never)]
pub(super) fn block(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let mut at = start + 1;
    while matches!(text.get(at), Some(b'-' | b'+' | b'0'..=b'9' | b' ' | b'\r')) && at < start + 8 {
        at += 1;
    }
    let indent = |at: usize| {
        text[at..]
            .iter()
            .take(64)
            .take_while(|byte| **byte == b' ')
            .count()
    };
    if text.get(at) != Some(&b'\n') {
        return None;
    }
    let first = at + 1;
    let least = indent(first);
    if least == 0 {
        return None;
    }
    let mut end = first;
    while end < text.len() && indent(end) >= least {
        let length = memchr::memchr(b'\n', &text[end..]).unwrap_or(text.len() - end);
        end = (end + length + 1).min(text.len());
    }
    let whole = &text[first + least..end];
    Some((first + least, first + least + whole.trim_ascii_end().len()))
}

/// Of `- name: API_KEY` and a line `value: …` the kind by the line before; of `variable "password" {` and `default = …`.
#[inline(never)]
pub(super) fn named_above(text: &[u8], floor: usize, at: usize) -> Option<Kind> {
    let lowest = floor.max(at.saturating_sub(24));
    let end = lowest + text[lowest..at].trim_ascii_end().len();
    let start = run_back(text, lowest, end, KEY);
    let name = &text[start..end];
    if !matches!(name, b"value" | b"Value" | b"default") {
        return None;
    }
    let before = &text[floor.max(start.saturating_sub(160))..start];
    let line = before.trim_ascii_end();
    if !before[line.len()..].contains(&b'\n') {
        return None;
    }
    let above = line.rsplit(|byte| *byte == b'\n').next()?.trim_ascii();
    let named = if name == b"default" {
        let rest = above.strip_prefix(b"variable \"")?;
        rest.get(..memchr::memchr(b'"', rest)?)?
    } else {
        let rest = above.strip_prefix(b"- ").unwrap_or(above);
        let colon = memchr::memchr(b':', rest)?;
        if !matches!(&rest[..colon], b"name" | b"key" | b"Name" | b"Key") {
            return None;
        }
        rest[colon + 1..].trim_ascii()
    };
    let named = named.strip_prefix(b"\"").unwrap_or(named);
    let named = named.strip_suffix(b"\"").unwrap_or(named);
    in_text(named).filter(|kind| matches!(kind, Kind::Password | Kind::Token | Kind::Word))
}

/// The value behind `named_above`.
#[inline(never)]
pub(super) fn below(text: &[u8], start: usize, kind: Kind) -> Option<Finding> {
    let (from, to) = match text.get(start)? {
        b'"' | b'\'' => quoted(text, start)?,
        b'\n' | b'$' | b'{' | b'[' => return None,
        _ => (start, visible_end(text, start)),
    };
    if is_kind_word(&text[from..to]) {
        return None;
    }
    judge(text, from, to, kind)
}

/// The end of the words of a pass phrase, of which there are four at least, in small letters, and none of a sentence.
#[inline(never)]
pub(super) fn phrase_end(text: &[u8], start: usize, name: &[u8]) -> Option<usize> {
    let named = [b"phrase".as_slice(), b"mnemonic"].iter().any(|end| {
        name.len()
            .checked_sub(end.len())
            .is_some_and(|at| name[at..].eq_ignore_ascii_case(end))
    });
    if !named {
        return None;
    }
    // The next colon ends it, so nothing is read twice.
    let line = &text[start..];
    let line = &line[..line
        .iter()
        .position(|byte| !(byte.is_ascii_lowercase() || matches!(byte, b' ' | b'-')))
        .unwrap_or(line.len())];
    let line = line.trim_ascii_end();
    let words = line
        .split(|byte| *byte == b' ')
        .filter(|word| !word.is_empty())
        .count();
    let sentence = line.split(|byte| *byte == b' ').any(|word| {
        matches!(
            word,
            b"is"
                | b"the"
                | b"at"
                | b"be"
                | b"must"
                | b"a"
                | b"of"
                | b"to"
                | b"for"
                | b"in"
                | b"not"
                | b"and"
                | b"or"
        )
    });
    (words >= 4 && !sentence).then_some(start + line.len())
}

/// Of a line `key: value` all that has no space in it, if nothing follows within `max` bytes.
pub(super) fn yaml_end(text: &[u8], start: usize, max: usize) -> Option<usize> {
    let end = run_within(text, start, VISIBLE, max);
    let sign = matches!(
        text[..end].last(),
        Some(b',' | b';' | b')' | b']' | b'}' | b'"' | b'\'')
    );
    (end > start && ends_line(text, end) && !sign).then_some(end)
}

/// The lines of a key of PuTTY, of which there are as many as the number behind the colon says; `at` is behind that.
#[inline(never)]
pub(super) fn putty(text: &[u8], at: usize) -> Option<Finding> {
    let line = at + memchr::memchr(b'\n', &text[at..text.len().min(at + 16)])?;
    let start = line + 1;
    let mut end = start;
    loop {
        let to = run(text, end, BASE64);
        // `Private-MAC: …`
        if to == end || text.get(to) == Some(&b'-') {
            break;
        }
        end = to;
        while matches!(text.get(end), Some(b'\r' | b'\n')) {
            end += 1;
        }
    }
    let end = start + text[start..end].trim_ascii_end().len();
    (end >= start + 16).then_some(Finding {
        start,
        end,
        mask: Mask::Plain,
    })
}

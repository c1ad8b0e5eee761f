//! Values that stand behind the name of a secret, inside a text.

use super::classes::{KEY, LINE, VALUE, run, run_back};
use super::pem::private_key;
use super::scheme::credential;
use crate::redact::Finding;
use crate::redact::keys::{self, Rule};

/// `key=value`: queries, forms, connection strings, cookies, command lines.
#[inline(never)]
pub(super) fn assignment(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    if text.get(at + 1) == Some(&b'=') {
        return None;
    }
    let key = &text[run_back(text, floor.max(at.saturating_sub(64)), at, KEY)..at];
    let rule = keys::classify(key)?;
    let (start, end) = match text.get(at + 1) {
        Some(&quote @ (b'"' | b'\'')) => {
            let start = at + 2;
            (
                start,
                start + memchr::memchr(quote, &text[start..]).unwrap_or(text.len() - start),
            )
        }
        _ => (at + 1, run(text, at + 1, VALUE)),
    };
    value(text, start, end, rule)
}

/// `"key": "value"` of JSON in a text, also with its quotes escaped; `Authorization: …` and `Cookie: …`.
#[inline(never)]
pub(super) fn member(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    let lowest = floor.max(at.saturating_sub(72));
    let mut key_end = at;
    let quote = match text[..at].last() {
        Some(&quote @ (b'"' | b'\'')) => {
            key_end -= 1;
            while key_end > lowest && text[key_end - 1] == b'\\' {
                key_end -= 1;
            }
            Some(quote)
        }
        _ => None,
    };
    let key_start = run_back(text, lowest, key_end, KEY);
    let rule = keys::classify(&text[key_start..key_end])?;
    let mut start = at + 1;
    while text
        .get(start)
        .is_some_and(|byte| matches!(byte, b' ' | b'\t'))
    {
        start += 1;
    }
    if quote.is_none() {
        // In prose a colon says little: `invalid token: expected a string`. A header's name is a
        // header's name, and a word with a digit in it is no prose.
        let name = text[key_start..key_end]
            .rsplit(|byte| *byte == b'-')
            .next()
            .unwrap_or_default();
        let header = [b"authorization".as_slice(), b"cookie"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known));
        // Judged by its head: nothing long is read that is not then replaced.
        let head = &text[start..text.len().min(start + 64)];
        let telling = header || head[..run(head, 0, VALUE)].iter().any(u8::is_ascii_digit);
        let end = run(
            text,
            start,
            if !telling {
                0
            } else if header {
                LINE
            } else {
                VALUE
            },
        );
        return if telling {
            value(text, start, end, rule)
        } else {
            None
        };
    }
    while text.get(start) == Some(&b'\\') {
        start += 1;
    }
    let end = match text.get(start) {
        Some(&quote @ (b'"' | b'\'')) => {
            start += 1;
            let length = memchr::memchr(quote, &text[start..]).unwrap_or(text.len() - start);
            let mut end = start + length;
            while end > start && text[end - 1] == b'\\' {
                end -= 1;
            }
            end
        }
        _ => run(text, start, VALUE),
    };
    value(text, start, end, rule)
}

/// The finding for a sensitive key's value in a text, unless the value says nothing.
fn value(text: &[u8], start: usize, mut end: usize, rule: Rule) -> Option<Finding> {
    if let Some(block) = private_key(text, start) {
        return Some(block);
    }
    let word = text.get(start..end)?;
    if matches!(
        word,
        b"" | b"null" | b"true" | b"false" | b"undefined" | b"None"
    ) {
        return None;
    }
    let mask = match rule {
        Rule::Strings(_) if word.iter().all(u8::is_ascii_digit) => return None,
        Rule::Whole(mask) | Rule::Strings(mask) => mask,
    };
    // Of `authorization=Bearer abc` the space does not end the value.
    if [b"bearer".as_slice(), b"basic"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
        && text.get(end) == Some(&b' ')
    {
        end = run(text, end + 1, VALUE);
    }
    let (secret, mask) = credential(&text[start..end], mask);
    (!secret.is_empty()).then_some(Finding {
        start: end - secret.len(),
        end,
        mask,
    })
}

//! The name that stands before a sign, and what stands round it.

use super::super::classes::{CLASSES, KEY, run_back};
use super::super::value::in_text;
use crate::redact::keys::Kind;

/// A name in a text, and what stands round it.
pub(super) struct Name<'a> {
    pub(super) name: &'a [u8],
    pub(super) kind: Kind,
    /// In quotes.
    pub(super) quoted: bool,
    /// What stands before it says that it is a name, not a word of a sentence.
    pub(super) structural: bool,
    /// Alone at the beginning of its line, or behind `export`.
    pub(super) leads: bool,
    /// A space stands between it and its sign.
    pub(super) spaced: bool,
    /// Behind `?` or `&`.
    pub(super) query: bool,
    /// Right behind a colon: a part of a path.
    pub(super) path: bool,
    /// The quote that it stands right behind.
    pub(super) opened: Option<u8>,
}

/// The name that ends before `end`.
pub(super) fn name_before(text: &[u8], floor: usize, end: usize) -> Option<Name<'_>> {
    let lowest = floor.max(end.saturating_sub(80));
    let mut end = end;
    let signed = end;
    while end > lowest && matches!(text[end - 1], b' ' | b'\t') && signed - end < 24 {
        end -= 1;
    }
    let spaced = end < signed;
    // `**Password**: …`, `*Password*: …`
    if end > lowest && text[end - 1] == b'*' && !spaced {
        end -= 1 + usize::from(text[lowest..end - 1].ends_with(b"*"));
    }
    // `headers["Authorization"]`
    if end > lowest + 1 && text[end - 1] == b']' && matches!(text[end - 2], b'"' | b'\'') {
        end -= 1;
    }
    // `user[password]=…`, `user%5Bpassword%5D=…` of a form.
    match text[lowest..end] {
        [.., b'%', b'5', b'D' | b'd'] => end -= 3,
        [.., b']'] if !spaced => {
            let inside = run_back(text, lowest, end - 1, KEY);
            if inside > lowest + 1
                && text[inside - 1] == b'['
                && CLASSES[usize::from(text[inside - 2])] & KEY != 0
            {
                end -= 1;
            }
        }
        _ => {}
    }
    let quoted = matches!(text[..end].last(), Some(b'"' | b'\'' | b'`')) && end > lowest;
    if quoted {
        end -= 1;
        while end > lowest && text[end - 1] == b'\\' {
            end -= 1;
        }
    }
    let mut start = run_back(text, lowest, end, KEY);
    // A name may be of another script; in quotes, of several words.
    {
        while start > lowest
            && (quoted && text[start - 1] == b' ' || text[start - 1] >= 0x80)
            && end - start < 48
        {
            start = run_back(text, lowest, start - 1, KEY);
        }
        while start < end && text[start] & 0xc0 == 0x80 {
            start += 1;
        }
    }
    // `%3Ftoken%3D`
    if start > lowest
        && text[start - 1] == b'%'
        && end > start + 2
        && text[start..start + 2].iter().all(u8::is_ascii_hexdigit)
    {
        start += 2;
    }
    let mut name = &text[start..end];
    if name.eq_ignore_ascii_case(b"passe")
        && text[..start].ends_with(b"ot de ")
        && start >= lowest + 7
    {
        start -= 7;
        name = b"password";
    }
    let kind = match in_text(name) {
        // `api key`, `card number`
        None if !quoted
            && start > lowest
            && text[start - 1] == b' '
            && PAIRED.iter().any(|word| name.eq_ignore_ascii_case(word)) =>
        {
            start = run_back(text, lowest, start - 1, KEY);
            name = &text[start..end];
            in_text(name)
        }
        kind => kind,
    }?;
    let mut before = start;
    while before > lowest && matches!(text[before - 1], b' ' | b'\t') && start - before < 24 {
        before -= 1;
    }
    let previous = text[..before].last().copied().unwrap_or(b'\n');
    // Nearly everything that stands before a name is a sign.
    let word = if previous.is_ascii_alphabetic() {
        &text[..before]
    } else {
        &[]
    };
    let exported = EXPORTS.iter().any(|known| word.ends_with(known));
    // A sentence may end with a colon, a list item begin with a hyphen.
    let structural = STRUCTURAL.contains(&previous)
        || exported
        || word.ends_with(b"\\n")
        || DECLARES.iter().any(|known| word.ends_with(known));
    let line = matches!(previous, b'\n' | b'\r' | b'-' | b'\\')
        || exported
        || previous == b'\''
        || previous == b'"';
    Some(Name {
        name,
        kind,
        quoted,
        structural: structural || quoted,
        leads: line,
        spaced,
        query: matches!(previous, b'?' | b'&') && before == start,
        path: previous == b':' && before == start && !quoted,
        opened: matches!(previous, b'"' | b'\'')
            .then_some(previous)
            .filter(|_| before == start && !quoted),
    })
}

/// The second words of names in two words.
const PAIRED: [&[u8]; 8] = [
    b"key", b"keys", b"number", b"code", b"id", b"card", b"word", b"phrase",
];

/// What stands before the name of a variable that a shell or a container is given.
pub(super) const EXPORTS: [&[u8]; 8] = [
    b"export", b"set", b"ENV", b"env", b"-e", b"--env", b"setx", b"ARG",
];

/// What stands before the name of a variable in a program.
pub(super) const DECLARES: [&[u8]; 9] = [
    b"let", b"var", b"const", b"val", b"string", b"String", b"auto", b"final", b"mut",
];

/// The signs behind which a name stands, rather than a word of a sentence.
pub(super) const STRUCTURAL: &[u8] = b"\n\r{,(;[-|&?\"'`\\=/$*#:><+";

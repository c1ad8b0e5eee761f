//! Values that stand behind the name of a secret, inside a text.

mod blocks;
mod markup;
mod names;
mod web;

use super::classes::{CLASSES, KEY, LINE, VALUE, WORD, run, run_within};
use super::pem::private_key;
use super::scheme::credential;
use super::value::{
    bare_end, ends_line, is_cmdlet, is_code, is_identifier, is_kind_word, number_end, quoted,
    skip_space, telling, visible_end,
};
use crate::redact::keys::{Kind, mask_length, placeholder};
use crate::redact::{Finding, Mask};
use blocks::{below, block, named_above, phrase_end, putty, yaml_end};
use markup::beside;
use names::{Name, name_before};
use web::{query, signature};

pub(super) use markup::element;

/// `key=value`: queries, forms, connection strings, cookies, command lines, programs; the sign is `width` bytes long.
#[inline(never)]
pub(super) fn assignment(text: &[u8], floor: usize, at: usize, width: usize) -> Option<Finding> {
    let mut next = at + width;
    if width == 1 && text.get(next) == Some(&b'=') {
        return compared(text, floor, at);
    }
    if matches!(text.get(next), Some(b'=' | b'~')) {
        return None;
    }
    // `:=`, `+=`, `?=`
    let mut end = at;
    if width == 1 && matches!(text[..at].last(), Some(b':' | b'+' | b'?')) {
        end -= 1;
    }
    let name = name_before(text, floor, end);
    let Some(name) = name else {
        // Nearly every sign has neither a word of interest before it nor a quote behind it.
        if matches!(text[..at].last(), Some(b' ' | b'e' | b't' | b'\t'))
            && let Some(kind) = named_above(text, floor, at)
        {
            return below(text, skip_space(text, next), kind);
        }
        // `--user=name:password`
        if width == 1
            && text[..at].last() == Some(&b'r')
            && [b"--user".as_slice(), b"--proxy-user"]
                .iter()
                .any(|flag| text[..at].ends_with(flag))
        {
            return super::flag::pair(text, next, b':');
        }
        return beside(text, floor, at)
            .or_else(|| query(text, floor, at, width))
            .or_else(|| typed(text, floor, at));
    };
    let arrow = text.get(next) == Some(&b'>');
    next += usize::from(arrow);
    let start = skip_space(text, next);
    let spaced = start > next || name.spaced;
    let encoded = width == 3;
    let (start, stop) = match text.get(start)? {
        b'"' | b'\'' => quoted(text, start)?,
        b'`' => {
            // A shell runs what stands so; `a b` is a command.
            let (from, to) = quoted(text, start)?;
            if text[from..to].contains(&b' ') {
                return None;
            }
            (from, to)
        }
        b'\\' if matches!(text.get(start + 1), Some(b'"' | b'\'' | b'\\')) => quoted(text, start)?,
        b'{' | b'[' => return braced(text, start, name.kind),
        // `password = ("…")`
        b'(' if matches!(text.get(start + 1), Some(b'"' | b'\'')) => {
            if let Some(finding) = super::prose::second(text, start) {
                return Some(finding);
            }
            quoted(text, start + 1)?
        }
        // `auth=("bob", "…")`, `auth=BasicAuth("bob", "…")`
        _ if name.kind == Kind::Opaque
            && let end = run_within(text, start, KEY, 48)
            && text.get(end) == Some(&b'(') =>
        {
            return super::prose::second(text, end);
        }
        // `password = crypt('…', …)`
        _ if name.kind == Kind::Password
            && let Some((from, to)) = hashed(text, start) =>
        {
            (from, to)
        }
        _ if arrow => {
            let word = &text[start..bare_end(text, start, false)];
            let code = word.iter().any(|byte| b".(){}".contains(byte)) || !telling(word);
            return if code {
                None
            } else {
                judge(text, start, start + word.len(), name.kind)
            };
        }
        _ if let Some(quote) = prefixed(text, start) => quoted(text, quote)?,
        // `password = ` at the end of a line has no value.
        _ if start > next && ends_line(text, start) => return None,
        _ => return bare(text, start, &name, spaced, encoded),
    };
    judge(text, start, stop, name.kind)
}

/// What is in quotes behind the name of a function that hashes passwords: `crypt('…', …)`.
#[inline(never)]
fn hashed(text: &[u8], start: usize) -> Option<(usize, usize)> {
    let end = run_within(text, start, KEY, 48);
    if text.get(end) != Some(&b'(') || !matches!(text.get(end + 1), Some(b'"' | b'\'')) {
        return None;
    }
    let name = text[start..end].rsplit(|byte| *byte == b'.').next()?;
    let known = HASHES.iter().any(|known| name.eq_ignore_ascii_case(known));
    known.then(|| quoted(text, end + 1)).flatten()
}

/// `password == "…"` of a program.
#[inline(never)]
fn compared(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    if matches!(text[..at].last(), Some(b'=' | b'!' | b'<' | b'>')) {
        return None;
    }
    let signs = text[at..]
        .iter()
        .take(3)
        .take_while(|byte| **byte == b'=')
        .count();
    let start = skip_space(text, at + signs);
    if !matches!(text.get(start), Some(b'"' | b'\'')) {
        return None;
    }
    let name = name_before(text, floor, at)?;
    let (from, to) = quoted(&text[..text.len().min(start + HEAD_MAX)], start)?;
    let value = &text[from..to];
    let literal = value.len() >= 4 && telling(value) && !value.contains(&b' ');
    literal.then(|| judge(text, from, to, name.kind)).flatten()
}

/// `password: string = "…"`, `var password string = "…"`
#[inline(never)]
fn typed(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    let start = skip_space(text, at + 1);
    if !matches!(text.get(start), Some(b'"' | b'\'')) {
        return None;
    }
    let end = floor.max(at.saturating_sub(48));
    let before = text[end..at].trim_ascii_end();
    let kind = before
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"_<>[]&'?".contains(byte))
        .count();
    let colon = before[..before.len() - kind].trim_ascii_end();
    let go = colon.last() != Some(&b':') && before.ends_with(b" string");
    if kind == 0 || colon.last() != Some(&b':') && !go {
        return None;
    }
    let name = name_before(text, floor, end + colon.len() - usize::from(!go))?;
    let (from, to) = quoted(text, start)?;
    judge(text, from, to, name.kind)
}

/// A value without quotes behind `=`.
fn bare(
    text: &[u8],
    start: usize,
    name: &Name<'_>,
    spaced: bool,
    encoded: bool,
) -> Option<Finding> {
    // Judged by its head: nothing long is read that is not then replaced.
    let head = run_within(text, start, VALUE, HEAD_MAX);
    let password = matches!(name.kind, Kind::Password | Kind::Word);
    let scheme = is_scheme(&text[start..head]);
    let goes_on = scheme || matches!(text.get(head), Some(b'&' | b';' | b','));
    // Most words of a sentence or a program are done with here.
    let fits = !spaced || name.structural && password;
    if !fits && !goes_on && !telling(&text[start..head]) {
        return None;
    }
    if mask_length(&text[start..]).is_some() {
        return None;
    }
    let known = if scheme || matches!(name.kind, Kind::Digits(_)) {
        None
    } else {
        Some((head - start, name.kind.judge(&text[start..head])?))
    };
    if head == start + HEAD_MAX && is_code(text, start, head, b"") && !name.query {
        return None;
    }
    let shell = name.leads && !spaced && name.name.iter().all(|byte| !byte.is_ascii_lowercase());
    let mut end = if encoded {
        start
            + text[start..]
                .iter()
                .position(|byte| CLASSES[usize::from(*byte)] & VALUE == 0 || *byte == b'%')
                .unwrap_or(text.len() - start)
    } else if let Kind::Digits(_) = name.kind {
        number_end(text, start)
    } else if shell {
        let end = visible_end(text, start);
        match name.opened {
            // `-e "KEY=…"`
            Some(quote) => start + memchr::memchr(quote, &text[start..end]).unwrap_or(end - start),
            None => end - usize::from(text[end - 1] == b';'),
        }
    } else {
        bare_end(text, start, name.query)
    };
    let value = &text[start..end];
    // Of `authorization=Bearer abc` the space does not end the value.
    if scheme && is_scheme(value) && text.get(end) == Some(&b' ') {
        end = run(text, end + 1, VALUE);
        return judge(text, start, end, name.kind);
    }
    // `string password = 2;` of Protocol Buffers.
    let field = spaced && value.len() <= 3 && value.iter().all(u8::is_ascii_digit);
    if field && text.get(end) == Some(&b';') {
        return None;
    }
    // `--password=PASS` of a manual.
    if METAVARIABLES.contains(&value) {
        return None;
    }
    // `$password = ConvertTo-SecureString "…"`
    if is_cmdlet(value)
        && let Some([b' ', b'"' | b'\'' | b'$' | b'-' | b'(']) = text.get(end..end + 2)
    {
        return None;
    }
    let last = name
        .name
        .rsplit(|byte| *byte == b'.')
        .next()
        .unwrap_or_default();
    if is_code(text, start, end, last) && !name.query {
        return None;
    }
    if spaced && is_identifier(value) {
        // `token = lexer` of a program; `password = hunter` of a configuration, where nothing follows.
        let program = value.contains(&b'_') || value.contains(&b'.') || telling(value);
        if !matches!(name.kind, Kind::Password | Kind::Word) || program || !ends_line(text, end) {
            return None;
        }
    }
    if !fits && !telling(value) {
        return None;
    }
    judge_known(text, start, end, name.kind, known)
}

/// `"key": "value"` of JSON in a text, also with its quotes escaped; `Authorization: …` and `Cookie: …`; YAML.
#[inline(never)]
pub(super) fn member(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    let next = at + 1;
    if matches!(text.get(next), Some(b'=' | b':')) || text[..at].last() == Some(&b':') {
        return None;
    }
    let Some(name) = name_before(text, floor, at) else {
        if let Some(finding) = signature(text, floor, at) {
            return Some(finding);
        }
        if text[..at].last() == Some(&b's') && text[..at].ends_with(b"Private-Lines") {
            return putty(text, next);
        }
        if !matches!(text[..at].last(), Some(b'e' | b't')) {
            return None;
        }
        let kind = named_above(text, floor, at)?;
        return below(text, skip_space(text, next), kind);
    };
    // `arn:aws:…:secret:name`
    if name.path {
        return None;
    }
    let mut start = skip_space(text, next);
    // `**Password:** …`
    if start == next && text[start..].starts_with(b"** ") {
        start += 3;
    }
    let (from, to) = match text.get(start)? {
        b'"' | b'\'' | b'`' => {
            // `unexpected token: '<'`
            let (from, to) = quoted(text, start)?;
            // `input('Password: ')`: it ends here.
            if !name.quoted && name.opened == Some(text[start]) {
                return None;
            }
            let word = &text[from..to];
            let said = telling(word) && word.len() >= 4;
            if !(name.structural || name.quoted || said) {
                return None;
            }
            (from, to)
        }
        b'\\' if matches!(text.get(start + 1), Some(b'"' | b'\'' | b'\\')) => quoted(text, start)?,
        b'{' | b'[' => return braced(text, start, name.kind),
        _ if let Some(quote) = prefixed(text, start) => quoted(text, quote)?,
        _ if name.quoted => (start, run(text, start, VALUE)),
        _ => return plain(text, start, &name),
    };
    judge(text, from, to, name.kind)
}

/// A value without quotes behind a name without quotes and a colon. In a sentence a colon says little: `invalid token:
/// expected a string`. A header's name is a header's name, and a word with a digit in it is no prose.
fn plain(text: &[u8], start: usize, name: &Name<'_>) -> Option<Finding> {
    let last = name
        .name
        .rsplit(|byte| *byte == b'-')
        .next()
        .unwrap_or_default();
    let header = [b"authorization".as_slice(), b"cookie"]
        .iter()
        .any(|known| last.eq_ignore_ascii_case(known));
    if mask_length(&text[start..]).is_some() {
        return None;
    }
    if header {
        let rest = &text[start..];
        let many = [b"digest ".as_slice(), b"oauth "].iter().any(|scheme| {
            rest.get(..scheme.len())
                .is_some_and(|word| word.eq_ignore_ascii_case(scheme))
        });
        let end = if many {
            // Its parts are in quotes.
            start + memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len())
        } else {
            run(text, start, LINE)
        };
        // `Cookie: chocolate chip`
        let cookie = last.eq_ignore_ascii_case(b"cookie");
        if cookie && !text[start..end].contains(&b'=') && !telling(&text[start..end]) {
            return None;
        }
        return judge(text, start, end, name.kind);
    }
    if matches!(name.kind, Kind::Digits(_)) {
        return judge(text, start, number_end(text, start), name.kind);
    }
    if matches!(text.get(start), Some(b'|' | b'>')) && name.structural {
        let (from, to) = block(text, start)?;
        return judge(text, from, to, name.kind);
    }
    if let Some(end) = phrase_end(text, start, name.name) {
        return judge(text, start, end, name.kind);
    }
    // Judged by its head: nothing long is read that is not then replaced.
    let line = name.structural && name.leads;
    let whole = line
        .then(|| yaml_end(text, start, LINE_MAX))
        .flatten()
        .filter(|end| telling(&text[start..*end]));
    let end = whole.unwrap_or_else(|| run_within(text, start, VALUE, 64));
    let head = &text[start..end];
    // `--password-color: #fff` of CSS.
    if name.name.starts_with(b"--") && head.starts_with(b"#") {
        return None;
    }
    let field = name.name.contains(&b'-');
    let telling = telling(head);
    // YAML has nothing behind its value; a program's field has.
    let password = matches!(name.kind, Kind::Password | Kind::Word);
    let may_be_alone = name.structural && (name.leads || password);
    if !telling && !field && !may_be_alone {
        return None;
    }
    // `!Ref`, `!vault` and other tags of YAML: what follows says where the secret is.
    if head.len() > 2
        && head[0] == b'!'
        && head[1..].iter().all(u8::is_ascii_alphabetic)
        && text.get(start + head.len()) == Some(&b' ')
    {
        return None;
    }
    // `token.rs:45:10`
    if name.name.contains(&b'.')
        && head
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b':')
    {
        return None;
    }
    // A sentence in another script.
    if head.first().is_some_and(|byte| *byte >= 0x80) && !head.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let code = is_code(text, start, start + head.len(), last);
    if head.is_empty() || code || is_kind_word(head) {
        return None;
    }
    // `token: Token,` of a program.
    if is_identifier(head) && head[0].is_ascii_uppercase() && !ends_line(text, start + head.len()) {
        return None;
    }
    if !telling && !field {
        let alone = ends_line(text, start + head.len());
        if !alone || matches!(head.last(), Some(b'.' | b':' | b'(')) {
            return None;
        }
    }
    let whole = line.then(|| yaml_end(text, start, usize::MAX)).flatten();
    let end = whole.unwrap_or_else(|| bare_end(text, start, false));
    judge(text, start, end, name.kind)
}

/// A value in braces (ODBC), or a list or an object under the name of a secret.
fn braced(text: &[u8], start: usize, kind: Kind) -> Option<Finding> {
    if !matches!(kind, Kind::Password | Kind::Token | Kind::Word) {
        return None;
    }
    let close = if text[start] == b'{' { b'}' } else { b']' };
    if mask_length(&text[start..]).is_some() || text[start..].starts_with(b"{{") {
        return None;
    }
    let head = &text[start..text.len().min(start + 512)];
    // Neither lists nor braced values hold others of their kind.
    let end = 1 + memchr::memchr2(text[start], close, &head[1..])?;
    if head[end] != close {
        return None;
    }
    let inside = &head[1..end];
    let list = inside.iter().any(|byte| matches!(byte, b'"' | b'\''));
    let word = !inside.is_empty()
        && inside
            .iter()
            .all(|byte| CLASSES[usize::from(*byte)] & WORD != 0 || byte.is_ascii_punctuation());
    // `{token}`, `{name:?}`, `{0}`: to be filled in.
    let named = is_identifier(FORMATS.iter().fold(inside, |inside, format| {
        inside.strip_suffix(*format).unwrap_or(inside)
    })) || matches!(inside, [digit] if digit.is_ascii_digit());
    let braced = word && !named && text[start] == b'{';
    if !(list || braced) {
        return None;
    }
    if list
        && inside
            .iter()
            .filter(|byte| byte.is_ascii_alphanumeric())
            .count()
            < 3
    {
        return None;
    }
    judge(text, start + 1, start + end, Kind::Password)
}

/// The finding for a sensitive name's value in a text, unless the value says nothing.
fn judge(text: &[u8], start: usize, end: usize, kind: Kind) -> Option<Finding> {
    judge_known(text, start, end, kind, None)
}

/// As [`judge`], where what so many bytes of the value are is known.
fn judge_known(
    text: &[u8],
    start: usize,
    end: usize,
    kind: Kind,
    known: Option<(usize, Mask)>,
) -> Option<Finding> {
    let value = text.get(start..end)?;
    match value.first()? {
        b'-' => {
            if let Some(block) = private_key(text, start) {
                return Some(block);
            }
        }
        b'[' if mask_length(&text[start..]).is_some() => return None,
        _ => {}
    }
    // Of a sentence, or of Markdown.
    let token = matches!(kind, Kind::Opaque | Kind::Token | Kind::Tokens);
    let value = value.strip_suffix(b"`").unwrap_or(value);
    let value = match value.strip_suffix(b".") {
        Some(head) if token => head,
        _ => value,
    };
    let first = value.first()?;
    let scheme = SCHEMES.iter().find(|scheme| {
        value.len() > scheme.len()
            && first | 0x20 == scheme[0]
            && value[..scheme.len()].eq_ignore_ascii_case(scheme)
    });
    if let Some(scheme) = scheme {
        let secret = value[scheme.len()..].trim_ascii_start();
        if mask_length(secret).is_some() || placeholder(secret) {
            return None;
        }
    }
    if token
        && match value {
            // A colour.
            [b'#', digits @ ..] => digits.len() <= 8 && digits.iter().all(u8::is_ascii_hexdigit),
            // A count.
            _ => value.len() < 4 && value.iter().all(u8::is_ascii_digit),
        }
    {
        return None;
    }
    let mask = match known {
        Some((length, mask)) if length == value.len() => mask,
        _ => kind.judge(&value[..value.len().min(HEAD_MAX)])?,
    };
    let value = value.trim_ascii_end();
    let end = start + value.len();
    let (secret, mask) = credential(value, mask);
    (!secret.is_empty()).then_some(Finding {
        start: end - secret.len(),
        end,
        mask,
    })
}

/// The name of a scheme of the `Authorization` header.
fn is_scheme(word: &[u8]) -> bool {
    SCHEMES.iter().any(|scheme| {
        // The length tells nearly all apart; a call to compare them would cost more than all the rest.
        word.len() == scheme.len() && word.eq_ignore_ascii_case(scheme)
    })
}

/// The quote behind the letters that some languages put before it.
fn prefixed(text: &[u8], start: usize) -> Option<usize> {
    let is_letter = |at: usize| {
        text.get(at)
            .is_some_and(|byte| b"rbfuRBFU@$&LN".contains(byte))
    };
    if !is_letter(start) {
        return None;
    }
    let quote = start + 1 + usize::from(is_letter(start + 1));
    // `&'a` is a lifetime of Rust.
    let lifetime = text[start..].starts_with(b"&'");
    (!lifetime && matches!(text.get(quote), Some(b'"' | b'\''))).then_some(quote)
}

/// How much of a line a value is told by, in bytes.
const LINE_MAX: usize = 128;

/// What a value is judged by.
const HEAD_MAX: usize = 256;

/// What manuals write in the place of a value.
const METAVARIABLES: [&[u8]; 8] = [
    b"PASS",
    b"PASSWORD",
    b"TOKEN",
    b"SECRET",
    b"KEY",
    b"STRING",
    b"VALUE",
    b"TEXT",
];

/// What stands behind a name in braces, and how it is to be written.
const FORMATS: [&[u8]; 5] = [b":?", b":#?", b":x", b"!r", b"!s"];

/// Functions to which passwords are given to be hashed.
const HASHES: [&[u8]; 8] = [
    b"crypt",
    b"md5",
    b"sha1",
    b"sha2",
    b"sha256",
    b"hashpw",
    b"make_password",
    b"password",
];

const SCHEMES: [&[u8]; 7] = [
    b"bearer", b"basic", b"token", b"apikey", b"ssws", b"digest", b"bot",
];

#[cfg(test)]
mod tests;

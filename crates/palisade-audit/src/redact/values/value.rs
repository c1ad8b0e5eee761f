//! Where a value in a text begins and ends, and whether it is one: code, types and sentences are not.

use super::classes::{KEY, VALUE, VISIBLE, WORD, run, run_within};
use crate::redact::keys::{self, Kind};
use crate::redact::words::Words;

/// The inside of what is in quotes at `at`; of three quotes, too. To the end of the text where the last one is missing.
pub(super) fn quoted(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut start = at;
    while text.get(start) == Some(&b'\\') {
        start += 1;
    }
    let slashes = start - at;
    let quote = *text.get(start)?;
    if !matches!(quote, b'"' | b'\'' | b'`') {
        return None;
    }
    start += 1;
    if slashes == 0 && text.get(start) == Some(&quote) && text.get(start + 1) == Some(&quote) {
        start += 2;
        let length = memchr::memmem::find(&text[start..], &[quote; 3]);
        return Some((start, length.map_or(text.len(), |length| start + length)));
    }
    let mut end = start;
    loop {
        let Some(length) = memchr::memchr(quote, &text[end..]) else {
            return Some((start, text.len()));
        };
        end += length;
        let before = text[start..end]
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        // As many backslashes as the opening quote has: its fellow. An odd number more: a quote within.
        if before <= slashes || (before - slashes).is_multiple_of(2) && slashes == 0 {
            return Some((start, end - before.min(slashes)));
        }
        end += 1;
    }
}

/// Where a bare value ends: at a space or a closing sign; at `&`, `;` and `,` if something else begins there.
pub(super) fn bare_end(text: &[u8], start: usize, query: bool) -> usize {
    let stops = |end: usize| match query.then(|| memchr::memchr(b'#', &text[start..end])) {
        Some(Some(hash)) => start + hash,
        _ => end,
    };
    let mut end = run(text, start, VALUE);
    while let Some(&sign @ (b'&' | b';' | b',')) = text.get(end) {
        let next = end + 1;
        let follows = run_within(text, next, KEY, 64);
        let ends = query && sign == b'&'
            || follows == next
                && text
                    .get(next)
                    .is_none_or(|byte| byte.is_ascii_whitespace() || b"\"'&;,)]}%".contains(byte))
            || matches!(text.get(follows), Some(b'=' | b':' | b'[')) && follows > next
            || sign == b';' && is_keyword(text, next)
            || sign == b'&' && text[follows..].starts_with(b"%5B")
            || sign == b'&' && text[next..].starts_with(b"amp;");
        if ends {
            break;
        }
        end = run(text, next, VALUE);
    }
    stops(end)
}

/// `User ID=`, `Initial Catalog=`, `Persist Security Info=` of a connection string.
fn is_keyword(text: &[u8], at: usize) -> bool {
    let head = &text[at..text.len().min(at + 32)];
    let letters = head
        .iter()
        .position(|byte| !(byte.is_ascii_alphabetic() || *byte == b' '))
        .unwrap_or(head.len());
    letters > 0 && head[letters..].starts_with(b"=")
}

/// More than a word: with a digit, a sign, or a capital inside.
pub(super) fn telling(word: &[u8]) -> bool {
    let mut lower = false;
    word.iter().any(|byte| {
        let told = match byte {
            b'0'..=b'9' => true,
            b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' => true,
            b'+' | b'~' | b'=' | b'|' | b'?' => true,
            b'A'..=b'Z' => lower,
            _ => false,
        };
        lower = byte.is_ascii_lowercase();
        told
    })
}

/// An identifier, or several with dots between: of letters and underscores only.
pub(super) fn is_identifier(word: &[u8]) -> bool {
    word.iter()
        .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.'))
}

/// An expression of a program rather than a value.
pub(super) fn is_code(text: &[u8], start: usize, end: usize, key: &[u8]) -> bool {
    let value = &text[start..end];
    if value == key || is_kind_word(value) {
        return true;
    }
    // The place of a parameter in SQL.
    if value == b"?"
        || matches!(value, [b'$', digits @ ..] if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
    {
        return true;
    }
    // What a shell puts there, or reads from elsewhere.
    if matches!(
        value,
        [b'$', b'(' | b'{', ..]
            | [b'%' | b'#' | b'@', b'{', ..]
            | [b'%', .., b'%']
            | [b'`', ..]
            | [b'<', b'<', ..]
    ) {
        return true;
    }
    // A reference of Rust to a type.
    if let [b'&', b'A'..=b'Z', rest @ ..] = value
        && rest.iter().all(u8::is_ascii_alphabetic)
    {
        return true;
    }
    // `$NAME` of a shell, `$name` of PHP or PowerShell.
    if let Some(name) = value.strip_prefix(b"$")
        && name
            .first()
            .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && name
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_')
    {
        return true;
    }
    // A variable of GraphQL or SQL that is named for what it is, or is a letter or two; and its type.
    if let Some(name) = value
        .strip_prefix(b"$")
        .or_else(|| value.strip_prefix(b"@"))
        && (name.eq_ignore_ascii_case(key)
            || matches!(name.len(), 1..=2) && name.iter().all(u8::is_ascii_lowercase))
    {
        return true;
    }
    if let Some(name) = value.strip_suffix(b"!")
        && [&b"String"[..], b"ID", b"Int"].contains(&name)
    {
        return true;
    }
    // A call, an index, a path of members, any of them in brackets: `(Get-AzAccessToken).Token`.
    let open = usize::from(value.first() == Some(&b'('));
    let mut head = run_within(value, open, KEY, 64);
    while value[head..].starts_with(b"::") && head < 64 {
        head = run_within(value, head + 2, KEY, 64);
    }
    let next = value.get(head).or_else(|| text.get(end)).copied();
    if head > open && matches!(next, Some(b'(' | b'[' | b')' | b' ')) {
        let called = &value[open..head];
        let letters = called
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.' | b':'));
        let code = if open == 1 {
            matches!(next, Some(b')' | b' ')) && (letters || is_cmdlet(called))
        } else {
            // The name of a function or the path to it may have digits: `base64.b64encode(…)`, `sha256(…)`.
            matches!(next, Some(b'(' | b'['))
                && (letters || is_path(called) || is_kind_word(called))
        };
        if code {
            return true;
        }
    }
    let first = &value[..value.iter().position(|byte| *byte == b'.').unwrap_or(0)];
    !first.is_empty() && is_identifier(value) && OWNERS.contains(&first)
}

/// Identifiers with dots between, two at least.
fn is_path(word: &[u8]) -> bool {
    word.contains(&b'.')
        && word.split(|byte| *byte == b'.').all(|part| {
            part.first().is_some_and(u8::is_ascii_alphabetic)
                && part
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        })
}

/// `ConvertTo-SecureString` and other commands of PowerShell: a verb and a noun.
pub(super) fn is_cmdlet(word: &[u8]) -> bool {
    let mut parts = word.split(|byte| *byte == b'-');
    let mut part = || {
        parts.next().is_some_and(|part| {
            part.first().is_some_and(u8::is_ascii_uppercase)
                && part.iter().all(u8::is_ascii_alphabetic)
        })
    };
    part() && part() && parts.next().is_none()
}

/// A word for a type or a form, or one that programs have in the place of a value.
pub(super) fn is_kind_word(word: &[u8]) -> bool {
    let word = word.strip_suffix(b"?").unwrap_or(word);
    let word = word.strip_prefix(b"&").unwrap_or(word);
    let word = word.strip_suffix(b";").unwrap_or(word);
    KIND_WORDS.contains(word)
}

/// Whether the value under this name may stand in a text; what only objects have does not.
pub(super) fn in_text(key: &[u8]) -> Option<Kind> {
    match keys::classify(key)? {
        Kind::Answer
        | Kind::Columns
        | Kind::Content
        | Kind::Email
        | Kind::Name
        | Kind::Rows
        | Kind::Schema
        | Kind::Value => None,
        kind => Some(kind),
    }
}

/// The end of a number as people write it.
pub(super) fn number_end(text: &[u8], start: usize) -> usize {
    let head = &text[start..text.len().min(start + 32)];
    let length = head
        .iter()
        .position(|byte| !(byte.is_ascii_digit() || b" +().-/".contains(byte)))
        .unwrap_or(head.len());
    let number = head[..length].trim_ascii_end();
    let number = number.strip_suffix(b".").unwrap_or(number);
    if number.iter().any(u8::is_ascii_digit)
        && !text
            .get(start + length)
            .is_some_and(u8::is_ascii_alphabetic)
    {
        start + number.trim_ascii_end().len()
    } else {
        run_within(text, start, WORD, 64).max(run_within(text, start, VALUE, 64))
    }
}

/// Whether nothing but the end of the line follows.
pub(super) fn ends_line(text: &[u8], at: usize) -> bool {
    let rest = &text[at.min(text.len())..];
    let rest = &rest[..rest.len().min(16)];
    let space = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
        .count();
    matches!(rest.get(space), None | Some(b'\n'))
        || rest[space..].starts_with(b"\\n")
        || rest.get(space) == Some(&b'#')
}

/// Behind the spaces at `at`, a few of them at most.
pub(super) fn skip_space(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let at = at
        + rest
            .iter()
            .take(24)
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
    // A space that breaks no line.
    match text.get(at..) {
        Some([0xc2, 0xa0, ..]) => at + 2,
        _ => at,
    }
}

/// To the next space.
pub(super) fn visible_end(text: &[u8], start: usize) -> usize {
    run(text, start, VISIBLE)
}

const OWNERS: &[&[u8]] = &[
    b"self",
    b"this",
    b"os",
    b"process",
    b"req",
    b"request",
    b"config",
    b"cfg",
    b"conf",
    b"settings",
    b"args",
    b"argv",
    b"options",
    b"opts",
    b"env",
    b"ctx",
    b"context",
    b"params",
    b"props",
    b"state",
    b"data",
    b"user",
    b"body",
    b"input",
    b"form",
    b"secrets",
    b"vars",
    b"var",
    b"local",
    b"module",
    b"github",
    b"inputs",
    b"matrix",
    b"session",
    b"app",
    b"client",
    b"response",
    b"res",
    b"result",
    b"event",
    b"payload",
    b"values",
    b"Values",
    b"std",
    b"auth",
    b"credentials",
    b"creds",
    b"db",
    b"cls",
    b"super",
    b"window",
    b"document",
    b"import",
];

static KIND_WORDS: Words<121> = Words::new(ALL_KIND_WORDS);

const ALL_KIND_WORDS: [&str; 121] = [
    "str",
    "string",
    "text",
    "varchar",
    "char",
    "bytes",
    "bool",
    "boolean",
    "int",
    "integer",
    "number",
    "float",
    "double",
    "i8",
    "i16",
    "i32",
    "i64",
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "f32",
    "f64",
    "int4",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "utf8",
    "utf-8",
    "base64",
    "base64url",
    "base32",
    "base58",
    "hex",
    "sha1",
    "sha256",
    "sha-256",
    "sha512",
    "sha-512",
    "md5",
    "bcrypt",
    "argon2",
    "argon2id",
    "scrypt",
    "pbkdf2",
    "hs256",
    "rs256",
    "es256",
    "ed25519",
    "oauth",
    "oauth2",
    "oauth2.0",
    "oidc",
    "jwt",
    "none",
    "null",
    "nil",
    "undefined",
    "true",
    "false",
    "any",
    "unknown",
    "void",
    "object",
    "never",
    "new",
    "await",
    "async",
    "function",
    "lambda",
    "yield",
    "not",
    "required",
    "optional",
    "input",
    "getpass",
    "self",
    "this",
    "bearer",
    "basic",
    "dict",
    "list",
    "optional[str]",
    "option<string>",
    "secretstr",
    "securestring",
    "char[]",
    "string[]",
    "list[str]",
    "'static",
    "mut",
    "const",
    "let",
    "var",
    "...",
    "missing",
    "invalid",
    "expired",
    "incorrect",
    "wrong",
    "valid",
    "rejected",
    "failed",
    "unset",
    "absent",
    "present",
    "revoked",
    "write",
    "read",
    "erforderlich",
    "requerida",
    "requerido",
    "requis",
    "obligatorio",
];

#[cfg(test)]
mod tests;

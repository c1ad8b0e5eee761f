//! Credentials behind the name of their scheme, as in the `Authorization` header.

use super::classes::{TOKEN68, run};
use crate::redact::{Finding, Mask};
use crate::survey::{HIGH, LOW};

/// `Bearer` (RFC 6750) or `Basic` (RFC 7617) with what follows.
#[inline(never)]
pub(super) fn scheme(text: &[u8], at: usize) -> Option<Finding> {
    let rest = &text[at..];
    let (length, basic) = if is_bearer(rest) {
        (7, false)
    } else if is_basic(rest) {
        (6, true)
    } else {
        let length = OTHERS
            .iter()
            .find(|name| {
                // One letter tells them apart; a call to compare them would cost more than all the rest.
                rest[0] | 0x20 == name[0]
                    && rest
                        .get(..name.len())
                        .is_some_and(|word| word.eq_ignore_ascii_case(name))
            })?
            .len();
        let end = run(text, at + length, TOKEN68);
        let secret = &text[at + length..end];
        let random =
            secret.len() >= 16 && secret.iter().any(u8::is_ascii_digit) && !secret.contains(&b'/');
        return random.then_some(Finding {
            start: at + length,
            end,
            mask: Mask::Fingerprint,
        });
    };
    let start = at + length;
    let letters = &text[start..run(text, start, TOKEN68)];
    // The sentence's.
    let dots = letters.iter().rev().take_while(|byte| **byte == b'.');
    let secret = &letters[..letters.len() - dots.count()];
    let end = start + secret.len();
    if basic {
        // Only what decodes to `user:password`; "basic understanding" does not.
        return has_colon(secret).then_some(Finding {
            start,
            end,
            mask: Mask::Plain,
        });
    }
    if secret.len() < 6 || crate::redact::keys::placeholder(secret) {
        return None;
    }
    // A challenge, RFC 9110, section 11.6.1: `Bearer realm="…"`.
    let challenge = secret.ends_with(b"=") && text.get(end) == Some(&b'"');
    let whole = start == 7 && end == text.len();
    let prose = secret.iter().all(u8::is_ascii_alphabetic)
        && (PROSE.iter().any(|word| secret.eq_ignore_ascii_case(word))
            || !whole && secret.len() < 20 && !secret[1..].iter().any(u8::is_ascii_uppercase));
    if challenge || prose {
        return None;
    }
    Some(Finding {
        start,
        end,
        mask: Mask::Fingerprint,
    })
}

/// Whether `be` or `ba` stands somewhere in `text`, of nine bytes at least, in letters of any size: a look at
/// eight pairs at a time, since this is asked of every sentence.
#[inline]
pub(super) fn may_be_named(text: &[u8]) -> bool {
    let named = |pairs: &[u8; 9]| {
        let word = |at: usize| {
            pairs[at..]
                .first_chunk()
                .map_or(0, |chunk| u64::from_le_bytes(*chunk))
        };
        // Zero where a `b` is, of either size; zero where an `a` or `e` follows, which differ in one bit.
        let other =
            ((word(0) & (LOW * 0xdf)) ^ (LOW * 0x42)) | ((word(1) & (LOW * 0xdb)) ^ (LOW * 0x41));
        other.wrapping_sub(LOW) & !other & HIGH != 0
    };
    let mut rest = text;
    while let Some(pairs) = rest.first_chunk() {
        if named(pairs) {
            return true;
        }
        rest = &rest[8..];
    }
    text.last_chunk().is_none_or(named)
}

/// Whether `bearer` or `basic` and a space stand somewhere in `text`.
#[inline(never)]
pub(super) fn is_named(text: &[u8]) -> bool {
    memchr::memchr2_iter(b'b', b'B', text).any(|at| is_bearer(&text[at..]) || is_basic(&text[at..]))
}

fn is_bearer(text: &[u8]) -> bool {
    matches!(text, [b'b' | b'B', b'e' | b'E', ..])
        && text
            .get(..7)
            .is_some_and(|word| word.eq_ignore_ascii_case(b"bearer "))
}

fn is_basic(text: &[u8]) -> bool {
    matches!(text, [b'b' | b'B', b'a' | b'A', ..])
        && text
            .get(..6)
            .is_some_and(|word| word.eq_ignore_ascii_case(b"basic "))
}

/// The secret part of a value under a secret's key: of `Bearer abc` only `abc`, so that the same token has
/// the same fingerprint everywhere; of Basic nothing, for that is a password.
pub(crate) fn credential(secret: &[u8], mask: Mask) -> (&[u8], Mask) {
    match secret.split_first_chunk::<6>() {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer") => {
            (rest.trim_ascii_start(), mask)
        }
        Some((scheme, _)) if scheme.eq_ignore_ascii_case(b"basic ") => (secret, Mask::Plain),
        _ => (secret, mask),
    }
}

/// Schemes of single services.
const OTHERS: [&[u8]; 3] = [b"ssws ", b"apikey ", b"token "];

const PROSE: [&[u8]; 9] = [
    b"token",
    b"tokens",
    b"scheme",
    b"header",
    b"headers",
    b"format",
    b"challenge",
    b"authentication",
    b"authorization",
];

/// Whether these letters are base64 of something with a colon in it.
fn has_colon(base64: &[u8]) -> bool {
    let letters = base64.trim_ascii_end();
    let letters = &letters[..letters
        .iter()
        .position(|byte| *byte == b'=')
        .unwrap_or(letters.len())];
    if letters.len() < 4 || letters.len() % 4 == 1 {
        return false;
    }
    let mut bits = 0_u32;
    let mut found = false;
    for (at, &letter) in letters.iter().enumerate() {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return false,
        };
        bits = bits << 6 | u32::from(six);
        let byte = match at % 4 {
            0 => continue,
            1 => (bits >> 4) as u8,
            2 => (bits >> 2) as u8,
            _ => bits as u8,
        };
        // Credentials hold no control characters (RFC 7617, section 2); words decoded by chance do.
        if byte < 0x20 || byte == 0x7f {
            return false;
        }
        found |= byte == b':';
    }
    found
}

#[cfg(test)]
mod tests;

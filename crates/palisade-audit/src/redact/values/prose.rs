//! Secrets behind the words that people put before them: `the password is …`, `IDENTIFIED BY '…'`.

use super::classes::{VISIBLE, WORD, run_within};
use super::value::{self, is_kind_word, telling};
use crate::redact::keys::Kind;
use crate::redact::{Finding, Mask};

/// The words that are looked at wherever they stand, in letters of any size: those of [`credential`](super::scheme)
/// and those below.
pub(super) static WORDS: &[&str] = &[
    "bearer",
    "basic",
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "pin",
    "otp",
    "requirepass",
    "secret",
    "token",
    "key",
    "identified",
    "ssws",
    "apikey",
    "digest",
    "thin",
    "cvv",
    "cvc",
    "aws",
];

/// What the word at `at` announces.
#[inline(never)]
pub(super) fn announced(text: &[u8], at: usize) -> Option<Finding> {
    let end = run_within(text, at, WORD, 16);
    let word = &text[at..end];
    if word.eq_ignore_ascii_case(b"aws") {
        return aws(text, at);
    }
    let kind = kind(word)?;
    if text.get(end) != Some(&b' ') {
        return None;
    }
    let (start, said) = link(text, end + 1);
    if word.eq_ignore_ascii_case(b"identified") && !said {
        return None;
    }
    let (mut from, mut to) = match text.get(start)? {
        // A value in quotes behind the word alone is SQL's.
        b'"' | b'\'' | b'`' => value::quoted(text, start)?,
        _ => (start, run_within(text, start, VISIBLE, VALUE_MAX)),
    };
    let quoted = from > start;
    if !quoted {
        while to > from
            && matches!(
                text[to - 1],
                b'.' | b',' | b';' | b':' | b'!' | b'?' | b')' | b'"' | b'\''
            )
        {
            to -= 1;
        }
        while from < to && matches!(text[from], b'(' | b'*' | b'_') {
            from += 1;
        }
    }
    let secret = text.get(from..to)?;
    let convinced = match kind {
        Kind::Password if said && quoted => true,
        // `password 'x'` of SQL, in capitals or small letters; of no sentence.
        Kind::Password if quoted => text[start] == b'\'' && !secret.contains(&b' '),
        Kind::Password if said => telling(secret) && secret.len() >= 4,
        Kind::Password => strong(secret),
        Kind::Digits(_) => secret.iter().all(u8::is_ascii_digit) && secret.len() <= 8,
        _ => {
            said && secret.len() >= 8 && telling(secret) && !secret.contains(&b'/') && !quoted
                || said && quoted && secret.len() >= 8 && !secret.contains(&b' ') && telling(secret)
        }
    };
    if !convinced || is_kind_word(secret) {
        return None;
    }
    let mask = kind.judge(secret)?;
    Some(Finding {
        start: from,
        end: to,
        mask: if kind == Kind::Token {
            mask
        } else {
            Mask::Plain
        },
    })
}

/// `aws configure set aws_secret_access_key …`
fn aws(text: &[u8], at: usize) -> Option<Finding> {
    let rest = &text[at..];
    let names: [&[u8]; 2] = [b"aws_secret_access_key ", b"aws_session_token "];
    let start = at + names.iter().find(|name| rest.starts_with(name))?.len();
    let end = run_within(text, start, VISIBLE, 2048);
    (end >= start + 16).then_some(Finding {
        start,
        end,
        mask: Mask::Fingerprint,
    })
}

fn kind(word: &[u8]) -> Option<Kind> {
    let is = |names: &[&[u8]]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    if is(&[
        b"password",
        b"passwd",
        b"passphrase",
        b"passcode",
        b"pwd",
        b"requirepass",
        b"identified",
    ]) {
        Some(Kind::Password)
    } else if is(&[b"pin", b"otp"]) {
        Some(Kind::Digits(4))
    } else if is(&[b"cvv", b"cvc"]) {
        Some(Kind::Digits(3))
    } else if is(&[b"token", b"secret", b"key"]) {
        Some(Kind::Token)
    } else {
        None
    }
}

/// Skips `is` and its kin; says whether one was there.
fn link(text: &[u8], at: usize) -> (usize, bool) {
    const LINKS: [&[u8]; 12] = [
        b"is set to ",
        b"is now ",
        b"is: ",
        b"is ",
        b"was ",
        b"to ",
        b"are ",
        b"as ",
        b"BY ",
        b"by ",
        b"-> ",
        "→ ".as_bytes(),
    ];
    let rest = &text[at..];
    match LINKS.iter().find(|link| rest.starts_with(link)) {
        Some(link) => (at + link.len(), true),
        None => (at, false),
    }
}

/// What no word of a sentence looks like.
fn strong(word: &[u8]) -> bool {
    let any = |class: fn(&u8) -> bool| word.iter().any(class);
    word.len() >= 6
        && any(u8::is_ascii_digit)
        && any(u8::is_ascii_alphabetic)
        && !word.contains(&b'=')
        && !word.contains(&b'/')
        && !word.contains(&b'(')
        && !word.starts_with(b"-")
}

const VALUE_MAX: usize = 256;

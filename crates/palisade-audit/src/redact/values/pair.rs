//! A user's name and a password beside each other in a sentence: `creds: admin / …`, `log in as bob:…`, `user bob pass …`.

use super::classes::{VISIBLE, WORD, run_within};
use super::prose::strong;
use crate::redact::{Finding, Mask};

/// Behind a word that announces both, which begins at `at`.
#[inline(never)]
pub(super) fn announced(text: &[u8], at: usize) -> Option<Finding> {
    let end = run_within(text, at, WORD, 16);
    let word = &text[at..end];
    let is = |name: &[u8]| word.eq_ignore_ascii_case(name);
    let rest = &text[end..text.len().min(end + WITHIN)];
    let rest = if is(b"creds") || is(b"credentials") || is(b"login") {
        rest
    } else if is(b"log") || is(b"sign") {
        rest.strip_prefix(b" in")?
    } else if is(b"pass") {
        return behind_user(text, at, end);
    } else {
        return None;
    };
    let mut rest = rest.strip_prefix(b":").unwrap_or(rest).strip_prefix(b" ")?;
    for link in LINKS {
        rest = rest.strip_prefix(link).unwrap_or(rest);
    }
    let name = rest
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || b"_.@-\\".contains(byte)))?;
    let behind = &rest[name..];
    let separator: [&[u8]; 3] = [b" / ", b"/", b":"];
    let separator = separator
        .into_iter()
        .find(|sign| behind.starts_with(sign))?;
    let start = text[..text.len().min(end + WITHIN)].len() - behind.len() + separator.len();
    let stop = sentence_end(text, start);
    (name > 0 && made_up(&text[start..stop])).then_some(Finding {
        start,
        end: stop,
        mask: Mask::Plain,
    })
}

/// `user bob pass …`, `username bob, pass …`; the word is `at..end`.
fn behind_user(text: &[u8], at: usize, end: usize) -> Option<Finding> {
    let before = text[at.saturating_sub(WITHIN)..at].strip_suffix(b" ")?;
    let before = [b" and".as_slice(), b" /", b" with", b","]
        .into_iter()
        .find_map(|link| before.strip_suffix(link))
        .unwrap_or(before);
    let mut words = before.rsplit(|byte| *byte == b' ');
    let (name, title) = (words.next()?, words.next()?);
    let is_user = [
        b"user".as_slice(),
        b"username",
        b"login",
        b"account",
        b"user:",
        b"username:",
        b"login:",
    ]
    .iter()
    .any(|known| title.eq_ignore_ascii_case(known));
    if name.is_empty() || !is_user {
        return None;
    }
    let rest = text[end..]
        .strip_prefix(b":")
        .unwrap_or_else(|| &text[end..]);
    let start = text.len() - rest.strip_prefix(b" ")?.len();
    let stop = sentence_end(text, start);
    strong(&text[start..stop]).then_some(Finding {
        start,
        end: stop,
        mask: Mask::Plain,
    })
}

/// Where the word at `start` ends, without what the sentence puts behind it.
fn sentence_end(text: &[u8], start: usize) -> usize {
    let stop = run_within(text, start, VISIBLE, 128);
    let word = &text[start..stop];
    let kept = word
        .iter()
        .rposition(|byte| !b".,;)\"'".contains(byte))
        .map_or(0, |last| last + 1);
    start + kept
}

/// What no standard, region or version is called: letters of both sizes and a digit, or a digit and a sign.
fn made_up(word: &[u8]) -> bool {
    let any = |class: fn(&u8) -> bool| word.iter().any(class);
    let sizes = any(u8::is_ascii_lowercase) && any(u8::is_ascii_uppercase);
    let sign = word.iter().any(|byte| b"!@#$%^&*?+~".contains(byte));
    word.len() >= 8
        && strong(word)
        && !word.contains(&b'.')
        && !word.contains(&b':')
        && (sizes || sign)
}

/// What stands between the word and the name, in this order.
const LINKS: [&[u8]; 6] = [b"are ", b"is ", b"to ", b"with ", b"as ", b"using "];

/// How far is looked, in bytes.
const WITHIN: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: L-2
    #[test]
    fn names_and_passwords() {
        for (text, secret) in [
            ("login with admin / Winter2025!", Some("Winter2025!")),
            ("log in as admin/Winter2025!.", Some("Winter2025!")),
            (
                "sign in as bob@corp.example:Winter2025!",
                Some("Winter2025!"),
            ),
            ("creds: admin / Winter2025", Some("Winter2025")),
            (
                "Credentials are bob:w1nter-cold! (old)",
                Some("w1nter-cold!"),
            ),
            ("credentials: CORP\\bob / Wint3rCold,", Some("Wint3rCold")),
            ("login with SAML2/OAuth2", None),
            ("login with OAuth2/OAuth2.0 and more", None),
            ("credentials: aws:us-east-1", None),
            ("creds: s3://bucket/Key12345", None),
            ("login / Winter2025!", None),
            ("login with admin and Winter2025!", None),
            ("credentials are in vault/App12345", None),
            ("log: admin / Winter2025!", None),
            ("login as host:8080 12345678", None),
        ] {
            let found = announced(text.as_bytes(), 0);
            assert_eq!(
                found.map(|found| &text[found.start..found.end]),
                secret,
                "{text}"
            );
        }
        for (text, secret) in [
            ("user admin pass Winter2025!", Some("Winter2025!")),
            ("username admin, pass winter25", Some("winter25")),
            ("user: bob pass: winter25.", Some("winter25")),
            ("login bob and pass winter25", Some("winter25")),
            ("the user has to pass test12345", None),
            ("user bob pass winter", None),
            ("tests pass v2.0.1", None),
            ("pass winter25", None),
        ] {
            let at = text.find("pass").unwrap();
            let found = announced(text.as_bytes(), at);
            assert_eq!(
                found.map(|found| &text[found.start..found.end]),
                secret,
                "{text}"
            );
        }
    }
}

//! Secrets behind the words that people put before them: `the password is …`, `IDENTIFIED BY '…'`.

use super::classes::{VISIBLE, WORD, run_within};
use super::person;
use super::value::{self, is_kind_word, telling};
use crate::redact::keys::Kind;
use crate::redact::words::Words;
use crate::redact::{Finding, Mask};
use crate::survey::{HIGH, LOW};

/// The words that are looked at wherever they stand, in letters of any size: those of [`credential`](super::scheme)
/// and those below.
pub(super) static WORDS: [&str; PERSON_WORDS.len() + OTHER_WORDS.len()] = {
    let mut words = [""; PERSON_WORDS.len() + OTHER_WORDS.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = if at < PERSON_WORDS.len() {
            PERSON_WORDS[at]
        } else {
            OTHER_WORDS[at - PERSON_WORDS.len()]
        };
        at += 1;
    }
    words
};

const OTHER_WORDS: [&str; 88] = [
    "bearer",
    "basic",
    "add",
    "addheader",
    "basicauth",
    "getconnection",
    "header",
    "login",
    "networkcredential",
    "setbasicauth",
    "setenvironmentvariable",
    "snyk",
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
    "auth",
    "code",
    "define",
    "get",
    "env",
    "masterauth",
    "creds",
    "credentials",
    "log",
    "sign",
    "pass",
    "set",
    "sqlplus",
    "bw",
    "cargo",
    "convertto",
    "echo",
    "htpasswd",
    "insert",
    "mc",
    "net",
    "ngrok",
    "npm",
    "gcloud",
    "poetry",
    "printf",
    "pulumi",
    "rabbitmqctl",
    "wpa",
    // Passwords in other languages.
    "passwort",
    "kennwort",
    "senha",
    "wachtwoord",
    "contrasena",
    "contrase",
    "passe",
    "pw",
    // What is told to keep a value under a name.
    "mysqli",
    "pdo",
    "netlify",
    "pdftk",
    "openssl",
    "put",
    "rclone",
    "git",
    "consul",
    "etcdctl",
    "redis",
    "nmcli",
    "bundle",
    "dotnet",
    "cf",
    "yarn",
    "pnpm",
    "pip",
    "conda",
    "vault",
];

/// By first letter the lengths of [`WORDS`], one bit for each.
pub(super) static LENGTHS: [u32; 32] = {
    let mut lengths = [0; 32];
    let mut at = 0;
    while at < WORDS.len() {
        let word = WORDS[at].as_bytes();
        lengths[(word[0] & 31) as usize] |= 1 << word.len();
        at += 1;
    }
    // `getenv`; `setItem`, `setPassword` and all the others.
    lengths[(b'g' & 31) as usize] |= 1 << 6;
    lengths[(b's' & 31) as usize] = u32::MAX;
    lengths
};

/// What the word at `at` announces.
#[inline(never)]
pub(super) fn announced(text: &[u8], at: usize) -> Option<Finding> {
    let end = run_within(text, at, WORD, 16);
    let word = &text[at..end];
    if word.eq_ignore_ascii_case(b"code") {
        return code(text, at, end);
    }
    if PERSONS.contains(word) {
        return person::number(text, word, end);
    }
    let (kind, end) = kind(text, at, end)?;
    // `PASSWORD('…')` of SQL.
    if word == b"PASSWORD" && text[end..].starts_with(b"('") {
        let (from, to) = value::quoted(text, end + 1)?;
        return kind.judge(&text[from..to]).map(|mask| Finding {
            start: from,
            end: to,
            mask,
        });
    }
    if text.get(end) == Some(&b'\n') {
        return below(text, at, end).filter(|_| kind == Kind::Password);
    }
    // `SET PASSWORD FOR 'bob'@'localhost' = '…'` of MySQL.
    if word == b"PASSWORD" && text[end..].starts_with(b" FOR '") {
        return of_user(text, end + 5);
    }
    // Behind a sign of its own it is found by that.
    if !matches!(text.get(end), Some(b' ' | b'\t'))
        || matches!(text.get(end + 1), Some(b'=' | b':'))
    {
        return None;
    }
    let (mut start, mut said) = link(text, end + 1);
    if matches!(
        text[end + 1..],
        [b'o', b'f' | b'n', b' ', ..] | [b't', b'o', b' ', ..] | [b'a', b't', b' ', ..]
    ) && let Some(behind) = whose(text, end + 4).or_else(|| belonging(text, end + 4))
    {
        (start, said) = (behind, true);
    }
    // `the password for bob is …`
    if !said && text[start..].starts_with(b"for ") {
        let who = run_within(text, start + 4, VISIBLE, 64);
        let (behind, is) = link(text, who + 1);
        if is {
            (start, said) = (behind, true);
        } else if let Some(behind) = whose(text, start + 4).or_else(|| belonging(text, start + 4)) {
            (start, said) = (behind, true);
        }
    }
    if let Some(behind) = aside(text, start) {
        (start, said) = (behind, true);
    }
    // A hyphen and the border of a table say less.
    let bordered = [b"- ".as_slice(), b"| "]
        .iter()
        .any(|sign| text[start..].starts_with(sign));
    start += if bordered { 2 } else { 0 };
    if word.eq_ignore_ascii_case(b"identified") && !said {
        return None;
    }
    let (mut from, mut to) = match text.get(start)? {
        // A value in quotes behind the word alone is SQL's.
        b'"' | b'\'' | b'`' => value::quoted(text, start)?,
        _ => (start, run_within(text, start, VISIBLE, VALUE_MAX)),
    };
    let quoted = from > start;
    if said
        && !quoted
        && kind == Kind::Password
        && let Some(to) = words(text, from)
    {
        return Some(Finding {
            start: from,
            end: to,
            mask: Mask::Plain,
        });
    }
    if !quoted {
        let mut marked = false;
        while to > from {
            match text[to - 1] {
                b')' | b'"' | b'\'' => {}
                b'.' | b',' | b';' | b':' => marked = true,
                // A sentence has one of them: before a full stop they are the secret's.
                b'!' | b'?' if !marked => marked = true,
                _ => break,
            }
            to -= 1;
        }
        while from < to && matches!(text[from], b'(' | b'*' | b'_') {
            from += 1;
        }
    }
    let secret = text.get(from..to)?;
    let random = kind == Kind::Token
        && word.eq_ignore_ascii_case(b"key")
        && secret.iter().all(u8::is_ascii_alphanumeric)
        && crate::redact::keys::is_opaque(secret)
        && secret.iter().any(u8::is_ascii_uppercase)
        && secret.iter().any(u8::is_ascii_lowercase);
    let private = kind == Kind::Token && text[..at].ends_with(b"rivate ") && is_private(secret);
    let convinced = match kind {
        _ if random || private => true,
        _ if bordered => {
            let ends = value::ends_line(text, to) || text[to..].starts_with(b" |");
            kind == Kind::Password && !quoted && ends && strong(secret)
        }
        // `SECRET '…'` of SQL.
        Kind::Token if quoted && !said => {
            word.iter().all(u8::is_ascii_uppercase)
                && text[start] == b'\''
                && secret.len() >= 8
                && !secret.contains(&b' ')
                && telling(secret)
        }
        Kind::Password if said && quoted => true,
        // `password 'x'` of SQL, in capitals or small letters; of no sentence.
        // `#define PASSWORD "…"` of C, `:password "…"` of Lisp.
        Kind::Password if quoted && text[start] == b'"' => {
            let line = &text[at.saturating_sub(48)..at];
            let line = line
                .rsplit(|byte| *byte == b'\n')
                .next()
                .unwrap_or_default();
            !secret.contains(&b' ')
                && (line.starts_with(b"#define ") || line.ends_with(b":"))
                && telling(secret)
        }
        Kind::Password if quoted => text[start] == b'\'' && !secret.contains(&b' '),
        Kind::Password if said => telling(secret) && secret.len() >= 4,
        // Two letters say little: neither an id nor a version nor a time.
        Kind::Password if word.len() == 2 => {
            strong(secret)
                && secret.len() <= 24
                && secret
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!@#$%^&*".contains(byte))
        }
        Kind::Password => strong(secret) && !crate::redact::keys::begins_with_date(secret),
        Kind::Digits(_) => secret.iter().all(u8::is_ascii_digit) && secret.len() <= 8,
        _ if said && !quoted && signed(secret) => true,
        _ => {
            said && secret.len() >= 8 && telling(secret) && !secret.contains(&b'/') && !quoted
                || said && quoted && secret.len() >= 8 && !secret.contains(&b' ') && telling(secret)
        }
    };
    if !convinced || is_kind_word(secret) || is_compound(secret) {
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

/// Whether `ss` stands somewhere in `text`, of nine bytes at least: a look at eight pairs at a time, since this is asked of
/// every sentence.
#[inline]
pub(super) fn may_be_said(text: &[u8]) -> bool {
    let said = |pairs: &[u8; 9]| {
        let word = |at: usize| {
            pairs[at..]
                .first_chunk()
                .map_or(0, |chunk| u64::from_le_bytes(*chunk))
        };
        let other = (word(0) ^ (LOW * 0x73)) | (word(1) ^ (LOW * 0x73));
        other.wrapping_sub(LOW) & !other & HIGH != 0
    };
    let mut rest = text;
    while let Some(pairs) = rest.first_chunk() {
        if said(pairs) {
            return true;
        }
        rest = &rest[8..];
    }
    text.last_chunk().is_none_or(said)
}

/// Whether a text of small letters says what a password is.
#[inline(never)]
pub(super) fn is_said(text: &[u8]) -> bool {
    memchr::memmem::find_iter(text, b"pass").any(|at| {
        [b"word ".as_slice(), b"phrase ", b"code ", b"wort "]
            .iter()
            .any(|end| text[at + 4..].starts_with(end))
    })
}

/// What is in quotes behind the sign that stands behind a user's name, which is in quotes at `at`.
fn of_user(text: &[u8], at: usize) -> Option<Finding> {
    let text = &text[..text.len().min(at + PAIR_MAX)];
    let sign = at + memchr::memchr2(b'=', b'\n', &text[at..])?;
    let start = sign + 1 + usize::from(text.get(sign + 1) == Some(&b' '));
    let (from, to) = value::quoted(text, start)?;
    Kind::Password.judge(&text[from..to]).map(|mask| Finding {
        start: from,
        end: to,
        mask,
    })
}

/// The one word of the line below a line that is no more than the word `at..end`.
fn below(text: &[u8], at: usize, end: usize) -> Option<Finding> {
    if !matches!(text[..at].last(), None | Some(b'\n')) {
        return None;
    }
    let from = end + 1;
    let to = run_within(text, from, VISIBLE, VALUE_MAX);
    let word = &text[from..to];
    (strong(word) && value::ends_line(text, to) && !word.ends_with(b":")).then_some(Finding {
        start: from,
        end: to,
        mask: Mask::Plain,
    })
}

/// Behind the colon of `password for the staging box: `; `at` is behind `for `.
fn whose(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    let rest = &rest[..rest.len().min(64)];
    let length = rest
        .iter()
        .position(|byte| !(byte.is_ascii_alphanumeric() || b" _.@-".contains(byte)))?;
    (length > 0 && rest[length..].starts_with(b": ")).then_some(at + length + 2)
}

/// Behind the verb of `password for the staging box is `: five words at most; `at` is the first of them.
fn belonging(text: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    for _ in 0..5 {
        let word = run_within(text, end, VISIBLE, 24);
        if word == end
            || text.get(word) != Some(&b' ')
            || !text[end..word]
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_.@'-".contains(byte))
        {
            return None;
        }
        end = word + 1;
        let rest = &text[end..];
        for verb in [b"is ".as_slice(), b"is: ", b"was "] {
            if rest.starts_with(verb) {
                return Some(end + verb.len());
            }
        }
    }
    None
}

/// The end of the words of a pass phrase that is said in a sentence: four to ten of them in small letters to the
/// sentence's end, none of which is a sentence's.
fn words(text: &[u8], at: usize) -> Option<usize> {
    let line = &text[at..text.len().min(at + PHRASE_MAX)];
    let length = line
        .iter()
        .position(|byte| !(byte.is_ascii_lowercase() || *byte == b' '))
        .unwrap_or(line.len());
    // Nearly every sentence is done with here.
    if length < 15 {
        return None;
    }
    let ends = matches!(
        line[length..],
        [] | [b'\n' | b'"' | b'\r', ..] | [b'.' | b',']
    ) || matches!(line[length..], [b'.' | b',' | b';', b' ' | b'\n', ..]);
    let phrase = line[..length].trim_ascii_end();
    if !ends || phrase.len() == PHRASE_MAX {
        return None;
    }
    let mut count = 0;
    for word in phrase.split(|byte| *byte == b' ') {
        count += 1;
        let inflected = [b"ed".as_slice(), b"ing", b"ly", b"able"]
            .iter()
            .any(|end| word.len() > 4 && word.ends_with(end));
        if !(3..=10).contains(&word.len()) || inflected || SENTENCE.contains(word) {
            return None;
        }
    }
    (4..=10).contains(&count).then_some(at + phrase.len())
}

/// Behind `(temporary): `, `[admin]: `.
fn aside(text: &[u8], at: usize) -> Option<usize> {
    let close = match text.get(at)? {
        b'(' => b')',
        b'[' => b']',
        _ => return None,
    };
    let head = &text[at..text.len().min(at + 32)];
    let length = memchr::memchr(close, head)?;
    text[at + length + 1..]
        .starts_with(b": ")
        .then_some(at + length + 3)
}

/// The private key of a wallet: 64 hexadecimal digits.
fn is_private(secret: &[u8]) -> bool {
    let digits = secret.strip_prefix(b"0x").unwrap_or(secret);
    digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit)
}

/// `base64-encoded`
fn is_compound(word: &[u8]) -> bool {
    memchr::memchr(b'-', word).is_some_and(|at| {
        is_kind_word(&word[..at]) && word[at + 1..].iter().all(u8::is_ascii_alphabetic)
    })
}

/// `verification code is 482913`, `code: 482913`.
fn code(text: &[u8], at: usize, end: usize) -> Option<Finding> {
    let before = text[at.saturating_sub(24)..at].trim_ascii_end();
    let kind = before.rsplit(|byte| !byte.is_ascii_alphanumeric()).next()?;
    let known = [
        b"verification".as_slice(),
        b"security",
        b"login",
        b"access",
        b"confirmation",
        b"authentication",
        b"otp",
        b"2fa",
        b"mfa",
        b"sms",
        b"time",
        b"passcode",
    ];
    let is = |names: &[&[u8]]| names.iter().any(|word| kind.eq_ignore_ascii_case(word));
    // That of a post office has six digits.
    let pin = is(&[b"pin"]);
    let network = is(&[b"wifi", b"fi", b"wlan"]);
    if !pin && !network && !is(&known) {
        return None;
    }
    let rest = text[end..]
        .strip_prefix(b":")
        .unwrap_or_else(|| &text[end..]);
    let rest = rest.strip_prefix(b" ")?;
    let rest = rest
        .strip_prefix(b"is ")
        .or_else(|| rest.strip_prefix(b"is: "))
        .unwrap_or(rest);
    let start = text.len() - rest.len();
    let stop = run_within(text, start, VISIBLE, 64);
    let number = text[start..stop]
        .strip_suffix(b".")
        .unwrap_or_else(|| &text[start..stop]);
    let number = number.strip_suffix(b",").unwrap_or(number);
    let lengths = if pin { 4..=4 } else { 4..=8 };
    let digits = lengths.contains(&number.len()) && number.iter().all(u8::is_ascii_digit);
    let key = network && number.len() >= 8 && telling(number);
    (digits || key).then_some(Finding {
        start,
        end: start + number.len(),
        mask: Mask::Plain,
    })
}

/// The second of two strings in brackets, a user's name and a password: `("bob", "…")`; `at` is the bracket.
pub(super) fn second(text: &[u8], at: usize) -> Option<Finding> {
    let text = &text[..text.len().min(at + PAIR_MAX)];
    let blank = |at: usize| {
        let rest = text.get(at..).unwrap_or_default();
        text.len() - rest.trim_ascii_start().len()
    };
    let (from, to) = value::quoted(text, blank(at + 1))?;
    // A path is nobody's name.
    if text[from..].starts_with(b"/") {
        return None;
    }
    let comma = blank(behind_quote(text, to));
    if text.get(comma) != Some(&b',') {
        return None;
    }
    let mut start = blank(comma + 1);
    if text[start..].starts_with(b"Some(") {
        start += 5;
    }
    let (from, to) = value::quoted(text, start)?;
    let secret = &text[from..to];
    let closed = matches!(text.get(blank(behind_quote(text, to))), Some(b')' | b','));
    // `("username", "password")` of a manual.
    let word = !telling(secret) && value::in_text(secret).is_some();
    (closed && !word && !secret.contains(&b' '))
        .then(|| Kind::Password.judge(secret))
        .flatten()
        .map(|_| Finding {
            start: from,
            end: to,
            mask: Mask::Plain,
        })
}

/// Behind the quote, with backslashes before it or without, at which a text in quotes ends.
fn behind_quote(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let slashes = rest.iter().take_while(|byte| **byte == b'\\').count();
    at + slashes + 1
}

/// `define('DB_PASSWORD', '…')`, `setItem("token", "…")`, `setPassword("…")`, `login("bob", "…")`.
#[inline(never)]
pub(super) fn called(text: &[u8], at: usize) -> Option<Finding> {
    let mut end = run_within(text, at, WORD, 32);
    if text[end..].starts_with(b"_auth(") {
        end += 5;
    }
    let name = &text[at..end];
    if PAIRS.iter().any(|known| name.eq_ignore_ascii_case(known)) && text.get(end) == Some(&b'(') {
        return second(text, end);
    }
    if text[end..].starts_with(b"_connect(") {
        end += 8;
    }
    if (matches!(name, b"getConnection" | b"mysqli") || name.eq_ignore_ascii_case(b"pdo"))
        && text.get(end) == Some(&b'(')
    {
        // The first is the address.
        let (_, to) = value::quoted(&text[..text.len().min(end + PAIR_MAX)], end + 1)?;
        return second(text, behind_quote(text, to));
    }
    let quote = text.get(end + 1)?;
    if text.get(end) != Some(&b'(') || !matches!(quote, b'"' | b'\'') {
        return None;
    }
    let (from, to) = value::quoted(&text[..text.len().min(end + 256)], end + 1)?;
    let first = &text[from..to];
    if let Some(what) = name
        .strip_prefix(b"set")
        .or_else(|| name.strip_prefix(b"Set"))
        && let Some(kind) = value::in_text(what)
    {
        return kind
            .judge(first)
            .filter(|_| !is_kind_word(first))
            .map(|_| Finding {
                start: from,
                end: to,
                mask: Mask::Plain,
            });
    }
    if !SETTERS.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return None;
    }
    let kind = value::in_text(first)?;
    let rest = text.get(to + 1..)?.strip_prefix(b",")?.trim_ascii_start();
    let start = text.len() - rest.len();
    let (from, to) = value::quoted(text, start)?;
    let value = text.get(from..to)?;
    // `add('password', 'Enter your password')` of a form.
    let label = !telling(value) && (value.contains(&b' ') || value::in_text(value).is_some());
    if label || is_kind_word(value) {
        return None;
    }
    let mask = kind.judge(value)?;
    let (secret, mask) = super::credential(value, mask);
    Some(Finding {
        start: to - secret.len(),
        end: to,
        mask,
    })
}

/// What the word at `at` announces, and where it ends.
fn kind(text: &[u8], at: usize, end: usize) -> Option<(Kind, usize)> {
    let word = &text[at..end];
    if PASSWORDS.contains(word) {
        return Some((Kind::Password, end));
    }
    let is = |names: &[&[u8]]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    let kind = if is(&[b"pin", b"otp"]) {
        Kind::Digits(4)
    } else if is(&[b"cvv", b"cvc"]) {
        Kind::Digits(3)
    } else if is(&[b"token", b"secret", b"key"]) {
        Kind::Token
    } else if is(&[b"contrase"]) && text[end..].starts_with("ña".as_bytes()) {
        return Some((Kind::Password, end + 3));
    } else if is(&[b"passe"]) && text[..at].ends_with(b"ot de ") {
        Kind::Password
    } else {
        return None;
    };
    Some((kind, end))
}

/// Words for a password.
static PASSWORDS: Words<14> = Words::new([
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "pw",
    "requirepass",
    "masterauth",
    "identified",
    "passwort",
    "kennwort",
    "senha",
    "wachtwoord",
    "contrasena",
]);

/// Names of numbers of persons, as people write them before those.
static PERSONS: Words<23> = Words::new(PERSON_WORDS);

const PERSON_WORDS: [&str; 23] = [
    "bsn",
    "pesel",
    "nhs",
    "sin",
    "tfn",
    "cnp",
    "egn",
    "oib",
    "pps",
    "passport",
    "aadhaar",
    "cpf",
    "dni",
    "nie",
    "nif",
    "rut",
    "curp",
    "nino",
    "ssn",
    "nric",
    "kimlik",
    "isikukood",
    "medicare",
];

/// Words that stand in sentences about a password, and in no pass phrase that is worth the name.
static SENTENCE: Words<72> = Words::new([
    "the",
    "and",
    "for",
    "not",
    "that",
    "this",
    "with",
    "from",
    "your",
    "you",
    "they",
    "them",
    "their",
    "its",
    "our",
    "his",
    "her",
    "are",
    "was",
    "were",
    "been",
    "has",
    "have",
    "had",
    "will",
    "would",
    "should",
    "must",
    "can",
    "may",
    "might",
    "could",
    "does",
    "did",
    "than",
    "then",
    "when",
    "where",
    "which",
    "who",
    "what",
    "how",
    "why",
    "too",
    "very",
    "only",
    "also",
    "never",
    "always",
    "but",
    "into",
    "onto",
    "over",
    "under",
    "about",
    "after",
    "before",
    "because",
    "since",
    "until",
    "while",
    "if",
    "set",
    "sent",
    "kept",
    "same",
    "wrong",
    "stored",
    "known",
    "case",
    "sensitive",
    "there",
]);

/// Skips `is`, `was changed to` and their kin; says whether any was there.
fn link(text: &[u8], at: usize) -> (usize, bool) {
    const VERBS: [&[u8]; 13] = [
        b"is",
        b"ist",
        b"lautet",
        b"es",
        b"est",
        "é".as_bytes(),
        b"was",
        b"are",
        b"has been",
        b"will be",
        b"should be",
        b"must be",
        b"is now",
    ];
    const CHANGES: [&[u8]; 6] = [
        b"set to",
        b"reset to",
        b"changed to",
        b"updated to",
        b"rotated to",
        b"now set to",
    ];
    const SIGNS: [&[u8]; 7] = [b"from", b"to", b"as", b"BY", b"by", b"->", "→".as_bytes()];
    let step = |at: usize, words: &[&[u8]]| {
        let rest = text.get(at..).unwrap_or_default();
        // The longest of them, a colon behind it or not.
        let first = rest.first();
        let words = words
            .iter()
            .filter(|word| word.first() == first && rest.starts_with(word));
        let behind = words.filter_map(|word| {
            let rest = &rest[word.len()..];
            let space = usize::from(rest.first() == Some(&b':'));
            (rest.get(space) == Some(&b' ')).then_some(at + word.len() + space + 1)
        });
        behind.max()
    };
    let verb = step(at, &VERBS);
    let from = verb.unwrap_or(at);
    match step(from, &CHANGES).or(verb).or_else(|| step(at, &SIGNS)) {
        Some(behind) => (behind, true),
        None => (at, false),
    }
}

/// Short, and yet no word: with a digit, letters and a sign that no name has.
fn signed(word: &[u8]) -> bool {
    word.len() >= 6
        && word.iter().any(u8::is_ascii_digit)
        && word.iter().any(u8::is_ascii_alphabetic)
        && word.iter().any(|byte| b"!@#$%^&*".contains(byte))
        && word
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!@#$%^&*_-+?".contains(byte))
}

/// What no word of a sentence looks like.
pub(super) fn strong(word: &[u8]) -> bool {
    let any = |class: fn(&u8) -> bool| word.iter().any(class);
    word.len() >= 6
        && any(u8::is_ascii_digit)
        && any(u8::is_ascii_alphabetic)
        && !word.contains(&b'=')
        && !word.contains(&b'/')
        && !word.contains(&b'(')
        && !word.starts_with(b"-")
}

/// What is called with a user's name and a password.
const PAIRS: [&[u8]; 5] = [
    b"basicauth",
    b"basic_auth",
    b"login",
    b"networkcredential",
    b"setbasicauth",
];

/// What is called with a name and a value.
const SETTERS: [&[u8]; 14] = [
    b"put",
    b"add",
    b"addheader",
    b"define",
    b"get",
    b"getenv",
    b"header",
    b"set",
    b"setdefault",
    b"setenv",
    b"setenvironmentvariable",
    b"setheader",
    b"setitem",
    b"setproperty",
];

/// How far two strings in brackets are looked for, in bytes.
const PAIR_MAX: usize = 256;

const VALUE_MAX: usize = 256;

/// How long a pass phrase in a sentence may be, in bytes.
const PHRASE_MAX: usize = 96;

#[cfg(test)]
mod tests;

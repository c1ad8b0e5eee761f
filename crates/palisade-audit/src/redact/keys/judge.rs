//! Whether a value under a telling name is what the name says.

mod labels;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Kind;
use labels::is_label;

use crate::redact::Mask;
use crate::redact::words::Words;

pub(crate) use labels::is_said_of;

impl Kind {
    /// Whether a value of this kind may stand in the cell of a table.
    pub(crate) fn stands_in_cell(self) -> bool {
        matches!(
            self,
            Self::Digits(_)
                | Self::Opaque
                | Self::Password
                | Self::Phrase
                | Self::Single
                | Self::Token
                | Self::Word
        )
    }

    /// How the string is to be replaced; `None`: it stays, as far as its name goes.
    pub(crate) fn judge(self, text: &[u8]) -> Option<Mask> {
        if is_mask(text) {
            return None;
        }
        match self {
            Self::Digits(least) => holds_digits(text, usize::from(least)).then_some(Mask::Plain),
            Self::Answer | Self::Content => {
                let word = !text.is_empty()
                    && text.len() <= 128
                    && text
                        .iter()
                        .all(|byte| byte.is_ascii_graphic() || *byte >= 0x80);
                (word && !says_nothing(text)).then_some(Mask::Plain)
            }
            Self::Email => is_address(text).then_some(Mask::Address),
            Self::Opaque => (!says_nothing(text)
                && !begins_with_date(text)
                && (is_opaque(text) || is_mixed(text) || is_basic(text)))
            .then_some(Mask::Fingerprint),
            Self::Password => (!placeholder(text) && !speaks_of(text)).then_some(Mask::Plain),
            Self::Phrase => is_phrase(text).then_some(Mask::Plain),
            Self::Single => {
                (!text.contains(&b' ') && !says_nothing(text)).then_some(Mask::Fingerprint)
            }
            // `NFT`, `USDC`: what is traded.
            Self::Token if text.len() <= 5 && text.iter().all(u8::is_ascii_uppercase) => None,
            Self::Token => (!says_nothing(text)).then_some(Mask::Fingerprint),
            Self::Tokens => {
                let counts = text
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || b" ,._/kKMx".contains(byte));
                // Units of text, one by one: `["The", "Ġcat"]`.
                let unit = text.len() < 16 && !text.iter().any(u8::is_ascii_digit);
                (!counts && !unit && !says_nothing(text)).then_some(Mask::Fingerprint)
            }
            Self::Word => {
                // `pass: 12, fail: 3`, `pass: 98.5%`, `pass: 12/15`
                let digits = text.iter().all(u8::is_ascii_digit);
                let share = text.iter().any(|byte| b"%/".contains(byte))
                    && text
                        .iter()
                        .all(|byte| byte.is_ascii_digit() || b"%/. ".contains(byte));
                let count = text.len() < 4 && digits || share;
                (!count && !placeholder(text) && !looks_like_path(text)).then_some(Mask::Plain)
            }
            Self::Columns | Self::Name | Self::Rows | Self::Schema | Self::Value => None,
        }
    }

    /// As [`Kind::judge`], of a number of JSON.
    pub(crate) fn judge_number(self, number: &[u8]) -> bool {
        let digits = number.iter().filter(|byte| byte.is_ascii_digit()).count();
        let whole = digits == number.len();
        match self {
            Self::Digits(4) => whole && (4..=12).contains(&digits),
            Self::Digits(least) => whole && digits >= usize::from(least),
            Self::Password => true,
            Self::Answer | Self::Content | Self::Single | Self::Token | Self::Word => digits >= 4,
            Self::Columns
            | Self::Email
            | Self::Name
            | Self::Opaque
            | Self::Phrase
            | Self::Rows
            | Self::Schema
            | Self::Tokens
            | Self::Value => false,
        }
    }
}

/// What this module has put in the place of a secret before.
pub(crate) fn is_mask(text: &[u8]) -> bool {
    mask_length(text) == Some(text.len())
}

/// The length of a mask at the beginning of `text`.
pub(crate) fn mask_length(text: &[u8]) -> Option<usize> {
    let rest = text.strip_prefix(b"[REDACTED")?;
    if rest.first() == Some(&b']') {
        return Some(10);
    }
    if let Some(rest) = rest.strip_prefix(b"#") {
        let digits = rest
            .iter()
            .take(6)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        return (digits > 0 && rest.get(digits) == Some(&b']')).then_some(11 + digits);
    }
    let kinds: [&[u8]; 3] = [b":sha256:", b":token:", b":email:"];
    let kind = kinds.iter().find(|kind| rest.starts_with(kind))?;
    let hash = rest.get(kind.len()..kind.len() + 9)?;
    let hex = hash[..8].iter().all(u8::is_ascii_hexdigit);
    (hex && hash[8] == b']').then_some(10 + kind.len() + 8)
}

/// Stands for a value that is elsewhere, or not there at all.
pub(crate) fn placeholder(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    if text.is_empty() || WORDS_FOR_NOTHING.contains(text) {
        return true;
    }
    // Nearly every value begins with a letter or a digit.
    match text {
        [b'y' | b'Y', ..] => is_yours(text),
        [b'p', ..] => text.strip_prefix(b"process.env.").is_some_and(is_constant),
        [b'e', ..] => text.strip_prefix(b"env:").is_some_and(is_constant),
        [b'a'..=b'w' | b'z' | b'A'..=b'W' | b'Z' | b'0'..=b'9', ..] => false,
        [b'$', b'{', name @ .., b'}'] => is_name(name),
        [b'{', b'{', name @ .., b'}', b'}'] => is_name(name.trim_ascii()),
        [b'{', name @ .., b'}'] => is_name(name),
        [b'$', name @ ..] if is_constant(name) => true,
        [b'%', name @ .., b'%'] if is_constant(name) => true,
        // Of Ruby, Elixir, Logstash, Maven and SQL Server.
        [b'%' | b'#' | b'@', b'{', name @ .., b'}'] => is_name(name),
        [b'$', b'(', .., b')'] => true,
        b"%s" | b"%v" | b"%d" => true,
        [b'<', name @ .., b'>'] => {
            !name.is_empty()
                && name
                    .strip_prefix(b"base64")
                    .unwrap_or(name)
                    .iter()
                    .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'-' | b'_'))
        }
        // Somebody has masked it before.
        _ => {
            text.iter()
                .all(|byte| matches!(byte, b'*' | b'.' | b'x' | b'X'))
                || is_bullets(text)
        }
    }
}

/// `DB_PASSWORD`, the name of a variable.
fn is_constant(name: &[u8]) -> bool {
    name.len() >= 3
        && name
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || *byte == b'_')
}

/// `YOUR_API_KEY`, `your-token-here`.
fn is_yours(text: &[u8]) -> bool {
    matches!(text, [a, b, c, d, sign, ..]
        if [*a, *b, *c, *d].eq_ignore_ascii_case(b"your") && matches!(sign, b'_' | b'-' | b' '))
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-' | b' '))
}

/// A working directory, under the name `pwd`.
fn looks_like_path(text: &[u8]) -> bool {
    text.starts_with(b"/")
        || text.starts_with(b"~/")
        || text.starts_with(b"./")
        || matches!(text, [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic())
}

/// Random letters, as machines make them: long, without spaces, not made of words alone.
pub(crate) fn is_opaque(text: &[u8]) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let upper = text.iter().filter(|byte| byte.is_ascii_uppercase()).count();
    let lower = text.iter().filter(|byte| byte.is_ascii_lowercase()).count();
    text.len() >= 12
        && text.iter().all(|byte| matches!(byte, 0x21..=0x7e))
        && !text.starts_with(b"/")
        && memchr::memmem::find(text, b"://").is_none()
        && (digits >= 2 && lower + upper >= 2 || lower >= 4 && upper >= 4 && text.len() >= 20)
}

/// A short secret: letters and digits mixed, and no name of a method with its version; or a user's name and such a
/// secret behind a colon.
fn is_mixed(text: &[u8]) -> bool {
    if let Some(colon) = memchr::memchr(b':', text) {
        let (user, secret) = (&text[..colon], &text[colon + 1..]);
        return !user.is_empty()
            && user.iter().all(u8::is_ascii_alphanumeric)
            && is_mixed_word(secret);
    }
    is_mixed_word(text)
}

fn is_mixed_word(text: &[u8]) -> bool {
    let word = (6..=32).contains(&text.len())
        && text
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!@#%&+~".contains(byte));
    let letters = text
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let digit = text.iter().any(u8::is_ascii_digit);
    let letter = text.iter().any(u8::is_ascii_alphabetic);
    word && digit
        && letter
        && !METHODS
            .iter()
            .any(|method| text[..letters].eq_ignore_ascii_case(method))
}

/// A user's name and password as Basic has them, RFC 7617: in base64, with a colon between.
fn is_basic(text: &[u8]) -> bool {
    (8..=256).contains(&text.len())
        && STANDARD.decode(text).is_ok_and(|pair| {
            pair.iter()
                .all(|byte| byte.is_ascii_graphic() || *byte == b' ')
                && pair.iter().skip(1).any(|byte| *byte == b':')
        })
}

/// Names that have a number behind them and are no secret.
const METHODS: &[&[u8]] = &[
    b"oauth",
    b"auth",
    b"saml",
    b"openid",
    b"oidc",
    b"sha",
    b"hs",
    b"rs",
    b"es",
    b"ps",
    b"hmac",
    b"pkcs",
    b"fido",
    b"webauthn",
    b"ntlmv",
    b"ntlm",
    b"http",
    b"https",
    b"tls",
    b"mtls",
    b"ssl",
    b"rfc",
    b"version",
    b"level",
    b"step",
    b"type",
    b"mode",
    b"user",
    b"admin",
    b"group",
    b"role",
    b"team",
    b"service",
    b"server",
    b"client",
    b"test",
    b"method",
    b"option",
    b"phase",
    b"aes",
    b"basic",
    b"digest",
    b"token",
    b"bearer",
    b"jwt",
    b"kerberos",
    b"ldap",
    b"ldapv",
    b"snmpv",
    b"argon",
    b"bcrypt",
    b"ed",
    b"curve",
    b"secp",
];

/// The words of a wallet's seed (BIP 39 has twelve at least), or the beginning of them.
fn is_phrase(text: &[u8]) -> bool {
    text.split(u8::is_ascii_whitespace)
        .filter(|word| {
            word.len() >= 3
                && word
                    .iter()
                    .all(|byte| byte.is_ascii_lowercase() || *byte >= 0x80)
        })
        .count()
        >= PHRASE_MIN
}

/// Mnemonics of other things are shorter.
const PHRASE_MIN: usize = 10;

/// Words that configurations have in the place of a token.
fn says_nothing(text: &[u8]) -> bool {
    placeholder(text) || WORDS_ABOUT.contains(text) || speaks_of(text)
}

/// What is a word or a sentence about a secret rather than one.
fn speaks_of(text: &[u8]) -> bool {
    // Nearly every value is one word.
    let sign = text
        .iter()
        .take(FIRST_MAX)
        .position(|byte| matches!(byte, b' ' | b'|'));
    match sign {
        None => matches!(text, [b'A'..=b'Z', _, _, ..]) && is_label(text),
        // `Bearer ${TOKEN}`
        Some(sign) if SCHEMES.contains(&text[..sign]) => placeholder(&text[sign + 1..]),
        Some(_) => {
            is_label(text)
                || is_said_of(text)
                // `<type> <credentials>`
                || text[0] == b'<' && text.split(|byte| *byte == b' ').all(placeholder)
        }
    }
}

/// No first word of those below is longer, in bytes.
const FIRST_MAX: usize = 17;

static SCHEMES: Words<3> = Words::new(["bearer", "basic", "token"]);

fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

/// `••••••`.
fn is_bullets(text: &[u8]) -> bool {
    text.chunks(3)
        .all(|bullet| matches!(bullet, [0xe2, 0x80, 0xa2] | [0xe2, 0x97, 0x8f]))
}

fn holds_digits(text: &[u8], least: usize) -> bool {
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = text
        .iter()
        .filter(|byte| byte.is_ascii_alphabetic())
        .count();
    // A PIN is digits; the numbers of persons may begin or end with letters, hold a few words.
    let fits = match least {
        // Codes that are sent mix letters and digits: those of a board's pins begin with their letters.
        3 | 4 if is_code(text, digits, letters) => return true,
        // A version is none.
        3 | 4 => letters == 0 && !text.contains(&b'.') || letters <= 3 && digits >= 6,
        _ => text.len() <= 64,
    };
    fits && digits >= least && !looks_like_time(text)
}

/// `a1b2c3`
fn is_code(text: &[u8], digits: usize, letters: usize) -> bool {
    text.len() <= 10
        && digits >= 3
        && digits + letters == text.len()
        && text
            .windows(2)
            .any(|pair| pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic())
}

/// `2026-01-31T12:00:00Z`: nobody's number.
fn looks_like_time(text: &[u8]) -> bool {
    let is_digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    text.len() >= 16 && is_digit(3) && text.get(4) == Some(&b'-') && text.get(10) == Some(&b'T')
}

/// `2026-01-31-standup`
pub(crate) fn begins_with_date(text: &[u8]) -> bool {
    text.first_chunk::<10>().is_some_and(|date| {
        date.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
    })
}

/// An address alone: within a sentence it is found by its shape.
fn is_address(text: &[u8]) -> bool {
    let sign = memchr::memchr(b'@', text).is_some()
        || [b"%40".as_slice(), b"(at)", b"[at]"]
            .iter()
            .any(|sign| memchr::memmem::find(text, sign).is_some());
    sign && text.len() > 2
        && !text.contains(&b' ')
        && !text.contains(&b'\n')
        && !text.contains(&b'<')
}

/// Values that say there is none, or of what kind it is.
static WORDS_FOR_NOTHING: Words<21> = Words::new([
    "null",
    "none",
    "nil",
    "undefined",
    "true",
    "false",
    "string",
    "required",
    "optional",
    "n/a",
    "-",
    "yes",
    "no",
    "on",
    "off",
    "disabled",
    "enabled",
    // Phase-shift keying.
    "bpsk",
    "qpsk",
    "8psk",
    "16psk",
]);

/// Values that speak of a token.
static WORDS_ABOUT: Words<44> = Words::new([
    "read",
    "write",
    "include",
    "omit",
    "same-origin",
    "yes",
    "no",
    "bearer",
    "basic",
    "digest",
    "jwt",
    "oauth",
    "oauth2",
    "oidc",
    "api_key",
    "apikey",
    "api-key",
    "token",
    "unknown",
    "default",
    "auto",
    "enabled",
    "disabled",
    "hidden",
    "public",
    "private",
    "number",
    "integer",
    "boolean",
    "object",
    "array",
    "header",
    "query",
    "cookie",
    "body",
    "inherit",
    "on",
    "off",
    "any",
    "all",
    "text",
    "image",
    "resource",
    "password",
]);

#[cfg(test)]
mod tests;

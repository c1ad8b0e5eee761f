//! Whether a value under a telling name is what the name says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Kind;
use crate::redact::Mask;
use crate::redact::words::Words;

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

/// What a form or a translation calls the field: `Password`, `Confirm password`, `API key`. A word alone begins with a
/// capital, for people do choose `password`; of several all but the last are such as stand in forms.
fn is_label(text: &[u8]) -> bool {
    let text = match text.split_last() {
        Some((b'?' | b':' | b'*', head)) if head.contains(&b' ') => head,
        _ => text,
    };
    if text.len() > LABEL_MAX {
        return false;
    }
    let Some(space) = memchr::memrchr(b' ', text) else {
        let capital =
            matches!(text, [b'A'..=b'Z', rest @ ..] if !rest.iter().any(u8::is_ascii_uppercase));
        return capital && PASSWORDS.contains(text);
    };
    let last = &text[space + 1..];
    (PASSWORDS.contains(last) || SECRETS.contains(last))
        && text[..space]
            .split(|byte| *byte == b' ')
            .all(|word| IN_FORMS.contains(word))
}

/// What a form says of what was put in, or a program of what must be: `is too short`, `required|min:8`.
pub(crate) fn is_said_of(text: &[u8]) -> bool {
    let Some(sign) = text.iter().position(|byte| matches!(byte, b' ' | b'|')) else {
        return false;
    };
    let (word, rest) = (&text[..sign], &text[sign + 1..]);
    if text[sign] == b'|' {
        return RULES.contains(word);
    }
    let rest = &rest[..rest.len().min(SAID_MAX)];
    let mut words = rest.split(|byte| matches!(byte, b' ' | b'.' | b',' | b'\''));
    let says = SAID.contains(word)
        || SUBJECTS.contains(word) && words.clone().take(2).any(|word| SAID.contains(word));
    says && words.any(|word| TOPICS.contains(word))
}

/// How a message of validation begins, or goes on behind its subject.
static SAID: Words<13> = Words::new([
    "is", "must", "can't", "can", "cannot", "should", "has", "does", "may", "needs", "was", "are",
    "please",
]);

static SUBJECTS: Words<8> = Words::new([
    "password",
    "passwords",
    "token",
    "field",
    "this",
    "secret",
    "the",
    "your",
]);

/// What messages of validation speak of.
static TOPICS: Words<36> = Words::new([
    "short",
    "long",
    "valid",
    "invalid",
    "required",
    "blank",
    "empty",
    "match",
    "matches",
    "common",
    "least",
    "most",
    "contain",
    "contains",
    "character",
    "characters",
    "letter",
    "letters",
    "digit",
    "digits",
    "enter",
    "entered",
    "provide",
    "provided",
    "weak",
    "confirmed",
    "taken",
    "null",
    "missing",
    "expired",
    "incorrect",
    "wrong",
    "numeric",
    "similar",
    "different",
    "allowed",
]);

/// How much of a message is looked at, in bytes.
const SAID_MAX: usize = 128;

/// The words that stand before the last in the name of a field.
static IN_FORMS: Words<53> = Words::new([
    "enter",
    "your",
    "new",
    "old",
    "current",
    "confirm",
    "repeat",
    "retype",
    "re-enter",
    "api",
    "access",
    "client",
    "secret",
    "private",
    "master",
    "admin",
    "user",
    "database",
    "db",
    "the",
    "please",
    "forgot",
    "change",
    "reset",
    "show",
    "hide",
    "set",
    "create",
    "choose",
    "type",
    "verify",
    "wi-fi",
    "wifi",
    "auth",
    "refresh",
    "bearer",
    "shared",
    "signing",
    "encryption",
    "license",
    "account",
    "security",
    "temporary",
    "login",
    "email",
    "public",
    "session",
    "a",
    "mot",
    "de",
    "neues",
    "altes",
    "nueva",
]);

/// The first of Laravel's rules of validation.
static RULES: Words<6> = Words::new([
    "required",
    "nullable",
    "string",
    "sometimes",
    "bail",
    "min:8",
]);

/// How long the name of a field is at most, in bytes.
const LABEL_MAX: usize = 32;

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

/// Words for a password.
static PASSWORDS: Words<20> = Words::new([
    "password",
    "passwort",
    "kennwort",
    "passphrase",
    "passcode",
    "contraseña",
    "contrasena",
    "senha",
    "passe",
    "wachtwoord",
    "parola",
    "heslo",
    "hasło",
    "lösenord",
    "salasana",
    "adgangskode",
    "passord",
    "jelszó",
    "şifre",
    "lozinka",
]);

/// Words for other secrets.
static SECRETS: Words<6> = Words::new(["token", "secret", "key", "pin", "cookie", "credentials"]);

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
mod tests {
    use super::*;

    #[test]
    fn masks() {
        for (text, length) in [
            ("[REDACTED]", Some(10)),
            ("[REDACTED] x", Some(10)),
            ("[REDACTED:sha256:0123abcd]", Some(26)),
            ("[REDACTED:token:0123abcd]", Some(25)),
            ("[REDACTED:email:0123abcd] x", Some(25)),
            ("[REDACTED#2]", Some(12)),
            ("[REDACTED#123456]", Some(17)),
            ("[REDACTED#]", None),
            ("[REDACTED#1234567]", None),
            ("[REDACTED:hunter2]", None),
            ("[REDACTED:sha256:hunter22]", None),
            ("[REDACTED:sha256:0123abcd", None),
            ("[REDACTED:sha256:0123abcde]", None),
            ("[REDACTED", None),
            ("x[REDACTED]", None),
        ] {
            assert_eq!(mask_length(text.as_bytes()), length, "{text}");
            assert_eq!(
                is_mask(text.as_bytes()),
                length == Some(text.len()),
                "{text}"
            );
        }
    }

    // REQ: L-2
    #[test]
    fn by_value() {
        let (plain, print, address) = (
            Some(Mask::Plain),
            Some(Mask::Fingerprint),
            Some(Mask::Address),
        );
        for (kind, text, expected) in [
            (Kind::Password, "hunter2", plain),
            (Kind::Password, "${DB_PASSWORD}", None),
            (Kind::Password, "${it is}", plain),
            (Kind::Password, "{{ secrets.DB }}", None),
            (Kind::Password, "<your-password>", None),
            (Kind::Password, "<3hearts>", plain),
            (Kind::Password, "********", None),
            (Kind::Password, "••••", None),
            (Kind::Password, "None", None),
            (Kind::Password, "default", plain),
            (Kind::Password, "[REDACTED]", None),
            (Kind::Password, "[REDACTED:hunter2]", plain),
            (Kind::Token, "abc", print),
            (Kind::Token, "same-origin", None),
            (Kind::Tokens, "1,024", None),
            (Kind::Tokens, "abc1", print),
            (Kind::Tokens, "abc", None),
            (Kind::Tokens, "abcdefghijklmnop", print),
            (Kind::Digits(4), "1234", plain),
            (Kind::Digits(4), "13", None),
            (Kind::Digits(4), "GPIO1789", None),
            (Kind::Digits(4), "D13", None),
            (Kind::Digits(4), "G-123456", plain),
            (Kind::Digits(5), "+1 (415) 555-2671 ext. 5", plain),
            (Kind::Digits(5), "A1", None),
            (Kind::Digits(5), "2026-01-31T12:00:00Z", None),
            (Kind::Digits(5), "X1234567", plain),
            (Kind::Email, "a@b", address),
            (Kind::Email, "a%40b.com", address),
            (Kind::Email, "a[at]b.com", address),
            (Kind::Email, "daily", None),
            (Kind::Email, "A <a@b.com>", None),
            (Kind::Email, "say a@b.com", None),
            (Kind::Opaque, "0123456789ab", print),
            (Kind::Opaque, "0123456789a", print),
            (Kind::Opaque, "123456789012", None),
            (Kind::Opaque, "oauth2", None),
            (Kind::Opaque, "client_credentials_grant", None),
            (Kind::Opaque, "aBcDeFgHiJkLmNoPqRsT", print),
            (Kind::Opaque, "https://example.com/v2/a1", None),
            (Kind::Opaque, "a1 b2 c3 d4 e5 f6", None),
            (Kind::Name, "password", None),
            (Kind::Word, "hunter2", plain),
            (Kind::Word, "/home/bob", None),
            (Kind::Password, "{token}", None),
            (Kind::Password, "%s", None),
            (Kind::Password, "$DB_PASSWORD", None),
            (Kind::Password, "$DB", plain),
            (Kind::Password, "$ecret", plain),
            (Kind::Password, "%DB_PASSWORD%", None),
            (Kind::Password, "%db%", plain),
            (Kind::Password, "$(cat /run/x)", None),
            (Kind::Password, "YOUR_API_KEY", None),
            (Kind::Password, "your-password-here", None),
            (Kind::Password, "yours", plain),
            (Kind::Password, "your_1st", plain),
            (Kind::Token, "process.env.API_KEY", None),
            (Kind::Token, "env:API_KEY", None),
            (Kind::Token, "env:apikey", print),
            (Kind::Word, "12", None),
            (Kind::Word, "1234", plain),
            (Kind::Word, "ab", plain),
            (Kind::Password, "off", None),
        ] {
            assert_eq!(kind.judge(text.as_bytes()), expected, "{kind:?} {text}");
        }
        for (kind, number, expected) in [
            (Kind::Password, "1", true),
            (Kind::Token, "123", false),
            (Kind::Token, "1234", true),
            (Kind::Tokens, "123456", false),
            (Kind::Digits(4), "13", false),
            (Kind::Digits(4), "1234", true),
            (Kind::Digits(4), "1234567890123", false),
            (Kind::Digits(5), "4155552671", true),
            (Kind::Digits(5), "0.54030230586", false),
            (Kind::Digits(5), "-123456", false),
            (Kind::Email, "12345", false),
            (Kind::Word, "12", false),
            (Kind::Word, "1234", true),
        ] {
            assert_eq!(
                kind.judge_number(number.as_bytes()),
                expected,
                "{kind:?} {number}"
            );
        }
    }

    // REQ: L-2
    #[test]
    fn words_about_secrets() {
        for (text, stays) in [
            ("Password", true),
            ("password", false),
            ("PASSWORD", false),
            ("Passwort", true),
            ("Password1", false),
            ("Secret", false),
            ("Confirm password", true),
            ("Enter your password", true),
            ("Forgot your password?", true),
            ("API key", true),
            ("super secret password", false),
            ("my secret key", false),
            ("letmein password", false),
            ("is too short", true),
            ("must contain a digit", true),
            ("Password must be at least 8 characters", true),
            ("This field is required.", true),
            ("is this it 123", false),
            ("please let me in", false),
            ("please enter your password", true),
            ("required|min:8", true),
            ("hunter|min:8", false),
            ("<type> <credentials>", true),
            ("<type> hunter2", false),
            ("Bearer ${TOKEN}", true),
            ("Bearer abc", false),
        ] {
            let kept = Kind::Password.judge(text.as_bytes()).is_none();
            assert_eq!(kept, stays, "{text}");
        }
    }

    /// Each rule with what is just short of it.
    // REQ: L-2
    #[test]
    fn edges() {
        for (text, is) in [
            ("abc123", true),
            ("abc12", false),
            ("a1b2c3", true),
            ("hunter2!", true),
            ("oauth2", false),
            ("OAuth20", false),
            ("oauthx2", true),
            ("123456", false),
            ("abcdef", false),
            ("abc-123", false),
            ("bob:abc123", true),
            ("bob:abc12", false),
            (":abc123", false),
            ("b-b:abc123", false),
            ("bob:x:abc123", false),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1", true),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1", false),
        ] {
            assert_eq!(is_mixed(text.as_bytes()), is, "{text}");
        }
        for (text, is) in [
            ("0123456789ab", true),
            ("0123456789a", false),
            ("/123456789ab", false),
            ("012 456789ab", false),
            ("0123456789\u{7f}a", false),
            ("01234567890a", false),
            ("abcdefghij12", true),
            ("abcdefghijk1", false),
            ("ABCDEFGHIJ12", true),
            ("abcdefghijklmnopABCD", true),
            ("abcdefghijklmnopqABC", false),
            ("ABCDEFGHIJKLMNOPabcd", true),
            ("ABCDEFGHIJKLMNOPQabc", false),
            ("abcdefghijklmnoABCD", false),
            ("a1://bcdefgh23", false),
        ] {
            assert_eq!(is_opaque(text.as_bytes()), is, "{text}");
        }
        for (text, is) in [
            ("/x", true),
            ("~/x", true),
            ("./x", true),
            ("C:\\x", true),
            ("c:/x", true),
            ("1:/x", false),
            ("c:x", false),
            ("~x", false),
            (".x", false),
            ("x/", false),
        ] {
            assert_eq!(looks_like_path(text.as_bytes()), is, "{text}");
        }
        for (text, is) in [
            ("2026-01-31T12:00", true),
            ("2026-01-31T12:0", false),
            ("202x-01-31T12:00", false),
            ("2026.01-31T12:00", false),
            ("2026-01-31 12:00", false),
        ] {
            assert_eq!(looks_like_time(text.as_bytes()), is, "{text}");
        }
        for (text, is) in [
            ("a@b", true),
            ("@b", false),
            ("a(at)b", true),
            ("a%40b", true),
            ("a b@c", false),
            ("a@b\n", false),
            ("<a@b", false),
            ("abc", false),
        ] {
            assert_eq!(is_address(text.as_bytes()), is, "{text}");
        }
        for (text, least, is) in [
            ("1234", 4, true),
            ("123", 4, false),
            ("123", 3, true),
            ("12", 3, false),
            ("1 2 3 4", 4, true),
            ("27.0.1", 4, false),
            ("27.0.1.2.3.4", 4, true),
            ("abc123456", 4, true),
            ("abcd123456", 4, false),
            ("abc12345", 4, false),
            ("a1b2c3", 4, true),
            ("a1b2cd", 4, false),
            ("abc123", 4, false),
            ("a1b2c3-", 4, false),
            ("a1b2c3d4e5", 4, true),
            ("a1b2c3d4e5f", 4, false),
            ("12345", 5, true),
            ("1234", 5, false),
            ("call 12345 or so", 5, true),
        ] {
            assert_eq!(holds_digits(text.as_bytes(), least), is, "{text}");
        }
        assert!(holds_digits(
            format!("12345{}", " ".repeat(59)).as_bytes(),
            5
        ));
        assert!(!holds_digits(
            format!("12345{}", " ".repeat(60)).as_bytes(),
            5
        ));
        let words = "legal winner thank year wave sausage worth useful legal winner";
        assert!(is_phrase(words.as_bytes()));
        assert!(!is_phrase(words.trim_start_matches("legal ").as_bytes()));
        assert!(!is_phrase(words.replace("year", "yr").as_bytes()));
        assert!(!is_phrase(words.replace("year", "Year").as_bytes()));
        assert!(is_phrase(words.replace("year", "été").as_bytes()));
        for (text, is) in [
            ("", true),
            ("  ", true),
            (" null ", true),
            ("nulls", false),
            ("${a.b-c}", true),
            ("${}", false),
            ("{{ a }}", true),
            ("{{ a b }}", false),
            ("{a}", true),
            ("{a b}", false),
            ("$ABC", true),
            ("$AB", false),
            ("$A1C", false),
            ("%A_C%", true),
            ("%AB%", false),
            ("$(x)", true),
            ("$(x", false),
            ("%s", true),
            ("%v", true),
            ("%d", true),
            ("%x", false),
            ("<a b-c_d>", true),
            ("<base64>", true),
            ("<base64-secret>", true),
            ("<a1>", false),
            ("<>", false),
            ("your-x", true),
            ("YOUR_X", true),
            ("your x", true),
            ("your.x", false),
            ("your", false),
            ("your-", true),
            ("your-1", false),
            ("process.env.A_B", true),
            ("process.env.Ab", false),
            ("env:ABC", true),
            ("xxxx", true),
            ("XX.*", true),
            ("xxxxa", false),
            ("•••", true),
            ("●●", true),
            ("•a", false),
            ("••\u{e2}", false),
            ("-", true),
            ("n/a", true),
        ] {
            assert_eq!(placeholder(text.as_bytes()), is, "{text}");
        }
        for (kind, text, is) in [
            (Kind::Content, "abc", true),
            (Kind::Content, "", false),
            (Kind::Content, "a b", false),
            (Kind::Content, "é", true),
            (Kind::Content, "a\u{7f}", false),
            (Kind::Content, "token", false),
            (Kind::Single, "abc", true),
            (Kind::Single, "of good news", false),
            (Kind::Single, "token", false),
            (Kind::Phrase, "ADD", false),
            (Kind::Tokens, "1 2,3._/kKMx", false),
            (Kind::Tokens, "1 2,3.m", true),
            (Kind::Tokens, "abcdefghijklmno", false),
            (Kind::Tokens, "abcdefghijklmnop", true),
            (Kind::Tokens, "a1", true),
            (Kind::Word, "123", false),
            (Kind::Word, "1234", true),
            (Kind::Word, "100%", false),
            (Kind::Word, "12/ 15.5", false),
            (Kind::Word, "12/x5", true),
            (Kind::Word, "12.15", true),
            (Kind::Word, "ab1", true),
            (Kind::Opaque, "dXNlcjpwYXNz", true),
            (Kind::Opaque, "dTpw", false),
            (Kind::Opaque, "OnVzZXJwYXNz", false),
            (Kind::Opaque, "dXNlcjoAYXNz", false),
            (Kind::Opaque, "dXNlcnxwYXNz", false),
            (Kind::Columns, "hunter22", false),
            (Kind::Rows, "hunter22", false),
        ] {
            assert_eq!(kind.judge(text.as_bytes()).is_some(), is, "{kind:?} {text}");
        }
        for (kind, number, is) in [
            (Kind::Digits(4), "123456789012", true),
            (Kind::Digits(4), "123", false),
            (Kind::Digits(5), "12345", true),
            (Kind::Digits(5), "1234", false),
            (Kind::Digits(3), "123", true),
            (Kind::Content, "1234", true),
            (Kind::Content, "123", false),
            (Kind::Single, "-12.34", true),
            (Kind::Single, "12.3", false),
            (Kind::Opaque, "123456", false),
            (Kind::Phrase, "123456", false),
            (Kind::Columns, "123456", false),
            (Kind::Rows, "123456", false),
        ] {
            assert_eq!(
                kind.judge_number(number.as_bytes()),
                is,
                "{kind:?} {number}"
            );
        }
    }
}

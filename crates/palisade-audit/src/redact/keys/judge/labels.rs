//! What is the name of a field, or said about one, and no secret.

use crate::redact::words::Words;

/// What a form or a translation calls the field: `Password`, `Confirm password`, `API key`. A word alone begins with a
/// capital, for people do choose `password`; of several all but the last are such as stand in forms.
pub(super) fn is_label(text: &[u8]) -> bool {
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

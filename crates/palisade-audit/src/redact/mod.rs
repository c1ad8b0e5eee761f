//! Takes secrets and personal data out of JSON and text, before anything is written.
//!
//! One pass over raw bytes, linear in time, no tree: what is innocent is copied byte for byte
//! (number text, key order, spaces), what is not is replaced:
//!
//! * `[REDACTED]` for what could be guessed from a hash: passwords, addresses, card numbers;
//! * `[REDACTED:sha256:xxxxxxxx]` for tokens: the first eight characters of the SHA-256, so that
//!   two records with the same token can be seen to have it.
//!
//! [`keys`] decides by the name of a key, [`values`] by the shape of a value, [`copy`] walks the JSON.
//! [`Redactor`] adds what an operator may want otherwise: keyed pseudonyms, tools whose arguments go whole,
//! places that stay.
//!
//! What was redacted stays as it is when it is redacted again.

mod copy;
mod keys;
mod policy;
mod values;
mod words;

use std::borrow::Cow;

use crate::digest::{Fingerprint, push_sha256};
use crate::escape;
use crate::survey::{is_alphanumeric, survey};
use values::Scanner;

pub(crate) use copy::{Scratch, unescape};
use policy::Masker;
pub use policy::{NotJson, PSEUDONYM_KEY_LEN, Path, PathError, Redactor, ToolPolicy};

/// Appends a redacted copy of the JSON value `json` to `out`, on one line.
///
/// Innocent bytes stay as they are, except: line breaks between tokens are dropped, characters that
/// are unsafe to show raw become escapes, and a number that no 64-bit float can hold becomes a string with
/// the same text, because strict readers would refuse the whole line for it.
///
/// What is not JSON (or not UTF-8, or holds a lone surrogate) is appended as a JSON string of its first
/// 4,096 bytes, redacted as text. What is nested deeper than 64 levels is replaced whole by
/// `{"omitted":true,"bytes":…,"sha256":"…"}`.
pub fn redact_json(json: &[u8], out: &mut Vec<u8>) {
    json_into(json, out, &mut Scratch::default());
}

/// `text` without secrets: for error messages, header values, names that a peer chose.
///
/// Finds the same shapes as [`redact_json`] does inside strings: tokens, e-mail addresses, card numbers,
/// private keys, credentials in URLs, `password=…`, `"password": "…"`.
#[must_use]
pub fn redact_text(text: &str) -> Cow<'_, str> {
    text_with(text, Aim::All)
}

/// What counts as a finding in a text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Aim {
    /// Secrets and personal data.
    All,
    /// Secrets only: an actor's id may well be an e-mail address, and is what the log is for.
    Secrets,
}

/// How a finding is replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mask {
    /// By nothing but the word, or a pseudonym.
    Address,
    /// By the eight characters of its hash, or a pseudonym.
    Fingerprint,
    /// By what the scanner has at hand: bytes from and to.
    Given(usize, usize),
    /// By nothing but the word.
    Plain,
}

/// Bytes `start..end` of a text are to be replaced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) mask: Mask,
}

pub(crate) fn json_into(json: &[u8], out: &mut Vec<u8>, scratch: &mut Scratch) {
    let start = out.len();
    match copy::copy(json, out, scratch, &Masker::PLAIN, &[]) {
        Ok(_) => {}
        Err(copy::Refused::Deep) => {
            out.truncate(start);
            push_omitted(out, json);
        }
        Err(copy::Refused::Invalid) => {
            out.truncate(start);
            push_invalid(out, json, &Masker::PLAIN);
        }
    }
}

fn push_invalid(out: &mut Vec<u8>, json: &[u8], masker: &Masker) {
    let text = String::from_utf8_lossy(head(json, INVALID_WINDOW));
    // The window is a little wider than what is shown, so that a secret across the edge is
    // still recognised by its shape.
    let redacted = text_masked(&text, Aim::All, masker);
    escape::push_string(out, cut_bytes(&redacted, INVALID_MAX));
}

/// Stands for arguments that are too long or too deep to be shown.
pub(crate) fn push_omitted(out: &mut Vec<u8>, json: &[u8]) {
    out.extend_from_slice(b"{\"omitted\":true,\"bytes\":");
    out.extend_from_slice(itoa::Buffer::new().format(json.len()).as_bytes());
    out.extend_from_slice(b",\"sha256\":\"");
    push_sha256(out, json);
    out.extend_from_slice(b"\"}");
}

pub(crate) fn text_with(text: &str, aim: Aim) -> Cow<'_, str> {
    text_masked(text, aim, &Masker::PLAIN)
}

fn text_masked<'a>(text: &'a str, aim: Aim, masker: &Masker) -> Cow<'a, str> {
    let bytes = text.as_bytes();
    if !values::may_hold(bytes) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::new();
    let mut from = 0;
    let mut scanner = Scanner::surveyed(bytes, aim, masker).prepared();
    while let Some(finding) = scanner.next() {
        out.extend_from_slice(&bytes[from..finding.start]);
        match finding.mask {
            Mask::Given(from, to) => out.extend_from_slice(scanner.given(from, to)),
            mask => masker.push(&mut out, &bytes[finding.start..finding.end], mask),
        }
        from = finding.end;
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&bytes[from..]);
    // Findings begin and end between characters, so nothing is ever replaced here.
    let lossy =
        |error: std::string::FromUtf8Error| String::from_utf8_lossy(error.as_bytes()).into_owned();
    Cow::Owned(String::from_utf8(out).unwrap_or_else(lossy))
}

/// Whether `text` needs neither redaction nor escapes: most short names do not.
#[inline]
pub(crate) fn is_plain(text: &str, aim: Aim) -> bool {
    let text = text.as_bytes();
    if is_alphanumeric(text) {
        return !values::is_telling_word(text, aim);
    }
    let survey = survey(text);
    if survey.plain < text.len() {
        return false;
    }
    !values::may_hold_surveyed(text, survey)
        || Scanner::surveyed(text, aim, &Masker::PLAIN)
            .next()
            .is_none()
}

fn fingerprint(out: &mut Vec<u8>, secret: &[u8]) {
    out.extend_from_slice(b"[REDACTED:sha256:");
    out.extend_from_slice(Fingerprint::of(secret).as_bytes());
    out.push(b']');
}

/// At most `max` bytes of `text`, whole characters.
pub(crate) fn cut_bytes(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

fn head(bytes: &[u8], max: usize) -> &[u8] {
    &bytes[..bytes.len().min(max)]
}

/// How much of arguments that are not JSON is shown, in bytes.
const INVALID_MAX: usize = 4_096;

/// How much of them is looked at.
const INVALID_WINDOW: usize = 8_192;

/// How far past a cut a secret is still looked for, in bytes.
pub(crate) const MARGIN: usize = 4_096;

#[cfg(test)]
mod tests;

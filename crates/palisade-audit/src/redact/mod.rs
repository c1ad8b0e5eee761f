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
//! This is the engine's plain form: keys in languages other than English, JSON inside strings and
//! keyed pseudonyms have their place in these three rooms and are not built yet.

mod copy;
mod keys;
mod values;

use std::borrow::Cow;

use crate::digest::{Fingerprint, push_sha256};
use crate::escape;
use crate::survey::{is_alphanumeric, survey};
use values::Scanner;

pub(crate) use copy::Scratch;

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
    /// By the eight characters of its hash.
    Fingerprint,
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
    match copy::copy(json, out, scratch) {
        Ok(()) => return,
        Err(copy::Refused::Deep) => {
            out.truncate(start);
            return push_omitted(out, json);
        }
        Err(copy::Refused::Invalid) => out.truncate(start),
    }
    let text = String::from_utf8_lossy(head(json, INVALID_MAX + MARGIN));
    // The window is a little wider than what is shown, so that a secret across the edge is
    // still recognised by its shape.
    let redacted = text_with(&text, Aim::All);
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
    let bytes = text.as_bytes();
    if !values::may_hold(bytes) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::new();
    let mut from = 0;
    for finding in Scanner::surveyed(bytes, 0, aim) {
        out.extend_from_slice(&bytes[from..finding.start]);
        push_mask(&mut out, &bytes[finding.start..finding.end], finding.mask);
        from = finding.end;
    }
    if from == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&bytes[from..]);
    // Findings begin and end at ASCII bytes, so this never replaces anything.
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
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
    !values::may_hold_surveyed(text, survey) || Scanner::surveyed(text, 0, aim).next().is_none()
}

/// Appends what stands in the place of `secret`; never a quote, a backslash or a control.
pub(crate) fn push_mask(out: &mut Vec<u8>, secret: &[u8], mask: Mask) {
    if mask == Mask::Fingerprint && secret.len() >= FINGERPRINT_MIN {
        out.extend_from_slice(b"[REDACTED:sha256:");
        out.extend_from_slice(Fingerprint::of(secret).as_bytes());
        out.push(b']');
    } else {
        out.extend_from_slice(b"[REDACTED]");
    }
}

/// At most `max` bytes of `text`, whole characters.
pub(crate) fn cut_bytes(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

fn head(bytes: &[u8], max: usize) -> &[u8] {
    &bytes[..bytes.len().min(max)]
}

/// A shorter value could be found by trying all of them against the hash.
const FINGERPRINT_MIN: usize = 16;

/// How much of arguments that are not JSON is shown, in bytes.
const INVALID_MAX: usize = 4_096;

/// How far past a cut a secret is still looked for, in bytes.
pub(crate) const MARGIN: usize = 4_096;

#[cfg(test)]
mod tests;

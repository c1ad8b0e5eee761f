//! What proves a request to be its sender's: signatures in headers and URLs; and literals on command lines.

use super::super::classes::{KEY, VISIBLE, run_back, run_within};
use super::super::value::{bare_end, skip_space, visible_end};
use super::{HEAD_MAX, judge};
use crate::redact::keys::{Kind, is_opaque};
use crate::redact::{Finding, Mask};

/// `X-Hub-Signature-256: sha256=…`, `Stripe-Signature: t=…,v1=…`: what proves that a webhook is its sender's.
#[inline]
pub(super) fn signature(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    let end = at - usize::from(matches!(text[..at].last(), Some(b'"' | b'\'')));
    // Nearly every name ends otherwise.
    if !matches!(
        text[..end],
        [.., b'r' | b'R', b'e' | b'E'] | [.., b'5', b'6']
    ) {
        return None;
    }
    signed(text, floor, end, at)
}

/// The value behind the colon at `at`, if the name that ends at `end` is that of a signature.
#[inline(never)]
fn signed(text: &[u8], floor: usize, end: usize, at: usize) -> Option<Finding> {
    let start = run_back(text, floor.max(end.saturating_sub(48)), end, KEY);
    let name = &text[start..end];
    let known = SIGNATURES.iter().any(|known| {
        name.len()
            .checked_sub(known.len())
            .is_some_and(|at| at > 0 && name[at..].eq_ignore_ascii_case(known))
    });
    if !known {
        return None;
    }
    let from = skip_space(text, at + 1);
    let from = from + usize::from(matches!(text.get(from), Some(b'"' | b'\'')));
    let value = &text[from..run_within(text, from, VISIBLE, 512)];
    let length = value
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\'' | b'\\'))
        .unwrap_or(value.len());
    let value = &value[..length];
    let value = value.strip_suffix(b",").unwrap_or(value);
    is_opaque(value).then_some(Finding {
        start: from,
        end: from + value.len(),
        mask: Mask::Fingerprint,
    })
}

/// What is a secret only in the query of a URL: signatures, codes, keys.
pub(super) fn query(text: &[u8], floor: usize, at: usize, width: usize) -> Option<Finding> {
    let start = run_back(text, floor.max(at.saturating_sub(24)), at, KEY);
    if width != 1 || !matches!(text[..start].last(), Some(b'?' | b'&' | b'#' | b';' | b'=')) {
        return None;
    }
    let name = &text[start..at];
    if text[..start].ends_with(b"--from-literal=") {
        return literal(text, start, at);
    }
    if !QUERY.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return None;
    }
    // Another parameter's sign ends what is looked at, so that nothing is looked at twice.
    let rest = &text[at + 1..];
    let letters = |byte: &&u8| byte.is_ascii_alphanumeric() || b"-_.~%+/".contains(byte);
    let head = &rest[..rest.iter().take(HEAD_MAX).take_while(letters).count()];
    if head.len() < 16 || !is_opaque(head) {
        return None;
    }
    let end = bare_end(text, at + 1, true);
    (end >= at + 17).then_some(Finding {
        start: at + 1,
        end,
        mask: Mask::Fingerprint,
    })
}

/// `kubectl create secret generic … --from-literal=name=value`: whatever the name is.
fn literal(text: &[u8], start: usize, at: usize) -> Option<Finding> {
    let line = &text[start.saturating_sub(160)..start];
    memchr::memmem::find(line, b" secret ")?;
    let name = &text[start..at];
    if OPEN.iter().any(|word| name.ends_with(word)) {
        return None;
    }
    let end = visible_end(text, at + 1);
    let quote = usize::from(matches!(text.get(at + 1), Some(b'"' | b'\'')));
    let end = end - usize::from(matches!(text[..end].last(), Some(b'"' | b'\'')));
    (end > at + 1 + quote)
        .then(|| judge(text, at + 1 + quote, end, Kind::Password))
        .flatten()
}

/// How the names of headers end in which webhooks have their signatures.
const SIGNATURES: [&[u8]; 4] = [
    b"-signature",
    b"-signature-256",
    b"-hmac-sha256",
    b"-signature-v256",
];

pub(super) const QUERY: [&[u8]; 14] = [
    b"oauth_signature",
    b"state",
    b"sig",
    b"signature",
    b"x-amz-signature",
    b"x-goog-signature",
    b"hmac",
    b"code",
    b"key",
    b"auth",
    b"ticket",
    b"x-ms-signature",
    b"sign",
    b"policy",
];

/// How the names of what stands beside secrets end.
const OPEN: [&[u8]; 6] = [b"user", b"name", b"host", b"port", b"url", b"region"];

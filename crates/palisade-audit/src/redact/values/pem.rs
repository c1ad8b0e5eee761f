//! Private keys as PEM.

use crate::redact::{Finding, Mask};

/// A PEM block of a private key, RFC 7468, to its end or that of the text.
#[inline(never)]
pub(super) fn private_key(text: &[u8], at: usize) -> Option<Finding> {
    let label = text.get(at..)?.strip_prefix(b"-----BEGIN ")?;
    let label = &label[..label.len().min(64)];
    let label = &label[..memchr::memmem::find(label, b"-----")?];
    if !label.ends_with(b"PRIVATE KEY") && !label.ends_with(b"PRIVATE KEY BLOCK") {
        return None;
    }
    let end = memchr::memmem::find(&text[at..], b"-----END ")
        .map(|end| at + end + 9)
        .and_then(|end| Some(end + memchr::memmem::find(&text[end..], b"-----")? + 5))
        .unwrap_or(text.len());
    Some(Finding {
        start: at,
        end,
        mask: Mask::Plain,
    })
}

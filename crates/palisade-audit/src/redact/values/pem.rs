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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks() {
        for (text, end) in [
            (
                "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY----- x",
                57,
            ),
            ("-----BEGIN PRIVATE KEY-----\nabc", 31),
            ("-----BEGIN PRIVATE KEY-----\nabc-----END x", 41),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----x", 38),
        ] {
            let found = private_key(text.as_bytes(), 0).map(|found| (found.start, found.end));
            assert_eq!(found, Some((0, end)), "{text}");
        }
        let found = private_key(b"ab -----BEGIN PRIVATE KEY-----\nabc\n-----END X-----", 3);
        assert_eq!(found.map(|found| (found.start, found.end)), Some((3, 50)));
        for text in [
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN PRIVATE KEY----",
            "-----BEGIN PRIVATE KEYS-----",
            "----BEGIN PRIVATE KEY-----",
            "-----BEGIN                                                            PRIVATE KEY-----",
        ] {
            assert_eq!(private_key(text.as_bytes(), 0), None, "{text}");
        }
    }
}

//! SHA-256 as the log shows it: whole for omitted arguments, eight characters for bearer values.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};

/// The first eight hexadecimal characters of a value's SHA-256: enough to see that two records
/// speak of the same token or session, useless to whoever wants to use it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 8]);

impl Fingerprint {
    /// Of a session id, a token, a key.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        let hash = digest(&SHA256, secret);
        let mut text = [0; 8];
        if let Some(head) = hash.as_ref().first_chunk::<4>() {
            write_hex(head, &mut text);
        }
        Self(text)
    }

    /// Lower-case hexadecimal.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Appends all 64 hexadecimal characters.
pub(crate) fn push_sha256(out: &mut Vec<u8>, data: &[u8]) {
    let hash = digest(&SHA256, data);
    let mut text = [0; 64];
    write_hex(hash.as_ref(), &mut text);
    out.extend_from_slice(&text);
}

/// Fills `text`, as far as `bytes` reach.
#[inline]
fn write_hex(bytes: &[u8], text: &mut [u8]) {
    for ([high, low], byte) in text.as_chunks_mut().0.iter_mut().zip(bytes) {
        *high = HEX[usize::from(byte >> 4)];
        *low = HEX[usize::from(byte & 15)];
    }
}

pub(crate) const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    #[test]
    fn known_answer() {
        assert_eq!(Fingerprint::of(b"abc").as_str(), "ba7816bf");
        let mut out = Vec::new();
        push_sha256(&mut out, b"abc");
        assert_eq!(
            out,
            b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}

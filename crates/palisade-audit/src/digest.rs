//! SHA-256 as the log shows it: whole for omitted arguments, eight characters for bearer values.

use std::cell::RefCell;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};

use aws_lc_rs::digest::{SHA256, digest};

/// The first eight hexadecimal characters of a value's SHA-256: enough to see that two records
/// speak of the same token or session, useless to whoever wants to use it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 8]);

impl Fingerprint {
    /// Of a session id, a token, a key.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        thread_local! {
            static RECENT: RefCell<Recent> = RefCell::default();
        }
        RECENT.with_borrow_mut(|recent| recent.fingerprint(secret))
    }

    fn worked_out(secret: &[u8]) -> Self {
        let hash = digest(&SHA256, secret);
        let mut text = [0; 8];
        write_hex(hash.as_ref(), &mut text);
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

/// The fingerprints of secrets that were seen a moment ago: a session has one id, a caller one
/// token, and each call shows them again.
///
/// What is kept of a secret is its length and 64 bits of a hash under a key of this thread alone:
/// nothing that leads back to it, and nothing for which anybody outside can find another secret.
struct Recent {
    hasher: RandomState,
    places: [Place; PLACES],
}

#[derive(Clone, Copy)]
struct Place {
    hash: u64,
    length: usize,
    fingerprint: Fingerprint,
}

const PLACES: usize = 64;

impl Recent {
    fn fingerprint(&mut self, secret: &[u8]) -> Fingerprint {
        let hash = self.hasher.hash_one(secret);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is below the number of places"
        )]
        let place = &mut self.places[hash as usize % PLACES];
        if (place.hash, place.length) != (hash, secret.len()) {
            *place = Place {
                hash,
                length: secret.len(),
                fingerprint: Fingerprint::worked_out(secret),
            };
        }
        place.fingerprint
    }
}

impl Default for Recent {
    fn default() -> Self {
        let nothing = Place {
            hash: 0,
            // No secret is as long.
            length: usize::MAX,
            fingerprint: Fingerprint([0; 8]),
        };
        Self {
            hasher: RandomState::new(),
            places: [nothing; PLACES],
        }
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

    #[test]
    fn what_was_seen_a_moment_ago_has_the_fingerprint_that_it_has() {
        for round in 0..3 {
            for number in 0..1_000 {
                let secret = format!("secret {number}");
                let expected = Fingerprint::worked_out(secret.as_bytes());
                assert_eq!(Fingerprint::of(secret.as_bytes()), expected, "{round}");
                assert_eq!(Fingerprint::of(secret.as_bytes()), expected, "{round}");
            }
        }
        assert_eq!(Fingerprint::of(b""), Fingerprint::worked_out(b""));
    }

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

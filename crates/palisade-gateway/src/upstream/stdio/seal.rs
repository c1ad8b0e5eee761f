//! Session ids that only this process can have made.
//!
//! An id is a number and a mark of the caller that opened the session, sealed with AES-256-GCM
//! (NIST SP 800-38D) under a key that lives as long as the process, and written in base64url. Who
//! guesses, changes or borrows one learns nothing but "no such session".

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What tells one caller from another: the first bytes of a hash of issuer and subject, of the
/// key's name, or of the certificate's; never of a token's bytes, which change.
pub(super) type Mark = [u8; 16];

/// Makes and reads session ids.
#[derive(Debug)]
pub(super) struct Seal {
    key: RandomizedNonceKey,
}

/// The longest id that is looked at.
const MOST: usize = 128;

impl Seal {
    /// With a key of its own.
    pub(super) fn new() -> Result<Self, aws_lc_rs::error::Unspecified> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &key)?;
        Ok(Self { key })
    }

    /// The id of the session with this number, opened by this caller at this server.
    pub(super) fn seal(&self, server: &str, number: u64, caller: &Mark) -> Option<String> {
        let mut sealed = Vec::with_capacity(64);
        sealed.extend_from_slice(&number.to_be_bytes());
        sealed.extend_from_slice(caller);
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(server), &mut sealed)
            .ok()?;
        sealed.extend_from_slice(nonce.as_ref());
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The number in an id that was made here for this server and this caller.
    pub(super) fn open(&self, server: &str, id: &[u8], caller: &Mark) -> Option<u64> {
        if id.len() > MOST {
            return None;
        }
        let mut sealed = URL_SAFE_NO_PAD.decode(id).ok()?;
        let nonce = sealed.split_off(sealed.len().checked_sub(NONCE_LEN)?);
        let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(server), &mut sealed)
            .ok()?;
        let (number, mark) = plain.split_first_chunk::<8>()?;
        // The mark is no secret; it was sealed so that it cannot be changed.
        (mark == caller).then(|| u64::from_be_bytes(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: A-5
    #[test]
    fn only_its_own_ids_open() {
        let (seal, other) = (Seal::new().unwrap(), Seal::new().unwrap());
        let (alice, bob) = ([1; 16], [2; 16]);
        let id = seal.seal("files", 7, &alice).unwrap();
        assert!(id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)));
        assert_eq!(seal.open("files", id.as_bytes(), &alice), Some(7));
        assert_eq!(seal.open("files", id.as_bytes(), &bob), None);
        assert_eq!(seal.open("other", id.as_bytes(), &alice), None);
        assert_eq!(other.open("files", id.as_bytes(), &alice), None);
        for at in 0..id.len() {
            let mut forged = id.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(seal.open("files", &forged, &alice), None, "{at}");
        }
        for forged in ["", "A", "AAAAAAAAAAAAAAAA", "\u{e9}", &"A".repeat(5000)] {
            assert_eq!(seal.open("files", forged.as_bytes(), &alice), None);
        }
    }

    #[test]
    fn no_two_are_alike() {
        let seal = Seal::new().unwrap();
        assert_ne!(seal.seal("a", 1, &[0; 16]), seal.seal("a", 1, &[0; 16]));
    }
}

//! API keys: long random words, known here by their hashes alone.
//!
//! A key has 256 bits of randomness, so that a plain SHA-256 of it tells nothing; what people choose
//! themselves would need a slow hash, and is not taken.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::caller::{Caller, Proof};

/// What every key begins with, so that scanners of source code can find lost ones.
pub const PREFIX: &str = "palisade_";

/// The longest key that is looked at, in bytes.
const MAX_KEY: usize = 256;

/// A key as the configuration knows it.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Whose it is.
    pub name: String,
    /// The SHA-256 of the key.
    pub hash: KeyHash,
    /// When it ends, in seconds since 1970.
    pub expires: Option<u64>,
    /// What it grants.
    pub scopes: Vec<String>,
    /// The groups that its holder belongs to.
    pub groups: Vec<String>,
}

/// The SHA-256 of a key, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of `key`.
    #[must_use]
    pub fn of(key: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, key).as_ref());
        Self(hash)
    }

    /// Reads the written form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:")?.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut hash = [0; 32];
        let value = |digit: u8| char::from(digit).to_digit(16);
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = u8::try_from(value(pair[0])? << 4 | value(pair[1])?).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A fresh key.
///
/// # Errors
/// Where the system gives no random numbers.
pub fn generate() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut random = [0; 32];
    aws_lc_rs::rand::fill(&mut random)?;
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random)))
}

/// Why a key proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyFault {
    Expired,
    Unknown,
}

/// The caller whose key this is. Every known key is compared, each in a time that does not depend
/// on where they differ.
pub(super) fn find(keys: &[ApiKey], presented: &[u8], now: u64) -> Result<Caller, KeyFault> {
    if presented.len() > MAX_KEY {
        return Err(KeyFault::Unknown);
    }
    let hash = KeyHash::of(presented);
    let mut found = None;
    for key in keys {
        if verify_slices_are_equal(&key.hash.0, &hash.0).is_ok() {
            found = Some(key);
        }
    }
    let key = found.ok_or(KeyFault::Unknown)?;
    if key.expires.is_some_and(|end| now >= end) {
        return Err(KeyFault::Expired);
    }
    Ok(Caller::new(Proof::ApiKey, "", &key.name)
        .with_scopes(key.scopes.clone())
        .with_groups(key.groups.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str, text: &str, expires: Option<u64>) -> ApiKey {
        ApiKey {
            name: name.to_owned(),
            hash: KeyHash::of(text.as_bytes()),
            expires,
            scopes: vec!["read".to_owned()],
            groups: Vec::new(),
        }
    }

    // REQ: A-2
    #[test]
    fn keys_are_found_by_their_hash_until_they_end() {
        let keys = [key("ci", "one", None), key("old", "two", Some(100))];
        let found = |presented: &str, now| {
            let found = find(&keys, presented.as_bytes(), now);
            found.map(|caller| caller.id().to_owned())
        };
        for (presented, now, expected) in [
            ("one", 0, Ok("key:ci")),
            ("one", 1000, Ok("key:ci")),
            ("two", 99, Ok("key:old")),
            ("two", 100, Err(KeyFault::Expired)),
            ("three", 0, Err(KeyFault::Unknown)),
            ("", 0, Err(KeyFault::Unknown)),
            ("One", 0, Err(KeyFault::Unknown)),
            ("one ", 0, Err(KeyFault::Unknown)),
            (&"o".repeat(300), 0, Err(KeyFault::Unknown)),
        ] {
            let expected = expected.map(str::to_owned);
            assert_eq!(found(presented, now), expected, "{presented} {now}");
        }
    }

    // REQ: A-2
    #[test]
    fn fresh_keys_are_long_and_distinct_and_their_hashes_read_back() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, other);
        assert!(one.starts_with(PREFIX) && one.len() == PREFIX.len() + 43);
        let hash = KeyHash::of(one.as_bytes());
        assert_eq!(KeyHash::parse(&hash.to_string()), Some(hash));
        for wrong in [
            "",
            "sha256:",
            "sha1:00",
            &"0".repeat(64),
            &format!("sha256:{}", "g".repeat(64)),
        ] {
            assert_eq!(KeyHash::parse(wrong), None, "{wrong}");
        }
    }
}

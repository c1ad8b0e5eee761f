//! Who is at the other end of a connection to the proxy: a name and a secret that nobody guesses.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderMap;
use http::header::PROXY_AUTHORIZATION;

/// Shortest password that is taken, in bytes.
const MIN_PASSWORD: usize = 20;

/// Random bytes of a generated password.
const RANDOM: usize = 24;

/// What the proxy keeps of a user: the name, and the SHA-256 of the password.
#[derive(Clone)]
pub struct Credential {
    user: String,
    digest: [u8; 32],
}

impl Credential {
    /// From a password that was made elsewhere. SHA-256 is enough where the password cannot be
    /// guessed; so a short one is refused.
    ///
    /// # Errors
    /// A user that is empty or holds `:` or more than letters, digits, `-`, `_` and `.`, or a
    /// password below 20 bytes or above 255.
    pub fn new(user: &str, password: &str) -> Result<Self, CredentialError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if user.is_empty() || user.len() > 255 || !user.bytes().all(plain) {
            return Err(CredentialError::User);
        }
        if !(MIN_PASSWORD..=255).contains(&password.len()) {
            return Err(CredentialError::Password);
        }
        Ok(Self {
            user: user.to_owned(),
            digest: sha256(password.as_bytes()),
        })
    }

    /// A user with a new random password of 192 bits, which is given back beside it.
    ///
    /// # Errors
    /// A user that cannot be one, or no random numbers from the operating system.
    pub fn generate(user: &str) -> Result<(Self, String), CredentialError> {
        let mut random = [0; RANDOM];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| CredentialError::Random)?;
        let password = URL_SAFE_NO_PAD.encode(random);
        Ok((Self::new(user, &password)?, password))
    }

    /// The user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether the password is this user's; takes the same time for every password.
    pub(super) fn proves(&self, password: &[u8]) -> bool {
        verify_slices_are_equal(&self.digest, &sha256(password)).is_ok()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest(&SHA256, bytes);
    let mut copy = [0; 32];
    copy.copy_from_slice(digest.as_ref());
    copy
}

/// User and password of `Proxy-Authorization: Basic …` (RFC 7617), where there is exactly one.
pub(super) fn basic(headers: &HeaderMap) -> Option<(String, Vec<u8>)> {
    let mut values = headers.get_all(PROXY_AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 1024 {
        return None;
    }
    let mut decoded = STANDARD.decode(encoded.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let password = decoded.split_off(colon + 1);
    decoded.pop();
    Some((String::from_utf8(decoded).ok()?, password))
}

/// Why a credential cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The password is too short or too long.
    #[error("the proxy password must have 20 to 255 bytes; let it be generated")]
    Password,
    /// The operating system gives no random numbers.
    #[error("no random numbers for a proxy password; check the operating system's source")]
    Random,
    /// The user is no word.
    #[error("the proxy user must consist of letters, digits, `-`, `_` and `.`")]
    User,
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn passwords_prove_and_do_not_show() {
        let (credential, password) = Credential::generate("files").expect("random numbers");
        let (_, other) = Credential::generate("files").expect("random numbers");
        assert_ne!(password, other);
        assert_eq!(password.len(), 32);
        assert!(credential.proves(password.as_bytes()));
        assert!(!credential.proves(other.as_bytes()) && !credential.proves(b""));
        assert_eq!(
            format!("{credential:?}"),
            "Credential { user: \"files\", .. }"
        );
    }

    #[test]
    fn weak_ones_are_refused() {
        assert_eq!(
            Credential::new("files", "short").expect_err("short"),
            CredentialError::Password
        );
        for user in ["", "a:b", "a b", "ä"] {
            assert_eq!(
                Credential::new(user, &"x".repeat(20)).expect_err(user),
                CredentialError::User
            );
        }
    }

    #[test]
    fn basic_credentials() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(
                    PROXY_AUTHORIZATION,
                    HeaderValue::from_str(value).expect("a value"),
                );
            }
            basic(&headers)
        };
        let good = Some(("files".to_owned(), b"pass:word".to_vec()));
        assert_eq!(read(&["Basic ZmlsZXM6cGFzczp3b3Jk"]), good);
        assert_eq!(read(&["bAsIc ZmlsZXM6cGFzczp3b3Jk"]), good);
        for bad in [
            &[][..],
            &["Basic"],
            &["Basic !"],
            &["Bearer ZmlsZXM6cGFzczp3b3Jk"],
            &["Basic ZmlsZXM="],
            &["Basic ZmlsZXM6cGFzczp3b3Jk", "Basic ZmlsZXM6cGFzczp3b3Jk"],
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}

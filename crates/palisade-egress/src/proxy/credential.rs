//! Who is at the other end of a connection to the proxy: a name and a secret that nobody guesses.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::HeaderMap;
use http::header::PROXY_AUTHORIZATION;

/// Shortest password that is taken, in bytes.
const MIN_PASSWORD: usize = 20;

/// Random bytes of a generated password.
const RANDOM: usize = 24;

/// What the proxy keeps of a user: the name, and what proves the password.
#[derive(Clone)]
pub struct Credential {
    user: String,
    proof: Proof,
}

#[derive(Clone)]
enum Proof {
    /// The SHA-256 of the one password.
    Password([u8; 32]),
    /// The key of which the passwords of the user's children are made.
    Children(Box<hmac::Key>),
}

/// Makes a password for each child of one server, so that the log can tell them apart and none of
/// them can pass for another.
#[derive(Clone)]
pub struct ChildPasswords {
    user: String,
    key: hmac::Key,
}

impl ChildPasswords {
    /// User and password of the child with this number. Both hold only characters that need no
    /// escape in a URL.
    #[must_use]
    pub fn of(&self, child: u64) -> (String, String) {
        let password = hmac::sign(&self.key, child.to_string().as_bytes());
        let password = URL_SAFE_NO_PAD.encode(password);
        (format!("{}.{child}", self.user), password)
    }
}

impl fmt::Debug for ChildPasswords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildPasswords")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// User and number of `user.number`, as [`ChildPasswords::of`] writes it.
pub(super) fn child_of(text: &str) -> Option<(&str, u64)> {
    let (user, number) = text.rsplit_once('.')?;
    let child: u64 = number.parse().ok()?;
    (child.to_string() == number).then_some((user, child))
}

/// Whether the text can be a user: letters, digits, `-`, `_` and `.`.
#[must_use]
pub fn is_user(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !text.is_empty() && text.len() <= 255 && text.bytes().all(plain)
}

impl Credential {
    /// From a password that was made elsewhere. SHA-256 is enough where the password cannot be
    /// guessed; so a short one is refused.
    ///
    /// # Errors
    /// A user that is empty or holds `:` or more than letters, digits, `-`, `_` and `.`, or a
    /// password below 20 bytes or above 255.
    pub fn new(user: &str, password: &str) -> Result<Self, CredentialError> {
        if !is_user(user) {
            return Err(CredentialError::User);
        }
        if !(MIN_PASSWORD..=255).contains(&password.len()) {
            return Err(CredentialError::Password);
        }
        Ok(Self {
            user: user.to_owned(),
            proof: Proof::Password(sha256(password.as_bytes())),
        })
    }

    /// A user whose children each have a password of their own, made of a new random key.
    ///
    /// # Errors
    /// A user that cannot be one, or no random numbers from the operating system.
    pub fn for_children(user: &str) -> Result<(Self, ChildPasswords), CredentialError> {
        if !is_user(user) {
            return Err(CredentialError::User);
        }
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| CredentialError::Random)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random);
        let user = user.to_owned();
        let passwords = ChildPasswords {
            user: user.clone(),
            key: key.clone(),
        };
        let proof = Proof::Children(Box::new(key));
        Ok((Self { user, proof }, passwords))
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

    /// Whether the password is this user's, or this child's; takes the same time for every
    /// password.
    pub(super) fn proves(&self, child: Option<u64>, password: &[u8]) -> bool {
        match (&self.proof, child) {
            (Proof::Password(digest), None) => {
                verify_slices_are_equal(digest, &sha256(password)).is_ok()
            }
            (Proof::Children(key), Some(child)) => {
                let expected = hmac::sign(key, child.to_string().as_bytes());
                let expected = URL_SAFE_NO_PAD.encode(expected);
                verify_slices_are_equal(expected.as_bytes(), password).is_ok()
            }
            _ => false,
        }
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
        let proves = |password: &str| credential.proves(None, password.as_bytes());
        assert!(proves(&password) && !proves(&other) && !proves(""));
        assert!(!credential.proves(Some(1), password.as_bytes()));
        assert_eq!(
            format!("{credential:?}"),
            "Credential { user: \"files\", .. }"
        );
    }

    #[test]
    fn no_child_passes_for_another() {
        let (credential, passwords) = Credential::for_children("files").expect("random numbers");
        let (_, others) = Credential::for_children("files").expect("random numbers");
        let (user, password) = passwords.of(17);
        assert_eq!(user, "files.17");
        assert_eq!(child_of(&user), Some(("files", 17)));
        let proves = |child, password: &str| credential.proves(child, password.as_bytes());
        assert!(proves(Some(17), &password));
        for (child, password) in [
            (Some(17), passwords.of(18).1),
            (Some(18), password.clone()),
            (Some(17), others.of(17).1),
            (Some(17), String::new()),
            (None, password),
        ] {
            assert!(!proves(child, &password), "{child:?}");
        }
        for text in [
            "files",
            "files.",
            "files.x",
            "files.017",
            "files.+1",
            "files.1 ",
        ] {
            assert_eq!(child_of(text), None, "{text}");
        }
        assert!(!format!("{passwords:?}{credential:?}").contains("key"));
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

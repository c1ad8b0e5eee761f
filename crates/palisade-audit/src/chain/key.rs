//! The key that checkpoints are signed with.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{nibble, push_hex};

/// An Ed25519 key (RFC 8032), made once and kept in a state directory.
pub struct CheckpointKey {
    pair: Ed25519KeyPair,
}

impl fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CheckpointKey")
            .field(&self.public())
            .finish()
    }
}

/// The half of the key that may be known: `ed25519:` and base64.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// The key could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The system's random numbers failed.
    #[error("the system gives no random numbers for a new key")]
    Random,
    /// The file is not as this module writes it.
    #[error(
        "{path} holds no checkpoint key: 64 hexadecimal digits; restore it from a backup, or remove it to have a new one made"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// Of the file.
    #[error("{path}: {source}; make the directory writable for Palisade")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No `ed25519:` and 32 bytes of base64.
    #[error(
        "`{0}` is no public key: write `ed25519:` and 44 characters of base64, as `palisade audit verify` prints it"
    )]
    Public(String),
}

impl CheckpointKey {
    /// Reads `audit-checkpoint.key` of `directory`; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is no key.
    pub fn load(directory: &Path) -> Result<Option<Self>, KeyError> {
        let path = directory.join(KEY_FILE);
        match fs::read(&path) {
            Ok(text) => Self::parse(&text)
                .map(Some)
                .ok_or(KeyError::Malformed { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(KeyError::Io { path, source }),
        }
    }

    /// Reads `audit-checkpoint.key` of `directory`, or makes it (mode 0600, with the directory).
    ///
    /// # Errors
    /// When it can be neither read nor made, or is no key.
    pub fn load_or_create(directory: &Path) -> Result<Self, KeyError> {
        let path = directory.join(KEY_FILE);
        let io = |source| KeyError::Io {
            path: path.clone(),
            source,
        };
        match fs::read(&path) {
            Ok(text) => Self::parse(&text).ok_or(KeyError::Malformed { path }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let seed = seed()?;
                fs::create_dir_all(directory).map_err(io)?;
                // Under another name first: a crash leaves no half of a key.
                let temporary = directory.join(format!("{KEY_FILE}.new-{}", std::process::id()));
                let written =
                    Self::write(&temporary, &seed).and_then(|()| fs::hard_link(&temporary, &path));
                let removed = fs::remove_file(&temporary);
                match written {
                    // Somebody else was first: his key is the key.
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                        let text = fs::read(&path).map_err(io)?;
                        Self::parse(&text).ok_or(KeyError::Malformed { path })
                    }
                    Err(error) => Err(io(error)),
                    Ok(()) => {
                        removed.map_err(io)?;
                        Self::from_seed(&seed).ok_or(KeyError::Malformed { path })
                    }
                }
            }
            Err(error) => Err(io(error)),
        }
    }

    /// A new one, kept nowhere.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn generate() -> Result<Self, KeyError> {
        Self::from_seed(&seed()?).ok_or(KeyError::Random)
    }

    /// Of 32 random bytes; `None` never, but for a fault of the library.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Option<Self> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).ok()?;
        Some(Self { pair })
    }

    /// What others need to check signatures.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let mut key = [0; 32];
        key.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(key)
    }

    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        if text.len() != 64 {
            return None;
        }
        let mut seed = [0; 32];
        for (byte, pair) in seed.iter_mut().zip(text.as_chunks::<2>().0) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Self::from_seed(&seed)
    }

    fn write(path: &Path, seed: &[u8; 32]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut text = Vec::with_capacity(65);
        push_hex(&mut text, seed);
        text.push(b'\n');
        let mut file = options.open(path)?;
        file.write_all(&text)?;
        file.sync_all()
    }
}

impl PublicKey {
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(message, signature)
            .is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ed25519:{}", STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        text.trim()
            .strip_prefix("ed25519:")
            .and_then(|key| STANDARD.decode(key).ok())
            .and_then(|key| <[u8; 32]>::try_from(key).ok())
            .map(Self)
            .ok_or_else(|| KeyError::Public(text.chars().take(80).collect()))
    }
}

fn seed() -> Result<[u8; 32], KeyError> {
    let mut seed = [0; 32];
    let filled = SystemRandom::new().fill(&mut seed);
    filled.map(|()| seed).map_err(|_| KeyError::Random)
}

const KEY_FILE: &str = "audit-checkpoint.key";

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: L-4
    #[test]
    fn made_once_and_kept() {
        let place = tempfile::tempdir().unwrap();
        let state = place.path().join("state");
        let one = CheckpointKey::load_or_create(&state).unwrap();
        let two = CheckpointKey::load_or_create(&state).unwrap();
        assert_eq!(one.public(), two.public());
        let names: Vec<_> = fs::read_dir(&state)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, [KEY_FILE]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(state.join(KEY_FILE))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(state.join(KEY_FILE), "short").unwrap();
        let error = CheckpointKey::load_or_create(&state).unwrap_err();
        assert!(
            error.to_string().contains("64 hexadecimal digits"),
            "{error}"
        );
        let file = place.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(CheckpointKey::load_or_create(&file).is_err());
    }

    /// RFC 8032, section 7.1, test 1.
    #[test]
    fn known_answer() {
        let seed = b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let key = CheckpointKey::parse(seed).unwrap();
        let mut public = Vec::new();
        push_hex(&mut public, &key.public().0);
        assert_eq!(
            public,
            b"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
        );
        let signature = key.sign(b"");
        assert_eq!(signature[..4], [0xe5, 0x56, 0x43, 0x00]);
        assert!(key.public().verifies(b"", &signature));
        assert!(!key.public().verifies(b"x", &signature));
        let text = key.public().to_string();
        assert_eq!(text.parse::<PublicKey>().unwrap(), key.public());
        assert!("ed25519:AAAA".parse::<PublicKey>().is_err());
        assert!(text[8..].parse::<PublicKey>().is_err());
    }
}

//! The bearer token (RFC 6750 section 2.1), from a file or from the environment.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use http::HeaderValue;

/// Where the token comes from.
#[derive(Clone, Default)]
pub enum TokenSource {
    /// From this file, read again when the server no longer takes what it held.
    File(PathBuf),
    /// There is none.
    #[default]
    None,
    /// From the environment.
    Value(String),
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::None => f.write_str("None"),
            Self::Value(_) => f.write_str("Value(…)"),
        }
    }
}

/// Why a token cannot be used; it is never shown.
#[derive(Debug, thiserror::Error)]
pub enum BadToken {
    /// There is nothing in it.
    #[error("the token from {0} is empty; put the access token there, without quotes")]
    Empty(String),
    /// It holds what no token can hold (RFC 6750: `b64token`), such as a line end inside.
    #[error(
        "the token from {0} holds characters that no bearer token can have; put the access token there alone, on one line, without quotes and without `Bearer`"
    )]
    Form(String),
    /// The file cannot be read.
    #[error(
        "the token's file {path} cannot be read: {error}; check --token-file, and that this user may read it"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
}

/// No token is larger, in bytes.
const LARGEST: u64 = 64 * 1024;

/// The token as it stands.
pub(super) struct Token {
    file: Option<PathBuf>,
    value: Mutex<Option<HeaderValue>>,
}

impl Token {
    pub(super) fn load(source: &TokenSource) -> Result<Self, BadToken> {
        let (file, value) = match source {
            TokenSource::None => (None, None),
            TokenSource::Value(text) => (None, Some(header(text, "PALISADE_TOKEN")?)),
            TokenSource::File(path) => {
                warn_if_open(path);
                (Some(path.clone()), Some(from_file(path)?))
            }
        };
        let value = Mutex::new(value);
        Ok(Self { file, value })
    }

    pub(super) fn is_some(&self) -> bool {
        self.header().is_some()
    }

    /// The value of `Authorization`.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        value.clone()
    }

    /// Reads the file again. `true`: it holds another token than before.
    pub(super) fn reload(&self) -> bool {
        let Some(path) = &self.file else { return false };
        match from_file(path) {
            Ok(new) => {
                let mut value = self.value.lock().unwrap_or_else(PoisonError::into_inner);
                value.replace(new.clone()) != Some(new)
            }
            Err(error) => {
                tracing::warn!("{error}");
                false
            }
        }
    }
}

fn from_file(path: &Path) -> Result<HeaderValue, BadToken> {
    let shown = path.display().to_string();
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_string(&mut text))
        .map_err(|error| BadToken::Unreadable {
            path: shown.clone(),
            error,
        })?;
    header(&text, &shown)
}

fn header(text: &str, from: &str) -> Result<HeaderValue, BadToken> {
    let token = text.trim();
    if token.is_empty() {
        return Err(BadToken::Empty(from.to_owned()));
    }
    let is_form = token
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    let value = HeaderValue::from_str(&format!("Bearer {token}"));
    match value {
        Ok(mut value) if is_form => {
            value.set_sensitive(true);
            Ok(value)
        }
        _ => Err(BadToken::Form(from.to_owned())),
    }
}

/// Other users of the machine could read it.
fn warn_if_open(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(metadata) = std::fs::metadata(path) else {
        return;
    };
    if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
        tracing::warn!(
            "other users can read the token's file {0}; run `chmod 600 {0}`",
            path.display()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: U-2
    #[test]
    fn tokens() {
        for (text, wanted) in [
            ("abc.DEF-123_~+/==", Some("Bearer abc.DEF-123_~+/==")),
            (" abc\n", Some("Bearer abc")),
            ("", None),
            ("\n", None),
            ("Bearer abc", None),
            ("\"abc\"", None),
            ("abc\r\nX-Evil: 1", None),
            ("käse", None),
        ] {
            let found = header(text, "here").ok();
            let found = found.as_ref().and_then(|value| value.to_str().ok());
            assert_eq!(found, wanted, "{text:?}");
        }
    }

    // REQ: U-2
    #[test]
    fn a_file_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, "one\n").unwrap();
        let token = Token::load(&TokenSource::File(path.clone())).unwrap();
        assert!(!token.reload());
        std::fs::write(&path, "two\n").unwrap();
        assert!(token.reload());
        assert_eq!(token.header().unwrap(), "Bearer two");
        std::fs::remove_file(&path).unwrap();
        assert!(!token.reload());
        assert_eq!(token.header().unwrap(), "Bearer two");
        let missing = Token::load(&TokenSource::File(path)).err().unwrap();
        assert!(missing.to_string().contains("--token-file"), "{missing}");
    }

    #[test]
    fn it_is_never_shown() {
        let shown = format!("{:?}", TokenSource::Value("secret".to_owned()));
        assert!(!shown.contains("secret"), "{shown}");
        assert!(header("secret", "here").unwrap().is_sensitive());
    }
}

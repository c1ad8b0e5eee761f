//! Files by name and pattern, plain or compressed.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One file of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    path: PathBuf,
    size: u64,
}

/// A file could not be found or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// The system said no.
    #[error(
        "{path}: {source}; name files that can be read, such as audit.ndjson or 'audit-*.ndjson.zst'"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A pattern has no match.
    #[error(
        "no file matches {pattern}; put the pattern in quotes if the shell should leave it alone"
    )]
    NoMatch {
        /// As it was given.
        pattern: String,
    },
}

/// Finds the files that `names` mean: each a path, or a path whose last part holds `*` or `?`. In order of their
/// names, each once.
///
/// # Errors
/// When a file or a match is not there.
pub fn sources(names: &[String]) -> Result<Vec<Source>, InputError> {
    let mut found = Vec::new();
    for name in names {
        let path = PathBuf::from(name);
        let pattern = path
            .file_name()
            .and_then(|last| last.to_str())
            .filter(|last| last.contains(['*', '?']) && !path.exists());
        let Some(pattern) = pattern else {
            found.push(Source::new(path)?);
            continue;
        };
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        let directory = parent.unwrap_or_else(|| Path::new("."));
        let entries = fs::read_dir(directory).map_err(|source| InputError::Io {
            path: directory.to_owned(),
            source,
        })?;
        let mut matches: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| {
                entry
                    .file_name()
                    .to_str()
                    .is_some_and(|name| wildcard(pattern.as_bytes(), name.as_bytes()))
            })
            .map(|entry| match parent {
                Some(parent) => parent.join(entry.file_name()),
                None => PathBuf::from(entry.file_name()),
            })
            .filter(|path| path.is_file())
            .collect();
        if matches.is_empty() {
            return Err(InputError::NoMatch {
                pattern: name.clone(),
            });
        }
        matches.sort();
        for path in matches {
            found.push(Source::new(path)?);
        }
    }
    let mut seen: Vec<PathBuf> = Vec::new();
    found.retain(|source| {
        let new = !seen.contains(&source.path);
        seen.push(source.path.clone());
        new
    });
    Ok(found)
}

/// `*` is any characters, `?` one byte. Linear in the name for each `*`.
pub(crate) fn wildcard(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while here < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                back = Some((at + 1, here));
                at += 1;
            }
            Some(sign) if *sign == b'?' || *sign == name[here] => {
                at += 1;
                here += 1;
            }
            _ => {
                let Some((after, from)) = back else {
                    return false;
                };
                back = Some((after, from + 1));
                at = after;
                here = from + 1;
            }
        }
    }
    pattern[at..].iter().all(|sign| *sign == b'*')
}

impl Source {
    fn new(path: PathBuf) -> Result<Self, InputError> {
        match fs::metadata(&path) {
            Ok(data) => Ok(Self {
                path,
                size: data.len(),
            }),
            Err(source) => Err(InputError::Io { path, source }),
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes, as they lie on the disk.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// What it holds, decompressed if it begins as gzip (RFC 1952) or Zstandard (RFC 8878) does, whatever its name.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(&self) -> Result<Reading, InputError> {
        let io = |error| self.error(error);
        let mut file = File::open(&self.path).map_err(io)?;
        let mut magic = [0; 4];
        let mut held = 0;
        while held < magic.len() {
            match file.read(&mut magic[held..]) {
                Ok(0) => break,
                Ok(length) => held += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io(error)),
            }
        }
        // A pipe cannot be wound back: what was looked at is read again from memory.
        let position = Arc::new(AtomicU64::new(held as u64));
        let whole = io::Cursor::new(magic[..held].to_vec()).chain(Counted {
            file,
            position: Arc::clone(&position),
        });
        let inner: Box<dyn Read + Send> = match magic {
            [0x1f, 0x8b, ..] => Box::new(flate2::read::MultiGzDecoder::new(
                BufReader::with_capacity(1 << 18, whole),
            )),
            [0x28, 0xb5, 0x2f, 0xfd] => {
                Box::new(zstd::stream::read::Decoder::new(whole).map_err(io)?)
            }
            _ => Box::new(whole),
        };
        Ok(Reading { inner, position })
    }

    pub(super) fn error(&self, source: io::Error) -> InputError {
        InputError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

/// A file that is being read.
pub struct Reading {
    inner: Box<dyn Read + Send>,
    position: Arc<AtomicU64>,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading")
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

impl Reading {
    /// How far the file itself has been read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

struct Counted {
    file: File,
    position: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        self.position.fetch_add(length as u64, Ordering::Relaxed);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*", "a", true),
            ("a*", "ab", true),
            ("a*c", "abbc", true),
            ("a*c", "abb", false),
            ("*.gz", "a.gz.gz", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "", true),
            ("", "a", false),
            ("delete_*", "delete_file", true),
            ("delete_*", "undelete_file", false),
            ("*a*a*b", "aaaaaaaaab", true),
        ] {
            assert_eq!(
                wildcard(pattern.as_bytes(), name.as_bytes()),
                expected,
                "{pattern} {name}"
            );
        }
    }
}

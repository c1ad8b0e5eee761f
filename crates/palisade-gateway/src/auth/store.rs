//! Keys that Palisade makes and keeps: of session ids, and of its own assertions.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use aws_lc_rs::rand;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};

use super::no_crypto;
use crate::plan::StartError;

/// No key is larger.
const LARGEST: u64 = 4096;

/// The key of session ids; without a directory one that lasts until the end of the process.
pub(super) fn session_key(directory: Option<&Path>) -> Result<[u8; 32], StartError> {
    let fresh = || {
        let mut key = vec![0; 32];
        rand::fill(&mut key).map_err(|_| no_crypto())?;
        Ok(key)
    };
    let key = kept(directory, "session.key", fresh)?;
    <[u8; 32]>::try_from(key.as_slice()).map_err(|_| StartError::Setting {
        key: "auth".to_owned(),
        cause: "session.key in the data directory is damaged; remove it, and sessions begin anew"
            .to_owned(),
    })
}

/// The PKCS #8 key of assertions.
pub(super) fn assertion_key(directory: Option<&Path>) -> Result<Vec<u8>, StartError> {
    kept(directory, "assertion.key", || {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING);
        let document = key.and_then(|key| key.to_pkcs8v1());
        document
            .map(|document| document.as_ref().to_vec())
            .map_err(|_| no_crypto())
    })
}

/// What `name` holds; made where it is not there.
fn kept(
    directory: Option<&Path>,
    name: &str,
    fresh: impl Fn() -> Result<Vec<u8>, StartError>,
) -> Result<Vec<u8>, StartError> {
    let Some(directory) = directory else {
        tracing::warn!(
            "no data directory: {name} lasts until this process ends; set XDG_DATA_HOME"
        );
        return fresh();
    };
    let path = directory.join(name);
    let failed = |error: io::Error| StartError::Setting {
        key: "auth".to_owned(),
        cause: format!(
            "{}: {error}; let this user write there, or set XDG_DATA_HOME",
            path.display()
        ),
    };
    // Several instances may start at once: the first to link its file wins, and all read that.
    for _ in 0..2 {
        match read(&path) {
            Ok(key) => return Ok(key),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        fs::create_dir_all(directory).map_err(failed)?;
        let key = fresh()?;
        let temporary = directory.join(format!("{name}.{}", std::process::id()));
        let made = write(&temporary, &key).and_then(|()| fs::hard_link(&temporary, &path));
        let _ = fs::remove_file(&temporary);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed(error));
            }
            _ => {}
        }
    }
    read(&path).map_err(failed)
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = fs::File::open(path)?;
    refuse_exposed(&file)?;
    let mut key = Vec::new();
    file.take(LARGEST).read_to_end(&mut key)?;
    Ok(key)
}

fn write(path: &Path, key: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(key)?;
    file.sync_all()
}

#[cfg(unix)]
fn refuse_exposed(file: &fs::File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    if file.metadata()?.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::other(
        "others may read this key; remove it, or run `chmod 600` if nobody has",
    ))
}

#[cfg(not(unix))]
fn refuse_exposed(_: &fs::File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: A-5
    #[test]
    fn keys_are_made_once_and_kept_private() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("data/palisade");
        let first = session_key(Some(&place)).unwrap();
        assert_eq!(session_key(Some(&place)).unwrap(), first);
        assert_ne!(session_key(None).unwrap(), first);
        let assertion = assertion_key(Some(&place)).unwrap();
        assert_eq!(assertion_key(Some(&place)).unwrap(), assertion);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let file = place.join("session.key");
            assert_eq!(
                fs::metadata(&file).unwrap().permissions().mode() & 0o777,
                0o600
            );
            fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
            assert!(session_key(Some(&place)).is_err());
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            fs::write(&file, "short").unwrap();
            let text = session_key(Some(&place)).unwrap_err().to_string();
            assert!(text.contains("remove it"), "{text}");
        }
    }
}

//! How a local authority is kept: its file, and the care taken in writing it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SerialNumber,
};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::scope::Scope;
use super::{BACKDATE, CA_LIFETIME, CaError, set_validity, whole_seconds};

pub(super) const CERTIFICATE_BEGIN: &str = "-----BEGIN CERTIFICATE-----";

const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// What `ca-key.pem` holds.
pub(super) struct Stored {
    pub(super) key: KeyPair,
    pub(super) certificate: CertificateDer<'static>,
    /// The certificate as it stands in the file.
    pub(super) pem: String,
    not_after: SystemTime,
}

impl Stored {
    pub(super) fn generate(scope: &Scope) -> Result<Self, CaError> {
        Self::certify(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?, scope)
    }

    /// Makes a certificate for `key`. Its subject follows from the key, so that all certificates of one
    /// key are the same issuer to a verifier.
    pub(super) fn certify(key: KeyPair, scope: &Scope) -> Result<Self, CaError> {
        let now = SystemTime::now();
        let not_after = whole_seconds(now + CA_LIFETIME);
        let mut params = CertificateParams::default();
        let identifier = params.key_identifier(&key);
        let short: String = identifier
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Palisade");
        // Its own name for each authority: verifiers pick issuers by name first.
        params
            .distinguished_name
            .push(DnType::CommonName, format!("Palisade local CA {short}"));
        // rcgen would derive it from the key, and NSS refuses two certificates of one issuer and serial.
        let mut serial = [0; 16];
        ::aws_lc_rs::rand::fill(&mut serial).map_err(|_| CaError::Crypto)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        set_validity(&mut params, now - BACKDATE, not_after);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.name_constraints = Some(scope.to_constraints());
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            key,
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            not_after,
        })
    }

    /// Reads what [`to_pem`](Self::to_pem) wrote; `None` if there is no file.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, CaError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(CaError::Damaged { path: path.into() });
            }
            Err(source) => return Err(CaError::io("read", path, source)),
        };
        refuse_exposed(path)?;
        let damaged = || CaError::Damaged { path: path.into() };
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_error| damaged())?;
        let key = KeyPair::from_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256)
            .map_err(|_error| damaged())?;
        let begin = text.find(CERTIFICATE_BEGIN).ok_or_else(damaged)?;
        let pem = text.get(begin..).unwrap_or_default().to_owned();
        let certificate =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_error| damaged())?;
        let not_after = {
            let (_rest, parsed) =
                X509Certificate::from_der(&certificate).map_err(|_error| damaged())?;
            if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
                return Err(damaged());
            }
            let seconds = u64::try_from(parsed.validity().not_after.timestamp());
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.map_err(|_error| damaged())?)
        };
        Ok(Some(Self {
            key,
            certificate,
            pem,
            not_after,
        }))
    }

    pub(super) fn remaining(&self) -> Duration {
        self.not_after
            .duration_since(SystemTime::now())
            .unwrap_or_default()
    }

    pub(super) fn to_pem(&self) -> String {
        self.key.serialize_pem() + &self.pem
    }
}

impl CaError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.into(),
            source,
        }
    }
}

/// Takes an exclusive lock that ends with the returned file.
pub(super) fn lock(path: &Path) -> Result<File, CaError> {
    let file = private_options()
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|source| CaError::io("open", path, source))?;
    let begun = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if begun.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => return Err(CaError::Locked { path: path.into() }),
            Err(TryLockError::Error(source)) => return Err(CaError::io("lock", path, source)),
        }
    }
}

/// Writes beside `path` and renames, so that readers see the old file or the new. The lock is held.
pub(super) fn write_atomically(path: &Path, content: &[u8], mode: u32) -> Result<(), CaError> {
    let failed = |source| CaError::io("write", path, source);
    let temporary = path.with_extension("tmp");
    // What a crash left may have other permissions.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = private_options()
        .create_new(true)
        .open(&temporary)
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    set_mode(&temporary, mode).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)?;
    if let Some(directory) = path.parent().and_then(|parent| File::open(parent).ok()) {
        // Some file systems cannot; the rename has happened all the same.
        let _ = directory.sync_all();
    }
    Ok(())
}

pub(super) fn make_directory(directory: &Path) -> Result<(), CaError> {
    let failed = |source| CaError::io("make the directory", directory, source);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(directory).map_err(failed)?;
    // It may have been there, more open.
    set_mode(directory, 0o700).map_err(failed)
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

#[cfg(unix)]
pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(super) fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn refuse_exposed(path: &Path) -> Result<(), CaError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = fs::metadata(path).map_err(|source| CaError::io("read", path, source))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        Ok(())
    } else {
        Err(CaError::Exposed {
            path: path.into(),
            mode,
        })
    }
}

#[cfg(not(unix))]
fn refuse_exposed(_path: &Path) -> Result<(), CaError> {
    Ok(())
}

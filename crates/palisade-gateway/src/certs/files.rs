//! Certificates from PEM files, checked when they are read.
//!
//! What would only fail in a client's hands later fails here: a key that belongs to another
//! certificate, a certificate that is over or not yet valid, a chain in the wrong order, and a
//! must-staple certificate (RFC 7633), since OCSP stapling is not offered.
//!
//! No error carries a byte of the files' content.

mod problem;

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::ServedCertificate;

pub(super) use problem::Utc;
pub use problem::{FileError, Warning};

/// The most bytes that are read of either file. A chain of four is about 8 KB.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// The most certificates a chain may hold.
pub const MAX_CHAIN: usize = 16;

/// A certificate with less life than this draws a [warning](Warning::ExpiresSoon): 14 days.
pub const EXPIRY_WARNING: Duration = Duration::from_secs(14 * DAY);

/// A certificate read from files, and what its owner should know about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// The certificate.
    pub certificate: ServedCertificate,
    /// What is not wrong enough to refuse it.
    pub warnings: Vec<Warning>,
}

/// Reads the chain in `certificate` (PEM, leaf first) and the private key in `key` (PEM: PKCS#8,
/// SEC1 or PKCS#1), and checks them as of `now`. Both may be the same file.
///
/// # Errors
///
/// [`FileError`] names the path, the cause and the remedy.
pub fn load(certificate: &Path, key: &Path, now: SystemTime) -> Result<Loaded, FileError> {
    let mut warnings = Vec::new();
    let chain = read_chain(certificate)?;
    let private = read_key(key)?;
    if others_may_read(key) {
        warnings.push(Warning::KeyReadable { path: key.into() });
    }

    let certified = certify(chain, private, certificate, key)?;
    let invalid = || FileError::NotX509 {
        path: certificate.into(),
    };
    let parsed: Vec<X509Certificate<'_>> = certified
        .cert
        .iter()
        .map(|der| X509Certificate::from_der(der).map(|(_rest, parsed)| parsed))
        .collect::<Result<_, _>>()
        .map_err(|_error| invalid())?;
    let leaf = parsed.first().ok_or_else(invalid)?;
    if demands_stapling(leaf) {
        return Err(FileError::MustStaple {
            path: certificate.into(),
        });
    }
    let not_after = check_validity(leaf, certificate, now, &mut warnings)?;
    check_chain(&parsed, certificate, now, &mut warnings);

    let names = names(leaf);
    if names.is_empty() {
        warnings.push(Warning::NoNames {
            path: certificate.into(),
        });
    }
    drop(parsed);
    Ok(Loaded {
        certificate: ServedCertificate {
            key: Arc::new(certified),
            names,
            not_after,
            renew_at: not_after,
        },
        warnings,
    })
}

const DAY: u64 = 24 * 60 * 60;

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let bytes = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|_error| FileError::NotPem { path: path.into() })?;
    if chain.len() > MAX_CHAIN {
        return Err(FileError::TooLarge { path: path.into() });
    }
    if chain.is_empty() {
        return Err(if looks_binary(&bytes) {
            FileError::NotPem { path: path.into() }
        } else {
            FileError::NoCertificate {
                path: path.into(),
                holds_key: PrivateKeyDer::from_pem_slice(&bytes).is_ok(),
            }
        });
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    let bytes = read(path)?;
    if is_encrypted(&bytes) {
        return Err(FileError::KeyEncrypted { path: path.into() });
    }
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok(key),
        Err(rustls_pki_types::pem::Error::NoItemsFound) if !looks_binary(&bytes) => {
            Err(FileError::NoKey {
                path: path.into(),
                holds_certificate: CertificateDer::from_pem_slice(&bytes).is_ok(),
            })
        }
        Err(_) => Err(FileError::NotPem { path: path.into() }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::Read {
        path: path.into(),
        source,
    };
    let mut bytes = Vec::new();
    let read = File::open(path)
        .map_err(failed)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if read as u64 > MAX_FILE_BYTES {
        return Err(FileError::TooLarge { path: path.into() });
    }
    Ok(bytes)
}

/// PKCS#8 says so in its label (RFC 7468, section 11), older forms in a header (RFC 1421).
fn is_encrypted(pem: &[u8]) -> bool {
    const MARKS: [&[u8]; 2] = [
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----",
        b"Proc-Type: 4,ENCRYPTED",
    ];
    pem.split(|&byte| byte == b'\n')
        .any(|line| MARKS.contains(&line.trim_ascii_end()))
}

/// DER begins with a SEQUENCE tag; text does not hold NUL.
fn looks_binary(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x30) || bytes.contains(&0)
}

fn certify(
    chain: Vec<CertificateDer<'static>>,
    private: PrivateKeyDer<'static>,
    certificate: &Path,
    key: &Path,
) -> Result<CertifiedKey, FileError> {
    let signing = aws_lc_rs::sign::any_supported_type(&private)
        .map_err(|_| FileError::KeyUnsupported { path: key.into() })?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let public = certified.key.public_key();
            let elsewhere = certified.cert.iter().skip(1).any(|der| {
                X509Certificate::from_der(der).is_ok_and(|(_rest, parsed)| {
                    public
                        .as_ref()
                        .is_some_and(|public| public.as_ref() == parsed.public_key().raw)
                })
            });
            Err(if elsewhere {
                FileError::WrongOrder {
                    path: certificate.into(),
                }
            } else {
                FileError::KeyMismatch {
                    certificate: certificate.into(),
                    key: key.into(),
                }
            })
        }
        Err(_) => Err(FileError::NotX509 {
            path: certificate.into(),
        }),
    }
}

/// Whether the TLS Feature extension (RFC 7633) names `status_request` (5) or `status_request_v2` (17).
fn demands_stapling(leaf: &X509Certificate<'_>) -> bool {
    const TLS_FEATURE: &str = "1.3.6.1.5.5.7.1.24";
    leaf.extensions()
        .iter()
        .filter(|extension| extension.oid.to_id_string() == TLS_FEATURE)
        .any(|extension| {
            // SEQUENCE OF INTEGER; both values fit one byte, and nothing else is in use.
            extension
                .value
                .windows(3)
                .any(|window| matches!(window, [0x02, 0x01, 5 | 17]))
        })
}

fn check_validity(
    leaf: &X509Certificate<'_>,
    path: &Path,
    now: SystemTime,
    warnings: &mut Vec<Warning>,
) -> Result<SystemTime, FileError> {
    let not_before = system_time(leaf.validity().not_before.timestamp());
    let not_after = system_time(leaf.validity().not_after.timestamp());
    if now > not_after {
        return Err(FileError::Expired {
            path: path.into(),
            at: not_after,
        });
    }
    if now < not_before {
        return Err(FileError::NotYetValid {
            path: path.into(),
            from: not_before,
        });
    }
    if not_after < now + EXPIRY_WARNING {
        warnings.push(Warning::ExpiresSoon {
            path: path.into(),
            at: not_after,
        });
    }
    Ok(not_after)
}

fn check_chain(
    chain: &[X509Certificate<'_>],
    path: &Path,
    now: SystemTime,
    warnings: &mut Vec<Warning>,
) {
    let linked = chain.windows(2).all(|pair| match pair {
        [child, parent] => child.issuer().as_raw() == parent.subject().as_raw(),
        _ => true,
    });
    if !linked {
        warnings.push(Warning::ChainBroken { path: path.into() });
    }
    let soonest = chain
        .iter()
        .skip(1)
        .map(|certificate| system_time(certificate.validity().not_after.timestamp()))
        .min();
    if let Some(at) = soonest.filter(|&at| at < now + EXPIRY_WARNING) {
        warnings.push(Warning::ExpiresSoon {
            path: path.into(),
            at,
        });
    }
}

fn names(leaf: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = leaf.subject_alternative_name() else {
        return Vec::new();
    };
    extension
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => {
                Some(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
            }
            GeneralName::IPAddress(bytes) => ip_text(bytes),
            _ => None,
        })
        .collect()
}

fn ip_text(bytes: &[u8]) -> Option<String> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(v4).to_string());
    }
    let v6 = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(v6).to_string())
}

/// From seconds since 1970, which certificates may set before it.
fn system_time(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(unix)]
fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests;

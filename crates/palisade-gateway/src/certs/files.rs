//! Certificates from PEM files, checked when they are read.
//!
//! What would only fail in a client's hands later fails here: a key that belongs to another
//! certificate, a certificate that is over or not yet valid, a chain in the wrong order, and a
//! must-staple certificate (RFC 7633), since OCSP stapling is not offered.
//!
//! No error carries a byte of the files' content.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::ServedCertificate;

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

/// Why a certificate or key file is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The certificate's validity has ended.
    #[error(
        "the certificate in `{}` expired at {}; renew it, then start again",
        path.display(),
        Utc(*at)
    )]
    Expired {
        /// The certificate's file.
        path: PathBuf,
        /// When it ended.
        at: SystemTime,
    },
    /// The key is protected by a passphrase.
    #[error(
        "the private key in `{}` is encrypted, and there is nobody to type a passphrase; \
         write it in the clear to a file that only Palisade's user may read (`openssl pkey -in {} -out key.pem`)",
        path.display(),
        path.display()
    )]
    KeyEncrypted {
        /// The key's file.
        path: PathBuf,
    },
    /// Key and certificate do not belong together.
    #[error(
        "the private key in `{}` does not belong to the certificate in `{}`; \
         after a renewal both files must come from the same order",
        key.display(),
        certificate.display()
    )]
    KeyMismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The key is of a kind that is not served.
    #[error(
        "the private key in `{}` is damaged or of an unsupported kind; \
         use ECDSA (P-256, P-384 or P-521), Ed25519, or RSA of 2048 to 8192 bits",
        path.display()
    )]
    KeyUnsupported {
        /// The key's file.
        path: PathBuf,
    },
    /// The leaf demands OCSP stapling, RFC 7633.
    #[error(
        "the certificate in `{}` demands OCSP stapling (must-staple), which is not offered because the \
         public certificate authorities have ended OCSP; order it again without must-staple",
        path.display()
    )]
    MustStaple {
        /// The certificate's file.
        path: PathBuf,
    },
    /// No certificate in the file.
    #[error(
        "`{}` holds no certificate{}; it must hold the chain in PEM, beginning with the server's own certificate",
        path.display(),
        if *holds_key { " but a private key: are `certificate` and `key` swapped?" } else { "" }
    )]
    NoCertificate {
        /// The certificate's file.
        path: PathBuf,
        /// Whether a private key was there instead.
        holds_key: bool,
    },
    /// No private key in the file.
    #[error(
        "`{}` holds no private key{}; it must hold one in PEM (`PRIVATE KEY`, `EC PRIVATE KEY` or `RSA PRIVATE KEY`)",
        path.display(),
        if *holds_certificate { " but a certificate: are `certificate` and `key` swapped?" } else { "" }
    )]
    NoKey {
        /// The key's file.
        path: PathBuf,
        /// Whether a certificate was there instead.
        holds_certificate: bool,
    },
    /// The file is not PEM.
    #[error(
        "`{}` is not valid PEM; if it is DER, convert it with `openssl x509 -inform der` or `openssl pkey -inform der`",
        path.display()
    )]
    NotPem {
        /// The file.
        path: PathBuf,
    },
    /// The certificate's validity has not begun.
    #[error(
        "the certificate in `{}` is not valid before {}; check this machine's clock, or wait",
        path.display(),
        Utc(*from)
    )]
    NotYetValid {
        /// The certificate's file.
        path: PathBuf,
        /// When it begins.
        from: SystemTime,
    },
    /// What the PEM holds is not an X.509 certificate of version 3.
    #[error("`{}` holds something that is not an X.509 version 3 certificate; export it again", path.display())]
    NotX509 {
        /// The certificate's file.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error(
        "cannot read `{}`: {source}; check the path in `[tls]` and that the user Palisade runs as may read it",
        path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is beyond [`MAX_FILE_BYTES`], or the chain beyond [`MAX_CHAIN`].
    #[error(
        "`{}` is larger than a certificate chain ever is (1 MiB, {MAX_CHAIN} certificates); is it a bundle of roots?",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The leaf is in the file, but not first.
    #[error(
        "the chain in `{}` is in the wrong order: the certificate that belongs to the key must come first, \
         then the one that signed it, and so on",
        path.display()
    )]
    WrongOrder {
        /// The certificate's file.
        path: PathBuf,
    },
}

/// What is served, but should be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// A certificate of the chain is not signed by the next one, so clients may not find the root.
    ChainBroken {
        /// The certificate's file.
        path: PathBuf,
    },
    /// A certificate of the chain ends within [`EXPIRY_WARNING`], or one above the leaf has ended.
    ExpiresSoon {
        /// The certificate's file.
        path: PathBuf,
        /// When it ends.
        at: SystemTime,
    },
    /// Every user of this machine may read the key.
    KeyReadable {
        /// The key's file.
        path: PathBuf,
    },
    /// The leaf has no subject alternative name, and clients have not looked elsewhere for years.
    NoNames {
        /// The certificate's file.
        path: PathBuf,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChainBroken { path } => write!(
                f,
                "the certificates in `{}` do not follow from each other; clients may not find the way to the root",
                path.display()
            ),
            Self::ExpiresSoon { path, at } => write!(
                f,
                "a certificate in `{}` ends at {}; renew it in time",
                path.display(),
                Utc(*at)
            ),
            Self::KeyReadable { path } => write!(
                f,
                "every user of this machine may read the private key `{0}`; run `chmod o-r {0}`",
                path.display()
            ),
            Self::NoNames { path } => write!(
                f,
                "the certificate in `{}` has no subject alternative name; clients will refuse it",
                path.display()
            ),
        }
    }
}

const DAY: u64 = 24 * 60 * 60;

/// A time as RFC 3339 has it, in UTC and whole seconds.
pub(super) struct Utc(pub(super) SystemTime);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::try_from(self.0) {
            Ok(at) => write!(f, "{at:.0}"),
            Err(_) => f.write_str("a time out of range"),
        }
    }
}

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
mod tests {
    use super::*;
    use base64::Engine as _;
    use rcgen::{
        BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair,
        PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
        SignatureAlgorithm, date_time_ymd,
    };
    use tempfile::TempDir;

    /// Within the validity of what the tests make, in seconds since 1970: 2026-11-15.
    const NOW: u64 = 1_794_700_800;

    fn at(days: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + days * DAY)
    }

    fn key(algorithm: &'static SignatureAlgorithm) -> KeyPair {
        KeyPair::generate_for(algorithm).unwrap()
    }

    fn params() -> CertificateParams {
        let names = [
            "MCP.example.com",
            "*.example.com",
            "192.0.2.1",
            "2001:db8::1",
        ];
        let mut params = CertificateParams::new(names.map(str::to_owned)).unwrap();
        params.not_before = date_time_ymd(2026, 11, 1);
        params.not_after = date_time_ymd(2027, 1, 30);
        params
    }

    fn self_signed(key: &KeyPair) -> String {
        params().self_signed(key).unwrap().pem()
    }

    struct Files(TempDir);

    impl Files {
        fn new(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
            let files = Self(tempfile::tempdir().unwrap());
            std::fs::write(files.certificate(), certificate).unwrap();
            std::fs::write(files.key(), key).unwrap();
            set_mode(&files.key(), 0o600);
            files
        }

        fn certificate(&self) -> PathBuf {
            self.0.path().join("cert.pem")
        }

        fn key(&self) -> PathBuf {
            self.0.path().join("key.pem")
        }

        fn load(&self, now: SystemTime) -> Result<Loaded, FileError> {
            load(&self.certificate(), &self.key(), now)
        }
    }

    fn set_mode(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn pem(label: &str, der: &[u8]) -> String {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }

    /// The key inside a PKCS#8 structure: SEC1 for elliptic curves, PKCS#1 for RSA.
    fn bare(key: &KeyPair) -> Vec<u8> {
        let der = key.serialize_der();
        let (_rest, info) = x509_parser::der_parser::parse_der(&der).unwrap();
        info.as_sequence().unwrap()[2].as_slice().unwrap().to_vec()
    }

    // REQ: T-2
    #[test]
    fn every_form_of_key_is_read() {
        let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        let (p256, p384) = (key(&PKCS_ECDSA_P256_SHA256), key(&PKCS_ECDSA_P384_SHA384));
        let ed25519 = key(&PKCS_ED25519);
        let parameters = pem(
            "EC PARAMETERS",
            &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
        );
        for (key, text) in [
            (&p256, p256.serialize_pem()),
            (&p384, p384.serialize_pem()),
            (&ed25519, ed25519.serialize_pem()),
            (&rsa, rsa.serialize_pem()),
            (&rsa, pem("RSA PRIVATE KEY", &bare(&rsa))),
            (&p256, pem("EC PRIVATE KEY", &bare(&p256))),
            // As `openssl ecparam -genkey` writes it, with Windows line ends, with words around.
            (&p256, parameters + &pem("EC PRIVATE KEY", &bare(&p256))),
            (&p256, p256.serialize_pem().replace('\n', "\r\n")),
            (
                &p256,
                format!("Key for example\n{}\n\n", p256.serialize_pem()),
            ),
            (&p256, self_signed(&p256) + &p256.serialize_pem()),
        ] {
            let files = Files::new(self_signed(key), text);
            let loaded = files.load(at(0)).unwrap();
            assert_eq!(loaded.warnings, []);
            assert_eq!(
                loaded.certificate.names,
                [
                    "mcp.example.com",
                    "*.example.com",
                    "192.0.2.1",
                    "2001:db8::1"
                ]
            );
            assert_eq!(
                Utc(loaded.certificate.not_after).to_string(),
                "2027-01-30T00:00:00Z"
            );
        }
    }

    // REQ: T-2
    #[test]
    fn what_would_fail_later_is_refused_now() {
        let (ours, other) = (key(&PKCS_ECDSA_P256_SHA256), key(&PKCS_ECDSA_P256_SHA256));
        let (certificate, private) = (self_signed(&ours), ours.serialize_pem());
        let mut stapled = params();
        let feature = CustomExtension::from_oid_content(
            &[1, 3, 6, 1, 5, 5, 7, 1, 24],
            vec![0x30, 0x03, 0x02, 0x01, 0x05],
        );
        stapled.custom_extensions.push(feature);
        let stapled = stapled.self_signed(&ours).unwrap().pem();
        let der = params().self_signed(&ours).unwrap().der().to_vec();
        let chain_reversed = self_signed(&other) + &certificate;
        let encrypted = pem("ENCRYPTED PRIVATE KEY", &[0x30, 0]);
        let encrypted_old = pem("RSA PRIVATE KEY", &[0x30, 0]).replacen(
            '\n',
            "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n",
            1,
        );
        let weak = pem("PRIVATE KEY", &[0x30, 0x03, 0x02, 0x01, 0x00]);
        let (c, k) = (certificate.as_bytes(), private.as_bytes());
        let bundle = certificate.repeat(MAX_CHAIN + 1);
        let huge = vec![b'\n'; MAX_FILE_BYTES as usize + 1];
        let not_x509 = pem("CERTIFICATE", &[0x30, 0x03, 0x02, 0x01, 0x00]);
        let truncated = &c[..c.len() - 40];
        for (c, k, days, says) in [
            (
                c,
                other.serialize_pem().as_bytes(),
                0,
                "does not belong to the certificate",
            ),
            (c, k, 77, "expired at 2027-01-30T00:00:00Z"),
            (stapled.as_bytes(), k, 0, "must-staple"),
            (chain_reversed.as_bytes(), k, 0, "wrong order"),
            (k, c, 0, "swapped?"),
            (c, c, 0, "holds no private key but a certificate: are"),
            (b"", k, 0, "holds no certificate; it must"),
            (c, b"", 0, "holds no private key; it must"),
            (&der, k, 0, "is not valid PEM"),
            (c, &ours.serialize_der(), 0, "is not valid PEM"),
            (truncated, k, 0, "is not valid PEM"),
            (not_x509.as_bytes(), k, 0, "not an X.509"),
            (c, encrypted.as_bytes(), 0, "is encrypted"),
            (c, encrypted_old.as_bytes(), 0, "is encrypted"),
            (c, weak.as_bytes(), 0, "damaged or of an unsupported kind"),
            (bundle.as_bytes(), k, 0, "larger than a certificate chain"),
            (&huge, k, 0, "larger than a certificate chain"),
        ] {
            let files = Files::new(c, k);
            let error = files.load(at(days)).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(says), "{text:?} lacks {says:?}");
            let directory = files.0.path().display().to_string();
            assert!(text.contains(&directory), "{text:?} names no path");
            // Nothing of the key gets into what is printed.
            let secret = private.lines().nth(1).unwrap();
            assert!(!format!("{error:?}{text}").contains(&secret[..16]));
        }
        let missing = Path::new("no/such.pem");
        let error = load(missing, missing, at(0)).unwrap_err().to_string();
        assert!(error.contains("cannot read `no/such.pem`"), "{error}");
    }

    #[test]
    fn a_certificate_from_tomorrow_is_refused() {
        let ours = key(&PKCS_ECDSA_P256_SHA256);
        let files = Files::new(self_signed(&ours), ours.serialize_pem());
        let before = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW - 30 * DAY);
        let error = files.load(before).unwrap_err().to_string();
        assert!(
            error.contains("is not valid before 2026-11-01T00:00:00Z"),
            "{error}"
        );
    }

    #[test]
    fn warnings() {
        let ours = key(&PKCS_ECDSA_P256_SHA256);
        let files = Files::new(self_signed(&ours), ours.serialize_pem());
        let warned = |days| files.load(at(days)).unwrap().warnings;
        assert_eq!(warned(62), []);
        assert!(
            matches!(warned(63)[..], [Warning::ExpiresSoon { .. }]),
            "{:?}",
            warned(63)
        );
        set_mode(&files.key(), 0o644);
        assert!(matches!(warned(0)[..], [Warning::KeyReadable { .. }]));
        set_mode(&files.key(), 0o640);
        assert_eq!(warned(0), []);

        let mut nameless = params();
        nameless.subject_alt_names.clear();
        let nameless = nameless.self_signed(&ours).unwrap().pem();
        let files = Files::new(nameless, ours.serialize_pem());
        let loaded = files.load(at(0)).unwrap();
        assert!(matches!(loaded.warnings[..], [Warning::NoNames { .. }]));
    }

    #[test]
    fn chains() {
        let (ca_key, leaf_key) = (key(&PKCS_ECDSA_P256_SHA256), key(&PKCS_ECDSA_P256_SHA256));
        let mut ca = params();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.distinguished_name
            .push(rcgen::DnType::CommonName, "intermediate");
        ca.subject_alt_names.clear();
        ca.not_after = date_time_ymd(2026, 12, 20);
        let ca_pem = ca.self_signed(&ca_key).unwrap().pem();
        let issuer = Issuer::new(ca, &ca_key);
        let leaf = params().signed_by(&leaf_key, &issuer).unwrap().pem();

        let files = Files::new(leaf.clone() + &ca_pem, leaf_key.serialize_pem());
        let loaded = files.load(at(0)).unwrap();
        assert_eq!(loaded.certificate.key.cert.len(), 2);
        assert_eq!(loaded.warnings, []);
        // The certificate above the leaf ends first.
        assert!(matches!(
            files.load(at(40)).unwrap().warnings[..],
            [Warning::ExpiresSoon { .. }]
        ));
        // A stranger in the chain.
        let stranger = self_signed(&key(&PKCS_ED25519));
        let files = Files::new(leaf + &stranger, leaf_key.serialize_pem());
        assert!(matches!(
            files.load(at(0)).unwrap().warnings[..],
            [Warning::ChainBroken { .. }]
        ));
    }
}

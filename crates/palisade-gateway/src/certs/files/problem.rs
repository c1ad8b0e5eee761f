//! What is wrong with a certificate or its key, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use super::MAX_CHAIN;

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
    /// The file is beyond [`MAX_FILE_BYTES`](super::MAX_FILE_BYTES), or the chain beyond [`MAX_CHAIN`].
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
    /// A certificate of the chain ends within [`EXPIRY_WARNING`](super::EXPIRY_WARNING), or one above the leaf has ended.
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

/// A time as RFC 3339 has it, in UTC and whole seconds.
pub(in crate::certs) struct Utc(pub(in crate::certs) SystemTime);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::try_from(self.0) {
            Ok(at) => write!(f, "{at:.0}"),
            Err(_) => f.write_str("a time out of range"),
        }
    }
}

//! TLS towards others: the system's roots, a private CA by file, and no way round validation.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, IpAddr as TlsAddress, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::FetchError;
use crate::guard::Stream;
use crate::target::Host;

/// Whom to trust. There is no switch that turns validation off.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

/// A configuration that trusts the system's roots and the certificates in the PEM files `ca`.
///
/// # Errors
/// A file that cannot be used, or a system without trusted certificates.
pub fn trusting(ca: &[PathBuf]) -> Result<ClientConfig, TrustError> {
    let mut roots = RootCertStore::empty();
    // What the system holds and rustls cannot read is left out, as everywhere.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for path in ca {
        for certificate in certificates(path)? {
            let added = roots.add(certificate);
            added.map_err(|error| unusable(path, error))?;
        }
    }
    if roots.is_empty() {
        return Err(TrustError::Nobody);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TrustError::Library(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

impl Tls {
    /// Trusts the system's roots and the certificates in `ca`.
    pub(super) fn new(ca: &[PathBuf]) -> Result<Self, TrustError> {
        let mut config = trusting(ca)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// The handshake, with the host of the URL as the name that must be proven.
    pub(super) async fn connect(
        &self,
        host: &Host,
        stream: Box<dyn Stream>,
    ) -> Result<TlsStream<Box<dyn Stream>>, FetchError> {
        let failed = |cause: String| FetchError::Tls {
            host: host.to_string(),
            cause,
        };
        let name = match host {
            Host::Address(address) => ServerName::IpAddress(TlsAddress::from(*address)),
            Host::Name(name) => ServerName::try_from(name.as_str().to_owned())
                .map_err(|_| failed("the host is no name for a certificate".to_owned()))?,
        };
        self.0.connect(name, stream).await.map_err(|error| {
            let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
            match tls {
                Some(rustls::Error::InvalidCertificate(cause)) => FetchError::Certificate {
                    host: host.to_string(),
                    cause: cause.to_string(),
                },
                Some(error) => failed(error.to_string()),
                None => failed(error.to_string()),
            }
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let unreadable = |error: io::Error| TrustError::Unreadable(path.to_owned(), error);
    let pem = std::fs::read(path).map_err(unreadable)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable(path, "it holds no certificate")),
        Err(error) => Err(unusable(path, error)),
    }
}

fn unusable(path: &Path, cause: impl ToString) -> TrustError {
    TrustError::Certificate {
        path: path.to_owned(),
        cause: cause.to_string(),
    }
}

/// Why it is not known whom to trust.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// The CA file holds something else than certificates.
    #[error("the CA file {} cannot be used: {cause}; give certificates in PEM form", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The TLS library cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Library(String),
    /// There is no trusted certificate at all.
    #[error("no trusted certificates: install the system's `ca-certificates`, or name a CA file")]
    Nobody,
    /// The CA file cannot be read.
    #[error("the CA file {} cannot be read; check its path and permissions", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
}

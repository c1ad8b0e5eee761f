//! Whom a connection trusts: the system's authorities, and a private one beside them.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// Why an authorities' file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}; {remedy}")]
pub struct BadAuthority {
    cause: String,
    remedy: &'static str,
}

impl BadAuthority {
    /// Without what to do about it.
    pub(crate) fn cause(&self) -> &str {
        &self.cause
    }
}

/// No file of authorities is larger, in bytes.
const LARGEST: u64 = 4 << 20;

/// Validation against the system's roots and the certificates in `ca`. It has no switch.
pub(crate) fn client_config(ca: Option<&Path>) -> Result<ClientConfig, BadAuthority> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca {
        add(&mut roots, path)?;
    }
    // What cannot be read among the system's own is passed over, as every program does.
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        return Err(BadAuthority {
            cause: "this system has no certificate authorities".to_owned(),
            remedy: "install them (on Debian: apt install ca-certificates), or name the server's by --ca",
        });
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| BadAuthority {
            cause: format!("TLS cannot be set up: {error}"),
            remedy: "use a build with its own cryptography",
        })?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), BadAuthority> {
    let bad = |cause: String, remedy| BadAuthority {
        cause: format!("the authorities' file {} {cause}", path.display()),
        remedy,
    };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
        .map_err(|error| {
            bad(
                format!("cannot be read: {error}"),
                "check --ca, and that this user may read it",
            )
        })?;
    let mut found = 0;
    for certificate in CertificateDer::pem_slice_iter(&bytes) {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|found| roots.add(found).map_err(|error| error.to_string()));
        added.map_err(|error| {
            bad(
                format!("holds a damaged certificate: {error}"),
                "copy the authority's certificate again",
            )
        })?;
        found += 1;
    }
    if found == 0 {
        return Err(bad(
            "holds no certificate in PEM form".to_owned(),
            "name a file that holds `-----BEGIN CERTIFICATE-----`, such as the ca.pem of `tls.local`",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: U-2
    #[test]
    fn a_file_without_a_certificate_is_no_authority() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        for (text, wanted) in [
            (None, "cannot be read"),
            (Some(""), "no certificate"),
            (
                Some("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
                "no certificate",
            ),
            (
                Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
                "damaged",
            ),
            (Some("-----BEGIN CERTIFICATE-----\nAAAA\n"), "damaged"),
        ] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let error = client_config(Some(&path)).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text:?}: {error}");
        }
    }
}

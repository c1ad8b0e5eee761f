//! Client certificates: whom to believe, and what they say.

use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use palisade::auth::ClientCertificate;
use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::revocation::ByLists;

/// Whose certificates are taken.
#[derive(Clone, Debug)]
pub struct ClientTrust {
    /// Certificates of authorities, in PEM.
    pub ca: PathBuf,
    /// Their revocation lists, in PEM; with one there, each certificate of a chain must be covered by
    /// one that is not over. They are read again when the file changes.
    pub crl: Option<PathBuf>,
    /// Whether a client without a certificate is refused.
    pub required: bool,
}

/// Why nobody's certificate can be judged.
#[derive(Debug, thiserror::Error)]
#[error("`{key}` {}: {cause}", path.display())]
pub struct ClientTrustError {
    key: &'static str,
    path: PathBuf,
    cause: String,
}

impl ClientTrust {
    /// The verifier of handshakes. It judges chain, time, purpose (client authentication) and
    /// revocation.
    ///
    /// # Errors
    /// Where a file cannot be used.
    pub fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, ClientTrustError> {
        let failed = |key, path: &PathBuf, cause: &dyn std::fmt::Display| ClientTrustError {
            key,
            path: path.clone(),
            cause: cause.to_string(),
        };
        let ca = |cause: &dyn std::fmt::Display| failed("tls.client_ca", &self.ca, cause);
        let mut roots = RootCertStore::empty();
        let bytes = std::fs::read(&self.ca).map_err(|error| ca(&error))?;
        for certificate in CertificateDer::pem_slice_iter(&bytes) {
            let certificate = certificate.map_err(|error| ca(&error))?;
            roots.add(certificate).map_err(|error| ca(&error))?;
        }
        let roots = Arc::new(roots);
        let required = self.required;
        let make = move |lists: Option<Vec<CertificateRevocationListDer<'static>>>| {
            let (roots, provider) = (Arc::clone(&roots), Arc::clone(&provider));
            let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
            if let Some(lists) = lists {
                builder = builder.with_crls(lists).enforce_revocation_expiration();
            }
            if !required {
                builder = builder.allow_unauthenticated();
            }
            builder.build()
        };
        // Without lists first, so that what is wrong with the authorities is told as theirs.
        let verifier = make(None).map_err(|error| ca(&error))?;
        let Some(path) = &self.crl else {
            return Ok(verifier);
        };
        let by_lists = move |lists| make(Some(lists)).map_err(|error| error.to_string());
        let by_lists = ByLists::new(path.clone(), Box::new(by_lists));
        let by_lists = by_lists.map_err(|cause| failed("tls.client_crl", path, &cause))?;
        Ok(Arc::new(by_lists))
    }
}

/// What a certificate says of its holder; the handshake has judged it.
#[must_use]
pub fn certificate(der: &CertificateDer<'_>) -> Option<ClientCertificate> {
    let (_, parsed) = X509Certificate::from_der(der).ok()?;
    let mut certificate = ClientCertificate {
        thumbprint: [0; 32],
        subject: printable(&parsed.subject().to_string())?,
        uris: Vec::new(),
        dns: Vec::new(),
        emails: Vec::new(),
        der: der.to_vec(),
    };
    certificate
        .thumbprint
        .copy_from_slice(digest(&SHA256, der).as_ref());
    if let Ok(Some(names)) = parsed.subject_alternative_name() {
        for name in &names.value.general_names {
            let (list, name) = match name {
                GeneralName::DNSName(name) => (&mut certificate.dns, *name),
                GeneralName::RFC822Name(name) => (&mut certificate.emails, *name),
                GeneralName::URI(name) => (&mut certificate.uris, *name),
                _ => continue,
            };
            // What cannot be written on one line names nobody.
            list.extend(printable(name));
        }
    }
    Some(certificate)
}

fn printable(text: &str) -> Option<String> {
    (!text.chars().any(char::is_control)).then(|| text.to_owned())
}

/// `X-Forwarded-Client-Cert` as Envoy writes it.
#[must_use]
pub fn xfcc(certificate: &ClientCertificate) -> String {
    let hex: String = (certificate.thumbprint.iter())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = format!("Hash={hex};Subject=\"{}\"", quoted(&certificate.subject));
    for (name, list) in [("URI", &certificate.uris), ("DNS", &certificate.dns)] {
        for value in list {
            // A comma or semicolon would begin another element.
            text.push_str(&format!(";{name}=\"{}\"", quoted(value)));
        }
    }
    text
}

/// The certificate in PEM, percent-encoded, as nginx has it in `$ssl_client_escaped_cert`.
#[must_use]
pub fn escaped_pem(certificate: &ClientCertificate) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(&certificate.der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(std::str::from_utf8(line).unwrap_or_default());
        pem.push('\n');
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    let mut out = String::with_capacity(pem.len() * 5 / 4);
    for byte in pem.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, SanType};

    // REQ: T-4
    #[test]
    fn a_certificate_is_read_and_written_for_upstreams() {
        let mut params = CertificateParams::new(vec!["robot.example".to_owned()]).unwrap();
        let uri = "spiffe://example.org/robot";
        params
            .subject_alt_names
            .push(SanType::URI(uri.try_into().unwrap()));
        params
            .subject_alt_names
            .push(SanType::Rfc822Name("robot@example.org".try_into().unwrap()));
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Robot \"7\"");
        let issued = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let read = certificate(issued.der()).unwrap();
        assert_eq!(read.uris, [uri]);
        assert_eq!(read.dns, ["robot.example"]);
        assert_eq!(read.emails, ["robot@example.org"]);
        assert!(read.subject.contains("Robot"), "{}", read.subject);
        let xfcc = xfcc(&read);
        assert!(xfcc.starts_with("Hash="), "{xfcc}");
        assert!(xfcc.contains(&format!(";URI=\"{uri}\"")), "{xfcc}");
        let pem = escaped_pem(&read);
        assert!(pem.starts_with("-----BEGIN%20CERTIFICATE-----%0A"), "{pem}");
        assert!(pem.is_ascii() && !pem.contains(['\n', ' ', '+', '/']));
        assert_eq!(certificate(&CertificateDer::from(&b"x"[..])), None);
    }
}

//! A certificate authority for tests, made anew by every test process.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::crypto::CryptoProvider;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

/// The names of [`certificate`] where a test asks for no others: public ones, a wildcard, and
/// this machine.
pub const NAMES: [&str; 6] = [
    "mcp.example.com",
    "other.example.com",
    "*.tenant.example.com",
    "localhost",
    "127.0.0.1",
    "::1",
];

static CA: LazyLock<CertifiedIssuer<'static, KeyPair>> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let name = rcgen::DnType::CommonName;
    params
        .distinguished_name
        .push(name, "Palisade end-to-end tests");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
});

/// The authority's certificate, for clients to trust.
#[must_use]
pub fn root() -> CertificateDer<'static> {
    CA.der().clone()
}

/// The same as PEM, for clients that read files.
#[must_use]
pub fn root_pem() -> String {
    CA.pem()
}

/// Reads the first certificate of a PEM file, such as the one that `tls.local` makes.
///
/// # Panics
/// Where there is none.
#[must_use]
pub fn root_of(file: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Issues a certificate for `names` and writes it and its key into `directory`.
///
/// # Panics
/// Where the files cannot be written.
#[must_use]
pub fn certificate(directory: &Path, names: &[&str]) -> (PathBuf, PathBuf) {
    issue(directory, names, &KeyPair::generate().unwrap())
}

/// The same with an RSA key of 2048 bits, for clients that verify nothing else.
///
/// # Panics
/// Where the files cannot be written.
#[must_use]
pub fn rsa_certificate(directory: &Path, names: &[&str]) -> (PathBuf, PathBuf) {
    let kind = &rcgen::PKCS_RSA_SHA256;
    let key = KeyPair::generate_rsa_for(kind, rcgen::RsaKeySize::_2048).unwrap();
    issue(directory, names, &key)
}

fn issue(directory: &Path, names: &[&str], key: &KeyPair) -> (PathBuf, PathBuf) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    // What Mozilla's `modern` profile allows at most, and scanners expect: 90 days, and a word on
    // how it would be revoked. Nobody fetches that.
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + 88 * DAY).into();
    params.crl_distribution_points = vec![rcgen::CrlDistributionPoint {
        uris: vec!["http://crl.example.com/e2e.crl".to_owned()],
    }];
    let issued = params.signed_by(key, &CA).unwrap();
    let (chain, private) = (directory.join("cert.pem"), directory.join("key.pem"));
    fs::write(&chain, issued.pem()).unwrap();
    fs::write(&private, key.serialize_pem()).unwrap();
    fs::set_permissions(&private, Permissions::from_mode(0o600)).unwrap();
    (chain, private)
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The cryptography of the clients: the same as Palisade's.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

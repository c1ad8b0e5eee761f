use super::*;
use base64::Engine as _;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, IsCa, Issuer, KeyPair,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
    SignatureAlgorithm, date_time_ymd,
};
use std::path::PathBuf;
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

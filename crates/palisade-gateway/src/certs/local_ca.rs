//! A certificate authority for development that Palisade makes, keeps and issues from.
//!
//! Two files in one directory of mode 0700: `ca-key.pem` (mode 0600) holds the private key and, behind
//! it, the certificate, so that one rename publishes both; `ca.pem` is the certificate alone, for trust
//! stores. Leaf certificates live in memory only and are made afresh at every start.
//!
//! The authority cannot vouch for the world: its certificate is constrained (RFC 5280, section
//! 4.2.1.10) to localhost, loopback addresses and the hosts it was made for, it may sign no further
//! authority (path length 0), and it is good for TLS servers alone. When a host outside these
//! constraints is configured later, its certificate is made anew, with the same key, and covers the old
//! names and the new; [`LocalCa::is_new`] says so, since trust stores must take it up. Gateways that
//! run on are not disturbed: what they issued is good under the new certificate.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use self::scope::{Host, Scope};
use self::store::{Stored, lock, make_directory, write_atomically};
use super::ServedCertificate;

mod scope;
mod store;

/// How long a leaf certificate is valid: 90 days, Mozilla's limit for its modern profile.
pub const LEAF_LIFETIME: Duration = Duration::from_secs(90 * DAY);

/// How long the authority is valid: ten years.
pub const CA_LIFETIME: Duration = Duration::from_secs(3650 * DAY);

/// The directory for the authority by the XDG base directory specification: `palisade` under
/// `XDG_DATA_HOME` if that is an absolute path, else under `.local/share` in `HOME`. The values of the
/// two variables are given by the caller, who reads the environment.
///
/// # Errors
///
/// [`CaError::NoDirectory`] if neither is an absolute path.
pub fn default_directory(
    xdg_data_home: Option<&OsStr>,
    home: Option<&OsStr>,
) -> Result<PathBuf, CaError> {
    let absolute = |value: Option<&OsStr>| {
        value
            .map(Path::new)
            .filter(|path| path.is_absolute())
            .map(Path::to_owned)
    };
    absolute(xdg_data_home)
        .or_else(|| absolute(home).map(|home| home.join(".local/share")))
        .map(|data| data.join("palisade"))
        .ok_or(CaError::NoDirectory)
}

/// The authority, open.
pub struct LocalCa {
    pem: PathBuf,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    is_new: bool,
}

impl LocalCa {
    /// Opens the authority in `directory`, or makes one there, so that it may issue for `hosts` (as
    /// [`issue`](Self::issue) takes them).
    ///
    /// Processes that open the same directory at once get the same authority: a lock on `ca.lock` is
    /// held meanwhile, waited for at most ten seconds.
    ///
    /// # Errors
    ///
    /// [`CaError`] names path, cause and remedy.
    pub fn open(directory: &Path, hosts: &[String]) -> Result<Self, CaError> {
        let hosts = Host::parse_all(hosts)?;
        make_directory(directory)?;
        let _lock = lock(&directory.join("ca.lock"))?;
        let key_file = directory.join("ca-key.pem");
        let pem = directory.join("ca.pem");

        let kept = Stored::read(&key_file)?;
        let (stored, is_new) = match kept {
            Some(kept) if kept.remaining() <= CA_RENEWAL => {
                let scope = Scope::of(&kept.certificate).widened(&hosts);
                (Stored::generate(&scope)?, true)
            }
            Some(kept) => {
                let scope = Scope::of(&kept.certificate);
                if scope.covers(&hosts) {
                    (kept, false)
                } else {
                    (Stored::certify(kept.key, &scope.widened(&hosts))?, true)
                }
            }
            None => (Stored::generate(&Scope::default().widened(&hosts))?, true),
        };
        if is_new {
            write_atomically(&key_file, stored.to_pem().as_bytes(), 0o600)?;
        }
        // Written again whenever it differs: a crash between the two writes mends itself here.
        let public = stored.pem.as_str();
        if fs::read(&pem).ok().as_deref() != Some(public.as_bytes()) {
            write_atomically(&pem, public.as_bytes(), 0o644)?;
        }

        let issuer = Issuer::from_ca_cert_der(&stored.certificate, stored.key)?;
        Ok(Self {
            pem,
            certificate: stored.certificate,
            issuer,
            is_new,
        })
    }

    /// Issues a certificate with a fresh key for `hosts`, valid for [`LEAF_LIFETIME`].
    ///
    /// A host is a DNS name (`*.` may lead) or an IP address, IPv6 with or without brackets, no port.
    /// `localhost`, `127.0.0.1` and `::1` are always in.
    ///
    /// # Errors
    ///
    /// [`CaError::Host`] for what is no host; [`CaError::OutOfScope`] for a host that was not given to
    /// [`open`](Self::open) and lies outside the authority's constraints.
    pub fn issue(&self, hosts: &[String]) -> Result<ServedCertificate, CaError> {
        let hosts = Host::parse_all(hosts)?;
        let scope = Scope::of(&self.certificate);
        if let Some(outside) = hosts.iter().find(|host| !scope.covers_one(host)) {
            return Err(CaError::OutOfScope {
                host: outside.to_string(),
            });
        }

        let now = SystemTime::now();
        let not_after = whole_seconds(now + LEAF_LIFETIME - BACKDATE);
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        // Not a host name: verifiers of old hold a common name against the constraints.
        params
            .distinguished_name
            .push(DnType::CommonName, "Palisade local certificate");
        set_validity(&mut params, now - BACKDATE, not_after);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = hosts.iter().map(Host::to_san).collect::<Result<_, _>>()?;

        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let leaf = params.signed_by(&key, &self.issuer)?;
        let signing = aws_lc_rs::sign::any_ecdsa_type(&PrivateKeyDer::from(key))
            .map_err(|_| CaError::Crypto)?;
        Ok(ServedCertificate {
            key: Arc::new(CertifiedKey::new(vec![leaf.der().clone()], signing)),
            names: hosts.iter().map(Host::to_string).collect(),
            not_after,
            renew_at: not_after - LEAF_LIFETIME / 3,
        })
    }

    /// The file with the authority's certificate, for trust stores and for variables such as
    /// `NODE_EXTRA_CA_CERTS` and `SSL_CERT_FILE`.
    #[must_use]
    pub fn ca_pem_path(&self) -> &Path {
        &self.pem
    }

    /// The authority's certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Whether this call of [`open`](Self::open) made the authority, so that nobody trusts it yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.is_new
    }
}

impl fmt::Debug for LocalCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalCa")
            .field("pem", &self.pem)
            .field("is_new", &self.is_new)
            .finish_non_exhaustive()
    }
}

/// Why the authority cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// The system's random source failed, or the cryptographic library did.
    #[error(
        "cannot make a certificate: the cryptographic library failed; does `/dev/urandom` work on this machine?"
    )]
    Crypto,
    /// The authority's file is not what Palisade writes.
    #[error(
        "`{}` is damaged; delete it and a new local certificate authority is made, which must be trusted anew",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Others may read the authority's key.
    #[error(
        "the key of the local certificate authority, `{0}`, is open to other users (mode {mode:04o}); \
         if nobody can have copied it run `chmod 600 {0}`, else delete it and remove the authority from every trust store",
        path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A key or certificate could not be generated.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// Not a host.
    #[error(
        "`{host}` is no host for a certificate; give a DNS name (in its ASCII form) or an IP address, without scheme or port"
    )]
    Host {
        /// What was given.
        host: String,
    },
    /// A file or directory could not be read or written.
    #[error(
        "cannot {action} `{}`: {source}; the local certificate authority needs a directory that is Palisade's own, \
         chosen by `XDG_DATA_HOME` or `HOME`",
        path.display()
    )]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process kept the lock too long.
    #[error("another process has held `{}` for ten seconds; end it, or wait", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// There is nowhere to keep the authority.
    #[error(
        "no place for the local certificate authority: neither `XDG_DATA_HOME` nor `HOME` is an absolute path; set one, \
         or give `[tls]` a `certificate` and `key`"
    )]
    NoDirectory,
    /// The host lies outside the authority's name constraints.
    #[error(
        "the local certificate authority was not made for `{host}`; add it to `hosts` and start again"
    )]
    OutOfScope {
        /// The host.
        host: String,
    },
}

const DAY: u64 = 24 * 60 * 60;

/// Certificates begin an hour ago, for clients whose clock is behind.
const BACKDATE: Duration = Duration::from_secs(60 * 60);

/// An authority with less life than two leaves is replaced.
const CA_RENEWAL: Duration = Duration::from_secs(180 * DAY);

/// Certificates hold whole seconds.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

fn set_validity(params: &mut CertificateParams, from: SystemTime, to: SystemTime) {
    let offset = |time: SystemTime| {
        let since = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(since.as_secs())
    };
    params.not_before = offset(from);
    params.not_after = offset(to);
}

#[cfg(test)]
mod tests {
    use super::store::{CERTIFICATE_BEGIN, set_mode};
    use super::*;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{ServerName, UnixTime};
    use std::os::unix::fs::PermissionsExt as _;
    use x509_parser::prelude::{FromDer as _, X509Certificate};

    fn hosts(hosts: &[&str]) -> Vec<String> {
        hosts.iter().map(|&host| host.to_owned()).collect()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    /// What a client that trusts `ca` says of `served` for `name` at `now`.
    fn verify(
        ca: &LocalCa,
        served: &ServedCertificate,
        name: &str,
        now: SystemTime,
    ) -> Result<(), rustls::Error> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca.certificate().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .unwrap();
        let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now = UnixTime::since_unix_epoch(now);
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier
            .verify_server_cert(&served.key.cert[0], &[], &name, &[], now)
            .map(|_verified| ())
    }

    fn trusted(ca: &LocalCa, served: &ServedCertificate, name: &str, now: SystemTime) -> bool {
        verify(ca, served, name, now).is_ok()
    }

    // REQ: T-2
    #[test]
    fn it_is_made_once_and_kept() {
        let data = tempfile::tempdir().unwrap();
        let directory = data.path().join("deep/palisade");
        let first = LocalCa::open(&directory, &[]).unwrap();
        assert!(first.is_new());
        let leaf = first.issue(&[]).unwrap();
        let second = LocalCa::open(&directory, &[]).unwrap();
        assert!(!second.is_new());
        assert_eq!(first.certificate(), second.certificate());
        // What either issues, both vouch for.
        let now = SystemTime::now();
        assert!(trusted(&second, &leaf, "localhost", now));
        assert!(trusted(
            &first,
            &second.issue(&[]).unwrap(),
            "127.0.0.1",
            now
        ));

        assert_eq!(mode(&directory), 0o700);
        assert_eq!(mode(&directory.join("ca-key.pem")), 0o600);
        let public = fs::read_to_string(first.ca_pem_path()).unwrap();
        assert!(public.starts_with(CERTIFICATE_BEGIN) && !public.contains("PRIVATE KEY"));
        let mut left: Vec<_> = fs::read_dir(&directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["ca-key.pem", "ca.lock", "ca.pem"]);
    }

    // REQ: T-2
    #[test]
    fn of_many_that_open_at_once_all_get_the_same() {
        let data = tempfile::tempdir().unwrap();
        let directory = data.path().join("palisade");
        let barrier = std::sync::Barrier::new(8);
        let opened: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        LocalCa::open(&directory, &[]).unwrap()
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(opened.iter().filter(|ca| ca.is_new()).count(), 1);
        for ca in &opened {
            assert_eq!(ca.certificate(), opened[0].certificate());
        }
    }

    // REQ: T-2
    #[test]
    fn leaves_serve_their_hosts_for_ninety_days() {
        let data = tempfile::tempdir().unwrap();
        let wanted = hosts(&[
            "MCP.Example.com.",
            "*.tenant.example.com",
            "192.0.2.7",
            "[2001:db8::7]",
            "localhost",
        ]);
        let ca = LocalCa::open(data.path(), &wanted).unwrap();
        let leaf = ca.issue(&wanted).unwrap();
        assert_eq!(
            leaf.names,
            [
                "localhost",
                "127.0.0.1",
                "::1",
                "mcp.example.com",
                "*.tenant.example.com",
                "192.0.2.7",
                "2001:db8::7"
            ]
        );
        let now = SystemTime::now();
        for (name, wanted) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("mcp.example.com", true),
            ("a.tenant.example.com", true),
            ("192.0.2.7", true),
            ("2001:db8::7", true),
            ("tenant.example.com", false),
            ("example.com", false),
            ("127.0.0.2", false),
        ] {
            assert_eq!(trusted(&ca, &leaf, name, now), wanted, "{name}");
        }
        let day = Duration::from_secs(DAY);
        assert!(trusted(&ca, &leaf, "localhost", now + day * 89));
        assert!(!trusted(&ca, &leaf, "localhost", now + day * 90));
        let renew_in = leaf.renew_at.duration_since(now).unwrap();
        assert!((day * 59..day * 60).contains(&renew_in), "{renew_in:?}");
    }

    #[test]
    fn it_cannot_vouch_for_the_world() {
        let data = tempfile::tempdir().unwrap();
        let ca = LocalCa::open(data.path(), &hosts(&["mcp.example.com"])).unwrap();
        for outside in ["bank.example", "example.com", "192.0.2.1", "*.com"] {
            let error = ca.issue(&hosts(&[outside])).unwrap_err();
            assert!(error.to_string().contains(outside), "{error}");
        }
        // And if somebody stole the key, clients would not follow.
        let now = SystemTime::now();
        for name in ["bank.example", "192.0.2.1"] {
            let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
            let stolen = CertificateParams::new(hosts(&[name])).unwrap();
            let stolen = stolen.signed_by(&key, &ca.issuer).unwrap();
            let signing = aws_lc_rs::sign::any_ecdsa_type(&PrivateKeyDer::from(key)).unwrap();
            let forged = ServedCertificate {
                key: Arc::new(CertifiedKey::new(vec![stolen.der().clone()], signing)),
                names: Vec::new(),
                not_after: now,
                renew_at: now,
            };
            let error = verify(&ca, &forged, name, now).unwrap_err();
            assert!(
                format!("{error:?}").contains("NameConstraintViolation"),
                "{error:?}"
            );
        }
        assert!(
            ca.issue(&hosts(&["a.mcp.example.com", "x.localhost", "127.9.9.9"]))
                .is_ok()
        );
    }

    #[test]
    fn new_hosts_widen_the_authority_and_disturb_nobody() {
        let data = tempfile::tempdir().unwrap();
        let first = LocalCa::open(data.path(), &hosts(&["a.test", "192.0.2.1"])).unwrap();
        let kept = LocalCa::open(data.path(), &hosts(&["localhost", "a.test"])).unwrap();
        assert!(!kept.is_new());
        let second = LocalCa::open(data.path(), &hosts(&["b.test"])).unwrap();
        assert!(second.is_new());
        assert_ne!(first.certificate(), second.certificate());
        // What the first issued is still good for clients that read `ca.pem` anew, and serials differ.
        let old_leaf = first.issue(&hosts(&["a.test"])).unwrap();
        assert!(trusted(&second, &old_leaf, "a.test", SystemTime::now()));
        let serial = |ca: &LocalCa| {
            let (_rest, parsed) = X509Certificate::from_der(ca.certificate()).unwrap();
            parsed.raw_serial().to_vec()
        };
        assert_ne!(serial(&first), serial(&second));
        let third = LocalCa::open(data.path(), &hosts(&["a.test", "192.0.2.1", "b.test"])).unwrap();
        assert!(!third.is_new());
        let now = SystemTime::now();
        let leaf = third
            .issue(&hosts(&["a.test", "192.0.2.1", "b.test"]))
            .unwrap();
        assert!(
            ["a.test", "192.0.2.1", "b.test"]
                .iter()
                .all(|name| trusted(&second, &leaf, name, now))
        );
    }

    #[test]
    fn hosts_that_are_none() {
        for host in [
            "",
            "https://a.test",
            "a.test:8443",
            "a b",
            "a..test",
            "*",
            "*.",
            "a.*.test",
            "1.2.3",
            "münchen.de",
            "[a.test]",
            "fe80::1%eth0",
            "-",
            "a/b",
            "\u{0}",
        ] {
            assert!(
                matches!(Host::parse(host), Err(CaError::Host { .. })),
                "{host:?}"
            );
        }
    }

    #[test]
    fn what_is_damaged_or_exposed_is_refused_with_the_remedy() {
        let data = tempfile::tempdir().unwrap();
        let key_file = data.path().join("ca-key.pem");
        let ca = LocalCa::open(data.path(), &[]).unwrap();
        let good = fs::read_to_string(&key_file).unwrap();
        let pem = fs::read_to_string(ca.ca_pem_path()).unwrap();
        let other_data = tempfile::tempdir().unwrap();
        let other = LocalCa::open(other_data.path(), &[]).unwrap();
        let other = fs::read_to_string(other.ca_pem_path()).unwrap();
        let mixed = good.replace(&pem, &other);
        assert_ne!(mixed, good);
        for content in ["", "nonsense", &pem, &good[..good.len() / 2], &mixed] {
            fs::write(&key_file, content).unwrap();
            let error = LocalCa::open(data.path(), &[]).unwrap_err();
            assert!(matches!(error, CaError::Damaged { .. }), "{error:?}");
            assert!(error.to_string().contains("delete it"), "{error}");
        }
        fs::write(&key_file, [0xff, 0xfe]).unwrap();
        assert!(matches!(
            LocalCa::open(data.path(), &[]).unwrap_err(),
            CaError::Damaged { .. }
        ));

        fs::write(&key_file, &good).unwrap();
        set_mode(&key_file, 0o640).unwrap();
        let error = LocalCa::open(data.path(), &[]).unwrap_err();
        assert!(error.to_string().contains("mode 0640"), "{error}");

        // The public copy mends itself, and so does a directory that is too open.
        set_mode(&key_file, 0o600).unwrap();
        set_mode(data.path(), 0o755).unwrap();
        fs::remove_file(data.path().join("ca.pem")).unwrap();
        let again = LocalCa::open(data.path(), &[]).unwrap();
        assert!(!again.is_new());
        assert_eq!(fs::read_to_string(again.ca_pem_path()).unwrap(), pem);
        assert_eq!(mode(data.path()), 0o700);
    }

    #[test]
    fn the_directory_follows_the_specification() {
        let path = |text: &'static str| Some(OsStr::new(text));
        for (xdg, home, wanted) in [
            (path("/data"), path("/home/me"), Some("/data/palisade")),
            (
                None,
                path("/home/me"),
                Some("/home/me/.local/share/palisade"),
            ),
            // Relative and empty values are to be ignored.
            (
                path("data"),
                path("/home/me"),
                Some("/home/me/.local/share/palisade"),
            ),
            (
                path(""),
                path("/home/me"),
                Some("/home/me/.local/share/palisade"),
            ),
            (None, path("me"), None),
            (None, None, None),
        ] {
            let found = default_directory(xdg, home).ok();
            assert_eq!(found.as_deref(), wanted.map(Path::new));
        }
    }
}

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

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, DnsName, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::ServedCertificate;

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

const CERTIFICATE_BEGIN: &str = "-----BEGIN CERTIFICATE-----";

const LOCK_PATIENCE: Duration = Duration::from_secs(10);

/// A name or address for a certificate, in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// Parses hosts and adds the loopback ones, which come first. No host is twice in the result.
    fn parse_all(hosts: &[String]) -> Result<Vec<Self>, CaError> {
        let mut all = vec![
            Self::Name("localhost".to_owned()),
            Self::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Self::Address(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ];
        for host in hosts {
            let host = Self::parse(host)?;
            if !all.contains(&host) {
                all.push(host);
            }
        }
        Ok(all)
    }

    fn parse(text: &str) -> Result<Self, CaError> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let checked = name.strip_prefix("*.").unwrap_or(&name);
        // A last label of digits is no name but a mistyped address (WHATWG URL, "ends in a number").
        let last = checked.rsplit('.').next().unwrap_or_default();
        let numeric = last.bytes().all(|byte| byte.is_ascii_digit());
        match DnsName::try_from(checked) {
            Ok(_) if !numeric => Ok(Self::Name(name)),
            _ => Err(CaError::Host {
                host: text.chars().take(255).collect(),
            }),
        }
    }

    fn to_san(&self) -> Result<SanType, CaError> {
        Ok(match self {
            Self::Name(name) => SanType::DnsName(name.as_str().try_into()?),
            Self::Address(address) => SanType::IpAddress(*address),
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// What an authority may vouch for, beside localhost and loopback addresses: DNS names with all below
/// them, and single addresses.
#[derive(Debug, Default)]
struct Scope {
    names: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

impl Scope {
    /// Reads the permitted subtrees of a certificate that [`Stored::generate`] made.
    fn of(certificate: &CertificateDer<'_>) -> Self {
        let mut scope = Self::default();
        let Ok((_rest, certificate)) = X509Certificate::from_der(certificate) else {
            return scope;
        };
        let permitted = certificate
            .name_constraints()
            .ok()
            .flatten()
            .and_then(|extension| extension.value.permitted_subtrees.as_ref());
        for subtree in permitted.into_iter().flatten() {
            match &subtree.base {
                GeneralName::DNSName(name) => {
                    scope.names.insert((*name).to_owned());
                }
                GeneralName::IPAddress(bytes) => {
                    scope.addresses.extend(single_address(bytes));
                }
                _ => {}
            }
        }
        scope
    }

    fn covers(&self, hosts: &[Host]) -> bool {
        hosts.iter().all(|host| self.covers_one(host))
    }

    fn covers_one(&self, host: &Host) -> bool {
        match host {
            Host::Name(name) => {
                let base = name.strip_prefix("*.").unwrap_or(name);
                std::iter::successors(Some(base), |name| Some(name.split_once('.')?.1))
                    .any(|name| name == "localhost" || self.names.contains(name))
            }
            Host::Address(address) => address.is_loopback() || self.addresses.contains(address),
        }
    }

    fn widened(mut self, hosts: &[Host]) -> Self {
        for host in hosts {
            if self.covers_one(host) {
                continue;
            }
            match host {
                Host::Name(name) => {
                    let base = name.strip_prefix("*.").unwrap_or(name);
                    self.names.insert(base.to_owned());
                }
                Host::Address(address) => {
                    self.addresses.insert(*address);
                }
            }
        }
        self
    }

    fn to_constraints(&self) -> NameConstraints {
        let mut permitted_subtrees = vec![
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(
                Ipv6Addr::LOCALHOST.octets(),
                128,
            )),
        ];
        let names = self.names.iter().filter(|name| *name != "localhost");
        permitted_subtrees.extend(names.cloned().map(GeneralSubtree::DnsName));
        let addresses = self
            .addresses
            .iter()
            .filter(|address| !address.is_loopback());
        permitted_subtrees.extend(addresses.map(|&address| {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, bits))
        }));
        NameConstraints {
            permitted_subtrees,
            excluded_subtrees: Vec::new(),
        }
    }
}

/// The address of a name constraint whose mask is all ones: 8 or 32 bytes, address then mask.
fn single_address(bytes: &[u8]) -> Option<IpAddr> {
    let (address, mask) = bytes.split_at(bytes.len() / 2);
    if mask.iter().any(|&byte| byte != 0xff) {
        return None;
    }
    match address.len() {
        4 => <[u8; 4]>::try_from(address).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(address).ok().map(IpAddr::from),
        _ => None,
    }
}

/// What `ca-key.pem` holds.
struct Stored {
    key: KeyPair,
    certificate: CertificateDer<'static>,
    /// The certificate as it stands in the file.
    pem: String,
    not_after: SystemTime,
}

impl Stored {
    fn generate(scope: &Scope) -> Result<Self, CaError> {
        Self::certify(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?, scope)
    }

    /// Makes a certificate for `key`. Its subject follows from the key, so that all certificates of one
    /// key are the same issuer to a verifier.
    fn certify(key: KeyPair, scope: &Scope) -> Result<Self, CaError> {
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
    fn read(path: &Path) -> Result<Option<Self>, CaError> {
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

    fn remaining(&self) -> Duration {
        self.not_after
            .duration_since(SystemTime::now())
            .unwrap_or_default()
    }

    fn to_pem(&self) -> String {
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
fn lock(path: &Path) -> Result<File, CaError> {
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
fn write_atomically(path: &Path, content: &[u8], mode: u32) -> Result<(), CaError> {
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

fn make_directory(directory: &Path) -> Result<(), CaError> {
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
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> io::Result<()> {
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
    use super::*;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier as _;
    use rustls::pki_types::{ServerName, UnixTime};
    use std::os::unix::fs::PermissionsExt as _;

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

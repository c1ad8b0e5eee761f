//! Revocation lists of client certificates (RFC 5280 section 5): each good until its `nextUpdate`,
//! the file read again when it changes.
//!
//! A list that has ended says nothing about who was revoked since, so certificates of its authority
//! are refused until there is a new one (RFC 5280 section 6.3.3 would leave their status
//! undetermined).

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use super::files::Utc;

/// How often it is looked whether the file is another.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The largest file of lists, in bytes: as of any other that the configuration names.
const LARGEST: u64 = 1 << 20;

/// Makes a verifier of lists.
pub(super) type Make = Box<
    dyn Fn(
            Vec<CertificateRevocationListDer<'static>>,
        ) -> Result<Arc<dyn ClientCertVerifier>, String>
        + Send
        + Sync,
>;

/// Judges client certificates by the lists that the file holds now.
pub(super) struct ByLists {
    path: PathBuf,
    make: Make,
    /// For what does not depend on lists.
    first: Arc<dyn ClientCertVerifier>,
    state: Mutex<State>,
}

struct State {
    verifier: Arc<dyn ClientCertVerifier>,
    stamp: Option<Stamp>,
    looked: Instant,
    /// Whether it has been said that a list of these is over.
    said: bool,
}

/// By what a file is known to be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Some(Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            inode,
        })
    }
}

impl ByLists {
    /// Reads the file.
    ///
    /// # Errors
    /// What stands against it, in words.
    pub(super) fn new(path: PathBuf, make: Make) -> Result<Self, String> {
        // First the stamp: what changes in between is read again.
        let stamp = Stamp::of(&path);
        let first = make(read(&path)?)?;
        let state = State {
            verifier: Arc::clone(&first),
            stamp,
            looked: Instant::now(),
            said: false,
        };
        Ok(Self {
            path,
            make,
            first,
            state: Mutex::new(state),
        })
    }

    /// The verifier of now.
    fn current(&self) -> Arc<dyn ClientCertVerifier> {
        let known = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.looked.elapsed() < LOOK_EVERY {
                return Arc::clone(&state.verifier);
            }
            state.looked = Instant::now();
            state.stamp
        };
        let stamp = Stamp::of(&self.path);
        let read = (stamp != known).then(|| read(&self.path).and_then(&self.make));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match read {
            Some(Ok(verifier)) => {
                tracing::info!(path = %self.path.display(), "the revocation lists of `tls.client_crl` are read again");
                state.verifier = verifier;
                state.said = false;
                state.stamp = stamp;
            }
            Some(Err(cause)) => {
                tracing::warn!(path = %self.path.display(), %cause, "`tls.client_crl` cannot be read again; the lists from before hold until they end");
                state.stamp = stamp;
            }
            None => {}
        }
        Arc::clone(&state.verifier)
    }

    fn say(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut state.said, true) {
            tracing::warn!(
                path = %self.path.display(),
                "a list in `tls.client_crl` has ended (nextUpdate): certificates of its authority are refused; put the authority's current list there, it is read again within a second"
            );
        }
    }
}

impl std::fmt::Debug for ByLists {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ByLists")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl ClientCertVerifier for ByLists {
    fn offer_client_auth(&self) -> bool {
        self.first.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.first.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.first.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .current()
            .verify_client_cert(end_entity, intermediates, now);
        verified.inspect_err(|error| {
            if is_over(error) {
                self.say();
            }
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.first.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.first.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.first.supported_verify_schemes()
    }
}

/// Whether a certificate was refused because the list that would tell is over.
pub(crate) const fn is_over(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::ExpiredRevocationList
                | CertificateError::ExpiredRevocationListContext { .. }
        )
    )
}

/// What is wrong with the first of the lists in PEM that is over at `now`; `None`: all of them are
/// in their time.
pub(crate) fn ended(bytes: &[u8], now: SystemTime) -> Option<String> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    let lists = CertificateRevocationListDer::pem_slice_iter(bytes);
    lists.filter_map(Result::ok).find_map(|list| {
        let (_, list) = CertificateRevocationList::from_der(&list).ok()?;
        let next = u64::try_from(list.next_update()?.timestamp()).unwrap_or(0);
        (next < now).then(|| {
            let at = Utc(SystemTime::UNIX_EPOCH + Duration::from_secs(next));
            format!("its list of `{}` ended at {at} (nextUpdate)", list.issuer())
        })
    })
}

fn read(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    let lists = CertificateRevocationListDer::pem_slice_iter(&bytes);
    let lists = lists.collect::<Result<Vec<_>, _>>();
    let lists = lists.map_err(|error| error.to_string())?;
    if lists.is_empty() {
        return Err("it holds no revocation list in PEM form".to_owned());
    }
    Ok(lists)
}

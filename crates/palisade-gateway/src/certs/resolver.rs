//! Which certificate a connection gets: by the name in the client's SNI extension (RFC 6066, section 3).

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::ServedCertificate;

/// Picks a certificate by SNI, and can be given new certificates while it serves.
///
/// A name is looked for exactly first, then under a wildcard for its first label (RFC 9525, section
/// 6.3: `*` is one whole label). Where several certificates carry a name, such as one with an ECDSA
/// and one with an RSA key, the first whose key can sign what the client can verify is taken.
///
/// What no certificate carries is strictly refused, so that nobody is shown one tenant's certificate
/// under the name of another:
///
/// * A name that no certificate carries gets [`NameError::Unrecognized`]; but one of the configured
///   hosts is served where there is only one set of names to be shown, so that a proxy in front that
///   verifies by other means can name the public host.
/// * No name, as every client that calls an IP address sends none (RFC 6066, section 3): the first
///   certificate where all carry the same names, else the first that carries an IP address, else
///   [`NameError::Missing`].
#[derive(Debug)]
pub struct CertificateResolver {
    table: ArcSwap<Table>,
    hosts: HashSet<String>,
}

impl CertificateResolver {
    /// Makes a resolver for `certificates`, most preferred first.
    ///
    /// # Errors
    ///
    /// [`NoCertificates`] if there is none.
    pub fn new(certificates: Vec<ServedCertificate>) -> Result<Self, NoCertificates> {
        Ok(Self {
            table: ArcSwap::from_pointee(Table::new(certificates)?),
            hosts: HashSet::new(),
        })
    }

    /// Serves these names too, DNS names in lower case, beside those in the certificates.
    #[must_use]
    pub fn with_hosts(mut self, hosts: impl IntoIterator<Item = String>) -> Self {
        self.hosts.extend(hosts);
        self
    }

    /// Serves `certificates` from the next handshake on. Connections that stand are not touched.
    ///
    /// # Errors
    ///
    /// [`NoCertificates`] if there is none; the old certificates stay in place.
    pub fn replace(&self, certificates: Vec<ServedCertificate>) -> Result<(), NoCertificates> {
        self.table.store(Arc::new(Table::new(certificates)?));
        Ok(())
    }

    /// Whether a connection that asks for `name`, a DNS name in lower case, can be served.
    ///
    /// # Errors
    ///
    /// [`NameError`].
    pub fn admit(&self, name: Option<&str>) -> Result<(), NameError> {
        self.table
            .load()
            .candidates(name, &self.hosts)
            .map(|_candidates| ())
    }

    /// The certificate for `name`, a DNS name in lower case, for a client that can verify `schemes`.
    fn choose(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Result<Arc<CertifiedKey>, NameError> {
        let table = self.table.load();
        let candidates = table.candidates(name, &self.hosts)?;
        table
            .first_usable(candidates, schemes)
            .map(|certificate| Arc::clone(&certificate.key))
            .ok_or(NameError::Missing)
    }
}

impl ResolvesServerCert for CertificateResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
            .ok()
    }
}

/// No certificate is for this client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The client names no host, and the certificates are for several.
    #[error("the client names no host by SNI, and the certificates are for several")]
    Missing,
    /// The name is not served here.
    #[error("the client asks by SNI for a name that is not served")]
    Unrecognized,
}

/// There is no certificate to serve.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no certificate to serve; give `[tls]` a `certificate` and `key`, or `local = true`")]
pub struct NoCertificates;

#[derive(Debug)]
struct Table {
    all: Vec<ServedCertificate>,
    /// Positions in `all`, by exact name.
    exact: HashMap<String, Vec<usize>>,
    /// Positions in `all`, by what follows `*.`.
    wildcard: HashMap<String, Vec<usize>>,
    /// Positions in `all` for clients that name no host.
    nameless: Vec<usize>,
    /// Whether all certificates carry the same names.
    alike: bool,
}

impl Table {
    fn new(all: Vec<ServedCertificate>) -> Result<Self, NoCertificates> {
        let first: HashSet<&String> = match all.first() {
            Some(certificate) => certificate.names.iter().collect(),
            None => return Err(NoCertificates),
        };
        let alike = all
            .iter()
            .all(|certificate| certificate.names.iter().collect::<HashSet<_>>() == first);
        let mut exact: HashMap<String, Vec<usize>> = HashMap::new();
        let mut wildcard: HashMap<String, Vec<usize>> = HashMap::new();
        let mut nameless = Vec::new();
        for (position, certificate) in all.iter().enumerate() {
            for name in &certificate.names {
                let (map, key) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut wildcard, rest),
                    None => (&mut exact, name.as_str()),
                };
                map.entry(key.to_owned()).or_default().push(position);
            }
            let has_address = |name: &String| name.parse::<IpAddr>().is_ok();
            if alike || certificate.names.iter().any(has_address) {
                nameless.push(position);
            }
        }
        Ok(Self {
            all,
            exact,
            wildcard,
            nameless,
            alike,
        })
    }

    /// Positions of the certificates that may be shown to who asks for `name`; never none.
    fn candidates(
        &self,
        name: Option<&str>,
        hosts: &HashSet<String>,
    ) -> Result<&[usize], NameError> {
        let Some(name) = name else {
            let some = Some(&*self.nameless).filter(|positions| !positions.is_empty());
            return some.ok_or(NameError::Missing);
        };
        let carried = self.exact.get(name).or_else(|| {
            let (_label, parent) = name.split_once('.')?;
            self.wildcard.get(parent)
        });
        match carried {
            Some(positions) => Ok(positions),
            None if self.alike && hosts.contains(name) => Ok(&self.nameless),
            None => Err(NameError::Unrecognized),
        }
    }

    fn first_usable(
        &self,
        candidates: &[usize],
        schemes: &[SignatureScheme],
    ) -> Option<&ServedCertificate> {
        let mut all = candidates
            .iter()
            .filter_map(|position| self.all.get(*position));
        let first = all.clone().next();
        // No usable key: rustls refuses the handshake with the right alert itself.
        all.find(|certificate| certificate.key.key.choose_scheme(schemes).is_some())
            .or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certs::local_ca::LocalCa;
    use rustls::SignatureScheme as S;
    use std::time::SystemTime;

    fn served(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> ServedCertificate {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let certificate = rcgen::CertificateParams::new(names.clone())
            .unwrap()
            .self_signed(&key)
            .unwrap();
        let key = CertifiedKey::from_der(
            vec![certificate.der().clone()],
            key.into(),
            &rustls::crypto::aws_lc_rs::default_provider(),
        )
        .unwrap();
        ServedCertificate {
            key: Arc::new(key),
            names,
            not_after: SystemTime::now(),
            renew_at: SystemTime::now(),
        }
    }

    // REQ: T-2
    #[test]
    fn the_name_chooses_the_certificate() {
        let a = served(&["a.test", "*.a.test"], &rcgen::PKCS_ECDSA_P256_SHA256);
        let b = served(&["b.test"], &rcgen::PKCS_ECDSA_P256_SHA256);
        let b_other = served(&["b.test"], &rcgen::PKCS_ED25519);
        let resolver =
            CertificateResolver::new(vec![a.clone(), b.clone(), b_other.clone()]).unwrap();
        let resolver = resolver.with_hosts(["host.test".to_owned()]);
        let both = [S::ECDSA_NISTP256_SHA256, S::ED25519];
        for (name, schemes, wanted) in [
            ("a.test", &both[..], Ok(&a)),
            ("x.a.test", &both, Ok(&a)),
            ("b.test", &both, Ok(&b)),
            ("b.test", &[S::ED25519], Ok(&b_other)),
            // No usable key: rustls says so.
            ("b.test", &[S::RSA_PSS_SHA256], Ok(&b)),
            // `*` is one label: neither two nor none, and never the parent of another name.
            ("y.x.a.test", &both, Err(NameError::Unrecognized)),
            ("x.b.test", &both, Err(NameError::Unrecognized)),
            ("test", &both, Err(NameError::Unrecognized)),
            ("unknown.test", &both, Err(NameError::Unrecognized)),
            ("localhost", &both, Err(NameError::Unrecognized)),
            // A host that is configured does not say which of several tenants it is.
            ("host.test", &both, Err(NameError::Unrecognized)),
            ("", &both, Err(NameError::Unrecognized)),
        ] {
            let chosen = resolver.choose(Some(name), schemes);
            assert!(
                match (&chosen, &wanted) {
                    (Ok(chosen), Ok(wanted)) => Arc::ptr_eq(chosen, &wanted.key),
                    (chosen, wanted) => chosen.as_ref().err() == wanted.as_ref().err(),
                },
                "{name:?} with {schemes:?} chose {chosen:?}"
            );
            assert_eq!(resolver.admit(Some(name)).err(), chosen.err());
        }
        assert_eq!(resolver.admit(None), Err(NameError::Missing));
    }

    // REQ: T-2
    #[test]
    fn who_names_no_host_gets_what_is_for_everybody_or_for_addresses() {
        let ecdsa = &rcgen::PKCS_ECDSA_P256_SHA256;
        let a = || served(&["a.test"], ecdsa);
        let b = || served(&["b.test"], ecdsa);
        let address = || served(&["b.test", "192.0.2.1"], ecdsa);
        // The same names in another order, by another key.
        let address_again = || served(&["192.0.2.1", "b.test"], &rcgen::PKCS_ED25519);
        for (certificates, schemes, wanted) in [
            (vec![a()], &[S::ECDSA_NISTP256_SHA256][..], Ok(0)),
            (vec![a(), b()], &[], Err(NameError::Missing)),
            (vec![a(), address()], &[], Ok(1)),
            (vec![address(), address_again()], &[S::ED25519], Ok(1)),
            (vec![a(), address(), address_again()], &[S::ED25519], Ok(2)),
            (vec![served(&[], ecdsa)], &[], Ok(0)),
        ] {
            let resolver = CertificateResolver::new(certificates.clone()).unwrap();
            let chosen = resolver.choose(None, schemes);
            let position = chosen.map(|chosen| {
                let mut all = certificates.iter();
                all.position(|one| Arc::ptr_eq(&one.key, &chosen)).unwrap()
            });
            assert_eq!(position, wanted);
        }
    }

    #[test]
    fn a_host_beside_the_certificate_is_served_where_there_is_one_set_of_names() {
        let a = || served(&["a.test"], &rcgen::PKCS_ECDSA_P256_SHA256);
        let b = || served(&["b.test"], &rcgen::PKCS_ECDSA_P256_SHA256);
        for (certificates, wanted) in [
            (vec![a()], Ok(())),
            (vec![a(), a()], Ok(())),
            (vec![a(), b()], Err(NameError::Unrecognized)),
        ] {
            let resolver = CertificateResolver::new(certificates).unwrap();
            let resolver = resolver.with_hosts(["host.test".to_owned()]);
            assert_eq!(resolver.admit(Some("host.test")), wanted);
            assert_eq!(
                resolver.admit(Some("x.host.test")),
                Err(NameError::Unrecognized)
            );
        }
    }

    #[test]
    fn a_replacement_serves_at_once_and_nothing_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let ca = LocalCa::open(directory.path(), &[]).unwrap();
        let (old, new) = (ca.issue(&[]).unwrap(), ca.issue(&[]).unwrap());
        let resolver = CertificateResolver::new(vec![old.clone()]).unwrap();
        resolver.replace(Vec::new()).unwrap_err();
        let chosen = resolver.choose(None, &[]).unwrap();
        assert!(Arc::ptr_eq(&chosen, &old.key));
        resolver.replace(vec![new.clone()]).unwrap();
        let chosen = resolver.choose(None, &[]).unwrap();
        assert!(Arc::ptr_eq(&chosen, &new.key));
        assert!(CertificateResolver::new(Vec::new()).is_err());
    }
}

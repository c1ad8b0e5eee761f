//! Which certificate a connection gets: by the name in the client's SNI extension (RFC 6066, section 3).

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::ServedCertificate;

/// Picks a certificate by SNI, and can be given new certificates while it serves.
///
/// A name is looked for exactly first, then under a wildcard for its first label (RFC 9525, section
/// 6.3: `*` is one whole label). A client that sends no SNI, as every client that calls an IP
/// address does, or an unknown name gets the first certificate; whether the name may be served is for
/// the Host layer to say. Where several certificates carry a name, such as one with an ECDSA and one
/// with an RSA key, the first whose key can sign what the client can verify is taken.
#[derive(Debug)]
pub struct CertificateResolver {
    table: ArcSwap<Table>,
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
        })
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

    /// The certificate for `name`, a DNS name in lower case, for a client that can verify `schemes`.
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let table = self.table.load();
        // One certificate is by far the most common case, and then there is nothing to choose.
        if let [only] = table.all.as_slice() {
            return Some(Arc::clone(&only.key));
        }
        let candidates = name.and_then(|name| table.candidates(name));
        let chosen = match candidates {
            Some(candidates) => table.first_usable(candidates.iter().copied(), schemes),
            None => table.first_usable(0..table.all.len(), schemes),
        };
        chosen.map(|certificate| Arc::clone(&certificate.key))
    }
}

impl ResolvesServerCert for CertificateResolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
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
}

impl Table {
    fn new(all: Vec<ServedCertificate>) -> Result<Self, NoCertificates> {
        if all.is_empty() {
            return Err(NoCertificates);
        }
        let mut exact: HashMap<String, Vec<usize>> = HashMap::new();
        let mut wildcard: HashMap<String, Vec<usize>> = HashMap::new();
        for (position, certificate) in all.iter().enumerate() {
            for name in &certificate.names {
                let (map, key) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut wildcard, rest),
                    None => (&mut exact, name.as_str()),
                };
                map.entry(key.to_owned()).or_default().push(position);
            }
        }
        Ok(Self {
            all,
            exact,
            wildcard,
        })
    }

    fn candidates(&self, name: &str) -> Option<&Vec<usize>> {
        self.exact.get(name).or_else(|| {
            let (_label, parent) = name.split_once('.')?;
            self.wildcard.get(parent)
        })
    }

    fn first_usable(
        &self,
        candidates: impl Iterator<Item = usize> + Clone,
        schemes: &[SignatureScheme],
    ) -> Option<&ServedCertificate> {
        let usable = candidates
            .clone()
            .filter_map(|position| self.all.get(position))
            .find(|certificate| certificate.key.key.choose_scheme(schemes).is_some());
        // No usable key: rustls refuses the handshake with the right alert itself.
        usable.or_else(|| {
            candidates
                .clone()
                .next()
                .and_then(|first| self.all.get(first))
        })
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
        let both = [S::ECDSA_NISTP256_SHA256, S::ED25519];
        for (name, schemes, wanted) in [
            (Some("a.test"), &both[..], &a),
            (Some("x.a.test"), &both, &a),
            (Some("b.test"), &both, &b),
            (Some("b.test"), &[S::ED25519], &b_other),
            // `*` is one label: neither two nor none, and never the parent of another name.
            (Some("y.x.a.test"), &[S::ED25519], &b_other),
            (Some("x.b.test"), &both, &a),
            (Some("unknown.test"), &both, &a),
            (Some("localhost"), &both, &a),
            (None, &both, &a),
            (None, &[S::ED25519], &b_other),
            (None, &[S::RSA_PSS_SHA256], &a),
        ] {
            let chosen = resolver.choose(name, schemes).unwrap();
            assert!(
                Arc::ptr_eq(&chosen, &wanted.key),
                "{name:?} with {schemes:?} chose another certificate"
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

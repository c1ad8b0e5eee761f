//! Certificates: where they come from and how one is chosen for a connection.
//!
//! * [`files`] reads a chain and its key from PEM files and refuses what would fail later;
//! * [`local_ca`] keeps a certificate authority for development and issues from it;
//! * [`client`] judges the certificates of clients, by revocation lists too;
//! * [`resolver`] picks a certificate by the name the client asked for.
//!
//! Both sources yield a [`ServedCertificate`]; the resolver takes any number of them.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::sign::CertifiedKey;

pub mod client;
pub mod files;
pub mod local_ca;
pub mod resolver;
pub(crate) mod revocation;

/// A certificate chain with its key, ready to be served.
#[derive(Clone)]
#[non_exhaustive]
pub struct ServedCertificate {
    /// The chain, leaf first, and the private key that belongs to the leaf.
    pub key: Arc<CertifiedKey>,
    /// The names in the leaf: DNS names in lower case without a final dot (a leading `*.` stands for
    /// exactly one label) and IP addresses in their canonical text form.
    pub names: Vec<String>,
    /// The end of the leaf's validity.
    pub not_after: SystemTime,
    /// When whoever keeps this certificate should replace it. For one of the [local CA](local_ca)
    /// this is when a third of its life is left; for files it is the end of their validity.
    pub renew_at: SystemTime,
}

impl fmt::Debug for ServedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServedCertificate")
            .field("names", &self.names)
            .field("not_after", &self.not_after)
            .field("renew_at", &self.renew_at)
            .finish_non_exhaustive()
    }
}

//! Why a fetch came to nothing.

use std::time::Duration;

use crate::decision::{Reason, Refusal};

/// Why a fetch came to nothing. `Display` is fit for whoever asked; it names the host where a
/// certificate failed, and no address.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The certificate of the host is not valid.
    #[error("TLS certificate validation failed for {host}: {cause}")]
    Certificate {
        /// The host.
        host: String,
        /// What is wrong with the certificate.
        cause: String,
    },
    /// The answer's body cannot be decoded as its `Content-Encoding` says.
    #[error("the answer's body is not valid {0}")]
    Encoding(String),
    /// The host does not speak HTTP/1.1, ended the connection early, or changed the protocol.
    #[error("the host's answer is not valid HTTP")]
    Http(#[source] Option<hyper::Error>),
    /// The policy refuses the target, or a redirect's.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The request holds what the client sets itself.
    #[error("the request cannot be sent: {0}")]
    Request(&'static str),
    /// A time limit.
    #[error("{stage} took longer than {limit:?}")]
    Timeout {
        /// What took too long.
        stage: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// A TLS failure other than the certificate's.
    #[error("the TLS handshake with {host} failed: {cause}")]
    Tls {
        /// The host.
        host: String,
        /// The cause.
        cause: String,
    },
    /// A size limit.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The body unpacks to very much more than was sent.
    #[error("the answer's body unpacks to more than {0} times its size")]
    Bomb(u32),
    /// The host cannot be reached.
    #[error("the host cannot be reached")]
    Unreachable(#[source] Option<std::io::Error>),
}

impl FetchError {
    /// The stable code; that of the reason where the policy refused.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Bomb(_) => "egress.fetch.bomb",
            Self::Certificate { .. } => Reason::TlsCertificate.code(),
            Self::Encoding(_) => "egress.fetch.encoding",
            Self::Http(_) => "egress.fetch.http",
            Self::Refused(refusal) => refusal.reason().code(),
            Self::Request(_) => "egress.fetch.request",
            Self::Timeout { .. } => "egress.fetch.timeout",
            Self::Tls { .. } => "egress.fetch.tls",
            Self::TooLarge { .. } => "egress.fetch.too_large",
            Self::Unreachable(_) => "egress.fetch.unreachable",
        }
    }

    /// The refusal, where the policy said no.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }
}

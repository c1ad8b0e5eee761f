//! Why a gateway does not start.

use std::io;

use crate::audit::AuditError;
use crate::certs::files;
use crate::certs::local_ca;
use crate::egress::EgressError;
use crate::listen::tcp::BindError;
use crate::listen::tls::TlsError;

/// Why a gateway cannot start. The text names the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The audit log cannot be opened.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The way out cannot be guarded.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// A certificate or key file is not usable.
    #[error(transparent)]
    Certificate(#[from] files::FileError),
    /// The system refused something.
    #[error("the system refused: {0}")]
    Io(#[from] io::Error),
    /// The local certificate authority is not usable.
    #[error(transparent)]
    LocalCa(#[from] local_ca::CaError),
    /// A value that the configuration let pass does not compile.
    #[error("`{key}` cannot be used: {cause}")]
    Setting {
        /// The key.
        key: String,
        /// What is wrong with it, and what to write instead.
        cause: String,
    },
    /// rustls refused.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// TLS towards clients cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Listener(#[from] TlsError),
}

pub(super) fn setting(key: &str, cause: impl std::fmt::Display) -> StartError {
    StartError::Setting {
        key: key.to_owned(),
        cause: cause.to_string(),
    }
}

//! TLS on both sides: what we show to clients, and whom we trust as an upstream.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::error::{StartError, setting};
use crate::certs::client::ClientTrust;
use crate::certs::files;
use crate::certs::local_ca::{self, LocalCa};
use crate::certs::resolver::CertificateResolver;
use crate::config::{ClientAuth, Identity, Settings, Tls, TlsProfile};
use crate::listen::tls::{Profile, TlsAcceptor, TlsSettings};

pub(super) fn acceptor(
    settings: &Settings,
    tls: &Tls,
    addresses: &[SocketAddr],
    data_directory: Option<PathBuf>,
) -> Result<TlsAcceptor, StartError> {
    let mut names: Vec<String> = addresses
        .iter()
        .flat_map(|address| settings.hosts_on(*address))
        .map(|entry| entry.value.host.trim_matches(['[', ']']).to_owned())
        .collect();
    names.sort();
    names.dedup();
    let certificate = match &tls.identity {
        Identity::Files { certificate, key } => {
            let loaded = files::load(&certificate.value, &key.value, SystemTime::now())?;
            for warning in &loaded.warnings {
                tracing::warn!("{warning}");
            }
            loaded.certificate
        }
        Identity::Local(_) => {
            let directory = data_directory.ok_or(local_ca::CaError::NoDirectory)?;
            LocalCa::open(&directory, &names)?.issue(&names)?
        }
    };
    let resolver = CertificateResolver::new(vec![certificate])
        .map_err(|error| setting("tls.certificate", error))?
        .with_hosts(names);
    let tls_settings = TlsSettings {
        handshake_timeout: settings.limits.timeouts.handshake.value,
        profile: match tls.profile.value {
            TlsProfile::Intermediate => Profile::Intermediate,
            TlsProfile::Modern => Profile::Modern,
        },
        clients: tls.clients.as_ref().map(|clients| ClientTrust {
            ca: clients.ca.value.clone(),
            crl: clients.crl.as_ref().map(|crl| crl.value.clone()),
            required: clients.auth.value == ClientAuth::Required,
        }),
    };
    Ok(TlsAcceptor::new(&tls_settings, Arc::new(resolver))?)
}

/// Whom to trust as an upstream: the system's roots, and `egress.ca`. There is no switch that turns
/// validation off.
pub(super) fn client_tls(settings: &Settings) -> Result<Arc<rustls::ClientConfig>, StartError> {
    use rustls_platform_verifier::ConfigVerifierExt as _;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    // A second gateway in the same process finds it installed.
    let _ = provider.install_default();
    if let Some(ca) = &settings.egress.ca {
        let config = palisade_egress::client::trusting(std::slice::from_ref(&ca.value));
        let config = config.map_err(|error| setting("egress.ca", error))?;
        return Ok(Arc::new(config));
    }
    Ok(Arc::new(rustls::ClientConfig::with_platform_verifier()?))
}

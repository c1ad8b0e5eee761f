//! URLs in the arguments of calls, judged by a server's outbound policy.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use palisade::urls::{BoxFuture, Found, Judgement, UrlModes, UrlPolicy, Urls};
use palisade_egress::{Guard, Host, OwnAddresses, Policy, PolicyError, Reason, Refusal, Resolve};
use tokio::time::timeout;

use super::policy;
use crate::config::{Egress, Mode, Server};

/// How long the lookups of one call may take together.
const PATIENCE: Duration = Duration::from_millis(500);

/// Whether any call of this server is looked into.
pub(super) fn looks(server: &Server, egress: &Egress) -> bool {
    let tools = server.tools.values().filter_map(|tool| tool.urls.as_ref());
    server.urls_mode(egress) != Mode::Off || tools.into_iter().any(|mode| mode.value != Mode::Off)
}

/// Judges URLs by one server's policy. It never dials; names are looked up.
pub struct ServerUrls(Guard);

impl fmt::Debug for ServerUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ServerUrls").finish()
    }
}

impl ServerUrls {
    /// What the layer needs for this server; `None` where it does not look.
    ///
    /// # Errors
    /// A policy that does not compile.
    pub fn of(
        server: &Server,
        egress: &Egress,
        resolver: Arc<dyn Resolve>,
    ) -> Result<Option<Urls>, PolicyError> {
        if !looks(server, egress) {
            return Ok(None);
        }
        let own = OwnAddresses::of_this_machine().map_err(PolicyError::Interfaces)?;
        let policy = policy::of_server(server, egress, own)?;
        let tools = server.tools.iter();
        let tools =
            tools.filter_map(|(name, tool)| Some((name.clone(), mode(tool.urls.as_ref()?.value))));
        let modes = UrlModes {
            server: mode(server.urls_mode(egress)),
            tools: tools.collect::<BTreeMap<_, _>>(),
        };
        let guard = Guard::new(Arc::new(policy), resolver);
        Ok(Some(Urls::new(modes, Arc::new(Self(guard)))))
    }
}

impl UrlPolicy for ServerUrls {
    fn judge(&self, url: &str) -> Judgement {
        let policy: &Policy = self.0.policy();
        match policy.check_url(url) {
            Err(refusal) => Judgement::Refused(said(&refusal)),
            Ok(target) if matches!(target.host(), Host::Address(_)) => Judgement::Allowed,
            Ok(target) => Judgement::Name(target.host().to_string()),
        }
    }

    fn look_up<'a>(&'a self, found: &'a [Found]) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(async move {
            let lookups = async {
                for Found { url, bare } in found {
                    let target = self.0.policy().check_url(url)?;
                    match self.0.resolve(target).await {
                        Err(refusal) if *bare && refusal.reason() == Reason::DnsNoAddress => {}
                        resolved => drop(resolved?),
                    }
                }
                Ok(())
            };
            let checked = timeout(PATIENCE, lookups).await;
            let checked = checked.unwrap_or_else(|_| Err(Reason::DnsTimeout.into()));
            checked.map_err(|refusal: Refusal| said(&refusal))
        })
    }
}

/// The rule, and no address: a caller may read it.
fn said(refusal: &Refusal) -> String {
    refusal.to_string()
}

const fn mode(mode: Mode) -> palisade::Mode {
    match mode {
        Mode::Enforce => palisade::Mode::Enforce,
        Mode::Off => palisade::Mode::Off,
        Mode::Report => palisade::Mode::Report,
    }
}

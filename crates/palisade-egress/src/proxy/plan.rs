//! Who may use the proxy, and what each may reach.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use tokio::sync::Semaphore;

use super::credential::{Credential, child_of};
use super::pace::Pace;
use super::registry::Route;
use crate::guard::Guard;

/// One user of the proxy: a server by its name, with its own guard.
#[derive(Debug)]
pub struct Identity {
    pub(super) name: Arc<str>,
    pub(super) guard: Guard,
    pub(super) raw_ports: Vec<u16>,
    pub(super) pace: Pace,
    slots: OnceLock<Arc<Semaphore>>,
}

impl Identity {
    /// A user whose connections pass through `guard`; the name is for the log.
    #[must_use]
    pub fn new(name: &str, guard: Guard) -> Self {
        Self {
            name: name.into(),
            guard,
            raw_ports: Vec::new(),
            pace: Pace::default(),
            slots: OnceLock::new(),
        }
    }

    /// Ports at which a tunnel may hold anything. At all others it must begin with a TLS handshake
    /// for the host's own name, or hold HTTP for it.
    #[must_use]
    pub fn raw_ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.raw_ports.extend(ports);
        self
    }

    /// So many places for connections that are known to be its own.
    pub(super) fn slots(&self, most: usize) -> Arc<Semaphore> {
        let slots = || Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Arc::clone(self.slots.get_or_init(slots))
    }
}

/// All users of the proxy. Compiled whole and put in force at once.
#[derive(Debug, Default)]
pub struct Plan {
    names: HashMap<Arc<str>, Arc<Identity>>,
    users: HashMap<String, (Credential, Arc<Identity>)>,
}

impl Plan {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a user that shows a credential.
    #[must_use]
    pub fn with_credential(mut self, identity: Identity, credential: Credential) -> Self {
        let identity = self.add(identity);
        let user = credential.user().to_owned();
        self.users.insert(user, (credential, identity));
        self
    }

    /// Adds a user that is known by the listener it comes to.
    #[must_use]
    pub fn with_listener(mut self, identity: Identity) -> Self {
        self.add(identity);
        self
    }

    fn add(&mut self, identity: Identity) -> Arc<Identity> {
        let identity = Arc::new(identity);
        self.names
            .insert(Arc::clone(&identity.name), Arc::clone(&identity));
        identity
    }

    /// Who shows this user and password, and which of its children that is.
    pub(super) fn prove(
        &self,
        user: &str,
        password: &[u8],
    ) -> Option<(Arc<Identity>, Option<u64>)> {
        let (credential, identity, child) = match self.users.get(user) {
            Some((credential, identity)) => (credential, identity, None),
            None => {
                let (user, child) = child_of(user)?;
                let (credential, identity) = self.users.get(user)?;
                (credential, identity, Some(child))
            }
        };
        let proven = credential.proves(child, password);
        proven.then(|| (Arc::clone(identity), child))
    }

    /// Who comes to the listener of this name, or of `name/number` for one of its children.
    pub(super) fn named(&self, name: &str) -> Option<Arc<Identity>> {
        let name = name.split_once('/').map_or(name, |(name, _)| name);
        self.names.get(name).cloned()
    }

    /// Whether a connection that is open would be opened again, without a new lookup.
    pub(super) fn allows(&self, route: &Route) -> bool {
        let Some(identity) = self.names.get(&route.identity) else {
            return false;
        };
        let policy = identity.guard.policy();
        let target = policy.check_host(route.host.clone(), route.port);
        target.is_ok_and(|target| policy.check_addrs(target, &[route.address.ip()]).is_ok())
    }
}

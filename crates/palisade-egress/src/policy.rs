//! The policy: what may be reached. Pure decisions, no I/O.

mod builder;

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use url::Url;

pub use builder::{PolicyBuilder, PolicyError};

use crate::address::{Nat64, canonical, classify};
use crate::decision::{Grant, Reason, Refusal};
use crate::entry::{HostPattern, Special};
use crate::name::Name;
use crate::own::OwnAddresses;
use crate::target::{Destination, Host};

/// Most addresses of one answer that are kept for dialing; all of them are judged.
const MAX_ADDRESSES: usize = 16;

/// What may be reached, compiled. Made by [`Policy::builder`].
///
/// ```
/// use palisade_egress::{Policy, Reason};
///
/// let policy = Policy::builder().allowlist(["api.example.com:443"]).build()?;
/// assert!(policy.check_url("https://api.example.com/v1").is_ok());
/// let refusal = policy.check_url("https://example.org/").unwrap_err();
/// assert_eq!(refusal.reason(), Reason::HostNotListed);
/// let refusal = policy.check_url("http://169.254.169.254/latest/meta-data/").unwrap_err();
/// assert_eq!(refusal.reason().code(), "egress.address.platform");
/// # Ok::<(), palisade_egress::PolicyError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Policy {
    access: Access,
    ports: Ports,
    special: Vec<Special>,
    deny: Vec<IpNet>,
    nat64: Vec<Nat64>,
    own: OwnAddresses,
    drop_mixed: bool,
    downgrade: bool,
}

#[derive(Clone, Debug)]
enum Access {
    Open,
    Allowlist(Vec<HostPattern>),
    Report(Vec<HostPattern>),
}

/// The ports that may be reached where the allowlist names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// All of them.
    Any,
    /// These.
    Only(Vec<u16>),
}

impl Default for Ports {
    /// 80 and 443.
    fn default() -> Self {
        Self::Only(vec![80, 443])
    }
}

impl Ports {
    fn contains(&self, port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Only(ports) => ports.contains(&port),
        }
    }
}

impl Policy {
    /// A policy that reaches the public internet at ports 80 and 443, and nothing special.
    #[must_use]
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// Judges a URL by itself, before any lookup: form, scheme, host, port, allowlist, and the
    /// address where the host is one.
    ///
    /// # Errors
    /// Why the URL may not be reached.
    pub fn check_url(&self, url: &str) -> Result<Target, Refusal> {
        self.check(Destination::from_url(url)?)
    }

    /// Judges `host:port`, as CONNECT names it.
    ///
    /// # Errors
    /// Why it may not be reached.
    pub fn check_authority(&self, authority: &str) -> Result<Target, Refusal> {
        self.check(Destination::from_authority(authority)?)
    }

    /// Judges a host and a port.
    ///
    /// # Errors
    /// Why it may not be reached.
    pub fn check_host(&self, host: Host, port: u16) -> Result<Target, Refusal> {
        self.check(Destination::new(host, port)?)
    }

    /// Judges where a redirect leads; `from` is the URL that answered with it.
    ///
    /// # Errors
    /// Why it may not be followed; [`Reason::RedirectDowngrade`] for a way from https to http.
    pub fn check_redirect(&self, from: &Url, location: &str) -> Result<Target, Refusal> {
        let to = Destination::from_location(from, location)?;
        let scheme = to.url.as_ref().map(Url::scheme);
        if !self.downgrade && from.scheme() == "https" && scheme != Some("https") {
            let detail = format_args!("{}:{}", to.host, to.port);
            return Err(Refusal::new(Reason::RedirectDowngrade, detail).at(&to.host, to.port));
        }
        self.check(to)
    }

    /// Judges every address that a lookup of the target gave. One that may not be reached refuses
    /// them all, unless the policy drops such addresses from mixed answers.
    ///
    /// What comes back is the only thing that can be dialed.
    ///
    /// # Errors
    /// Why an address may not be reached; [`Reason::DnsNoAddress`] where there is none.
    pub fn check_addrs(
        &self,
        target: Target,
        addresses: &[IpAddr],
    ) -> Result<CheckedTarget, Refusal> {
        let host = &target.destination.host;
        let port = target.destination.port;
        let refuse = |reason, address| {
            Refusal::new(reason, format_args!("{host} is {address}")).at(host, port)
        };
        let mut checked: Vec<SocketAddr> = Vec::new();
        let mut special = target.grant == Grant::Special;
        let mut refused = None;
        for address in addresses.iter().copied().map(canonical) {
            if let Host::Address(named) = host
                && *named != address
            {
                return Err(refuse(Reason::PeerChanged, address));
            }
            match self.judge(address, port, target.port_by_special) {
                Ok(grant) => {
                    special |= grant == Grant::Special;
                    let address = SocketAddr::new(address, port);
                    if checked.len() < MAX_ADDRESSES && !checked.contains(&address) {
                        checked.push(address);
                    }
                }
                Err(reason) => {
                    let refusal = refuse(reason, address);
                    if !self.drop_mixed {
                        return Err(refusal);
                    }
                    refused.get_or_insert(refusal);
                }
            }
        }
        if checked.is_empty() {
            let nothing = || Refusal::new(Reason::DnsNoAddress, host).at(host, port);
            return Err(refused.unwrap_or_else(nothing));
        }
        let grant = match target.grant {
            Grant::Reported => Grant::Reported,
            _ if special => Grant::Special,
            grant => grant,
        };
        Ok(CheckedTarget {
            target: Target { grant, ..target },
            addresses: checked,
        })
    }

    /// Judges the names that a lookup passed through on its way from the target to the addresses.
    ///
    /// # Errors
    /// [`Reason::DnsAlias`] for a name that is refused by itself.
    pub fn check_aliases(&self, target: &Target, aliases: &[Name]) -> Result<(), Refusal> {
        // A local name that is listed exactly may well lead to another local name.
        let local = match target.host() {
            Host::Name(name) => name.classify() == Err(Reason::HostLocal),
            Host::Address(_) => false,
        };
        let refused = |alias: &&Name| match alias.classify() {
            // Some reader takes it for an address; nobody has such a name.
            Ok(()) => alias.ends_in_number(),
            Err(Reason::HostLocal) => !local,
            Err(_) => true,
        };
        match aliases.iter().find(refused) {
            None => Ok(()),
            Some(alias) => Err(Refusal::new(
                Reason::DnsAlias,
                format_args!("{} is an alias of {alias}", target.host()),
            )
            .at(target.host(), target.port())),
        }
    }

    /// The ports that it names, in the allowlist, beside special addresses or for all hosts. Where it
    /// opens any port, that says nothing of the others.
    #[must_use]
    pub fn ports(&self) -> Vec<u16> {
        let listed = match &self.access {
            Access::Open => &[][..],
            Access::Allowlist(patterns) | Access::Report(patterns) => patterns,
        };
        let mut ports: Vec<u16> = match &self.ports {
            Ports::Any => Vec::new(),
            Ports::Only(ports) => ports.clone(),
        };
        ports.extend(listed.iter().filter_map(HostPattern::port));
        ports.extend(self.special.iter().filter_map(|special| match special {
            Special::Exact(exact) => Some(exact.port()),
            Special::Range(_, port) => *port,
        }));
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// This machine's addresses, as the policy knows them.
    #[must_use]
    pub const fn own_addresses(&self) -> &OwnAddresses {
        &self.own
    }

    fn check(&self, destination: Destination) -> Result<Target, Refusal> {
        let Destination { host, port, .. } = &destination;
        let refuse = |reason| Refusal::new(reason, format_args!("{host}:{port}")).at(host, *port);
        let named = self.listed(host, *port);
        let named_exactly = named.is_some_and(HostPattern::is_exact);
        let port_by_special = matches!(self.access, Access::Open) && !self.ports.contains(*port);
        let mut grant = match (&self.access, named) {
            (Access::Open, _) => Some(Grant::Public),
            (_, Some(_)) => Some(Grant::Listed),
            (Access::Report(_), None) => Some(Grant::Reported),
            (Access::Allowlist(_), None) => None,
        };
        match host {
            Host::Name(name) => {
                if let Err(reason) = name.classify()
                    && (reason == Reason::HostOnion || !named_exactly)
                {
                    return Err(refuse(reason));
                }
            }
            Host::Address(address) => {
                let judged = self
                    .judge(*address, *port, port_by_special)
                    .map_err(refuse)?;
                if judged == Grant::Special && matches!(grant, Some(Grant::Public | Grant::Listed))
                {
                    grant = Some(Grant::Special);
                }
            }
        }
        // After what is refused everywhere: its reasons say more.
        let grant = grant.ok_or_else(|| refuse(Reason::HostNotListed))?;
        if port_by_special && !self.special.iter().any(|entry| entry.names_port(*port)) {
            return Err(refuse(Reason::PortNotAllowed));
        }
        Ok(Target {
            grant,
            port_by_special,
            destination,
        })
    }

    /// The entry of the allowlist that names the host at this port.
    fn listed(&self, host: &Host, port: u16) -> Option<&HostPattern> {
        let (Access::Allowlist(patterns) | Access::Report(patterns)) = &self.access else {
            return None;
        };
        let matching = || {
            patterns
                .iter()
                .filter(|pattern| pattern.matches(host, port, |port| self.ports.contains(port)))
        };
        // An exact entry says more than a wildcard.
        matching()
            .find(|pattern| pattern.is_exact())
            .or_else(|| matching().next())
    }

    /// Judges one address in canonical form at one port. With `port_by_special` the port itself
    /// must be named by the entry that opens the address.
    fn judge(&self, address: IpAddr, port: u16, port_by_special: bool) -> Result<Grant, Reason> {
        let inside = self.inside(address);
        let faces = || {
            [Some(address), inside.and_then(Result::ok)]
                .into_iter()
                .flatten()
        };
        if faces().any(|face| self.deny.iter().any(|range| range.contains(&face))) {
            return Err(Reason::AddressDenied);
        }
        let opening = || {
            self.special
                .iter()
                .filter(|entry| entry.opens(address, port))
        };
        if opening().any(|entry| matches!(entry, Special::Exact(_))) {
            return Ok(Grant::Special);
        }
        // A range in the configuration does not open what is dangerous wherever it is.
        if faces().any(|face| classify(face) == Err(Reason::AddressPlatform)) {
            return Err(Reason::AddressPlatform);
        }
        if opening().any(|entry| !port_by_special || entry.names_port(port)) {
            return Ok(Grant::Special);
        }
        match inside {
            Some(inside) => classify(inside?)?,
            None => classify(address)?,
        }
        if faces().any(|face| self.own.contains(face)) {
            return Err(Reason::AddressOwn);
        }
        if port_by_special {
            return Err(Reason::PortNotAllowed);
        }
        Ok(Grant::Public)
    }

    /// The IPv4 address that a NAT64 would reach for this address, where it would.
    fn inside(&self, address: IpAddr) -> Option<Result<IpAddr, Reason>> {
        let IpAddr::V6(v6) = address else {
            return None;
        };
        let own = self.nat64.iter().find_map(|prefix| prefix.decode(v6));
        own.or_else(|| Nat64::WELL_KNOWN.decode(v6))
            .map(|inside| inside.map(IpAddr::V4).ok_or(Reason::AddressNat64Local))
    }
}

impl Special {
    fn opens(&self, address: IpAddr, port: u16) -> bool {
        match self {
            Self::Exact(exact) => exact.ip() == address && exact.port() == port,
            Self::Range(range, at) => range.contains(&address) && at.is_none_or(|at| at == port),
        }
    }

    fn names_port(&self, port: u16) -> bool {
        match self {
            Self::Exact(exact) => exact.port() == port,
            Self::Range(_, at) => *at == Some(port),
        }
    }
}

/// A destination that is allowed as far as can be said without a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    destination: Destination,
    grant: Grant,
    /// The port is allowed only together with an address that `allow_special` names with it.
    port_by_special: bool,
}

impl Target {
    /// The host.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.destination.host
    }

    /// The port; never 0.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.destination.port
    }

    /// The URL in canonical form without its fragment, where the target came from one. This is
    /// what goes on the wire, never the text that was checked.
    #[must_use]
    pub const fn url(&self) -> Option<&Url> {
        self.destination.url.as_ref()
    }

    /// Why it is allowed.
    #[must_use]
    pub const fn grant(&self) -> Grant {
        self.grant
    }
}

/// A destination with addresses that have all been checked. It can be made by
/// [`Policy::check_addrs`] alone, is used up by one connection, and nothing else can be dialed.
#[derive(Debug)]
pub struct CheckedTarget {
    target: Target,
    addresses: Vec<SocketAddr>,
}

impl CheckedTarget {
    /// What was asked for.
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// The checked addresses, at least one and at most 16.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Why it is allowed.
    #[must_use]
    pub const fn grant(&self) -> Grant {
        self.target.grant
    }

    pub(crate) fn into_target(self) -> Target {
        self.target
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;

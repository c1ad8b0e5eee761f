//! Compiling a policy from what an operator wrote.

use super::{Access, Policy, Ports};
use crate::entry::{self, EntryError, HostPattern, Special};
use crate::own::OwnAddresses;

/// Collects a policy's entries; [`PolicyBuilder::build`] judges them all.
#[derive(Clone, Debug, Default)]
pub struct PolicyBuilder {
    allowlist: Option<Vec<String>>,
    report: bool,
    ports: Ports,
    special: Vec<String>,
    deny: Vec<String>,
    nat64: Vec<String>,
    own: Option<OwnAddresses>,
    drop_mixed: bool,
    downgrade: bool,
}

impl PolicyBuilder {
    /// Only these hosts: `host`, `host:port`, `host:*`, `*.domain.example`, addresses. An empty
    /// list allows nothing. Without this call the public internet is allowed.
    #[must_use]
    pub fn allowlist(mut self, entries: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let entries = entries.into_iter().map(Into::into);
        self.allowlist.get_or_insert_default().extend(entries);
        self
    }

    /// Lets hosts pass that the allowlist does not name, as [`Grant::Reported`](crate::Grant::Reported). Special addresses
    /// and names stay refused.
    #[must_use]
    pub const fn report(mut self, report: bool) -> Self {
        self.report = report;
        self
    }

    /// The ports where an entry of the allowlist names none, or there is no allowlist. Default: 80
    /// and 443.
    #[must_use]
    pub fn ports(mut self, ports: Ports) -> Self {
        self.ports = ports;
        self
    }

    /// Addresses that the tables would refuse: `address:port`, a CIDR, `cidr:port`. A platform
    /// address is opened by `address:port` alone.
    #[must_use]
    pub fn allow_special(mut self, entries: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.special.extend(entries.into_iter().map(Into::into));
        self
    }

    /// Ranges that are refused before anything else is asked.
    #[must_use]
    pub fn deny(mut self, entries: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.deny.extend(entries.into_iter().map(Into::into));
        self
    }

    /// NAT64 prefixes of this network (RFC 6052): the IPv4 address inside is judged.
    #[must_use]
    pub fn nat64(mut self, entries: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.nat64.extend(entries.into_iter().map(Into::into));
        self
    }

    /// This machine's addresses. Default: those of its interfaces.
    #[must_use]
    pub fn own_addresses(mut self, own: OwnAddresses) -> Self {
        self.own = Some(own);
        self
    }

    /// Where some addresses of an answer may be reached and others not, uses those that may.
    /// Default: such an answer is refused whole.
    #[must_use]
    pub const fn drop_mixed(mut self, drop: bool) -> Self {
        self.drop_mixed = drop;
        self
    }

    /// Follows redirects from https to http. Default: no.
    #[must_use]
    pub const fn allow_downgrade(mut self, allow: bool) -> Self {
        self.downgrade = allow;
        self
    }

    /// Compiles the policy.
    ///
    /// # Errors
    /// Every entry that cannot be used, or that the machine's interfaces cannot be listed.
    pub fn build(self) -> Result<Policy, PolicyError> {
        let mut problems = Vec::new();
        let mut ports = self.ports;
        if let Ports::Only(ports) = &mut ports {
            ports.retain(|port| *port != 0);
        }
        let allowlist = self
            .allowlist
            .map(|entries| each("egress", &entries, HostPattern::parse, &mut problems));
        let access = match (allowlist, self.report) {
            (None, _) => Access::Open,
            (Some(patterns), false) => Access::Allowlist(patterns),
            (Some(patterns), true) => Access::Report(patterns),
        };
        let special = each(
            "allow_special",
            &self.special,
            Special::parse,
            &mut problems,
        );
        let deny = each("deny", &self.deny, entry::range, &mut problems);
        let nat64 = each("nat64", &self.nat64, entry::nat64, &mut problems);
        if !problems.is_empty() {
            return Err(PolicyError::Entries(problems));
        }
        let own = match self.own {
            Some(own) => own,
            None => OwnAddresses::of_this_machine().map_err(PolicyError::Interfaces)?,
        };
        Ok(Policy {
            access,
            ports,
            special,
            deny,
            nat64,
            own,
            drop_mixed: self.drop_mixed,
            downgrade: self.downgrade,
        })
    }
}

fn each<T>(
    key: &'static str,
    entries: &[String],
    parse: impl Fn(&str) -> Result<T, (&'static str, &'static str)>,
    problems: &mut Vec<EntryError>,
) -> Vec<T> {
    let read = entries.iter().map(|entry| entry::read(key, entry, &parse));
    read.filter_map(|entry| entry.map_err(|problem| problems.push(problem)).ok())
        .collect()
}

/// Why a policy cannot be compiled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Entries that cannot be used, all of them.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Entries(Vec<EntryError>),
    /// This machine's addresses are not known, so they could not be refused.
    #[error(
        "this machine's network interfaces cannot be listed; allow `getifaddrs` in the sandbox"
    )]
    Interfaces(#[source] std::io::Error),
}

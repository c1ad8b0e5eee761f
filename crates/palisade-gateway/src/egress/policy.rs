//! From settings to policies.

use palisade_egress::{OwnAddresses, Policy, PolicyError, Ports};

use crate::config::{Egress, List, Mode, Server, Settings};

/// The policy of what a server's command may reach, and of URLs in its calls.
///
/// # Errors
/// An entry that cannot be used; the configuration has been checked for those.
pub fn of_server(
    server: &Server,
    egress: &Egress,
    own: OwnAddresses,
) -> Result<Policy, PolicyError> {
    let mode = server.policy.egress_mode.value;
    guard_policy(egress, server.egress.as_ref(), mode, own)
}

/// Ports at which only an entry of the allowlist or of `allow_special` opens a host: whoever named
/// them knows what is spoken there, which need be neither TLS nor HTTP.
pub(super) fn raw_ports(policy: &Policy, egress: &Egress) -> Vec<u16> {
    let mut ports = policy.ports();
    let web =
        |port: &u16| matches!(port, 80 | 443) || egress.ports.iter().any(|p| p.value == *port);
    ports.retain(|port| !web(port));
    ports
}

/// The policy with this allowlist; without one, the public internet. In mode `off` the list is not
/// looked at. Special addresses are refused in every mode.
///
/// # Errors
/// As [`of_server`].
pub fn guard_policy(
    egress: &Egress,
    allowlist: Option<&List<String>>,
    mode: Mode,
    own: OwnAddresses,
) -> Result<Policy, PolicyError> {
    let ports = egress.ports.iter().map(|port| port.value).collect();
    let builder = Policy::builder()
        .own_addresses(own)
        .ports(Ports::Only(ports))
        .allow_special(texts(&egress.allow_special))
        .deny(texts(&egress.deny))
        .nat64(texts(&egress.nat64));
    let builder = match (allowlist, mode) {
        (None, _) | (Some(_), Mode::Off) => builder,
        (Some(list), Mode::Enforce) => builder.allowlist(texts(list)),
        (Some(list), Mode::Report) => builder.allowlist(texts(list)).report(true),
    };
    builder.build()
}

/// The policy of what is fetched from issuers of tokens: the public internet on any port, and what
/// `auth.allow_special` names. What is open to a server's command is not open here.
///
/// # Errors
/// As [`of_server`], and where the interfaces of this machine cannot be listed.
pub fn of_issuers(settings: &Settings) -> Result<Policy, PolicyError> {
    let own = OwnAddresses::of_this_machine().map_err(PolicyError::Interfaces)?;
    Policy::builder()
        .own_addresses(own)
        .ports(Ports::Any)
        .allow_special(texts(&settings.auth.allow_special))
        .deny(texts(&settings.egress.deny))
        .nat64(texts(&settings.egress.nat64))
        .build()
}

fn texts(list: &List<String>) -> Vec<String> {
    list.iter().map(|entry| entry.value.clone()).collect()
}

//! What a local authority issues for, and what it is confined to.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{CidrSubnet, GeneralSubtree, NameConstraints, SanType};
use rustls_pki_types::{CertificateDer, DnsName};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::CaError;

/// A name or address for a certificate, in canonical form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// Parses hosts and adds the loopback ones, which come first. No host is twice in the result.
    pub(super) fn parse_all(hosts: &[String]) -> Result<Vec<Self>, CaError> {
        let mut all = vec![
            Self::Name("localhost".to_owned()),
            Self::Address(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            Self::Address(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ];
        for host in hosts {
            let host = Self::parse(host)?;
            if !all.contains(&host) {
                all.push(host);
            }
        }
        Ok(all)
    }

    pub(super) fn parse(text: &str) -> Result<Self, CaError> {
        let bare = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let checked = name.strip_prefix("*.").unwrap_or(&name);
        // A last label of digits is no name but a mistyped address (WHATWG URL, "ends in a number").
        let last = checked.rsplit('.').next().unwrap_or_default();
        let numeric = last.bytes().all(|byte| byte.is_ascii_digit());
        match DnsName::try_from(checked) {
            Ok(_) if !numeric => Ok(Self::Name(name)),
            _ => Err(CaError::Host {
                host: text.chars().take(255).collect(),
            }),
        }
    }

    pub(super) fn to_san(&self) -> Result<SanType, CaError> {
        Ok(match self {
            Self::Name(name) => SanType::DnsName(name.as_str().try_into()?),
            Self::Address(address) => SanType::IpAddress(*address),
        })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// What an authority may vouch for, beside localhost and loopback addresses: DNS names with all below
/// them, and single addresses.
#[derive(Debug, Default)]
pub(super) struct Scope {
    names: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

impl Scope {
    /// Reads the permitted subtrees of a certificate that [`Stored::generate`](super::store::Stored::generate) made.
    pub(super) fn of(certificate: &CertificateDer<'_>) -> Self {
        let mut scope = Self::default();
        let Ok((_rest, certificate)) = X509Certificate::from_der(certificate) else {
            return scope;
        };
        let permitted = certificate
            .name_constraints()
            .ok()
            .flatten()
            .and_then(|extension| extension.value.permitted_subtrees.as_ref());
        for subtree in permitted.into_iter().flatten() {
            match &subtree.base {
                GeneralName::DNSName(name) => {
                    scope.names.insert((*name).to_owned());
                }
                GeneralName::IPAddress(bytes) => {
                    scope.addresses.extend(single_address(bytes));
                }
                _ => {}
            }
        }
        scope
    }

    pub(super) fn covers(&self, hosts: &[Host]) -> bool {
        hosts.iter().all(|host| self.covers_one(host))
    }

    pub(super) fn covers_one(&self, host: &Host) -> bool {
        match host {
            Host::Name(name) => {
                let base = name.strip_prefix("*.").unwrap_or(name);
                std::iter::successors(Some(base), |name| Some(name.split_once('.')?.1))
                    .any(|name| name == "localhost" || self.names.contains(name))
            }
            Host::Address(address) => address.is_loopback() || self.addresses.contains(address),
        }
    }

    pub(super) fn widened(mut self, hosts: &[Host]) -> Self {
        for host in hosts {
            if self.covers_one(host) {
                continue;
            }
            match host {
                Host::Name(name) => {
                    let base = name.strip_prefix("*.").unwrap_or(name);
                    self.names.insert(base.to_owned());
                }
                Host::Address(address) => {
                    self.addresses.insert(*address);
                }
            }
        }
        self
    }

    pub(super) fn to_constraints(&self) -> NameConstraints {
        let mut permitted_subtrees = vec![
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(
                Ipv6Addr::LOCALHOST.octets(),
                128,
            )),
        ];
        let names = self.names.iter().filter(|name| *name != "localhost");
        permitted_subtrees.extend(names.cloned().map(GeneralSubtree::DnsName));
        let addresses = self
            .addresses
            .iter()
            .filter(|address| !address.is_loopback());
        permitted_subtrees.extend(addresses.map(|&address| {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, bits))
        }));
        NameConstraints {
            permitted_subtrees,
            excluded_subtrees: Vec::new(),
        }
    }
}

/// The address of a name constraint whose mask is all ones: 8 or 32 bytes, address then mask.
fn single_address(bytes: &[u8]) -> Option<IpAddr> {
    let (address, mask) = bytes.split_at(bytes.len() / 2);
    if mask.iter().any(|&byte| byte != 0xff) {
        return None;
    }
    match address.len() {
        4 => <[u8; 4]>::try_from(address).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(address).ok().map(IpAddr::from),
        _ => None,
    }
}

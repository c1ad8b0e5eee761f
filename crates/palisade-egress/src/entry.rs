//! The entries of a policy as an operator writes them: host patterns, special addresses, ranges.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv6Net};
use url::Host as UrlHost;

use crate::address::{Nat64, canonical};
use crate::name::Name;
use crate::target::Host;

/// An entry of the configuration that cannot be used, with the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` entry {entry:?}: {cause}; {remedy}")]
pub struct EntryError {
    /// The configuration key: `egress`, `allow_special`, `deny`, `nat64`.
    pub key: &'static str,
    /// The entry as written.
    pub entry: String,
    /// What is wrong with it.
    pub cause: &'static str,
    /// What to write in its place.
    pub remedy: &'static str,
}

type Fault = (&'static str, &'static str);

/// Reads an entry, naming key and text in the error.
pub(crate) fn read<T>(
    key: &'static str,
    entry: &str,
    parse: impl FnOnce(&str) -> Result<T, Fault>,
) -> Result<T, EntryError> {
    parse(entry).map_err(|(cause, remedy)| EntryError {
        key,
        entry: entry.to_owned(),
        cause,
        remedy,
    })
}

/// A host of an allowlist, with the ports it may be reached at.
///
/// `api.example.com`, `api.example.com:8443`, `*.example.com` (any depth, on label boundaries, not
/// `example.com` itself), `example.com:*`, `93.184.216.34`, `[2606:2800::1]:443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPattern {
    host: PatternHost,
    port: PatternPort,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PatternHost {
    Address(IpAddr),
    Exact(Name),
    /// Any name that ends in this, with its leading dot.
    Under(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PatternPort {
    Any,
    /// The policy's ports.
    Default,
    One(u16),
}

impl HostPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        const HOST: &str = "write `host`, `host:port` or `*.domain.example`";
        if text.is_empty() {
            return Err(("it is empty", "take it out; `egress = []` allows nothing"));
        }
        if text.contains('/') {
            return Err(("it is a URL or a range, not a host", HOST));
        }
        let (host, port) = split_port(text);
        let port = match port {
            None => PatternPort::Default,
            Some("*") => PatternPort::Any,
            Some(port) => PatternPort::One(number(port)?),
        };
        let host = match host.strip_prefix("*.") {
            Some(suffix) => PatternHost::Under(under(suffix)?),
            None if host.contains('*') => {
                let cause = "a `*` may only stand for whole labels at the front";
                return Err((
                    cause,
                    "write `*.domain.example`, or leave the key `egress` out for the public internet",
                ));
            }
            None => match host_of(host)? {
                Host::Address(address) => PatternHost::Address(address),
                Host::Name(name) => {
                    if is_registry(&name) {
                        return Err(("it is a public suffix", "name the hosts below it"));
                    }
                    PatternHost::Exact(name)
                }
            },
        };
        Ok(Self { host, port })
    }

    /// Whether it names `host` at `port`, where `default` says which ports a pattern without one
    /// means.
    pub(crate) fn matches(
        &self,
        host: &Host,
        port: u16,
        default: impl FnOnce(u16) -> bool,
    ) -> bool {
        let host = match (&self.host, host) {
            (PatternHost::Address(pattern), Host::Address(address)) => pattern == address,
            (PatternHost::Exact(pattern), Host::Name(name)) => pattern == name,
            // The suffix begins with a dot, and no name does: so labels are whole, and one stands
            // before it.
            (PatternHost::Under(suffix), Host::Name(name)) => name.as_str().ends_with(&**suffix),
            _ => false,
        };
        host && match self.port {
            PatternPort::Any => true,
            PatternPort::Default => default(port),
            PatternPort::One(one) => one == port,
        }
    }

    /// The port that it names, where it names one.
    pub(crate) const fn port(&self) -> Option<u16> {
        match self.port {
            PatternPort::One(port) => Some(port),
            PatternPort::Any | PatternPort::Default => None,
        }
    }

    /// Whether it names one host and no others.
    pub(crate) const fn is_exact(&self) -> bool {
        !matches!(self.host, PatternHost::Under(_))
    }
}

/// Host and port of `host[:port]`, where the host may be an IPv6 address in brackets.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    }
}

fn number(port: &str) -> Result<u16, Fault> {
    let plain = port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    let number = port.parse().ok().filter(|_| plain);
    number.ok_or((
        "the port is not a number from 1 to 65535",
        "write `host:443`",
    ))
}

fn host_of(text: &str) -> Result<Host, Fault> {
    const CAUSE: &str = "it is no host name and no address";
    const REMEDY: &str =
        "write a name, an IPv4 address as four decimal numbers or an IPv6 address in brackets";
    let host = UrlHost::parse(text).map_err(|_| (CAUSE, REMEDY))?;
    match host {
        UrlHost::Ipv4(address) if address.to_string() == text => Ok(Host::Address(address.into())),
        UrlHost::Ipv4(_) => Err((CAUSE, REMEDY)),
        UrlHost::Ipv6(address) => Ok(Host::Address(canonical(address.into()))),
        UrlHost::Domain(name) => Name::from_ascii(&name)
            .map(Host::Name)
            .map_err(|_| (CAUSE, REMEDY)),
    }
}

fn under(suffix: &str) -> Result<Box<str>, Fault> {
    const WIDE: Fault = (
        "anyone can register a name below it",
        "name a domain that belongs to one owner, or the hosts one by one",
    );
    let Host::Name(name) = host_of(suffix)? else {
        return Err((
            "an address has no names below it",
            "write the address alone",
        ));
    };
    let known = psl::suffix(name.as_str().as_bytes());
    if known.is_some_and(|known| known.is_known() && known.as_bytes() == name.as_str().as_bytes()) {
        return Err(WIDE);
    }
    Ok(format!(".{name}").into())
}

/// Whether a registry sells names below it (`com`, `co.uk`), so that it is nobody's host.
fn is_registry(name: &Name) -> bool {
    psl::suffix(name.as_str().as_bytes()).is_some_and(|suffix| {
        suffix.typ() == Some(psl::Type::Icann) && suffix.as_bytes() == name.as_str().as_bytes()
    })
}

/// What `allow_special` opens: one address with one port, or a range with one port or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Special {
    Exact(SocketAddr),
    Range(IpNet, Option<u16>),
}

impl Special {
    pub(crate) fn parse(text: &str) -> Result<Self, Fault> {
        const FORM: &str = "write `address:port`, `[address]:port` or a CIDR such as `10.1.0.0/16`";
        if let Ok(exact) = text.parse::<SocketAddr>() {
            let exact = SocketAddr::new(canonical(exact.ip()), exact.port());
            return if exact.port() == 0 {
                Err(("port 0 cannot be reached", FORM))
            } else {
                Ok(Self::Exact(exact))
            };
        }
        if let Ok(range) = range(text) {
            return Ok(Self::Range(narrow(range)?, None));
        }
        if let Some((range, port)) = text.rsplit_once(':') {
            let range = range
                .strip_prefix('[')
                .and_then(|r| r.strip_suffix(']'))
                .unwrap_or(range);
            if let Ok(range) = self::range(range) {
                return Ok(Self::Range(narrow(range)?, Some(number(port)?)));
            }
        }
        Err(range(text)
            .err()
            .unwrap_or(("it is no address with a port and no range", FORM)))
    }
}

/// A range of addresses: a CIDR without host bits, or one address.
pub(crate) fn range(text: &str) -> Result<IpNet, Fault> {
    const FORM: Fault = (
        "it is no range of addresses",
        "write a CIDR such as `10.1.0.0/16`",
    );
    let net = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(canonical(address)),
        Err(_) => text.parse::<IpNet>().map_err(|_| FORM)?,
    };
    if net.trunc() != net {
        return Err((
            "it has bits set behind the prefix",
            "write the range's first address, or a longer prefix",
        ));
    }
    match net {
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => {
            Err(("it is an IPv4 range in IPv6 form", "write it as IPv4"))
        }
        net => Ok(net),
    }
}

/// A range that opens no more than one special-purpose block.
fn narrow(range: IpNet) -> Result<IpNet, Fault> {
    let (shortest, remedy) = match range {
        IpNet::V4(_) => (8, "write a prefix of 8 bits or more"),
        IpNet::V6(_) => (7, "write a prefix of 7 bits or more"),
    };
    if range.prefix_len() < shortest {
        return Err(("it opens nearly everything", remedy));
    }
    Ok(range)
}

/// The prefix of an operator's own NAT64.
pub(crate) fn nat64(text: &str) -> Result<Nat64, Fault> {
    const FORM: Fault = (
        "it is no NAT64 prefix",
        "write an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits (RFC 6052)",
    );
    let net: Ipv6Net = text.parse().map_err(|_| FORM)?;
    if net.trunc() != net {
        return Err(FORM);
    }
    Nat64::new(net).ok_or(FORM)
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            PatternHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            PatternHost::Address(address) => write!(f, "{address}")?,
            PatternHost::Exact(name) => write!(f, "{name}")?,
            PatternHost::Under(suffix) => write!(f, "*{suffix}")?,
        }
        match self.port {
            PatternPort::Any => f.write_str(":*"),
            PatternPort::Default => Ok(()),
            PatternPort::One(port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
#[path = "entry_tests.rs"]
mod tests;

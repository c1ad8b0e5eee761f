//! What the guard says, and why: one name for each reason, the same in the log, in the metric and
//! in the documentation.

use std::fmt;

/// What the guard decided about a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It may be reached, for this reason.
    Allow(Grant),
    /// It may not, for this reason.
    Refuse(Reason),
}

impl Decision {
    /// The stable code, such as `egress.allow.public` or `egress.address.loopback`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Allow(grant) => grant.code(),
            Self::Refuse(reason) => reason.code(),
        }
    }

    /// Whether it may be reached.
    #[must_use]
    pub const fn is_allow(self) -> bool {
        matches!(self, Self::Allow(_))
    }
}

/// Why a destination may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Grant {
    /// The allowlist names the host.
    Listed,
    /// There is no allowlist, and the destination is on the public internet.
    Public,
    /// The allowlist does not name the host; report mode lets it pass.
    Reported,
    /// `allow_special` names the address.
    Special,
}

impl Grant {
    /// The stable code, such as `egress.allow.public`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Listed => "egress.allow.listed",
            Self::Public => "egress.allow.public",
            Self::Reported => "egress.allow.reported",
            Self::Special => "egress.allow.special",
        }
    }

    /// The cause in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Listed => "the allowlist names the host",
            Self::Public => "it is on the public internet, and there is no allowlist",
            Self::Reported => "the allowlist does not name the host; report mode lets it pass",
            Self::Special => "`allow_special` names the address",
        }
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident, $code:literal, $text:literal, $remedy:expr;)+) => {
        /// Why a destination may not be reached.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable code, such as `egress.address.loopback`.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The cause in words, without anything that the caller or the destination said.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What an operator can do where the destination is meant to be reached.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)+ }
            }
        }
    };
}

/// The remedy for an address that the tables refuse.
macro_rules! special {
    () => {
        "where it is meant, name it in `egress.allow_special` as `address:port` or as a CIDR"
    };
}

reasons! {
    /// 192.0.0.0/24, 2001::/23: addresses of protocols (RFC 6890).
    AddressAssignment, "egress.address.assignment", "the address is set aside for a protocol", special!();
    /// 198.18.0.0/15: benchmarks of network devices (RFC 2544).
    AddressBenchmark, "egress.address.benchmark", "the address is set aside for benchmarks", special!();
    /// ::/96: IPv4-compatible IPv6 (RFC 4291, deprecated).
    AddressCompatible, "egress.address.compatible", "the address holds an IPv4 address in a deprecated form", "write the IPv4 address itself";
    /// A range that `egress.deny` names.
    AddressDenied, "egress.address.denied", "the configuration refuses the address", "change `egress.deny`";
    /// 100::/64, 100:0:0:1::/64: what is sent there is thrown away (RFC 6666, RFC 9780).
    AddressDiscard, "egress.address.discard", "the address throws away what is sent to it", special!();
    /// 192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32, 3fff::/20.
    AddressDocumentation, "egress.address.documentation", "the address is set aside for documentation", special!();
    /// A global IPv6 address whose ISATAP interface id (RFC 5214) leads to a refused IPv4 address.
    AddressIsatap, "egress.address.isatap", "the address leads through ISATAP to a refused one", special!();
    /// 169.254.0.0/16, fe80::/10.
    AddressLinkLocal, "egress.address.link_local", "the address is link-local", special!();
    /// 127.0.0.0/8, ::1.
    AddressLoopback, "egress.address.loopback", "the address is this machine", special!();
    /// 224.0.0.0/4, ff00::/8.
    AddressMulticast, "egress.address.multicast", "the address is multicast", special!();
    /// 64:ff9b:1::/48: NAT64 of some local network (RFC 8215).
    AddressNat64Local, "egress.address.nat64_local", "the address belongs to a local NAT64", "name the prefix in `egress.nat64`, so that the address inside can be judged";
    /// An address of one of this machine's interfaces.
    AddressOwn, "egress.address.own", "the address is this machine's own", special!();
    /// A metadata or platform service of a cloud.
    AddressPlatform, "egress.address.platform", "the address is a cloud platform's own service", "where it is meant, name it in `egress.allow_special` exactly, as `address:port`";
    /// 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918).
    AddressPrivate, "egress.address.private", "the address is private", special!();
    /// 192.88.99.0/24: relays of 6to4 (RFC 7526, deprecated).
    AddressRelay, "egress.address.relay", "the address was set aside for 6to4 relays", special!();
    /// 240.0.0.0/4 with the broadcast address, IPv6 space that is not allocated.
    AddressReserved, "egress.address.reserved", "the address is not allocated", special!();
    /// 5f00::/16: segment routing (RFC 9602).
    AddressSegmentRouting, "egress.address.segment_routing", "the address is a segment identifier", special!();
    /// 100.64.0.0/10: carriers' shared space (RFC 6598).
    AddressShared, "egress.address.shared", "the address is in a carrier's shared space", special!();
    /// fec0::/10: site-local (RFC 3879, deprecated).
    AddressSiteLocal, "egress.address.site_local", "the address is site-local", special!();
    /// 2002::/16: 6to4 (RFC 3056), whatever address is inside.
    AddressSixToFour, "egress.address.six_to_four", "the address leads through 6to4", "write the IPv4 address itself";
    /// 2001::/32: Teredo (RFC 4380), whatever address is inside.
    AddressTeredo, "egress.address.teredo", "the address leads through Teredo", "write the IPv4 address itself";
    /// ::ffff:0:0:0/96: IPv4-translated IPv6 (RFC 2765, deprecated).
    AddressTranslated, "egress.address.translated", "the address holds an IPv4 address in a deprecated form", "write the IPv4 address itself";
    /// fc00::/7 (RFC 4193).
    AddressUniqueLocal, "egress.address.unique_local", "the address is a unique local one", special!();
    /// 0.0.0.0/8, ::.
    AddressUnspecified, "egress.address.unspecified", "the address is unspecified", special!();
    /// The name leads by a CNAME to a name that is refused.
    DnsAlias, "egress.dns.alias", "the name is an alias of a name that is refused", "use the address of a public host";
    /// The lookup failed.
    DnsFailed, "egress.dns.failed", "the name could not be resolved", "check the name and the resolver";
    /// The name has no address.
    DnsNoAddress, "egress.dns.no_address", "the name has no address", "check the name";
    /// The lookup took too long.
    DnsTimeout, "egress.dns.timeout", "the name could not be resolved in time", "check the resolver";
    /// A name of a cloud's metadata service.
    HostMetadata, "egress.host.metadata", "the name is a cloud platform's metadata service", "where it is meant, list the host exactly in `egress` and its `address:port` in `egress.allow_special`";
    /// `localhost`, `.local`, `.internal`, `.home.arpa` or a single label.
    HostLocal, "egress.host.local", "the name is one of the local network", "where it is meant, list the host exactly in `egress` and its address in `egress.allow_special`";
    /// `.onion` (RFC 7686).
    HostOnion, "egress.host.onion", "the name must not be looked up in DNS", "use a public host";
    /// Not a host name: an empty or overlong label, a character that no host name holds.
    HostMalformed, "egress.host.malformed", "the host is malformed", "write a host name or an address";
    /// A number with a leading zero: octal for some readers, decimal for others.
    HostAmbiguous, "egress.host.ambiguous", "the host is a number that readers take for different addresses", "write the address as four decimal numbers without leading zeros";
    /// The allowlist does not name the host with this port.
    HostNotListed, "egress.host.not_listed", "the allowlist does not name the host and port", "add `host:port` to the server's `egress`";
    /// The connection ended at another address than the one that was checked.
    PeerChanged, "egress.peer.changed", "the connection ended at another address than the checked one", "look for a redirecting firewall or a transparent proxy on the way";
    /// The port is not one that may be reached.
    PortNotAllowed, "egress.port.not_allowed", "the port may not be reached", "name the port: `host:port` in the server's `egress`, or `egress.ports`";
    /// No credential of the proxy, or a wrong one.
    ProxyCredential, "egress.proxy.credential", "the proxy wants a credential", "use the proxy URL that the server was started with";
    /// This user has too many connections open.
    ProxyBusy, "egress.proxy.busy", "too many connections are open", "close some, or raise the limit per server";
    /// `Host` is missing, doubled or not the target's.
    ProxyHost, "egress.proxy.host", "the request's `Host` is not its target", "send the target's own host";
    /// Not a request for a proxy.
    ProxyRequest, "egress.proxy.request", "this is no request for a proxy", "send CONNECT, or a whole URL";
    /// The decision cannot be recorded.
    ProxyUnrecorded, "egress.proxy.unrecorded", "the audit log cannot be written", "free the disk, or restore what reads the log; `audit.fail = \"open\"` lets it pass";
    /// The host did not answer.
    ProxyUnreachable, "egress.proxy.unreachable", "the host cannot be reached", "check the host";
    /// From https to http.
    RedirectDowngrade, "egress.redirect.downgrade", "the redirect leads from https to http", "ask the site for an https target";
    /// A `Location` that is missing, doubled or not text.
    RedirectMalformed, "egress.redirect.malformed", "the redirect's target is missing or malformed", "ask the site to mend its redirect";
    /// More redirects than the limit.
    RedirectTooMany, "egress.redirect.too_many", "there are too many redirects", "ask for the final address";
    /// The host's certificate is not valid.
    TlsCertificate, "egress.tls.certificate", "the certificate of the host is not valid", "mend the host's certificate, or add its CA by file; validation cannot be switched off";
    /// The name in the TLS handshake is not the name that was asked for, or is missing.
    TlsName, "egress.tls.name", "the TLS server name is not the host that was asked for", "send the host's own name in the handshake";
    /// Bytes that are no TLS handshake, where one must be.
    TlsExpected, "egress.tls.expected", "the tunnel does not begin with a TLS handshake", "speak TLS in the tunnel, or list the port for plain tunnels";
    /// Two readings of one URL: a backslash, a doubled slash after the scheme.
    UrlAmbiguous, "egress.url.ambiguous", "readers may take the URL for different ones", "write `scheme://host/path` without backslashes";
    /// A control character.
    UrlControl, "egress.url.control", "the URL holds a control character", "take it out";
    /// No URL by the WHATWG standard.
    UrlMalformed, "egress.url.malformed", "the URL is malformed", "write `https://host/path`";
    /// Longer than 8 KiB.
    UrlTooLong, "egress.url.too_long", "the URL is longer than 8192 bytes", "shorten it";
    /// Neither http nor https.
    UrlScheme, "egress.url.scheme", "the URL's scheme is neither http nor https", "use https";
    /// A user name or a password, or an `@` before the path.
    UrlUserinfo, "egress.url.userinfo", "the URL holds a user name or a password", "send credentials in a header";
    /// White space at an end, or in the authority.
    UrlWhiteSpace, "egress.url.white_space", "the URL holds white space where none may be", "take it out";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A refusal: the reason, and what was found, for the operator.
///
/// `Display` gives code and cause alone and so is fit for whoever asked; [`Refusal::detail`] names
/// the host and address and belongs in the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", .reason.code(), .reason.text())]
pub struct Refusal {
    reason: Reason,
    detail: Box<str>,
    host: Box<str>,
    port: u16,
}

/// Longest detail that is kept, in bytes.
const MAX_DETAIL: usize = 300;

impl Refusal {
    pub(crate) fn new(reason: Reason, detail: impl fmt::Display) -> Self {
        let mut detail = detail.to_string();
        if detail.len() > MAX_DETAIL {
            detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
            detail.push('…');
        }
        Self {
            reason,
            detail: detail.into(),
            host: "".into(),
            port: 0,
        }
    }

    /// With the host and port that were asked for.
    pub(crate) fn at(mut self, host: impl fmt::Display, port: u16) -> Self {
        self.host = host.to_string().into();
        self.port = port;
        self
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What was found: a host, an address. At most 300 bytes; it may hold what the caller sent.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The host that was asked for, in canonical form; empty where none could be read.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port that was asked for; 0 where none could be read.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What an operator can do where the destination is meant to be reached.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        self.reason.remedy()
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self::new(reason, "")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_shaped() {
        let mut seen = HashSet::new();
        for reason in Reason::ALL {
            let code = reason.code();
            assert!(seen.insert(code), "{code} twice");
            let parts: Vec<_> = code.split('.').collect();
            assert_eq!((parts.len(), parts[0]), (3, "egress"), "{code}");
            assert!(
                code.bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_')),
                "{code}"
            );
            assert!(!reason.text().is_empty() && !reason.remedy().is_empty());
        }
    }

    #[test]
    fn a_refusal_shows_no_detail_and_bounds_it() {
        let refusal = Refusal::new(Reason::AddressPrivate, "ä".repeat(1000));
        assert_eq!(
            refusal.to_string(),
            "egress.address.private: the address is private"
        );
        assert!(refusal.detail().len() <= MAX_DETAIL + '…'.len_utf8());
        assert!(refusal.remedy().contains("allow_special"));
        assert_eq!((refusal.host(), refusal.port()), ("", 0));
        let refusal = refusal.at("a.example", 443);
        assert_eq!((refusal.host(), refusal.port()), ("a.example", 443));
        assert_eq!(refusal.reason().to_string(), "egress.address.private");
    }

    #[test]
    fn a_decision_has_its_codes() {
        let allow = Decision::Allow(Grant::Public);
        assert_eq!(
            (allow.code(), allow.is_allow()),
            ("egress.allow.public", true)
        );
        let refuse = Decision::Refuse(Reason::PeerChanged);
        assert_eq!(
            (refuse.code(), refuse.is_allow()),
            ("egress.peer.changed", false)
        );
        let grants = [Grant::Listed, Grant::Reported, Grant::Special].map(Grant::code);
        assert_eq!(
            grants,
            [
                "egress.allow.listed",
                "egress.allow.reported",
                "egress.allow.special"
            ]
        );
    }
}

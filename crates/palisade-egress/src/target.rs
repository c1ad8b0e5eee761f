//! Where somebody wants to go: a host and a port, read by the WHATWG URL standard and refused where
//! other readers could read something else.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use url::{Host as UrlHost, Url};

use crate::address::canonical;
use crate::decision::{Reason, Refusal};
use crate::name::Name;

/// Longest URL that is read, in bytes.
pub const MAX_URL: usize = 8192;

/// A host: an address, or a name that has to be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address, in canonical form: IPv4-mapped IPv6 is IPv4.
    Address(IpAddr),
    /// A name.
    Name(Name),
}

/// As in a URL: IPv6 in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

impl Host {
    /// Reads the host of an authority by the WHATWG rules, as a URL's host is read.
    ///
    /// # Errors
    /// [`Reason::HostMalformed`], [`Reason::HostAmbiguous`].
    pub fn parse(text: &str) -> Result<Self, Reason> {
        if text.len() > MAX_URL {
            return Err(Reason::HostMalformed);
        }
        let host = UrlHost::parse(text).map_err(|_| Reason::HostMalformed)?;
        Self::of(host, text)
    }

    /// What was read from `raw`.
    fn of<S: AsRef<str>>(host: UrlHost<S>, raw: &str) -> Result<Self, Reason> {
        match host {
            UrlHost::Ipv4(_) if is_ambiguous_number(raw) => Err(Reason::HostAmbiguous),
            UrlHost::Ipv4(address) => Ok(Self::Address(address.into())),
            UrlHost::Ipv6(address) => Ok(Self::Address(canonical(address.into()))),
            UrlHost::Domain(_) if is_unstable(raw) => Err(Reason::HostAmbiguous),
            UrlHost::Domain(name) => Name::from_ascii(name.as_ref()).map(Self::Name),
        }
    }
}

/// A host and a port, read but not judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) host: Host,
    /// Never 0.
    pub(crate) port: u16,
    /// The URL in canonical form without its fragment, where there is one.
    pub(crate) url: Option<Url>,
}

impl Destination {
    /// Reads a whole URL. What other readers could take for another URL is refused.
    pub(crate) fn from_url(text: &str) -> Result<Self, Refusal> {
        let raw = strict(text).map_err(|reason| refuse(reason, text))?;
        let url = Url::parse(text).map_err(|_| refuse(Reason::UrlMalformed, text))?;
        Self::from_parts(url, raw, text)
    }

    /// Reads a redirect's `Location` against the URL it came from.
    pub(crate) fn from_location(base: &Url, location: &str) -> Result<Self, Refusal> {
        let raw = strict(location).map_err(|reason| refuse(reason, location))?;
        let url = base
            .join(location)
            .map_err(|_| refuse(Reason::UrlMalformed, location))?;
        Self::from_parts(url, raw, location)
    }

    /// Reads `host:port`, as CONNECT names it; IPv6 in brackets.
    pub(crate) fn from_authority(text: &str) -> Result<Self, Refusal> {
        let malformed = |reason| refuse(reason, text);
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| malformed(Reason::HostMalformed))?;
        let digits =
            !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse().ok().filter(|_| digits);
        let port = port.ok_or_else(|| malformed(Reason::PortNotAllowed))?;
        Self::new(Host::parse(host).map_err(malformed)?, port)
    }

    pub(crate) fn new(host: Host, port: u16) -> Result<Self, Refusal> {
        if port == 0 {
            return Err(Refusal::new(
                Reason::PortNotAllowed,
                format_args!("{host}:0"),
            ));
        }
        Ok(Self {
            host,
            port,
            url: None,
        })
    }

    fn from_parts(mut url: Url, raw_host: &str, text: &str) -> Result<Self, Refusal> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refuse(Reason::UrlScheme, text));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse(Reason::UrlUserinfo, text));
        }
        let host = url
            .host()
            .ok_or_else(|| refuse(Reason::UrlMalformed, text))?;
        let host = Host::of(host, raw_host).map_err(|reason| refuse(reason, text))?;
        if let Host::Name(name) = &host
            && url.host_str() != Some(name.as_str())
            && url.set_host(Some(name.as_str())).is_err()
        {
            return Err(refuse(Reason::HostMalformed, text));
        }
        url.set_fragment(None);
        let port = url.port_or_known_default().unwrap_or_default();
        let destination = Self::new(host, port)?;
        Ok(Self {
            url: Some(url),
            ..destination
        })
    }
}

fn refuse(reason: Reason, text: &str) -> Refusal {
    // Control characters must not reach a log as they are, and a query may hold secrets.
    let text = text.split(['?', '#']).next().unwrap_or_default();
    Refusal::new(reason, format_args!("{}", text.escape_debug()))
}

/// What every reader must read alike. Gives the host as written, empty where there is none.
///
/// The WHATWG parser mends much: it drops tabs and line feeds, trims, takes `\` for `/` and any
/// number of slashes for two. A reader that does not mend sees another host, so all of that is
/// refused here (RFC 3986 knows none of it).
fn strict(text: &str) -> Result<&str, Reason> {
    if text.len() > MAX_URL {
        return Err(Reason::UrlTooLong);
    }
    if text.chars().any(char::is_control) {
        return Err(Reason::UrlControl);
    }
    if text.trim() != text {
        return Err(Reason::UrlWhiteSpace);
    }
    let rest = match scheme(text) {
        Some((scheme, rest)) if is_web(scheme) => {
            let rest = rest.strip_prefix("//").ok_or(Reason::UrlAmbiguous)?;
            Some(rest)
        }
        Some(_) => return Err(Reason::UrlScheme),
        // A reference without a scheme; where there is nothing to refer to, the parser refuses it.
        None => text.strip_prefix("//"),
    };
    let authority = match rest {
        Some(rest) => {
            let authority = until(rest, &['/', '\\', '?', '#']);
            if authority.is_empty() {
                return Err(Reason::UrlAmbiguous);
            }
            authority
        }
        None => "",
    };
    if authority.contains('@') {
        return Err(Reason::UrlUserinfo);
    }
    if authority.contains(char::is_whitespace) {
        return Err(Reason::UrlWhiteSpace);
    }
    if until(text, &['?', '#']).contains('\\') {
        return Err(Reason::UrlAmbiguous);
    }
    // Of an IPv6 address this leaves a part, which nobody takes for a number.
    Ok(until(authority, &[':']))
}

/// Scheme and rest, where the text begins with a scheme (RFC 3986 section 3.1).
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let mut bytes = scheme.bytes();
    let first = bytes.next()?.is_ascii_alphabetic();
    let others = bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    (first && others).then_some((scheme, rest))
}

fn is_web(scheme: &str) -> bool {
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}

fn until<'a>(text: &'a str, ends: &[char]) -> &'a str {
    text.split(ends).next().unwrap_or_default()
}

/// What UTS 46 calls deviations: `ß` is itself, and was `ss` in IDNA 2003.
const DEVIATIONS: &[char] = &['\u{df}', '\u{3c2}', '\u{200c}', '\u{200d}'];

/// Whether readers of other versions of IDNA and Unicode read another name.
///
/// `ẞ` was `ss` until Unicode 15.1, and is `ß` since. curl reads the deviations as IDNA 2008 has them; but where that
/// does not know the name for another reason, such as a symbol in it, it falls back to 2003.
fn is_unstable(raw: &str) -> bool {
    let name = percent_decode_str(raw).decode_utf8_lossy();
    if name.contains('\u{1e9e}') {
        return true;
    }
    let plain = |label: &str| {
        let known =
            |char: char| char.is_alphanumeric() || char == '-' || DEVIATIONS.contains(&char);
        let hyphens = label.starts_with('-')
            || label.ends_with('-')
            || label.chars().skip(2).take(2).eq("--".chars());
        label.chars().all(known) && !hyphens
    };
    name.contains(DEVIATIONS) && !name.split('.').all(plain)
}

/// Whether a host that the URL standard reads as an IPv4 address has a part with a leading zero
/// that means one number in octal (as the standard has it) and another in decimal (as others do):
/// `010.8.8.8` is 8.8.8.8 to a browser and 10.8.8.8 to many libraries.
fn is_ambiguous_number(raw: &str) -> bool {
    let decoded = percent_decode_str(raw).decode_utf8_lossy();
    let ascii = if decoded.is_ascii() {
        decoded
    } else {
        // Full-width digits and ideographic dots are mapped before the parts are read.
        match idna::domain_to_ascii(&decoded) {
            Ok(ascii) => Cow::Owned(ascii),
            Err(_) => return true,
        }
    };
    ascii.split('.').any(|part| {
        let octal = part.starts_with('0') && !part[1..].starts_with(['x', 'X']);
        octal && part.bytes().skip_while(|byte| *byte == b'0').count() > 1
    })
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;

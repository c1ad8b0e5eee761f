//! Hosts, URLs and paths as they are written in the configuration, checked for shape.
//!
//! Reading is strict and pure. What is wrong comes back as a [`Fault`]: the cause and, where one
//! is known, the text that was probably meant.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A name or address that `Host` may carry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostEntry {
    /// In lower case, without a trailing dot; an IPv6 address in brackets, in its shortest form.
    pub host: String,
    /// `None`: on any port.
    pub port: Option<u16>,
}

/// An absolute `http` or `https` URL without user, query and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    /// `https` or `http`.
    pub https: bool,
    /// As in [`HostEntry`].
    pub host: String,
    /// The port, where it is not the scheme's own.
    pub port: Option<u16>,
    /// Begins with a slash.
    pub path: String,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A sentence.
    pub cause: String,
    /// What to do.
    pub remedy: Option<String>,
}

impl HostEntry {
    /// Reads `name`, `name:port`, `address`, `address:port`, `[address]` or `[address]:port`.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.contains("://") {
            let meant = text.split_once("://").map_or("", |(_, rest)| rest);
            let meant = meant.split('/').next().unwrap_or_default();
            return Err(if Self::parse(meant).is_ok() {
                Fault::meant("a host has no scheme", meant)
            } else {
                Fault::new(
                    "a host has no scheme",
                    "write the name alone, such as \"mcp.example.com\"",
                )
            });
        }
        if text == "*" {
            return Err(Fault::new(
                "`*` would accept every host, which is what DNS rebinding needs",
                "name each public host",
            ));
        }
        if text.contains('*') {
            return Err(Fault::new(
                "a host is a name, not a pattern",
                "name each public host",
            ));
        }
        if let Ok(address) = text.parse::<Ipv6Addr>() {
            return Ok(Self {
                host: format!("[{address}]"),
                port: None,
            });
        }
        let (host, port) = split_port(text)?;
        Ok(Self {
            host: host_name(host)?,
            port: port.map(port_number).transpose()?,
        })
    }
}

impl fmt::Display for HostEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

impl HttpUrl {
    /// Reads an absolute URL.
    ///
    /// # Errors
    /// A [`Fault`]; it never repeats a user part or a query, which may hold secrets.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let Some((scheme, rest)) = text.split_once("://") else {
            let meant = format!("http://{text}");
            return Err(if Self::parse(&meant).is_ok() {
                Fault::meant("it has no scheme", &meant)
            } else {
                Fault::new(
                    "it is not an absolute URL",
                    "write it as `http://host:port/path`",
                )
            });
        };
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => {
                return Err(Fault::new(
                    "its scheme is neither `http` nor `https`",
                    "write it as `http://host:port/path` or `https://host/path`",
                ));
            }
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(Fault::new(
                "it holds a user name or a password",
                "take the part before `@` out",
            ));
        }
        if path.contains('?') {
            return Err(Fault::new(
                "it has a query",
                "take the part from `?` on out",
            ));
        }
        if path.contains('#') {
            return Err(Fault::new(
                "it has a fragment",
                "take the part from `#` on out",
            ));
        }
        let path = if path.is_empty() { "/" } else { path };
        request_path(path)?;
        let (host, port) = split_port(authority)?;
        let port = port.map(port_number).transpose()?;
        if port == Some(0) {
            return Err(Fault::new(
                "port 0 cannot be called",
                "name the port the server listens on",
            ));
        }
        Ok(Self {
            https,
            host: host_name(host)?,
            port: port.filter(|port| *port != if https { 443 } else { 80 }),
            path: path.to_owned(),
        })
    }

    /// `http` or `https`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// The port, the scheme's own included.
    #[must_use]
    pub fn port_or_default(&self) -> u16 {
        self.port.unwrap_or(if self.https { 443 } else { 80 })
    }

    /// `host` or `host:port`, as a `Host` field carries it.
    #[must_use]
    pub fn authority(&self) -> String {
        self.port
            .map_or_else(|| self.host.clone(), |port| format!("{}:{port}", self.host))
    }

    /// The origin (RFC 6454) of this URL.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }

    /// Whether it names this machine: `localhost`, a name below it, or a loopback address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        loopback_host(&self.host)
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

impl Fault {
    /// A fault with a remedy.
    pub(super) fn new(cause: &str, remedy: &str) -> Self {
        Self {
            cause: cause.to_owned(),
            remedy: Some(remedy.to_owned()),
        }
    }

    pub(super) fn meant(cause: &str, text: &str) -> Self {
        if text.is_empty() {
            return Self {
                cause: cause.to_owned(),
                remedy: None,
            };
        }
        Self::new(cause, &format!("write \"{text}\""))
    }
}

/// Whether the address is loopback, also in the IPv4-mapped form.
#[must_use]
pub fn loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_loopback(),
        IpAddr::V6(v6) => {
            v6.is_loopback() || v6.to_ipv4_mapped().is_some_and(|v4| v4.is_loopback())
        }
    }
}

/// Reads a server's `path`: a prefix that ends on a segment.
///
/// # Errors
/// A [`Fault`].
pub(super) fn route_path(text: &str) -> Result<String, Fault> {
    if !text.starts_with('/') {
        return Err(Fault::meant("a path begins with `/`", &format!("/{text}")));
    }
    if text.contains(['?', '#']) {
        return Err(Fault::new(
            "a path has neither query nor fragment",
            "write the path alone",
        ));
    }
    if text.contains('*') {
        return Err(Fault::new(
            "a path is a prefix already and takes no pattern",
            "leave the `*` out",
        ));
    }
    if text.len() > 1 && text.ends_with('/') {
        return Err(Fault::meant(
            "a path ends on a segment, without a slash",
            text.trim_end_matches('/'),
        ));
    }
    request_path(text)?;
    Ok(text.to_owned())
}

/// A path that no two readers can normalise differently.
fn request_path(path: &str) -> Result<(), Fault> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%/".contains(&b);
    if !path.bytes().all(allowed) {
        return Err(Fault::new(
            "its path holds a character that a URL must encode",
            "write it percent-encoded",
        ));
    }
    let lower = path.to_ascii_lowercase();
    if ["%2f", "%5c", "%2e"]
        .iter()
        .any(|encoded| lower.contains(encoded))
    {
        return Err(Fault::new(
            "its path holds an encoded slash, backslash or dot, which two readers may read differently",
            "write it without",
        ));
    }
    if lower.split('%').skip(1).any(|rest| {
        let mut digits = rest.bytes().take(2);
        !matches!((digits.next(), digits.next()), (Some(a), Some(b)) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
    }) {
        return Err(Fault::new("its path holds a `%` without two hexadecimal digits", "write `%25`"));
    }
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        if segment == "." || segment == ".." {
            return Err(Fault::new(
                "its path holds a dot segment",
                "write the path without it",
            ));
        }
        if segment.is_empty() && segments.peek().is_some() {
            return Err(Fault::new(
                "its path holds an empty segment",
                "write one slash, not two",
            ));
        }
    }
    Ok(())
}

/// Splits `host`, `host:port`, `[v6]` and `[v6]:port`.
pub(super) fn split_port(authority: &str) -> Result<(&str, Option<&str>), Fault> {
    if authority.starts_with('[') {
        let Some(end) = authority.find(']') else {
            return Err(Fault::new(
                "the `]` of the IPv6 address is missing",
                "write it as `[::1]`",
            ));
        };
        let (host, rest) = authority.split_at(end + 1);
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(Fault::new(
                "after the `]` only `:port` may follow",
                "write it as `[::1]:8080`",
            )),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(Fault::new(
            "an IPv6 address stands in brackets",
            "write it as `[::1]` or `[::1]:8080`",
        )),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((authority, None)),
    }
}

pub(super) fn port_number(text: &str) -> Result<u16, Fault> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Fault::new(
            "its port is not a number",
            "write a port between 1 and 65535",
        ));
    }
    text.parse().map_err(|_| {
        Fault::new(
            "its port is above 65535",
            "write a port between 1 and 65535",
        )
    })
}

/// A host in its one spelling, or what is wrong with it.
pub(super) fn host_name(host: &str) -> Result<String, Fault> {
    if let Some(inner) = host.strip_prefix('[') {
        let address = inner
            .strip_suffix(']')
            .and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return address
            .map(|address| format!("[{address}]"))
            .ok_or_else(|| {
                Fault::new(
                    "what stands in brackets is not an IPv6 address",
                    "write it as `[::1]`",
                )
            });
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if host.is_empty() {
        return Err(Fault::new(
            "its host is empty",
            "write the host's name or address",
        ));
    }
    if !host.is_ascii() {
        return Err(Fault::new(
            "its host has letters beyond ASCII",
            "write it in its punycode form (`xn--…`)",
        ));
    }
    let last = host.rsplit('.').next().unwrap_or_default();
    // WHATWG URL: a host whose last label is a number is an IPv4 address in some reader's eyes.
    if !last.is_empty() && (last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x")) {
        return host
            .parse::<Ipv4Addr>()
            .map(|address| address.to_string())
            .map_err(|_| {
                Fault::new(
                    "its host is not an IPv4 address in four decimal parts",
                    "write it as `127.0.0.1`",
                )
            });
    }
    let good_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > 253 || !host.split('.').all(good_label) {
        return Err(Fault::new(
            "its host is not a host name",
            "write letters, digits and `-`, separated by dots",
        ));
    }
    Ok(host)
}

pub(super) fn loopback_host(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|h| h.strip_suffix(']'))
        .unwrap_or(host);
    host == "localhost"
        || host.ends_with(".localhost")
        || bare.parse::<IpAddr>().is_ok_and(loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: H-1
    #[test]
    fn one_host_has_one_spelling() {
        for (text, wanted) in [
            ("Example.COM", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("example.com:443", Some("example.com:443")),
            ("[0:0:0:0:0:0:0:1]:80", Some("[::1]:80")),
            ("::1", Some("[::1]")),
            ("127.0.0.1", Some("127.0.0.1")),
            ("127.0.0.01", None),
            ("0x7f000001", None),
            ("2130706433", None),
            ("1.2.3.4.5", None),
            ("a..b", None),
            ("..", None),
            (".", None),
            ("a:", None),
            ("a:+1", None),
            ("user@host", None),
            ("host/path", None),
            ("ho\u{0}st", None),
            ("*", None),
        ] {
            let shown = HostEntry::parse(text).ok().map(|entry| entry.to_string());
            assert_eq!(shown.as_deref(), wanted, "{text:?}");
        }
    }

    #[test]
    fn urls_come_out_as_they_are_meant() {
        for (text, wanted, is_loopback) in [
            ("HTTP://LocalHost:80/Mcp", "http://localhost/Mcp", true),
            ("https://example.com:443", "https://example.com/", false),
            ("https://example.com:80/", "https://example.com:80/", false),
            ("http://[::1]:3000/a%20b", "http://[::1]:3000/a%20b", true),
            (
                "http://[::ffff:127.0.0.1]:3000/",
                "http://[::ffff:127.0.0.1]:3000/",
                true,
            ),
            ("http://127.255.255.254/", "http://127.255.255.254/", true),
            ("http://128.0.0.1/", "http://128.0.0.1/", false),
            ("http://0.0.0.0/", "http://0.0.0.0/", false),
            ("http://a.localhost/", "http://a.localhost/", true),
            ("http://notlocalhost/", "http://notlocalhost/", false),
        ] {
            let url = HttpUrl::parse(text).unwrap();
            assert_eq!(url.to_string(), wanted);
            assert_eq!(url.is_loopback(), is_loopback, "{text}");
        }
    }
}

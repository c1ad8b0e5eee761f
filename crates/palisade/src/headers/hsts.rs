//! `Strict-Transport-Security` (RFC 6797): its value, and where it may be sent.

use std::fmt;

use http::Request;
use http::header::{HOST, HeaderValue};

/// What `Strict-Transport-Security` says. The default is two years with subdomains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// How long a browser remembers it, in seconds; 0 makes it forget.
    pub max_age: u64,
    /// Whether it holds for every subdomain.
    pub include_subdomains: bool,
    /// Whether the host asks to be built into browsers. Hard to undo.
    pub preload: bool,
}

/// Least `max-age` with which the preload list takes a host: one year, in seconds.
const PRELOAD_MIN_AGE: u64 = 31_536_000;

impl Default for Hsts {
    fn default() -> Self {
        Self {
            max_age: 63_072_000,
            include_subdomains: true,
            preload: false,
        }
    }
}

impl Hsts {
    /// The header's value.
    ///
    /// # Errors
    /// `preload` where the preload list's other two conditions do not hold (hstspreload.org).
    pub fn value(&self) -> Result<HeaderValue, HstsError> {
        if self.preload && !self.include_subdomains {
            return Err(HstsError::PreloadWithoutSubdomains);
        }
        if self.preload && self.max_age < PRELOAD_MIN_AGE {
            return Err(HstsError::PreloadTooShort {
                max_age: self.max_age,
            });
        }
        Ok(if *self == Self::default() {
            HeaderValue::from_static("max-age=63072000; includeSubDomains")
        } else {
            let subdomains = if self.include_subdomains {
                "; includeSubDomains"
            } else {
                ""
            };
            let preload = if self.preload { "; preload" } else { "" };
            let value = format!("max-age={}{subdomains}{preload}", self.max_age);
            // Digits and fixed words are always a header value.
            HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static("max-age=0"))
        })
    }
}

/// Why an [`Hsts`] makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HstsError {
    /// `preload` with too short a `max-age`.
    PreloadTooShort {
        /// The `max-age` that was asked for, in seconds.
        max_age: u64,
    },
    /// `preload` without `include_subdomains`.
    PreloadWithoutSubdomains,
}

impl fmt::Display for HstsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PreloadTooShort { max_age } => write!(
                f,
                "HSTS preload needs a max-age of at least {PRELOAD_MIN_AGE} seconds, not {max_age}: \
                 raise max_age or set preload = false"
            ),
            Self::PreloadWithoutSubdomains => f.write_str(
                "HSTS preload needs include_subdomains: \
                 set include_subdomains = true or preload = false",
            ),
        }
    }
}

impl std::error::Error for HstsError {}

/// Whether the host that was asked for may be pinned to TLS.
///
/// Never a loopback name, for which the pin would break every other local port, and never an
/// address, for which RFC 6797 section 8.1.1 forbids it. Where the host is unknown the answer
/// is no.
pub(super) fn may_pin<B>(request: &Request<B>) -> bool {
    if let Some(authority) = request.uri().authority() {
        return is_pinnable(authority.as_str().as_bytes());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_pinnable(host.as_bytes()),
        _ => false,
    }
}

/// `host` or `host:port`.
fn is_pinnable(authority: &[u8]) -> bool {
    let name = match memchr::memchr(b':', authority) {
        None => authority,
        // Not one colon but more: an IPv6 address, in brackets or without.
        Some(at) if memchr::memchr(b':', &authority[at + 1..]).is_some() => return false,
        Some(at) => &authority[..at],
    };
    let name = name.strip_suffix(b".").unwrap_or(name);
    let last = match memchr::memrchr(b'.', name) {
        Some(dot) => &name[dot + 1..],
        None => name,
    };
    !last.is_empty() && !is_loopback_label(last) && !is_number(last)
}

/// `localhost` and what lies below it (RFC 6761 section 6.3), and the spellings that hosts
/// files give it.
fn is_loopback_label(label: &[u8]) -> bool {
    [
        &b"localhost"[..],
        b"localdomain",
        b"localhost6",
        b"localdomain6",
        b"ip6-localhost",
        b"ip6-loopback",
    ]
    .iter()
    .any(|name| label.eq_ignore_ascii_case(name))
}

/// A host whose last label is a number is an IPv4 address, in whichever spelling (WHATWG URL,
/// "ends in a number").
fn is_number(label: &[u8]) -> bool {
    match label {
        [b'0', b'x' | b'X', rest @ ..] => rest.iter().all(u8::is_ascii_hexdigit),
        _ => label.iter().all(u8::is_ascii_digit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: S-3
    #[test]
    fn preload_needs_the_other_two() {
        let hsts = |max_age, include_subdomains, preload| {
            Hsts {
                max_age,
                include_subdomains,
                preload,
            }
            .value()
        };
        for (given, expected) in [
            (
                hsts(63_072_000, true, false),
                Ok("max-age=63072000; includeSubDomains"),
            ),
            (hsts(0, false, false), Ok("max-age=0")),
            (hsts(600, true, false), Ok("max-age=600; includeSubDomains")),
            (
                hsts(31_536_000, true, true),
                Ok("max-age=31536000; includeSubDomains; preload"),
            ),
            (
                hsts(31_535_999, true, true),
                Err(HstsError::PreloadTooShort {
                    max_age: 31_535_999,
                }),
            ),
            (
                hsts(63_072_000, false, true),
                Err(HstsError::PreloadWithoutSubdomains),
            ),
        ] {
            assert_eq!(given, expected.map(HeaderValue::from_static));
        }
    }

    // REQ: S-1
    #[test]
    fn only_names_that_are_not_loopback_are_pinned() {
        for (host, expected) in [
            ("mcp.example.com", true),
            ("mcp.example.com:8443", true),
            ("mcp.example.com.", true),
            ("example", true),
            ("localhost.example.com", true),
            ("mylocalhost", true),
            ("1.2.3.4.example", true),
            ("1e3", true),
            ("localhost", false),
            ("LocalHost:8443", false),
            ("localhost.", false),
            ("app.localhost", false),
            ("app.localhost.:1", false),
            ("localhost.localdomain", false),
            ("ip6-localhost", false),
            ("127.0.0.1", false),
            ("127.0.0.1:8443", false),
            ("127.1", false),
            ("2130706433", false),
            ("0x7f.0.0.0x1", false),
            ("0x", false),
            ("192.0.2.1.", false),
            ("[::1]", false),
            ("[::1]:8443", false),
            ("[2001:db8::1]", false),
            ("2001:db8::a", false),
            ("::1", false),
            ("", false),
            (".", false),
            ("..", false),
            (":80", false),
        ] {
            assert_eq!(is_pinnable(host.as_bytes()), expected, "{host:?}");
        }
    }

    #[test]
    fn the_authority_counts_before_host_and_two_hosts_for_none() {
        let request = |uri: &str, hosts: &[&str]| {
            let mut request = Request::builder().uri(uri);
            for host in hosts {
                request = request.header(HOST, *host);
            }
            may_pin(&request.body(()).unwrap())
        };
        assert!(request("/", &["a.example"]));
        assert!(request("https://a.example/", &[]));
        assert!(!request("https://localhost/", &["a.example"]));
        assert!(!request("/", &["a.example", "a.example"]));
        assert!(!request("/", &[]));
    }
}

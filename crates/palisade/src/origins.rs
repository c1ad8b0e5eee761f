//! Origins (RFC 6454, URL standard): how Palisade reads one, and the allowlists of them.
//!
//! Everything that judges an origin reads it here, once, and compares parsed parts: scheme,
//! host, port. No rule ever looks for a substring.

mod entry;
mod set;

use std::fmt;

use http::HeaderMap;
use http::header::{HeaderValue, ORIGIN};

use crate::authority::{Authority, AuthorityError, Host};

pub use entry::{OriginEntryError, OriginProblem};
pub use set::OriginSet;

/// An origin, borrowed from what was sent. Parsing and comparing do not allocate.
///
/// * `http` and `https` origins are `scheme://host[:port]` and nothing after it, compared by
///   scheme, host and port; case and a written-out default port make no difference.
/// * Other schemes (`chrome-extension`, `moz-extension`, `vscode-webview`) are compared as
///   written, byte by byte.
/// * `null` is no origin: sandboxed frames, local files and redirects all send it.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    written: &'a str,
    kind: Kind<'a>,
}

impl PartialEq for Origin<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Origin<'_> {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind<'a> {
    Web {
        scheme: WebScheme,
        host: Host<'a>,
        port: u16,
    },
    Written(&'a str),
}

impl<'a> Origin<'a> {
    /// Reads an origin.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &'a [u8]) -> Result<Self, OriginError> {
        if text.eq_ignore_ascii_case(b"null") {
            return Err(OriginError::Null);
        }
        let written = std::str::from_utf8(text).map_err(|_| OriginError::Malformed)?;
        let (scheme, rest) = written.split_once("://").ok_or(OriginError::NoScheme)?;
        let Some(scheme) = WebScheme::parse(scheme) else {
            if !is_written_origin(scheme, rest) {
                return Err(OriginError::Malformed);
            }
            let kind = Kind::Written(written);
            return Ok(Self { written, kind });
        };
        if rest.contains(['/', '?', '#']) {
            return Err(OriginError::Path);
        }
        let authority = Authority::parse(rest.as_bytes()).map_err(OriginError::Authority)?;
        // To a browser `https://a.example.` is another origin than `https://a.example`.
        if rest.split(':').next().unwrap_or_default().ends_with('.') {
            return Err(OriginError::TrailingDot);
        }
        let kind = Kind::Web {
            scheme,
            host: authority.host,
            port: authority.port.unwrap_or_else(|| scheme.default_port()),
        };
        Ok(Self { written, kind })
    }
}

/// The serialisation that a browser sends.
impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Web { scheme, host, port } if port == scheme.default_port() => {
                write!(f, "{}://{host}", scheme.as_str())
            }
            Kind::Web { scheme, host, port } => write!(f, "{}://{host}:{port}", scheme.as_str()),
            Kind::Written(text) => f.write_str(text),
        }
    }
}

/// The scheme of a web origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebScheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl WebScheme {
    /// Reads a scheme, without regard to case.
    #[must_use]
    pub const fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("https") {
            Some(Self::Https)
        } else if text.eq_ignore_ascii_case("http") {
            Some(Self::Http)
        } else {
            None
        }
    }

    /// The scheme in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL without one means.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginError {
    /// What follows the scheme is no authority.
    Authority(AuthorityError),
    /// Something else that no browser sends.
    Malformed,
    /// No `scheme://`.
    NoScheme,
    /// `null`.
    Null,
    /// A path, a query or a fragment.
    Path,
    /// The host ends in a dot.
    TrailingDot,
}

impl fmt::Display for OriginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authority(error) => error.as_str(),
            Self::Malformed => "not an origin",
            Self::NoScheme => "no scheme",
            Self::Null => "null is no origin: anyone can send it",
            Self::Path => "a path, a query or a fragment after the host",
            Self::TrailingDot => "a host that ends in a dot",
        })
    }
}

impl std::error::Error for OriginError {}

/// What a request says of its origin: the only reading of the `Origin` header in Palisade.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sent<'a> {
    /// No `Origin`: not a browser, or a browser's plain navigation.
    Absent,
    /// One origin.
    One(Origin<'a>, &'a HeaderValue),
    /// One header that is no origin.
    Unreadable(OriginError, &'a HeaderValue),
    /// More than one header.
    Several,
}

impl<'a> Sent<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(ORIGIN).iter();
        let Some(value) = values.next() else {
            return Self::Absent;
        };
        if values.next().is_some() {
            return Self::Several;
        }
        match Origin::parse(value.as_bytes()) {
            Ok(origin) => Self::One(origin, value),
            Err(error) => Self::Unreadable(error, value),
        }
    }
}

/// A scheme of RFC 3986 that is not one of the web's, and an unreserved host.
fn is_written_origin(scheme: &str, host: &str) -> bool {
    const NEVER: [&str; 10] = [
        "about",
        "blob",
        "data",
        "file",
        "filesystem",
        "ftp",
        "javascript",
        "view-source",
        "ws",
        "wss",
    ];
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'))
        && !NEVER.contains(&scheme)
        && (1..=MAX_WRITTEN_HOST).contains(&host.len())
        && host.bytes().all(unreserved)
}

/// As long as a DNS name.
const MAX_WRITTEN_HOST: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // REQ: C-1
    #[test]
    fn reads_what_browsers_send_and_shows_it_in_one_form() {
        for (text, shown) in [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.COM", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("https://app.example.com:80", "https://app.example.com:80"),
            ("http://app.example.com:80", "http://app.example.com"),
            ("http://app.example.com:443", "http://app.example.com:443"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://127.0.0.1", "http://127.0.0.1"),
            ("http://[::1]:5173", "http://[::1]:5173"),
            ("https://[2001:DB8:0::1]", "https://[2001:db8::1]"),
            (
                "https://xn--bcher-kva.example",
                "https://xn--bcher-kva.example",
            ),
            ("chrome-extension://abcdefgh", "chrome-extension://abcdefgh"),
            ("chrome-extension://ABCdefgh", "chrome-extension://ABCdefgh"),
            ("moz-extension://0a1b-2c3d", "moz-extension://0a1b-2c3d"),
            ("vscode-webview://1ab.c_d~e", "vscode-webview://1ab.c_d~e"),
            ("a+b.c-1://x", "a+b.c-1://x"),
        ] {
            let read = Origin::parse(text.as_bytes()).map(|origin| origin.to_string());
            assert_eq!(read.as_deref(), Ok(shown), "{text}");
        }
    }

    // REQ: C-1
    #[test]
    fn refuses_what_is_no_origin() {
        use AuthorityError::{
            Character, Empty, Ipv4, Label, NotAscii, PercentEncoding, Port, Userinfo, WhiteSpace,
        };
        use OriginError::{Authority, Malformed, NoScheme, Null, Path, TrailingDot};
        let long = format!("chrome-extension://{}", "a".repeat(254));
        for (text, why) in [
            ("null", Null),
            ("NULL", Null),
            ("", NoScheme),
            ("*", NoScheme),
            ("app.example.com", NoScheme),
            ("//app.example.com", NoScheme),
            ("https:app.example.com", NoScheme),
            ("https:/app.example.com", NoScheme),
            ("https://", Authority(Empty)),
            ("https://app.example.com/", Path),
            ("https:///app.example.com", Path),
            ("https://app.example.com/a", Path),
            ("https://app.example.com?a", Path),
            ("https://app.example.com#a", Path),
            ("https://app.example.com.", TrailingDot),
            ("https://app.example.com.:443", TrailingDot),
            ("https://a@app.example.com", Authority(Userinfo)),
            ("https://app.example.com@evil.test", Authority(Userinfo)),
            ("https://app.example.com:", Authority(Port)),
            ("https://app.example.com:0443", Authority(Port)),
            ("https://app.example.com:x", Authority(Port)),
            ("https://app.example.com:443:443", Authority(Port)),
            ("https://app.example.com, https://b.example", Path),
            ("https://app.example.com https://b.example", Path),
            ("https://app.example.com,b.example", Authority(Character)),
            ("https://app.example.com ", Authority(WhiteSpace)),
            (" https://app.example.com", Malformed),
            ("https ://app.example.com", Malformed),
            ("https://app.example.com\t", Authority(WhiteSpace)),
            ("https://app.example.com\\", Authority(Character)),
            ("https://app%2eexample.com", Authority(PercentEncoding)),
            ("https://bücher.example", Authority(NotAscii)),
            ("https://a..example.com", Authority(Label)),
            ("https://127.1", Authority(Ipv4)),
            ("://app.example.com", Malformed),
            ("ftp://app.example.com", Malformed),
            ("file://x", Malformed),
            ("file://", Malformed),
            ("ws://app.example.com", Malformed),
            ("wss://app.example.com", Malformed),
            ("blob:https://app.example.com", Malformed),
            ("Chrome-extension://abc", Malformed),
            ("cHrome-extension://abc", Malformed),
            ("1chrome://abc", Malformed),
            ("chrome_extension://abc", Malformed),
            ("chrome-extension://", Malformed),
            ("chrome-extension://abc/", Malformed),
            ("chrome-extension://abc:1", Malformed),
            ("chrome-extension://a@b", Malformed),
            ("chrome-extension://a*", Malformed),
            (&long, Malformed),
        ] {
            assert_eq!(Origin::parse(text.as_bytes()), Err(why), "{text}");
        }
        assert_eq!(Origin::parse(b"https://\xff"), Err(Malformed));
        assert!(Origin::parse(&long.as_bytes()[..long.len() - 1]).is_ok());
    }

    #[test]
    fn origins_are_their_parts() {
        let same = |a: &str, b: &str| {
            Origin::parse(a.as_bytes()).unwrap() == Origin::parse(b.as_bytes()).unwrap()
        };
        assert!(same("https://a.example", "HTTPS://A.EXAMPLE:443"));
        assert!(same("http://[::1]", "http://[0:0::1]:80"));
        for other in [
            "http://a.example",
            "https://a.example:444",
            "https://b.example",
        ] {
            assert!(!same("https://a.example", other), "{other}");
        }
        assert!(!same("chrome-extension://a", "chrome-extension://A"));
    }

    proptest! {
        #[test]
        fn the_shown_form_is_a_fixed_point(text in "(https?|HTTP|a-b)://[\\[\\]a-zA-Z0-9.:@-]{0,16}") {
            if let Ok(origin) = Origin::parse(text.as_bytes()) {
                let shown = origin.to_string();
                let again = Origin::parse(shown.as_bytes());
                prop_assert_eq!(again, Ok(origin));
                prop_assert_eq!(again.map(|again| again.to_string()), Ok(shown));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Origin::parse(&bytes);
            let _ = Origin::parse(&[b"https://", &bytes[..]].concat());
        }
    }
}

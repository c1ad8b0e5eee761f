//! Host allowlist: a request is only served under a name that the operator has listed.
//!
//! This is what stops DNS rebinding: a page of `evil.example` that has its name point at
//! 127.0.0.1 still sends `Host: evil.example`.
//!
//! ```
//! use axum::{Router, routing::post};
//! use palisade::GuardLayer;
//! use palisade::host::{HostGuard, HostSet};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hosts = HostSet::parse(["mcp.example.com", "192.0.2.7:8443"])?;
//! let router: Router = Router::new()
//!     .route("/mcp", post(|| async { "{}" }))
//!     .layer(GuardLayer::new(HostGuard::new(hosts)));
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use http::Version;
use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::uri::Scheme;

use crate::authority::{Authority, AuthorityError, HostEntry};
use crate::exchange::{Connection, Exchange};
use crate::guard::{Admit, Guard, Optional};
use crate::rejection::{Reason, Rejection};

/// Refuses requests whose host is not in a [`HostSet`].
///
/// | request | reason | status |
/// |---|---|---|
/// | no `Host` in HTTP/1 (RFC 9112 section 3.2), neither `Host` nor `:authority` in HTTP/2 | `host.missing` | 400 |
/// | two `Host` headers, even equal ones; `:authority` or an absolute-form target that names another host or port than `Host` | `host.ambiguous` | 400 |
/// | not a host, by [`crate::authority`] | `host.malformed` | 400 |
/// | not in the set | `host.not_allowed` | 403 |
///
/// Its mode concerns the last line only; the others protect whoever reads the host after us.
#[derive(Clone, Debug)]
pub struct HostGuard {
    allowed: Arc<HostSet>,
}

/// The `Host` of a connection that was allowed last, and by which set.
#[derive(Default)]
struct Allowed(Option<(Arc<HostSet>, HeaderValue)>);

impl HostGuard {
    /// Allows the hosts of `allowed`.
    #[must_use]
    pub fn new(allowed: HostSet) -> Self {
        Self {
            allowed: Arc::new(allowed),
        }
    }

    /// Whether `host`, where it decides alone, was allowed a moment ago on `connection`.
    fn remembers(&self, connection: &Connection, host: &HeaderValue) -> bool {
        connection.memo(|Allowed(last)| {
            last.as_ref()
                .is_some_and(|(set, last)| Arc::ptr_eq(set, &self.allowed) && last == host)
        })
    }
}

impl Guard for HostGuard {
    fn admit(&self, head: &mut Parts) -> Result<Admit, Rejection> {
        let exchange = head.extensions.get::<Exchange>();
        let (Some(exchange), Some(host)) = (exchange, alone(head)) else {
            return judge(head, &self.allowed).map(|()| Admit::pass());
        };
        let connection = exchange.connection();
        if !self.remembers(connection, host) {
            judge(head, &self.allowed)?;
            // A copy: the header's memory may be that of the whole request.
            let host = HeaderValue::from_bytes(host.as_bytes()).ok();
            let last = host.map(|host| (Arc::clone(&self.allowed), host));
            connection.memo(|allowed| *allowed = Allowed(last));
        }
        Ok(Admit::pass())
    }
}

/// The `Host` header of a request in which nothing else says which host it asks for.
fn alone(head: &Parts) -> Option<&HeaderValue> {
    let mut values = head.headers.get_all(HOST).iter();
    let host = values.next()?;
    (values.next().is_none() && head.uri.authority().is_none()).then_some(host)
}

impl Optional for HostGuard {
    fn admit_always(&self, head: &mut Parts) -> Result<(), Rejection> {
        authority(head).map(drop)
    }
}

/// The host that a request asks for: the only reading of it in Palisade.
///
/// `Host`, the HTTP/2 `:authority` and an absolute-form target are all looked at and must agree.
/// Does not allocate unless it refuses.
///
/// # Errors
/// `host.missing`, `host.ambiguous` or `host.malformed`, as [`HostGuard`] has it.
pub fn authority(head: &Parts) -> Result<Authority<'_>, Rejection> {
    let mut values = head.headers.get_all(HOST).iter();
    let header = match (values.next(), values.next()) {
        (Some(value), None) => Some(parse(value.as_bytes())?),
        (None, _) => None,
        (Some(_), Some(_)) => {
            return Err(ambiguous("more than one Host header"));
        }
    };
    let target = match head.uri.authority() {
        Some(target) => Some(parse(target.as_str().as_bytes())?),
        None => None,
    };
    match (header, target) {
        (Some(header), Some(target)) if !agree(header, target, head.uri.scheme()) => Err(
            ambiguous(format_args!("Host: {header} under the target {target}")),
        ),
        (Some(header), _) => Ok(header),
        // HTTP/1 demands the header even beside an absolute-form target.
        (None, Some(target)) if head.version >= Version::HTTP_2 => Ok(target),
        (None, _) => Err(Rejection::new(Reason::HostMissing)),
    }
}

/// The hosts that requests may name. Entries are parsed once; matching does not allocate.
#[derive(Clone, Debug, Default)]
pub struct HostSet {
    entries: Vec<(HostEntry, Option<u16>)>,
}

impl HostSet {
    /// A set that allows nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// `localhost`, `127.0.0.1` and `[::1]`, on any port: what a loopback listener allows.
    #[must_use]
    pub fn loopback() -> Self {
        let entries = [
            HostEntry::Name("localhost".into()),
            HostEntry::Ipv4(Ipv4Addr::LOCALHOST),
            HostEntry::Ipv6(Ipv6Addr::LOCALHOST),
        ];
        Self {
            entries: entries.map(|entry| (entry, None)).into(),
        }
    }

    /// The set of `entries`.
    ///
    /// # Errors
    /// The first entry that is not a host.
    pub fn parse<T: AsRef<str>>(
        entries: impl IntoIterator<Item = T>,
    ) -> Result<Self, HostEntryError> {
        let mut set = Self::new();
        for entry in entries {
            set.insert(entry.as_ref())?;
        }
        Ok(set)
    }

    /// Adds `name`, `name:port`, an IPv4 address or an IPv6 address (brackets may be left out
    /// where no port follows). An entry without a port allows every port.
    ///
    /// # Errors
    /// What is wrong with the entry, and what to write instead.
    pub fn insert(&mut self, entry: &str) -> Result<(), HostEntryError> {
        let bare_ipv6 = entry
            .parse()
            .map(|address| (HostEntry::Ipv6(address), None));
        let parsed = bare_ipv6.or_else(|_| {
            Authority::parse(entry.as_bytes()).map(|read| (HostEntry::new(read.host), read.port))
        });
        let parsed = parsed.map_err(|cause| HostEntryError {
            entry: entry.into(),
            cause,
        })?;
        if !self.entries.contains(&parsed) {
            self.entries.push(parsed);
        }
        Ok(())
    }

    /// Adds every entry of `other`.
    pub fn extend(&mut self, other: &Self) {
        for entry in &other.entries {
            if !self.entries.contains(entry) {
                self.entries.push(entry.clone());
            }
        }
    }

    /// Whether no host is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether `authority` is in the set.
    #[must_use]
    pub fn allows(&self, authority: Authority<'_>) -> bool {
        self.entries.iter().any(|(host, port)| {
            host.as_host() == authority.host && (port.is_none() || *port == authority.port)
        })
    }

    /// Every entry, with its port where it names one.
    pub fn iter(&self) -> impl Iterator<Item = Authority<'_>> {
        self.entries.iter().map(|(host, port)| Authority {
            host: host.as_host(),
            port: *port,
        })
    }
}

/// An entry of `hosts` that is not a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostEntryError {
    entry: String,
    cause: AuthorityError,
}

impl HostEntryError {
    /// What is wrong.
    #[must_use]
    pub const fn cause(&self) -> AuthorityError {
        self.cause
    }

    /// What to write instead.
    #[must_use]
    pub fn remedy(&self) -> String {
        let entry = &self.entry;
        if entry.contains('*') {
            return "name each host in full; `hosts` takes no wildcard".into();
        }
        if let Some((_, rest)) = entry.split_once("://") {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            return format!("write the host alone: \"{host}\"");
        }
        match self.cause {
            AuthorityError::NotAscii => "write the name as DNS has it, with xn--…".into(),
            AuthorityError::Port => "write name, name:port or [IPv6]:port".into(),
            AuthorityError::Ipv4 => "write the address as four decimal numbers".into(),
            _ => "write a host name or an IP address, such as \"mcp.example.com\"".into(),
        }
    }
}

impl fmt::Display for HostEntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entry, cause) = (&self.entry, self.cause);
        write!(f, "{entry:?} is not a host: {cause}; {}", self.remedy())
    }
}

impl std::error::Error for HostEntryError {}

fn judge(head: &Parts, allowed: &HostSet) -> Result<(), Rejection> {
    let asked = authority(head)?;
    if allowed.allows(asked) {
        return Ok(());
    }
    // Where the name is listed under another port only, the port is what to add.
    let listed = allowed.iter().any(|entry| entry.host == asked.host);
    let port = asked.port.filter(|_| listed);
    let missing = Authority {
        host: asked.host,
        port,
    };
    Err(Rejection::new(Reason::HostNotAllowed)
        .with_detail(asked)
        .with_remedy(format_args!("add \"{missing}\" to hosts")))
}

fn parse(text: &[u8]) -> Result<Authority<'_>, Rejection> {
    Authority::parse(text).map_err(|cause| {
        Rejection::new(Reason::HostMalformed)
            .with_detail(format_args!("{cause}: \"{}\"", text.escape_ascii()))
    })
}

fn agree(header: Authority<'_>, target: Authority<'_>, scheme: Option<&Scheme>) -> bool {
    let default = match scheme.map(Scheme::as_str) {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    };
    header.host == target.host && header.port.or(default) == target.port.or(default)
}

/// A sender that names two hosts may be two senders: nothing more is read from it.
fn ambiguous(detail: impl fmt::Display) -> Rejection {
    Rejection::new(Reason::HostAmbiguous)
        .with_detail(detail)
        .closing()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Mode;
    use http::Request;
    use proptest::prelude::*;

    /// A request head with these `Host` headers.
    fn head(version: Version, target: &str, hosts: &[&[u8]]) -> Parts {
        let request = Request::builder().version(version).uri(target);
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        for host in hosts {
            head.headers
                .append(HOST, HeaderValue::from_bytes(host).unwrap());
        }
        head
    }

    fn reason(result: Result<(), Rejection>) -> Option<Reason> {
        result.err().map(|rejection| rejection.reason())
    }

    // REQ: H-1, H-2
    #[test]
    fn one_header_decides_in_http1() {
        use Reason::{HostMalformed as Malformed, HostNotAllowed as NotAllowed};
        let allowed = HostSet::parse([
            "mcp.example.com",
            "ported.example.com:8443",
            "192.0.2.7",
            "2001:db8::7",
            "[2001:db8::8]:8443",
            "xn--bcher-kva.example",
        ])
        .unwrap();
        for (host, expected) in [
            ("mcp.example.com", None),
            ("MCP.EXAMPLE.COM", None),
            ("mcp.example.com.", None),
            ("mcp.example.com:443", None),
            ("mcp.example.com:1", None),
            ("mcp.example.com.:8443", None),
            ("ported.example.com:8443", None),
            ("ported.example.com", Some(NotAllowed)),
            ("ported.example.com:443", Some(NotAllowed)),
            ("ported.example.com:84430", Some(Malformed)),
            ("192.0.2.7", None),
            ("192.0.2.7:9", None),
            ("192.0.2.70", Some(NotAllowed)),
            ("192.0.2.007", Some(Malformed)),
            ("[2001:db8::7]", None),
            ("[2001:DB8:0:0::7]:1", None),
            ("2001:db8::7", Some(Malformed)),
            ("[2001:db8::8]:8443", None),
            ("[2001:db8::8]", Some(NotAllowed)),
            ("[::ffff:192.0.2.7]", Some(NotAllowed)),
            ("xn--bcher-kva.example", None),
            ("XN--Bcher-KVA.example", None),
            ("b\u{fc}cher.example", Some(Malformed)),
            ("evil.example", Some(NotAllowed)),
            ("mcp.example.com.evil.example", Some(NotAllowed)),
            ("evilmcp.example.com", Some(NotAllowed)),
            ("a.mcp.example.com", Some(NotAllowed)),
            ("example.com", Some(NotAllowed)),
            ("mcp.example.co", Some(NotAllowed)),
            ("mcp-example.com", Some(NotAllowed)),
            ("localhost", Some(NotAllowed)),
            ("127.0.0.1", Some(NotAllowed)),
            ("[::1]", Some(NotAllowed)),
            ("", Some(Malformed)),
            (" mcp.example.com", Some(Malformed)),
            ("mcp.example.com ", Some(Malformed)),
            ("mcp.example.com\t", Some(Malformed)),
            ("mcp.example.com:", Some(Malformed)),
            ("mcp.example.com:x", Some(Malformed)),
            ("mcp.example.com..", Some(Malformed)),
            ("evil@mcp.example.com", Some(Malformed)),
            ("mcp.example.com@evil.example", Some(Malformed)),
            ("mcp.example.com,evil.example", Some(Malformed)),
            ("mcp.example.com/", Some(Malformed)),
            ("mcp.example.com%00", Some(Malformed)),
            ("https://mcp.example.com", Some(Malformed)),
        ] {
            let head = head(Version::HTTP_11, "/mcp", &[host.as_bytes()]);
            assert_eq!(reason(judge(&head, &allowed)), expected, "{host}");
        }
    }

    // REQ: H-1
    #[test]
    fn what_was_allowed_a_moment_ago_allows_nothing_else() {
        let guard = |name| HostGuard::new(HostSet::parse([name]).unwrap());
        let (a, b) = (guard("a.example"), guard("b.example"));
        let connection = Connection::new("127.0.0.1:1".parse().unwrap(), true);
        let admitted = |guard: &HostGuard, target: &str, hosts: &[&[u8]]| {
            let mut head = head(Version::HTTP_11, target, hosts);
            head.extensions.insert(Exchange::begin(connection.clone()));
            guard.admit(&mut head).is_ok()
        };
        for _ in 0..3 {
            assert!(admitted(&a, "/", &[b"a.example"]));
            assert!(admitted(&a, "/", &[b"A.example:1"]));
            assert!(admitted(&a, "http://a.example/", &[b"a.example"]));
            assert!(!admitted(&a, "/", &[b"b.example"]));
            assert!(!admitted(&a, "/", &[b"a.example", b"a.example"]));
            assert!(!admitted(&a, "http://b.example/", &[b"a.example"]));
            assert!(!admitted(&a, "/", &[]));
            assert!(!admitted(&b, "/", &[b"a.example"]));
            assert!(admitted(&b, "/", &[b"b.example"]));
        }
    }

    // REQ: H-1, H-2
    #[test]
    fn header_and_target_must_name_one_host() {
        use Reason::{
            HostAmbiguous as Ambiguous, HostMalformed as Malformed, HostMissing as Missing,
            HostNotAllowed as NotAllowed,
        };
        let allowed = HostSet::parse(["a.example", "b.example"]).unwrap();
        let (h10, h11, h2) = (Version::HTTP_10, Version::HTTP_11, Version::HTTP_2);
        let cases: &[(Version, &str, &[&str], Option<Reason>)] = &[
            (h11, "/", &[], Some(Missing)),
            (h10, "/", &[], Some(Missing)),
            (h2, "/", &[], Some(Missing)),
            (h11, "*", &["a.example"], None),
            (h11, "/", &["a.example", "a.example"], Some(Ambiguous)),
            (h11, "/", &["a.example", "b.example"], Some(Ambiguous)),
            (h11, "/", &["a.example", ""], Some(Ambiguous)),
            (h2, "/", &["a.example", "a.example"], Some(Ambiguous)),
            // Absolute-form targets.
            (h11, "http://a.example/", &[], Some(Missing)),
            (h10, "http://a.example/", &[], Some(Missing)),
            (h11, "http://a.example/", &["a.example"], None),
            (h11, "http://a.example/", &["b.example"], Some(Ambiguous)),
            (h11, "http://evil.example/", &["a.example"], Some(Ambiguous)),
            (h11, "http://a.example/", &["evil.example"], Some(Ambiguous)),
            (
                h11,
                "http://evil.example/",
                &["evil.example"],
                Some(NotAllowed),
            ),
            (h11, "http://u@a.example/", &["a.example"], Some(Malformed)),
            (h11, "http://a.example:80/", &["a.example"], None),
            (h11, "http://a.example/", &["a.example:80"], None),
            (
                h11,
                "http://a.example:443/",
                &["a.example"],
                Some(Ambiguous),
            ),
            (h11, "https://a.example:443/", &["a.example"], None),
            (h11, "https://a.example/", &["a.example:443"], None),
            (
                h11,
                "https://a.example/",
                &["a.example:80"],
                Some(Ambiguous),
            ),
            (
                h11,
                "http://a.example:81/",
                &["a.example:82"],
                Some(Ambiguous),
            ),
            (h11, "foo://a.example:80/", &["a.example"], Some(Ambiguous)),
            (h11, "a.example:443", &["a.example:443"], None),
            (h11, "a.example:443", &["a.example"], Some(Ambiguous)),
            // `:authority`
            (h2, "https://a.example/", &[], None),
            (h2, "https://A.example.:8443/", &[], None),
            (h2, "https://evil.example/", &[], Some(NotAllowed)),
            (h2, "https://a.example/", &["A.Example."], None),
            (h2, "https://a.example/", &["a.example:443"], None),
            (h2, "https://a.example/", &["b.example"], Some(Ambiguous)),
            (
                h2,
                "https://a.example/",
                &["a.example", "a.example"],
                Some(Ambiguous),
            ),
            (h2, "https://evil@a.example/", &[], Some(Malformed)),
            (h2, "https://a..example/", &[], Some(Malformed)),
            (h2, "/", &["a.example"], None),
            (Version::HTTP_3, "https://a.example/", &[], None),
        ];
        for (version, target, hosts, expected) in cases {
            let hosts: Vec<_> = hosts.iter().map(|host| host.as_bytes()).collect();
            let head = head(*version, target, &hosts);
            assert_eq!(
                reason(judge(&head, &allowed)),
                *expected,
                "{version:?} {target} {hosts:?}"
            );
        }
    }

    // REQ: H-0, H-2
    #[test]
    fn a_refusal_names_the_line_that_would_allow_it() {
        let allowed = HostSet::parse(["ported.example:8443"]).unwrap();
        for (host, remedy) in [
            ("MCP.Example.com.:8443", "add \"mcp.example.com\" to hosts"),
            ("[2001:DB8::1]:8443", "add \"[2001:db8::1]\" to hosts"),
            (
                "ported.example:9443",
                "add \"ported.example:9443\" to hosts",
            ),
            ("ported.example", "add \"ported.example\" to hosts"),
        ] {
            let head = head(Version::HTTP_11, "/", &[host.as_bytes()]);
            let rejection = judge(&head, &allowed).unwrap_err();
            assert_eq!(rejection.remedy(), remedy);
            assert_eq!(rejection.status(), 403);
            // The line does what it says.
            let mut widened = allowed.clone();
            let line = remedy.split('"').nth(1).unwrap();
            widened.insert(line).unwrap();
            assert!(judge(&head, &widened).is_ok(), "{host}");
        }
    }

    #[test]
    fn a_refusal_tells_what_was_found() {
        for (hosts, detail) in [
            (&[&b"a\xff\xffb"[..]][..], "a byte beyond ASCII"),
            (&[b"a\xff\xffb"], "\\xff\\xff"),
            (&[b"a:b:c"], "a port that is not"),
            (&[b"a", b"b"], "more than one Host"),
        ] {
            let head = head(Version::HTTP_11, "/", hosts);
            let rejection = authority(&head).unwrap_err();
            assert!(rejection.detail().contains(detail), "{rejection}");
        }
        let head = head(Version::HTTP_11, "http://a/", &[b"b"]);
        let rejection = authority(&head).unwrap_err();
        assert_eq!(rejection.detail(), "Host: b under the target a");
        let answer = rejection.into_response(&head);
        assert_eq!(answer.headers()["connection"], "close");
    }

    // REQ: G-7
    #[test]
    fn the_mode_concerns_only_what_is_not_listed() {
        let cases: [(&[&[u8]], _); 4] = [
            (&[b"evil.example"], None),
            (&[], Some(Reason::HostMissing)),
            (&[b"a", b"a"], Some(Reason::HostAmbiguous)),
            (&[b"a b"], Some(Reason::HostMalformed)),
        ];
        for (hosts, refused) in cases {
            for mode in [Mode::Report, Mode::Off] {
                let guard = HostGuard::new(HostSet::loopback()).with_mode(mode);
                let mut head = head(Version::HTTP_11, "/", hosts);
                let result = guard.admit(&mut head).map(drop);
                assert_eq!(reason(result), refused, "{mode:?}");
                let reported = &Exchange::of(&mut head).facts().reported.clone();
                let expected = refused.is_none() && mode == Mode::Report;
                let expected: &[_] = if expected {
                    &[Reason::HostNotAllowed]
                } else {
                    &[]
                };
                assert_eq!(reported, expected, "{mode:?}");
            }
        }
        let enforced = HostGuard::new(HostSet::loopback()).with_mode(Mode::Enforce);
        let mut evil = head(Version::HTTP_11, "/", &[b"evil.example"]);
        assert!(enforced.admit(&mut evil).is_err());
        let mut good = head(Version::HTTP_11, "/", &[b"localhost:8080"]);
        assert!(enforced.admit(&mut good).is_ok());
    }

    // REQ: H-1
    #[test]
    fn loopback_is_three_names() {
        let set = HostSet::loopback();
        for (host, allowed) in [
            ("localhost", true),
            ("LocalHost.:8080", true),
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("[0:0::1]", true),
            ("127.0.0.2", false),
            ("0.0.0.0", false),
            ("[::]", false),
            ("[::ffff:127.0.0.1]", false),
            ("a.localhost", false),
            ("localhost.evil.example", false),
            ("localhost.localdomain", false),
            ("127.0.0.1.evil.example", false),
            ("127.0.0.1.nip.io", false),
        ] {
            let authority = Authority::parse(host.as_bytes()).unwrap();
            assert_eq!(set.allows(authority), allowed, "{host}");
        }
        assert!(!set.is_empty() && HostSet::new().is_empty());
    }

    #[test]
    fn sets_join_without_doubles() {
        let mut set = HostSet::parse(["a.example", "A.Example.", "b.example:1"]).unwrap();
        set.extend(&HostSet::parse(["a.example", "c.example"]).unwrap());
        let shown: Vec<_> = set.iter().map(|entry| entry.to_string()).collect();
        assert_eq!(shown, ["a.example", "b.example:1", "c.example"]);
    }

    #[test]
    fn a_wrong_entry_tells_what_to_write() {
        for (entry, cause, remedy) in [
            ("*", AuthorityError::Character, "no wildcard"),
            ("*.example.com", AuthorityError::Character, "no wildcard"),
            (
                "https://mcp.example.com/mcp",
                AuthorityError::Port,
                "write the host alone: \"mcp.example.com\"",
            ),
            ("b\u{fc}cher.example", AuthorityError::NotAscii, "xn--"),
            ("a:b", AuthorityError::Port, "name:port"),
            ("10.0.0", AuthorityError::Ipv4, "four decimal numbers"),
            ("", AuthorityError::Empty, "mcp.example.com"),
            ("a/b", AuthorityError::Character, "mcp.example.com"),
        ] {
            let error = HostSet::parse(["fine.example", entry]).unwrap_err();
            assert_eq!(error.cause(), cause, "{entry}");
            assert!(error.remedy().contains(remedy), "{entry}: {error}");
            let shown = error.to_string();
            assert!(shown.contains(entry.trim_matches('"')) && shown.contains(cause.as_str()));
            assert!(shown.ends_with(&error.remedy()));
        }
    }

    proptest! {
        /// Whatever bytes are sent, only a member's own spellings pass.
        #[test]
        fn nothing_but_a_member_passes(host in prop_oneof![
            "[aA]\\.[eE](\\.|:|@|,|[a-z]|:[0-9]{1,6}){0,3}".prop_map(String::into_bytes),
            proptest::collection::vec(0x20_u8..0xff, 0..40),
        ]) {
            let allowed = HostSet::parse(["a.e"]).unwrap();
            let Ok(value) = HeaderValue::from_bytes(&host) else { return Ok(()) };
            let mut head = head(Version::HTTP_11, "/", &[]);
            head.headers.insert(HOST, value);
            if judge(&head, &allowed).is_ok() {
                let text = String::from_utf8(host).unwrap().to_ascii_lowercase();
                let name = text.split(':').next().unwrap();
                prop_assert!(name == "a.e" || name == "a.e.", "{}", text);
            }
        }
    }
}

//! What a list of origins is compiled to.

use regex::Regex;

use super::entry::{self, Entry, OriginEntryError};
use super::{Kind, Origin, WebScheme};
use crate::authority::{Host, HostEntry};
use crate::host::HostSet;

/// Origins that are allowed. Entries are compiled once; matching does not allocate.
///
/// An entry is one of
/// * an exact origin, `https://app.example.com` or `http://10.0.0.5:3000`;
/// * an extension or webview origin, `vscode-webview://…`, compared as written;
/// * a pattern, `https://*.app.example.com`: each leading `*` is exactly one label of
///   `[a-z0-9-]`, at least two labels stand to its right, and the scheme is `https`;
/// * this machine on any port, `http://localhost:*`, `127.0.0.1` and `[::1]` likewise.
///
/// `*` and `null` are refused.
#[derive(Clone, Debug, Default)]
pub struct OriginSet {
    exact: Vec<Exact>,
    written: Vec<Box<str>>,
    patterns: Vec<Pattern>,
    regexes: Vec<Regex>,
}

/// A web origin; without a port, any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Exact {
    pub(super) scheme: WebScheme,
    pub(super) host: HostEntry,
    pub(super) port: Option<u16>,
}

/// `https://` and so many labels before `suffix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pub(super) labels: usize,
    /// Begins with a dot, lower case.
    pub(super) suffix: Box<str>,
    pub(super) port: u16,
}

impl OriginSet {
    /// A set that allows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The set of `entries`.
    ///
    /// # Errors
    /// The first entry that is refused.
    pub fn parse<T: AsRef<str>>(
        entries: impl IntoIterator<Item = T>,
    ) -> Result<Self, OriginEntryError> {
        let mut set = Self::new();
        for entry in entries {
            set.insert(entry.as_ref())?;
        }
        Ok(set)
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// What is wrong with the entry, and what to write instead.
    pub fn insert(&mut self, entry: &str) -> Result<(), OriginEntryError> {
        match entry::parse(entry)? {
            Entry::Exact(exact) => push_new(&mut self.exact, exact),
            Entry::Pattern(pattern) => push_new(&mut self.patterns, pattern),
            Entry::Written(text) => push_new(&mut self.written, text),
        }
        Ok(())
    }

    /// Adds a regular expression over the whole origin.
    ///
    /// It is anchored at both ends by construction (`^` and `$` may be written, and change
    /// nothing), compiled under a size limit, and only ever asked about a well-formed `https`
    /// origin, or an `http` one of this machine.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub fn insert_regex(&mut self, pattern: &str) -> Result<(), OriginEntryError> {
        self.regexes.push(entry::parse_regex(pattern)?);
        Ok(())
    }

    /// Adds this machine, `http` and `https`, on any port: for development.
    pub fn insert_loopback(&mut self) {
        for scheme in [WebScheme::Http, WebScheme::Https] {
            for host in HostSet::loopback().iter() {
                let host = HostEntry::new(host.host);
                let port = None;
                push_new(&mut self.exact, Exact { scheme, host, port });
            }
        }
    }

    /// Adds the origins of pages that Palisade itself serves: every host of `hosts`, at the port
    /// that its entry names, else at `port`.
    pub fn insert_hosts(&mut self, scheme: WebScheme, hosts: &HostSet, port: u16) {
        for authority in hosts.iter() {
            let host = HostEntry::new(authority.host);
            let port = Some(authority.port.unwrap_or(port));
            push_new(&mut self.exact, Exact { scheme, host, port });
        }
    }

    /// Adds every entry of `other`.
    pub fn extend(&mut self, other: &Self) {
        for exact in &other.exact {
            push_new(&mut self.exact, exact.clone());
        }
        for text in &other.written {
            push_new(&mut self.written, text.clone());
        }
        for pattern in &other.patterns {
            push_new(&mut self.patterns, pattern.clone());
        }
        self.regexes.extend_from_slice(&other.regexes);
    }

    /// Whether nothing is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty()
            && self.written.is_empty()
            && self.patterns.is_empty()
            && self.regexes.is_empty()
    }

    /// Whether `origin` is in the set.
    #[must_use]
    pub fn allows(&self, origin: &Origin<'_>) -> bool {
        match origin.kind {
            Kind::Written(text) => self.written.iter().any(|member| **member == *text),
            Kind::Web { scheme, host, port } => {
                self.exact.iter().any(|exact| {
                    exact.scheme == scheme
                        && exact.host.as_host() == host
                        && exact.port.is_none_or(|member| member == port)
                }) || self
                    .patterns
                    .iter()
                    .any(|pattern| scheme == WebScheme::Https && pattern.matches(host, port))
                    || (scheme == WebScheme::Https || host.is_loopback())
                        && self
                            .regexes
                            .iter()
                            .any(|regex| regex.is_match(origin.written))
            }
        }
    }
}

impl Pattern {
    fn matches(&self, host: Host<'_>, port: u16) -> bool {
        let Host::Name(name) = host else {
            return false;
        };
        let name = name.as_written();
        let Some(at) = name.len().checked_sub(self.suffix.len()) else {
            return false;
        };
        // A host name is ASCII, so `at` is a character's boundary.
        let (head, tail) = name.split_at(at);
        let label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        port == self.port
            && tail.eq_ignore_ascii_case(&self.suffix)
            && head.split('.').count() == self.labels
            && head.split('.').all(label)
    }
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allows(set: &OriginSet, origin: &str) -> bool {
        Origin::parse(origin.as_bytes()).is_ok_and(|origin| set.allows(&origin))
    }

    #[track_caller]
    fn check(set: &OriginSet, cases: &[(&str, bool)]) {
        for (origin, allowed) in cases {
            assert_eq!(allows(set, origin), *allowed, "{origin}");
        }
    }

    // REQ: C-1
    #[test]
    fn exact_origins() {
        let set = OriginSet::parse([
            "https://app.example.com",
            "HTTPS://Upper.Example.com:443",
            "http://10.0.0.5:3000",
            "https://[2001:db8::5]",
            "https://xn--bcher-kva.example",
            "chrome-extension://abcdefghijklmnop",
            "moz-extension://0A1b",
            "vscode-webview://1webview",
        ])
        .unwrap();
        check(
            &set,
            &[
                ("https://app.example.com", true),
                ("https://app.example.com:443", true),
                ("HTTPS://APP.example.com", true),
                ("https://upper.example.com", true),
                ("http://app.example.com", false),
                ("http://app.example.com:443", false),
                ("https://app.example.com:8443", false),
                ("https://app.example.com:80", false),
                ("https://app.example.com.", false),
                ("https://app.example.com/", false),
                ("https://app.example.com.evil.test", false),
                ("https://evilapp.example.com", false),
                ("https://evil.test/https://app.example.com", false),
                ("https://app.example.com@evil.test", false),
                ("https://app.example.comx", false),
                ("https://app-example.com", false),
                ("https://appxexample.com", false),
                ("https://example.com", false),
                ("https://a.app.example.com", false),
                ("https://app.example.co", false),
                ("https://app", false),
                ("null", false),
                ("http://10.0.0.5:3000", true),
                ("http://10.0.0.5", false),
                ("https://10.0.0.5:3000", false),
                ("http://10.0.0.50:3000", false),
                ("https://[2001:DB8:0::5]", true),
                ("https://[2001:db8::50]", false),
                ("https://XN--bcher-kva.example", true),
                ("https://bücher.example", false),
                ("https://xn--bcher-kva.example.evil.test", false),
                ("chrome-extension://abcdefghijklmnop", true),
                ("chrome-extension://ABCDEFGHIJKLMNOP", false),
                ("chrome-extension://abcdefghijklmno", false),
                ("chrome-extension://abcdefghijklmnopq", false),
                ("moz-extension://abcdefghijklmnop", false),
                ("moz-extension://0A1b", true),
                ("moz-extension://0a1b", false),
                ("vscode-webview://1webview", true),
                ("vscode-webview://1webview/", false),
                ("http://localhost:3000", false),
            ],
        );
        check(&OriginSet::new(), &[("https://app.example.com", false)]);
    }

    // REQ: C-2
    #[test]
    fn a_star_is_one_label() {
        let set = OriginSet::parse([
            "https://*.app.example.com",
            "https://*.Ported.example.com:8443",
            "https://*.*.deep.example",
        ])
        .unwrap();
        check(
            &set,
            &[
                ("https://a.app.example.com", true),
                ("https://tenant-7.app.example.com", true),
                ("https://A.APP.example.com", true),
                ("https://xn--bcher-kva.app.example.com", true),
                ("https://a.app.example.com:443", true),
                ("https://app.example.com", false),
                ("https://a.b.app.example.com", false),
                ("https://a_b.app.example.com", false),
                ("https://.app.example.com", false),
                ("https://evilapp.example.com", false),
                ("https://evil-app.example.com", false),
                ("https://a.app.example.com.evil.test", false),
                ("https://a.app.example.com:8443", false),
                ("http://a.app.example.com", false),
                ("http://a.app.example.com:443", false),
                ("https://evil.test#.app.example.com", false),
                ("https://evil.test/.app.example.com", false),
                ("https://evil.test\\.app.example.com", false),
                ("https://evil.test%2f.app.example.com", false),
                ("https://a.app.example.com.", false),
                ("https://*.app.example.com", false),
                ("https://com", false),
                ("https://1.2.3.4", false),
                ("https://a.ported.example.com:8443", true),
                ("https://a.ported.example.com", false),
                ("https://a.b.deep.example", true),
                ("https://a.deep.example", false),
                ("https://a.b.c.deep.example", false),
                ("https://a.b_.deep.example", false),
            ],
        );
    }

    // REQ: C-2
    #[test]
    fn a_regex_is_anchored_and_asks_for_https() {
        let mut set = OriginSet::new();
        for regex in [
            r"https://[\w-]+\.app\.example\.com",
            r"^https:\/\/copied\.example\.com$",
            r"https://one\.example|https://two\.example|http://three\.example",
            r"https?://localhost(:\d+)?",
            r"https://[a-z]+\.ports\.example:[0-9]{4}",
        ] {
            set.insert_regex(regex).unwrap();
        }
        assert!(!set.is_empty());
        check(
            &set,
            &[
                ("https://a.app.example.com", true),
                ("https://a_b.app.example.com", true),
                ("https://a.b.app.example.com", false),
                ("https://a.app.example.com.evil.test", false),
                ("https://evil.test/https://a.app.example.com", false),
                ("http://a.app.example.com", false),
                ("https://aXapp.example.com", false),
                ("https://copied.example.com", true),
                ("https://copied.example.com.evil.test", false),
                ("https://one.example", true),
                ("https://two.example", true),
                ("https://one.example.evil.test", false),
                ("https://evil-two.example", false),
                // An alternative cannot smuggle plain HTTP in.
                ("http://three.example", false),
                ("http://localhost:3000", true),
                ("https://localhost", true),
                ("http://localhost.evil.test", false),
                ("https://a.ports.example:8443", true),
                ("https://a.ports.example", false),
                ("chrome-extension://a", false),
            ],
        );
    }

    // REQ: C-6
    #[test]
    fn this_machine_on_any_port() {
        let mut set = OriginSet::new();
        set.insert_loopback();
        set.insert_loopback();
        assert_eq!(set.exact.len(), 6);
        check(
            &set,
            &[
                ("http://localhost", true),
                ("http://localhost:3000", true),
                ("https://localhost:5173", true),
                ("http://127.0.0.1:3000", true),
                ("https://127.0.0.1", true),
                ("http://[::1]:3000", true),
                ("https://[::1]", true),
                ("http://127.0.0.2", false),
                ("http://a.localhost", false),
                ("http://localhost.evil.test", false),
                ("http://127.0.0.1.evil.test", false),
                ("http://0.0.0.0:3000", false),
                ("http://[::ffff:127.0.0.1]", false),
            ],
        );
        let set = OriginSet::parse(["http://localhost:*", "https://127.0.0.1:*"]).unwrap();
        check(
            &set,
            &[
                ("http://localhost:3000", true),
                ("http://localhost", true),
                ("https://localhost:3000", false),
                ("https://127.0.0.1:3000", true),
                ("http://127.0.0.1:3000", false),
                ("http://[::1]:3000", false),
            ],
        );
    }

    // REQ: H-3
    #[test]
    fn own_hosts_are_origins() {
        let hosts = HostSet::parse(["mcp.example.com", "ported.example.com:9443"]).unwrap();
        let mut set = OriginSet::new();
        set.insert_hosts(WebScheme::Https, &hosts, 8443);
        check(
            &set,
            &[
                ("https://mcp.example.com:8443", true),
                ("https://mcp.example.com", false),
                ("http://mcp.example.com:8443", false),
                ("https://ported.example.com:9443", true),
                ("https://ported.example.com:8443", false),
                ("https://evil.example.com:8443", false),
            ],
        );
    }

    #[test]
    fn sets_join_without_doubles() {
        let mut other = OriginSet::parse([
            "https://a.example",
            "vscode-webview://a",
            "https://*.a.example",
        ])
        .unwrap();
        let mut set = OriginSet::new();
        set.extend(&other);
        set.extend(&other);
        let sizes = |set: &OriginSet| (set.exact.len(), set.written.len(), set.patterns.len());
        assert_eq!(sizes(&set), (1, 1, 1));
        other.insert_regex(r"https://[a-z]+\.b\.example").unwrap();
        set.extend(&other);
        check(
            &set,
            &[
                ("https://a.example", true),
                ("vscode-webview://a", true),
                ("https://x.a.example", true),
                ("https://x.b.example", true),
            ],
        );
        for only in [
            "https://a.example",
            "vscode-webview://a",
            "https://*.a.example",
        ] {
            assert!(!OriginSet::parse([only]).unwrap().is_empty(), "{only}");
        }
        assert!(OriginSet::new().is_empty());
    }

    proptest! {
        /// Whatever is sent, what passes has a member's own scheme, host and port.
        #[test]
        fn nothing_but_a_member_passes(origin in prop_oneof![
            "(https?|HTTPS)://([a-b*.:@/\\\\%-]|app|\\.|example|com|evil|:443){0,9}",
            "https://[a-z.-]{0,4}\\.app\\.example\\.com(:443|\\.|/|:80|@[a-z]|\\.evil)?",
            "\\PC{0,40}",
        ]) {
            let set = OriginSet::parse(["https://app.example.com", "https://*.app.example.com"]);
            let set = set.unwrap();
            if allows(&set, &origin) {
                let origin = origin.to_ascii_lowercase();
                let rest = origin.strip_prefix("https://").unwrap();
                let name = rest.strip_suffix(":443").unwrap_or(rest);
                let label = name.strip_suffix("app.example.com").unwrap();
                let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
                let tenant = label.strip_suffix('.').is_some_and(|label| {
                    !label.is_empty() && label.bytes().all(plain)
                });
                prop_assert!(label.is_empty() || tenant, "{}", origin);
            }
        }
    }
}

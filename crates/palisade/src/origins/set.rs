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

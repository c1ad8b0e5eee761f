//! URLs in the arguments of calls, checked before the call goes on.
//!
//! A server that Palisade did not start cannot be held to a proxy; what it is asked to fetch can be
//! looked at. This is advice: a server that looks the name up again, or follows a redirect, may
//! still go elsewhere. Found are, at any depth:
//!
//! - strings that are a URL as a whole: a scheme with `//`, `http:` or `https:` in any spelling, or
//!   `//host`;
//! - strings that could be a host without a scheme, under a key that names a destination (`url`,
//!   `callback_url`, `endpoint`, `host`, …), or that the tool's schema says is one (`format: uri`,
//!   `hostname` and the like, as the server's last `tools/list` had it).
//!
//! URLs inside longer text are not looked at.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use crate::exchange::{Exchange, Text};
use crate::guard::Mode;
use crate::mcp::shown::Shown;
use crate::rejection::{Reason, Rejection};

/// A future on the heap that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Most URLs of one call.
pub const MAX_URLS: usize = 64;

/// Most different names of one call that are looked up.
pub const MAX_NAMES: usize = 8;

/// Says which URLs may be named.
pub trait UrlPolicy: Send + Sync + fmt::Debug {
    /// Judges a URL by itself, without a lookup.
    fn judge(&self, url: &str) -> Judgement;

    /// Looks up the names in these URLs, [`MAX_NAMES`] at most, and judges their addresses. It
    /// bounds the time for all of them.
    ///
    /// The error is the rule, in words that name no address: the caller may read it.
    fn look_up<'a>(&'a self, found: &'a [Found]) -> BoxFuture<'a, Result<(), String>>;
}

/// A URL in the arguments of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The URL; for a host alone, one that begins with `http://`.
    pub url: String,
    /// It may be a host without a scheme, and may be something else, such as the name of a file:
    /// where no such host exists, there is nothing to be refused.
    pub bare: bool,
}

/// What is said of a URL without a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It holds an address, and may be named.
    Allowed,
    /// It holds this name, which has to be looked up.
    Name(String),
    /// It may not be named; the rule, in words that name no address.
    Refused(String),
}

/// What happens to calls with URLs that may not be named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlModes {
    /// Where the tool says nothing.
    pub server: Mode,
    /// By tool name.
    pub tools: BTreeMap<String, Mode>,
}

impl UrlModes {
    fn of(&self, tool: Option<&str>) -> Mode {
        let of_tool = tool.and_then(|tool| self.tools.get(tool));
        of_tool.copied().unwrap_or(self.server)
    }
}

/// The check of one server.
#[derive(Clone, Debug)]
pub struct Urls {
    modes: UrlModes,
    policy: Arc<dyn UrlPolicy>,
}

impl Urls {
    /// Checks by `policy`.
    #[must_use]
    pub fn new(modes: UrlModes, policy: Arc<dyn UrlPolicy>) -> Self {
        Self { modes, policy }
    }

    /// Checks the calls of an exchange whose body has been read.
    pub(crate) async fn check(&self, exchange: &Exchange, shown: &Shown) -> Result<(), Rejection> {
        for call in self.calls(exchange, shown) {
            let checked = self.check_arguments(&call.arguments, &call.destinations);
            let Err(detail) = checked.await else {
                continue;
            };
            let rejection = Rejection::new(Reason::UrlRefused)
                .with_id(call.id)
                .with_detail(detail)
                .with_remedy("where it is meant, name the host in the server's `egress` or the address in `egress.allow_special`, or write `urls = \"report\"` or `\"off\"` for the tool");
            if call.mode == Mode::Enforce {
                return Err(rejection);
            }
            exchange.report(&rejection);
        }
        Ok(())
    }

    fn calls(&self, exchange: &Exchange, shown: &Shown) -> Vec<Looked> {
        let facts = exchange.facts();
        let calls = facts.calls.iter().filter_map(|call| {
            let is_tool = call.method.as_ref().map(Text::as_str) == Some("tools/call");
            let tool = call.target.as_ref().map(Text::as_str).filter(|_| is_tool);
            let mode = self.modes.of(tool);
            (mode != Mode::Off).then_some(Looked {
                mode,
                id: call.id.clone(),
                arguments: call.arguments.clone()?,
                destinations: tool.map_or_else(Arc::default, |tool| shown.destinations(tool)),
            })
        });
        calls.collect()
    }

    async fn check_arguments(&self, arguments: &[u8], listed: &[String]) -> Result<(), String> {
        let arguments: Value =
            serde_json::from_slice(arguments).map_err(|_| "the arguments cannot be read")?;
        let mut found = Vec::new();
        collect(&arguments, listed, false, &mut found);
        if found.len() > MAX_URLS {
            return Err(format!("more than {MAX_URLS} URLs"));
        }
        let mut names: BTreeMap<String, Found> = BTreeMap::new();
        for found in found {
            match self.policy.judge(&found.url) {
                Judgement::Allowed => {}
                Judgement::Refused(rule) => return Err(rule),
                Judgement::Name(name) => {
                    let known = names.entry(name).or_insert_with(|| found.clone());
                    known.bare &= found.bare;
                }
            }
        }
        if names.len() > MAX_NAMES {
            return Err(format!("more than {MAX_NAMES} different hosts"));
        }
        if names.is_empty() {
            return Ok(());
        }
        let found: Vec<Found> = names.into_values().collect();
        self.policy.look_up(&found).await
    }
}

/// One call that is looked into.
struct Looked {
    mode: Mode,
    id: Option<Bytes>,
    arguments: Bytes,
    /// Keys that the tool's schema says are destinations.
    destinations: Arc<[String]>,
}

/// Every URL of a value; `named`: it stands under a key that names a destination, or that is `listed`
/// as one. The value's depth is bounded by its reader.
fn collect(value: &Value, listed: &[String], named: bool, found: &mut Vec<Found>) {
    if found.len() > MAX_URLS {
        return;
    }
    match value {
        Value::String(text) => found.extend(url(text, named)),
        Value::Array(values) => values
            .iter()
            .for_each(|value| collect(value, listed, named, found)),
        Value::Object(members) => {
            for (key, value) in members {
                let named = listed.contains(key) || names_destination(key);
                collect(value, listed, named, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Words of a key, any of which makes it the name of a destination.
const DESTINATIONS: [&str; 14] = [
    "url", "urls", "uri", "uris", "href", "link", "endpoint", "host", "hostname", "webhook",
    "callback", "address", "domain", "website",
];

/// Whether one of the key's words names a destination: `callback_url`, `baseUrl`, `API-Endpoint`.
fn names_destination(key: &str) -> bool {
    let mut word = String::new();
    let mut last_was_small = false;
    let is_one = |word: &str| DESTINATIONS.contains(&word);
    for character in key.chars().take(128) {
        let begins = character.is_ascii_uppercase() && last_was_small;
        if !character.is_ascii_alphanumeric() || begins {
            if is_one(&word) {
                return true;
            }
            word.clear();
        }
        if character.is_ascii_alphanumeric() {
            word.push(character.to_ascii_lowercase());
        }
        last_was_small = character.is_ascii_lowercase() || character.is_ascii_digit();
    }
    is_one(&word)
}

/// The URL that a string is, as it is judged.
fn url(text: &str, named: bool) -> Option<Found> {
    // Every reader takes white space off the ends.
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}');
    if text.is_empty() {
        return None;
    }
    let whole = |url: String| Some(Found { url, bare: false });
    // Some readers drop these wherever they are; what is judged still holds them.
    let mended: String = text
        .chars()
        .filter(|c| !matches!(c, '\t' | '\n' | '\r'))
        .take(300)
        .collect();
    if let Some((scheme, rest)) = mended.split_once(':') {
        let mut bytes = scheme.bytes();
        let is_scheme = bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
            && bytes.all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        if is_scheme && (is_web || rest.starts_with("//")) {
            return whole(text.to_owned());
        }
    }
    // `//host`, in the spellings that readers take for it; `// comment` is none.
    if let Some(rest) = mended.strip_prefix(['/', '\\'])
        && let Some(rest) = rest.strip_prefix(['/', '\\'])
        && (named || could_be_host(rest))
    {
        return whole(format!("http:{text}"));
    }
    (named && could_be_host(&mended)).then(|| Found {
        url: format!("http://{text}"),
        bare: true,
    })
}

/// Whether a reader that adds a scheme by itself could take the text for a host.
fn could_be_host(text: &str) -> bool {
    let host = text.split(['/', '\\', '?', '#']).next().unwrap_or_default();
    let plain = !host.is_empty() && !host.contains([' ', ',', '@', '{', '}', '<', '>']);
    let number = host.len() >= 8 && host.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.split(':').next().unwrap_or_default();
    plain && (host.contains('.') || host.starts_with('[') || number || is_local(name))
}

fn is_local(name: &str) -> bool {
    name.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
#[path = "urls_tests.rs"]
mod tests;

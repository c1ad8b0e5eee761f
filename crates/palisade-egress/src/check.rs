//! Trying a policy without a network: one JSON case a line, one JSON verdict a line.
//!
//! A case is `{"id", "kind": "ip" | "url" | "dns" | "redirect", "input", "dns", "redirects",
//! "opts"}`. It runs through the real parser, the real judgement, the real redirect loop and the
//! real comparison of the other end; the lookup and the dial are made up from the case, so that
//! nothing is sent. See [`Case`] and [`Zone`] for the fields.

mod batch;
mod opinion;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};

use crate::address::canonical;
use crate::client::FetchError;
use crate::client::follow::{Answered, Asker, Exchange, follow};
use crate::client::request::Request;
use crate::decision::Decision;
use crate::event::Unobserved;
use crate::guard::{ConnectError, Dial, Dialed, Guard, Pinned};
use crate::name::Name;
use crate::own::OwnAddresses;
use crate::policy::{CheckedTarget, Policy, PolicyBuilder, PolicyError, Ports};
use crate::resolve::{Answers, BoxFuture, Resolve, ResolveError};
use crate::target::Host;

pub use batch::{Batch, Judged, batch, judge};
pub use opinion::{Opinion, explain};

/// One case.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// Given back in the verdict.
    pub id: serde_json::Value,
    /// What `input` is.
    pub kind: Kind,
    /// An address, a URL or a name.
    pub input: String,
    /// Answers by name, in lower case without the trailing dot. Without this field, or with an
    /// empty one, every name has one public address; with it, a name that is absent does not exist.
    #[serde(default)]
    pub dns: Option<HashMap<String, Zone>>,
    /// What the servers answer, in turn; 200 after the last.
    #[serde(default, deserialize_with = "null_is_default")]
    pub redirects: Vec<Redirect>,
    /// The policy, where it is not the one that was given.
    #[serde(default)]
    pub opts: Option<Options>,
}

/// What the input of a case is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An address, as text.
    Ip,
    /// A URL.
    Url,
    /// A name, or a URL with one.
    Dns,
    /// A URL whose server redirects.
    Redirect,
}

/// What DNS says of one name. `HTTPS`, `SVCB` and `alt_svc` may be given and have no effect, as in
/// the guard.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Zone {
    /// IPv4 addresses.
    #[serde(default, rename = "A")]
    pub a: OneOrMany,
    /// IPv6 addresses.
    #[serde(default, rename = "AAAA")]
    pub aaaa: OneOrMany,
    /// The name that this one is an alias of; it is looked up in the same table.
    #[serde(default, rename = "CNAME")]
    pub cname: OneOrMany,
    /// The lookup fails: `NXDOMAIN`, `timeout`, or anything else for a server's failure.
    #[serde(default)]
    pub error: Option<serde_json::Value>,
    /// What successive lookups give, in place of the fields above; the last one stays.
    #[serde(default, deserialize_with = "null_is_default")]
    pub sequence: Vec<Turn>,
    /// What the lookups after the first give.
    #[serde(default)]
    pub then: Option<Turn>,
    /// The address at which a connection to this name ends. Where it is one of the name's answers,
    /// the others do not answer; where it is none of them, the connection ends there whatever was
    /// dialed.
    #[serde(default)]
    pub connect: OneOrMany,
}

impl Zone {
    /// Where a connection to `dialed` ends.
    fn end(&self, dialed: IpAddr) -> io::Result<IpAddr> {
        let read = |texts: &OneOrMany| -> Vec<IpAddr> {
            let addresses = texts.iter().filter_map(|text| text.parse().ok());
            addresses
                .map(|address: IpAddr| canonical(address))
                .collect()
        };
        let ends = read(&self.connect);
        let known = [read(&self.a), read(&self.aaaa)].concat();
        match ends.first() {
            None => Ok(dialed),
            Some(_) if ends.contains(&dialed) => Ok(dialed),
            Some(end) if known.contains(end) => Err(io::ErrorKind::ConnectionRefused.into()),
            Some(end) => Ok(*end),
        }
    }

    /// The failure in lower case, where the lookup fails.
    fn failure(&self) -> Option<String> {
        match self.error.as_ref()? {
            serde_json::Value::Null | serde_json::Value::Bool(false) => None,
            serde_json::Value::String(error) => Some(error.to_ascii_lowercase()),
            error => Some(error.to_string()),
        }
    }
}

/// What one of several lookups gives: addresses of either family, or all that DNS can say.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Turn {
    /// Addresses alone.
    Addresses(OneOrMany),
    /// As for a name; its own `sequence` and `then` have no effect.
    Zone(Box<Zone>),
}

impl Turn {
    fn zone(&self) -> Zone {
        match self {
            Self::Addresses(addresses) => Zone {
                a: addresses.clone(),
                ..Zone::default()
            },
            Self::Zone(zone) => (**zone).clone(),
        }
    }
}

/// One text, or a list of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    /// Nothing.
    #[default]
    None,
    /// One.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl OneOrMany {
    fn iter(&self) -> impl Iterator<Item = &str> {
        let texts = match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many.as_slice(),
        };
        texts.iter().map(String::as_str)
    }
}

/// One answer of a server.
#[derive(Clone, Debug, Deserialize)]
pub struct Redirect {
    /// The status.
    pub status: u16,
    /// `Location`.
    #[serde(default)]
    pub location: Option<String>,
}

/// A policy in brief.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Ports that may be reached. Default: all.
    pub allowed_ports: Option<Vec<u16>>,
    /// Redirects that are followed. Default: 20, which is also the most.
    pub max_redirects: Option<u64>,
    /// Whether the way from https to http is refused. Default: no.
    #[serde(deserialize_with = "null_is_default")]
    pub deny_downgrade: bool,
    /// The allowlist. Default: none, that is the public internet.
    pub allowed_hosts: Option<Vec<String>>,
}

/// Takes `null` for what is not there.
fn null_is_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What became of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The case's.
    pub id: serde_json::Value,
    /// `allow` or `block`.
    pub verdict: &'static str,
    /// The code of the decision.
    pub reason: String,
    /// The addresses that were dialed, in their order.
    pub connected: Vec<IpAddr>,
}

/// Reads one line and gives the verdict's line.
///
/// # Errors
/// The line is no case.
pub async fn line(line: &str) -> Result<String, CheckError> {
    let case: Case = serde_json::from_str(line)?;
    let verdict = case.run(None).await?;
    Ok(serde_json::to_string(&verdict)?)
}

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The line is no case.
    #[error("this is no case: {0}; write one JSON object a line with `id`, `kind` and `input`")]
    Json(#[from] serde_json::Error),
    /// The case's options make no policy.
    #[error(transparent)]
    Policy(#[from] PolicyError),
}

/// The public address that every name has where a case says nothing of DNS.
const SOMEWHERE: [u8; 4] = [93, 184, 216, 34];

/// Most aliases in a row.
const MAX_ALIASES: usize = 16;

impl Case {
    /// Runs the case under `policy`; without one, under the case's options.
    ///
    /// # Errors
    /// The options make no policy.
    pub async fn run(&self, policy: Option<Arc<Policy>>) -> Result<Verdict, CheckError> {
        let options = self.opts.clone().unwrap_or_default();
        let policy = match policy {
            Some(policy) => policy,
            None => Arc::new(options.builder().build()?),
        };
        let world = Arc::new(World {
            zones: self
                .dns
                .as_ref()
                .filter(|zones| !zones.is_empty())
                .map(zones),
            lookups: Mutex::default(),
            host: Mutex::default(),
            dialed: Mutex::default(),
            answers: Mutex::new(self.redirects.iter().rev().cloned().collect()),
        });
        let guard = Guard::new(policy, Arc::clone(&world) as _);
        let guard = guard.with_dialer(Arc::clone(&world) as _);
        let asker = Asker {
            guard: &guard,
            observer: &Unobserved,
            identity: "",
        };
        let exchange = Pretend {
            guard: &guard,
            world: &world,
        };
        let most = options.max_redirects.unwrap_or(20);
        let most = u8::try_from(most).unwrap_or(u8::MAX);
        let outcome = follow(&asker, &exchange, Request::get(self.url()), most).await;
        let connected = world
            .dialed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let (verdict, reason) = match outcome {
            Ok((answer, ..)) => ("allow", answer.code.to_owned()),
            Err(error) => ("block", error.code().to_owned()),
        };
        Ok(Verdict {
            id: self.id.clone(),
            verdict,
            reason,
            connected,
        })
    }

    fn url(&self) -> String {
        let input = &self.input;
        match self.kind {
            Kind::Url | Kind::Redirect => input.clone(),
            Kind::Dns if input.contains("://") => input.clone(),
            Kind::Dns => format!("http://{input}/"),
            Kind::Ip => {
                let inner = input
                    .strip_prefix('[')
                    .and_then(|inner| inner.strip_suffix(']'));
                match inner.unwrap_or(input).parse() {
                    Ok(IpAddr::V6(address)) => format!("http://[{address}]/"),
                    Ok(IpAddr::V4(address)) => format!("http://{address}/"),
                    // No address; the brackets let no other reading make one of it.
                    Err(_) => "http://[]/".to_owned(),
                }
            }
        }
    }
}

impl Options {
    fn builder(&self) -> PolicyBuilder {
        let ports = self.allowed_ports.clone().map_or(Ports::Any, Ports::Only);
        let builder = Policy::builder()
            .own_addresses(OwnAddresses::fixed([]))
            .ports(ports)
            .allow_downgrade(!self.deny_downgrade);
        match &self.allowed_hosts {
            Some(hosts) => builder.allowlist(hosts),
            None => builder,
        }
    }
}

/// The answers under names in the form that is looked up.
fn zones(said: &HashMap<String, Zone>) -> HashMap<String, Zone> {
    let zones = said.iter().map(|(name, zone)| {
        let name = match Host::parse(name) {
            Ok(Host::Name(name)) => name.to_string(),
            _ => name.to_ascii_lowercase(),
        };
        (name, zone.clone())
    });
    zones.collect()
}

/// The made-up network of one case.
#[derive(Debug)]
struct World {
    zones: Option<HashMap<String, Zone>>,
    /// How often each name was looked up.
    lookups: Mutex<HashMap<String, usize>>,
    /// The name that is being connected to.
    host: Mutex<String>,
    dialed: Mutex<Vec<IpAddr>>,
    /// The answers that are left, last first.
    answers: Mutex<Vec<Redirect>>,
}

impl World {
    /// What a lookup of this name gives, and counts it.
    fn zone(&self, name: &str) -> Option<Zone> {
        let zone = self.zones.as_ref()?.get(name)?;
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        let count = lookups.entry(name.to_owned()).or_default();
        let turn = *count;
        *count += 1;
        if let Some(last) = zone.sequence.len().checked_sub(1) {
            return zone.sequence.get(turn.min(last)).map(Turn::zone);
        }
        match &zone.then {
            Some(then) if turn > 0 => Some(then.zone()),
            _ => Some(zone.clone()),
        }
    }

    fn look_up(&self, name: &Name) -> Result<Answers, ResolveError> {
        if self.zones.is_none() {
            let addresses = vec![SOMEWHERE.into()];
            return Ok(Answers {
                addresses,
                ..Answers::default()
            });
        }
        let malformed = |text: &str| ResolveError::Other(format!("{text:?} in the case's `dns`"));
        let mut answers = Answers::default();
        let mut names = vec![name.as_str().to_owned()];
        let mut seen = 0;
        while let Some(name) = names.pop() {
            seen += 1;
            if seen > MAX_ALIASES {
                return Err(ResolveError::Other("too many aliases".to_owned()));
            }
            let zone = self.zone(&name).unwrap_or_default();
            match zone.failure().as_deref() {
                None => {}
                Some("nxdomain" | "nodata" | "noerror") => return Err(ResolveError::NoAddress),
                Some("timeout") => return Err(ResolveError::Timeout),
                Some(error) => return Err(ResolveError::Other(error.to_owned())),
            }
            for address in zone.a.iter().chain(zone.aaaa.iter()) {
                answers
                    .addresses
                    .push(address.parse().map_err(|_| malformed(address))?);
            }
            for alias in zone.cname.iter() {
                let alias = Name::from_ascii(alias).map_err(|_| malformed(alias))?;
                names.push(alias.as_str().to_owned());
                answers.aliases.push(alias);
            }
        }
        Ok(answers)
    }
}

impl Resolve for World {
    fn resolve<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Answers, ResolveError>> {
        Box::pin(async move { self.look_up(name) })
    }
}

impl Dial for World {
    fn dial<'a>(&'a self, to: &'a Pinned) -> BoxFuture<'a, io::Result<Dialed>> {
        let to = to.address();
        let mut dialed = self.dialed.lock().unwrap_or_else(PoisonError::into_inner);
        dialed.push(to.ip());
        let host = self.host.lock().unwrap_or_else(PoisonError::into_inner);
        let zone = self.zones.as_ref().and_then(|zones| zones.get(&*host));
        let end = zone.map_or_else(|| Ok(to.ip()), |zone| zone.end(to.ip()));
        Box::pin(async move {
            let peer = SocketAddr::new(end?, to.port());
            let stream = Box::new(tokio::io::empty());
            Ok(Dialed { stream, peer })
        })
    }
}

/// Connects by the guard and answers from the case.
struct Pretend<'a> {
    guard: &'a Guard,
    world: &'a World,
}

struct Pretended {
    status: StatusCode,
    location: Option<HeaderValue>,
    code: &'static str,
}

impl Exchange for Pretend<'_> {
    type Answer = Pretended;

    async fn send(&self, target: CheckedTarget, _: &Request) -> Result<Pretended, FetchError> {
        let host = target.target().host().to_string();
        *self
            .world
            .host
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = host;
        let code = Decision::Allow(target.grant()).code();
        self.guard
            .connect(target)
            .await
            .map_err(|error| match error {
                ConnectError::Refused(refusal) => FetchError::Refused(refusal),
                ConnectError::Failed(error) => FetchError::Unreachable(Some(error)),
                ConnectError::Timeout => FetchError::Unreachable(None),
            })?;
        let mut answers = self
            .world
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let answer = answers.pop();
        let status = answer.as_ref().map_or(200, |answer| answer.status);
        let location = answer.and_then(|answer| answer.location);
        Ok(Pretended {
            status: StatusCode::from_u16(status).map_err(|_| FetchError::Http(None))?,
            location: location
                // White space round a field's value is no part of it (RFC 9112 section 5).
                .map(|location| {
                    HeaderValue::from_bytes(location.trim_matches([' ', '\t']).as_bytes())
                })
                .transpose()
                // No server can send it: a line feed ends the field.
                .map_err(|_| FetchError::Http(None))?,
            code,
        })
    }
}

impl Answered for Pretended {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn locations(&self) -> impl Iterator<Item = &HeaderValue> {
        self.location.iter()
    }
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;

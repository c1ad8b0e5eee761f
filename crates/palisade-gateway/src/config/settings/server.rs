//! `[[server]]`: one MCP server.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::{Egress, Level, List, Mode, Policy, ServerAuth, Source, Value};
use crate::config::names::{HostEntry, HttpUrl};
use crate::config::units::RateLimit;

/// One `[[server]]`.
#[derive(Clone, Debug)]
pub struct Server {
    /// `name`: unique; letters, digits, `-` and `_`.
    pub name: Value<String>,
    /// `path`: a prefix on a segment boundary, without a trailing slash unless it is `/`.
    /// Default: the upstream's own path; `/mcp` for a command.
    pub path: Value<String>,
    /// `host`: only under this public host.
    pub host: Option<Value<HostEntry>>,
    /// `upstream` or `command`.
    pub backend: Backend,
    /// `plaintext_upstream`: plain HTTP to an upstream off this machine is accepted.
    pub plaintext_upstream: Value<bool>,
    /// `kind`. Default `mcp`.
    pub kind: Value<Kind>,
    /// `upstream_host`. Default `rewrite`.
    pub upstream_host: Value<UpstreamHost>,
    /// `timeout`: of one call, from its arrival to its result. `None`, the default: no limit, since
    /// tools may take long; whoever fears that sets one.
    pub timeout: Value<Option<Duration>>,
    /// `concurrency`: calls at once; `None`: as many as the connections allow.
    pub concurrency: Value<Option<NonZeroU32>>,
    /// `egress`: the hosts that it may reach; `None`: the public internet minus everything
    /// special.
    pub egress: Option<List<String>>,
    /// `urls`; `None`: as [`Egress::urls`] says.
    pub urls: Option<Value<Mode>>,
    /// Who may call, and what of it.
    pub auth: ServerAuth,
    /// `[server.tool."name"]`: by tool name.
    pub tools: BTreeMap<String, Tool>,
    /// The sections, this server's own over the defaults.
    pub policy: Policy,
}

impl Server {
    /// The firmest level that is tried for its command.
    #[must_use]
    pub fn max_level<'a>(&'a self, egress: &'a Egress) -> &'a Value<Level> {
        let own = match &self.backend {
            Backend::Command(command) => command.max_level.as_ref(),
            Backend::Url(_) => None,
        };
        own.unwrap_or(&egress.max_level)
    }

    /// What happens to URLs in the arguments of calls, where the tool says nothing.
    #[must_use]
    pub fn urls_mode(&self, egress: &Egress) -> Mode {
        let said = self.urls.as_ref().or(egress.urls.as_ref());
        match (said, &self.backend) {
            (Some(said), _) => said.value,
            (None, Backend::Url(_)) if self.egress.is_some() => self.policy.egress_mode.value,
            (None, _) => Mode::Off,
        }
    }
}

/// Where a server's requests go.
#[derive(Clone, Debug)]
pub enum Backend {
    /// `command`.
    Command(Box<Command>),
    /// `upstream`.
    Url(Value<HttpUrl>),
}

impl Backend {
    /// Where it was said.
    #[must_use]
    pub const fn source(&self) -> &Source {
        match self {
            Self::Command(command) => &command.command.source,
            Self::Url(url) => &url.source,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command) => command.fmt(f),
            Self::Url(url) => url.value.fmt(f),
        }
    }
}

/// A program that speaks MCP on its standard streams.
#[derive(Clone, Debug)]
pub struct Command {
    /// `command`: the program and its arguments. Never empty.
    pub command: List<String>,
    /// `scope`. Default `session`.
    pub scope: Value<Scope>,
    /// `environment`, beside [`BASE_ENVIRONMENT`].
    pub environment: List<EnvironmentEntry>,
    /// `directory`; `None`: where Palisade runs.
    pub directory: Option<Value<PathBuf>>,
    /// `sessions`: sessions, and running commands, at once. Default 64.
    pub sessions: Value<NonZeroU32>,
    /// `session_idle`: after how long a session that nobody uses is ended. Default 30 min.
    pub session_idle: Value<Duration>,
    /// `start_timeout`: from a start to the first answer. Default 60 s.
    pub start_timeout: Value<Duration>,
    /// `max_level`; `None`: as [`Egress::max_level`] says.
    pub max_level: Option<Value<Level>>,
    /// `sockets`: unix sockets of other programs, by absolute paths.
    pub sockets: List<PathBuf>,
    /// `install`.
    pub install: Option<Install>,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self
            .command
            .iter()
            .map(|word| word.value.as_str())
            .collect();
        f.write_str(&words.join(" "))
    }
}

/// `[server.install]`: what is run once before a command.
#[derive(Clone, Debug)]
pub struct Install {
    /// `command`, or what it is for `npx` and `uvx`. Never empty.
    pub command: List<String>,
    /// `egress`; `None`: the public internet minus everything special.
    pub egress: Option<List<String>>,
    /// `timeout`. Default 5 min.
    pub timeout: Value<Duration>,
}

/// A variable for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentEntry {
    /// Its name.
    pub name: String,
    /// Its value; `None`: Palisade's own is passed on. May be a secret: it is never shown.
    pub value: Option<String>,
}

/// What every command gets of Palisade's own environment, where it is set: without these hardly
/// any program finds its parts, and none of them holds a secret.
pub const BASE_ENVIRONMENT: [&str; 12] = [
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TEMP", "TERM", "TMPDIR",
    "TZ", "USER",
];

/// Who shares a running command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All sessions of one caller.
    Caller,
    /// Nobody: every session has its own.
    #[default]
    Session,
    /// Everybody.
    Shared,
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Plain HTTP requests: every layer but the message inspection.
    Http,
    /// The Model Context Protocol.
    #[default]
    Mcp,
}

/// The `Host` that the upstream sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamHost {
    /// The client's.
    Preserve,
    /// The upstream's own authority.
    #[default]
    Rewrite,
}

/// `[server.tool."name"]`. What is `None` is left to the server's own value.
#[derive(Clone, Debug, Default)]
pub struct Tool {
    /// `timeout` of one call.
    pub timeout: Option<Value<Duration>>,
    /// `concurrency`: calls at once.
    pub concurrency: Option<Value<NonZeroU32>>,
    /// `rate`: calls per caller.
    pub rate: Option<Value<RateLimit>>,
    /// `urls`: of URLs in its arguments.
    pub urls: Option<Value<Mode>>,
}

//! The table at start (row U-4): what is reachable where, what guards it, and why.

use std::fmt::Write as _;
use std::net::SocketAddr;

use palisade_egress::Level;
use palisade_egress::jail::Proven;

use super::settings::{
    Backend, Identity, List, Mode, Policy, Server, Settings, Sink, Source, TlsProfile, Value,
};
use crate::egress::Levels;

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overview {
    /// What the line is about.
    pub what: String,
    /// What holds.
    pub value: String,
    /// Where that came from.
    pub why: String,
}

impl Settings {
    /// The table. `bound` are the addresses that the listeners got, in the order of `listen`; while
    /// nothing is bound, what was asked for stands in their place. `levels` is what the canary found.
    #[must_use]
    pub fn overview(&self, bound: &[SocketAddr], levels: &Levels) -> Vec<Overview> {
        let mut lines = Vec::new();
        let mut add = |what: &str, value: String, why: String| {
            lines.push(Overview {
                what: what.to_owned(),
                value,
                why,
            });
        };
        let scheme = if self.is_tls() { "https" } else { "http" };
        for (index, listener) in self.listen.iter().enumerate() {
            let address = bound.get(index).copied().unwrap_or(listener.value);
            add(
                "listen",
                format!("{scheme}://{address}"),
                listener.source.to_string(),
            );
            let hosts: Vec<_> = self
                .hosts_on(address)
                .iter()
                .map(|host| host.to_string())
                .collect();
            let why = match (self.hosts.is_empty(), hosts.is_empty()) {
                (true, true) => "nobody named one".to_owned(),
                (true, false) => "default on loopback".to_owned(),
                (false, _) => came_from(&self.hosts),
            };
            add("hosts", or_none(&hosts), why);
        }
        let (tls, why) = self.tls_line();
        add("tls", tls, why);
        let accepted = &self.accept.no_authentication;
        let why = if accepted.value {
            format!("accepted, {}", accepted.source)
        } else {
            "nothing of [auth] is configured; loopback only".to_owned()
        };
        let methods = self.methods();
        if methods.is_empty() {
            add("authentication", "none".to_owned(), why);
        } else {
            add("authentication", methods.join(", "), "[auth]".to_owned());
        }
        add(
            "host guard",
            self.host_mode.name().to_owned(),
            self.host_mode.source.to_string(),
        );
        for server in &self.servers {
            let host = server
                .host
                .as_ref()
                .map_or_else(String::new, |host| host.to_string());
            let route = format!("{host}{} -> {}", server.path.value, server.backend);
            add(
                &format!("server {}", server.name.value),
                route,
                server.backend.source().to_string(),
            );
            if let Backend::Command(command) = &server.backend {
                let sessions = command.sessions.value;
                let scope = command.scope.value.name();
                add(
                    "  child",
                    format!(
                        "standard streams, which need no TLS; scope {scope}, {sessions} at most"
                    ),
                    command.scope.source.to_string(),
                );
                let proven = levels.of(server, self);
                let (egress, why) = egress_line(server, proven);
                add("  egress", egress, why);
                for said in proven.into_iter().flat_map(found) {
                    add("  canary", said, "tried at start".to_owned());
                }
                let most = server.max_level(&self.egress);
                if most.source != Source::Default {
                    add(
                        "  highest level",
                        most.value.name().to_owned(),
                        most.source.to_string(),
                    );
                }
            }
            let urls = server.urls_mode(&self.egress);
            if urls != Mode::Off {
                let said = server.urls.as_ref().or(self.egress.urls.as_ref());
                let source = said.map(|said| &said.source);
                let source = source.or_else(|| server.egress.as_ref().map(|list| &list.source));
                let why = source.map_or_else(String::new, ToString::to_string);
                add("  urls in calls", urls.name().to_owned(), why);
            }
            if !methods.is_empty() {
                let required = &server.auth.required;
                let rules = match server.auth.allow.len() {
                    0 => "no rules".to_owned(),
                    1 => "1 rule".to_owned(),
                    count => format!("{count} rules"),
                };
                let value = match required.value {
                    true => format!("required, {rules}"),
                    false => "none".to_owned(),
                };
                add("  authentication", value, required.source.to_string());
            }
            for (what, mode) in modes(&server.policy) {
                add(
                    &format!("  {what}"),
                    mode.name().to_owned(),
                    mode.source.to_string(),
                );
            }
            let cors = &server.policy.cors;
            let mut origins: Vec<_> = cors
                .origins
                .iter()
                .map(|origin| origin.text.clone())
                .collect();
            origins.extend(
                cors.origin_regexes
                    .iter()
                    .map(|regex| format!("/{}/", regex.text)),
            );
            if cors.loopback_origins.value {
                origins.push("every loopback origin".to_owned());
            }
            let why = match (origins.is_empty(), cors.loopback_origins.value) {
                (true, _) => "its own alone".to_owned(),
                (false, true) => cors.loopback_origins.source.to_string(),
                (false, false) if cors.origins.is_empty() => came_from(&cors.origin_regexes),
                (false, false) => came_from(&cors.origins),
            };
            add("  origins", or_none(&origins), why);
            let audit = &server.policy.audit;
            let sinks: Vec<_> = audit
                .sinks
                .iter()
                .map(|sink| match &sink.value {
                    Sink::File(path) => path.display().to_string(),
                    Sink::Otlp(otlp) => otlp.url.to_string(),
                    Sink::S3(s3) => format!("s3://{}/{}", s3.bucket, s3.prefix),
                    Sink::Stdout => "stdout".to_owned(),
                })
                .collect();
            let value = format!("{}, fails {}", sinks.join(", "), audit.fail.name());
            add("  audit", value, came_from(&audit.sinks));
        }
        lines
    }

    /// How callers may prove who they are.
    fn methods(&self) -> Vec<String> {
        let jwt = self.auth.jwt.iter();
        let mut methods: Vec<_> = jwt
            .map(|jwt| format!("tokens of {}", jwt.issuer.value))
            .collect();
        match self.auth.keys.len() {
            0 => {}
            1 => methods.push("1 API key".to_owned()),
            count => methods.push(format!("{count} API keys")),
        }
        if self.auth.certificate.is_some() {
            methods.push("client certificates".to_owned());
        }
        methods
    }

    fn tls_line(&self) -> (String, String) {
        let Some(tls) = &self.tls else {
            return if self.accept.plaintext.value {
                (
                    "off".to_owned(),
                    format!("accepted, {}", self.accept.plaintext.source),
                )
            } else {
                ("off".to_owned(), "default on loopback".to_owned())
            };
        };
        let versions = match tls.profile.value {
            TlsProfile::Intermediate => "1.2 and 1.3",
            TlsProfile::Modern => "1.3",
        };
        match &tls.identity {
            Identity::Files { certificate, .. } => (
                format!("{versions}, {}", certificate.display()),
                certificate.source.to_string(),
            ),
            Identity::Local(local) => (
                format!("{versions}, Palisade's own authority"),
                local.source.to_string(),
            ),
        }
    }
}

impl Overview {
    /// The lines as text, in aligned columns.
    #[must_use]
    pub fn table(lines: &[Self]) -> String {
        let width = |column: fn(&Self) -> &str, most: usize| {
            lines
                .iter()
                .map(|line| column(line).chars().count().min(most))
                .max()
                .unwrap_or(0)
        };
        let (what, value) = (width(|line| &line.what, 24), width(|line| &line.value, 60));
        let mut out = String::new();
        for line in lines {
            // Writing to a string cannot fail.
            let _ = writeln!(
                out,
                "{:<what$}  {:<value$}  ({})",
                line.what, line.value, line.why
            );
        }
        out
    }
}

/// How firmly a command's outbound policy holds, and what it allows.
fn egress_line(server: &Server, proven: Option<&Proven>) -> (String, String) {
    let level = match proven.map(|proven| proven.level) {
        None => "at the level that is found at start".to_owned(),
        Some(level) => {
            let how = match level {
                Level::Advisory => "told by proxy variables, which the command may ignore",
                Level::Supervised => "every connection passes the supervisor",
                Level::Isolated => "a network of its own, whose only way out is the proxy",
            };
            format!("{level}: {how}")
        }
    };
    let mode = server.policy.egress_mode.value;
    let (hosts, why) = match &server.egress {
        Some(list) if mode != Mode::Off => {
            let hosts = match list.len() {
                0 => "no host".to_owned(),
                1 => "1 host".to_owned(),
                count => format!("{count} hosts"),
            };
            let report = if mode == Mode::Report {
                ", others reported"
            } else {
                ""
            };
            (format!("{hosts}{report}"), came_from(list))
        }
        _ => (
            "the public internet".to_owned(),
            Source::Default.to_string(),
        ),
    };
    (format!("{level}; {hosts}"), why)
}

/// What the canary found.
fn found(proven: &Proven) -> Vec<String> {
    let ways = proven.could_not_contain.join(", ");
    let first = match proven.level {
        Level::Advisory => format!("could not contain: {ways}"),
        Level::Isolated | Level::Supervised => "tried every way out, and found none".to_owned(),
    };
    let others = proven.not_available.iter();
    let others = others.map(|(level, why)| format!("not {level}: {why}"));
    std::iter::once(first).chain(others).collect()
}

/// The layers of a server that have a mode.
fn modes(policy: &Policy) -> [(&'static str, &Value<Mode>); 5] {
    [
        ("origin guard", &policy.origin_mode),
        ("cors", &policy.cors.mode),
        ("security headers", &policy.headers.mode),
        ("rates", &policy.rate.mode),
        ("body limit", &policy.body.mode),
    ]
}

fn or_none(list: &[String]) -> String {
    if list.is_empty() {
        "none".to_owned()
    } else {
        list.join(", ")
    }
}

/// A list that nobody said but that got entries from elsewhere came from there.
fn came_from<T>(list: &List<T>) -> String {
    let first = list.value.first().map(|first| &first.source);
    match (&list.source, first) {
        (Source::Default, Some(first)) => first.to_string(),
        (source, _) => source.to_string(),
    }
}

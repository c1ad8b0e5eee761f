//! The servers.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use super::super::document;
use super::super::environment::environment_name;
use super::super::file::{self, File};
use super::super::names::{Fault, HostEntry, HttpUrl, route_path};
use super::super::problem::{Problem, ProblemCode};
use super::super::settings::{Backend, Policy, Server, Tool, Value};
use super::auth::OfServer;
use super::policy::Said as SaidPolicy;
use super::{MOST_ENTRIES, Resolver, above_nought, rate};

impl Resolver<'_> {
    /// Every server that has a name and an upstream that can be read.
    pub(super) fn servers(
        &mut self,
        said: &[document::Said<file::Server>],
        base: &Policy,
        file: &File,
        auth: bool,
    ) -> Vec<Server> {
        if said.len() > MOST_ENTRIES {
            self.report(
                ProblemCode::BadValue,
                "server",
                said[MOST_ENTRIES].at,
                "there are more than 1,000 servers",
                "spread them over several instances of Palisade",
            );
            return Vec::new();
        }
        let mut servers = Vec::new();
        for (index, server) in said.iter().enumerate() {
            let shown = match &server.value.name {
                Some(name) if !name.value.is_empty() => name.value.clone(),
                _ => format!("#{}", index + 1),
            };
            servers.extend(self.server(server, &shown, base, file, auth));
        }
        self.duplicates(&servers);
        servers
    }

    fn server(
        &mut self,
        said: &document::Said<file::Server>,
        shown: &str,
        base: &Policy,
        file: &File,
        auth: bool,
    ) -> Option<Server> {
        let policy = self.policy(
            &SaidPolicy::of_server(&said.value, shown),
            base,
            Some(&file.cors),
        );
        self.section = format!("server.{shown}");
        let at = said.at;
        let said = &said.value;
        let mut name = None;
        self.option(&mut name, said.name.as_ref(), "name", |text| {
            server_name(text)
        });
        if said.name.is_none() {
            self.report(
                ProblemCode::Missing,
                "name",
                at,
                "the server has no name",
                "add `name = \"files\"`, say; the audit log and environment variables use it",
            );
        }
        let mut upstream = None;
        self.option(&mut upstream, said.upstream.as_ref(), "upstream", |text| {
            upstream_url(text)
        });
        let command = self.command(said);
        self.misplaced(said);
        if said.upstream.is_none() && said.command.is_none() {
            self.report(
                ProblemCode::Missing,
                "upstream",
                at,
                "the server has neither an upstream nor a command",
                "add `upstream = \"http://127.0.0.1:3000/mcp\"` with the URL of the server, or `command = [\"npx\", \"-y\", \"some-server\"]`",
            );
        }
        let mut path = match (&upstream, &command) {
            (Some(url), _) => Value::from(trimmed(&url.path).to_owned()),
            (None, Some(_)) => Value::from(COMMAND_PATH.to_owned()),
            (None, None) => Value::from("/".to_owned()),
        };
        self.value(&mut path, said.path.as_ref(), "path", |text| {
            route_path(text)
        });
        let mut host = None;
        self.option(&mut host, said.host.as_ref(), "host", |text| {
            HostEntry::parse(text)
        });
        let mut plaintext_upstream = Value::from(false);
        self.copy(&mut plaintext_upstream, said.plaintext_upstream.as_ref());
        let mut kind = Value::default();
        self.copy(&mut kind, said.kind.as_ref());
        let mut upstream_host = Value::default();
        self.copy(&mut upstream_host, said.upstream_host.as_ref());
        let mut timeout = Value::from(None);
        self.value(&mut timeout, said.timeout.as_ref(), "timeout", |text| {
            above_nought(text).map(Some)
        });
        let mut concurrency = Value::from(None);
        self.value(
            &mut concurrency,
            said.concurrency.as_ref(),
            "concurrency",
            |count| Ok(NonZeroU32::new(*count)),
        );
        let egress = self.allowlist(said.egress.as_ref());
        let urls = self.said(said.urls.as_ref());
        let tools = self.tools(&said.tool, shown);
        let of_server = OfServer {
            auth: said.auth.as_ref(),
            forward: said.forward_authorization.as_ref(),
            caller_header: said.caller_header.as_ref(),
            certificate_header: said.certificate_header.as_ref(),
            credential_file: said.credential_file.as_ref(),
            credential_env: said.credential_env.as_ref(),
            allow: &said.allow,
        };
        let auth = self.server_auth(&of_server, auth, &format!("server.{shown}"));
        self.section.clear();
        Some(Server {
            name: name?,
            path,
            host,
            backend: match (upstream, command) {
                (Some(url), _) => Backend::Url(url),
                (None, command) => Backend::Command(Box::new(command?)),
            },
            plaintext_upstream,
            kind,
            upstream_host,
            timeout,
            concurrency,
            egress,
            urls,
            auth,
            tools,
            policy,
        })
    }

    fn tools(
        &mut self,
        said: &BTreeMap<String, file::Tool>,
        server: &str,
    ) -> BTreeMap<String, Tool> {
        let mut tools = BTreeMap::new();
        for (name, said) in said {
            self.section = format!("server.{server}.tool.{name}");
            let mut tool = Tool::default();
            self.option(
                &mut tool.timeout,
                said.timeout.as_ref(),
                "timeout",
                |text| above_nought(text),
            );
            self.option(
                &mut tool.concurrency,
                said.concurrency.as_ref(),
                "concurrency",
                |count| {
                    NonZeroU32::new(*count)
                        .ok_or_else(|| Fault::new("nought is out of range", "write 1 or more"))
                },
            );
            self.option(&mut tool.rate, said.rate.as_ref(), "rate", |text| {
                rate(text)
            });
            tool.urls = self.said(said.urls.as_ref());
            tools.insert(name.clone(), tool);
        }
        tools
    }

    fn duplicates(&mut self, servers: &[Server]) {
        for (index, server) in servers.iter().enumerate() {
            let earlier = &servers[..index];
            let name = environment_name(&server.name);
            if let Some(other) = earlier
                .iter()
                .find(|other| environment_name(&other.name) == name)
            {
                let cause = if other.name.value == server.name.value {
                    "two servers have this name".to_owned()
                } else {
                    format!(
                        "`{}` is the same name in environment variables",
                        other.name.value
                    )
                };
                self.problems.push(
                    Problem::error(
                        ProblemCode::Duplicate,
                        format!("server.{}.name", server.name.value),
                        cause,
                    )
                    .remedy("give one of them another name")
                    .at(self.places.place_of(&server.name.source)),
                );
            }
            let host = |server: &Server| server.host.as_ref().map(|host| host.value.clone());
            let overlapping = earlier
                .iter()
                .find(|other| other.path.value == server.path.value && host(other) == host(server));
            if let Some(other) = overlapping {
                // The path may have come from the upstream: then that is what was said.
                let said = match server.path.source {
                    super::Source::Default => server.backend.source(),
                    _ => &server.path.source,
                };
                let cause = format!(
                    "the server `{}` has the path `{}` as well, so one of them would never be reached",
                    other.name.value, server.path.value
                );
                self.problems.push(
                    Problem::error(
                        ProblemCode::Duplicate,
                        format!("server.{}.path", server.name.value),
                        cause,
                    )
                    .remedy("give one of them another `path` or its own `host`")
                    .at(self.places.place_of(said)),
                );
            }
        }
    }
}

/// Where a command answers, unless `path` says otherwise.
const COMMAND_PATH: &str = "/mcp";

fn server_name(text: &str) -> Result<String, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) || text.contains("__") {
        return Err(Fault::new(
            "a server's name is 1 to 64 letters, digits, `-` and `_`, without two `_` in a row",
            "write one such as \"files\"",
        ));
    }
    Ok(text.to_owned())
}

fn upstream_url(text: &str) -> Result<HttpUrl, Fault> {
    HttpUrl::parse(text).map_err(|mut fault| {
        if fault.remedy.is_none() {
            fault.remedy = Some("write it as `http://127.0.0.1:3000/mcp`".to_owned());
        }
        fault
    })
}

fn trimmed(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" => "/",
        trimmed => trimmed,
    }
}

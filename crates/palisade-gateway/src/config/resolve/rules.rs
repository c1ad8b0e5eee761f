//! What no single key can tell: values that exclude each other, and what row G-11 refuses.

use std::net::SocketAddr;

use super::super::defaults::DEV_MAX_AGE;
use super::super::document::Places;
use super::super::names::loopback;
use super::super::problem::{Place, Problem, ProblemCode, Problems};
use super::super::settings::{
    Backend, Cors, Identity, Mode, Policy, Server, Settings, Source, Value,
};
use super::Seen;

/// `--dev`: on top of everything else.
pub(super) fn develop(settings: &mut Settings) {
    let flag = || Source::Flag("--dev".into());
    settings.dev = Value::new(true, flag());
    let policies = settings.servers.iter_mut().map(|server| &mut server.policy);
    for policy in policies.chain(std::iter::once(&mut settings.defaults)) {
        policy.cors.loopback_origins = Value::new(true, flag());
        policy.cors.max_age = Value::new(DEV_MAX_AGE, flag());
    }
}

/// Reports everything that only shows when the values stand beside each other.
pub(super) fn check(settings: &Settings, seen: Seen, places: &Places, problems: &mut Problems) {
    let mut rules = Rules {
        settings,
        places,
        problems,
    };
    for listener in settings
        .listen
        .iter()
        .filter(|listener| !loopback(listener.ip()))
    {
        rules.exposed(listener, seen.tls);
    }
    rules.listeners();
    rules.policies();
    rules.servers(seen.server);
    rules.public_url();
    rules.tls();
}

struct Rules<'a> {
    settings: &'a Settings,
    places: &'a Places,
    problems: &'a mut Problems,
}

impl Rules<'_> {
    /// Row G-11, for one listener that other machines can reach.
    fn exposed(&mut self, listener: &Value<SocketAddr>, tls_was_said: bool) {
        let address = listener.value;
        let accept = &self.settings.accept;
        if !tls_was_said {
            if accept.plaintext.value {
                self.accepted(
                    "plaintext",
                    &accept.plaintext.source,
                    format!("{address} speaks plain HTTP, readable on the way"),
                );
            } else {
                self.error(
                    ProblemCode::Refused,
                    "listen",
                    &listener.source,
                    format!("other machines reach {address}, and it speaks plain HTTP"),
                    "add `certificate` and `key` under `[tls]`, or listen on 127.0.0.1, or add `plaintext = true` under `[i_accept]`",
                );
            }
        }
        let open = (self.settings.servers.iter()).find(|server| !server.auth.required.value);
        let configured = self.settings.auth.is_configured();
        if configured && open.is_none() {
            // Everybody is asked who they are.
        } else if accept.no_authentication.value {
            self.accepted(
                "no_authentication",
                &accept.no_authentication.source,
                format!("everyone who reaches {address} may call, known or not"),
            );
        } else {
            self.error(
                ProblemCode::Refused,
                "listen",
                &listener.source,
                match open {
                    Some(server) if configured => format!(
                        "other machines reach {address}, and the server `{}` asks nobody who calls",
                        server.name.value
                    ),
                    _ => format!("other machines reach {address}, and nobody is asked who calls"),
                },
                "add an `[[auth.jwt]]`, an `[[auth.api_key]]` or `[auth.certificate]` and take `auth = \"none\"` out, or listen on 127.0.0.1, or add `no_authentication = true` under `[i_accept]`",
            );
        }
        let host_mode = &self.settings.host_mode;
        if host_mode.value == Mode::Off {
            self.risk(
                "host.mode",
                &host_mode.source,
                format!(
                    "no `Host` is checked on {address}, so web pages may reach it by DNS rebinding"
                ),
                "take the mode out, or write \"report\" while you learn the names",
            );
        } else if self.settings.hosts.is_empty() && !self.problems.concern("hosts") {
            let remedy = "add `hosts = [\"mcp.example.com\"]` with the names that clients use";
            let problem = if host_mode.value == Mode::Report {
                let cause =
                    format!("no public host is named, so every request to {address} is reported");
                Problem::error(ProblemCode::Missing, "hosts", cause).warning()
            } else {
                let cause = format!(
                    "no public host is named, so every request to {address} would be refused"
                );
                Problem::error(ProblemCode::Missing, "hosts", cause)
            };
            self.problems.push(
                problem
                    .remedy(remedy)
                    .at(self.places.place_of(&listener.source)),
            );
        }
        if self.settings.dev.value {
            self.error(
                ProblemCode::Contradiction,
                "listen",
                &listener.source,
                format!("`--dev` is for loopback alone, and other machines reach {address}"),
                "leave `--dev` away, or listen on 127.0.0.1",
            );
        }
    }

    fn listeners(&mut self) {
        let settings = self.settings;
        if settings.listen.is_empty() && !self.problems.concern("listen") {
            self.error(
                ProblemCode::BadValue,
                "listen",
                &settings.listen.source,
                "there is no address to listen on".to_owned(),
                "write an address such as \"127.0.0.1:8080\", or take the key out",
            );
        }
        let redirect = settings.tls.iter().flat_map(|tls| tls.redirect.iter());
        for address in redirect {
            if address.port() != 0
                && settings
                    .listen
                    .iter()
                    .any(|listener| listener.value == address.value)
            {
                self.error(
                    ProblemCode::Contradiction,
                    "tls.redirect",
                    &address.source,
                    format!("{} is in `listen` as well", address.value),
                    "give the redirection an address of its own, such as \"0.0.0.0:80\"",
                );
            }
        }
    }

    fn policies(&mut self) {
        let settings = self.settings;
        let servers = settings.servers.iter();
        let all: Vec<(&Policy, String)> = std::iter::once((&settings.defaults, String::new()))
            .chain(servers.map(|server| (&server.policy, format!("server.{}.", server.name.value))))
            .collect();
        for (policy, prefix) in &all {
            // The defaults are judged by what the servers make of them, if there are any.
            if !prefix.is_empty() || settings.servers.is_empty() {
                self.credentials(&policy.cors, prefix);
            }
            let body = &policy.body.limit;
            if body.value > settings.limits.inflight_bytes.value {
                let source = match body.source {
                    Source::Default => &settings.limits.inflight_bytes.source,
                    _ => &body.source,
                };
                self.error(
                    ProblemCode::Contradiction,
                    &own_key(prefix, "limits.body", &body.source, &settings.defaults.body.limit.source),
                    source,
                    "one body of this size is more than `limits.inflight_bytes` allows for all together".to_owned(),
                    "make `body` smaller or `inflight_bytes` larger",
                );
            }
            let inherited = &settings.defaults.cors;
            for origin in policy
                .cors
                .origins
                .iter()
                .filter(|origin| origin.is_plaintext_remote())
            {
                self.risk(
                    &own_key(
                        prefix,
                        "cors.origins",
                        &policy.cors.origins.source,
                        &inherited.origins.source,
                    ),
                    &origin.source,
                    format!(
                        "{} is plain HTTP: whoever sits on the way can speak in its name",
                        origin.text
                    ),
                    "serve that site by HTTPS and write `https://`",
                );
            }
            for regex in policy
                .cors
                .origin_regexes
                .iter()
                .filter(|regex| !regex.pins_domain)
            {
                let source = &policy.cors.origin_regexes.source;
                self.risk(
                    &own_key(prefix, "cors.origin_regexes", source, &inherited.origin_regexes.source),
                    &regex.source,
                    "it does not end in one domain, letter by letter, so that others may match".to_owned(),
                    r"write each domain as an entry of its own, such as `https://[a-z0-9-]+\.example\.com`",
                );
            }
        }
    }

    /// Row C-5: credentials only for origins that were named.
    fn credentials(&mut self, cors: &Cors, prefix: &str) {
        if !cors.credentials.value {
            return;
        }
        let inherited = &self.settings.defaults.cors.credentials.source;
        let key = own_key(
            prefix,
            "cors.credentials",
            &cors.credentials.source,
            inherited,
        );
        let is_misspelt =
            self.problems.concern("cors.origins") || self.problems.concern("cors.origin_regexes");
        if cors.origins.is_empty() && cors.origin_regexes.is_empty() && !is_misspelt {
            self.error(
                ProblemCode::Contradiction,
                &key,
                &cors.credentials.source,
                "credentials are for named origins, and none is named".to_owned(),
                "add `origins = [\"https://app.example.com\"]` beside it, or take `credentials` out",
            );
        }
        if let Some(regex) = cors.origin_regexes.iter().find(|regex| !regex.pins_domain) {
            self.error(
                ProblemCode::Contradiction,
                &key,
                &cors.credentials.source,
                format!("credentials are for named origins, and /{}/ may match others", regex.text),
                r"end the expression in one domain, such as `\.example\.com`, or take `credentials` out",
            );
        }
    }

    fn servers(&mut self, said: bool) {
        let settings = self.settings;
        if !said {
            self.error(
                ProblemCode::Missing,
                "server",
                &Source::Default,
                "there is no server to stand in front of".to_owned(),
                "run `palisade serve http://127.0.0.1:3000/mcp`, or add a `[[server]]` with `name` and `upstream` or `command`",
            );
        }
        for server in &settings.servers {
            self.upstream(server);
        }
    }

    fn upstream(&mut self, server: &Server) {
        let Backend::Url(url) = &server.backend else {
            return;
        };
        let key = format!("server.{}.upstream", server.name.value);
        if !url.https && !url.is_loopback() {
            if server.plaintext_upstream.value {
                let problem = Problem::error(
                    ProblemCode::Risk,
                    format!("server.{}.plaintext_upstream", server.name.value),
                    format!("accepted: requests go to {} unencrypted", url.authority()),
                );
                self.problems.push(
                    problem
                        .warning()
                        .at(self.places.place_of(&server.plaintext_upstream.source)),
                );
            } else {
                self.error(
                    ProblemCode::Refused,
                    &key,
                    &url.source,
                    format!(
                        "{} is another machine, and plain HTTP would be readable on the way",
                        url.authority()
                    ),
                    match url.source {
                        Source::Flag(_) => {
                            "write `https://`, or set PALISADE_SERVER__MCP__PLAINTEXT_UPSTREAM=true"
                        }
                        _ => "write `https://`, or add `plaintext_upstream = true` to this server",
                    },
                );
            }
        }
        let is_ours = |listener: &Value<SocketAddr>| {
            listener.port() == url.port_or_default()
                && url.is_loopback()
                && (loopback(listener.ip()) || listener.ip().is_unspecified())
                && (url.host == "localhost"
                    || listener.ip().is_unspecified()
                    || url.host.trim_matches(['[', ']']) == listener.ip().to_string())
        };
        if self.settings.listen.iter().any(is_ours) {
            self.error(
                ProblemCode::Contradiction,
                &key,
                &url.source,
                format!(
                    "Palisade itself listens on {}, so it would call itself",
                    url.authority()
                ),
                "write the server's own port, or change `listen`",
            );
        }
    }

    fn public_url(&mut self) {
        let Some(url) = &self.settings.public_url else {
            return;
        };
        if !url.https && !url.is_loopback() {
            let problem = Problem::error(
                ProblemCode::Risk,
                "public_url",
                "it is plain HTTP, which clients refuse for anything with a token",
            );
            let problem = problem
                .warning()
                .remedy("write `https://`, also when another proxy ends TLS");
            self.problems
                .push(problem.at(self.places.place_of(&url.source)));
        }
    }

    fn tls(&mut self) {
        let Some(tls) = &self.settings.tls else {
            return;
        };
        if let Identity::Local(source) = &tls.identity
            && let Some(listener) = self
                .settings
                .listen
                .iter()
                .find(|listener| !loopback(listener.ip()))
        {
            let problem = Problem::error(
                ProblemCode::Risk,
                "tls.local",
                format!(
                    "other machines reach {} and do not know Palisade's own certificate authority",
                    listener.value
                ),
            );
            let problem = problem
                .warning()
                .remedy("use a certificate that clients trust: `certificate` and `key`");
            self.problems
                .push(problem.at(self.places.place_of(&source.source)));
        }
    }

    fn accepted(&mut self, key: &str, source: &Source, cause: String) {
        let problem = Problem::error(
            ProblemCode::Risk,
            format!("i_accept.{key}"),
            format!("accepted: {cause}"),
        );
        self.problems
            .push(problem.warning().at(self.places.place_of(source)));
    }

    fn risk(&mut self, key: &str, source: &Source, cause: String, remedy: &str) {
        let problem = Problem::error(ProblemCode::Risk, key, cause).warning();
        self.problems
            .push(problem.remedy(remedy).at(self.places.place_of(source)));
    }

    fn error(
        &mut self,
        code: ProblemCode,
        key: &str,
        source: &Source,
        cause: String,
        remedy: &str,
    ) {
        let place: Place = self.places.place_of(source);
        self.problems
            .push(Problem::error(code, key, cause).remedy(remedy).at(place));
    }
}

/// The key under the server, or the inherited one where the value came from there.
fn own_key(prefix: &str, key: &str, own: &Source, inherited: &Source) -> String {
    if own == inherited {
        key.to_owned()
    } else {
        format!("{prefix}{key}")
    }
}

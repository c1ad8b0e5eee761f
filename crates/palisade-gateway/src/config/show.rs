//! Printing what holds: every value with the place it came from, for `palisade config show` and
//! for the table at start. No key of the settings holds a secret; files of secrets are shown by
//! name.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::settings::{
    Backend, Command, Credential, Identity, List, Policy, Server, ServerAuth, Settings, Sink,
    Source, Value,
};
use super::units::{show_duration, show_size};

/// One resolved value.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The key with its sections, such as `server.files.cors.max_age`.
    pub key: String,
    /// The value as the file would say it; null where there is none.
    pub value: Json,
    /// Where it came from.
    pub source: Source,
}

impl Settings {
    /// Every value, in the order of the documentation. A server's rows hold what differs in place
    /// or value from the defaults.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Rows::default();
        rows.list("listen", &self.listen, |address| json!(address.to_string()));
        rows.add("workers", &self.workers, |count| {
            count.map_or_else(|| json!("one per core"), |n| json!(n))
        });
        rows.list("hosts", &self.hosts, |host| json!(host.to_string()));
        if let Some(url) = &self.public_url {
            rows.add("public_url", url, |url| json!(url.origin()));
        }
        rows.add("dev", &self.dev, |dev| json!(dev));
        rows.add("i_accept.plaintext", &self.accept.plaintext, |yes| {
            json!(yes)
        });
        rows.add(
            "i_accept.no_authentication",
            &self.accept.no_authentication,
            |yes| json!(yes),
        );
        rows.add("host.mode", &self.host_mode, |mode| json!(mode.name()));
        if let Some(proxy) = &self.proxy {
            rows.list("proxy.trusted", &proxy.trusted, |range| {
                json!(range.to_string())
            });
            rows.add("proxy.client_address", &proxy.client_address, |source| {
                json!(source.name())
            });
            if let Some(form) = &proxy.client_certificate {
                rows.add("proxy.client_certificate", form, |form| json!(form.name()));
            }
        }
        self.tls_rows(&mut rows);
        self.auth_rows(&mut rows);
        self.limit_rows(&mut rows);
        self.egress_rows(&mut rows);
        rows.add("drain.deadline", &self.drain_deadline, |d| {
            json!(show_duration(*d))
        });
        if let Some(version) = &self.server_version {
            rows.add("SERVER_VERSION", version, |version| json!(version));
        }
        let defaults = rows.of_policy(&self.defaults);
        rows.list.extend(defaults.iter().cloned());
        for server in &self.servers {
            rows.server(server, &defaults);
        }
        rows.list
    }

    /// The rows as text, in aligned columns.
    #[must_use]
    pub fn show(&self) -> String {
        let rows = self.rows();
        let lines: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    format!("{} = {}", row.key, row.value),
                    row.source.to_string(),
                )
            })
            .collect();
        let width = lines
            .iter()
            .map(|(line, _)| line.chars().count())
            .filter(|n| *n <= 72)
            .max()
            .unwrap_or(0);
        let mut out = String::new();
        for (line, source) in lines {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{line:<width$}  # {source}");
        }
        out
    }

    /// The rows for machines: an array of objects with `key`, `value` and `source`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let rows = self.rows().into_iter();
        rows.map(
            |row| json!({ "key": row.key, "value": row.value, "source": row.source.to_string() }),
        )
        .collect()
    }

    fn tls_rows(&self, rows: &mut Rows) {
        let Some(tls) = &self.tls else {
            rows.add("tls", &Value::from(false), |none| json!(none));
            return;
        };
        match &tls.identity {
            Identity::Files { certificate, key } => {
                rows.add("tls.certificate", certificate, |path| json!(path));
                rows.add("tls.key", key, |path| json!(path));
            }
            Identity::Local(local) => rows.add("tls.local", local, |local| json!(local)),
        }
        rows.add("tls.profile", &tls.profile, |profile| json!(profile.name()));
        if let Some(clients) = &tls.clients {
            rows.add("tls.client_ca", &clients.ca, |path| json!(path));
            rows.add("tls.client_auth", &clients.auth, |auth| json!(auth.name()));
            if let Some(crl) = &clients.crl {
                rows.add("tls.client_crl", crl, |path| json!(path));
            }
        }
        rows.list("tls.redirect", &tls.redirect, |address| {
            json!(address.to_string())
        });
    }

    fn egress_rows(&self, rows: &mut Rows) {
        let egress = &self.egress;
        if let Some(level) = &egress.min_level {
            rows.add("egress.min_level", level, |level| json!(level.name()));
        }
        rows.add("egress.max_level", &egress.max_level, |level| {
            json!(level.name())
        });
        let text = |text: &String| json!(text);
        rows.list("egress.allow_special", &egress.allow_special, text);
        rows.list("egress.deny", &egress.deny, text);
        rows.list("egress.nat64", &egress.nat64, text);
        rows.list("egress.ports", &egress.ports, |port| json!(port));
        rows.list("egress.dns", &egress.dns, |server| {
            json!(server.to_string())
        });
        if let Some(ca) = &egress.ca {
            rows.add("egress.ca", ca, |path| json!(path));
        }
        if let Some(urls) = &egress.urls {
            rows.add("egress.urls", urls, |mode| json!(mode.name()));
        }
        rows.add("egress.listen", &egress.listen, |address| {
            json!(address.to_string())
        });
        for (name, user) in &egress.users {
            let key = |key: &str| format!("egress.user.{name}.{key}");
            rows.add(&key("password_file"), &user.password_file, |path| {
                json!(path)
            });
            if let Some(list) = &user.egress {
                rows.list(&key("egress"), list, text);
            }
        }
    }

    fn auth_rows(&self, rows: &mut Rows) {
        let auth = &self.auth;
        if !auth.is_configured() {
            rows.add("auth", &Value::from(false), |none| json!(none));
            return;
        }
        for jwt in &auth.jwt {
            let key = |name: &str| format!("auth.jwt.{}.{name}", json!(jwt.issuer.value));
            rows.add(&key("issuer"), &jwt.issuer, |issuer| json!(issuer));
            rows.list(&key("audience"), &jwt.audience, |audience| json!(audience));
            if let Some(jwks) = &jwt.jwks {
                rows.add(&key("jwks"), jwks, |url| json!(url.to_string()));
            }
            if let Some(keys) = &jwt.keys {
                rows.add(&key("keys"), keys, |path| json!(path));
            }
            rows.list(&key("type"), &jwt.kinds, |kind| json!(kind));
            rows.list(&key("algorithms"), &jwt.algorithms, |name| {
                json!(name.name())
            });
            rows.add(&key("groups"), &jwt.groups, |claim| json!(claim));
            rows.add(&key("key_cache"), &jwt.key_cache, |d| {
                json!(show_duration(*d))
            });
            rows.add(&key("leeway"), &jwt.leeway, |d| json!(show_duration(*d)));
        }
        for api_key in &auth.keys {
            let key = |name: &str| format!("auth.api_key.{}.{name}", json!(api_key.name.value));
            rows.add(&key("name"), &api_key.name, |name| json!(name));
            rows.add(&key("hash"), &api_key.hash, |_| json!("********"));
            if let Some(expires) = &api_key.expires {
                rows.add(&key("expires"), expires, |end| json!(end));
            }
            rows.list(&key("scopes"), &api_key.scopes, |scope| json!(scope));
            rows.list(&key("groups"), &api_key.groups, |group| json!(group));
        }
        if let Some(identity) = &auth.certificate {
            rows.list("auth.certificate.identity", identity, |part| {
                json!(part.name())
            });
        }
        rows.list("auth.key_headers", &auth.key_headers, |name| {
            json!(name.as_str())
        });
        rows.list("auth.scopes", &auth.scopes, |scope| json!(scope));
        rows.list("auth.allow_special", &auth.allow_special, |entry| {
            json!(entry)
        });
        rows.add("auth.session_lifetime", &auth.session_lifetime, |d| {
            json!(show_duration(*d))
        });
    }

    fn limit_rows(&self, rows: &mut Rows) {
        let limits = &self.limits;
        rows.add("limits.header_bytes", &limits.header_bytes, |bytes| {
            json!(show_size(*bytes))
        });
        rows.add("limits.header_count", &limits.header_count, |count| {
            json!(count)
        });
        rows.add("limits.connections", &limits.connections, |count| {
            json!(count)
        });
        rows.add(
            "limits.connections_per_peer",
            &limits.connections_per_peer,
            |count| json!(count),
        );
        rows.add("limits.streams", &limits.streams, |count| json!(count));
        rows.add("limits.inflight_bytes", &limits.inflight_bytes, |bytes| {
            json!(show_size(*bytes))
        });
        rows.add(
            "limits.inflight_requests",
            &limits.inflight_requests,
            |count| json!(count),
        );
        let timeouts = &limits.timeouts;
        for (name, value) in [
            ("handshake", &timeouts.handshake),
            ("first_byte", &timeouts.first_byte),
            ("headers", &timeouts.headers),
            ("body", &timeouts.body),
            ("idle", &timeouts.idle),
            ("connect", &timeouts.connect),
            ("write", &timeouts.write),
        ] {
            rows.add(&format!("limits.timeouts.{name}"), value, |d| {
                json!(show_duration(*d))
            });
        }
    }
}

#[derive(Default)]
struct Rows {
    list: Vec<Row>,
}

impl Rows {
    fn add<T>(&mut self, key: &str, value: &Value<T>, show: impl FnOnce(&T) -> Json) {
        self.list.push(Row {
            key: key.to_owned(),
            value: show(&value.value),
            source: value.source.clone(),
        });
    }

    fn list<T>(&mut self, key: &str, list: &List<T>, show: impl Fn(&T) -> Json) {
        // A list that nobody said but that got entries from elsewhere came from there.
        let source = match (&list.source, list.value.first()) {
            (Source::Default, Some(first)) => first.source.clone(),
            (source, _) => source.clone(),
        };
        self.list.push(Row {
            key: key.to_owned(),
            value: list.value.iter().map(|entry| show(&entry.value)).collect(),
            source,
        });
    }

    fn of_policy(&self, policy: &Policy) -> Vec<Row> {
        let mut rows = Self::default();
        rows.add("mode", &policy.mode, |mode| json!(mode.name()));
        rows.add("origin.mode", &policy.origin_mode, |mode| {
            json!(mode.name())
        });
        let cors = &policy.cors;
        rows.add("cors.mode", &cors.mode, |mode| json!(mode.name()));
        rows.list("cors.origins", &cors.origins, |origin| json!(origin.text));
        rows.list("cors.origin_regexes", &cors.origin_regexes, |regex| {
            json!(regex.text)
        });
        rows.add("cors.loopback_origins", &cors.loopback_origins, |yes| {
            json!(yes)
        });
        rows.add("cors.credentials", &cors.credentials, |yes| json!(yes));
        rows.add("cors.max_age", &cors.max_age, |age| json!(age.as_secs()));
        rows.list("cors.methods", &cors.methods, |method| {
            json!(method.as_str())
        });
        rows.list("cors.allow_headers", &cors.allow_headers, |name| {
            json!(name.as_str())
        });
        rows.list("cors.expose_headers", &cors.expose_headers, |name| {
            json!(name.as_str())
        });
        rows.list("cors.private_network", &cors.private_network, |origin| {
            json!(origin.text)
        });
        let headers = &policy.headers;
        rows.add("headers.mode", &headers.mode, |mode| json!(mode.name()));
        rows.add("headers.hsts", &headers.hsts, |hsts| match hsts {
            Some(hsts) => json!({
                "max_age": hsts.max_age.as_secs(),
                "include_subdomains": hsts.include_subdomains,
                "preload": hsts.preload,
            }),
            None => json!(false),
        });
        for header in &headers.fixed {
            rows.add(&format!("headers.{}", header.key), &header.value, |value| {
                value.as_ref().map_or_else(
                    || json!(false),
                    |value| json!(value.to_str().unwrap_or_default()),
                )
            });
        }
        rows.list("headers.keep", &headers.keep, |name| json!(name.as_str()));
        let rate = &policy.rate;
        rows.add("rate.mode", &rate.mode, |mode| json!(mode.name()));
        rows.add("rate.peer", &rate.peer, |rate| json!(rate.to_string()));
        rows.add("rate.limit", &rate.limit, |rate| json!(rate.to_string()));
        rows.add("rate.failed", &rate.failed, |rate| json!(rate.to_string()));
        rows.add("rate.burst", &rate.burst, |burst| {
            burst.map_or_else(|| json!("the limit's number"), |n| json!(n))
        });
        rows.list("rate.headers", &rate.headers, |form| json!(form.name()));
        rows.add("limits.mode", &policy.body.mode, |mode| json!(mode.name()));
        rows.add("limits.body", &policy.body.limit, |bytes| {
            json!(show_size(*bytes))
        });
        rows.add("limits.json_depth", &policy.body.json_depth, |depth| {
            json!(depth)
        });
        rows.list("audit.sink", &policy.audit.sinks, |sink| match sink {
            Sink::File(path) => json!({ "file": path }),
            Sink::Otlp(otlp) => shown(json!({
                "otlp": otlp.url.to_string(),
                "ca": otlp.ca,
                "token_file": otlp.token_file,
            })),
            Sink::S3(s3) => shown(json!({
                "s3": format!("s3://{}/{}", s3.bucket, s3.prefix),
                "endpoint": s3.endpoint.as_ref().map(ToString::to_string),
                "region": s3.region,
                "ca": s3.ca,
                "every": show_duration(s3.every),
                "retention": s3.retention.map_or_else(|| json!(false), |span| json!(show_duration(span))),
                "retention_mode": s3.mode.name(),
            })),
            Sink::Stdout => json!("stdout"),
        });
        rows.add("audit.fail", &policy.audit.fail, |fail| json!(fail.name()));
        rows.add("audit.write_ahead", &policy.audit.write_ahead, |of| {
            json!(of.name())
        });
        rows.add("audit.durability", &policy.audit.durability, |how| {
            json!(how.name())
        });
        rows.list("audit.destructive", &policy.audit.destructive, |pattern| {
            json!(pattern)
        });
        rows.list("audit.rule", &policy.audit.rules, |rule| {
            json!({
                "tool": rule.tool,
                "level": rule.level.name(),
                "redact": rule.redact.name(),
                "allow": rule.allow,
            })
        });
        if let Some(key) = &policy.audit.pseudonym_key {
            rows.add("audit.pseudonym_key", key, |path| json!(path));
        }
        let rotate = &policy.audit.rotate;
        rows.add("audit.rotate.size", &rotate.size, |bytes| {
            json!(show_size(*bytes))
        });
        if let Some(every) = &rotate.every {
            rows.add("audit.rotate.every", every, |age| {
                json!(show_duration(*age))
            });
        }
        rows.add("audit.rotate.compress", &rotate.compress, |how| {
            json!(how.name())
        });
        if let Some(keep) = &rotate.keep {
            rows.add("audit.rotate.keep", keep, |files| json!(files));
        }
        if let Some(keep) = &rotate.keep_for {
            rows.add("audit.rotate.keep_for", keep, |span| {
                json!(show_duration(*span))
            });
        }
        rows.add("egress.mode", &policy.egress_mode, |mode| {
            json!(mode.name())
        });
        rows.list
    }

    fn command(&mut self, prefix: &str, command: &Command) {
        let key = |name: &str| format!("{prefix}.{name}");
        self.list(&key("command"), &command.command, |word| json!(word));
        self.add(&key("scope"), &command.scope, |scope| json!(scope.name()));
        self.list(
            &key("environment"),
            &command.environment,
            |entry| match entry.value {
                Some(_) => json!(format!("{}=********", entry.name)),
                None => json!(entry.name),
            },
        );
        if let Some(directory) = &command.directory {
            self.add(&key("directory"), directory, |path| json!(path));
        }
        self.add(&key("sessions"), &command.sessions, |most| json!(most));
        self.add(&key("session_idle"), &command.session_idle, |idle| {
            json!(show_duration(*idle))
        });
        self.add(&key("start_timeout"), &command.start_timeout, |most| {
            json!(show_duration(*most))
        });
        if let Some(level) = &command.max_level {
            self.add(&key("max_level"), level, |level| json!(level.name()));
        }
        self.list(&key("sockets"), &command.sockets, |path| json!(path));
        if let Some(install) = &command.install {
            self.list(&key("install.command"), &install.command, |word| {
                json!(word)
            });
            if let Some(list) = &install.egress {
                self.list(&key("install.egress"), list, |host| json!(host));
            }
            self.add(&key("install.timeout"), &install.timeout, |most| {
                json!(show_duration(*most))
            });
        }
    }

    fn server_auth(&mut self, prefix: &str, auth: &ServerAuth) {
        let key = |name: &str| format!("{prefix}.{name}");
        self.add(&key("auth"), &auth.required, |required| {
            json!(if *required { "required" } else { "none" })
        });
        self.add(&key("forward_authorization"), &auth.forward, |yes| {
            json!(yes)
        });
        if auth.required.value {
            self.add(&key("caller_header"), &auth.caller_header, |form| {
                json!(form.name())
            });
        }
        if let Some(form) = &auth.certificate_header {
            self.add(&key("certificate_header"), form, |form| json!(form.name()));
        }
        match &auth.credential {
            Some(Credential::File(path)) => {
                self.add(&key("credential_file"), path, |path| json!(path));
            }
            Some(Credential::Variable(name)) => {
                self.add(&key("credential_env"), name, |name| json!(name));
            }
            None => {}
        }
        for (index, allow) in auth.allow.iter().enumerate() {
            for (name, list) in [
                ("caller", &allow.callers),
                ("group", &allow.groups),
                ("scope", &allow.scopes),
                ("tool", &allow.tools),
                ("prompt", &allow.prompts),
                ("resource", &allow.resources),
            ] {
                if !list.is_empty() {
                    let key = key(&format!("allow.{}.{name}", index + 1));
                    self.list(&key, list, |entry| json!(entry));
                }
            }
        }
    }

    fn server(&mut self, server: &Server, defaults: &[Row]) {
        let prefix = format!("server.{}", server.name.value);
        let key = |name: &str| format!("{prefix}.{name}");
        self.add(&key("name"), &server.name, |name| json!(name));
        self.add(&key("path"), &server.path, |path| json!(path));
        if let Some(host) = &server.host {
            self.add(&key("host"), host, |host| json!(host.to_string()));
        }
        match &server.backend {
            Backend::Command(command) => self.command(&prefix, command),
            Backend::Url(url) => {
                self.add(&key("upstream"), url, |url| json!(url.to_string()));
                self.add(
                    &key("plaintext_upstream"),
                    &server.plaintext_upstream,
                    |yes| json!(yes),
                );
            }
        }
        self.add(&key("kind"), &server.kind, |kind| json!(kind.name()));
        if let Backend::Url(_) = &server.backend {
            self.add(&key("upstream_host"), &server.upstream_host, |host| {
                json!(host.name())
            });
        }
        self.add(&key("timeout"), &server.timeout, |timeout| {
            timeout.map_or_else(|| json!("none"), |timeout| json!(show_duration(timeout)))
        });
        self.add(&key("concurrency"), &server.concurrency, |count| {
            count.map_or_else(|| json!("as many as connect"), |n| json!(n))
        });
        if let Some(list) = &server.egress {
            self.list(&key("egress"), list, |host| json!(host));
        }
        if let Some(urls) = &server.urls {
            self.add(&key("urls"), urls, |mode| json!(mode.name()));
        }
        self.server_auth(&prefix, &server.auth);
        for (name, tool) in &server.tools {
            let quoted = json!(name);
            if let Some(urls) = &tool.urls {
                self.add(&key(&format!("tool.{quoted}.urls")), urls, |mode| {
                    json!(mode.name())
                });
            }
            if let Some(timeout) = &tool.timeout {
                self.add(&key(&format!("tool.{quoted}.timeout")), timeout, |d| {
                    json!(show_duration(*d))
                });
            }
            if let Some(concurrency) = &tool.concurrency {
                self.add(
                    &key(&format!("tool.{quoted}.concurrency")),
                    concurrency,
                    |n| json!(n),
                );
            }
            if let Some(rate) = &tool.rate {
                self.add(&key(&format!("tool.{quoted}.rate")), rate, |rate| {
                    json!(rate.to_string())
                });
            }
        }
        for row in self.of_policy(&server.policy) {
            if !defaults.contains(&row) {
                self.list.push(Row {
                    key: format!("{prefix}.{}", row.key),
                    ..row
                });
            }
        }
    }
}

/// A table without the keys that nothing was said of.
fn shown(mut table: Json) -> Json {
    if let Json::Object(members) = &mut table {
        members.retain(|_, value| !value.is_null());
    }
    table
}

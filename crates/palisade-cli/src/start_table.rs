//! What a gateway says of itself when it starts: where it listens, what it lets in, and why.

use std::fmt::Write as _;

use palisade_gateway::config::{Identity, Mode, Settings, Sink, Source, loopback};
use palisade_gateway::serve::Gateway;

/// The table, one line a fact, each with the reason.
pub(crate) fn render(settings: &Settings, gateway: &Gateway) -> String {
    let mut table = Table::default();
    let scheme = if settings.is_tls() { "https" } else { "http" };
    for (address, asked) in gateway.addresses().zip(&settings.listen.value) {
        for server in &settings.servers {
            let path = &server.path.value;
            table.row(
                "listen",
                format!("{scheme}://{address}{path}"),
                &asked.source,
            );
        }
    }
    for address in gateway.redirects() {
        table.fact("redirect", format!("http://{address}"), "tls.redirect");
    }
    tls(settings, &mut table);
    for (address, asked) in gateway.addresses().zip(&settings.listen.value) {
        let hosts: Vec<String> = settings
            .hosts_on(address)
            .iter()
            .map(|entry| entry.value.host.clone())
            .collect();
        let why = if loopback(asked.value.ip()) {
            "loopback names, and `hosts`"
        } else {
            "`hosts`"
        };
        table.fact("hosts", hosts.join(", "), why);
    }
    table.fact(
        "authentication",
        "none",
        "this version authenticates nobody",
    );
    for server in &settings.servers {
        let policy = &server.policy;
        let name = &server.name.value;
        table.row(
            &format!("{name}: upstream"),
            server.upstream.value.to_string(),
            &server.upstream.source,
        );
        let origins = policy.cors.origins.value.len() + policy.cors.origin_regexes.value.len();
        let pages = if policy.cors.loopback_origins.value {
            "pages of this machine".to_owned()
        } else if origins == 0 {
            "none but our own".to_owned()
        } else {
            format!("{origins} allowed")
        };
        table.row(
            &format!("{name}: origins"),
            pages,
            &policy.cors.origins.source,
        );
        table.row(
            &format!("{name}: rate per address"),
            policy.rate.peer.value.to_string(),
            &policy.rate.peer.source,
        );
        let modes = [
            ("host", settings.host_mode.value),
            ("origin", policy.origin_mode.value),
            ("cors", policy.cors.mode.value),
            ("headers", policy.headers.mode.value),
            ("rate", policy.rate.mode.value),
            ("body", policy.body.mode.value),
        ];
        table.row(
            &format!("{name}: layers"),
            layers(&modes),
            &policy.mode.source,
        );
    }
    let sinks: Vec<String> = settings
        .defaults
        .audit
        .sinks
        .value
        .iter()
        .map(|sink| match &sink.value {
            Sink::File(path) => path.display().to_string(),
            Sink::Stdout => "standard output".to_owned(),
        })
        .collect();
    let fail = settings.defaults.audit.fail.value.name();
    table.row(
        "audit",
        format!("{}; fail {fail}", sinks.join(", ")),
        &settings.defaults.audit.sinks.source,
    );
    for (accepted, what) in [
        (&settings.accept.plaintext, "plaintext"),
        (&settings.accept.no_authentication, "no_authentication"),
    ] {
        if accepted.value {
            table.row(
                "WARNING",
                format!("i_accept.{what} = true"),
                &accepted.source,
            );
        }
    }
    table.finish()
}

fn tls(settings: &Settings, table: &mut Table) {
    match &settings.tls {
        None => table.fact("tls", "off", "no [tls]; allowed on loopback"),
        Some(tls) => {
            let profile = tls.profile.value.name();
            match &tls.identity {
                Identity::Files { certificate, .. } => {
                    let path = certificate.value.display();
                    table.row("tls", format!("{profile}; {path}"), &certificate.source);
                }
                Identity::Local(local) => {
                    table.row(
                        "tls",
                        format!("{profile}; local certificate authority"),
                        &local.source,
                    );
                }
            }
        }
    }
}

/// One word where all layers are in one mode, else each by name.
fn layers(modes: &[(&str, Mode)]) -> String {
    match modes {
        [(_, first), rest @ ..] if rest.iter().all(|(_, mode)| mode == first) => {
            format!("all {}", first.name())
        }
        _ => modes
            .iter()
            .map(|(layer, mode)| format!("{layer} {}", mode.name()))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

#[derive(Default)]
struct Table {
    rows: Vec<(String, String, String)>,
}

impl Table {
    fn row(&mut self, name: &str, value: impl ToString, source: &Source) {
        self.rows
            .push((name.to_owned(), value.to_string(), source.to_string()));
    }

    fn fact(&mut self, name: &str, value: impl ToString, why: &str) {
        self.rows
            .push((name.to_owned(), value.to_string(), why.to_owned()));
    }

    fn finish(self) -> String {
        let width = |column: fn(&(String, String, String)) -> &String| {
            self.rows
                .iter()
                .map(|row| column(row).chars().count())
                .max()
                .unwrap_or(0)
        };
        let (first, second) = (width(|row| &row.0), width(|row| &row.1).min(60));
        let mut out = String::new();
        for (name, value, why) in &self.rows {
            let _ = writeln!(out, "  {name:first$}  {value:second$}  ({why})");
        }
        out
    }
}

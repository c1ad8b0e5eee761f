//! From what was said to what is meant: text read, defaults filled in, servers inheriting.
//!
//! Nothing stops at a mistake: it is reported, the value underneath stays, and reading goes on.

mod auth;
mod command;
mod egress;
mod install;
mod policy;
mod rules;
mod server;
mod sinks;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use super::defaults;
use super::document::{At, Places, Said};
use super::file::{self, File, NumberOrText};
use super::names::{Fault, HostEntry, HttpUrl};
use super::problem::{Problem, ProblemCode, Problems};
use super::settings::{
    Accept, ClientCertificates, Identity, Limits, List, Policy, Proxy, Settings, Source, Timeouts,
    Tls, Value,
};
use super::shape::join;
use super::units;

use policy::Said as SaidPolicy;

/// No list has more, servers included: all of them are walked on the way of a request.
const MOST_ENTRIES: usize = 1000;

/// What is meant by `file`.
pub(super) fn resolve(
    file: &File,
    path: Option<&Path>,
    dev: bool,
    seen: Seen,
    version: Option<(String, Source)>,
    places: &Places,
    problems: &mut Problems,
) -> Settings {
    let mut resolver = Resolver {
        places,
        directory: path.and_then(Path::parent).unwrap_or_else(|| Path::new("")),
        problems,
        section: String::new(),
    };
    let mut settings = resolver.settings(file, path, version);
    if dev {
        rules::develop(&mut settings);
    }
    rules::check(&settings, seen, places, problems);
    settings
}

/// What was said at all, rightly or not: nothing is missing that is only wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) server: bool,
    pub(super) tls: bool,
}

/// Reads said values into resolved ones; what is wrong is reported under the current section.
struct Resolver<'a> {
    places: &'a Places,
    directory: &'a Path,
    problems: &'a mut Problems,
    section: String,
}

impl Resolver<'_> {
    fn settings(
        &mut self,
        file: &File,
        path: Option<&Path>,
        version: Option<(String, Source)>,
    ) -> Settings {
        let defaults = self.policy(&SaidPolicy::of_file(file), &Policy::default(), None);
        let mut listen = defaults::list(defaults::LISTEN.parse());
        self.list(&mut listen, file.listen.as_ref(), "listen", |text| {
            listener(text)
        });
        let mut hosts = List::default();
        self.list(&mut hosts, file.hosts.as_ref(), "hosts", |text| {
            HostEntry::parse(text)
        });
        let mut public_url = None;
        self.option(
            &mut public_url,
            file.public_url.as_ref(),
            "public_url",
            |text| public(text),
        );
        let mut host_mode = defaults.mode.clone();
        self.copy(&mut host_mode, file.host.mode.as_ref());
        let mut workers = Value::from(None);
        self.value(&mut workers, file.workers.as_ref(), "workers", |count| {
            Ok(usize::try_from(*count).ok().and_then(NonZeroUsize::new))
        });
        let mut accept = Accept::default();
        self.copy(&mut accept.plaintext, file.i_accept.plaintext.as_ref());
        self.copy(
            &mut accept.no_authentication,
            file.i_accept.no_authentication.as_ref(),
        );
        let mut drain_deadline = Value::from(defaults::DRAIN_DEADLINE);
        self.value(
            &mut drain_deadline,
            file.drain.deadline.as_ref(),
            "drain.deadline",
            |text| duration(text),
        );
        let proxy = file.proxy.as_ref().and_then(|proxy| self.proxy(proxy));
        let tls = file.tls.as_ref().and_then(|tls| self.tls(tls));
        let limits = self.limits(&file.limits);
        let egress = self.egress(&file.egress);
        let handed = |proxy: &Proxy| proxy.client_certificate.is_some();
        let asked = tls.as_ref().is_some_and(|tls| tls.clients.is_some())
            || proxy.as_ref().is_some_and(handed);
        let auth = self.auth(&file.auth, asked, file.tls.is_some());
        let servers = self.servers(&file.server, &defaults, file, auth.is_configured());
        let also = servers.iter().filter_map(|server| server.host.clone());
        let from_url = public_url
            .as_ref()
            .filter(|url| !url.is_loopback())
            .map(|url| {
                let host = url.host.clone();
                Value::new(HostEntry { host, port: None }, url.source.clone())
            });
        for host in also.chain(from_url) {
            if !hosts.iter().any(|known| known.value == host.value) {
                hosts.value.push(host);
            }
        }
        Settings {
            file: path.map(Path::to_owned),
            listen,
            workers,
            hosts,
            host_mode,
            public_url,
            dev: Value::from(false),
            accept,
            auth,
            proxy,
            tls,
            limits,
            egress,
            drain_deadline,
            server_version: version.map(|(version, source)| Value::new(version, source)),
            defaults,
            servers,
        }
    }

    fn tls(&mut self, said: &Said<file::Tls>) -> Option<Tls> {
        self.section = "tls".to_owned();
        let tls = &said.value;
        let local = tls.local.as_ref().filter(|local| local.value);
        let identity = match (local, &tls.certificate, &tls.key) {
            (Some(local), None, None) => Some(Identity::Local(Value::new(
                true,
                self.places.source(local.at),
            ))),
            (Some(local), _, _) => {
                self.report(
                    ProblemCode::Contradiction,
                    "local",
                    local.at,
                    "a local certificate authority and a certificate from a file exclude each other",
                    "keep `local`, or keep `certificate` and `key`",
                );
                None
            }
            (None, Some(certificate), Some(key)) => Some(Identity::Files {
                certificate: self.path(certificate),
                key: self.path(key),
            }),
            (None, Some(certificate), None) => {
                self.report(
                    ProblemCode::Missing,
                    "key",
                    certificate.at,
                    "the certificate has no private key beside it",
                    "add `key = \"key.pem\"` under `[tls]`",
                );
                None
            }
            (None, None, Some(key)) => {
                self.report(
                    ProblemCode::Missing,
                    "certificate",
                    key.at,
                    "the private key has no certificate beside it",
                    "add `certificate = \"cert.pem\"` under `[tls]`",
                );
                None
            }
            (None, None, None) => {
                self.report(
                    ProblemCode::Missing,
                    "certificate",
                    said.at,
                    "the section says nothing of where the certificate comes from",
                    "add `certificate` and `key`, or `local = true` for development",
                );
                None
            }
        };
        let mut profile = Value::default();
        self.copy(&mut profile, tls.profile.as_ref());
        let clients = self.clients(tls);
        let mut redirect = List::default();
        self.list(&mut redirect, tls.redirect.as_ref(), "redirect", |text| {
            listener(text)
        });
        self.section.clear();
        identity.map(|identity| Tls {
            identity,
            profile,
            clients,
            redirect,
        })
    }

    fn proxy(&mut self, said: &Said<file::Proxy>) -> Option<Proxy> {
        self.section = "proxy".to_owned();
        let mut proxy = Proxy {
            trusted: List::default(),
            client_address: Value::default(),
            client_certificate: None,
        };
        let trusted = said.value.trusted.as_ref();
        self.list(&mut proxy.trusted, trusted, "trusted", |text| range(text));
        self.copy(
            &mut proxy.client_address,
            said.value.client_address.as_ref(),
        );
        self.option(
            &mut proxy.client_certificate,
            said.value.client_certificate.as_ref(),
            "client_certificate",
            |form| Ok(*form),
        );
        if proxy.trusted.is_empty() && !self.problems.concern("proxy.trusted") {
            self.report(
                ProblemCode::Missing,
                "trusted",
                said.at,
                "who is trusted to say who the client is, is not said",
                "add `trusted = [\"10.0.0.0/8\"]` with the addresses of your proxies",
            );
        }
        self.section.clear();
        (!proxy.trusted.is_empty()).then_some(proxy)
    }

    fn clients(&mut self, tls: &file::Tls) -> Option<ClientCertificates> {
        let Some(ca) = &tls.client_ca else {
            let auth = tls
                .client_auth
                .as_ref()
                .map(|auth| ("client_auth", auth.at));
            let crl = tls.client_crl.as_ref().map(|crl| ("client_crl", crl.at));
            if let Some((name, at)) = auth.or(crl) {
                self.report(
                    ProblemCode::Missing,
                    name,
                    at,
                    "whose client certificates are taken is not said",
                    "add `client_ca = \"clients.pem\"` under `[tls]`",
                );
            }
            return None;
        };
        let mut auth = Value::default();
        self.copy(&mut auth, tls.client_auth.as_ref());
        Some(ClientCertificates {
            ca: self.path(ca),
            auth,
            crl: tls.client_crl.as_ref().map(|crl| self.path(crl)),
        })
    }

    fn limits(&mut self, said: &file::Limits) -> Limits {
        self.section = "limits".to_owned();
        let mut limits = Limits::default();
        self.value(
            &mut limits.header_bytes,
            said.header_bytes.as_ref(),
            "header_bytes",
            |said| bytes(said, 1 << 10, 1 << 20),
        );
        self.copy(&mut limits.header_count, said.header_count.as_ref());
        self.copy(&mut limits.connections, said.connections.as_ref());
        self.copy(
            &mut limits.connections_per_peer,
            said.connections_per_peer.as_ref(),
        );
        self.copy(&mut limits.streams, said.streams.as_ref());
        self.value(
            &mut limits.inflight_bytes,
            said.inflight_bytes.as_ref(),
            "inflight_bytes",
            |said| bytes(said, 1 << 10, 1 << 40),
        );
        self.copy(
            &mut limits.inflight_requests,
            said.inflight_requests.as_ref(),
        );
        self.section = "limits.timeouts".to_owned();
        let said = &said.timeouts;
        let Timeouts {
            handshake,
            first_byte,
            headers,
            body,
            idle,
            connect,
            write,
        } = &mut limits.timeouts;
        for (slot, said, name) in [
            (handshake, &said.handshake, "handshake"),
            (first_byte, &said.first_byte, "first_byte"),
            (headers, &said.headers, "headers"),
            (body, &said.body, "body"),
            (idle, &said.idle, "idle"),
            (connect, &said.connect, "connect"),
            (write, &said.write, "write"),
        ] {
            self.value(slot, said.as_ref(), name, |text| above_nought(text));
        }
        self.section.clear();
        limits
    }

    /// A path; relative to the file's directory when the file says it, else to the process's own.
    fn path(&self, said: &Said<String>) -> Value<PathBuf> {
        let source = self.places.source(said.at);
        let path = match source {
            Source::File(_) => self.directory.join(&said.value),
            _ => PathBuf::from(&said.value),
        };
        Value::new(path, source)
    }

    /// Takes what was said as it is.
    fn copy<T: Clone>(&self, slot: &mut Value<T>, said: Option<&Said<T>>) {
        if let Some(said) = said {
            *slot = Value::new(said.value.clone(), self.places.source(said.at));
        }
    }

    /// What was said, as it is.
    fn said<T: Clone>(&self, said: Option<&Said<T>>) -> Option<Value<T>> {
        said.map(|said| Value::new(said.value.clone(), self.places.source(said.at)))
    }

    /// Takes what was said if it can be read.
    fn value<T, U>(
        &mut self,
        slot: &mut Value<U>,
        said: Option<&Said<T>>,
        name: &str,
        read: impl FnOnce(&T) -> Result<U, Fault>,
    ) {
        let Some(said) = said else { return };
        match read(&said.value) {
            Ok(value) => *slot = Value::new(value, self.places.source(said.at)),
            Err(fault) => self.fault(name, said.at, fault),
        }
    }

    fn option<T, U>(
        &mut self,
        slot: &mut Option<Value<U>>,
        said: Option<&Said<T>>,
        name: &str,
        read: impl FnOnce(&T) -> Result<U, Fault>,
    ) {
        let Some(said) = said else { return };
        match read(&said.value) {
            Ok(value) => *slot = Some(Value::new(value, self.places.source(said.at))),
            Err(fault) => self.fault(name, said.at, fault),
        }
    }

    /// Takes every entry that can be read, in place of what was there; an entry said twice counts
    /// once.
    fn list<T, U: PartialEq>(
        &mut self,
        slot: &mut List<U>,
        said: Option<&Said<Vec<Said<T>>>>,
        name: &str,
        mut read: impl FnMut(&T) -> Result<U, Fault>,
    ) {
        let Some(said) = said else { return };
        if said.value.len() > MOST_ENTRIES {
            self.report(
                ProblemCode::BadValue,
                name,
                said.at,
                "it has more than 1,000 entries",
                "shorten the list",
            );
            return;
        }
        let mut values: Vec<Value<U>> = Vec::new();
        for entry in &said.value {
            match read(&entry.value) {
                Ok(value) if values.iter().any(|known| known.value == value) => {}
                Ok(value) => values.push(Value::new(value, self.places.source(entry.at))),
                Err(fault) => self.fault(name, entry.at, fault),
            }
        }
        *slot = Value::new(values, self.places.source(said.at));
    }

    fn fault(&mut self, name: &str, at: At, fault: Fault) {
        let mut problem = Problem::error(
            ProblemCode::BadValue,
            join(&self.section, name),
            fault.cause,
        );
        problem.remedy = fault.remedy;
        self.problems.push(problem.at(self.places.place(at)));
    }

    fn report(&mut self, code: ProblemCode, name: &str, at: At, cause: &str, remedy: &str) {
        let problem = Problem::error(code, join(&self.section, name), cause).remedy(remedy);
        self.problems.push(problem.at(self.places.place(at)));
    }
}

/// An address to listen on. `localhost` is 127.0.0.1; no other name is looked up.
fn listener(text: &str) -> Result<SocketAddr, Fault> {
    let numeric = text
        .strip_prefix("localhost:")
        .map(|port| format!("127.0.0.1:{port}"));
    numeric.as_deref().unwrap_or(text).parse().map_err(|_| {
        let remedy = match text.strip_prefix(':').unwrap_or(text) {
            port if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                format!("write \"127.0.0.1:{port}\" for this machine alone, or \"0.0.0.0:{port}\" or \"[::]:{port}\" for all")
            }
            _ => "write an IP address and a port, such as \"127.0.0.1:8080\" or \"[::1]:8080\"".to_owned(),
        };
        Fault::new("it is not an address to listen on", &remedy)
    })
}

/// An address or a CIDR. Everybody is no terminator.
fn range(text: &str) -> Result<ipnet::IpNet, Fault> {
    let one = text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from);
    match one.or_else(|_| text.parse::<ipnet::IpNet>()) {
        Ok(range) if range.prefix_len() == 0 => Err(Fault::new(
            "everybody would be believed, so that anyone could take any address",
            "name the addresses of your proxies",
        )),
        Ok(range) => Ok(range.trunc()),
        Err(_) => Err(Fault::new(
            "it is neither an address nor a range of them",
            "write one such as \"10.0.0.0/8\" or \"192.0.2.1\"",
        )),
    }
}

fn public(text: &str) -> Result<HttpUrl, Fault> {
    let url = HttpUrl::parse(text)?;
    if url.path == "/" {
        Ok(url)
    } else {
        Err(Fault::new(
            "it has a path; each server's own path is added to it",
            &format!("write \"{}\"", url.origin()),
        ))
    }
}

fn duration(text: &str) -> Result<std::time::Duration, Fault> {
    units::duration(text).map_err(|cause| {
        Fault::new(
            &format!("it is not a duration: {cause}"),
            "write a whole number and ms, s, m, h or d, such as \"60s\"",
        )
    })
}

fn above_nought(text: &str) -> Result<std::time::Duration, Fault> {
    match duration(text)? {
        duration if duration.is_zero() => Err(Fault::new(
            "in no time at all nothing can be done",
            "write a longer duration, such as \"10s\"",
        )),
        duration => Ok(duration),
    }
}

/// Whole seconds from a number or a duration.
fn seconds(said: &NumberOrText) -> Result<std::time::Duration, Fault> {
    match said {
        NumberOrText::Number(seconds) => duration(&format!("{seconds}s")),
        NumberOrText::Text(text) => match duration(text)? {
            whole if whole.subsec_nanos() == 0 => Ok(whole),
            _ => Err(Fault::new(
                "it is not a number of whole seconds",
                "write whole seconds",
            )),
        },
    }
}

fn bytes(said: &NumberOrText, least: u64, most: u64) -> Result<u64, Fault> {
    let bytes = match said {
        NumberOrText::Number(bytes) => *bytes,
        NumberOrText::Text(text) => units::size(text).map_err(|cause| {
            Fault::new(
                &format!("it is not a size: {cause}"),
                "write a whole number and B, KB, MB or GB, such as \"2MB\" (2,097,152 bytes)",
            )
        })?,
    };
    if (least..=most).contains(&bytes) {
        return Ok(bytes);
    }
    Err(Fault::new(
        &format!("{} is out of range", units::show_size(bytes)),
        &format!(
            "write a size between {} and {}",
            units::show_size(least),
            units::show_size(most)
        ),
    ))
}

fn rate(text: &str) -> Result<units::RateLimit, Fault> {
    units::rate(text).map_err(|cause| {
        Fault::new(
            &format!("it is not a rate: {cause}"),
            "write a whole number above nought, `/`, and s, min or h, such as \"100/min\"",
        )
    })
}

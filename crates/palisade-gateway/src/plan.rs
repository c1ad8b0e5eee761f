//! From settings to what the data path reads: compiled once, immutable, shared by all workers.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use palisade::Optional as _;
use palisade::audit::{Aggregate, Fail, Intents, Recorder, Rules};
use palisade::body::{DeclaredBody, Inflight};
use palisade::call_limits::{CallLimit, CallLimits, Slots};
use palisade::cors::CorsPolicy;
use palisade::headers::{HeaderPolicy, Hsts, Variant};
use palisade::host::{HostGuard, HostSet};
use palisade::inspect::Inspection;
use palisade::mcp::shown::Shown;
use palisade::origin::OriginGuard;
use palisade::origins::OriginSet;
use palisade::overload::Overload;
use palisade::rate::{Limiter, Peer, Preflights, Quota, RateGuard, Style};
use palisade::route::{Entry, Route};
use palisade::sanity::Sanity;
use palisade::stack::{self, Inner, InnerStack, Outer};
use palisade_audit::Log;
use palisade_http1::HeadLimits;
use palisade_http1::server as http1;
use tokio::sync::watch;

use crate::audit::{self, AuditError, Trail};
use crate::auth::{self, Askers, Common, OwnRoute, Passed, Told};
use crate::certs::client::ClientTrust;
use crate::certs::files;
use crate::certs::local_ca::{self, LocalCa};
use crate::certs::resolver::CertificateResolver;
use crate::config::{
    Answers, BASE_ENVIRONMENT, Backend as BackendSetting, ClientAuth, Command, Fail as FailSetting,
    Headers, HttpUrl, Identity, Kind, List, Mode, Policy, RateHeaders, RateLimit, Scope, Server,
    Settings, Tls, TlsProfile, UpstreamHost as HostSetting, Window,
};
use crate::egress::{EgressError, Levels, Outbound, ServerUrls};
use crate::listen::h2::Http2Limits;
use crate::listen::limits::{ConnectionCaps, ConnectionLimits};
use crate::listen::proxy::Proxies;
use crate::listen::redirect::Redirect;
use crate::listen::tcp::BindError;
use crate::listen::tls::{Profile, TlsAcceptor, TlsError, TlsSettings};
use crate::path::HttpLimits;
use crate::redirect::RedirectService;
use crate::upstream::backend::Backend;
use crate::upstream::head::{Target, UpstreamHost};
use crate::upstream::http::{Config as UpstreamConfig, Upstream};
use crate::upstream::stdio::{self, Bridge, Host, Stdio, WayOut};

/// Everything that is compiled from settings.
pub struct Plan {
    /// `None`: plain HTTP.
    pub tls: Option<TlsAcceptor>,
    /// Terminators in front.
    pub proxies: Option<Arc<Proxies>>,
    /// Bounds of the HTTP servers.
    pub http: HttpLimits,
    /// Bounds of connections.
    pub connections: ConnectionLimits,
    listeners: Vec<ListenerPlan>,
    servers: Vec<ServerPlan>,
    sanity: Arc<Sanity>,
    overload: Overload,
    headers: Arc<HeaderPolicy>,
    /// Where no server is: the policy that servers start from.
    cors: Arc<CorsPolicy>,
    redirect: Arc<Redirect>,
    server_version: Option<String>,
    refusals: Arc<Aggregate>,
    /// How much is recorded of each server's calls.
    rules: Arc<HashMap<Arc<str>, Rules>>,
    /// Documents of our own, each beside a server.
    own: Vec<OwnPlan>,
    /// Keeps issuers' keys fresh while it lives.
    _auth: Common,
    /// Where commands run; `None`: no server is one.
    children: Option<Arc<Host>>,
    /// Their way out.
    outbound: Option<Outbound>,
}

/// What differs from listener to listener: which hosts and which pages of our own it knows.
struct ListenerPlan {
    host: Arc<palisade::Moded<HostGuard>>,
    /// By server.
    origins: Vec<Arc<palisade::Moded<OriginGuard>>>,
}

struct ServerPlan {
    name: Arc<str>,
    host: Option<HostSet>,
    path: String,
    fail: Fail,
    intents: Arc<Intents>,
    shown: Shown,
    headers: Arc<HeaderPolicy>,
    cors: Arc<CorsPolicy>,
    preflights: Arc<palisade::Moded<RateGuard<Preflights>>>,
    peer: Arc<palisade::Moded<RateGuard<Peer>>>,
    body: Arc<palisade::Moded<DeclaredBody>>,
    inspect: Arc<Inspection<TokioTimer>>,
    limits: Arc<CallLimits>,
    auth: auth::ServerAuth,
    caller: Option<auth::CallerRate>,
    upstream: BackendPlan,
}

/// A document of our own.
struct OwnPlan {
    /// The index of the server that it is about.
    server: usize,
    path: String,
    inspect: Arc<Inspection<TokioTimer>>,
    route: OwnRoutePlan,
}

enum OwnRoutePlan {
    Document(Arc<str>),
    /// The targets at the upstream, and what `resource` becomes.
    Passed(Box<[UpstreamPlan; 2]>, Arc<str>),
}

type BackendPlan = Backend<UpstreamPlan, Arc<Bridge>>;

/// One worker's way to a server.
pub type ServerBackend = Backend<Upstream<RequestBody>, Stdio>;

struct UpstreamPlan {
    target: Target,
    tls: Arc<rustls::ClientConfig>,
    connect_timeout: Duration,
    public_url: Option<Arc<str>>,
    told: Option<Arc<Told>>,
    metadata: Option<Arc<str>>,
}

/// Why a gateway cannot start. The text names the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The audit log cannot be opened.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The way out cannot be guarded.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// A certificate or key file is not usable.
    #[error(transparent)]
    Certificate(#[from] files::FileError),
    /// The system refused something.
    #[error("the system refused: {0}")]
    Io(#[from] io::Error),
    /// The local certificate authority is not usable.
    #[error(transparent)]
    LocalCa(#[from] local_ca::CaError),
    /// A value that the configuration let pass does not compile.
    #[error("`{key}` cannot be used: {cause}")]
    Setting {
        /// The key.
        key: String,
        /// What is wrong with it, and what to write instead.
        cause: String,
    },
    /// rustls refused.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// TLS towards clients cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Listener(#[from] TlsError),
}

/// Requests that one client address may hold preflights beside: they are cheap, and a page may
/// need one for each call.
const PREFLIGHTS_PER_REQUEST: u32 = 2;

/// A comment is sent on an event stream that has been silent for this long (row G-3).
const KEEP_ALIVE: Duration = Duration::from_secs(15);

impl Plan {
    /// Compiles `settings` for listeners bound to `addresses`, and opens the audit log.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn compile(
        settings: &Settings,
        addresses: &[SocketAddr],
        data_directory: Option<PathBuf>,
    ) -> Result<(Self, Trail), StartError> {
        let trail = Trail::open(settings, data_directory.as_deref())?;
        let plan = Self::compile_over(settings, addresses, data_directory, &trail)?;
        Ok((plan, trail))
    }

    /// As [`Plan::compile`], over an audit log that is open.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn compile_over(
        settings: &Settings,
        addresses: &[SocketAddr],
        data_directory: Option<PathBuf>,
        trail: &Trail,
    ) -> Result<Self, StartError> {
        let tls = settings
            .tls
            .as_ref()
            .map(|tls| acceptor(settings, tls, addresses, data_directory.clone()));
        let inflight = Inflight::new(settings.limits.inflight_bytes.value);
        let client_tls = client_tls(settings)?;
        let children = children(settings)?;
        let common = Common::new(settings, addresses, data_directory, &trail.log)?;
        let outbound = Outbound::start(settings, &trail.log)?;
        let public = settings.public_url.as_ref().map(|url| url.value.origin());
        let servers = settings
            .servers
            .iter()
            .map(|server| {
                let parts = Parts {
                    inflight: &inflight,
                    client_tls: &client_tls,
                    public: public.as_deref(),
                    children: children.as_ref(),
                    outbound: outbound.as_ref(),
                    auth: &common,
                };
                server_plan(server, settings, &parts)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let listeners = addresses
            .iter()
            .map(|address| listener_plan(settings, *address))
            .collect::<Result<Vec<_>, _>>()?;
        let parts = Parts {
            inflight: &inflight,
            client_tls: &client_tls,
            public: public.as_deref(),
            children: None,
            // Nobody calls a tool of them.
            outbound: None,
            auth: &common,
        };
        let own = own_plans(settings, &servers, &parts)?;
        let limits = &settings.limits;
        let sanity = Sanity::default()
            .max_fields(limits.header_count.value as usize)
            .max_bytes(to_usize(limits.header_bytes.value))
            .challenger(Arc::new(askers(&servers, &own)));
        let plan = Self {
            tls: tls.transpose()?,
            proxies: settings.proxy.as_ref().map(|proxy| {
                let form = proxy.client_certificate.as_ref();
                Arc::new(Proxies {
                    trusted: proxy.trusted.iter().map(|range| range.value).collect(),
                    client_address: proxy.client_address.value,
                    certificate: form.map(|form| form.value),
                })
            }),
            http: http_limits(limits),
            connections: ConnectionLimits::new(ConnectionCaps {
                total: limits.connections.value,
                per_address: limits.connections_per_peer.value,
                ..ConnectionCaps::default()
            }),
            listeners,
            servers,
            overload: Overload::new(limits.inflight_requests.value),
            sanity: Arc::new(sanity),
            headers: Arc::new(header_policy(&settings.defaults.headers)?),
            cors: Arc::new(common_cors_policy(&settings.defaults)?),
            redirect: Arc::new(redirect(settings, addresses)),
            refusals: Arc::default(),
            rules: Arc::new(audit::rules(settings)?),
            own,
            _auth: common,
            children,
            outbound,
            server_version: settings
                .server_version
                .as_ref()
                .map(|version| version.value.clone()),
        };
        Ok(plan)
    }

    /// The recorder of one worker.
    #[must_use]
    pub fn recorder(&self, log: &Log) -> Recorder {
        Recorder::new(
            log.handle(),
            Arc::clone(&self.refusals),
            env!("CARGO_PKG_VERSION"),
            self.server_version.clone(),
        )
        .with_rules(Arc::clone(&self.rules))
    }

    /// How firmly the outbound policies of commands hold.
    #[must_use]
    pub fn levels(&self) -> Levels {
        let outbound = self.outbound.as_ref();
        outbound.map_or_else(Levels::default, |out| out.levels().clone())
    }

    /// Writes what the way out has only counted, before the log is closed.
    pub fn sum_up_outbound(&self) {
        if let Some(outbound) = &self.outbound {
            outbound.sum_up();
        }
    }

    /// One worker's clients of the upstreams, in the order of the servers.
    #[must_use]
    pub fn upstreams(&self, draining: &watch::Receiver<bool>) -> Vec<ServerBackend> {
        let upstream = |mcp: bool, upstream: &UpstreamPlan| {
            Upstream::new(UpstreamConfig {
                target: upstream.target.clone(),
                tls: Arc::clone(&upstream.tls),
                connect_timeout: upstream.connect_timeout,
                keep_alive: Some(KEEP_ALIVE),
                reuse_after_body: mcp,
                public_url: upstream.public_url.clone(),
                told: upstream.told.clone(),
                metadata: upstream.metadata.clone(),
                draining: draining.clone(),
            })
        };
        let servers = self.servers.iter().map(|server| match &server.upstream {
            Backend::Http(http) => Backend::Http(upstream(server.inspect.mcp, http)),
            Backend::Own(own) => Backend::Own(own.clone()),
            Backend::Stdio(bridge) => {
                Backend::Stdio(Stdio::new(Arc::clone(bridge), draining.clone()))
            }
        });
        let own = self.own.iter().map(|own| {
            let path = own.path.as_str().into();
            Backend::Own(match &own.route {
                OwnRoutePlan::Document(document) => OwnRoute::Document {
                    path,
                    document: bytes::Bytes::copy_from_slice(document.as_bytes()),
                },
                OwnRoutePlan::Passed(targets, resource) => OwnRoute::Passed(Passed {
                    path,
                    upstreams: [upstream(false, &targets[0]), upstream(false, &targets[1])],
                    resource: Arc::clone(resource),
                }),
            })
        });
        servers.chain(own).collect()
    }

    /// Ends every command that runs; resolves when all are gone.
    pub async fn end_children(&self) {
        if let Some(children) = &self.children {
            children.end().await;
        }
    }

    /// The whole stack of the listener with this index, over one worker's upstreams.
    #[must_use]
    pub fn stack(
        &self,
        listener: usize,
        recorder: &Recorder,
        upstreams: &[ServerBackend],
    ) -> impl crate::path::Stack + use<> {
        let listener = &self.listeners[listener];
        let own = self.own.iter().map(|own| (own.server, Some(own)));
        let servers = (0..self.servers.len()).map(|server| (server, None));
        let entries = servers
            .chain(own)
            .zip(upstreams)
            .filter_map(|((server, own), upstream)| {
                let origin = listener.origins.get(server)?;
                let server = self.servers.get(server)?;
                Some(server.entry(own, origin, recorder, upstream))
            })
            .collect();
        let outer = Outer {
            recorder: recorder.clone(),
            headers: Arc::clone(&self.headers),
            sanity: Arc::clone(&self.sanity),
            overload: self.overload.clone(),
            host: Arc::clone(&listener.host),
            cors: Arc::clone(&self.cors),
        };
        stack::outer(outer, Route::new(entries))
    }

    /// The service of the plain HTTP listeners that only redirect.
    #[must_use]
    pub fn redirect(&self) -> RedirectService {
        RedirectService::new(Arc::clone(&self.redirect))
    }
}

impl ServerPlan {
    /// The server's place on the route, or that of a document beside it.
    fn entry(
        &self,
        own: Option<&OwnPlan>,
        origin: &Arc<palisade::Moded<OriginGuard>>,
        recorder: &Recorder,
        upstream: &ServerBackend,
    ) -> Entry<InnerStack<crate::request_body::RequestBody>> {
        let asked = own.is_none();
        let inner = Inner {
            recorder: recorder.clone(),
            fail: self.fail,
            intents: Arc::clone(&self.intents),
            shown: self.shown.clone(),
            headers: Arc::clone(&self.headers),
            cors: Arc::clone(&self.cors),
            origin: Arc::clone(origin),
            preflights: Arc::clone(&self.preflights),
            peer: Arc::clone(&self.peer),
            body: Arc::clone(&self.body),
            // How to prove who one is, is for everybody.
            authenticate: self.auth.authenticate.clone().filter(|_| asked),
            caller: self.caller.clone().filter(|_| asked),
            sessions: self.auth.sessions.clone().filter(|_| asked),
            access: self.auth.access.clone().filter(|_| asked),
            calls: match own {
                Some(_) => Arc::default(),
                None => Arc::clone(&self.limits),
            },
            inspect: Arc::clone(own.map_or(&self.inspect, |own| &own.inspect)),
        };
        Entry {
            name: Arc::clone(&self.name),
            host: self.host.clone(),
            path: own.map_or(&self.path, |own| &own.path).clone(),
            service: stack::inner(inner, upstream.clone()),
        }
    }
}

/// The request body as it reaches the upstream.
pub type RequestBody = palisade::inspect::Inspected;

fn acceptor(
    settings: &Settings,
    tls: &Tls,
    addresses: &[SocketAddr],
    data_directory: Option<PathBuf>,
) -> Result<TlsAcceptor, StartError> {
    let mut names: Vec<String> = addresses
        .iter()
        .flat_map(|address| settings.hosts_on(*address))
        .map(|entry| entry.value.host.trim_matches(['[', ']']).to_owned())
        .collect();
    names.sort();
    names.dedup();
    let certificate = match &tls.identity {
        Identity::Files { certificate, key } => {
            let loaded = files::load(&certificate.value, &key.value, SystemTime::now())?;
            for warning in &loaded.warnings {
                tracing::warn!("{warning}");
            }
            loaded.certificate
        }
        Identity::Local(_) => {
            let directory = data_directory.ok_or(local_ca::CaError::NoDirectory)?;
            LocalCa::open(&directory, &names)?.issue(&names)?
        }
    };
    let resolver = CertificateResolver::new(vec![certificate])
        .map_err(|error| setting("tls.certificate", error))?
        .with_hosts(names);
    let tls_settings = TlsSettings {
        handshake_timeout: settings.limits.timeouts.handshake.value,
        profile: match tls.profile.value {
            TlsProfile::Intermediate => Profile::Intermediate,
            TlsProfile::Modern => Profile::Modern,
        },
        clients: tls.clients.as_ref().map(|clients| ClientTrust {
            ca: clients.ca.value.clone(),
            crl: clients.crl.as_ref().map(|crl| crl.value.clone()),
            required: clients.auth.value == ClientAuth::Required,
        }),
    };
    Ok(TlsAcceptor::new(&tls_settings, Arc::new(resolver))?)
}

/// Validation of upstreams' certificates against the system's roots; it has no switch.
fn http_limits(limits: &crate::config::Limits) -> HttpLimits {
    let timeouts = &limits.timeouts;
    let header_bytes = to_usize(limits.header_bytes.value);
    HttpLimits {
        http2: Http2Limits {
            streams: limits.streams.value,
            header_bytes,
            header_count: limits.header_count.value as usize,
            first_byte: timeouts.first_byte.value,
            headers: timeouts.headers.value,
            idle: timeouts.idle.value,
            write: timeouts.write.value,
        },
        http1: http1::Config {
            limits: http1::Limits {
                head: HeadLimits {
                    bytes: header_bytes,
                    fields: limits.header_count.value as usize,
                },
            },
            patience: http1::Patience {
                first_byte: timeouts.first_byte.value,
                head: timeouts.headers.value,
                body: timeouts.body.value,
                idle: timeouts.idle.value,
                write: timeouts.write.value,
            },
        },
    }
}

/// Whom to trust as an upstream: the system's roots, and `egress.ca`. There is no switch that turns
/// validation off.
fn client_tls(settings: &Settings) -> Result<Arc<rustls::ClientConfig>, StartError> {
    use rustls_platform_verifier::ConfigVerifierExt as _;
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    // A second gateway in the same process finds it installed.
    let _ = provider.install_default();
    if let Some(ca) = &settings.egress.ca {
        let config = palisade_egress::client::trusting(std::slice::from_ref(&ca.value));
        let config = config.map_err(|error| setting("egress.ca", error))?;
        return Ok(Arc::new(config));
    }
    Ok(Arc::new(rustls::ClientConfig::with_platform_verifier()?))
}

fn listener_plan(settings: &Settings, address: SocketAddr) -> Result<ListenerPlan, StartError> {
    let hosts = settings.hosts_on(address);
    let hosts = HostSet::parse(hosts.iter().map(|entry| entry_text(&entry.value)))
        .map_err(|error| setting("hosts", error))?;
    let mut own = OriginSet::new();
    for origin in settings.own_origins_on(address) {
        own.insert(&origin)
            .map_err(|error| setting("hosts", error))?;
    }
    let origins = settings
        .servers
        .iter()
        .map(|server| {
            let allowed = origin_set(&server.policy)?;
            let guard = OriginGuard::new(allowed).with_own(own.clone());
            Ok(Arc::new(
                guard.with_mode(mode(server.policy.origin_mode.value)),
            ))
        })
        .collect::<Result<Vec<_>, StartError>>()?;
    let host = HostGuard::new(hosts).with_mode(mode(settings.host_mode.value));
    Ok(ListenerPlan {
        host: Arc::new(host),
        origins,
    })
}

fn entry_text(entry: &crate::config::HostEntry) -> String {
    match entry.port {
        Some(port) => format!("{}:{port}", entry.host),
        None => entry.host.clone(),
    }
}

fn origin_set(policy: &Policy) -> Result<OriginSet, StartError> {
    let mut set = OriginSet::new();
    for origin in &policy.cors.origins.value {
        set.insert(&origin.value.text)
            .map_err(|error| setting("cors.origins", error))?;
    }
    for regex in &policy.cors.origin_regexes.value {
        set.insert_regex(&regex.value.text)
            .map_err(|error| setting("cors.origin_regexes", error))?;
    }
    if policy.cors.loopback_origins.value {
        set.insert_loopback();
    }
    Ok(set)
}

fn cors_policy(policy: &Policy) -> Result<CorsPolicy, StartError> {
    let cors = &policy.cors;
    let mut private = OriginSet::new();
    for origin in &cors.private_network.value {
        private
            .insert(&origin.value.text)
            .map_err(|error| setting("cors.private_network", error))?;
    }
    CorsPolicy::builder(origin_set(policy)?)
        .mode(mode(cors.mode.value))
        .credentials(cors.credentials.value)
        .max_age(u32::try_from(cors.max_age.value.as_secs()).unwrap_or(u32::MAX))
        .methods(
            cors.methods
                .value
                .iter()
                .map(|method| method.value.as_str().to_owned()),
        )
        .replace_headers(true)
        .allow_headers(
            cors.allow_headers
                .value
                .iter()
                .map(|name| name.value.as_str().to_owned()),
        )
        .expose_headers(
            cors.expose_headers
                .value
                .iter()
                .map(|name| name.value.as_str().to_owned()),
        )
        .private_network(private)
        .build()
        .map_err(|error| setting("cors", error))
}

/// What servers start from. Without origins the rest, such as credentials, is for those servers
/// that name their own.
fn common_cors_policy(defaults: &Policy) -> Result<CorsPolicy, StartError> {
    if !origin_set(defaults)?.is_empty() {
        return cors_policy(defaults);
    }
    CorsPolicy::builder(OriginSet::new())
        .mode(mode(defaults.cors.mode.value))
        .build()
        .map_err(|error| setting("cors", error))
}

fn header_policy(headers: &Headers) -> Result<HeaderPolicy, StartError> {
    let hsts = headers.hsts.value.map(|hsts| Hsts {
        max_age: hsts.max_age.as_secs(),
        include_subdomains: hsts.include_subdomains,
        preload: hsts.preload,
    });
    let mut builder = HeaderPolicy::builder()
        .mode(mode(headers.mode.value))
        .hsts(hsts);
    for header in &headers.fixed {
        let variants: &[Variant] = match header.on {
            Answers::All | Answers::Silent => &[Variant::Html, Variant::Other],
            Answers::Html => &[Variant::Html],
            Answers::Other => &[Variant::Other],
        };
        for variant in variants {
            builder = match &header.value.value {
                Some(value) => builder.set_for(*variant, header.name.clone(), value.clone()),
                None => builder.omit_for(*variant, &header.name),
            };
        }
    }
    for name in &headers.keep.value {
        builder = builder.keep(name.value.clone());
    }
    builder.build().map_err(|error| setting("headers", error))
}

/// What servers have in common.
struct Parts<'a> {
    inflight: &'a Inflight,
    client_tls: &'a Arc<rustls::ClientConfig>,
    public: Option<&'a str>,
    children: Option<&'a Arc<Host>>,
    outbound: Option<&'a Outbound>,
    auth: &'a Common,
}

fn server_plan(
    server: &Server,
    settings: &Settings,
    parts: &Parts<'_>,
) -> Result<ServerPlan, StartError> {
    let policy = &server.policy;
    let shown = Shown::default();
    let key = |name: &str| format!("server.{}.{name}", server.name.value);
    let host = match &server.host {
        Some(host) => {
            let host = HostSet::parse([entry_text(&host.value)]);
            Some(host.map_err(|error| setting(&key("host"), error))?)
        }
        None => None,
    };
    let upstream = match &server.backend {
        BackendSetting::Url(url) => Backend::Http(upstream_plan(server, url, settings, parts)?),
        BackendSetting::Command(command) => {
            let host = parts.children.ok_or_else(no_host)?;
            install(server, command, host, parts)?;
            let way = parts.outbound.and_then(|out| out.way(&server.name.value));
            let config = bridge(server, command, &shown, way);
            let bridge = Bridge::new(config, Arc::clone(host))
                .map_err(|_| setting(&key("command"), "the system gives no random numbers"))?;
            Backend::Stdio(bridge)
        }
    };
    let rates = mode(policy.rate.mode.value);
    let styles: Vec<Style> = policy
        .rate
        .headers
        .value
        .iter()
        .map(|style| style_of(style.value))
        .collect();
    let peer = quota(policy.rate.peer.value, policy.rate.burst.value, 1)?;
    let peer = RateGuard::new("peer", Peer::default(), Arc::new(Limiter::new(peer)));
    let peer = Arc::new(peer.styles(&styles).with_mode(rates));
    let preflights = quota(policy.rate.peer.value, None, PREFLIGHTS_PER_REQUEST)?;
    let body = policy.body.limit.value;
    let failed = quota(policy.rate.failed.value, None, 1)?;
    let auth = parts.auth.server(server, settings, Limiter::new(failed))?;
    let caller = match auth.authenticate {
        Some(_) => {
            let limit = quota(policy.rate.limit.value, policy.rate.burst.value, 1)?;
            let guard = auth::by_caller(Arc::new(Limiter::new(limit)));
            Some(Arc::new(guard.styles(&styles).with_mode(rates)))
        }
        None => None,
    };
    Ok(ServerPlan {
        name: server.name.value.as_str().into(),
        host,
        path: server.path.value.clone(),
        fail: match policy.audit.fail.value {
            FailSetting::Closed => Fail::Closed,
            FailSetting::Open => Fail::Open,
        },
        intents: audit::intents(&policy.audit),
        shown: shown.clone(),
        headers: Arc::new(header_policy(&policy.headers)?),
        cors: Arc::new(cors_policy(policy)?),
        peer: Arc::clone(&peer),
        preflights: Arc::new(
            RateGuard::new(
                "preflight",
                Preflights::default(),
                Arc::new(Limiter::new(preflights)),
            )
            .setting("rate.peer")
            .styles(&[])
            .with_mode(rates),
        ),
        body: Arc::new(DeclaredBody::new(body).with_mode(mode(policy.body.mode.value))),
        inspect: Arc::new(inspection(server, settings, parts, &shown)?),
        limits: Arc::new(call_limits(server, &peer, caller.as_ref())?),
        auth,
        caller,
        upstream,
    })
}

fn upstream_plan(
    server: &Server,
    url: &HttpUrl,
    settings: &Settings,
    parts: &Parts<'_>,
) -> Result<UpstreamPlan, StartError> {
    let key = format!("server.{}.upstream", server.name.value);
    let policy = &server.policy;
    let url = format!("{}{}", url.origin(), url.path);
    let url = url.parse().map_err(|error| setting(&key, error))?;
    let upstream_host = match server.upstream_host.value {
        HostSetting::Preserve => UpstreamHost::Preserve,
        HostSetting::Rewrite => UpstreamHost::Rewrite,
    };
    let mut target = Target::new(&url, &server.path.value, upstream_host)
        .ok_or_else(|| setting(&key, "it is no http or https URL"))?;
    target.keep_origin =
        policy.origin_mode.value != Mode::Enforce || policy.cors.mode.value == Mode::Off;
    Ok(UpstreamPlan {
        target,
        tls: Arc::clone(parts.client_tls),
        connect_timeout: settings.limits.timeouts.connect.value,
        public_url: parts.public.map(Arc::from),
        told: parts.auth.told(server)?.map(Arc::new),
        metadata: (!server.auth.required.value).then(|| {
            let path = auth::metadata_path(&server.path.value);
            format!("{}{path}", parts.auth.public()).into()
        }),
    })
}

/// The servers and documents in the places that they have on the route.
fn askers(servers: &[ServerPlan], own: &[OwnPlan]) -> Askers {
    let place = |server: &ServerPlan, path: &str, authenticator| Entry {
        name: Arc::clone(&server.name),
        host: server.host.clone(),
        path: path.to_owned(),
        service: authenticator,
    };
    let asked = servers
        .iter()
        .map(|server| place(server, &server.path, server.auth.authenticate.clone()));
    let documents = own
        .iter()
        .filter_map(|own| Some(place(servers.get(own.server)?, &own.path, None)));
    Askers::new(asked.chain(documents).collect())
}

/// The documents beside the servers: protected resource metadata, our own or an upstream's, and
/// the keys of our assertions.
fn own_plans(
    settings: &Settings,
    servers: &[ServerPlan],
    parts: &Parts<'_>,
) -> Result<Vec<OwnPlan>, StartError> {
    let mut plans: Vec<OwnPlan> = Vec::new();
    for (index, (server, plan)) in settings.servers.iter().zip(servers).enumerate() {
        let mut inspect = inspection(server, settings, parts, &plan.shown)?;
        inspect.mcp = false;
        let inspect = Arc::new(inspect);
        let mut add = |path: &str, route| {
            plans.push(OwnPlan {
                server: index,
                path: path.to_owned(),
                inspect: Arc::clone(&inspect),
                route,
            });
        };
        let path = auth::metadata_path(&server.path.value);
        // The root form is about a server that is the only one.
        let mut paths = vec![path.as_str()];
        if settings.servers.len() == 1 && path != auth::RESOURCE_METADATA {
            paths.push(auth::RESOURCE_METADATA);
        }
        match &server.backend {
            _ if !plan.auth.metadata.is_empty() => {
                for path in paths {
                    let document = plan.auth.metadata.as_str().into();
                    add(path, OwnRoutePlan::Document(document));
                }
            }
            BackendSetting::Url(url) if !server.auth.required.value => {
                for path in paths {
                    let mut targets = Vec::new();
                    for at in [
                        auth::metadata_path(&url.value.path),
                        auth::RESOURCE_METADATA.to_owned(),
                    ] {
                        let mut target = upstream_plan(server, url, settings, parts)?;
                        let wanted = format!("{}{at}", url.value.origin());
                        let wanted = wanted.parse().map_err(|error| setting("upstream", error))?;
                        target.target = Target::new(&wanted, path, UpstreamHost::Rewrite)
                            .ok_or_else(|| setting("upstream", "it is no URL"))?;
                        targets.push(target);
                    }
                    if let Ok(targets) = <[UpstreamPlan; 2]>::try_from(targets) {
                        let resource = auth::resource(parts.auth.public(), &server.path.value);
                        add(
                            path,
                            OwnRoutePlan::Passed(Box::new(targets), resource.into()),
                        );
                    }
                }
            }
            _ => {}
        }
    }
    let asked = servers
        .iter()
        .position(|server| server.auth.authenticate.is_some());
    if let (Some(keys), Some(index)) = (parts.auth.assertion_keys(), asked) {
        let server = &settings.servers[index];
        let mut inspect = inspection(server, settings, parts, &servers[index].shown)?;
        inspect.mcp = false;
        plans.push(OwnPlan {
            server: index,
            path: auth::ASSERTION_KEYS.to_owned(),
            inspect: Arc::new(inspect),
            route: OwnRoutePlan::Document(keys.into()),
        });
    }
    Ok(plans)
}

/// The thread of commands, where a server is one.
fn children(settings: &Settings) -> Result<Option<Arc<Host>>, StartError> {
    let is_command = |server: &Server| matches!(server.backend, BackendSetting::Command(_));
    if settings.servers.iter().any(is_command) {
        return Ok(Some(Arc::new(Host::start()?)));
    }
    Ok(None)
}

fn no_host() -> StartError {
    StartError::Io(io::ErrorKind::Unsupported.into())
}

fn bridge(
    server: &Server,
    command: &Command,
    shown: &Shown,
    way_out: Option<WayOut>,
) -> stdio::Config {
    let mut environment = environment(command);
    if command.install.is_some() {
        // What it needs has been fetched; without these it would ask for news of it first.
        for (name, value) in OFFLINE {
            if !environment.iter().any(|(known, _)| known == name) {
                environment.push((name.into(), value.into()));
            }
        }
    }
    let name = server.name.value.as_str();
    let spec = spec(name, &command.command, command, environment, way_out);
    stdio::Config {
        spec,
        scope: match command.scope.value {
            Scope::Caller => stdio::Scope::Caller,
            Scope::Session => stdio::Scope::Session,
            Scope::Shared => stdio::Scope::Shared,
        },
        sessions: command.sessions.value.get() as usize,
        session_idle: command.session_idle.value,
        start_timeout: command.start_timeout.value,
        path: server.path.value.clone(),
        shown: shown.clone(),
    }
}

/// What tells package runners to take what they have.
const OFFLINE: [(&str, &str); 2] = [("npm_config_offline", "true"), ("UV_OFFLINE", "1")];

/// Runs what is to be run before the command.
fn install(
    server: &Server,
    command: &Command,
    host: &Host,
    parts: &Parts<'_>,
) -> Result<(), StartError> {
    let Some(install) = &command.install else {
        return Ok(());
    };
    let name = server.name.value.as_str();
    let way = parts.outbound.and_then(|out| out.way_of_install(name));
    let tag = format!("{name}.install");
    let spec = spec(&tag, &install.command, command, environment(command), way);
    stdio::install(host, name, spec, install.timeout.value).map_err(EgressError::from)?;
    Ok(())
}

fn spec(
    name: &str,
    words: &List<String>,
    command: &Command,
    environment: Vec<(OsString, OsString)>,
    way_out: Option<WayOut>,
) -> stdio::Spec {
    let mut words = words.iter().map(|word| word.value.clone().into());
    stdio::Spec {
        name: name.into(),
        program: words.next().unwrap_or_default(),
        arguments: words.collect(),
        environment,
        directory: command.directory.as_ref().map(|path| path.value.clone()),
        way_out,
    }
}

/// What a command gets of Palisade's own environment, and what the configuration adds.
fn environment(command: &Command) -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(OsString, OsString)> = Vec::new();
    let own = |name: &str| std::env::var_os(name);
    for name in BASE_ENVIRONMENT {
        environment.extend(own(name).map(|value| (name.into(), value)));
    }
    for entry in command.environment.iter() {
        let value = match &entry.value.value {
            Some(value) => Some(value.into()),
            None => own(&entry.value.name),
        };
        environment.retain(|(name, _)| *name != *entry.value.name);
        environment.extend(value.map(|value| (entry.value.name.clone().into(), value)));
    }
    environment
}

fn inspection(
    server: &Server,
    settings: &Settings,
    parts: &Parts<'_>,
    shown: &Shown,
) -> Result<Inspection<TokioTimer>, StartError> {
    let body = &server.policy.body;
    let urls = match parts.outbound {
        Some(out) => ServerUrls::of(server, &settings.egress, out.resolver()),
        None => Ok(None),
    };
    Ok(Inspection {
        mcp: server.kind.value == Kind::Mcp,
        // Where the limit is not enforced, what may be in flight in all still bounds a body.
        limit: match body.mode.value {
            Mode::Enforce => body.limit.value,
            Mode::Off | Mode::Report => settings.limits.inflight_bytes.value,
        },
        report_above: (body.mode.value == Mode::Report).then_some(body.limit.value),
        deadline: settings.limits.timeouts.body.value,
        inflight: parts.inflight.clone(),
        message: palisade::mcp::Limits {
            depth: body.json_depth.value as usize,
            ..Default::default()
        },
        params: Default::default(),
        shown: shown.clone(),
        urls: urls.map_err(EgressError::from)?,
        timer: TokioTimer,
    })
}

/// The runtime's clock for the layers.
#[derive(Clone, Copy, Debug)]
pub struct TokioTimer;

impl palisade::timer::Timer for TokioTimer {
    type Sleep = tokio::time::Sleep;

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        tokio::time::sleep(duration)
    }
}

fn call_limits(
    server: &Server,
    peer: &Arc<palisade::Moded<RateGuard<Peer>>>,
    caller: Option<&auth::CallerRate>,
) -> Result<CallLimits, StartError> {
    let slots = |most: Option<NonZeroU32>| most.map(|most| Slots::new(most.get()));
    Ok(CallLimits {
        server: CallLimit {
            timeout: server.timeout.value,
            concurrency: slots(server.concurrency.value),
            rate: None,
        },
        tools: server
            .tools
            .iter()
            .map(|(name, tool)| {
                let limit = CallLimit {
                    timeout: tool.timeout.as_ref().map(|timeout| timeout.value),
                    concurrency: slots(tool.concurrency.as_ref().map(|most| most.value)),
                    rate: match &tool.rate {
                        Some(rate) => Some(Limiter::new(quota(rate.value, None, 1)?)),
                        None => None,
                    },
                };
                Ok((name.clone(), limit))
            })
            .collect::<Result<_, StartError>>()?,
        each: Some(Arc::clone(peer)),
        each_caller: caller.map(Arc::clone),
    })
}

fn quota(limit: RateLimit, burst: Option<NonZeroU32>, times: u32) -> Result<Quota, StartError> {
    let requests = limit
        .requests
        .saturating_mul(NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN));
    let window = Duration::from_secs(match limit.per {
        Window::Second => 1,
        Window::Minute => 60,
        Window::Hour => 3600,
    });
    let quota = Quota::new(requests, window).map_err(|error| setting("rate.peer", error))?;
    Ok(match burst {
        Some(burst) => quota.with_burst(burst),
        None => quota,
    })
}

const fn style_of(style: RateHeaders) -> Style {
    match style {
        RateHeaders::Draft6 => Style::Draft6,
        RateHeaders::Draft8 => Style::Draft8,
        RateHeaders::Legacy => Style::Legacy,
    }
}

fn redirect(settings: &Settings, addresses: &[SocketAddr]) -> Redirect {
    let hosts: Vec<String> = addresses
        .iter()
        .flat_map(|address| settings.hosts_on(*address))
        .map(|entry| entry.value.host)
        .collect();
    let port = match &settings.public_url {
        Some(url) => url.value.port_or_default(),
        None => addresses.first().map_or(443, SocketAddr::port),
    };
    Redirect::new(hosts.iter().map(String::as_str), port)
}

const fn mode(mode: Mode) -> palisade::Mode {
    match mode {
        Mode::Enforce => palisade::Mode::Enforce,
        Mode::Off => palisade::Mode::Off,
        Mode::Report => palisade::Mode::Report,
    }
}

fn setting(key: &str, cause: impl std::fmt::Display) -> StartError {
    StartError::Setting {
        key: key.to_owned(),
        cause: cause.to_string(),
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

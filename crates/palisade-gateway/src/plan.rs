//! From settings to what the data path reads: compiled once, immutable, shared by all workers.

mod commands;
mod documents;
mod error;
mod policy;
mod server;
mod tls;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use palisade::Optional as _;
use palisade::audit::{Aggregate, Recorder, Rules};
use palisade::body::Inflight;
use palisade::cors::CorsPolicy;
use palisade::headers::HeaderPolicy;
use palisade::host::{HostGuard, HostSet};
use palisade::origin::OriginGuard;
use palisade::origins::OriginSet;
use palisade::overload::Overload;
use palisade::route::Route;
use palisade::sanity::Sanity;
use palisade::stack::{self, Outer};
use palisade_audit::Log;
use tokio::sync::watch;

use self::commands::children;
use self::documents::{OwnPlan, OwnRoutePlan, askers, own_plans};
use self::error::setting;
use self::policy::{
    common_cors_policy, entry_text, header_policy, http_limits, mode, origin_set, redirect,
    to_usize,
};
use self::server::{Parts, ServerPlan, UpstreamPlan, server_plan};
use self::tls::{acceptor, client_tls};
use crate::audit::{self, Trail};
use crate::auth::{Common, OwnRoute, Passed};
use crate::config::Settings;
use crate::egress::{Levels, Outbound};
use crate::listen::limits::{ConnectionCaps, ConnectionLimits};
use crate::listen::proxy::Proxies;
use crate::listen::redirect::Redirect;
use crate::listen::tls::TlsAcceptor;
use crate::path::HttpLimits;
use crate::redirect::RedirectService;
use crate::upstream::backend::Backend;
use crate::upstream::http::{Config as UpstreamConfig, Upstream};
use crate::upstream::stdio::{Bridge, Host, Stdio};

pub use self::error::StartError;
pub use self::server::TokioTimer;

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

type BackendPlan = Backend<UpstreamPlan, Arc<Bridge>>;

/// One worker's way to a server.
pub type ServerBackend = Backend<Upstream<RequestBody>, Stdio>;

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

/// The request body as it reaches the upstream.
pub type RequestBody = palisade::inspect::Inspected;

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

//! One server: its policies, its limits, its way upstream.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use palisade::Optional as _;
use palisade::audit::{Fail, Intents, Recorder};
use palisade::body::{DeclaredBody, Inflight};
use palisade::call_limits::{CallLimit, CallLimits, Slots};
use palisade::cors::CorsPolicy;
use palisade::headers::HeaderPolicy;
use palisade::host::HostSet;
use palisade::inspect::Inspection;
use palisade::mcp::shown::Shown;
use palisade::origin::OriginGuard;
use palisade::rate::{Limiter, Peer, Preflights, RateGuard, Style};
use palisade::route::Entry;
use palisade::stack::{self, Inner, InnerStack};

use super::commands::{bridge, install, no_host};
use super::documents::OwnPlan;
use super::error::{StartError, setting};
use super::policy::{cors_policy, entry_text, header_policy, mode, quota, style_of};
use super::{BackendPlan, ServerBackend};
use crate::audit;
use crate::auth::{self, Common, Told};
use crate::config::{
    Backend as BackendSetting, Fail as FailSetting, HttpUrl, Kind, Mode, Server, Settings,
    UpstreamHost as HostSetting,
};
use crate::egress::{EgressError, Outbound, ServerUrls};
use crate::upstream::backend::Backend;
use crate::upstream::head::{Target, UpstreamHost};
use crate::upstream::stdio::{Bridge, Host};

/// Requests that one client address may hold preflights beside: they are cheap, and a page may
/// need one for each call.
const PREFLIGHTS_PER_REQUEST: u32 = 2;

pub(super) struct ServerPlan {
    pub(super) name: Arc<str>,
    pub(super) host: Option<HostSet>,
    pub(super) path: String,
    pub(super) fail: Fail,
    pub(super) intents: Arc<Intents>,
    pub(super) shown: Shown,
    pub(super) headers: Arc<HeaderPolicy>,
    pub(super) cors: Arc<CorsPolicy>,
    pub(super) preflights: Arc<palisade::Moded<RateGuard<Preflights>>>,
    pub(super) peer: Arc<palisade::Moded<RateGuard<Peer>>>,
    pub(super) body: Arc<palisade::Moded<DeclaredBody>>,
    pub(super) inspect: Arc<Inspection<TokioTimer>>,
    pub(super) limits: Arc<CallLimits>,
    pub(super) auth: auth::ServerAuth,
    pub(super) caller: Option<auth::CallerRate>,
    pub(super) upstream: BackendPlan,
}

impl ServerPlan {
    /// The server's place on the route, or that of a document beside it.
    pub(super) fn entry(
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

pub(super) struct UpstreamPlan {
    pub(super) target: Target,
    pub(super) tls: Arc<rustls::ClientConfig>,
    pub(super) connect_timeout: Duration,
    pub(super) public_url: Option<Arc<str>>,
    pub(super) told: Option<Arc<Told>>,
    pub(super) metadata: Option<Arc<str>>,
}

/// What servers have in common.
pub(super) struct Parts<'a> {
    pub(super) inflight: &'a Inflight,
    pub(super) client_tls: &'a Arc<rustls::ClientConfig>,
    pub(super) public: Option<&'a str>,
    pub(super) children: Option<&'a Arc<Host>>,
    pub(super) outbound: Option<&'a Outbound>,
    pub(super) auth: &'a Common,
}

pub(super) fn server_plan(
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

pub(super) fn upstream_plan(
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

pub(super) fn inspection(
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

pub(super) fn call_limits(
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

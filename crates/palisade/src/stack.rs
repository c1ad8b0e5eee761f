//! The order of the layers: here and nowhere else.
//!
//! Both halves are written innermost first, as layers wrap. A request passes them from the last
//! line to the first: [`outer`], then the [`Route`], then the chosen server's [`inner`].

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::access::{Access, AuthorizeLayer};
use crate::audit::{Fail, Intents, ObserverLayer, Recorder, WitnessLayer, WitnessService};
use crate::auth::{AuthenticateLayer, AuthenticateService, Authenticator};
use crate::body::DeclaredBody;
use crate::call_limits::{CallLimitLayer, CallLimits};
use crate::cors::{CorsLayer, CorsPolicy, CorsService};
use crate::erased::Erased;
use crate::guard::{GuardLayer, GuardService, Moded};
use crate::headers::{
    HeaderPolicy, OverrideLayer, OverrideService, SecurityHeaders, SecurityHeadersLayer,
};
use crate::host::HostGuard;
use crate::inspect::{InspectLayer, Inspected, Inspection};
use crate::mcp::shown::Shown;
use crate::origin::OriginGuard;
use crate::overload::Overload;
use crate::rate::{ByCaller, Peer, Preflights, RateGuard};
use crate::request_id::{RequestIdLayer, RequestIds};
use crate::route::Route;
use crate::sanity::Sanity;
use crate::session::{SessionLayer, SessionSeal};
use crate::timer::Timer;

/// What the layers outside the route are made of: one per listener.
#[derive(Clone, Debug)]
pub struct Outer {
    /// Records every exchange.
    pub recorder: Recorder,
    /// The security headers where no server has its own.
    pub headers: Arc<HeaderPolicy>,
    /// The bounds of a request head.
    pub sanity: Arc<Sanity>,
    /// How many requests are worked on at once.
    pub overload: Overload,
    /// The hosts that requests may name.
    pub host: Arc<Moded<HostGuard>>,
    /// Which pages may read that there is no server on a path.
    pub cors: Arc<CorsPolicy>,
}

/// What the layers of one server are made of.
#[derive(Clone, Debug)]
pub struct Inner<T> {
    /// Records what the server answers.
    pub recorder: Recorder,
    /// What happens to calls while nothing can be recorded.
    pub fail: Fail,
    /// What is written down before it is done.
    pub intents: Arc<Intents>,
    /// What the server has shown of itself.
    pub shown: Shown,
    /// The server's own security headers.
    pub headers: Arc<HeaderPolicy>,
    /// Which pages of other origins may call.
    pub cors: Arc<CorsPolicy>,
    /// The same for requests that no preflight announces.
    pub origin: Arc<Moded<OriginGuard>>,
    /// Preflights by client address.
    pub preflights: Arc<Moded<RateGuard<Preflights>>>,
    /// Requests by client address.
    pub peer: Arc<Moded<RateGuard<Peer>>>,
    /// The largest request body.
    pub body: Arc<Moded<DeclaredBody>>,
    /// Who calls; `None`: everybody may.
    pub authenticate: Option<Arc<Authenticator>>,
    /// Requests by caller.
    pub caller: Option<Arc<Moded<RateGuard<ByCaller>>>>,
    /// Binds sessions to their callers; `None`: they pass as they are.
    pub sessions: Option<Arc<SessionSeal>>,
    /// What which caller may do; `None`: everything.
    pub access: Option<Arc<Access>>,
    /// How long calls may take, how many at once.
    pub calls: Arc<CallLimits>,
    /// How messages are read; without it the server is plain HTTP.
    pub inspect: Arc<Inspection<T>>,
}

/// The layers outside the route, round it.
pub fn outer<S>(parts: Outer, route: Route<S>) -> OuterStack<S> {
    // 6  Route: host and path choose the server; everything inside follows its plan. Where there
    //    is no server there is no Cors of one (7), yet a page is to read that too.
    let cors = parts.cors;
    let stack = route.with_refusals(move |request, answer| cors.apply(request, answer));
    // 4, 5  Sanity, then Host: what no reader may misread, then who may be asked for at all. Both
    //       before the route, which reads host and path. Between them Overload: what is malformed
    //       takes no place, and a place is to be had before anything is worked on.
    let stack = GuardLayer::new((parts.sanity, parts.overload, parts.host)).layer(stack);
    // 3  SecurityHeaders: outside every refusal, so that refusals carry them.
    let stack = SecurityHeadersLayer::new(parts.headers).layer(stack);
    // 2  Witness: records whatever any layer inside it answers, when the answer is over.
    let stack = WitnessLayer::new(parts.recorder).layer(stack);
    // 1  RequestId: every later line can be found again.
    RequestIdLayer.layer(stack)
}

/// The layers of one server, round its upstream, for requests with bodies `B`.
pub fn inner<S, R, B, T>(parts: Inner<T>, upstream: S) -> InnerStack<B>
where
    S: Service<
            Request<Inspected>,
            Response = Response<R>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + Sync
        + 'static,
    R: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    B: Body<Data = Bytes, Error: Display> + Send + Unpin + 'static,
    T: Timer,
{
    //    CallLimits: needs to know the tool; inside the Observer, which records what it cuts off.
    let timer = &parts.inspect.timer;
    let limits = CallLimitLayer::new(parts.calls, timer.clone());
    let stack = limits.layer(upstream);
    // 16 Observer: writes the intent down before the call; sees what the server answers; refuses
    //    what could not be recorded.
    let observer = ObserverLayer::new(
        parts.recorder,
        parts.fail,
        parts.intents,
        parts.shown,
        timer.clone(),
    );
    let stack = observer.layer(stack);
    // 15 Authorize: needs the caller and the message; filters what lists name.
    let stack = AuthorizeLayer::new(parts.access).layer(stack);
    // 14 Inspect: collects the body once it is wanted, reads the message once.
    let stack = InspectLayer::new(parts.inspect).layer(stack);
    // 13 Session: the sealed id belongs to this caller, or there is no such session.
    let stack = SessionLayer::new(parts.sessions).layer(stack);
    // 12 Rate by caller: now it is known whose quota this is.
    let stack = GuardLayer::new(parts.caller).layer(stack);
    //    Here the type of what is inside ends: see `erased`. Nobody unknown gets this far.
    let stack = Erased::new(stack);
    // 11 Authenticate: after what is cheaper to refuse, before the body is read.
    let stack = AuthenticateLayer::new(parts.authenticate).layer(stack);
    // 8 to 10  Origin before any work, then the peer's rate, then the declared size of the body:
    //          each is cheaper than what comes after it.
    let stack = GuardLayer::new((parts.origin, parts.peer, parts.body)).layer(stack);
    // 7  Cors: outside everything that says 401, 413 or 429, so that browser code can read those.
    let cors = CorsLayer::new(parts.cors).with_preflight_guard(parts.preflights);
    let stack = cors.layer(stack);
    // 3  A server's own security headers, applied by the outer layer on the way out.
    OverrideLayer::new(parts.headers).layer(stack)
}

/// What [`outer`] makes.
pub type OuterStack<S> = RequestIds<
    WitnessService<
        SecurityHeaders<GuardService<(Arc<Sanity>, Overload, Arc<Moded<HostGuard>>), Route<S>>>,
    >,
>;

/// What [`inner`] makes, whatever the upstream: servers of all kinds fit into one [`Route`].
pub type InnerStack<B> = OverrideService<
    CorsService<
        GuardService<
            (
                Arc<Moded<OriginGuard>>,
                Arc<Moded<RateGuard<Peer>>>,
                Arc<Moded<DeclaredBody>>,
            ),
            AuthenticateService<Erased<B>>,
        >,
        Arc<Moded<RateGuard<Preflights>>>,
    >,
>;

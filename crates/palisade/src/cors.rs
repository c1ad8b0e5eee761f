//! CORS (Fetch standard, section "CORS protocol"): which pages may read the answers.
//!
//! Stands outside everything that authenticates or limits, so that preflights, which carry no
//! credentials, are answered, and so that browser code can read a 401 or a 429. It grants; the
//! refusing of what is not allowed is [`OriginGuard`](crate::origin::OriginGuard)'s.
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::{Router, routing::post};
//! use palisade::GuardLayer;
//! use palisade::cors::{CorsLayer, CorsPolicy};
//! use palisade::origin::OriginGuard;
//! use palisade::origins::OriginSet;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let origins = Arc::new(OriginSet::parse([
//!     "https://app.example.com",
//!     "https://*.tenant.example.com",
//! ])?);
//! let cors = CorsPolicy::builder(Arc::clone(&origins))
//!     .allow_headers(["Mcp-Param-Region"])
//!     .build()?;
//! // The last layer of a router is the outermost.
//! let router: Router = Router::new()
//!     .route("/mcp", post(|| async { "{}" }))
//!     .layer(GuardLayer::new(OriginGuard::new(origins)))
//!     .layer(CorsLayer::new(cors));
//! # Ok(())
//! # }
//! ```

mod policy;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderName, HeaderValue, ORIGIN,
    VARY,
};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::answer::Answer;
use crate::exchange::Exchange;
use crate::guard::{Guard, Mode};
use crate::origins::Sent;
use crate::rejection::{Reason, Rejection};

pub use policy::{CorsPolicy, CorsPolicyBuilder, CorsPolicyError, DEFAULT_MAX_AGE};

/// Applies a [`CorsPolicy`] round a service.
///
/// * A preflight, which is OPTIONS with `Origin` and `Access-Control-Request-Method` and nothing
///   else, is answered here: 204, or `cors.preflight_refused` (403) without any CORS header.
/// * Every other answer to an allowed origin, refusals by inner layers too, carries
///   `Access-Control-Allow-Origin` with the request's own origin.
/// * Every answer says `Vary: Origin`, and no `Access-Control-*` header of the inner service
///   gets out.
///
/// In report mode a refused preflight is answered 204 and recorded; an origin that is not
/// allowed is never granted anything, an allowed one is granted the method and the headers that
/// it asks for. In mode off the layer is not there at all: the inner service's own CORS passes.
#[derive(Debug)]
#[must_use]
pub struct CorsLayer<G = ()> {
    policy: Arc<CorsPolicy>,
    guard: Arc<G>,
}

impl CorsLayer {
    /// The layer of `policy`.
    pub fn new(policy: impl Into<Arc<CorsPolicy>>) -> Self {
        Self {
            policy: policy.into(),
            guard: Arc::new(()),
        }
    }
}

impl<G> CorsLayer<G> {
    /// Asks `guard` about every preflight before it is looked at: a rate limit of its own.
    pub fn with_preflight_guard<H: Guard>(self, guard: H) -> CorsLayer<H> {
        CorsLayer {
            policy: self.policy,
            guard: Arc::new(guard),
        }
    }
}

impl<G> Clone for CorsLayer<G> {
    fn clone(&self) -> Self {
        Self {
            policy: Arc::clone(&self.policy),
            guard: Arc::clone(&self.guard),
        }
    }
}

impl<S, G> Layer<S> for CorsLayer<G> {
    type Service = CorsService<S, G>;

    fn layer(&self, inner: S) -> Self::Service {
        CorsService {
            policy: Arc::clone(&self.policy),
            guard: Arc::clone(&self.guard),
            inner,
        }
    }
}

/// The service of [`CorsLayer`].
#[derive(Debug)]
pub struct CorsService<S, G = ()> {
    policy: Arc<CorsPolicy>,
    guard: Arc<G>,
    inner: S,
}

impl<S: Clone, G> Clone for CorsService<S, G> {
    fn clone(&self) -> Self {
        Self {
            policy: Arc::clone(&self.policy),
            guard: Arc::clone(&self.guard),
            inner: self.inner.clone(),
        }
    }
}

impl<S, G, B, R> Service<Request<B>> for CorsService<S, G>
where
    G: Guard,
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    type Response = Response<Answer<R>>;
    type Error = Infallible;
    type Future = CorsFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if self.policy.mode != Mode::Off && is_preflight(request.method(), request.headers()) {
            let (mut head, _) = request.into_parts();
            let answer = Some(preflight(&self.policy, &*self.guard, &mut head));
            let state = State::Preflight { answer };
            return CorsFuture { state };
        }
        let finish = Finish::of(&self.policy, request.headers());
        let exchange = request.extensions().get::<Exchange>();
        let exchange = exchange.filter(|exchange| exchange.leaves_headers());
        let exchange = exchange.cloned();
        let future = self.inner.call(request);
        let finish = Some(finish);
        let state = State::Inner {
            future,
            finish,
            exchange,
        };
        CorsFuture { state }
    }
}

impl CorsPolicy {
    /// Does to an answer that no [`CorsLayer`] sees what that layer would do to it: for refusals
    /// that are made before it is known which server's layers a request belongs to.
    pub fn apply(self: &Arc<Self>, request: &Parts, answer: &mut HeaderMap) {
        let finish = if is_preflight(&request.method, &request.headers) && self.mode != Mode::Off {
            // A refused one is granted nothing.
            Finish::Plain
        } else {
            Finish::of(self, &request.headers)
        };
        finish.apply(answer, None);
    }
}

pin_project! {
    /// The future of [`CorsService`].
    #[derive(Debug)]
    pub struct CorsFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    #[derive(Debug)]
    enum State<F> {
        // The inner service is at work.
        Inner { #[pin] future: F, finish: Option<Finish>, exchange: Option<Exchange> },
        // A preflight, which the inner service does not see.
        Preflight { answer: Option<Response<Bytes>> },
    }
}

impl<F, R> Future for CorsFuture<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<Answer<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Inner {
                future,
                finish,
                exchange,
            } => {
                let Ok(mut answer) = ready!(future.poll(cx));
                if let Some(finish) = finish.take() {
                    finish.apply(answer.headers_mut(), exchange.as_ref());
                }
                Poll::Ready(Ok(answer.map(Answer::inner)))
            }
            StateProjection::Preflight { answer } => {
                let answer = answer.take().unwrap_or_default();
                Poll::Ready(Ok(answer.map(Answer::own)))
            }
        }
    }
}

/// What is still to be done to the inner service's answer.
#[derive(Debug)]
enum Finish {
    /// The origin is allowed; its header is echoed as it came.
    Grant {
        policy: Arc<CorsPolicy>,
        origin: HeaderValue,
    },
    /// No origin, or none that is allowed.
    Plain,
    /// Mode off.
    Untouched,
}

impl Finish {
    fn of(policy: &Arc<CorsPolicy>, request: &HeaderMap) -> Self {
        if policy.mode == Mode::Off {
            return Self::Untouched;
        }
        match Sent::of(request) {
            Sent::One(origin, value) if policy.origins.allows(&origin) => Self::Grant {
                policy: Arc::clone(policy),
                origin: value.clone(),
            },
            _ => Self::Plain,
        }
    }

    /// `leaving` is the exchange, where the server writes headers itself.
    fn apply(self, headers: &mut HeaderMap, leaving: Option<&Exchange>) {
        if matches!(self, Self::Untouched) {
            return;
        }
        strip(headers);
        match leaving {
            Some(exchange) if !headers.contains_key(VARY) => {
                let mut facts = exchange.facts();
                facts.lines.put(&VARY, &[VARY_ORIGIN.as_bytes()]);
            }
            _ => vary_on_origin(headers),
        }
        if let Self::Grant { policy, origin } = self {
            grant(&policy, origin, headers);
            if let Some(names) = &policy.expose_headers {
                headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names.clone());
            }
        }
    }
}

fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight<G: Guard>(policy: &CorsPolicy, guard: &G, head: &mut Parts) -> Response<Bytes> {
    Exchange::of(head).facts().preflight = true;
    let mut answer = match guard.admit(head) {
        Err(rejection) => rejection.into_response(head),
        Ok(mut admit) => {
            let mut answer = match judge(policy, &head.headers) {
                Ok(leave) => leave.into_response(policy, head),
                Err(rejection) => refuse(policy, rejection, head),
            };
            admit.apply(answer.headers_mut());
            answer
        }
    };
    let headers = answer.headers_mut();
    headers.insert(VARY, policy.preflight_vary.clone());
    answer
}

/// A preflight of an allowed origin.
#[derive(Debug)]
struct Leave {
    origin: HeaderValue,
    private_network: bool,
    /// The method or the headers that the policy does not list.
    unlisted: Option<Rejection>,
}

/// Whether the page may ask at all, and whether what it asks for is listed.
fn judge(policy: &CorsPolicy, headers: &HeaderMap) -> Result<Leave, Rejection> {
    let refused = || Rejection::new(Reason::CorsPreflightRefused);
    let (origin, value) = match Sent::of(headers) {
        Sent::One(origin, value) => (origin, value),
        Sent::Unreadable(error, _) => return Err(refused().with_detail(error)),
        Sent::Absent | Sent::Several => {
            return Err(refused().with_detail("not one Origin header"));
        }
    };
    if !policy.origins.allows(&origin) {
        return Err(refused()
            .with_detail(format_args!("origin {origin}"))
            .with_remedy(format_args!("add \"{origin}\" to cors.origins")));
    }
    let Some(method) = requested_method(headers) else {
        return Err(refused().with_detail("Access-Control-Request-Method is not one method"));
    };
    let Some(unlisted) = unlisted_headers(policy, headers) else {
        return Err(refused().with_detail("Access-Control-Request-Headers is no list of names"));
    };
    let unlisted = if !policy.methods.contains(&method) {
        let rejection = refused().with_detail(format_args!("method {method}"));
        Some(rejection.with_remedy(format_args!("add \"{method}\" to cors.methods")))
    } else if !unlisted.is_empty() {
        let rejection = refused().with_detail(format_args!("headers {unlisted}"));
        Some(rejection.with_remedy(format_args!("add {unlisted} to cors.allow_headers")))
    } else {
        None
    };
    Ok(Leave {
        origin: value.clone(),
        private_network: policy.private_network.allows(&origin)
            && headers
                .get(REQUEST_PRIVATE_NETWORK)
                .is_some_and(|value| value == "true"),
        unlisted,
    })
}

impl Leave {
    fn into_response(self, policy: &CorsPolicy, head: &mut Parts) -> Response<Bytes> {
        let reflect = match self.unlisted {
            Some(rejection) if policy.mode == Mode::Report => {
                Exchange::of(head).report(&rejection);
                true
            }
            Some(rejection) => return rejection.into_response(head),
            None => false,
        };
        let mut answer = no_content();
        let headers = answer.headers_mut();
        grant(policy, self.origin, headers);
        if reflect {
            for (asked, name) in [
                (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
                (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
            ] {
                for value in head.headers.get_all(asked) {
                    headers.append(name.clone(), value.clone());
                }
            }
        } else {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, policy.allow_methods.clone());
            if let Some(names) = &policy.allow_headers {
                headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
            }
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, policy.max_age.clone());
        if self.private_network {
            headers.insert(ALLOW_PRIVATE_NETWORK, TRUE);
        }
        answer
    }
}

#[cold]
fn refuse(policy: &CorsPolicy, rejection: Rejection, head: &mut Parts) -> Response<Bytes> {
    if policy.mode == Mode::Report {
        Exchange::of(head).report(&rejection);
        return no_content();
    }
    rejection.into_response(head)
}

fn grant(policy: &CorsPolicy, origin: HeaderValue, headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if policy.credentials {
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
    }
}

/// The one method asked for. Methods are compared with regard to case (RFC 9110 section 9.1).
fn requested_method(headers: &HeaderMap) -> Option<Method> {
    let mut values = headers.get_all(ACCESS_CONTROL_REQUEST_METHOD).iter();
    let method = Method::from_bytes(values.next()?.as_bytes()).ok()?;
    (values.next().is_none() && method.as_str() != ANY).then_some(method)
}

/// The names asked for that are not listed, quoted, with commas; `None` when the header is no
/// list of names, or more than anyone needs.
fn unlisted_headers(policy: &CorsPolicy, headers: &HeaderMap) -> Option<String> {
    let mut unlisted = String::new();
    let mut count = 0;
    for value in headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS) {
        // An empty element means nothing (RFC 9110 section 5.6.1).
        for name in elements(value).filter(|name| !name.is_empty()) {
            count += 1;
            if count > MAX_NAMES {
                return None;
            }
            if policy.lists(name) {
                continue;
            }
            let name = HeaderName::from_bytes(name).ok()?;
            if name == ANY {
                return None;
            }
            let comma = if unlisted.is_empty() { "" } else { ", " };
            unlisted.extend([comma, "\"", name.as_str(), "\""]);
        }
    }
    Some(unlisted)
}

/// Adds `Origin` to `Vary` where it is not in it: the answer depends on it even when it was
/// absent.
fn vary_on_origin(headers: &mut HeaderMap) {
    if !headers.contains_key(VARY) {
        headers.insert(VARY, VARY_ORIGIN);
        return;
    }
    let values = || headers.get_all(VARY).iter();
    let covers =
        |element: &[u8]| element == ANY.as_bytes() || element.eq_ignore_ascii_case(b"origin");
    if values().flat_map(elements).any(covers) {
        return;
    }
    let mut joined = b"Origin".to_vec();
    for element in values().flat_map(elements).filter(|e| !e.is_empty()) {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(element);
    }
    // Parts of header values make a header value.
    if let Ok(joined) = HeaderValue::try_from(joined) {
        headers.insert(VARY, joined);
    }
}

/// Removes the inner service's own CORS headers.
fn strip(headers: &mut HeaderMap) {
    let is_cors = |name: &&HeaderName| name.as_str().starts_with("access-control-");
    while let Some(name) = headers.keys().find(is_cors).cloned() {
        headers.remove(name);
    }
}

fn elements(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    let elements = value.as_bytes().split(|byte| *byte == b',');
    elements.map(<[u8]>::trim_ascii)
}

fn no_content() -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

const TRUE: HeaderValue = HeaderValue::from_static("true");
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// Private Network Access, a draft that browsers have given up for a permission prompt.
const REQUEST_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName =
    HeaderName::from_static("access-control-allow-private-network");

/// A wildcard where browsers look for one; in a request, no name.
const ANY: &str = "*";

/// Most header names that a preflight may ask for.
const MAX_NAMES: usize = 64;

#[cfg(test)]
mod tests;

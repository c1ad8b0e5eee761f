//! Security headers on every answer, and no fingerprints of what stands behind.
//!
//! [`SecurityHeadersLayer`] is meant to stand outside every layer that refuses, so that
//! refusals carry the headers too. A server with a [`HeaderPolicy`] of its own puts an
//! [`OverrideLayer`] into its inner stack; the outer layer follows it on the way out.

mod fingerprint;
mod hsts;
mod policy;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::HeaderName;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

pub use hsts::{Hsts, HstsError};
pub use policy::{Builder, Common, HeaderPolicy, PolicyError, Variant};

use crate::exchange::Exchange;
use crate::guard::Mode;

/// Sets the headers of a [`HeaderPolicy`] on every answer and removes fingerprints.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SecurityHeadersLayer {
    policy: Arc<HeaderPolicy>,
}

impl SecurityHeadersLayer {
    /// The layer of `policy`, for requests that no [`OverrideLayer`] inside has met.
    pub fn new(policy: impl Into<Arc<HeaderPolicy>>) -> Self {
        Self {
            policy: policy.into(),
        }
    }
}

/// In an answer's extensions: what [`Mode::Report`] left undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Headers that would have been set, or set to another value.
    pub set: Vec<HeaderName>,
    /// Headers that would have been removed.
    pub removed: Vec<HeaderName>,
}

/// Has every answer of the inner service follow another policy.
#[derive(Clone, Debug)]
#[must_use]
pub struct OverrideLayer {
    policy: Arc<HeaderPolicy>,
}

impl OverrideLayer {
    /// The layer that has answers follow `policy`.
    pub fn new(policy: impl Into<Arc<HeaderPolicy>>) -> Self {
        Self {
            policy: policy.into(),
        }
    }
}

impl<S> Layer<S> for SecurityHeadersLayer {
    type Service = SecurityHeaders<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SecurityHeaders {
            policy: Arc::clone(&self.policy),
            inner,
        }
    }
}

/// The service of [`SecurityHeadersLayer`].
#[derive(Clone, Debug)]
pub struct SecurityHeaders<S> {
    policy: Arc<HeaderPolicy>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for SecurityHeaders<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = SecurityHeadersFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let exchange = Exchange::within(request.extensions_mut());
        SecurityHeadersFuture {
            hsts: exchange.connection().tls && hsts::may_pin(&request),
            policy: Arc::clone(&self.policy),
            future: self.inner.call(request),
            exchange,
        }
    }
}

pin_project! {
    /// The future of [`SecurityHeaders`].
    #[derive(Debug)]
    pub struct SecurityHeadersFuture<F> {
        #[pin]
        future: F,
        policy: Arc<HeaderPolicy>,
        exchange: Exchange,
        hsts: bool,
    }
}

impl<F, R> Future for SecurityHeadersFuture<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<R>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut answer) = ready!(this.future.poll(cx));
        let own = this.exchange.facts().headers.take();
        let policy = own.as_ref().unwrap_or(this.policy);
        if this.exchange.leaves_headers() && policy.mode() == Mode::Enforce {
            let mut facts = this.exchange.facts();
            let common = policy.leave(answer.headers(), *this.hsts, &mut facts.lines);
            facts.common = Some(common);
            drop(facts);
            return Poll::Ready(Ok(answer));
        }
        if let Some(reported) = policy.apply(answer.headers_mut(), *this.hsts) {
            answer.extensions_mut().insert(reported);
        }
        Poll::Ready(Ok(answer))
    }
}

impl<S> Layer<S> for OverrideLayer {
    type Service = OverrideService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OverrideService {
            policy: Arc::clone(&self.policy),
            inner,
        }
    }
}

/// The service of [`OverrideLayer`].
#[derive(Clone, Debug)]
pub struct OverrideService<S> {
    policy: Arc<HeaderPolicy>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for OverrideService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let exchange = Exchange::within(request.extensions_mut());
        exchange.facts().headers = Some(Arc::clone(&self.policy));
        self.inner.call(request)
    }
}

#[cfg(test)]
mod tests;

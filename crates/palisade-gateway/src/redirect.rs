//! The plain HTTP listener that only redirects, as a service.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower_service::Service;

use crate::listen::redirect::Redirect;
use crate::request_body::RequestBody;

/// Answers every request by a [`Redirect`]; reads no body.
#[derive(Clone, Debug)]
pub struct RedirectService {
    redirect: Arc<Redirect>,
}

impl RedirectService {
    /// Answers by `redirect`.
    #[must_use]
    pub const fn new(redirect: Arc<Redirect>) -> Self {
        Self { redirect }
    }
}

impl Service<Request<RequestBody>> for RedirectService {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        ready(Ok(self.redirect.answer(&request).map(Full::new)))
    }
}

//! Begins the [`Exchange`] and names it on the answer.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{HeaderName, HeaderValue};
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::exchange::Exchange;

/// The header that carries the [`RequestId`](crate::RequestId) on every answer.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Begins an [`Exchange`] for every request and sets `X-Request-ID` on every answer, in place
/// of the upstream's. What a client sends under that name is never believed.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct RequestIdLayer;

impl<S> Layer<S> for RequestIdLayer {
    type Service = RequestIds<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequestIds { inner }
    }
}

/// The service of [`RequestIdLayer`].
#[derive(Clone, Debug)]
pub struct RequestIds<S> {
    inner: S,
}

impl<S, B, R> Service<Request<B>> for RequestIds<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
{
    type Response = Response<R>;
    type Error = Infallible;
    type Future = RequestIdFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let exchange = Exchange::within(request.extensions_mut());
        RequestIdFuture {
            future: self.inner.call(request),
            exchange,
        }
    }
}

pin_project! {
    /// The future of [`RequestIds`].
    #[derive(Debug)]
    pub struct RequestIdFuture<F> {
        #[pin]
        future: F,
        exchange: Exchange,
    }
}

impl<F, R> Future for RequestIdFuture<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<R>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut answer) = ready!(this.future.poll(cx));
        let id = this.exchange.id();
        if this.exchange.leaves_headers() {
            if answer.headers().keys().any(|name| *name == X_REQUEST_ID) {
                answer.headers_mut().remove(X_REQUEST_ID);
            }
            let mut facts = this.exchange.facts();
            facts.lines.put(&X_REQUEST_ID, &[id.as_bytes()]);
        } else if let Ok(mut id) = HeaderValue::from_bytes(id.as_bytes()) {
            // Hexadecimal digits are always a header value. HTTP/2 is to keep no place in its table for
            // what no other answer says (RFC 7541 section 6.2.3).
            id.set_sensitive(true);
            answer.headers_mut().insert(X_REQUEST_ID, id);
        }
        Poll::Ready(Ok(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;
    use tower::{ServiceExt, service_fn};

    #[tokio::test]
    async fn the_answer_names_the_exchange_that_the_inner_service_saw() {
        let inner = service_fn(|request: Request<()>| {
            let id = request.extensions().get::<Exchange>().unwrap().id();
            let mut answer = Response::new(id);
            let own = HeaderValue::from_static("upstream");
            answer.headers_mut().insert(X_REQUEST_ID, own);
            ready(Ok::<_, Infallible>(answer))
        });
        let request = Request::builder().header(X_REQUEST_ID, "client");
        let service = RequestIdLayer.layer(inner);
        let Ok(answer) = service.oneshot(request.body(()).unwrap()).await;
        let named: Vec<_> = answer.headers().get_all(X_REQUEST_ID).iter().collect();
        assert_eq!(named, [answer.body().as_str()]);
    }
}

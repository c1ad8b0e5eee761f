//! A service behind a trait object.
//!
//! Layers nest, and so do their types: round some fifteen of them the compiler takes minutes to find
//! out that they are a service. [`Erased`] ends the type in the middle of the stack. It costs each
//! request two allocations, one for the future and one for the body of the answer, and makes what the
//! layers outside it move as small as a pointer.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use pin_project_lite::pin_project;
use tower_service::Service;

/// A service for requests with bodies `B` whose own type is not told. Cheap to clone.
pub struct Erased<B> {
    call: Arc<dyn Fn(Request<B>) -> ErasedFuture + Send + Sync>,
}

/// The body of an answer of [`Erased`].
pub type ErasedBody = UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>;

/// The future of [`Erased`].
pub type ErasedFuture =
    Pin<Box<dyn Future<Output = Result<Response<ErasedBody>, Infallible>> + Send>>;

impl<B: 'static> Erased<B> {
    /// `service`, of which each request gets a clone. It is taken to be ready always, as
    /// [`Route`](crate::route::Route) takes it.
    pub fn new<S, R>(service: S) -> Self
    where
        S: Service<Request<B>, Response = Response<R>, Error = Infallible, Future: Send + 'static>
            + Clone
            + Send
            + Sync
            + 'static,
        R: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let call = move |request| -> ErasedFuture {
            let future = service.clone().call(request);
            // No `async` block: one would hold the inner future twice.
            Box::pin(Erasing { future })
        };
        Self {
            call: Arc::new(call),
        }
    }
}

impl<B> Clone for Erased<B> {
    fn clone(&self) -> Self {
        Self {
            call: Arc::clone(&self.call),
        }
    }
}

impl<B> fmt::Debug for Erased<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Erased").finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for Erased<B> {
    type Response = Response<ErasedBody>;
    type Error = Infallible;
    type Future = ErasedFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ErasedFuture {
        (self.call)(request)
    }
}

pin_project! {
    struct Erasing<F> {
        #[pin]
        future: F,
    }
}

impl<F, R> Future for Erasing<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
    R: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    type Output = Result<Response<ErasedBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Ok(answer) = ready!(self.project().future.poll(cx));
        Poll::Ready(Ok(
            answer.map(|body| body.map_err(Into::into).boxed_unsync())
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;
    use std::task::Waker;

    use http_body_util::Full;
    use tower::service_fn;

    #[test]
    fn what_is_asked_and_answered_is_the_services_own() {
        let inner = service_fn(|request: Request<&'static str>| {
            let body = Full::from(request.into_body());
            ready(Ok::<_, Infallible>(
                Response::builder().status(202).body(body).unwrap(),
            ))
        });
        let mut erased = Erased::new(inner);
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(answer)) = erased
            .clone()
            .call(Request::new("hello"))
            .as_mut()
            .poll(&mut cx)
        else {
            panic!("it waits");
        };
        assert_eq!(answer.status(), 202);
        assert_eq!(answer.body().size_hint().exact(), Some(5));
        let mut body = answer.into_body();
        let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut cx) else {
            panic!("no frame");
        };
        assert_eq!(frame.into_data().unwrap(), "hello");
        assert!(body.is_end_stream());
        assert!(erased.poll_ready(&mut cx).is_ready());
    }
}

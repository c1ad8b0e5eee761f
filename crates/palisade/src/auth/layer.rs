//! The layer that asks an [`Authenticator`].

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{Authenticator, Caller, Judged, Refresh};
use crate::answer::Answer;
use crate::exchange::Exchange;
use crate::rate::{Clock as _, Monotonic};

/// Lets pass who is known; the [`Caller`] then stands in the [`Exchange`].
#[derive(Clone, Debug)]
#[must_use]
pub struct AuthenticateLayer {
    authenticator: Option<Arc<Authenticator>>,
}

impl AuthenticateLayer {
    /// Asks `authenticator`; `None`: nobody is asked for anything.
    pub const fn new(authenticator: Option<Arc<Authenticator>>) -> Self {
        Self { authenticator }
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = AuthenticateService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthenticateService {
            authenticator: self.authenticator.clone(),
            inner,
        }
    }
}

/// The service of [`AuthenticateLayer`].
#[derive(Clone, Debug)]
pub struct AuthenticateService<S> {
    authenticator: Option<Arc<Authenticator>>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for AuthenticateService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Send + 'static,
    R: Body<Data = Bytes> + 'static,
{
    type Response = Response<Answer<R>>;
    type Error = Infallible;
    type Future = AuthenticateFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(authenticator) = &self.authenticator else {
            return AuthenticateFuture::Admitted {
                future: self.inner.call(request),
            };
        };
        let (mut head, body) = request.into_parts();
        let exchange = Exchange::of(&mut head);
        match authenticator.judge(&head, &exchange, now(), 0) {
            Judged::Caller(caller) => {
                admit(authenticator, &mut head, &exchange, caller);
                AuthenticateFuture::Admitted {
                    future: self.inner.call(Request::from_parts(head, body)),
                }
            }
            Judged::Refused(rejection) => AuthenticateFuture::Refused {
                answer: Some(rejection.into_response(&head)),
            },
            Judged::Wait(refresh) => {
                let (authenticator, inner) = (Arc::clone(authenticator), self.inner.clone());
                AuthenticateFuture::Waiting {
                    future: Box::pin(again(authenticator, refresh, inner, head, body)),
                }
            }
        }
    }
}

/// Judges once more when the keys are there. Rare, so it may cost.
async fn again<S, B, R>(
    authenticator: Arc<Authenticator>,
    refresh: Refresh,
    mut inner: S,
    mut head: Parts,
    body: B,
) -> Result<Response<Answer<R>>, Infallible>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
{
    refresh.await;
    let exchange = Exchange::of(&mut head);
    let mut judged = authenticator.judge(&head, &exchange, now(), 1);
    if let Judged::Wait(refresh) = judged {
        refresh.await;
        judged = authenticator.judge(&head, &exchange, now(), 2);
    }
    let rejection = match judged {
        Judged::Caller(caller) => {
            admit(&authenticator, &mut head, &exchange, caller);
            let answered = inner.call(Request::from_parts(head, body)).await;
            return answered.map(|answer| answer.map(Answer::inner));
        }
        Judged::Refused(rejection) => rejection,
        Judged::Wait(_) => super::unavailable(),
    };
    Ok(rejection.into_response(&head).map(Answer::own))
}

fn admit(
    authenticator: &Authenticator,
    head: &mut Parts,
    exchange: &Exchange,
    caller: Arc<Caller>,
) {
    authenticator.strip(head);
    exchange.facts().caller = Some(caller);
}

fn now() -> u64 {
    Monotonic::default().unix()
}

type Answered<R> = Pin<Box<dyn Future<Output = Result<Response<Answer<R>>, Infallible>> + Send>>;

pin_project! {
    /// The future of [`AuthenticateService`].
    #[project = AuthenticateFutureProjection]
    #[allow(missing_docs, reason = "pin_project fields of the variants")]
    pub enum AuthenticateFuture<F, R> {
        /// The inner service is at work.
        Admitted { #[pin] future: F },
        /// The caller is not known.
        Refused { answer: Option<Response<Bytes>> },
        /// Keys are being fetched.
        Waiting { future: Answered<R> },
    }
}

impl<F, R> Future for AuthenticateFuture<F, R>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<Answer<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AuthenticateFutureProjection::Admitted { future } => {
                let Ok(answer) = ready!(future.poll(cx));
                Poll::Ready(Ok(answer.map(Answer::inner)))
            }
            AuthenticateFutureProjection::Refused { answer } => {
                Poll::Ready(Ok(answer.take().unwrap_or_default().map(Answer::own)))
            }
            AuthenticateFutureProjection::Waiting { future } => future.as_mut().poll(cx),
        }
    }
}

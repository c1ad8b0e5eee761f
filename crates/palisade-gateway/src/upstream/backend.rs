//! One kind of upstream or the other, behind the same layers.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::auth::{OwnBody, OwnRoute};
use crate::plan::RequestBody;

/// What answers a server's requests.
#[derive(Clone)]
pub enum Backend<H, S> {
    /// A server that is reached by HTTP.
    Http(H),
    /// A document of our own beside a server.
    Own(OwnRoute),
    /// A command that speaks on its standard streams.
    Stdio(S),
}

impl<H, S, R, Q> Service<Request<RequestBody>> for Backend<H, S>
where
    H: Service<Request<RequestBody>, Response = Response<R>, Error = Infallible>,
    S: Service<Request<RequestBody>, Response = Response<Q>, Error = Infallible>,
{
    type Response = Response<BackendBody<R, Q>>;
    type Error = Infallible;
    type Future = BackendFuture<H::Future, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        match self {
            Self::Http(http) => http.poll_ready(cx),
            Self::Own(own) => own.poll_ready(cx),
            Self::Stdio(stdio) => stdio.poll_ready(cx),
        }
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        match self {
            Self::Http(http) => BackendFuture::Http {
                future: http.call(request),
            },
            Self::Own(own) => BackendFuture::Own {
                future: own.call(request),
            },
            Self::Stdio(stdio) => BackendFuture::Stdio {
                future: stdio.call(request),
            },
        }
    }
}

pin_project! {
    /// The future of a [`Backend`].
    #[project = BackendFutureProjection]
    #[allow(missing_docs, reason = "pin_project fields of the two variants")]
    pub enum BackendFuture<H, S> {
        /// By HTTP.
        Http { #[pin] future: H },
        /// Our own.
        Own { future: <OwnRoute as Service<Request<RequestBody>>>::Future },
        /// From a command.
        Stdio { #[pin] future: S },
    }
}

impl<H, S, R, Q> Future for BackendFuture<H, S>
where
    H: Future<Output = Result<Response<R>, Infallible>>,
    S: Future<Output = Result<Response<Q>, Infallible>>,
{
    type Output = Result<Response<BackendBody<R, Q>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            BackendFutureProjection::Http { future } => {
                let Ok(answer) = ready!(future.poll(cx));
                Poll::Ready(Ok(answer.map(|body| BackendBody::Http(Box::pin(body)))))
            }
            BackendFutureProjection::Own { future } => {
                let Ok(answer) = ready!(future.as_mut().poll(cx));
                Poll::Ready(Ok(answer.map(|body| BackendBody::Own(Box::pin(body)))))
            }
            BackendFutureProjection::Stdio { future } => {
                let Ok(answer) = ready!(future.poll(cx));
                Poll::Ready(Ok(answer.map(|body| BackendBody::Stdio(Box::pin(body)))))
            }
        }
    }
}

/// The answer of a [`Backend`]. Boxed, for every layer moves it.
pub enum BackendBody<R, Q> {
    /// By HTTP.
    Http(Pin<Box<R>>),
    /// Our own.
    Own(Pin<Box<OwnBody>>),
    /// From a command.
    Stdio(Pin<Box<Q>>),
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<R, Q> Body for BackendBody<R, Q>
where
    R: Body<Data = Bytes, Error: Into<BoxError>>,
    Q: Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = BoxedError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxedError>>> {
        match self.get_mut() {
            Self::Http(body) => body.as_mut().poll_frame(cx).map(boxed),
            Self::Own(body) => body.as_mut().poll_frame(cx).map(boxed),
            Self::Stdio(body) => body.as_mut().poll_frame(cx).map(boxed),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http(body) => body.is_end_stream(),
            Self::Own(body) => body.is_end_stream(),
            Self::Stdio(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http(body) => body.size_hint(),
            Self::Own(body) => body.size_hint(),
            Self::Stdio(body) => body.size_hint(),
        }
    }
}

/// Why a body breaks off, whichever kind it is.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct BoxedError(BoxError);

fn boxed<E: Into<BoxError>>(
    frame: Option<Result<Frame<Bytes>, E>>,
) -> Option<Result<Frame<Bytes>, BoxedError>> {
    frame.map(|frame| frame.map_err(|error| BoxedError(error.into())))
}

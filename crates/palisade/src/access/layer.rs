//! The layer that asks [`Access`], and filters what lists name.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::filter::{Filter, Filtered};
use super::{Access, is_list};
use crate::answer::Answer;
use crate::exchange::{Exchange, Text};
use crate::media;
use crate::rejection::{Reason, Rejection};

/// Lets pass what the rules allow. Needs a caller and the message, so it stands inside the layers
/// that find them.
#[derive(Clone, Debug)]
#[must_use]
pub struct AuthorizeLayer {
    access: Option<Arc<Access>>,
}

impl AuthorizeLayer {
    /// Asks `access`; `None`: there are no rules.
    pub const fn new(access: Option<Arc<Access>>) -> Self {
        Self { access }
    }
}

impl<S> Layer<S> for AuthorizeLayer {
    type Service = AuthorizeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthorizeService {
            access: self.access.clone(),
            inner,
        }
    }
}

/// The service of [`AuthorizeLayer`].
#[derive(Clone, Debug)]
pub struct AuthorizeService<S> {
    access: Option<Arc<Access>>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for AuthorizeService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    type Response = Response<Answer<Filtered<R>>>;
    type Error = Infallible;
    type Future = AuthorizeFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(access) = self.access.clone() else {
            return AuthorizeFuture::Admitted {
                future: self.inner.call(request),
                filter: None,
            };
        };
        let (mut head, body) = request.into_parts();
        match judge(access, &mut head) {
            Ok(filter) => AuthorizeFuture::Admitted {
                future: self.inner.call(Request::from_parts(head, body)),
                filter,
            },
            Err(rejection) => AuthorizeFuture::Refused {
                answer: Some(rejection.into_response(&head)),
            },
        }
    }
}

/// Judges every message of the request; a filter where its answer may name things.
fn judge(access: Arc<Access>, head: &mut Parts) -> Result<Option<Filter>, Rejection> {
    let exchange = Exchange::of(head);
    let facts = exchange.facts();
    let Some(caller) = facts.caller.clone() else {
        // Rules without authentication are refused at start; a library that forgets it is told.
        return Err(Rejection::new(Reason::AccessDenied)
            .with_detail("there are rules, and nobody asked who calls")
            .with_remedy("set `auth = \"required\"` for this server"));
    };
    if access.plain {
        access.admit_plain(&caller)?;
        return Ok(None);
    }
    // A stream of its own may carry the answer to any request, a resumed one too.
    let mut lists = head.method == Method::GET;
    for call in &facts.calls {
        access.admit(&caller, call)?;
        let method = call.method.as_ref().map(Text::as_str);
        lists |= method.is_some_and(is_list);
    }
    Ok(lists.then(|| Filter::new(Arc::clone(&access), caller)))
}

pin_project! {
    /// The future of [`AuthorizeService`].
    #[project = AuthorizeFutureProjection]
    #[allow(missing_docs, reason = "pin_project fields of the two variants")]
    pub enum AuthorizeFuture<F> {
        /// The inner service is at work.
        Admitted { #[pin] future: F, filter: Option<Filter> },
        /// The rules refused.
        Refused { answer: Option<Response<Bytes>> },
    }
}

impl<F, R> Future for AuthorizeFuture<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<Answer<Filtered<R>>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            AuthorizeFutureProjection::Admitted { future, filter } => {
                let Ok(answer) = ready!(future.poll(cx));
                Poll::Ready(Ok(filtered(answer, filter.take())))
            }
            AuthorizeFutureProjection::Refused { answer } => {
                Poll::Ready(Ok(answer.take().unwrap_or_default().map(Answer::own)))
            }
        }
    }
}

fn filtered<R>(mut answer: Response<R>, filter: Option<Filter>) -> Response<Answer<Filtered<R>>> {
    let refused = answer.extensions().get::<Rejection>().is_some();
    let Some(filter) = filter.filter(|_| !refused) else {
        return answer.map(|body| Answer::inner(Filtered::whole(body)));
    };
    let events = media::is_event_stream(answer.headers());
    if !events && !media::is_json(answer.headers()) {
        return answer.map(|body| Answer::inner(Filtered::whole(body)));
    }
    let headers = answer.headers_mut();
    // We asked for none; what is coded all the same cannot be read, so it cannot be let out.
    let coded = headers.contains_key(CONTENT_ENCODING);
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    answer.map(|body| {
        Answer::inner(match (coded, events) {
            (true, _) => Filtered::unreadable(body),
            (false, true) => Filtered::events(body, filter),
            (false, false) => Filtered::json(body, filter),
        })
    })
}

//! Host and path choose the server; everything inside follows that server's plan.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::answer::Answer;
use crate::exchange::Exchange;
use crate::host::{self, HostSet};
use crate::rejection::{Reason, Rejection};

/// One server's place.
#[derive(Clone, Debug)]
pub struct Entry<S> {
    /// The server's configured name.
    pub name: Arc<str>,
    /// Only under these public hosts; `None`: under every host.
    pub host: Option<HostSet>,
    /// A path prefix on a segment boundary, such as `/mcp`; `/` is every path.
    pub path: String,
    /// The server's own stack.
    pub service: S,
}

/// Sends each request to the server whose host and path fit it best.
///
/// A server with a host goes before one without; then the longest path wins. The path is kept.
#[derive(Clone)]
pub struct Route<S> {
    entries: Arc<[Entry<S>]>,
    finish: Option<Finish>,
}

/// What is done to the head of a refusal, given the head of the request.
type Finish = Arc<dyn Fn(&Parts, &mut HeaderMap) + Send + Sync>;

impl<S> Route<S> {
    /// A route to `entries`; with none of them, every request is refused.
    #[must_use]
    pub fn new(mut entries: Vec<Entry<S>>) -> Self {
        for entry in &mut entries {
            let path = entry.path.trim_end_matches('/').len();
            entry.path.truncate(path);
        }
        // The first that fits is the best.
        entries.sort_by_key(|entry| {
            (
                std::cmp::Reverse(entry.host.is_some()),
                std::cmp::Reverse(entry.path.len()),
            )
        });
        Self {
            entries: entries.into(),
            finish: None,
        }
    }

    /// Has `finish` put headers on refusals, which no server's layers see.
    #[must_use]
    pub fn with_refusals(
        mut self,
        finish: impl Fn(&Parts, &mut HeaderMap) + Send + Sync + 'static,
    ) -> Self {
        self.finish = Some(Arc::new(finish));
        self
    }

    /// The entry that fits a request's host and path best.
    #[must_use]
    pub fn choose(&self, head: &Parts) -> Option<&Entry<S>> {
        let path = head.uri.path();
        // Those with a host stand in front, and only they ask for it.
        let by_host = self
            .entries
            .first()
            .is_some_and(|entry| entry.host.is_some());
        let authority = by_host.then(|| host::authority(head).ok()).flatten();
        self.entries.iter().find(|entry| {
            let fits_host = entry
                .host
                .as_ref()
                .is_none_or(|host| authority.is_some_and(|authority| host.allows(authority)));
            fits_host && is_below(path, &entry.path)
        })
    }
}

impl<S: fmt::Debug> fmt::Debug for Route<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

/// Whether `path` is `prefix` or lies below it; `prefix` has no slash at its end.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl<S, B, R> Service<Request<B>> for Route<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible> + Clone,
    R: Body<Data = Bytes>,
{
    type Response = Response<Answer<R>>;
    type Error = Infallible;
    type Future = RouteFuture<S::Future>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Which service is asked is known only with the request; all of ours are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let Some(entry) = self.choose(&head) else {
            let rejection = Rejection::new(Reason::RouteNotFound)
                .with_remedy("add a [[server]] whose `path` begins this path");
            let mut answer = rejection.into_response(&head);
            if let Some(finish) = &self.finish {
                finish(&head, answer.headers_mut());
            }
            return RouteFuture::Refused {
                answer: Some(answer),
            };
        };
        Exchange::of(&mut head).facts().server = Some(Arc::clone(&entry.name));
        let future = entry.service.clone().call(Request::from_parts(head, body));
        RouteFuture::Routed { future }
    }
}

pin_project! {
    /// The future of [`Route`].
    #[project = RouteFutureProjection]
    #[derive(Debug)]
    #[allow(missing_docs, reason = "pin_project fields of the two variants")]
    pub enum RouteFuture<F> {
        /// A server's stack is at work.
        Routed { #[pin] future: F },
        /// No server fits.
        Refused { answer: Option<Response<Bytes>> },
    }
}

impl<F, R> Future for RouteFuture<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<Answer<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            RouteFutureProjection::Routed { future } => {
                let Ok(answer) = ready!(future.poll(cx));
                Poll::Ready(Ok(answer.map(Answer::inner)))
            }
            RouteFutureProjection::Refused { answer } => {
                Poll::Ready(Ok(answer.take().unwrap_or_default().map(Answer::own)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(entries: &[(&'static str, Option<&str>, &str)]) -> Route<&'static str> {
        Route::new(
            entries
                .iter()
                .map(|(name, host, path)| Entry {
                    name: (*name).into(),
                    host: host.map(|host| HostSet::parse([host]).unwrap()),
                    path: (*path).to_owned(),
                    service: *name,
                })
                .collect(),
        )
    }

    // REQ: G-4
    #[test]
    fn the_best_fit_wins() {
        let route = route(&[
            ("root", None, "/"),
            ("files", None, "/files"),
            ("deep", None, "/files/deep/"),
            ("named", Some("b.example.com"), "/files"),
        ]);
        for (host, path, expected) in [
            ("a.example.com", "/files", Some("files")),
            ("a.example.com", "/files/", Some("files")),
            ("a.example.com", "/files/x", Some("files")),
            ("a.example.com", "/files/deep", Some("deep")),
            ("a.example.com", "/files/deeper", Some("files")),
            ("a.example.com", "/filesystem", Some("root")),
            ("a.example.com", "/", Some("root")),
            ("b.example.com", "/files/deep", Some("named")),
            ("B.Example.com:8443", "/files", Some("named")),
            ("b.example.com", "/other", Some("root")),
        ] {
            let request = Request::get(path).header("host", host).body(()).unwrap();
            let head = request.into_parts().0;
            assert_eq!(
                route.choose(&head).map(|entry| entry.service),
                expected,
                "{host}{path}"
            );
        }
    }

    #[test]
    fn nothing_fits() {
        let route = route(&[
            ("files", None, "/files"),
            ("named", Some("b.example.com"), "/"),
        ]);
        for (host, path) in [
            ("a.example.com", "/"),
            ("a.example.com", "/file"),
            ("b.example.com.evil.test", "/x"),
        ] {
            let request = Request::get(path).header("host", host).body(()).unwrap();
            assert!(
                route.choose(&request.into_parts().0).is_none(),
                "{host}{path}"
            );
        }
    }
}

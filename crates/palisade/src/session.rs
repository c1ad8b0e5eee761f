//! A session belongs to the caller that opened it.
//!
//! The id that a client holds is sealed: the upstream's own id, the caller's mark and the time, under
//! AES-256-GCM (NIST SP 800-38D). Who presents another caller's id, guesses one or changes one is told
//! that there is no such session, as for one that is over. The mark does not depend on a token's
//! bytes, so a refreshed token goes on with its session; the key may be kept, so that a restart does
//! not end it. A session is never a proof of who calls.
//!
//! Of the revision 2024-11-05, where the session is a stream, the endpoint for its messages
//! belongs to who opened it.

mod endpoints;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::answer::Answer;
use crate::auth::{Caller, Mark};
use crate::exchange::Exchange;
use crate::media;
use crate::rate::{Clock as _, Monotonic};
use crate::rejection::{Reason, Rejection};
pub use endpoints::Watched;
use endpoints::{Endpoints, Watch};

static SESSION: HeaderName = HeaderName::from_static("mcp-session-id");

/// The longest upstream id that is sealed, in bytes.
const MAX_ID: usize = 1024;

/// The longest sealed id that is looked at, in bytes.
const MAX_SEALED: usize = 1536;

/// Seals and opens the session ids of one server.
pub struct SessionSeal {
    key: RandomizedNonceKey,
    server: Arc<str>,
    lifetime: u64,
    endpoints: Arc<Endpoints>,
}

impl SessionSeal {
    /// The seal of `server` under `key`. A session ends `lifetime` seconds after it was opened.
    ///
    /// # Errors
    /// Where the key cannot be used.
    pub fn new(
        key: &[u8; 32],
        server: Arc<str>,
        lifetime: u64,
    ) -> Result<Self, aws_lc_rs::error::Unspecified> {
        Ok(Self {
            key: RandomizedNonceKey::new(&AES_256_GCM, key)?,
            server,
            lifetime,
            endpoints: Arc::default(),
        })
    }

    /// What the client gets for the upstream's `id`, at `now` in seconds since 1970.
    #[must_use]
    pub fn seal(&self, id: &[u8], caller: &Mark, now: u64) -> Option<String> {
        if id.len() > MAX_ID {
            return None;
        }
        let mut sealed = Vec::with_capacity(id.len() + 64);
        sealed.extend_from_slice(caller);
        sealed.extend_from_slice(&now.to_be_bytes());
        sealed.extend_from_slice(id);
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(self.server.as_bytes()), &mut sealed)
            .ok()?;
        sealed.extend_from_slice(nonce.as_ref());
        Some(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The upstream's id in what was sealed for this caller and is not over.
    #[must_use]
    pub fn open(&self, sealed: &[u8], caller: &Mark, now: u64) -> Option<Vec<u8>> {
        if sealed.len() > MAX_SEALED {
            return None;
        }
        let mut sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let nonce = sealed.split_off(sealed.len().checked_sub(NONCE_LEN)?);
        let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(self.server.as_bytes()), &mut sealed)
            .ok()?;
        let (mark, rest) = plain.split_first_chunk::<16>()?;
        let (opened, id) = rest.split_first_chunk::<8>()?;
        let over = u64::from_be_bytes(*opened).saturating_add(self.lifetime);
        // The mark is no secret: it was sealed so that it cannot be changed.
        (mark == caller && now < over).then(|| id.to_vec())
    }
}

impl fmt::Debug for SessionSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionSeal")
            .field("server", &self.server)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// Binds sessions to their callers; without a seal they pass as they are.
#[derive(Clone, Debug)]
#[must_use]
pub struct SessionLayer {
    seal: Option<Arc<SessionSeal>>,
}

impl SessionLayer {
    /// Binds by `seal`.
    pub const fn new(seal: Option<Arc<SessionSeal>>) -> Self {
        Self { seal }
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService {
            seal: self.seal.clone(),
            inner,
        }
    }
}

/// The service of [`SessionLayer`].
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    seal: Option<Arc<SessionSeal>>,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for SessionService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    type Response = Response<Answer<Watched<R>>>;
    type Error = Infallible;
    type Future = SessionFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(seal) = &self.seal else {
            return SessionFuture::Admitted {
                future: self.inner.call(request),
                bound: None,
            };
        };
        let (mut head, body) = request.into_parts();
        match Bound::of(seal, &mut head) {
            Ok(bound) => SessionFuture::Admitted {
                future: self.inner.call(Request::from_parts(head, body)),
                bound: Some(bound),
            },
            Err(rejection) => SessionFuture::Refused {
                answer: Some(rejection.into_response(&head)),
            },
        }
    }
}

/// What is needed to seal the answer's id.
#[derive(Debug)]
pub struct Bound {
    seal: Arc<SessionSeal>,
    caller: Mark,
    /// The id that the client sent, and the upstream's in it.
    sent: Option<(HeaderValue, HeaderValue)>,
    /// Whether the answer may be the stream of a session of 2024-11-05.
    opens: bool,
}

impl Bound {
    fn of(seal: &Arc<SessionSeal>, head: &mut Parts) -> Result<Self, Rejection> {
        let exchange = Exchange::of(head);
        let caller = exchange.facts().caller.clone();
        let caller = caller.as_deref().map(Caller::mark).copied();
        let caller = caller.unwrap_or_default();
        if !seal.endpoints.admits(&head.uri, &caller) {
            return Err(unknown());
        }
        let sent = match head.headers.get(&SESSION).cloned() {
            None => None,
            Some(sealed) => {
                let opened = seal.open(sealed.as_bytes(), &caller, now());
                let id = opened.and_then(|id| HeaderValue::from_bytes(&id).ok());
                let id = id.ok_or_else(unknown)?;
                head.headers.insert(SESSION.clone(), id.clone());
                Some((sealed, id))
            }
        };
        Ok(Self {
            seal: Arc::clone(seal),
            caller,
            opens: head.method == Method::GET && sent.is_none(),
            sent,
        })
    }

    /// What looks at the answer's body.
    fn watch<R>(&self, answer: &Response<R>) -> Option<Watch> {
        let opens = self.opens && media::is_event_stream(answer.headers());
        opens.then(|| Watch::new(&self.seal.endpoints, self.caller))
    }

    /// Puts the sealed id in place of the upstream's.
    fn answer<R>(self, answer: &mut Response<R>) {
        let Some(id) = answer.headers().get(&SESSION) else {
            return;
        };
        let sealed = match self.sent {
            // It stays what the client knows it by.
            Some((sealed, sent)) if sent == *id => Some(sealed),
            _ => {
                let sealed = self.seal.seal(id.as_bytes(), &self.caller, now());
                sealed.and_then(|sealed| HeaderValue::try_from(sealed).ok())
            }
        };
        match sealed {
            Some(sealed) => answer.headers_mut().insert(SESSION.clone(), sealed),
            // What cannot be bound is not given out.
            None => answer.headers_mut().remove(&SESSION),
        };
    }
}

fn unknown() -> Rejection {
    Rejection::new(Reason::SessionUnknown)
        .with_detail("the id was not made here, is over, or is another caller's")
}

fn now() -> u64 {
    Monotonic::default().unix()
}

pin_project! {
    /// The future of [`SessionService`].
    #[project = SessionFutureProjection]
    #[derive(Debug)]
    #[allow(missing_docs, reason = "pin_project fields of the two variants")]
    pub enum SessionFuture<F> {
        /// The inner service is at work.
        Admitted { #[pin] future: F, bound: Option<Bound> },
        /// No such session.
        Refused { answer: Option<Response<Bytes>> },
    }
}

impl<F, R> Future for SessionFuture<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<Answer<Watched<R>>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            SessionFutureProjection::Admitted { future, bound } => {
                let Ok(mut answer) = ready!(future.poll(cx));
                let mut watch = None;
                if let Some(bound) = bound.take() {
                    watch = bound.watch(&answer);
                    bound.answer(&mut answer);
                }
                Poll::Ready(Ok(
                    answer.map(|body| Answer::inner(Watched::new(body, watch)))
                ))
            }
            SessionFutureProjection::Refused { answer } => {
                Poll::Ready(Ok(answer.take().unwrap_or_default().map(Answer::own)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Mark = [1; 16];
    const BOB: Mark = [2; 16];

    fn seal(key: u8, server: &str) -> SessionSeal {
        SessionSeal::new(&[key; 32], server.into(), 100).unwrap()
    }

    // REQ: A-5
    #[test]
    fn an_id_opens_for_its_caller_its_server_and_its_time_alone() {
        let (files, other, foreign) = (seal(1, "files"), seal(1, "other"), seal(2, "files"));
        let id = files.seal(b"up-1", &ALICE, 1000).unwrap();
        assert_eq!(files.open(id.as_bytes(), &ALICE, 1000).unwrap(), b"up-1");
        // After a restart with the same key.
        let again = seal(1, "files");
        assert_eq!(again.open(id.as_bytes(), &ALICE, 1099).unwrap(), b"up-1");
        assert_eq!(files.open(id.as_bytes(), &ALICE, 1100), None);
        assert_eq!(files.open(id.as_bytes(), &BOB, 1000), None);
        assert_eq!(other.open(id.as_bytes(), &ALICE, 1000), None);
        assert_eq!(foreign.open(id.as_bytes(), &ALICE, 1000), None);
        for at in 0..id.len() {
            let mut forged = id.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(files.open(&forged, &ALICE, 1000), None, "{at}");
        }
        for forged in ["", "up-1", "AAAA", &"A".repeat(2000)] {
            assert_eq!(files.open(forged.as_bytes(), &ALICE, 1000), None);
        }
        assert_ne!(id, files.seal(b"up-1", &ALICE, 1000).unwrap());
        assert_eq!(files.seal(&[b'x'; 2000], &ALICE, 0), None);
        let longest = files.seal(&[b'x'; MAX_ID], &ALICE, 0).unwrap();
        assert!(files.open(longest.as_bytes(), &ALICE, 0).is_some());
    }
}

//! One trait for every rule that looks at the request head and says yes or no, and the one
//! layer that runs them all.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::answer::Answer;
use crate::exchange::Exchange;
use crate::field::{Field, Meet};
use crate::rejection::Rejection;

/// A rule about the request head.
///
/// The decision is made at once, from the head and what the guard holds; a guard does no I/O.
/// It may change the head (strip a header, note a fact in the [`Exchange`]).
pub trait Guard: Send + Sync + 'static {
    /// Lets the request pass, perhaps with headers for its answer, or refuses it.
    ///
    /// # Errors
    /// The [`Rejection`] that the client gets in place of an answer.
    fn admit(&self, head: &mut Parts) -> Result<Admit, Rejection>;
}

/// A guard that has a [`Mode`]: policy, not a protection of a parser or of a proof.
pub trait Optional: Guard + Sized {
    /// What this guard refuses in every mode, because it protects a parser; nothing by default.
    ///
    /// # Errors
    /// The refusal, one of those of [`Guard::admit`].
    fn admit_always(&self, _head: &mut Parts) -> Result<(), Rejection> {
        Ok(())
    }

    /// Runs this guard in `mode`.
    fn with_mode(self, mode: Mode) -> Moded<Self> {
        Moded { guard: self, mode }
    }
}

/// What a policy layer does with a request that its rule refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Refuses it (the default).
    #[default]
    Enforce,
    /// Does not look at all.
    Off,
    /// Lets it pass and records what would have been refused.
    Report,
}

/// Leave to pass, with headers to set on the answer.
#[derive(Clone, Debug, Default)]
pub struct Admit {
    headers: Vec<Field>,
}

impl Admit {
    /// Leave to pass, nothing more.
    #[must_use]
    pub const fn pass() -> Self {
        Self {
            headers: Vec::new(),
        }
    }

    /// Sets `name: value` on the answer, whoever writes it.
    #[must_use]
    pub fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.field(name, value, Meet::Replace)
    }

    /// Adds `name: value` to the answer beside what it has: for fields that are lists.
    #[must_use]
    pub fn append(self, name: HeaderName, value: HeaderValue) -> Self {
        self.field(name, value, Meet::Append)
    }

    /// Sets `name: value` where the answer has no such field. Of several guards that say it the
    /// innermost, the most particular, is heard.
    #[must_use]
    pub fn header_or(self, name: HeaderName, value: HeaderValue) -> Self {
        self.field(name, value, Meet::Keep)
    }

    fn field(mut self, name: HeaderName, value: HeaderValue, meet: Meet) -> Self {
        self.headers.push(Field { name, value, meet });
        self
    }

    /// The inner guard's fields come first, as if each guard had a layer of its own.
    #[inline]
    fn join(self, mut inner: Self) -> Self {
        if inner.headers.is_empty() {
            return self;
        }
        inner.headers.extend(self.headers);
        inner
    }

    pub(crate) fn apply(&mut self, answer: &mut http::HeaderMap) {
        for field in self.headers.drain(..) {
            field.apply(answer);
        }
    }
}

/// A guard in one of the three modes. Made by [`Optional::with_mode`].
#[derive(Clone, Debug)]
pub struct Moded<G> {
    guard: G,
    mode: Mode,
}

impl<G: Optional> Guard for Moded<G> {
    fn admit(&self, head: &mut Parts) -> Result<Admit, Rejection> {
        match self.mode {
            Mode::Enforce => self.guard.admit(head),
            Mode::Off => self.guard.admit_always(head).map(|()| Admit::pass()),
            Mode::Report => self.guard.admit(head).or_else(|rejection| {
                self.guard.admit_always(head)?;
                Exchange::of(head).report(&rejection);
                Ok(Admit::pass())
            }),
        }
    }
}

macro_rules! tuple_guard {
    ($($name:ident),+) => {
        impl<$($name: Guard),+> Guard for ($($name,)+) {
            #[allow(non_snake_case, reason = "one binding per type parameter")]
            fn admit(&self, head: &mut Parts) -> Result<Admit, Rejection> {
                let ($($name,)+) = self;
                let mut admit = Admit::pass();
                $(
                    match $name.admit(head) {
                        Ok(more) => admit = admit.join(more),
                        // What the guards before it had to say stands on the refusal too.
                        Err(rejection) => return Err(rejection.with_headers(admit.headers)),
                    }
                )+
                Ok(admit)
            }
        }
    };
}
tuple_guard!(A);
tuple_guard!(A, B);
tuple_guard!(A, B, C);
tuple_guard!(A, B, C, D);
tuple_guard!(A, B, C, D, E);
tuple_guard!(A, B, C, D, E, F);

/// Admits everything.
impl Guard for () {
    fn admit(&self, _head: &mut Parts) -> Result<Admit, Rejection> {
        Ok(Admit::pass())
    }
}

impl<G: Guard> Guard for Arc<G> {
    fn admit(&self, head: &mut Parts) -> Result<Admit, Rejection> {
        (**self).admit(head)
    }
}

impl<G: Guard> Guard for Option<G> {
    fn admit(&self, head: &mut Parts) -> Result<Admit, Rejection> {
        self.as_ref()
            .map_or(Ok(Admit::pass()), |guard| guard.admit(head))
    }
}

/// Puts a guard, or a tuple of guards asked in order, in front of a service.
#[derive(Debug)]
#[must_use]
pub struct GuardLayer<G> {
    guard: Arc<G>,
}

impl<G: Guard> GuardLayer<G> {
    /// The layer of `guard`.
    pub fn new(guard: G) -> Self {
        Self {
            guard: Arc::new(guard),
        }
    }
}

impl<G> Clone for GuardLayer<G> {
    fn clone(&self) -> Self {
        Self {
            guard: Arc::clone(&self.guard),
        }
    }
}

impl<G, S> Layer<S> for GuardLayer<G> {
    type Service = GuardService<G, S>;

    fn layer(&self, inner: S) -> Self::Service {
        GuardService {
            guard: Arc::clone(&self.guard),
            inner,
        }
    }
}

/// The service of [`GuardLayer`].
#[derive(Debug)]
pub struct GuardService<G, S> {
    guard: Arc<G>,
    inner: S,
}

impl<G, S: Clone> Clone for GuardService<G, S> {
    fn clone(&self) -> Self {
        Self {
            guard: Arc::clone(&self.guard),
            inner: self.inner.clone(),
        }
    }
}

impl<G, S, B, R> Service<Request<B>> for GuardService<G, S>
where
    G: Guard,
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    type Response = Response<Answer<R>>;
    type Error = Infallible;
    type Future = GuardFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        match self.guard.admit(&mut head) {
            Ok(admit) => GuardFuture::Admitted {
                future: self.inner.call(Request::from_parts(head, body)),
                admit,
            },
            Err(rejection) => GuardFuture::Refused {
                answer: Some(rejection.into_response(&head)),
            },
        }
    }
}

pin_project! {
    /// The future of [`GuardService`].
    #[project = GuardFutureProjection]
    #[derive(Debug)]
    #[allow(missing_docs, reason = "pin_project fields of the two variants")]
    pub enum GuardFuture<F> {
        /// The inner service is at work.
        Admitted { #[pin] future: F, admit: Admit },
        /// The guard refused.
        Refused { answer: Option<Response<Bytes>> },
    }
}

impl<F, R> Future for GuardFuture<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
{
    type Output = Result<Response<Answer<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            GuardFutureProjection::Admitted { future, admit } => {
                let Ok(mut answer) = ready!(future.poll(cx));
                admit.apply(answer.headers_mut());
                Poll::Ready(Ok(answer.map(Answer::inner)))
            }
            GuardFutureProjection::Refused { answer } => {
                let answer = answer.take().unwrap_or_default();
                Poll::Ready(Ok(answer.map(Answer::own)))
            }
        }
    }
}

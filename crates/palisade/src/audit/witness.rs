//! The outer half: opens the record, commits it when everything is over.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::recorder::Recorder;
use crate::exchange::Exchange;
use crate::media;
use crate::rejection::Rejection;

/// Records every exchange that passes it.
#[derive(Clone, Debug)]
#[must_use]
pub struct WitnessLayer {
    recorder: Recorder,
}

impl WitnessLayer {
    /// Records by `recorder`.
    pub const fn new(recorder: Recorder) -> Self {
        Self { recorder }
    }
}

impl<S> Layer<S> for WitnessLayer {
    type Service = WitnessService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        WitnessService {
            recorder: self.recorder.clone(),
            inner,
        }
    }
}

/// The service of [`WitnessLayer`].
#[derive(Clone, Debug)]
pub struct WitnessService<S> {
    recorder: Recorder,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for WitnessService<S>
where
    S: Service<Request<B>, Response = Response<R>, Error = Infallible>,
    R: Body<Data = Bytes>,
{
    type Response = Response<WitnessBody<R>>;
    type Error = Infallible;
    type Future = WitnessFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut head, body) = request.into_parts();
        let commit = Commit {
            account: Account {
                exchange: Exchange::of(&mut head),
                method: head.method.clone(),
                status: None,
                rejection: None,
                response_bytes: 0,
                stream: false,
                end: End::Unanswered,
            },
            recorder: self.recorder.clone(),
        };
        WitnessFuture {
            future: self.inner.call(Request::from_parts(head, body)),
            commit: Some(commit),
        }
    }
}

pin_project! {
    /// The future of [`WitnessService`].
    #[derive(Debug)]
    pub struct WitnessFuture<F> {
        #[pin]
        future: F,
        commit: Option<Commit>,
    }
}

impl<F, R> Future for WitnessFuture<F>
where
    F: Future<Output = Result<Response<R>, Infallible>>,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<WitnessBody<R>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut answer) = ready!(this.future.poll(cx));
        if let Some(commit) = this.commit {
            commit.answered(&mut answer);
        }
        let mut commit = this.commit.take();
        Poll::Ready(Ok(answer.map(|body| {
            if let Some(commit) = &mut commit
                && body.is_end_stream()
            {
                commit.account.end = End::Whole;
            }
            WitnessBody { body, commit }
        })))
    }
}

pin_project! {
    /// An answer's body; its record is committed when it ends or is dropped.
    ///
    /// The body is dropped before the record is written: what its inner half has still to say
    /// is said by then.
    #[derive(Debug)]
    pub struct WitnessBody<R> {
        #[pin]
        body: R,
        commit: Option<Commit>,
    }
}

impl<R: Body<Data = Bytes>> Body for WitnessBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        if let Some(commit) = this.commit {
            let account = &mut commit.account;
            match &frame {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        account.response_bytes += data.len() as u64;
                    }
                    if this.body.is_end_stream() {
                        account.end = End::Whole;
                    }
                }
                None => account.end = End::Whole,
                Some(Err(_)) => account.end = End::Broken,
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What the record is made from.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) exchange: Exchange,
    pub(super) method: Method,
    pub(super) status: Option<StatusCode>,
    pub(super) rejection: Option<Rejection>,
    pub(super) response_bytes: u64,
    /// Whether it is a stream that stays open until somebody leaves.
    pub(super) stream: bool,
    pub(super) end: End,
}

/// How far the answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The upstream broke off.
    Broken,
    /// The client left before its end.
    Left,
    /// The client left before there was one.
    Unanswered,
    /// To its end.
    Whole,
}

/// Writes the record when dropped.
#[derive(Debug)]
struct Commit {
    account: Account,
    recorder: Recorder,
}

impl Commit {
    fn answered<R>(&mut self, answer: &mut Response<R>) {
        let account = &mut self.account;
        account.status = Some(answer.status());
        account.rejection = answer.extensions_mut().get::<Rejection>().cloned();
        account.end = End::Left;
        account.stream = media::is_event_stream(answer.headers()) && account.stays_open();
        if account.stream {
            self.recorder.opened(account);
        }
    }
}

impl Account {
    /// A `GET` stream, or a subscription of 2026-07-28.
    fn stays_open(&self) -> bool {
        self.method == Method::GET || self.exchange.facts().is_subscription()
    }
}

impl Drop for Commit {
    fn drop(&mut self) {
        self.recorder.ended(&self.account);
    }
}

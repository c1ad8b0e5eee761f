//! The request's body, kept until its answer is over.
//!
//! A layer that refuses drops the body unread. In HTTP/2 that would reset the stream with CANCEL
//! before the refusal is sent, and the client would never see it; RFC 9113 section 8.1 wants the
//! answer first and NO_ERROR after it. So the unread rest goes to the answer's body.
//!
//! Nor is it dropped with that: a client that is still sending then meets the reset, and some
//! (curl 7.88 among them) forget the answer over it. What was on its way is taken and thrown
//! away, within bounds; whoever sends more gets the reset.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use palisade_http1::Fault;
use palisade_http1::server as http1;
use pin_project_lite::pin_project;

use crate::listen::h2::{crumbs, note_frame};

pin_project! {
    /// A request body as the stack gets it.
    #[derive(Debug)]
    #[project = RequestBodyProjection]
    #[allow(missing_docs, reason = "pin_project fields of the variants")]
    pub enum RequestBody {
        /// Of a request over HTTP/1.1.
        Http1 { #[pin] body: http1::RequestBody },
        /// Of a request over HTTP/2.
        Http2 { #[pin] body: Http2Body },
    }
}

impl From<http1::RequestBody> for RequestBody {
    fn from(body: http1::RequestBody) -> Self {
        Self::Http1 { body }
    }
}

impl From<Http2Body> for RequestBody {
    fn from(body: Http2Body) -> Self {
        Self::Http2 { body }
    }
}

/// Why a request's body broke off.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Over HTTP/1.1.
    #[error(transparent)]
    Http1(#[from] Fault),
    /// Over HTTP/2.
    #[error(transparent)]
    Http2(#[from] hyper::Error),
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match self.project() {
            RequestBodyProjection::Http1 { body } => {
                ready!(body.poll_frame(cx)).map(|frame| frame.map_err(BodyError::from))
            }
            RequestBodyProjection::Http2 { body } => {
                ready!(body.poll_frame(cx)).map(|frame| frame.map_err(BodyError::from))
            }
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Http1 { body } => body.is_end_stream(),
            Self::Http2 { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1 { body } => body.size_hint(),
            Self::Http2 { body } => body.size_hint(),
        }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request body over HTTP/2.
#[derive(Debug)]
pub struct Http2Body {
    incoming: Option<Incoming>,
    unread: Option<Arc<Unread>>,
}

/// Where the rest of a body waits for the end of its answer.
#[derive(Debug, Default)]
pub(crate) struct Unread(Mutex<Option<Incoming>>);

/// How much of a refused body is thrown away, in bytes, and for how long it is waited for.
const REST: (usize, Duration) = (8 * 1024 * 1024, Duration::from_secs(1));

impl Drop for Unread {
    fn drop(&mut self) {
        let rest = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(rest) = rest.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(REST.1, discard(rest)));
        }
    }
}

/// Reads a body to its end, or as far as [`REST`] goes.
async fn discard(mut body: Incoming) {
    let mut length = 0;
    while length < REST.0 {
        match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            Some(Ok(frame)) => length += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) | None => return,
        }
    }
}

impl Http2Body {
    /// The request with its body so kept, and the place for the rest of it.
    pub(crate) fn of(mut request: Request<Incoming>) -> (Request<Self>, Option<Arc<Unread>>) {
        if request.version() == Version::HTTP_2 {
            crumbs::join(request.headers_mut());
        }
        let waits = request.version() == Version::HTTP_2 && !request.body().is_end_stream();
        let unread = waits.then(Arc::<Unread>::default);
        let body = |incoming| Self {
            incoming: Some(incoming),
            unread: unread.clone(),
        };
        (request.map(body), unread)
    }
}

impl Drop for Http2Body {
    fn drop(&mut self) {
        if let (Some(incoming), Some(unread)) = (self.incoming.take(), self.unread.take())
            && !incoming.is_end_stream()
        {
            *unread.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(incoming);
        }
    }
}

impl Body for Http2Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.incoming {
            Some(incoming) => Pin::new(incoming).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(SizeHint::default, Body::size_hint)
    }
}

pin_project! {
    /// An answer's body, and with it what was not read of the request's.
    ///
    /// In HTTP/2 it comes in small pieces: whether the client takes anything shows only when
    /// hyper asks for the next (`listen/h2/stall.rs`).
    #[derive(Debug)]
    pub struct AnswerBody<B> {
        #[pin]
        body: B,
        unread: Option<Arc<Unread>>,
        rest: Bytes,
        failed: Option<BoxError>,
    }
}

/// The largest piece, in bytes: what one DATA frame holds.
const PIECE: usize = 16 * 1024;

impl<B> AnswerBody<B> {
    /// An answer over HTTP/2.
    pub(crate) const fn new(body: B, unread: Option<Arc<Unread>>) -> Self {
        Self {
            body,
            unread,
            rest: Bytes::new(),
            failed: None,
        }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>>> Body for AnswerBody<B> {
    type Data = Bytes;
    type Error = BoxError;

    /// A failure comes one turn late: the reset that it leads to takes back what is queued, and the
    /// head of the answer is to leave before it.
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.project();
        if let Some(failed) = this.failed.take() {
            return Poll::Ready(Some(Err(failed)));
        }
        let polled = if this.rest.is_empty() {
            this.body.poll_frame(cx)
        } else {
            Poll::Ready(Some(Ok(Frame::data(std::mem::take(this.rest)))))
        };
        note_frame(&polled);
        match ready!(polled) {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(match frame.into_data() {
                Ok(mut data) => {
                    if data.len() > PIECE {
                        *this.rest = data.split_off(PIECE);
                    }
                    Frame::data(data)
                }
                Err(trailers) => trailers,
            }))),
            Some(Err(error)) => {
                *this.failed = Some(error.into());
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.failed.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

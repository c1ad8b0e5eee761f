//! Answers: one JSON text, or an event stream over a mailbox's stream.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use http_body::{Body, Frame};
use palisade::{Answer, CallOutcome, Exchange};
use tokio::sync::watch;

use super::link::{Heard, Link};
use super::mailbox::{End, Event, Gone, Reader};
use crate::upstream::keep_alive::KeepAlive;

/// The body of a bridge's answer.
pub type StdioBody = Answer<KeepAlive<Events>>;

/// After how long a silence a comment is sent on an event stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a client is to wait before it comes back to a stream that ended, in milliseconds.
const RETRY: u32 = 1000;

/// Messages as server-sent events.
pub struct Events {
    reader: Reader,
    /// Sent before everything else.
    first: Option<Bytes>,
    /// Whether events have ids to come back to.
    ids: bool,
    /// An event that has been taken already.
    taken: Option<Event>,
    over: bool,
    /// Dropped with the body.
    _cancel: Option<Cancel>,
    _heard: Option<Heard>,
}

/// Cancels requests whose answer is dropped unfinished; without effect once they are answered.
pub(super) struct Cancel {
    pub(super) link: Arc<Link>,
    pub(super) numbers: Vec<u64>,
    pub(super) why: Why,
}

/// When a dropped answer means that the work is to end.
pub(super) enum Why {
    /// Always: to leave means to cancel (2026-07-28).
    Gone,
    /// Where the time limit cut it off. A client of a session that leaves may come back.
    Late(Exchange),
}

impl Drop for Cancel {
    fn drop(&mut self) {
        let end = match &self.why {
            Why::Gone => Link::cancel,
            Why::Late(exchange) if is_late(exchange) => Link::time_out,
            Why::Late(_) => return,
        };
        for number in &self.numbers {
            end(&self.link, *number);
        }
    }
}

fn is_late(exchange: &Exchange) -> bool {
    let facts = exchange.facts();
    let mut calls = facts.calls.iter();
    calls.any(|call| call.outcome == Some(CallOutcome::Timeout))
}

/// Messages were dropped, since the client did not take them in time.
#[derive(Debug, thiserror::Error)]
#[error("the client did not take its messages in time")]
pub struct Lost;

/// The next message of a stream.
pub(super) async fn next(reader: &mut Reader) -> Option<Result<Event, Gone>> {
    poll_fn(|cx| reader.poll_next(cx)).await
}

impl Events {
    pub(super) fn new(reader: Reader) -> Self {
        Self {
            reader,
            first: None,
            ids: false,
            taken: None,
            over: false,
            _cancel: None,
            _heard: None,
        }
    }

    /// With ids that a client can come back to; `priming`: the first event only names the stream
    /// (2025-11-25; earlier clients take an empty event for a message).
    pub(super) fn with_ids(mut self, priming: bool) -> Self {
        self.ids = true;
        if priming {
            let stream = self.reader.stream();
            let text = format!("id: {stream}-0\nretry: {RETRY}\ndata: \n\n");
            self.first = Some(text.into());
        }
        self
    }

    /// Beginning with an event that has been taken already.
    pub(super) fn from(mut self, taken: Option<Event>) -> Self {
        self.taken = taken;
        self
    }

    pub(super) fn cancelling(mut self, cancel: Option<Cancel>) -> Self {
        self._cancel = cancel;
        self
    }

    /// Until it is dropped.
    pub(super) fn hearing(mut self, heard: Heard) -> Self {
        self._heard = Some(heard);
        self
    }

    fn frame(&mut self, event: &Event) -> Bytes {
        self.over = event.end != End::More;
        let mut head = String::with_capacity(64);
        if self.ids {
            let stream = self.reader.stream();
            // Writing to a string cannot fail.
            let _ = writeln!(head, "id: {stream}-{}", event.sequence);
        }
        head.push_str("event: message\ndata: ");
        let mut frame = Vec::with_capacity(head.len() + event.data.len() + 2);
        frame.extend_from_slice(head.as_bytes());
        frame.extend_from_slice(&event.data);
        frame.extend_from_slice(b"\n\n");
        frame.into()
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Lost;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Lost>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.over {
            return Poll::Ready(None);
        }
        let event = match self.taken.take() {
            Some(event) => event,
            None => match std::task::ready!(self.reader.poll_next(cx)) {
                Some(Ok(event)) => event,
                Some(Err(Gone)) => {
                    self.over = true;
                    return Poll::Ready(Some(Err(Lost)));
                }
                None => {
                    self.over = true;
                    return Poll::Ready(None);
                }
            },
        };
        let frame = self.frame(&event);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }
}

/// 200 with events. `draining`: the stream would stay open for ever, so it ends with the gateway.
pub(super) fn stream(
    events: Events,
    draining: Option<watch::Receiver<bool>>,
) -> Response<StdioBody> {
    let mut body = KeepAlive::new(events, KEEP_ALIVE);
    if let Some(mut draining) = draining {
        body = body.until(Box::pin(async move {
            let _ = draining.wait_for(|draining| *draining).await;
        }));
    }
    let mut answer = Response::new(Answer::inner(body));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    answer
}

/// One JSON text.
pub(super) fn json(status: StatusCode, text: impl Into<Bytes>) -> Response<StdioBody> {
    let mut answer = Response::new(Answer::own(text));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// A status without content.
pub(super) fn status(status: StatusCode) -> Response<StdioBody> {
    let mut answer = Response::new(Answer::own(Bytes::new()));
    *answer.status_mut() = status;
    answer
}

/// 405 with what is allowed.
pub(super) fn not_allowed(allowed: &'static str) -> Response<StdioBody> {
    let mut answer = status(StatusCode::METHOD_NOT_ALLOWED);
    answer
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allowed));
    answer
}

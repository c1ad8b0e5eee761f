//! One connection to a server, and one request at a time on it.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};

use super::body::ResponseBody;
use super::request::{Fails, Outgoing};
use super::response::{MAX_INTERIM, ResponseHead, Responses};
use crate::fault::Fault;
use crate::io::poll_receive;
use crate::request::HeadLimits;

/// A connection on which no request is in progress.
#[derive(Debug)]
pub struct Connection<I> {
    /// Boxed, for it is moved from its pool through every answer and back.
    pub(super) ends: Box<Ends<I>>,
}

#[derive(Debug)]
pub(super) struct Ends<I> {
    pub(super) io: I,
    pub(super) answers: Responses,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError<B> {
    /// Nothing of the request has left: it may be tried on another connection.
    #[error("the connection was closed before the request")]
    Unsent(Box<Outgoing<B>>),
    /// The server closed the connection before it had answered.
    #[error("the connection was closed before an answer")]
    Closed,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[source] io::Error),
    /// The server's answer is no HTTP/1.1.
    #[error("the answer is malformed: {0}")]
    Malformed(#[source] Fault),
    /// The server switched protocols without being asked, or sent interim answers without end.
    #[error("unexpected interim answers")]
    Interim,
    /// The request's body failed.
    #[error("the request's body failed")]
    Body,
}

impl<I: AsyncRead + AsyncWrite + Unpin> Connection<I> {
    /// A connection on `io`, whose answers have heads within `limits`.
    pub fn new(io: I, limits: HeadLimits) -> Self {
        let answers = Responses::new(limits);
        Self {
            ends: Box::new(Ends { io, answers }),
        }
    }

    /// Whether the server keeps it open and has sent nothing unasked. Makes no system call where
    /// the reactor has seen nothing.
    pub fn is_open(&mut self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        poll_receive(&mut self.ends.io, &mut cx, |_| {}).is_pending()
    }

    /// Sends a request and waits for the head of its answer. Dropped before its end, it closes
    /// the connection.
    ///
    /// An answer that comes before the request is sent is taken; the rest of the request follows
    /// while the answer's body is read (RFC 9112 section 9.3: some servers answer early).
    ///
    /// # Errors
    /// [`SendError`]. Only [`SendError::Unsent`] may be tried again.
    pub async fn send<B>(
        mut self,
        outgoing: Outgoing<B>,
    ) -> Result<Response<ResponseBody<I, B>>, SendError<B>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut outgoing = Some(outgoing);
        let mut interim = 0;
        let head = poll_fn(|cx| self.poll_head(cx, &mut outgoing, &mut interim)).await?;
        let outgoing = outgoing
            .filter(|outgoing| !outgoing.is_sent())
            .map(Box::new);
        let body = ResponseBody::new(self, outgoing, head.persistent);
        Ok(Response::from_parts(head.parts, body))
    }

    fn poll_head<B>(
        &mut self,
        cx: &mut Context<'_>,
        outgoing: &mut Option<Outgoing<B>>,
        interim: &mut u32,
    ) -> Poll<Result<ResponseHead, SendError<B>>>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let Some(sending) = outgoing else {
            return Poll::Ready(Err(SendError::Closed));
        };
        let head_only = sending.head_only;
        if !sending.is_sent() {
            match sending.poll_send(&mut self.ends.io, cx) {
                Poll::Ready(Err(Fails::Io(error))) => {
                    if sending.is_unsent()
                        && let Some(unsent) = outgoing.take()
                    {
                        return Poll::Ready(Err(SendError::Unsent(Box::new(unsent))));
                    }
                    // The server may have answered before it closed.
                    return self.poll_last_words(cx, head_only, error);
                }
                Poll::Ready(Err(Fails::Body)) => return Poll::Ready(Err(SendError::Body)),
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
        loop {
            match self.ends.answers.head(head_only) {
                Err(fault) => return Poll::Ready(Err(SendError::Malformed(fault))),
                Ok(Some(head)) if head.parts.status.is_informational() => {
                    *interim += 1;
                    let switched = head.parts.status == StatusCode::SWITCHING_PROTOCOLS;
                    if switched || *interim > MAX_INTERIM {
                        return Poll::Ready(Err(SendError::Interim));
                    }
                    continue;
                }
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => {}
            }
            let Ends { io, answers } = &mut *self.ends;
            match poll_receive(io, cx, |bytes| answers.receive(bytes)) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(1..)) => {}
                // Half a head is no answer, and nothing is wrong with what there is of it.
                Poll::Ready(Ok(_)) => return Poll::Ready(Err(SendError::Closed)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(SendError::Io(error))),
            }
        }
    }

    /// What came before the connection broke within the request.
    fn poll_last_words<B>(
        &mut self,
        cx: &mut Context<'_>,
        head_only: bool,
        error: io::Error,
    ) -> Poll<Result<ResponseHead, SendError<B>>> {
        let Ends { io, answers } = &mut *self.ends;
        let _ = poll_receive(io, cx, |bytes| answers.receive(bytes));
        for _ in 0..MAX_INTERIM {
            match self.ends.answers.head(head_only) {
                Ok(Some(head)) if head.parts.status.is_informational() => {}
                Ok(Some(head)) => {
                    return Poll::Ready(Ok(ResponseHead {
                        persistent: false,
                        ..head
                    }));
                }
                _ => break,
            }
        }
        Poll::Ready(Err(SendError::Io(error)))
    }
}

//! The body of an answer, read from its connection as it is polled.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};

use super::connection::{Connection, Ends};
use super::request::Outgoing;
use crate::body::Piece;
use crate::fault::Fault;
use crate::io::poll_receive;

/// The body of an answer. Dropped before its end, it closes the connection.
#[derive(Debug)]
pub struct ResponseBody<I, B> {
    connection: Option<Connection<I>>,
    /// What is left of the request, which is rare.
    outgoing: Option<Box<Outgoing<B>>>,
    persistent: bool,
    over: bool,
}

impl<I, B> ResponseBody<I, B> {
    pub(super) fn new(
        connection: Connection<I>,
        outgoing: Option<Box<Outgoing<B>>>,
        persistent: bool,
    ) -> Self {
        let over = connection.ends.answers.body_is_done();
        Self {
            connection: Some(connection),
            outgoing,
            persistent,
            over,
        }
    }

    /// The connection, once the answer is over, if another request may go on it.
    pub fn take_connection(&mut self) -> Option<Connection<I>> {
        let reusable = self.over
            && self.persistent
            && self.outgoing.is_none()
            && self.connection.as_ref()?.ends.answers.is_empty();
        let connection = self.connection.take_if(|_| self.over);
        connection.filter(|_| reusable)
    }

    fn end(&mut self) {
        self.over = true;
    }

    fn fail(&mut self, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        self.over = true;
        self.persistent = false;
        self.connection = None;
        Poll::Ready(Some(Err(fault)))
    }
}

impl<I, B> Body for ResponseBody<I, B>
where
    I: AsyncRead + AsyncWrite + Unpin,
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        loop {
            if this.over {
                return Poll::Ready(None);
            }
            let Some(connection) = &mut this.connection else {
                return Poll::Ready(None);
            };
            let Ends { io, answers } = &mut *connection.ends;
            if let Some(outgoing) = &mut this.outgoing {
                match outgoing.poll_send(io, cx) {
                    Poll::Ready(Ok(())) => this.outgoing = None,
                    // The answer counts; the connection is good for no other.
                    Poll::Ready(Err(_)) => {
                        this.outgoing = None;
                        this.persistent = false;
                    }
                    Poll::Pending => {}
                }
            }
            match answers.body() {
                Ok(Some(Piece::Data(data))) => {
                    // The next poll would only say that it is over.
                    if answers.body_is_done() {
                        this.end();
                    }
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Ok(Some(Piece::End)) => {
                    this.end();
                    continue;
                }
                Err(fault) => return this.fail(fault),
                Ok(None) => {}
            }
            match poll_receive(io, cx, |bytes| answers.receive(bytes)) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(_)) => match answers.close() {
                    Ok(()) => {
                        this.persistent = false;
                        this.end();
                    }
                    Err(fault) => return this.fail(fault),
                },
                Poll::Ready(Err(_)) => return this.fail(Fault::BodyIncomplete),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.over
    }

    fn size_hint(&self) -> SizeHint {
        if self.over {
            return SizeHint::with_exact(0);
        }
        let answers = self.connection.as_ref().map(|each| &each.ends.answers);
        let rest = answers.and_then(super::response::Responses::body_remaining);
        rest.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

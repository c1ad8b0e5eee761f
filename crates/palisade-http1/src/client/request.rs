//! A request on its way to a server.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::Method;
use http::uri::PathAndQuery;
use http_body::Body;

use crate::head::{FieldWriter, put_chunk_size, put_length};
use crate::outbox::Outbox;

/// A request as bytes: its head, and its body as far as it has been read.
///
/// It belongs to no connection until bytes of it have left, so that it can be tried on another.
#[derive(Debug)]
pub struct Outgoing<B> {
    pub(super) out: Outbox,
    /// `None` once it has been read to its end.
    body: Option<B>,
    framing: Sending,
    pub(super) head_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    Length(u64),
    Chunked,
}

/// Bytes of a body that are put together before they are written.
const FULL: usize = 32 * 1024;

/// Why a request could not be sent to its end.
#[derive(Debug)]
pub(super) enum Fails {
    Io(std::io::Error),
    /// The body failed, or has another length than it said.
    Body,
}

impl<B> Outgoing<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// Writes the head of a request for `target` in origin form (RFC 9112 section 3.2.1); `fields`
    /// writes its fields, of which Host is to be the first (RFC 9110 section 7.2).
    ///
    /// The framing is ours: by length where the body knows it, else in chunks.
    #[must_use]
    pub fn new(
        method: &Method,
        target: &PathAndQuery,
        body: B,
        fields: impl FnOnce(&mut FieldWriter<'_>),
    ) -> Self {
        let mut out = Outbox::default();
        let buffer = out.buffer();
        buffer.reserve(1024);
        buffer.extend_from_slice(method.as_str().as_bytes());
        buffer.push(b' ');
        buffer.extend_from_slice(target.as_str().as_bytes());
        buffer.extend_from_slice(b" HTTP/1.1\r\n");
        fields(&mut FieldWriter { out: buffer });
        let framing = body
            .size_hint()
            .exact()
            .map_or(Sending::Chunked, Sending::Length);
        match framing {
            // RFC 9110 section 8.6: without content nothing is said, but where one is expected.
            Sending::Length(0) if !expects_content(method) => {}
            Sending::Length(length) => put_length(length, buffer),
            Sending::Chunked => buffer.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        }
        buffer.extend_from_slice(b"\r\n");
        let mut outgoing = Self {
            out,
            body: Some(body),
            framing,
            head_only: *method == Method::HEAD,
        };
        if framing == Sending::Length(0) {
            outgoing.body = None;
        }
        outgoing
    }

    /// What of it has been written down and has not left.
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        self.out.pending()
    }

    /// Whether all of it has left.
    pub(super) const fn is_sent(&self) -> bool {
        self.body.is_none() && self.out.is_empty()
    }

    /// Whether nothing of it has left.
    pub(super) const fn is_unsent(&self) -> bool {
        self.out.total() == 0
    }

    /// Sends as much as can be sent.
    pub(super) fn poll_send<I: tokio::io::AsyncWrite + Unpin>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fails>> {
        loop {
            let mut waits = false;
            while let Some(body) = &mut self.body
                && !waits
                && self.out.len() < FULL
            {
                match Pin::new(&mut *body).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        let last = body.is_end_stream();
                        if let Some(data) = frame.data_ref() {
                            put(&mut self.framing, data, self.out.buffer())?;
                        }
                        if last {
                            self.end()?;
                        }
                    }
                    Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(Fails::Body)),
                    Poll::Ready(None) => self.end()?,
                    Poll::Pending => waits = true,
                }
            }
            match self.out.poll_flush(io, cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Fails::Io(error))),
                Poll::Ready(Ok(())) if self.body.is_none() => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if waits => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
            }
        }
    }

    fn end(&mut self) -> Result<(), Fails> {
        self.body = None;
        match self.framing {
            Sending::Length(0) => Ok(()),
            Sending::Length(_) => Err(Fails::Body),
            Sending::Chunked => {
                self.out.buffer().extend_from_slice(b"0\r\n\r\n");
                Ok(())
            }
        }
    }
}

fn put(framing: &mut Sending, data: &[u8], out: &mut Vec<u8>) -> Result<(), Fails> {
    match framing {
        Sending::Length(rest) => {
            *rest = rest.checked_sub(data.len() as u64).ok_or(Fails::Body)?;
            out.extend_from_slice(data);
        }
        Sending::Chunked if data.is_empty() => {}
        Sending::Chunked => {
            put_chunk_size(data.len(), out);
            out.extend_from_slice(data);
            out.extend_from_slice(b"\r\n");
        }
    }
    Ok(())
}

fn expects_content(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

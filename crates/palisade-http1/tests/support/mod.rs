//! What the tests of the drivers share.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, DuplexStream, ReadBuf};

/// Any body of an answer.
pub(crate) type AnyBody = UnsyncBoxBody<Bytes, &'static str>;

pub(crate) fn full(text: impl Into<Bytes>) -> AnyBody {
    Full::new(text.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

pub(crate) fn empty() -> AnyBody {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body of these frames, in this order, without a word on its length.
pub(crate) fn frames(frames: impl IntoIterator<Item = Step, IntoIter: Send + 'static>) -> AnyBody {
    Frames {
        steps: Box::new(frames.into_iter()),
        length: None,
        waits: false,
    }
    .boxed_unsync()
}

/// The same, with a length.
pub(crate) fn sized(
    length: u64,
    frames: impl IntoIterator<Item = Step, IntoIter: Send + 'static>,
) -> AnyBody {
    Frames {
        steps: Box::new(frames.into_iter()),
        length: Some(length),
        waits: false,
    }
    .boxed_unsync()
}

/// What a body does next.
pub(crate) enum Step {
    Data(Bytes),
    Trailers(http::HeaderMap),
    Fail,
    /// Nothing, for ever.
    Wait,
}

impl From<&'static str> for Step {
    fn from(text: &'static str) -> Self {
        Self::Data(Bytes::from_static(text.as_bytes()))
    }
}

struct Frames {
    steps: Box<dyn Iterator<Item = Step> + Send>,
    length: Option<u64>,
    waits: bool,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        if self.waits {
            return Poll::Pending;
        }
        match self.steps.next() {
            None => Poll::Ready(None),
            Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Step::Trailers(map)) => Poll::Ready(Some(Ok(Frame::trailers(map)))),
            Some(Step::Fail) => Poll::Ready(Some(Err("it failed"))),
            Some(Step::Wait) => {
                self.waits = true;
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// A stream whose writes are counted.
pub(crate) struct Counted<I>(pub(crate) I, pub(crate) Arc<AtomicUsize>);

impl<I: AsyncRead + Unpin> AsyncRead for Counted<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Counted<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.0).poll_write(cx, bytes);
        if written.is_ready() {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A stream that takes up to 64 KiB before it lets anything through, as TLS does.
pub(crate) struct Holding<I>(pub(crate) I, pub(crate) Vec<u8>);

impl<I: AsyncRead + Unpin> AsyncRead for Holding<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Holding<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.1.len() >= 64 << 10 {
            std::task::ready!(self.as_mut().poll_flush(cx))?;
        }
        let taken = bytes.len().min((64 << 10) - self.1.len());
        self.1.extend_from_slice(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self(io, held) = &mut *self;
        while !held.is_empty() {
            let written = std::task::ready!(Pin::new(&mut *io).poll_write(cx, held))?;
            held.drain(..written);
        }
        Pin::new(io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Reads until what came ends with `end`.
pub(crate) async fn until(io: &mut DuplexStream, end: &str) -> String {
    let mut came = Vec::new();
    while !came.ends_with(end.as_bytes()) {
        let byte = io.read_u8().await;
        let came_so_far = String::from_utf8_lossy(&came);
        came.push(byte.unwrap_or_else(|error| panic!("{error} behind {came_so_far:?}")));
    }
    String::from_utf8(came).unwrap()
}

/// Reads to the end.
pub(crate) async fn rest(io: &mut DuplexStream) -> String {
    let mut came = Vec::new();
    let _ = io.read_to_end(&mut came).await;
    String::from_utf8_lossy(&came).into_owned()
}

/// The head of an answer without its date, and what follows it.
pub(crate) fn undated(answer: &str) -> String {
    let lines = answer.split_inclusive("\r\n");
    lines.filter(|line| !line.starts_with("date: ")).collect()
}

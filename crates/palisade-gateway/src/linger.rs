//! Lingering close: what a client still sends is read for a while before its socket is closed.
//!
//! A server that refuses a body early closes with bytes unread. The system then resets the
//! connection, and the reset may overtake the answer (RFC 9112 section 9.6). So the stream is
//! lent to the HTTP server, comes back when that is done with it, and is read to its end, within
//! bounds, before it is dropped.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use tokio::time::timeout;

/// For how long the rest is waited for.
const LONGEST: Duration = Duration::from_secs(1);

/// How much of it is read, in bytes.
const MOST: usize = 8 * 1024 * 1024;

/// A stream in the hands of an HTTP server.
pub(crate) struct Lent<I> {
    io: Option<I>,
    shut: bool,
    home: Arc<Mutex<Option<I>>>,
}

/// Where a [`Lent`] stream comes back to.
pub(crate) struct Home<I>(Arc<Mutex<Option<I>>>);

/// Lends `io`.
pub(crate) fn lend<I>(io: I) -> (Lent<I>, Home<I>) {
    let home = Arc::new(Mutex::new(None));
    let lent = Lent {
        io: Some(io),
        shut: false,
        home: Arc::clone(&home),
    };
    (lent, Home(home))
}

impl<I: Read + Unpin> Home<I> {
    /// Reads what comes after our own end of the stream, until the client's.
    pub(crate) async fn linger(self) {
        let io = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(io) = io {
            // Whether the time was over or the stream, it is closed now.
            let _ = timeout(LONGEST, discard(io)).await;
        }
    }
}

async fn discard<I: Read + Unpin>(mut io: I) {
    let mut memory = vec![0; 16 * 1024];
    let mut length = 0;
    while length < MOST {
        let mut piece = ReadBuf::new(&mut memory);
        let read = poll_fn(|cx| Pin::new(&mut io).poll_read(cx, piece.unfilled())).await;
        if read.is_err() || piece.filled().is_empty() {
            return;
        }
        length += piece.filled().len();
    }
}

impl<I> Drop for Lent<I> {
    fn drop(&mut self) {
        // Without our own end no answer waits to be read.
        if self.shut {
            *self.home.lock().unwrap_or_else(PoisonError::into_inner) = self.io.take();
        }
    }
}

impl<I: Unpin> Lent<I> {
    fn with<T>(
        &mut self,
        work: impl FnOnce(Pin<&mut I>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.io {
            Some(io) => work(Pin::new(io)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl<I: Read + Unpin> Read for Lent<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_read(cx, buffer))
    }
}

impl<I: Write + Unpin> Write for Lent<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|io| io.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = self.with(|io| io.poll_shutdown(cx));
        self.shut |= matches!(shut, Poll::Ready(Ok(())));
        shut
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(Write::is_write_vectored)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|io| io.poll_write_vectored(cx, slices))
    }
}

//! The stream between TLS and hyper, with a [`FrameMeter`] that reads along.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::meter::FrameMeter;

/// A stream that hyper has. Dropped, the stream itself goes back to its [`Home`].
pub(super) struct Metered<I> {
    io: Option<I>,
    home: Home<I>,
    /// Frames when hyper was last made to pause.
    paused_at: u64,
    /// Whether the last piece had many frames: then the next one is small.
    dense: bool,
}

/// Frames that hyper takes at a stretch. It reads on as long as there is anything to read, and
/// neither hands on requests nor sends what it owes until then; so a flood would be read whole
/// before the resets that it provokes are sent, and counted.
const STRETCH: u64 = 32;

/// What is read at once of who sends many small frames, in bytes.
const DENSE: usize = 1024;

/// The meter of a stream, and the stream once hyper is done with it.
pub(super) struct Home<I>(Arc<Shared<I>>);

struct Shared<I> {
    meter: Mutex<FrameMeter>,
    io: Mutex<Option<I>>,
}

/// A stream in two hands.
pub(super) fn metered<I>(io: I, meter: FrameMeter) -> (Metered<I>, Home<I>) {
    let shared = Arc::new(Shared {
        meter: Mutex::new(meter),
        io: Mutex::new(None),
    });
    let metered = Metered {
        io: Some(io),
        home: Home(Arc::clone(&shared)),
        paused_at: 0,
        dense: false,
    };
    (metered, Home(shared))
}

impl<I> Home<I> {
    /// Never waited for: one task has both hands.
    pub(super) fn meter(&self) -> MutexGuard<'_, FrameMeter> {
        self.0.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream, once hyper is done with it.
    pub(super) fn take(&self) -> Option<I> {
        let mut io = self.0.io.lock().unwrap_or_else(PoisonError::into_inner);
        io.take()
    }
}

impl<I> Drop for Metered<I> {
    fn drop(&mut self) {
        let mut io = self
            .home
            .0
            .io
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *io = self.io.take();
    }
}

impl<I: Unpin> Metered<I> {
    fn inner(&mut self) -> io::Result<Pin<&mut I>> {
        match &mut self.io {
            Some(io) => Ok(Pin::new(io)),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Tells the meter of what was sent of `pieces`.
    fn sent(&self, written: &Poll<io::Result<usize>>, pieces: &[IoSlice<'_>]) {
        match written {
            Poll::Ready(Ok(length)) => {
                let now = Instant::now();
                let mut meter = self.home.meter();
                let mut left = *length;
                for piece in pieces {
                    let here = left.min(piece.len());
                    meter.sent(&piece[..here], now);
                    left -= here;
                    if left == 0 {
                        break;
                    }
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.home.meter().blocked(Instant::now()),
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Metered<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (frames, violation) = {
            let meter = self.home.meter();
            (meter.frames(), meter.violation())
        };
        if violation.is_some() {
            // Whoever polls the connection looks at the meter and ends it.
            return Poll::Pending;
        }
        if frames - self.paused_at >= STRETCH {
            self.paused_at = frames;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = if self.dense {
            let room = DENSE.min(buffer.remaining());
            let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(room));
            let read = self.inner()?.poll_read(cx, &mut piece);
            let length = piece.filled().len();
            buffer.advance(length);
            read
        } else {
            self.inner()?.poll_read(cx, buffer)
        };
        if let Poll::Ready(Ok(())) = read {
            let fresh = &buffer.filled()[before..];
            let (verdict, after) = {
                let mut meter = self.home.meter();
                let verdict = meter.received(fresh, Instant::now());
                (verdict, meter.frames())
            };
            self.dense = after - frames > STRETCH / 4;
            if let Err((at, _)) = verdict {
                // hyper still gets the frames before.
                buffer.set_filled(before + at);
                if at == 0 {
                    return Poll::Pending;
                }
            }
        }
        read
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Metered<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.inner()?.poll_write(cx, bytes);
        self.sent(&written, &[IoSlice::new(bytes)]);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.inner()?.poll_write_vectored(cx, pieces);
        self.sent(&written, pieces);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.inner()?.poll_flush(cx);
        match flushed {
            Poll::Ready(_) => self.home.meter().flushed(),
            Poll::Pending => self.home.meter().blocked(Instant::now()),
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner()?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::super::violation::Violation;
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::time::timeout;

    fn ping() -> Vec<u8> {
        [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], &[7; 8]].concat()
    }

    fn opening() -> Vec<u8> {
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat()
    }

    fn pair() -> (DuplexStream, Metered<DuplexStream>, Home<DuplexStream>) {
        let (client, server) = duplex(1 << 20);
        let meter = FrameMeter::new(65_536, Instant::now());
        let (metered, home) = metered(server, meter);
        (client, metered, home)
    }

    // REQ: R-3
    #[tokio::test]
    async fn hyper_gets_what_stands_before_the_frame_that_is_refused() {
        let (mut client, mut server, home) = pair();
        let fine = [opening(), ping()].concat();
        // DATA on stream 0, and more behind it.
        let refused = [0, 0, 1, 0, 0, 0, 0, 0, 0, 1];
        client
            .write_all(&[&fine[..], &refused, &ping()].concat())
            .await
            .unwrap();
        let mut got = vec![0; 1000];
        let length = server.read(&mut got).await.unwrap();
        assert_eq!(got[..length], fine);
        let more = timeout(Duration::from_millis(50), server.read(&mut got));
        assert!(more.await.is_err(), "reads on");
        assert_eq!(home.meter().violation(), Some(Violation::Protocol));
        // The stream comes back, and can be told so.
        drop(server);
        let goaway = home.meter().goaway(Violation::Protocol.code()).unwrap();
        home.take().unwrap().write_all(&goaway).await.unwrap();
        let mut heard = [0; 17];
        client.read_exact(&mut heard).await.unwrap();
        assert_eq!((heard[3], heard[16]), (7, 1));
    }

    // REQ: R-3
    #[tokio::test]
    async fn a_flood_is_read_in_stretches() {
        let (mut client, mut server, _home) = pair();
        let data = [0, 0, 0, 2, 0, 0, 0, 0, 1];
        let priority = [&data[..2], &[5], &data[3..], &[0; 5]].concat();
        let flood = [opening(), priority.repeat(250)].concat();
        client.write_all(&flood).await.unwrap();
        let mut got = Vec::new();
        let mut pauses = 0;
        std::future::poll_fn(|cx| {
            let mut memory = [0; 512];
            let mut buffer = ReadBuf::new(&mut memory);
            match Pin::new(&mut server).poll_read(cx, &mut buffer) {
                Poll::Ready(read) => {
                    read.unwrap();
                    got.extend_from_slice(buffer.filled());
                    if got.len() < flood.len() {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Poll::Ready(())
                }
                Poll::Pending => {
                    pauses += 1;
                    Poll::Pending
                }
            }
        })
        .await;
        assert_eq!((got == flood, pauses), (true, 6));
    }

    // REQ: R-3
    #[tokio::test]
    async fn a_full_socket_shows() {
        let (_client, mut server, home) = pair();
        let full = vec![0; (1 << 20) + 1];
        let write = timeout(Duration::from_millis(50), server.write_all(&full));
        assert!(write.await.is_err());
        assert!(home.meter().blocked_since().is_some());
    }
}

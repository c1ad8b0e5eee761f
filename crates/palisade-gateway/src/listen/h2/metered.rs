//! The stream between TLS and hyper, with a [`FrameMeter`] that reads along.
//!
//! hyper gets what the client sends as it comes, but for header blocks of several frames: [`Blocks`].
//!
//! hyper flushes after every answer. What it writes in one poll of the connection is held together here and
//! goes out at its end ([`Home::flush`]): answers that are ready at the same time share a TLS record and a system call.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::blocks::Blocks;
use super::meter::FrameMeter;

/// A stream that hyper has.
pub(super) struct Metered<I> {
    home: Home<I>,
    blocks: Blocks,
    /// Frames when hyper was last made to pause.
    paused_at: u64,
    /// Whether the last piece had many frames: then the next one is small.
    dense: bool,
}

/// Frames that hyper takes at a stretch. It reads on as long as there is anything to read, and
/// neither hands on requests nor sends what it owes until then; so a flood would be read whole
/// before the resets that it provokes are sent, and counted.
const STRETCH: u64 = 20;

/// What is read at once of who sends many small frames, in bytes.
const DENSE: usize = 512;

/// What is held together at most, in bytes: no more than one TLS record takes.
const HELD: usize = 16 * 1024;

/// What is larger by itself is handed on as it is where nothing is held before it.
const LARGE: usize = 4 * 1024;

/// What a connection that says nothing keeps of the memory for it, in bytes.
const KEPT: usize = 2 * 1024;

/// The meter of a stream, and the stream.
pub(super) struct Home<I>(Arc<Shared<I>>);

struct Shared<I> {
    meter: Mutex<FrameMeter>,
    stream: Mutex<Option<Stream<I>>>,
}

struct Stream<I> {
    io: I,
    /// Written by hyper, not yet handed on.
    held: Vec<u8>,
    /// Bytes of `held` that are.
    gone: usize,
    /// It takes nothing at present, so hyper has to wait, too.
    stuck: bool,
    /// What was handed on may still lie with the stream.
    unflushed: bool,
    /// Told at hyper's next try.
    failed: Option<io::Error>,
}

/// A stream in two hands.
pub(super) fn metered<I>(io: I, meter: FrameMeter, blocks: Blocks) -> (Metered<I>, Home<I>) {
    let shared = Arc::new(Shared {
        meter: Mutex::new(meter),
        stream: Mutex::new(Some(Stream {
            io,
            held: Vec::new(),
            gone: 0,
            stuck: false,
            unflushed: false,
            failed: None,
        })),
    });
    let metered = Metered {
        home: Home(Arc::clone(&shared)),
        blocks,
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

    /// The stream, once hyper is done with it, and what hyper has written that is still to be sent.
    pub(super) fn take(&self) -> Option<(I, Vec<u8>)> {
        let mut stream = self.stream().take()?;
        stream.held.drain(..stream.gone);
        Some((stream.io, stream.held))
    }

    fn stream(&self) -> MutexGuard<'_, Option<Stream<I>>> {
        self.0.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: AsyncWrite + Unpin> Home<I> {
    /// Hands on what hyper has written. To be called after each poll of the connection.
    pub(super) fn flush(&self, cx: &mut Context<'_>) {
        let mut stream = self.stream();
        let Some(stream) = &mut *stream else { return };
        if stream.held.is_empty() && !stream.unflushed {
            return;
        }
        match stream.hand_on(cx) {
            Poll::Ready(Ok(())) => self.meter().flushed(),
            Poll::Ready(Err(error)) => {
                stream.failed = Some(error);
                cx.waker().wake_by_ref();
            }
            Poll::Pending => self.meter().blocked(Instant::now()),
        }
    }
}

impl<I: AsyncWrite + Unpin> Stream<I> {
    /// Hands on what is held.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stuck = true;
        while let Some(bytes) = self.held.get(self.gone..).filter(|rest| !rest.is_empty()) {
            let length = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
            if length == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.gone += length;
            self.unflushed = true;
        }
        self.stuck = false;
        self.gone = 0;
        if self.held.capacity() <= KEPT {
            self.held.clear();
        } else {
            self.held = Vec::new();
        }
        Poll::Ready(Ok(()))
    }

    fn hand_on(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.drain(cx))?;
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }
}

impl<I> Stream<I> {
    fn check(&mut self) -> io::Result<()> {
        self.failed.take().map_or(Ok(()), Err)
    }
}

impl<I> Metered<I> {
    /// Tells the meter of what was taken of `pieces`.
    fn sent(&self, length: usize, pieces: &[IoSlice<'_>]) {
        let now = Instant::now();
        let mut meter = self.home.meter();
        let mut left = length;
        for piece in pieces {
            let here = left.min(piece.len());
            meter.sent(&piece[..here], now);
            left -= here;
            if left == 0 {
                break;
            }
        }
    }

    fn blocked(&self) {
        self.home.meter().blocked(Instant::now());
    }
}

impl<I> Metered<I> {
    /// Gives of what is ready as much as there is room for; `false` where nothing is.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let ready = self.blocks.ready();
        let length = ready.len().min(buffer.remaining());
        if length == 0 {
            return false;
        }
        buffer.put_slice(&ready[..length]);
        self.blocks.given(length);
        true
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Metered<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.give(buffer) {
            return Poll::Ready(Ok(()));
        }
        let (frames, violation) = {
            let meter = this.home.meter();
            (meter.frames(), meter.violation())
        };
        if violation.is_some() {
            // Whoever polls the connection looks at the meter and ends it.
            return Poll::Pending;
        }
        if frames - this.paused_at >= STRETCH {
            this.paused_at = frames;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = {
            let mut stream = this.home.stream();
            let Some(stream) = &mut *stream else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            stream.check()?;
            if this.dense {
                let room = DENSE.min(buffer.remaining());
                let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(room));
                let read = Pin::new(&mut stream.io).poll_read(cx, &mut piece);
                let length = piece.filled().len();
                buffer.advance(length);
                read
            } else {
                Pin::new(&mut stream.io).poll_read(cx, buffer)
            }
        };
        ready!(read)?;
        let fresh = &buffer.filled()[before..];
        if fresh.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let now = Instant::now();
        let (ended, after) = {
            let mut meter = this.home.meter();
            let verdict = meter.received(fresh, now);
            // hyper still gets the frames before.
            let fine = verdict.map_or_else(|(at, _)| at, |()| fresh.len());
            let (direct, violation) = this.blocks.pass(&fresh[..fine], now);
            if let Some(violation) = violation {
                meter.end(violation);
            }
            buffer.set_filled(before + direct);
            (meter.violation().is_some(), meter.frames())
        };
        this.dense = after - frames > STRETCH / 4;
        this.give(buffer);
        if buffer.filled().len() == before {
            if !ended {
                // All of it is held back: more has to be read.
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Metered<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut stream = self.home.stream();
        let Some(stream) = &mut *stream else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        stream.check()?;
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        if stream.stuck || !stream.held.is_empty() && stream.held.len() + length > HELD {
            let drained = stream.drain(cx);
            if drained.is_pending() {
                self.blocked();
            }
            ready!(drained)?;
        }
        if stream.held.is_empty() && length > LARGE {
            let written = Pin::new(&mut stream.io).poll_write_vectored(cx, pieces);
            match written {
                Poll::Ready(Ok(length)) => self.sent(length, pieces),
                Poll::Ready(Err(_)) => {}
                Poll::Pending => self.blocked(),
            }
            return written;
        }
        if stream.held.capacity() == 0 {
            stream.held.reserve(KEPT);
        }
        for piece in pieces {
            stream.held.extend_from_slice(piece);
        }
        self.sent(length, pieces);
        Poll::Ready(Ok(length))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What is held goes out by [`Home::flush`].
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.home.stream();
        let Some(stream) = &mut *stream else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        stream.check()?;
        if !stream.held.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut stream.io).poll_flush(cx);
        stream.unflushed = flushed.is_pending();
        match flushed {
            Poll::Ready(_) => self.home.meter().flushed(),
            Poll::Pending => self.blocked(),
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.home.stream();
        let Some(stream) = &mut *stream else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        stream.check()?;
        ready!(stream.drain(cx))?;
        Pin::new(&mut stream.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::super::blocks::BlockLimits;
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

    fn blocks() -> Blocks {
        let limits = BlockLimits {
            value: 32_768,
            block: 65_536,
        };
        Blocks::new(limits, Instant::now())
    }

    fn pair() -> (DuplexStream, Metered<DuplexStream>, Home<DuplexStream>) {
        let (client, server) = duplex(1 << 20);
        let meter = FrameMeter::new(65_536, Instant::now());
        let (metered, home) = metered(server, meter, blocks());
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
        home.take().unwrap().0.write_all(&goaway).await.unwrap();
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

    #[tokio::test]
    async fn what_is_written_in_one_poll_goes_out_together_in_order() {
        let (mut client, mut server, home) = pair();
        let large = vec![b'L'; LARGE + 1];
        let pieces: [&[u8]; 6] = [b"one", b"two", &large, b"three", &[b'x'; HELD], b"end"];
        let mut expected = 0;
        std::future::poll_fn(|cx| {
            for piece in pieces {
                let mut written = 0;
                while written < piece.len() {
                    let write = Pin::new(&mut server).poll_write(cx, &piece[written..]);
                    let Poll::Ready(Ok(length)) = write else {
                        panic!("there is room");
                    };
                    written += length;
                }
                expected += piece.len();
                assert!(Pin::new(&mut server).poll_flush(cx).is_ready());
            }
            home.flush(cx);
            Poll::Ready(())
        })
        .await;
        let mut got = vec![0; expected];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(got, pieces.concat());
        // Of what comes last nothing is lost: not at a shutdown, not when the stream is taken.
        server.write_all(b"more").await.unwrap();
        server.shutdown().await.unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"more");
        let (_client, mut server, home) = pair();
        server.write_all(b"last").await.unwrap();
        drop(server);
        assert_eq!(home.take().unwrap().1, b"last");
    }

    // REQ: R-3
    #[tokio::test]
    async fn who_takes_nothing_makes_hyper_wait() {
        let (mut client, server) = duplex(10);
        let meter = FrameMeter::new(65_536, Instant::now());
        let (mut server, home) = metered(server, meter, blocks());
        std::future::poll_fn(|cx| {
            assert!(Pin::new(&mut server).poll_write(cx, &[1; 30]).is_ready());
            home.flush(cx);
            assert!(home.meter().blocked_since().is_some());
            // Nothing is taken on while what is held is stuck.
            assert!(Pin::new(&mut server).poll_write(cx, &[2; 5]).is_pending());
            Poll::Ready(())
        })
        .await;
        let mut got = [0; 30];
        let flushes = std::future::poll_fn(|cx| {
            home.flush(cx);
            match home.meter().blocked_since() {
                Some(_) => Poll::Pending,
                None => Poll::Ready(()),
            }
        });
        let (read, ()) = tokio::join!(client.read_exact(&mut got), flushes);
        read.unwrap();
        assert_eq!(got, [1; 30]);
        server.write_all(&[2; 5]).await.unwrap();
        assert_eq!(home.take().unwrap().1, [2; 5]);
    }

    // REQ: R-3
    #[tokio::test]
    async fn a_full_socket_shows() {
        let (_client, mut server, home) = pair();
        let full = vec![0; (1 << 20) + LARGE + 1];
        let write = timeout(Duration::from_millis(50), server.write_all(&full));
        assert!(write.await.is_err());
        assert!(home.meter().blocked_since().is_some());
    }
}

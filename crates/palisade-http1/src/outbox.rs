//! What is to be written, in one buffer that is given back when it is empty.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    /// How many of them are written.
    written: usize,
    /// Whether the stream itself may hold some back.
    unflushed: bool,
    /// Bytes that the stream has taken since the beginning.
    total: u64,
}

/// Larger buffers are not kept.
const MAX_KEPT: usize = 64 * 1024;
/// Buffers kept per thread.
const MAX_SPARE: usize = 8;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl Outbox {
    /// The buffer to write behind what is there.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        }
        &mut self.bytes
    }

    /// What the stream has not taken yet.
    pub(crate) fn pending(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    /// Bytes that the stream has not taken yet.
    pub(crate) const fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Whether everything has left.
    pub(crate) const fn is_empty(&self) -> bool {
        self.len() == 0 && !self.unflushed
    }

    /// Whether the stream has taken bytes that have not left it.
    pub(crate) const fn is_held(&self) -> bool {
        self.unflushed
    }

    /// Bytes that the stream has taken since the beginning.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// Writes until everything has left.
    pub(crate) fn poll_flush<I: AsyncWrite + Unpin>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(rest) = self.bytes.get(self.written..)
            && !rest.is_empty()
        {
            let taken = ready!(Pin::new(&mut *io).poll_write(cx, rest))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += taken;
            self.total += taken as u64;
            self.unflushed = true;
        }
        self.release();
        if self.unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn release(&mut self) {
        self.written = 0;
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() == 0 || bytes.capacity() > MAX_KEPT {
            return;
        }
        bytes.clear();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < MAX_SPARE {
                spare.push(bytes);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, duplex};

    // REQ: R-3
    #[tokio::test]
    async fn what_has_left_holds_no_memory() {
        let (mut io, mut other) = duplex(64);
        let mut outbox = Outbox::default();
        for round in 1..=3_u64 {
            outbox.buffer().extend_from_slice(&[b'x'; 1000]);
            assert_eq!((outbox.len(), outbox.is_empty()), (1000, false));
            let reading = async { other.read_exact(&mut [0; 1000]).await.map(drop) };
            let flushing = std::future::poll_fn(|cx| outbox.poll_flush(&mut io, cx));
            let (flushed, read) = tokio::join!(flushing, reading);
            flushed.unwrap();
            read.unwrap();
            assert!(outbox.is_empty());
            assert_eq!((outbox.bytes.capacity(), outbox.total()), (0, round * 1000));
        }
        // The same buffer again and again; large ones are not kept.
        let spare = |spare: &mut Vec<Vec<u8>>| spare.iter().map(Vec::capacity).collect::<Vec<_>>();
        assert_eq!(SPARE.with_borrow_mut(spare).len(), 1);
        outbox.buffer().reserve(MAX_KEPT + 1);
        outbox.release();
        assert!(
            SPARE
                .with_borrow_mut(spare)
                .iter()
                .all(|kept| *kept <= MAX_KEPT)
        );
    }
}

//! Reading through one buffer per thread, so that a connection that waits holds none.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// More than a TLS record, so that one read takes a whole one.
const SIZE: usize = 32 * 1024;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Reads once and hands what came to `take`. Returns its length; 0 is the end of the stream.
pub(crate) fn poll_receive<I: AsyncRead + Unpin>(
    io: &mut I,
    cx: &mut Context<'_>,
    take: impl FnOnce(&[u8]),
) -> Poll<io::Result<usize>> {
    // Taken out while it is in use: a stream that reads through this function again gets another.
    let mut memory = BUFFER.take();
    if memory.len() < SIZE {
        memory.resize(SIZE, 0);
    }
    let mut buffer = ReadBuf::new(&mut memory);
    let read = Pin::new(io).poll_read(cx, &mut buffer);
    let result = read.map_ok(|()| {
        let filled = buffer.filled();
        if !filled.is_empty() {
            take(filled);
        }
        filled.len()
    });
    BUFFER.set(memory);
    Poll::Ready(ready!(result))
}

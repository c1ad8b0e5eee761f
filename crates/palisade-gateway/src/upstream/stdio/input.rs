//! Lines on their way into a child.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::sync::mpsc;

/// Bytes that may wait for a child that does not read.
const MOST: usize = 16 * 1024 * 1024;

/// What is written at once, in bytes.
const PIECE: usize = 64 * 1024;

/// The end that lines are put in at.
#[derive(Clone, Debug)]
pub(super) struct Input {
    queue: mpsc::UnboundedSender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

/// The end that they come out of.
#[derive(Debug)]
pub(super) struct Output {
    queue: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
}

/// Why a line was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// The child reads no more.
    Closed,
    /// Too much waits already.
    Full,
}

/// A way into a child.
pub(super) fn input() -> (Input, Output) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::<AtomicUsize>::default();
    let input = Input {
        queue: sender,
        waiting: Arc::clone(&waiting),
    };
    let output = Output {
        queue: receiver,
        waiting,
    };
    (input, output)
}

impl Input {
    /// Puts a line in, without its end.
    pub(super) fn send(&self, mut line: Vec<u8>) -> Result<(), NotTaken> {
        line.push(b'\n');
        let length = line.len();
        if self.waiting.fetch_add(length, Ordering::Relaxed) + length > MOST {
            self.waiting.fetch_sub(length, Ordering::Relaxed);
            return Err(NotTaken::Full);
        }
        self.queue.send(line).map_err(|_| NotTaken::Closed)
    }
}

impl Output {
    /// Every line that waits, without its end.
    #[cfg(test)]
    pub(super) fn lines(&mut self) -> Vec<String> {
        let next = std::iter::from_fn(|| self.queue.try_recv().ok());
        next.map(|line| String::from_utf8_lossy(&line).trim_end().to_owned())
            .collect()
    }

    /// Writes lines into the pipe until one end is closed.
    pub(super) async fn write_to(&mut self, pipe: &mut ChildStdin) {
        let mut piece = Vec::new();
        while let Some(line) = self.queue.recv().await {
            piece.clear();
            piece.extend_from_slice(&line);
            while piece.len() < PIECE
                && let Ok(line) = self.queue.try_recv()
            {
                piece.extend_from_slice(&line);
            }
            let written = pipe.write_all(&piece).await;
            self.waiting.fetch_sub(piece.len(), Ordering::Relaxed);
            if written.is_err() {
                return;
            }
            if piece.capacity() > 2 * PIECE {
                piece = Vec::new();
            }
        }
    }
}

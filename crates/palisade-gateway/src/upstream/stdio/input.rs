//! Lines on their way into a child.
//!
//! A worker writes into the pipe itself where nothing waits and there is room: that saves a call the
//! way over the children's thread. The rest is written there, in turn.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    direct: Direct,
}

/// The pipe, while it is open: whoever holds this writes into it.
#[derive(Clone, Debug, Default)]
struct Direct(Arc<Mutex<Option<OwnedFd>>>);

/// The end that they come out of.
#[derive(Debug)]
pub(super) struct Output {
    queue: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    direct: Direct,
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
    let direct = Direct::default();
    let input = Input {
        queue: sender,
        waiting: Arc::clone(&waiting),
        direct: direct.clone(),
    };
    let output = Output {
        queue: receiver,
        waiting,
        direct,
    };
    (input, output)
}

impl Input {
    /// Puts a line in, without its end.
    pub(super) fn send(&self, mut line: Vec<u8>) -> Result<(), NotTaken> {
        line.push(b'\n');
        // Held to the end: lines must not change their order.
        let pipe = self.direct.lock();
        if let Some(pipe) = &*pipe
            && self.waiting.load(Ordering::Acquire) == 0
            && line.len() <= MOST
        {
            match rustix::io::write(pipe, &line) {
                Ok(written) if written == line.len() => return Ok(()),
                Ok(written) => drop(line.drain(..written)),
                // It is full, or was interrupted; the other thread goes on with it. What else there
                // is it will find as well.
                Err(_) => {}
            }
        }
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
        let _open = self.direct.open(pipe);
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
            self.waiting.fetch_sub(piece.len(), Ordering::Release);
            if written.is_err() {
                return;
            }
            if piece.capacity() > 2 * PIECE {
                piece = Vec::new();
            }
        }
    }
}

/// Until it is dropped: the child is to see the end of its input when its keeper closes the pipe.
struct Open(Direct);

impl Drop for Open {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

impl Direct {
    /// Lets workers write. Where the system gives no descriptor, they leave it to this thread.
    fn open(&self, pipe: &ChildStdin) -> Open {
        *self.lock() = pipe.as_fd().try_clone_to_owned().ok();
        Open(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<OwnedFd>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;
    use tokio::io::AsyncReadExt as _;

    // REQ: G-16
    #[tokio::test]
    async fn lines_keep_their_order_whoever_writes_them() {
        let mut child = tokio::process::Command::new("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (input, mut output) = input();
        // Before there is a pipe, and after: some fill it, so that they are written in parts.
        let line = |number: usize| {
            let padding = if number == 7 || number == 40 {
                100_000
            } else {
                10
            };
            format!("{number} {}", "x".repeat(padding)).into_bytes()
        };
        let lines: Vec<_> = (0..60).map(line).collect();
        for line in &lines[..5] {
            input.send(line.clone()).unwrap();
        }
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let mut found = Vec::new();
        let wanted: usize = lines.iter().map(|line| line.len() + 1).sum();
        let writing = async {
            output.write_to(&mut stdin).await;
        };
        let sending = async {
            for line in &lines[5..] {
                input.send(line.clone()).unwrap();
                tokio::task::yield_now().await;
            }
            let mut piece = vec![0; 4096];
            while found.len() < wanted {
                let length = stdout.read(&mut piece).await.unwrap();
                assert_ne!(length, 0);
                found.extend_from_slice(&piece[..length]);
            }
        };
        tokio::select! {
            () = writing => panic!("the pipe was closed"),
            () = sending => {}
        }
        let found: Vec<_> = found.split(|byte| *byte == b'\n').collect();
        assert_eq!(found[..60], lines);
        // The pipe is closed when its owner closes it, though the input is still there.
        drop(stdin);
        assert_eq!(stdout.read(&mut [0; 9]).await.unwrap(), 0);
        drop(input);
    }
}

//! Messages to the client: one in each line, and nothing else.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

/// Bytes that wait for a client that does not read. A single longer message takes all of it.
const WAITING: u32 = 16 * 1024 * 1024;

/// Messages that wait.
const MESSAGES: usize = 256;

/// How long a client may take to read the last of it.
const LAST: Duration = Duration::from_secs(2);

/// The way to the client.
#[derive(Clone, Debug)]
pub(super) struct Output {
    queue: mpsc::Sender<Line>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct Line {
    text: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

/// Resolves when everything has been written.
#[derive(Debug)]
pub(super) struct Written(oneshot::Receiver<()>);

/// The client has closed its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closed;

impl Output {
    /// Writes on a thread of its own, until the last clone is dropped.
    pub(super) fn start(mut to: impl Write + Send + 'static) -> io::Result<(Self, Written)> {
        let (queue, mut lines) = mpsc::channel::<Line>(MESSAGES);
        let (done, written) = oneshot::channel();
        thread::Builder::new()
            .name("connect-stdout".to_owned())
            .spawn(move || {
                while let Some(line) = lines.blocking_recv() {
                    // Its end is written with it: another's write can never come in between.
                    if to.write_all(&line.text).and_then(|()| to.flush()).is_err() {
                        break;
                    }
                }
                drop(lines);
                let _ = done.send(());
            })?;
        let room = Arc::new(Semaphore::new(WAITING as usize));
        Ok((Self { queue, room }, Written(written)))
    }

    /// Sends one message; waits while the client does not read.
    ///
    /// `text` is JSON: a line end in it is white space.
    pub(super) async fn send(&self, mut text: Vec<u8>) -> Result<(), Closed> {
        for byte in &mut text {
            if matches!(byte, b'\n' | b'\r') {
                *byte = b' ';
            }
        }
        text.push(b'\n');
        let length = u32::try_from(text.len()).unwrap_or(WAITING).min(WAITING);
        let room = Arc::clone(&self.room).acquire_many_owned(length);
        let room = room.await.map_err(|_| Closed)?;
        let line = Line { text, _room: room };
        self.queue.send(line).await.map_err(|_| Closed)
    }

    /// Resolves when the client has closed its end.
    pub(super) async fn closed(&self) {
        self.queue.closed().await;
    }
}

impl Written {
    /// Waits, but not for ever.
    pub(super) async fn wait(self) {
        let _ = timeout(LAST, self.0).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    // REQ: U-2
    #[tokio::test]
    async fn each_message_is_one_line() {
        let to = Shared::default();
        let (output, written) = Output::start(to.clone()).unwrap();
        output.send(b"{\r\n\"a\":\n1}".to_vec()).await.unwrap();
        output.send(b"{}".to_vec()).await.unwrap();
        drop(output);
        written.wait().await;
        assert_eq!(*to.0.lock().unwrap(), b"{  \"a\": 1}\n{}\n");
    }

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_client_that_is_gone_is_noticed() {
        let (output, _written) = Output::start(Gone).unwrap();
        output.send(b"{}".to_vec()).await.unwrap();
        output.closed().await;
        assert!(output.send(b"{}".to_vec()).await.is_err());
    }
}

//! The thread that children live on.
//!
//! The kernel ties a child to the *thread* that started it, and children outlast any one worker's
//! connections; so they have a thread of their own, which is the last to end.

use std::future::Future;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

/// The thread, for as long as the gateway runs.
#[derive(Debug)]
pub struct Host {
    handle: Handle,
    end: watch::Sender<bool>,
    /// Gives a sender to every child; its other end is told when all are gone.
    alive: Mutex<Option<mpsc::Sender<()>>>,
    /// Turns `true` when the last child is gone.
    ended: watch::Receiver<bool>,
}

/// How long all children together may take to end; each has its own, shorter bounds.
const LONGEST: Duration = Duration::from_secs(10);

/// What a child holds of its host.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Turns `true` when the gateway ends.
    pub(super) ending: watch::Receiver<bool>,
    _alive: mpsc::Sender<()>,
}

impl Host {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where the system gives no thread, or no event queue.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        let (end, mut ending) = watch::channel(false);
        let (alive, mut all_gone) = mpsc::channel(1);
        let (done, ended) = watch::channel(false);
        thread::Builder::new()
            .name("palisade-stdio".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let _ = ending.wait_for(|ending| *ending).await;
                    // Nothing is ever sent: this resolves when the last child is gone.
                    let _ = tokio::time::timeout(LONGEST, all_gone.recv()).await;
                });
                let _ = done.send(true);
            })?;
        Ok(Self {
            handle,
            end,
            alive: Mutex::new(Some(alive)),
            ended,
        })
    }

    /// Ends every child; from now on none can be started. Resolves when all are gone, or have been
    /// given up; whoever does not wait leaves that to the keepers.
    pub async fn end(&self) {
        self.begin_to_end();
        // An error means that the thread is gone, and with it everything on it.
        let _ = self.ended.clone().wait_for(|ended| *ended).await;
    }

    fn begin_to_end(&self) {
        *self.alive.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let _ = self.end.send(true);
    }

    /// Runs something on the thread.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(task);
    }

    /// A place for a child; `None` once the gateway ends.
    pub(super) fn place(&self) -> Option<Place> {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Place {
            ending: self.end.subscribe(),
            _alive: alive.clone()?,
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.begin_to_end();
    }
}

//! The idle connections of one worker to one upstream.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::time::{Instant, sleep};

/// Idle connections are kept this long: shorter than the 5 s after which Node's server, the
/// impatient one of the field, closes its own.
const IDLE: Duration = Duration::from_secs(4);

/// Idle connections kept at most, per worker and upstream.
const MAX_IDLE: usize = 256;

/// The connections that wait for their next request; the last one in is the first one out.
pub(super) struct Pool<B> {
    shared: Arc<Shared<B>>,
}

struct Shared<B> {
    idle: Mutex<Vec<Idle<B>>>,
    /// Whether a sweeper is at work; it ends when nothing is idle.
    sweeping: AtomicBool,
}

struct Idle<B> {
    sender: SendRequest<B>,
    since: Instant,
}

impl<B> Clone for Pool<B> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<B> Default for Pool<B> {
    fn default() -> Self {
        let shared = Shared {
            idle: Mutex::default(),
            sweeping: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl<B> Pool<B> {
    /// A connection that is still open and was used within [`IDLE`].
    pub(super) fn take(&self) -> Option<SendRequest<B>> {
        let mut idle = self.idle();
        while let Some(candidate) = idle.pop() {
            if candidate.since.elapsed() >= IDLE {
                // The ones below are older still.
                idle.clear();
                return None;
            }
            if !candidate.sender.is_closed() {
                return Some(candidate.sender);
            }
        }
        None
    }

    /// Takes a connection back after a whole answer has been read from it.
    pub(super) fn give(&self, sender: SendRequest<B>)
    where
        B: Send + 'static,
    {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(Idle {
                sender,
                since: Instant::now(),
            });
        }
        if !self.shared.sweeping.swap(true, Ordering::Relaxed) {
            tokio::spawn(sweep(Arc::downgrade(&self.shared)));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle<B>>> {
        self.shared
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what has been idle for too long, as long as there is anything.
async fn sweep<B>(shared: Weak<Shared<B>>) {
    loop {
        sleep(IDLE / 4).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let mut idle = shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|each| each.since.elapsed() < IDLE && !each.sender.is_closed());
        if idle.is_empty() {
            shared.sweeping.store(false, Ordering::Relaxed);
            return;
        }
    }
}

//! The idle connections of one worker to one upstream.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use palisade_http1::client::Connection;
use tokio::time::{Instant, sleep};

use super::stream::Stream;

/// Idle connections are kept this long: shorter than the 5 s after which Node's server, the
/// impatient one of the field, closes its own.
const IDLE: Duration = Duration::from_secs(4);

/// Idle connections kept at most, per worker and upstream.
const MAX_IDLE: usize = 256;

/// The connections that wait for their next request; the last one in is the first one out.
#[derive(Clone, Default)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    idle: Mutex<Vec<Idle>>,
    /// Whether a sweeper is at work; it ends when nothing is idle.
    sweeping: AtomicBool,
}

struct Idle {
    connection: Connection<Stream>,
    since: Instant,
}

impl Pool {
    /// A connection that is still open and was used within [`IDLE`].
    pub(super) fn take(&self) -> Option<Connection<Stream>> {
        let mut idle = self.idle();
        while let Some(mut candidate) = idle.pop() {
            if candidate.since.elapsed() >= IDLE {
                // The ones below are older still.
                idle.clear();
                return None;
            }
            if candidate.connection.is_open() {
                return Some(candidate.connection);
            }
        }
        None
    }

    /// Takes a connection back after a whole answer has been read from it.
    pub(super) fn give(&self, connection: Connection<Stream>) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(Idle {
                connection,
                since: Instant::now(),
            });
        }
        if !self.shared.sweeping.swap(true, Ordering::Relaxed) {
            tokio::spawn(sweep(Arc::downgrade(&self.shared)));
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.shared
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what has been idle for too long, as long as there is anything.
async fn sweep(shared: Weak<Shared>) {
    loop {
        sleep(IDLE / 4).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let mut idle = shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain_mut(|each| each.since.elapsed() < IDLE && each.connection.is_open());
        if idle.is_empty() {
            shared.sweeping.store(false, Ordering::Relaxed);
            return;
        }
    }
}

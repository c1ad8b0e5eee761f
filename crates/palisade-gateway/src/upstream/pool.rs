//! The idle connections of one worker to one upstream.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

/// Idle connections are kept this long: shorter than the 5 s after which Node's server, the
/// impatient one of the field, closes its own.
const IDLE: Duration = Duration::from_secs(4);

/// Idle connections kept at most, per worker and upstream.
const MAX_IDLE: usize = 256;

/// The connections that wait for their next request; the last one in is the first one out.
pub(super) struct Pool<B> {
    idle: Arc<Mutex<Vec<Idle<B>>>>,
}

struct Idle<B> {
    sender: SendRequest<B>,
    since: Instant,
}

impl<B> Clone for Pool<B> {
    fn clone(&self) -> Self {
        Self {
            idle: Arc::clone(&self.idle),
        }
    }
}

impl<B> Default for Pool<B> {
    fn default() -> Self {
        Self {
            idle: Arc::default(),
        }
    }
}

impl<B> Pool<B> {
    /// A connection that is still open and was used within [`IDLE`].
    pub(super) fn take(&self) -> Option<SendRequest<B>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
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
    pub(super) fn give(&self, sender: SendRequest<B>) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE {
            idle.push(Idle {
                sender,
                since: Instant::now(),
            });
        }
    }

    /// Closes what has been idle for too long.
    pub(super) fn sweep(&self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|each| each.since.elapsed() < IDLE && !each.sender.is_closed());
    }
}

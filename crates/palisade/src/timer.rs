//! The one thing of time that this crate needs of a runtime.

use std::future::Future;
use std::time::Duration;

/// Sleeps.
pub trait Timer: Clone + Send + Sync + 'static {
    /// Resolves when the time is over.
    type Sleep: Future<Output = ()> + Send;

    /// Sleeps for `duration` from now.
    fn sleep(&self, duration: Duration) -> Self::Sleep;
}

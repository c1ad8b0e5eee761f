//! The time that limits count in.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use http::request::Parts;

use crate::exchange::Exchange;

/// Tells the time. Injected, so that tests turn the hands themselves.
pub trait Clock: Send + Sync + 'static {
    /// Nanoseconds since a fixed moment; never goes back.
    fn now(&self) -> u64;

    /// The moment in which the request's head had been read: what [`now`](Self::now) said then,
    /// or says now.
    fn of(&self, head: &Parts) -> u64 {
        let _ = head;
        self.now()
    }

    /// Seconds since 1970, for the legacy `X-RateLimit-Reset`.
    fn unix(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}

/// The system's monotonic clock, counted from when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Monotonic {
    start: Instant,
}

impl Default for Monotonic {
    fn default() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for Monotonic {
    fn now(&self) -> u64 {
        self.since(Instant::now())
    }

    /// The exchange knows the moment: that saves reading the system's clock again.
    fn of(&self, head: &Parts) -> u64 {
        let exchange = head.extensions.get::<Exchange>();
        exchange.map_or_else(|| self.now(), |exchange| self.since(exchange.started()))
    }
}

impl Monotonic {
    fn since(&self, moment: Instant) -> u64 {
        let since = moment.saturating_duration_since(self.start);
        // 584 years fit.
        since.as_secs().wrapping_mul(1_000_000_000) + u64::from(since.subsec_nanos())
    }
}

//! The time that limits count in.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time. Injected, so that tests turn the hands themselves.
pub trait Clock: Send + Sync + 'static {
    /// Nanoseconds since a fixed moment; never goes back.
    fn now(&self) -> u64;

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
        // 584 years fit.
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

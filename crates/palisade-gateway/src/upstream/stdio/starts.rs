//! When a child may be started again: a command that fails is not run over and over.

use std::time::Duration;

use tokio::time::Instant;

/// The pause behind the first failure, and the longest.
const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(30);

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Starts {
    failures: u32,
    not_before: Option<Instant>,
}

impl Starts {
    /// How long to wait; `None`: now.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let wait = self.not_before?.checked_duration_since(now)?;
        (!wait.is_zero()).then_some(wait)
    }

    pub(super) fn failed(&mut self, now: Instant) {
        let pause = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + pause);
    }

    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: G-16
    #[test]
    fn pauses_grow_and_end_with_a_success() {
        let now = Instant::now();
        let mut starts = Starts::default();
        assert_eq!(starts.wait(now), None);
        for wanted in [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            starts.failed(now);
            assert_eq!(starts.wait(now), Some(Duration::from_millis(wanted)));
        }
        assert_eq!(starts.wait(now + LONGEST), None);
        for _ in 0..100 {
            starts.failed(now);
        }
        assert_eq!(starts.wait(now), Some(LONGEST));
        starts.succeeded();
        assert_eq!(starts.wait(now), None);
    }
}

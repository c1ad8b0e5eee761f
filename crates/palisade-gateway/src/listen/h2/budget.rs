//! A budget over a sliding window: what was not used comes back with time.

use tokio::time::Instant;

/// What a [`Budget`] starts with and how it grows again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    /// Tokens at the start; time gives back up to as many.
    pub burst: u32,
    /// Tokens that come back each second.
    pub per_second: u32,
    /// Up to how many honest work may earn. At least `burst`.
    pub ceiling: u32,
}

impl Allowance {
    /// One that work does not raise.
    pub(super) const fn new(burst: u32, per_second: u32) -> Self {
        Self {
            burst,
            per_second,
            ceiling: burst,
        }
    }

    /// One that work may raise to `ceiling`.
    pub(super) const fn earning(burst: u32, per_second: u32, ceiling: u32) -> Self {
        Self {
            burst,
            per_second,
            ceiling,
        }
    }
}

/// A token bucket.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    allowance: Allowance,
    left: u32,
    spent: u32,
    since: Instant,
}

impl Budget {
    pub(super) fn new(allowance: Allowance, now: Instant) -> Self {
        Self {
            allowance,
            left: allowance.burst,
            spent: 0,
            since: now,
        }
    }

    /// Takes `cost`; `false` where it is not there.
    #[must_use]
    pub(super) fn take(&mut self, cost: u32, now: Instant) -> bool {
        if self.left < cost {
            self.refill(now);
        }
        match self.left.checked_sub(cost) {
            Some(left) => {
                self.left = left;
                self.spent = self.spent.saturating_add(cost);
                true
            }
            None => false,
        }
    }

    /// Everything that was taken so far.
    pub(super) const fn spent(&self) -> u32 {
        self.spent
    }

    /// Adds what honest work has earned.
    pub(super) fn earn(&mut self, tokens: u32) {
        let most = self.allowance.ceiling.max(self.left);
        self.left = self.left.saturating_add(tokens).min(most);
    }

    /// Only looked at when the tokens are out: the clock costs more than the sum.
    fn refill(&mut self, now: Instant) {
        let Allowance {
            burst, per_second, ..
        } = self.allowance;
        let passed = now.saturating_duration_since(self.since);
        let grown = passed.as_millis() * u128::from(per_second) / 1000;
        if grown > 0 {
            let grown = u32::try_from(grown).unwrap_or(u32::MAX);
            self.left = self.left.max(self.left.saturating_add(grown).min(burst));
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn what_is_used_up_comes_back_with_time_and_work() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut budget = Budget::new(Allowance::earning(10, 2, 20), start);
        assert!((0..10).all(|_| budget.take(1, start)));
        assert!(!budget.take(1, start));
        assert!(budget.take(2, after(1)));
        assert!(!budget.take(1, after(1)));
        // Never more than the burst by waiting.
        assert!(!budget.take(11, after(1000)));
        assert!(budget.take(10, after(1000)));
        budget.earn(1000);
        assert!((0..20).all(|_| budget.take(1, after(1000))));
        assert!(!budget.take(1, after(1000)));
    }

    #[test]
    fn time_that_runs_backwards_gives_nothing() {
        let now = Instant::now() + Duration::from_secs(100);
        let mut budget = Budget::new(Allowance::new(1, 1), now);
        assert!(budget.take(1, now));
        assert!(!budget.take(1, now - Duration::from_secs(50)));
    }
}

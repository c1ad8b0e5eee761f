//! How fast one identity may open connections: a burst at once, then one after the other.
//!
//! Each connection that is opened leaves two records behind, so whoever opens them without pause
//! would fill the log. To refuse them would break an honest program that is merely busy; so they
//! wait their turn, and each is still told by itself.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest that a connection waits for its turn; those that would have to wait longer are refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// The generic cell rate algorithm: the moment at which all that was opened has been paid for.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// How long the next one has to wait, with `per_minute` of them a minute and as many at once;
    /// `None`: too long.
    pub(super) fn next(&self, per_minute: u32, now: Instant) -> Option<Duration> {
        let each = Duration::from_secs(60).checked_div(per_minute)?;
        let mut paid = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = paid.map_or(now, |paid| paid.max(now));
        let wait = (from - now)
            .saturating_add(each)
            .saturating_sub(Duration::from_secs(60));
        if wait > PATIENCE {
            return None;
        }
        *paid = Some(from + each);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: E-2, L-1
    #[test]
    fn a_burst_then_one_after_the_other() {
        let (pace, begun) = (Pace::default(), Instant::now());
        let seconds = Duration::from_secs;
        for n in 0..60 {
            assert_eq!(pace.next(60, begun), Some(seconds(0)), "{n}");
        }
        for n in 1..=10 {
            assert_eq!(pace.next(60, begun), Some(seconds(n)));
        }
        // Those that are refused pay nothing.
        assert_eq!(pace.next(60, begun), None);
        assert_eq!(pace.next(60, begun), None);
        assert_eq!(pace.next(60, begun + seconds(1)), Some(seconds(10)));
        // Whoever waits long enough has the whole burst again, and no more.
        let later = begun + seconds(1000);
        for _ in 0..60 {
            assert_eq!(pace.next(60, later), Some(seconds(0)));
        }
        assert_eq!(pace.next(60, later), Some(seconds(1)));
    }

    // REQ: L-1
    #[test]
    fn no_more_than_twice_as_many_in_any_minute() {
        let (pace, begun) = (Pace::default(), Instant::now());
        let mut opened = Vec::new();
        for millis in (0..300_000).step_by(7) {
            let now = begun + Duration::from_millis(millis);
            if let Some(wait) = pace.next(300, now) {
                opened.push(now + wait);
            }
        }
        opened.sort_unstable();
        for (at, first) in opened.iter().enumerate() {
            let within = opened[at..]
                .iter()
                .take_while(|one| **one - *first < Duration::from_secs(60));
            assert!(within.count() <= 600);
        }
        assert!(
            opened.len() >= 300 * 5,
            "honest ones get on: {}",
            opened.len()
        );
    }

    #[test]
    fn none_a_minute_is_none() {
        assert_eq!(Pace::default().next(0, Instant::now()), None);
    }
}

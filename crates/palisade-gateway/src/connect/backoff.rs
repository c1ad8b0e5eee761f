//! Pauses between attempts.

use std::time::Duration;

/// Pauses that double, up to a longest one.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    next: Duration,
    first: Duration,
    longest: Duration,
}

impl Backoff {
    pub(super) const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            next: first,
            first,
            longest,
        }
    }

    /// The next pause. A random part of up to a quarter is taken off, so that the clients of a
    /// server that comes back do not come all at once.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.longest);
        pause - pause.mul_f64(f64::from(random_byte()) / 1024.0)
    }

    /// It went well: the next pause is the first again.
    pub(super) const fn reset(&mut self) {
        self.next = self.first;
    }
}

/// Of the system; 0 where it gives none, which only means no spread.
fn random_byte() -> u8 {
    let mut byte = [0];
    let _ = aws_lc_rs::rand::fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(300));
        for most in [100, 200, 300, 300] {
            let pause = backoff.pause().as_millis();
            assert!((most * 3 / 4..=most).contains(&pause), "{pause} of {most}");
        }
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_millis(100));
    }
}

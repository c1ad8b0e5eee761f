//! The generic cell rate algorithm (ITU-T I.371) over nanoseconds. No clock, no state.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// So many requests per window, and how many of them may come at once.
///
/// A key that rests earns one request back every `window / limit`, up to `burst`. No window of
/// length `t` ever sees more than `burst + t * limit / window` requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    limit: u32,
    window: Duration,
    burst: u32,
    /// Nanoseconds that one request costs. Rounded up: never faster than the limit says.
    step: u64,
    /// Nanoseconds that a rested key has to spend: `step * burst`.
    span: u64,
}

/// What a [`Quota`] says to one request. Times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may pass. A refused request costs nothing.
    pub allowed: bool,
    /// The quota's requests per window.
    pub limit: u32,
    /// How many more may pass now.
    pub remaining: u32,
    /// When the whole burst is there again.
    pub reset_after: u64,
    /// When the next request would pass; 0 when it would now.
    pub retry_after: u64,
}

/// Longest window: a day.
const MAX_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

/// Far more than any process runs, and far from overflow when added to a clock.
const MAX_SPAN: u64 = u64::MAX / 4;

impl Quota {
    /// `limit` requests per `window`, all of which may come at once.
    ///
    /// # Errors
    /// A window of nothing or of more than a day.
    pub fn new(limit: NonZeroU32, window: Duration) -> Result<Self, QuotaError> {
        if window.is_zero() || window > MAX_WINDOW {
            return Err(QuotaError::Window);
        }
        let nanos = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        let quota = Self {
            limit: limit.get(),
            window,
            burst: limit.get(),
            step: nanos.div_ceil(u64::from(limit.get())),
            span: 0,
        };
        Ok(quota.with_burst(limit))
    }

    /// How many may come at once after a rest. Default: the limit.
    #[must_use]
    pub fn with_burst(mut self, burst: NonZeroU32) -> Self {
        self.burst = burst.get();
        self.span = self
            .step
            .saturating_mul(u64::from(self.burst))
            .min(MAX_SPAN);
        self
    }

    /// Requests per window.
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// The window.
    #[must_use]
    pub const fn window(&self) -> Duration {
        self.window
    }

    /// How many may come at once after a rest.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst
    }

    /// Judges one request at `now` by a key whose state is `due`, and gives its new state.
    ///
    /// `due` is the *theoretical arrival time*: when the key will have rested fully; 0 for a
    /// new key. A refusal leaves it as it was.
    #[must_use]
    pub fn take(&self, due: u64, now: u64) -> (Decision, u64) {
        let owed = due.saturating_sub(now);
        let after = owed.saturating_add(self.step);
        if after > self.span {
            return (self.decision(false, owed), due);
        }
        (self.decision(true, after), now.saturating_add(after))
    }

    /// What [`take`](Self::take) would say next, without taking.
    #[must_use]
    pub fn peek(&self, due: u64, now: u64) -> Decision {
        let owed = due.saturating_sub(now);
        self.decision(owed.saturating_add(self.step) <= self.span, owed)
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "span / step is at most burst, a u32"
    )]
    fn decision(&self, allowed: bool, owed: u64) -> Decision {
        Decision {
            allowed,
            limit: self.limit,
            remaining: (self.span.saturating_sub(owed) / self.step) as u32,
            reset_after: owed,
            retry_after: owed.saturating_add(self.step).saturating_sub(self.span),
        }
    }
}

/// `100/min`; windows of other lengths as `100/90s`.
impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, window)| *window == self.window) {
            Some((unit, _)) => write!(f, "{}/{unit}", self.limit),
            None => write!(f, "{}/{:?}", self.limit, self.window),
        }
    }
}

const UNITS: [(&str, Duration); 3] = [
    ("s", Duration::from_secs(1)),
    ("min", Duration::from_secs(60)),
    ("h", Duration::from_secs(60 * 60)),
];

/// `N/s`, `N/min` or `N/h`, with N from 1 to 4,294,967,295.
impl FromStr for Quota {
    type Err = QuotaError;

    fn from_str(text: &str) -> Result<Self, QuotaError> {
        let (limit, unit) = text.split_once('/').ok_or(QuotaError::Form)?;
        if !limit.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(QuotaError::Form);
        }
        let limit = limit.parse().map_err(|_| QuotaError::Limit)?;
        let (_, window) = UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or(QuotaError::Form)?;
        Self::new(limit, *window)
    }
}

/// Why a text or a pair of numbers is no [`Quota`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QuotaError {
    /// Not `N/s`, `N/min` or `N/h`.
    Form,
    /// No requests, or more than 4,294,967,295.
    Limit,
    /// A window of nothing or of more than a day.
    Window,
}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "a rate is written `100/s`, `100/min` or `100/h`",
            Self::Limit => {
                "a rate allows from 1 to 4294967295 requests; to refuse all, use `allow`"
            }
            Self::Window => "the window of a rate is longer than nothing and at most a day",
        })
    }
}

impl std::error::Error for QuotaError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn texts() {
        for (text, expected) in [
            ("100/min", Ok((100, 60))),
            ("1/s", Ok((1, 1))),
            ("4294967295/h", Ok((u32::MAX, 3600))),
            ("007/h", Ok((7, 3600))),
            ("0/min", Err(QuotaError::Limit)),
            ("4294967296/s", Err(QuotaError::Limit)),
            ("/s", Err(QuotaError::Limit)),
            ("+1/s", Err(QuotaError::Form)),
            ("-1/s", Err(QuotaError::Form)),
            (" 1/s", Err(QuotaError::Form)),
            ("1/ s", Err(QuotaError::Form)),
            ("1", Err(QuotaError::Form)),
            ("1/day", Err(QuotaError::Form)),
            ("1/s/s", Err(QuotaError::Form)),
            ("1.5/s", Err(QuotaError::Form)),
            ("", Err(QuotaError::Form)),
        ] {
            let quota = text.parse::<Quota>();
            let got = quota.map(|quota| (quota.limit(), quota.window().as_secs()));
            assert_eq!(got, expected, "{text:?}");
            if let Ok(quota) = quota {
                assert_eq!(quota.to_string().parse(), Ok(quota));
            }
        }
        assert_eq!(
            Quota::new(NonZeroU32::MIN, Duration::ZERO),
            Err(QuotaError::Window)
        );
        assert_eq!(
            Quota::new(NonZeroU32::MIN, MAX_WINDOW + Duration::from_nanos(1)),
            Err(QuotaError::Window)
        );
    }

    // REQ: R-1
    #[test]
    fn a_burst_then_one_at_a_time() {
        let quota: Quota = "60/min".parse().unwrap();
        let quota = quota.with_burst(NonZeroU32::new(2).unwrap());
        let decision = |allowed, remaining, reset_after, retry_after| Decision {
            allowed,
            limit: 60,
            remaining,
            reset_after,
            retry_after,
        };
        let mut due = 0;
        for (now, expected) in [
            (10 * SECOND, decision(true, 1, SECOND, 0)),
            (10 * SECOND, decision(true, 0, 2 * SECOND, SECOND)),
            (10 * SECOND, decision(false, 0, 2 * SECOND, SECOND)),
            (
                10 * SECOND + 1,
                decision(false, 0, 2 * SECOND - 1, SECOND - 1),
            ),
            (11 * SECOND - 1, decision(false, 0, SECOND + 1, 1)),
            (11 * SECOND, decision(true, 0, 2 * SECOND, SECOND)),
            (99 * SECOND, decision(true, 1, SECOND, 0)),
        ] {
            let peeked = quota.peek(due, now);
            let (got, next) = quota.take(due, now);
            assert_eq!(got, expected, "at {now}");
            assert_eq!(peeked.allowed, got.allowed, "at {now}");
            due = next;
        }
    }

    #[test]
    fn nothing_overflows() {
        let max = NonZeroU32::MAX;
        for limit in [NonZeroU32::MIN, max] {
            for burst in [NonZeroU32::MIN, max] {
                let quota = Quota::new(limit, MAX_WINDOW).unwrap().with_burst(burst);
                for due in [0, 1, u64::MAX / 2, u64::MAX] {
                    for now in [0, u64::MAX / 2, u64::MAX] {
                        let (decision, next) = quota.take(due, now);
                        assert!(next >= due.min(now), "{decision:?}");
                        assert!(decision.remaining <= quota.burst());
                    }
                }
            }
        }
    }

    /// A bucket that is refilled in nanoseconds of credit: the simplest thing that is right.
    struct Bucket {
        credit: u64,
        at: u64,
    }

    impl Bucket {
        fn take(&mut self, quota: &Quota, now: u64) -> bool {
            self.credit = (self.credit + (now - self.at)).min(quota.span);
            self.at = now;
            let allowed = self.credit >= quota.step;
            if allowed {
                self.credit -= quota.step;
            }
            allowed
        }
    }

    proptest! {
        // REQ: R-1
        #[test]
        fn it_is_a_token_bucket(
            limit in 1u32..200,
            burst in 1u32..50,
            pauses in proptest::collection::vec(0u64..5_000, 1..300),
        ) {
            let window = Duration::from_micros(7);
            let quota = Quota::new(limit.try_into().unwrap(), window).unwrap();
            let quota = quota.with_burst(burst.try_into().unwrap());
            let mut bucket = Bucket { credit: quota.span, at: 0 };
            let (mut due, mut now) = (0, 0);
            for pause in pauses {
                now += pause;
                let (decision, next) = quota.take(due, now);
                prop_assert_eq!(decision.allowed, bucket.take(&quota, now));
                prop_assert_eq!(u64::from(decision.remaining), bucket.credit / quota.step);
                prop_assert_eq!(decision.reset_after, quota.span - bucket.credit);
                due = next;
                if !decision.allowed {
                    // Retry-After tells the truth to the nanosecond.
                    prop_assert!(!quota.peek(due, now + decision.retry_after - 1).allowed);
                    prop_assert!(quota.peek(due, now + decision.retry_after).allowed);
                }
            }
        }

        // REQ: R-1
        #[test]
        fn no_window_sees_more_than_burst_and_rate(
            limit in 1u32..200,
            burst in 1u32..50,
            pauses in proptest::collection::vec(0u64..300, 1..300),
        ) {
            let window = Duration::from_micros(7);
            let quota = Quota::new(limit.try_into().unwrap(), window).unwrap();
            let quota = quota.with_burst(burst.try_into().unwrap());
            let (mut due, mut now) = (0, 0);
            let mut passed = Vec::new();
            for pause in pauses {
                now += pause;
                let (decision, next) = quota.take(due, now);
                due = next;
                if decision.allowed {
                    passed.push(now);
                }
            }
            for (at, from) in passed.iter().enumerate() {
                for (count, to) in passed[at..].iter().enumerate() {
                    let count = count as u64 + 1;
                    let most = u64::from(burst) + (to - from) * u64::from(limit) / 7_000;
                    prop_assert!(count <= most, "{count} in {} ns", to - from);
                }
            }
        }
    }
}

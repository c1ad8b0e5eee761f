//! A quota for each key, in a table that never grows.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::{Mutex, PoisonError};

use super::clock::{Clock, Monotonic};
use super::quota::{Decision, Quota};

/// One [`Quota`] for each of many keys. Shared by all workers.
///
/// The table has a fixed number of slots in small sets, each behind one of a few locks. A key is kept as a
/// 64-bit hash under a secret of this process, so that nobody outside can choose keys that meet
/// in one set, or two that share a slot.
///
/// A new key in a full set takes the slot of the key that owes least, which is the one that has
/// rested longest or spent least. So a flood of fresh addresses evicts itself and those who
/// lose next to nothing by it; a key that has spent its quota is the last to go. To free it, an
/// attacker must bring every other key of its set to the same debt, which takes seven times the
/// requests that this would win, on addresses that he cannot know to be in that set.
/// A newcomer under a flood is never refused for what others did.
pub struct Limiter<C = Monotonic> {
    quota: Quota,
    clock: C,
    hasher: RandomState,
    shards: Box<[Shard]>,
    /// One less than the number of sets in a shard, which is a power of two.
    mask: u64,
}

/// On a cache line of its own: two workers seldom want the same lock, and should not share a
/// line either.
#[repr(align(64))]
struct Shard(Mutex<Box<[Set]>>);

type Set = [Slot; WAYS];

#[derive(Clone, Copy, Default)]
struct Slot {
    key: u64,
    /// The quota's theoretical arrival time; 0 also marks a slot that is free.
    due: u64,
}

const WAYS: usize = 8;
const SHARDS: usize = 64;

impl Limiter<Monotonic> {
    /// Keys that a table holds by default: about one megabyte.
    pub const DEFAULT_CAPACITY: usize = 65_536;

    /// A limiter for [`DEFAULT_CAPACITY`](Self::DEFAULT_CAPACITY) keys.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        Self::with(quota, Self::DEFAULT_CAPACITY, Monotonic::default())
    }
}

impl<C: Clock> Limiter<C> {
    /// A limiter for at least `capacity` keys, rounded up to 512 times a power of two, by
    /// `clock`. A key takes 16 bytes, whether it is in use or not.
    #[must_use]
    pub fn with(quota: Quota, capacity: usize, clock: C) -> Self {
        let sets = capacity.div_ceil(SHARDS * WAYS).next_power_of_two();
        let shard = || {
            let sets = vec![[Slot::default(); WAYS]; sets];
            Shard(Mutex::new(sets.into_boxed_slice()))
        };
        Self {
            quota,
            clock,
            hasher: RandomState::new(),
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            mask: sets as u64 - 1,
        }
    }

    /// Judges a request by `key` now and, where it is allowed, charges it.
    pub fn take<K: Hash + ?Sized>(&self, key: &K) -> Decision {
        self.take_at(key, self.clock.now())
    }

    /// As [`take`](Self::take), at a `now` of this limiter's [clock](Self::clock).
    pub fn take_at<K: Hash + ?Sized>(&self, key: &K, now: u64) -> Decision {
        self.at(key, |set, key| {
            let slot = match set.iter().position(|slot| slot.key == key) {
                Some(at) => &mut set[at],
                None => {
                    let slot = least_indebted(set);
                    *slot = Slot { key, due: 0 };
                    slot
                }
            };
            let (decision, due) = self.quota.take(slot.due, now);
            slot.due = due;
            decision
        })
    }

    /// What [`take`](Self::take) would say, charging nothing: for a limit that is checked before
    /// the work and charged after it has failed.
    pub fn peek<K: Hash + ?Sized>(&self, key: &K) -> Decision {
        let now = self.clock.now();
        self.at(key, |set, key| {
            let slot = set.iter().find(|slot| slot.key == key);
            self.quota.peek(slot.map_or(0, |slot| slot.due), now)
        })
    }

    /// The quota of each key.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// How many keys fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        let sets = usize::try_from(self.mask + 1).unwrap_or(usize::MAX);
        SHARDS * WAYS * sets
    }

    /// The clock it goes by.
    #[must_use]
    pub const fn clock(&self) -> &C {
        &self.clock
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "both are masked below the length of a slice"
    )]
    fn at<K: Hash + ?Sized, T>(&self, key: &K, work: impl FnOnce(&mut Set, u64) -> T) -> T {
        let key = self.hasher.hash_one(key);
        let shard = &self.shards[key as usize % SHARDS];
        // A panic elsewhere leaves at worst one stale slot.
        let mut sets = shard.0.lock().unwrap_or_else(PoisonError::into_inner);
        let set = ((key >> SHARDS.trailing_zeros()) & self.mask) as usize;
        work(&mut sets[set], key)
    }
}

impl<C> fmt::Debug for Limiter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter")
            .field("quota", &self.quota)
            .finish_non_exhaustive()
    }
}

fn least_indebted(set: &mut Set) -> &mut Slot {
    let mut least = 0;
    for at in 1..WAYS {
        if set[at].due < set[least].due {
            least = at;
        }
    }
    &mut set[least]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::tests::Manual;
    use std::sync::Arc;

    const SECOND: u64 = 1_000_000_000;

    fn limiter(rate: &str, capacity: usize) -> (Limiter<Manual>, Manual) {
        let clock = Manual::default();
        let quota = rate.parse().unwrap();
        (Limiter::with(quota, capacity, clock.clone()), clock)
    }

    #[test]
    fn capacities() {
        for (asked, given) in [
            (0, 512),
            (1, 512),
            (512, 512),
            (513, 1024),
            (65_536, 65_536),
        ] {
            assert_eq!(limiter("1/s", asked).0.capacity(), given);
        }
    }

    // REQ: R-1
    #[test]
    fn keys_do_not_share() {
        let (limiter, clock) = limiter("2/min", 65_536);
        for key in 0..1000 {
            assert!(limiter.peek(&key).allowed, "{key}");
            assert_eq!(limiter.take(&key).remaining, 1, "{key}");
            assert!(limiter.take(&key).allowed, "{key}");
            assert!(!limiter.take(&key).allowed, "{key}");
            assert!(!limiter.peek(&key).allowed, "{key}");
        }
        clock.advance(30 * SECOND);
        assert!(limiter.peek(&7).allowed);
        assert!(limiter.take(&7).allowed);
        assert!(!limiter.take(&7).allowed);
    }

    // REQ: R-1
    #[test]
    fn a_flood_of_fresh_keys_does_not_unlock_a_limited_one() {
        let (limiter, clock) = limiter("10/min", 512);
        clock.advance(SECOND);
        while limiter.take("victim").allowed {}
        // Two hundred times what the table holds, each asking twice.
        for key in 0..100_000 {
            assert!(limiter.take(&key).allowed);
            assert!(limiter.take(&key).allowed);
            if key % 1000 == 0 {
                clock.advance(SECOND / 100);
            }
        }
        assert!(!limiter.take("victim").allowed);
    }

    // REQ: R-1
    #[test]
    fn the_table_never_grows_and_keeps_who_owes_most() {
        let mut set = [Slot::default(); WAYS];
        for (at, slot) in set.iter_mut().enumerate() {
            *slot = Slot {
                key: at as u64 + 1,
                due: 100 - at as u64,
            };
        }
        assert_eq!(least_indebted(&mut set).key, 8);
        set[3].due = 0;
        assert_eq!(least_indebted(&mut set).key, 4);

        let (limiter, _) = limiter("10/min", 1);
        for key in 0..10_000 {
            limiter.take(&key);
        }
        let shards = limiter.shards.iter();
        let slots: usize = shards
            .map(|shard| shard.0.lock().unwrap().len() * WAYS)
            .sum();
        assert_eq!(slots, 512);
    }

    // REQ: R-1
    #[test]
    fn workers_share_one_quota() {
        let limiter = Arc::new(Limiter::new("1000/h".parse().unwrap()));
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let limiter = Arc::clone(&limiter);
                std::thread::spawn(move || (0..500).filter(|_| limiter.take("k").allowed).count())
            })
            .collect();
        let passed: usize = workers.into_iter().map(|w| w.join().unwrap()).sum();
        // A slow machine may earn one or two back while it runs (one every 3.6 s).
        assert!((1000..1010).contains(&passed), "{passed}");
    }
}

//! Refusals by the thousand: the first are recorded one by one, the rest counted.
//!
//! Whoever is not authenticated can be refused as often as the network lets him. A record for
//! each would let a stranger fill the disk, so past a bound per address and reason one line a
//! minute says how many there were (row L-1).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::rejection::Reason;

/// Refusals of one address and reason that are recorded one by one in a [`WINDOW`].
const SINGLE: u32 = 100;

/// After this the count is written, and the next refusals are recorded one by one again.
const WINDOW: Duration = Duration::from_secs(60);

/// Pairs of address and reason that are told apart; beyond it, refusals are counted by reason.
const MAX_PAIRS: usize = 1024;

/// Counts refusals; one for all workers.
#[derive(Debug, Default)]
pub struct Aggregate {
    pairs: Mutex<HashMap<(Option<IpAddr>, Reason), Pair>>,
}

#[derive(Debug)]
struct Pair {
    since: Instant,
    seen: u32,
    /// Not recorded one by one.
    counted: u64,
}

/// How many refusals were only counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The address (IPv6: the first of its /64); `None` where too many were at it.
    pub peer: Option<IpAddr>,
    /// Why they were refused.
    pub reason: Reason,
    /// How many.
    pub count: u64,
}

impl Aggregate {
    /// Whether this refusal is to be recorded by itself.
    pub fn is_single(&self, peer: Option<IpAddr>, reason: Reason, now: Instant) -> bool {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (peer.map(network), reason);
        if pairs.len() >= MAX_PAIRS && !pairs.contains_key(&key) {
            key.0 = None;
        }
        let pair = pairs.entry(key).or_insert(Pair {
            since: now,
            seen: 0,
            counted: 0,
        });
        pair.seen = pair.seen.saturating_add(1);
        // What is only counted by reason stands for strangers without number.
        let single = pair.seen <= SINGLE && (key.0.is_some() || peer.is_none());
        pair.counted += u64::from(!single);
        single
    }

    /// What is due to be written: windows that have passed, or `all` of them.
    pub fn due(&self, now: Instant, all: bool) -> Vec<Summary> {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        pairs.retain(|(peer, reason), pair| {
            let keep = !all && now.saturating_duration_since(pair.since) < WINDOW;
            if !keep && pair.counted > 0 {
                due.push(Summary {
                    peer: *peer,
                    reason: *reason,
                    count: pair.counted,
                });
            }
            keep
        });
        due
    }
}

/// One customer's addresses: an IPv6 /64, or one IPv4 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(n.into()))
    }

    // REQ: L-1
    #[test]
    fn past_the_bound_refusals_are_counted() {
        let aggregate = Aggregate::default();
        let begun = Instant::now();
        for n in 0..SINGLE {
            assert!(
                aggregate.is_single(peer(1), Reason::HostNotAllowed, begun),
                "{n}"
            );
        }
        for _ in 0..5 {
            assert!(!aggregate.is_single(peer(1), Reason::HostNotAllowed, begun));
        }
        assert!(aggregate.is_single(peer(2), Reason::HostNotAllowed, begun));
        assert!(aggregate.is_single(peer(1), Reason::OriginNotAllowed, begun));

        assert_eq!(aggregate.due(begun + WINDOW / 2, false), []);
        let expected = Summary {
            peer: peer(1),
            reason: Reason::HostNotAllowed,
            count: 5,
        };
        assert_eq!(aggregate.due(begun + WINDOW, false), [expected]);
        assert_eq!(aggregate.due(begun + WINDOW, true), []);
        assert!(aggregate.is_single(peer(1), Reason::HostNotAllowed, begun + WINDOW));
    }

    #[test]
    fn strangers_without_number_are_counted_together() {
        let aggregate = Aggregate::default();
        let begun = Instant::now();
        let most = u32::try_from(MAX_PAIRS).unwrap();
        for n in 0..most + 1000 {
            let single = aggregate.is_single(peer(n), Reason::HostNotAllowed, begun);
            assert_eq!(single, n < most, "{n}");
        }
        let expected = Summary {
            peer: None,
            reason: Reason::HostNotAllowed,
            count: 1000,
        };
        assert_eq!(aggregate.due(begun, true), [expected]);
    }

    #[test]
    fn a_64_is_one_customer() {
        let aggregate = Aggregate::default();
        let now = Instant::now();
        for n in 0..SINGLE + 1 {
            let address = format!("2001:db8:0:1::{n:x}").parse().ok();
            assert_eq!(
                aggregate.is_single(address, Reason::HostMissing, now),
                n < SINGLE
            );
        }
    }
}

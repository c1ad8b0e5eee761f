//! Refusals by the thousand: the first are recorded one by one, the rest counted.
//!
//! Whoever is not authenticated can be refused as often as the network lets him. A record for
//! each would let a stranger fill the disk, so past a bound per address and reason one line a
//! minute says how many there were (row L-1).
//!
//! Connections that never became a request, such as handshakes that fail, cost their client even
//! less: they are only ever counted, in a table of their own, so that they take no refused request
//! its place.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::rejection::{Reason, bounded};

/// Refusals of one address and reason that are recorded one by one in a [`WINDOW`].
const SINGLE: u32 = 100;

/// After this the count is written, and the next refusals are recorded one by one again.
const WINDOW: Duration = Duration::from_secs(60);

/// Pairs of address and reason that are told apart; beyond it, refusals are counted by reason.
const MAX_PAIRS: usize = 1024;

/// Longest cause of a refused connection that is kept, in bytes.
const MAX_CAUSE: usize = 300;

/// Counts refusals; one for all workers.
#[derive(Debug, Default)]
pub struct Aggregate {
    requests: Mutex<Table>,
    connections: Mutex<Table>,
}

type Key = (Option<IpAddr>, Reason);
type Table = HashMap<Key, Pair>;

#[derive(Debug)]
struct Pair {
    since: Instant,
    seen: u32,
    /// Not recorded one by one.
    counted: u64,
    /// Of the first connection.
    cause: Option<Box<str>>,
}

/// How many refusals were only counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The address (IPv6: the first of its /64); `None` where too many were at it.
    pub peer: Option<IpAddr>,
    /// Why they were refused.
    pub reason: Reason,
    /// How many.
    pub count: u64,
    /// What was found with the first of them, where they were connections; 300 bytes at most.
    pub cause: Option<Box<str>>,
}

impl Aggregate {
    /// Whether this refusal is to be recorded by itself.
    pub fn is_single(&self, peer: Option<IpAddr>, reason: Reason, now: Instant) -> bool {
        let mut table = lock(&self.requests);
        let (key, pair) = pair(&mut table, peer, reason, now);
        pair.seen = pair.seen.saturating_add(1);
        // What is only counted by reason stands for strangers without number.
        let single = pair.seen <= SINGLE && (key.0.is_some() || peer.is_none());
        pair.counted += u64::from(!single);
        single
    }

    /// Counts a connection that was refused before it could carry a request. `cause` is written
    /// out for the first of its address and reason alone.
    pub fn count(&self, peer: IpAddr, reason: Reason, cause: impl Display, now: Instant) {
        let mut table = lock(&self.connections);
        let (_key, pair) = pair(&mut table, Some(peer), reason, now);
        pair.counted += 1;
        if pair.cause.is_none() {
            pair.cause = Some(bounded(cause, MAX_CAUSE).into());
        }
    }

    /// What is due to be written: windows that have passed, or `all` of them.
    pub fn due(&self, now: Instant, all: bool) -> Vec<Summary> {
        let mut due = Vec::new();
        for table in [&self.requests, &self.connections] {
            lock(table).retain(|(peer, reason), pair| {
                let keep = !all && now.saturating_duration_since(pair.since) < WINDOW;
                if !keep && pair.counted > 0 {
                    due.push(Summary {
                        peer: *peer,
                        reason: *reason,
                        count: pair.counted,
                        cause: pair.cause.take(),
                    });
                }
                keep
            });
        }
        due
    }
}

/// The pair that stands for `peer` and `reason`, which may be that of all strangers.
fn pair(table: &mut Table, peer: Option<IpAddr>, reason: Reason, now: Instant) -> (Key, &mut Pair) {
    let mut key = (peer.map(network), reason);
    if table.len() >= MAX_PAIRS && !table.contains_key(&key) {
        key.0 = None;
    }
    let pair = table.entry(key).or_insert(Pair {
        since: now,
        seen: 0,
        counted: 0,
        cause: None,
    });
    (key, pair)
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    // Counts are sound after a panic, too.
    table.lock().unwrap_or_else(PoisonError::into_inner)
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
            cause: None,
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
            cause: None,
        };
        assert_eq!(aggregate.due(begun, true), [expected]);
    }

    // REQ: L-1
    #[test]
    fn connections_are_only_counted_and_take_no_request_its_place() {
        let aggregate = Aggregate::default();
        let begun = Instant::now();
        let most = u32::try_from(MAX_PAIRS).unwrap();
        let handshake = Reason::ConnectionHandshake;
        for n in 0..most + 500 {
            for cause in ["first", "second"] {
                aggregate.count(peer(n).unwrap(), handshake, cause, begun);
            }
        }
        let over_cap = Reason::ConnectionOverCap;
        aggregate.count(peer(0).unwrap(), over_cap, "é".repeat(MAX_CAUSE), begun);
        assert!(aggregate.is_single(peer(1), Reason::HostNotAllowed, begun));
        assert_eq!(aggregate.due(begun + WINDOW / 2, false), []);

        let mut due = aggregate.due(begun + WINDOW, false);
        due.sort_by_key(|summary| (summary.reason.code(), summary.peer));
        let summary = |peer, count| Summary {
            peer,
            reason: handshake,
            count,
            cause: Some("first".into()),
        };
        assert_eq!(due.len(), MAX_PAIRS + 2);
        assert_eq!(due[0], summary(None, 1000));
        assert_eq!(due[1], summary(peer(0), 2));
        let last = due.last().unwrap();
        // Found no place of its own any more.
        assert_eq!((last.reason, last.peer, last.count), (over_cap, None, 1));
        let kept = last.cause.as_ref().unwrap().len();
        assert_eq!(kept, MAX_CAUSE);
        assert_eq!(aggregate.due(begun + WINDOW, true), []);
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

//! Refusals of commands by the thousand: the first are recorded one by one, the rest counted.
//!
//! A command that is refused has lost nothing, and may try again at once: connections, names,
//! requests to the proxy. A record for each would let it fill the disk, so past a bound for each
//! server and reason one line a minute says how many there were (row L-1). What is counted never
//! left this machine: connections that are opened are each recorded, and paced by the proxy.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use palisade_egress::Reason;

use crate::upstream::stdio::CallNote;

/// After this the count is written, and the next refusals are recorded one by one again.
const WINDOW: Duration = Duration::from_secs(60);

/// Refusals of one server for one reason that are recorded one by one in a [`WINDOW`].
const SINGLE: u32 = 100;

/// Refusals of one server that are recorded one by one in a [`WINDOW`], whatever the reasons.
const SINGLE_OF_SERVER: u32 = 300;

/// So many of each reason are recorded one by one in any case, so that those for many dull reasons
/// hide none for another.
const SINGLE_AT_LEAST: u32 = 10;

/// Destinations that are told apart in one count.
pub(super) const MOST_DESTINATIONS: usize = 1024;

/// Calls that are named in one count.
const MOST_CALLS: usize = 16;

/// Counts refusals. There are as many servers in it as the configuration names, and as many reasons
/// for each as there are, so it needs no bound of its own.
#[derive(Debug, Default)]
pub(super) struct Sums {
    servers: Mutex<HashMap<Box<str>, Server>>,
    /// With keys of its own, so that nobody can find destinations that fall together.
    hasher: RandomState,
}

#[derive(Debug)]
struct Server {
    since: Instant,
    single: u32,
    reasons: HashMap<Reason, Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    single: u32,
    rest: Option<Rest>,
}

#[derive(Debug)]
struct Rest {
    count: u64,
    first: SystemTime,
    last: SystemTime,
    destinations: HashSet<u64>,
    calls: Vec<CallNote>,
    other_calls: bool,
}

/// A refusal, as far as it is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused<'a> {
    pub(super) server: &'a str,
    pub(super) reason: Reason,
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) at: SystemTime,
}

/// How many refusals of one server for one reason were only counted.
#[derive(Debug)]
pub(super) struct Sum {
    pub(super) server: Box<str>,
    pub(super) reason: Reason,
    pub(super) count: u64,
    pub(super) first: SystemTime,
    pub(super) last: SystemTime,
    /// How many destinations, up to [`MOST_DESTINATIONS`].
    pub(super) destinations: u64,
    /// The calls that were under way, the first 16.
    pub(super) calls: Vec<CallNote>,
    /// Whether there were others, or refusals while none was under way.
    pub(super) other_calls: bool,
}

impl Sums {
    /// Whether this refusal is to be recorded by itself. Where not it is counted, with the `calls`
    /// that are under way.
    pub(super) fn is_single(
        &self,
        refused: &Refused<'_>,
        calls: impl FnOnce() -> Vec<CallNote>,
        now: Instant,
    ) -> bool {
        let mut servers = self.lock();
        if !servers.contains_key(refused.server) {
            let new = Server {
                since: now,
                single: 0,
                reasons: HashMap::new(),
            };
            servers.insert(refused.server.into(), new);
        }
        let Some(server) = servers.get_mut(refused.server) else {
            return true;
        };
        let counted = server.reasons.entry(refused.reason).or_default();
        let bound = if server.single < SINGLE_OF_SERVER {
            SINGLE
        } else {
            SINGLE_AT_LEAST
        };
        if counted.single < bound {
            counted.single += 1;
            server.single += 1;
            return true;
        }
        let rest = counted.rest.get_or_insert_with(|| Rest {
            count: 0,
            first: refused.at,
            last: refused.at,
            destinations: HashSet::new(),
            calls: Vec::new(),
            other_calls: false,
        });
        rest.count += 1;
        rest.first = rest.first.min(refused.at);
        rest.last = rest.last.max(refused.at);
        if rest.destinations.len() < MOST_DESTINATIONS {
            let destination = self.hasher.hash_one((refused.host, refused.port));
            rest.destinations.insert(destination);
        }
        rest.during(calls());
        false
    }

    /// What is due to be written: windows that have passed, or `all` of them.
    pub(super) fn due(&self, now: Instant, all: bool) -> Vec<Sum> {
        let mut due = Vec::new();
        self.lock().retain(|name, server| {
            let keep = !all && now.saturating_duration_since(server.since) < WINDOW;
            if !keep {
                let counted = server.reasons.drain();
                due.extend(counted.filter_map(|(reason, counted)| {
                    let rest = counted.rest?;
                    Some(Sum {
                        server: name.clone(),
                        reason,
                        count: rest.count,
                        first: rest.first,
                        last: rest.last,
                        destinations: u64::try_from(rest.destinations.len()).unwrap_or(u64::MAX),
                        calls: rest.calls,
                        other_calls: rest.other_calls,
                    })
                }));
            }
            keep
        });
        due
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Server>> {
        // Counts are sound after a panic, too.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rest {
    fn during(&mut self, calls: Vec<CallNote>) {
        self.other_calls |= calls.is_empty();
        for call in calls {
            let known = self.calls.iter().any(|known| known.request == call.request);
            match known {
                true => {}
                false if self.calls.len() < MOST_CALLS => self.calls.push(call),
                false => self.other_calls = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use palisade::RequestId;

    use super::*;

    fn refused<'a>(server: &'a str, reason: Reason, host: &'a str, at: u64) -> Refused<'a> {
        Refused {
            server,
            reason,
            host,
            port: 80,
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(at),
        }
    }

    fn call() -> CallNote {
        CallNote {
            request: RequestId::next(),
            peer: None,
            session: None,
            method: None,
            tool: None,
            trace_id: None,
        }
    }

    const PRIVATE: Reason = Reason::AddressPrivate;

    // REQ: L-1
    #[test]
    fn past_the_bound_refusals_are_counted() {
        let (sums, begun) = (Sums::default(), Instant::now());
        let note = call();
        let try_at = |n: u32, now| {
            let host = format!("10.0.{}.{}", n / 256, n % 256);
            let refused = refused("web", PRIVATE, &host, n.into());
            sums.is_single(&refused, || vec![note.clone()], now)
        };
        for n in 0..5000 {
            assert_eq!(try_at(n, begun), n < SINGLE, "{n}");
        }
        // Another server and another reason have their own.
        assert!(sums.is_single(&refused("mail", PRIVATE, "10.0.0.1", 0), Vec::new, begun));
        let own = refused("web", Reason::AddressLoopback, "::1", 0);
        assert!(sums.is_single(&own, Vec::new, begun));

        let just_before = begun + WINDOW - Duration::from_millis(1);
        assert!(sums.due(just_before, false).is_empty());
        let due = sums.due(begun + WINDOW, false);
        let [sum] = &due[..] else {
            panic!("{due:?}");
        };
        let second = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.expect("after 1970").as_secs()
        };
        assert_eq!(
            (&*sum.server, sum.reason, sum.count),
            ("web", PRIVATE, 4900)
        );
        assert_eq!((second(sum.first), second(sum.last)), (100, 4999));
        assert_eq!(sum.destinations, 1024);
        assert_eq!(sum.calls.len(), 1);
        assert_eq!(sum.calls[0].request, note.request);
        assert!(!sum.other_calls);
        // Told once; and then one by one again.
        assert!(sums.due(begun + WINDOW, true).is_empty());
        assert!(try_at(0, begun + WINDOW));
    }

    // REQ: L-1
    #[test]
    fn many_reasons_fill_no_log_and_hide_none() {
        let (sums, now) = (Sums::default(), Instant::now());
        let mut single = 0;
        for reason in Reason::ALL {
            for n in 0..1000 {
                let host = format!("{n}.example");
                let refused = refused("web", *reason, &host, 0);
                let is_single = sums.is_single(&refused, Vec::new, now);
                assert!(is_single || n >= SINGLE_AT_LEAST, "{reason:?}");
                single += usize::from(is_single);
            }
        }
        let reasons = Reason::ALL.len();
        assert!(single <= 300 + 10 * reasons, "{single}");
        let due = sums.due(now, true);
        assert_eq!(due.len(), reasons);
        let counted: u64 = due.iter().map(|sum| sum.count).sum();
        assert_eq!(counted + single as u64, 1000 * reasons as u64);
        assert!(
            due.iter()
                .all(|sum| sum.other_calls && sum.calls.is_empty())
        );
    }

    #[test]
    fn destinations_and_calls_are_told_apart_up_to_a_bound() {
        let (sums, now) = (Sums::default(), Instant::now());
        let same = refused("web", PRIVATE, "10.0.0.1", 0);
        for _ in 0..SINGLE {
            sums.is_single(&same, Vec::new, now);
        }
        let calls: Vec<_> = (0..20).map(|_| call()).collect();
        for call in calls.iter().chain(&calls) {
            sums.is_single(&same, || vec![call.clone()], now);
        }
        let other_port = Refused { port: 443, ..same };
        sums.is_single(&other_port, || vec![calls[0].clone()], now);
        let due = sums.due(now, true);
        let [sum] = &due[..] else {
            panic!("{due:?}");
        };
        assert_eq!((sum.count, sum.destinations), (41, 2));
        let named: Vec<_> = sum.calls.iter().map(|call| call.request).collect();
        let first: Vec<_> = calls[..16].iter().map(|call| call.request).collect();
        assert_eq!(named, first);
        assert!(sum.other_calls);
    }
}

//! Caps on connections: in all, and for each client address.
//!
//! One [`ConnectionLimits`] is shared by all workers. A connection holds a [`ConnectionPermit`] from
//! accept to close; dropping it gives the place back. The table of addresses never holds more entries
//! than there are connections, so the cap in all bounds it too.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

/// The caps.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionCaps {
    /// Connections at once, whatever their address. Default: 10,000.
    pub total: u32,
    /// Connections at once from one address, where an IPv6 address stands for its /64, which is what
    /// one customer usually holds. Default: 256.
    pub per_address: u32,
    /// Addresses that `per_address` does not concern, since many clients stand behind them: proxies
    /// that are trusted. Default: the loopback addresses.
    pub exempt: Vec<IpNet>,
}

impl Default for ConnectionCaps {
    fn default() -> Self {
        let loopback_v4 = IpNet::new_assert(IpAddr::from([127, 0, 0, 0]), 8);
        let loopback_v6 = IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128);
        Self {
            total: 10_000,
            per_address: 256,
            exempt: vec![loopback_v4, loopback_v6],
        }
    }
}

/// Counts connections against [`ConnectionCaps`]. Clones count together.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    shared: Arc<Shared>,
}

impl ConnectionLimits {
    /// Starts with no connection counted.
    #[must_use]
    pub fn new(caps: ConnectionCaps) -> Self {
        Self {
            shared: Arc::new(Shared {
                caps,
                open: AtomicU32::new(0),
                hasher: RandomState::new(),
                shards: std::array::from_fn(|_| Mutex::default()),
            }),
        }
    }

    /// Takes a place for a connection from `peer`.
    ///
    /// # Errors
    ///
    /// [`OverCap`] says which cap is reached. Close the connection without a word: an answer would
    /// cost more than the connection may.
    pub fn admit(&self, peer: IpAddr) -> Result<ConnectionPermit, OverCap> {
        let mut permit = self.admit_unattributed()?;
        permit.attribute(peer)?;
        Ok(permit)
    }

    /// Takes a place for a connection whose client is not known yet, such as one on which a PROXY
    /// protocol header is due. It counts in all; [`ConnectionPermit::attribute`] adds the address.
    ///
    /// # Errors
    ///
    /// [`OverCap::Total`].
    pub fn admit_unattributed(&self) -> Result<ConnectionPermit, OverCap> {
        let total = self.shared.caps.total;
        self.shared
            .open
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |open| {
                (open < total).then_some(open + 1)
            })
            .map_err(|_open| OverCap::Total)?;
        Ok(ConnectionPermit {
            shared: Arc::clone(&self.shared),
            key: None,
        })
    }

    /// How many connections are open.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.shared.open.load(Ordering::Relaxed)
    }
}

/// A connection's place. Dropping it gives the place back.
#[derive(Debug)]
#[must_use = "dropping the permit gives the place back"]
pub struct ConnectionPermit {
    shared: Arc<Shared>,
    key: Option<Key>,
}

impl ConnectionPermit {
    /// Counts the connection for `peer`, in place of the address it was counted for before.
    ///
    /// # Errors
    ///
    /// [`OverCap::Address`]; the connection is then counted for no address.
    pub fn attribute(&mut self, peer: IpAddr) -> Result<(), OverCap> {
        self.release_key();
        let peer = peer.to_canonical();
        if self
            .shared
            .caps
            .exempt
            .iter()
            .any(|net| net.contains(&peer))
        {
            return Ok(());
        }
        let key = Key::of(peer);
        self.shared.count(key)?;
        self.key = Some(key);
        Ok(())
    }

    fn release_key(&mut self) {
        if let Some(key) = self.key.take() {
            self.shared.uncount(key);
        }
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.release_key();
        self.shared.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A cap is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverCap {
    /// [`ConnectionCaps::per_address`].
    #[error("too many connections from this address")]
    Address,
    /// [`ConnectionCaps::total`].
    #[error("too many connections")]
    Total,
}

const SHARDS: usize = 16;

#[derive(Debug)]
struct Shared {
    caps: ConnectionCaps,
    open: AtomicU32,
    /// Seeded at random, as the tables are: who picks addresses cannot pick the shard.
    hasher: RandomState,
    shards: [Mutex<HashMap<Key, NonZeroU32>>; SHARDS],
}

impl Shared {
    fn count(&self, key: Key) -> Result<(), OverCap> {
        if self.caps.per_address == 0 {
            return Err(OverCap::Address);
        }
        match self.shard(key).entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(NonZeroU32::MIN);
            }
            Entry::Occupied(occupied) if occupied.get().get() >= self.caps.per_address => {
                return Err(OverCap::Address);
            }
            Entry::Occupied(mut occupied) => {
                let count = occupied.get().saturating_add(1);
                occupied.insert(count);
            }
        }
        Ok(())
    }

    fn uncount(&self, key: Key) {
        if let Entry::Occupied(mut occupied) = self.shard(key).entry(key) {
            match NonZeroU32::new(occupied.get().get() - 1) {
                Some(rest) => {
                    occupied.insert(rest);
                }
                None => {
                    occupied.remove();
                }
            }
        }
    }

    fn shard(&self, key: Key) -> MutexGuard<'_, HashMap<Key, NonZeroU32>> {
        let hash = self.hasher.hash_one(key);
        let index = usize::try_from(hash % SHARDS as u64).unwrap_or_default();
        // Nothing under the lock can panic; a poisoned table would still be sound.
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// What connections are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    V4(u32),
    /// The upper half of the address.
    V6(u64),
}

impl Key {
    fn of(peer: IpAddr) -> Self {
        match peer.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(total: u32, per_address: u32) -> ConnectionLimits {
        ConnectionLimits::new(ConnectionCaps {
            total,
            per_address,
            ..ConnectionCaps::default()
        })
    }

    fn entries(limits: &ConnectionLimits) -> usize {
        let shards = limits.shared.shards.iter();
        shards.map(|shard| shard.lock().unwrap().len()).sum()
    }

    // REQ: R-3
    #[test]
    fn an_address_gets_its_share_and_no_more() {
        for (first, second, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            // The bits of one family are not those of another.
            ("0.0.0.1", "0:0:0:1::", false),
        ] {
            let limits = limits(10, 1);
            let permit = limits.admit(first.parse().unwrap()).unwrap();
            let other = limits.admit(second.parse().unwrap());
            assert_eq!(
                other.as_ref().err(),
                same.then_some(&OverCap::Address),
                "{second}"
            );
            // A refusal counts nowhere.
            assert_eq!(limits.open(), if same { 1 } else { 2 });
            drop((permit, other));
            assert_eq!((limits.open(), entries(&limits)), (0, 0));
            let _again = limits.admit(second.parse().unwrap()).unwrap();
        }
    }

    // REQ: R-3
    #[test]
    fn the_total_holds_for_all_even_those_without_a_share() {
        let limits = limits(2, 1);
        let loopback: IpAddr = "127.0.0.1".parse().unwrap();
        let first = limits.admit(loopback).unwrap();
        let _second = limits.admit(loopback).unwrap();
        assert_eq!(limits.admit(loopback).unwrap_err(), OverCap::Total);
        assert_eq!(
            limits.admit("192.0.2.1".parse().unwrap()).unwrap_err(),
            OverCap::Total
        );
        assert_eq!(limits.admit_unattributed().unwrap_err(), OverCap::Total);
        drop(first);
        let _third = limits.admit("192.0.2.1".parse().unwrap()).unwrap();
    }

    #[test]
    fn a_connection_behind_a_proxy_moves_to_its_client() {
        let limits = limits(10, 1);
        let (a, b) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let mut proxied = limits.admit_unattributed().unwrap();
        proxied.attribute(a).unwrap();
        assert_eq!(limits.admit(a).unwrap_err(), OverCap::Address);
        proxied.attribute(b).unwrap();
        let _a = limits.admit(a).unwrap();
        assert_eq!(proxied.attribute(a).unwrap_err(), OverCap::Address);
        let _b = limits.admit(b).unwrap();
        drop(proxied);
        assert_eq!((limits.open(), entries(&limits)), (2, 2));
    }

    #[test]
    fn workers_count_together() {
        let limits = limits(64, 8);
        let admitted: u32 = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..8)
                .map(|_| {
                    let limits = limits.clone();
                    scope.spawn(move || {
                        let peers = (0..200u32).map(|n| IpAddr::from([192, 0, 2, (n % 4) as u8]));
                        let permits: Vec<_> =
                            peers.filter_map(|peer| limits.admit(peer).ok()).collect();
                        // Held until all workers are through, or the counts would come back.
                        (permits.len() as u32, permits)
                    })
                })
                .collect();
            let held: Vec<_> = workers
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .collect();
            held.iter().map(|(count, _permits)| count).sum()
        });
        assert_eq!(admitted, 4 * 8);
        assert_eq!((limits.open(), entries(&limits)), (0, 0));
    }
}

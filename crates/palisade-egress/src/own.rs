//! The addresses of this machine's own interfaces.
//!
//! A service that listens on all interfaces answers at each of them, also at a public one; so to
//! reach an own address is to reach what stands behind the wall.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::address::canonical;

/// After this time the interfaces are read again.
const MAX_AGE: Duration = Duration::from_secs(30);

/// A shared set of this machine's addresses.
#[derive(Clone, Debug)]
pub struct OwnAddresses(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    fixed: bool,
    known: RwLock<Known>,
}

#[derive(Debug)]
struct Known {
    addresses: HashSet<IpAddr>,
    read: Instant,
}

impl OwnAddresses {
    /// The addresses of this machine's interfaces, read now and again when they are older than
    /// 30 seconds.
    ///
    /// # Errors
    /// The interfaces cannot be listed.
    pub fn of_this_machine() -> std::io::Result<Self> {
        Ok(Self::with(interfaces()?, false))
    }

    /// Exactly these addresses.
    #[must_use]
    pub fn fixed(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self::with(addresses.into_iter().map(canonical).collect(), true)
    }

    fn with(addresses: HashSet<IpAddr>, fixed: bool) -> Self {
        let read = Instant::now();
        let known = RwLock::new(Known { addresses, read });
        Self(Arc::new(Inner { fixed, known }))
    }

    /// Whether `address`, in its canonical form, is one of this machine's.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        known.addresses.contains(&address)
    }

    /// Reads the interfaces again where what is known is older than 30 seconds. Where they cannot
    /// be read, what was known stays.
    pub fn refresh(&self) {
        if self.0.fixed {
            return;
        }
        {
            let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
            if known.read.elapsed() < MAX_AGE {
                return;
            }
        }
        let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.read.elapsed() >= MAX_AGE {
            known.read = Instant::now();
            if let Ok(addresses) = interfaces() {
                known.addresses = addresses;
            }
        }
    }
}

fn interfaces() -> std::io::Result<HashSet<IpAddr>> {
    let addresses = nix::ifaddrs::getifaddrs()?.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    });
    Ok(addresses.map(canonical).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_an_address_of_this_machine() {
        let own = OwnAddresses::of_this_machine().expect("interfaces can be listed");
        assert!(own.contains("127.0.0.1".parse().expect("an address")));
        assert!(!own.contains("192.0.2.77".parse().expect("an address")));
    }

    #[test]
    fn old_knowledge_is_renewed_and_fixed_is_kept() {
        let old = Instant::now()
            .checked_sub(MAX_AGE)
            .expect("the machine runs for longer");
        let loopback = "127.0.0.1".parse().expect("an address");
        for (fixed, age, found) in [
            (false, old, true),
            (true, old, false),
            (false, Instant::now(), false),
        ] {
            let known = RwLock::new(Known {
                addresses: HashSet::new(),
                read: age,
            });
            let own = OwnAddresses(Arc::new(Inner { fixed, known }));
            own.refresh();
            assert_eq!(own.contains(loopback), found, "fixed {fixed}");
        }
    }

    #[test]
    fn mapped_addresses_are_kept_as_ipv4() {
        let own = OwnAddresses::fixed(["::ffff:198.51.100.7".parse().expect("an address")]);
        assert!(own.contains("198.51.100.7".parse().expect("an address")));
    }
}

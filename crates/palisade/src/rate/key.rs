//! Whose quota a request spends.

use std::hash::Hash;
use std::net::IpAddr;

use http::Method;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::request::Parts;

use crate::exchange::{Connection, Exchange};

/// Says whose quota a request spends.
pub trait RateKey: Send + Sync + 'static {
    /// Requests with equal values share a quota.
    type Value: Hash;

    /// Whose quota `head` spends; `None` where this limit is none of its business.
    fn of(&self, head: &Parts) -> Option<Self::Value>;
}

/// By the client's address: an IPv4 address (also one mapped into IPv6), or an IPv6 network,
/// by default the /64 that one customer usually has whole.
///
/// Requests whose peer is unknown share one quota: a server that forgets to put a
/// [`Connection`] into the request's extensions is limited too strictly, not at all too loosely.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    v6_prefix: u8,
}

impl Peer {
    /// IPv6 by networks of `prefix` bits, from 1 to 64; other numbers are taken as the nearest.
    /// A second guard with 48 bits and a larger quota bounds who has many /64.
    #[must_use]
    pub fn with_v6_prefix(prefix: u8) -> Self {
        Self {
            v6_prefix: prefix.clamp(1, 64),
        }
    }
}

impl Default for Peer {
    fn default() -> Self {
        Self { v6_prefix: 64 }
    }
}

/// The value of [`Peer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerKey(u64);

impl PeerKey {
    /// Inside 100::/64, the discard prefix (RFC 6666): no peer has it.
    const UNKNOWN: Self = Self(0x0100_0000_0000_0000);

    fn new(address: IpAddr, v6_prefix: u8) -> Self {
        match address.to_canonical() {
            // Beside ::/64, in which no peer lives either.
            IpAddr::V4(v4) => Self(u64::from(v4.to_bits())),
            #[allow(
                clippy::cast_possible_truncation,
                reason = "the upper half of 128 bits"
            )]
            IpAddr::V6(v6) => {
                let network = (v6.to_bits() >> 64) as u64;
                let kept = u64::MAX << (64 - v6_prefix);
                // ::1 and its kin are one network, told from 0.0.0.0.
                Self(if network == 0 {
                    u64::MAX
                } else {
                    network & kept
                })
            }
        }
    }
}

impl RateKey for Peer {
    type Value = PeerKey;

    fn of(&self, head: &Parts) -> Option<PeerKey> {
        let extensions = &head.extensions;
        let peer = match extensions.get::<Exchange>() {
            Some(exchange) => exchange.connection().peer_ip(),
            None => extensions.get::<Connection>().and_then(Connection::peer_ip),
        };
        Some(peer.map_or(PeerKey::UNKNOWN, |peer| PeerKey::new(peer, self.v6_prefix)))
    }
}

/// By the caller, once proven; who is not known has no such quota.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByCaller;

impl RateKey for ByCaller {
    type Value = crate::auth::Mark;

    fn of(&self, head: &Parts) -> Option<crate::auth::Mark> {
        let exchange = head.extensions.get::<Exchange>()?;
        let facts = exchange.facts();
        facts.caller.as_deref().map(|caller| *caller.mark())
    }
}

/// Only CORS preflights, by another key: they have a quota of their own, which stands outside
/// the layer that answers them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Preflights<K = Peer>(pub K);

impl<K: RateKey> RateKey for Preflights<K> {
    type Value = K::Value;

    fn of(&self, head: &Parts) -> Option<K::Value> {
        let preflight = head.method == Method::OPTIONS
            && head.headers.contains_key(ORIGIN)
            && head.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        preflight.then(|| self.0.of(head)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn key(address: &str, prefix: u8) -> PeerKey {
        PeerKey::new(address.parse().unwrap(), prefix)
    }

    // REQ: R-1
    #[test]
    fn which_addresses_share_a_quota() {
        for (one, other, prefix, shared) in [
            ("192.0.2.1", "192.0.2.1", 64, true),
            ("192.0.2.1", "::ffff:192.0.2.1", 64, true),
            ("192.0.2.1", "192.0.2.2", 64, false),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", 64, false),
            ("2001:db8::1", "2001:db8::ffff:1", 64, true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", 64, false),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", 56, true),
            ("2001:db8:0:1::1", "2001:db8:0:ff::1", 56, true),
            ("2001:db8:0:1::1", "2001:db8:0:100::1", 56, false),
            ("2001:db8:0:1::1", "2001:db8:0:100::1", 48, true),
            ("2001:db8:1::1", "2001:db8:2::1", 48, false),
            ("::1", "0.0.0.0", 64, false),
            ("::1", "0.0.0.1", 64, false),
        ] {
            assert_eq!(
                key(one, prefix) == key(other, prefix),
                shared,
                "{one} {other}"
            );
        }
        assert_eq!(Peer::with_v6_prefix(0).v6_prefix, 1);
        assert_eq!(Peer::with_v6_prefix(128).v6_prefix, 64);
    }

    #[test]
    fn unknown_peers_share_one_quota_and_preflights_are_told_apart() {
        let head = |method: &str, names: &[&'static str]| {
            let mut request = Request::builder().method(method);
            for name in names {
                request = request.header(*name, "x");
            }
            request.body(()).unwrap().into_parts().0
        };
        let get = head("GET", &[]);
        assert_eq!(Peer::default().of(&get), Some(PeerKey::UNKNOWN));
        for (method, names, preflight) in [
            (
                "OPTIONS",
                &["origin", "access-control-request-method"][..],
                true,
            ),
            ("OPTIONS", &["origin"], false),
            ("OPTIONS", &["access-control-request-method"], false),
            ("POST", &["origin", "access-control-request-method"], false),
        ] {
            let key = Preflights::<Peer>::default().of(&head(method, names));
            assert_eq!(key.is_some(), preflight, "{method} {names:?}");
        }
    }
}

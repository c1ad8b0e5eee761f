//! Socket addresses as a child writes them: hostile bytes, read once.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::canonical;

/// The longest that any family has: `struct sockaddr_storage`.
pub(super) const LONGEST: usize = 128;

/// Where a child wants to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// In canonical form: IPv4-mapped IPv6 is IPv4.
    Internet(SocketAddr),
    /// A path, without the zero that ends it.
    Path(Vec<u8>),
    /// A name in the abstract space, without the zero it begins with, or none at all.
    Abstract(Vec<u8>),
    /// The kernel's own tables, and no groups of news from it.
    Netlink,
    /// `AF_UNSPEC`, which takes a connection away.
    Nothing,
    /// Another family, or too few bytes for its own.
    Other,
}

impl Address {
    /// Reads `sockaddr_in`, `sockaddr_in6`, `sockaddr_un` and `sockaddr_nl`.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let Some((family, rest)) = bytes.split_first_chunk() else {
            return Self::Other;
        };
        match i32::from(u16::from_ne_bytes(*family)) {
            libc::AF_INET => internet_4(rest).map_or(Self::Other, Self::Internet),
            libc::AF_INET6 => internet_6(rest).map_or(Self::Other, Self::Internet),
            libc::AF_UNIX => match rest.first() {
                None => Self::Abstract(Vec::new()),
                Some(0) => Self::Abstract(rest.get(1..).unwrap_or_default().to_vec()),
                Some(_) => {
                    let path = rest.split(|byte| *byte == 0).next().unwrap_or_default();
                    Self::Path(path.to_vec())
                }
            },
            libc::AF_NETLINK if groups(rest) == Some(0) => Self::Netlink,
            libc::AF_UNSPEC => Self::Nothing,
            _ => Self::Other,
        }
    }
}

fn internet_4(bytes: &[u8]) -> Option<SocketAddr> {
    let (port, rest) = bytes.split_first_chunk()?;
    let address: &[u8; 4] = rest.first_chunk()?;
    Some((Ipv4Addr::from(*address), u16::from_be_bytes(*port)).into())
}

/// After two bytes of padding and the port.
fn groups(bytes: &[u8]) -> Option<u32> {
    let groups = bytes.get(6..10)?.try_into().ok()?;
    Some(u32::from_ne_bytes(groups))
}

fn internet_6(bytes: &[u8]) -> Option<SocketAddr> {
    let (port, rest) = bytes.split_first_chunk()?;
    // The flow label.
    let (_, rest) = rest.split_first_chunk::<4>()?;
    let address: &[u8; 16] = rest.first_chunk()?;
    let address = canonical(Ipv6Addr::from(*address).into());
    Some((address, u16::from_be_bytes(*port)).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(family: i32, rest: &[u8]) -> Vec<u8> {
        let family = u16::try_from(family).expect("a family");
        [&family.to_ne_bytes()[..], rest].concat()
    }

    // REQ: E-3
    #[test]
    fn addresses_of_every_family() {
        let v4 = with(libc::AF_INET, &[1, 187, 169, 254, 169, 254, 0, 0]);
        let internet = |text: &str| Address::Internet(text.parse().expect("an address"));
        assert_eq!(Address::read(&v4), internet("169.254.169.254:443"));
        let mut six = vec![0, 80, 0, 0, 0, 0];
        six.extend(Ipv6Addr::LOCALHOST.octets());
        assert_eq!(
            Address::read(&with(libc::AF_INET6, &six)),
            internet("[::1]:80")
        );
        six.truncate(6);
        six.extend(Ipv4Addr::LOCALHOST.to_ipv6_mapped().octets());
        six.extend([9; 4]);
        assert_eq!(
            Address::read(&with(libc::AF_INET6, &six)),
            internet("127.0.0.1:80")
        );
        for (family, rest, expected) in [
            (
                libc::AF_UNIX,
                &b"/run/x\0/etc"[..],
                Address::Path(b"/run/x".to_vec()),
            ),
            (libc::AF_UNIX, b"rel", Address::Path(b"rel".to_vec())),
            (
                libc::AF_UNIX,
                b"\0name",
                Address::Abstract(b"name".to_vec()),
            ),
            (libc::AF_UNIX, b"", Address::Abstract(Vec::new())),
            (libc::AF_UNSPEC, b"\0\0", Address::Nothing),
            (
                libc::AF_NETLINK,
                b"\0\0\x01\0\0\0\0\0\0\0",
                Address::Netlink,
            ),
            (
                libc::AF_NETLINK,
                b"\0\0\x01\0\0\0\0\0\0\x01",
                Address::Other,
            ),
            (libc::AF_NETLINK, b"\0\0\x01\0\0\0\0\0\0", Address::Other),
            (libc::AF_VSOCK, b"\0\0", Address::Other),
            (libc::AF_INET, b"\0\x35\x7f\0\0", Address::Other),
            (libc::AF_INET6, &six[..20], Address::Other),
        ] {
            assert_eq!(
                Address::read(&with(family, rest)),
                expected,
                "{family} {rest:?}"
            );
        }
        assert_eq!(Address::read(&[2]), Address::Other);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..LONGEST)) {
            let read = Address::read(&bytes);
            if let Address::Path(path) = read {
                prop_assert!(!path.is_empty() && !path.contains(&0) && path.len() < LONGEST);
            }
        }
    }
}

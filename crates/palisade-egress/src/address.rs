//! What an address is: a judgement on its bytes, total over all addresses.
//!
//! IPv4 is public unless a table of the IANA special-purpose registry (RFC 6890 and later) or a
//! cloud's platform says otherwise. IPv6 is the other way round: only 2000::/3 is public, minus the
//! special ranges in it; so what is not allocated yet is refused without being listed. IPv6 forms
//! that carry an IPv4 address to a translator are decoded and the address inside is judged
//! (IPv4-mapped, NAT64); forms that no honest server uses are refused whatever is inside
//! (IPv4-compatible, IPv4-translated, 6to4, Teredo, the local-use NAT64 prefix).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::Ipv6Net;

use crate::decision::Reason;

/// Judges an address by the tables alone: no configuration, no knowledge of this machine.
///
/// # Errors
/// Why the address is not a public one.
pub const fn classify(address: IpAddr) -> Result<(), Reason> {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

/// The same address in the form that is dialed: IPv4-mapped IPv6 becomes the IPv4 address.
#[must_use]
pub const fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

const fn classify_v4(address: Ipv4Addr) -> Result<(), Reason> {
    if is_platform_v4(address) {
        return Err(Reason::AddressPlatform);
    }
    Err(match address.octets() {
        [0, ..] => Reason::AddressUnspecified,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Reason::AddressPrivate,
        [100, 64..=127, ..] => Reason::AddressShared,
        [127, ..] => Reason::AddressLoopback,
        [169, 254, ..] => Reason::AddressLinkLocal,
        [192, 0, 0, _] => Reason::AddressAssignment,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Reason::AddressDocumentation,
        [192, 88, 99, _] => Reason::AddressRelay,
        [198, 18..=19, ..] => Reason::AddressBenchmark,
        [224..=239, ..] => Reason::AddressMulticast,
        [240..=255, ..] => Reason::AddressReserved,
        _ => return Ok(()),
    })
}

const fn classify_v6(address: Ipv6Addr) -> Result<(), Reason> {
    if is_platform_v6(address) {
        return Err(Reason::AddressPlatform);
    }
    Err(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Reason::AddressUnspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Reason::AddressLoopback,
        [0, 0, 0, 0, 0, 0, _, _] => Reason::AddressCompatible,
        // Mapped (RFC 4291 section 2.5.5.2) and NAT64 (RFC 6052 section 2.1): judged by what is inside.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            return classify_v4(embedded(high, low));
        }
        [0, 0, 0, 0, 0xffff, 0, _, _] => Reason::AddressTranslated,
        [0x64, 0xff9b, 1, ..] => Reason::AddressNat64Local,
        [0x100, 0, 0, 0 | 1, ..] => Reason::AddressDiscard,
        [0x2001, 0, ..] => Reason::AddressTeredo,
        [0x2001, 2, 0, ..] => Reason::AddressBenchmark,
        [0x2001, 1..=0x1ff, ..] => Reason::AddressAssignment,
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reason::AddressDocumentation,
        [0x2002, ..] => Reason::AddressSixToFour,
        [0x2000..=0x3fff, ..] => return classify_isatap(address),
        [0x5f00, ..] => Reason::AddressSegmentRouting,
        [0xfc00..=0xfdff, ..] => Reason::AddressUniqueLocal,
        [0xfe80..=0xfebf, ..] => Reason::AddressLinkLocal,
        [0xfec0..=0xfeff, ..] => Reason::AddressSiteLocal,
        [0xff00..=0xffff, ..] => Reason::AddressMulticast,
        _ => Reason::AddressReserved,
    })
}

/// An interface id `[02]00:5efe:a.b.c.d` (RFC 5214 section 6.1) makes a router send the packet to
/// `a.b.c.d`.
const fn classify_isatap(address: Ipv6Addr) -> Result<(), Reason> {
    if let [_, _, _, _, 0 | 0x200, 0x5efe, high, low] = address.segments()
        && classify_v4(embedded(high, low)).is_err()
    {
        return Err(Reason::AddressIsatap);
    }
    Ok(())
}

/// Services that a cloud's platform offers to its machines. They are refused by name of the
/// address, because some are outside every special-purpose range and because a range in the
/// configuration must not open them by accident.
const fn is_platform_v4(address: Ipv4Addr) -> bool {
    matches!(
        address.octets(),
        [169, 254, 169, 254]       // AWS, Azure, Google, Oracle, DigitalOcean and others: metadata
            | [169, 254, 169, 253] // AWS: DNS
            | [169, 254, 169, 123] // AWS: time
            | [169, 254, 170, 2]   // AWS ECS: credentials
            | [169, 254, 170, 23]  // AWS EKS: credentials
            | [169, 254, 0, 23]    // Tencent: metadata
            | [168, 63, 129, 16]   // Azure: platform service
            | [100, 100, 100, 200] // Alibaba: metadata
            | [192, 0, 0, 192] //     Oracle: metadata, older address
    )
}

const fn is_platform_v6(address: Ipv6Addr) -> bool {
    matches!(
        address.segments(),
        // AWS: metadata, credentials of EKS, DNS, time
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254 | 0x23 | 0x253 | 0x123]
            | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254]     // Google
            | [0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe] // Oracle
            | [0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42] //     Scaleway
    )
}

const fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

/// The prefix of an operator's own NAT64 (RFC 6052 section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nat64(Ipv6Net);

impl Nat64 {
    /// 64:ff9b::/96 (RFC 6052 section 2.1).
    pub(crate) const WELL_KNOWN: Self = Self(Ipv6Net::new_assert(
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0),
        96,
    ));

    /// A prefix of 32, 40, 48, 56, 64 or 96 bits.
    pub(crate) fn new(prefix: Ipv6Net) -> Option<Self> {
        matches!(prefix.prefix_len(), 32 | 40 | 48 | 56 | 64 | 96).then(|| Self(prefix.trunc()))
    }

    /// Where `address` has the prefix: the IPv4 address inside, or `None` in place of it where
    /// the bits that must be zero are not.
    pub(crate) fn decode(self, address: Ipv6Addr) -> Option<Option<Ipv4Addr>> {
        if !self.0.contains(&address) {
            return None;
        }
        let bytes = address.octets();
        let start = usize::from(self.0.prefix_len()) / 8;
        // Byte 8 (the "u" octet) is skipped and must be zero, and so must the suffix.
        let mut inside = (start..16).filter(|index| *index != 8 || start == 12);
        let octets: Vec<u8> = inside.by_ref().take(4).map(|index| bytes[index]).collect();
        let clean = (start == 12 || bytes[8] == 0) && inside.all(|index| bytes[index] == 0);
        let octets: Option<[u8; 4]> = octets.try_into().ok();
        Some(octets.filter(|_| clean).map(Ipv4Addr::from))
    }
}

#[cfg(test)]
#[path = "address_tests.rs"]
mod tests;

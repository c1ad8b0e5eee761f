use std::str::FromStr;

use ipnet::IpNet;
use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

/// The tables again, in another form and from the other end: the longest prefix decides. From the
/// IANA special-purpose registries, with the reasons of this crate; IPv6 ends in "all else".
const RANGES: &[(&str, Option<Reason>)] = {
    use Reason::*;
    &[
        ("0.0.0.0/0", None),
        ("0.0.0.0/8", Some(AddressUnspecified)),
        ("10.0.0.0/8", Some(AddressPrivate)),
        ("100.64.0.0/10", Some(AddressShared)),
        ("127.0.0.0/8", Some(AddressLoopback)),
        ("169.254.0.0/16", Some(AddressLinkLocal)),
        ("172.16.0.0/12", Some(AddressPrivate)),
        ("192.0.0.0/24", Some(AddressAssignment)),
        ("192.0.2.0/24", Some(AddressDocumentation)),
        ("192.88.99.0/24", Some(AddressRelay)),
        ("192.168.0.0/16", Some(AddressPrivate)),
        ("198.18.0.0/15", Some(AddressBenchmark)),
        ("198.51.100.0/24", Some(AddressDocumentation)),
        ("203.0.113.0/24", Some(AddressDocumentation)),
        ("224.0.0.0/4", Some(AddressMulticast)),
        ("240.0.0.0/4", Some(AddressReserved)),
        ("::/0", Some(AddressReserved)),
        ("::/96", Some(AddressCompatible)),
        ("::/128", Some(AddressUnspecified)),
        ("::1/128", Some(AddressLoopback)),
        ("::ffff:0:0:0/96", Some(AddressTranslated)),
        ("64:ff9b:1::/48", Some(AddressNat64Local)),
        ("100::/64", Some(AddressDiscard)),
        ("100:0:0:1::/64", Some(AddressDiscard)),
        ("2000::/3", None),
        ("2001::/23", Some(AddressAssignment)),
        ("2001::/32", Some(AddressTeredo)),
        ("2001:2::/48", Some(AddressBenchmark)),
        ("2001:db8::/32", Some(AddressDocumentation)),
        ("2002::/16", Some(AddressSixToFour)),
        ("3fff::/20", Some(AddressDocumentation)),
        ("5f00::/16", Some(AddressSegmentRouting)),
        ("fc00::/7", Some(AddressUniqueLocal)),
        ("fe80::/10", Some(AddressLinkLocal)),
        ("fec0::/10", Some(AddressSiteLocal)),
        ("ff00::/8", Some(AddressMulticast)),
    ]
};

const PLATFORM: &[&str] = &[
    "169.254.169.254",
    "169.254.169.253",
    "169.254.169.123",
    "169.254.170.2",
    "169.254.170.23",
    "169.254.0.23",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "fd00:ec2::254",
    "fd00:ec2::23",
    "fd00:ec2::253",
    "fd00:ec2::123",
    "fd20:ce::254",
    "fd00:c1::a9fe:a9fe",
    "fd00:42::42",
];

fn reference(address: IpAddr) -> Result<(), Reason> {
    if PLATFORM.iter().any(|platform| ip(platform) == address) {
        return Err(Reason::AddressPlatform);
    }
    let inside = |prefix: &str| match address {
        IpAddr::V6(v6) if IpNet::from_str(prefix).expect(prefix).contains(&address) => {
            let bits = u32::try_from(v6.to_bits() & 0xffff_ffff).expect("32 bits");
            Some(IpAddr::V4(bits.into()))
        }
        _ => None,
    };
    if let Some(inner) = inside("::ffff:0:0/96").or_else(|| inside("64:ff9b::/96")) {
        return reference(inner);
    }
    let found = RANGES
        .iter()
        .map(|(range, reason)| (IpNet::from_str(range).expect(range), reason))
        .filter(|(range, _)| range.contains(&address))
        .max_by_key(|(range, _)| range.prefix_len());
    match found.expect("all addresses are in a range").1 {
        Some(reason) => Err(*reason),
        None => {
            if let IpAddr::V6(v6) = address
                && (v6.to_bits() >> 32) & 0xfdff_ffff == 0x5efe
                && let bits = u32::try_from(v6.to_bits() & 0xffff_ffff).expect("32 bits")
                && reference(IpAddr::V4(bits.into())).is_err()
            {
                return Err(Reason::AddressIsatap);
            }
            Ok(())
        }
    }
}

fn first_last_and_neighbours(range: &str) -> Vec<IpAddr> {
    let range = IpNet::from_str(range).expect(range);
    let (first, last) = (range.network(), range.broadcast());
    let step = |address: IpAddr, forward: bool| match address {
        IpAddr::V4(v4) => {
            let bits = if forward {
                v4.to_bits().checked_add(1)
            } else {
                v4.to_bits().checked_sub(1)
            };
            bits.map(|bits| IpAddr::V4(bits.into()))
        }
        IpAddr::V6(v6) => {
            let bits = if forward {
                v6.to_bits().checked_add(1)
            } else {
                v6.to_bits().checked_sub(1)
            };
            bits.map(|bits| IpAddr::V6(bits.into()))
        }
    };
    let mut all = vec![first, last];
    all.extend(step(first, true));
    all.extend(step(first, false));
    all.extend(step(last, true));
    all.extend(step(last, false));
    all
}

// REQ: E-1
#[test]
fn every_range_first_last_and_neighbours() {
    let mut judged = 0;
    let embedded = ["::ffff:0:0/96", "64:ff9b::/96"].map(|range| (range, None));
    for (range, _) in RANGES.iter().chain(&embedded) {
        for address in first_last_and_neighbours(range) {
            assert_eq!(
                classify(address),
                reference(address),
                "{address} of {range}"
            );
            judged += 1;
        }
    }
    assert!(judged > 180, "{judged}");
    for platform in PLATFORM {
        for address in first_last_and_neighbours(&IpNet::from(ip(platform)).to_string()) {
            assert_eq!(
                classify(address),
                reference(address),
                "{address} of {platform}"
            );
        }
        assert_eq!(classify(ip(platform)), Err(Reason::AddressPlatform));
    }
}

// REQ: E-1
#[test]
fn every_ipv4_range_inside_ipv6() {
    for (range, _) in RANGES.iter().filter(|(range, _)| range.contains('.')) {
        for address in first_last_and_neighbours(range) {
            let IpAddr::V4(v4) = address else { continue };
            let [a, b, c, d] = v4.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let judged = classify(address);
            let v6 = |s: [u16; 8]| classify(IpAddr::V6(s.into()));
            assert_eq!(
                v6([0, 0, 0, 0, 0, 0xffff, high, low]),
                judged,
                "mapped {v4}"
            );
            assert_eq!(
                v6([0x64, 0xff9b, 0, 0, 0, 0, high, low]),
                judged,
                "NAT64 {v4}"
            );
            assert!(
                v6([0, 0, 0, 0, 0, 0, high, low]).is_err(),
                "compatible {v4}"
            );
            assert!(
                v6([0, 0, 0, 0, 0xffff, 0, high, low]).is_err(),
                "translated {v4}"
            );
            assert!(v6([0x2002, high, low, 0, 0, 0, 0, 1]).is_err(), "6to4 {v4}");
            assert!(
                v6([0x2001, 0, 1, 1, 0, 0, !high, !low]).is_err(),
                "Teredo {v4}"
            );
            assert!(
                v6([0x64, 0xff9b, 1, 0, 0, 0, high, low]).is_err(),
                "local NAT64 {v4}"
            );
            for id in [0, 0x200] {
                let isatap = v6([0x2606, 0x4700, 0, 0, id, 0x5efe, high, low]);
                assert_eq!(isatap.is_ok(), judged.is_ok(), "ISATAP {v4}");
            }
        }
    }
}

/// Addresses that must never be reached, by hand, whatever the ranges above say.
const BAD: &str = "
    0.0.0.0 0.0.0.1 0.1.2.3 0.255.255.255 10.0.0.0 10.0.0.1 10.10.10.10 10.255.255.255
    100.64.0.0 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.0 127.0.0.1 127.0.0.53 127.0.1.1
    127.1.2.3 127.255.255.254 127.255.255.255 168.63.129.16 169.254.0.0 169.254.0.1 169.254.0.23
    169.254.169.123 169.254.169.250 169.254.169.253 169.254.169.254 169.254.170.2 169.254.170.23
    169.254.255.255 172.16.0.0 172.16.0.1 172.17.0.1 172.20.10.2 172.31.255.255 192.0.0.0
    192.0.0.8 192.0.0.9 192.0.0.10 192.0.0.170 192.0.0.171 192.0.0.192 192.0.0.255 192.0.2.0
    192.0.2.1 192.0.2.255 192.88.99.0 192.88.99.1 192.88.99.2 192.88.99.255 192.168.0.0
    192.168.0.1 192.168.1.1 192.168.49.2 192.168.65.2 192.168.255.255 198.18.0.0 198.18.0.1
    198.19.255.255 198.51.100.0 198.51.100.7 198.51.100.255 203.0.113.0 203.0.113.9 203.0.113.255
    224.0.0.0 224.0.0.1 224.0.0.251 233.252.0.1 239.255.255.250 239.255.255.255 240.0.0.0
    240.0.0.1 250.1.2.3 255.255.255.254 255.255.255.255
    :: ::1 ::2 ::ffff ::127.0.0.1 ::8.8.8.8 ::169.254.169.254 ::ffff:0.0.0.0 ::ffff:10.0.0.1
    ::ffff:100.64.0.1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:169.254.169.254 ::ffff:a9fe:a9fe
    ::ffff:168.63.129.16 ::ffff:172.16.0.1 ::ffff:192.0.0.192 ::ffff:192.168.1.1
    ::ffff:198.18.0.1 ::ffff:224.0.0.1 ::ffff:255.255.255.255 ::ffff:0:127.0.0.1
    ::ffff:0:8.8.8.8 64:ff9b::0.0.0.0 64:ff9b::10.0.0.1 64:ff9b::127.0.0.1
    64:ff9b::169.254.169.254 64:ff9b::192.168.0.1 64:ff9b::100.100.100.200 64:ff9b::168.63.129.16
    64:ff9b:1::1 64:ff9b:1::8.8.8.8 64:ff9b:1:ffff:ffff:ffff:ffff:ffff 64:ff9b:0:0:1::1
    64:ff9b:2::1 100:: 100::1 100:0:0:1:: 100:0:0:1::1 100:0:0:2::1 200::1 1fff:ffff::1
    2001:: 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:0:7f00:1::1 2001:1::1 2001:1::2
    2001:1::3 2001:2::1 2001:3::1 2001:4:112::1 2001:5::1 2001:10::1 2001:1f:ffff::1 2001:20::1
    2001:2f::1 2001:30::1 2001:1ff:ffff::1 2001:db8:: 2001:db8::1 2001:db8:ffff:ffff::1
    2002:: 2002:7f00:1:: 2002:7f00:1::1 2002:a00:1::1 2002:808:808::1 2002:a9fe:a9fe::1
    2002:ffff:ffff::1 3fff:: 3fff::1 3fff:fff:ffff::1 4000::1 5f00::1 5f00:ffff::1 6000::1
    8000::1 a000::1 c000::1 e000::1 f000::1 fbff:ffff::1 fc00:: fc00::1 fd00::1 fd00:42::42
    fd00:c1::a9fe:a9fe fd00:ec2::23 fd00:ec2::123 fd00:ec2::253 fd00:ec2::254 fd12:3456:789a::1
    fd20:ce::254 fdff:ffff::1 fe00::1 fe7f:ffff::1 fe80:: fe80::1 fe80::a9fe:a9fe febf:ffff::1
    fec0:: fec0::1 feff:ffff::1 ff00::1 ff01::1 ff02::1 ff02::fb ff05::2 ff0e::1
    ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2606:4700::5efe:127.0.0.1 2a00::200:5efe:10.0.0.1
    2a00:1450:4001:81b:0:5efe:a9fe:a9fe";

/// Addresses that must be reached: neighbours of the ranges, and well-known public services.
const GOOD: &str = "
    1.0.0.0 1.0.0.1 1.1.1.1 8.8.4.4 8.8.8.8 9.9.9.9 9.255.255.255 11.0.0.0 11.0.0.1 13.107.42.14
    17.253.144.10 20.205.243.166 23.0.0.1 34.117.59.81 44.0.0.1 52.94.236.248 64.233.160.1
    99.255.255.255 100.0.0.1 100.63.255.255 100.128.0.0 104.16.132.229 126.255.255.255 128.0.0.0
    128.0.0.1 140.82.112.3 142.250.74.14 151.101.1.69 168.63.129.15 168.63.129.17 169.253.255.255
    169.255.0.0 172.15.255.255 172.32.0.0 172.67.0.1 172.217.16.14 185.199.108.153
    191.255.255.255 192.0.1.0 192.0.1.255 192.0.3.0 192.31.196.1 192.52.193.1 192.88.98.255
    192.88.100.0 192.167.255.255 192.169.0.0 192.175.48.1 193.0.0.1 198.17.255.255 198.20.0.0
    198.51.99.255 198.51.101.0 199.36.153.8 203.0.112.255 203.0.114.0 208.67.222.222 216.58.212.14
    223.255.255.255 93.184.216.34
    ::ffff:8.8.8.8 ::ffff:1.1.1.1 ::ffff:93.184.216.34 64:ff9b::8.8.8.8 64:ff9b::1.1.1.1
    2000::1 2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2001:200:: 2001:200::1 2001:4860:4860::8888
    2001:500:88:200::8 2001:67c::1 2001:7fd::1 2001:db7:ffff::1 2001:db9::1 2003::1 2003:e0::1
    2400:cb00:2048:1::6814:155 2401:fa00::1 2404:6800:4003:c00::64 2600:1f18::1 2604:a880::1
    2606:2800:220:1:248:1893:25c8:1946 2606:4700:4700::1111 2607:f8b0:4005:805::200e
    2620:0:2d0:200::7 2620:4f:8000::1 2620:fe::fe 2800:3f0::1 2a00:1450:4001:81b::200e
    2a02:26f0::1 2a03:2880:f003::1 2a04:4e42::81 2a0d:f303::1 2c0f:fb50::1 3ffe:ffff::1
    3fff:1000::1 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2606:4700::5efe:8.8.8.8";

// REQ: E-1
#[test]
fn bad_addresses_are_refused_and_good_ones_are_not() {
    let all = |list: &str| list.split_whitespace().map(ip).collect::<Vec<_>>();
    let (bad, good) = (all(BAD), all(GOOD));
    let through: Vec<_> = bad
        .iter()
        .filter(|address| classify(**address).is_ok())
        .collect();
    let blocked: Vec<_> = good
        .iter()
        .filter(|address| classify(**address).is_err())
        .collect();
    assert!(through.is_empty(), "bad ones let through: {through:?}");
    assert!(blocked.is_empty(), "good ones refused: {blocked:?}");
    assert!(
        bad.len() >= 148 && good.len() >= 90,
        "{} bad, {} good",
        bad.len(),
        good.len()
    );
}

#[test]
fn nat64_prefixes_of_each_length() {
    // RFC 6052 section 2.4, with 192.0.2.33 inside.
    let cases = [
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
    ];
    for (prefix, address) in cases {
        let nat64 = Nat64::new(prefix.parse().expect(prefix)).expect(prefix);
        let address: Ipv6Addr = address.parse().expect(address);
        let inside = Ipv4Addr::new(192, 0, 2, 33);
        assert_eq!(nat64.decode(address), Some(Some(inside)), "{prefix}");
        assert_eq!(nat64.decode("2606::1".parse().expect("an address")), None);
        // Another address may not hide in the bits that must be zero.
        if !prefix.ends_with("/96") {
            for bit in [0, 56] {
                let dirty = Ipv6Addr::from_bits(address.to_bits() | 1 << bit);
                assert_eq!(nat64.decode(dirty), Some(None), "{prefix} bit {bit}");
            }
        }
    }
    for prefix in [
        "2001:db8::/33",
        "2001:db8::/128",
        "2001:db8::/31",
        "2001:db8::/95",
    ] {
        assert_eq!(Nat64::new(prefix.parse().expect(prefix)), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn any_ipv4(bits: u32) {
        let address = IpAddr::V4(bits.into());
        prop_assert_eq!(classify(address), reference(address));
    }

    #[test]
    fn any_ipv6(
        bits: u128,
        prefix in prop::sample::select(RANGES.iter().map(|range| range.0).filter(|range| range.contains(':')).collect::<Vec<_>>()),
        inside: bool,
    ) {
        let prefix: Ipv6Net = prefix.parse().expect("a range");
        let bits = if inside { prefix.network().to_bits() | bits & prefix.hostmask().to_bits() } else { bits };
        let address = IpAddr::V6(bits.into());
        prop_assert_eq!(classify(address), reference(address));
    }
}

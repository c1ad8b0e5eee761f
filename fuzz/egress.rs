//! What must hold for every destination: a second, simpler reading of it finds nothing that must
//! not be reached. The fuzz target calls this with what the fuzzer invents, and
//! `crates/palisade-egress/tests/corpus.rs` with the committed corpus.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::IpNet;
use palisade_egress::{Host, OwnAddresses, Policy, Ports, Target, classify};

/// The first byte says what the rest is: a URL, a redirect's target, an authority, an address.
pub(crate) fn check(data: &[u8]) {
    let Some((form, rest)) = data.split_first() else {
        return;
    };
    if form % 4 == 3 {
        if let Ok(octets) = <[u8; 4]>::try_from(rest) {
            address(octets.into());
        } else if let Ok(octets) = <[u8; 16]>::try_from(rest) {
            address(octets.into());
        }
        return;
    }
    let Ok(text) = std::str::from_utf8(rest) else {
        return;
    };
    match form % 4 {
        0 => {
            let Ok(target) = POLICY.check_url(text) else {
                return;
            };
            let (_, authority) = text.split_once("://").expect("a scheme and an authority");
            let authority = authority
                .split(['/', '?', '#'])
                .next()
                .expect("a first part");
            reads_alike(authority, &target);
        }
        1 => {
            let base = POLICY
                .check_url("https://base.example/a/b")
                .expect("a public URL");
            let Ok(target) = POLICY.check_redirect(base.url().expect("a URL"), text) else {
                return;
            };
            assert_eq!(target.url().expect("a URL").scheme(), "https");
            let rest = text
                .get(6..)
                .filter(|_| text.to_ascii_lowercase().starts_with("https:"));
            match rest.unwrap_or(text).strip_prefix("//") {
                Some(authority) => {
                    let authority = authority
                        .split(['/', '?', '#'])
                        .next()
                        .expect("a first part");
                    reads_alike(authority, &target);
                }
                None => assert_eq!(target.host().to_string(), "base.example"),
            }
        }
        _ => {
            let Ok(target) = POLICY.check_authority(text) else {
                return;
            };
            reads_alike(text, &target);
        }
    }
}

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let policy = Policy::builder()
        .ports(Ports::Any)
        .own_addresses(OwnAddresses::fixed([]));
    policy.build().expect("a policy without entries")
});

/// What was allowed, read again from its authority as simpler readers do.
fn reads_alike(authority: &str, target: &Target) {
    assert!(!authority.contains('@') && !authority.contains('\\'));
    if let Host::Address(address) = target.host() {
        assert!(!is_bad(*address), "{address}");
    }
    if let Some(url) = target.url() {
        assert!(url.as_str().is_ascii());
        let again = POLICY
            .check_url(url.as_str())
            .expect("the canonical form is allowed as well");
        assert_eq!(again.host(), target.host());
        assert_eq!(again.url(), target.url());
    }
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => host,
        _ => authority,
    };
    if let Some(v6) = host.strip_prefix('[') {
        let v6: Ipv6Addr = v6
            .strip_suffix(']')
            .expect("a bracket")
            .parse()
            .expect("IPv6");
        assert!(!is_bad(v6.into()), "{v6}");
        assert_eq!(*target.host(), Host::Address(v6.to_canonical()));
        return;
    }
    if !host.is_ascii() || host.contains('%') {
        return;
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    // As C libraries read numbers, and as those do that know decimal only.
    for reading in [inet_aton(&host), decimal(&host)].into_iter().flatten() {
        assert!(!is_bad(reading.into()), "{host} is {reading}");
        assert_eq!(*target.host(), Host::Address(reading.into()), "{host}");
    }
    if let Host::Name(name) = target.host() {
        assert_eq!(name.as_str(), host);
        assert!(host.contains('.'));
        let last = host.rsplit('.').next().expect("a last label");
        assert!(!["localhost", "local", "internal", "onion"].contains(&last));
    }
}

fn inet_aton(host: &str) -> Option<Ipv4Addr> {
    let number = |part: &str| match part.strip_prefix("0x") {
        Some("") => Some(0),
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None if part.starts_with('0') => u64::from_str_radix(part, 8).ok(),
        None => part
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse().ok())?,
    };
    let parts: Vec<u64> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, first) = parts.split_last()?;
    if first.len() > 3
        || first.iter().any(|part| *part > 255)
        || *last >= 1 << (32 - 8 * first.len())
    {
        return None;
    }
    let mut bits = *last;
    for (index, part) in first.iter().enumerate() {
        bits |= part << (24 - 8 * index);
    }
    u32::try_from(bits).ok().map(Into::into)
}

fn decimal(host: &str) -> Option<Ipv4Addr> {
    let parts: Option<Vec<u8>> = host
        .split('.')
        .map(|part| {
            part.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| part.parse().ok())?
        })
        .collect();
    <[u8; 4]>::try_from(parts?).ok().map(Into::into)
}

fn address(address: IpAddr) {
    assert_eq!(classify(address).is_err(), is_bad(address), "{address}");
}

/// The tables once more, as ranges.
fn is_bad(address: IpAddr) -> bool {
    let within = |ranges: &[IpNet]| ranges.iter().any(|range| range.contains(&address));
    let low = |v6: Ipv6Addr| {
        let bits = u32::try_from(v6.to_bits() & u128::from(u32::MAX)).expect("32 bits");
        IpAddr::V4(bits.into())
    };
    match address {
        IpAddr::V4(_) => within(&BAD_V4),
        IpAddr::V6(v6) if within(&DECODED) => is_bad(low(v6)),
        IpAddr::V6(v6) => {
            let isatap = v6.segments()[4] & 0xfdff == 0 && v6.segments()[5] == 0x5efe;
            !within(&GOOD_V6) || within(&BAD_V6) || isatap && is_bad(low(v6))
        }
    }
}

fn ranges(list: &str) -> Vec<IpNet> {
    list.split_whitespace()
        .map(|range| range.parse().expect(range))
        .collect()
}

static BAD_V4: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    ranges(
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 172.16.0.0/12
         192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24
         203.0.113.0/24 224.0.0.0/3",
    )
});
static DECODED: LazyLock<Vec<IpNet>> = LazyLock::new(|| ranges("::ffff:0:0/96 64:ff9b::/96"));
static GOOD_V6: LazyLock<Vec<IpNet>> = LazyLock::new(|| ranges("2000::/3"));
static BAD_V6: LazyLock<Vec<IpNet>> =
    LazyLock::new(|| ranges("2001::/23 2001:db8::/32 2002::/16 3fff::/20"));

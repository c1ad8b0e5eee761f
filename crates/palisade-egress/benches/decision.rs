//! What a decision costs without its lookup: below 5 µs.

use std::net::IpAddr;

use palisade_egress::{OwnAddresses, Policy, classify};

fn main() {
    divan::main();
}

fn policy(hosts: usize) -> Policy {
    let builder = Policy::builder().own_addresses(OwnAddresses::fixed([]));
    let builder = match hosts {
        0 => builder,
        _ => builder.allowlist(
            (1..hosts)
                .map(|n| format!("*.a{n}.example"))
                .chain(["example.com".to_owned()]),
        ),
    };
    builder.build().expect("a policy")
}

#[divan::bench(args = [0, 1, 20, 200])]
fn url_and_addresses(bencher: divan::Bencher<'_, '_>, hosts: usize) {
    let policy = policy(hosts);
    let addresses: Vec<IpAddr> = vec![
        [93, 184, 216, 34].into(),
        [0x2606_u16, 0x2800, 0, 0, 0, 0, 0, 1].into(),
    ];
    bencher.bench(|| {
        let target = policy.check_url(divan::black_box("https://example.com/some/path?query=1"));
        target.and_then(|target| policy.check_addrs(target, &addresses))
    });
}

#[divan::bench]
fn refused_literal(bencher: divan::Bencher<'_, '_>) {
    let policy = policy(0);
    bencher
        .bench(|| policy.check_url(divan::black_box("http://169.254.169.254/latest/meta-data/")));
}

#[divan::bench]
fn one_address(bencher: divan::Bencher<'_, '_>) {
    let address: IpAddr = [0x2606_u16, 0x2800, 0, 0, 0, 0, 0, 1].into();
    bencher.bench(|| classify(divan::black_box(address)));
}

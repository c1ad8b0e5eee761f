//! What the canary says is what the other tests find.

use std::io::Read as _;
use std::time::Instant;

use palisade_egress::{Level, jail};

use crate::rig::{RUNTIME, Rig, Test, start_canary};

pub(crate) const TESTS: &[Test] = &[
    ("canary::levels", levels),
    (
        "canary::advisory_contains_nothing",
        advisory_contains_nothing,
    ),
    ("canary::cost", cost),
];

// REQ: E-3
fn levels() {
    for level in [Level::Isolated, Level::Supervised] {
        let proven = jail::prove(level, RUNTIME.handle(), &mut start_canary(false)).unwrap();
        assert_eq!(proven.level, level, "{proven}");
        assert!(proven.could_not_contain.is_empty() && proven.not_available.is_empty());
        assert_eq!(proven.to_string(), level.to_string());
    }
}

// REQ: E-3
fn advisory_contains_nothing() {
    let proven = jail::prove(Level::Advisory, RUNTIME.handle(), &mut start_canary(false)).unwrap();
    assert_eq!(proven.level, Level::Advisory);
    for way in [
        "tcp over IPv4",
        "tcp over IPv6",
        "tcp fast open",
        "udp over IPv4",
        "udp over IPv6",
        "unix socket by path",
        "unix socket by name",
        "memory of other processes",
    ] {
        assert!(
            proven.could_not_contain.iter().any(|open| open == way),
            "{way}: {proven}"
        );
    }
    assert!(
        proven
            .to_string()
            .starts_with("advisory; could not contain: tcp over IPv4, ")
    );
}

/// From the start to the command's first byte. Printed, not judged: the machine may be busy.
fn cost() {
    for level in [Level::Advisory, Level::Supervised, Level::Isolated] {
        let rig = Rig::new(level);
        let mut took: Vec<_> = (0..20)
            .map(|_| {
                let began = Instant::now();
                let mut started = rig.start(&["/bin/echo", "here"]);
                let mut byte = [0];
                let mut stdout = started.0.stdout.take().unwrap();
                stdout.read_exact(&mut byte).unwrap();
                began.elapsed()
            })
            .collect();
        took.sort();
        println!(
            "{level}: a command's first byte after {:?} (median of 20)",
            took[took.len() / 2]
        );
    }
}

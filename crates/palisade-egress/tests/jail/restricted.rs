//! Under a filter like a container runtime's default: no namespaces, no `pidfd_getfd`, no
//! `io_uring`. *Supervised* holds there.

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

/// Puts the filter round this process. It refuses what Docker's default profile refuses to a
/// container without capabilities, as far as a jail could use it.
pub(crate) fn apply() {
    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = 0x0005_0001;
    let calls = [
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_clone3,
        libc::SYS_pidfd_getfd,
        libc::SYS_io_uring_setup,
        libc::SYS_io_uring_enter,
        libc::SYS_io_uring_register,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_kcmp,
        libc::SYS_open_by_handle_at,
    ];
    let mut filter: Vec<(u16, u8, u8, u32)> = vec![(0x20, 0, 0, 0)];
    for call in calls {
        filter.push((0x15, 0, 1, u32::try_from(call).unwrap()));
        // A library falls back where clone3 is unknown, not where it is refused.
        let answer = if call == libc::SYS_clone3 {
            0x0005_0026
        } else {
            EPERM
        };
        filter.push((0x06, 0, 0, answer));
    }
    // clone with a namespace.
    filter.extend([
        (0x15, 0, 4, u32::try_from(libc::SYS_clone).unwrap()),
        (0x20, 0, 0, 16),
        (0x45, 0, 1, 0x7e02_0000),
        (0x06, 0, 0, EPERM),
        (0x06, 0, 0, ALLOW),
        (0x06, 0, 0, ALLOW),
    ]);
    let filter: Vec<seccompiler::sock_filter> = filter
        .into_iter()
        .map(|(code, jt, jf, k)| seccompiler::sock_filter { code, jt, jf, k })
        .collect();
    seccompiler::apply_filter(&filter).unwrap();
}

//! The jail with real children: Python, Node, curl and a small C program try every way out, and
//! honest programs work. All of it runs in a network namespace that has loopback and nothing else,
//! so that even a broken jail sends nothing out.
//!
//! The binary starts itself as launcher and canary, so it has no harness of the compiler's.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test's program: its helpers fail as the tests do, and it prints what it measures"
)]

mod canary;
#[path = "../support/container.rs"]
mod container;
mod honest;
mod restricted;
mod rig;
mod supervisor;
#[path = "../support/mod.rs"]
mod support;
mod ways;

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};
use palisade_egress::jail;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(code) = jail::run_if_asked(&arguments) {
        return code;
    }
    if let Some(code) = rig::run_if_asked(&arguments) {
        return code;
    }
    if std::env::var_os(INSIDE).is_none() {
        return in_a_network_of_its_own(&arguments);
    }
    let mut trials = Vec::new();
    for tests in [
        canary::TESTS,
        honest::TESTS,
        restricted::TESTS,
        supervisor::TESTS,
        ways::TESTS,
    ] {
        for (name, test) in tests {
            trials.push(Trial::test(*name, || {
                test();
                Ok(())
            }));
        }
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Set within the namespace.
const INSIDE: &str = "PALISADE_JAIL_TESTS";

fn in_a_network_of_its_own(arguments: &[OsString]) -> ExitCode {
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--", "sh", "-c"])
        .arg("ip link set lo up && exec \"$0\" \"$@\"")
        .arg(std::env::current_exe().unwrap())
        .args(arguments)
        .env(INSIDE, "1")
        .status()
        .expect("unshare (util-linux) and ip (iproute2) run");
    match status.code() {
        Some(0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

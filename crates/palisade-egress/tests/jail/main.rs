//! The jail with real children: Python, Node, curl and a small C program try every way out, and
//! honest programs work. All on loopback, or in namespaces that the jail makes.
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
mod honest;
mod restricted;
mod rig;
mod supervisor;
#[path = "../support/mod.rs"]
mod support;
mod ways;

use std::ffi::OsString;
use std::process::ExitCode;

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

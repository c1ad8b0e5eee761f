//! Tasks of this repository: `cargo xtask test`, `cargo xtask dist`, and more.

mod dist;
mod generate;
mod install;
mod soak;
mod steps;

use std::process::ExitCode;

use steps::Steps;

const USAGE: &str = "\
usage: cargo xtask <task>

  test       install what the tests need, then run everything that must hold (what CI runs)
  soak       what takes long: fuzzing, mutation, the load harness (about an hour)
  dist       build the release as it is meant to be deployed, guided by a profile (about 20 minutes on two cores)
  generate   write the generated files: docs/requirements.md, docs/reasons.md, docs/config.schema.json
  e2e-setup  only install the peers of the end-to-end tests
";

fn main() -> ExitCode {
    let task = std::env::args().nth(1);
    let result = match task.as_deref() {
        Some("test") => test(),
        Some("soak") => soak::run().map(|()| true),
        Some("dist") => dist::run().map(|()| true),
        Some("generate") => generate::write().map(|()| true),
        Some("e2e-setup") => install::all().map(|()| true),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Everything that must hold, cheapest first. The last line is `N passed, N failed`.
fn test() -> anyhow::Result<bool> {
    let mut steps = Steps::default();
    steps.run("install", |_| install::all());
    steps.cargo("format", &["fmt", "--all", "--check"], &[]);
    steps.cargo(
        "clippy",
        &[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ],
        &[],
    );
    steps.cargo(
        "docs",
        &["doc", "--workspace", "--no-deps", "--locked"],
        &[("RUSTDOCFLAGS", "-D warnings")],
    );
    steps.cargo(
        "deny",
        &["deny", "--locked", "check", "bans", "licenses", "sources"],
        &[],
    );
    steps.run("generated files", |_| generate::check());
    // The end-to-end tests drive the real binary.
    steps.cargo(
        "build",
        &["build", "--locked", "--package", "palisade-cli"],
        &[],
    );
    steps.tests(
        "unit, property and golden tests",
        &[
            "test",
            "--locked",
            "--workspace",
            "--exclude",
            "e2e",
            "--no-fail-fast",
        ],
    );
    steps.tests(
        "end-to-end tests",
        &["test", "--locked", "--package", "e2e", "--no-fail-fast"],
    );
    Ok(steps.finish())
}

//! Runs steps one after another, counts what passed, and says so at the end.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, ensure};

/// The steps of a run and what came of them.
#[derive(Default)]
pub(crate) struct Steps {
    passed: u64,
    failed: Vec<String>,
}

impl Steps {
    /// Runs `work`; it counts as one.
    pub(crate) fn run(&mut self, name: &str, work: impl FnOnce(&mut Self) -> anyhow::Result<()>) {
        println!("── {name}");
        let begun = Instant::now();
        match work(self) {
            Ok(()) => self.passed += 1,
            Err(error) => self.fail(format!("{name}: {error:#}")),
        }
        println!("── {name}: {} s", begun.elapsed().as_secs());
    }

    /// Runs cargo; it counts as one.
    pub(crate) fn cargo(&mut self, name: &str, arguments: &[&str], environment: &[(&str, &str)]) {
        self.run(name, |_| {
            let status = cargo(arguments)
                .envs(environment.iter().copied())
                .status()?;
            ensure!(status.success(), "cargo {} failed", arguments.join(" "));
            Ok(())
        });
    }

    /// Runs cargo's tests; each test counts.
    pub(crate) fn tests(&mut self, name: &str, arguments: &[&str]) {
        self.run(name, |steps| {
            let mut child = cargo(arguments).stdout(Stdio::piped()).spawn()?;
            let output = child.stdout.take().map(BufReader::new);
            let (mut passed, mut failed) = (0, 0);
            for line in output.into_iter().flat_map(BufRead::lines) {
                let line = line?;
                println!("{line}");
                if let Some(result) = line.strip_prefix("test result: ") {
                    passed += count(result, "passed");
                    failed += count(result, "failed");
                    ensure!(count(result, "ignored") == 0, "a test was left out");
                }
                if let Some(test) = line.strip_suffix(" ... FAILED") {
                    steps.fail(test.to_owned());
                }
            }
            steps.passed += passed;
            let status = child.wait()?;
            ensure!(passed > 0, "no test ran");
            ensure!(failed == 0 && status.success(), "{failed} tests failed");
            Ok(())
        });
    }

    /// Prints the closing line; whether all passed.
    pub(crate) fn finish(self) -> bool {
        for failure in &self.failed {
            println!("failed: {failure}");
        }
        println!("{} passed, {} failed", self.passed, self.failed.len());
        self.failed.is_empty()
    }

    fn fail(&mut self, failure: String) {
        println!("FAILED {failure}");
        self.failed.push(failure);
    }
}

/// Runs a command that must succeed.
pub(crate) fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{:?}", command.get_program()))?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).stdin(Stdio::null());
    // What cargo told this process about itself would make the inner cargo rebuild.
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            command.env_remove(name);
        }
    }
    command
}

/// The number before `word` in `ok. 12 passed; 0 failed; …`.
fn count(result: &str, word: &str) -> u64 {
    result
        .split(['.', ';'])
        .filter_map(|part| part.trim().strip_suffix(word))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0)
}

//! `cargo xtask dist`: the release as it is meant to be deployed. The compiler is told by a run
//! under load which paths are hot (profile-guided optimization): it lays those out together and
//! keeps the rest out of the way.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::steps::succeed;

/// Everything it makes.
const FOLDER: &str = "target/dist";

/// Rounds of the training load; more change nothing that can be measured.
const ROUNDS: &str = "150";

/// Builds, trains, builds again, tries what came out, and says where it is.
pub(crate) fn run() -> anyhow::Result<()> {
    let compiler = Compiler::ask()?;
    let merge = merger(&compiler)?;
    let folder = std::env::current_dir()?.join(FOLDER);
    let counts = folder.join("counts");
    if counts.exists() {
        std::fs::remove_dir_all(&counts)?;
    }
    std::fs::create_dir_all(&counts)?;

    let generate = format!("-Cprofile-generate={}", counts.display());
    let counting = build(&compiler, &folder.join("counting"), &generate)?;
    train(&counting, ROUNDS, Some(&counts))?;

    let profile = folder.join("palisade.profdata");
    succeed(
        Command::new(&merge)
            .args(["merge", "-o"])
            .arg(&profile)
            .arg(&counts),
    )?;

    let guide = format!("-Cprofile-use={}", profile.display());
    let guided = build(&compiler, &folder.join("guided"), &guide)?;
    train(&guided, "3", None)?;
    let binary = folder.join("palisade");
    std::fs::copy(&guided, &binary)?;
    println!("{FOLDER}/palisade");
    Ok(())
}

/// What `rustc -vV` says of itself.
#[derive(Debug, PartialEq, Eq)]
struct Compiler {
    host: String,
    /// The major version of its LLVM.
    llvm: u32,
}

impl Compiler {
    fn ask() -> anyhow::Result<Self> {
        let output = Command::new("rustc").arg("-vV").output().context("rustc")?;
        Self::read(&String::from_utf8_lossy(&output.stdout))
    }

    fn read(version: &str) -> anyhow::Result<Self> {
        let line = |name: &str| version.lines().find_map(|line| line.strip_prefix(name));
        let host = line("host: ").context("`rustc -vV` names no host")?;
        let llvm = line("LLVM version: ").and_then(major);
        Ok(Self {
            host: host.to_owned(),
            llvm: llvm.context("`rustc -vV` names no LLVM version")?,
        })
    }
}

/// The program that merges the counts. It must not be older than the compiler's LLVM: it would
/// not know the format.
fn merger(compiler: &Compiler) -> anyhow::Result<PathBuf> {
    let sysroot = Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()?;
    let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
    let component = Path::new(&sysroot)
        .join("lib/rustlib")
        .join(&compiler.host)
        .join("bin/llvm-profdata");
    let named = format!("llvm-profdata-{}", compiler.llvm);
    let candidates = [component, named.into(), "llvm-profdata".into()];
    for candidate in candidates {
        let Ok(output) = Command::new(&candidate).arg("--version").output() else {
            continue;
        };
        let text = String::from_utf8_lossy(&output.stdout);
        if llvm_of(&text).is_some_and(|version| version >= compiler.llvm) {
            return Ok(candidate);
        }
    }
    bail!(
        "no llvm-profdata of LLVM {0} or newer: run `rustup component add llvm-tools`, or install \
         the package llvm-{0} (Debian, Ubuntu)",
        compiler.llvm
    )
}

/// The major version in `… LLVM version 22.1.8 …`.
fn llvm_of(text: &str) -> Option<u32> {
    text.lines()
        .find_map(|line| major(line.split_once("LLVM version ")?.1))
}

/// The number before the first point.
fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.trim().parse().ok()
}

/// Builds the release with `flag` and says where it is.
///
/// A target is named, so that the flag is not for build scripts too.
fn build(compiler: &Compiler, folder: &Path, flag: &str) -> anyhow::Result<PathBuf> {
    let mut flags = std::env::var_os("RUSTFLAGS").unwrap_or_default();
    if !flags.is_empty() {
        flags.push(" ");
    }
    flags.push(flag);
    let arguments = [
        "build",
        "--locked",
        "--release",
        "--package",
        "palisade-cli",
    ];
    succeed(
        Command::new(env!("CARGO"))
            .args(arguments)
            .args(["--target", &compiler.host, "--target-dir"])
            .arg(folder)
            .env("RUSTFLAGS", flags),
    )?;
    Ok(folder.join(&compiler.host).join("release/palisade"))
}

/// Runs the training load against `binary`; each answer must be the right one.
fn train(binary: &Path, rounds: &str, counts: Option<&Path>) -> anyhow::Result<()> {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(["test", "--locked", "--package", "e2e", "--test", "it"])
        .args(["--", "training::"])
        .env("PALISADE_BIN", binary)
        .env("PALISADE_TRAINING", rounds);
    if let Some(counts) = counts {
        let mut pattern = OsString::from(counts);
        pattern.push("/%p.profraw");
        command.env("LLVM_PROFILE_FILE", pattern);
    }
    succeed(&mut command)
}

#[cfg(test)]
mod tests {
    use super::{Compiler, llvm_of};

    #[test]
    fn the_compiler_is_read() {
        let version = "rustc 1.95.0\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        let read = Compiler::read(version).expect("it says both");
        assert_eq!(read.host, "x86_64-unknown-linux-gnu");
        assert_eq!(read.llvm, 22);
        assert!(Compiler::read("rustc 1.95.0\nhost: a\n").is_err());
        assert!(Compiler::read("LLVM version: 22.1.2\n").is_err());
    }

    #[test]
    fn the_merger_is_read() {
        assert_eq!(llvm_of("LLVM:\n  LLVM version 22.1.8\n"), Some(22));
        assert_eq!(llvm_of("Debian LLVM version 14.0.6\n"), Some(14));
        assert_eq!(llvm_of("Ubuntu LLVM version 21.1.0rc1\n"), Some(21));
        assert_eq!(llvm_of("no version"), None);
    }
}

//! What the tests need on a fresh Debian machine, by package name, versions pinned.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use crate::steps::succeed;

/// Debian's packages, and a program that each brings.
const DEBIAN: &[(&str, &str)] = &[
    ("iproute2", "ip"),
    ("openssl", "openssl"),
    ("python3", "python3"),
    ("curl", "curl"),
    ("gcc", "cc"),
    ("nghttp2-client", "h2load"),
    ("npm", "npm"),
    ("testssl.sh", "testssl"),
    ("sslscan", "sslscan"),
    ("faketime", "faketime"),
    ("strace", "strace"),
    ("zstd", "zstd"),
    ("slowhttptest", "slowhttptest"),
    ("wrk", "wrk"),
];

const CARGO_DENY: &str = "0.20.2";

/// Installs what is missing; quick where nothing is.
pub(crate) fn all() -> anyhow::Result<()> {
    let mut missing: Vec<&str> = DEBIAN
        .iter()
        .filter(|(_, program)| !on_path(program))
        .map(|(package, _)| *package)
        .collect();
    // Debian ships Python without what `python3 -m venv` needs.
    if !python_has_venv() {
        missing.push("python3-venv");
    }
    if !missing.is_empty() {
        succeed(Command::new("apt-get").args(["update", "-qq"]))?;
        succeed(
            Command::new("apt-get")
                .env("DEBIAN_FRONTEND", "noninteractive")
                .args(["install", "-y", "-qq", "--no-install-recommends"])
                .args(&missing),
        )?;
    }
    if !has_cargo_deny() {
        succeed(Command::new(env!("CARGO")).args([
            "install",
            "--locked",
            "--quiet",
            "cargo-deny",
            "--version",
            CARGO_DENY,
        ]))?;
    }
    ensure!(
        Path::new("e2e/setup.sh").exists(),
        "run this in the repository's root"
    );
    succeed(Command::new("bash").arg("e2e/setup.sh"))
}

fn python_has_venv() -> bool {
    let status = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .status();
    status.is_ok_and(|status| status.success())
}

fn has_cargo_deny() -> bool {
    let output = Command::new("cargo-deny").arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(CARGO_DENY))
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

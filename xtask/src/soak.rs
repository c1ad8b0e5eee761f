//! What takes long: fuzzing, mutation, the load harness. Its last figures stand in
//! `docs/measured/`.

use std::process::Command;

use anyhow::{Context, ensure};

use crate::steps::succeed;

/// The modules whose case tables are judged by mutation: at least 90 % of the viable mutants die.
const DECISIONS: &[&str] = &[
    "crates/palisade/src/authority.rs",
    "crates/palisade/src/cors.rs",
    "crates/palisade/src/cors/policy.rs",
    "crates/palisade-egress/src/address.rs",
    "crates/palisade-egress/src/entry.rs",
    "crates/palisade-egress/src/name.rs",
    "crates/palisade-egress/src/policy.rs",
    "crates/palisade-egress/src/target.rs",
    "crates/palisade/src/host.rs",
    "crates/palisade/src/mcp/json.rs",
    "crates/palisade/src/mcp/json/scan.rs",
    "crates/palisade/src/mcp/json/text.rs",
    "crates/palisade/src/mcp/message.rs",
    "crates/palisade/src/origin.rs",
    "crates/palisade/src/origins.rs",
    "crates/palisade/src/origins/entry.rs",
    "crates/palisade/src/origins/set.rs",
    "crates/palisade/src/urls.rs",
];

/// As [`DECISIONS`], of `palisade-audit`: some thousands of mutants, of which every so manieth is tried.
const REDACTION: &str = "crates/palisade-audit/src/redact/**";

/// Of how many mutants of [`REDACTION`] one is tried.
const REDACTION_SHARDS: u32 = 8;

/// The fuzz targets, each for ten minutes.
const TARGETS: &[&str] = &[
    "message", "outcome", "sse", "request", "body", "response", "blocks", "egress", "redact",
];

const KEPT: f64 = 0.9;

/// What the three questions may take on two cores.
const QUESTIONS: std::time::Duration = std::time::Duration::from_secs(10);

/// Runs everything; the harness's text goes to `docs/measured/bench.txt`.
pub(crate) fn run() -> anyhow::Result<()> {
    for (program, version) in [("cargo-fuzz", "0.13.2"), ("cargo-mutants", "27.1.0")] {
        if Command::new(program).arg("--version").output().is_err() {
            let cargo = [
                "install",
                "--locked",
                "--quiet",
                program,
                "--version",
                version,
            ];
            succeed(Command::new(env!("CARGO")).args(cargo))?;
        }
    }
    for target in TARGETS {
        let fuzz = [
            "+nightly",
            "fuzz",
            "run",
            target,
            "--",
            "-max_total_time=600",
        ];
        succeed(Command::new("cargo").args(fuzz).current_dir("fuzz"))?;
    }
    mutants()?;
    redaction_mutants()?;
    tampering()?;
    egress()?;
    commands()?;
    succeed(Command::new(env!("CARGO")).args([
        "bench",
        "--locked",
        "--package",
        "palisade-audit",
        "--bench",
        "redact",
    ]))?;
    // They print what a decision, the proxy and a wall cost.
    for bench in ["decision", "proxy", "spawn"] {
        succeed(Command::new(env!("CARGO")).args([
            "bench",
            "--locked",
            "--package",
            "palisade-egress",
            "--features",
            "jail",
            "--bench",
            bench,
        ]))?;
    }
    succeed(Command::new(env!("CARGO")).args(["build", "--release", "--locked"]))?;
    questions()?;
    succeed(Command::new("python3").arg("bench/bridge.py"))?;
    succeed(Command::new("python3").args([
        "bench/run.py",
        "--rounds",
        "3",
        "--out",
        "docs/measured/bench.json",
        "--text",
        "docs/measured/bench.txt",
    ]))
}

/// URLs as Node and curl read them, and names whose answers flip, in the numbers that CI has no
/// time for. What they print goes to `docs/measured/`.
fn egress() -> anyhow::Result<()> {
    for (test, variable, count, file) in [
        (
            "readers",
            "PALISADE_READERS",
            "1000000",
            "docs/measured/egress-readers.txt",
        ),
        (
            "dns",
            "PALISADE_REBINDING",
            "10000",
            "docs/measured/egress-rebinding.txt",
        ),
    ] {
        let mut command = Command::new(env!("CARGO"));
        command.args([
            "test",
            "--locked",
            "--package",
            "palisade-egress",
            "--test",
            test,
            "--",
            "--nocapture",
        ]);
        command.env(variable, count);
        let output = command.output().context(test)?;
        std::fs::write(file, &output.stdout).context(file)?;
        ensure!(output.status.success(), "{command:?} failed");
    }
    Ok(())
}

/// Commands that begin and end, and many sessions at once, in the numbers that CI has no time for.
fn commands() -> anyhow::Result<()> {
    succeed(Command::new(env!("CARGO")).args(["build", "--locked"]))?;
    let tests = [
        "test",
        "--locked",
        "-p",
        "e2e",
        "--test",
        "it",
        "--",
        "stdio::life",
        "stdio::bridge",
    ];
    succeed(
        Command::new(env!("CARGO"))
            .args(tests)
            .env("PALISADE_STDIO_CYCLES", "500")
            .env("PALISADE_STDIO_SESSIONS", "200")
            .env("PALISADE_STDIO_ROUNDS", "10"),
    )
}

/// The three questions over five million lines, 2.7 GB.
fn questions() -> anyhow::Result<()> {
    let log = "target/soak-audit.ndjson";
    let generate = [
        "build",
        "--release",
        "--locked",
        "--package",
        "palisade-audit",
        "--example",
        "generate_log",
    ];
    succeed(Command::new(env!("CARGO")).args(generate))?;
    let file = std::fs::File::create(log).context(log)?;
    succeed(
        Command::new("target/release/examples/generate_log")
            .arg("5000000")
            .stdout(file),
    )?;
    let begun = std::time::Instant::now();
    let arguments = [
        "audit",
        "query",
        "review",
        log,
        "--since",
        "2026-11-20T00:00:00Z",
        "--limit",
        "20",
    ];
    succeed(Command::new("target/release/palisade").args(arguments))?;
    let took = begun.elapsed();
    let size = std::fs::metadata(log).context(log)?.len();
    std::fs::remove_file(log).context(log)?;
    println!(
        "questions: three over {} MB in {took:.1?}",
        size / 1_000_000
    );
    ensure!(
        took <= QUESTIONS,
        "the three questions took longer than {QUESTIONS:?}"
    );
    Ok(())
}

fn mutants() -> anyhow::Result<()> {
    let mut command = Command::new("cargo");
    command.args([
        "mutants",
        "--package",
        "palisade",
        "--package",
        "palisade-egress",
        "--output",
        "target/mutants",
    ]);
    for file in DECISIONS {
        command.args(["--file", file]);
    }
    // It fails when a mutant survives; what counts is how many.
    command
        .args(["--", "--lib"])
        .env("PROPTEST_CASES", "64")
        .status()?;
    died("target/mutants")
}

/// Redaction is judged by its corpus as well, which stands in a test of its own.
fn redaction_mutants() -> anyhow::Result<()> {
    let shard = format!("1/{REDACTION_SHARDS}");
    let output = "target/mutants-redaction";
    Command::new("cargo")
        .args([
            "mutants",
            "--package",
            "palisade-audit",
            "--file",
            REDACTION,
        ])
        .args([
            "--shard",
            &shard,
            "--sharding",
            "round-robin",
            "--output",
            output,
        ])
        .args(["--", "--lib"])
        .args(["--test", "redaction", "--test", "redaction_texts", "--"])
        .args([
            "redact::",
            "nothing_",
            "no_planted",
            "innocents_stay",
            "--skip",
            "hostile",
        ])
        .env("PROPTEST_CASES", "32")
        .status()?;
    died(output)
}

/// A thousand edits of a log of ten thousand lines, each verified whole.
fn tampering() -> anyhow::Result<()> {
    let test = [
        "test",
        "--release",
        "--locked",
        "--package",
        "palisade-audit",
        "--lib",
        "chain::",
    ];
    succeed(Command::new(env!("CARGO")).args(test))
}

/// Whether enough mutants died.
fn died(output: &str) -> anyhow::Result<()> {
    let lines = |name: &str| -> anyhow::Result<usize> {
        let path = format!("{output}/mutants.out/{name}.txt");
        Ok(std::fs::read_to_string(&path)
            .context(path)?
            .lines()
            .count())
    };
    let (caught, missed) = (lines("caught")? + lines("timeout")?, lines("missed")?);
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let share = caught as f64 / (caught + missed).max(1) as f64;
    println!("mutants: {caught} of {} viable ones died", caught + missed);
    ensure!(share >= KEPT, "fewer than {KEPT} of the mutants died");
    Ok(())
}

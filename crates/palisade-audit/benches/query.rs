//! How fast the three questions are answered: `cargo bench -p palisade-audit --bench query -- FILE…`, with files of the
//! example `generate_log`. Prints the time, and the process's memory at its largest.
#![allow(clippy::print_stdout, reason = "a benchmark's output")]

use std::time::Instant;

use palisade_audit::query::{Destructive, Frequent, Questions, Source, ask, sources};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if files.is_empty() {
        println!("name a file of the example `generate_log` to ask it");
        return Ok(());
    }
    let sources = sources(&files)?;
    let size: u64 = sources.iter().map(Source::size).sum();
    let questions = Questions {
        destructive: Some(Destructive::default()),
        frequent: Some(Frequent {
            over: 500,
            per: 3_600_000,
        }),
        errors: Some(0.05),
        ..Questions::default()
    };
    let begun = Instant::now();
    let answers = ask(&sources, &questions, &|_| ())?;
    let took = begun.elapsed();
    println!(
        "{} lines, {} MB: {took:.2?}, {:.0} MB/s; {} destructive, {} actors, {} tools",
        answers.lines,
        size / 1_000_000,
        size as f64 / 1e6 / took.as_secs_f64(),
        answers.destructive_total,
        answers.frequent.len(),
        answers.errors.len()
    );
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find(|line| line.starts_with("VmHWM")) {
        println!("{peak}");
    }
    Ok(())
}

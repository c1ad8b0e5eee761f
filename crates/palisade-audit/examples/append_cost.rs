//! What one record costs: `cargo run --release -p palisade-audit --example append_cost -- BODY.json [RECORDS]`.
//!
//! `BODY.json` is a `tools/call` message; the cost is that of appending its arguments, redacted, as one record.
//! With `RECORDS` (default 300,000) at two values under `valgrind --tool=callgrind`, the difference of
//! the totals over the difference of the counts is the number of instructions per record.
#![allow(clippy::print_stdout, reason = "an example's output")]

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant, SystemTime};

use palisade_audit::{Actor, Bytes, Config, Fingerprint, Log, Outcome, Record, SinkConfig};
use serde_json::value::RawValue;

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    params: Params<'a>,
}

#[derive(serde::Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    arguments: &'a RawValue,
}

const BATCH: u32 = 100;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("which file?")?;
    let records: u32 = arguments
        .next()
        .map_or(Ok(300_000), |count| count.parse())?;
    let body = std::fs::read(path)?;
    let message: Message<'_> = serde_json::from_slice(&body)?;

    let directory = tempfile::tempdir()?;
    let file = directory.path().join("audit.ndjson");
    let mut config = Config::new(SinkConfig::File(file.clone()));
    config.buffer_max = 1024 * 1024 * 1024;
    let log = Log::open(config)?;
    let handle = log.handle();
    let session = Some(Fingerprint::of(b"f81d4fae-7dec-11d0-a765-00a0c91e6bf6"));
    let mut record = Record::new(SystemTime::now(), "01JD3Y5T7ZK8Q2W4E6R8T0Y2U4");
    record.actor = Actor {
        id: Some("alice"),
        ip: Some("203.0.113.7".parse()?),
    };
    record.tool = Some("search_documents");
    record.args = Some(message.params.arguments.get().as_bytes());
    record.outcome = Some(Outcome::Ok);
    record.duration = Some(Duration::from_micros(12_345));
    record.server_version = Some("1.4.2");
    record.gateway_version = Some("0.1.0");
    record.session = session;
    record.server = Some("files");
    record.method = Some("tools/call");
    record.revision = Some("2025-11-25");
    record.auth_method = Some("bearer");
    record.trace_id = Some("4bf92f3577b34da6a3ce929d0e0e4736");
    record.bytes = Some(Bytes {
        request: 395,
        response: 598,
    });
    record.status = Some(200);

    // A batch short enough to be left alone by the scheduler now and then.
    let mut best = Duration::MAX;
    for _ in 0..records.div_ceil(BATCH) {
        let start = Instant::now();
        for _ in 0..BATCH {
            record.timestamp = SystemTime::now();
            handle.append(&record)?;
        }
        best = best.min(start.elapsed());
    }
    log.flush(Duration::from_secs(60))?;
    println!(
        "{} ns per record at best",
        best.as_nanos() / u128::from(BATCH)
    );
    log.close(Duration::from_secs(60))?;
    // The first line only: reading must not count.
    let mut line = String::new();
    BufReader::new(std::fs::File::open(file)?).read_line(&mut line)?;
    print!("{line}");
    Ok(())
}

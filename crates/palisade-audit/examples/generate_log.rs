//! Writes an audit log to try questions on: `cargo run --release -p palisade-audit --example generate_log -- LINES [SEED] > audit.ndjson`.
//!
//! Five million lines are 2.7 GB. The same count and seed give the same bytes: 2,000 callers, some of whom call too often, 60
//! tools, some of which destroy or fail too often, over three days of November 2026, not quite in order.

use std::io::{self, Write as _};

use palisade_audit::query::format_time;

const SPAN: u64 = 3 * 86_400_000;
/// 2026-11-19T00:00:00Z
const BEGIN: u64 = 1_795_046_400_000;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse::<u64>().ok());
    let lines = arguments.next().unwrap_or(100_000);
    let mut random = Random(
        arguments
            .next()
            .unwrap_or(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            | 1,
    );
    let mut out = io::BufWriter::with_capacity(1 << 20, io::stdout().lock());
    for at in 0..lines {
        let time = BEGIN
            + (u128::from(at) * u128::from(SPAN) / u128::from(lines)) as u64
            + random.below(2_000);
        // A few call far more than the others.
        let actor = match random.below(8) {
            0 => random.below(8),
            _ => random.below(2_000),
        };
        let tool = random.below(60);
        let verb = ["read", "list", "search", "update", "create", "fetch"][(tool % 6) as usize];
        let name = match tool {
            57 => "delete_file".to_owned(),
            58 => "drop_table".to_owned(),
            59 => "users_remove".to_owned(),
            _ => format!("{verb}_thing_{tool}"),
        };
        let failing = if matches!(tool, 7 | 23) { 9 } else { 2 };
        let outcome = match random.below(100) {
            share if share < failing => "error",
            share if share < failing + 1 => "denied",
            _ => "ok",
        };
        let error = if outcome == "ok" {
            "null"
        } else {
            "\"the upstream answered with an error: not found\""
        };
        writeln!(
            out,
            "{{\"timestamp\":\"{}\",\"requestId\":\"{:024x}\",\"actor\":{{\"id\":\"user-{actor:04}\",\"ip\":\"10.{}.{}.{}\"}},\"tool\":\"{name}\",\"args\":{{\"query\":\"the quick brown fox jumps over the lazy dog\",\"path\":\"/srv/data/{:08x}/{:08x}.json\",\"options\":{{\"limit\":{},\"recursive\":true,\"tool\":\"none\"}}}},\"outcome\":\"{outcome}\",\"error\":{error},\"durationMs\":{},\"serverVersion\":\"1.4.2\",\"gatewayVersion\":\"0.1.0\",\"session\":\"{:08x}\",\"server\":\"files\",\"method\":\"tools/call\",\"revision\":\"2025-11-25\",\"bytes\":{{\"request\":{},\"response\":{}}},\"status\":200}}",
            format_time(time as i64),
            random.next(),
            actor % 7,
            actor % 251,
            actor % 241,
            random.below(1 << 32),
            random.below(1 << 32),
            random.below(100),
            random.below(3_000),
            actor * 7919,
            200 + random.below(900),
            100 + random.below(9_000),
        )?;
    }
    out.flush()
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 16) % bound
    }
}

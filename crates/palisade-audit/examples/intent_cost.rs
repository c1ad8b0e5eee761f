//! What an intent costs by its durability, on the disk of a directory: `cargo run --release -p palisade-audit --example intent_cost -- DIRECTORY`.

#![allow(clippy::print_stdout, reason = "an example's output")]

use std::future::Future as _;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant, SystemTime};

use palisade_audit::{Ahead, Config, Durability, Log, Phase, Record, SinkConfig, Ticket};

/// Intents of each measurement.
const COUNT: usize = 2_000;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    println!("durability  at a time  p50 µs  p99 µs  intents/s");
    for durability in [
        Durability::Buffered,
        Durability::Written,
        Durability::Synced,
    ] {
        for at_a_time in [1, 64] {
            let path = Path::new(&directory).join(format!("intent_cost_{durability:?}.ndjson"));
            let mut config = Config::new(SinkConfig::File(path.clone()));
            config.durability = durability;
            let log = Log::open(config)?;
            let handle = log.handle();
            let mut took = Vec::with_capacity(COUNT);
            let begun = Instant::now();
            while took.len() < COUNT {
                let start = Instant::now();
                let mut tickets = Vec::new();
                for _ in 0..at_a_time {
                    let mut record = Record::new(SystemTime::now(), "9867f6bc28a314642fd18cc3");
                    record.phase = Some(Phase::Intent);
                    record.tool = Some("delete_note");
                    record.args = Some(br#"{"name":"todo"}"#);
                    match handle.write_ahead(&[record]) {
                        Ahead::Failed(error) => return Err(error.into()),
                        Ahead::Waiting(ticket) => tickets.push(ticket),
                        Ahead::Written => {}
                    }
                }
                tickets.iter_mut().for_each(wait);
                took.extend(std::iter::repeat_n(start.elapsed(), at_a_time));
            }
            let rate = took.len() as f64 / begun.elapsed().as_secs_f64();
            took.sort();
            let at = |part: usize| took[took.len() * part / 100].as_secs_f64() * 1e6;
            let name = format!("{durability:?}");
            println!(
                "{name:<12}{at_a_time:>9}{:>8.0}{:>8.0}{rate:>11.0}",
                at(50),
                at(99)
            );
            log.close(Duration::from_secs(60))?;
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn wait(ticket: &mut Ticket) {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    while std::pin::Pin::new(&mut *ticket).poll(&mut cx).is_pending() {
        thread::park();
    }
}

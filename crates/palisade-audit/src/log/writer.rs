//! The one thread that writes: where lines get their one order.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Change, Config, FAILED, FULL, Gap, OnChange, Shared, lock};
use crate::record::Encoder;
use crate::sink::Sink;

pub(super) fn spawn(
    shared: Arc<Shared>,
    sink: Box<dyn Sink>,
    config: Config,
) -> io::Result<JoinHandle<()>> {
    let interval = config
        .flush_interval
        .clamp(Duration::from_millis(1), Duration::from_millis(100));
    let mut writer = Writer {
        sink,
        interval,
        on_change: config.on_change,
        encoder: Encoder::default(),
        batch: Vec::new(),
        first: 0,
        offset: 0,
        spares: Vec::new(),
        shared,
    };
    thread::Builder::new()
        .name(String::from("audit-writer"))
        .spawn(move || writer.run())
}

struct Writer {
    sink: Box<dyn Sink>,
    interval: Duration,
    on_change: Option<OnChange>,
    encoder: Encoder,
    /// Buffers being written; those before `first` are done, of that one the bytes before `offset`.
    /// After a failure they stay as they are, so a line that was cut short is finished first.
    batch: Vec<Vec<u8>>,
    first: usize,
    offset: usize,
    /// Emptied buffers to give to the workers for their full ones.
    spares: Vec<Vec<u8>>,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(&mut self) {
        let _end = End(Arc::clone(&self.shared));
        let mut backoff = self.interval;
        loop {
            let stop = self.shared.stop.load(Ordering::Acquire);
            match self.cycle() {
                _ if stop => return,
                Err(error) => {
                    self.failed(&error);
                    thread::park_timeout(backoff);
                    backoff = (backoff * 2).min(RETRY_MAX);
                }
                Ok(busy) => {
                    self.recovered();
                    backoff = self.interval;
                    if busy {
                        thread::park_timeout(self.interval);
                    } else {
                        self.sleep();
                    }
                }
            }
        }
    }

    /// Writes what is left over and what has come since; says whether there was anything.
    fn cycle(&mut self) -> io::Result<bool> {
        let (asked, sync) = {
            let flushes = lock(&self.shared.flushes);
            (flushes.asked, flushes.sync)
        };
        self.write()?;
        self.take();
        let busy = !self.batch.is_empty();
        self.write()?;
        if sync {
            self.sink.sync()?;
        }
        let mut flushes = lock(&self.shared.flushes);
        if flushes.done < asked {
            flushes.done = asked;
            self.shared.flushed.notify_all();
        }
        Ok(busy)
    }

    /// Sleeps until a record, a flush or the end wakes it.
    fn sleep(&self) {
        let shared = &self.shared;
        shared.awake.store(false, Ordering::Release);
        // A record appended before the store above has found the writer awake and woken nobody; one that is appended
        // after this look takes its buffer's lock after us, and so sees the store.
        let idle = lock(&shared.workers).iter().all(|worker| {
            let buffer = worker.lock();
            buffer.lines.is_empty() && buffer.gap.is_none()
        });
        if idle {
            thread::park();
        }
        shared.awake.store(true, Ordering::Release);
    }

    /// Swaps the workers' full buffers for empty ones.
    fn take(&mut self) {
        let mut held = 0;
        lock(&self.shared.workers).retain(|worker| {
            let mut buffer = worker.lock();
            if buffer.lines.is_empty() && buffer.gap.is_none() {
                return Arc::strong_count(worker) > 1;
            }
            let spare = self.spares.pop().unwrap_or_default();
            let mut lines = std::mem::replace(&mut buffer.lines, spare);
            let gap = buffer.gap.take();
            drop(buffer);
            if let Some(gap) = gap {
                gap.push(&mut self.encoder, &mut lines);
            }
            held += lines.len();
            self.batch.push(lines);
            true
        });
        self.shared.in_flight.store(held as u64, Ordering::Relaxed);
        self.shared.clear(FULL);
    }

    /// Writes the batch to its end, or as far as the sink takes it.
    fn write(&mut self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let result = loop {
            if self.first == self.batch.len() {
                break Ok(());
            }
            let slices: Vec<_> = self.batch[self.first..]
                .iter()
                .enumerate()
                .take(SLICES_MAX)
                .map(|(at, lines)| IoSlice::new(&lines[if at == 0 { self.offset } else { 0 }..]))
                .collect();
            if shared.busy_since.load(Ordering::Relaxed) == 0 {
                shared.busy_since.store(shared.now(), Ordering::Relaxed);
            }
            match self.sink.write(&slices) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => {
                    shared.busy_since.store(shared.now(), Ordering::Relaxed);
                    shared.written.fetch_add(length as u64, Ordering::Relaxed);
                    shared.in_flight.fetch_sub(length as u64, Ordering::Relaxed);
                    self.advance(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Somebody made the pipe non-blocking: it is slow, not broken.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if shared.stop.load(Ordering::Acquire) {
                        break Err(error);
                    }
                    thread::park_timeout(NOT_YET);
                }
                Err(error) => break Err(error),
            }
        };
        shared.busy_since.store(0, Ordering::Relaxed);
        if result.is_ok() {
            for mut lines in self.batch.drain(..) {
                // What a jam has blown up is given back.
                if lines.capacity() <= SPARE_MAX {
                    lines.clear();
                    self.spares.push(lines);
                }
            }
            self.first = 0;
            self.offset = 0;
        }
        result
    }

    fn advance(&mut self, mut length: usize) {
        while let Some(lines) = self.batch.get(self.first) {
            let left = lines.len() - self.offset;
            if length < left {
                self.offset += length;
                return;
            }
            length -= left;
            self.first += 1;
            self.offset = 0;
        }
    }

    fn failed(&self, error: &io::Error) {
        let news = self.shared.health.load(Ordering::Relaxed) & FAILED == 0;
        self.shared.fail(error);
        if let (true, Some(tell)) = (news, &self.on_change) {
            tell(&Change::Failed {
                error: error.to_string(),
            });
        }
    }

    fn recovered(&self) {
        if self.shared.health.load(Ordering::Relaxed) & FAILED == 0 {
            return;
        }
        *lock(&self.shared.error) = None;
        self.shared.clear(FAILED);
        if let Some(tell) = &self.on_change {
            tell(&Change::Recovered);
        }
    }
}

impl Gap {
    /// A line of its own kind: `event` stands where others have `requestId`.
    fn push(&self, encoder: &mut Encoder, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"timestamp\":\"");
        encoder.push_time(out, self.until);
        out.extend_from_slice(b"\",\"event\":\"gap\",\"dropped\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.dropped).as_bytes());
        out.extend_from_slice(b",\"since\":\"");
        encoder.push_time(out, self.since);
        out.extend_from_slice(b"\",\"until\":\"");
        encoder.push_time(out, self.until);
        out.extend_from_slice(b"\"}\n");
    }
}

/// Nobody writes any more, whatever the reason: callers must see it.
struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.fail(&io::Error::other(
                "the audit log's writer thread has ended; restart Palisade",
            ));
        }
    }
}

/// How often a sink that failed is tried again, at the least.
const RETRY_MAX: Duration = Duration::from_secs(1);

/// How long a full non-blocking pipe is left alone.
const NOT_YET: Duration = Duration::from_millis(5);

/// Below any system's `IOV_MAX`.
const SLICES_MAX: usize = 256;

const SPARE_MAX: usize = 1024 * 1024;

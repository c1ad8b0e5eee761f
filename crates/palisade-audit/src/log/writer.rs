//! The one thread that writes what the workers leave in their buffers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Change;
use super::ahead::Ticket;
use super::pipeline::Drained;
use super::shared::{FAILED, FULL, Gap, Shared, lock};
use crate::record::Encoder;

pub(super) fn spawn(shared: Arc<Shared>, interval: Duration) -> io::Result<JoinHandle<()>> {
    let mut writer = Writer {
        interval: interval.clamp(Duration::from_millis(1), Duration::from_millis(100)),
        told: None,
        lines: Vec::new(),
        tickets: Vec::new(),
        shared,
    };
    thread::Builder::new()
        .name(String::from("audit-writer"))
        .spawn(move || writer.run())
}

struct Writer {
    interval: Duration,
    /// Of a failure, and when.
    told: Option<(String, Instant)>,
    /// What was taken from one worker.
    lines: Vec<u8>,
    tickets: Vec<Ticket>,
    shared: Arc<Shared>,
}

/// What a round found.
enum Round {
    /// A sink takes nothing at the moment.
    Blocked,
    /// There were lines.
    Busy,
    /// A sink failed.
    Failed(io::Error),
    /// There were none.
    Idle,
}

impl Writer {
    fn run(&mut self) {
        let _end = End(Arc::clone(&self.shared));
        let mut backoff = self.interval;
        loop {
            let stop = self.shared.stop.load(Ordering::Acquire);
            let round = self.round();
            if let Round::Failed(error) = &round {
                self.failed(error);
            } else if !matches!(round, Round::Blocked) {
                self.recovered();
                backoff = self.interval;
            }
            if stop {
                lock(&self.shared.pipeline).give_up();
                return;
            }
            match round {
                Round::Blocked => {
                    // What is waited for over the network unparks this thread, which must not keep the pipeline for that.
                    let waited = lock(&self.shared.pipeline).wait(NOT_YET);
                    if !waited {
                        thread::park_timeout(NOT_YET);
                    }
                }
                Round::Busy => thread::park_timeout(self.interval),
                Round::Failed(_) => {
                    thread::park_timeout(backoff);
                    backoff = (backoff * 2).min(RETRY_MAX);
                }
                Round::Idle => self.sleep(),
            }
        }
    }

    /// Writes what is left over and what has come since.
    fn round(&mut self) -> Round {
        let shared = Arc::clone(&self.shared);
        let (asked, sync) = {
            let flushes = lock(&shared.flushes);
            lock(&shared.pipeline).flush(flushes.done < flushes.asked);
            (flushes.asked, flushes.sync)
        };
        let mut drained = lock(&shared.pipeline).drain(&shared);
        let mut busy = false;
        let most = shared.buffer_max;
        if !matches!(drained, Drained::All) && !lock(&shared.pipeline).has_room(most) {
            self.give_up_if(&drained);
            return drained.into();
        }
        busy |= self.take();
        {
            let mut pipeline = lock(&shared.pipeline);
            // At the end all is signed.
            pipeline.seal(sync, &shared);
            let again = pipeline.drain(&shared);
            if matches!(drained, Drained::All) || matches!(again, Drained::Failed(_)) {
                drained = again;
            }
            if let Err(error) = pipeline.sync_awaited(&shared) {
                drained = Drained::Failed(error);
            }
            pipeline.turn(&shared);
        }
        self.give_up_if(&drained);
        match drained {
            Drained::All => {}
            other => return other.into(),
        }
        let mut pipeline = lock(&shared.pipeline);
        match pipeline.drain(&shared) {
            Drained::All => {}
            other => return other.into(),
        }
        if sync && let Err(error) = pipeline.sync() {
            return Round::Failed(error);
        }
        drop(pipeline);
        let mut flushes = lock(&shared.flushes);
        if flushes.done < asked {
            flushes.done = asked;
            shared.flushed.notify_all();
        }
        if busy { Round::Busy } else { Round::Idle }
    }

    fn give_up_if(&self, drained: &Drained) {
        if !matches!(drained, Drained::Failed(_)) {
            return;
        }
        lock(&self.shared.pipeline).give_up();
        for worker in lock(&self.shared.workers).iter() {
            for ticket in worker.lock().waiting.drain(..) {
                ticket.settle(false);
            }
        }
    }

    /// Sleeps until a record, a flush or the end wakes it, or something is due.
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
            let due = lock(&shared.pipeline).due();
            match due {
                Some(due) => thread::park_timeout(due.max(self.interval)),
                None => thread::park(),
            }
        }
        shared.awake.store(true, Ordering::Release);
    }

    /// Takes what the workers have, and chains it; says whether there was anything.
    fn take(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut busy = false;
        let workers = {
            let mut workers = lock(&shared.workers);
            workers.retain(|worker| {
                let buffer = worker.lock();
                !buffer.lines.is_empty() || buffer.gap.is_some() || Arc::strong_count(worker) > 1
            });
            workers.clone()
        };
        for worker in workers {
            let mut buffer = worker.lock();
            if buffer.lines.is_empty() && buffer.gap.is_none() {
                continue;
            }
            busy = true;
            std::mem::swap(&mut buffer.lines, &mut self.lines);
            std::mem::swap(&mut buffer.waiting, &mut self.tickets);
            let gap = buffer.gap.take();
            drop(buffer);
            let mut pipeline = lock(&shared.pipeline);
            if let Some(gap) = gap {
                gap.push(pipeline.encoder(), &mut self.lines);
            }
            pipeline.push(&self.lines, &mut self.tickets, &shared);
            drop(pipeline);
            self.lines.clear();
            // What a jam has blown up is given back.
            self.lines.shrink_to(LINES_KEPT);
        }
        shared.clear(FULL);
        busy
    }

    fn failed(&mut self, error: &io::Error) {
        self.shared.fail(error);
        let error = error.to_string();
        // Another cause is news, but no flood of them.
        let is_news = self
            .told
            .as_ref()
            .is_none_or(|(told, when)| *told != error && when.elapsed() >= NEWS_APART);
        if is_news {
            self.told = Some((error.clone(), Instant::now()));
            self.shared.tell(&Change::Failed { error });
        }
    }

    fn recovered(&mut self) {
        if !self.shared.is(FAILED) {
            return;
        }
        *lock(&self.shared.error) = None;
        self.shared.clear(FAILED);
        if self.told.take().is_some() {
            self.shared.tell(&Change::Recovered);
        }
    }
}

impl From<Drained> for Round {
    fn from(drained: Drained) -> Self {
        match drained {
            Drained::All => Self::Busy,
            Drained::Blocked => Self::Blocked,
            Drained::Failed(error) => Self::Failed(error),
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
const RETRY_MAX: Duration = Duration::from_millis(250);

/// How soon another cause of the same failure is told.
const NEWS_APART: Duration = Duration::from_secs(5);

/// How long a full pipe is waited for before the world is looked at again.
const NOT_YET: Duration = Duration::from_millis(20);

const LINES_KEPT: usize = 1024 * 1024;

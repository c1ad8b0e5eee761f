//! What the log's threads share.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

use super::ahead::{Batch, Ticket};
use super::pipeline::Pipeline;
use super::{AppendError, Change, Durability, FlushError, OnChange, Status};
use crate::record::Encoder;

/// What all threads see.
pub(super) struct Shared {
    pub(super) workers: Mutex<Vec<Arc<Worker>>>,
    pub(super) pipeline: Mutex<Pipeline>,
    pub(super) on_change: Mutex<Option<OnChange>>,
    /// [`FAILED`], [`FULL`], [`CLOSED`]; 0 is well.
    pub(super) health: AtomicU32,
    /// The writer will look at the buffers without being woken.
    pub(super) awake: AtomicBool,
    pub(super) stop: AtomicBool,
    pub(super) writer: OnceLock<Thread>,
    /// Milliseconds since `opened`, plus one, when the write now under way last made progress; 0: none is.
    pub(super) busy_since: AtomicU64,
    /// Until when workers write nothing themselves, as [`Shared::now`] counts.
    pub(super) slow_until: AtomicU64,
    /// Bytes that wait for the sink that is furthest behind.
    pub(super) in_flight: AtomicU64,
    pub(super) written: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) error: Mutex<Option<String>>,
    pub(super) flushes: Mutex<Flushes>,
    pub(super) flushed: Condvar,
    pub(super) opened: Instant,
    pub(super) stall: Duration,
    pub(super) flush_bytes: usize,
    pub(super) buffer_max: usize,
    pub(super) durability: Durability,
}

#[derive(Debug, Default)]
pub(super) struct Worker(Mutex<Buffer>);

#[derive(Debug, Default)]
pub(super) struct Buffer {
    pub(super) lines: Vec<u8>,
    pub(super) encoder: Encoder,
    pub(super) gap: Option<Gap>,
    /// Who waits for lines of it.
    pub(super) waiting: Vec<Ticket>,
    /// What is staged to be written ahead.
    pub(super) ahead: Vec<u8>,
    pub(super) batch: Arc<Batch>,
}

/// Records that were not taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap {
    pub(super) dropped: u64,
    pub(super) since: SystemTime,
    pub(super) until: SystemTime,
}

#[derive(Debug, Default)]
pub(super) struct Flushes {
    pub(super) asked: u64,
    pub(super) done: u64,
    /// To the disk, too.
    pub(super) sync: bool,
}

/// The sink's last write failed.
pub(super) const FAILED: u32 = 1;
/// A worker's buffer is nearly full.
pub(super) const FULL: u32 = 1 << 1;
/// No more records are taken.
pub(super) const CLOSED: u32 = 1 << 2;

/// Room for the longest line, several times.
pub(super) const BUFFER_MAX_LEAST: usize = 1024 * 1024;

impl Worker {
    pub(super) fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.0.lock().unwrap_or_else(|poisoned| {
            // Encoding panicked, which it never should: what it left of its line goes.
            self.0.clear_poison();
            let mut buffer = poisoned.into_inner();
            let whole = memchr::memrchr(b'\n', &buffer.lines).map_or(0, |at| at + 1);
            buffer.lines.truncate(whole);
            buffer
        })
    }
}

impl Buffer {
    #[cold]
    pub(super) fn lost(&mut self, time: SystemTime) {
        match &mut self.gap {
            Some(gap) => {
                gap.dropped += 1;
                gap.since = gap.since.min(time);
                gap.until = gap.until.max(time);
            }
            None => {
                self.gap = Some(Gap {
                    dropped: 1,
                    since: time,
                    until: time,
                })
            }
        }
    }
}

impl Shared {
    pub(super) fn healthy(&self) -> bool {
        self.health.load(Ordering::Relaxed) == 0 && !self.stalled()
    }

    pub(super) fn stalled(&self) -> bool {
        match self.busy_since.load(Ordering::Relaxed) {
            0 => false,
            since => Duration::from_millis(self.now().saturating_sub(since)) >= self.stall,
        }
    }

    /// Milliseconds since the log was opened, plus one.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    pub(super) fn high_water(&self) -> usize {
        self.buffer_max - self.buffer_max / 8
    }

    pub(super) fn is(&self, bit: u32) -> bool {
        self.health.load(Ordering::Relaxed) & bit != 0
    }

    /// The pipeline, if it is free, or about to be: nobody waits for a disk here.
    pub(super) fn try_pipeline(&self) -> Option<MutexGuard<'_, Pipeline>> {
        let slow_until = self.slow_until.load(Ordering::Relaxed);
        if slow_until > 0 && self.now() < slow_until {
            return None;
        }
        for _ in 0..SPINS {
            match self.pipeline.try_lock() {
                Ok(pipeline) => return Some(pipeline),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => std::hint::spin_loop(),
            }
        }
        None
    }

    /// A worker's own write has begun at this moment and is over now. Where it took long, the writer thread does it for a while: a
    /// disk that hangs holds up one worker once, and no other.
    pub(super) fn note_own_write(&self, begun: u64) {
        let now = self.now();
        if now.saturating_sub(begun) > SLOW {
            self.slow_until.store(now + SLOW_FOR, Ordering::Relaxed);
        }
    }

    /// A write begins; from here on it is watched for progress.
    pub(super) fn begin_write(&self) {
        if self.busy_since.load(Ordering::Relaxed) == 0 {
            self.watch_since(self.now());
        }
    }

    /// Since when nothing was taken of what waits, as [`Shared::now`] counts; 0: nothing waits.
    pub(super) fn watch_since(&self, since: u64) {
        self.busy_since.store(since, Ordering::Relaxed);
    }

    pub(super) fn tell(&self, change: &Change) {
        if let Some(tell) = &*lock(&self.on_change) {
            tell(change);
        }
    }

    pub(super) fn set(&self, bit: u32) {
        if self.health.load(Ordering::Relaxed) & bit == 0 {
            self.health.fetch_or(bit, Ordering::AcqRel);
        }
    }

    pub(super) fn clear(&self, bit: u32) {
        if self.health.load(Ordering::Relaxed) & bit != 0 {
            self.health.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    #[cold]
    pub(super) fn refuse(&self, records: u64, full: bool) -> AppendError {
        self.dropped.fetch_add(records, Ordering::Relaxed);
        let health = self.health.load(Ordering::Relaxed);
        if health & CLOSED != 0 {
            return AppendError::Closed;
        }
        if full {
            self.set(FULL);
        }
        self.wake(false);
        if health & FAILED != 0 {
            AppendError::SinkFailed
        } else {
            AppendError::Full
        }
    }

    /// Wakes the writer, if it sleeps until woken or `now`.
    #[cold]
    pub(super) fn wake(&self, now: bool) {
        if (!self.awake.swap(true, Ordering::AcqRel) || now)
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }

    pub(super) fn flush(&self, timeout: Duration, sync: bool) -> Result<(), FlushError> {
        let mut flushes = lock(&self.flushes);
        flushes.asked += 1;
        flushes.sync |= sync;
        let ours = flushes.asked;
        self.wake(true);
        let (flushes, _) = self
            .flushed
            .wait_timeout_while(flushes, timeout, |flushes| flushes.done < ours)
            .unwrap_or_else(PoisonError::into_inner);
        if flushes.done >= ours {
            return Ok(());
        }
        drop(flushes);
        let status = self.status();
        Err(FlushError {
            pending_bytes: status.pending_bytes,
            cause: status
                .error
                .unwrap_or_else(|| String::from("the sink takes nothing")),
        })
    }

    pub(super) fn status(&self) -> Status {
        let workers = lock(&self.workers).clone();
        let buffered: usize = workers.iter().map(|worker| worker.lock().lines.len()).sum();
        Status {
            healthy: self.healthy(),
            dropped: self.dropped.load(Ordering::Relaxed),
            pending_bytes: buffered as u64 + self.in_flight.load(Ordering::Relaxed),
            written_bytes: self.written.load(Ordering::Relaxed),
            error: lock(&self.error).clone(),
        }
    }

    pub(super) fn fail(&self, error: &io::Error) {
        *lock(&self.error) = Some(error.to_string());
        self.set(FAILED);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}

/// A worker's own write that takes more milliseconds is one too many, for so many more.
const SLOW: u64 = 250;
const SLOW_FOR: u64 = 5_000;

/// How often a lock that is held is tried before somebody else is left to do the work: some microseconds, as long as a write of
/// a line takes.
const SPINS: u32 = 100;

/// Nothing under these locks can be left half done by a panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

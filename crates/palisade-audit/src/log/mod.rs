//! From many worker threads to one sink.
//!
//! Each worker thread has a buffer of its own behind a lock that only the writer thread ever contends for, and
//! then for the time of a pointer swap. Appending is encoding into that buffer: no channel, no
//! system call. The writer swaps the buffers out at an interval, or sooner when one passes a size, and hands all of them to
//! the sink in one `writev(2)`. When nothing comes, it sleeps until the next record wakes it: one wake-up
//! per pause, none under load.
//!
//! Nothing is lost silently. What the sink does not take stays in memory, bounded per worker; past the bound
//! [`Handle::append`] says that the record was not taken, [`Handle::healthy`] has turned false before that,
//! and the next line to be written says how many are missing.
//!
//! The chain, checkpoints and rotation of later work belong in [`writer`]: it is where lines get their one order.

mod writer;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant, SystemTime};

use crate::record::{Encoder, Record};
use crate::sink::{self, OpenError, Sink, SinkConfig};

/// How the log works.
#[non_exhaustive]
pub struct Config {
    /// Where lines go.
    pub sink: SinkConfig,
    /// How long a line waits at most before it is written, while the sink takes lines. Default 50 ms; kept
    /// between 1 ms and 100 ms.
    pub flush_interval: Duration,
    /// A buffer that passes this many bytes is written without waiting. Default 64 KiB.
    pub flush_bytes: usize,
    /// How many bytes one worker may hold back while the sink takes nothing. Default 4 MiB, at least 1 MiB. The same
    /// amount may be with the writer at that time, so a worker costs twice this at the worst.
    pub buffer_max: usize,
    /// A write that makes no progress for so long makes the log unhealthy. Default 5 s.
    pub stall: Duration,
    /// Called from the writer thread when the sink fails and when it works again.
    pub on_change: Option<OnChange>,
}

/// See [`Config::on_change`]. It must not block: no line is written meanwhile.
pub type OnChange = Box<dyn Fn(&Change) + Send>;

/// What happened to the sink.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It did not take lines; they are kept and tried again.
    Failed {
        /// What the system said.
        error: String,
    },
    /// It takes lines again; all that was kept is written.
    Recovered,
}

/// The log; one per process and sink.
#[derive(Debug)]
pub struct Log {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

/// A worker thread's end of the log. Clones share one buffer.
#[derive(Debug, Clone)]
pub struct Handle {
    worker: Arc<Worker>,
    shared: Arc<Shared>,
}

/// How the log fares.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// As [`Handle::healthy`].
    pub healthy: bool,
    /// Records that were not taken since the log was opened.
    pub dropped: u64,
    /// Bytes appended, not yet written.
    pub pending_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Why the sink does not work, while it does not.
    pub error: Option<String>,
}

/// The record was not taken. It is counted in [`Status::dropped`] and in the gap line that is written once the sink works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// After [`Log::close`].
    #[error("the audit log is closed")]
    Closed,
    /// The sink does not keep up.
    #[error(
        "the audit log's buffer is full: its sink does not keep up; look at what reads standard output, or at the disk"
    )]
    Full,
    /// The sink's last write failed, and the buffer is full.
    #[error(
        "the audit log's sink has failed and its buffer is full; free the disk, or restore what reads standard output"
    )]
    SinkFailed,
}

/// Not everything was written in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{pending_bytes} bytes of audit records could not be written in time: {cause}; free the disk, or restore what reads standard output"
)]
pub struct FlushError {
    /// How much is still in memory.
    pub pending_bytes: u64,
    /// What the system said last, or that the sink blocks.
    pub cause: String,
}

impl Config {
    /// With the defaults.
    #[must_use]
    pub fn new(sink: SinkConfig) -> Self {
        Self {
            sink,
            flush_interval: Duration::from_millis(50),
            flush_bytes: 64 * 1024,
            buffer_max: 4 * 1024 * 1024,
            stall: Duration::from_secs(5),
            on_change: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("sink", &self.sink)
            .field("flush_interval", &self.flush_interval)
            .field("flush_bytes", &self.flush_bytes)
            .field("buffer_max", &self.buffer_max)
            .field("stall", &self.stall)
            .finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the sink and starts the writer thread.
    ///
    /// # Errors
    /// When the sink cannot be had, or the thread; each says what to do.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let sink = sink::open(&config.sink)?;
        Self::over(sink, config)
    }

    fn over(sink: Box<dyn Sink>, config: Config) -> Result<Self, OpenError> {
        let buffer_max = config.buffer_max.max(BUFFER_MAX_LEAST);
        let shared = Arc::new(Shared {
            workers: Mutex::default(),
            health: AtomicU32::new(0),
            awake: AtomicBool::new(true),
            stop: AtomicBool::new(false),
            writer: OnceLock::new(),
            busy_since: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            error: Mutex::default(),
            flushes: Mutex::default(),
            flushed: Condvar::new(),
            opened: Instant::now(),
            stall: config.stall,
            flush_bytes: config.flush_bytes.clamp(1, buffer_max / 2),
            buffer_max,
        });
        let writer = writer::spawn(Arc::clone(&shared), sink, config)
            .map_err(|source| OpenError::Thread { source })?;
        // Set before any handle exists, so whoever appends finds it.
        let _ = shared.writer.set(writer.thread().clone());
        Ok(Self {
            shared,
            writer: Some(writer),
        })
    }

    /// An end of the log with a buffer of its own: one per worker thread, cloned within the thread. The order of
    /// records is kept within a handle and its clones.
    #[must_use]
    pub fn handle(&self) -> Handle {
        let worker = Arc::new(Worker::default());
        lock(&self.shared.workers).push(Arc::clone(&worker));
        Handle {
            worker,
            shared: Arc::clone(&self.shared),
        }
    }

    /// How the log fares; takes each worker's lock for a moment.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// As [`Handle::healthy`].
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.shared.healthy()
    }

    /// Waits until everything appended before is written.
    ///
    /// # Errors
    /// When it is not within `timeout`; what is left stays in memory and is tried again.
    pub fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        self.shared.flush(timeout, false)
    }

    /// Takes no more records, writes all there are, hands them to the disk and ends the writer thread.
    ///
    /// # Errors
    /// When that is not done within `timeout`; what is left is lost.
    pub fn close(mut self, timeout: Duration) -> Result<(), FlushError> {
        self.end(timeout)
    }

    fn end(&mut self, timeout: Duration) -> Result<(), FlushError> {
        let Some(writer) = self.writer.take() else {
            return Ok(());
        };
        self.shared.set(CLOSED);
        let result = self.shared.flush(timeout, true);
        self.shared.stop.store(true, Ordering::Release);
        writer.thread().unpark();
        // A writer that hangs in a write is left behind: waiting for it would have no end.
        if result.is_ok() {
            let _ = writer.join();
        }
        result
    }
}

impl Drop for Log {
    /// As [`Log::close`], within a second.
    fn drop(&mut self) {
        let _ = self.end(Duration::from_secs(1));
    }
}

impl Handle {
    /// Encodes the record into this worker's buffer. Makes no system call, but for waking the writer after a pause.
    ///
    /// # Errors
    /// When the record was not taken.
    pub fn append(&self, record: &Record<'_>) -> Result<(), AppendError> {
        let shared = &*self.shared;
        let mut guard = self.worker.lock();
        let buffer = &mut *guard;
        let health = shared.health.load(Ordering::Relaxed);
        let start = buffer.lines.len();
        if health & CLOSED == 0 && start < shared.buffer_max {
            record.encode(&mut buffer.encoder, &mut buffer.lines);
        }
        let end = buffer.lines.len();
        if end == start || end > shared.buffer_max {
            buffer.lines.truncate(start);
            buffer.lost(record.timestamp);
            drop(guard);
            return Err(shared.refuse(health));
        }
        drop(guard);
        if end >= shared.high_water() {
            shared.set(FULL);
        }
        let fills = start < shared.flush_bytes && end >= shared.flush_bytes;
        if fills || !shared.awake.load(Ordering::Acquire) {
            shared.wake(fills);
        }
        Ok(())
    }

    /// Whether a call made now could be recorded. Cheap enough to be asked before each call.
    ///
    /// False once the sink's last write failed, a write makes no progress for [`Config::stall`], a worker's buffer is
    /// seven eighths full (so that the calls under way still find room), or the log is closed.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.shared.healthy()
    }
}

/// What all threads see.
struct Shared {
    workers: Mutex<Vec<Arc<Worker>>>,
    /// [`FAILED`], [`FULL`], [`CLOSED`]; 0 is well.
    health: AtomicU32,
    /// The writer will look at the buffers without being woken.
    awake: AtomicBool,
    stop: AtomicBool,
    writer: OnceLock<Thread>,
    /// Milliseconds since `opened`, plus one, when the write now under way last made progress; 0: none is.
    busy_since: AtomicU64,
    /// Bytes that the writer holds.
    in_flight: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
    error: Mutex<Option<String>>,
    flushes: Mutex<Flushes>,
    flushed: Condvar,
    opened: Instant,
    stall: Duration,
    flush_bytes: usize,
    buffer_max: usize,
}

#[derive(Debug, Default)]
struct Worker(Mutex<Buffer>);

#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<u8>,
    encoder: Encoder,
    gap: Option<Gap>,
}

/// Records that were not taken.
#[derive(Debug, Clone, Copy)]
struct Gap {
    dropped: u64,
    since: SystemTime,
    until: SystemTime,
}

#[derive(Debug, Default)]
struct Flushes {
    asked: u64,
    done: u64,
    /// To the disk, too.
    sync: bool,
}

/// The sink's last write failed.
const FAILED: u32 = 1;
/// A worker's buffer is nearly full.
const FULL: u32 = 1 << 1;
/// No more records are taken.
const CLOSED: u32 = 1 << 2;

/// Room for the longest line, several times.
const BUFFER_MAX_LEAST: usize = 1024 * 1024;

impl Worker {
    fn lock(&self) -> MutexGuard<'_, Buffer> {
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
    fn lost(&mut self, time: SystemTime) {
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
    fn healthy(&self) -> bool {
        self.health.load(Ordering::Relaxed) == 0 && !self.stalled()
    }

    fn stalled(&self) -> bool {
        match self.busy_since.load(Ordering::Relaxed) {
            0 => false,
            since => Duration::from_millis(self.now().saturating_sub(since)) >= self.stall,
        }
    }

    /// Milliseconds since the log was opened, plus one.
    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    fn high_water(&self) -> usize {
        self.buffer_max - self.buffer_max / 8
    }

    fn set(&self, bit: u32) {
        if self.health.load(Ordering::Relaxed) & bit == 0 {
            self.health.fetch_or(bit, Ordering::AcqRel);
        }
    }

    fn clear(&self, bit: u32) {
        if self.health.load(Ordering::Relaxed) & bit != 0 {
            self.health.fetch_and(!bit, Ordering::AcqRel);
        }
    }

    #[cold]
    fn refuse(&self, health: u32) -> AppendError {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        if health & CLOSED != 0 {
            return AppendError::Closed;
        }
        self.set(FULL);
        self.wake(false);
        if health & FAILED != 0 {
            AppendError::SinkFailed
        } else {
            AppendError::Full
        }
    }

    /// Wakes the writer, if it sleeps until woken or `now`.
    #[cold]
    fn wake(&self, now: bool) {
        if (!self.awake.swap(true, Ordering::AcqRel) || now)
            && let Some(writer) = self.writer.get()
        {
            writer.unpark();
        }
    }

    fn flush(&self, timeout: Duration, sync: bool) -> Result<(), FlushError> {
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

    fn status(&self) -> Status {
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

    fn fail(&self, error: &io::Error) {
        *lock(&self.error) = Some(error.to_string());
        self.set(FAILED);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status().fmt(f)
    }
}

/// Nothing under these locks can be left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

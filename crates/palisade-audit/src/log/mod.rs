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
//! Lines get their one order, and are chained, in the [`pipeline`]: the writer thread brings them there in bulk. What must stand in
//! the log before something happens ([`Handle::write_ahead`]) a worker brings there itself, if the pipeline is free.

mod ahead;
mod pipeline;
mod shared;
mod writer;

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use ahead::{Ahead, Staged, Ticket};
use pipeline::{Output, Pipeline};
pub(crate) use shared::lock;
use shared::{BUFFER_MAX_LEAST, CLOSED, FULL, Shared, Worker};

use crate::chain::{Chain, CheckpointKey};
use crate::record::Record;
use crate::sink::{self, OpenError, Opened, Remote, RemoteSink, Rotation, SinkConfig};

/// How the log works.
#[non_exhaustive]
pub struct Config {
    /// Where lines go: the same ones to each, in the same order.
    pub sinks: Vec<SinkConfig>,
    /// Where lines go over the network. Beside [`sinks`](Self::sinks) nothing waits for them: one that is too far behind
    /// misses lines, which is told, and the log is no less healthy for it. Without any, what is written ahead waits until
    /// the first one of these has said that it has it. Default: nowhere.
    pub remotes: Vec<Remote>,
    /// What must have become of a record that is written ahead before its call may leave. Default: written.
    pub durability: Durability,
    /// When files are closed and new ones begun. Default: never.
    pub rotation: Rotation,
    /// What checkpoints are signed with. Default: there are none.
    pub key: Option<CheckpointKey>,
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

/// What has become of a record that was written ahead.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// It waits in this process to be written with others: what kills the process may take it away.
    Buffered,
    /// The disk has it, where there is one; so a failure of the whole machine does not take it away. Records that come at the same time share
    /// one `fdatasync(2)`.
    Synced,
    /// The system has it: no end of this process takes it away.
    #[default]
    Written,
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
    /// A sink over the network that nothing waits for takes lines again.
    CaughtUp {
        /// Its name.
        sink: String,
    },
    /// A sink over the network that nothing waits for does not take lines. They are kept as long as there is room; then it misses some,
    /// which a `gap` in the log tells.
    Delayed {
        /// Its name.
        sink: String,
        /// What is wrong with it.
        error: String,
    },
    /// A new file could not be begun, or an old one not be compressed or removed; lines go on into the file there is.
    RotationFailed {
        /// What the system said.
        error: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { error } => {
                write!(
                    f,
                    "it cannot be written: {error}; what comes is kept as long as there is room"
                )
            }
            Self::CaughtUp { sink } => write!(f, "{sink} takes lines again"),
            Self::Delayed { error, .. } => write!(
                f,
                "{error}; what comes is kept for it as long as there is room"
            ),
            Self::Recovered => f.write_str("it is written again"),
            Self::RotationFailed { error } => {
                write!(
                    f,
                    "old files: {error}; free the disk, or make the directory writable"
                )
            }
        }
    }
}

/// The log; one per process.
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
    "{pending_bytes} bytes of audit records could not be written in time: {cause}; free the disk, or restore what takes the records"
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
    pub fn new(sinks: impl Into<Vec<SinkConfig>>) -> Self {
        Self {
            sinks: sinks.into(),
            remotes: Vec::new(),
            durability: Durability::default(),
            rotation: Rotation::default(),
            key: None,
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
            .field("sinks", &self.sinks)
            .field("remotes", &self.remotes)
            .field("durability", &self.durability)
            .field("rotation", &self.rotation)
            .field("key", &self.key)
            .field("flush_interval", &self.flush_interval)
            .field("flush_bytes", &self.flush_bytes)
            .field("buffer_max", &self.buffer_max)
            .field("stall", &self.stall)
            .finish_non_exhaustive()
    }
}

impl Log {
    /// Opens the sinks, goes on with the chain where a file ends, and starts the writer thread.
    ///
    /// # Errors
    /// When a sink cannot be had, or the thread; each says what to do.
    pub fn open(config: Config) -> Result<Self, OpenError> {
        let durable = config.durability == Durability::Synced;
        let opened = config
            .sinks
            .iter()
            .map(|sink| sink::open(sink, &config.rotation, durable))
            .collect::<Result<Vec<_>, _>>()?;
        Self::over(opened, config)
    }

    fn over(opened: Vec<Opened>, config: Config) -> Result<Self, OpenError> {
        let remotes = config
            .remotes
            .into_iter()
            .map(RemoteSink::open)
            .collect::<Result<Vec<_>, _>>()?;
        let buffer_max = config.buffer_max.max(BUFFER_MAX_LEAST);
        let now = Instant::now();
        // Of several files one may have missed the end.
        let chain = opened
            .iter()
            .filter_map(|opened| opened.chain.clone())
            .max_by_key(Chain::next_seq)
            .unwrap_or_default();
        let public = config.key.as_ref().map(CheckpointKey::public);
        let mut outputs = Vec::new();
        let mut cut = Vec::new();
        for opened in opened {
            outputs.push(Output::local(opened.sink));
            cut.extend(opened.cut);
        }
        let alone = outputs.is_empty();
        for (at, remote) in remotes.into_iter().enumerate() {
            outputs.push(Output::remote(Box::new(remote), alone && at == 0));
        }
        let synced = config.durability == Durability::Synced;
        let shared = Arc::new(Shared {
            workers: Mutex::default(),
            pipeline: Mutex::new(Pipeline::new(chain, config.key, outputs, synced, now)),
            on_change: Mutex::new(config.on_change),
            health: 0.into(),
            awake: true.into(),
            stop: false.into(),
            writer: OnceLock::new(),
            busy_since: 0.into(),
            slow_until: 0.into(),
            in_flight: 0.into(),
            written: 0.into(),
            dropped: 0.into(),
            error: Mutex::default(),
            flushes: Mutex::default(),
            flushed: Condvar::new(),
            opened: now,
            stall: config.stall,
            flush_bytes: config.flush_bytes.clamp(1, buffer_max / 2),
            buffer_max,
            durability: config.durability,
        });
        {
            let mut more = Vec::new();
            if let Some(public) = public {
                more.extend_from_slice(format!(",\"key\":\"{public}\"").as_bytes());
            }
            for line in cut {
                // It was written redacted; it is no line of its own any more.
                more.extend_from_slice(b",\"cut\":");
                crate::escape::push_string(&mut more, &String::from_utf8_lossy(&line));
            }
            lock(&shared.pipeline).event("start", &more, &shared);
        }
        let writer = writer::spawn(Arc::clone(&shared), config.flush_interval)
            .map_err(|source| OpenError::Thread { source })?;
        // Set before any handle exists, so whoever appends finds it.
        let _ = shared.writer.set(writer.thread().clone());
        lock(&shared.pipeline).wake_when_taken(writer.thread());
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
        self.append_below(record, self.shared.buffer_max)
    }

    /// As [`Handle::append`], for what anybody can cause at will, such as refusals: it gets half of the buffer and makes the log
    /// in no case [unhealthy](Handle::healthy), so that it takes no room from what has happened.
    ///
    /// # Errors
    /// When the record was not taken.
    pub fn append_minor(&self, record: &Record<'_>) -> Result<(), AppendError> {
        self.append_below(record, self.shared.buffer_max / 2)
    }

    fn append_below(&self, record: &Record<'_>, most: usize) -> Result<(), AppendError> {
        let shared = &*self.shared;
        let mut guard = self.worker.lock();
        let buffer = &mut *guard;
        let health = shared.health.load(Ordering::Relaxed);
        let start = buffer.lines.len();
        if health & CLOSED == 0 && start < most {
            record.encode(&mut buffer.encoder, &mut buffer.lines);
        }
        let end = buffer.lines.len();
        if end == start || end > most {
            buffer.lines.truncate(start);
            buffer.lost(record.timestamp);
            drop(guard);
            return Err(shared.refuse(1, most == shared.buffer_max));
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

#[cfg(test)]
mod tests;

//! A sink over the network: batches of lines that somebody else has to say he has.
//!
//! The writer thread hands over a batch and goes on; a thread of the sink's own [delivers](Deliver) it, as often as it takes. What
//! was not acknowledged stays in the log's backlog, so the bounds and the gaps of that hold here, too: a batch
//! counts as written when it was acknowledged, and not before.

use std::fmt;
use std::io::{self, IoSlice};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::{OpenError, Sink};
use crate::chain::seq_of;
use crate::log::lock;

/// Brings lines to where they are kept over the network. Each sink has a thread of its own, on which this may block; it
/// must have a time limit.
pub trait Deliver: Send {
    /// Tries once to deliver a batch.
    ///
    /// # Errors
    /// When the other side has not said that it has all of it; the same lines come again, perhaps with
    /// others behind them where the process was started anew.
    fn deliver(&mut self, batch: &Batch<'_>) -> Result<Delivered, DeliverError>;
}

/// Chained lines, whole, each with its line feed.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Batch<'a> {
    /// The lines.
    pub lines: &'a [u8],
    /// The `seq` of the first.
    pub first: u64,
    /// The `seq` of the last.
    pub last: u64,
}

/// The other side has the batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivered {
    /// How many of the lines it has refused for good (OTLP's partial success), and why.
    pub rejected: Option<(u64, String)>,
}

/// The other side does not have the batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct DeliverError {
    /// What is wrong, and what to do about it.
    pub cause: String,
    /// What kind of trouble it is.
    pub kind: DeliverErrorKind,
}

/// What can be done about a batch that was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeliverErrorKind {
    /// It may pass; not before this time, where the other side has named one.
    Passing(Option<Duration>),
    /// It will not pass by itself. The batch is tried again all the same, less often.
    Lasting,
    /// The batch is too large; less of it is tried.
    TooLarge,
}

/// A sink over the network; see [`Config::remotes`](crate::Config::remotes).
#[non_exhaustive]
pub struct Remote {
    /// As its operator knows it.
    pub name: String,
    /// How a batch gets there.
    pub deliver: Box<dyn Deliver>,
    /// How long a line waits at most for others to go with it, if no call waits for it. Default 1 s.
    pub every: Duration,
    /// Nor does it wait where so many bytes do. Default 256 KiB.
    pub enough: usize,
    /// No batch has more bytes, but for one line that has. Default 1 MiB.
    pub batch_max: usize,
    /// Each batch ends with a checkpoint, so that it can be verified by itself. Default: it does not.
    pub seals: bool,
}

impl Remote {
    /// With the defaults.
    #[must_use]
    pub fn new(name: impl Into<String>, deliver: Box<dyn Deliver>) -> Self {
        Self {
            name: name.into(),
            deliver,
            every: Duration::from_secs(1),
            enough: 256 * 1024,
            batch_max: 1024 * 1024,
            seals: false,
        }
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote")
            .field("name", &self.name)
            .field("every", &self.every)
            .field("enough", &self.enough)
            .field("batch_max", &self.batch_max)
            .field("seals", &self.seals)
            .finish_non_exhaustive()
    }
}

/// Lines that the other side will never have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rejected {
    pub(crate) lines: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) cause: String,
}

/// The writer thread's end.
pub(crate) struct RemoteSink {
    name: String,
    every: Duration,
    enough: usize,
    batch_max: usize,
    /// No batch has more bytes for the time being: one was too large.
    most: usize,
    seals: bool,
    /// What is offered next is taken.
    ready: bool,
    /// The first batch waits for nothing, so that what is wrong shows at once.
    first: bool,
    /// Since when lines wait for others to go with them.
    since: Option<Instant>,
    in_flight: usize,
    rejected: Option<Rejected>,
    post: Arc<Post>,
}

/// What the two threads share.
#[derive(Debug, Default)]
struct Post {
    state: Mutex<State>,
    changed: Condvar,
    writer: OnceLock<Thread>,
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    /// Why the batch under way has not been delivered so far, if that is no passing matter.
    failing: Option<String>,
    closed: bool,
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Idle,
    Over(Over),
    UnderWay(Arc<Vec<u8>>),
}

#[derive(Debug)]
enum Over {
    Delivered(Option<Rejected>),
    TooLarge,
}

impl RemoteSink {
    pub(crate) fn open(remote: Remote) -> Result<Self, OpenError> {
        let post = Arc::new(Post::default());
        let courier = Courier {
            deliver: remote.deliver,
            post: Arc::clone(&post),
            failures: 0,
        };
        thread::Builder::new()
            .name(String::from("audit-remote"))
            .spawn(move || courier.run())
            .map_err(|source| OpenError::Thread { source })?;
        let batch_max = remote.batch_max.max(1);
        Ok(Self {
            name: remote.name,
            every: remote.every,
            enough: remote.enough,
            batch_max,
            most: batch_max,
            seals: remote.seals,
            ready: false,
            first: true,
            since: None,
            in_flight: 0,
            rejected: None,
            post,
        })
    }

    fn is_idle(&self) -> bool {
        matches!(lock(&self.post.state).stage, Stage::Idle)
    }
}

impl Sink for RemoteSink {
    fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = lock(&self.post.state);
        match std::mem::take(&mut state.stage) {
            Stage::Idle => {}
            Stage::Over(Over::Delivered(rejected)) => {
                self.rejected = rejected;
                self.since = None;
                self.most = self.most.saturating_mul(2).min(self.batch_max);
                return Ok(self.in_flight);
            }
            Stage::Over(Over::TooLarge) => self.most = (self.in_flight / 2).max(1),
            under_way @ Stage::UnderWay(_) => {
                state.stage = under_way;
                return Err(match &state.failing {
                    Some(cause) => io::Error::other(format!("{}: {cause}", self.name)),
                    None => io::ErrorKind::WouldBlock.into(),
                });
            }
        }
        if std::mem::take(&mut self.ready) {
            let batch = gather(lines, self.most);
            self.first = false;
            self.in_flight = batch.len();
            state.stage = Stage::UnderWay(Arc::new(batch));
            self.post.changed.notify_all();
        } else {
            self.since.get_or_insert_with(Instant::now);
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(()) // What was acknowledged is the other side's to keep.
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn offer(&mut self, held: usize, hurry: bool) -> bool {
        // What was delivered is taken off first.
        let waits = match &lock(&self.post.state).stage {
            Stage::Idle | Stage::Over(Over::TooLarge) => held,
            Stage::Over(Over::Delivered(_)) => held.saturating_sub(self.in_flight),
            Stage::UnderWay(_) => 0,
        };
        let late = self
            .since
            .is_some_and(|since| since.elapsed() >= self.every);
        self.ready = waits > 0 && (hurry || self.first || late || waits >= self.enough);
        self.ready && self.seals
    }

    fn holds(&self) -> bool {
        self.is_idle()
    }

    fn due(&self) -> Option<Duration> {
        let since = self.since.filter(|_| self.is_idle())?;
        Some(self.every.saturating_sub(since.elapsed()))
    }

    fn rejected(&mut self) -> Option<Rejected> {
        self.rejected.take()
    }

    fn wakes(&self, writer: Thread) {
        let _ = self.post.writer.set(writer);
    }
}

impl Drop for RemoteSink {
    fn drop(&mut self) {
        lock(&self.post.state).closed = true;
        self.post.changed.notify_all();
    }
}

/// As many whole lines as `most` bytes hold, one at least.
fn gather(lines: &[IoSlice<'_>], most: usize) -> Vec<u8> {
    let mut batch = Vec::new();
    for slice in lines {
        let room = most.saturating_sub(batch.len());
        if slice.len() <= room {
            batch.extend_from_slice(slice);
            continue;
        }
        let end = match memchr::memrchr(b'\n', &slice[..room]) {
            Some(at) => at + 1,
            None if batch.is_empty() => {
                memchr::memchr(b'\n', slice).map_or(slice.len(), |at| at + 1)
            }
            None => 0,
        };
        batch.extend_from_slice(&slice[..end]);
        break;
    }
    batch
}

/// The thread that delivers.
struct Courier {
    deliver: Box<dyn Deliver>,
    post: Arc<Post>,
    /// In a row.
    failures: u32,
}

impl Courier {
    fn run(mut self) {
        while let Some(lines) = self.next() {
            let Some(over) = self.deliver(&lines) else {
                return;
            };
            let mut state = lock(&self.post.state);
            state.failing = None;
            state.stage = Stage::Over(over);
            drop(state);
            self.post.wake();
        }
    }

    /// Waits for a batch; `None` at the end.
    fn next(&self) -> Option<Arc<Vec<u8>>> {
        let state = lock(&self.post.state);
        let waits = |state: &mut State| !state.closed && !matches!(state.stage, Stage::UnderWay(_));
        let state = self.post.changed.wait_while(state, waits);
        let state = state.unwrap_or_else(std::sync::PoisonError::into_inner);
        match &state.stage {
            Stage::UnderWay(lines) if !state.closed => Some(Arc::clone(lines)),
            _ => None,
        }
    }

    /// Tries until it is over.
    fn deliver(&mut self, lines: &[u8]) -> Option<Over> {
        let batch = Batch::of(lines);
        loop {
            match self.deliver.deliver(&batch) {
                Ok(Delivered { rejected: None }) => {
                    self.failures = 0;
                    return Some(Over::Delivered(None));
                }
                Ok(Delivered {
                    rejected: Some((lines, cause)),
                }) => {
                    // The next batch, which is about this one, may fare no better.
                    self.failures = self.failures.saturating_add(1);
                    self.pause(None)?;
                    return Some(Over::Delivered(Some(Rejected {
                        lines,
                        from: batch.first,
                        to: batch.last,
                        cause,
                    })));
                }
                Err(error) => {
                    if error.kind == DeliverErrorKind::TooLarge && batch.first < batch.last {
                        return Some(Over::TooLarge);
                    }
                    self.failures = self.failures.saturating_add(1);
                    let after = match error.kind {
                        DeliverErrorKind::Passing(after) => after,
                        DeliverErrorKind::Lasting | DeliverErrorKind::TooLarge => {
                            Some(LASTING_PAUSE)
                        }
                    };
                    // Once is nothing to worry about.
                    if self.failures > 1 || after.is_some_and(|after| after > PAUSE_QUIET) {
                        lock(&self.post.state).failing = Some(error.cause);
                        self.post.wake();
                    }
                    self.pause(after)?;
                }
            }
        }
    }

    /// `None` at the end.
    fn pause(&self, at_least: Option<Duration>) -> Option<()> {
        let doubled = PAUSE.saturating_mul(1 << self.failures.saturating_sub(1).min(16));
        let pause = doubled.min(PAUSE_MOST);
        let pause = pause.max(at_least.unwrap_or_default().min(PAUSE_ASKED_MOST));
        let until = Instant::now() + pause;
        let mut state = lock(&self.post.state);
        while !state.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(());
            }
            let waited = self.post.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        None
    }
}

impl Post {
    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }
}

impl<'a> Batch<'a> {
    fn of(lines: &'a [u8]) -> Self {
        let whole = lines.strip_suffix(b"\n").unwrap_or(lines);
        let first = whole.split(|byte| *byte == b'\n').next();
        let last = whole.rsplit(|byte| *byte == b'\n').next();
        let seq = |line: Option<&[u8]>| line.and_then(seq_of).unwrap_or_default();
        Self {
            lines,
            first: seq(first),
            last: seq(last),
        }
    }
}

/// After the first failure; doubled after each further one.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_MOST: Duration = Duration::from_secs(10);

/// What the other side may ask for.
const PAUSE_ASKED_MOST: Duration = Duration::from_secs(60);

/// A longer one is a failure at once, rather than something that calls wait for.
const PAUSE_QUIET: Duration = Duration::from_secs(1);

/// What is not going to pass by itself.
const LASTING_PAUSE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_of_whole_lines() {
        let slices = [&b"aa\nbbb\n"[..], b"c\n", b"dddddd\n"].map(IoSlice::new);
        for (most, expected) in [
            (0, "aa\n"),
            (1, "aa\n"),
            (3, "aa\n"),
            (6, "aa\n"),
            (7, "aa\nbbb\n"),
            (8, "aa\nbbb\n"),
            (9, "aa\nbbb\nc\n"),
            (15, "aa\nbbb\nc\n"),
            (16, "aa\nbbb\nc\ndddddd\n"),
            (usize::MAX, "aa\nbbb\nc\ndddddd\n"),
        ] {
            assert_eq!(gather(&slices, most), expected.as_bytes(), "{most}");
        }
    }
}

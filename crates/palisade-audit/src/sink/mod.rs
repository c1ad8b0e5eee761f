//! Where lines go. A sink takes whole lines in a row, as many as there are, and says honestly what it took.

mod archive;
mod file;
mod remote;
mod stdout;

use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::thread::Thread;
use std::time::{Duration, SystemTime};

use crate::chain::Chain;

/// Which sink to open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkConfig {
    /// A file, appended to, made with mode 0600 if it is not there, locked against a second writer.
    File(PathBuf),
    /// Standard output.
    Stdout,
}

impl From<SinkConfig> for Vec<SinkConfig> {
    fn from(sink: SinkConfig) -> Self {
        vec![sink]
    }
}

/// Why the log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be opened or read.
    #[error("cannot open the audit log `{path}`: {source}; make its directory exist and be writable for this user, or name another file under `[audit] sink`", path = .path.display())]
    File {
        /// As configured.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The path is a directory, a device, a pipe or a socket.
    #[error("the audit log `{path}` is no regular file; name a file under `[audit] sink`", path = .path.display())]
    NotAFile {
        /// As configured.
        path: PathBuf,
    },
    /// Another process holds the file.
    #[error("the audit log `{path}` is being written by another process; stop that one, or give each instance a file of its own under `[audit] sink`", path = .path.display())]
    Locked {
        /// As configured.
        path: PathBuf,
    },
    /// Standard output cannot be used.
    #[error(
        "cannot write the audit log to standard output: {source}; connect it, or name a file under `[audit] sink`"
    )]
    Stdout {
        /// What the system said.
        source: io::Error,
    },
    /// The writer's thread cannot be started.
    #[error(
        "cannot start the audit log's writer thread: {source}; raise the limit of processes for this user"
    )]
    Thread {
        /// What the system said.
        source: io::Error,
    },
}

/// When a file is closed and a new one begun, and what becomes of the old ones.
///
/// An old file is named after the log with the moment and the number of the line behind its last one, as in
/// `audit-20261121T081012Z-000000012345.ndjson`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// When it has so many bytes. Default: never.
    pub max_bytes: Option<u64>,
    /// When its first line is so old. Default: never.
    pub max_age: Option<Duration>,
    /// Of old files. Default: none.
    pub compression: Compression,
    /// How many old files are kept. Default: all.
    pub keep: Option<usize>,
    /// How long old files are kept, by the moment in their names. Default: for ever.
    pub keep_for: Option<Duration>,
}

/// How old files are compressed, by a thread of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// Not at all.
    #[default]
    None,
    /// RFC 8878.
    Zstd,
}

/// Takes bytes.
pub(crate) trait Sink: Send {
    /// Writes a front part of `lines`, as `writev(2)` does, and says how much. What is no file on a disk says
    /// [`io::ErrorKind::WouldBlock`] where it would have to be waited for.
    fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Hands what was written to the disk, where there is one.
    fn sync(&mut self) -> io::Result<()>;

    /// As its operator knows it.
    fn name(&self) -> String;

    /// Whether it takes so many bytes now, at once and together.
    fn takes(&self, _length: usize) -> bool {
        true
    }

    /// What to wait for where it says [`io::ErrorKind::WouldBlock`].
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Says, before lines are [written](Sink::write), how many bytes wait, and whether anybody waits for them. `true`: it is
    /// about to take all of them, and their last line should be a checkpoint.
    fn offer(&mut self, _held: usize, _hurry: bool) -> bool {
        false
    }

    /// Whether it would rather have more lines before it takes any, and so is not to be waited for.
    fn holds(&self) -> bool {
        false
    }

    /// What it has taken last without keeping it.
    fn rejected(&mut self) -> Option<Rejected> {
        None
    }

    /// This thread is unparked when it may take more than before.
    fn wakes(&self, _writer: Thread) {}

    /// In how long it [wants a turn](Sink::wants_turn), or what it [holds](Sink::holds), if nothing comes.
    fn due(&self) -> Option<Duration> {
        None
    }

    /// Whether it is time for a new file.
    fn wants_turn(&self) -> bool {
        false
    }

    /// Begins a new file; `seq` is the number of its first line. Says how the old one is named now.
    fn turn(&mut self, _now: SystemTime, _seq: u64) -> io::Result<Option<String>> {
        Ok(None)
    }

    /// What went wrong with old files since the last time it was asked.
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// A sink, and where its chain stands.
pub(crate) struct Opened {
    pub(crate) sink: Box<dyn Sink>,
    /// Behind its last line.
    pub(crate) chain: Option<Chain>,
    /// What a crash has left of a line, taken out of the file.
    pub(crate) cut: Option<Vec<u8>>,
}

pub use remote::{Batch, Deliver, DeliverError, DeliverErrorKind, Delivered, Remote};
pub(crate) use remote::{Rejected, RemoteSink};
pub(crate) use stdout::DescriptorSink;

/// `durable`: what is [synced](Sink::sync) must be found again after the machine has failed.
pub(crate) fn open(
    config: &SinkConfig,
    rotation: &Rotation,
    durable: bool,
) -> Result<Opened, OpenError> {
    match config {
        SinkConfig::File(path) => file::open(path, rotation, durable),
        SinkConfig::Stdout => Ok(Opened {
            sink: Box::new(DescriptorSink::stdout()?),
            chain: None,
            cut: None,
        }),
    }
}

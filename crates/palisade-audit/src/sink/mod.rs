//! Where lines go. A sink takes whole lines in a row, as many as there are, and says honestly what it took.

mod file;
mod stdout;

use std::io::{self, IoSlice};
use std::path::PathBuf;

/// Which sink to open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkConfig {
    /// A file, appended to, made with mode 0600 if it is not there, locked against a second writer.
    File(PathBuf),
    /// Standard output.
    Stdout,
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

/// Takes bytes; only the writer thread calls it.
pub(crate) trait Sink: Send {
    /// Writes a front part of `lines`, as `writev(2)` does, and says how much. May block.
    fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Hands what was written to the disk, where there is one.
    fn sync(&mut self) -> io::Result<()>;
}

pub(crate) use stdout::DescriptorSink;

pub(crate) fn open(config: &SinkConfig) -> Result<Box<dyn Sink>, OpenError> {
    Ok(match config {
        SinkConfig::File(path) => Box::new(file::FileSink::open(path)?),
        SinkConfig::Stdout => Box::new(DescriptorSink::stdout()?),
    })
}

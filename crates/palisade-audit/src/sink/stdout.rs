//! Standard output, unbuffered, never waited for.

use std::fs::{File, FileType, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{OpenError, Sink};

/// An open descriptor.
pub(crate) struct DescriptorSink {
    file: File,
    /// A file on a disk: it may be slow, but nobody has to read it.
    regular: bool,
    /// A pipe by a description of our own that never waits.
    non_blocking: bool,
}

impl DescriptorSink {
    /// A duplicate of descriptor 1: `std::io::Stdout` would buffer lines, and take a closed descriptor for success.
    pub(crate) fn stdout() -> Result<Self, OpenError> {
        let descriptor = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|source| OpenError::Stdout { source })?;
        Ok(Self::over(File::from(descriptor)))
    }

    pub(crate) fn over(file: File) -> Self {
        let metadata = file.metadata();
        let is = |kind: fn(&FileType) -> bool| {
            metadata
                .as_ref()
                .is_ok_and(|metadata| kind(&metadata.file_type()))
        };
        let regular = is(FileType::is_file);
        let own = if is(FileType::is_fifo) {
            reopened(&file)
        } else {
            None
        };
        Self {
            regular,
            non_blocking: own.is_some(),
            file: own.unwrap_or(file),
        }
    }

    /// Whether a write would not wait, or would fail. The description is shared with whoever has given it to us, so it is
    /// not made non-blocking.
    fn is_ready(&self) -> bool {
        let mut ask = [PollFd::new(&self.file, PollFlags::OUT)];
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        !matches!(poll(&mut ask, Some(&at_once)), Ok(0))
    }
}

impl Sink for DescriptorSink {
    fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.regular || self.non_blocking {
            return self.file.write_vectored(lines);
        }
        if !self.is_ready() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // A pipe that is ready takes as much without waiting (pipe(7)).
        let first = lines.iter().find(|slice| !slice.is_empty());
        let first: &[u8] = first.map_or(&[], |slice| slice);
        self.file.write(&first[..first.len().min(AT_ONCE)])
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.regular {
            return self.file.sync_data();
        }
        Ok(()) // Whoever reads it keeps it.
    }

    fn name(&self) -> String {
        String::from("stdout")
    }

    fn takes(&self, length: usize) -> bool {
        self.regular || self.non_blocking || length <= AT_ONCE
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        (!self.regular).then(|| self.file.as_fd())
    }
}

/// The same pipe by a description of its own, which saves asking before each write. Not everybody may open what he was given.
fn reopened(pipe: &File) -> Option<File> {
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    let mut options = OpenOptions::new();
    let options = options.write(true).custom_flags(libc::O_NONBLOCK);
    options.open(path).ok()
}

/// `PIPE_BUF` of Linux: what a pipe takes whole or not at all.
const AT_ONCE: usize = 4096;

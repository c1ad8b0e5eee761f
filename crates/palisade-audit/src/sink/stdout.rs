//! Standard output, unbuffered.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::AsFd;

use super::{OpenError, Sink};

/// A duplicate of descriptor 1: `std::io::Stdout` would buffer lines, and take a closed descriptor for success.
pub(crate) struct StdoutSink(File);

impl StdoutSink {
    pub(crate) fn open() -> Result<Self, OpenError> {
        let descriptor = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|source| OpenError::Stdout { source })?;
        Ok(Self(File::from(descriptor)))
    }
}

impl Sink for StdoutSink {
    fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(lines)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(()) // Whoever reads it keeps it.
    }
}

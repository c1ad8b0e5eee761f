//! Standard output, unbuffered.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::os::fd::AsFd;

use super::{OpenError, Sink};

/// An open descriptor.
pub(crate) struct DescriptorSink(File);

impl DescriptorSink {
    /// A duplicate of descriptor 1: `std::io::Stdout` would buffer lines, and take a closed descriptor for success.
    pub(crate) fn stdout() -> Result<Self, OpenError> {
        let descriptor = io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map_err(|source| OpenError::Stdout { source })?;
        Ok(Self(File::from(descriptor)))
    }

    #[cfg(test)]
    pub(crate) fn over(file: File) -> Self {
        Self(file)
    }
}

impl Sink for DescriptorSink {
    fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(lines)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(()) // Whoever reads it keeps it.
    }
}

//! A file of this process alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, IoSlice, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use super::{OpenError, Sink};

/// Opened for appending; the lock lasts as long as it is open.
#[derive(Debug)]
pub(crate) struct FileSink(File);

impl FileSink {
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::File {
            path: path.to_owned(),
            source,
        };
        // Looked at before it is opened: opening a pipe would wait for its reader.
        if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(OpenError::NotAFile {
                path: path.to_owned(),
            });
        }
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // A writer that was killed may have left half a line: ours begin on a fresh one.
        let end = file.seek(SeekFrom::End(0)).map_err(failed)?;
        let mut last = [b'\n'];
        if end > 0 {
            file.read_exact_at(&mut last, end - 1).map_err(failed)?;
        }
        if last != [b'\n'] {
            file.write_all(b"\n").map_err(failed)?;
        }
        Ok(Self(file))
    }
}

impl Sink for FileSink {
    fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(lines)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

//! What becomes of old files: compressed, and removed in time. None of it on the way of a line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use super::file::file_name;
use super::{Compression, Rotation};
use crate::record::Encoder;

/// The old files of one log.
#[derive(Clone)]
pub(super) struct Archive {
    /// The log itself.
    path: PathBuf,
    compression: Compression,
    keep: Option<usize>,
    keep_for: Option<Duration>,
    trouble: Arc<Mutex<Option<String>>>,
}

/// Held while somebody tidies up, or must not be surprised by it. For the whole process: a log that was closed may still be at
/// its old files when it is opened again.
static TIDYING: Mutex<()> = Mutex::new(());

/// An old file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Old {
    /// The number behind its last line.
    seq: u64,
    moment: String,
    path: PathBuf,
    compressed: bool,
}

impl Archive {
    pub(super) fn new(path: &Path, rotation: &Rotation) -> Self {
        Self {
            path: path.to_owned(),
            compression: rotation.compression,
            keep: rotation.keep,
            keep_for: rotation.keep_for,
            trouble: Arc::default(),
        }
    }

    /// What `read` makes of the file that was closed last.
    pub(super) fn of_newest<T>(&self, read: impl FnOnce(&Path) -> Option<T>) -> Option<T> {
        let _alone = TIDYING.lock().unwrap_or_else(PoisonError::into_inner);
        read(&self.list().ok()?.pop()?.path)
    }

    /// Takes away a second name of the file that is still written.
    pub(super) fn forget_links(&self, file: &File) -> io::Result<()> {
        let _alone = TIDYING.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = file.metadata()?;
        for old in self.list()? {
            let there = match fs::metadata(&old.path) {
                // Somebody else tidies here, too.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                there => there?,
            };
            if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) {
                fs::remove_file(&old.path)?;
            }
        }
        Ok(())
    }

    /// Compresses and removes what it is time for, on a thread of its own. `closed` is the file that was closed just now; it is
    /// handed to the disk first.
    pub(super) fn tidy(&self, closed: Option<File>) {
        if closed.is_none()
            && self.compression == Compression::None
            && self.keep.is_none()
            && self.keep_for.is_none()
        {
            return;
        }
        let archive = self.clone();
        let spawned = thread::Builder::new()
            .name(String::from("audit-archive"))
            .spawn(move || {
                let result = closed
                    .map_or(Ok(()), |closed| closed.sync_data())
                    .and_then(|()| archive.tidy_up());
                if let Err(error) = result {
                    archive.complain(&error);
                }
            });
        if let Err(error) = spawned {
            self.complain(&error);
        }
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn complain(&self, error: &io::Error) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }

    fn tidy_up(&self) -> io::Result<()> {
        let _alone = TIDYING.lock().unwrap_or_else(PoisonError::into_inner);
        if self.compression != Compression::None {
            for old in self.list()?.iter().filter(|old| !old.compressed) {
                self.compress(&old.path)?;
            }
        }
        let mut kept = self.list()?;
        if let Some(keep) = self.keep {
            let many = kept.len().saturating_sub(keep);
            for old in kept.drain(..many) {
                fs::remove_file(&old.path)?;
            }
        }
        if let Some(limit) = self
            .keep_for
            .and_then(|span| SystemTime::now().checked_sub(span))
        {
            let limit = moment(limit);
            for old in kept.iter().filter(|old| old.moment < limit) {
                fs::remove_file(&old.path)?;
            }
        }
        Ok(())
    }

    /// Under another name first: a crash leaves the old file, and no half of a new one that is taken for whole.
    fn compress(&self, path: &Path) -> io::Result<()> {
        let ending = match self.compression {
            Compression::Gzip => "gz",
            Compression::None => return Ok(()),
            Compression::Zstd => "zst",
        };
        let name = file_name(path);
        let whole = path.with_file_name(format!("{name}.{ending}"));
        let half = path.with_file_name(format!("{name}.{ending}.part"));
        let made = (|| {
            let mut from = File::open(path)?;
            let mut options = OpenOptions::new();
            let to = options.write(true).create(true).truncate(true).mode(0o600);
            let to = to.open(&half)?;
            let mut to = match self.compression {
                Compression::Gzip => {
                    let level = flate2::Compression::default();
                    let mut encoder = flate2::write::GzEncoder::new(to, level);
                    io::copy(&mut from, &mut encoder)?;
                    encoder.finish()?
                }
                _ => {
                    let mut encoder = zstd::stream::write::Encoder::new(to, ZSTD_LEVEL)?;
                    encoder.include_checksum(true)?;
                    io::copy(&mut from, &mut encoder)?;
                    encoder.finish()?
                }
            };
            to.flush()?;
            to.sync_all()?;
            fs::rename(&half, &whole)?;
            fs::remove_file(path)
        })();
        if made.is_err() {
            // Whatever there is of it is of no use, and may fill the disk.
            let _ = fs::remove_file(&half);
        }
        made
    }

    /// The oldest first.
    fn list(&self) -> io::Result<Vec<Old>> {
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let mut olds = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if let Some(name) = entry.file_name().to_str()
                && let Some((moment, seq, compressed)) = self.read_name(name)
            {
                olds.push(Old {
                    seq,
                    moment: moment.to_owned(),
                    path: self.path.with_file_name(name),
                    compressed,
                });
            }
        }
        // By the chain: clocks jump.
        olds.sort();
        Ok(olds)
    }

    /// Strictly as [`rotated_name`] writes it: what somebody else has put there is not ours to remove.
    fn read_name<'a>(&self, name: &'a str) -> Option<(&'a str, u64, bool)> {
        let (stem, ending) = split(&self.path);
        let rest = name.strip_prefix(stem.as_str())?.strip_prefix('-')?;
        let (moment, rest) = rest.split_once('-')?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (seq, rest) = rest.split_at(digits);
        let rest = rest.strip_prefix(ending.as_str())?;
        let plain = |byte: u8| byte.is_ascii_digit() || byte == b'T' || byte == b'Z';
        (moment.len() == 16
            && moment.bytes().all(plain)
            && digits >= 12
            && matches!(rest, "" | ".gz" | ".zst"))
        .then_some(())?;
        Some((moment, seq.parse().ok()?, !rest.is_empty()))
    }
}

/// How a log is named that was closed at `now`; `seq` is the number behind its last line, if it has numbers.
pub(super) fn rotated_name(path: &Path, now: SystemTime, seq: Option<u64>) -> String {
    let (stem, ending) = split(path);
    let moment = moment(now);
    match seq {
        Some(seq) => format!("{stem}-{moment}-{seq:012}{ending}"),
        None => format!("{stem}-{moment}-unchained{ending}"),
    }
}

/// `20261121T081012Z`, of ISO 8601.
fn moment(time: SystemTime) -> String {
    let text = Encoder::default().time(time);
    let second = text.split('.').next().unwrap_or_default();
    format!("{}Z", second.replace(['-', ':'], ""))
}

fn split(path: &Path) -> (String, String) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().map_or(String::new(), |ending| {
        format!(".{}", ending.to_string_lossy())
    });
    (stem.into_owned(), ending)
}

/// Of lines like these, level 1 makes less than level 3, in half the time.
const ZSTD_LEVEL: i32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let archive = Archive::new(Path::new("logs/audit.ndjson"), &Rotation::default());
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_793_404_800_042);
        let name = rotated_name(&archive.path, time, Some(12_345));
        assert_eq!(name, "audit-20261031T000000Z-000000012345.ndjson");
        assert_eq!(
            archive.read_name(&name),
            Some(("20261031T000000Z", 12_345, false))
        );
        let packed = format!("{name}.zst");
        assert_eq!(
            archive.read_name(&packed),
            Some(("20261031T000000Z", 12_345, true))
        );
        for other in [
            "audit.ndjson",
            "audit-20261031T000000Z-unchained.ndjson",
            "audit-20261031T000000Z-12345.ndjson",
            "audit-20261031T000000Z-000000012345.ndjson.zst.part",
            "audit-x-000000012345.ndjson",
            "other-20261031T000000Z-000000012345.ndjson",
        ] {
            assert_eq!(archive.read_name(other), None, "{other}");
        }
        let bare = Archive::new(Path::new("audit"), &Rotation::default());
        let name = rotated_name(&bare.path, time, Some(7));
        assert_eq!(name, "audit-20261031T000000Z-000000000007");
        assert!(bare.read_name(&name).is_some());
    }
}

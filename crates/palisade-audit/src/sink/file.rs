//! A file of this process alone, closed and begun anew when it is large or old enough.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, IoSlice, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::archive::{Archive, rotated_name};
use super::{OpenError, Opened, Rotation, Sink};
use crate::chain::Chain;
use crate::query::{parse_time, sources};

/// Opened for appending; the lock lasts as long as it is open.
struct FileSink {
    path: PathBuf,
    file: File,
    size: u64,
    /// When its first line was written.
    begun: Instant,
    rotation: Rotation,
    /// Its name is handed to the disk, too.
    durable: bool,
    archive: Archive,
    /// After a turn that failed.
    not_before: Option<Instant>,
}

pub(super) fn open(path: &Path, rotation: &Rotation, durable: bool) -> Result<Opened, OpenError> {
    let failed = |source| OpenError::File {
        path: path.to_owned(),
        source,
    };
    // Where the name is a link, what it leads to is what gets another name in time.
    let linked = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    let target = linked.then(|| fs::canonicalize(path).ok()).flatten();
    let path = target.as_deref().unwrap_or(path);
    let mut file = locked(path)?;
    let archive = Archive::new(path, rotation);
    // A crash between the two steps of a turn has left a second name.
    archive.forget_links(&file).map_err(failed)?;
    let mut tail = Tail::read(&mut file).map_err(failed)?;
    let mut cut = None;
    if let Some(fragment) = tail.fragment.take() {
        // A writer that was killed, or a disk that was full, has left half a line.
        file.set_len(tail.whole).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        cut = Some(fragment);
    }
    if tail.chain.is_none() && tail.whole > 0 {
        // No log of ours, or one from before there were chains: it is kept, beside.
        let name = rotated_name(path, SystemTime::now(), None);
        fs::rename(path, path.with_file_name(name)).map_err(failed)?;
        file = locked(path)?;
        tail.whole = 0;
    }
    if tail.whole == 0 && tail.chain.is_none() {
        tail.chain = archive.of_newest(last_of);
    }
    let age = if tail.whole == 0 {
        Duration::ZERO
    } else {
        age(&file)
    };
    if durable {
        sync_directory(path).map_err(failed)?;
    }
    archive.tidy(None);
    let begun = Instant::now();
    Ok(Opened {
        sink: Box::new(FileSink {
            path: path.to_owned(),
            file,
            size: tail.whole,
            begun: begun.checked_sub(age).unwrap_or(begun),
            rotation: rotation.clone(),
            durable,
            archive,
            not_before: None,
        }),
        chain: tail.chain,
        cut,
    })
}

impl FileSink {
    fn age_left(&self) -> Option<Duration> {
        let age = self.rotation.max_age?;
        Some(age.saturating_sub(self.begun.elapsed()))
    }

    fn begin(&mut self, now: SystemTime, seq: u64) -> io::Result<Option<String>> {
        let new = self
            .path
            .with_file_name(format!("{}.new", file_name(&self.path)));
        let file = options().truncate(true).append(false).open(&new)?;
        drop(file);
        let file = options().open(&new)?;
        file.try_lock()
            .map_err(|_| io::Error::other("the new file is locked by another process"))?;
        let name = rotated_name(&self.path, now, Some(seq));
        let old = self.path.with_file_name(&name);
        // The path names a file of ours at every moment: first both names, then one each.
        let moved = match fs::hard_link(&self.path, &old) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // Somebody has taken it away; there is nothing to be named.
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            // A file system without links.
            Err(_) => {
                fs::rename(&self.path, &old)?;
                true
            }
            Ok(()) => true,
        };
        fs::rename(&new, &self.path)?;
        if self.durable {
            // The new name stands, so this is no reason not to go on; the next line's sync fails where the disk does.
            let _ = sync_directory(&self.path);
        }
        let before = std::mem::replace(&mut self.file, file);
        self.size = 0;
        self.begun = Instant::now();
        self.archive.tidy(Some(before));
        Ok(moved.then_some(name))
    }
}

impl Sink for FileSink {
    fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize> {
        let length = self.file.write_vectored(lines)?;
        self.size += length as u64;
        Ok(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn name(&self) -> String {
        file_name(&self.path)
    }

    fn due(&self) -> Option<Duration> {
        let left = self.age_left()?;
        Some(match self.not_before {
            Some(then) => left.max(then.saturating_duration_since(Instant::now())),
            None => left,
        })
    }

    fn wants_turn(&self) -> bool {
        let full = self.rotation.max_bytes.is_some_and(|max| self.size >= max);
        let old = self.age_left().is_some_and(|left| left.is_zero());
        self.size > 0 && (full || old) && self.not_before.is_none_or(|then| Instant::now() >= then)
    }

    fn turn(&mut self, now: SystemTime, seq: u64) -> io::Result<Option<String>> {
        let turned = self.begin(now, seq);
        self.not_before = turned.is_err().then(|| Instant::now() + AGAIN);
        turned
    }

    fn trouble(&self) -> Option<String> {
        self.archive.trouble()
    }
}

/// The file, made if it is not there, held by nobody else.
fn locked(path: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::File {
        path: path.to_owned(),
        source,
    };
    for _ in 0..LOCK_TRIES {
        // Looked at before it is opened: opening a pipe would wait for its reader.
        if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(OpenError::NotAFile {
                path: path.to_owned(),
            });
        }
        let file = options().open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::Locked {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // Its holder may just have given this file another name.
        let same = fs::metadata(path).and_then(|there| Ok(there.ino() == file.metadata()?.ino()));
        if same.unwrap_or(false) {
            return Ok(file);
        }
    }
    Err(OpenError::Locked {
        path: path.to_owned(),
    })
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).append(true).create(true);
    options.mode(0o600);
    options
}

/// A file that was made is found again only when its directory is on the disk, too (fsync(2)).
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)?.sync_all()
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// How a file ends.
struct Tail {
    /// Bytes of whole lines.
    whole: u64,
    chain: Option<Chain>,
    /// What stands behind the last line feed; its beginning.
    fragment: Option<Vec<u8>>,
}

impl Tail {
    fn read(file: &mut File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let from = size.saturating_sub(TAIL);
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(from))?;
        (&*file).take(TAIL).read_to_end(&mut text)?;
        let end = memchr::memrchr(b'\n', &text).map_or(0, |at| at + 1);
        let fragment = &text[end..];
        let fragment =
            (!fragment.is_empty()).then(|| fragment[..fragment.len().min(CUT_MAX)].to_vec());
        // What others have written behind our last line is passed over, and `verify` names it.
        let chain = text[..end]
            .rsplit(|byte| *byte == b'\n')
            .find_map(Chain::after);
        Ok(Self {
            whole: from + end as u64,
            chain,
            fragment,
        })
    }
}

/// Where the chain stands behind an old file, which may be compressed.
fn last_of(path: &Path) -> Option<Chain> {
    let source = sources(&[path.to_str()?.to_owned()]).ok()?.pop()?;
    let mut lines = BufReader::with_capacity(1 << 18, source.open().ok()?);
    let (mut line, mut last) = (Vec::new(), Vec::new());
    while lines.read_until(b'\n', &mut line).ok()? > 0 {
        std::mem::swap(&mut line, &mut last);
        line.clear();
    }
    Chain::after(&last)
}

/// How old its first line is, by that line.
fn age(file: &File) -> Duration {
    let mut head = [0; 64];
    let length = file.read_at(&mut head, 0).unwrap_or_default();
    let begun = head[..length]
        .strip_prefix(b"{\"timestamp\":\"")
        .and_then(|rest| parse_time(rest.get(..24)?))
        .and_then(|millis| u64::try_from(millis).ok())
        .map(|millis| UNIX_EPOCH + Duration::from_millis(millis));
    begun
        .and_then(|begun| SystemTime::now().duration_since(begun).ok())
        .unwrap_or_default()
}

/// The last line is found in so many bytes of the end: four of the longest.
const TAIL: u64 = 1024 * 1024;

/// So much of half a line is told.
const CUT_MAX: usize = 4096;

/// After a turn that failed, how long lines go on into the file there is.
const AGAIN: Duration = Duration::from_secs(60);

const LOCK_TRIES: usize = 16;

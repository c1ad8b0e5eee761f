//! Paths of unix sockets: which one a child means, and whether it may connect to it. What is
//! judged is a file, held open; never a name that could come to mean another.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, fstat, open, openat, openat2, statx,
};
use rustix::net::SocketAddrUnix;
use rustix::time::{ClockId, clock_gettime};

/// Most sockets of a child's own that are remembered; beyond, the oldest is forgotten.
const MOST: usize = 256;

/// What a child may connect to.
#[derive(Debug)]
pub(super) struct Paths {
    allowed: Vec<PathBuf>,
    /// Held open, so that no other file can come to have the same number.
    own: VecDeque<(Identity, OwnedFd)>,
}

/// The device and the number of a file.
type Identity = (u64, u64);

impl Paths {
    pub(super) fn new(allowed: Vec<PathBuf>) -> Self {
        Self {
            allowed,
            own: VecDeque::new(),
        }
    }

    /// Whether the child may connect to this file: it made it, or it is listed.
    pub(super) fn allows(&self, file: &OwnedFd) -> io::Result<bool> {
        let file = identity(file)?;
        let listed = || {
            self.allowed.iter().any(|path| {
                let found = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
                found.is_ok_and(|found| identity(&found).is_ok_and(|found| found == file))
            })
        };
        Ok(self.own.iter().any(|(own, _)| *own == file) || listed())
    }

    /// Remembers the socket that was just bound at `name` in `directory`, unless the child has
    /// put another file there, which would be older than `began`.
    pub(super) fn bound(&mut self, directory: &OwnedFd, name: &OsStr, began: Moment) {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(file) = openat(directory, name, flags, Mode::empty()) else {
            return;
        };
        let born = statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::BTIME);
        let new = born.is_ok_and(|born| {
            born.stx_mask & StatxFlags::BTIME.bits() != 0
                && (born.stx_btime.tv_sec, i64::from(born.stx_btime.tv_nsec)) >= began.0
        });
        if let Ok(identity) = identity(&file)
            && new
        {
            if self.own.len() == MOST {
                self.own.pop_front();
            }
            self.own.push_back((identity, file));
        }
    }
}

/// A moment, as the kernel stamps files.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment((i64, i64));

impl Moment {
    pub(super) fn now() -> Self {
        let now = clock_gettime(ClockId::RealtimeCoarse);
        Self((now.tv_sec, now.tv_nsec))
    }
}

fn identity(file: &impl AsFd) -> io::Result<Identity> {
    let file = fstat(file)?;
    Ok((file.st_dev, file.st_ino))
}

/// The file that a thread means by a path.
pub(super) fn find(thread: u32, path: &[u8]) -> io::Result<OwnedFd> {
    resolve(thread, Path::new(OsStr::from_bytes(path)), OFlags::PATH)
}

/// The directory in which a thread means to make a file, and the file's name.
pub(super) fn place(thread: u32, path: &[u8]) -> io::Result<(OwnedFd, &OsStr)> {
    let path = Path::new(OsStr::from_bytes(path));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = resolve(thread, parent, OFlags::PATH | OFlags::DIRECTORY)?;
    Ok((directory, name))
}

/// As the thread sees it: absolute paths below its root, others below where it is.
fn resolve(thread: u32, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    let open_directory = |of: &str| {
        let directory = format!("/proc/{thread}/{of}");
        open(
            directory,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
    };
    let resolved = if path.is_absolute() {
        let root = open_directory("root")?;
        match openat2(
            &root,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        ) {
            // A filter round this process that does not know the call; the root is ours then.
            Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {
                openat(CWD, path, flags, Mode::empty())
            }
            opened => opened,
        }
    } else {
        openat(open_directory("cwd")?, path, flags, Mode::empty())
    };
    Ok(resolved?)
}

/// The address of a file that is held open.
pub(super) fn address_of(file: &OwnedFd) -> io::Result<SocketAddrUnix> {
    Ok(SocketAddrUnix::new(format!(
        "/proc/self/fd/{}",
        file.as_raw_fd()
    ))?)
}

/// The address of a name in a directory that is held open.
pub(super) fn address_in(directory: &OwnedFd, name: &OsStr) -> io::Result<SocketAddrUnix> {
    let directory = format!("/proc/self/fd/{}", directory.as_raw_fd());
    Ok(SocketAddrUnix::new(Path::new(&directory).join(name))?)
}

/// The mask that a thread makes files with.
pub(super) fn mask_of(thread: u32) -> Option<Mode> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(line.trim(), 8)
        .ok()
        .map(Mode::from_raw_mode)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn own_thread() -> u32 {
        std::process::id()
    }

    // REQ: E-3
    #[test]
    fn a_file_is_judged_and_not_its_name() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = |name: &str| directory.path().join(name);
        let find = |name: &str| find(own_thread(), path(name).as_os_str().as_bytes());
        let _foreign = UnixListener::bind(path("foreign")).expect("a listener");
        let mut paths = Paths::new(vec![path("listed")]);
        let began = Moment::now();
        let _own = UnixListener::bind(path("own")).expect("a listener");
        let _listed = UnixListener::bind(path("listed")).expect("a listener");
        let whole = path("own");
        let (parent, name) = place(own_thread(), whole.as_os_str().as_bytes()).expect("a place");
        paths.bound(&parent, name, began);
        let allows = |name: &str| {
            paths
                .allows(&find(name).expect("it is there"))
                .expect("a file")
        };
        assert!(allows("own") && allows("listed") && !allows("foreign"));
        // Whatever they are called.
        std::os::unix::fs::symlink(path("foreign"), path("link")).expect("a link");
        fs::hard_link(path("foreign"), path("hard")).expect("a link");
        assert!(!allows("link") && !allows("hard"));
        fs::rename(path("foreign"), path("own")).expect("renamed");
        assert!(!allows("own"));
    }

    #[test]
    fn an_older_file_is_not_taken_for_the_bound_one() {
        let directory = tempfile::tempdir().expect("a directory");
        let foreign = directory.path().join("foreign");
        let _foreign = UnixListener::bind(&foreign).expect("a listener");
        let mut began = Moment::now();
        began.0.0 += 1;
        let mut paths = Paths::new(Vec::new());
        let (parent, name) = place(own_thread(), foreign.as_os_str().as_bytes()).expect("a place");
        paths.bound(&parent, name, began);
        let file = find(own_thread(), foreign.as_os_str().as_bytes()).expect("it is there");
        assert!(!paths.allows(&file).expect("a file"));
    }

    #[test]
    fn places_and_masks() {
        for path in [&b"/"[..], b"..", b"/tmp/.."] {
            assert!(place(own_thread(), path).is_err(), "{path:?}");
        }
        let (_, name) = place(own_thread(), b"x.sock").expect("here");
        assert_eq!(name, "x.sock");
        assert!(mask_of(own_thread()).is_some());
        assert!(find(own_thread(), b"/nowhere/at/all").is_err());
    }
}

//! The wall round a child process: whatever it tries, its traffic comes to this process, where the
//! guard decides.
//!
//! ```text
//! isolated    the child's network is its own; every address of IPv4 and IPv6 leads to listeners
//!             that were made in it and handed out to this process
//! supervised  the kernel asks this process for every socket of the child, and for where it is to
//!             be connected; this process connects it to itself
//! advisory    proxy variables alone
//! ```
//!
//! In both walls [`Proxy::intercepted`](crate::proxy::Proxy::intercepted) takes the connection on,
//! names are answered with addresses that stand for them, and paths of unix sockets are judged. A
//! call that was judged is never let through to be read again by the kernel: this process carries
//! it out itself, on what it has read. When this process ends, the calls fail.
//!
//! To run a command in a jail, a launcher starts as this same binary, builds the wall round itself
//! and becomes the command: [`Jail::prepare`], [`Prepared::start`] with [`launch()`] in the child,
//! then [`Prepared::guard`]. [`prove()`] does so with a canary that tries every way out,
//! and says which level holds. See `docs/jail.md`.

mod address;
mod canary;
mod control;
mod dns;
mod filter;
mod gate;
mod launch;
mod names;
mod namespace;
mod own;
mod paths;
mod prove;
mod relay;
mod sockets;
mod supervise;
mod sys;

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::{FdFlags, fcntl_setfd};
use tokio::runtime::Handle;

pub use launch::launch;
pub use prove::{Proven, Start, prove};

use crate::level::Level;
use crate::proxy::Proxy;
use control::Setup;
use gate::Gate;

/// How one server's children are kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Jail {
    level: Level,
    proxy: Proxy,
    proxy_at: Option<SocketAddr>,
    identity: Arc<str>,
    cover: Vec<PathBuf>,
    sockets: Vec<PathBuf>,
    ports: Vec<u16>,
}

impl Jail {
    /// A jail of this level; its traffic passes through `proxy` as that of the identity of this
    /// name. With [`Level::Advisory`] it is none.
    #[must_use]
    pub fn new(level: Level, proxy: Proxy, identity: &str) -> Self {
        Self {
            level,
            proxy,
            proxy_at: None,
            identity: identity.into(),
            cover: vec!["/run".into(), "/var/run".into()],
            sockets: Vec::new(),
            ports: vec![80, 443],
        }
    }

    /// Directories that the child finds empty at level *isolated*, beside `/run`.
    #[must_use]
    pub fn cover(mut self, directories: impl IntoIterator<Item = PathBuf>) -> Self {
        self.cover.extend(directories);
        self
    }

    /// Where the child's variables say that the proxy is: what it connects to there is given to the
    /// proxy as a client of the child's own identity, which has nothing to show.
    #[must_use]
    pub const fn proxy_at(mut self, address: SocketAddr) -> Self {
        self.proxy_at = Some(address);
        self
    }

    /// The same jail for the identity's child of this number.
    #[must_use]
    pub fn of_child(&self, number: u64) -> Self {
        Self {
            identity: format!("{}/{number}", self.identity).into(),
            ..self.clone()
        }
    }

    /// Unix sockets outside that the child may connect to, by their paths. Its own it may anyway.
    /// At level *isolated* they stand also in the directories that it finds empty otherwise.
    #[must_use]
    pub fn sockets(mut self, paths: impl IntoIterator<Item = PathBuf>) -> Self {
        self.sockets.extend(paths);
        self
    }

    /// Ports at which connections can leave level *isolated*, beside 80 and 443: those that the
    /// policy names.
    #[must_use]
    pub fn ports(mut self, ports: impl IntoIterator<Item = u16>) -> Self {
        self.ports.extend(ports);
        self.ports.retain(|port| !matches!(port, 0 | 53));
        self.ports.sort_unstable();
        self.ports.dedup();
        self
    }

    /// The level.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// Makes what a launcher and its supervisor need of each other; `None`: there is no wall.
    ///
    /// # Errors
    /// Out of descriptors, or too many ports.
    pub fn prepare(&self) -> io::Result<Option<Prepared>> {
        if self.level == Level::Advisory {
            return Ok(None);
        }
        let (ours, theirs) = control::pair()?;
        let proxy = self.proxy_at.map(|at| at.port());
        let ports = self.ports.iter().copied();
        let setup = Setup {
            isolated: self.level == Level::Isolated,
            cover: self.cover.clone(),
            sockets: self.sockets.clone(),
            ports: ports
                .chain(proxy.filter(|port| !self.ports.contains(port)))
                .collect(),
        };
        control::send(&ours, &setup, &[])?;
        Ok(Some(Prepared {
            ours,
            theirs,
            jail: self.clone(),
        }))
    }
}

/// A jail for one child that is about to be started.
#[derive(Debug)]
pub struct Prepared {
    ours: OwnedFd,
    theirs: OwnedFd,
    jail: Jail,
}

impl Prepared {
    /// Starts the process that is to call [`launch()`], by `start`, which is given the argument for
    /// it. The child inherits a descriptor; so that no other does, only one is started at a time.
    ///
    /// # Errors
    /// As `start`.
    pub fn start<T>(&self, start: impl FnOnce(&str) -> io::Result<T>) -> io::Result<T> {
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let number = control::let_through(self.theirs.as_fd())?;
        let started = start(&number.to_string());
        fcntl_setfd(&self.theirs, FdFlags::CLOEXEC)?;
        started
    }

    /// Guards the child from now until the last of its processes has ended, on a thread of its own;
    /// what it connects is carried by `runtime`, which must have timers and network.
    ///
    /// # Errors
    /// The thread cannot be started: the child has no network then.
    pub fn guard(self, runtime: &Handle) -> io::Result<()> {
        let Self { ours, theirs, jail } = self;
        drop(theirs);
        let sockets = jail.sockets.clone();
        let gate = Gate::new(jail, runtime.clone());
        supervise::start(ours, gate, sockets)
    }
}

/// A jail on its way through a process that starts the launcher, such as one that ends what the
/// command leaves behind.
#[derive(Debug)]
pub struct Passing(OwnedFd);

impl Passing {
    /// Takes the argument that [`Prepared::start`] gave. Call it first, as it must be the
    /// descriptor that was inherited.
    ///
    /// # Errors
    /// There is no such descriptor.
    pub fn take(argument: &OsStr) -> io::Result<Self> {
        take(argument).map(Self)
    }

    /// The argument for the launcher, which must be the next process that is started.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn argument(&self) -> io::Result<String> {
        pass_on(&self.0)
    }
}

/// The first argument of the processes that this module starts; no user types them.
const INIT: &str = "__jail-init";
const INSIDE: &str = "__jail-inside";
const CANARY: &str = "__jail-canary";

/// This binary.
const SELF: &str = "/proc/self/exe";

/// Puts `/dev/null` in the place of this process's standard input and output.
///
/// For the processes that stand between the gateway and a command: the pipes are the command's, and
/// while somebody else held their ends open, the gateway would not see the command close them.
///
/// # Errors
/// Those of opening `/dev/null` and of `dup2`.
pub fn let_go_of_the_pipes() -> io::Result<()> {
    let null = std::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(())
}

/// Runs as one of the jail's own processes where the arguments, without the program's name, say so.
/// Call it first in `main`, before there is another thread.
pub fn run_if_asked(arguments: &[OsString]) -> Option<ExitCode> {
    let (role, rest) = arguments.split_first()?;
    let result = match role.to_str()? {
        INIT => namespace::init(rest),
        INSIDE => launch::inside(rest),
        CANARY => canary::run(rest),
        _ => return None,
    };
    Some(result.unwrap_or_else(|error| {
        launch::say(&format!("palisade: {error}"));
        ExitCode::from(launch::CANNOT_RUN)
    }))
}

/// Passes a descriptor on to the next process by its number.
fn pass_on(fd: &OwnedFd) -> io::Result<String> {
    control::let_through(fd.as_fd()).map(|number| number.to_string())
}

/// Takes the descriptor of an argument; it goes no further by itself.
fn take(number: &OsStr) -> io::Result<OwnedFd> {
    let number = number.to_str().and_then(|number| number.parse().ok());
    let fd = sys::inherited(number.ok_or(io::ErrorKind::InvalidInput)?)?;
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    debug_assert!(fd.as_raw_fd() > 2, "not a standard stream");
    Ok(fd)
}

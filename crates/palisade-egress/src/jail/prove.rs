//! Which level holds on this machine: found out by trying, not by asking the kernel's version.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{self as unix, UnixListener};
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{ioctl_fionbio, read};
use rustix::net::accept_with;
use tokio::runtime::Handle;

use super::canary::{ALLOWED, SENT, Targets};
use super::{CANARY, Jail};
use crate::event::Unobserved;
use crate::guard::Guard;
use crate::level::Level;
use crate::own::OwnAddresses;
use crate::policy::Policy;
use crate::proxy::{Identity, Plan, Proxy, ProxyLimits};
use crate::resolve::{Answers, BoxFuture, Resolve, ResolveError};

/// What the canary proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The strongest level that held.
    pub level: Level,
    /// At that level, the ways out that stay open: none but at [`Level::Advisory`].
    pub could_not_contain: Vec<String>,
    /// Stronger levels that do not hold here, and why.
    pub not_available: Vec<(Level, String)>,
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.level)?;
        if !self.could_not_contain.is_empty() {
            write!(
                f,
                "; could not contain: {}",
                self.could_not_contain.join(", ")
            )?;
        }
        for (level, why) in &self.not_available {
            write!(f, "; not {level}: {why}")?;
        }
        Ok(())
    }
}

/// Starts a command, with the argument for [`launch()`](super::launch()) where it has a jail.
pub type Start<'a> = dyn FnMut(&[OsString], Option<&str>) -> io::Result<Child> + 'a;

/// How long a canary may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the canary at each level from `highest` down, and gives the first that held.
///
/// `start` starts a command exactly as a server's would be, with the argument for
/// [`launch()`](super::launch()) where there is a jail. Standard output must be a pipe. `runtime` must
/// be running. Blocks.
///
/// # Errors
/// The listeners cannot be made, or not even an unjailed canary runs.
pub fn prove(highest: Level, runtime: &Handle, start: &mut Start<'_>) -> io::Result<Proven> {
    let mut not_available = Vec::new();
    for level in [Level::Isolated, Level::Supervised] {
        if level > highest {
            continue;
        }
        match try_level(level, runtime, start) {
            Ok(out) if out.is_empty() => {
                return Ok(Proven {
                    level,
                    could_not_contain: Vec::new(),
                    not_available,
                });
            }
            Ok(out) => {
                not_available.push((level, format!("it does not contain {}", out.join(", "))))
            }
            Err(error) => not_available.push((level, error.to_string())),
        }
    }
    Ok(Proven {
        level: Level::Advisory,
        could_not_contain: try_level(Level::Advisory, runtime, start)?,
        not_available,
    })
}

/// The ways out that the canary found.
fn try_level(level: Level, runtime: &Handle, start: &mut Start<'_>) -> io::Result<Vec<String>> {
    let listeners = Listeners::new()?;
    let targets = serde_json::to_string(&listeners.targets)?;
    let command = [super::SELF, CANARY, &targets].map(OsString::from);
    let allowed = listeners.targets.allowed;
    let jail = Jail::new(level, proxy(allowed)?, "canary").ports([allowed]);
    let prepared = jail.prepare()?;
    let mut child = match &prepared {
        Some(prepared) => prepared.start(|argument| start(&command, Some(argument)))?,
        None => start(&command, None)?,
    };
    if let Some(prepared) = prepared {
        prepared.guard(runtime)?;
    }
    let (Some(mut said), until) = (child.stdout.take(), Instant::now() + PATIENCE) else {
        return Err(io::Error::other("the canary was started without a pipe"));
    };
    let reader = thread::spawn(move || {
        let mut text = String::new();
        said.by_ref()
            .take(1 << 16)
            .read_to_string(&mut text)
            .map(|_| text)
    });
    let mut arrived = Vec::new();
    let status = loop {
        listeners.take(&mut arrived, Duration::from_millis(2));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > until {
            let _ = child.kill();
            let _ = child.wait();
            return Err(io::Error::other("the canary did not come to an end"));
        }
    };
    // What was on its way; what is allowed takes the longer one.
    let has_arrived = |arrived: &[Vec<u8>], name: &str| {
        arrived
            .iter()
            .any(|bytes| bytes.as_slice() == name.as_bytes())
    };
    while !has_arrived(&arrived, ALLOWED) && Instant::now() < until && status.success() {
        listeners.take(&mut arrived, Duration::from_millis(20));
    }
    listeners.take(&mut arrived, Duration::from_millis(20));
    let said = reader
        .join()
        .map_err(|_| io::Error::other("the canary cannot be heard"))??;
    if !status.success() {
        return Err(io::Error::other(why(&mut child, &status)));
    }
    let done: Vec<String> = serde_json::from_str(&said)
        .map_err(|_| io::Error::other("the canary said nothing that can be read"))?;
    if !has_arrived(&arrived, ALLOWED) {
        return Err(io::Error::other("what is allowed does not arrive"));
    }
    let sent = SENT.iter().filter(|(name, _)| has_arrived(&arrived, name));
    Ok(sent
        .map(|(name, _)| (*name).to_owned())
        .chain(done)
        .collect())
}

/// What the launcher wrote before it gave up.
fn why(child: &mut Child, status: &std::process::ExitStatus) -> String {
    let mut text = String::new();
    if let Some(stderr) = &mut child.stderr {
        let _ = stderr.take(4096).read_to_string(&mut text);
    }
    let line = text.lines().last().unwrap_or_default();
    match line.strip_prefix("palisade: ").unwrap_or(line) {
        "" => format!("the canary ended with {status}"),
        line => line.to_owned(),
    }
}

/// A proxy that reaches one port of loopback.
fn proxy(allowed: u16) -> io::Result<Proxy> {
    let allowed_address = [format!("127.0.0.1:{allowed}")];
    let policy = Policy::builder()
        .allowlist(allowed_address.clone())
        .allow_special(allowed_address)
        .own_addresses(OwnAddresses::fixed([]))
        .build()
        .map_err(io::Error::other)?;
    let guard = Guard::new(Arc::new(policy), Arc::new(NoNames));
    let identity = Identity::new("canary", guard).raw_ports([allowed]);
    let plan = Plan::new().with_listener(identity);
    let limits = ProxyLimits::default();
    Ok(Proxy::new(plan, limits, Arc::new(Unobserved)))
}

#[derive(Debug)]
struct NoNames;

impl Resolve for NoNames {
    fn resolve<'a>(
        &'a self,
        _: &'a crate::name::Name,
    ) -> BoxFuture<'a, Result<Answers, ResolveError>> {
        Box::pin(async { Err(ResolveError::NoAddress) })
    }
}

/// What the canary tries to reach.
struct Listeners {
    targets: Targets,
    streams: Vec<OwnedFd>,
    datagrams: Vec<OwnedFd>,
    _directory: Directory,
}

/// A directory that is removed with the canary.
struct Directory(std::path::PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        // A leftover of a few bytes at worst.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Listeners {
    fn new() -> io::Result<Self> {
        use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
        let mut token = [0; 8];
        SystemRandom::new()
            .fill(&mut token)
            .map_err(|_| io::Error::other("no random numbers"))?;
        let token = format!("palisade-canary-{:016x}", u64::from_ne_bytes(token));
        let directory = std::env::temp_dir().join(&token);
        make_private(&directory)?;
        let directory = Directory(directory);
        let path = directory.0.join("socket");
        let tcp4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let allowed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let udp4 = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        let tcp6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).ok();
        let udp6 = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).ok();
        let by_path = UnixListener::bind(&path)?;
        let by_name = unix::SocketAddr::from_abstract_name(&token)?;
        let by_name = UnixListener::bind_addr(&by_name)?;
        let port = |address: io::Result<SocketAddr>| address.map(|address| address.port());
        let targets = Targets {
            tcp4: port(tcp4.local_addr())?,
            tcp6: tcp6.as_ref().map(|l| port(l.local_addr())).transpose()?,
            udp4: port(udp4.local_addr())?,
            udp6: udp6.as_ref().map(|l| port(l.local_addr())).transpose()?,
            path,
            name: token,
            process: std::process::id(),
            allowed: port(allowed.local_addr())?,
        };
        let mut streams: Vec<OwnedFd> =
            vec![tcp4.into(), allowed.into(), by_path.into(), by_name.into()];
        streams.extend(tcp6.map(OwnedFd::from));
        let mut datagrams: Vec<OwnedFd> = vec![udp4.into()];
        datagrams.extend(udp6.map(OwnedFd::from));
        for fd in streams.iter().chain(&datagrams) {
            ioctl_fionbio(fd, true)?;
        }
        Ok(Self {
            targets,
            streams,
            datagrams,
            _directory: directory,
        })
    }

    /// Waits for something to arrive, and takes what has.
    fn take(&self, arrived: &mut Vec<Vec<u8>>, patience: Duration) {
        let all = self.streams.iter().chain(&self.datagrams);
        let mut watched: Vec<_> = all.map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let patience = Timespec::try_from(patience).ok();
        let _ = poll(&mut watched, patience.as_ref());
        for listener in &self.streams {
            while let Ok(stream) = accept_with(listener, rustix::net::SocketFlags::CLOEXEC) {
                arrived.extend(first_bytes(&stream));
            }
        }
        for socket in &self.datagrams {
            arrived.extend(first_bytes_now(socket));
        }
    }
}

fn make_private(directory: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o700).create(directory)
}

/// What comes of a connection, if anything comes soon: the canary writes at once.
fn first_bytes(stream: &OwnedFd) -> Option<Vec<u8>> {
    let mut watched = [PollFd::new(stream, PollFlags::IN)];
    let patience = Timespec {
        tv_sec: 2,
        tv_nsec: 0,
    };
    poll(&mut watched, Some(&patience)).ok()?;
    first_bytes_now(stream)
}

fn first_bytes_now(fd: &impl AsFd) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 64];
    let length = read(fd, &mut bytes[..]).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

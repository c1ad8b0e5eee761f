//! The canary: runs where the command would run and tries every way out. What it reaches are
//! listeners of the process that started it, on loopback.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{self as unix, UnixStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, SockaddrIn, sendto};
use rustix::net::{
    AddressFamily, Protocol, SocketFlags, SocketType, connect, ipproto, socket_with,
};
use serde::{Deserialize, Serialize};

use super::namespace;
use super::sys::{self, Probe};

/// Where the listeners are, and whose memory is to be tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Targets {
    pub(super) tcp4: u16,
    pub(super) tcp6: Option<u16>,
    pub(super) udp4: u16,
    pub(super) udp6: Option<u16>,
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) process: u32,
    /// A listener by TCP over IPv4 that may be reached.
    pub(super) allowed: u16,
}

/// A way out: what it is called, and how it is tried. Whatever reaches a listener carries the name.
type Try = (&'static str, fn(&Targets, &str) -> io::Result<()>);

/// Those that reach a listener where nothing holds them.
pub(super) const SENT: &[Try] = &[
    ("tcp over IPv4", |to, name| tcp(v4(to.tcp4), name)),
    ("tcp over IPv6", |to, name| match to.tcp6 {
        Some(port) => tcp(SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port), name),
        None => Err(io::ErrorKind::Unsupported.into()),
    }),
    ("multipath tcp", multipath),
    ("tcp fast open", fast_open),
    ("udp over IPv4", |to, name| {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.send_to(name.as_bytes(), v4(to.udp4)).map(drop)
    }),
    ("udp over IPv6", |to, name| match to.udp6 {
        Some(port) => {
            let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
            let to = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), port);
            socket.send_to(name.as_bytes(), to).map(drop)
        }
        None => Err(io::ErrorKind::Unsupported.into()),
    }),
    ("unix socket by path", |to, name| {
        UnixStream::connect(&to.path)?.write_all(name.as_bytes())
    }),
    ("unix socket by name", |to, name| {
        let at = unix::SocketAddr::from_abstract_name(&to.name)?;
        UnixStream::connect_addr(&at)?.write_all(name.as_bytes())
    }),
];

/// What arrives where the canary may go.
pub(super) const ALLOWED: &str = "allowed";

/// Those where to succeed is to be out.
const DONE: &[Try] = &[
    ("raw socket", |_, _| {
        open(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))
    }),
    ("packet socket", |_, _| {
        open(AddressFamily::PACKET, SocketType::RAW, None)
    }),
    ("vsock", |_, _| {
        open(AddressFamily::from_raw(VSOCK), SocketType::STREAM, None)
    }),
    ("change of the network", |_, _| namespace::try_change()),
    ("io_uring", |_, _| sys::attempt(Probe::IoUring)),
    ("ptrace", |to, _| sys::attempt(Probe::Ptrace(pid(to)))),
    ("memory of other processes", |to, _| {
        let by_call = sys::attempt(Probe::ReadMemory(pid(to)));
        let by_file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(format!("/proc/{}/mem", to.process));
        if by_call.is_ok() {
            by_call
        } else {
            by_file.map(drop)
        }
    }),
    ("inherited descriptors", |_, _| inherited()),
    ("bpf", |_, _| sys::attempt(Probe::Bpf)),
    ("userfaultfd", |_, _| sys::attempt(Probe::Userfaultfd)),
    // Last: it would leave the network that the others are tried in.
    ("namespaces", |_, _| sys::attempt(Probe::Unshare)),
];

/// `AF_VSOCK`.
const VSOCK: u16 = 40;

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tries all of them: `TARGETS`. Writes the names of those that succeeded, as JSON, where those
/// that are sent count for nothing: their listeners know better.
pub(super) fn run(arguments: &[OsString]) -> io::Result<ExitCode> {
    let [targets] = arguments else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let targets: Targets = serde_json::from_str(targets.to_str().unwrap_or_default())?;
    for (name, attempt) in SENT {
        // Whether it arrives is seen at the other end.
        let _ = attempt(&targets, name);
    }
    // What is allowed must arrive: a wall without a gate is of no use.
    let _ = tcp(v4(targets.allowed), ALLOWED);
    let done: Vec<_> = DONE
        .iter()
        .filter(|(name, attempt)| attempt(&targets, name).is_ok())
        .map(|(name, _)| *name)
        .collect();
    writeln!(io::stdout(), "{}", serde_json::to_string(&done)?)?;
    Ok(ExitCode::SUCCESS)
}

fn v4(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port)
}

fn pid(targets: &Targets) -> i32 {
    i32::try_from(targets.process).unwrap_or(-1)
}

fn tcp(to: SocketAddr, name: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.write_all(name.as_bytes())
}

fn multipath(to: &Targets, name: &str) -> io::Result<()> {
    let protocol = Some(ipproto::MPTCP);
    let socket = socket(AddressFamily::INET, SocketType::STREAM, protocol)?;
    connect(&socket, &v4(to.tcp4))?;
    TcpStream::from(socket).write_all(name.as_bytes())
}

fn fast_open(to: &Targets, name: &str) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    let address = SockaddrIn::new(127, 0, 0, 1, to.tcp4);
    let flags = MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
    sendto(socket.as_raw_fd(), name.as_bytes(), &address, flags)?;
    Ok(())
}

fn open(family: AddressFamily, kind: SocketType, protocol: Option<Protocol>) -> io::Result<()> {
    socket(family, kind, protocol).map(drop)
}

fn socket(
    family: AddressFamily,
    kind: SocketType,
    protocol: Option<Protocol>,
) -> io::Result<OwnedFd> {
    Ok(socket_with(family, kind, SocketFlags::CLOEXEC, protocol)?)
}

fn inherited() -> io::Result<()> {
    // The three standard streams, and the directory that is being read.
    if fs::read_dir("/proc/self/fd")?.count() > 4 {
        Ok(())
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

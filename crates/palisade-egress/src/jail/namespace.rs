//! Level *isolated*: namespaces in which every address is this machine's own. No interface leads
//! out; what is connected anywhere arrives at listeners that the gateway outside holds.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::socket::{setsockopt, sockopt};
use rustix::fs::{Mode, OFlags, open};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with,
};
use rustix::process::{WaitOptions, getgid, getuid, wait};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, configure_capability_in_ambient_set,
    set_capabilities,
};
use serde::{Deserialize, Serialize};

use super::control::{self, Built, Setup};
use super::launch::exit_code;
use super::{INIT, INSIDE, SELF, pass_on, take};

/// Makes the namespaces, hands the listeners out, starts what is to run within, and waits for it.
pub(super) fn build(
    setup: &Setup,
    control: &OwnedFd,
    command: &[OsString],
) -> io::Result<ExitCode> {
    // The keeper ends the command through the whole process group; this process ends after it.
    let mut mask = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        mask.add(signal);
    }
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None)?;
    separate().map_err(|error| in_step("namespaces", &error))?;
    network().map_err(|error| in_step("network of its own", &error))?;
    listen(setup, control).map_err(|error| in_step("listeners", &error))?;
    keep_capabilities().map_err(|error| in_step("capabilities", &error))?;
    let view = serde_json::to_string(&View {
        cover: setup.cover.clone(),
        sockets: setup.sockets.clone(),
    })?;
    let mut child = Command::new(SELF)
        .arg0("palisade")
        .args([INIT, &pass_on(control)?, &view])
        .args(command)
        .spawn()?;
    super::let_go_of_the_pipes()?;
    Ok(exit_code(child.wait()?))
}

fn in_step(what: &str, error: &io::Error) -> io::Error {
    io::Error::other(format!("{what}: {error}"))
}

/// What a child sees of the file system otherwise than others.
#[derive(Debug, Serialize, Deserialize)]
struct View {
    cover: Vec<PathBuf>,
    sockets: Vec<PathBuf>,
}

/// The first process of the PID namespace: `CONTROL VIEW COMMAND…`.
pub(super) fn init(arguments: &[OsString]) -> io::Result<ExitCode> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    let [control, view, command @ ..] = arguments else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let control = take(control)?;
    let started = mounts(view).and_then(|()| {
        Command::new(SELF)
            .arg0("palisade")
            .args([INSIDE, &pass_on(&control)?])
            .args(command)
            .spawn()
    });
    let child = match started {
        Ok(child) => child,
        Err(error) => {
            // Whoever asked may have gone.
            let _ = control::send(&control, &Built::Failed(error.to_string()), &[]);
            return Err(error);
        }
    };
    drop(control);
    super::let_go_of_the_pipes()?;
    // Everything that is left in the namespace ends with this process.
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status)))
                if u32::try_from(pid.as_raw_nonzero().get()) == Ok(child.id()) =>
            {
                return Ok(exit_code(ExitStatus::from_raw(status.as_raw())));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn separate() -> io::Result<()> {
    let (user, group) = (getuid().as_raw(), getgid().as_raw());
    unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWIPC,
    )?;
    // The same user and group within; without this no group may be mapped (user_namespaces(7)).
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {group} 1"))
}

/// What the process after exec needs to mount: exec takes the rest away, but from root.
fn keep_capabilities() -> io::Result<()> {
    let needed = CapabilitySet::SYS_ADMIN.union(CapabilitySet::SETPCAP);
    let held = capabilities(None)?;
    set_capabilities(
        None,
        CapabilitySets {
            inheritable: held.inheritable.union(needed),
            ..held
        },
    )?;
    configure_capability_in_ambient_set(CapabilitySet::SYS_ADMIN, true)?;
    configure_capability_in_ambient_set(CapabilitySet::SETPCAP, true)?;
    Ok(())
}

fn mounts(view: &OsString) -> io::Result<()> {
    let View { cover, sockets } = serde_json::from_str(view.to_str().unwrap_or_default())?;
    // Nothing that is mounted here is seen outside.
    let private = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|error| in_step("mounts", &error.into()))?;
    let plain = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("proc", "/proc", "proc", plain, None)
        .map_err(|error| in_step("a /proc of its own", &error.into()))?;
    // Two names of one directory are one; what lies in a covered one is covered.
    let mut cover: Vec<_> = cover
        .iter()
        .filter_map(|path| path.canonicalize().ok())
        .collect();
    cover.sort();
    cover.dedup_by(|inner, outer| inner.starts_with(outer));
    // Held open before they are covered. One that is not there now cannot be reached later.
    let kept: Vec<_> = sockets
        .iter()
        .filter_map(|path| {
            let path = path.canonicalize().ok()?;
            let covered = cover.iter().any(|directory| path.starts_with(directory));
            let file = open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
            file.ok().filter(|_| covered).map(|file| (path, file))
        })
        .collect();
    for directory in &cover {
        mount(
            "tmpfs",
            directory,
            "tmpfs",
            plain,
            Some(c"mode=755,size=64m"),
        )
        .map_err(|error| in_step(&format!("covering {}", directory.display()), &error.into()))?;
    }
    for (path, file) in kept {
        let show = || -> io::Result<()> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::File::create(&path)?;
            mount_bind(format!("/proc/self/fd/{}", file.as_raw_fd()), &path)?;
            Ok(())
        };
        show().map_err(|error| in_step(&format!("keeping {}", path.display()), &error))?;
    }
    Ok(())
}

fn listen(setup: &Setup, control: &OwnedFd) -> io::Result<()> {
    let mut ports = setup.ports.clone();
    ports.push(53);
    let listeners = ports
        .iter()
        .map(|port| {
            let any = |address: std::net::IpAddr| SocketAddr::new(address, *port);
            TcpListener::bind(any(Ipv6Addr::UNSPECIFIED.into()))
                .or_else(|_| TcpListener::bind(any(Ipv4Addr::UNSPECIFIED.into())))
        })
        .collect::<io::Result<Vec<_>>>()?;
    // In parts: a message carries so many descriptors and no more.
    let parts = ports
        .chunks(control::MOST_DESCRIPTORS)
        .zip(listeners.chunks(control::MOST_DESCRIPTORS));
    for (ports, listeners) in parts {
        let descriptors: Vec<_> = listeners.iter().map(|listener| listener.as_fd()).collect();
        control::send(control, &Built::Listeners(ports.to_vec()), &descriptors)?;
    }
    let names = match UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 53)) {
        Ok(names) => {
            setsockopt(&names, sockopt::Ipv6RecvPacketInfo, &true)?;
            names
        }
        Err(_) => {
            let names = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53))?;
            setsockopt(&names, sockopt::Ipv4PacketInfo, &true)?;
            names
        }
    };
    control::send(control, &Built::Names, &[names.as_fd()])
}

/// Loopback up, and every destination local to it.
fn network() -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    request(&socket, &link_up())?;
    request(&socket, &everything_local(libc::AF_INET))?;
    match request(&socket, &everything_local(libc::AF_INET6)) {
        // A kernel without IPv6 has no way out by it either.
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::EAFNOSUPPORT | libc::EOPNOTSUPP)
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

/// The index of loopback in every network.
const LOOPBACK: u32 = 1;

/// `RTM_NEWLINK` with `struct ifinfomsg` (rtnetlink(7)).
fn link_up() -> Vec<u8> {
    let up = libc::IFF_UP.cast_unsigned().to_ne_bytes();
    let mut body = vec![0, 0, 0, 0];
    body.extend(LOOPBACK.to_ne_bytes());
    body.extend(up);
    body.extend(up);
    message(libc::RTM_NEWLINK, 0, &body)
}

/// `RTM_NEWROUTE` with `struct rtmsg` and the outgoing interface: `local 0.0.0.0/0 dev lo`.
fn everything_local(family: i32) -> Vec<u8> {
    let scope = if family == libc::AF_INET {
        libc::RT_SCOPE_HOST
    } else {
        libc::RT_SCOPE_UNIVERSE
    };
    let family = u8::try_from(family).unwrap_or_default();
    let mut body = vec![
        family,
        0,
        0,
        0,
        libc::RT_TABLE_LOCAL,
        libc::RTPROT_BOOT,
        scope,
        libc::RTN_LOCAL,
    ];
    body.extend([0; 4]);
    body.extend(8_u16.to_ne_bytes());
    body.extend(libc::RTA_OIF.to_ne_bytes());
    body.extend(LOOPBACK.to_ne_bytes());
    let create = libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    message(libc::RTM_NEWROUTE, create, &body)
}

/// `struct nlmsghdr` (netlink(7)) and a body.
fn message(kind: u16, flags: i32, body: &[u8]) -> Vec<u8> {
    let flags = u16::try_from(flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK).unwrap_or_default();
    let length = u32::try_from(16 + body.len()).unwrap_or_default();
    let mut out = length.to_ne_bytes().to_vec();
    out.extend(kind.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    out.extend([0; 8]);
    out.extend(body);
    out
}

/// Sends a message to the kernel and reads its answer: `struct nlmsgerr`, a negative error or 0.
fn request(socket: &OwnedFd, message: &[u8]) -> io::Result<()> {
    sendto(
        socket,
        message,
        SendFlags::empty(),
        &SocketAddrNetlink::new(0, 0),
    )?;
    let mut answer = [0; 512];
    let (_, received) = recv(socket, &mut answer[..], RecvFlags::empty())?;
    let error = answer
        .get(..received)
        .and_then(|answer| answer.get(16..20))
        .and_then(|bytes| bytes.try_into().ok())
        .map(i32::from_ne_bytes)
        .ok_or(io::ErrorKind::InvalidData)?;
    if error == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(-error))
    }
}

/// What a canary tries: to change the network. Permission is judged before the message, which
/// would change nothing.
pub(super) fn try_change() -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    let mut body = vec![0; 4];
    body.extend(LOOPBACK.to_ne_bytes());
    body.extend([0; 8]);
    request(&socket, &message(libc::RTM_NEWLINK, 0, &body))
}

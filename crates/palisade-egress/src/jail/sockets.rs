//! The child's sockets that this process made for it and that are not connected yet. They are known
//! by their numbers in the kernel, so that it does not matter what a descriptor means by now.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use rustix::fs::fstat;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with, socketpair};

use super::gate::Gate;

/// Most sockets that are held for one child; beyond, the oldest can no longer be connected.
const MOST: usize = 128;

/// A socket of the child.
#[derive(Debug)]
pub(super) enum Held {
    /// Of TCP, of the unix family or of netlink; the same as the child's.
    Socket(Arc<OwnedFd>),
    /// Stands in for UDP: whatever is sent is a question of names.
    StandIn,
}

#[derive(Debug, Default)]
pub(super) struct Sockets {
    held: HashMap<u64, Held>,
    order: VecDeque<u64>,
}

impl Sockets {
    /// Makes a socket for the child.
    pub(super) fn make(&mut self, gate: &Arc<Gate>, kind: Kind) -> Result<OwnedFd, Errno> {
        let flags = kind.flags | SocketFlags::CLOEXEC;
        let made = match kind.family {
            // Must be neither UDP nor a datagram of the unix family: those can be sent anywhere.
            Family::Datagram => {
                let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
                let (ours, theirs) = pair.map_err(errno)?;
                gate.carry_datagrams(ours).map_err(|error| of_io(&error))?;
                self.hold(&theirs, Held::StandIn)?;
                return Ok(theirs);
            }
            Family::Tcp(family) => socket_with(family, SocketType::STREAM, flags, None),
            Family::Unix(kind) => socket_with(AddressFamily::UNIX, kind, flags, None),
            // Without a protocol it is that of addresses and routes.
            Family::Netlink(kind) => socket_with(AddressFamily::NETLINK, kind, flags, None),
        };
        let made = made.map_err(errno)?;
        let same = made.try_clone().map_err(|error| of_io(&error))?;
        self.hold(&made, Held::Socket(Arc::new(same)))?;
        Ok(made)
    }

    fn hold(&mut self, socket: &OwnedFd, held: Held) -> Result<(), Errno> {
        let number = fstat(socket.as_fd()).map_err(errno)?.st_ino;
        if self.order.len() == MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.held.remove(&oldest);
        }
        self.order.push_back(number);
        self.held.insert(number, held);
        Ok(())
    }

    /// The socket that a descriptor of a thread is, and its number; `None`: not one of these.
    pub(super) fn get(&self, thread: u32, descriptor: u64) -> Result<Option<(u64, &Held)>, Errno> {
        let number = number_of(thread, descriptor)?;
        Ok(self.held.get(&number).map(|held| (number, held)))
    }

    /// It is connected, or it listens: the child alone has it from now on.
    pub(super) fn release(&mut self, number: u64) {
        self.held.remove(&number);
        self.order.retain(|held| *held != number);
    }
}

/// What the child asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) family: Family,
    /// `SOCK_NONBLOCK`, or nothing.
    pub(super) flags: SocketFlags,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Family {
    Tcp(AddressFamily),
    Datagram,
    Unix(SocketType),
    Netlink(SocketType),
}

/// `socket:[4711]`, where a descriptor is a socket.
fn number_of(thread: u32, descriptor: u64) -> Result<u64, Errno> {
    // The kernel looks at the low half alone.
    let descriptor = descriptor & 0xffff_ffff;
    let link =
        fs::read_link(format!("/proc/{thread}/fd/{descriptor}")).map_err(|error| {
            match error.kind() {
                io::ErrorKind::NotFound => Errno::EBADF,
                _ => of_io(&error),
            }
        })?;
    link.to_str()
        .and_then(|link| link.strip_prefix("socket:["))
        .and_then(|link| link.strip_suffix(']'))
        .and_then(|number| number.parse().ok())
        .ok_or(Errno::ENOTSOCK)
}

pub(super) fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

pub(super) fn of_io(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EACCES, Errno::from_raw)
}

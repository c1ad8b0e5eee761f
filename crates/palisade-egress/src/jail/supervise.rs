//! The supervisor: a thread that answers the kernel's questions about one child. It carries every
//! call out itself, on what it has read once; it lets none through.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, connect_unspec, listen,
    sockopt,
};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open, umask};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::address::{Address, LONGEST};
use super::control::{self, Built};
use super::filter::TYPE;
use super::gate::Gate;
use super::own::Own;
use super::paths::{self, Moment, Paths};
use super::relay::{in_family, local, to_this_process};
use super::sockets::{Family, Held, Kind, Sockets, errno, of_io};
use super::sys::{self, Call};

/// Guards the child whose launcher has the other end of `control`.
pub(super) fn start(control: OwnedFd, gate: Arc<Gate>, allowed: Vec<PathBuf>) -> io::Result<()> {
    thread::Builder::new()
        .name("jail".to_owned())
        .spawn(move || {
            let mut tasks = Tasks(Vec::new(), gate.runtime().clone());
            // What goes wrong here leaves the child without network.
            if let Ok(Some((listener, within))) = receive(&control, &gate, &mut tasks) {
                drop(control);
                // A mask of its own, for the files that are made in a child's name.
                let own_mask = unshare(CloneFlags::CLONE_FS).is_ok();
                Supervisor {
                    listener,
                    within,
                    own_mask,
                    gate,
                    sockets: Sockets::default(),
                    own: Own::default(),
                    paths: Paths::new(allowed),
                }
                .run();
            }
        })?;
    Ok(())
}

/// What accepts in the child's namespace, for as long as it lives and a little longer: a connection
/// that it made last may not have been accepted yet.
struct Tasks(Vec<JoinHandle<()>>, Handle);

/// That little.
const LAST: Duration = Duration::from_secs(2);

impl Drop for Tasks {
    fn drop(&mut self) {
        let tasks = std::mem::take(&mut self.0);
        if !tasks.is_empty() {
            self.1.spawn(async move {
                sleep(LAST).await;
                for task in tasks {
                    task.abort();
                }
            });
        }
    }
}

/// Takes what the launcher has built; gives where the kernel asks, and whether there is a namespace
/// round the child.
fn receive(
    control: &OwnedFd,
    gate: &Arc<Gate>,
    tasks: &mut Tasks,
) -> io::Result<Option<(OwnedFd, bool)>> {
    let _runtime = gate.runtime().enter();
    while let Some((built, mut descriptors)) = control::receive::<Built>(control)? {
        match built {
            Built::Listeners(_) => {
                for listener in descriptors {
                    let listener = TcpListener::from(listener);
                    listener.set_nonblocking(true)?;
                    let listener = tokio::net::TcpListener::from_std(listener)?;
                    let accepting = Arc::clone(gate).accept(listener);
                    tasks.0.push(gate.runtime().spawn(accepting));
                }
            }
            Built::Names => {
                for socket in descriptors {
                    let answering = Arc::clone(gate).answer_namespace(socket);
                    tasks.0.push(gate.runtime().spawn(async move {
                        // Without it the child finds no names; it has no other way to ask.
                        let _ = answering.await;
                    }));
                }
            }
            Built::Filter => {
                let within = !tasks.0.is_empty();
                return Ok(descriptors.pop().map(|listener| (listener, within)));
            }
            Built::Failed(_) => return Ok(None),
        }
    }
    Ok(None)
}

struct Supervisor {
    listener: OwnedFd,
    within: bool,
    own_mask: bool,
    gate: Arc<Gate>,
    sockets: Sockets,
    own: Own,
    paths: Paths,
}

/// What a call gives.
enum Answer {
    Value(i64),
    Descriptor {
        socket: OwnedFd,
        close_on_exec: bool,
    },
}

impl Supervisor {
    fn run(mut self) {
        loop {
            let mut watched = [PollFd::new(&self.listener, PollFlags::IN)];
            match poll(&mut watched, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            }
            let [watched] = watched;
            if !watched.revents().contains(PollFlags::IN) {
                // The last process under the filter has ended.
                return;
            }
            // A caller that was interrupted asks again.
            let Ok(call) = sys::receive(self.listener.as_fd()) else {
                continue;
            };
            let answer = self.carry_out(&call);
            let listener = self.listener.as_fd();
            // A caller that has gone needs none.
            let _ = match answer {
                Ok(Answer::Value(value)) => sys::answer(listener, call.id, Ok(value)),
                Err(error) => sys::answer(listener, call.id, Err(error)),
                Ok(Answer::Descriptor {
                    socket,
                    close_on_exec,
                }) => sys::answer_with(listener, call.id, socket.as_fd(), close_on_exec)
                    .or_else(|_| sys::answer(listener, call.id, Err(Errno::EMFILE))),
            };
        }
    }

    fn carry_out(&mut self, call: &Call) -> Result<Answer, Errno> {
        match call.number {
            libc::SYS_socket => self.socket(call),
            libc::SYS_connect => self.connect(call),
            libc::SYS_bind => self.bind(call),
            libc::SYS_listen => self.listen(call),
            _ => Err(Errno::EPERM),
        }
    }

    /// The filter has judged family, type and protocol by the same copy of the arguments.
    fn socket(&mut self, call: &Call) -> Result<Answer, Errno> {
        let [domain, kind, ..] = call.arguments.map(low);
        let (type_, flags) = (kind & TYPE, kind & !TYPE);
        let family = match (domain.cast_signed(), type_.cast_signed()) {
            (libc::AF_INET, libc::SOCK_STREAM) => Family::Tcp(AddressFamily::INET),
            (libc::AF_INET6, libc::SOCK_STREAM) => Family::Tcp(AddressFamily::INET6),
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM) => Family::Datagram,
            (libc::AF_UNIX, libc::SOCK_STREAM) => Family::Unix(SocketType::STREAM),
            (libc::AF_UNIX, libc::SOCK_SEQPACKET) => Family::Unix(SocketType::SEQPACKET),
            (libc::AF_NETLINK, libc::SOCK_RAW) => Family::Netlink(SocketType::RAW),
            (libc::AF_NETLINK, libc::SOCK_DGRAM) => Family::Netlink(SocketType::DGRAM),
            _ => return Err(Errno::EAFNOSUPPORT),
        };
        let has = |flag: i32| flags & flag.cast_unsigned() != 0;
        let nonblocking = has(libc::SOCK_NONBLOCK);
        let kind = Kind {
            family,
            flags: if nonblocking {
                SocketFlags::NONBLOCK
            } else {
                SocketFlags::empty()
            },
        };
        Ok(Answer::Descriptor {
            socket: self.sockets.make(&self.gate, kind)?,
            close_on_exec: has(libc::SOCK_CLOEXEC),
        })
    }

    fn connect(&mut self, call: &Call) -> Result<Answer, Errno> {
        let to = self.address(call)?;
        match self.find(call)? {
            None => Err(Errno::EISCONN),
            Some(Found::StandIn) => match to {
                // Whichever server it asks, it asks us.
                Address::Internet(to) if to.port() == 53 => Ok(Answer::Value(0)),
                Address::Nothing => Ok(Answer::Value(0)),
                _ => Err(Errno::ENETUNREACH),
            },
            Some(Found::Socket(socket, number)) => {
                let connects = to != Address::Nothing;
                let connected = self.connect_socket(call, &socket, to);
                if matches!(&connected, Ok(()) | Err(Errno::EINPROGRESS))
                    && connects
                    && let Some(number) = number
                {
                    self.sockets.release(number);
                }
                connected.map(|()| Answer::Value(0))
            }
        }
    }

    fn connect_socket(&self, call: &Call, socket: &OwnedFd, to: Address) -> Result<(), Errno> {
        let domain = sockopt::socket_domain(socket).map_err(errno)?;
        match to {
            Address::Path(path) if domain == AddressFamily::UNIX => {
                let file = paths::find(call.thread, &path).map_err(|error| of_io(&error))?;
                if !self.paths.allows(&file).map_err(|error| of_io(&error))? {
                    return Err(Errno::EACCES);
                }
                let address = paths::address_of(&file).map_err(|error| of_io(&error))?;
                connect(socket, &address).map_err(errno)
            }
            // Names are of the namespace; without one of its own, they are everybody's.
            Address::Abstract(name) if domain == AddressFamily::UNIX && self.within => {
                let address = SocketAddrUnix::new_abstract_name(&name).map_err(errno)?;
                connect(socket, &address).map_err(errno)
            }
            Address::Abstract(_) => Err(Errno::EACCES),
            Address::Internet(to) if is_internet(domain) => {
                if self.within {
                    let connected = connect(socket, &in_family(to, domain)).map_err(errno);
                    if refused(socket, connected) {
                        self.gate.unheard(to);
                    }
                    connected
                } else if let Some(at) = self.own.find(to) {
                    if at.is_ipv6() && domain == AddressFamily::INET {
                        return Err(Errno::ECONNREFUSED);
                    }
                    let connected = connect(socket, &in_family(at, domain)).map_err(errno);
                    if self.own.find(to) == Some(at) {
                        return connected;
                    }
                    // It was closed meanwhile, and whoever has the port now may be anybody.
                    let _ = connect_unspec(socket);
                    Err(Errno::ECONNREFUSED)
                } else {
                    self.relay(socket, domain, to)
                }
            }
            Address::Nothing if self.within => connect_unspec(socket).map_err(errno),
            Address::Nothing => Ok(()),
            _ => Err(Errno::EAFNOSUPPORT),
        }
    }

    /// Connects the child's socket to this process, which takes the connection on to where the
    /// child wanted to go.
    fn relay(&self, socket: &OwnedFd, domain: AddressFamily, to: SocketAddr) -> Result<(), Errno> {
        let way = self.gate.admit(to).ok_or(Errno::EACCES)?;
        let (connected, stream) = to_this_process(socket, domain)?;
        self.gate.carry(stream, way);
        connected
    }

    fn bind(&mut self, call: &Call) -> Result<Answer, Errno> {
        let to = self.address(call)?;
        let (socket, number) = match self.find(call)? {
            None => return Err(Errno::EINVAL),
            Some(Found::StandIn) => return Ok(Answer::Value(0)),
            Some(Found::Socket(socket, number)) => (socket, number),
        };
        let domain = sockopt::socket_domain(&*socket).map_err(errno)?;
        match to {
            Address::Path(path) if domain == AddressFamily::UNIX => {
                self.bind_path(call, &socket, &path)?;
            }
            Address::Internet(to) if is_internet(domain) => {
                let to = match (self.within, to.ip().is_unspecified(), to.port()) {
                    (true, ..) => to,
                    // Every address of this machine is loopback here.
                    (_, true, 0 | 1024..) => {
                        SocketAddr::new(loopback_of(&socket, domain), to.port())
                    }
                    (_, _, 0 | 1024..) if to.ip().is_loopback() => to,
                    _ => return Err(Errno::EACCES),
                };
                bind(&*socket, &in_family(to, domain)).map_err(errno)?;
            }
            Address::Abstract(name) if domain == AddressFamily::UNIX && self.within => {
                let address = SocketAddrUnix::new_abstract_name(&name).map_err(errno)?;
                bind(&*socket, &address).map_err(errno)?;
            }
            Address::Abstract(_) => return Err(Errno::EACCES),
            Address::Netlink if domain == AddressFamily::NETLINK => {
                bind(&*socket, &SocketAddrNetlink::new(0, 0)).map_err(errno)?;
                if let Some(number) = number {
                    self.sockets.release(number);
                }
            }
            _ => return Err(Errno::EAFNOSUPPORT),
        }
        Ok(Answer::Value(0))
    }

    fn bind_path(&mut self, call: &Call, socket: &OwnedFd, path: &[u8]) -> Result<(), Errno> {
        let (directory, name) = paths::place(call.thread, path).map_err(|error| of_io(&error))?;
        let address = paths::address_in(&directory, name).map_err(|error| of_io(&error))?;
        if self.own_mask
            && let Some(mask) = paths::mask_of(call.thread)
        {
            umask(mask);
        }
        let began = Moment::now();
        bind(socket, &address).map_err(|error| match error {
            // Of the descriptor's path; the child knows it as this.
            rustix::io::Errno::EXIST => Errno::EADDRINUSE,
            error => errno(error),
        })?;
        self.paths.bound(&directory, name, began);
        Ok(())
    }

    fn listen(&mut self, call: &Call) -> Result<Answer, Errno> {
        let Some(Found::Socket(socket, number)) = self.find(call)? else {
            return Err(Errno::EOPNOTSUPP);
        };
        let domain = sockopt::socket_domain(&*socket).map_err(errno)?;
        if is_internet(domain) {
            // One that was not bound would listen at every address of this machine.
            if local(&socket)?.port() == 0 {
                let at = SocketAddr::new(loopback_of(&socket, domain), 0);
                bind(&*socket, &in_family(at, domain)).map_err(errno)?;
            }
            if !local(&socket)?.ip().is_loopback() {
                return Err(Errno::EACCES);
            }
        }
        let [_, backlog, ..] = call.arguments.map(low);
        listen(&*socket, backlog.cast_signed()).map_err(errno)?;
        if let Some(number) = number {
            self.sockets.release(number);
            if is_internet(domain) {
                self.own.listens(number);
            }
        }
        Ok(Answer::Value(0))
    }

    /// The address in the second argument, of the length in the third.
    fn address(&self, call: &Call) -> Result<Address, Errno> {
        let [_, at, length, ..] = call.arguments;
        let length = usize::try_from(low(length)).map_err(|_| Errno::EINVAL)?;
        let at = usize::try_from(at).map_err(|_| Errno::EFAULT)?;
        let mut bytes = [0; LONGEST];
        let bytes = bytes.get_mut(..length).ok_or(Errno::EINVAL)?;
        if !bytes.is_empty() {
            let remote = RemoteIoVec {
                base: at,
                len: length,
            };
            let read = process_vm_readv(
                Pid::from_raw(call.thread.cast_signed()),
                &mut [IoSliceMut::new(bytes)],
                &[remote],
            );
            match read {
                Ok(read) if read == length => {}
                Ok(_) | Err(Errno::EFAULT) => return Err(Errno::EFAULT),
                // A process whose memory is not to be read: then nothing of it can be judged.
                Err(_) => return Err(Errno::EACCES),
            }
        }
        self.still(call)?;
        Ok(Address::read(bytes))
    }

    /// What was read was of the caller, if it still waits.
    fn still(&self, call: &Call) -> Result<(), Errno> {
        if sys::waits(self.listener.as_fd(), call.id) {
            Ok(())
        } else {
            Err(Errno::ESRCH)
        }
    }

    /// The socket in the first argument.
    fn find(&self, call: &Call) -> Result<Option<Found>, Errno> {
        let [descriptor, ..] = call.arguments;
        if self.within {
            let socket = taken(call.thread, low(descriptor).cast_signed())?;
            self.still(call)?;
            return Ok(Some(Found::Socket(Arc::new(socket), None)));
        }
        let found = self.sockets.get(call.thread, descriptor)?;
        let found = found.map(|(number, held)| match held {
            Held::Socket(socket) => Found::Socket(Arc::clone(socket), Some(number)),
            Held::StandIn => Found::StandIn,
        });
        self.still(call)?;
        Ok(found)
    }
}

const fn is_internet(family: AddressFamily) -> bool {
    matches!(family, AddressFamily::INET | AddressFamily::INET6)
}

/// Whether nobody listens there. On loopback that is known when connect returns, also where the
/// caller does not wait; the error stays for the caller to read.
fn refused(socket: &OwnedFd, connected: Result<(), Errno>) -> bool {
    match connected {
        Err(Errno::EINPROGRESS) => {
            let mut watched = [PollFd::new(socket, PollFlags::OUT)];
            let now = Timespec::default();
            let polled = poll(&mut watched, Some(&now));
            let [watched] = watched;
            polled.is_ok() && watched.revents().contains(PollFlags::ERR)
        }
        connected => connected == Err(Errno::ECONNREFUSED),
    }
}

/// The loopback address in place of all addresses: of IPv4, which a socket of both families takes as
/// well.
fn loopback_of(socket: &OwnedFd, domain: AddressFamily) -> IpAddr {
    if domain == AddressFamily::INET6 && sockopt::ipv6_v6only(socket).unwrap_or(true) {
        Ipv6Addr::LOCALHOST.into()
    } else {
        Ipv4Addr::LOCALHOST.into()
    }
}

enum Found {
    /// The child's own socket, and its number where this process made it.
    Socket(Arc<OwnedFd>, Option<u64>),
    StandIn,
}

/// The low half of an argument, which is all that the kernel looks at where it is an `int`.
fn low(argument: u64) -> u32 {
    u32::try_from(argument & 0xffff_ffff).unwrap_or_default()
}

/// The child's own descriptor, taken out of it.
fn taken(thread: u32, descriptor: i32) -> Result<OwnedFd, Errno> {
    if descriptor < 0 {
        return Err(Errno::EBADF);
    }
    let status = std::fs::read_to_string(format!("/proc/{thread}/status"));
    let status = status.map_err(|_| Errno::ESRCH)?;
    let process = status
        .lines()
        .find_map(|line| line.strip_prefix("Tgid:"))
        .and_then(|number| number.trim().parse().ok())
        .and_then(rustix::process::Pid::from_raw)
        .ok_or(Errno::ESRCH)?;
    let process = pidfd_open(process, PidfdFlags::empty()).map_err(errno)?;
    pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty()).map_err(errno)
}

//! What the supervisor and the listeners share of one child: where its connections may go, what
//! its names stand for, and how many there are at once.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream as StdStream, UdpSocket as StdDatagrams};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, SockaddrStorage, recvmsg, sendmsg,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::time::{sleep, timeout};

use super::names::Names;
use super::{Jail, dns};
use crate::address::canonical;
use crate::decision::{Reason, Refusal};
use crate::event::Form;
use crate::name::Name;
use crate::proxy::Proxy;
use crate::target::Host;

/// Connections of one child at once, questions of names included; more are refused.
const MOST: usize = 512;

/// How long a connection that asks for names may be silent.
const SILENCE: Duration = Duration::from_secs(30);

/// Where a connection of the child goes on to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To us: it asks for names.
    Names,
    /// To the proxy itself, of which its variables tell.
    Proxy,
    /// To a host, if the guard lets it.
    Host(Host, u16),
}

#[derive(Debug)]
pub(super) struct Gate {
    proxy: Proxy,
    proxy_at: Option<SocketAddr>,
    identity: Arc<str>,
    names: Mutex<Names>,
    ports: Vec<u16>,
    slots: Arc<Semaphore>,
    runtime: Handle,
}

impl Gate {
    pub(super) fn new(jail: Jail, runtime: Handle) -> Arc<Self> {
        Arc::new(Self {
            proxy: jail.proxy,
            proxy_at: jail.proxy_at,
            identity: jail.identity,
            names: Mutex::default(),
            ports: jail.ports,
            slots: Arc::new(Semaphore::new(MOST)),
            runtime,
        })
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// Judges where the child wants to go, as far as can be said without a lookup. A refusal has
    /// been told.
    pub(super) fn admit(&self, to: SocketAddr) -> Option<Way> {
        let address = canonical(to.ip());
        if to.port() == 53 {
            return Some(Way::Names);
        }
        if self.proxy_at == Some(SocketAddr::new(address, to.port())) {
            return Some(Way::Proxy);
        }
        let host = self.named(address);
        match self.proxy.judge(&self.identity, host.clone(), to.port()) {
            Ok(()) => Some(Way::Host(host, to.port())),
            Err(refusal) => {
                self.proxy.tell(Form::Transparent, &self.identity, &refusal);
                None
            }
        }
    }

    /// Tells of a connection within a namespace to where nobody listens, neither the child nor this
    /// process. Where this process does, the connection was taken and is told there: an error says
    /// that it was refused.
    pub(super) fn unheard(&self, to: SocketAddr) {
        let of_proxy = self.proxy_at.is_some_and(|at| at.port() == to.port());
        if to.port() == 53 || of_proxy || self.ports.contains(&to.port()) {
            return;
        }
        let host = self.named(canonical(to.ip()));
        let judged = self.proxy.judge(&self.identity, host.clone(), to.port());
        let refusal = judged.err().unwrap_or_else(|| {
            // An entry for every port: there is a listener for those alone that are named.
            let detail = format_args!("{host}:{}: the port is not named", to.port());
            Refusal::new(Reason::PortNotAllowed, detail).at(&host, to.port())
        });
        self.proxy.tell(Form::Transparent, &self.identity, &refusal);
    }

    /// Takes a connection on. It is closed where there are too many, and that is told.
    pub(super) fn carry(self: &Arc<Self>, stream: StdStream, way: Way) {
        let Ok(slot) = self.slot() else {
            return self.too_many(&way);
        };
        let gate = Arc::clone(self);
        self.runtime.spawn(async move {
            if stream.set_nonblocking(true).is_ok()
                && let Ok(stream) = TcpStream::from_std(stream)
            {
                gate.pass(stream, way).await;
            }
            drop(slot);
        });
    }

    /// Accepts connections at a listener within a namespace: where they end is where they were to
    /// go.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, or a client that left at once.
                sleep(Duration::from_millis(10)).await;
                continue;
            };
            let Ok(to) = stream.local_addr() else {
                continue;
            };
            let Some(way) = self.admit(to) else {
                // A reset says more than an end: nothing was there.
                let _ = stream.set_zero_linger();
                continue;
            };
            let Ok(slot) = self.slot() else {
                self.too_many(&way);
                continue;
            };
            let gate = Arc::clone(&self);
            tokio::spawn(async move {
                gate.pass(stream, way).await;
                drop(slot);
            });
        }
    }

    /// Tells of a connection that finds no place. One that would ask us loses nothing by it.
    fn too_many(&self, way: &Way) {
        if let Way::Host(host, port) = way {
            let refusal = Refusal::from(Reason::ProxyBusy).at(host, *port);
            self.proxy.tell(Form::Transparent, &self.identity, &refusal);
        }
    }

    fn slot(&self) -> Result<tokio::sync::OwnedSemaphorePermit, TryAcquireError> {
        Arc::clone(&self.slots).try_acquire_owned()
    }

    async fn pass(&self, stream: TcpStream, way: Way) {
        // Only a delay is lost where this fails.
        let _ = stream.set_nodelay(true);
        match way {
            Way::Names => {
                let _ = self.answer_stream(stream).await;
            }
            Way::Proxy => self.proxy.handed(stream, &self.identity).await,
            Way::Host(host, port) => {
                self.proxy
                    .intercepted(stream, &self.identity, host, port)
                    .await;
            }
        }
    }

    /// The host that an address stands for: a name, or the address itself.
    fn named(&self, address: IpAddr) -> Host {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        match names.name(address) {
            Some(name) => Host::Name(name.clone()),
            None => Host::Address(address),
        }
    }

    /// The address for a name that may be reached at some port.
    fn stand_for(&self, name: &Name) -> Option<Ipv4Addr> {
        let mut refused = None;
        for port in [443, 80].iter().chain(&self.ports) {
            let host = Host::Name(name.clone());
            match self.proxy.judge(&self.identity, host, *port) {
                Ok(()) => {
                    let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
                    return Some(names.address(name));
                }
                Err(refusal) => {
                    refused.get_or_insert(refusal);
                }
            }
        }
        if let Some(refusal) = refused {
            self.proxy.tell(Form::Dns, &self.identity, &refusal);
        }
        None
    }

    fn answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        dns::answer(message, |name| self.stand_for(name))
    }

    /// Questions by TCP: each with its length before it (RFC 1035 section 4.2.2).
    async fn answer_stream(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let mut message = [0; dns::MOST];
            let read = async {
                let length = usize::from(stream.read_u16().await?);
                let message = message
                    .get_mut(..length)
                    .ok_or(io::ErrorKind::InvalidData)?;
                stream.read_exact(message).await?;
                Ok::<_, io::Error>(length)
            };
            let length = timeout(SILENCE, read).await??;
            let Some(answer) = self.answer(message.get(..length).unwrap_or_default()) else {
                return Ok(());
            };
            let mut out = u16::try_from(answer.len())
                .map_err(io::Error::other)?
                .to_be_bytes()
                .to_vec();
            out.extend(answer);
            timeout(SILENCE, stream.write_all(&out)).await??;
        }
    }

    /// Questions by a stand-in for a UDP socket.
    pub(super) fn carry_datagrams(self: &Arc<Self>, socket: OwnedFd) -> io::Result<()> {
        let slot = self
            .slot()
            .map_err(|_| io::Error::from_raw_os_error(libc::EMFILE))?;
        let gate = Arc::clone(self);
        self.runtime.spawn(async move {
            // It has the calls of a datagram socket, and keeps bounds as one does.
            let socket = StdDatagram::from(socket);
            if socket.set_nonblocking(true).is_ok()
                && let Ok(socket) = UnixDatagram::from_std(socket)
            {
                // It ends with the child's end.
                let _ = gate.answer_datagrams(socket).await;
            }
            drop(slot);
        });
        Ok(())
    }

    async fn answer_datagrams(&self, socket: UnixDatagram) -> io::Result<()> {
        let mut message = [0; dns::MOST];
        loop {
            let length = socket.recv(&mut message).await?;
            if length == 0 {
                return Ok(());
            }
            if let Some(answer) = message
                .get(..length)
                .and_then(|message| self.answer(message))
            {
                // Where there is no room the child does not read; it may ask again.
                let _ = socket.try_send(&answer);
            }
        }
    }

    /// Questions by UDP within a namespace; the answer comes from where the question went.
    pub(super) async fn answer_namespace(self: Arc<Self>, socket: OwnedFd) -> io::Result<()> {
        let socket = StdDatagrams::from(socket);
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        let mut message = [0; dns::MOST];
        loop {
            let received =
                socket.async_io(Interest::READABLE, || Ok(receive(&socket, &mut message)?));
            let (length, from, to) = received.await?;
            let answer = message
                .get(..length)
                .and_then(|message| self.answer(message));
            if let (Some(answer), Some(from)) = (answer, from) {
                // As by any network, an answer may be lost.
                let _ = reply(&socket, &answer, &from, to.as_ref());
            }
        }
    }
}

/// Where a datagram went, as it was received.
#[derive(Clone, Copy, Debug)]
enum Local {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

type Received = (usize, Option<SockaddrStorage>, Option<Local>);

fn receive(socket: &UdpSocket, message: &mut [u8]) -> nix::Result<Received> {
    let mut space = nix::cmsg_space!(libc::in6_pktinfo, libc::in_pktinfo);
    let mut slices = [io::IoSliceMut::new(message)];
    let received = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut space),
        MsgFlags::MSG_DONTWAIT,
    )?;
    let local = received.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some(Local::V4(info)),
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(Local::V6(info)),
        _ => None,
    });
    Ok((received.bytes, received.address, local))
}

fn reply(
    socket: &UdpSocket,
    message: &[u8],
    to: &SockaddrStorage,
    from: Option<&Local>,
) -> nix::Result<()> {
    let slices = [io::IoSlice::new(message)];
    let control = match from {
        Some(Local::V4(info)) => vec![ControlMessage::Ipv4PacketInfo(info)],
        Some(Local::V6(info)) => vec![ControlMessage::Ipv6PacketInfo(info)],
        None => Vec::new(),
    };
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    let v6: Option<&SockaddrIn6> = to.as_sockaddr_in6();
    match v6 {
        Some(v6) => sendmsg(socket.as_raw_fd(), &slices, &control, flags, Some(v6))?,
        None => sendmsg(
            socket.as_raw_fd(),
            &slices,
            &control,
            flags,
            to.as_sockaddr_in(),
        )?,
    };
    Ok(())
}

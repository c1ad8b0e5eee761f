//! Listening sockets: one per worker on the same address, and accepting without a busy loop.
//!
//! # One port, one gateway
//!
//! On Linux every worker has its own listening socket with `SO_REUSEPORT`, and the kernel spreads
//! connections over them. That option alone would let a second gateway of the same user join in
//! unnoticed. So the first socket binds and listens *without* it, which fails if anybody listens
//! there, and only then opens the address to its own siblings. Of two gateways that start at once
//! exactly one wins, as the kernel lets one socket alone pass this first step.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// How many connections the kernel keeps for each socket until they are accepted. It cuts this to
/// `net.core.somaxconn`.
pub const BACKLOG: i32 = 4096;

/// Binds `workers` listening sockets (at least one) to `address`.
///
/// If the port is 0 the system picks one, the same for all; read it from
/// [`std::net::TcpListener::local_addr`]. IPv6 sockets take IPv6 alone, so `[::]` and `0.0.0.0` are
/// two listeners. Accepted connections have `TCP_NODELAY`. The sockets are non-blocking; each worker
/// makes a [`Listener`] of its own inside its runtime.
///
/// # Errors
///
/// [`BindError`] names the address, the cause and the remedy.
pub fn bind(address: SocketAddr, workers: usize) -> Result<Vec<StdListener>, BindError> {
    let failed = |source| BindError::new(address, source);
    let first = open(address).map_err(failed)?;
    first.bind(&address.into()).map_err(failed)?;
    first.listen(BACKLOG).map_err(failed)?;
    let first = StdListener::from(first);
    let actual = first.local_addr().map_err(failed)?;

    let mut listeners = Vec::with_capacity(workers.max(1));
    listeners.push(first);
    siblings(&mut listeners, actual, workers).map_err(failed)?;
    Ok(listeners)
}

/// A listening socket on a worker's runtime.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    back_off: BackOff,
}

impl Listener {
    /// Registers `listener`, which must be non-blocking, with the current tokio runtime.
    ///
    /// # Errors
    ///
    /// If the socket cannot be registered, or there is no runtime with I/O.
    pub fn new(listener: StdListener) -> io::Result<Self> {
        Ok(Self {
            inner: TcpListener::from_std(listener)?,
            back_off: BackOff::default(),
        })
    }

    /// Waits for a connection. Cancel safe.
    ///
    /// A connection that is gone before it is accepted is passed over. While the process has no file
    /// descriptor or memory to spare, this tries again after a pause that grows from 5 ms to 1 s, and
    /// says so in the log once a minute at most.
    ///
    /// # Errors
    ///
    /// Only what no retry mends, such as a socket that was closed beneath it.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        loop {
            match self.inner.accept().await {
                Ok((stream, peer)) => {
                    self.back_off.reset();
                    return Ok((prepared(stream), peer));
                }
                Err(error) => match verdict(&error) {
                    Verdict::Fatal => return Err(error),
                    Verdict::Next => {}
                    Verdict::Wait => tokio::time::sleep(self.back_off.next_pause(&error)).await,
                },
            }
        }
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::local_addr`].
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// Stops listening. Yields the connections that were established but not accepted yet, at most
    /// [`BACKLOG`] of them: closing the socket would reset those, with requests that may be under way.
    /// Once all sockets of an address have stopped, new connections are refused.
    #[must_use = "the connections that wait are reset if nobody takes them"]
    pub fn stop(self) -> Vec<(TcpStream, SocketAddr)> {
        let Ok(listener) = self.inner.into_std() else {
            return Vec::new();
        };
        std::iter::from_fn(|| listener.accept().ok())
            .take(usize::try_from(BACKLOG).unwrap_or(usize::MAX))
            .filter_map(|(stream, peer)| {
                stream.set_nonblocking(true).ok()?;
                Some((prepared(TcpStream::from_std(stream).ok()?), peer))
            })
            .collect()
    }
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", remedy(*.address, source))]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

impl BindError {
    fn new(address: SocketAddr, source: io::Error) -> Self {
        Self { address, source }
    }
}

fn remedy(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "another process already listens on this port; end it (`ss -ltnp 'sport = :{port}'` shows which), \
             or choose another port with `listen`"
        ),
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; `ip addr` shows those it has".to_owned()
        }
        io::ErrorKind::PermissionDenied => format!(
            "port {port} needs a privilege; choose a port from 1024 up, or grant CAP_NET_BIND_SERVICE \
             (systemd: `AmbientCapabilities=CAP_NET_BIND_SERVICE`)"
        ),
        _ => error.to_string(),
    }
}

fn open(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // On Unix this frees the port from the last gateway's TIME_WAIT; on Windows it would steal it.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    // Accepted sockets inherit it on Linux, which spares a system call for each.
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn siblings(
    listeners: &mut Vec<StdListener>,
    address: SocketAddr,
    workers: usize,
) -> io::Result<()> {
    if workers <= 1 {
        return Ok(());
    }
    if let Some(first) = listeners.first() {
        socket2::SockRef::from(first).set_reuse_port(true)?;
    }
    while listeners.len() < workers {
        let socket = open(address)?;
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        listeners.push(socket.into());
    }
    Ok(())
}

/// Elsewhere `SO_REUSEPORT` does not spread connections; the workers share one socket.
#[cfg(not(target_os = "linux"))]
fn siblings(
    listeners: &mut Vec<StdListener>,
    _address: SocketAddr,
    workers: usize,
) -> io::Result<()> {
    while listeners.len() < workers {
        let Some(first) = listeners.first() else {
            break;
        };
        let next = first.try_clone()?;
        listeners.push(next);
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn prepared(stream: TcpStream) -> TcpStream {
    stream
}

#[cfg(not(target_os = "linux"))]
fn prepared(stream: TcpStream) -> TcpStream {
    // Fails only for a connection that is gone, which its first read will show.
    let _ = stream.set_nodelay(true);
    stream
}

/// What to do about an error of `accept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Fatal,
    Next,
    Wait,
}

/// Linux passes errors that are pending on the new connection through `accept` (accept(2), "Error
/// handling"): those concern one connection. Want of resources passes with time.
fn verdict(error: &io::Error) -> Verdict {
    use io::ErrorKind as K;
    match error.kind() {
        K::ConnectionAborted
        | K::ConnectionReset
        | K::ConnectionRefused
        | K::Interrupted
        | K::HostUnreachable
        | K::NetworkDown
        | K::NetworkUnreachable
        | K::TimedOut
        | K::NotConnected
        | K::BrokenPipe
        | K::PermissionDenied => Verdict::Next,
        K::InvalidInput | K::Unsupported => Verdict::Fatal,
        // EMFILE, ENFILE and ENOBUFS have no kind of their own, EBADF and ENOTSOCK neither.
        _ => match error.raw_os_error() {
            Some(EBADF | ENOTSOCK) => Verdict::Fatal,
            _ => Verdict::Wait,
        },
    }
}

const EBADF: i32 = 9;
#[cfg(target_os = "linux")]
const ENOTSOCK: i32 = 88;
#[cfg(not(target_os = "linux"))]
const ENOTSOCK: i32 = 38;

#[derive(Debug, Default)]
struct BackOff {
    pause: Option<Duration>,
    last_said: Option<tokio::time::Instant>,
}

impl BackOff {
    const FIRST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_secs(1);
    const SAY_EVERY: Duration = Duration::from_secs(60);

    fn reset(&mut self) {
        self.pause = None;
    }

    fn next_pause(&mut self, error: &io::Error) -> Duration {
        let pause = self
            .pause
            .map_or(Self::FIRST, |last| (last * 2).min(Self::LONGEST));
        self.pause = Some(pause);
        let now = tokio::time::Instant::now();
        if self
            .last_said
            .is_none_or(|last| now - last >= Self::SAY_EVERY)
        {
            self.last_said = Some(now);
            tracing::warn!(
                %error,
                "cannot accept connections for now; if this lasts, raise the limit on open files \
                 (`ulimit -n`, systemd `LimitNOFILE=`) or lower the connection caps"
            );
        }
        pause
    }
}

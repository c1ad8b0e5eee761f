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
        | K::BrokenPipe => Verdict::Next,
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const ANY_PORT: &str = "127.0.0.1:0";

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    fn connect(address: SocketAddr) -> io::Result<std::net::TcpStream> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.connect_timeout(&address.into(), Duration::from_secs(5))?;
        Ok(socket.into())
    }

    #[test]
    fn workers_share_one_port_and_all_get_connections() {
        let listeners = bind(ANY_PORT.parse().unwrap(), 3).unwrap();
        let address = listeners[0].local_addr().unwrap();
        assert_eq!(listeners.len(), 3);
        assert!(listeners.iter().all(|l| l.local_addr().unwrap() == address));
        let clients: Vec<_> = (0..64).map(|_| connect(address).unwrap()).collect();
        let mut accepted = 0;
        for listener in &listeners {
            let here = std::iter::from_fn(|| listener.accept().ok()).count();
            // The kernel spreads by a hash: a worker without any of 64 has a chance of one in 10^11.
            #[cfg(target_os = "linux")]
            assert!(here > 0, "a worker got no connection");
            accepted += here;
        }
        assert_eq!(accepted, clients.len());
    }

    #[test]
    fn a_port_in_use_is_an_error_with_a_remedy() {
        for (first_workers, second_workers) in [(1, 1), (1, 2), (2, 1), (2, 2)] {
            let first = bind(ANY_PORT.parse().unwrap(), first_workers).unwrap();
            let address = first[0].local_addr().unwrap();
            let error = bind(address, second_workers).unwrap_err();
            assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
            let text = error.to_string();
            assert!(text.contains(&address.to_string()), "{text}");
            assert!(text.contains("another process already listens"), "{text}");
            // The wildcard would take the same port.
            let wildcard = SocketAddr::from(([0, 0, 0, 0], address.port()));
            let error = bind(wildcard, second_workers).unwrap_err();
            assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
            drop(first);
            bind(address, second_workers).unwrap();
        }
    }

    #[test]
    fn somebody_else_with_reuse_port_is_found_too() {
        let other = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        other.set_reuse_address(true).unwrap();
        #[cfg(target_os = "linux")]
        other.set_reuse_port(true).unwrap();
        other
            .bind(&ANY_PORT.parse::<SocketAddr>().unwrap().into())
            .unwrap();
        other.listen(1).unwrap();
        let address = other.local_addr().unwrap().as_socket().unwrap();
        let error = bind(address, 2).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn of_two_that_start_at_once_one_wins() {
        for _ in 0..50 {
            // An address that no other test takes ports of.
            let free = bind("127.0.0.77:0".parse().unwrap(), 1).unwrap();
            let address = free[0].local_addr().unwrap();
            drop(free);
            let barrier = std::sync::Barrier::new(4);
            let bound: Vec<_> = std::thread::scope(|scope| {
                let starts: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(|| {
                            barrier.wait();
                            bind(address, 2)
                        })
                    })
                    .collect();
                starts
                    .into_iter()
                    .map(|start| start.join().unwrap())
                    .collect()
            });
            assert_eq!(bound.iter().filter(|bound| bound.is_ok()).count(), 1);
        }
    }

    #[test]
    fn ipv6_sockets_take_ipv6_alone() {
        let v6 = match bind("[::]:0".parse().unwrap(), 2) {
            // A machine without IPv6.
            Err(error) if error.source.kind() != io::ErrorKind::AddrInUse => return,
            bound => bound.unwrap(),
        };
        assert!(socket2::SockRef::from(&v6[0]).only_v6().unwrap());
        // A passing client may hold one such port; not each of eight.
        let both = (0..8).any(|_| {
            let v6 = bind("[::]:0".parse().unwrap(), 2).unwrap();
            let port = v6[0].local_addr().unwrap().port();
            bind(SocketAddr::from(([0, 0, 0, 0], port)), 2).is_ok()
        });
        assert!(both);
    }

    #[test]
    fn addresses_of_others_name_the_remedy() {
        let error = bind("192.0.2.1:8443".parse().unwrap(), 1).unwrap_err();
        assert!(error.to_string().contains("no such address"), "{error}");
        let denied = BindError::new(
            "0.0.0.0:443".parse().unwrap(),
            io::ErrorKind::PermissionDenied.into(),
        );
        assert!(
            denied.to_string().contains("CAP_NET_BIND_SERVICE"),
            "{denied}"
        );
    }

    #[test]
    fn accepted_connections_do_not_delay() {
        let listeners = bind(ANY_PORT.parse().unwrap(), 2).unwrap();
        let address = listeners[0].local_addr().unwrap();
        runtime().block_on(async {
            let mut all: Vec<_> = listeners
                .into_iter()
                .map(|listener| Listener::new(listener).unwrap())
                .collect();
            let (first, second) = all.split_at_mut(1);
            for _ in 0..8 {
                let mut client = connect(address).unwrap();
                let (mut stream, peer) = tokio::select! {
                    accepted = first[0].accept() => accepted.unwrap(),
                    accepted = second[0].accept() => accepted.unwrap(),
                };
                assert_eq!(peer, client.local_addr().unwrap());
                assert!(stream.nodelay().unwrap());
                client.write_all(b"ping").unwrap();
                let mut bytes = [0; 4];
                stream.read_exact(&mut bytes).await.unwrap();
                assert_eq!(&bytes, b"ping");
            }
        });
    }

    // REQ: G-10
    #[test]
    fn stopping_keeps_what_is_established_and_refuses_what_comes() {
        let listeners = bind(ANY_PORT.parse().unwrap(), 2).unwrap();
        let address = listeners[0].local_addr().unwrap();
        runtime().block_on(async {
            let all: Vec<_> = listeners
                .into_iter()
                .map(|listener| Listener::new(listener).unwrap())
                .collect();
            let mut clients: Vec<_> = (0..16).map(|_| connect(address).unwrap()).collect();
            let waiting: Vec<_> = all.into_iter().flat_map(Listener::stop).collect();
            assert_eq!(waiting.len(), clients.len());
            assert!(connect(address).is_err());
            for (mut stream, _peer) in waiting {
                stream.write_all(b"!").await.unwrap();
            }
            for client in &mut clients {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
            }
        });
    }

    // REQ: R-3
    #[test]
    fn errors_of_one_connection_do_not_end_the_listener() {
        const EMFILE: i32 = 24;
        const ENFILE: i32 = 23;
        for (error, wanted) in [
            (
                io::Error::from(io::ErrorKind::ConnectionAborted),
                Verdict::Next,
            ),
            (
                io::Error::from(io::ErrorKind::ConnectionReset),
                Verdict::Next,
            ),
            (
                io::Error::from(io::ErrorKind::NetworkUnreachable),
                Verdict::Next,
            ),
            (io::Error::from(io::ErrorKind::OutOfMemory), Verdict::Wait),
            (io::Error::from_raw_os_error(EMFILE), Verdict::Wait),
            (io::Error::from_raw_os_error(ENFILE), Verdict::Wait),
            (io::Error::from_raw_os_error(EBADF), Verdict::Fatal),
            (io::Error::from_raw_os_error(ENOTSOCK), Verdict::Fatal),
            (io::Error::from(io::ErrorKind::InvalidInput), Verdict::Fatal),
        ] {
            assert_eq!(verdict(&error), wanted, "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_grows_to_a_second_and_starts_anew() {
        let error = io::Error::from(io::ErrorKind::OutOfMemory);
        let mut back_off = BackOff::default();
        let pauses: Vec<_> = (0..10)
            .map(|_| back_off.next_pause(&error).as_millis())
            .collect();
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
        back_off.reset();
        assert_eq!(back_off.next_pause(&error).as_millis(), 5);
    }
}

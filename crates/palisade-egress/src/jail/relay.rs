//! A child's socket and this process, connected to each other on loopback.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, SocketAddrAny, connect, connect_unspec, getsockname};

use super::sockets::{errno, of_io};

/// How long a connection to our own listener may take; it is on loopback.
const RELAY: Duration = Duration::from_secs(1);

/// An address in the form that a socket of this family takes.
pub(super) fn in_family(to: SocketAddr, family: AddressFamily) -> SocketAddr {
    match to.ip() {
        IpAddr::V4(v4) if family == AddressFamily::INET6 => {
            SocketAddr::new(v4.to_ipv6_mapped().into(), to.port())
        }
        _ => to,
    }
}

/// Where a socket of the internet is bound.
pub(super) fn local(socket: &OwnedFd) -> Result<SocketAddr, Errno> {
    let at: SocketAddrAny = getsockname(socket).map_err(errno)?;
    let at = SocketAddr::try_from(at).map_err(errno)?;
    Ok(SocketAddr::new(at.ip().to_canonical(), at.port()))
}

/// Connects a socket to a listener that is made for it; gives what connect gave, and the other
/// end. Nobody else's connection is taken for it.
pub(super) fn to_this_process(
    socket: &OwnedFd,
    domain: AddressFamily,
) -> Result<(Result<(), Errno>, TcpStream), Errno> {
    let of_io = |error: io::Error| of_io(&error);
    let v6 = Ipv6Addr::LOCALHOST.into();
    let v4 = Ipv4Addr::LOCALHOST.into();
    // One that was bound to IPv4 reaches nothing else.
    let bound_to_v4 = matches!(local(socket)?.ip(), IpAddr::V4(at) if !at.is_unspecified());
    let listener = match domain {
        AddressFamily::INET6 if !bound_to_v4 => TcpListener::bind(SocketAddr::new(v6, 0))
            .or_else(|_| TcpListener::bind(SocketAddr::new(v4, 0))),
        _ => TcpListener::bind(SocketAddr::new(v4, 0)),
    };
    let listener = listener.map_err(of_io)?;
    listener.set_nonblocking(true).map_err(of_io)?;
    let at = listener.local_addr().map_err(of_io)?;
    let connected = connect(socket, &in_family(at, domain)).map_err(errno);
    if !matches!(connected, Ok(()) | Err(Errno::EINPROGRESS)) {
        return Err(connected.err().unwrap_or(Errno::ECONNREFUSED));
    }
    let own = local(socket)?;
    let until = Instant::now() + RELAY;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(|_| Errno::EINVAL)?;
        let mut watched = [PollFd::new(&listener, PollFlags::IN)];
        // What comes of it is seen by accept.
        let _ = poll(&mut watched, Some(&left));
        match listener.accept() {
            Ok((stream, peer))
                if peer.ip().to_canonical() == own.ip() && peer.port() == own.port() =>
            {
                return Ok((connected, stream));
            }
            // Somebody else on this machine, or nobody yet.
            Ok(_) | Err(_) => {}
        }
        if Instant::now() >= until {
            // It must not stay connected to what we do not know.
            let _ = connect_unspec(socket);
            return Err(Errno::ETIMEDOUT);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use rustix::net::{SocketFlags, SocketType, socket_with};

    use super::*;

    // REQ: E-3
    #[test]
    fn both_families_blocking_or_not() {
        for family in [AddressFamily::INET, AddressFamily::INET6] {
            for flags in [SocketFlags::CLOEXEC, SocketFlags::NONBLOCK] {
                let socket = socket_with(family, SocketType::STREAM, flags, None).expect("TCP");
                let (connected, mut ours) = to_this_process(&socket, family).expect("connected");
                assert!(matches!(connected, Ok(()) | Err(Errno::EINPROGRESS)));
                let mut theirs = TcpStream::from(socket);
                ours.write_all(b"x").expect("written");
                theirs.set_nonblocking(false).expect("a flag");
                let mut byte = [0];
                theirs.read_exact(&mut byte).expect("read");
                assert_eq!(&byte, b"x");
                assert_eq!(theirs.local_addr().ok(), ours.peer_addr().ok());
            }
        }
    }

    #[test]
    fn a_socket_that_was_bound_to_the_other_family() {
        let socket = socket_with(
            AddressFamily::INET6,
            SocketType::STREAM,
            SocketFlags::CLOEXEC,
            None,
        );
        let socket = socket.expect("TCP");
        let at: SocketAddr = "[::ffff:127.0.0.1]:0".parse().expect("an address");
        rustix::net::bind(&socket, &at).expect("bound");
        let (connected, _) = to_this_process(&socket, AddressFamily::INET6).expect("connected");
        assert_eq!(connected, Ok(()));
    }

    #[test]
    fn families() {
        let v4: SocketAddr = "10.0.0.1:80".parse().expect("an address");
        let mapped = "[::ffff:10.0.0.1]:80".parse().expect("an address");
        assert_eq!(in_family(v4, AddressFamily::INET), v4);
        assert_eq!(in_family(v4, AddressFamily::INET6), mapped);
    }
}

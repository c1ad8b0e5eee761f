//! The servers on loopback that a child at level *supervised* has itself. Loopback is the whole
//! machine's there, so a port alone says nothing: what listens at it must be a socket that was made
//! for this child.

use std::collections::VecDeque;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::address::canonical;

/// Most listening sockets of one child that are remembered; beyond, the oldest is forgotten.
const MOST: usize = 256;

/// The child's sockets that were made to listen, by their numbers in the kernel.
#[derive(Debug, Default)]
pub(super) struct Own(VecDeque<u64>);

impl Own {
    pub(super) fn listens(&mut self, number: u64) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(number);
    }

    /// Where the child listens, if that is where it wants to go: loopback, and all addresses, which
    /// the kernel takes for it.
    pub(super) fn find(&self, to: SocketAddr) -> Option<SocketAddr> {
        if self.0.is_empty() || !(to.ip().is_loopback() || to.ip().is_unspecified()) {
            return None;
        }
        // Of the thread's own network, which is the gateway's.
        ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"]
            .into_iter()
            .filter_map(|table| fs::read_to_string(table).ok())
            .find_map(|table| {
                listening(&table, to.port())
                    .find(|(_, number)| self.0.contains(number))
                    .map(|(address, _)| SocketAddr::new(address, to.port()))
            })
    }
}

/// What `/proc/net/tcp` or `tcp6` says of the sockets that listen at a port: address and number
/// (proc(5)).
fn listening(table: &str, port: u16) -> impl Iterator<Item = (IpAddr, u64)> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).filter_map(move |line| {
        let mut words = line.split_ascii_whitespace();
        let (address, at) = words.nth(1)?.split_once(':')?;
        if u16::from_str_radix(at, 16) != Ok(port) || words.nth(1)? != LISTEN {
            return None;
        }
        let number = words.nth(5)?.parse().ok()?;
        Some((canonical(read(address)?), number))
    })
}

/// An address as the kernel prints it: words of 32 bits in the machine's order.
fn read(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let word = u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?;
        Some(word.to_ne_bytes())
    };
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (part, at) in bytes.chunks_exact_mut(4).zip([0, 8, 16, 24]) {
                part.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::fd::AsFd as _;

    use rustix::fs::fstat;

    use super::*;

    // REQ: E-3
    #[test]
    fn a_port_is_the_childs_while_its_own_socket_listens_there() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).expect("a listener");
            let at = listener.local_addr().expect("an address");
            let number = fstat(listener.as_fd()).expect("a file").st_ino;
            let mut own = Own::default();
            assert_eq!(own.find(at), None);
            own.listens(number + 1);
            assert_eq!(own.find(at), None, "another socket's");
            own.listens(number);
            assert_eq!(own.find(at), Some(at));
            let with = |ip: &str| SocketAddr::new(ip.parse().expect("an address"), at.port());
            for ip in ["127.0.0.1", "::1", "0.0.0.0", "127.0.0.2"] {
                assert_eq!(own.find(with(ip)), Some(at), "{ip}");
            }
            assert_eq!(own.find(with("10.0.0.1")), None);
            drop(listener);
            assert_eq!(own.find(at), None, "closed");
        }
    }

    #[test]
    fn tables_of_the_kernel() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0\n\
            \x20  1: 0100007F:1F90 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0\n\
            \x20  2: 0200000A:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4713 1 0\n\
            \x20  3: 0100007F:1F91 00000000:0000 0A\nnonsense\n";
        let found: Vec<_> = listening(table, 8080).collect();
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(
            found,
            [(address("127.0.0.1"), 4711), (address("10.0.0.2"), 4713)]
        );
        assert_eq!(listening(table, 8081).count(), 0);
        assert_eq!(
            read("00000000000000000000000001000000"),
            Some(address("::1"))
        );
        for bad in ["", "0", "0100007", "0100007G", "é100007"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut own = Own::default();
        for number in 0..=u64::try_from(MOST).expect("small") {
            own.listens(number);
        }
        assert_eq!((own.0.len(), own.0.front()), (MOST, Some(&1)));
    }
}

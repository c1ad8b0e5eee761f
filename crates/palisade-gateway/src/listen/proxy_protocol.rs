//! The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`, 2020/03/05): who the client
//! of a connection is, told in its first bytes. Read from trusted peers alone.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The most bytes of a header of version 1, with its line end.
const MOST_V1: usize = 107;

/// The most bytes behind the head of version 2 that are read; what stands behind the addresses is
/// passed over.
const MOST_V2: usize = 2048;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads the header. `None`: the terminator speaks for itself, as for its health checks.
///
/// # Errors
/// Where the connection ends within it, or it is none.
pub async fn read<IO: AsyncRead + Unpin>(io: &mut IO) -> io::Result<Option<SocketAddr>> {
    let mut first = [0; 12];
    io.read_exact(&mut first).await?;
    if &first == SIGNATURE {
        return version_2(io).await;
    }
    if !first.starts_with(b"PROXY ") {
        return Err(malformed());
    }
    // Not one byte more may be read: what follows is TLS or HTTP.
    let mut line = first.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= MOST_V1 {
            return Err(malformed());
        }
        line.push(io.read_u8().await?);
    }
    let line = std::str::from_utf8(&line[..line.len() - 2]).map_err(|_| malformed())?;
    version_1(line).ok_or_else(malformed)
}

/// The line without its end; `Some(None)` for `UNKNOWN`.
fn version_1(line: &str) -> Option<Option<SocketAddr>> {
    let mut words = line.split(' ');
    if words.next()? != "PROXY" {
        return None;
    }
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(None);
    }
    let (source, target) = (words.next()?, words.next()?);
    let (port, target_port) = (words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let read = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let number = |text: &str| {
        let plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let plain = plain && (text == "0" || !text.starts_with('0'));
        plain.then(|| text.parse::<u16>().ok()).flatten()
    };
    read(target)?;
    number(target_port)?;
    Some(Some(SocketAddr::new(read(source)?, number(port)?)))
}

async fn version_2<IO: AsyncRead + Unpin>(io: &mut IO) -> io::Result<Option<SocketAddr>> {
    let (command, family) = (io.read_u8().await?, io.read_u8().await?);
    let length = usize::from(io.read_u16().await?);
    if command >> 4 != 2 || length > MOST_V2 {
        return Err(malformed());
    }
    let mut rest = vec![0; length];
    io.read_exact(&mut rest).await?;
    addresses(command & 15, family, &rest).ok_or_else(malformed)
}

fn addresses(command: u8, family: u8, rest: &[u8]) -> Option<Option<SocketAddr>> {
    match (command, family) {
        // LOCAL; UNSPEC.
        (0, _) | (1, 0x00) => Some(None),
        // TCP over IPv4: source, target, ports.
        (1, 0x11) => {
            let (source, port) = (rest.first_chunk::<4>()?, rest.get(8..12)?);
            let port = u16::from_be_bytes([port[0], port[1]]);
            Some(Some(SocketAddr::new(Ipv4Addr::from(*source).into(), port)))
        }
        // TCP over IPv6.
        (1, 0x21) => {
            let (source, port) = (rest.first_chunk::<16>()?, rest.get(32..36)?);
            let port = u16::from_be_bytes([port[0], port[1]]);
            Some(Some(SocketAddr::new(Ipv6Addr::from(*source).into(), port)))
        }
        _ => None,
    }
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no PROXY protocol header")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn told(bytes: &[u8]) -> (Result<Option<String>, io::ErrorKind>, Vec<u8>) {
        let mut rest = bytes;
        let read = read(&mut rest).await;
        let read = read.map(|address| address.map(|address| address.to_string()));
        (read.map_err(|error| error.kind()), rest.to_vec())
    }

    fn v2(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [
            &SIGNATURE[..],
            &[command, family],
            &length,
            addresses,
            b"GET",
        ]
        .concat()
    }

    // REQ: T-6
    #[tokio::test]
    async fn both_versions_are_read_to_their_end_and_no_further() {
        let four = [192, 0, 2, 1, 10, 0, 0, 1, 0x30, 0x39, 0, 80];
        let mut six = [0; 36];
        (six[0], six[1], six[15], six[33]) = (0x20, 1, 9, 7);
        let with_more = [&four[..], &[4, 0, 1, 0]].concat();
        for (bytes, expected) in [
            (
                b"PROXY TCP4 192.0.2.1 10.0.0.1 12345 80\r\nGET".to_vec(),
                Some("192.0.2.1:12345"),
            ),
            (
                b"PROXY TCP6 2001:db8::1 ::1 1 80\r\nGET".to_vec(),
                Some("[2001:db8::1]:1"),
            ),
            (b"PROXY UNKNOWN\r\nGET".to_vec(), None),
            (b"PROXY UNKNOWN what ever\r\nGET".to_vec(), None),
            (v2(0x21, 0x11, &four), Some("192.0.2.1:12345")),
            (v2(0x21, 0x11, &with_more), Some("192.0.2.1:12345")),
            (v2(0x21, 0x21, &six), Some("[2001::9]:7")),
            (v2(0x20, 0x00, &[]), None),
            (v2(0x21, 0x00, &[]), None),
        ] {
            let (read, rest) = told(&bytes).await;
            assert_eq!(read.unwrap().as_deref(), expected, "{bytes:?}");
            assert_eq!(rest, b"GET", "{bytes:?}");
        }
    }

    // REQ: T-6
    #[tokio::test]
    async fn anything_else_is_refused() {
        for bytes in [
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 12345\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 12345 80 1\r\n".to_vec(),
            b"PROXY TCP4 ::1 ::1 12345 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 65536 80\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 10.0.0.1 +1 80\r\n".to_vec(),
            b"PROXY TCP4  192.0.2.1 10.0.0.1 1 80\r\n".to_vec(),
            b"PROXY UDP4 192.0.2.1 10.0.0.1 1 80\r\n".to_vec(),
            [b"PROXY TCP4 ".to_vec(), vec![b'1'; 200]].concat(),
            v2(0x11, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 4]),
            v2(0x21, 0x31, &[0; 216]),
            v2(0x21, 0x11, &vec![0; 4000]),
        ] {
            let (read, _) = told(&bytes).await;
            assert_eq!(read.unwrap_err(), io::ErrorKind::InvalidData, "{bytes:?}");
        }
        assert_eq!(
            told(b"PROXY").await.0.unwrap_err(),
            io::ErrorKind::UnexpectedEof
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(told(&[&SIGNATURE[..], &bytes].concat()));
            let _ = runtime.block_on(told(&[b"PROXY ", &bytes[..]].concat()));
        }
    }
}

//! A tunnel: what it begins with must fit what it was opened for; then bytes pass both ways.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustls::server::Acceptor;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf, copy_bidirectional,
};
use tokio::time::{sleep, timeout};

use super::plan::Identity;
use super::registry::{Counters, Metered, Revoked, Route};
use super::{Opened, Session, http1};
use crate::decision::{Reason, Refusal};
use crate::guard::Stream;
use crate::name::Name;
use crate::target::Host;

/// Most bytes of a TLS ClientHello.
const MAX_HELLO: usize = 64 << 10;

/// The record type of a TLS handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

/// Runs a tunnel from `client` to the opened connection until one of them ends, nothing passes for
/// too long, or a new plan does not allow it.
pub(super) async fn run(
    session: Session,
    identity: Arc<Identity>,
    mut client: Box<dyn Stream>,
    opened: Opened,
) -> io::Result<()> {
    let port = opened.registration.route().port;
    if identity.raw_ports.contains(&port) {
        return splice(session, client, opened, &[]).await;
    }
    let begin = timeout(
        session.shared.limits.begin,
        read_begin(&mut client, opened.registration.route()),
    );
    match begin.await? {
        Ok(Begin::Tls(hello)) => splice(session, client, opened, &hello).await,
        Ok(Begin::Http(bytes)) => {
            let client = Rewound {
                bytes,
                read: 0,
                stream: client,
            };
            http1::serve_inside(session, identity, client, opened).await
        }
        Ok(Begin::Nothing) => Ok(()),
        Err(reason) => {
            let Route {
                form, host, port, ..
            } = opened.registration.route();
            let refusal = Refusal::from(reason).at(host, *port);
            session.refuse(*form, &identity.name, &refusal, Instant::now());
            Ok(())
        }
    }
}

enum Begin {
    Tls(Vec<u8>),
    Http(Vec<u8>),
    Nothing,
}

/// Reads until it is known what the tunnel holds. Not a byte has gone to the host then.
async fn read_begin(client: &mut Box<dyn Stream>, route: &Route) -> Result<Begin, Reason> {
    let mut acceptor = Acceptor::default();
    let mut all = Vec::new();
    let mut chunk = vec![0; 16 << 10];
    loop {
        let read = client.read(&mut chunk).await.unwrap_or(0);
        let bytes = chunk.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return if all.is_empty() {
                Ok(Begin::Nothing)
            } else {
                Err(Reason::TlsExpected)
            };
        }
        all.extend_from_slice(bytes);
        match all.first() {
            Some(&HANDSHAKE) => {}
            // A method of HTTP.
            Some(first) if first.is_ascii_uppercase() => return Ok(Begin::Http(all)),
            _ => return Err(Reason::TlsExpected),
        }
        if all.len() > MAX_HELLO {
            return Err(Reason::TlsExpected);
        }
        let mut left = bytes;
        while !left.is_empty() {
            acceptor
                .read_tls(&mut left)
                .map_err(|_| Reason::TlsExpected)?;
        }
        if let Some(accepted) = acceptor.accept().map_err(|_| Reason::TlsExpected)? {
            return if is_for(accepted.client_hello().server_name(), &route.host) {
                Ok(Begin::Tls(all))
            } else {
                Err(Reason::TlsName)
            };
        }
    }
}

/// Whether a handshake for `name` belongs to a tunnel to `host`. An address has no name (RFC 6066
/// section 3); with one, another host of the same address could be meant.
fn is_for(name: Option<&str>, host: &Host) -> bool {
    match (name, host) {
        (Some(sent), Host::Name(host)) => Name::from_ascii(sent).as_ref() == Ok(host),
        (None, Host::Address(_)) => true,
        (None, Host::Name(_)) | (Some(_), Host::Address(_)) => false,
    }
}

async fn splice(
    session: Session,
    mut client: Box<dyn Stream>,
    opened: Opened,
    begin: &[u8],
) -> io::Result<()> {
    let Opened {
        connection,
        registration,
    } = opened;
    let mut host = Metered::new(connection.stream, &registration);
    let revoked = registration.revoked();
    let counters = registration.counters();
    let pass = async {
        host.write_all(begin).await?;
        copy_bidirectional(&mut client, &mut host).await
    };
    tokio::select! {
        passed = pass => passed.map(|_| ()),
        () = ended(&revoked, &counters, session.shared.limits.idle) => Ok(()),
    }
}

/// Waits until a connection is no longer allowed, or nothing has passed for `idle`.
pub(super) async fn ended(revoked: &Revoked, counters: &Counters, idle: Duration) {
    let silence = async {
        let mut before = counters.total();
        loop {
            sleep(idle).await;
            let now = counters.total();
            if now == before {
                return;
            }
            before = now;
        }
    };
    tokio::select! {
        () = revoked.wait() => {}
        () = silence => {}
    }
}

/// A stream whose first bytes were read already.
pub(super) struct Rewound {
    bytes: Vec<u8>,
    read: usize,
    stream: Box<dyn Stream>,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.bytes.get(self.read..).unwrap_or_default();
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = left.len().min(buffer.remaining());
        buffer.put_slice(left.get(..length).unwrap_or_default());
        self.read += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: E-2
    #[test]
    fn names_in_the_handshake() {
        let name = Host::parse("api.example.com").expect("a host");
        let address = Host::parse("8.8.8.8").expect("a host");
        for (sent, host, expected) in [
            (Some("api.example.com"), &name, true),
            (Some("API.example.com"), &name, true),
            (Some("other.example.com"), &name, false),
            (Some("xapi.example.com"), &name, false),
            (Some("example.com"), &name, false),
            (None, &name, false),
            (None, &address, true),
            (Some("api.example.com"), &address, false),
        ] {
            assert_eq!(is_for(sent, host), expected, "{sent:?} {host}");
        }
    }
}

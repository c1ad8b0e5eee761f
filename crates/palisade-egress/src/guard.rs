//! From a target to a connection: one lookup, every answer judged, only judged addresses dialed,
//! and the other end compared with the address that was judged.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use crate::decision::{Reason, Refusal};
use crate::policy::{CheckedTarget, Policy, Target};
use crate::resolve::{Answers, BoxFuture, Resolve, ResolveError};
use crate::target::Host;

/// Something that can be read and written: a TCP connection, or a test's pipe.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens connections to addresses that were checked.
pub trait Dial: Send + Sync + fmt::Debug {
    /// Opens one connection. The guard bounds the time.
    fn dial<'a>(&'a self, to: &'a Pinned) -> BoxFuture<'a, io::Result<Dialed>>;
}

/// An address that was checked; only the guard makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct Pinned(SocketAddr);

impl Pinned {
    /// The address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.0
    }
}

/// A connection, and where it ended.
pub struct Dialed {
    /// The connection.
    pub stream: Box<dyn Stream>,
    /// The other end, as the operating system names it after the connection was made.
    pub peer: SocketAddr,
}

/// Opens TCP connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct TcpDialer;

impl Dial for TcpDialer {
    fn dial<'a>(&'a self, to: &'a Pinned) -> BoxFuture<'a, io::Result<Dialed>> {
        Box::pin(async move {
            #[expect(clippy::disallowed_methods, reason = "this is the guard's dialer")]
            let stream = TcpStream::connect(to.address()).await?;
            stream.set_nodelay(true)?;
            let peer = stream.peer_addr()?;
            Ok(Dialed {
                stream: Box::new(stream),
                peer,
            })
        })
    }
}

/// Resolves and connects, under one policy.
#[derive(Clone, Debug)]
pub struct Guard {
    policy: Arc<Policy>,
    resolver: Arc<dyn Resolve>,
    dialer: Arc<dyn Dial>,
    times: Times,
}

/// How long the steps of a connection may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// For a lookup. Default: 5 s.
    pub lookup: Duration,
    /// For a connection, all addresses together. Default: 5 s.
    pub connect: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            lookup: Duration::from_secs(5),
            connect: Duration::from_secs(5),
        }
    }
}

impl Guard {
    /// A guard that asks `resolver` and dials TCP.
    #[must_use]
    pub fn new(policy: Arc<Policy>, resolver: Arc<dyn Resolve>) -> Self {
        Self {
            policy,
            resolver,
            dialer: Arc::new(TcpDialer),
            times: Times::default(),
        }
    }

    /// Dials by `dialer`.
    #[must_use]
    pub fn with_dialer(mut self, dialer: Arc<dyn Dial>) -> Self {
        self.dialer = dialer;
        self
    }

    /// With these limits.
    #[must_use]
    pub const fn with_times(mut self, times: Times) -> Self {
        self.times = times;
        self
    }

    /// The same guard under another policy.
    #[must_use]
    pub fn with_policy(&self, policy: Arc<Policy>) -> Self {
        Self {
            policy,
            ..self.clone()
        }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The limits of its steps.
    #[must_use]
    pub const fn times(&self) -> Times {
        self.times
    }

    /// Looks the target's name up, once, and judges every answer. An address needs no lookup.
    ///
    /// # Errors
    /// Why the target may not be reached, or that its name has no address.
    pub async fn resolve(&self, target: Target) -> Result<CheckedTarget, Refusal> {
        self.policy.own_addresses().refresh();
        let failed = |reason, detail: &dyn fmt::Display| {
            Refusal::new(reason, detail).at(target.host(), target.port())
        };
        let answers = match target.host() {
            Host::Address(address) => Answers {
                addresses: vec![*address],
                aliases: Vec::new(),
            },
            Host::Name(name) => {
                let lookup = timeout(self.times.lookup, self.resolver.resolve(name)).await;
                lookup
                    .unwrap_or(Err(ResolveError::Timeout))
                    .map_err(|error| match error {
                        ResolveError::NoAddress => failed(Reason::DnsNoAddress, name),
                        ResolveError::Timeout => failed(Reason::DnsTimeout, name),
                        ResolveError::Other(error) => {
                            failed(Reason::DnsFailed, &format_args!("{name}: {error}"))
                        }
                    })?
            }
        };
        self.policy.check_aliases(&target, &answers.aliases)?;
        self.policy.check_addrs(target, &answers.addresses)
    }

    /// Connects to one of the checked addresses, in their order, within the limit for all.
    ///
    /// # Errors
    /// [`ConnectError::Refused`] where the connection ended elsewhere; otherwise the last failure.
    pub async fn connect(&self, target: CheckedTarget) -> Result<Connection, ConnectError> {
        let deadline = Instant::now() + self.times.connect;
        let mut last = ConnectError::Timeout;
        let mut left = u32::try_from(target.addresses().len()).unwrap_or(u32::MAX);
        for address in target.addresses() {
            // An address that does not answer leaves time for the others.
            let now = Instant::now();
            let until = now + deadline.saturating_duration_since(now) / left.max(1);
            left -= 1;
            let pinned = Pinned(*address);
            match timeout_at(until, self.dialer.dial(&pinned)).await {
                Err(_) => last = ConnectError::Timeout,
                Ok(Err(error)) => last = ConnectError::Failed(error),
                Ok(Ok(Dialed { stream, peer })) => {
                    if same(peer, *address) {
                        return Ok(Connection {
                            stream,
                            address: *address,
                            target: target.into_target(),
                        });
                    }
                    let found = format_args!("{address} was checked, {peer} answered");
                    let target = target.target();
                    let refusal = Refusal::new(Reason::PeerChanged, found);
                    let refusal = refusal.at(target.host(), target.port());
                    return Err(ConnectError::Refused(refusal));
                }
            }
        }
        Err(last)
    }
}

/// The same address and port; scope and flow label of IPv6 are no part of what was checked.
fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.ip().to_canonical() == b.ip().to_canonical() && a.port() == b.port()
}

/// A connection to a checked address.
pub struct Connection {
    /// The connection.
    pub stream: Box<dyn Stream>,
    /// The address that was checked and dialed.
    pub address: SocketAddr,
    /// What was asked for.
    pub target: Target,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.address)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No address could be reached.
    #[error("the host cannot be reached")]
    Failed(#[source] io::Error),
    /// The connection ended at an address that was not checked.
    #[error(transparent)]
    Refused(Refusal),
    /// No address answered in time.
    #[error("the host did not answer in time")]
    Timeout,
}

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;

//! What the guard did, for the audit log: one event for each decision.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::decision::{Decision, Refusal};
use crate::policy::CheckedTarget;

/// How somebody asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// A request line with a whole URL, to the forward proxy.
    Absolute,
    /// CONNECT, to the forward proxy.
    Connect,
    /// A question of a name, by a child in a jail.
    Dns,
    /// A request of Palisade's own client.
    Fetch,
    /// SOCKS5, to the forward proxy.
    Socks,
    /// A connection that was intercepted on its way.
    Transparent,
}

impl Form {
    /// The word in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absolute => "absolute",
            Self::Connect => "connect",
            Self::Dns => "dns",
            Self::Fetch => "fetch",
            Self::Socks => "socks",
            Self::Transparent => "transparent",
        }
    }
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event<'a> {
    /// How somebody asked.
    pub form: Form,
    /// Who asked: the server's name, or the name the client was given; empty where nobody is known.
    pub identity: &'a str,
    /// Which of the identity's children, where they are told apart.
    pub child: Option<u64>,
    /// What was decided.
    pub decision: Decision,
    /// What was found where it was refused, for the operator; at most 300 bytes.
    pub detail: &'a str,
    /// The host, in canonical form; empty where none could be read.
    pub host: Cow<'a, str>,
    /// The port; 0 where none could be read.
    pub port: u16,
    /// The checked addresses; empty where the decision came before.
    pub addresses: &'a [SocketAddr],
    /// Which redirect this is: 0 for the first request.
    pub hop: u8,
    /// How long the decision took, with its lookup.
    pub duration: Duration,
}

impl<'a> Event<'a> {
    pub(crate) fn of(
        form: Form,
        identity: &'a str,
        checked: &'a Result<CheckedTarget, Refusal>,
    ) -> Self {
        match checked {
            Ok(checked) => Self {
                form,
                identity,
                child: None,
                decision: Decision::Allow(checked.grant()),
                detail: "",
                host: checked.target().host().to_string().into(),
                port: checked.target().port(),
                addresses: checked.addresses(),
                hop: 0,
                duration: Duration::ZERO,
            },
            Err(refusal) => Self::refused(form, identity, refusal),
        }
    }

    pub(crate) fn refused(form: Form, identity: &'a str, refusal: &'a Refusal) -> Self {
        Self {
            form,
            identity,
            child: None,
            decision: Decision::Refuse(refusal.reason()),
            detail: refusal.detail(),
            host: refusal.host().into(),
            port: refusal.port(),
            addresses: &[],
            hop: 0,
            duration: Duration::ZERO,
        }
    }
}

/// What passed through a tunnel, once it is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Traffic<'a> {
    /// How somebody asked.
    pub form: Form,
    /// Who asked.
    pub identity: &'a str,
    /// Which of the identity's children, where they are told apart.
    pub child: Option<u64>,
    /// The host, in canonical form.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// The address that was dialed.
    pub address: Option<SocketAddr>,
    /// Bytes towards the host.
    pub sent: u64,
    /// Bytes from the host.
    pub received: u64,
    /// From the decision to the end.
    pub duration: Duration,
    /// Whether a new policy closed it.
    pub revoked: bool,
}

/// Takes the events. It is called on the path of the request, so it must not wait.
pub trait Observe: Send + Sync + fmt::Debug {
    /// A decision was made.
    fn decided(&self, event: &Event<'_>);

    /// Whether a decision could be told. Where not, the proxy opens nothing.
    fn ready(&self) -> bool {
        true
    }

    /// A tunnel or a proxied request ended.
    fn ended(&self, traffic: &Traffic<'_>) {
        let _ = traffic;
    }
}

/// Takes nothing down.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observe for Unobserved {
    fn decided(&self, _: &Event<'_>) {}
}

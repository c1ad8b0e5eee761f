//! The guard as a forward proxy, for programs in any language: CONNECT, requests with a whole URL,
//! and SOCKS5, told apart by the first byte; and connections that were intercepted on their way.
//!
//! Each user has a guard of its own and is known by a credential in the proxy's URL or by the
//! listener it comes to. All forms share one decision. What a tunnel holds must fit what it was
//! opened for: a TLS handshake for the host's own name, or HTTP for it. A refusal says which rule
//! said no and nothing of what might answer behind it: what is refused is never dialed.
//!
//! What stays open: a name that is allowed may share its servers with others, as at a CDN, and
//! inside TLS (or behind an encrypted ClientHello) a client can ask for those. What does not pass:
//! `ws://`, as `Upgrade` belongs to one connection and is taken away; `wss://` does.

mod credential;
mod http1;
mod pace;
mod plan;
mod registry;
mod socks;
mod tunnel;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

pub use credential::{ChildPasswords, Credential, CredentialError, is_user};
pub use plan::{Identity, Plan};

use crate::decision::{Reason, Refusal};
use crate::event::{Event, Form, Observe};
use crate::guard::{ConnectError, Connection, Stream};
use crate::policy::Target;
use crate::target::Host;
use registry::{Registration, Registry, Route};

/// Bounds of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyLimits {
    /// Connections at once, tunnels included, of whoever has not shown yet who they are. Default: 512. More wait to
    /// be accepted.
    pub connections: usize,
    /// Connections to hosts at once for each identity, so that one server cannot starve the
    /// others. Default: 128. Of intercepted ones twice as many are taken on, the others wait.
    pub per_identity: usize,
    /// Connections to hosts that one identity opens in a minute, and at once at first; each leaves
    /// two records behind. Default: 3000. More wait their turn, 10 s at most; what would have to
    /// wait longer is refused as busy.
    pub openings: u32,
    /// For a request's head, a SOCKS greeting or the begin of a tunnel. Default: 10 s.
    pub begin: Duration,
    /// A tunnel through which no byte passes is closed. Default: 10 min.
    pub idle: Duration,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        Self {
            connections: 512,
            per_identity: 128,
            openings: 3000,
            begin: Duration::from_secs(10),
            idle: Duration::from_secs(600),
        }
    }
}

/// The forward proxy. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Proxy(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Arc<Registry>,
    limits: ProxyLimits,
    slots: Arc<Semaphore>,
}

impl Proxy {
    /// A proxy under this plan that tells `observer` of every decision.
    #[must_use]
    pub fn new(plan: Plan, limits: ProxyLimits, observer: Arc<dyn Observe>) -> Self {
        Self(Arc::new(Shared {
            registry: Registry::new(plan, observer),
            slots: Arc::new(Semaphore::new(limits.connections)),
            limits,
        }))
    }

    /// Puts a new plan in force, whole. What is open and no longer allowed is closed; gives how
    /// many connections those are.
    pub fn reload(&self, plan: Plan) -> usize {
        self.0.registry.replace(plan)
    }

    /// How many connections to hosts are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.registry.open()
    }

    /// Serves a listener whose users show credentials. Drop the future to stop accepting.
    pub async fn serve(&self, listener: TcpListener) {
        self.accept(listener, None).await;
    }

    /// Serves a listener that belongs to the identity of this name; nobody has to show anything.
    /// `name/number` belongs to one of the identity's children.
    pub async fn serve_as(&self, listener: TcpListener, identity: &str) {
        self.accept(listener, Some(identity)).await;
    }

    /// Passes on a connection that was intercepted on its way from the identity of this name to a
    /// host; `name/number` is one of the identity's children. What is refused is closed, as there
    /// is nobody to tell why; the observer is told.
    pub async fn intercepted(
        &self,
        stream: impl Stream + 'static,
        identity: &str,
        host: Host,
        port: u16,
    ) {
        let Some(permit) = self.slot_of(identity).await else {
            return;
        };
        let session = self.session(Some(owner(identity)), permit);
        let plan = session.shared.registry.plan();
        let Some(identity) = session.by_listener(&plan) else {
            return session.unknown(Form::Transparent);
        };
        let judged = identity.guard.policy().check_host(host, port);
        let opened = session.open(Form::Transparent, &plan, &identity, judged);
        if let Ok(opened) = opened.await {
            // What goes wrong with one connection concerns that connection alone.
            let _ = tunnel::run(session, identity, Box::new(stream), opened).await;
        }
    }

    /// Serves one connection that came to the proxy itself, and not to a listener: that of the
    /// identity of this name, or of one of its children with `name/number`. Nothing has to be shown.
    #[cfg(feature = "jail")]
    pub(crate) async fn handed(&self, stream: TcpStream, identity: &str) {
        let Some(permit) = self.slot_of(identity).await else {
            return;
        };
        // What goes wrong with one client concerns that client alone.
        let _ = self
            .session(Some(owner(identity)), permit)
            .run(stream)
            .await;
    }

    /// What the plan in force says of a destination of this identity, before any lookup. Nobody is
    /// told.
    #[cfg(feature = "jail")]
    pub(crate) fn judge(&self, identity: &str, host: Host, port: u16) -> Result<(), Refusal> {
        let identity = self.0.registry.plan().named(identity);
        let identity = identity.ok_or(Reason::ProxyCredential)?;
        identity.guard.policy().check_host(host, port).map(drop)
    }

    /// Tells of a refusal that was made elsewhere.
    #[cfg(feature = "jail")]
    pub(crate) fn tell(&self, form: Form, identity: &str, refusal: &Refusal) {
        let (name, child) = owner(identity);
        let event = Event::refused(form, &name, refusal);
        self.0
            .registry
            .observer()
            .decided(&Event { child, ..event });
    }

    /// A place of the identity's own, so that whatever it leaves open takes none of the others'.
    async fn slot_of(&self, identity: &str) -> Option<OwnedSemaphorePermit> {
        let plan = self.0.registry.plan();
        let slots = match plan.named(identity) {
            Some(identity) => identity.slots(self.0.limits.per_identity.saturating_mul(2)),
            None => Arc::clone(&self.0.slots),
        };
        slots.acquire_owned().await.ok()
    }

    fn session(
        &self,
        owner: Option<(Arc<str>, Option<u64>)>,
        permit: OwnedSemaphorePermit,
    ) -> Session {
        Session {
            shared: Arc::clone(&self.0),
            child: owner.as_ref().and_then(|owner| owner.1),
            owner,
            _permit: Arc::new(permit),
        }
    }

    async fn accept(&self, listener: TcpListener, identity: Option<&str>) {
        let owner = identity.map(owner);
        loop {
            let Ok(permit) = Arc::clone(&self.0.slots).acquire_owned().await else {
                return;
            };
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, or a client that left at once.
                sleep(Duration::from_millis(10)).await;
                continue;
            };
            let session = self.session(owner.clone(), permit);
            tokio::spawn(async move {
                // What goes wrong with one client concerns that client alone.
                let _ = session.run(stream).await;
            });
        }
    }
}

/// One client connection. Tunnels that grow out of it keep its slot.
#[derive(Clone, Debug)]
struct Session {
    shared: Arc<Shared>,
    /// Whom the listener belongs to.
    owner: Option<(Arc<str>, Option<u64>)>,
    /// Which of the identity's children this is.
    child: Option<u64>,
    _permit: Arc<OwnedSemaphorePermit>,
}

/// Name and child of `name` or `name/number`.
fn owner(identity: &str) -> (Arc<str>, Option<u64>) {
    match identity.split_once('/') {
        Some((name, number)) => (name.into(), number.parse().ok()),
        None => (identity.into(), None),
    }
}

/// The first byte of SOCKS5 (RFC 1928); no method of HTTP begins with it.
const SOCKS5: u8 = 5;

impl Session {
    async fn run(self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut first = [0];
        let peek = stream.peek(&mut first);
        if timeout(self.shared.limits.begin, peek).await?? == 0 {
            return Ok(());
        }
        if first[0] == SOCKS5 {
            stream.read_exact(&mut first).await?;
            socks::serve(self, stream).await
        } else {
            http1::serve(self, stream).await
        }
    }

    /// Who this is by its listener.
    fn by_listener(&self, plan: &Plan) -> Option<Arc<Identity>> {
        plan.named(&self.owner.as_ref()?.0)
    }

    /// Tells that somebody came without a valid credential.
    fn unknown(&self, form: Form) {
        self.refuse(
            form,
            "",
            &Refusal::from(Reason::ProxyCredential),
            Instant::now(),
        );
    }

    /// Tells of a refusal.
    fn refuse(&self, form: Form, identity: &str, refusal: &Refusal, started: Instant) {
        let event = Event::refused(form, identity, refusal);
        self.shared.registry.observer().decided(&Event {
            child: self.child,
            duration: started.elapsed(),
            ..event
        });
    }

    /// The one way from a request to a connection, for all forms: judge, look up, judge, tell,
    /// dial, enter.
    async fn open(
        &self,
        form: Form,
        plan: &Arc<Plan>,
        identity: &Identity,
        judged: Result<Target, Refusal>,
    ) -> Result<Opened, Denial> {
        let started = Instant::now();
        let ready = self.shared.registry.observer().ready();
        let checked = match judged {
            Ok(target) if !ready => {
                let refusal = Refusal::from(Reason::ProxyUnrecorded);
                Err(refusal.at(target.host(), target.port()))
            }
            Ok(target) => match self.turn(identity).await {
                Ok(()) => identity.guard.resolve(target).await,
                Err(reason) => Err(Refusal::from(reason).at(target.host(), target.port())),
            },
            Err(refusal) => Err(refusal),
        };
        let event = Event::of(form, &identity.name, &checked);
        self.shared.registry.observer().decided(&Event {
            child: self.child,
            duration: started.elapsed(),
            ..event
        });
        let checked = checked?;
        let (host, port) = (checked.target().host().clone(), checked.target().port());
        let connection = identity.guard.connect(checked).await;
        let connection = connection.map_err(|error| match error {
            ConnectError::Refused(refusal) => {
                self.refuse(form, &identity.name, &refusal, started);
                Denial::Refused(refusal)
            }
            ConnectError::Failed(_) | ConnectError::Timeout => Denial::Unreachable,
        })?;
        let busy = Refusal::from(Reason::ProxyBusy).at(&host, port);
        let route = Route {
            form,
            identity: Arc::clone(&identity.name),
            child: self.child,
            host,
            port,
            address: connection.address,
        };
        let most = self.shared.limits.per_identity;
        let entered = self.shared.registry.enter(plan, route, most);
        let registration = entered.map_err(|reason| match reason {
            Reason::ProxyBusy => {
                self.refuse(form, &identity.name, &busy, started);
                Denial::Refused(busy)
            }
            _ => Denial::Unreachable,
        })?;
        Ok(Opened {
            connection,
            registration,
        })
    }

    /// Waits until it is this identity's turn to open another connection.
    async fn turn(&self, identity: &Identity) -> Result<(), Reason> {
        let openings = self.shared.limits.openings;
        let wait = identity.pace.next(openings, Instant::now());
        sleep(wait.ok_or(Reason::ProxyBusy)?).await;
        Ok(())
    }
}

/// A connection to a host, entered in the registry.
struct Opened {
    connection: Connection,
    registration: Registration,
}

/// Why there is none.
#[derive(Debug)]
enum Denial {
    Refused(Refusal),
    Unreachable,
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

//! The guard on the way out, as the gateway runs it: one policy for each server, one proxy for all
//! its commands, every decision in the audit log.
//!
//! ```text
//! command ── proxy variables ──► Proxy (a thread of its own) ── Guard ──► the host
//!    └────── whatever it tries ── Jail ──┘  └ Told ──► the audit log, with the call it was for
//! ```

mod level;
mod policy;
mod sums;
mod told;
mod urls;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use palisade_audit::Log;
use palisade_egress::jail::Jail;
use palisade_egress::proxy::{
    ChildPasswords, Credential, CredentialError, Identity, Plan, Proxy, ProxyLimits,
};
use palisade_egress::{
    Answers, BoxFuture, DnsResolver, Guard, Level, Name, OwnAddresses, PolicyError, Resolve,
    ResolveError,
};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::audit::Trail;
use crate::config::{Backend, Command, Egress, Fail, Settings};
use crate::upstream::stdio::{InstallError, UnderWay, WayOut};

pub use level::{LevelError, Levels};
pub use policy::{guard_policy, of_issuers, of_server};
pub(crate) use told::Told;
pub use urls::ServerUrls;

/// The way out of all servers; ends when it is dropped.
#[derive(Debug)]
pub struct Outbound {
    /// By server.
    ways: HashMap<Arc<str>, WayOut>,
    resolver: Arc<dyn Resolve>,
    handle: Handle,
    levels: Levels,
    told: Arc<Told>,
    _end: watch::Sender<()>,
}

/// Why the way out cannot be guarded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// A user that the proxy cannot know.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// What a command needs could not be fetched.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// A server's policy would hold less firmly than it must.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// An address that cannot be listened on.
    #[error(
        "cannot listen on {address}: {cause}; stop what listens there, or change `egress.listen`"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// A proxy that other machines reach and that anybody may use.
    #[error(
        "other machines reach {0}, and nobody has to show who they are there; add an `[egress.user.NAME]` with a `password_file`, or listen on 127.0.0.1"
    )]
    Open(SocketAddr),
    /// A password that cannot be read.
    #[error("the password of the proxy's user {user} cannot be read from {}: {cause}", .path.display())]
    Password {
        /// The user.
        user: String,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: io::Error,
    },
    /// A policy that does not compile.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The system gives no thread or no socket.
    #[error("the system refused: {0}")]
    Io(#[from] io::Error),
}

impl Outbound {
    /// Starts the proxy for every server that is a command, and the resolver for URLs in
    /// arguments; `None`: nobody needs either.
    ///
    /// # Errors
    /// [`EgressError`] says what stands in the way and what to do.
    pub fn start(settings: &Settings, log: &Log) -> Result<Option<Self>, EgressError> {
        let commands = || {
            let servers = settings.servers.iter();
            servers.filter_map(|server| match &server.backend {
                Backend::Command(command) => Some((server, command)),
                Backend::Url(_) => None,
            })
        };
        let mut servers = settings.servers.iter();
        let looks = servers.any(|server| urls::looks(server, &settings.egress));
        if commands().next().is_none() && !looks {
            return Ok(None);
        }
        let levels = Levels::prove(settings)?;
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = runtime()?;
        let resolver = resolver(&settings.egress, runtime.handle());
        let own = own_addresses()?;
        let under_way = Arc::new(UnderWay::default());
        let mut plan = Plan::new();
        let mut users = Vec::new();
        for (server, command) in commands() {
            let proven = levels.of(server, settings);
            let proven = proven.ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))?;
            level::check(server, settings, proven)?;
            warn_of_containers(&server.name.value, command, proven.level);
            let mode = server.policy.egress_mode.value;
            let install = command.install.as_ref();
            let install = install.map(|install| (install.egress.as_ref(), INSTALL));
            for (list, suffix) in [(server.egress.as_ref(), "")].into_iter().chain(install) {
                let policy = guard_policy(&settings.egress, list, mode, own.clone())?;
                let (ports, raw) = (policy.ports(), policy::raw_ports(&policy, &settings.egress));
                let guard = Guard::new(Arc::new(policy), Arc::clone(&resolver));
                let name: Arc<str> = format!("{}{suffix}", server.name.value).into();
                let (credential, passwords) = Credential::for_children(&name)?;
                let identity = Identity::new(&name, guard).raw_ports(raw);
                plan = plan.with_credential(identity, credential);
                users.push(User {
                    name,
                    passwords,
                    ports,
                    level: proven.level,
                    sockets: command
                        .sockets
                        .iter()
                        .map(|path| path.value.clone())
                        .collect(),
                });
            }
        }
        let level_of = users
            .iter()
            .map(|user| (Arc::clone(&user.name), user.level));
        let closed = closed_servers(settings);
        let told = Told::new(
            log,
            settings,
            level_of.collect(),
            Arc::clone(&under_way),
            closed,
        );
        let told = Arc::new(told.summing());
        let proxy = Proxy::new(plan, ProxyLimits::default(), Arc::clone(&told) as _);
        let handle = runtime.handle().clone();
        let ways = users.into_iter().map(|user| {
            let jail = Jail::new(user.level, proxy.clone(), &user.name)
                .proxy_at(address)
                .ports(user.ports)
                .sockets(user.sockets);
            let way = WayOut {
                proxy: address,
                passwords: user.passwords,
                under_way: Arc::clone(&under_way),
                jail,
                runtime: handle.clone(),
            };
            (user.name, way)
        });
        let ways = ways.collect();
        let (end, ending) = watch::channel(());
        run(runtime, listener, proxy, Arc::clone(&told), ending)?;
        Ok(Some(Self {
            ways,
            resolver,
            handle,
            levels,
            told,
            _end: end,
        }))
    }

    /// The way out of the server of this name, where it is a command.
    #[must_use]
    pub fn way(&self, server: &str) -> Option<WayOut> {
        self.ways.get(server).cloned()
    }

    /// The way out of what is run once before that command, where something is.
    #[must_use]
    pub fn way_of_install(&self, server: &str) -> Option<WayOut> {
        self.way(&format!("{server}{INSTALL}"))
    }

    /// How firmly the policies hold.
    #[must_use]
    pub const fn levels(&self) -> &Levels {
        &self.levels
    }

    /// Writes of how many refusals there is no record yet, at the end: when no command runs any
    /// more, and before the log is closed.
    pub fn sum_up(&self) {
        self.told.sum_up(true);
    }

    /// Looks names up on the thread of the proxy, for other threads.
    #[must_use]
    pub fn resolver(&self) -> Arc<dyn Resolve> {
        Arc::new(Elsewhere {
            resolver: Arc::clone(&self.resolver),
            handle: self.handle.clone(),
        })
    }
}

/// A user of the proxy: a server's command, or what is run once before it.
struct User {
    name: Arc<str>,
    passwords: ChildPasswords,
    ports: Vec<u16>,
    level: Level,
    sockets: Vec<PathBuf>,
}

/// A command that talks to a daemon behind a unix socket works behind no wall that hides it.
fn warn_of_containers(server: &str, command: &Command, level: Level) {
    let program = command.command.first().map(|word| word.value.as_str());
    let program = program.and_then(|program| program.rsplit('/').next());
    let is_client = matches!(program, Some("docker" | "nerdctl" | "podman"));
    if is_client && command.sockets.is_empty() && level > Level::Advisory {
        tracing::warn!(
            server,
            "the command starts a container, and may not reach the daemon that does: write `sockets = [\"/run/docker.sock\"]`, or `max_level = \"advisory\"`, for the server; no wall holds what the container does (docs/jail.md)"
        );
    }
}

/// What the name of a server's install step has after the server's; no server's name has a dot.
const INSTALL: &str = ".install";

/// The forward proxy alone (`palisade egress serve`), ready to run.
#[derive(Debug)]
pub struct Standalone {
    runtime: tokio::runtime::Runtime,
    listener: StdListener,
    address: SocketAddr,
    proxy: Proxy,
    whose: Whose,
    told: Arc<Told>,
    trail: Trail,
    users: usize,
}

/// The one user of a proxy that asks nobody who they are.
const ANYBODY: &str = "anybody";

impl Standalone {
    /// Compiles the policy, opens the audit log and binds the listener.
    ///
    /// # Errors
    /// [`EgressError`].
    pub fn prepare(settings: &Settings, trail: Trail) -> Result<Self, EgressError> {
        let egress = &settings.egress;
        let at = egress.listen.value;
        if egress.users.is_empty() && !at.ip().is_loopback() {
            return Err(EgressError::Open(at));
        }
        let listener = StdListener::bind(at);
        let listener = listener.map_err(|cause| EgressError::Listen { address: at, cause })?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = runtime()?;
        let resolver = resolver(egress, runtime.handle());
        let own = own_addresses()?;
        let mode = settings.defaults.egress_mode.value;
        let guard = |list: Option<&_>| -> Result<Guard, PolicyError> {
            let policy = guard_policy(egress, list, mode, own.clone())?;
            Ok(Guard::new(Arc::new(policy), Arc::clone(&resolver)))
        };
        let mut plan = Plan::new();
        for (name, user) in &egress.users {
            let path = &user.password_file.value;
            let password =
                std::fs::read_to_string(path).map_err(|cause| EgressError::Password {
                    user: name.clone(),
                    path: path.clone(),
                    cause,
                })?;
            let credential = Credential::new(name, password.trim_end_matches(['\r', '\n']))?;
            let identity = Identity::new(name, guard(user.egress.as_ref())?);
            plan = plan.with_credential(identity, credential);
        }
        let whose = if egress.users.is_empty() {
            plan = plan.with_listener(Identity::new(ANYBODY, guard(None)?));
            Whose::Anybody
        } else {
            Whose::Shown
        };
        let closed = settings.defaults.audit.fail.value == Fail::Closed;
        let told = Told::new(&trail.log, settings, HashMap::new(), Arc::default(), closed);
        let told = Arc::new(told.summing());
        let proxy = Proxy::new(plan, ProxyLimits::default(), Arc::clone(&told) as _);
        Ok(Self {
            runtime,
            listener,
            address,
            proxy,
            whose,
            told,
            trail,
            users: egress.users.len(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many users it knows; without any, everybody who reaches it may use it.
    #[must_use]
    pub const fn users(&self) -> usize {
        self.users
    }

    /// Serves until `stop` says so. Blocks the calling thread.
    ///
    /// # Errors
    /// The listener cannot be used, or the audit log cannot be written to its end.
    pub fn run(self, mut stop: tokio::sync::mpsc::Receiver<()>) -> Result<(), EgressError> {
        let Self {
            runtime,
            listener,
            proxy,
            whose,
            told,
            trail,
            ..
        } = self;
        let counting = Arc::clone(&told);
        let served = runtime.block_on(async move {
            let listener = TcpListener::from_std(listener)?;
            tokio::select! {
                () = whose.serve(&proxy, listener) => {}
                () = sum_up(&counting) => {}
                _ = stop.recv() => {}
            }
            Ok(())
        });
        drop(runtime);
        told.sum_up(true);
        if let Some(log) = Arc::into_inner(trail.log)
            && let Err(error) = log.close(LOG_DEADLINE)
        {
            tracing::error!(%error, "the audit log could not be written to its end");
        }
        served
    }
}

/// How long the audit log may take to write what it holds.
const LOG_DEADLINE: std::time::Duration = std::time::Duration::from_secs(5);

/// Who comes to a listener.
#[derive(Clone, Copy, Debug)]
enum Whose {
    Anybody,
    /// Whoever shows a credential.
    Shown,
}

impl Whose {
    async fn serve(self, proxy: &Proxy, listener: TcpListener) {
        match self {
            Self::Anybody => proxy.serve_as(listener, ANYBODY).await,
            Self::Shown => proxy.serve(listener).await,
        }
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Serves on a thread of its own until the other end of `ending` is gone.
fn run(
    runtime: tokio::runtime::Runtime,
    listener: StdListener,
    proxy: Proxy,
    told: Arc<Told>,
    mut ending: watch::Receiver<()>,
) -> io::Result<()> {
    thread::Builder::new()
        .name("palisade-egress".to_owned())
        .spawn(move || {
            runtime.block_on(async move {
                let listener = match TcpListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return tracing::error!(%error, "the egress proxy cannot listen"),
                };
                tokio::select! {
                    () = Whose::Shown.serve(&proxy, listener) => {}
                    () = sum_up(&told) => {}
                    // Nothing is ever sent: an error says that the other end is gone.
                    _ = ending.changed() => {}
                }
            });
        })?;
    Ok(())
}

/// How often refusals that were only counted are looked at.
const SUM_UP: std::time::Duration = std::time::Duration::from_secs(5);

/// Writes what is due, for ever.
async fn sum_up(told: &Told) {
    loop {
        tokio::time::sleep(SUM_UP).await;
        told.sum_up(false);
    }
}

fn own_addresses() -> Result<OwnAddresses, PolicyError> {
    OwnAddresses::of_this_machine().map_err(PolicyError::Interfaces)
}

/// Whether some server's calls are refused while the log cannot be written.
fn closed_servers(settings: &Settings) -> bool {
    let mut servers = settings.servers.iter();
    servers.any(|server| server.policy.audit.fail.value == Fail::Closed)
}

/// Asks the configured servers, or those of this machine. Where those are not known, every lookup
/// fails and says so: what needs no name goes on.
pub fn resolver(egress: &Egress, handle: &Handle) -> Arc<dyn Resolve> {
    let _within = handle.enter();
    let servers: Vec<SocketAddr> = egress.dns.iter().map(|server| server.value).collect();
    let resolver = if servers.is_empty() {
        DnsResolver::of_this_machine(false)
    } else {
        DnsResolver::with_servers(&servers)
    };
    match resolver {
        Ok(resolver) => Arc::new(resolver),
        Err(error) => {
            tracing::warn!(%error, "no DNS servers are known, so no name can be reached; write them in `egress.dns`");
            Arc::new(NoServers)
        }
    }
}

#[derive(Debug)]
struct NoServers;

impl Resolve for NoServers {
    fn resolve<'a>(&'a self, _: &'a Name) -> BoxFuture<'a, Result<Answers, ResolveError>> {
        let error = ResolveError::Other("no DNS servers are known".to_owned());
        Box::pin(std::future::ready(Err(error)))
    }
}

/// Looks names up on another runtime, which outlives the caller's.
#[derive(Debug)]
struct Elsewhere {
    resolver: Arc<dyn Resolve>,
    handle: Handle,
}

impl Resolve for Elsewhere {
    fn resolve<'a>(&'a self, name: &'a Name) -> BoxFuture<'a, Result<Answers, ResolveError>> {
        let (resolver, name) = (Arc::clone(&self.resolver), name.clone());
        let lookup = self
            .handle
            .spawn(async move { resolver.resolve(&name).await });
        Box::pin(async move {
            let ended = |_| ResolveError::Other("the gateway ends".to_owned());
            lookup.await.map_err(ended)?
        })
    }
}

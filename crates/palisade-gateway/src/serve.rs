//! Starts, runs and drains a gateway.

use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use palisade::audit::Recorder;
use palisade_audit::PublicKey;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use crate::audit::Trail;
use crate::config::Settings;
use crate::egress::Levels;
use crate::listen::limits::{ConnectionLimits, ConnectionPermit};
use crate::listen::refused;
use crate::listen::tcp::{self, Listener};
use crate::listen::tls::TlsAcceptor;
use crate::path::{self, Path, Stack};
use crate::plan::{Plan, StartError};

/// A gateway that is ready to run: everything that can fail at start has been done.
pub struct Gateway {
    plan: Arc<Plan>,
    trail: Trail,
    listeners: Vec<Bound>,
    redirects: Vec<Bound>,
    workers: usize,
    drain_deadline: Duration,
}

/// The sockets of one configured address, one per worker.
struct Bound {
    address: SocketAddr,
    sockets: Vec<StdListener>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything in flight was finished, and the audit log is written.
    Drained,
    /// The deadline passed, or a second signal came.
    Stopped,
}

impl Gateway {
    /// Compiles `settings`, loads certificates, opens the audit log and binds the listeners.
    ///
    /// # Errors
    /// [`StartError`] says what stands in the way and what to do.
    pub fn prepare(
        settings: &Settings,
        data_directory: Option<PathBuf>,
    ) -> Result<Self, StartError> {
        Self::prepare_over(settings, data_directory, None)
    }

    /// As [`Gateway::prepare`], for one that shares the audit log of another gateway of this process: two logs on one
    /// standard output would be two chains in one file.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn prepare_beside(
        &self,
        settings: &Settings,
        data_directory: Option<PathBuf>,
    ) -> Result<Self, StartError> {
        Self::prepare_over(settings, data_directory, Some(self.trail.clone()))
    }

    fn prepare_over(
        settings: &Settings,
        data_directory: Option<PathBuf>,
        trail: Option<Trail>,
    ) -> Result<Self, StartError> {
        let workers = settings
            .workers
            .value
            .map_or_else(cores, std::num::NonZeroUsize::get);
        let bind = |addresses: &[crate::config::Value<SocketAddr>]| {
            addresses
                .iter()
                .map(|address| {
                    let sockets = tcp::bind(address.value, workers)?;
                    let address = sockets
                        .first()
                        .map_or(Ok(address.value), StdListener::local_addr)?;
                    Ok(Bound { address, sockets })
                })
                .collect::<Result<Vec<_>, StartError>>()
        };
        let listeners = bind(&settings.listen.value)?;
        let redirects = match &settings.tls {
            Some(tls) => bind(&tls.redirect.value)?,
            None => Vec::new(),
        };
        let addresses: Vec<SocketAddr> = listeners.iter().map(|bound| bound.address).collect();
        let (plan, trail) = match trail {
            None => Plan::compile(settings, &addresses, data_directory)?,
            Some(trail) => {
                let plan = Plan::compile_over(settings, &addresses, data_directory, &trail)?;
                (plan, trail)
            }
        };
        Ok(Self {
            plan: Arc::new(plan),
            trail,
            listeners,
            redirects,
            workers,
            drain_deadline: settings.drain_deadline.value,
        })
    }

    /// The addresses it listens on, in the order of the configuration, with real ports.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listeners.iter().map(|bound| bound.address)
    }

    /// How firmly the outbound policies of commands hold, as was found out at start.
    #[must_use]
    pub fn levels(&self) -> Levels {
        self.plan.levels()
    }

    /// The addresses whose plain HTTP only redirects.
    pub fn redirects(&self) -> impl Iterator<Item = SocketAddr> {
        self.redirects.iter().map(|bound| bound.address)
    }

    /// What the audit log's checkpoints are signed with, and where that is kept.
    #[must_use]
    pub fn audit_key(&self) -> (PublicKey, Option<&std::path::Path>) {
        (self.trail.key, self.trail.kept.as_deref())
    }

    /// Serves until `stop` says so: its first message drains, its second stops at once.
    ///
    /// Blocks the calling thread; the workers have threads of their own.
    pub fn run(self, mut stop: mpsc::Receiver<()>) -> Ended {
        let (drain, draining) = watch::channel(false);
        let (end, ending) = watch::channel(false);
        let (working, mut all_done) = mpsc::channel::<()>(1);
        let mut queues: Vec<Vec<(usize, StdListener)>> = Vec::new();
        queues.resize_with(self.workers, Vec::new);
        let mut redirect_queues: Vec<Vec<StdListener>> = Vec::new();
        redirect_queues.resize_with(self.workers, Vec::new);
        for (index, bound) in self.listeners.into_iter().enumerate() {
            for (queue, socket) in queues.iter_mut().zip(bound.sockets) {
                queue.push((index, socket));
            }
        }
        for bound in self.redirects {
            for (queue, socket) in redirect_queues.iter_mut().zip(bound.sockets) {
                queue.push(socket);
            }
        }
        for (number, (sockets, redirects)) in queues.into_iter().zip(redirect_queues).enumerate() {
            let worker = Worker {
                plan: Arc::clone(&self.plan),
                recorder: self.plan.recorder(&self.trail.log),
                sockets,
                redirects,
                draining: draining.clone(),
                ending: ending.clone(),
            };
            let working = working.clone();
            let spawned = thread::Builder::new()
                .name(format!("palisade-{number}"))
                .spawn(move || {
                    let _working = working;
                    runtime(worker);
                });
            if let Err(error) = spawned {
                tracing::error!(%error, "cannot start a worker");
            }
        }
        drop(working);
        drop(draining);
        drop(ending);

        let ended = block_on(async {
            tokio::select! {
                _ = stop.recv() => {}
                _ = all_done.recv() => return Ended::Stopped,
            }
            tracing::info!("draining: no new connections, requests in flight finish");
            let _ = drain.send(true);
            tokio::select! {
                _ = all_done.recv() => Ended::Drained,
                () = sleep(self.drain_deadline) => {
                    tracing::warn!("drain deadline passed with requests in flight");
                    Ended::Stopped
                }
                _ = stop.recv() => {
                    tracing::warn!("second signal: stopping at once");
                    Ended::Stopped
                }
            }
        });
        if ended == Ended::Stopped {
            // What is cut off is recorded before the log closes.
            let _ = end.send(true);
            block_on(async {
                let _ = timeout(END_DEADLINE, all_done.recv()).await;
            });
        }
        // Nobody asks them anything any more. Where it has to be quick, their keepers end them.
        let patience = match ended {
            Ended::Drained => CHILDREN_DEADLINE,
            Ended::Stopped => END_DEADLINE,
        };
        let ended = block_on(async {
            tokio::select! {
                _ = timeout(patience, self.plan.end_children()) => ended,
                _ = stop.recv() => Ended::Stopped,
            }
        });
        self.plan.sum_up_outbound();
        // Whoever shares it closes it last.
        if let Some(log) = Arc::into_inner(self.trail.log)
            && let Err(error) = log.close(LOG_DEADLINE)
        {
            tracing::error!(%error, "the audit log could not be written to its end");
        }
        ended
    }
}

/// How often refusals that were only counted are looked at.
const SUM_UP: Duration = Duration::from_secs(5);

/// How long workers may take to drop what is cut off.
const END_DEADLINE: Duration = Duration::from_secs(1);

/// How long commands may take to end, killed at last.
const CHILDREN_DEADLINE: Duration = Duration::from_secs(10);

/// How long the audit log may take to write what it holds.
const LOG_DEADLINE: Duration = Duration::from_secs(5);

fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    #[expect(clippy::expect_used, reason = "without a runtime there is no gateway")]
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the operating system gives an event queue")
        .block_on(future)
}

/// One thread's share of the gateway.
struct Worker {
    plan: Arc<Plan>,
    recorder: Recorder,
    /// Each with the index of its address.
    sockets: Vec<(usize, StdListener)>,
    redirects: Vec<StdListener>,
    draining: watch::Receiver<bool>,
    /// Turns `true` when whatever is left is to be dropped.
    ending: watch::Receiver<bool>,
}

fn runtime(worker: Worker) {
    let recorder = worker.recorder.clone();
    block_on(serve(worker));
    // The runtime is gone, and with it every connection: what they had to record is recorded.
    recorder.sum_up(true);
}

async fn serve(mut worker: Worker) {
    // Every task holds a sender; when all are gone, the worker is done.
    let (busy, mut idle) = mpsc::channel::<()>(1);
    let upstreams = worker.plan.upstreams(&worker.draining);
    for (index, socket) in worker.sockets {
        let path = Arc::new(Path {
            stack: worker.plan.stack(index, &worker.recorder, &upstreams),
            tls: worker.plan.tls.clone(),
            recorder: worker.recorder.clone(),
            proxies: worker.plan.proxies.clone(),
            http: worker.plan.http.clone(),
            draining: worker.draining.clone(),
        });
        accept(socket, path, worker.plan.connections.clone(), busy.clone());
    }
    for socket in worker.redirects {
        let path = Arc::new(Path {
            stack: worker.plan.redirect(),
            tls: None::<TlsAcceptor>,
            recorder: worker.recorder.clone(),
            proxies: worker.plan.proxies.clone(),
            http: worker.plan.http.clone(),
            draining: worker.draining.clone(),
        });
        accept(socket, path, worker.plan.connections.clone(), busy.clone());
    }
    drop(busy);
    loop {
        tokio::select! {
            _ = idle.recv() => return,
            _ = worker.ending.wait_for(|ending| *ending) => return,
            () = sleep(SUM_UP) => worker.recorder.sum_up(false),
        }
    }
}

/// Accepts on `socket` until the gateway drains, on a task of its own.
fn accept<S: Stack>(
    socket: StdListener,
    path: Arc<Path<S>>,
    limits: ConnectionLimits,
    busy: mpsc::Sender<()>,
) {
    let mut listener = match Listener::new(socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "cannot listen"),
    };
    let mut draining = path.draining.clone();
    tokio::spawn(async move {
        let serve = |tcp: TcpStream, peer: SocketAddr| {
            if let Some(permit) = admit(&limits, peer, &path.recorder) {
                path::spawn(&path, tcp, peer, permit, busy.clone());
            }
        };
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((tcp, peer)) => serve(tcp, peer),
                    Err(error) => return tracing::error!(%error, "cannot accept"),
                },
                _ = draining.wait_for(|draining| *draining) => break,
            }
        }
        for (tcp, peer) in listener.stop() {
            serve(tcp, peer);
        }
    });
}

/// A place for the connection; without one it is closed unread.
fn admit(
    limits: &ConnectionLimits,
    peer: SocketAddr,
    recorder: &Recorder,
) -> Option<ConnectionPermit> {
    let admitted = limits.admit(peer.ip());
    admitted
        .map_err(|over| refused::over_cap(recorder, peer, over))
        .ok()
}

//! The connections that are open, so that a new policy can close those it does not allow.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::plan::Plan;
use crate::decision::Reason;
use crate::event::{Form, Observe, Traffic};
use crate::guard::Stream;
use crate::target::Host;

/// The plan in force and what was opened under it.
#[derive(Debug)]
pub(super) struct Registry {
    plan: ArcSwap<Plan>,
    open: Mutex<HashMap<u64, Entry>>,
    next: AtomicU64,
    observer: Arc<dyn Observe>,
}

#[derive(Debug)]
struct Entry {
    route: Arc<Route>,
    revoked: Arc<Revoked>,
}

/// Where a connection goes, and for whom.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) form: Form,
    pub(super) identity: Arc<str>,
    pub(super) child: Option<u64>,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) address: SocketAddr,
}

/// Told once when a new plan does not allow a connection.
#[derive(Debug, Default)]
pub(super) struct Revoked {
    notify: Notify,
    yes: std::sync::atomic::AtomicBool,
}

impl Revoked {
    /// Waits until the connection is no longer allowed.
    pub(super) async fn wait(&self) {
        self.notify.notified().await;
    }

    fn now(&self) {
        self.yes.store(true, Ordering::Release);
        self.notify.notify_one();
    }

    fn is_now(&self) -> bool {
        self.yes.load(Ordering::Acquire)
    }
}

impl Registry {
    pub(super) fn new(plan: Plan, observer: Arc<dyn Observe>) -> Arc<Self> {
        Arc::new(Self {
            plan: ArcSwap::from_pointee(plan),
            open: Mutex::default(),
            next: AtomicU64::new(0),
            observer,
        })
    }

    pub(super) fn plan(&self) -> Arc<Plan> {
        self.plan.load_full()
    }

    pub(super) fn observer(&self) -> &dyn Observe {
        &*self.observer
    }

    /// Puts a new plan in force and ends what it does not allow. Gives how many those are.
    pub(super) fn replace(&self, plan: Plan) -> usize {
        self.plan.store(Arc::new(plan));
        // Whoever enters after this lock is released has seen the new plan.
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let plan = self.plan();
        let ended = open.values().filter(|entry| !plan.allows(&entry.route));
        ended.map(|entry| entry.revoked.now()).count()
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Enters a connection that was opened under a plan; refuses it where another plan came in the
    /// meantime and does not allow it, or where its user has `most` open already.
    pub(super) fn enter(
        self: &Arc<Self>,
        under: &Arc<Plan>,
        route: Route,
        most: usize,
    ) -> Result<Registration, Reason> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.plan();
        if !Arc::ptr_eq(&now, under) && !now.allows(&route) {
            return Err(Reason::ProxyUnreachable);
        }
        let theirs = open
            .values()
            .filter(|entry| entry.route.identity == route.identity);
        if theirs.count() >= most {
            return Err(Reason::ProxyBusy);
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let route = Arc::new(route);
        let revoked = Arc::new(Revoked::default());
        let entry = Entry {
            route: Arc::clone(&route),
            revoked: Arc::clone(&revoked),
        };
        open.insert(id, entry);
        Ok(Registration {
            registry: Arc::clone(self),
            id,
            route,
            revoked,
            counters: Arc::default(),
            started: Instant::now(),
        })
    }
}

/// A connection in the registry; leaves it, and is told of, when it is dropped.
#[derive(Debug)]
pub(super) struct Registration {
    registry: Arc<Registry>,
    id: u64,
    route: Arc<Route>,
    revoked: Arc<Revoked>,
    counters: Arc<Counters>,
    started: Instant,
}

/// Bytes of one connection.
#[derive(Debug, Default)]
pub(super) struct Counters {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Counters {
    /// Changes whenever a byte passes.
    pub(super) fn total(&self) -> u64 {
        self.sent
            .load(Ordering::Relaxed)
            .wrapping_add(self.received.load(Ordering::Relaxed))
    }
}

impl Registration {
    pub(super) fn route(&self) -> &Route {
        &self.route
    }

    pub(super) fn revoked(&self) -> Arc<Revoked> {
        Arc::clone(&self.revoked)
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut open = self
            .registry
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.id);
        drop(open);
        let Route {
            form,
            identity,
            child,
            host,
            port,
            address,
        } = &*self.route;
        self.registry.observer.ended(&Traffic {
            form: *form,
            identity,
            child: *child,
            host: &host.to_string(),
            port: *port,
            address: Some(*address),
            sent: self.counters.sent.load(Ordering::Relaxed),
            received: self.counters.received.load(Ordering::Relaxed),
            duration: self.started.elapsed(),
            revoked: self.revoked.is_now(),
        });
    }
}

/// A connection to the host that counts its bytes.
pub(super) struct Metered {
    stream: Box<dyn Stream>,
    counters: Arc<Counters>,
}

impl Metered {
    pub(super) fn new(stream: Box<dyn Stream>, registration: &Registration) -> Self {
        Self {
            stream,
            counters: registration.counters(),
        }
    }
}

fn count(counter: &AtomicU64, bytes: usize) {
    counter.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        count(&self.counters.received, buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        count(&self.counters.sent, written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

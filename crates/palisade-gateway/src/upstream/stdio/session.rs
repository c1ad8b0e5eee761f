//! The sessions of one server.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use palisade::mcp::Revision;
use palisade::{Reason, Rejection};
use tokio::time::Instant;

use super::mailbox::Mailbox;
use super::process::Process;
use super::seal::{Mark, Seal};

/// One session: what `Mcp-Session-Id` names.
#[derive(Debug)]
pub(super) struct Session {
    number: u64,
    pub(super) mailbox: Arc<Mailbox>,
    /// Its own child, or one that it shares. The last to let go of it ends it.
    pub(super) process: Arc<Process>,
    /// As the handshake agreed.
    pub(super) revision: Revision,
    used: Mutex<Instant>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Sessions {
    server: Arc<str>,
    seal: Arc<Seal>,
    table: Mutex<HashMap<u64, Arc<Session>>>,
    next: AtomicU64,
    most: usize,
}

impl Session {
    fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last_use(&self) -> Instant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.process.link.ended().is_some()
    }

    /// Nobody reads, nobody waits, nobody has asked for a while.
    fn is_idle(&self, since: Duration) -> bool {
        self.last_use().elapsed() > since
            && !self.mailbox.is_read()
            && !self.process.link.is_busy_with(&self.mailbox)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.process.link.leave(&self.mailbox);
    }
}

impl Sessions {
    pub(super) fn new(server: Arc<str>, seal: Arc<Seal>, most: usize) -> Self {
        Self {
            server,
            seal,
            table: Mutex::default(),
            next: AtomicU64::new(1),
            most,
        }
    }

    /// Opens a session; yields its id.
    pub(super) fn open(
        &self,
        caller: &Mark,
        mailbox: Arc<Mailbox>,
        process: Arc<Process>,
        revision: Revision,
    ) -> Result<String, Rejection> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let session = Arc::new(Session {
            number,
            mailbox,
            process,
            revision,
            used: Mutex::new(Instant::now()),
        });
        let Some(id) = self.seal.seal(&self.server, number, caller) else {
            return Err(Rejection::new(Reason::Internal).with_detail("a session id was not sealed"));
        };
        let mut table = self.table();
        if table.len() >= self.most {
            return Err(Rejection::new(Reason::ChildLimit)
                .with_detail(format_args!("{} sessions", table.len()))
                .with_remedy("raise `sessions` of the server, or lower `session_idle`"));
        }
        table.insert(number, session);
        Ok(id)
    }

    /// The session that the caller names by this id.
    pub(super) fn find(&self, id: &[u8], caller: &Mark) -> Result<Arc<Session>, Rejection> {
        let unknown = || Rejection::new(Reason::SessionUnknown);
        let number = self
            .seal
            .open(&self.server, id, caller)
            .ok_or_else(|| unknown().with_detail("no id of this gateway, server and caller"))?;
        let session = self.table().get(&number).cloned();
        let session = session.ok_or_else(|| unknown().with_detail("it is over"))?;
        if session.is_over() {
            self.close(&session);
            return Err(unknown().with_detail(session.process.last_words()));
        }
        session.touch();
        Ok(session)
    }

    /// Ends a session.
    pub(super) fn close(&self, session: &Session) {
        let closed = self.table().remove(&session.number);
        // Whoever still reads comes to an end, whoever waits is told.
        if let Some(session) = closed {
            session.process.link.leave(&session.mailbox);
        }
    }

    /// Ends the session that nobody has used for longest, if that is longer than `spared`.
    pub(super) fn make_room(&self, spared: Duration) -> bool {
        let oldest = {
            let table = self.table();
            let idle = table.values().filter(|session| session.is_idle(spared));
            idle.min_by_key(|session| session.last_use()).cloned()
        };
        let Some(oldest) = oldest else { return false };
        self.close(&oldest);
        true
    }

    /// Ends every session that is over, or was left alone for so long.
    pub(super) fn sweep(&self, idle: Duration) {
        let mut table = self.table();
        let gone: Vec<_> = table
            .extract_if(|_, session| session.is_over() || session.is_idle(idle))
            .collect();
        drop(table);
        for (_, session) in gone {
            session.process.link.leave(&session.mailbox);
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<u64, Arc<Session>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Requests that stand alone (2026-07-28), and the children that answer them.
//!
//! There is no session, so there is no child of its own: the requests of one caller share one, or
//! all share one (`scope = "shared"`). Whether a child speaks this revision is asked once, by
//! `server/discover`; an older one is opened once by the bridge and spoken to through
//! [`super::shim`].

mod start;
mod words;

use std::collections::HashMap;
use std::sync::atomic::AtomicU8;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use palisade::mcp::Revision;
use palisade::mcp::shown::Shown;
use palisade::{Reason, Rejection};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::body::{self, Cancel, StdioBody, Why};
use super::bridge::{Scope, Unanswered, answered, header_revision, refusal};
use super::envelope::{Envelope, Sort};
use super::launcher::Launcher;
use super::link::{Shim, error_text};
use super::mailbox::Mailbox;
use super::process::Process;
use super::rounds::Rounds;
use super::seal::{Mark, Seal};
use super::shim::{self, Opened};

use words::{invalid, misses, status_of};

pub(super) use words::readdressed;

/// How long a client may take to come back with an answer; a person may have to give it.
const PARKED: Duration = Duration::from_secs(600);

/// The children that are shared.
#[derive(Debug)]
pub(super) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    launcher: Arc<Launcher>,
    scope: Scope,
    shown: Shown,
    /// For the states of parked calls.
    seal: Arc<Seal>,
    /// What the last child turned out to speak, which is a property of the server.
    era: AtomicU8,
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
}

/// Whose child, and whether it was opened by a session's handshake.
type Key = (Mark, Opening);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Opening {
    Handshake,
    Probe,
}

#[derive(Debug)]
struct Slot {
    child: tokio::sync::Mutex<Option<Arc<Pooled>>>,
    used: Mutex<Instant>,
}

/// A shared child that works.
#[derive(Debug)]
pub(super) struct Pooled {
    process: Arc<Process>,
    /// `None`: it speaks 2026-07-28 itself.
    opened: Option<Opened>,
}

impl Pool {
    pub(super) fn new(
        launcher: Arc<Launcher>,
        scope: Scope,
        shown: Shown,
        seal: Arc<Seal>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                launcher,
                scope,
                shown,
                seal,
                era: AtomicU8::new(0),
                slots: Mutex::default(),
            }),
        }
    }

    /// Whether the messages stand alone, or mean to.
    pub(super) fn takes(&self, headers: &HeaderMap, messages: &[(&[u8], Envelope<'_>)]) -> bool {
        header_revision(headers).is_some_and(Revision::is_modern)
            || matches!(messages, [(_, only)] if only.meta().protocol_version.is_some())
    }

    /// Answers one request.
    pub(super) async fn answer(
        &self,
        headers: &HeaderMap,
        messages: &[(&[u8], Envelope<'_>)],
        caller: &Mark,
        draining: &watch::Receiver<bool>,
    ) -> Result<Response<StdioBody>, Rejection> {
        let [(text, message)] = messages else {
            return Ok(invalid(b"null", "one request at a time"));
        };
        match (message.sort(), message.id) {
            (Some(Sort::Request), Some(id)) => {
                if let Some(refused) = misses(headers, message, id.get().as_bytes()) {
                    return Ok(refused);
                }
                self.request(text, message, id.get().as_bytes(), caller, draining)
                    .await
            }
            // None of this revision needs a child to hear of it; clients send them all the same.
            (Some(Sort::Notification), _) => Ok(body::status(StatusCode::ACCEPTED)),
            _ => Ok(invalid(
                b"null",
                "a client sends requests and notifications",
            )),
        }
    }

    async fn request(
        &self,
        text: &[u8],
        message: &Envelope<'_>,
        id: &[u8],
        caller: &Mark,
        draining: &watch::Receiver<bool>,
    ) -> Result<Response<StdioBody>, Rejection> {
        if shim::is_removed(message) {
            let error = error_text(id, -32601, "method not found");
            return Ok(body::json(StatusCode::NOT_FOUND, error));
        }
        let key = (self.owner(caller), Opening::Probe);
        let child = self.child(key, None).await?;
        let link = &child.process.link;
        let mailbox = Mailbox::new(false);
        let listens = message.is("subscriptions/listen");
        let shim = match &child.opened {
            None => None,
            Some(opened) => {
                if message.is("server/discover") {
                    return Ok(body::json(StatusCode::OK, opened.discovered(id)));
                }
                if listens {
                    let events = shim::listen(link, opened, &mailbox, message, id)
                        .ok_or_else(|| Rejection::new(Reason::Internal))?;
                    return Ok(body::stream(events, Some(draining.clone())));
                }
                Some(Shim {
                    adapt: shim::adapting(message),
                    rounds: Rounds::of(&self.shared.seal, caller, message),
                })
            }
        };
        let stream = mailbox.open(1);
        let Ok(reader) = mailbox.attach(stream, None) else {
            return Err(Rejection::new(Reason::Internal));
        };
        let unknown = || {
            let error = error_text(id, -32602, "no such requestState, or it is over");
            Ok(body::json(StatusCode::BAD_REQUEST, error))
        };
        let parked = match &shim {
            Some(shim) => match shim.rounds.goes_on(message) {
                Ok(parked) => parked,
                Err(()) => return unknown(),
            },
            None => None,
        };
        let sent = match (parked, shim) {
            (Some(number), Some(shim)) => {
                match link.go_on(number, &mailbox, stream, message, shim) {
                    Some(sent) => sent.map(|()| number),
                    None => return unknown(),
                }
            }
            (_, shim) => link.request(&mailbox, stream, text, message, shim),
        };
        let number = sent.map_err(|refused| refusal(refused, &child.process))?;
        // To leave means to cancel.
        let cancel = Cancel {
            link: Arc::clone(link),
            numbers: vec![number],
            why: Why::Gone,
        };
        let draining = listens.then(|| draining.clone());
        let answer = answered(reader, &mailbox, Some(cancel), draining, |events| events).await;
        let mut answer = answer.map_err(|Unanswered| {
            Rejection::new(Reason::ChildEnded).with_detail(child.process.last_words())
        })?;
        if let palisade::Answer::Own { body: Some(text) } = answer.body() {
            *answer.status_mut() = status_of(text);
        }
        Ok(answer)
    }

    /// A shared child opened by a session's handshake, and its answer to this one.
    pub(super) async fn handshake(
        &self,
        caller: &Mark,
        text: &[u8],
        message: &Envelope<'_>,
    ) -> Result<(Arc<Process>, Bytes), Rejection> {
        let key = (self.owner(caller), Opening::Handshake);
        // Callers must not be asked what another's call wants to know: nobody is asked at all.
        let opening = match self.shared.scope {
            Scope::Shared => Bytes::from_static(shim::INITIALIZE.as_bytes()),
            Scope::Caller | Scope::Session => Bytes::copy_from_slice(text),
        };
        let child = self.child(key, Some(opening)).await?;
        let answer = match (&child.opened, message.id) {
            (Some(opened), Some(id)) => opened.answer(id.get().as_bytes()),
            _ => return Err(Rejection::new(Reason::Internal)),
        };
        Ok((Arc::clone(&child.process), answer))
    }

    /// Ends children that nobody has used for so long.
    pub(super) fn sweep(&self, idle: Duration) {
        let mut slots = self.slots();
        slots.retain(|_, slot| {
            let used = *slot.used.lock().unwrap_or_else(PoisonError::into_inner);
            // One that is being started, or in some session's hands, is not left alone.
            let Ok(child) = slot.child.try_lock() else {
                return true;
            };
            match &*child {
                None => used.elapsed() < idle,
                Some(child) => {
                    child.process.link.give_up_parked(PARKED);
                    child.process.link.ended().is_none()
                        && (used.elapsed() < idle
                            || child.process.link.is_busy()
                            || Arc::strong_count(&child.process) > 1)
                }
            }
        });
    }

    fn owner(&self, caller: &Mark) -> Mark {
        match self.shared.scope {
            Scope::Shared => Mark::default(),
            Scope::Caller | Scope::Session => *caller,
        }
    }

    /// The child for this key; the first to ask has it started.
    async fn child(&self, key: Key, opening: Option<Bytes>) -> Result<Arc<Pooled>, Rejection> {
        let slot = {
            let mut slots = self.slots();
            let new = || {
                Arc::new(Slot {
                    child: tokio::sync::Mutex::default(),
                    used: Mutex::new(Instant::now()),
                })
            };
            Arc::clone(slots.entry(key).or_insert_with(new))
        };
        *slot.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if let Some(child) = alive(&*slot.child.lock().await) {
            return Ok(child);
        }
        // Started by a task of its own: should this client not wait for it, the next one finds it.
        let shared = Arc::clone(&self.shared);
        let (sender, receiver) = oneshot::channel();
        self.shared.launcher.host().spawn(async move {
            let mut place = slot.child.lock().await;
            let result = match alive(&place) {
                Some(child) => Ok(child),
                None => shared.start(opening).await.map(Arc::new),
            };
            if let Ok(child) = &result {
                *place = Some(Arc::clone(child));
            }
            drop(place);
            // Whoever asked may be gone.
            let _ = sender.send(result);
        });
        receiver.await.unwrap_or_else(|_| {
            Err(Rejection::new(Reason::ChildStart).with_detail("the gateway ends"))
        })
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.shared
            .slots
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn alive(place: &Option<Arc<Pooled>>) -> Option<Arc<Pooled>> {
    let child = place.as_ref()?;
    child
        .process
        .link
        .ended()
        .is_none()
        .then(|| Arc::clone(child))
}

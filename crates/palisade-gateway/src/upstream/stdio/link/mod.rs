//! One child's conversation: which message belongs to which client, and to which of its streams.
//!
//! No I/O: lines of the child come in, lines for it go out by [`Input`], messages for clients go
//! into their [`Mailbox`]es. Requests reach the child under numbers of the link's own, their
//! progress tokens likewise, so that an answer finds the one request it is for even where several
//! clients share the child.

mod news;
mod questions;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use palisade::Reason;

use super::envelope::{Edit, Envelope, Sort, edited, number, raw_bytes};
use super::input::{Input, NotTaken};
use super::mailbox::{End, Mailbox};
use super::rounds::Rounds;
use super::shim::Filter;
use super::underway::{CallNote, CallsUnderWay};

use news::{ALL, Severity, severity_of};
use questions::Parked;

/// Requests of clients on their way at once, in one child.
const MOST_PENDING: usize = 1024;

/// Requests of the child that clients have not answered yet.
const MOST_ASKED: usize = 256;

/// The way to one child and back.
#[derive(Debug)]
pub(super) struct Link {
    input: Input,
    state: Mutex<State>,
    /// Whether callers that must not see each other's messages share the child.
    mixed: bool,
    /// Whether the bridge has opened the child's session itself.
    open: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    pending: BTreeMap<u64, Pending>,
    /// By the raw id of the child's request.
    asked: HashMap<Box<str>, Arc<Mailbox>>,
    /// The sessions that the child serves.
    sessions: Vec<Arc<Mailbox>>,
    /// Those who listen to an older child (2026-07-28).
    listeners: Vec<Listener>,
    ended: Option<Arc<str>>,
}

/// One subscription of a client that has no session.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) stream: u64,
    pub(super) id: Bytes,
    pub(super) filter: Filter,
}

/// A [`Listener`]; until it is dropped.
#[derive(Debug)]
pub(super) struct Heard {
    link: Arc<Link>,
    mailbox: Arc<Mailbox>,
}

impl Drop for Heard {
    fn drop(&mut self) {
        let mut state = self.link.lock();
        state
            .listeners
            .retain(|listener| !Arc::ptr_eq(&listener.mailbox, &self.mailbox));
    }
}

#[derive(Debug)]
struct Pending {
    mailbox: Arc<Mailbox>,
    stream: u64,
    id: Bytes,
    token: Option<Bytes>,
    /// For a client that is newer than the child.
    shim: Option<Shim>,
    /// What the client was asked in place of an answer; it may come back with the call.
    parked: Option<Parked>,
    /// Log messages below this severity are not wanted.
    quiet: Severity,
    /// It is a subscription, whose end names it once more.
    listens: bool,
    /// For the audit log.
    note: Option<CallNote>,
}

/// Makes a result of an older child one that a newer client takes.
pub(super) type Adapt = fn(&[u8]) -> Vec<u8>;

/// What stands between an older child and the request of a newer client.
#[derive(Clone, Debug)]
pub(super) struct Shim {
    pub(super) adapt: Adapt,
    pub(super) rounds: Rounds,
}

/// Why a message does not reach the child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It does not take what it has been sent, or has too much to do.
    Busy,
    /// It is no more, for this reason.
    Ended(Arc<str>),
}

impl From<NotTaken> for Refused {
    fn from(refused: NotTaken) -> Self {
        match refused {
            NotTaken::Closed => Self::Ended("it no longer reads".into()),
            NotTaken::Full => Self::Busy,
        }
    }
}

impl CallsUnderWay for Link {
    fn calls(&self) -> Vec<CallNote> {
        let state = self.lock();
        let pending = state.pending.values().filter(|pending| !pending.listens);
        pending.filter_map(|pending| pending.note.clone()).collect()
    }
}

impl Link {
    pub(super) fn new(input: Input, mixed: bool) -> Arc<Self> {
        Arc::new(Self {
            input,
            state: Mutex::default(),
            mixed,
            open: AtomicBool::new(false),
        })
    }

    /// A session whose messages this child's are.
    pub(super) fn join(&self, mailbox: &Arc<Mailbox>) {
        self.lock().sessions.push(Arc::clone(mailbox));
    }

    /// The session is over: its requests are cancelled, nothing goes to it any more.
    pub(super) fn leave(&self, mailbox: &Arc<Mailbox>) {
        let numbers: Vec<u64> = {
            let mut state = self.lock();
            let is_it = |other: &Arc<Mailbox>| Arc::ptr_eq(other, mailbox);
            state.sessions.retain(|other| !is_it(other));
            state.asked.retain(|_, other| !is_it(other));
            let pending = state.pending.iter();
            pending
                .filter(|(_, pending)| is_it(&pending.mailbox))
                .map(|(number, _)| *number)
                .collect()
        };
        for number in numbers {
            self.cancel(number);
        }
        mailbox.close();
    }

    /// From now on nobody else's `notifications/initialized` is passed on.
    pub(super) fn is_open(&self) {
        self.open.store(true, Ordering::Relaxed);
    }

    /// Puts what the filter wants into the listener's stream.
    pub(super) fn listen(self: &Arc<Self>, listener: Listener) -> Heard {
        let heard = Heard {
            link: Arc::clone(self),
            mailbox: Arc::clone(&listener.mailbox),
        };
        self.lock().listeners.push(listener);
        heard
    }

    /// Whether a client waits for an answer.
    pub(super) fn is_busy_with(&self, mailbox: &Arc<Mailbox>) -> bool {
        let state = self.lock();
        let mut pending = state.pending.values();
        pending.any(|pending| Arc::ptr_eq(&pending.mailbox, mailbox))
    }

    /// Whether any client waits for an answer.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.lock();
        !state.pending.is_empty() || !state.listeners.is_empty()
    }

    /// Why the child is no more.
    pub(super) fn ended(&self) -> Option<Arc<str>> {
        self.lock().ended.clone()
    }

    /// Sends a request, whose answer goes to that stream. Yields the number it goes by.
    pub(super) fn request(
        &self,
        mailbox: &Arc<Mailbox>,
        stream: u64,
        text: &[u8],
        message: &Envelope<'_>,
        shim: Option<Shim>,
    ) -> Result<u64, Refused> {
        let Some(id) = message.id else {
            return Err(Refused::Busy);
        };
        let token = message.meta().progress_token;
        let mut state = self.lock();
        if let Some(reason) = &state.ended {
            return Err(Refused::Ended(Arc::clone(reason)));
        }
        if state.pending.len() >= MOST_PENDING {
            return Err(Refused::Busy);
        }
        state.next += 1;
        let number = state.next;
        let digits = number.to_string().into_bytes();
        let mut edits = vec![Edit::replace(text, id, digits.clone())];
        edits.extend(token.map(|token| Edit::replace(text, token, digits)));
        // Sent under the lock: the answer cannot come before the entry, nor two out of turn.
        self.input.send(edited(text, edits))?;
        state.pending.insert(
            number,
            Pending {
                mailbox: Arc::clone(mailbox),
                stream,
                id: raw_bytes(id),
                token: token.map(raw_bytes),
                // An older child does not know what this request wants to hear.
                quiet: match shim {
                    Some(_) => severity_of(message.meta().log_level),
                    None => ALL,
                },
                shim,
                parked: None,
                listens: message.is("subscriptions/listen"),
                note: CallNote::of(id.get()),
            },
        );
        Ok(number)
    }

    /// Passes a notification of a client on.
    pub(super) fn notify(
        &self,
        mailbox: &Arc<Mailbox>,
        text: &[u8],
        message: &Envelope<'_>,
    ) -> Result<(), Refused> {
        if message.is("notifications/cancelled") {
            let Some(cancelled) = message.params().request_id else {
                return Ok(());
            };
            let mut state = self.lock();
            let number = state.pending.iter().find_map(|(number, pending)| {
                let is_it = Arc::ptr_eq(&pending.mailbox, mailbox)
                    && pending.id == cancelled.get().as_bytes();
                is_it.then_some(*number)
            });
            // What is no longer on its way cannot be cancelled, nor can another's.
            let Some(number) = number else { return Ok(()) };
            let edit = Edit::replace(text, cancelled, number.to_string().into_bytes());
            self.input.send(edited(text, vec![edit]))?;
            // The child need not answer, and its client does not want it to: the stream is over.
            if let Some(pending) = state.pending.remove(&number) {
                drop(state);
                let error = error_text(&pending.id, -32800, "request cancelled");
                pending
                    .mailbox
                    .push(pending.stream, error.into(), End::Last);
            }
            return Ok(());
        }
        if message.is("notifications/initialized") && self.open.load(Ordering::Relaxed) {
            return Ok(());
        }
        Ok(self.input.send(edited(text, Vec::new()))?)
    }

    /// Passes a client's answer on, if it is one to a request that this client was sent.
    pub(super) fn respond(
        &self,
        mailbox: &Arc<Mailbox>,
        text: &[u8],
        message: &Envelope<'_>,
    ) -> Result<(), Refused> {
        let Some(id) = message.id else { return Ok(()) };
        let mut state = self.lock();
        let known = state.asked.get(id.get());
        if !known.is_some_and(|asked| Arc::ptr_eq(asked, mailbox)) {
            return Ok(());
        }
        state.asked.remove(id.get());
        Ok(self.input.send(edited(text, Vec::new()))?)
    }

    /// The call has run for too long: the child is told so, and its client, should it come back for
    /// the answer.
    pub(super) fn time_out(&self, number: u64) {
        let Some(pending) = self.lock().pending.remove(&number) else {
            return;
        };
        let _ = self.input.send(cancelled(
            number,
            "the call took longer than its time limit",
        ));
        let reason = Reason::CallTimeout;
        let code = i64::from(reason.json_rpc_code());
        let error = error_text(
            &pending.id,
            code,
            "the call took longer than its time limit",
        );
        pending
            .mailbox
            .push(pending.stream, error.into(), End::Last);
    }

    /// Nobody waits for the answer any more: the child is told so.
    pub(super) fn cancel(&self, number: u64) {
        let mut state = self.lock();
        // One whose client was asked something is not given up: it may come back.
        let parked = |pending: &Pending| pending.parked.is_some();
        if state.pending.get(&number).is_none_or(parked) {
            return;
        }
        if state.pending.remove(&number).is_some() {
            // One that takes nothing will be ended for that.
            let _ = self.input.send(cancelled(number, GONE));
        }
    }

    /// Sends a line that no client said.
    pub(super) fn say(&self, line: &str) -> Result<(), Refused> {
        Ok(self.input.send(line.as_bytes().to_vec())?)
    }

    /// Takes a line of the child. `false`: it is no message.
    pub(super) fn line(&self, text: &[u8]) -> bool {
        let Some(message) = Envelope::read(text) else {
            return false;
        };
        match message.sort() {
            None => return false,
            Some(Sort::Response) => self.answered(text, &message),
            Some(Sort::Request) => self.asks(text, &message),
            Some(Sort::Notification) => self.notifies(text, &message),
        }
        true
    }

    /// The child is no more: whoever waits is told.
    pub(super) fn end(&self, reason: &str) {
        let (pending, sessions, listeners) = {
            let mut state = self.lock();
            if state.ended.is_some() {
                return;
            }
            state.ended = Some(reason.into());
            state.asked.clear();
            (
                std::mem::take(&mut state.pending),
                std::mem::take(&mut state.sessions),
                std::mem::take(&mut state.listeners),
            )
        };
        for pending in pending.into_values() {
            let error = error_text(&pending.id, -32603, "the server ended before it answered");
            pending
                .mailbox
                .push(pending.stream, error.into(), End::Broken);
        }
        let listening = listeners.into_iter().map(|listener| listener.mailbox);
        for mailbox in sessions.into_iter().chain(listening) {
            mailbox.close();
        }
    }

    fn answered(&self, text: &[u8], message: &Envelope<'_>) {
        let Some(id) = message.id else { return };
        let pending = number(id).and_then(|number| self.lock().keep_early(number, text));
        // One that came too late, or to nothing that was asked.
        let Some(pending) = pending else { return };
        let mut edits = vec![Edit::replace(text, id, &*pending.id)];
        if pending.listens
            && let Some(subscription) = message.result_meta().subscription
        {
            edits.push(Edit::replace(text, subscription, &*pending.id));
        }
        let mut answer = edited(text, edits);
        if let Some(shim) = &pending.shim {
            answer = (shim.adapt)(&answer);
        }
        pending
            .mailbox
            .push(pending.stream, answer.into(), End::Last);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a call is cancelled, mostly.
const GONE: &str = "the client is gone";

fn cancelled(number: u64, reason: &str) -> Vec<u8> {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number},"reason":"{reason}"}}}}"#
    )
    .into_bytes()
}

/// A JSON-RPC error; `id` is JSON.
pub(super) fn error_text(id: &[u8], code: i64, message: &str) -> String {
    let id = std::str::from_utf8(id).unwrap_or("null");
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"}}}}"#)
}

#[cfg(test)]
mod tests;

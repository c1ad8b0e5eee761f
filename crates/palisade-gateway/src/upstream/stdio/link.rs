//! One child's conversation: which message belongs to which client, and to which of its streams.
//!
//! No I/O: lines of the child come in, lines for it go out by [`Input`], messages for clients go
//! into their [`Mailbox`]es. Requests reach the child under numbers of the link's own, their
//! progress tokens likewise, so that an answer finds the one request it is for even where several
//! clients share the child.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::envelope::{Edit, Envelope, Sort, edited, number, raw_bytes};
use super::input::{Input, NotTaken};
use super::mailbox::{End, Mailbox, STANDING};
use super::rounds::{self, Question, Rounds};
use super::shim::Filter;
use super::underway::{CallNote, CallsUnderWay};

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

/// A call whose client has been asked something.
#[derive(Debug)]
struct Parked {
    since: Instant,
    question: Question,
    /// What the child has asked since.
    more: VecDeque<Question>,
}

/// Questions that wait for one client.
const MOST_QUESTIONS: usize = 8;

/// Calls whose clients have been asked and have not come back.
const MOST_PARKED: usize = 64;

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
            let _ = self.input.send(cancelled(number));
        }
    }

    /// Goes on with a parked call, whose answer goes to that stream now. `None`: there is no such
    /// call.
    pub(super) fn go_on(
        &self,
        number: u64,
        mailbox: &Arc<Mailbox>,
        stream: u64,
        message: &Envelope<'_>,
        shim: Shim,
    ) -> Option<Result<(), Refused>> {
        let id = message.id?;
        let mut state = self.lock();
        let pending = state.pending.get_mut(&number)?;
        let known = pending.shim.as_ref()?;
        if !known.rounds.is_of(&shim.rounds) {
            return None;
        }
        let parked = pending.parked.take()?;
        pending.mailbox = Arc::clone(mailbox);
        pending.stream = stream;
        pending.id = raw_bytes(id);
        pending.token = message.meta().progress_token.map(raw_bytes);
        pending.shim = Some(shim);
        pending.note = CallNote::of(id.get());
        let Some(answer) = rounds::answer(message) else {
            // It came back without an answer: it is asked once more.
            pending.ask(number, parked);
            return Some(Ok(()));
        };
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{}}}"#,
            parked.question.id,
            answer.get()
        );
        if let Err(refused) = self.input.send(edited(line.as_bytes(), Vec::new())) {
            return Some(Err(refused.into()));
        }
        let mut more = parked.more;
        if let Some(question) = more.pop_front() {
            let parked = Parked {
                since: Instant::now(),
                question,
                more,
            };
            pending.ask(number, parked);
        }
        Some(Ok(()))
    }

    /// Gives up calls whose clients were asked longer ago than that.
    pub(super) fn give_up_parked(&self, patience: Duration) {
        let mut state = self.lock();
        let old = |pending: &mut Pending| {
            let parked = pending.parked.as_ref();
            parked.is_some_and(|parked| parked.since.elapsed() > patience)
        };
        let gone: Vec<(u64, Pending)> = state
            .pending
            .extract_if(.., |_, pending| old(pending))
            .collect();
        drop(state);
        for (number, pending) in gone {
            let parked = pending.parked.into_iter();
            for question in parked.flat_map(|p| std::iter::once(p.question).chain(p.more)) {
                let error = error_text(question.id.as_bytes(), -32603, "the client did not answer");
                let _ = self.input.send(error.into_bytes());
            }
            let _ = self.input.send(cancelled(number));
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
        let pending = number(id).and_then(|number| self.lock().pending.remove(&number));
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

    fn asks(&self, text: &[u8], message: &Envelope<'_>) {
        let Some(id) = message.id else { return };
        let id = id.get();
        if message.is("ping") {
            let _ = self.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
            return;
        }
        let mut state = self.lock();
        match state.ask_parked(message) {
            Asked::Client => return,
            Asked::InVain(number) => {
                let _ = self.input.send(cancelled(number));
            }
            Asked::Not => {}
        }
        let place = self.current(&state, false);
        match place {
            // Who has no session can be asked nothing (2026-07-28).
            Some((mailbox, stream))
                if state.asked.len() < MOST_ASKED
                    && state.sessions.iter().any(|own| Arc::ptr_eq(own, &mailbox)) =>
            {
                state.asked.insert(id.into(), Arc::clone(&mailbox));
                drop(state);
                mailbox.push(stream, edited(text, Vec::new()).into(), End::More);
            }
            _ => {
                drop(state);
                let error = error_text(id.as_bytes(), -32603, "no client can be asked");
                let _ = self.input.send(error.into_bytes());
            }
        }
    }

    fn notifies(&self, text: &[u8], message: &Envelope<'_>) {
        let state = self.lock();
        if message.is("notifications/progress") {
            let params = message.params();
            let Some(token) = params.progress_token else {
                return;
            };
            let pending = number(token).and_then(|number| state.pending.get(&number));
            let Some(pending) = pending else { return };
            let Some(own) = &pending.token else { return };
            let edit = Edit::replace(text, token, &**own);
            let (mailbox, stream) = (Arc::clone(&pending.mailbox), pending.stream);
            let line = edited(text, vec![edit]);
            drop(state);
            return mailbox.push(stream, line.into(), End::More);
        }
        if let Some(subscription) = message.meta().subscription {
            let pending = number(subscription).and_then(|number| state.pending.get(&number));
            let Some(pending) = pending else { return };
            let edit = Edit::replace(text, subscription, &*pending.id);
            let line = edited(text, vec![edit]);
            let (mailbox, stream) = (Arc::clone(&pending.mailbox), pending.stream);
            drop(state);
            return mailbox.push(stream, line.into(), End::More);
        }
        if message.is("notifications/cancelled") {
            // It no longer wants an answer to what it asked.
            let cancelled = message.params().request_id.map(RawValue::get);
            let mailbox = cancelled.and_then(|id| state.asked.get(id)).cloned();
            drop(state);
            if let (Some(mailbox), Some(id)) = (mailbox, cancelled) {
                self.lock().asked.remove(id);
                let stream = self.stream_of(&mailbox);
                mailbox.push(stream, edited(text, Vec::new()).into(), End::More);
            }
            return;
        }
        let line = Bytes::from(edited(text, Vec::new()));
        if is_of_all(message) {
            // News of the server itself: each session gets it once.
            let sessions = state.sessions.clone();
            for listener in &state.listeners {
                if listener.filter.wants(message) {
                    let line = subscribed(text, message, &listener.id);
                    listener
                        .mailbox
                        .push(listener.stream, line.into(), End::More);
                }
            }
            let newest = self.current(&state, true);
            drop(state);
            for session in sessions {
                let stream = match &newest {
                    Some((mailbox, stream))
                        if Arc::ptr_eq(mailbox, &session) && !session.is_attached(STANDING) =>
                    {
                        *stream
                    }
                    _ => STANDING,
                };
                session.push(stream, line.clone(), End::More);
            }
            return;
        }
        let place = self.current(&state, false);
        let quiet = state
            .pending
            .last_key_value()
            .map_or(ALL, |(_, newest)| newest.quiet);
        drop(state);
        if message.is("notifications/message") && severity_of(message.params().level) < quiet {
            return;
        }
        if let Some((mailbox, stream)) = place {
            mailbox.push(stream, line, End::More);
        }
    }

    /// Where a message goes that does not say what it belongs to: to the stream of the call that
    /// came last, since that is the likely cause; without any to the session's standing stream. To
    /// nobody where it could be another's.
    fn current(&self, state: &State, alike: bool) -> Option<(Arc<Mailbox>, u64)> {
        if let Some((_, newest)) = state.pending.last_key_value() {
            let same = |pending: &Pending| Arc::ptr_eq(&pending.mailbox, &newest.mailbox);
            if alike || !self.mixed || state.pending.values().all(same) {
                return Some((Arc::clone(&newest.mailbox), newest.stream));
            }
            return None;
        }
        match state.sessions.as_slice() {
            [only] => Some((Arc::clone(only), STANDING)),
            [.., last] if !self.mixed => Some((Arc::clone(last), STANDING)),
            _ => None,
        }
    }

    fn stream_of(&self, mailbox: &Arc<Mailbox>) -> u64 {
        let state = self.lock();
        let mut pending = state.pending.values().rev();
        pending
            .find(|pending| Arc::ptr_eq(&pending.mailbox, mailbox))
            .map_or(STANDING, |pending| pending.stream)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How grave a log message is (RFC 5424), from 0.
type Severity = usize;

/// Every log message is wanted.
const ALL: Severity = 0;

/// The severity that a word names. Without one nothing is wanted.
fn severity_of(raw: Option<&RawValue>) -> Severity {
    const WORDS: [&str; 8] = [
        "\"debug\"",
        "\"info\"",
        "\"notice\"",
        "\"warning\"",
        "\"error\"",
        "\"critical\"",
        "\"alert\"",
        "\"emergency\"",
    ];
    let position = raw.and_then(|raw| WORDS.iter().position(|word| *word == raw.get()));
    position.unwrap_or(WORDS.len())
}

/// The notification as one of a subscription.
fn subscribed(text: &[u8], message: &Envelope<'_>, id: &[u8]) -> Vec<u8> {
    let id = String::from_utf8_lossy(id);
    let own = format!(r#""io.modelcontextprotocol/subscriptionId":{id}"#);
    let meta = message
        .raw_meta()
        .filter(|meta| meta.get().starts_with('{'));
    let comma = |object: &RawValue| {
        let is_empty = object.get()[1..].trim_start().starts_with('}');
        if is_empty { "" } else { "," }
    };
    if let Some(meta) = meta {
        let by = format!("{own}{}", comma(meta)).into_bytes();
        return edited(text, vec![Edit::insert(text, meta, by)]);
    }
    if let Some(params) = message
        .params
        .filter(|params| params.get().starts_with('{'))
    {
        let by = format!(r#""_meta":{{{own}}}{}"#, comma(params)).into_bytes();
        return edited(text, vec![Edit::insert(text, params, by)]);
    }
    let method = serde_json::Value::from(message.method.as_deref().unwrap_or_default());
    format!(r#"{{"jsonrpc":"2.0","method":{method},"params":{{"_meta":{{{own}}}}}}}"#).into_bytes()
}

fn cancelled(number: u64) -> Vec<u8> {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number},"reason":"the client is gone"}}}}"#
    )
    .into_bytes()
}

impl State {
    /// Asks the client of the one call that is under way, if it is one that is asked by an answer.
    /// With several it is not known whose the question is; a child that waits for an answer asks
    /// no second question, so parked calls do not count while another runs.
    fn ask_parked(&mut self, message: &Envelope<'_>) -> Asked {
        let parked = self.pending.values().filter(|p| p.parked.is_some()).count();
        let running = self.pending.len() - parked;
        if parked >= MOST_PARKED || running > 1 || (running == 0 && parked != 1) {
            return Asked::Not;
        }
        let is_it = |pending: &Pending| running == 0 || pending.parked.is_none();
        let mut pending = self.pending.iter_mut();
        let Some((number, pending)) = pending.find(|(_, pending)| is_it(pending)) else {
            return Asked::Not;
        };
        let number = *number;
        let (Some(shim), Some(question)) = (&pending.shim, Question::read(message)) else {
            return Asked::Not;
        };
        if let Some(lacking) = shim.rounds.lacks(message) {
            let Some(pending) = self.pending.remove(&number) else {
                return Asked::Not;
            };
            let id = String::from_utf8_lossy(&pending.id);
            let error = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32021,"message":"the call needs a capability that the client has not declared","data":{{"requiredCapabilities":{{"{lacking}":{{}}}}}}}}}}"#
            );
            pending
                .mailbox
                .push(pending.stream, error.into(), End::Last);
            return Asked::InVain(number);
        }
        if !shim.rounds.allow(message) {
            return Asked::Not;
        }
        if let Some(parked) = &mut pending.parked {
            if parked.more.len() >= MOST_QUESTIONS {
                return Asked::Not;
            }
            parked.more.push_back(question);
            return Asked::Client;
        }
        let parked = Parked {
            since: Instant::now(),
            question,
            more: VecDeque::new(),
        };
        pending.ask(number, parked);
        Asked::Client
    }
}

/// What came of a question to a client that is asked by an answer.
enum Asked {
    /// It is on its way.
    Client,
    /// The client cannot be asked that: its call, which had this number, has been refused.
    InVain(u64),
    /// It is nobody's.
    Not,
}

impl Pending {
    /// Answers the client with a question; the call is parked until it comes back.
    fn ask(&mut self, number: u64, parked: Parked) {
        let Some(shim) = &self.shim else { return };
        let asking = shim.rounds.asking(number, &self.id, &parked.question);
        self.parked = Some(parked);
        self.mailbox.push(self.stream, asking.into(), End::Last);
    }
}

/// Notifications about the server, not about a request.
fn is_of_all(message: &Envelope<'_>) -> bool {
    let method = message.method.as_deref().unwrap_or_default();
    method.ends_with("/list_changed") || method == "notifications/resources/updated"
}

/// A JSON-RPC error; `id` is JSON.
pub(super) fn error_text(id: &[u8], code: i64, message: &str) -> String {
    let id = std::str::from_utf8(id).unwrap_or("null");
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{message}"}}}}"#)
}

//! What all messages of a connection share, and the way of each line of the client.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::call::Call;
use super::failure::Failure;
use super::mirror::Mirror;
use super::output::Output;
use super::post::{Id, Kind, LAST_EVENT_ID, Post, Unreadable, bare_fields, fields};
use super::session::{Session, Snapshot};
use super::token::Token;
use super::transport::{Broken, Transport};
use super::{IN_TURN, OPENING, ids};
use crate::upstream::stdio::envelope::Envelope;

/// Between the client and the server.
pub(super) struct Relay {
    transport: Transport,
    token: Token,
    output: Output,
    pub(super) session: Session,
    pub(super) mirror: Mutex<Mirror>,
    /// Messages on their way, by the key of their id.
    under_way: Mutex<HashMap<String, UnderWay>>,
    /// One of them has come to its end.
    ended: Notify,
    /// Whether the server has ever answered, and whether it was ever to.
    reached: AtomicBool,
    asked: AtomicBool,
}

struct UnderWay {
    task: AbortHandle,
    /// The id, where an answer is waited for.
    raw: Option<String>,
    modern: bool,
    /// It stays open, and nobody waits for its end.
    listens: bool,
}

/// Messages on their way at once.
const MOST: usize = 1024;

/// How long the end of a session may take to be said.
const GOODBYE: Duration = Duration::from_secs(2);

/// How long the head of an answer may take. A call answered with JSON has none before its end.
const SILENCE: Duration = Duration::from_secs(30 * 60);

/// Resolves when the message has been taken by the server, for at most this time.
pub(super) type Gate = (oneshot::Receiver<()>, Duration);

impl Relay {
    pub(super) fn new(transport: Transport, token: Token, output: Output) -> Arc<Self> {
        Arc::new(Self {
            transport,
            token,
            output,
            session: Session::default(),
            mirror: Mutex::default(),
            under_way: Mutex::default(),
            ended: Notify::new(),
            reached: AtomicBool::new(false),
            asked: AtomicBool::new(false),
        })
    }

    pub(super) const fn output(&self) -> &Output {
        &self.output
    }

    pub(super) fn was_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    pub(super) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Sends a line of the client on its way. The next must not be taken before the gate opens: it
    /// must not overtake this one.
    pub(super) async fn take(self: Arc<Self>, line: Bytes) -> Option<Gate> {
        self.asked.store(true, Ordering::Relaxed);
        let mut post = match Post::read(line) {
            Ok(post) => post,
            Err(unreadable) => {
                self.unreadable(unreadable).await;
                return None;
            }
        };
        let mut then_drop = None;
        match post.kind {
            Kind::Response => {
                let session = self.session.current();
                let text = session.and_then(|session| {
                    let message = Envelope::read(&post.text)?;
                    ids::inward(&post.text, &message, session.generation)
                });
                let Some(text) = text else {
                    // 2026-07-28 has no answers of clients; those to a session that is over are void.
                    tracing::debug!("an answer of the client is for no session there is");
                    return None;
                };
                post.text = text.into();
            }
            Kind::Notification => {
                if let Some(cancelled) = &post.cancels {
                    let modern = self.lock().get(&cancelled.key).map(|found| found.modern);
                    match modern {
                        // It has been answered meanwhile.
                        None => return None,
                        // To leave means to cancel (2026-07-28, "Cancellation").
                        Some(true) => {
                            self.abandon(&cancelled.key);
                            return None;
                        }
                        Some(false) => then_drop = Some(cancelled.key.clone()),
                    }
                }
            }
            Kind::Batch | Kind::Request => {
                if let Some(failure) = self.cannot_take(&post.requests) {
                    self.fail(&failure, &post.requests).await;
                    return None;
                }
            }
        }
        self.spawn(post, then_drop)
    }

    fn cannot_take(&self, requests: &[Id]) -> Option<Failure> {
        let under_way = self.lock();
        if under_way.len() + requests.len() > MOST {
            return Some(Failure::new(
                "connect.busy",
                503,
                format!("{MOST} messages are under way already"),
                "wait for their answers, or cancel some",
            ));
        }
        let is_used = |(at, id): (usize, &Id)| {
            under_way.contains_key(&id.key)
                || requests[..at].iter().any(|other| other.key == id.key)
        };
        requests.iter().enumerate().any(is_used).then(|| {
            Failure::new(
                "connect.duplicate",
                409,
                "another request with this id is under way",
                "give each request an id of its own (JSON-RPC 2.0 section 4)",
            )
        })
    }

    fn spawn(self: Arc<Self>, post: Post, then_drop: Option<String>) -> Option<Gate> {
        let patience = match post.kind {
            _ if post.opens() => Some(OPENING),
            Kind::Notification | Kind::Response => Some(IN_TURN),
            Kind::Batch | Kind::Request => None,
        };
        let (open, gate) = oneshot::channel();
        let ids = post.requests.clone();
        let (modern, listens) = (post.is_modern(), post.listens());
        let relay = Arc::clone(&self);
        // Locked until it is entered: it cannot end before.
        let mut under_way = self.lock();
        let keys: Vec<(String, Option<String>)> = if ids.is_empty() {
            // A key that no id has.
            let free = (0_usize..).map(|number| format!("#{number}"));
            let mut free = free.filter(|key| !under_way.contains_key(key));
            free.next().map(|key| (key, None)).into_iter().collect()
        } else {
            ids.into_iter().map(|id| (id.key, Some(id.raw))).collect()
        };
        let own: Vec<String> = keys.iter().map(|(key, _)| key.clone()).collect();
        let task = tokio::spawn(async move {
            Call::new(Arc::clone(&relay), post).run().await;
            for key in own {
                relay.forget(&key);
            }
            if let Some(key) = then_drop {
                relay.abandon(&key);
            }
            let _ = open.send(());
        });
        for (key, raw) in keys {
            let task = task.abort_handle();
            let entry = UnderWay {
                task,
                raw,
                modern,
                listens,
            };
            under_way.insert(key, entry);
        }
        drop(under_way);
        patience.map(|patience| (gate, patience))
    }

    /// A message has come to its end, or a request has its answer.
    pub(super) fn forget(&self, key: &str) {
        self.lock().remove(key);
        self.ended.notify_waiters();
    }

    fn abandon(&self, key: &str) {
        if let Some(found) = self.lock().remove(key) {
            found.task.abort();
        }
        self.ended.notify_waiters();
    }

    /// Says why there is no answer, to whoever waits for one and to the log.
    pub(super) async fn fail(&self, failure: &Failure, requests: &[Id]) {
        tracing::warn!(reason = failure.reason, "{failure}");
        for id in requests {
            let _ = self.output.send(failure.answer(&id.raw)).await;
        }
    }

    async fn unreadable(&self, unreadable: Unreadable) {
        let (code, cause) = match unreadable {
            Unreadable::Json => (-32700, "a line of standard input is not JSON"),
            Unreadable::Message => (-32600, "a line of standard input is no JSON-RPC message"),
            Unreadable::Revision => (-32600, "a message names a revision that is none"),
        };
        let remedy = "start this command from an MCP client that speaks stdio";
        let failure = Failure::new("connect.message", code, cause, remedy);
        tracing::warn!("{failure}");
        let _ = self.output.send(failure.answer("null")).await;
    }

    /// A line was longer than allowed.
    pub(super) async fn too_long(&self, most: usize) {
        let failure = Failure::new(
            "connect.too_large",
            413,
            format!("a line of standard input was longer than {most} bytes; it was not sent"),
            "send less at once, or a reference in place of the content",
        );
        tracing::warn!("{failure}");
        let _ = self.output.send(failure.answer("null")).await;
    }

    /// The client has closed its end: what only listens is ended.
    pub(super) fn stop_listening(&self) {
        self.session.stop_standing();
        self.lock().retain(|_, found| {
            if found.listens {
                found.task.abort();
            }
            !found.listens
        });
        self.ended.notify_waiters();
    }

    /// Resolves when nothing is under way.
    pub(super) async fn idle(&self) {
        loop {
            let ended = self.ended.notified();
            if self.lock().is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// Ends what is under way. `true`: there was something.
    pub(super) async fn give_up(&self) -> bool {
        let left: Vec<UnderWay> = self.lock().drain().map(|(_, found)| found).collect();
        let failure = Failure::new(
            "connect.ended",
            503,
            "the connection ended before there was an answer",
            "keep standard input open until the answer has come",
        );
        for found in &left {
            found.task.abort();
            if let Some(raw) = &found.raw {
                // One that does not read is not waited for.
                let answer = self.output.send(failure.answer(raw));
                let _ = timeout(GOODBYE, answer).await;
            }
        }
        !left.is_empty()
    }

    /// Tells the server that the session is over (2025-03-26 to 2025-11-25, "Session Management").
    pub(super) async fn end_session(&self) {
        if let Some(session) = self.session.close() {
            self.delete(&session).await;
        }
    }

    pub(super) async fn delete(&self, session: &Snapshot) {
        if session.id.is_none() {
            return;
        }
        let mut headers = bare_fields();
        session.put_headers(&mut headers);
        let deleted = self.send(&Method::DELETE, headers, Bytes::new(), GOODBYE);
        // A server that keeps its sessions says 405; one that is gone has none.
        if let Ok(Err(broken)) = timeout(GOODBYE, deleted).await {
            tracing::debug!("the end of the session was not said: {broken:?}");
        }
    }

    /// POSTs a message of the client.
    pub(super) async fn post(
        &self,
        post: &Post,
        session: Option<&Snapshot>,
    ) -> Result<Response<Incoming>, Broken> {
        let mut headers = fields();
        {
            let mirror = self.mirror.lock().unwrap_or_else(PoisonError::into_inner);
            post.put_headers(session, &mirror, &mut headers);
        }
        self.send(&Method::POST, headers, post.text.clone(), SILENCE)
            .await
    }

    /// POSTs a message of our own.
    pub(super) async fn say(
        &self,
        text: Bytes,
        session: Option<&Snapshot>,
        patience: Duration,
    ) -> Result<Response<Incoming>, Broken> {
        let mut headers = fields();
        if let Some(session) = session {
            session.put_headers(&mut headers);
        }
        self.send(&Method::POST, headers, text, patience).await
    }

    /// Opens a session's standing stream, or takes up one that broke off behind that event.
    pub(super) async fn get(
        &self,
        session: &Snapshot,
        after: Option<&str>,
    ) -> Result<Response<Incoming>, Broken> {
        let mut headers = bare_fields();
        session.put_headers(&mut headers);
        if let Some(after) = after.and_then(|after| after.parse().ok()) {
            headers.insert(LAST_EVENT_ID, after);
        }
        // Some servers send the head with the first event.
        self.send(&Method::GET, headers, Bytes::new(), SILENCE)
            .await
    }

    /// Sends a request; a 401 to a token that its file no longer holds is answered by the new one.
    async fn send(
        &self,
        method: &Method,
        mut headers: HeaderMap,
        body: Bytes,
        patience: Duration,
    ) -> Result<Response<Incoming>, Broken> {
        let mut is_again = false;
        loop {
            let token = self.token.header();
            if let Some(token) = token.clone() {
                headers.insert(AUTHORIZATION, token);
            }
            let response = self.transport.send(method, &headers, &body, patience);
            let response = response.await?;
            self.reached.store(true, Ordering::Relaxed);
            let is_stale = !is_again
                && response.status() == StatusCode::UNAUTHORIZED
                && (self.token.reload() || self.token.header() != token);
            if !is_stale {
                return Ok(response);
            }
            is_again = true;
        }
    }

    pub(super) fn broken(&self, broken: &Broken) -> Failure {
        Failure::broken(broken, self.transport.target())
    }

    pub(super) fn silent(&self, time: Duration) -> Failure {
        Failure::silent(time, self.transport.target())
    }

    pub(super) fn refused(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        excerpt: &[u8],
    ) -> Failure {
        let target = self.transport.target();
        Failure::status(status, headers, excerpt, target, self.token.is_some())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, UnderWay>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

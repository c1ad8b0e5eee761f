//! A command as a Streamable HTTP server: the tower service in the place of the HTTP client.
//!
//! Both eras on one endpoint, told apart by the message: one that stands alone (2026-07-28) is
//! [`super::lone`]'s, everything else belongs to a session and is answered here (2025-11-25,
//! "Transports").

mod converse;
mod head;
mod service;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use palisade::mcp::Revision;
use palisade::mcp::shown::Shown;
use palisade::{Exchange, Reason, Rejection};
use tokio::sync::watch;
use tokio::time::timeout;

use super::body::{self, Events, StdioBody};
use super::envelope::{Envelope, Sort};
use super::host::Host;
use super::launcher::Launcher;
use super::link::Refused;
use super::lone::Pool;
use super::mailbox::{Mailbox, STANDING};
use super::process::{Process, Spec};
use super::seal::{Mark, Seal};
use super::session::Sessions;

use converse::converse;
use head::{EVENT_STREAM, NO_SESSION, accepts, messages, not_acceptable, wrong_revision};

pub(super) use converse::{Unanswered, answered, ask};
pub(super) use head::{bad_request, header_revision};
pub use service::Stdio;

/// What a bridge is made of.
#[derive(Debug)]
pub struct Config {
    /// The command.
    pub spec: Spec,
    /// Who shares a child.
    pub scope: Scope,
    /// Sessions, and children, at once.
    pub sessions: usize,
    /// After how long a session that nobody uses is ended.
    pub session_idle: Duration,
    /// From a child's start to its first answer.
    pub start_timeout: Duration,
    /// The path at which it answers; below it is nothing.
    pub path: String,
    /// What the server shows of itself: the bridge speaks every revision.
    pub shown: Shown,
}

/// Who shares a child.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All sessions of one caller.
    Caller,
    /// Nobody: each session has its own. What stands alone shares one for each caller.
    #[default]
    Session,
    /// Everybody.
    Shared,
}

/// One server's command behind HTTP, for all workers.
#[derive(Debug)]
pub struct Bridge {
    pub(super) launcher: Arc<Launcher>,
    sessions: Sessions,
    pub(super) pool: Pool,
    scope: Scope,
    path: String,
}

/// A session that was used within this time is not ended to make room for another.
const SPARED: Duration = Duration::from_secs(60);

/// How long a child may take to make room; longer than any takes to be ended.
const ENDING: Duration = Duration::from_secs(7);

/// How often sessions that nobody uses are looked for, at most.
const SWEEP: Duration = Duration::from_secs(10);

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

impl Bridge {
    /// A bridge whose children live on `host`.
    ///
    /// # Errors
    /// Where the system gives no random numbers for the key of session ids.
    pub fn new(
        config: Config,
        host: Arc<Host>,
    ) -> Result<Arc<Self>, aws_lc_rs::error::Unspecified> {
        let name = Arc::clone(&config.spec.name);
        config.shown.saw_modern();
        let launcher = Arc::new(Launcher::new(
            config.spec,
            host,
            config.sessions,
            config.start_timeout,
        ));
        let seal = Arc::new(Seal::new()?);
        let shared = Arc::clone(&launcher);
        let bridge = Arc::new(Self {
            pool: Pool::new(shared, config.scope, config.shown, Arc::clone(&seal)),
            sessions: Sessions::new(name, seal, config.sessions),
            launcher,
            scope: config.scope,
            path: config.path,
        });
        let swept = Arc::downgrade(&bridge);
        let idle = config.session_idle;
        bridge.launcher.host().spawn(async move {
            loop {
                tokio::time::sleep(SWEEP.min(idle.max(Duration::from_millis(100)))).await;
                let Some(bridge) = swept.upgrade() else {
                    return;
                };
                bridge.sessions.sweep(idle);
                bridge.pool.sweep(idle);
            }
        });
        Ok(bridge)
    }

    async fn answer(
        &self,
        head: &Parts,
        text: &Bytes,
        exchange: &Exchange,
        draining: &watch::Receiver<bool>,
    ) -> Result<Response<StdioBody>, Rejection> {
        if head.uri.path().trim_end_matches('/') != self.path.trim_end_matches('/') {
            return Err(Rejection::new(Reason::RouteNotFound)
                .with_detail("a command has one endpoint, and nothing below it"));
        }
        let caller = mark(head);
        let modern = header_revision(&head.headers).is_some_and(Revision::is_modern);
        match head.method {
            Method::POST => self.post(head, text, &caller, exchange, draining).await,
            // There is neither a stream to open nor a session to end (2026-07-28).
            _ if modern => Ok(body::not_allowed("POST")),
            Method::GET => self.listen(head, &caller, draining),
            Method::DELETE => {
                let Some(id) = head.headers.get(SESSION_ID) else {
                    return Ok(bad_request(b"null", NO_SESSION));
                };
                let session = self.sessions.find(id.as_bytes(), &caller)?;
                self.sessions.close(&session);
                Ok(body::status(StatusCode::OK))
            }
            _ => Ok(body::not_allowed("GET, POST, DELETE")),
        }
    }

    async fn post(
        &self,
        head: &Parts,
        text: &Bytes,
        caller: &Mark,
        exchange: &Exchange,
        draining: &watch::Receiver<bool>,
    ) -> Result<Response<StdioBody>, Rejection> {
        if !accepts(&head.headers, "application/json") || !accepts(&head.headers, EVENT_STREAM) {
            return Ok(not_acceptable());
        }
        let messages = messages(text);
        if self.pool.takes(&head.headers, &messages) {
            let headers = &head.headers;
            return self.pool.answer(headers, &messages, caller, draining).await;
        }
        if let [(_, opening)] = messages.as_slice()
            && opening.is("initialize")
            && opening.sort() == Some(Sort::Request)
        {
            return self.initialize(text, opening, caller).await;
        }
        let Some(id) = head.headers.get(SESSION_ID) else {
            let id = messages.first().and_then(|(_, message)| message.id);
            return Ok(bad_request(
                id.map_or(&b"null"[..], |id| id.get().as_bytes()),
                NO_SESSION,
            ));
        };
        let session = self.sessions.find(id.as_bytes(), caller)?;
        if let Some(refused) = wrong_revision(&head.headers, &messages) {
            return Ok(refused);
        }
        if messages.len() > 1 && session.revision > Revision::V2025_03_26 {
            return Ok(bad_request(
                b"null",
                "the revision of this session has no batches",
            ));
        }
        converse(&session, &messages, exchange).await
    }

    /// A new session.
    async fn initialize(
        &self,
        text: &[u8],
        message: &Envelope<'_>,
        caller: &Mark,
    ) -> Result<Response<StdioBody>, Rejection> {
        let mailbox = Mailbox::new(true);
        let (process, answer) = if self.scope == Scope::Session {
            let process = Arc::new(self.own_child().await?);
            process.link.join(&mailbox);
            let answer = self.handshake(&process, &mailbox, text, message).await?;
            self.launcher.succeeded();
            (process, answer)
        } else {
            let (process, answer) = self.pool.handshake(caller, text, message).await?;
            process.link.join(&mailbox);
            (process, answer)
        };
        let Some(revision) = agreed(&answer) else {
            // It was refused: there is no session, and the child of its own is ended.
            process.link.leave(&mailbox);
            return Ok(body::json(StatusCode::OK, answer));
        };
        let id = self.sessions.open(caller, mailbox, process, revision)?;
        let mut answer = body::json(StatusCode::OK, answer);
        if let Ok(id) = HeaderValue::try_from(id) {
            answer.headers_mut().insert(SESSION_ID, id);
        }
        Ok(answer)
    }

    /// A child for one session. Where every place is taken, the session goes that nobody has used
    /// for longest: many clients never end theirs.
    async fn own_child(&self) -> Result<Process, Rejection> {
        match self.launcher.start(false, Duration::ZERO).await {
            Err(full) if full.reason() == Reason::ChildLimit => {
                if !self.sessions.make_room(SPARED) {
                    return Err(full);
                }
                self.launcher.start(false, ENDING).await
            }
            started => started,
        }
    }

    /// Sends `initialize` to a new child and waits for its answer.
    async fn handshake(
        &self,
        process: &Process,
        mailbox: &Arc<Mailbox>,
        text: &[u8],
        message: &Envelope<'_>,
    ) -> Result<Bytes, Rejection> {
        let answer = ask(&process.link, mailbox, text, message);
        match timeout(self.launcher.start_timeout, answer).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => {
                // What it wrote to standard error may be behind its end by a moment.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(self.launcher.failed(process.last_words()))
            }
            Err(_) => {
                let waited = self.launcher.start_timeout;
                let cause = format!("no answer to its first message within {waited:?}");
                Err(self
                    .launcher
                    .failed(cause)
                    .with_remedy("raise `start_timeout` of the server"))
            }
        }
    }

    /// `GET`: the standing stream, or one that broke off.
    fn listen(
        &self,
        head: &Parts,
        caller: &Mark,
        draining: &watch::Receiver<bool>,
    ) -> Result<Response<StdioBody>, Rejection> {
        if !accepts(&head.headers, EVENT_STREAM) {
            return Ok(not_acceptable());
        }
        let Some(id) = head.headers.get(SESSION_ID) else {
            return Ok(bad_request(b"null", NO_SESSION));
        };
        let session = self.sessions.find(id.as_bytes(), caller)?;
        let place = match head.headers.get(LAST_EVENT_ID) {
            None => Some((STANDING, None)),
            Some(last) => last.to_str().ok().and_then(|last| {
                let (stream, sequence) = last.split_once('-')?;
                Some((stream.parse().ok()?, Some(sequence.parse().ok()?)))
            }),
        };
        let reader = place.and_then(|(stream, after)| session.mailbox.attach(stream, after).ok());
        let Some(reader) = reader else {
            return Ok(bad_request(
                b"null",
                "no such event, or it is no longer kept",
            ));
        };
        let priming =
            session.revision >= Revision::V2025_11_25 && place.is_some_and(|p| p.1.is_none());
        let events = Events::new(reader).with_ids(priming);
        Ok(body::stream(events, Some(draining.clone())))
    }
}

pub(super) fn refusal(refused: Refused, process: &Process) -> Rejection {
    match refused {
        Refused::Busy => Rejection::new(Reason::ChildBusy)
            .with_detail("too many calls wait for one child, or it does not read")
            .with_remedy("set `concurrency` of the server"),
        Refused::Ended(_) => Rejection::new(Reason::ChildEnded).with_detail(process.last_words()),
    }
}

/// The revision that a handshake agreed on; `None`: it was refused.
fn agreed(answer: &[u8]) -> Option<Revision> {
    #[derive(serde::Deserialize)]
    struct Agreed {
        #[serde(rename = "protocolVersion")]
        protocol_version: String,
    }
    let result = Envelope::read(answer)?.result?;
    let agreed: Agreed = serde_json::from_str(result.get()).ok()?;
    Some(Revision::parse(&agreed.protocol_version))
}

/// Who asks. Where nobody is asked who calls, everyone is the same caller.
fn mark(head: &Parts) -> Mark {
    let exchange = head.extensions.get::<Exchange>();
    let caller = exchange.and_then(|exchange| exchange.facts().caller.clone());
    caller.map_or(*b"anonymous\0\0\0\0\0\0\0", |caller| *caller.mark())
}

//! A command as a Streamable HTTP server: the tower service in the place of the HTTP client.
//!
//! Both eras on one endpoint, told apart by the message: one that stands alone (2026-07-28) is
//! [`super::lone`]'s, everything else belongs to a session and is answered here (2025-11-25,
//! "Transports").

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use palisade::mcp::Revision;
use palisade::mcp::shown::Shown;
use palisade::{Answer, Exchange, Reason, Rejection};
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::timeout;
use tower_service::Service;

use super::body::{self, Cancel, Events, StdioBody, next};
use super::envelope::{Envelope, Sort};
use super::host::Host;
use super::launcher::Launcher;
use super::link::{Link, Refused, error_text};
use super::lone::Pool;
use super::mailbox::{End, Event, Mailbox, Reader, STANDING};
use super::process::{Process, Spec};
use super::seal::{Mark, Seal};
use super::session::{Session, Sessions};

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

/// How long an answer is waited for before it becomes an event stream.
const PATIENCE: Duration = Duration::from_millis(500);

/// A session that was used within this time is not ended to make room for another.
const SPARED: Duration = Duration::from_secs(60);

/// How long a child may take to make room; longer than any takes to be ended.
const ENDING: Duration = Duration::from_secs(7);

/// How often sessions that nobody uses are looked for, at most.
const SWEEP: Duration = Duration::from_secs(10);

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
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
        draining: &watch::Receiver<bool>,
    ) -> Result<Response<StdioBody>, Rejection> {
        if head.uri.path().trim_end_matches('/') != self.path.trim_end_matches('/') {
            return Err(Rejection::new(Reason::RouteNotFound)
                .with_detail("a command has one endpoint, and nothing below it"));
        }
        let caller = mark(head);
        let modern = header_revision(&head.headers).is_some_and(Revision::is_modern);
        match head.method {
            Method::POST => self.post(head, text, &caller, draining).await,
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
        converse(&session, &messages).await
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

/// Passes messages of a session on, and answers the requests among them.
async fn converse(
    session: &Session,
    messages: &[(&[u8], Envelope<'_>)],
) -> Result<Response<StdioBody>, Rejection> {
    let link = &session.process.link;
    let busy = |refused| refusal(refused, &session.process);
    let requests = messages
        .iter()
        .filter(|(_, message)| message.sort() == Some(Sort::Request))
        .count();
    let stream = (requests > 0).then(|| session.mailbox.open(requests));
    let reader = stream.and_then(|stream| session.mailbox.attach(stream, None).ok());
    for (text, message) in messages {
        let sent = match message.sort() {
            Some(Sort::Request) => {
                let stream = stream.unwrap_or(STANDING);
                link.request(&session.mailbox, stream, text, message, None)
                    .map(drop)
            }
            Some(Sort::Notification) => link.notify(&session.mailbox, text, message),
            Some(Sort::Response) => link.respond(&session.mailbox, text, message),
            None => Ok(()),
        };
        if let Err(refused) = sent {
            if let Some(stream) = stream {
                session.mailbox.forget(stream);
            }
            return Err(busy(refused));
        }
    }
    let Some(reader) = reader else {
        return Ok(body::status(StatusCode::ACCEPTED));
    };
    let priming = session.revision >= Revision::V2025_11_25;
    answered(reader, &session.mailbox, None, None, |events| {
        events.with_ids(priming)
    })
    .await
    .map_err(|Unanswered| {
        Rejection::new(Reason::ChildEnded).with_detail(session.process.last_words())
    })
}

/// No answer came, and none will.
pub(super) struct Unanswered;

/// The answer to a request: one JSON text where it comes at once and alone, else events.
pub(super) async fn answered(
    mut reader: Reader,
    mailbox: &Arc<Mailbox>,
    cancel: Option<Cancel>,
    draining: Option<watch::Receiver<bool>>,
    kind: impl FnOnce(Events) -> Events,
) -> Result<Response<StdioBody>, Unanswered> {
    // Should the client leave before anything was sent, nothing is left to come back to.
    let forgotten = Forget {
        mailbox: Some(mailbox),
        stream: reader.stream(),
    };
    let first = match timeout(PATIENCE, next(&mut reader)).await {
        Ok(Some(Ok(Event {
            data,
            end: End::Last,
            ..
        }))) => {
            return Ok(body::json(StatusCode::OK, data));
        }
        Ok(Some(Ok(Event {
            end: End::Broken, ..
        })))
        | Ok(None | Some(Err(_))) => return Err(Unanswered),
        Ok(Some(Ok(event))) => Some(event),
        Err(_) => None,
    };
    forgotten.keep();
    let events = kind(Events::new(reader)).from(first).cancelling(cancel);
    Ok(body::stream(events, draining))
}

struct Forget<'a> {
    mailbox: Option<&'a Arc<Mailbox>>,
    stream: u64,
}

impl Forget<'_> {
    fn keep(mut self) {
        self.mailbox = None;
    }
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(mailbox) = self.mailbox {
            mailbox.forget(self.stream);
        }
    }
}

/// Sends a request whose answer is for the bridge first; what comes before it goes to the standing
/// stream. `None`: the child ended.
pub(super) async fn ask(
    link: &Arc<Link>,
    mailbox: &Arc<Mailbox>,
    text: &[u8],
    message: &Envelope<'_>,
) -> Option<Bytes> {
    let stream = mailbox.open(1);
    let mut reader = mailbox.attach(stream, None).ok()?;
    let number = link.request(mailbox, stream, text, message, None).ok()?;
    let _cancel = Cancel {
        link: Arc::clone(link),
        number,
    };
    let answer = loop {
        match next(&mut reader).await?.ok()? {
            Event {
                data,
                end: End::Last,
                ..
            } => break Some(data),
            Event {
                end: End::Broken, ..
            } => break None,
            event => mailbox.push(STANDING, event.data, End::More),
        }
    };
    mailbox.forget(stream);
    answer
}

pub(super) fn refusal(refused: Refused, process: &Process) -> Rejection {
    match refused {
        Refused::Busy => Rejection::new(Reason::ChildBusy)
            .with_detail("too many calls wait for one child, or it does not read")
            .with_remedy("set `concurrency` of the server"),
        Refused::Ended(_) => Rejection::new(Reason::ChildEnded).with_detail(process.last_words()),
    }
}

/// The messages of a body that has been read strictly before.
fn messages(text: &[u8]) -> Vec<(&[u8], Envelope<'_>)> {
    let is_batch = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let texts: Vec<&[u8]> = if is_batch {
        let batch: Vec<&RawValue> = serde_json::from_slice(text).unwrap_or_default();
        batch.into_iter().map(|raw| raw.get().as_bytes()).collect()
    } else {
        vec![text]
    };
    texts
        .into_iter()
        .filter_map(|text| Some((text, Envelope::read(text)?)))
        .collect()
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

/// The revision that `MCP-Protocol-Version` names.
pub(super) fn header_revision(headers: &HeaderMap) -> Option<Revision> {
    let value = headers.get(PROTOCOL_VERSION)?;
    Some(Revision::parse(value.to_str().unwrap_or_default()))
}

/// 400 where the header names a revision that is none (2025-06-18 and later).
fn wrong_revision(
    headers: &HeaderMap,
    messages: &[(&[u8], Envelope<'_>)],
) -> Option<Response<StdioBody>> {
    let named = header_revision(headers)?;
    let id = messages.first().and_then(|(_, message)| message.id);
    (!named.is_known()).then(|| {
        bad_request(
            id.map_or(&b"null"[..], |id| id.get().as_bytes()),
            "unsupported MCP-Protocol-Version",
        )
    })
}

const NO_SESSION: &str = "Mcp-Session-Id is missing; a session begins with initialize";

const EVENT_STREAM: &str = "text/event-stream";

/// What HTTP servers of the protocol answer to what they do not understand. The code is the one
/// that the SDKs use.
pub(super) fn bad_request(id: &[u8], message: &str) -> Response<StdioBody> {
    body::json(StatusCode::BAD_REQUEST, error_text(id, -32000, message))
}

fn not_acceptable() -> Response<StdioBody> {
    body::json(
        StatusCode::NOT_ACCEPTABLE,
        error_text(
            b"null",
            -32000,
            "the client must accept application/json and text/event-stream",
        ),
    )
}

/// Whether `Accept` takes a media type (RFC 9110 section 12.5.1); without the field, any.
fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let mut fields = headers.get_all(ACCEPT).iter().peekable();
    if fields.peek().is_none() {
        return true;
    }
    let main = wanted.split('/').next().unwrap_or_default();
    fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .any(|range| {
            range.eq_ignore_ascii_case(wanted)
                || range == "*/*"
                || range
                    .strip_suffix("/*")
                    .is_some_and(|range| range.eq_ignore_ascii_case(main))
        })
}

/// Who asks. Where nobody is asked who calls, everyone is the same caller.
fn mark(head: &Parts) -> Mark {
    let exchange = head.extensions.get::<Exchange>();
    let caller = exchange.and_then(|exchange| exchange.facts().caller.clone());
    caller.map_or(*b"anonymous\0\0\0\0\0\0\0", |caller| *caller.mark())
}

/// The tower service of a [`Bridge`]; one per worker.
#[derive(Clone, Debug)]
pub struct Stdio {
    bridge: Arc<Bridge>,
    draining: watch::Receiver<bool>,
}

impl Stdio {
    /// A worker's share; `draining` turns `true` when streams that stay open are to be ended.
    #[must_use]
    pub const fn new(bridge: Arc<Bridge>, draining: watch::Receiver<bool>) -> Self {
        Self { bridge, draining }
    }
}

impl<B> Service<Request<B>> for Stdio
where
    B: Body<Data = Bytes> + Send + 'static,
{
    type Response = Response<StdioBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { bridge, draining } = self.clone();
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let exchange = Exchange::of(&mut head);
            let text = match body.collect().await {
                Ok(body) => body.to_bytes(),
                // It has been collected before; there is nothing left that could fail.
                Err(_) => Bytes::new(),
            };
            let answer = bridge.answer(&head, &text, &draining).await;
            Ok(answer.unwrap_or_else(|rejection| {
                let id = exchange
                    .facts()
                    .calls
                    .first()
                    .and_then(|call| call.id.clone());
                let answer = rejection.with_id(id).into_response(&head);
                answer.map(Answer::own)
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted() {
        for (accept, wanted) in [
            (None, true),
            (Some("application/json, text/event-stream"), true),
            (
                Some("Application/JSON;q=0.9,TEXT/event-stream;charset=x"),
                true,
            ),
            (Some("*/*"), true),
            (Some("application/*, text/*"), true),
            (Some("application/json"), false),
            (Some("text/event-stream"), false),
            (Some("application/jsonx, text/event-stream"), false),
            (Some(""), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, accept.parse().unwrap());
            }
            let both = accepts(&headers, "application/json") && accepts(&headers, EVENT_STREAM);
            assert_eq!(both, wanted, "{accept:?}");
        }
    }

    #[test]
    fn a_batch_is_its_messages() {
        let two = br#" [{"id":1,"method":"a"}, {"method":"b"}]"#;
        assert_eq!(messages(two).len(), 2);
        assert_eq!(messages(two)[1].0, br#"{"method":"b"}"#);
        assert_eq!(messages(br#"{"id":1,"method":"a"}"#).len(), 1);
        assert!(messages(b"").is_empty());
    }
}

//! One POST, and all that it is answered.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::value::RawValue;
use tokio::time::{sleep, timeout};

use super::answer::{
    Content, Resume, agreed, drain, excerpt, is_message, is_over, kind_of, no_answer, rest,
    too_large, unreadable,
};
use super::backoff::Backoff;
use super::events::Events;
use super::failure::Failure;
use super::post::{Id, Kind, Post, SESSION_ID};
use super::relay::Relay;
use super::session::Snapshot;
use super::transport::{Broken, causes};
use super::{LONGEST, ids};
use crate::upstream::stdio::envelope::{Edit, Envelope, Sort, edited};

/// A message of the client on its way.
pub(super) struct Call {
    relay: Arc<Relay>,
    post: Post,
    /// Requests that have no answer yet.
    open: Vec<Id>,
    /// Its stream broke off and has been opened once more (2026-07-28).
    again: bool,
}

/// Why a call goes no further.
pub(super) enum Stopped {
    /// The client has closed its end.
    Closed,
    /// There will be no answer.
    Failed(Failure),
}

/// What became of a stream.
enum Ended {
    /// Everything is answered.
    Answered,
    /// It ended before. What is known of how to take it up again.
    Early(Resume),
}

/// How long nothing may come on a stream; servers send a comment every 15 to 30 s.
pub(super) const SILENCE: Duration = Duration::from_secs(30 * 60);

/// Attempts in a row to take up a stream that broke off.
const ATTEMPTS: u32 = 6;

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<super::output::Closed> for Stopped {
    fn from(_: super::output::Closed) -> Self {
        Self::Closed
    }
}

impl Call {
    pub(super) fn new(relay: Arc<Relay>, post: Post) -> Self {
        Self {
            open: post.requests.clone(),
            again: false,
            relay,
            post,
        }
    }

    /// Sends it, and gives the client all that comes of it; in place of a missing answer, why.
    pub(super) async fn run(mut self) {
        if let Err(Stopped::Failed(failure)) = self.exchange().await {
            self.relay.fail(&failure, &self.open).await;
        }
    }

    async fn exchange(&mut self) -> Result<(), Stopped> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        loop {
            let (response, session) = match self.send().await {
                Ok(Some(sent)) => sent,
                // It was refused, and the client has been told in the server's words.
                Ok(None) => return Ok(()),
                // A subscription that was granted once is asked for until it is again.
                Err(Stopped::Failed(failure)) if self.again && failure.code >= 500 => {
                    tracing::debug!("{failure}");
                    sleep(backoff.pause()).await;
                    continue;
                }
                Err(stopped) => return Err(stopped),
            };
            match self.receive(response, session.as_ref()).await? {
                Ended::Answered => return self.accepted().await,
                Ended::Early(_) if self.post.listens() => {
                    // There is nothing to resume by; what changes meanwhile is missed.
                    self.again = true;
                    sleep(backoff.pause()).await;
                }
                Ended::Early(resume) => {
                    let Some(session) = session else {
                        return Err(self.broke_off().into());
                    };
                    return self.resume(&session, resume).await;
                }
            }
        }
    }

    /// Sends it until the server takes or refuses it. `None`: it was refused in words of its own.
    async fn send(&mut self) -> Result<Option<(Response<Incoming>, Option<Snapshot>)>, Stopped> {
        let (mut renewed, mut learned) = (false, false);
        loop {
            let session = match self.post {
                ref post if post.is_modern() || post.opens() => None,
                _ => self.relay.session.current(),
            };
            let sent = self.relay.post(&self.post, session.as_ref()).await;
            let response = sent.map_err(|broken| self.relay.broken(&broken))?;
            let status = response.status();
            if status.is_success() {
                return Ok(Some((response, session)));
            }
            let headers = response.headers().clone();
            let excerpt = excerpt(response).await;
            let of_session = session.filter(|session| session.id.is_some());
            if let Some(session) = of_session
                && !renewed
                && is_over(status, &excerpt)
            {
                // It has not been acted upon, so it may be sent again.
                self.relay.renew(session.generation).await?;
                renewed = true;
                if self.post.kind == Kind::Response {
                    // What it answers was asked in the session that is over.
                    return Ok(None);
                }
                continue;
            }
            if !learned && self.post.lacks_fields(&excerpt) && self.relay.learn(&self.post).await {
                // Refused unread, it may be sent again with what it lacked.
                learned = true;
                continue;
            }
            return self
                .refused(status, &headers, &excerpt)
                .await
                .map(|()| None);
        }
    }

    /// A refusal: in the server's own words where they are JSON-RPC, since a client may know them
    /// (2026-07-28, "Error Codes"); else in ours.
    async fn refused(
        &mut self,
        status: StatusCode,
        headers: &HeaderMap,
        excerpt: &[u8],
    ) -> Result<(), Stopped> {
        let failure = self.relay.refused(status, headers, excerpt);
        let error = Envelope::read(excerpt).filter(|message| message.error.is_some());
        // Who lacks a token is told how to come by one.
        let is_ours = matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        );
        let Some(error) = error.filter(|_| !is_ours && self.open.len() == 1) else {
            return Err(failure.into());
        };
        tracing::debug!("{failure}");
        for id in std::mem::take(&mut self.open) {
            let answer = match error.id {
                Some(raw) => edited(
                    excerpt,
                    vec![Edit::replace(excerpt, raw, id.raw.as_bytes())],
                ),
                None => {
                    let error = error.error.map_or("null", RawValue::get);
                    format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, id.raw).into_bytes()
                }
            };
            self.relay.forget(&id.key);
            self.relay.output().send(answer).await?;
        }
        Ok(())
    }

    /// Gives the client what an answer holds.
    async fn receive(
        &mut self,
        response: Response<Incoming>,
        session: Option<&Snapshot>,
    ) -> Result<Ended, Stopped> {
        let kind = kind_of(response.headers());
        let named = response.headers().get(SESSION_ID).cloned();
        match kind {
            Content::Events => self.stream(response.into_body(), session, named).await,
            Content::Json => {
                let collected = Limited::new(response.into_body(), LONGEST).collect();
                let text = match timeout(SILENCE, collected).await {
                    Err(_) => return Err(self.relay.silent(SILENCE).into()),
                    Ok(Err(error)) => return Err(unreadable(&*error).into()),
                    Ok(Ok(body)) => body.to_bytes(),
                };
                self.deliver(&text, session, named.as_ref()).await?;
                self.all_answered()
            }
            Content::Other => {
                let status = response.status();
                drain(response);
                if self.open.is_empty() {
                    Ok(Ended::Answered)
                } else {
                    Err(no_answer(&status.to_string()).into())
                }
            }
        }
    }

    fn all_answered(&self) -> Result<Ended, Stopped> {
        if self.open.is_empty() {
            Ok(Ended::Answered)
        } else {
            Err(no_answer("its answer is to another request").into())
        }
    }

    async fn stream(
        &mut self,
        mut body: Incoming,
        session: Option<&Snapshot>,
        named: Option<HeaderValue>,
    ) -> Result<Ended, Stopped> {
        let mut events = Events::new(LONGEST);
        let mut found = Vec::new();
        let mut resume = Resume::default();
        loop {
            let frame = match timeout(SILENCE, body.frame()).await {
                Err(_) => return Err(self.relay.silent(SILENCE).into()),
                Ok(None) => return Ok(Ended::Early(resume)),
                Ok(Some(Err(error))) => {
                    tracing::debug!("a stream broke off: {}", causes(&error));
                    return Ok(Ended::Early(resume));
                }
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            let is_small = events.push(&bytes, &mut found);
            for event in found.drain(..) {
                resume.note(&event);
                if is_message(&event) {
                    self.deliver(&event.data, session, named.as_ref()).await?;
                }
            }
            if is_small.is_err() {
                return Err(too_large().into());
            }
            if self.open.is_empty() {
                rest(body);
                return Ok(Ended::Answered);
            }
        }
    }

    /// Takes a stream of a session up again, until everything is answered.
    async fn resume(&mut self, session: &Snapshot, mut resume: Resume) -> Result<(), Stopped> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));
        let mut attempts = 0;
        loop {
            let Some(after) = resume.after.clone() else {
                return Err(self.broke_off().into());
            };
            let pause = backoff.pause();
            sleep(resume.retry.unwrap_or(pause)).await;
            attempts += 1;
            let response = match self.relay.get(session, Some(&after)).await {
                Ok(response) => response,
                Err(
                    Broken::Lost(_)
                    | Broken::Unreached {
                        untrusted: false, ..
                    },
                ) if attempts < ATTEMPTS => {
                    continue;
                }
                Err(broken) => return Err(self.relay.broken(&broken).into()),
            };
            let status = response.status();
            if !status.is_success() || !matches!(kind_of(response.headers()), Content::Events) {
                drain(response);
                if status.is_server_error() && attempts < ATTEMPTS {
                    continue;
                }
                tracing::debug!("a stream was not taken up again: {status}");
                return Err(self.broke_off().into());
            }
            match self
                .stream(response.into_body(), Some(session), None)
                .await?
            {
                Ended::Answered => return self.accepted().await,
                Ended::Early(next) => {
                    if next.after.as_ref().is_some_and(|next| *next != after) {
                        attempts = 0;
                        backoff.reset();
                    } else if attempts >= ATTEMPTS {
                        return Err(self.broke_off().into());
                    }
                    resume = Resume {
                        after: next.after.or(Some(after)),
                        retry: next.retry.or(resume.retry),
                    };
                }
            }
        }
    }

    fn broke_off(&self) -> Failure {
        self.relay.broken(&Broken::Lost(
            "its event stream ended, and could not be taken up again".to_owned(),
        ))
    }

    /// Gives the client what a text holds: a message, or a batch of them.
    async fn deliver(
        &mut self,
        text: &[u8],
        session: Option<&Snapshot>,
        named: Option<&HeaderValue>,
    ) -> Result<(), Stopped> {
        if text.trim_ascii_start().first() == Some(&b'[') {
            let batch: Vec<&RawValue> = serde_json::from_slice(text).unwrap_or_default();
            if batch.is_empty() {
                tracing::warn!("the server sent what is no message; it was not passed on");
            }
            // One by one: a client of a later revision takes no batch.
            for message in batch {
                self.message(message.get().as_bytes(), session, named)
                    .await?;
            }
            return Ok(());
        }
        self.message(text, session, named).await
    }

    async fn message(
        &mut self,
        text: &[u8],
        session: Option<&Snapshot>,
        named: Option<&HeaderValue>,
    ) -> Result<(), Stopped> {
        let read = Envelope::read(text).and_then(|found| Some((found.sort()?, found)));
        let Some((sort, message)) = read else {
            tracing::warn!("the server sent what is no message; it was not passed on");
            return Ok(());
        };
        let generation = session.map_or(0, |session| session.generation);
        if sort != Sort::Response {
            if self.again && message.is("notifications/subscriptions/acknowledged") {
                return Ok(());
            }
            return Ok(self
                .relay
                .output()
                .send(ids::outward(text, &message, generation))
                .await?);
        }
        let key = message.id.map(Id::of);
        let at = key.and_then(|id| self.open.iter().position(|open| open.key == id.key));
        let Some(at) = at else {
            tracing::debug!("the server answered what was not asked");
            return Ok(());
        };
        self.understand(&message, named).await;
        let answered = self.open.swap_remove(at);
        self.relay.forget(&answered.key);
        Ok(self.relay.output().send(edited(text, Vec::new())).await?)
    }

    /// What an answer means for the messages that follow; before the client sees it.
    async fn understand(&self, answer: &Envelope<'_>, named: Option<&HeaderValue>) {
        let Some(result) = answer.result else { return };
        if self.post.opens()
            && let Some(revision) = agreed(result)
        {
            let opening = self.post.text.clone();
            let before = self.relay.session.open(opening, named.cloned(), revision);
            if let Some(before) = before {
                self.relay.delete(&before).await;
            }
        }
        if self.post.is_modern() && self.post.is("tools/list") {
            let mirror = self.relay.mirror.lock();
            mirror
                .unwrap_or_else(PoisonError::into_inner)
                .learn(result.get());
        }
    }

    /// It went well: what a new session has to be told is kept, and the standing stream opened.
    async fn accepted(&self) -> Result<(), Stopped> {
        if self.post.is_modern() {
            return Ok(());
        }
        if let Some(method) = &self.post.method {
            self.relay.session.remember(method, &self.post.text);
            if method == "notifications/initialized" && self.post.kind == Kind::Notification {
                // What the server says of itself would be lost before there is a stream for it.
                let opened = self.relay.stand();
                let _ = timeout(Duration::from_secs(1), opened).await;
            }
        }
        Ok(())
    }
}

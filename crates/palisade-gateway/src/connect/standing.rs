//! The GET stream of a session, on which the server speaks unasked (2025-11-25, "Listening for
//! Messages from the Server"); kept open as long as the session is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::answer::{Content, Resume, drain, excerpt, is_message, is_over, kind_of};
use super::backoff::Backoff;
use super::events::Events;
use super::relay::Relay;
use super::session::Snapshot;
use super::{LONGEST, ids};
use crate::upstream::stdio::envelope::{Envelope, Sort};

/// Between two attempts, where the server does not say how long.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Relay {
    /// Keeps the stream of the session open, in place of another. Resolves when the server has
    /// opened it, or does not offer it.
    pub(super) fn stand(self: &Arc<Self>) -> oneshot::Receiver<()> {
        let (opened, receiver) = oneshot::channel();
        if let Some(session) = self.session.current() {
            let task = tokio::spawn(standing(Arc::clone(self), session, opened));
            self.session.stands(task.abort_handle());
        }
        receiver
    }
}

/// Boxed: it may end by renewing the session, which begins another.
fn standing(
    relay: Arc<Relay>,
    session: Snapshot,
    opened: oneshot::Sender<()>,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let mut opened = Some(opened);
        let mut resume = Resume::default();
        let mut backoff = Backoff::new(FIRST, LONGEST_PAUSE);
        loop {
            match relay.get(&session, resume.after.as_deref()).await {
                Err(broken) => tracing::debug!("{}", relay.broken(&broken)),
                Ok(response) => {
                    let status = response.status();
                    let is_events = matches!(kind_of(response.headers()), Content::Events);
                    if status.is_success() && is_events {
                        opened.take().map(|opened| opened.send(()));
                        if listen(&relay, &session, response.into_body(), &mut resume).await {
                            backoff.reset();
                        }
                    } else if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                        drain(response);
                    } else if !go_on(&relay, &session, response, &mut resume).await {
                        return;
                    }
                }
            }
            let pause = backoff.pause();
            sleep(resume.retry.unwrap_or(pause).max(FIRST / 10)).await;
        }
    })
}

/// Gives the client what comes. `true`: something came.
async fn listen(
    relay: &Arc<Relay>,
    session: &Snapshot,
    mut body: Incoming,
    resume: &mut Resume,
) -> bool {
    let mut events = Events::new(LONGEST);
    let mut found = Vec::new();
    let mut came = false;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.into_data().unwrap_or_default();
        let is_small = events.push(&bytes, &mut found);
        for event in found.drain(..) {
            came = true;
            resume.note(&event);
            if !is_message(&event) {
                continue;
            }
            let message = Envelope::read(&event.data);
            match message.as_ref().and_then(Envelope::sort) {
                // Answers come where they were asked for.
                Some(Sort::Request | Sort::Notification) => {
                    let Some(message) = message else { continue };
                    let text = ids::outward(&event.data, &message, session.generation);
                    if relay.output().send(text).await.is_err() {
                        return came;
                    }
                }
                Some(Sort::Response) => {
                    tracing::debug!("the server answered what was not asked");
                }
                None => {
                    tracing::warn!("the server sent what is no message; it was not passed on");
                }
            }
        }
        if is_small.is_err() {
            tracing::warn!(
                "the server sent a message of more than {LONGEST} bytes; it was not passed on"
            );
            return came;
        }
    }
    came
}

/// A refusal. `false`: the stream is not to be had, or another has taken its place.
async fn go_on(
    relay: &Arc<Relay>,
    session: &Snapshot,
    response: http::Response<Incoming>,
    resume: &mut Resume,
) -> bool {
    let status = response.status();
    let headers = response.headers().clone();
    let excerpt = excerpt(response).await;
    match status {
        // It offers none.
        StatusCode::METHOD_NOT_ALLOWED => false,
        _ if session.id.is_some() && status == StatusCode::NOT_FOUND => renew(relay, session).await,
        // The event is no longer kept, it may be: from now on, then.
        StatusCode::BAD_REQUEST if resume.after.take().is_some() => true,
        _ if session.id.is_some() && is_over(status, &excerpt) => renew(relay, session).await,
        _ => {
            let failure = relay.refused(status, &headers, &excerpt);
            tracing::warn!("messages that the server sends unasked will not be heard: {failure}");
            false
        }
    }
}

/// Has the session opened again. `true`: it could not be.
async fn renew(relay: &Arc<Relay>, session: &Snapshot) -> bool {
    let (relay, generation) = (Arc::clone(relay), session.generation);
    // By another task: the renewed session's stream takes the place of this one, which ends it.
    let renewal = tokio::spawn(async move { relay.renew(generation).await });
    match renewal.await {
        Ok(Err(failure)) => {
            tracing::warn!("{failure}");
            true
        }
        Ok(Ok(())) | Err(_) => false,
    }
}

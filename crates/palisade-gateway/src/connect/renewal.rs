//! A session that the server has forgotten is opened again, by what the client has said before
//! (2025-11-25, "Session Management": 404 means to begin anew). The client hears nothing of it.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::answer::{self, Content, agreed, drain, excerpt, is_message, kind_of};
use super::events::Events;
use super::failure::Failure;
use super::post::{Post, SESSION_ID};
use super::relay::Relay;
use super::session::{Memory, Snapshot};
use super::{LONGEST, OPENING};
use crate::upstream::stdio::envelope::{Edit, Envelope, Sort, edited};

/// How long each of the other messages may take.
const EACH: Duration = Duration::from_secs(10);

impl Relay {
    /// Opens the session again, unless somebody has since `lost` was the one.
    pub(super) async fn renew(self: &Arc<Self>, lost: u64) -> Result<(), Failure> {
        let _one_at_a_time = self.session.renewing.lock().await;
        let Some(now) = self.session.current() else {
            return Err(cannot("it was closed meanwhile"));
        };
        if now.generation != lost {
            return Ok(());
        }
        let memory = self.session.memory();
        let (named, revision) = match timeout(OPENING, self.open_again(&memory)).await {
            Ok(opened) => opened?,
            Err(_) => return Err(self.silent(OPENING)),
        };
        if revision != now.revision {
            return Err(cannot(&format!(
                "it speaks {revision} now, and the client has agreed on {}",
                now.revision
            )));
        }
        let Some(session) = self.session.reopen(named) else {
            return Err(cannot("it was closed meanwhile"));
        };
        self.tell_again(&session, memory).await;
        tracing::info!("the server had forgotten the session; it has been opened again");
        Ok(())
    }

    async fn open_again(
        self: &Arc<Self>,
        memory: &Memory,
    ) -> Result<(Option<HeaderValue>, String), Failure> {
        let Some(text) = readdressed(&memory.opening, "initialize") else {
            return Err(cannot("the client never opened one"));
        };
        let response = self.say(text.clone(), None, OPENING).await;
        let response = response.map_err(|broken| self.broken(&broken))?;
        let status = response.status();
        let headers = response.headers().clone();
        if !status.is_success() {
            let excerpt = excerpt(response).await;
            return Err(self.refused(status, &headers, &excerpt));
        }
        let answer = answer_to(response, &id("initialize")).await?;
        let result = Envelope::read(&answer).and_then(|answer| answer.result);
        let Some(revision) = result.and_then(agreed) else {
            return Err(cannot("it refused the client's `initialize`"));
        };
        Ok((headers.get(SESSION_ID).cloned(), revision))
    }

    /// What the client has said since its handshake.
    async fn tell_again(self: &Arc<Self>, session: &Snapshot, memory: Memory) {
        if memory.initialized {
            let text = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
            match self
                .say(Bytes::from_static(text), Some(session), EACH)
                .await
            {
                Ok(response) => drain(response),
                Err(broken) => tracing::warn!("{}", self.broken(&broken)),
            }
            let _ = timeout(Duration::from_secs(1), self.stand()).await;
        }
        let subscriptions = memory.subscriptions.into_values();
        for (number, text) in memory.level.into_iter().chain(subscriptions).enumerate() {
            let what = number.to_string();
            let Some(text) = readdressed(&text, &what) else {
                continue;
            };
            let said = async {
                let response = self.say(text, Some(session), EACH).await.ok()?;
                answer_to(response, &id(&what)).await.ok()
            };
            let answer = timeout(EACH, said).await.ok().flatten();
            let answer = answer.as_deref().and_then(Envelope::read);
            if answer.is_none_or(|answer| answer.result.is_none()) {
                tracing::warn!(
                    "the renewed session was not told all that the client had said: some notifications may be missing"
                );
            }
        }
    }
}

impl Relay {
    /// Lists the tools, to learn what they want in header fields. `false`: they are not to be had.
    pub(super) async fn learn(&self, call: &Post) -> bool {
        const MOST_PAGES: usize = 20;
        let id = id("tools");
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let Some(list) = call.list_tools(&id, cursor.as_deref()) else {
                return false;
            };
            let listed = async {
                let response = self.post(&list, None).await.ok()?;
                if !response.status().is_success() {
                    drain(response);
                    return None;
                }
                answer_to(response, &id).await.ok()
            };
            let Some(answer) = timeout(EACH, listed).await.ok().flatten() else {
                return false;
            };
            let Some(result) = Envelope::read(&answer).and_then(|answer| answer.result) else {
                return false;
            };
            let mirror = self.mirror.lock();
            mirror
                .unwrap_or_else(PoisonError::into_inner)
                .learn(result.get());
            cursor = next_page(result.get());
            if cursor.is_none() {
                break;
            }
        }
        true
    }
}

fn next_page(result: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Page {
        next_cursor: Option<String>,
    }
    serde_json::from_str::<Page>(result).ok()?.next_cursor
}

/// The id of a request of ours, as JSON.
fn id(what: &str) -> String {
    format!("\"palisade-renewal-{what}\"")
}

/// A request of the client, under an id of ours.
fn readdressed(text: &[u8], what: &str) -> Option<Bytes> {
    let raw = Envelope::read(text)?.id?;
    let edit = Edit::replace(text, raw, id(what).into_bytes());
    Some(edited(text, vec![edit]).into())
}

/// The response with this id; what else comes with it is for nobody.
async fn answer_to(response: Response<Incoming>, id: &str) -> Result<Vec<u8>, Failure> {
    let is_it = |text: &[u8]| {
        Envelope::read(text).is_some_and(|message| {
            message.sort() == Some(Sort::Response)
                && message.id.is_some_and(|found| found.get() == id)
        })
    };
    match kind_of(response.headers()) {
        Content::Json => {
            let body = Limited::new(response.into_body(), LONGEST).collect().await;
            let text = body.map_err(|error| cannot(&error.to_string()))?.to_bytes();
            if is_it(&text) {
                return Ok(text.to_vec());
            }
        }
        Content::Events => {
            let mut body = response.into_body();
            let mut events = Events::new(LONGEST);
            let mut found = Vec::new();
            while let Some(Ok(frame)) = body.frame().await {
                let bytes = frame.into_data().unwrap_or_default();
                events
                    .push(&bytes, &mut found)
                    .map_err(|_| answer::too_large())?;
                for event in found.drain(..) {
                    if is_message(&event) && is_it(&event.data) {
                        return Ok(event.data);
                    }
                }
            }
        }
        Content::Other => drain(response),
    }
    Err(cannot("it gave no answer to `initialize`"))
}

fn cannot(cause: &str) -> Failure {
    Failure::new(
        "connect.session",
        502,
        format!("the server has forgotten the session, and it could not be opened again: {cause}"),
        "restart the client",
    )
}

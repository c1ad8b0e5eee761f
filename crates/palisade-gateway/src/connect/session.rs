//! The session that the client's `initialize` opened, and what it takes to open it again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::HeaderValue;
use tokio::task::AbortHandle;

/// A session as a message needs it.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    /// How many there were before.
    pub(super) generation: u64,
    /// What the server named it; some name none.
    pub(super) id: Option<HeaderValue>,
    /// As the handshake agreed.
    pub(super) revision: String,
}

/// The session, over all its renewals.
#[derive(Debug, Default)]
pub(super) struct Session {
    state: Mutex<State>,
    /// Held by whoever renews it.
    pub(super) renewing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    now: Option<Snapshot>,
    opened: u64,
    memory: Memory,
    standing: Option<AbortHandle>,
}

/// What the client has said that a new session has to be told.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// Its `initialize`.
    pub(super) opening: Bytes,
    /// Whether it has said `notifications/initialized`.
    pub(super) initialized: bool,
    /// Its last `logging/setLevel`.
    pub(super) level: Option<Bytes>,
    /// Its `resources/subscribe`, by URI.
    pub(super) subscriptions: BTreeMap<String, Bytes>,
}

/// Subscriptions that are renewed.
const MOST_SUBSCRIPTIONS: usize = 256;

impl Session {
    pub(super) fn current(&self) -> Option<Snapshot> {
        self.lock().now.clone()
    }

    /// A handshake of the client went well. Yields the session before, which nobody needs any more.
    pub(super) fn open(
        &self,
        opening: Bytes,
        id: Option<HeaderValue>,
        revision: String,
    ) -> Option<Snapshot> {
        let mut state = self.lock();
        state.memory = Memory {
            opening,
            ..Memory::default()
        };
        state.replace(id, revision)
    }

    /// The same handshake went well again.
    pub(super) fn reopen(&self, id: Option<HeaderValue>) -> Option<Snapshot> {
        let mut state = self.lock();
        let revision = state.now.as_ref().map(|now| now.revision.clone())?;
        state.replace(id, revision);
        state.now.clone()
    }

    /// Ends it: there is none any more.
    pub(super) fn close(&self) -> Option<Snapshot> {
        let mut state = self.lock();
        if let Some(standing) = state.standing.take() {
            standing.abort();
        }
        state.now.take()
    }

    pub(super) fn memory(&self) -> Memory {
        self.lock().memory.clone()
    }

    /// Keeps what a new session has to be told.
    pub(super) fn remember(&self, method: &str, text: &Bytes) {
        let mut state = self.lock();
        let memory = &mut state.memory;
        match method {
            "notifications/initialized" => memory.initialized = true,
            "logging/setLevel" => memory.level = Some(text.clone()),
            "resources/subscribe" => {
                if let Some(uri) = uri(text)
                    && memory.subscriptions.len() < MOST_SUBSCRIPTIONS
                {
                    memory.subscriptions.insert(uri, text.clone());
                }
            }
            "resources/unsubscribe" => {
                if let Some(uri) = uri(text) {
                    memory.subscriptions.remove(&uri);
                }
            }
            _ => {}
        }
    }

    /// The task of its standing stream, in place of the one before.
    pub(super) fn stands(&self, task: AbortHandle) {
        if let Some(before) = self.lock().standing.replace(task) {
            before.abort();
        }
    }

    pub(super) fn stop_standing(&self) {
        if let Some(standing) = self.lock().standing.take() {
            standing.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn replace(&mut self, id: Option<HeaderValue>, revision: String) -> Option<Snapshot> {
        let generation = self.opened;
        self.opened += 1;
        self.now.replace(Snapshot {
            generation,
            id,
            revision,
        })
    }
}

fn uri(text: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Subscribe {
        params: Params,
    }
    #[derive(serde::Deserialize)]
    struct Params {
        uri: String,
    }
    let found: Subscribe = serde_json::from_slice(text).ok()?;
    Some(found.params.uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    // REQ: U-2
    #[test]
    fn what_a_new_session_is_told() {
        let session = Session::default();
        assert!(session.current().is_none() && session.reopen(None).is_none());
        assert!(
            session
                .open(bytes("{}"), None, "2025-11-25".to_owned())
                .is_none()
        );
        session.remember("notifications/initialized", &bytes("{}"));
        session.remember("logging/setLevel", &bytes("1"));
        session.remember("logging/setLevel", &bytes("2"));
        let one = bytes(r#"{"params":{"uri":"a://1"}}"#);
        let two = bytes(r#"{"params":{"uri":"a://2"}}"#);
        session.remember("resources/subscribe", &one);
        session.remember("resources/subscribe", &two);
        session.remember("resources/subscribe", &two);
        session.remember("resources/unsubscribe", &one);
        session.remember("resources/subscribe", &bytes("odd"));
        let memory = session.memory();
        assert!(memory.initialized);
        assert_eq!(memory.level.as_deref(), Some(&b"2"[..]));
        assert_eq!(
            memory.subscriptions.into_keys().collect::<Vec<_>>(),
            ["a://2"]
        );
        let renewed = session.reopen(Some(HeaderValue::from_static("b"))).unwrap();
        assert_eq!(
            (renewed.generation, renewed.revision.as_str()),
            (1, "2025-11-25")
        );
        // Another handshake of the client begins anew.
        let before = session.open(bytes("{}"), None, "2025-06-18".to_owned());
        assert_eq!(before.unwrap().generation, 1);
        assert!(!session.memory().initialized);
        assert_eq!(session.close().unwrap().generation, 2);
        assert!(session.current().is_none());
    }
}

//! The start of a shared child: what it speaks, and its one opening.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use palisade::{Reason, Rejection};
use tokio::time::{Instant, timeout};

use super::super::bridge::{Scope, ask};
use super::super::envelope::Envelope;
use super::super::mailbox::Mailbox;
use super::super::process::Process;
use super::super::shim::{self, Opened};
use super::{Pooled, Shared};

/// How long a child may take to start and to say that it does not know `server/discover`. Some never
/// do.
const PROBE: Duration = Duration::from_secs(20);

/// How long a child may take to make room for the next; longer than any takes to be ended.
const ENDING: Duration = Duration::from_secs(7);

/// What a child says to `server/discover`.
enum Probed {
    Modern,
    Older,
    Silent,
}

const ERA_MODERN: u8 = 1;
const ERA_OLDER: u8 = 2;

impl Shared {
    /// A child that has answered: to `opening`, or to the probe.
    pub(super) async fn start(&self, opening: Option<Bytes>) -> Result<Pooled, Rejection> {
        let mixed = self.scope == Scope::Shared;
        let deadline = Instant::now() + self.launcher.start_timeout;
        let handshake = opening.is_some();
        let mut process = self.launcher.start(mixed, Duration::ZERO).await?;
        let known = self.era.load(Ordering::Relaxed);
        // What answers the probe with an error knows no better; silence may only mean that it is slow.
        let mut is_older = true;
        let mut slow = None;
        if !handshake && known != ERA_OLDER {
            let patience = if known == ERA_MODERN {
                None
            } else {
                Some(PROBE)
            };
            match self.probe(&process, patience, deadline).await {
                Probed::Modern => {
                    self.era.store(ERA_MODERN, Ordering::Relaxed);
                    self.launcher.succeeded();
                    return Ok(Pooled {
                        process: Arc::new(process),
                        opened: None,
                    });
                }
                Probed::Older if process.link.ended().is_none() => {}
                // It ended at a message that it does not know, or the message may still be its
                // first, by which some decide what they speak: the next begins with the other.
                probed => {
                    is_older = matches!(probed, Probed::Older);
                    // One that is slow may be fetching its parts, which the next one needs too: it
                    // goes on with that, if there is room for both.
                    match self.launcher.start(mixed, Duration::ZERO).await {
                        Ok(next) => slow = Some(std::mem::replace(&mut process, next)),
                        Err(_) => {
                            drop(process);
                            process = self.launcher.start(mixed, ENDING).await?;
                        }
                    }
                }
            }
        }
        // Where callers share it, nobody knows whom it would ask.
        let own = if mixed {
            shim::INITIALIZE
        } else {
            shim::INITIALIZE_TO_BE_ASKED
        };
        let opening = opening.unwrap_or_else(|| Bytes::from_static(own.as_bytes()));
        let opened = self.open(&process, &opening, deadline).await?;
        drop(slow);
        if !handshake && is_older {
            self.era.store(ERA_OLDER, Ordering::Relaxed);
        }
        if let Some(version) = opened.version() {
            self.shown.saw_version(&version);
        }
        self.launcher.succeeded();
        Ok(Pooled {
            process: Arc::new(process),
            opened: Some(opened),
        })
    }

    /// What the child answers to `server/discover`.
    async fn probe(
        &self,
        process: &Process,
        patience: Option<Duration>,
        deadline: Instant,
    ) -> Probed {
        let text = shim::DISCOVER.as_bytes();
        let Some(message) = Envelope::read(text) else {
            return Probed::Older;
        };
        let mailbox = Mailbox::new(false);
        let answer = ask(&process.link, &mailbox, text, &message);
        let left = deadline.saturating_duration_since(Instant::now());
        // Enough has to be left for another child to be opened.
        let patience = patience.map_or(left, |patience| patience.min(left / 2));
        match timeout(patience, answer).await {
            Err(_) => Probed::Silent,
            Ok(answer) => {
                let is_result = |answer: Bytes| {
                    Envelope::read(&answer).is_some_and(|answer| answer.result.is_some())
                };
                if answer.is_some_and(is_result) {
                    Probed::Modern
                } else {
                    Probed::Older
                }
            }
        }
    }

    /// Opens the child's one session.
    async fn open(
        &self,
        process: &Process,
        opening: &[u8],
        deadline: Instant,
    ) -> Result<Opened, Rejection> {
        let mailbox = Mailbox::new(false);
        let Some(message) = Envelope::read(opening) else {
            return Err(Rejection::new(Reason::Internal));
        };
        let patience = deadline.saturating_duration_since(Instant::now());
        let answer = ask(&process.link, &mailbox, opening, &message);
        let answer = match timeout(patience, answer).await {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
                return Err(self.launcher.failed(process.last_words()));
            }
            Err(_) => {
                let waited = self.launcher.start_timeout;
                let cause = format!("no answer to its first message within {waited:?}");
                return Err(self
                    .launcher
                    .failed(cause)
                    .with_remedy("raise `start_timeout` of the server"));
            }
        };
        let Some(opened) = Opened::read(&answer) else {
            return Err(self.launcher.failed("it refused to be initialized"));
        };
        let _ = process.link.say(shim::INITIALIZED);
        process.link.is_open();
        Ok(opened)
    }
}

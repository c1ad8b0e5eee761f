//! Starts children of one server, within its bounds.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use http::header::RETRY_AFTER;
use palisade::{Reason, Rejection};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout};

use super::host::Host;
use super::process::{self, CannotStart, Process, Spec};
use super::starts::Starts;

/// Starts children of one server.
#[derive(Debug)]
pub(super) struct Launcher {
    spec: Arc<Spec>,
    host: Arc<Host>,
    places: Arc<Semaphore>,
    starts: Mutex<Starts>,
    /// From its start to the answer to its first message.
    pub(super) start_timeout: Duration,
}

impl Launcher {
    pub(super) fn new(spec: Spec, host: Arc<Host>, most: usize, start_timeout: Duration) -> Self {
        Self {
            spec: Arc::new(spec),
            host,
            places: Arc::new(Semaphore::new(most)),
            starts: Mutex::default(),
            start_timeout,
        }
    }

    pub(super) fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// A child that has been started; whether it works is yet to be seen. Where every place is
    /// taken, one is waited for as long as `patience`.
    pub(super) async fn start(
        &self,
        mixed: bool,
        patience: Duration,
    ) -> Result<Process, Rejection> {
        if let Some(wait) = self.starts().wait(Instant::now()) {
            return Err(
                refusal("it failed a moment ago and is not started again yet")
                    .with_header(RETRY_AFTER, seconds(wait)),
            );
        }
        let permit = Arc::clone(&self.places).acquire_owned();
        let Ok(Ok(permit)) = timeout(patience, permit).await else {
            return Err(Rejection::new(Reason::ChildLimit)
                .with_header(RETRY_AFTER, HeaderValue::from_static("10"))
                .with_detail("every place for a child is taken")
                .with_remedy("raise `sessions` of the server, or lower `session_idle`"));
        };
        let Some(place) = self.host.place() else {
            return Err(refusal("the gateway ends"));
        };
        let spec = Arc::clone(&self.spec);
        let (sender, receiver) = oneshot::channel();
        self.host.spawn(async move {
            // Whoever asked may be gone: then the child is dropped here, and so ended.
            let _ = sender.send(process::start(&spec, mixed, place, permit));
        });
        match receiver.await {
            Ok(Ok(process)) => Ok(process),
            Ok(Err(CannotStart { cause, remedy })) => Err(self.failed(cause).with_remedy(remedy)),
            Err(_) => Err(refusal("the gateway ends")),
        }
    }

    /// Notes a child that did not come to its first answer.
    pub(super) fn failed(&self, cause: impl fmt::Display) -> Rejection {
        let mut starts = self.starts();
        starts.failed(Instant::now());
        let wait = starts.wait(Instant::now()).unwrap_or_default();
        drop(starts);
        let rejection = refusal(cause).with_header(RETRY_AFTER, seconds(wait));
        tracing::warn!(server = %self.spec.name, cause = rejection.detail(), "no child");
        rejection.with_remedy("run the command of the server by hand and see what it says")
    }

    /// Notes a child that works.
    pub(super) fn succeeded(&self) {
        self.starts().succeeded();
    }

    fn starts(&self) -> MutexGuard<'_, Starts> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refusal(cause: impl fmt::Display) -> Rejection {
    Rejection::new(Reason::ChildStart).with_detail(cause)
}

fn seconds(wait: Duration) -> HeaderValue {
    HeaderValue::from(wait.as_secs().max(1))
}

//! What is run once, at start, before a server's command is: it fetches the package that the
//! command then finds. It has a way out of its own, so that the command need not reach where
//! packages come from.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::host::Host;
use super::process::{self, Spec};
use super::stderr::{self, LastWords};
use super::underway::WayOut;

/// What a command needs could not be fetched.
#[derive(Debug, thiserror::Error)]
#[error("`install` of server `{server}` failed: {cause}; {remedy}")]
pub struct InstallError {
    server: String,
    cause: String,
    remedy: &'static str,
}

/// How long the last words may take after the end.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Runs it to its end, on the thread of the children. Blocks.
///
/// # Errors
/// It cannot be started, does not end in time, or ends with another code than 0.
pub fn install(host: &Host, server: &str, spec: Spec, limit: Duration) -> Result<(), InstallError> {
    let (sender, receiver) = oneshot::channel();
    let began = Instant::now();
    tracing::info!(server, "install: {} starts", spec.program.display());
    host.spawn(async move {
        // Whoever asked waits below.
        let _ = sender.send(run(spec, limit).await);
    });
    let ended = receiver.blocking_recv();
    let ended = ended.unwrap_or_else(|_| Err(("the gateway ends".to_owned(), "start it again")));
    let took = began.elapsed().as_secs_f32();
    tracing::info!(
        server,
        ok = ended.is_ok(),
        "install: ended after {took:.1} s"
    );
    ended.map_err(|(cause, remedy)| InstallError {
        server: server.to_owned(),
        cause,
        remedy,
    })
}

/// A cause and its remedy.
type Failure = (String, &'static str);

async fn run(spec: Spec, limit: Duration) -> Result<(), Failure> {
    process::check(&spec).map_err(|error| (error.cause, error.remedy))?;
    let out = spec.way_out.as_ref().map(WayOut::child);
    let started = process::walled(out.as_ref(), |wall| {
        process::keeper(&spec, out.as_ref(), wall).spawn()
    });
    let mut child = started.map_err(|error| {
        let cause = format!("the system refused: {error}");
        (cause, "look at the limits of processes and open files")
    })?;
    drop(child.stdin.take());
    let pid = child.id();
    let tag: Arc<str> = format!("{}[{}]", spec.name, pid.unwrap_or_default()).into();
    let said = Said::log(&tag, child.stdout.take());
    let complained = Said::log(&tag, child.stderr.take());
    let Ok(status) = timeout(limit, child.wait()).await else {
        process::end(&mut child, pid).await;
        let cause = format!("it did not end within {} s", limit.as_secs());
        return Err((cause, "raise `install.timeout`"));
    };
    let status =
        status.map_err(|error| (format!("it is lost: {error}"), "start Palisade again"))?;
    if status.success() {
        return Ok(());
    }
    let words = complained.last().await.or(said.last().await);
    let words = words.map_or_else(String::new, |words| format!("; it last wrote: {words}"));
    Err((
        format!("it ended with {status}{words}"),
        "the audit log says what it was refused, under the server's name with `.install`; name those hosts in `install.egress`, or correct `install.command`",
    ))
}

/// What it writes to one stream; all of it goes to the log.
struct Said {
    words: LastWords,
    logging: Option<JoinHandle<()>>,
}

impl Said {
    fn log(tag: &Arc<str>, pipe: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        let words = LastWords::default();
        let logging = pipe.map(|pipe| {
            let log = stderr::log(pipe, tag.to_string(), words.clone());
            tokio::spawn(log)
        });
        Self { words, logging }
    }

    async fn last(self) -> Option<String> {
        if let Some(logging) = self.logging {
            let _ = timeout(LAST_WORDS, logging).await;
        }
        self.words.get()
    }
}

//! A Streamable HTTP server for a client that speaks only stdio: `palisade connect URL`.
//!
//! ```text
//! stdin ─ Input (thread) ─► Relay ─► Call: one POST and what it is answered ─► Output (thread) ─ stdout
//!                             │        └ Post: the message's era, and the headers that go with it
//!                             ├ Session: the handshake, its renewal after a 404
//!                             └ Standing: the GET stream of a session
//! ```
//!
//! Both eras on one pair of streams, told apart by the message as a server does: one that names its
//! revision in `_meta` stands alone (2026-07-28), every other belongs to the session that
//! `initialize` opened (2025-11-25, "Transports"). What a session needs beyond the messages, its id,
//! its standing stream, resumption, its renewal and its end, is made here; the client hears of none
//! of it. Messages pass byte for byte, but for line ends.

mod answer;
mod backoff;
mod call;
mod challenge;
mod events;
mod failure;
mod ids;
mod input;
mod mirror;
mod output;
mod post;
mod relay;
mod renewal;
mod session;
mod standing;
mod target;
mod token;
mod transport;
pub(crate) mod trust;

use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use input::Incoming;
use output::Output;
use relay::Relay;
use target::Target;
use token::Token;
use transport::Transport;

pub use target::BadUrl;
pub use token::{BadToken, TokenSource};
pub use trust::BadAuthority;

/// What a connection is made of.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's URL: `https`, or `http` to this machine.
    pub url: String,
    /// Where the bearer token comes from.
    pub token: TokenSource,
    /// Certificates in PEM form, trusted beside the system's own authorities.
    pub ca: Option<PathBuf>,
    /// Plain `http` to other machines is accepted; a token is not sent there all the same.
    pub accept_plaintext: bool,
}

/// Why there is nothing to connect with.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The authorities' file.
    #[error(transparent)]
    Authority(#[from] BadAuthority),
    /// A thread or an event queue that the system does not give.
    #[error("cannot start: {0}; end other programs, or raise the limit on processes")]
    System(#[from] std::io::Error),
    /// The token.
    #[error(transparent)]
    Token(#[from] BadToken),
    /// The URL.
    #[error(transparent)]
    Url(#[from] BadUrl),
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client closed its end, or nothing was under way when a signal came.
    Done,
    /// A signal came while calls were under way; they were given up.
    Interrupted,
    /// The client closed its end, and the server was never reached.
    Unreached,
}

/// Bytes of one message, in either direction; what the bridge to a command takes as well.
const LONGEST: usize = 16 * 1024 * 1024;

/// How long calls may go on after the client has closed its end.
const FINISH: Duration = Duration::from_secs(10);

/// How long the client is not listened to while one of its notifications is on its way: what comes
/// behind it must not overtake it.
const IN_TURN: Duration = Duration::from_secs(10);

/// The same for `initialize`, which may start a command.
const OPENING: Duration = Duration::from_secs(120);

/// Carries messages until `input` ends, `output` is closed, or `stop` says so.
///
/// `output` gets messages and nothing else, one in each line.
///
/// # Errors
/// Where the options cannot be used. Once it runs, what goes wrong is said to the client, in answer
/// to the message that met it, and in the log.
pub fn run(
    options: &Options,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
    stop: mpsc::Receiver<()>,
) -> Result<Ended, SetupError> {
    let token = Token::load(&options.token)?;
    let target = Target::read(&options.url, options.accept_plaintext, token.is_some())?;
    let tls = trust::client_config(options.ca.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let (output, written) = Output::start(output)?;
        let transport = Transport::new(Arc::new(target), Arc::new(tls));
        let relay = Relay::new(transport, token, output);
        let ended = serve(&relay, input::follow(input, LONGEST)?, stop).await;
        drop(relay);
        written.wait().await;
        Ok::<_, SetupError>(ended)
    });
    // Whoever still hangs in a read of a stream that is never closed is left behind.
    runtime.shutdown_background();
    ended
}

async fn serve(
    relay: &Arc<Relay>,
    mut input: mpsc::Receiver<Incoming>,
    mut stop: mpsc::Receiver<()>,
) -> Ended {
    let interrupted = loop {
        let incoming = tokio::select! {
            _ = stop.recv() => break true,
            () = relay.output().closed() => break false,
            incoming = input.recv() => incoming,
        };
        let gate = match incoming {
            None => break false,
            Some(Incoming::TooLong) => {
                relay.too_long(LONGEST).await;
                continue;
            }
            Some(Incoming::Line(line)) => Arc::clone(relay).take(line).await,
        };
        let Some((gate, patience)) = gate else {
            continue;
        };
        tokio::select! {
            _ = stop.recv() => break true,
            () = relay.output().closed() => break false,
            // Who takes longer is overtaken.
            _ = timeout(patience, gate) => {}
        }
    };
    relay.stop_listening();
    let finished = !interrupted && {
        tokio::select! {
            _ = stop.recv() => false,
            () = relay.output().closed() => true,
            finished = timeout(FINISH, relay.idle()) => finished.is_ok(),
        }
    };
    let was_busy = relay.give_up().await;
    relay.end_session().await;
    if interrupted && was_busy {
        Ended::Interrupted
    } else if !relay.was_reached() && relay.was_asked() {
        Ended::Unreached
    } else {
        if !finished && was_busy {
            tracing::warn!(
                "calls were still under way {FINISH:?} after standard input ended; they were given up"
            );
        }
        Ended::Done
    }
}

//! One child: started, listened to, ended, and nothing left of it.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::timeout;

use super::host::Place;
use super::input::{Output, input};
use super::keeper::{KEEP, NO_JAIL, SELF};
use super::line::{Lines, TooLong};
use super::link::Link;
use super::stderr::{self, LastWords};
use super::underway::{ChildOut, WayOut};

/// What is run, and how.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The server's name, for the log.
    pub name: Arc<str>,
    /// Looked for in the `PATH` of `environment` where it has no slash.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// All of its environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs; `None`: where the gateway does.
    pub directory: Option<PathBuf>,
    /// Its way out, and how it is kept to it.
    pub way_out: Option<WayOut>,
}

/// The longest line that a child may write, in bytes.
const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// Lines in a row that are no messages: whoever writes more does not speak MCP.
const MOST_GARBAGE: u32 = 200;

/// How long a child may take to end after its standard input has been closed.
const AFTER_EOF: Duration = Duration::from_secs(2);

/// How long it may take after the keeper has been told to end it: a second to KILL, and some more.
const AFTER_TERM: Duration = Duration::from_secs(3);

/// A child that runs. Dropped, it is ended.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) link: Arc<Link>,
    last_words: LastWords,
    /// Dropped: the child is to end.
    _end: watch::Sender<()>,
}

/// Why a child could not be started.
#[derive(Debug)]
pub(super) struct CannotStart {
    pub(super) cause: String,
    pub(super) remedy: &'static str,
}

impl fmt::Display for CannotStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl Process {
    /// Why it is no more, and what it said last.
    pub(super) fn last_words(&self) -> String {
        let ended = self.link.ended();
        let ended = ended.as_deref().unwrap_or("it still runs");
        match self.last_words.get() {
            Some(line) => format!("{ended}; it last wrote: {line}"),
            None => ended.to_owned(),
        }
    }
}

/// Starts a child; must run on the host's thread. `mixed`: see [`Link::new`].
pub(super) fn start(
    spec: &Arc<Spec>,
    mixed: bool,
    place: Place,
    permit: OwnedSemaphorePermit,
) -> Result<Process, CannotStart> {
    check(spec)?;
    let out = spec.way_out.as_ref().map(WayOut::child);
    let refused = |error| CannotStart {
        cause: format!("the system refused: {error}"),
        remedy: "look at the limits of processes and open files",
    };
    let mut child = walled(out.as_ref(), |wall| {
        keeper(spec, out.as_ref(), wall).spawn()
    })
    .map_err(refused)?;
    let (sender, output) = input();
    let link = Link::new(sender, mixed);
    if let Some(out) = &out {
        out.answers(&link);
    }
    let last_words = LastWords::default();
    let (end, asked) = watch::channel(());
    if let Some(pipe) = child.stderr.take() {
        let tag = format!("{}[{}]", spec.name, child.id().unwrap_or_default());
        tokio::spawn(stderr::log(pipe, tag, last_words.clone()));
    }
    tracing::info!(server = %spec.name, pid = child.id(), "child started");
    tokio::spawn(tend(
        Arc::clone(spec),
        child,
        Arc::clone(&link),
        output,
        asked,
        place,
        (permit, out),
    ));
    Ok(Process {
        link,
        last_words,
        _end: end,
    })
}

/// Starts a keeper, which is given its argument, with the wall of its way out.
pub(super) fn walled<T>(
    out: Option<&ChildOut>,
    start: impl FnOnce(&str) -> io::Result<T>,
) -> io::Result<T> {
    let Some((out, wall)) = out.and_then(|out| Some((out, out.jail().prepare().transpose()?)))
    else {
        return start(NO_JAIL);
    };
    let wall = wall?;
    let started = wall.start(start)?;
    wall.guard(out.runtime())?;
    Ok(started)
}

/// The command that starts the keeper.
pub(super) fn keeper(spec: &Spec, out: Option<&ChildOut>, wall: &str) -> Command {
    let environment = spec.environment.iter();
    let environment = environment.filter(|(name, _)| out.is_none() || !ChildOut::replaces(name));
    let mut command = Command::new(SELF);
    command
        .arg0("palisade")
        .arg(KEEP)
        .arg(std::process::id().to_string())
        .arg(wall)
        .arg(&spec.program)
        .args(&spec.arguments)
        .env_clear()
        .envs(environment.map(|(name, value)| (name, value)))
        .envs(out.iter().flat_map(|out| out.variables()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(directory) = &spec.directory {
        command.current_dir(directory);
    }
    command
}

/// What would fail behind two more processes is found out here, where it can be said well.
pub(super) fn check(spec: &Spec) -> Result<(), CannotStart> {
    if let Some(directory) = &spec.directory
        && !directory.is_dir()
    {
        return Err(CannotStart {
            cause: format!("there is no directory {}", directory.display()),
            remedy: "correct `directory` of the server",
        });
    }
    let program = Path::new(&spec.program);
    if spec.program.as_encoded_bytes().contains(&b'/') {
        let directory = spec.directory.as_deref().unwrap_or_else(|| Path::new(""));
        let at = directory.join(program);
        let cause = match at.metadata() {
            Ok(metadata) if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 => {
                return Ok(());
            }
            Ok(_) => format!("{} cannot be executed", at.display()),
            Err(error) => format!("there is no program {}: {error}", at.display()),
        };
        return Err(CannotStart {
            cause,
            remedy: "correct `command` of the server",
        });
    }
    let path = spec.environment.iter().find(|(name, _)| name == "PATH");
    let path = path.map(|(_, value)| value.clone()).unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if found {
        return Ok(());
    }
    Err(CannotStart {
        cause: format!(
            "no program {} in PATH={}",
            program.display(),
            path.display()
        ),
        remedy: "install it, or write its whole path in `command` of the server",
    })
}

/// Why a child is ended.
enum Why {
    Asked,
    Exited(io::Result<ExitStatus>),
    Garbage,
    GatewayEnds,
    LineTooLong,
    StdinClosed,
    StdoutClosed,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("its session is over"),
            Self::Exited(Ok(status)) => match status.code() {
                Some(code @ 129..=192) => write!(f, "it was ended by signal {}", code - 128),
                Some(code) => write!(f, "it exited with code {code}"),
                None => write!(f, "its keeper was killed ({status})"),
            },
            Self::Exited(Err(error)) => write!(f, "it is lost: {error}"),
            Self::Garbage => f.write_str("it writes to standard output what is no message"),
            Self::GatewayEnds => f.write_str("the gateway ends"),
            Self::LineTooLong => write!(f, "it wrote a line of more than {LONGEST_LINE} bytes"),
            Self::StdinClosed => f.write_str("it closed its standard input"),
            Self::StdoutClosed => f.write_str("it closed its standard output"),
        }
    }
}

async fn tend(
    spec: Arc<Spec>,
    mut child: Child,
    link: Arc<Link>,
    mut output: Output,
    mut asked: watch::Receiver<()>,
    mut place: Place,
    kept: (OwnedSemaphorePermit, Option<ChildOut>),
) {
    let pid = child.id();
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return;
    };
    let why = {
        let read = read(stdout, &spec, &link);
        tokio::select! {
            why = read => why,
            () = output.write_to(&mut stdin) => Why::StdinClosed,
            status = child.wait() => Why::Exited(status),
            // Nothing is ever sent: an error says that the other end is gone.
            _ = asked.changed() => Why::Asked,
            _ = place.ending.wait_for(|ending| *ending) => Why::GatewayEnds,
        }
    };
    // A pipe that closes is the first one hears of an end.
    let why = match why {
        Why::StdinClosed | Why::StdoutClosed => {
            match timeout(Duration::from_millis(100), child.wait()).await {
                Ok(status) => Why::Exited(status),
                Err(_) => why,
            }
        }
        why => why,
    };
    // Nobody is told of an answer that cannot come only after the child is gone.
    link.end(&why.to_string());
    drop(stdin);
    let how = end(&mut child, pid).await;
    tracing::info!(server = %spec.name, pid, reason = %why, how, "child ended");
    drop((kept, place));
}

/// Ends a child: standard input has been closed, now TERM, now KILL.
pub(super) async fn end(child: &mut Child, pid: Option<u32>) -> &'static str {
    let keeper = pid
        .and_then(|pid| i32::try_from(pid).ok())
        .and_then(Pid::from_raw);
    let how = if timeout(AFTER_EOF, child.wait()).await.is_ok() {
        "by itself"
    } else {
        if let Some(keeper) = keeper {
            let _ = kill_process(keeper, Signal::TERM);
        }
        match timeout(AFTER_TERM, child.wait()).await {
            Ok(_) => "by signal",
            Err(_) => "by force",
        }
    };
    // The group is empty by now, unless somebody killed or stopped the keeper.
    if let Some(keeper) = keeper {
        let _ = kill_process_group(keeper, Signal::KILL);
    }
    let _ = child.wait().await;
    how
}

async fn read(mut pipe: ChildStdout, spec: &Spec, link: &Link) -> Why {
    let mut lines = Lines::new(LONGEST_LINE);
    let mut garbage = 0;
    loop {
        loop {
            match lines.next() {
                Ok(Some(line)) if link.line(&line) => garbage = 0,
                Ok(Some(line)) => {
                    garbage += 1;
                    if garbage == 1 {
                        let shown = stderr::shown(&line);
                        tracing::warn!(server = %spec.name, line = shown, "no message on standard output; logs belong on standard error");
                    }
                    if garbage > MOST_GARBAGE {
                        return Why::Garbage;
                    }
                }
                Ok(None) => break,
                Err(TooLong) => return Why::LineTooLong,
            }
        }
        match pipe.read_buf(lines.room()).await {
            Ok(0) | Err(_) => return Why::StdoutClosed,
            Ok(_) => {}
        }
    }
}

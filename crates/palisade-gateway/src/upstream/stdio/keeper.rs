//! The process that stands between the gateway and a server's command, and leaves nothing behind.
//!
//! ```text
//! gateway ──► keeper ──► launcher, which becomes the command ──► whatever that starts
//! ```
//!
//! Where the server has a jail, the launcher builds it round itself; at level *isolated* it stays
//! as the command's parent, with one more process between them.
//!
//! All of them but the gateway are one process group. The keeper is a *subreaper*
//! (`PR_SET_CHILD_SUBREAPER`): what the command starts and abandons becomes the keeper's own, also
//! what has left the group. When the command ends, the rest is killed. When the gateway ends,
//! however that happens, the keeper sees it (by a pidfd) and ends the command. When the keeper is
//! killed, the kernel kills the command (`PR_SET_PDEATHSIG`, which the launcher asks for before it
//! becomes the command). Messages do not pass through the keeper: the pipes are the command's own.
//!
//! Both are this same binary, started again with an argument that no user types.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use palisade_egress::Level;
use palisade_egress::jail::{self, Passing, Proven};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, getppid, kill_process, kill_process_group,
    pidfd_open, set_child_subreaper, set_parent_process_death_signal, wait,
};
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal as Signals, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

/// The first argument of a keeper.
pub(super) const KEEP: &str = "__keep";

/// The first argument of a launcher.
const LAUNCH: &str = "__launch";

/// In place of a jail's argument: there is none.
pub(super) const NO_JAIL: &str = "-";

/// This binary.
pub(super) const SELF: &str = "/proc/self/exe";

/// From TERM to KILL.
const GRACE: Duration = Duration::from_secs(1);

/// How long what was killed may take to be gone; the kernel needs milliseconds.
const GONE: Duration = Duration::from_millis(500);

/// A shell's exit codes for a command that is not there, or cannot be run.
const NOT_FOUND: u8 = 127;
const CANNOT_RUN: u8 = 126;

/// Runs as keeper or launcher where the arguments say so; `None`: they are a user's.
pub fn run_if_asked(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let arguments: Vec<OsString> = arguments.into_iter().skip(1).collect();
    if let Some(code) = jail::run_if_asked(&arguments) {
        return Some(code);
    }
    let mut arguments = arguments.into_iter();
    let role = arguments.next()?;
    let keeps = role == KEEP;
    if !keeps && role != LAUNCH {
        return None;
    }
    let parent = arguments
        .next()
        .and_then(|pid| Pid::from_raw(pid.to_str()?.parse().ok()?))?;
    let wall = arguments.next()?;
    let command: Vec<OsString> = arguments.collect();
    let result = if keeps {
        keep(parent, &wall, &command)
    } else {
        launch(parent, &wall, &command)
    };
    Some(result.unwrap_or_else(|error| {
        say(&format!("palisade: {error}"));
        ExitCode::from(CANNOT_RUN)
    }))
}

/// Which jail holds on this machine, from `highest` down, as a canary finds that is started as a
/// server's command would be. Blocks for some tenths of a second; `runtime` must be running.
///
/// # Errors
/// Not even an unjailed canary runs.
pub fn prove(highest: Level, runtime: &Handle) -> io::Result<Proven> {
    jail::prove(highest, runtime, &mut |command, wall| {
        Command::new(SELF)
            .arg0("palisade")
            .arg(KEEP)
            .arg(getpid().as_raw_nonzero().to_string())
            .arg(wall.unwrap_or(NO_JAIL))
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
    })
}

/// The keeper has the command's standard error, which the gateway logs.
fn say(line: &str) {
    use std::io::Write as _;
    // Nobody is left to be told when that fails.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Becomes the command, which dies with the keeper, in its jail where it has one.
fn launch(keeper: Pid, wall: &OsStr, command: &[OsString]) -> io::Result<ExitCode> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have died before the line above.
    if getppid() != Some(keeper) {
        return Ok(ExitCode::from(CANNOT_RUN));
    }
    if wall != NO_JAIL {
        return jail::launch(wall.to_str().unwrap_or_default(), command);
    }
    let Some((program, arguments)) = command.split_first() else {
        return Ok(ExitCode::from(CANNOT_RUN));
    };
    let error = Command::new(program).args(arguments).exec();
    say(&format!(
        "palisade: cannot run {}: {error}",
        program.display()
    ));
    Ok(ExitCode::from(match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => CANNOT_RUN,
    }))
}

fn keep(gateway: Pid, wall: &OsStr, command: &[OsString]) -> io::Result<ExitCode> {
    let passing = (wall != NO_JAIL).then(|| Passing::take(wall)).transpose()?;
    let lifeline = pidfd_open(gateway, PidfdFlags::empty())?;
    // It may have died before the line above, and its number may be another's now.
    if getppid() != Some(gateway) {
        return Ok(ExitCode::from(CANNOT_RUN));
    }
    set_child_subreaper(Some(getpid()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // Taken before there is a command to be ended: none of them ends the keeper itself.
        let mut asked = [
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
            signal(SignalKind::hangup())?,
        ];
        let mut changes = signal(SignalKind::child())?;
        let wall = passing.as_ref().map(Passing::argument).transpose()?;
        let child = Command::new(SELF)
            .arg0("palisade")
            .arg(LAUNCH)
            .arg(getpid().as_raw_nonzero().to_string())
            .arg(wall.as_deref().unwrap_or(NO_JAIL))
            .args(command)
            .spawn()?;
        // The supervisor sees by it when the launcher is gone.
        drop(passing);
        let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let child = child.ok_or(io::ErrorKind::InvalidData)?;
        jail::let_go_of_the_pipes()?;
        let orphaned = orphaned(lifeline)?;
        let [terminate, interrupt, hangup] = &mut asked;
        let ended = tokio::select! {
            status = reap(&mut changes, child) => Some(status),
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            _ = hangup.recv() => None,
            _ = orphaned => None,
        };
        let ended = match ended {
            Some(status) => Some(status),
            None => {
                // The whole group, this process too, which has taken the signal.
                let _ = kill_process_group(getpid(), Signal::TERM);
                timeout(GRACE, reap(&mut changes, child)).await.ok()
            }
        };
        sweep().await;
        Ok(exit_code(ended))
    })
}

/// Resolves when the process behind a pidfd is no more.
fn orphaned(lifeline: OwnedFd) -> io::Result<oneshot::Receiver<()>> {
    let (sender, receiver) = oneshot::channel();
    thread::Builder::new()
        .name("lifeline".to_owned())
        .spawn(move || {
            let mut watched = [PollFd::new(&lifeline, PollFlags::IN)];
            while matches!(poll(&mut watched, None), Err(rustix::io::Errno::INTR)) {}
            // It may have been the command that ended first.
            let _ = sender.send(());
        })?;
    Ok(receiver)
}

/// Waits for the end of `child`, and meanwhile takes leave of whatever else ends.
async fn reap(changes: &mut Signals, child: Pid) -> ExitStatus {
    loop {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == child {
                return ExitStatus::from_raw(status.as_raw());
            }
        }
        changes.recv().await;
    }
}

/// Kills everything that is left below this process.
async fn sweep() {
    let until = Instant::now() + GONE;
    loop {
        let below = descendants(getpid());
        for pid in &below {
            let _ = kill_process(*pid, Signal::KILL);
        }
        while matches!(wait(WaitOptions::NOHANG), Ok(Some(_))) {}
        if below.is_empty() || Instant::now() > until {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// Every process that descends from `root`, as the process table says now.
fn descendants(root: Pid) -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let number = |name: &OsStr| name.to_str()?.parse::<i32>().ok();
        let Some(pid) = number(&process.file_name()) else {
            continue;
        };
        if let Some(parent) = fs::read_to_string(process.path().join("stat"))
            .ok()
            .and_then(|stat| parent_of(&stat))
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut open = vec![root.as_raw_nonzero().get()];
    while let Some(parent) = open.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            found.extend(Pid::from_raw(child));
            open.push(child);
        }
    }
    found
}

/// The parent in a line of `/proc/PID/stat`: `pid (name) state ppid …`, where the name may hold
/// anything.
fn parent_of(stat: &str) -> Option<i32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// As a shell tells it: the command's own code, or 128 and the signal's number.
fn exit_code(status: Option<ExitStatus>) -> ExitCode {
    let code = match status {
        Some(status) => status
            .code()
            .or_else(|| status.signal().map(|signal| 128 + signal)),
        None => Some(128 + Signal::KILL.as_raw()),
    };
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_hides_no_parent() {
        for (stat, parent) in [
            ("12 (node) S 7 12 12 0", Some(7)),
            ("12 (a) b) (c) S 7 12", Some(7)),
            ("12 (x\n) R 1 1", Some(1)),
            ("12 node S 7", None),
            ("", None),
        ] {
            assert_eq!(parent_of(stat), parent, "{stat:?}");
        }
    }

    #[test]
    fn only_our_own_arguments_make_a_keeper() {
        for arguments in [
            &["palisade"][..],
            &["palisade", "serve"],
            &["palisade", "__keep"],
            &["palisade", "__keep", "x"],
            &["palisade", "__keep", "0", "-"],
            &["palisade", "__keep", "1"],
            &["palisade", "serve", "__keep", "1"],
        ] {
            let arguments = arguments.iter().map(OsString::from);
            assert!(run_if_asked(arguments).is_none());
        }
    }
}

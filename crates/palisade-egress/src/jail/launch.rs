//! The launcher: builds the wall round itself and becomes the command.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitCode, ExitStatus};

use landlock::{
    AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, Scope,
};
use nix::sys::signal::{SigSet, SigmaskHow, sigprocmask};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_capabilities_secure_bits,
};

use super::control::{self, Built, Setup};
use super::filter::{self, Wall};
use super::{namespace, sys, take};

/// A shell's exit codes for a command that is not there, or cannot be run.
pub(super) const NOT_FOUND: u8 = 127;
pub(super) const CANNOT_RUN: u8 = 126;

/// Runs `command` in the jail that `control` (from
/// [`Prepared::start`](super::Prepared::start)) leads to. At level *supervised* this process becomes the command; at *isolated* it waits for it
/// and gives its code. Must be called before there is another thread.
///
/// # Errors
/// The wall cannot be built: nothing was run.
pub fn launch(control: &str, command: &[OsString]) -> io::Result<ExitCode> {
    let control = take(control.as_ref())?;
    let built = match control::receive::<Setup>(&control)? {
        None => return Err(io::Error::other("the gateway has gone")),
        Some((setup, _)) if setup.isolated => namespace::build(&setup, &control, command),
        Some(_) => confine(Wall::Alone, &control).map(|()| exec(command, Wall::Alone)),
    };
    built.map_err(|error| {
        let told = Built::Failed(error.to_string());
        // The supervisor may have gone, which the caller is told anyway.
        let _ = control::send(&control, &told, &[]);
        io::Error::other(format!("the jail cannot be built: {error}"))
    })
}

/// The last process within a namespace: `CONTROL COMMAND…`.
pub(super) fn inside(arguments: &[OsString]) -> io::Result<ExitCode> {
    let Some((control, command)) = arguments.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let control = take(control)?;
    // The launcher blocked some, for itself.
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    confine(Wall::WithinNamespace, &control)?;
    Ok(exec(command, Wall::WithinNamespace))
}

/// From here on this process and all that it starts are within the wall.
fn confine(wall: Wall, control: &OwnedFd) -> io::Result<()> {
    let step =
        |what: &'static str| move |error: io::Error| io::Error::other(format!("{what}: {error}"));
    drop_capabilities(wall).map_err(step("capabilities"))?;
    nix::sys::prctl::set_no_new_privs()?;
    landlock().map_err(|error| io::Error::other(format!("Landlock: {error}")))?;
    sys::close_others_on_exec().map_err(step("descriptors"))?;
    let program = filter::program(wall)?;
    let listener = sys::install(&program, true).map_err(step("seccomp"))?;
    let listener = listener.ok_or(io::ErrorKind::InvalidData)?;
    control::send(control, &Built::Filter, &[listener.as_fd()])
}

/// Other processes' memory, signals and abstract sockets, where the kernel knows how.
fn landlock() -> Result<(), Box<dyn std::error::Error>> {
    // Any rules about files forbid to move and link them from one directory to another, unless that
    // is allowed in so many words (landlock(7), `LANDLOCK_ACCESS_FS_REFER`).
    let everywhere = PathBeneath::new(PathFd::new("/")?, AccessFs::Refer);
    Ruleset::default()
        .handle_access(AccessFs::MakeBlock)?
        .handle_access(AccessFs::Refer)?
        .scope(Scope::AbstractUnixSocket)?
        .scope(Scope::Signal)?
        .create()?
        .add_rule(everywhere)?
        .restrict_self()?;
    Ok(())
}

/// What a root process may keep: rights over files and users, none over the network, other
/// processes or the machine.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID);

fn drop_capabilities(wall: Wall) -> io::Result<()> {
    clear_ambient_capability_set()?;
    let held = capabilities(None)?;
    let kept = match wall {
        Wall::Alone => held.permitted.intersection(KEPT),
        Wall::WithinNamespace => CapabilitySet::empty(),
    };
    if held.effective.contains(CapabilitySet::SETPCAP) {
        // What exec could give back to root.
        for bit in 0..64 {
            let one = CapabilitySet::from_bits_retain(1 << bit);
            if !kept.contains(one) && remove_capability_from_bounding_set(one).is_err() {
                // The kernel knows no more.
                break;
            }
        }
        if wall == Wall::WithinNamespace {
            let bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
            set_capabilities_secure_bits(bits)?;
        }
    }
    let none = CapabilitySet::empty();
    set_capabilities(
        None,
        CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: none,
        },
    )?;
    Ok(())
}

/// Becomes the command; returns only where that fails.
fn exec(command: &[OsString], wall: Wall) -> ExitCode {
    let Some((program, arguments)) = command.split_first() else {
        return ExitCode::from(CANNOT_RUN);
    };
    let mut command = Command::new(program);
    command.args(arguments);
    if wall == Wall::Alone {
        command.env(OPTIONS, by_tcp(std::env::var_os(OPTIONS)));
    }
    let error = command.exec();
    say(&format!(
        "palisade: cannot run {}: {error}",
        program.display()
    ));
    ExitCode::from(match error.kind() {
        io::ErrorKind::NotFound => NOT_FOUND,
        _ => CANNOT_RUN,
    })
}

/// What glibc and c-ares read beside `/etc/resolv.conf` (resolv.conf(5)).
const OPTIONS: &str = "RES_OPTIONS";

/// Names are to be asked for by TCP: the stand-in for UDP cannot show the server's address, which
/// some resolvers compare.
fn by_tcp(options: Option<OsString>) -> OsString {
    let mut options = options.unwrap_or_default();
    if !options.is_empty() {
        options.push(" ");
    }
    options.push("use-vc");
    options
}

/// Standard error is the command's, which the gateway logs.
pub(super) fn say(line: &str) {
    // Nobody is left to be told when that fails.
    let _ = writeln!(io::stderr(), "{line}");
}

/// As a shell tells it: the command's own code, or 128 and the signal's number.
pub(super) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

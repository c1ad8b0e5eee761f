//! Real MCP servers and the programs that exercise them: what `e2e/setup.sh` installs.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by a panic"
)]

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use e2e::{Palisade, authority};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value as Json;
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

/// How long a server may take until it listens; Node takes its time on a busy machine.
const START: Duration = Duration::from_secs(60);

/// At most two of these tests run at once: the peers measure their waits by the clock, and a
/// machine with two cores that runs five of them makes them wait too long.
static ROOM: Semaphore = Semaphore::const_new(2);

/// Waits for room; held for the whole of a test.
pub(crate) async fn room() -> SemaphorePermit<'static> {
    ROOM.acquire().await.unwrap()
}

/// A real MCP server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `@modelcontextprotocol/server-everything`: revisions up to 2025-11-25.
    Everything,
    /// The same by the HTTP+SSE transport of 2024-11-05.
    EverythingSse,
    /// No MCP server but an OAuth 2.1 authorization server, oidc-provider.
    Idp,
    /// A server of the TypeScript SDK that is a resource server of its own.
    OAuth,
    /// The Python SDK, both eras.
    Python,
    /// The same by HTTP+SSE.
    PythonSse,
    /// The Rust SDK, both eras.
    Rmcp,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Everything => "everything",
            Self::EverythingSse => "everything-sse",
            Self::Idp => "idp",
            Self::OAuth => "oauth",
            Self::Python => "python",
            Self::PythonSse => "python-sse",
            Self::Rmcp => "rmcp",
        }
    }

    fn command(self) -> Command {
        let script = |python: PathBuf, script: &str| {
            let mut command = Command::new(python);
            command.arg(there(e2e().join("upstreams").join(script)));
            command
        };
        let mut command = match self {
            Self::Everything | Self::EverythingSse => {
                there(
                    e2e()
                        .join("node_modules/@modelcontextprotocol/server-everything/dist/index.js"),
                );
                script("python3".into(), "everything.py")
            }
            Self::Idp => script(node(), "idp.mjs"),
            Self::OAuth => script(node(), "oauth.mjs"),
            Self::Python | Self::PythonSse => script(python("venv"), "python/server.py"),
            Self::Rmcp => Command::new(built("rmcp-server")),
        };
        command.arg("0");
        if matches!(self, Self::EverythingSse | Self::PythonSse) {
            command.arg("sse");
        }
        command
    }
}

/// A running server. Dropped, it is ended.
pub(crate) struct Server {
    child: Child,
    url: String,
}

impl Server {
    /// Starts it on a free port and waits until it listens.
    pub(crate) fn start(kind: Kind) -> Self {
        Self::start_with(kind, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(kind: Kind, arguments: &[&str]) -> Self {
        let log = directory().join(format!("{}-server-{}.log", kind.name(), std::process::id()));
        let mut child = kind
            .command()
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("{kind:?} does not start: {error}: run e2e/setup.sh"));
        let (line, announced) = mpsc::channel();
        let mut from = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            let mut text = String::new();
            let _ = from.read_line(&mut text);
            let _ = line.send(text);
            // Read on, so that the server is never held up by a full pipe.
            let _ = std::io::copy(&mut from, &mut std::io::sink());
        });
        let line = announced.recv_timeout(START).unwrap_or_default();
        let mut server = Self {
            child,
            url: String::new(),
        };
        let ready: Json = serde_json::from_str(&line).unwrap_or_else(|_| {
            panic!(
                "{kind:?} does not listen; it said {line:?} and:\n{}",
                fs::read_to_string(&log).unwrap_or_default()
            )
        });
        ready["url"].as_str().unwrap().clone_into(&mut server.url);
        server
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| rustix::process::kill_process(pid, Signal::TERM));
        let until = Instant::now() + Duration::from_secs(3);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A gateway before `server` by TLS, as production has it; clients call it `https://localhost`.
///
/// The conformance suite sends `Origin: http://localhost:PORT` where it wants to be let in, so
/// that one is allowed on every port.
pub(crate) fn gateway(server: &Server, path: &str, upstream_host: &str) -> Palisade {
    let url = server.url();
    Palisade::builder()
        .config(&format!(
            r#"
            [cors]
            origin_regexes = ["http://localhost:[0-9]+"]
            [[server]]
            name = "test"
            path = "{path}"
            upstream = "{url}"
            upstream_host = "{upstream_host}"
            "#
        ))
        .start()
}

/// The URL of `path` at a gateway.
pub(crate) fn url(palisade: &Palisade, path: &str) -> String {
    format!("https://localhost:{}{path}", palisade.port())
}

/// A program to run to its end.
pub(crate) struct Program {
    command: Command,
    home: TempDir,
    title: String,
}

/// How it ended.
pub(crate) struct Ran {
    /// The exit code; nothing where the time was over.
    pub(crate) code: Option<i32>,
    /// The last line of standard output, as JSON; `null` where it is none.
    pub(crate) report: Json,
    /// Everything it said, for a failure's message.
    pub(crate) said: String,
}

impl Program {
    /// A script of `e2e` for Node 22.
    pub(crate) fn node(script: &str) -> Self {
        Self::new(&node(), &[e2e().join(script)])
    }

    /// A script of `e2e` in one of the Python environments.
    pub(crate) fn python(environment: &str, script: &str) -> Self {
        Self::new(&python(environment), &[e2e().join(script)])
    }

    /// A binary of `e2e/upstreams`.
    pub(crate) fn built(name: &str) -> Self {
        Self::new(&built(name), &[])
    }

    fn new(program: &Path, script: &[PathBuf]) -> Self {
        let home = tempfile::tempdir().unwrap();
        let ca = home.path().join("ca.pem");
        fs::write(&ca, authority::root_pem()).unwrap();
        let mut command = Command::new(program);
        for script in script {
            command.arg(there(script.clone()));
        }
        command
            // No proxy, no token, no setting of whoever runs the tests.
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home.path())
            .env("NODE_EXTRA_CA_CERTS", &ca)
            .current_dir(home.path())
            .stdin(Stdio::null());
        let title = script.first().map_or(program, PathBuf::as_path);
        let title = title.file_name().unwrap_or_default();
        Self {
            command,
            home,
            title: title.to_string_lossy().into_owned(),
        }
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Makes it trust the tests' own authority.
    pub(crate) fn ca(mut self) -> Self {
        self.command
            .arg("--ca")
            .arg(self.home.path().join("ca.pem"));
        self
    }

    /// Runs it, for `limit` at most; then it and its children are killed.
    pub(crate) async fn run(self, limit: Duration) -> Ran {
        let (out, err) = (
            self.home.path().join("stdout"),
            self.home.path().join("stderr"),
        );
        let mut command = tokio::process::Command::from(self.command);
        let mut child = command
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: run e2e/setup.sh", self.title));
        let group = Group::of(child.id());
        let ended = tokio::time::timeout(limit, child.wait()).await;
        drop(group);
        let code = ended.ok().and_then(|status| status.unwrap().code());
        let text =
            |file: &Path| String::from_utf8_lossy(&fs::read(file).unwrap_or_default()).into_owned();
        let (out, err) = (text(&out), text(&err));
        let line = out.lines().last().unwrap_or_default();
        Ran {
            code,
            report: serde_json::from_str(line).unwrap_or_default(),
            said: format!("{}: exit {code:?} within {limit:?}\n{out}{err}", self.title),
        }
    }
}

/// A process group, killed at the end, also where the test that made it panics.
struct Group(Option<Pid>);

impl Group {
    fn of(id: Option<u32>) -> Self {
        let raw = id.and_then(|id| i32::try_from(id).ok());
        Self(raw.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Of a group that has ended nobody is left to be killed.
        let _ = self.0.map(|group| kill_process_group(group, Signal::KILL));
    }
}

/// Shown by the test runner with `--nocapture`, or beside a failure.
#[expect(clippy::print_stdout, reason = "figures and reports")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}

/// Where results are left for whoever wants to read them.
pub(crate) fn directory() -> PathBuf {
    let directory = target().join("e2e/results");
    fs::create_dir_all(&directory).unwrap();
    directory
}

/// The directory `e2e`.
pub(crate) fn e2e() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo and `e2e/setup.sh` put what they make.
pub(crate) fn target() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tmp.parent().unwrap().to_owned()
}

pub(crate) fn node() -> PathBuf {
    node_of("node")
}

/// Node 24, whose TLS can be told which groups to offer, and names the one it got.
pub(crate) fn node24() -> PathBuf {
    node_of("node24")
}

fn node_of(package: &str) -> PathBuf {
    let machine = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x64",
    };
    there(e2e().join(format!("node_modules/{package}-linux-{machine}/bin/node")))
}

pub(crate) fn python(environment: &str) -> PathBuf {
    there(target().join("e2e").join(environment).join("bin/python"))
}

pub(crate) fn built(name: &str) -> PathBuf {
    there(target().join("debug").join(name))
}

/// A part that must be installed.
fn there(part: PathBuf) -> PathBuf {
    assert!(
        part.exists(),
        "{} is not there: run e2e/setup.sh",
        part.display()
    );
    part
}

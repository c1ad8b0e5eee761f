//! The real binary in a process of its own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustls_pki_types::CertificateDer;
use serde_json::Value as Json;
use tempfile::TempDir;
use toml::{Table, Value};

use crate::wire::{Answer, Client};
use crate::{PATIENCE, Upstream, authority};

/// A running `palisade serve`. Dropped, it is killed.
pub struct Palisade {
    child: Child,
    directory: TempDir,
    listeners: Vec<Listener>,
    stderr: Arc<Lines>,
    stdout: Arc<Lines>,
    tls: Tls,
}

/// Where it listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The address with its real port.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
}

/// What [`Palisade`] shows to TLS clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// A certificate of the tests' own authority for these names.
    Files(Vec<String>),
    /// `tls.local`: its own authority, in its data directory.
    Local,
    /// Plain HTTP, or a `[tls]` of the test's own.
    Own,
}

impl Palisade {
    /// A gateway that is still to be configured.
    pub fn builder() -> Builder {
        Builder {
            config: Table::new(),
            tls: Tls::Files(authority::NAMES.map(str::to_owned).into()),
            environment: Vec::new(),
            arguments: Vec::new(),
            subcommand: &["serve"],
            wrapper: Vec::new(),
        }
    }

    /// The gateway with this configuration, by TLS; see [`Builder::config`].
    #[must_use]
    pub fn with(config: &str) -> Self {
        Self::builder().config(config).start()
    }

    /// A gateway with defaults before `upstream`, by TLS, at `/mcp`.
    #[must_use]
    pub fn before(upstream: &Upstream) -> Self {
        Self::builder().server(upstream).start()
    }

    /// The first address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listeners[0].address
    }

    /// The first port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// Every address, in the order of the configuration.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// A client of the first listener.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_of(0)
    }

    /// A client of the listener with this index.
    #[must_use]
    pub fn client_of(&self, listener: usize) -> Client {
        let listener = &self.listeners[listener];
        let client = Client::new(listener.address, &self.root());
        if listener.tls { client } else { client.plain() }
    }

    /// The certificate that clients must trust.
    #[must_use]
    pub fn root(&self) -> CertificateDer<'static> {
        match self.tls {
            Tls::Files(_) | Tls::Own => authority::root(),
            Tls::Local => authority::root_of(&self.path("data/palisade/ca.pem")),
        }
    }

    /// A file or directory in its directory. `data` is its `XDG_DATA_HOME`.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// What it has written to standard error.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// What it has written to standard output.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// Waits until standard error holds `text`.
    ///
    /// # Panics
    /// When it does not in time.
    pub fn wait_for_stderr(&self, text: &str) {
        if self
            .stderr
            .wait(|all| all.contains(text).then_some(()))
            .is_none()
        {
            panic!("no {text:?} on standard error:\n{}", self.stderr());
        }
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Every audit record so far that tells how something ended: not the intents, and not what the log says of itself.
    ///
    /// # Panics
    /// Where a line is no JSON.
    #[must_use]
    pub fn audit(&self) -> Vec<Json> {
        let mut lines = self.audit_lines();
        lines.retain(|line| {
            let own = matches!(
                line["event"].as_str(),
                Some("checkpoint" | "rotated" | "start")
            );
            line["phase"] != "intent" && !own
        });
        lines
    }

    /// Every line of the audit log so far.
    ///
    /// # Panics
    /// Where a line is no JSON.
    #[must_use]
    pub fn audit_lines(&self) -> Vec<Json> {
        let text = fs::read_to_string(self.path(AUDIT)).unwrap_or_default();
        // What stands behind the last line feed is still being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| {
                serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("a record that is no JSON: {error}: {line}"))
            })
            .collect()
    }

    /// Waits until `count` audit records at least fit, and gives them back.
    ///
    /// # Panics
    /// When they do not come in time.
    pub fn audit_where(&self, count: usize, fits: impl Fn(&Json) -> bool) -> Vec<Json> {
        let until = Instant::now() + PATIENCE;
        loop {
            let mut records = self.audit();
            records.retain(&fits);
            if records.len() >= count {
                return records;
            }
            assert!(
                Instant::now() < until,
                "{} of {count} records; the log holds:\n{}",
                records.len(),
                fs::read_to_string(self.path(AUDIT)).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the audit record of an answer, found by its `X-Request-ID`.
    ///
    /// # Panics
    /// When the answer has none, or no record comes in time.
    #[must_use]
    pub fn record_of(&self, answer: &Answer) -> Json {
        let id = answer
            .header("x-request-id")
            .expect("X-Request-ID")
            .to_owned();
        self.audit_where(1, |record| record["requestId"] == *id)
            .remove(0)
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        // A process that has ended takes no signal; who waits for it learns of that.
        let _ = pid.map(|pid| kill_process(pid, signal));
    }

    /// Waits for its end: the exit code, or nothing where a signal ended it.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn wait(&mut self) -> Option<i32> {
        ended(&mut self.child, PATIENCE)
            .unwrap_or_else(|| panic!("still running:\n{}", self.stderr.text()))
    }

    /// Asks it to end by SIGTERM and waits: the exit code.
    pub fn stop(&mut self) -> Option<i32> {
        self.terminate();
        self.wait()
    }
}

impl Drop for Palisade {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.terminate();
        if ended(&mut self.child, Duration::from_secs(2)).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            // Shown by the test runner beside the panic.
            #[expect(clippy::print_stderr, reason = "what the process said about it")]
            {
                eprintln!("--- palisade's standard error ---\n{}", self.stderr());
            }
        }
    }
}

/// How a gateway ended that was not to start.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Configures a [`Palisade`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    config: Table,
    tls: Tls,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    subcommand: &'static [&'static str],
    wrapper: Vec<String>,
}

impl Builder {
    /// The configuration file. What it leaves open is set for tests: `listen = "127.0.0.1:0"`,
    /// two workers, TLS by a certificate for [`authority::NAMES`], the audit log in a file, and
    /// a rate that no test reaches.
    ///
    /// # Panics
    /// Where `text` is no TOML.
    pub fn config(mut self, text: &str) -> Self {
        let more: Table = text
            .parse()
            .unwrap_or_else(|error| panic!("{error}\n{text}"));
        self.config.extend(more);
        self
    }

    /// Adds a `[[server]]` at `/mcp` before `upstream`.
    pub fn server(self, upstream: &Upstream) -> Self {
        let url = upstream.url();
        self.config(&format!(
            "[[server]]\nname = \"test\"\npath = \"/mcp\"\nupstream = \"{url}\"\n"
        ))
    }

    /// A certificate for these names.
    pub fn names(mut self, names: &[&str]) -> Self {
        self.tls = Tls::Files(names.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// `tls.local = true`.
    pub fn local_ca(mut self) -> Self {
        self.tls = Tls::Local;
        self
    }

    /// Plain HTTP, or what the configuration says of `[tls]`.
    pub fn plain(mut self) -> Self {
        self.tls = Tls::Own;
        self
    }

    /// Sets an environment variable; none is inherited but `PATH`.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds command line arguments behind `serve --config FILE`.
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// Runs it by a shell script, which must end with `exec "$@"` and redirections.
    pub fn shell(mut self, script: &str) -> Self {
        self.wrapper = ["/bin/sh", "-c", script, "sh"].map(str::to_owned).into();
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// When it does not in time; the message holds its standard error.
    #[must_use]
    pub fn start(self) -> Palisade {
        let directory = tempfile::tempdir().unwrap();
        let mut child = self.command(directory.path()).spawn().unwrap();
        let stderr = Lines::follow(child.stderr.take().unwrap());
        // Read, so that the process is never held up by a full pipe.
        let stdout = Lines::follow(child.stdout.take().unwrap());
        let found = |all: &str| is_whole(all).then(|| listeners(all));
        let Some(listeners) = stderr.wait(found) else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("palisade does not start:\n{}", stderr.text());
        };
        let gateway = Palisade {
            child,
            directory,
            listeners,
            stderr,
            stdout,
            tls: self.tls,
        };
        assert!(!gateway.listeners.is_empty(), "{}", gateway.stderr());
        gateway
    }

    /// Starts it where it must not come up, and waits for its end.
    ///
    /// # Panics
    /// When it goes on running.
    #[must_use]
    pub fn fail(self) -> Ended {
        let directory = tempfile::tempdir().unwrap();
        let mut child = self.command(directory.path()).spawn().unwrap();
        let stderr = Lines::follow(child.stderr.take().unwrap());
        let stdout = Lines::follow(child.stdout.take().unwrap());
        let Some(code) = ended(&mut child, PATIENCE) else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("palisade runs on:\n{}", stderr.text());
        };
        Ended {
            code,
            stdout: stdout.all(),
            stderr: stderr.all(),
        }
    }

    /// Runs `palisade config check` over the same configuration, environment and arguments.
    ///
    /// # Panics
    /// When it goes on running.
    #[must_use]
    pub fn check(mut self) -> Ended {
        self.subcommand = &["config", "check"];
        self.fail()
    }

    fn command(&self, directory: &Path) -> Command {
        let file = directory.join("palisade.toml");
        fs::write(&file, self.filled(directory).to_string()).unwrap();
        let mut command = match &self.wrapper[..] {
            [] => Command::new(binary()),
            [shell, arguments @ ..] => {
                let mut command = Command::new(shell);
                command.args(arguments).arg(binary());
                command
            }
        };
        command
            .args(self.subcommand)
            .arg("--config")
            .arg(&file)
            .args(&self.arguments)
            .current_dir(directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory)
            .env("XDG_DATA_HOME", directory.join("data"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn filled(&self, directory: &Path) -> Table {
        let mut config = self.config.clone();
        let text = |text: &str| Value::String(text.to_owned());
        config
            .entry("listen")
            .or_insert_with(|| text("127.0.0.1:0"));
        config.entry("workers").or_insert(Value::Integer(2));
        let tls = match &self.tls {
            Tls::Own => None,
            Tls::Local => Some(Table::from_iter([(
                "local".to_owned(),
                Value::Boolean(true),
            )])),
            Tls::Files(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                let (chain, key) = authority::certificate(directory, &names);
                let path = |path: PathBuf| text(&path.display().to_string());
                let pairs = [("certificate", path(chain)), ("key", path(key))];
                Some(
                    pairs
                        .map(|(key, value)| (key.to_owned(), value))
                        .into_iter()
                        .collect(),
                )
            }
        };
        if let Some(tls) = tls {
            set(&mut config, "tls", tls);
        }
        let audit = directory.join(AUDIT).display().to_string();
        let sink = Table::from_iter([("file".to_owned(), text(&audit))]);
        let sink = Table::from_iter([("sink".to_owned(), Value::Table(sink))]);
        set(&mut config, "audit", sink);
        let rate = Table::from_iter([("peer".to_owned(), text("1000000/min"))]);
        set(&mut config, "rate", rate);
        config
    }
}

/// The audit log's file, in the gateway's directory.
const AUDIT: &str = "audit.ndjson";

/// Sets what the section leaves open.
fn set(config: &mut Table, section: &str, defaults: Table) {
    let there = config
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    let there = there.as_table_mut().expect("a section is a table");
    for (key, value) in defaults {
        there.entry(key).or_insert(value);
    }
}

/// What a measured time may be where the machine is shared: `busy`, or nothing at all where
/// `PALISADE_QUIET` says that it is not.
#[must_use]
pub fn leeway(busy: Duration) -> Duration {
    match std::env::var_os("PALISADE_QUIET") {
        Some(_) => Duration::ZERO,
        None => busy,
    }
}

/// The binary under test.
///
/// # Panics
/// Where it has not been built.
#[must_use]
pub fn binary() -> PathBuf {
    let binary = std::env::var_os("PALISADE_BIN").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/debug/palisade"),
        PathBuf::from,
    );
    assert!(
        binary.is_file(),
        "{} is not there: run `cargo build` in the workspace's root, or set PALISADE_BIN to a binary",
        binary.display()
    );
    binary
}

/// `palisade audit verify`: whether it is content, and what it says.
///
/// # Panics
/// Where it cannot be started.
#[must_use]
pub fn verify(files: &[PathBuf]) -> (bool, String) {
    let output = Command::new(binary())
        .args(["audit", "verify"])
        .args(files)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// The listeners of the start table.
fn listeners(stderr: &str) -> Vec<Listener> {
    let mut listeners: Vec<Listener> = Vec::new();
    for line in stderr.lines() {
        let mut words = line.split_whitespace();
        if words.next() != Some("listen") {
            continue;
        }
        let (scheme, rest) = words.next().unwrap().split_once("://").unwrap();
        let address = rest.split('/').next().unwrap().parse().unwrap();
        let tls = scheme == "https";
        let listener = Listener { address, tls };
        // One line for each server.
        if !listeners.contains(&listener) {
            listeners.push(listener);
        }
    }
    listeners
}

/// Whether the start table is complete: `audit` is its last fact but for the warnings.
fn is_whole(stderr: &str) -> bool {
    let mut lines = stderr.split_inclusive('\n');
    lines.any(|line| line.ends_with('\n') && line.split_whitespace().next() == Some("audit"))
}

/// The exit code, `None` inside for a signal; `None` outside when the time is over.
#[expect(clippy::option_option, reason = "two questions, two answers")]
fn ended(child: &mut Child, patience: Duration) -> Option<Option<i32>> {
    let until = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status.code());
        }
        if Instant::now() > until {
            return None;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// What a process writes, followed by a thread.
#[derive(Default)]
struct Lines {
    state: Mutex<(String, bool)>,
    more: Condvar,
}

impl Lines {
    fn follow(from: impl Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let follower = Arc::clone(&lines);
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while matches!(from.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line).into_owned();
                follower.update(|(all, _)| all.push_str(&text));
                line.clear();
            }
            follower.update(|(_, over)| *over = true);
        });
        lines
    }

    fn update(&self, update: impl FnOnce(&mut (String, bool))) {
        update(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.more.notify_all();
    }

    fn text(&self) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.clone()
    }

    /// Everything, once the process has closed its end.
    fn all(&self) -> String {
        self.wait_until(|_, over| over.then_some(()));
        self.text()
    }

    /// Waits until `found` finds something; `None` when the time or the output is over.
    fn wait<T>(&self, found: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.wait_until(|all, over| match found(all) {
            Some(found) => Some(Some(found)),
            None => over.then_some(None),
        })
        .flatten()
    }

    fn wait_until<T>(&self, found: impl Fn(&str, bool) -> Option<T>) -> Option<T> {
        let until = Instant::now() + PATIENCE;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = found(&state.0, state.1) {
                return Some(found);
            }
            let left = until.checked_duration_since(Instant::now())?;
            state = self
                .more
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

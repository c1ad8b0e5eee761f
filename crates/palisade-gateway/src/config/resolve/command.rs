//! A server that is a command.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::super::document::At;
use super::super::file;
use super::super::names::Fault;
use super::super::problem::ProblemCode;
use super::super::settings::{Command, EnvironmentEntry, List, Value};
use super::{Resolver, above_nought};

impl Resolver<'_> {
    /// The command, and how it is run; `None` where it cannot be read.
    pub(super) fn command(&mut self, said: &file::Server) -> Option<Command> {
        let words = said.command.as_ref()?;
        let program = words.value.first().map(|word| word.value.as_str());
        if program.is_none_or(str::is_empty) {
            self.report(
                ProblemCode::BadValue,
                "command",
                words.at,
                "it names no program",
                "write the program and its arguments, such as `command = [\"npx\", \"-y\", \"some-server\"]`",
            );
            return None;
        }
        if words.value.iter().any(|word| word.value.contains('\0')) {
            self.report(
                ProblemCode::BadValue,
                "command",
                words.at,
                "no program takes an argument with a NUL in it",
                "take it out",
            );
            return None;
        }
        // Unlike other lists, an argument may stand here twice.
        let command = words.value.iter();
        let command = command
            .map(|word| Value::new(word.value.clone(), self.places.source(word.at)))
            .collect();
        let mut environment = List::default();
        self.list(
            &mut environment,
            said.environment.as_ref(),
            "environment",
            |text| environment_entry(text),
        );
        let mut scope = Value::default();
        self.copy(&mut scope, said.scope.as_ref());
        let mut sessions = Value::from(Command::SESSIONS);
        self.value(&mut sessions, said.sessions.as_ref(), "sessions", |most| {
            NonZeroU32::new(*most)
                .ok_or_else(|| Fault::new("nought is out of range", "write 1 or more"))
        });
        let mut session_idle = Value::from(Command::SESSION_IDLE);
        self.value(
            &mut session_idle,
            said.session_idle.as_ref(),
            "session_idle",
            |text| above_nought(text),
        );
        let mut start_timeout = Value::from(Command::START_TIMEOUT);
        self.value(
            &mut start_timeout,
            said.start_timeout.as_ref(),
            "start_timeout",
            |text| above_nought(text),
        );
        let mut sockets = List::default();
        self.list(&mut sockets, said.sockets.as_ref(), "sockets", |text| {
            let path = PathBuf::from(text);
            let whole = Fault::new(
                "it is no whole path",
                "write one that begins with `/`, such as \"/run/docker.sock\"",
            );
            Some(path).filter(|path| path.is_absolute()).ok_or(whole)
        });
        let install = said.install.as_ref();
        let install = install.and_then(|install| self.install(install, words));
        Some(Command {
            command: Value::new(command, self.places.source(words.at)),
            scope,
            environment,
            directory: said.directory.as_ref().map(|said| self.path(said)),
            sessions,
            session_idle,
            start_timeout,
            max_level: self.said(said.max_level.as_ref()),
            sockets,
            install,
        })
    }

    /// Keys that mean nothing beside what the server is.
    pub(super) fn misplaced(&mut self, said: &file::Server) {
        let at = |present: Option<At>, name| present.map(|at| (name, at));
        let of_commands = [
            at(said.scope.as_ref().map(|s| s.at), "scope"),
            at(said.environment.as_ref().map(|s| s.at), "environment"),
            at(said.directory.as_ref().map(|s| s.at), "directory"),
            at(said.sessions.as_ref().map(|s| s.at), "sessions"),
            at(said.session_idle.as_ref().map(|s| s.at), "session_idle"),
            at(said.start_timeout.as_ref().map(|s| s.at), "start_timeout"),
            at(said.max_level.as_ref().map(|s| s.at), "max_level"),
            at(said.sockets.as_ref().map(|s| s.at), "sockets"),
            at(said.install.as_ref().map(|s| s.at), "install"),
        ];
        let of_urls = [
            at(
                said.plaintext_upstream.as_ref().map(|s| s.at),
                "plaintext_upstream",
            ),
            at(said.upstream_host.as_ref().map(|s| s.at), "upstream_host"),
        ];
        match (&said.upstream, &said.command) {
            (Some(_), Some(command)) => self.report(
                ProblemCode::Contradiction,
                "command",
                command.at,
                "a server is a command or is reached at a URL, not both",
                "keep `command`, or keep `upstream`",
            ),
            (Some(_), None) => {
                for (name, at) in of_commands.into_iter().flatten() {
                    self.report(
                        ProblemCode::Contradiction,
                        name,
                        at,
                        "it is for a server with a `command`, and this one has an `upstream`",
                        "take it out",
                    );
                }
            }
            (None, Some(_)) => {
                for (name, at) in of_urls.into_iter().flatten() {
                    self.report(
                        ProblemCode::Contradiction,
                        name,
                        at,
                        "it is for a server with an `upstream`, and this one has a `command`",
                        "take it out",
                    );
                }
            }
            (None, None) => {}
        }
        if let (Some(_), Some(kind)) = (&said.command, &said.kind)
            && kind.value == super::super::settings::Kind::Http
        {
            self.report(
                ProblemCode::Contradiction,
                "kind",
                kind.at,
                "what a command speaks on its standard streams is MCP, not HTTP",
                "take it out",
            );
        }
    }
}

impl Command {
    /// `sessions`, where nobody says.
    const SESSIONS: NonZeroU32 = NonZeroU32::new(64).unwrap();
    /// `session_idle`, where nobody says.
    const SESSION_IDLE: Duration = Duration::from_secs(30 * 60);
    /// `start_timeout`, where nobody says: the first start of a package may download it.
    const START_TIMEOUT: Duration = Duration::from_secs(60);
}

/// `NAME`: passed on; `NAME=value`: set.
fn environment_entry(text: &str) -> Result<EnvironmentEntry, Fault> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    if name.is_empty() || text.contains('\0') {
        return Err(Fault::new(
            "it is no variable",
            "write the name of one, or `NAME=value`",
        ));
    }
    Ok(EnvironmentEntry {
        name: name.to_owned(),
        value,
    })
}

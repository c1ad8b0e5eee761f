//! Servers that are commands: what they are run with.

use std::ffi::OsString;
use std::io;
use std::sync::Arc;

use palisade::mcp::shown::Shown;

use super::error::StartError;
use super::server::Parts;
use crate::config::{
    BASE_ENVIRONMENT, Backend as BackendSetting, Command, List, Scope, Server, Settings,
};
use crate::egress::EgressError;
use crate::upstream::stdio::{self, Host, WayOut};

/// The thread of commands, where a server is one.
pub(super) fn children(settings: &Settings) -> Result<Option<Arc<Host>>, StartError> {
    let is_command = |server: &Server| matches!(server.backend, BackendSetting::Command(_));
    if settings.servers.iter().any(is_command) {
        return Ok(Some(Arc::new(Host::start()?)));
    }
    Ok(None)
}

pub(super) fn no_host() -> StartError {
    StartError::Io(io::ErrorKind::Unsupported.into())
}

pub(super) fn bridge(
    server: &Server,
    command: &Command,
    shown: &Shown,
    way_out: Option<WayOut>,
) -> stdio::Config {
    let mut environment = environment(command);
    if command.install.is_some() {
        // What it needs has been fetched; without these it would ask for news of it first.
        for (name, value) in OFFLINE {
            if !environment.iter().any(|(known, _)| known == name) {
                environment.push((name.into(), value.into()));
            }
        }
    }
    let name = server.name.value.as_str();
    let spec = spec(name, &command.command, command, environment, way_out);
    stdio::Config {
        spec,
        scope: match command.scope.value {
            Scope::Caller => stdio::Scope::Caller,
            Scope::Session => stdio::Scope::Session,
            Scope::Shared => stdio::Scope::Shared,
        },
        sessions: command.sessions.value.get() as usize,
        session_idle: command.session_idle.value,
        start_timeout: command.start_timeout.value,
        path: server.path.value.clone(),
        shown: shown.clone(),
    }
}

/// What tells package runners to take what they have.
const OFFLINE: [(&str, &str); 2] = [("npm_config_offline", "true"), ("UV_OFFLINE", "1")];

/// Runs what is to be run before the command.
pub(super) fn install(
    server: &Server,
    command: &Command,
    host: &Host,
    parts: &Parts<'_>,
) -> Result<(), StartError> {
    let Some(install) = &command.install else {
        return Ok(());
    };
    let name = server.name.value.as_str();
    let way = parts.outbound.and_then(|out| out.way_of_install(name));
    let tag = format!("{name}.install");
    let spec = spec(&tag, &install.command, command, environment(command), way);
    stdio::install(host, name, spec, install.timeout.value).map_err(EgressError::from)?;
    Ok(())
}

pub(super) fn spec(
    name: &str,
    words: &List<String>,
    command: &Command,
    environment: Vec<(OsString, OsString)>,
    way_out: Option<WayOut>,
) -> stdio::Spec {
    let mut words = words.iter().map(|word| word.value.clone().into());
    stdio::Spec {
        name: name.into(),
        program: words.next().unwrap_or_default(),
        arguments: words.collect(),
        environment,
        directory: command.directory.as_ref().map(|path| path.value.clone()),
        way_out,
    }
}

/// What a command gets of Palisade's own environment, and what the configuration adds.
pub(super) fn environment(command: &Command) -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(OsString, OsString)> = Vec::new();
    let own = |name: &str| std::env::var_os(name);
    for name in BASE_ENVIRONMENT {
        environment.extend(own(name).map(|value| (name.into(), value)));
    }
    for entry in command.environment.iter() {
        let value = match &entry.value.value {
            Some(value) => Some(value.into()),
            None => own(&entry.value.name),
        };
        environment.retain(|(name, _)| *name != *entry.value.name);
        environment.extend(value.map(|value| (entry.value.name.clone().into(), value)));
    }
    environment
}

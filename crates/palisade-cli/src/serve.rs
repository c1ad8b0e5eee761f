//! `palisade serve` and `palisade version`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use palisade_gateway::certs::local_ca;
use palisade_gateway::config::{self, Overview, Problems, Settings};
use palisade_gateway::serve::{Ended, Gateway};

use crate::arguments::{Format, Serve, SettingsArguments};
use crate::{USAGE, signals};

pub(crate) fn run(serve: &Serve) -> anyhow::Result<ExitCode> {
    let Some(settings) = settings(serve.url.as_ref(), &serve.command, &serve.settings) else {
        return Ok(ExitCode::from(USAGE));
    };
    let stop = signals::stop()?;
    let gateway = Gateway::prepare(&settings, data_directory())?;
    say_where(&settings, &gateway);
    Ok(exit_code(gateway.run(stop)))
}

/// The settings, or nothing when every mistake has been printed.
pub(crate) fn settings(
    url: Option<&String>,
    command: &[String],
    arguments: &SettingsArguments,
) -> Option<Settings> {
    told(load(url, command, arguments))
}

/// The settings of what was loaded; warnings and mistakes are printed.
pub(crate) fn told(loaded: Result<(Settings, Problems), Problems>) -> Option<Settings> {
    match loaded {
        Ok((settings, warnings)) => {
            if !warnings.is_empty() {
                anstream::eprintln!("{}", warnings.render(true));
            }
            Some(settings)
        }
        Err(problems) => {
            anstream::eprintln!("{}", problems.render(true));
            None
        }
    }
}

pub(crate) fn load(
    url: Option<&String>,
    command: &[String],
    arguments: &SettingsArguments,
) -> Result<(Settings, Problems), Problems> {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    config::load(
        arguments.config.as_deref(),
        environment,
        &arguments.flags(url, command),
    )
}

/// Where the local certificate authority lives.
pub(crate) fn data_directory() -> Option<PathBuf> {
    let variable = |name: &str| -> Option<OsString> { std::env::var_os(name) };
    local_ca::default_directory(
        variable("XDG_DATA_HOME").as_deref(),
        variable("HOME").as_deref(),
    )
    .ok()
}

/// What is in force, and why.
pub(crate) fn say_where(settings: &Settings, gateway: &Gateway) {
    let bound: Vec<_> = gateway.addresses().collect();
    let mut lines = settings.overview(&bound, &gateway.levels());
    let (key, kept) = gateway.audit_key();
    lines.push(Overview {
        what: String::from("audit key"),
        value: key.to_string(),
        why: kept.map_or_else(
            || String::from("for this run alone: there is no place to keep one"),
            |kept| format!("kept in {}", kept.display()),
        ),
    });
    anstream::eprint!("{}", Overview::table(&lines));
}

pub(crate) fn exit_code(ended: Ended) -> ExitCode {
    match ended {
        Ended::Drained => ExitCode::SUCCESS,
        Ended::Stopped => ExitCode::from(INTERRUPTED),
    }
}

/// Stopped before everything in flight was finished.
pub(crate) const INTERRUPTED: u8 = 130;

pub(crate) fn version(format: Format) -> anyhow::Result<ExitCode> {
    let version = env!("CARGO_PKG_VERSION");
    match format {
        Format::Text => anstream::println!("palisade {version}"),
        Format::Json => anstream::println!("{}", serde_json::json!({ "version": version })),
    }
    Ok(ExitCode::SUCCESS)
}

//! `palisade config`.

use std::process::ExitCode;

use palisade_gateway::config::{self, Problems};

use crate::arguments::{Config, ConfigCommand, ConfigSource, Format};
use crate::{USAGE, serve};

pub(crate) fn run(arguments: &Config) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        ConfigCommand::Check(source) => check(source),
        ConfigCommand::Schema => {
            anstream::println!("{}", serde_json::to_string_pretty(&config::schema())?);
            Ok(ExitCode::SUCCESS)
        }
        ConfigCommand::Show(source) => show(source),
    }
}

fn check(source: &ConfigSource) -> anyhow::Result<ExitCode> {
    match serve::load(source.url.as_ref(), &source.command, &source.settings) {
        Ok((_, warnings)) => {
            print(&warnings, source.format);
            Ok(ExitCode::SUCCESS)
        }
        Err(problems) => {
            print(&problems, source.format);
            Ok(ExitCode::from(USAGE))
        }
    }
}

fn print(problems: &Problems, format: Format) {
    match format {
        Format::Json => anstream::println!("{}", problems.to_json()),
        Format::Text if problems.is_empty() => anstream::eprintln!("no problem found"),
        Format::Text => anstream::eprintln!("{}", problems.render(true)),
    }
}

fn show(source: &ConfigSource) -> anyhow::Result<ExitCode> {
    let Some(settings) = serve::settings(source.url.as_ref(), &source.command, &source.settings)
    else {
        return Ok(ExitCode::from(USAGE));
    };
    let rows = settings.rows();
    match source.format {
        Format::Json => {
            let rows: Vec<_> = rows
                .iter()
                .map(|row| serde_json::json!({ "key": row.key, "value": row.value, "source": row.source.to_string() }))
                .collect();
            anstream::println!("{}", serde_json::to_string_pretty(&rows)?);
        }
        Format::Text => {
            for row in rows {
                anstream::println!("{} = {}  # {}", row.key, row.value, row.source);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

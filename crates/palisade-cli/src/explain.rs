//! `palisade explain WORD`: what the pages say of a reason or of a key of the configuration.

use std::process::ExitCode;

use palisade::Reason;
use serde_json::json;

use crate::USAGE;
use crate::arguments::{Explain, Format};

pub(crate) fn run(explain: &Explain) -> anyhow::Result<ExitCode> {
    let Some(word) = &explain.word else {
        for reason in Reason::ALL {
            anstream::println!("{}", reason.code());
        }
        return Ok(ExitCode::SUCCESS);
    };
    let word = word.trim_matches('`');
    let Some(found) = section(word).or_else(|| key(word)) else {
        anstream::eprintln!("error: `{word}` is neither a reason nor a key of the configuration");
        let near = near(word);
        if !near.is_empty() {
            anstream::eprintln!("such are: {}", near.join(", "));
        }
        anstream::eprintln!("`palisade explain` alone lists the reasons");
        return Ok(ExitCode::from(USAGE));
    };
    match explain.format {
        Format::Json => anstream::println!("{}", json!({ "word": word, "text": found })),
        Format::Text => anstream::println!("{found}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Of the page on troubleshooting what stands under the heading that names the reason.
fn section(reason: &str) -> Option<String> {
    let named = |line: &str| {
        line.starts_with("### ")
            && line
                .split('`')
                .skip(1)
                .step_by(2)
                .any(|name| name == reason)
    };
    let mut lines = TROUBLESHOOTING.lines().skip_while(|line| !named(line));
    let heading = lines.next()?.trim_start_matches("### ").replace('`', "");
    let text: Vec<&str> = lines
        .take_while(|line| !line.starts_with("## ") && !line.starts_with("### "))
        .collect();
    Some(format!("{heading}\n\n{}", text.join("\n").trim()))
}

/// Of the page on configuration the line on the key.
fn key(name: &str) -> Option<String> {
    let cell = format!("| `{name}` |");
    let line = CONFIGURATION.lines().find(|line| line.starts_with(&cell))?;
    let (default, text) = line[cell.len()..]
        .trim()
        .trim_end_matches('|')
        .split_once('|')?;
    Some(format!(
        "{name}\n\n{}\nDefault: {}",
        text.trim(),
        default.trim()
    ))
}

/// Reasons and keys that hold the word's last part, then those of its area: what stands before the dot.
fn near(word: &str) -> Vec<String> {
    let keys = CONFIGURATION.lines().filter_map(|line| {
        line.strip_prefix("| `")?
            .split_once('`')
            .map(|(key, _)| key)
    });
    let all: Vec<&str> = Reason::ALL
        .iter()
        .map(|reason| reason.code())
        .chain(keys)
        .collect();
    let last = word.rsplit('.').next().unwrap_or(word);
    let area = word.split_once('.').map(|(area, _)| format!("{area}."));
    let holds = |name: &str| last.len() > 2 && name.contains(last);
    let beside = |name: &str| area.as_ref().is_some_and(|area| name.starts_with(area));
    let holding = all.iter().filter(|name| holds(name)).take(5);
    let others = all.iter().filter(|name| beside(name) && !holds(name));
    holding
        .chain(others)
        .take(8)
        .map(|name| (*name).to_owned())
        .collect()
}

const TROUBLESHOOTING: &str = include_str!("../../../docs/troubleshooting.md");
const CONFIGURATION: &str = include_str!("../../../docs/configuration.md");

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: U-3
    #[test]
    fn every_reason_is_explained() {
        for reason in Reason::ALL {
            let text = section(reason.code()).unwrap_or_default();
            let (heading, rest) = text.split_once("\n\n").unwrap_or_default();
            assert!(
                heading.contains(reason.code()) && rest.len() > 20,
                "{}: {text}",
                reason.code()
            );
            assert!(
                !rest.contains("\n### ") && !rest.contains("\n## "),
                "{text}"
            );
        }
        assert_eq!(section("no.such_reason"), None);
    }

    // REQ: U-3
    #[test]
    fn keys_are_explained_and_what_is_none_is_near_one() {
        let text = key("audit.write_ahead").unwrap_or_default();
        assert!(text.contains("Default: `\"destructive\"`"), "{text}");
        assert_eq!(key("audit.no_such_key"), None);
        assert!(near("hosts.not_allowed").contains(&"host.not_allowed".to_owned()));
        assert!(near("host.denied").contains(&"host.not_allowed".to_owned()));
        assert!(
            near("audit.x")
                .iter()
                .all(|name| name.starts_with("audit."))
        );
        assert!(near("audit.timeout").len() <= 8);
        assert_eq!(near("x.y"), [""; 0]);
    }
}

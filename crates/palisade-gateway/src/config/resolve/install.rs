//! What is run once before a command: the step that fetches its package.

use std::time::Duration;

use super::super::document::Said;
use super::super::file;
use super::super::problem::ProblemCode;
use super::super::settings::{Install, Value};
use super::{Resolver, above_nought};

/// `install.timeout`, where nobody says.
const TIMEOUT: Duration = Duration::from_secs(300);

impl Resolver<'_> {
    /// `[server.install]` of the command with these words; `None` where it cannot be read.
    pub(super) fn install(
        &mut self,
        said: &Said<file::Install>,
        words: &Said<Vec<Said<String>>>,
    ) -> Option<Install> {
        let section = self.section.clone();
        self.section = format!("{section}.install");
        let install = self.install_step(said, words);
        self.section = section;
        install
    }

    fn install_step(
        &mut self,
        said: &Said<file::Install>,
        words: &Said<Vec<Said<String>>>,
    ) -> Option<Install> {
        let (at, said) = (said.at, &said.value);
        let egress = self.allowlist(said.egress.as_ref());
        let mut timeout = Value::from(TIMEOUT);
        self.value(&mut timeout, said.timeout.as_ref(), "timeout", |text| {
            above_nought(text)
        });
        let texts = |words: &[Said<String>]| -> Vec<String> {
            words.iter().map(|word| word.value.clone()).collect()
        };
        let (command, at) = match &said.command {
            Some(command) => (Some(texts(&command.value)), command.at),
            None => (without_server(&texts(&words.value)), at),
        };
        let is_command = |words: &Vec<String>| {
            words.first().is_some_and(|program| !program.is_empty())
                && words.iter().all(|word| !word.contains('\0'))
        };
        let Some(command) = command.filter(is_command) else {
            self.report(
                ProblemCode::Missing,
                "command",
                at,
                "it is not known how to fetch the package without starting the server",
                "write `command` with what fetches it, such as `[\"npm\", \"ci\"]`",
            );
            return None;
        };
        let source = self.places.source(at);
        let command = command.into_iter();
        let command = command.map(|word| Value::new(word, source.clone()));
        Some(Install {
            command: Value::new(command.collect(), source.clone()),
            egress,
            timeout,
        })
    }
}

/// What fetches the package of an `npx` or `uvx` command and starts nothing of it; `None`: it is
/// neither, or has options that are not known here.
fn without_server(words: &[String]) -> Option<Vec<String>> {
    let (program, arguments) = words.split_first()?;
    let tail: &[&str] = match program.rsplit('/').next()? {
        "npx" => &["--", "node", "-e", ""],
        "uvx" => &["python", "-c", ""],
        _ => return None,
    };
    let npm = tail.len() == 4;
    let mut out = vec![program.clone()];
    let mut package = None;
    let mut arguments = arguments.iter();
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "-y" | "--yes" | "-q" | "--quiet" | "--prefer-offline" if npm => {
                out.push(word.clone());
            }
            "-q" | "--quiet" | "--isolated" | "--no-config" | "--prerelease=allow" if !npm => {
                out.push(word.clone());
            }
            "-p" | "--package" if npm => {
                package = Some(());
                out.extend([word.clone(), arguments.next()?.clone()]);
            }
            "--from" if !npm => {
                package = Some(());
                out.extend([word.clone(), arguments.next()?.clone()]);
            }
            "--with" | "-w" | "-p" | "--python" if !npm => {
                out.extend([word.clone(), arguments.next()?.clone()]);
            }
            "--" => {}
            option if option.starts_with("--package=") && npm => {
                package = Some(());
                out.push(word.clone());
            }
            option if option.starts_with("--from=") && !npm => {
                package = Some(());
                out.push(word.clone());
            }
            option
                if !npm && (option.starts_with("--with=") || option.starts_with("--python=")) =>
            {
                out.push(word.clone());
            }
            option if option.starts_with('-') => return None,
            name => {
                if package.is_none() {
                    let option = if npm { "--package" } else { "--from" };
                    out.extend([
                        option.to_owned(),
                        if npm { name.to_owned() } else { pinned(name) },
                    ]);
                }
                out.extend(tail.iter().map(|word| (*word).to_owned()));
                return Some(out);
            }
        }
    }
    None
}

/// `name@version` of `uvx` as a requirement: `name==version` (PEP 508).
fn pinned(name: &str) -> String {
    match name.split_once('@') {
        Some((name, "latest")) => name.to_owned(),
        Some((name, version)) => format!("{name}=={version}"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: E-3
    #[test]
    fn packages_without_their_servers() {
        let words = |text: &str| -> Vec<String> {
            text.split_whitespace()
                .map(|word| word.trim_matches('\'').to_owned())
                .collect()
        };
        for (command, expected) in [
            (
                "npx -y @scope/server@1.2.3 /srv -y",
                Some("npx -y --package @scope/server@1.2.3 -- node -e ''"),
            ),
            ("npx server", Some("npx --package server -- node -e ''")),
            (
                "/usr/bin/npx -y -p one --package=two -- server --port 1",
                Some("/usr/bin/npx -y -p one --package=two -- node -e ''"),
            ),
            (
                "uvx mcp-server-fetch@2026.10.24 --x",
                Some("uvx --from mcp-server-fetch==2026.10.24 python -c ''"),
            ),
            (
                "uvx mcp-server-fetch==1.0",
                Some("uvx --from mcp-server-fetch==1.0 python -c ''"),
            ),
            ("uvx a@latest", Some("uvx --from a python -c ''")),
            (
                "uvx --python 3.13 --with x --from pkg tool run",
                Some("uvx --python 3.13 --with x --from pkg python -c ''"),
            ),
            ("npx -c something", None),
            ("npx -y", None),
            ("npx -y -p", None),
            ("uvx --index x y", None),
            ("uvx --with", None),
            ("node server.js", None),
            ("npxx a", None),
            ("", None),
        ] {
            let derived = without_server(&words(command));
            assert_eq!(derived, expected.map(words), "{command}");
        }
    }
}

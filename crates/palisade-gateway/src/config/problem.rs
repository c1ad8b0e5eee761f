//! What is wrong with a configuration: every mistake at once, each with its place, its cause and
//! its remedy, as text in the manner of rustc or as JSON.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, renderer::DecorStyle};
use serde::Serialize;

use super::settings::{Position, Source};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Palisade does not start, a reload keeps the old configuration.
    Error,
    /// Palisade starts and says so.
    Warning,
}

/// The kind of a problem. Its code is stable: a log field, a documentation anchor and a topic of
/// `palisade explain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ProblemCode {
    /// A value is of the right type and still cannot be used.
    BadValue,
    /// Two values exclude each other.
    Contradiction,
    /// Two servers have the same name, or the same host and path.
    Duplicate,
    /// A file that the configuration names cannot be used.
    File,
    /// Something needed is missing.
    Missing,
    /// It would be insecure by accident (row G-11).
    Refused,
    /// Allowed, and risky.
    Risk,
    /// The file is not TOML.
    Syntax,
    /// This version does not know the key.
    UnknownKey,
    /// The value has another type than the key takes.
    WrongType,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Its kind.
    pub code: ProblemCode,
    /// The key with its sections, such as `cors.max_age` or `server.files.upstream`; empty where
    /// the file as a whole is meant.
    pub key: String,
    /// What is wrong, one sentence without a full stop.
    pub cause: String,
    /// What to do about it.
    pub remedy: Option<String>,
    /// Where it was said.
    pub place: Place,
}

/// Where a mistake was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// In an environment variable.
    Environment {
        /// Its name.
        name: String,
        /// What it holds.
        value: String,
    },
    /// In the configuration file.
    File(Position),
    /// In a flag or argument of the command line.
    Flag {
        /// Its name.
        name: String,
        /// What was given.
        value: String,
    },
    /// Nowhere: something was not said.
    #[default]
    Nowhere,
}

/// All problems of a configuration with what is needed to show them.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    file: Option<PathBuf>,
    text: String,
    list: Vec<Problem>,
    /// How many came when the list was full, and whether an error was among them.
    more: usize,
    more_errors: bool,
}

/// More problems than this are counted, not kept: nobody reads on, and a file of nothing but
/// mistakes costs no more than that.
const MOST: usize = 100;

impl ProblemCode {
    /// The stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadValue => "config.bad_value",
            Self::Contradiction => "config.contradiction",
            Self::Duplicate => "config.duplicate",
            Self::File => "config.file",
            Self::Missing => "config.missing",
            Self::Refused => "config.refused",
            Self::Risk => "config.risk",
            Self::Syntax => "config.syntax",
            Self::UnknownKey => "config.unknown_key",
            Self::WrongType => "config.wrong_type",
        }
    }
}

impl Problem {
    /// An error that was said nowhere in particular.
    pub fn error(code: ProblemCode, key: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            key: key.into(),
            cause: cause.into(),
            remedy: None,
            place: Place::Nowhere,
        }
    }

    /// The same as a warning.
    #[must_use]
    pub const fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The same with a remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The same at a place.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// The same at the place that a resolved value remembers. What an environment variable or a
    /// flag held is not known to it and not shown.
    #[must_use]
    pub fn at_source(self, source: &Source) -> Self {
        self.at(match source {
            Source::Default => Place::Nowhere,
            Source::Environment(name) => Place::Environment {
                name: name.to_string(),
                value: String::new(),
            },
            Source::File(position) => Place::File(*position),
            Source::Flag(name) => Place::Flag {
                name: name.to_string(),
                value: String::new(),
            },
        })
    }
}

impl Problems {
    /// None so far, of the file of this name and text.
    #[must_use]
    pub fn of(file: Option<&Path>, text: &str) -> Self {
        Self {
            file: file.map(Path::to_owned),
            text: masked(text),
            ..Self::default()
        }
    }

    /// Whether further problems are only counted.
    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MOST
    }

    /// Adds a problem, unless the very same one is known.
    pub fn push(&mut self, problem: Problem) {
        if self.is_full() {
            self.more += 1;
            self.more_errors |= problem.severity == Severity::Error;
        } else if !self.list.contains(&problem) {
            self.list.push(problem);
        }
    }

    /// Whether something is wrong with the key of this name, or of this name in some section.
    pub(super) fn concern(&self, key: &str) -> bool {
        let in_section = format!(".{key}");
        self.list
            .iter()
            .any(|problem| problem.key == key || problem.key.ends_with(&in_section))
    }

    /// Takes over what another list holds, without what `keep` rejects.
    pub(super) fn absorb(&mut self, other: Self, keep: impl Fn(&Problem) -> bool) {
        for problem in other.list {
            if keep(&problem) {
                self.push(problem);
            }
        }
        self.more += other.more;
        self.more_errors |= other.more_errors;
    }

    /// The problems: errors first, each kind in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.sorted().into_iter()
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.more_errors
            || self
                .list
                .iter()
                .any(|problem| problem.severity == Severity::Error)
    }

    /// Text for people. Colour only where asked for; without it nothing is lost.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let mut out = String::new();
        for problem in self.iter() {
            out.push_str(&renderer.render(&[self.group(problem)]));
            out.push_str("\n\n");
        }
        out.push_str(&self.summary());
        out
    }

    /// The same for machines: an array of objects with `severity`, `code`, `key`, `cause`,
    /// `remedy`, and `file`, `line`, `column` or `environment` or `flag`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let list = self.iter().map(|problem| {
            let mut object = serde_json::json!({
                "severity": problem.severity,
                "code": problem.code.code(),
                "key": problem.key,
                "cause": problem.cause,
                "remedy": problem.remedy,
            });
            match &problem.place {
                Place::Environment { name, .. } => object["environment"] = name.as_str().into(),
                Place::File(position) => {
                    object["file"] = self.file_name().into();
                    object["line"] = position.line.into();
                    object["column"] = position.column.into();
                }
                Place::Flag { name, .. } => object["flag"] = name.as_str().into(),
                Place::Nowhere => {}
            }
            object
        });
        serde_json::Value::Array(list.collect())
    }

    fn sorted(&self) -> Vec<&Problem> {
        let mut list: Vec<_> = self.list.iter().collect();
        let order = |place: &Place| match place {
            Place::File(position) => (0, position.start),
            Place::Environment { .. } => (1, 0),
            Place::Flag { .. } => (2, 0),
            Place::Nowhere => (3, 0),
        };
        list.sort_by_key(|problem| (problem.severity, order(&problem.place)));
        list
    }

    fn group<'a>(&'a self, problem: &'a Problem) -> Group<'a> {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = if problem.key.is_empty() {
            problem.cause.clone()
        } else {
            format!("`{}`: {}", problem.key, problem.cause)
        };
        let mut group = Group::with_title(level.primary_title(title).id(problem.code.code()));
        match &problem.place {
            Place::Environment { name, value } => {
                group = group.element(assignment("environment", name, "=", value));
            }
            Place::File(position) => {
                // A span must lie in the text; one that does not would only be our own mistake.
                let end = position.end.min(self.text.len());
                let start = position.start.min(end);
                group = group.element(
                    Snippet::source(self.text.as_str())
                        .path(self.file_name())
                        .annotation(AnnotationKind::Primary.span(start..end)),
                );
            }
            Place::Flag { name, value } => {
                group = group.element(assignment("command line", name, " ", value))
            }
            Place::Nowhere => {}
        }
        if let Some(remedy) = &problem.remedy {
            group = group.element(Level::HELP.message(remedy.as_str()));
        }
        group
    }

    fn summary(&self) -> String {
        let count = |severity| self.list.iter().filter(|p| p.severity == severity).count();
        let words = |count: usize, word: &str| match count {
            0 => None,
            1 => Some(format!("1 {word}")),
            n => Some(format!("{n} {word}s")),
        };
        let parts = [
            words(count(Severity::Error), "error"),
            words(count(Severity::Warning), "warning"),
        ];
        let more = (self.more > 0).then(|| format!("and {} more", self.more));
        let parts: Vec<_> = parts.into_iter().flatten().chain(more).collect();
        if parts.is_empty() {
            String::new()
        } else {
            format!("{}\n", parts.join(", "))
        }
    }

    fn file_name(&self) -> String {
        self.file.as_deref().map_or_else(
            || "configuration".to_owned(),
            |file| file.display().to_string(),
        )
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Problems {}

/// An environment variable or a flag, shown as if it stood in a file.
fn assignment<'a>(
    path: &'a str,
    name: &str,
    between: &str,
    value: &str,
) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
    let value = masked(value);
    let text = if value.is_empty() {
        name.to_owned()
    } else {
        format!("{name}{between}{value}")
    };
    let start = if value.is_empty() {
        0
    } else {
        name.len() + between.len()
    };
    let span = start..text.len();
    Snippet::source(text)
        .path(path)
        .annotation(AnnotationKind::Primary.span(span))
}

/// The text with everything that looks like a secret replaced, byte by byte, so that every place
/// in it stays where it is: what stands before `@` and after `?` in a URL, and what is assigned to
/// a key with a telling name.
fn masked(text: &str) -> String {
    const TELLING: [&str; 7] = [
        "secret",
        "token",
        "passw",
        "passphrase",
        "hash",
        "api_key",
        "apikey",
    ];
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let lower = line.to_ascii_lowercase();
        let mut hidden: Vec<Range<usize>> = Vec::new();
        for needle in TELLING {
            for (start, _) in lower.match_indices(needle) {
                let rest = &lower[start..];
                let name = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')
                    .unwrap_or(rest.len());
                let after = rest[name..].trim_start_matches(['"', '\'', ' ', '\t']);
                if after.starts_with('=') {
                    hidden.push(line.len() - after.len() + 1..line.len());
                }
            }
        }
        for (at, _) in lower.match_indices("://") {
            let start = at + 3;
            let url = &line[start..];
            let end = url
                .find(['"', '\'', ' ', ',', ']', '}', '\t', '\r', '\n'])
                .unwrap_or(url.len());
            let url = &url[..end];
            if let Some(user) = url.rfind('@') {
                hidden.push(start..start + user);
            }
            if let Some(query) = url.find('?') {
                hidden.push(start + query + 1..start + end);
            }
        }
        for (index, c) in line.char_indices() {
            let shown = matches!(
                c,
                '"' | '\'' | ' ' | '[' | ']' | '{' | '}' | ',' | '\t' | '\r' | '\n'
            );
            if !shown && hidden.iter().any(|range| range.contains(&index)) {
                out.extend(std::iter::repeat_n('*', c.len_utf8()));
            } else {
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: G-8
    #[test]
    fn secrets_are_masked_and_places_kept() {
        for (text, wanted) in [
            (
                "upstream = \"http://user:hunter2@host/mcp\"\n",
                "upstream = \"http://************@host/mcp\"\n",
            ),
            (
                "url = \"https://host/mcp?key=hunter2\"",
                "url = \"https://host/mcp?***********\"",
            ),
            (
                "secret = \"hunter2\"\nlisten = \"a\"",
                "secret = \"*******\"\nlisten = \"a\"",
            ),
            (
                "x = { API_KEY = \"hünter2\", b = 1 }",
                "x = { API_KEY = \"********\", * * * }",
            ),
            (
                "\"client-token\" = [\"a\", \"b\"]",
                "\"client-token\" = [\"*\", \"*\"]",
            ),
            (
                "# a token is not an assignment",
                "# a token is not an assignment",
            ),
            (
                "redis = \"rediss://:p@ss@host\"",
                "redis = \"rediss://*****@host\"",
            ),
            ("key = \"key.pem\"", "key = \"key.pem\""),
            ("", ""),
        ] {
            let masked = masked(text);
            assert_eq!(masked, wanted);
            assert_eq!(masked.len(), text.len());
        }
    }

    #[test]
    fn problems_beyond_the_hundredth_are_counted() {
        let mut problems = Problems::default();
        for index in 0..MOST {
            problems.push(Problem::error(ProblemCode::Risk, index.to_string(), "risky").warning());
        }
        assert!(!problems.has_errors());
        problems.push(Problem::error(ProblemCode::BadValue, "last", "wrong"));
        assert!(problems.has_errors());
        assert_eq!(problems.iter().count(), MOST);
        assert!(
            problems
                .render(false)
                .ends_with("100 warnings, and 1 more\n")
        );
    }
}

//! The environment and the command line, laid over the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::{Document, Kind, Step};
use super::problem::{Problem, ProblemCode, Problems};
use super::settings::Source;
use super::shape::{Shape, closest};

/// What the command line said. Flags win over the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `serve URL`: one server, in place of those of a file.
    pub url: Option<String>,
    /// `serve -- COMMAND…`: the same, for a command.
    pub command: Vec<String>,
    /// `--listen`.
    pub listen: Vec<String>,
    /// `--host`.
    pub hosts: Vec<String>,
    /// `--origin`.
    pub origins: Vec<String>,
    /// `--mode`.
    pub mode: Option<String>,
    /// `--workers`.
    pub workers: Option<i64>,
    /// `--dev`.
    pub dev: bool,
    /// What asks for the settings needs no server: `palisade egress`.
    pub without_servers: bool,
}

/// The name of the one server of `serve URL`.
pub(super) const URL_SERVER: &str = "mcp";

/// Names that begin like ours and are read elsewhere.
const ELSEWHERE: [&str; 3] = ["PALISADE_CONFIG", "PALISADE_LOG", "PALISADE_NO_PROGRESS"];

/// Lays the variables over the document. A list is separated by commas, or written as TOML where an
/// entry holds one: `["https://a{1,2}"]`. Yields `SERVER_VERSION`, which is no key of the file.
pub(super) fn lay_environment(
    document: &mut Document,
    shape: &Shape,
    variables: impl IntoIterator<Item = (String, String)>,
    problems: &mut Problems,
) -> Option<(String, Source)> {
    // An empty variable is an unset one: compose files and charts pass those on.
    let variables: BTreeMap<String, String> = variables
        .into_iter()
        .filter(|(_, value)| !value.trim().is_empty())
        .collect();
    let mut version = None;
    let mut ours = Vec::new();
    for (name, value) in &variables {
        let path = match name.as_str() {
            "CORS_ALLOWED_ORIGINS" => vec!["cors".to_owned(), "origins".to_owned()],
            "MCP_ALLOWED_HOST" => vec!["hosts".to_owned()],
            "SERVER_VERSION" => {
                document.places.remember(name, value);
                version = Some((value.clone(), Source::Environment(Arc::from(name.as_str()))));
                continue;
            }
            other if ELSEWHERE.contains(&other) => continue,
            other => match other.strip_prefix("PALISADE_") {
                Some(rest) => rest
                    .to_ascii_lowercase()
                    .split("__")
                    .map(str::to_owned)
                    .collect(),
                None => continue,
            },
        };
        ours.push((name, value, path));
    }
    // A server that the environment alone defines must be there before its other keys, and the
    // long form of a name wins over the short one: names without our prefix come first.
    ours.sort_by_key(|(name, _, path)| {
        (
            name.starts_with("PALISADE_"),
            path.last().is_none_or(|key| !makes_a_server(key)),
        )
    });
    for (name, value, path) in ours {
        document.places.remember(name, value);
        let source = Source::Environment(Arc::from(name.as_str()));
        match find(document, shape, &path, &source) {
            Ok((steps, shape)) => document.set(&steps, coerce(shape, value), source),
            Err(remedy) => problems.push(
                Problem::error(
                    ProblemCode::UnknownKey,
                    "",
                    format!("no key of this version has the name {name}"),
                )
                .warning()
                .remedy(remedy)
                // What it holds may be someone's secret.
                .at_source(&source),
            ),
        }
    }
    version
}

/// Lays the flags over the document.
pub(super) fn lay_flags(document: &mut Document, flags: &Flags) {
    let mut set = |path: &[&str], flag: &str, given: &str, kind: Kind| {
        document.places.remember(flag, given);
        let steps: Vec<_> = path
            .iter()
            .map(|key| Step::Key((*key).to_owned()))
            .collect();
        document.set(&steps, kind, Source::Flag(Arc::from(flag)));
    };
    for (path, flag, values) in [
        (&["listen"][..], "--listen", &flags.listen),
        (&["hosts"][..], "--host", &flags.hosts),
        (&["cors", "origins"][..], "--origin", &flags.origins),
    ] {
        if !values.is_empty() {
            set(
                path,
                flag,
                &values.join(" "),
                strings(values.iter().cloned()),
            );
        }
    }
    if let Some(mode) = &flags.mode {
        set(&["mode"], "--mode", mode, Kind::String(mode.clone()));
    }
    if let Some(workers) = flags.workers {
        set(
            &["workers"],
            "--workers",
            &workers.to_string(),
            Kind::Integer(workers),
        );
    }
    // The environment may have said more of the server, but not what the command line says.
    set_backend(document, flags);
}

/// Whether a server's key is enough for there to be one.
fn makes_a_server(key: &str) -> bool {
    key == "upstream" || key == "command"
}

/// Makes the server of `serve URL` or `serve -- COMMAND…`, so that the environment can say more of it.
pub(super) fn lay_url(document: &mut Document, flags: &Flags, problems: &mut Problems) {
    let given = match (&flags.url, flags.command.is_empty()) {
        (Some(url), _) => {
            document.places.remember("URL", url);
            "URL"
        }
        (None, false) => {
            document
                .places
                .remember("COMMAND", &flags.command.join(" "));
            "COMMAND"
        }
        (None, true) => return,
    };
    if server_names(document).next().is_some() {
        problems.push(
            Problem::error(
                ProblemCode::Contradiction,
                "server",
                format!("a {given} was given, and the file names servers as well"),
            )
            .remedy(format!(
                "leave the {given} away, or take the servers out of the file"
            ))
            .at(document.places.place_of(&Source::Flag(Arc::from(given)))),
        );
        return;
    }
    set_backend(document, flags);
}

fn set_backend(document: &mut Document, flags: &Flags) {
    let (key, flag, kind) = match (&flags.url, flags.command.is_empty()) {
        (Some(url), _) => ("upstream", "URL", Kind::String(url.clone())),
        (None, false) => ("command", "COMMAND", strings(flags.command.iter().cloned())),
        (None, true) => return,
    };
    if server_names(document)
        .next()
        .is_some_and(|name| name != URL_SERVER)
    {
        return;
    }
    let source = Source::Flag(Arc::from(flag));
    let name = Kind::String(URL_SERVER.to_owned());
    for (key, value) in [("name", name), (key, kind)] {
        let steps = [
            Step::Key("server".to_owned()),
            Step::Element(0),
            Step::Key(key.to_owned()),
        ];
        document.set(&steps, value, source.clone());
    }
}

/// A server's or tool's name as it stands in a variable's name, in lower case.
pub(super) fn environment_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    };
    name.chars().map(plain).collect()
}

/// The steps to a key, or the remedy for one that is not there.
fn find<'a>(
    document: &mut Document,
    shape: &'a Shape,
    path: &[String],
    source: &Source,
) -> Result<(Vec<Step>, &'a Shape), String> {
    let mut steps = Vec::new();
    let mut shape = shape;
    let mut rest = path.iter();
    while let Some(segment) = rest.next() {
        let Some(keys) = &shape.table else {
            return Err("the key takes no keys of its own".to_owned());
        };
        if let Some(others) = &keys.others {
            let tools = node_at(document, &steps).map(|node| match &node.kind {
                Kind::Table(entries) => entries.iter().map(|entry| entry.key.clone()).collect(),
                _ => Vec::new(),
            });
            let found = tools
                .unwrap_or_default()
                .into_iter()
                .find(|name| environment_name(name) == *segment);
            let Some(name) = found else {
                return Err("name the tool in the configuration file first".to_owned());
            };
            steps.push(Step::Key(name));
            shape = others;
            continue;
        }
        let Some(inner) = keys.known.get(segment) else {
            return Err(closest(segment, keys.known.keys().map(String::as_str)).map_or_else(
                || "unset it; a name is PALISADE_KEY or PALISADE_SECTION__KEY, with two underscores".to_owned(),
                |meant| {
                    let before = path.iter().take_while(|earlier| !std::ptr::eq(*earlier, segment));
                    let name: Vec<_> = before.map(String::as_str).chain([meant]).collect();
                    format!("did you mean PALISADE_{}?", name.join("__").to_ascii_uppercase())
                },
            ));
        };
        steps.push(Step::Key(segment.clone()));
        shape = inner;
        if let Some(items) = shape
            .array
            .as_deref()
            .filter(|items| items.table.is_some() && items.strings.is_none())
        {
            let Some(name) = rest.next() else {
                return Err("a server's name and its key must follow".to_owned());
            };
            let known: Vec<_> = server_names(document).collect();
            let index = match known
                .iter()
                .position(|known| environment_name(known) == *name)
            {
                Some(index) => index,
                None if matches!(rest.as_slice(), [key] if makes_a_server(key)) => {
                    let at = [
                        steps.as_slice(),
                        &[Step::Element(known.len()), Step::Key("name".to_owned())],
                    ]
                    .concat();
                    document.set(&at, Kind::String(name.clone()), source.clone());
                    known.len()
                }
                None => {
                    return Err(format!(
                        "there is no server `{name}`; its UPSTREAM or COMMAND variable would make one"
                    ));
                }
            };
            steps.push(Step::Element(index));
            shape = items;
        }
    }
    if shape.table.is_some() && shape.strings.is_none() && shape.booleans.is_none() {
        return Err("it names a section; a key must follow after two underscores".to_owned());
    }
    Ok((steps, shape))
}

fn node_at<'a>(document: &'a Document, steps: &[Step]) -> Option<&'a super::document::Node> {
    steps
        .iter()
        .try_fold(&document.root, |node, step| match (step, &node.kind) {
            (Step::Key(key), _) => node.get(key),
            (Step::Element(index), Kind::Array(nodes)) => nodes.get(*index),
            (Step::Element(_), _) => None,
        })
}

/// The servers' names in their order; empty for one that has none.
fn server_names(document: &Document) -> impl Iterator<Item = String> + use<> {
    let servers = match document.root.get("server").map(|node| &node.kind) {
        Some(Kind::Array(nodes)) => nodes.as_slice(),
        _ => &[],
    };
    let names: Vec<_> = servers
        .iter()
        .map(|node| match node.get("name").map(|name| &name.kind) {
            Some(Kind::String(name)) => name.clone(),
            _ => String::new(),
        })
        .collect();
    names.into_iter()
}

/// Text as the type that the key takes; what does not fit stays a string and is reported as one.
fn coerce(shape: &Shape, text: &str) -> Kind {
    let text = text.trim();
    let is_toml = (text.starts_with('{') && (shape.table.is_some() || shape.array.is_some()))
        || (text.starts_with('[') && shape.array.is_some());
    if is_toml {
        // `[::1]:8080` begins like an array and is none.
        let (inner, errors) = Document::read(&format!("value = {text}\n"));
        if errors.is_empty()
            && let Some(node) = inner.root.get("value")
        {
            return node.kind.clone();
        }
    }
    if shape.booleans.is_some() && (text == "true" || text == "false") {
        return Kind::Boolean(text == "true");
    }
    if shape.integers.is_some()
        && let Ok(number) = text.parse()
    {
        return Kind::Integer(number);
    }
    if shape.array.is_some() {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        return strings(parts.map(str::to_owned));
    }
    Kind::String(text.to_owned())
}

/// An array of strings; `set` gives it its place.
fn strings(values: impl Iterator<Item = String>) -> Kind {
    let (inner, _) = Document::read("");
    let at = inner.root.at;
    Kind::Array(
        values
            .map(|value| super::document::Node {
                at,
                kind: Kind::String(value),
            })
            .collect(),
    )
}

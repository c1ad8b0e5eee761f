//! The known key tree, read out of the schema, and the walk of a document against it: it finds
//! every unknown key and every wrong type, and takes them out so that the rest can be read.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::document::{Kind, Node, Places};
use super::problem::{Problem, ProblemCode, Problems};

/// What a key takes: one slot for each type of TOML.
#[derive(Clone, Debug, Default)]
pub(super) struct Shape {
    /// `Some(vec![])`: any string.
    pub(super) strings: Option<Vec<String>>,
    /// The smallest and the largest.
    pub(super) integers: Option<(i64, i64)>,
    /// `Some(Some(false))`: `false` alone.
    pub(super) booleans: Option<Option<bool>>,
    pub(super) array: Option<Box<Self>>,
    pub(super) table: Option<Keys>,
    default: Option<Json>,
}

/// What a table takes.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    pub(super) known: BTreeMap<String, Shape>,
    /// The shape under keys of any other name, where such are allowed.
    pub(super) others: Option<Box<Shape>>,
    required: Vec<String>,
}

impl Shape {
    /// Reads a schema that has no references.
    pub(super) fn of(schema: &Json) -> Self {
        let mut shape = Self {
            default: schema.get("default").cloned(),
            ..Self::default()
        };
        shape.add(schema);
        shape
    }

    /// Walks a document; what is wrong is reported and taken out.
    pub(super) fn check(&self, root: &mut Node, places: &Places, problems: &mut Problems) {
        Walk {
            root: self,
            places,
            problems,
        }
        .node(root, self, "");
    }

    fn add(&mut self, schema: &Json) {
        if let Some(Json::Array(alternatives)) = schema.get("anyOf") {
            alternatives
                .iter()
                .for_each(|alternative| self.add(alternative));
        }
        let number = |key: &str| schema.get(key).and_then(Json::as_i64);
        match schema.get("type").and_then(Json::as_str) {
            Some("array") => {
                self.array = schema.get("items").map(|items| Box::new(Self::of(items)));
            }
            Some("boolean") => {
                let only = schema.get("enum").and_then(Json::as_array);
                self.booleans = Some(only.and_then(|list| list.first()).and_then(Json::as_bool));
            }
            Some("integer") => {
                self.integers = Some((
                    number("minimum").unwrap_or(i64::MIN),
                    number("maximum").unwrap_or(i64::MAX),
                ));
            }
            Some("object") => self.table = Some(Keys::of(schema)),
            Some("string") => {
                let words = schema.get("enum").and_then(Json::as_array);
                let words = words.map(|list| {
                    list.iter()
                        .filter_map(|word| word.as_str().map(str::to_owned))
                        .collect()
                });
                self.strings = Some(words.unwrap_or_default());
            }
            _ => {}
        }
    }

    /// The types it takes, in words.
    fn expected(&self) -> String {
        let mut parts = Vec::new();
        if self.strings.is_some() {
            parts.push("a string");
        }
        if self.integers.is_some() {
            parts.push("a whole number");
        }
        match self.booleans {
            Some(None) => parts.push("true or false"),
            Some(Some(false)) => parts.push("false"),
            Some(Some(true)) => parts.push("true"),
            None => {}
        }
        if let Some(items) = &self.array {
            parts.push(if items.table.is_some() && items.strings.is_none() {
                "an array of tables"
            } else if items.table.is_some() {
                "an array"
            } else {
                "an array of strings"
            });
        }
        if self.table.is_some() {
            parts.push("a table");
        }
        parts.join(" or ")
    }
}

impl Keys {
    fn of(schema: &Json) -> Self {
        let known = schema.get("properties").and_then(Json::as_object);
        let known = known.map(|map| {
            map.iter()
                .map(|(key, schema)| (key.clone(), Shape::of(schema)))
                .collect()
        });
        Self {
            known: known.unwrap_or_default(),
            others: schema
                .get("additionalProperties")
                .filter(|others| others.is_object())
                .map(|others| Box::new(Shape::of(others))),
            required: schema
                .get("required")
                .and_then(Json::as_array)
                .map(|list| {
                    list.iter()
                        .filter_map(|key| key.as_str().map(str::to_owned))
                        .collect()
                })
                .unwrap_or_default(),
        }
    }
}

struct Walk<'a> {
    root: &'a Shape,
    places: &'a Places,
    problems: &'a mut Problems,
}

impl Walk<'_> {
    /// Whether the node can stay.
    fn node(&mut self, node: &mut Node, shape: &Shape, path: &str) -> bool {
        let at = node.at;
        match &mut node.kind {
            Kind::Array(nodes) => {
                if let Some(items) = &shape.array {
                    let names: Vec<_> = nodes
                        .iter()
                        .enumerate()
                        .map(|(index, node)| element(path, index, node))
                        .collect();
                    let mut names = names.iter();
                    nodes.retain_mut(|node| {
                        let name = names.next().map_or(path, String::as_str);
                        self.node(node, items, name)
                    });
                    return true;
                }
            }
            Kind::Boolean(value) => match shape.booleans {
                Some(None) => return true,
                Some(Some(only)) if only == *value => return true,
                _ => {}
            },
            Kind::Datetime | Kind::Float => {}
            Kind::Integer(value) => {
                if let Some((least, most)) = shape.integers {
                    if (least..=most).contains(value) {
                        return true;
                    }
                    let remedy = if most == i64::MAX {
                        format!("write a whole number of at least {least}")
                    } else {
                        format!("write a whole number between {least} and {most}")
                    };
                    self.problems.push(
                        Problem::error(
                            ProblemCode::BadValue,
                            path,
                            format!("{value} is out of range"),
                        )
                        .remedy(remedy)
                        .at(self.places.place(at)),
                    );
                    return false;
                }
            }
            Kind::String(value) => {
                if let Some(words) = &shape.strings {
                    if words.is_empty() || words.contains(value) {
                        return true;
                    }
                    let cause = format!("{} is not a value of this key", quote(value));
                    let list: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
                    let remedy = closest(value, words.iter().map(String::as_str)).map_or_else(
                        || format!("write {}", list.join(" or ")),
                        |word| format!("did you mean \"{word}\"? it takes {}", list.join(" or ")),
                    );
                    self.problems.push(
                        Problem::error(ProblemCode::BadValue, path, cause)
                            .remedy(remedy)
                            .at(self.places.place(at)),
                    );
                    return false;
                }
            }
            Kind::Table(entries) => {
                if let Some(keys) = &shape.table {
                    let before = entries.len();
                    entries.retain_mut(|entry| {
                        let path = join(path, &entry.key);
                        match keys.known.get(&entry.key).or(keys.others.as_deref()) {
                            Some(shape) => self.node(&mut entry.value, shape, &path),
                            None => {
                                let remedy = self.remedy(&entry.key, keys);
                                self.problems.push(
                                    Problem::error(
                                        ProblemCode::UnknownKey,
                                        path,
                                        "this version of Palisade does not know the key",
                                    )
                                    .remedy(remedy)
                                    .at(self.places.place(entry.key_at)),
                                );
                                false
                            }
                        }
                    });
                    // What lacks because it was taken out has been reported already.
                    let lacking = keys
                        .required
                        .iter()
                        .find(|key| entries.iter().all(|e| e.key != **key));
                    return match lacking {
                        Some(key) if entries.len() == before => {
                            self.problems.push(
                                Problem::error(
                                    ProblemCode::Missing,
                                    join(path, key),
                                    "it is missing here",
                                )
                                .remedy(format!("add `{key}`"))
                                .at(self.places.place(at)),
                            );
                            false
                        }
                        lacking => lacking.is_none(),
                    };
                }
            }
        }
        let example = shape
            .default
            .as_ref()
            .filter(|default| !default.is_boolean())
            .map(|default| format!(", such as `{default}`"));
        let is_array_of_tables = shape
            .array
            .as_ref()
            .is_some_and(|items| items.table.is_some() && items.strings.is_none());
        let remedy = if is_array_of_tables {
            format!("write `[[{path}]]`, in two brackets, and the keys below it")
        } else if shape.table.is_some() && shape.strings.is_none() && shape.booleans.is_none() {
            format!("write `[{path}]` and the keys below it")
        } else {
            format!("write {}{}", shape.expected(), example.unwrap_or_default())
        };
        self.problems.push(
            Problem::error(
                ProblemCode::WrongType,
                path,
                format!("it takes {}, not {}", shape.expected(), node.type_name()),
            )
            .remedy(remedy)
            .at(self.places.place(at)),
        );
        false
    }

    fn remedy(&self, key: &str, keys: &Keys) -> String {
        // The search takes longer than anything else here, and what comes now is not shown.
        if self.problems.is_full() {
            return String::new();
        }
        if let Some(meant) = closest(key, keys.known.keys().map(String::as_str)) {
            return format!("did you mean `{meant}`?");
        }
        let mut elsewhere = Vec::new();
        sections_with(key, self.root, "", &mut elsewhere);
        match elsewhere.as_slice() {
            [only] => format!("it belongs to {only}"),
            [one, other] => format!("it belongs to {one} or {other}"),
            _ => "take it out; `palisade config schema` shows every key of this version".to_owned(),
        }
    }
}

/// The known word that is nearest to what was written, if one is near.
pub(super) fn closest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.replace('-', "_").to_ascii_lowercase();
    let allowed = (written.chars().count() / 3).clamp(1, 3);
    known
        .map(|word| (distance(&written, &word.replace('-', "_")), word))
        .filter(|(distance, word)| *distance <= allowed && *distance < word.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Edits between two words: insert, delete, replace, swap of neighbours.
fn distance(a: &str, b: &str) -> usize {
    // Long words are typed by nobody; they only cost time.
    if a.len() > 64 || b.len() > 64 {
        return usize::MAX;
    }
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1)
                .min(rows[i][j - 1] + 1)
                .min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

/// The sections (not the servers' own) that know a key.
fn sections_with(key: &str, shape: &Shape, path: &str, found: &mut Vec<String>) {
    let Some(keys) = &shape.table else { return };
    for (name, inner) in &keys.known {
        if name == key {
            found.push(if path.is_empty() {
                "the top of the file, above every section".to_owned()
            } else {
                format!("`[{path}]`")
            });
        }
        let path = join(path, name);
        sections_with(key, inner, &path, found);
        if path == "server"
            && inner
                .array
                .as_ref()
                .and_then(|items| items.table.as_ref())
                .is_some_and(|keys| keys.known.contains_key(key))
        {
            found.push("`[[server]]`".to_owned());
        }
    }
}

fn element(path: &str, index: usize, node: &Node) -> String {
    if path != "server" {
        return path.to_owned();
    }
    match node.get("name").map(|name| &name.kind) {
        Some(Kind::String(name)) if !name.is_empty() => join(path, name),
        _ => format!("{path}.#{}", index + 1),
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// What was written, short and on one line.
fn quote(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    let more = if short.len() < text.len() { "…" } else { "" };
    format!("\"{}{more}\"", short.escape_debug())
}

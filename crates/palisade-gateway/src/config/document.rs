//! The document: the file, the environment and the flags laid over each other in one tree, in
//! which each key and value remembers where it was said.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::de::value::MapDeserializer;
use serde::de::{self, Deserialize, DeserializeOwned, IntoDeserializer, MapAccess, Visitor};
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem, ProblemCode};
use super::settings::{Position, Source};

/// A place in the document's list of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At(u32);

/// A value with its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said<T> {
    pub(super) value: T,
    pub(super) at: At,
}

/// One value of the tree.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) kind: Kind,
}

/// What a [`Node`] is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Array(Vec<Node>),
    Boolean(bool),
    Datetime,
    Float,
    Integer(i64),
    String(String),
    Table(Vec<Entry>),
}

/// One key of a table with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: At,
    pub(super) value: Node,
}

/// The tree and the places in it.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) root: Node,
    pub(super) places: Places,
}

/// Every place of a document.
#[derive(Debug)]
pub(super) struct Places {
    list: Vec<Source>,
    line_starts: Vec<usize>,
    text: String,
    /// What each variable and flag held, to show it when it is wrong.
    given: BTreeMap<String, String>,
}

impl Document {
    /// Reads TOML. What cannot be read is left out and reported.
    pub(super) fn read(text: &str) -> (Self, Vec<Problem>) {
        let mut places = Places::of(text);
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut problems = Vec::new();
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            let remedy = if error.message().starts_with("duplicate") {
                "keep one of them, with what belongs to both"
            } else {
                "see toml.io for the syntax"
            };
            problems.push(
                Problem::error(ProblemCode::Syntax, "", error.message())
                    .remedy(remedy)
                    .at(Place::File(places.position(span))),
            );
        }
        let at = places.file(table.span());
        let entries = entries(table.get_ref(), &mut places, &mut problems);
        let root = Node {
            at,
            kind: Kind::Table(entries),
        };
        (Self { root, places }, problems)
    }

    /// Puts a value at a path, making the tables on the way. Steps of the form `[n]` choose an
    /// element of an array. What stands in the way is replaced.
    pub(super) fn set(&mut self, path: &[Step], kind: Kind, source: Source) {
        let at = self.places.add(source);
        let mut node = &mut self.root;
        for step in path {
            node = match step {
                Step::Key(key) => {
                    if !matches!(node.kind, Kind::Table(_)) {
                        *node = Node {
                            at,
                            kind: Kind::Table(Vec::new()),
                        };
                    }
                    let Kind::Table(entries) = &mut node.kind else {
                        return;
                    };
                    let index = entries
                        .iter()
                        .position(|e| e.key == *key)
                        .unwrap_or_else(|| {
                            entries.push(Entry {
                                key: key.clone(),
                                key_at: at,
                                value: Node {
                                    at,
                                    kind: Kind::Table(Vec::new()),
                                },
                            });
                            entries.len() - 1
                        });
                    &mut entries[index].value
                }
                Step::Element(index) => {
                    if !matches!(node.kind, Kind::Array(_)) {
                        *node = Node {
                            at,
                            kind: Kind::Array(Vec::new()),
                        };
                    }
                    let Kind::Array(nodes) = &mut node.kind else {
                        return;
                    };
                    while nodes.len() <= *index {
                        nodes.push(Node {
                            at,
                            kind: Kind::Table(Vec::new()),
                        });
                    }
                    &mut nodes[*index]
                }
            };
        }
        *node = Node { at, kind };
        node.place_everywhere(at);
    }

    /// The typed form. The tree must have been checked before: then this cannot fail.
    pub(super) fn typed<T: DeserializeOwned>(&self) -> Result<T, Box<Problem>> {
        T::deserialize(&self.root).map_err(|error: de::value::Error| {
            let cause = format!("the configuration cannot be read: {error}");
            let problem = Problem::error(ProblemCode::BadValue, "", cause);
            Box::new(problem.remedy("compare it with `palisade config schema`"))
        })
    }
}

/// One step of a path into a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Element(usize),
    Key(String),
}

impl Node {
    /// The value of a key, if this is a table that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Table(entries) => entries.iter().find(|e| e.key == key).map(|e| &e.value),
            _ => None,
        }
    }

    /// The type as messages name it.
    pub(super) const fn type_name(&self) -> &'static str {
        match &self.kind {
            Kind::Array(_) => "an array",
            Kind::Boolean(_) => "a boolean",
            Kind::Datetime => "a date",
            Kind::Float => "a fraction",
            Kind::Integer(_) => "a whole number",
            Kind::String(_) => "a string",
            Kind::Table(_) => "a table",
        }
    }

    fn place_everywhere(&mut self, at: At) {
        self.at = at;
        match &mut self.kind {
            Kind::Array(nodes) => nodes.iter_mut().for_each(|node| node.place_everywhere(at)),
            Kind::Table(entries) => entries.iter_mut().for_each(|entry| {
                entry.key_at = at;
                entry.value.place_everywhere(at);
            }),
            _ => {}
        }
    }
}

impl Places {
    fn of(text: &str) -> Self {
        let starts = text
            .bytes()
            .enumerate()
            .filter(|(_, b)| *b == b'\n')
            .map(|(i, _)| i + 1);
        Self {
            list: vec![Source::Default],
            line_starts: std::iter::once(0).chain(starts).collect(),
            text: text.to_owned(),
            given: BTreeMap::new(),
        }
    }

    /// What was said at this place came from there.
    pub(super) fn source(&self, at: At) -> Source {
        self.list.get(at.0 as usize).cloned().unwrap_or_default()
    }

    /// The same for a [`Problem`].
    pub(super) fn place(&self, at: At) -> Place {
        self.place_of(&self.source(at))
    }

    /// The place that a source names, with what was given there.
    pub(super) fn place_of(&self, source: &Source) -> Place {
        let given = |name: &str| self.given.get(name).cloned().unwrap_or_default();
        match source {
            Source::Default => Place::Nowhere,
            Source::Environment(name) => Place::Environment {
                value: given(name),
                name: name.to_string(),
            },
            Source::File(position) => Place::File(*position),
            Source::Flag(name) => Place::Flag {
                value: given(name),
                name: name.to_string(),
            },
        }
    }

    /// Remembers what a variable or flag held.
    pub(super) fn remember(&mut self, name: &str, value: &str) {
        self.given.insert(name.to_owned(), value.to_owned());
    }

    fn add(&mut self, source: Source) -> At {
        let index = u32::try_from(self.list.len()).unwrap_or(0);
        self.list.push(source);
        At(index)
    }

    fn file(&mut self, span: Range<usize>) -> At {
        let position = self.position(span);
        self.add(Source::File(position))
    }

    fn position(&self, span: Range<usize>) -> Position {
        let start = span.start.min(self.text.len());
        let line = self.line_starts.partition_point(|line| *line <= start);
        let line_start = line
            .checked_sub(1)
            .and_then(|i| self.line_starts.get(i))
            .copied()
            .unwrap_or(0);
        let column = self
            .text
            .get(line_start..start)
            .map_or(0, |text| text.chars().count());
        Position {
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column + 1).unwrap_or(u32::MAX),
            start,
            end: span.end.min(self.text.len()).max(start),
        }
    }
}

fn entries(table: &DeTable<'_>, places: &mut Places, problems: &mut Vec<Problem>) -> Vec<Entry> {
    let mut list: Vec<_> = table.iter().collect();
    list.sort_by_key(|(key, _)| key.span().start);
    list.into_iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_at: places.file(key.span()),
            value: node(value, places, problems),
        })
        .collect()
}

fn node(
    value: &toml::Spanned<DeValue<'_>>,
    places: &mut Places,
    problems: &mut Vec<Problem>,
) -> Node {
    let at = places.file(value.span());
    let kind = match value.get_ref() {
        DeValue::Array(array) => Kind::Array(
            array
                .iter()
                .map(|value| node(value, places, problems))
                .collect(),
        ),
        DeValue::Boolean(value) => Kind::Boolean(*value),
        DeValue::Datetime(_) => Kind::Datetime,
        DeValue::Float(_) => Kind::Float,
        DeValue::Integer(value) => match i64::from_str_radix(value.as_str(), value.radix()) {
            Ok(value) => Kind::Integer(value),
            Err(_) => {
                problems.push(
                    Problem::error(ProblemCode::BadValue, "", "the number is too large")
                        .remedy("write a number below 9,223,372,036,854,775,808")
                        .at(places.place(at)),
                );
                Kind::Integer(1)
            }
        },
        DeValue::String(value) => Kind::String(value.to_string()),
        DeValue::Table(table) => Kind::Table(entries(table, places, problems)),
    };
    Node { at, kind }
}

// === serde: from a checked tree to typed values, places kept ===

const SAID: &str = "$palisade::Said";
const SAID_FIELDS: [&str; 2] = ["value", "at"];

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Said<T> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SaidVisitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for SaidVisitor<T> {
            type Value = Said<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value with its place")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let missing = || de::Error::custom("a value without its place");
                let _: String = map.next_key()?.ok_or_else(missing)?;
                let value = map.next_value()?;
                let _: String = map.next_key()?.ok_or_else(missing)?;
                let at = At(map.next_value()?);
                Ok(Said { value, at })
            }
        }

        deserializer.deserialize_struct(SAID, &SAID_FIELDS, SaidVisitor(std::marker::PhantomData))
    }
}

/// Hands out `value`, then `at`.
struct SaidAccess<'a> {
    node: &'a Node,
    next: u8,
}

impl<'de> MapAccess<'de> for SaidAccess<'de> {
    type Error = de::value::Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        match SAID_FIELDS.get(usize::from(self.next)) {
            Some(field) => seed.deserialize((*field).into_deserializer()).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Self::Error> {
        self.next += 1;
        if self.next == 1 {
            seed.deserialize(self.node)
        } else {
            seed.deserialize(self.node.at.0.into_deserializer())
        }
    }
}

impl<'de> IntoDeserializer<'de, de::value::Error> for &'de Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> de::Deserializer<'de> for &'de Node {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match &self.kind {
            Kind::Array(nodes) => visitor.visit_seq(de::value::SeqDeserializer::new(nodes.iter())),
            Kind::Boolean(value) => visitor.visit_bool(*value),
            Kind::Datetime | Kind::Float => Err(de::Error::custom("no key takes this type")),
            Kind::Integer(value) => visitor.visit_i64(*value),
            Kind::String(value) => visitor.visit_borrowed_str(value),
            Kind::Table(entries) => {
                let pairs = entries
                    .iter()
                    .map(|entry| (entry.key.as_str(), &entry.value));
                visitor.visit_map(MapDeserializer::new(pairs))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_some(self)
    }

    /// A single value counts as an array of one: only keys that allow it get here so.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match &self.kind {
            Kind::Array(_) => self.deserialize_any(visitor),
            _ => visitor.visit_seq(de::value::SeqDeserializer::new(std::iter::once(self))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        if name == SAID {
            visitor.visit_map(SaidAccess {
                node: self,
                next: 0,
            })
        } else {
            self.deserialize_any(visitor)
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct tuple tuple_struct map enum identifier ignored_any
    }
}

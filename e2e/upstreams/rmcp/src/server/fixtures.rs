//! `../fixtures.json`: what both servers offer.

use std::sync::LazyLock;

use rmcp::ErrorData;
use rmcp::model::JsonObject;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(crate) static FIXTURES: LazyLock<Fixtures> = LazyLock::new(|| {
    Fixtures(
        serde_json::from_str(include_str!("../../../fixtures.json"))
            .expect("fixtures.json is JSON"),
    )
});

pub(crate) struct Fixtures(Value);

impl Fixtures {
    pub(crate) fn tool(&self, name: &str) -> Option<&Value> {
        self.entry("tools", "tool", name)
    }

    pub(crate) fn prompt(&self, name: &str) -> Option<&Value> {
        self.entry("prompts", "prompt", name)
    }

    /// The descriptions of all entries of a kind.
    pub(crate) fn all<T: DeserializeOwned>(
        &self,
        kind: &str,
        key: &str,
    ) -> Result<Vec<T>, ErrorData> {
        self.entries(kind)
            .map(|entry| typed(entry[key].clone()))
            .collect()
    }

    /// The content of a resource, by its URI or by the template that fits it.
    pub(crate) fn resource(&self, uri: &str) -> Option<Value> {
        if let Some(entry) = self
            .entries("resources")
            .find(|entry| entry["resource"]["uri"] == uri)
        {
            let mut content = json!({ "uri": uri, "mimeType": entry["resource"]["mimeType"] });
            for key in ["text", "blob"] {
                if let Some(body) = entry.get(key) {
                    content[key] = body.clone();
                }
            }
            return Some(content);
        }
        self.entries("templates").find_map(|entry| {
            let template = &entry["template"];
            let (before, after) = template["uriTemplate"].as_str()?.split_once("{id}")?;
            let id = uri.strip_prefix(before)?.strip_suffix(after)?;
            if id.is_empty() || id.contains('/') {
                return None;
            }
            let values = JsonObject::from_iter([("id".to_owned(), json!(id))]);
            let text = fill(entry["text"].as_str()?, &values);
            Some(json!({ "uri": uri, "mimeType": template["mimeType"], "text": text }))
        })
    }

    pub(crate) fn completions(&self, argument: &str, begun: &str) -> Vec<String> {
        let known = self.0["completions"][argument]
            .as_array()
            .into_iter()
            .flatten();
        known
            .filter_map(Value::as_str)
            .filter(|value| value.starts_with(begun))
            .map(str::to_owned)
            .collect()
    }

    fn entry(&self, kind: &str, key: &str, name: &str) -> Option<&Value> {
        self.entries(kind).find(|entry| entry[key]["name"] == name)
    }

    fn entries(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0[kind].as_array().into_iter().flatten()
    }
}

/// A JSON value as one of rmcp's types; a mismatch is a fault of the fixtures, and said to be one.
pub(crate) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value).map_err(|error| {
        ErrorData::internal_error(format!("fixtures.json does not fit rmcp: {error}"), None)
    })
}

/// A result of the fixtures; rmcp takes the discriminator out again for callers before 2026-07-28.
pub(crate) fn completed<T: DeserializeOwned>(mut result: Value) -> Result<T, ErrorData> {
    result["resultType"] = json!("complete");
    typed(result)
}

/// Puts each value in the place of its `{name}`.
pub(crate) fn fill(template: &str, values: &JsonObject) -> String {
    values
        .iter()
        .fold(template.to_owned(), |text, (name, value)| {
            let shown = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            text.replace(&format!("{{{name}}}"), &shown)
        })
}

/// [`fill`] in every string of a JSON value.
pub(crate) fn filled(value: &Value, values: &JsonObject) -> Value {
    match value {
        Value::String(text) => json!(fill(text, values)),
        Value::Array(items) => items.iter().map(|item| filled(item, values)).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, member)| (key.clone(), filled(member, values)))
                .collect(),
        ),
        other => other.clone(),
    }
}

//! Which arguments of a tool its schema says are URLs or hosts (JSON Schema 2020-12, `format`).
//!
//! A schema is the server's own word, and a hint: it can only make more strings be looked at.

use serde_json::{Map, Value};

/// Formats of what is a URL or a host (JSON Schema Validation section 7.3), and the word that many
/// write in their place.
const FORMATS: [&str; 10] = [
    "uri",
    "url",
    "uri-reference",
    "iri",
    "iri-reference",
    "uri-template",
    "hostname",
    "idn-hostname",
    "ipv4",
    "ipv6",
];

/// Most names of one schema, and the longest in bytes.
const MOST: usize = 64;
const LONGEST: usize = 256;

/// How deep schemas lie in one another, references included.
const DEEPEST: usize = 32;

/// Most schemas within one that are looked at.
const MOST_SCHEMAS: usize = 4096;

/// The names of properties, at any depth, whose values are URLs or hosts, or lists of them; sorted.
pub(super) fn destinations(schema: &[u8]) -> Vec<String> {
    let Ok(root) = serde_json::from_slice::<Value>(schema) else {
        return Vec::new();
    };
    let mut walk = Walk {
        root: &root,
        left: MOST_SCHEMAS,
        found: Vec::new(),
    };
    walk.schema(&root, None, 0);
    let mut found = walk.found;
    found.sort_unstable();
    found.dedup();
    found
}

struct Walk<'a> {
    root: &'a Value,
    left: usize,
    found: Vec<String>,
}

impl<'a> Walk<'a> {
    /// A schema of the values of this property.
    fn schema(&mut self, schema: &'a Value, name: Option<&'a str>, depth: usize) {
        let Value::Object(schema) = schema else {
            return;
        };
        let Some(left) = self.left.checked_sub(1).filter(|_| depth < DEEPEST) else {
            return;
        };
        self.left = left;
        self.format(schema, name);
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for (name, property) in properties {
                self.schema(property, Some(name), depth + 1);
            }
        }
        for key in [
            "items",
            "additionalProperties",
            "contains",
            "not",
            "if",
            "then",
            "else",
        ] {
            if let Some(inner) = schema.get(key) {
                self.schema(inner, name, depth + 1);
            }
        }
        for key in ["anyOf", "oneOf", "allOf", "prefixItems", "items"] {
            if let Some(Value::Array(all)) = schema.get(key) {
                for inner in all {
                    self.schema(inner, name, depth + 1);
                }
            }
        }
        // Within this schema alone; nothing is fetched.
        if let Some(Value::String(to)) = schema.get("$ref")
            && let Some(inner) = to.strip_prefix('#').and_then(|to| self.root.pointer(to))
        {
            self.schema(inner, name, depth + 1);
        }
    }

    fn format(&mut self, schema: &Map<String, Value>, name: Option<&str>) {
        let format = schema.get("format").and_then(Value::as_str);
        let Some((name, format)) = name.zip(format) else {
            return;
        };
        let fits = self.found.len() < MOST && name.len() <= LONGEST;
        if fits && FORMATS.contains(&format) && !self.found.iter().any(|found| found == name) {
            self.found.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(schema: &Value) -> Vec<String> {
        destinations(schema.to_string().as_bytes())
    }

    // REQ: E-4
    #[test]
    fn formats_at_any_depth() {
        let uri = json!({ "type": "string", "format": "uri" });
        for (schema, expected) in [
            (
                json!({ "properties": { "target": uri, "text": { "type": "string" } } }),
                &["target"][..],
            ),
            (
                json!({ "properties": { "where": { "format": "hostname" }, "when": { "format": "date" } } }),
                &["where"],
            ),
            (
                json!({ "properties": { "pages": { "type": "array", "items": uri } } }),
                &["pages"],
            ),
            (
                json!({ "properties": { "pair": { "prefixItems": [{}, uri] }, "old": { "items": [uri] } } }),
                &["old", "pair"],
            ),
            (
                json!({ "properties": { "a": { "anyOf": [uri, { "type": "null" }] } } }),
                &["a"],
            ),
            (
                json!({ "properties": { "by_name": { "additionalProperties": uri } } }),
                &["by_name"],
            ),
            (
                json!({ "properties": { "job": { "properties": { "source": uri } } } }),
                &["source"],
            ),
            (
                json!({ "properties": { "a": { "$ref": "#/$defs/Url" } }, "$defs": { "Url": uri } }),
                &["a"],
            ),
            (
                json!({ "properties": { "a": { "$ref": "#/$defs/Job" } }, "$defs": { "Job": { "properties": { "b": uri } } } }),
                &["b"],
            ),
            (json!({ "format": "uri" }), &[]),
            (
                json!({ "properties": { "a": { "format": 1 }, "b": "uri", "c": { "$ref": "https://a.example/" } } }),
                &[],
            ),
            (json!("uri"), &[]),
        ] {
            assert_eq!(of(&schema), expected, "{schema}");
        }
        assert_eq!(destinations(b"{"), [""; 0]);
    }

    #[test]
    fn what_never_ends_is_bounded() {
        let itself = json!({ "properties": { "a": { "$ref": "#" }, "b": { "$ref": "#" }, "u": { "format": "uri" } } });
        assert_eq!(of(&itself), ["u"]);
        let many: Map<String, Value> = (0..1000)
            .map(|n| (format!("p{n}"), json!({ "format": "uri" })))
            .collect();
        assert_eq!(of(&json!({ "properties": many })).len(), MOST);
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(
            of(&json!({ "properties": { long: { "format": "uri" } } })),
            [""; 0]
        );
    }
}

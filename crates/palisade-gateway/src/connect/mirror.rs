//! Arguments that a server wants to see in header fields as well: `x-mcp-header` in a tool's schema
//! becomes `Mcp-Param-…` of its calls (2026-07-28, SEP-2243). Over stdio there is no such thing, so
//! a client that speaks stdio leaves it to us.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What the tools of a server want.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    tools: HashMap<String, Vec<Mirrored>>,
}

#[derive(Debug, PartialEq, Eq)]
struct Mirrored {
    header: HeaderName,
    path: Vec<String>,
}

/// Tools that want anything.
const MOST_TOOLS: usize = 4096;

/// Fields of one tool, and how deep in its schema they are looked for.
const MOST_FIELDS: usize = 32;
const DEEPEST: usize = 16;

/// Bytes of one argument that is mirrored.
const LONGEST: usize = 8 * 1024;

const KEYWORD: &str = "x-mcp-header";

impl Mirror {
    /// Reads the result of a `tools/list`. What was known of its tools is forgotten.
    pub(super) fn learn(&mut self, result: &str) {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct List<'a> {
            #[serde(borrow)]
            tools: Vec<Tool<'a>>,
        }
        #[derive(Deserialize)]
        struct Tool<'a> {
            name: String,
            #[serde(borrow, default, rename = "inputSchema")]
            input_schema: Option<&'a RawValue>,
        }
        let list: List<'_> = serde_json::from_str(result).unwrap_or_default();
        for tool in list.tools {
            self.tools.remove(&tool.name);
            let schema = tool.input_schema.map_or("", RawValue::get);
            // Most have none, and are not read any further.
            if !schema.contains(KEYWORD) || self.tools.len() >= MOST_TOOLS {
                continue;
            }
            let schema: Value = serde_json::from_str(schema).unwrap_or_default();
            let mut found = Vec::new();
            collect(&schema, &mut Vec::new(), &mut found);
            if !found.is_empty() {
                self.tools.insert(tool.name, found);
            }
        }
    }

    pub(super) fn knows(&self, tool: &str) -> bool {
        self.tools.contains_key(tool)
    }

    /// Adds the fields of a call. What is absent, or is no plain value, has none.
    pub(super) fn put_headers(&self, tool: &str, arguments: &RawValue, headers: &mut HeaderMap) {
        let arguments: Value = serde_json::from_str(arguments.get()).unwrap_or_default();
        for mirrored in self.tools.get(tool).into_iter().flatten() {
            let value = mirrored
                .path
                .iter()
                .try_fold(&arguments, |value, key| value.get(key));
            if let Some(text) = value.and_then(plain) {
                headers.insert(mirrored.header.clone(), encoded(&text));
            }
        }
    }
}

/// Walks `properties` of `properties`: a declaration anywhere else cannot be found in a call.
fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Mirrored>) {
    if found.len() >= MOST_FIELDS || path.len() > DEEPEST {
        return;
    }
    if let Some(name) = schema.get(KEYWORD).and_then(Value::as_str)
        && !path.is_empty()
        && let Ok(header) = HeaderName::try_from(format!("mcp-param-{name}"))
        && found.iter().all(|other| other.header != header)
    {
        found.push(Mirrored {
            header,
            path: path.clone(),
        });
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        path.push(name.clone());
        collect(property, path, found);
        path.pop();
    }
}

fn plain(value: &Value) -> Option<String> {
    let text = match value {
        Value::Bool(value) => value.to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) => value.clone(),
        Value::Array(_) | Value::Null | Value::Object(_) => return None,
    };
    (text.len() <= LONGEST).then_some(text)
}

/// A text as a field's value: as it is where that is unambiguous, else in Base64 between the markers.
pub(super) fn encoded(text: &str) -> HeaderValue {
    let is_plain = !text.is_empty()
        && text.trim_ascii() == text
        && text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))
        && !(text.starts_with("=?base64?") && text.ends_with("?="));
    let wrapped;
    let text = if is_plain {
        text
    } else {
        wrapped = format!("=?base64?{}?=", STANDARD.encode(text));
        &wrapped
    };
    // Both forms are visible ASCII, blanks and tabs.
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIST: &str = r#"{"tools":[
        {"name":"plain","inputSchema":{"type":"object"}},
        {"name":"query","inputSchema":{"type":"object","properties":{
            "region":{"type":"string","x-mcp-header":"Region"},
            "deep":{"type":"object","properties":{"count":{"type":"integer","x-mcp-header":"Count"}}},
            "flag":{"type":"boolean","x-mcp-header":"Flag"},
            "twice":{"type":"string","x-mcp-header":"REGION"},
            "bad":{"type":"string","x-mcp-header":"a b"},
            "list":{"type":"array","items":{"type":"string","x-mcp-header":"Item"}}}}},
        {"name":"odd","inputSchema":{"x-mcp-header":"Root","properties":7}}]}"#;

    fn headers(tool: &str, arguments: &str) -> Vec<(String, String)> {
        let mut mirror = Mirror::default();
        mirror.learn(LIST);
        let mut headers = HeaderMap::new();
        let arguments: &RawValue = serde_json::from_str(arguments).unwrap();
        mirror.put_headers(tool, arguments, &mut headers);
        let mut found: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        found.sort();
        found
    }

    // REQ: U-2, G-2
    #[test]
    fn arguments_are_mirrored_as_the_schema_says() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            headers(
                "query",
                r#"{"region":"us west","deep":{"count":42},"flag":true,"list":["x"],"bad":"x"}"#
            ),
            [
                pair("mcp-param-count", "42"),
                pair("mcp-param-flag", "true"),
                pair("mcp-param-region", "us west"),
            ]
        );
        assert_eq!(
            headers("query", r#"{"region":"日本"}"#),
            [pair("mcp-param-region", "=?base64?5pel5pys?=")]
        );
        assert_eq!(
            headers("query", r#"{"region":null,"deep":7,"flag":[]}"#),
            []
        );
        assert_eq!(headers("query", "[]"), []);
        assert_eq!(headers("plain", r#"{"region":"x"}"#), []);
        assert_eq!(headers("odd", r#"{"region":"x"}"#), []);
    }

    #[test]
    fn a_new_list_replaces_what_was_known() {
        let mut mirror = Mirror::default();
        mirror.learn(LIST);
        assert!(mirror.knows("query"));
        mirror.learn(r#"{"tools":[{"name":"query","inputSchema":{}}]}"#);
        assert!(!mirror.knows("query"));
        for odd in ["", "[]", "7", r#"{"tools":7}"#, r#"{"tools":[7]}"#] {
            mirror.learn(odd);
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in "\\PC{0,40}") {
            let value = encoded(&text);
            let shown = value.to_str().unwrap();
            let back = match shown.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) {
                Some(inner) => String::from_utf8(STANDARD.decode(inner).unwrap()).unwrap(),
                None => shown.to_owned(),
            };
            prop_assert_eq!(back, text);
        }
    }
}

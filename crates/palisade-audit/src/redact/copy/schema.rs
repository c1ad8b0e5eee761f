//! Descriptions of values: JSON Schema (2020-12), OpenAPI's parameters and security schemes, the inputs that MCP's
//! registry and bundles declare. They stand under the names of secrets and hold none.

use super::beside::{scalar_end, skip_space};
use crate::redact::keys;
use crate::redact::words::Words;

/// Whether the object that `json` begins with describes a value: all its members are such as descriptions have, and one
/// of them says so. What it gives for the value itself is looked at by its member's name.
///
/// It reads no further than the object's end, or [`LENGTH_MAX`].
pub(super) fn describes(json: &[u8]) -> bool {
    let json = &json[..json.len().min(LENGTH_MAX)];
    json.strip_prefix(b"{").and_then(members).unwrap_or(false)
}

/// From behind the brace; `None` if it is no such object, or cut off.
fn members(mut rest: &[u8]) -> Option<bool> {
    let mut says = false;
    loop {
        rest = skip_space(rest)?;
        match rest.first()? {
            b'}' => return Some(says),
            b',' => rest = skip_space(&rest[1..])?,
            _ => {}
        }
        let end = scalar_end(rest, 0).filter(|end| rest[0] == b'"' && *end > 2)?;
        let key = &rest[1..end - 1];
        if !(MEMBERS.contains(key) || key.starts_with(b"x-")) {
            return None;
        }
        rest = skip_space(skip_space(&rest[end..])?.strip_prefix(b":")?)?;
        // Lists of plain values may be the values themselves.
        let first = *rest.first()?;
        if NESTED.contains(key) && !matches!(first, b'{' | b'[' | b't' | b'f') {
            return None;
        }
        says |= SAYING.contains(key);
        rest = behind(rest)?;
    }
}

/// Whether the array that `json` begins with holds messages of validation and nothing else: `["is too short"]`.
pub(super) fn is_said_of(json: &[u8]) -> bool {
    let messages = |json: &[u8]| {
        let mut rest = json.strip_prefix(b"[")?;
        loop {
            rest = skip_space(rest)?;
            let end = scalar_end(rest, 0).filter(|end| rest[0] == b'"' && *end > 2)?;
            if !keys::is_said_of(&rest[1..end - 1]) {
                return None;
            }
            rest = skip_space(&rest[end..])?;
            match rest.first()? {
                b']' => return Some(()),
                b',' => rest = &rest[1..],
                _ => return None,
            }
        }
    };
    messages(&json[..json.len().min(LENGTH_MAX)]).is_some()
}

/// What stands behind the value that `json` begins with.
fn behind(json: &[u8]) -> Option<&[u8]> {
    if !matches!(json.first()?, b'{' | b'[') {
        return json.get(scalar_end(json, 0)?..);
    }
    let (mut at, mut depth) = (0, 0);
    loop {
        match json.get(at)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            b'"' => at = scalar_end(json, at)? - 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(&json[at..]);
        }
    }
}

/// Members that only descriptions have.
static SAYING: Words<13> = Words::new([
    "type",
    "description",
    "$ref",
    "anyOf",
    "oneOf",
    "allOf",
    "enum",
    "label",
    "isSecret",
    "is_secret",
    "sensitive",
    "isRequired",
    "is_required",
]);

/// Members that hold other descriptions, or say yes or no.
static NESTED: Words<14> = Words::new([
    "$defs",
    "allOf",
    "anyOf",
    "deprecated",
    "hidden",
    "isRequired",
    "isSecret",
    "is_required",
    "is_secret",
    "nullable",
    "oneOf",
    "properties",
    "secret",
    "sensitive",
]);

static MEMBERS: Words<64> = Words::new([
    "$comment",
    "$defs",
    "$id",
    "$ref",
    "$schema",
    "allOf",
    "anyOf",
    "bearerFormat",
    "category",
    "const",
    "contentEncoding",
    "contentMediaType",
    "default",
    "deprecated",
    "description",
    "displayName",
    "display_name",
    "enum",
    "env",
    "example",
    "examples",
    "externalDocs",
    "flows",
    "format",
    "group",
    "help",
    "helpText",
    "help_text",
    "hidden",
    "hint",
    "in",
    "isRequired",
    "isSecret",
    "is_required",
    "is_secret",
    "label",
    "max",
    "maxItems",
    "maxLength",
    "max_length",
    "maximum",
    "min",
    "minItems",
    "minLength",
    "min_length",
    "minimum",
    "multiline",
    "name",
    "not",
    "nullable",
    "oneOf",
    "openIdConnectUrl",
    "optional",
    "order",
    "pattern",
    "placeholder",
    "properties",
    "required",
    "scheme",
    "secret",
    "sensitive",
    "title",
    "type",
    "widget",
]);

/// No description is longer that stands under a secret's name, in bytes.
const LENGTH_MAX: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions() {
        for (json, is) in [
            (r#"{"type":"string"}"#, true),
            (r#"{ "type" : "string" , "minLength":8 }"#, true),
            (
                r#"{"anyOf":[{"type":"string"},{"type":"null"}],"title":"T"}"#,
                true,
            ),
            (r##"{"$ref":"#/$defs/Password"}"##, true),
            (
                r#"{"type":"object","properties":{"a":{"b":["}"]}},"required":["a"]}"#,
                true,
            ),
            (r#"{"description":"a \"b\" }","x-order":1}"#, true),
            (r#"{"type":"string","default":"hunter2"}"#, true),
            (r#"{"title":"T"}"#, false),
            (r#"{"type":"string","user":"bob"}"#, false),
            (r#"{"description":"x","items":["hunter2"]}"#, false),
            (r#"{"type":"x","secret":"hunter2"}"#, false),
            (r#"{"type":"x","properties":"hunter2"}"#, false),
            (r#"{}"#, false),
            (r#"{"type":"string""#, false),
            (r#"{"type":"string","#, false),
            (r#"{"type""#, false),
            (r#"{"type":{"a":[}"#, false),
            (r#"{1:2}"#, false),
            (r#"[]"#, false),
        ] {
            assert_eq!(describes(json.as_bytes()), is, "{json}");
        }
        for (json, is) in [
            (r#"["is too short"]"#, true),
            (r#"[ "is too short" , "This field is required." ]"#, true),
            (r#"["is too short","hunter2"]"#, false),
            (r#"["hunter2 and more"]"#, false),
            (r#"["is too short",1]"#, false),
            (r#"["is too short""#, false),
            (r#"[]"#, false),
            (r#"{}"#, false),
        ] {
            assert_eq!(is_said_of(json.as_bytes()), is, "{json}");
        }
        let long = |length: usize| format!(r#"{{"type":"{}"}}"#, "x".repeat(length));
        assert!(describes(long(LENGTH_MAX - 11).as_bytes()));
        assert!(!describes(long(LENGTH_MAX - 10).as_bytes()));
    }
}

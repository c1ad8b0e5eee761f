//! The JSON schema of the configuration file, from the same types that read it.

use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

use super::file::File;

/// The schema as JSON Schema draft 7, which editors' TOML support understands best.
#[must_use]
pub fn schema() -> Json {
    let mut schema = of_types();
    // The types take them as optional, so that what lacks is reported with everything else.
    if let Some(server) = schema.pointer_mut("/properties/server/items") {
        server["required"] = serde_json::json!(["name"]);
        server["oneOf"] =
            serde_json::json!([{ "required": ["upstream"] }, { "required": ["command"] }]);
        // What a server does not say it inherits.
        for section in ["origin", "headers", "cors", "rate", "limits", "audit"] {
            without_default(&mut server["properties"][section]);
        }
    }
    schema
}

/// The schema as the types have it.
pub(super) fn of_types() -> Json {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<File>()
        .to_value();
    without_null(&mut schema);
    schema
}

fn without_default(schema: &mut Json) {
    match schema {
        Json::Array(list) => list.iter_mut().for_each(without_default),
        Json::Object(object) => {
            object.remove("default");
            object.values_mut().for_each(without_default);
        }
        _ => {}
    }
}

/// Optional keys come out as "or null"; TOML has no null.
fn without_null(schema: &mut Json) {
    match schema {
        Json::Array(list) => list.iter_mut().for_each(without_null),
        Json::Object(object) => {
            for key in ["type", "enum"] {
                if let Some(Json::Array(list)) = object.get_mut(key) {
                    list.retain(|item| !item.is_null() && item != "null");
                    if key == "type" && list.len() == 1 {
                        let only = list.remove(0);
                        object.insert(key.to_owned(), only);
                    }
                }
            }
            if let Some(Json::Array(list)) = object.get_mut("anyOf") {
                list.retain(|item| item.get("type").is_none_or(|kind| kind != "null"));
                if list.len() == 1
                    && let Json::Object(only) = list.remove(0)
                {
                    object.remove("anyOf");
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            object.values_mut().for_each(without_null);
        }
        _ => {}
    }
}

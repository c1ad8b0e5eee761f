//! `palisade auth new-key NAME`.

use std::process::ExitCode;

use palisade::auth::{KeyHash, generate_key};
use serde_json::json;

use crate::arguments::{Auth, AuthCommand, Format, NewKey};

pub(crate) fn run(auth: &Auth) -> anyhow::Result<ExitCode> {
    let AuthCommand::NewKey(new) = &auth.command;
    if new.name.is_empty() || new.name.chars().any(char::is_control) {
        anyhow::bail!(
            "the key needs a name, such as `ci`; audit records and rules call its holder so"
        );
    }
    let key = generate_key().map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
    let hash = KeyHash::of(key.as_bytes()).to_string();
    let lines = lines(new, &hash);
    match new.format {
        Format::Json => {
            let all = json!({ "name": new.name, "key": key, "hash": hash, "configuration": lines });
            anstream::println!("{all}");
        }
        Format::Text => {
            anstream::println!("{key}");
            anstream::eprintln!(
                "This is the only time that the key is shown. Add to the configuration:\n\n{lines}"
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the configuration says of the key. JSON strings are TOML's basic strings too.
fn lines(new: &NewKey, hash: &str) -> String {
    let mut lines = format!(
        "[[auth.api_key]]\nname = {}\nhash = \"{hash}\"\n",
        json!(new.name)
    );
    if let Some(day) = &new.expires {
        lines.push_str(&format!("expires = {}\n", json!(day)));
    }
    if !new.scopes.is_empty() {
        lines.push_str(&format!("scopes = {}\n", json!(new.scopes)));
    }
    lines
}

//! What a 401 or 403 says in `WWW-Authenticate` (RFC 9110 section 11.6.1, RFC 6750 section 3,
//! RFC 9728 section 5.1).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// The bearer challenge of an answer. What it holds comes from the server: it is shown, shortened
/// and without control characters, and nothing else is done with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    pub(super) error: Option<String>,
    pub(super) description: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) resource_metadata: Option<String>,
    /// A scheme that is not `Bearer`, where there is no bearer challenge.
    pub(super) other: Option<String>,
}

/// Characters that are shown of each part.
const SHOWN: usize = 300;

impl Challenge {
    /// Reads the first bearer challenge there is.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut other = None;
        for field in headers.get_all(WWW_AUTHENTICATE) {
            for challenge in challenges(&String::from_utf8_lossy(field.as_bytes())) {
                if challenge.scheme.eq_ignore_ascii_case("bearer") {
                    let part = |wanted: &str| {
                        let found = challenge.parameters.iter();
                        let mut found = found.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
                        found.next().map(|(_, value)| shown(value))
                    };
                    return Self {
                        error: part("error"),
                        description: part("error_description"),
                        scope: part("scope"),
                        resource_metadata: part("resource_metadata"),
                        other: None,
                    };
                }
                other.get_or_insert_with(|| shown(&challenge.scheme));
            }
        }
        Self {
            other,
            ..Self::default()
        }
    }
}

/// A server's words, for a person: bounded, on one line, nothing that a terminal obeys.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text
        .chars()
        .map(|found| {
            let is_plain = !found.is_control()
                && !matches!(found, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            if is_plain { found } else { ' ' }
        })
        .take(SHOWN)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short.trim().to_owned()
}

#[derive(Debug, Default)]
struct Raw {
    scheme: String,
    parameters: Vec<(String, String)>,
}

/// A scheme, then `name=value` pairs between commas, then perhaps the next scheme. What cannot be
/// read is passed over.
fn challenges(text: &str) -> Vec<Raw> {
    let mut found: Vec<Raw> = Vec::new();
    for part in parts(text) {
        let part = part.trim();
        let (head, value) = match part.split_once('=') {
            Some((head, value)) if !head.trim_end().is_empty() => (head.trim_end(), Some(value)),
            _ => (part, None),
        };
        // `Scheme name=value`, `Scheme`, or `name=value` of the scheme before.
        let (scheme, name) = match head.split_once([' ', '\t']) {
            Some((scheme, name)) => (Some(scheme), name.trim()),
            None if value.is_none() => (Some(head), ""),
            None => (None, head),
        };
        if let Some(scheme) = scheme.filter(|scheme| !scheme.is_empty()) {
            found.push(Raw {
                scheme: scheme.to_owned(),
                parameters: Vec::new(),
            });
        }
        if let (Some(last), Some(value)) = (found.last_mut(), value) {
            last.parameters
                .push((name.to_owned(), unquoted(value.trim())));
        }
    }
    found
}

/// Cuts at commas that stand in no quotes.
fn parts(text: &str) -> Vec<&str> {
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    let mut found = Vec::new();
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                found.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&text[start..]);
    found
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else {
        return value.to_owned();
    };
    let mut out = String::new();
    let mut characters = inner.chars();
    while let Some(found) = characters.next() {
        match found {
            '"' => break,
            '\\' => out.extend(characters.next()),
            _ => out.push(found),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(fields: &[&str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(WWW_AUTHENTICATE, field.parse().unwrap());
        }
        Challenge::of(&headers)
    }

    // REQ: U-2
    #[test]
    fn challenges_are_read() {
        let full = r#"Bearer realm="a, b", error="invalid_token", error_description="it \"ended\"", scope="files:read files:write", resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp""#;
        let wanted = Challenge {
            error: Some("invalid_token".to_owned()),
            description: Some("it \"ended\"".to_owned()),
            scope: Some("files:read files:write".to_owned()),
            resource_metadata: Some(
                "https://mcp.example.com/.well-known/oauth-protected-resource/mcp".to_owned(),
            ),
            other: None,
        };
        assert_eq!(of(&[full]), wanted);
        assert_eq!(of(&["Basic realm=\"x\"", full]), wanted);
        assert_eq!(of(&[&format!("Basic realm=\"x\", {full}")]), wanted);
        assert_eq!(of(&["bearer"]), Challenge::default());
        assert_eq!(of(&["BEARER scope = a"]).scope.as_deref(), Some("a"));
        assert_eq!(of(&["Negotiate"]).other.as_deref(), Some("Negotiate"));
        assert_eq!(of(&[]), Challenge::default());
        assert_eq!(of(&["", ",", "=", "\"", ", ="]).error, None);
    }

    #[test]
    fn words_of_a_server_are_harmless() {
        assert_eq!(shown("a\u{1b}[31mb\r\nc\u{202e}d"), "a [31mb  c d");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), SHOWN + 1);
    }

    proptest! {
        #[test]
        fn hostile_fields_do_no_harm(text in "[ -~\t]{0,80}") {
            let _ = of(&[&text]);
        }
    }
}

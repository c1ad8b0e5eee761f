//! What a client is told when it is not known, or not allowed: `WWW-Authenticate` as RFC 6750, RFC
//! 9728 and the MCP authorization text have it.

use std::fmt::Write as _;

use http::header::HeaderValue;

use super::jwk::Algorithm;

/// The challenges of one server.
#[derive(Clone, Debug, Default)]
pub struct Challenge {
    /// Where the protected resource metadata stands (RFC 9728); empty where no token would help.
    pub metadata: String,
    /// The scopes that a client should ask for at first.
    pub scopes: Vec<String>,
    /// Whether DPoP-bound tokens are taken.
    pub dpop: bool,
}

impl Challenge {
    /// Nothing was presented.
    #[must_use]
    pub fn missing(&self) -> HeaderValue {
        self.value(BEARER, "", "", &self.scopes)
    }

    /// The request is malformed: a token where none may stand.
    #[must_use]
    pub fn invalid_request(&self) -> HeaderValue {
        self.value(
            BEARER,
            "invalid_request",
            "a token belongs in Authorization",
            &self.scopes,
        )
    }

    /// What was presented does not hold. `why` is a text of our own.
    #[must_use]
    pub fn invalid_token(&self, why: &str) -> HeaderValue {
        self.value(BEARER, "invalid_token", why, &self.scopes)
    }

    /// The same of a token that came by the scheme `DPoP` (RFC 9449 section 7.1), where such are
    /// taken.
    #[must_use]
    pub fn invalid_bound_token(&self, why: &str) -> HeaderValue {
        let scheme = if self.dpop { DPOP } else { BEARER };
        self.value(scheme, "invalid_token", why, &self.scopes)
    }

    /// Who calls lacks `scopes`, all that the operation needs.
    #[must_use]
    pub fn insufficient_scope(&self, scopes: &[String]) -> HeaderValue {
        self.value(BEARER, "insufficient_scope", "", scopes)
    }

    fn value(&self, scheme: &str, error: &str, why: &str, scopes: &[String]) -> HeaderValue {
        let mut value = String::from(scheme);
        let algorithms = match scheme {
            DPOP => Algorithm::ALL.map(Algorithm::name).join(" "),
            _ => String::new(),
        };
        let scopes = scopes.join(" ");
        let nothing = [error, why, &scopes, &self.metadata];
        let realm = if nothing.iter().all(|text| text.is_empty()) {
            "mcp"
        } else {
            ""
        };
        let mut separator = ' ';
        for (name, text) in [
            ("realm", realm),
            ("error", error),
            ("error_description", why),
            ("algs", &algorithms),
            ("scope", &scopes),
            ("resource_metadata", &self.metadata),
        ] {
            if !text.is_empty() {
                // Writing to a string cannot fail.
                let _ = write!(value, "{separator}{name}=\"{text}\"");
                separator = ',';
            }
        }
        // Of our own making and the configuration's, which has been checked.
        HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
    }
}

const BEARER: &str = "Bearer";
const DPOP: &str = "DPoP";

/// Whether `text` is a scope (RFC 6749 section 3.3): safe inside quotes.
#[must_use]
pub fn is_scope(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    !text.is_empty() && text.len() <= 256 && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: A-1
    #[test]
    fn challenges_say_where_to_ask_and_for_what() {
        let challenge = Challenge {
            metadata: "https://m.example/.well-known/oauth-protected-resource/mcp".to_owned(),
            scopes: vec!["a".to_owned(), "b:c".to_owned()],
            dpop: false,
        };
        let metadata =
            r#"resource_metadata="https://m.example/.well-known/oauth-protected-resource/mcp""#;
        assert_eq!(
            challenge.missing(),
            format!(r#"Bearer scope="a b:c",{metadata}"#)
        );
        assert_eq!(
            challenge.invalid_token("it is expired"),
            format!(
                r#"Bearer error="invalid_token",error_description="it is expired",scope="a b:c",{metadata}"#
            )
        );
        assert_eq!(
            challenge.insufficient_scope(&["x".to_owned(), "y".to_owned()]),
            format!(r#"Bearer error="insufficient_scope",scope="x y",{metadata}"#)
        );
        assert_eq!(Challenge::default().missing(), r#"Bearer realm="mcp""#);
        let dpop = Challenge {
            dpop: true,
            ..Challenge::default()
        };
        assert_eq!(
            dpop.invalid_bound_token("it is expired"),
            r#"DPoP error="invalid_token",error_description="it is expired",algs="EdDSA ES256 ES384 PS256 PS384 PS512 RS256 RS384 RS512""#
        );
        assert_eq!(
            Challenge::default().invalid_bound_token("x"),
            r#"Bearer error="invalid_token",error_description="x""#
        );
    }

    #[test]
    fn scopes_are_safe_inside_quotes() {
        for (text, fits) in [
            ("files:read", true),
            ("https://a/b", true),
            ("", false),
            ("a b", false),
            ("a\"", false),
            ("a\\", false),
            ("é", false),
        ] {
            assert_eq!(is_scope(text), fits, "{text}");
        }
    }
}

//! Why a message has no answer of the server: the cause and the remedy, for the client and for the log.

use std::time::Duration;

use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::challenge::{Challenge, shown};
use super::target::Target;
use super::transport::Broken;

/// What the client gets in place of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// Its name in the log and in the error's `data`.
    pub(super) reason: &'static str,
    /// JSON-RPC's; positive, as all that Palisade makes: the reserved range would tell a client
    /// something of the server's era (2026-07-28, "Error Codes").
    pub(super) code: i32,
    pub(super) cause: String,
    pub(super) remedy: String,
}

impl Failure {
    pub(super) fn new(
        reason: &'static str,
        code: i32,
        cause: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            reason,
            code,
            cause: cause.into(),
            remedy: remedy.into(),
        }
    }

    /// The error, to the request with this id, which is JSON.
    pub(super) fn answer(&self, id: &str) -> Vec<u8> {
        let error = json!({
            "code": self.code,
            "message": self.to_string(),
            "data": { "reason": self.reason },
        });
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into_bytes()
    }

    pub(super) fn broken(broken: &Broken, target: &Target) -> Self {
        let server = target.shown();
        match broken {
            Broken::Lost(cause) => Self::new(
                "connect.lost",
                502,
                format!("the connection to {server} broke before there was an answer: {cause}"),
                "look into the server's log; the message was not sent again, since the server may have acted on it",
            ),
            Broken::Silent(time) => Self::silent(*time, target),
            Broken::Unreached {
                cause,
                untrusted: true,
            } => Self::new(
                "connect.untrusted",
                502,
                format!("the certificate of {server} is not trusted: {cause}"),
                "if a private authority has issued it, name that authority's certificate by --ca FILE; else call the server by a name that its certificate has",
            ),
            Broken::Unreached { cause, .. } => Self::new(
                "connect.unreached",
                502,
                format!("{server} cannot be reached: {cause}"),
                "start the server, or correct the URL; scheme and port must be the server's",
            ),
        }
    }

    pub(super) fn silent(time: Duration, target: &Target) -> Self {
        Self::new(
            "connect.silent",
            504,
            format!("{} said nothing for {time:?}", target.shown()),
            "look into the server's log, or call something that takes less time",
        )
    }

    /// An answer that is no success. `excerpt`: the beginning of its body.
    pub(super) fn status(
        status: StatusCode,
        headers: &HeaderMap,
        excerpt: &[u8],
        target: &Target,
        with_token: bool,
    ) -> Self {
        let server = target.shown();
        let path = target.uri.path();
        let code = i32::from(status.as_u16());
        match status {
            StatusCode::UNAUTHORIZED => unauthorized(headers, target, with_token),
            StatusCode::FORBIDDEN => forbidden(headers, excerpt, target),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Self::new(
                "connect.no_endpoint",
                code,
                format!("{server} has no MCP endpoint at {path} ({status})"),
                "correct the path of the URL; most servers have it at /mcp. A server of 2024-11-05 (HTTP+SSE) cannot be connected to",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => Self::new(
                "connect.too_large",
                code,
                format!("the message is larger than {server} takes ({status})"),
                "send less, or raise the server's limit (`limits.body` of Palisade)",
            ),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let after = headers
                    .get(RETRY_AFTER)
                    .and_then(|value| value.to_str().ok());
                let wait = match after.map(shown) {
                    Some(after) if after.bytes().all(|byte| byte.is_ascii_digit()) => {
                        format!("try again after {after} s")
                    }
                    Some(after) => format!("try again after {after}"),
                    None => "try again later".to_owned(),
                };
                Self::new(
                    "connect.busy",
                    code,
                    said(&server, status, headers, excerpt),
                    wait,
                )
            }
            status if status.is_redirection() => {
                let to = headers
                    .get(LOCATION)
                    .map(|to| shown(&String::from_utf8_lossy(to.as_bytes())));
                let to = to.unwrap_or_else(|| "elsewhere".to_owned());
                Self::new(
                    "connect.redirect",
                    code,
                    format!(
                        "{server} says that it is at {to} ({status}); redirects are not followed"
                    ),
                    "if you trust that address, give it as the URL",
                )
            }
            _ => Self::new(
                "connect.refused",
                code,
                said(&server, status, headers, excerpt),
                "look into the server's log",
            ),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.cause, self.remedy)
    }
}

/// 401, explained (2025-06-18 and later, "Authorization").
fn unauthorized(headers: &HeaderMap, target: &Target, with_token: bool) -> Failure {
    let server = target.shown();
    let challenge = Challenge::of(headers);
    if let Some(other) = challenge.other {
        return Failure::new(
            "connect.unauthorized",
            401,
            format!("{server} wants to know who calls (401), by the scheme {other}"),
            "ask its operator for a bearer token: no other scheme is known here",
        );
    }
    let mut cause = if with_token {
        format!("{server} does not accept the token (401")
    } else {
        format!("{server} wants a token (401")
    };
    if let Some(error) = challenge.error {
        cause.push_str(&format!(", {error}"));
    }
    if let Some(description) = challenge.description {
        cause.push_str(&format!(": {description}"));
    }
    cause.push(')');
    let mut remedy = match (with_token, challenge.scope) {
        (true, None) => "get a new access token for this server".to_owned(),
        (true, Some(scope)) => {
            format!("get a new access token for this server with the scope `{scope}`")
        }
        (false, None) => "get an access token for this server".to_owned(),
        (false, Some(scope)) => {
            format!("get an access token for this server with the scope `{scope}`")
        }
    };
    if let Some(metadata) = challenge.resource_metadata {
        remedy.push_str(&format!(
            " (who issues it stands under `authorization_servers` in {metadata})"
        ));
    }
    remedy.push_str(" and give it by --token-file FILE or in PALISADE_TOKEN");
    Failure::new("connect.unauthorized", 401, cause, remedy)
}

fn forbidden(headers: &HeaderMap, excerpt: &[u8], target: &Target) -> Failure {
    let server = target.shown();
    let challenge = Challenge::of(headers);
    if let Some(scope) = challenge.scope {
        return Failure::new(
            "connect.forbidden",
            403,
            format!("{server} does not allow this with the scopes of the token (403)"),
            format!(
                "get an access token with the scope `{scope}` and give it by --token-file FILE or in PALISADE_TOKEN"
            ),
        );
    }
    Failure::new(
        "connect.forbidden",
        403,
        said(&server, StatusCode::FORBIDDEN, headers, excerpt),
        "call the server by a host name that it allows, or ask its operator for the right to do this",
    )
}

fn said(server: &str, status: StatusCode, headers: &HeaderMap, excerpt: &[u8]) -> String {
    // A page of HTML says nothing on one line.
    let is_text = headers.get(CONTENT_TYPE).is_some_and(|kind| {
        let kind = kind.as_bytes();
        kind.starts_with(b"text/plain") || kind.starts_with(b"application/")
    });
    let words = shown(&String::from_utf8_lossy(excerpt));
    if is_text && !words.is_empty() {
        format!("{server} refused it ({status}): {words}")
    } else {
        format!("{server} refused it ({status})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target() -> Target {
        Target::read("https://mcp.example.com/mcp", false, true).unwrap()
    }

    fn failure(status: u16, fields: &[(&'static str, &str)], body: &str, token: bool) -> String {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        Failure::status(status, &headers, body.as_bytes(), &target(), token).to_string()
    }

    // REQ: U-2
    #[test]
    fn a_401_names_cause_and_remedy() {
        let challenge = r#"Bearer error="invalid_token", scope="files:read", resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource""#;
        assert_eq!(
            failure(401, &[("www-authenticate", challenge)], "", true),
            "https://mcp.example.com does not accept the token (401, invalid_token); \
             get a new access token for this server with the scope `files:read` \
             (who issues it stands under `authorization_servers` in \
             https://mcp.example.com/.well-known/oauth-protected-resource) \
             and give it by --token-file FILE or in PALISADE_TOKEN"
        );
        assert_eq!(
            failure(401, &[], "", false),
            "https://mcp.example.com wants a token (401); get an access token for this server \
             and give it by --token-file FILE or in PALISADE_TOKEN"
        );
        assert!(
            failure(401, &[("www-authenticate", "Basic realm=a")], "", false).contains("Basic")
        );
    }

    // REQ: U-2
    #[test]
    fn every_status_has_a_remedy() {
        for (status, fields, body, words) in [
            (
                403,
                vec![("www-authenticate", "Bearer scope=\"a b\"")],
                "",
                "scope `a b`",
            ),
            (
                403,
                vec![("content-type", "text/plain")],
                "Forbidden Host",
                "Forbidden Host",
            ),
            (404, vec![], "", "at /mcp"),
            (405, vec![], "", "HTTP+SSE"),
            (413, vec![], "", "limits.body"),
            (429, vec![("retry-after", "7")], "", "after 7 s"),
            (
                503,
                vec![("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")],
                "",
                "after Wed",
            ),
            (503, vec![], "", "later"),
            (
                307,
                vec![("location", "https://other.example/")],
                "",
                "https://other.example/",
            ),
            (500, vec![("content-type", "text/html")], "<html>", "log"),
        ] {
            let text = failure(status, &fields, body, false);
            assert!(text.contains(words), "{status}: {text}");
            assert!(text.contains("; "), "{text}");
            assert!(!text.contains("<html>"), "{text}");
        }
    }

    #[test]
    fn an_answer_is_json_whatever_is_in_it() {
        let failure = Failure::new("connect.refused", 500, "a \"b\"\n", "c");
        let answer: serde_json::Value = serde_json::from_slice(&failure.answer("\"x\"")).unwrap();
        assert_eq!(answer["id"], "x");
        assert_eq!(answer["error"]["code"], 500);
        assert_eq!(answer["error"]["message"], "a \"b\"\n; c");
    }
}

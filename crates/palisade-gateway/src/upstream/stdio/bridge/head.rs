//! What the bridge reads of a request's head and body, and how it says that it does not understand.

use http::header::{ACCEPT, HeaderName};
use http::{HeaderMap, Response, StatusCode};
use palisade::mcp::Revision;
use serde_json::value::RawValue;

use super::super::body::{self, StdioBody};
use super::super::envelope::Envelope;
use super::super::link::error_text;

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// The messages of a body that has been read strictly before.
pub(super) fn messages(text: &[u8]) -> Vec<(&[u8], Envelope<'_>)> {
    let is_batch = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let texts: Vec<&[u8]> = if is_batch {
        let batch: Vec<&RawValue> = serde_json::from_slice(text).unwrap_or_default();
        batch.into_iter().map(|raw| raw.get().as_bytes()).collect()
    } else {
        vec![text]
    };
    texts
        .into_iter()
        .filter_map(|text| Some((text, Envelope::read(text)?)))
        .collect()
}

/// The revision that `MCP-Protocol-Version` names.
pub(in super::super) fn header_revision(headers: &HeaderMap) -> Option<Revision> {
    let value = headers.get(PROTOCOL_VERSION)?;
    Some(Revision::parse(value.to_str().unwrap_or_default()))
}

/// 400 where the header names a revision that is none (2025-06-18 and later).
pub(super) fn wrong_revision(
    headers: &HeaderMap,
    messages: &[(&[u8], Envelope<'_>)],
) -> Option<Response<StdioBody>> {
    let named = header_revision(headers)?;
    let id = messages.first().and_then(|(_, message)| message.id);
    (!named.is_known()).then(|| {
        bad_request(
            id.map_or(&b"null"[..], |id| id.get().as_bytes()),
            "unsupported MCP-Protocol-Version",
        )
    })
}

pub(super) const NO_SESSION: &str = "Mcp-Session-Id is missing; a session begins with initialize";

pub(super) const EVENT_STREAM: &str = "text/event-stream";

/// What HTTP servers of the protocol answer to what they do not understand. The code is the one
/// that the SDKs use.
pub(in super::super) fn bad_request(id: &[u8], message: &str) -> Response<StdioBody> {
    body::json(StatusCode::BAD_REQUEST, error_text(id, -32000, message))
}

pub(super) fn not_acceptable() -> Response<StdioBody> {
    body::json(
        StatusCode::NOT_ACCEPTABLE,
        error_text(
            b"null",
            -32000,
            "the client must accept application/json and text/event-stream",
        ),
    )
}

/// Whether `Accept` takes a media type (RFC 9110 section 12.5.1); without the field, any.
pub(super) fn accepts(headers: &HeaderMap, wanted: &str) -> bool {
    let mut fields = headers.get_all(ACCEPT).iter().peekable();
    if fields.peek().is_none() {
        return true;
    }
    let main = wanted.split('/').next().unwrap_or_default();
    fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .any(|range| {
            range.eq_ignore_ascii_case(wanted)
                || range == "*/*"
                || range
                    .strip_suffix("/*")
                    .is_some_and(|range| range.eq_ignore_ascii_case(main))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted() {
        for (accept, wanted) in [
            (None, true),
            (Some("application/json, text/event-stream"), true),
            (
                Some("Application/JSON;q=0.9,TEXT/event-stream;charset=x"),
                true,
            ),
            (Some("*/*"), true),
            (Some("application/*, text/*"), true),
            (Some("application/json"), false),
            (Some("text/event-stream"), false),
            (Some("application/jsonx, text/event-stream"), false),
            (Some(""), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, accept.parse().unwrap());
            }
            let both = accepts(&headers, "application/json") && accepts(&headers, EVENT_STREAM);
            assert_eq!(both, wanted, "{accept:?}");
        }
    }

    #[test]
    fn a_batch_is_its_messages() {
        let two = br#" [{"id":1,"method":"a"}, {"method":"b"}]"#;
        assert_eq!(messages(two).len(), 2);
        assert_eq!(messages(two)[1].0, br#"{"method":"b"}"#);
        assert_eq!(messages(br#"{"id":1,"method":"a"}"#).len(), 1);
        assert!(messages(b"").is_empty());
    }
}

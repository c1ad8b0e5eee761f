//! What requests that stand alone must carry, and what their answers look like; pure.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use palisade::mcp::Revision;

use super::super::body::{self, StdioBody};
use super::super::envelope::{Edit, Envelope, edited};
use super::super::link::error_text;
use super::super::shim;

/// What every request of this revision carries.
pub(super) fn misses(
    headers: &HeaderMap,
    message: &Envelope<'_>,
    id: &[u8],
) -> Option<Response<StdioBody>> {
    let meta = message.meta();
    let version = meta
        .protocol_version
        .and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let capabilities = meta
        .client_capabilities
        .is_some_and(|raw| raw.get().starts_with('{'));
    let Some(version) = version.filter(|_| capabilities) else {
        let error = error_text(
            id,
            -32602,
            "params._meta must carry io.modelcontextprotocol/protocolVersion and io.modelcontextprotocol/clientCapabilities",
        );
        return Some(body::json(StatusCode::BAD_REQUEST, error));
    };
    let named = headers.get("mcp-protocol-version");
    if named.is_none_or(|named| named.as_bytes() != version.as_bytes()) {
        let error = error_text(
            id,
            -32020,
            "MCP-Protocol-Version and params._meta name different revisions",
        );
        return Some(body::json(StatusCode::BAD_REQUEST, error));
    }
    if Revision::parse(&version) == Revision::V2026_07_28 {
        return None;
    }
    let error = serde_json::json!({
        "code": -32022,
        "message": "unsupported protocol version",
        "data": { "supported": [shim::MODERN], "requested": version },
    });
    let id = std::str::from_utf8(id).unwrap_or("null");
    let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#);
    Some(body::json(StatusCode::BAD_REQUEST, text))
}

/// The status that goes with an answer (2026-07-28, "Transports").
pub(super) fn status_of(answer: &[u8]) -> StatusCode {
    match Envelope::read(answer).and_then(|answer| answer.error_code()) {
        Some(-32601) => StatusCode::NOT_FOUND,
        Some(-32700 | -32600 | -32602 | -32022..=-32020) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

pub(super) fn invalid(id: &[u8], message: &str) -> Response<StdioBody> {
    body::json(StatusCode::BAD_REQUEST, error_text(id, -32600, message))
}

/// An answer under another id.
pub(in super::super) fn readdressed(answer: &[u8], id: &[u8]) -> Bytes {
    let own = Envelope::read(answer).and_then(|answer| answer.id);
    match own {
        Some(own) => edited(answer, vec![Edit::replace(answer, own, id.to_vec())]).into(),
        None => Bytes::copy_from_slice(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: G-2, G-16
    #[test]
    fn what_a_request_must_carry() {
        let meta = |version: &str, capabilities: &str| {
            format!(
                r#"{{"id":7,"method":"tools/list","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":{version},"io.modelcontextprotocol/clientCapabilities":{capabilities}}}}}}}"#
            )
        };
        for (text, header, code) in [
            (meta("\"2026-07-28\"", "{}"), Some("2026-07-28"), None),
            (meta("\"2026-07-28\"", "{}"), None, Some(-32020)),
            (
                meta("\"2026-07-28\"", "{}"),
                Some("2025-11-25"),
                Some(-32020),
            ),
            (
                meta("\"2026-07-28\"", "7"),
                Some("2026-07-28"),
                Some(-32602),
            ),
            (meta("7", "{}"), Some("2026-07-28"), Some(-32602)),
            (
                meta("\"2099-01-01\"", "{}"),
                Some("2099-01-01"),
                Some(-32022),
            ),
            (
                meta("\"2025-11-25\"", "{}"),
                Some("2025-11-25"),
                Some(-32022),
            ),
            (
                r#"{"id":7,"method":"tools/list"}"#.to_owned(),
                Some("2026-07-28"),
                Some(-32602),
            ),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(header) = header {
                headers.insert("mcp-protocol-version", header.parse().unwrap());
            }
            let message = Envelope::read(text.as_bytes()).unwrap();
            let refused = misses(&headers, &message, b"7");
            let found = refused.map(|refused| {
                assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
                let palisade::Answer::Own { body: Some(text) } = refused.body() else {
                    panic!("an answer of our own");
                };
                let answer = Envelope::read(text).unwrap();
                assert_eq!(answer.id.unwrap().get(), "7");
                answer.error_code().unwrap()
            });
            assert_eq!(found, code, "{text} {header:?}");
        }
    }

    // REQ: G-2, G-16
    #[test]
    fn statuses_that_go_with_errors() {
        for (code, status) in [
            ("-32601", 404),
            ("-32602", 400),
            ("-32700", 400),
            ("-32600", 400),
            ("-32020", 400),
            ("-32022", 400),
            ("-32023", 200),
            ("-32603", 200),
            ("1", 200),
        ] {
            let answer = format!(r#"{{"id":1,"error":{{"code":{code},"message":""}}}}"#);
            assert_eq!(status_of(answer.as_bytes()).as_u16(), status, "{code}");
        }
        assert_eq!(status_of(br#"{"id":1,"result":{}}"#), StatusCode::OK);
        assert_eq!(status_of(b"x"), StatusCode::OK);
    }

    #[test]
    fn another_id() {
        let answer = readdressed(br#"{"id":0,"result":{"id":0}}"#, b"\"a\"");
        assert_eq!(answer, &br#"{"id":"a","result":{"id":0}}"#[..]);
        assert_eq!(readdressed(b"x", b"1"), &b"x"[..]);
    }
}

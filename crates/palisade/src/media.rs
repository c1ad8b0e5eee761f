//! The media types that decide how a body is read (RFC 9110 section 8.3.1).

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// Whether the content is declared as `application/json`.
#[must_use]
pub fn is_json(headers: &HeaderMap) -> bool {
    is(headers, b"application/json")
}

/// Whether the content is declared as `text/event-stream`.
#[must_use]
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    is(headers, b"text/event-stream")
}

/// Type and subtype have no case; parameters may follow.
fn is(headers: &HeaderMap, expected: &[u8]) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes();
        value
            .get(..expected.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(expected))
            && value[expected.len()..]
                .iter()
                .find(|byte| !matches!(byte, b' ' | b'\t'))
                .is_none_or(|byte| *byte == b';')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_no_case_and_may_have_parameters() {
        for (value, json, events) in [
            ("application/json", true, false),
            ("Application/JSON ; charset=utf-8", true, false),
            ("application/json;", true, false),
            ("application/jsonp", false, false),
            ("application/json-seq", false, false),
            ("application/json, text/plain", false, false),
            ("text/plain; application/json", false, false),
            ("text/event-stream", false, true),
            ("TEXT/Event-Stream;charset=utf-8", false, true),
            ("text/event-streams", false, false),
            ("", false, false),
        ] {
            let mut headers = HeaderMap::new();
            assert!(!is_json(&headers) && !is_event_stream(&headers));
            headers.insert(CONTENT_TYPE, value.parse().unwrap());
            assert_eq!(
                (is_json(&headers), is_event_stream(&headers)),
                (json, events),
                "{value}"
            );
        }
    }
}

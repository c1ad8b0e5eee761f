//! The media types that decide how a body is read (RFC 9110 section 8.3.1).

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// Whether the content is declared as `application/json`.
#[must_use]
pub fn is_json(headers: &HeaderMap) -> bool {
    is(headers, b"application/json")
}

/// Whether the content is declared as JSON that every reader takes for UTF-8 as it stands:
/// `application/json`, alone or with `charset=utf-8`, and no content coding.
///
/// A reader that honours another charset, or decodes, would see another message than ours.
#[must_use]
pub fn is_plain_json(headers: &HeaderMap) -> bool {
    const JSON: &[u8] = b"application/json";
    let plain = headers.get(CONTENT_TYPE).is_some_and(|value| {
        let value = value.as_bytes();
        // As nearly everyone writes it.
        if value == JSON {
            return true;
        }
        let Some((head, parameters)) = value.split_at_checked(JSON.len()) else {
            return false;
        };
        let parameters: Vec<u8> = parameters
            .iter()
            .filter(|byte| !matches!(byte, b' ' | b'\t' | b'"'))
            .map(u8::to_ascii_lowercase)
            .collect();
        let utf_8 = matches!(
            &parameters[..],
            b"" | b";" | b";charset=utf-8" | b";charset=utf8"
        );
        head.eq_ignore_ascii_case(JSON) && utf_8
    });
    let coded = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    plain && !coded
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

    // REQ: G-14
    #[test]
    fn only_json_that_every_reader_decodes_alike_is_plain() {
        for (value, coding, plain) in [
            ("application/json", None, true),
            ("Application/Json; Charset=\"UTF-8\"", None, true),
            ("application/json;charset=utf-8", Some("identity"), true),
            ("application/json;", None, true),
            ("application/json; charset=utf-7", None, false),
            ("application/json; charset=utf-16le", None, false),
            (
                "application/json; charset=utf-8; charset=utf-7",
                None,
                false,
            ),
            ("application/json; boundary=x", None, false),
            ("application/jsonp", None, false),
            ("application/json", Some("br"), false),
            ("application/json", Some("gzip, identity"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, value.parse().unwrap());
            if let Some(coding) = coding {
                headers.insert(CONTENT_ENCODING, coding.parse().unwrap());
            }
            assert_eq!(is_plain_json(&headers), plain, "{value} {coding:?}");
        }
    }

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

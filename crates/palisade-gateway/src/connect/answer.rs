//! What the answer to a request is: its kind, its beginning, and what is read of it where nobody wants
//! to know.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::LONGEST;
use super::events::Event;
use super::failure::Failure;
use super::transport::causes;

/// Bytes of a refusal that are read.
const EXCERPT: usize = 64 * 1024;

/// How long the rest of a connection's answer is waited for, so that the connection can be used again.
const REST: Duration = Duration::from_millis(500);

/// How to take up a stream again.
#[derive(Clone, Debug, Default)]
pub(super) struct Resume {
    /// The last event's id.
    pub(super) after: Option<String>,
    /// What the server wants to be waited.
    pub(super) retry: Option<Duration>,
}

impl Resume {
    pub(super) fn note(&mut self, event: &Event) {
        /// A server does not decide that nobody comes back.
        const LONGEST_RETRY: u64 = 60_000;
        if let Some(id) = &event.id {
            self.after = Some(id.clone()).filter(|id| !id.is_empty());
        }
        if let Some(retry) = event.retry {
            self.retry = Some(Duration::from_millis(retry.min(LONGEST_RETRY)));
        }
    }
}

pub(super) enum Content {
    Events,
    Json,
    Other,
}

pub(super) fn kind_of(headers: &HeaderMap) -> Content {
    let kind = headers.get(http::header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("text/event-stream") {
        Content::Events
    } else if kind.eq_ignore_ascii_case("application/json") {
        Content::Json
    } else {
        Content::Other
    }
}

/// Whether an event holds a message; a priming event, or one of another name, does not.
pub(super) fn is_message(event: &Event) -> bool {
    !event.data.is_empty() && matches!(event.name.as_deref(), None | Some("message"))
}

/// Whether the server has forgotten the session: 404 by the specification, and by some servers a
/// 400 that speaks of it.
pub(super) fn is_over(status: StatusCode, excerpt: &[u8]) -> bool {
    let speaks_of_it = || {
        let text = String::from_utf8_lossy(excerpt).to_ascii_lowercase();
        text.contains("session")
    };
    status == StatusCode::NOT_FOUND || (status == StatusCode::BAD_REQUEST && speaks_of_it())
}

/// The revision of a result of `initialize`.
pub(super) fn agreed(result: &RawValue) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Agreed {
        #[serde(rename = "protocolVersion")]
        protocol_version: String,
    }
    let agreed: Agreed = serde_json::from_str(result.get()).ok()?;
    Some(agreed.protocol_version)
}

/// The beginning of a refusal's body.
pub(super) async fn excerpt(response: Response<Incoming>) -> Bytes {
    let mut body = response.into_body();
    let mut text = Vec::new();
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            text.extend_from_slice(&frame.into_data().unwrap_or_default());
            if text.len() > EXCERPT {
                break;
            }
        }
    };
    let _ = timeout(Duration::from_secs(5), read).await;
    text.truncate(EXCERPT);
    text.into()
}

/// Reads what nobody wants to know, so that the connection can be used again.
pub(super) fn drain(response: Response<Incoming>) {
    rest(response.into_body());
}

pub(super) fn rest(body: Incoming) {
    tokio::spawn(async move {
        let collected = Limited::new(body, EXCERPT).collect();
        let _ = timeout(REST, collected).await;
    });
}

pub(super) fn too_large() -> Failure {
    Failure::new(
        "connect.too_large",
        502,
        format!("the server sent a message of more than {LONGEST} bytes"),
        "ask for less at once",
    )
}

pub(super) fn unreadable(error: &(dyn std::error::Error + 'static)) -> Failure {
    if error.is::<http_body_util::LengthLimitError>() {
        return too_large();
    }
    Failure::new(
        "connect.lost",
        502,
        format!("the answer broke off: {}", causes(error)),
        "look into the server's log; the message was not sent again, since the server may have acted on it",
    )
}

pub(super) fn no_answer(what: &str) -> Failure {
    Failure::new(
        "connect.no_answer",
        502,
        format!("the server took the request and gave no answer ({what})"),
        "look whether the URL is that of an MCP endpoint",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_is_over() {
        for (status, text, wanted) in [
            (404, "", true),
            (400, "Bad Request: No valid session ID provided", true),
            (
                400,
                r#"{"error":{"code":-32000,"message":"Session not found"}}"#,
                true,
            ),
            (
                400,
                r#"{"error":{"code":-32602,"message":"no such tool"}}"#,
                false,
            ),
            (403, "session", false),
            (500, "session", false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_over(status, text.as_bytes()), wanted, "{status} {text}");
        }
    }

    #[test]
    fn what_a_stream_is_taken_up_by() {
        let mut resume = Resume::default();
        let event = |id: Option<&str>, retry| Event {
            id: id.map(str::to_owned),
            retry,
            ..Event::default()
        };
        resume.note(&event(Some("1-1"), Some(5)));
        resume.note(&event(None, None));
        assert_eq!(resume.after.as_deref(), Some("1-1"));
        assert_eq!(resume.retry, Some(Duration::from_millis(5)));
        resume.note(&event(Some(""), Some(u64::MAX)));
        assert_eq!(resume.after, None);
        assert_eq!(resume.retry, Some(Duration::from_secs(60)));
    }
}

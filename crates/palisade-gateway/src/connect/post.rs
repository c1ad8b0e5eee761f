//! A message of the client, and the header fields that it takes on its way.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use palisade::mcp::Revision;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::mirror::{Mirror, encoded};
use super::session::Snapshot;
use crate::upstream::stdio::envelope::{Envelope, Sort};

pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// What one line becomes.
#[derive(Clone, Debug)]
pub(super) struct Post {
    pub(super) text: Bytes,
    pub(super) kind: Kind,
    /// The requests that want an answer.
    pub(super) requests: Vec<Id>,
    /// Of a single message.
    pub(super) method: Option<String>,
    /// What it cancels.
    pub(super) cancels: Option<Id>,
    /// The revision that it names, where it stands alone.
    modern: Option<HeaderValue>,
    /// What it names: a tool, a prompt, a resource, a task.
    name: Option<String>,
}

/// What a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Several messages (2025-03-26).
    Batch,
    Notification,
    Request,
    Response,
}

/// The id of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id {
    /// The same for every way to write it.
    pub(super) key: String,
    /// As it was written.
    pub(super) raw: String,
}

/// Why a line is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Not JSON.
    Json,
    /// JSON, but neither a message nor a batch of them.
    Message,
    /// It names a revision that no header field can carry.
    Revision,
}

impl Id {
    pub(super) fn of(raw: &RawValue) -> Self {
        let raw = raw.get();
        let key = match serde_json::from_str::<String>(raw) {
            Ok(text) => format!("\"{text}"),
            Err(_) => raw.to_owned(),
        };
        Self {
            key,
            raw: raw.to_owned(),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Params<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
    #[serde(borrow, rename = "taskId")]
    task_id: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

impl Post {
    /// Reads a line.
    pub(super) fn read(text: Bytes) -> Result<Self, Unreadable> {
        if text.first() == Some(&b'[') {
            return Self::batch(text);
        }
        let Some(message) = Envelope::read(&text) else {
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok();
            return Err(if is_json {
                Unreadable::Message
            } else {
                Unreadable::Json
            });
        };
        let kind = match message.sort() {
            Some(Sort::Request) => Kind::Request,
            Some(Sort::Notification) => Kind::Notification,
            Some(Sort::Response) => Kind::Response,
            None => return Err(Unreadable::Message),
        };
        let modern = match message.meta().protocol_version {
            Some(raw) if kind == Kind::Request || kind == Kind::Notification => {
                let version: String =
                    serde_json::from_str(raw.get()).map_err(|_| Unreadable::Revision)?;
                Some(HeaderValue::from_str(&version).map_err(|_| Unreadable::Revision)?)
            }
            _ => None,
        };
        let cancels = message
            .is("notifications/cancelled")
            .then(|| message.params().request_id.map(Id::of))
            .flatten();
        Ok(Self {
            kind,
            requests: match kind {
                Kind::Request => message.id.into_iter().map(Id::of).collect(),
                _ => Vec::new(),
            },
            name: modern.as_ref().and_then(|_| named(&message)),
            method: message.method.as_deref().map(str::to_owned),
            cancels,
            modern,
            text: text.clone(),
        })
    }

    fn batch(text: Bytes) -> Result<Self, Unreadable> {
        let messages: Vec<&RawValue> =
            serde_json::from_slice(&text).map_err(|_| Unreadable::Json)?;
        let mut requests = Vec::new();
        for message in &messages {
            let message = Envelope::read(message.get().as_bytes()).ok_or(Unreadable::Message)?;
            if message.sort().ok_or(Unreadable::Message)? == Sort::Request {
                requests.extend(message.id.map(Id::of));
            }
        }
        if messages.is_empty() {
            return Err(Unreadable::Message);
        }
        Ok(Self {
            text: text.clone(),
            kind: Kind::Batch,
            requests,
            method: None,
            cancels: None,
            modern: None,
            name: None,
        })
    }

    pub(super) fn is(&self, method: &str) -> bool {
        self.method.as_deref() == Some(method)
    }

    /// Whether it opens a session.
    pub(super) fn opens(&self) -> bool {
        self.kind == Kind::Request && self.is("initialize")
    }

    /// Whether it stands alone (2026-07-28).
    pub(super) const fn is_modern(&self) -> bool {
        self.modern.is_some()
    }

    /// A subscription, whose stream stays open.
    pub(super) fn listens(&self) -> bool {
        self.is_modern() && self.is("subscriptions/listen")
    }

    /// Whether the refusal may be for want of `Mcp-Param-…`: the client has not listed the tool.
    pub(super) fn lacks_fields(&self, refusal: &[u8]) -> bool {
        const HEADER_MISMATCH: i64 = -32020;
        self.is_modern()
            && self.is("tools/call")
            && Envelope::read(refusal).and_then(|error| error.error_code()) == Some(HEADER_MISMATCH)
    }

    /// A `tools/list` of ours, by what the message says of its client.
    pub(super) fn list_tools(&self, id: &str, cursor: Option<&str>) -> Option<Self> {
        let meta = Envelope::read(&self.text)?.raw_meta()?.get();
        let cursor = cursor.map_or_else(String::new, |cursor| {
            format!(r#""cursor":{},"#, serde_json::Value::from(cursor))
        });
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list","params":{{{cursor}"_meta":{meta}}}}}"#
        );
        Self::read(text.into()).ok()
    }

    /// Adds the fields that go with the message: those that mirror it where it stands alone
    /// (2026-07-28, "Standard Headers"), else those of its session.
    pub(super) fn put_headers(
        &self,
        session: Option<&Snapshot>,
        mirror: &Mirror,
        headers: &mut HeaderMap,
    ) {
        let Some(version) = &self.modern else {
            if let Some(session) = session {
                session.put_headers(headers);
            }
            return;
        };
        headers.insert(PROTOCOL_VERSION, version.clone());
        if let Some(method) = &self.method {
            headers.insert(METHOD, encoded(method));
        }
        if let Some(name) = &self.name {
            headers.insert(NAME, encoded(name));
        }
        if let Some(name) = self.name.as_ref().filter(|_| self.is("tools/call"))
            && mirror.knows(name)
            && let Some(message) = Envelope::read(&self.text)
            && let Some(arguments) = params(&message).arguments
        {
            mirror.put_headers(name, arguments, headers);
        }
    }
}

impl Snapshot {
    /// The fields of every message of a session. Before 2025-06-18 there was none for the revision.
    pub(super) fn put_headers(&self, headers: &mut HeaderMap) {
        if let Some(id) = &self.id {
            headers.insert(SESSION_ID, id.clone());
        }
        if Revision::parse(&self.revision) >= Revision::V2025_06_18
            && let Ok(value) = HeaderValue::from_str(&self.revision)
        {
            headers.insert(PROTOCOL_VERSION, value);
        }
    }
}

/// The fields of every POST.
pub(super) fn fields() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(12);
    headers.insert(
        ACCEPT,
        HeaderValue::from_static("application/json, text/event-stream"),
    );
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, AGENT);
    headers
}

/// The fields of every GET and DELETE.
pub(super) fn bare_fields() -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers.insert(USER_AGENT, AGENT);
    headers
}

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("palisade-connect/", env!("CARGO_PKG_VERSION")));

/// What `Mcp-Name` says.
fn named(message: &Envelope<'_>) -> Option<String> {
    let params = params(message);
    let raw = match message.method.as_deref()? {
        "tools/call" | "prompts/get" => params.name,
        "resources/read" => params.uri,
        method if method.starts_with("tasks/") => params.task_id,
        _ => None,
    };
    serde_json::from_str(raw?.get()).ok()
}

fn params<'a>(message: &Envelope<'a>) -> Params<'a> {
    message
        .params
        .filter(|params| params.get().starts_with('{'))
        .and_then(|params| serde_json::from_str(params.get()).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Post, Unreadable> {
        Post::read(Bytes::copy_from_slice(text.as_bytes()))
    }

    fn headers(text: &str, session: Option<&Snapshot>) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        read(text)
            .unwrap()
            .put_headers(session, &Mirror::default(), &mut headers);
        let mut found: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        found.sort();
        found
    }

    fn pairs(wanted: &[(&str, &str)]) -> Vec<(String, String)> {
        wanted
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    // REQ: U-2, G-2
    #[test]
    fn each_era_has_its_headers() {
        let session = |revision: &str| Snapshot {
            generation: 0,
            id: Some(HeaderValue::from_static("abc")),
            revision: revision.to_owned(),
        };
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
        assert_eq!(headers(call, None), []);
        assert_eq!(
            headers(call, Some(&session("2025-11-25"))),
            pairs(&[
                ("mcp-protocol-version", "2025-11-25"),
                ("mcp-session-id", "abc")
            ])
        );
        assert_eq!(
            headers(call, Some(&session("2025-03-26"))),
            pairs(&[("mcp-session-id", "abc")])
        );
        let modern = |method: &str, params: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
            )
        };
        for (method, params, name) in [
            ("tools/call", r#""name":"echo","#, Some("echo")),
            (
                "tools/call",
                r#""name":"écho","#,
                Some("=?base64?w6ljaG8=?="),
            ),
            ("prompts/get", r#""name":"p","#, Some("p")),
            (
                "resources/read",
                r#""uri":"a://b","name":"x","#,
                Some("a://b"),
            ),
            ("tasks/get", r#""taskId":"7","#, Some("7")),
            ("tools/list", r#""name":"x","#, None),
            ("tools/call", r#""name":7,"#, None),
        ] {
            let mut wanted = vec![("mcp-method", method)];
            wanted.extend(name.map(|name| ("mcp-name", name)));
            wanted.push(("mcp-protocol-version", "2026-07-28"));
            // It stands alone, also where there is a session.
            let found = headers(&modern(method, params), Some(&session("2025-11-25")));
            assert_eq!(found, pairs(&wanted), "{method} {params}");
        }
    }

    #[test]
    fn lines() {
        for (text, kind, requests) in [
            (r#"{"id":1,"method":"a"}"#, Kind::Request, &["1"][..]),
            (r#"{"id":"1","method":"a"}"#, Kind::Request, &["\"1"]),
            (r#"{"id":"\u0031","method":"a"}"#, Kind::Request, &["\"1"]),
            (r#"{"method":"a"}"#, Kind::Notification, &[]),
            (r#"{"id":1,"result":{}}"#, Kind::Response, &[]),
            (
                r#"[{"id":1,"method":"a"},{"method":"b"},{"id":2,"method":"a"}]"#,
                Kind::Batch,
                &["1", "2"],
            ),
        ] {
            let post = read(text).unwrap();
            assert_eq!(post.kind, kind, "{text}");
            let keys: Vec<_> = post.requests.iter().map(|id| id.key.as_str()).collect();
            assert_eq!(keys, requests, "{text}");
        }
        for (text, wanted) in [
            ("Listening", Unreadable::Json),
            ("{", Unreadable::Json),
            ("1", Unreadable::Message),
            ("{}", Unreadable::Message),
            ("[]", Unreadable::Message),
            ("[1]", Unreadable::Message),
            ("[{}]", Unreadable::Message),
            (
                r#"{"id":1,"method":"a","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"a\r\nb"}}}"#,
                Unreadable::Revision,
            ),
            (
                r#"{"id":1,"method":"a","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":7}}}"#,
                Unreadable::Revision,
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_cancelled() {
        let post =
            read(r#"{"method":"notifications/cancelled","params":{"requestId":"a"}}"#).unwrap();
        assert_eq!(post.cancels.unwrap().raw, "\"a\"");
        assert!(
            read(r#"{"method":"notifications/cancelled"}"#)
                .unwrap()
                .cancels
                .is_none()
        );
    }
}

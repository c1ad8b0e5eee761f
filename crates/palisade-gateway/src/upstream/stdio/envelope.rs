//! What the bridge reads of a message, and how it puts other ids into it.
//!
//! Requests reach a child under ids of the bridge's own, so that several clients may use the same
//! ones. Only the id, the progress token and what names an id are replaced; every other byte of a
//! message is its sender's. What clients send has been read strictly before; what a child sends is
//! read leniently: a text that one reader would refuse is still the client's to judge.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// One message, its members unread.
#[derive(Debug, Deserialize)]
pub(crate) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(crate) id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(crate) params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) error: Option<&'a RawValue>,
}

/// The members of `params` that name a request.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Params<'a> {
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "progressToken")]
    pub(crate) progress_token: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "requestId")]
    pub(crate) request_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(crate) level: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "inputResponses")]
    pub(crate) input_responses: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "requestState")]
    pub(crate) request_state: Option<&'a RawValue>,
}

/// The same of `_meta`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Meta<'a> {
    #[serde(borrow, default, rename = "progressToken")]
    pub(crate) progress_token: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/subscriptionId")]
    pub(crate) subscription: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/logLevel")]
    pub(crate) log_level: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/protocolVersion")]
    pub(crate) protocol_version: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "io.modelcontextprotocol/clientCapabilities")]
    pub(crate) client_capabilities: Option<&'a RawValue>,
}

/// What sort of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    Notification,
    Request,
    Response,
}

impl<'a> Envelope<'a> {
    /// Reads a message; `None`: it is none.
    pub(crate) fn read(text: &'a [u8]) -> Option<Self> {
        // An array would be taken for the members in their order.
        let object = text.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        object.then(|| serde_json::from_slice(text).ok())?
    }

    /// `None`: neither method nor result nor error.
    pub(crate) fn sort(&self) -> Option<Sort> {
        match (&self.method, self.id) {
            (Some(_), Some(_)) => Some(Sort::Request),
            (Some(_), None) => Some(Sort::Notification),
            (None, _) => (self.result.is_some() || self.error.is_some()).then_some(Sort::Response),
        }
    }

    pub(crate) fn is(&self, method: &str) -> bool {
        self.method.as_deref() == Some(method)
    }

    pub(crate) fn params(&self) -> Params<'a> {
        of(self.params)
    }

    pub(crate) fn meta(&self) -> Meta<'a> {
        of(self.params().meta)
    }

    /// `params._meta` as it was written.
    pub(crate) fn raw_meta(&self) -> Option<&'a RawValue> {
        self.params().meta
    }

    /// `_meta` of the result.
    pub(crate) fn result_meta(&self) -> Meta<'a> {
        of(of::<Params<'a>>(self.result).meta)
    }

    /// The code of an error response.
    pub(crate) fn error_code(&self) -> Option<i64> {
        self.raw_error_code()?.get().parse().ok()
    }

    /// The same as it was written.
    pub(crate) fn raw_error_code(&self) -> Option<&'a RawValue> {
        #[derive(Default, Deserialize)]
        struct Error<'a> {
            #[serde(borrow, default)]
            code: Option<&'a RawValue>,
        }
        of::<Error<'a>>(self.error).code
    }
}

/// Reads what it can of a value.
fn of<'a, T: Deserialize<'a> + Default>(raw: Option<&'a RawValue>) -> T {
    raw.filter(|raw| raw.get().starts_with('{'))
        .and_then(|raw| serde_json::from_str(raw.get()).ok())
        .unwrap_or_default()
}

/// The number that an id of the bridge's own is.
pub(crate) fn number(raw: &RawValue) -> Option<u64> {
    raw.get().parse().ok()
}

/// One part of a message that is replaced.
pub(crate) struct Edit<'a> {
    range: Range<usize>,
    by: Cow<'a, [u8]>,
}

impl<'a> Edit<'a> {
    /// Replaces `raw`, which is a part of `text`, by `by`.
    pub(crate) fn replace(text: &[u8], raw: &RawValue, by: impl Into<Cow<'a, [u8]>>) -> Self {
        let start = (raw.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        Self {
            range: start..start + raw.get().len(),
            by: by.into(),
        }
    }

    /// Puts `by` behind the opening brace of `object`, which is a part of `text`.
    pub(crate) fn insert(text: &[u8], object: &RawValue, by: impl Into<Cow<'a, [u8]>>) -> Self {
        let start = (object.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        Self {
            range: start + 1..start + 1,
            by: by.into(),
        }
    }
}

/// The text with its edits, on one line.
pub(crate) fn edited(text: &[u8], mut edits: Vec<Edit<'_>>) -> Vec<u8> {
    edits.sort_by_key(|edit| edit.range.start);
    let more: usize = edits.iter().map(|edit| edit.by.len()).sum();
    let mut out = Vec::with_capacity(text.len() + more + 1);
    let mut at = 0;
    for edit in edits {
        if edit.range.start < at || edit.range.end > text.len() {
            continue;
        }
        out.extend_from_slice(&text[at..edit.range.start]);
        out.extend_from_slice(&edit.by);
        at = edit.range.end;
    }
    out.extend_from_slice(&text[at..]);
    one_line(&mut out);
    out
}

/// In JSON a line end is white space, or it is escaped.
fn one_line(text: &mut [u8]) {
    for byte in text {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// Whether an object has a member of this name; `false` for what is no object.
pub(crate) fn has_member(object: &RawValue, name: &str) -> bool {
    let members: Option<std::collections::HashMap<Cow<'_, str>, IgnoredAny>> =
        serde_json::from_str(object.get()).ok();
    members.is_some_and(|members| members.contains_key(name))
}

/// The id as the client wrote it.
pub(crate) fn raw_bytes(raw: &RawValue) -> Bytes {
    Bytes::copy_from_slice(raw.get().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts() {
        for (text, sort) in [
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"a"}"#,
                Some(Sort::Request),
            ),
            (
                r#"{"jsonrpc":"2.0","method":"a"}"#,
                Some(Sort::Notification),
            ),
            (
                r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#,
                Some(Sort::Notification),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
                Some(Sort::Response),
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#,
                Some(Sort::Response),
            ),
            (r#"{"jsonrpc":"2.0","id":1}"#, None),
            (
                r#"{"a":"\ud800","id":1,"result":{"b":"\ud800"}}"#,
                Some(Sort::Response),
            ),
        ] {
            assert_eq!(
                Envelope::read(text.as_bytes()).unwrap().sort(),
                sort,
                "{text}"
            );
        }
        for text in [
            "",
            "x",
            "[]",
            r#"{"id":1,"id":2,"result":{}}"#,
            "{} {}",
            "Listening on 1",
        ] {
            assert!(Envelope::read(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn only_what_is_named_is_replaced() {
        let text = b"{\"id\": \"a\",\n\"method\":\"x\",\"params\":{\"_meta\":{\"progressToken\":\"a\"},\"id\":\"a\"}}";
        let envelope = Envelope::read(text).unwrap();
        let token = envelope.meta().progress_token.unwrap();
        let edits = vec![
            Edit::replace(text, token, &b"70"[..]),
            Edit::replace(text, envelope.id.unwrap(), &b"7"[..]),
        ];
        assert_eq!(
            String::from_utf8(edited(text, edits)).unwrap(),
            r#"{"id": 7, "method":"x","params":{"_meta":{"progressToken":70},"id":"a"}}"#
        );
    }

    #[test]
    fn odd_params_are_no_obstacle() {
        for text in [
            r#"{"method":"x","params":[{"progressToken":1},2,3]}"#,
            r#"{"method":"x","params":{"_meta":[1,2,3]}}"#,
            r#"{"method":"x","params":{"_meta":1}}"#,
            r#"{"method":"x","params":{"_meta":{"progressToken":{}}}}"#,
            r#"{"method":"x"}"#,
        ] {
            let envelope = Envelope::read(text.as_bytes()).unwrap();
            assert!(envelope.meta().progress_token.and_then(number).is_none());
        }
    }
}

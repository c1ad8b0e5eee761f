//! What the child says unasked: which stream it belongs to, and who wants to hear it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;

use super::super::envelope::{Edit, Envelope, edited, number};
use super::super::mailbox::{End, Mailbox, STANDING};
use super::{Link, Pending, State};

impl Link {
    pub(super) fn notifies(&self, text: &[u8], message: &Envelope<'_>) {
        let state = self.lock();
        if message.is("notifications/progress") {
            let params = message.params();
            let Some(token) = params.progress_token else {
                return;
            };
            let pending = number(token).and_then(|number| state.pending.get(&number));
            let Some(pending) = pending else { return };
            let Some(own) = &pending.token else { return };
            let edit = Edit::replace(text, token, &**own);
            let (mailbox, stream) = (Arc::clone(&pending.mailbox), pending.stream);
            let line = edited(text, vec![edit]);
            drop(state);
            return mailbox.push(stream, line.into(), End::More);
        }
        if let Some(subscription) = message.meta().subscription {
            let pending = number(subscription).and_then(|number| state.pending.get(&number));
            let Some(pending) = pending else { return };
            let edit = Edit::replace(text, subscription, &*pending.id);
            let line = edited(text, vec![edit]);
            let (mailbox, stream) = (Arc::clone(&pending.mailbox), pending.stream);
            drop(state);
            return mailbox.push(stream, line.into(), End::More);
        }
        if message.is("notifications/cancelled") {
            // It no longer wants an answer to what it asked.
            let cancelled = message.params().request_id.map(RawValue::get);
            let mailbox = cancelled.and_then(|id| state.asked.get(id)).cloned();
            drop(state);
            if let (Some(mailbox), Some(id)) = (mailbox, cancelled) {
                self.lock().asked.remove(id);
                let stream = self.stream_of(&mailbox);
                mailbox.push(stream, edited(text, Vec::new()).into(), End::More);
            }
            return;
        }
        let line = Bytes::from(edited(text, Vec::new()));
        if is_of_all(message) {
            // News of the server itself: each session gets it once.
            let sessions = state.sessions.clone();
            for listener in &state.listeners {
                if listener.filter.wants(message) {
                    let line = subscribed(text, message, &listener.id);
                    listener
                        .mailbox
                        .push(listener.stream, line.into(), End::More);
                }
            }
            let newest = self.current(&state, true);
            drop(state);
            for session in sessions {
                let stream = match &newest {
                    Some((mailbox, stream))
                        if Arc::ptr_eq(mailbox, &session) && !session.is_attached(STANDING) =>
                    {
                        *stream
                    }
                    _ => STANDING,
                };
                session.push(stream, line.clone(), End::More);
            }
            return;
        }
        let place = self.current(&state, false);
        let quiet = state
            .pending
            .last_key_value()
            .map_or(ALL, |(_, newest)| newest.quiet);
        drop(state);
        if message.is("notifications/message") && severity_of(message.params().level) < quiet {
            return;
        }
        if let Some((mailbox, stream)) = place {
            mailbox.push(stream, line, End::More);
        }
    }

    /// Where a message goes that does not say what it belongs to: to the stream of the call that
    /// came last, since that is the likely cause; without any to the session's standing stream. To
    /// nobody where it could be another's.
    pub(super) fn current(&self, state: &State, alike: bool) -> Option<(Arc<Mailbox>, u64)> {
        if let Some((_, newest)) = state.pending.last_key_value() {
            let same = |pending: &Pending| Arc::ptr_eq(&pending.mailbox, &newest.mailbox);
            if alike || !self.mixed || state.pending.values().all(same) {
                return Some((Arc::clone(&newest.mailbox), newest.stream));
            }
            return None;
        }
        match state.sessions.as_slice() {
            [only] => Some((Arc::clone(only), STANDING)),
            [.., last] if !self.mixed => Some((Arc::clone(last), STANDING)),
            _ => None,
        }
    }

    fn stream_of(&self, mailbox: &Arc<Mailbox>) -> u64 {
        let state = self.lock();
        let mut pending = state.pending.values().rev();
        pending
            .find(|pending| Arc::ptr_eq(&pending.mailbox, mailbox))
            .map_or(STANDING, |pending| pending.stream)
    }
}

/// How grave a log message is (RFC 5424), from 0.
pub(super) type Severity = usize;

/// Every log message is wanted.
pub(super) const ALL: Severity = 0;

/// The severity that a word names. Without one nothing is wanted.
pub(super) fn severity_of(raw: Option<&RawValue>) -> Severity {
    const WORDS: [&str; 8] = [
        "\"debug\"",
        "\"info\"",
        "\"notice\"",
        "\"warning\"",
        "\"error\"",
        "\"critical\"",
        "\"alert\"",
        "\"emergency\"",
    ];
    let position = raw.and_then(|raw| WORDS.iter().position(|word| *word == raw.get()));
    position.unwrap_or(WORDS.len())
}

/// The notification as one of a subscription.
fn subscribed(text: &[u8], message: &Envelope<'_>, id: &[u8]) -> Vec<u8> {
    let id = String::from_utf8_lossy(id);
    let own = format!(r#""io.modelcontextprotocol/subscriptionId":{id}"#);
    let meta = message
        .raw_meta()
        .filter(|meta| meta.get().starts_with('{'));
    let comma = |object: &RawValue| {
        let is_empty = object.get()[1..].trim_start().starts_with('}');
        if is_empty { "" } else { "," }
    };
    if let Some(meta) = meta {
        let by = format!("{own}{}", comma(meta)).into_bytes();
        return edited(text, vec![Edit::insert(text, meta, by)]);
    }
    if let Some(params) = message
        .params
        .filter(|params| params.get().starts_with('{'))
    {
        let by = format!(r#""_meta":{{{own}}}{}"#, comma(params)).into_bytes();
        return edited(text, vec![Edit::insert(text, params, by)]);
    }
    let method = serde_json::Value::from(message.method.as_deref().unwrap_or_default());
    format!(r#"{{"jsonrpc":"2.0","method":{method},"params":{{"_meta":{{{own}}}}}}}"#).into_bytes()
}

/// Notifications about the server, not about a request.
fn is_of_all(message: &Envelope<'_>) -> bool {
    let method = message.method.as_deref().unwrap_or_default();
    method.ends_with("/list_changed") || method == "notifications/resources/updated"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    // REQ: G-16
    #[test]
    fn severities_are_in_the_order_of_rfc_5424() {
        for (text, severity) in [
            ("\"debug\"", 0),
            ("\"info\"", 1),
            ("\"emergency\"", 7),
            ("\"Info\"", 8),
            ("1", 8),
        ] {
            assert_eq!(severity_of(Some(raw(text))), severity, "{text}");
        }
        // Without a word nothing is wanted (2026-07-28).
        assert_eq!(severity_of(None), 8);
    }

    // REQ: G-16
    #[test]
    fn a_notification_becomes_one_of_a_subscription() {
        let own = r#""io.modelcontextprotocol/subscriptionId":7"#;
        for (text, wanted) in [
            (
                r#"{"method":"a"}"#,
                format!(r#"{{"jsonrpc":"2.0","method":"a","params":{{"_meta":{{{own}}}}}}}"#),
            ),
            (
                r#"{"method":"a","params":{}}"#,
                format!(r#"{{"method":"a","params":{{"_meta":{{{own}}}}}}}"#),
            ),
            (
                r#"{"method":"a","params":{"uri":"b"}}"#,
                format!(r#"{{"method":"a","params":{{"_meta":{{{own}}},"uri":"b"}}}}"#),
            ),
            (
                r#"{"method":"a","params":{"_meta":{ }}}"#,
                format!(r#"{{"method":"a","params":{{"_meta":{{{own} }}}}}}"#),
            ),
            (
                r#"{"method":"a","params":{"_meta":{"x":1}}}"#,
                format!(r#"{{"method":"a","params":{{"_meta":{{{own},"x":1}}}}}}"#),
            ),
        ] {
            let message = Envelope::read(text.as_bytes()).unwrap();
            let found = subscribed(text.as_bytes(), &message, b"7");
            assert_eq!(String::from_utf8(found).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn news_of_the_server_are_for_all() {
        for (method, wanted) in [
            ("notifications/tools/list_changed", true),
            ("notifications/prompts/list_changed", true),
            ("notifications/resources/updated", true),
            ("notifications/message", false),
            ("notifications/progress", false),
        ] {
            let text = format!(r#"{{"method":"{method}"}}"#);
            let message = Envelope::read(text.as_bytes()).unwrap();
            assert_eq!(is_of_all(&message), wanted, "{method}");
        }
    }
}

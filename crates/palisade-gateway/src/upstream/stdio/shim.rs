//! Between a client of 2026-07-28 and a child that knows only sessions.
//!
//! The bridge opens the child's session once and answers `server/discover` from what it said then.
//! Requests pass as they are: an older child ignores what is new in them. Results get what this
//! revision requires of them. `subscriptions/listen` becomes `resources/subscribe` and a filter.
//! What the child asks is asked by the answer ([`super::rounds`]).

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::body::Events;
use super::envelope::{Edit, Envelope, edited, has_member};
use super::link::{Adapt, Link, Listener};
use super::lone::readdressed;
use super::mailbox::{End, Mailbox};

/// The revision that stands alone.
pub(super) const MODERN: &str = "2026-07-28";

pub(super) const DISCOVER: &str = concat!(
    r#"{"jsonrpc":"2.0","id":0,"method":"server/discover","params":{"_meta":{"#,
    r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
    r#""io.modelcontextprotocol/clientInfo":{"name":"palisade","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""},"io.modelcontextprotocol/clientCapabilities":{}}}}"#
);

pub(super) const INITIALIZE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
    r#""capabilities":{},"clientInfo":{"name":"palisade","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}}"#
);

/// The same for a client that can be asked in the middle of a call. Roots are left out: servers ask
/// for those as soon as they are open, when there is no call to ask by.
pub(super) const INITIALIZE_TO_BE_ASKED: &str = concat!(
    r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","#,
    r#""capabilities":{"elicitation":{},"sampling":{}},"#,
    r#""clientInfo":{"name":"palisade","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}}"#
);

pub(super) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// What an older child said of itself.
#[derive(Debug)]
pub(super) struct Opened {
    answer: Bytes,
}

#[derive(Deserialize)]
struct Initialized<'a> {
    #[serde(borrow, default)]
    capabilities: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "serverInfo")]
    server_info: Option<&'a RawValue>,
    #[serde(borrow, default)]
    instructions: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Discovered<'a> {
    result_type: &'static str,
    supported_versions: [&'static str; 1],
    capabilities: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<&'a RawValue>,
    ttl_ms: u32,
    cache_scope: &'static str,
    #[serde(rename = "_meta", skip_serializing_if = "Option::is_none")]
    meta: Option<Meta<'a>>,
}

#[derive(Serialize)]
struct Meta<'a> {
    #[serde(rename = "io.modelcontextprotocol/serverInfo")]
    server_info: &'a RawValue,
}

/// Capabilities of sessions alone.
const OF_SESSIONS: [&str; 2] = ["logging", "tasks"];

impl Opened {
    /// Reads the answer to `initialize`; `None`: it was refused.
    pub(super) fn read(answer: &[u8]) -> Option<Self> {
        let result = Envelope::read(answer)?.result?;
        serde_json::from_str::<Initialized<'_>>(result.get()).ok()?;
        Some(Self {
            answer: Bytes::copy_from_slice(answer),
        })
    }

    /// The answer, to another client's `initialize`.
    pub(super) fn answer(&self, id: &[u8]) -> Bytes {
        readdressed(&self.answer, id)
    }

    /// The server's version, as it says.
    pub(super) fn version(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Info {
            version: String,
        }
        let info = self.initialized()?.server_info?;
        serde_json::from_str::<Info>(info.get())
            .ok()
            .map(|info| info.version)
    }

    /// The answer to `server/discover`.
    pub(super) fn discovered(&self, id: &[u8]) -> Bytes {
        let said = self.initialized();
        let said = said.as_ref();
        let mut capabilities: serde_json::Map<_, _> = said
            .and_then(|said| said.capabilities)
            .and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default();
        for name in OF_SESSIONS {
            capabilities.remove(name);
        }
        let discovered = Discovered {
            result_type: "complete",
            supported_versions: [MODERN],
            capabilities: Some(capabilities),
            instructions: said.and_then(|said| said.instructions),
            ttl_ms: 0,
            cache_scope: "private",
            meta: said
                .and_then(|said| said.server_info)
                .map(|server_info| Meta { server_info }),
        };
        let id = std::str::from_utf8(id).unwrap_or("null");
        let result = serde_json::to_string(&discovered).unwrap_or_default();
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into()
    }

    fn subscribes(&self) -> bool {
        #[derive(Default, Deserialize)]
        struct Capabilities {
            #[serde(default)]
            resources: Resources,
        }
        #[derive(Default, Deserialize)]
        struct Resources {
            #[serde(default)]
            subscribe: bool,
        }
        let capabilities = self.initialized().and_then(|said| said.capabilities);
        capabilities
            .and_then(|raw| serde_json::from_str::<Capabilities>(raw.get()).ok())
            .is_some_and(|capabilities| capabilities.resources.subscribe)
    }

    fn initialized(&self) -> Option<Initialized<'_>> {
        let result = Envelope::read(&self.answer)?.result?;
        serde_json::from_str(result.get()).ok()
    }
}

/// Whether this revision no longer knows the method, though an older child does.
pub(super) fn is_removed(message: &Envelope<'_>) -> bool {
    matches!(
        message.method.as_deref(),
        Some(
            "initialize"
                | "logging/setLevel"
                | "ping"
                | "resources/subscribe"
                | "resources/unsubscribe"
        )
    )
}

/// What the result of this request needs.
pub(super) fn adapting(message: &Envelope<'_>) -> Adapt {
    let cacheable = matches!(
        message.method.as_deref(),
        Some(
            "prompts/list"
                | "resources/list"
                | "resources/read"
                | "resources/templates/list"
                | "tools/list"
        )
    );
    if cacheable {
        complete_and_private
    } else {
        complete
    }
}

fn complete(answer: &[u8]) -> Vec<u8> {
    with_members(answer, &[("resultType", "\"complete\"")])
}

fn complete_and_private(answer: &[u8]) -> Vec<u8> {
    with_members(
        answer,
        &[
            ("resultType", "\"complete\""),
            ("ttlMs", "0"),
            ("cacheScope", "\"private\""),
        ],
    )
}

/// The answer, its result with those of the members that it lacks.
fn with_members(answer: &[u8], members: &[(&str, &str)]) -> Vec<u8> {
    let envelope = Envelope::read(answer);
    let code = envelope.as_ref().and_then(Envelope::raw_error_code);
    if let Some(code) = code.filter(|code| code.get() == "-32002") {
        // "Resource not found", before SEP-2164.
        return edited(answer, vec![Edit::replace(answer, code, &b"-32602"[..])]);
    }
    let result = envelope.and_then(|answer| answer.result);
    let Some(result) = result.filter(|result| result.get().starts_with('{')) else {
        return answer.to_vec();
    };
    let is_empty = result.get()[1..].trim_start().starts_with('}');
    let mut more: Vec<String> = members
        .iter()
        .filter(|(name, _)| !has_member(result, name))
        .map(|(name, value)| format!("\"{name}\":{value}"))
        .collect();
    if more.is_empty() {
        return answer.to_vec();
    }
    if !is_empty {
        more.push(String::new());
    }
    let edit = Edit::insert(answer, result, more.join(",").into_bytes());
    edited(answer, vec![edit])
}

/// What a `subscriptions/listen` wants to hear of.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Filter {
    #[serde(skip_serializing_if = "is_false")]
    tools_list_changed: bool,
    #[serde(skip_serializing_if = "is_false")]
    prompts_list_changed: bool,
    #[serde(skip_serializing_if = "is_false")]
    resources_list_changed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resource_subscriptions: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// URIs of one subscription.
const MOST_SUBSCRIPTIONS: usize = 100;

impl Filter {
    /// Whether a notification of the child is wanted.
    pub(super) fn wants(&self, message: &Envelope<'_>) -> bool {
        #[derive(Default, Deserialize)]
        struct Updated {
            #[serde(default)]
            uri: String,
        }
        match message.method.as_deref() {
            Some("notifications/tools/list_changed") => self.tools_list_changed,
            Some("notifications/prompts/list_changed") => self.prompts_list_changed,
            Some("notifications/resources/list_changed") => self.resources_list_changed,
            Some("notifications/resources/updated") => {
                let updated: Updated = message
                    .params
                    .and_then(|params| serde_json::from_str(params.get()).ok())
                    .unwrap_or_default();
                self.resource_subscriptions.contains(&updated.uri)
            }
            _ => false,
        }
    }
}

/// Opens a stream of what the filter wants, its first event the acknowledgement.
pub(super) fn listen(
    link: &Arc<Link>,
    opened: &Opened,
    mailbox: &Arc<Mailbox>,
    message: &Envelope<'_>,
    id: &[u8],
) -> Option<Events> {
    #[derive(Default, Deserialize)]
    struct Wanted {
        #[serde(default)]
        notifications: Filter,
    }
    let wanted: Wanted = message
        .params
        .and_then(|params| serde_json::from_str(params.get()).ok())
        .unwrap_or_default();
    let mut filter = wanted.notifications;
    filter.resource_subscriptions.truncate(MOST_SUBSCRIPTIONS);
    if !opened.subscribes() {
        filter.resource_subscriptions.clear();
    }
    let stream = mailbox.open(1);
    let granted = serde_json::to_string(&filter).unwrap_or_default();
    let shown = String::from_utf8_lossy(id);
    let acknowledged = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{shown}}},"notifications":{granted}}}}}"#
    );
    mailbox.push(stream, acknowledged.into(), End::More);
    for uri in &filter.resource_subscriptions {
        let uri = serde_json::Value::from(uri.as_str());
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"resources/subscribe","params":{{"uri":{uri}}}}}"#
        );
        if let Some(subscribe) = Envelope::read(text.as_bytes()) {
            // Whether it was granted is known to nobody: there is no word for that.
            let _ = link.request(&Mailbox::new(false), 0, text.as_bytes(), &subscribe, None);
        }
    }
    let listener = Listener {
        mailbox: Arc::clone(mailbox),
        stream,
        id: Bytes::copy_from_slice(id),
        filter,
    };
    let heard = link.listen(listener);
    Some(Events::new(mailbox.attach(stream, None).ok()?).hearing(heard))
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: G-16
    #[test]
    fn results_get_what_the_revision_requires() {
        for (answer, wanted) in [
            (
                r#"{"id":1,"result":{"tools":[]}}"#,
                r#"{"id":1,"result":{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[]}}"#,
            ),
            (
                r#"{"id":1,"result":{ }}"#,
                r#"{"id":1,"result":{"resultType":"complete","ttlMs":0,"cacheScope":"private" }}"#,
            ),
            (
                r#"{"id":1,"result":{"ttlMs":5,"resultType":"x","cacheScope":"public"}}"#,
                r#"{"id":1,"result":{"ttlMs":5,"resultType":"x","cacheScope":"public"}}"#,
            ),
            (
                r#"{"id":1,"error":{"code":1}}"#,
                r#"{"id":1,"error":{"code":1}}"#,
            ),
            (
                r#"{"id":1,"error":{"code":-32002,"message":"-32002"}}"#,
                r#"{"id":1,"error":{"code":-32602,"message":"-32002"}}"#,
            ),
            (r#"{"id":1,"result":7}"#, r#"{"id":1,"result":7}"#),
        ] {
            let adapted = complete_and_private(answer.as_bytes());
            assert_eq!(String::from_utf8(adapted).unwrap(), wanted);
        }
    }

    #[test]
    fn discover_says_what_initialize_said() {
        let opened = Opened::read(br#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"logging":{}},"serverInfo":{"name":"old","version":"3"},"instructions":"be kind"}}"#).unwrap();
        let answer: serde_json::Value =
            serde_json::from_slice(&opened.discovered(b"\"d\"")).unwrap();
        assert_eq!(answer["id"], "d");
        let result = &answer["result"];
        assert_eq!(result["supportedVersions"], serde_json::json!([MODERN]));
        assert_eq!(
            result["capabilities"],
            serde_json::json!({ "tools": { "listChanged": true } })
        );
        assert_eq!(result["instructions"], "be kind");
        assert_eq!(
            result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"],
            "old"
        );
        assert_eq!(opened.version().as_deref(), Some("3"));
        assert!(Opened::read(br#"{"id":0,"error":{"code":1,"message":""}}"#).is_none());
    }

    #[test]
    fn only_what_was_asked_for_is_heard() {
        let filter: Filter = serde_json::from_str(
            r#"{"toolsListChanged":true,"resourceSubscriptions":["a://b"],"taskIds":["x"]}"#,
        )
        .unwrap();
        for (text, wanted) in [
            (r#"{"method":"notifications/tools/list_changed"}"#, true),
            (r#"{"method":"notifications/prompts/list_changed"}"#, false),
            (
                r#"{"method":"notifications/resources/updated","params":{"uri":"a://b"}}"#,
                true,
            ),
            (
                r#"{"method":"notifications/resources/updated","params":{"uri":"a://c"}}"#,
                false,
            ),
            (r#"{"method":"notifications/message","params":{}}"#, false),
        ] {
            let message = Envelope::read(text.as_bytes()).unwrap();
            assert_eq!(filter.wants(&message), wanted, "{text}");
        }
    }

    #[test]
    fn what_the_bridge_says_is_json() {
        for text in [DISCOVER, INITIALIZE, INITIALIZE_TO_BE_ASKED, INITIALIZED] {
            assert!(Envelope::read(text.as_bytes()).unwrap().sort().is_some());
        }
    }
}

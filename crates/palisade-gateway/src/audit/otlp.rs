//! Records as OpenTelemetry log records, over OTLP/HTTP in protobuf.
//!
//! The body of each is the line as it is written, so the chain can be verified from what a collector kept. Attributes have the names
//! of the semantic conventions for MCP and generative AI where there is one, else begin with `palisade.`.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Request, StatusCode};
use http_body_util::Full;
use palisade_audit::{Batch, Deliver, DeliverError, Delivered, PublicKey};
use prost::Message as _;
use serde::Deserialize;

use self::message::{
    AnyValue, ExportRequest, ExportResponse, KeyValue, LogRecord, Resource, ResourceLogs, Scope,
    ScopeLogs, any_value,
};
use super::http::{Http, refused};
use crate::config::Otlp;

/// Delivers to one collector.
pub(super) struct Collector {
    http: Http,
    url: String,
    authorization: Option<HeaderValue>,
    resource: Resource,
}

impl Collector {
    pub(super) fn new(otlp: &Otlp, key: &PublicKey) -> Result<Self, String> {
        let authorization = match &otlp.token_file {
            Some(path) => {
                let token = std::fs::read_to_string(path)
                    .map_err(|error| format!("`token_file` {}: {error}", path.display()))?;
                let value = format!("Bearer {}", token.trim());
                let mut value = HeaderValue::try_from(value).map_err(|_| {
                    format!("`token_file` {} holds no token on one line", path.display())
                })?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let attributes = vec![
            text("service.name", "palisade"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", super::instance(key)),
        ];
        Ok(Self {
            http: Http::new(otlp.ca.as_deref())?,
            url: otlp.url.to_string(),
            authorization,
            resource: Resource { attributes },
        })
    }
}

impl Deliver for Collector {
    fn deliver(&mut self, batch: &Batch<'_>) -> Result<Delivered, DeliverError> {
        let body = encode(&self.resource, batch.lines, now());
        let mut request = Request::post(&self.url)
            .header(CONTENT_TYPE, "application/x-protobuf")
            .header(USER_AGENT, USER)
            .body(Full::new(Bytes::from(body)))
            .unwrap_or_default();
        if let Some(value) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        let answer = self.http.send(request)?;
        if answer.status().is_success() {
            return Ok(Delivered {
                rejected: rejected(answer.body()),
            });
        }
        let remedy = match answer.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "give it a token that it takes by `token_file`"
            }
            StatusCode::NOT_FOUND => "write the URL below which it takes OTLP/HTTP at /v1/logs",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "let it take OTLP/HTTP in protobuf",
            _ => "look at the collector's own log",
        };
        Err(refused(&answer, &PASSING, remedy))
    }
}

/// OTLP specification, "Retryable Response Codes".
const PASSING: [StatusCode; 4] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

pub(super) const USER: &str = concat!("palisade/", env!("CARGO_PKG_VERSION"));

/// OTLP specification, "Partial Success": what was rejected must not be sent again.
fn rejected(answer: &[u8]) -> Option<(u64, String)> {
    let partial = ExportResponse::decode(answer).ok()?.partial_success?;
    let lines = u64::try_from(partial.rejected_log_records).ok()?;
    let words = partial.error_message.chars().take(200);
    let words: String = words
        .map(|sign| if sign.is_control() { ' ' } else { sign })
        .collect();
    (lines > 0).then(|| {
        let cause =
            format!("it has rejected {lines} records: {words}; look at the collector's own log");
        (lines, cause)
    })
}

fn encode(resource: &Resource, lines: &[u8], now: u64) -> Vec<u8> {
    let records = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| record(line, now))
        .collect();
    ExportRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource.clone()),
            scope_logs: vec![ScopeLogs {
                scope: Some(Scope {
                    name: "palisade.audit".to_owned(),
                    version: env!("CARGO_PKG_VERSION").to_owned(),
                }),
                log_records: records,
            }],
        }],
    }
    .encode_to_vec()
}

/// What a line says that goes into attributes.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Line {
    timestamp: String,
    event: Option<String>,
    request_id: Option<String>,
    phase: Option<String>,
    actor: Actor,
    tool: Option<String>,
    outcome: Option<String>,
    error: Option<String>,
    duration_ms: Option<i64>,
    server_version: Option<String>,
    session: Option<String>,
    server: Option<String>,
    method: Option<String>,
    rpc_id: Option<serde_json::Value>,
    resource: Option<String>,
    prompt: Option<String>,
    revision: Option<String>,
    auth_method: Option<String>,
    trace_id: Option<String>,
    status: Option<i64>,
    reason: Option<String>,
    destructive: bool,
    count: Option<i64>,
    seq: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Actor {
    id: Option<String>,
    ip: Option<String>,
}

fn record(line: &[u8], now: u64) -> LogRecord {
    let said: Line = serde_json::from_slice(line).unwrap_or_default();
    let time = said.timestamp.parse::<jiff::Timestamp>().ok();
    let time = time.and_then(|time| u64::try_from(time.as_nanosecond()).ok());
    let (severity_number, severity_text) = severity(&said);
    LogRecord {
        time_unix_nano: time.unwrap_or(now),
        severity_number,
        severity_text: severity_text.to_owned(),
        body: Some(AnyValue {
            value: Some(any_value::Value::Text(
                String::from_utf8_lossy(line).into_owned(),
            )),
        }),
        trace_id: said
            .trace_id
            .as_deref()
            .and_then(trace_id)
            .unwrap_or_default(),
        observed_time_unix_nano: now,
        event_name: match &said.event {
            Some(event) => format!("palisade.audit.{event}"),
            None => "palisade.audit.record".to_owned(),
        },
        attributes: attributes(said),
    }
}

/// OpenTelemetry's log data model, "Severity Fields".
fn severity(said: &Line) -> (i32, &'static str) {
    match (said.outcome.as_deref(), said.event.as_deref()) {
        (Some("error" | "timeout" | "upstream_unreachable"), _) | (_, Some("gap")) => (17, "ERROR"),
        (Some("denied" | "detached" | "cancelled"), _) => (13, "WARN"),
        (_, Some("checkpoint")) => (5, "DEBUG"),
        _ => (9, "INFO"),
    }
}

fn attributes(said: Line) -> Vec<KeyValue> {
    let error_type = error_type(&said);
    let code = error_code(&said).map(str::to_owned);
    let is_call = said.method.as_deref() == Some("tools/call");
    let mut all = Vec::with_capacity(16);
    let mut add = |key: &str, value: Option<String>| {
        all.extend(value.map(|value| text(key, value)));
    };
    add(
        "gen_ai.operation.name",
        is_call.then(|| "execute_tool".to_owned()),
    );
    add("mcp.method.name", said.method);
    add("gen_ai.tool.name", said.tool);
    add("gen_ai.prompt.name", said.prompt);
    add("mcp.resource.uri", said.resource);
    // A string, by the convention.
    let id = said.rpc_id.map(|id| match id {
        serde_json::Value::String(id) => id,
        other => other.to_string(),
    });
    add("jsonrpc.request.id", id);
    add("mcp.protocol.version", said.revision);
    // Its fingerprint: the id itself works like a token.
    add("mcp.session.id", said.session);
    add("rpc.response.status_code", code);
    add("error.type", error_type);
    add("error.message", said.error);
    add("user.id", said.actor.id);
    let peer = said.actor.ip.filter(|ip| ip != "unknown");
    let on_the_wire = peer.is_some() && said.status.is_some();
    add("client.address", peer);
    add("network.transport", on_the_wire.then(|| "tcp".to_owned()));
    add(
        "network.protocol.name",
        on_the_wire.then(|| "http".to_owned()),
    );
    add("palisade.request.id", said.request_id);
    add("palisade.phase", said.phase);
    add("palisade.outcome", said.outcome);
    add("palisade.reason", said.reason);
    add("palisade.server.name", said.server);
    add("palisade.server.version", said.server_version);
    add("palisade.auth.method", said.auth_method);
    let mut add = |key: &str, value: Option<i64>| {
        let value = value.map(any_value::Value::Number);
        all.extend(value.map(|value| pair(key, value)));
    };
    add("http.response.status_code", said.status);
    add("palisade.duration_ms", said.duration_ms);
    add("palisade.count", said.count);
    add("palisade.seq", said.seq);
    if said.destructive {
        all.push(pair("palisade.destructive", any_value::Value::Truth(true)));
    }
    all
}

/// The convention's `error.type`: `tool_error` of a result with `isError`, else what is known by a name.
fn error_type(said: &Line) -> Option<String> {
    if let Some(reason) = &said.reason {
        return Some(reason.clone());
    }
    match said.outcome.as_deref()? {
        "error" => Some(match (error_code(said), said.status) {
            (Some(code), _) => code.to_owned(),
            (None, Some(status)) if status >= 400 => status.to_string(),
            _ if said.tool.is_some() => "tool_error".to_owned(),
            _ => "_OTHER".to_owned(),
        }),
        other @ ("timeout" | "upstream_unreachable" | "cancelled") => Some(other.to_owned()),
        _ => None,
    }
}

/// The JSON-RPC code, which the error's text begins with: `-32602 no such argument`.
fn error_code(said: &Line) -> Option<&str> {
    if said.outcome.as_deref() != Some("error") {
        return None;
    }
    let first = said.error.as_deref()?.split(' ').next()?;
    let digits = first.strip_prefix('-')?;
    let is_code = (1..=10).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    is_code.then_some(first)
}

/// 16 bytes, not all of them 0.
fn trace_id(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() != 32 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..16)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok())
        .collect();
    bytes.filter(|bytes| bytes.iter().any(|byte| *byte != 0))
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, any_value::Value::Text(value.into()))
}

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
    }
}

fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = now.unwrap_or_default().as_nanos();
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// `opentelemetry/proto/collector/logs/v1` and what it needs, as far as it is used.
mod message {
    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ExportRequest {
        #[prost(message, repeated, tag = "1")]
        pub(super) resource_logs: Vec<ResourceLogs>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ResourceLogs {
        #[prost(message, optional, tag = "1")]
        pub(super) resource: Option<Resource>,
        #[prost(message, repeated, tag = "2")]
        pub(super) scope_logs: Vec<ScopeLogs>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Resource {
        #[prost(message, repeated, tag = "1")]
        pub(super) attributes: Vec<KeyValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ScopeLogs {
        #[prost(message, optional, tag = "1")]
        pub(super) scope: Option<Scope>,
        #[prost(message, repeated, tag = "2")]
        pub(super) log_records: Vec<LogRecord>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Scope {
        #[prost(string, tag = "1")]
        pub(super) name: String,
        #[prost(string, tag = "2")]
        pub(super) version: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct LogRecord {
        #[prost(fixed64, tag = "1")]
        pub(super) time_unix_nano: u64,
        #[prost(int32, tag = "2")]
        pub(super) severity_number: i32,
        #[prost(string, tag = "3")]
        pub(super) severity_text: String,
        #[prost(message, optional, tag = "5")]
        pub(super) body: Option<AnyValue>,
        #[prost(message, repeated, tag = "6")]
        pub(super) attributes: Vec<KeyValue>,
        #[prost(bytes = "vec", tag = "9")]
        pub(super) trace_id: Vec<u8>,
        #[prost(fixed64, tag = "11")]
        pub(super) observed_time_unix_nano: u64,
        #[prost(string, tag = "12")]
        pub(super) event_name: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct KeyValue {
        #[prost(string, tag = "1")]
        pub(super) key: String,
        #[prost(message, optional, tag = "2")]
        pub(super) value: Option<AnyValue>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct AnyValue {
        #[prost(oneof = "any_value::Value", tags = "1, 2, 3")]
        pub(super) value: Option<any_value::Value>,
    }

    pub(super) mod any_value {
        #[derive(Clone, PartialEq, prost::Oneof)]
        pub(in super::super) enum Value {
            #[prost(string, tag = "1")]
            Text(String),
            #[prost(bool, tag = "2")]
            Truth(bool),
            #[prost(int64, tag = "3")]
            Number(i64),
        }
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct ExportResponse {
        #[prost(message, optional, tag = "1")]
        pub(super) partial_success: Option<PartialSuccess>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct PartialSuccess {
        #[prost(int64, tag = "1")]
        pub(super) rejected_log_records: i64,
        #[prost(string, tag = "2")]
        pub(super) error_message: String,
    }
}

#[cfg(test)]
mod tests {
    use super::message::PartialSuccess;
    use super::*;

    fn attribute(record: &LogRecord, key: &str) -> Option<String> {
        let pair = record.attributes.iter().find(|pair| pair.key == key)?;
        Some(match pair.value.clone()?.value? {
            any_value::Value::Text(text) => text,
            any_value::Value::Number(number) => number.to_string(),
            any_value::Value::Truth(truth) => truth.to_string(),
        })
    }

    // REQ: L-3
    #[test]
    fn the_kind_of_an_error() {
        for (more, kind, code, severity) in [
            (r#""outcome":"ok""#, None, None, "INFO"),
            (r#""outcome":null,"phase":"intent""#, None, None, "INFO"),
            (
                r#""outcome":"error","error":"-32602 no such","status":200"#,
                Some("-32602"),
                Some("-32602"),
                "ERROR",
            ),
            (
                r#""outcome":"error","error":"the disk is full","status":200"#,
                Some("tool_error"),
                None,
                "ERROR",
            ),
            (
                r#""outcome":"error","error":"-x 1","status":200"#,
                Some("tool_error"),
                None,
                "ERROR",
            ),
            (
                r#""outcome":"error","error":"500 Internal Server Error","status":500"#,
                Some("500"),
                None,
                "ERROR",
            ),
            (
                r#""outcome":"denied","reason":"body.too_large","error":"-1 x""#,
                Some("body.too_large"),
                None,
                "WARN",
            ),
            (r#""outcome":"timeout""#, Some("timeout"), None, "ERROR"),
            (r#""event":"gap""#, None, None, "ERROR"),
            (r#""event":"checkpoint""#, None, None, "DEBUG"),
        ] {
            let line = format!(r#"{{"timestamp":"2026-11-21T08:10:11.994Z","tool":"t",{more}}}"#);
            let record = record(line.as_bytes(), 7);
            assert_eq!(attribute(&record, "error.type").as_deref(), kind, "{line}");
            let found = attribute(&record, "rpc.response.status_code");
            assert_eq!(found.as_deref(), code, "{line}");
            assert_eq!(record.severity_text, severity, "{line}");
            assert_eq!(record.time_unix_nano, 1_795_248_611_994_000_000);
        }
    }

    #[test]
    fn what_is_no_record_is_carried_all_the_same() {
        let record = record(b"\xff no record", 7);
        assert_eq!(
            (record.time_unix_nano, record.severity_text.as_str()),
            (7, "INFO")
        );
        assert!(record.body.is_some());
    }

    #[test]
    fn trace_ids() {
        assert_eq!(
            trace_id("0af7651916cd43dd8448eb211c80319c").unwrap()[..3],
            [0x0a, 0xf7, 0x65]
        );
        for text in [
            "",
            "00000000000000000000000000000000",
            "é",
            "0af7651916cd43dd8448eb211c80319",
        ] {
            assert_eq!(trace_id(text), None, "{text}");
        }
        assert_eq!(trace_id(&"é".repeat(16)), None);
    }

    // REQ: L-3
    #[test]
    fn what_a_collector_rejects() {
        let answer = |rejected, words: &str| {
            let partial_success = Some(PartialSuccess {
                rejected_log_records: rejected,
                error_message: words.to_owned(),
            });
            ExportResponse { partial_success }.encode_to_vec()
        };
        assert_eq!(rejected(&[]), None);
        assert_eq!(rejected(b"<html>"), None);
        assert_eq!(rejected(&answer(0, "a warning")), None);
        assert_eq!(rejected(&answer(-1, "")), None);
        let (lines, cause) = rejected(&answer(2, "too\nold")).unwrap();
        assert_eq!(lines, 2);
        assert!(cause.contains("too old"));
    }
}

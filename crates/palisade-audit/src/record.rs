//! One record, one line.

use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use crate::digest::Fingerprint;
use crate::egress::Egress;
use crate::escape::push_string;
use crate::memo::Memo;
use crate::redact::{self, Aim, MARGIN, Redactor, Scratch, cut_bytes};
use crate::stamp::Stamp;

/// Arguments above this many bytes are replaced by their length and SHA-256.
pub const ARGS_MAX: usize = 64 * 1024;

/// An error's text is cut to this many characters.
pub const ERROR_MAX: usize = 500;

/// What is known of one call, request, refusal or stream, borrowed from whoever handles it.
///
/// [`Record::encode`] writes it as one line of JSON. The nine names of the documents (`timestamp`, `requestId`,
/// `actor`, `tool`, `args`, `outcome`, `error`, `durationMs`, `serverVersion`) stand in every line, `null` where
/// nothing is known; the others only where they say something.
///
/// What a peer wrote is redacted, escaped and bounded here; hand it over as it came.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Record<'a> {
    /// `timestamp`: when the call came in; RFC 3339, UTC, milliseconds.
    pub timestamp: SystemTime,
    /// `requestId`; 128 bytes at most.
    pub request_id: &'a str,
    /// `phase`: absent for a record that tells a whole call.
    pub phase: Option<Phase>,
    /// `actor`.
    pub actor: Actor<'a>,
    /// `tool`: of the message's body, for `tools/call`; 256 bytes at most.
    pub tool: Option<&'a str>,
    /// `args`: the raw JSON span of the call's arguments, redacted on the way; see [`ARGS_MAX`].
    pub args: Option<&'a [u8]>,
    /// `response`: the raw JSON of what the server answered, redacted on the way and bounded like `args`; written where it is
    /// to be kept.
    pub response: Option<&'a [u8]>,
    /// What the line of this call's intent says from `actor` to `args`, so that it need not be redacted and written once more;
    /// it stands for the fields it is of.
    pub opening: Option<&'a Opening>,
    /// By what arguments, answers and errors are redacted; the rules alone without it.
    pub redactor: Option<&'a Redactor>,
    /// `outcome`: `null` before there is one.
    pub outcome: Option<Outcome>,
    /// `error`: what went wrong, in words; redacted, cut to [`ERROR_MAX`] characters.
    pub error: Option<&'a str>,
    /// `durationMs`: whole milliseconds.
    pub duration: Option<Duration>,
    /// `serverVersion`: the upstream's; `unknown` where it is not.
    pub server_version: Option<&'a str>,
    /// `gatewayVersion`.
    pub gateway_version: Option<&'a str>,
    /// `session`: a session's id works like a bearer token, so only its fingerprint is ever written.
    pub session: Option<Fingerprint>,
    /// `server`: the name of the upstream in the configuration.
    pub server: Option<&'a str>,
    /// `method`: of the message's body; 128 bytes at most.
    pub method: Option<&'a str>,
    /// `rpcId`: the raw JSON of the message's `id`; 64 bytes at most. A whole number is written as it is, anything else as a string.
    pub rpc_id: Option<&'a [u8]>,
    /// `resource`: the URI that a resource's message names; 512 bytes at most.
    pub resource: Option<&'a str>,
    /// `prompt`: of the message's body, for `prompts/get`; 256 bytes at most.
    pub prompt: Option<&'a str>,
    /// `revision`: of the protocol; 32 bytes at most.
    pub revision: Option<&'a str>,
    /// `authMethod`: such as `bearer`, `api_key`, `certificate`.
    pub auth_method: Option<&'a str>,
    /// `traceId`: of W3C trace context; 64 bytes at most.
    pub trace_id: Option<&'a str>,
    /// `bytes`.
    pub bytes: Option<Bytes>,
    /// `status`: the HTTP status sent to the client.
    pub status: Option<u16>,
    /// `reason`: the rejection's code, for refusals.
    pub reason: Option<&'a str>,
    /// `reported`: codes of the rejections that `report` mode let pass; the first 16.
    pub reported: &'a [&'a str],
    /// `count`: how many like events this line stands for, where refusals are aggregated.
    pub count: Option<u64>,
    /// `destructive`: written where it is so, by the server's annotations or the configuration.
    pub destructive: bool,
    /// `egress`: where somebody wanted to go, for decisions about the way out.
    pub egress: Option<Egress<'a>>,
    // `seq` and `prev` of the hash chain are no fields here: the order of lines is known only where they are written, which
    // is where they are put before the closing brace of the finished line.
}

/// What the lines of one call have in common, `actor` to `args`, as the first of them spelled it; see [`Record::opening`].
#[derive(Debug, Clone)]
pub struct Opening(Box<[u8]>);

/// Who called.
#[derive(Debug, Clone, Copy, Default)]
pub struct Actor<'a> {
    /// The authenticated identity; `None` is written as `anonymous`. 256 bytes at most; an e-mail address
    /// stays, for it may be the identity; a token does not.
    pub id: Option<&'a str>,
    /// The client's address, after trusted proxies; `None` is written as `unknown`.
    pub ip: Option<IpAddr>,
}

/// Body bytes, as they passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Of the request.
    pub request: u64,
    /// Of the response.
    pub response: u64,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The client left, or sent a cancellation.
    Cancelled,
    /// Palisade refused; see `reason`.
    Denied,
    /// The client left where its revision does not count that as cancelling: the call may go on.
    Detached,
    /// An error result (`isError`), a JSON-RPC error, an HTTP error.
    Error,
    /// The server asks for more before it answers.
    InputRequired,
    /// A result.
    Ok,
    /// No answer within the call's time limit.
    Timeout,
    /// The server could not be reached, or broke off.
    UpstreamUnreachable,
}

impl Outcome {
    /// The word in the line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Denied => "denied",
            Self::Detached => "detached",
            Self::Error => "error",
            Self::InputRequired => "input_required",
            Self::Ok => "ok",
            Self::Timeout => "timeout",
            Self::UpstreamUnreachable => "upstream_unreachable",
        }
    }
}

/// Which part of a call or stream a line tells, where it takes two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// A long stream has ended.
    Close,
    /// Before the call leaves for the server.
    Intent,
    /// A long stream has begun.
    Open,
    /// What became of a call whose intent was recorded.
    Outcome,
}

impl Phase {
    /// The word in the line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Close => "close",
            Self::Intent => "intent",
            Self::Open => "open",
            Self::Outcome => "outcome",
        }
    }
}

/// What encoding keeps from line to line: the formatted second, room for decoded strings, and the members that
/// were the same last time. At most a few kilobytes.
#[derive(Debug, Default)]
pub struct Encoder {
    stamp: Stamp,
    scratch: Scratch,
    actor: Memo,
    ip: LastIp,
    tool: Memo,
    server_version: Memo,
    gateway_version: Memo,
    server: Memo,
    method: Memo,
    revision: Memo,
    auth_method: Memo,
}

/// The last caller's address, as it is written.
#[derive(Debug, Default)]
struct LastIp {
    ip: Option<IpAddr>,
    text: Vec<u8>,
}

impl LastIp {
    fn push(&mut self, out: &mut Vec<u8>, ip: IpAddr) {
        if self.ip != Some(ip) {
            use std::io::Write as _;
            self.ip = Some(ip);
            self.text.clear();
            // Writing to a `Vec` cannot fail.
            let _ = write!(self.text, ",\"ip\":\"{ip}\"}}");
        }
        out.extend_from_slice(&self.text);
    }
}

impl Opening {
    pub(crate) fn of(line: &[u8]) -> Self {
        Self(line.into())
    }
}

impl Encoder {
    pub(crate) fn push_time(&mut self, out: &mut Vec<u8>, time: SystemTime) {
        self.stamp.push(out, time);
    }

    pub(crate) fn time(&mut self, time: SystemTime) -> String {
        let mut out = Vec::with_capacity(24);
        self.stamp.push(&mut out, time);
        String::from_utf8(out).unwrap_or_default()
    }
}

impl<'a> Record<'a> {
    /// A record of which nothing else is known yet.
    #[must_use]
    pub const fn new(timestamp: SystemTime, request_id: &'a str) -> Self {
        Self {
            timestamp,
            request_id,
            phase: None,
            actor: Actor { id: None, ip: None },
            tool: None,
            args: None,
            opening: None,
            response: None,
            redactor: None,
            outcome: None,
            error: None,
            duration: None,
            server_version: None,
            gateway_version: None,
            session: None,
            server: None,
            method: None,
            rpc_id: None,
            resource: None,
            prompt: None,
            revision: None,
            auth_method: None,
            trace_id: None,
            bytes: None,
            status: None,
            reason: None,
            reported: &[],
            count: None,
            destructive: false,
            egress: None,
        }
    }

    /// Appends the record to `out` as one line of valid JSON, line feed included, whatever the fields hold.
    ///
    /// At most about 210 KiB, or twice that with `response`: both grow at most threefold by escapes, everything else is bounded.
    pub fn encode(&self, encoder: &mut Encoder, out: &mut Vec<u8>) {
        let _ = self.encode_with_opening(encoder, out);
    }

    /// As [`Record::encode`]; tells where the line's [`Opening`] stands in `out`.
    pub(crate) fn encode_with_opening(
        &self,
        encoder: &mut Encoder,
        out: &mut Vec<u8>,
    ) -> Range<usize> {
        out.reserve(640 + self.args.map_or(0, |args| args.len().min(ARGS_MAX)));
        out.extend_from_slice(b"{\"timestamp\":\"");
        encoder.stamp.push(out, self.timestamp);
        out.extend_from_slice(b"\",\"requestId\":");
        push_request_id(out, self.request_id);
        if let Some(phase) = self.phase {
            push_word(out, b",\"phase\":\"", phase.as_str());
        }
        let from = out.len();
        match self.opening {
            Some(opening) => out.extend_from_slice(&opening.0),
            None => self.push_opening(encoder, out),
        }
        let opening = from..out.len();
        match self.outcome {
            Some(outcome) => push_word(out, b",\"outcome\":\"", outcome.as_str()),
            None => out.extend_from_slice(b",\"outcome\":null"),
        }
        match self.error {
            Some(error) => {
                out.extend_from_slice(b",\"error\":");
                push_error(out, error, self.redactor);
            }
            None => out.extend_from_slice(b",\"error\":null"),
        }
        out.extend_from_slice(b",\"durationMs\":");
        match self.duration {
            Some(duration) => {
                push_number(out, u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
            }
            None => push_null(out),
        }
        let version = self.server_version.unwrap_or("unknown");
        let memo = &mut encoder.server_version;
        memo.push(out, b",\"serverVersion\":", version, |out, version| {
            push_foreign(out, version, 128, Aim::All);
        });
        self.push_more(encoder, out);
        out.extend_from_slice(b"}\n");
        opening
    }

    fn push_opening(&self, encoder: &mut Encoder, out: &mut Vec<u8>) {
        self.push_actor(encoder, out);
        match self.tool {
            Some(tool) => encoder.tool.push(out, b",\"tool\":", tool, |out, tool| {
                push_foreign(out, tool, 256, Aim::All);
            }),
            None => out.extend_from_slice(b",\"tool\":null"),
        }
        out.extend_from_slice(b",\"args\":");
        match self.args {
            Some(args) => self.push_json(encoder, out, args),
            None => push_null(out),
        }
    }

    fn push_json(&self, encoder: &mut Encoder, out: &mut Vec<u8>, json: &[u8]) {
        match self.redactor {
            // Not even its length and hash are told of what is to be replaced whole.
            Some(redactor) if json.len() <= ARGS_MAX || redactor.replaces(self.tool) => {
                redactor.json_into(self.tool, json, out, &mut encoder.scratch);
            }
            None if json.len() <= ARGS_MAX => redact::json_into(json, out, &mut encoder.scratch),
            _ => redact::push_omitted(out, json),
        }
    }

    fn push_actor(&self, encoder: &mut Encoder, out: &mut Vec<u8>) {
        match self.actor.id {
            Some(id) => encoder
                .actor
                .push(out, b",\"actor\":{\"id\":", id, |out, id| {
                    push_foreign(out, id, 256, Aim::Secrets);
                }),
            None => out.extend_from_slice(b",\"actor\":{\"id\":\"anonymous\""),
        }
        match self.actor.ip {
            Some(ip) => encoder.ip.push(out, ip),
            None => out.extend_from_slice(b",\"ip\":\"unknown\"}"),
        }
    }

    fn push_more(&self, encoder: &mut Encoder, out: &mut Vec<u8>) {
        if let Some(version) = self.gateway_version {
            encoder
                .gateway_version
                .push(out, b",\"gatewayVersion\":", version, push_own);
        }
        if let Some(session) = self.session {
            out.extend_from_slice(b",\"session\":\"");
            out.extend_from_slice(session.as_bytes());
            out.push(b'"');
        }
        if let Some(server) = self.server {
            encoder.server.push(out, b",\"server\":", server, push_own);
        }
        if let Some(method) = self.method {
            encoder
                .method
                .push(out, b",\"method\":", method, |out, method| {
                    push_foreign(out, method, 128, Aim::All);
                });
        }
        if let Some(id) = self.rpc_id {
            out.extend_from_slice(b",\"rpcId\":");
            push_id(out, id);
        }
        if let Some(uri) = self.resource {
            out.extend_from_slice(b",\"resource\":");
            push_foreign(out, uri, 512, Aim::All);
        }
        if let Some(prompt) = self.prompt {
            out.extend_from_slice(b",\"prompt\":");
            push_foreign(out, prompt, 256, Aim::All);
        }
        if let Some(revision) = self.revision {
            encoder
                .revision
                .push(out, b",\"revision\":", revision, |out, revision| {
                    push_foreign(out, revision, 32, Aim::All);
                });
        }
        if let Some(method) = self.auth_method {
            encoder
                .auth_method
                .push(out, b",\"authMethod\":", method, push_own);
        }
        if let Some(id) = self.trace_id {
            out.extend_from_slice(b",\"traceId\":");
            push_foreign(out, id, 64, Aim::Secrets);
        }
        if let Some(bytes) = self.bytes {
            out.extend_from_slice(b",\"bytes\":{\"request\":");
            push_number(out, bytes.request);
            out.extend_from_slice(b",\"response\":");
            push_number(out, bytes.response);
            out.push(b'}');
        }
        if let Some(status) = self.status {
            out.extend_from_slice(b",\"status\":");
            push_number(out, u64::from(status));
        }
        if let Some(reason) = self.reason {
            out.extend_from_slice(b",\"reason\":");
            push_own(out, reason);
        }
        if !self.reported.is_empty() {
            out.extend_from_slice(b",\"reported\":");
            for (at, code) in self.reported.iter().take(16).enumerate() {
                out.push(if at == 0 { b'[' } else { b',' });
                push_own(out, code);
            }
            out.push(b']');
        }
        if let Some(count) = self.count {
            out.extend_from_slice(b",\"count\":");
            push_number(out, count);
        }
        if let Some(response) = self.response {
            out.extend_from_slice(b",\"response\":");
            self.push_json(encoder, out, response);
        }
        if self.destructive {
            out.extend_from_slice(b",\"destructive\":true");
        }
        if let Some(egress) = &self.egress {
            egress.push(&mut encoder.stamp, out);
        }
    }
}

/// A string that some peer chose: secrets out, then cut to `max` bytes.
pub(crate) fn push_foreign(out: &mut Vec<u8>, text: &str, max: usize, aim: Aim) {
    if text.len() <= max && redact::is_plain(text, aim) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let text = redact::text_with(cut_bytes(text, max + MARGIN), aim);
    push_string(out, cut_bytes(&text, max));
}

/// Ids that we make ourselves, 24 hexadecimal digits, tell nothing of anybody; whatever else came is looked at.
fn push_request_id(out: &mut Vec<u8>, id: &str) {
    let ours = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if id.len() == 24 && id.bytes().all(ours) {
        out.push(b'"');
        out.extend_from_slice(id.as_bytes());
        out.push(b'"');
        return;
    }
    push_foreign(out, id, 128, Aim::All);
}

/// A JSON-RPC id as it came. No number is changed: one that is not whole, or has more digits than any counter, is a string here.
fn push_id(out: &mut Vec<u8>, id: &[u8]) {
    let digits = id.strip_prefix(b"-").unwrap_or(id);
    let whole = matches!(digits.len(), 1..=19)
        && digits.iter().all(u8::is_ascii_digit)
        && (digits[0] != b'0' || digits.len() == 1);
    if whole {
        out.extend_from_slice(id);
        return;
    }
    let text = String::from_utf8_lossy(&id[..id.len().min(64 + MARGIN)]);
    let text = text.strip_prefix('"').unwrap_or(&text);
    push_foreign(out, text.strip_suffix('"').unwrap_or(text), 64, Aim::All);
}

/// A string of our own configuration or code: bounded all the same.
pub(crate) fn push_own(out: &mut Vec<u8>, text: &str) {
    push_string(out, cut_bytes(text, 256));
}

/// A word of ours that needs no escape; `name` ends with the opening quote.
fn push_word(out: &mut Vec<u8>, name: &[u8], word: &str) {
    out.extend_from_slice(name);
    out.extend_from_slice(word.as_bytes());
    out.push(b'"');
}

fn push_error(out: &mut Vec<u8>, error: &str, redactor: Option<&Redactor>) {
    let text = cut_bytes(error, ERROR_MAX * 4 + MARGIN);
    let text = match redactor {
        Some(redactor) => redactor.text(text),
        None => redact::text_with(text, Aim::All),
    };
    let end = text
        .char_indices()
        .nth(ERROR_MAX)
        .map_or(text.len(), |(at, _)| at);
    push_string(out, &text[..end]);
}

/// Three digits are enough for a status, and for most sizes and times.
pub(crate) fn push_number(out: &mut Vec<u8>, value: u64) {
    let digit = |of: u16| b'0' + (of % 10) as u8;
    let small = value as u16;
    match value {
        0..=9 => out.push(digit(small)),
        10..=99 => out.extend_from_slice(&[digit(small / 10), digit(small)]),
        100..=999 => {
            out.extend_from_slice(&[digit(small / 100), digit(small / 10), digit(small)]);
        }
        _ => out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
    }
}

fn push_null(out: &mut Vec<u8>) {
    out.extend_from_slice(b"null");
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: L-0
    #[test]
    fn an_outcome_says_again_what_its_intent_said() {
        let mut record = Record::new(SystemTime::UNIX_EPOCH, "req-1");
        record.actor.id = Some("alice");
        record.actor.ip = Some(IpAddr::from([127, 0, 0, 1]));
        record.tool = Some("login");
        record.args = Some(br#"{"user":"alice","password":"hunter2"}"#);
        record.phase = Some(Phase::Intent);
        let encoder = &mut Encoder::default();
        let mut intent = Vec::new();
        let opening = record.encode_with_opening(encoder, &mut intent);
        let opening = Opening::of(&intent[opening]);
        record.phase = Some(Phase::Outcome);
        record.outcome = Some(Outcome::Ok);
        let (mut written, mut copied) = (Vec::new(), Vec::new());
        record.encode(encoder, &mut written);
        record.opening = Some(&opening);
        record.encode(encoder, &mut copied);
        assert_eq!(copied, written);
        let text = String::from_utf8(copied).unwrap();
        assert!(
            text.contains(r#""args":{"user":"alice","password":"[REDACTED]"}"#),
            "{text}"
        );
    }

    // REQ: L-1
    #[test]
    fn ids() {
        for (id, expected) in [
            ("7", "7"),
            ("0", "0"),
            ("-3", "-3"),
            ("9223372036854775807", "9223372036854775807"),
            ("\"abc-1\"", "\"abc-1\""),
            ("\"\"", "\"\""),
            ("007", "\"007\""),
            ("-", "\"-\""),
            ("1.5", "\"1.5\""),
            ("\"a\\\"b\"", "\"a\\\\\\\"b\""),
            ("", "\"\""),
        ] {
            let mut out = Vec::new();
            push_id(&mut out, id.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{id}");
        }
        let mut out = Vec::new();
        push_id(&mut out, format!("\"{}\"", "é".repeat(1000)).as_bytes());
        assert!(out.len() < 70);
        let mut out = Vec::new();
        push_id(&mut out, b"\"ghp_0123456789abcdef0123456789abcdef0123\"");
        assert!(!String::from_utf8(out).unwrap().contains("ghp_"));
    }

    #[test]
    fn numbers() {
        for value in (0..=1_100).chain([9_999, 10_000, u64::MAX]) {
            let mut out = Vec::new();
            push_number(&mut out, value);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }
}

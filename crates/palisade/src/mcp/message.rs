//! One JSON-RPC message, or a batch of them, as a guard must know it: read once, borrowed, strict.
//!
//! What is refused and what is passed on follows one question: *could whoever acts on these bytes
//! see another message than we do?* If so, [`read`] answers with a [`Fault`]. If not, the message
//! goes to the upstream as it is, however odd, and the upstream answers it.
//!
//! Refused, because readers differ or because there is no JSON-RPC 2.0 message in it:
//!
//! - whatever [`super::json`] refuses (duplicate keys, trailing data, lone surrogates, depth, …);
//! - a key that differs only in case from one this reader decides by (`Method`, `Params`, `Name`
//!   in a `tools/call`): Go's `encoding/json` takes it for the key itself. Its folding is
//!   followed, which also equates `ſ` with `s` and the Kelvin sign with `k`;
//! - a `jsonrpc` that is missing or not `"2.0"`; a `method` that is not a string; `params` that
//!   are neither object, array nor null;
//! - `method` beside `result` or `error`, both of the latter, or none of the three;
//! - an `id` that is a fraction, beyond 64 bits, a boolean, array or object, or `null` outside an
//!   error response (some readers take such a request for a notification), or over
//!   [`Limits::id`] bytes;
//! - in the methods that name something (`tools/call`, `prompts/get`, `resources/read`, …): a name
//!   that is not a string, or positional `params`;
//! - control characters in a method or in such a name;
//! - a batch that is empty, too long, nested, or that uses one request id twice.
//!
//! Passed on: unknown methods and members, missing or null `params`, a missing name (the target is
//! then `None`: no reader can find one, and a guard must let no allow rule match it), missing or
//! malformed `_meta`, unknown revisions.

use std::borrow::Cow;
use std::fmt;

use super::json::{JsonError, JsonErrorKind, Member, Raw, Reader, Step, ValueKind};
use super::revision::Revision;

/// Reads a request body.
///
/// # Errors
/// A [`Fault`], as the module's description lists them.
pub fn read<'a>(body: &'a [u8], limits: &Limits) -> Result<Payload<'a>, Fault> {
    let mut reader = Reader::new(body, limits.depth)?;
    if reader.next().1 != b'[' {
        let message = message(&mut reader, limits)?;
        reader.end()?;
        return Ok(Payload::Single(message));
    }
    let mut batch: Vec<Message<'a>> = Vec::new();
    reader.array(|reader| {
        let offset = reader.offset();
        if batch.len() == limits.batch {
            return Err(Fault::new(FaultKind::BatchLength, offset));
        }
        if reader.peek()? == ValueKind::Array {
            return Err(Fault::new(FaultKind::BatchNested, offset));
        }
        let message = message(reader, limits).map_err(|fault| Fault { id: None, ..fault })?;
        let repeated = |earlier: &Message<'_>| {
            earlier.kind == Kind::Request && message.id.is_some() && earlier.id == message.id
        };
        if message.kind == Kind::Request && batch.iter().any(repeated) {
            return Err(Fault::new(FaultKind::BatchRepeatedId, offset));
        }
        batch.push(message);
        Ok(())
    })?;
    reader.end()?;
    if batch.is_empty() {
        return Err(Fault::new(FaultKind::BatchEmpty, 0));
    }
    Ok(Payload::Batch(batch))
}

/// The bounds on what is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Levels of nested arrays and objects, the message itself included. Default 64; at most
    /// [`super::json::MAX_DEPTH`] whatever is set.
    pub depth: usize,
    /// Messages in a batch. Default 50.
    pub batch: usize,
    /// Bytes of a string id. Default 1024.
    pub id: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            batch: 50,
            id: 1024,
        }
    }
}

/// What a body holds.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a single message is the rule; boxing it would cost every call"
)]
pub enum Payload<'a> {
    /// One message.
    Single(Message<'a>),
    /// A batch (2025-03-26): at least one message, [`Limits::batch`] at most.
    Batch(Vec<Message<'a>>),
}

impl<'a> Payload<'a> {
    /// The messages, one or more.
    #[must_use]
    pub fn messages(&self) -> &[Message<'a>] {
        match self {
            Self::Single(message) => std::slice::from_ref(message),
            Self::Batch(batch) => batch,
        }
    }
}

/// One message.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Message<'a> {
    /// Request, notification or response.
    pub kind: Kind,
    /// The id, comparable with that of the answer; `None` when missing or, in an error, null.
    pub id: Option<RequestId>,
    /// The id as it was written.
    pub raw_id: Option<Raw<'a>>,
    /// The method, unescaped; `None` in responses.
    pub method: Option<Cow<'a, str>>,
    /// What the method is about: the tool, prompt, resource or task it names.
    pub target: Option<Target<'a>>,
    /// `params` as written; `None` when missing or null.
    pub params: Option<Raw<'a>>,
    /// `params.arguments` as written, whatever the method.
    pub arguments: Option<Raw<'a>>,
    /// `result` as written, in responses.
    pub result: Option<Raw<'a>>,
    /// `error` as written, in responses.
    pub error: Option<Raw<'a>>,
    /// The revision as the message spells it: `params.protocolVersion` of `initialize`, else
    /// `params._meta["io.modelcontextprotocol/protocolVersion"]`.
    pub protocol_version: Option<Cow<'a, str>>,
    /// Whether `_meta` carries what 2026-07-28 requires of every request: the protocol version (a
    /// string) and the client's capabilities (an object).
    pub has_modern_meta: bool,
    /// The token of `params._meta.progressToken`, when it is a string or an integer.
    pub progress_token: Option<RequestId>,
    /// What a `notifications/cancelled` cancels, when it is a valid id.
    pub cancels: Option<RequestId>,
    /// `params._meta.traceparent`, unchecked (W3C Trace Context).
    pub traceparent: Option<Cow<'a, str>>,
    client_info: Option<Raw<'a>>,
}

impl<'a> Message<'a> {
    /// The revision the message claims; `None` when it claims none.
    #[must_use]
    pub fn revision(&self) -> Option<Revision> {
        self.protocol_version.as_deref().map(Revision::parse)
    }

    /// Whether the message stands alone, by the rules of 2026-07-28 and later. `initialize` never
    /// does: it opens a session.
    #[must_use]
    pub fn is_modern(&self) -> bool {
        !self.is("initialize") && self.revision().is_some_and(Revision::is_modern)
    }

    /// Whether this is a request or notification of that method.
    #[must_use]
    pub fn is(&self, method: &str) -> bool {
        self.method.as_deref() == Some(method)
    }

    /// The name and version the client gives itself, in `initialize` or in `_meta`. Self-reported:
    /// for logs only.
    #[must_use]
    pub fn client_info(&self) -> Option<Implementation<'a>> {
        let raw = self.client_info?;
        let (mut name, mut version) = (None, None);
        Reader::over(raw, usize::MAX)
            .object::<JsonError>(|reader, key| {
                let value = reader.value()?;
                match &*key {
                    "name" => name = value.string(),
                    "version" => version = value.string(),
                    _ => {}
                }
                Ok(())
            })
            .ok()?;
        Some(Implementation {
            name: name?,
            version,
        })
    }
}

/// The kinds of JSON-RPC messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A response with `error`.
    Error,
    /// A method without an id: nobody answers.
    Notification,
    /// A method with an id.
    Request,
    /// A response with `result`.
    Result,
}

/// An id in a form that can be compared: the id `1` of a request and `1` of its response match,
/// the string `"1"` does not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RequestId {
    /// An integer; `1.0` and `1e2` are integers too, as every SDK reads them.
    Integer(i64),
    /// A string, unescaped.
    String(Box<str>),
}

impl RequestId {
    /// Reads an id of at most `max_bytes` if it is a string; `None` for anything JSON-RPC and MCP
    /// do not allow as one.
    #[must_use]
    pub fn from_raw(raw: Raw<'_>, max_bytes: usize) -> Option<Self> {
        match raw.kind() {
            ValueKind::String => {
                let id = raw.string()?;
                (id.len() <= max_bytes).then(|| Self::String(id.into()))
            }
            ValueKind::Number => integer(raw.text()).map(Self::Integer),
            _ => None,
        }
    }
}

/// Renders a valid JSON value: the id as an answer to it must carry it.
impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(id) => id.fmt(f),
            Self::String(id) => match serde_json::to_string(id) {
                Ok(json) => f.write_str(&json),
                Err(_) => Err(fmt::Error),
            },
        }
    }
}

/// What a message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// What sort of thing is named.
    pub kind: TargetKind,
    /// Its name or URI, unescaped and free of control characters.
    pub name: Cow<'a, str>,
}

/// The sorts of things a message can name, by its method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TargetKind {
    /// `prompts/get`; `completion/complete` of a prompt's argument.
    Prompt,
    /// `resources/read`, `…/subscribe`, `…/unsubscribe`: the URI; `completion/complete` of a
    /// template's variable: the URI template.
    Resource,
    /// `tasks/get`, `…/result`, `…/update`, `…/cancel`: the task's id.
    Task,
    /// `tools/call`.
    Tool,
}

/// How a client or server names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Implementation<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its version, if given.
    pub version: Option<Cow<'a, str>>,
}

/// Why a body was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What was wrong.
    pub kind: FaultKind,
    /// The byte of the body at which it was noticed: that of the value for JSON faults, that of
    /// the message for all others.
    pub offset: usize,
    /// The id an answer may carry: that of a single message whose structure is at fault; never
    /// one from a batch or from a text that is not strict JSON.
    pub id: Option<RequestId>,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The batch is empty.
    BatchEmpty,
    /// The batch is longer than [`Limits::batch`].
    BatchLength,
    /// A batch inside the batch.
    BatchNested,
    /// Two requests of the batch have the same id.
    BatchRepeatedId,
    /// A control character in the method or the target's name.
    ControlCharacter,
    /// The id is of a type or size no request may have.
    Id,
    /// Not strict JSON.
    Json(JsonErrorKind),
    /// A key that some readers take for another, by case.
    KeyCase,
    /// The method is not a string.
    Method,
    /// Neither a method nor a result nor an error.
    NoKind,
    /// The message is not an object.
    NotAnObject,
    /// `params` is neither an object, an array nor null.
    Params,
    /// Positional `params`, or a name that is not a string, in a method that names something.
    Target,
    /// More than one of method, result and error.
    TwoKinds,
    /// `jsonrpc` is missing or not `"2.0"`.
    Version,
}

impl FaultKind {
    /// A stable name for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BatchEmpty => "batch_empty",
            Self::BatchLength => "batch_length",
            Self::BatchNested => "batch_nested",
            Self::BatchRepeatedId => "batch_repeated_id",
            Self::ControlCharacter => "control_character_in_name",
            Self::Id => "id",
            Self::Json(kind) => kind.name(),
            Self::KeyCase => "key_case",
            Self::Method => "method",
            Self::NoKind => "no_kind",
            Self::NotAnObject => "not_an_object",
            Self::Params => "params",
            Self::Target => "target",
            Self::TwoKinds => "two_kinds",
            Self::Version => "jsonrpc_version",
        }
    }

    /// One sentence for the client: the cause, and by that the remedy.
    #[must_use]
    pub const fn explain(self) -> &'static str {
        match self {
            Self::BatchEmpty => "a batch must hold at least one message",
            Self::BatchLength => "the batch holds too many messages; send fewer at a time",
            Self::BatchNested => "a batch must not hold another batch",
            Self::BatchRepeatedId => "every request of a batch needs an id of its own",
            Self::ControlCharacter => "method and name must not contain control characters",
            Self::Id => "id must be a short string or a 64-bit integer",
            Self::Json(JsonErrorKind::Depth) => "the JSON is nested too deeply",
            Self::Json(JsonErrorKind::DuplicateKey) => "an object holds the same key twice",
            Self::Json(_) => "the body must be exactly one valid JSON text (RFC 8259) in UTF-8",
            Self::KeyCase => "a key differs only in case from one the protocol defines",
            Self::Method => "method must be a string",
            Self::NoKind => "a message needs a method, a result or an error",
            Self::NotAnObject => "a JSON-RPC message must be an object",
            Self::Params => "params must be an object or an array",
            Self::Target => "params must be an object whose name, uri or taskId is a string",
            Self::TwoKinds => "method, result and error exclude each other",
            Self::Version => "jsonrpc must be \"2.0\"",
        }
    }

    /// The JSON-RPC error code for it: -32700 for text that is not JSON, -32602 for parameters,
    /// -32600 for the rest.
    #[must_use]
    pub const fn code(self) -> i32 {
        match self {
            Self::Json(_) => -32700,
            Self::Params | Self::Target => -32602,
            _ => -32600,
        }
    }
}

impl Fault {
    fn new(kind: FaultKind, offset: usize) -> Self {
        Self {
            kind,
            offset,
            id: None,
        }
    }
}

impl From<JsonError> for Fault {
    fn from(error: JsonError) -> Self {
        Self::new(FaultKind::Json(error.kind), error.offset)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} ({} at byte {})",
            self.kind.explain(),
            self.kind.name(),
            self.offset
        )
    }
}

impl std::error::Error for Fault {}

const PROTOCOL_VERSION: &[u8] = b"io.modelcontextprotocol/protocolVersion";
const CLIENT_CAPABILITIES: &[u8] = b"io.modelcontextprotocol/clientCapabilities";
const CLIENT_INFO: &[u8] = b"io.modelcontextprotocol/clientInfo";

/// The members of a message, before anything is made of them.
#[derive(Default)]
struct Members<'a> {
    jsonrpc: Option<Raw<'a>>,
    id: Option<Raw<'a>>,
    method: Option<Raw<'a>>,
    raw_params: Option<Raw<'a>>,
    params: Params<'a>,
    result: Option<Raw<'a>>,
    error: Option<Raw<'a>>,
    case_variant: bool,
    /// The last of the others.
    other: Option<Raw<'a>>,
}

/// The members of `params` that some method gives a meaning to.
#[derive(Default)]
struct Params<'a> {
    arguments: Option<Raw<'a>>,
    client_info: Option<Raw<'a>>,
    meta: Meta<'a>,
    name: Option<Raw<'a>>,
    protocol_version: Option<Raw<'a>>,
    reference: Option<Raw<'a>>,
    request_id: Option<Raw<'a>>,
    task_id: Option<Raw<'a>>,
    uri: Option<Raw<'a>>,
    /// Keys of `params` that are, but for their case, one of [`PARAMS`]: bit by index.
    case_variants: u16,
    /// The last of the others.
    other: Option<Raw<'a>>,
}

#[derive(Default)]
struct Meta<'a> {
    client_capabilities: Option<Raw<'a>>,
    client_info: Option<Raw<'a>>,
    progress_token: Option<Raw<'a>>,
    protocol_version: Option<Raw<'a>>,
    traceparent: Option<Raw<'a>>,
    /// The last of the others.
    other: Option<Raw<'a>>,
}

const MEMBERS: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
const PARAMS: [&str; 8] = [
    "_meta",
    "arguments",
    "name",
    "protocolVersion",
    "ref",
    "requestId",
    "taskId",
    "uri",
];

fn message<'a>(reader: &mut Reader<'a>, limits: &Limits) -> Result<Message<'a>, Fault> {
    let (at, byte) = reader.next();
    if byte != b'{' {
        reader.peek()?;
        let offset = reader.offset();
        // The whole value is read first, so that what is not even JSON is called that.
        reader.value()?;
        return Err(Fault::new(FaultKind::NotAnObject, offset));
    }
    let mut members = Members::default();
    let read = reader.members(at, |reader, key| member(reader, key, &mut members));
    let offset = reader.offset();
    reader.went(read)?;
    judge(&members, limits).map_err(|kind| Fault {
        kind,
        offset,
        id: id(&members, limits),
    })
}

fn id(members: &Members<'_>, limits: &Limits) -> Option<RequestId> {
    let raw = members.id?;
    RequestId::from_raw(raw, limits.id)
}

#[inline(always)]
fn member<'a>(reader: &mut Reader<'a>, key: &Member, into: &mut Members<'a>) -> Step {
    let name = reader.name(key);
    let slot = match name {
        b"params" => {
            let params = &mut into.params;
            return reader.object_at(key.behind, &mut into.raw_params, |reader, key| {
                param(reader, key, params)
            });
        }
        b"jsonrpc" => &mut into.jsonrpc,
        b"id" => &mut into.id,
        b"method" => &mut into.method,
        b"result" => &mut into.result,
        b"error" => &mut into.error,
        _ => {
            into.case_variant |= variant_of(&MEMBERS, name).is_some();
            &mut into.other
        }
    };
    reader.value_at(key.behind, slot)
}

#[inline(always)]
fn param<'a>(reader: &mut Reader<'a>, key: &Member, into: &mut Params<'a>) -> Step {
    let name = reader.name(key);
    let slot = match name {
        b"_meta" => {
            let meta = &mut into.meta;
            return reader.object_at(key.behind, &mut into.other, |reader, key| {
                meta_member(reader, key, meta)
            });
        }
        b"arguments" => &mut into.arguments,
        b"clientInfo" => &mut into.client_info,
        b"name" => &mut into.name,
        b"protocolVersion" => &mut into.protocol_version,
        b"ref" => &mut into.reference,
        b"requestId" => &mut into.request_id,
        b"taskId" => &mut into.task_id,
        b"uri" => &mut into.uri,
        _ => {
            if let Some(index) = variant_of(&PARAMS, name) {
                into.case_variants |= 1 << index;
            }
            &mut into.other
        }
    };
    reader.value_at(key.behind, slot)
}

#[inline(always)]
fn meta_member<'a>(reader: &mut Reader<'a>, key: &Member, into: &mut Meta<'a>) -> Step {
    let slot = match reader.name(key) {
        CLIENT_CAPABILITIES => &mut into.client_capabilities,
        CLIENT_INFO => &mut into.client_info,
        PROTOCOL_VERSION => &mut into.protocol_version,
        b"progressToken" => &mut into.progress_token,
        b"traceparent" => &mut into.traceparent,
        _ => &mut into.other,
    };
    reader.value_at(key.behind, slot)
}

/// Makes a message of its members, or says what is wrong with them.
fn judge<'a>(members: &Members<'a>, limits: &Limits) -> Result<Message<'a>, FaultKind> {
    let id = id(members, limits);
    if members.case_variant {
        return Err(FaultKind::KeyCase);
    }
    let is_2_0 = |raw: Raw<'_>| raw.text() == "\"2.0\"" || raw.string().as_deref() == Some("2.0");
    if !members.jsonrpc.is_some_and(is_2_0) {
        return Err(FaultKind::Version);
    }
    let kind = match (members.method, members.result, members.error) {
        (Some(_), None, None) if members.id.is_some() => Kind::Request,
        (Some(_), None, None) => Kind::Notification,
        (None, Some(_), None) => Kind::Result,
        (None, None, Some(_)) => Kind::Error,
        (None, None, None) => return Err(FaultKind::NoKind),
        _ => return Err(FaultKind::TwoKinds),
    };
    let null_id = members.id.is_some_and(|raw| raw.kind() == ValueKind::Null);
    let id_fits = match kind {
        Kind::Request | Kind::Result => id.is_some(),
        Kind::Notification => true,
        Kind::Error => id.is_some() || null_id || members.id.is_none(),
    };
    if !id_fits {
        return Err(FaultKind::Id);
    }
    let method = match members.method {
        Some(raw) => Some(raw.string().ok_or(FaultKind::Method)?),
        None => None,
    };
    let raw_params = members
        .raw_params
        .filter(|raw| raw.kind() != ValueKind::Null);
    let params_kind = raw_params.map(Raw::kind);
    if !matches!(
        params_kind,
        None | Some(ValueKind::Object | ValueKind::Array)
    ) {
        return Err(FaultKind::Params);
    }
    let params = &members.params;
    let named = method.as_deref().map_or(Named::Nothing, named_by);
    if params.case_variants != 0 && params.case_variants & named.keys() != 0 {
        return Err(FaultKind::KeyCase);
    }
    if named != Named::Nothing && params_kind == Some(ValueKind::Array) {
        return Err(FaultKind::Target);
    }
    let target = target(named, params)?;
    if method.as_deref().is_some_and(has_control)
        || target
            .as_ref()
            .is_some_and(|target| has_control(&target.name))
    {
        return Err(FaultKind::ControlCharacter);
    }
    let meta = &params.meta;
    let initialize = method.as_deref() == Some("initialize");
    let version = if initialize {
        params.protocol_version
    } else {
        meta.protocol_version
    };
    let is = |raw: Option<Raw<'_>>, kind| raw.is_some_and(|raw| raw.kind() == kind);
    Ok(Message {
        kind,
        id,
        raw_id: members.id,
        target,
        params: raw_params,
        arguments: params.arguments,
        result: members.result,
        error: members.error,
        protocol_version: version.and_then(Raw::string),
        has_modern_meta: is(meta.protocol_version, ValueKind::String)
            && is(meta.client_capabilities, ValueKind::Object),
        progress_token: meta
            .progress_token
            .and_then(|raw| RequestId::from_raw(raw, MAX_TOKEN)),
        cancels: (named == Named::Request)
            .then_some(params.request_id)
            .flatten()
            .and_then(|raw| RequestId::from_raw(raw, MAX_TOKEN)),
        traceparent: meta.traceparent.and_then(Raw::string),
        client_info: if initialize {
            params.client_info
        } else {
            meta.client_info
        },
        method,
    })
}

fn has_control(name: &str) -> bool {
    !is_printable(name.as_bytes()) && name.chars().any(char::is_control)
}

/// Whether all of it is printable ASCII, as most names are: that shows without decoding.
fn is_printable(name: &[u8]) -> bool {
    let Some(last) = name.last_chunk() else {
        return name.iter().all(|byte| matches!(byte, b' '..=b'~'));
    };
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    // In the high bits of the bytes: what lies above ASCII, what is `~` or above before the carry of one is
    // added, what is below the space. A carry or borrow from byte to byte comes only from one that is odd itself.
    let odd = |chunk: &[u8; 8]| {
        let word = u64::from_le_bytes(*chunk);
        (word | word.wrapping_add(each(1)) | word.wrapping_sub(each(b' '))) & each(0x80)
    };
    let (chunks, _) = name.as_chunks();
    chunks.iter().fold(odd(last), |any, chunk| any | odd(chunk)) == 0
}

/// The most bytes of a progress token or a cancelled id that are kept.
const MAX_TOKEN: usize = 1024;

/// What a method's parameters name, and so which of their keys must not be ambiguous.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Nothing,
    Prompt,
    Reference,
    Request,
    Resource,
    Task,
    Tool,
    Version,
}

fn named_by(method: &str) -> Named {
    match method {
        "completion/complete" => Named::Reference,
        "initialize" => Named::Version,
        "notifications/cancelled" => Named::Request,
        "prompts/get" => Named::Prompt,
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Named::Resource,
        "tasks/cancel" | "tasks/get" | "tasks/result" | "tasks/update" => Named::Task,
        "tools/call" => Named::Tool,
        _ => Named::Nothing,
    }
}

impl Named {
    /// The keys of `params` this reader decides by, as bits by their index in [`PARAMS`].
    fn keys(self) -> u16 {
        let keys: &[&str] = match self {
            Self::Nothing => &["_meta"],
            Self::Prompt | Self::Tool => &["_meta", "arguments", "name"],
            Self::Reference => &["_meta", "ref"],
            Self::Request => &["_meta", "requestId"],
            Self::Resource => &["_meta", "uri"],
            Self::Task => &["_meta", "taskId"],
            Self::Version => &["_meta", "protocolVersion"],
        };
        PARAMS
            .iter()
            .zip(0..)
            .filter(|(key, _)| keys.contains(key))
            .map(|(_, bit)| 1 << bit)
            .sum()
    }
}

fn target<'a>(named: Named, params: &Params<'a>) -> Result<Option<Target<'a>>, FaultKind> {
    let (kind, raw) = match named {
        Named::Nothing | Named::Request | Named::Version => return Ok(None),
        Named::Prompt => (TargetKind::Prompt, params.name),
        Named::Tool => (TargetKind::Tool, params.name),
        Named::Resource => (TargetKind::Resource, params.uri),
        Named::Task => (TargetKind::Task, params.task_id),
        Named::Reference => match params.reference {
            Some(raw) => return reference(raw),
            None => return Ok(None),
        },
    };
    let Some(raw) = raw else { return Ok(None) };
    let name = raw.string().ok_or(FaultKind::Target)?;
    Ok(Some(Target { kind, name }))
}

/// What a completion's `ref` points to; `None` for a type of reference this code does not know.
fn reference(raw: Raw<'_>) -> Result<Option<Target<'_>>, FaultKind> {
    let (mut sort, mut name, mut uri, mut variant) = (None, None, None, false);
    let members = Reader::over(raw, usize::MAX).object::<JsonError>(|reader, key| {
        let value = Some(reader.value()?);
        match &*key {
            "type" => sort = value,
            "name" => name = value,
            "uri" => uri = value,
            _ => {
                variant |= ["type", "name", "uri"]
                    .iter()
                    .any(|known| equal_but_for_case(&key, known))
            }
        }
        Ok(())
    });
    if members.is_err() {
        return Err(FaultKind::Target);
    }
    if variant {
        return Err(FaultKind::KeyCase);
    }
    let (kind, raw) = match sort.and_then(Raw::string).as_deref() {
        Some("ref/prompt") => (TargetKind::Prompt, name),
        Some("ref/resource") => (TargetKind::Resource, uri),
        _ => return Ok(None),
    };
    let Some(raw) = raw else { return Ok(None) };
    let name = raw.string().ok_or(FaultKind::Target)?;
    Ok(Some(Target { kind, name }))
}

/// Which of the `known` keys this one is but for its case.
#[inline(never)]
fn variant_of(known: &[&str], key: &[u8]) -> Option<usize> {
    // All keys are UTF-8.
    let key = String::from_utf8_lossy(key);
    known
        .iter()
        .position(|known| equal_but_for_case(&key, known))
}

/// Whether a reader that folds case, as Go's `encoding/json` does, takes `key` for `known`.
fn equal_but_for_case(key: &str, known: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    // A folded character is at most three bytes; longer keys need no look.
    key.len() <= known.len() * 3 && key.chars().map(fold).eq(known.chars().map(fold))
}

/// The integer a JSON number stands for, as long as no reader sees another in it: written plainly
/// within 64 bits, or with a fraction or exponent within the exact range of a double.
pub(super) fn integer(text: &str) -> Option<i64> {
    if let Ok(plain) = text.parse() {
        return Some(plain);
    }
    if !text.contains(['.', 'e', 'E']) {
        return None;
    }
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let number: f64 = text.parse().ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "integral and below 2^53, so exact"
    )]
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

#[cfg(test)]
mod tests;

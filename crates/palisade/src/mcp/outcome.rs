//! What became of a request, read from the answer's body while it streams past.
//!
//! A [`Scanner`] is fed the body in chunks of any size and keeps a few bounded facts; memory does
//! not grow with the body, and long strings are stepped over at memory speed. The upstream's bytes
//! are not judged: what cannot be read makes [`Outcomes::unreadable`] true and nothing else. Where
//! a key is repeated the last one counts, as for every MCP client; inside values that hold nothing
//! of interest brackets are only counted.

mod capture;
mod place;
mod skip;

use memchr::memchr2;

use self::capture::{Capture, Escape, cut};
use self::place::{Node, Place, Stack};
use self::skip::Skip;
use super::message::{RequestId, integer};
use super::schema;

/// Characters kept of an error's message and of a tool's error text. Longer ones are cut.
pub const MAX_TEXT: usize = 500;
/// Characters kept of names, versions and result types. Longer ones are cut.
pub const MAX_NAME: usize = 128;
/// Bytes of a string id, method or tool name. Longer ones are left out, not cut: half of one would
/// be another.
pub const MAX_EXACT: usize = 1024;
/// Messages kept of one body.
pub const MAX_MESSAGES: usize = 64;
/// Tools kept of one list.
pub const MAX_TOOLS: usize = 1024;
/// Bytes of a tool's schema that are read; a longer one tells nothing.
pub const MAX_SCHEMA: usize = 64 << 10;
/// Versions kept of `server/discover`.
pub const MAX_VERSIONS: usize = 16;

/// Reads one JSON body, chunk by chunk.
#[derive(Debug)]
pub struct Scanner {
    state: State,
    /// How far into a container that is skipped.
    skip: Skip,
    /// The containers of interest that are open, outermost first.
    stack: Stack,
    /// Where the value now being read belongs.
    place: Place,
    message: Outcome,
    tool: ToolHint,
    schemas: bool,
    /// What is skipped is a schema that is wanted.
    schema: Option<Vec<u8>>,
    /// The first text of the content.
    text: Text,
    capture: Capture,
    outcomes: Outcomes,
}

/// What one body held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// The JSON-RPC messages, in order; several in the answer to a batch.
    pub messages: Vec<Outcome>,
    /// The body was no JSON, or stopped in the middle.
    pub unreadable: bool,
    /// There were more messages than [`MAX_MESSAGES`].
    pub truncated: bool,
}

/// One JSON-RPC message of the upstream: a response, or on event streams also a request or a
/// notification of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// The id, comparable with that of the request.
    pub id: Option<RequestId>,
    /// The method, when this is no response.
    pub method: Option<String>,
    /// Whether there is a `result`.
    pub has_result: bool,
    /// The JSON-RPC error, if that was the answer.
    pub error: Option<RpcError>,
    /// `result.isError`: the tool itself failed.
    pub is_error: bool,
    /// The first text among `result.content` of a failed tool, cut at [`MAX_TEXT`] characters.
    pub error_text: Option<String>,
    /// `result.resultType`, such as `input_required`.
    pub result_type: Option<String>,
    /// How the server names itself: in `initialize`, or in `_meta` of 2026-07-28.
    pub server: Option<ServerInfo>,
    /// `result.protocolVersion` of `initialize`.
    pub protocol_version: Option<String>,
    /// `result.supportedVersions` of `server/discover`, the first [`MAX_VERSIONS`].
    pub supported_versions: Vec<String>,
    /// `result.tools`, the first [`MAX_TOOLS`].
    pub tools: Vec<ToolHint>,
    /// Some tools were left out: too many, or a name beyond [`MAX_EXACT`].
    pub tools_truncated: bool,
}

/// A JSON-RPC error object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RpcError {
    /// Its code, if that is an integer.
    pub code: Option<i64>,
    /// Its message, cut at [`MAX_TEXT`] characters.
    pub message: Option<String>,
}

/// How a server names itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerInfo {
    /// Its name, cut at [`MAX_NAME`] characters.
    pub name: Option<String>,
    /// Its version, cut at [`MAX_NAME`] characters.
    pub version: Option<String>,
}

/// A listed tool and what its server says of it (untrusted hints).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolHint {
    /// The tool's name.
    pub name: String,
    /// `annotations.destructiveHint`, if given.
    pub destructive: Option<bool>,
    /// `annotations.readOnlyHint`, if given.
    pub read_only: Option<bool>,
    /// The arguments that `inputSchema` says are URLs or hosts, where a scanner
    /// [reads schemas](Scanner::reading_schemas).
    pub destinations: Vec<String>,
}

/// What a message means for the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// A JSON-RPC error.
    Error,
    /// A result that asks the client for more input (2026-07-28).
    InputRequired,
    /// Not a response.
    NotAResponse,
    /// A result.
    Success,
    /// A result with `isError`.
    ToolError,
}

impl Outcome {
    /// What the message means. An error counts before anything beside it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.error.is_some() {
            Verdict::Error
        } else if !self.has_result {
            Verdict::NotAResponse
        } else if self.is_error {
            Verdict::ToolError
        } else if self.result_type.as_deref() == Some("input_required") {
            Verdict::InputRequired
        } else {
            Verdict::Success
        }
    }
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// A scanner at the start of a body.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::Value,
            skip: Skip::default(),
            stack: Stack::default(),
            place: Place::Top,
            message: Outcome::default(),
            tool: ToolHint::default(),
            schemas: false,
            schema: None,
            text: Text::None,
            capture: Capture::default(),
            outcomes: Outcomes::default(),
        }
    }

    /// Whether tools' schemas are read for their [destinations](ToolHint::destinations).
    #[must_use]
    pub fn reading_schemas(mut self, read: bool) -> Self {
        self.schemas = read;
        self
    }

    /// Reads the next chunk.
    pub fn push(&mut self, bytes: &[u8]) {
        let (mut state, mut at) = (self.state, 0);
        while let Some(&byte) = bytes.get(at) {
            (state, at) = match state {
                State::Unreadable => break,
                State::Skip => {
                    let used = self.skip.run(&bytes[at..]);
                    if self.schema.is_some() {
                        self.keep_schema(&bytes[at..at + used]);
                    }
                    at += used;
                    let state = if self.skip.depth == 0 {
                        State::AfterValue
                    } else {
                        State::Skip
                    };
                    (state, at)
                }
                State::KeyString | State::ValueString => self.string(bytes, at, state),
                State::Scalar => self.scalar(bytes, at),
                State::Value => self.value(bytes, at, byte, state),
                State::FirstElement => self.value(bytes, at, byte, state),
                State::Key => self.key(bytes, at, byte, state),
                State::FirstKey => self.key(bytes, at, byte, state),
                State::Colon => match byte {
                    b':' => (State::Value, at + 1),
                    _ => between(byte, at, state),
                },
                State::AfterValue => self.after_value(bytes, at, byte),
            };
        }
        self.state = state;
        // The chunk goes; what may still be wanted of it stays.
        if let Text::Here { start, end } = self.text {
            self.text = Text::Kept(bytes[start..end].to_vec());
        }
    }

    /// Ends the body and tells what it held. An empty body holds nothing and is not unreadable.
    #[must_use]
    pub fn finish(mut self) -> Outcomes {
        self.take()
    }

    /// Ends the body, tells what it held, and stands at the start of the next one.
    pub fn take(&mut self) -> Outcomes {
        let whole = match self.state {
            State::AfterValue => self.stack.is_empty(),
            State::Value => self.place == Place::Top,
            // A bare number or word has no end of its own; it is no message, but it is JSON.
            State::Scalar => self.place == Place::Top,
            _ => false,
        };
        let mut outcomes = std::mem::take(&mut self.outcomes);
        outcomes.unreadable = !whole;
        // A message that ended has left nothing behind.
        if !self.stack.is_empty() {
            self.stack = Stack::default();
            self.message = Outcome::default();
            self.text = Text::None;
            self.schema = None;
        }
        self.state = State::Value;
        self.place = Place::Top;
        outcomes
    }

    /// Reads a value from its first byte, as far as it goes at once; like all that read, it returns
    /// what comes next, and where.
    #[inline(always)]
    fn value(&mut self, bytes: &[u8], at: usize, byte: u8, state: State) -> (State, usize) {
        match byte {
            b'"' => {
                self.begin();
                let start = at + 1;
                let (_, room) = self.place.room();
                let end = find_end(bytes, start);
                // What is whole and plain in this chunk is used where it stands. What nobody asks
                // for has no room and needs none.
                if bytes.get(end) == Some(&b'"') && (end - start <= room || room == 0) {
                    match self.place {
                        Place::Elsewhere => {}
                        Place::Text if self.text == Text::None => {
                            self.text = Text::Here { start, end };
                        }
                        Place::Text => {}
                        _ => self.end_string(&bytes[start..end], true),
                    }
                    return self.after(bytes, end + 1);
                }
                self.capture.start(room);
                (State::ValueString, start)
            }
            b'{' | b'[' => (self.enter(byte), at + 1),
            b']' if state == State::FirstElement => (self.leave(bytes), at + 1),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.begin();
                let rest = &bytes[at..];
                let end = scalar_end(rest);
                if end < rest.len() && end <= MAX_SCALAR {
                    self.end_scalar(&rest[..end]);
                    return self.after(bytes, at + end);
                }
                self.capture.start(MAX_SCALAR);
                (State::Scalar, at)
            }
            // A byte-order mark, which clients drop too.
            0xEF | 0xBB | 0xBF if self.place == Place::Top => (state, at + 1),
            _ => between(byte, at, state),
        }
    }

    /// A value has ended before `at`: the usual next, a key of the same object, is told at once.
    #[inline(always)]
    fn after(&self, bytes: &[u8], at: usize) -> (State, usize) {
        let next = bytes.get(at..);
        if next.is_some_and(|next| next.starts_with(b",\""))
            && self.stack.last().is_some_and(|node| !node.is_array())
        {
            return (State::Key, at + 1);
        }
        (State::AfterValue, at)
    }

    #[inline(always)]
    fn key(&mut self, bytes: &[u8], at: usize, byte: u8, state: State) -> (State, usize) {
        match byte {
            b'"' => {
                let start = at + 1;
                let end = find_end(bytes, start);
                if bytes.get(end) == Some(&b'"') {
                    self.end_key(&bytes[start..end]);
                    if bytes.get(end + 1) == Some(&b':') {
                        return (State::Value, end + 2);
                    }
                    return (State::Colon, end + 1);
                }
                self.capture.start(MAX_KEY);
                (State::KeyString, start)
            }
            b'}' if state == State::FirstKey => (self.leave(bytes), at + 1),
            _ => between(byte, at, state),
        }
    }

    #[inline(always)]
    fn after_value(&mut self, bytes: &[u8], at: usize, byte: u8) -> (State, usize) {
        let state = match (self.stack.last(), byte) {
            (Some(node), b',') if node.is_array() => {
                self.place = node.element();
                State::Value
            }
            (Some(_), b',') => State::Key,
            (Some(node), b']') if node.is_array() => self.leave(bytes),
            (Some(node), b'}') if !node.is_array() => self.leave(bytes),
            _ => return between(byte, at, State::AfterValue),
        };
        (state, at + 1)
    }

    /// Reads on inside a string.
    #[inline(never)]
    fn string(&mut self, bytes: &[u8], at: usize, state: State) -> (State, usize) {
        let rest = &bytes[at..];
        if let Some(used) = self.capture.escape(rest) {
            return (state, at + used);
        }
        let mut end = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        self.capture.extend(&rest[..end]);
        // What is not kept need not be unescaped: only the closing quote matters.
        while self.capture.overflowed && rest.get(end) == Some(&b'\\') && end + 1 < rest.len() {
            let next = end + 2;
            end = memchr2(b'"', b'\\', &rest[next..]).map_or(rest.len(), |found| next + found);
        }
        let next = match rest.get(end) {
            None => return (state, at + end),
            Some(b'\\') => {
                self.capture.escape = Escape::Backslash;
                state
            }
            Some(_) => {
                self.capture.flush_surrogate();
                let capture = std::mem::take(&mut self.capture);
                let whole = !capture.overflowed;
                let next = if state == State::KeyString {
                    self.end_key(if whole { &capture.kept } else { b"" });
                    State::Colon
                } else {
                    self.end_string(&capture.kept, whole);
                    State::AfterValue
                };
                self.capture = capture;
                next
            }
        };
        (next, at + end + 1)
    }

    /// Reads on inside a number or word; its end belongs to what follows.
    #[inline(never)]
    fn scalar(&mut self, bytes: &[u8], at: usize) -> (State, usize) {
        let rest = &bytes[at..];
        let end = scalar_end(rest);
        self.capture.extend(&rest[..end]);
        if end == rest.len() {
            return (State::Scalar, at + end);
        }
        let capture = std::mem::take(&mut self.capture);
        let whole = !capture.overflowed;
        self.end_scalar(if whole { &capture.kept } else { b"" });
        self.capture = capture;
        (State::AfterValue, at + end)
    }

    /// What must be forgotten when a value starts: the last of repeated keys counts.
    #[inline(always)]
    fn begin(&mut self) {
        match self.place {
            Place::ContentItem | Place::Elsewhere | Place::Message | Place::Text | Place::Top => {}
            // So it is the first time.
            Place::Content if self.text == Text::None => {}
            Place::Id if self.message.id.is_none() => {}
            Place::IsError => self.message.is_error = false,
            Place::Result if !self.message.has_result => self.message.has_result = true,
            _ => self.begin_again(),
        }
    }

    #[inline(never)]
    fn begin_again(&mut self) {
        let message = &mut self.message;
        match self.place {
            Place::Id => message.id = None,
            Place::Method => message.method = None,
            Place::Error => message.error = Some(RpcError::default()),
            Place::Result => {
                *message = Outcome {
                    id: message.id.take(),
                    method: message.method.take(),
                    error: message.error.take(),
                    has_result: true,
                    ..Outcome::default()
                };
                self.text = Text::None;
            }
            Place::Content => self.text = Text::None,
            Place::Tools => {
                message.tools.clear();
                message.tools_truncated = false;
            }
            Place::Versions => message.supported_versions.clear(),
            Place::ToolName => self.tool.name.clear(),
            Place::ToolSchema => self.tool.destinations.clear(),
            _ => {}
        }
    }

    /// Keeps what was skipped of a schema, and reads it at its end.
    #[inline(never)]
    fn keep_schema(&mut self, bytes: &[u8]) {
        let Some(schema) = &mut self.schema else {
            return;
        };
        if schema.len() + bytes.len() > MAX_SCHEMA {
            self.schema = None;
            return;
        }
        schema.extend(bytes);
        if self.skip.depth == 0 {
            self.tool.destinations = schema::destinations(schema);
            self.schema = None;
        }
    }

    fn enter(&mut self, bracket: u8) -> State {
        self.begin();
        let node = self.place.container(bracket);
        let Some(node) = node.filter(|node| self.stack.push(*node)) else {
            self.skip = Skip {
                depth: 1,
                ..Skip::default()
            };
            if self.schemas && self.place == Place::ToolSchema {
                self.schema = Some(vec![bracket]);
            }
            return State::Skip;
        };
        match node {
            Node::ServerInfo => self.message.server = Some(ServerInfo::default()),
            Node::Tool => self.tool = ToolHint::default(),
            _ => {}
        }
        self.place = node.element();
        if node.is_array() {
            State::FirstElement
        } else {
            State::FirstKey
        }
    }

    /// Leaves the innermost container of interest; `bytes` is the chunk that ends it.
    #[inline(always)]
    fn leave(&mut self, bytes: &[u8]) -> State {
        match self.stack.pop() {
            Some(Node::Message) => self.end_message(bytes),
            Some(Node::Tool) => self.end_tool(),
            _ => {}
        }
        State::AfterValue
    }

    #[inline(never)]
    fn end_message(&mut self, bytes: &[u8]) {
        let text = std::mem::take(&mut self.text);
        if self.message.is_error {
            self.message.error_text = match &text {
                Text::None => None,
                Text::Here { start, end } => Some(cut(&bytes[*start..*end], MAX_TEXT)),
                Text::Kept(text) => Some(cut(text, MAX_TEXT)),
            };
        }
        let messages = &mut self.outcomes.messages;
        if messages.len() == MAX_MESSAGES {
            self.message = Outcome::default();
            self.outcomes.truncated = true;
            return;
        }
        // One, nearly always.
        if messages.capacity() == 0 {
            *messages = Vec::with_capacity(1);
        }
        messages.push(std::mem::take(&mut self.message));
    }

    #[inline(never)]
    fn end_tool(&mut self) {
        let tool = std::mem::take(&mut self.tool);
        if tool.name.is_empty() || self.message.tools.len() == MAX_TOOLS {
            self.message.tools_truncated = true;
        } else {
            self.message.tools.push(tool);
        }
    }

    #[inline]
    fn end_key(&mut self, key: &[u8]) {
        let node = self.stack.last().unwrap_or(Node::Batch);
        self.place = node.member(key);
    }

    /// Takes a string's content, or what was kept of it if that is not `whole`.
    fn end_string(&mut self, content: &[u8], whole: bool) {
        let exact = || match std::str::from_utf8(content) {
            Ok(text) if whole => Some(text),
            _ => None,
        };
        let cut = || cut(content, self.place.room().0);
        let message = &mut self.message;
        match self.place {
            Place::Id => message.id = exact().map(|id| RequestId::String(id.into())),
            Place::Method => message.method = exact().map(str::to_owned),
            Place::ErrorMessage => {
                if let Some(error) = &mut message.error {
                    error.message = Some(cut());
                }
            }
            Place::ResultType => message.result_type = Some(cut()),
            Place::ProtocolVersion => message.protocol_version = Some(cut()),
            Place::Version if message.supported_versions.len() < MAX_VERSIONS => {
                message.supported_versions.push(cut());
            }
            Place::ServerName => {
                if let Some(server) = &mut message.server {
                    server.name = Some(cut());
                }
            }
            Place::ServerVersion => {
                if let Some(server) = &mut message.server {
                    server.version = Some(cut());
                }
            }
            // Whether anybody wants it shows only at the end of the result.
            Place::Text if self.text == Text::None => self.text = Text::Kept(content.to_vec()),
            Place::ToolName => self.tool.name.push_str(exact().unwrap_or_default()),
            _ => {}
        }
    }

    fn end_scalar(&mut self, text: &[u8]) {
        let flag = || match text {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        };
        match self.place {
            Place::Id => self.message.id = number(text).map(RequestId::Integer),
            Place::IsError => self.message.is_error = flag() == Some(true),
            Place::Error if text == b"null" => self.message.error = None,
            Place::ErrorCode => {
                if let Some(error) = &mut self.message.error {
                    error.code = number(text);
                }
            }
            Place::Destructive => self.tool.destructive = flag(),
            Place::ReadOnly => self.tool.read_only = flag(),
            _ => {}
        }
    }
}

/// Where a string's plain run ends that starts at `at`: at a quote, a backslash or the end of the
/// bytes.
#[inline(always)]
fn find_end(bytes: &[u8], at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // Most keys end within a word, where a call would cost more than it saves.
    if let Some(chunk) = bytes.get(at..at.wrapping_add(8))
        && let Some(chunk) = chunk.first_chunk()
    {
        // Subtracting borrows from a byte's high bit where the byte is zero; the lowest one flagged
        // is exact.
        let word = u64::from_le_bytes(*chunk);
        let quote = (word ^ (ONES * u64::from(b'"'))).wrapping_sub(ONES);
        let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let found = (quote | backslash) & !word & (ONES << 7);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
    }
    find_end_far(bytes, at)
}

#[inline(never)]
fn find_end_far(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let left = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
    bytes.len() - rest.len() + left
}

/// Where a number or word ends.
fn scalar_end(bytes: &[u8]) -> usize {
    const INSIDE: [bool; 256] = {
        let mut inside = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            let is =
                (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'+' | b'-' | b'.');
            inside[byte] = is;
            byte += 1;
        }
        inside
    };
    bytes
        .iter()
        .position(|byte| !INSIDE[usize::from(*byte)])
        .unwrap_or(bytes.len())
}

/// The integer a number stands for; see [`integer`].
fn number(text: &[u8]) -> Option<i64> {
    // Most are counted.
    if matches!(text.len(), 1..=9) && text.iter().all(u8::is_ascii_digit) {
        let digit = |number, byte: &u8| number * 10 + i64::from(byte - b'0');
        return Some(text.iter().fold(0, digit));
    }
    std::str::from_utf8(text).ok().and_then(integer)
}

/// Bytes kept of a key: more than any key of interest has.
const MAX_KEY: usize = 64;
/// Bytes kept of a number or word.
const MAX_SCALAR: usize = 32;

/// What the next byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    AfterValue,
    Colon,
    /// An element, or the end of the array.
    FirstElement,
    /// A key, or the end of the object.
    FirstKey,
    Key,
    KeyString,
    Scalar,
    Skip,
    Unreadable,
    Value,
    ValueString,
}

/// A byte that means nothing in this `state`: whitespace, or the end of what can be read.
fn between(byte: u8, at: usize, state: State) -> (State, usize) {
    if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
        (state, at + 1)
    } else {
        (State::Unreadable, at + 1)
    }
}

/// A text of which only the end of its message shows whether anybody wants it.
#[derive(Debug, Default, PartialEq, Eq)]
enum Text {
    /// There is none so far.
    #[default]
    None,
    /// It is plain, and stands here in the chunk being read.
    Here { start: usize, end: usize },
    /// As it was captured.
    Kept(Vec<u8>),
}

#[cfg(test)]
mod tests;

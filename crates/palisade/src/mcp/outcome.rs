//! What became of a request, read from the answer's body while it streams past.
//!
//! A [`Scanner`] is fed the body in chunks of any size and keeps a few bounded facts; memory does
//! not grow with the body, and long strings are stepped over at memory speed. The upstream's bytes
//! are not judged: what cannot be read makes [`Outcomes::unreadable`] true and nothing else. Where
//! a key is repeated the last one counts, as for every MCP client; inside values that hold nothing
//! of interest brackets are only counted.

use memchr::memchr2;

use super::message::{RequestId, integer};

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
/// Versions kept of `server/discover`.
pub const MAX_VERSIONS: usize = 16;

/// Reads one JSON body, chunk by chunk.
#[derive(Debug)]
pub struct Scanner {
    state: State,
    /// The containers of interest that are open, outermost first.
    stack: Vec<Node>,
    /// Where the value now being read belongs.
    place: Place,
    message: Outcome,
    tool: ToolHint,
    /// The first text of the content, as it was captured.
    text: Option<Vec<u8>>,
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
            state: State::Value { may_close: false },
            stack: Vec::new(),
            place: Place::Top,
            message: Outcome::default(),
            tool: ToolHint::default(),
            text: None,
            capture: Capture::default(),
            outcomes: Outcomes::default(),
        }
    }

    /// Reads the next chunk.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some(&byte) = bytes.first() {
            let used = match self.state {
                State::Unreadable => return,
                State::Skip(ref mut skip) => {
                    let used = skip.run(bytes);
                    if skip.depth == 0 {
                        self.state = State::AfterValue;
                    }
                    used
                }
                State::String { key } => self.string(bytes, key),
                State::Scalar => self.scalar(bytes),
                _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => 1,
                State::Value { may_close } => self.value(bytes, byte, may_close),
                State::Key { may_close } => self.key(bytes, byte, may_close),
                State::Colon => {
                    let next = State::Value { may_close: false };
                    self.state = if byte == b':' {
                        next
                    } else {
                        State::Unreadable
                    };
                    1
                }
                State::AfterValue => self.after_value(byte),
            };
            bytes = bytes.get(used..).unwrap_or_default();
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
            State::Value { .. } => self.place == Place::Top,
            // A bare number or word has no end of its own; it is no message, but it is JSON.
            State::Scalar => self.place == Place::Top,
            _ => false,
        };
        let mut outcomes = std::mem::take(&mut self.outcomes);
        outcomes.unreadable = !whole;
        // A message that ended has left nothing behind.
        if !self.stack.is_empty() {
            self.stack.clear();
            self.message = Outcome::default();
            self.text = None;
        }
        self.state = State::Value { may_close: false };
        self.place = Place::Top;
        outcomes
    }

    /// The first byte of a value.
    fn value(&mut self, bytes: &[u8], byte: u8, may_close: bool) -> usize {
        match byte {
            b'{' | b'[' => self.enter(byte),
            b'"' => {
                self.begin();
                let bytes = &bytes[1..];
                let (_, room) = self.place.room();
                let end = find_end(bytes);
                // What is whole and plain in this chunk is used where it stands. What nobody asks
                // for has no room and needs none.
                if bytes.get(end) == Some(&b'"') && (end <= room || room == 0) {
                    self.end_string(&bytes[..end], true);
                    self.state = State::AfterValue;
                    return end + 2;
                }
                self.capture.start(room);
                self.state = State::String { key: false };
            }
            b']' if may_close => self.leave(),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.begin();
                let end = scalar_end(bytes);
                if end < bytes.len() && end <= MAX_SCALAR {
                    self.end_scalar(&bytes[..end]);
                    self.state = State::AfterValue;
                    return end;
                }
                self.capture.start(MAX_SCALAR);
                self.state = State::Scalar;
                return 0;
            }
            // A byte-order mark, which clients drop too.
            0xEF | 0xBB | 0xBF if self.place == Place::Top => {}
            _ => self.state = State::Unreadable,
        }
        1
    }

    fn key(&mut self, bytes: &[u8], byte: u8, may_close: bool) -> usize {
        match byte {
            b'"' => {
                let bytes = &bytes[1..];
                let end = find_end(bytes);
                if bytes.get(end) == Some(&b'"') {
                    self.end_key(&bytes[..end]);
                    return end + 2;
                }
                self.capture.start(MAX_KEY);
                self.state = State::String { key: true };
            }
            b'}' if may_close => self.leave(),
            _ => self.state = State::Unreadable,
        }
        1
    }

    fn after_value(&mut self, byte: u8) -> usize {
        match (self.stack.last(), byte) {
            (Some(node), b',') if node.is_array() => {
                self.place = node.element();
                self.state = State::Value { may_close: false };
            }
            (Some(_), b',') => self.state = State::Key { may_close: false },
            (Some(node), b']') if node.is_array() => self.leave(),
            (Some(node), b'}') if !node.is_array() => self.leave(),
            _ => self.state = State::Unreadable,
        }
        1
    }

    /// Reads on inside a string; returns how many bytes were used.
    fn string(&mut self, bytes: &[u8], key: bool) -> usize {
        if let Some(used) = self.capture.escape(bytes) {
            return used;
        }
        let mut end = memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
        self.capture.extend(&bytes[..end]);
        // What is not kept need not be unescaped: only the closing quote matters.
        while self.capture.overflowed && bytes.get(end) == Some(&b'\\') && end + 1 < bytes.len() {
            let next = end + 2;
            end = memchr2(b'"', b'\\', &bytes[next..]).map_or(bytes.len(), |found| next + found);
        }
        match bytes.get(end) {
            None => end,
            Some(b'\\') => {
                self.capture.escape = Escape::Backslash;
                end + 1
            }
            Some(_) => {
                self.capture.flush_surrogate();
                let capture = std::mem::take(&mut self.capture);
                let whole = !capture.overflowed;
                if key {
                    self.end_key(if whole { &capture.kept } else { b"" });
                } else {
                    self.end_string(&capture.kept, whole);
                    self.state = State::AfterValue;
                }
                self.capture = capture;
                end + 1
            }
        }
    }

    /// Reads on inside a number or word; its end belongs to what follows.
    fn scalar(&mut self, bytes: &[u8]) -> usize {
        let end = scalar_end(bytes);
        self.capture.extend(&bytes[..end]);
        if end < bytes.len() {
            let capture = std::mem::take(&mut self.capture);
            let whole = !capture.overflowed;
            self.end_scalar(if whole { &capture.kept } else { b"" });
            self.capture = capture;
            self.state = State::AfterValue;
        }
        end
    }

    /// What must be forgotten when a value starts: the last of repeated keys counts.
    fn begin(&mut self) {
        let message = &mut self.message;
        match self.place {
            Place::Id => message.id = None,
            Place::Method => message.method = None,
            Place::Error => message.error = Some(RpcError::default()),
            Place::Result if !message.has_result => message.has_result = true,
            Place::Result => {
                *message = Outcome {
                    id: message.id.take(),
                    method: message.method.take(),
                    error: message.error.take(),
                    has_result: true,
                    ..Outcome::default()
                };
            }
            Place::Content => message.error_text = None,
            Place::IsError => message.is_error = false,
            Place::Tools => {
                message.tools.clear();
                message.tools_truncated = false;
            }
            Place::Versions => message.supported_versions.clear(),
            Place::ToolName => self.tool.name.clear(),
            _ => {}
        }
    }

    fn enter(&mut self, bracket: u8) {
        self.begin();
        let Some(node) = self.place.container(bracket) else {
            self.state = State::Skip(Skip {
                depth: 1,
                in_string: false,
                escaped: false,
            });
            return;
        };
        match node {
            Node::ServerInfo => self.message.server = Some(ServerInfo::default()),
            Node::Tool => self.tool = ToolHint::default(),
            _ => {}
        }
        self.stack.push(node);
        self.place = node.element();
        self.state = if node.is_array() {
            State::Value { may_close: true }
        } else {
            State::Key { may_close: true }
        };
    }

    fn leave(&mut self) {
        self.state = State::AfterValue;
        match self.stack.pop() {
            Some(Node::Message) => {
                let mut message = std::mem::take(&mut self.message);
                let text = self.text.take();
                if message.is_error {
                    message.error_text = text.map(|text| cut(&text, MAX_TEXT));
                }
                if self.outcomes.messages.len() < MAX_MESSAGES {
                    self.outcomes.messages.push(message);
                } else {
                    self.outcomes.truncated = true;
                }
            }
            Some(Node::Tool) => {
                let tool = std::mem::take(&mut self.tool);
                if tool.name.is_empty() || self.message.tools.len() == MAX_TOOLS {
                    self.message.tools_truncated = true;
                } else {
                    self.message.tools.push(tool);
                }
            }
            _ => {}
        }
    }

    fn end_key(&mut self, key: &[u8]) {
        let node = self.stack.last().copied().unwrap_or(Node::Batch);
        self.place = node.member(key);
        self.state = State::Colon;
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
            Place::Text if self.text.is_none() => self.text = Some(content.to_vec()),
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
        let integer = || std::str::from_utf8(text).ok().and_then(integer);
        match self.place {
            Place::Id => self.message.id = integer().map(RequestId::Integer),
            Place::IsError => self.message.is_error = flag() == Some(true),
            Place::Error if text == b"null" => self.message.error = None,
            Place::ErrorCode => {
                if let Some(error) = &mut self.message.error {
                    error.code = integer();
                }
            }
            Place::Destructive => self.tool.destructive = flag(),
            Place::ReadOnly => self.tool.read_only = flag(),
            _ => {}
        }
    }
}

/// Where a string's plain run ends: at a quote, a backslash or the end of the bytes.
fn find_end(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    // Most keys end within a word or two, where a call would cost more than it saves. Subtracting
    // borrows from a byte's high bit where the byte is zero; the lowest one flagged is exact.
    let zero = |word: u64| word.wrapping_sub(ONES) & !word & (ONES << 7);
    let mut rest = bytes;
    for _ in 0..2 {
        let Some((chunk, behind)) = rest.split_first_chunk::<8>() else {
            break;
        };
        let word = u64::from_le_bytes(*chunk);
        let found = zero(word ^ (ONES * u64::from(b'"'))) | zero(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return bytes.len() - rest.len() + found.trailing_zeros() as usize / 8;
        }
        rest = behind;
    }
    let left = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
    bytes.len() - rest.len() + left
}

/// Where a number or word ends.
fn scalar_end(bytes: &[u8]) -> usize {
    let inside =
        |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.');
    bytes
        .iter()
        .position(|byte| !inside(byte))
        .unwrap_or(bytes.len())
}

/// Bytes kept of a key: more than any key of interest has.
const MAX_KEY: usize = 64;
/// Bytes kept of a number or word.
const MAX_SCALAR: usize = 32;

/// What the next byte is part of.
#[derive(Debug)]
enum State {
    AfterValue,
    Colon,
    Key { may_close: bool },
    Scalar,
    Skip(Skip),
    String { key: bool },
    Unreadable,
    Value { may_close: bool },
}

/// A container of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Annotations,
    Batch,
    Content,
    ContentItem,
    Error,
    Message,
    Meta,
    Result,
    ServerInfo,
    Tool,
    Tools,
    Versions,
}

/// Where a value stands, as far as that is of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Annotations,
    Content,
    ContentItem,
    Destructive,
    Elsewhere,
    Error,
    ErrorCode,
    ErrorMessage,
    Id,
    IsError,
    Message,
    Meta,
    Method,
    ProtocolVersion,
    ReadOnly,
    Result,
    ResultType,
    ServerInfo,
    ServerName,
    ServerVersion,
    Text,
    Tool,
    ToolName,
    Tools,
    Top,
    Version,
    Versions,
}

impl Node {
    fn is_array(self) -> bool {
        matches!(
            self,
            Self::Batch | Self::Content | Self::Tools | Self::Versions
        )
    }

    /// Where an element of this array stands.
    fn element(self) -> Place {
        match self {
            Self::Batch => Place::Message,
            Self::Content => Place::ContentItem,
            Self::Tools => Place::Tool,
            Self::Versions => Place::Version,
            _ => Place::Elsewhere,
        }
    }

    /// Where this object's member of that key stands.
    fn member(self, key: &[u8]) -> Place {
        match (self, key) {
            (Self::Message, b"id") => Place::Id,
            (Self::Message, b"method") => Place::Method,
            (Self::Message, b"error") => Place::Error,
            (Self::Message, b"result") => Place::Result,
            (Self::Error, b"code") => Place::ErrorCode,
            (Self::Error, b"message") => Place::ErrorMessage,
            (Self::Result, b"_meta") => Place::Meta,
            (Self::Result, b"content") => Place::Content,
            (Self::Result, b"isError") => Place::IsError,
            (Self::Result, b"protocolVersion") => Place::ProtocolVersion,
            (Self::Result, b"resultType") => Place::ResultType,
            (Self::Result, b"serverInfo") => Place::ServerInfo,
            (Self::Result, b"supportedVersions") => Place::Versions,
            (Self::Result, b"tools") => Place::Tools,
            (Self::Meta, b"io.modelcontextprotocol/serverInfo") => Place::ServerInfo,
            (Self::ContentItem, b"text") => Place::Text,
            (Self::ServerInfo, b"name") => Place::ServerName,
            (Self::ServerInfo, b"version") => Place::ServerVersion,
            (Self::Tool, b"annotations") => Place::Annotations,
            (Self::Tool, b"name") => Place::ToolName,
            (Self::Annotations, b"destructiveHint") => Place::Destructive,
            (Self::Annotations, b"readOnlyHint") => Place::ReadOnly,
            _ => Place::Elsewhere,
        }
    }
}

impl Place {
    /// The container of interest that opens here with that bracket.
    fn container(self, bracket: u8) -> Option<Node> {
        match (self, bracket) {
            (Self::Top, b'[') => Some(Node::Batch),
            (Self::Top | Self::Message, b'{') => Some(Node::Message),
            (Self::Error, b'{') => Some(Node::Error),
            (Self::Result, b'{') => Some(Node::Result),
            (Self::Meta, b'{') => Some(Node::Meta),
            (Self::Content, b'[') => Some(Node::Content),
            (Self::ContentItem, b'{') => Some(Node::ContentItem),
            (Self::ServerInfo, b'{') => Some(Node::ServerInfo),
            (Self::Versions, b'[') => Some(Node::Versions),
            (Self::Tools, b'[') => Some(Node::Tools),
            (Self::Tool, b'{') => Some(Node::Tool),
            (Self::Annotations, b'{') => Some(Node::Annotations),
            _ => None,
        }
    }

    /// Characters and bytes to keep of a string here. Bytes are what is counted on the way, and a
    /// bound of their own for text that is not UTF-8.
    fn room(self) -> (usize, usize) {
        match self {
            Self::Id | Self::Method | Self::ToolName => (MAX_EXACT, MAX_EXACT),
            Self::ErrorMessage | Self::Text => (MAX_TEXT, MAX_TEXT * 4),
            Self::ProtocolVersion
            | Self::ResultType
            | Self::ServerName
            | Self::ServerVersion
            | Self::Version => (MAX_NAME, MAX_NAME * 4),
            _ => (0, 0),
        }
    }
}

/// Steps over a container that holds nothing of interest.
#[derive(Debug)]
struct Skip {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Skip {
    /// Reads until the container ends (`depth` is 0 then) or the bytes do; returns how many.
    fn run(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            if self.escaped {
                self.escaped = false;
                at += 1;
            } else if self.in_string {
                let Some(found) = memchr2(b'"', b'\\', &bytes[at..]) else {
                    return bytes.len();
                };
                self.escaped = bytes[at + found] == b'\\';
                self.in_string = self.escaped;
                at += found + 1;
            } else {
                let byte = bytes[at];
                at += 1;
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            return at;
                        }
                    }
                    _ => {}
                }
            }
        }
        at
    }
}

/// A bounded copy of a string's content, unescaped.
#[derive(Debug, Default)]
struct Capture {
    kept: Vec<u8>,
    /// Bytes that fit in all.
    bytes: usize,
    overflowed: bool,
    escape: Escape,
    /// The first half of a surrogate pair, waiting for the second.
    surrogate: Option<u32>,
}

/// How far into an escape the string stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    Backslash,
    #[default]
    None,
    Unicode {
        digits: u8,
        unit: u32,
    },
}

impl Capture {
    fn start(&mut self, bytes: usize) {
        self.kept.clear();
        self.bytes = bytes;
        self.overflowed = bytes == 0;
        self.escape = Escape::None;
        self.surrogate = None;
    }

    /// Reads one byte of an escape, if the string stands in one.
    fn escape(&mut self, bytes: &[u8]) -> Option<usize> {
        let byte = *bytes.first()?;
        match self.escape {
            Escape::None => return None,
            Escape::Backslash if byte == b'u' => {
                self.escape = Escape::Unicode { digits: 0, unit: 0 };
            }
            Escape::Backslash => {
                self.escape = Escape::None;
                let plain = match byte {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => other,
                };
                self.extend(&[plain]);
            }
            Escape::Unicode { digits, unit } => {
                let Some(digit) = char::from(byte).to_digit(16) else {
                    // No escape after all: the byte is read again, as itself.
                    self.escape = Escape::None;
                    self.extend("\u{fffd}".as_bytes());
                    return Some(0);
                };
                let unit = unit << 4 | digit;
                if digits < 3 {
                    self.escape = Escape::Unicode {
                        digits: digits + 1,
                        unit,
                    };
                } else {
                    self.escape = Escape::None;
                    self.unit(unit);
                }
            }
        }
        Some(1)
    }

    fn unit(&mut self, unit: u32) {
        if (0xD800..0xDC00).contains(&unit) {
            self.flush_surrogate();
            self.surrogate = Some(unit);
            return;
        }
        let code = match self.surrogate {
            Some(first) if (0xDC00..0xE000).contains(&unit) => {
                self.surrogate = None;
                0x1_0000 + ((first & 0x3FF) << 10) + (unit & 0x3FF)
            }
            _ => unit,
        };
        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.extend(character.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// Half a pair that never got its other half.
    fn flush_surrogate(&mut self) {
        if self.surrogate.take().is_some() {
            self.extend("\u{fffd}".as_bytes());
        }
    }

    fn extend(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.flush_surrogate();
        if self.overflowed {
            return;
        }
        let fit = bytes.len().min(self.bytes - self.kept.len());
        self.kept.extend_from_slice(&bytes[..fit]);
        self.overflowed = fit < bytes.len();
    }
}

/// At most so many characters of a text that may be no UTF-8, or end in the middle of one.
fn cut(text: &[u8], characters: usize) -> String {
    let text = String::from_utf8_lossy(text);
    if text.len() <= characters {
        return text.into_owned();
    }
    text.chars().take(characters).collect()
}

#[cfg(test)]
mod tests;

//! Where in an answer a value stands, as far as that is of interest.

use super::{MAX_EXACT, MAX_NAME, MAX_TEXT};

/// Where a value stands, as far as that is of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
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
    ToolSchema,
    Tools,
    Top,
    Version,
    Versions,
}

impl Place {
    /// The container of interest that opens here with that bracket.
    pub(super) fn container(self, bracket: u8) -> Option<Node> {
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
    pub(super) fn room(self) -> (usize, usize) {
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

/// A container of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
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

impl Node {
    pub(super) fn is_array(self) -> bool {
        matches!(
            self,
            Self::Batch | Self::Content | Self::Tools | Self::Versions
        )
    }

    /// Where an element of this array stands.
    pub(super) fn element(self) -> Place {
        match self {
            Self::Batch => Place::Message,
            Self::Content => Place::ContentItem,
            Self::Tools => Place::Tool,
            Self::Versions => Place::Version,
            _ => Place::Elsewhere,
        }
    }

    /// Where this object's member of that key stands.
    pub(super) fn member(self, key: &[u8]) -> Place {
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
            (Self::Tool, b"inputSchema") => Place::ToolSchema,
            (Self::Tool, b"name") => Place::ToolName,
            (Self::Annotations, b"destructiveHint") => Place::Destructive,
            (Self::Annotations, b"readOnlyHint") => Place::ReadOnly,
            _ => Place::Elsewhere,
        }
    }
}

/// Containers of interest that are open. How deep they lie in one another is bounded by what
/// [`Place::container`] opens: batch, message, result, tools, tool, annotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stack {
    pub(super) nodes: [Node; 8],
    pub(super) open: usize,
}

impl Default for Stack {
    fn default() -> Self {
        Self {
            nodes: [Node::Batch; 8],
            open: 0,
        }
    }
}

impl Stack {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.open == 0
    }

    #[inline]
    pub(super) fn last(&self) -> Option<Node> {
        self.nodes.get(self.open.wrapping_sub(1)).copied()
    }

    /// Whether there was room.
    #[inline]
    pub(super) fn push(&mut self, node: Node) -> bool {
        let slot = self.nodes.get_mut(self.open);
        let fits = slot.is_some();
        if let Some(slot) = slot {
            *slot = node;
            self.open += 1;
        }
        fits
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<Node> {
        let last = self.last()?;
        self.open -= 1;
        Some(last)
    }
}

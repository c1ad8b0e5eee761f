//! The headers that mirror a message's body (2026-07-28, SEP-2243), judged against it.
//!
//! Palisade never takes a decision from these headers. It checks them because an intermediary
//! before or behind it may: `MCP-Protocol-Version`, `Mcp-Method` and `Mcp-Name` must say what the
//! body says, each once. For messages of older revisions they mean nothing and are passed on.

use std::borrow::Cow;
use std::fmt;

use http::HeaderMap;

use super::message::{Kind, Message, TargetKind};

/// Compares the mirroring headers with the message they came with.
///
/// Values are compared byte by byte after the optional whitespace round them is dropped (RFC 9110,
/// section 5.5) and after `=?base64?…?=` is decoded (the markers are case-sensitive; the alphabet
/// is the standard one, padded). Header names have no case.
///
/// A notification without `Mcp-Method` is left to the server. The specification demands the header
/// there too, but the TypeScript client (2.4) sends it with requests alone and some servers accept
/// that; and who finds no header cannot be misled by it.
#[must_use]
pub fn agreement(headers: &HeaderMap, message: &Message<'_>) -> Agreement {
    if !message.is_modern() || !matches!(message.kind, Kind::Request | Kind::Notification) {
        return Agreement::NotApplicable;
    }
    let name = mirrored_name(message);
    let mirrored = [
        (
            MirrorHeader::ProtocolVersion,
            message.protocol_version.as_deref(),
            true,
        ),
        (
            MirrorHeader::Method,
            message.method.as_deref(),
            message.kind == Kind::Request,
        ),
        (
            MirrorHeader::Name,
            name,
            NAME_REQUIRED.iter().any(|method| message.is(method)),
        ),
    ];
    for (header, expected, required) in mirrored {
        let Some(expected) = expected else { continue };
        let mut values = headers.get_all(header.name()).iter();
        let Some(value) = values.next() else {
            if required {
                return Agreement::Missing(header);
            }
            continue;
        };
        if values.next().is_some() {
            return Agreement::Repeated(header);
        }
        let Some(value) = decode(value.as_bytes()) else {
            return Agreement::Undecodable(header);
        };
        if value != expected.as_bytes() {
            return Agreement::Differs(header);
        }
    }
    Agreement::Agrees
}

/// In words for an operator.
impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agrees => f.write_str("the headers agree with the body"),
            Self::Differs(header) => write!(f, "{} differs from the body", header.name()),
            Self::Missing(header) => write!(f, "{} is missing", header.name()),
            Self::NotApplicable => f.write_str("the message has no mirroring headers"),
            Self::Repeated(header) => write!(f, "{} comes more than once", header.name()),
            Self::Undecodable(header) => write!(f, "{} cannot be decoded", header.name()),
        }
    }
}

/// How the mirroring headers stand to the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Agreement {
    /// Every header that must be there is, once, and says what the body says.
    Agrees,
    /// The header says something else than the body.
    Differs(MirrorHeader),
    /// The header is required and not there.
    Missing(MirrorHeader),
    /// The message belongs to a revision that gives these headers no meaning, or is a response.
    NotApplicable,
    /// The header is there more than once.
    Repeated(MirrorHeader),
    /// The header's value is not visible ASCII, or not the Base64 it says it is.
    Undecodable(MirrorHeader),
}

impl Agreement {
    /// Whether the request must be answered with 400 and -32020 (`HeaderMismatch`).
    #[must_use]
    pub const fn is_mismatch(self) -> bool {
        !matches!(self, Self::Agrees | Self::NotApplicable)
    }
}

/// The headers that mirror the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MirrorHeader {
    /// `Mcp-Method`, which mirrors `method`.
    Method,
    /// `Mcp-Name`, which mirrors `params.name`, `params.uri` or `params.taskId`.
    Name,
    /// `MCP-Protocol-Version`, which mirrors the version in `_meta`.
    ProtocolVersion,
}

impl MirrorHeader {
    /// The header's name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Method => "mcp-method",
            Self::Name => "mcp-name",
            Self::ProtocolVersion => "mcp-protocol-version",
        }
    }
}

/// The bounds on `Mcp-Param-*` headers, which are forwarded and never read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamLimits {
    /// How many there may be. Default 64.
    pub count: usize,
    /// Bytes of all their names and values together. Default 16384.
    pub bytes: usize,
}

impl Default for ParamLimits {
    fn default() -> Self {
        Self {
            count: 64,
            bytes: 16 * 1024,
        }
    }
}

/// Whether the `Mcp-Param-*` headers keep within the bounds.
#[must_use]
pub fn params_within(headers: &HeaderMap, limits: &ParamLimits) -> ParamHeaders {
    let (mut count, mut bytes) = (0, 0);
    for (name, value) in headers {
        if name.as_str().starts_with(PARAM_PREFIX) {
            count += 1;
            bytes += name.as_str().len() + value.len();
        }
    }
    if count > limits.count {
        ParamHeaders::TooMany
    } else if bytes > limits.bytes {
        ParamHeaders::TooLarge
    } else {
        ParamHeaders::Within
    }
}

/// How `Mcp-Param-*` headers stand to their bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParamHeaders {
    /// More bytes than [`ParamLimits::bytes`].
    TooLarge,
    /// More headers than [`ParamLimits::count`].
    TooMany,
    /// Within the bounds.
    Within,
}

/// What the names of parameter headers start with, in lower case.
pub const PARAM_PREFIX: &str = "mcp-param-";

/// The methods whose requests must carry `Mcp-Name`; in others that name something, such as
/// `tasks/get`, it must agree if it is there.
const NAME_REQUIRED: [&str; 3] = ["tools/call", "prompts/get", "resources/read"];

/// What `Mcp-Name` must say. A completion's reference is not mirrored.
fn mirrored_name<'m>(message: &'m Message<'_>) -> Option<&'m str> {
    let target = message.target.as_ref()?;
    match target.kind {
        TargetKind::Prompt | TargetKind::Resource if message.is("completion/complete") => None,
        TargetKind::Prompt | TargetKind::Resource | TargetKind::Task | TargetKind::Tool => {
            Some(&target.name)
        }
    }
}

/// The bytes a header value stands for; `None` if it stands for nothing.
fn decode(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let value = trim(value);
    if !value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return None;
    }
    let encoded = value
        .strip_prefix(b"=?base64?")
        .and_then(|rest| rest.strip_suffix(b"?="));
    match encoded {
        Some(encoded) => base64(encoded).map(Cow::Owned),
        None => Some(Cow::Borrowed(value)),
    }
}

fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Decodes Base64 (RFC 4648, section 4) in its one canonical form: padded, no foreign bytes, no
/// stray bits in the last character.
fn base64(encoded: &[u8]) -> Option<Vec<u8>> {
    let (quads, []) = encoded.as_chunks::<4>() else {
        return None;
    };
    let mut out = Vec::with_capacity(quads.len() * 3);
    for (index, quad) in quads.iter().enumerate() {
        let padding = match quad {
            [_, _, b'=', b'='] => 2,
            [_, _, _, b'='] => 1,
            _ => 0,
        };
        if padding > 0 && index + 1 != quads.len() {
            return None;
        }
        let mut bits = 0;
        for &byte in &quad[..4 - padding] {
            bits = bits << 6 | sextet(byte)?;
        }
        bits <<= 6 * padding;
        let [_, bytes @ ..] = u32::to_be_bytes(bits);
        let (kept, stray) = bytes.split_at(3 - padding);
        if stray.iter().any(|byte| *byte != 0) {
            return None;
        }
        out.extend_from_slice(kept);
    }
    Some(out)
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

#[cfg(test)]
mod tests;

//! The answer as bytes: its head, and its body in the framing that the head announces.

use http::header::{CONNECTION, CONTENT_LENGTH, DATE};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode};

use crate::fields::{decimal, has_option};
use crate::head::{FieldLines, put_chunk_size, put_date, put_length};

/// What a service answers: a response, or one with lines beside its own.
pub trait Answer {
    /// The response's body.
    type Body;

    /// The head, the body, and lines to be written beside the head's own.
    fn into_parts(self) -> (Parts, Self::Body, FieldLines);
}

impl<B> Answer for Response<B> {
    type Body = B;

    fn into_parts(self) -> (Parts, B, FieldLines) {
        let (parts, body) = self.into_parts();
        (parts, body, FieldLines::default())
    }
}

impl<B> Answer for (Response<B>, FieldLines) {
    type Body = B;

    fn into_parts(self) -> (Parts, B, FieldLines) {
        let (parts, body) = self.0.into_parts();
        (parts, body, self.1)
    }
}

/// What is known of the request that is answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    /// HEAD.
    pub(super) head_only: bool,
    /// CONNECT.
    pub(super) tunnel: bool,
    /// HTTP/1.0.
    pub(super) old: bool,
    /// The connection may go on after this answer.
    pub(super) persistent: bool,
}

/// How the body of an answer goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Writing {
    /// No body, whatever there is of it.
    Nothing,
    /// So many bytes more.
    Length(u64),
    Chunked,
    /// Until the connection ends.
    UntilClose,
}

/// An answer's body does not have the length that its head announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer's body does not have the length that its head announced")]
pub struct WrongLength;

/// Writes the head of an answer whose body has `exact` bytes, if that is known.
///
/// Returns the framing of the body, and whether the connection may go on after it.
pub(super) fn put_head(
    answer: &Parts,
    lines: &FieldLines,
    exact: Option<u64>,
    asked: Asked,
    out: &mut Vec<u8>,
) -> (Writing, bool) {
    let said = declared_length(&answer.headers);
    let declared = said.or(exact);
    let writing = if asked.head_only || has_no_body(answer.status) {
        Writing::Nothing
    } else {
        match exact.or(declared) {
            Some(length) => Writing::Length(length),
            None if asked.old => Writing::UntilClose,
            None => Writing::Chunked,
        }
    };
    let close = answer.headers.get_all(CONNECTION).iter();
    let persistent = asked.persistent
        && writing != Writing::UntilClose
        // The client waits for another answer behind this one, or for a tunnel.
        && !answer.status.is_informational()
        && !(asked.tunnel && answer.status.is_success())
        && !close.into_iter().any(|value| has_option(value, b"close"));

    out.reserve(1024);
    put_status(answer.status, out);
    lines.put_with(&answer.headers, out);
    match (writing, declared) {
        (Writing::Length(length), _) => put_length(length, out),
        // RFC 9110 section 8.6: what GET would have had, which an empty body alone does not say;
        // with 1xx and 204 there must be none.
        (Writing::Nothing, Some(length))
            if !answer.status.is_informational()
                && answer.status != StatusCode::NO_CONTENT
                && (length > 0
                    || (said.is_some() && answer.status != StatusCode::NOT_MODIFIED)) =>
        {
            put_length(length, out);
        }
        (Writing::Chunked, _) => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        _ => {}
    }
    if !persistent {
        out.extend_from_slice(b"connection: close\r\n");
    }
    if !answer.headers.contains_key(DATE) {
        put_date(out);
    }
    out.extend_from_slice(b"\r\n");
    (writing, persistent)
}

impl Writing {
    /// Writes a piece of the body. Returns what remains to be written as it is, which is all of
    /// a large one.
    pub(super) fn put_data(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), WrongLength> {
        match self {
            Self::Nothing => {}
            Self::Length(rest) => {
                *rest = rest.checked_sub(data.len() as u64).ok_or(WrongLength)?;
                out.extend_from_slice(data);
            }
            // A chunk of no bytes would be the last one.
            Self::Chunked if data.is_empty() => {}
            Self::Chunked => {
                out.reserve(data.len() + 20);
                put_chunk_size(data.len(), out);
                out.extend_from_slice(data);
                out.extend_from_slice(b"\r\n");
            }
            Self::UntilClose => out.extend_from_slice(data),
        }
        Ok(())
    }

    /// Ends the body.
    pub(super) fn put_end(self, out: &mut Vec<u8>) -> Result<(), WrongLength> {
        match self {
            Self::Length(1..) => return Err(WrongLength),
            Self::Chunked => out.extend_from_slice(b"0\r\n\r\n"),
            Self::Nothing | Self::Length(0) | Self::UntilClose => {}
        }
        Ok(())
    }
}

fn put_status(status: StatusCode, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(status.as_str().as_bytes());
    out.push(b' ');
    let reason = status.canonical_reason().unwrap_or_default();
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// RFC 9110 sections 15.2, 15.3.5 and 15.4.5.
fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    // As for requests: `parse` would take a sign.
    decimal(headers.get(CONTENT_LENGTH)?.as_bytes())
}

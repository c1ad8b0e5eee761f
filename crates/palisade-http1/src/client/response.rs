//! The head of a response: status line, fields, framing. Sans-I/O.

use bytes::{Buf as _, BytesMut};
use http::response::Parts;
use http::{HeaderMap, Response, StatusCode, Version};
use memchr::memchr;

use crate::body::{BodyReader, Framing, Piece};
use crate::fault::Fault;
use crate::fields::{Coding, Fields, Length, section_end};
use crate::memory::Memory;
use crate::request::HeadLimits;

/// A response head as it came.
#[derive(Debug)]
pub struct ResponseHead {
    /// Status, version and fields.
    pub parts: Parts,
    /// How its body is framed.
    pub framing: Framing,
    /// Whether the server takes another request on this connection.
    pub persistent: bool,
}

/// The answers on one connection, as a machine that takes bytes.
#[derive(Debug)]
pub struct Responses {
    limits: HeadLimits,
    inbox: BytesMut,
    seen: Option<Seen>,
    body: BodyReader,
    memory: Memory,
}

/// A status line that is whole, while the fields come.
#[derive(Clone, Copy, Debug)]
struct Seen {
    status: StatusCode,
    version: Version,
    /// Where the fields begin.
    fields: usize,
    /// The start of the first line that is not whole.
    line: usize,
}

/// Most interim answers before the final one.
pub(super) const MAX_INTERIM: u32 = 16;

impl Responses {
    /// Answers with heads within `limits`.
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            inbox: BytesMut::new(),
            seen: None,
            body: BodyReader::new(Framing::Empty),
            memory: Memory::default(),
        }
    }

    /// Takes what the server has sent.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
    }

    /// Whether nothing has been received that was not asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inbox.is_empty()
    }

    /// The next head, once it is whole; `head_only` where the request was HEAD.
    ///
    /// # Errors
    /// A [`Fault`], after which nothing on this connection can be understood.
    pub fn head(&mut self, head_only: bool) -> Result<Option<ResponseHead>, Fault> {
        let mut seen = match self.seen.take() {
            Some(seen) => seen,
            None => match self.first_line()? {
                Some(seen) => seen,
                None => return Ok(None),
            },
        };
        let end = section_end(&self.inbox, &mut seen.line);
        if end.unwrap_or(self.inbox.len()) > self.limits.bytes {
            return Err(Fault::HeadTooLarge);
        }
        let Some(end) = end else {
            self.seen = Some(seen);
            return Ok(None);
        };
        let Seen {
            status, version, ..
        } = seen;
        let mut section = self.inbox.split_to(end).freeze();
        section.advance(seen.fields);
        let fields = Fields::read_again(&section, self.limits.fields, &mut self.memory);
        if let Some(fault) = fields.fault {
            return Err(fault);
        }
        let framing = framing(status, version, &fields, head_only)?;
        self.body = BodyReader::new(framing);
        let persistent =
            version == Version::HTTP_11 && !fields.close && framing != Framing::UntilClose;
        Ok(Some(ResponseHead {
            parts: parts(status, version, fields.map),
            framing,
            persistent,
        }))
    }

    /// Judges the status line as soon as it is whole, and its beginning before that.
    fn first_line(&self) -> Result<Option<Seen>, Fault> {
        if !self.inbox.iter().zip(b"HTTP/").all(|(a, b)| a == b) {
            return Err(Fault::NotHttp);
        }
        let end = memchr(b'\n', &self.inbox).map(|end| end + 1);
        if end.unwrap_or(self.inbox.len()) > self.limits.bytes {
            return Err(Fault::HeadTooLarge);
        }
        let Some(fields) = end else { return Ok(None) };
        let line = self.inbox.get(..fields).unwrap_or_default();
        let (status, version) = status_line(line)?;
        Ok(Some(Seen {
            status,
            version,
            fields,
            line: fields,
        }))
    }

    /// The next piece of the body; `None` where more bytes are needed.
    ///
    /// # Errors
    /// A [`Fault`], after which nothing on this connection can be understood.
    pub fn body(&mut self) -> Result<Option<Piece>, Fault> {
        let piece = self.body.read(&mut self.inbox);
        if self.inbox.is_empty() {
            // A stream may stay idle for days.
            self.inbox = BytesMut::new();
        }
        piece
    }

    /// Whether the body has been read to its end.
    #[must_use]
    pub fn body_is_done(&self) -> bool {
        self.body.is_done()
    }

    /// Bytes of the body that are still to come, where that is known.
    #[must_use]
    pub const fn body_remaining(&self) -> Option<u64> {
        self.body.remaining()
    }

    /// The server has closed its end.
    ///
    /// # Errors
    /// [`Fault::BodyIncomplete`] where the body does not end with the connection.
    pub fn close(&mut self) -> Result<(), Fault> {
        self.body.close()
    }
}

/// `HTTP-version SP status-code SP [ reason-phrase ] CRLF` (RFC 9112 section 4). The second space
/// may be missing, as with some servers.
fn status_line(line: &[u8]) -> Result<(StatusCode, Version), Fault> {
    let Some(line) = line.strip_suffix(b"\n") else {
        return Err(Fault::StartLine);
    };
    let Some(line) = line.strip_suffix(b"\r") else {
        return Err(Fault::BareLf);
    };
    if line.contains(&b'\r') {
        return Err(Fault::BareCr);
    }
    let (version, rest) = match line {
        [
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            b'1',
            b'.',
            b'1',
            b' ',
            rest @ ..,
        ] => (Version::HTTP_11, rest),
        [
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            b'1',
            b'.',
            b'0',
            b' ',
            rest @ ..,
        ] => (Version::HTTP_10, rest),
        [b'H', b'T', b'T', b'P', b'/', ..] => return Err(Fault::Version),
        _ => return Err(Fault::NotHttp),
    };
    let (code, reason) = rest.split_at_checked(3).ok_or(Fault::StartLine)?;
    let printable = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    if !matches!(reason, [] | [b' ', ..]) || !reason.iter().all(printable) {
        return Err(Fault::StartLine);
    }
    let status = StatusCode::from_bytes(code).map_err(|_| Fault::StartLine)?;
    Ok((status, version))
}

/// RFC 9112 section 6.3, with everything refused that it lets be repaired.
fn framing(
    status: StatusCode,
    version: Version,
    fields: &Fields,
    head_only: bool,
) -> Result<Framing, Fault> {
    let none = head_only
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    match (fields.length, fields.coding) {
        (Length::Is(_), Coding::Chunked | Coding::Other) => Err(Fault::LengthAndCoding),
        (Length::Invalid, _) => Err(Fault::ContentLength),
        (Length::Absent, Coding::Other) => Err(Fault::TransferEncoding),
        (Length::Absent, Coding::Chunked) if version == Version::HTTP_10 => {
            Err(Fault::TransferEncoding)
        }
        _ if none => Ok(Framing::Empty),
        (Length::Absent, Coding::Chunked) => Ok(Framing::Chunked),
        (Length::Absent, Coding::Absent) => Ok(Framing::UntilClose),
        (Length::Is(0), Coding::Absent) => Ok(Framing::Empty),
        (Length::Is(length), Coding::Absent) => Ok(Framing::Length(length)),
    }
}

fn parts(status: StatusCode, version: Version, headers: HeaderMap) -> Parts {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = status;
    parts.version = version;
    parts.headers = headers;
    parts
}

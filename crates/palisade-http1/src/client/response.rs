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
    /// Where the status line ends, once it has been seen, and the start of the first line that
    /// is not whole.
    seen: Option<(usize, usize)>,
    body: BodyReader,
    memory: Memory,
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
        let (fields, mut line) = match self.seen {
            Some(seen) => seen,
            None => match memchr(b'\n', &self.inbox) {
                Some(end) => (end + 1, end + 1),
                None if self.inbox.len() > self.limits.bytes => return Err(Fault::HeadTooLarge),
                None => return self.looks_like_http(),
            },
        };
        let end = section_end(&self.inbox, &mut line);
        if end.unwrap_or(self.inbox.len()) > self.limits.bytes {
            return Err(Fault::HeadTooLarge);
        }
        let Some(end) = end else {
            self.seen = Some((fields, line));
            return Ok(None);
        };
        self.seen = None;
        let mut section = self.inbox.split_to(end).freeze();
        let (status, version) = status_line(section.get(..fields).unwrap_or_default())?;
        section.advance(fields);
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

    /// Refuses what is no HTTP before its first line is whole.
    fn looks_like_http(&self) -> Result<Option<ResponseHead>, Fault> {
        let begins = self.inbox.iter().zip(b"HTTP/1.").all(|(a, b)| a == b);
        if begins {
            Ok(None)
        } else {
            Err(Fault::NotHttp)
        }
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

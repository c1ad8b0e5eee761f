//! The head of a request: request line, target, fields, framing.

use bytes::{Buf as _, Bytes, BytesMut};
use http::request::Parts;
use http::uri::{Authority, Uri};
use http::{HeaderMap, Method, Request, Version};
use memchr::memchr;

use crate::body::Framing;
use crate::fault::Fault;
use crate::fields::{Coding, Fields, Length, section_end};
use crate::memory::Memory;

/// Bounds on a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes, the empty line at the end included.
    pub bytes: usize,
    /// Field lines.
    pub fields: usize,
}

impl Default for HeadLimits {
    /// 32 KiB and 100 fields.
    fn default() -> Self {
        Self {
            bytes: 32 * 1024,
            fields: 100,
        }
    }
}

/// A request head as it came.
#[derive(Debug)]
pub struct RequestHead {
    /// What could be read of it before the fault, if there is one.
    pub parts: Parts,
    /// How its body is framed; none with a fault.
    pub framing: Framing,
    /// What is wrong with it. Nothing behind it on the connection can be understood.
    pub fault: Option<Fault>,
    /// Whether the client takes another answer on this connection.
    pub persistent: bool,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

impl RequestHead {
    /// A request of which nothing can be said but its fault.
    #[must_use]
    pub fn faulty(fault: Fault) -> Self {
        Self {
            parts: Request::new(()).into_parts().0,
            framing: Framing::Empty,
            fault: Some(fault),
            persistent: false,
            expects_continue: false,
        }
    }
}

/// Reads request heads from a growing buffer; looks at no byte more than twice.
#[derive(Debug, Default)]
pub(crate) struct HeadReader {
    /// Where the request line begins: 2 after an empty line in front of it.
    start: usize,
    /// The request line, once it is whole, and where it ends.
    line: Option<(Line, usize)>,
    /// The start of the first line that is not whole.
    scanned: usize,
    lines: LastLine,
    memory: Memory,
}

impl HeadReader {
    /// Takes a head from the front of `inbox`, if it is whole or faulty.
    pub(crate) fn read(&mut self, inbox: &mut BytesMut, limits: HeadLimits) -> Option<RequestHead> {
        let head = match self.find(inbox, limits)? {
            Ok(end) => {
                let line = self.line.take();
                let (line, from) = line.unwrap_or_default();
                let mut section = inbox.split_to(end).freeze();
                section.advance(from);
                line.with(Fields::read_again(
                    &section,
                    limits.fields,
                    &mut self.memory,
                ))
            }
            Err(fault) => match self.line.take() {
                Some((line, from)) if fault == Fault::HeadTooLarge => {
                    let within = inbox.get(from..limits.bytes).unwrap_or_default();
                    line.with(overrun(within, limits.fields))
                }
                Some((line, _)) => line.with(Fields {
                    fault: Some(fault),
                    ..Fields::default()
                }),
                None => RequestHead::faulty(fault),
            },
        };
        self.start = 0;
        Some(head)
    }

    /// Whether part of a head has been seen.
    pub(crate) fn has_begun(&self, inbox: &BytesMut) -> bool {
        inbox.len() > self.start
    }

    /// What is known of the head that does not come to its end.
    pub(crate) fn give_up(&mut self, fault: Fault) -> RequestHead {
        match self.line.take() {
            Some((line, _)) => line.with(Fields {
                fault: Some(fault),
                ..Fields::default()
            }),
            None => RequestHead::faulty(fault),
        }
    }

    /// Where the head ends.
    fn find(&mut self, inbox: &BytesMut, limits: HeadLimits) -> Option<Result<usize, Fault>> {
        if self.line.is_none() {
            if let Err(fault) = self.begin(inbox)? {
                return Some(Err(fault));
            }
            let rest = inbox.get(self.start..)?;
            let Some(length) = memchr(b'\n', rest) else {
                return (inbox.len() > limits.bytes).then_some(Err(Fault::HeadTooLarge));
            };
            let from = self.start + length + 1;
            if from > limits.bytes {
                return Some(Err(Fault::HeadTooLarge));
            }
            match self.lines.read(rest.get(..length)?) {
                Ok(line) => self.line = Some((line, from)),
                Err(fault) => return Some(Err(fault)),
            }
            self.scanned = from;
        }
        match section_end(inbox, &mut self.scanned) {
            Some(end) if end > limits.bytes => Some(Err(Fault::HeadTooLarge)),
            Some(end) => Some(Ok(end)),
            None => (inbox.len() > limits.bytes).then_some(Err(Fault::HeadTooLarge)),
        }
    }

    /// Looks at the first byte. One empty line in front of a request passes, as some clients end
    /// a body with one (RFC 9112 section 2.2).
    fn begin(&mut self, inbox: &BytesMut) -> Option<Result<(), Fault>> {
        let mut first = *inbox.get(self.start)?;
        if self.start == 0 && first == b'\r' {
            match inbox.get(1)? {
                b'\n' => self.start = 2,
                _ => return Some(Err(Fault::BareCr)),
            }
            first = *inbox.get(self.start)?;
        }
        Some(match first {
            b'\n' => Err(Fault::BareLf),
            first if is_token(first) => Ok(()),
            _ => Err(Fault::NotHttp),
        })
    }
}

/// What is known of fields that go on behind the limit, by those `within` it: however much has come
/// of the rest, it is the same.
fn overrun(within: &[u8], limit: usize) -> Fields {
    let (mut start, mut largest) = (0, 0..0);
    for line in within.split_inclusive(|byte| *byte == b'\n') {
        if line.len() > largest.len() {
            largest = start..start + line.len();
        }
        start += line.len();
    }
    let line = within.get(largest.clone()).unwrap_or_default();
    let name = memchr(b':', line).and_then(|colon| line.get(..colon));
    if !name.is_some_and(|name| name.eq_ignore_ascii_case(b"authorization")) {
        return Fields {
            fault: Some(Fault::HeadTooLarge),
            ..Fields::default()
        };
    }
    // Where the request was to go is told to who answers it.
    let before = within.get(..largest.start).unwrap_or_default();
    Fields {
        fault: Some(Fault::AuthorizationTooLarge),
        ..Fields::read(&Bytes::copy_from_slice(before), limit)
    }
}

/// A request line.
#[derive(Clone, Debug, Default)]
struct Line {
    method: Method,
    uri: Uri,
    old: bool,
}

/// The request line before: clients send the same one again and again.
#[derive(Debug, Default)]
struct LastLine {
    /// A connection with one request is not to hold this memory.
    again: bool,
    known: Option<(Bytes, Line)>,
}

impl LastLine {
    /// As [`Line::read`].
    fn read(&mut self, text: &[u8]) -> Result<Line, Fault> {
        if let Some((known, line)) = &self.known
            && known == text
        {
            return Ok(line.clone());
        }
        let line = Line::read(text)?;
        if std::mem::replace(&mut self.again, true) {
            self.known = Some((Bytes::copy_from_slice(text), line.clone()));
        }
        Ok(line)
    }
}

/// Longer methods are refused before they are copied.
const MAX_METHOD: usize = 32;

impl Line {
    /// Reads a line without its LF.
    fn read(line: &[u8]) -> Result<Self, Fault> {
        let Some((b'\r', line)) = line.split_last() else {
            return Err(Fault::BareLf);
        };
        if line.contains(&b'\r') {
            return Err(Fault::BareCr);
        }
        let (method, rest) = split(line, b' ').ok_or(Fault::StartLine)?;
        let (target, version) = split(rest, b' ').ok_or(Fault::StartLine)?;
        if method.len() > MAX_METHOD {
            return Err(Fault::Method);
        }
        let method = Method::from_bytes(method).map_err(|_| Fault::Method)?;
        let old = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(Fault::Version);
            }
            _ => return Err(Fault::StartLine),
        };
        let uri = target_of(&method, target).ok_or(Fault::Target)?;
        Ok(Self { method, uri, old })
    }

    /// The head of this line and its fields.
    fn with(self, fields: Fields) -> RequestHead {
        let (framing, fault) = match (fields.fault, self.framing(&fields)) {
            (Some(fault), _) | (None, Err(fault)) => (Framing::Empty, Some(fault)),
            (None, Ok(framing)) => (framing, None),
        };
        let mut parts = parts(fields.map);
        parts.method = self.method;
        parts.uri = self.uri;
        parts.version = if self.old {
            Version::HTTP_10
        } else {
            Version::HTTP_11
        };
        RequestHead {
            parts,
            framing,
            fault,
            persistent: fault.is_none() && !self.old && !fields.close,
            // RFC 9110 section 10.1.1: a client of HTTP/1.0 does not know it.
            expects_continue: fields.expects_continue && !self.old && framing != Framing::Empty,
        }
    }

    /// RFC 9112 section 6.3, with everything refused that it lets be repaired.
    const fn framing(&self, fields: &Fields) -> Result<Framing, Fault> {
        match (fields.length, fields.coding) {
            (Length::Absent, Coding::Absent) => Ok(Framing::Empty),
            (Length::Absent, Coding::Chunked) if !self.old => Ok(Framing::Chunked),
            (Length::Is(0), Coding::Absent) => Ok(Framing::Empty),
            (Length::Is(length), Coding::Absent) => Ok(Framing::Length(length)),
            (Length::Invalid, Coding::Absent) => Err(Fault::ContentLength),
            (Length::Absent, _) => Err(Fault::TransferEncoding),
            _ => Err(Fault::LengthAndCoding),
        }
    }
}

fn parts(headers: HeaderMap) -> Parts {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.headers = headers;
    parts
}

fn split(line: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(at, line)?;
    Some((line.get(..at)?, line.get(at + 1..)?))
}

/// A target in the form that its method has (RFC 9112 section 3.2).
fn target_of(method: &Method, target: &[u8]) -> Option<Uri> {
    if target.is_empty() || !target.iter().all(|byte| is_uri(*byte)) {
        return None;
    }
    let uri = || Uri::from_maybe_shared(Bytes::copy_from_slice(target)).ok();
    match target {
        b"*" => (*method == Method::OPTIONS).then(|| Uri::from_static("*")),
        // A host and a port, both (RFC 9112 section 3.2.3).
        _ if *method == Method::CONNECT => {
            let uri = uri()?;
            let is_pair = uri.scheme().is_none() && uri.path_and_query().is_none();
            (is_pair && !port_of(uri.authority()?)?.is_empty()).then_some(uri)
        }
        [b'/', ..] => uri(),
        _ => {
            let uri = uri()?;
            let is_http = matches!(uri.scheme_str()?, "http" | "https");
            port_of(uri.authority()?)?;
            is_http.then_some(uri)
        }
    }
}

/// The port of `host [ ":" port ]` (RFC 9110 section 7.2), empty where there is none. `http` lets
/// through authorities without a host, with user information, and with ports of other signs.
fn port_of(authority: &Authority) -> Option<&str> {
    let text = authority.as_str();
    let port = text.strip_prefix(authority.host())?;
    let port = port.strip_prefix(':').unwrap_or(port);
    let is_port = port.is_empty() || port.parse::<u16>().is_ok();
    let is_plain = port.bytes().all(|byte| byte.is_ascii_digit());
    let is_named = !authority.host().is_empty() && !text.contains('@');
    (is_named && is_port && is_plain).then_some(port)
}

/// `tchar` (RFC 9110 section 5.6.2).
const fn is_token(byte: u8) -> bool {
    matches!(byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
}

/// What a request target may have in it. Wider than RFC 3986, for browsers send more in queries;
/// but nothing that ends a URI (`#`), a line, or a quotation.
const fn is_uri(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'#' | b'<' | b'>')
}

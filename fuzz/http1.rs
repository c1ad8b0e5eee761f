//! What must hold of `palisade-http1` for every input. The fuzz targets call these with what the
//! fuzzer invents, and `crates/palisade-http1/tests/corpus.rs` with the committed corpus.

#[path = "reference.rs"]
mod reference;

use palisade_http1::client::Responses;
use palisade_http1::server::{Connection, Limits};
use palisade_http1::{Fault, FaultKind, Framing, HeadLimits, Piece};

use reference::Fields;

/// Whatever we take, `httparse` and the reference take with the same meaning; whatever the
/// reference takes within our limits, we take; and pieces do not matter.
///
/// An odd first byte makes the rest choose from a list of what requests are made of.
pub(crate) fn request(data: &[u8]) {
    let bytes = invent(data, REQUEST);
    let heard = hear(&[&bytes]);
    let mut rest = &bytes[..];
    for request in &heard.requests {
        let reference = reference::request(rest);
        if let Some(fault) = request.fault {
            let limit = fault.kind() == FaultKind::TooLarge;
            // Targets are read by `http`, longer methods and lengths are refused.
            let narrower =
                limit || matches!(fault, Fault::Target | Fault::Method | Fault::ContentLength);
            assert!(
                narrower || reference.is_none(),
                "{fault:?}, but {reference:?}"
            );
            break;
        }
        let reference = reference.expect("the reference takes what we take");
        assert_eq!(request.method.as_bytes(), reference.method);
        assert_eq!(request.target, written(&reference.target));
        assert_eq!(request.minor, reference.minor);
        assert_eq!(request.fields, reference.fields);
        assert_eq!(request.framing, reference.framing);
        agrees_with_httparse(&rest[..reference.length], request);
        rest = &rest[reference.length..];
        match (reference.framing, &request.end) {
            (reference::Framing::Length(length), Some(Ok(()))) => {
                let (body, after) = rest.split_at(usize::try_from(length).unwrap());
                assert_eq!(request.body, body);
                rest = after;
            }
            (reference::Framing::Chunked, Some(Ok(()))) => {
                let (body, length) = reference::chunked_body(rest).expect("chunks");
                assert_eq!(request.body, body);
                rest = &rest[length..];
            }
            _ => break,
        }
    }
    split(&bytes, &heard, hear);
}

/// The same for a body in chunks.
pub(crate) fn body(data: &[u8]) {
    let data = invent(data, BODY);
    let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bytes = [&head[..], &data].concat();
    let heard = hear(&[&bytes]);
    let first = &heard.requests[0];
    match (&first.end, reference::chunked_body(&data)) {
        (Some(Ok(())), Some((body, _))) => assert_eq!(first.body, body),
        (Some(Ok(())), None) => panic!("the reference refuses what we take"),
        (None, Some(_)) => panic!("we wait where the reference is done"),
        // Long sizes, extensions and trailers are over our limits.
        (Some(Err(fault)), Some(_)) => assert!(
            matches!(
                fault,
                Fault::ChunkSize | Fault::ChunkExtension | Fault::Trailer
            ) && data.len() > 16,
            "{fault:?}"
        ),
        (_, None) => {}
    }
    if !first.body.is_empty() {
        let Ok(httparse::Status::Complete((at, size))) = httparse::parse_chunk_size(&data) else {
            panic!("httparse refuses the first size");
        };
        assert!(
            size > 0
                && first
                    .body
                    .starts_with(&data[at..][..first.body.len().min(size as usize)])
        );
    }
    split(&bytes, &heard, hear);
}

/// The same for a response; the first byte says whether it answers HEAD.
pub(crate) fn response(data: &[u8]) {
    let head_only = data.first().is_some_and(|byte| byte & 2 != 0);
    let bytes = invent(data, RESPONSE);
    let answered = |pieces: &[&[u8]]| answer(pieces, head_only);
    let heard = answered(&[&bytes]);
    let mut rest = &bytes[..];
    for head in &heard.heads {
        let reference = reference::response(rest, head_only).expect("the reference takes it");
        assert_eq!(head.status, reference.status);
        assert_eq!(head.minor, reference.minor);
        assert_eq!(head.fields, reference.fields);
        assert_eq!(head.framing, reference.framing);
        let mut fields = [httparse::EMPTY_HEADER; 128];
        let mut theirs = httparse::Response::new(&mut fields);
        let parsed = theirs.parse(&rest[..reference.length]);
        assert_eq!(parsed, Ok(httparse::Status::Complete(reference.length)));
        assert_eq!(theirs.code, Some(head.status));
        assert_eq!(collected(theirs.headers), head.fields);
        rest = &rest[reference.length..];
        if head.status < 200 {
            continue;
        }
        match (reference.framing, heard.end) {
            (reference::Framing::Length(length), Some(Ok(()))) => {
                assert_eq!(heard.body, rest[..usize::try_from(length).unwrap()]);
            }
            (reference::Framing::Chunked, Some(Ok(()))) => {
                let (body, _) = reference::chunked_body(rest).expect("chunks");
                assert_eq!(heard.body, body);
            }
            (reference::Framing::UntilClose, _) => assert_eq!(heard.body, rest),
            _ => {}
        }
    }
    if let (Some(Err(fault)), Some(_)) = (heard.end, reference::response(rest, head_only)) {
        let limit = matches!(fault, Fault::TooManyFields | Fault::HeadTooLarge);
        let last = heard.heads.last().is_some_and(|head| head.status >= 200);
        assert!(limit || last || fault == Fault::ContentLength, "{fault:?}");
    }
    split(&bytes, &heard, answered);
}

/// What a server's connection makes of bytes.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    requests: Vec<Request>,
    left: usize,
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    method: String,
    target: String,
    minor: u8,
    fields: Fields,
    framing: reference::Framing,
    fault: Option<Fault>,
    persistent: bool,
    body: Vec<u8>,
    end: Option<Result<(), Fault>>,
}

fn hear(pieces: &[&[u8]]) -> Heard {
    let mut connection = Connection::new(Limits::default());
    let mut requests: Vec<Request> = Vec::new();
    for piece in pieces {
        connection.receive(piece);
        loop {
            match requests.last_mut() {
                Some(last) if last.end.is_none() => match connection.body() {
                    Ok(Some(Piece::Data(data))) => last.body.extend(data),
                    Ok(Some(Piece::End)) => last.end = Some(Ok(())),
                    Ok(None) => break,
                    Err(fault) => last.end = Some(Err(fault)),
                },
                Some(last) if last.fault.is_some() || matches!(last.end, Some(Err(_))) => break,
                _ => {
                    let Some(head) = connection.request() else {
                        break;
                    };
                    requests.push(Request {
                        method: head.parts.method.to_string(),
                        target: head.parts.uri.to_string(),
                        minor: u8::from(head.parts.version == http::Version::HTTP_11),
                        fields: of_map(&head.parts.headers),
                        framing: of_framing(head.framing),
                        fault: head.fault,
                        persistent: head.persistent,
                        body: Vec::new(),
                        end: None,
                    });
                }
            }
        }
    }
    Heard {
        requests,
        left: connection.waiting(),
    }
}

/// What a client makes of bytes.
#[derive(Debug, PartialEq, Eq)]
struct Answered {
    heads: Vec<Head>,
    body: Vec<u8>,
    end: Option<Result<(), Fault>>,
    more: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    minor: u8,
    fields: Fields,
    framing: reference::Framing,
    persistent: bool,
}

fn answer(pieces: &[&[u8]], head_only: bool) -> Answered {
    let mut responses = Responses::new(HeadLimits::default());
    let mut answered = Answered {
        heads: Vec::new(),
        body: Vec::new(),
        end: None,
        more: false,
    };
    for piece in pieces {
        responses.receive(piece);
        while answered.end.is_none() {
            if answered.heads.last().is_some_and(|head| head.status >= 200) {
                match responses.body() {
                    Ok(Some(Piece::Data(data))) => answered.body.extend(data),
                    Ok(Some(Piece::End)) => answered.end = Some(Ok(())),
                    Ok(None) => break,
                    Err(fault) => answered.end = Some(Err(fault)),
                }
                continue;
            }
            match responses.head(head_only) {
                Ok(None) => break,
                Ok(Some(head)) => answered.heads.push(Head {
                    status: head.parts.status.as_u16(),
                    minor: u8::from(head.parts.version == http::Version::HTTP_11),
                    fields: of_map(&head.parts.headers),
                    framing: of_framing(head.framing),
                    persistent: head.persistent,
                }),
                Err(fault) => answered.end = Some(Err(fault)),
            }
        }
    }
    answered.more = !responses.is_empty();
    answered
}

/// The same comes of the bytes in pieces, at every size that is quick enough.
fn split<T: PartialEq + std::fmt::Debug>(bytes: &[u8], whole: &T, read: impl Fn(&[&[u8]]) -> T) {
    for size in [1, 2, 3, 7, 64] {
        if bytes.len() / size <= 4096 {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            if !pieces.is_empty() {
                assert_eq!(&read(&pieces), whole, "in pieces of {size}");
            }
        }
    }
}

fn agrees_with_httparse(head: &[u8], ours: &Request) {
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut theirs = httparse::Request::new(&mut fields);
    assert_eq!(
        theirs.parse(head),
        Ok(httparse::Status::Complete(head.len()))
    );
    assert_eq!(theirs.method, Some(ours.method.as_str()));
    assert_eq!(theirs.version, Some(ours.minor));
    let target = theirs.path.map(|path| written(path.as_bytes()));
    assert_eq!(target.as_deref(), Some(ours.target.as_str()));
    assert_eq!(collected(theirs.headers), ours.fields);
}

/// A target as `http` writes it: an absolute one with its scheme in lower case and a path.
fn written(target: &[u8]) -> String {
    let target = String::from_utf8_lossy(target).into_owned();
    let Some((scheme, rest)) = target.split_once("://") else {
        return target;
    };
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return target;
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!("{}://{authority}{slash}{path}", scheme.to_ascii_lowercase())
}

fn collected(headers: &[httparse::Header<'_>]) -> Fields {
    let mut fields = Fields::new();
    for header in headers {
        let values = fields.entry(header.name.to_ascii_lowercase()).or_default();
        values.push(header.value.to_vec());
    }
    fields
}

fn of_map(map: &http::HeaderMap) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in map {
        let values = fields.entry(name.as_str().to_owned()).or_default();
        values.push(value.as_bytes().to_vec());
    }
    fields
}

fn of_framing(framing: Framing) -> reference::Framing {
    match framing {
        Framing::Empty => reference::Framing::Length(0),
        Framing::Length(length) => reference::Framing::Length(length),
        Framing::Chunked => reference::Framing::Chunked,
        Framing::UntilClose => reference::Framing::UntilClose,
    }
}

/// Bytes as they are, or what they choose from `parts`.
fn invent(data: &[u8], parts: &[&str]) -> Vec<u8> {
    let Some((kind, rest)) = data.split_first() else {
        return Vec::new();
    };
    if kind % 2 == 0 {
        return rest.to_vec();
    }
    let mut bytes = Vec::new();
    for choice in rest {
        match parts.get(usize::from(*choice)) {
            Some(part) => bytes.extend(part.bytes()),
            None => bytes.push(*choice),
        }
    }
    bytes
}

const REQUEST: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    ": ",
    ",",
    ";",
    "\0",
    "0\r\n\r\n",
    "GET / HTTP/1.1\r\n",
    "POST /mcp HTTP/1.1\r\n",
    "GET /a?b HTTP/1.0\r\n",
    "HEAD ",
    "OPTIONS * HTTP/1.1\r\n",
    "CONNECT a:1 HTTP/1.1\r\n",
    "GET http://a/ HTTP/1.1\r\n",
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    " HTTP/2.0\r\n",
    "Host: a\r\n",
    "X: y\r\n",
    "Content-Length: ",
    "Content-Length",
    "5",
    "0",
    "3\r\n",
    "99999999999999999999",
    "Transfer-Encoding: ",
    "Transfer-Encoding",
    "chunked",
    "chunked\r\n",
    "identity",
    "gzip, ",
    "abc",
    "abcde",
    "3\r\nabc\r\n",
    "3;a=b\r\nabc\r\n",
    "a\r\n0123456789\r\n",
    "ff",
    "0x",
    "+",
    "-",
    "\"",
    "\\",
    "=",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Expect: 100-continue\r\n",
    "\x0b",
    "\u{e9}",
    "/",
    "*",
    "@",
    "[",
    "]",
    "http://",
    "https://",
    "GET",
    "POST",
    "Content-Length: 3\r\n\r\nabc",
    "Transfer-Encoding: chunked\r\n\r\n",
];

const BODY: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    ";",
    "=",
    "\"",
    "\\",
    "\0",
    "0\r\n\r\n",
    "0\r\n",
    "0",
    "3\r\nabc\r\n",
    "3\r\nabc",
    "a\r\n0123456789\r\n",
    "3;a=b\r\nabc\r\n",
    "3;a=\"b;c\"\r\nabc\r\n",
    "00000003\r\nabc\r\n",
    "0x3",
    "+3",
    "-3",
    "ffffffffffffffff",
    "fffffffffffffffff",
    "X: y\r\n",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Host: a\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "\x0b",
    "a",
    "f",
    "F",
    "\u{e9}",
    ";aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

const RESPONSE: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    ": ",
    ",",
    ";",
    "\0",
    "0\r\n\r\n",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.0 200 OK\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 204 N\r\n",
    "HTTP/1.1 304 N\r\n",
    "HTTP/1.1 101 S\r\n",
    "HTTP/1.1 ",
    "HTTP/2.0 ",
    "200",
    "2",
    "OK",
    "099",
    "X: y\r\n",
    "Content-Length: ",
    "5",
    "0",
    "3\r\n",
    "Content-Length: 3\r\n\r\nabc",
    "99999999999999999999",
    "Transfer-Encoding: ",
    "chunked",
    "chunked\r\n",
    "Transfer-Encoding: chunked\r\n\r\n",
    "identity",
    "abc",
    "3\r\nabc\r\n",
    "3;a=b\r\nabc\r\n",
    "0x",
    "+",
    "-",
    "Connection: close\r\n",
    "\x0b",
    "\u{e9}",
    "HTTP/1.1 299",
];

//! Requests that are cut in two ways by two readers, and what becomes of each.
//!
//! The tests of this crate drive them through the sans-I/O connection, the end-to-end tests
//! through the whole gateway. Each ends with a request to `/smuggled` that nobody must answer
//! where the one before it was refused.

use palisade_http1::Fault;

/// A request and what becomes of it.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Everything that is sent, [`HIDDEN`] at its end.
    pub(crate) bytes: Vec<u8>,
    pub(crate) verdict: Verdict,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its head is faulty.
    Head(Fault),
    /// Its body is.
    Body(Fault),
    /// It arrives, once, with [`JSON`] as its body.
    Taken,
    /// It is HTTP, and the gateway's guards refuse it: status and reason.
    Guarded(u16, &'static str),
}

use Verdict::{Body, Guarded, Head, Taken};

/// The body of every request.
pub(crate) const JSON: &str =
    r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{}}}"#;

/// What stands behind every request.
pub(crate) const HIDDEN: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Every case.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, bytes: Vec<u8>, verdict| {
        cases.push(Case {
            name,
            bytes: [&bytes, HIDDEN.as_bytes()].concat(),
            verdict,
        });
    };
    for (line, verdict) in lines() {
        let fields = length();
        add(
            show(&line),
            message(&line, fields.as_bytes(), JSON),
            verdict,
        );
    }
    for (fields, verdict) in fields() {
        let chunked = fields.starts_with(b"Transfer-Encoding:") && verdict == Taken;
        let body = if chunked { chunks() } else { JSON.to_owned() };
        add(show(&fields), message(LINE, &fields, &body), verdict);
    }
    for (body, verdict) in chunked_bodies() {
        let bytes = [
            &message(LINE, b"Transfer-Encoding: chunked\r\n", "")[..],
            &body,
        ]
        .concat();
        add(show(&body), bytes, verdict);
    }
    for (hosts, verdict) in hosts() {
        let fields = format!("{TYPES}{}\r\n", length());
        let bytes = [LINE, b"\r\n", hosts, fields.as_bytes(), JSON.as_bytes()].concat();
        add(show(hosts), bytes, verdict);
    }
    for (start, verdict) in starts() {
        let fields = length();
        let bytes = [start, &message(LINE, fields.as_bytes(), JSON)].concat();
        add(format!("{} before it", show(start)), bytes, verdict);
    }
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        let line = format!("{method} /mcp HTTP/1.1");
        let body = message(line.as_bytes(), length().as_bytes(), JSON);
        add(
            format!("{method} with a body"),
            body,
            Guarded(400, "request.malformed"),
        );
        let chunked = message(
            line.as_bytes(),
            b"Transfer-Encoding: chunked\r\n",
            &chunks(),
        );
        add(
            format!("{method} in chunks"),
            chunked,
            Guarded(400, "request.malformed"),
        );
    }
    cases
}

const LINE: &[u8] = b"POST /mcp HTTP/1.1";
const TYPES: &str =
    "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n";

/// `Content-Length` of [`JSON`].
fn length() -> String {
    format!("Content-Length: {}\r\n", JSON.len())
}

/// [`JSON`] in two chunks.
pub(crate) fn chunks() -> String {
    let (first, second) = JSON.split_at(10);
    format!(
        "a\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        second.len()
    )
}

fn message(line: &[u8], fields: &[u8], body: &str) -> Vec<u8> {
    let before = format!("\r\nHost: localhost\r\n{TYPES}");
    [line, before.as_bytes(), fields, b"\r\n", body.as_bytes()].concat()
}

fn show(bytes: &[u8]) -> String {
    let mut text = bytes.escape_ascii().to_string();
    text.truncate(100);
    text
}

/// Before the request line.
fn starts() -> Vec<(&'static [u8], Verdict)> {
    vec![
        (b"\r\n", Taken),
        (b"\r\n\r\n", Head(Fault::NotHttp)),
        (b"\n", Head(Fault::BareLf)),
        (b"\r\n\n", Head(Fault::BareLf)),
        (b"\r", Head(Fault::BareCr)),
        (b"\r\r\n", Head(Fault::BareCr)),
        (b" ", Head(Fault::NotHttp)),
        (b"\t", Head(Fault::NotHttp)),
        (b"\0", Head(Fault::NotHttp)),
        (b"\x16\x03\x01\x02\x00\x01\x00", Head(Fault::NotHttp)),
        (b"\xef\xbb\xbf", Head(Fault::NotHttp)),
        (b"\x80", Head(Fault::NotHttp)),
    ]
}

/// Request lines without their end.
fn lines() -> Vec<(Vec<u8>, Verdict)> {
    let rows: &[(&[u8], Verdict)] = &[
        (b"POST /mcp HTTP/1.1", Taken),
        (b"POST /mcp HTTP/1.0", Taken),
        (b"POST /mcp? HTTP/1.1", Taken),
        (b"POST https://localhost/mcp HTTP/1.1", Taken),
        (b"POST HTTPS://localhost/mcp HTTP/1.1", Taken),
        (b"POST  /mcp HTTP/1.1", Head(Fault::StartLine)),
        (b"POST /mcp  HTTP/1.1", Head(Fault::StartLine)),
        (b"POST /mcp HTTP/1.1 ", Head(Fault::StartLine)),
        (b"POST /mcp HTTP/1.1\t", Head(Fault::StartLine)),
        (b"POST /mcp HTTP/1.1 HTTP/1.1", Head(Fault::StartLine)),
        (b"POST /mcp /mcp HTTP/1.1", Head(Fault::StartLine)),
        (b"POST\t/mcp\tHTTP/1.1", Head(Fault::StartLine)),
        (b"POST\t/mcp HTTP/1.1", Head(Fault::StartLine)),
        (b"POST /mcp\tHTTP/1.1", Head(Fault::StartLine)),
        (b"POST\x0b/mcp HTTP/1.1", Head(Fault::StartLine)),
        (b"POST /mcp", Head(Fault::StartLine)),
        (b"POST", Head(Fault::StartLine)),
        (b"POST ", Head(Fault::StartLine)),
        (b"POST /mcp ", Head(Fault::StartLine)),
        (b"POST /mcp HTTP/", Head(Fault::StartLine)),
        (b"POST /mcp HTTP/1", Head(Fault::StartLine)),
        (b"POST /mcp HTTP/1.", Head(Fault::StartLine)),
        (b"POST /mcp HTTP/1.1x", Head(Fault::StartLine)),
        (b"POST /mcp HTTP/1.10", Head(Fault::StartLine)),
        (b"POST /mcp HTTP/01.1", Head(Fault::StartLine)),
        (b"POST /mcp HTTP/1,1", Head(Fault::StartLine)),
        (b"POST /mcp HTTP /1.1", Head(Fault::StartLine)),
        (b"POST /mcp HTTP/ 1.1", Head(Fault::StartLine)),
        (b"POST /mcp http/1.1", Head(Fault::StartLine)),
        (b"POST /mcp HTTPS/1.1", Head(Fault::StartLine)),
        (b"POST /mcp ICY/1.1", Head(Fault::StartLine)),
        (b"POST /mcp HTTP/1.1\0", Head(Fault::StartLine)),
        (b"POST /mcp HTTP/0.9", Head(Fault::Version)),
        (b"POST /mcp HTTP/1.2", Head(Fault::Version)),
        (b"POST /mcp HTTP/1.9", Head(Fault::Version)),
        (b"POST /mcp HTTP/2.0", Head(Fault::Version)),
        (b"POST /mcp HTTP/3.7", Head(Fault::Version)),
        (b"PRI * HTTP/2.0", Head(Fault::Version)),
        (b"P<ST /mcp HTTP/1.1", Head(Fault::Method)),
        (b"P(ST /mcp HTTP/1.1", Head(Fault::Method)),
        (b"P\"ST /mcp HTTP/1.1", Head(Fault::Method)),
        (b"PO:ST /mcp HTTP/1.1", Head(Fault::Method)),
        (b"PO\0ST /mcp HTTP/1.1", Head(Fault::Method)),
        (b"PO\xc3ST /mcp HTTP/1.1", Head(Fault::Method)),
        (
            b"POSTPOSTPOSTPOSTPOSTPOSTPOSTPOSTX /mcp HTTP/1.1",
            Head(Fault::Method),
        ),
        (b"POST mcp HTTP/1.1", Head(Fault::Target)),
        (b"POST ?mcp HTTP/1.1", Head(Fault::Target)),
        (b"POST * HTTP/1.1", Head(Fault::Target)),
        (b"OPTIONS ** HTTP/1.1", Head(Fault::Target)),
        (b"POST localhost:443 HTTP/1.1", Head(Fault::Target)),
        (b"POST localhost/mcp HTTP/1.1", Head(Fault::Target)),
        (b"POST http: HTTP/1.1", Head(Fault::Target)),
        (b"POST http:/mcp HTTP/1.1", Head(Fault::Target)),
        (b"POST http:mcp HTTP/1.1", Head(Fault::Target)),
        (b"POST http:// HTTP/1.1", Head(Fault::Target)),
        (b"POST http:///mcp HTTP/1.1", Head(Fault::Target)),
        (b"POST http://:80/mcp HTTP/1.1", Head(Fault::Target)),
        (b"POST ://localhost/mcp HTTP/1.1", Head(Fault::Target)),
        (
            b"POST https://localhost:4x43/mcp HTTP/1.1",
            Head(Fault::Target),
        ),
        (
            b"POST https://localhost:x/mcp HTTP/1.1",
            Head(Fault::Target),
        ),
        (
            b"POST https://localhost:+443/mcp HTTP/1.1",
            Head(Fault::Target),
        ),
        (
            b"POST https://localhost:-1/mcp HTTP/1.1",
            Head(Fault::Target),
        ),
        (
            b"POST https://localhost:99999/mcp HTTP/1.1",
            Head(Fault::Target),
        ),
        (
            b"POST https://localhost:443:443/mcp HTTP/1.1",
            Head(Fault::Target),
        ),
        (b"CONNECT localhost:+443 HTTP/1.1", Head(Fault::Target)),
        (b"POST ftp://localhost/mcp HTTP/1.1", Head(Fault::Target)),
        (b"POST file:///mcp HTTP/1.1", Head(Fault::Target)),
        (b"POST ws://localhost/mcp HTTP/1.1", Head(Fault::Target)),
        (
            b"POST https://user@localhost/mcp HTTP/1.1",
            Head(Fault::Target),
        ),
        (
            b"POST https://localhost@evil/mcp HTTP/1.1",
            Head(Fault::Target),
        ),
        (b"POST https://@localhost/mcp HTTP/1.1", Head(Fault::Target)),
        (
            b"POST https://local\\host/mcp HTTP/1.1",
            Head(Fault::Target),
        ),
        (b"POST https://[::1/mcp HTTP/1.1", Head(Fault::Target)),
        (b"POST /mcp#fragment HTTP/1.1", Head(Fault::Target)),
        (b"POST /mc\"p HTTP/1.1", Head(Fault::Target)),
        (b"POST /mc<p HTTP/1.1", Head(Fault::Target)),
        (b"POST /mc>p HTTP/1.1", Head(Fault::Target)),
        (b"POST /mc\0p HTTP/1.1", Head(Fault::Target)),
        (b"POST /mc\x0bp HTTP/1.1", Head(Fault::Target)),
        (b"POST /mc\x1bp HTTP/1.1", Head(Fault::Target)),
        (b"POST /mc\x7fp HTTP/1.1", Head(Fault::Target)),
        (b"POST /mc\xc3\xa9p HTTP/1.1", Head(Fault::Target)),
        (b"POST /mcp?\xff HTTP/1.1", Head(Fault::Target)),
        (b"POST /mcp\rHTTP/1.1", Head(Fault::BareCr)),
        (b"POST /mcp HTTP/1.1\rX: y", Head(Fault::BareCr)),
        (b"POST /mcp HTTP/1.1\r", Head(Fault::BareCr)),
        (b"POST /mcp HTTP/1.1\nX: y", Head(Fault::BareLf)),
        (b"POST /mcp\nHTTP/1.1", Head(Fault::BareLf)),
        (b"CONNECT localhost HTTP/1.1", Head(Fault::Target)),
        (b"CONNECT localhost: HTTP/1.1", Head(Fault::Target)),
        (b"CONNECT :443 HTTP/1.1", Head(Fault::Target)),
        (b"CONNECT /mcp HTTP/1.1", Head(Fault::Target)),
        (b"CONNECT * HTTP/1.1", Head(Fault::Target)),
        (
            b"CONNECT https://localhost:443/ HTTP/1.1",
            Head(Fault::Target),
        ),
        (b"CONNECT user@localhost:443 HTTP/1.1", Head(Fault::Target)),
        (
            b"CONNECT localhost:443 HTTP/1.1",
            Guarded(501, "request.method"),
        ),
        (b"TRACE /mcp HTTP/1.1", Guarded(501, "request.method")),
        (b"BREW /mcp HTTP/1.1", Guarded(501, "request.method")),
        (b"post /mcp HTTP/1.1", Guarded(501, "request.method")),
        (
            b"POST https://evil.example/mcp HTTP/1.1",
            Guarded(400, "host.ambiguous"),
        ),
    ];
    let mut rows: Vec<_> = rows
        .iter()
        .map(|(line, verdict)| (line.to_vec(), *verdict))
        .collect();
    let long = format!("POST /mcp?{} HTTP/1.1", "a".repeat(33 * 1024));
    rows.push((long.into_bytes(), Head(Fault::HeadTooLarge)));
    rows
}

/// Field lines with their ends. The body is in chunks where they speak of it.
fn fields() -> Vec<(Vec<u8>, Verdict)> {
    let n = JSON.len();
    let mut rows = Vec::new();
    // `Content-Length` beside a coding, in every order and spelling.
    for coding in [
        "chunked",
        "Chunked",
        "chunked, identity",
        "identity",
        "xchunked",
        "",
        "gzip",
    ] {
        for length in [n.to_string(), "0".to_owned(), "x".to_owned()] {
            let (length, coding) = (
                format!("Content-Length: {length}\r\n"),
                format!("Transfer-Encoding: {coding}\r\n"),
            );
            rows.push((format!("{length}{coding}"), Head(Fault::LengthAndCoding)));
            rows.push((format!("{coding}{length}"), Head(Fault::LengthAndCoding)));
        }
    }
    for (coding, verdict) in [
        ("chunked", Taken),
        ("CHUNKED", Taken),
        ("chunkeD", Taken),
        (" \t chunked \t ", Taken),
        ("identity, chunked", Head(Fault::TransferEncoding)),
        ("chunked, identity", Head(Fault::TransferEncoding)),
        ("chunked, chunked", Head(Fault::TransferEncoding)),
        ("chunked,chunked", Head(Fault::TransferEncoding)),
        ("gzip, chunked", Head(Fault::TransferEncoding)),
        ("chunked,", Head(Fault::TransferEncoding)),
        (",chunked", Head(Fault::TransferEncoding)),
        (", chunked", Head(Fault::TransferEncoding)),
        ("chunked;q=1", Head(Fault::TransferEncoding)),
        ("chunked ;a", Head(Fault::TransferEncoding)),
        ("\"chunked\"", Head(Fault::TransferEncoding)),
        ("'chunked'", Head(Fault::TransferEncoding)),
        ("xchunked", Head(Fault::TransferEncoding)),
        ("chunkedx", Head(Fault::TransferEncoding)),
        ("x chunked", Head(Fault::TransferEncoding)),
        ("chunked x", Head(Fault::TransferEncoding)),
        ("chunked:", Head(Fault::TransferEncoding)),
        (":chunked", Head(Fault::TransferEncoding)),
        ("chun ked", Head(Fault::TransferEncoding)),
        ("identity", Head(Fault::TransferEncoding)),
        ("gzip", Head(Fault::TransferEncoding)),
        ("cow", Head(Fault::TransferEncoding)),
        ("", Head(Fault::TransferEncoding)),
        ("\u{a0}chunked", Head(Fault::TransferEncoding)),
        ("chunked\u{85}", Head(Fault::TransferEncoding)),
        ("c\u{127}unked", Head(Fault::TransferEncoding)),
        ("\x0bchunked", Head(Fault::FieldValue)),
        ("\x0cchunked", Head(Fault::FieldValue)),
        ("chunked\0", Head(Fault::FieldValue)),
        ("\0chunked", Head(Fault::FieldValue)),
        ("\x08chunked", Head(Fault::FieldValue)),
        ("chunked\x7f", Head(Fault::FieldValue)),
        ("chunked\r", Head(Fault::BareCr)),
        ("\rchunked", Head(Fault::BareCr)),
        ("\r\n chunked", Head(Fault::ObsFold)),
        ("\r\n\tchunked", Head(Fault::ObsFold)),
        ("chunked\r\n , identity", Head(Fault::ObsFold)),
        ("\nchunked", Head(Fault::BareLf)),
        (
            "identity\r\nTransfer-Encoding: chunked",
            Head(Fault::TransferEncoding),
        ),
        (
            "chunked\r\nTransfer-Encoding: identity",
            Head(Fault::TransferEncoding),
        ),
        (
            "chunked\r\nTransfer-Encoding: chunked",
            Head(Fault::TransferEncoding),
        ),
        (
            "chunked\r\ntransfer-encoding:",
            Head(Fault::TransferEncoding),
        ),
    ] {
        rows.push((format!("Transfer-Encoding:{coding}\r\n"), verdict));
    }
    // A coding that one reader sees and another does not, beside a length.
    for (line, fault) in [
        ("Transfer-Encoding : chunked", Fault::FieldName),
        ("Transfer-Encoding\t: chunked", Fault::FieldName),
        ("Transfer-Encoding\x0b: chunked", Fault::FieldName),
        ("Transfer-Encoding\0: chunked", Fault::FieldName),
        ("Transfer-Encoding\r: chunked", Fault::FieldName),
        ("Transfer Encoding: chunked", Fault::FieldName),
        ("Transfer-Encoding;: chunked", Fault::FieldName),
        ("\"Transfer-Encoding\": chunked", Fault::FieldName),
        ("Transfer-Encoding\u{a0}: chunked", Fault::FieldName),
        ("\u{a0}Transfer-Encoding: chunked", Fault::FieldName),
        ("\0Transfer-Encoding: chunked", Fault::FieldName),
        (":Transfer-Encoding: chunked", Fault::FieldName),
        (": chunked", Fault::FieldName),
        (":", Fault::FieldName),
        (" Transfer-Encoding: chunked", Fault::ObsFold),
        ("\tTransfer-Encoding: chunked", Fault::ObsFold),
        ("X: y\r\n Transfer-Encoding: chunked", Fault::ObsFold),
        ("X: y\r\n ", Fault::ObsFold),
        ("X:\r\n\tTransfer-Encoding: chunked", Fault::ObsFold),
        ("X: y\nTransfer-Encoding: chunked", Fault::BareLf),
        ("X: y\n\nTransfer-Encoding: chunked", Fault::BareLf),
        ("X: y\rTransfer-Encoding: chunked", Fault::BareCr),
        ("X: y\r", Fault::BareCr),
        ("X: y\r\rTransfer-Encoding: chunked", Fault::BareCr),
        ("X: y\r\0\nTransfer-Encoding: chunked", Fault::BareLf),
        ("Transfer-Encoding chunked", Fault::NoColon),
        ("Transfer-Encoding\r\n: chunked", Fault::NoColon),
        ("Transfer-Encoding= chunked", Fault::NoColon),
        ("\r", Fault::NoColon),
        ("X: \0", Fault::FieldValue),
        ("X: a\0b", Fault::FieldValue),
        ("X: a\x01b", Fault::FieldValue),
        ("X: a\x1bb", Fault::FieldValue),
        ("X: a\x7fb", Fault::FieldValue),
        ("X y: z", Fault::FieldName),
        ("X(y): z", Fault::FieldName),
        ("X/y: z", Fault::FieldName),
        ("X@y: z", Fault::FieldName),
        ("X[y]: z", Fault::FieldName),
        ("X\u{e9}: z", Fault::FieldName),
        ("GET /smuggled HTTP/1.1", Fault::NoColon),
        ("GET http://localhost/smuggled HTTP/1.1", Fault::FieldName),
    ] {
        rows.push((format!("{}{line}\r\n", length()), Head(fault)));
        rows.push((format!("{line}\r\n{}", length()), Head(fault)));
    }
    for (length, verdict) in [
        (format!("{n}"), Taken),
        (format!("00{n}"), Taken),
        (format!("\t {n} \t"), Taken),
        (format!("{n}, {n}"), Head(Fault::ContentLength)),
        (format!("{n},{n}"), Head(Fault::ContentLength)),
        (format!("{n},"), Head(Fault::ContentLength)),
        (format!(",{n}"), Head(Fault::ContentLength)),
        (format!("0, {n}"), Head(Fault::ContentLength)),
        (format!("+{n}"), Head(Fault::ContentLength)),
        (format!("-{n}"), Head(Fault::ContentLength)),
        ("-0".to_owned(), Head(Fault::ContentLength)),
        (format!("0x{n:x}"), Head(Fault::ContentLength)),
        (format!("{n:x}h"), Head(Fault::ContentLength)),
        (format!("{n}.0"), Head(Fault::ContentLength)),
        (format!("{n}e0"), Head(Fault::ContentLength)),
        (format!("{n}_0"), Head(Fault::ContentLength)),
        (format!("{n};"), Head(Fault::ContentLength)),
        (format!("\"{n}\""), Head(Fault::ContentLength)),
        (format!("{n} {n}"), Head(Fault::ContentLength)),
        ("8 5".to_owned(), Head(Fault::ContentLength)),
        (String::new(), Head(Fault::ContentLength)),
        ("x".to_owned(), Head(Fault::ContentLength)),
        ("NaN".to_owned(), Head(Fault::ContentLength)),
        ("\u{661}".to_owned(), Head(Fault::ContentLength)),
        (
            "18446744073709551615".to_owned(),
            Head(Fault::ContentLength),
        ),
        (
            "18446744073709551701".to_owned(),
            Head(Fault::ContentLength),
        ),
        ("0000000000000000085".to_owned(), Head(Fault::ContentLength)),
        ("9".repeat(100), Head(Fault::ContentLength)),
        (format!("{n}\0"), Head(Fault::FieldValue)),
        (format!("\x0b{n}"), Head(Fault::FieldValue)),
        (format!("{n}\r"), Head(Fault::BareCr)),
        (format!("\r\n {n}"), Head(Fault::ObsFold)),
        (
            format!("{n}\r\nContent-Length: {n}"),
            Head(Fault::ContentLength),
        ),
        (
            format!("{n}\r\nContent-Length: 0"),
            Head(Fault::ContentLength),
        ),
        (
            format!("0\r\ncontent-length: {n}"),
            Head(Fault::ContentLength),
        ),
        (
            format!("{n}\r\nX: y\r\nCONTENT-LENGTH: {}", n + 1),
            Head(Fault::ContentLength),
        ),
        (
            format!("\r\nContent-Length: {n}"),
            Head(Fault::ContentLength),
        ),
        (
            "999999999999999999".to_owned(),
            Guarded(413, "body.too_large"),
        ),
    ] {
        rows.push((format!("Content-Length:{length}\r\n"), verdict));
    }
    for (line, verdict) in [
        ("X-Note: caf\u{e9}", Taken),
        ("X-Empty:", Taken),
        ("X-Colons: a:b: c", Taken),
        ("!#$%&'*+-.^_`|~: every token", Taken),
        ("Expect: 100-continue", Taken),
        ("Expect: 100-Continue", Taken),
        ("Expect:", Taken),
        ("Expect: 100-continue, x", Guarded(400, "request.malformed")),
        (
            "Expect: 100-continue\r\nExpect: 100-continue",
            Guarded(400, "request.malformed"),
        ),
        (
            "Expect: 100-continue;a=b",
            Guarded(400, "request.malformed"),
        ),
        (
            "Expect: \"100-continue\"",
            Guarded(400, "request.malformed"),
        ),
        ("Expect: y 100-continue", Guarded(400, "request.malformed")),
        ("Expect: teapot", Guarded(400, "request.malformed")),
        (
            "Proxy: http://localhost/",
            Guarded(400, "request.malformed"),
        ),
        ("Last_Event_Id: 1", Guarded(400, "request.malformed")),
        ("Connection: keep-alive", Taken),
        ("Connection: close", Taken),
        ("Upgrade: h2c\r\nConnection: upgrade", Taken),
        ("TE: trailers, chunked", Taken),
        ("Trailer: Content-Length", Taken),
        ("Keep-Alive: timeout=5", Taken),
        ("Proxy-Connection: content-length", Taken),
        ("HTTP2-Settings: AAMAAABk", Taken),
        (
            "Connection: Content-Length",
            Guarded(400, "request.malformed"),
        ),
        (
            "Connection: close, Transfer-Encoding",
            Guarded(400, "request.malformed"),
        ),
        (
            "Connection: Content-Type",
            Guarded(400, "request.malformed"),
        ),
        (
            "Upgrade: websocket\r\nConnection: upgrade",
            Guarded(501, "request.method"),
        ),
        (
            "Transfer_Encoding: chunked",
            Guarded(400, "request.malformed"),
        ),
        ("Content_Length: 0", Guarded(400, "request.malformed")),
        (
            "Content-Type: text/plain",
            Guarded(400, "request.malformed"),
        ),
    ] {
        rows.push((format!("{}{line}\r\n", length()), verdict));
    }
    rows.push((
        format!("{}{}", length(), "X: y\r\n".repeat(97)),
        Head(Fault::TooManyFields),
    ));
    rows.push((format!("{}{}", length(), "X: y\r\n".repeat(96)), Taken));
    for line in [
        format!("X: {}\r\n", "a".repeat(40 * 1024)),
        format!("{}: x\r\n", "a".repeat(40 * 1024)),
        "a".repeat(40 * 1024) + "\r\n",
        format!("X: {}\r\n", "a".repeat(1000)).repeat(40),
    ] {
        rows.push((format!("{}{line}", length()), Head(Fault::HeadTooLarge)));
    }
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|(text, verdict)| (text.into_bytes(), verdict))
        .collect();
    rows.push(([length().as_bytes(), b"X: \xff\xfe\r\n"].concat(), Taken));
    rows
}

/// `Host` lines.
fn hosts() -> Vec<(&'static [u8], Verdict)> {
    vec![
        (b"", Guarded(400, "host.missing")),
        (b"Host:\r\n", Guarded(400, "host.malformed")),
        (
            b"Host: localhost\r\nHost: localhost\r\n",
            Guarded(400, "host.ambiguous"),
        ),
        (
            b"Host: localhost\r\nHost: evil.example\r\n",
            Guarded(400, "host.ambiguous"),
        ),
        (
            b"Host: localhost, evil.example\r\n",
            Guarded(400, "host.malformed"),
        ),
        (
            b"Host: localhost evil.example\r\n",
            Guarded(400, "host.malformed"),
        ),
        (
            b"Host: localhost@evil.example\r\n",
            Guarded(400, "host.malformed"),
        ),
        (b"Host: localhost/mcp\r\n", Guarded(400, "host.malformed")),
        (b"Host: localhost:1:2\r\n", Guarded(400, "host.malformed")),
        (b"Host: localhost:x\r\n", Guarded(400, "host.malformed")),
        (
            b"Host: loc\xc3\xa4lhost\r\n",
            Guarded(400, "host.malformed"),
        ),
        (b"Host: evil.example\r\n", Guarded(403, "host.not_allowed")),
        (b"Host: localhost\0\r\n", Head(Fault::FieldValue)),
        (
            b"Host: localhost\0.evil.example\r\n",
            Head(Fault::FieldValue),
        ),
        (b"Host : localhost\r\n", Head(Fault::FieldName)),
        (b" Host: localhost\r\n", Head(Fault::ObsFold)),
        (
            b"Host: localhost\r\n evil.example\r\n",
            Head(Fault::ObsFold),
        ),
        (
            b"Host: localhost\nHost: evil.example\r\n",
            Head(Fault::BareLf),
        ),
        (
            b"Host: localhost\rHost: evil.example\r\n",
            Head(Fault::BareCr),
        ),
    ]
}

/// Bodies of `Transfer-Encoding: chunked`.
fn chunked_bodies() -> Vec<(Vec<u8>, Verdict)> {
    let n = JSON.len();
    let size = format!("{n:x}");
    let mut rows = Vec::new();
    // Size lines, with their ends.
    for (line, verdict) in [
        (format!("{size}\r\n"), Taken),
        (format!("00{size}\r\n"), Taken),
        (format!("00000000000000{size}\r\n"), Taken),
        (format!("{n:X}\r\n"), Taken),
        (format!("{size};a\r\n"), Taken),
        (format!("{size};a=1;b=\"x; \\\" y\";c\r\n"), Taken),
        (format!("000000000000000{size}\r\n"), Body(Fault::ChunkSize)),
        (format!("100000000000000{size}\r\n"), Body(Fault::ChunkSize)),
        (format!("0x{size}\r\n"), Body(Fault::ChunkSize)),
        (format!("0X{size}\r\n"), Body(Fault::ChunkSize)),
        (format!("x{size}\r\n"), Body(Fault::ChunkSize)),
        (format!("{size}h\r\n"), Body(Fault::ChunkSize)),
        (format!("+{size}\r\n"), Body(Fault::ChunkSize)),
        (format!("-{size}\r\n"), Body(Fault::ChunkSize)),
        ("-1\r\n".to_owned(), Body(Fault::ChunkSize)),
        (format!(" {size}\r\n"), Body(Fault::ChunkSize)),
        (format!("\t{size}\r\n"), Body(Fault::ChunkSize)),
        (format!("{size} \r\n"), Body(Fault::ChunkSize)),
        (format!("{size}\t\r\n"), Body(Fault::ChunkSize)),
        (format!("{size}\x0b\r\n"), Body(Fault::ChunkSize)),
        (format!("{size}\0\r\n"), Body(Fault::ChunkSize)),
        (format!("{size} ;a\r\n"), Body(Fault::ChunkSize)),
        (format!("{size},\r\n"), Body(Fault::ChunkSize)),
        (format!("{size}.0\r\n"), Body(Fault::ChunkSize)),
        (format!("{size}_\r\n"), Body(Fault::ChunkSize)),
        (format!("5 {size}\r\n"), Body(Fault::ChunkSize)),
        (format!("\"{size}\"\r\n"), Body(Fault::ChunkSize)),
        ("\r\n".to_owned(), Body(Fault::ChunkSize)),
        (";a\r\n".to_owned(), Body(Fault::ChunkSize)),
        ("zz\r\n".to_owned(), Body(Fault::ChunkSize)),
        ("\u{665}\r\n".to_owned(), Body(Fault::ChunkSize)),
        (format!("{size}\r\r\n"), Body(Fault::ChunkSize)),
        (format!("\r\n{size}\r\n"), Body(Fault::ChunkSize)),
        (format!("{size}\n"), Body(Fault::BareLf)),
        (format!("{size}\rx\n"), Body(Fault::BareLf)),
        (format!("{size};a\n"), Body(Fault::BareLf)),
        (format!("{size};a=\"\n\"\r\n"), Body(Fault::BareLf)),
        (format!("{size};\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size};;\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size};=\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size};a=\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size};a=b=c\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size};a=\"\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size};a=\"\\\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size};a=\"b\"c\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size};a=\"\0\"\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size}; a\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size};a =1\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size};a\rb\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size};a\r\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size};\0\r\n"), Body(Fault::ChunkExtension)),
        (format!("{size};{}\r\n", "a".repeat(4095)), Taken),
        (
            format!("{size};{}\r\n", "a".repeat(4096)),
            Body(Fault::ChunkExtension),
        ),
        (
            format!("{size};{}\r\n", "a".repeat(5000)),
            Body(Fault::ChunkSize),
        ),
        ("a".repeat(5000), Body(Fault::ChunkSize)),
    ] {
        rows.push((format!("{line}{JSON}\r\n0\r\n\r\n"), verdict));
    }
    // What follows the data.
    for (end, verdict) in [
        ("\r\n0\r\n\r\n", Taken),
        ("\r\n0000\r\n\r\n", Taken),
        ("\r\n0;a=b\r\n\r\n", Taken),
        ("\r\n0\r\nX-Sum: 1\r\n\r\n", Taken),
        ("\r\n0\r\nX-Sum: 1\r\nMcp-Session-Id: stolen\r\n\r\n", Taken),
        ("0\r\n\r\n", Body(Fault::ChunkEnd)),
        ("x\r\n0\r\n\r\n", Body(Fault::ChunkEnd)),
        ("\n0\r\n\r\n", Body(Fault::ChunkEnd)),
        ("\r0\r\n\r\n", Body(Fault::ChunkEnd)),
        ("\r\r\n0\r\n\r\n", Body(Fault::ChunkEnd)),
        (" \r\n0\r\n\r\n", Body(Fault::ChunkEnd)),
        ("\r\n0\n\n", Body(Fault::BareLf)),
        ("\r\n0\n\r\n", Body(Fault::BareLf)),
        ("\r\n0\r\n\n", Body(Fault::Trailer)),
        ("\r\n0\r\nX: y\n\r\n", Body(Fault::Trailer)),
        ("\r\n0\r\nX: y\r\n\n", Body(Fault::Trailer)),
        ("\r\n0\r\nX: y\r\r\n\r\n", Body(Fault::Trailer)),
        ("\r\n0\r\nX\r\n\r\n", Body(Fault::Trailer)),
        ("\r\n0\r\nX : y\r\n\r\n", Body(Fault::Trailer)),
        ("\r\n0\r\n X: y\r\n\r\n", Body(Fault::Trailer)),
        ("\r\n0\r\nX: y\r\n z\r\n\r\n", Body(Fault::Trailer)),
        ("\r\n0\r\nX: \0\r\n\r\n", Body(Fault::Trailer)),
        ("\r\n0\r\n: y\r\n\r\n", Body(Fault::Trailer)),
        ("\r\n0\r\nContent-Length: 5\r\n\r\n", Body(Fault::Trailer)),
        ("\r\n0\r\nContent-Length: x\r\n\r\n", Body(Fault::Trailer)),
        (
            "\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
            Body(Fault::Trailer),
        ),
        (
            "\r\n0\r\nTransfer-Encoding: identity\r\n\r\n",
            Body(Fault::Trailer),
        ),
        ("\r\n0\r\nHost: evil.example\r\n\r\n", Body(Fault::Trailer)),
        // The request behind it would be the trailers.
        ("\r\n0\r\n", Body(Fault::Trailer)),
        ("\r\n", Body(Fault::ChunkSize)),
    ] {
        rows.push((format!("{size}\r\n{JSON}{end}"), verdict));
    }
    let many = "X: y\r\n";
    rows.push((
        format!("{size}\r\n{JSON}\r\n0\r\n{}\r\n", many.repeat(32)),
        Taken,
    ));
    rows.push((
        format!("{size}\r\n{JSON}\r\n0\r\n{}\r\n", many.repeat(33)),
        Body(Fault::Trailer),
    ));
    rows.push((
        format!("{size}\r\n{JSON}\r\n0\r\nX: {}\r\n\r\n", "a".repeat(9000)),
        Body(Fault::Trailer),
    ));
    // A size that lies, both ways.
    rows.push((
        format!("{:x}\r\n{JSON}\r\n0\r\n\r\n", n - 1),
        Body(Fault::ChunkEnd),
    ));
    rows.push((
        format!("{:x}\r\n{JSON}\r\n0\r\n\r\n", n + 1),
        Body(Fault::ChunkEnd),
    ));
    // The extensions of all chunks together.
    let (first, second) = JSON.split_at(10);
    let extension = format!(";{}", "a".repeat(2100));
    rows.push((
        format!(
            "a{extension}\r\n{first}\r\n{:x}{extension}\r\n{second}\r\n0\r\n\r\n",
            n - 10
        ),
        Body(Fault::ChunkExtension),
    ));
    rows.into_iter()
        .map(|(text, verdict)| (text.into_bytes(), verdict))
        .collect()
}

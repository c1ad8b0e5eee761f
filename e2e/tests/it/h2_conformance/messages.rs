//! Messages: RFC 9113 section 8, RFC 8441.

use super::Expect::{Fine, Refused, Served, Stream};
use super::{CALL, Case, PROTOCOL_ERROR, fields, post, with, with_bytes};
use e2e::wire::frames::{DATA, HEADERS, block, frame};

pub(super) fn cases() -> Vec<Case> {
    const GET: (&str, &str) = (":method", "GET");
    const HTTPS: (&str, &str) = (":scheme", "https");
    const LOCAL: (&str, &str) = (":authority", "localhost");
    const PATH: (&str, &str) = (":path", "/mcp");
    let trailers = |flags, fields: &[(&str, &str)]| frame(HEADERS, flags, 1, &block(fields));
    let body = |length: &str, pieces: &[(u8, &[u8])]| {
        let mut bytes = post(1, &[("content-length", length)]);
        for (flags, piece) in pieces {
            bytes.extend(frame(DATA, *flags, 1, piece));
        }
        bytes
    };
    let right = CALL.len().to_string();
    let malformed = Stream(1, &[PROTOCOL_ERROR]);
    vec![
        (
            "8.1 trailers",
            [
                post(1, &[]),
                frame(DATA, 0, 1, CALL),
                trailers(5, &[("x-sum", "1")]),
            ]
            .concat(),
            Served,
        ),
        (
            "8.1 trailers that do not end the stream",
            [
                post(1, &[]),
                frame(DATA, 0, 1, CALL),
                trailers(4, &[("x-sum", "1")]),
            ]
            .concat(),
            malformed,
        ),
        (
            "8.1 a pseudo-header in trailers",
            [post(1, &[]), frame(DATA, 0, 1, CALL), trailers(5, &[PATH])].concat(),
            // It should be refused; hyper drops the pseudo-header, and no trailer goes on.
            Served,
        ),
        ("8.1.1 the right length", body(&right, &[(1, CALL)]), Served),
        (
            "8.1.1 less content than announced",
            body("99", &[(1, CALL)]),
            malformed,
        ),
        (
            "8.1.1 more content than announced",
            body("3", &[(1, CALL)]),
            malformed,
        ),
        (
            "8.1.1 more in two frames",
            body("9", &[(0, &CALL[..8]), (1, &CALL[8..])]),
            malformed,
        ),
        (
            "8.1.1 an end without the content",
            fields(&[GET, HTTPS, LOCAL, PATH, ("content-length", "3")]),
            malformed,
        ),
        (
            "8.1.1 a length that is none",
            body("+40", &[(1, CALL)]),
            malformed,
        ),
        ("8.2 a name in capitals", with("X-Own", "1"), malformed),
        ("8.2.1 a space in a name", with("x own", "1"), malformed),
        ("8.2.1 a colon in a name", with("x:own", "1"), malformed),
        (
            "8.2.1 a control in a name",
            with("x\x01own", "1"),
            malformed,
        ),
        ("8.2.1 a name above ASCII", with("x-\u{fc}", "1"), malformed),
        ("8.2.1 an empty name", with("", "1"), malformed),
        ("8.2.1 NUL in a value", with("x-own", "a\0b"), malformed),
        ("8.2.1 CR in a value", with("x-own", "a\rb"), malformed),
        ("8.2.1 LF in a value", with("x-own", "a\nb"), malformed),
        ("8.2.1 a space before a value", with("x-own", " a"), Refused),
        ("8.2.1 a tab behind a value", with("x-own", "a\t"), Refused),
        ("8.2.1 an empty value", with("x-own", ""), Served),
        ("8.2.2 connection", with("connection", "close"), malformed),
        ("8.2.2 keep-alive", with("keep-alive", "1"), malformed),
        (
            "8.2.2 proxy-connection",
            with("proxy-connection", "close"),
            malformed,
        ),
        (
            "8.2.2 transfer-encoding",
            with("transfer-encoding", "chunked"),
            malformed,
        ),
        ("8.2.2 upgrade", with("upgrade", "h2c"), malformed),
        ("8.2.2 te", with("te", "gzip"), malformed),
        ("8.2.2 te: trailers", with("te", "trailers"), Served),
        (
            "8.2.3 a cookie in crumbs",
            with_bytes(&block(&[("cookie", "a=1"), ("cookie", "b=2")])),
            Served,
        ),
        (
            "8.3 an unknown pseudo-header",
            fields(&[GET, HTTPS, LOCAL, PATH, (":own", "1")]),
            malformed,
        ),
        (
            "8.3 the pseudo-header of answers",
            fields(&[GET, HTTPS, LOCAL, PATH, (":status", "200")]),
            malformed,
        ),
        (
            "8.3 a pseudo-header behind a field",
            fields(&[GET, HTTPS, LOCAL, ("x-own", "1"), PATH]),
            malformed,
        ),
        ("8.3.1 no method", fields(&[HTTPS, LOCAL, PATH]), malformed),
        ("8.3.1 no scheme", fields(&[GET, LOCAL, PATH]), malformed),
        ("8.3.1 no path", fields(&[GET, HTTPS, LOCAL]), malformed),
        (
            "8.3.1 an empty path",
            fields(&[GET, HTTPS, LOCAL, (":path", "")]),
            malformed,
        ),
        (
            "8.3.1 two methods",
            fields(&[GET, GET, HTTPS, LOCAL, PATH]),
            malformed,
        ),
        (
            "8.3.1 two schemes",
            fields(&[GET, HTTPS, HTTPS, LOCAL, PATH]),
            malformed,
        ),
        (
            "8.3.1 two paths",
            fields(&[GET, HTTPS, LOCAL, PATH, PATH]),
            malformed,
        ),
        (
            "8.3.1 two authorities",
            fields(&[GET, HTTPS, LOCAL, LOCAL, PATH]),
            malformed,
        ),
        (
            "8.3.1 the path of OPTIONS",
            fields(&[(":method", "OPTIONS"), HTTPS, LOCAL, (":path", "*")]),
            Fine,
        ),
        (
            "8.5 CONNECT",
            fields(&[(":method", "CONNECT"), LOCAL]),
            Refused,
        ),
        (
            "8.5 CONNECT with a path",
            fields(&[(":method", "CONNECT"), HTTPS, LOCAL, PATH]),
            malformed,
        ),
        (
            "RFC 8441 :protocol",
            fields(&[
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                HTTPS,
                LOCAL,
                PATH,
            ]),
            malformed,
        ),
    ]
}

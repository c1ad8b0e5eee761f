//! RFC 9113 and RFC 7541, section by section, against the real gateway through TLS.
//!
//! Every case is sent as literal frames on a connection of its own. What the client sees is
//! held against what the section asks for; that the upstream gets nothing but whole and sound
//! requests, against all of them.

use std::collections::HashSet;
use std::time::Duration;

use e2e::wire::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADERS, PADDED, PING,
    PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, WITH_PRIORITY, block, entries,
    frame, opening, request_block,
};
use e2e::wire::{Ask, Protocol};
use e2e::{Palisade, Reply, Upstream};

use crate::rig::{Rig, server};

const NO_ERROR: u32 = 0x0;
const PROTOCOL_ERROR: u32 = 0x1;
const FLOW_CONTROL_ERROR: u32 = 0x3;
const STREAM_CLOSED: u32 = 0x5;
const FRAME_SIZE_ERROR: u32 = 0x6;
const REFUSED_STREAM: u32 = 0x7;
const COMPRESSION_ERROR: u32 = 0x9;

/// hyper ends the connection as RFC 9113 section 4.3 asks, but by this more general code.
const COMPRESSION: &[u32] = &[COMPRESSION_ERROR, PROTOCOL_ERROR];

/// What must become of a case.
#[derive(Clone, Copy, Debug)]
enum Expect {
    /// GOAWAY with one of these codes, then the end.
    Connection(&'static [u32]),
    /// RST_STREAM of this stream with one of these codes; or the same for the connection, which
    /// section 5.4.2 leaves to us.
    Stream(u32, &'static [u32]),
    /// Nothing: the connection goes on.
    Fine,
    /// Stream 1 is answered with 200, and the connection goes on.
    Served,
    /// Stream 1 is answered with another status.
    Refused,
}

use Expect::{Connection, Fine, Refused, Served, Stream};

/// Section and what is sent; the bytes behind the opening; what must become of it.
type Case = (&'static str, Vec<u8>, Expect);

fn get(stream: u32) -> Vec<u8> {
    let block = request_block("GET", "/mcp", &[]);
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// A request whose content is still to come.
fn post(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let json = ("content-type", "application/json");
    let fields: Vec<_> = std::iter::once(json)
        .chain(fields.iter().copied())
        .collect();
    let block = request_block("POST", "/mcp", &fields);
    frame(HEADERS, END_HEADERS, stream, &block)
}

const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;

/// A GET with these fields alone, pseudo-headers included.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields))
}

/// A GET with one field more.
fn with(name: &str, value: &str) -> Vec<u8> {
    let block = request_block("GET", "/mcp", &[(name, value)]);
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
}

/// A GET whose block has these bytes at its end.
fn with_bytes(bytes: &[u8]) -> Vec<u8> {
    let block = [&request_block("GET", "/mcp", &[]), bytes].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
}

fn update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &entries(settings))
}

fn ping() -> Vec<u8> {
    frame(PING, 0, 0, &[0; 8])
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// HEADERS without END_HEADERS.
fn begun(stream: u32, end: u8) -> Vec<u8> {
    frame(HEADERS, end, stream, &request_block("GET", "/mcp", &[]))
}

fn frames_and_streams() -> Vec<Case> {
    let half = request_block("GET", "/mcp", &[]);
    let (one, two) = half.split_at(20);
    let padded = |padding: u8, content: &[u8]| {
        let zeros = vec![0; usize::from(padding)];
        [&[padding], content, &zeros].concat()
    };
    let large = vec![0; 16_385];
    vec![
        // Framing.
        (
            "4.1 a frame of an unknown kind",
            frame(0xfa, 0, 0, &[1; 8]),
            Fine,
        ),
        (
            "4.1 an unknown kind on a stream",
            [get(1), frame(0xfa, 0, 1, &[1; 8])].concat(),
            Served,
        ),
        ("4.1 undefined flags", frame(PING, 0x16, 0, &[0; 8]), Fine),
        (
            "4.1 the reserved bit",
            frame(PING, 0, 0x8000_0000, &[0; 8]),
            Fine,
        ),
        (
            "4.1 the reserved bit of a request",
            frame(HEADERS, 5, 0x8000_0001, &half),
            Served,
        ),
        (
            "4.2 DATA above the frame size",
            [post(1, &[]), frame(DATA, 0, 1, &large)].concat(),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        (
            "4.2 HEADERS above the frame size",
            frame(HEADERS, 5, 1, &large),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        (
            "4.2 SETTINGS above the frame size",
            frame(SETTINGS, 0, 0, &[0; 16_386]),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        (
            "4.2 an unknown kind above the frame size",
            frame(0xfa, 0, 0, &large),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        (
            "4.2 DATA of the frame size",
            [post(1, &[]), frame(DATA, 1, 1, &large[1..])].concat(),
            Refused,
        ),
        (
            "4.3 PRIORITY within a header block",
            [begun(1, 1), frame(PRIORITY, 0, 1, &[0; 5])].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "4.3 HEADERS within a header block",
            [begun(1, 1), get(3)].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "4.3 DATA within a header block",
            [begun(1, 0), frame(DATA, 1, 1, b"x")].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "4.3 an unknown kind within a header block",
            [begun(1, 1), frame(0xfa, 0, 0, b"")].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "4.3 the reset of a stream within its header block",
            [begun(1, 1), reset(1)].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        // Stream states.
        (
            "5.1 idle: DATA",
            frame(DATA, 1, 1, b"x"),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "5.1 idle: RST_STREAM",
            reset(1),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "5.1 idle: WINDOW_UPDATE",
            update(1, 100),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "5.1 idle: CONTINUATION",
            frame(CONTINUATION, 4, 1, &half),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "5.1 idle: PRIORITY",
            frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 15]),
            Fine,
        ),
        (
            "5.1 half-closed: DATA",
            [get(1), frame(DATA, 1, 1, b"x")].concat(),
            Stream(1, &[STREAM_CLOSED]),
        ),
        (
            "5.1 half-closed: HEADERS",
            [get(1), get(1)].concat(),
            Stream(1, &[STREAM_CLOSED]),
        ),
        (
            "5.1 half-closed: CONTINUATION",
            [get(1), frame(CONTINUATION, 4, 1, &half)].concat(),
            Connection(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        (
            "5.1 half-closed: WINDOW_UPDATE",
            [get(1), update(1, 1)].concat(),
            Served,
        ),
        (
            "5.1 half-closed: PRIORITY",
            [get(1), frame(PRIORITY, 0, 1, &[0; 5])].concat(),
            Served,
        ),
        (
            "5.1 reset: DATA",
            [post(1, &[]), reset(1), frame(DATA, 1, 1, b"x")].concat(),
            Stream(1, &[STREAM_CLOSED]),
        ),
        (
            "5.1 reset: HEADERS",
            [post(1, &[]), reset(1), get(1)].concat(),
            Stream(1, &[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        (
            "5.1 reset: CONTINUATION",
            [post(1, &[]), reset(1), frame(CONTINUATION, 4, 1, b"")].concat(),
            Connection(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        (
            "5.1 reset: RST_STREAM",
            [post(1, &[]), reset(1), reset(1)].concat(),
            Fine,
        ),
        (
            "5.1 reset: WINDOW_UPDATE",
            [post(1, &[]), reset(1), update(1, 1)].concat(),
            Fine,
        ),
        (
            "5.1 reset: PRIORITY",
            [post(1, &[]), reset(1), frame(PRIORITY, 0, 1, &[0; 5])].concat(),
            Fine,
        ),
        (
            "5.1.1 a stream of an even number",
            frame(HEADERS, 5, 2, &half),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "5.1.1 a stream below the last",
            [get(5), get(3)].concat(),
            Connection(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        (
            "5.1.1 a stream far above the last",
            [get(1), get(0x7fff_ffff)].concat(),
            Served,
        ),
        // DATA.
        (
            "6.1 DATA on stream 0",
            frame(DATA, 0, 0, b"x"),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.1 more padding than payload",
            [post(1, &[]), frame(DATA, PADDED, 1, &[9, 0, 0])].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.1 as much padding as payload",
            [post(1, &[]), frame(DATA, PADDED, 1, &[3, 0, 0])].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.1 no length of the padding",
            [post(1, &[]), frame(DATA, PADDED, 1, &[])].concat(),
            Connection(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
        ),
        (
            "6.1 padding",
            [
                post(1, &[]),
                frame(DATA, PADDED | END_STREAM, 1, &padded(200, CALL)),
            ]
            .concat(),
            Served,
        ),
        (
            "6.1 content, then an empty end",
            [
                post(1, &[]),
                frame(DATA, 0, 1, CALL),
                frame(DATA, 1, 1, b""),
            ]
            .concat(),
            Served,
        ),
        // HEADERS.
        (
            "6.2 HEADERS on stream 0",
            frame(HEADERS, 5, 0, &half),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.2 padding",
            frame(HEADERS, 5 | PADDED, 1, &padded(100, &half)),
            Served,
        ),
        (
            "6.2 more padding than payload",
            frame(HEADERS, 5 | PADDED, 1, &[200, 0x82]),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.2 no length of the padding",
            frame(HEADERS, 5 | PADDED, 1, &[]),
            Connection(&[PROTOCOL_ERROR, FRAME_SIZE_ERROR]),
        ),
        (
            "6.2 a priority",
            frame(
                HEADERS,
                5 | WITH_PRIORITY,
                1,
                &[&[0, 0, 0, 0, 9], &half[..]].concat(),
            ),
            Served,
        ),
        (
            "6.2 half a priority",
            frame(HEADERS, 5 | WITH_PRIORITY, 1, &[0, 0, 0]),
            Connection(&[FRAME_SIZE_ERROR, PROTOCOL_ERROR]),
        ),
        (
            "6.2 padding and a priority",
            frame(
                HEADERS,
                5 | PADDED | WITH_PRIORITY,
                1,
                &padded(9, &[&[0, 0, 0, 0, 9], &half[..]].concat()),
            ),
            Served,
        ),
        // PRIORITY.
        (
            "6.3 PRIORITY on stream 0",
            frame(PRIORITY, 0, 0, &[0; 5]),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.3 PRIORITY of 4 bytes",
            [post(1, &[]), frame(PRIORITY, 0, 1, &[0; 4])].concat(),
            Stream(1, &[FRAME_SIZE_ERROR]),
        ),
        (
            "6.3 PRIORITY of 6 bytes",
            [post(1, &[]), frame(PRIORITY, 0, 1, &[0; 6])].concat(),
            Stream(1, &[FRAME_SIZE_ERROR]),
        ),
        // RST_STREAM.
        (
            "6.4 RST_STREAM on stream 0",
            reset(0),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.4 RST_STREAM on an idle stream",
            [get(1), reset(3)].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.4 RST_STREAM of 3 bytes",
            [post(1, &[]), frame(RST_STREAM, 0, 1, &[0; 3])].concat(),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        (
            "6.4 RST_STREAM of 5 bytes",
            [post(1, &[]), frame(RST_STREAM, 0, 1, &[0; 5])].concat(),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        (
            "6.4 an unknown error code",
            [post(1, &[]), frame(RST_STREAM, 0, 1, &[0xff; 4])].concat(),
            Fine,
        ),
        // SETTINGS.
        (
            "6.5 ACK with content",
            frame(SETTINGS, ACK, 0, &[0; 6]),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        (
            "6.5 SETTINGS on stream 1",
            frame(SETTINGS, 0, 1, &[]),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.5 SETTINGS of 3 bytes",
            frame(SETTINGS, 0, 0, &[0; 3]),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        (
            "6.5.2 ENABLE_PUSH of 2",
            settings(&[(2, 2)]),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.5.2 INITIAL_WINDOW_SIZE of 2^31",
            settings(&[(4, 1 << 31)]),
            Connection(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "6.5.2 MAX_FRAME_SIZE of 2^14-1",
            settings(&[(5, (1 << 14) - 1)]),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.5.2 MAX_FRAME_SIZE of 2^24",
            settings(&[(5, 1 << 24)]),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.5.2 MAX_FRAME_SIZE of 2^24-1",
            [settings(&[(5, (1 << 24) - 1)]), get(1)].concat(),
            Served,
        ),
        (
            "6.5.2 HEADER_TABLE_SIZE of 2^32-1",
            [settings(&[(1, u32::MAX)]), get(1)].concat(),
            Served,
        ),
        (
            "6.5.2 HEADER_TABLE_SIZE of 0",
            [settings(&[(1, 0)]), get(1)].concat(),
            Served,
        ),
        (
            "6.5.2 MAX_CONCURRENT_STREAMS of 0",
            [settings(&[(3, 0)]), get(1)].concat(),
            Served,
        ),
        (
            "6.5.2 an unknown setting",
            settings(&[(0xfafa, u32::MAX)]),
            Fine,
        ),
        (
            "6.5.3 the last of several values",
            [settings(&[(4, 0), (4, 65_535)]), get(1)].concat(),
            Served,
        ),
        // PUSH_PROMISE.
        (
            "6.6 PUSH_PROMISE",
            [
                get(1),
                frame(PUSH_PROMISE, 4, 1, &[&[0, 0, 0, 2], &half[..]].concat()),
            ]
            .concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        // PING.
        ("6.7 ACK of nothing", frame(PING, ACK, 0, b"whatever"), Fine),
        (
            "6.7 PING on stream 1",
            [get(1), frame(PING, 0, 1, &[0; 8])].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.7 PING of 7 bytes",
            frame(PING, 0, 0, &[0; 7]),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        (
            "6.7 PING of 9 bytes",
            frame(PING, 0, 0, &[0; 9]),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        // GOAWAY.
        (
            "6.8 GOAWAY on stream 1",
            [get(1), frame(GOAWAY, 0, 1, &[0; 8])].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.8 GOAWAY of 4 bytes",
            frame(GOAWAY, 0, 0, &[0; 4]),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        // WINDOW_UPDATE.
        (
            "6.9 an increment of 0 on the connection",
            update(0, 0),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.9 an increment of 0 on a stream",
            [post(1, &[]), update(1, 0)].concat(),
            Stream(1, &[PROTOCOL_ERROR]),
        ),
        (
            "6.9 WINDOW_UPDATE of 3 bytes",
            frame(WINDOW_UPDATE, 0, 0, &[0; 3]),
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        (
            "6.9 the reserved bit",
            [get(1), update(1, 0x8000_0001)].concat(),
            Served,
        ),
        (
            "6.9.1 a window above 2^31-1 of the connection",
            update(0, 0x7fff_ffff),
            Connection(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "6.9.1 a window above 2^31-1 of a stream",
            [post(1, &[]), update(1, 0x7fff_ffff)].concat(),
            Stream(1, &[FLOW_CONTROL_ERROR]),
        ),
        (
            "6.9.2 settings that take a window above 2^31-1",
            [
                post(1, &[]),
                update(1, 0x7fff_0000),
                settings(&[(4, 0x7fff_ffff)]),
            ]
            .concat(),
            Connection(&[FLOW_CONTROL_ERROR]),
        ),
        (
            "6.9.2 a window below 0",
            [
                settings(&[(4, 65_535)]),
                post(1, &[]),
                settings(&[(4, 0)]),
                settings(&[(4, 65_535)]),
                frame(DATA, 1, 1, CALL),
            ]
            .concat(),
            Served,
        ),
        // CONTINUATION.
        (
            "6.10 a block in two",
            [frame(HEADERS, 1, 1, one), frame(CONTINUATION, 4, 1, two)].concat(),
            Served,
        ),
        (
            "6.10 a block in three",
            [
                frame(HEADERS, 1, 1, b""),
                frame(CONTINUATION, 0, 1, one),
                frame(CONTINUATION, 4, 1, two),
            ]
            .concat(),
            Served,
        ),
        (
            "6.10 CONTINUATION behind the end",
            [get(1), frame(CONTINUATION, 4, 1, b"")].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.10 CONTINUATION on another stream",
            [begun(1, 1), frame(CONTINUATION, 4, 3, b"")].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.10 CONTINUATION on stream 0",
            [begun(1, 1), frame(CONTINUATION, 4, 0, b"")].concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
        (
            "6.10 CONTINUATION behind DATA",
            [
                post(1, &[]),
                frame(DATA, 0, 1, b"x"),
                frame(CONTINUATION, 4, 1, b""),
            ]
            .concat(),
            Connection(&[PROTOCOL_ERROR]),
        ),
    ]
}

fn messages() -> Vec<Case> {
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
        // HPACK.
        (
            "RFC 7541 2.3.3 an index beyond the tables",
            with_bytes(&[0xfe]),
            Connection(COMPRESSION),
        ),
        (
            "RFC 7541 6.1 index 0",
            with_bytes(&[0x80]),
            Connection(COMPRESSION),
        ),
        (
            "RFC 7541 4.2 a size update at the end",
            with_bytes(&[0x20]),
            Connection(COMPRESSION),
        ),
        (
            "RFC 7541 6.3 a table above the limit",
            with_bytes(&[0x3f, 0xff, 0xff, 0xff, 0x01]),
            Connection(COMPRESSION),
        ),
        (
            "RFC 7541 5.1 an integer without end",
            with_bytes(&[0xff; 20]),
            Connection(COMPRESSION),
        ),
        (
            "RFC 7541 5.2 a string beyond the block",
            with_bytes(&[0x00, 0x05, b'x']),
            Connection(COMPRESSION),
        ),
        (
            "RFC 7541 5.2 padding of 8 bits",
            with_bytes(&[
                0x00, 0x85, 0xf2, 0xb2, 0x4a, 0x84, 0xff, 0x84, 0x49, 0x50, 0x9f, 0xff,
            ]),
            Connection(COMPRESSION),
        ),
        (
            "RFC 7541 5.2 padding of zeros",
            with_bytes(&[0x00, 0x82, 0xf2, 0x00, 0x01, b'x']),
            Connection(COMPRESSION),
        ),
        (
            "RFC 7541 5.2 EOS in a string",
            with_bytes(&[0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x01, b'x']),
            Connection(COMPRESSION),
        ),
    ]
}

/// What became of a case.
#[derive(Debug, Default)]
struct Seen {
    goaway: Option<u32>,
    ended: bool,
    resets: Vec<(u32, u32)>,
    /// Whether stream 1 was answered, and with which status where it stands in the table.
    answered: Option<Option<u16>>,
    alive: bool,
}

impl Seen {
    fn is(&self, expect: Expect) -> bool {
        match expect {
            Connection(codes) => {
                self.ended && self.goaway.is_some_and(|code| codes.contains(&code))
            }
            Stream(stream, codes) => {
                let hit = |(id, code): &(u32, u32)| *id == stream && codes.contains(code);
                self.resets.iter().any(hit) && self.alive || self.is(Connection(codes))
            }
            Fine => self.alive && self.goaway.is_none() && self.resets.is_empty(),
            Served => self.answered == Some(Some(200)) && self.is(Fine),
            Refused => {
                let refused = self.answered.is_some_and(|status| status != Some(200));
                refused && self.alive
            }
        }
    }
}

const PROBE: &[u8] = b"are you?";

/// Sends `bytes`, then asks whether the other end still lives, and reads until all is known.
async fn seen(frames: &mut Frames, bytes: &[u8], expect: Expect) -> Seen {
    frames.send(bytes).await;
    let mut seen = Seen::default();
    frames.send(&frame(PING, 0, 0, PROBE)).await;
    while let Some(frame) = frames.next().await {
        match frame {
            Frame { kind: GOAWAY, .. } => seen.goaway = frame.code(),
            Frame {
                kind: RST_STREAM,
                stream,
                ..
            } => {
                seen.resets.push((stream, frame.code().unwrap_or(u32::MAX)));
            }
            Frame {
                kind: HEADERS,
                stream: 1,
                ..
            } => seen.answered = Some(frame.status()),
            Frame { kind: PING, .. } if frame.payload == PROBE => seen.alive = true,
            _ => {}
        }
        // Resets and answers may come behind the answer to a PING.
        let all = match expect {
            Connection(_) => false,
            Fine => seen.alive,
            Refused | Served => seen.alive && seen.answered.is_some(),
            Stream(..) => seen.alive && !seen.resets.is_empty(),
        };
        if all && seen.goaway.is_none() {
            return seen;
        }
    }
    seen.ended = true;
    seen.alive = false;
    seen
}

// REQ: R-3, G-15
#[tokio::test]
async fn by_section() {
    let upstream = Upstream::new();
    let palisade = Palisade::before(&upstream);
    let cases: Vec<Case> = [frames_and_streams(), messages()].concat();
    assert!(cases.len() >= 80, "{}", cases.len());
    let mut wrong = Vec::new();
    for (name, bytes, expect) in cases {
        // A request of the case before may arrive late, and is then counted here; what is wrong is
        // wrong every time.
        let mut found = Vec::new();
        for _ in 0..3 {
            found = by_case(&palisade, &upstream, name, &bytes, expect).await;
            if found.is_empty() {
                break;
            }
        }
        wrong.extend(found);
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // What arrived was framed without a doubt.
    assert_eq!(upstream.broken(), 0);
    let cookies = upstream.arrived();
    let cookies = cookies
        .iter()
        .filter_map(|request| request.header("cookie"));
    assert_eq!(cookies.collect::<HashSet<_>>(), HashSet::from(["a=1; b=2"]));
}

/// What is wrong about one case.
async fn by_case(
    palisade: &Palisade,
    upstream: &Upstream,
    name: &str,
    bytes: &[u8],
    expect: Expect,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let before = upstream.arrived().len();
    let stream = palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::opened(stream).await;
    let seen = seen(&mut frames, bytes, expect);
    let seen = tokio::time::timeout(Duration::from_secs(3), seen);
    match seen.await {
        Ok(seen) if seen.is(expect) => {}
        seen => wrong.push(format!("{name}: {expect:?}, but {seen:?}")),
    }
    // What is refused has not gone on.
    let gone = upstream.arrived().len() - before;
    let allowed = match expect {
        Served => 1..=2,
        Refused => 0..=0,
        // A sound request before the frame in question may have.
        Connection(_) | Stream(..) | Fine => 0..=1,
    };
    if !allowed.contains(&gone) {
        wrong.push(format!("{name}: {gone} requests went on"));
    }
    wrong
}

// REQ: R-3
#[tokio::test]
async fn a_connection_begins_with_its_preface() {
    let palisade = Palisade::before(&Upstream::new());
    let preface = &opening(&[])[..24];
    for (name, bytes) in [
        (
            "3.4 another protocol",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        ("3.4 a broken preface", [&preface[..20], b"XX\r\n"].concat()),
        ("3.4 no SETTINGS", [preface, &ping()].concat()),
        ("3.4 a request before SETTINGS", [preface, &get(1)].concat()),
        (
            "3.4 ACK in place of SETTINGS",
            [preface, &frame(SETTINGS, ACK, 0, &[])].concat(),
        ),
    ] {
        let stream = palisade.client().connect("h2").await.unwrap();
        let mut frames = Frames::new(stream);
        frames.send(&bytes).await;
        let all = frames.rest().await;
        let goaway = all.iter().find(|frame| frame.kind == GOAWAY);
        let code = goaway.and_then(Frame::code);
        assert_eq!(code, Some(PROTOCOL_ERROR), "{name}: {all:?}");
    }
}

// REQ: R-3
#[tokio::test]
async fn settings_and_pings_are_acknowledged() {
    let palisade = Palisade::before(&Upstream::new());
    let stream = palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::opened(stream).await;
    let first = frames.next().await.unwrap();
    assert_eq!((first.kind, first.flags, first.stream), (SETTINGS, 0, 0));
    let ack = frames.until(|frame| frame.kind == SETTINGS).await.unwrap();
    assert_eq!((ack.flags, ack.payload.len()), (ACK, 0));
    frames.send(&frame(SETTINGS, ACK, 0, &[])).await;
    frames.send(&frame(PING, 0, 0, b"12345678")).await;
    let pong = frames.until(|frame| frame.kind == PING).await.unwrap();
    assert_eq!((pong.flags, &pong.payload[..]), (ACK, &b"12345678"[..]));
}

// REQ: R-3
#[tokio::test]
async fn no_more_is_sent_than_the_windows_hold() {
    let upstream = Upstream::always(Reply::big(100_000));
    let palisade = Palisade::before(&upstream);
    // A stream's window.
    let stream = palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::new(stream);
    frames.send(&opening(&[(4, 1)])).await;
    frames.send(&get(1)).await;
    let data = |frame: &Frame| frame.kind == DATA;
    let first = frames.until(data).await.unwrap();
    assert_eq!(first.payload.len(), 1);
    frames.send(&update(1, 10)).await;
    assert_eq!(frames.until(data).await.unwrap().payload.len(), 10);
    frames.send(&settings(&[(4, 0)])).await;
    frames.send(&update(1, 1)).await;
    frames.send(&frame(PING, 0, 0, PROBE)).await;
    // The window is at 0 now: -1 and 1.
    let next = frames
        .until(|frame| matches!(frame.kind, DATA | PING))
        .await;
    assert_eq!(next.unwrap().kind, PING);
    frames.send(&update(1, 5)).await;
    assert_eq!(frames.until(data).await.unwrap().payload.len(), 5);
    // The connection's.
    let stream = palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::new(stream);
    frames.send(&opening(&[(4, 1 << 20)])).await;
    frames.send(&get(1)).await;
    let mut length = 0;
    while length < 65_535 {
        let frame = frames.until(data).await.unwrap();
        assert!(frame.payload.len() <= 16_384);
        length += frame.payload.len();
    }
    assert_eq!(length, 65_535);
    frames.send(&frame(PING, 0, 0, PROBE)).await;
    let next = frames
        .until(|frame| matches!(frame.kind, DATA | PING))
        .await;
    assert_eq!(next.unwrap().kind, PING);
    frames.send(&update(0, 1 << 20)).await;
    let end = frames.until(|frame| frame.flags & END_STREAM != 0 && data(frame));
    assert!(end.await.is_some());
}

// REQ: R-3
#[tokio::test]
async fn what_is_sent_above_our_window_ends_the_stream() {
    let rig = Rig::new("", [server("mcp", Upstream::new())]);
    let stream = rig.palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::opened(stream).await;
    // An event stream takes no body: nothing is read, so no window is given back.
    frames
        .send(&post(1, &[("origin", "https://evil.example")]))
        .await;
    for _ in 0..1000 {
        if !frames.send(&frame(DATA, 0, 1, &[0; 16_384])).await {
            break;
        }
    }
    // The refusal may be there before the window is used up, or after.
    let mut ended = None;
    while ended.is_none()
        && let Some(frame) = frames.next().await
    {
        if matches!(frame.kind, GOAWAY | RST_STREAM) {
            ended = frame.code();
        }
    }
    assert!(
        matches!(ended, Some(NO_ERROR | FLOW_CONTROL_ERROR | STREAM_CLOSED)),
        "{ended:?}"
    );
}

// REQ: R-3
#[tokio::test]
async fn streams_above_the_limit_are_refused_and_free_ones_serve() {
    let hangs = server(
        "hang",
        Upstream::always(Reply::default().then(e2e::upstream::Step::Never)),
    );
    let rig = Rig::new(
        "limits.streams = 4",
        [hangs, server("mcp", Upstream::new())],
    );
    let stream = rig.palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::opened(stream).await;
    let first = frames.next().await.unwrap();
    assert!(
        first
            .payload
            .chunks(6)
            .any(|entry| entry == [0, 3, 0, 0, 0, 4]),
        "{first:?}"
    );
    let hang = request_block("GET", "/hang", &[]);
    for n in 0..6 {
        frames.send(&frame(HEADERS, 5, 2 * n + 1, &hang)).await;
    }
    for refused in [9, 11] {
        let reset = frames
            .until(|frame| frame.kind == RST_STREAM)
            .await
            .unwrap();
        assert_eq!(
            (reset.stream, reset.code()),
            (refused, Some(REFUSED_STREAM))
        );
    }
    frames.send(&reset(1)).await;
    frames.send(&get(13)).await;
    let answer = frames.until(|frame| frame.kind == HEADERS).await.unwrap();
    assert_eq!((answer.stream, answer.status()), (13, Some(200)));
}

// REQ: R-3, G-15
#[tokio::test]
async fn goaway_of_a_client_lets_its_requests_finish() {
    let upstream = Upstream::answering(|request| {
        Reply::result(request, &serde_json::json!({})).after(Duration::from_millis(200))
    });
    let palisade = Palisade::before(&upstream);
    let stream = palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::opened(stream).await;
    frames.send(&get(1)).await;
    upstream.wait_for(1);
    frames.send(&frame(GOAWAY, 0, 0, &[0; 8])).await;
    let answer = frames.until(|frame| frame.kind == HEADERS).await.unwrap();
    assert_eq!(answer.status(), Some(200));
    frames.rest().await;
    let answer = palisade.client().ask(Protocol::Http2, &Ask::call()).await;
    assert_eq!(answer.status, 200);
}

/// Heads that HTTP/2 can carry and HTTP/1.1 cannot, or not in one meaning.
// REQ: R-3, G-15, S-1, L-1
#[tokio::test]
async fn nothing_breaks_out_of_a_head() {
    let upstream = Upstream::new();
    let palisade = Palisade::before(&upstream);
    let plain = |path: &str| vec![(":path".to_owned(), path.to_owned())];
    let mut heads: Vec<Vec<(String, String)>> = [
        "/mcp HTTP/1.1\r\nx-own: 1",
        "/mcp HTTP/1.1\r\n\r\nGET /admin HTTP/1.1",
        "/mcp x",
        " /mcp",
        "/mcp ",
        "/mcp\t",
        "/mcp\0",
        "/mcp\x7f",
        "/mcp\x01",
        "/mcp?a b",
        "/mcp?a\r\nb",
        "/mcp?a\nb",
        "/mcp?a\0b",
        "/mcp?a\x7fb",
        "/mcp?a#b",
        "/mcp#b",
        "mcp",
        "?a",
        "*",
        "",
        "//mcp",
        "/mcp/../admin",
        "/mcp/%2e%2e/admin",
        "/mcp\\admin",
        "/mcp;a",
        "/mcp/\u{fc}",
        "http://localhost/mcp",
        "https://evil.example/mcp",
        "localhost:443",
    ]
    .map(plain)
    .to_vec();
    let field = |name: &str, value: &str| {
        vec![
            (":path".to_owned(), "/mcp".to_owned()),
            (name.to_owned(), value.to_owned()),
        ]
    };
    for scheme in [
        "",
        "ftp",
        "file",
        "https:",
        "http://x",
        "ht tp",
        "javascript",
    ] {
        heads.push(field(":scheme", scheme));
    }
    for method in [
        "",
        "GE T",
        "GET /admin HTTP/1.1\r\n",
        "get",
        "G\r\nET",
        "TRACE",
        "PRI",
        "\u{fc}",
    ] {
        heads.push(field(":method", method));
    }
    for authority in [
        "",
        "a@localhost",
        "localhost@evil.example",
        "localhost:",
        "localhost:x",
        "localhost:99999",
        "local host",
        "localhost,evil.example",
        "localhost/mcp",
        "localhost#a",
        "localhost?a",
        "localhost\r\nx-own: 1",
    ] {
        heads.push(field(":authority", authority));
    }
    for (name, value) in [
        ("host", "evil.example"),
        ("host", ""),
        ("x-own", "1\r\n\r\nGET /admin HTTP/1.1"),
        ("x-own", "1\r\nx-forwarded-for: ::1"),
        ("x-own", "\r\n folded"),
        ("x-own", "1\x7f"),
        ("x-own", "1\x08"),
        ("x-own\r\nx-other", "1"),
        ("x-own: 1\r\nx-other", "1"),
        ("x-own ", "1"),
        (" x-own", "1"),
        ("content-length", "5"),
        ("content-length", "0, 0"),
        ("content-length", " 0"),
        ("content-length", "-1"),
        ("content_length", "5"),
        ("transfer-encoding", "chunked"),
        ("transfer_encoding", "chunked"),
        ("trailer", "\r\nx: y"),
        ("expect", "100-continue\r\n"),
        ("http2-settings", "a\r\nb: c"),
        ("cookie", "a=1\r\nb: 2"),
        ("mcp-session-id", " a"),
        ("authorization", "Bearer a\t"),
    ] {
        heads.push(field(name, value));
    }
    let mut wrong = Vec::new();
    let mut refused = 0;
    for head in heads {
        let mut all: Vec<(&str, &str)> = Vec::new();
        for (name, value) in [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", "localhost"),
        ] {
            if !head.iter().any(|(other, _)| other == name) {
                all.push((name, value));
            }
        }
        let (pseudo, rest): (Vec<_>, Vec<_>) =
            head.iter().partition(|(name, _)| name.starts_with(':'));
        all.extend(pseudo.iter().map(|(name, value)| (&name[..], &value[..])));
        all.extend(rest.iter().map(|(name, value)| (&name[..], &value[..])));
        let before = upstream.arrived().len();
        let mut frames = Frames::opened(palisade.client().connect("h2").await.unwrap()).await;
        let request = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&all));
        frames.send(&request).await;
        let about = |frame: &Frame| match frame.kind {
            RST_STREAM | HEADERS => frame.stream == 1,
            kind => kind == GOAWAY,
        };
        let first = frames.until(about).await.unwrap();
        let passed = first.status() == Some(200);
        if first.kind == HEADERS && !passed {
            let data = frames.until(|frame| frame.kind == DATA).await.unwrap();
            let text = String::from_utf8_lossy(&data.payload).into_owned();
            assert!(text.contains("\"reason\":"), "{head:?}: {text}");
            refused += 1;
        }
        let arrived = upstream.arrived().split_off(before);
        // `http` cuts a fragment off: nobody here or behind sees it.
        let cut = head[0].1.contains('#') && head.len() == 1;
        if passed != cut || arrived.len() != usize::from(cut) {
            wrong.push(format!("{head:?}: {first:?} {arrived:?}"));
        }
        for request in arrived {
            assert!(!request.line.contains('#'), "{request:?}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let records = palisade.audit_where(refused, |record| record["outcome"] == "denied");
    assert!(records.iter().all(|record| record["reason"].is_string()));
    assert_eq!(upstream.broken(), 0);
    // Refusals carry what every answer carries.
    let ask = Ask::call().field("x-own", "a\t");
    let answer = palisade.client().ask(Protocol::Http2, &ask).await;
    assert_eq!(
        (answer.status, answer.reason().as_deref()),
        (400, Some("request.malformed"))
    );
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(upstream.of_case(&answer.case).is_empty());
}

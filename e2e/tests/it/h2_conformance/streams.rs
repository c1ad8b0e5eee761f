//! The states of streams: RFC 9113 section 5.

use super::Expect::{Connection, Fine, Served, Stream};
use super::{Case, PROTOCOL_ERROR, STREAM_CLOSED, get, post, reset, update};
use e2e::wire::frames::{CONTINUATION, DATA, HEADERS, PRIORITY, frame, request_block};

pub(super) fn cases() -> Vec<Case> {
    let half = request_block("GET", "/mcp", &[]);
    vec![
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
    ]
}

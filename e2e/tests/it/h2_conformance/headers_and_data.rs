//! DATA, HEADERS and CONTINUATION: RFC 9113 sections 6.1, 6.2 and 6.10.

use super::Expect::{Connection, Served};
use super::{CALL, Case, FRAME_SIZE_ERROR, PROTOCOL_ERROR, begun, get, post};
use e2e::wire::frames::{
    CONTINUATION, DATA, END_STREAM, HEADERS, PADDED, WITH_PRIORITY, frame, request_block,
};

pub(super) fn cases() -> Vec<Case> {
    let half = request_block("GET", "/mcp", &[]);
    let (one, two) = half.split_at(20);
    let padded = |padding: u8, content: &[u8]| {
        let zeros = vec![0; usize::from(padding)];
        [&[padding], content, &zeros].concat()
    };
    vec![
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

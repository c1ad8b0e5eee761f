//! Frames and header blocks: RFC 9113 section 4.

use super::Expect::{Connection, Fine, Refused, Served};
use super::{Case, FRAME_SIZE_ERROR, PROTOCOL_ERROR, begun, get, post, reset};
use e2e::wire::frames::{DATA, HEADERS, PING, PRIORITY, SETTINGS, frame, request_block};

pub(super) fn cases() -> Vec<Case> {
    let half = request_block("GET", "/mcp", &[]);
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
    ]
}

//! The frames that carry no message: RFC 9113 sections 6.3 to 6.9.

use super::Expect::{Connection, Fine, Served, Stream};
use super::{
    CALL, Case, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, PROTOCOL_ERROR, get, post, reset, settings,
    update,
};
use e2e::wire::frames::{
    ACK, DATA, GOAWAY, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame,
    request_block,
};

pub(super) fn cases() -> Vec<Case> {
    let half = request_block("GET", "/mcp", &[]);
    vec![
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
    ]
}

use super::*;
use proptest::prelude::*;
use std::time::Duration;

const PROTOCOL_ERROR: u32 = 0x1;
const FLOW_CONTROL_ERROR: u32 = 0x3;
const STREAM_CLOSED: u32 = 0x5;

const BLOCK: u32 = 64 * 1024;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

fn opening() -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(frame::SETTINGS, 0, 0, &[]));
    bytes
}

fn request(stream: u32) -> Vec<u8> {
    let flags = frame::END_HEADERS | frame::END_STREAM;
    frame(frame::HEADERS, flags, stream, b"block")
}

fn meter() -> (FrameMeter, Instant) {
    let now = Instant::now();
    let mut meter = FrameMeter::new(BLOCK, now);
    meter.received(&opening(), now).unwrap();
    (meter, now)
}

/// The verdict on `frames` after the opening, all at once.
fn verdict(frames: &[Vec<u8>]) -> Option<Violation> {
    let (mut meter, now) = meter();
    meter
        .received(&frames.concat(), now)
        .err()
        .map(|(_, violation)| violation)
}

// REQ: R-3
#[test]
fn frame_rules() {
    use Violation::{Continuation, FlowControl, FrameSize, Protocol};
    let open = request(1);
    let begun = frame(frame::HEADERS, 0, 1, b"b");
    let goes_on =
        |stream, flags, payload: &[u8]| frame(frame::CONTINUATION, flags, stream, payload);
    let window = 0x8000_0000_u32.to_be_bytes();
    for (name, frames, expected) in [
        ("a request", vec![open.clone()], None),
        ("DATA on 0", vec![frame(0, 0, 0, b"x")], Some(Protocol)),
        (
            "DATA on an idle stream",
            vec![frame(0, 0, 1, b"x")],
            Some(Protocol),
        ),
        (
            "DATA on an even stream",
            vec![open.clone(), frame(0, 0, 2, b"x")],
            Some(Protocol),
        ),
        ("HEADERS on 0", vec![frame(1, 4, 0, b"x")], Some(Protocol)),
        (
            "HEADERS on an even stream",
            vec![frame(1, 4, 2, b"x")],
            Some(Protocol),
        ),
        (
            "PRIORITY on 0",
            vec![frame(2, 0, 0, &[0; 5])],
            Some(Protocol),
        ),
        (
            "PRIORITY of 4",
            vec![frame(2, 0, 1, &[0; 4])],
            Some(FrameSize),
        ),
        (
            "PRIORITY on an idle stream",
            vec![frame(2, 0, 9, &[0; 5])],
            None,
        ),
        (
            "RST_STREAM on 0",
            vec![frame(3, 0, 0, &[0; 4])],
            Some(Protocol),
        ),
        (
            "RST_STREAM on an idle stream",
            vec![frame(3, 0, 1, &[0; 4])],
            Some(Protocol),
        ),
        (
            "RST_STREAM of 3",
            vec![open.clone(), frame(3, 0, 1, &[0; 3])],
            Some(FrameSize),
        ),
        (
            "RST_STREAM",
            vec![open.clone(), frame(3, 0, 1, &[0; 4])],
            None,
        ),
        ("SETTINGS on 1", vec![frame(4, 0, 1, &[])], Some(Protocol)),
        (
            "SETTINGS of 5",
            vec![frame(4, 0, 0, &[0; 5])],
            Some(FrameSize),
        ),
        (
            "SETTINGS ACK with content",
            vec![frame(4, 1, 0, &[0; 6])],
            Some(FrameSize),
        ),
        (
            "a window too large",
            vec![frame(4, 0, 0, &[&[0, 4], &window[..]].concat())],
            Some(FlowControl),
        ),
        (
            "an unknown setting",
            vec![frame(4, 0, 0, &[&[0xfa, 0xfa], &window[..]].concat())],
            None,
        ),
        (
            "PUSH_PROMISE",
            vec![open.clone(), frame(5, 4, 1, &[0; 4])],
            Some(Protocol),
        ),
        ("PING on 1", vec![frame(6, 0, 1, &[0; 8])], Some(Protocol)),
        ("PING of 7", vec![frame(6, 0, 0, &[0; 7])], Some(FrameSize)),
        ("GOAWAY on 1", vec![frame(7, 0, 1, &[0; 8])], Some(Protocol)),
        (
            "GOAWAY of 7",
            vec![frame(7, 0, 0, &[0; 7])],
            Some(FrameSize),
        ),
        (
            "WINDOW_UPDATE of 3",
            vec![frame(8, 0, 0, &[0; 3])],
            Some(FrameSize),
        ),
        (
            "WINDOW_UPDATE on an idle stream",
            vec![frame(8, 0, 1, &[0; 4])],
            Some(Protocol),
        ),
        (
            "CONTINUATION alone",
            vec![goes_on(1, 4, b"")],
            Some(Protocol),
        ),
        (
            "CONTINUATION on another",
            vec![begun.clone(), goes_on(3, 4, b"")],
            Some(Protocol),
        ),
        (
            "PING in a block",
            vec![begun.clone(), frame(6, 0, 0, &[0; 8])],
            Some(Protocol),
        ),
        (
            "an unknown kind in a block",
            vec![begun.clone(), frame(0xbb, 0, 0, b"")],
            Some(Protocol),
        ),
        (
            "a block in two",
            vec![begun.clone(), goes_on(1, 4, b"lock")],
            None,
        ),
        (
            "a frame too large",
            vec![frame(0xbb, 0, 0, &[0; 16_385])],
            Some(FrameSize),
        ),
        (
            "the largest frame",
            vec![frame(0xbb, 0, 0, &[0; 16_384])],
            None,
        ),
        (
            "the reserved bit",
            vec![frame(1, 5, 0x8000_0001, b"b"), frame(3, 0, 1, &[0; 4])],
            None,
        ),
        (
            "a block too large",
            std::iter::once(begun)
                .chain((0..5).map(|_| goes_on(1, 0, &[0; 16_384])))
                .collect(),
            Some(Continuation),
        ),
    ] {
        assert_eq!(verdict(&frames), expected, "{name}");
    }
}

// REQ: R-3
#[test]
fn it_begins_with_the_preface_and_settings() {
    for (bytes, expected) in [
        (opening(), None),
        (b"GET / HTTP/1.1\r\n".to_vec(), Some(Violation::Protocol)),
        (
            b"PRI * HTTP/2.0\r\n\r\nSN".to_vec(),
            Some(Violation::Protocol),
        ),
        (
            [&PREFACE[..], &request(1)].concat(),
            Some(Violation::Protocol),
        ),
        (
            [&PREFACE[..], &frame(4, 1, 0, &[])].concat(),
            Some(Violation::Protocol),
        ),
    ] {
        let mut meter = FrameMeter::new(BLOCK, Instant::now());
        let verdict = meter.received(&bytes, Instant::now());
        assert_eq!(verdict.err().map(|(_, violation)| violation), expected);
        assert_eq!(meter.is_ready(), expected.is_none());
    }
}

/// How many of `frames` are taken, each told `between` its own and the next.
fn taken(
    meter: &mut FrameMeter,
    now: Instant,
    frames: impl Iterator<Item = Vec<u8>>,
) -> (usize, Option<Violation>) {
    let mut count = 0;
    for frame in frames.take(100_000) {
        if let Err((_, violation)) = meter.received(&frame, now) {
            return (count, Some(violation));
        }
        count += 1;
    }
    (count, None)
}

// REQ: R-3
#[test]
fn floods_are_ended_early() {
    let odd = |n: u32| 2 * n + 1;
    let reset = |n| [request(odd(n)), frame(3, 0, odd(n), &[0, 0, 0, 8])].concat();
    let unknown = frame(0xbb, 0, 0, &[0; 16_000]);
    let begun = frame(frame::HEADERS, 0, 1, b"b");
    let body = frame(frame::HEADERS, frame::END_HEADERS, 1, b"b");
    type Flood = Box<dyn Fn(u32) -> Vec<u8>>;
    let always = |frame: Vec<u8>| -> Flood { Box::new(move |_| frame.clone()) };
    for (first, flood, most, expected) in [
        (None, always(frame(4, 0, 0, &[])), 64, Violation::Settings),
        (None, always(frame(4, 1, 0, &[])), 64, Violation::Settings),
        (
            None,
            always(frame(4, 0, 0, &[0; 16_380])),
            1,
            Violation::Settings,
        ),
        (None, always(frame(6, 0, 0, &[0; 8])), 256, Violation::Ping),
        (
            None,
            always(frame(2, 0, 1, &[0; 5])),
            256,
            Violation::Priority,
        ),
        (
            None,
            always(frame(0x10, 0, 0, &[0; 4])),
            256,
            Violation::Priority,
        ),
        (
            None,
            always(frame(7, 0, 0, &[0; 8])),
            64,
            Violation::Settings,
        ),
        (
            None,
            always(frame(8, 0, 0, &[0, 0, 0, 1])),
            2048,
            Violation::WindowUpdate,
        ),
        (
            None,
            always(frame(0xbb, 0, 0, &[])),
            256,
            Violation::Unknown,
        ),
        (None, always(unknown), 17, Violation::Unknown),
        (None, Box::new(reset), 256, Violation::Reset),
        (
            Some(body.clone()),
            always(frame(0, 0, 1, &[])),
            65,
            Violation::EmptyData,
        ),
        (
            Some(body),
            always(frame(0, 8, 1, &[3, 0, 0, 0])),
            65,
            Violation::EmptyData,
        ),
        (
            Some(begun),
            always(frame(9, 0, 1, &[])),
            4,
            Violation::Continuation,
        ),
    ] {
        let (mut meter, now) = meter();
        if let Some(first) = first {
            meter.received(&first, now).unwrap();
        }
        let (count, violation) = taken(&mut meter, now, (0..).map(flood));
        assert_eq!(violation, Some(expected));
        assert!(count <= most, "{expected}: {count}");
    }
}

// REQ: R-3
#[test]
fn resets_that_a_client_provokes_are_counted_on_our_side() {
    for (code, expected, most) in [
        (PROTOCOL_ERROR, Some(Violation::ProvokedReset), 128),
        (STREAM_CLOSED, Some(Violation::ProvokedReset), 128),
        (FLOW_CONTROL_ERROR, Some(Violation::ProvokedReset), 128),
        (REFUSED_STREAM, Some(Violation::Streams), 256),
        // NO_ERROR, INTERNAL_ERROR, CANCEL: not the client's doing.
        (0, None, 1000),
        (2, None, 1000),
        (8, None, 1000),
    ] {
        let (mut meter, now) = meter();
        let ended = (0..1000).find(|n| {
            meter.received(&request(2 * n + 1), now).unwrap();
            meter.sent(&frame(3, 0, 2 * n + 1, &u32::to_be_bytes(code)), now);
            meter.violation().is_some()
        });
        assert_eq!(meter.violation(), expected, "{code}");
        assert!(ended.is_none_or(|ended| ended <= most), "{code}: {ended:?}");
    }
}

// REQ: R-3
#[test]
fn honest_clients_are_let_be() {
    // A large download, in frames of 16 KiB, with two WINDOW_UPDATEs and a PING for each.
    let (mut meter, now) = meter();
    meter.received(&request(1), now).unwrap();
    meter.sent(&frame(1, 4, 1, b"h"), now);
    let answer = frame(0, 0, 1, &[0; 16_384]);
    let update = frame(8, 0, 1, &[0, 0, 64, 0]);
    for _ in 0..100_000 {
        meter.sent(&answer, now);
        meter.received(&update, now).unwrap();
        meter.received(&update, now).unwrap();
        meter.received(&frame(6, 0, 0, &[0; 8]), now).unwrap();
    }
    // Small events, each acknowledged twice.
    for _ in 0..100_000 {
        meter.sent(&frame(0, 0, 1, b"data: 1\n\n"), now);
        meter.received(&update, now).unwrap();
        meter.received(&update, now).unwrap();
    }
    // Streams cancelled after their answer began, without end; before it, as many as were
    // answered.
    let mut id = 3;
    for round in 0..20_000 {
        meter.received(&request(id), now).unwrap();
        if round % 2 == 0 {
            meter.sent(&frame(1, 5, id, b"h"), now);
        } else {
            meter
                .received(&frame(3, 0, id, &[0, 0, 0, 8]), now)
                .unwrap();
        }
        id += 2;
    }
    // A hundred at once, every four seconds.
    let mut later = now;
    for _ in 0..1000 {
        later += Duration::from_secs(4);
        for _ in 0..100 {
            meter.received(&request(id), later).unwrap();
            meter
                .received(&frame(3, 0, id, &[0, 0, 0, 8]), later)
                .unwrap();
            id += 2;
        }
    }
    // One that lives for a day and is asked for life once a minute.
    for _ in 0..1440 {
        later += Duration::from_secs(60);
        meter.received(&frame(6, 1, 0, &[0; 8]), later).unwrap();
        meter.received(&frame(4, 0, 0, &[]), later).unwrap();
    }
    assert_eq!(meter.open(), 1);
}

// REQ: R-3
#[test]
fn what_is_unfinished_and_idle_and_blocked() {
    let now = Instant::now();
    let after = |seconds| now + Duration::from_secs(seconds);
    let mut meter = FrameMeter::new(BLOCK, now);
    assert!(!meter.is_ready());
    meter.received(&opening(), now).unwrap();
    assert!(meter.is_ready());
    assert_eq!(
        (meter.unfinished_since(), meter.idle_since()),
        (None, Some(now))
    );
    // A frame header that comes byte by byte keeps its time.
    let headers = frame(1, 0, 1, b"block");
    for (second, byte) in headers.iter().enumerate() {
        meter.received(&[*byte], after(second as u64)).unwrap();
        assert_eq!(meter.unfinished_since(), Some(now));
    }
    // So does the block, until its end.
    meter.received(&frame(9, 0, 1, b"more"), after(60)).unwrap();
    assert_eq!(meter.unfinished_since(), Some(now));
    meter.received(&frame(9, 4, 1, b"end"), after(61)).unwrap();
    assert_eq!(meter.unfinished_since(), None);
    assert_eq!((meter.open(), meter.idle_since()), (1, None));
    // A body has a time of its own.
    meter
        .received(&frame(0, 1, 1, b"body")[..11], after(62))
        .unwrap();
    assert_eq!(meter.unfinished_since(), None);
    meter.received(b"dy", after(63)).unwrap();
    // Another frame that began later begins its own time.
    meter.received(&[0, 0, 8, 6], after(64)).unwrap();
    assert_eq!(meter.unfinished_since(), Some(after(64)));
    let rest = [&[0; 13][..], &[0, 0, 8]].concat();
    meter.received(&rest, after(65)).unwrap();
    assert_eq!(meter.unfinished_since(), Some(after(65)));
    meter
        .received(&[&[6][..], &[0; 13]].concat(), after(66))
        .unwrap();
    // Stands still until we send on it, and is over with both ends.
    assert_eq!(meter.still_since(0), Some(after(8)));
    meter.sent(&frame(1, 4, 1, b"h"), after(70));
    assert_eq!(
        (meter.still_since(0), meter.still_since(1)),
        (Some(after(70)), None)
    );
    meter.sent(&frame(0, 1, 1, b"h"), after(71));
    assert_eq!((meter.open(), meter.idle_since()), (0, Some(after(71))));
    // Blocked since the first try.
    meter.blocked(after(80));
    meter.blocked(after(90));
    assert_eq!(meter.blocked_since(), Some(after(80)));
    meter.sent(b"\0", after(91));
    assert_eq!(meter.blocked_since(), None);
    assert_eq!(meter.goaway(0), None, "inside a frame of ours");
}

// REQ: R-3
#[test]
fn who_reads_nothing_is_not_read_for_ever() {
    let (mut meter, now) = meter();
    meter.received(&frame(1, 4, 1, b"b"), now).unwrap();
    meter.blocked(now);
    let data = (0..).map(|_| frame(0, 0, 1, b"x"));
    assert_eq!(taken(&mut meter, now, data).1, None);
    let ids = (1..).map(|n| request(2 * n + 1));
    let (count, violation) = taken(&mut meter, now, ids);
    assert_eq!((count, violation), (2000, Some(Violation::Unread)));
}

#[test]
fn goaway_names_the_last_stream() {
    let (mut meter, now) = meter();
    meter.received(&request(7), now).unwrap();
    let goaway = meter.goaway(Violation::Ping.code()).unwrap();
    assert_eq!(goaway.to_vec(), frame(7, 0, 0, &[0, 0, 0, 7, 0, 0, 0, 0xb]));
    // What we said we would not answer does not count as open.
    meter.sent(&frame(7, 0, 0, &[0, 0, 0, 7, 0, 0, 0, 0]), now);
    meter.received(&request(9), now).unwrap();
    assert_eq!(meter.open(), 1);
}

/// Frames as an attacker mixes them.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![0_u8..=10, Just(0x10), any::<u8>()];
    let flags = prop_oneof![Just(0), Just(4), Just(5), any::<u8>()];
    let stream = prop_oneof![Just(0_u32), 1_u32..12, any::<u32>()];
    let length = prop_oneof![
        Just(0_usize),
        Just(4),
        Just(5),
        Just(6),
        Just(8),
        0_usize..40
    ];
    (kind, flags, stream, length, any::<u8>()).prop_map(|(kind, flags, stream, length, fill)| {
        frame(kind, flags, stream, &vec![fill; length])
    })
}

proptest! {
    // REQ: R-3
    #[test]
    fn split_anywhere_the_verdict_is_the_same(
        frames in proptest::collection::vec(any_frame(), 0..24),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        noise in proptest::collection::vec(any::<u8>(), 0..32),
    ) {
        let bytes = [opening(), frames.concat(), noise].concat();
        let now = Instant::now();
        let mut whole = FrameMeter::new(BLOCK, now);
        let expected = whole.received(&bytes, now);
        // Byte by byte.
        let mut single = FrameMeter::new(BLOCK, now);
        let got = bytes.iter().try_for_each(|byte| single.received(&[*byte], now));
        prop_assert_eq!(expected.map_err(|(_, v)| v), got.map_err(|(_, v)| v));
        prop_assert_eq!(whole.open(), single.open());
        if expected.is_ok() {
            prop_assert_eq!(whole.unfinished_since(), single.unfinished_since());
        }
        // In pieces: what stands before the frame in question is told rightly.
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let mut pieces = FrameMeter::new(BLOCK, now);
        for pair in cuts.windows(2) {
            match pieces.received(&bytes[pair[0]..pair[1]], now) {
                Ok(()) => {}
                Err((at, violation)) => {
                    let (whole_at, whole_violation) = expected.unwrap_err();
                    prop_assert_eq!(violation, whole_violation);
                    prop_assert_eq!((pair[0] + at).max(whole_at), pair[0] + at);
                    return Ok(());
                }
            }
        }
        prop_assert!(expected.is_ok());
    }

    // REQ: R-3
    #[test]
    fn any_bytes_are_read_without_a_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
        ours in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        let (mut meter, now) = meter();
        meter.sent(&ours, now);
        let _ = meter.received(&bytes, now);
        let _ = meter.goaway(0);
    }
}

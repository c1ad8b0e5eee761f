use super::super::corpus::{huffman, integer};
use super::super::hpack::tests::string;
use super::super::meter::FrameMeter;
use super::super::metered::metered;
use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const LIMITS: BlockLimits = BlockLimits {
    value: 4096,
    block: 2 * 4096 + 32 * 108,
};

const OPENING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// What hyper gets of these pieces, and the end.
fn passed<'a>(
    blocks: &mut Blocks,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<u8>, Option<Violation>) {
    let mut out = Vec::new();
    for piece in pieces {
        let (direct, violation) = blocks.pass(piece, Instant::now());
        out.extend(&piece[..direct]);
        out.extend(blocks.ready());
        blocks.given(blocks.ready().len());
        if violation.is_some() {
            return (out, violation);
        }
    }
    (out, None)
}

fn blocks() -> Blocks {
    let mut blocks = Blocks::new(LIMITS, Instant::now());
    assert_eq!(passed(&mut blocks, [OPENING]).0, OPENING);
    blocks
}

fn all(bytes: &[u8]) -> (Vec<u8>, Option<Violation>) {
    passed(&mut blocks(), [bytes])
}

/// Frames: kind, flags, stream and payload of each.
fn frames(mut bytes: &[u8]) -> Vec<(u8, u8, u32, &[u8])> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() {
        let head = Head::parse(*head);
        let (payload, rest) = rest.split_at(head.length as usize);
        frames.push((head.kind, head.flags, head.stream, payload));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    frames
}

/// A block in frames of so many bytes.
fn block_in(stream: u32, flags: u8, block: &[u8], size: usize) -> Vec<u8> {
    let mut pieces: Vec<&[u8]> = block.chunks(size).collect();
    let first = pieces.remove(0);
    let Some(last) = pieces.pop() else {
        return frame(1, flags | 4, stream, first);
    };
    let mut out = frame(1, flags, stream, first);
    for piece in pieces {
        out.extend(frame(9, 0, stream, piece));
    }
    out.extend(frame(9, 4, stream, last));
    out
}

/// `authorization`, not indexed.
fn credential(length: usize, coded: bool) -> Vec<u8> {
    let mut block = vec![0x0f, 8];
    string(&mut block, &vec![b'T'; length], coded);
    block
}

/// What stands in for it.
fn stand_in() -> Vec<u8> {
    let mut block = vec![0x0f, 8];
    string(&mut block, &[b'a'; 4097], false);
    block
}

// REQ: R-3
#[test]
fn blocks_of_one_frame_go_on_as_they_are_and_others_in_few_frames() {
    let ping = frame(6, 0, 0, &[7; 8]);
    let data = frame(0, 0, 1, &[1; 16_384]);
    for (name, bytes, expected) in [
        ("one frame", frame(1, 5, 1, b"\x82"), None),
        ("padding", frame(1, 0xd, 1, b"\x02\x82\0\0"), None),
        (
            "two frames",
            block_in(1, 1, b"\x82\x84", 1),
            Some(frame(1, 5, 1, b"\x82\x84")),
        ),
        (
            "empty ones",
            [
                frame(1, 1, 1, b""),
                frame(9, 0, 1, b""),
                frame(9, 4, 1, b"\x82"),
            ]
            .concat(),
            Some(frame(1, 5, 1, b"\x82")),
        ),
        (
            "nothing",
            [frame(1, 1, 1, b""), frame(9, 4, 1, b"")].concat(),
            Some(frame(1, 5, 1, b"")),
        ),
        (
            "padding and a priority",
            [
                frame(1, 0x29, 1, b"\x03PRIOR\x82\x84\0\0\0"),
                frame(9, 0, 1, b"\x85"),
                frame(9, 4, 1, b"\x86"),
            ]
            .concat(),
            Some(frame(1, 0x25, 1, b"PRIOR\x82\x84\x85\x86")),
        ),
        (
            "nothing but padding",
            [frame(1, 8, 1, b"\x03\0\0\0"), frame(9, 4, 1, b"\x82")].concat(),
            Some(frame(1, 4, 1, b"\x82")),
        ),
        (
            "trailers",
            [
                frame(1, 4, 1, b"\x82"),
                block_in(1, 1, b"\x00\x01x\x01y", 2),
            ]
            .concat(),
            Some([frame(1, 4, 1, b"\x82"), frame(1, 5, 1, b"\x00\x01x\x01y")].concat()),
        ),
        // hyper refuses these.
        (
            "more padding than payload",
            frame(1, 8, 1, b"\x04\0\0\0"),
            None,
        ),
        ("no padding", frame(1, 8, 1, b""), None),
        ("no priority", frame(1, 0x20, 1, b"PRIO"), None),
        (
            "no priority behind padding",
            frame(1, 0x28, 1, b"\0PRIO"),
            None,
        ),
    ] {
        let bytes = [&ping[..], &bytes, &data, &ping].concat();
        let expected = expected.map(|expected| [&ping[..], &expected, &data, &ping].concat());
        let expected = expected.unwrap_or_else(|| bytes.clone());
        assert_eq!(all(&bytes), (expected.clone(), None), "{name}");
        for at in (0..80.min(bytes.len())).chain(bytes.len() - 30..bytes.len()) {
            let (one, two) = bytes.split_at(at);
            let out = passed(&mut blocks(), [one, two]);
            assert_eq!(out, (expected.clone(), None), "{name} at {at}");
        }
        let out = passed(&mut blocks(), bytes.chunks(1));
        assert_eq!(out, (expected, None), "{name}");
    }
    // One frame takes the way without a copy.
    let bytes = [frame(1, 5, 1, b"\x82"), data].concat();
    assert_eq!(blocks().pass(&bytes, Instant::now()), (bytes.len(), None));
}

// REQ
#[test]
fn a_large_value_is_dropped_as_it_comes() {
    for length in [4097, 20_000, 1 << 20, 2 << 20] {
        for coded in [false, true] {
            let block = [b"\x82", &credential(length, coded)[..], b"\x84"].concat();
            let bytes = block_in(1, 1, &block, 16_384);
            let expected = [b"\x82", &stand_in()[..], b"\x84"].concat();
            let expected = frame(1, 5, 1, &expected);
            let mut blocks = blocks();
            assert_eq!(passed(&mut blocks, bytes.chunks(10_000)), (expected, None));
            assert_eq!(blocks.large(), 1);
        }
    }
    // As much as a value may have is looked at; of the path, the beginning is one.
    let fits = [b"\x82", &credential(4096, true)[..]].concat();
    assert_eq!(all(&block_in(1, 1, &fits, 900)).0, frame(1, 5, 1, &fits));
    let mut path = vec![0x04];
    string(&mut path, &[b'/'; 9000], false);
    let out = all(&block_in(1, 1, &path, 900)).0;
    assert!(
        out.starts_with(b"\x00\x10\x05\x01\x05\x00\x00\x00\x01\x04\x7f\x82\x1f/aaa"),
        "{out:?}"
    );
    let mut path = b"\x40\x05:path".to_vec();
    string(&mut path, &[b'/'; 9000], true);
    let out = all(&block_in(1, 1, &path, 900)).0;
    assert!(
        out[9..].starts_with(b"\x40\x05:path\x7f\x82\x1f/aaa"),
        "{out:?}"
    );
    // Split anywhere, it is the same.
    let block = [b"\x82", &credential(5000, true)[..], b"\x84"].concat();
    let bytes = block_in(1, 0x20, &[b"PRIOR", &block[..]].concat(), 1000);
    let whole = all(&bytes);
    for at in 0..bytes.len() {
        let (one, two) = bytes.split_at(at);
        assert_eq!(passed(&mut blocks(), [one, two]), whole, "{at}");
    }
    // A block of one frame that could hold one is looked at, too.
    let out = all(&frame(1, 5, 1, &credential(6000, false))).0;
    assert_eq!(out, frame(1, 5, 1, &stand_in()));
    // One that ends inside of it is not made whole.
    let block = &credential(9000, false)[..7000];
    let short = stand_in();
    let out = all(&block_in(1, 1, block, 3000)).0;
    assert_eq!(out, frame(1, 5, 1, &short[..short.len() - 1]));
}

// REQ: R-3
#[test]
fn what_is_too_much_ends_the_connection() {
    use Violation::{Continuation, HeaderList};
    let many = |count: usize| {
        let request = |n: usize| block_in(2 * n as u32 + 1, 1, &credential(9000, false), 8000);
        (0..count).flat_map(request).collect::<Vec<_>>()
    };
    let small = |count: usize| {
        let fields = b"\x00\x01x\x01y".repeat(count);
        block_in(1, 1, &fields, fields.len().div_ceil(3))
    };
    let most = LIMITS.block as usize;
    let trailers = frame(1, 4, 1, b"\x82");
    for (name, bytes, expected) in [
        ("many fields", small(most / 5), None),
        ("more fields", small(most / 5 + 1), Some(Continuation)),
        ("small frames", block_in(1, 1, &[0x82; 65], 1), None),
        (
            "more small frames",
            block_in(1, 1, &[0x82; 66], 1),
            Some(Continuation),
        ),
        (
            "a value in 8 KiB",
            block_in(1, 1, &credential(2 << 20, false), 8200),
            None,
        ),
        (
            "a value in small frames",
            block_in(1, 1, &credential(1 << 20, false), 4096),
            Some(Continuation),
        ),
        (
            "a value too large",
            block_in(1, 1, &credential((2 << 20) + 1, false), 16_384),
            Some(Continuation),
        ),
        (
            "values too large together",
            block_in(1, 1, &credential((1 << 20) + 1, false).repeat(2), 16_384),
            Some(Continuation),
        ),
        (
            "two values",
            block_in(1, 1, &credential(1 << 20, false).repeat(2), 16_384),
            None,
        ),
        (
            "three values",
            block_in(1, 1, &credential(9000, false).repeat(3), 8000),
            Some(Continuation),
        ),
        ("values", many(8), None),
        ("more values", many(9), Some(HeaderList)),
        (
            "a name too large",
            block_in(
                1,
                1,
                &[&b"\x40\x7f\xff\xff\x07"[..], &[b'x'; 60_000]].concat(),
                16_384,
            ),
            Some(Continuation),
        ),
        (
            "a string that no decoder takes",
            block_in(
                1,
                1,
                &[&b"\x57\x7f\xff\xff\xff\xff\x07"[..], &[b'x'; 60_000]].concat(),
                16_384,
            ),
            Some(Continuation),
        ),
        (
            "trailers",
            [
                trailers,
                block_in(1, 1, &credential(1 << 20, false), 16_384),
            ]
            .concat(),
            Some(Continuation),
        ),
    ] {
        for piece in [1000, bytes.len()] {
            let (out, violation) = passed(&mut blocks(), bytes.chunks(piece));
            assert_eq!(violation, expected, "{name}");
            assert!(out.len() < 9 * 4200 + 20_000, "{name}");
        }
    }
}

/// One field as a client may send it.
#[derive(Clone, Debug)]
struct Field {
    name: usize,
    value: Vec<u8>,
    /// With indexing, without, never.
    way: u8,
    name_coded: bool,
    value_coded: bool,
    /// Whether the tables are used.
    indexes: bool,
}

/// The names of fields, and where they are in the static table.
const NAMES: [(&str, usize); 5] = [
    ("authorization", 23),
    ("cookie", 32),
    ("user-agent", 58),
    ("x-a", 0),
    ("x-b", 0),
];

fn field() -> impl Strategy<Value = Field> {
    let length = prop_oneof![
        6 => 0_usize..30,
        2 => 30_usize..400,
        1 => 4090_usize..4100,
        1 => 4097_usize..40_000,
    ];
    let letters = prop::sample::select(b"aeT9.-_~/+\\{\xc3\xff".to_vec());
    let value = (length, prop::collection::vec(letters, 1..6))
        .prop_map(|(length, letters)| letters.into_iter().cycle().take(length).collect());
    let way = prop::sample::select(vec![0x40_u8, 0x40, 0x00, 0x10]);
    (0..NAMES.len(), value, way, any::<[bool; 3]>()).prop_map(|(name, value, way, bools)| Field {
        name,
        value,
        way,
        name_coded: bools[0],
        value_coded: bools[1],
        indexes: bools[2],
    })
}

/// A request: fields, the size that the table is set to, and how the block is cut: the lengths of its frames'
/// payloads, padding and priority.
#[derive(Clone, Debug)]
struct Sent {
    fields: Vec<Field>,
    table: Option<usize>,
    cuts: Vec<usize>,
    padding: Option<u8>,
    priority: bool,
}

fn sent() -> impl Strategy<Value = Sent> {
    (
        prop::collection::vec(field(), 0..6),
        prop::option::weighted(0.2, 0_usize..=4096),
        prop::collection::vec(0_usize..8000, 0..5),
        prop::option::of(any::<u8>()),
        any::<bool>(),
    )
        .prop_map(|(mut fields, table, cuts, padding, priority)| {
            // More in one block are for another test.
            let mut large = 0;
            fields.retain(|field| {
                large += u32::from(field.value.len() > 1000);
                field.value.len() <= 1000 || large <= 1
            });
            Sent {
                fields,
                table,
                cuts,
                padding,
                priority,
            }
        })
}

/// The dynamic table of a client.
#[derive(Default)]
struct Table {
    entries: VecDeque<(String, Vec<u8>)>,
    size: usize,
}

impl Table {
    fn evict(&mut self) {
        let used = |entries: &VecDeque<(String, Vec<u8>)>| -> usize {
            entries
                .iter()
                .map(|(name, value)| name.len() + value.len() + 32)
                .sum()
        };
        while used(&self.entries) > self.size {
            self.entries.pop_back();
        }
    }

    fn encode(&mut self, sent: &Sent) -> Vec<u8> {
        let mut block = Vec::new();
        if let Some(size) = sent.table {
            integer(&mut block, 0x20, 5, size);
            self.size = size;
            self.evict();
        }
        // GET, https, /, localhost.
        block.extend([0x82, 0x87, 0x84, 0x01]);
        string(&mut block, b"localhost", true);
        for field in &sent.fields {
            let (name, index) = NAMES[field.name];
            let there = |entry: &(String, Vec<u8>)| entry.0 == name && entry.1 == field.value;
            let whole = self.entries.iter().position(there);
            if let Some(at) = whole.filter(|_| field.indexes) {
                integer(&mut block, 0x80, 7, 62 + at);
                continue;
            }
            let known = self.entries.iter().position(|entry| entry.0 == name);
            let index = known.filter(|_| field.indexes).map_or(index, |at| 62 + at);
            let prefix = if field.way == 0x40 { 6 } else { 4 };
            integer(&mut block, field.way, prefix, index);
            if index == 0 {
                string(&mut block, name.as_bytes(), field.name_coded);
            }
            string(&mut block, &field.value, field.value_coded);
            if field.way == 0x40 {
                self.entries
                    .push_front((name.to_owned(), field.value.clone()));
                self.evict();
            }
        }
        block
    }
}

/// The frames of a request.
fn frames_of(sent: &Sent, stream: u32, block: &[u8]) -> Vec<u8> {
    let mut payloads = Vec::new();
    let mut rest = block;
    for cut in &sent.cuts {
        let (payload, behind) = rest.split_at(rest.len().min(*cut));
        payloads.push(payload);
        rest = behind;
    }
    payloads.extend(rest.chunks(16_000));
    // Of empty ones behind HEADERS there may only be a few in the life of a connection.
    let first = payloads.first().copied();
    payloads.retain(|payload| !payload.is_empty());
    if first.is_some_and(<[u8]>::is_empty) {
        payloads.insert(0, b"");
    }
    if payloads.is_empty() {
        payloads.push(b"");
    }
    let count = payloads.len();
    let mut out = Vec::new();
    for (n, payload) in payloads.into_iter().enumerate() {
        let end = if n + 1 == count {
            frame::END_HEADERS
        } else {
            0
        };
        if n > 0 {
            out.extend(frame(frame::CONTINUATION, end, stream, payload));
            continue;
        }
        let mut flags = end | frame::END_STREAM;
        let mut whole = Vec::new();
        if let Some(padding) = sent.padding {
            flags |= frame::PADDED;
            whole.push(padding);
        }
        if sent.priority {
            flags |= frame::WITH_PRIORITY;
            whole.extend([0, 0, 0, 0, 7]);
        }
        whole.extend(payload);
        whole.extend(vec![0; sent.padding.map_or(0, usize::from)]);
        out.extend(frame(frame::HEADERS, flags, stream, &whole));
    }
    out
}

/// A client that has sent everything, in pieces; what it is told is dropped.
struct Pieces(VecDeque<Vec<u8>>);

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(piece) = self.0.front_mut() else {
            return Poll::Pending;
        };
        let length = piece.len().min(buffer.remaining());
        buffer.put_slice(&piece[..length]);
        piece.drain(..length);
        if piece.is_empty() {
            self.0.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pieces {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What h2 makes of a client's bytes behind a meter: the fields of each of so many requests.
fn heard(bytes: &[u8], piece: usize, count: usize) -> Vec<Vec<(String, Vec<u8>)>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let pieces = Pieces(bytes.chunks(piece).map(<[u8]>::to_vec).collect());
        let now = Instant::now();
        // Coded, a value of rare letters is more than three times as long.
        let limits = BlockLimits {
            block: 4 * LIMITS.block,
            ..LIMITS
        };
        let meter = FrameMeter::new(limits.block + MOST_DROPPED, now);
        let (stream, home) = metered(pieces, meter, Blocks::new(limits, now));
        let mut builder = h2::server::Builder::new();
        builder
            .max_header_list_size(LIMITS.block)
            .header_table_size(4096);
        let hearing = async {
            let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
            let mut all = Vec::new();
            while all.len() < count {
                let (request, _) = connection.accept().await.unwrap().unwrap();
                assert_eq!(request.uri(), "https://localhost/");
                let fields = request.headers().iter();
                let fields =
                    fields.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
                let mut fields: Vec<_> = fields.collect();
                fields.sort();
                all.push(fields);
            }
            all
        };
        let heard = tokio::time::timeout(Duration::from_secs(2), hearing).await;
        heard.unwrap_or_else(|_| {
            let meter = home.meter();
            panic!("no answer: {:?} {:?}", meter.violation(), meter.frames())
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    // REQ
    #[test]
    fn h2_reads_every_request_as_it_was_sent(
        sent in prop::collection::vec(sent(), 1..7),
        piece in 1_usize..20_000,
    ) {
        let mut table = Table { size: 4096, ..Table::default() };
        let mut bytes = OPENING.to_vec();
        let mut expected = Vec::new();
        for (n, sent) in sent.iter().enumerate() {
            let block = table.encode(sent);
            bytes.extend(frames_of(sent, 2 * n as u32 + 1, &block));
            let fields = sent.fields.iter().map(|field| {
                let value = match field.value.len() {
                    4097.. => vec![b'a'; 4097],
                    _ => field.value.clone(),
                };
                (NAMES[field.name].0.to_owned(), value)
            });
            let mut fields: Vec<_> = fields.collect();
            fields.sort();
            expected.push(fields);
        }
        let heard = heard(&bytes, piece, sent.len());
        prop_assert_eq!(heard, expected);
    }

    // REQ: R-3
    #[test]
    fn split_anywhere_any_block_is_the_same(
        block in prop::collection::vec(any::<u8>(), 0..600),
        cuts in prop::collection::vec(0_usize..200, 0..6),
        padding in prop::option::of(any::<u8>()),
        piece in 1_usize..100,
    ) {
        let sent = Sent { fields: vec![], table: None, cuts, padding, priority: false };
        let bytes = frames_of(&sent, 1, &block);
        let (whole, violation) = all(&bytes);
        prop_assert_eq!(passed(&mut blocks(), bytes.chunks(piece)), (whole.clone(), violation));
        if violation.is_some() {
            // A value is announced that is larger than any may be.
            prop_assert_eq!(violation, Some(Violation::Continuation));
            return Ok(());
        }
        // None of it is large, or it ends inside of what is.
        let frames = frames(&whole);
        if frames.len() == 1 && frames[0].1 & frame::PADDED == 0 && frames[0].3.len() < 1000 {
            prop_assert_eq!(frames[0].3, &block[..]);
        }
    }
}

#[test]
fn lengths_are_written_as_a_decoder_reads_them() {
    for length in [
        0,
        1,
        126,
        127,
        128,
        254,
        255,
        4097,
        32_769,
        1 << 20,
        1 << 27,
    ] {
        let mut expected = Vec::new();
        integer(&mut expected, 0, 7, length as usize);
        let (bytes, used) = string_length(length);
        assert_eq!(bytes[..used], expected, "{length}");
    }
    assert!(huffman(b"a").len() == 1);
}

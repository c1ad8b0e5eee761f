//! What must hold of every header block of HTTP/2 that comes in frames: what `Blocks` makes of it is what a
//! reading of RFC 7541 makes of it, written apart from it, and the same however it is split.
//!
//! A child of `listen::h2` in the gateway's tests, and of the fuzz target, which takes in those files by their
//! paths: so it sees what is private there, and needs nothing else of the gateway.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::blocks::{BlockLimits, Blocks};
use super::violation::Violation;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PING: [u8; 17] = *b"\0\0\x08\x06\0\0\0\0\0THE PING";

const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const WITH_PRIORITY: u8 = 0x20;

/// The first bytes choose the bound, the frames and the splits; the rest is the block.
pub(crate) fn check(data: &[u8]) {
    let Some(([bound, flags, size, piece], block)) = data.split_first_chunk::<4>() else {
        return;
    };
    let bound = 16 + u32::from(*bound);
    let limits = BlockLimits {
        value: bound,
        block: 4096,
    };
    let padding = usize::from(flags & PADDED != 0) * usize::from(flags >> 6);
    let sent = frames(block, *flags, padding, usize::from(*size) + 1);
    let bytes = [PREFACE, &sent, &PING].concat();
    let whole = passed(limits, [&bytes[..]]);
    let piece = usize::from(*piece) + 1;
    assert_eq!(
        passed(limits, bytes.chunks(piece)),
        whole,
        "in pieces of {piece}"
    );
    let (out, None) = whole else { return };
    let kept = bound / 8 * 5;
    let single = sent[4] & END_HEADERS != 0;
    let length = sent.len() - 9;
    if single && length <= kept as usize {
        // Nothing in it can be over the bound.
        assert_eq!(out, bytes);
        return;
    }
    let (mut expected, cut) = read(bound, block, |path| {
        let mut value = Vec::new();
        integer(&mut value, 0, 7, bound as usize + 1);
        value.push(if path { b'/' } else { b'a' });
        value.extend(vec![b'a'; bound as usize]);
        value
    });
    if cut {
        expected.pop();
    }
    let got = out
        .strip_prefix(PREFACE)
        .and_then(|out| out.strip_suffix(&PING));
    let (got, kept) = joined(got.expect("what stands round it goes on"));
    assert_eq!(got, expected);
    assert_eq!(kept, flags & (END_STREAM | WITH_PRIORITY));
}

/// A block in frames with so many bytes of it each.
fn frames(block: &[u8], flags: u8, padding: usize, size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut frame = |kind: u8, flags: u8, payload: &[u8]| {
        out.extend(&(payload.len() as u32).to_be_bytes()[1..]);
        out.extend([kind, flags, 0, 0, 0, 1]);
        out.extend(payload);
    };
    let mut pieces = block.chunks(size).peekable();
    let first = pieces.next().unwrap_or_default();
    let mut payload = Vec::new();
    if flags & PADDED != 0 {
        payload.push(padding as u8);
    }
    if flags & WITH_PRIORITY != 0 {
        payload.extend(b"PRIOR");
    }
    payload.extend(first);
    payload.extend(vec![0; padding]);
    let end = |last: bool| if last { END_HEADERS } else { 0 };
    let own = flags & (END_STREAM | PADDED | WITH_PRIORITY);
    frame(1, own | end(pieces.peek().is_none()), &payload);
    while let Some(piece) = pieces.next() {
        frame(9, end(pieces.peek().is_none()), piece);
    }
    out
}

/// The block of these frames, which are HEADERS and CONTINUATION, and flags of the first.
fn joined(mut bytes: &[u8]) -> (Vec<u8>, u8) {
    let (mut block, mut first) = (Vec::new(), None);
    loop {
        let (head, rest) = bytes.split_first_chunk::<9>().expect("a frame");
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        let (payload, rest) = rest.split_at(length);
        let priority = match first {
            None => usize::from(head[4] & WITH_PRIORITY != 0) * 5,
            Some(_) => 0,
        };
        assert_eq!((head[0], head[3]), (0, if first.is_none() { 1 } else { 9 }));
        assert_eq!(head[5..], [0, 0, 0, 1]);
        assert!(head[4] & PADDED == 0 && priority <= length);
        block.extend(&payload[priority..]);
        let flags = *first.get_or_insert(head[4]);
        bytes = rest;
        if head[4] & END_HEADERS != 0 {
            assert!(bytes.is_empty());
            return (block, flags & !END_HEADERS);
        }
    }
}

/// What hyper gets of these pieces, and the end.
fn passed<'a>(
    limits: BlockLimits,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<u8>, Option<Violation>) {
    let now = tokio::time::Instant::now();
    let mut blocks = Blocks::new(limits, now);
    let mut out = Vec::new();
    for piece in pieces {
        let (direct, violation) = blocks.pass(piece, now);
        out.extend(&piece[..direct]);
        out.extend(blocks.ready());
        blocks.given(blocks.ready().len());
        if violation.is_some() {
            return (out, violation);
        }
    }
    (out, None)
}

/// A block with a stand-in for each value over `bound`, told whether it is the path's; and whether it ends inside such a
/// value. The whole block at once, value by value, each decoded bit by bit.
pub(crate) fn read(
    bound: u32,
    block: &[u8],
    stand_in: impl Fn(bool) -> Vec<u8>,
) -> (Vec<u8>, bool) {
    fn number(block: &[u8], at: &mut usize, prefix: u32) -> Option<usize> {
        let mask = (1_usize << prefix) - 1;
        let mut number = usize::from(*block.get(*at)?) & mask;
        *at += 1;
        if number < mask {
            return Some(number);
        }
        for shift in [0, 7, 14, 21] {
            let byte = usize::from(*block.get(*at)?);
            *at += 1;
            number += (byte & 127) << shift;
            if byte < 128 {
                return Some(number);
            }
        }
        None
    }
    let is_coded = |at: usize| block.get(at).is_some_and(|first| *first >= 128);
    let (mut out, mut at) = (Vec::new(), 0);
    while at < block.len() {
        let start = at;
        let name = match block[at] {
            0x80.. => 7,
            0x40.. => 6,
            0x20.. => 5,
            _ => 4,
        };
        let Some(index) = number(block, &mut at, name) else {
            out.extend(&block[start..]);
            break;
        };
        if name == 7 || name == 5 {
            out.extend(&block[start..at]);
            continue;
        }
        let mut path = matches!(index, 4 | 5);
        if index == 0 {
            let coded = is_coded(at);
            let Some(length) = number(block, &mut at, 7) else {
                out.extend(&block[start..]);
                break;
            };
            let name = block.get(at..at + length).unwrap_or_default();
            path = match coded {
                true => name == huffman(b":path"),
                false => name == b":path",
            };
            at += length;
        }
        let value = at;
        let coded = is_coded(at);
        let length = number(block, &mut at, 7);
        let Some(length) = length else {
            out.extend(&block[start..]);
            break;
        };
        let rest = &block[at.min(block.len())..];
        let text = &rest[..length.min(rest.len())];
        at += length;
        let decoded = if coded { symbols(text) } else { length };
        if decoded > bound as usize {
            out.extend(&block[start..value]);
            out.extend(stand_in(path));
            if at > block.len() {
                return (out, true);
            }
        } else {
            out.extend(&block[start..at.min(block.len())]);
        }
    }
    (out, false)
}

/// How many symbols a Huffman-coded string has, by walking its bits.
fn symbols(text: &[u8]) -> usize {
    static KNOWN: LazyLock<HashSet<(u32, u32)>> =
        LazyLock::new(|| BITS.into_iter().zip(codes()).collect());
    let (mut code, mut bits, mut count) = (0, 0, 0);
    for byte in text {
        for bit in (0..8).rev() {
            code = code << 1 | u32::from(byte >> bit & 1);
            bits += 1;
            let end = (30, 0x3fff_ffff);
            if KNOWN.contains(&(bits, code)) || (bits, code) == end {
                (code, bits, count) = (0, 0, count + 1);
            }
        }
    }
    count
}

/// A string, Huffman-coded.
pub(crate) fn huffman(text: &[u8]) -> Vec<u8> {
    let codes = codes();
    let mut bits = Vec::new();
    for byte in text {
        let byte = usize::from(*byte);
        bits.extend((0..BITS[byte]).rev().map(|bit| codes[byte] >> bit & 1));
    }
    while !bits.len().is_multiple_of(8) {
        bits.push(1);
    }
    let byte = |bits: &[u32]| bits.iter().fold(0, |byte, bit| byte << 1 | *bit as u8);
    bits.chunks(8).map(byte).collect()
}

/// An integer behind `flags`, with a prefix of so many bits.
pub(crate) fn integer(out: &mut Vec<u8>, flags: u8, prefix: u32, number: usize) {
    let most = (1 << prefix) - 1;
    if number < most {
        out.push(flags | number as u8);
        return;
    }
    out.push(flags | most as u8);
    let mut rest = number - most;
    while rest >= 128 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The lengths of the codes for all bytes (RFC 7541 appendix B).
pub(crate) const BITS: [u32; 256] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

/// All codes, told by their lengths alone: shorter ones first, then by byte (RFC 7541 section 5.2).
pub(crate) fn codes() -> [u32; 256] {
    let mut order: Vec<usize> = (0..256).collect();
    order.sort_by_key(|byte| (BITS[*byte], *byte));
    let mut codes = [0; 256];
    let (mut next, mut bits) = (0, 5);
    for byte in order {
        next <<= BITS[byte] - bits;
        bits = BITS[byte];
        codes[byte] = next;
        next += 1;
    }
    codes
}

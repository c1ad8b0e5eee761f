use super::*;
use proptest::prelude::*;

/// The lengths of the codes for all bytes (RFC 7541 appendix B).
const BITS: [u32; 256] = [
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
fn codes() -> [u32; 256] {
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

/// A string, Huffman-coded.
pub(in super::super) fn huffman(text: &[u8]) -> Vec<u8> {
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
pub(in super::super) fn integer(out: &mut Vec<u8>, flags: u8, prefix: u32, number: usize) {
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

pub(in super::super) fn string(out: &mut Vec<u8>, text: &[u8], coded: bool) {
    let text = if coded { huffman(text) } else { text.to_vec() };
    integer(out, if coded { 0x80 } else { 0 }, 7, text.len());
    out.extend(text);
}

/// What stands for each value over the bound.
const LARGE: &[u8] = b"\x05LARGE";

/// What the walker makes of a block, in pieces of so many bytes, and whether it ends inside such a value.
fn walked(bound: u32, block: &[u8], piece: usize) -> (Vec<u8>, bool) {
    let mut walker = Walker::new(bound);
    let (mut out, mut mark) = (Vec::new(), None);
    for mut bytes in block.chunks(piece) {
        while !bytes.is_empty() {
            let taken = match walker.next(bytes) {
                Step::Keep(taken) => {
                    assert!(taken > 0);
                    out.extend(&bytes[..taken]);
                    taken
                }
                Step::Value => {
                    mark = Some(out.len());
                    0
                }
                Step::Large(large) => {
                    out.truncate(mark.unwrap());
                    out.extend(LARGE);
                    large.read
                }
                Step::Drop(taken) => {
                    assert!(taken > 0);
                    taken
                }
            };
            bytes = &bytes[taken..];
        }
    }
    (out, walker.is_dropping())
}

/// The same by another reading: the whole block at once, value by value, each decoded bit by bit.
fn read(bound: u32, block: &[u8]) -> (Vec<u8>, bool) {
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
    fn symbols(text: &[u8]) -> usize {
        let codes = codes();
        let known: std::collections::HashSet<(u32, u32)> = BITS.into_iter().zip(codes).collect();
        let (mut code, mut bits, mut count) = (0, 0, 0);
        for byte in text {
            for bit in (0..8).rev() {
                code = code << 1 | u32::from(byte >> bit & 1);
                bits += 1;
                let end = (30, 0x3fff_ffff);
                if known.contains(&(bits, code)) || (bits, code) == end {
                    (code, bits, count) = (0, 0, count + 1);
                }
            }
        }
        count
    }
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
        if index == 0 {
            let Some(length) = number(block, &mut at, 7) else {
                out.extend(&block[start..]);
                break;
            };
            at += length;
        }
        let value = at;
        let coded = block.get(at).is_some_and(|first| *first >= 128);
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
            out.extend(LARGE);
            if at > block.len() {
                return (out, true);
            }
        } else {
            out.extend(&block[start..at.min(block.len())]);
        }
    }
    (out, false)
}

#[test]
fn the_lengths_of_codes_are_those_of_the_rfc() {
    let codes = codes();
    // A few of RFC 7541 appendix B.
    for (byte, code, bits) in [
        (b'0', 0x0, 5),
        (b'a', 0x3, 5),
        (b'A', 0x21, 6),
        (b'~', 0x1ffd, 13),
        (b'\\', 0x7fff0, 19),
        (249, 0x0fff_fffe, 28),
        (22, 0x3fff_fffe, 30),
    ] {
        assert_eq!(
            (codes[usize::from(byte)], BITS[usize::from(byte)]),
            (code, bits)
        );
    }
    for byte in 0..256 {
        let code = u64::from(codes[byte]) << (32 - BITS[byte]);
        let below = (1_u64 << (32 - BITS[byte])) - 1;
        assert_eq!(
            (length(code), length(code | below)),
            (BITS[byte], BITS[byte])
        );
    }
    // RFC 7541 appendix C.4.1.
    let coded = [
        0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
    ];
    assert_eq!(huffman(b"www.example.com"), coded);
}

#[test]
fn what_is_over_the_bound_is_told_by_its_length() {
    let literal = |first: &[u8], coded, value: &[u8]| {
        let mut block = first.to_vec();
        string(&mut block, value, coded);
        block
    };
    let over = |first: &[u8]| [first, LARGE].concat();
    let (fits, large) = (vec![b'x'; 200], vec![b'x'; 201]);
    for (name, block, expected) in [
        ("nothing", vec![], vec![]),
        (
            "indexed",
            vec![0x82, 0xff, 0x80, 0x01],
            vec![0x82, 0xff, 0x80, 0x01],
        ),
        (
            "a size",
            vec![0x3f, 0xe1, 0x1f, 0x20],
            vec![0x3f, 0xe1, 0x1f, 0x20],
        ),
        (
            "as much",
            literal(&[0x57], false, &fits),
            literal(&[0x57], false, &fits),
        ),
        (
            "as much, coded",
            literal(&[0x57], true, &fits),
            literal(&[0x57], true, &fits),
        ),
        ("more", literal(&[0x57], false, &large), over(&[0x57])),
        ("more, coded", literal(&[0x57], true, &large), over(&[0x57])),
        (
            "never indexed",
            literal(&[0x1f, 8], false, &large),
            over(&[0x1f, 8]),
        ),
        (
            "not indexed",
            literal(&[0x0f, 8], true, &large),
            over(&[0x0f, 8]),
        ),
        (
            "a name",
            literal(b"\x10\x03x-a", true, &large),
            over(b"\x10\x03x-a"),
        ),
        (
            "no name",
            literal(b"\x40\x00", false, &large),
            over(b"\x40\x00"),
        ),
        (
            "a long name",
            literal(&[0x40], false, &large),
            literal(&[0x40], false, &large),
        ),
        // No decoder takes that (h2: five bytes).
        (
            "an integer that is too long",
            [&[0x57, 0x7f, 0xff, 0xff, 0xff, 0x80, 0x00][..], &large].concat(),
            [&[0x57, 0x7f, 0xff, 0xff, 0xff, 0x80, 0x00][..], &large].concat(),
        ),
    ] {
        for behind in [&b""[..], b"\x82\x57\x01x"] {
            let block = [&block[..], behind].concat();
            let mut expected = expected.clone();
            expected.extend(behind);
            for piece in [1, 2, 3, 1000] {
                assert_eq!(
                    walked(200, &block, piece),
                    (expected.clone(), false),
                    "{name}"
                );
            }
        }
    }
    // What ends inside of one says so.
    let block = literal(&[0x57], false, &large);
    assert!(walked(200, &block[..50], 7).1);
    assert!(!walked(200, &block, 7).1);
    // The path is known by the static table.
    for (index, path) in [(3, false), (4, true), (5, true), (6, false)] {
        let mut walker = Walker::new(10);
        assert_eq!(walker.next(&[0x40 | index]), Step::Keep(1));
        assert_eq!(walker.next(&[11]), Step::Value);
        let large = Large {
            read: 1,
            left: 11,
            path,
        };
        assert_eq!(walker.next(&[11]), Step::Large(large));
    }
}

/// Bytes that are no block, but look like one here and there.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(vec![0x40, 1, b'x', 0x7f, 0x10]),
        Just(vec![0x57, 0xa0]),
        Just(vec![0x82]),
        Just(vec![0xff; 9]),
        (0_usize..100, any::<bool>()).prop_map(|(length, coded)| {
            let mut out = vec![0x57];
            string(&mut out, &vec![b'e'; length], coded);
            out
        }),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    // REQ: R-3
    #[test]
    fn two_readings_of_any_bytes_are_one(block in anything(), bound in 0_u32..80, piece in 1_usize..50) {
        prop_assert_eq!(walked(bound, &block, piece), read(bound, &block));
    }
}

use super::super::corpus::{BITS, codes, huffman, integer, read};
use super::*;
use proptest::prelude::*;

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
    // The path is known by the static table, or by its letters.
    let coded = huffman(b":path");
    let spelt = |flag: u8, name: &[u8]| [&[0x40, flag | name.len() as u8], name].concat();
    for (name, path) in [
        (vec![0x43], false),
        (vec![0x44], true),
        (vec![0x05], true),
        (vec![0x46], false),
        (spelt(0, b":path"), true),
        (spelt(0x80, &coded), true),
        (spelt(0x80, b":path"), false),
        (spelt(0, &coded), false),
        (spelt(0, b":pata"), false),
        (spelt(0, b"xpath"), false),
        (spelt(0, b":path:path"), false),
        (spelt(0, b":pat"), false),
        // An entry of the dynamic table.
        (vec![0x7e], false),
    ] {
        let block = [&name[..], &[11]].concat();
        for piece in [1, 2, 100] {
            let mut walker = Walker::new(10);
            let mut seen = None;
            for mut bytes in block.chunks(piece) {
                while !bytes.is_empty() {
                    let taken = match walker.next(bytes) {
                        Step::Keep(taken) => taken,
                        Step::Value => 0,
                        Step::Large(large) => {
                            seen = Some(large);
                            large.read
                        }
                        Step::Drop(_) => panic!("there is nothing to drop"),
                    };
                    bytes = &bytes[taken..];
                }
            }
            let large = Large {
                read: 1,
                left: 11,
                path,
            };
            assert_eq!(seen, Some(large), "{name:?}");
        }
    }
}

/// Bytes that are no block, but look like one here and there.
fn anything() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(vec![0x40, 1, b'x', 0x7f, 0x10]),
        Just(vec![0x57, 0xa0]),
        Just(b"\x40\x05:path".to_vec()),
        Just(vec![0x40, 0x84, 0xb9, 0x58, 0xd3, 0x3f]),
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
        let expected = read(bound, &block, |_| LARGE.to_vec());
        prop_assert_eq!(walked(bound, &block, piece), expected);
    }
}

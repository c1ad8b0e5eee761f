//! Header compression: RFC 7541.

use super::Expect::Connection;
use super::{COMPRESSION, Case, with_bytes};

pub(super) fn cases() -> Vec<Case> {
    vec![
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

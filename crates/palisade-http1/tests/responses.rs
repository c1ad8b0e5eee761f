//! Heads, framing and bodies of responses, whole and in pieces.

use http::Version;
use palisade_http1::client::Responses;
use palisade_http1::{Fault, Framing, HeadLimits, Piece};

/// What is made of bytes as the answer to one request.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    /// Statuses with their fields, interim ones too.
    heads: Vec<(u16, Version, Fields)>,
    framing: Option<Framing>,
    persistent: bool,
    body: Vec<u8>,
    end: End,
    /// Whether something stands behind it.
    more: bool,
}

type Fields = Vec<(String, Vec<u8>)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    Waits,
    Fault(Fault),
}

fn hear<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
    head_only: bool,
    limits: HeadLimits,
) -> Heard {
    let mut responses = Responses::new(limits);
    let mut heard = Heard {
        heads: Vec::new(),
        framing: None,
        persistent: false,
        body: Vec::new(),
        end: End::Waits,
        more: false,
    };
    for piece in pieces {
        responses.receive(piece);
        while heard.end == End::Waits {
            if heard.framing.is_none() {
                match responses.head(head_only) {
                    Ok(None) => break,
                    Ok(Some(head)) => {
                        let fields = head.parts.headers.iter();
                        let fields = fields
                            .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
                        let status = head.parts.status;
                        heard
                            .heads
                            .push((status.as_u16(), head.parts.version, fields.collect()));
                        if !status.is_informational() {
                            heard.framing = Some(head.framing);
                            heard.persistent = head.persistent;
                        }
                    }
                    Err(fault) => heard.end = End::Fault(fault),
                }
                continue;
            }
            match responses.body() {
                Ok(Some(Piece::Data(data))) => {
                    assert!(!data.is_empty());
                    heard.body.extend(data);
                }
                Ok(Some(Piece::End)) => heard.end = End::Whole,
                Ok(None) => break,
                Err(fault) => heard.end = End::Fault(fault),
            }
        }
    }
    heard.more = !responses.is_empty();
    heard
}

fn whole(text: &str, head_only: bool) -> Heard {
    hear([text.as_bytes()], head_only, HeadLimits::default())
}

/// Framing, body and what stands behind it.
type Right = (&'static str, Framing, &'static str, bool);

const RIGHT: &[Right] = &[
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        Framing::Length(3),
        "abc",
        false,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 003\r\n\r\nabcHTTP",
        Framing::Length(3),
        "abc",
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        Framing::Empty,
        "",
        false,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx",
        Framing::Empty,
        "",
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        Framing::Chunked,
        "abc",
        false,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\nmore",
        Framing::Chunked,
        "abc",
        true,
    ),
    (
        "HTTP/1.1 200 OK\r\n\r\nabc",
        Framing::UntilClose,
        "abc",
        false,
    ),
    (
        "HTTP/1.0 200 OK\r\n\r\nabc",
        Framing::UntilClose,
        "abc",
        false,
    ),
    (
        "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        Framing::Length(3),
        "abc",
        false,
    ),
    (
        "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na",
        Framing::Length(1),
        "a",
        false,
    ),
    (
        "HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\na",
        Framing::Length(1),
        "a",
        false,
    ),
    (
        "HTTP/1.1 200 Caf\u{e9} so\tso\r\nContent-Length: 1\r\n\r\na",
        Framing::Length(1),
        "a",
        false,
    ),
    (
        "HTTP/1.1 299 \r\nContent-Length: 1\r\n\r\na",
        Framing::Length(1),
        "a",
        false,
    ),
    (
        "HTTP/1.1 999 x\r\nContent-Length: 1\r\n\r\na",
        Framing::Length(1),
        "a",
        false,
    ),
    ("HTTP/1.1 204 No Content\r\n\r\n", Framing::Empty, "", false),
    (
        "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
        Framing::Empty,
        "",
        true,
    ),
    (
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n",
        Framing::Empty,
        "",
        false,
    ),
    (
        "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
        Framing::Empty,
        "",
        false,
    ),
    (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
        Framing::Length(1),
        "a",
        false,
    ),
    (
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\nContent-Length: 5\r\n\r\nHTTP/1.1 100 C\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
        Framing::Empty,
        "",
        false,
    ),
];

const WRONG: &[(&str, Fault)] = &[
    ("HTP/1.1 200 OK\r\n\r\n", Fault::NotHttp),
    ("\r\nHTTP/1.1 200 OK\r\n\r\n", Fault::NotHttp),
    (" HTTP/1.1 200 OK\r\n\r\n", Fault::NotHttp),
    ("http/1.1 200 OK\r\n\r\n", Fault::NotHttp),
    ("ICY 200 OK\r\n\r\n", Fault::NotHttp),
    ("<html>\r\n\r\n", Fault::NotHttp),
    ("\u{15}\u{3}\u{1}\r\n\r\n", Fault::NotHttp),
    ("HTTP/0.9 200 OK\r\n\r\n", Fault::Version),
    ("HTTP/1.2 200 OK\r\n\r\n", Fault::Version),
    ("HTTP/2.0 200 OK\r\n\r\n", Fault::Version),
    ("HTTP/1.1200 OK\r\n\r\n", Fault::Version),
    ("HTTP/1.1\t200 OK\r\n\r\n", Fault::Version),
    ("HTTP/1.1 \r\n\r\n", Fault::StartLine),
    ("HTTP/1.1  200 OK\r\n\r\n", Fault::StartLine),
    ("HTTP/1.1 20 OK\r\n\r\n", Fault::StartLine),
    ("HTTP/1.1 2000 OK\r\n\r\n", Fault::StartLine),
    ("HTTP/1.1 099 OK\r\n\r\n", Fault::StartLine),
    ("HTTP/1.1 +20 OK\r\n\r\n", Fault::StartLine),
    ("HTTP/1.1 2x0 OK\r\n\r\n", Fault::StartLine),
    ("HTTP/1.1 200OK\r\n\r\n", Fault::StartLine),
    ("HTTP/1.1 200\tOK\r\n\r\n", Fault::StartLine),
    ("HTTP/1.1 200 O\u{0}K\r\n\r\n", Fault::StartLine),
    ("HTTP/1.1 200 O\u{1b}K\r\n\r\n", Fault::StartLine),
    ("HTTP/1.1 200 O\u{7f}K\r\n\r\n", Fault::StartLine),
    ("HTTP/1.1 200 OK\n\n", Fault::BareLf),
    ("HTTP/1.1 200 OK\r\nX: y\n\r\n", Fault::BareLf),
    ("HTTP/1.1 200 OK\rX: y\r\n\r\n", Fault::BareCr),
    ("HTTP/1.1 200 OK\r\nX: y\rZ: a\r\n\r\n", Fault::BareCr),
    ("HTTP/1.1 200 OK\r\nX : y\r\n\r\n", Fault::FieldName),
    ("HTTP/1.1 200 OK\r\n: y\r\n\r\n", Fault::FieldName),
    ("HTTP/1.1 200 OK\r\nX\r\n\r\n", Fault::NoColon),
    ("HTTP/1.1 200 OK\r\n X: y\r\n\r\n", Fault::ObsFold),
    ("HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", Fault::ObsFold),
    ("HTTP/1.1 200 OK\r\nX: \u{0}\r\n\r\n", Fault::FieldValue),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        Fault::ContentLength,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na",
        Fault::ContentLength,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\na",
        Fault::ContentLength,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        Fault::ContentLength,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\na",
        Fault::ContentLength,
    ),
    (
        "HTTP/1.1 304 NM\r\nContent-Length: x\r\n\r\n",
        Fault::ContentLength,
    ),
    (
        "HTTP/1.1 100 C\r\nContent-Length: x\r\n\r\n",
        Fault::ContentLength,
    ),
    (
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        Fault::LengthAndCoding,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\n",
        Fault::LengthAndCoding,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        Fault::TransferEncoding,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        Fault::TransferEncoding,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        Fault::TransferEncoding,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n",
        Fault::TransferEncoding,
    ),
    (
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Fault::TransferEncoding,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x3\r\nabc\r\n0\r\n\r\n",
        Fault::ChunkSize,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3 \r\nabc\r\n0\r\n\r\n",
        Fault::ChunkSize,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
        Fault::BareLf,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        Fault::ChunkEnd,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n",
        Fault::Trailer,
    ),
    (
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX\r\n\r\n",
        Fault::Trailer,
    ),
];

// REQ: R-3
#[test]
fn right_ones() {
    for (text, framing, body, more) in RIGHT {
        let heard = whole(text, false);
        assert_eq!(heard.framing, Some(*framing), "{text:?}");
        assert_eq!(heard.body, body.as_bytes(), "{text:?}");
        let end = if *framing == Framing::UntilClose {
            End::Waits
        } else {
            End::Whole
        };
        assert_eq!((heard.end, heard.more), (end, *more), "{text:?}");
        let old = text.starts_with("HTTP/1.0");
        assert_eq!(
            heard.persistent,
            !old && *framing != Framing::UntilClose,
            "{text:?}"
        );
    }
}

// REQ: R-3
#[test]
fn wrong_ones() {
    for (text, fault) in WRONG {
        assert_eq!(whole(text, false).end, End::Fault(*fault), "{text:?}");
    }
}

#[test]
fn no_split_changes_anything() {
    let texts = RIGHT
        .iter()
        .map(|right| right.0)
        .chain(WRONG.iter().map(|wrong| wrong.0));
    for text in texts {
        for head_only in [false, true] {
            // A prefix is read alike however it comes, too.
            for end in 0..=text.len() {
                let bytes = &text.as_bytes()[..end];
                let expected = hear([bytes], head_only, HeadLimits::default());
                let heard = hear(bytes.chunks(1), head_only, HeadLimits::default());
                assert_eq!(heard, expected, "{text:?} to {end}");
            }
            let expected = whole(text, head_only);
            for at in 1..text.len() {
                let (first, second) = text.as_bytes().split_at(at);
                let heard = hear([first, second], head_only, HeadLimits::default());
                assert_eq!(heard, expected, "{text:?} at {at}");
            }
        }
    }
}

#[test]
fn an_answer_to_head_has_no_body() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\n",
    ] {
        let heard = whole(text, true);
        assert_eq!(
            (heard.framing, heard.end),
            (Some(Framing::Empty), End::Whole),
            "{text:?}"
        );
        assert!(heard.persistent && !heard.more);
    }
    // Who sends one nevertheless cannot be asked again.
    assert!(whole("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", true).more);
}

#[test]
fn bounds_are_exact() {
    let limits = HeadLimits {
        bytes: 100,
        fields: 2,
    };
    let head = |bytes: usize| {
        let start = "HTTP/1.1 200 OK\r\nX: ";
        format!("{start}{}\r\n\r\n", "a".repeat(bytes - start.len() - 4))
    };
    for (bytes, fits) in [(99, true), (100, true), (101, false), (500, false)] {
        let text = head(bytes);
        for size in [1, 50, 1000] {
            let heard = hear(text.as_bytes().chunks(size), false, limits);
            let expected = if fits {
                End::Waits
            } else {
                End::Fault(Fault::HeadTooLarge)
            };
            assert_eq!(heard.end, expected, "{bytes}");
        }
    }
    let line = format!("HTTP/1.1 200 {}", "a".repeat(200));
    for size in [1, 1000] {
        let heard = hear(line.as_bytes().chunks(size), false, limits);
        assert_eq!(heard.end, End::Fault(Fault::HeadTooLarge));
    }
    let three = b"HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nE: f\r\n\r\n";
    assert_eq!(
        hear([&three[..]], false, limits).end,
        End::Fault(Fault::TooManyFields)
    );
}

#[test]
fn a_closed_end_ends_what_it_may_end() {
    for (text, end) in [
        ("HTTP/1.1 200 OK\r\n\r\nabc", Ok(())),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Ok(())),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
            Err(Fault::BodyIncomplete),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            Err(Fault::BodyIncomplete),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
            Err(Fault::BodyIncomplete),
        ),
    ] {
        let mut responses = Responses::new(HeadLimits::default());
        responses.receive(text.as_bytes());
        assert!(responses.head(false).unwrap().is_some());
        while let Ok(Some(Piece::Data(_))) = responses.body() {}
        assert_eq!(responses.close(), end, "{text:?}");
    }
}

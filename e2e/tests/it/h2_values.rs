//! Values in header blocks of HTTP/2 that are larger than a whole request head may be.

use e2e::Upstream;
use e2e::wire::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADERS, PADDED,
    RST_STREAM, WITH_PRIORITY, block, frame, request_block,
};

use crate::rig::{Rig, server};

const ENHANCE_YOUR_CALM: u32 = 0xb;
const PROTOCOL_ERROR: u32 = 0x1;

/// A literal, not indexed.
fn field(name: &str, value: &str) -> Vec<u8> {
    block(&[(name, value)])
}

/// A literal that goes into the dynamic table (RFC 7541 section 6.2.1).
fn indexed(name: &str, value: &str) -> Vec<u8> {
    let mut field = field(name, value);
    field[0] = 0x40;
    field
}

/// The newest entry of the dynamic table (section 6.1).
const NEWEST: &[u8] = &[0x80 | 62];

/// A block in frames of so many bytes.
fn cut(flags: u8, stream: u32, block: &[u8], size: usize) -> Vec<u8> {
    let mut pieces = block.chunks(size).peekable();
    let mut out = Vec::new();
    let mut head = (HEADERS, flags);
    while let Some(piece) = pieces.next() {
        let end = if pieces.peek().is_none() {
            END_HEADERS
        } else {
            0
        };
        out.extend(frame(head.0, head.1 | end, stream, piece));
        head = (CONTINUATION, 0);
    }
    out
}

/// A GET with these fields behind its own.
fn get(stream: u32, fields: &[u8]) -> Vec<u8> {
    let block = [&request_block("GET", "/mcp", &[]), fields].concat();
    cut(END_STREAM, stream, &block, 16_384)
}

/// The reason of a refusal; nothing where stream was answered with 200.
async fn refusal(frames: &mut Frames, stream: u32) -> Option<String> {
    let head = frames.until(|frame| frame.kind == HEADERS && frame.stream == stream);
    if head.await.expect("an answer").status() == Some(200) {
        return None;
    }
    let data = frames.until(|frame| frame.kind == DATA && frame.stream == stream);
    let text = String::from_utf8(data.await.expect("a reason").payload).unwrap();
    let (_, reason) = text.split_once("\"reason\":\"").unwrap();
    Some(reason.split('"').next().unwrap().to_owned())
}

// REQ: R-3, A-1, L-1
#[tokio::test]
async fn a_value_too_large_is_answered_and_the_connection_goes_on() {
    answered_and_goes_on("").await;
    // HPACK's table is larger than a head may be.
    answered_and_goes_on("[limits]\nheader_bytes = \"1KB\"\n").await;
}

async fn answered_and_goes_on(config: &str) {
    let rig = Rig::new(config, [server("mcp", Upstream::new())]);
    let large = Some("request.header_too_large".to_owned());
    let megabyte = "T".repeat(1 << 20);
    let mut frames = Frames::opened(rig.palisade.client().connect("h2").await.unwrap()).await;
    frames.send(&get(1, &indexed("x-own", "one"))).await;
    assert_eq!(refusal(&mut frames, 1).await, None);
    // One that waits meanwhile.
    let json = [("content-type", "application/json")];
    let begun = request_block("POST", "/mcp", &json);
    frames.send(&frame(HEADERS, END_HEADERS, 3, &begun)).await;
    // What the table holds stays there.
    frames
        .send(&get(5, &field("authorization", &megabyte)))
        .await;
    assert_eq!(refusal(&mut frames, 5).await, large);
    frames.send(&get(7, NEWEST)).await;
    assert_eq!(refusal(&mut frames, 7).await, None);
    // What is too large for the table empties it (RFC 7541 section 4.4).
    let fields = [indexed("x-large", &megabyte), indexed("x-own", "two")].concat();
    frames.send(&get(9, &fields)).await;
    assert_eq!(refusal(&mut frames, 9).await, large);
    frames.send(&get(11, NEWEST)).await;
    assert_eq!(refusal(&mut frames, 11).await, None);
    // Padded, with a priority, in frames of another size.
    let head = request_block("GET", "/mcp", &[]);
    let begun = [b"\x03PRIOR", &head[..], b"\0\0\0"].concat();
    let flags = END_STREAM | PADDED | WITH_PRIORITY;
    let rest = cut(0, 13, &indexed("cookie", &megabyte), 10_000);
    let rest = [&rest[..3], &[CONTINUATION], &rest[4..]].concat();
    let begun = frame(HEADERS, flags, 13, &begun);
    frames.send(&[begun, rest].concat()).await;
    assert_eq!(refusal(&mut frames, 13).await, large);
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    frames.send(&frame(DATA, END_STREAM, 3, body)).await;
    assert_eq!(refusal(&mut frames, 3).await, None);
    let arrived = rig.upstream("mcp").arrived();
    let own: Vec<_> = arrived
        .iter()
        .filter_map(|request| request.header("x-own"))
        .collect();
    assert_eq!(own, ["one", "one", "two"]);
    assert_eq!(arrived.len(), 4);
    let refused = |record: &serde_json::Value| record["reason"] == "request.header_too_large";
    let records = rig.palisade.audit_where(3, refused);
    let said = format!("{records:?}{}", rig.palisade.stderr());
    assert!(!said.contains("TTTT") && !said.contains("aaaa"), "{said}");
}

/// An integer behind `first`, with a prefix of so many bits (RFC 7541 section 5.1).
fn integer(first: u8, prefix: u32, number: usize) -> Vec<u8> {
    let most = (1 << prefix) - 1;
    if number < most {
        return vec![first | number as u8];
    }
    let mut out = vec![first | most as u8];
    let mut rest = number - most;
    while rest >= 128 {
        out.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    out.push(rest as u8);
    out
}

// REQ: R-3, L-1
#[tokio::test]
async fn a_pseudo_header_too_large_ends_its_own_stream_alone() {
    let mut rig = Rig::new("workers = 1\n", [server("mcp", Upstream::new())]);
    let long = "a".repeat(100_000);
    let path = format!("/{long}");
    // `:path`, Huffman-coded (RFC 7541 appendix B).
    let coded = [
        &[0x40, 0x84, 0xb9, 0x58, 0xd3, 0x3f][..],
        &integer(0, 7, path.len()),
        path.as_bytes(),
    ]
    .concat();
    let by_index = |index: u8, value: &str| {
        [&[index][..], &integer(0, 7, value.len()), value.as_bytes()].concat()
    };
    const METHOD: (&str, &str) = (":method", "GET");
    const HTTPS: (&str, &str) = (":scheme", "https");
    const LOCAL: (&str, &str) = (":authority", "localhost");
    let rest = block(&[METHOD, HTTPS, LOCAL]);
    let of_scheme = block(&[METHOD, (":path", "/mcp"), LOCAL]);
    let of_authority = block(&[METHOD, (":path", "/mcp"), HTTPS]);
    let large = Some("request.header_too_large");
    let mut frames = Frames::opened(rig.palisade.client().connect("h2").await.unwrap()).await;
    let mut stream = 1;
    let mut answered = 0;
    for (name, head, expected) in [
        (
            "a path by its index",
            [&rest[..], &by_index(4, &path)].concat(),
            large,
        ),
        (
            "a path by its letters",
            [&rest[..], &field(":path", &path)].concat(),
            large,
        ),
        (
            "such a path, indexed",
            [&rest[..], &indexed(":path", &path)].concat(),
            large,
        ),
        (
            "a path by its letters, coded",
            [&rest[..], &coded].concat(),
            large,
        ),
        (
            "an authority",
            [&of_authority[..], &field(":authority", &long)].concat(),
            large,
        ),
        // A scheme of more than 64 letters is none to `http`, and no request comes of it.
        (
            "a scheme by its index",
            [&of_scheme[..], &by_index(6, &long)].concat(),
            None,
        ),
        (
            "a scheme by its letters",
            [&of_scheme[..], &field(":scheme", &long)].concat(),
            None,
        ),
    ] {
        frames.send(&cut(END_STREAM, stream, &head, 16_384)).await;
        match expected {
            Some(reason) => {
                let refused = refusal(&mut frames, stream).await;
                assert_eq!(refused.as_deref(), Some(reason), "{name}");
                answered += 1;
            }
            None => {
                let reset = |frame: &Frame| frame.kind == RST_STREAM && frame.stream == stream;
                let reset = frames.until(reset).await.expect(name);
                assert_eq!(reset.code(), Some(PROTOCOL_ERROR), "{name}");
            }
        }
        // The next one is served.
        frames.send(&get(stream + 2, &[])).await;
        assert_eq!(
            refusal(&mut frames, stream + 2).await,
            None,
            "behind {name}"
        );
        stream += 4;
    }
    assert_eq!(rig.upstream("mcp").arrived().len(), 7);
    drop(frames);
    assert_eq!(rig.palisade.stop(), Some(0));
    let records = rig.palisade.audit();
    let of = |reason: &str| {
        records
            .iter()
            .filter(|record| record["reason"] == reason)
            .count()
    };
    assert_eq!(
        (of("request.header_too_large"), of("connection.malformed")),
        (answered, 1)
    );
}

// REQ: R-3
#[tokio::test]
async fn more_than_that_ends_the_connection() {
    let rig = Rig::new("", [server("mcp", Upstream::new())]);
    let value = |length: usize| field("authorization", &"T".repeat(length));
    let request = |fields: &[u8]| [&request_block("GET", "/mcp", &[]), fields].concat();
    let post = frame(HEADERS, END_HEADERS, 1, &request_block("POST", "/mcp", &[]));
    let many = (0..9)
        .flat_map(|n| get(2 * n + 1, &value(100_000)))
        .collect();
    let calm = [ENHANCE_YOUR_CALM];
    for (name, bytes, codes) in [
        ("too many", many, &calm[..]),
        ("too large", get(1, &value(3 << 20)), &calm),
        (
            "many in one block",
            get(1, &value(100_000).repeat(3)),
            &calm,
        ),
        (
            "in small frames",
            cut(END_STREAM, 1, &request(&value(1 << 20)), 1000),
            &calm,
        ),
        (
            "as trailers",
            [post, cut(END_STREAM, 1, &value(1 << 20), 16_384)].concat(),
            &calm,
        ),
        ("as a name", get(1, &field(&"t".repeat(1 << 20), "")), &calm),
        (
            "many fields",
            get(1, &field("x", &"T".repeat(1000)).repeat(100)),
            &calm,
        ),
        // RFC 9113 section 4.3; hyper says it by this code.
        (
            "not whole",
            cut(END_STREAM, 1, &request(&value(1 << 20)[..500_000]), 16_384),
            &[PROTOCOL_ERROR],
        ),
    ] {
        let stream = rig.palisade.client().connect("h2").await.unwrap();
        let mut frames = Frames::opened(stream).await;
        frames.send(&bytes).await;
        let all = frames.rest().await;
        let told: Vec<u32> = all
            .iter()
            .filter(|frame| frame.kind == GOAWAY)
            .filter_map(Frame::code)
            .collect();
        assert_eq!(told, codes, "{name}");
    }
    assert!(rig.upstream("mcp").arrived().is_empty());
    assert_eq!(rig.upstream("mcp").broken(), 0);
}

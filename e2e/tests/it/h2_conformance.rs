//! RFC 9113 and RFC 7541, section by section, against the real gateway through TLS.
//!
//! Every case is sent as literal frames on a connection of its own. What the client sees is
//! held against what the section asks for; that the upstream gets nothing but whole and sound
//! requests, against all of them.

mod connections;
mod control;
mod framing;
mod headers_and_data;
mod hpack;
mod injection;
mod messages;
mod streams;

use std::collections::HashSet;
use std::time::Duration;

use e2e::wire::frames::{
    END_HEADERS, END_STREAM, Frame, Frames, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS,
    WINDOW_UPDATE, block, entries, frame, request_block,
};
use e2e::{Palisade, Upstream};

const NO_ERROR: u32 = 0x0;
const PROTOCOL_ERROR: u32 = 0x1;
const FLOW_CONTROL_ERROR: u32 = 0x3;
const STREAM_CLOSED: u32 = 0x5;
const FRAME_SIZE_ERROR: u32 = 0x6;
const REFUSED_STREAM: u32 = 0x7;
const COMPRESSION_ERROR: u32 = 0x9;

/// hyper ends the connection as RFC 9113 section 4.3 asks, but by this more general code.
const COMPRESSION: &[u32] = &[COMPRESSION_ERROR, PROTOCOL_ERROR];

/// What must become of a case.
#[derive(Clone, Copy, Debug)]
enum Expect {
    /// GOAWAY with one of these codes, then the end.
    Connection(&'static [u32]),
    /// RST_STREAM of this stream with one of these codes; or the same for the connection, which
    /// section 5.4.2 leaves to us.
    Stream(u32, &'static [u32]),
    /// Nothing: the connection goes on.
    Fine,
    /// Stream 1 is answered with 200, and the connection goes on.
    Served,
    /// Stream 1 is answered with another status.
    Refused,
}

use Expect::{Connection, Fine, Refused, Served, Stream};

/// Section and what is sent; the bytes behind the opening; what must become of it.
type Case = (&'static str, Vec<u8>, Expect);

fn get(stream: u32) -> Vec<u8> {
    let block = request_block("GET", "/mcp", &[]);
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
}

/// A request whose content is still to come.
fn post(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let json = ("content-type", "application/json");
    let fields: Vec<_> = std::iter::once(json)
        .chain(fields.iter().copied())
        .collect();
    let block = request_block("POST", "/mcp", &fields);
    frame(HEADERS, END_HEADERS, stream, &block)
}

const CALL: &[u8] = br#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;

/// A GET with these fields alone, pseudo-headers included.
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields))
}

/// A GET with one field more.
fn with(name: &str, value: &str) -> Vec<u8> {
    let block = request_block("GET", "/mcp", &[(name, value)]);
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
}

/// A GET whose block has these bytes at its end.
fn with_bytes(bytes: &[u8]) -> Vec<u8> {
    let block = [&request_block("GET", "/mcp", &[]), bytes].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
}

fn update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

fn settings(settings: &[(u16, u32)]) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &entries(settings))
}

fn ping() -> Vec<u8> {
    frame(PING, 0, 0, &[0; 8])
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

/// HEADERS without END_HEADERS.
fn begun(stream: u32, end: u8) -> Vec<u8> {
    frame(HEADERS, end, stream, &request_block("GET", "/mcp", &[]))
}

/// What became of a case.
#[derive(Debug, Default)]
struct Seen {
    goaway: Option<u32>,
    ended: bool,
    resets: Vec<(u32, u32)>,
    /// Whether stream 1 was answered, and with which status where it stands in the table.
    answered: Option<Option<u16>>,
    alive: bool,
}

impl Seen {
    fn is(&self, expect: Expect) -> bool {
        match expect {
            Connection(codes) => {
                self.ended && self.goaway.is_some_and(|code| codes.contains(&code))
            }
            Stream(stream, codes) => {
                let hit = |(id, code): &(u32, u32)| *id == stream && codes.contains(code);
                self.resets.iter().any(hit) && self.alive || self.is(Connection(codes))
            }
            Fine => self.alive && self.goaway.is_none() && self.resets.is_empty(),
            Served => self.answered == Some(Some(200)) && self.is(Fine),
            Refused => {
                let refused = self.answered.is_some_and(|status| status != Some(200));
                refused && self.alive
            }
        }
    }
}

const PROBE: &[u8] = b"are you?";

/// Sends `bytes`, then asks whether the other end still lives, and reads until all is known.
async fn seen(frames: &mut Frames, bytes: &[u8], expect: Expect) -> Seen {
    frames.send(bytes).await;
    let mut seen = Seen::default();
    frames.send(&frame(PING, 0, 0, PROBE)).await;
    while let Some(frame) = frames.next().await {
        match frame {
            Frame { kind: GOAWAY, .. } => seen.goaway = frame.code(),
            Frame {
                kind: RST_STREAM,
                stream,
                ..
            } => {
                seen.resets.push((stream, frame.code().unwrap_or(u32::MAX)));
            }
            Frame {
                kind: HEADERS,
                stream: 1,
                ..
            } => seen.answered = Some(frame.status()),
            Frame { kind: PING, .. } if frame.payload == PROBE => seen.alive = true,
            _ => {}
        }
        // Resets and answers may come behind the answer to a PING.
        let all = match expect {
            Connection(_) => false,
            Fine => seen.alive,
            Refused | Served => seen.alive && seen.answered.is_some(),
            Stream(..) => seen.alive && !seen.resets.is_empty(),
        };
        if all && seen.goaway.is_none() {
            return seen;
        }
    }
    seen.ended = true;
    seen.alive = false;
    seen
}

// REQ: R-3, G-15
#[tokio::test]
async fn by_section() {
    let upstream = Upstream::new();
    let palisade = Palisade::before(&upstream);
    let cases = [
        framing::cases(),
        streams::cases(),
        headers_and_data::cases(),
        control::cases(),
        messages::cases(),
        hpack::cases(),
    ]
    .concat();
    assert!(cases.len() >= 80, "{}", cases.len());
    let mut wrong = Vec::new();
    for (name, bytes, expect) in cases {
        // A request of the case before may arrive late, and is then counted here; what is wrong is
        // wrong every time.
        let mut found = Vec::new();
        for _ in 0..3 {
            found = by_case(&palisade, &upstream, name, &bytes, expect).await;
            if found.is_empty() {
                break;
            }
        }
        wrong.extend(found);
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // What arrived was framed without a doubt.
    assert_eq!(upstream.broken(), 0);
    let cookies = upstream.arrived();
    let cookies = cookies
        .iter()
        .filter_map(|request| request.header("cookie"));
    assert_eq!(cookies.collect::<HashSet<_>>(), HashSet::from(["a=1; b=2"]));
}

/// What is wrong about one case.
async fn by_case(
    palisade: &Palisade,
    upstream: &Upstream,
    name: &str,
    bytes: &[u8],
    expect: Expect,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let before = upstream.arrived().len();
    let stream = palisade.client().connect("h2").await.unwrap();
    let mut frames = Frames::opened(stream).await;
    let seen = seen(&mut frames, bytes, expect);
    let seen = tokio::time::timeout(Duration::from_secs(3), seen);
    match seen.await {
        Ok(seen) if seen.is(expect) => {}
        seen => wrong.push(format!("{name}: {expect:?}, but {seen:?}")),
    }
    // What is refused has not gone on.
    let gone = upstream.arrived().len() - before;
    let allowed = match expect {
        Served => 1..=2,
        Refused => 0..=0,
        // A sound request before the frame in question may have.
        Connection(_) | Stream(..) | Fine => 0..=1,
    };
    if !allowed.contains(&gone) {
        wrong.push(format!("{name}: {gone} requests went on"));
    }
    wrong
}

//! HTTP/2 by literal frames, for heads that no library sends.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Stream, bounded};

/// What the server did with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// HEADERS: it answered, with this status where it stands in HPACK's static table.
    Answered(Option<u16>),
    /// GOAWAY with this error code, or the end of the connection.
    Ended(Option<u32>),
    /// RST_STREAM with this error code before any answer.
    Reset(u32),
}

/// A connection on which one request is sent, its fields as literals (RFC 7541 section 6.2.2)
/// in exactly this order, and nothing is checked.
///
/// # Panics
/// Where neither an answer nor an end comes.
pub async fn request(
    mut stream: Stream,
    fields: &[(&[u8], &[u8])],
    body: Option<&[u8]>,
) -> Verdict {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    frame(&mut bytes, SETTINGS, 0, 0, b"");
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        literal(&mut block, name);
        literal(&mut block, value);
    }
    let end = if body.is_none() { END_STREAM } else { 0 };
    frame(&mut bytes, HEADERS, END_HEADERS | end, 1, &block);
    if let Some(body) = body {
        frame(&mut bytes, DATA, END_STREAM, 1, body);
    }
    // An end by the server before all is written is for the reading to find.
    let _ = bounded("the end of a write", stream.write_all(&bytes)).await;
    let _ = stream.flush().await;
    bounded("an answer", verdict(&mut stream)).await
}

async fn verdict(stream: &mut Stream) -> Verdict {
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return Verdict::Ended(None);
        }
        let [a, b, c, kind, _, id @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        if stream.read_exact(&mut payload).await.is_err() {
            return Verdict::Ended(None);
        }
        let code = |at: usize| {
            let code = payload.get(at..at + 4)?;
            Some(u32::from_be_bytes(code.try_into().ok()?))
        };
        match (kind, u32::from_be_bytes(id)) {
            (HEADERS, 1) => {
                let status = payload.first().and_then(|first| status(*first));
                return Verdict::Answered(status);
            }
            (RST_STREAM, 1) => return Verdict::Reset(code(0).unwrap_or_default()),
            (GOAWAY, _) => return Verdict::Ended(code(4)),
            _ => {}
        }
    }
}

/// The statuses of HPACK's static table (RFC 7541 appendix A).
fn status(first: u8) -> Option<u16> {
    const STATUSES: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    let index = first.checked_sub(0x88)?;
    STATUSES.get(usize::from(index)).copied()
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap();
    out.extend(&length.to_be_bytes()[1..]);
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
}

/// A string without Huffman coding (RFC 7541 section 5.2).
fn literal(out: &mut Vec<u8>, text: &[u8]) {
    let length = u8::try_from(text.len()).unwrap();
    // 127 begins an integer of several bytes.
    assert!(length < 127, "longer than the tests need");
    out.push(length);
    out.extend(text);
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

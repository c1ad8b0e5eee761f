//! HTTP/2 by literal frames, for heads that no library sends.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};

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

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Its type.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream.
    pub stream: u32,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The error code of a RST_STREAM or GOAWAY.
    #[must_use]
    pub fn code(&self) -> Option<u32> {
        let at = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        let code = self.payload.get(at..at + 4)?;
        Some(u32::from_be_bytes(code.try_into().ok()?))
    }

    /// The status that HEADERS begin with, where it stands in HPACK's static table.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        // Behind updates of the dynamic table's size (RFC 7541 section 6.3), none of them large.
        let mut fields = self.payload.iter().skip_while(|byte| *byte & 0xe0 == 0x20);
        let first = fields.next().filter(|_| self.kind == HEADERS);
        first.and_then(|first| status(*first))
    }
}

/// A connection on which anything can be sent.
#[derive(Debug)]
pub struct Frames {
    stream: Stream,
}

impl Frames {
    /// On which nothing has been sent.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        Self { stream }
    }

    /// On which preface and SETTINGS have been sent.
    pub async fn opened(stream: Stream) -> Self {
        let mut frames = Self::new(stream);
        frames.send(&opening(&[])).await;
        frames
    }

    /// Sends bytes; `false` where the other end takes no more.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        let sent = bounded("the end of a write", async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        });
        sent.await.is_ok()
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<Frame> {
        bounded("a frame", read(&mut self.stream)).await
    }

    /// Reads on until a frame fits; `None` where the connection ends before.
    pub async fn until(&mut self, fits: impl Fn(&Frame) -> bool) -> Option<Frame> {
        loop {
            let frame = self.next().await?;
            if fits(&frame) {
                return Some(frame);
            }
        }
    }

    /// Everything that comes until the end of the connection.
    pub async fn rest(&mut self) -> Vec<Frame> {
        let mut all = Vec::new();
        while let Some(frame) = self.next().await {
            all.push(frame);
        }
        all
    }

    /// The connection itself.
    #[must_use]
    pub fn into_inner(self) -> Stream {
        self.stream
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, flags, id @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some(Frame {
        kind,
        flags,
        stream: u32::from_be_bytes(id),
        payload,
    })
}

/// What became of a flood.
#[derive(Clone, Debug, Default)]
pub struct Flooded {
    /// Whether the other end ended the connection, before or after all was sent.
    pub ended: bool,
    /// The error code of its last GOAWAY.
    pub code: Option<u32>,
    /// How many pieces were written.
    pub written: usize,
}

/// Sends `pieces` as fast as they are taken. Meanwhile what comes is read, or nothing is where
/// not `reads`; then `patience` is waited for the end.
pub async fn flood(
    stream: Stream,
    pieces: impl Iterator<Item = Vec<u8>>,
    reads: bool,
    patience: Duration,
) -> Flooded {
    let (mut from, mut to) = tokio::io::split(stream);
    let mut flooded = Flooded::default();
    let reading = async {
        let mut code = None;
        while let Some(frame) = read(&mut from).await {
            code = frame.code().filter(|_| frame.kind == GOAWAY).or(code);
        }
        code
    };
    let written = std::cell::Cell::new(0);
    let writing = async {
        let mut batch = Vec::new();
        let mut held = 0;
        for piece in pieces {
            batch.extend(piece);
            held += 1;
            if batch.len() > 8192 {
                if to.write_all(&batch).await.is_err() {
                    return false;
                }
                written.set(written.get() + held);
                (batch, held) = (Vec::new(), 0);
            }
        }
        let whole = to.write_all(&batch).await.is_ok() && to.flush().await.is_ok();
        written.set(written.get() + held);
        whole
    };
    if reads {
        // Who is told to go does not write on; nor does one who has written all.
        tokio::pin!(reading);
        let read = tokio::time::timeout(patience, async {
            tokio::select! {
                code = &mut reading => code,
                _ = writing => reading.await,
            }
        });
        if let Ok(code) = read.await {
            flooded.ended = true;
            flooded.code = code;
        }
    } else {
        let whole = tokio::time::timeout(patience, writing).await;
        flooded.ended = matches!(whole, Ok(false));
        if !flooded.ended {
            // What is written now meets a reset if it has ended.
            let until = tokio::time::Instant::now() + patience;
            while tokio::time::Instant::now() < until && !flooded.ended {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let ping = frame(PING, 0, 0, &[0; 8]);
                let write = tokio::time::timeout(Duration::from_millis(20), to.write_all(&ping));
                flooded.ended = matches!(write.await, Ok(Err(_)));
            }
        }
    }
    flooded.written = written.get();
    flooded
}

/// The preface and SETTINGS with these entries.
#[must_use]
pub fn opening(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &entries(settings)));
    bytes
}

/// The entries of a SETTINGS frame.
#[must_use]
pub fn entries(settings: &[(u16, u32)]) -> Vec<u8> {
    let entry = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    settings.iter().flat_map(entry).collect()
}

/// A header block of literals (RFC 7541 section 6.2.2), in exactly this order.
#[must_use]
pub fn block(fields: &[(impl AsRef<[u8]>, impl AsRef<[u8]>)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        literal(&mut block, name.as_ref());
        literal(&mut block, value.as_ref());
    }
    block
}

/// The block of a request for `path` of `localhost`, with these fields behind its own.
#[must_use]
pub fn request_block(method: &str, path: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut all = vec![
        (":method", method),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", path),
    ];
    all.extend(fields);
    block(&all)
}

/// A frame; its length is right.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
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
    let mut bytes = opening(&[]);
    let end = if body.is_none() { END_STREAM } else { 0 };
    bytes.extend(frame(HEADERS, END_HEADERS | end, 1, &block(fields)));
    if let Some(body) = body {
        bytes.extend(frame(DATA, END_STREAM, 1, body));
    }
    // An end by the server before all is written is for the reading to find.
    let _ = bounded("the end of a write", stream.write_all(&bytes)).await;
    let _ = stream.flush().await;
    bounded("an answer", verdict(&mut stream)).await
}

async fn verdict(stream: &mut Stream) -> Verdict {
    while let Some(frame) = read(stream).await {
        match (frame.kind, frame.stream) {
            (HEADERS, 1) => return Verdict::Answered(frame.status()),
            (RST_STREAM, 1) => return Verdict::Reset(frame.code().unwrap_or_default()),
            (GOAWAY, _) => return Verdict::Ended(frame.code()),
            _ => {}
        }
    }
    Verdict::Ended(None)
}

/// The statuses of HPACK's static table (RFC 7541 appendix A).
fn status(first: u8) -> Option<u16> {
    const STATUSES: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
    let index = first.checked_sub(0x88)?;
    STATUSES.get(usize::from(index)).copied()
}

/// A string without Huffman coding (RFC 7541 sections 5.1 and 5.2).
fn literal(out: &mut Vec<u8>, text: &[u8]) {
    const PREFIX: usize = 127;
    if let Some(mut rest) = text.len().checked_sub(PREFIX) {
        out.push(0x7f);
        while rest >= 128 {
            out.push(u8::try_from(rest % 128).unwrap_or_default() | 0x80);
            rest /= 128;
        }
        out.push(u8::try_from(rest).unwrap_or_default());
    } else {
        out.push(u8::try_from(text.len()).unwrap_or_default());
    }
    out.extend(text);
}

/// RFC 9113 section 6.1.
pub const DATA: u8 = 0;
/// Section 6.2.
pub const HEADERS: u8 = 1;
/// Section 6.3.
pub const PRIORITY: u8 = 2;
/// Section 6.4.
pub const RST_STREAM: u8 = 3;
/// Section 6.5.
pub const SETTINGS: u8 = 4;
/// Section 6.6.
pub const PUSH_PROMISE: u8 = 5;
/// Section 6.7.
pub const PING: u8 = 6;
/// Section 6.8.
pub const GOAWAY: u8 = 7;
/// Section 6.9.
pub const WINDOW_UPDATE: u8 = 8;
/// Section 6.10.
pub const CONTINUATION: u8 = 9;

/// Of DATA and HEADERS.
pub const END_STREAM: u8 = 1;
/// Of SETTINGS and PING.
pub const ACK: u8 = 1;
/// Of HEADERS and CONTINUATION.
pub const END_HEADERS: u8 = 4;
/// Of DATA and HEADERS.
pub const PADDED: u8 = 8;
/// Of HEADERS.
pub const WITH_PRIORITY: u8 = 0x20;

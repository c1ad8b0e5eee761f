//! Bodies by their framing (RFC 9112 sections 6 and 7).

use bytes::{Buf as _, Bytes, BytesMut};
use http::header::HOST;
use memchr::memchr;

use crate::fault::Fault;
use crate::fields::{Coding, Fields, Length, section_end};

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// So many bytes, at least one.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Until the connection ends; responses alone.
    UntilClose,
}

/// A piece of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Some bytes, never none.
    Data(Bytes),
    /// The body is over.
    End,
}

/// Reads one body from a growing buffer.
#[derive(Debug)]
pub(crate) struct BodyReader {
    state: State,
    /// Bytes of chunk extensions so far.
    extensions: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Length(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    /// Trailers; the start of the first line that is not whole.
    Trailers(usize),
    UntilClose,
    Done,
}

/// Digits of a chunk size.
const MAX_DIGITS: usize = 16;
/// Bytes of chunk extensions, for a whole body.
const MAX_EXTENSIONS: usize = 4096;
/// Bytes of a trailer section.
const MAX_TRAILERS: usize = 8192;
/// Fields of a trailer section.
const MAX_TRAILER_FIELDS: usize = 32;

impl BodyReader {
    pub(crate) const fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Empty | Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::ChunkSize,
            Framing::UntilClose => State::UntilClose,
        };
        Self {
            state,
            extensions: 0,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes that are still to come, where that is known.
    pub(crate) const fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(length) => Some(length),
            State::Done => Some(0),
            _ => None,
        }
    }

    /// The connection ended: whether the body ends with it as it should.
    pub(crate) fn close(&mut self) -> Result<(), Fault> {
        match self.state {
            State::UntilClose | State::Done => {
                self.state = State::Done;
                Ok(())
            }
            _ => Err(Fault::BodyIncomplete),
        }
    }

    /// Takes the next piece from the front of `inbox`; `None` where more bytes are needed.
    pub(crate) fn read(&mut self, inbox: &mut BytesMut) -> Result<Option<Piece>, Fault> {
        loop {
            match self.state {
                State::Done => return Ok(Some(Piece::End)),
                State::UntilClose => {
                    return Ok((!inbox.is_empty()).then(|| Piece::Data(take(inbox, usize::MAX))));
                }
                State::Length(rest) | State::ChunkData(rest) => {
                    let most = usize::try_from(rest).unwrap_or(usize::MAX);
                    let data = take(inbox, most);
                    if data.is_empty() {
                        return Ok(None);
                    }
                    let rest = rest - data.len() as u64;
                    self.state = match (self.state, rest) {
                        (State::Length(_), 0) => State::Done,
                        (State::Length(_), rest) => State::Length(rest),
                        (_, 0) => State::ChunkEnd,
                        (_, rest) => State::ChunkData(rest),
                    };
                    return Ok(Some(Piece::Data(data)));
                }
                State::ChunkSize => {
                    let Some(size) = self.chunk_size(inbox)? else {
                        return Ok(None);
                    };
                    self.state = match size {
                        0 => State::Trailers(0),
                        size => State::ChunkData(size),
                    };
                }
                State::ChunkEnd => match inbox.get(..2) {
                    Some(b"\r\n") => {
                        inbox.advance(2);
                        self.state = State::ChunkSize;
                    }
                    None if inbox.is_empty() || inbox.first() == Some(&b'\r') => return Ok(None),
                    _ => return Err(Fault::ChunkEnd),
                },
                State::Trailers(line) => {
                    let mut line = line;
                    let end = section_end(inbox, &mut line);
                    if end.unwrap_or(inbox.len()) > MAX_TRAILERS {
                        return Err(Fault::Trailer);
                    }
                    let Some(end) = end else {
                        self.state = State::Trailers(line);
                        return Ok(None);
                    };
                    // They are judged, and then dropped: nothing that Palisade carries has any.
                    let section = inbox.split_to(end).freeze();
                    let fields = Fields::read(&section, MAX_TRAILER_FIELDS);
                    if fields.fault.is_some() || !are_trailers(&fields) {
                        return Err(Fault::Trailer);
                    }
                    self.state = State::Done;
                }
            }
        }
    }

    /// Takes a line `chunk-size [ chunk-ext ] CRLF`.
    fn chunk_size(&mut self, inbox: &mut BytesMut) -> Result<Option<u64>, Fault> {
        let most = MAX_DIGITS + MAX_EXTENSIONS + 2;
        let Some(length) = memchr(b'\n', inbox) else {
            return if inbox.len() > most {
                Err(Fault::ChunkSize)
            } else {
                Ok(None)
            };
        };
        // The same verdict as if it had come in pieces.
        if length > most {
            return Err(Fault::ChunkSize);
        }
        let line = inbox.get(..length).unwrap_or_default();
        let Some((b'\r', line)) = line.split_last() else {
            return Err(Fault::BareLf);
        };
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let (digits, extensions) = line.split_at(digits.count());
        if digits.is_empty() || digits.len() > MAX_DIGITS {
            return Err(Fault::ChunkSize);
        }
        if !extensions.is_empty() {
            if extensions.first() != Some(&b';') {
                return Err(Fault::ChunkSize);
            }
            self.extensions += extensions.len();
            if self.extensions > MAX_EXTENSIONS || !are_extensions(extensions) {
                return Err(Fault::ChunkExtension);
            }
        }
        let size = digits.iter().fold(0, |sum, digit| {
            let digit = char::from(*digit).to_digit(16).unwrap_or(0);
            sum << 4 | u64::from(digit)
        });
        inbox.advance(length + 1);
        Ok(Some(size))
    }
}

/// Whether none of them frames or routes a message, which no sender may do behind its body
/// (RFC 9110 section 6.5.1). A reader that merges trailers into the head would act on it.
fn are_trailers(fields: &Fields) -> bool {
    fields.length == Length::Absent
        && fields.coding == Coding::Absent
        && !fields.map.contains_key(HOST)
}

/// Takes at most `most` bytes from the front. All of them take their memory with them.
fn take(inbox: &mut BytesMut, most: usize) -> Bytes {
    if inbox.len() <= most {
        std::mem::take(inbox).freeze()
    } else {
        inbox.split_to(most).freeze()
    }
}

/// `*( ";" token [ "=" ( token / quoted-string ) ] )`, without the white space that RFC 9112
/// section 7.1.1 calls bad.
fn are_extensions(mut rest: &[u8]) -> bool {
    while let Some((b';', after)) = rest.split_first() {
        let Some(after) = token(after) else {
            return false;
        };
        rest = match after.split_first() {
            Some((b'=', value)) => match token(value).or_else(|| quoted(value)) {
                Some(after) => after,
                None => return false,
            },
            _ => after,
        };
    }
    rest.is_empty()
}

/// What follows a token.
fn token(bytes: &[u8]) -> Option<&[u8]> {
    let is_token = |byte: &&u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let length = bytes.iter().take_while(is_token).count();
    (length > 0).then(|| bytes.get(length..)).flatten()
}

/// What follows a quoted string (RFC 9110 section 5.6.4).
fn quoted(bytes: &[u8]) -> Option<&[u8]> {
    let (b'"', mut rest) = bytes.split_first()? else {
        return None;
    };
    loop {
        rest = match rest.split_first()? {
            (b'"', rest) => return Some(rest),
            (b'\\', rest) => match rest.split_first()? {
                (b'\t' | b' '..=b'~' | 0x80.., rest) => rest,
                _ => return None,
            },
            (b'\t' | b' '..=b'~' | 0x80.., rest) => rest,
            _ => return None,
        };
    }
}

//! The sans-I/O server connection.

use bytes::BytesMut;
use http::response::Parts;
use http::{Method, Version};

use super::answer::{self, Asked, Writing, WrongLength};
use crate::body::{BodyReader, Framing, Piece};
use crate::fault::Fault;
use crate::head::FieldLines;
use crate::request::{HeadLimits, HeadReader, RequestHead};

/// Bounds of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of each head.
    pub head: HeadLimits,
}

/// One connection of a server, as a machine between bytes.
///
/// Requests come one at a time: [`Connection::request`], [`Connection::body`] to its end, and the
/// answer by [`Connection::head`], [`Connection::data`], [`Connection::end`]. What a client sends
/// ahead waits in the inbox, which the driver bounds by not reading on.
#[derive(Debug)]
pub struct Connection {
    limits: Limits,
    inbox: BytesMut,
    reader: HeadReader,
    body: BodyReader,
    asked: Asked,
    writing: Writing,
}

impl Connection {
    /// A connection on which nothing has been said.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            inbox: BytesMut::new(),
            reader: HeadReader::default(),
            body: BodyReader::new(Framing::Empty),
            asked: Asked::default(),
            writing: Writing::Nothing,
        }
    }

    /// Takes what the client has sent.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
    }

    /// Bytes that have been received and not been asked for yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inbox.len()
    }

    /// Whether part of the next head is here.
    #[must_use]
    pub fn head_has_begun(&self) -> bool {
        self.reader.has_begun(&self.inbox)
    }

    /// The next request's head, once it is whole or faulty. After a fault there is no other.
    pub fn request(&mut self) -> Option<RequestHead> {
        let head = self.reader.read(&mut self.inbox, self.limits.head)?;
        Some(self.begin(head))
    }

    /// The next request with what is there of its head, and the fault that it does not end.
    pub fn give_up(&mut self, fault: Fault) -> RequestHead {
        let head = self.reader.give_up(fault);
        self.begin(head)
    }

    fn begin(&mut self, head: RequestHead) -> RequestHead {
        self.body = BodyReader::new(head.framing);
        self.asked = Asked {
            head_only: head.parts.method == Method::HEAD,
            tunnel: head.parts.method == Method::CONNECT,
            old: head.parts.version == Version::HTTP_10,
            persistent: head.persistent,
        };
        self.release();
        head
    }

    /// The next piece of the request's body; `None` where more bytes are needed.
    ///
    /// # Errors
    /// A [`Fault`], after which nothing on this connection can be understood.
    pub fn body(&mut self) -> Result<Option<Piece>, Fault> {
        let piece = self.body.read(&mut self.inbox);
        if piece.is_err() {
            self.asked.persistent = false;
        }
        self.release();
        piece
    }

    /// Whether the body has been read to its end.
    #[must_use]
    pub fn body_is_done(&self) -> bool {
        self.body.is_done()
    }

    /// How many bytes of the body are still to come, where it was declared.
    #[must_use]
    pub const fn body_remaining(&self) -> Option<u64> {
        self.body.remaining()
    }

    /// Lets the connection end with the answer.
    pub const fn close_after_answer(&mut self) {
        self.asked.persistent = false;
    }

    /// Writes the answer's head to `out`, with `lines` beside its own fields; `exact` is the length of its body, where it is known.
    ///
    /// The framing is ours: Content-Length, Transfer-Encoding and Connection of the answer are
    /// not written but understood, and `date` is added where there is none.
    pub fn head(
        &mut self,
        answer: &Parts,
        lines: &FieldLines,
        exact: Option<u64>,
        out: &mut Vec<u8>,
    ) {
        (self.writing, self.asked.persistent) =
            answer::put_head(answer, lines, exact, self.asked, out);
    }

    /// Whether the answer's body is not sent, as to HEAD.
    #[must_use]
    pub fn answer_is_done(&self) -> bool {
        matches!(self.writing, Writing::Nothing | Writing::Length(0))
    }

    /// Writes a piece of the answer's body to `out`.
    ///
    /// # Errors
    /// [`WrongLength`] where there is more of it than the head announced.
    pub fn data(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), WrongLength> {
        self.writing.put_data(data, out)
    }

    /// Ends the answer's body.
    ///
    /// # Errors
    /// [`WrongLength`] where there was less of it than the head announced.
    pub fn end(&mut self, out: &mut Vec<u8>) -> Result<(), WrongLength> {
        self.writing.put_end(out)
    }

    /// Whether another request may follow, once the answer is written and the request's body read.
    #[must_use]
    pub const fn is_reusable(&self) -> bool {
        self.asked.persistent
    }

    /// Gives the memory of an empty inbox back: a stream may stay idle for days.
    fn release(&mut self) {
        if self.inbox.is_empty() {
            self.inbox = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: R-3
    #[test]
    fn a_connection_that_waits_holds_no_memory() {
        let mut connection = Connection::new(Limits::default());
        let waits = |connection: &Connection| connection.inbox.capacity();
        for _ in 0..3 {
            connection.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
            assert!(connection.request().is_some());
            assert_eq!(waits(&connection), 0);
            connection.receive(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
            assert!(connection.request().is_some());
            assert_eq!(waits(&connection), 0);
            // Between two pieces of a body, and behind it.
            connection.receive(b"3\r\nabc\r\n");
            assert!(matches!(connection.body(), Ok(Some(Piece::Data(_)))));
            assert!(matches!(connection.body(), Ok(None)));
            assert_eq!(waits(&connection), 0);
            connection.receive(b"0\r\n\r\n");
            assert_eq!(connection.body(), Ok(Some(Piece::End)));
            assert_eq!(waits(&connection), 0);
        }
    }
}

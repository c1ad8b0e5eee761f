//! Answers that are to be recorded, copied as they pass.

use bytes::Bytes;

use crate::exchange::Facts;
use crate::mcp::outcome::{Outcomes, Verdict};

/// The message that passes now. Holds [`MAX`] bytes at most, and as much of a line.
#[derive(Debug, Default)]
pub(super) struct Keep {
    line: Vec<u8>,
    data: Vec<u8>,
    /// Bytes of the message, those that were not kept too.
    length: usize,
    /// Its last line has passed.
    over: bool,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_return: bool,
}

/// Longer messages are told by their length alone.
const MAX: usize = palisade_audit::ARGS_MAX;

impl Keep {
    /// A piece of a body that is one message.
    pub(super) fn push(&mut self, piece: &[u8]) {
        self.length += piece.len();
        let room = MAX.saturating_sub(self.data.len());
        self.data.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// A piece of an event stream that goes no further than the end of a line.
    pub(super) fn push_line(&mut self, piece: &[u8]) {
        if std::mem::take(&mut self.after_return) && piece == b"\n" {
            return;
        }
        self.after_return = piece.last() == Some(&b'\r');
        if std::mem::take(&mut self.over) {
            self.clear();
        }
        let ends = matches!(piece.last(), Some(b'\n' | b'\r'));
        let text = &piece[..piece.len() - usize::from(ends)];
        // The longest that is kept, with the field's name and more than the end of it.
        let room = (MAX + 16).saturating_sub(self.line.len());
        self.line.extend_from_slice(&text[..text.len().min(room)]);
        let cut = text.len().saturating_sub(room);
        if !ends {
            self.length += cut;
            return;
        }
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            self.over = true;
        } else if let Some(data) = line.strip_prefix(b"data:") {
            // WHATWG HTML, section 9.2.6: one space goes, lines are joined by line feeds.
            let data = data.strip_prefix(b" ").unwrap_or(data);
            if self.length > 0 {
                self.push(b"\n");
            }
            self.push(data);
            self.length += cut;
        }
        self.line = line;
        self.line.clear();
    }

    /// Gives the message to the call that it answers.
    pub(super) fn give(&self, facts: &mut Facts, outcomes: &Outcomes) {
        let [outcome] = &outcomes.messages[..] else {
            return;
        };
        if outcome.verdict() == Verdict::NotAResponse {
            return;
        }
        let only = facts.calls.len() == 1 && outcome.id.is_none();
        let mut calls = facts.calls.iter_mut();
        let call = calls.find(|call| call.response.is_none() && (only || call.key == outcome.id));
        if let Some(call) = call {
            call.response = Some(if self.length > MAX {
                format!("{{\"omitted\":true,\"bytes\":{}}}", self.length).into()
            } else {
                Bytes::copy_from_slice(&self.data)
            });
        }
    }

    fn clear(&mut self) {
        self.data.clear();
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events' data of a stream that comes in pieces of this size.
    fn events(stream: &str, size: usize) -> Vec<String> {
        let (mut keep, mut events) = (Keep::default(), Vec::new());
        for chunk in stream.as_bytes().chunks(size) {
            for piece in chunk.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
                let before = keep.over;
                keep.push_line(piece);
                if keep.over && !before && keep.length > 0 {
                    events.push(String::from_utf8(keep.data.clone()).unwrap());
                }
            }
        }
        events
    }

    #[test]
    fn the_data_of_events() {
        let stream = ": hello\n\nid: 1\ndata: {\"a\":\ndata:1}\n\nevent: x\r\ndata:  b\r\n\r\ndata: c\r\rdata: d";
        for size in 1..stream.len() {
            assert_eq!(events(stream, size), ["{\"a\":\n1}", " b", "c"], "{size}");
        }
    }

    #[test]
    fn no_more_is_held_than_is_told() {
        let mut keep = Keep::default();
        for _ in 0..100 {
            keep.push_line(&[b'x'; 10_000]);
            keep.push(&[b'x'; 10_000]);
        }
        assert!(keep.line.len() <= MAX + 16 && keep.data.len() <= MAX);
        assert!(keep.length >= 1_000_000);
    }
}

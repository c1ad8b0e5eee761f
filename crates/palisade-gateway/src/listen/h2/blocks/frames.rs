//! A header block, written as frames.

use super::super::frame::{self, HEAD, Head};
use super::super::meter::MAX_FRAME_SIZE;

/// A block in frames as large as they may be.
#[derive(Debug)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// Where the last of them begins.
    last: usize,
    stream: u32,
    /// What of `bytes` is the block's.
    fragment: u32,
}

/// A place in [`Frames`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    at: usize,
    last: usize,
    fragment: u32,
}

impl Frames {
    pub(super) fn new(head: Head, priority: &[u8]) -> Self {
        let mut frames = Self {
            bytes: Vec::new(),
            last: 0,
            stream: head.stream,
            fragment: 0,
        };
        let kept = frame::END_STREAM | frame::WITH_PRIORITY;
        frames.begin(frame::HEADERS, head.flags & kept);
        frames.bytes.extend_from_slice(priority);
        frames
    }

    fn begin(&mut self, kind: u8, flags: u8) {
        self.last = self.bytes.len();
        self.bytes.extend([0, 0, 0, kind, flags]);
        self.bytes.extend(self.stream.to_be_bytes());
    }

    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let full = self.last + HEAD + MAX_FRAME_SIZE as usize;
            let room = full - self.bytes.len();
            if room == 0 {
                self.close();
                self.begin(frame::CONTINUATION, 0);
                continue;
            }
            let (now, then) = bytes.split_at(room.min(bytes.len()));
            self.bytes.extend_from_slice(now);
            let more = u32::try_from(now.len()).unwrap_or(u32::MAX);
            self.fragment = self.fragment.saturating_add(more);
            bytes = then;
        }
    }

    /// How much of the block it holds, in bytes.
    pub(super) const fn fragment(&self) -> u32 {
        self.fragment
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            at: self.bytes.len(),
            last: self.last,
            fragment: self.fragment,
        }
    }

    /// Takes back what came after `mark`.
    pub(super) fn cut(&mut self, mark: Mark) {
        self.bytes.truncate(mark.at);
        self.last = mark.last;
        self.fragment = mark.fragment;
    }

    /// Takes back the last byte. A frame is only begun with a byte for it.
    pub(super) fn shorten(&mut self) {
        self.bytes.pop();
    }

    /// Writes the last frame's length.
    fn close(&mut self) {
        let length = self.bytes.len() - self.last - HEAD;
        let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
        self.bytes[self.last..self.last + 3].copy_from_slice(&length[1..]);
    }

    pub(super) fn end(&mut self) -> Vec<u8> {
        self.close();
        self.bytes[self.last + 4] |= frame::END_HEADERS;
        std::mem::take(&mut self.bytes)
    }
}

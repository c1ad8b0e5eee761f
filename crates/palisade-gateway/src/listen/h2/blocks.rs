//! What hyper gets of header blocks: each in as few frames as it needs, and of a value that is by itself larger
//! than a request head may be, no more than shows that.
//!
//! A credential of a megabyte is to be refused like any other: with an answer, a challenge and a record. hyper would keep the
//! whole block in memory, and ends the connection where that is more than it may. So a block that does
//! not end in its first frame is held back here until it ends; a value over the bound is dropped as it comes, and
//! in its place stands a run of one letter that is just as much over the bound. The stack refuses it
//! by its size, as it would have refused the value.
//!
//! HPACK's dynamic table stays in step: the bound is no smaller than the table, and a field larger than
//! the table empties it, whatever it holds (RFC 7541 section 4.4).

// By its path, for the fuzz target takes in this file by its own.
#[path = "blocks/frames.rs"]
mod frames;

use tokio::time::Instant;

use super::budget::{Allowance, Budget};
use super::frame::{self, HEAD, Head};
use super::hpack::{Large, Step, Walker};
use super::meter::PREFACE;
use super::violation::Violation;
use frames::{Frames, Mark};

/// How large what belongs to a header block may be, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockLimits {
    /// One value, decoded. No less than the table that we announce, and than what the stack takes of a head.
    pub value: u32,
    /// All that is held of a block, compressed.
    pub block: u32,
}

/// Of one block, in bytes: what is dropped of its large values.
pub(super) const MOST_DROPPED: u32 = 2 << 20;

/// CONTINUATION frames of one block.
const MOST_CONTINUATIONS: u32 = 64;

/// Bytes dropped that allow one frame more.
const DROPPED_PER_FRAME: u32 = 8 * 1024;

/// CONTINUATION frames of any block.
pub(super) const MOST_FRAMES: u32 = MOST_CONTINUATIONS + MOST_DROPPED / DROPPED_PER_FRAME;

/// Large values of one connection: who has a bad credential learns it from the first answer.
const VALUES: Allowance = Allowance::new(8, 1);

/// Reads along what a client sends, holds back what hyper is not to get yet, and makes of it what it gets.
///
/// The [`FrameMeter`](super::FrameMeter) has read the same bytes before: of a block there are only frames of its own.
#[derive(Debug)]
pub(super) struct Blocks {
    limits: BlockLimits,
    state: State,
    /// The last stream that was opened.
    last: u32,
    /// What hyper gets before anything else.
    ready: Vec<u8>,
    /// Bytes of `ready` that it has.
    gone: usize,
    values: Budget,
}

#[derive(Debug)]
enum State {
    /// A frame's header, and what stands before the block in the payload of HEADERS, is not whole yet.
    Opening(Opening),
    /// So many bytes go on as they are.
    Passing(usize),
    Block(Box<Block>),
}

impl Blocks {
    /// For a connection that is ready for its preface.
    pub(super) fn new(limits: BlockLimits, now: Instant) -> Self {
        Self {
            limits,
            state: State::Passing(PREFACE.len()),
            last: 0,
            ready: Vec::new(),
            gone: 0,
            values: Budget::new(VALUES, now),
        }
    }

    /// Reads on: how many of `bytes` go on as they are, before what is [`ready`](Self::ready). The rest is held, dropped
    /// or ready. Nothing is ready when it is called.
    ///
    /// The violation is why the connection must end.
    pub(super) fn pass(&mut self, bytes: &[u8], now: Instant) -> (usize, Option<Violation>) {
        let mut direct = 0;
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.state {
                State::Passing(left) => {
                    let taken = rest.len().min(*left);
                    *left -= taken;
                    if *left == 0 {
                        self.state = State::Opening(Opening::default());
                    }
                    self.go_on(&rest[..taken], at, &mut direct);
                    at += taken;
                }
                State::Opening(opening) => {
                    at += opening.fill(rest);
                    let Some(begins) = opening.begins(&mut self.last, &self.limits) else {
                        continue;
                    };
                    let opening = *opening;
                    match begins {
                        Begins::Other(left) => {
                            self.state = match left {
                                0 => State::Opening(Opening::default()),
                                left => State::Passing(left),
                            };
                            // It may have begun in bytes before these.
                            let start = at.checked_sub(opening.held);
                            self.go_on(opening.bytes(), start.unwrap_or(usize::MAX), &mut direct);
                        }
                        Begins::Block(block) => self.state = State::Block(block),
                    }
                }
                State::Block(block) => {
                    let read = block.read(rest, &self.limits, &mut self.values, now);
                    match read {
                        Ok((taken, ended)) => {
                            at += taken;
                            if ended {
                                let whole = block.end();
                                self.state = State::Opening(Opening::default());
                                if self.ready.is_empty() {
                                    self.ready = whole;
                                } else {
                                    self.ready.extend(whole);
                                }
                            }
                        }
                        Err(violation) => return (direct, Some(violation)),
                    }
                }
            }
        }
        (direct, None)
    }

    /// What hyper is to get next.
    pub(super) fn ready(&self) -> &[u8] {
        &self.ready[self.gone..]
    }

    /// Says that hyper has so many bytes more of what was ready.
    pub(super) fn given(&mut self, count: usize) {
        self.gone += count;
        if self.gone >= self.ready.len() {
            self.gone = 0;
            self.ready = Vec::new();
        }
    }

    /// How many large values there were.
    #[cfg(test)]
    pub(super) const fn large(&self) -> u32 {
        self.values.spent()
    }

    /// `bytes`, which stand at `at`, go on behind `direct` that do so already.
    fn go_on(&mut self, bytes: &[u8], at: usize, direct: &mut usize) {
        if self.ready.is_empty() && at == *direct {
            *direct += bytes.len();
        } else {
            self.ready.extend_from_slice(bytes);
        }
    }
}

/// A frame's header; of a block that is read along, also what its payload begins with.
#[derive(Clone, Copy, Debug)]
struct Opening {
    part: [u8; Self::MOST],
    held: usize,
    wanted: usize,
}

/// What has begun.
enum Begins {
    /// Anything that goes on as it is; so many bytes are left of it.
    Other(usize),
    Block(Box<Block>),
}

impl Default for Opening {
    fn default() -> Self {
        Self {
            part: [0; Self::MOST],
            held: 0,
            wanted: HEAD,
        }
    }
}

impl Opening {
    /// The header, the length of padding, and a priority (RFC 9113 section 6.2).
    const MOST: usize = HEAD + 1 + PRIORITY_LENGTH;

    /// How many of `bytes` it takes.
    fn fill(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.wanted - self.held);
        self.part[self.held..self.held + taken].copy_from_slice(&bytes[..taken]);
        self.held += taken;
        taken
    }

    fn bytes(&self) -> &[u8] {
        &self.part[..self.held]
    }

    /// The frame's header, once it is there.
    fn head(&self) -> Option<Head> {
        let head = self.bytes().first_chunk::<HEAD>()?;
        Some(Head::parse(*head))
    }

    /// What it is; `None` while that is not known.
    fn begins(&mut self, last: &mut u32, limits: &BlockLimits) -> Option<Begins> {
        if self.held < self.wanted {
            return None;
        }
        let head = self.head()?;
        let length = usize::try_from(head.length).unwrap_or(usize::MAX);
        if head.kind != frame::HEADERS {
            return Some(Begins::Other(length));
        }
        let before = usize::from(head.has(frame::PADDED))
            + if head.has(frame::WITH_PRIORITY) {
                PRIORITY_LENGTH
            } else {
                0
            };
        let opens = head.stream > *last;
        if self.wanted == HEAD {
            let small = !opens || head.length <= Walker::least(limits.value);
            if head.has(frame::END_HEADERS) && small || length < before {
                // The common way, and a frame that hyper refuses.
                *last = head.stream.max(*last);
                return Some(Begins::Other(length));
            }
            if before > 0 {
                self.wanted += before;
                return None;
            }
        }
        *last = head.stream.max(*last);
        let padding = match head.has(frame::PADDED) {
            true => usize::from(self.part[HEAD]),
            false => 0,
        };
        let Some(fragment) = (length - before).checked_sub(padding) else {
            return Some(Begins::Other(length - before));
        };
        let priority = match head.has(frame::WITH_PRIORITY) {
            true => &self.part[self.held - PRIORITY_LENGTH..self.held],
            false => &[],
        };
        Some(Begins::Block(Box::new(Block {
            // Trailers carry no credential, and nobody refuses them by their size.
            walker: opens.then(|| Walker::new(limits.value)),
            frames: Frames::new(head, priority),
            value: Mark::default(),
            within: Within::Payload(fragment, padding),
            ends: head.has(frame::END_HEADERS),
            continuations: 0,
            dropped: 0,
        })))
    }
}

/// RFC 9113 section 6.2.
const PRIORITY_LENGTH: usize = 5;

/// A block that is held back.
#[derive(Debug)]
struct Block {
    walker: Option<Walker>,
    /// What hyper gets of it.
    frames: Frames,
    /// Where the present value begins in them.
    value: Mark,
    within: Within,
    /// With the present frame.
    ends: bool,
    continuations: u32,
    dropped: u32,
}

/// Where in its frames it stands.
#[derive(Debug)]
enum Within {
    /// Bytes that are left of the payload, and the padding behind them.
    Payload(usize, usize),
    Opening(Opening),
}

impl Block {
    /// Reads on: how many of `bytes` it takes, and whether it is over.
    fn read(
        &mut self,
        bytes: &[u8],
        limits: &BlockLimits,
        values: &mut Budget,
        now: Instant,
    ) -> Result<(usize, bool), Violation> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match &mut self.within {
                Within::Payload(0, 0) if self.ends => return Ok((at, true)),
                Within::Payload(0, 0) => self.within = Within::Opening(Opening::default()),
                _ if rest.is_empty() => return Ok((at, false)),
                Within::Payload(0, padding) => {
                    let taken = rest.len().min(*padding);
                    *padding -= taken;
                    at += taken;
                }
                Within::Payload(left, _) => {
                    let taken = rest.len().min(*left);
                    *left -= taken;
                    at += taken;
                    self.fragment(&rest[..taken], limits, values, now)?;
                }
                Within::Opening(opening) => {
                    at += opening.fill(rest);
                    let Some(head) = opening.head() else {
                        continue;
                    };
                    if head.kind != frame::CONTINUATION {
                        return Err(Violation::Protocol);
                    }
                    self.continuations += 1;
                    let most = MOST_CONTINUATIONS + self.dropped / DROPPED_PER_FRAME;
                    if self.continuations > most {
                        return Err(Violation::Continuation);
                    }
                    let length = usize::try_from(head.length).unwrap_or(usize::MAX);
                    self.within = Within::Payload(length, 0);
                    self.ends = head.has(frame::END_HEADERS);
                }
            }
        }
    }

    fn fragment(
        &mut self,
        mut bytes: &[u8],
        limits: &BlockLimits,
        values: &mut Budget,
        now: Instant,
    ) -> Result<(), Violation> {
        while !bytes.is_empty() {
            let step = match &mut self.walker {
                Some(walker) => walker.next(bytes),
                None => Step::Keep(bytes.len()),
            };
            let taken = match step {
                Step::Keep(taken) => {
                    self.frames.push(&bytes[..taken]);
                    taken
                }
                Step::Value => {
                    self.value = self.frames.mark();
                    0
                }
                Step::Large(large) => {
                    self.dropped = self.dropped.saturating_add(large.left);
                    if self.dropped > MOST_DROPPED {
                        return Err(Violation::Continuation);
                    }
                    if !values.take(1, now) {
                        return Err(Violation::HeaderList);
                    }
                    self.frames.cut(self.value);
                    self.stand_in(large, limits.value);
                    large.read
                }
                Step::Drop(taken) => taken,
            };
            if self.frames.fragment() > limits.block {
                return Err(Violation::Continuation);
            }
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    /// Puts a value that is just over the bound in the place of one.
    fn stand_in(&mut self, large: Large, bound: u32) {
        let length = bound.saturating_add(1);
        let (integer, used) = string_length(length);
        self.frames.push(&integer[..used]);
        let mut left = usize::try_from(length).unwrap_or(usize::MAX);
        if large.path {
            // Others are no path at all (RFC 9113 section 8.3.1).
            self.frames.push(b"/");
            left -= 1;
        }
        while left > 0 {
            let taken = left.min(LETTERS.len());
            self.frames.push(&LETTERS[..taken]);
            left -= taken;
        }
    }

    /// What hyper gets.
    fn end(&mut self) -> Vec<u8> {
        if self.walker.as_ref().is_some_and(Walker::is_dropping) {
            // The value was not whole. Neither is its stand-in, so hyper refuses the block.
            self.frames.shorten();
        }
        self.frames.end()
    }
}

/// What stands in for values: fine in a name's place, an authority's, a token's.
const LETTERS: [u8; 256] = [b'a'; 256];

/// The length of a string that is not Huffman-coded (RFC 7541 sections 5.1 and 5.2), and its own.
fn string_length(length: u32) -> ([u8; 6], usize) {
    const PREFIX: u32 = 0x7f;
    let low = |number: u32| number.to_le_bytes()[0];
    let mut bytes = [0; 6];
    let Some(mut rest) = length.checked_sub(PREFIX) else {
        bytes[0] = low(length);
        return (bytes, 1);
    };
    bytes[0] = low(PREFIX);
    let mut used = 1;
    while rest >= 0x80 {
        bytes[used] = low(rest) | 0x80;
        rest >>= 7;
        used += 1;
    }
    bytes[used] = low(rest);
    (bytes, used + 1)
}

#[cfg(test)]
mod tests;

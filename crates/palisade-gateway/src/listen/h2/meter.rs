//! What one HTTP/2 connection has taken of our patience, read off its frame headers.

use std::convert::Infallible;

use tokio::time::Instant;

use super::blocks::MOST_FRAMES;
use super::budget::Budget;
use super::budgets::Budgets;
use super::faults::Faults;
use super::frame::{self, Head, Listener, Reader};
use super::streams::Streams;
use super::violation::Violation;

/// Keeps the budgets of one HTTP/2 connection and the frame rules of RFC 9113 that hyper keeps
/// loosely or with another error code. Without I/O and without a clock of its own.
///
/// What it is told may be split anywhere: the verdict is the same.
#[derive(Clone, Debug)]
pub struct FrameMeter {
    client: Reader,
    server: Reader,
    state: State,
    violation: Option<Violation>,
}

/// How much of what had been taken when a connection was ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Frames of the kind in question.
    pub frames: u32,
    /// Frames of all kinds that the client has sent.
    pub all: u64,
}

impl FrameMeter {
    /// For a connection that is ready for its preface. A header block may come in frames of up to
    /// `block_bytes` in all; what may be kept of it is for `Blocks` to say.
    #[must_use]
    pub fn new(block_bytes: u32, now: Instant) -> Self {
        Self {
            client: Reader::default(),
            server: Reader::default(),
            state: State {
                preface: 0,
                ready: false,
                block: None,
                block_bytes,
                streams: Streams::new(now),
                budgets: Budgets::new(now),
                entries: 0,
                frames: 0,
                kind: frame::SETTINGS,
                blocked: None,
                unread: 0,
                unfinished: None,
                faults: Faults::default(),
            },
            violation: None,
        }
    }

    /// Reads along what the client has sent.
    ///
    /// # Errors
    /// Why the connection must end, and how many of `bytes` stand before the frame that says so.
    pub fn received(&mut self, bytes: &[u8], now: Instant) -> Result<(), (usize, Violation)> {
        if let Some(violation) = self.violation {
            return Err((0, violation));
        }
        self.read(bytes, now).inspect_err(|(_, violation)| {
            self.violation = Some(*violation);
        })
    }

    fn read(&mut self, bytes: &[u8], now: Instant) -> Result<(), (usize, Violation)> {
        let state = &mut self.state;
        let missing = PREFACE.len() - state.preface;
        let here = missing.min(bytes.len());
        if bytes[..here] != PREFACE[state.preface..state.preface + here] {
            return Err((0, Violation::Protocol));
        }
        state.preface += here;
        let mut client = Client { state, now };
        self.client
            .read(&bytes[here..], &mut client)
            .map_err(|(at, violation)| (here + at, violation))?;
        self.state.note_unfinished(self.client.begun(), now);
        Ok(())
    }

    /// Reads along what we have sent. A verdict shows in [`FrameMeter::violation`].
    pub fn sent(&mut self, bytes: &[u8], now: Instant) {
        let state = &mut self.state;
        if !bytes.is_empty() {
            state.blocked = None;
            state.unread = 0;
        }
        let violation = &mut self.violation;
        let mut server = Server {
            state,
            now,
            violation,
        };
        // It never stops: what is on its way is on its way.
        let Ok(()) = self.server.read(bytes, &mut server);
    }

    /// Says that the client's end takes nothing at present.
    pub fn blocked(&mut self, now: Instant) {
        self.state.blocked.get_or_insert(now);
    }

    /// Says that everything has been handed to the system.
    pub fn flushed(&mut self) {
        self.state.blocked = None;
        self.state.unread = 0;
    }

    /// Says that the connection must end for what was found in the bytes that it has read last.
    pub fn end(&mut self, violation: Violation) {
        self.violation.get_or_insert(violation);
    }

    /// How many frames the client has begun.
    #[must_use]
    pub const fn frames(&self) -> u64 {
        self.state.frames
    }

    /// Why the connection must end.
    #[must_use]
    pub const fn violation(&self) -> Option<Violation> {
        self.violation
    }

    /// Whether preface and first SETTINGS have come.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.state.ready
    }

    /// Since when a header block, or a frame other than DATA, has been unfinished.
    #[must_use]
    pub fn unfinished_since(&self) -> Option<Instant> {
        self.state.unfinished.map(|(_, since)| since)
    }

    /// Since when the client's end takes nothing.
    #[must_use]
    pub const fn blocked_since(&self) -> Option<Instant> {
        self.state.blocked
    }

    /// Since when no stream is open; `None` while one is.
    #[must_use]
    pub fn idle_since(&self) -> Option<Instant> {
        self.state.streams.idle_since()
    }

    /// How many streams are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.state.streams.count()
    }

    /// Since when more than `working` of the open streams have stood still.
    #[must_use]
    pub fn still_since(&self, working: usize) -> Option<Instant> {
        self.state.streams.still_since(working)
    }

    /// Which streams were reset for what the client has sent.
    #[must_use]
    pub const fn faults(&self) -> Faults {
        self.state.faults
    }

    /// How much was taken of what `violation` is about.
    #[must_use]
    pub fn taken(&self, violation: Violation) -> Taken {
        let state = &self.state;
        let frames = match (violation, state.block) {
            (Violation::Continuation, Some(block)) => block.continuations,
            _ => state.budgets.of(violation).map_or(0, Budget::spent),
        };
        Taken {
            frames,
            all: self.state.frames,
        }
    }

    /// Which of hyper's own limits has been reached, where one has.
    #[must_use]
    pub const fn last_taken(&self) -> Violation {
        match (self.state.block, self.state.kind) {
            (Some(_), _) | (None, frame::CONTINUATION) => Violation::Continuation,
            (None, frame::HEADERS) => Violation::HeaderList,
            (None, frame::DATA) => Violation::EmptyData,
            (None, frame::RST_STREAM) => Violation::Reset,
            (None, _) => Violation::ProvokedReset,
        }
    }

    /// The GOAWAY frame for `code`; `None` inside another frame of ours.
    #[must_use]
    pub fn goaway(&self, code: u32) -> Option<[u8; 17]> {
        if !self.server.is_between_frames() {
            return None;
        }
        let mut frame = [0; 17];
        frame[2] = 8;
        frame[3] = frame::GOAWAY;
        frame[9..13].copy_from_slice(&self.state.streams.last().to_be_bytes());
        frame[13..].copy_from_slice(&code.to_be_bytes());
        Some(frame)
    }
}

/// RFC 9113 section 3.4.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The largest payload we take: RFC 9113's smallest bound, and what we announce.
pub(super) const MAX_FRAME_SIZE: u32 = 16_384;

/// Streams that may be open in a meter's eyes: hyper's own bound is far below, but refusals
/// and resets that the client does not read wait here for their turn.
const MOST_STREAMS: usize = 20_000;

/// Frames other than DATA that are read while the client takes nothing: each may leave an
/// answer waiting in memory.
const MOST_UNREAD: u32 = 2000;

#[derive(Clone, Debug)]
struct State {
    /// Bytes of the preface that have come.
    preface: usize,
    /// Whether the first SETTINGS have.
    ready: bool,
    block: Option<Block>,
    block_bytes: u32,
    streams: Streams,
    budgets: Budgets,
    /// Of the present SETTINGS frame.
    entries: u32,
    /// Begun by the client.
    frames: u64,
    /// Of the last of them.
    kind: u8,
    blocked: Option<Instant>,
    /// Frames since `blocked`.
    unread: u32,
    /// The frame, by its number, with which what is unfinished began, and since when.
    unfinished: Option<(u64, Instant)>,
    faults: Faults,
}

/// A header block that has no END_HEADERS yet.
#[derive(Clone, Copy, Debug)]
struct Block {
    stream: u32,
    bytes: u32,
    continuations: u32,
    /// The number of its HEADERS frame.
    frame: u64,
}

impl State {
    fn note_unfinished(&mut self, begun: Option<Option<Head>>, now: Instant) {
        let number = match (self.block, begun) {
            (Some(block), _) => block.frame,
            // What DATA is unfinished is the body's time.
            (
                None,
                None
                | Some(Some(Head {
                    kind: frame::DATA, ..
                })),
            ) => {
                self.unfinished = None;
                return;
            }
            // A header that is not whole is not counted yet.
            (None, Some(None)) => self.frames + 1,
            (None, Some(Some(_))) => self.frames,
        };
        if self.unfinished.is_none_or(|(known, _)| known != number) {
            self.unfinished = Some((number, now));
        }
    }
}

/// Frames of the client.
struct Client<'a> {
    state: &'a mut State,
    now: Instant,
}

impl Client<'_> {
    fn length(&self, head: Head, length: u32) -> Result<(), Violation> {
        ensure(head.length == length, Violation::FrameSize)
    }

    fn on_connection(head: Head) -> Result<(), Violation> {
        ensure(head.stream == 0, Violation::Protocol)
    }

    /// On a stream that the client has opened, if perhaps closed again.
    fn on_stream(&self, head: Head) -> Result<(), Violation> {
        let known = head.stream != 0 && !self.state.streams.is_idle(head.stream);
        ensure(known, Violation::Protocol)
    }

    /// Not behind its own END_STREAM (RFC 9113 section 5.1).
    fn still_sends(&self, head: Head) -> Result<(), Violation> {
        let done = self.state.streams.is_client_done(head.stream);
        ensure(!done, Violation::StreamClosed)
    }

    fn headers(&mut self, head: Head) -> Result<(), Violation> {
        ensure(!head.stream.is_multiple_of(2), Violation::Protocol)?;
        let state = &mut *self.state;
        if state.streams.headers(head.stream, self.now) {
            ensure(state.streams.count() <= MOST_STREAMS, Violation::Streams)?;
            state.budgets.priority.earn(2);
            state.budgets.window_update.earn(2);
            state.budgets.empty_data.earn(1);
        } else {
            self.still_sends(head)?;
        }
        let state = &mut *self.state;
        if !head.has(frame::END_HEADERS) {
            state.block = Some(Block {
                stream: head.stream,
                bytes: head.length,
                continuations: 0,
                frame: state.frames,
            });
        }
        Ok(())
    }

    fn continuation(&mut self, head: Head) -> Result<(), Violation> {
        let state = &mut *self.state;
        let Some(block) = &mut state.block else {
            return Err(Violation::Protocol);
        };
        ensure(head.stream == block.stream, Violation::Protocol)?;
        if head.length == 0 && !head.has(frame::END_HEADERS) {
            let budget = &mut state.budgets.empty_continuation;
            ensure(budget.take(1, self.now), Violation::Continuation)?;
        }
        block.continuations += 1;
        block.bytes = block.bytes.saturating_add(head.length);
        let fits = block.bytes <= state.block_bytes && block.continuations <= MOST_FRAMES;
        ensure(fits, Violation::Continuation)?;
        if head.has(frame::END_HEADERS) {
            state.block = None;
        }
        Ok(())
    }

    fn settings(&mut self, head: Head) -> Result<(), Violation> {
        Self::on_connection(head)?;
        if head.has(frame::ACK) {
            self.length(head, 0)?;
        }
        ensure(head.length.is_multiple_of(6), Violation::FrameSize)?;
        self.state.entries = 0;
        let budget = &mut self.state.budgets.settings;
        ensure(budget.take(1, self.now), Violation::Settings)
    }

    fn empty_data(&mut self) -> Result<(), Violation> {
        let budget = &mut self.state.budgets.empty_data;
        ensure(budget.take(1, self.now), Violation::EmptyData)
    }
}

impl Listener for Client<'_> {
    type Stop = Violation;

    fn head(&mut self, head: Head) -> Result<(), Violation> {
        self.state.frames += 1;
        self.state.kind = head.kind;
        ensure(head.length <= MAX_FRAME_SIZE, Violation::FrameSize)?;
        if !self.state.ready {
            // RFC 9113 section 3.4: SETTINGS come first, and they acknowledge nothing.
            let first = head.kind == frame::SETTINGS && !head.has(frame::ACK);
            ensure(first, Violation::Protocol)?;
        }
        if self.state.block.is_some() {
            ensure(head.kind == frame::CONTINUATION, Violation::Protocol)?;
        }
        if self.state.blocked.is_some() && head.kind != frame::DATA {
            self.state.unread += 1;
            ensure(self.state.unread <= MOST_UNREAD, Violation::Unread)?;
        }
        let now = self.now;
        match head.kind {
            frame::DATA => {
                self.on_stream(head)?;
                self.still_sends(head)?;
                if head.length == 0 && !head.has(frame::END_STREAM) {
                    self.empty_data()?;
                }
            }
            frame::HEADERS => self.headers(head)?,
            frame::PRIORITY => {
                ensure(head.stream != 0, Violation::Protocol)?;
                self.length(head, 5)?;
                let budget = &mut self.state.budgets.priority;
                ensure(budget.take(1, now), Violation::Priority)?;
            }
            frame::RST_STREAM => {
                self.length(head, 4)?;
                self.on_stream(head)?;
                if self.state.streams.reset(head.stream, now) {
                    let budget = &mut self.state.budgets.reset;
                    ensure(budget.take(1, now), Violation::Reset)?;
                }
            }
            frame::SETTINGS => self.settings(head)?,
            // RFC 9113 section 8.4: a client cannot push.
            frame::PUSH_PROMISE => return Err(Violation::Protocol),
            frame::PING => {
                Self::on_connection(head)?;
                self.length(head, 8)?;
                let budget = &mut self.state.budgets.ping;
                ensure(budget.take(1, now), Violation::Ping)?;
            }
            frame::GOAWAY => {
                Self::on_connection(head)?;
                ensure(head.length >= 8, Violation::FrameSize)?;
                let budget = &mut self.state.budgets.settings;
                ensure(budget.take(1, now), Violation::Settings)?;
            }
            frame::WINDOW_UPDATE => {
                self.length(head, 4)?;
                if head.stream != 0 {
                    self.on_stream(head)?;
                }
                let budget = &mut self.state.budgets.window_update;
                ensure(budget.take(1, now), Violation::WindowUpdate)?;
            }
            frame::CONTINUATION => self.continuation(head)?,
            frame::PRIORITY_UPDATE => {
                Self::on_connection(head)?;
                ensure(head.length >= 4, Violation::FrameSize)?;
                let budget = &mut self.state.budgets.priority;
                ensure(budget.take(1, now), Violation::Priority)?;
            }
            _ => {
                let budget = &mut self.state.budgets.unknown;
                let cost = 1 + head.length / 1024;
                ensure(budget.take(cost, now), Violation::Unknown)?;
            }
        }
        Ok(())
    }

    fn word(&mut self, head: Head, word: &[u8]) -> Result<(), Violation> {
        if head.kind == frame::DATA && head.has(frame::PADDED) && !head.has(frame::END_STREAM) {
            // Nothing but padding; more padding than payload is for hyper to refuse.
            let padding = word.first().copied().map_or(0, u32::from);
            if head.length == padding + 1 {
                return self.empty_data();
            }
        }
        Ok(())
    }

    fn setting(&mut self, id: u16, value: u32) -> Result<(), Violation> {
        const INITIAL_WINDOW_SIZE: u16 = 4;
        // RFC 9113 section 6.5.2.
        let overflows = id == INITIAL_WINDOW_SIZE && value > 0x7fff_ffff;
        ensure(!overflows, Violation::FlowControl)?;
        self.state.entries += 1;
        if self.state.entries.is_multiple_of(32) {
            let budget = &mut self.state.budgets.settings;
            ensure(budget.take(1, self.now), Violation::Settings)?;
        }
        Ok(())
    }

    fn end(&mut self, head: Head) -> Result<(), Violation> {
        match head.kind {
            frame::SETTINGS => self.state.ready = true,
            frame::DATA | frame::HEADERS if head.has(frame::END_STREAM) => {
                self.state.streams.client_done(head.stream, self.now);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Frames of our own.
struct Server<'a> {
    state: &'a mut State,
    now: Instant,
    violation: &'a mut Option<Violation>,
}

impl Listener for Server<'_> {
    type Stop = Infallible;

    fn head(&mut self, head: Head) -> Result<(), Infallible> {
        let State {
            streams, budgets, ..
        } = &mut *self.state;
        match head.kind {
            frame::HEADERS => streams.answered(head.stream, self.now),
            frame::DATA => {
                streams.moved(head.stream, self.now);
                budgets.window_update.earn(3);
                if head.length >= MAX_FRAME_SIZE / 2 {
                    budgets.ping.earn(1);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn word(&mut self, head: Head, word: &[u8]) -> Result<(), Infallible> {
        let Ok(word) = word.try_into().map(u32::from_be_bytes) else {
            return Ok(());
        };
        let state = &mut *self.state;
        match head.kind {
            frame::RST_STREAM => {
                state.streams.reset(head.stream, self.now);
                let provoked = if word == REFUSED_STREAM {
                    Some((&mut state.budgets.streams, Violation::Streams))
                } else if state.faults.reset(word) {
                    let budget = &mut state.budgets.provoked_reset;
                    Some((budget, Violation::ProvokedReset))
                } else {
                    // The others are our own doing: an upstream that broke off, a refusal
                    // before the body was read.
                    None
                };
                if let Some((budget, violation)) = provoked
                    && !budget.take(1, self.now)
                {
                    self.violation.get_or_insert(violation);
                }
            }
            frame::GOAWAY => state.streams.cut(word & 0x7fff_ffff, self.now),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, head: Head) -> Result<(), Infallible> {
        let ends = matches!(head.kind, frame::DATA | frame::HEADERS);
        if ends
            && head.has(frame::END_STREAM)
            && self.state.streams.server_done(head.stream, self.now)
        {
            self.state.budgets.reset.earn(1);
        }
        Ok(())
    }
}

const REFUSED_STREAM: u32 = 0x7;

fn ensure(fine: bool, otherwise: Violation) -> Result<(), Violation> {
    if fine { Ok(()) } else { Err(otherwise) }
}

#[cfg(test)]
mod tests;

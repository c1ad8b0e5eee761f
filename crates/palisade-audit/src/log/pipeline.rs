//! Where lines get their one order: the chain, and what each sink has still to be given.
//!
//! Behind one lock. The writer thread holds it while it works; a worker takes it for a moment to write an intent ahead of a
//! call, if nothing else waits to be written.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::ahead::Ticket;
use super::shared::Shared;
use crate::chain::{Chain, CheckpointKey};
use crate::record::Encoder;
use crate::sink::Sink;

pub(super) struct Pipeline {
    chain: Chain,
    /// Without one there are no checkpoints.
    key: Option<CheckpointKey>,
    outputs: Vec<Output>,
    /// Who waits until all lines before this number stand in every sink.
    tickets: VecDeque<(u64, Ticket)>,
    encoder: Encoder,
    /// Lines behind the last checkpoint, and since when there are any.
    unsealed: u64,
    unsealed_since: Instant,
    /// Emptied buffers.
    spares: Vec<Vec<u8>>,
}

/// One sink and what waits for it.
struct Output {
    sink: Box<dyn Sink>,
    backlog: VecDeque<Chunk>,
    /// Bytes of the first chunk that are written.
    offset: usize,
    /// Bytes of the backlog that are not.
    held: usize,
    /// All lines before this number are written.
    done: u64,
    /// When it last took anything of what waits; 0: nothing waits. See [`Shared::now`].
    since: u64,
    /// Lines that it was not given, for it did not keep up while another one did.
    missed: Option<Missed>,
}

#[derive(Debug, Clone, Copy)]
struct Missed {
    from: u64,
    to: u64,
}

/// Chained lines, whole.
#[derive(Clone)]
struct Chunk {
    lines: Arc<Vec<u8>>,
    /// The number of the line behind it.
    end: u64,
}

/// What came of writing at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Now {
    /// It is not written yet: the sink failed, and keeps what it did not take for later.
    Failed,
    /// Something else has to be written first, or a sink would have to be waited for: nothing was done.
    NotReady,
    /// A part of it is not written yet, and will be.
    Queued,
    /// It stands in every sink.
    Written,
}

/// How far a round of writing came.
#[derive(Debug)]
pub(super) enum Drained {
    /// Everything is written.
    All,
    /// A sink takes nothing at the moment.
    Blocked,
    /// A sink failed.
    Failed(io::Error),
}

impl Pipeline {
    pub(super) fn new(
        chain: Chain,
        key: Option<CheckpointKey>,
        sinks: Vec<Box<dyn Sink>>,
        now: Instant,
    ) -> Self {
        let done = chain.next_seq();
        let outputs = sinks.into_iter().map(|sink| Output {
            sink,
            backlog: VecDeque::new(),
            offset: 0,
            held: 0,
            done,
            since: 0,
            missed: None,
        });
        Self {
            chain,
            key,
            outputs: outputs.collect(),
            tickets: VecDeque::new(),
            encoder: Encoder::default(),
            unsealed: 0,
            unsealed_since: now,
            spares: Vec::new(),
        }
    }

    /// Whether any sink could take more lines. Whoever asks for none keeps what comes where its bound is.
    pub(super) fn has_room(&self) -> bool {
        self.outputs.iter().any(|output| output.backlog.is_empty())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.outputs.iter().all(|output| output.backlog.is_empty())
    }

    pub(super) fn encoder(&mut self) -> &mut Encoder {
        &mut self.encoder
    }

    pub(super) fn spare(&mut self) -> Vec<u8> {
        self.spares.pop().unwrap_or_default()
    }

    pub(super) fn give_back(&mut self, mut buffer: Vec<u8>) {
        // What a jam has blown up is given back to the system.
        if buffer.capacity() <= SPARE_MAX && self.spares.len() < SPARES_MAX {
            buffer.clear();
            self.spares.push(buffer);
        }
    }

    /// Chains `lines`, each whole, for all sinks. `tickets` are told when they are written.
    pub(super) fn push(&mut self, lines: &[u8], tickets: &mut Vec<Ticket>, shared: &Shared) {
        if lines.is_empty() {
            tickets.drain(..).for_each(|ticket| ticket.settle(true));
            return;
        }
        let mut out = self.spare();
        let from = self.chain.next_seq();
        self.link(lines, &mut out);
        self.queue(out, from, shared.buffer_max);
        let end = self.chain.next_seq();
        let whole = self.outputs.iter().all(|output| output.missed.is_none());
        for ticket in tickets.drain(..) {
            if whole {
                self.tickets.push_back((end, ticket));
            } else {
                ticket.settle(false);
            }
        }
        self.note_held(shared);
    }

    /// Writes `lines` now if nothing has to be waited for.
    pub(super) fn write_now(&mut self, lines: &[u8], shared: &Shared) -> Now {
        let length = lines.len() + LINK_MAX * memchr::memchr_iter(b'\n', lines).count();
        let ready = |output: &Output| output.backlog.is_empty() && output.sink.takes(length);
        if !self.outputs.iter().all(ready) {
            return Now::NotReady;
        }
        let mut out = self.spare();
        self.link(lines, &mut out);
        let end = self.chain.next_seq();
        let mut result = Now::Written;
        shared.begin_write();
        for output in &mut self.outputs {
            let length = match output.sink.write(&[IoSlice::new(&out)]) {
                Ok(length) => length.min(out.len()),
                Err(error) => {
                    if !waits(&error) {
                        shared.fail(&error);
                        result = Now::Failed;
                    }
                    0
                }
            };
            shared.written.fetch_add(length as u64, Ordering::Relaxed);
            if length == out.len() {
                output.done = end;
                continue;
            }
            // It has its place in the chain already: the writer goes on with it.
            let lines = Arc::new(out.clone());
            output.held = out.len() - length;
            output.since = shared.now();
            output.offset = length;
            output.backlog.push_back(Chunk { lines, end });
            if result == Now::Written {
                result = Now::Queued;
            }
        }
        self.watch(shared);
        if result != Now::Written {
            self.note_held(shared);
        }
        self.give_back(out);
        result
    }

    /// The lines that were written last wait for somebody.
    pub(super) fn wait_for_last(&mut self, ticket: Ticket) {
        self.tickets.push_back((self.chain.next_seq(), ticket));
    }

    /// Gives the sinks what they take.
    pub(super) fn drain(&mut self, shared: &Shared) -> Drained {
        let mut result = Drained::All;
        shared.begin_write();
        let alone = self.outputs.len() == 1;
        for output in &mut self.outputs {
            match output.drain(alone, shared, &mut self.spares) {
                Ok(true) => {}
                Ok(false) if matches!(result, Drained::Failed(_)) => {}
                Ok(false) => result = Drained::Blocked,
                Err(error) => result = Drained::Failed(error),
            }
        }
        self.settle();
        self.tell_missed(shared.buffer_max);
        self.watch(shared);
        self.note_held(shared);
        if matches!(result, Drained::All) && !self.is_idle() {
            // What was missed has been told just now.
            return self.drain(shared);
        }
        result
    }

    /// Whoever waits is told that it is not written.
    pub(super) fn give_up(&mut self) {
        for (_, ticket) in self.tickets.drain(..) {
            ticket.settle(false);
        }
    }

    /// Waits until a sink that did not take anything may, for `patience` at most.
    pub(super) fn wait(&self, patience: Duration) {
        let mut descriptors: Vec<PollFd<'_>> = self
            .outputs
            .iter()
            .filter(|output| !output.backlog.is_empty())
            .filter_map(|output| output.sink.descriptor())
            .map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::OUT))
            .collect();
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        let _ = poll(&mut descriptors, Some(&patience));
    }

    /// Hands what was written to the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.outputs
            .iter_mut()
            .try_for_each(|output| output.sink.sync())
    }

    /// Signs what was written, if that is due or `now`.
    pub(super) fn seal(&mut self, now: bool, shared: &Shared) {
        let Some(key) = &self.key else { return };
        let due = self.unsealed >= SEAL_LINES || self.unsealed_since.elapsed() >= SEAL_AFTER;
        if self.unsealed == 0 || !(now || due) {
            return;
        }
        let mut out = self.spares.pop().unwrap_or_default();
        let from = self.chain.next_seq();
        let timestamp = self.encoder.time(SystemTime::now());
        self.chain.checkpoint(&timestamp, key, &mut out);
        self.unsealed = 0;
        self.queue(out, from, shared.buffer_max);
        self.note_held(shared);
    }

    /// When something has to be done though nothing comes.
    pub(super) fn due(&self) -> Option<Duration> {
        let seal = (self.unsealed > 0 && self.key.is_some())
            .then(|| SEAL_AFTER.saturating_sub(self.unsealed_since.elapsed()));
        let turn = self.outputs.iter().filter_map(|output| output.sink.due());
        turn.chain(seal).min()
    }

    /// Begins new files where it is time for them.
    ///
    /// The old one ends with a checkpoint, the new one begins with a line that names it.
    pub(super) fn turn(&mut self, shared: &Shared) {
        for error in self
            .outputs
            .iter()
            .filter_map(|output| output.sink.trouble())
        {
            shared.tell(&super::Change::RotationFailed { error });
        }
        if !self.is_idle() || !self.outputs.iter().any(|output| output.sink.wants_turn()) {
            return;
        }
        self.seal(true, shared);
        if !matches!(self.drain(shared), Drained::All) {
            return;
        }
        let seq = self.chain.next_seq();
        for at in 0..self.outputs.len() {
            let output = &mut self.outputs[at];
            if !output.sink.wants_turn() {
                continue;
            }
            match output.sink.turn(SystemTime::now(), seq) {
                Ok(Some(name)) => {
                    let mut more = b",\"previous\":".to_vec();
                    crate::escape::push_string(&mut more, &name);
                    self.event("rotated", &more, shared);
                }
                Ok(None) => {}
                Err(error) => shared.tell(&super::Change::RotationFailed {
                    error: error.to_string(),
                }),
            }
        }
    }

    /// A line of its own kind: `event` stands where others have `requestId`.
    pub(super) fn event(&mut self, name: &str, more: &[u8], shared: &Shared) {
        let mut line = b"{\"timestamp\":\"".to_vec();
        self.encoder.push_time(&mut line, SystemTime::now());
        line.extend_from_slice(b"\",\"event\":\"");
        line.extend_from_slice(name.as_bytes());
        line.push(b'"');
        line.extend_from_slice(more);
        line.extend_from_slice(b"}\n");
        self.push(&line, &mut Vec::new(), shared);
    }

    fn link(&mut self, lines: &[u8], out: &mut Vec<u8>) {
        if self.unsealed == 0 {
            self.unsealed_since = Instant::now();
        }
        self.unsealed += self.chain.append_lines(lines, out);
    }

    /// Sinks that are too far behind get nothing, as long as another one has room.
    fn queue(&mut self, lines: Vec<u8>, from: u64, most: usize) {
        let (length, end) = (lines.len(), self.chain.next_seq());
        let lines = Arc::new(lines);
        let several = self.outputs.len() > 1;
        for output in &mut self.outputs {
            if several && (output.held + length > most && output.held > 0) {
                let from = output.missed.map_or(from, |missed| missed.from);
                output.missed = Some(Missed { from, to: end - 1 });
                continue;
            }
            output.held += length;
            output.backlog.push_back(Chunk {
                lines: Arc::clone(&lines),
                end,
            });
        }
    }

    fn settle(&mut self) {
        let done = self.outputs.iter().map(|output| output.done).min();
        let done = done.unwrap_or(u64::MAX);
        while let Some((_, ticket)) = self.tickets.pop_front_if(|(end, _)| *end <= done) {
            ticket.settle(true);
        }
    }

    /// A sink that takes lines again is told, with the others, which it has not got.
    fn tell_missed(&mut self, most: usize) {
        for at in 0..self.outputs.len() {
            let output = &mut self.outputs[at];
            if !output.backlog.is_empty() {
                continue;
            }
            let Some(missed) = output.missed.take() else {
                continue;
            };
            let mut line = b"{\"timestamp\":\"".to_vec();
            self.encoder.push_time(&mut line, SystemTime::now());
            line.extend_from_slice(b"\",\"event\":\"gap\",\"sink\":");
            crate::escape::push_string(&mut line, &output.sink.name());
            for (name, number) in [
                (",\"dropped\":", missed.to - missed.from + 1),
                (",\"from\":", missed.from),
                (",\"to\":", missed.to),
            ] {
                line.extend_from_slice(name.as_bytes());
                line.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            }
            line.extend_from_slice(b"}\n");
            let mut out = self.spares.pop().unwrap_or_default();
            let from = self.chain.next_seq();
            self.link(&line, &mut out);
            self.queue(out, from, most);
        }
    }

    /// From when on nothing was taken of what waits, by the sink that has waited longest.
    fn watch(&self, shared: &Shared) {
        let since = self.outputs.iter().map(|output| output.since);
        shared.watch_since(since.filter(|since| *since > 0).min().unwrap_or(0));
    }

    fn note_held(&self, shared: &Shared) {
        let held = self.outputs.iter().map(|output| output.held).max();
        shared
            .in_flight
            .store(held.unwrap_or_default() as u64, Ordering::Relaxed);
    }
}

impl Output {
    /// Whether all of the backlog is written.
    fn drain(
        &mut self,
        alone: bool,
        shared: &Shared,
        spares: &mut Vec<Vec<u8>>,
    ) -> io::Result<bool> {
        if self.since == 0 && !self.backlog.is_empty() {
            self.since = shared.now();
        }
        while !self.backlog.is_empty() {
            let slices: Vec<IoSlice<'_>> = self
                .backlog
                .iter()
                .enumerate()
                .take(SLICES_MAX)
                .map(|(at, chunk)| {
                    IoSlice::new(&chunk.lines[if at == 0 { self.offset } else { 0 }..])
                })
                .collect();
            match self.sink.write(&slices) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => {
                    self.since = shared.now();
                    if alone {
                        shared.watch_since(self.since);
                    }
                    shared.written.fetch_add(length as u64, Ordering::Relaxed);
                    self.advance(length, spares);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.since = 0;
        Ok(true)
    }

    fn advance(&mut self, mut length: usize, spares: &mut Vec<Vec<u8>>) {
        self.held -= length.min(self.held);
        while let Some(chunk) = self.backlog.front() {
            let left = chunk.lines.len() - self.offset;
            if length < left {
                self.offset += length;
                return;
            }
            length -= left;
            self.offset = 0;
            self.done = chunk.end;
            if let Some(chunk) = self.backlog.pop_front()
                && let Ok(mut lines) = Arc::try_unwrap(chunk.lines)
                && lines.capacity() <= SPARE_MAX
                && spares.len() < SPARES_MAX
            {
                lines.clear();
                spares.push(lines);
            }
        }
    }
}

/// Whether it is no failure.
fn waits(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

/// No more lines than this stand behind the last checkpoint for long.
const SEAL_LINES: u64 = 1_000;

/// Nor for longer.
const SEAL_AFTER: Duration = Duration::from_secs(10);

/// What `seq` and `prev` add to a line, at the most.
const LINK_MAX: usize = 110;

/// Below any system's `IOV_MAX`.
const SLICES_MAX: usize = 256;

const SPARE_MAX: usize = 1024 * 1024;

const SPARES_MAX: usize = 16;

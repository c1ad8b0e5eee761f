//! Where lines get their one order: the chain, and what each sink has still to be given.
//!
//! Behind one lock. The writer thread holds it while it works; a worker takes it for a moment to write an intent ahead of a
//! call, if nothing else waits to be written.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Change;
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
    /// Who waits until all lines before this number stand in every sink that is waited for.
    tickets: VecDeque<(u64, Ticket)>,
    /// They wait for the disk, too, which has all lines before this number.
    synced: Option<u64>,
    /// The last time, the disk did not.
    unsynced: bool,
    /// Everything is to go out, wherever it goes.
    flushing: bool,
    encoder: Encoder,
    /// Lines behind the last checkpoint, and since when there are any.
    unsealed: u64,
    unsealed_since: Instant,
    /// Emptied buffers.
    spares: Vec<Vec<u8>>,
}

/// One sink and what waits for it.
pub(super) struct Output {
    /// Whether anybody waits for what it has been given.
    awaited: bool,
    /// It takes batches, and says later what has become of them.
    remote: bool,
    /// It does not take what it is given, and that has been said.
    troubled: bool,
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
    lines: u64,
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
        mut outputs: Vec<Output>,
        synced: bool,
        now: Instant,
    ) -> Self {
        let done = chain.next_seq();
        for output in &mut outputs {
            output.done = done;
        }
        Self {
            chain,
            key,
            outputs,
            tickets: VecDeque::new(),
            synced: synced.then_some(done),
            unsynced: false,
            flushing: false,
            encoder: Encoder::default(),
            unsealed: 0,
            unsealed_since: now,
            spares: Vec::new(),
        }
    }

    /// This thread is unparked when a sink over the network has taken something, or failed.
    pub(super) fn wake_when_taken(&self, writer: &Thread) {
        for output in &self.outputs {
            output.sink.wakes(writer.clone());
        }
    }

    /// Whether any sink that is waited for could take more lines. Whoever asks for none keeps what comes where its bound is.
    pub(super) fn has_room(&self, most: usize) -> bool {
        self.awaited().any(|output| output.has_room(most))
    }

    /// Whether no file or pipe has anything to be given.
    fn is_idle(&self) -> bool {
        let mut local = self.outputs.iter().filter(|output| !output.remote);
        local.all(|output| output.backlog.is_empty())
    }

    fn awaited(&self) -> impl Iterator<Item = &Output> {
        self.outputs.iter().filter(|output| output.awaited)
    }

    /// Until this is taken back, nothing is held to go with what comes, and everything is waited for.
    pub(super) fn flush(&mut self, flushing: bool) {
        self.flushing = flushing;
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
        let whole = self.awaited().all(|output| output.missed.is_none());
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
        let ready = |output: &Output| {
            !output.remote && output.backlog.is_empty() && output.sink.takes(length)
        };
        if !self.awaited().all(ready) {
            return Now::NotReady;
        }
        let mut out = self.spare();
        let from = self.chain.next_seq();
        self.link(lines, &mut out);
        let end = self.chain.next_seq();
        let mut result = Now::Written;
        let mut news = false;
        let begun = shared.now();
        shared.begin_write();
        for output in &mut self.outputs {
            if !output.awaited {
                // Where more waits, the writer knows of it.
                news |= output.backlog.is_empty();
                output.queue_copy(&out, from, end, shared.buffer_max);
                continue;
            }
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
        shared.note_own_write(begun);
        self.watch(shared);
        if news {
            shared.wake(false);
        }
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
        let (flushing, awaited) = (self.flushing, !self.tickets.is_empty());
        let mut seals = false;
        for output in &mut self.outputs {
            let hurry = flushing || output.awaited && awaited;
            seals |= output.sink.offer(output.held, hurry);
        }
        if seals {
            self.seal(true, shared);
        }
        for output in &mut self.outputs {
            let drained = output.drain(alone, shared, &mut self.spares);
            if !output.awaited {
                output.note_trouble(drained.as_ref().err(), shared);
                if flushing && !output.backlog.is_empty() && matches!(result, Drained::All) {
                    result = Drained::Blocked;
                }
                continue;
            }
            match drained {
                Ok(true) => {}
                Ok(false) if matches!(result, Drained::Failed(_)) => {}
                Ok(false) => result = Drained::Blocked,
                Err(error) => result = Drained::Failed(error),
            }
        }
        if self
            .awaited()
            .any(|output| output.remote && output.missed.is_some())
        {
            // It was taken, and not kept.
            self.give_up();
        }
        self.settle();
        let told = self.tell_missed(shared.buffer_max);
        self.watch(shared);
        self.note_held(shared);
        if matches!(result, Drained::All) && told {
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

    /// Waits until a sink that did not take anything may, for `patience` at most. `false`: there is none that could be waited
    /// for so.
    pub(super) fn wait(&self, patience: Duration) -> bool {
        let mut descriptors: Vec<PollFd<'_>> = self
            .outputs
            .iter()
            .filter(|output| !output.backlog.is_empty())
            .filter_map(|output| output.sink.descriptor())
            .map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::OUT))
            .collect();
        if descriptors.is_empty() {
            return false;
        }
        let patience = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(patience.subsec_nanos()),
        };
        let _ = poll(&mut descriptors, Some(&patience));
        true
    }

    /// Hands to the disk what somebody waits for, once for all who do.
    pub(super) fn sync_awaited(&mut self, shared: &Shared) -> io::Result<()> {
        let written = self.written();
        let waits = |(end, _): &(u64, Ticket)| *end <= written;
        if self.synced.is_none() || !(self.unsynced || self.tickets.front().is_some_and(waits)) {
            return Ok(());
        }
        // A disk that hangs here is seen as one that hangs in a write.
        shared.begin_write();
        let mut awaited = self.outputs.iter_mut().filter(|output| output.awaited);
        let synced = awaited.try_for_each(|output| output.sink.sync());
        self.watch(shared);
        self.unsynced = synced.is_err();
        synced?;
        self.synced = Some(written);
        self.settle();
        Ok(())
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
            shared.tell(&Change::RotationFailed { error });
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
                Err(error) => shared.tell(&Change::RotationFailed {
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
        let several = self.awaited().count() > 1;
        for output in &mut self.outputs {
            if output.remote && !output.awaited {
                output.queue_copy(&lines, from, end, most);
                continue;
            }
            if several && output.misses(length, from, end, most) {
                continue;
            }
            output.held += length;
            output.backlog.push_back(Chunk {
                lines: Arc::clone(&lines),
                end,
            });
        }
    }

    /// All lines before this number stand in every sink that is waited for.
    fn written(&self) -> u64 {
        let done = self.awaited().map(|output| output.done).min();
        done.unwrap_or(u64::MAX)
    }

    fn settle(&mut self) {
        let done = self.written().min(self.synced.unwrap_or(u64::MAX));
        while let Some((_, ticket)) = self.tickets.pop_front_if(|(end, _)| *end <= done) {
            ticket.settle(true);
        }
    }

    /// A sink that takes lines again is told, with the others, which it has not got. Says whether there was anything to tell.
    fn tell_missed(&mut self, most: usize) -> bool {
        let mut told = false;
        for at in 0..self.outputs.len() {
            let output = &mut self.outputs[at];
            if !output.has_room(most) {
                continue;
            }
            let Some(missed) = output.missed.take() else {
                continue;
            };
            told = true;
            let mut line = b"{\"timestamp\":\"".to_vec();
            self.encoder.push_time(&mut line, SystemTime::now());
            line.extend_from_slice(b"\",\"event\":\"gap\",\"sink\":");
            crate::escape::push_string(&mut line, &output.sink.name());
            for (name, number) in [
                (",\"dropped\":", missed.lines),
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
        told
    }

    /// From when on nothing was taken of what waits, by the sink that has waited longest.
    fn watch(&self, shared: &Shared) {
        let since = self.awaited().map(|output| output.since);
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
    /// A file, or standard output.
    pub(super) fn local(sink: Box<dyn Sink>) -> Self {
        Self::new(sink, true, false)
    }

    /// What takes batches.
    pub(super) fn remote(sink: Box<dyn Sink>, awaited: bool) -> Self {
        Self::new(sink, awaited, true)
    }

    fn new(sink: Box<dyn Sink>, awaited: bool, remote: bool) -> Self {
        Self {
            awaited,
            remote,
            troubled: false,
            sink,
            backlog: VecDeque::new(),
            offset: 0,
            held: 0,
            done: 0,
            since: 0,
            missed: None,
        }
    }

    /// Whether it could be given more.
    fn has_room(&self, most: usize) -> bool {
        self.backlog.is_empty() || self.remote && self.held <= most / 2
    }

    /// Whether it is too far behind for so many bytes, and has to do without them.
    fn misses(&mut self, length: usize, from: u64, end: u64, most: usize) -> bool {
        if self.held + length <= most || self.held == 0 {
            return false;
        }
        self.miss(Missed {
            lines: end - from,
            from,
            to: end - 1,
        });
        true
    }

    fn miss(&mut self, more: Missed) {
        let before = self.missed.unwrap_or(Missed { lines: 0, ..more });
        self.missed = Some(Missed {
            lines: before.lines + more.lines,
            from: before.from.min(more.from),
            to: before.to.max(more.to),
        });
    }

    /// Queues lines that are somebody else's, the short ones together.
    fn queue_copy(&mut self, lines: &[u8], from: u64, end: u64, most: usize) {
        if self.misses(lines.len(), from, end, most) {
            return;
        }
        self.held += lines.len();
        if let Some(last) = self.backlog.back_mut()
            && last.lines.len() + lines.len() <= COPY_MAX
            && let Some(before) = Arc::get_mut(&mut last.lines)
        {
            before.extend_from_slice(lines);
            last.end = end;
            return;
        }
        let lines = Arc::new(lines.to_vec());
        self.backlog.push_back(Chunk { lines, end });
    }

    /// Nobody waits for it, so it is only said.
    fn note_trouble(&mut self, error: Option<&io::Error>, shared: &Shared) {
        let sink = || self.sink.name();
        match error {
            Some(error) if !self.troubled => {
                let error = error.to_string();
                shared.tell(&Change::Delayed {
                    sink: sink(),
                    error,
                });
            }
            None if self.troubled => shared.tell(&Change::CaughtUp { sink: sink() }),
            _ => {}
        }
        self.troubled = error.is_some();
    }

    /// Whether all of the backlog is written, or held to go with what comes.
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
                .take(if self.remote { usize::MAX } else { SLICES_MAX })
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
                    if let Some(rejected) = self.sink.rejected() {
                        self.miss(Missed {
                            lines: rejected.lines,
                            from: rejected.from,
                            to: rejected.to,
                        });
                        return Err(io::Error::other(rejected.cause));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let held = self.sink.holds();
                    if held {
                        self.since = 0;
                    }
                    return Ok(held);
                }
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

/// Lines are copied together up to so many bytes.
const COPY_MAX: usize = 64 * 1024;

/// Below any system's `IOV_MAX`.
const SLICES_MAX: usize = 256;

const SPARE_MAX: usize = 1024 * 1024;

const SPARES_MAX: usize = 16;

//! The streams of one connection, as far as frame headers tell of them.

use tokio::time::Instant;

/// Streams that are open at either end.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    open: Vec<Stream>,
    /// The highest that the client has opened.
    last: u32,
    /// Streams above are ignored by us: what our GOAWAY said.
    cut: u32,
    /// Since when none is open.
    idle_since: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    id: u32,
    client_done: bool,
    answered: bool,
    server_done: bool,
    /// When it was opened, or when we last sent content on it.
    moved: Instant,
}

impl Streams {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            open: Vec::new(),
            last: 0,
            cut: u32::MAX,
            idle_since: now,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.open.len()
    }

    pub(super) const fn last(&self) -> u32 {
        self.last
    }

    /// Since when no stream is open; `None` while one is.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.open.is_empty().then_some(self.idle_since)
    }

    /// Whether the client never opened it (RFC 9113 section 5.1.1).
    pub(super) const fn is_idle(&self, id: u32) -> bool {
        id.is_multiple_of(2) || id > self.last
    }

    /// Whether the client has ended its half of a stream that is still open (half-closed, remote).
    pub(super) fn is_client_done(&self, id: u32) -> bool {
        let stream = self.position(id).map(|at| self.open[at]);
        stream.is_some_and(|stream| stream.client_done)
    }

    /// HEADERS by the client; `true` where they open a stream.
    pub(super) fn headers(&mut self, id: u32, now: Instant) -> bool {
        if id <= self.last {
            return false;
        }
        self.last = id;
        if id <= self.cut {
            self.open.push(Stream {
                id,
                client_done: false,
                answered: false,
                server_done: false,
                moved: now,
            });
        }
        true
    }

    /// END_STREAM by the client.
    pub(super) fn client_done(&mut self, id: u32, now: Instant) {
        self.change(id, now, |stream| stream.client_done = true);
    }

    /// HEADERS by us.
    pub(super) fn answered(&mut self, id: u32, now: Instant) {
        self.change(id, now, |stream| {
            stream.answered = true;
            stream.moved = now;
        });
    }

    /// DATA by us.
    pub(super) fn moved(&mut self, id: u32, now: Instant) {
        self.change(id, now, |stream| stream.moved = now);
    }

    /// END_STREAM by us; `true` where the stream was open.
    pub(super) fn server_done(&mut self, id: u32, now: Instant) -> bool {
        self.change(id, now, |stream| stream.server_done = true)
    }

    /// RST_STREAM by either end: whether it takes back a request that nobody has answered yet.
    /// What was over already counts as such, for such frames are no use to anybody.
    pub(super) fn reset(&mut self, id: u32, now: Instant) -> bool {
        let Some(at) = self.position(id) else {
            return true;
        };
        let stream = self.open.swap_remove(at);
        self.note_idle(now);
        !stream.answered
    }

    /// GOAWAY by us: no stream above `last` will ever be answered.
    pub(super) fn cut(&mut self, last: u32, now: Instant) {
        self.cut = last;
        let before = self.open.len();
        self.open.retain(|stream| stream.id <= last);
        if self.open.len() < before {
            self.note_idle(now);
        }
    }

    /// Since when the `nth` oldest of the open streams, counted from 0, has stood still.
    pub(super) fn still_since(&self, nth: usize) -> Option<Instant> {
        if nth >= self.open.len() {
            return None;
        }
        let mut moved: Vec<Instant> = self.open.iter().map(|stream| stream.moved).collect();
        let (_, nth, _) = moved.select_nth_unstable(nth);
        Some(*nth)
    }

    fn change(&mut self, id: u32, now: Instant, change: impl FnOnce(&mut Stream)) -> bool {
        let Some(at) = self.position(id) else {
            return false;
        };
        let stream = &mut self.open[at];
        change(stream);
        if stream.client_done && stream.server_done {
            self.open.swap_remove(at);
            self.note_idle(now);
        }
        true
    }

    fn note_idle(&mut self, now: Instant) {
        if self.open.is_empty() {
            self.idle_since = now;
        }
    }

    /// From the end: the newest streams are asked for most.
    fn position(&self, id: u32) -> Option<usize> {
        self.open.iter().rposition(|stream| stream.id == id)
    }
}

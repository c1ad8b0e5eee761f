//! Messages on their way to one client, by stream, and those kept for a client that comes back.
//!
//! A session has one mailbox: its standing stream (`GET`) and a stream for each `POST` that is
//! answered with events. A request that stands alone (2026-07-28) has one of its own. Every message
//! is put into exactly one stream. What has been delivered is kept for a while, so that
//! `Last-Event-ID` finds it (2025-11-25, "Resumability and Redelivery"); everything is bounded.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

/// The stream that is not the answer to any request.
pub(super) const STANDING: u64 = 0;

/// Bytes and number of events that wait to be delivered, in one mailbox.
const WAITING: (usize, usize) = (16 * 1024 * 1024, 4096);

/// Bytes and number of events that are kept behind their delivery.
const KEPT: (usize, usize) = (256 * 1024, 64);

/// One client's messages.
#[derive(Debug)]
pub(super) struct Mailbox {
    inner: Mutex<Inner>,
    /// Whether delivered events are kept.
    resumable: bool,
}

#[derive(Debug, Default)]
struct Inner {
    streams: HashMap<u64, Stream>,
    next: u64,
    waiting: (usize, usize),
    kept: (usize, usize),
    /// Delivered events, oldest first: stream and sequence number.
    order: VecDeque<(u64, u64)>,
    closed: bool,
}

#[derive(Debug)]
struct Stream {
    /// Neighbours in sequence.
    events: VecDeque<Event>,
    /// The sequence number of the next event.
    next: u64,
    /// Events below have been delivered once.
    delivered: u64,
    /// Events below count as kept, those from here on as waiting.
    kept: u64,
    /// How many answers are still to come.
    answers: usize,
    over: bool,
    /// Which reader is the one; a later replaces an earlier.
    reader: u64,
    attached: bool,
    waker: Option<Waker>,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            events: VecDeque::new(),
            // 0 is the event that only names the stream.
            next: 1,
            delivered: 1,
            kept: 1,
            answers: 1,
            over: false,
            reader: 0,
            attached: false,
            waker: None,
        }
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Its number in the stream, from 1.
    pub(super) sequence: u64,
    /// The JSON text.
    pub(super) data: Bytes,
    /// Where the stream stands with it.
    pub(super) end: End,
}

/// Whether a stream goes on behind an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is the last, written in place of an answer that never came.
    Broken,
    /// It is the last.
    Last,
    /// It goes on.
    More,
}

/// The event after which a client wants to go on is not here, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

impl Mailbox {
    /// An empty one; `resumable`: delivered events are kept for a while.
    pub(super) fn new(resumable: bool) -> Arc<Self> {
        let mut inner = Inner::default();
        inner.streams.insert(STANDING, Stream::default());
        inner.next = STANDING + 1;
        Arc::new(Self {
            inner: Mutex::new(inner),
            resumable,
        })
    }

    /// A new stream, which is over behind so many answers.
    pub(super) fn open(&self, answers: usize) -> u64 {
        let mut inner = self.lock();
        let number = inner.next;
        inner.next += 1;
        let stream = Stream {
            answers,
            ..Stream::default()
        };
        inner.streams.insert(number, stream);
        number
    }

    /// Puts a message into a stream. One that nobody wants any more is dropped.
    pub(super) fn push(&self, stream: u64, data: Bytes, end: End) {
        let waker = {
            let mut inner = self.lock();
            inner.push(stream, data, end, self.resumable)
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Reads a stream: what waits in it, or what came after the event `after`. Whoever read it
    /// before has come to its end.
    pub(super) fn attach(
        self: &Arc<Self>,
        stream: u64,
        after: Option<u64>,
    ) -> Result<Reader, Gone> {
        let mut inner = self.lock();
        let closed = inner.closed;
        let state = inner.streams.get_mut(&stream).ok_or(Gone)?;
        let first = state
            .events
            .front()
            .map_or(state.next, |event| event.sequence);
        let cursor = match after {
            None => first.max(state.delivered),
            Some(after) if after >= state.next || after + 1 < first => return Err(Gone),
            Some(after) => after + 1,
        };
        if closed {
            return Err(Gone);
        }
        state.reader += 1;
        state.attached = true;
        let reader = Reader {
            number: state.reader,
            cursor,
            stream,
            mailbox: Arc::clone(self),
        };
        let earlier = state.waker.take();
        drop(inner);
        if let Some(earlier) = earlier {
            earlier.wake();
        }
        Ok(reader)
    }

    /// Whether somebody reads the stream.
    pub(super) fn is_attached(&self, stream: u64) -> bool {
        let inner = self.lock();
        inner.streams.get(&stream).is_some_and(|s| s.attached)
    }

    /// Whether somebody reads any stream.
    pub(super) fn is_read(&self) -> bool {
        self.lock().streams.values().any(|stream| stream.attached)
    }

    /// Drops a stream: nobody will ask for it again.
    pub(super) fn forget(&self, stream: u64) {
        let mut inner = self.lock();
        if let Some(state) = inner.streams.remove(&stream) {
            for event in &state.events {
                let size = (event.data.len(), 1);
                if event.sequence < state.kept {
                    less(&mut inner.kept, size);
                } else {
                    less(&mut inner.waiting, size);
                }
            }
            inner.order.retain(|(of, _)| *of != stream);
        }
    }

    /// Ends every stream behind what waits in it.
    pub(super) fn close(&self) {
        let mut wakers = Vec::new();
        {
            let mut inner = self.lock();
            inner.closed = true;
            for stream in inner.streams.values_mut() {
                stream.over = true;
                wakers.extend(stream.waker.take());
            }
        }
        wakers.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn push(&mut self, number: u64, data: Bytes, end: End, resumable: bool) -> Option<Waker> {
        let size = (data.len(), 1);
        let stream = self.streams.get_mut(&number)?;
        if stream.over {
            return None;
        }
        if end != End::More {
            stream.answers = stream.answers.saturating_sub(1);
            stream.over = stream.answers == 0;
        }
        stream.events.push_back(Event {
            sequence: stream.next,
            data,
            end: if stream.over { end } else { End::More },
        });
        stream.next += 1;
        more(&mut self.waiting, size);
        if resumable && !stream.attached {
            // Nobody takes it now; who comes back may find it.
            self.keep(number);
            return None;
        }
        // Too much waits: this stream loses what is oldest, and its reader with it.
        while over(self.waiting, WAITING)
            && let Some(oldest) = stream.events.pop_front()
        {
            let size = (oldest.data.len(), 1);
            if oldest.sequence < stream.kept {
                less(&mut self.kept, size);
                let gone = (number, oldest.sequence);
                self.order.retain(|of| *of != gone);
            } else {
                less(&mut self.waiting, size);
                stream.kept = oldest.sequence + 1;
            }
        }
        stream.waker.take()
    }

    /// The reader has taken the event with this number.
    fn deliver(&mut self, number: u64, sequence: u64, resumable: bool) {
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        stream.delivered = stream.delivered.max(sequence + 1);
        // Replayed: it has been kept before.
        if sequence < stream.kept {
            return;
        }
        if resumable {
            self.keep_until(number, sequence + 1);
        } else if let Some(event) = stream.events.pop_front() {
            stream.kept = event.sequence + 1;
            less(&mut self.waiting, (event.data.len(), 1));
        }
    }

    /// Keeps all that waits in a stream that nobody reads, as what was delivered is kept.
    fn keep(&mut self, number: u64) {
        let next = self.streams.get(&number).map(|stream| stream.next);
        self.keep_until(number, next.unwrap_or_default());
    }

    fn keep_until(&mut self, number: u64, end: u64) {
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        let begin = stream.kept;
        for event in &stream.events {
            if (begin..end).contains(&event.sequence) {
                let size = (event.data.len(), 1);
                less(&mut self.waiting, size);
                more(&mut self.kept, size);
                self.order.push_back((number, event.sequence));
            }
        }
        stream.kept = begin.max(end);
        while over(self.kept, KEPT) {
            let Some((oldest, _)) = self.order.pop_front() else {
                return;
            };
            let Some(stream) = self.streams.get_mut(&oldest) else {
                continue;
            };
            if let Some(event) = stream.events.pop_front() {
                less(&mut self.kept, (event.data.len(), 1));
            }
            if stream.is_done() {
                self.streams.remove(&oldest);
            }
        }
    }
}

impl Stream {
    /// Whether nothing of it can be asked for any more.
    fn is_done(&self) -> bool {
        self.over && self.events.is_empty() && !self.attached
    }
}

fn more(sum: &mut (usize, usize), size: (usize, usize)) {
    *sum = (sum.0 + size.0, sum.1 + size.1);
}

fn less(sum: &mut (usize, usize), size: (usize, usize)) {
    *sum = (sum.0.saturating_sub(size.0), sum.1.saturating_sub(size.1));
}

const fn over(sum: (usize, usize), most: (usize, usize)) -> bool {
    sum.0 > most.0 || sum.1 > most.1
}

/// Reads one stream of a mailbox.
#[derive(Debug)]
pub(super) struct Reader {
    mailbox: Arc<Mailbox>,
    stream: u64,
    number: u64,
    cursor: u64,
}

impl Reader {
    /// The next event; `None`: the stream is over, or another reads it now. An error: events were
    /// lost, since they were not taken in time.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Gone>>> {
        let mut inner = self.mailbox.lock();
        let Some(stream) = inner.streams.get_mut(&self.stream) else {
            return Poll::Ready(None);
        };
        if stream.reader != self.number {
            return Poll::Ready(None);
        }
        let first = stream
            .events
            .front()
            .map_or(stream.next, |event| event.sequence);
        if self.cursor < first {
            stream.over = true;
            return Poll::Ready(Some(Err(Gone)));
        }
        let at = usize::try_from(self.cursor - first).unwrap_or(usize::MAX);
        let Some(event) = stream.events.get(at).cloned() else {
            if stream.over {
                return Poll::Ready(None);
            }
            stream.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        self.cursor += 1;
        inner.deliver(self.stream, event.sequence, self.mailbox.resumable);
        Poll::Ready(Some(Ok(event)))
    }

    /// Which stream it is.
    pub(super) const fn stream(&self) -> u64 {
        self.stream
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut inner = self.mailbox.lock();
        let Some(stream) = inner.streams.get_mut(&self.stream) else {
            return;
        };
        if stream.reader != self.number {
            return;
        }
        stream.attached = false;
        stream.waker = None;
        let is_done = stream.is_done();
        if is_done {
            inner.streams.remove(&self.stream);
        } else if self.mailbox.resumable {
            inner.keep(self.stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(reader: &mut Reader) -> Poll<Option<Result<(u64, String), Gone>>> {
        let mut cx = Context::from_waker(Waker::noop());
        reader.poll_next(&mut cx).map(|event| {
            event.map(|event| {
                event.map(|event| {
                    (
                        event.sequence,
                        String::from_utf8(event.data.to_vec()).unwrap(),
                    )
                })
            })
        })
    }

    fn got(sequence: u64, text: &str) -> Poll<Option<Result<(u64, String), Gone>>> {
        Poll::Ready(Some(Ok((sequence, text.to_owned()))))
    }

    // REQ: G-16
    #[test]
    fn a_client_that_comes_back_gets_what_it_missed_of_that_stream_alone() {
        let mailbox = Mailbox::new(true);
        let (one, two) = (mailbox.open(1), mailbox.open(1));
        mailbox.push(one, "a".into(), End::More);
        mailbox.push(two, "x".into(), End::More);
        let mut reader = mailbox.attach(one, None).unwrap();
        assert_eq!(next(&mut reader), got(1, "a"));
        assert_eq!(next(&mut reader), Poll::Pending);
        drop(reader);
        mailbox.push(one, "b".into(), End::More);
        mailbox.push(one, "c".into(), End::Last);
        for after in [0, 1, 2] {
            let mut reader = mailbox.attach(one, Some(after)).unwrap();
            for (sequence, text) in [(1, "a"), (2, "b"), (3, "c")] {
                if sequence > after {
                    assert_eq!(next(&mut reader), got(sequence, text));
                }
            }
            assert_eq!(next(&mut reader), Poll::Ready(None));
        }
        assert_eq!(mailbox.attach(one, Some(4)).unwrap_err(), Gone);
        assert_eq!(mailbox.attach(9, Some(0)).unwrap_err(), Gone);
    }

    #[test]
    fn a_later_reader_takes_over() {
        let mailbox = Mailbox::new(true);
        let mut early = mailbox.attach(STANDING, None).unwrap();
        let mut late = mailbox.attach(STANDING, None).unwrap();
        mailbox.push(STANDING, "a".into(), End::More);
        assert_eq!(next(&mut early), Poll::Ready(None));
        drop(early);
        assert!(mailbox.is_attached(STANDING));
        assert_eq!(next(&mut late), got(1, "a"));
        drop(late);
        assert!(!mailbox.is_read());
    }

    #[test]
    fn what_nobody_takes_is_bounded() {
        let mailbox = Mailbox::new(true);
        let stream = mailbox.open(1);
        let mut reader = mailbox.attach(stream, None).unwrap();
        for _ in 0..5 * WAITING.1 {
            mailbox.push(stream, Bytes::from_static(&[b' '; 100]), End::More);
        }
        assert!(mailbox.lock().streams[&stream].events.len() <= WAITING.1);
        assert_eq!(next(&mut reader), Poll::Ready(Some(Err(Gone))));
    }

    #[test]
    fn what_was_left_behind_is_kept_within_the_same_bounds() {
        let mailbox = Mailbox::new(true);
        for _ in 0..1000 {
            let stream = mailbox.open(1);
            let reader = mailbox.attach(stream, None).unwrap();
            mailbox.push(stream, Bytes::from_static(&[b' '; 100]), End::More);
            drop(reader);
            mailbox.push(stream, Bytes::from_static(&[b' '; 100]), End::Last);
            mailbox.push(STANDING, "news".into(), End::More);
        }
        let inner = mailbox.lock();
        assert!(inner.streams.len() <= KEPT.1 + 2, "{}", inner.streams.len());
        assert_eq!((inner.waiting, inner.kept.1), ((0, 0), KEPT.1));
        drop(inner);
        // Whoever begins to listen gets the newest of what came before.
        let mut reader = mailbox.attach(STANDING, None).unwrap();
        assert!(matches!(next(&mut reader), Poll::Ready(Some(Ok((_, text)))) if text == "news"));
    }

    #[test]
    fn what_was_delivered_is_kept_within_bounds() {
        let mailbox = Mailbox::new(true);
        for _ in 0..1000 {
            let stream = mailbox.open(1);
            let mut reader = mailbox.attach(stream, None).unwrap();
            mailbox.push(stream, Bytes::from_static(&[b' '; 100]), End::Last);
            assert!(next(&mut reader).is_ready());
            drop(reader);
        }
        let inner = mailbox.lock();
        assert!(inner.streams.len() <= KEPT.1 + 2, "{}", inner.streams.len());
        assert_eq!(inner.waiting, (0, 0));
        assert_eq!(inner.kept, (KEPT.1 * 100, KEPT.1));
        drop(inner);
        let lone = Mailbox::new(false);
        let stream = lone.open(1);
        let mut reader = lone.attach(stream, None).unwrap();
        lone.push(stream, "a".into(), End::More);
        assert_eq!(next(&mut reader), got(1, "a"));
        assert!(lone.lock().streams[&stream].events.is_empty());
        lone.forget(stream);
        lone.push(stream, "b".into(), End::More);
        assert_eq!(lone.lock().waiting, (0, 0));
    }
}

//! Write-ahead: an intent stands in the log before its call leaves.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};

use super::pipeline::{Now, Pipeline};
use super::shared::{Buffer, CLOSED, lock};
use super::{AppendError, Durability, Handle};
use crate::record::{Opening, Record};

/// What came of [`Handle::write_ahead`].
#[derive(Debug, Clone)]
#[must_use = "the call must not leave before its intent is written"]
pub enum Ahead {
    /// The log did not take it, or its sink failed on it.
    Failed(AppendError),
    /// The writer thread is at it.
    Waiting(Ticket),
    /// It is as safe as [`Config::durability`](super::Config::durability) asks for.
    Written,
}

/// Resolves to whether the lines that it stands for are written.
#[derive(Debug, Clone)]
pub struct Ticket(Arc<Mutex<State>>);

#[derive(Debug)]
enum State {
    Done(bool),
    /// Calls whose intents are written together wait for the same.
    Open(Vec<Waker>),
}

impl Ticket {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(State::Open(Vec::new()))))
    }

    pub(super) fn settle(&self, written: bool) {
        let before = std::mem::replace(&mut *lock(&self.0), State::Done(written));
        if let State::Open(wakers) = before {
            wakers.into_iter().for_each(Waker::wake);
        }
    }
}

impl Future for Ticket {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = lock(&self.0);
        match &mut *state {
            State::Done(written) => Poll::Ready(*written),
            State::Open(wakers) => {
                if !wakers.iter().any(|known| known.will_wake(cx.waker())) {
                    wakers.push(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

/// Records that are to be written ahead, with others of the same worker; see [`Handle::stage`].
#[derive(Debug, Clone)]
pub struct Staged(Arc<Batch>);

/// What is written together, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Batch(OnceLock<Ahead>);

impl Handle {
    /// Writes records that must stand in the log before something happens.
    ///
    /// Costs one system call for a file or a pipe (two for what can only be asked before) where nothing else waits to be written: the worker does it itself.
    /// Else the writer thread does it with what else there is, and the [`Ticket`] tells. It never waits for a
    /// sink; who waits for a ticket needs a time limit of his own.
    ///
    /// A record that failed may still be written later, when the sink works again.
    pub fn write_ahead(&self, records: &[Record<'_>]) -> Ahead {
        match self.stage(records, |_| {}) {
            Ok(staged) => self.commit(&staged),
            Err(error) => Ahead::Failed(error),
        }
    }

    /// Takes records that must stand in the log before something happens. They are written by [`Handle::commit`], together with
    /// those that were staged on the same worker in between: so calls that come at the same time share one
    /// system call. `told` gets the opening of each, for the records that tell what became of it.
    ///
    /// # Errors
    /// The log does not take them.
    pub fn stage(
        &self,
        records: &[Record<'_>],
        mut told: impl FnMut(Opening),
    ) -> Result<Staged, AppendError> {
        let shared = &*self.shared;
        let mut guard = self.worker.lock();
        let buffer = &mut *guard;
        if shared.is(CLOSED) {
            return Err(AppendError::Closed);
        }
        let before = buffer.ahead.len();
        for record in records {
            let opening = record.encode_with_opening(&mut buffer.encoder, &mut buffer.ahead);
            told(Opening::of(&buffer.ahead[opening]));
        }
        if buffer.lines.len() + buffer.ahead.len() > shared.buffer_max {
            buffer.ahead.truncate(before);
            for record in records {
                buffer.lost(record.timestamp);
            }
            drop(guard);
            return Err(shared.refuse(records.len() as u64, true));
        }
        Ok(Staged(Arc::clone(&buffer.batch)))
    }

    /// Writes what is staged, as [`Handle::write_ahead`] does. Only the first of those that were staged together does
    /// anything; the others hear what came of it.
    pub fn commit(&self, staged: &Staged) -> Ahead {
        if let Some(done) = staged.0.0.get() {
            return done.clone();
        }
        let mut guard = self.worker.lock();
        // Another thread may have been faster.
        if let Some(done) = staged.0.0.get() {
            return done.clone();
        }
        let buffer = &mut *guard;
        let batch = std::mem::take(&mut buffer.batch);
        let done = self.write_batch(buffer);
        buffer.ahead.clear();
        drop(guard);
        if !matches!(done, Ahead::Written) {
            self.shared.wake(true);
        } else if self.shared.durability == Durability::Buffered {
            self.shared.wake(false);
        }
        batch.0.get_or_init(|| done).clone()
    }

    fn write_batch(&self, buffer: &mut Buffer) -> Ahead {
        let shared = &*self.shared;
        if shared.durability == Durability::Buffered {
            buffer.lines.extend_from_slice(&buffer.ahead);
            return Ahead::Written;
        }
        // What has happened comes before what has not, and with it: so the writer need not wake for it.
        buffer.lines.extend_from_slice(&buffer.ahead);
        // What is to be on the disk is the writer's: it syncs once for all that have come meanwhile. So is what somebody
        // waits for already.
        let mut pipeline = match shared.durability {
            Durability::Synced => None,
            _ if !buffer.waiting.is_empty() => None,
            _ => shared.try_pipeline(),
        };
        if let Some(pipeline) = &mut pipeline {
            let done = match pipeline.write_now(&buffer.lines, shared) {
                Now::Written => Some(Ahead::Written),
                Now::Failed => Some(Ahead::Failed(AppendError::SinkFailed)),
                Now::Queued => Some(Ahead::Waiting(Self::ticket(pipeline))),
                Now::NotReady => None,
            };
            if let Some(done) = done {
                buffer.lines.clear();
                return done;
            }
        }
        drop(pipeline);
        let ticket = Ticket::new();
        buffer.waiting.push(ticket.clone());
        Ahead::Waiting(ticket)
    }

    fn ticket(pipeline: &mut Pipeline) -> Ticket {
        let ticket = Ticket::new();
        pipeline.wait_for_last(ticket.clone());
        ticket
    }
}

//! Write-ahead: an intent stands in the log before its call leaves.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::pipeline::{Now, Pipeline};
use super::shared::{CLOSED, lock};
use super::{AppendError, Handle};
use crate::record::Record;

/// What came of [`Handle::write_ahead`].
#[derive(Debug)]
#[must_use = "the call must not leave before its intent is written"]
pub enum Ahead {
    /// The log did not take it, or its sink failed on it.
    Failed(AppendError),
    /// The writer thread is at it.
    Waiting(Ticket),
    /// It stands in every sink: the system has it, and no end of this process takes it away.
    Written,
}

/// Resolves to whether the lines that it stands for are written.
#[derive(Debug, Clone)]
pub struct Ticket(Arc<Mutex<State>>);

#[derive(Debug)]
enum State {
    Done(bool),
    Open(Option<Waker>),
}

impl Ticket {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(State::Open(None))))
    }

    pub(super) fn settle(&self, written: bool) {
        let before = std::mem::replace(&mut *lock(&self.0), State::Done(written));
        if let State::Open(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl Future for Ticket {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = lock(&self.0);
        match &mut *state {
            State::Done(written) => Poll::Ready(*written),
            State::Open(waker) => {
                match waker {
                    Some(known) => known.clone_from(cx.waker()),
                    None => *waker = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }
}

impl Handle {
    /// Writes records that must stand in the log before something happens.
    ///
    /// Costs one system call for a file or a pipe (two for what can only be asked before) where nothing else waits to be written: the worker does it itself.
    /// Else the writer thread does it with what else there is, and the [`Ticket`] tells. It never waits for a
    /// sink; who waits for a ticket needs a time limit of his own.
    ///
    /// A record that failed may still be written later, when the sink works again.
    pub fn write_ahead(&self, records: &[Record<'_>]) -> Ahead {
        let shared = &*self.shared;
        let mut guard = self.worker.lock();
        let buffer = &mut *guard;
        if shared.is(CLOSED) {
            return Ahead::Failed(AppendError::Closed);
        }
        buffer.ahead.clear();
        for record in records {
            record.encode(&mut buffer.encoder, &mut buffer.ahead);
        }
        if let Some(mut pipeline) = shared.try_pipeline() {
            match pipeline.write_now(&buffer.ahead, shared) {
                Now::Written => return Ahead::Written,
                Now::Failed => {
                    drop(pipeline);
                    shared.wake(true);
                    return Ahead::Failed(AppendError::SinkFailed);
                }
                Now::Queued => {
                    let ticket = self.ticket(&mut pipeline);
                    drop(pipeline);
                    shared.wake(true);
                    return Ahead::Waiting(ticket);
                }
                Now::NotReady => {}
            }
        }
        if buffer.lines.len() + buffer.ahead.len() > shared.buffer_max {
            for record in records {
                buffer.lost(record.timestamp);
            }
            drop(guard);
            return Ahead::Failed(shared.refuse(records.len() as u64, true));
        }
        buffer.lines.extend_from_slice(&buffer.ahead);
        let ticket = Ticket::new();
        buffer.waiting.push(ticket.clone());
        drop(guard);
        shared.wake(true);
        Ahead::Waiting(ticket)
    }

    fn ticket(&self, pipeline: &mut Pipeline) -> Ticket {
        let ticket = Ticket::new();
        pipeline.wait_for_last(ticket.clone());
        ticket
    }
}

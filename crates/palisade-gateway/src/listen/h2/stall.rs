//! Answers of which the client takes nothing.
//!
//! hyper runs each HTTP/2 answer as a task of its own, which asks the body for a piece only once
//! the one before has found room in the stream's window. So a task that has a piece and waits is
//! one whose client takes nothing of it; pieces are of 16 KiB at most. After a while its task is dropped, and with it everything
//! that the call holds: its place, its upstream connection, its bytes.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

thread_local! {
    /// What the body that was polled last on this thread has said.
    static LAST: Cell<Step> = const { Cell::new(Step::None) };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It was not asked.
    None,
    /// It had a piece.
    Gave,
    /// It had nothing, or is over.
    Waits,
}

/// Notes what a body of an answer has said to hyper.
pub(crate) fn note_frame<T>(polled: &Poll<Option<T>>) {
    LAST.set(match polled {
        Poll::Ready(Some(_)) => Step::Gave,
        Poll::Ready(None) | Poll::Pending => Step::Waits,
    });
}

/// Runs the answers of one connection.
#[derive(Clone, Debug)]
pub(super) struct StreamExecutor {
    counts: Arc<Counts>,
    longest: Duration,
}

#[derive(Debug, Default)]
struct Counts {
    /// Answers being made or sent.
    working: AtomicUsize,
    /// Those of them that wait for the client.
    waiting: AtomicUsize,
}

impl StreamExecutor {
    /// Drops an answer of which the client takes nothing for `longest`.
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            counts: Arc::default(),
            longest,
        }
    }

    /// How many answers are being made or sent.
    pub(super) fn working(&self) -> usize {
        self.counts.working.load(Ordering::Relaxed)
    }

    /// How many of them wait for the client to take a piece.
    pub(super) fn waiting(&self) -> usize {
        self.counts.waiting.load(Ordering::Relaxed)
    }
}

impl<F> hyper::rt::Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.counts.working.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(Answering {
            future,
            place: Place {
                counts: Arc::clone(&self.counts),
                waits: false,
            },
            longest: self.longest,
            gave: None,
            sleep: None,
        });
    }
}

/// An answer's part of the [`Counts`].
struct Place {
    counts: Arc<Counts>,
    waits: bool,
}

impl Place {
    fn waits(&mut self, waits: bool) {
        match (self.waits, waits) {
            (false, true) => self.counts.waiting.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.counts.waiting.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
        self.waits = waits;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waits(false);
        self.counts.working.fetch_sub(1, Ordering::Relaxed);
    }
}

pin_project! {
    /// One answer on its way.
    struct Answering<F> {
        #[pin]
        future: F,
        place: Place,
        longest: Duration,
        // When the piece was given that waits for room.
        gave: Option<Instant>,
        sleep: Option<Pin<Box<Sleep>>>,
    }
}

impl<F: Future<Output = ()>> Future for Answering<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        LAST.set(Step::None);
        if this.future.poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match LAST.get() {
            Step::None => {}
            Step::Gave => *this.gave = Some(Instant::now()),
            Step::Waits => *this.gave = None,
        }
        this.place.waits(this.gave.is_some());
        let Some(gave) = *this.gave else {
            return Poll::Pending;
        };
        let due = gave + *this.longest;
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= due {
                tracing::debug!("the client takes nothing of an answer: it is broken off");
                return Poll::Ready(());
            }
            // It was set for a piece before this one.
            sleep.as_mut().reset(due);
        }
        Poll::Pending
    }
}

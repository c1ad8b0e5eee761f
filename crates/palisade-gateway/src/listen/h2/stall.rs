//! Answers of which the client takes nothing.
//!
//! hyper runs each HTTP/2 answer as a task of its own, which asks the body for a piece only once
//! the one before has found room in the stream's window. So a task that has a piece and waits is
//! one whose client takes nothing of it; pieces are of 16 KiB at most. After a while its task is dropped, and with it everything
//! that the call holds: its place, its upstream connection, its bytes.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

/// Answers of one connection that begin at a stretch. Tasks of a worker take turns: were a hundred
/// requests of one client begun at once, everybody else on this worker would wait for all of them.
const BURST: usize = 8;
/// A client with so many answers under way has the others begin one by one.
const PLENTY: usize = 2 * BURST;
/// Answers that break off at a stretch when their connection ends: each closes its own way to the server.
const BREAKS: usize = 2;

/// Runs the answers of one connection, a few more in each turn of it.
#[derive(Clone, Debug)]
pub(super) struct StreamExecutor {
    counts: Arc<Counts>,
    turn: Arc<Mutex<Turn>>,
    longest: Duration,
}

/// What begins in one turn of a connection, and what waits for the next.
#[derive(Default)]
struct Turn {
    /// How many more may begin in it.
    left: usize,
    waiting: VecDeque<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut turn = f.debug_struct("Turn");
        turn.field("left", &self.left);
        turn.field("waiting", &self.waiting.len()).finish()
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// Answers being made or sent.
    working: AtomicUsize,
    /// Those of them that wait for the client.
    waiting: AtomicUsize,
    /// Whether the connection is over.
    ended: AtomicBool,
    /// Answers that have broken off since.
    broken: AtomicUsize,
}

impl StreamExecutor {
    /// Drops an answer of which the client takes nothing for `longest`.
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            counts: Arc::default(),
            turn: Arc::default(),
            longest,
        }
    }

    /// Begins a turn, with those that had to wait in the one before.
    pub(super) fn begin_turn(&self) {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = self.working() - turn.waiting.len();
        let most = if under_way < PLENTY { BURST } else { 1 };
        let begun = turn.waiting.len().min(most);
        turn.left = most - begun;
        for answering in turn.waiting.drain(..begun) {
            tokio::spawn(answering);
        }
    }

    /// The connection is over, and its answers with it; a few of them in each turn of the worker.
    pub(super) fn end(&self) {
        self.counts.ended.store(true, Ordering::Relaxed);
    }

    /// Whether some have to wait for the next turn.
    pub(super) fn has_waiting(&self) -> bool {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        !turn.waiting.is_empty()
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
        let answering = Answering {
            future,
            place: Place {
                counts: Arc::clone(&self.counts),
                waits: false,
            },
            longest: self.longest,
            gave: None,
            sleep: None,
            turns: None,
        };
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if turn.left > 0 && turn.waiting.is_empty() {
            turn.left -= 1;
            drop(turn);
            tokio::spawn(answering);
        } else {
            turn.waiting.push_back(Box::pin(answering));
        }
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
        // Turns of the worker before it breaks off with its connection.
        turns: Option<usize>,
    }
}

impl<F: Future<Output = ()>> Future for Answering<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.place.counts.ended.load(Ordering::Relaxed) {
            let broken = &this.place.counts.broken;
            let turns =
                (this.turns).get_or_insert_with(|| broken.fetch_add(1, Ordering::Relaxed) / BREAKS);
            if *turns > 0 {
                *turns -= 1;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::rt::Executor as _;
    use tokio::task::yield_now;

    // REQ: R-3
    #[tokio::test]
    async fn many_at_once_begin_a_few_in_each_turn() {
        let executor = StreamExecutor::new(Duration::from_secs(1));
        let begun = Arc::new(AtomicUsize::new(0));
        executor.begin_turn();
        for _ in 0..BURST * 2 + 1 {
            let begun = Arc::clone(&begun);
            executor.execute(async move {
                begun.fetch_add(1, Ordering::Relaxed);
            });
        }
        let mut turns = Vec::new();
        loop {
            yield_now().await;
            turns.push(begun.load(Ordering::Relaxed));
            if !executor.has_waiting() {
                break;
            }
            executor.begin_turn();
        }
        assert_eq!(turns, [BURST, 2 * BURST, 2 * BURST + 1]);
        assert_eq!(executor.working(), 0);
    }

    // REQ: R-3
    #[tokio::test]
    async fn who_has_plenty_under_way_begins_one_by_one_and_ends_by_twos() {
        /// An answer that never comes, and counts that it is given up.
        struct Never(Arc<AtomicUsize>, Arc<AtomicUsize>);
        impl Future for Never {
            type Output = ();
            fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
                let begun = self.0.fetch_add(1, Ordering::Relaxed);
                // As hyper's streams do: once more polled, they are over.
                if begun >= MANY {
                    return Poll::Ready(());
                }
                Poll::Pending
            }
        }
        impl Drop for Never {
            fn drop(&mut self) {
                self.1.fetch_add(1, Ordering::Relaxed);
            }
        }
        const MANY: usize = PLENTY + 5;

        let executor = StreamExecutor::new(Duration::from_secs(1));
        let (begun, ended) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let wakers: Arc<Mutex<Vec<std::task::Waker>>> = Arc::default();
        executor.begin_turn();
        for _ in 0..MANY {
            let mut never = Never(Arc::clone(&begun), Arc::clone(&ended));
            let wakers = Arc::clone(&wakers);
            executor.execute(std::future::poll_fn(move |cx| {
                wakers.lock().unwrap().push(cx.waker().clone());
                Pin::new(&mut never).poll(cx)
            }));
        }
        let mut turns = Vec::new();
        while begun.load(Ordering::Relaxed) < MANY {
            yield_now().await;
            turns.push(begun.load(Ordering::Relaxed));
            executor.begin_turn();
        }
        let one_by_one = (1..=5).map(|more| PLENTY + more);
        let expected: Vec<usize> = [BURST, PLENTY].into_iter().chain(one_by_one).collect();
        assert_eq!(turns, expected);
        assert_eq!(
            (executor.working(), ended.load(Ordering::Relaxed)),
            (MANY, 0)
        );

        executor.end();
        let woken = std::mem::take(&mut *wakers.lock().unwrap());
        woken.iter().for_each(std::task::Waker::wake_by_ref);
        // A task among them, which sees each turn.
        let seeing = tokio::spawn({
            let ended = Arc::clone(&ended);
            async move {
                let mut turns = Vec::new();
                while turns.last().is_none_or(|ended| *ended < MANY) {
                    turns.push(ended.load(Ordering::Relaxed));
                    let mut waited = false;
                    std::future::poll_fn(|cx| {
                        if std::mem::replace(&mut waited, true) {
                            return Poll::Ready(());
                        }
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    })
                    .await;
                }
                turns
            }
        });
        let turns = seeing.await.unwrap();
        let expected: Vec<usize> = (1..=MANY.div_ceil(BREAKS))
            .map(|turn| MANY.min(turn * BREAKS))
            .collect();
        assert_eq!(turns, expected);
        assert_eq!(executor.working(), 0);
    }
}

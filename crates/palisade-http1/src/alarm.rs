//! One timer for all the deadlines of a connection.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that is moved only when it must be: a deadline that moves on with every request would
/// cost each of them a change of the timer wheel.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    /// Who is woken when it goes off.
    registered: Option<Waker>,
}

impl Alarm {
    /// Ready once `deadline` has passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        let registered = self.registered.as_ref();
        if deadline >= sleep.deadline()
            && !sleep.is_elapsed()
            && registered.is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            return Poll::Pending;
        }
        if deadline < sleep.deadline() {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= deadline {
                self.registered = None;
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        if !registered.is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.registered = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

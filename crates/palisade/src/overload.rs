//! How many requests are worked on at once, in all.
//!
//! Beyond it a request is refused at once, which costs little, in place of waiting, which holds
//! memory and sockets until everything stalls.

use http::header::{HeaderValue, RETRY_AFTER};
use http::request::Parts;

use crate::call_limits::Slots;
use crate::exchange::Exchange;
use crate::guard::{Admit, Guard};
use crate::rejection::{Reason, Rejection};

/// Refuses with 503 `limit.requests` and `Retry-After` what comes while as many requests are in
/// flight as allowed. A request is in flight from its head to the end of its answer, so an event
/// stream is for as long as it is open.
///
/// Clones count together: one for all listeners and workers. It protects the process, so it has
/// no mode.
#[derive(Clone, Debug)]
pub struct Overload {
    slots: Slots,
    most: u32,
}

impl Overload {
    /// At most `most` requests in flight.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self {
            slots: Slots::new(most),
            most,
        }
    }
}

impl Guard for Overload {
    fn admit(&self, head: &mut Parts) -> Result<Admit, Rejection> {
        let Some(slot) = self.slots.take() else {
            let most = self.most;
            return Err(Rejection::new(Reason::LimitRequests)
                .with_header(RETRY_AFTER, HeaderValue::from_static("1"))
                .with_detail(format_args!("{most} requests in flight"))
                .with_remedy(format_args!(
                    "raise `limits.inflight_requests` above {most}"
                )));
        };
        // The exchange ends with its answer.
        Exchange::of(head).facts().slot = Some(slot);
        Ok(Admit::pass())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    // REQ: R-3
    #[test]
    fn a_place_is_held_as_long_as_the_exchange() {
        let overload = Overload::new(2);
        let other = overload.clone();
        let head = || Request::new(()).into_parts().0;
        let (mut first, mut second) = (head(), head());
        assert!(overload.admit(&mut first).is_ok());
        assert!(other.admit(&mut second).is_ok());
        let refused = overload.admit(&mut head()).unwrap_err();
        assert_eq!(refused.reason(), Reason::LimitRequests);
        let answer = refused.into_response(&head());
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "1");
        let exchange = Exchange::of(&mut first);
        drop(first);
        assert!(overload.admit(&mut head()).is_err(), "still being answered");
        drop(exchange);
        assert!(overload.admit(&mut head()).is_ok());
    }
}

//! How much of each kind of frame a connection may send.

use tokio::time::Instant;

use super::budget::{Allowance, Budget};
use super::violation::Violation;

/// What it is to be generous to: a browser that closes a hundred streams at once, curl and Node,
/// which return a WINDOW_UPDATE for every DATA frame on stream and connection, gRPC's probes
/// (PINGs as fast as round trips while data flows), clients that cancel what they race. Small
/// to: anybody who sends tens of thousands.
#[derive(Clone, Debug)]
pub(super) struct Budgets {
    pub(super) settings: Budget,
    pub(super) ping: Budget,
    pub(super) priority: Budget,
    pub(super) window_update: Budget,
    pub(super) reset: Budget,
    pub(super) empty_data: Budget,
    pub(super) empty_continuation: Budget,
    pub(super) unknown: Budget,
    pub(super) provoked_reset: Budget,
    pub(super) streams: Budget,
}

impl Budgets {
    pub(super) fn new(now: Instant) -> Self {
        let budget = |allowance| Budget::new(allowance, now);
        Self {
            // One at the start, one ACK for each of ours, and a few while it lives.
            settings: budget(Allowance::new(64, 1)),
            // A PING each time it wakes; with each large DATA frame of ours one more.
            ping: budget(Allowance::earning(256, 4, 1024)),
            // Two with each request: Firefox sends one, nghttp five at the start.
            priority: budget(Allowance::earning(256, 16, 1024)),
            // Three with each DATA frame of ours: one for the stream, one for the connection.
            window_update: budget(Allowance::earning(2048, 64, 16_384)),
            // Two rounds of all streams at once; with each answer one more.
            reset: budget(Allowance::earning(256, 32, 1024)),
            // One with each request: some end a body with an empty frame, some begin with one.
            empty_data: budget(Allowance::earning(64, 4, 256)),
            // Nobody who is honest sends one.
            empty_continuation: budget(Allowance::new(4, 1)),
            // GREASE (RFC 8701) and extensions, by KiB of payload.
            unknown: budget(Allowance::new(256, 8)),
            // Faults of the client, each answered with a reset. DATA that was on its way when
            // a stream was reset is one (hyperium/h2 issue 856).
            provoked_reset: budget(Allowance::new(128, 8)),
            // Streams opened before our SETTINGS with their bound were read.
            streams: budget(Allowance::new(256, 16)),
        }
    }

    pub(super) fn of(&self, violation: Violation) -> Option<&Budget> {
        Some(match violation {
            Violation::Continuation => &self.empty_continuation,
            Violation::EmptyData => &self.empty_data,
            Violation::Ping => &self.ping,
            Violation::Priority => &self.priority,
            Violation::ProvokedReset => &self.provoked_reset,
            Violation::Reset => &self.reset,
            Violation::Settings => &self.settings,
            Violation::Streams => &self.streams,
            Violation::Unknown => &self.unknown,
            Violation::WindowUpdate => &self.window_update,
            _ => return None,
        })
    }
}

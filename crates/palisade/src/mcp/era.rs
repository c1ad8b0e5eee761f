//! Which era a server has shown itself to belong to.
//!
//! Era is a property of the server (2026-07-28, "Versioning"); clients conclude from answers
//! which it is. So an answer of ours may look modern only in front of a server that has shown
//! that it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What one server has shown so far. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Era {
    modern: Arc<AtomicBool>,
}

impl Era {
    /// Whether the server has answered a message of 2026-07-28 or later by its rules.
    #[must_use]
    pub fn is_modern(&self) -> bool {
        self.modern.load(Ordering::Relaxed)
    }

    /// Notes that it has.
    pub fn saw_modern(&self) {
        if !self.is_modern() {
            self.modern.store(true, Ordering::Relaxed);
        }
    }
}

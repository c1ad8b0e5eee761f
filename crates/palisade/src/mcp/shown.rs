//! What a server has shown of itself so far: its era and its version.
//!
//! Era is a property of the server (2026-07-28, "Versioning"); clients conclude from answers
//! which it is. So an answer of ours may look modern only in front of a server that has shown
//! that it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// What one server has shown. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    modern: AtomicBool,
    version: RwLock<Option<Arc<str>>>,
}

impl Shown {
    /// Whether the server has answered a message of 2026-07-28 or later by its rules.
    #[must_use]
    pub fn is_modern(&self) -> bool {
        self.shared.modern.load(Ordering::Relaxed)
    }

    /// Notes that it has.
    pub fn saw_modern(&self) {
        if !self.is_modern() {
            self.shared.modern.store(true, Ordering::Relaxed);
        }
    }

    /// The version that its `serverInfo` named last.
    #[must_use]
    pub fn version(&self) -> Option<Arc<str>> {
        self.shared
            .version
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes its version.
    pub fn saw_version(&self, version: &str) {
        if self.version().as_deref() != Some(version) {
            let mut known = self
                .shared
                .version
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            *known = Some(version.into());
        }
    }
}

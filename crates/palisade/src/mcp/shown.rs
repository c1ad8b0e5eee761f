//! What a server has shown of itself so far: its era, its version, and which arguments of its tools
//! are URLs.
//!
//! Era is a property of the server (2026-07-28, "Versioning"); clients conclude from answers
//! which it is. So an answer of ours may look modern only in front of a server that has shown
//! that it is.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::outcome::ToolHint;

/// What one server has shown. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    modern: AtomicBool,
    version: RwLock<Option<Arc<str>>>,
    schemas: AtomicBool,
    destinations: RwLock<BTreeMap<String, Arc<[String]>>>,
}

/// Most tools of one server whose schemas are remembered.
const MOST_TOOLS: usize = 4096;

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

    /// Whether somebody wants to know what its tools' schemas say.
    #[must_use]
    pub fn wants_schemas(&self) -> bool {
        self.shared.schemas.load(Ordering::Relaxed)
    }

    /// From now on its tools' schemas are wanted.
    pub fn want_schemas(&self) {
        self.shared.schemas.store(true, Ordering::Relaxed);
    }

    /// The arguments of a tool that its schema says are URLs or hosts, as the server listed it
    /// last.
    #[must_use]
    pub fn destinations(&self, tool: &str) -> Arc<[String]> {
        let known = self.shared.destinations.read();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        known.get(tool).cloned().unwrap_or_default()
    }

    /// Notes what the schemas of listed tools say.
    pub fn saw_tools(&self, tools: &[ToolHint]) {
        if tools.is_empty() || !self.wants_schemas() {
            return;
        }
        let known = self.shared.destinations.write();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        for tool in tools {
            if tool.destinations.is_empty() {
                known.remove(&tool.name);
            } else if known.len() < MOST_TOOLS || known.contains_key(&tool.name) {
                known.insert(tool.name.clone(), tool.destinations.as_slice().into());
            }
        }
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

//! What a server has shown of itself so far: its era, its version, what its tools may do and which of
//! their arguments are URLs.
//!
//! Era is a property of the server (2026-07-28, "Versioning"); clients conclude from answers
//! which it is. So an answer of ours may look modern only in front of a server that has shown
//! that it is.

use std::collections::{BTreeMap, HashMap};
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
    /// Whether each tool may destroy something, as the last list has it.
    tools: RwLock<HashMap<Box<str>, bool>>,
    schemas: AtomicBool,
    destinations: RwLock<BTreeMap<String, Arc<[String]>>>,
}

/// Tools of one server that are remembered; of the others nothing is known.
const MAX_TOOLS: usize = 4096;

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

    /// Whether a tool may destroy something: what the server says of it, which is true where it says nothing
    /// (MCP schema, `ToolAnnotations`), and so for tools that it has not listed yet.
    #[must_use]
    pub fn may_destroy(&self, tool: &str) -> bool {
        let tools = self.shared.tools.read();
        let tools = tools.unwrap_or_else(PoisonError::into_inner);
        tools.get(tool).copied().unwrap_or(true)
    }

    /// Notes what a list says of tools.
    pub fn saw_tools(&self, tools: &[ToolHint]) {
        self.saw_hints(tools);
        if self.wants_schemas() {
            self.saw_schemas(tools);
        }
    }

    fn saw_hints(&self, tools: &[ToolHint]) {
        if tools.iter().all(|tool| self.knows(tool)) {
            return;
        }
        let known = self.shared.tools.write();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        for tool in tools {
            if let Some(destroys) = known.get_mut(tool.name.as_str()) {
                *destroys = destroys_by(tool);
            } else if known.len() < MAX_TOOLS {
                known.insert(tool.name.as_str().into(), destroys_by(tool));
            }
        }
    }

    fn saw_schemas(&self, tools: &[ToolHint]) {
        if tools.is_empty() {
            return;
        }
        let known = self.shared.destinations.write();
        let mut known = known.unwrap_or_else(PoisonError::into_inner);
        for tool in tools {
            if tool.destinations.is_empty() {
                known.remove(&tool.name);
            } else if known.len() < MAX_TOOLS || known.contains_key(&tool.name) {
                known.insert(tool.name.clone(), tool.destinations.as_slice().into());
            }
        }
    }

    fn knows(&self, tool: &ToolHint) -> bool {
        let known = self.shared.tools.read();
        let known = known.unwrap_or_else(PoisonError::into_inner);
        known.get(tool.name.as_str()) == Some(&destroys_by(tool))
    }
}

/// `destructiveHint` means something only for tools that are not read-only.
fn destroys_by(tool: &ToolHint) -> bool {
    tool.read_only != Some(true) && tool.destructive != Some(false)
}

//! The layers as a user of the library stacks them, in memory.

#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

mod policy;
mod whole;
mod wire;

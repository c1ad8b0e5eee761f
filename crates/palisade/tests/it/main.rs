//! The layers as a user of the library stacks them, in memory.

#![allow(missing_docs, reason = "tests")]

mod policy;
mod wire;

//! palisade

pub mod mcp;

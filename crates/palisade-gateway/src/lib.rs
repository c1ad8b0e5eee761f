//! palisade-gateway

pub mod certs;
pub mod listen;

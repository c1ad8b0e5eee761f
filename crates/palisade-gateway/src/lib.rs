//! palisade-gateway

pub mod config;

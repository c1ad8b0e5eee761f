//! palisade-gateway

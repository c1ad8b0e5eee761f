//! palisade-audit

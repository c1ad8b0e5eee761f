//! The gateway: listeners, TLS, configuration, upstreams; composed from the public layers of
//! [`palisade`].

pub mod upstream;

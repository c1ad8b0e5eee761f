//! The gateway: listeners, TLS, configuration, upstreams; composed from the public layers of
//! [`palisade`].

pub mod audit;
pub mod auth;
pub mod certs;
pub mod config;
pub mod connect;
pub mod egress;
pub mod listen;
pub mod path;
pub mod plan;
pub mod redirect;
pub mod request_body;
pub mod serve;
pub mod upstream;

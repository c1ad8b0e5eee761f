//! Listening: sockets, connection caps, TLS, and the plain listener that only redirects.

pub mod h2;
pub mod limits;
pub mod proxy;
pub mod proxy_protocol;
pub mod redirect;
pub mod refused;
pub mod socket;
pub mod tcp;
pub mod tls;
mod xfcc;

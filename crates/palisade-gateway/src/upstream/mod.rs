//! What stands behind the layers: the clients of the servers that Palisade protects.

pub mod backend;
pub mod head;
pub mod http;
pub mod keep_alive;
mod pool;
pub mod stdio;
pub(crate) mod stream;

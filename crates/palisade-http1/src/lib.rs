//! Strict HTTP/1.1 (RFC 9112).
//!
//! The core does no I/O and has no clock: [`server::Connection`] takes bytes and gives requests,
//! and writes answers to a buffer; [`client::Connection`] is its counterpart. Thin tokio drivers
//! stand beside them. There is no policy here: what is wrong with a request travels on with it
//! as its [`Fault`], for whoever answers it.
//!
//! What RFC 9112 lets a recipient repair is refused here, since the next reader may repair it in
//! another way: bare LF, folded lines, white space before a colon, doubled lengths, a length
//! beside a coding.

mod alarm;
mod body;
mod fault;
mod fields;
mod head;
mod io;
mod memory;
mod outbox;
mod request;

pub mod client;
pub mod server;

pub use body::{Framing, Piece};
pub use fault::{Fault, FaultKind};
pub use head::{FieldLines, FieldWriter};
pub use request::{HeadLimits, RequestHead};

//! What a gateway reads of the Model Context Protocol: requests, answers and event streams.
//!
//! Everything here is pure: bytes in, decisions out; no I/O, no clock, no runtime. Requests are
//! hostile and are read strictly ([`message`], on [`json`]); answers belong to the upstream and are
//! watched leniently without ever being held ([`outcome`], [`sse`]).
//!
//! | module | reads | on doubt |
//! |---|---|---|
//! | [`message`] | a request body, or a batch of them | refuses with a [`Fault`] |
//! | [`headers`] | the headers that mirror a 2026-07-28 body | says how they disagree |
//! | [`outcome`] | an answer's body, chunk by chunk | says it was unreadable |
//! | [`sse`] | an event stream, chunk by chunk | passes on, as the WHATWG rules say |
//!
//! ```
//! use palisade::mcp::{Limits, TargetKind, read};
//!
//! let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}"#;
//! let payload = read(body, &Limits::default())?;
//! let target = payload.messages()[0].target.as_ref().expect("the call names a tool");
//! assert_eq!((target.kind, &*target.name), (TargetKind::Tool, "echo"));
//!
//! // Two readers would see two methods: no guard may guess which one the upstream takes.
//! let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list","m\u0065thod":"tools/call"}"#;
//! assert_eq!(read(body, &Limits::default()).unwrap_err().kind.name(), "duplicate_key");
//! # Ok::<(), palisade::mcp::Fault>(())
//! ```

pub mod headers;
pub mod json;
pub mod message;
pub mod outcome;
pub mod revision;
mod schema;
pub mod shown;
pub mod sse;

pub use message::{
    Fault, FaultKind, Kind, Limits, Message, Payload, RequestId, Target, TargetKind, read,
};
pub use revision::Revision;

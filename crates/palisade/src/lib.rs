//! The wall round MCP servers, as `tower` layers.
//!
//! Every rule of Palisade is a layer that works round any [`tower_service::Service`] over
//! [`http`] types: an axum router, the official SDK's HTTP service, or the gateway's own
//! upstream client. Most rules are a [`Guard`]: one pure decision about the request head.
//! [`GuardLayer`] turns a guard, or a tuple of guards, into a layer; refusals are one type,
//! [`Rejection`], which travels in the response's extensions.

pub mod access;
pub mod audit;
pub mod auth;
pub mod authority;
pub mod body;
pub mod call_limits;
pub mod cors;
pub mod erased;
pub mod headers;
pub mod host;
pub mod inspect;
pub mod mcp;
pub mod media;
pub mod origin;
pub mod origins;
pub mod overload;
pub mod path;
pub mod rate;
pub mod request_id;
pub mod route;
pub mod sanity;
pub mod session;
pub mod stack;
pub mod timer;
pub mod urls;

mod answer;
mod exchange;
mod field;
mod guard;
mod lines;
mod rejection;

pub use answer::Answer;
pub use exchange::{Call, CallOutcome, Connection, Exchange, Facts, RequestId, Text};
pub use guard::{Admit, Guard, GuardLayer, GuardService, Mode, Moded, Optional};
pub use lines::Lines;
pub use rejection::{Fault, Reason, Rejection};

//! The wall round MCP servers, as `tower` layers.
//!
//! Every rule of Palisade is a layer that works round any [`tower_service::Service`] over
//! [`http`] types: an axum router, the official SDK's HTTP service, or the gateway's own
//! upstream client. Most rules are a [`Guard`]: one pure decision about the request head.
//! [`GuardLayer`] turns a guard, or a tuple of guards, into a layer; refusals are one type,
//! [`Rejection`], which travels in the response's extensions.

mod answer;
pub mod body;
mod exchange;
mod field;
mod guard;
pub mod headers;
pub mod path;
pub mod rate;
mod rejection;
pub mod request_id;
pub mod sanity;

pub use answer::Answer;
pub use exchange::{Connection, Exchange, RequestId};
pub use guard::{Admit, Guard, GuardLayer, GuardService, Mode, Moded, Optional};
pub use rejection::{Fault, Reason, Rejection};

//! The guard on the way out: no request goes where it must not.
//!
//! A tool that fetches what a model asks for can be talked into fetching the cloud's credentials.
//! This crate decides where a request may go, and makes it impossible to connect anywhere else:
//!
//! * [`Policy::check_url`] reads a URL once, strictly, and judges scheme, host and port;
//! * [`Policy::check_addrs`] judges every address that the host's name leads to, on its bytes;
//! * only the [`CheckedTarget`] that comes of both can be dialed, by [`Guard::connect`], which compares
//!   where the connection ended with what was judged.
//!
//! On it stand an HTTP client for Rust tools ([`client`]), a forward proxy for programs in any
//! language ([`proxy`]), and a way to try a policy case by case without a network ([`check`]).
//!
//! Every answer is a [`Decision`] whose code, such as `egress.address.loopback`, is the same in the
//! log, in the metric and in the documentation.

mod address;
pub mod check;
pub mod client;
mod decision;
mod entry;
mod event;
mod guard;
#[cfg(all(
    feature = "jail",
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
pub mod jail;
mod level;
mod name;
mod own;
mod policy;
pub mod proxy;
mod resolve;
mod target;

pub use address::{canonical, classify};
pub use decision::{Decision, Grant, Reason, Refusal};
pub use entry::EntryError;
pub use event::{Event, Form, Observe, Traffic, Unobserved};
pub use guard::{ConnectError, Connection, Dial, Dialed, Guard, Pinned, Stream, TcpDialer, Times};
pub use level::{Level, UnknownLevel};
pub use name::Name;
pub use own::OwnAddresses;
pub use policy::{CheckedTarget, Policy, PolicyBuilder, PolicyError, Ports, Target};
pub use resolve::{Answers, BoxFuture, DnsResolver, Resolve, ResolveError, SystemResolver};
pub use target::{Host, MAX_URL};

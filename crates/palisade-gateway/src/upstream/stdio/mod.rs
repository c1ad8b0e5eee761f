//! Commands that speak MCP on their standard streams, as Streamable HTTP servers.
//!
//! ```text
//! Stdio (tower service, one per worker)
//!   └ Bridge ── Sessions: sealed ids ── Session ── Mailbox: streams, kept events
//!       │                                  │
//!       ├ Pool: children of requests that stand alone
//!       └ Launcher ── Process ── keeper ── the command
//!                        └ Link: which message belongs to whom
//! ```
//!
//! Children live on a thread of their own ([`Host`]); a worker reaches them by their `link`'s
//! lock and a queue, and is reached by wakers.

mod body;
mod bridge;
pub(crate) mod envelope;
mod host;
mod input;
mod install;
mod keeper;
mod launcher;
mod line;
mod link;
mod lone;
mod mailbox;
mod process;
mod rounds;
mod seal;
mod session;
mod shim;
mod starts;
mod stderr;
mod underway;

pub use body::{Events, Lost, StdioBody};
pub use bridge::{Bridge, Config, Scope, Stdio};
pub use host::Host;
pub use install::{InstallError, install};
pub use keeper::{prove, run_if_asked};
pub use process::Spec;
pub use underway::{CallNote, CallsUnderWay, UnderWay, WayOut};

//! The harness of the end-to-end tests: the real `palisade` binary between raw sockets.
//!
//! * [`Palisade`] is the binary in a process of its own, with a directory of its own.
//! * [`Upstream`] is the recording end of the wire: it keeps the exact bytes that arrive, and
//!   answers by script. It is no MCP server; real ones come in tests of their own.
//! * [`wire`] holds raw clients for HTTP/1.1 and HTTP/2 over TLS.
//!
//! Everything here panics when it fails or waits too long: it is only ever called by tests.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says so by a panic"
)]

pub mod authority;
pub mod namespace;
pub mod palisade;
pub mod shared;
pub mod upstream;
pub mod wire;

pub use palisade::Palisade;
pub use shared::Shared;
pub use upstream::{Arrived, Reply, Upstream};

use std::time::Duration;

/// No wait of the harness is longer, unless it says so.
pub const PATIENCE: Duration = Duration::from_secs(20);

//! How firmly a policy holds for a server's command, and whether that is firm enough.

use palisade_egress::Level;

use crate::config::{Server, Settings};

/// How firmly the policy of every command holds in this version, on this machine.
#[must_use]
pub const fn in_force() -> Level {
    Level::Advisory
}

/// A server's policy would hold less firmly than it must.
#[derive(Debug, thiserror::Error)]
#[error(
    "the outbound policy of server `{server}` must be {wanted} ({why}), and here it would be {reached}: {remedy}"
)]
pub struct LevelError {
    server: String,
    wanted: Level,
    why: &'static str,
    reached: Level,
    remedy: &'static str,
}

/// The least level that a server's policy must hold at, and why.
fn wanted(server: &Server, settings: &Settings) -> (Level, &'static str) {
    match &settings.egress.min_level {
        Some(level) => (level.value.into(), "`egress.min_level`"),
        None if server.egress.is_some() => (Level::Supervised, "it has an allowlist"),
        None => (Level::Advisory, "the default"),
    }
}

/// Whether the server may be started.
pub(super) fn check(server: &Server, settings: &Settings) -> Result<(), LevelError> {
    let (wanted, why) = wanted(server, settings);
    let reached = in_force();
    if reached >= wanted {
        return Ok(());
    }
    Err(LevelError {
        server: server.name.value.clone(),
        wanted,
        why,
        reached,
        remedy: "run it where the kernel can enforce the policy, or write `min_level = \"advisory\"` under `[egress]` and know that the command can go past the proxy",
    })
}

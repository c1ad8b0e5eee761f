//! How firmly a policy holds for a server's command, and whether that is firm enough.

use std::io;

use palisade_egress::Level;
use palisade_egress::jail::Proven;

use crate::config::{Backend, Server, Settings};
use crate::upstream::stdio;

/// What the canary proved of each level that is the firmest for some server: found out once, at
/// start.
#[derive(Clone, Debug, Default)]
pub struct Levels(Vec<(Level, Proven)>);

impl Levels {
    /// Runs the canary for the commands of these settings, as they would be run. Blocks for some
    /// tenths of a second.
    ///
    /// # Errors
    /// Not even a canary without a wall runs.
    pub(super) fn prove(settings: &Settings) -> io::Result<Self> {
        // Of its own: what carries the canary must run while this thread waits.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let mut proven = Self::default();
        for server in &settings.servers {
            let highest = highest(server, settings);
            if matches!(server.backend, Backend::Command(_)) && proven.from(highest).is_none() {
                let found = stdio::prove(highest, runtime.handle())?;
                proven.0.push((highest, found));
            }
        }
        runtime.shutdown_background();
        Ok(proven)
    }

    /// What holds for this server's command; `None`: it was not tried.
    #[must_use]
    pub fn of(&self, server: &Server, settings: &Settings) -> Option<&Proven> {
        self.from(highest(server, settings))
    }

    fn from(&self, highest: Level) -> Option<&Proven> {
        let mut found = self.0.iter();
        found
            .find(|(tried, _)| *tried == highest)
            .map(|(_, proven)| proven)
    }
}

/// The firmest level that is tried.
fn highest(server: &Server, settings: &Settings) -> Level {
    server.max_level(&settings.egress).value.into()
}

/// A server's policy would hold less firmly than it must.
#[derive(Debug, thiserror::Error)]
#[error(
    "the outbound policy of server `{server}` must be {wanted} ({why}), and here it would be {reached}: {cause}; {remedy}"
)]
pub struct LevelError {
    server: String,
    wanted: Level,
    why: String,
    reached: Level,
    cause: String,
    remedy: &'static str,
}

/// The least level that a server's policy must hold at, and why.
fn wanted(server: &Server, settings: &Settings) -> (Level, String) {
    match &settings.egress.min_level {
        Some(level) => (level.value.into(), "`egress.min_level`".to_owned()),
        None if server.egress.is_some() => (Level::Supervised, "it has an allowlist".to_owned()),
        None => (Level::Advisory, "the default".to_owned()),
    }
}

/// Whether the server may be started at the level that was proven for it.
pub(super) fn check(
    server: &Server,
    settings: &Settings,
    proven: &Proven,
) -> Result<(), LevelError> {
    let (wanted, why) = wanted(server, settings);
    let reached = proven.level;
    if reached >= wanted {
        return Ok(());
    }
    let most = server.max_level(&settings.egress);
    let (cause, remedy) = if Level::from(most.value) < wanted {
        (
            format!("`max_level` lets it be no more ({})", most.source),
            "raise `max_level`, or write `min_level = \"advisory\"` under `[egress]` and know that the command can go past the proxy",
        )
    } else {
        let tried = proven.not_available.iter();
        let tried = tried.filter(|(level, _)| *level >= wanted);
        let tried: Vec<_> = tried
            .map(|(level, why)| format!("not {level}: {why}"))
            .collect();
        (
            tried.join("; "),
            "run it where the kernel can enforce the policy (docs/jail.md), or write `min_level = \"advisory\"` under `[egress]` and know that the command can go past the proxy",
        )
    };
    Err(LevelError {
        server: server.name.value.clone(),
        wanted,
        why,
        reached,
        cause,
        remedy,
    })
}

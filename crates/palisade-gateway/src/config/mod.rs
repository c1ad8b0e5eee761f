//! The configuration: what was said ([`file`]) → what is meant ([`Settings`]).
//!
//! Defaults < file < environment < flags; servers inherit. Every mistake is reported at once,
//! each with its place, its cause and its remedy ([`problem`]).

mod defaults;
mod names;
mod settings;
mod units;

pub use names::{Fault, HostEntry, HttpUrl, OriginKind, OriginPattern, OriginRegex, loopback};
pub use settings::*;
pub use units::{RateLimit, Window, show_duration, show_size};

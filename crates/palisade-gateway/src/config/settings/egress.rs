//! `[egress]`: the way out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{List, Mode, Value};

/// `[egress]`, as far as no server repeats it. Entries of lists have been checked for shape.
#[derive(Clone, Debug)]
pub struct Egress {
    /// `min_level`; `None`: supervised for a command with an allowlist, else advisory.
    pub min_level: Option<Value<Level>>,
    /// `max_level`: the firmest that is tried. Default isolated.
    pub max_level: Value<Level>,
    /// `allow_special`: addresses and ranges that the tables would refuse.
    pub allow_special: List<String>,
    /// `deny`: ranges that are always refused.
    pub deny: List<String>,
    /// `nat64`: prefixes of this network's NAT64.
    pub nat64: List<String>,
    /// `ports`. Default 80 and 443.
    pub ports: List<u16>,
    /// `dns`: servers to ask; empty: those of `/etc/resolv.conf`.
    pub dns: List<SocketAddr>,
    /// `ca`: certificates to trust beside the system's.
    pub ca: Option<Value<PathBuf>>,
    /// `urls`: of URLs in arguments, where a server says nothing; `None`: off, unless the server
    /// is an upstream with an allowlist.
    pub urls: Option<Value<Mode>>,
    /// `listen`: of `palisade egress serve`. Default 127.0.0.1:3128.
    pub listen: Value<SocketAddr>,
    /// `[egress.user.NAME]`.
    pub users: BTreeMap<String, EgressUser>,
}

/// `[egress.user.NAME]`.
#[derive(Clone, Debug)]
pub struct EgressUser {
    /// `password_file`.
    pub password_file: Value<PathBuf>,
    /// `egress`; `None`: the public internet minus everything special.
    pub egress: Option<List<String>>,
}

/// How firmly an outbound policy holds for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// By proxy variables, which the command may ignore.
    Advisory,
    /// By supervised system calls.
    Supervised,
    /// By a network of the command's own.
    Isolated,
}

impl From<Level> for palisade_egress::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Advisory => Self::Advisory,
            Level::Supervised => Self::Supervised,
            Level::Isolated => Self::Isolated,
        }
    }
}

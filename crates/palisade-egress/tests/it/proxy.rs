//! The forward proxy with real clients: curl, Python, Node, and clients that do not play by the
//! rules.

mod bounds;
mod identities;
mod programs;
mod requests;
mod rig;
mod socks;
mod tunnels;

//! The guard on the way out, by its public items: against servers on loopback and real clients.

mod children;
mod client;
mod corpus;
mod dns;
mod proxy;
mod readers;
mod rmcp;
#[path = "../support/mod.rs"]
mod support;

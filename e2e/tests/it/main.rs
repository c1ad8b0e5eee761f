//! End-to-end tests: the real binary, real peers. One module for each letter of the
//! requirements; `e2e/src` holds the harness.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests fail as the tests do"
)]

mod audit;
mod audit_faults;
mod audit_query;
mod audit_rules;
mod audit_sinks;
mod auth;
mod clients;
mod conformance;
mod connect;
mod cors;
mod demo;
mod docs;
mod egress;
mod every_answer;
mod forwarding;
mod framing;
mod h1_abuse;
mod h2_abuse;
mod h2_conformance;
mod h2_values;
mod handshake;
mod harness;
mod headers;
mod host;
mod jail;
mod judge;
mod legacy_sse;
mod lifecycle;
mod limits;
mod messages;
mod origin;
mod peers;
mod rig;
mod sse;
mod stdio;
mod tls;
mod training;
mod unjudged;
mod upstream;

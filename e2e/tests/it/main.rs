//! End-to-end tests: the real binary, real peers. One module for each letter of the
//! requirements; `e2e/src` holds the harness.

mod clients;
mod conformance;
mod harness;
mod legacy_sse;
mod peers;

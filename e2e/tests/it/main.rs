//! End-to-end tests: the real binary, real peers. One module for each letter of the
//! requirements; `e2e/src` holds the harness.

mod audit;
mod demo;
mod harness;
mod lifecycle;
mod limits;
mod messages;
mod rig;
mod sse;
mod upstream;

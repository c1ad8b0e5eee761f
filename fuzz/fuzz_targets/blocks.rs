#![no_main]
// Of the gateway, what reads header blocks, and nothing else.
#![allow(dead_code, reason = "what else stands in these files")]

#[path = "../../crates/palisade-gateway/src/listen/h2/blocks.rs"]
mod blocks;
#[path = "../../crates/palisade-gateway/src/listen/h2/budget.rs"]
mod budget;
#[path = "../../crates/palisade-gateway/src/listen/h2/budgets.rs"]
mod budgets;
#[path = "../blocks.rs"]
mod corpus;
#[path = "../../crates/palisade-gateway/src/listen/h2/faults.rs"]
mod faults;
#[path = "../../crates/palisade-gateway/src/listen/h2/frame.rs"]
mod frame;
#[path = "../../crates/palisade-gateway/src/listen/h2/hpack.rs"]
mod hpack;
#[path = "../../crates/palisade-gateway/src/listen/h2/meter.rs"]
mod meter;
#[path = "../../crates/palisade-gateway/src/listen/h2/streams.rs"]
mod streams;
#[path = "../../crates/palisade-gateway/src/listen/h2/violation.rs"]
mod violation;

libfuzzer_sys::fuzz_target!(|data: &[u8]| corpus::check(data));

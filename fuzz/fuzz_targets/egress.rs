#![no_main]
#[path = "../egress.rs"]
mod egress;

libfuzzer_sys::fuzz_target!(|data: &[u8]| egress::check(data));

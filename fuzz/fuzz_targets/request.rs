#![no_main]
#[path = "../http1.rs"]
#[allow(dead_code, reason = "each target uses one check")]
mod http1;

libfuzzer_sys::fuzz_target!(|data: &[u8]| http1::request(data));

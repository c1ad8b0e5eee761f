#![no_main]
#[path = "../redact.rs"]
mod redact;

libfuzzer_sys::fuzz_target!(|data: &[u8]| redact::check(data));

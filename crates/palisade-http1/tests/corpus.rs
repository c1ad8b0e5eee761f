//! Replays the committed fuzzing corpus, and the table of cases, through the checks of the fuzz
//! targets: differential with `httparse` and a reference reading, and split invariance.
#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests fail as the tests do"
)]

#[allow(dead_code, reason = "the bytes alone are replayed")]
mod cases;
#[path = "../../../fuzz/http1.rs"]
mod http1;

use std::fs;
use std::path::Path;

use proptest::prelude::*;

fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut count = 0;
    for entry in fs::read_dir(corpus).expect("the corpus is there") {
        let path = entry.expect("the corpus can be listed").path();
        check(&fs::read(path).expect("a corpus file can be read"));
        count += 1;
    }
    assert!(
        count >= 8,
        "the corpus of {target} holds only {count} files"
    );
}

// REQ: R-3
#[test]
fn request() {
    replay("request", http1::request);
}

// REQ: R-3
#[test]
fn body() {
    replay("body", http1::body);
}

// REQ: R-3
#[test]
fn response() {
    replay("response", http1::response);
}

// REQ: R-3
#[test]
fn every_case_is_read_as_the_grammar_reads_it() {
    for case in cases::all() {
        http1::request(&[b"\0", &case.bytes[..]].concat());
        if let Some(at) = case
            .bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
        {
            http1::body(&[b"\0", &case.bytes[at + 4..]].concat());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    // What is chosen from the parts of a message comes to something far more often than bytes do.
    #[test]
    fn what_is_invented(
        kind in prop::sample::select(vec![1_u8, 3]),
        choices in prop::collection::vec(prop_oneof![9 => 0_u8..64, 1 => any::<u8>()], 0..40),
    ) {
        let data = [&[kind][..], &choices].concat();
        http1::request(&data);
        http1::body(&data);
        http1::response(&data);
    }
}

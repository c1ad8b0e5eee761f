//! Replays the committed fuzzing corpus through the checks of the fuzz targets.

#[path = "../../../fuzz/checks.rs"]
mod checks;

use std::fs;
use std::path::Path;

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

// REQ: G-14, R-3
#[test]
fn message() {
    replay("message", checks::message);
}

// REQ: L-1
#[test]
fn outcome() {
    replay("outcome", checks::outcome);
}

// REQ: L-1, G-2
#[test]
fn sse() {
    replay("sse", checks::sse);
}

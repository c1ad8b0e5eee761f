//! Replays the committed fuzzing corpus through the check of the fuzz target.

#[path = "../../../../fuzz/egress.rs"]
mod egress;

use std::fs;
use std::path::Path;

// REQ: E-1
#[test]
fn egress() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/egress");
    let mut count = 0;
    for entry in fs::read_dir(corpus).expect("the corpus is there") {
        let path = entry.expect("the corpus can be listed").path();
        egress::check(&fs::read(path).expect("a corpus file can be read"));
        count += 1;
    }
    assert!(count >= 40, "the corpus holds only {count} files");
}

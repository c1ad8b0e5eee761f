//! What stands round hyper's HTTP/2: budgets for the frames that cost a client nothing, and
//! deadlines for whoever says nothing or takes nothing.
//!
//! ```text
//! TLS ── Metered (FrameMeter: budgets, RFC 9113's frame rules; Blocks) ── hyper ── StreamExecutor (write stall)
//!                         └────────────── serve: deadlines, idle, drain, GOAWAY ──────────────┘
//! ```
//!
//! hyper keeps HTTP/2's state and HPACK; nothing here decodes a header. What the client sends is
//! read along by its frame headers alone, before hyper sees it; header blocks of several frames by the lengths of their
//! strings, too, so that a value too large for any request is refused by an answer (`blocks`).

mod blocks;
mod budget;
mod budgets;
mod connection;
pub(crate) mod crumbs;
mod faults;
mod frame;
mod hpack;
mod meter;
mod metered;
mod stall;
mod streams;
mod violation;

pub use connection::{Ended, Http2Limits, serve};
pub use faults::Faults;
pub use meter::{FrameMeter, Taken};
pub use violation::Violation;

pub(crate) use stall::note_frame;

#[cfg(test)]
#[path = "../../../../../fuzz/blocks.rs"]
mod corpus;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    // REQ: R-3
    #[test]
    fn blocks_of_the_fuzzing_corpus() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/blocks");
        let mut count = 0;
        for entry in fs::read_dir(corpus).expect("the corpus is there") {
            let path = entry.expect("the corpus can be listed").path();
            super::corpus::check(&fs::read(path).expect("a corpus file can be read"));
            count += 1;
        }
        assert!(count >= 70, "the corpus holds only {count} files");
    }
}

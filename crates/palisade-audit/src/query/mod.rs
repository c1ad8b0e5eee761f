//! Questions to the log: one pass over its files, however many are asked.
//!
//! [`ask`] reads files in pieces, hands the pieces to threads, and puts what they found together. A line is read by
//! [`Line`], which takes what it needs and skips the rest; nothing is kept of a line but what an answer shows.

mod answer;
mod input;
mod line;
mod time;

use std::io::Read;
use std::num::NonZero;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

pub use answer::{Actor, Answers, Call, Tool};
pub use input::{InputError, Reading, Source, sources};
pub use line::Line;
pub use time::{format_time, parse_span, parse_time};

use answer::Part;

/// What is asked. Times are milliseconds since 1970.
#[derive(Debug, Clone, Default)]
pub struct Questions {
    /// Only records of this time count, for all questions but `around`.
    pub range: Option<Range<i64>>,
    /// Which calls destroyed something?
    pub destructive: Option<Destructive>,
    /// Who called more than so often within any such span?
    pub frequent: Option<Frequent>,
    /// Which tools failed more often than this share of their calls, from 0 to 1?
    pub errors: Option<f64>,
    /// What happened around a moment?
    pub around: Option<Range<i64>>,
    /// How many calls an answer lists at most; the rest is counted. 0: 100,000.
    pub limit: usize,
}

/// Which calls destroy.
#[derive(Debug, Clone)]
pub struct Destructive {
    /// Patterns of tools' names, `*` for any characters, beside the records that say so themselves.
    pub tools: Vec<String>,
}

/// The names that destructive tools mostly have.
pub const DESTRUCTIVE: &[&str] = &[
    "delete_*",
    "*_delete",
    "drop_*",
    "*_drop",
    "remove_*",
    "*_remove",
    "destroy_*",
    "*_destroy",
    "purge_*",
    "truncate_*",
    "wipe_*",
    "erase_*",
    "kill_*",
    "revoke_*",
];

impl Default for Destructive {
    fn default() -> Self {
        Self {
            tools: DESTRUCTIVE.iter().map(|name| (*name).to_owned()).collect(),
        }
    }
}

/// How often is too often.
#[derive(Debug, Clone, Copy)]
pub struct Frequent {
    /// More than so many calls.
    pub over: usize,
    /// Within a span of so many milliseconds, wherever it begins.
    pub per: i64,
}

/// Reads all of `sources` and answers. `progress` is told now and then how many bytes of the files have been read.
///
/// Memory: the pieces that are being read (4 MiB for each thread and as many again), eight bytes for each call if `frequent`
/// is asked, and the calls that are listed.
///
/// # Errors
/// When a file cannot be read to its end.
pub fn ask(
    sources: &[Source],
    questions: &Questions,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Answers, InputError> {
    let threads = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(8);
    let (pieces, work) = sync_channel::<Vec<u8>>(threads);
    let (spares, empty) = sync_channel::<Vec<u8>>(threads * 2 + 2);
    let work = Mutex::new(work);
    let total = Mutex::new(Answers::default());
    let read = thread::scope(|scope| {
        for _ in 0..threads {
            let spares = spares.clone();
            let (work, total) = (&work, &total);
            scope.spawn(move || answer_pieces(work, &spares, questions, total));
        }
        let read = read_all(sources, &pieces, &empty, progress);
        drop(pieces);
        read
    });
    read?;
    let mut answers = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.finish(questions);
    Ok(answers)
}

fn answer_pieces(
    work: &Mutex<Receiver<Vec<u8>>>,
    spares: &SyncSender<Vec<u8>>,
    questions: &Questions,
    total: &Mutex<Answers>,
) {
    loop {
        let piece = work.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut piece) = piece else { return };
        let mut part = Part::new(questions);
        let mut rest = piece.as_slice();
        while let Some(end) = memchr::memchr(b'\n', rest) {
            part.take(&rest[..end]);
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() {
            part.take(rest);
        }
        part.settle(&mut total.lock().unwrap_or_else(PoisonError::into_inner));
        piece.clear();
        // Nobody waits for it: a full channel has enough of them.
        let _ = spares.try_send(piece);
    }
}

/// Cuts the files into pieces of whole lines.
fn read_all(
    sources: &[Source],
    pieces: &SyncSender<Vec<u8>>,
    empty: &Receiver<Vec<u8>>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<(), InputError> {
    let mut done = 0;
    for source in sources {
        let mut reader = source.open()?;
        let mut carried: Vec<u8> = Vec::new();
        loop {
            let mut piece = empty.try_recv().unwrap_or_default();
            piece.reserve_exact(PIECE + carried.len());
            piece.append(&mut carried);
            let start = piece.len();
            reader
                .by_ref()
                .take(PIECE as u64)
                .read_to_end(&mut piece)
                .map_err(|error| source.error(error))?;
            let got = piece.len() - start;
            progress(done + reader.position());
            if got == 0 {
                if !piece.is_empty() {
                    let _ = pieces.send(piece);
                }
                break;
            }
            match memchr::memrchr(b'\n', &piece) {
                Some(end) => carried.extend_from_slice(&piece[end + 1..]),
                // A line longer than any record: it is no record, and is not gathered without end.
                None if piece.len() > LINE_MAX => {}
                None => {
                    carried = piece;
                    continue;
                }
            }
            piece.truncate(piece.len() - carried.len());
            // The threads end only when this one has.
            let _ = pieces.send(piece);
        }
        done += reader.position();
    }
    Ok(())
}

const PIECE: usize = 4 * 1024 * 1024;

/// Far beyond any record.
const LINE_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests;

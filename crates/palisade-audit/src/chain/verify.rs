//! Holds a chain against the bytes of its files, in any order, and says where it does not hold.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Links, PublicKey, hash, message};

/// Verifies files of one chain: [`Verifier::segment`] for each, then [`Verifier::finish`].
///
/// Files are put in order by the number of their first line, so any order will do. Memory does not grow with the lines:
/// about a hundred bytes for each of the last 1,024 lines, and for each file and checkpoint.
#[derive(Debug, Default)]
pub struct Verifier {
    trusted: Option<PublicKey>,
    segments: Vec<Segment>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChainReport {
    /// Lines that were read.
    pub lines: u64,
    /// Checkpoints whose signature holds.
    pub checkpoints: u64,
    /// The number of the first line, and of the last one.
    pub range: Option<(u64, u64)>,
    /// Lines behind the last checkpoint, of each chain: chained, not sealed.
    pub unsealed: u64,
    /// How many chains there are. A gateway that writes to no file begins one with each run.
    pub runs: u64,
    /// The keys that checkpoints were signed with.
    pub keys: Vec<PublicKey>,
    /// Nothing, if the log is as it was written.
    pub faults: Vec<Fault>,
}

/// One place where the chain does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The file.
    pub file: String,
    /// Counted from 1. For what is missing: the line before which it was.
    pub line: u64,
    /// What happened there.
    pub damage: Damage,
}

/// What happened to a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The line is not what the next one has the hash of.
    Changed,
    /// A checkpoint's signature does not hold, or is by another key than the given one: all lines since the last good one
    /// may have been made anew.
    Forged,
    /// Two lines follow the same line: somebody went on with a copy.
    Fork {
        /// The number that both have.
        seq: u64,
    },
    /// The line was never written here: no chained line, or a copy of one.
    Inserted,
    /// Lines are missing.
    Removed {
        /// The first one's number.
        from: u64,
        /// The last one's.
        to: u64,
    },
    /// The line stands in another place than where it was written.
    Reordered {
        /// Its number.
        seq: u64,
    },
    /// The end is missing: a checkpoint of a second sink, or the end of a line, says so.
    Truncated {
        /// The number of the first missing line.
        from: u64,
    },
}

/// A file could not be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "{file}: {source}; name files that can be read, such as audit.ndjson or audit-*.ndjson.zst"
)]
pub struct SegmentError {
    /// The file.
    pub file: String,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl Fault {
    pub(super) fn new(file: &str, line: u64, damage: Damage) -> Self {
        Self {
            file: file.to_owned(),
            line,
            damage,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.damage)
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("this line was changed"),
            Self::Forged => f.write_str(
                "this checkpoint's signature does not hold; lines since the last good checkpoint may have been made anew",
            ),
            Self::Fork { seq } => write!(f, "a second line {seq} that follows the same line: the chain forks here"),
            Self::Inserted => f.write_str("this line was added"),
            Self::Removed { from, to } if from == to => write!(f, "line {from} of the chain is missing before this one"),
            Self::Removed { from, to } => write!(f, "lines {from} to {to} of the chain are missing before this one"),
            Self::Reordered { seq } => write!(f, "line {seq} of the chain stands in the wrong place"),
            Self::Truncated { from } => write!(f, "the log is cut off: line {from} of the chain and all after it are missing"),
        }
    }
}

impl Damage {
    /// One word, for machines.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Forged => "forged",
            Self::Fork { .. } => "fork",
            Self::Inserted => "inserted",
            Self::Removed { .. } => "removed",
            Self::Reordered { .. } => "reordered",
            Self::Truncated { .. } => "truncated",
        }
    }
}

impl Verifier {
    /// `trusted`: the public key that checkpoints must be signed with; any key counts without it.
    #[must_use]
    pub fn new(trusted: Option<PublicKey>) -> Self {
        Self {
            trusted,
            segments: Vec::new(),
        }
    }

    /// Reads one file.
    ///
    /// # Errors
    /// When it cannot be read to its end.
    pub fn segment(&mut self, file: &str, mut lines: impl BufRead) -> Result<(), SegmentError> {
        let mut walk = Walk::new(file, self.trusted);
        let mut text = Vec::new();
        loop {
            text.clear();
            let length = lines
                .read_until(b'\n', &mut text)
                .map_err(|source| SegmentError {
                    file: file.to_owned(),
                    source,
                })?;
            if length == 0 {
                break;
            }
            let whole = text.last() == Some(&b'\n');
            if whole {
                text.pop();
            }
            walk.push(Line::read(&text, whole));
        }
        self.segments.push(walk.finish());
        Ok(())
    }

    /// Puts the files together.
    #[must_use]
    pub fn finish(mut self) -> ChainReport {
        self.segments.sort_by_key(|segment| {
            (
                segment.first.map_or(u64::MAX, |line| line.links.seq),
                std::cmp::Reverse(segment.runs.last().map_or(0, |run| run.last.links.seq)),
            )
        });
        let mut report = ChainReport {
            lines: 0,
            checkpoints: 0,
            range: None,
            unsealed: 0,
            runs: 0,
            keys: Vec::new(),
            faults: Vec::new(),
        };
        let mut runs: Vec<Run> = Vec::new();
        let mut newest: Option<(u64, String, u64)> = None;
        for segment in &mut self.segments {
            report.lines += segment.lines;
            report.faults.append(&mut segment.faults);
            for key in &segment.keys {
                if !report.keys.contains(key) {
                    report.keys.push(*key);
                }
            }
            report.checkpoints += segment.checkpoints;
            if let Some((seq, line)) = segment.newest
                && newest.as_ref().is_none_or(|(known, _, _)| seq > *known)
            {
                newest = Some((seq, segment.file.clone(), line));
            }
            // The checkpoints of a second sink alone are no part of the chain, unless they go on with it.
            let goes_on = |run: &Run| runs.iter().any(|known| known.precedes(&run.first));
            if segment.only_checkpoints && !segment.runs.first().is_some_and(goes_on) {
                let sealed = segment.runs.last().and_then(|run| run.sealed);
                if let [run] = &mut runs[..] {
                    run.sealed = run.sealed.max(sealed);
                }
                continue;
            }
            for run in std::mem::take(&mut segment.runs) {
                join(&mut runs, run, &segment.file, &mut report.faults);
            }
        }
        let from = runs.first().map(|run| run.first.links.seq);
        let end = runs.iter().map(|run| run.last.links.seq).max();
        report.range = from.zip(end);
        report.runs = runs.len() as u64;
        if let (Some(end), Some((seq, file, line))) = (end, newest)
            && seq > end
        {
            let damage = Damage::Truncated { from: end + 1 };
            report.faults.push(Fault::new(&file, line, damage));
        }
        report.unsealed = runs.iter().map(Run::unsealed).sum();
        report
    }
}

/// Puts what a file holds of a chain behind what others hold of it.
fn join(runs: &mut Vec<Run>, run: Run, file: &str, faults: &mut Vec<Fault>) {
    let first = run.first;
    let known = if let Some(known) = runs.iter_mut().find(|known| known.precedes(&first)) {
        Some(known)
    } else if run.starts && runs.iter().all(|known| known.first.hash != first.hash) {
        None
    } else {
        runs.iter_mut().max_by_key(|known| known.last.links.seq)
    };
    let Some(known) = known else {
        if first.links.seq == 0 && first.links.prev != [0; 32] {
            faults.push(Fault::new(file, first.line, Damage::Changed));
        }
        return runs.push(run);
    };
    faults.extend(seam(file, known.last, first));
    known.sealed = known.sealed.max(run.sealed);
    if run.last.links.seq > known.last.links.seq {
        known.last = run.last;
    }
}

/// Lines of one chain that follow one another: of a gateway without a file, those of one run.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: Seen,
    last: Seen,
    /// The last number that a checkpoint covers.
    sealed: Option<u64>,
    /// Its first line says that the chain begins with it.
    starts: bool,
}

impl Run {
    fn precedes(&self, line: &Seen) -> bool {
        self.last.links.seq + 1 == line.links.seq && self.last.hash == line.links.prev
    }

    const fn unsealed(&self) -> u64 {
        match self.sealed {
            Some(sealed) => self.last.links.seq.saturating_sub(sealed),
            None => self.last.links.seq + 1 - self.first.links.seq,
        }
    }
}

/// How two files follow one another.
fn seam(file: &str, end: Seen, first: Seen) -> Option<Fault> {
    let next = end.links.seq + 1;
    let damage = match first.links.seq {
        seq if seq == next && first.links.prev == end.hash => return None,
        seq if seq == next => Damage::Changed,
        seq if seq > next => Damage::Removed {
            from: next,
            to: seq - 1,
        },
        // The same file twice, or two ends of one beginning.
        _ if first.hash == end.hash => Damage::Inserted,
        seq => Damage::Fork { seq },
    };
    Some(Fault::new(file, first.line, damage))
}

/// A file that has been read.
#[derive(Debug)]
struct Segment {
    file: String,
    lines: u64,
    first: Option<Seen>,
    runs: Vec<Run>,
    /// The last good checkpoint: its number, its line.
    newest: Option<(u64, u64)>,
    checkpoints: u64,
    only_checkpoints: bool,
    keys: Vec<PublicKey>,
    faults: Vec<Fault>,
}

/// A line that has been read.
#[derive(Debug)]
struct Line {
    links: Option<Links>,
    hash: [u8; 32],
    /// With its line feed.
    whole: bool,
    /// It says that a chain begins with it.
    starts: bool,
    checkpoint: Option<Checkpoint>,
}

#[derive(Debug)]
struct Checkpoint {
    key: Option<PublicKey>,
    /// The signature holds.
    good: bool,
}

/// A chained line, and where it stands.
#[derive(Debug, Clone, Copy)]
struct Seen {
    links: Links,
    hash: [u8; 32],
    line: u64,
}

impl Line {
    fn read(text: &[u8], whole: bool) -> Self {
        let links = Links::of(text);
        Self {
            links,
            hash: hash(text),
            whole,
            starts: links.is_some_and(|links| starts(text, &links)),
            checkpoint: links.and_then(|links| Checkpoint::read(text, &links)),
        }
    }
}

/// Whether the line is the first one of a chain, as the gateway writes it.
fn starts(text: &[u8], links: &Links) -> bool {
    const EVENT: &[u8] = b"\",\"event\":\"start\"";
    let rest = text.strip_prefix(b"{\"timestamp\":\"");
    let event = rest.and_then(|rest| rest.get(memchr::memchr(b'"', rest)?..));
    (links.seq, links.prev) == (0, [0; 32]) && event.is_some_and(|event| event.starts_with(EVENT))
}

impl Checkpoint {
    /// Read strictly as it is written.
    fn read(text: &[u8], links: &Links) -> Option<Self> {
        let text = text.get(..links.at)?.strip_prefix(b"{\"timestamp\":\"")?;
        let end = memchr::memchr(b'"', text)?;
        let (timestamp, rest) = text.split_at(end);
        let rest = rest.strip_prefix(b"\",\"event\":\"checkpoint\",\"key\":\"")?;
        let end = memchr::memchr(b'"', rest)?;
        let key = std::str::from_utf8(&rest[..end])
            .ok()
            .and_then(|key| key.parse::<PublicKey>().ok());
        let signature = rest[end..]
            .strip_prefix(b"\",\"signature\":\"")
            .and_then(|rest| rest.strip_suffix(b"\""))
            .and_then(|signature| STANDARD.decode(signature).ok());
        let timestamp = std::str::from_utf8(timestamp).ok()?;
        let good = match (&key, &signature) {
            (Some(key), Some(signature)) => {
                key.verifies(&message(timestamp, links.seq, &links.prev), signature)
            }
            _ => false,
        };
        Some(Self { key, good })
    }
}

/// The way through one file. A line is judged when the two after it are known.
struct Walk {
    trusted: Option<PublicKey>,
    segment: Segment,
    /// The last line that was in its place.
    before: Option<Seen>,
    waiting: VecDeque<(u64, Line)>,
    /// The last lines that were in their places: number and hash.
    recent: VecDeque<(u64, [u8; 32])>,
    /// Lines that were missed: number from and to, and the fault that says so.
    missing: Vec<(u64, u64, usize)>,
    plain: u64,
}

impl Walk {
    fn new(file: &str, trusted: Option<PublicKey>) -> Self {
        Self {
            trusted,
            segment: Segment {
                file: file.to_owned(),
                lines: 0,
                first: None,
                runs: Vec::new(),
                newest: None,
                checkpoints: 0,
                only_checkpoints: false,
                keys: Vec::new(),
                faults: Vec::new(),
            },
            before: None,
            waiting: VecDeque::new(),
            recent: VecDeque::new(),
            missing: Vec::new(),
            plain: 0,
        }
    }

    fn push(&mut self, line: Line) {
        self.segment.lines += 1;
        self.waiting.push_back((self.segment.lines, line));
        if self.waiting.len() > AHEAD {
            self.judge();
        }
    }

    fn finish(mut self) -> Segment {
        while !self.waiting.is_empty() {
            self.judge();
        }
        let only = self.plain == 0 && self.segment.checkpoints > 0;
        self.segment.only_checkpoints = only;
        if only {
            // Between them lines are missing, as they should be.
            self.segment
                .faults
                .retain(|fault| fault.damage == Damage::Forged);
        }
        self.segment
    }

    /// Judges the line that has waited longest.
    fn judge(&mut self) {
        let Some((at, line)) = self.waiting.pop_front() else {
            return;
        };
        let Some(links) = line.links else {
            self.plain += 1;
            return self.unchained(at, &line);
        };
        if line.checkpoint.is_none() {
            self.plain += 1;
        }
        let seen = Seen {
            links,
            hash: line.hash,
            line: at,
        };
        let Some(before) = self.before else {
            return self.accept(seen, &line);
        };
        if line.starts
            && self
                .segment
                .runs
                .iter()
                .all(|run| run.first.hash != seen.hash)
        {
            // What was missed before it belongs to another chain.
            self.recent.clear();
            self.missing.clear();
            self.before = None;
            return self.accept(seen, &line);
        }
        let next = before.links.seq + 1;
        if links.seq == next && links.prev == before.hash {
            return self.accept(seen, &line);
        }
        if links.seq == next {
            // Either the line before is not what it was, or this one's own word about it.
            let follows = self.follower(links.seq + 1);
            let own = follows.is_some_and(|prev| prev != line.hash);
            let culprit = if own { at } else { before.line };
            if !self.is_blamed(culprit) {
                self.fault(culprit, Damage::Changed);
            }
            return self.accept(seen, &line);
        }
        if links.seq > next {
            // A line far ahead among lines that go on as if it were not there has come from elsewhere.
            let intruder = self.waiting.iter().take(2).any(|(_, later)| {
                later
                    .links
                    .is_some_and(|later| later.seq == next && later.prev == before.hash)
            });
            if intruder {
                return self.fault(at, Damage::Reordered { seq: links.seq });
            }
            let damage = Damage::Removed {
                from: next,
                to: links.seq - 1,
            };
            self.missing
                .push((next, links.seq - 1, self.segment.faults.len()));
            self.fault(at, damage);
            return self.accept(seen, &line);
        }
        self.late(seen);
    }

    /// A line whose number was due before.
    fn late(&mut self, seen: Seen) {
        let seq = seen.links.seq;
        if self.recent.iter().any(|known| *known == (seq, seen.hash)) {
            return self.fault(seen.line, Damage::Inserted);
        }
        // It was missed where it belongs: it has been moved here.
        if let Some(at) = self
            .missing
            .iter()
            .position(|(from, to, _)| (*from..=*to).contains(&seq))
        {
            let (from, to, _) = self.missing[at];
            let index = self.missing[at].2;
            if from == to {
                self.missing.remove(at);
                if let Some(fault) = self.segment.faults.get_mut(index) {
                    *fault = Fault::new(&self.segment.file, seen.line, Damage::Reordered { seq });
                }
                return;
            }
            return self.fault(seen.line, Damage::Reordered { seq });
        }
        let fork = seq == 0
            || self
                .recent
                .iter()
                .any(|(known, hash)| known + 1 == seq && *hash == seen.links.prev);
        let damage = if fork {
            Damage::Fork { seq }
        } else {
            Damage::Inserted
        };
        self.fault(seen.line, damage);
    }

    /// A line without its two members: cut short, changed, or never one of ours.
    fn unchained(&mut self, at: u64, line: &Line) {
        let next = self.before.map_or(0, |before| before.links.seq + 1);
        let later = self.waiting.iter().find_map(|(_, later)| later.links);
        let damage = match later {
            None if !line.whole => Damage::Truncated { from: next },
            // The next one goes on without it.
            Some(later) if later.seq == next && self.before.is_some() => Damage::Inserted,
            Some(later) if self.before.is_none() && later.seq == 0 => Damage::Inserted,
            _ => Damage::Changed,
        };
        let changed = damage == Damage::Changed;
        self.fault(at, damage);
        if changed
            && let Some(later) = later
            && (self.before.is_none() || later.seq == next + 1)
            && later.seq > 0
        {
            // Its place is taken: the next one is held against the one after.
            let links = Links {
                seq: later.seq - 1,
                prev: [0; 32],
                at: 0,
            };
            self.before = Some(Seen {
                links,
                hash: later.prev,
                line: at,
            });
        }
    }

    fn accept(&mut self, seen: Seen, line: &Line) {
        self.segment.first.get_or_insert(seen);
        let continues = self.before.replace(seen).is_some();
        match self.segment.runs.last_mut() {
            Some(run) if continues => run.last = seen,
            _ => self.segment.runs.push(Run {
                first: seen,
                last: seen,
                sealed: None,
                starts: line.starts,
            }),
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((seen.links.seq, seen.hash));
        let Some(checkpoint) = &line.checkpoint else {
            return;
        };
        let known = self.trusted.is_none() || checkpoint.key == self.trusted;
        if !checkpoint.good || !known {
            if !self.is_blamed(seen.line) {
                self.fault(seen.line, Damage::Forged);
            }
            return;
        }
        self.segment.checkpoints += 1;
        if let Some(run) = self.segment.runs.last_mut() {
            run.sealed = Some(seen.links.seq);
        }
        self.segment.newest = Some((seen.links.seq, seen.line));
        if let Some(key) = checkpoint.key
            && !self.segment.keys.contains(&key)
        {
            self.segment.keys.push(key);
        }
    }

    /// What the next line that says it has this number says of the one before.
    fn follower(&self, seq: u64) -> Option<[u8; 32]> {
        self.waiting
            .iter()
            .filter_map(|(_, line)| line.links)
            .find(|links| links.seq == seq)
            .map(|links| links.prev)
    }

    fn is_blamed(&self, line: u64) -> bool {
        self.segment
            .faults
            .iter()
            .rev()
            .take(4)
            .any(|fault| fault.line == line)
    }

    fn fault(&mut self, line: u64, damage: Damage) {
        if self.segment.faults.len() < FAULTS_MAX {
            self.segment
                .faults
                .push(Fault::new(&self.segment.file, line, damage));
        }
    }
}

/// Lines that are read ahead before one is judged.
const AHEAD: usize = 3;

/// How far back a copy is recognised.
const RECENT: usize = 1_024;

/// No more than anybody reads.
const FAULTS_MAX: usize = 10_000;

//! Tamper evidence: each line holds the hash of the line before, and now and then a signature over it all.
//!
//! A chained line ends with `,"seq":N,"prev":"…"}`: its number from 0, and the SHA-256 of the whole line before,
//! without its line feed (64 zeros for the first). So a line cannot be changed, removed, added or moved without the next one
//! showing it. Who can write the file could make all later lines anew; a [checkpoint](Chain::checkpoint) is a line with an
//! Ed25519 signature over number and hash, which only the gateway's key can make. What comes behind the last checkpoint
//! is therefore chained, but not sealed; a second sink that gets the checkpoints as well shows an end that was cut off.
//!
//! [`Chain`] makes it, [`verify`] holds it against the bytes. Both are pure: no clock, no file.

mod key;
mod verify;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::digest::HEX;

pub use key::{CheckpointKey, KeyError, PublicKey};
pub use verify::{ChainReport, Damage, Fault, SegmentError, Verifier};

/// Where a chain stands: what the next line has to say of the one before.
///
/// ```
/// use palisade_audit::Chain;
///
/// let mut chain = Chain::new();
/// let mut line = br#"{"timestamp":"2026-11-21T08:10:11.994Z","outcome":"ok"}"#.to_vec();
/// chain.append(&mut line);
/// assert!(line.ends_with(br#","seq":0,"prev":"0000000000000000000000000000000000000000000000000000000000000000"}"#));
/// assert_eq!(chain.next_seq(), 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    seq: u64,
    prev: [u8; 32],
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

impl Chain {
    /// At its beginning.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            seq: 0,
            prev: [0; 32],
        }
    }

    /// Behind `line`, the last one of a file that is to be gone on with; `None` if that is no chained line.
    #[must_use]
    pub fn after(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let links = Links::of(line)?;
        Some(Self {
            seq: links.seq.checked_add(1)?,
            prev: hash(line),
        })
    }

    /// The number of the next line.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.seq
    }

    /// The SHA-256 of the last line.
    #[must_use]
    pub const fn head(&self) -> &[u8; 32] {
        &self.prev
    }

    /// Chains the object at the end of `line`, which ends with `}` and has no line feed yet: puts the two members before
    /// its closing brace. Costs one SHA-256 of `line`, which must hold this one line and nothing else.
    pub fn append(&mut self, line: &mut Vec<u8>) {
        self.append_from(line, 0);
    }

    /// As [`Chain::append`], for the line that begins at `start` of a buffer of many.
    pub fn append_from(&mut self, lines: &mut Vec<u8>, start: usize) {
        if lines.last() == Some(&b'}') {
            lines.pop();
        }
        self.push_suffix(lines);
        self.prev = hash(lines.get(start..).unwrap_or_default());
        self.seq += 1;
    }

    /// Appends `lines` to `out`, each chained; each must be an object and end with a line feed. Says how many they were.
    pub fn append_lines(&mut self, lines: &[u8], out: &mut Vec<u8>) -> u64 {
        let before = self.seq;
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', lines) {
            let begin = out.len();
            out.extend_from_slice(&lines[start..end]);
            self.append_from(out, begin);
            out.push(b'\n');
            start = end + 1;
        }
        self.seq - before
    }

    /// A checkpoint as a line of its own, line feed included. `timestamp` is RFC 3339, of which only letters, digits
    /// and `-:.+` are kept.
    pub fn checkpoint(&mut self, timestamp: &str, key: &CheckpointKey, out: &mut Vec<u8>) {
        let timestamp: String = timestamp
            .chars()
            .filter(|sign| sign.is_ascii_alphanumeric() || "-:.+".contains(*sign))
            .collect();
        let message = message(&timestamp, self.seq, &self.prev);
        let start = out.len();
        out.extend_from_slice(b"{\"timestamp\":\"");
        out.extend_from_slice(timestamp.as_bytes());
        out.extend_from_slice(b"\",\"event\":\"checkpoint\",\"key\":\"");
        out.extend_from_slice(key.public().to_string().as_bytes());
        out.extend_from_slice(b"\",\"signature\":\"");
        out.extend_from_slice(STANDARD.encode(key.sign(&message)).as_bytes());
        out.extend_from_slice(b"\"}");
        self.append_from(out, start);
        out.push(b'\n');
    }

    fn push_suffix(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"seq\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.seq).as_bytes());
        out.extend_from_slice(b",\"prev\":\"");
        push_hex(out, &self.prev);
        out.extend_from_slice(b"\"}");
    }
}

/// What a chained line says of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Links {
    seq: u64,
    prev: [u8; 32],
    /// Where they begin in the line.
    at: usize,
}

impl Links {
    /// Read from the end of the line, strictly as they are written.
    fn of(line: &[u8]) -> Option<Self> {
        let inside = line.strip_suffix(b"\"}")?;
        let hex = inside.get(inside.len().checked_sub(64)?..)?;
        let inside = inside[..inside.len() - 64].strip_suffix(b",\"prev\":\"")?;
        let digits = inside
            .iter()
            .rev()
            .take(20)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (inside, number) = inside.split_at(inside.len() - digits);
        let before = inside.strip_suffix(b",\"seq\":")?;
        if digits == 0 || digits > 1 && number[0] == b'0' || before.first() != Some(&b'{') {
            return None;
        }
        let seq = std::str::from_utf8(number).ok()?.parse().ok()?;
        let mut prev = [0; 32];
        for (byte, pair) in prev.iter_mut().zip(hex.as_chunks::<2>().0) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self {
            seq,
            prev,
            at: before.len(),
        })
    }
}

/// The number of a chained line.
pub(crate) fn seq_of(line: &[u8]) -> Option<u64> {
    Links::of(line).map(|links| links.seq)
}

/// What a checkpoint signs; the first line keeps it from meaning anything elsewhere.
fn message(timestamp: &str, seq: u64, prev: &[u8; 32]) -> Vec<u8> {
    let mut message = format!("palisade-audit-checkpoint-v1\n{timestamp}\n{seq}\n").into_bytes();
    push_hex(&mut message, prev);
    message
}

fn hash(line: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, line).as_ref());
    hash
}

fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    // Nearly always a hash or a key, at once.
    for bytes in bytes.chunks(32) {
        let mut text = [0; 64];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
            *pair = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        }
        out.extend_from_slice(&text[..2 * bytes.len()]);
    }
}

/// Small letters only: another spelling would be another line.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

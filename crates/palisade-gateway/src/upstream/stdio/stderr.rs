//! A child's standard error, kept in the gateway's log at a bounded rate.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::time::Instant;

use super::line::Lines;

/// The longest line that is logged, in bytes; the rest of it is left out.
const LONGEST: usize = 2048;

/// The longest that is read as one.
const LONGEST_READ: usize = 64 * 1024;

/// Lines per window that are logged; what is more is counted.
const MOST: u32 = 100;
const WINDOW: Duration = Duration::from_secs(10);

/// The last line of a child, for whoever wants to know why it ended.
#[derive(Clone, Debug, Default)]
pub(super) struct LastWords(Arc<Mutex<Option<String>>>);

impl LastWords {
    pub(super) fn get(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, line: &str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(line.chars().take(200).collect());
    }
}

/// Reads to the end.
pub(super) async fn log(mut pipe: impl AsyncRead + Unpin, child: String, last_words: LastWords) {
    let mut lines = Lines::new(LONGEST_READ);
    let mut rate = Rate::new();
    loop {
        loop {
            match lines.next() {
                Ok(Some(line)) => {
                    let line = shown(&line);
                    last_words.set(&line);
                    rate.log(&child, &line);
                }
                Ok(None) => break,
                Err(_) => {
                    // What was read of the long line is shown; its rest is a line of its own.
                    let line = shown(lines.room());
                    lines = Lines::new(LONGEST_READ);
                    last_words.set(&line);
                    rate.log(&child, &line);
                }
            }
        }
        match pipe.read_buf(lines.room()).await {
            Ok(0) | Err(_) => return rate.sum_up(&child),
            Ok(_) => {}
        }
    }
}

/// A line as a log may hold it: no control characters, not too long.
pub(super) fn shown(line: &[u8]) -> String {
    let line = &line[..line.len().min(LONGEST)];
    let text = String::from_utf8_lossy(line);
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\t' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

struct Rate {
    since: Instant,
    logged: u32,
    left_out: u64,
}

impl Rate {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            logged: 0,
            left_out: 0,
        }
    }

    fn log(&mut self, child: &str, line: &str) {
        if self.since.elapsed() > WINDOW {
            self.sum_up(child);
            *self = Self::new();
        }
        if self.logged < MOST {
            self.logged += 1;
            tracing::info!(child, "{line}");
        } else {
            self.left_out += 1;
        }
    }

    fn sum_up(&self, child: &str) {
        if self.left_out > 0 {
            tracing::warn!(
                child,
                lines = self.left_out,
                "more lines on standard error, left out"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_can_pretend_to_be_another() {
        for (line, wanted) in [
            (&b"plain"[..], "plain"),
            (b"a\rb\x1b[31m", "a\\rb\\u{1b}[31m"),
            (b"\xff\tx", "\u{fffd}\tx"),
            ("\u{85}".as_bytes(), "\\u{85}"),
        ] {
            assert_eq!(shown(line), wanted);
        }
        assert_eq!(shown(&[b'a'; 5000]).len(), LONGEST);
    }
}

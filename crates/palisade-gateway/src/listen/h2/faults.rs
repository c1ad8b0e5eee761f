//! What hyper has refused of a client, below every request.

use std::fmt;

/// Streams that were reset, and the connection that was ended, because the client's HTTP/2 was malformed: hyper says so
/// by an error code (RFC 9113 section 7) and hands nothing on that could be answered or recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Streams reset, by the place of the code in [`CODES`].
    resets: [u32; CODES.len()],
    /// The code of the GOAWAY.
    goaway: Option<u32>,
}

impl Faults {
    /// Counts a stream that was reset with `code`; whether it is one that the client has provoked.
    pub(super) fn reset(&mut self, code: u32) -> bool {
        let known = CODES.iter().position(|(known, _)| *known == code);
        let count = known.and_then(|place| self.resets.get_mut(place));
        let Some(count) = count else { return false };
        *count = count.saturating_add(1);
        true
    }

    /// The connection was ended with `code`.
    pub(super) const fn goaway(&mut self, code: u32) {
        self.goaway = Some(code);
    }

    /// Whether nothing was refused.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.goaway.is_none() && self.resets.iter().all(|count| *count == 0)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counted = self.resets.iter().zip(CODES);
        let mut before = "streams reset with ";
        for (count, (_, name)) in counted.filter(|(count, _)| **count > 0) {
            write!(f, "{before}{name} ({count})")?;
            before = ", ";
        }
        let Some(code) = self.goaway else {
            return Ok(());
        };
        if before == ", " {
            f.write_str("; ")?;
        }
        f.write_str("connection ended with ")?;
        match CODES
            .iter()
            .chain(&ENDING)
            .find(|(known, _)| *known == code)
        {
            Some((_, name)) => f.write_str(name),
            None => write!(f, "code {code:#x}"),
        }
    }
}

/// Codes by which a stream is reset for what its client has sent. Others are our own doing, such as an
/// upstream that broke off, or a limit (REFUSED_STREAM).
const CODES: [(u32, &str); 4] = [
    (0x1, "PROTOCOL_ERROR"),
    (0x3, "FLOW_CONTROL_ERROR"),
    (0x5, "STREAM_CLOSED"),
    (0x6, "FRAME_SIZE_ERROR"),
];

/// Codes by which only a connection ends.
const ENDING: [(u32, &str); 3] = [
    (0x4, "SETTINGS_TIMEOUT"),
    (0x9, "COMPRESSION_ERROR"),
    (0xb, "ENHANCE_YOUR_CALM"),
];

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: L-1
    #[test]
    fn they_are_counted_by_code_and_told_in_a_line() {
        for (resets, goaway, said) in [
            (&[][..], None, ""),
            // NO_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, one that nobody knows.
            (&[0, 2, 7, 8, 99], None, ""),
            (&[1], None, "streams reset with PROTOCOL_ERROR (1)"),
            (
                &[5, 1, 1, 8],
                None,
                "streams reset with PROTOCOL_ERROR (2), STREAM_CLOSED (1)",
            ),
            (&[], Some(9), "connection ended with COMPRESSION_ERROR"),
            (
                &[3, 6],
                Some(1),
                "streams reset with FLOW_CONTROL_ERROR (1), FRAME_SIZE_ERROR (1); connection ended with \
                 PROTOCOL_ERROR",
            ),
            (&[], Some(0xee), "connection ended with code 0xee"),
        ] {
            let mut faults = Faults::default();
            for code in resets {
                let provoked = matches!(code, 1 | 3 | 5 | 6);
                assert_eq!(faults.reset(*code), provoked, "{code}");
            }
            if let Some(code) = goaway {
                faults.goaway(code);
            }
            assert_eq!(faults.to_string(), said);
            assert_eq!(faults.is_empty(), said.is_empty());
        }
    }
}

//! The protocol's revisions, which are named by dates.

use std::fmt;

/// A revision of the protocol. Revisions order by their date; a name that is no date is
/// [`Revision::UNKNOWN`], older than all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(u32);

impl Revision {
    /// A name that is not a date.
    pub const UNKNOWN: Self = Self(0);
    /// HTTP with server-sent events and two endpoints.
    pub const V2024_11_05: Self = Self::dated(2024, 11, 5);
    /// Streamable HTTP, sessions, batches.
    pub const V2025_03_26: Self = Self::dated(2025, 3, 26);
    /// No batches; `MCP-Protocol-Version` after the handshake.
    pub const V2025_06_18: Self = Self::dated(2025, 6, 18);
    /// The last revision with a handshake and sessions.
    pub const V2025_11_25: Self = Self::dated(2025, 11, 25);
    /// No handshake, no sessions: version and capabilities in every request's `_meta`.
    pub const V2026_07_28: Self = Self::dated(2026, 7, 28);

    /// Every revision this code was written for, oldest first.
    pub const KNOWN: [Self; 5] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];

    /// Reads a revision's name. A date this code does not know keeps its place in the order.
    #[must_use]
    pub fn parse(name: &str) -> Self {
        let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = name.as_bytes() else {
            return Self::UNKNOWN;
        };
        let digits = [y1, y2, y3, y4, m1, m2, d1, d2];
        if !digits.iter().all(u8::is_ascii_digit) {
            return Self::UNKNOWN;
        }
        Self(
            digits
                .iter()
                .fold(0, |date, digit| date * 10 + u32::from(digit - b'0')),
        )
    }

    /// Whether this is one of [`Revision::KNOWN`].
    #[must_use]
    pub fn is_known(self) -> bool {
        Self::KNOWN.contains(&self)
    }

    /// Whether requests stand alone (2026-07-28 and later) instead of belonging to a session.
    #[must_use]
    pub fn is_modern(self) -> bool {
        self >= Self::V2026_07_28
    }

    const fn dated(year: u32, month: u32, day: u32) -> Self {
        Self((year * 100 + month) * 100 + day)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNKNOWN {
            return f.write_str("unknown");
        }
        write!(
            f,
            "{:04}-{:02}-{:02}",
            self.0 / 10_000,
            self.0 / 100 % 100,
            self.0 % 100
        )
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::Revision;

    // REQ: G-2
    #[test]
    fn names() {
        let table = [
            ("2024-11-05", Revision::V2024_11_05, true, false),
            ("2025-03-26", Revision::V2025_03_26, true, false),
            ("2025-06-18", Revision::V2025_06_18, true, false),
            ("2025-11-25", Revision::V2025_11_25, true, false),
            ("2026-07-28", Revision::V2026_07_28, true, true),
            ("2026-07-27", Revision::dated(2026, 7, 27), false, false),
            ("2027-01-01", Revision::dated(2027, 1, 1), false, true),
            ("1999-12-31", Revision::dated(1999, 12, 31), false, false),
            ("", Revision::UNKNOWN, false, false),
            ("draft", Revision::UNKNOWN, false, false),
            ("DRAFT-2026-v1", Revision::UNKNOWN, false, false),
            ("2026-07-28 ", Revision::UNKNOWN, false, false),
            ("2026/07/28", Revision::UNKNOWN, false, false),
            ("2026-07/28", Revision::UNKNOWN, false, false),
            ("2026-0x-28", Revision::UNKNOWN, false, false),
        ];
        for (name, revision, known, modern) in table {
            let read = Revision::parse(name);
            assert_eq!(read, revision, "{name}");
            assert_eq!(read.is_known(), known, "{name}");
            assert_eq!(read.is_modern(), modern, "{name}");
            if read != Revision::UNKNOWN {
                assert_eq!(read.to_string(), name);
            }
        }
        assert_eq!(Revision::UNKNOWN.to_string(), "unknown");
        assert_eq!(
            format!("{:?}", Revision::V2026_07_28),
            "Revision(2026-07-28)"
        );
        assert!(Revision::KNOWN.is_sorted());
        assert!(Revision::UNKNOWN < Revision::V2024_11_05);
    }
}

//! Why an HTTP/2 connection is ended by us.

use std::fmt;

/// Why an HTTP/2 connection is ended by us, below every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// More CONTINUATION than a header block can need, or more bytes than are kept of one (CVE-2024-27983 and
    /// kin).
    Continuation,
    /// DATA frames without a byte of content (CVE-2019-9518).
    EmptyData,
    /// A value that breaks flow control: a window above 2^31-1.
    FlowControl,
    /// A frame larger than we allow, or of another length than its kind has.
    FrameSize,
    /// The first request's preface and SETTINGS did not come in time.
    FirstByte,
    /// A header list far above the limit, once decompressed (HPACK bombs), or one value after the other
    /// that is by itself larger than a head may be.
    HeaderList,
    /// A header block, or another frame than DATA, was not finished in time.
    Headers,
    /// PING frames (CVE-2019-9512).
    Ping,
    /// PRIORITY and PRIORITY_UPDATE frames (CVE-2019-9513).
    Priority,
    /// A frame where RFC 9113 allows none of its kind.
    Protocol,
    /// Errors that the client makes us answer with resets: MadeYouReset (CVE-2025-8671).
    ProvokedReset,
    /// Streams opened and taken back: rapid reset (CVE-2023-44487).
    Reset,
    /// SETTINGS frames (CVE-2019-9515).
    Settings,
    /// Content or a head behind the client's own end of a stream.
    StreamClosed,
    /// Streams opened above the limit.
    Streams,
    /// Frames of kinds that nobody knows.
    Unknown,
    /// Frames sent while nothing of our answers is read (CVE-2019-9517).
    Unread,
    /// WINDOW_UPDATE frames (CVE-2019-9511).
    WindowUpdate,
    /// The client took nothing of what waits for it.
    Write,
}

impl Violation {
    /// Its name in logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Continuation => "continuation",
            Self::EmptyData => "empty_data",
            Self::FlowControl => "flow_control",
            Self::FrameSize => "frame_size",
            Self::FirstByte => "first_byte",
            Self::HeaderList => "header_list",
            Self::Headers => "headers",
            Self::Ping => "ping",
            Self::Priority => "priority",
            Self::Protocol => "protocol",
            Self::ProvokedReset => "provoked_reset",
            Self::Reset => "reset",
            Self::Settings => "settings",
            Self::StreamClosed => "stream_closed",
            Self::Streams => "streams",
            Self::Unknown => "unknown",
            Self::Unread => "unread",
            Self::WindowUpdate => "window_update",
            Self::Write => "write",
        }
    }

    /// The error code of the GOAWAY that says so (RFC 9113 section 7).
    #[must_use]
    pub const fn code(self) -> u32 {
        match self {
            Self::Protocol => PROTOCOL_ERROR,
            Self::FlowControl => FLOW_CONTROL_ERROR,
            Self::FrameSize => FRAME_SIZE_ERROR,
            Self::StreamClosed => STREAM_CLOSED,
            // Nobody who waits too long has done wrong.
            Self::FirstByte | Self::Headers => NO_ERROR,
            _ => ENHANCE_YOUR_CALM,
        }
    }

    /// Whether only time was over: no sign of an attack.
    #[must_use]
    pub const fn is_timeout(self) -> bool {
        matches!(self, Self::FirstByte | Self::Headers | Self::Write)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const NO_ERROR: u32 = 0x0;
const PROTOCOL_ERROR: u32 = 0x1;
const FLOW_CONTROL_ERROR: u32 = 0x3;
const STREAM_CLOSED: u32 = 0x5;
const FRAME_SIZE_ERROR: u32 = 0x6;
const ENHANCE_YOUR_CALM: u32 = 0xb;

//! Frame headers out of a byte stream, wherever it is split (RFC 9113 section 4.1).

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Of the payload, in bytes.
    pub length: u32,
    pub kind: u8,
    pub flags: u8,
    /// Without the reserved bit.
    pub stream: u32,
}

pub(super) const HEAD: usize = 9;

pub(super) const DATA: u8 = 0x0;
pub(super) const HEADERS: u8 = 0x1;
pub(super) const PRIORITY: u8 = 0x2;
pub(super) const RST_STREAM: u8 = 0x3;
pub(super) const SETTINGS: u8 = 0x4;
pub(super) const PUSH_PROMISE: u8 = 0x5;
pub(super) const PING: u8 = 0x6;
pub(super) const GOAWAY: u8 = 0x7;
pub(super) const WINDOW_UPDATE: u8 = 0x8;
pub(super) const CONTINUATION: u8 = 0x9;
/// RFC 9218 section 7.1.
pub(super) const PRIORITY_UPDATE: u8 = 0x10;

/// Of DATA and HEADERS.
pub(super) const END_STREAM: u8 = 0x1;
/// Of SETTINGS and PING.
pub(super) const ACK: u8 = 0x1;
/// Of HEADERS and CONTINUATION.
pub(super) const END_HEADERS: u8 = 0x4;
/// Of DATA and HEADERS.
pub(super) const PADDED: u8 = 0x8;
/// Of HEADERS.
pub(super) const WITH_PRIORITY: u8 = 0x20;

impl Head {
    pub(super) fn parse(bytes: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = bytes;
        Self {
            length: u32::from_be_bytes([0, a, b, c]),
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }

    pub(super) const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// What a [`Reader`] tells of.
pub(super) trait Listener {
    /// What stands in the way of going on.
    type Stop;

    /// A frame begins.
    fn head(&mut self, head: Head) -> Result<(), Self::Stop>;

    /// The first bytes of its payload: [`Reader::WORD`] or, where it has fewer, all of them.
    fn word(&mut self, head: Head, word: &[u8]) -> Result<(), Self::Stop>;

    /// One entry of a SETTINGS frame.
    fn setting(&mut self, _id: u16, _value: u32) -> Result<(), Self::Stop> {
        Ok(())
    }

    /// The frame is over.
    fn end(&mut self, head: Head) -> Result<(), Self::Stop>;
}

/// Follows frames through a byte stream. Holds no payload but a few bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Reader {
    /// A header, or an entry of SETTINGS, that is not whole yet.
    part: [u8; HEAD],
    held: usize,
    frame: Option<(Head, u32)>,
}

impl Reader {
    /// How many first bytes of a payload are told.
    pub(super) const WORD: u32 = 4;

    /// Whether the last frame is whole and no other has begun.
    pub(super) const fn is_between_frames(&self) -> bool {
        self.frame.is_none() && self.held == 0
    }

    /// The frame that has begun; `None` inside where its header is not whole.
    pub(super) fn begun(&self) -> Option<Option<Head>> {
        (!self.is_between_frames()).then(|| self.frame.map(|(head, _)| head))
    }

    /// Reads on.
    ///
    /// # Errors
    /// The stop, and how many of `bytes` stand before the frame that led to it.
    pub(super) fn read<L: Listener>(
        &mut self,
        bytes: &[u8],
        listener: &mut L,
    ) -> Result<(), (usize, L::Stop)> {
        let mut at = 0;
        // Where the present frame begins in `bytes`; a frame that began before them begins at 0.
        let mut begin = 0;
        while at < bytes.len() {
            let Some((head, left)) = self.frame else {
                if self.held == 0 {
                    begin = at;
                }
                let Some(whole) = self.gather(bytes, &mut at, HEAD) else {
                    return Ok(());
                };
                let head = Head::parse(whole);
                listener.head(head).map_err(|stop| (begin, stop))?;
                self.frame = Some((head, head.length));
                self.finish(listener).map_err(|stop| (begin, stop))?;
                continue;
            };
            let read = self
                .payload(head, left, bytes, &mut at, listener)
                .and_then(|()| self.finish(listener));
            read.map_err(|stop| (begin, stop))?;
        }
        Ok(())
    }

    /// Reads a step of the payload; `left` bytes of it are not read yet.
    fn payload<L: Listener>(
        &mut self,
        head: Head,
        left: u32,
        bytes: &[u8],
        at: &mut usize,
        listener: &mut L,
    ) -> Result<(), L::Stop> {
        let read = head.length - left;
        let step = if head.kind == SETTINGS && head.length.is_multiple_of(6) {
            6
        } else if read == 0 {
            head.length.min(Self::WORD)
        } else {
            let rest = usize::try_from(left).unwrap_or(usize::MAX);
            let skipped = rest.min(bytes.len() - *at);
            *at += skipped;
            self.frame = Some((head, left - u32::try_from(skipped).unwrap_or(left)));
            return Ok(());
        };
        let length = usize::try_from(step).unwrap_or_default();
        let Some(whole) = self.gather(bytes, at, length) else {
            return Ok(());
        };
        self.frame = Some((head, left - step));
        if head.kind == SETTINGS && step == 6 {
            let [a, b, c, d, e, f, ..] = whole;
            listener.setting(u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]))
        } else {
            listener.word(head, &whole[..length])
        }
    }

    /// Collects `length` bytes, at most [`HEAD`], over as many reads as it takes.
    fn gather(&mut self, bytes: &[u8], at: &mut usize, length: usize) -> Option<[u8; HEAD]> {
        let wanted = length - self.held;
        let there = wanted.min(bytes.len() - *at);
        self.part[self.held..self.held + there].copy_from_slice(&bytes[*at..*at + there]);
        *at += there;
        self.held += there;
        if self.held < length {
            return None;
        }
        self.held = 0;
        Some(self.part)
    }

    fn finish<L: Listener>(&mut self, listener: &mut L) -> Result<(), L::Stop> {
        if let Some((head, 0)) = self.frame {
            self.frame = None;
            listener.end(head)?;
        }
        Ok(())
    }
}

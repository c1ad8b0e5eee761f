//! Where the values of an HPACK header block lie, and how long they are, without decoding it.
//!
//! A [`Walker`] reads representations (RFC 7541 section 6): their integers, the lengths of their
//! strings, and no string. It knows no table, so it reads a block like any decoder whatever
//! came before; where a decoder gives up (an integer beyond five bytes), it hands on the rest unread.

/// What becomes of the next bytes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many of them go on as they are.
    Keep(usize),
    /// With the next one a value begins: its length, then itself.
    Value,
    /// The value is over the bound.
    Large(Large),
    /// So many of them are of a value over the bound.
    Drop(usize),
}

/// A value over the bound. What has gone on since its [`Step::Value`] is of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Large {
    /// How many of the next bytes are of it, too.
    pub read: usize,
    /// Of the bytes that it has in the block, how many still come behind them; [`Step::Drop`] tells of
    /// these.
    pub left: u32,
    /// Whether its name is `:path`: by the static table or spelt out, not by an entry of the dynamic one.
    pub path: bool,
}

/// Follows a header block, wherever it is split.
#[derive(Clone, Debug)]
pub(super) struct Walker {
    bound: u32,
    state: State,
    /// Of the present field: see [`Large::path`].
    path: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// A representation begins.
    Field,
    Integer(Integer),
    NameLength,
    /// So many bytes of it are left, as of the following; and what of it is left if it is [`PATH`].
    Name(u32, &'static [u8]),
    ValueLength {
        told: bool,
    },
    Value(u32, Option<Symbols>),
    Dropped(u32),
    /// No decoder reads on here.
    Lost,
}

/// An integer that does not fit into its prefix (RFC 7541 section 5.1).
#[derive(Clone, Copy, Debug)]
struct Integer {
    of: Of,
    number: u32,
    /// Behind the prefix.
    bytes: u32,
}

/// What an integer is.
#[derive(Clone, Copy, Debug)]
enum Of {
    /// An index of a whole field, or the size of the table.
    Whole,
    /// The index of a name; 0 where the name follows.
    NameIndex,
    NameLength {
        huffman: bool,
    },
    ValueLength {
        huffman: bool,
    },
}

impl Walker {
    /// Of a block whose values may have up to `bound` bytes each, decoded.
    pub(super) const fn new(bound: u32) -> Self {
        Self {
            bound,
            state: State::Field,
            path: false,
        }
    }

    /// The smallest string whose value, decoded, may be over `bound`: no code is shorter than five bits.
    pub(super) const fn least(bound: u32) -> u32 {
        bound / 8 * 5
    }

    /// Whether it stands inside a value over the bound.
    pub(super) const fn is_dropping(&self) -> bool {
        matches!(self.state, State::Dropped(_))
    }

    /// What becomes of the first of `bytes`, which are not empty.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Step {
        let Some(first) = bytes.first().copied() else {
            return Step::Keep(0);
        };
        match &mut self.state {
            State::Field => {
                // Sections 6.1, 6.2.1, 6.3; then 6.2.2 and 6.2.3, alike but for a bit.
                let (of, mask) = match first {
                    0x80.. => (Of::Whole, 0x7f),
                    0x40.. => (Of::NameIndex, 0x3f),
                    0x20.. => (Of::Whole, 0x1f),
                    _ => (Of::NameIndex, 0x0f),
                };
                self.prefix(of, first, mask)
            }
            State::NameLength => {
                let huffman = first & 0x80 != 0;
                self.prefix(Of::NameLength { huffman }, first, 0x7f)
            }
            State::ValueLength { told } if !*told => {
                *told = true;
                Step::Value
            }
            State::ValueLength { .. } => {
                let huffman = first & 0x80 != 0;
                self.prefix(Of::ValueLength { huffman }, first, 0x7f)
            }
            State::Integer(integer) => {
                integer.number += u32::from(first & 0x7f) << (7 * integer.bytes);
                integer.bytes += 1;
                let Integer { of, number, bytes } = *integer;
                if first & 0x80 == 0 {
                    return self.whole(of, number);
                }
                if bytes == MOST_BYTES {
                    self.state = State::Lost;
                }
                Step::Keep(1)
            }
            State::Name(left, path) => {
                let taken = take(left, bytes.len());
                match path.split_at_checked(taken) {
                    Some((here, rest)) if *here == bytes[..taken] => *path = rest,
                    _ => self.path = false,
                }
                if *left == 0 {
                    self.state = State::ValueLength { told: false };
                }
                Step::Keep(taken)
            }
            State::Value(left, symbols) => {
                let taken = bytes.len().min(to_usize(*left));
                if let Some(symbols) = symbols {
                    for (at, byte) in bytes[..taken].iter().enumerate() {
                        symbols.push(*byte);
                        if symbols.count > self.bound {
                            take(left, at + 1);
                            let left = *left;
                            return self.large(at + 1, left);
                        }
                    }
                }
                take(left, taken);
                if *left == 0 {
                    self.state = State::Field;
                }
                Step::Keep(taken)
            }
            State::Dropped(left) => {
                let taken = take(left, bytes.len());
                if *left == 0 {
                    self.state = State::Field;
                }
                Step::Drop(taken)
            }
            State::Lost => Step::Keep(bytes.len()),
        }
    }

    fn prefix(&mut self, of: Of, first: u8, mask: u8) -> Step {
        let number = first & mask;
        if number < mask {
            return self.whole(of, u32::from(number));
        }
        self.state = State::Integer(Integer {
            of,
            number: u32::from(number),
            bytes: 0,
        });
        Step::Keep(1)
    }

    /// An integer is whole with the next byte.
    fn whole(&mut self, of: Of, number: u32) -> Step {
        const VALUE: State = State::ValueLength { told: false };
        self.state = match of {
            Of::Whole => State::Field,
            Of::NameIndex => {
                // Appendix A.
                self.path = matches!(number, 4 | 5);
                if number == 0 {
                    State::NameLength
                } else {
                    VALUE
                }
            }
            Of::NameLength { .. } if number == 0 => VALUE,
            Of::NameLength { huffman } => {
                let path = PATH[usize::from(huffman)];
                self.path = path.len() == to_usize(number);
                State::Name(number, path)
            }
            Of::ValueLength { .. } if number == 0 => State::Field,
            Of::ValueLength { huffman: false } if number > self.bound => {
                return self.large(1, number);
            }
            Of::ValueLength { huffman } => {
                let counts = huffman && number > Self::least(self.bound);
                State::Value(number, counts.then(Symbols::default))
            }
        };
        Step::Keep(1)
    }

    fn large(&mut self, read: usize, left: u32) -> Step {
        self.state = match left {
            0 => State::Field,
            left => State::Dropped(left),
        };
        let path = self.path;
        Step::Large(Large { read, left, path })
    }
}

/// `:path`, plain and Huffman-coded (RFC 7541 appendix B).
const PATH: [&[u8]; 2] = [b":path", &[0xb9, 0x58, 0xd3, 0x3f]];

/// Of an integer, behind its prefix. h2 takes as many; it is more than any length here can need.
const MOST_BYTES: u32 = 4;

/// Takes up to `most` off `left`: how many it were.
fn take(left: &mut u32, most: usize) -> usize {
    let taken = most.min(to_usize(*left));
    *left -= u32::try_from(taken).unwrap_or(*left);
    taken
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Counts the symbols of a Huffman-coded string. The code is a canonical one (RFC 7541 section 5.2),
/// so where a symbol ends shows in the lengths alone.
#[derive(Clone, Debug, Default)]
struct Symbols {
    /// Bits that are not counted yet, from the top.
    window: u64,
    bits: u32,
    count: u32,
}

impl Symbols {
    fn push(&mut self, byte: u8) {
        self.window |= u64::from(byte) << (56 - self.bits);
        self.bits += 8;
        loop {
            // What is missing of the window reads as zeros: that makes no code shorter than it is,
            // since shorter ones stand for smaller numbers.
            let bits = length(self.window >> 32);
            if bits > self.bits {
                break;
            }
            self.window <<= bits;
            self.bits -= bits;
            self.count += 1;
        }
    }
}

/// Of the code at the top of `window`, 32 bits.
fn length(window: u64) -> u32 {
    let fits = |(above, _): &&(u64, u32)| window < *above;
    LENGTHS.iter().find(fits).map_or(30, |(_, bits)| *bits)
}

/// The least 32 bits that begin with no code of so many bits or fewer (RFC 7541 appendix B). What is above
/// all of them begins with one of 30.
const LENGTHS: [(u64, u32); 20] = [
    (0x5000_0000, 5),
    (0xb800_0000, 6),
    (0xf800_0000, 7),
    (0xfe00_0000, 8),
    (0xff40_0000, 10),
    (0xffa0_0000, 11),
    (0xffc0_0000, 12),
    (0xfff0_0000, 13),
    (0xfff8_0000, 14),
    (0xfffe_0000, 15),
    (0xfffe_6000, 19),
    (0xfffe_e000, 20),
    (0xffff_4800, 21),
    (0xffff_b000, 22),
    (0xffff_ea00, 23),
    (0xffff_f600, 24),
    (0xffff_f800, 25),
    (0xffff_fbc0, 26),
    (0xffff_fe20, 27),
    (0xffff_fff0, 28),
];

#[cfg(test)]
pub(super) mod tests;

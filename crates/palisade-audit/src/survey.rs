//! What a string is made of, told in one pass: the look that every string gets, and nearly every string
//! no other.

/// A string's beginning, up to the first byte that is not printable ASCII, or is a quote or a backslash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Survey {
    /// Its length in bytes.
    pub(crate) plain: usize,
    /// Any of it lies between `-` and `_`: all signs that a secret or an address is known by do (digits,
    /// capitals, `-`, `.`, `:`, `=`, `@`, `_`).
    pub(crate) telling: bool,
    /// All of it are small letters: one word.
    pub(crate) word: bool,
}

/// Surveys `text`, many bytes at a time.
#[inline]
pub(crate) fn survey(text: &[u8]) -> Survey {
    let mut at = 0;
    let mut telling = 0;
    let mut other = 0;
    while let Some(chunk) = text[at..].first_chunk::<{ WIDTH }>() {
        let marks = marks(chunk);
        if marks.odd != 0 {
            // What lies below the lowest mark is plain.
            let below = (marks.odd & marks.odd.wrapping_neg()) - 1;
            return Survey {
                plain: at + marks.odd.trailing_zeros() as usize / 8,
                telling: telling | marks.telling & below != 0,
                word: other | marks.other & below == 0,
            };
        }
        telling |= marks.telling;
        other |= marks.other;
        at += WIDTH;
    }
    let mut survey = Survey {
        plain: at,
        telling: telling != 0,
        word: other == 0,
    };
    for &byte in &text[at..] {
        if !matches!(byte, 0x20..=0x7e) || byte == b'"' || byte == b'\\' {
            break;
        }
        survey.telling |= matches!(byte, b'-'..=b'_');
        survey.word &= byte.is_ascii_lowercase();
        survey.plain += 1;
    }
    survey
}

/// The high bit of each byte of a chunk that is something, the first byte's lowest.
struct Marks {
    /// Not plain; below the lowest of these there is no false one.
    odd: u64,
    /// Between `-` and `_`.
    telling: u64,
    /// No small letter.
    other: u64,
}

/// Marks a chunk. A term sets the high bit of a byte that is what its comment says; those of `odd` may set it
/// in bytes above such a one, too, the others never, for they add without carry.
#[inline]
fn marks(chunk: &[u8; WIDTH]) -> Marks {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let word = u64::from_le_bytes(*chunk);
    let quote = word ^ (LOW * 0x22);
    let backslash = word ^ (LOW * 0x5c);
    let delete = word ^ (LOW * 0x7f);
    let odd = (word // not ASCII
        | word.wrapping_sub(LOW * 0x20) // a control
        | quote.wrapping_sub(LOW)
        | backslash.wrapping_sub(LOW)
        | delete.wrapping_sub(LOW))
        & HIGH;
    let seven = word & !HIGH;
    let from = |byte: u64| seven + LOW * (0x80 - byte);
    Marks {
        odd,
        telling: from(0x2d) & !from(0x60) & HIGH,
        other: !(from(0x61) & !from(0x7b)) & HIGH,
    }
}

/// Bytes in a register.
const WIDTH: usize = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_plain(byte: u8) -> bool {
        matches!(byte, 0x20..=0x7e) && !matches!(byte, b'"' | b'\\')
    }

    fn slow(text: &[u8]) -> Survey {
        let plain = text
            .iter()
            .position(|byte| !is_plain(*byte))
            .unwrap_or(text.len());
        Survey {
            plain,
            telling: text[..plain].iter().any(|byte| matches!(byte, b'-'..=b'_')),
            word: text[..plain].iter().all(u8::is_ascii_lowercase),
        }
    }

    /// Every byte, at every place of what is read at once.
    #[test]
    fn every_byte() {
        for byte in 0..=u8::MAX {
            for at in 0..40 {
                let mut text = [b'a'; 48];
                text[at] = byte;
                assert_eq!(survey(&text), slow(&text), "{byte:#x} at {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn is_what_it_says(text in prop::collection::vec(prop_oneof![0x60..0x7f_u8, any::<u8>()], 0..60)) {
            prop_assert_eq!(survey(&text), slow(&text));
        }
    }
}

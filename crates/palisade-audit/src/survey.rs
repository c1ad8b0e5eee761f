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
}

/// Surveys `text`, many bytes at a time.
#[inline]
pub(crate) fn survey(text: &[u8]) -> Survey {
    let mut at = 0;
    let mut telling = 0;
    while let Some(chunk) = text[at..].first_chunk() {
        let word = u64::from_le_bytes(*chunk);
        let odd = odd(word);
        if odd != 0 {
            // What lies below the lowest mark is plain.
            let below = (odd & odd.wrapping_neg()) - 1;
            telling |= within(word, b'-', b'_') & below;
            return Survey {
                plain: at + odd.trailing_zeros() as usize / 8,
                telling: telling & HIGH != 0,
            };
        }
        telling |= within(word, b'-', b'_');
        at += WIDTH;
    }
    let mut survey = Survey {
        plain: at,
        telling: telling & HIGH != 0,
    };
    for &byte in &text[at..] {
        if !matches!(byte, 0x20..=0x7e) || byte == b'"' || byte == b'\\' {
            break;
        }
        survey.telling |= matches!(byte, b'-'..=b'_');
        survey.plain += 1;
    }
    survey
}

/// The word of small letters, seven at most, that `text` begins with, if a quote follows it: so are most keys.
#[inline]
pub(crate) fn quoted_word(text: &[u8]) -> Option<&[u8]> {
    let word = u64::from_le_bytes(*text.first_chunk()?);
    let other = (word | !within(word, b'a', b'z')) & HIGH;
    let length = other.trailing_zeros() as usize / 8;
    if length < WIDTH && text[length] == b'"' {
        Some(&text[..length])
    } else {
        None
    }
}

/// Whether all of `text` are ASCII letters and digits, as in most ids.
#[inline]
pub(crate) fn is_alphanumeric(text: &[u8]) -> bool {
    let Some(last) = text.last_chunk() else {
        return text.iter().all(u8::is_ascii_alphanumeric);
    };
    // In the high bits of bytes, as everywhere here.
    let other = |chunk: &[u8; WIDTH]| {
        let word = u64::from_le_bytes(*chunk);
        word | !(within(word, b'0', b'9') | within(word | (LOW * 0x20), b'a', b'z'))
    };
    let mut found = other(last);
    let mut rest = text;
    while let Some((chunk, after)) = rest.split_first_chunk() {
        found |= other(chunk);
        rest = after;
    }
    found & HIGH == 0
}

/// Bytes in a register.
const WIDTH: usize = 8;

/// Marks the bytes that are not plain, by their high bits. Below the lowest mark there is no false one; above,
/// there may be.
#[inline]
fn odd(word: u64) -> u64 {
    let quote = word ^ (LOW * 0x22);
    let backslash = word ^ (LOW * 0x5c);
    let odd = word // not ASCII
        | word.wrapping_sub(LOW * 0x20) // a control
        | quote.wrapping_sub(LOW)
        | backslash.wrapping_sub(LOW)
        | from(word, 0x7f); // DEL
    odd & HIGH
}

/// Marks the ASCII bytes from `low` to `high`, by their high bits; for other bytes these, and in all the other bits,
/// say nothing.
#[inline]
const fn within(word: u64, low: u8, high: u8) -> u64 {
    from(word, low) & !from(word, high + 1)
}

/// Marks the bytes that are `byte` at least, by their low seven bits: no carry goes from one to the next.
#[inline]
const fn from(word: u64, byte: u8) -> u64 {
    (word & !HIGH) + LOW * (0x80 - byte as u64)
}

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

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
        }
    }

    #[test]
    fn words() {
        for (text, expected) in [
            (r#"owner": 1"#, Some("owner")),
            (r#"": 12345"#, Some("")),
            (r#"filters":"#, Some("filters")),
            (r#"password":"#, None),
            (r#"a1":12345"#, None),
            (r#"naïve":12345"#, None),
            (r#"abcdefg\":1"#, None),
            (r#"a":1"#, None),
        ] {
            assert_eq!(
                quoted_word(text.as_bytes()),
                expected.map(str::as_bytes),
                "{text}"
            );
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
                for length in [at + 1, 47, 48] {
                    assert_eq!(
                        is_alphanumeric(&text[..length.max(at + 1)]),
                        byte.is_ascii_alphanumeric()
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn is_what_it_says(text in prop::collection::vec(prop_oneof![0x60..0x7f_u8, any::<u8>()], 0..60)) {
            prop_assert_eq!(survey(&text), slow(&text));
            let letters = text.iter().take_while(|byte| byte.is_ascii_lowercase()).count();
            let word = text.len() >= 8 && letters < 8 && text[letters] == b'"';
            prop_assert_eq!(quoted_word(&text), word.then(|| &text[..letters]));
            prop_assert_eq!(is_alphanumeric(&text), text.iter().all(u8::is_ascii_alphanumeric));
        }
    }
}

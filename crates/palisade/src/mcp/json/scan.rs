//! Bytes at a time: where a string ends, and what a key begins with.

/// The first eight bytes of a key of that length, mixed with the length. What `bytes` holds behind
/// the key does not count.
#[inline]
pub(super) fn head(bytes: &[u8], length: usize) -> u64 {
    let word = match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => (bytes.iter().rev()).fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    let word = match length {
        0..8 => word & !(u64::MAX << (length * 8)),
        _ => word,
    };
    word ^ (length as u64) << 56
}

/// Where the key's plain run that starts at `start` ends, as [`find_special`] has it, and the
/// [`head`] of what lies before.
#[inline(always)]
pub(super) fn plain_head(bytes: &[u8], start: usize) -> (usize, u64) {
    let Some(word) = word(bytes, start) else {
        return short_head(bytes, start);
    };
    let found = special(word);
    if found == 0 {
        let end = find_special_far(bytes, start + 8);
        return (end, word ^ ((end - start) as u64) << 56);
    }
    let length = found.trailing_zeros() as usize / 8;
    // All bits of the bytes below the lowest one found.
    let below = (found ^ (found - 1)) >> 8;
    (start + length, word & below ^ (length as u64) << 56)
}

#[cold]
pub(super) fn short_head(bytes: &[u8], start: usize) -> (usize, u64) {
    let end = find_special_far(bytes, start);
    let rest = bytes.get(start..).unwrap_or_default();
    (end, head(rest, end.saturating_sub(start)))
}

/// The index of the first byte at or after `at` that ends a plain run inside a string: a quote,
/// a backslash or a control character; the length of `bytes` if there is none.
#[inline(always)]
pub(super) fn find_special(bytes: &[u8], at: usize) -> usize {
    match word(bytes, at).map(special) {
        None => find_special_far(bytes, at),
        Some(0) => find_special_far(bytes, at + 8),
        Some(found) => at + found.trailing_zeros() as usize / 8,
    }
}

#[inline(never)]
pub(super) fn find_special_far(bytes: &[u8], at: usize) -> usize {
    let Some(mut rest) = bytes.get(at..) else {
        return bytes.len();
    };
    let mut words = 0;
    while let Some((chunk, behind)) = rest.split_first_chunk() {
        let found = special(u64::from_le_bytes(*chunk));
        if found != 0 {
            return bytes.len() - rest.len() + found.trailing_zeros() as usize / 8;
        }
        rest = behind;
        words += 1;
        if words == LONG {
            return find_special_long(bytes, bytes.len() - rest.len());
        }
    }
    let left = rest.iter().position(|byte| is_special(*byte));
    bytes.len() - rest.len() + left.unwrap_or(rest.len())
}

/// From so many words on a string is stepped over in longer strides.
pub(super) const LONG: usize = 8;

#[inline(never)]
pub(super) fn find_special_long(bytes: &[u8], at: usize) -> usize {
    let mut rest = bytes.get(at..).unwrap_or_default();
    // Asked without a way out, the question is one of a few vector instructions.
    while let Some((chunk, behind)) = rest.split_first_chunk::<32>()
        && !chunk
            .iter()
            .fold(false, |any, byte| any | is_special(*byte))
    {
        rest = behind;
    }
    let left = rest.iter().position(|byte| is_special(*byte));
    bytes.len() - rest.len() + left.unwrap_or(rest.len())
}

#[inline(always)]
pub(super) fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// The eight bytes at `at`, if there are as many.
#[inline(always)]
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let chunk = bytes.get(at..at.wrapping_add(8))?.first_chunk()?;
    Some(u64::from_le_bytes(*chunk))
}

/// Marks quotes, backslashes and control characters by the high bits of their bytes. The lowest mark
/// is exact; above it there may be false ones.
#[inline(always)]
pub(super) const fn special(word: u64) -> u64 {
    pub(super) const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    // Subtracting borrows from a byte's high bit if the byte is less. Flipping bit 1 puts the
    // quote (0x22) at 0x20, next to the control characters, and nothing else below 0x21.
    let quote_or_control = (word ^ each(0x02)).wrapping_sub(each(0x21));
    let backslash = (word ^ each(b'\\')).wrapping_sub(each(1));
    (quote_or_control | backslash) & !word & each(0x80)
}

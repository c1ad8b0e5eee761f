//! Lists of words, in letters of any size: nearly every word is told apart from all of them without a comparison.

/// Words of at most [`WORD_MAX`] bytes.
pub(super) struct Words<const N: usize> {
    /// Packed, in the order of their buckets.
    words: [u128; N],
    /// By bucket, where its words begin; they end where the next ones begin.
    starts: [u16; BUCKETS + 1],
}

impl<const N: usize> Words<N> {
    pub(super) const fn new(list: [&str; N]) -> Self {
        let mut words = [0; N];
        let mut starts = [0; BUCKETS + 1];
        let (mut next, mut bucket) = (0, 0);
        while bucket < BUCKETS {
            starts[bucket] = next as u16;
            let mut at = 0;
            while at < N {
                let word = list[at].as_bytes();
                assert!(
                    !word.is_empty() && word.len() <= WORD_MAX,
                    "a word must fit 16 bytes"
                );
                if bucket_of(word[0], word[word.len() - 1], word.len()) == bucket {
                    words[next] = pack(word);
                    next += 1;
                }
                at += 1;
            }
            bucket += 1;
        }
        starts[BUCKETS] = next as u16;
        Self { words, starts }
    }

    /// Whether `word` is one of them.
    #[inline]
    pub(super) fn contains(&self, word: &[u8]) -> bool {
        let (Some(first), Some(last)) = (word.first(), word.last()) else {
            return false;
        };
        let bucket = bucket_of(*first, *last, word.len());
        let (from, to) = (self.starts[bucket], self.starts[bucket + 1]);
        from < to
            && word.len() <= WORD_MAX
            && self.words[usize::from(from)..usize::from(to)].contains(&pack(word))
    }
}

/// What a `u128` holds, in bytes.
const WORD_MAX: usize = 16;

const BUCKETS: usize = 256;

/// By the first and last letter, of any size, and the length.
#[inline]
const fn bucket_of(first: u8, last: u8, length: usize) -> usize {
    let letters = (first & 31) as usize * 37 + (last & 31) as usize * 5;
    (letters + length * 11) % BUCKETS
}

/// The bytes of a word, capitals as small letters, and behind them that there are no more.
#[inline]
const fn pack(word: &[u8]) -> u128 {
    let mut packed = 0;
    let mut at = 0;
    while at < word.len() {
        packed = packed << 8 | word[at].to_ascii_lowercase() as u128;
        at += 1;
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed() {
        static LIST: Words<5> =
            Words::new(["a", "ab", "char[]", "Optional[str]", "sixteen-letters!"]);
        for (word, is) in [
            ("a", true),
            ("A", true),
            ("ab", true),
            ("aB", true),
            ("CHAR[]", true),
            ("optional[STR]", true),
            ("sixteen-letters!", true),
            ("", false),
            ("b", false),
            ("abc", false),
            ("char{]", false),
            ("sixteen-letters!!", false),
            ("asixteen-letters!", false),
            ("\0a", false),
        ] {
            assert_eq!(LIST.contains(word.as_bytes()), is, "{word}");
        }
    }
}

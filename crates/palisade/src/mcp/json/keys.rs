//! The keys of objects: each may be there once.

use std::hash::BuildHasher;

use super::scan::{find_special, head, plain_head};
use super::text::unescape;
use super::{JsonErrorKind, Reader, Stopped};

/// A key of an object that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// See [`head`]; tells most keys apart.
    head: u64,
    /// Where it stands in the text, behind its opening quote.
    start: usize,
}

/// A key that has been read, with its colon.
pub(in crate::mcp) struct Member {
    /// Its content stands at `start..end`.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) escaped: bool,
    /// Where the text goes on.
    pub(in crate::mcp) behind: usize,
}

/// An object that is open.
pub(super) struct Object {
    /// The index of its first key.
    pub(super) first: usize,
    /// One bit for each key there was, by its head: most keys are new by it alone.
    pub(super) seen: u64,
}

impl Object {
    /// Whether a key of that head may have been there; notes it.
    #[inline(always)]
    fn see(&mut self, head: u64) -> bool {
        // The multiplication brings all of the head to bear on the upper bits (Fibonacci hashing).
        let bit = 1 << (head.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58);
        let seen = self.seen & bit != 0;
        self.seen |= bit;
        seen
    }
}

/// Up to this many keys of an object are compared one by one, as they come; more are compared by
/// hash once the object is complete, so that neither the usual message pays for hashing nor a
/// hostile one for comparing.
pub(super) const FEW_KEYS: usize = 16;

impl Reader<'_> {
    /// What a key says.
    #[inline]
    pub(in crate::mcp) fn name(&self, key: &Member) -> &[u8] {
        if key.escaped {
            return self.key_text(key.start);
        }
        &self.text.as_bytes()[key.start..key.end]
    }

    /// Reads a key of `object` and its colon; `byte` is what stands at `at`.
    #[inline(always)]
    pub(super) fn key(
        &mut self,
        at: usize,
        byte: u8,
        object: &mut Object,
    ) -> Result<Member, Stopped> {
        if byte != b'"' {
            return Err(self.stopped_at_misplaced(at));
        }
        let bytes = self.text.as_bytes();
        let start = at + 1;
        let (end, head) = plain_head(bytes, start);
        if !bytes
            .get(end..)
            .is_some_and(|rest| rest.starts_with(b"\":"))
        {
            return self.other_key(start, end, head, object);
        }
        self.note(start, head, object)?;
        Ok(Member {
            start,
            end,
            escaped: false,
            behind: end + 2,
        })
    }

    /// Reads on in a key that does not end at `end`, or has no colon right behind it.
    #[inline(never)]
    pub(super) fn other_key(
        &mut self,
        start: usize,
        mut end: usize,
        mut head: u64,
        object: &mut Object,
    ) -> Result<Member, Stopped> {
        let escaped = self.byte(end) != Some(b'"');
        if escaped {
            end = self.escaped_string(end)? - 1;
            head = self.escaped_key(start, end);
        }
        self.note(start, head, object)?;
        let (at, byte) = self.token(end + 1);
        if byte != b':' {
            return Err(self.stopped_at_misplaced(at));
        }
        Ok(Member {
            start,
            end,
            escaped,
            behind: at + 1,
        })
    }

    /// Adds a key to those of `object`, unless it is there.
    #[inline(always)]
    pub(super) fn note(
        &mut self,
        start: usize,
        head: u64,
        object: &mut Object,
    ) -> Result<(), Stopped> {
        if object.see(head)
            && self.keys.len() - object.first < FEW_KEYS
            && self.repeats(object.first, head, start)
        {
            return Err(self.stopped(JsonErrorKind::DuplicateKey, start - 1));
        }
        self.keys.push(Key { head, start });
        Ok(())
    }

    /// Whether the key that starts at `start` says the same as one from the `first` on.
    #[inline(never)]
    pub(super) fn repeats(&self, first: usize, head: u64, start: usize) -> bool {
        let same = |sibling: &Key| {
            sibling.head == head && self.key_text(sibling.start) == self.key_text(start)
        };
        self.keys[first..].iter().any(same)
    }

    /// Keeps what a key with escapes says; returns its head.
    #[inline(never)]
    pub(super) fn escaped_key(&mut self, start: usize, end: usize) -> u64 {
        let key = unescape(&self.text[start..end]).into_boxed_str();
        let head = head(key.as_bytes(), key.len());
        self.unescaped.push((start, key));
        head
    }

    /// What a key says that was read to its end and starts at `start`.
    pub(super) fn key_text(&self, start: usize) -> &[u8] {
        // They come in the order of the text.
        match self.unescaped.binary_search_by_key(&start, |key| key.0) {
            Ok(index) => self.unescaped[index].1.as_bytes(),
            Err(_) => {
                let bytes = self.text.as_bytes();
                &bytes[start..find_special(bytes, start)]
            }
        }
    }

    /// Leaves an object that is complete, whose brace stands at `at`, and its keys from `first` on.
    #[inline]
    pub(super) fn forget(&mut self, first: usize, at: usize) -> Result<(), Stopped> {
        if self.keys.len() - first > FEW_KEYS {
            self.compare_many(first)?;
        }
        self.keys.truncate(first);
        if !self.unescaped.is_empty() {
            let outer = self.unescaped.partition_point(|key| key.0 < at);
            self.unescaped.truncate(outer);
        }
        Ok(())
    }

    /// Looks for duplicates among the many keys of an object that is complete: equal keys have
    /// equal hashes, which sorting brings side by side. The hash is keyed at random, so that no one
    /// can choose keys that collide.
    #[inline(never)]
    pub(super) fn compare_many(&mut self, first: usize) -> Result<(), Stopped> {
        let mut hashes = std::mem::take(&mut self.hashes);
        let hasher = self.hasher.get_or_insert_default().clone();
        let text = |index: usize| self.key_text(self.keys[index].start);
        hashes.clear();
        hashes.extend((first..self.keys.len()).map(|index| (hasher.hash_one(text(index)), index)));
        hashes.sort_unstable_by(|(one, first), (two, second)| {
            let texts = || text(*first).cmp(text(*second));
            one.cmp(two).then_with(texts).then(first.cmp(second))
        });
        let repeated = hashes.windows(2).find_map(|pair| match pair {
            [(one, first), (two, second)] if one == two && text(*first) == text(*second) => {
                Some(self.keys[*second].start - 1)
            }
            _ => None,
        });
        self.hashes = hashes;
        match repeated {
            Some(at) => Err(self.stopped(JsonErrorKind::DuplicateKey, at)),
            None => Ok(()),
        }
    }
}

//! Members that say the same in record after record: versions, methods, servers, tools, a caller's name.

/// The last spellings of one member of the line, name and all.
///
/// Kept is only what is written as it stands, so nothing that was redacted, and nothing longer than [`MAX`]:
/// a caller who sends ever new texts turns others out, and no more.
#[derive(Debug, Default)]
pub(crate) struct Memo([Vec<u8>; WAYS]);

/// So that a few callers and tools taking turns do not turn each other out.
const WAYS: usize = 4;

/// In bytes, of the text.
const MAX: usize = 64;

impl Memo {
    /// Appends `name` and what `write` makes of `text`, a JSON string. Both must be the same for the same text
    /// each time.
    #[inline]
    pub(crate) fn push(
        &mut self,
        out: &mut Vec<u8>,
        name: &'static [u8],
        text: &str,
        write: impl FnOnce(&mut Vec<u8>, &str),
    ) {
        let text_bytes = text.as_bytes();
        let last = text_bytes.last().copied().unwrap_or_default();
        let line = &mut self.0[(text.len() ^ usize::from(last)) % WAYS];
        // The lengths can only be equal where there is a line; its quotes and name are known.
        if line.len() == name.len() + text.len() + 2
            && line[name.len() + 1..line.len() - 1] == *text_bytes
        {
            out.extend_from_slice(line);
            return;
        }
        let start = out.len();
        out.extend_from_slice(name);
        write(out, text);
        let written = &out[start..];
        if text.len() <= MAX
            && written.len() == name.len() + text.len() + 2
            && written[name.len() + 1..written.len() - 1] == *text_bytes
        {
            line.clear();
            line.extend_from_slice(written);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::redact::Aim;

    proptest! {
        /// Whatever came before, what is written is what would be written without a memory.
        #[test]
        fn remembers_nothing_else(
            texts in prop::collection::vec(
                prop_oneof!["[ab]{0,3}", "a{60,70}", "\"|\\\\|\n|é", "(ghp_[a-z0-9]{16}|a@b[.]co){1,2}"],
                0..40,
            ),
        ) {
            let mut memo = Memo::default();
            let write = |out: &mut Vec<u8>, text: &str| crate::record::push_foreign(out, text, 65, Aim::All);
            for text in texts {
                let (mut out, mut plain) = (Vec::new(), b",\"x\":".to_vec());
                memo.push(&mut out, b",\"x\":", &text, write);
                write(&mut plain, &text);
                prop_assert_eq!(out, plain);
            }
            for line in &memo.0 {
                prop_assert!(line.len() <= MAX + 7);
                prop_assert!(!line.windows(4).any(|part| part == b"ghp_" || part == b"REDA"));
            }
        }
    }
}

//! What the name of a key says about its value.
//!
//! A name is split into segments (`accessToken`, `access_token`, `ACCESS-TOKEN`, `access.token`
//! are all `access`, `token`) and the segments are looked up whole, alone or in pairs: `tokenizer`, `author` and
//! `keyboard` are none of them. A last segment that says the value is *about* the secret
//! (`token_count`, `password_policy`) makes the name innocent.

mod names;

use super::Mask;
use names::{Meaning, NAMES, PAGING, PAIRS, WORD_MAX, word};

/// What becomes of the value under a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rule {
    /// Replaced whole, whatever it is (but `true`, `false`, `null`).
    Whole(Mask),
    /// Only its strings are replaced: `tokens` may be secrets, or counts.
    Strings(Mask),
}

/// `None`: the name says nothing.
pub(crate) fn classify(key: &[u8]) -> Option<Rule> {
    if key.iter().all(u8::is_ascii_lowercase) {
        return classify_word(key);
    }
    let mut state = State::default();
    let mut start = 0;
    let mut before = Kind::Other;
    for (at, &byte) in key.iter().enumerate() {
        let kind = KINDS[usize::from(byte)];
        let starts = match (before, kind) {
            (_, Kind::Other) | (Kind::Other | Kind::Lower, Kind::Upper) => true,
            // The last capital of `JWTToken` begins the next word.
            (Kind::Upper, Kind::Upper) => key
                .get(at + 1)
                .is_some_and(|&next| KINDS[usize::from(next)] == Kind::Lower),
            (Kind::Other, Kind::Lower) => true,
            (Kind::Lower | Kind::Upper, Kind::Lower) => false,
        };
        if starts {
            state.take(&key[start..at]);
            start = at + usize::from(kind == Kind::Other);
        }
        before = kind;
    }
    state.take(&key[start..]);
    state.finish()
}

/// As [`classify`], for a name of small letters only, which is one segment: nearly every such name is told
/// apart by its first letter and length.
#[inline]
pub(crate) fn classify_word(key: &[u8]) -> Option<Rule> {
    let first = *key.first()?;
    if key.len() > WORD_MAX || GROUPS[usize::from(first & 31)].alone & 1 << key.len() == 0 {
        return None;
    }
    let mut state = State::default();
    state.take(key);
    state.finish()
}

#[derive(Default)]
struct State {
    /// The segment before, 0 where it is no word of ours.
    previous: u128,
    rule: Option<Rule>,
    /// The last segment makes the whole innocent.
    qualified: bool,
    counted: bool,
}

impl State {
    #[inline]
    fn take(&mut self, segment: &[u8]) {
        let Some(first) = segment.first() else { return };
        self.qualified = false;
        let group = &GROUPS[usize::from(first & 31)];
        // Nearly every segment ends here.
        if segment.len() <= WORD_MAX && group.lengths & 1 << segment.len() != 0 {
            self.look_up(segment, group);
        } else {
            self.previous = 0;
        }
    }

    fn look_up(&mut self, segment: &[u8], group: &Group) {
        let word = segment
            .iter()
            .fold(0, |word, byte| word << 8 | u128::from(byte | 0x20));
        let previous = std::mem::take(&mut self.previous);
        let Some(&(_, meaning)) = WORDS[group.start..group.end]
            .iter()
            .find(|(name, _)| *name == word)
        else {
            return;
        };
        self.previous = word;
        match meaning {
            Personal => self.find(Rule::Whole(Mask::Plain)),
            Secret if previous != 0 && PAGING.contains(&previous) => {}
            Secret => self.find(Rule::Whole(Mask::Fingerprint)),
            Plural => self.find(Rule::Strings(Mask::Fingerprint)),
            Qualifier => self.qualified = true,
            Quantity => self.counted = true,
            Part => {}
        }
        if previous != 0
            && let Some((_, _, mask)) = PAIRS
                .iter()
                .find(|(first, second, _)| *first == previous && *second == word)
        {
            self.find(Rule::Whole(*mask));
            self.qualified = false;
        }
    }

    fn find(&mut self, rule: Rule) {
        // `password_token` is rather a password: the stricter rule stays.
        if self.rule != Some(Rule::Whole(Mask::Plain)) {
            self.rule = Some(rule);
        }
    }

    fn finish(self) -> Option<Rule> {
        match self.rule {
            _ if self.qualified => None,
            Some(Rule::Whole(Mask::Fingerprint)) if self.counted => {
                Some(Rule::Strings(Mask::Fingerprint))
            }
            rule => rule,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Lower,
    Upper,
    /// Between segments; digits too, so that `password2` is a password.
    Other,
}

static KINDS: [Kind; 256] = {
    let mut kinds = [Kind::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'A'..=b'Z' => Kind::Upper,
            b'a'..=b'z' | 0x80.. => Kind::Lower,
            _ => Kind::Other,
        };
        byte += 1;
    }
    kinds
};

use Meaning::{Part, Personal, Plural, Qualifier, Quantity, Secret};

/// Sorted by first letter.
static WORDS: [(u128, Meaning); NAMES.len()] = {
    let mut words = [(0, Part); NAMES.len()];
    let mut next = 0;
    let mut letter = 0;
    while letter < 32 {
        let mut at = 0;
        while at < NAMES.len() {
            if NAMES[at].0.as_bytes()[0] & 31 == letter {
                words[next] = (word(NAMES[at].0), NAMES[at].1);
                next += 1;
            }
            at += 1;
        }
        letter += 1;
    }
    words
};

/// The words with one first letter.
#[derive(Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
    /// One bit for each length.
    lengths: u32,
    /// Those of the words that say something standing alone.
    alone: u32,
}

static GROUPS: [Group; 32] = {
    let mut groups = [Group {
        start: 0,
        end: 0,
        lengths: 0,
        alone: 0,
    }; 32];
    let mut next = 0;
    let mut letter = 0;
    while letter < 32 {
        groups[letter].start = next;
        let mut at = 0;
        while at < NAMES.len() {
            let name = NAMES[at].0.as_bytes();
            if (name[0] & 31) as usize == letter {
                groups[letter].lengths |= 1 << name.len();
                if matches!(NAMES[at].1, Personal | Plural | Secret) {
                    groups[letter].alone |= 1 << name.len();
                }
                next += 1;
            }
            at += 1;
        }
        groups[letter].end = next;
        letter += 1;
    }
    groups
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The look at first letter and length lets no word through that the whole look would find.
    // REQ: L-2
    #[test]
    fn single_words() {
        for (name, meaning) in NAMES {
            let mut state = State::default();
            state.take(name.as_bytes());
            let rule = state.finish();
            assert_eq!(classify_word(name.as_bytes()), rule, "{name}");
            assert_eq!(classify(name.as_bytes()), rule, "{name}");
            let says = matches!(meaning, Personal | Plural | Secret);
            assert_eq!(rule.is_some(), says, "{name}");
        }
        assert_eq!(classify_word(b""), None);
        assert_eq!(classify_word(&[b't'; 40]), None);
    }

    // REQ: L-2
    #[test]
    fn names() {
        let token = Some(Rule::Whole(Mask::Fingerprint));
        let plain = Some(Rule::Whole(Mask::Plain));
        for (name, expected) in [
            ("token", token),
            ("accessToken", token),
            ("access_token", token),
            ("ACCESS_TOKEN", token),
            ("X-Auth-Token", token),
            ("githubToken2", token),
            ("JWTToken", token),
            ("authorization", token),
            ("Proxy-Authorization", token),
            ("apiKey", token),
            ("api_key", token),
            ("APIKey", token),
            ("x-api-key", token),
            ("apikey", token),
            ("aws.secret_access_key", token),
            ("clientSecret", token),
            ("Set-Cookie", token),
            ("session_id", token),
            ("credentials", token),
            ("password", plain),
            ("userPassword", plain),
            ("PASSWORD", plain),
            ("db.password", plain),
            ("password_hash", plain),
            ("passwd", plain),
            ("email", plain),
            ("e-mail", plain),
            ("contactEmail", plain),
            ("ssn", plain),
            ("userSSN", plain),
            ("cardNumber", plain),
            ("credit_card", plain),
            ("pin_code", plain),
            ("tokens", Some(Rule::Strings(Mask::Fingerprint))),
            ("max_tokens", Some(Rule::Strings(Mask::Fingerprint))),
            ("maxToken", Some(Rule::Strings(Mask::Fingerprint))),
        ] {
            assert_eq!(classify(name.as_bytes()), expected, "{name}");
        }
        for name in [
            "",
            "_",
            "tokenizer",
            "tokenize",
            "author",
            "keyboard",
            "passenger",
            "compass",
            "bypass",
            "key",
            "keys",
            "keywords",
            "monkey",
            "secretary",
            "emailed",
            "pinned",
            "spin",
            "token_count",
            "tokenType",
            "password_policy",
            "passwordRequired",
            "token_endpoint",
            "email_verified",
            "token_expires_in",
            "secret_name",
            "nextPageToken",
            "next_token",
            "progressToken",
            "accession",
            "id",
            "session",
            "primaryKey",
            "number",
            "code",
            "card",
            "a_very_long_segmentwithoutanyend_x",
        ] {
            assert_eq!(classify(name.as_bytes()), None, "{name}");
        }
    }
}

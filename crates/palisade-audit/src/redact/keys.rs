//! What the name of a key says about its value.
//!
//! A name is split into segments (`accessToken`, `access_token`, `ACCESS-TOKEN`, `access.token`
//! are all `access`, `token`) and the segments are looked up whole, alone or in pairs: `tokenizer`, `author` and
//! `keyboard` are none of them. A last segment that says the value is *about* the secret
//! (`token_count`, `password_policy`) makes the name innocent.

use super::Mask;

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
    let mut state = State {
        previous: 0,
        rule: None,
        qualified: false,
        counted: false,
    };
    if key.iter().all(u8::is_ascii_lowercase) {
        state.take(key);
        return if state.qualified {
            None
        } else {
            state.finish()
        };
    }
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
    if state.qualified {
        None
    } else {
        state.finish()
    }
}

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
            Secret if PAGING.contains(&previous) => {}
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

#[derive(Clone, Copy)]
enum Meaning {
    /// Known from a pair only.
    Part,
    Personal,
    Plural,
    Qualifier,
    Quantity,
    Secret,
}

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
}

static GROUPS: [Group; 32] = {
    let mut groups = [Group {
        start: 0,
        end: 0,
        lengths: 0,
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
                next += 1;
            }
            at += 1;
        }
        groups[letter].end = next;
        letter += 1;
    }
    groups
};

const NAMES: &[(&str, Meaning)] = &[
    // Secrets of enough randomness to be fingerprinted.
    ("token", Secret),
    ("secret", Secret),
    ("secrets", Secret),
    ("authorization", Secret),
    ("apikey", Secret),
    ("apikeys", Secret),
    ("accesskey", Secret),
    ("secretkey", Secret),
    ("privatekey", Secret),
    ("accesstoken", Secret),
    ("refreshtoken", Secret),
    ("authtoken", Secret),
    ("idtoken", Secret),
    ("clientsecret", Secret),
    ("cookie", Secret),
    ("cookies", Secret),
    ("setcookie", Secret),
    ("credential", Secret),
    ("credentials", Secret),
    ("creds", Secret),
    ("jwt", Secret),
    ("bearer", Secret),
    ("sessionid", Secret),
    ("tokens", Plural),
    // Passwords and personal data: few enough to be guessed from a hash.
    ("password", Personal),
    ("passwords", Personal),
    ("passwd", Personal),
    ("passwort", Personal),
    ("passphrase", Personal),
    ("passcode", Personal),
    ("pwd", Personal),
    ("pass", Personal),
    ("pin", Personal),
    ("otp", Personal),
    ("totp", Personal),
    ("cvv", Personal),
    ("cvc", Personal),
    ("ssn", Personal),
    ("iban", Personal),
    ("email", Personal),
    ("emails", Personal),
    ("phone", Personal),
    ("phonenumber", Personal),
    ("telephone", Personal),
    ("creditcard", Personal),
    ("cardnumber", Personal),
    // Parts of pairs.
    ("api", Part),
    ("access", Part),
    ("private", Part),
    ("signing", Part),
    ("encryption", Part),
    ("master", Part),
    ("shared", Part),
    ("account", Part),
    ("ssh", Part),
    ("license", Part),
    ("service", Part),
    ("key", Part),
    ("keys", Part),
    ("card", Part),
    ("credit", Part),
    ("number", Part),
    ("session", Part),
    ("id", Part),
    ("security", Part),
    ("social", Part),
    ("code", Part),
    ("codes", Part),
    ("verification", Part),
    ("recovery", Part),
    ("backup", Part),
    ("auth", Part),
    ("tax", Part),
    ("national", Part),
    ("passport", Part),
    ("bank", Part),
    ("routing", Part),
    ("mail", Part),
    ("e", Part),
    ("page", Part),
    ("next", Part),
    ("continuation", Part),
    ("sync", Part),
    ("progress", Part),
    ("cancel", Part),
    ("stop", Part),
    ("start", Part),
    ("end", Part),
    ("pad", Part),
    ("bos", Part),
    ("eos", Part),
    ("unk", Part),
    ("sep", Part),
    ("mask", Part),
    // Words that make a token a unit of text.
    ("max", Quantity),
    ("min", Quantity),
    ("total", Quantity),
    ("num", Quantity),
    ("prompt", Quantity),
    ("completion", Quantity),
    ("input", Quantity),
    ("output", Quantity),
    // Last segments that speak about the secret, not of it.
    ("count", Qualifier),
    ("counts", Qualifier),
    ("type", Qualifier),
    ("policy", Qualifier),
    ("limit", Qualifier),
    ("limits", Qualifier),
    ("enabled", Qualifier),
    ("disabled", Qualifier),
    ("required", Qualifier),
    ("endpoint", Qualifier),
    ("url", Qualifier),
    ("uri", Qualifier),
    ("ttl", Qualifier),
    ("expiry", Qualifier),
    ("expires", Qualifier),
    ("expiration", Qualifier),
    ("in", Qualifier),
    ("at", Qualifier),
    ("length", Qualifier),
    ("size", Qualifier),
    ("name", Qualifier),
    ("verified", Qualifier),
    ("valid", Qualifier),
    ("format", Qualifier),
    ("version", Qualifier),
    ("status", Qualifier),
    ("algorithm", Qualifier),
    ("alg", Qualifier),
    ("hint", Qualifier),
    ("method", Qualifier),
    ("budget", Qualifier),
    ("usage", Qualifier),
    ("used", Qualifier),
    ("field", Qualifier),
    ("label", Qualifier),
    ("placeholder", Qualifier),
    ("template", Qualifier),
    ("subject", Qualifier),
    ("provider", Qualifier),
    ("domain", Qualifier),
    ("file", Qualifier),
    ("path", Qualifier),
    ("preferences", Qualifier),
    ("notifications", Qualifier),
    ("rotation", Qualifier),
    ("strategy", Qualifier),
    ("frequency", Qualifier),
    ("scope", Qualifier),
    ("scopes", Qualifier),
    ("host", Qualifier),
    ("port", Qualifier),
    ("mode", Qualifier),
    ("pattern", Qualifier),
    ("regex", Qualifier),
    ("rules", Qualifier),
    ("schema", Qualifier),
    ("description", Qualifier),
    ("symbol", Qualifier),
];

/// Tokens that open nothing: cursors and units of text.
static PAGING: [u128; 14] = [
    word("page"),
    word("next"),
    word("continuation"),
    word("sync"),
    word("progress"),
    word("cancel"),
    word("stop"),
    word("start"),
    word("end"),
    word("pad"),
    word("bos"),
    word("eos"),
    word("unk"),
    word("sep"),
];

static PAIRS: &[(u128, u128, Mask)] = &[
    (word("api"), word("key"), Mask::Fingerprint),
    (word("api"), word("keys"), Mask::Fingerprint),
    (word("access"), word("key"), Mask::Fingerprint),
    (word("access"), word("keys"), Mask::Fingerprint),
    (word("private"), word("key"), Mask::Fingerprint),
    (word("private"), word("keys"), Mask::Fingerprint),
    (word("signing"), word("key"), Mask::Fingerprint),
    (word("encryption"), word("key"), Mask::Fingerprint),
    (word("master"), word("key"), Mask::Fingerprint),
    (word("shared"), word("key"), Mask::Fingerprint),
    (word("account"), word("key"), Mask::Fingerprint),
    (word("ssh"), word("key"), Mask::Fingerprint),
    (word("license"), word("key"), Mask::Fingerprint),
    (word("service"), word("key"), Mask::Fingerprint),
    (word("auth"), word("key"), Mask::Fingerprint),
    (word("session"), word("id"), Mask::Fingerprint),
    (word("session"), word("key"), Mask::Fingerprint),
    (word("auth"), word("code"), Mask::Fingerprint),
    (word("verification"), word("code"), Mask::Plain),
    (word("security"), word("code"), Mask::Plain),
    (word("recovery"), word("code"), Mask::Plain),
    (word("recovery"), word("codes"), Mask::Plain),
    (word("backup"), word("code"), Mask::Plain),
    (word("backup"), word("codes"), Mask::Plain),
    (word("card"), word("number"), Mask::Plain),
    (word("credit"), word("card"), Mask::Plain),
    (word("social"), word("security"), Mask::Plain),
    (word("tax"), word("id"), Mask::Plain),
    (word("national"), word("id"), Mask::Plain),
    (word("passport"), word("number"), Mask::Plain),
    (word("bank"), word("account"), Mask::Plain),
    (word("account"), word("number"), Mask::Plain),
    (word("routing"), word("number"), Mask::Plain),
    (word("e"), word("mail"), Mask::Plain),
];

/// What a `u128` holds.
const WORD_MAX: usize = 16;

/// The letters of a name, packed.
const fn word(name: &str) -> u128 {
    let bytes = name.as_bytes();
    assert!(bytes.len() <= WORD_MAX, "a word must fit 16 bytes");
    let mut word = 0;
    let mut at = 0;
    while at < bytes.len() {
        word = word << 8 | bytes[at] as u128;
        at += 1;
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

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

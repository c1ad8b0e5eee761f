//! What the name of a key says about its value.
//!
//! A name is split into segments (`accessToken`, `access_token`, `ACCESS-TOKEN`, `access.token`
//! are all `access`, `token`) and the segments are looked up whole, alone or in pairs: `tokenizer`, `author` and
//! `keyboard` are none of them. A last segment that says the value is *about* the secret
//! (`token_count`, `password_policy`) makes the name innocent.
//!
//! [`Kind::judge`] then decides by the value itself: a name alone takes neither the `A1` of a `cell` nor the
//! `13` of a `pin`.

mod fold;
mod judge;
mod names;

use names::{
    ENDINGS, Meaning, NAMES, NO_ENDINGS, OTHER_NUMBERS, OTHER_SCRIPTS, PAGING, PAIRS, WORD_MAX,
    word,
};

pub(crate) use judge::{begins_with_date, is_opaque, is_said_of, mask_length, placeholder};

/// What stands under a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// What is said to a question: a secret if it is one word, and the question asks for one.
    Answer,
    /// The names of columns.
    Columns,
    /// A number of a person: so many digits at least.
    Digits(u8),
    /// What stands beside its name, if it is one word: else it is likely to speak about it.
    Content,
    /// An address, if it has an `@`.
    Email,
    /// The name of what stands beside it.
    Name,
    /// A secret, if it looks random.
    Opaque,
    /// A secret that people choose or remember, whatever it looks like.
    Password,
    /// A secret of many words.
    Phrase,
    /// Values in columns.
    Rows,
    /// Descriptions of values, by their names.
    Schema,
    /// A secret that machines make, if it is one word.
    Single,
    /// A secret that machines make.
    Token,
    /// Secrets, or counts of units of text.
    Tokens,
    /// What stands beside its name.
    Value,
    /// A password, unless it is a count or a directory: `pass`, `pwd`.
    Word,
}

/// `None`: the name says nothing.
pub(crate) fn classify(key: &[u8]) -> Option<Kind> {
    if key.iter().all(u8::is_ascii_lowercase) {
        return classify_word(key);
    }
    if !key.is_ascii() {
        // As it is written by most.
        if OTHER_SCRIPTS
            .iter()
            .any(|name| key.last() == name.as_bytes().last() && key.ends_with(name.as_bytes()))
        {
            return Some(Kind::Password);
        }
        let folded = fold::fold(key)?;
        let text = folded.lower.as_str();
        if OTHER_SCRIPTS.iter().any(|name| text.ends_with(name)) {
            return Some(Kind::Password);
        }
        if OTHER_NUMBERS.contains(&text) {
            return Some(Kind::Digits(5));
        }
        return classify_ascii(&folded.latin);
    }
    classify_ascii(key)
}

fn classify_ascii(key: &[u8]) -> Option<Kind> {
    let mut state = State::default();
    let mut start = 0;
    let mut before = Letter::Other;
    for (at, &byte) in key.iter().enumerate() {
        let kind = LETTERS[usize::from(byte)];
        let starts = match (before, kind) {
            (_, Letter::Other) | (Letter::Other | Letter::Lower, Letter::Upper) => true,
            // The last capital of `JWTToken` begins the next word.
            (Letter::Upper, Letter::Upper) => key
                .get(at + 1)
                .is_some_and(|&next| LETTERS[usize::from(next)] == Letter::Lower),
            (Letter::Other, Letter::Lower) => true,
            (Letter::Lower | Letter::Upper, Letter::Lower) => false,
        };
        if starts {
            state.take(&key[start..at]);
            start = at + usize::from(kind == Letter::Other);
        }
        before = kind;
    }
    state.take(&key[start..]);
    // A second factor's code.
    if let [.., b'2', b'f' | b'F', b'a' | b'A'] = key
        && state.kind.is_none()
    {
        return Some(Kind::Digits(4));
    }
    state.finish()
}

/// As [`classify`], for a name of small letters only, which is one segment: nearly every such name is told
/// apart by its first and last letter and its length.
#[inline]
pub(crate) fn classify_word(key: &[u8]) -> Option<Kind> {
    if key.len() > WORD_MAX || ENDS[ends(key)?].alone >> key.len() & 1 == 0 {
        return if may_end(key) { ending(key) } else { None };
    }
    let mut state = State::default();
    state.take(key);
    state.finish()
}

/// Whether the last two letters are those of one of [`ENDINGS`], and there is more before them.
#[inline]
fn may_end(segment: &[u8]) -> bool {
    segment.len() > 6
        && matches!(
            segment.last_chunk().map(|[a, b]| [a | 0x20, b | 0x20]),
            Some(
                [b'r' | b'w' | b'i', b'd']
                    | [b's' | b'd', b'e']
                    | [b'e', b'y' | b't' | b'n']
                    | [b'l', b's']
            )
        )
}

/// What a segment is by its end.
fn ending(segment: &[u8]) -> Option<Kind> {
    let is = |name: &&str| segment.eq_ignore_ascii_case(name.as_bytes());
    let (_, kind) = ENDINGS.iter().find(|(ending, _)| {
        segment
            .len()
            .checked_sub(ending.len())
            .is_some_and(|at| segment[at..].eq_ignore_ascii_case(ending.as_bytes()))
    })?;
    if NO_ENDINGS.iter().any(is) {
        None
    } else {
        Some(*kind)
    }
}

#[derive(Default)]
struct State {
    /// The segment before, 0 where it is no word of ours.
    previous: u128,
    kind: Option<Kind>,
    /// What the last segment is, if it counts only as that.
    last: Option<Kind>,
    /// The last segment makes the whole innocent.
    qualified: bool,
    counted: bool,
    segments: u32,
}

impl State {
    #[inline]
    fn take(&mut self, segment: &[u8]) {
        let Some(ends) = ends(segment) else { return };
        self.qualified = false;
        self.last = None;
        self.segments += 1;
        // Nearly every segment is done with here.
        if segment.len() <= WORD_MAX && ENDS[ends].lengths >> segment.len() & 1 == 1 {
            self.look_up(segment, &GROUPS[usize::from(segment[0] & 31)]);
        } else {
            self.previous = 0;
            self.by_ending(segment);
        }
    }

    #[inline]
    fn by_ending(&mut self, segment: &[u8]) {
        if may_end(segment)
            && let Some(kind) = ending(segment)
        {
            self.find(kind);
        }
    }

    fn look_up(&mut self, segment: &[u8], group: &Group) {
        let word = pack(segment);
        let previous = std::mem::take(&mut self.previous);
        let Some(&(_, meaning)) = WORDS[group.start..group.end]
            .iter()
            .find(|(name, _)| *name == word)
        else {
            return self.by_ending(segment);
        };
        self.previous = word;
        match meaning {
            Meaning::About => self.qualified = true,
            Meaning::Answer => self.last = Some(Kind::Answer),
            Meaning::AnswerOrQuantity => {
                self.last = Some(Kind::Answer);
                self.counted = true;
            }
            Meaning::Columns => {
                self.last = Some(Kind::Columns);
                // `api_keys` are keys; the others are about.
                self.qualified = word != KEYS;
            }
            Meaning::Digits4 => self.find(Kind::Digits(4)),
            Meaning::Digits5 => self.find(Kind::Digits(5)),
            Meaning::Email => self.find(Kind::Email),
            Meaning::Name => {
                self.last = Some(Kind::Name);
                // A key may be the secret itself.
                self.qualified = word != KEY;
            }
            Meaning::NameOrQuantity => {
                self.last = Some(Kind::Name);
                self.qualified = true;
                self.counted = true;
            }
            Meaning::Opaque => self.last = Some(Kind::Opaque),
            Meaning::Part => {}
            Meaning::Password => self.find(Kind::Password),
            Meaning::PasswordLast => self.last = Some(Kind::Word),
            Meaning::Phrase => self.find(Kind::Phrase),
            Meaning::Plural if PAGING.contains(&previous) => {}
            Meaning::Plural => self.find(Kind::Tokens),
            Meaning::Qualifier => self.qualified = true,
            Meaning::Quantity => {
                self.counted = true;
                // `password_min` is a length.
                self.qualified = matches!(word, MIN | MAX);
            }
            Meaning::Rows => self.last = Some(Kind::Rows),
            Meaning::Schema => self.last = Some(Kind::Schema),
            Meaning::Secret if PAGING.contains(&previous) => {}
            Meaning::Secret => self.find(Kind::Token),
            Meaning::Session if self.segments > 1 => self.last = Some(Kind::Opaque),
            Meaning::Session => {}
            Meaning::Single => self.find(Kind::Single),
            Meaning::Content => self.last = Some(Kind::Content),
            Meaning::Value => self.last = Some(Kind::Value),
        }
        if previous != 0
            && let Some((_, _, kind)) = pairs(previous, word)
                .iter()
                .find(|(first, second, _)| *first == previous && *second == word)
        {
            // Two words say more than one: `secret_id`.
            if self.kind != Some(Kind::Password) {
                self.kind = Some(*kind);
            }
            self.qualified = false;
        }
    }

    fn find(&mut self, kind: Kind) {
        // `password_token` is rather a password, and `email_token` a token: the stricter kind stays.
        let rank = |kind| match kind {
            Kind::Password => 2,
            Kind::Token => 1,
            _ => 0,
        };
        if self.kind.is_none_or(|known| rank(kind) >= rank(known)) {
            self.kind = Some(kind);
        }
    }

    fn finish(self) -> Option<Kind> {
        let alone = self.segments == 1;
        match (self.kind, self.last) {
            (
                None,
                last @ Some(
                    Kind::Answer
                    | Kind::Columns
                    | Kind::Content
                    | Kind::Name
                    | Kind::Rows
                    | Kind::Schema
                    | Kind::Value,
                ),
            ) if alone => last,
            (
                kind,
                Some(
                    Kind::Answer
                    | Kind::Columns
                    | Kind::Content
                    | Kind::Name
                    | Kind::Rows
                    | Kind::Schema
                    | Kind::Value,
                ),
            ) if !self.qualified => kind,
            _ if self.qualified => None,
            (Some(Kind::Token), _) if self.counted => Some(Kind::Tokens),
            (kind, last @ Some(Kind::Word)) if kind != Some(Kind::Password) => last,
            (kind, last) => kind.or(last),
        }
    }
}

const KEY: u128 = word("key");
const MIN: u128 = word("min");
const MAX: u128 = word("max");
const KEYS: u128 = word("keys");

/// As [`word`], of at most [`WORD_MAX`] letters of any size.
#[inline]
fn pack(segment: &[u8]) -> u128 {
    let packed = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0, |word, byte| (word << 8) + u64::from(byte | 0x20))
    };
    match segment.split_last_chunk::<8>() {
        Some((high, low)) => (u128::from(packed(high)) << 64) + u128::from(packed(low)),
        None => u128::from(packed(segment)),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Letter {
    Lower,
    Upper,
    /// Between segments; digits too, so that `password2` is a password.
    Other,
}

static LETTERS: [Letter; 256] = {
    let mut kinds = [Letter::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        kinds[byte] = match byte as u8 {
            b'A'..=b'Z' => Letter::Upper,
            b'a'..=b'z' | 0x80.. => Letter::Lower,
            _ => Letter::Other,
        };
        byte += 1;
    }
    kinds
};

/// Sorted by first letter.
static WORDS: [(u128, Meaning); NAMES.len()] = {
    let mut words = [(0, Meaning::Part); NAMES.len()];
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

/// Where in [`WORDS`] those with one first letter stand.
#[derive(Clone, Copy)]
struct Group {
    start: usize,
    end: usize,
}

static GROUPS: [Group; 32] = {
    let mut groups = [Group { start: 0, end: 0 }; 32];
    let mut next = 0;
    let mut letter = 0;
    while letter < 32 {
        groups[letter].start = next;
        let mut at = 0;
        while at < NAMES.len() {
            if (NAMES[at].0.as_bytes()[0] & 31) as usize == letter {
                next += 1;
            }
            at += 1;
        }
        groups[letter].end = next;
        letter += 1;
    }
    groups
};

/// Those of [`PAIRS`] that the two words may be one of.
fn pairs(first: u128, second: u128) -> &'static [(u128, u128, Kind)] {
    let group = PAIR_GROUPS[bucket(first, second)];
    &SORTED_PAIRS[group.start..group.end]
}

/// Spreads pairs of words over [`PAIR_GROUPS`], by the last letters of both.
const fn bucket(first: u128, second: u128) -> usize {
    let spread = (first as u64)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(second as u64)
        .wrapping_mul(0xd6e8_feb8_6659_fd93);
    spread.to_be_bytes()[0] as usize
}

/// By [`bucket`].
static SORTED_PAIRS: [(u128, u128, Kind); PAIRS.len()] = {
    let mut sorted = [PAIRS[0]; PAIRS.len()];
    let mut next = 0;
    let mut group = 0;
    while group < 256 {
        let mut at = 0;
        while at < PAIRS.len() {
            if bucket(PAIRS[at].0, PAIRS[at].1) == group {
                sorted[next] = PAIRS[at];
                next += 1;
            }
            at += 1;
        }
        group += 1;
    }
    sorted
};

/// Where in [`SORTED_PAIRS`] those of one bucket stand.
static PAIR_GROUPS: [Group; 256] = {
    let mut groups = [Group { start: 0, end: 0 }; 256];
    let mut next = 0;
    let mut group = 0;
    while group < 256 {
        groups[group].start = next;
        let mut at = 0;
        while at < PAIRS.len() {
            if bucket(PAIRS[at].0, PAIRS[at].1) == group {
                next += 1;
            }
            at += 1;
        }
        groups[group].end = next;
        group += 1;
    }
    groups
};

/// The lengths of the words with the same [`ends`], one bit for each.
#[derive(Clone, Copy)]
struct Lengths {
    lengths: u32,
    /// Those of the words that say something standing alone.
    alone: u32,
}

static ENDS: [Lengths; 256] = {
    let mut all = [Lengths {
        lengths: 0,
        alone: 0,
    }; 256];
    let mut at = 0;
    while at < NAMES.len() {
        let name = NAMES[at].0.as_bytes();
        if let Some(ends) = ends(name) {
            all[ends].lengths |= 1 << name.len();
            if !matches!(
                NAMES[at].1,
                Meaning::About
                    | Meaning::Part
                    | Meaning::Qualifier
                    | Meaning::Quantity
                    | Meaning::Session
            ) {
                all[ends].alone |= 1 << name.len();
            }
        }
        at += 1;
    }
    all
};

/// The first and the last letter, of any size, as one byte; `None` for an empty name.
#[inline]
const fn ends(name: &[u8]) -> Option<usize> {
    match (name.first(), name.last()) {
        (Some(first), Some(last)) => Some(((*first << 3) ^ (*last & 31)) as usize),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The look at first and last letter and length lets no word through that the whole look would find.
    // REQ: L-2
    #[test]
    fn single_words() {
        for (name, meaning) in NAMES {
            let mut state = State {
                segments: 1,
                ..State::default()
            };
            state.look_up(
                name.as_bytes(),
                &GROUPS[usize::from(name.as_bytes()[0] & 31)],
            );
            let kind = state.finish();
            assert_eq!(
                classify(name.to_ascii_uppercase().as_bytes()),
                kind,
                "{name}"
            );
            assert_eq!(classify_word(name.as_bytes()), kind, "{name}");
            assert_eq!(classify(name.as_bytes()), kind, "{name}");
            let says = !matches!(
                meaning,
                Meaning::About
                    | Meaning::Part
                    | Meaning::Quantity
                    | Meaning::Qualifier
                    | Meaning::Session
            );
            assert_eq!(kind.is_some(), says, "{name}");
        }
        assert_eq!(classify_word(b""), None);
        assert_eq!(classify_word(&[b't'; 40]), None);
    }

    // REQ: L-2
    #[test]
    fn pairs_are_found() {
        for pair in PAIRS {
            let (first, second, kind) = *pair;
            let found = pairs(first, second);
            assert_eq!(found.iter().filter(|known| *known == pair).count(), 1);
            assert!(found.len() < 12);
            let mut name = Vec::new();
            for word in [first, second] {
                name.extend(word.to_be_bytes().into_iter().filter(|letter| *letter != 0));
                name.push(b'_');
            }
            if classify(&name).is_none_or(|known| known != kind) {
                // A stricter word may be among them.
                assert!(
                    matches!(
                        classify(&name),
                        Some(
                            Kind::Password | Kind::Token | Kind::Columns | Kind::Name | Kind::Value
                        )
                    ),
                    "{}",
                    String::from_utf8_lossy(&name)
                );
            }
        }
    }

    // REQ: L-2
    #[test]
    fn names() {
        for (kind, names) in [
            (
                Kind::Token,
                "token accessToken access_token ACCESS_TOKEN X-Auth-Token githubToken2 JWTToken authorization \
                 Proxy-Authorization apiKey api_key APIKey x-api-key apikey aws.secret_access_key clientSecret Set-Cookie \
                 session_id credentials githubtoken mysecret gh_token Private-Token Ocp-Apim-Subscription-Key DD-API-KEY \
                 DD-APPLICATION-KEY dbCredentials refreshToken id_token_hint code_verifier email_token storageKey \
                 JSESSIONID x-amz-security-token SharedAccessKey service_role_key token_value",
            ),
            (
                Kind::Password,
                "password userPassword PASSWORD db.password password_hash passwd dbpassword rootpasswd userpass dbpassphrase \
                 mot_de_passe contraseña CONTRASEÑA Passwort hasło şifre пароль 用户密码 パスワード ｐａｓｓｗｏｒｄ pass\u{200b}word pаssword \
                 p\u{301}assword security_answer seed_phrase cvv password_value token_password passcode2 seedPhrase",
            ),
            (
                Kind::Tokens,
                "tokens max_tokens maxToken input_token total-tokens TOKENS",
            ),
            (Kind::Word, "pass pwd db_pass smtpPass OLD_PWD pw"),
            (
                Kind::Email,
                "email e-mail contactEmail user_email email_address mail",
            ),
            (
                Kind::Digits(4),
                "pin pin_code otp otp_code mfaCode verification_code",
            ),
            (
                Kind::Digits(5),
                "ssn userSSN cardNumber credit_card phone phoneNumber mobile cell passport_number tax_id social_security_number",
            ),
            (Kind::Opaque, "auth x-auth pat _auth secret_id"),
            (Kind::Name, "name key field selector Element label id type"),
            (Kind::Value, "value text val"),
            (Kind::Schema, "properties"),
        ] {
            for name in names.split_whitespace() {
                let kind = match name {
                    "mot_de_passe" | "e-mail" => continue,
                    _ => kind,
                };
                assert_eq!(classify(name.as_bytes()), Some(kind), "{name}");
            }
        }
        for name in "_ tokenizer tokenize author keyboard passenger compass bypass keywords monkey secretary emailed pinned spin \
             token_count tokenType password_policy passwordRequired token_endpoint email_verified token_expires_in secret_name \
             nextPageToken next_token progressToken accession session primaryKey number code card \
             a_very_long_segmentwithoutanyend_x tokenAddress token_symbol tokenId secretName secretRef secret_arn password_policy_url \
             pageToken nextpagetoken continuationToken eosToken publicKey public_key partition_key sort_key cache_key idempotency_key \
             api_key_env ssh_key_path passthrough pass_through pass_rate auth_type authUrl key_name api_key_header \
             email_template password_selector tokens_per_second cookie_policy cookieConsent broken betoken sectoken_kind жить"
            .split_whitespace()
        {
            assert_eq!(classify(name.as_bytes()), None, "{name}");
        }
        assert_eq!(classify(b""), None);
        assert_eq!(classify(b"API Key"), Some(Kind::Token));
        assert_eq!(classify(b"Credit Card Number"), Some(Kind::Digits(5)));
        assert_eq!(classify("\u{e9}".repeat(300).as_bytes()), None);
        assert_eq!(classify(b"\xff"), None);
    }
}

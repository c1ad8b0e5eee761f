//! What the shape of a text gives away, whatever key it stands under.
//!
//! The scan looks twice only where something can begin: at the first letter of a word, at a digit, and at
//! `@`, `=`, `:`, `-`. Every look back is bounded and every look ahead that finds nothing is bounded or
//! remembered, so the time is linear in the text, whoever wrote it.

mod address;
mod ahead;
mod classes;
mod embed;
pub(crate) mod flag;
mod ids;
mod member;
mod number;
mod pair;
mod pem;
mod person;
mod prose;
mod scheme;
mod shell;
mod token;
mod value;

use super::keys::mask_length;
use super::policy::Masker;
use super::{Aim, Finding, Mask};
use crate::survey::Survey;
use address::{bare_userinfo, email, encoded, thin, userinfo};
use classes::{BASE64, CLASSES, MARK, STARTS, URL_SAFE, WORD, run, run_back, run_within};
use embed::Given;
use flag::Commands;
use member::{assignment, element, member};
use number::{may_be_number, number};
use pem::private_key;
use scheme::scheme;
use token::{Runs, may_begin, numbered, token};

pub(crate) use ahead::convinces;
pub(crate) use number::is_card;
pub(crate) use scheme::credential;

/// Finds secrets in a text, from left to right, none overlapping.
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// The end of the last finding: nothing before is looked at again.
    floor: usize,
    /// Up to here a run of base64url letters is known to be no JWT.
    no_jwt: usize,
    /// Before this no bot of Discord begins.
    no_discord: usize,
    /// Behind an AWS key id its secret may stand: up to here.
    aws: usize,
    aim: Aim,
    masker: &'a Masker,
    nest: u8,
    given: Given,
    commands: Commands,
    runs: Runs,
    /// What was found ahead of `at`, the last one first.
    ahead: Vec<Finding>,
    /// Found behind something that was found ahead.
    held: Option<Finding>,
    /// Found behind words that say what it is; what stands between is looked at first.
    waiting: [Option<Finding>; 2],
    /// Where the first of them begins.
    due: usize,
    /// The end of what was told.
    told: usize,
    /// Up to here no `INSERT` begins that was not looked at.
    looked: usize,
    /// Up to here lines were looked through for what a command keeps.
    kept: usize,
    /// Where the last here-string began that was looked at.
    here: usize,
}

impl<'a> Scanner<'a> {
    /// Findings begin and end between characters, so that valid UTF-8 stays so around them.
    pub(crate) fn new(text: &'a [u8], aim: Aim, masker: &'a Masker) -> Self {
        let mut scanner = Self::surveyed(text, aim, masker);
        if !may_hold(text) {
            scanner.at = text.len();
        }
        scanner
    }

    /// Without the look whether there could be anything.
    pub(crate) fn surveyed(text: &'a [u8], aim: Aim, masker: &'a Masker) -> Self {
        Self {
            text,
            at: 0,
            floor: 0,
            no_jwt: 0,
            no_discord: 0,
            aws: 0,
            aim,
            masker,
            nest: 0,
            given: Given::default(),
            commands: Commands::default(),
            runs: Runs::default(),
            ahead: Vec::new(),
            held: None,
            waiting: [None; 2],
            due: usize::MAX,
            told: 0,
            looked: 0,
            kept: 0,
            here: 0,
        }
    }

    /// Of a text that stands in JSON that stands in a text, and so on.
    pub(crate) fn nested(mut self, nest: u8) -> Self {
        self.nest = nest;
        self
    }

    /// With what only a look at the whole text finds.
    pub(crate) fn prepared(mut self) -> Self {
        self.ahead = ahead::plan(self.text, self.aim, self.masker, self.nest);
        self
    }

    /// The bytes of [`Mask::Given`].
    pub(crate) fn given(&self, from: usize, to: usize) -> &[u8] {
        self.given.bytes(from, to)
    }

    #[inline]
    fn look_at_word(&mut self, first: u8) -> Option<Finding> {
        let (text, at) = (self.text, self.at);
        if first.is_ascii_digit() {
            // `12`, `1.234.`, `1 23 `
            let digits = |from: usize, to: usize| {
                text.get(from..to)
                    .is_some_and(|group| group.iter().all(u8::is_ascii_digit))
            };
            if first <= b'2'
                && let Some(finding) = numbered(text, at)
            {
                return Some(finding);
            }
            let grouped = match text.get(at + 1) {
                Some(b'0'..=b'9') => true,
                Some(b'.') => digits(at + 2, at + 5),
                Some(b' ') => digits(at + 2, at + 4),
                _ => false,
            };
            if self.aim == Aim::Secrets || !grouped {
                return None;
            }
            return self.look_at_digits();
        }
        let second = *text.get(at + 1)?;
        if second >= 0x80 {
            return None;
        }
        let third = text.get(at + 2).copied().unwrap_or_default();
        if may_begin(first, second, third)
            && let Some(finding) = self.look_at_prefix(first)
        {
            return Some(finding);
        }
        if !first.is_ascii_uppercase() {
            return None;
        }
        if matches!(first, b'M' | b'N' | b'O')
            && at >= self.no_discord
            && let Some(finding) = self.discord(at)
        {
            return Some(finding);
        }
        // Of the numbers that begin with letters all have a digit among the first seven signs.
        let head = &text[at..text.len().min(at + 7)];
        if self.aim == Aim::All
            && head[1..].iter().any(u8::is_ascii_digit)
            && head[1..]
                .iter()
                .all(|byte| byte.is_ascii_uppercase() || !byte.is_ascii_alphabetic())
        {
            return ids::id(text, at);
        }
        None
    }

    #[inline(never)]
    fn look_at_digits(&mut self) -> Option<Finding> {
        let (text, at) = (self.text, self.at);
        let found = if may_be_number(&text[at..]) {
            number(text, at)
        } else {
            None
        };
        found.or_else(|| ids::id(text, at))
    }

    #[inline(never)]
    fn look_at_prefix(&mut self, first: u8) -> Option<Finding> {
        let (text, at) = (self.text, self.at);
        let end = run_within(text, at, WORD, 32);
        let after = text.get(end).copied();
        let found = match first.to_ascii_lowercase() {
            b'e' => self.jwt(at),
            b'a' | b'b' | b's' | b't' if after == Some(b' ') => scheme(text, at),
            _ => None,
        };
        if let Some(found) = found.or_else(|| token(text, at, &mut self.runs)) {
            return Some(self.with_its_id(found));
        }
        // What was redacted before is not redacted again.
        self.named_by(first, end).filter(|finding| {
            memchr::memmem::find(&text[finding.start..finding.end], b"[REDACTED").is_none()
        })
    }

    /// What the words of a sentence, a command or a program say of what comes behind them; `end` is that of the word.
    fn named_by(&mut self, first: u8, end: usize) -> Option<Finding> {
        let (text, at) = (self.text, self.at);
        // What they speak of stands behind a space or a bracket, or the word goes on behind a sign.
        let after = *text.get(end)?;
        if !matches!(
            after,
            b' ' | b'\t' | b'(' | b'_' | b'-' | b':' | b'\n' | 0xc3
        ) {
            return None;
        }
        if prose::LENGTHS[usize::from(first & 31)] & 1 << ((end - at) & 31) == 0 {
            return None;
        }
        let found = match (after, first) {
            (b':', b't') => return thin(text, at),
            (b':', b'm' | b'M') => return prose::announced(text, at),
            (b':', b'c' | b'C') => {
                return prose::announced(text, at).or_else(|| pair::announced(text, at));
            }
            // `login:`, `pass:`
            (b':', b'l' | b'L' | b'p') if end - at <= 5 => return pair::announced(text, at),
            // A name that has a sign.
            (b':', _) => return None,
            (b'(', b'p' | b'P') => prose::announced(text, at).or_else(|| prose::called(text, at)),
            (b'(' | b'_', _) => prose::called(text, at),
            (_, b'e' | b'E') => prose::announced(text, at).or_else(|| shell::piped(text, at)),
            (_, b'p') => prose::announced(text, at)
                .or_else(|| shell::piped(text, at))
                .or_else(|| pair::announced(text, at)),
            (_, b'c' | b'C' | b'l' | b'L' | b's' | b'S') => {
                prose::announced(text, at).or_else(|| pair::announced(text, at))
            }
            (_, b'i' | b'I') => prose::announced(text, at).or_else(|| self.insert(at)),
            (_, b'A') => prose::announced(text, at).or_else(|| shell::auth(text, at)),
            _ => prose::announced(text, at),
        };
        if after == b'(' {
            return found;
        }
        if found.is_none() && at >= self.kept && shell::keeps(&text[at..end]) {
            return self.keep(at, end).or_else(|| shell::placed(text, at));
        }
        found.or_else(|| shell::placed(text, at))
    }

    /// A token of Terraform begins with an id: `xxxxxxxxxxxxxx.atlasv1.…`
    fn with_its_id(&self, mut finding: Finding) -> Finding {
        let text = self.text;
        if text[finding.start..].starts_with(b"atlasv1.") && text[..finding.start].ends_with(b".") {
            let end = finding.start - 1;
            let lowest = self.floor.max(end.saturating_sub(20));
            finding.start = run_back(text, lowest, end.max(lowest), WORD);
        }
        finding
    }

    /// The neighbours say first whether a mark is worth a look: hyphens in dates, colons in times are not.
    #[inline]
    fn look_at_mark(&mut self, mark: u8) -> Option<Finding> {
        let (text, at) = (self.text, self.at);
        let before = at.checked_sub(1).map_or(b' ', |at| text[at]);
        let after = text.get(at + 1).copied().unwrap_or_default();
        match mark {
            // Nothing before it, nothing to find.
            b'@' if matches!(before, b' ' | b'@') => None,
            b'@' => self.look_at_sign(),
            b'=' => assignment(text, self.floor, at, 1),
            b':' if at == self.floor && at > 0 && after > b' ' => {
                behind_address(text, at).or_else(|| member(text, self.floor, at))
            }
            b':' if before == b'p' && at >= 3 && text[at - 3..].starts_with(b" /p") => {
                rdp(text, at)
            }
            b':' if after == b'/' => userinfo(text, at).or_else(|| member(text, self.floor, at)),
            // Neither a time of day nor a port has a key before its colon.
            b':' if before.is_ascii_digit() => match after {
                b'A' => telegram(text, self.floor, at),
                b'0'..=b'9' => None,
                _ => member(text, self.floor, at),
            },
            b':' if after != b':' => {
                let found = member(text, self.floor, at);
                if found.is_none() && (after.is_ascii_digit() || after == b'*') {
                    return pgpass(text, at);
                }
                found
            }
            b'-' if after == b'-' && text.get(at + 2) == Some(&b'-') => private_key(text, at),
            b'-' if after.is_ascii_alphanumeric() || after == b'-' => {
                self.look_at_hyphen(before, after)
            }
            // GitHub's prefixes are telling enough to be seen inside a word.
            b'_' if matches!(before, b'o' | b'p' | b'r' | b's' | b'u') => self.github(),
            b'~' if before == b'Q' => azure(text, self.floor, at),
            b'%' => match (after, text.get(at + 2)?) {
                (b'4', b'0') if self.aim == Aim::All => email(text, self.floor, at, 3),
                (b'3', b'A' | b'a') | (b'2', b'5') => encoded(text, at),
                (b'3', b'D' | b'd') => assignment(text, self.floor, at, 3),
                _ => None,
            },
            b'<' if after.is_ascii_alphabetic() => element(text, at),
            b'<' if before != b'<' && text[at..].starts_with(b"<<<") => {
                let floor = self.floor.max(self.here);
                self.here = at;
                shell::here(text, floor, at)
            }
            b'{' | b'[' => self.look_at_json(),
            b'$' if after.is_ascii_alphanumeric() => crypt(text, at),
            _ => None,
        }
    }

    fn look_at_sign(&mut self) -> Option<Finding> {
        let (text, at) = (self.text, self.at);
        let address = if self.aim == Aim::All {
            email(text, self.floor, at, 1)
        } else {
            None
        };
        address.or_else(|| bare_userinfo(text, self.floor, at))
    }

    fn look_at_hyphen(&mut self, before: u8, after: u8) -> Option<Finding> {
        let (text, at) = (self.text, self.at);
        match before {
            b' ' | b'"' | b'\'' | b'`' | b'(' | b'[' | b'\n' | b'\t' | b'=' | b',' => {
                flag::flag(text, at, &mut self.commands)
            }
            // Mailchimp: 32 hexadecimal digits and a data centre.
            b'0'..=b'9' | b'a'..=b'f' if after == b'u' && text.get(at + 2) == Some(&b's') => {
                let start = run_back(
                    text,
                    self.floor.max(at.saturating_sub(33)),
                    at,
                    classes::HEX,
                );
                let end = run_within(text, at + 3, classes::DIGIT, 3);
                let whole = start == 0 || CLASSES[usize::from(text[start - 1])] & WORD == 0;
                (at - start == 32 && end > at + 3 && whole).then_some(Finding {
                    start,
                    end,
                    mask: Mask::Fingerprint,
                })
            }
            _ => None,
        }
    }

    #[inline(never)]
    fn github(&mut self) -> Option<Finding> {
        let at = self.at.checked_sub(3).filter(|at| *at >= self.floor)?;
        if self.text[at..].starts_with(b"gh") {
            token(self.text, at, &mut self.runs)
        } else {
            None
        }
    }

    /// JSON within the text: its secrets one after the other.
    #[inline(never)]
    fn look_at_json(&mut self) -> Option<Finding> {
        self.given.read(self.text, self.at, self.nest, self.masker);
        self.given.take()
    }

    /// The secret of an AWS key behind its id: forty letters of base64.
    fn aws_secret(&self, at: usize) -> Option<Finding> {
        let text = self.text;
        let end = run_within(text, at, BASE64, 48);
        let secret = &text[at..end];
        let any = |class: fn(&u8) -> bool| secret.iter().any(class);
        (secret.len() == 40 && any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase))
            .then_some(Finding {
                start: at,
                end,
                mask: Mask::Fingerprint,
            })
    }

    /// Three parts of base64url, the first a JSON object (`{"` is `eyJ`), RFC 7519; five for a JWE.
    fn jwt(&mut self, at: usize) -> Option<Finding> {
        let text = self.text;
        if at < self.no_jwt || !text[at..].starts_with(b"eyJ") {
            return None;
        }
        let header = run(text, at, URL_SAFE);
        if header - at < 10 || text.get(header) != Some(&b'.') {
            self.no_jwt = header;
            return None;
        }
        let mut end = run(text, header + 1, URL_SAFE);
        // The second part of a JWE with a key agreed on directly is empty.
        let direct = end == header + 1 && text.get(end) == Some(&b'.');
        if end - header < 8 && !direct {
            self.no_jwt = header;
            return None;
        }
        for _ in 0..3 {
            if text.get(end) != Some(&b'.') {
                break;
            }
            let part = run(text, end + 1, URL_SAFE);
            if part == end + 1 {
                break;
            }
            end = part;
        }
        Some(Finding {
            start: at,
            end,
            mask: Mask::Fingerprint,
        })
    }
}

impl Scanner<'_> {
    /// A bot of Discord: its id in base64, a time, a signature.
    fn discord(&mut self, at: usize) -> Option<Finding> {
        let text = self.text;
        let id = run(text, at, URL_SAFE);
        if id - at > 30 {
            // What begins in the same run before this is as much too long.
            self.no_discord = id - 30;
            return None;
        }
        let time = run_within(text, id + 1, URL_SAFE, 9);
        let parts = id - at >= 23
            && text.get(id) == Some(&b'.')
            && (6..=8).contains(&time.saturating_sub(id + 1))
            && text.get(time) == Some(&b'.');
        if !parts {
            return None;
        }
        let end = run(text, time + 1, URL_SAFE);
        (end >= time + 26).then_some(Finding {
            start: at,
            end,
            mask: Mask::Fingerprint,
        })
    }

    /// The next one, of those that were found ahead and those that are found on the way; where they overlap, one of both.
    pub(crate) fn next(&mut self) -> Option<Finding> {
        let mut found = self.held.take().or_else(|| self.look());
        while let Some(other) = found
            && other.start < self.told
        {
            found = if other.end > self.told {
                Some(Finding {
                    start: self.told,
                    ..other
                })
            } else {
                self.look()
            };
        }
        while let Some(mut planned) = self.ahead.pop() {
            if planned.end <= self.told {
                continue;
            }
            planned.start = planned.start.max(self.told);
            match found {
                Some(other) if other.start <= planned.start => {
                    self.ahead.push(planned);
                    break;
                }
                Some(other) if other.start < planned.end => {
                    planned.end = planned.end.max(other.end)
                }
                _ => self.held = found,
            }
            self.told = planned.end;
            return Some(planned);
        }
        if let Some(found) = found {
            self.told = found.end;
        }
        found
    }

    #[inline(never)]
    fn insert(&mut self, at: usize) -> Option<Finding> {
        if at >= self.looked
            && let Some((end, found)) = ahead::insert(self.text, at)
        {
            self.looked = end;
            return self.look_forward(end, found);
        }
        None
    }

    /// What is kept under the names of secrets in the line that begins with the command `at..end`.
    #[inline(never)]
    fn keep(&mut self, at: usize, end: usize) -> Option<Finding> {
        let (behind, found) = shell::kept(self.text, at, end);
        self.kept = behind;
        self.look_forward(behind, found)
    }

    /// The first of what was found ahead, all of it before `end` and the last one first; the others are kept in mind. Since
    /// the first is told before the scan goes on, few of them are at any time, and the time is linear.
    fn look_forward(&mut self, end: usize, mut found: Vec<Finding>) -> Option<Finding> {
        let first = found.pop()?;
        while let Some(known) = self.ahead.pop_if(|known| known.start < end) {
            found.push(known);
        }
        // The last one first.
        found.sort_by_key(|finding| std::cmp::Reverse(finding.start));
        self.ahead.extend(found);
        Some(first)
    }

    fn look(&mut self) -> Option<Finding> {
        if let Some(finding) = self.given.take() {
            return Some(self.found(finding));
        }
        let text = self.text;
        let mut at = self.at.max(self.given.end());
        while let Some(&byte) = text.get(at) {
            if at >= self.due
                && let Some(finding) = self.take_due()
            {
                return Some(self.found(finding));
            }
            let class = CLASSES[usize::from(byte)];
            if class & (STARTS | MARK) != 0 || at < self.aws && class & BASE64 != 0 {
                self.at = at;
                let mut finding = if at < self.aws {
                    self.aws_secret(at)
                } else {
                    None
                };
                if finding.is_none() {
                    finding = if class & MARK != 0 {
                        self.look_at_mark(byte)
                    } else {
                        self.look_at_word(byte)
                    };
                }
                // What was redacted stays as it is.
                if let Some(finding) = finding
                    && (matches!(finding.mask, Mask::Given(..))
                        || mask_length(&text[finding.start..]).is_none())
                {
                    if finding.start <= at || matches!(finding.mask, Mask::Given(..)) {
                        return Some(self.found(finding));
                    }
                    self.wait(finding);
                }
                // JSON without secrets is done with.
                if self.given.end() > at {
                    at = self.given.end();
                    continue;
                }
            }
            at += 1;
            if class & WORD != 0 {
                while text
                    .get(at)
                    .is_some_and(|byte| CLASSES[usize::from(*byte)] & WORD != 0)
                {
                    at += 1;
                }
            }
        }
        self.at = at;
        self.take_due().map(|finding| self.found(finding))
    }

    /// Puts a finding off until what stands before it has been looked at.
    fn wait(&mut self, finding: Finding) {
        let mut free = None;
        for slot in &mut self.waiting {
            match slot {
                None => free = Some(slot),
                Some(known) if known.start < finding.end && finding.start < known.end => {
                    // Where one reaches further than the other, what both are goes.
                    if finding.start < known.start || finding.end > known.end {
                        known.start = known.start.min(finding.start);
                        known.end = known.end.max(finding.end);
                        known.mask = Mask::Plain;
                    }
                    self.due = self.due.min(finding.start);
                    return;
                }
                Some(_) => {}
            }
        }
        self.due = self.due.min(finding.start);
        if let Some(free) = free {
            *free = Some(finding);
        } else if let [Some(known), _] = &mut self.waiting {
            // No room: what lies between them goes, too.
            known.start = known.start.min(finding.start);
            known.end = known.end.max(finding.end);
            known.mask = Mask::Plain;
        }
    }

    /// The first of those that wait; what is left of it.
    fn take_due(&mut self) -> Option<Finding> {
        let floor = self.floor;
        loop {
            let [first, second] = &mut self.waiting;
            let start = |slot: &Option<Finding>| slot.map_or(usize::MAX, |finding| finding.start);
            let (slot, other) = if start(first) <= start(second) {
                (first, start(second))
            } else {
                (second, start(first))
            };
            self.due = other;
            let mut finding = slot.take()?;
            finding.start = finding.start.max(floor);
            if finding.start < finding.end && mask_length(&self.text[finding.start..]).is_none() {
                return Some(finding);
            }
        }
    }

    fn found(&mut self, mut finding: Finding) -> Finding {
        let found = &self.text[finding.start..finding.end];
        // Hyphens run on from a token into a private key behind it, which would then go unseen.
        if found.ends_with(b"-----BEGIN") {
            finding.end -= 10;
        }
        if found.len() == 20 && matches!(found, [b'A', b'K' | b'S', b'I', b'A', ..]) {
            self.aws = finding.end + 64;
        }
        self.at = finding.end.max(self.at + 1);
        self.floor = finding.end;
        finding
    }
}

/// `123456789:AA…`, a bot of Telegram.
fn telegram(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    let start = run_back(text, floor.max(at.saturating_sub(12)), at, classes::DIGIT);
    if at - start < 6 {
        return None;
    }
    let end = run_within(text, at + 1, URL_SAFE, 64);
    (end - at > 33).then_some(Finding {
        start,
        end,
        mask: Mask::Fingerprint,
    })
}

/// `bob@example.org:…`, an address that was found, and a password.
fn behind_address(text: &[u8], at: usize) -> Option<Finding> {
    let address = &text[at.saturating_sub(64)..at];
    let sign = memchr::memrchr(b'@', address)?;
    let end = run_within(text, at + 1, classes::VALUE, 64);
    let secret = &text[at + 1..end];
    (prose::strong(secret) && !address[sign..].contains(&b' ')).then_some(Finding {
        start: at + 1,
        end,
        mask: Mask::Plain,
    })
}

/// `xfreerdp /u:bob /p:…`
fn rdp(text: &[u8], at: usize) -> Option<Finding> {
    let line = &text[at.saturating_sub(96)..at];
    memchr::memmem::find(line, b"rdp ")?;
    let start = at + 1 + usize::from(matches!(text.get(at + 1), Some(b'"' | b'\'')));
    // The quote that it stands in, or the whole command.
    let end = run_within(text, start, classes::VISIBLE, 128);
    let end = end - usize::from(matches!(text[end - 1], b'"' | b'\''));
    (end > start && mask_length(&text[start..]).is_none()).then_some(Finding {
        start,
        end,
        mask: Mask::Plain,
    })
}

/// `host:5432:database:user:password`, a line of `.pgpass`; `at` is the first colon.
fn pgpass(text: &[u8], at: usize) -> Option<Finding> {
    // The host is the first of its line.
    let host = run_back(text, at.saturating_sub(96), at, classes::KEY);
    let first = matches!(
        text[..host].last(),
        None | Some(b'\n' | b'"' | b'\'' | b'`' | b'*' | b' ')
    );
    if !first || host == at && text[..at].last() != Some(&b'*') {
        return None;
    }
    let mut from = at + 1;
    for part in 0..3 {
        let end = from
            + text[from..]
                .iter()
                .take(64)
                .position(|byte| *byte == b':')?;
        let field = &text[from..end];
        let fits = match part {
            0 => {
                field == b"*"
                    || (4..=5).contains(&field.len()) && field.iter().all(u8::is_ascii_digit)
            }
            _ => {
                field == b"*"
                    || field.first().is_some_and(u8::is_ascii_alphabetic)
                        && field
                            .iter()
                            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(byte))
            }
        };
        if !fits {
            return None;
        }
        from = end + 1;
    }
    let end = run_within(text, from, classes::VISIBLE, 128);
    let line = matches!(text.get(end), None | Some(b'\n' | b'\r'));
    (line && end >= from + 4 && mask_length(&text[from..]).is_none()).then_some(Finding {
        start: from,
        end,
        mask: Mask::Plain,
    })
}

/// `$6$salt$…`, `$2b$12$…`, `$argon2id$v=19$…`: the hash of a password, as crypt(5) and PHC strings have it.
fn crypt(text: &[u8], at: usize) -> Option<Finding> {
    let name = run_within(text, at + 1, URL_SAFE, 16);
    if text.get(name) != Some(&b'$') || !CRYPT.contains(&&text[at + 1..name]) {
        return None;
    }
    let rest = &text[name..];
    let letter = |byte: &&u8| byte.is_ascii_alphanumeric() || b"./$=,+-_".contains(byte);
    let length = rest.iter().take(512).take_while(letter).count();
    let hash = &rest[..length];
    let hash = hash
        .strip_suffix(b",")
        .or_else(|| hash.strip_suffix(b"."))
        .unwrap_or(hash);
    (hash.len() >= 12).then_some(Finding {
        start: at,
        end: name + hash.len(),
        mask: Mask::Plain,
    })
}

/// The names that hashes of passwords begin with.
const CRYPT: [&[u8]; 20] = [
    b"1",
    b"2",
    b"2a",
    b"2b",
    b"2x",
    b"2y",
    b"5",
    b"6",
    b"7",
    b"y",
    b"gy",
    b"apr1",
    b"md5",
    b"sha1",
    b"scrypt",
    b"argon2i",
    b"argon2d",
    b"argon2id",
    b"pbkdf2-sha256",
    b"pbkdf2-sha512",
];

/// A client secret of Entra: `xxx8Q~` and 34 letters.
fn azure(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    let start = at.checked_sub(5).filter(|start| *start >= floor)?;
    let head = &text[start..at - 1];
    if !head[3].is_ascii_digit() {
        return None;
    }
    let letters = head[..3]
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_~.-".contains(byte));
    let end = run_within(text, at + 1, classes::TOKEN68, 48);
    (letters && end - at >= 31).then_some(Finding {
        start,
        end,
        mask: Mask::Fingerprint,
    })
}

/// Whether a scan could find anything: the one look that nearly every string gets.
#[inline]
pub(crate) fn may_hold(text: &[u8]) -> bool {
    let marks = text
        .iter()
        .fold(0, |marks, byte| marks | MARKS[usize::from(*byte)]);
    if text.len() < SHORTEST_PLAIN {
        return marks & PAIRED != 0;
    }
    marks != 0 || names_scheme(text)
}

/// Whether a text that is one word, of letters and digits only, gives something away.
pub(crate) fn is_telling_word(word: &[u8], aim: Aim) -> bool {
    word.first().is_some_and(|first| {
        CLASSES[usize::from(*first)] & STARTS != 0
            && Scanner::surveyed(word, aim, &Masker::PLAIN)
                .look_at_word(*first)
                .is_some()
    })
}

/// As [`may_hold`], of a text whose survey reached its end.
#[inline]
pub(crate) fn may_hold_surveyed(text: &[u8], survey: Survey) -> bool {
    if survey.telling {
        text.len() >= SHORTEST_PLAIN || may_hold(text)
    } else {
        names_scheme(text)
    }
}

/// Words of small letters and none of [`MARKS`] can be a secret only behind `bearer` or `basic`, or if they are said to be
/// a password.
#[inline]
fn names_scheme(text: &[u8]) -> bool {
    text.len() > SHORTEST_PLAIN
        && (scheme::may_be_named(text) && scheme::is_named(text)
            || prose::may_be_said(text) && prose::is_said(text))
}

/// What is known by `@`, `=` or `:`; a mark of [`MARKS`].
const PAIRED: u8 = 1;
/// What any other finding has at least one of.
const TELLING: u8 = 2;

static MARKS: [u8; 256] = {
    let mut marks = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        marks[byte] = match byte as u8 {
            b'@' | b'=' | b':' => PAIRED,
            b'-' | b'_' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'\n' => TELLING,
            // Digits and letters that look like those.
            0xd9 | 0xdb | 0xe0 | 0xef => TELLING,
            _ => 0,
        };
        byte += 1;
    }
    marks
};

/// The shortest finding without one of [`PAIRED`]: `pin 1234`.
const SHORTEST_PLAIN: usize = 8;

#[cfg(test)]
mod tests;

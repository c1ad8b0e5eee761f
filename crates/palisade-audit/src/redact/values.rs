//! What the shape of a text gives away, whatever key it stands under.
//!
//! The scan looks twice only where something can begin: at the first letter of a word, at a digit, and at
//! `@`, `=`, `:`, `-`. Every look back is bounded and every look ahead that finds nothing is bounded or
//! remembered, so the time is linear in the text, whoever wrote it.

use super::keys::{self, Rule};
use super::{Aim, Finding, Mask};

/// Finds secrets in a text, from left to right, none overlapping.
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// The end of the last finding: nothing before is looked at again.
    floor: usize,
    /// Up to here a run of base64url letters is known to be no JWT.
    no_jwt: usize,
    aim: Aim,
}

impl<'a> Scanner<'a> {
    /// Findings begin and end at ASCII bytes, so that valid UTF-8 stays so around them.
    pub(crate) fn new(text: &'a [u8], aim: Aim) -> Self {
        let at = if may_hold(text) { 0 } else { text.len() };
        Self::surveyed(text, at, aim)
    }

    /// From `at` on, without the look whether there could be anything.
    pub(crate) fn surveyed(text: &'a [u8], at: usize, aim: Aim) -> Self {
        Self {
            text,
            at,
            floor: 0,
            no_jwt: 0,
            aim,
        }
    }

    fn look_at_word(&mut self) -> Option<Finding> {
        let (text, at) = (self.text, self.at);
        let first = text[at];
        if first.is_ascii_digit() {
            return if self.aim == Aim::All && may_be_number(&text[at..]) {
                number(text, at)
            } else {
                None
            };
        }
        let second = *text.get(at + 1)?;
        if second >= 0x80 || SECONDS[usize::from(first)] & 1 << second == 0 {
            return None;
        }
        match first {
            b'b' | b'B' => scheme(text, at),
            b'e' => self.jwt(at),
            _ => None,
        }
        .or_else(|| token(text, at))
    }

    /// The neighbours say first whether a mark is worth a look: hyphens in dates, colons in times are not.
    #[inline]
    fn look_at_mark(&mut self, mark: u8) -> Option<Finding> {
        let (text, at) = (self.text, self.at);
        let before = at.checked_sub(1).map_or(0, |at| text[at]);
        let after = text.get(at + 1).copied().unwrap_or_default();
        match mark {
            b'@' if self.aim == Aim::All => email(text, self.floor, at),
            b'=' => assignment(text, self.floor, at),
            b':' if after == b'/' => userinfo(text, at),
            // Neither a time of day nor a port has a key before its colon.
            b':' if before.is_ascii_alphabetic() || matches!(before, b'"' | b'\'') => {
                member(text, self.floor, at)
            }
            b'-' if after == b'-' => private_key(text, at),
            // GitHub's prefixes are telling enough to be seen inside a word.
            b'_' if matches!(before, b'o' | b'p' | b'r' | b's' | b'u') => self.github(),
            _ => None,
        }
    }

    #[inline(never)]
    fn github(&self) -> Option<Finding> {
        let at = self.at.checked_sub(3).filter(|at| *at >= self.floor)?;
        if self.text[at..].starts_with(b"gh") {
            token(self.text, at)
        } else {
            None
        }
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
        if end - header < 8 {
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

impl Iterator for Scanner<'_> {
    type Item = Finding;

    fn next(&mut self) -> Option<Finding> {
        let text = self.text;
        let mut at = self.at;
        while let Some(&byte) = text.get(at) {
            let class = CLASSES[usize::from(byte)];
            if class & (STARTS | MARK) != 0 {
                self.at = at;
                let finding = if class & MARK != 0 {
                    self.look_at_mark(byte)
                } else {
                    self.look_at_word()
                };
                if let Some(finding) = finding {
                    return Some(self.found(finding));
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
        None
    }
}

impl Scanner<'_> {
    fn found(&mut self, mut finding: Finding) -> Finding {
        // Hyphens run on from a token into a private key behind it, which would then go unseen.
        if self.text[finding.start..finding.end].ends_with(b"-----BEGIN") {
            finding.end -= 10;
        }
        self.at = finding.end.max(self.at + 1);
        self.floor = finding.end;
        finding
    }
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
pub(crate) fn is_telling_word(word: &[u8]) -> bool {
    !word.is_empty()
        && Scanner::surveyed(word, 0, Aim::All)
            .look_at_word()
            .is_some()
}

/// Words of small letters and none of [`MARKS`] can be a secret only behind `bearer` or `basic`.
#[inline]
pub(crate) fn names_scheme(text: &[u8]) -> bool {
    text.len() >= SHORTEST_PLAIN
        && memchr::memchr2_iter(b'b', b'B', text)
            .any(|at| is_bearer(&text[at..]) || is_basic(&text[at..]))
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
            b'-' | b'_' | b'.' | b'0'..=b'9' | b'A'..=b'Z' => TELLING,
            _ => 0,
        };
        byte += 1;
    }
    marks
};

/// The shortest finding without one of [`PAIRED`]: `Basic YTpi`.
const SHORTEST_PLAIN: usize = 10;

fn is_bearer(text: &[u8]) -> bool {
    text.get(..7)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"bearer "))
}

fn is_basic(text: &[u8]) -> bool {
    text.get(..6)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"basic "))
}

/// The secret part of a value under a secret's key: of `Bearer abc` only `abc`, so that the same token has
/// the same fingerprint everywhere; of Basic nothing, for that is a password.
pub(crate) fn credential(secret: &[u8], mask: Mask) -> (&[u8], Mask) {
    match secret.split_first_chunk::<6>() {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(b"bearer") => {
            (rest.trim_ascii_start(), mask)
        }
        Some((scheme, _)) if scheme.eq_ignore_ascii_case(b"basic ") => (secret, Mask::Plain),
        _ => (secret, mask),
    }
}

/// Whether these digits, nothing else among them, are a payment card's number: a known issuer's prefix and
/// length, and the check digit by Luhn (ISO/IEC 7812-1).
pub(crate) fn is_card(digits: &[u8]) -> bool {
    if !(13..=19).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    let prefix = |length: usize| {
        digits[..length]
            .iter()
            .fold(0_u32, |value, digit| value * 10 + u32::from(digit - b'0'))
    };
    let known = match digits.len() {
        13 => digits[0] == b'4',
        14 => matches!(prefix(3), 300..=305) || matches!(prefix(2), 36 | 38 | 39),
        15 => matches!(prefix(2), 34 | 37),
        16 => {
            matches!(prefix(1), 4)
                || matches!(prefix(2), 51..=55 | 62 | 65)
                || matches!(prefix(3), 644..=649)
                || matches!(prefix(4), 2221..=2720 | 3528..=3589 | 6011 | 2200..=2204)
        }
        17 | 18 => prefix(2) == 62,
        _ => digits[0] == b'4' || prefix(2) == 62,
    };
    known && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let value = u32::from(digit - b'0') << (at & 1);
            value / 10 + value % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Whether a card or social security number could begin here: nearly every number is neither.
#[inline]
fn may_be_number(text: &[u8]) -> bool {
    let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
    match text.get(3) {
        Some(b'-') => digit(4),
        Some(b'0'..=b'9') => match text.get(4) {
            Some(b' ' | b'-') => (5..9).all(digit),
            Some(b'0'..=b'9') => digit(12),
            _ => false,
        },
        _ => false,
    }
}

/// A card number, bare or in its printed groups, or a US social security number.
#[inline(never)]
fn number(text: &[u8], at: usize) -> Option<Finding> {
    // Not inside another number, nor behind a decimal point or a sign of a longer id.
    if let [.., before, b'-' | b'.'] = text[..at]
        && before.is_ascii_digit()
    {
        return None;
    }
    let mut digits = [0; 19];
    let mut groups = [0_usize; 5];
    let mut count = 0;
    let mut group = 0;
    let mut end = at;
    let mut separator = None;
    loop {
        let start = end;
        end = run(text, start, DIGIT);
        let length = end - start;
        if count + length > digits.len() {
            return None;
        }
        digits[count..count + length].copy_from_slice(&text[start..end]);
        count += length;
        groups[group] = length;
        group += 1;
        match text.get(end) {
            Some(&byte @ (b' ' | b'-'))
                if separator.is_none_or(|known| known == byte)
                    && group < groups.len()
                    && text.get(end + 1).is_some_and(u8::is_ascii_digit)
                    && matches!(groups[..group], [3 | 4, ..]) =>
            {
                separator = Some(byte);
                end += 1;
            }
            _ => break,
        }
    }
    if let Some(&after) = text.get(end)
        && (CLASSES[usize::from(after)] & WORD != 0
            || matches!(after, b'.' | b'-') && text.get(end + 1).is_some_and(u8::is_ascii_digit))
    {
        return None;
    }
    let card = match groups[..group] {
        [_] | [4, 4, 4, 4] | [4, 6, 4 | 5] | [4, 4, 4, 4, 1..=3] => is_card(&digits[..count]),
        [3, 2, 4] if separator == Some(b'-') => is_ssn(&digits[..9]),
        _ => false,
    };
    card.then_some(Finding {
        start: at,
        end,
        mask: Mask::Plain,
    })
}

/// What the administration has ever given out: area not 000, 666, 9xx; group not 00; serial not 0000.
fn is_ssn(digits: &[u8]) -> bool {
    let (area, rest) = digits.split_at(3);
    let (group, serial) = rest.split_at(2);
    area != b"000" && area != b"666" && area[0] != b'9' && group != b"00" && serial != b"0000"
}

/// `local@domain.tld`.
#[inline(never)]
fn email(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    let lowest = floor.max(at.saturating_sub(64));
    let mut start = run_back(text, lowest, at, LOCAL);
    while start < at && matches!(text[start], b'.' | b'-' | b'+' | b'%') {
        start += 1;
    }
    if start == at {
        return None;
    }
    let mut end = run(text, at + 1, DOMAIN);
    while end > at + 1 && matches!(text[end - 1], b'.' | b'-') {
        end -= 1;
    }
    let domain = &text[at + 1..end];
    let dot = memchr::memrchr(b'.', domain)?;
    let (host, last) = (&domain[..dot], &domain[dot + 1..]);
    let top_level =
        last.len() >= 2 && (last.iter().all(u8::is_ascii_alphabetic) || last.starts_with(b"xn--"));
    if !top_level || matches!(host, [] | [b'.', ..]) {
        return None;
    }
    // `icon@2x.png`, `package@1.2.3-beta.rc`, `git@github.com:owner/repository`.
    let scaled = matches!(host, [b'1'..=b'9', b'x']);
    let version = matches!(
        host,
        [b'0'..=b'9', b'.', ..] | [b'0'..=b'9', b'0'..=b'9', b'.', ..]
    ) && !host
        .iter()
        .any(|byte| byte.is_ascii_alphabetic() && *byte != b'x');
    let remote = &text[start..at] == b"git" && matches!(text.get(end), Some(b':' | b'/'));
    if scaled || version || remote {
        return None;
    }
    Some(Finding {
        start,
        end,
        mask: Mask::Plain,
    })
}

/// `user:password@` behind `://`, RFC 3986, section 3.2.1.
#[inline(never)]
fn userinfo(text: &[u8], at: usize) -> Option<Finding> {
    let rest = text[at..].strip_prefix(b"://")?;
    let length = rest
        .iter()
        .position(|byte| {
            matches!(
                byte,
                b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'\\' | 0..=b' '
            )
        })
        .unwrap_or(rest.len());
    let user = memchr::memrchr(b'@', &rest[..length])?;
    let start = at + 3;
    // A bare user name is no secret; a long one is a token in its place.
    let secret = memchr::memchr(b':', &rest[..user]).is_some() || user >= 20;
    (secret && user > 0).then_some(Finding {
        start,
        end: start + user,
        mask: Mask::Plain,
    })
}

/// `key=value`: queries, forms, connection strings, cookies, command lines.
#[inline(never)]
fn assignment(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    if text.get(at + 1) == Some(&b'=') {
        return None;
    }
    let key = &text[run_back(text, floor.max(at.saturating_sub(64)), at, KEY)..at];
    let rule = keys::classify(key)?;
    let (start, end) = match text.get(at + 1) {
        Some(&quote @ (b'"' | b'\'')) => {
            let start = at + 2;
            (
                start,
                start + memchr::memchr(quote, &text[start..]).unwrap_or(text.len() - start),
            )
        }
        _ => (at + 1, run(text, at + 1, VALUE)),
    };
    value(text, start, end, rule)
}

/// `"key": "value"` of JSON in a text, also with its quotes escaped; `Authorization: …` and `Cookie: …`.
#[inline(never)]
fn member(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    let lowest = floor.max(at.saturating_sub(72));
    let mut key_end = at;
    let quote = match text[..at].last() {
        Some(&quote @ (b'"' | b'\'')) => {
            key_end -= 1;
            while key_end > lowest && text[key_end - 1] == b'\\' {
                key_end -= 1;
            }
            Some(quote)
        }
        _ => None,
    };
    let key_start = run_back(text, lowest, key_end, KEY);
    let rule = keys::classify(&text[key_start..key_end])?;
    let mut start = at + 1;
    while text
        .get(start)
        .is_some_and(|byte| matches!(byte, b' ' | b'\t'))
    {
        start += 1;
    }
    if quote.is_none() {
        // In prose a colon says little: `invalid token: expected a string`. A header's name is a
        // header's name, and a word with a digit in it is no prose.
        let name = text[key_start..key_end]
            .rsplit(|byte| *byte == b'-')
            .next()
            .unwrap_or_default();
        let header = [b"authorization".as_slice(), b"cookie"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known));
        // Judged by its head: nothing long is read that is not then replaced.
        let head = &text[start..text.len().min(start + 64)];
        let telling = header || head[..run(head, 0, VALUE)].iter().any(u8::is_ascii_digit);
        let end = run(
            text,
            start,
            if !telling {
                0
            } else if header {
                LINE
            } else {
                VALUE
            },
        );
        return if telling {
            value(text, start, end, rule)
        } else {
            None
        };
    }
    while text.get(start) == Some(&b'\\') {
        start += 1;
    }
    let end = match text.get(start) {
        Some(&quote @ (b'"' | b'\'')) => {
            start += 1;
            let length = memchr::memchr(quote, &text[start..]).unwrap_or(text.len() - start);
            let mut end = start + length;
            while end > start && text[end - 1] == b'\\' {
                end -= 1;
            }
            end
        }
        _ => run(text, start, VALUE),
    };
    value(text, start, end, rule)
}

/// The finding for a sensitive key's value in a text, unless the value says nothing.
fn value(text: &[u8], start: usize, mut end: usize, rule: Rule) -> Option<Finding> {
    if let Some(block) = private_key(text, start) {
        return Some(block);
    }
    let word = text.get(start..end)?;
    if matches!(
        word,
        b"" | b"null" | b"true" | b"false" | b"undefined" | b"None"
    ) {
        return None;
    }
    let mask = match rule {
        Rule::Strings(_) if word.iter().all(u8::is_ascii_digit) => return None,
        Rule::Whole(mask) | Rule::Strings(mask) => mask,
    };
    // Of `authorization=Bearer abc` the space does not end the value.
    if [b"bearer".as_slice(), b"basic"]
        .iter()
        .any(|scheme| word.eq_ignore_ascii_case(scheme))
        && text.get(end) == Some(&b' ')
    {
        end = run(text, end + 1, VALUE);
    }
    let (secret, mask) = credential(&text[start..end], mask);
    (!secret.is_empty()).then_some(Finding {
        start: end - secret.len(),
        end,
        mask,
    })
}

/// A PEM block of a private key, RFC 7468, to its end or that of the text.
#[inline(never)]
fn private_key(text: &[u8], at: usize) -> Option<Finding> {
    let label = text.get(at..)?.strip_prefix(b"-----BEGIN ")?;
    let label = &label[..label.len().min(64)];
    let label = &label[..memchr::memmem::find(label, b"-----")?];
    if !label.ends_with(b"PRIVATE KEY") && !label.ends_with(b"PRIVATE KEY BLOCK") {
        return None;
    }
    let end = memchr::memmem::find(&text[at..], b"-----END ")
        .map(|end| at + end + 9)
        .and_then(|end| Some(end + memchr::memmem::find(&text[end..], b"-----")? + 5))
        .unwrap_or(text.len());
    Some(Finding {
        start: at,
        end,
        mask: Mask::Plain,
    })
}

/// `Bearer` (RFC 6750) or `Basic` (RFC 7617) with what follows.
#[inline(never)]
fn scheme(text: &[u8], at: usize) -> Option<Finding> {
    let rest = &text[at..];
    let (length, basic) = if rest
        .get(..7)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"bearer "))
    {
        (7, false)
    } else if is_basic(rest) {
        (6, true)
    } else {
        return None;
    };
    let start = at + length;
    let end = run(text, start, TOKEN68);
    let secret = &text[start..end];
    if basic {
        // Only what decodes to `user:password`; "basic understanding" does not.
        return has_colon(secret).then_some(Finding {
            start,
            end,
            mask: Mask::Plain,
        });
    }
    if secret.len() < 6 {
        return None;
    }
    // A challenge, RFC 9110, section 11.6.1: `Bearer realm="…"`.
    let challenge = secret.ends_with(b"=") && text.get(end) == Some(&b'"');
    let whole = start == 7 && end == text.len();
    let prose = secret.iter().all(u8::is_ascii_alphabetic)
        && (PROSE.iter().any(|word| secret.eq_ignore_ascii_case(word))
            || !whole && secret.len() < 20 && !secret[1..].iter().any(u8::is_ascii_uppercase));
    if challenge || prose {
        return None;
    }
    Some(Finding {
        start,
        end,
        mask: Mask::Fingerprint,
    })
}

const PROSE: [&[u8]; 9] = [
    b"token",
    b"tokens",
    b"scheme",
    b"header",
    b"headers",
    b"format",
    b"challenge",
    b"authentication",
    b"authorization",
];

/// Whether these letters are base64 of something with a colon in it.
fn has_colon(base64: &[u8]) -> bool {
    let letters = base64.trim_ascii_end();
    let letters = &letters[..letters
        .iter()
        .position(|byte| *byte == b'=')
        .unwrap_or(letters.len())];
    if letters.len() < 4 || letters.len() % 4 == 1 {
        return false;
    }
    let mut bits = 0_u32;
    let mut found = false;
    for (at, &letter) in letters.iter().enumerate() {
        let six = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return false,
        };
        bits = bits << 6 | u32::from(six);
        let byte = match at % 4 {
            0 => continue,
            1 => (bits >> 4) as u8,
            2 => (bits >> 2) as u8,
            _ => bits as u8,
        };
        // Credentials hold no control characters (RFC 7617, section 2); words decoded by chance do.
        if byte < 0x20 || byte == 0x7f {
            return false;
        }
        found |= byte == b':';
    }
    found
}

/// A token by the prefix that its issuer gives it.
#[inline(never)]
fn token(text: &[u8], at: usize) -> Option<Finding> {
    let rest = &text[at..];
    let (from, to) = BY_LETTER[usize::from(rest[0])];
    for shape in &SHAPES[usize::from(from)..usize::from(to)] {
        if !rest.starts_with(shape.prefix) {
            continue;
        }
        let start = shape.prefix.len();
        // Judged by its head, so that a long run that is none costs little each time.
        let head = &rest[start..rest.len().min(start + shape.min + 48)];
        let length = run(head, 0, shape.letters);
        if length < shape.min || shape.opaque && !is_opaque(&head[..length]) {
            continue;
        }
        let end = run(text, at + start + length, shape.letters);
        return Some(Finding {
            start: at,
            end,
            mask: Mask::Fingerprint,
        });
    }
    None
}

/// Random letters rather than words with hyphens between.
fn is_opaque(letters: &[u8]) -> bool {
    letters
        .iter()
        .any(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
        || !letters.contains(&b'-')
}

struct Shape {
    prefix: &'static [u8],
    letters: u16,
    /// At least so many letters behind the prefix.
    min: usize,
    /// The prefix is also a word's beginning, so the rest must look random.
    opaque: bool,
}

const fn shape(prefix: &'static str, letters: u16, min: usize) -> Shape {
    Shape {
        prefix: prefix.as_bytes(),
        letters,
        min,
        opaque: false,
    }
}

const fn opaque(prefix: &'static str, letters: u16, min: usize) -> Shape {
    Shape {
        prefix: prefix.as_bytes(),
        letters,
        min,
        opaque: true,
    }
}

/// By their issuers' documentation; lengths are lower bounds, for issuers lengthen them.
static SHAPES: &[Shape] = &[
    shape("AKIA", UPPER, 16), // AWS access key ids
    shape("ASIA", UPPER, 16),
    shape("ABIA", UPPER, 16),
    shape("ACCA", UPPER, 16),
    shape("AIza", URL_SAFE, 30),    // Google API key
    shape("ATATT3", URL_SAFE, 20),  // Atlassian
    shape("GOCSPX-", URL_SAFE, 20), // Google OAuth client secret
    shape("PMAK-", URL_SAFE, 20),   // Postman
    shape("SG.", DOTTED, 30),       // SendGrid
    shape("dapi", HEX, 32),         // Databricks
    shape("dop_v1_", HEX, 32),      // DigitalOcean
    shape("doo_v1_", HEX, 32),
    shape("dor_v1_", HEX, 32),
    shape("figd_", URL_SAFE, 20), // Figma
    shape("ghp_", URL_SAFE, 16),  // GitHub
    shape("gho_", URL_SAFE, 16),
    shape("ghu_", URL_SAFE, 16),
    shape("ghs_", DOTTED, 16),
    shape("ghr_", URL_SAFE, 16),
    shape("github_pat_", URL_SAFE, 16),
    shape("glpat-", DOTTED, 16), // GitLab
    shape("gldt-", DOTTED, 16),
    shape("glrt-", DOTTED, 16),
    shape("glptt-", DOTTED, 16),
    shape("glcbt-", DOTTED, 16),
    shape("glsa_", URL_SAFE, 20), // Grafana
    shape("gsk_", URL_SAFE, 20),  // Groq
    shape("hf_", WORD, 20),       // Hugging Face
    shape("hvs.", URL_SAFE, 20),  // Vault
    shape("hvb.", URL_SAFE, 20),
    shape("lin_api_", WORD, 20), // Linear
    shape("npm_", WORD, 20),
    shape("ntn_", WORD, 20), // Notion
    opaque("pypi-", URL_SAFE, 16),
    shape("r8_", WORD, 20),      // Replicate
    shape("rk_live_", WORD, 10), // Stripe
    shape("rk_test_", WORD, 10),
    shape("sk_live_", WORD, 10),
    shape("sk_test_", WORD, 10),
    opaque("sk-", URL_SAFE, 16), // OpenAI, Anthropic and their kin
    shape("sbp_", HEX, 20),      // Supabase
    shape("secret_", WORD, 32),  // Notion, older
    shape("shpat_", HEX, 20),    // Shopify
    shape("shpca_", HEX, 20),
    shape("shppa_", HEX, 20),
    shape("shpss_", HEX, 20),
    shape("sntrys_", DOTTED, 20),  // Sentry
    shape("whsec_", BASE64, 16),   // webhook secrets
    opaque("xapp-", URL_SAFE, 10), // Slack
    opaque("xoxa-", URL_SAFE, 10),
    opaque("xoxb-", URL_SAFE, 10),
    opaque("xoxe-", URL_SAFE, 10),
    opaque("xoxe.", DOTTED, 10),
    opaque("xoxo-", URL_SAFE, 10),
    opaque("xoxp-", URL_SAFE, 10),
    opaque("xoxr-", URL_SAFE, 10),
    opaque("xoxs-", URL_SAFE, 10),
    shape("xkeysib-", URL_SAFE, 20), // Brevo
    shape("ya29.", DOTTED, 20),      // Google access token
];

/// By first letter: where its shapes stand in [`SHAPES`], in which they stand together.
static BY_LETTER: [(u8, u8); 256] = {
    let mut letters = [(0, 0); 256];
    let mut at = 0;
    while at < SHAPES.len() {
        let letter = SHAPES[at].prefix[0] as usize;
        if letters[letter].1 == 0 {
            letters[letter].0 = at as u8;
        }
        assert!(
            letters[letter].1 == 0 || letters[letter].1 as usize == at,
            "shapes go by letter"
        );
        at += 1;
        letters[letter].1 = at as u8;
    }
    letters
};

/// By first letter of a word: one bit for each second letter that anything we look for has.
static SECONDS: [u128; 256] = {
    let mut seconds = [0; 256];
    let mut at = 0;
    while at < SHAPES.len() {
        let prefix = SHAPES[at].prefix;
        seconds[prefix[0] as usize] |= 1 << prefix[1];
        at += 1;
    }
    let ea = 1 << b'e' | 1 << b'a' | 1 << b'E' | 1 << b'A';
    seconds[b'b' as usize] |= ea;
    seconds[b'B' as usize] |= ea;
    seconds[b'e' as usize] |= 1 << b'y';
    seconds
};

/// Where the bytes stop being of the class, from `at` on.
#[inline]
fn run(text: &[u8], at: usize, class: u16) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|byte| CLASSES[usize::from(*byte)] & class == 0);
    at + length.unwrap_or(rest.len())
}

/// Where the bytes of the class before `at` begin, not below `floor`.
#[inline]
fn run_back(text: &[u8], floor: usize, at: usize, class: u16) -> usize {
    let before = text.get(floor..at).unwrap_or_default();
    let length = before
        .iter()
        .rev()
        .position(|byte| CLASSES[usize::from(*byte)] & class == 0);
    at - length.unwrap_or(before.len())
}

/// Letters and digits.
const WORD: u16 = 1;
const DIGIT: u16 = 1 << 1;
const HEX: u16 = 1 << 2;
const UPPER: u16 = 1 << 3;
/// Base64url and underscore words.
const URL_SAFE: u16 = 1 << 4;
const DOTTED: u16 = 1 << 5;
const BASE64: u16 = 1 << 6;
/// RFC 9110, section 11.2.
const TOKEN68: u16 = 1 << 7;
/// An e-mail address before its `@`, as addresses are in practice.
const LOCAL: u16 = 1 << 8;
const DOMAIN: u16 = 1 << 9;
/// A key in a text.
const KEY: u16 = 1 << 10;
/// A value in a text: up to what separates.
const VALUE: u16 = 1 << 11;
const LINE: u16 = 1 << 12;
/// A word that begins so is looked at.
const STARTS: u16 = 1 << 13;
/// Looked at wherever it stands.
const MARK: u16 = 1 << 14;

static CLASSES: [u16; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        let mut class = 0;
        if b.is_ascii_alphanumeric() {
            class |= WORD | URL_SAFE | DOTTED | BASE64 | TOKEN68 | LOCAL | DOMAIN | KEY;
        }
        if b.is_ascii_digit() {
            class |= DIGIT | STARTS;
        }
        if b.is_ascii_hexdigit() {
            class |= HEX;
        }
        if b.is_ascii_uppercase() || b.is_ascii_digit() {
            class |= UPPER;
        }
        if matches!(b, b'-' | b'_') {
            class |= URL_SAFE | DOTTED | TOKEN68 | LOCAL | KEY;
        }
        if b == b'-' {
            class |= DOMAIN | MARK;
        }
        if b == b'.' {
            class |= DOTTED | TOKEN68 | LOCAL | DOMAIN | KEY;
        }
        if matches!(b, b'+' | b'/' | b'=') {
            class |= BASE64 | TOKEN68;
        }
        if matches!(b, b'~') {
            class |= TOKEN68;
        }
        if matches!(b, b'%' | b'+' | b'\'') {
            class |= LOCAL;
        }
        if matches!(b, b'@' | b'=' | b':' | b'_') {
            class |= MARK;
        }
        if !matches!(
            b,
            0..=b' '
                | b'&'
                | b';'
                | b','
                | b'"'
                | b'\''
                | b'<'
                | b'>'
                | b')'
                | b']'
                | b'}'
                | b'|'
                | b'\\'
        ) {
            class |= VALUE;
        }
        if !matches!(b, b'\r' | b'\n' | b'"' | b'\'' | b'\\') {
            class |= LINE;
        }
        classes[byte] = class;
        byte += 1;
    }
    let mut at = 0;
    while at < SHAPES.len() {
        classes[SHAPES[at].prefix[0] as usize] |= STARTS;
        at += 1;
    }
    classes[b'b' as usize] |= STARTS;
    classes[b'B' as usize] |= STARTS;
    classes[b'e' as usize] |= STARTS;
    classes
};

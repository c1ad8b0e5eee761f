//! E-mail addresses, and credentials in URLs.

use super::classes::{CLASSES, DOMAIN, LOCAL, URL_SAFE, WORD, run, run_back, run_within};
use crate::redact::{Finding, Mask};

/// `local@domain.tld`; the sign is `width` bytes long.
#[inline(never)]
pub(super) fn email(text: &[u8], floor: usize, at: usize, width: usize) -> Option<Finding> {
    let end = domain(text, at + width)?;
    let lowest = floor.max(at.saturating_sub(64));
    let mut start = back_over_letters(text, lowest, at);
    while start < at && matches!(text[start], b'.' | b'-' | b'+' | b'%' | b'\'' | b'=') {
        start += 1;
    }
    if text[..at].last() == Some(&b'"') {
        // A quoted local part, RFC 5321, section 4.1.2.
        let inside = text[lowest..at - 1]
            .iter()
            .rposition(|byte| matches!(byte, b'"' | b'\n'))?;
        start = lowest + inside;
        if text[start] != b'"' {
            return None;
        }
    }
    if start >= at {
        return None;
    }
    // `git@github.com:owner/repository`
    let remote = &text[start..at] == b"git" && matches!(text.get(end), Some(b':' | b'/') | None);
    if remote || text[..start].ends_with(b"://") {
        return None;
    }
    Some(Finding {
        start,
        end,
        mask: Mask::Address,
    })
}

/// Where the domain behind the sign ends, if it is one: of ASCII, or of the letters of the world.
fn domain(text: &[u8], start: usize) -> Option<usize> {
    let ascii = run(text, start, DOMAIN);
    let whole = |end| is_domain(text, start, end);
    whole(ascii).or_else(|| {
        let wide = over_domain(text, start, ascii);
        if wide > ascii { whole(wide) } else { None }
    })
}

fn is_domain(text: &[u8], domain_start: usize, mut end: usize) -> Option<usize> {
    while end > domain_start && matches!(text[end - 1], b'.' | b'-') {
        end -= 1;
    }
    let domain = &text[domain_start..end];
    // Near the end, so a plain loop is there first.
    let dot = domain.iter().rposition(|byte| *byte == b'.')?;
    let (host, last) = (&domain[..dot], &domain[dot + 1..]);
    let wide = !last.is_ascii();
    let top_level = last.len() >= 2
        && (last.iter().all(u8::is_ascii_alphabetic)
            || last.starts_with(b"xn--")
            || last.len() > 3 && last.iter().all(|byte| *byte >= 0x80));
    // No name of another script begins with a digit.
    if !top_level || matches!(host, [] | [b'.', ..]) || wide && host[0].is_ascii_digit() {
        return None;
    }
    // `icon@2x.png`, `package@1.2.3-beta.rc`, `getty@tty1.service`
    let scaled = matches!(host, [b'1'..=b'9', b'x']);
    (!scaled && !is_version(host) && !is_file(last)).then_some(end)
}

/// Letters of addresses, those of Latin, Greek and Cyrillic names included: two bytes each in UTF-8.
fn back_over_letters(text: &[u8], lowest: usize, at: usize) -> usize {
    let mut start = run_back(text, lowest, at, LOCAL);
    while start >= lowest + 2
        && text[start - 1] & 0xc0 == 0x80
        && matches!(text[start - 2], 0xc3..=0xd3)
    {
        start = run_back(text, lowest, start - 2, LOCAL);
    }
    if start == at {
        // Names in scripts that are written without spaces are not told from the words before them: only they reach
        // back to those.
        while start >= lowest + 2 {
            let Some(length) = [2, 3, 4].into_iter().find(|length| {
                start >= lowest + length && letter(&text[start - length..start]) == Some(*length)
            }) else {
                break;
            };
            start = run_back(text, lowest, start - length, LOCAL);
        }
    }
    start
}

/// The length of the letter that `text` begins with, if it is one of another script than ASCII's: no punctuation, no
/// symbol.
fn letter(text: &[u8]) -> Option<usize> {
    match *text {
        [0xc3..=0xdf, ..] => Some(2),
        // General punctuation and symbols; the punctuation of East Asia; full-width forms.
        [0xe2, 0x80..=0xaf, ..] | [0xe3, 0x80, ..] | [0xef, 0xac..=0xbf, ..] => None,
        [0xe0..=0xef, ..] => Some(3),
        [0xf0, 0xa0..=0xaf, ..] => Some(4),
        _ => None,
    }
}

fn over_domain(text: &[u8], start: usize, mut end: usize) -> usize {
    // No domain is longer, RFC 1035, section 2.3.4.
    let most = text.len().min(start + 255);
    while end < most
        && let Some(length) = letter(&text[end..most])
    {
        end = run(&text[..most], end + length, DOMAIN);
    }
    end.min(most)
}

/// `1.2`, `v1.2.3-rc`
fn is_version(host: &[u8]) -> bool {
    let host = host.strip_prefix(b"v").unwrap_or(host);
    let digits = host.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0
        && host.get(digits) == Some(&b'.')
        && host
            .get(digits + 1)
            .is_some_and(|byte| byte.is_ascii_digit() || *byte == b'x')
}

/// `user:password@` behind `://`, RFC 3986, section 3.2.1; the secret path of a webhook.
#[inline(never)]
pub(super) fn userinfo(text: &[u8], at: usize) -> Option<Finding> {
    let rest = text[at..].strip_prefix(b"://")?;
    let start = at + 3;
    let length = rest
        .iter()
        .position(|byte| {
            matches!(
                byte,
                b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`' | 0..=b' '
            )
        })
        .unwrap_or(rest.len());
    let Some(user) = memchr::memrchr(b'@', &rest[..length]) else {
        return unescaped(rest, start, length).or_else(|| webhook(text, rest, start, length));
    };
    // A bare user name is no secret; a long one is a token in its place.
    let colon = memchr::memchr(b':', &rest[..user]);
    let secret = match colon {
        Some(colon) => !is_nothing(&rest[colon + 1..user]) || colon + 1 == user && colon >= 20,
        None => user >= 20,
    };
    (secret && user > 0).then_some(Finding {
        start,
        end: start + user,
        mask: Mask::Plain,
    })
}

/// `https%3A%2F%2Fuser%3Apassword%40host`: a URL within another, escaped once or more often; `at` is its first `%`.
#[inline(never)]
pub(super) fn encoded(text: &[u8], at: usize) -> Option<Finding> {
    let (colon, escape) = escaped(text, at)?;
    let slashes = if text[at + escape..].starts_with(b"//") {
        2
    } else {
        let slash = |at| escaped(text, at) == Some((b'/', escape));
        if !slash(at + escape) || !slash(at + 2 * escape) {
            return None;
        }
        2 * escape
    };
    if colon != b':' {
        return None;
    }
    let start = at + escape + slashes;
    let (mut colon, mut sign) = (None, None);
    let mut end = start;
    // What is no part of it is an escape of other signs, or not escaped as often.
    loop {
        match text.get(end)? {
            b'%' => match escaped(text, end) {
                Some((b'/' | b'?' | b'#' | b' ' | b'"', _)) | None => break,
                Some((b':', _)) if colon.is_none() => colon = Some(end),
                Some((b'@', _)) => sign = Some(end),
                Some(_) => {}
            },
            byte if CLASSES[usize::from(*byte)] & LOCAL == 0 && !b"!*~".contains(byte) => break,
            _ => {}
        }
        end += 1;
        if end == text.len() {
            break;
        }
    }
    let sign = sign?;
    let secret = match colon.filter(|colon| *colon < sign) {
        Some(colon) => !is_nothing(&text[colon + escape..sign]),
        None => sign >= start + 20,
    };
    secret.then_some(Finding {
        start,
        end: sign,
        mask: Mask::Plain,
    })
}

/// The sign that is escaped at `at`, and how long its escape is: `%3A`, `%253A`, `%25253A`.
fn escaped(text: &[u8], at: usize) -> Option<(u8, usize)> {
    let mut rest = text.get(at..)?.strip_prefix(b"%")?;
    let mut length = 3;
    while let Some(behind) = rest.strip_prefix(b"25").filter(|_| length < ESCAPE_MAX) {
        rest = behind;
        length += 2;
    }
    let &[high, low] = rest.first_chunk::<2>()?;
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let sign = digit(high)? << 4 | digit(low)?;
    Some((u8::try_from(sign).ok()?, length))
}

/// As often as URLs within URLs are escaped, in bytes of one escape.
const ESCAPE_MAX: usize = 9;

/// `user:pa/ss@host`: a password whose signs should have been escaped.
fn unescaped(rest: &[u8], start: usize, length: usize) -> Option<Finding> {
    let colon = memchr::memchr(b':', &rest[..length])?;
    let port = rest[colon + 1..length].iter().all(u8::is_ascii_digit);
    if port || rest.starts_with(b"[") {
        return None;
    }
    // `user:password%40host`
    if let Some(sign) = memchr::memrchr(b'%', &rest[colon..length])
        && rest[colon + sign..].starts_with(b"%40")
    {
        return (sign > 1).then_some(Finding {
            start,
            end: start + colon + sign,
            mask: Mask::Plain,
        });
    }
    let head = &rest[..rest.len().min(length + 128)];
    let space = head[length..]
        .iter()
        .position(|byte| matches!(byte, b'"' | b'<' | b'>' | 0..=b' '))
        .unwrap_or(head.len() - length);
    let user = length + memchr::memrchr(b'@', &head[length..length + space])?;
    Some(Finding {
        start,
        end: start + user,
        mask: Mask::Plain,
    })
}

/// URLs that whoever knows them may post to.
fn webhook(text: &[u8], rest: &[u8], start: usize, length: usize) -> Option<Finding> {
    let host = &rest[..length.min(64)];
    let (_, path) = WEBHOOKS
        .iter()
        .find(|(name, path)| host.ends_with(name) && rest[length..].starts_with(path))?;
    let from = start + length + path.len();
    let bot = path.ends_with(b"bot");
    let end = from
        + text[from..]
            .iter()
            .position(|byte| {
                bot && *byte == b'/'
                    || matches!(
                        byte,
                        b'?' | b'#'
                            | b'"'
                            | b'\''
                            | b'<'
                            | b'>'
                            | b'\\'
                            | b'`'
                            | b')'
                            | b']'
                            | b','
                            | 0..=b' '
                    )
            })
            .unwrap_or_else(|| text.len() - from);
    let path = &text[from..end];
    let end = from + path.strip_suffix(b".").unwrap_or(path).len();
    (end >= from + 8 && !text[from..].starts_with(b"[REDACTED")).then_some(Finding {
        start: from,
        end,
        mask: Mask::Fingerprint,
    })
}

/// `user:password@tcp(host)`, `user:password@localhost:5432`: without a scheme before.
#[inline(never)]
pub(super) fn bare_userinfo(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
    let host = run_within(text, at + 1, DOMAIN, 64);
    let name = &text[at + 1..host];
    let known = name.eq_ignore_ascii_case(b"localhost") || is_ipv4(name);
    let follows = match text.get(host) {
        Some(b'(') => name == b"tcp" || name == b"unix",
        Some(b':') => text.get(host + 1).is_some_and(u8::is_ascii_digit),
        Some(b'/') => true,
        _ => known,
    };
    let starts = name.first().is_some_and(u8::is_ascii_alphabetic) || known;
    if !follows || !starts {
        return None;
    }
    let lowest = floor.max(at.saturating_sub(96));
    let mut start = at;
    while start > lowest
        && !matches!(
            text[start - 1],
            b'"' | b'\'' | b'`' | b'/' | b'=' | b'(' | b'<' | b'>' | b',' | b'@' | 0..=b' '
        )
    {
        start -= 1;
    }
    let pair = &text[start..at];
    let colon = memchr::memchr(b':', pair)?;
    let user = &pair[..colon];
    let name = !user.is_empty()
        && user
            .iter()
            .all(|byte| CLASSES[usize::from(*byte)] & (URL_SAFE | LOCAL) != 0);
    let secret = &pair[colon + 1..];
    (name && !is_nothing(secret) && !secret.starts_with(b"[REDACTED")).then_some(Finding {
        start: start + colon + 1,
        end: at,
        mask: Mask::Plain,
    })
}

/// `thin:scott/tiger@` of Oracle's driver.
pub(super) fn thin(text: &[u8], at: usize) -> Option<Finding> {
    let rest = text.get(at..)?.strip_prefix(b"thin:")?;
    let user = run_within(rest, 0, WORD, 64);
    let secret = rest.get(user..)?.strip_prefix(b"/")?;
    let length = memchr::memchr3(b'@', b' ', b'\n', &secret[..secret.len().min(128)])?;
    let start = at + 5 + user + 1;
    (user > 0 && length > 0 && secret[length] == b'@' && !secret.starts_with(b"[REDACTED"))
        .then_some(Finding {
            start,
            end: start + length,
            mask: Mask::Plain,
        })
}

fn is_ipv4(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'.').count() == 4
        && name
            .split(|byte| *byte == b'.')
            .all(|part| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit))
}

/// A placeholder, or what this module has put there before.
fn is_nothing(secret: &[u8]) -> bool {
    secret.is_empty()
        || crate::redact::keys::placeholder(secret)
        || secret.starts_with(b"$")
        || matches!(secret, b"PASSWORD" | b"PASS")
}

/// By host and path what leads to the secret part.
const WEBHOOKS: &[(&[u8], &[u8])] = &[
    (b"hooks.slack.com", b"/services/"),
    (b"hooks.slack.com", b"/workflows/"),
    (b"hooks.slack.com", b"/triggers/"),
    (b"hooks.slack-gov.com", b"/services/"),
    (b"discord.com", b"/api/webhooks/"),
    (b"discordapp.com", b"/api/webhooks/"),
    (b"webhook.office.com", b"/webhookb2/"),
    (b"outlook.office.com", b"/webhook/"),
    (b"hooks.zapier.com", b"/hooks/catch/"),
    (b"hook.eu1.make.com", b"/"),
    (b"hook.us1.make.com", b"/"),
    (b"maker.ifttt.com", b"/trigger/"),
    (b"api.telegram.org", b"/bot"),
    (b"chat.googleapis.com", b"/v1/spaces/"),
];

/// Whether what stands behind a dot is that of a file or a unit, and no domain's.
fn is_file(last: &[u8]) -> bool {
    match last.len() {
        ..=8 => {
            let last = packed(last);
            NO_TOP_LEVEL.contains(&last)
        }
        _ => LONG_NO_TOP_LEVEL
            .iter()
            .any(|known| last.eq_ignore_ascii_case(known)),
    }
}

/// Up to eight letters, as small ones, in a number.
const fn packed(word: &[u8]) -> u64 {
    let (mut number, mut at) = (0, 0);
    while at < word.len() {
        number = number << 8 | word[at].to_ascii_lowercase() as u64;
        at += 1;
    }
    number
}

const NO_TOP_LEVEL: [u64; 61] = [
    packed(b"service"),
    packed(b"socket"),
    packed(b"target"),
    packed(b"timer"),
    packed(b"mount"),
    packed(b"slice"),
    packed(b"device"),
    packed(b"path"),
    packed(b"swap"),
    packed(b"png"),
    packed(b"jpg"),
    packed(b"jpeg"),
    packed(b"gif"),
    packed(b"svg"),
    packed(b"webp"),
    packed(b"ico"),
    packed(b"js"),
    packed(b"mjs"),
    packed(b"cjs"),
    packed(b"ts"),
    packed(b"tsx"),
    packed(b"jsx"),
    packed(b"css"),
    packed(b"scss"),
    packed(b"json"),
    packed(b"html"),
    packed(b"htm"),
    packed(b"txt"),
    packed(b"yaml"),
    packed(b"yml"),
    packed(b"toml"),
    packed(b"xml"),
    packed(b"lock"),
    packed(b"log"),
    packed(b"tgz"),
    packed(b"gz"),
    packed(b"tar"),
    packed(b"rb"),
    packed(b"go"),
    packed(b"java"),
    packed(b"kt"),
    packed(b"jar"),
    packed(b"aar"),
    packed(b"whl"),
    packed(b"patch"),
    packed(b"diff"),
    packed(b"bak"),
    packed(b"conf"),
    packed(b"cfg"),
    packed(b"ini"),
    packed(b"class"),
    packed(b"dll"),
    packed(b"exe"),
    packed(b"tmp"),
    packed(b"csv"),
    packed(b"pdf"),
    packed(b"setter"),
    packed(b"getter"),
    packed(b"override"),
    packed(b"route"),
    packed(b"fixture"),
];

const LONG_NO_TOP_LEVEL: &[&[u8]] = &[b"staticmethod", b"parametrize"];

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, find: impl Fn(&[u8], usize) -> Option<Finding>) -> Vec<&str> {
        (0..text.len())
            .filter_map(|at| find(text.as_bytes(), at))
            .map(|found| &text[found.start..found.end])
            .collect()
    }

    // REQ: L-2
    #[test]
    fn addresses() {
        for (text, found) in [
            ("a@b.co", Some("a@b.co")),
            (
                "(a.b+c%d'e-f_g@b-c.co.uk).",
                Some("a.b+c%d'e-f_g@b-c.co.uk"),
            ),
            (".-+%'a@b.co", Some("a@b.co")),
            ("x=a@b.co", Some("a@b.co")),
            (".@b.co", None),
            ("@b.co", None),
            ("a@b.c", None),
            ("a@b.c1", None),
            ("a@.co", None),
            ("a@co", None),
            ("a@b.co.", Some("a@b.co")),
            ("a@b.co-", Some("a@b.co")),
            ("a@b.xn--p1ai", Some("a@b.xn--p1ai")),
            ("a@2x.png", None),
            ("a@2x.co", None),
            ("a@0x.co", Some("a@0x.co")),
            ("a@b.png", None),
            ("a@1.2", None),
            ("a@1.2.co", None),
            ("a@v1.2.co", None),
            ("a@v1.x.co", None),
            ("a@1.y.co", Some("a@1.y.co")),
            ("a@1b.2.co", Some("a@1b.2.co")),
            ("a@v.2.co", Some("a@v.2.co")),
            ("git@b.co", None),
            ("git@b.co:x", None),
            ("git@b.co/x", None),
            ("git@b.co x", Some("git@b.co")),
            ("got@b.co:x", Some("got@b.co")),
            ("\"a b\"@b.co", Some("\"a b\"@b.co")),
            ("a b\"@b.co", None),
            ("x\n\"@b.co", None),
            ("x://a@b.co", None),
            ("x:/a@b.co", Some("a@b.co")),
            ("jörg@b.co", Some("jörg@b.co")),
            ("jörg@mü.co", Some("jörg@mü.co")),
            ("a@mü.co", Some("a@mü.co")),
            ("a@ü", None),
            ("иван@пример.рф", Some("иван@пример.рф")),
            ("δ@π.ελ", Some("δ@π.ελ")),
            ("邮箱a@b.co", Some("a@b.co")),
            ("小明@b.co", Some("小明@b.co")),
            ("，小明@b.co", Some("小明@b.co")),
            ("。@b.co", None),
            ("a@例子.公司", Some("a@例子.公司")),
            ("a@例子.公司。好", Some("a@例子.公司")),
            ("a@例子.公", None),
            ("a@例子.公a", None),
            ("a@3楼.公司", None),
            ("a@例子。", None),
            ("𠀀@b.co", Some("𠀀@b.co")),
            ("😀@b.co", None),
            ("a@b.co😀", Some("a@b.co")),
        ] {
            assert_eq!(
                all(text, |text, at| (text[at] == b'@')
                    .then(|| email(text, 0, at, 1))?)
                .first(),
                found.as_ref(),
                "{text}"
            );
        }
        let at = |text: &[u8], at: usize| (text[at] == b'%').then(|| email(text, 0, at, 3))?;
        assert_eq!(all("x=a%40b.co&", at), ["a%40b.co"]);
        // Not beyond a finding before, nor farther back than an address is long.
        assert_eq!(
            email(b"abc@b.co", 2, 3, 1).map(|found| found.start),
            Some(2)
        );
        let long = format!("{}@b.co", "a".repeat(70));
        assert_eq!(
            email(long.as_bytes(), 0, 70, 1).map(|found| found.start),
            Some(6)
        );
        let long = format!("a@{}.co", "ü".repeat(120));
        assert_eq!(
            email(long.as_bytes(), 0, 1, 1).map(|found| found.end),
            Some(245)
        );
        let long = format!("a@{}.co", "ü".repeat(140));
        assert_eq!(email(long.as_bytes(), 0, 1, 1), None);
    }

    // REQ: L-2
    #[test]
    fn in_urls() {
        let find = |text: &[u8], at: usize| {
            (text[at] == b':' && text[at + 1..].first() == Some(&b'/'))
                .then(|| userinfo(text, at))?
        };
        for (text, found) in [
            ("x://u:p1@h", Some("u:p1")),
            ("x://:p1@h", Some(":p1")),
            ("x://u@h", None),
            ("x://aaaaaaaaaaaaaaaaaaaa@h", Some("aaaaaaaaaaaaaaaaaaaa")),
            ("x://aaaaaaaaaaaaaaaaaaa@h", None),
            ("x://aaaaaaaaaaaaaaaaaaaa:@h", Some("aaaaaaaaaaaaaaaaaaaa:")),
            ("x://aaaaaaaaaaaaaaaaaaa:@h", None),
            ("x://u:@h", None),
            ("x://@h", None),
            ("x://u:p@1@h", Some("u:p@1")),
            ("x://u:$PW@h", None),
            ("x://u:PASSWORD@h", None),
            ("x://u:PASS@h", None),
            ("x://u:PASSW@h", Some("u:PASSW")),
            ("x://u:p/1@h", Some("u:p/1")),
            ("x://u:p?1@h/a@b", Some("u:p?1@h/a")),
            ("x://u:80/1@h", None),
            ("x://[u:p/1@h", None),
            ("x://h/1@h", None),
            ("x://u:p/1 a@h", None),
            ("x://u:p/1\"a@h", None),
            ("x:/u:p1@h", None),
            ("x://u:p1%40h/", Some("u:p1")),
            ("x://u:p%401%40h", Some("u:p%401")),
            ("x://u:%40h", None),
            ("x://u:80/%40h", None),
            ("x://u%40h:80", None),
            ("x://h:80", None),
        ] {
            assert_eq!(all(text, find).first(), found.as_ref(), "{text}");
        }
        let near = format!("x://u:p/{}@h", "a".repeat(125));
        assert_eq!(all(&near, find).len(), 1);
        let far = format!("x://u:p/{}@h", "a".repeat(130));
        assert_eq!(all(&far, find).len(), 0);
        for (text, found) in [
            ("x://hooks.slack.com/services/T0/B0/abc.", Some("T0/B0/abc")),
            ("x://hooks.slack.com/services/T0/B0/a?x", Some("T0/B0/a")),
            ("x://hooks.slack.com/services/T0/B0/ab", Some("T0/B0/ab")),
            ("x://hooks.slack.com/services/T0/B0/", None),
            ("x://hooks.slack.com/services/[REDACTED]", None),
            ("x://hooks.slack.com/other/T0/B0/abc", None),
            ("x://slack.com/services/T0/B0/abc", None),
            ("x://api.telegram.org/bot12345:abc/send", Some("12345:abc")),
            ("x://discord.com/api/webhooks/1/abcdef)", Some("1/abcdef")),
            ("x://discord.com/api/webhooks/1/abcdef,", Some("1/abcdef")),
            ("x://discord.com/api/webhooks/1/abcde", None),
        ] {
            // The last one counts eight bytes at least.
            let found = found.filter(|found| found.len() >= 8);
            assert_eq!(all(text, find).first(), found.as_ref(), "{text}");
        }
    }

    // REQ: L-2
    #[test]
    fn without_a_scheme() {
        let find =
            |text: &[u8], at: usize| (text[at] == b'@').then(|| bare_userinfo(text, 0, at))?;
        for (text, found) in [
            ("u:p1@tcp(h)", Some("p1")),
            ("u:p1@unix(h)", Some("p1")),
            ("u:p1@udp(h)", None),
            ("u:p1@h:80", Some("p1")),
            ("u:p1@h:x", None),
            ("u:p1@h/x", Some("p1")),
            ("u:p1@h", None),
            ("u:p1@localhost", Some("p1")),
            ("u:p1@LOCALHOST", Some("p1")),
            ("u:p1@10.0.0.1", Some("p1")),
            ("u:p1@10.0.0", None),
            ("u:p1@10.0.0.1.2", None),
            ("u:p1@10.0.0.1000", None),
            ("u:p1@10.0.0.x", None),
            ("u:p1@10.0..1", None),
            ("u:p1@1h/x", None),
            ("u:p:1@h/x", Some("p:1")),
            ("u@h/x", None),
            (":p1@h/x", None),
            ("u/:p1@h/x", None),
            ("x=u:p1@h/x", Some("p1")),
            ("(u:p1@h/x", Some("p1")),
            ("u!:p1@h/x", None),
            ("u.a+b-c_d:p1@h/x", Some("p1")),
            ("u:@h/x", None),
            ("u:$PW@h/x", None),
            ("u:[REDACTED]@h/x", None),
        ] {
            assert_eq!(all(text, find).first(), found.as_ref(), "{text}");
        }
        assert_eq!(
            bare_userinfo(b"ab:p1@h/x", 1, 5).map(|found| found.start),
            Some(3)
        );
        assert_eq!(bare_userinfo(b"ab:p1@h/x", 2, 5), None);
        let long = |length: usize| format!("u:{}@h/x", "p".repeat(length));
        assert_eq!(all(&long(94), find).len(), 1);
        assert_eq!(all(&long(95), find).len(), 0);
        for (text, found) in [
            ("thin:scott/tiger@h", Some("tiger")),
            ("thin:scott/tiger h", None),
            ("thin:scott/tiger\nh@", None),
            ("thin:/tiger@h", None),
            ("thin:scott/@h", None),
            ("thin:scott:tiger@h", None),
            ("thin:scott/[REDACTED]@h", None),
            ("thin.scott/tiger@h", None),
        ] {
            assert_eq!(
                thin(text.as_bytes(), 0).map(|found| &text[found.start..found.end]),
                found,
                "{text}"
            );
        }
    }

    // REQ: L-2
    #[test]
    fn escaped_urls() {
        let find = |text: &[u8], at: usize| (text[at] == b'%').then(|| encoded(text, at))?;
        for (text, found) in [
            ("x%3A%2F%2Fu%3Ap1%40h", Some("u%3Ap1")),
            ("x%3a%2f%2fu%3ap1%40h", Some("u%3ap1")),
            ("x%253A%252F%252Fu%253Ap1%2540h", Some("u%253Ap1")),
            (
                "x%25253A%25252F%25252Fu%25253Ap1%252540h",
                Some("u%25253Ap1"),
            ),
            ("x%3A%2F%2Fu%3Ap%401%40h", Some("u%3Ap%401")),
            ("x%3A%2F%2Fu%3Ap1%40h%2F%40a", Some("u%3Ap1")),
            ("x%3A%2F%2Fu%3Ap1%40h%3F%40a", Some("u%3Ap1")),
            ("x%3A%2F%2Fu%3Ap%21%40h", Some("u%3Ap%21")),
            ("x%3A%2F%2Fu%3A%40h", None),
            ("x%3A%2F%2Fu%40h", None),
            ("x%3A%2F%2Fu%40h%3A80", None),
            (
                "x%3A%2F%2Faaaaaaaaaaaaaaaaaaaa%40h",
                Some("aaaaaaaaaaaaaaaaaaaa"),
            ),
            ("x%3A%2F%2Faaaaaaaaaaaaaaaaaaa%40h", None),
            ("x%3A%2F%2Fh%2F%40u%3Ap1", None),
            ("x%3A%2F%2Fu%3Ap1 %40h", None),
            ("x%3A%2F%2Fu%3Ap1&%40h", None),
            ("x%3A%2F%2Fu%3Ap1%zz%40h", None),
            ("x%3A%2Fu%3Ap1%40h", None),
            ("x%3A//u%3Ap1%40h", Some("u%3Ap1")),
            ("x%3B//u%3Ap1%40h", None),
            ("x%3A/u%3Ap1%40h", None),
            ("x%2F%2F%2Fu%3Ap1%40h", None),
            ("x%3A%252F%252Fu%3Ap1%40h", None),
            ("x%3A%2F%252Fu%3Ap1%40h", None),
            ("x%3A%2F%2F", None),
            ("x%3A", None),
            ("%", None),
        ] {
            assert_eq!(all(text, find).first(), found.as_ref(), "{text}");
        }
        for (text, sign) in [
            ("%41x", Some((b'A', 3))),
            ("%25", None),
            ("%2541", Some((b'A', 5))),
            ("%252541", Some((b'A', 7))),
            ("%25252541", Some((b'A', 9))),
            ("%2525252541", Some((b'%', 9))),
            ("%4", None),
            ("%4g", None),
            ("41", None),
        ] {
            assert_eq!(escaped(text.as_bytes(), 0), sign, "{text}");
        }
        assert_eq!(escaped(b"x%41", 1), Some((b'A', 3)));
        assert_eq!(escaped(b"x", 9), None);
    }
}

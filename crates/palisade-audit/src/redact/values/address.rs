//! E-mail addresses, and credentials in URLs.

use super::classes::{DOMAIN, LOCAL, run, run_back};
use crate::redact::{Finding, Mask};

/// `local@domain.tld`.
#[inline(never)]
pub(super) fn email(text: &[u8], floor: usize, at: usize) -> Option<Finding> {
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
    // Near the end, so a plain loop is there first.
    let dot = domain.iter().rposition(|byte| *byte == b'.')?;
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
pub(super) fn userinfo(text: &[u8], at: usize) -> Option<Finding> {
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

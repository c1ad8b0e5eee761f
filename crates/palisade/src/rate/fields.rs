//! What answers say about a limit.

use http::header::{HeaderName, HeaderValue};

use super::quota::{Decision, Quota};
use crate::guard::Admit;
use crate::lines::Lines;
use crate::rejection::Rejection;

/// A form of the rate limit fields. Several may be sent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `RateLimit-Limit`, `-Remaining`, `-Reset` and `RateLimit-Policy: 100;w=60`
    /// (draft-ietf-httpapi-ratelimit-headers-06).
    Draft6,
    /// `RateLimit: "name";r=99;t=1` and `RateLimit-Policy: "name";q=100;w=60`
    /// (draft-ietf-httpapi-ratelimit-headers-08).
    Draft8,
    /// `X-RateLimit-Limit`, `-Remaining` and `-Reset`, the last in seconds since 1970, as
    /// express-rate-limit and many public services have it.
    Legacy,
}

static RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
static RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATELIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const X_RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RATELIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Longest policy name, in bytes.
const MAX_NAME: usize = 32;

/// What is the same on every answer, written once.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    draft6: bool,
    draft8: bool,
    legacy: bool,
    limit: HeaderValue,
    /// `"name";r=`
    prefix: Vec<u8>,
    /// The line of the policy, and that of what is left as far as [`prefix`](Self::prefix).
    lines: Vec<u8>,
    policy6: HeaderValue,
    policy8: HeaderValue,
}

impl Fields {
    pub(super) fn new(name: &str, quota: &Quota, styles: &[Style]) -> Self {
        let name = quoted(name);
        let (limit, window) = (quota.limit(), quota.window().as_secs().max(1));
        // Digits and quoted printable ASCII are always a header value.
        let value = |text: String| {
            HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
        };
        let fields = Self {
            draft6: false,
            draft8: false,
            legacy: false,
            limit: HeaderValue::from(limit),
            policy6: value(format!("{limit};w={window}")),
            policy8: value(format!("{name};q={limit};w={window}")),
            lines: format!(
                "{RATELIMIT_POLICY}: {name};q={limit};w={window}\r\n{RATELIMIT}: {name};r="
            )
            .into_bytes(),
            prefix: format!("{name};r=").into_bytes(),
        };
        fields.with_styles(styles)
    }

    pub(super) fn with_styles(mut self, styles: &[Style]) -> Self {
        self.draft6 = styles.contains(&Style::Draft6);
        self.draft8 = styles.contains(&Style::Draft8);
        self.legacy = styles.contains(&Style::Legacy);
        self
    }

    /// Leave to pass, saying what is left. The new fields are lists, to which each limit adds
    /// its part; the old ones hold one value, which is the innermost limit's.
    pub(super) fn admit(&self, decision: &Decision, unix: impl FnOnce() -> u64) -> Admit {
        self.each(
            Admit::pass(),
            decision,
            unix,
            Admit::append,
            Admit::header_or,
        )
    }

    /// `rejection`, saying that nothing is left and for how long.
    pub(super) fn refuse(
        &self,
        rejection: Rejection,
        decision: &Decision,
        unix: impl FnOnce() -> u64,
    ) -> Rejection {
        self.each(
            rejection,
            decision,
            unix,
            Rejection::with_header,
            Rejection::with_header,
        )
    }

    /// Whether every field is a list, to which any number of limits add.
    pub(super) const fn are_lists(&self) -> bool {
        !self.draft6 && !self.legacy
    }

    /// As [`Fields::admit`], written down; only where all [are lists](Self::are_lists).
    pub(super) fn put(&self, decision: &Decision, lines: &mut Lines) {
        if self.draft8 {
            let (mut remaining, mut seconds) = (itoa::Buffer::new(), itoa::Buffer::new());
            let remaining = remaining.format(decision.remaining).as_bytes();
            let seconds = seconds.format(reset(decision)).as_bytes();
            lines.put_ready(&[&self.lines, remaining, b";t=", seconds]);
        }
    }

    fn each<T>(
        &self,
        mut to: T,
        decision: &Decision,
        unix: impl FnOnce() -> u64,
        add: impl Fn(T, HeaderName, HeaderValue) -> T,
        set: impl Fn(T, HeaderName, HeaderValue) -> T,
    ) -> T {
        let reset = reset(decision);
        if self.draft8 {
            to = add(to, RATELIMIT.clone(), self.left(decision.remaining, reset));
            to = add(to, RATELIMIT_POLICY.clone(), self.policy8.clone());
        }
        if self.draft6 {
            to = set(to, RATELIMIT_LIMIT, self.limit.clone());
            to = set(to, RATELIMIT_REMAINING, decision.remaining.into());
            to = set(to, RATELIMIT_RESET, reset.into());
            if !self.draft8 {
                to = add(to, RATELIMIT_POLICY.clone(), self.policy6.clone());
            }
        }
        if self.legacy {
            to = set(to, X_RATELIMIT_LIMIT, self.limit.clone());
            to = set(to, X_RATELIMIT_REMAINING, decision.remaining.into());
            to = set(to, X_RATELIMIT_RESET, unix().saturating_add(reset).into());
        }
        to
    }

    /// `"name";r=99;t=1`, without an allocation but the value's own.
    fn left(&self, remaining: u32, reset: u64) -> HeaderValue {
        const DIGITS: usize = 10 + 3 + 20;
        let mut text = [0; 2 * MAX_NAME + 5 + DIGITS];
        let mut length = 0;
        let mut push = |bytes: &[u8]| {
            text[length..length + bytes.len()].copy_from_slice(bytes);
            length += bytes.len();
        };
        push(&self.prefix);
        push(itoa::Buffer::new().format(remaining).as_bytes());
        push(b";t=");
        push(itoa::Buffer::new().format(reset).as_bytes());
        let value = HeaderValue::from_bytes(&text[..length]);
        let mut value = value.unwrap_or_else(|_| HeaderValue::from_static(""));
        // It changes with every answer: HTTP/2 is to keep no place for it (RFC 7541 section 6.2.3).
        value.set_sensitive(true);
        value
    }
}

/// Seconds, rounded up: a client that waits them is not too early.
pub(super) const fn seconds(nanos: u64) -> u64 {
    nanos.div_ceil(1_000_000_000)
}

/// When to expect more. On a refusal it names the same moment as `Retry-After`: the draft's
/// revisions differ on which of the two may be the earlier.
const fn reset(decision: &Decision) -> u64 {
    seconds(if decision.allowed {
        decision.reset_after
    } else {
        decision.retry_after
    })
}

/// `name` as a structured field string (RFC 9651 section 3.3.3): at most [`MAX_NAME`] bytes,
/// each escaped where it must be, and `_` for what a string cannot hold.
fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for byte in name.bytes().take(MAX_NAME) {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.push('_'),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_gives_a_value() {
        let quota: Quota = "4294967295/h".parse().unwrap();
        for (name, expected) in [
            ("peer", "\"peer\""),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("é\n", "\"___\""),
            (&"\"".repeat(100), &format!("\"{}\"", "\\\"".repeat(32))),
        ] {
            let fields = Fields::new(name, &quota, &[]);
            let value = fields.left(u32::MAX, u64::MAX);
            assert_eq!(value, format!("{expected};r={};t={}", u32::MAX, u64::MAX));
            assert_eq!(fields.policy8, format!("{expected};q={};w=3600", u32::MAX));
        }
    }

    #[test]
    fn seconds_are_rounded_up() {
        for (nanos, expected) in [(0, 0), (1, 1), (1_000_000_000, 1), (1_000_000_001, 2)] {
            assert_eq!(seconds(nanos), expected);
        }
    }
}

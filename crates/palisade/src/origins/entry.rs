//! How the entries of an origin allowlist are read, and what is refused there and why.

use std::fmt;

use regex::{Regex, RegexBuilder};

use super::set::{Exact, Pattern};
use super::{Kind, Origin, OriginError, WebScheme};
use crate::authority::HostEntry;

pub(super) enum Entry {
    Exact(Exact),
    Pattern(Pattern),
    Written(Box<str>),
}

/// An entry of an origin list that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginEntryError {
    entry: String,
    problem: OriginProblem,
}

/// Why an entry is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginProblem {
    /// A regular expression with an unescaped dot where one character stands.
    BareDot,
    /// `*` for any origin.
    Everything,
    /// Not an origin.
    Origin(OriginError),
    /// A pattern off this machine without `https`.
    Plaintext,
    /// A regular expression that does not compile, or is too large.
    Regex(String),
    /// A regular expression that does not begin with its scheme.
    RegexScheme,
    /// A `*` that is not a whole label at the left.
    Star,
    /// A regular expression that allows origins which nobody can have meant.
    TooWide,
    /// A pattern with fewer than two fixed labels.
    TooShort,
}

impl OriginEntryError {
    /// What is wrong.
    #[must_use]
    pub const fn problem(&self) -> &OriginProblem {
        &self.problem
    }

    /// What to write instead.
    #[must_use]
    pub fn remedy(&self) -> String {
        let entry = &self.entry;
        match &self.problem {
            OriginProblem::BareDot => r"write `\.` for a dot, `[a-z0-9-]+` for a label".into(),
            OriginProblem::Everything => {
                "name each origin, such as \"https://app.example.com\"; \
                 for subdomains write \"https://*.app.example.com\""
                    .into()
            }
            OriginProblem::Origin(error) => match error {
                OriginError::NoScheme => format!("write \"https://{entry}\""),
                OriginError::Null => "serve the page from an origin of its own, and name that".into(),
                OriginError::Path => match entry.split_once("://") {
                    Some((scheme, rest)) => {
                        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
                        format!("write \"{scheme}://{host}\"")
                    }
                    None => "write scheme and host alone".into(),
                },
                _ => "write it as browsers send it, such as \"https://app.example.com\"".into(),
            },
            OriginProblem::Plaintext => match entry.split_once("://") {
                Some((_, rest)) => format!("write \"https://{rest}\", or name each origin"),
                None => "write https, or name each origin".into(),
            },
            OriginProblem::Regex(_) => "correct the expression, or name each origin".into(),
            OriginProblem::RegexScheme => {
                r"begin it with `https://`; `http://` is for localhost, 127\.0\.0\.1 and \[::1\] only"
                    .into()
            }
            OriginProblem::Star => {
                "write whole labels at the left, such as \"https://*.app.example.com\"; \
                 for anything else use `origin_regexes`"
                    .into()
            }
            OriginProblem::TooWide => {
                r"end it with the domain that is yours, such as `https://[a-z0-9-]+\.app\.example\.com`"
                    .into()
            }
            OriginProblem::TooShort => {
                "put at least two labels of your own to the right of `*`".into()
            }
        }
    }
}

impl fmt::Display for OriginProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BareDot => "an unescaped dot stands for any character",
            Self::Everything => "this allows every site there is",
            Self::Origin(error) => return error.fmt(f),
            Self::Plaintext => "a pattern without https lets anyone on the network in",
            Self::Regex(error) => return f.write_str(error),
            Self::RegexScheme => "the scheme is open",
            Self::Star => "`*` is not a whole label at the left",
            Self::TooWide => "this allows origins of anyone",
            Self::TooShort => "this allows every site under a top-level domain",
        })
    }
}

impl fmt::Display for OriginEntryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (entry, problem) = (&self.entry, &self.problem);
        write!(f, "{entry:?} is refused: {problem}; {}", self.remedy())
    }
}

impl std::error::Error for OriginEntryError {}

pub(super) fn parse(entry: &str) -> Result<Entry, OriginEntryError> {
    classify(entry).map_err(|problem| OriginEntryError {
        entry: entry.into(),
        problem,
    })
}

pub(super) fn parse_regex(pattern: &str) -> Result<Regex, OriginEntryError> {
    compile(pattern).map_err(|problem| OriginEntryError {
        entry: pattern.into(),
        problem,
    })
}

fn classify(entry: &str) -> Result<Entry, OriginProblem> {
    if entry == "*" {
        return Err(OriginProblem::Everything);
    }
    if let Some((scheme, rest)) = entry.split_once("://")
        && let Some(scheme) = WebScheme::parse(scheme)
        && rest.contains('*')
    {
        return match rest.strip_suffix(":*") {
            Some(host) => any_port(scheme, host).map(Entry::Exact),
            None => pattern(scheme, rest).map(Entry::Pattern),
        };
    }
    let origin = Origin::parse(entry.as_bytes()).map_err(OriginProblem::Origin)?;
    Ok(match origin.kind {
        Kind::Web { scheme, host, port } => Entry::Exact(Exact {
            scheme,
            host: HostEntry::new(host),
            port: Some(port),
        }),
        Kind::Written(text) => Entry::Written(text.into()),
    })
}

/// `http://localhost:*`
fn any_port(scheme: WebScheme, host: &str) -> Result<Exact, OriginProblem> {
    if matches!(host, "" | "*") {
        return Err(OriginProblem::Everything);
    }
    let origin = format!("{}://{host}", scheme.as_str());
    match Origin::parse(origin.as_bytes()).map(|origin| origin.kind) {
        Ok(Kind::Web { host, .. }) if host.is_loopback() => Ok(Exact {
            scheme,
            host: HostEntry::new(host),
            port: None,
        }),
        _ => Err(OriginProblem::Star),
    }
}

/// `https://*.app.example.com`
fn pattern(scheme: WebScheme, rest: &str) -> Result<Pattern, OriginProblem> {
    if rest == "*" {
        return Err(OriginProblem::Everything);
    }
    if rest.contains(['/', '?', '#']) {
        return Err(OriginProblem::Origin(OriginError::Path));
    }
    let mut fixed = rest;
    let mut labels = 0;
    while let Some(right) = fixed.strip_prefix("*.") {
        fixed = right;
        labels += 1;
    }
    if labels == 0 || fixed.contains('*') {
        return Err(OriginProblem::Star);
    }
    let origin = format!("{}://{fixed}", scheme.as_str());
    let origin = Origin::parse(origin.as_bytes()).map_err(OriginProblem::Origin)?;
    let Kind::Web { host, port, .. } = origin.kind else {
        return Err(OriginProblem::Star);
    };
    // A name, not an address.
    let HostEntry::Name(name) = HostEntry::new(host) else {
        return Err(OriginProblem::Star);
    };
    if !name.contains('.') {
        return Err(OriginProblem::TooShort);
    }
    if scheme != WebScheme::Https {
        return Err(OriginProblem::Plaintext);
    }
    Ok(Pattern {
        labels,
        suffix: format!(".{name}").into(),
        port,
    })
}

fn compile(written: &str) -> Result<Regex, OriginProblem> {
    if written.len() > MAX_REGEX {
        let problem = format!("longer than {MAX_REGEX} bytes");
        return Err(OriginProblem::Regex(problem));
    }
    // Anchors and escaped slashes come with expressions that are copied from JavaScript.
    let body = written.strip_prefix('^').unwrap_or(written);
    let body = body.strip_suffix('$').unwrap_or(body);
    let plain = body.replace(r"\/", "/").replace(r"\:", ":");
    let http = plain
        .strip_prefix("http://")
        .or_else(|| plain.strip_prefix("https?://"));
    let here = http.is_some_and(|host| LOOPBACK_REGEX.iter().any(|here| host.starts_with(here)));
    if !plain.starts_with("https://") && !here {
        return Err(OriginProblem::RegexScheme);
    }
    if has_bare_dot(body) {
        return Err(OriginProblem::BareDot);
    }
    let build = |text: &str| {
        RegexBuilder::new(text)
            .size_limit(MAX_COMPILED)
            .dfa_size_limit(MAX_COMPILED)
            .nest_limit(MAX_NESTING)
            .build()
            .map_err(|error| OriginProblem::Regex(error.to_string()))
    };
    // Alone first: `a)|(?:b` would break out of the group that anchors it.
    build(body)?;
    let regex = build(&format!(r"\A(?:{body})\z"))?;
    let open_end = [".*", ".+"].iter().any(|end| body.ends_with(end));
    if open_end || STRANGERS.iter().any(|origin| regex.is_match(origin)) {
        return Err(OriginProblem::TooWide);
    }
    Ok(regex)
}

/// Whether some dot outside a class stands, unescaped, for one character: the usual slip in
/// `https://app.example\.com`, where `https://appxexample.com` matches too.
fn has_bare_dot(pattern: &str) -> bool {
    let mut class = false;
    let mut bytes = pattern.bytes().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                bytes.next();
            }
            b'[' => class = true,
            b']' => class = false,
            b'.' if !class && !matches!(bytes.peek(), Some(b'*' | b'+' | b'?' | b'{')) => {
                return true;
            }
            _ => {}
        }
    }
    false
}

/// Longest regular expression, in bytes.
const MAX_REGEX: usize = 1024;

/// Memory of a compiled regular expression, in bytes.
const MAX_COMPILED: usize = 256 * 1024;

const MAX_NESTING: u32 = 32;

/// How a regular expression may go on after `http://`.
const LOOPBACK_REGEX: [&str; 4] = ["localhost", r"127\.0\.0\.1", r"\[::1\]", "(localhost|"];

/// Origins that nobody lists: an expression that allows one of them allows anyone.
const STRANGERS: [&str; 5] = [
    "https://palisadeprobe.invalid",
    "https://palisadeprobe.invalid:8443",
    "https://palisadeprobe.com",
    "https://palisade-probe-0.com",
    "https://192.0.2.77",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authority::AuthorityError;

    // REQ: C-1, C-2
    #[test]
    fn refuses_entries_and_tells_what_to_write() {
        use OriginProblem::{Everything, Origin as NotOrigin, Plaintext, Star, TooShort};
        for (entry, problem, remedy) in [
            ("*", Everything, "name each origin"),
            ("https://*", Everything, "name each origin"),
            ("http://*:*", Everything, "name each origin"),
            ("https://:*", Everything, "name each origin"),
            ("https://*:443", Star, "whole labels at the left"),
            ("https://*.com", TooShort, "two labels"),
            ("https://*.*.com", TooShort, "two labels"),
            ("https://*.localhost", TooShort, "two labels"),
            ("https://app-*.example.com", Star, "`origin_regexes`"),
            ("https://*app.example.com", Star, "whole labels"),
            ("https://a.*.example.com", Star, "whole labels"),
            ("https://*.a.*.example.com", Star, "whole labels"),
            ("https://app.example.*", Star, "whole labels"),
            ("https://*.1.2.3.4", Star, "whole labels"),
            ("https://*.[::1]", Star, "whole labels"),
            ("https://app.example.com:*", Star, "whole labels"),
            ("https://*.app.example.com:*", Star, "whole labels"),
            ("http://192.168.0.1:*", Star, "whole labels"),
            (
                "http://*.app.example.com",
                Plaintext,
                "write \"https://*.app.example.com\"",
            ),
            (
                "https://*.app.example.com/",
                NotOrigin(OriginError::Path),
                "write \"https://*.app.example.com\"",
            ),
            (
                "https://app.example.com/",
                NotOrigin(OriginError::Path),
                "write \"https://app.example.com\"",
            ),
            (
                "https://app.example.com?x#y/z",
                NotOrigin(OriginError::Path),
                "write \"https://app.example.com\"",
            ),
            (
                "app.example.com",
                NotOrigin(OriginError::NoScheme),
                "write \"https://app.example.com\"",
            ),
            ("null", NotOrigin(OriginError::Null), "origin of its own"),
            (
                "https://*.bücher.example.com",
                NotOrigin(OriginError::Authority(AuthorityError::NotAscii)),
                "as browsers send it",
            ),
            (
                "https://*.app..example.com",
                NotOrigin(OriginError::Authority(AuthorityError::Label)),
                "as browsers send it",
            ),
            (
                "ftp://a.example.com",
                NotOrigin(OriginError::Malformed),
                "as browsers send it",
            ),
            (
                "chrome-extension://*",
                NotOrigin(OriginError::Malformed),
                "as browsers send it",
            ),
        ] {
            let Err(error) = parse(entry) else {
                panic!("{entry} is taken");
            };
            assert_eq!(*error.problem(), problem, "{entry}");
            assert!(error.remedy().contains(remedy), "{entry}: {error}");
            let shown = error.to_string();
            let cause = problem.to_string();
            assert!(!cause.is_empty() && shown.contains(&cause), "{shown}");
            assert!(shown.ends_with(&error.remedy()), "{shown}");
        }
        for entry in [
            "http://localhost:*",
            "HTTPS://LOCALHOST:*",
            "http://[::1]:*",
        ] {
            assert!(parse(entry).is_ok(), "{entry}");
        }
    }

    // REQ: C-2
    #[test]
    fn refuses_regexes_and_tells_what_to_write() {
        use OriginProblem::{BareDot, Regex, RegexScheme, TooWide};
        let long = format!("https://{}", "a".repeat(MAX_REGEX));
        let large = r"https://(\w{100}){100}\.example\.com";
        let deep = format!("https://{}{}", "(".repeat(40), ")".repeat(40));
        for (regex, expected, remedy) in [
            ("", RegexScheme, "begin it with"),
            (r"example\.com", RegexScheme, "begin it with"),
            (r".*", RegexScheme, "begin it with"),
            (r"https?://app\.example\.com", RegexScheme, "begin it with"),
            (r"http://app\.example\.com", RegexScheme, "begin it with"),
            (r"http://127.0.0.1", RegexScheme, "begin it with"),
            (r"/^https:\/\/a\.example$/", RegexScheme, "begin it with"),
            (r"(?i)https://a\.example", RegexScheme, "begin it with"),
            (r"https://app.example\.com", BareDot, r"write `\.`"),
            (r"https://[a-z.]+.example\.com", BareDot, r"write `\.`"),
            (r"https://app\.example.com", BareDot, r"write `\.`"),
            (r"https://.*", TooWide, "the domain that is yours"),
            (r"https://.+\.com", TooWide, "the domain that is yours"),
            (r"https://[^/]+", TooWide, "the domain that is yours"),
            (r"https://[a-z]+\.com", TooWide, "the domain that is yours"),
            (r"https://[a-z0-9-]{15,}\.com", TooWide, "the domain"),
            (r"https://[a-z.]+:8443", TooWide, "the domain"),
            (r"https://\d+\.\d+\.\d+\.\d+", TooWide, "the domain"),
            (r"https://app\.example\.com.*", TooWide, "the domain"),
            (r"https://app\.example\.com.+", TooWide, "the domain"),
        ] {
            let error = parse_regex(regex).unwrap_err();
            assert_eq!(*error.problem(), expected, "{regex}");
            assert!(!expected.to_string().is_empty());
            assert!(error.remedy().contains(remedy), "{regex}: {error}");
        }
        for regex in [
            &long,
            large,
            &deep,
            r"https://a\.example)|(?:https://b\.example",
            r"https://a\.example)|(?:[^x]*",
            r"https://(?x)a#",
            r"https://a\.example\",
            r"https://[a",
        ] {
            let error = parse_regex(regex).unwrap_err();
            assert!(matches!(error.problem(), Regex(_)), "{regex}: {error}");
            assert!(error.remedy().contains("name each origin"));
        }
        let exactly = format!("https://{}", "a".repeat(MAX_REGEX - 8));
        for regex in [
            &exactly,
            r"https://.*\.example\.com",
            r"https://.{3}\.example\.com",
            r"https://x?.?\.example\.com",
            r"https://[.a]\.example\.com",
            r"https://a\.example\.com",
            r"^https:\/\/[\w-]+\.app\.example\.com$",
            r"https?://localhost:\d+",
            r"http://127\.0\.0\.1:\d+",
            r"http://\[::1\]:\d+",
            r"https?://(localhost|127\.0\.0\.1)(:\d+)?",
        ] {
            assert!(parse_regex(regex).is_ok(), "{regex}");
        }
    }
}

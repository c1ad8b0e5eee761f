//! Origins as they are written in the configuration, checked for shape and not compiled.

use std::fmt;
use std::net::IpAddr;

use super::names::{Fault, host_name, loopback_host, port_number, split_port};

/// An entry of `origins`: lower case, of the right shape, not compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginPattern {
    /// The origin or pattern.
    pub text: String,
    /// What it is.
    pub kind: OriginKind,
}

/// What an entry of `origins` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginKind {
    /// `https://app.example.com`: compared by scheme, host and port.
    Exact,
    /// `chrome-extension://…` and the like: compared as written.
    Opaque,
    /// `https://*.app.example.com`: the star is one label of `[a-z0-9-]`.
    Tenant,
}

/// An entry of `origin_regexes`, checked for shape, not compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginRegex {
    /// The expression without its own outer anchors; to be compiled as `^(?:text)$`.
    pub text: String,
    /// Whether it ends in a domain letter by letter, so that no other domain can match.
    pub pins_domain: bool,
}

/// The schemes of browser extensions and of webviews, whose origins are compared as written.
const OPAQUE_SCHEMES: [&str; 8] = [
    "app",
    "capacitor",
    "chrome-extension",
    "moz-extension",
    "ms-browser-extension",
    "safari-web-extension",
    "tauri",
    "vscode-webview",
];

impl OriginPattern {
    /// Reads an origin, a tenant pattern, or an extension's origin.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text == "*" {
            return Err(Fault::new(
                "`*` would let every web site in",
                "name each origin, such as `https://app.example.com`",
            ));
        }
        if text.eq_ignore_ascii_case("null") {
            return Err(Fault::new(
                "`null` is the origin of every sandboxed frame and local file",
                "take it out",
            ));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            let meant = format!("https://{text}");
            return Err(if Self::parse(&meant).is_ok() {
                Fault::meant("it has no scheme", &meant)
            } else {
                Fault::new("it has no scheme", "write it as `https://app.example.com`")
            });
        };
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "http" && scheme != "https" {
            return Self::opaque(&scheme, rest);
        }
        if let Some((authority, path)) = rest.split_once('/') {
            let cause = if path.is_empty() {
                "an origin ends after the host, without a slash"
            } else {
                "an origin has no path"
            };
            let meant = format!("{scheme}://{authority}");
            return Err(if Self::parse(&meant).is_ok() {
                Fault::meant(cause, &meant)
            } else {
                Fault::new(cause, "write it as `https://app.example.com`")
            });
        }
        if rest.contains(['?', '#', '@']) {
            return Err(Fault::new(
                "an origin is a scheme, a host and a port, and nothing else",
                "write it as `https://app.example.com`",
            ));
        }
        let (host, port) = split_port(rest)?;
        if port == Some("*") {
            return Err(Fault::new(
                "a port is a number, not a pattern",
                "name the port, or use `--dev`, which lets every loopback port in",
            ));
        }
        let port = port.map(port_number).transpose()?;
        let default_port = if scheme == "https" { 443 } else { 80 };
        let port = port
            .filter(|port| *port != default_port)
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        if !host.contains('*') {
            let host = host_name(host)?;
            return Ok(Self {
                text: format!("{scheme}://{host}{port}"),
                kind: OriginKind::Exact,
            });
        }
        let base = tenant_base(host)?;
        if scheme == "http" && !loopback_host(&base) {
            return Err(Fault::meant(
                "a pattern off loopback must demand `https`",
                &format!("https://*.{base}{port}"),
            ));
        }
        Ok(Self {
            text: format!("{scheme}://*.{base}{port}"),
            kind: OriginKind::Tenant,
        })
    }

    /// Whether it is plain HTTP off loopback: allowed when exact, and worth a warning.
    #[must_use]
    pub fn is_plaintext_remote(&self) -> bool {
        self.kind == OriginKind::Exact
            && self
                .text
                .strip_prefix("http://")
                .and_then(|authority| split_port(authority).ok())
                .is_some_and(|(host, _)| !loopback_host(host))
    }

    fn opaque(scheme: &str, rest: &str) -> Result<Self, Fault> {
        if !OPAQUE_SCHEMES.contains(&scheme) {
            return Err(Fault::new(
                "its scheme is neither `http`, `https` nor that of an extension or a webview",
                &format!("use one of http, https, {}", OPAQUE_SCHEMES.join(", ")),
            ));
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if rest.is_empty() || !rest.bytes().all(plain) {
            return Err(Fault::new(
                "an extension's origin is its scheme and its id, and nothing else",
                &format!("write it as `{scheme}://id`"),
            ));
        }
        Ok(Self {
            text: format!("{scheme}://{rest}"),
            kind: OriginKind::Opaque,
        })
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl OriginRegex {
    /// Reads an expression. It needs no anchors, since it is anchored by construction; what is
    /// looked for here is what anchoring cannot mend.
    ///
    /// # Errors
    /// A [`Fault`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let inner = text.strip_prefix('^').unwrap_or(text);
        let inner = match inner.strip_suffix('$') {
            Some(stripped) if !ends_in_escape(stripped) => stripped,
            _ => inner,
        };
        if inner.len() > 1024 {
            return Err(Fault::new(
                "it is longer than 1,024 bytes",
                "split it into several",
            ));
        }
        check_regex(inner)?;
        let Some((https, rest)) = inner
            .strip_prefix("https://")
            .map(|rest| (true, rest))
            .or_else(|| inner.strip_prefix("http://").map(|rest| (false, rest)))
        else {
            return Err(Fault::new(
                "it must begin with `https://`, letter by letter",
                r"write it as `https://[a-z0-9-]+\.example\.com`",
            ));
        };
        if !https && !is_loopback_regex(rest) {
            return Err(Fault::new(
                "a pattern off loopback must demand `https`",
                "begin it with `https://`",
            ));
        }
        Ok(Self {
            text: inner.to_owned(),
            pins_domain: !https || pins_domain(rest),
        })
    }
}

impl fmt::Display for OriginRegex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The part after `*.`, if the star is the whole left-most label and the only one.
fn tenant_base(host: &str) -> Result<String, Fault> {
    let Some(base) = host.strip_prefix("*.") else {
        return Err(Fault::new(
            "the `*` must be the whole first label",
            "write it as `https://*.app.example.com`",
        ));
    };
    if base.contains('*') {
        return Err(Fault::new(
            "only one `*` is allowed",
            "write it as `https://*.app.example.com`",
        ));
    }
    let base = host_name(base)?;
    if base.parse::<IpAddr>().is_ok() || base.starts_with('[') {
        return Err(Fault::new(
            "an address has no subdomains",
            "name the address exactly",
        ));
    }
    if !base.contains('.') && base != "localhost" {
        return Err(Fault::new(
            "the pattern would match every domain below a top-level domain",
            "name the domain as well, such as `https://*.example.com`",
        ));
    }
    Ok(base)
}

/// How a regular expression may say "any port".
const PORT_REGEXES: [&str; 6] = [
    "(:[0-9]+)?",
    "(?::[0-9]+)?",
    r"(:\d+)?",
    r"(?::\d+)?",
    ":[0-9]+",
    r":\d+",
];

/// The expression without a port at its end.
fn without_port_regex(text: &str) -> &str {
    if let Some(host) = PORT_REGEXES.iter().find_map(|port| text.strip_suffix(port)) {
        return host;
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => text,
    }
}

/// Whether the expression is a loopback host, letter by letter, with or without a port.
fn is_loopback_regex(text: &str) -> bool {
    ["localhost", r"127\.0\.0\.1", r"\[::1\]"].contains(&without_port_regex(text))
}

/// Whether the expression ends in `\.` or nothing before two labels letter by letter.
fn pins_domain(text: &str) -> bool {
    if is_loopback_regex(text) {
        return true;
    }
    let literal = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let mut labels = without_port_regex(text).rsplit(r"\.");
    let last_two = labels.next().is_some_and(literal) && labels.next().is_some_and(literal);
    // Whatever stands before ends at a dot of the host name, or there is nothing before.
    last_two && !text.contains(r"\\")
}

/// Refuses what anchoring cannot mend: alternatives at the top, flags that change the meaning of
/// the rest, and dots that match any character.
fn check_regex(text: &str) -> Result<(), Fault> {
    let (mut depth, mut class, mut escaped) = (0_u32, false, false);
    let bytes = text.as_bytes();
    for (index, byte) in bytes.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        match byte {
            b'\\' => escaped = true,
            b'[' => class = true,
            b']' => class = false,
            b'(' if !class => {
                depth += 1;
                if bytes.get(index + 1) == Some(&b'?') && bytes.get(index + 2) != Some(&b':') {
                    return Err(Fault::new(
                        "flags and named groups have no place in an origin",
                        "write a group as `(…)` or `(?:…)`",
                    ));
                }
            }
            b')' if !class => {
                depth = depth.checked_sub(1).ok_or_else(unbalanced)?;
            }
            b'|' if !class && depth == 0 => {
                return Err(Fault::new(
                    "an alternative outside parentheses would escape the demand for `https`",
                    "write each alternative as an entry of its own, or put parentheses round it",
                ));
            }
            b'.' if !class => {
                return Err(Fault::new(
                    "a bare `.` matches any character, so that another domain can match",
                    r"write the dot of a host name as `\.`, and a label as `[a-z0-9-]+`",
                ));
            }
            _ => {}
        }
    }
    if depth == 0 && !class && !escaped {
        Ok(())
    } else {
        Err(unbalanced())
    }
}

fn unbalanced() -> Fault {
    Fault::new(
        "a bracket or parenthesis has no partner",
        "close each one that is opened",
    )
}

fn ends_in_escape(text: &str) -> bool {
    text.bytes().rev().take_while(|b| *b == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: C-2
    #[test]
    fn regexes_that_no_anchor_can_mend_are_refused() {
        for (text, wanted) in [
            (r"https://[a-z0-9-]+\.example\.com", Some(true)),
            (r"^https://[a-z0-9-]+\.example\.com$", Some(true)),
            (r"https://(a|b)\.example\.com(:[0-9]+)?", Some(true)),
            (r"https://example\.com:8443", Some(true)),
            (r"http://localhost:5173", Some(true)),
            (r"http://127\.0\.0\.1(:\d+)?", Some(true)),
            // Allowed with a warning: another domain can match.
            (r"https://[a-z]+", Some(false)),
            (r"https://[a-z.]+example\.com", Some(false)),
            (r"https://app\.example\.(com|org)", Some(false)),
            (r"https://a\\.example.com", None),
            (r"https://a\.example|http://evil\.example", None),
            (r"https://a\.example)|(http://evil\.example", None),
            (r"https://a\.example)((|http://evil\.example)", None),
            ("https://(?x)a\\.example# (\n|http://evil", None),
            (r"https://app.example\.com", None),
            (r"https://.*\.example\.com", None),
            (r"http://localhost(:[0-9]+)?(evil)?", None),
            (r"http://localhost.evil", None),
            (r"http://[a-z]+\.example\.com", None),
            (r"(https|http)://a\.example\.com", None),
            (r"https://[a-z", None),
            ("https://a\\", None),
            ("", None),
        ] {
            assert_eq!(
                OriginRegex::parse(text).ok().map(|regex| regex.pins_domain),
                wanted,
                "{text}"
            );
        }
    }
}

//! The plain HTTP listener that only redirects: what it answers, without any I/O.
//!
//! An answer's `Location` is put together from the configured host and from bytes that passed a
//! check, never from the request's own spelling of the host: there is no open redirect to be had.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};

/// The longest path with query, in bytes, that is kept.
pub const MAX_KEPT_TARGET: usize = 4096;

/// Decides what a plain HTTP request is told.
#[derive(Clone, Debug)]
pub struct Redirect {
    /// From the host as [`normal_host`] writes it to the origin to send the client to.
    origins: HashMap<String, String>,
}

impl Redirect {
    /// Redirects requests for `hosts` (names, addresses or `[IPv6]`, each with or without a port, which
    /// is ignored) to the same host under `https` at `https_port`: the port that clients reach, which
    /// behind a port mapping is not the one that is bound.
    ///
    /// What is no host is left out; the configuration has judged its hosts before.
    pub fn new<'a>(hosts: impl IntoIterator<Item = &'a str>, https_port: u16) -> Self {
        let origins = hosts
            .into_iter()
            .filter_map(normal_host)
            .map(|host| {
                let origin = if https_port == 443 {
                    format!("https://{host}")
                } else {
                    format!("https://{host}:{https_port}")
                };
                (host, origin)
            })
            .collect();
        Self { origins }
    }

    /// The answer to `request`.
    ///
    /// * 308 (RFC 9110, section 15.4.9) to the same path and query at the `https` origin, if the host is
    ///   ours. A path that two parties could read differently is not passed on: the target is then `/`.
    /// * 400 if there is no Host, more than one, one that is malformed, or one that contradicts an
    ///   absolute-form target (RFC 9112, sections 3.2 and 3.2.2), and for the asterisk form.
    /// * 403 if the host is not ours.
    /// * 405 for CONNECT and TRACE.
    ///
    /// Every answer carries the security headers but for HSTS, which browsers must ignore over plain
    /// HTTP (RFC 6797, section 8.1), and none echoes the request.
    pub fn answer<B>(&self, request: &Request<B>) -> Response<Bytes> {
        if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
            let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
            let allow = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            answer.headers_mut().insert(header::ALLOW, allow);
            return answer;
        }
        let Some(host) = host(request.uri(), request.headers()) else {
            return refusal(
                StatusCode::BAD_REQUEST,
                "the request needs one valid Host header\n",
            );
        };
        let Some(origin) = self.origins.get(&host) else {
            return refusal(StatusCode::FORBIDDEN, "this host is not served here\n");
        };
        if request.uri().path() == "*" {
            return refusal(StatusCode::BAD_REQUEST, "the request needs a path\n");
        }
        let location = format!("{origin}{}", kept_target(request.uri()));
        match HeaderValue::try_from(location) {
            Ok(location) => {
                let mut answer = respond(
                    StatusCode::PERMANENT_REDIRECT,
                    "use https instead of http\n",
                );
                answer.headers_mut().insert(header::LOCATION, location);
                answer
            }
            Err(_) => refusal(StatusCode::BAD_REQUEST, "the request needs a path\n"),
        }
    }
}

/// The headers of every answer: those of the requirement list, less HSTS. The policy forbids
/// everything, as no page is served.
pub(super) const SECURITY_HEADERS: [(HeaderName, HeaderValue); 11] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("origin-agent-cluster"),
        HeaderValue::from_static("?1"),
    ),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), microphone=(), geolocation=(), payment=()"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::X_DNS_PREFETCH_CONTROL,
        HeaderValue::from_static("off"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("x-permitted-cross-domain-policies"),
        HeaderValue::from_static("none"),
    ),
];

fn respond(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(text.as_bytes()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.extend(SECURITY_HEADERS);
    answer
}

/// An answer after which the connection closes: what follows on it is worth no more.
fn refusal(status: StatusCode, text: &'static str) -> Response<Bytes> {
    let mut answer = respond(status, text);
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(header::CONNECTION, close);
    answer
}

/// The one host that the request is for, in normal form.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut values = headers.get_all(header::HOST).iter();
    let named = match (values.next(), values.next()) {
        (Some(value), None) => Some(normal_host(value.to_str().ok()?)?),
        (None, _) => None,
        (Some(_), Some(_)) => return None,
    };
    match (uri.authority(), named) {
        (None, named) => named,
        // HTTP/1.1 demands Host beside the absolute form as well; HTTP/1.0 has neither.
        (Some(authority), Some(named)) => (normal_host(authority.as_str())? == named
            && uri.scheme_str() == Some("http"))
        .then_some(named),
        (Some(_), None) => None,
    }
}

/// `host [":" port]` in one spelling: lower case, no final dot, no port, addresses in canonical form,
/// IPv6 in brackets. `None` for anything else, user information included.
fn normal_host(text: &str) -> Option<String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            (format!("[{address}]"), after)
        }
        None => {
            let (host, port) = match text.find(':') {
                Some(colon) => text.split_at(colon),
                None => (text, ""),
            };
            (normal_name(host)?, port)
        }
    };
    let port_fits = match port.strip_prefix(':') {
        Some(digits) => {
            digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits.is_empty() || digits.parse::<u16>().is_ok())
        }
        None => port.is_empty(),
    };
    port_fits.then_some(host)
}

/// A DNS name (letters, digits, hyphen and underscore in labels of 1 to 63) or an IPv4 address.
fn normal_name(text: &str) -> Option<String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return match address {
            IpAddr::V4(address) => Some(Ipv4Addr::to_string(&address)),
            IpAddr::V6(_) => None,
        };
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label_fits = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    let fits = name.len() <= 253 && name.split('.').all(label_fits);
    fits.then(|| name.to_ascii_lowercase())
}

/// Path and query, or `/` if anybody could read the path in two ways.
fn kept_target(uri: &Uri) -> &str {
    match uri.path_and_query() {
        Some(target) if target.as_str().len() <= MAX_KEPT_TARGET => {
            // A query has no structure that a path has; it only must be fit for a header.
            let query = target.query().unwrap_or_default();
            if unambiguous(target.path()) && query.bytes().all(|byte| byte.is_ascii_graphic()) {
                target.as_str()
            } else {
                "/"
            }
        }
        _ => "/",
    }
}

/// Whether a path begins with one slash, has no empty, `.` or `..` segment however written, no
/// backslash, no encoded slash, backslash or control character, and otherwise only what RFC 3986,
/// section 3.3, has in a path.
fn unambiguous(path: &str) -> bool {
    let Some(segments) = path.strip_prefix('/') else {
        return false;
    };
    let mut segments = segments.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if segment.is_empty() && !last {
            return false;
        }
        if !plain(segment) || is_dots(segment) {
            return false;
        }
    }
    true
}

/// `.` or `..`, with any of the dots percent-encoded.
fn is_dots(segment: &str) -> bool {
    let decoded = segment.replace("%2e", ".").replace("%2E", ".");
    decoded == "." || decoded == ".."
}

/// Whether `text` is made of `pchar`s (RFC 3986, section 3.3), and no percent-encoding stands for a
/// slash, a backslash, a control character, or a percent sign that a second decoding would take up.
fn plain(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                match (digit(bytes.next()), digit(bytes.next())) {
                    (Some(high), Some(low)) => {
                        let value = high * 16 + low;
                        value >= 0x20
                            && value != 0x7f
                            && ![b'/', b'\\', b'%'].map(u32::from).contains(&value)
                    }
                    _ => false,
                }
            }
            b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+'
            | b',' | b';' | b'=' | b':' | b'@' => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if !fits {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn redirect() -> Redirect {
        Redirect::new(
            ["mcp.example.com", "localhost:8080", "127.0.0.1", "[::1]"],
            8443,
        )
    }

    fn request(method: &str, target: &str, hosts: &[&str]) -> Request<()> {
        let mut request = Request::builder().method(method).uri(target);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        request.body(()).unwrap()
    }

    fn location(answer: &Response<Bytes>) -> Option<&str> {
        Some(answer.headers().get(header::LOCATION)?.to_str().unwrap())
    }

    // REQ: T-3
    #[test]
    fn hosts() {
        const OURS: &str = "https://mcp.example.com:8443/mcp";
        for (target, hosts, status, wanted) in [
            ("/mcp", &["mcp.example.com"][..], 308, Some(OURS)),
            ("/mcp", &["mcp.example.com:80"], 308, Some(OURS)),
            ("/mcp", &["MCP.Example.COM."], 308, Some(OURS)),
            (
                "/mcp",
                &["localhost"],
                308,
                Some("https://localhost:8443/mcp"),
            ),
            (
                "/mcp",
                &["[0:0::1]:80"],
                308,
                Some("https://[::1]:8443/mcp"),
            ),
            (
                "/mcp",
                &["127.0.0.1:8080"],
                308,
                Some("https://127.0.0.1:8443/mcp"),
            ),
            (
                "http://mcp.example.com/mcp",
                &["mcp.example.com"],
                308,
                Some(OURS),
            ),
            // Absolute form that says something else than Host, or something else than http.
            ("http://evil.example/mcp", &["mcp.example.com"], 400, None),
            ("http://mcp.example.com/mcp", &["evil.example"], 400, None),
            (
                "http://u@mcp.example.com/mcp",
                &["mcp.example.com"],
                400,
                None,
            ),
            (
                "https://mcp.example.com/mcp",
                &["mcp.example.com"],
                400,
                None,
            ),
            ("http://mcp.example.com/mcp", &[], 400, None),
            ("/mcp", &[], 400, None),
            ("/mcp", &[""], 400, None),
            ("/mcp", &["mcp.example.com", "mcp.example.com"], 400, None),
            ("/mcp", &["mcp.example.com:80@evil.example"], 400, None),
            ("/mcp", &["user@mcp.example.com"], 400, None),
            ("/mcp", &["mcp.example.com/evil"], 400, None),
            ("/mcp", &["mcp.example.com, evil.example"], 400, None),
            ("/mcp", &["mcp.example.com:"], 308, Some(OURS)),
            ("/mcp", &["mcp.example.com:65536"], 400, None),
            ("/mcp", &["mcp.example.com:+80"], 400, None),
            ("/mcp", &["mcp.example.com.."], 400, None),
            ("/mcp", &["::1"], 400, None),
            ("/mcp", &["[::1"], 400, None),
            ("/mcp", &["[::1]evil"], 400, None),
            ("/mcp", &["[fe80::1%25eth0]"], 400, None),
            ("/mcp", &["evil.example"], 403, None),
            ("/mcp", &["mcp.example.com.evil.example"], 403, None),
            ("/mcp", &["xmcp.example.com"], 403, None),
            ("/mcp", &["example.com"], 403, None),
            ("/mcp", &["127.0.0.2"], 403, None),
        ] {
            let answer = redirect().answer(&request("GET", target, hosts));
            assert_eq!(answer.status(), status, "{target} {hosts:?}");
            assert_eq!(location(&answer), wanted, "{target} {hosts:?}");
        }
    }

    // REQ: T-3
    #[test]
    fn paths() {
        for (target, kept) in [
            ("/", "/"),
            ("/mcp", "/mcp"),
            ("/mcp/", "/mcp/"),
            (
                "/a/b.c/..d/e%20f?x=1&y=%2F..%2F",
                "/a/b.c/..d/e%20f?x=1&y=%2F..%2F",
            ),
            (
                "/mcp?next=https://evil.example/",
                "/mcp?next=https://evil.example/",
            ),
            ("/@evil.example", "/@evil.example"),
            ("/:80", "/:80"),
            ("//evil.example/x", "/"),
            ("/a//b", "/"),
            ("/a//", "/"),
            ("/../etc", "/"),
            ("/a/./b", "/"),
            ("/a/..", "/"),
            ("/a/%2e%2E/b", "/"),
            ("/a/.%2e", "/"),
            ("/a/%2", "/"),
            ("/a/%zz", "/"),
            ("/a%2fb", "/"),
            ("/a%5Cb", "/"),
            ("/a\\b", "/"),
            ("/a%00b", "/"),
            ("/a%0d%0aSet-Cookie:x", "/"),
            ("/a%7f", "/"),
            ("/a%252e", "/"),
            ("/{a}", "/"),
        ] {
            let Ok(uri) = target.parse::<Uri>() else {
                // What the `http` crate refuses never gets this far.
                continue;
            };
            let mut request = request("POST", "/", &["mcp.example.com"]);
            *request.uri_mut() = uri;
            let answer = redirect().answer(&request);
            assert_eq!(answer.status(), 308);
            let wanted = format!("https://mcp.example.com:8443{kept}");
            assert_eq!(location(&answer), Some(wanted.as_str()), "{target}");
        }
        let long = format!("/{}", "a".repeat(MAX_KEPT_TARGET));
        let answer = redirect().answer(&request("GET", &long, &["mcp.example.com"]));
        assert_eq!(location(&answer), Some("https://mcp.example.com:8443/"));
    }

    #[test]
    fn methods_and_forms() {
        for (method, target, status) in [
            ("GET", "/", 308),
            ("HEAD", "/", 308),
            ("POST", "/", 308),
            ("DELETE", "/", 308),
            ("OPTIONS", "/", 308),
            ("OPTIONS", "*", 400),
            ("TRACE", "/", 405),
            ("CONNECT", "mcp.example.com:80", 405),
        ] {
            let answer = redirect().answer(&request(method, target, &["mcp.example.com"]));
            assert_eq!(answer.status(), status, "{method} {target}");
        }
    }

    // REQ: S-1, T-3
    #[test]
    fn every_answer_carries_the_headers_but_hsts() {
        for (request, status) in [
            (request("GET", "/", &["mcp.example.com"]), 308),
            (request("GET", "/", &["evil.example"]), 403),
            (request("GET", "/", &[]), 400),
            (request("TRACE", "/", &["mcp.example.com"]), 405),
        ] {
            let answer = redirect().answer(&request);
            assert_eq!(answer.status(), status);
            for (name, value) in SECURITY_HEADERS {
                assert_eq!(answer.headers().get(&name), Some(&value), "{status} {name}");
            }
            assert!(!answer.headers().contains_key("strict-transport-security"));
            assert_eq!(
                answer.headers().contains_key(header::CONNECTION),
                status != 308
            );
        }
    }

    #[test]
    fn the_standard_port_is_left_out() {
        let redirect = Redirect::new(["mcp.example.com"], 443);
        let answer = redirect.answer(&request("GET", "/mcp", &["mcp.example.com:80"]));
        assert_eq!(location(&answer), Some("https://mcp.example.com/mcp"));
    }

    proptest! {
        /// Whatever the request, the client is sent to one of our origins or nowhere, and a browser
        /// reads the target's path as we do.
        #[test]
        fn no_open_redirect(
            host in "(mcp\\.example\\.com|localhost)?[ -~]{0,12}",
            path in "[/\\\\.%a-fA-F0-9@:?#-]{0,24}",
        ) {
            let Ok(host) = HeaderValue::try_from(host) else { return Ok(()) };
            let Ok(uri) = format!("/{path}").parse::<Uri>() else { return Ok(()) };
            let mut request = Request::new(());
            *request.uri_mut() = uri;
            request.headers_mut().insert(header::HOST, host);
            let answer = redirect().answer(&request);
            let Some(location) = location(&answer) else {
                prop_assert!(answer.status().is_client_error());
                return Ok(());
            };
            let rest = ["https://mcp.example.com:8443/", "https://localhost:8443/"]
                .iter()
                .find_map(|origin| location.strip_prefix(origin));
            prop_assert!(rest.is_some(), "{location}");
            let path = rest.unwrap().split('?').next().unwrap();
            prop_assert!(!path.starts_with('/') && !path.contains("//") && !path.contains('\\'));
            let dotted = path.to_ascii_lowercase().replace("%2e", ".");
            prop_assert!(dotted.split('/').all(|segment| segment != "." && segment != ".."));
        }
    }
}

//! What CORS is to allow, checked and turned into header values once.

use std::fmt;
use std::sync::Arc;

use http::Method;
use http::header::{HeaderName, HeaderValue};

use crate::guard::Mode;
use crate::origins::OriginSet;

/// How long a browser may keep a preflight's answer, in seconds.
pub const DEFAULT_MAX_AGE: u32 = 600;

/// What CORS allows. Made by [`CorsPolicy::builder`].
#[derive(Debug)]
pub struct CorsPolicy {
    pub(super) mode: Mode,
    pub(super) origins: Arc<OriginSet>,
    pub(super) private_network: OriginSet,
    pub(super) methods: Vec<Method>,
    pub(super) credentials: bool,
    pub(super) allow_methods: HeaderValue,
    pub(super) allow_headers: Option<HeaderValue>,
    pub(super) expose_headers: Option<HeaderValue>,
    pub(super) max_age: HeaderValue,
    pub(super) preflight_vary: HeaderValue,
    names: Vec<HeaderName>,
}

impl CorsPolicy {
    /// A policy for `origins`; all else at its default.
    pub fn builder(origins: impl Into<Arc<OriginSet>>) -> CorsPolicyBuilder {
        CorsPolicyBuilder {
            mode: Mode::default(),
            origins: origins.into(),
            private_network: OriginSet::new(),
            methods: METHODS.map(str::to_owned).into(),
            credentials: false,
            allow_headers: Vec::new(),
            replace_headers: false,
            expose_headers: Vec::new(),
            max_age: DEFAULT_MAX_AGE,
        }
    }

    /// Whether a request may carry the header `name`.
    pub(super) fn lists(&self, name: &[u8]) -> bool {
        let same = |listed: &HeaderName| listed.as_str().as_bytes().eq_ignore_ascii_case(name);
        self.names.iter().any(same)
    }
}

/// Builds a [`CorsPolicy`]. Nothing is checked before [`CorsPolicyBuilder::build`].
#[derive(Clone, Debug)]
#[must_use]
pub struct CorsPolicyBuilder {
    mode: Mode,
    origins: Arc<OriginSet>,
    private_network: OriginSet,
    methods: Vec<String>,
    credentials: bool,
    allow_headers: Vec<String>,
    replace_headers: bool,
    expose_headers: Vec<String>,
    max_age: u32,
}

impl CorsPolicyBuilder {
    /// Enforce (the default), report or off.
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether pages may send cookies and other credentials of the browser; off by default.
    pub const fn credentials(mut self, credentials: bool) -> Self {
        self.credentials = credentials;
        self
    }

    /// How long a browser may keep a preflight's answer, in seconds; default 600, at most 86,400.
    pub const fn max_age(mut self, seconds: u32) -> Self {
        self.max_age = seconds;
        self
    }

    /// The methods, in place of GET, POST, DELETE and OPTIONS.
    pub fn methods<T: Into<String>>(mut self, methods: impl IntoIterator<Item = T>) -> Self {
        self.methods = methods.into_iter().map(Into::into).collect();
        self
    }

    /// Request headers beside those that MCP clients send: `Content-Type`, `Authorization`,
    /// `Accept`, `Mcp-Session-Id`, `MCP-Protocol-Version`, `Mcp-Method`, `Mcp-Name`,
    /// `Last-Event-ID`, `X-Request-ID`, `traceparent`, `tracestate`.
    ///
    /// Each `Mcp-Param-…` header is named in full: CORS knows no prefixes.
    pub fn allow_headers<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.allow_headers.extend(names.into_iter().map(Into::into));
        self
    }

    /// Allows only what [`CorsPolicyBuilder::allow_headers`] names.
    pub const fn replace_headers(mut self, replace: bool) -> Self {
        self.replace_headers = replace;
        self
    }

    /// Headers that a page may read beside `Mcp-Session-Id`, `MCP-Protocol-Version`,
    /// `WWW-Authenticate`, `X-Request-ID`, `Retry-After`, `RateLimit` and `RateLimit-Policy`.
    pub fn expose_headers<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.expose_headers
            .extend(names.into_iter().map(Into::into));
        self
    }

    /// Origins that get `Access-Control-Allow-Private-Network` when they ask for it; none by
    /// default. They must be allowed origins too.
    pub fn private_network(mut self, origins: OriginSet) -> Self {
        self.private_network = origins;
        self
    }

    /// Checks and compiles the policy.
    ///
    /// # Errors
    /// The first key that is wrong, and what to write instead.
    pub fn build(self) -> Result<CorsPolicy, CorsPolicyError> {
        if self.credentials && self.origins.is_empty() {
            return Err(CorsPolicyError::CredentialsForNobody);
        }
        if self.max_age > MAX_MAX_AGE {
            return Err(CorsPolicyError::MaxAge(self.max_age));
        }
        let methods = self.methods.iter().map(|method| parse_method(method));
        let methods = methods.collect::<Result<Vec<_>, _>>()?;
        if methods.is_empty() {
            return Err(CorsPolicyError::NoMethod);
        }
        let defaults: &[&str] = if self.replace_headers {
            &[]
        } else {
            &ALLOW_HEADERS
        };
        let (names, allow_headers) =
            header_list("cors.allow_headers", defaults, &self.allow_headers)?;
        let (_, expose_headers) =
            header_list("cors.expose_headers", &EXPOSE_HEADERS, &self.expose_headers)?;
        let preflight_vary = if self.private_network.is_empty() {
            VARY_PREFLIGHT
        } else {
            VARY_PRIVATE_NETWORK
        };
        let allow_methods = methods.iter().map(Method::as_str).collect::<Vec<_>>();
        Ok(CorsPolicy {
            mode: self.mode,
            origins: self.origins,
            private_network: self.private_network,
            allow_methods: joined(&allow_methods)
                .map_err(|()| CorsPolicyError::Method(allow_methods.join(", ")))?,
            methods,
            credentials: self.credentials,
            allow_headers,
            expose_headers,
            max_age: HeaderValue::from(self.max_age),
            preflight_vary: HeaderValue::from_static(preflight_vary),
            names,
        })
    }
}

/// A CORS policy that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CorsPolicyError {
    /// Credentials are on and no origin is listed.
    CredentialsForNobody,
    /// Not a header name.
    Header {
        /// The configuration key.
        key: &'static str,
        /// What stands there.
        name: String,
    },
    /// Longer than any browser keeps it.
    MaxAge(u32),
    /// Not a method that a page can send.
    Method(String),
    /// An empty list of methods.
    NoMethod,
    /// A wildcard in place of a name.
    Wildcard {
        /// The configuration key.
        key: &'static str,
        /// What stands there.
        name: String,
    },
}

impl CorsPolicyError {
    /// The configuration key that is wrong.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::CredentialsForNobody => "cors.credentials",
            Self::Header { key, .. } | Self::Wildcard { key, .. } => key,
            Self::MaxAge(_) => "cors.max_age",
            Self::Method(_) | Self::NoMethod => "cors.methods",
        }
    }

    /// What to write instead.
    #[must_use]
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::CredentialsForNobody => {
                "name the origins in `cors.origins`, or leave credentials off"
            }
            Self::Header { .. } => "write the header's name alone, such as \"X-Request-ID\"",
            Self::MaxAge(_) => "write at most 86400; Chrome keeps it for 7200 at most",
            Self::Method(_) => {
                "write methods as they are sent, such as \"GET\"; \
                 browsers never send CONNECT, TRACE or TRACK"
            }
            Self::NoMethod => "name at least one method, or leave the key out",
            Self::Wildcard { .. } => {
                "name each in full: with credentials browsers take `*` for a name, and CORS \
                 knows no prefixes such as `Mcp-Param-*`"
            }
        }
    }
}

impl fmt::Display for CorsPolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CredentialsForNobody => {
                f.write_str("credentials are allowed, but no origin is")?;
            }
            Self::Header { name, .. } => write!(f, "{name:?} is not a header name")?,
            Self::MaxAge(seconds) => write!(f, "{seconds} seconds is more than a day")?,
            Self::Method(method) => write!(f, "{method:?} is not a method that pages send")?,
            Self::NoMethod => f.write_str("no method is allowed")?,
            Self::Wildcard { name, .. } => write!(f, "{name:?} is a wildcard")?,
        }
        write!(f, "; {}", self.remedy())
    }
}

impl std::error::Error for CorsPolicyError {}

fn parse_method(text: &str) -> Result<Method, CorsPolicyError> {
    if text.contains('*') {
        return Err(CorsPolicyError::Wildcard {
            key: "cors.methods",
            name: text.into(),
        });
    }
    let forbidden = ["CONNECT", "TRACE", "TRACK"];
    match Method::from_bytes(text.as_bytes()) {
        Ok(method) if !forbidden.iter().any(|name| name.eq_ignore_ascii_case(text)) => Ok(method),
        _ => Err(CorsPolicyError::Method(text.into())),
    }
}

/// The names, and the header value that lists them as they are written, without doubles.
fn header_list(
    key: &'static str,
    defaults: &[&str],
    more: &[String],
) -> Result<(Vec<HeaderName>, Option<HeaderValue>), CorsPolicyError> {
    let mut names = Vec::new();
    let mut written = Vec::new();
    for text in defaults
        .iter()
        .copied()
        .chain(more.iter().map(String::as_str))
    {
        let name = || text.to_owned();
        if text.contains('*') {
            return Err(CorsPolicyError::Wildcard { key, name: name() });
        }
        let parsed = HeaderName::from_bytes(text.as_bytes())
            .map_err(|_| CorsPolicyError::Header { key, name: name() })?;
        if !names.contains(&parsed) {
            names.push(parsed);
            written.push(text);
        }
    }
    let value = if written.is_empty() {
        None
    } else {
        let value = joined(&written);
        Some(value.map_err(|()| CorsPolicyError::Header {
            key,
            name: written.join(", "),
        })?)
    };
    Ok((names, value))
}

fn joined(items: &[&str]) -> Result<HeaderValue, ()> {
    HeaderValue::try_from(items.join(", ")).map_err(drop)
}

const METHODS: [&str; 4] = ["GET", "POST", "DELETE", "OPTIONS"];

/// What MCP clients of both protocol eras send.
const ALLOW_HEADERS: [&str; 11] = [
    "Content-Type",
    "Authorization",
    "Accept",
    "Mcp-Session-Id",
    "MCP-Protocol-Version",
    "Mcp-Method",
    "Mcp-Name",
    "Last-Event-ID",
    "X-Request-ID",
    "traceparent",
    "tracestate",
];

/// What a page needs to read to speak MCP, to log in and to wait.
const EXPOSE_HEADERS: [&str; 7] = [
    "Mcp-Session-Id",
    "MCP-Protocol-Version",
    "WWW-Authenticate",
    "X-Request-ID",
    "Retry-After",
    "RateLimit",
    "RateLimit-Policy",
];

/// A day: what Firefox keeps; Chrome keeps two hours.
const MAX_MAX_AGE: u32 = 86_400;

const VARY_PREFLIGHT: &str =
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";
const VARY_PRIVATE_NETWORK: &str = "Origin, Access-Control-Request-Method, \
    Access-Control-Request-Headers, Access-Control-Request-Private-Network";

#[cfg(test)]
mod tests {
    use super::*;

    // REQ: C-3, C-5
    #[test]
    fn refuses_what_would_be_dangerous_or_meaningless() {
        let none = || CorsPolicy::builder(OriginSet::new());
        let wildcard = |key, name: &str| CorsPolicyError::Wildcard {
            key,
            name: name.into(),
        };
        let header = |key, name: &str| CorsPolicyError::Header {
            key,
            name: name.into(),
        };
        let method = |name: &str| CorsPolicyError::Method(name.into());
        for (builder, error, key, remedy) in [
            (
                none().credentials(true),
                CorsPolicyError::CredentialsForNobody,
                "cors.credentials",
                "`cors.origins`",
            ),
            (
                none().max_age(86_401),
                CorsPolicyError::MaxAge(86_401),
                "cors.max_age",
                "86400",
            ),
            (
                none().methods([""; 0]),
                CorsPolicyError::NoMethod,
                "cors.methods",
                "at least one",
            ),
            (
                none().methods(["GET", "*"]),
                wildcard("cors.methods", "*"),
                "cors.methods",
                "in full",
            ),
            (
                none().methods(["GET", ""]),
                method(""),
                "cors.methods",
                "as they are sent",
            ),
            (
                none().methods(["GET,POST"]),
                method("GET,POST"),
                "cors.methods",
                "as they are sent",
            ),
            (
                none().methods(["Trace"]),
                method("Trace"),
                "cors.methods",
                "never send",
            ),
            (
                none().allow_headers(["X-Fine", "*"]),
                wildcard("cors.allow_headers", "*"),
                "cors.allow_headers",
                "in full",
            ),
            (
                none().allow_headers(["Mcp-Param-*"]),
                wildcard("cors.allow_headers", "Mcp-Param-*"),
                "cors.allow_headers",
                "in full",
            ),
            (
                none().allow_headers(["X-Foo: bar"]),
                header("cors.allow_headers", "X-Foo: bar"),
                "cors.allow_headers",
                "name alone",
            ),
            (
                none().expose_headers(["*"]),
                wildcard("cors.expose_headers", "*"),
                "cors.expose_headers",
                "in full",
            ),
            (
                none().expose_headers([""]),
                header("cors.expose_headers", ""),
                "cors.expose_headers",
                "name alone",
            ),
        ] {
            let found = builder.build().unwrap_err();
            assert_eq!(found, error);
            assert_eq!(found.key(), key);
            assert!(found.remedy().contains(remedy), "{found}");
            assert!(found.to_string().ends_with(found.remedy()));
            assert!(found.to_string().len() > found.remedy().len() + 10);
        }
    }

    // REQ: C-5
    #[test]
    fn takes_what_is_fine() {
        let none = || CorsPolicy::builder(OriginSet::new());
        assert!(none().build().is_ok());
        assert!(none().max_age(86_400).methods(["PROPFIND"]).build().is_ok());
        let some = OriginSet::parse(["https://app.example.com"]).unwrap();
        let policy = CorsPolicy::builder(some).credentials(true);
        let policy = policy
            .allow_headers(["accept", "X-A", "x-a"])
            .build()
            .unwrap();
        let names = policy.allow_headers.unwrap();
        assert!(names.to_str().unwrap().ends_with("tracestate, X-A"));
    }
}

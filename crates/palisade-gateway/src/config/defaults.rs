//! The defaults: what holds when nobody says anything.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header};

use super::settings::{
    Answers, Audit, Body, Cors, Egress, FixedHeader, Headers, Hsts, Level, Limits, List,
    MCP_EXPOSED_HEADERS, MCP_REQUEST_HEADERS, Rate, RateHeaders, Rotate, Sink, Timeouts, Value,
};
use super::units::RateLimit;

/// `listen`.
pub(super) const LISTEN: &str = "127.0.0.1:8080";
/// `[egress] listen`.
pub(super) const EGRESS_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 3128);
/// `[drain] deadline`.
pub(super) const DRAIN_DEADLINE: Duration = Duration::from_secs(30);
/// `[cors] max_age` with `--dev`.
pub(super) const DEV_MAX_AGE: Duration = Duration::from_secs(60);

/// The header fields of row S-1 in the order in which they are sent: key, name, answers, value.
#[rustfmt::skip]
const FIXED: [(&str, HeaderName, Answers, &str); 13] = [
    ("x_frame_options", header::X_FRAME_OPTIONS, Answers::All, "DENY"),
    ("x_content_type_options", header::X_CONTENT_TYPE_OPTIONS, Answers::All, "nosniff"),
    ("permissions_policy", HeaderName::from_static("permissions-policy"), Answers::All, "camera=(), microphone=(), geolocation=(), payment=()"),
    ("cross_origin_resource_policy", HeaderName::from_static("cross-origin-resource-policy"), Answers::All, "same-origin"),
    ("cross_origin_opener_policy", HeaderName::from_static("cross-origin-opener-policy"), Answers::All, "same-origin"),
    ("origin_agent_cluster", HeaderName::from_static("origin-agent-cluster"), Answers::All, "?1"),
    ("x_permitted_cross_domain_policies", HeaderName::from_static("x-permitted-cross-domain-policies"), Answers::All, "none"),
    ("x_dns_prefetch_control", header::X_DNS_PREFETCH_CONTROL, Answers::All, "off"),
    ("cache_control", header::CACHE_CONTROL, Answers::Silent, "no-store"),
    ("referrer_policy", header::REFERRER_POLICY, Answers::Html, "strict-origin-when-cross-origin"),
    ("referrer_policy_other", header::REFERRER_POLICY, Answers::Other, "no-referrer"),
    ("csp", header::CONTENT_SECURITY_POLICY, Answers::Html, "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; font-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'; upgrade-insecure-requests"),
    ("csp_other", header::CONTENT_SECURITY_POLICY, Answers::Other, "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
];

impl Default for Egress {
    fn default() -> Self {
        Self {
            min_level: None,
            max_level: Value::from(Level::Isolated),
            allow_special: List::default(),
            deny: List::default(),
            nat64: List::default(),
            ports: list([80, 443]),
            dns: List::default(),
            ca: None,
            urls: None,
            listen: Value::from(EGRESS_LISTEN),
            users: BTreeMap::new(),
        }
    }
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            mode: Value::default(),
            origins: List::default(),
            origin_regexes: List::default(),
            loopback_origins: Value::from(false),
            credentials: Value::from(false),
            max_age: Value::from(Duration::from_secs(600)),
            methods: list([Method::GET, Method::POST, Method::DELETE, Method::OPTIONS]),
            allow_headers: list(MCP_REQUEST_HEADERS.map(HeaderName::from_static)),
            expose_headers: list(MCP_EXPOSED_HEADERS.map(HeaderName::from_static)),
            private_network: List::default(),
        }
    }
}

impl Default for Headers {
    fn default() -> Self {
        let fixed = FIXED.into_iter().map(|(key, name, on, value)| FixedHeader {
            key,
            name,
            on,
            value: Value::from(Some(HeaderValue::from_static(value))),
        });
        Self {
            mode: Value::default(),
            hsts: Value::from(Some(Hsts::default())),
            fixed: fixed.collect(),
            keep: List::default(),
        }
    }
}

impl Default for Hsts {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(63_072_000),
            include_subdomains: true,
            preload: false,
        }
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            mode: Value::default(),
            peer: Value::from(RateLimit::per_minute(600)),
            limit: Value::from(RateLimit::per_minute(100)),
            failed: Value::from(RateLimit::per_minute(10)),
            burst: Value::from(None),
            headers: list([RateHeaders::Draft8]),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self {
            mode: Value::default(),
            limit: Value::from(2 << 20),
            json_depth: Value::from(128),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: Value::from(32 << 10),
            header_count: Value::from(100),
            connections: Value::from(10_000),
            connections_per_peer: Value::from(2000),
            streams: Value::from(128),
            inflight_bytes: Value::from(256 << 20),
            inflight_requests: Value::from(10_000),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = |seconds| Value::from(Duration::from_secs(seconds));
        Self {
            handshake: seconds(10),
            first_byte: seconds(10),
            headers: seconds(10),
            body: seconds(20),
            idle: seconds(60),
            connect: seconds(5),
            write: seconds(30),
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            sinks: list([Sink::Stdout]),
            fail: Value::default(),
            write_ahead: Value::default(),
            durability: Value::default(),
            destructive: list([]),
            rules: list([]),
            pseudonym_key: None,
            rotate: Rotate {
                size: Value::from(256 << 20),
                every: None,
                compress: Value::default(),
                keep: None,
                keep_for: None,
            },
        }
    }
}

/// A list of values that nobody set.
pub(super) fn list<T>(values: impl IntoIterator<Item = T>) -> List<T> {
    Value::from(values.into_iter().map(Value::from).collect::<Vec<_>>())
}

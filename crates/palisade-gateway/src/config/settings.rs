//! What is meant: every value typed, defaulted and inherited, each with the place it came from.
//!
//! [`Settings`] is what the rest of the gateway is built from. Nothing in it is compiled yet
//! (regular expressions, rustls configurations): that is the plan's part.

mod audit;
mod auth;
mod egress;
mod server;
mod value;

use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use ipnet::IpNet;

pub use audit::*;
pub use auth::*;
pub use egress::*;
pub use server::*;
pub use value::*;

use super::names::{HostEntry, HttpUrl};
use super::origins::{OriginPattern, OriginRegex};
use super::units::RateLimit;

/// The whole resolved configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file that was read, if one was.
    pub file: Option<PathBuf>,
    /// `listen`: never empty. Port 0 asks the system for a free one.
    pub listen: List<SocketAddr>,
    /// `workers`: threads that serve; `None`: one per core.
    pub workers: Value<Option<NonZeroUsize>>,
    /// `hosts` and every `[[server]] host`, and the host of `public_url`: what a `Host` may name.
    /// The loopback names are not in it; see [`Settings::hosts_on`].
    pub hosts: List<HostEntry>,
    /// `[host] mode`. The Host guard stands before routing, so no server has its own.
    pub host_mode: Value<Mode>,
    /// `public_url`: what clients call. It has neither path nor query.
    pub public_url: Option<Value<HttpUrl>>,
    /// `--dev`: loopback origins are allowed, refusals name their remedy to the client.
    pub dev: Value<bool>,
    /// `[i_accept]`.
    pub accept: Accept,
    /// `[auth]`.
    pub auth: Auth,
    /// `[proxy]`; `None`: every connection is a client's own.
    pub proxy: Option<Proxy>,
    /// `[tls]`; `None`: plain HTTP.
    pub tls: Option<Tls>,
    /// `[limits]` as far as it belongs to connections, not to one server.
    pub limits: Limits,
    /// `[egress]`.
    pub egress: Egress,
    /// `[drain] deadline`: how long requests in flight may take after SIGTERM.
    pub drain_deadline: Value<Duration>,
    /// The environment's `SERVER_VERSION`, for the audit record's `serverVersion`.
    pub server_version: Option<Value<String>>,
    /// What holds where no server's own section says otherwise, and for Palisade's own routes.
    pub defaults: Policy,
    /// `[[server]]`, in the order of the file. Never empty in settings without errors.
    pub servers: Vec<Server>,
}

/// `[i_accept]`: explicit overrides of what is otherwise refused at start.
#[derive(Clone, Debug, Default)]
pub struct Accept {
    /// A listener off loopback may speak plain HTTP.
    pub plaintext: Value<bool>,
    /// A listener off loopback may serve callers that nobody authenticated.
    pub no_authentication: Value<bool>,
}

/// `[proxy]`.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// `trusted`: never empty.
    pub trusted: List<IpNet>,
    /// `client_address`. Default `x-forwarded-for`.
    pub client_address: Value<ClientAddress>,
    /// `client_certificate`; `None`: none is handed on.
    pub client_certificate: Option<Value<CertificateHeader>>,
}

/// Where a terminator says who the client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAddress {
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// The PROXY protocol, version 1 or 2, at the start of each connection.
    ProxyProtocol,
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `X-Real-IP`.
    XRealIp,
}

/// `[tls]`.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Where the certificate comes from.
    pub identity: Identity,
    /// `profile`; default `intermediate`.
    pub profile: Value<TlsProfile>,
    /// `client_ca`; `None`: no client is asked for a certificate.
    pub clients: Option<ClientCertificates>,
    /// `redirect`: addresses with plain HTTP that only redirects to HTTPS.
    pub redirect: List<SocketAddr>,
}

/// Where the server certificate comes from.
#[derive(Clone, Debug)]
pub enum Identity {
    /// PEM files. Relative paths in the file have been made relative to the file's directory.
    Files {
        /// The certificate chain, leaf first.
        certificate: Value<PathBuf>,
        /// The private key.
        key: Value<PathBuf>,
    },
    /// `local = true`: a certificate authority that Palisade makes and keeps.
    Local(Value<bool>),
}

/// Mozilla's server-side TLS profiles, guideline 6.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsProfile {
    /// TLS 1.2 and 1.3.
    #[default]
    Intermediate,
    /// TLS 1.3 alone.
    Modern,
}

/// What a policy layer does with what it would refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Refuses it.
    #[default]
    Enforce,
    /// Does not look.
    Off,
    /// Lets it pass and records it.
    Report,
}

/// Everything that a server may set for itself; what it does not set it inherits.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// `mode`, the default of the sections.
    pub mode: Value<Mode>,
    /// `[origin] mode`.
    pub origin_mode: Value<Mode>,
    /// `[cors]`.
    pub cors: Cors,
    /// `[headers]`.
    pub headers: Headers,
    /// `[rate]`.
    pub rate: Rate,
    /// `[limits]` as far as it belongs to a message.
    pub body: Body,
    /// `[audit]`.
    pub audit: Audit,
    /// `[egress] mode`: of the allowlists.
    pub egress_mode: Value<Mode>,
}

/// `[cors]`, and the origins that the Origin guard lets in.
#[derive(Clone, Debug)]
pub struct Cors {
    /// `mode`. Report mode never grants an unmatched origin.
    pub mode: Value<Mode>,
    /// `origins`: exact origins and tenant patterns, checked for shape.
    pub origins: List<OriginPattern>,
    /// `origin_regexes`: to be compiled between `^(?:` and `)$`.
    pub origin_regexes: List<OriginRegex>,
    /// Whether `http(s)://localhost`, `127.0.0.1` and `[::1]` on any port are allowed: `--dev` alone.
    pub loopback_origins: Value<bool>,
    /// `credentials`: send `Access-Control-Allow-Credentials`. Default false.
    pub credentials: Value<bool>,
    /// `max_age`: `Access-Control-Max-Age`. Default 600 s; 60 s with `--dev`.
    pub max_age: Value<Duration>,
    /// `methods`.
    pub methods: List<Method>,
    /// `allow_headers` with the set of [`MCP_REQUEST_HEADERS`], unless `replace_headers` drops it.
    pub allow_headers: List<HeaderName>,
    /// `expose_headers` with the set of [`MCP_EXPOSED_HEADERS`].
    pub expose_headers: List<HeaderName>,
    /// `private_network`: origins that get the legacy private-network answer.
    pub private_network: List<OriginPattern>,
}

/// What MCP clients send; allowed by default (row C-4).
pub const MCP_REQUEST_HEADERS: [&str; 11] = [
    "content-type",
    "authorization",
    "accept",
    "mcp-session-id",
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
    "last-event-id",
    "x-request-id",
    "traceparent",
    "tracestate",
];

/// What browser clients need to read; exposed by default (row C-4).
pub const MCP_EXPOSED_HEADERS: [&str; 9] = [
    "mcp-session-id",
    "www-authenticate",
    "x-request-id",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
];

/// `[headers]`: the security headers. `None` removes one.
#[derive(Clone, Debug)]
pub struct Headers {
    /// `mode`.
    pub mode: Value<Mode>,
    /// `hsts`: sent over TLS only, never for loopback names.
    pub hsts: Value<Option<Hsts>>,
    /// All others, in the order in which they are sent.
    pub fixed: Vec<FixedHeader>,
    /// `keep`: names of upstream headers that win over ours and over the removal of fingerprints.
    pub keep: List<HeaderName>,
}

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// `max_age`. Default two years.
    pub max_age: Duration,
    /// `include_subdomains`. Default true.
    pub include_subdomains: bool,
    /// `preload`. Default false; needs the other two.
    pub preload: bool,
}

/// One security header with a fixed value.
#[derive(Clone, Debug)]
pub struct FixedHeader {
    /// Its key under `[headers]`.
    pub key: &'static str,
    /// The header.
    pub name: HeaderName,
    /// On which answers it stands.
    pub on: Answers,
    /// Its value; `None`: not sent.
    pub value: Value<Option<HeaderValue>>,
}

/// The answers on which a header stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Every answer.
    All,
    /// Answers whose content type is HTML.
    Html,
    /// Answers of any other content type, or of none.
    Other,
    /// Answers on which the upstream did not set it (`Cache-Control`).
    Silent,
}

/// `[rate]`.
#[derive(Clone, Debug)]
pub struct Rate {
    /// `mode`.
    pub mode: Value<Mode>,
    /// `peer`: per client address (IPv6 by /64), before any costly work. Default 600/min.
    pub peer: Value<RateLimit>,
    /// `limit`: per caller. Default 100/min.
    pub limit: Value<RateLimit>,
    /// `failed`: failed authentications per client address. Default 10/min.
    pub failed: Value<RateLimit>,
    /// `burst`: how many may come at once; `None`: as many as the limit's number.
    pub burst: Value<Option<NonZeroU32>>,
    /// `headers`: which forms of the rate-limit fields answers carry. Default draft-8.
    pub headers: List<RateHeaders>,
}

/// A form of the rate-limit response fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateHeaders {
    /// `RateLimit-Limit`, `-Remaining`, `-Reset` (draft-ietf-httpapi-ratelimit-headers-06).
    Draft6,
    /// `RateLimit`, `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-08).
    Draft8,
    /// `X-RateLimit-Limit`, `-Remaining`, `-Reset`.
    Legacy,
}

/// The part of `[limits]` that a server may set for itself.
#[derive(Clone, Debug)]
pub struct Body {
    /// `[limits] mode`: of `body` alone; nothing else there has a mode.
    pub mode: Value<Mode>,
    /// `body`, in bytes. Default 2,097,152.
    pub limit: Value<u64>,
    /// `json_depth`: levels of nesting. Default 128.
    pub json_depth: Value<u32>,
}

/// The part of `[limits]` that belongs to connections.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `header_bytes`: one request head, in bytes. Default 32 KB.
    pub header_bytes: Value<u64>,
    /// `header_count`: fields in one request head. Default 100.
    pub header_count: Value<u32>,
    /// `connections`: open at once. Default 10,000.
    pub connections: Value<u32>,
    /// `connections_per_peer`: open at once from one address (IPv6 by /64). Default 2,000.
    pub connections_per_peer: Value<u32>,
    /// `streams`: HTTP/2 streams at once on one connection. Default 128.
    pub streams: Value<u32>,
    /// `inflight_bytes`: request bodies collected at once, in all. Default 256 MB.
    pub inflight_bytes: Value<u64>,
    /// `inflight_requests`: worked on at once, event streams included. Default 10,000.
    pub inflight_requests: Value<u32>,
    /// `[limits.timeouts]`.
    pub timeouts: Timeouts,
}

/// `[limits.timeouts]`.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// `handshake`: TLS, from accept to done. Default 10 s.
    pub handshake: Value<Duration>,
    /// `first_byte`: from a ready connection to the first byte of its first request. Default 10 s.
    pub first_byte: Value<Duration>,
    /// `headers`: from the first byte of a request to the end of its head. Default 10 s.
    pub headers: Value<Duration>,
    /// `body`: the whole of a request body. Default 20 s.
    pub body: Value<Duration>,
    /// `idle`: between two requests on one connection; in HTTP/2 without an open stream.
    /// Default 60 s.
    pub idle: Value<Duration>,
    /// `connect`: towards an upstream, TLS included. Default 5 s.
    pub connect: Value<Duration>,
    /// `write`: an answer of which the client takes nothing for so long is broken off. It does
    /// not concern an answer that has nothing to send. Default 30 s.
    pub write: Value<Duration>,
}

/// What a listener on loopback also accepts as `Host` (row H-1).
pub const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

macro_rules! names {
    ($($type:ident { $($variant:ident = $name:literal),+ $(,)? })+) => {$(
        impl $type {
            /// Every value, in the order in which messages list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as it is written in the configuration.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    )+};
}

names! {
    AuditLevel { Metadata = "metadata", None = "none", Request = "request", Response = "response" }
    Redact { Found = "found", Whole = "whole" }
    Compress { Gzip = "gzip", None = "none", Zstd = "zstd" }
    ClientAddress {
        XForwardedFor = "x-forwarded-for",
        XRealIp = "x-real-ip",
        Forwarded = "forwarded",
        ProxyProtocol = "proxy-protocol",
    }
    CertificateHeader { Xfcc = "xfcc", Nginx = "nginx" }
    ClientAuth { Required = "required", Optional = "optional" }
    AuthMode { Required = "required", None = "none" }
    CallerHeader { Jwt = "jwt", Headers = "headers", None = "none" }
    CertificateIdentity { Uri = "uri", Dns = "dns", Email = "email", Subject = "subject" }
    TokenAlgorithm {
        EdDsa = "EdDSA",
        Es256 = "ES256",
        Es384 = "ES384",
        Ps256 = "PS256",
        Ps384 = "PS384",
        Ps512 = "PS512",
        Rs256 = "RS256",
        Rs384 = "RS384",
        Rs512 = "RS512",
    }
    Durability { Buffered = "buffered", Synced = "synced", Written = "written" }
    RetentionMode { Compliance = "compliance", Governance = "governance" }
    Fail { Closed = "closed", Open = "open" }
    Level { Advisory = "advisory", Supervised = "supervised", Isolated = "isolated" }
    Kind { Mcp = "mcp", Http = "http" }
    Mode { Enforce = "enforce", Report = "report", Off = "off" }
    Scope { Session = "session", Caller = "caller", Shared = "shared" }
    RateHeaders { Draft8 = "draft-8", Draft6 = "draft-6", Legacy = "legacy" }
    TlsProfile { Intermediate = "intermediate", Modern = "modern" }
    UpstreamHost { Rewrite = "rewrite", Preserve = "preserve" }
    WriteAhead { All = "all", Destructive = "destructive", None = "none" }
}

//! What is meant: every value typed, defaulted and inherited, each with the place it came from.
//!
//! [`Settings`] is what the rest of the gateway is built from. Nothing in it is compiled yet
//! (regular expressions, rustls configurations): that is the plan's part.

mod auth;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use ipnet::IpNet;

pub use auth::*;

use super::names::{HostEntry, HttpUrl};
use super::origins::{OriginPattern, OriginRegex};
use super::units::RateLimit;

/// Where a value came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything; the default holds.
    #[default]
    Default,
    /// The environment variable of this name.
    Environment(Arc<str>),
    /// The configuration file.
    File(Position),
    /// The command-line flag or argument of this name.
    Flag(Arc<str>),
}

/// A place in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Counted from 1.
    pub line: u32,
    /// In characters, counted from 1.
    pub column: u32,
    /// First byte of the value.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
}

/// A resolved value that remembers where it came from. It dereferences to the value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value<T> {
    /// The value.
    pub value: T,
    /// Where it came from.
    pub source: Source,
}

/// A list in which each entry also remembers its own place.
pub type List<T> = Value<Vec<Value<T>>>;

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

/// `[egress]`, as far as no server repeats it. Entries of lists have been checked for shape.
#[derive(Clone, Debug)]
pub struct Egress {
    /// `min_level`; `None`: supervised for a command with an allowlist, else advisory.
    pub min_level: Option<Value<Level>>,
    /// `max_level`: the firmest that is tried. Default isolated.
    pub max_level: Value<Level>,
    /// `allow_special`: addresses and ranges that the tables would refuse.
    pub allow_special: List<String>,
    /// `deny`: ranges that are always refused.
    pub deny: List<String>,
    /// `nat64`: prefixes of this network's NAT64.
    pub nat64: List<String>,
    /// `ports`. Default 80 and 443.
    pub ports: List<u16>,
    /// `dns`: servers to ask; empty: those of `/etc/resolv.conf`.
    pub dns: List<SocketAddr>,
    /// `ca`: certificates to trust beside the system's.
    pub ca: Option<Value<PathBuf>>,
    /// `urls`: of URLs in arguments, where a server says nothing; `None`: off, unless the server
    /// is an upstream with an allowlist.
    pub urls: Option<Value<Mode>>,
    /// `listen`: of `palisade egress serve`. Default 127.0.0.1:3128.
    pub listen: Value<SocketAddr>,
    /// `[egress.user.NAME]`.
    pub users: BTreeMap<String, EgressUser>,
}

/// `[egress.user.NAME]`.
#[derive(Clone, Debug)]
pub struct EgressUser {
    /// `password_file`.
    pub password_file: Value<PathBuf>,
    /// `egress`; `None`: the public internet minus everything special.
    pub egress: Option<List<String>>,
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

/// `[audit]`.
#[derive(Clone, Debug)]
pub struct Audit {
    /// `sink`. Default standard output. Never empty.
    pub sinks: List<Sink>,
    /// `fail`. Default closed.
    pub fail: Value<Fail>,
    /// `write_ahead`. Default of destructive calls.
    pub write_ahead: Value<WriteAhead>,
    /// `durability`: of what is written ahead. Default written.
    pub durability: Value<Durability>,
    /// `destructive`: patterns of tools, beside the servers' own annotations.
    pub destructive: List<String>,
    /// `[[audit.rule]]`: how much is told of which tools; the first that means a tool counts.
    pub rules: List<AuditRule>,
    /// `pseudonym_key`: a file with a key; with it tokens and addresses get pseudonyms.
    pub pseudonym_key: Option<Value<PathBuf>>,
    /// `[audit.rotate]`: of files.
    pub rotate: Rotate,
}

/// One `[[audit.rule]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRule {
    /// `tool`: a name with `*`.
    pub tool: String,
    /// `level`. Default `request`.
    pub level: AuditLevel,
    /// `redact`. Default by the rules.
    pub redact: Redact,
    /// `allow`: places in arguments that stay as they are.
    pub allow: Vec<String>,
}

/// How much is told of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditLevel {
    /// Neither arguments nor answer.
    Metadata,
    /// Nothing.
    None,
    /// The arguments.
    #[default]
    Request,
    /// Arguments and answer.
    Response,
}

/// What becomes of arguments and answers before they are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redact {
    /// What the rules find is replaced.
    #[default]
    Found,
    /// All is.
    Whole,
}

/// `[audit.rotate]`.
#[derive(Clone, Debug)]
pub struct Rotate {
    /// `size`: a file that has so many bytes is closed. Default 256 MiB.
    pub size: Value<u64>,
    /// `every`: a file whose first line is so old is closed. `None`, the default: at no age.
    pub every: Option<Value<Duration>>,
    /// `compress`: the old ones. Default zstd.
    pub compress: Value<Compress>,
    /// `keep`: how many old files. `None`, the default: all.
    pub keep: Option<Value<u32>>,
    /// `keep_for`: how long they are kept. `None`, the default: for ever.
    pub keep_for: Option<Value<Duration>>,
}

/// How old audit files are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compress {
    /// Into `.gz`.
    Gzip,
    /// Not at all.
    None,
    /// Into `.zst`.
    #[default]
    Zstd,
}

/// Of which calls an intent is recorded before they leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteAhead {
    /// Of all.
    All,
    /// Of those that may destroy something.
    #[default]
    Destructive,
    /// Of none.
    None,
}

/// What must have become of an intent before its call leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It waits to be written with others.
    Buffered,
    /// The disk has it.
    Synced,
    /// The system has it.
    #[default]
    Written,
}

/// Where audit records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Lines are appended to this file.
    File(PathBuf),
    /// They are sent to a collector of OpenTelemetry.
    Otlp(Otlp),
    /// They are put into a bucket.
    S3(S3),
    /// Standard output.
    Stdout,
}

impl Sink {
    /// Whether both would lead to the same place.
    pub(super) fn same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Otlp(one), Self::Otlp(other)) => one.url == other.url,
            (Self::S3(one), Self::S3(other)) => {
                (&one.endpoint, &one.bucket, &one.prefix)
                    == (&other.endpoint, &other.bucket, &other.prefix)
            }
            _ => self == other,
        }
    }
}

/// `{ otlp = … }`: OTLP/HTTP in protobuf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// With its path, `/v1/logs`.
    pub url: HttpUrl,
    /// `ca`: trusted beside the system's authorities.
    pub ca: Option<PathBuf>,
    /// `token_file`: a bearer token.
    pub token_file: Option<PathBuf>,
}

/// `{ s3 = … }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3 {
    /// Of `s3`: the bucket.
    pub bucket: String,
    /// Of `s3`: what stands before the names of objects, without slashes at its ends.
    pub prefix: String,
    /// `endpoint`. `None`: Amazon's.
    pub endpoint: Option<HttpUrl>,
    /// `region`. `None`: `AWS_REGION`.
    pub region: Option<String>,
    /// `ca`: trusted beside the system's authorities.
    pub ca: Option<PathBuf>,
    /// `every`: how long lines wait for others to go with them.
    pub every: Duration,
    /// `retention`: how long nobody can remove an object. `None`: as the bucket has it.
    pub retention: Option<Duration>,
    /// `retention_mode`. Default compliance.
    pub mode: RetentionMode,
}

impl S3 {
    /// The default of `every`.
    pub const EVERY: Duration = Duration::from_secs(10);
}

/// Who can remove a locked object before its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RetentionMode {
    /// Nobody.
    #[default]
    Compliance,
    /// Whoever has the permission for that.
    Governance,
}

/// What happens to calls while the audit log cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fail {
    /// They are refused.
    #[default]
    Closed,
    /// They pass, and what was not written is counted.
    Open,
}

/// One `[[server]]`.
#[derive(Clone, Debug)]
pub struct Server {
    /// `name`: unique; letters, digits, `-` and `_`.
    pub name: Value<String>,
    /// `path`: a prefix on a segment boundary, without a trailing slash unless it is `/`.
    /// Default: the upstream's own path; `/mcp` for a command.
    pub path: Value<String>,
    /// `host`: only under this public host.
    pub host: Option<Value<HostEntry>>,
    /// `upstream` or `command`.
    pub backend: Backend,
    /// `plaintext_upstream`: plain HTTP to an upstream off this machine is accepted.
    pub plaintext_upstream: Value<bool>,
    /// `kind`. Default `mcp`.
    pub kind: Value<Kind>,
    /// `upstream_host`. Default `rewrite`.
    pub upstream_host: Value<UpstreamHost>,
    /// `timeout`: of one call, from its arrival to its result. `None`, the default: no limit, since
    /// tools may take long; whoever fears that sets one.
    pub timeout: Value<Option<Duration>>,
    /// `concurrency`: calls at once; `None`: as many as the connections allow.
    pub concurrency: Value<Option<NonZeroU32>>,
    /// `egress`: the hosts that it may reach; `None`: the public internet minus everything
    /// special.
    pub egress: Option<List<String>>,
    /// `urls`; `None`: as [`Egress::urls`] says.
    pub urls: Option<Value<Mode>>,
    /// Who may call, and what of it.
    pub auth: ServerAuth,
    /// `[server.tool."name"]`: by tool name.
    pub tools: BTreeMap<String, Tool>,
    /// The sections, this server's own over the defaults.
    pub policy: Policy,
}

/// Where a server's requests go.
#[derive(Clone, Debug)]
pub enum Backend {
    /// `command`.
    Command(Box<Command>),
    /// `upstream`.
    Url(Value<HttpUrl>),
}

impl Backend {
    /// Where it was said.
    #[must_use]
    pub const fn source(&self) -> &Source {
        match self {
            Self::Command(command) => &command.command.source,
            Self::Url(url) => &url.source,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(command) => command.fmt(f),
            Self::Url(url) => url.value.fmt(f),
        }
    }
}

/// A program that speaks MCP on its standard streams.
#[derive(Clone, Debug)]
pub struct Command {
    /// `command`: the program and its arguments. Never empty.
    pub command: List<String>,
    /// `scope`. Default `session`.
    pub scope: Value<Scope>,
    /// `environment`, beside [`BASE_ENVIRONMENT`].
    pub environment: List<EnvironmentEntry>,
    /// `directory`; `None`: where Palisade runs.
    pub directory: Option<Value<PathBuf>>,
    /// `sessions`: sessions, and running commands, at once. Default 64.
    pub sessions: Value<NonZeroU32>,
    /// `session_idle`: after how long a session that nobody uses is ended. Default 30 min.
    pub session_idle: Value<Duration>,
    /// `start_timeout`: from a start to the first answer. Default 60 s.
    pub start_timeout: Value<Duration>,
    /// `max_level`; `None`: as [`Egress::max_level`] says.
    pub max_level: Option<Value<Level>>,
    /// `sockets`: unix sockets of other programs, by absolute paths.
    pub sockets: List<PathBuf>,
    /// `install`.
    pub install: Option<Install>,
}

/// `[server.install]`: what is run once before a command.
#[derive(Clone, Debug)]
pub struct Install {
    /// `command`, or what it is for `npx` and `uvx`. Never empty.
    pub command: List<String>,
    /// `egress`; `None`: the public internet minus everything special.
    pub egress: Option<List<String>>,
    /// `timeout`. Default 5 min.
    pub timeout: Value<Duration>,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self
            .command
            .iter()
            .map(|word| word.value.as_str())
            .collect();
        f.write_str(&words.join(" "))
    }
}

/// A variable for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentEntry {
    /// Its name.
    pub name: String,
    /// Its value; `None`: Palisade's own is passed on. May be a secret: it is never shown.
    pub value: Option<String>,
}

/// What every command gets of Palisade's own environment, where it is set: without these hardly
/// any program finds its parts, and none of them holds a secret.
pub const BASE_ENVIRONMENT: [&str; 12] = [
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TEMP", "TERM", "TMPDIR",
    "TZ", "USER",
];

/// Who shares a running command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All sessions of one caller.
    Caller,
    /// Nobody: every session has its own.
    #[default]
    Session,
    /// Everybody.
    Shared,
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Plain HTTP requests: every layer but the message inspection.
    Http,
    /// The Model Context Protocol.
    #[default]
    Mcp,
}

/// The `Host` that the upstream sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpstreamHost {
    /// The client's.
    Preserve,
    /// The upstream's own authority.
    #[default]
    Rewrite,
}

/// `[server.tool."name"]`. What is `None` is left to the server's own value.
#[derive(Clone, Debug, Default)]
pub struct Tool {
    /// `timeout` of one call.
    pub timeout: Option<Value<Duration>>,
    /// `concurrency`: calls at once.
    pub concurrency: Option<Value<NonZeroU32>>,
    /// `rate`: calls per caller.
    pub rate: Option<Value<RateLimit>>,
    /// `urls`: of URLs in its arguments.
    pub urls: Option<Value<Mode>>,
}

/// What a listener on loopback also accepts as `Host` (row H-1).
pub const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// How firmly an outbound policy holds for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// By proxy variables, which the command may ignore.
    Advisory,
    /// By supervised system calls.
    Supervised,
    /// By a network of the command's own.
    Isolated,
}

impl From<Level> for palisade_egress::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Advisory => Self::Advisory,
            Level::Supervised => Self::Supervised,
            Level::Isolated => Self::Isolated,
        }
    }
}

impl Server {
    /// The firmest level that is tried for its command.
    #[must_use]
    pub fn max_level<'a>(&'a self, egress: &'a Egress) -> &'a Value<Level> {
        let own = match &self.backend {
            Backend::Command(command) => command.max_level.as_ref(),
            Backend::Url(_) => None,
        };
        own.unwrap_or(&egress.max_level)
    }

    /// What happens to URLs in the arguments of calls, where the tool says nothing.
    #[must_use]
    pub fn urls_mode(&self, egress: &Egress) -> Mode {
        let said = self.urls.as_ref().or(egress.urls.as_ref());
        match (said, &self.backend) {
            (Some(said), _) => said.value,
            (None, Backend::Url(_)) if self.egress.is_some() => self.policy.egress_mode.value,
            (None, _) => Mode::Off,
        }
    }
}

impl<T> Value<T> {
    /// A value with its place.
    pub const fn new(value: T, source: Source) -> Self {
        Self { value, source }
    }

    /// Another value with the same place.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Value<U> {
        Value::new(f(self.value), self.source)
    }
}

impl<T> From<T> for Value<T> {
    fn from(value: T) -> Self {
        Self::new(value, Source::Default)
    }
}

impl<T> Deref for Value<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::File(position) => write!(f, "line {}", position.line),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

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

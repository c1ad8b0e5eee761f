//! What was said: the configuration file's own shape.
//!
//! The JSON schema, the check for unknown keys and wrong types, and the reading of environment
//! variables all come from these types. Text with a meaning (durations, sizes, URLs) is still
//! text here; what it means is [`super::resolve()`]'s part.

pub(super) mod auth;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::document::Said;
use super::forms::OneOrMany;
pub(super) use super::forms::{NumberOrText, OrFalse, Sink};
use super::settings::{
    AuditLevel, AuthMode, CallerHeader, CertificateHeader, ClientAddress, ClientAuth, Compress,
    Durability, Fail, Kind, Level, Mode, RateHeaders, Redact, Scope, TlsProfile, UpstreamHost,
    WriteAhead,
};

type Text = Said<String>;
type Texts = Said<Vec<Text>>;

/// Palisade's configuration.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Palisade")]
pub(super) struct File {
    /// Addresses to listen on; `[tls]` applies to all of them. One string or an array.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = "127.0.0.1:8080"))]
    pub(super) listen: Option<Texts>,
    /// Threads that serve requests. Default: one per core.
    #[schemars(range(min = 1, max = 1024))]
    pub(super) workers: Option<Said<u32>>,
    /// Public host names that a request's Host may name. On loopback listeners localhost,
    /// 127.0.0.1 and `[::1]` are in it as well.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) hosts: Option<Texts>,
    /// What the policy layers do with what they would refuse. Each section may set its own.
    #[schemars(extend("default" = "enforce"))]
    pub(super) mode: Option<Said<Mode>>,
    /// What clients call: scheme, host and port. Its origin is allowed without being listed.
    pub(super) public_url: Option<Text>,
    /// Explicit overrides of what Palisade otherwise refuses at start.
    pub(super) i_accept: IAccept,
    /// The Host guard. Its list is the key `hosts`.
    pub(super) host: Guard,
    /// The Origin guard. Its lists are those of `[cors]`.
    pub(super) origin: Guard,
    /// Terminators in front, and what they are believed.
    pub(super) proxy: Option<Said<Proxy>>,
    /// TLS on every listener. Absent: plain HTTP.
    pub(super) tls: Option<Said<Tls>>,
    /// Who may call.
    pub(super) auth: auth::Auth,
    /// Security headers: a string sets one, `false` removes it.
    pub(super) headers: Headers,
    /// Which web sites may call, and what they may read.
    pub(super) cors: Cors,
    /// Requests per window of time.
    pub(super) rate: Rate,
    /// Sizes, counts and times.
    pub(super) limits: Limits,
    /// Where the audit records go.
    pub(super) audit: Audit,
    /// What Palisade's commands may reach, and what URLs in calls may name.
    pub(super) egress: Egress,
    /// What happens on SIGTERM.
    pub(super) drain: Drain,
    /// The MCP servers behind Palisade.
    pub(super) server: Vec<Said<Server>>,
}

/// Explicit overrides of what Palisade otherwise refuses at start. Each is repeated as a warning.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct IAccept {
    /// A listener off loopback may speak plain HTTP.
    #[schemars(extend("default" = false))]
    pub(super) plaintext: Option<Said<bool>>,
    /// A listener off loopback may serve callers that nobody authenticated.
    #[schemars(extend("default" = false))]
    pub(super) no_authentication: Option<Said<bool>>,
}

/// A guard whose list stands elsewhere.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Guard {
    /// Of this guard alone.
    pub(super) mode: Option<Said<Mode>>,
}

/// Terminators in front, and what they are believed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Proxy {
    /// Their addresses, such as "10.0.0.0/8". Required.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub(super) trusted: Option<Texts>,
    /// Where they say who the client is; nothing else is looked at.
    #[schemars(extend("default" = "x-forwarded-for"))]
    pub(super) client_address: Option<Said<ClientAddress>>,
    /// How they hand on a client's certificate that they have validated. Default: they do not.
    pub(super) client_certificate: Option<Said<CertificateHeader>>,
}

/// TLS on every listener.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tls {
    /// The certificate chain, leaf first: a PEM file, relative to this file's directory.
    pub(super) certificate: Option<Text>,
    /// The private key: a PEM file, relative to this file's directory.
    pub(super) key: Option<Text>,
    /// Mozilla's server-side TLS profile: `modern` is TLS 1.3 alone.
    #[schemars(extend("default" = "intermediate"))]
    pub(super) profile: Option<Said<TlsProfile>>,
    /// Authorities whose client certificates are taken: a PEM file. Certificates then say who calls.
    pub(super) client_ca: Option<Text>,
    /// Whether a client without a certificate is refused.
    #[schemars(extend("default" = "required"))]
    pub(super) client_auth: Option<Said<ClientAuth>>,
    /// Certificates that were revoked: a PEM file of lists, one for each authority.
    pub(super) client_crl: Option<Text>,
    /// Use a certificate authority that Palisade makes and keeps, for development.
    pub(super) local: Option<Said<bool>>,
    /// Addresses with plain HTTP that only redirects to HTTPS.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) redirect: Option<Texts>,
}

/// Security headers: a string sets one, `false` removes it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Headers {
    /// Of the security headers alone.
    pub(super) mode: Option<Said<Mode>>,
    /// Strict-Transport-Security, over TLS only and never for loopback names.
    pub(super) hsts: Option<Said<OrFalse<Hsts>>>,
    /// X-Frame-Options.
    #[schemars(extend("default" = "DENY"))]
    pub(super) x_frame_options: Option<Said<OrFalse<String>>>,
    /// X-Content-Type-Options.
    #[schemars(extend("default" = "nosniff"))]
    pub(super) x_content_type_options: Option<Said<OrFalse<String>>>,
    /// Permissions-Policy.
    #[schemars(extend("default" = "camera=(), microphone=(), geolocation=(), payment=()"))]
    pub(super) permissions_policy: Option<Said<OrFalse<String>>>,
    /// Cross-Origin-Resource-Policy.
    #[schemars(extend("default" = "same-origin"))]
    pub(super) cross_origin_resource_policy: Option<Said<OrFalse<String>>>,
    /// Cross-Origin-Opener-Policy.
    #[schemars(extend("default" = "same-origin"))]
    pub(super) cross_origin_opener_policy: Option<Said<OrFalse<String>>>,
    /// Origin-Agent-Cluster.
    #[schemars(extend("default" = "?1"))]
    pub(super) origin_agent_cluster: Option<Said<OrFalse<String>>>,
    /// X-Permitted-Cross-Domain-Policies.
    #[schemars(extend("default" = "none"))]
    pub(super) x_permitted_cross_domain_policies: Option<Said<OrFalse<String>>>,
    /// X-DNS-Prefetch-Control.
    #[schemars(extend("default" = "off"))]
    pub(super) x_dns_prefetch_control: Option<Said<OrFalse<String>>>,
    /// Cache-Control, on answers where the upstream says nothing.
    #[schemars(extend("default" = "no-store"))]
    pub(super) cache_control: Option<Said<OrFalse<String>>>,
    /// Referrer-Policy of HTML answers.
    #[schemars(extend("default" = "strict-origin-when-cross-origin"))]
    pub(super) referrer_policy: Option<Said<OrFalse<String>>>,
    /// Referrer-Policy of all other answers.
    #[schemars(extend("default" = "no-referrer"))]
    pub(super) referrer_policy_other: Option<Said<OrFalse<String>>>,
    /// Content-Security-Policy of HTML answers.
    pub(super) csp: Option<Said<OrFalse<String>>>,
    /// Content-Security-Policy of all other answers.
    #[schemars(extend("default" = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"))]
    pub(super) csp_other: Option<Said<OrFalse<String>>>,
    /// Names of upstream headers that win over Palisade's own and over the removal of fingerprints.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) keep: Option<Texts>,
}

/// Strict-Transport-Security (RFC 6797).
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Hsts {
    /// Seconds, or a duration such as "730d".
    #[schemars(extend("default" = 63_072_000))]
    pub(super) max_age: Option<Said<NumberOrText>>,
    /// Whether it holds for subdomains.
    #[schemars(extend("default" = true))]
    pub(super) include_subdomains: Option<Said<bool>>,
    /// Ask to be put on the browsers' preload list; needs a year and subdomains.
    #[schemars(extend("default" = false))]
    pub(super) preload: Option<Said<bool>>,
}

/// Which web sites may call, and what they may read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Cors {
    /// Of CORS refusals alone. Report mode never grants an unmatched origin.
    pub(super) mode: Option<Said<Mode>>,
    /// Exact origins, and patterns such as https://*.example.com where the star is one label.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) origins: Option<Texts>,
    /// Regular expressions of whole origins, anchored by construction.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) origin_regexes: Option<Texts>,
    /// Send Access-Control-Allow-Credentials.
    #[schemars(extend("default" = false))]
    pub(super) credentials: Option<Said<bool>>,
    /// Access-Control-Max-Age: seconds, or a duration such as "10m".
    #[schemars(extend("default" = 600))]
    pub(super) max_age: Option<Said<NumberOrText>>,
    /// Methods that a preflight is granted.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = ["GET", "POST", "DELETE", "OPTIONS"]))]
    pub(super) methods: Option<Texts>,
    /// Request headers that a preflight is granted beside the set that MCP clients send.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) allow_headers: Option<Texts>,
    /// Let `allow_headers` replace the MCP set instead of adding to it.
    #[schemars(extend("default" = false))]
    pub(super) replace_headers: Option<Said<bool>>,
    /// Response headers that scripts may read beside the set that MCP clients need.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) expose_headers: Option<Texts>,
    /// Origins that get the legacy private-network answer.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) private_network: Option<Texts>,
}

/// Requests per window of time, such as "100/min": N/s, N/min, N/h.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rate {
    /// Of the rates alone.
    pub(super) mode: Option<Said<Mode>>,
    /// Per client address (IPv6 by /64), before any costly work.
    #[schemars(extend("default" = "600/min"))]
    pub(super) peer: Option<Text>,
    /// Per caller.
    #[schemars(extend("default" = "100/min"))]
    pub(super) limit: Option<Text>,
    /// Failed authentications, per client address.
    #[schemars(extend("default" = "10/min"))]
    pub(super) failed: Option<Text>,
    /// How many may come at once. Default: as many as the limit's number.
    #[schemars(range(min = 1, max = 4_294_967_295_u32))]
    pub(super) burst: Option<Said<u32>>,
    /// Which forms of the rate-limit fields answers carry.
    #[schemars(with = "Option<OneOrMany<RateHeaders>>", extend("default" = ["draft-8"]))]
    pub(super) headers: Option<Said<Vec<Said<RateHeaders>>>>,
}

/// Sizes, counts and times. `MB` and `MiB` mean the same: 1,048,576 bytes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    /// Of `body` alone; what protects a parser has no mode.
    pub(super) mode: Option<Said<Mode>>,
    /// One request body: bytes, or a size such as "2MB".
    #[schemars(extend("default" = "2MB"))]
    pub(super) body: Option<Said<NumberOrText>>,
    /// Levels of nesting in a JSON body.
    #[schemars(range(min = 1, max = 128), extend("default" = 128))]
    pub(super) json_depth: Option<Said<u32>>,
    /// One request head: bytes, or a size.
    #[schemars(extend("default" = "32KB"))]
    pub(super) header_bytes: Option<Said<NumberOrText>>,
    /// Fields in one request head.
    #[schemars(range(min = 1, max = 4096), extend("default" = 100))]
    pub(super) header_count: Option<Said<u32>>,
    /// Connections open at once.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 10_000))]
    pub(super) connections: Option<Said<u32>>,
    /// Connections open at once from one client address (IPv6 by /64).
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 2000))]
    pub(super) connections_per_peer: Option<Said<u32>>,
    /// HTTP/2 streams at once on one connection.
    #[schemars(range(min = 1, max = 10_000), extend("default" = 128))]
    pub(super) streams: Option<Said<u32>>,
    /// Request bodies held at once, in all: bytes, or a size.
    #[schemars(extend("default" = "256MB"))]
    pub(super) inflight_bytes: Option<Said<NumberOrText>>,
    /// Requests worked on at once, event streams included. Default: 10000.
    pub(super) inflight_requests: Option<Said<u32>>,
    /// How long each step may take, such as "10s".
    pub(super) timeouts: Timeouts,
}

/// How long each step may take: a number and ms, s, m, h or d.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Timeouts {
    /// The TLS handshake.
    #[schemars(extend("default" = "10s"))]
    pub(super) handshake: Option<Text>,
    /// From a ready connection to the first byte of its first request.
    #[schemars(extend("default" = "10s"))]
    pub(super) first_byte: Option<Text>,
    /// From the first byte of a request to the end of its head.
    #[schemars(extend("default" = "10s"))]
    pub(super) headers: Option<Text>,
    /// The whole of a request body, from its first byte wanted to its last.
    #[schemars(extend("default" = "20s"))]
    pub(super) body: Option<Text>,
    /// Between two requests on one connection.
    #[schemars(extend("default" = "60s"))]
    pub(super) idle: Option<Text>,
    /// Connecting to an upstream, its TLS handshake included.
    #[schemars(extend("default" = "5s"))]
    pub(super) connect: Option<Text>,
    /// An answer of which the client takes nothing for so long is broken off.
    #[schemars(extend("default" = "30s"))]
    pub(super) write: Option<Text>,
}

/// Where the audit records go.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Audit {
    /// "stdout", { file = "audit.ndjson" }, { otlp = "http://127.0.0.1:4318" }, { s3 = "s3://bucket/prefix", retention = "365d" },
    /// or an array for several.
    #[schemars(with = "Option<OneOrMany<Sink>>", extend("default" = "stdout"))]
    pub(super) sink: Option<Said<Vec<Said<Sink>>>>,
    /// What happens to calls while the log cannot be written: `closed` refuses them.
    #[schemars(extend("default" = "closed"))]
    pub(super) fail: Option<Said<Fail>>,
    /// Of which calls an intent stands in the log before they leave.
    #[schemars(extend("default" = "destructive"))]
    pub(super) write_ahead: Option<Said<WriteAhead>>,
    /// What must have become of an intent before its call leaves: `buffered`: nothing yet; `written`: the system has it;
    /// `synced`: the disk has it.
    #[schemars(extend("default" = "written"))]
    pub(super) durability: Option<Said<Durability>>,
    /// Tools that destroy something, by name with `*`, beside what the servers' annotations say.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) destructive: Option<Texts>,
    /// How much is told of which tools. The first rule that means a tool counts.
    pub(super) rule: Option<Said<Vec<Said<AuditRule>>>>,
    /// A file with 64 hexadecimal digits; with it tokens and e-mail addresses get pseudonyms.
    pub(super) pseudonym_key: Option<Text>,
    /// When audit files are closed and new ones begun.
    pub(super) rotate: Rotate,
}

/// How much is told of some tools.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuditRule {
    /// A tool's name, with `*` for any characters. Required.
    pub(super) tool: Option<Text>,
    /// Nothing, neither arguments nor answer, the arguments, or both.
    #[schemars(extend("default" = "request"))]
    pub(super) level: Option<Said<AuditLevel>>,
    /// What is replaced in what is told: what the rules of redaction find, or the whole of it.
    #[schemars(extend("default" = "found"))]
    pub(super) redact: Option<Said<Redact>>,
    /// Places that stay as they are: JSON Pointers into the arguments, `*` for any member.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) allow: Option<Texts>,
}

/// When audit files are closed and new ones begun.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rotate {
    /// A file of this size is closed: bytes, or a size such as "256MB".
    #[schemars(extend("default" = "256MB"))]
    pub(super) size: Option<Said<NumberOrText>>,
    /// A file this old is closed, such as "24h". Default: at no age.
    pub(super) every: Option<Text>,
    /// How old files are compressed.
    #[schemars(extend("default" = "zstd"))]
    pub(super) compress: Option<Said<Compress>>,
    /// How many old files are kept. Default: all.
    pub(super) keep: Option<Said<u32>>,
    /// How long old files are kept, such as "90d". Default: for ever.
    pub(super) keep_for: Option<Text>,
}

/// What Palisade's commands may reach, and what URLs in calls may name.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Egress {
    /// Of the servers' allowlists: `report` lets unlisted hosts pass and records them, `off` does
    /// not look. Special addresses are refused in every mode.
    pub(super) mode: Option<Said<Mode>>,
    /// Start no command whose policy holds less firmly than this. Default: supervised for a
    /// command with an allowlist, else advisory.
    pub(super) min_level: Option<Said<Level>>,
    /// The firmest level that is tried for commands.
    #[schemars(extend("default" = "isolated"))]
    pub(super) max_level: Option<Said<Level>>,
    /// Addresses that would be refused: "address:port", a CIDR, or a CIDR with a port. A cloud's
    /// platform address is opened by "address:port" alone.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) allow_special: Option<Texts>,
    /// Ranges that are refused before anything else is asked, as CIDR.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) deny: Option<Texts>,
    /// NAT64 prefixes of this network: the IPv4 address inside is judged.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) nat64: Option<Texts>,
    /// Ports where an allowlist's entry names none, or there is no allowlist.
    #[schemars(with = "Option<Vec<u16>>", extend("default" = [80, 443]))]
    pub(super) ports: Option<Said<Vec<Said<u16>>>>,
    /// DNS servers, such as "127.0.0.1:53". Default: those of /etc/resolv.conf.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) dns: Option<Texts>,
    /// A PEM file with certificates to trust beside the system's roots, relative to this file's
    /// directory.
    pub(super) ca: Option<Text>,
    /// URLs in the arguments of tool calls: `enforce` refuses a call with one that may not be
    /// reached. Default: off, and for an upstream with an allowlist the mode of that.
    pub(super) urls: Option<Said<Mode>>,
    /// Where `palisade egress serve` listens.
    #[schemars(extend("default" = "127.0.0.1:3128"))]
    pub(super) listen: Option<Text>,
    /// Who may use `palisade egress serve`, by name. Without any, everybody on this machine.
    pub(super) user: BTreeMap<String, EgressUser>,
}

/// A user of `palisade egress serve`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EgressUser {
    /// A file with the password alone, of 20 bytes or more, relative to this file's directory.
    pub(super) password_file: Option<Text>,
    /// The hosts that it may reach. Absent: the public internet minus everything special; an empty
    /// list: nothing.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub(super) egress: Option<Texts>,
}

/// What happens on SIGTERM.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Drain {
    /// How long requests in flight may take to finish.
    #[schemars(extend("default" = "30s"))]
    pub(super) deadline: Option<Text>,
}

/// An MCP server behind Palisade. A section repeated here wins over the same one above.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Server {
    /// Its name in the audit log and in environment variables. Required.
    pub(super) name: Option<Text>,
    /// A prefix on a segment boundary; the longest wins. Default: the path of `upstream`; `/mcp`
    /// for a command.
    pub(super) path: Option<Text>,
    /// Only under this public host, which need not be listed in `hosts`.
    pub(super) host: Option<Text>,
    /// The URL of the server. Required, unless there is a `command`.
    pub(super) upstream: Option<Text>,
    /// A program and its arguments that speak MCP on their standard streams, in place of
    /// `upstream`.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) command: Option<Texts>,
    /// Of a command: who shares a running one.
    #[schemars(extend("default" = "session"))]
    pub(super) scope: Option<Said<Scope>>,
    /// Of a command: variables that it gets beside PATH, HOME and the like. NAME passes
    /// Palisade's own on, NAME=value sets one.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) environment: Option<Texts>,
    /// Of a command: where it runs, relative to this file's directory. Default: where Palisade
    /// does.
    pub(super) directory: Option<Text>,
    /// Of a command: sessions, and running commands, at once.
    #[schemars(range(min = 1, max = 10_000), extend("default" = 64))]
    pub(super) sessions: Option<Said<u32>>,
    /// Of a command: after how long a session that nobody uses is ended.
    #[schemars(extend("default" = "30m"))]
    pub(super) session_idle: Option<Text>,
    /// Of a command: from its start to its first answer.
    #[schemars(extend("default" = "60s"))]
    pub(super) start_timeout: Option<Text>,
    /// Of a command: the firmest level that is tried for it. Default: that of `[egress]`.
    pub(super) max_level: Option<Said<Level>>,
    /// Of a command: unix sockets of other programs that it may connect to, by their whole paths.
    #[schemars(with = "Option<OneOrMany<String>>", extend("default" = []))]
    pub(super) sockets: Option<Texts>,
    /// Of a command: what is run once, when Palisade starts, before the command is.
    pub(super) install: Option<Said<Install>>,
    /// Accept plain HTTP to an upstream off this machine.
    #[schemars(extend("default" = false))]
    pub(super) plaintext_upstream: Option<Said<bool>>,
    /// `http`: a plain endpoint, every layer but the message inspection.
    #[schemars(extend("default" = "mcp"))]
    pub(super) kind: Option<Said<Kind>>,
    /// The Host that the upstream sees: its own authority, or the client's.
    #[schemars(extend("default" = "rewrite"))]
    pub(super) upstream_host: Option<Said<UpstreamHost>>,
    /// The time of one call, from its arrival to its result.
    pub(super) timeout: Option<Text>,
    /// Calls at once. Default: as many as the connections allow.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) concurrency: Option<Said<u32>>,
    /// The hosts that it may reach, such as "api.github.com:443" or "*.example.com". Absent: the
    /// public internet minus everything special; an empty list: nothing.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub(super) egress: Option<Texts>,
    /// URLs in the arguments of its calls, as under `[egress]`.
    pub(super) urls: Option<Said<Mode>>,
    /// Whether callers must be known. Default: they must, once anything of `[auth]` is configured.
    pub(super) auth: Option<Said<AuthMode>>,
    /// Let the upstream have the client's Authorization.
    #[schemars(extend("default" = false))]
    pub(super) forward_authorization: Option<Said<bool>>,
    /// How the upstream is told who calls: a signed token, plain headers, or not at all.
    #[schemars(extend("default" = "jwt"))]
    pub(super) caller_header: Option<Said<CallerHeader>>,
    /// How the upstream is told of the client's certificate: X-Forwarded-Client-Cert, or as nginx does.
    pub(super) certificate_header: Option<Said<CertificateHeader>>,
    /// A file with what the upstream gets in Authorization, such as "Bearer …".
    pub(super) credential_file: Option<Text>,
    /// The same from an environment variable of this name.
    pub(super) credential_env: Option<Text>,
    /// Rules: as soon as there is one, what none allows is refused.
    pub(super) allow: Vec<Said<auth::Allow>>,
    /// By tool name.
    pub(super) tool: BTreeMap<String, Tool>,
    /// Of this server's layers.
    pub(super) mode: Option<Said<Mode>>,
    /// As above, for this server.
    pub(super) origin: Guard,
    /// As above, for this server.
    pub(super) headers: Headers,
    /// As above, for this server.
    pub(super) cors: Cors,
    /// As above, for this server.
    pub(super) rate: Rate,
    /// What of the limits belongs to one server.
    pub(super) limits: ServerLimits,
    /// As above, for this server.
    pub(super) audit: Audit,
}

/// What is run once before a command, with an allowlist of its own: it fetches the package that the
/// command then finds.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Install {
    /// A program and its arguments. Default: for `npx` and `uvx`, the same package without its
    /// server.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) command: Option<Texts>,
    /// The hosts that it may reach. Absent: the public internet minus everything special; an empty
    /// list: nothing.
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub(super) egress: Option<Texts>,
    /// How long it may take.
    #[schemars(extend("default" = "5m"))]
    pub(super) timeout: Option<Text>,
}

/// What of the limits belongs to one server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServerLimits {
    /// Of `body` alone.
    pub(super) mode: Option<Said<Mode>>,
    /// One request body: bytes, or a size such as "2MB".
    pub(super) body: Option<Said<NumberOrText>>,
    /// Levels of nesting in a JSON body.
    #[schemars(range(min = 1, max = 128))]
    pub(super) json_depth: Option<Said<u32>>,
}

/// Bounds of one tool.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Tool {
    /// The time of one call.
    pub(super) timeout: Option<Text>,
    /// Calls at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) concurrency: Option<Said<u32>>,
    /// Calls per caller, such as "10/min".
    pub(super) rate: Option<Text>,
    /// URLs in the arguments of its calls.
    pub(super) urls: Option<Said<Mode>>,
}

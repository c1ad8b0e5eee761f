//! `[audit]`: the log.

use std::path::PathBuf;
use std::time::Duration;

use super::{List, Value};
use crate::config::names::HttpUrl;

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

/// What happens to calls while the audit log cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fail {
    /// They are refused.
    #[default]
    Closed,
    /// They pass, and what was not written is counted.
    Open,
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
    pub(in crate::config) fn same_place(&self, other: &Self) -> bool {
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

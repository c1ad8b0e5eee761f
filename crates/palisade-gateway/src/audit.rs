//! The audit log of a gateway: its sinks, the key that its checkpoints are signed with, what is written ahead.

mod http;
mod otlp;
#[cfg(feature = "s3")]
mod s3;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use palisade::audit::{Intents, Level, Rule, Rules, WriteAhead};
use palisade_audit::{
    Change, CheckpointKey, Compression, Config, Deliver, Durability, Fingerprint, KeyError, Log,
    OpenError, PSEUDONYM_KEY_LEN, Pattern, PublicKey, Redactor, Remote, SinkConfig, ToolPolicy,
};

use crate::config::{
    Audit, AuditLevel, AuditRule, Compress, Durability as DurabilitySetting, Redact, Rotate,
    Settings, Sink, WriteAhead as WriteAheadSetting,
};

/// The log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The key for checkpoints.
    #[error("the key for the audit log's checkpoints: {0}")]
    Key(#[from] KeyError),
    /// The key for pseudonyms.
    #[error("the key for pseudonyms, {}: {cause}; make one with `openssl rand -hex 32`", path.display())]
    Pseudonyms {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A sink.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A sink over the network that cannot be set up.
    #[error("the audit sink {name}: {cause}")]
    Remote {
        /// As it is configured.
        name: String,
        /// What is wrong, and what to do about it.
        cause: String,
    },
}

/// The audit log, and the public half of the key that its checkpoints are signed with. Gateways of one process may share it.
#[derive(Clone, Debug)]
pub struct Trail {
    /// The log.
    pub log: Arc<Log>,
    /// For `palisade audit verify --key`.
    pub key: PublicKey,
    /// Where the key is kept; `None`: nowhere, it is made anew at each start.
    pub kept: Option<PathBuf>,
}

impl Trail {
    /// Opens the sinks of the settings.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(settings: &Settings, data_directory: Option<&Path>) -> Result<Self, AuditError> {
        let audit = &settings.defaults.audit;
        let mut config = Config::new(sinks(audit));
        rotation(&mut config, &audit.rotate);
        let kept = key_directory(settings, data_directory);
        let in_file = audit
            .sinks
            .iter()
            .any(|sink| matches!(sink.value, Sink::File(_)));
        let (key, kept) = match kept.map(|kept| (CheckpointKey::load_or_create(&kept), kept)) {
            Some((Ok(key), kept)) => (key, Some(kept)),
            // Who only writes to standard output may have no place to keep anything.
            Some((Err(error @ KeyError::Io { .. }), _)) if !in_file => {
                tracing::warn!(%error, "the audit log's checkpoints are signed with a key for this run alone");
                (CheckpointKey::generate()?, None)
            }
            Some((Err(error), _)) => return Err(error.into()),
            None => (CheckpointKey::generate()?, None),
        };
        let public = key.public();
        config.key = Some(key);
        config.remotes = remotes(audit, &public)?;
        config.durability = match audit.durability.value {
            DurabilitySetting::Buffered => Durability::Buffered,
            DurabilitySetting::Synced => Durability::Synced,
            DurabilitySetting::Written => Durability::Written,
        };
        config.on_change = Some(Box::new(|change| match change {
            Change::Recovered | Change::CaughtUp { .. } => tracing::warn!("audit log: {change}"),
            _ => tracing::error!("audit log: {change}"),
        }));
        Ok(Self {
            log: Arc::new(Log::open(config)?),
            key: public,
            kept,
        })
    }
}

/// Where the key for checkpoints is kept: beside the first audit file, else in the data directory.
#[must_use]
pub fn key_directory(settings: &Settings, data_directory: Option<&Path>) -> Option<PathBuf> {
    let file = settings
        .defaults
        .audit
        .sinks
        .iter()
        .find_map(|sink| match &sink.value {
            Sink::File(path) => Some(path),
            Sink::Otlp(_) | Sink::S3(_) | Sink::Stdout => None,
        });
    match file {
        Some(file) => Some(match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        }),
        None => data_directory.map(Path::to_owned),
    }
}

/// What is written down of a server's calls before they leave.
#[must_use]
pub fn intents(audit: &Audit) -> Arc<Intents> {
    Arc::new(Intents {
        of: match audit.write_ahead.value {
            WriteAheadSetting::All => WriteAhead::All,
            WriteAheadSetting::Destructive => WriteAhead::Destructive,
            WriteAheadSetting::None => WriteAhead::None,
        },
        destructive: audit
            .destructive
            .iter()
            .map(|pattern| Pattern::new(pattern.value.as_str()))
            .collect(),
    })
}

/// How much is told of each server's calls.
///
/// # Errors
/// The pseudonym key cannot be read.
pub fn rules(settings: &Settings) -> Result<HashMap<Arc<str>, Rules>, AuditError> {
    let key = match &settings.defaults.audit.pseudonym_key {
        Some(path) => Some(pseudonym_key(&path.value)?),
        None => None,
    };
    let mut all = HashMap::new();
    for server in &settings.servers {
        let said = &server.policy.audit.rules;
        if said.is_empty() && key.is_none() {
            continue;
        }
        let mut redactor = Redactor::new();
        if let Some(key) = &key {
            redactor = redactor.pseudonyms(key);
        }
        let rules = said.iter().map(|rule| rule_of(&rule.value));
        let rules = Rules::new(rules, redactor);
        all.insert(Arc::from(server.name.value.as_str()), rules);
    }
    Ok(all)
}

fn rule_of(said: &AuditRule) -> Rule {
    let paths = said.allow.iter().map(String::as_str);
    Rule {
        tool: said.tool.clone(),
        level: match said.level {
            AuditLevel::Metadata => Level::Metadata,
            AuditLevel::None => Level::None,
            AuditLevel::Request => Level::Request,
            AuditLevel::Response => Level::Response,
        },
        redaction: match said.redact {
            Redact::Found if said.allow.is_empty() => ToolPolicy::Default,
            // Looked at when the settings were read.
            Redact::Found => ToolPolicy::allow(paths).unwrap_or_default(),
            Redact::Whole => ToolPolicy::Whole,
        },
    }
}

/// 64 hexadecimal digits.
fn pseudonym_key(path: &Path) -> Result<[u8; PSEUDONYM_KEY_LEN], AuditError> {
    let failed = |cause: String| AuditError::Pseudonyms {
        path: path.to_owned(),
        cause,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let digits = text.trim();
    let mut key = [0; PSEUDONYM_KEY_LEN];
    if digits.len() != 2 * key.len() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(failed(String::from("it holds no 64 hexadecimal digits")));
    }
    for (at, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * at..2 * at + 2], 16)
            .map_err(|error| failed(error.to_string()))?;
    }
    Ok(key)
}

fn sinks(audit: &Audit) -> Vec<SinkConfig> {
    audit
        .sinks
        .iter()
        .filter_map(|sink| match &sink.value {
            Sink::File(path) => Some(SinkConfig::File(path.clone())),
            Sink::Stdout => Some(SinkConfig::Stdout),
            Sink::Otlp(_) | Sink::S3(_) => None,
        })
        .collect()
}

/// Those over the network.
fn remotes(audit: &Audit, key: &PublicKey) -> Result<Vec<Remote>, AuditError> {
    let mut remotes = Vec::new();
    for sink in audit.sinks.iter() {
        let (name, made) = match &sink.value {
            Sink::File(_) | Sink::Stdout => continue,
            Sink::Otlp(otlp) => {
                let collector = otlp::Collector::new(otlp, key);
                let boxed = collector.map(|it| Box::new(it) as Box<dyn Deliver>);
                (otlp.url.to_string(), boxed)
            }
            Sink::S3(s3) => (format!("s3://{}/{}", s3.bucket, s3.prefix), bucket(s3, key)),
        };
        let deliver = made.map_err(|cause| AuditError::Remote {
            name: name.clone(),
            cause,
        })?;
        let mut remote = Remote::new(name, deliver);
        if let Sink::S3(s3) = &sink.value {
            remote.every = s3.every;
            remote.enough = 1024 * 1024;
            // All that waits, so that a checkpoint stands at the end.
            remote.batch_max = 64 * 1024 * 1024;
            remote.seals = true;
        }
        remotes.push(remote);
    }
    Ok(remotes)
}

#[cfg(feature = "s3")]
fn bucket(s3: &crate::config::S3, key: &PublicKey) -> Result<Box<dyn Deliver>, String> {
    s3::Bucket::new(s3, key).map(|bucket| Box::new(bucket) as Box<dyn Deliver>)
}

#[cfg(not(feature = "s3"))]
fn bucket(_: &crate::config::S3, _: &PublicKey) -> Result<Box<dyn Deliver>, String> {
    Err("this build has no object storage; use one with the feature `s3`".to_owned())
}

/// The name of this gateway among others: whoever signs its checkpoints.
fn instance(key: &PublicKey) -> String {
    Fingerprint::of(key.to_string().as_bytes()).to_string()
}

fn rotation(config: &mut Config, rotate: &Rotate) {
    let rotation = &mut config.rotation;
    rotation.max_bytes = Some(rotate.size.value);
    rotation.max_age = rotate.every.as_ref().map(|every| every.value);
    rotation.compression = match rotate.compress.value {
        Compress::Gzip => Compression::Gzip,
        Compress::None => Compression::None,
        Compress::Zstd => Compression::Zstd,
    };
    rotation.keep = rotate.keep.as_ref().map(|keep| keep.value as usize);
    rotation.keep_for = rotate.keep_for.as_ref().map(|span| span.value);
}

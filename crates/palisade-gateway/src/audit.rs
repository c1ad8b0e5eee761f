//! The audit log of a gateway: its sinks, the key that its checkpoints are signed with, what is written ahead.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use palisade::audit::{Intents, Level, Rule, Rules, WriteAhead};
use palisade_audit::{
    Change, CheckpointKey, Compression, Config, KeyError, Log, OpenError, PSEUDONYM_KEY_LEN,
    Pattern, PublicKey, Redactor, SinkConfig, ToolPolicy,
};

use crate::config::{
    Audit, AuditLevel, AuditRule, Compress, Redact, Rotate, Settings, Sink,
    WriteAhead as WriteAheadSetting,
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
}

/// The audit log, and the public half of the key that its checkpoints are signed with.
#[derive(Debug)]
pub struct Trail {
    /// The log.
    pub log: Log,
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
        config.on_change = Some(Box::new(|change| match change {
            Change::Recovered => tracing::warn!("audit log: {change}"),
            _ => tracing::error!("audit log: {change}"),
        }));
        Ok(Self {
            log: Log::open(config)?,
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
            Sink::Stdout => None,
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
        .map(|sink| match &sink.value {
            Sink::File(path) => SinkConfig::File(path.clone()),
            Sink::Stdout => SinkConfig::Stdout,
        })
        .collect()
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

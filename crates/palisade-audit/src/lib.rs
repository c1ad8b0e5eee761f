//! Palisade's audit record: its shape, its redaction, its sinks. No HTTP in here.
//!
//! * [`Record`] is one line of newline-delimited JSON, borrowed from whoever handles the call.
//! * [`redact_json`] and [`redact_text`] take secrets and personal data out before anything is written.
//! * [`Log`] carries records from the worker threads to a sink by one writer thread; what the sink
//!   does not take shows as an error and in [`Handle::healthy`], never as silence.
//!
//! ```
//! use palisade_audit::{Actor, Config, Log, Outcome, Record, SinkConfig};
//! use std::time::{Duration, SystemTime};
//!
//! let log = Log::open(Config::new(SinkConfig::Stdout))?;
//! let handle = log.handle(); // one per worker thread
//! let mut record = Record::new(SystemTime::now(), "req-1");
//! record.actor = Actor { id: Some("alice"), ip: None };
//! record.tool = Some("add");
//! record.args = Some(br#"{"a":1,"token":"ghp_0123456789abcdef0123456789abcdef0123"}"#);
//! record.outcome = Some(Outcome::Ok);
//! handle.append(&record)?;
//! log.close(Duration::from_secs(5))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod chain;
mod digest;
mod egress;
mod escape;
mod log;
mod memo;
mod pattern;
pub mod query;
mod record;
mod redact;
mod sink;
mod stamp;
mod survey;

pub use chain::{
    Chain, ChainReport, CheckpointKey, Damage, Fault, KeyError, PublicKey, SegmentError, Verifier,
};
pub use digest::Fingerprint;
pub use egress::Egress;
pub use log::{
    Ahead, AppendError, Change, Config, Durability, FlushError, Handle, Log, OnChange, Staged,
    Status, Ticket,
};
pub use pattern::Pattern;
pub use record::{ARGS_MAX, Actor, Bytes, ERROR_MAX, Encoder, Opening, Outcome, Phase, Record};
pub use redact::{
    NotJson, PSEUDONYM_KEY_LEN, Path, PathError, Redactor, ToolPolicy, redact_json, redact_text,
};
pub use sink::{
    Batch, Compression, Deliver, DeliverError, DeliverErrorKind, Delivered, OpenError, Remote,
    Rotation, SinkConfig,
};

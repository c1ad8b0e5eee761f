//! What the guard decided, as records of the audit log.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use palisade::{RequestId, Text};
use palisade_audit::{Actor, Bytes, Egress, Handle, Log, Outcome, Phase, Record};
use palisade_egress::{Decision, Event, Level, Observe, Traffic};

use crate::config::Settings;
use crate::upstream::stdio::{CallNote, UnderWay};

/// Writes a record of every decision, with the call that it was for where there is only one.
#[derive(Debug)]
pub(crate) struct Told {
    log: Handle,
    server_version: Option<String>,
    /// By user of the proxy, where it is a server's command.
    levels: HashMap<Arc<str>, Level>,
    under_way: Arc<UnderWay>,
    /// Nothing is opened that could not be recorded.
    closed: bool,
}

impl Told {
    pub(crate) fn new(
        log: &Log,
        settings: &Settings,
        levels: HashMap<Arc<str>, Level>,
        under_way: Arc<UnderWay>,
        closed: bool,
    ) -> Self {
        let version = settings.server_version.as_ref();
        Self {
            log: log.handle(),
            server_version: version.map(|version| version.value.clone()),
            levels,
            under_way,
            closed,
        }
    }

    fn write(&self, line: &Line<'_>) {
        let calls = line.child.map(|child| self.under_way.calls(child));
        let calls = calls.unwrap_or_default();
        // With several calls under way nobody knows which one it was for: all are named.
        let (call, several): (Option<&CallNote>, &[CallNote]) = match calls.as_slice() {
            [call] => (Some(call), &[]),
            several => (None, several),
        };
        let several: Vec<&str> = several.iter().map(|call| call.request.as_str()).collect();
        let id = call.map_or_else(RequestId::next, |call| call.request);
        let began = SystemTime::now().checked_sub(line.duration);
        let mut record = Record::new(began.unwrap_or(SystemTime::UNIX_EPOCH), id.as_str());
        record.phase = line.phase;
        record.server = Some(line.identity).filter(|name| !name.is_empty());
        record.gateway_version = Some(env!("CARGO_PKG_VERSION"));
        record.server_version = self.server_version.as_deref();
        record.duration = Some(line.duration);
        record.outcome = Some(line.outcome);
        record.error = line.error;
        record.reason = line.reason;
        record.bytes = line.bytes;
        if let Some(call) = call {
            record.actor = Actor {
                id: None,
                ip: call.peer,
            };
            record.session = call.session;
            record.method = call.method.as_ref().map(Text::as_str);
            record.tool = call.tool.as_ref().map(Text::as_str);
            record.trace_id = call.trace_id.as_ref().map(Text::as_str);
        }
        let mut egress = Egress::default();
        egress.decision = line.decision;
        egress.form = line.form;
        egress.level = self
            .levels
            .get(line.identity)
            .map_or("", |level| level.as_str());
        egress.host = line.host;
        egress.port = line.port;
        egress.addresses = line.addresses;
        egress.hop = line.hop;
        egress.child = line.child;
        egress.calls = &several;
        egress.revoked = line.revoked;
        record.egress = Some(egress);
        // A log that takes nothing says so by `healthy`, counts, and writes a gap record.
        let _ = self.log.append(&record);
    }
}

/// What one record says.
struct Line<'a> {
    phase: Option<Phase>,
    decision: &'a str,
    form: &'a str,
    identity: &'a str,
    child: Option<u64>,
    host: &'a str,
    port: u16,
    addresses: &'a [SocketAddr],
    hop: u8,
    duration: Duration,
    outcome: Outcome,
    reason: Option<&'a str>,
    error: Option<&'a str>,
    bytes: Option<Bytes>,
    revoked: bool,
}

impl Observe for Told {
    fn decided(&self, event: &Event<'_>) {
        let code = event.decision.code();
        let (outcome, reason, error) = match event.decision {
            Decision::Allow(_) => (Outcome::Ok, None, None),
            Decision::Refuse(reason) => {
                let error = match event.detail {
                    "" => reason.text().to_owned(),
                    detail => format!("{}: {detail}", reason.text()),
                };
                (Outcome::Denied, Some(code), Some(error))
            }
        };
        self.write(&Line {
            phase: None,
            decision: code,
            form: event.form.as_str(),
            identity: event.identity,
            child: event.child,
            host: &event.host,
            port: event.port,
            addresses: event.addresses,
            hop: event.hop,
            duration: event.duration,
            outcome,
            reason,
            error: error.as_deref(),
            bytes: None,
            revoked: false,
        });
    }

    fn ready(&self) -> bool {
        !self.closed || self.log.healthy()
    }

    fn ended(&self, traffic: &Traffic<'_>) {
        self.write(&Line {
            phase: Some(Phase::Close),
            decision: "",
            form: traffic.form.as_str(),
            identity: traffic.identity,
            child: traffic.child,
            host: traffic.host,
            port: traffic.port,
            addresses: traffic.address.as_slice(),
            hop: 0,
            duration: traffic.duration,
            outcome: Outcome::Ok,
            reason: None,
            error: None,
            bytes: Some(Bytes {
                request: traffic.sent,
                response: traffic.received,
            }),
            revoked: traffic.revoked,
        });
    }
}

//! What the guard decided, as records of the audit log: each by itself, refusals past a bound in sum.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use palisade::{RequestId, Text};
use palisade_audit::{Actor, Bytes, Egress, Handle, Log, Outcome, Phase, Record};
use palisade_egress::{Decision, Event, Level, Observe, Reason, Traffic};

use super::sums::{Refused, Sum, Sums};
use crate::config::Settings;
use crate::upstream::stdio::{CallNote, UnderWay};

/// Writes a record of every decision, with the call that it was for where there is only one; of
/// refusals without number those that are [in sum](Told::summing).
#[derive(Debug)]
pub(crate) struct Told {
    log: Handle,
    server_version: Option<String>,
    /// By user of the proxy, where it is a server's command.
    levels: HashMap<Arc<str>, Level>,
    under_way: Arc<UnderWay>,
    /// Nothing is opened that could not be recorded.
    closed: bool,
    sums: Option<Sums>,
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
            sums: None,
        }
    }

    /// Refusals past a bound are counted, for users who can make them without number. Then
    /// [`Told::sum_up`] must be called.
    pub(super) fn summing(self) -> Self {
        let sums = Some(Sums::default());
        Self { sums, ..self }
    }

    /// Writes how many refusals were not told by themselves, where their time has passed; all of
    /// them at the end. Call it every few seconds.
    pub(super) fn sum_up(&self, all: bool) {
        let due = self.sums.as_ref().map(|sums| sums.due(Instant::now(), all));
        for sum in due.unwrap_or_default() {
            self.write_sum(&sum);
        }
    }

    fn write_sum(&self, sum: &Sum) {
        let line = Line {
            decision: sum.reason.code(),
            identity: &sum.server,
            outcome: Outcome::Denied,
            reason: Some(sum.reason.code()),
            error: Some(sum.reason.text()),
            sum: Some(sum),
            ..Line::default()
        };
        match &sum.calls[..] {
            [call] if !sum.other_calls => self.write(&line, Some(call), &[]),
            several => self.write(&line, None, several),
        }
    }

    /// The calls that are under way in a child.
    fn calls(&self, child: Option<u64>) -> Vec<CallNote> {
        let calls = child.map(|child| self.under_way.calls(child));
        calls.unwrap_or_default()
    }

    /// Writes a record of what was done by a child.
    fn write_now(&self, line: &Line<'_>) {
        // With several calls under way nobody knows which one it was for: all are named.
        match &self.calls(line.child)[..] {
            [call] => self.write(line, Some(call), &[]),
            several => self.write(line, None, several),
        }
    }

    fn write(&self, line: &Line<'_>, call: Option<&CallNote>, several: &[CallNote]) {
        let several: Vec<&str> = several.iter().map(|call| call.request.as_str()).collect();
        let id = call.map_or_else(RequestId::next, |call| call.request);
        let began = SystemTime::now().checked_sub(line.duration.unwrap_or_default());
        let mut record = Record::new(began.unwrap_or(SystemTime::UNIX_EPOCH), id.as_str());
        record.phase = line.phase;
        record.server = Some(line.identity).filter(|name| !name.is_empty());
        record.gateway_version = Some(env!("CARGO_PKG_VERSION"));
        record.server_version = self.server_version.as_deref();
        record.duration = line.duration;
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
        if let Some(sum) = line.sum {
            record.count = Some(sum.count);
            egress.destinations = sum.destinations;
            egress.between = Some((sum.first, sum.last));
        }
        record.egress = Some(egress);
        // A log that takes nothing says so by `healthy`, counts, and writes a gap record. What was refused can be
        // had at will, and so must not take the room of what has happened.
        let _ = match line.outcome {
            Outcome::Denied => self.log.append_minor(&record),
            _ => self.log.append(&record),
        };
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
    duration: Option<Duration>,
    outcome: Outcome,
    reason: Option<&'a str>,
    error: Option<&'a str>,
    bytes: Option<Bytes>,
    revoked: bool,
    sum: Option<&'a Sum>,
}

impl Default for Line<'_> {
    fn default() -> Self {
        Self {
            phase: None,
            decision: "",
            form: "",
            identity: "",
            child: None,
            host: "",
            port: 0,
            addresses: &[],
            hop: 0,
            duration: None,
            outcome: Outcome::Ok,
            reason: None,
            error: None,
            bytes: None,
            revoked: false,
            sum: None,
        }
    }
}

impl Observe for Told {
    fn decided(&self, event: &Event<'_>) {
        let code = event.decision.code();
        let (outcome, reason, error) = match event.decision {
            Decision::Allow(_) => (Outcome::Ok, None, None),
            Decision::Refuse(reason) => {
                if self.is_counted(event, reason) {
                    return;
                }
                let error = match event.detail {
                    "" => reason.text().to_owned(),
                    detail => format!("{}: {detail}", reason.text()),
                };
                (Outcome::Denied, Some(code), Some(error))
            }
        };
        self.write_now(&Line {
            decision: code,
            form: event.form.as_str(),
            identity: event.identity,
            child: event.child,
            host: &event.host,
            port: event.port,
            addresses: event.addresses,
            hop: event.hop,
            duration: Some(event.duration),
            outcome,
            reason,
            error: error.as_deref(),
            ..Line::default()
        });
    }

    fn ready(&self) -> bool {
        !self.closed || self.log.healthy()
    }

    fn ended(&self, traffic: &Traffic<'_>) {
        self.write_now(&Line {
            phase: Some(Phase::Close),
            form: traffic.form.as_str(),
            identity: traffic.identity,
            child: traffic.child,
            host: traffic.host,
            port: traffic.port,
            addresses: traffic.address.as_slice(),
            duration: Some(traffic.duration),
            bytes: Some(Bytes {
                request: traffic.sent,
                response: traffic.received,
            }),
            revoked: traffic.revoked,
            ..Line::default()
        });
    }
}

impl Told {
    /// Whether a refusal is one too many to be told by itself.
    fn is_counted(&self, event: &Event<'_>, reason: Reason) -> bool {
        let Some(sums) = &self.sums else {
            return false;
        };
        let refused = Refused {
            server: event.identity,
            reason,
            host: &event.host,
            port: event.port,
            at: SystemTime::now(),
        };
        !sums.is_single(&refused, || self.calls(event.child), Instant::now())
    }
}

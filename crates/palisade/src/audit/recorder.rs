//! From what is known of an exchange to lines of the log.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::StatusCode;
use palisade_audit::{Actor, Bytes, Handle, Outcome, Phase, Record};

use super::aggregate::Aggregate;
use super::witness::{Account, End};
use crate::exchange::{Call, CallOutcome, Facts, RequestId};
use crate::mcp::shown::Shown;
use crate::rejection::{Fault, Reason, Rejection};

/// What happens to calls while the log cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fail {
    /// They are refused with `audit.unavailable` (the default).
    #[default]
    Closed,
    /// They pass; the log counts what it lost.
    Open,
}

/// Writes records to the logs of one worker. A cheap handle.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    logs: Vec<Handle>,
    refusals: Arc<Aggregate>,
    gateway_version: &'static str,
    /// `SERVER_VERSION`; wins over what the upstream says of itself.
    server_version: Option<String>,
}

impl Recorder {
    /// Writes every record to each of `logs`; `refusals` is shared by all recorders.
    #[must_use]
    pub fn new(
        logs: Vec<Handle>,
        refusals: Arc<Aggregate>,
        gateway_version: &'static str,
        server_version: Option<String>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                logs,
                refusals,
                gateway_version,
                server_version,
            }),
        }
    }

    /// Whether every log takes records at present.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.shared.logs.iter().all(Handle::healthy)
    }

    /// A stream that stays open has begun.
    pub(super) fn opened(&self, account: &Account) {
        let facts = account.exchange.facts();
        self.append(account, &facts, facts.calls.first(), Some(Phase::Open));
    }

    /// An exchange is over.
    pub(super) fn ended(&self, account: &Account) {
        let facts = account.exchange.facts();
        if facts.calls.is_empty() {
            // A preflight that was answered is no MCP request; what report mode let pass is told.
            let refused = account.rejection.is_some() || !facts.reported.is_empty();
            if facts.preflight && !refused {
                return;
            }
            if self.is_one_of_many(account) {
                return;
            }
            let phase = account.stream.then_some(Phase::Close);
            return self.append(account, &facts, None, phase);
        }
        for call in &facts.calls {
            self.append(
                account,
                &facts,
                Some(call),
                account.stream.then_some(Phase::Close),
            );
        }
    }

    /// Whether a stranger's refusal is one too many to be told by itself.
    fn is_one_of_many(&self, account: &Account) -> bool {
        let Some(rejection) = &account.rejection else {
            return false;
        };
        let reason = rejection.reason();
        let peer = account.exchange.connection().peer_ip();
        reason.fault() == Fault::Client
            && !self.shared.refusals.is_single(peer, reason, Instant::now())
    }

    /// A connection from `peer` was refused before it could carry a request: a handshake that
    /// failed, a cap that is reached. It is counted, and told by [`sum_up`](Self::sum_up) in one
    /// record for each address and reason; `cause`, what was found, is that of the first.
    pub fn connection_refused(&self, peer: IpAddr, reason: Reason, cause: impl fmt::Display) {
        let refusals = &self.shared.refusals;
        refusals.count(peer, reason, cause, Instant::now());
    }

    /// Writes how many refusals were not told by themselves, where their time has passed; all of
    /// them at the end. Call it every few seconds.
    pub fn sum_up(&self, all: bool) {
        for summary in self.shared.refusals.due(Instant::now(), all) {
            let id = RequestId::next();
            let mut record = Record::new(SystemTime::now(), id.as_str());
            record.actor = Actor {
                id: None,
                ip: summary.peer,
            };
            record.outcome = Some(Outcome::Denied);
            record.gateway_version = Some(self.shared.gateway_version);
            record.status = summary.reason.status_sent().map(|status| status.as_u16());
            record.error = summary.cause.as_deref();
            record.reason = Some(summary.reason.code());
            record.count = Some(summary.count);
            for log in &self.shared.logs {
                let _ = log.append(&record);
            }
        }
    }

    fn append(&self, account: &Account, facts: &Facts, call: Option<&Call>, phase: Option<Phase>) {
        let exchange = &account.exchange;
        let elapsed = exchange.started().elapsed();
        let id = exchange.id();
        let mut record = Record::new(
            SystemTime::now()
                .checked_sub(elapsed)
                .unwrap_or(SystemTime::UNIX_EPOCH),
            id.as_str(),
        );
        record.phase = phase;
        let caller = facts.caller.as_deref();
        record.actor = Actor {
            id: caller.map(crate::auth::Caller::id),
            ip: exchange.connection().peer_ip(),
        };
        record.auth_method = caller.map(|caller| caller.proof().name());
        record.server = facts.server.as_deref();
        record.gateway_version = Some(self.shared.gateway_version);
        let version = facts.shown.as_ref().and_then(Shown::version);
        record.server_version = self.shared.server_version.as_deref().or(version.as_deref());
        record.session = facts.session;
        record.status = account.status.map(|status| status.as_u16());
        record.reason = account
            .rejection
            .as_ref()
            .map(|rejection| rejection.reason().code());
        let reported: Vec<&str> = facts.reported.iter().map(|reason| reason.code()).collect();
        record.reported = &reported;
        if let Some(call) = call {
            record.method = call.method.as_ref().map(crate::Text::as_str);
            if record.method == Some("tools/call") {
                record.tool = call.target.as_ref().map(crate::Text::as_str);
                record.args = call.arguments.as_deref();
            }
            record.revision = call.revision.as_ref().map(crate::Text::as_str);
            record.trace_id = call.trace_id.as_ref().map(crate::Text::as_str);
        }
        let (status_text, explanation);
        if phase != Some(Phase::Open) {
            record.duration = Some(elapsed);
            record.bytes = Some(Bytes {
                request: facts.request_bytes,
                response: account.response_bytes,
            });
            record.outcome = Some(outcome(account, call));
            record.error = match (
                &account.rejection,
                call.and_then(|call| call.outcome.as_ref()),
            ) {
                (Some(rejection), _) => {
                    explanation = rejection.explanation();
                    Some(explanation.as_str()).filter(|text| !text.is_empty())
                }
                (None, Some(CallOutcome::Error(text))) => Some(text.as_str()),
                _ => match account.status {
                    Some(status) if failed(status) => {
                        status_text = status.to_string();
                        Some(&status_text)
                    }
                    _ => None,
                },
            };
        }
        for log in &self.shared.logs {
            // A log that takes nothing says so by `healthy`, counts, and writes a gap record.
            let _ = log.append(&record);
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("logs", &self.shared.logs.len())
            .finish_non_exhaustive()
    }
}

/// How an exchange, or one call of it, ended.
fn outcome(account: &Account, call: Option<&Call>) -> Outcome {
    if let Some(rejection) = &account.rejection {
        return refused(rejection);
    }
    match call.and_then(|call| call.outcome.as_ref()) {
        Some(CallOutcome::Ok) => return Outcome::Ok,
        Some(CallOutcome::Error(_)) => return Outcome::Error,
        Some(CallOutcome::InputRequired) => return Outcome::InputRequired,
        Some(CallOutcome::Timeout) => return Outcome::Timeout,
        None => {}
    }
    match account.end {
        // A stream lives until somebody leaves.
        End::Left if account.stream => Outcome::Ok,
        // Since 2026-07-28 a client that leaves cancels its call; before, it goes on.
        End::Left | End::Unanswered => match call {
            Some(call) if call.modern => Outcome::Cancelled,
            Some(_) => Outcome::Detached,
            None => Outcome::Cancelled,
        },
        End::Broken => Outcome::UpstreamUnreachable,
        End::Whole if account.status.is_some_and(failed) => Outcome::Error,
        // The answer came elsewhere (HTTP+SSE of 2024-11-05) or will (a stream to be resumed):
        // what came of the call is not known here.
        End::Whole if call.is_some_and(|call| call.id.is_some()) && !account.stream => {
            Outcome::Detached
        }
        End::Whole => Outcome::Ok,
    }
}

fn refused(rejection: &Rejection) -> Outcome {
    match rejection.reason() {
        Reason::CallTimeout | Reason::UpstreamTimeout => Outcome::Timeout,
        Reason::UpstreamMalformed => Outcome::Error,
        reason if reason.fault() == Fault::Upstream => Outcome::UpstreamUnreachable,
        _ => Outcome::Denied,
    }
}

fn failed(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

//! From what is known of an exchange to lines of the log.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::StatusCode;
use palisade_audit::{Actor, Ahead, AppendError, Bytes, Handle, Outcome, Phase, Record, Staged};

use super::aggregate::Aggregate;
use super::rules::{Level, Rules};
use super::witness::{Account, End};
use crate::exchange::{Call, CallOutcome, Exchange, Facts, Passage, RequestId};
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

/// Writes records to the log, for one worker. A cheap handle.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    log: Handle,
    refusals: Arc<Aggregate>,
    gateway_version: &'static str,
    /// `SERVER_VERSION`; wins over what the upstream says of itself.
    server_version: Option<String>,
    /// By the server's name; of others all is told.
    rules: Arc<HashMap<Arc<str>, Rules>>,
}

impl Recorder {
    /// Writes every record to `log`, this worker's own handle; `refusals` is shared by all recorders.
    #[must_use]
    pub fn new(
        log: Handle,
        refusals: Arc<Aggregate>,
        gateway_version: &'static str,
        server_version: Option<String>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                log,
                refusals,
                gateway_version,
                server_version,
                rules: Arc::default(),
            }),
        }
    }

    /// How much is told of the calls of the servers with these names.
    #[must_use]
    pub fn with_rules(self, rules: Arc<HashMap<Arc<str>, Rules>>) -> Self {
        let shared = &self.shared;
        Self {
            shared: Arc::new(Shared {
                log: shared.log.clone(),
                refusals: Arc::clone(&shared.refusals),
                gateway_version: shared.gateway_version,
                server_version: shared.server_version.clone(),
                rules,
            }),
        }
    }

    /// Whether the answers to any of these calls are to be kept.
    pub(super) fn keeps_answers(&self, facts: &Facts) -> bool {
        let rules = self.rules(facts);
        rules.is_some_and(|rules| {
            let mut calls = facts.calls.iter();
            calls.any(|call| rules.level(call) == Level::Response)
        })
    }

    fn rules(&self, facts: &Facts) -> Option<&Rules> {
        if self.shared.rules.is_empty() {
            return None;
        }
        self.shared.rules.get(facts.server.as_ref()?)
    }

    fn level(&self, facts: &Facts, call: &Call) -> Level {
        let rules = self.rules(facts);
        rules.map_or(Level::Request, |rules| rules.level(call))
    }

    /// Whether the log takes records at present.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.shared.log.healthy()
    }

    /// Takes down what is about to be done: a record for each call that is marked, or one where there is no call. `None`: of
    /// none of them anything is told.
    pub(super) fn stage(&self, exchange: &Exchange) -> Option<Result<Staged, AppendError>> {
        let mut facts = exchange.facts();
        let told: Vec<usize> = (facts.calls.iter().enumerate())
            .filter(|(_, call)| call.intent && self.level(&facts, call) != Level::None)
            .map(|(at, _)| at)
            .collect();
        if told.is_empty() && !facts.calls.is_empty() {
            return None;
        }
        let mut openings = Vec::with_capacity(told.len());
        let staged = {
            let id = exchange.id();
            let version = facts.shown.as_ref().and_then(Shown::version);
            let record = |call| {
                let mut record = self.begin(exchange, &id, &facts, version.as_deref(), call);
                record.phase = Some(Phase::Intent);
                record
            };
            let log = &self.shared.log;
            match &told[..] {
                [] => log.stage(&[record(None)], |_| {}),
                [one] => log.stage(&[record(facts.calls.get(*one))], |opening| {
                    openings.push(opening);
                }),
                told => {
                    let records: Vec<_> =
                        told.iter().map(|at| record(facts.calls.get(*at))).collect();
                    log.stage(&records, |opening| openings.push(opening))
                }
            }
        };
        for (at, opening) in told.into_iter().zip(openings) {
            facts.calls[at].opening = Some(opening);
        }
        if staged.is_ok() {
            facts.ahead = Passage::Held;
        }
        Some(staged)
    }

    /// Writes what is staged.
    pub(super) fn commit(&self, staged: &Staged) -> Ahead {
        self.shared.log.commit(staged)
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
            let phase = match (account.stream, facts.ahead) {
                (true, _) => Some(Phase::Close),
                (false, Passage::Unrecorded) => None,
                (false, Passage::Held | Passage::Gone) => Some(Phase::Outcome),
            };
            return self.append(account, &facts, None, phase);
        }
        for call in &facts.calls {
            // What was refused is told in any case.
            let level = self.level(&facts, call);
            if level == Level::None && account.rejection.is_none() {
                continue;
            }
            let phase = match (account.stream, call.intent) {
                (true, _) => Some(Phase::Close),
                (false, true) => Some(Phase::Outcome),
                (false, false) => None,
            };
            self.append(account, &facts, Some(call), phase);
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
            let _ = self.shared.log.append_minor(&record);
        }
    }

    /// What is known before there is an answer.
    fn begin<'a>(
        &'a self,
        exchange: &Exchange,
        id: &'a RequestId,
        facts: &'a Facts,
        version: Option<&'a str>,
        call: Option<&'a Call>,
    ) -> Record<'a> {
        let mut record = Record::new(exchange.began(), id.as_str());
        let caller = facts.caller.as_deref();
        record.actor = Actor {
            id: caller.map(crate::auth::Caller::id),
            ip: exchange.connection().peer_ip(),
        };
        record.auth_method = caller.map(|caller| caller.proof().name());
        record.server = facts.server.as_deref();
        record.gateway_version = Some(self.shared.gateway_version);
        record.server_version = self.shared.server_version.as_deref().or(version);
        record.session = facts.session;
        if let Some(call) = call {
            record.method = call.method.as_ref().map(crate::Text::as_str);
            record.rpc_id = call.id.as_deref();
            let target = || call.target.as_ref().map(crate::Text::as_str);
            match record.method {
                Some("tools/call") => {
                    record.tool = target();
                    record.args = call.arguments.as_deref();
                }
                Some("prompts/get") => record.prompt = target(),
                Some(method) if method.starts_with("resources/") => record.resource = target(),
                _ => {}
            }
            if let Some(rules) = self.rules(facts) {
                record.redactor = Some(rules.redactor());
                match rules.level(call) {
                    Level::None | Level::Metadata => record.args = None,
                    Level::Request => {}
                    Level::Response => record.response = call.response.as_deref(),
                }
            }
            record.opening = call.opening.as_ref();
            record.destructive = call.destructive;
            record.revision = call.revision.as_ref().map(crate::Text::as_str);
            record.trace_id = call.trace_id.as_ref().map(crate::Text::as_str);
        }
        record
    }

    fn append(&self, account: &Account, facts: &Facts, call: Option<&Call>, phase: Option<Phase>) {
        let exchange = &account.exchange;
        let id = exchange.id();
        let version = facts.shown.as_ref().and_then(Shown::version);
        let mut record = self.begin(exchange, &id, facts, version.as_deref(), call);
        record.phase = phase;
        record.status = account.status.map(|status| status.as_u16());
        record.reason = account
            .rejection
            .as_ref()
            .map(|rejection| rejection.reason().code());
        let reported: Vec<&str> = facts.reported.iter().map(|reason| reason.code()).collect();
        record.reported = &reported;
        let (status_text, explanation);
        if phase != Some(Phase::Open) {
            record.duration = Some(exchange.started().elapsed());
            record.bytes = Some(Bytes {
                request: facts.request_bytes,
                response: account.response_bytes,
            });
            record.outcome = Some(outcome(account, facts.ahead, call));
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
        // A log that takes nothing says so by `healthy`, counts, and writes a gap record. What has happened
        // comes before what has not.
        let _ = match record.outcome {
            Some(Outcome::Denied) => self.shared.log.append_minor(&record),
            _ => self.shared.log.append(&record),
        };
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// How an exchange, or one call of it, ended.
fn outcome(account: &Account, ahead: Passage, call: Option<&Call>) -> Outcome {
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
        // The server has never heard of it, so nothing of it goes on.
        End::Unanswered if ahead == Passage::Held => Outcome::Cancelled,
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

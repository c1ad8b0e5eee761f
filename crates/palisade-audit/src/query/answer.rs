//! What was found: in one piece, and in all of them together.

use std::collections::HashMap;

use super::input::wildcard;
use super::{Line, Questions, parse_time};
use crate::redact::unescape;

/// The answers to [`Questions`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Answers {
    /// Lines that were read.
    pub lines: u64,
    /// Lines that are no record: broken, or not JSON.
    pub unreadable: u64,
    /// Calls within the time that was asked for.
    pub calls: u64,
    /// Destructive calls, by time.
    pub destructive: Vec<Call>,
    /// How many there were, those that are not listed included.
    pub destructive_total: u64,
    /// Who called too often, the worst first.
    pub frequent: Vec<Actor>,
    /// Which tools failed too often, the worst first.
    pub errors: Vec<Tool>,
    /// What happened around the moment, by time.
    pub around: Vec<Call>,
    /// How many records there were, those that are not listed included.
    pub around_total: u64,
    actors: HashMap<Box<[u8]>, Vec<i64>>,
    tools: HashMap<Box<[u8]>, (u64, u64)>,
    /// Calls whose outcome is still to be met, by their ids.
    intents: HashMap<Box<[u8]>, Call>,
    /// Outcomes whose intent is still to be met: it lies in another piece.
    outcomes: HashMap<Box<[u8]>, ()>,
}

/// One call, or another record around a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// Milliseconds since 1970.
    pub time: i64,
    /// As the record has it.
    pub timestamp: String,
    /// The record's `requestId`.
    pub request_id: String,
    /// Who.
    pub actor: String,
    /// From where.
    pub ip: String,
    /// The upstream's name.
    pub server: String,
    /// The tool; the method of what is no call; the event of what is no record.
    pub tool: String,
    /// How it ended; `unknown` for a call of which only the intent was recorded.
    pub outcome: String,
    /// What went wrong.
    pub error: String,
    /// How long it took.
    pub duration_ms: Option<u64>,
}

/// Somebody who called too often.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Actor {
    /// Who.
    pub actor: String,
    /// The most calls within one span.
    pub most: usize,
    /// When the first span with so many begins, in milliseconds since 1970.
    pub from: i64,
    /// When the last call of it was.
    pub to: i64,
    /// All calls.
    pub calls: usize,
}

/// A tool that failed too often.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Tool {
    /// Its name.
    pub tool: String,
    /// All calls.
    pub calls: u64,
    /// Those with the outcomes `error`, `timeout` and `upstream_unreachable`.
    pub errors: u64,
    /// From 0 to 1.
    pub rate: f64,
}

/// What one piece holds.
pub(super) struct Part<'a> {
    questions: &'a Questions,
    answers: Answers,
}

impl<'a> Part<'a> {
    pub(super) fn new(questions: &'a Questions) -> Self {
        Self {
            questions,
            answers: Answers::default(),
        }
    }

    pub(super) fn take(&mut self, text: &[u8]) {
        if text.trim_ascii().is_empty() {
            return;
        }
        let answers = &mut self.answers;
        answers.lines += 1;
        let line = Line::read(text);
        let Some((line, time)) = line.and_then(|line| Some((line, parse_time(line.timestamp)?)))
        else {
            answers.unreadable += 1;
            return;
        };
        if let Some(around) = &self.questions.around
            && around.contains(&time)
        {
            answers.around_total += 1;
            answers.around.push(Call::of(&line, time));
        }
        if self
            .questions
            .range
            .as_ref()
            .is_some_and(|range| !range.contains(&time))
            || line.tool.is_empty()
        {
            return;
        }
        if line.phase == b"intent" {
            self.intent(&line, time);
            return;
        }
        if !line.is_call() {
            return;
        }
        let answers = &mut self.answers;
        answers.calls += 1;
        if let Some(destructive) = &self.questions.destructive {
            if line.phase == b"outcome" && answers.intents.remove(line.request_id).is_none() {
                answers.outcomes.insert(line.request_id.into(), ());
            }
            if line.destructive
                || destructive
                    .tools
                    .iter()
                    .any(|tool| wildcard(tool.as_bytes(), line.tool))
            {
                answers.destructive_total += 1;
                answers.destructive.push(Call::of(&line, time));
            }
        }
        if self.questions.frequent.is_some() {
            with(&mut answers.actors, line.actor, |times: &mut Vec<i64>| {
                times.push(time)
            });
        }
        if self.questions.errors.is_some() {
            let failed = matches!(
                line.outcome,
                b"error" | b"timeout" | b"upstream_unreachable"
            );
            with(
                &mut answers.tools,
                line.tool,
                |(calls, errors): &mut (u64, u64)| {
                    *calls += 1;
                    *errors += u64::from(failed);
                },
            );
        }
    }

    fn intent(&mut self, line: &Line<'_>, time: i64) {
        let Some(destructive) = &self.questions.destructive else {
            return;
        };
        if line.destructive
            || destructive
                .tools
                .iter()
                .any(|tool| wildcard(tool.as_bytes(), line.tool))
        {
            let mut call = Call::of(line, time);
            "unknown".clone_into(&mut call.outcome);
            self.answers.intents.insert(line.request_id.into(), call);
        }
    }

    /// Adds what was found to the rest.
    pub(super) fn settle(self, total: &mut Answers) {
        let part = self.answers;
        total.lines += part.lines;
        total.unreadable += part.unreadable;
        total.calls += part.calls;
        total.destructive_total += part.destructive_total;
        total.around_total += part.around_total;
        total.destructive.extend(part.destructive);
        total.around.extend(part.around);
        total.trim(limit(self.questions) * 2, limit(self.questions));
        for (actor, times) in part.actors {
            total.actors.entry(actor).or_default().extend(times);
        }
        for (tool, (calls, errors)) in part.tools {
            let sum = total.tools.entry(tool).or_default();
            sum.0 += calls;
            sum.1 += errors;
        }
        for (id, ()) in part.outcomes {
            if total.intents.remove(&id).is_none() {
                total.outcomes.insert(id, ());
            }
        }
        for (id, call) in part.intents {
            if total.outcomes.remove(&id).is_none() {
                total.intents.insert(id, call);
            }
        }
    }
}

impl Answers {
    /// Keeps the newest `keep` calls of lists that are longer than `over`.
    fn trim(&mut self, over: usize, keep: usize) {
        for list in [&mut self.destructive, &mut self.around] {
            if list.len() > over {
                list.sort_by(|a, b| (a.time, &a.request_id).cmp(&(b.time, &b.request_id)));
                list.drain(..list.len() - keep);
            }
        }
    }

    pub(super) fn finish(&mut self, questions: &Questions) {
        let intents = std::mem::take(&mut self.intents);
        self.destructive_total += intents.len() as u64;
        self.destructive.extend(intents.into_values());
        for list in [&mut self.destructive, &mut self.around] {
            list.sort_by(|a, b| (a.time, &a.request_id).cmp(&(b.time, &b.request_id)));
        }
        self.trim(limit(questions), limit(questions));
        if let Some(frequent) = questions.frequent {
            for (actor, mut times) in std::mem::take(&mut self.actors) {
                times.sort_unstable();
                let (most, from) = densest(&times, frequent.per);
                if most > frequent.over {
                    self.frequent.push(Actor {
                        actor: decoded(&actor),
                        most,
                        from: times[from],
                        to: times[from + most - 1],
                        calls: times.len(),
                    });
                }
            }
            self.frequent
                .sort_by(|a, b| (b.most, &a.actor).cmp(&(a.most, &b.actor)));
        }
        if let Some(over) = questions.errors {
            for (tool, (calls, errors)) in std::mem::take(&mut self.tools) {
                let rate = errors as f64 / calls as f64;
                if rate > over {
                    self.errors.push(Tool {
                        tool: decoded(&tool),
                        calls,
                        errors,
                        rate,
                    });
                }
            }
            self.errors
                .sort_by(|a, b| b.rate.total_cmp(&a.rate).then_with(|| a.tool.cmp(&b.tool)));
        }
    }
}

/// The most moments within one span, which begins with a moment and does not hold its end; and the first of them.
fn densest(times: &[i64], per: i64) -> (usize, usize) {
    let (mut most, mut at, mut end) = (0, 0, 0);
    for (start, first) in times.iter().enumerate() {
        while times.get(end).is_some_and(|time| time - first < per) {
            end += 1;
        }
        if end - start > most {
            (most, at) = (end - start, start);
        }
    }
    (most, at)
}

impl Call {
    fn of(line: &Line<'_>, time: i64) -> Self {
        let what = [line.tool, line.method, line.event]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default();
        let error = if line.error.is_empty() {
            line.reason
        } else {
            line.error
        };
        Self {
            time,
            timestamp: decoded(line.timestamp),
            request_id: decoded(line.request_id),
            actor: decoded(line.actor),
            ip: decoded(line.ip),
            server: decoded(line.server),
            tool: decoded(what),
            outcome: decoded(line.outcome),
            error: decoded(error),
            duration_ms: line.duration_ms,
        }
    }
}

fn limit(questions: &Questions) -> usize {
    match questions.limit {
        0 => 100_000,
        limit => limit,
    }
}

/// The name is copied only when it is new.
fn with<T: Default>(map: &mut HashMap<Box<[u8]>, T>, key: &[u8], change: impl FnOnce(&mut T)) {
    if let Some(value) = map.get_mut(key) {
        change(value);
    } else {
        let mut value = T::default();
        change(&mut value);
        map.insert(key.into(), value);
    }
}

/// The text of a string's inside, its escapes read.
fn decoded(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    if !text.contains('\\') {
        return text.into_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (letter, length) = unescape(escape.as_bytes());
        out.push(letter);
        rest = escape.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

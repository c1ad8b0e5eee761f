//! What the child asks: of a session's client in its stream; of one that has no session by the answer
//! to its call, which is parked until it comes back ([`super::super::rounds`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::super::envelope::{Envelope, edited, raw_bytes};
use super::super::lone::readdressed;
use super::super::mailbox::{End, Mailbox};
use super::super::rounds::{self, Question};
use super::super::underway::CallNote;
use super::{GONE, Link, MOST_ASKED, Pending, Refused, Shim, State, cancelled, error_text};

/// A call whose client has been asked something.
#[derive(Debug)]
pub(super) struct Parked {
    since: Instant,
    question: Question,
    /// What the child has asked since.
    more: VecDeque<Question>,
    /// The child's answer to the call, where it did not wait for the client's; adapted, with an id
    /// of ours.
    early: Option<Bytes>,
}

/// Questions that wait for one client.
const MOST_QUESTIONS: usize = 8;

/// Calls whose clients have been asked and have not come back.
const MOST_PARKED: usize = 64;

/// Bytes of answers that came before their clients did, together.
const MOST_EARLY: usize = 16 * 1024 * 1024;

impl Link {
    /// Goes on with a parked call, whose answer goes to that stream now. `None`: there is no such
    /// call.
    pub(in super::super) fn go_on(
        &self,
        number: u64,
        mailbox: &Arc<Mailbox>,
        stream: u64,
        message: &Envelope<'_>,
        shim: Shim,
    ) -> Option<Result<(), Refused>> {
        let id = message.id?;
        let mut state = self.lock();
        let pending = state.pending.get_mut(&number)?;
        let known = pending.shim.as_ref()?;
        if !known.rounds.is_of(&shim.rounds) {
            return None;
        }
        let parked = pending.parked.take()?;
        pending.mailbox = Arc::clone(mailbox);
        pending.stream = stream;
        pending.id = raw_bytes(id);
        pending.token = message.meta().progress_token.map(raw_bytes);
        pending.shim = Some(shim);
        pending.note = CallNote::of(id.get());
        if let Some(early) = parked.early {
            // The child did not wait: here is what it said.
            if let Some(pending) = state.pending.remove(&number) {
                let answer = readdressed(&early, &pending.id);
                pending.mailbox.push(pending.stream, answer, End::Last);
            }
            return Some(Ok(()));
        }
        let Some(answer) = rounds::answer(message) else {
            // It came back without an answer: it is asked once more.
            pending.ask(number, parked);
            return Some(Ok(()));
        };
        let line = format!(
            r#"{{"jsonrpc":"2.0","id":{},"result":{}}}"#,
            parked.question.id,
            answer.get()
        );
        if let Err(refused) = self.input.send(edited(line.as_bytes(), Vec::new())) {
            return Some(Err(refused.into()));
        }
        let mut more = parked.more;
        if let Some(question) = more.pop_front() {
            let parked = Parked {
                since: Instant::now(),
                question,
                more,
                early: None,
            };
            pending.ask(number, parked);
        }
        Some(Ok(()))
    }

    /// Gives up calls whose clients were asked longer ago than that.
    pub(in super::super) fn give_up_parked(&self, patience: Duration) {
        let mut state = self.lock();
        let old = |pending: &mut Pending| {
            let parked = pending.parked.as_ref();
            parked.is_some_and(|parked| parked.since.elapsed() > patience)
        };
        let gone: Vec<(u64, Pending)> = state
            .pending
            .extract_if(.., |_, pending| old(pending))
            .collect();
        drop(state);
        for (number, pending) in gone {
            if pending.has_early() {
                // The child has long done its part.
                continue;
            }
            let parked = pending.parked.into_iter();
            for question in parked.flat_map(|p| std::iter::once(p.question).chain(p.more)) {
                let error = error_text(question.id.as_bytes(), -32603, "the client did not answer");
                let _ = self.input.send(error.into_bytes());
            }
            let _ = self.input.send(cancelled(number, GONE));
        }
    }

    pub(super) fn asks(&self, text: &[u8], message: &Envelope<'_>) {
        let Some(id) = message.id else { return };
        let id = id.get();
        if message.is("ping") {
            let _ = self.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
            return;
        }
        let mut state = self.lock();
        match state.ask_parked(message) {
            Asked::Client => return,
            Asked::InVain(number) => {
                let _ = self.input.send(cancelled(number, GONE));
            }
            Asked::Not => {}
        }
        let place = self.current(&state, false);
        match place {
            // Who has no session can be asked nothing (2026-07-28).
            Some((mailbox, stream))
                if state.asked.len() < MOST_ASKED
                    && state.sessions.iter().any(|own| Arc::ptr_eq(own, &mailbox)) =>
            {
                state.asked.insert(id.into(), Arc::clone(&mailbox));
                drop(state);
                mailbox.push(stream, edited(text, Vec::new()).into(), End::More);
            }
            _ => {
                drop(state);
                let error = error_text(id.as_bytes(), -32603, "no client can be asked");
                let _ = self.input.send(error.into_bytes());
            }
        }
    }
}

impl State {
    /// Keeps the child's answer to a call whose client has been asked and is not back yet; a tool
    /// may have given up waiting. Yields the call where it is not parked.
    pub(super) fn keep_early(&mut self, number: u64, answer: &[u8]) -> Option<Pending> {
        let early = |pending: &Pending| {
            let parked = pending.parked.as_ref()?;
            parked.early.as_ref().map(Bytes::len)
        };
        let kept: usize = self.pending.values().filter_map(early).sum();
        let pending = self.pending.get_mut(&number)?;
        let (Some(parked), Some(shim)) = (&mut pending.parked, &pending.shim) else {
            return self.pending.remove(&number);
        };
        if parked.early.is_some() {
            return None;
        }
        let answer = (shim.adapt)(answer);
        parked.early = Some(if kept + answer.len() > MOST_EARLY {
            let error = "the answer came before what it asked for, and too many such are kept";
            error_text(b"0", -32603, error).into()
        } else {
            answer.into()
        });
        None
    }

    /// Asks the client of the one call that is under way, if it is one that is asked by an answer.
    /// With several it is not known whose the question is; a child that waits for an answer asks
    /// no second question, so parked calls do not count while another runs.
    fn ask_parked(&mut self, message: &Envelope<'_>) -> Asked {
        let count = |fits: fn(&Pending) -> bool| self.pending.values().filter(|p| fits(p)).count();
        let running = count(|pending| pending.parked.is_none());
        // One that the child has answered asks nothing any more.
        let waiting = count(|pending| pending.parked.is_some() && !pending.has_early());
        if self.pending.len() - running >= MOST_PARKED
            || running > 1
            || (running == 0 && waiting != 1)
        {
            return Asked::Not;
        }
        let is_it = |pending: &Pending| {
            if running == 0 {
                !pending.has_early()
            } else {
                pending.parked.is_none()
            }
        };
        let mut pending = self.pending.iter_mut();
        let Some((number, pending)) = pending.find(|(_, pending)| is_it(pending)) else {
            return Asked::Not;
        };
        let number = *number;
        let (Some(shim), Some(question)) = (&pending.shim, Question::read(message)) else {
            return Asked::Not;
        };
        if let Some(lacking) = shim.rounds.lacks(message) {
            let Some(pending) = self.pending.remove(&number) else {
                return Asked::Not;
            };
            let id = String::from_utf8_lossy(&pending.id);
            let error = format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32021,"message":"the call needs a capability that the client has not declared","data":{{"requiredCapabilities":{{"{lacking}":{{}}}}}}}}}}"#
            );
            pending
                .mailbox
                .push(pending.stream, error.into(), End::Last);
            return Asked::InVain(number);
        }
        if !shim.rounds.allow(message) {
            return Asked::Not;
        }
        if let Some(parked) = &mut pending.parked {
            if parked.more.len() >= MOST_QUESTIONS {
                return Asked::Not;
            }
            parked.more.push_back(question);
            return Asked::Client;
        }
        let parked = Parked {
            since: Instant::now(),
            question,
            more: VecDeque::new(),
            early: None,
        };
        pending.ask(number, parked);
        Asked::Client
    }
}

/// What came of a question to a client that is asked by an answer.
enum Asked {
    /// It is on its way.
    Client,
    /// The client cannot be asked that: its call, which had this number, has been refused.
    InVain(u64),
    /// It is nobody's.
    Not,
}

impl Pending {
    fn has_early(&self) -> bool {
        let parked = self.parked.as_ref();
        parked.is_some_and(|parked| parked.early.is_some())
    }

    /// Answers the client with a question; the call is parked until it comes back.
    fn ask(&mut self, number: u64, parked: Parked) {
        let Some(shim) = &self.shim else { return };
        let asking = shim.rounds.asking(number, &self.id, &parked.question);
        self.parked = Some(parked);
        self.mailbox.push(self.stream, asking.into(), End::Last);
    }
}

//! Messages of clients on their way to a child, and the answers to them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use palisade::mcp::Revision;
use palisade::{Exchange, Reason, Rejection};
use tokio::sync::watch;
use tokio::time::timeout;

use super::super::body::{self, Cancel, Events, StdioBody, Why, next};
use super::super::envelope::{Envelope, Sort};
use super::super::link::Link;
use super::super::mailbox::{End, Event, Mailbox, Reader, STANDING};
use super::super::session::Session;
use super::refusal;

/// How long an answer is waited for before it becomes an event stream.
const PATIENCE: Duration = Duration::from_millis(500);

/// Passes messages of a session on, and answers the requests among them.
pub(super) async fn converse(
    session: &Session,
    messages: &[(&[u8], Envelope<'_>)],
    exchange: &Exchange,
) -> Result<Response<StdioBody>, Rejection> {
    let link = &session.process.link;
    let busy = |refused| refusal(refused, &session.process);
    let requests = messages
        .iter()
        .filter(|(_, message)| message.sort() == Some(Sort::Request))
        .count();
    let stream = (requests > 0).then(|| session.mailbox.open(requests));
    let reader = stream.and_then(|stream| session.mailbox.attach(stream, None).ok());
    // A client that leaves may come back for its answer; what takes too long is ended all the same.
    let mut cancel = Cancel {
        link: Arc::clone(link),
        numbers: Vec::with_capacity(requests),
        why: Why::Late(exchange.clone()),
    };
    for (text, message) in messages {
        let sent = match message.sort() {
            Some(Sort::Request) => {
                let stream = stream.unwrap_or(STANDING);
                link.request(&session.mailbox, stream, text, message, None)
                    .map(|number| cancel.numbers.push(number))
            }
            Some(Sort::Notification) => link.notify(&session.mailbox, text, message),
            Some(Sort::Response) => link.respond(&session.mailbox, text, message),
            None => Ok(()),
        };
        if let Err(refused) = sent {
            if let Some(stream) = stream {
                session.mailbox.forget(stream);
            }
            return Err(busy(refused));
        }
    }
    let Some(reader) = reader else {
        return Ok(body::status(StatusCode::ACCEPTED));
    };
    let priming = session.revision >= Revision::V2025_11_25;
    answered(reader, &session.mailbox, Some(cancel), None, |events| {
        events.with_ids(priming)
    })
    .await
    .map_err(|Unanswered| {
        Rejection::new(Reason::ChildEnded).with_detail(session.process.last_words())
    })
}

/// No answer came, and none will.
pub(in super::super) struct Unanswered;

/// The answer to a request: one JSON text where it comes at once and alone, else events.
pub(in super::super) async fn answered(
    mut reader: Reader,
    mailbox: &Arc<Mailbox>,
    cancel: Option<Cancel>,
    draining: Option<watch::Receiver<bool>>,
    kind: impl FnOnce(Events) -> Events,
) -> Result<Response<StdioBody>, Unanswered> {
    // Should the client leave before anything was sent, nothing is left to come back to.
    let forgotten = Forget {
        mailbox: Some(mailbox),
        stream: reader.stream(),
    };
    let first = match timeout(PATIENCE, next(&mut reader)).await {
        Ok(Some(Ok(Event {
            data,
            end: End::Last,
            ..
        }))) => {
            return Ok(body::json(StatusCode::OK, data));
        }
        Ok(Some(Ok(Event {
            end: End::Broken, ..
        })))
        | Ok(None | Some(Err(_))) => return Err(Unanswered),
        Ok(Some(Ok(event))) => Some(event),
        Err(_) => None,
    };
    forgotten.keep();
    let events = kind(Events::new(reader)).from(first).cancelling(cancel);
    Ok(body::stream(events, draining))
}

struct Forget<'a> {
    mailbox: Option<&'a Arc<Mailbox>>,
    stream: u64,
}

impl Forget<'_> {
    fn keep(mut self) {
        self.mailbox = None;
    }
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        if let Some(mailbox) = self.mailbox {
            mailbox.forget(self.stream);
        }
    }
}

/// Sends a request whose answer is for the bridge first; what comes before it goes to the standing
/// stream. `None`: the child ended.
pub(in super::super) async fn ask(
    link: &Arc<Link>,
    mailbox: &Arc<Mailbox>,
    text: &[u8],
    message: &Envelope<'_>,
) -> Option<Bytes> {
    let stream = mailbox.open(1);
    let mut reader = mailbox.attach(stream, None).ok()?;
    let number = link.request(mailbox, stream, text, message, None).ok()?;
    let _cancel = Cancel {
        link: Arc::clone(link),
        numbers: vec![number],
        why: Why::Gone,
    };
    let answer = loop {
        match next(&mut reader).await?.ok()? {
            Event {
                data,
                end: End::Last,
                ..
            } => break Some(data),
            Event {
                end: End::Broken, ..
            } => break None,
            event => mailbox.push(STANDING, event.data, End::More),
        }
    };
    mailbox.forget(stream);
    answer
}

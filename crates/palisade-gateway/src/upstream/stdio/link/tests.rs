use std::sync::Arc;
use std::time::Duration;

use super::super::envelope::Envelope;
use super::super::input::{Output, input};
use super::super::mailbox::{End, Mailbox, Reader};
use super::super::rounds::Rounds;
use super::super::seal::Seal;
use super::*;

/// A link, and the end that the child reads from.
fn link(mixed: bool) -> (Arc<Link>, Output) {
    let (input, output) = input();
    (Link::new(input, mixed), output)
}

fn read(text: &str) -> Envelope<'_> {
    Envelope::read(text.as_bytes()).unwrap()
}

/// Sends a request of a client; yields its number, and the reader of its answer.
fn request(link: &Link, mailbox: &Arc<Mailbox>, text: &str, shim: Option<Shim>) -> (u64, Reader) {
    let stream = mailbox.open(1);
    let reader = mailbox.attach(stream, None).unwrap();
    let number = link
        .request(mailbox, stream, text.as_bytes(), &read(text), shim)
        .unwrap();
    (number, reader)
}

/// All that waits for a reader, and where the stream stands with the last of it.
fn taken(reader: &mut Reader) -> Vec<(String, End)> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let mut found = Vec::new();
    while let std::task::Poll::Ready(Some(Ok(event))) = reader.poll_next(&mut cx) {
        let end = event.end;
        found.push((String::from_utf8(event.data.to_vec()).unwrap(), end));
        if end != End::More {
            break;
        }
    }
    found
}

const CALL: &str = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"x","_meta":{"progressToken":"a","io.modelcontextprotocol/clientCapabilities":{"sampling":{}}}}}"#;

// REQ: G-16
#[test]
fn ids_and_tokens_are_the_links_own_on_the_way_and_the_clients_again_on_the_way_back() {
    let (link, mut child) = link(true);
    let (one, two) = (Mailbox::new(true), Mailbox::new(true));
    let (first, mut reader_one) = request(&link, &one, CALL, None);
    let (second, mut reader_two) = request(&link, &two, CALL, None);
    let sent = child.lines();
    assert!(sent[0].contains(&format!(r#""id":{first},"#)), "{sent:?}");
    assert!(
        sent[1].contains(&format!(r#""progressToken":{second}"#)),
        "{sent:?}"
    );
    let progress = format!(
        r#"{{"method":"notifications/progress","params":{{"progressToken":{second},"progress":1}}}}"#
    );
    assert!(link.line(progress.as_bytes()));
    assert!(link.line(format!(r#"{{"id":{second},"result":2}}"#).as_bytes()));
    assert!(link.line(format!(r#"{{"id":{first},"result":1}}"#).as_bytes()));
    // Nobody asked for that.
    assert!(link.line(br#"{"id":99,"result":1}"#));
    assert!(!link.line(b"Welcome!"));
    assert_eq!(
        taken(&mut reader_one),
        [(r#"{"id":"a","result":1}"#.to_owned(), End::Last)]
    );
    let of_two = taken(&mut reader_two);
    assert!(of_two[0].0.contains(r#""progressToken":"a""#), "{of_two:?}");
    assert_eq!(of_two[1].0, r#"{"id":"a","result":2}"#);
}

// REQ: G-16
#[test]
fn what_takes_too_long_is_cancelled_and_who_comes_back_is_told() {
    let (link, mut child) = link(false);
    let mailbox = Mailbox::new(true);
    let (number, mut reader) = request(&link, &mailbox, CALL, None);
    child.lines();
    link.time_out(number);
    let sent = child.lines();
    assert!(sent[0].contains("notifications/cancelled"), "{sent:?}");
    assert!(
        sent[0].contains(&format!(r#""requestId":{number}"#)),
        "{sent:?}"
    );
    let told = taken(&mut reader);
    assert!(
        told[0].0.contains(r#""code":504"#) && told[0].1 == End::Last,
        "{told:?}"
    );
    // Once.
    link.time_out(number);
    link.cancel(number);
    assert!(child.lines().is_empty());
}

fn shim(text: &str) -> Shim {
    let seal = Arc::new(Seal::new().unwrap());
    Shim {
        adapt: |answer| [answer, b" "].concat(),
        rounds: Rounds::of(&seal, &[0; 16], &read(text)),
    }
}

const QUESTION: &str =
    r#"{"jsonrpc":"2.0","id":"q","method":"sampling/createMessage","params":{}}"#;

// REQ: G-16
#[test]
fn an_answer_that_comes_before_its_client_waits_for_it() {
    let (link, mut child) = link(false);
    let shim = shim(CALL);
    let before = Mailbox::new(false);
    let (number, mut reader) = request(&link, &before, CALL, Some(shim.clone()));
    assert!(link.line(QUESTION.as_bytes()));
    let asked = taken(&mut reader);
    assert!(
        asked[0].0.contains("input_required") && asked[0].1 == End::Last,
        "{asked:?}"
    );
    child.lines();
    // The tool does not wait for the client.
    assert!(link.line(format!(r#"{{"id":{number},"result":{{"early":1}}}}"#).as_bytes()));
    // It asks nothing more, and is nobody's to be asked by.
    assert!(link.line(QUESTION.as_bytes()));
    assert!(child.lines()[0].contains("no client can be asked"));
    let again = CALL.replace(r#""id":"a""#, r#""id":"b""#);
    let mailbox = Mailbox::new(false);
    let stream = mailbox.open(1);
    let mut reader = mailbox.attach(stream, None).unwrap();
    let went = link.go_on(number, &mailbox, stream, &read(&again), shim.clone());
    assert_eq!(went, Some(Ok(())));
    assert_eq!(
        taken(&mut reader),
        [(r#"{"id":"b","result":{"early":1}} "#.to_owned(), End::Last)]
    );
    assert!(child.lines().is_empty());
    // It has been fetched.
    assert_eq!(
        link.go_on(number, &mailbox, stream, &read(&again), shim),
        None
    );
    assert!(!link.is_busy());
}

// REQ: G-16
#[test]
fn nothing_waits_for_a_client_for_ever() {
    let (link, mut child) = link(false);
    for early in [false, true] {
        let mailbox = Mailbox::new(false);
        let (number, _reader) = request(&link, &mailbox, CALL, Some(shim(CALL)));
        assert!(link.line(QUESTION.as_bytes()));
        if early {
            assert!(link.line(format!(r#"{{"id":{number},"result":{{}}}}"#).as_bytes()));
        }
        child.lines();
        link.give_up_parked(Duration::ZERO);
        assert!(!link.is_busy());
        let sent = child.lines();
        assert_eq!(sent.len(), if early { 0 } else { 2 }, "{sent:?}");
    }
}

// REQ: G-16
#[test]
fn the_end_of_the_child_is_told_to_whoever_waits() {
    let (link, _child) = link(false);
    let mailbox = Mailbox::new(true);
    let (_, mut reader) = request(&link, &mailbox, CALL, None);
    link.end("killed");
    link.end("twice");
    assert_eq!(link.ended().as_deref(), Some("killed"));
    assert_eq!(taken(&mut reader)[0].1, End::Broken);
    let refused = link.request(&mailbox, 0, CALL.as_bytes(), &read(CALL), None);
    assert_eq!(refused, Err(Refused::Ended("killed".into())));
}

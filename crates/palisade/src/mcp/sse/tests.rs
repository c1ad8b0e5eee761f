use proptest::prelude::*;

use super::*;
use crate::mcp::message::RequestId;
use crate::mcp::outcome::Verdict;

fn peek(stream: &[u8]) -> (Vec<Event>, bool) {
    let mut events = Vec::new();
    let mut peeker = Peeker::new();
    peeker.push(stream, |event| events.push(event));
    (events, peeker.between_events())
}

/// An event's id, name and size.
type Seen = (Option<String>, Option<String>, u64);

fn event(id: Option<&str>, name: Option<&str>, data_bytes: u64) -> Seen {
    (id.map(str::to_owned), name.map(str::to_owned), data_bytes)
}

/// Name, id and size of every event, whether its data was readable, and whether the end is between events.
#[test]
fn fields() {
    let none: &[Seen] = &[];
    let table: &[(&str, &[Seen], bool)] = &[
        ("", none, true),
        (":", none, false),
        (": keep-alive\n", none, true),
        (": keep-alive\n\n", none, true),
        ("data: {}", none, false),
        ("data: {}\n", none, false),
        ("data: {}\n\n", &[event(None, None, 2)], true),
        ("data: {}\r\n\r\n", &[event(None, None, 2)], true),
        ("data: {}\r\r", &[event(None, None, 2)], true),
        ("data: {}\r\n\r", &[event(None, None, 2)], true),
        ("data: {}\r\n", none, false),
        ("data: {}\n\r\n", &[event(None, None, 2)], true),
        ("data:{}\n\n", &[event(None, None, 2)], true),
        ("data:  {}\n\n", &[event(None, None, 3)], true),
        ("data\n\n", &[event(None, None, 0)], true),
        ("data:\n\n", &[event(None, None, 0)], true),
        ("data: \n\n", &[event(None, None, 0)], true),
        ("data: [\ndata: ]\n\n", &[event(None, None, 2)], true),
        (
            "id: 7\nevent: message\ndata: {}\n\n",
            &[event(Some("7"), Some("message"), 2)],
            true,
        ),
        (
            "data: {}\nevent: a\nevent: b\nid: 1\nid: 2\n\n",
            &[event(Some("2"), Some("b"), 2)],
            true,
        ),
        ("id\nevent\ndata: {}\n\n", &[event(Some(""), None, 2)], true),
        ("id: a\0b\ndata: {}\n\n", &[event(None, None, 2)], true),
        ("id: 1\n\ndata: {}\n\n", &[event(None, None, 2)], true),
        ("event: x\n\n", none, true),
        ("event: x\n", none, false),
        ("id: 1\n", none, false),
        ("retry: 10\n", none, false),
        ("Data: {}\n\n", none, true),
        ("dat: {}\n\n", none, true),
        ("datax: {}\n\n", none, true),
        ("eventx: {}\n\n", none, true),
        (" data: {}\n\n", none, true),
        ("unknown\n", none, true),
        (
            "data: {}\n: comment\ndata: \n\n",
            &[event(None, None, 2)],
            true,
        ),
        ("\n\n\n", none, true),
        ("\u{feff}data: {}\n\n", &[event(None, None, 2)], true),
        ("\u{feff}", none, true),
        ("\u{feff}\u{feff}data: {}\n\n", none, true),
        (
            "data: {}\n\ndata: []\n\n: c\n",
            &[event(None, None, 2), event(None, None, 2)],
            true,
        ),
    ];
    for (stream, expected, between) in table {
        let (events, at_end) = peek(stream.as_bytes());
        let seen: Vec<_> = events
            .iter()
            .map(|e| (e.id.clone(), e.name.clone(), e.data_bytes))
            .collect();
        assert_eq!(seen, *expected, "{stream:?}");
        assert_eq!(at_end, *between, "{stream:?}");
        assert!(
            events.iter().all(|event| !event.outcomes.unreadable),
            "{stream:?}"
        );
    }
    // Half a mark is no mark, and nothing may be put into it.
    assert_eq!(peek(b"\xef"), (vec![], false));
    assert_eq!(peek(b"\xef\xbb"), (vec![], false));
    assert_eq!(peek(b"\xefdata: {}\n\n"), (vec![], true));
    assert_eq!(peek(b"\xef\xbb\ndata: {}\n\n").0.len(), 1);
}

// REQ: L-1
#[test]
fn answers() {
    let stream = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{}}\n\n\
        id: 9\ndata: {\"jsonrpc\":\"2.0\",\ndata: \"id\":1,\"result\":{\"isError\":true}}\n\ndata: {\"id\":\n\ndata: {\"id\":2,\"result\":1}\n\n";
    let (events, _) = peek(stream.as_bytes());
    assert_eq!(events.len(), 4);
    assert_eq!(
        events[0].outcomes.messages[0].verdict(),
        Verdict::NotAResponse
    );
    assert_eq!(
        events[1].outcomes.messages[0].id,
        Some(RequestId::Integer(1))
    );
    assert_eq!(events[1].outcomes.messages[0].verdict(), Verdict::ToolError);
    assert!(events[2].outcomes.unreadable);
    assert_eq!(events[3].outcomes.messages[0].verdict(), Verdict::Success);
    // Lines are joined by a line feed: it parts what must not grow together.
    assert!(peek(b"data: 1\ndata: 2\n\n").0[0].outcomes.unreadable);
}

#[test]
fn retries() {
    let table = [
        ("3000", Some(3000)),
        ("0", Some(0)),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1e3", None),
        ("99999999999999999999999", None),
    ];
    for (text, retry) in table {
        let (events, _) = peek(format!("retry: {text}\ndata: {{}}\n\ndata: {{}}\n\n").as_bytes());
        assert_eq!(events[0].retry, retry, "{text}");
        assert_eq!(events[1].retry, None);
    }
}

// REQ: G-2
#[test]
fn endpoints() {
    let (events, _) = peek(
        b"event: endpoint\ndata: /messages?sessionId=1\n\ndata: x\nevent: endpoint\n\ndata: y\n\n",
    );
    assert_eq!(events[0].endpoint.as_deref(), Some("/messages?sessionId=1"));
    assert_eq!(events[1].endpoint.as_deref(), Some("x"));
    assert_eq!(events[2].endpoint, None);
    let fits = |length: usize| {
        peek(format!("event: endpoint\ndata: {}\n\n", "e".repeat(length)).as_bytes()).0[0]
            .endpoint
            .is_some()
    };
    assert!(fits(MAX_ENDPOINT) && !fits(MAX_ENDPOINT + 1));
}

#[test]
fn fields_are_bounded() {
    for (field, limit) in [("id", MAX_ID), ("event", MAX_NAME)] {
        for (length, fits) in [(limit, true), (limit + 1, false)] {
            let (events, _) =
                peek(format!("{field}: {}\ndata: {{}}\n\n", "f".repeat(length)).as_bytes());
            assert_eq!(
                events[0].id.is_some() || events[0].name.is_some(),
                fits,
                "{field} {length}"
            );
        }
    }
    let mut peeker = Peeker::new();
    peeker.push(b"id: ", |_| {});
    for _ in 0..1000 {
        peeker.push(&[b'x'; 4096], |_| {});
    }
    peeker.push(b"\nunknown", |_| {});
    for _ in 0..1000 {
        peeker.push(&[b'x'; 4096], |_| {});
    }
    assert!(peeker.id.kept.capacity() <= 2 * MAX_ID);
}

const SAMPLE: &str = "\u{feff}: hi\r\nevent: message\rid: 4\u{e9}\ndata: {\"id\":1,\r\ndata: \"result\":{\"isError\":true}}\r\n\r\n\rretry: 5\ndata\n\nfoo: bar\ndata:x\n\n";

#[test]
fn split_anywhere() {
    let whole = peek(SAMPLE.as_bytes());
    assert_eq!(whole.0.len(), 3);
    for cut in 0..=SAMPLE.len() {
        let (head, tail) = SAMPLE.as_bytes().split_at(cut);
        let mut events = Vec::new();
        let mut peeker = Peeker::new();
        peeker.push(head, |event| events.push(event));
        // A comment put in where it is allowed changes nothing.
        if cut > 0 && peeker.between_events() {
            peeker.push(b":\n\n", |event| events.push(event));
        }
        peeker.push(tail, |event| events.push(event));
        assert_eq!((events, peeker.between_events()), whole, "at {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bytewise_is_the_same(stream in "(data|event|id|retry|x|:| |\r|\n|\r\n|\n\n|\\{\\}|1|\u{feff}){0,24}") {
        let mut events = Vec::new();
        let mut peeker = Peeker::new();
        for byte in stream.as_bytes() {
            peeker.push(std::slice::from_ref(byte), |event| events.push(event));
        }
        prop_assert_eq!((events, peeker.between_events()), peek(stream.as_bytes()));
    }
}

//! Heads, framing and bodies of requests, whole and in pieces.

mod cases;

use cases::{Case, HIDDEN, JSON, Verdict};
use http::{Method, Version};
use palisade_http1::server::{Connection, Limits};
use palisade_http1::{Fault, FaultKind, Framing, HeadLimits, Piece, RequestHead};
use proptest::prelude::*;

/// What a connection makes of bytes: every request until it ends.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    requests: Vec<Request>,
    /// Bytes that nobody has asked for.
    left: usize,
    begun: bool,
}

#[derive(Debug, PartialEq, Eq)]
struct Request {
    line: String,
    version: Version,
    fields: Vec<(String, Vec<u8>)>,
    framing: Framing,
    fault: Option<Fault>,
    persistent: bool,
    expects_continue: bool,
    body: Vec<u8>,
    /// `None`: it is not over yet.
    end: Option<Result<(), Fault>>,
}

impl Request {
    fn of(head: &RequestHead) -> Self {
        let fields = head.parts.headers.iter();
        Self {
            line: format!("{} {}", head.parts.method, head.parts.uri),
            version: head.parts.version,
            fields: fields
                .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
                .collect(),
            framing: head.framing,
            fault: head.fault,
            persistent: head.persistent,
            expects_continue: head.expects_continue,
            body: Vec::new(),
            end: None,
        }
    }

    fn is_last(&self) -> bool {
        self.fault.is_some() || !self.persistent || matches!(self.end, Some(Err(_)))
    }
}

fn hear<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: HeadLimits) -> Heard {
    let mut connection = Connection::new(Limits { head: limits });
    let mut requests: Vec<Request> = Vec::new();
    for piece in pieces {
        connection.receive(piece);
        loop {
            match requests.last_mut() {
                Some(request) if request.end.is_none() => match connection.body() {
                    Ok(Some(Piece::Data(data))) => {
                        assert!(!data.is_empty());
                        request.body.extend(data);
                    }
                    Ok(Some(Piece::End)) => request.end = Some(Ok(())),
                    Ok(None) => break,
                    Err(fault) => request.end = Some(Err(fault)),
                },
                Some(request) if request.is_last() => break,
                _ => match connection.request() {
                    Some(head) => requests.push(Request::of(&head)),
                    None => break,
                },
            }
        }
    }
    Heard {
        requests,
        left: connection.waiting(),
        begun: connection.head_has_begun(),
    }
}

fn whole(bytes: &[u8]) -> Heard {
    hear([bytes], HeadLimits::default())
}

fn fault_of(bytes: &[u8]) -> Option<Fault> {
    whole(bytes).requests.first().and_then(|first| first.fault)
}

// REQ: R-3
#[test]
fn an_earlier_head_changes_nothing_about_a_later_one() {
    let cases: Vec<(Vec<u8>, Heard)> = cases::all()
        .into_iter()
        .filter(|case| case.bytes.len() < 1200)
        .map(|case| {
            let bytes = case.bytes[..case.bytes.len() - HIDDEN.len()].to_vec();
            let heard = whole(&bytes);
            (bytes, heard)
        })
        .collect();
    let lasting: Vec<&(Vec<u8>, Heard)> = cases
        .iter()
        .filter(|(_, heard)| {
            heard.requests.len() == 1
                && heard.left == 0
                && !heard.requests[0].is_last()
                && heard.requests[0].end == Some(Ok(()))
        })
        .collect();
    assert!(lasting.len() > 40, "{}", lasting.len());
    for (earlier, _) in lasting {
        for (later, alone) in &cases {
            // The third head is the first that is read by what is remembered.
            let behind = whole(&[earlier, earlier, later].map(Vec::as_slice).concat());
            assert_eq!(
                behind.requests.get(2),
                alone.requests.first(),
                "{} behind {}",
                later.escape_ascii(),
                earlier.escape_ascii()
            );
        }
    }
}

proptest! {
    /// Heads that differ in a value, a name, an order or a line from the one before.
    // REQ: R-3
    #[test]
    fn a_remembered_head_is_read_as_if_it_were_new(
        heads in proptest::collection::vec(
            proptest::collection::vec(
                (0..6_usize, prop_oneof!["[a-c]{0,3}", "[0-9]{1,2}", "\\PC{0,4}", "chunked|close|100-continue"]),
                0..6,
            ),
            1..6,
        )
    ) {
        const NAMES: [&str; 6] = ["Host", "X-A", "x-a", "Content-Length", "Connection", "Accept"];
        let head = |fields: &Vec<(usize, String)>| {
            let mut text = String::from("GET / HTTP/1.1\r\n");
            for (name, value) in fields {
                text.push_str(&format!("{}: {value}\r\n", NAMES[*name]));
            }
            (text + "\r\n").into_bytes()
        };
        let mut connection = Connection::new(Limits::default());
        for fields in heads.iter().flat_map(|head| [head, head]) {
            let bytes = head(fields);
            let mut fresh = Connection::new(Limits::default());
            fresh.receive(&bytes);
            connection.receive(&bytes);
            let (expected, found) = (fresh.request().unwrap(), connection.request().unwrap());
            prop_assert_eq!(Request::of(&found), Request::of(&expected));
            if found.fault.is_some() || found.framing != Framing::Empty {
                break;
            }
        }
    }
}

// REQ: R-3
#[test]
fn every_class() {
    let cases = cases::all();
    assert!(cases.len() > 350, "{}", cases.len());
    let mut wrong = Vec::new();
    for Case {
        name,
        bytes,
        verdict,
    } in &cases
    {
        let heard = whole(bytes);
        let first = &heard.requests[0];
        let fits = match verdict {
            Verdict::Head(fault) => {
                heard.requests.len() == 1 && first.fault == Some(*fault) && first.body.is_empty()
            }
            Verdict::Body(fault) => {
                heard.requests.len() == 1 && first.fault.is_none() && first.end == Some(Err(*fault))
            }
            Verdict::Taken => {
                // Nobody answers what stands behind a request that says `close`.
                let behind = if first.persistent { 2 } else { 1 };
                heard.requests.len() == behind
                    && first.fault.is_none()
                    && first.body == JSON.as_bytes()
                    && first.end == Some(Ok(()))
                    && heard.requests.get(1).is_none_or(|hidden| {
                        hidden.line == "GET /smuggled" && hidden.end == Some(Ok(()))
                    })
            }
            Verdict::Guarded(..) => first.fault.is_none() && !matches!(first.end, Some(Err(_))),
        };
        if !fits {
            wrong.push(format!(
                "{name}: {verdict:?}, but {:?} {:?}",
                first.fault, first.end
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// REQ: R-3
#[test]
fn no_split_changes_anything() {
    for Case { name, bytes, .. } in cases::all() {
        let expected = whole(&bytes);
        // Long ones have their turns at the random splits below.
        if bytes.len() <= 1200 {
            for at in 1..bytes.len() {
                let (first, second) = bytes.split_at(at);
                let heard = hear([first, second], HeadLimits::default());
                assert_eq!(heard, expected, "{name} at {at}");
            }
        }
        if bytes.len() <= 6000 {
            assert_eq!(
                hear(bytes.chunks(1), HeadLimits::default()),
                expected,
                "{name} by bytes"
            );
        }
        for size in [7, 1000, 32 * 1024] {
            assert_eq!(
                hear(bytes.chunks(size), HeadLimits::default()),
                expected,
                "{name}"
            );
        }
    }
}

#[test]
fn bounds_are_exact() {
    let head = |bytes: usize| {
        let start = "GET / HTTP/1.1\r\nX: ";
        let fill = "a".repeat(bytes - start.len() - 4);
        format!("{start}{fill}\r\n\r\n").into_bytes()
    };
    for limit in [64, 100, 4096] {
        let limits = HeadLimits {
            bytes: limit,
            fields: 3,
        };
        for (bytes, fault) in [
            (limit - 1, None),
            (limit, None),
            (limit + 1, Some(Fault::HeadTooLarge)),
            (limit * 3, Some(Fault::HeadTooLarge)),
        ] {
            let bytes = head(bytes);
            let heard = hear([&bytes[..]], limits);
            assert_eq!(heard.requests[0].fault, fault);
            assert_eq!(hear(bytes.chunks(1), limits).requests, heard.requests);
        }
        for (count, fault) in [(3, None), (4, Some(Fault::TooManyFields))] {
            let bytes = format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(count));
            let heard = hear([bytes.as_bytes()], limits);
            assert_eq!(heard.requests[0].fault, fault);
        }
        // A line without end is not waited for.
        let heard = hear([&vec![b'A'; limit + 1][..]], limits);
        assert_eq!(heard.requests[0].fault, Some(Fault::HeadTooLarge));
        assert!(hear([&vec![b'A'; limit][..]], limits).requests.is_empty());
    }
}

#[test]
fn every_byte_of_a_name_and_a_value() {
    for byte in 0..=u8::MAX {
        let token = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let named = [b"GET / HTTP/1.1\r\nX", &[byte][..], b"y: z\r\n\r\n"].concat();
        let expected = match byte {
            b'\n' => Some(Fault::BareLf),
            // A name, and `y:` of its value.
            b':' => None,
            _ if token => None,
            _ => Some(Fault::FieldName),
        };
        assert_eq!(fault_of(&named), expected, "{byte:#x} in a name");

        let method = [b"X", &[byte][..], b"Y / HTTP/1.1\r\n\r\n"].concat();
        let expected = match byte {
            b'\n' => Some(Fault::BareLf),
            b'\r' => Some(Fault::BareCr),
            b' ' => Some(Fault::StartLine),
            _ if token => None,
            _ => Some(Fault::Method),
        };
        assert_eq!(fault_of(&method), expected, "{byte:#x} in a method");

        let valued = [b"GET / HTTP/1.1\r\nX: a", &[byte][..], b"b\r\n\r\n"].concat();
        let expected = match byte {
            b'\n' => Some(Fault::BareLf),
            b'\r' => Some(Fault::BareCr),
            b'\t' | b' '..=b'~' | 0x80.. => None,
            _ => Some(Fault::FieldValue),
        };
        assert_eq!(fault_of(&valued), expected, "{byte:#x} in a value");

        let target = [b"GET /a", &[byte][..], b"b HTTP/1.1\r\n\r\n"].concat();
        let expected = match byte {
            b'\n' => Some(Fault::BareLf),
            b'\r' => Some(Fault::BareCr),
            b' ' => Some(Fault::StartLine),
            // The backtick is kept out by `http`'s own reading.
            b'!'..=b'~' if !b"\"#<>`".contains(&byte) => None,
            _ => Some(Fault::Target),
        };
        assert_eq!(fault_of(&target), expected, "{byte:#x} in a target");

        let first = [&[byte][..], b"ET / HTTP/1.1\r\n\r\n"].concat();
        let expected = match byte {
            b'\n' => Some(Fault::BareLf),
            b'\r' => Some(Fault::BareCr),
            _ if token => None,
            _ => Some(Fault::NotHttp),
        };
        assert_eq!(fault_of(&first), expected, "{byte:#x} first");
    }
}

#[test]
fn values_lose_the_white_space_round_them_alone() {
    let bytes = b"GET / HTTP/1.1\r\nA:\r\nB: \t \r\nC:c\r\nD: \t d \t e \t\r\nC: c2\r\n\r\n";
    let fields = &whole(bytes).requests[0].fields;
    let expected: &[(&str, &[u8])] = &[
        ("a", b""),
        ("b", b""),
        ("c", b"c"),
        ("c", b"c2"),
        ("d", b"d \t e"),
    ];
    let fields: Vec<(&str, &[u8])> = fields
        .iter()
        .map(|(name, value)| (&name[..], &value[..]))
        .collect();
    assert_eq!(fields, expected);
}

#[test]
fn targets_keep_their_form() {
    for (line, uri) in [
        ("GET /", "/"),
        ("GET //evil.example/x", "//evil.example/x"),
        ("GET /a?b=c&d={e}|f", "/a?b=c&d={e}|f"),
        ("GET /%zz/../.;x", "/%zz/../.;x"),
        ("OPTIONS *", "*"),
        ("GET http://h", "http://h/"),
        ("GET http://h?q", "http://h/?q"),
        ("GET HTTP://h:8080/p", "http://h:8080/p"),
        ("GET https://[::1]:8443/p?q", "https://[::1]:8443/p?q"),
        ("CONNECT h:443", "h:443"),
        ("CONNECT [::1]:443", "[::1]:443"),
    ] {
        let heard = whole(format!("{line} HTTP/1.1\r\n\r\n").as_bytes());
        let method = line.split(' ').next().unwrap();
        assert_eq!(heard.requests[0].fault, None, "{line}");
        assert_eq!(heard.requests[0].line, format!("{method} {uri}"));
    }
}

#[test]
fn who_goes_on() {
    for (head, persistent) in [
        ("GET / HTTP/1.1\r\n", true),
        ("GET / HTTP/1.1\r\nConnection: keep-alive\r\n", true),
        ("GET / HTTP/1.1\r\nConnection: closed\r\n", true),
        ("GET / HTTP/1.1\r\nConnection: close\r\n", false),
        ("GET / HTTP/1.1\r\nConnection: CLOSE\r\n", false),
        ("GET / HTTP/1.1\r\nConnection: upgrade , close ,\r\n", false),
        (
            "GET / HTTP/1.1\r\nConnection: keep-alive\r\nConnection: close\r\n",
            false,
        ),
        ("GET / HTTP/1.0\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n", false),
    ] {
        let heard = whole(format!("{head}\r\n").as_bytes());
        assert_eq!(heard.requests[0].persistent, persistent, "{head}");
    }
}

#[test]
fn who_waits_for_100() {
    for (head, waits) in [
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\n", false),
        (
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue\r\n",
            true,
        ),
        (
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nexpect: 100-CONTINUE\r\n",
            true,
        ),
        // There is no body to wait with.
        ("POST / HTTP/1.1\r\nExpect: 100-continue\r\n", false),
        (
            "POST / HTTP/1.1\r\nContent-Length: 0\r\nExpect: 100-continue\r\n",
            false,
        ),
        (
            "POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n",
            false,
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: 100-continue, x\r\n",
            false,
        ),
        (
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nExpect: x100-continue\r\n",
            false,
        ),
    ] {
        let heard = whole(format!("{head}\r\n").as_bytes());
        assert_eq!(heard.requests[0].expects_continue, waits, "{head}");
    }
}

#[test]
fn what_was_read_before_a_fault_is_kept() {
    let heard = whole(b"HEAD /x HTTP/1.0\r\nHost: a\r\nOrigin: b\r\nBad\r\nLost: c\r\n\r\n");
    let first = &heard.requests[0];
    assert_eq!(first.line, "HEAD /x");
    assert_eq!(first.version, Version::HTTP_10);
    let names: Vec<&str> = first.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["host", "origin"]);
    assert_eq!(
        (first.fault, first.framing),
        (Some(Fault::NoColon), Framing::Empty)
    );
    assert!(!first.persistent);
}

// REQ: A-1, R-3
#[test]
fn a_head_that_authorization_makes_too_large_says_so() {
    use Fault::{AuthorizationTooLarge as Ours, HeadTooLarge as Other};
    let limits = HeadLimits {
        bytes: 400,
        fields: 4,
    };
    let line = |name: &str, length: usize| format!("{name}: {}\r\n", "a".repeat(length));
    let (host, long) = (line("Host", 9), line("Authorization", 100_000));
    for (name, lines, fault, known) in [
        ("it alone", vec![&*long], Some(Ours), &[][..]),
        ("behind others", vec![&host, &long], Some(Ours), &["host"]),
        ("before others", vec![&long, &host], Some(Ours), &[]),
        (
            "in other letters",
            vec![&line("aUTHORIZATION", 5000)],
            Some(Ours),
            &[],
        ),
        (
            "whole, and another goes over",
            vec![&host, &line("Authorization", 300), &line("X", 200)],
            Some(Ours),
            &["host"],
        ),
        (
            "twice",
            vec![&line("Authorization", 200), &line("Authorization", 200)],
            Some(Ours),
            &[],
        ),
        ("unended", vec![long.trim_end()], Some(Ours), &[]),
        (
            "a malformed line before it",
            vec![&host, "Bad\r\n", &long],
            Some(Ours),
            &["host"],
        ),
        (
            "too many fields before it",
            vec![
                &host,
                &line("A", 1),
                &line("B", 1),
                &line("C", 1),
                &line("D", 1),
                &long,
            ],
            Some(Ours),
            &["host", "a", "b", "c"],
        ),
        (
            "within the limit",
            vec![&host, &line("Authorization", 300)],
            None,
            &["host", "authorization"],
        ),
        (
            "another field",
            vec![&line("Cookie", 5000)],
            Some(Other),
            &[],
        ),
        (
            "another field more than it",
            vec![&line("Cookie", 250), &line("Authorization", 150)],
            Some(Other),
            &[],
        ),
        (
            "another field behind it",
            vec![&line("Authorization", 100), &line("Cookie", 5000)],
            Some(Other),
            &[],
        ),
        (
            "a longer name",
            vec![&line("Authorizations", 5000)],
            Some(Other),
            &[],
        ),
        (
            "a name with a space",
            vec![&line("Authorization ", 5000)],
            Some(Other),
            &[],
        ),
        (
            "no name",
            vec![&*"Authorization".repeat(100)],
            Some(Other),
            &[],
        ),
    ] {
        let bytes = format!("POST /mcp HTTP/1.1\r\n{}\r\n", lines.concat()).into_bytes();
        let bytes = match name {
            "unended" => bytes[..bytes.len() - 2].to_vec(),
            _ => bytes,
        };
        let heard = hear([&bytes[..]], limits);
        let [request] = &heard.requests[..] else {
            panic!("{name}: {heard:?}");
        };
        assert_eq!(request.fault, fault, "{name}");
        assert_eq!(request.line, "POST /mcp");
        assert_eq!(
            (request.framing, request.persistent),
            (Framing::Empty, fault.is_none())
        );
        let names: Vec<&str> = request
            .fields
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, known, "{name}");
        for size in [1, 7, 399, 400, 401, 4096] {
            let pieces = hear(bytes.chunks(size), limits).requests;
            assert_eq!(pieces, heard.requests, "{name} in {size}");
        }
    }
}

#[test]
fn a_head_that_is_given_up_has_its_line() {
    let mut connection = Connection::new(Limits::default());
    connection.receive(b"DELETE /x HTTP/1.1\r\nHost: a\r\n");
    assert!(connection.request().is_none());
    assert!(connection.head_has_begun());
    let head = connection.give_up(Fault::HeadTimeout);
    assert_eq!(head.parts.method, Method::DELETE);
    assert_eq!(head.fault.map(Fault::kind), Some(FaultKind::Timeout));
    assert!(!connection.is_reusable() && !head.persistent);
    // And without a line.
    let mut connection = Connection::new(Limits::default());
    connection.receive(b"\r\nDELE");
    assert!(connection.request().is_none());
    assert_eq!(
        connection.give_up(Fault::HeadTimeout).fault,
        Some(Fault::HeadTimeout)
    );
}

#[test]
fn an_empty_line_begins_no_head() {
    let mut connection = Connection::new(Limits::default());
    for (bytes, begun) in [(&b"\r"[..], true), (b"\n", false), (b"G", true)] {
        connection.receive(bytes);
        assert!(connection.request().is_none());
        assert_eq!(connection.head_has_begun(), begun, "{bytes:?}");
    }
}

#[test]
fn pipelined_requests_stand_on_their_own() {
    let bytes = format!(
        "POST /1 HTTP/1.1\r\nContent-Length: 3\r\n\r\none\
         POST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n\
         POST /3 HTTP/1.1\r\nContent-Length: 0\r\n\r\n\
         \r\nGET /4 HTTP/1.1\r\n\r\n{HIDDEN}GET /6 HTTP/1.1\r\nConnection: close\r\n\r\n{HIDDEN}"
    );
    let heard = whole(bytes.as_bytes());
    let seen: Vec<(&str, &[u8])> = heard
        .requests
        .iter()
        .map(|each| (&each.line[..], &each.body[..]))
        .collect();
    let expected: &[(&str, &[u8])] = &[
        ("POST /1", b"one"),
        ("POST /2", b"two"),
        ("POST /3", b""),
        ("GET /4", b""),
        ("GET /smuggled", b""),
        ("GET /6", b""),
    ];
    assert_eq!(seen, expected);
    assert_eq!(heard.left, HIDDEN.len());
}

#[test]
fn every_fault_says_what_it_is() {
    let kinds = [
        (Fault::TooManyFields, FaultKind::TooLarge),
        (Fault::HeadTooLarge, FaultKind::TooLarge),
        (Fault::AuthorizationTooLarge, FaultKind::TooLarge),
        (Fault::HeadTimeout, FaultKind::Timeout),
        (Fault::BodyTimeout, FaultKind::Timeout),
        (Fault::BareLf, FaultKind::Malformed),
        (Fault::Trailer, FaultKind::Malformed),
    ];
    for (fault, kind) in kinds {
        assert_eq!(fault.kind(), kind);
        assert_eq!(fault.to_string(), fault.text());
    }
}

/// A request that is right, and what must be heard of it.
fn right() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    let token = "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}";
    let field = (
        "X[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}",
        "[ \t]{0,3}",
        "([!-~]([ -~\t]{0,40}[!-~])?)?",
        "[ \t]{0,3}",
    );
    let chunk = (
        prop::collection::vec(any::<u8>(), 1..60),
        "0{0,5}",
        "(;[a-z]{1,4}(=([a-z]{1,3}|\"[ -!#-\\[]{0,5}\"))?){0,2}",
    );
    (
        token,
        "/[A-Za-z0-9/._~%?&=-]{0,40}",
        prop::collection::vec(field, 0..8),
        prop::option::of(prop::collection::vec(chunk, 0..6)),
        prop::collection::vec(any::<u8>(), 0..100),
        any::<bool>(),
    )
        .prop_map(|(method, target, fields, chunks, body, blank)| {
            let mut bytes = Vec::new();
            if blank {
                bytes.extend(b"\r\n");
            }
            let method = if method == "CONNECT" {
                "GET".to_owned()
            } else {
                method
            };
            bytes.extend(format!("{method} {target} HTTP/1.1\r\n").bytes());
            for (name, before, value, after) in fields {
                bytes.extend(format!("{name}:{before}{value}{after}\r\n").bytes());
            }
            let Some(chunks) = chunks else {
                bytes.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
                bytes.extend(&body);
                return (bytes, body);
            };
            bytes.extend(b"Transfer-Encoding: chunked\r\n\r\n");
            let mut body = Vec::new();
            for (data, zeros, extension) in chunks {
                bytes.extend(format!("{zeros}{:x}{extension}\r\n", data.len()).bytes());
                bytes.extend(&data);
                bytes.extend(b"\r\n");
                body.extend(data);
            }
            bytes.extend(b"0\r\n\r\n");
            (bytes, body)
        })
}

fn cut(bytes: &[u8], mut at: Vec<prop::sample::Index>) -> Vec<&[u8]> {
    at.sort_by_key(|index| index.index(bytes.len() + 1));
    let mut pieces = Vec::new();
    let mut from = 0;
    for index in at {
        let to = index.index(bytes.len() + 1);
        pieces.push(&bytes[from..to]);
        from = to;
    }
    pieces.push(&bytes[from..]);
    pieces
}

proptest! {
    #[test]
    fn what_is_right_is_taken(requests in prop::collection::vec(right(), 1..4), splits: [prop::sample::Index; 6]) {
        let bytes: Vec<u8> = requests.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let heard = whole(&bytes);
        prop_assert_eq!(heard.requests.len(), requests.len());
        for (heard, (_, body)) in heard.requests.iter().zip(&requests) {
            prop_assert_eq!(heard.fault, None);
            prop_assert_eq!(&heard.body, body);
            prop_assert_eq!(heard.end, Some(Ok(())));
        }
        prop_assert_eq!(heard.left, 0);
        let cut = hear(cut(&bytes, splits.to_vec()), HeadLimits::default());
        prop_assert_eq!(cut, heard);
    }

    #[test]
    fn a_change_anywhere_is_read_alike_in_pieces(
        (bytes, _) in right(),
        at: prop::sample::Index,
        with in prop::sample::select(vec![
            &b"\r"[..], b"\n", b"\r\n", b" ", b"\t", b"\0", b":", b",", b";", b"0", b"f", b"+",
            b"\x0b", b"\x80", b"chunked", b"\r\nContent-Length: 1", b"\r\nTransfer-Encoding: chunked",
        ]),
        replace: bool,
        splits: [prop::sample::Index; 4],
    ) {
        let at = at.index(bytes.len());
        let rest = &bytes[at + usize::from(replace)..];
        let changed = [&bytes[..at], with, rest, HIDDEN.as_bytes()].concat();
        let expected = whole(&changed);
        prop_assert_eq!(&hear(changed.chunks(1), HeadLimits::default()), &expected);
        prop_assert_eq!(&hear(cut(&changed, splits.to_vec()), HeadLimits::default()), &expected);
        // No line of a head is ever ended by LF alone.
        for request in &expected.requests {
            for (_, value) in &request.fields {
                prop_assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
            }
        }
    }
}

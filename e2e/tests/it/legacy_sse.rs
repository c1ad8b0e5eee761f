//! HTTP+SSE, the transport of 2024-11-05: a stream by GET, and messages by POST to the endpoint
//! that its first event names. Palisade stands at `/`, so that both paths are the server's own.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on says so by a panic"
)]

use std::time::Duration;

use e2e::Palisade;
use e2e::wire::{Ask, BOTH, Http1, Http2, Opened, Protocol};
use serde_json::{Value as Json, json};

use crate::auth::new_key;
use crate::clients::passed;
use crate::peers::{Kind, Program, Server, gateway, room, url};

const EXERCISES: [&str; 7] = [
    "legacy/list",
    "legacy/call",
    "legacy/progress",
    "legacy/sampling",
    "legacy/elicitation",
    "legacy/cancellation",
    "legacy/subscription",
];

// REQ: G-1, G-2, G-3
#[tokio::test]
async fn real_clients() {
    let _room = room().await;
    let server = Server::start(Kind::PythonSse);
    let palisade = gateway(&server, "/", "rewrite");
    let url = url(&palisade, "/sse");
    let clients = [
        Program::node("clients/typescript-v1.mjs"),
        Program::python("venv", "clients/python_client.py"),
    ];
    for client in clients {
        let client = client.arguments(&[&url, "--sse"]).ca();
        let ran = client.run(Duration::from_secs(100)).await;
        passed(&ran, &EXERCISES.map(str::to_owned));
    }
    let refused = palisade.audit_where(0, |record| record["reason"].is_string());
    assert!(refused.is_empty(), "{refused:?}");
}

// REQ: G-1, G-2, G-3, H-3
#[tokio::test]
async fn python() {
    the_revision_of_2024(Kind::PythonSse, "/messages/?session_id=").await;
}

// REQ: G-1, G-2, G-3, H-3
#[tokio::test]
async fn everything() {
    the_revision_of_2024(Kind::EverythingSse, "/message?sessionId=").await;
}

/// A session as a client of 2024-11-05 has it, word by word, by both protocols.
async fn the_revision_of_2024(kind: Kind, endpoint: &str) {
    let _room = room().await;
    let server = Server::start(kind);
    let palisade = gateway(&server, "/", "rewrite");
    for protocol in BOTH {
        // A client that tries Streamable HTTP first falls back on what it hears from the server.
        let tried = message("/sse", &initialize());
        let tried = palisade.client().ask(protocol, &tried).await;
        assert!(matches!(tried.status, 404 | 405), "{tried:?}");
        assert_eq!(tried.reason(), None, "{tried:?}");

        let mut stream = Stream::open(&palisade, protocol).await;
        let (event, told) = stream.event().await;
        assert_eq!(event, "endpoint");
        assert!(told.starts_with(endpoint), "{told}");

        let hostile = message(&told, &initialize()).field("origin", "https://evil.example");
        let refused = palisade.client().ask(protocol, &hostile).await;
        assert_eq!(refused.status, 403, "{refused:?}");

        post(&palisade, protocol, &told, &initialize()).await;
        let answer = stream.message().await;
        assert_eq!(answer["id"], 1, "{answer}");
        assert_eq!(
            answer["result"]["protocolVersion"], "2024-11-05",
            "{answer}"
        );
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        post(&palisade, protocol, &told, &initialized).await;
        let text = "Gr\u{fc}\u{df}e";
        post(&palisade, protocol, &told, &echo(text)).await;
        let answer = stream.answer(2).await;
        let said = answer["result"]["content"][0]["text"].as_str();
        assert!(said.is_some_and(|said| said.ends_with(text)), "{answer}");
        palisade.audit_where(1, |record| {
            record["tool"] == "echo" && record["args"]["message"] == text
        });

        drop(stream);
        // The stream is the session: with the client gone, the server must learn of it. The other
        // server leaves a message of a session that it does not know without an answer.
        if kind == Kind::PythonSse {
            forgotten(&palisade, protocol, &told).await;
        }
    }
}

// REQ: A-5
#[tokio::test]
async fn a_session_of_2024_is_its_callers_too() {
    let _room = room().await;
    let server = Server::start(Kind::PythonSse);
    let (alice, first) = new_key("alice", &[]);
    let (bob, second) = new_key("bob", &[]);
    let palisade = Palisade::with(&format!(
        "{first}{second}[rate]\nlimit = \"100000/s\"\npeer = \"100000/s\"\n[[server]]\nname = \"test\"\npath = \"/\"\nupstream = \"{}\"\n",
        server.url()
    ));
    let client = palisade.client();
    for protocol in BOTH {
        let as_who = |ask: Ask, key: &str| ask.field("authorization", format!("Bearer {key}"));
        let open = || Ask::new("GET", "/sse").field("accept", "text/event-stream");
        let mut stream = Stream::by(&palisade, protocol, as_who(open(), &alice)).await;
        let (_, endpoint) = stream.event().await;
        let mut other = Stream::by(&palisade, protocol, as_who(open(), &bob)).await;
        let (_, own) = other.event().await;
        let (path, id) = endpoint.split_once("session_id=").unwrap();
        let (_, own_id) = own.split_once("session_id=").unwrap();
        let dashed = format!("{}-{}", &id[..8], &id[8..]);
        for target in [
            endpoint.clone(),
            format!("{path}session_id={}", id.to_uppercase()),
            format!("{path}session_id={dashed}"),
            format!("{path}session_id=urn:uuid:{id}"),
            format!("{path}session_id={own_id}&session_id={id}"),
            format!("{path}session_id={id}&session_id={own_id}"),
            format!("{path}x=y&session_id=%{:02x}{}", id.as_bytes()[0], &id[1..]),
        ] {
            let ask = as_who(message(&target, &initialize()), &bob);
            let answer = client.ask(protocol, &ask).await;
            assert_eq!(answer.status, 404, "{target} {answer:?}");
            assert_eq!(
                answer.reason().as_deref(),
                Some("session.unknown"),
                "{target}"
            );
        }
        let bare = message(&endpoint, &initialize());
        assert_eq!(client.ask(protocol, &bare).await.status, 401);
        for (endpoint, key, stream) in [(&endpoint, &alice, &mut stream), (&own, &bob, &mut other)]
        {
            let ask = as_who(message(endpoint, &initialize()), key);
            let answer = client.ask(protocol, &ask).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            let answer = stream.message().await;
            assert_eq!(answer["id"], 1, "{answer}");
        }
    }
}

/// Waits until the server answers that it does not know the session.
async fn forgotten(palisade: &Palisade, protocol: Protocol, endpoint: &str) {
    let mut status = 0;
    for _ in 0..200 {
        let ask = message(endpoint, &echo("anybody there?"));
        status = palisade.client().ask(protocol, &ask).await.status;
        if status == 404 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the session outlived its stream: {status}");
}

fn initialize() -> Json {
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2024-11-05", "capabilities": {},
            "clientInfo": { "name": "raw", "version": "1" },
        },
    })
}

fn echo(text: &str) -> Json {
    let params = json!({ "name": "echo", "arguments": { "message": text } });
    json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params})
}

fn message(endpoint: &str, message: &Json) -> Ask {
    Ask::new("POST", endpoint)
        .field("content-type", "application/json")
        .body(message.to_string())
}

async fn post(palisade: &Palisade, protocol: Protocol, endpoint: &str, json: &Json) {
    let ask = message(endpoint, json);
    let answer = palisade.client().ask(protocol, &ask).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

/// The event stream, by either protocol.
struct Stream {
    by: By,
    pending: Vec<u8>,
}

enum By {
    Http1(Http1),
    // The connection lives as long as the stream.
    Http2(#[expect(dead_code, reason = "held")] Http2, Opened),
}

impl Stream {
    async fn open(palisade: &Palisade, protocol: Protocol) -> Self {
        let ask = Ask::new("GET", "/sse").field("accept", "text/event-stream");
        Self::by(palisade, protocol, ask).await
    }

    async fn by(palisade: &Palisade, protocol: Protocol, ask: Ask) -> Self {
        let client = palisade.client();
        let refused = ask.clone().field("origin", "https://evil.example");
        assert_eq!(client.ask(protocol, &refused).await.status, 403);
        let (by, head) = match protocol {
            Protocol::Http1 => {
                let mut connection = client.http1().await;
                let head = connection.open(&ask).await;
                (By::Http1(connection), head)
            }
            Protocol::Http2 => {
                let mut connection = client.http2().await;
                let opened = connection.open(&ask).await;
                let head = opened.head.clone();
                (By::Http2(connection, opened), head)
            }
        };
        assert_eq!(head.status, 200, "{head:?}");
        let kind = head.header("content-type").unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self {
            by,
            pending: Vec::new(),
        }
    }

    /// The next event that is no comment: its name and its data.
    async fn event(&mut self) -> (String, String) {
        loop {
            while let Some(end) = self.pending.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.pending.drain(..end + 2).collect();
                let event = String::from_utf8(event).unwrap();
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim_start().to_owned())
                };
                if let Some(found) = field("event:").zip(field("data:")) {
                    return found;
                }
            }
            let chunk = match &mut self.by {
                By::Http1(connection) => connection.chunk().await,
                By::Http2(_, opened) => opened.chunk().await.map(|chunk| chunk.to_vec()),
            };
            let chunk = chunk.expect("the stream goes on");
            let unread = chunk.into_iter().filter(|byte| *byte != b'\r');
            self.pending.extend(unread);
        }
    }

    async fn message(&mut self) -> Json {
        let (event, data) = self.event().await;
        assert_eq!(event, "message", "{data}");
        serde_json::from_str(&data).unwrap()
    }

    /// The answer to this request; the server may have something of its own to say before it.
    async fn answer(&mut self, id: u64) -> Json {
        loop {
            let message = self.message().await;
            if message["id"] == id && message.get("result").is_some() {
                return message;
            }
        }
    }
}

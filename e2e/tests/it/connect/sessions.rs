//! What a session needs and its client never sees: ids, renewal, resumption, the end.

use std::sync::Mutex;
use std::time::Duration;

use e2e::palisade::Builder;
use e2e::{Palisade, Reply, Upstream};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};

use crate::peers::{Kind, Server, gateway, room, url};
use crate::stdio::{before, call, odd};

use super::{Connect, initialize, modern};

fn text(answer: &Json) -> Json {
    let text = answer["result"]["content"][0]["text"].as_str();
    serde_json::from_str(text.unwrap_or_else(|| panic!("{answer}"))).unwrap()
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

/// From the handshake to the end: the client sends lines, and the session is ended for it.
// REQ: U-2, G-2
#[tokio::test]
async fn a_session_from_its_opening_to_its_end() {
    let palisade = before(&odd(""), "");
    let mut connect = Connect::to(&url(&palisade, "/mcp"));
    let answer = connect.open();
    assert_eq!(answer["result"]["serverInfo"]["name"], "odd");
    // A question of the server in the middle of a call, and progress before it.
    connect.send(&call(&json!(7), &json!({ "progress": 2, "ask": "why?" })));
    let found = loop {
        let next = connect.next();
        if next["method"] == "sampling/createMessage" {
            break next;
        }
        assert_eq!(next["method"], "notifications/progress");
        assert_eq!(next["params"]["progressToken"], 7);
    };
    connect.send(&json!({ "jsonrpc": "2.0", "id": found["id"], "result": { "said": "because" } }));
    let answer = connect.until(&json!(7)).pop().unwrap();
    assert_eq!(text(&answer)["answer"]["said"], "because");
    let ended = connect.end();
    assert_eq!(
        (ended.code, ended.rest.len()),
        (Some(0), 0),
        "{}",
        ended.stderr
    );
    palisade.wait_for_stderr("its session is over");
    let refused = palisade.audit_where(0, |record| record["reason"].is_string());
    assert!(refused.is_empty(), "{refused:?}");
}

/// Lines that come all at once, as from a shell, in their order; the input ends before the answers.
// REQ: U-2
#[tokio::test]
async fn what_is_under_way_is_finished_at_the_end_of_input() {
    let palisade = before(&odd(""), "");
    let mut connect = Connect::to(&url(&palisade, "/mcp"));
    connect.send(&initialize("2025-06-18"));
    connect.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    for id in 1..=3 {
        connect.send(&call(&json!(id), &json!({ "text": id, "sleep": 0.3 })));
    }
    let ended = connect.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for id in 1..=3 {
        let answer = ended.rest.iter().find(|found| found["id"] == id);
        assert_eq!(text(answer.unwrap())["text"], id);
    }
    palisade.wait_for_stderr("its session is over");
}

/// The command of the session is killed: the next call finds a new one, and the client hears nothing of it.
// REQ: U-2
#[tokio::test]
async fn a_session_that_is_forgotten_is_opened_again() {
    let palisade = before(&odd(""), "");
    let mut connect = Connect::to(&url(&palisade, "/mcp"));
    connect.open();
    let first = text(&connect.ask(&call(&json!(1), &json!({ "pid": true }))));
    let pid = crate::stdio::outside(palisade.pid(), &first["pid"]);
    kill(pid);
    crate::stdio::until("the command is gone", || !crate::stdio::is_alive(pid)).await;
    let mut second = Json::Null;
    for id in 2..10 {
        // One that comes before the gateway has noticed is told that the server ended.
        let answer = connect.ask(&call(
            &json!(id),
            &json!({ "pid": true, "ask": "still there?" }),
        ));
        if answer.get("error").is_none() {
            second = text(&answer);
            break;
        }
    }
    assert_ne!(second["run"], first["run"]);
    let ended = connect.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("opened again"), "{}", ended.stderr);
    palisade.audit_where(2, |record| record["method"] == "initialize");
}

fn fixed(port: u16) -> Builder {
    let command = json!(odd(""));
    Palisade::builder().config(&format!(
        "listen = \"127.0.0.1:{port}\"\n[[server]]\nname = \"test\"\ncommand = {command}\n"
    ))
}

/// The gateway itself is started again, under another key for its session ids.
// REQ: U-2
#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let port = Upstream::nobody().port();
    let mut connect = Connect::to(&format!("https://localhost:{port}/mcp"));
    // Nobody is there yet: the client is told, and may try again.
    let answer = connect.ask(&initialize("2025-11-25"));
    let said = answer["error"]["message"].as_str().unwrap();
    assert!(
        said.contains("cannot be reached") && said.contains("start the server"),
        "{said}"
    );
    let mut palisade = fixed(port).start();
    connect.open();
    let answer = connect.ask(&call(&json!(1), &json!({ "text": "one" })));
    assert_eq!(text(&answer)["text"], "one");
    palisade.stop();
    let palisade = fixed(port).start();
    let answer = connect.ask(&call(&json!(2), &json!({ "text": "two" })));
    assert_eq!(text(&answer)["text"], "two");
    assert_eq!(connect.end().code, Some(0));
    palisade.wait_for_stderr("its session is over");
}

/// A server of sessions by script: what a renewed session is told, and whose answers go where.
// REQ: U-2
#[tokio::test]
async fn a_renewed_session_is_told_what_the_client_had_said() {
    let opened = Mutex::new(0);
    let upstream = Upstream::answering(move |request| {
        let message = request.json();
        let session = request.header("mcp-session-id");
        let mut opened = opened.lock().unwrap();
        let is_lost = session.is_some() && session != Some(format!("s{opened}").as_str());
        match (request.method(), message["method"].as_str()) {
            ("GET", _) => Reply::status(405),
            ("DELETE", _) => Reply::status(200),
            (_, Some("initialize")) => {
                *opened += 1;
                let id = format!("s{opened}");
                let result = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {} });
                let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result });
                Reply::json_with(&[("Mcp-Session-Id", &id)], &answer)
            }
            _ if is_lost => Reply::status(404),
            (_, Some("forget")) => {
                let answer = Reply::result(request, &json!({}));
                *opened += 100;
                answer
            }
            (_, Some("question")) => {
                let question = r#"{"jsonrpc":"2.0","id":1,"method":"roots/list"}"#;
                let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": {} });
                let events = [question.to_owned(), answer.to_string()]
                    .map(|data| format!("data: {data}\n\n"));
                Reply::events(&[(Duration::ZERO, &events[0]), (Duration::ZERO, &events[1])])
            }
            (_, None) => Reply::status(202),
            (_, Some(method)) if method.starts_with("notifications/") => Reply::status(202),
            _ => Reply::result(request, &json!({})),
        }
    });
    let mut connect = Connect::with(&[&format!("{}/mcp", upstream.url())], &[]);
    connect.open();
    let request = |id: u64, method: &str, params: Json| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
    connect.ask(&request(1, "logging/setLevel", json!({ "level": "info" })));
    connect.ask(&request(
        2,
        "resources/subscribe",
        json!({ "uri": "a://1" }),
    ));
    connect.ask(&request(
        3,
        "resources/subscribe",
        json!({ "uri": "a://2" }),
    ));
    connect.ask(&request(
        4,
        "resources/unsubscribe",
        json!({ "uri": "a://1" }),
    ));
    connect.send(&request(5, "question", json!({})));
    let before = connect.until(&json!(5)).remove(0);
    connect.ask(&request(6, "forget", json!({})));
    connect.send(&request(7, "question", json!({})));
    let after = connect.until(&json!(7)).remove(0);
    // Both are the server's request 1; an answer to the first must not be taken for one to the second.
    assert_eq!(before["id"], 1);
    assert_ne!(after["id"], 1);
    connect.send(&json!({ "jsonrpc": "2.0", "id": before["id"], "result": { "of": "before" } }));
    connect.send(&json!({ "jsonrpc": "2.0", "id": after["id"], "result": { "of": "after" } }));
    let ended = connect.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let arrived = upstream.arrived();
    let told: Vec<Json> = arrived
        .iter()
        .filter(|request| request.header("mcp-session-id") == Some("s102"))
        .map(shape)
        .collect();
    assert_eq!(
        told,
        [
            json!("notifications/initialized"),
            json!("GET"),
            json!(["logging/setLevel", { "level": "info" }]),
            json!(["resources/subscribe", { "uri": "a://2" }]),
            json!(["question", {}]),
            json!([1, { "of": "after" }]),
            json!("DELETE"),
        ]
    );
}

fn shape(request: &e2e::Arrived) -> Json {
    let message = request.json();
    match (request.method(), message["method"].as_str()) {
        ("POST", Some(method)) if message["params"].is_object() => {
            json!([method, message["params"]])
        }
        ("POST", Some(method)) => json!(method),
        ("POST", None) => json!([message["id"], message["result"]]),
        (method, _) => json!(method),
    }
}

/// A stream of 2026-07-28 that breaks off is asked for again, without a second acknowledgement.
// REQ: U-2, G-2
#[tokio::test]
async fn a_subscription_that_breaks_off_is_asked_for_again() {
    let asked = Mutex::new(0);
    let upstream = Upstream::answering(move |request| {
        let mut asked = asked.lock().unwrap();
        *asked += 1;
        let acknowledged = r#"data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{}}"#;
        let change = format!(
            r#"data: {{"jsonrpc":"2.0","method":"notifications/tools/list_changed","params":{{"n":{asked}}}}}"#
        );
        let id = &request.json()["id"];
        let over =
            format!(r#"data: {{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete"}}}}"#);
        let events = [acknowledged.to_owned(), change, over].map(|event| format!("{event}\n\n"));
        let mut events: Vec<_> = events
            .iter()
            .map(|event| (Duration::ZERO, event.as_str()))
            .collect();
        if *asked < 3 {
            events.pop();
        }
        Reply::events(&events)
    });
    let mut connect = Connect::with(&[&format!("{}/mcp", upstream.url())], &[]);
    let listen = modern(
        1,
        "subscriptions/listen",
        &json!({ "notifications": { "toolsListChanged": true } }),
    );
    connect.send(&listen);
    let found = connect.until(&json!(1));
    let shown: Vec<&Json> = found
        .iter()
        .map(|message| &message["params"]["n"])
        .collect();
    assert_eq!(
        shown,
        [&Json::Null, &json!(1), &json!(2), &json!(3), &Json::Null]
    );
    assert_eq!(connect.end().code, Some(0));
    assert!(
        upstream
            .arrived()
            .iter()
            .all(|request| request.header("mcp-session-id").is_none()
                && request.header("mcp-method") == Some("subscriptions/listen"))
    );
}

/// An argument that a tool wants in a header as well is put there; the server checks that it is.
// REQ: U-2, G-2
#[tokio::test]
async fn arguments_travel_in_headers_as_the_server_wants() {
    let _room = room().await;
    let server = Server::start(Kind::Rmcp);
    let palisade = gateway(&server, "/mcp", "rewrite");
    // A client that has not asked what the tools want calls them all the same.
    for lists in [true, false] {
        let mut connect = Connect::to(&url(&palisade, "/mcp"));
        if lists {
            connect.ask(&modern(1, "tools/list", &json!({})));
        }
        let params = json!({ "name": "test_custom_header", "arguments": { "region": "日本" } });
        let answer = connect.ask(&modern(2, "tools/call", &params));
        let said = answer["result"]["content"][0]["text"].as_str();
        assert_eq!(
            said,
            Some("The header agreed with the argument."),
            "{answer}"
        );
        let ended = connect.end();
        assert_eq!((ended.code, ended.rest.len()), (Some(0), 0));
    }
}

/// A batch of 2025-03-26 goes out as it is; its answers come one by one.
// REQ: U-2, G-2
#[tokio::test]
async fn a_batch_is_carried() {
    let palisade = before(&odd(""), "");
    let mut connect = Connect::to(&url(&palisade, "/mcp"));
    connect.ask(&initialize("2025-03-26"));
    connect.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    connect.send(&json!([
        call(&json!(1), &json!({ "text": "one" })),
        call(&json!(2), &json!({ "text": "two" })),
    ]));
    let mut found = [connect.next(), connect.next()];
    found.sort_by_key(|message| message["id"].as_u64());
    assert_eq!(text(&found[0])["text"], "one");
    assert_eq!(text(&found[1])["text"], "two");
    assert_eq!(connect.end().code, Some(0));
}

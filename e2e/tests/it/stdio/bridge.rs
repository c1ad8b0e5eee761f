//! Which message goes where: sessions, streams, scopes, eras.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use e2e::wire::{Ask, Protocol};
use e2e::{PATIENCE, Palisade};
use serde_json::{Value as Json, json};

use super::{Session, amount, before, call, events, initialize, messages, odd, resident, said};
use crate::peers::say;
use crate::rig::modern_request;

// REQ: G-1, G-16, A-5
#[tokio::test]
async fn a_session_from_its_opening_to_its_end() {
    let palisade = before(&odd(""), "");
    let session = Session::open(&palisade).await;
    let answer = session.call(&json!(1), &json!({ "text": "hello" })).await;
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        (answer.json()["id"].clone(), said(&answer)["text"].clone()),
        (json!(1), json!("hello"))
    );
    let record = palisade.record_of(&answer);
    assert_eq!(
        (&record["tool"], &record["outcome"]),
        (&json!("do"), &json!("ok"))
    );
    // Nobody's, a changed one, one of another gateway: none of them is known.
    let other = before(&odd(""), "");
    let foreign = Session::open(&other).await.id;
    let mut forged = session.id.clone().into_bytes();
    forged[5] = if forged[5] == b'A' { b'B' } else { b'A' };
    for id in [&b"x"[..], &forged, foreign.as_bytes()] {
        let ask = Ask::post(&call(&json!(1), &json!({})).to_string()).target("/mcp");
        let ask = ask.field("mcp-session-id", id);
        let answer = palisade.client().ask(Protocol::Http2, &ask).await;
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].clone()),
            (404, json!(-32001))
        );
        assert_eq!(answer.reason().as_deref(), Some("session.unknown"));
    }
    let without = Ask::post(&call(&json!(1), &json!({})).to_string()).target("/mcp");
    let answer = palisade.client().ask(Protocol::Http1, &without).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let below = Ask::post(&call(&json!(1), &json!({})).to_string()).target("/mcp/x");
    assert_eq!(
        palisade.client().ask(Protocol::Http1, &below).await.status,
        404
    );
    assert_eq!(session.delete().await.status, 200);
    for _ in 0..2 {
        let answer = session.call(&json!(2), &json!({})).await;
        assert_eq!(
            (answer.status, answer.reason().as_deref()),
            (404, Some("session.unknown"))
        );
    }
}

// REQ: G-16
#[tokio::test]
async fn what_belongs_to_a_call_comes_with_it_and_the_servers_question_is_answered() {
    let palisade = before(&odd(""), "");
    let session = Session::open(&palisade).await;
    let answer = session
        .call(&json!("p"), &json!({ "progress": 3, "text": "done" }))
        .await;
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let found = messages(&answer);
    assert_eq!(found.len(), 4, "{}", answer.text());
    for progress in &found[..3] {
        assert_eq!(progress["params"]["progressToken"], "p");
    }
    assert_eq!(said(&answer)["text"], "done");
    // A question comes on the call's own stream; the answer goes by a request of its own.
    let mut stream = palisade.client().http1().await;
    let ask = session.message(&call(&json!(7), &json!({ "ask": "how are you?" })));
    assert_eq!(stream.open(&ask).await.status, 200);
    let mut text = String::new();
    while events(&text).is_empty() {
        text.push_str(&String::from_utf8(stream.chunk().await.unwrap()).unwrap());
    }
    let question = events(&text).remove(0).1;
    assert_eq!(question["method"], "sampling/createMessage");
    // Another session cannot answer it.
    let other = Session::open(&palisade).await;
    let reply =
        |text: &str| json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "said": text } });
    assert_eq!(other.ask(&reply("forged")).await.status, 202);
    assert_eq!(session.ask(&reply("well")).await.status, 202);
    while let Some(chunk) = stream.chunk().await {
        text.push_str(&String::from_utf8(chunk).unwrap());
    }
    let last = events(&text).pop().unwrap().1;
    let said: Json =
        serde_json::from_str(last["result"]["content"][0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(said["answer"]["said"], "well");
}

// REQ: G-16, G-3
#[tokio::test]
async fn a_stream_that_broke_off_goes_on_where_it_was() {
    let palisade = before(&odd(""), "");
    let session = Session::open(&palisade).await;
    let mut stream = palisade.client().http1().await;
    let ask = session.message(&call(&json!(1), &json!({ "progress": 20, "text": "end" })));
    assert_eq!(stream.open(&ask).await.status, 200);
    let mut text = String::new();
    while events(&text).len() < 3 {
        text.push_str(&String::from_utf8(stream.chunk().await.unwrap()).unwrap());
    }
    drop(stream);
    let seen = events(&text);
    let (last, _) = seen.last().unwrap().clone();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let resume = session.with(Ask::new("GET", "/mcp").field("accept", "text/event-stream"));
    let resume = resume.field("last-event-id", &last);
    let answer = palisade.client().ask(Protocol::Http1, &resume).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let rest = events(&answer.text());
    let ids: BTreeSet<&String> = seen.iter().chain(&rest).map(|(id, _)| id).collect();
    // Nothing is missing and nothing comes twice: twenty notifications and the result.
    assert_eq!((ids.len(), seen.len() + rest.len()), (21, 21));
    assert_eq!(said(&answer)["text"], "end");
    // Another session's events are not to be had by their ids, nor are invented ones.
    let other = Session::open(&palisade).await;
    for (session, id) in [(&other, last.as_str()), (&session, "99-1"), (&session, "x")] {
        let ask = session.with(Ask::new("GET", "/mcp").field("accept", "text/event-stream"));
        let answer = palisade
            .client()
            .ask(Protocol::Http1, &ask.field("last-event-id", id))
            .await;
        assert_eq!(answer.status, 400, "{id}");
    }
}

// REQ: G-16
#[tokio::test]
async fn a_cancelled_call_ends_and_the_child_goes_on() {
    let palisade = before(&odd(""), "");
    let session = Session::open(&palisade).await;
    let slow = session.message(&call(&json!("slow"), &json!({ "sleep": 30 })));
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": "slow" } });
    let (answer, ()) = tokio::join!(
        async { palisade.client().ask(Protocol::Http1, &slow).await },
        async {
            tokio::time::sleep(Duration::from_millis(800)).await;
            assert_eq!(session.ask(&cancel).await.status, 202);
        }
    );
    assert_eq!(messages(&answer).pop().unwrap()["error"]["code"], -32800);
    assert_eq!(
        said(&session.call(&json!(2), &json!({ "text": "on" })).await)["text"],
        "on"
    );
}

/// Two callers with the same ids in one child: each gets its own answers and progress.
// REQ: G-16
#[tokio::test]
async fn sharers_never_see_each_others_messages() {
    for scope in ["shared", "caller"] {
        let palisade = before(&odd(""), &format!("scope = \"{scope}\""));
        let (one, two) = (
            Session::open(&palisade).await,
            Session::open(&palisade).await,
        );
        let run = |answer: &e2e::wire::Answer| said(answer)["run"].clone();
        let first = one.call(&json!(0), &json!({ "pid": true })).await;
        let second = two.call(&json!(0), &json!({ "pid": true })).await;
        assert_eq!(run(&first), run(&second), "{scope}");
        let calls = (0..20).flat_map(|id| [(&one, "one", id), (&two, "two", id)]);
        let calls = calls.map(|(session, name, id)| async move {
            let wanted = json!({ "progress": 2, "text": format!("{name} {id}") });
            (
                session.call(&json!(id), &wanted).await,
                format!("{name} {id}"),
                id,
            )
        });
        for (answer, text, id) in futures(calls).await {
            let found = messages(&answer);
            assert_eq!(found.len(), 3, "{scope} {text}: {}", answer.text());
            for progress in &found[..2] {
                assert_eq!(progress["params"]["message"], text, "{scope}");
                assert_eq!(progress["params"]["progressToken"], id);
            }
            assert_eq!(
                (&found[2]["id"], said(&answer)["text"].as_str()),
                (&json!(id), Some(text.as_str()))
            );
        }
        // The end of one session is not the end of the other's child.
        assert_eq!(one.delete().await.status, 200);
        assert_eq!(
            two.call(&json!(1), &json!({ "text": "still" }))
                .await
                .status,
            200
        );
    }
}

async fn futures<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut pending: Vec<_> = all.map(Box::pin).map(Some).collect();
    let mut done: Vec<Option<T>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (future, result) in pending.iter_mut().zip(&mut done) {
            if let Some(waiting) = future
                && let std::task::Poll::Ready(value) = waiting.as_mut().poll(cx)
            {
                *result = Some(value);
                *future = None;
            }
        }
        if pending.iter().all(Option::is_none) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

// REQ: G-2, G-16
#[tokio::test]
async fn a_newer_client_talks_to_an_older_child() {
    for mode in ["", "fragile", "ignores"] {
        let palisade = before(&odd(mode), "start_timeout = \"6s\"");
        let ask =
            |id, method: &str, params: Json| modern_request(id, method, &params).target("/mcp");
        let client = palisade.client();
        let answer = client
            .ask(Protocol::Http2, &ask(1, "server/discover", json!({})))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let result = &answer.json()["result"];
        assert_eq!(result["supportedVersions"], json!(["2026-07-28"]));
        assert_eq!(result["capabilities"], json!({ "tools": {} }));
        let list = ask(2, "tools/list", json!({})).field("mcp-session-id", "ignored");
        let answer = client.ask(Protocol::Http1, &list).await;
        let result = &answer.json()["result"];
        assert_eq!(
            (
                &result["resultType"],
                &result["cacheScope"],
                &result["ttlMs"]
            ),
            (&json!("complete"), &json!("private"), &json!(0))
        );
        assert!(answer.header("mcp-session-id").is_none());
        let params =
            json!({ "name": "do", "arguments": { "text": "old", "log": "unasked", "pid": true } });
        let called = ask(3, "tools/call", params).field("mcp-name", "do");
        let answer = client.ask(Protocol::Http1, &called).await;
        assert_eq!(answer.json()["result"]["resultType"], "complete");
        assert_eq!(said(&answer)["text"], "old");
        // One child answers them all, opened once.
        let again = client.ask(Protocol::Http1, &called).await;
        assert_eq!(said(&again)["run"], said(&answer)["run"], "{mode}");
        if mode == "ignores" {
            continue;
        }
        for (method, code, status) in [
            ("ping", -32601, 404),
            (
                "nonsense",
                -32601,
                if mode == "fragile" { 502 } else { 404 },
            ),
        ] {
            let answer = client
                .ask(Protocol::Http1, &ask(4, method, json!({})))
                .await;
            assert_eq!(answer.status, status, "{}", answer.text());
            if status == 404 {
                assert_eq!(answer.json()["error"]["code"], code);
            }
        }
    }
}

/// Past its time limit a call is ended in the child too, whether its answer has begun or not.
// REQ: G-16
#[tokio::test]
async fn a_call_that_takes_too_long_is_cancelled_in_the_child() {
    let limits = "[server.tool.slow]\ntimeout = \"2s\"\n[server.tool.hasty]\ntimeout = \"50ms\"";
    let palisade = before(&odd(""), limits);
    let session = Session::open(&palisade).await;
    for (count, tool) in ["slow", "hasty"].into_iter().enumerate() {
        let mut long = call(&json!(tool), &json!({ "sleep": 600 }));
        long["params"]["name"] = json!(tool);
        let answer = session.ask(&long).await;
        if tool == "slow" {
            // It had become a stream by then.
            assert_eq!(
                (answer.status, answer.cut),
                (200, true),
                "{}",
                answer.text()
            );
        } else {
            assert_eq!(answer.status, 504, "{}", answer.text());
        }
        let end = Instant::now() + PATIENCE;
        while said(&session.call(&json!(1), &json!({ "cancelled": true })).await)["cancelled"]
            != count + 1
        {
            assert!(Instant::now() < end, "the child has not heard of {tool}");
        }
    }
}

/// The child asks and does not wait long; its answer waits for the client instead.
// REQ: G-2, G-16
#[tokio::test]
async fn an_answer_that_comes_before_its_client_is_not_lost() {
    let palisade = before(&odd(""), "");
    let client = palisade.client();
    let params =
        json!({ "name": "do", "arguments": { "ask": "why?", "patience": 0, "text": "done" } });
    let ask = |id: u64, more: Json| {
        let mut params = params.clone();
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
            "io.modelcontextprotocol/clientCapabilities": { "sampling": {} },
        });
        let more = more.as_object().unwrap().clone();
        params.as_object_mut().unwrap().extend(more);
        let message =
            json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params });
        Ask::post(&message.to_string())
            .target("/mcp")
            .field("mcp-protocol-version", "2026-07-28")
            .field("mcp-method", "tools/call")
            .field("mcp-name", "do")
    };
    let answer = client.ask(Protocol::Http1, &ask(1, json!({}))).await;
    let result = &answer.json()["result"];
    assert_eq!(result["resultType"], "input_required", "{}", answer.text());
    let more = json!({
        "requestState": result["requestState"],
        "inputResponses": { "question": { "role": "assistant" } },
    });
    let answer = client.ask(Protocol::Http1, &ask(2, more)).await;
    assert_eq!(said(&answer)["text"], "done");
}

/// A batch is of 2025-03-26: its messages are answered one by one.
// REQ: G-2, G-16
#[tokio::test]
async fn a_batch_is_carried_for_the_revision_that_has_them() {
    let palisade = before(&odd(""), "");
    let answer = palisade
        .client()
        .ask(Protocol::Http1, &initialize("2025-03-26"))
        .await;
    let id = answer.header("mcp-session-id").unwrap();
    let batch = json!([
        call(&json!("a"), &json!({ "text": "1" })),
        { "jsonrpc": "2.0", "method": "notifications/initialized" },
        call(&json!("b"), &json!({ "text": "2", "sleep": 0.1 })),
    ]);
    let ask = Ask::post(&batch.to_string())
        .target("/mcp")
        .field("mcp-session-id", id);
    let answer = palisade.client().ask(Protocol::Http1, &ask).await;
    let ids: BTreeSet<String> = messages(&answer)
        .iter()
        .map(|m| m["id"].to_string())
        .collect();
    assert_eq!(
        ids,
        BTreeSet::from(["\"a\"".to_owned(), "\"b\"".to_owned()]),
        "{}",
        answer.text()
    );
    let session = Session::open(&palisade).await;
    assert_eq!(session.ask(&batch).await.status, 400);
}

/// Sessions with twenty calls each at once, round after round: every answer reaches its caller, and
/// memory stays as it is.
// REQ: G-16
#[tokio::test]
async fn many_sessions_at_once() {
    let count = amount("SESSIONS", 40);
    let command = json!(odd(""));
    let palisade = &Palisade::builder()
        .plain()
        .config(&format!(
            "[limits]\nconnections_per_peer = 10_000\n[[server]]\nname = \"test\"\ncommand = {command}\nsessions = {count}\n"
        ))
        .start();
    let sessions = futures((0..count).map(|_| Session::open(palisade))).await;
    let refused = palisade
        .client()
        .ask(Protocol::Http1, &initialize("2025-11-25"))
        .await;
    assert_eq!(
        (refused.status, refused.reason().as_deref()),
        (503, Some("child.limit"))
    );
    assert!(refused.header("retry-after").is_some());
    let mut memory = Vec::new();
    for _ in 0..amount("ROUNDS", 3) {
        let calls = sessions.iter().enumerate();
        let calls = calls.map(|(number, session)| twenty_calls(number, session));
        assert_eq!(futures(calls).await.len(), count);
        memory.push(resident(palisade.pid()));
    }
    say(&format!(
        "{count} sessions, kB after each round: {memory:?}"
    ));
    // An allocator gives back what it likes: the first third shows how much it takes.
    let warm = *memory[..=memory.len() / 3].iter().max().unwrap();
    let last = memory[memory.len() - 1];
    assert!(last < warm + warm / 4, "{memory:?}");
}

async fn twenty_calls(number: usize, session: &Session<'_>) {
    let calls = (0..20).map(|id| async move {
        let text = format!("{number}/{id}");
        let wanted = json!({ "text": text, "sleep": 0.05 });
        let answer = session.call(&json!(id), &wanted).await;
        let last = messages(&answer).pop().unwrap_or_default();
        assert_eq!(last["id"], id, "{}", answer.text());
        assert_eq!(said(&answer)["text"], json!(text));
    });
    assert_eq!(futures(calls).await.len(), 20);
}

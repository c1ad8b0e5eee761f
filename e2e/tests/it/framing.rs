//! Requests that two readers might cut in two ways, through the whole gateway.
//!
//! The table is the one of `palisade-http1`'s own tests; here it is judged at both ends: by what
//! the client is answered and the log records, and by what reaches the server behind.

#[path = "../../../crates/palisade-http1/tests/cases/mod.rs"]
mod cases;

use std::collections::HashMap;
use std::sync::Arc;

use e2e::wire::{Answer, Http1};
use e2e::{Arrived, Palisade, Upstream};
use palisade_http1::FaultKind;
use serde_json::Value as Json;

use crate::judge::secured;
use cases::{Case, JSON, Verdict};

/// Everything goes to the upstream, also what nobody should have asked for.
fn gateway(upstream: &Upstream) -> Palisade {
    Palisade::with(&format!(
        "[[server]]\nname = \"all\"\npath = \"/\"\nupstream = \"http://{}\"\n",
        upstream.address()
    ))
}

/// What the client reads until the connection closes: one answer and what stands behind it.
struct Read {
    answer: Answer,
    behind: Vec<u8>,
}

async fn send(mut http1: Http1, bytes: &[u8]) -> Read {
    http1.send(bytes).await;
    let mut answer = http1.head().await;
    let mut rest = http1.rest().await;
    let length = match answer.header("content-length") {
        Some(length) if !bytes.starts_with(b"HEAD") => length.parse().unwrap(),
        _ => 0,
    };
    assert!(rest.len() >= length, "a cut answer: {answer:?}");
    let behind = rest.split_off(length);
    answer.body = rest;
    Read { answer, behind }
}

/// What is wrong with the answer to a refused request.
fn complaint(read: &Read, status: u16, reason: &str, record: Option<&Json>) -> Option<String> {
    let Read { answer, behind } = read;
    let said = answer.reason();
    let said = said.as_deref();
    // The answer to HEAD has no body to say it in.
    if answer.status != status || (said != Some(reason) && !answer.body.is_empty()) {
        return Some(format!("{} {said:?}, not {status} {reason}", answer.status));
    }
    if !answer.lists("connection", "close") {
        return Some("it does not say `close`".to_owned());
    }
    if !behind.is_empty() {
        return Some(format!("behind it: {:?}", String::from_utf8_lossy(behind)));
    }
    let Some(record) = record else {
        return Some("no record".to_owned());
    };
    if record["reason"] != reason || record["outcome"] != "denied" {
        return Some(format!("its record: {record}"));
    }
    None
}

/// The records by request id, once there are `count`.
fn records(palisade: &Palisade, count: usize) -> HashMap<String, Json> {
    let records = palisade.audit_where(count, |_| true);
    let id = |record: &Json| record["requestId"].as_str().unwrap_or_default().to_owned();
    records
        .into_iter()
        .map(|record| (id(&record), record))
        .collect()
}

/// Sends every case on a connection of its own, some at a time.
async fn drive(palisade: &Palisade, cases: Vec<Case>) -> Vec<(Case, Read)> {
    let client = palisade.client();
    let places = Arc::new(tokio::sync::Semaphore::new(8));
    let mut tasks = Vec::new();
    for case in cases {
        let (client, places) = (client.clone(), Arc::clone(&places));
        tasks.push(tokio::spawn(async move {
            let _place = places.acquire_owned().await;
            let read = send(client.http1().await, &case.bytes).await;
            (case, read)
        }));
    }
    let mut driven = Vec::new();
    for task in tasks {
        driven.push(task.await.unwrap());
    }
    driven
}

// REQ: R-3, S-1, L-1, H-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_malformed_is_answered_recorded_and_never_forwarded() {
    let upstream = Upstream::new();
    let mut cases = cases::all();
    cases.retain(|case| matches!(case.verdict, Verdict::Head(_) | Verdict::Body(_)));
    assert!(cases.len() > 350, "{}", cases.len());
    let mut wrong = Vec::new();
    while !cases.is_empty() {
        // More than a hundred refusals of one address are counted, and not recorded each.
        let group = cases.split_off(cases.len().saturating_sub(100));
        let palisade = gateway(&upstream);
        let driven = drive(&palisade, group).await;
        let records = records(&palisade, driven.len());
        assert_eq!(records.len(), driven.len(), "a record each, and no other");
        for (case, read) in &driven {
            let (status, reason) = match case.verdict {
                Verdict::Head(fault) => match fault.kind() {
                    FaultKind::TooLarge => (431, "request.header_too_large"),
                    _ => (400, "request.malformed"),
                },
                _ => (400, "body.incomplete"),
            };
            secured(&read.answer, &case.name);
            let id = read.answer.header("x-request-id").unwrap();
            if let Some(complaint) = complaint(read, status, reason, records.get(id)) {
                wrong.push(format!("{}: {complaint}", case.name));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let arrived: Vec<Arrived> = upstream.arrived();
    assert!(arrived.is_empty(), "{arrived:?}");
    assert_eq!((upstream.connections(), upstream.broken()), (0, 0));
}

// REQ: R-3, G-13, G-14, G-15, H-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_guards_refuse_does_not_reach_the_upstream() {
    let upstream = Upstream::new();
    let palisade = gateway(&upstream);
    let mut cases = cases::all();
    cases.retain(|case| matches!(case.verdict, Verdict::Guarded(..)));
    for case in &mut cases {
        // Where the connection goes on, the request behind is one of its own.
        let end = case.bytes.len() - cases::HIDDEN.len();
        case.bytes.truncate(end);
    }
    assert!(cases.len() > 25, "{}", cases.len());
    let mut wrong = Vec::new();
    for case in cases {
        let Verdict::Guarded(status, reason) = case.verdict else {
            continue;
        };
        let mut http1 = palisade.client().http1().await;
        http1.send(&case.bytes).await;
        let head_only = case.bytes.starts_with(b"HEAD");
        let answer = if head_only {
            http1.head().await
        } else {
            http1.answer().await
        };
        secured(&answer, &case.name);
        let record = palisade.record_of(&answer);
        if (answer.status, &record["reason"]) != (status, &Json::from(reason)) {
            let found = (answer.status, &record["reason"], &record["error"]);
            wrong.push(format!("{}: {found:?}, not {status} {reason}", case.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(upstream.connections(), 0);
}

// REQ: R-3, H-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_arrives_once_and_plainly() {
    let upstream = Upstream::new();
    let palisade = gateway(&upstream);
    let mut cases = cases::all();
    cases.retain(|case| case.verdict == Verdict::Taken);
    assert!(cases.len() > 40, "{}", cases.len());
    let mut expected = 0;
    for case in cases {
        let mut http1 = palisade.client().http1().await;
        http1.send(&case.bytes).await;
        let answer = http1.answer().await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", case.name);
        assert_eq!(answer.json()["id"], 7, "{}", case.name);
        secured(&answer, &case.name);
        let goes_on = !answer.lists("connection", "close");
        if goes_on {
            // A request of its own, and answered as one.
            assert_eq!(http1.answer().await.status, 200, "{}", case.name);
        } else {
            assert!(http1.is_closed().await, "{}", case.name);
        }
        let arrived = upstream.wait_for(expected + 1 + usize::from(goes_on));
        let request = &arrived[expected];
        plain(request, &case.name);
        assert!(
            request.line.starts_with("POST /mcp"),
            "{}: {}",
            case.name,
            request.line
        );
        assert_eq!(request.body, JSON.as_bytes(), "{}", case.name);
        expected += 1;
        if goes_on {
            assert_eq!(
                arrived[expected].line, "GET /smuggled HTTP/1.1",
                "{}",
                case.name
            );
            plain(&arrived[expected], &case.name);
            expected += 1;
        }
    }
    assert_eq!((upstream.arrived().len(), upstream.broken()), (expected, 0));
}

/// That a request means one thing to every reader.
fn plain(request: &Arrived, context: &str) {
    let head = request.head.escape_ascii().to_string();
    let lines = request.head.split(|byte| *byte == b'\n');
    let ends = lines.clone().filter(|line| line.ends_with(b"\r")).count();
    assert_eq!(ends + 1, lines.count(), "{context}: a bare LF in {head}");
    let returns = request.head.iter().filter(|byte| **byte == b'\r').count();
    assert_eq!(returns, ends, "{context}: a bare CR in {head}");
    assert!(request.line.ends_with(" HTTP/1.1") && request.line.split(' ').count() == 3);
    for gone in [
        "transfer-encoding",
        "te",
        "trailer",
        "expect",
        "upgrade",
        "keep-alive",
    ] {
        assert!(request.all(gone).is_empty(), "{context}: {gone} in {head}");
    }
    assert_eq!(request.all("host").len(), 1, "{context}: {head}");
    let length = request.body.len().to_string();
    let lengths = if request.body.is_empty() {
        vec![]
    } else {
        vec![length.as_str()]
    };
    assert_eq!(request.all("content-length"), lengths, "{context}: {head}");
    // Trailers are nobody's fields.
    assert!(request.all("x-sum").is_empty() && request.all("mcp-session-id").is_empty());
    for (name, _) in &request.headers {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert!(
            !name.is_empty() && name.bytes().all(is_token),
            "{context}: {name:?}"
        );
    }
}

//! How children begin and end, and that nothing is left of them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use e2e::Palisade;
use e2e::wire::{Ask, Protocol};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::peers::e2e;

use super::{
    Session, amount, before, below, call, initialize, is_alive, odd, outside, resident, said,
    until, within,
};

/// Every way in which a command can fail to start is a 503 that says so, and the log says why.
// REQ: G-16
#[tokio::test]
async fn a_start_that_fails_is_a_503_with_the_reason() {
    let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
    let table = [
        (
            words("no-such-program-anywhere -x"),
            "",
            "no program no-such-program-anywhere in PATH=",
        ),
        (
            words("/no/such/program"),
            "",
            "there is no program /no/such/program",
        ),
        (
            vec![e2e().join("README.md").display().to_string()],
            "",
            "README.md cannot be executed",
        ),
        (odd(""), "directory = \"nowhere\"", "there is no directory"),
        (
            odd("exits"),
            "",
            "it exited with code 1; it last wrote: no licence key found",
        ),
        (
            odd("garbage"),
            "",
            "writes to standard output what is no message",
        ),
        (odd("endless"), "", "wrote a line of more than"),
        (
            odd("silent"),
            "start_timeout = \"1s\"",
            "no answer to its first message within 1s",
        ),
        (words("/bin/true"), "", "it exited with code 0"),
    ];
    for (command, lines, wanted) in table {
        let palisade = before(&command, lines);
        let answer = palisade
            .client()
            .ask(Protocol::Http1, &initialize("2025-11-25"))
            .await;
        assert_eq!(answer.status, 503, "{wanted}: {}", answer.text());
        assert_eq!(answer.reason().as_deref(), Some("child.start"));
        assert_eq!(answer.json()["id"], "first");
        palisade.wait_for_stderr(wanted);
        assert_eq!(palisade.record_of(&answer)["reason"], "child.start");
        // Not again at once: the command is left alone for a while.
        let again = palisade
            .client()
            .ask(Protocol::Http1, &initialize("2025-11-25"))
            .await;
        assert_eq!(again.status, 503);
        assert!(again.header("retry-after").is_some(), "{wanted}");
        until("the child is gone", || below(palisade.pid()).is_empty()).await;
    }
}

// REQ: G-16
#[tokio::test]
async fn a_command_gets_what_is_named_and_nothing_else() {
    let command = json!(odd(""));
    let palisade = Palisade::builder()
        .config(&format!(
            "[[server]]\nname = \"test\"\ncommand = {command}\nenvironment = [\"NAMED\", \"SET=to this\", \"ABSENT\"]\ndirectory = \".\"\n"
        ))
        .env("NAMED", "passed on")
        .env("A_TOKEN", "secret")
        .start();
    let session = Session::open(&palisade).await;
    let answer = session
        .call(
            &json!(1),
            &json!({ "environment": true, "directory": true }),
        )
        .await;
    let said = said(&answer);
    let mut names: Vec<&str> = said["environment"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    // Python's own.
    names.retain(|name| *name != "LC_CTYPE");
    names.sort_unstable();
    // What tells it of its proxy; `egress.rs` looks into it.
    names.retain(|name| !name.to_ascii_lowercase().ends_with("_proxy"));
    names.retain(|name| *name != "NODE_USE_ENV_PROXY");
    assert_eq!(names, ["HOME", "NAMED", "PATH", "SET"]);
    assert_eq!(said["environment"]["NAMED"], "passed on");
    assert_eq!(said["environment"]["SET"], "to this");
    let directory = fs::canonicalize(palisade.path(".")).unwrap();
    assert_eq!(said["directory"], json!(directory));
}

/// A child that ends in the middle: whoever waits is told, the session is over, a new one works.
// REQ: G-16
#[tokio::test]
async fn a_child_that_is_killed_ends_its_session_alone() {
    let palisade = before(&odd(""), "");
    let one = Session::open(&palisade).await;
    let pid = &said(&one.call(&json!(1), &json!({ "pid": true })).await)["pid"];
    let pid = outside(palisade.pid(), pid);
    let two = Session::open(&palisade).await;
    let slow = one.message(&call(&json!(2), &json!({ "sleep": 30 })));
    let (answer, ()) = tokio::join!(
        async { palisade.client().ask(Protocol::Http1, &slow).await },
        async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            kill(pid, Signal::KILL);
        }
    );
    assert_eq!(
        (answer.status, answer.reason().as_deref()),
        (502, Some("child.ended"))
    );
    assert_eq!(answer.json()["id"], 2);
    assert_eq!(one.call(&json!(3), &json!({})).await.status, 404);
    assert_eq!(two.call(&json!(3), &json!({})).await.status, 200);
    assert_eq!(
        Session::open(&palisade)
            .await
            .call(&json!(1), &json!({}))
            .await
            .status,
        200
    );
    // The same where it ends by itself, with an answer under way as events.
    let answer = two.call(&json!(4), &json!({ "exit": 9 })).await;
    assert_eq!(answer.status, 502);
    palisade.wait_for_stderr("it exited with code 9");
}

/// The session's end is the end of everything below it: what ignores TERM, and what has left the
/// process group for a session of its own.
// REQ: G-16
#[tokio::test]
async fn nothing_is_left_of_a_session() {
    for mode in ["", "stubborn"] {
        let palisade = before(&odd(mode), "");
        let session = Session::open(&palisade).await;
        let answer = session
            .call(&json!(1), &json!({ "leave_behind": true, "pid": true }))
            .await;
        let left: Vec<u32> = ["left", "pid"]
            .map(|name| outside(palisade.pid(), &said(&answer)[name]))
            .into();
        assert!(left.iter().all(|pid| is_alive(*pid)));
        assert_eq!(session.delete().await.status, 200);
        within(Duration::from_secs(6), mode, || {
            below(palisade.pid()).is_empty() && !left.iter().any(|pid| is_alive(*pid))
        })
        .await;
    }
}

// REQ: G-16
#[tokio::test]
async fn children_die_with_the_gateway_however_it_ends() {
    for (mode, signal) in [
        ("", Signal::KILL),
        ("stubborn", Signal::KILL),
        ("", Signal::TERM),
        ("stubborn", Signal::TERM),
    ] {
        let mut palisade = before(&odd(mode), "");
        let session = Session::open(&palisade).await;
        let answer = session
            .call(&json!(1), &json!({ "leave_behind": true }))
            .await;
        let left = outside(palisade.pid(), &said(&answer)["left"]);
        let mut all = below(palisade.pid());
        all.push(left);
        assert!(all.len() >= 3, "{all:?}");
        drop(answer);
        palisade.signal(signal);
        let code = palisade.wait();
        assert_eq!(
            code,
            (signal == Signal::TERM).then_some(0),
            "{}",
            palisade.stderr()
        );
        within(Duration::from_secs(2), mode, || {
            !all.iter().any(|pid| is_alive(*pid))
        })
        .await;
    }
}

/// Whoever kills the process between is no better off.
// REQ: G-16
#[tokio::test]
async fn a_child_dies_with_its_keeper() {
    let palisade = before(&odd("stubborn"), "");
    let session = Session::open(&palisade).await;
    let answer = session.call(&json!(1), &json!({ "pid": true })).await;
    let child = outside(palisade.pid(), &said(&answer)["pid"]);
    let keeper = below(palisade.pid())
        .into_iter()
        .find(|pid| *pid != child)
        .unwrap();
    kill(keeper, Signal::KILL);
    within(Duration::from_secs(2), "the child", || !is_alive(child)).await;
    assert_eq!(session.call(&json!(2), &json!({})).await.status, 404);
}

/// Sessions that begin and end, half of them with a client that vanishes in the middle of a call.
// REQ: G-16
#[tokio::test]
async fn beginnings_and_ends_leave_no_process_no_descriptor_and_no_file() {
    let temporary = tempfile::tempdir().unwrap();
    let command = json!(odd(""));
    let mut palisade = Palisade::builder()
        .config(&format!(
            "[[server]]\nname = \"test\"\ncommand = {command}\nsession_idle = \"1s\""
        ))
        .env("TMPDIR", &temporary.path().display().to_string())
        .start();
    let client = palisade.client();
    let descriptors = || {
        fs::read_dir(format!("/proc/{}/fd", palisade.pid()))
            .unwrap()
            .count()
    };
    drop(Session::open(&palisade).await.delete().await);
    until("the first child", || below(palisade.pid()).is_empty()).await;
    let before = descriptors();
    let names = files(&palisade.path(""));
    for round in 0..amount("CYCLES", 40) {
        let session = Session::open(&palisade).await;
        if round % 2 == 0 {
            assert_eq!(session.call(&json!(1), &json!({})).await.status, 200);
            assert_eq!(session.delete().await.status, 200);
        } else {
            let mut one = client.http1().await;
            one.start(&session.message(&call(&json!(1), &json!({ "sleep": 0.5 }))))
                .await;
            drop(one);
        }
    }
    until("every child", || below(palisade.pid()).is_empty()).await;
    until("every descriptor", || descriptors() <= before).await;
    let own = files(&palisade.path(""));
    assert_eq!(own, names, "in its own directory");
    assert_eq!(
        files(temporary.path()),
        [""; 0],
        "in the directory for temporary files"
    );
    // Nor does the gateway itself leave any.
    palisade.stop();
    assert_eq!(
        files(temporary.path()),
        [""; 0],
        "in the directory for temporary files"
    );
}

/// Everything below a directory, by its path.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            found.push(entry.path().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

// REQ: G-16
#[tokio::test]
async fn pipes_that_close_and_children_that_flood_end_the_session() {
    for mode in ["deaf", "mute"] {
        let palisade = before(&odd(mode), "");
        let session = Session::open(&palisade).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        // That nobody reads any more shows when something is written.
        let status = session.call(&json!(1), &json!({})).await.status;
        assert_eq!(status, if mode == "deaf" { 502 } else { 404 }, "{mode}");
        within(Duration::from_secs(8), mode, || {
            below(palisade.pid()).is_empty()
        })
        .await;
        assert_eq!(
            session.call(&json!(1), &json!({})).await.status,
            404,
            "{mode}"
        );
    }
    // What nobody takes is bounded.
    let palisade = before(&odd("flood"), "");
    let session = Session::open(&palisade).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let resident = resident(palisade.pid());
    assert!(resident < 150_000, "{resident} kB");
    assert_eq!(session.delete().await.status, 200);
    within(Duration::from_secs(8), "flood", || {
        below(palisade.pid()).is_empty()
    })
    .await;
}

// REQ: G-16
#[tokio::test]
async fn a_session_that_nobody_uses_is_ended_and_one_that_is_read_is_not() {
    let palisade = before(&odd(""), "session_idle = \"1s\"");
    let used = Session::open(&palisade).await;
    let processes = below(palisade.pid()).len();
    let left = Session::open(&palisade).await;
    let mut standing = palisade.client().http1().await;
    let listen = used.with(Ask::new("GET", "/mcp").field("accept", "text/event-stream"));
    assert_eq!(standing.open(&listen).await.status, 200);
    until("one child", || below(palisade.pid()).len() == processes).await;
    assert_eq!(left.call(&json!(1), &json!({})).await.status, 404);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(used.call(&json!(1), &json!({})).await.status, 200);
    drop(standing);
    until("no child", || below(palisade.pid()).is_empty()).await;
}

// REQ: G-16
#[tokio::test]
async fn standard_error_is_in_the_log_at_a_bounded_rate() {
    let palisade = before(&odd("talkative"), "");
    drop(Session::open(&palisade).await.delete().await);
    palisade.wait_for_stderr("line 0");
    palisade.wait_for_stderr("left out");
    let lines = palisade.stderr().matches("line ").count();
    assert!((100..200).contains(&lines), "{lines}");
    // A line on standard output that is no message does no harm.
    let palisade = before(&odd("banner"), "");
    assert_eq!(
        Session::open(&palisade)
            .await
            .call(&json!(1), &json!({}))
            .await
            .status,
        200
    );
    palisade.wait_for_stderr("Welcome to odd!");
}

// REQ: G-1, G-16
#[tokio::test]
async fn a_command_line_alone_is_enough() {
    let mut words = vec!["--".to_owned()];
    words.extend(odd(""));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut palisade = Palisade::builder().plain().arguments(&words).start();
    let session = Session::open(&palisade).await;
    assert_eq!(
        said(&session.call(&json!(1), &json!({ "text": "hi" })).await)["text"],
        "hi"
    );
    assert_eq!(palisade.stop(), Some(0));
    assert!(below(palisade.pid()).is_empty());
}

fn kill(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}

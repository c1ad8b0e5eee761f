//! What goes wrong, and what the client and the person behind it are told.

use std::time::Duration;

use e2e::upstream::Step;
use e2e::{Reply, Upstream};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value as Json, json};

use crate::peers::url;
use crate::stdio::{before, call, odd};

use super::{Connect, initialize};

fn reason(answer: &Json) -> (&str, &str) {
    let reason = answer["error"]["data"]["reason"].as_str();
    let message = answer["error"]["message"].as_str();
    (reason.unwrap_or_default(), message.unwrap_or_default())
}

const CHALLENGE: &str = r#"Bearer error="invalid_token", scope="files:read", resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp""#;

/// A server that wants this token.
fn guarded(token: &'static str) -> Upstream {
    Upstream::answering(move |request| {
        if request.header("authorization") == Some(&format!("Bearer {token}")) {
            Reply::result(request, &json!({ "protocolVersion": "2025-11-25" }))
        } else {
            Reply::new(401, &[("WWW-Authenticate", CHALLENGE)], "")
        }
    })
}

// REQ: U-2
#[tokio::test]
async fn a_401_says_what_is_wanted_and_where_it_is_had() {
    let upstream = guarded("right");
    let url = format!("{}/mcp", upstream.url());
    for (environment, said) in [
        (&[][..], "wants a token"),
        (&[("PALISADE_TOKEN", "")], "wants a token"),
        (&[("PALISADE_TOKEN", "wrong")], "does not accept the token"),
    ] {
        let mut connect = Connect::with(&[&url], environment);
        let answer = connect.ask(&initialize("2025-11-25"));
        let (reason, message) = reason(&answer);
        assert_eq!(reason, "connect.unauthorized");
        assert_eq!(answer["error"]["code"], 401);
        for part in [
            said,
            "invalid_token",
            "`files:read`",
            "https://mcp.example.com/.well-known/oauth-protected-resource/mcp",
            "--token-file",
            "PALISADE_TOKEN",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
        let ended = connect.end();
        assert_eq!(ended.code, Some(0));
        assert!(ended.stderr.contains("PALISADE_TOKEN"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("wrong"), "{}", ended.stderr);
    }
}

// REQ: U-2
#[tokio::test]
async fn a_token_comes_from_the_environment_or_a_file_and_may_change() {
    let upstream = guarded("right");
    let url = format!("{}/mcp", upstream.url());
    let mut connect = Connect::with(&[&url], &[("PALISADE_TOKEN", "right")]);
    assert!(
        connect
            .ask(&initialize("2025-11-25"))
            .get("result")
            .is_some()
    );
    assert_eq!(connect.end().code, Some(0));
    // Its file holds another by the time that the server does not take it any more.
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("token");
    std::fs::write(&file, "old\n").unwrap();
    let name = file.display().to_string();
    for (arguments, environment) in [
        (vec![url.as_str(), "--token-file", &name], vec![]),
        (
            vec![url.as_str()],
            vec![("PALISADE_TOKEN_FILE", name.as_str())],
        ),
    ] {
        std::fs::write(&file, "old\n").unwrap();
        let mut connect = Connect::with(&arguments, &environment);
        assert_eq!(
            reason(&connect.ask(&initialize("2025-11-25"))).0,
            "connect.unauthorized"
        );
        std::fs::write(&file, "right\n").unwrap();
        assert!(
            connect
                .ask(&initialize("2025-11-25"))
                .get("result")
                .is_some()
        );
        let ended = connect.end();
        assert_eq!(ended.code, Some(0));
        assert!(ended.stderr.contains("chmod 600"), "{}", ended.stderr);
    }
}

/// There is no switch: who is not trusted is not spoken to.
// REQ: U-2
#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_ends_it() {
    let palisade = before(&odd(""), "");
    let url = url(&palisade, "/mcp");
    let other = tempfile::tempdir().unwrap();
    let stranger = other.path().join("stranger.pem");
    std::fs::write(&stranger, stranger_pem()).unwrap();
    let stranger = stranger.display().to_string();
    for arguments in [vec![url.as_str(), "--ca", &stranger], vec![url.as_str()]] {
        // Where a machine has no authorities at all, the second ends before it begins.
        let roots = [("SSL_CERT_FILE", stranger.as_str())];
        let mut connect = Connect::with(&arguments, &roots);
        let answer = connect.ask(&initialize("2025-11-25"));
        let (reason, message) = reason(&answer);
        assert_eq!(reason, "connect.untrusted", "{message}");
        assert!(message.contains("--ca FILE"), "{message}");
        let ended = connect.end();
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    }
    assert!(
        palisade
            .audit_where(0, |record| record["method"].is_string())
            .is_empty()
    );
    // The right authority, but a name that the certificate does not have.
    let mut connect = Connect::to(&url.replace("localhost", "other.localhost"));
    let answer = connect.ask(&initialize("2025-11-25"));
    assert_ne!(reason(&answer).0, "", "{answer}");
}

fn stranger_pem() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.self_signed(&key).unwrap().pem()
}

// REQ: U-2
#[tokio::test]
async fn a_server_that_is_down_is_named_and_the_exit_code_says_so() {
    let nobody = Upstream::nobody();
    let mut connect = Connect::with(&[&format!("http://{nobody}/mcp")], &[]);
    let answer = connect.ask(&initialize("2025-11-25"));
    let (reason, message) = reason(&answer);
    assert_eq!(reason, "connect.unreached");
    assert!(message.contains(&nobody.to_string()), "{message}");
    assert!(message.contains("start the server"), "{message}");
    let ended = connect.end();
    assert_eq!(ended.code, Some(3));
    assert!(
        ended.stderr.contains("cannot be reached"),
        "{}",
        ended.stderr
    );
}

// REQ: U-2, T-5
#[tokio::test]
async fn what_cannot_be_used_ends_it_before_it_begins() {
    for (arguments, environment, said) in [
        (&["http://mcp.example.com/mcp"][..], &[][..], "write https"),
        (&["ftp://127.0.0.1/"], &[], "neither https nor http"),
        (&["https://user:pass@127.0.0.1/mcp"], &[], "--token-file"),
        (
            &["http://mcp.example.com/mcp", "--i-accept-plaintext"],
            &[("PALISADE_TOKEN", "secret")],
            "could read the token",
        ),
        (
            &["https://127.0.0.1/mcp", "--ca", "missing.pem"],
            &[],
            "--ca",
        ),
        (
            &["https://127.0.0.1/mcp", "--token-file", "missing"],
            &[],
            "--token-file",
        ),
        (
            &["https://127.0.0.1/mcp"],
            &[("PALISADE_TOKEN", "a b")],
            "PALISADE_TOKEN",
        ),
        (
            &["https://127.0.0.1/mcp", "--insecure"],
            &[],
            "unexpected argument",
        ),
    ] {
        let ended = Connect::with(arguments, environment).wait();
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(said),
            "{arguments:?}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
        assert!(ended.rest.is_empty());
    }
}

/// Neither what the client says nor what the server says breaks the rule: a line is a message.
// REQ: U-2
#[tokio::test]
async fn what_is_no_message_goes_nowhere() {
    let upstream = Upstream::answering(|request| {
        let id = &request.json()["id"];
        let events = [
            "data: Welcome!\n\n".to_owned(),
            ": comment\nevent: other\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n".to_owned(),
            "data: {\"jsonrpc\":\"2.0\",\"id\":99,\"result\":{}}\n\n".to_owned(),
            "data: 7\n\n".to_owned(),
            format!(
                "data: {{\"jsonrpc\":\"2.0\",\ndata: \"id\":{id},\ndata: \"result\":{{}}}}\n\n"
            ),
        ];
        let events: Vec<_> = events
            .iter()
            .map(|event| (Duration::ZERO, event.as_str()))
            .collect();
        Reply::events(&events)
    });
    let mut connect = Connect::with(&[&format!("{}/mcp", upstream.url())], &[]);
    connect.send_text("");
    connect.send_text("hello?");
    let answer = connect.next();
    assert_eq!(
        (&answer["error"]["code"], &answer["id"]),
        (&json!(-32700), &Json::Null)
    );
    connect.send_text("{\"jsonrpc\":\"2.0\"}");
    assert_eq!(connect.next()["error"]["code"], -32600);
    // Longer than a message may be; what follows it is understood.
    connect.send_text(&format!("\"{}\"", "x".repeat(17 << 20)));
    let answer = connect.next();
    assert_eq!(reason(&answer).0, "connect.too_large");
    let ping = json!({ "jsonrpc": "2.0", "id": 1, "method": "ping" });
    connect.send(&ping);
    assert_eq!(
        connect.next(),
        json!({ "jsonrpc": "2.0", "id": 1, "result": {} })
    );
    // Its id is free again.
    connect.ask(&ping);
    let ended = connect.end();
    assert_eq!(
        (ended.code, ended.rest.len()),
        (Some(0), 0),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("no message"), "{}", ended.stderr);
}

/// Every other way in which an answer fails to come is an error with its reason.
// REQ: U-2
#[tokio::test]
async fn an_answer_that_does_not_come_is_an_error() {
    let json_error = json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32020, "message": "HeaderMismatch" } });
    for (reply, wanted) in [
        (Reply::status(404), "connect.no_endpoint"),
        (Reply::status(405), "connect.no_endpoint"),
        (Reply::status(413), "connect.too_large"),
        (Reply::new(503, &[("Retry-After", "9")], ""), "connect.busy"),
        (
            Reply::new(307, &[("Location", "http://127.0.0.1:1/other")], ""),
            "connect.redirect",
        ),
        (Reply::status(500), "connect.refused"),
        (Reply::status(403), "connect.forbidden"),
        (Reply::status(202), "connect.no_answer"),
        (
            Reply::new(200, &[("Content-Type", "text/html")], "<html>"),
            "connect.no_answer",
        ),
        (
            Reply::json(&json!({ "jsonrpc": "2.0", "id": "other", "result": {} })),
            "connect.no_answer",
        ),
        (Reply::events(&[]), "connect.lost"),
        (
            Reply::events(&[(Duration::ZERO, "id: 1\ndata:\n\n")]),
            "connect.lost",
        ),
        (Reply::close(), "connect.lost"),
        (Reply::reset(), "connect.lost"),
        (Reply::garbage(), "connect.lost"),
        // The server's own words pass, for a client may know them.
        (
            Reply::new(
                400,
                &[("Content-Type", "application/json")],
                json_error.to_string(),
            ),
            "",
        ),
    ] {
        let upstream = Upstream::always(reply.clone());
        let mut connect = Connect::with(&[&format!("{}/mcp", upstream.url())], &[]);
        let answer = connect.ask(&initialize("2025-11-25"));
        assert_eq!(reason(&answer).0, wanted, "{answer}");
        if wanted.is_empty() {
            assert_eq!(answer["error"], json_error["error"]);
        }
        let ended = connect.end();
        assert_eq!(ended.rest.len(), 0);
        // What never gave an answer of HTTP counts as not reached.
        let is_broken = matches!(reply.0.first(), Some(Step::Close | Step::Reset));
        let code = if is_broken || reply == Reply::garbage() {
            3
        } else {
            0
        };
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        // It went out once.
        assert_eq!(upstream.arrived().len(), 1, "{wanted}");
    }
}

// REQ: U-2
#[tokio::test]
async fn a_signal_ends_it_and_the_session() {
    let palisade = before(&odd(""), "");
    let mut connect = Connect::to(&url(&palisade, "/mcp"));
    connect.open();
    connect.send(&call(&json!(1), &json!({ "sleep": 600, "progress": 1 })));
    // It is under way.
    assert_eq!(connect.next()["method"], "notifications/progress");
    let pid = Pid::from_raw(i32::try_from(connect.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let ended = connect.wait();
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert_eq!(reason(&ended.rest[0]).0, "connect.ended");
    palisade.wait_for_stderr("its session is over");
}

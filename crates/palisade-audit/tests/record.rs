//! Lines as they are written: golden ones, and whatever a hostile peer makes of them.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use palisade_audit::{
    ARGS_MAX, Actor, Bytes, Config, Encoder, Fingerprint, Log, Outcome, Phase, Record, SinkConfig,
};
use proptest::prelude::*;
use serde_json::Value;

fn time() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_793_404_800_042)
}

fn line(record: &Record<'_>) -> String {
    let mut out = Vec::new();
    record.encode(&mut Encoder::default(), &mut out);
    String::from_utf8(out).unwrap()
}

fn value(record: &Record<'_>) -> Value {
    let line = line(record);
    assert_eq!(line.find('\n'), Some(line.len() - 1), "one line");
    serde_json::from_str(&line).unwrap()
}

// REQ: L-1
#[test]
fn a_call_with_everything() {
    let mut record = Record::new(time(), "req-1");
    record.phase = Some(Phase::Outcome);
    record.actor = Actor {
        id: Some("alice@example.com"),
        ip: Some("203.0.113.7".parse().unwrap()),
    };
    record.tool = Some("add");
    record.args = Some(br#"{"a": 1.50, "password": "hunter2"}"#);
    record.outcome = Some(Outcome::Error);
    record.error = Some("no such file");
    record.duration = Some(Duration::from_micros(12_999));
    record.server_version = Some("1.4.2");
    record.gateway_version = Some("0.1.0");
    record.session = Some(Fingerprint::of(b"abc"));
    record.server = Some("files");
    record.method = Some("tools/call");
    record.rpc_id = Some(b"\"a-7\"");
    record.resource = Some("file:///notes");
    record.prompt = Some("summary");
    record.revision = Some("2025-11-25");
    record.auth_method = Some("bearer");
    record.trace_id = Some("4bf92f3577b34da6a3ce929d0e0e4736");
    record.bytes = Some(Bytes {
        request: 395,
        response: 598,
    });
    record.status = Some(200);
    record.reason = Some("rate.caller");
    record.reported = &["host.not_allowed", "origin.not_allowed"];
    record.count = Some(7);
    assert_eq!(
        line(&record),
        concat!(
            r#"{"timestamp":"2026-10-31T00:00:00.042Z","requestId":"req-1","phase":"outcome","#,
            r#""actor":{"id":"alice@example.com","ip":"203.0.113.7"},"tool":"add","#,
            r#""args":{"a": 1.50, "password": "[REDACTED]"},"outcome":"error","error":"no such file","#,
            r#""durationMs":12,"serverVersion":"1.4.2","gatewayVersion":"0.1.0","session":"ba7816bf","#,
            r#""server":"files","method":"tools/call","rpcId":"a-7","resource":"file:///notes","prompt":"summary","revision":"2025-11-25","authMethod":"bearer","#,
            r#""traceId":"4bf92f3577b34da6a3ce929d0e0e4736","bytes":{"request":395,"response":598},"#,
            r#""status":200,"reason":"rate.caller","reported":["host.not_allowed","origin.not_allowed"],"count":7}"#,
            "\n"
        )
    );
}

// REQ: L-1
#[test]
fn the_least_that_can_be_known() {
    assert_eq!(
        line(&Record::new(time(), "r")),
        concat!(
            r#"{"timestamp":"2026-10-31T00:00:00.042Z","requestId":"r","actor":{"id":"anonymous","ip":"unknown"},"#,
            r#""tool":null,"args":null,"outcome":null,"error":null,"durationMs":null,"serverVersion":"unknown"}"#,
            "\n"
        )
    );
}

// REQ: L-1
#[test]
fn words_for_outcomes_and_phases() {
    for (outcome, word) in [
        (Outcome::Ok, "ok"),
        (Outcome::Error, "error"),
        (Outcome::Denied, "denied"),
        (Outcome::InputRequired, "input_required"),
        (Outcome::Cancelled, "cancelled"),
        (Outcome::Detached, "detached"),
        (Outcome::Timeout, "timeout"),
        (Outcome::UpstreamUnreachable, "upstream_unreachable"),
    ] {
        let mut record = Record::new(time(), "r");
        record.outcome = Some(outcome);
        assert_eq!(value(&record)["outcome"], word);
    }
    for (phase, word) in [
        (Phase::Intent, "intent"),
        (Phase::Outcome, "outcome"),
        (Phase::Open, "open"),
        (Phase::Close, "close"),
    ] {
        let mut record = Record::new(time(), "r");
        record.phase = Some(phase);
        assert_eq!(value(&record)["phase"], word);
    }
}

// REQ: L-1, L-2
#[test]
fn bounds() {
    let long = "é ".repeat(100_000);
    let mut record = Record::new(time(), &long);
    record.actor.id = Some(&long);
    record.actor.ip = Some("::ffff:192.0.2.1".parse().unwrap());
    record.tool = Some(&long);
    record.error = Some(&long);
    record.server = Some(&long);
    record.reported = &["a.b"; 40];
    let shown = value(&record);
    assert_eq!(shown["error"].as_str().unwrap().chars().count(), 500);
    assert!(shown["requestId"].as_str().unwrap().len() <= 128);
    assert_eq!(shown["actor"]["ip"], "::ffff:192.0.2.1");
    assert_eq!(shown["reported"].as_array().unwrap().len(), 16);
    assert!(shown.to_string().len() < 4_000);
    // A token across a cut does not show its beginning.
    let token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
    let text = format!("{} {token}", "x".repeat(480));
    record.error = Some(&text);
    let tool = format!("{} {token}", "x".repeat(240));
    record.tool = Some(&tool);
    assert!(!value(&record).to_string().contains("ghp_"));

    let most = format!("\"{}\"", "a ".repeat(ARGS_MAX / 2 - 1));
    record.args = Some(most.as_bytes());
    assert_eq!(value(&record)["args"].as_str().unwrap().len(), ARGS_MAX - 2);
    let more = format!("{most} ");
    record.args = Some(more.as_bytes());
    let omitted = &value(&record)["args"];
    assert_eq!(omitted["omitted"], true);
    assert_eq!(omitted["bytes"], ARGS_MAX as u64 + 1);
    assert_eq!(omitted["sha256"].as_str().unwrap().len(), 64);
}

// REQ: L-2
#[test]
fn a_token_is_written_nowhere() {
    let token = "ghp_abcdefghijklmnopqrstuvwxyz0123456789";
    let args = format!(r#"["{token}"]"#);
    let mut record = Record::new(time(), token);
    record.actor.id = Some(token);
    record.tool = Some(token);
    record.args = Some(args.as_bytes());
    record.error = Some(token);
    record.method = Some(token);
    record.revision = Some(token);
    record.trace_id = Some(token);
    record.server_version = Some(token);
    assert!(!line(&record).contains("ghp_"));
    assert_eq!(
        line(&record).matches("[REDACTED:sha256:03aafb02]").count(),
        9
    );
}

proptest! {
    /// What an encoder remembers of earlier records shows in no later one.
    // REQ: L-1, L-2
    #[test]
    fn each_record_stands_alone(
        records in prop::collection::vec(
            (
                prop::collection::vec(
                    prop::option::of(prop_oneof![
                        "[ab]{0,2}",
                        "a@b[.]co|tools/call|search_documents|0[0-9a-f]{31}|4111111111111111",
                        "ghp_[0-9]{16}|Bearer [a-z]{20}",
                        "\"|\\\\|é|\u{1b}|a{300}",
                    ]),
                    9,
                ),
                prop::option::of(prop_oneof![Just("192.0.2.1"), Just("192.0.2.2"), Just("2001:db8::1")]),
                0..3_u64,
            ),
            0..20,
        ),
    ) {
        let mut encoder = Encoder::default();
        for (texts, ip, seconds) in &records {
            let text = |at: usize| texts[at].as_deref();
            // Of our own configuration and code, where no token stands.
            let own = |at: usize| text(at).filter(|text| !text.starts_with("ghp_"));
            let mut record = Record::new(time() + Duration::from_secs(*seconds), text(0).unwrap_or("r"));
            record.actor = Actor { id: text(1), ip: ip.map(|ip| ip.parse().unwrap()) };
            record.tool = text(2);
            record.server_version = text(3);
            record.gateway_version = own(4);
            record.server = own(5);
            record.method = text(6);
            record.revision = text(7);
            record.auth_method = own(8);
            record.duration = Some(Duration::from_millis(seconds * 5_000));
            let mut out = Vec::new();
            record.encode(&mut encoder, &mut out);
            let alone = line(&record);
            prop_assert_eq!(std::str::from_utf8(&out).unwrap(), alone.as_str());
            prop_assert!(!alone.contains("ghp_"));
        }
    }

    // REQ: L-1
    #[test]
    fn always_one_line_of_json(
        text in any::<String>(),
        other in "[\u{0}-\u{1f}\"\\\\\u{7f}-\u{9f}\u{2028}\u{2029}\u{202a}-\u{202e}\u{2066}-\u{2069}a]*",
        args in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
        seconds in any::<u32>(),
    ) {
        let mut record = Record::new(UNIX_EPOCH + Duration::from_secs(seconds.into()) * 100, &text);
        record.actor.id = Some(&other);
        record.tool = Some(&text);
        record.args = args.as_deref();
        record.error = Some(&other);
        record.server_version = Some(&text);
        record.server = Some(&other);
        record.method = Some(&other);
        record.revision = Some(&text);
        record.auth_method = Some(&text);
        record.trace_id = Some(&other);
        record.reason = Some(&text);
        let reported = [text.as_str(), other.as_str()];
        record.reported = &reported;
        let line = line(&record);
        prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
        prop_assert!(serde_json::from_str::<Value>(&line).is_ok());
        let raw = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        prop_assert!(!line.contains(raw));
    }
}

/// The child of the test below: writes to its own standard output.
#[test]
fn child_writes_to_stdout() {
    let Some(count) =
        std::env::args().find_map(|word| word.strip_prefix("count=")?.parse::<u64>().ok())
    else {
        return;
    };
    let log = Log::open(Config::new(SinkConfig::Stdout)).unwrap();
    let handle = log.handle();
    for id in 0..count {
        handle
            .append(&Record::new(time(), &id.to_string()))
            .unwrap();
    }
    log.close(Duration::from_secs(60)).unwrap();
}

// REQ: L-1, L-3
#[test]
fn standard_output_gets_every_line() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        // The last word filters no test; it is for the child.
        .args([
            "--exact",
            "--nocapture",
            "child_writes_to_stdout",
            "count=5000",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let found = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap)
        // The harness prints some words of its own, the first right before our first line.
        .filter_map(|line| serde_json::from_str::<Value>(&line[line.find('{')?..]).ok())
        .filter(|line| line["requestId"].is_string())
        .count();
    assert!(child.wait().unwrap().success());
    assert_eq!(found, 5_000);
}

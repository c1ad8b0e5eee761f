//! The answers, held against ones that are computed in another way.

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::Path;

use serde_json::Value;

use super::*;

fn time(second: i64) -> String {
    let day = second / 86_400;
    let rest = second % 86_400;
    format!(
        "2026-11-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        day + 1,
        rest / 3600,
        rest / 60 % 60,
        rest % 60,
        second % 1000
    )
}

/// Lines in which everything occurs, not quite in order.
fn lines(count: i64) -> Vec<String> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: u64| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) % below
    };
    let mut lines = Vec::new();
    for at in 0..count {
        let second = at * 2 + random(30) as i64;
        let actor = ["alice", "bob", "c\"arol", "dave\u{e9}"][random(4).min(random(4)) as usize];
        let tool = ["read_note", "delete_note", "search", "drop_table", "slow"][random(5) as usize];
        let outcome =
            ["ok", "ok", "ok", "ok", "ok", "error", "timeout", "denied"][random(8) as usize];
        let mut value = serde_json::json!({"timestamp": time(second), "requestId": format!("r{at}"), "actor": {"id": actor, "ip": "127.0.0.1"},
            "tool": tool, "args": {"tool": "x", "outcome": "error", "q": "\"}{"}, "outcome": outcome, "error": null, "durationMs": at});
        if random(10) == 0 {
            value["phase"] = "intent".into();
            value["outcome"] = Value::Null;
            lines.push(value.to_string());
            if random(5) > 0 {
                value["phase"] = "outcome".into();
                value["outcome"] = outcome.into();
                lines.push(value.to_string());
            }
        } else {
            lines.push(value.to_string());
        }
        if random(50) == 0 {
            lines.push(String::from("{broken"));
            lines.push(
                serde_json::json!({"timestamp": time(second), "event": "gap", "dropped": 1})
                    .to_string(),
            );
        }
    }
    lines
}

fn questions() -> Questions {
    Questions {
        range: Some(
            parse_time(b"2026-11-01T00:10:00Z").unwrap()
                ..parse_time(b"2026-11-01T01:20:00Z").unwrap(),
        ),
        destructive: Some(Destructive::default()),
        frequent: Some(Frequent {
            over: 300,
            per: 1_800_000,
        }),
        errors: Some(0.2),
        around: Some(
            parse_time(b"2026-11-01T00:20:00Z").unwrap()
                ..parse_time(b"2026-11-01T00:21:00Z").unwrap(),
        ),
        limit: 0,
    }
}

fn check(answers: &Answers, lines: &[String]) {
    let questions = questions();
    let range = questions.range.unwrap();
    let records: Vec<Value> = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let when =
        |record: &Value| parse_time(record["timestamp"].as_str().unwrap().as_bytes()).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let calls: Vec<&Value> = records
        .iter()
        .filter(|record| {
            record["tool"].is_string()
                && record["phase"] != "intent"
                && range.contains(&when(record))
        })
        .collect();
    assert_eq!(answers.lines, lines.len() as u64);
    assert_eq!(answers.unreadable, (lines.len() - records.len()) as u64);
    assert_eq!(answers.calls, calls.len() as u64);
    let is_destructive = |record: &Value| {
        ["delete_note", "drop_table"].contains(&record["tool"].as_str().unwrap_or_default())
    };
    let mut expected: BTreeMap<String, String> = calls
        .iter()
        .filter(|call| is_destructive(call))
        .map(|call| (text(&call["requestId"]), text(&call["outcome"])))
        .collect();
    for intent in records.iter().filter(|record| {
        record["phase"] == "intent" && is_destructive(record) && range.contains(&when(record))
    }) {
        expected
            .entry(text(&intent["requestId"]))
            .or_insert_with(|| "unknown".to_owned());
    }
    let found: BTreeMap<String, String> = answers
        .destructive
        .iter()
        .map(|call| (call.request_id.clone(), call.outcome.clone()))
        .collect();
    assert!(found.values().any(|outcome| outcome == "unknown"));
    assert_eq!(found, expected);
    assert_eq!(answers.destructive_total, expected.len() as u64);
    assert!(answers.destructive.is_sorted_by_key(|call| call.time));

    // Every span that begins with a call, counted one by one.
    let mut actors: HashMap<String, Vec<i64>> = HashMap::new();
    for call in &calls {
        actors
            .entry(text(&call["actor"]["id"]))
            .or_default()
            .push(when(call));
    }
    let mut expected: Vec<(String, usize)> = actors
        .iter()
        .map(|(actor, times)| {
            let most = times
                .iter()
                .map(|from| {
                    times
                        .iter()
                        .filter(|time| (*from..from + 1_800_000).contains(time))
                        .count()
                })
                .max()
                .unwrap();
            (actor.clone(), most)
        })
        .filter(|(_, most)| *most > 300)
        .collect();
    expected.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    assert!(!expected.is_empty() && expected.len() < 4, "{expected:?}");
    let found: Vec<_> = answers
        .frequent
        .iter()
        .map(|actor| (actor.actor.clone(), actor.most))
        .collect();
    assert_eq!(found, expected);

    let mut tools: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for call in &calls {
        let sum = tools.entry(text(&call["tool"])).or_default();
        sum.0 += 1;
        sum.1 += u64::from(["error", "timeout"].contains(&call["outcome"].as_str().unwrap()));
    }
    let expected: BTreeMap<_, _> = tools
        .into_iter()
        .filter(|(_, (calls, errors))| *errors as f64 / *calls as f64 > 0.2)
        .collect();
    let found: BTreeMap<_, _> = answers
        .errors
        .iter()
        .map(|tool| (tool.tool.clone(), (tool.calls, tool.errors)))
        .collect();
    assert_eq!(found, expected);
    assert!(!found.is_empty());

    let around = questions.around.unwrap();
    let expected = records
        .iter()
        .filter(|record| around.contains(&when(record)))
        .count();
    assert_eq!(answers.around.len(), expected);
    assert!(expected > 5);
}

fn write(path: &Path, lines: &[String]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let bytes = match path.extension().and_then(|name| name.to_str()) {
        Some("gz") => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        }
        Some("zst") => zstd::stream::encode_all(text.as_bytes(), 1).unwrap(),
        _ => text.into_bytes(),
    };
    std::fs::write(path, bytes).unwrap();
}

// REQ: L-5
#[test]
fn answers_are_those_of_another_computation() {
    let place = tempfile::tempdir().unwrap();
    let lines = lines(3_000);
    let path = |name: &str| place.path().join(name).to_str().unwrap().to_owned();
    write(Path::new(&path("all.ndjson")), &lines);
    let read = std::sync::atomic::AtomicU64::new(0);
    let all = sources(&[path("all.ndjson")]).unwrap();
    let answers = ask(&all, &questions(), &|bytes| {
        read.store(bytes, std::sync::atomic::Ordering::Relaxed)
    })
    .unwrap();
    check(&answers, &lines);
    assert_eq!(read.into_inner(), all[0].size());

    // In three files of three kinds, in no order, by a pattern; the last line without its line feed.
    write(Path::new(&path("part-1.ndjson.gz")), &lines[..1_000]);
    write(Path::new(&path("part-0.ndjson.zst")), &lines[1_000..2_000]);
    write(Path::new(&path("part-2.ndjson")), &lines[2_000..]);
    let last = std::fs::read(path("part-2.ndjson")).unwrap();
    std::fs::write(path("part-2.ndjson"), &last[..last.len() - 1]).unwrap();
    let parts = sources(&[path("part-*"), path("part-2.ndjson")]).unwrap();
    assert_eq!(parts.len(), 3);
    check(&ask(&parts, &questions(), &|_| ()).unwrap(), &lines);

    assert!(matches!(
        sources(&[path("none-*")]),
        Err(InputError::NoMatch { .. })
    ));
    assert!(matches!(
        sources(&[path("none")]),
        Err(InputError::Io { .. })
    ));
    // Cut off: an error, no half of an answer.
    let half = std::fs::read(path("part-1.ndjson.gz")).unwrap();
    std::fs::write(path("half.gz"), &half[..half.len() / 2]).unwrap();
    assert!(ask(&sources(&[path("half.gz")]).unwrap(), &questions(), &|_| ()).is_err());
}

// REQ: L-5
#[test]
fn lists_are_bounded() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("log");
    let lines: Vec<_> = (0..50)
        .map(|at| {
            format!(
                r#"{{"timestamp":"{}","requestId":"r{at:02}","tool":"delete_x","outcome":"ok"}}"#,
                time(at)
            )
        })
        .collect();
    write(&path, &lines);
    let questions = Questions {
        destructive: Some(Destructive::default()),
        limit: 10,
        ..Questions::default()
    };
    let answers = ask(
        &sources(&[path.to_str().unwrap().to_owned()]).unwrap(),
        &questions,
        &|_| (),
    )
    .unwrap();
    assert_eq!(answers.destructive_total, 50);
    let ids: Vec<_> = answers
        .destructive
        .iter()
        .map(|call| call.request_id.as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "r40", "r41", "r42", "r43", "r44", "r45", "r46", "r47", "r48", "r49"
        ]
    );
}

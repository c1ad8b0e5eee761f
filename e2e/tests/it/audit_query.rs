//! `palisade audit` over files, held against other computations: those of `DuckDB`, of Python's `json`.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use e2e::palisade::binary;
use serde_json::Value;

fn palisade(place: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(binary())
        .args(arguments)
        .current_dir(place)
        .env("NO_COLOR", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    (
        output.status.code(),
        String::from_utf8(output.stdout.clone()).unwrap(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

fn log(lines: u32) -> String {
    let mut log = String::new();
    for at in 0..lines {
        let second = at * 3 + at % 7;
        let actor = ["alice", "alice", "bob", "carol"][(at % 4) as usize];
        let tool = ["read_note", "delete_note", "search", "slow", "search"][(at % 5) as usize];
        let outcome = if tool == "slow" && at % 3 == 0 {
            "error"
        } else {
            "ok"
        };
        log.push_str(&format!(
            "{{\"timestamp\":\"2026-11-20T{:02}:{:02}:{:02}.{:03}Z\",\"requestId\":\"r{at:05}\",\"actor\":{{\"id\":\"{actor}\",\"ip\":\"127.0.0.1\"}},\"tool\":\"{tool}\",\"args\":{{\"tool\":\"x\",\"outcome\":\"error\"}},\"outcome\":\"{outcome}\",\"error\":null,\"durationMs\":{at},\"serverVersion\":\"1\"}}\n",
            second / 3600, second / 60 % 60, second % 60, at % 1000
        ));
    }
    log
}

// REQ: L-5
#[test]
fn answers_are_duckdbs() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("audit.ndjson"), log(4_000)).unwrap();
    let python = crate::peers::python("venv");
    let recipe =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/audit.md")).unwrap();
    // The page's own SQL, block by block.
    let blocks: Vec<&str> = recipe
        .split("```sql\n")
        .skip(1)
        .map(|block| block.split("```").next().unwrap())
        .collect();
    assert_eq!(blocks.len(), 4, "a view and three questions");
    let script = "import duckdb, json, sys\nconnection = duckdb.connect()\nconnection.execute('SET threads = 2')\nblocks = json.load(sys.stdin)\nconnection.execute(blocks[0])\nprint(json.dumps([connection.execute(block).fetchall() for block in blocks[1:]], default=str))\n";
    let mut child = Command::new(python)
        .args(["-c", script])
        .current_dir(place.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(serde_json::to_string(&blocks).unwrap().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let theirs: Value = serde_json::from_slice(&output.stdout).unwrap();

    let ours = palisade(
        place.path(),
        &[
            "audit",
            "query",
            "review",
            "audit.ndjson",
            "--since",
            "2026-11-20T00:30:00Z",
            "--over-calls",
            "500",
            "--format",
            "json",
        ],
        b"",
    );
    let (code, stdout, stderr) = said(&ours);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let ours: Value = serde_json::from_str(&stdout).unwrap();
    let rows = |value: &Value, columns: &[&str]| -> Vec<Vec<String>> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                columns
                    .iter()
                    .map(|name| {
                        row[name]
                            .as_str()
                            .map_or_else(|| row[name].to_string(), str::to_owned)
                    })
                    .collect()
            })
            .collect()
    };
    let their_rows = |value: &Value| -> Vec<Vec<String>> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                row.as_array()
                    .unwrap()
                    .iter()
                    .map(|cell| {
                        cell.as_str()
                            .map_or_else(|| cell.to_string(), str::to_owned)
                    })
                    .collect()
            })
            .collect()
    };
    let destructive = rows(
        &ours["destructive"],
        &["requestId", "actor", "tool", "outcome"],
    );
    assert!(destructive.len() > 500);
    assert_eq!(destructive, their_rows(&theirs[0]));
    let frequent = rows(&ours["frequent"], &["actor", "most"]);
    assert!(!frequent.is_empty() && frequent.len() < 3, "{frequent:?}");
    assert_eq!(frequent, their_rows(&theirs[1]));
    let errors = rows(&ours["errors"], &["tool", "calls", "errors"]);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors, their_rows(&theirs[2]));
}

// REQ: L-5, L-6
#[test]
fn formats_and_around() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("a.ndjson"), log(40)).unwrap();
    let csv = palisade(
        place.path(),
        &[
            "audit", "query", "errors", "*.ndjson", "--over", "0.1", "--format", "csv",
        ],
        b"",
    );
    assert_eq!(
        said(&csv),
        (
            Some(0),
            "tool,calls,errors,percent\r\nslow,8,3,37.5\r\n".to_owned(),
            String::new()
        )
    );
    let text = palisade(
        place.path(),
        &["audit", "query", "errors", "-", "--over", "10%"],
        log(40).as_bytes(),
    );
    assert_eq!(
        said(&text).1,
        "tool  calls  errors  percent\nslow  8      3       37.5\n"
    );
    let around = palisade(
        place.path(),
        &[
            "audit",
            "around",
            "2026-11-20T00:01:00Z",
            "a.ndjson",
            "--before",
            "10s",
            "--after",
            "5s",
            "--format",
            "json",
        ],
        b"",
    );
    let rows: Value = serde_json::from_slice(&around.stdout).unwrap();
    let times: Vec<&str> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["timestamp"].as_str().unwrap())
        .collect();
    assert!(times.len() >= 4 && times.is_sorted(), "{times:?}");
    assert!(
        times
            .iter()
            .all(|time| ("2026-11-20T00:00:50".."2026-11-20T00:01:05.001").contains(time)),
        "{times:?}"
    );
    for (arguments, code, words) in [
        (
            &["audit", "query", "errors", "none.ndjson"][..],
            3,
            "none.ndjson",
        ),
        (
            &["audit", "query", "errors", "none-*"],
            3,
            "no file matches",
        ),
        (
            &["audit", "query", "errors", "a.ndjson", "--over", "x"],
            2,
            "write 5%",
        ),
        (
            &["audit", "query", "errors", "a.ndjson", "--since", "soon"],
            2,
            "24h",
        ),
        (
            &["audit", "query", "frequent", "a.ndjson", "--per", "hour"],
            2,
            "1h",
        ),
        (&["audit", "around", "noon", "a.ndjson"], 2, "2026-11-21"),
        (&["audit", "verify", "none.ndjson"], 3, "none.ndjson"),
        (
            &["audit", "verify", "a.ndjson", "--key", "ed25519:x"],
            2,
            "public key",
        ),
        (&["audit", "verify", "a.ndjson"], 1, ""),
    ] {
        let (got, _, stderr) = said(&palisade(place.path(), arguments, b""));
        assert_eq!(got, Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
}

// REQ: L-2
#[test]
fn redacts_line_by_line() {
    let place = tempfile::tempdir().unwrap();
    let input = "{\"password\":\"hunter2\",\"n\":1.10}\r\n\n[1, \"a@example.com\"]\n{\"password\":\"hunter3\"\n\"last\"";
    let (code, stdout, stderr) = said(&palisade(
        place.path(),
        &["audit", "redact"],
        input.as_bytes(),
    ));
    assert_eq!(code, Some(1));
    assert_eq!(
        stdout,
        "{\"password\":\"[REDACTED]\",\"n\":1.10}\n\n[1, \"[REDACTED]\"]\n{\"omitted\":true,\"line\":4}\n\"last\"\n"
    );
    assert!(
        stderr.contains("line 4") && !stderr.contains("hunter"),
        "{stderr}"
    );
    fs::write(place.path().join("key"), "01".repeat(32)).unwrap();
    fs::write(
        place.path().join("in.ndjson"),
        "{\"to\":\"a@b.co\",\"cc\":\"a@b.co\"}\n",
    )
    .unwrap();
    let (code, stdout, _) = said(&palisade(
        place.path(),
        &[
            "audit",
            "redact",
            "in.ndjson",
            "--allow",
            "/to",
            "--pseudonym-key",
            "key",
        ],
        b"",
    ));
    assert_eq!(code, Some(0));
    assert!(
        stdout.starts_with("{\"to\":\"a@b.co\",\"cc\":\"[REDACTED:email:"),
        "{stdout}"
    );
    let (code, _, stderr) = said(&palisade(
        place.path(),
        &["audit", "redact", "--allow", "to"],
        b"",
    ));
    assert_eq!(code, Some(2));
    assert!(stderr.contains("begin with `/`"), "{stderr}");
}

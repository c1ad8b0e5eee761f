//! A log is edited in every way; each edit is found, and its place named.

use super::*;

fn key() -> CheckpointKey {
    CheckpointKey::from_seed(&[7; 32]).unwrap()
}

/// A log of `lines` lines with a checkpoint after every `every` and at its end.
fn log(lines: u64, every: u64) -> Vec<String> {
    let (mut chain, key, mut log) = (Chain::new(), key(), Vec::new());
    let mut out = Vec::new();
    while chain.next_seq() < lines {
        out.clear();
        let seq = chain.next_seq();
        if seq % every == every - 1 || seq == lines - 1 {
            chain.checkpoint("2026-11-21T08:10:12.000Z", &key, &mut out);
            out.pop();
        } else {
            out.extend_from_slice(format!(r#"{{"timestamp":"2026-11-21T08:10:11.994Z","requestId":"{seq:08x}","actor":{{"id":"alice"}},"outcome":"ok"}}"#).as_bytes());
            chain.append(&mut out);
        }
        log.push(String::from_utf8(out.clone()).unwrap());
    }
    log
}

fn verify(files: &[(&str, &[String])]) -> ChainReport {
    let mut verifier = Verifier::new(Some(key().public()));
    for (name, lines) in files {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        verifier.segment(name, text.as_bytes()).unwrap();
    }
    verifier.finish()
}

fn faults(lines: &[String]) -> Vec<(u64, Damage)> {
    verify(&[("log", lines)])
        .faults
        .into_iter()
        .map(|fault| (fault.line, fault.damage))
        .collect()
}

// REQ: L-4
#[test]
fn what_was_written_holds() {
    let lines = log(100, 10);
    let report = verify(&[("log", &lines)]);
    assert_eq!(report.faults, []);
    assert_eq!(
        (
            report.lines,
            report.checkpoints,
            report.range,
            report.unsealed
        ),
        (100, 10, Some((0, 99)), 0)
    );
    assert_eq!(report.keys, [key().public()]);
    for line in &lines {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "{line}"
        );
    }
    // Rotated, in any order.
    let report = verify(&[
        ("c", &lines[70..]),
        ("a", &lines[..25]),
        ("b", &lines[25..70]),
    ]);
    assert_eq!(report.faults, []);
    assert_eq!(report.range, Some((0, 99)));
    // What rotation has deleted at the beginning is not missed; a second sink of checkpoints is no second log.
    let checkpoints: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("checkpoint"))
        .cloned()
        .collect();
    let report = verify(&[("log", &lines[30..]), ("checkpoints", &checkpoints)]);
    assert_eq!(report.faults, []);
    // A writer that starts again goes on where the file ends.
    let mut chain = Chain::after(format!("{}\n", lines[99]).as_bytes()).unwrap();
    let mut line = b"{}".to_vec();
    let mut more = lines.clone();
    line.splice(1..1, b"\"a\":1".iter().copied());
    chain.append(&mut line);
    more.push(String::from_utf8(line).unwrap());
    let report = verify(&[("log", &more)]);
    assert_eq!((report.faults.len(), report.unsealed), (0, 1));
    assert_eq!(Chain::after(b"{\"a\":1}"), None);
}

// REQ: L-4
#[test]
fn every_kind_of_edit() {
    let lines = log(60, 20);
    let edited = |edit: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        edit(&mut lines);
        faults(&lines)
    };
    assert_eq!(
        edited(&|log| log[10] = log[10].replace("alice", "mallo")),
        [(11, Damage::Changed)]
    );
    assert_eq!(
        edited(&|log| log[0] = log[0].replace("alice", "mallo")),
        [(1, Damage::Changed)]
    );
    assert_eq!(
        edited(&|log| log[10] = "nonsense".to_owned()),
        [(11, Damage::Changed)]
    );
    assert_eq!(
        edited(&|log| {
            log.remove(10);
        }),
        [(11, Damage::Removed { from: 10, to: 10 })]
    );
    assert_eq!(
        edited(&|log| {
            log.drain(10..15);
        }),
        [(11, Damage::Removed { from: 10, to: 14 })]
    );
    assert_eq!(
        edited(&|log| {
            let line = log[10].clone();
            log.insert(11, line);
        }),
        [(12, Damage::Inserted)]
    );
    assert_eq!(
        edited(&|log| {
            let line = log[10].clone();
            log.insert(30, line);
        }),
        [(31, Damage::Inserted)]
    );
    assert_eq!(
        edited(&|log| log.insert(10, "{\"a\":1}".to_owned())),
        [(11, Damage::Inserted)]
    );
    assert_eq!(
        edited(&|log| {
            let line = log.remove(10);
            log.insert(30, line);
        }),
        [(31, Damage::Reordered { seq: 10 })]
    );
    assert_eq!(
        edited(&|log| {
            let line = log.remove(30);
            log.insert(10, line);
        })[0],
        (11, Damage::Reordered { seq: 30 })
    );
    let checkpoint = edited(&|log| log[19] = log[19].replace("signature\":\"", "signature\":\"A"));
    assert!(
        checkpoint.iter().any(|(line, _)| *line == 20),
        "{checkpoint:?}"
    );
    // The end: a checkpoint elsewhere says that there was more.
    let checkpoints: Vec<_> = lines
        .iter()
        .filter(|line| line.contains("checkpoint"))
        .cloned()
        .collect();
    let report = verify(&[("log", &lines[..50]), ("sink", &checkpoints)]);
    assert_eq!(
        report.faults,
        [Fault::new("sink", 3, Damage::Truncated { from: 50 })]
    );
    // A line cut in its middle.
    let mut verifier = Verifier::new(None);
    let text = lines[..11].join("\n");
    verifier
        .segment("log", &text.as_bytes()[..text.len() - 20])
        .unwrap();
    assert_eq!(
        verifier.finish().faults,
        [Fault::new("log", 11, Damage::Truncated { from: 10 })]
    );
    // All made anew from one line on, by one who has not the key.
    let other = CheckpointKey::from_seed(&[8; 32]).unwrap();
    let mut forged = lines[..10].to_vec();
    let mut chain = Chain::after(forged[9].as_bytes()).unwrap();
    for line in &lines[10..] {
        let mut out = Vec::new();
        if line.contains("checkpoint") {
            chain.checkpoint("2026-11-21T08:10:12.000Z", &other, &mut out);
            out.pop();
        } else {
            out.extend_from_slice(br#"{"actor":"mallory"}"#);
            chain.append(&mut out);
        }
        forged.push(String::from_utf8(out).unwrap());
    }
    assert_eq!(faults(&forged)[0], (20, Damage::Forged));
    // Two ends of one beginning.
    let mut fork = Chain::after(lines[29].as_bytes()).unwrap();
    let mut line = br#"{"other":1}"#.to_vec();
    fork.append(&mut line);
    let tail = [String::from_utf8(line).unwrap()];
    let report = verify(&[("a", &lines[..30]), ("b", &lines[30..]), ("c", &tail)]);
    assert!(
        report
            .faults
            .iter()
            .any(|fault| matches!(fault.damage, Damage::Fork { seq: 30 })),
        "{report:?}"
    );
    // A whole file of the middle.
    let report = verify(&[("a", &lines[..20]), ("c", &lines[40..])]);
    assert_eq!(
        report.faults,
        [Fault::new("c", 1, Damage::Removed { from: 20, to: 39 })]
    );
}

/// The issue's: a thousand random edits of a log of ten thousand lines, in four files, with the checkpoints of a second sink
/// beside them; after each the whole set is verified. Without optimisation fewer edits, of the same kinds:
/// `cargo xtask soak` runs the thousand.
// REQ: L-4
#[test]
fn a_thousand_edits_are_found() {
    const EDITS: u64 = if cfg!(debug_assertions) { 132 } else { 1_000 };
    const NAMES: [&str; 4] = ["a", "b", "c", "d"];
    let lines = log(10_000, 500);
    let files: Vec<Vec<String>> = lines.chunks(2_500).map(<[String]>::to_vec).collect();
    let text = |lines: &[String]| {
        lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let texts: Vec<String> = files.iter().map(|file| text(file)).collect();
    let checkpoints: Vec<String> = lines
        .iter()
        .filter(|line| line.contains("checkpoint"))
        .cloned()
        .collect();
    let second = text(&checkpoints);
    // xorshift64*, seeded: the same edits every time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) % below as u64) as usize
    };
    for edit in 0..EDITS {
        let file = random(4);
        // Not the last line of all: nothing follows it that could tell.
        let at = random(if file == 3 { 2_498 } else { 2_499 });
        let mut log = files[file].clone();
        let mut more = None;
        let sealed = (at / 500 * 500 + 499).min(if file == 3 { 1_999 } else { 2_499 });
        // The file, and the lines of it that may be named, counted from 0.
        let place: (&str, Vec<usize>) = match edit % 12 {
            0 => {
                let mut line = log[at].clone().into_bytes();
                let byte = random(line.len());
                let new = 0x20 + random(0x5f) as u8;
                line[byte] = if line[byte] == new { new ^ 1 } else { new };
                log[at] = String::from_utf8_lossy(&line).into_owned();
                (NAMES[file], vec![at])
            }
            1 => {
                log.remove(at);
                (NAMES[file], vec![at])
            }
            2 => {
                log.insert(at, lines[random(10_000)].clone());
                (NAMES[file], vec![at, at + 1])
            }
            3 => {
                log.insert(at + 1, log[at].clone());
                (NAMES[file], vec![at + 1])
            }
            4 => {
                log.swap(at, at + 1);
                (NAMES[file], vec![at, at + 1])
            }
            5 => {
                let length = random(log[at].len());
                log[at].truncate(length);
                (NAMES[file], vec![at])
            }
            6 => {
                log.insert(at, format!("{{\"made\":{edit}}}"));
                (NAMES[file], vec![at])
            }
            7 => {
                let line = &log[sealed];
                let byte = line.find("signature").unwrap() + 12 + random(80);
                let new = if line.as_bytes()[byte] == b'x' {
                    "y"
                } else {
                    "x"
                };
                log[sealed].replace_range(byte..=byte, new);
                (NAMES[file], vec![sealed])
            }
            8 => {
                log.remove(sealed);
                match NAMES.get(file + 1) {
                    Some(next) if sealed == 2_499 => (*next, vec![0]),
                    _ => (NAMES[file], vec![sealed]),
                }
            }
            9 => {
                let mut chain = Chain::after(log[at].as_bytes()).unwrap();
                let mut fork = Vec::new();
                for line in 0..=random(3) {
                    let mut out = format!("{{\"made\":{line}}}").into_bytes();
                    chain.append(&mut out);
                    fork.push(String::from_utf8(out).unwrap());
                }
                more = Some(text(&fork));
                ("fork", vec![0])
            }
            10 => {
                log.truncate(at + 1);
                match NAMES.get(file + 1) {
                    Some(next) => (*next, vec![0]),
                    // Only the other sink knows.
                    None => ("sink", vec![checkpoints.len() - 1]),
                }
            }
            _ => {
                // In the middle of a line, at the end of a file.
                log.truncate(at + 1);
                let length = log[at].len() - 1 - random(log[at].len() - 1);
                log[at].truncate(length);
                (NAMES[file], vec![at])
            }
        };
        let mut verifier = Verifier::new(Some(key().public()));
        let edited = text(&log);
        let edited = if edit % 12 == 11 {
            edited.trim_end_matches('\n')
        } else {
            &edited
        };
        for (index, name) in NAMES.iter().enumerate() {
            let text = if index == file { edited } else { &texts[index] };
            verifier.segment(name, text.as_bytes()).unwrap();
        }
        verifier.segment("sink", second.as_bytes()).unwrap();
        if let Some(fork) = &more {
            verifier.segment("fork", fork.as_bytes()).unwrap();
        }
        let found = verifier.finish().faults;
        assert!(
            found.iter().any(|fault| fault.file == place.0
                && place.1.iter().any(|line| fault.line == *line as u64 + 1)),
            "edit {edit} at {file}:{at}, expected {place:?}: {found:?}"
        );
    }
}

/// A run of `lines` lines that begins a chain of its own, as on standard output, with a checkpoint at its end.
fn run(name: &str, lines: u64) -> Vec<String> {
    let (mut chain, mut log) = (Chain::new(), Vec::new());
    for at in 0..lines {
        let mut out = match at {
            0 => format!(
                r#"{{"timestamp":"2026-11-21T08:10:11.994Z","event":"start","run":"{name}"}}"#
            ),
            _ => format!(r#"{{"timestamp":"2026-11-21T08:10:11.994Z","requestId":"{name}{at}"}}"#),
        }
        .into_bytes();
        chain.append(&mut out);
        log.push(String::from_utf8(out).unwrap());
    }
    let mut out = Vec::new();
    chain.checkpoint("2026-11-21T08:10:12.000Z", &key(), &mut out);
    log.push(String::from_utf8(out).unwrap().trim().to_owned());
    log
}

// REQ: L-4
#[test]
fn runs_without_a_file_are_chains_of_their_own() {
    let (one, two, three) = (run("a", 10), run("b", 5), run("c", 20));
    let all: Vec<_> = [&one[..], &two, &three].concat();
    let report = verify(&[("log", &all)]);
    assert_eq!(report.faults, []);
    assert_eq!((report.runs, report.lines, report.unsealed), (3, 38, 0));
    // Cut into files anywhere.
    for at in 1..all.len() {
        let report = verify(&[("b", &all[at..]), ("a", &all[..at])]);
        assert_eq!(report.faults, [], "{at}");
        assert_eq!(report.runs, 3);
    }
    // A run that was killed is not sealed to its end.
    let killed: Vec<_> = [&one[..8], &two].concat();
    let report = verify(&[("log", &killed)]);
    assert_eq!(
        (report.faults.len(), report.runs, report.unsealed),
        (0, 2, 8)
    );
    // Within each, as ever.
    let mut edited = all.clone();
    edited.remove(14);
    assert_eq!(faults(&edited), [(15, Damage::Removed { from: 3, to: 3 })]);
    let mut edited = all.clone();
    edited[20] = edited[20].replace("c", "d");
    assert_eq!(faults(&edited), [(21, Damage::Changed)]);
    // The same run twice is none of two.
    let twice: Vec<_> = [&one[..], &one].concat();
    assert!(!faults(&twice).is_empty());
    let report = verify(&[("a", &one), ("b", &one)]);
    assert!(!report.faults.is_empty());
    // Whoever begins with 0 and no start has made it up.
    let mut chain = Chain::new();
    let mut made = b"{\"a\":1}".to_vec();
    chain.append(&mut made);
    let made: Vec<_> = [&one[..], &[String::from_utf8(made).unwrap()]].concat();
    assert_eq!(faults(&made), [(12, Damage::Fork { seq: 0 })]);
}

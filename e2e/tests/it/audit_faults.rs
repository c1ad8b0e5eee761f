//! What goes wrong with the audit log, under load: no call that the server saw may be missing.
//!
//! Clients call without pause while a disk fills, fails, a reader goes, a process is killed, a file is turned, the clock jumps. Then what
//! the upstream counted is held against the log, and the log against its chain.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use e2e::palisade::{Builder, binary, verify};
use e2e::{PATIENCE, Palisade, Upstream};
use serde_json::Value as Json;

/// Clients that call one tool after the other until they are stopped, whatever is answered.
struct Load {
    over: Arc<AtomicBool>,
    counts: Arc<Counts>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    /// Answers with 200.
    passed: AtomicUsize,
    /// Answers with 503.
    refused: AtomicUsize,
    /// Others, and connections that broke.
    other: AtomicUsize,
}

const CLIENTS: usize = 4;

impl Load {
    fn on(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let counts = Arc::new(Counts::default());
        let clients = (0..CLIENTS)
            .map(|client| {
                let (over, counts) = (Arc::clone(&over), Arc::clone(&counts));
                thread::spawn(move || {
                    let mut id = client;
                    while !over.load(Ordering::SeqCst) {
                        // Breaks off with the gateway, and begins anew.
                        if converse(address, &over, &counts, &mut id).is_none() {
                            counts.other.fetch_add(1, Ordering::SeqCst);
                            thread::sleep(Duration::from_millis(10));
                        }
                    }
                })
            })
            .collect();
        Self {
            over,
            counts,
            clients,
        }
    }

    fn passed(&self) -> usize {
        self.counts.passed.load(Ordering::SeqCst)
    }

    fn refused(&self) -> usize {
        self.counts.refused.load(Ordering::SeqCst)
    }

    /// Waits for so many more answers of a kind.
    fn wait(&self, count: impl Fn(&Self) -> usize, more: usize) {
        let (before, until) = (count(self), Instant::now() + PATIENCE);
        while count(self) < before + more {
            assert!(
                Instant::now() < until,
                "{} of {more} more; {} passed, {} refused, {} else",
                count(self) - before,
                self.passed(),
                self.refused(),
                self.counts.other.load(Ordering::SeqCst)
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn stop(self) {
        self.over.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().unwrap();
        }
    }
}

/// One connection's calls; the even ones of a tool that nothing is known of, the odd ones of one that only reads.
fn converse(address: SocketAddr, over: &AtomicBool, counts: &Counts, id: &mut usize) -> Option<()> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a client of the gateway under test"
    )]
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_nodelay(true).ok()?;
    while !over.load(Ordering::SeqCst) {
        let tool = ["destroy", "look"][*id / CLIENTS % 2];
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"text":"{}"}}}}}}"#,
            "some words ".repeat(30)
        );
        *id += CLIENTS;
        let request = format!(
            "POST /test HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).ok()?;
        let status = answer(&mut stream)?;
        let count = match status {
            200 => &counts.passed,
            503 => &counts.refused,
            _ => &counts.other,
        };
        count.fetch_add(1, Ordering::SeqCst);
    }
    Some(())
}

/// Reads an answer with a length; its status.
fn answer(stream: &mut TcpStream) -> Option<u16> {
    let mut seen = Vec::new();
    let mut piece = [0; 8192];
    loop {
        let text = String::from_utf8_lossy(&seen).to_ascii_lowercase();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let length = head
                .split_once("content-length: ")
                .map_or("0", |(_, rest)| rest.split("\r\n").next().unwrap_or("0"));
            if rest.len() >= length.parse().ok()? {
                return head.split(' ').nth(1)?.parse().ok();
            }
        }
        match stream.read(&mut piece).ok()? {
            0 => return None,
            length => seen.extend(&piece[..length]),
        }
    }
}

/// Says of the tool `look` that it only reads.
fn upstream() -> Upstream {
    Upstream::answering(|request| {
        let result = match request.json()["method"].as_str() {
            Some("tools/list") => serde_json::json!({ "tools": [
                { "name": "look", "inputSchema": {}, "annotations": { "readOnlyHint": true } },
                { "name": "destroy", "inputSchema": {} },
            ] }),
            _ => serde_json::json!({ "content": [] }),
        };
        e2e::Reply::result(request, &result)
    })
}

fn gateway(upstream: &Upstream, audit: &str) -> Builder {
    let config = format!(
        "listen = \"127.0.0.1:0\"\nworkers = 2\n{audit}\n[[server]]\nname = \"test\"\npath = \"/test\"\nupstream = \"{}\"\n",
        upstream.url()
    );
    Palisade::builder().plain().config(&config)
}

/// So that the gateway has seen the list.
fn list(address: SocketAddr) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a client of the gateway under test"
    )]
    let mut stream = TcpStream::connect(address).unwrap();
    let body = r#"{"jsonrpc":"2.0","id":"list","method":"tools/list"}"#;
    write!(
        stream,
        "POST /test HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    assert_eq!(answer(&mut stream), Some(200));
}

fn lines(text: &str) -> Vec<Json> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// All files of the log in a directory, by `palisade audit`.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.starts_with("audit") && name.contains(".ndjson") && !name.ends_with(".part")
        })
        .collect();
    files.sort();
    files
}

/// What they hold, compressed or not, in no order.
fn text(files: &[PathBuf]) -> String {
    let mut all = String::new();
    for file in files {
        let bytes = if file.extension().unwrap() == "zst" {
            let unpacked = Command::new("zstd").args(["-dc"]).arg(file).output();
            unpacked.unwrap().stdout
        } else {
            fs::read(file).unwrap()
        };
        all.push_str(&String::from_utf8(bytes).unwrap());
    }
    all
}

fn ids(records: &[Json], fits: impl Fn(&Json) -> bool) -> HashSet<String> {
    records
        .iter()
        .filter(|record| fits(record))
        .filter_map(|record| record["requestId"].as_str())
        .map(str::to_owned)
        .collect()
}

/// The ids of the calls that came to the upstream, of `tool` or of all.
fn arrived(upstream: &Upstream, tool: Option<&str>) -> HashSet<String> {
    upstream
        .arrived()
        .iter()
        .filter(|request| tool.is_none_or(|tool| request.json()["params"]["name"] == tool))
        .map(|request| request.header("x-request-id").unwrap().to_owned())
        .collect()
}

/// Every call that came to the upstream (or of `destroy` alone) has its intent, and every intent that passed an outcome.
fn assert_intents(upstream: &Upstream, records: &[Json], tool: Option<&str>) {
    let intents = ids(records, |record| record["phase"] == "intent");
    let came = arrived(upstream, tool);
    let missing: Vec<_> = came.difference(&intents).collect();
    assert!(
        missing.is_empty(),
        "{} of {} calls reached the server without an intent: {missing:?}",
        missing.len(),
        came.len()
    );
    assert!(!came.is_empty());
}

/// Every call that came has an outcome.
fn assert_outcomes(upstream: &Upstream, records: &[Json]) {
    let outcomes = ids(records, |record| record["outcome"].is_string());
    let came = arrived(upstream, None);
    let missing: Vec<_> = came.difference(&outcomes).collect();
    assert!(missing.is_empty(), "no outcome of {missing:?}");
}

// REQ: L-0, L-3, L-4
#[test]
fn a_disk_that_fills_and_is_freed() {
    for (ahead, tool) in [("all", None), ("destructive", Some("destroy"))] {
        let upstream = upstream();
        let audit = format!(
            "[audit]\nsink = {{ file = \"disk/audit.ndjson\" }}\nfail = \"closed\"\nwrite_ahead = \"{ahead}\""
        );
        let mut palisade = gateway(&upstream, &audit)
            .shell(
                "mkdir -p disk && exec unshare --user --map-root-user --mount sh -c \
                 'mount -t tmpfs -o size=40m tmpfs disk && head -c 41000000 /dev/zero >disk/filler && exec \"$@\"' sh \"$@\"",
            )
            .start();
        // The tmpfs is only there for the process that has it.
        let disk = PathBuf::from(format!("/proc/{}/root", palisade.pid()))
            .join(palisade.path("disk").strip_prefix("/").unwrap());
        list(palisade.address());
        let load = Load::on(palisade.address());
        load.wait(Load::refused, 50);
        palisade.wait_for_stderr("No space left");
        let came = upstream.arrived().len();
        load.wait(Load::refused, 50);
        // Room again.
        fs::remove_file(disk.join("filler")).unwrap();
        load.wait(Load::passed, 100);
        load.stop();
        palisade.wait_for_stderr("it is written again");
        let kept = tempfile::tempdir().unwrap();
        // Whatever was in memory is written by now, or the disk is full once more: wait for the answers' outcomes.
        let file = kept.path().join("audit.ndjson");
        let until = Instant::now() + PATIENCE;
        let records = loop {
            fs::copy(disk.join("audit.ndjson"), &file).unwrap();
            let text = fs::read_to_string(&file).unwrap();
            let records = lines(text.rsplit_once('\n').unwrap().0);
            let outcomes = ids(&records, |record| record["outcome"].is_string());
            if arrived(&upstream, None).is_subset(&outcomes) || Instant::now() > until {
                break records;
            }
            thread::sleep(Duration::from_millis(50));
        };
        assert_intents(&upstream, &records, tool);
        assert_outcomes(&upstream, &records);
        assert!(came < upstream.arrived().len());
        let (holds, said) = verify(&[file]);
        assert!(holds, "{said}");
        // What was refused is told, too.
        let refused = ids(&records, |record| record["reason"] == "audit.unavailable");
        assert!(!refused.is_empty());
        assert!(refused.is_disjoint(&arrived(&upstream, None)));
        assert_eq!(palisade.stop(), Some(0));
    }
}

// REQ: L-0, L-3, L-4
#[test]
fn a_disk_that_fails_for_a_while() {
    let upstream = upstream();
    let palisade = gateway(
        &upstream,
        "[audit]\nsink = { file = \"audit.ndjson\" }\nwrite_ahead = \"all\"",
    )
    // -D: the gateway is still the child of the test. The writes of the log alone fail, some of them.
    .shell(
        "touch audit.ndjson; exec strace -D -f -qq -o /dev/null -P \"$PWD/audit.ndjson\" -e trace=write,writev \
         -e inject=write,writev:error=EIO:when=200..212 \"$@\"",
    )
    .start();
    let load = Load::on(palisade.address());
    load.wait(Load::refused, 20);
    palisade.wait_for_stderr("Input/output error");
    load.wait(Load::passed, 200);
    load.stop();
    palisade.wait_for_stderr("it is written again");
    let mut palisade = palisade;
    assert_eq!(palisade.stop(), Some(0));
    let log = palisade.path("audit.ndjson");
    let records = lines(&fs::read_to_string(&log).unwrap());
    assert_intents(&upstream, &records, None);
    assert_outcomes(&upstream, &records);
    let (holds, said) = verify(&[log]);
    assert!(holds, "{said}");
}

// REQ: L-0, L-3, L-4
#[test]
fn a_reader_that_stops_reading_and_goes() {
    let upstream = upstream();
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let mut held = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    let palisade = gateway(
        &upstream,
        "[audit]\nsink = \"stdout\"\nwrite_ahead = \"all\"",
    )
    .shell(&format!("exec \"$@\" > '{}'", pipe.display()))
    .start();
    let load = Load::on(palisade.address());
    // Nobody reads: it stops by itself, in bounded time, and says so.
    load.wait(Load::refused, 8);
    let came = arrived(&upstream, None);
    load.stop();
    assert_eq!(arrived(&upstream, None), came, "a call passed unrecorded");
    // Somebody reads what there is, to the last whole line, and goes for good.
    let mut text = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    let until = Instant::now() + PATIENCE;
    let records = loop {
        let length = held.read(&mut piece).unwrap();
        text.extend(&piece[..length]);
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let records = lines(&String::from_utf8_lossy(&text[..whole]));
        let outcomes = ids(&records, |record| record["outcome"].is_string());
        if came.is_subset(&outcomes) {
            break records;
        }
        assert!(Instant::now() < until, "{} records", records.len());
    };
    assert_intents(&upstream, &records, None);
    let file = directory.path().join("audit.ndjson");
    let whole = text.iter().rposition(|byte| *byte == b'\n').unwrap();
    fs::write(&file, &text[..=whole]).unwrap();
    let (holds, said) = verify(&[file]);
    assert!(holds, "{said}");
    drop(held);
    let load = Load::on(palisade.address());
    load.wait(Load::refused, 20);
    palisade.wait_for_stderr("Broken pipe");
    let came = upstream.arrived().len();
    load.wait(Load::refused, 20);
    load.stop();
    assert_eq!(upstream.arrived().len(), came, "a call passed unrecorded");
}

/// With `fail = "open"` calls pass, and every line that is missing is counted.
// REQ: L-0, L-3
#[test]
fn a_log_that_may_fail_is_no_hindrance_and_counts() {
    let upstream = upstream();
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let mut held = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    let audit = "[audit]\nsink = \"stdout\"\nfail = \"open\"\nwrite_ahead = \"all\"";
    let mut palisade = gateway(&upstream, audit)
        .shell(&format!("exec \"$@\" > '{}'", pipe.display()))
        .start();
    let load = Load::on(palisade.address());
    // Far more than the pipe and the buffers hold.
    let until = Instant::now() + PATIENCE;
    while load.passed() < 15_000 && Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(load.refused(), 0);
    load.stop();
    let calls = upstream.arrived().len();
    assert!(calls > 1_000, "{calls}");
    let reading = thread::spawn(move || {
        let (mut text, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
        while !text.ends_with(b"end\n") {
            let length = held.read(&mut piece).unwrap();
            text.extend(&piece[..length]);
        }
        String::from_utf8(text).unwrap()
    });
    assert_eq!(palisade.stop(), Some(0));
    let mut end = OpenOptions::new().write(true).open(&pipe).unwrap();
    end.write_all(b"end\n").unwrap();
    let text = reading.join().unwrap();
    let text = text.strip_suffix("end\n").unwrap();
    let records = lines(text);
    let dropped: u64 = records
        .iter()
        .filter(|record| record["event"] == "gap")
        .map(|gap| gap["dropped"].as_u64().unwrap())
        .sum();
    let told = records
        .iter()
        .filter(|record| record["requestId"].is_string());
    // An intent and an outcome of each.
    assert_eq!(told.count() + usize::try_from(dropped).unwrap(), 2 * calls);
    let file = directory.path().join("audit.ndjson");
    fs::write(&file, text).unwrap();
    let (holds, said) = verify(&[file]);
    assert!(holds, "{said}");
}

// REQ: L-0, L-3, L-4
#[test]
fn a_kill_between_call_and_outcome() {
    for (ahead, tool) in [("all", None), ("destructive", Some("destroy"))] {
        let upstream = upstream();
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("audit.ndjson");
        let audit = format!(
            "[audit]\nsink = {{ file = \"{}\" }}\nwrite_ahead = \"{ahead}\"",
            log.display()
        );
        let mut outcomes = 0;
        for _ in 0..3 {
            let mut palisade = gateway(&upstream, &audit).start();
            list(palisade.address());
            let load = Load::on(palisade.address());
            load.wait(Load::passed, 300);
            palisade.signal(rustix::process::Signal::KILL);
            assert_eq!(palisade.wait(), None);
            load.stop();
            outcomes += 1;
        }
        // The next one goes on where the last one was killed.
        let mut palisade = gateway(&upstream, &audit).start();
        assert_eq!(palisade.stop(), Some(0));
        let files = files(directory.path());
        let records = lines(&text(&files));
        assert_intents(&upstream, &records, tool);
        let starts = records.iter().filter(|record| record["event"] == "start");
        assert_eq!(starts.count(), outcomes + 1);
        let (holds, said) = verify(&files);
        assert!(holds, "{said}");
        // Lost are outcomes of the last moment, of which there are few; calls alone are told by their intents.
        let came = arrived(&upstream, None).len();
        let told = ids(&records, |record| record["outcome"].is_string()).len();
        assert!(told * 2 > came, "{told} outcomes of {came} calls");
    }
}

// REQ: L-3, L-4
#[test]
fn files_turned_under_load() {
    let upstream = upstream();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("audit.ndjson");
    let audit = format!(
        "[audit]\nsink = {{ file = \"{}\" }}\nwrite_ahead = \"all\"\nrotate = {{ size = \"64KB\", every = \"1s\" }}",
        log.display()
    );
    let mut palisade = gateway(&upstream, &audit).start();
    let load = Load::on(palisade.address());
    load.wait(Load::passed, 1_500);
    load.stop();
    assert_eq!(palisade.stop(), Some(0));
    // What was being compressed when it ended is, at the next start.
    let mut palisade = gateway(&upstream, &audit).start();
    let until = Instant::now() + PATIENCE;
    let packed = |files: &[PathBuf]| {
        let mut olds = files.iter().filter(|file| **file != log);
        olds.all(|file| file.extension().unwrap() == "zst")
    };
    while !packed(&files(directory.path())) {
        assert!(Instant::now() < until, "{:?}", files(directory.path()));
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(palisade.stop(), Some(0));
    let files = files(directory.path());
    assert!(files.len() > 5, "{files:?}");
    let records = lines(&text(&files));
    assert_intents(&upstream, &records, None);
    assert_outcomes(&upstream, &records);
    let (holds, said) = verify(&files);
    assert!(holds, "{said}");
    // One of them gone, and it says between which lines.
    let mut fewer = files.clone();
    fewer.remove(2);
    let (holds, said) = verify(&fewer);
    assert!(
        !holds && said.contains("of the chain are missing"),
        "{said}"
    );
}

// REQ: L-3, L-4
#[test]
fn clocks_that_jump() {
    let upstream = upstream();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("audit.ndjson");
    let clock = directory.path().join("clock");
    // In one step: the file is read at any moment.
    let at = |shift: &str| {
        let new = directory.path().join("clock.new");
        fs::write(&new, shift).unwrap();
        fs::rename(new, &clock).unwrap();
    };
    at("+0");
    let audit = format!(
        "[audit]\nsink = {{ file = \"{}\" }}\nwrite_ahead = \"all\"\nrotate = {{ size = \"64KB\", every = \"1h\", compress = \"none\" }}",
        log.display()
    );
    let mut palisade = gateway(&upstream, &audit)
        .env("FAKETIME_TIMESTAMP_FILE", clock.to_str().unwrap())
        .env("FAKETIME_NO_CACHE", "1")
        // Timers go on as they are. The names of two versions of the library.
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1")
        .shell(
            "LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketimeMT.so.1); \
             test -f \"$LD_PRELOAD\" || exit 9; export LD_PRELOAD; exec \"$@\"",
        )
        .start();
    let load = Load::on(palisade.address());
    for shift in ["+0", "+2d", "-3d", "+10y", "-1h", "+0"] {
        at(shift);
        load.wait(Load::passed, 100);
    }
    assert_eq!(load.refused(), 0);
    load.stop();
    assert_eq!(palisade.stop(), Some(0));
    let files = files(directory.path());
    let records = lines(&text(&files));
    let years: HashSet<&str> = records
        .iter()
        .filter_map(|record| record["timestamp"].as_str()?.get(..4))
        .collect();
    assert!(years.len() > 1, "the clock has not jumped: {years:?}");
    assert_intents(&upstream, &records, None);
    assert_outcomes(&upstream, &records);
    let (holds, said) = verify(&files);
    assert!(holds, "{said}");
}

/// What write-ahead costs a call is counted, not timed.
// REQ: L-0
#[test]
fn an_intent_costs_two_system_calls_at_most() {
    const CALLS: usize = 600;
    let count = |ahead: &str| {
        let upstream = upstream();
        let audit =
            format!("[audit]\nsink = {{ file = \"audit.ndjson\" }}\nwrite_ahead = \"{ahead}\"");
        let mut palisade = gateway(&upstream, &audit)
            .shell("exec strace -D -f -qq -c -o counts \"$@\"")
            .start();
        let counts = Counts::default();
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| converse(palisade.address(), &over, &counts, &mut 0));
            let until = Instant::now() + PATIENCE;
            while counts.passed.load(Ordering::SeqCst) < CALLS && Instant::now() < until {
                thread::sleep(Duration::from_millis(5));
            }
            over.store(true, Ordering::SeqCst);
        });
        let calls = counts.passed.load(Ordering::SeqCst);
        assert!(calls >= CALLS, "{calls} calls");
        assert_eq!(palisade.stop(), Some(0));
        // The tracer writes them when it has seen the end.
        let until = Instant::now() + PATIENCE;
        let total: usize = loop {
            let table = fs::read_to_string(palisade.path("counts")).unwrap_or_default();
            if let Some(total) = table.lines().find(|line| line.ends_with(" total")) {
                let numbers: Vec<&str> = total.split_whitespace().collect();
                break numbers[3].parse().unwrap();
            }
            assert!(Instant::now() < until, "{table}");
            thread::sleep(Duration::from_millis(20));
        };
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let each = total as f64 / calls as f64;
        each
    };
    let (without, with) = (count("none"), count("all"));
    assert!(
        with - without <= 2.0,
        "{without:.2} system calls for a call without intents, {with:.2} with them"
    );
    assert!(
        with > without + 0.5,
        "{without:.2}, {with:.2}: were there any?"
    );
}

// REQ: L-4
#[test]
fn the_key_is_told_at_start_and_by_a_command() {
    let upstream = upstream();
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("audit.ndjson");
    let audit = format!("[audit]\nsink = {{ file = \"{}\" }}", log.display());
    let key = |palisade: &Palisade| {
        let output = Command::new(binary())
            .args(["audit", "key", "--config"])
            .arg(palisade.path("palisade.toml"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let mut keys = HashSet::new();
    for _ in 0..2 {
        let mut palisade = gateway(&upstream, &audit).start();
        let key = key(&palisade);
        assert!(palisade.stderr().contains(&key), "{key}");
        list(palisade.address());
        assert_eq!(palisade.stop(), Some(0));
        keys.insert(key);
    }
    assert_eq!(keys.len(), 1);
    let key = keys.into_iter().next().unwrap();
    let records = lines(&fs::read_to_string(&log).unwrap());
    assert_eq!(records[0]["event"], "start");
    assert_eq!(records[0]["key"], *key);
    for (key, holds) in [
        (key.as_str(), true),
        (
            "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            false,
        ),
    ] {
        let output = Command::new(binary())
            .args(["audit", "verify", "--key", key])
            .arg(&log)
            .output()
            .unwrap();
        assert_eq!(output.status.success(), holds, "{output:?}");
    }
    // Without one it says where it comes from.
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(binary())
        .args(["audit", "key"])
        .env_clear()
        .env("XDG_DATA_HOME", empty.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("palisade serve"));
}

// REQ: L-0, L-3
#[test]
fn a_second_gateway_gets_a_file_of_its_own() {
    let upstream = upstream();
    let directory = tempfile::tempdir().unwrap();
    let audit = format!(
        "[audit]\nsink = {{ file = \"{}\" }}",
        directory.path().join("audit.ndjson").display()
    );
    let _first = gateway(&upstream, &audit).start();
    let second = gateway(&upstream, &audit).fail();
    assert_ne!(second.code, Some(0));
    assert!(
        second.stderr.contains("written by another process"),
        "{}",
        second.stderr
    );
}

/// A server of standard streams that notes each call in a file before it answers.
const NOTING: &str = r#"
import json, os, sys
for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if "id" not in message:
        continue
    result = {}
    if method == "initialize":
        result = {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": {"name": "noting", "version": "1"}}
    elif method == "tools/call":
        with open(sys.argv[1], "a") as calls:
            calls.write(str(message["params"]["arguments"]["n"]) + "\n")
        result = {"content": []}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"#;

// REQ: L-0
#[test]
fn a_command_gets_no_call_without_an_intent() {
    let directory = tempfile::tempdir().unwrap();
    let (log, calls) = (
        directory.path().join("audit.ndjson"),
        directory.path().join("calls"),
    );
    fs::write(directory.path().join("noting.py"), NOTING).unwrap();
    let config = format!(
        "listen = \"127.0.0.1:0\"\nworkers = 2\n[audit]\nsink = {{ file = \"{}\" }}\n[[server]]\nname = \"test\"\npath = \"/test\"\n\
         scope = \"shared\"\ncommand = [\"python3\", \"{}\", \"{}\"]\n",
        log.display(),
        directory.path().join("noting.py").display(),
        calls.display()
    );
    let mut palisade = Palisade::builder().plain().config(&config).start();
    let address = palisade.address();
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..3)
        .map(|client| {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                #[expect(clippy::disallowed_methods, reason = "a client of the gateway under test")]
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                for n in 0.. {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    // The stateless revision: no session has to be opened first.
                    let body = format!(
                        r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/call","params":{{"name":"x","arguments":{{"n":"{client}-{n}"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"t","version":"1"}},"io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
                    );
                    let sent = write!(
                        stream,
                        "POST /test HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
                         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: x\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    if sent.is_err() || answer(&mut stream).is_none() {
                        return;
                    }
                }
            })
        })
        .collect();
    let noted = || fs::read_to_string(&calls).unwrap_or_default();
    let until = Instant::now() + PATIENCE;
    while noted().lines().count() < 100 {
        let log = || fs::read_to_string(&log).unwrap_or_default();
        assert!(Instant::now() < until, "{}{}", noted(), log());
        thread::sleep(Duration::from_millis(5));
    }
    palisade.signal(rustix::process::Signal::KILL);
    assert_eq!(palisade.wait(), None);
    over.store(true, Ordering::SeqCst);
    for client in clients {
        client.join().unwrap();
    }
    let records = lines(&fs::read_to_string(&log).unwrap());
    let intents: HashSet<&str> = records
        .iter()
        .filter(|record| record["phase"] == "intent")
        .filter_map(|record| record["args"]["n"].as_str())
        .collect();
    for call in noted().lines() {
        assert!(intents.contains(call), "{call} came without an intent");
    }
    let (holds, said) = verify(&[log]);
    assert!(holds, "{said}");
}

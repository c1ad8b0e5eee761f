//! The log over real descriptors: files, pipes, a device that is always full.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, IoSlice, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::task::{Context, Waker};
use std::thread;
use std::time::UNIX_EPOCH;

use serde_json::Value;

use super::*;
use crate::record::Record;
use crate::sink::{Compression, DescriptorSink, Sink};

mod remote;

const LONG: Duration = Duration::from_secs(60);

fn file_log(path: &Path) -> Log {
    Log::open(Config::new(SinkConfig::File(path.to_owned()))).unwrap()
}

fn opened(sink: impl Sink + 'static) -> Opened {
    Opened {
        sink: Box::new(sink),
        chain: None,
        cut: None,
    }
}

fn over(file: File, change: impl FnOnce(&mut Config)) -> Log {
    let mut config = Config::new(SinkConfig::Stdout);
    change(&mut config);
    Log::over(vec![opened(DescriptorSink::over(file))], config).unwrap()
}

fn append(handle: &Handle, id: u64, args: Option<&str>) -> Result<(), AppendError> {
    let id = id.to_string();
    let mut record = Record::new(UNIX_EPOCH + Duration::from_secs(1_793_404_800), &id);
    record.args = args.map(str::as_bytes);
    handle.append(&record)
}

/// The records, and what stands for them: not what a log says of itself.
fn lines(text: &str) -> Vec<Value> {
    let mut lines = all_lines(text);
    lines.retain(|line| {
        !matches!(
            line["event"].as_str(),
            Some("checkpoint" | "rotated" | "start")
        )
    });
    lines
}

/// All lines; the chain must hold.
fn all_lines(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'));
    let mut verifier = crate::Verifier::new(None);
    verifier.segment("log", text.as_bytes()).unwrap();
    assert_eq!(verifier.finish().faults, []);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LONG, "{what} never came");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Fills one worker's buffer until it is refused; says how many records were taken.
fn fill(handle: &Handle) -> (u64, AppendError) {
    let args = format!("\"{}\"", "x ".repeat(10_000));
    for id in 0.. {
        if let Err(error) = append(handle, id, Some(&args)) {
            return (id, error);
        }
    }
    unreachable!("the buffer has a bound");
}

// REQ: L-1, L-3
#[test]
fn four_threads_lose_nothing_and_keep_their_order() {
    const EACH: u64 = 50_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.ndjson");
    let log = file_log(&path);
    thread::scope(|scope| {
        for worker in 0..4_u64 {
            let handle = log.handle();
            scope.spawn(move || {
                for id in 0..EACH {
                    // The sink may lag behind an unoptimised burst: a caller with `fail = "closed"` waits.
                    while !handle.healthy() {
                        thread::sleep(Duration::from_millis(1));
                    }
                    append(&handle, worker * EACH + id, None).unwrap();
                }
            });
        }
    });
    log.flush(LONG).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let mut next = HashMap::new();
    let mut count = 0;
    all_lines(&text);
    for line in text.lines().filter(|line| !line.contains("\"event\":")) {
        let rest = line.split_once("\"requestId\":\"").unwrap().1;
        let id: u64 = rest.split_once('"').unwrap().0.parse().unwrap();
        let expected = next.entry(id / EACH).or_insert(id / EACH * EACH);
        assert_eq!(id, *expected);
        *expected += 1;
        count += 1;
    }
    assert_eq!(count, 4 * EACH);
    assert_eq!(log.status().pending_bytes, 0);
    assert_eq!(log.status().written_bytes, text.len() as u64);
    log.close(LONG).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().len(), text.len());
}

#[test]
fn a_lone_record_is_written_without_being_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.ndjson");
    let log = file_log(&path);
    let handle = log.handle();
    for id in 0..3 {
        append(&handle, id, None).unwrap();
        wait_for("the line", || {
            lines(&fs::read_to_string(&path).unwrap()).len() as u64 == id + 1
        });
        // Long enough for the writer to fall asleep: the next record has to wake it.
        thread::sleep(Duration::from_millis(150));
        assert!(!log.shared.awake.load(Ordering::Acquire));
    }
}

/// Counts the writes, for there should be few.
struct Counting(Arc<AtomicUsize>);

impl Sink for Counting {
    fn name(&self) -> String {
        String::from("counting")
    }

    fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(lines.iter().map(|lines| lines.len()).sum())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn many_records_make_few_writes() {
    let writes = Arc::new(AtomicUsize::new(0));
    let mut config = Config::new(SinkConfig::Stdout);
    config.flush_interval = Duration::from_millis(100);
    let log = Log::over(vec![opened(Counting(Arc::clone(&writes)))], config).unwrap();
    let handles = [log.handle(), log.handle(), log.handle()];
    for id in 0..600 {
        append(&handles[id as usize % 3], id, None).unwrap();
    }
    log.flush(LONG).unwrap();
    // 120 KB in three buffers, none past 64 KiB.
    let made = writes.load(Ordering::Relaxed);
    assert!((1..=20).contains(&made), "{made} writes");
    // Nothing to do, nothing done.
    thread::sleep(Duration::from_millis(300));
    assert_eq!(writes.load(Ordering::Relaxed), made);
    log.close(LONG).unwrap();
}

// REQ: L-3
#[test]
fn a_full_disk_shows_at_once_and_refuses_past_the_bound() {
    let changes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&changes);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let log = over(full, |config| {
        config.buffer_max = 1024 * 1024;
        config.on_change = Some(Box::new(move |change| lock(&seen).push(change.clone())));
    });
    let handle = log.handle();
    append(&handle, 0, None).unwrap();
    wait_for("the failure", || !handle.healthy());
    assert!(log.status().error.unwrap().contains("No space left"));
    wait_for("the word", || !lock(&changes).is_empty());
    assert!(
        matches!(&lock(&changes)[..], [Change::Failed { error }] if error.contains("No space left"))
    );
    // What comes until the buffer is full is kept.
    append(&handle, 1, None).unwrap();
    let (taken, error) = fill(&handle);
    assert!(taken > 10);
    assert_eq!(error, AppendError::SinkFailed);
    assert_eq!(log.status().dropped, 1);
    let failed = log.flush(Duration::from_millis(200)).unwrap_err();
    assert!(failed.cause.contains("No space left") && failed.pending_bytes > 0);
    let start = Instant::now();
    log.close(Duration::from_millis(200)).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(append(&handle, 2, None), Err(AppendError::Closed));
}

// REQ: L-3
#[test]
fn a_blocked_pipe_refuses_and_tells_how_many_are_missing_once_it_moves() {
    let (mut reader, writer) = io::pipe().unwrap();
    let log = over(File::from(std::os::fd::OwnedFd::from(writer)), |config| {
        config.buffer_max = 1024 * 1024;
        config.stall = Duration::from_millis(300);
    });
    let handle = log.handle();
    // More than any pipe holds, so the writer hangs in its write.
    let args = format!("\"{}\"", "x ".repeat(30_000));
    for id in 0..5 {
        append(&handle, id, Some(&args)).unwrap();
    }
    assert!(log.healthy(), "not stalled yet");
    wait_for("the stall", || !handle.healthy());
    let (taken, error) = fill(&handle);
    assert_eq!(error, AppendError::Full);
    for _ in 0..4 {
        assert_eq!(append(&handle, 0, Some(&args)), Err(AppendError::Full));
    }
    log.flush(Duration::from_millis(100)).unwrap_err();
    let reading = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    log.flush(LONG).unwrap();
    assert!(handle.healthy(), "works again");
    append(&handle, 77, None).unwrap();
    log.close(LONG).unwrap();
    drop(handle);
    let lines = lines(&reading.join().unwrap());
    assert_eq!(lines.len() as u64, 5 + taken + 1 + 1);
    let gap = &lines[lines.len() - 2];
    assert_eq!(gap["event"], "gap");
    assert_eq!(gap["dropped"], 5);
    assert_eq!(gap["since"], "2026-10-31T00:00:00.000Z");
    assert_eq!(lines[lines.len() - 1]["requestId"], "77");
}

// REQ: L-3
#[test]
fn a_reader_that_goes_away_is_a_failure() {
    let (reader, writer) = io::pipe().unwrap();
    let log = over(File::from(std::os::fd::OwnedFd::from(writer)), |_| {});
    let handle = log.handle();
    append(&handle, 0, None).unwrap();
    log.flush(LONG).unwrap();
    drop(reader);
    append(&handle, 1, None).unwrap();
    wait_for("the failure", || !handle.healthy());
    assert!(log.status().error.unwrap().contains("Broken pipe"));
}

/// Takes a limited number of bytes, a few at a time, and fails in between.
struct Stingy {
    taken: Arc<Mutex<Vec<u8>>>,
    calls: usize,
}

impl Sink for Stingy {
    fn name(&self) -> String {
        String::from("stingy")
    }

    fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize> {
        self.calls += 1;
        match self.calls % 4 {
            0 => return Err(io::ErrorKind::StorageFull.into()),
            1 => return Err(io::ErrorKind::Interrupted.into()),
            2 => return Err(io::ErrorKind::WouldBlock.into()),
            _ => {}
        }
        let all: Vec<u8> = lines
            .iter()
            .flat_map(|lines| lines.iter().copied())
            .collect();
        let some = all.len().min(333);
        lock(&self.taken).extend_from_slice(&all[..some]);
        Ok(some)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn partial_writes_never_split_or_repeat_a_line() {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let mut config = Config::new(SinkConfig::Stdout);
    config.flush_interval = Duration::from_millis(1);
    let stingy = Stingy {
        taken: Arc::clone(&taken),
        calls: 0,
    };
    let log = Log::over(vec![opened(stingy)], config).unwrap();
    let handles = [log.handle(), log.handle()];
    for id in 0..40 {
        append(&handles[id as usize % 2], id, None).unwrap();
    }
    wait_for("the end", || log.flush(Duration::from_millis(1)).is_ok());
    log.close(LONG).unwrap();
    let text = String::from_utf8(lock(&taken).clone()).unwrap();
    let mut ids: Vec<u64> = lines(&text)
        .iter()
        .map(|line| line["requestId"].as_str().unwrap().parse().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..40).collect::<Vec<_>>());
}

// REQ: L-3
#[test]
fn a_disk_that_has_room_again_gets_everything() {
    /// Full until told otherwise, in the middle of a line.
    struct Disk {
        file: File,
        room: Arc<AtomicUsize>,
    }
    impl Sink for Disk {
        fn name(&self) -> String {
            String::from("disk")
        }

        fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize> {
            let room = self.room.load(Ordering::Acquire);
            let first = lines.iter().find(|lines| !lines.is_empty()).unwrap();
            let some = first.len().min(room);
            if some == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room.fetch_sub(some, Ordering::AcqRel);
            io::Write::write(&mut self.file, &first[..some])
        }
        fn sync(&mut self) -> io::Result<()> {
            self.file.sync_data()
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.ndjson");
    let room = Arc::new(AtomicUsize::new(1_000));
    let disk = Disk {
        file: File::create(&path).unwrap(),
        room: Arc::clone(&room),
    };
    let changes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&changes);
    let mut config = Config::new(SinkConfig::Stdout);
    config.on_change = Some(Box::new(move |change| lock(&seen).push(change.clone())));
    let log = Log::over(vec![opened(disk)], config).unwrap();
    let handle = log.handle();
    for id in 0..100 {
        append(&handle, id, None).unwrap();
    }
    wait_for("the full disk", || !log.healthy());
    assert!(
        !fs::read_to_string(&path).unwrap().ends_with('\n'),
        "the disk filled in mid-line"
    );
    room.store(usize::MAX / 2, Ordering::Release);
    wait_for("the recovery", || log.healthy());
    log.close(LONG).unwrap();
    assert_eq!(lines(&fs::read_to_string(&path).unwrap()).len(), 100);
    assert!(matches!(
        &lock(&changes)[..],
        [Change::Failed { .. }, Change::Recovered]
    ));
}

#[test]
fn an_idle_worker_that_is_gone_is_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let log = file_log(&directory.path().join("audit.ndjson"));
    for id in 0..100 {
        append(&log.handle(), id, None).unwrap();
    }
    log.flush(LONG).unwrap();
    log.flush(LONG).unwrap();
    assert!(lock(&log.shared.workers).is_empty());
    assert_eq!(log.status().dropped, 0);
}

// REQ: L-3
#[test]
fn one_writer_per_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.ndjson");
    let log = file_log(&path);
    let second = Log::open(Config::new(SinkConfig::File(path.clone()))).unwrap_err();
    assert!(matches!(second, OpenError::Locked { .. }));
    let words = second.to_string();
    assert!(
        words.contains(path.to_str().unwrap()) && words.contains("file of its own"),
        "{words}"
    );
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    append(&log.handle(), 1, None).unwrap();
    log.close(LONG).unwrap();
    // The next one goes on behind it, and tells what a killed one has left.
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"half");
    fs::write(&path, &text).unwrap();
    let log = file_log(&path);
    append(&log.handle(), 2, None).unwrap();
    log.close(LONG).unwrap();
    let found = all_lines(&fs::read_to_string(&path).unwrap());
    assert_eq!(found.len(), 4);
    assert_eq!(
        (&found[0]["event"], &found[0]["cut"]),
        (&"start".into(), &Value::Null)
    );
    assert_eq!(
        (&found[2]["event"], &found[2]["cut"]),
        (&"start".into(), &"{\"half".into())
    );
    assert_eq!(found[3]["requestId"], "2");
    let numbers: Vec<_> = found
        .iter()
        .map(|line| line["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, [0, 1, 2, 3]);
}

fn key() -> CheckpointKey {
    CheckpointKey::from_seed(&[7; 32]).unwrap()
}

/// What `palisade audit verify` would say of these files.
fn report(files: &[std::path::PathBuf]) -> crate::ChainReport {
    let mut verifier = crate::Verifier::new(Some(key().public()));
    for file in files {
        let names = [file.to_str().unwrap().to_owned()];
        let source = crate::query::sources(&names).unwrap().pop().unwrap();
        let text = io::BufReader::new(source.open().unwrap());
        verifier.segment(&names[0], text).unwrap();
    }
    verifier.finish()
}

fn files(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

// REQ: L-3, L-4
#[test]
fn a_chain_goes_on_over_files_and_restarts() {
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.ndjson");
        let mut records = 0;
        for _ in 0..3 {
            let mut config = Config::new(SinkConfig::File(path.clone()));
            config.rotation.max_bytes = Some(20_000);
            config.rotation.compression = compression;
            config.flush_interval = Duration::from_millis(1);
            config.key = Some(key());
            let log = Log::open(config).unwrap();
            let handle = log.handle();
            for _ in 0..4 {
                for _ in 0..100 {
                    append(&handle, records, None).unwrap();
                    records += 1;
                }
                log.flush(LONG).unwrap();
            }
            log.close(LONG).unwrap();
        }
        let closed = |files: &[std::path::PathBuf]| {
            let ending = match compression {
                Compression::None => "ndjson",
                Compression::Gzip => "gz",
                Compression::Zstd => "zst",
            };
            let closed = files.iter().filter(|file| **file != path);
            closed.clone().count() > 2
                && closed
                    .clone()
                    .all(|file| file.extension().unwrap() == ending)
        };
        wait_for("the compression", || closed(&files(directory.path())));
        let files = files(directory.path());
        let report = report(&files);
        assert_eq!(report.faults, [], "{files:?}");
        assert_eq!(report.unsealed, 0);
        assert!(report.checkpoints > 3);
        // One start for each run, one line for each new file, and each record once.
        let rotated = files.len() as u64 - 1;
        assert_eq!(report.lines, records + 3 + rotated + report.checkpoints);
        for file in &files {
            let mode = fs::metadata(file).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file:?}");
        }
    }
}

// REQ: L-3
#[test]
fn old_files_are_removed_in_time_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.ndjson");
    let foreign = directory.path().join("audit-mine.ndjson");
    fs::write(&foreign, "x").unwrap();
    let mut config = Config::new(SinkConfig::File(path.clone()));
    config.rotation.max_bytes = Some(1_000);
    config.rotation.keep = Some(2);
    let log = Log::open(config).unwrap();
    for id in 0..50 {
        append(&log.handle(), id, None).unwrap();
        log.flush(LONG).unwrap();
    }
    log.close(LONG).unwrap();
    wait_for("the old files' end", || files(directory.path()).len() == 4);
    assert!(foreign.exists() && path.exists());
    // What is left is whole; what is missing is its beginning.
    let mut left = files(directory.path());
    left.retain(|file| *file != foreign);
    assert_eq!(report(&left).faults, []);
    assert!(report(&left).range.unwrap().0 > 50);
}

// REQ: L-3
#[test]
fn a_file_is_closed_when_it_is_old() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.ndjson");
    let mut config = Config::new(SinkConfig::File(path.clone()));
    config.rotation.max_age = Some(Duration::from_millis(300));
    let log = Log::open(config).unwrap();
    append(&log.handle(), 1, None).unwrap();
    // Nothing comes, and yet.
    wait_for("the second file", || files(directory.path()).len() > 1);
    append(&log.handle(), 2, None).unwrap();
    log.close(LONG).unwrap();
    assert_eq!(report(&files(directory.path())).faults, []);
}

// REQ: L-3, L-4
#[test]
fn a_turn_that_fails_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.ndjson");
    // The name of the new file is taken by what no file can be opened over.
    fs::create_dir(directory.path().join("audit.ndjson.new")).unwrap();
    let changes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&changes);
    let mut config = Config::new(SinkConfig::File(path.clone()));
    config.rotation.max_bytes = Some(1_000);
    config.on_change = Some(Box::new(move |change| lock(&seen).push(change.clone())));
    let log = Log::open(config).unwrap();
    for id in 0..50 {
        append(&log.handle(), id, None).unwrap();
        log.flush(LONG).unwrap();
    }
    assert!(log.healthy());
    log.close(LONG).unwrap();
    assert_eq!(lines(&fs::read_to_string(&path).unwrap()).len(), 50);
    assert!(matches!(
        &lock(&changes)[..],
        [Change::RotationFailed { .. }]
    ));
}

#[test]
fn what_is_no_chain_is_kept_beside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.ndjson");
    fs::write(&path, "{\"old\":1}\n{\"old\":2}\n").unwrap();
    let log = file_log(&path);
    append(&log.handle(), 1, None).unwrap();
    log.close(LONG).unwrap();
    assert_eq!(lines(&fs::read_to_string(&path).unwrap()).len(), 1);
    let mut files = files(directory.path());
    files.retain(|file| *file != path);
    assert_eq!(files.len(), 1);
    assert!(files[0].to_str().unwrap().ends_with("-unchained.ndjson"));
    assert_eq!(
        fs::read_to_string(&files[0]).unwrap(),
        "{\"old\":1}\n{\"old\":2}\n"
    );
}

fn written(ahead: Ahead) -> bool {
    match ahead {
        Ahead::Written => true,
        Ahead::Failed(_) => false,
        Ahead::Waiting(mut ticket) => {
            let mut result = None;
            wait_for("the ticket", || {
                let polled = Future::poll(
                    std::pin::Pin::new(&mut ticket),
                    &mut Context::from_waker(Waker::noop()),
                );
                if let std::task::Poll::Ready(written) = polled {
                    result = Some(written);
                }
                result.is_some()
            });
            result.unwrap()
        }
    }
}

fn intent(handle: &Handle, id: u64, args: Option<&str>) -> Ahead {
    match stage(handle, id, args) {
        Ok(staged) => handle.commit(&staged),
        Err(error) => Ahead::Failed(error),
    }
}

fn stage(handle: &Handle, id: u64, args: Option<&str>) -> Result<Staged, AppendError> {
    let id = id.to_string();
    let mut record = Record::new(UNIX_EPOCH + Duration::from_secs(1_793_404_800), &id);
    record.phase = Some(crate::Phase::Intent);
    record.args = args.map(str::as_bytes);
    handle.stage(&[record], |_| {})
}

// REQ: L-0
#[test]
fn what_is_staged_together_is_written_together_and_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.ndjson");
    let log = file_log(&path);
    let handle = log.handle();
    let ids = || -> Vec<String> {
        let lines = lines(&fs::read_to_string(&path).unwrap());
        let ids = lines.iter().filter_map(|line| line["requestId"].as_str());
        ids.map(str::to_owned).collect()
    };
    let first: Vec<Staged> = (0..3).map(|id| stage(&handle, id, None).unwrap()).collect();
    assert_eq!(ids(), [""; 0]);
    assert!(written(handle.commit(&first[1])));
    assert_eq!(ids(), ["0", "1", "2"]);
    let later = stage(&handle, 3, None).unwrap();
    // What was written is written: nothing is again, and what came later waits for its own turn.
    for staged in &first {
        assert!(written(handle.commit(staged)));
    }
    assert_eq!(ids(), ["0", "1", "2"]);
    assert!(written(handle.commit(&later)));
    assert_eq!(ids(), ["0", "1", "2", "3"]);
    log.close(LONG).unwrap();
}

// REQ: L-0
#[test]
fn an_intent_stands_in_the_file_before_it_says_so() {
    const EACH: u64 = 2_000;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.ndjson");
    let log = file_log(&path);
    thread::scope(|scope| {
        for worker in 0..3_u64 {
            let handle = log.handle();
            let path = &path;
            scope.spawn(move || {
                for at in 0..EACH {
                    let id = worker * EACH + at;
                    assert!(written(intent(&handle, id, None)));
                    if at % 100 == 0 {
                        let text = fs::read_to_string(path).unwrap();
                        assert!(
                            text.contains(&format!("\"requestId\":\"{id}\",\"phase\":\"intent\""))
                        );
                    }
                    append(&handle, id, None).unwrap();
                }
            });
        }
    });
    log.close(LONG).unwrap();
    let lines = lines(&fs::read_to_string(&path).unwrap());
    assert_eq!(lines.len() as u64, 3 * EACH * 2);
    // Each intent before its outcome.
    let mut open = std::collections::HashSet::new();
    for line in lines {
        let id = line["requestId"].as_str().unwrap().to_owned();
        if line["phase"] == "intent" {
            assert!(open.insert(id));
        } else {
            assert!(open.remove(&id), "{line}");
        }
    }
    assert!(open.is_empty());
}

// REQ: L-0, L-3
#[test]
fn an_intent_waits_for_no_sink() {
    let (mut reader, writer) = io::pipe().unwrap();
    let log = over(File::from(std::os::fd::OwnedFd::from(writer)), |_| {});
    let handle = log.handle();
    assert!(written(intent(&handle, 0, None)));
    // More than a pipe takes at once; then more than it holds.
    let args = format!("\"{}\"", "x ".repeat(5_000));
    assert!(written(intent(&handle, 1, Some(&args))));
    for id in 0..20 {
        append(&handle, id, Some(&args)).unwrap();
    }
    log.flush(Duration::from_millis(200)).unwrap_err();
    let start = Instant::now();
    let Ahead::Waiting(mut ticket) = intent(&handle, 2, None) else {
        panic!("the pipe is full");
    };
    assert!(start.elapsed() < Duration::from_secs(5));
    let mut poll = || {
        Future::poll(
            std::pin::Pin::new(&mut ticket),
            &mut Context::from_waker(Waker::noop()),
        )
    };
    assert!(poll().is_pending());
    let reading = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    wait_for("the ticket", || poll() == std::task::Poll::Ready(true));
    log.close(LONG).unwrap();
    drop(handle);
    assert_eq!(lines(&reading.join().unwrap()).len(), 23);
}

// REQ: L-0, L-3
#[test]
fn an_intent_on_a_full_disk_fails_at_once() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let log = over(full, |_| {});
    let handle = log.handle();
    assert!(!written(intent(&handle, 0, None)));
    wait_for("the failure", || !handle.healthy());
    assert!(!written(intent(&handle, 1, None)));
}

// REQ: L-0, L-3
#[test]
fn a_slow_disk_holds_up_a_worker_once() {
    /// Takes its time.
    struct Slow;
    impl Sink for Slow {
        fn name(&self) -> String {
            String::from("slow")
        }
        fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize> {
            thread::sleep(Duration::from_millis(400));
            Ok(lines.iter().map(|lines| lines.len()).sum())
        }
        fn sync(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let log = Log::over(vec![opened(Slow)], Config::new(SinkConfig::Stdout)).unwrap();
    let handle = log.handle();
    log.flush(LONG).unwrap();
    let mut held_up = 0;
    for id in 0..8 {
        let start = Instant::now();
        let ahead = intent(&handle, id, None);
        held_up += u32::from(start.elapsed() > Duration::from_millis(300));
        assert!(written(ahead));
    }
    assert!(held_up <= 1, "{held_up} times");
}

// REQ: L-1, L-3
#[test]
fn what_anybody_can_cause_leaves_room_and_health() {
    let (reader, writer) = io::pipe().unwrap();
    let log = over(File::from(std::os::fd::OwnedFd::from(writer)), |config| {
        config.buffer_max = 1024 * 1024;
        config.stall = LONG;
    });
    let handle = log.handle();
    let args = format!("\"{}\"", "x ".repeat(10_000));
    let mut record = Record::new(UNIX_EPOCH, "refused");
    record.args = Some(args.as_bytes());
    // As much again may be with the writer.
    wait_for("the bound", || {
        handle.append_minor(&record).is_err() && handle.append_minor(&record).is_err()
    });
    assert!(handle.healthy());
    assert!(log.status().dropped >= 2);
    for id in 0..10 {
        append(&handle, id, Some(&args)).unwrap();
    }
    assert!(handle.healthy());
    drop(reader);
}

// REQ: L-3
#[test]
fn several_sinks_hold_the_same_lines_and_none_waits_for_another() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.ndjson");
    let (mut reader, writer) = io::pipe().unwrap();
    let pipe = DescriptorSink::over(File::from(std::os::fd::OwnedFd::from(writer)));
    let mut config = Config::new(SinkConfig::File(path.clone()));
    config.buffer_max = 1024 * 1024;
    config.stall = Duration::from_millis(300);
    let file = sink::open(&config.sinks[0], &config.rotation, false).unwrap();
    let log = Log::over(vec![opened(pipe), file], config).unwrap();
    let handle = log.handle();
    let args = format!("\"{}\"", "x ".repeat(20_000));
    // Far more than the pipe and its backlog hold.
    for id in 0..100 {
        wait_for("the file", || append(&handle, id, Some(&args)).is_ok());
        wait_for("the file", || {
            fs::metadata(&path).unwrap().len() > id * 40_000
        });
    }
    assert!(!log.healthy(), "one of them is stuck");
    let in_file = || all_lines(&fs::read_to_string(&path).unwrap());
    wait_for("the file", || in_file().len() >= 101);
    let reading = thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    wait_for("the pipe", || log.healthy());
    append(&handle, 1_000, None).unwrap();
    log.close(LONG).unwrap();
    drop(handle);
    let in_pipe = reading.join().unwrap();
    let in_file = in_file();
    let gap = in_file.iter().find(|line| line["event"] == "gap").unwrap();
    assert_eq!(gap["sink"], "stdout");
    let (from, to) = (gap["from"].as_u64().unwrap(), gap["to"].as_u64().unwrap());
    assert_eq!(gap["dropped"].as_u64().unwrap(), to - from + 1);
    assert_eq!(
        in_pipe.lines().count() as u64 + (to - from + 1),
        in_file.len() as u64
    );
    // And the chain names the place.
    let mut verifier = crate::Verifier::new(None);
    verifier.segment("pipe", in_pipe.as_bytes()).unwrap();
    let faults = verifier.finish().faults;
    let removed = crate::Damage::Removed { from, to };
    assert!(
        matches!(&faults[..], [fault] if fault.damage == removed),
        "{faults:?}"
    );
}

#[test]
fn a_file_that_cannot_be_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing").join("audit.ndjson");
    let words = Log::open(Config::new(SinkConfig::File(missing.clone())))
        .unwrap_err()
        .to_string();
    assert!(
        words.contains(missing.to_str().unwrap()) && words.contains("directory"),
        "{words}"
    );
    for path in [directory.path(), Path::new("/dev/full")] {
        let error = Log::open(Config::new(SinkConfig::File(path.to_owned()))).unwrap_err();
        assert!(matches!(error, OpenError::NotAFile { .. }));
        assert!(error.to_string().contains(path.to_str().unwrap()));
    }
}

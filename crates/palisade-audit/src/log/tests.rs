//! The log over real descriptors: files, pipes, a device that is always full.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IoSlice, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::UNIX_EPOCH;

use serde_json::Value;

use super::*;
use crate::sink::DescriptorSink;

const LONG: Duration = Duration::from_secs(60);

fn file_log(path: &Path) -> Log {
    Log::open(Config::new(SinkConfig::File(path.to_owned()))).unwrap()
}

fn over(file: File, change: impl FnOnce(&mut Config)) -> Log {
    let mut config = Config::new(SinkConfig::Stdout);
    change(&mut config);
    Log::over(Box::new(DescriptorSink::over(file)), config).unwrap()
}

fn append(handle: &Handle, id: u64, args: Option<&str>) -> Result<(), AppendError> {
    let id = id.to_string();
    let mut record = Record::new(UNIX_EPOCH + Duration::from_secs(1_793_404_800), &id);
    record.args = args.map(str::as_bytes);
    handle.append(&record)
}

fn lines(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'));
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
    for line in text.lines() {
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
    let log = Log::over(Box::new(Counting(Arc::clone(&writes))), config).unwrap();
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
    assert!(handle.healthy());
    append(&handle, 0, None).unwrap();
    wait_for("the failure", || !handle.healthy());
    assert!(log.status().error.unwrap().contains("No space left"));
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
    let log = Log::over(
        Box::new(Stingy {
            taken: Arc::clone(&taken),
            calls: 0,
        }),
        config,
    )
    .unwrap();
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
    let log = Log::over(Box::new(disk), config).unwrap();
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
    // The next one goes on behind it, and behind what a killed one left.
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"half");
    fs::write(&path, &text).unwrap();
    let log = file_log(&path);
    append(&log.handle(), 2, None).unwrap();
    log.close(LONG).unwrap();
    let found: Vec<_> = BufReader::new(File::open(&path).unwrap())
        .lines()
        .map(Result::unwrap)
        .collect();
    assert_eq!(found.len(), 3);
    assert_eq!(found[1], "{\"half");
    assert!(found[2].contains("\"requestId\":\"2\""));
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

//! Sinks over the network: what is acknowledged, waited for, missed and told.

use super::*;
use crate::sink::{Batch, Deliver, DeliverError, DeliverErrorKind, Delivered, Remote};

/// The other side: what it has, and how it answers.
#[derive(Clone, Default)]
struct Side(Arc<(Mutex<Store>, Condvar)>);

#[derive(Default)]
struct Store {
    text: String,
    batches: Vec<(u64, u64)>,
    tries: usize,
    answer: Answer,
}

#[derive(Clone, Copy, Default)]
enum Answer {
    Fails(DeliverErrorKind),
    #[default]
    Has,
    /// Not before it is told to do something else.
    Hangs,
    /// More bytes than this are too many.
    OfAtMost(usize),
    RejectsOne,
}

impl Side {
    fn set(&self, answer: Answer) {
        lock(&self.0.0).answer = answer;
        self.0.1.notify_all();
    }

    fn text(&self) -> String {
        lock(&self.0.0).text.clone()
    }

    fn tries(&self) -> usize {
        lock(&self.0.0).tries
    }

    fn batches(&self) -> Vec<(u64, u64)> {
        lock(&self.0.0).batches.clone()
    }

    fn remote(&self) -> Remote {
        let mut remote = Remote::new("there", Box::new(self.clone()));
        remote.every = Duration::from_millis(20);
        remote
    }

    fn alone(&self) -> Log {
        let mut config = Config::new(Vec::new());
        config.remotes = vec![self.remote()];
        Log::open(config).unwrap()
    }
}

impl Deliver for Side {
    fn deliver(&mut self, batch: &Batch<'_>) -> Result<Delivered, DeliverError> {
        let mut store = lock(&self.0.0);
        store.tries += 1;
        while matches!(store.answer, Answer::Hangs) {
            store = self.0.1.wait(store).unwrap();
        }
        let error = |kind| {
            Err(DeliverError {
                cause: "it does not want to; ask it why".to_owned(),
                kind,
            })
        };
        let rejected = match store.answer {
            Answer::Fails(kind) => return error(kind),
            Answer::OfAtMost(most) if batch.lines.len() > most => {
                return error(DeliverErrorKind::TooLarge);
            }
            Answer::RejectsOne => Some((1, "one is wrong".to_owned())),
            Answer::Has | Answer::Hangs | Answer::OfAtMost(_) => None,
        };
        if rejected.is_none() {
            let text = std::str::from_utf8(batch.lines).unwrap();
            assert!(text.ends_with('\n'));
            store.text.push_str(text);
            store.batches.push((batch.first, batch.last));
        }
        Ok(Delivered { rejected })
    }
}

const PASSING: Answer = Answer::Fails(DeliverErrorKind::Passing(None));

fn settled(ticket: &mut Ticket) -> Option<bool> {
    let mut context = Context::from_waker(Waker::noop());
    match Future::poll(std::pin::Pin::new(ticket), &mut context) {
        std::task::Poll::Ready(written) => Some(written),
        std::task::Poll::Pending => None,
    }
}

fn waiting(ahead: Ahead) -> Ticket {
    match ahead {
        Ahead::Waiting(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

// REQ: L-0, L-3
#[test]
fn alone_what_is_written_ahead_waits_until_the_other_side_has_it() {
    let side = Side::default();
    let log = side.alone();
    let handle = log.handle();
    wait_for("the first", || side.batches().len() == 1);
    side.set(Answer::Hangs);
    let mut ticket = waiting(intent(&handle, 1, None));
    wait_for("the batch", || side.tries() > 1);
    assert_eq!(settled(&mut ticket), None);
    assert!(!side.text().contains("\"requestId\":\"1\""));
    side.set(Answer::Has);
    wait_for("the word", || settled(&mut ticket) == Some(true));
    assert!(side.text().contains("\"requestId\":\"1\""));
    append(&handle, 2, None).unwrap();
    log.close(LONG).unwrap();
    assert_eq!(lines(&side.text()).len(), 2);
}

// REQ: L-3
#[test]
fn alone_a_side_that_fails_fails_the_log_until_it_takes_lines_again() {
    for kind in [
        DeliverErrorKind::Passing(None),
        DeliverErrorKind::Passing(Some(Duration::from_secs(2))),
        DeliverErrorKind::Lasting,
    ] {
        let side = Side::default();
        side.set(Answer::Fails(kind));
        let log = side.alone();
        let handle = log.handle();
        wait_for("the failure", || !log.healthy());
        assert!(log.status().error.unwrap().contains("there: it does not"));
        assert!(!written(intent(&handle, 1, None)));
        side.set(Answer::Has);
        wait_for("the end of it", || log.healthy());
        assert!(written(intent(&handle, 2, None)));
        log.close(LONG).unwrap();
        // What was refused has been written after all, and nothing twice.
        assert_eq!(lines(&side.text()).len(), 2);
    }
}

// REQ: L-3
#[test]
fn alone_a_side_that_answers_nothing_makes_the_log_unhealthy() {
    let side = Side::default();
    side.set(Answer::Hangs);
    let mut config = Config::new(Vec::new());
    config.remotes = vec![side.remote()];
    config.stall = Duration::from_millis(200);
    let log = Log::open(config).unwrap();
    wait_for("the stall", || !log.healthy());
    side.set(Answer::Has);
    wait_for("the end of it", || log.healthy());
    log.close(LONG).unwrap();
}

// REQ: L-3
#[test]
fn lines_that_wait_for_others_are_no_failure() {
    let side = Side::default();
    let mut config = Config::new(Vec::new());
    let mut remote = side.remote();
    remote.every = Duration::from_millis(400);
    config.remotes = vec![remote];
    config.stall = Duration::from_millis(50);
    let log = Log::open(config).unwrap();
    let handle = log.handle();
    wait_for("the first", || side.batches().len() == 1);
    append(&handle, 1, None).unwrap();
    while side.batches().len() == 1 {
        assert!(log.healthy());
        thread::sleep(Duration::from_millis(5));
    }
    // Who waits is not kept waiting for them.
    append(&handle, 2, None).unwrap();
    assert!(written(intent(&handle, 3, None)));
    log.close(LONG).unwrap();
    assert_eq!(lines(&side.text()).len(), 3);
}

// REQ: L-3
#[test]
fn a_batch_that_is_too_large_comes_in_parts() {
    let side = Side::default();
    let log = side.alone();
    let handle = log.handle();
    side.set(Answer::Hangs);
    for id in 0..100 {
        append(&handle, id, None).unwrap();
    }
    side.set(Answer::OfAtMost(1_000));
    log.close(LONG).unwrap();
    assert!(side.batches().len() >= 20);
    assert_eq!(lines(&side.text()).len(), 100);
}

// REQ: L-3
#[test]
fn what_the_other_side_rejects_is_told() {
    let side = Side::default();
    let log = side.alone();
    let handle = log.handle();
    wait_for("the first", || side.batches().len() == 1);
    side.set(Answer::RejectsOne);
    assert!(!written(intent(&handle, 1, None)));
    wait_for("the failure", || !log.healthy());
    side.set(Answer::Has);
    wait_for("the end of it", || log.healthy());
    log.close(LONG).unwrap();
    let text = side.text();
    let gap = text.lines().find(|line| line.contains("\"gap\"")).unwrap();
    let gap: Value = serde_json::from_str(gap).unwrap();
    assert_eq!(
        (&gap["sink"], &gap["dropped"]),
        (&"there".into(), &1.into())
    );
    assert!(!text.contains("\"requestId\":\"1\""));
}

// REQ: L-3
#[test]
fn beside_a_file_it_is_waited_for_by_nothing_and_misses_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.ndjson");
    let side = Side::default();
    side.set(PASSING);
    let mut config = Config::new(SinkConfig::File(path.clone()));
    config.remotes = vec![side.remote()];
    config.buffer_max = 1024 * 1024;
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    config.on_change = Some(Box::new(move |change| lock(&tell).push(change.clone())));
    let log = Log::open(config).unwrap();
    let handle = log.handle();
    let args = format!("\"{}\"", "x ".repeat(20_000));
    for id in 0..100 {
        assert!(written(intent(&handle, id, Some(&args))));
        assert!(log.healthy());
    }
    wait_for("the word", || !lock(&told).is_empty());
    assert!(matches!(&lock(&told)[0], Change::Delayed { sink, error }
        if sink == "there" && error.contains("it does not want to")));
    side.set(Answer::Has);
    wait_for("the end of it", || {
        matches!(lock(&told).last(), Some(Change::CaughtUp { .. }))
    });
    wait_for("the gap", || side.text().contains("\"gap\""));
    append(&handle, 100, None).unwrap();
    log.close(LONG).unwrap();
    let in_file = all_lines(&fs::read_to_string(&path).unwrap());
    let gaps: Vec<_> = in_file.iter().filter(|l| l["event"] == "gap").collect();
    let [gap] = gaps[..] else { panic!("{gaps:?}") };
    let (from, to) = (gap["from"].as_u64().unwrap(), gap["to"].as_u64().unwrap());
    assert_eq!(gap["dropped"].as_u64().unwrap(), to - from + 1);
    assert_eq!(
        side.text().lines().count() as u64 + (to - from + 1),
        in_file.len() as u64
    );
    let mut verifier = crate::Verifier::new(None);
    verifier.segment("there", side.text().as_bytes()).unwrap();
    let faults = verifier.finish().faults;
    let removed = crate::Damage::Removed { from, to };
    assert!(
        matches!(&faults[..], [fault] if fault.damage == removed),
        "{faults:?}"
    );
}

// REQ: L-3, L-4
#[test]
fn each_batch_ends_with_a_checkpoint_where_that_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.ndjson");
    let side = Side::default();
    let mut config = Config::new(SinkConfig::File(path));
    let mut remote = side.remote();
    remote.seals = true;
    config.remotes = vec![remote];
    config.key = Some(CheckpointKey::generate().unwrap());
    let log = Log::open(config).unwrap();
    let handle = log.handle();
    for round in 0..5 {
        let before = side.batches().len();
        for id in 0..10 {
            append(&handle, round * 10 + id, None).unwrap();
            assert!(written(intent(&handle, 1_000 + round * 10 + id, None)));
        }
        wait_for("a batch", || side.batches().len() > before);
    }
    log.close(LONG).unwrap();
    let text = side.text();
    assert_eq!(lines(&text).len(), 100);
    let all = all_lines(&text);
    for (_, last) in side.batches() {
        let line = all.iter().find(|line| line["seq"] == last).unwrap();
        assert_eq!(line["event"], "checkpoint");
    }
}

// REQ: L-0
#[test]
fn buffered_waits_for_nothing_and_synced_for_the_disk_once_for_many() {
    /// Counts its syncs, which take their time.
    struct Disk(Arc<AtomicUsize>, File);
    impl Sink for Disk {
        fn name(&self) -> String {
            "disk".to_owned()
        }
        fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize> {
            io::Write::write_vectored(&mut self.1, lines)
        }
        fn sync(&mut self) -> io::Result<()> {
            thread::sleep(Duration::from_millis(30));
            self.0.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    }
    for durability in [
        Durability::Buffered,
        Durability::Written,
        Durability::Synced,
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.ndjson");
        let syncs = Arc::new(AtomicUsize::new(0));
        let disk = Disk(Arc::clone(&syncs), File::create(&path).unwrap());
        let mut config = Config::new(SinkConfig::Stdout);
        config.durability = durability;
        let log = Log::over(vec![opened(disk)], config).unwrap();
        let handles: Vec<_> = (0..4).map(|_| log.handle()).collect();
        let mut tickets = Vec::new();
        for id in 0..100 {
            match intent(&handles[id % 4], id as u64, None) {
                Ahead::Waiting(ticket) => tickets.push(ticket),
                Ahead::Written => assert_ne!(durability, Durability::Synced),
                Ahead::Failed(error) => panic!("{error}"),
            }
        }
        if durability == Durability::Synced {
            assert_eq!(tickets.len(), 100);
            for ticket in &mut tickets {
                wait_for("the disk", || settled(ticket) == Some(true));
            }
            let syncs = syncs.load(Ordering::SeqCst);
            assert!((1..=50).contains(&syncs), "{syncs}");
            assert_eq!(lines(&fs::read_to_string(&path).unwrap()).len(), 100);
        } else {
            assert_eq!(syncs.load(Ordering::SeqCst), 0);
        }
        log.close(LONG).unwrap();
        assert_eq!(lines(&fs::read_to_string(&path).unwrap()).len(), 100);
    }
}

// REQ: L-0, L-3
#[test]
fn a_disk_that_does_not_sync_fails_the_intent() {
    /// Takes everything and keeps nothing.
    struct Broken(Arc<std::sync::atomic::AtomicBool>);
    impl Sink for Broken {
        fn name(&self) -> String {
            "disk".to_owned()
        }
        fn write(&mut self, lines: &[IoSlice<'_>]) -> io::Result<usize> {
            Ok(lines.iter().map(|lines| lines.len()).sum())
        }
        fn sync(&mut self) -> io::Result<()> {
            if self.0.load(Ordering::SeqCst) {
                return Ok(());
            }
            Err(io::Error::other("the disk is broken"))
        }
    }
    let mended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut config = Config::new(SinkConfig::Stdout);
    config.durability = Durability::Synced;
    let log = Log::over(vec![opened(Broken(Arc::clone(&mended)))], config).unwrap();
    let handle = log.handle();
    assert!(!written(intent(&handle, 1, None)));
    wait_for("the failure", || {
        !log.healthy() && log.status().error.is_some()
    });
    mended.store(true, Ordering::SeqCst);
    wait_for("the end of it", || {
        written(intent(&handle, 2, None)) && log.healthy()
    });
    log.close(LONG).unwrap();
}

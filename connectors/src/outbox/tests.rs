//! The log and its readers, by their facts.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::*;
use crate::intake::{Stopper, arrival_time, stop_pair};
use crate::journal::receipts::Receipts;
use crate::journal::{Entries, Journal, JournalError, Position, WriteBatch};
use crate::outbox::cursor::CursorFile;
use crate::sinks::tests::event;
use crate::sinks::{Delivered, Order, Outgoing, Sink, SinkError};

/// What a receiver of the tests does, from outside.
#[derive(Clone, Default)]
struct Receiver {
    away: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
    refuses: Arc<Mutex<Option<String>>>,
    got: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn got(&self) -> Vec<String> {
        self.got.lock().expect("not poisoned").clone()
    }

    fn reader(&self, name: &str, remembers: bool, give_up_after: Duration) -> Reader {
        let sink = TestSink { name: name.to_owned(), remembers, receiver: self.clone() };
        Reader::of(Box::new(sink)).with(remembers, give_up_after)
    }
}

struct TestSink {
    name: String,
    remembers: bool,
    receiver: Receiver,
}

impl Sink for TestSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
        Box::pin(async move {
            if self.receiver.away.load(Ordering::SeqCst) {
                return Err(SinkError::unavailable(&self.name, "nobody answers"));
            }
            if self.receiver.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            let refused = self.receiver.refuses.lock().expect("not poisoned").clone();
            if let Some(key) = refused.filter(|key| events.iter().any(|outgoing| outgoing.event.key() == *key)) {
                return Err(SinkError::Refused { sink: self.name.clone(), key, reason: "too large".to_owned() });
            }
            let mut got = self.receiver.got.lock().expect("not poisoned");
            let had = got.len();
            for outgoing in events {
                let key = outgoing.event.key();
                if !(self.remembers && got.contains(&key)) {
                    got.push(key);
                }
            }
            let sent = (got.len() - had) as u64;
            Ok(Delivered { sent, skipped: events.len() as u64 - sent })
        })
    }
}

const LONG: Duration = Duration::from_secs(3_600);

fn config() -> IncidentLogConfig {
    IncidentLogConfig::default()
}

/// A log with its readers, running.
struct Rig {
    outbox: Option<Outbox>,
    logged: watch::Receiver<LogPosition>,
    appender: JoinHandle<Result<(), OutboxError>>,
    running: Vec<JoinHandle<ReaderTotals>>,
    notices: mpsc::Receiver<Notice>,
    readers: Readers,
    log: IncidentLog,
    end: watch::Sender<Option<Position>>,
    stoppers: (Stopper, Stopper),
}

impl Rig {
    fn start(dir: &Path, config: &IncidentLogConfig, readers: Vec<Reader>) -> Rig {
        let log = IncidentLog::open(config, &dir.join("log")).expect("opens");
        Rig::over(log, dir, readers)
    }

    fn over(log: IncidentLog, dir: &Path, all: Vec<Reader>) -> Rig {
        let cursors = dir.join("readers");
        std::fs::create_dir_all(&cursors).expect("a folder");
        let (readers, notices) = Readers::of(&log);
        let (end, seen) = watch::channel(None);
        let (patience_ends, patience) = stop_pair();
        let (abandon, hard) = stop_pair();
        let deadline = Deadline { patience, hard };
        let kept = (!log.is_in_memory()).then_some(cursors.as_path());
        let start = |reader: Reader| {
            let delivery = reader.begin(&log, &readers, kept, seen.clone(), deadline.clone(), |_| ());
            tokio::spawn(delivery.expect("the disk takes its cursor"))
        };
        let running = all.into_iter().map(start).collect();
        let (outbox, logged, appending) =
            Outbox::begin(log.clone(), readers.clone(), LogPosition::default(), deadline.hard.clone());
        let appender = tokio::spawn(appending);
        let stoppers = (patience_ends, abandon);
        Rig { outbox: Some(outbox), logged, appender, running, notices, readers, log, end, stoppers }
    }

    /// What journal entry `position` gave, logged when this returns.
    async fn tell(&mut self, position: u64, events: Vec<Outgoing>) {
        let position = LogPosition { journal: Position(position), finished: false };
        let events = events.into_iter().map(|outgoing| outgoing.event).collect();
        tokio::task::block_in_place(|| {
            assert!(self.outbox.as_ref().expect("it runs").tell(Folded { position, events }));
        });
        self.logged.wait_for(|logged| *logged >= position).await.expect("logged");
    }

    /// Ends in order; readers that cannot deliver are not waited for.
    async fn end(mut self) -> Vec<ReaderTotals> {
        self.outbox = None;
        self.appender.await.expect("no panic").expect("no error");
        self.end.send_replace(Some(self.log.end()));
        self.stoppers.0.stop();
        let mut totals = Vec::new();
        for reader in self.running {
            totals.push(reader.await.expect("no panic"));
        }
        totals
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what} never came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn keys(events: &[(u64, u64)]) -> Vec<String> {
    events.iter().map(|(incident, revision)| event("acme", *incident, *revision).event.key()).collect()
}

#[test]
fn an_event_comes_back_as_it_was() {
    let mut outgoing = event("acme", 1, 7);
    let mut told = (*outgoing.event).clone();
    told.record.title = "naïve – 測試 \u{202e}".to_owned();
    outgoing.event = told.into();
    let at = EventTime::from_secs(7);
    let bytes = record::encode(outgoing.position, at, 100, &outgoing.event);
    let logged = record::decode(Position(3), &bytes).expect("reads");
    assert_eq!((logged.outgoing, logged.at), (outgoing, at));
    assert_eq!((logged.bytes_before, logged.bytes_upto), (100, 100 + bytes.len() as u64));
    let error = record::decode(Position(3), &bytes[..bytes.len() - 1]).expect_err("cut short").to_string();
    assert!(error.contains("record 3"), "{error}");
}

#[tokio::test]
async fn where_a_new_reader_begins_is_on_disk_before_anything_is_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let rig = Rig::start(dir.path(), &config(), vec![Receiver::default().reader("new", false, LONG)]);
    // Its task has had no turn yet.
    let cursor = CursorFile::new(&dir.path().join("readers"), "new").load().expect("reads").expect("it is kept");
    assert_eq!(Position(cursor.position), rig.log.end());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_restarted_engine_tells_again_is_in_the_log_once_and_a_reader_goes_on_at_its_cursor() {
    let dir = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::default();
    let mut rig = Rig::start(dir.path(), &config(), vec![receiver.reader("r", false, LONG)]);
    for position in 1..=3 {
        rig.tell(position, vec![event("acme", 1, position)]).await;
    }
    let totals = rig.end().await;
    assert_eq!((totals[0].sent, totals[0].left), (3, 0));

    let mut rig = Rig::start(dir.path(), &config(), vec![receiver.reader("r", false, LONG)]);
    for position in 2..=5 {
        rig.tell(position, vec![event("acme", 1, position)]).await;
    }
    let totals = rig.end().await;
    assert_eq!((totals[0].sent, totals[0].left), (2, 0));
    assert_eq!(receiver.got(), keys(&[(1, 1), (1, 2), (1, 3), (1, 4), (1, 5)]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_away_delays_itself_alone_and_misses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let (near, far) = (Receiver::default(), Receiver::default());
    far.away.store(true, Ordering::SeqCst);
    let sinks = vec![far.reader("far", true, LONG), near.reader("near", true, LONG)];
    let mut rig = Rig::start(dir.path(), &config(), sinks);
    for position in 1..=40 {
        rig.tell(position, vec![event("acme", position % 3, position)]).await;
    }
    until("the near one's events", || near.got().len() == 40).await;
    assert!(far.got().is_empty());
    until("the near one's cursor", || {
        exposition(std::slice::from_ref(&rig.readers)).contains("bellwether_reader_lag_records{reader=\"near\"} 0\n")
    })
    .await;
    let text = exposition(std::slice::from_ref(&rig.readers));
    assert!(!text.contains("bellwether_reader_lag_records{reader=\"far\"} 0\n"), "{text}");
    let lag = |name: &str| {
        let all = statuses(&dir.path().join("readers"), &dir.path().join("log")).expect("reads");
        let of = all.into_iter().find(|status| status.reader == name).expect("it has a cursor");
        (of.behind_records, of.behind_bytes, of.behind_since)
    };
    let (records, bytes, since) = lag("far");
    assert!((40..=80).contains(&records) && bytes > 40 * 100, "{records} records, {bytes} bytes");
    let waits = arrival_time().since(since.expect("something waits"));
    assert!((0..20).contains(&(waits.0 / 1_000_000_000)), "{waits:?}");
    assert!(text.contains(&format!("bellwether_reader_lag_bytes{{reader=\"far\"}} {bytes}\n")), "{text}");
    until("it has waited for a second", || {
        exposition(std::slice::from_ref(&rig.readers)).contains("bellwether_reader_lag_seconds{reader=\"far\"} 1\n")
    })
    .await;
    far.away.store(false, Ordering::SeqCst);
    until("the far one's events", || far.got().len() == 40).await;
    assert_eq!(far.got(), near.got());
    until("nothing is left", || lag("far").1 == 0 && lag("near").1 == 0).await;
    until("nothing waits", || {
        exposition(std::slice::from_ref(&rig.readers)).contains("bellwether_reader_lag_seconds{reader=\"far\"} 0\n")
    })
    .await;
    assert!(rig.end().await.iter().all(|totals| totals.left == 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_giving_up_a_reader_is_parked_and_told_across_restarts_until_a_person_asks() {
    let dir = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::default();
    receiver.away.store(true, Ordering::SeqCst);
    let soon = Duration::from_millis(150);
    let mut rig = Rig::start(dir.path(), &config(), vec![receiver.reader("r", false, soon)]);
    rig.tell(1, vec![event("acme", 1, 1)]).await;
    let notice = rig.notices.recv().await.expect("it is told");
    assert!(notice.parked.expect("parked").contains("nobody answers"));
    assert_eq!(rig.readers.parked(), ["r"]);
    let totals = rig.end().await;
    assert_eq!(totals[0].left, 1);

    receiver.away.store(false, Ordering::SeqCst);
    let mut rig = Rig::start(dir.path(), &config(), vec![receiver.reader("r", false, soon)]);
    assert!(rig.notices.recv().await.expect("told again").parked.is_some());
    rig.tell(2, vec![event("acme", 1, 2)]).await;
    let status = statuses(&dir.path().join("readers"), &dir.path().join("log")).expect("reads");
    assert_eq!((status[0].behind_records, status[0].cursor.as_ref().expect("is there").position), (2, 0));
    assert!(status[0].behind_since.is_some());
    assert!(receiver.got().is_empty());
    Request::Retry.leave(&dir.path().join("readers"), "r").expect("left");
    assert_eq!(rig.notices.recv().await.expect("told"), Notice { reader: "r".to_owned(), parked: None });
    until("its events", || receiver.got().len() == 2).await;
    assert_eq!(rig.end().await[0].left, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_that_says_nothing_of_the_log_is_named_and_nothing_is_skipped_or_doubled_by_itself() {
    for wrong in ["damaged", "ahead", "other"] {
        let dir = tempfile::tempdir().expect("a folder");
        let readers = dir.path().join("readers");
        let (forgets, knows) = (Receiver::default(), Receiver::default());
        let sinks = || vec![forgets.reader("forgets", false, LONG), knows.reader("knows", true, LONG)];
        let mut rig = Rig::start(dir.path(), &config(), sinks());
        rig.tell(1, vec![event("acme", 1, 1)]).await;
        rig.tell(2, vec![event("acme", 1, 2)]).await;
        rig.end().await;
        for reader in ["forgets", "knows"] {
            let file = CursorFile::new(&readers, reader);
            let cursor = file.load().expect("reads").expect("is there");
            match wrong {
                "damaged" => {
                    std::fs::write(readers.join(format!("{reader}.cursor")), "00000000 {}\n").expect("written")
                }
                "ahead" => file.save(&Cursor { position: 99, ..cursor }).expect("saved"),
                _ => file.save(&Cursor { log: "another".to_owned(), ..cursor }).expect("saved"),
            }
        }
        let before = std::fs::read(readers.join("forgets.cursor")).expect("bytes");

        let mut rig = Rig::start(dir.path(), &config(), sinks());
        let notice = rig.notices.recv().await.expect("it is told");
        assert_eq!(notice.reader, "forgets");
        let reason = notice.parked.expect("parked");
        assert!(reason.contains("bellwether sinks skip forgets --until"), "{wrong}: {reason}");
        rig.tell(3, vec![event("acme", 1, 3)]).await;
        until("what the other lacks", || knows.got().len() == 3).await;
        assert_eq!(forgets.got().len(), 2, "{wrong}");
        assert_eq!(std::fs::read(readers.join("forgets.cursor")).expect("bytes"), before, "{wrong}: it stays as it is");
        Request::Skip { until: Until::Record(2) }.leave(&readers, "forgets").expect("left");
        until("what comes after", || forgets.got().len() == 3).await;
        assert_eq!(forgets.got(), knows.got(), "{wrong}");
        rig.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_log_parks_the_reader_furthest_behind_and_the_rest_go_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let (near, far) = (Receiver::default(), Receiver::default());
    far.away.store(true, Ordering::SeqCst);
    let small =
        IncidentLogConfig { segment_bytes: 4 << 10, retain_bytes: 8 << 10, capacity_bytes: 32 << 10, ..config() };
    let sinks = || vec![far.reader("far", true, LONG), near.reader("near", true, LONG)];
    let mut rig = Rig::start(dir.path(), &small, sinks());
    for position in 1..=300 {
        rig.tell(position, vec![event("acme", 1, position)]).await;
    }
    until("the near one's events", || near.got().len() == 300).await;
    let notice = rig.notices.recv().await.expect("it is told");
    assert_eq!(notice.reader, "far");
    let used: u64 = std::fs::read_dir(dir.path().join("log"))
        .expect("a folder")
        .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
        .sum();
    assert!(used <= small.capacity_bytes + (2 << 20), "{used} bytes");
    far.away.store(false, Ordering::SeqCst);

    Request::Retry.leave(&dir.path().join("readers"), "far").expect("left");
    let again = rig.notices.recv().await.expect("it goes on");
    assert_eq!(again.parked, None);
    let gone = rig.notices.recv().await.expect("what it wants is gone").parked.expect("parked");
    assert!(gone.contains("are gone") && gone.contains("--until oldest"), "{gone}");
    assert!(far.got().is_empty(), "nothing is skipped by itself");
    Request::Skip { until: Until::Oldest }.leave(&dir.path().join("readers"), "far").expect("left");
    until("what is kept", || far.got().last() == near.got().last()).await;
    let near_keys: BTreeSet<String> = near.got().into_iter().collect();
    assert!(far.got().iter().all(|key| near_keys.contains(key)));
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_is_refused_for_good_is_set_aside_and_the_rest_arrive() {
    let dir = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::default();
    let key = event("acme", 1, 2).event.key();
    *receiver.refuses.lock().expect("not poisoned") = Some(key.clone());
    let mut rig = Rig::start(dir.path(), &config(), vec![receiver.reader("r", false, LONG)]);
    rig.tell(1, vec![event("acme", 1, 1), event("acme", 1, 2), event("acme", 1, 3)]).await;
    until("the rest", || receiver.got().len() == 2).await;
    assert_eq!(receiver.got(), keys(&[(1, 1), (1, 3)]));
    assert_eq!(rig.end().await[0].left, 0);
    let letters = std::fs::read_to_string(dir.path().join("readers/dead-letters/r.ndjson")).expect("kept");
    assert!(letters.lines().count() == 1 && letters.contains(&key) && letters.contains("too large"), "{letters}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_wants_the_newest_gets_those_of_what_waits_and_its_cursor_moves_past_all() {
    let dir = tempfile::tempdir().expect("a folder");
    let (newest, every) = (Receiver::default(), Receiver::default());
    let sinks = || {
        let wants_newest = newest.reader("newest", true, LONG).with_order(Order::Newest);
        vec![wants_newest, every.reader("every", true, LONG)]
    };
    newest.away.store(true, Ordering::SeqCst);
    let mut rig = Rig::start(dir.path(), &config(), sinks());
    let (first, second) = ([(1, 1), (2, 1), (1, 2), (1, 3)], [(2, 2), (1, 4)]);
    rig.tell(1, first.iter().map(|(incident, revision)| event("acme", *incident, *revision)).collect()).await;
    until("each revision", || every.got().len() == 4).await;
    let totals = rig.end().await;
    assert_eq!((totals[0].left, totals[1].left), (4, 0), "nothing is passed over before it is delivered");

    newest.away.store(false, Ordering::SeqCst);
    let mut rig = Rig::start(dir.path(), &config(), sinks());
    until("the newest", || newest.got().len() == 2).await;
    assert_eq!(newest.got(), keys(&[(2, 1), (1, 3)]));
    rig.tell(2, second.iter().map(|(incident, revision)| event("acme", *incident, *revision)).collect()).await;
    until("what came after", || newest.got().len() == 4).await;
    let totals = rig.end().await;
    assert_eq!((totals[0].sent, totals[0].skipped, totals[0].left), (4, 2, 0));
    assert_eq!(every.got(), keys(&[&first[..], &second[..]].concat()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_ends_before_a_checkpoint_is_refused_and_an_empty_one_is_taken_for_the_first() {
    let dir = tempfile::tempdir().expect("a folder");
    let rig = Rig::start(dir.path(), &config(), Vec::new());
    assert!(rig.log.check_covers(Position(7), Position(7)).is_ok(), "nobody has written it");
    let mut rig = rig;
    rig.tell(3, Vec::new()).await;
    let error = rig.log.check_covers(Position(7), Position(9)).expect_err("it lacks what the checkpoint counts on");
    let error = error.to_string();
    assert!(error.contains("position 3") && error.contains("aside"), "{error}");
    assert!(rig.log.check_covers(Position(3), Position(3)).is_ok());
    let error = rig.log.check_covers(Position(0), Position(2)).expect_err("it is of another journal");
    let error = error.to_string();
    assert!(error.contains("journal ends at 2") && error.contains("aside"), "{error}");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_receiver_that_remembers_gets_what_is_kept_and_one_that_forgets_what_comes() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut rig = Rig::start(dir.path(), &config(), Vec::new());
    rig.tell(1, vec![event("acme", 1, 1)]).await;
    rig.end().await;
    let (forgets, knows) = (Receiver::default(), Receiver::default());
    let sinks = vec![forgets.reader("forgets", false, LONG), knows.reader("knows", true, LONG)];
    let mut rig = Rig::start(dir.path(), &config(), sinks);
    rig.tell(2, vec![event("acme", 1, 2)]).await;
    until("both", || knows.got().len() == 2 && forgets.got().len() == 1).await;
    assert_eq!(forgets.got(), keys(&[(1, 2)]));
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_keeps_more_than_its_capacity_parks_nobody_who_reads_along() {
    let dir = tempfile::tempdir().expect("a folder");
    let (near, far) = (Receiver::default(), Receiver::default());
    far.away.store(true, Ordering::SeqCst);
    // Segments and what is kept of what all have are left at their defaults, far above it.
    let small = IncidentLogConfig { capacity_bytes: 64 << 10, ..config() };
    let sinks = vec![far.reader("far", true, LONG), near.reader("near", true, LONG)];
    let mut rig = Rig::start(dir.path(), &small, sinks);
    for position in 1..=600 {
        rig.tell(position, vec![event("acme", 1, position)]).await;
        until("the near one's event", || near.got().len() as u64 == position).await;
    }
    assert_eq!(rig.readers.parked(), ["far"]);
    rig.end().await;
}

/// A log on a disk that others have filled.
struct FullDisk(Arc<dyn Journal>, Arc<AtomicBool>);

impl Journal for FullDisk {
    fn append(&self, group: Arc<WriteBatch>) -> BoxFuture<'_, Result<Position, JournalError>> {
        match self.1.load(Ordering::SeqCst) {
            true => {
                let error = JournalError::Full { reason: "no space".to_owned(), own_limit: false };
                Box::pin(async move { Err(error) })
            }
            false => self.0.append(group),
        }
    }

    fn durable(&self) -> watch::Receiver<Position> {
        self.0.durable()
    }

    fn read(&self, after: Position) -> Result<Box<dyn Entries>, JournalError> {
        self.0.read(after)
    }

    fn cursor(&self, source: &str) -> Option<Vec<u8>> {
        self.0.cursor(source)
    }

    fn receipts(&self) -> Arc<Receipts> {
        self.0.receipts()
    }

    fn release(&self, upto: Position) {
        self.0.release(upto);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_parks_nobody_is_waited_for_and_does_not_keep_a_process_that_stops() {
    let dir = tempfile::tempdir().expect("a folder");
    let (receiver, full) = (Receiver::default(), Arc::new(AtomicBool::new(false)));
    receiver.away.store(true, Ordering::SeqCst);
    let config = IncidentLogConfig { segment_bytes: 1, ..config() };
    let log = IncidentLog::open(&config, &dir.path().join("log")).expect("opens");
    let log = log.over(|journal| Arc::new(FullDisk(journal, full.clone())));
    let mut rig = Rig::over(log, dir.path(), vec![receiver.reader("r", true, LONG)]);
    for position in 1..=3 {
        rig.tell(position, vec![event("acme", 1, position)]).await;
    }
    full.store(true, Ordering::SeqCst);
    let tell = |position| {
        let events = vec![event("acme", 1, position).event];
        Folded { position: LogPosition { journal: Position(position), finished: false }, events }
    };
    tokio::task::block_in_place(|| assert!(rig.outbox.as_ref().expect("it runs").tell(tell(4))));
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(rig.readers.parked().is_empty(), "parking makes no room");
    full.store(false, Ordering::SeqCst);
    rig.logged.wait_for(|logged| logged.journal == Position(4)).await.expect("it goes on");

    full.store(true, Ordering::SeqCst);
    tokio::task::block_in_place(|| assert!(rig.outbox.as_ref().expect("it runs").tell(tell(5))));
    rig.stoppers.1.stop();
    let ended = tokio::time::timeout(Duration::from_secs(5), rig.appender).await.expect("it is not waited for");
    assert!(ended.expect("no panic").expect_err("it has not everything").to_string().contains("no space"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_never_answers_counts_as_away() {
    let dir = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::default();
    receiver.hangs.store(true, Ordering::SeqCst);
    let log = IncidentLog::open(&config(), &dir.path().join("log")).expect("opens");
    let reader = receiver.reader("r", true, Duration::from_millis(300));
    let mut rig = Rig::over(log, dir.path(), vec![reader.with_attempt_max(Duration::from_millis(50))]);
    rig.tell(1, vec![event("acme", 1, 1)]).await;
    let parked = rig.notices.recv().await.expect("it is told").parked.expect("parked");
    assert!(parked.contains("no answer within 0.05 s") && parked.contains("given up"), "{parked}");
    receiver.hangs.store(false, Ordering::SeqCst);
    Request::Retry.leave(&dir.path().join("readers"), "r").expect("left");
    until("the event", || receiver.got().len() == 1).await;
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_reader_does_not_hold_a_log_in_memory() {
    let dir = tempfile::tempdir().expect("a folder");
    let (dead, alive) = (Receiver::default(), Receiver::default());
    dead.away.store(true, Ordering::SeqCst);
    let readers = vec![dead.reader("dead", true, Duration::ZERO), alive.reader("alive", true, LONG)];
    let mut rig = Rig::over(IncidentLog::in_memory(), dir.path(), readers);
    // More than it holds.
    for position in 1..=20 {
        let events = (0..1_000).map(|index| event("acme", position * 1_000 + index, 1)).collect();
        let told = tokio::time::timeout(Duration::from_secs(10), rig.tell(position, events)).await;
        told.expect("nobody holds it");
    }
    let totals = rig.end().await;
    assert_eq!((totals[0].left, totals[1].left), (20_000, 0));
    assert!(totals[0].reason.as_ref().is_some_and(|reason| reason.contains("nobody answers")), "{totals:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_log_another_has_opened_since_writes_nothing_more() {
    let dir = tempfile::tempdir().expect("a folder");
    let receiver = Receiver::default();
    let mut rig = Rig::start(dir.path(), &config(), vec![receiver.reader("r", true, LONG)]);
    rig.tell(1, vec![event("acme", 1, 1)]).await;
    // A lock that is lost, as on a file system that takes it from a machine that hangs.
    std::fs::remove_file(dir.path().join("log/lock")).expect("it was locked");
    let successor = IncidentLog::open(&config(), &dir.path().join("log")).expect("opens");
    let tell = Folded {
        position: LogPosition { journal: Position(2), finished: false },
        events: vec![event("acme", 1, 2).event],
    };
    tokio::task::block_in_place(|| assert!(rig.outbox.as_ref().expect("it runs").tell(tell)));
    let ended = tokio::time::timeout(Duration::from_secs(5), rig.appender).await.expect("it ends");
    let error = ended.expect("no panic").expect_err("it is fenced").to_string();
    assert!(error.contains("another process has opened") && error.contains("fenced"), "{error}");
    assert_eq!(successor.end(), Position(1));
    let (mut reader, _) =
        crate::journal::SegmentReader::open_folder(&dir.path().join("log"), Position::START).expect("opens");
    assert!(reader.next_entry().expect("reads").is_some() && reader.next_entry().expect("reads").is_none());
}

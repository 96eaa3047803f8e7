//! The whole wiring over a journal on disk.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use bellwether_connectors::journal::Mark;
use bellwether_connectors::memory::Memory;
use bellwether_connectors::outbox::{IncidentLog, LogPosition, Outbox, Reader, Readers};
use bellwether_connectors::{Checkpoints, Delivered, JournalConfig, LocalJournal, Outgoing, Sink, SinkError};
use bellwether_datasets::simulation::Simulation;
use bellwether_datasets::story::story;
use bellwether_engine::EngineConfig;
use bellwether_engine::input::Input;
use bellwether_engine::time::{EventTime, Span};
use futures::future::BoxFuture;

use super::feeds::EntryFeed;
use super::pace::Cadence;
use super::*;

/// Reads one row, and then nothing but what it has read before: only its cursor moves.
struct Repeating;

impl Source for Repeating {
    fn name(&self) -> &str {
        "repeating"
    }

    fn run(self: Box<Self>, intake: Intake, _: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            let mark = |at: u8| Some(Mark { source: "repeating".to_owned(), cursor: vec![at] });
            intake.accept(&[Input::Tick(EventTime::from_secs(1))], mark(1)).await.expect("there is room");
            intake.accept(&[], mark(2)).await.expect("there is room");
            Ok(())
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cursor_without_rows_at_the_journals_end_does_not_keep_the_wiring_from_ending() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = LocalJournal::open(&JournalConfig::new(dir.path())).expect("opens");
    let engine = Engine::new(EngineConfig::default(), NonZeroUsize::MIN).expect("the defaults are good");
    let wiring = Wiring {
        partitions: vec![Partition { journal: Arc::new(journal), ..Partition::in_memory(engine) }],
        rejects: RejectLog::counting(),
        memory: Memory::unlimited(),
        sources: vec![Box::new(Repeating)],
        companions: Vec::new(),
        receivers: Receivers::default(),
        finish: false,
        incidents: Arc::default(),
    };
    let (_stopper, stop) = stop_pair();
    let gauges = Arc::new(Gauges::default());
    let ended = tokio::time::timeout(Duration::from_secs(20), run(wiring, gauges.clone(), stop)).await;
    ended.expect("it ends").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(gauges.entries(), 1);
    assert!(gauges.exposition(&[Position(2)]).contains("bellwether_engine_lag_entries 0\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_is_far_behind_ends_where_it_is_when_there_is_no_more_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = LocalJournal::open(&JournalConfig::new(dir.path().join("journal"))).expect("opens");
    let journal: Arc<dyn Journal> = Arc::new(journal);
    let intake = Intake::new(journal.clone(), RejectLog::counting());
    for second in 1..=100 {
        intake.accept(&[Input::Tick(EventTime::from_secs(second))], None).await.expect("there is room");
    }
    let log = IncidentLog::in_memory();
    let (readers, _notices) = Readers::of(&log);
    let (stopper, stop) = stop_pair();
    let (outbox, logged, appending) = Outbox::begin(log, readers, LogPosition::default(), stop.clone());
    tokio::spawn(appending);
    stopper.stop();
    // The end of what it could read is never announced.
    let (_end, end) = watch::channel(None);
    let gauges = Arc::new(Gauges::default());
    let fold = fold(dir.path(), journal, (outbox, logged), (end, stop), &gauges);
    let runtime = tokio::runtime::Handle::current();
    let folding = tokio::task::spawn_blocking(move || fold.run(&runtime).map(|_| ()));
    let ended = tokio::time::timeout(Duration::from_secs(10), folding).await.expect("it ends");
    ended.expect("no panic").unwrap_or_else(|error| panic!("{error}"));
    assert!(gauges.entries() < 100, "it read to the end");
    assert_eq!(gauges.checkpoints(), 1, "the last checkpoint is where it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_engine_that_has_nothing_to_say_ends_with_its_log() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = LocalJournal::open(&JournalConfig::new(dir.path().join("journal"))).expect("opens");
    let journal: Arc<dyn Journal> = Arc::new(journal);
    let log = IncidentLog::in_memory();
    let (readers, _notices) = Readers::of(&log);
    let (_stopper, stop) = stop_pair();
    let (outbox, logged, appending) = Outbox::begin(log, readers, LogPosition::default(), stop.clone());
    let appending = tokio::spawn(appending);
    let (_end, end) = watch::channel(None);
    let fold = fold(dir.path(), journal, (outbox, logged), (end, stop), &Arc::default());
    // As an error of the disk does.
    appending.abort();
    let runtime = tokio::runtime::Handle::current();
    let folding = tokio::task::spawn_blocking(move || fold.run(&runtime).map(|_| ()));
    let ended = tokio::time::timeout(Duration::from_secs(10), folding).await.expect("it ends");
    assert!(matches!(ended.expect("no panic"), Err(FoldError::LogEnded)));
}

/// The engine over `journal`, which takes a checkpoint at the end only.
fn fold(
    dir: &Path,
    journal: Arc<dyn Journal>,
    (outbox, logged): (Outbox, watch::Receiver<LogPosition>),
    (end, hurry): (watch::Receiver<Option<Position>>, Stop),
    gauges: &Arc<Gauges>,
) -> Fold {
    Fold {
        turns: Arc::default(),
        partition: 0,
        engine: Engine::new(EngineConfig::default(), NonZeroUsize::MIN).expect("the defaults are good"),
        position: Position::START,
        journal,
        outbox: Some(outbox),
        logged,
        checkpoints: Some((
            Checkpoints::open(dir.join("checkpoints")).expect("opens"),
            Cadence { every: Duration::from_secs(3_600), entries: u64::MAX },
        )),
        end,
        hurry,
        finish: false,
        gauges: gauges.clone(),
        incidents: Arc::default(),
        care: None,
        retold: None,
        troubles: mpsc::channel(1).0,
        questions: no_questions(),
    }
}

/// Every event as JSON, by tenant.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<BTreeMap<String, Vec<String>>>>);

impl Sink for Told {
    fn name(&self) -> &str {
        "told"
    }

    fn deliver<'a>(&'a mut self, events: &'a [Outgoing]) -> BoxFuture<'a, Result<Delivered, SinkError>> {
        Box::pin(async move {
            let mut told = self.0.lock().expect("no panic");
            for outgoing in events {
                let line = serde_json::to_string(&*outgoing.event).expect("an event is JSON");
                told.entry(outgoing.event.tenant.to_string()).or_default().push(line);
            }
            Ok(Delivered { sent: events.len() as u64, skipped: 0 })
        })
    }
}

/// A story of two dozen tenants through so many partitions: what each was told, and the state of all in the end.
async fn played(inputs: Vec<Input>, partitions: usize) -> (BTreeMap<String, Vec<String>>, u64) {
    let settings = EngineConfig { lateness: Span::from_secs(90), ..EngineConfig::default() };
    let engine = || Engine::new(settings.clone(), NonZeroUsize::new(2).expect("two")).expect("the settings are good");
    let told = Told::default();
    let wiring = Wiring {
        partitions: (0..partitions).map(|_| Partition::in_memory(engine())).collect(),
        rejects: RejectLog::counting(),
        memory: Memory::unlimited(),
        sources: vec![Box::new(EntryFeed::new("story", inputs.into_iter().map(Ok)))],
        companions: Vec::new(),
        receivers: Receivers { kept: vec![Reader::of(Box::new(told.clone()))], companions: Vec::new() },
        finish: true,
        incidents: Arc::default(),
    };
    let (_stopper, stop) = stop_pair();
    let gauges = Arc::new(Gauges::of(NonZeroUsize::new(partitions).expect("some")));
    let outcome = run(wiring, gauges, stop).await.unwrap_or_else(|error| panic!("{error}"));
    let told = told.0.lock().expect("no panic").clone();
    (told, outcome.engine.digest())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_tenant_is_told_the_same_byte_for_byte_whatever_the_number_of_partitions() {
    let mut inputs: Vec<Input> = Simulation::new((story("msp").expect("a story").plan)(42)).collect();
    // Settings that change on the way reach every partition at the same place of its tenants' entries.
    let changed = EngineConfig { lateness: Span::from_secs(60), ..EngineConfig::default() };
    inputs.insert(inputs.len() / 2, Input::Settings(Arc::new(changed)));
    let (one, digest) = played(inputs.clone(), 1).await;
    assert!(one.len() > 1, "only {} tenants were told anything", one.len());
    for partitions in [2, 7] {
        let (several, of_several) = played(inputs.clone(), partitions).await;
        assert_eq!(several.keys().collect::<Vec<_>>(), one.keys().collect::<Vec<_>>(), "{partitions} partitions");
        for (tenant, lines) in &one {
            assert!(several[tenant] == *lines, "{tenant} is told otherwise with {partitions} partitions");
        }
        assert_eq!(of_several, digest, "the state with {partitions} partitions");
    }
}

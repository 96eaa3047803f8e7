//! The whole wiring over a journal on disk.

use std::num::NonZeroUsize;
use std::time::Duration;

use bellwether_connectors::journal::Mark;
use bellwether_connectors::memory::Memory;
use bellwether_connectors::outbox::{IncidentLog, LogPosition, Outbox, Readers};
use bellwether_connectors::{JournalConfig, LocalJournal};
use bellwether_engine::EngineConfig;
use bellwether_engine::input::Input;
use bellwether_engine::time::EventTime;
use futures::future::BoxFuture;

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
    let wiring = Wiring {
        engine: Engine::new(EngineConfig::default(), NonZeroUsize::MIN).expect("the defaults are good"),
        position: Position::START,
        journal: Arc::new(journal),
        rejects: RejectLog::counting(),
        memory: Memory::unlimited(),
        sources: vec![Box::new(Repeating)],
        companions: Vec::new(),
        delivery: Delivery {
            log: IncidentLog::in_memory(),
            readers: Vec::new(),
            companions: Vec::new(),
            cursors: None,
        },
        checkpoints: None,
        finish: false,
        incidents: Arc::default(),
        care: None,
        questions: no_questions(),
    };
    let (_stopper, stop) = stop_pair();
    let gauges = Arc::new(Gauges::default());
    let ended = tokio::time::timeout(Duration::from_secs(20), run(wiring, gauges.clone(), stop)).await;
    ended.expect("it ends").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(gauges.entries(), 1);
    assert!(gauges.exposition(Position(2)).contains("bellwether_engine_lag_entries 0\n"));
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
    let (outbox, logged, _appending) = Outbox::start(log, readers, LogPosition::default(), stop.clone());
    stopper.stop();
    // The end of what it could read is never announced.
    let (_end, end) = watch::channel(None);
    let gauges = Arc::new(Gauges::default());
    let fold = Fold {
        engine: Engine::new(EngineConfig::default(), NonZeroUsize::MIN).expect("the defaults are good"),
        position: Position::START,
        journal: journal.clone(),
        outbox: Some(outbox),
        logged,
        checkpoints: Some((
            Checkpoints::open(dir.path().join("checkpoints")).expect("opens"),
            Cadence { every: Duration::from_secs(3_600), entries: u64::MAX },
        )),
        end,
        hurry: stop,
        finish: false,
        gauges: gauges.clone(),
        incidents: Arc::default(),
        care: None,
        troubles: mpsc::channel(1).0,
        questions: no_questions(),
    };
    let runtime = tokio::runtime::Handle::current();
    let folding = tokio::task::spawn_blocking(move || fold.run(&runtime).map(|_| ()));
    let ended = tokio::time::timeout(Duration::from_secs(10), folding).await.expect("it ends");
    ended.expect("no panic").unwrap_or_else(|error| panic!("{error}"));
    assert!(gauges.entries() < 100, "it read to the end");
    assert_eq!(gauges.checkpoints(), 1, "the last checkpoint is where it is");
}

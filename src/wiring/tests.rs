//! The whole wiring over a journal on disk.

use std::num::NonZeroUsize;
use std::time::Duration;

use bellwether_connectors::journal::Mark;
use bellwether_connectors::outbox::IncidentLog;
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
        questions: no_questions(),
    };
    let (_stopper, stop) = stop_pair();
    let gauges = Arc::new(Gauges::default());
    let ended = tokio::time::timeout(Duration::from_secs(20), run(wiring, gauges.clone(), stop)).await;
    ended.expect("it ends").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(gauges.entries(), 1);
    assert!(gauges.exposition(Position(2)).contains("bellwether_engine_lag_entries 0\n"));
}

//! Large batches, and what is sent again after a kill at any byte.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_engine::input::Input;
use bellwether_engine::signal::{LogBuilder, LogColumns, LogRow, SignalKind};
use bellwether_engine::time::EventTime;
use proptest::prelude::*;

use super::entries::ENTRY_BYTES_MAX;
use super::reject::RejectLog;
use super::*;
use crate::journal::receipts::{Claim, request_key};
use crate::journal::{Journal, JournalConfig, LocalJournal, PendingAppend, Position};

#[tokio::test]
async fn a_batch_too_large_for_one_entry_becomes_several_and_loses_no_row() {
    let dir = tempfile::tempdir().expect("a folder");
    let (journal, _) = LocalJournal::open(&JournalConfig::new(dir.path())).expect("opens");
    let journal = Arc::new(journal);
    let body = "x".repeat(60_000);
    let mut logs = LogBuilder::new();
    for n in 0..700 {
        logs.push(&LogRow {
            time: EventTime::from_secs(1_772_359_200 + n),
            entity: "host:a",
            severity: 0,
            body: &body,
            attributes: &[],
            trace_id: None,
        });
    }
    let batch = Input::Batch(logs.finish("acme").expect("a tenant"));
    let intake = Intake::new(journal.clone(), RejectLog::counting());
    intake.accept(&[batch], None).await.expect("accepted");
    assert_eq!((*journal.durable().borrow(), intake.counts().rows(SignalKind::Log)), (Position(4), 700));
    let mut reader = journal.read(Position::START).expect("a reader");
    let mut rows = 0;
    while let Some(entry) = reader.next_entry().expect("an entry") {
        assert!(entry.bytes.len() <= ENTRY_BYTES_MAX);
        rows += Input::decode(&entry.bytes).expect("decodes").rows();
    }
    assert_eq!(rows, 700);
}

/// One log line that says `number`.
fn line(number: u8) -> Input {
    let mut logs = LogBuilder::new();
    logs.push(&LogRow {
        time: EventTime::from_secs(1_772_359_200),
        entity: "host:a",
        severity: 0,
        body: &number.to_string(),
        attributes: &[],
        trace_id: None,
    });
    Input::Batch(logs.finish("acme").expect("a tenant"))
}

/// Sends `number` as a wire does: only what is new is stored.
async fn send(intake: &Intake, number: u8) {
    let claims = intake.claims("acme");
    match claims.take(request_key("acme", "/push", &[number])) {
        Claim::Ours => {
            intake.accept_now(&[line(number)], claims, PendingAppend::default()).await.expect("there is room");
        }
        Claim::Taken => {}
        Claim::Busy => panic!("nobody else sends"),
    }
}

fn newest_segment(dir: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("an entry").path());
    let segments = entries.filter(|path| path.extension().is_some_and(|suffix| suffix == "journal"));
    segments.max()
}

/// How often each number is in the journal.
fn counted(journal: &LocalJournal) -> BTreeMap<u8, usize> {
    let mut reader = journal.read(Position::START).expect("a reader");
    let mut counts = BTreeMap::new();
    while let Some(entry) = reader.next_entry().expect("an entry") {
        let Ok(Input::Batch(batch)) = Input::decode(&entry.bytes) else { panic!("a batch") };
        let number = LogColumns::of(&batch).body(0).parse().expect("a number");
        *counts.entry(number).or_default() += 1;
    }
    counts
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Killed at any byte that a request writes, before or after it is durable: the sender, who has
    /// no answer, sends it again, and others send again what was answered long ago.
    #[test]
    fn a_kill_at_any_byte_loses_and_doubles_nothing_that_is_sent_again(
        sends in proptest::collection::vec((0u8..12, proptest::option::of((any::<prop::sample::Index>(), 0usize..50))), 1..24),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let dir = tempfile::tempdir().expect("a folder");
        let mut config = JournalConfig::new(dir.path());
        config.segment_bytes = 6_000;
        let open = || Arc::new(LocalJournal::open(&config).expect("opens").0);
        let sent_to = |journal: &Arc<LocalJournal>, number| {
            runtime.block_on(send(&Intake::new(journal.clone(), RejectLog::counting()), number));
        };
        let mut journal = open();
        let mut sent = BTreeMap::new();
        for (number, kill) in sends {
            let Some((kill, room)) = kill else {
                sent_to(&journal, number);
                sent.insert(number, 1);
                continue;
            };
            // A file is as long as its entries once nobody writes it.
            drop(journal);
            let before = newest_segment(dir.path()).map(|path| (fs::metadata(&path).expect("it is there").len(), path));
            journal = open();
            sent_to(&journal, number);
            sent.insert(number, 1);
            drop(journal);
            let newest = newest_segment(dir.path()).expect("something was written");
            let mut bytes = fs::read(&newest).expect("bytes");
            let kept = before.filter(|(_, path)| *path == newest).map_or(0, |(length, _)| length as usize);
            bytes.truncate(kept + kill.index(bytes.len() - kept + 1));
            // The room that the writer had made.
            bytes.resize(bytes.len() + room, 0);
            fs::write(&newest, &bytes).expect("written");
            journal = open();
            sent_to(&journal, number);
        }
        prop_assert_eq!(counted(&journal), sent);
    }
}

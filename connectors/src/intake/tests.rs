//! Large batches, what is sent again after a kill at any byte, and which partition has what.

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
use crate::journal::{Journal, JournalConfig, LocalJournal, Mark, PendingAppend, Position, WriteBatch};

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
    line_of("acme", number)
}

fn line_of(tenant: &str, number: u8) -> Input {
    let mut logs = LogBuilder::new();
    logs.push(&LogRow {
        time: EventTime::from_secs(1_772_359_200),
        entity: "host:a",
        severity: 0,
        body: &number.to_string(),
        attributes: &[],
        trace_id: None,
    });
    Input::Batch(logs.finish(tenant).expect("a tenant"))
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

/// Tenants of the partitions 0, 1 and 2 of three.
const TENANTS: [&str; 3] = ["gamma", "acme", "beta"];

/// Three partitions, the first with a journal of so many bytes.
fn partitions(dir: &Path, first: u64) -> Vec<Arc<dyn Journal>> {
    let open = |number: usize| {
        let mut config = JournalConfig::new(dir.join(number.to_string()));
        if number == 0 {
            config.capacity_bytes = first;
        }
        Arc::new(LocalJournal::open(&config).expect("opens").0) as Arc<dyn Journal>
    };
    (0..3).map(open).collect()
}

/// Whose the entries of a journal are; `None` for those of everybody.
fn whose(journal: &Arc<dyn Journal>) -> Vec<Option<String>> {
    let mut reader = journal.read(Position::START).expect("a reader");
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry().expect("an entry") {
        found.push(Input::tenant_of(&entry.bytes).map(str::to_owned));
    }
    found
}

#[tokio::test]
async fn entries_go_to_their_tenants_partition_and_what_concerns_everybody_to_every_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let journals = partitions(dir.path(), 1 << 20);
    let intake = Intake::over(journals.clone(), RejectLog::counting());
    let at = |secs: i64| Input::Tick(EventTime::from_secs(1_772_359_200 + secs));
    let mixed = [line_of(TENANTS[1], 1), at(2), line_of(TENANTS[2], 2), line_of(TENANTS[1], 3)];
    intake.accept(&mixed, None).await.expect("accepted");
    let of = |number: usize| whose(&journals[number]);
    let tenant = |number: usize| Some(TENANTS[number].to_owned());
    assert_eq!((of(0), of(1), of(2)), (vec![None], vec![tenant(1), tenant(1), None], vec![tenant(2), None]));
    let settings = [Input::Settings(Arc::default())];
    intake.accept(&settings, None).await.expect("accepted");
    assert!(journals.iter().all(|journal| whose(journal).last() == Some(&None)), "settings are everybody's");
}

#[tokio::test]
async fn a_tenant_whose_journal_is_full_is_refused_and_the_others_are_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let intake = Intake::over(partitions(dir.path(), 64), RejectLog::counting());
    let send = async |tenant: &str| {
        let entry = line_of(tenant, 1);
        intake.accept_now(&[entry], intake.claims(tenant), intake.coming(tenant)).await
    };
    assert!(send(TENANTS[0]).await.is_err(), "there is no room");
    assert!(!intake.is_accepting());
    send(TENANTS[1]).await.expect("there is room in another partition");
    send(TENANTS[2]).await.expect("and in the third");
}

#[tokio::test]
async fn a_cursor_moves_with_its_sources_tenant_and_is_in_one_partition_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let journals = partitions(dir.path(), 1 << 20);
    let mark = |at: u8| Some(Mark { source: "files".to_owned(), cursor: vec![at] });
    let cursors = |journals: &[Arc<dyn Journal>]| -> Vec<Vec<u8>> {
        journals.iter().map(|journal| journal.cursor("files").unwrap_or_default()).collect()
    };
    let intake = Intake::over(journals.clone(), RejectLog::counting());
    intake.accept(&[line_of(TENANTS[1], 1)], mark(1)).await.expect("accepted");
    intake.accept(&[], mark(2)).await.expect("a cursor alone stays with the entries before it");
    assert_eq!(cursors(&journals), [vec![], vec![2], vec![]]);
    // Another process, in which the source is of another tenant.
    let intake = Intake::over(journals.clone(), RejectLog::counting());
    assert_eq!(intake.cursor("files"), Some(vec![2]));
    intake.accept(&[line_of(TENANTS[2], 2)], mark(3)).await.expect("accepted");
    assert_eq!((cursors(&journals), intake.cursor("files")), (vec![vec![], vec![], vec![3]], Some(vec![3])));
    // One that died between copying a cursor and letting it go finds the same in both.
    let copy = WriteBatch { mark: mark(3), ..WriteBatch::default() };
    journals[0].append(Arc::new(copy)).await.expect("written");
    let intake = Intake::over(journals.clone(), RejectLog::counting());
    assert_eq!(intake.cursor("files"), Some(vec![3]));
    intake.accept(&[line_of(TENANTS[0], 3)], mark(4)).await.expect("accepted");
    assert_eq!(cursors(&journals), [vec![4], vec![], vec![]]);
}

//! The journal against restarts and a plain list; against damage and failing disks below.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_engine::time::{EventTime, Span};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::journal::receipts::Claim;

mod damage;
mod faults;

/// Bytes of a segment's header that knows of nothing before it.
const HEADER_BYTES: u64 = 36;

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn config(dir: &Path) -> JournalConfig {
    JournalConfig::new(dir)
}

fn write(entries: &[&[u8]]) -> Arc<WriteBatch> {
    Arc::new(WriteBatch { entries: entries.iter().map(|e| e.to_vec()).collect(), ..WriteBatch::default() })
}

fn marked(entries: &[&[u8]], cursor: &[u8]) -> Arc<WriteBatch> {
    Arc::new(WriteBatch {
        entries: entries.iter().map(|e| e.to_vec()).collect(),
        mark: Some(Mark { source: "files".to_owned(), cursor: cursor.to_vec() }),
        ..WriteBatch::default()
    })
}

fn append(journal: &LocalJournal, write: Arc<WriteBatch>) -> Result<Position, JournalError> {
    futures::executor::block_on(journal.append(write))
}

fn open(dir: &Path) -> (LocalJournal, OpenReport) {
    LocalJournal::open(&config(dir)).expect("the journal opens")
}

fn read_all(journal: &LocalJournal, after: Position) -> Vec<(u64, Vec<u8>)> {
    let mut reader = journal.read(after).expect("a reader");
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().expect("an entry") {
        entries.push((entry.position.0, entry.bytes));
    }
    entries
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .expect("a folder")
        .map(|e| e.expect("an entry").path())
        .filter(|p| p.extension().is_some_and(|e| e == "journal"))
        .collect();
    paths.sort();
    paths
}

fn only_segment(dir: &Path) -> PathBuf {
    let mut paths = segments(dir);
    assert_eq!(paths.len(), 1, "{paths:?}");
    paths.remove(0)
}

#[test]
fn what_is_acknowledged_is_there_after_a_restart() {
    let dir = folder();
    let (journal, report) = open(dir.path());
    assert_eq!((report.first, report.last), (Position(1), Position(0)));
    assert_eq!(append(&journal, write(&[b"a", b"b"])).expect("appended"), Position(2));
    assert_eq!(append(&journal, marked(&[b"c"], b"10")).expect("appended"), Position(3));
    drop(journal);

    let (journal, report) = open(dir.path());
    assert_eq!((report.first, report.last, report.torn), (Position(1), Position(3), None));
    assert_eq!(journal.cursor("files").as_deref(), Some(&b"10"[..]));
    assert_eq!(journal.cursor("other"), None);
    let want = [(2, b"b".to_vec()), (3, b"c".to_vec())];
    assert_eq!(read_all(&journal, Position(1)), want);
    assert_eq!(append(&journal, write(&[b"d"])).expect("appended"), Position(4));
}

#[test]
fn a_reader_goes_on_when_more_becomes_durable() {
    let dir = folder();
    let (journal, _) = open(dir.path());
    let mut reader = journal.read(Position::START).expect("a reader");
    assert_eq!(reader.next_entry().expect("reads"), None);
    append(&journal, write(&[b"a"])).expect("appended");
    assert_eq!(reader.next_entry().expect("reads").expect("one").bytes, b"a");
    assert_eq!(reader.next_entry().expect("reads"), None);
}

#[test]
fn a_mark_alone_is_durable_and_is_no_entry() {
    let dir = folder();
    let (journal, _) = open(dir.path());
    let last = append(&journal, marked(&[], b"5")).expect("appended");
    let mut reader = journal.read(Position::START).expect("a reader");
    assert_eq!((reader.next_entry().expect("reads"), reader.position()), (None, last), "there is nothing to wait for");
    append(&journal, write(&[b"a"])).expect("appended");
    assert_eq!(read_all(&journal, Position::START), [(2, b"a".to_vec())]);
    drop(journal);
    assert_eq!(open(dir.path()).0.cursor("files").as_deref(), Some(&b"5"[..]));
}

/// A write of one entry known by these keys, as far as nobody else has claimed them.
fn claimed(journal: &LocalJournal, entry: &[u8], keys: &[u128]) -> Arc<WriteBatch> {
    let claims = Claims::new(journal.receipts(), "acme", EventTime::from_secs(5));
    keys.iter().for_each(|key| assert_ne!(claims.take(*key), Claim::Busy));
    Arc::new(WriteBatch { entries: vec![entry.to_vec()], claims: Some(claims), ..WriteBatch::default() })
}

fn knows(journal: &LocalJournal, key: u128) -> bool {
    Claims::new(journal.receipts(), "acme", EventTime::from_secs(6)).take(key) == Claim::Taken
}

#[test]
fn receipts_are_known_after_a_restart_and_after_older_segments_are_gone() {
    let dir = folder();
    let mut config = config(dir.path());
    config.segment_bytes = 1;
    config.retain_bytes = 1;
    let (journal, _) = LocalJournal::open(&config).expect("opens");
    assert_eq!(append(&journal, claimed(&journal, b"a", &[1, 2])).expect("appended"), Position(2));
    assert_eq!(append(&journal, claimed(&journal, b"b", &[3])).expect("appended"), Position(4));
    assert_eq!(read_all(&journal, Position::START), [(2, b"a".to_vec()), (4, b"b".to_vec())]);
    journal.release(Position(4));
    append(&journal, write(&[b"c"])).expect("appended");
    drop(journal);

    let (journal, report) = LocalJournal::open(&config).expect("opens");
    assert_eq!(report.first, Position(5), "the segments of the first two are dropped");
    assert!([1, 2, 3].iter().all(|key| knows(&journal, *key)) && !knows(&journal, 4));
}

#[test]
fn a_torn_write_leaves_no_receipt_and_neither_does_a_refused_one() {
    let dir = folder();
    let (journal, _) = open(dir.path());
    append(&journal, write(&[b"a"])).expect("appended");
    append(&journal, claimed(&journal, b"b", &[1])).expect("appended");
    drop(journal);
    let path = only_segment(dir.path());
    let whole = fs::read(&path).expect("bytes");
    fs::write(&path, &whole[..whole.len() - 1]).expect("written");
    let mut config = config(dir.path());
    config.capacity_bytes = whole.len() as u64;
    let (journal, _) = LocalJournal::open(&config).expect("opens");
    assert!(!knows(&journal, 1), "its entry is not there");
    let refused = append(&journal, claimed(&journal, &[0; 100], &[2]));
    assert!(matches!(refused, Err(JournalError::Full { .. })));
    assert!(!knows(&journal, 2));
}

#[test]
fn a_journal_of_the_version_before_goes_on_in_a_new_segment() {
    let dir = folder();
    let (journal, _) = open(dir.path());
    append(&journal, marked(&[b"a"], b"7")).expect("appended");
    drop(journal);
    // The same as the version before wrote it: no count before the marks, of which there are none.
    let path = only_segment(dir.path());
    let mut old = fs::read(&path).expect("bytes");
    old.drain(32..36);
    old[8..12].copy_from_slice(&1u32.to_le_bytes());
    old[24..28].copy_from_slice(&0u32.to_le_bytes());
    let crc = crc32fast::hash(&old[..28]);
    old[28..32].copy_from_slice(&crc.to_le_bytes());
    fs::write(&path, &old).expect("written");

    let (journal, _) = open(dir.path());
    append(&journal, claimed(&journal, b"b", &[1])).expect("appended");
    assert_eq!(fs::read(&path).expect("bytes"), old, "an older build still reads what it wrote");
    drop(journal);
    let (journal, _) = open(dir.path());
    assert_eq!(read_all(&journal, Position::START), [(1, b"a".to_vec()), (3, b"b".to_vec())]);
    assert_eq!((journal.cursor("files").as_deref(), knows(&journal, 1)), (Some(&b"7"[..]), true));
}

#[test]
fn a_second_process_is_refused() {
    let dir = folder();
    let (_journal, _) = open(dir.path());
    assert!(matches!(LocalJournal::open(&config(dir.path())), Err(JournalError::Locked { .. })));
}

#[test]
fn retention_drops_what_is_released_and_nothing_else() {
    let dir = folder();
    let mut config = config(dir.path());
    config.segment_bytes = 1;
    config.retain_bytes = 0;
    let (journal, _) = LocalJournal::open(&config).expect("opens");
    for _ in 0..5 {
        append(&journal, write(&[b"entry"])).expect("appended");
    }
    assert_eq!(read_all(&journal, Position::START).len(), 5);
    journal.release(Position(3));
    append(&journal, marked(&[b"entry"], b"x")).expect("appended");
    assert!(matches!(journal.read(Position(2)), Err(JournalError::Gone { first: Position(4), .. })));
    assert_eq!(read_all(&journal, Position(3)).len(), 3);
    journal.release(Position(6));
    append(&journal, write(&[b"entry"])).expect("appended");
    drop(journal);
    let (journal, report) = LocalJournal::open(&config).expect("opens");
    assert_eq!((report.first, report.last), (Position(7), Position(7)));
    assert_eq!(journal.cursor("files").as_deref(), Some(&b"x"[..]), "cursors outlive their segment");
}

#[test]
fn age_drops_released_segments_below_the_size() {
    let dir = folder();
    let mut config = config(dir.path());
    config.segment_bytes = 1;
    config.retain_age = Span(0);
    let (journal, _) = LocalJournal::open(&config).expect("opens");
    append(&journal, write(&[b"a"])).expect("appended");
    append(&journal, write(&[b"b"])).expect("appended");
    journal.release(Position(1));
    append(&journal, write(&[b"c"])).expect("appended");
    assert!(matches!(journal.read(Position::START), Err(JournalError::Gone { .. })));
}

#[test]
fn over_the_capacity_is_a_refusal_that_passes() {
    let dir = folder();
    let mut config = config(dir.path());
    config.segment_bytes = 1;
    config.retain_bytes = 0;
    config.capacity_bytes = 400;
    let (journal, _) = LocalJournal::open(&config).expect("opens");
    let entry = [7; 100];
    append(&journal, write(&[&entry])).expect("appended");
    append(&journal, write(&[&entry])).expect("appended");
    let error = append(&journal, write(&[&entry])).expect_err("full");
    assert!(error.is_retryable() && !error.is_fatal(), "{error}");
    journal.release(Position(2));
    assert_eq!(append(&journal, write(&[&entry])).expect("room again"), Position(3));
}

#[test]
fn entries_and_marks_over_their_limits_are_refused_alone() {
    let dir = folder();
    let (journal, _) = open(dir.path());
    let large = Arc::new(WriteBatch { entries: vec![vec![0; RECORD_BYTES_MAX + 1]], ..WriteBatch::default() });
    assert!(matches!(append(&journal, large), Err(JournalError::TooLarge { .. })));
    let mark = marked(&[b"a"], &vec![0; MARK_BYTES_MAX]);
    assert!(matches!(append(&journal, mark), Err(JournalError::TooLarge { .. })));
    assert_eq!(append(&journal, write(&[b"a"])).expect("appended"), Position(1));
}

#[test]
fn a_position_the_journal_never_reached_is_refused() {
    let dir = folder();
    let (journal, _) = open(dir.path());
    assert!(matches!(journal.read(Position(1)), Err(JournalError::Beyond { last: Position(0), .. })));
}

#[test]
fn a_folder_can_be_read_without_being_changed() {
    let dir = folder();
    let (journal, _) = open(dir.path());
    append(&journal, write(&[b"a"])).expect("appended");
    append(&journal, write(&[b"b"])).expect("appended");
    drop(journal);
    let path = only_segment(dir.path());
    let bytes = fs::read(&path).expect("bytes");
    fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
    let (mut reader, torn) = SegmentReader::open_folder(dir.path(), Position::START).expect("opens");
    assert_eq!(torn.expect("a torn tail").bytes, 32);
    assert_eq!(reader.next_entry().expect("reads").expect("one").bytes, b"a");
    assert_eq!(reader.next_entry().expect("reads"), None);
    assert_eq!(fs::metadata(&path).expect("metadata").len(), bytes.len() as u64 - 1);
}

/// What a model test does next.
#[derive(Clone, Debug)]
enum Step {
    Append { sizes: Vec<usize>, cursor: Option<u8> },
    Reopen,
    Tear { bytes: usize },
    Release { back: u64 },
    Read { back: u64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let append = (proptest::collection::vec(1usize..200, 1..4), proptest::option::of(any::<u8>()))
        .prop_map(|(sizes, cursor)| Step::Append { sizes, cursor });
    let step = prop_oneof![
        6 => append,
        1 => Just(Step::Reopen),
        1 => (1usize..300).prop_map(|bytes| Step::Tear { bytes }),
        1 => (0u64..5).prop_map(|back| Step::Release { back }),
        2 => (0u64..20).prop_map(|back| Step::Read { back }),
    ];
    proptest::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Against a list: with small segments, retention, restarts and torn garbage at the end,
    /// the journal returns what was acknowledged, in order, and every acknowledged cursor.
    #[test]
    fn it_behaves_as_a_list(steps in steps()) {
        let dir = folder();
        let mut config = config(dir.path());
        config.segment_bytes = 600;
        config.retain_bytes = 2_000;
        let mut journal = LocalJournal::open(&config).expect("opens").0;
        let mut model: Vec<Vec<u8>> = Vec::new();
        let mut cursor = None;
        let mut released = 0;
        for step in steps {
            match step {
                Step::Append { sizes, cursor: mark } => {
                    let entries: Vec<Vec<u8>> = sizes
                        .iter()
                        .enumerate()
                        .map(|(i, size)| vec![(model.len() + i) as u8; *size])
                        .collect();
                    let mark = mark.map(|c| Mark { source: "s".to_owned(), cursor: vec![c] });
                    cursor = mark.as_ref().map(|m| m.cursor.clone()).or(cursor);
                    model.extend(entries.clone());
                    let position = append(&journal, Arc::new(WriteBatch { entries, mark, ..WriteBatch::default() })).expect("appended");
                    prop_assert_eq!(position, Position(model.len() as u64));
                }
                Step::Reopen => {
                    drop(journal);
                    journal = LocalJournal::open(&config).expect("opens").0;
                }
                Step::Tear { bytes } => {
                    drop(journal);
                    let newest = super::segments::list(&*crate::host::disk(), dir.path()).expect("listed").pop();
                    if let Some(newest) = newest {
                        let mut content = fs::read(&newest.path).expect("bytes");
                        content.extend((0..bytes).map(|i| (i * 7) as u8));
                        fs::write(&newest.path, content).expect("written");
                    }
                    journal = LocalJournal::open(&config).expect("a torn tail is cut").0;
                }
                Step::Release { back } => {
                    released = released.max((model.len() as u64).saturating_sub(back));
                    journal.release(Position(released));
                }
                Step::Read { back } => {
                    let after = (model.len() as u64).saturating_sub(back);
                    match journal.read(Position(after)) {
                        Ok(_) => {
                            let got: Vec<Vec<u8>> =
                                read_all(&journal, Position(after)).into_iter().map(|(_, b)| b).collect();
                            prop_assert_eq!(&got[..], &model[after as usize..]);
                        }
                        Err(JournalError::Gone { .. }) => prop_assert!(after < released),
                        Err(error) => panic!("{error}"),
                    }
                }
            }
            prop_assert_eq!(journal.cursor("s"), cursor.clone());
            prop_assert_eq!(journal.durable().borrow().0, model.len() as u64);
        }
    }
}

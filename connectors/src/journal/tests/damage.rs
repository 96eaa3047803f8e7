//! Torn tails, flipped bits, damaged and half-made segments.

use super::*;

#[test]
fn a_tail_cut_at_any_byte_loses_only_its_own_write() {
    let dir = folder();
    let (journal, _) = open(dir.path());
    append(&journal, write(&[b"first"])).expect("appended");
    drop(journal);
    let path = only_segment(dir.path());
    let kept = fs::metadata(&path).expect("metadata").len();
    let (journal, _) = open(dir.path());
    append(&journal, marked(&[b"second", b"third"], b"9")).expect("appended");
    drop(journal);
    let whole = fs::read(&path).expect("bytes");

    for len in kept..whole.len() as u64 {
        fs::write(&path, &whole[..len as usize]).expect("written");
        let (journal, report) = open(dir.path());
        assert_eq!(report.last, Position(1), "cut at {len}");
        assert_eq!(report.torn.map(|t| (t.offset, t.bytes)), (len > kept).then_some((kept, len - kept)));
        assert_eq!(journal.cursor("files"), None);
        assert_eq!(read_all(&journal, Position::START), [(1, b"first".to_vec())]);
        assert_eq!(append(&journal, write(&[b"again"])).expect("appended"), Position(2));
        drop(journal);
        let (journal, _) = open(dir.path());
        assert_eq!(read_all(&journal, Position(1)), [(2, b"again".to_vec())]);
    }
}

#[test]
fn a_last_record_that_was_damaged_is_kept_aside_when_it_is_cut() {
    let dir = folder();
    let (journal, _) = open(dir.path());
    append(&journal, write(&[b"first"])).expect("appended");
    let kept = fs::read(only_segment(dir.path())).expect("bytes");
    let kept = kept.iter().rposition(|byte| *byte != 0).expect("a record") + 1;
    append(&journal, write(&[b"acknowledged"])).expect("appended");
    drop(journal);
    let path = only_segment(dir.path());
    let mut bytes = fs::read(&path).expect("bytes");
    let flipped = memchr::memmem::find(&bytes, b"acknowledged").expect("the last record");
    assert!(flipped > kept);
    bytes[flipped] ^= 1;
    fs::write(&path, &bytes).expect("written");
    let (_journal, report) = open(dir.path());
    assert_eq!(report.last, Position(1));
    let tails: Vec<Vec<u8>> = fs::read_dir(dir.path())
        .expect("listed")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "tail"))
        .map(|path| fs::read(path).expect("bytes"))
        .collect();
    assert_eq!(tails.len(), 1);
    assert!(memchr::memmem::find(&tails[0], b"cknowledged").is_some(), "what was cut can be looked at");
}

#[test]
fn the_room_a_killed_writer_leaves_is_no_torn_tail() {
    let (dir, killed) = (folder(), folder());
    let mut config = config(dir.path());
    config.segment_bytes = 200;
    let copy = || {
        for path in segments(dir.path()) {
            fs::copy(&path, killed.path().join(path.file_name().expect("a name"))).expect("copied");
        }
    };
    let (journal, _) = LocalJournal::open(&config).expect("opens");
    append(&journal, write(&[&[1; 200]])).expect("appended");
    // As a kill leaves the first segment; it is closed and the second begun, but never made shorter.
    copy();
    let first = segments(killed.path()).remove(0);
    let roomy = fs::read(&first).expect("bytes");
    append(&journal, write(&[b"b"])).expect("appended");
    append(&journal, write(&[b"c"])).expect("appended");
    copy();
    fs::write(&first, &roomy).expect("written");
    drop(journal);
    let has_room = |path: &PathBuf| fs::read(path).expect("bytes").ends_with(&[0; 64]);
    assert!(!segments(dir.path()).iter().any(has_room), "it is given back");
    assert!(segments(killed.path()).iter().all(has_room));

    let (journal, report) = open(killed.path());
    assert_eq!((report.last, report.torn), (Position(3), None));
    append(&journal, write(&[b"d"])).expect("appended");
    let bytes: Vec<Vec<u8>> = read_all(&journal, Position(1)).into_iter().map(|(_, bytes)| bytes).collect();
    assert_eq!(bytes, [b"b", b"c", b"d"]);
    assert_eq!(read_all(&journal, Position::START).len(), 4);
    // Zeros where entries had been are damage, not room.
    let damaged: Vec<u8> = roomy.iter().take(100).copied().chain([0; 1_000]).collect();
    fs::write(&first, damaged).expect("written");
    assert!(journal.read(Position::START).and_then(|mut reader| reader.next_entry()).is_err());
}

#[test]
fn a_segment_whose_records_are_gone_is_damaged_and_not_read_for_ever() {
    let dir = folder();
    let config = JournalConfig { segment_bytes: 1, ..config(dir.path()) };
    let (journal, _) = LocalJournal::open(&config).expect("opens");
    append(&journal, write(&[b"a"])).expect("appended");
    append(&journal, write(&[b"b"])).expect("appended");
    let first = segments(dir.path()).remove(0);
    let bytes = fs::read(&first).expect("bytes");
    let header = memchr::memmem::find(&bytes, &crate::journal::format::RECORD_MAGIC).expect("a record");
    // As a disk leaves it that lost what was written after the header.
    fs::write(&first, [&bytes[..header], &[0; 200]].concat()).expect("written");
    let error = journal.read(Position::START).and_then(|mut reader| reader.next_entry()).expect_err("it is gone");
    assert!(error.to_string().contains("entry 1 is missing"), "{error}");
}

#[test]
fn a_crash_while_a_segment_is_made_loses_nothing() {
    let dir = folder();
    let (journal, _) = open(dir.path());
    append(&journal, write(&[b"a"])).expect("appended");
    drop(journal);
    let header = fs::read(only_segment(dir.path())).expect("bytes");
    let half = [&header[..20], &[0; 1_000]].concat();
    for bytes in [&[][..], &header[..1], &header[..31], &[0; 40], &half] {
        let young = dir.path().join(format!("{:020}.journal", 2));
        fs::write(&young, bytes).expect("written");
        let (journal, report) = open(dir.path());
        assert_eq!(report.last, Position(1));
        assert_eq!(report.torn.map(|t| t.segment), Some(young.clone()));
        assert!(!young.exists());
        assert_eq!(read_all(&journal, Position::START).len(), 1);
    }
}

#[test]
fn any_flipped_bit_before_the_last_commit_is_reported_with_its_place() {
    let dir = folder();
    let (journal, _) = open(dir.path());
    append(&journal, write(&[b"one"])).expect("appended");
    append(&journal, write(&[b"two"])).expect("appended");
    drop(journal);
    let path = only_segment(dir.path());
    let whole = fs::read(&path).expect("bytes");
    // The last record is 32 + 3 bytes: every bit before it belongs to acknowledged entries
    // that the last record says were durable, or to the header.
    for bit in 0..(whole.len() - 35) * 8 {
        let mut damaged = whole.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, &damaged).expect("written");
        let error = LocalJournal::open(&config(dir.path())).map(|_| ()).expect_err("damage is noticed");
        match error {
            JournalError::Damaged { segment, offset, .. } => {
                assert_eq!(segment, path);
                assert!(offset == 0 || offset == HEADER_BYTES, "bit {bit}: {offset}");
            }
            JournalError::Version { .. } => assert!((8 * 8..12 * 8).contains(&bit), "bit {bit}"),
            other => panic!("bit {bit}: {other}"),
        }
        assert_eq!(fs::read(&path).expect("bytes"), damaged, "a damaged file is not touched");
    }
}

#[test]
fn damage_in_an_older_segment_stops_the_reader_there() {
    let dir = folder();
    let mut config = config(dir.path());
    config.segment_bytes = 1;
    let (journal, _) = LocalJournal::open(&config).expect("opens");
    for entry in [b"a", b"b", b"c"] {
        append(&journal, write(&[entry])).expect("appended");
    }
    let second = dir.path().join(format!("{:020}.journal", 2));
    let mut bytes = fs::read(&second).expect("bytes");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&second, bytes).expect("written");
    let mut reader = journal.read(Position::START).expect("a reader");
    assert_eq!(reader.next_entry().expect("reads").expect("one").bytes, b"a");
    for _ in 0..2 {
        let error = reader.next_entry().expect_err("damage is noticed");
        let place = matches!(&error, JournalError::Damaged { segment, offset: HEADER_BYTES, .. } if *segment == second);
        assert!(place, "{error}");
    }
    fs::remove_file(&second).expect("removed");
    let error = reader.next_entry().expect_err("a hole is noticed");
    assert!(matches!(error, JournalError::Damaged { .. }), "{error}");
}

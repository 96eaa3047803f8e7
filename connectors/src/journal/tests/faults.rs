//! A disk that fails: full, or broken, and what is left of it.

use std::io;
use std::sync::atomic::{AtomicU8, Ordering};

use super::*;
use crate::host::{self, Disk, DiskFile, Held, How, Listed};

/// What the next write or sync does.
#[derive(Clone, Debug, Default)]
struct Fault(Arc<AtomicU8>);

const WRITE_FULL: u8 = 1;
const WRITE_ERROR: u8 = 2;
const SYNC_ERROR: u8 = 3;

impl Fault {
    fn set(&self, fault: u8) {
        self.0.store(fault, Ordering::SeqCst);
    }

    fn check(&self, faults: &[u8]) -> io::Result<()> {
        match self.0.load(Ordering::SeqCst) {
            fault if !faults.contains(&fault) => Ok(()),
            WRITE_FULL => Err(io::ErrorKind::StorageFull.into()),
            _ => Err(io::Error::other("injected")),
        }
    }
}

#[derive(Debug)]
struct FaultyDisk(Fault, Arc<dyn Disk>);
struct FaultyFile(Fault, Box<dyn DiskFile>);

impl FaultyDisk {
    fn with(fault: &Fault) -> Arc<dyn Disk> {
        Arc::new(FaultyDisk(fault.clone(), host::disk()))
    }
}

impl Disk for FaultyDisk {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.1.make_folder(folder)
    }

    fn open(&self, path: &Path, how: How) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FaultyFile(self.0.clone(), self.1.open(path, how)?)))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        self.1.list(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.1.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.1.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.1.sync_folder(folder)
    }

    fn hold(&self, path: &Path) -> io::Result<Option<Box<dyn Held>>> {
        self.1.hold(path)
    }
}

impl DiskFile for FaultyFile {
    fn bytes(&self) -> io::Result<u64> {
        self.1.bytes()
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.1.read_at(into, at)
    }

    fn write_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        if let Err(error) = self.0.check(&[WRITE_FULL, WRITE_ERROR]) {
            // As a full disk does: some of it is written.
            self.1.write_at(&bytes[..bytes.len() / 2], at)?;
            return Err(error);
        }
        self.1.write_at(bytes, at)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.check(&[SYNC_ERROR])?;
        self.1.sync()
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.1.cut(bytes)
    }
}

#[test]
fn a_full_disk_refuses_until_there_is_space_and_loses_nothing() {
    let dir = folder();
    let fault = Fault::default();
    fault.set(WRITE_FULL);
    let (journal, _) = LocalJournal::open_on(&config(dir.path()), FaultyDisk::with(&fault)).expect("opens");
    let refused = |journal: &LocalJournal| append(journal, write(&[b"lost"])).expect_err("full").is_retryable();
    assert!(refused(&journal), "before the first segment");
    fault.set(0);
    append(&journal, write(&[b"a"])).expect("appended");
    fault.set(WRITE_FULL);
    assert!(refused(&journal) && refused(&journal));
    fault.set(0);
    assert_eq!(append(&journal, write(&[b"b"])).expect("appended"), Position(2));
    assert_eq!(read_all(&journal, Position::START).len(), 2);
    drop(journal);
    let (journal, report) = open(dir.path());
    assert_eq!(report.torn, None);
    assert_eq!(read_all(&journal, Position::START).len(), 2);
}

#[test]
fn after_an_io_error_nothing_is_accepted_and_nothing_acknowledged_is_lost() {
    for kind in [WRITE_ERROR, SYNC_ERROR] {
        let dir = folder();
        let fault = Fault::default();
        let (journal, _) = LocalJournal::open_on(&config(dir.path()), FaultyDisk::with(&fault)).expect("opens");
        append(&journal, write(&[b"a"])).expect("appended");
        fault.set(kind);
        assert!(append(&journal, write(&[b"b"])).expect_err("broken").is_fatal());
        fault.set(0);
        assert!(append(&journal, write(&[b"c"])).expect_err("still broken").is_fatal());
        assert_eq!(*journal.durable().borrow(), Position(1));
        drop(journal);
        let (journal, _) = open(dir.path());
        assert_eq!(read_all(&journal, Position::START)[0], (1, b"a".to_vec()));
    }
}

#[test]
fn the_newest_segment_stays_until_its_successor_is_durable() {
    let dir = folder();
    let fault = Fault::default();
    let config = JournalConfig { segment_bytes: 1, retain_bytes: 0, ..config(dir.path()) };
    let (journal, _) = LocalJournal::open_on(&config, FaultyDisk::with(&fault)).expect("opens");
    append(&journal, marked(&[b"a"], b"7")).expect("appended");
    journal.release(Position(1));
    fault.set(WRITE_FULL);
    assert!(append(&journal, write(&[b"b"])).expect_err("no room for a header").is_retryable());
    drop(journal);
    // As after a crash in this moment.
    let (journal, report) = open(dir.path());
    assert_eq!((report.first, report.last), (Position(1), Position(1)), "positions never begin again");
    assert_eq!(journal.cursor("files"), Some(b"7".to_vec()));
}

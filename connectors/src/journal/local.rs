//! A journal on the local disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bellwether_engine::planted::{self, Bug};
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

use super::config::JournalConfig;
use super::format::{Marks, RECORD_BYTES_MAX};
use super::gather::{Expected, PendingAppend};
use super::reader::SegmentReader;
use super::segments::{TornTail, scan};
use super::writer::{Request, Shared, Writer};
use super::{Entries, Journal, JournalError, MARK_BYTES_MAX, Position, WriteBatch};
use crate::host::{self, Disk, Held, How};
use crate::journal::receipts::Receipts;

/// Writes waiting to be written; beyond, sources wait. A write is up to some MiB, and one
/// commit takes several.
const QUEUE_WRITES_MAX: usize = 64;
/// The file that one process at a time locks.
const LOCK_FILE: &str = "lock";

/// What was found at opening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenReport {
    /// The oldest entry kept; one beyond `last` when there is none.
    pub first: Position,
    /// The newest entry.
    pub last: Position,
    /// What was cut off because it had never been acknowledged.
    pub torn: Option<TornTail>,
}

/// A journal on the local disk, with one writer thread.
pub struct LocalJournal {
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
    queue: Option<mpsc::Sender<Request>>,
    durable: watch::Receiver<Position>,
    marks: Arc<Mutex<Marks>>,
    receipts: Arc<Receipts>,
    released: watch::Sender<Position>,
    writer: Option<JoinHandle<()>>,
    expected: Arc<Expected>,
    /// Nobody else opens the journal while this is held.
    _held: Box<dyn Held>,
}

impl LocalJournal {
    /// Opens or creates the journal, cuts a torn tail, and starts the writer. Blocking.
    ///
    /// # Errors
    /// [`JournalError::Locked`], [`JournalError::Damaged`], [`JournalError::Version`] or
    /// [`JournalError::Io`].
    pub fn open(config: &JournalConfig) -> Result<(LocalJournal, OpenReport), JournalError> {
        LocalJournal::open_on(config, host::disk())
    }

    pub(super) fn open_on(
        config: &JournalConfig,
        disk: Arc<dyn Disk>,
    ) -> Result<(LocalJournal, OpenReport), JournalError> {
        let dir: Arc<Path> = config.dir.as_path().into();
        disk.make_folder(&dir).map_err(|e| JournalError::io("create", &dir, &e))?;
        let held = hold(&*disk, &dir)?;
        let found = scan(&*disk, &dir)?;
        if let Some(torn) = &found.torn {
            let aside = keep_aside(&*disk, &dir, torn)?;
            tracing::warn!(
                segment = %torn.segment.display(), offset = torn.offset, bytes = torn.bytes, reason = torn.reason,
                aside = %aside.display(), "journal tail is cut: a write that a crash interrupted, which had not been \
                 acknowledged, or a damaged one; its bytes are kept aside"
            );
        }
        let report = OpenReport {
            first: Position(found.segments.first().map_or(found.last().0 + 1, |s| s.first)),
            last: found.last(),
            torn: found.torn.clone(),
        };

        let marks = found.tail.as_ref().map(|t| t.marks.clone()).unwrap_or_default();
        let marks = Arc::new(Mutex::new(marks));
        let receipts = found.tail.as_ref().map(|t| t.receipts.clone()).unwrap_or_default();
        let forgotten = planted::has(Bug::ReceiptsForgotten);
        let receipts = Arc::new(Receipts::restore(receipts.into_iter().filter(|_| !forgotten)));
        let (durable_sender, durable) = watch::channel(report.last);
        let (released, released_receiver) = watch::channel(Position::START);
        let writer = Writer::open(
            config.clone(),
            disk.clone(),
            found,
            Shared { marks: marks.clone(), receipts: receipts.clone(), durable: durable_sender },
            released_receiver,
        )?;
        let (queue, requests) = mpsc::channel(QUEUE_WRITES_MAX);
        let expected = Arc::new(Expected::default());
        let writer = match host::made_up() {
            Some(host) => {
                host.spawn(Box::pin(writer.serve(requests)));
                None
            }
            None => {
                let awaited = expected.clone();
                let thread = std::thread::Builder::new().name("journal".to_owned());
                let started = thread.spawn(move || writer.run(requests, &awaited));
                Some(started.map_err(|e| JournalError::io("start the writer of", &dir, &e))?)
            }
        };
        let journal = LocalJournal {
            disk,
            dir,
            queue: Some(queue),
            durable,
            marks,
            receipts,
            released,
            writer,
            expected,
            _held: held,
        };
        Ok((journal, report))
    }
}

/// Files of cut tails that are kept.
const TAILS_MAX: usize = 4;
const TAIL_SUFFIX: &str = ".tail";

/// Keeps what will be cut: a last record whose bits have flipped looks like one that was never wholly
/// written, but had been acknowledged.
fn keep_aside(disk: &dyn Disk, dir: &Path, torn: &TornTail) -> Result<PathBuf, JournalError> {
    let io = |operation: &'static str, path: &Path| {
        let path = path.to_owned();
        move |error: std::io::Error| JournalError::io(operation, &path, &error)
    };
    let bytes = host::read(disk, &torn.segment).map_err(io("read", &torn.segment))?;
    let tail = bytes.get(usize::try_from(torn.offset).unwrap_or(usize::MAX)..).unwrap_or_default();
    let written = tail.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let name = torn.segment.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let aside = dir.join(format!("{name}-{:020}{TAIL_SUFFIX}", torn.offset));
    let mut file = disk.open(&aside, How::Fresh).map_err(io("create", &aside))?;
    file.write_at(&tail[..written], 0).and_then(|()| file.sync()).map_err(io("write", &aside))?;
    let mut kept: Vec<PathBuf> = disk
        .list(dir)
        .map_err(io("list", dir))?
        .into_iter()
        .map(|file| file.path)
        .filter(|path| path.to_string_lossy().ends_with(TAIL_SUFFIX))
        .collect();
    kept.sort();
    let surplus = kept.len().saturating_sub(TAILS_MAX);
    for old in &kept[..surplus] {
        disk.remove(old).map_err(io("remove", old))?;
    }
    Ok(aside)
}

/// Whether a process has the journal at `dir` open.
///
/// # Errors
/// [`JournalError::Io`] when the lock cannot be looked at.
pub fn is_in_use(dir: &Path) -> Result<bool, JournalError> {
    let path = dir.join(LOCK_FILE);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(JournalError::io("look at", &path, &error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(fs::TryLockError::WouldBlock) => Ok(true),
        Err(fs::TryLockError::Error(error)) => Err(JournalError::io("look at", &path, &error)),
    }
}

fn hold(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Held>, JournalError> {
    let path = dir.join(LOCK_FILE);
    let held = disk.hold(&path).map_err(|e| JournalError::io("lock", &path, &e))?;
    held.ok_or_else(|| JournalError::Locked { path: dir.to_owned() })
}

impl Journal for LocalJournal {
    fn append(&self, write: Arc<WriteBatch>) -> BoxFuture<'_, Result<Position, JournalError>> {
        Box::pin(async move {
            check_size(&write)?;
            if write.entries.is_empty() && write.mark.is_none() {
                return Ok(*self.durable.borrow());
            }
            let (reply, answer) = oneshot::channel();
            let queue = self.queue.as_ref().expect("the queue lives until drop");
            let ended = || JournalError::Fatal {
                operation: "write",
                path: self.dir.to_path_buf(),
                reason: "the writer has ended".to_owned(),
            };
            let queued = queue.send(Request { write: write.clone(), reply }).await;
            write.coming.arrived();
            drop(write);
            queued.map_err(|_| ended())?;
            answer.await.map_err(|_| ended())?
        })
    }

    fn coming(&self) -> PendingAppend {
        self.expected.coming()
    }

    fn durable(&self) -> watch::Receiver<Position> {
        self.durable.clone()
    }

    fn read(&self, after: Position) -> Result<Box<dyn Entries>, JournalError> {
        let reader = SegmentReader::live(self.disk.clone(), self.dir.clone(), after, self.durable.clone())?;
        Ok(Box::new(reader))
    }

    fn cursor(&self, source: &str) -> Option<Vec<u8>> {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.get(source).cloned()
    }

    fn receipts(&self) -> Arc<Receipts> {
        self.receipts.clone()
    }

    fn release(&self, upto: Position) {
        self.released.send_if_modified(|released| {
            let moved = upto > *released;
            *released = upto.max(*released);
            moved
        });
    }
}

fn check_size(write: &WriteBatch) -> Result<(), JournalError> {
    let over = |bytes: usize, limit: usize| {
        if bytes > limit { Err(JournalError::TooLarge { bytes, limit }) } else { Ok(()) }
    };
    for entry in &write.entries {
        over(entry.len(), RECORD_BYTES_MAX)?;
    }
    // As many keys as fit into a record are far more than are remembered.
    let keys = write.claims.as_ref().map_or(0, |claims| claims.receipt_bytes());
    over(keys, RECORD_BYTES_MAX)?;
    let mark = write.mark.as_ref().map_or(0, |m| m.source.len() + m.cursor.len());
    over(mark, MARK_BYTES_MAX)
}

impl Drop for LocalJournal {
    /// Waits for the writer: what was queued becomes durable or fails first.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

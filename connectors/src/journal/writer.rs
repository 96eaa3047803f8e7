//! The writer thread: many writes, one write, one `fdatasync`, then every acknowledgement.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bellwether_engine::planted::{self, Bug};
use bellwether_engine::time::EventTime;
use tokio::sync::{mpsc, oneshot, watch};

use super::config::JournalConfig;
use super::format::{FORMAT_VERSION, Marks, RecordHead, SegmentHeader, encode_record};
use super::gather::Expected;
use super::roomy::RoomyFile;
use super::segments::{Scan, Segment, segment_path};
use super::{JournalError, Position, WriteBatch};
use crate::host::{self, Disk, How};
use crate::journal::receipts::{Claims, Receipts};

/// One commit takes queued writes until it has this many bytes: larger gains nothing on a
/// disk that syncs in a fraction of a millisecond and delays the first acknowledgement.
const COMMIT_BYTES: usize = 8 << 20;

/// A write and whom to tell.
pub(super) struct Request {
    pub(super) write: Arc<WriteBatch>,
    pub(super) reply: oneshot::Sender<Result<Position, JournalError>>,
}

/// What the writer tells the others.
pub(super) struct Shared {
    pub(super) marks: Arc<Mutex<Marks>>,
    pub(super) receipts: Arc<Receipts>,
    pub(super) durable: watch::Sender<Position>,
}

/// Writes that become durable together.
struct Batch {
    requests: Vec<Request>,
    bytes: usize,
}

impl Batch {
    fn of(first: Request) -> Batch {
        Batch { bytes: write_bytes(&first.write), requests: vec![first] }
    }

    /// Takes what waits; answers whether there is room for more.
    fn take(&mut self, queue: &mut mpsc::Receiver<Request>) -> bool {
        while self.bytes < COMMIT_BYTES {
            let Ok(request) = queue.try_recv() else { return true };
            self.bytes += write_bytes(&request.write);
            self.requests.push(request);
        }
        false
    }
}

pub(super) struct Writer {
    config: JournalConfig,
    disk: Arc<dyn Disk>,
    /// Closed segments, oldest first.
    closed: Vec<Segment>,
    current: Option<Current>,
    /// The last durable sequence.
    last: u64,
    shared: Shared,
    released: watch::Receiver<Position>,
    /// The error after which nothing is accepted.
    broken: Option<JournalError>,
    buffer: Vec<u8>,
}

struct Current {
    file: RoomyFile,
    segment: Segment,
    salt: u32,
}

impl Writer {
    /// Takes over the folder as `found`: removes headerless segments, cuts a torn tail.
    pub(super) fn open(
        config: JournalConfig,
        disk: Arc<dyn Disk>,
        found: Scan,
        shared: Shared,
        released: watch::Receiver<Position>,
    ) -> Result<Writer, JournalError> {
        let mut writer = Writer {
            last: found.last().0,
            config,
            disk,
            closed: found.segments,
            current: None,
            shared,
            released,
            broken: None,
            buffer: Vec::new(),
        };
        for path in &found.headerless {
            writer.disk.remove(path).map_err(|e| JournalError::io("remove", path, &e))?;
        }
        if let (Some(tail), Some(mut segment)) = (found.tail, writer.closed.pop()) {
            let path = segment.path.clone();
            let io = |operation| move |e: io::Error| fatal(operation, &path, &e);
            let mut file = writer.open_file(&segment.path).map_err(io.clone()("open"))?;
            if segment.bytes > tail.bytes && !planted::has(Bug::TornTailKept) {
                file.cut(tail.bytes).map_err(io.clone()("cut"))?;
            }
            // What is there may never have been synced: a process killed between write and sync
            // leaves whole records that only the page cache holds. From now on they are read,
            // so they must be durable.
            file.sync().map_err(io("sync"))?;
            segment.bytes = tail.bytes;
            if tail.version == FORMAT_VERSION {
                writer.current = Some(Current { file, segment, salt: tail.salt });
            } else if tail.last < segment.first {
                // Nothing is in it yet; its successor would have its name.
                writer.disk.remove(&segment.path).map_err(|e| JournalError::io("remove", &segment.path, &e))?;
            } else {
                writer.closed.push(segment);
            }
        }
        let dir = writer.config.dir.clone();
        writer.disk.sync_folder(&dir).map_err(|e| fatal("sync", &dir, &e))?;
        Ok(writer)
    }

    fn open_file(&self, path: &Path) -> io::Result<RoomyFile> {
        RoomyFile::at_the_end_of(self.disk.open(path, How::Write)?, self.config.segment_bytes)
    }

    /// Serves requests until the last sender is gone.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>, expected: &Expected) {
        while let Some(first) = requests.blocking_recv() {
            let mut batch = Batch::of(first);
            expected.gather(|| batch.take(&mut requests));
            self.commit(batch);
        }
    }

    /// The same where there are no threads.
    pub(super) async fn serve(mut self, mut requests: mpsc::Receiver<Request>) {
        while let Some(first) = requests.recv().await {
            let mut batch = Batch::of(first);
            batch.take(&mut requests);
            self.commit(batch);
        }
    }

    fn commit(&mut self, Batch { requests: batch, bytes }: Batch) {
        match self.write(&batch, bytes as u64) {
            Ok(positions) => {
                self.move_marks(&batch);
                batch.iter().filter_map(|request| request.write.claims.as_ref()).for_each(Claims::keep);
                self.shared.durable.send_replace(Position(self.last));
                for (request, position) in batch.into_iter().zip(positions) {
                    let _ = request.reply.send(Ok(position));
                }
            }
            Err(error) => {
                if planted::has(Bug::ClaimOfFailedWrite) {
                    batch.iter().filter_map(|request| request.write.claims.as_ref()).for_each(Claims::keep);
                }
                if error.is_fatal() && self.broken.is_none() {
                    tracing::error!(%error, "journal accepts nothing more");
                    self.broken = Some(error.clone());
                }
                for request in batch {
                    let _ = request.reply.send(Err(error.clone()));
                }
            }
        }
    }

    fn move_marks(&self, batch: &[Request]) {
        let mut marks = self.shared.marks.lock().unwrap_or_else(PoisonError::into_inner);
        for mark in batch.iter().filter_map(|request| request.write.mark.as_ref()) {
            marks.insert(mark.source.clone(), mark.cursor.clone());
        }
    }

    /// Makes the batch durable; returns the last position of each write.
    fn write(&mut self, batch: &[Request], bytes: u64) -> Result<Vec<Position>, JournalError> {
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        self.make_room(bytes)?;
        let mut current = self.current.take().expect("there is one when there is room");
        let salt = current.salt;
        self.buffer.clear();
        let mut next = self.last + 1;
        let mut positions = Vec::with_capacity(batch.len());
        for request in batch {
            next = encode_write(&mut self.buffer, salt, next, self.last, &request.write);
            positions.push(Position(next - 1));
        }
        let written = current.file.append(&self.buffer);
        let result = match written {
            Ok(()) if planted::has(Bug::AnswerBeforeSync) => Ok(()),
            Ok(()) => current.file.sync().map_err(|e| fatal("sync", &current.segment.path, &e)),
            Err(e) => Err(undo(&mut current, &e)),
        };
        if result.is_ok() {
            current.segment.bytes += self.buffer.len() as u64;
            current.segment.modified = host::now();
            self.last = next - 1;
        }
        self.current = Some(current);
        result.map(|()| positions)
    }

    /// Sees to a segment that is not full, drops what retention allows, and checks the capacity.
    fn make_room(&mut self, bytes: u64) -> Result<(), JournalError> {
        let full = |c: &Current| c.segment.bytes >= self.config.segment_bytes;
        if self.current.as_ref().is_some_and(full) {
            self.closed.extend(self.current.take().map(|c| c.segment));
        }
        self.retain(host::now())?;
        if self.current.is_none() {
            self.current = Some(self.begin_segment()?);
            self.retain(host::now())?;
        }
        let used = self.used_bytes();
        if used + bytes > self.config.capacity_bytes {
            return Err(JournalError::Full {
                reason: format!(
                    "{used} bytes of {} are used and no checkpoint has released any: raise `capacity_bytes`",
                    self.config.capacity_bytes
                ),
                own_limit: true,
            });
        }
        Ok(())
    }

    /// Drops the oldest closed segments that are released, and over the size or the age. The newest stays until its
    /// successor is durable: that alone says how far the journal is, and what the cursors and receipts are.
    fn retain(&mut self, now: EventTime) -> Result<(), JournalError> {
        let released = self.released.borrow().0;
        let mut dropped = false;
        let kept = usize::from(self.current.is_none() && !planted::has(Bug::NewestDropped));
        while let Some(oldest) = self.closed.get(..self.closed.len().saturating_sub(kept)).and_then(<[_]>::first) {
            let next_first = self.closed.get(1).map(|s| s.first);
            let next_first = next_first.or(self.current.as_ref().map(|c| c.segment.first)).unwrap_or(self.last + 1);
            let old = now.since(oldest.modified) > self.config.retain_age;
            let over = self.used_bytes() > self.config.retain_bytes || old;
            let needed = next_first > released + 1 && !planted::has(Bug::UnreleasedDropped);
            if needed || !over {
                break;
            }
            let path = self.closed.remove(0).path;
            self.disk.remove(&path).map_err(|e| fatal("remove", &path, &e))?;
            dropped = true;
        }
        if dropped {
            let dir = self.config.dir.clone();
            self.disk.sync_folder(&dir).map_err(|e| fatal("sync", &dir, &e))?;
        }
        Ok(())
    }

    fn used_bytes(&self) -> u64 {
        let closed: u64 = self.closed.iter().map(|s| s.bytes).sum();
        closed + self.current.as_ref().map_or(0, |c| c.segment.bytes)
    }

    /// Creates the segment of the next entry; its header is durable when this returns.
    fn begin_segment(&mut self) -> Result<Current, JournalError> {
        let first = self.last + 1;
        let path = segment_path(&self.config.dir, first);
        // A number nobody outside can know; it need not be secret from those who read the file.
        let salt = u32::from_le_bytes(host::chance());
        let mut marks = self.shared.marks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut receipts = self.shared.receipts.list();
        if planted::has(Bug::MarksNotCarriedOn) {
            marks.clear();
        }
        if planted::has(Bug::ReceiptsNotCarriedOn) {
            receipts.clear();
        }
        let mut header = Vec::new();
        SegmentHeader { version: FORMAT_VERSION, salt, first, marks, receipts }.encode(&mut header);
        let mut file = self.open_file(&path).map_err(|e| full_or_fatal("create", &path, &e))?;
        if let Err(e) = file.append(&header) {
            // Leave no half header behind: the next attempt would append to it.
            file.cut(0).map_err(|e| fatal("cut", &path, &e))?;
            return Err(full_or_fatal("write", &path, &e));
        }
        file.sync().map_err(|e| fatal("sync", &path, &e))?;
        let dir = self.config.dir.clone();
        if !planted::has(Bug::SegmentNotInFolder) {
            self.disk.sync_folder(&dir).map_err(|e| fatal("sync", &dir, &e))?;
        }
        let segment = Segment { path, first, bytes: header.len() as u64, modified: host::now() };
        Ok(Current { file, segment, salt })
    }
}

/// Appends a write's records; returns the next sequence. Its receipt goes first, so that a write
/// ends with an entry. A mark without entries is carried by an empty record.
fn encode_write(out: &mut Vec<u8>, salt: u32, first: u64, durable: u64, write: &WriteBatch) -> u64 {
    let mut sequence = first;
    let wanted = |claims: &&Claims| !claims.is_empty() && !planted::has(Bug::ReceiptNotWritten);
    if let Some(claims) = write.claims.as_ref().filter(wanted) {
        let mut payload = Vec::new();
        claims.receipt().encode(&mut payload);
        let head = RecordHead { sequence, durable, more: true, is_receipt: true };
        encode_record(out, salt, head, None, &payload);
        sequence += 1;
    }
    let last = write.entries.len().max(1) - 1;
    for index in 0..=last {
        let payload = write.entries.get(index).map_or(&[][..], Vec::as_slice);
        let mark = write.mark.as_ref().filter(|_| index == last && !planted::has(Bug::MarkNotWritten));
        let head = RecordHead { sequence, durable, more: index < last, is_receipt: false };
        encode_record(out, salt, head, mark, payload);
        sequence += 1;
    }
    sequence
}

fn write_bytes(write: &WriteBatch) -> usize {
    write.entries.iter().map(|e| e.len() + super::format::RECORD_HEADER_BYTES).sum::<usize>()
}

/// A failed write of bytes nobody was promised: with the disk merely full it can be undone.
fn undo(current: &mut Current, error: &io::Error) -> JournalError {
    let path = &current.segment.path;
    match current.file.cut(current.segment.bytes) {
        Ok(()) => full_or_fatal("write", path, error),
        Err(e) => fatal("cut", path, &e),
    }
}

fn full_or_fatal(operation: &'static str, path: &Path, error: &io::Error) -> JournalError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => JournalError::Full {
            reason: format!("no space to {operation} `{}`: free some, nothing acknowledged is lost", path.display()),
            own_limit: false,
        },
        _ => fatal(operation, path, error),
    }
}

fn fatal(operation: &'static str, path: &Path, error: &io::Error) -> JournalError {
    JournalError::Fatal { operation, path: path.to_owned(), reason: error.to_string() }
}

//! The writer thread: many writes, one write, one `fdatasync`, then every acknowledgement.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot, watch};

use super::config::JournalConfig;
use super::format::{FORMAT_VERSION, Marks, RecordHead, SegmentHeader, encode_record};
use super::gather::Expected;
use super::segments::{Scan, Segment, segment_path};
use super::{JournalError, Position, WriteBatch};
use crate::journal::receipts::{Claims, Receipts};
use crate::private;

/// One commit takes queued writes until it has this many bytes: larger gains nothing on a
/// disk that syncs in a fraction of a millisecond and delays the first acknowledgement.
const COMMIT_BYTES: usize = 8 << 20;

/// A write and whom to tell.
pub(super) struct Request {
    pub(super) write: Arc<WriteBatch>,
    pub(super) reply: oneshot::Sender<Result<Position, JournalError>>,
}

/// What the writer does to the disk; tests have a disk that fails.
pub(super) trait Disk: Send {
    /// Creates or opens `path` for appending.
    fn open(&mut self, path: &Path) -> io::Result<Box<dyn SegmentFile>>;
    /// Makes a creation or removal in `dir` durable.
    fn sync_dir(&mut self, dir: &Path) -> io::Result<()>;
}

/// A segment being written.
pub(super) trait SegmentFile: Send {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self) -> io::Result<()>;
    fn cut(&mut self, bytes: u64) -> io::Result<()>;
}

pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn open(&mut self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        let file = private::file().create(true).truncate(false).write(true).open(path)?;
        let end = file.metadata()?.len();
        Ok(Box::new(RoomyFile { file, end, room: end }))
    }

    fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

/// Zeros written beyond the end when the end reaches them: a sync within them has no new length and
/// no new blocks to make durable, only the bytes, which takes half the time.
const ROOM_BYTES: usize = 1 << 20;

/// Longer appends do without: the zeros would cost as much as they save.
const ROOM_FOR_BYTES_MAX: usize = 16 << 10;

/// A file with room at its end.
struct RoomyFile {
    file: File,
    /// Where the next bytes go.
    end: u64,
    /// Where the zeros end.
    room: u64,
}

impl RoomyFile {
    /// Makes room; on a full disk there is none, and none is needed.
    fn make_room(&mut self) -> io::Result<()> {
        let zeros = [0; 64 << 10];
        let mut room = self.end;
        while room < self.end + ROOM_BYTES as u64 {
            if self.file.write_all_at(&zeros, room).is_err() {
                self.file.set_len(self.end)?;
                room = self.end;
                break;
            }
            room += zeros.len() as u64;
        }
        self.room = room;
        Ok(())
    }
}

impl SegmentFile for RoomyFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.end)?;
        let end = self.end + bytes.len() as u64;
        self.end = end;
        if end > self.room {
            self.room = end;
            if bytes.len() <= ROOM_FOR_BYTES_MAX {
                self.make_room()?;
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn cut(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        (self.end, self.room) = (bytes, bytes);
        Ok(())
    }
}

impl Drop for RoomyFile {
    /// Gives the room back. Who reads the file copes with zeros, too.
    fn drop(&mut self) {
        let _ = self.file.set_len(self.end);
    }
}

/// What the writer tells the others.
pub(super) struct Shared {
    pub(super) marks: Arc<Mutex<Marks>>,
    pub(super) receipts: Arc<Receipts>,
    pub(super) durable: watch::Sender<Position>,
}

pub(super) struct Writer {
    config: JournalConfig,
    disk: Box<dyn Disk>,
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
    file: Box<dyn SegmentFile>,
    segment: Segment,
    salt: u32,
}

impl Writer {
    /// Takes over the folder as `found`: removes headerless segments, cuts a torn tail.
    pub(super) fn open(
        config: JournalConfig,
        disk: Box<dyn Disk>,
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
            fs::remove_file(path).map_err(|e| JournalError::io("remove", path, &e))?;
        }
        if let (Some(tail), Some(mut segment)) = (found.tail, writer.closed.pop()) {
            let path = segment.path.clone();
            let io = |operation| move |e: io::Error| fatal(operation, &path, &e);
            let mut file = writer.disk.open(&segment.path).map_err(io.clone()("open"))?;
            if segment.bytes > tail.bytes {
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
                fs::remove_file(&segment.path).map_err(|e| JournalError::io("remove", &segment.path, &e))?;
            } else {
                writer.closed.push(segment);
            }
        }
        let dir = writer.config.dir.clone();
        writer.disk.sync_dir(&dir).map_err(|e| fatal("sync", &dir, &e))?;
        Ok(writer)
    }

    /// Serves requests until the last sender is gone.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>, expected: &Expected) {
        while let Some(first) = requests.blocking_recv() {
            let mut bytes = write_bytes(&first.write);
            let mut batch = vec![first];
            expected.gather(|| {
                while bytes < COMMIT_BYTES {
                    let Ok(request) = requests.try_recv() else {
                        return true;
                    };
                    bytes += write_bytes(&request.write);
                    batch.push(request);
                }
                false
            });
            self.commit(batch, bytes as u64);
        }
    }

    fn commit(&mut self, batch: Vec<Request>, bytes: u64) {
        match self.write(&batch, bytes) {
            Ok(positions) => {
                let mut marks = self.shared.marks.lock().unwrap_or_else(PoisonError::into_inner);
                for request in &batch {
                    if let Some(mark) = &request.write.mark {
                        marks.insert(mark.source.clone(), mark.cursor.clone());
                    }
                }
                drop(marks);
                batch.iter().filter_map(|request| request.write.claims.as_ref()).for_each(Claims::keep);
                self.shared.durable.send_replace(Position(self.last));
                for (request, position) in batch.into_iter().zip(positions) {
                    let _ = request.reply.send(Ok(position));
                }
            }
            Err(error) => {
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
            Ok(()) => current.file.sync().map_err(|e| fatal("sync", &current.segment.path, &e)),
            Err(e) => Err(undo(&mut current, &e)),
        };
        if result.is_ok() {
            current.segment.bytes += self.buffer.len() as u64;
            current.segment.modified = file_clock();
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
        self.retain(file_clock())?;
        if self.current.is_none() {
            self.current = Some(self.begin_segment()?);
            self.retain(file_clock())?;
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
    fn retain(&mut self, now: SystemTime) -> Result<(), JournalError> {
        let released = self.released.borrow().0;
        let age_max = u64::try_from(self.config.retain_age.0).unwrap_or(0);
        let mut dropped = false;
        let kept = usize::from(self.current.is_none());
        while let Some(oldest) = self.closed.get(..self.closed.len().saturating_sub(kept)).and_then(<[_]>::first) {
            let next_first = self.closed.get(1).map(|s| s.first);
            let next_first = next_first.or(self.current.as_ref().map(|c| c.segment.first)).unwrap_or(self.last + 1);
            let age = now.duration_since(oldest.modified).unwrap_or_default();
            let over = self.used_bytes() > self.config.retain_bytes || age.as_nanos() > u128::from(age_max);
            if next_first > released + 1 || !over {
                break;
            }
            let path = self.closed.remove(0).path;
            fs::remove_file(&path).map_err(|e| fatal("remove", &path, &e))?;
            dropped = true;
        }
        if dropped {
            let dir = self.config.dir.clone();
            self.disk.sync_dir(&dir).map_err(|e| fatal("sync", &dir, &e))?;
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
        let salt = fresh_salt(first);
        let marks = self.shared.marks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let receipts = self.shared.receipts.list();
        let mut header = Vec::new();
        SegmentHeader { version: FORMAT_VERSION, salt, first, marks, receipts }.encode(&mut header);
        let mut file = self.disk.open(&path).map_err(|e| full_or_fatal("create", &path, &e))?;
        if let Err(e) = file.append(&header) {
            // Leave no half header behind: the next attempt would append to it.
            file.cut(0).map_err(|e| fatal("cut", &path, &e))?;
            return Err(full_or_fatal("write", &path, &e));
        }
        file.sync().map_err(|e| fatal("sync", &path, &e))?;
        let dir = self.config.dir.clone();
        self.disk.sync_dir(&dir).map_err(|e| fatal("sync", &dir, &e))?;
        let segment = Segment { path, first, bytes: header.len() as u64, modified: file_clock() };
        Ok(Current { file, segment, salt })
    }
}

/// Appends a write's records; returns the next sequence. Its receipt goes first, so that a write
/// ends with an entry. A mark without entries is carried by an empty record.
fn encode_write(out: &mut Vec<u8>, salt: u32, first: u64, durable: u64, write: &WriteBatch) -> u64 {
    let mut sequence = first;
    if let Some(claims) = write.claims.as_ref().filter(|claims| !claims.is_empty()) {
        let mut payload = Vec::new();
        claims.receipt().encode(&mut payload);
        let head = RecordHead { sequence, durable, more: true, is_receipt: true };
        encode_record(out, salt, head, None, &payload);
        sequence += 1;
    }
    let last = write.entries.len().max(1) - 1;
    for index in 0..=last {
        let payload = write.entries.get(index).map_or(&[][..], Vec::as_slice);
        let mark = write.mark.as_ref().filter(|_| index == last);
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

/// A number nobody outside can know; it need not be secret from those who read the file.
fn fresh_salt(first: u64) -> u32 {
    use std::hash::{BuildHasher, RandomState};
    let hash = RandomState::new().hash_one((first, std::process::id()));
    (hash >> 32) as u32 ^ hash as u32
}

/// The clock of the file system, which says how old a segment is.
#[expect(clippy::disallowed_methods, reason = "retention compares with the times of files")]
fn file_clock() -> SystemTime {
    SystemTime::now()
}

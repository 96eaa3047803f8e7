//! Reading a journal from a position, alive or as a folder somebody sent.

use std::io::{BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_engine::planted::{self, Bug};
use bellwether_engine::time::EventTime;
use tokio::sync::watch;

use super::format::{Bad, Marks, Record, SegmentHeader, read_record};
use super::segments::{Segment, TornTail, describe, list, scan};
use super::{Entries, Entry, JournalError, Position};
use crate::host::{self, Disk, How, ReadFrom};

/// How much is read from disk at a time.
const READ_BYTES: usize = 256 << 10;

/// Reads entries in order, from segment to segment.
pub struct SegmentReader {
    disk: Arc<dyn Disk>,
    dir: Arc<Path>,
    /// What may be read: the durable end.
    end: End,
    /// The last entry returned.
    at: u64,
    open: Option<Open>,
    /// The cursors at the end of a folder that is only looked at.
    marks: Marks,
}

enum End {
    Live(watch::Receiver<Position>),
    Fixed(Position),
}

struct Open {
    path: PathBuf,
    file: BufReader<ReadFrom>,
    salt: u32,
    /// Sequence of the next record in the file.
    next: u64,
}

impl SegmentReader {
    pub(super) fn live(
        disk: Arc<dyn Disk>,
        dir: Arc<Path>,
        after: Position,
        durable: watch::Receiver<Position>,
    ) -> Result<SegmentReader, JournalError> {
        let last = *durable.borrow();
        SegmentReader::new(disk, dir, after, last, End::Live(durable))
    }

    /// Reads a folder that no process writes, without changing it. A torn tail is returned
    /// beside the reader and not read.
    ///
    /// # Errors
    /// Those of [`super::LocalJournal::open`].
    pub fn open_folder(dir: &Path, after: Position) -> Result<(SegmentReader, Option<TornTail>), JournalError> {
        let disk = host::disk();
        let found = scan(&*disk, dir)?;
        let last = found.last();
        let reader = SegmentReader::new(disk, dir.into(), after, last, End::Fixed(last))?;
        let marks = found.tail.map(|tail| tail.marks).unwrap_or_default();
        Ok((SegmentReader { marks, ..reader }, found.torn))
    }

    /// Reads the end of a folder, which may be written meanwhile, up to where it ends now: from the first file on with
    /// which no more than about `bytes_max` are left, and that was written last no earlier than `since`. The last file is
    /// read in any case.
    ///
    /// # Errors
    /// Those of [`super::LocalJournal::open`].
    pub fn open_end(dir: &Path, bytes_max: u64, since: Option<EventTime>) -> Result<SegmentReader, JournalError> {
        let segments = list(&*host::disk(), dir)?;
        let mut bytes = 0;
        let wanted = |segment: &&Segment| {
            bytes += segment.bytes;
            bytes <= bytes_max && since.is_none_or(|since| segment.modified >= since)
        };
        let first = segments.iter().rev().take_while(wanted).last().or(segments.last());
        let after = Position(first.map_or(0, |segment| segment.first.saturating_sub(1)));
        SegmentReader::open_folder(dir, after).map(|(reader, _)| reader)
    }

    fn new(
        disk: Arc<dyn Disk>,
        dir: Arc<Path>,
        after: Position,
        last: Position,
        end: End,
    ) -> Result<SegmentReader, JournalError> {
        if after > last {
            return Err(JournalError::Beyond { asked: after, last });
        }
        let first = list(&*disk, &dir)?.first().map_or(last.0 + 1, |s| s.first);
        if after.0 + 1 < first {
            return Err(JournalError::Gone { asked: after, first: Position(first) });
        }
        Ok(SegmentReader { disk, dir, end, at: after.0, open: None, marks: Marks::new() })
    }

    /// The latest cursor of `source`, in a folder that no process writes.
    pub(crate) fn cursor(&self, source: &str) -> Option<&[u8]> {
        self.marks.get(source).map(Vec::as_slice)
    }

    /// The last entry there is.
    pub(crate) fn end_position(&self) -> Position {
        Position(self.end())
    }

    fn end(&self) -> u64 {
        match &self.end {
            End::Live(durable) => durable.borrow().0,
            End::Fixed(last) => last.0,
        }
    }

    /// Opens the segment that holds the entry after `at`.
    fn open_segment(&mut self) -> Result<Open, JournalError> {
        let segments = list(&*self.disk, &self.dir)?;
        let wanted = self.at + 1;
        let gone = || JournalError::Gone {
            asked: Position(self.at),
            first: Position(segments.first().map_or(0, |s| s.first)),
        };
        let holder = segments.iter().rev().find(|s| s.first <= wanted);
        let segment = holder.ok_or_else(gone)?;
        let io = |e: std::io::Error| JournalError::io("read", &segment.path, &e);
        let file = self.disk.open(&segment.path, How::Read).map_err(io)?;
        let mut file = BufReader::with_capacity(READ_BYTES, ReadFrom::the_beginning(file));
        let (header, _) = SegmentHeader::read(&mut file).map_err(|bad| fault(&segment.path, 0, &bad))?;
        Ok(Open { path: segment.path.clone(), file, salt: header.salt, next: header.first })
    }
}

impl Open {
    /// The record at `offset`, which the caller knows to be durable. The buffer may hold older
    /// bytes of that place, of a write that was undone: so what does not read is read again.
    fn read(&mut self, offset: u64) -> Result<Option<Record>, JournalError> {
        if let Ok(Some(record)) = read_record(&mut self.file, self.salt) {
            return Ok(Some(record));
        }
        self.file.seek(SeekFrom::Start(offset)).map_err(|e| JournalError::io("read", &self.path, &e))?;
        match read_record(&mut self.file, self.salt) {
            // A writer that was killed has left the room it had made: this is the segment's end.
            Err(Bad::Empty) => Ok(None),
            read => read.map_err(|bad| fault(&self.path, offset, &bad)),
        }
    }
}

impl Entries for SegmentReader {
    fn next_entry(&mut self) -> Result<Option<Entry>, JournalError> {
        while self.at < self.end() {
            let mut open = match self.open.take() {
                Some(open) => open,
                None => self.open_segment()?,
            };
            let offset = open.file.stream_position().unwrap_or(0);
            let record = open.read(offset)?;
            let Some(record) = record else {
                // The segment is read to its end; the next one must go on where it stopped.
                if open.next != self.at + 1 || !self.is_followed(&open)? {
                    return Err(missing(&open, offset));
                }
                if planted::has(Bug::SegmentBeginSkipped) {
                    self.at += 1;
                }
                continue;
            };
            if record.head.sequence != open.next {
                return Err(JournalError::Damaged {
                    segment: open.path,
                    offset,
                    reason: format!("entry {} is where {} should be", record.head.sequence, open.next),
                });
            }
            open.next += 1;
            self.open = Some(open);
            if record.head.sequence > self.at {
                self.at = record.head.sequence;
                if record.payload.is_empty() || record.head.is_receipt {
                    // It carried only a source's cursor, or what its write's entries are known by.
                    continue;
                }
                return Ok(Some(Entry { position: Position(record.head.sequence), bytes: record.payload }));
            }
        }
        Ok(None)
    }

    fn position(&self) -> Position {
        Position(self.at)
    }
}

impl SegmentReader {
    /// Whether another segment goes on where this one ends. One whose records are gone ends where it begins.
    fn is_followed(&self, ended: &Open) -> Result<bool, JournalError> {
        Ok(list(&*self.disk, &self.dir)?.iter().any(|s| s.first == ended.next && s.path != ended.path))
    }
}

fn missing(open: &Open, offset: u64) -> JournalError {
    JournalError::Damaged { segment: open.path.clone(), offset, reason: format!("entry {} is missing", open.next) }
}

fn fault(path: &Path, offset: u64, bad: &Bad) -> JournalError {
    match bad {
        Bad::Io(e) => JournalError::io("read", path, e),
        Bad::Version(have) => JournalError::Version { segment: path.to_owned(), have: *have },
        bad => JournalError::Damaged { segment: path.to_owned(), offset, reason: describe(bad).to_owned() },
    }
}

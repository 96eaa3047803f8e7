//! The folder of segments: finding them, and deciding at opening what is a torn tail.

use std::path::{Path, PathBuf};

use bellwether_engine::planted::{self, Bug};
use bellwether_engine::time::EventTime;

use super::format::{
    Bad, Marks, RECORD_MAGIC, Record, SegmentHeader, decode_receipt, next_whole_record, read_record, salt_of,
};
use super::{JournalError, Position};
use crate::host::{self, Disk, Listed};
use crate::journal::receipts::Receipt;

/// What segment files end in.
const SEGMENT_SUFFIX: &str = ".journal";

/// One segment file.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// Sequence of its first record.
    pub(super) first: u64,
    pub(super) bytes: u64,
    pub(super) modified: EventTime,
}

/// The end of a segment that a crash left unfinished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file.
    pub segment: PathBuf,
    /// Where the last whole write ends.
    pub offset: u64,
    /// How many bytes were beyond it.
    pub bytes: u64,
    /// What did not read.
    pub reason: String,
}

/// What a folder holds.
#[derive(Debug)]
pub(super) struct Scan {
    /// Oldest first.
    pub(super) segments: Vec<Segment>,
    /// The newest segment, read whole; `None` when there is none.
    pub(super) tail: Option<Tail>,
    /// What has to be cut.
    pub(super) torn: Option<TornTail>,
    /// Newer files that hold not even a header, to be removed.
    pub(super) headerless: Vec<PathBuf>,
}

/// What the newest segment says.
#[derive(Debug)]
pub(super) struct Tail {
    /// Format version of the segment.
    pub(super) version: u32,
    pub(super) salt: u32,
    /// Sequence of its last whole write's last record.
    pub(super) last: u64,
    /// Bytes up to the end of that record.
    pub(super) bytes: u64,
    /// The latest cursors.
    pub(super) marks: Marks,
    /// What came and may come again, oldest first.
    pub(super) receipts: Vec<Receipt>,
}

/// The file name of the segment whose first record is `first`.
pub(super) fn segment_path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:020}{SEGMENT_SUFFIX}"))
}

/// The segments of `dir`, oldest first.
pub(super) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<Segment>, JournalError> {
    let files = disk.list(dir).map_err(|e| JournalError::io("list", dir, &e))?;
    let segment = |file: Listed| {
        let first = file.path.file_name()?.to_str()?.strip_suffix(SEGMENT_SUFFIX)?.parse().ok()?;
        Some(Segment { first, bytes: file.bytes, modified: file.modified, path: file.path })
    };
    let mut segments: Vec<Segment> = files.into_iter().filter_map(segment).collect();
    segments.sort_by_key(|s| s.first);
    Ok(segments)
}

/// The last entry of the oldest segment of `dir`; `None` when there is only one, which is being
/// written.
///
/// # Errors
/// [`JournalError::Io`].
pub(crate) fn oldest_segment_end(dir: &Path) -> Result<Option<Position>, JournalError> {
    Ok(list(&*host::disk(), dir)?.get(1).map(|second| Position(second.first - 1)))
}

/// Looks at a folder without changing it.
pub(super) fn scan(disk: &dyn Disk, dir: &Path) -> Result<Scan, JournalError> {
    let mut segments = list(disk, dir)?;
    let mut torn = None;
    let mut headerless = Vec::new();
    while let Some(newest) = segments.last() {
        let bytes = host::read(disk, &newest.path).map_err(|e| JournalError::io("read", &newest.path, &e))?;
        match scan_tail(newest, &bytes)? {
            (Some(tail), tear) => {
                return Ok(Scan { segments, tail: Some(tail), torn: tear.or(torn), headerless });
            }
            // A crash while the segment was being made: its header never became durable, so
            // no record in it was ever acknowledged.
            (None, tear) => {
                torn = tear;
                headerless.extend(segments.pop().map(|s| s.path));
            }
        }
    }
    Ok(Scan { segments, tail: None, torn, headerless })
}

/// The newest segment's state; no tail when even its header is torn.
pub(super) fn scan_tail(segment: &Segment, bytes: &[u8]) -> Result<(Option<Tail>, Option<TornTail>), JournalError> {
    let damaged = |offset: u64, reason: &str| JournalError::Damaged {
        segment: segment.path.clone(),
        offset,
        reason: reason.to_owned(),
    };
    let torn = |offset: u64, reason: &str| TornTail {
        segment: segment.path.clone(),
        offset,
        bytes: bytes.len() as u64 - offset,
        reason: reason.to_owned(),
    };
    let (header, header_len) = match SegmentHeader::read(&mut &bytes[..]) {
        Ok(header) => header,
        Err(Bad::Version(have)) => {
            return Err(JournalError::Version { segment: segment.path.clone(), have });
        }
        // A length that damage made longer than the file also looks short: but then there are
        // records, and records are only written after their header is durable.
        Err(Bad::Short) if holds_records(bytes) => {
            return Err(damaged(0, "the header's length does not fit the file"));
        }
        Err(Bad::Short) => return Ok((None, Some(torn(0, "the header is cut short")))),
        // Beyond it stands the room made for what was to come; a record has never been there.
        Err(Bad::Damaged(_)) if !may_hold_records(bytes) => {
            return Ok((None, Some(torn(0, "the header was never wholly written"))));
        }
        Err(bad) => return Err(damaged(0, describe(&bad))),
    };
    if header.first != segment.first {
        return Err(damaged(0, "its name and its header disagree"));
    }

    let mut rest = &bytes[header_len as usize..];
    let SegmentHeader { version, salt, first, marks, receipts } = header;
    let mut tail = Tail { version, salt, last: first - 1, bytes: header_len, marks, receipts };
    let mut pending = Vec::new();
    loop {
        let offset = (bytes.len() - rest.len()) as u64;
        match read_record(&mut rest, salt) {
            Ok(Some(record)) if record.head.sequence != expected(&tail, &pending) => {
                return Err(damaged(offset, "its sequence is out of order"));
            }
            Ok(Some(record)) => {
                let more = record.head.more;
                pending.push(record);
                if !more {
                    settle(&mut tail, &mut pending, (bytes.len() - rest.len()) as u64);
                }
            }
            Ok(None) if pending.is_empty() => return Ok((Some(tail), None)),
            Ok(None) | Err(_) if planted::has(Bug::HalfWriteKept) && !pending.is_empty() => {
                settle(&mut tail, &mut pending, offset);
                return Ok((Some(tail), None));
            }
            Ok(None) => {
                let tear = torn(tail.bytes, "the last write is incomplete");
                return Ok((Some(tail), Some(tear)));
            }
            // Room that the writer had made for what was to come.
            Err(_) if pending.is_empty() && bytes[offset as usize..].iter().all(|byte| *byte == 0) => {
                return Ok((Some(tail), None));
            }
            Err(bad) => {
                let lost = expected(&tail, &pending);
                let later = next_whole_record(&bytes[offset as usize + 1..], salt);
                if later.is_some_and(|r| r.head.durable >= lost) {
                    return Err(damaged(offset, describe(&bad)));
                }
                let tear = torn(tail.bytes, describe(&bad));
                return Ok((Some(tail), Some(tear)));
            }
        }
    }
}

/// Whether anything looks like the beginning of a record, in a segment whose salt may be damaged.
fn may_hold_records(bytes: &[u8]) -> bool {
    memchr::memmem::find(bytes, &RECORD_MAGIC).is_some()
}

fn holds_records(bytes: &[u8]) -> bool {
    salt_of(bytes).is_some_and(|salt| next_whole_record(bytes, salt).is_some())
}

fn expected(tail: &Tail, pending: &[Record]) -> u64 {
    tail.last + pending.len() as u64 + 1
}

fn settle(tail: &mut Tail, pending: &mut Vec<Record>, bytes: u64) {
    for record in pending.drain(..) {
        tail.last = record.head.sequence;
        if record.head.is_receipt {
            tail.receipts.extend(decode_receipt(tail.version, &record.payload).map(|(receipt, _)| receipt));
        }
        if let Some(mark) = record.mark {
            tail.marks.insert(mark.source, mark.cursor);
        }
    }
    tail.bytes = bytes;
}

pub(super) fn describe(bad: &Bad) -> &'static str {
    match bad {
        Bad::Short => "the file ends inside a record",
        Bad::Empty => "there are only zeros",
        Bad::Damaged(reason) => reason,
        Bad::Version(_) => "its version is not known",
        Bad::Io(_) => "it cannot be read",
    }
}

impl Scan {
    /// The last whole entry.
    pub(super) fn last(&self) -> Position {
        Position(self.tail.as_ref().map_or(0, |t| t.last))
    }
}

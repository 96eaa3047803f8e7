//! How the readers of a state folder fare, for who only looks: also beside a running process.

use std::path::Path;

use bellwether_engine::time::EventTime;
use serde::Serialize;

use super::cursor::{CURSOR_SUFFIX, Cursor, CursorFile};
use super::log::{LogState, read_identity};
use super::look::open_oldest;
use super::record::decode;
use crate::journal::{Entries, JournalError, Position, SegmentReader};

/// How one reader fares.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReaderStatus {
    /// Its name.
    pub reader: String,
    /// Where it is; nothing when its cursor does not read.
    pub cursor: Option<Cursor>,
    /// Why its cursor says nothing about the log.
    pub problem: Option<String>,
    /// The last record of the log.
    pub log_end: u64,
    /// Records it is not done with.
    pub behind_records: u64,
    /// Their bytes.
    pub behind_bytes: u64,
    /// When the oldest event it has not got was appended.
    pub behind_since: Option<EventTime>,
}

impl ReaderStatus {
    /// The readers of one sink in the logs of several partitions, as one; `None` of none. Places in the logs are summed:
    /// they tell how much there is, not where.
    pub fn together(all: &[ReaderStatus]) -> Option<ReaderStatus> {
        let (first, rest) = all.split_first()?;
        let add = |sum: ReaderStatus, one: &ReaderStatus| ReaderStatus {
            reader: sum.reader,
            cursor: match (sum.cursor, one.cursor.as_ref()) {
                (Some(cursor), Some(other)) => Some(cursor.and(other)),
                (cursor, other) => cursor.or(other.cloned()),
            },
            problem: sum.problem.or_else(|| one.problem.clone()),
            log_end: sum.log_end + one.log_end,
            behind_records: sum.behind_records + one.behind_records,
            behind_bytes: sum.behind_bytes + one.behind_bytes,
            behind_since: sum.behind_since.into_iter().chain(one.behind_since).min(),
        };
        Some(rest.iter().fold(first.clone(), add))
    }
}

/// Every reader whose cursor lies in `folder`, by name, against the log in `log`.
///
/// # Errors
/// [`JournalError`] when the log cannot be looked at.
pub fn statuses(folder: &Path, log: &Path) -> Result<Vec<ReaderStatus>, JournalError> {
    let identity = read_identity(log);
    let bounds = bounds(log)?;
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => {
            return Err(JournalError::Io { operation: "list", path: folder.to_owned(), reason: error.to_string() });
        }
    };
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.to_str().is_some_and(|path| path.ends_with(CURSOR_SUFFIX)) {
            let file = CursorFile::at(path.clone());
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            found.push(status(&file, stem, identity.as_deref(), bounds, log));
        }
    }
    found.sort_by(|a, b| a.reader.cmp(&b.reader));
    Ok(found)
}

fn status(
    file: &CursorFile,
    stem: String,
    identity: Option<&str>,
    Bounds { first, end, bytes }: Bounds,
    log: &Path,
) -> ReaderStatus {
    let unread = |problem: String| ReaderStatus {
        reader: stem.clone(),
        cursor: None,
        problem: Some(problem),
        log_end: end,
        behind_records: 0,
        behind_bytes: 0,
        behind_since: None,
    };
    let cursor = match file.load() {
        Ok(Some(cursor)) => cursor,
        Ok(None) => return unread("its cursor has gone".to_owned()),
        Err(error) => return unread(error.to_string()),
    };
    let problem = if identity != Some(&cursor.log) {
        Some("its cursor belongs to another incident log".to_owned())
    } else if cursor.position > end {
        Some(format!("its cursor is ahead of the log, which ends at {end}"))
    } else if cursor.position + 1 < first {
        Some(format!("records {} to {} are gone from the log", cursor.position + 1, first - 1))
    } else {
        None
    };
    let behind_since = problem.is_none().then(|| told_after(log, Position(cursor.position))).flatten();
    ReaderStatus {
        reader: cursor.reader.clone(),
        log_end: end,
        behind_records: end.saturating_sub(cursor.position),
        behind_bytes: bytes.saturating_sub(cursor.bytes),
        behind_since,
        problem,
        cursor: Some(cursor),
    }
}

/// What a log holds.
#[derive(Clone, Copy)]
struct Bounds {
    /// The oldest record kept.
    first: u64,
    /// The last record.
    end: u64,
    /// Bytes of all records ever appended.
    bytes: u64,
}

fn bounds(log: &Path) -> Result<Bounds, JournalError> {
    if !log.exists() {
        return Ok(Bounds { first: 1, end: 0, bytes: 0 });
    }
    let of = |first: u64, reader: SegmentReader| Bounds {
        first,
        end: reader.end_position().0,
        bytes: LogState::of_folder(&reader).unwrap_or_default().bytes,
    };
    let (first, reader) = open_oldest(log)?;
    Ok(of(first, reader))
}

/// When the first event after `at` was appended.
fn told_after(log: &Path, at: Position) -> Option<EventTime> {
    let (mut reader, _) = SegmentReader::open_folder(log, at).ok()?;
    let entry = reader.next_entry().ok()??;
    Some(decode(entry.position, &entry.bytes).ok()?.at)
}

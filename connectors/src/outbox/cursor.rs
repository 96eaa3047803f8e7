//! Where a reader is, in a file of its own: replaced whole, and durable before anybody relies on it.
//!
//! ```text
//! <crc32 in hex> <the cursor as JSON>\n
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_engine::time::EventTime;
use serde::{Deserialize, Serialize};

use super::log::IncidentLog;
use crate::host::{self, Disk, How};
use crate::journal::Position;

/// What cursor files end in.
pub(super) const CURSOR_SUFFIX: &str = ".cursor";

/// Where a reader is, and how it fares.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// The reader's name.
    pub reader: String,
    /// Identity of the log.
    pub log: String,
    /// The last record it is done with.
    pub position: u64,
    /// Bytes of all records it is done with.
    #[serde(default)]
    pub bytes: u64,
    /// Events newly delivered, ever.
    pub sent: u64,
    /// Events the receiver already had, or was given a newer revision for, ever.
    pub skipped: u64,
    /// Events the receiver refused for good, ever.
    pub dead_letters: u64,
    /// When it last moved or failed.
    pub updated: EventTime,
    /// Why it waits for a person.
    pub parked: Option<Parked>,
    /// What goes wrong at the moment.
    pub fault: Option<Fault>,
}

/// Why a reader waits for a person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parked {
    /// What happened, and the remedy.
    pub reason: String,
    /// Since when.
    pub since: EventTime,
}

/// What goes wrong at a receiver at the moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// The latest error.
    pub reason: String,
    /// Since when attempts fail.
    pub since: EventTime,
    /// How many did.
    pub attempts: u64,
}

/// Why a reader cannot go on at its cursor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CursorError {
    /// Its file does not read.
    #[error("cursor `{path}` is damaged: {reason}; say where to go on with `bellwether sinks skip {reader} --until …`")]
    Damaged {
        /// The reader.
        reader: String,
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The log is shorter.
    #[error(
        "the cursor of `{reader}` is at record {at}, the incident log ends at {end}: the log was restored from an \
         older copy; say where to go on with `bellwether sinks skip {reader} --until …`"
    )]
    Ahead {
        /// The reader.
        reader: String,
        /// Where the cursor is.
        at: u64,
        /// Where the log ends.
        end: u64,
    },
    /// It belongs to another log.
    #[error(
        "the cursor of `{reader}` belongs to another incident log ({have}, this one is {want}); say where to go on \
         with `bellwether sinks skip {reader} --until …`"
    )]
    OtherLog {
        /// The reader.
        reader: String,
        /// The log it belongs to.
        have: String,
        /// The log that is there.
        want: String,
    },
    /// What comes after it is not in the log any more.
    #[error(
        "records {next} to {last} are gone from the incident log, which had no more room; \
         `bellwether sinks skip {reader} --until oldest` goes on without them",
        next = .at + 1,
        last = .first.saturating_sub(1)
    )]
    Gone {
        /// The reader.
        reader: String,
        /// Where the cursor is.
        at: u64,
        /// The oldest record that is left.
        first: u64,
    },
    /// It cannot be read or written.
    #[error("cursor `{path}` cannot be {operation}: {reason}; check the disk and the folder's owner")]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        reason: String,
    },
}

impl Cursor {
    /// At `position` of `log`, having done nothing.
    pub fn new(reader: &str, log: &str, position: Position, now: EventTime) -> Cursor {
        Cursor {
            reader: reader.to_owned(),
            log: log.to_owned(),
            position: position.0,
            bytes: 0,
            sent: 0,
            skipped: 0,
            dead_letters: 0,
            updated: now,
            parked: None,
            fault: None,
        }
    }

    /// Both in sum, for who looks at the readers of several logs as one.
    pub(super) fn and(self, other: &Cursor) -> Cursor {
        Cursor {
            position: self.position + other.position,
            bytes: self.bytes + other.bytes,
            sent: self.sent + other.sent,
            skipped: self.skipped + other.skipped,
            dead_letters: self.dead_letters + other.dead_letters,
            updated: self.updated.max(other.updated),
            parked: self.parked.or_else(|| other.parked.clone()),
            fault: self.fault.or_else(|| other.fault.clone()),
            ..self
        }
    }

    /// Checks that it speaks of `log`.
    ///
    /// # Errors
    /// [`CursorError::OtherLog`] or [`CursorError::Ahead`].
    pub fn check(&self, log: &IncidentLog) -> Result<(), CursorError> {
        let reader = self.reader.clone();
        if self.log != log.identity() {
            return Err(CursorError::OtherLog { reader, have: self.log.clone(), want: log.identity().to_owned() });
        }
        let end = log.end().0;
        if self.position > end {
            return Err(CursorError::Ahead { reader, at: self.position, end });
        }
        Ok(())
    }
}

/// The file of one reader's cursor.
#[derive(Clone, Debug)]
pub(crate) struct CursorFile {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    reader: String,
}

impl CursorFile {
    /// That of `reader` in `folder`.
    pub(crate) fn new(folder: &Path, reader: &str) -> CursorFile {
        let path = folder.join(format!("{}{CURSOR_SUFFIX}", file_name(reader)));
        CursorFile { disk: host::disk(), path, reader: reader.to_owned() }
    }

    /// That at `path`.
    pub(super) fn at(path: PathBuf) -> CursorFile {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        CursorFile { disk: host::disk(), reader: stem.unwrap_or_default(), path }
    }

    /// The cursor; `None` when there is none.
    ///
    /// # Errors
    /// [`CursorError::Damaged`] or [`CursorError::Io`].
    pub(crate) fn load(&self) -> Result<Option<Cursor>, CursorError> {
        let bytes = match host::read(&*self.disk, &self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.io("read")(error)),
        };
        let text = String::from_utf8(bytes).map_err(|_| self.damaged("it is not text"))?;
        let (crc, json) = text.trim_end().split_once(' ').ok_or_else(|| self.damaged("it is cut short"))?;
        if u32::from_str_radix(crc, 16).ok() != Some(crc32fast::hash(json.as_bytes())) {
            return Err(self.damaged("its checksum does not fit"));
        }
        serde_json::from_str(json).map(Some).map_err(|error| self.damaged(&error.to_string()))
    }

    /// Makes durable what was read: a process that was killed may have left it in memory only.
    ///
    /// # Errors
    /// [`CursorError::Io`].
    pub(super) fn settle(&self) -> Result<(), CursorError> {
        let settle = || {
            self.disk.open(&self.path, How::Write)?.sync()?;
            self.path.parent().map_or(Ok(()), |folder| self.disk.sync_folder(folder))
        };
        settle().map_err(self.io("written"))
    }

    /// Writes the cursor; what was there stays until the new one is on disk.
    ///
    /// # Errors
    /// [`CursorError::Io`].
    pub(crate) fn save(&self, cursor: &Cursor) -> Result<(), CursorError> {
        let json = serde_json::to_string(cursor).expect("a cursor is JSON");
        let text = format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes()));
        host::replace(&*self.disk, &self.path, &[text.as_bytes()]).map_err(self.io("written"))
    }

    fn damaged(&self, reason: &str) -> CursorError {
        CursorError::Damaged { reader: self.reader.clone(), path: self.path.clone(), reason: reason.to_owned() }
    }

    fn io(&self, operation: &'static str) -> impl Fn(std::io::Error) -> CursorError + '_ {
        move |error| CursorError::Io { path: self.path.clone(), operation, reason: error.to_string() }
    }
}

/// A reader's name as a file name: what is no letter, digit, `-`, `_` or `.` is written as its number.
pub(super) fn file_name(reader: &str) -> String {
    let mut name = String::new();
    for letter in reader.chars() {
        match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' => name.push(letter),
            '.' if !name.is_empty() => name.push(letter),
            other => name.push_str(&format!("%{:x}", u32::from(other))),
        }
    }
    name
}

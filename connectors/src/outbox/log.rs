//! The log itself: a journal of events, its identity, and up to where the engine has told.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_engine::incident::IncidentEvent;
use bellwether_engine::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::look::LookError;
use super::memory::MemoryLog;
use super::record::decode;
use crate::host;
use crate::journal::{
    Journal, JournalConfig, JournalError, LocalJournal, Mark, Position, SegmentReader, oldest_segment_end,
};
use crate::sinks::Outgoing;

/// The name under which the log keeps up to where the engine has told.
const ENGINE: &str = "engine";
/// The file with the log's identity.
const IDENTITY_FILE: &str = "identity";
/// The file that says how often the log was opened to be written.
const EPOCH_FILE: &str = "epoch";

/// Records that are looked at first for what was told last.
const LOOK_BACK: u64 = 512;

/// How much of the incident log is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IncidentLogConfig {
    /// Folder of the log; `<state>/incident-log` when left out.
    pub dir: Option<PathBuf>,
    /// A segment file is closed when it reaches this many bytes.
    pub segment_bytes: u64,
    /// Keep about this many bytes of events that every reader has.
    pub retain_bytes: u64,
    /// Keep events that every reader has for this long.
    pub retain_age: Span,
    /// At this size readers that are behind are parked, so that the rest can go on.
    pub capacity_bytes: u64,
}

impl Default for IncidentLogConfig {
    fn default() -> IncidentLogConfig {
        IncidentLogConfig {
            dir: None,
            segment_bytes: 16 << 20,
            retain_bytes: 256 << 20,
            retain_age: Span::from_hours(7 * 24),
            capacity_bytes: 4 << 30,
        }
    }
}

impl IncidentLogConfig {
    /// As a journal in `dir`. What is dropped is whole segments, so that they and what is kept of
    /// what every reader has stay well below the capacity: dropping them must make room.
    fn journal(&self, dir: &Path) -> JournalConfig {
        JournalConfig {
            segment_bytes: self.segment_bytes.min(self.capacity_bytes / 4),
            retain_bytes: self.retain_bytes.min(self.capacity_bytes / 2),
            retain_age: self.retain_age,
            capacity_bytes: self.capacity_bytes,
            ..JournalConfig::new(dir)
        }
    }

    /// Where the log of `state` is.
    pub fn folder(&self, state: &Path) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| state.join("incident-log"))
    }
}

/// Up to where the engine has told: a journal position, and whether what the end of a finite input
/// gave is there, too. Ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct LogPosition {
    /// Everything that the journal's entries up to here gave is in the log.
    pub journal: Position,
    /// And what the end of the input gave.
    pub finished: bool,
}

/// What the log keeps beside its events: `journal:u64 finished:u8 bytes:u64`, little endian.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct LogState {
    /// Up to where the engine has told.
    pub(super) told: LogPosition,
    /// Bytes of all records ever appended.
    pub(super) bytes: u64,
}

impl LogState {
    fn decode(bytes: &[u8]) -> Option<LogState> {
        let (journal, rest) = bytes.split_first_chunk::<8>()?;
        let ([finished @ (0 | 1)], bytes) = rest.split_first_chunk::<1>()? else { return None };
        let told = LogPosition { journal: Position(u64::from_le_bytes(*journal)), finished: *finished == 1 };
        // A log that was begun before they were counted has none.
        let bytes = if bytes.is_empty() { 0 } else { u64::from_le_bytes(bytes.try_into().ok()?) };
        Some(LogState { told, bytes })
    }

    /// As it becomes durable in the same instant as the events up to it.
    pub(super) fn mark(self) -> Mark {
        let mut cursor = self.told.journal.0.to_le_bytes().to_vec();
        cursor.push(u8::from(self.told.finished));
        cursor.extend_from_slice(&self.bytes.to_le_bytes());
        Mark { source: ENGINE.to_owned(), cursor }
    }

    /// That of a log that is only looked at.
    pub(super) fn of_folder(folder: &SegmentReader) -> Option<LogState> {
        folder.cursor(ENGINE).and_then(LogState::decode)
    }
}

/// The incident log, on disk or in memory.
#[derive(Clone)]
pub struct IncidentLog {
    journal: Arc<dyn Journal>,
    identity: Arc<str>,
    /// Its folder; a log in memory has none.
    dir: Option<Arc<Path>>,
    /// The first record there was when the log was opened.
    first: Position,
    /// The how-manieth to write it this process is.
    epoch: u64,
}

impl IncidentLog {
    /// Opens or creates the log in `dir`. Blocking.
    ///
    /// # Errors
    /// Those of [`LocalJournal::open`].
    pub fn open(config: &IncidentLogConfig, dir: &Path) -> Result<IncidentLog, JournalError> {
        let (journal, report) = LocalJournal::open(&config.journal(dir))?;
        let identity = identity(dir)?.into();
        let epoch = next_epoch(dir)?;
        Ok(IncidentLog { journal: Arc::new(journal), identity, dir: Some(dir.into()), first: report.first, epoch })
    }

    /// A log that ends with the process: for input that can be read again.
    pub fn in_memory() -> IncidentLog {
        IncidentLog {
            journal: Arc::new(MemoryLog::default()),
            identity: "memory".into(),
            dir: None,
            first: Position(1),
            epoch: 0,
        }
    }

    /// The same with what it writes to replaced.
    #[cfg(test)]
    pub(super) fn over(self, journal: impl FnOnce(Arc<dyn Journal>) -> Arc<dyn Journal>) -> IncidentLog {
        IncidentLog { journal: journal(self.journal), ..self }
    }

    /// Whether nobody else has opened the log to write it since. The lock keeps others out where locks hold; on a file
    /// system that takes them from a machine that hangs, they do not.
    ///
    /// # Errors
    /// [`JournalError::Overtaken`], and [`JournalError::Io`] when that cannot be told.
    pub(super) async fn check_ours(&self) -> Result<(), JournalError> {
        let Some(dir) = self.dir.clone() else { return Ok(()) };
        let path = dir.join(EPOCH_FILE);
        let (disk, file) = (host::disk(), path.clone());
        let failed = |reason: String| JournalError::Io { operation: "read", path, reason };
        let read = match host::blocking(move || host::read(&*disk, &file)).await {
            Ok(read) => read.map_err(|error| failed(error.to_string()))?,
            Err(panic) => return Err(failed(panic.to_string())),
        };
        match read.trim_ascii() == self.epoch.to_string().as_bytes() {
            true => Ok(()),
            false => Err(JournalError::Overtaken { path: dir.to_path_buf() }),
        }
    }

    /// Its records.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// Whether it ends with the process.
    pub(super) fn is_in_memory(&self) -> bool {
        self.dir.is_none()
    }

    /// Up to which record the oldest segment goes that may be dropped; `None` when there is none.
    pub(super) fn oldest_segment_end(&self) -> Option<Position> {
        let dir = self.dir.as_deref()?;
        oldest_segment_end(dir).inspect_err(|error| tracing::warn!(%error, "the incident log is not looked at")).ok()?
    }

    /// What tells it from every other log.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The oldest record there was at opening; one beyond the end when there was none.
    pub fn first(&self) -> Position {
        self.first
    }

    /// Its last durable record.
    pub fn end(&self) -> Position {
        *self.journal.durable().borrow()
    }

    /// Up to where the engine has told; `None` in a log that nobody has written.
    pub fn told(&self) -> Option<LogPosition> {
        self.state().map(|state| state.told)
    }

    /// What it keeps beside its events; `None` in a log that nobody has written.
    pub(super) fn state(&self) -> Option<LogState> {
        self.journal.cursor(ENGINE).and_then(|bytes| LogState::decode(&bytes))
    }

    /// Hands over what was told of the journal's entries after `after`, oldest first. Blocking.
    ///
    /// # Errors
    /// [`LookError`] when the log does not read.
    pub fn told_after(&self, after: Position, mut look: impl FnMut(IncidentEvent)) -> Result<(), LookError> {
        let oldest = self.first.0.saturating_sub(1);
        let mut back = LOOK_BACK;
        loop {
            // What was told last stands last: nearly always a few records are enough.
            let from = self.end().0.saturating_sub(back).max(oldest);
            let mut entries = self.journal.read(Position(from))?;
            let mut next = || -> Result<Option<Outgoing>, LookError> {
                let Some(entry) = entries.next_entry()? else { return Ok(None) };
                Ok(Some(decode(entry.position, &entry.bytes)?.outgoing))
            };
            let mut found = next()?;
            if from > oldest && found.as_ref().is_some_and(|found| found.position > after) {
                back = back.saturating_mul(8);
                continue;
            }
            while let Some(Outgoing { position, event }) = found {
                if position > after {
                    look(Arc::unwrap_or_clone(event));
                }
                found = next()?;
            }
            return Ok(());
        }
    }

    /// Checks that the log is the one of this state: it has what a checkpoint at `position` counts on,
    /// and nothing of journal entries beyond `journal_end`, which would be passed over when they come.
    /// A log that is empty is taken for the first start with one.
    ///
    /// # Errors
    /// [`LogMismatch`] with the remedy.
    pub fn check_covers(&self, position: Position, journal_end: Position) -> Result<(), LogMismatch> {
        match self.told().map(|told| told.journal) {
            Some(told) if told > journal_end => Err(LogMismatch::Beyond { told, journal_end }),
            Some(told) if told < position => Err(LogMismatch::Short { told, checkpoint: position }),
            _ => Ok(()),
        }
    }
}

/// The log is not the one of this state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogMismatch {
    /// It has more than the journal.
    #[error(
        "the incident log has the events up to journal position {told}, the journal ends at {journal_end}: the log \
         is not the one of this journal, and what comes would be taken for told. Restore the journal, or move \
         the log's folder and the readers' aside: receivers then go on with what comes, and what they had not \
         read is lost"
    )]
    Beyond {
        /// Up to where it has the events.
        told: Position,
        /// Where the journal ends.
        journal_end: Position,
    },
    /// It lacks what a checkpoint counts on.
    #[error(
        "the incident log has the events up to journal position {told}, the newest checkpoint is at {checkpoint}: \
         the log is not the one of this state. Restore it from the same backup as the checkpoints, or move \
         its folder and the readers' aside: receivers then go on with what comes, and what they had not \
         read is lost"
    )]
    Short {
        /// Up to where it has the events.
        told: Position,
        /// Where the checkpoint is.
        checkpoint: Position,
    },
}

/// The identity written beside the segments; made when there is none.
fn identity(dir: &Path) -> Result<String, JournalError> {
    let path = dir.join(IDENTITY_FILE);
    let failed = |operation: &'static str| {
        let path = path.clone();
        move |error: std::io::Error| JournalError::Io { operation, path, reason: error.to_string() }
    };
    let disk = host::disk();
    match host::read(&*disk, &path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed("read")(error)),
    }
    let fresh = host::random_name();
    host::replace(&*disk, &path, &[fresh.as_bytes()]).map_err(failed("write"))?;
    Ok(fresh)
}

/// One more process writes the log; it is known to whoever wrote it before when this returns.
fn next_epoch(dir: &Path) -> Result<u64, JournalError> {
    let path = dir.join(EPOCH_FILE);
    let failed = |operation: &'static str| {
        let path = path.clone();
        move |reason: String| JournalError::Io { operation, path, reason }
    };
    let disk = host::disk();
    let before = match host::read(&*disk, &path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes)
            .trim()
            .parse::<u64>()
            .map_err(|error| failed("read")(format!("{error}; remove it: it holds a number alone")))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => return Err(failed("read")(error.to_string())),
    };
    let epoch = before + 1;
    host::replace(&*disk, &path, &[format!("{epoch}\n").as_bytes()])
        .map_err(|error| failed("write")(error.to_string()))?;
    Ok(epoch)
}

/// The identity of the log in `dir`, for who only looks.
pub(super) fn read_identity(dir: &Path) -> Option<String> {
    let bytes = host::read(&*host::disk(), &dir.join(IDENTITY_FILE)).ok()?;
    Some(String::from_utf8(bytes).ok()?.trim().to_owned())
}

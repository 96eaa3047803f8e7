//! The journal: everything the engine may react to, durable and in order.
//!
//! A source hands over a [`WriteBatch`] of entries; when [`Journal::append`] returns, the write is
//! on disk, whole or not at all, and the sender may be told so. The engine reads the entries
//! back by position, now or after a crash. A write may carry a [`Mark`]: where its source is
//! in what it reads (a file's offset, a stream's sequence). The mark becomes durable in the
//! same instant as the entries, so a source that goes on from [`Journal::cursor`] reads
//! nothing twice and misses nothing. Beside the mark stand the receipts of what its senders may
//! send again ([`crate::journal::receipts`]).
//!
//! What is promised: an acknowledged entry survives the death of the process and, with
//! disks that honour `fdatasync`, of the machine. A torn tail (never acknowledged) is cut and
//! reported; a damaged entry that had been acknowledged is an error that names segment and
//! offset, never skipped. After an I/O error nothing more is accepted: the page cache can no
//! longer be trusted, so the process must end and start again from what is on disk.

mod config;
mod format;
mod fuzzed;
mod gather;
mod local;
mod reader;
pub mod receipts;
mod roomy;
mod segments;
#[cfg(test)]
mod tests;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::journal::receipts::{Claims, Receipts};

pub use config::JournalConfig;
pub(crate) use format::FORMAT_VERSION;
pub use format::RECORD_BYTES_MAX;
pub(crate) use fuzzed::read_segment;
pub use gather::PendingAppend;
pub use local::{LocalJournal, OpenReport, is_in_use};
pub use reader::SegmentReader;
pub use segments::TornTail;
pub(crate) use segments::oldest_segment_end;

/// How far into the journal: the sequence of an entry, counted from 1. [`Position::START`]
/// is before the first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Position(pub u64);

impl Position {
    /// Before the first entry.
    pub const START: Position = Position(0);
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a source is in what it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The source's name; unique among the sources of a journal, at most
    /// `MARK_BYTES_MAX` together with the cursor.
    pub source: String,
    /// Whatever the source needs to go on from there.
    pub cursor: Vec<u8>,
}

/// Largest mark, name and cursor together: the record header has 16 bits for it.
pub(crate) const MARK_BYTES_MAX: usize = 60_000;

/// Entries that become durable together, or not at all.
#[derive(Debug, Default)]
pub struct WriteBatch {
    /// Each entry's bytes, see [`bellwether_engine::input::Input::encode`]; never empty.
    pub entries: Vec<Vec<u8>>,
    /// Where the source is once they are in.
    pub mark: Option<Mark>,
    /// Under which keys the entries are known again. The journal keeps them when the write is
    /// durable and drops them with the write otherwise.
    pub claims: Option<Claims>,
    /// That it was announced by [`Journal::coming`].
    pub coming: PendingAppend,
}

/// One entry read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub position: Position,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Durable, ordered, replayable.
pub trait Journal: Send + Sync {
    /// Appends a write; when it returns, the write is durable. Returns the position of its
    /// last entry (of the last durable entry when the write has none and no mark).
    ///
    /// Waits while the queue is full: that is the back-pressure on sources.
    ///
    /// # Errors
    /// [`JournalError::Full`] (retry later), [`JournalError::TooLarge`] (never), and
    /// [`JournalError::Fatal`], after which every append fails and the process should end.
    fn append(&self, write: Arc<WriteBatch>) -> BoxFuture<'_, Result<Position, JournalError>>;

    /// Says that a write is about to be appended, before what it takes to make it: what is being
    /// written waits for it a moment. Put it into the write, or drop it.
    fn coming(&self) -> PendingAppend {
        PendingAppend::default()
    }

    /// The last durable position; changes as writes become durable.
    fn durable(&self) -> watch::Receiver<Position>;

    /// Reads the entries after `after`. The reader returns `None` at the durable end and can
    /// be asked again when [`Journal::durable`] has moved. Blocking: for a thread of its own.
    ///
    /// # Errors
    /// [`JournalError::Gone`] when retention has dropped entries after `after`,
    /// [`JournalError::Beyond`] when the journal never got that far.
    fn read(&self, after: Position) -> Result<Box<dyn Entries>, JournalError>;

    /// The latest durable cursor of `source`.
    fn cursor(&self, source: &str) -> Option<Vec<u8>>;

    /// What the durable writes carry that may be sent again.
    fn receipts(&self) -> Arc<Receipts>;

    /// Nobody will ask for entries up to `upto` again: retention may drop them.
    fn release(&self, upto: Position);
}

/// Entries read in order.
pub trait Entries: Send {
    /// The next entry; `None` at the durable end, for now.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] naming segment and offset; it repeats, nothing is skipped.
    fn next_entry(&mut self) -> Result<Option<Entry>, JournalError>;

    /// Up to where everything has been read: beyond the last entry when only cursors followed it.
    fn position(&self) -> Position;
}

/// What can go wrong with a journal.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk failed. Nothing more is accepted.
    #[error("journal cannot {operation} `{path}`: {reason}; the process must end, what was acknowledged is on disk")]
    Fatal {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// No space, on the disk or under the limit.
    #[error("journal is full: {reason}; retry later")]
    Full {
        /// Which limit, and how to raise it.
        reason: String,
        /// The limit is the journal's own: dropping old entries would make room.
        own_limit: bool,
    },
    /// An entry or a mark is over the limit.
    #[error("journal entry of {bytes} bytes is over the limit of {limit}: send smaller batches")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The most there may be.
        limit: usize,
    },
    /// An acknowledged entry does not read.
    #[error(
        "journal segment `{segment}` is damaged at byte {offset}: {reason}; restore the file, or move it and the later ones aside and start from an older checkpoint"
    )]
    Damaged {
        /// The file.
        segment: PathBuf,
        /// Where in it.
        offset: u64,
        /// How.
        reason: String,
    },
    /// A newer build wrote it.
    #[error(
        "journal segment `{segment}` has format version {have}, this build reads up to {FORMAT_VERSION}: use the newer build"
    )]
    Version {
        /// The file.
        segment: PathBuf,
        /// Its version.
        have: u32,
    },
    /// Retention dropped what was asked for.
    #[error(
        "journal entries after position {asked} are gone, the oldest kept is {first}: start from a newer checkpoint, or from an empty state at {first}"
    )]
    Gone {
        /// Asked for the entries after this.
        asked: Position,
        /// The first that is still there.
        first: Position,
    },
    /// The journal is shorter than that.
    #[error(
        "journal ends at position {last}, before {asked}: a checkpoint of another journal, or acknowledged entries were lost"
    )]
    Beyond {
        /// Asked for the entries after this.
        asked: Position,
        /// The last there is.
        last: Position,
    },
    /// Another process has taken it over.
    #[error(
        "another process has opened `{path}` since: this one is fenced and writes nothing more there. End one of the \
         two, and start the other again"
    )]
    Overtaken {
        /// The folder.
        path: PathBuf,
    },
    /// Another process has it.
    #[error("journal `{path}` is in use by another process")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// It could not be opened or read.
    #[error("journal cannot {operation} `{path}`: {reason}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}

impl JournalError {
    /// True when the process should end.
    pub fn is_fatal(&self) -> bool {
        matches!(self, JournalError::Fatal { .. } | JournalError::Damaged { .. })
    }

    /// True when the same append may succeed later.
    pub(crate) fn is_retryable(&self) -> bool {
        matches!(self, JournalError::Full { .. })
    }

    fn io(operation: &'static str, path: &std::path::Path, error: &std::io::Error) -> JournalError {
        JournalError::Io { operation, path: path.to_owned(), reason: error.to_string() }
    }
}

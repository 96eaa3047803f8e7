//! The events of a log, for who only looks: also beside a running process.

use std::path::Path;

use bellwether_engine::incident::IncidentEvent;

use super::record::{RecordError, decode};
use crate::journal::{Entries, JournalError, Position, SegmentReader};

/// Why the events of a log cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// Its segments do not read.
    #[error(transparent)]
    Log(#[from] JournalError),
    /// A record is of another build.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// The events of the log in `folder`, oldest first; none where there is no log.
///
/// # Errors
/// [`JournalError`] when the log cannot be opened.
pub fn events(folder: &Path) -> Result<impl Iterator<Item = Result<IncidentEvent, LookError>> + use<>, JournalError> {
    let mut reader = if folder.is_dir() { Some(open_oldest(folder)?.1) } else { None };
    Ok(std::iter::from_fn(move || {
        let next = next(reader.as_mut()?).transpose();
        // What follows a record that does not read is not known either.
        if next.as_ref().is_none_or(Result::is_err) {
            reader = None;
        }
        next
    }))
}

fn next(reader: &mut SegmentReader) -> Result<Option<IncidentEvent>, LookError> {
    let Some(entry) = reader.next_entry()? else { return Ok(None) };
    Ok(Some(IncidentEvent::clone(&decode(entry.position, &entry.bytes)?.outgoing.event)))
}

/// The number of the oldest record kept, and a reader before it.
pub(super) fn open_oldest(log: &Path) -> Result<(u64, SegmentReader), JournalError> {
    match SegmentReader::open_folder(log, Position::START) {
        Ok((reader, _)) => Ok((1, reader)),
        Err(JournalError::Gone { first, .. }) => {
            let (reader, _) = SegmentReader::open_folder(log, Position(first.0 - 1))?;
            Ok((first.0, reader))
        }
        Err(error) => Err(error),
    }
}

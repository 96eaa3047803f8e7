//! The journal of a run that nobody writes any more, or that is only looked at. What the run left out because it
//! met a bug is left out here, too.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use bellwether_connectors::SourceError;
use bellwether_connectors::journal::{Entries as _, Position, SegmentReader};
use bellwether_engine::input::Input;

use super::partitions::{JOURNAL_FOLDER, Partitions, PartitionsError, holds_segments};
use super::quarantine::Quarantine;

/// The journals in or at a folder, one for each partition that has one; none where there is none.
///
/// # Errors
/// When the partitions of a state folder cannot be told.
pub fn journals_of(path: &Path) -> Result<Vec<PathBuf>, PartitionsError> {
    for state in [path.join("state"), path.to_owned()] {
        let partitions = Partitions::of(&state)?;
        let journals = partitions.folders().map(|folder| folder.join(JOURNAL_FOLDER));
        let found: Vec<PathBuf> = journals.filter(|folder| holds_segments(folder)).collect();
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Some(path.to_owned()).filter(|folder| holds_segments(folder)).into_iter().collect())
}

/// The entries of a journal folder that no process writes.
///
/// # Errors
/// When the folder is not a journal.
pub fn journal_entries(folder: &Path) -> Result<impl Iterator<Item = Result<Input, SourceError>> + Send + use<>> {
    let (mut reader, torn) = SegmentReader::open_folder(folder, Position::START)
        .with_context(|| format!("cannot read the journal `{}`", folder.display()))?;
    if let Some(torn) = torn {
        tracing::warn!(segment = %torn.segment.display(), bytes = torn.bytes, "the journal's end is torn, what is before it is read");
    }
    let quarantine = Quarantine::open(folder.parent().unwrap_or(folder))?;
    if !quarantine.is_empty() {
        tracing::warn!(entries = quarantine.len(), "entries that met a bug in the run are left out");
    }
    let name = folder.display().to_string();
    Ok(std::iter::from_fn(move || {
        let entry = loop {
            match reader.next_entry() {
                Ok(entry) => {
                    let entry = entry?;
                    if !quarantine.leaves_out(entry.position) {
                        break entry;
                    }
                }
                Err(error) => return Some(Err(SourceError::input(&name, error.to_string()))),
            }
        };
        Some(Input::decode(&entry.bytes).map_err(|error| SourceError::input(&name, error.to_string())))
    }))
}

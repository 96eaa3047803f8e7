//! Events that a receiver refuses for good, kept aside: one JSON object a line, with the reason.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_engine::incident::IncidentRecord;
use serde::Serialize;

use super::cursor::file_name;
use crate::host::{self, Disk, How};
use crate::sinks::Outgoing;

/// The folder beside the cursors.
const FOLDER: &str = "dead-letters";

#[derive(Serialize)]
struct Letter<'a> {
    key: String,
    subject: String,
    reason: &'a str,
    record: &'a IncidentRecord,
}

/// The file of one reader.
#[derive(Clone, Debug)]
pub(super) struct DeadLetters {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

impl DeadLetters {
    pub(super) fn new(folder: &Path, reader: &str) -> DeadLetters {
        let path = folder.join(FOLDER).join(format!("{}.ndjson", file_name(reader)));
        DeadLetters { disk: host::disk(), path }
    }

    /// Keeps an event; when it returns, it is on disk.
    pub(super) fn keep(&self, outgoing: &Outgoing, reason: &str) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            self.disk.make_folder(folder)?;
        }
        let event = &outgoing.event;
        let letter = Letter { key: event.key(), subject: event.subject(), reason, record: &event.record };
        let mut line = serde_json::to_vec(&letter)?;
        line.push(b'\n');
        let mut file = self.disk.open(&self.path, How::Write)?;
        let end = file.bytes()?;
        file.write_at(&line, end)?;
        file.sync()?;
        self.path.parent().map_or(Ok(()), |folder| self.disk.sync_folder(folder))
    }
}

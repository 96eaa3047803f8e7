//! Events that a receiver refuses for good, kept aside: one JSON object a line, with the reason.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bellwether_engine::incident::IncidentRecord;
use serde::Serialize;

use super::cursor::file_name;
use crate::private;
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
    path: PathBuf,
}

impl DeadLetters {
    pub(super) fn new(folder: &Path, reader: &str) -> DeadLetters {
        DeadLetters { path: folder.join(FOLDER).join(format!("{}.ndjson", file_name(reader))) }
    }

    /// Keeps an event; when it returns, it is on disk.
    pub(super) fn keep(&self, outgoing: &Outgoing, reason: &str) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            private::folder(folder)?;
        }
        let event = &outgoing.event;
        let letter = Letter { key: event.key(), subject: event.subject(), reason, record: &event.record };
        let mut line = serde_json::to_vec(&letter)?;
        line.push(b'\n');
        let mut file = private::file().create(true).append(true).open(&self.path)?;
        file.write_all(&line)?;
        file.sync_data()
    }
}

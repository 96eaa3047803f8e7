//! One log line that waits for the watermark: a row of a batch, shared, not copied.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::signal::{Batch, LogColumns};
use crate::time::EventTime;
use crate::waiting::Timed;

/// One log line that waits for the watermark: a row of a batch, shared, not copied.
#[derive(Clone, Debug)]
pub(crate) struct LogLine {
    pub(crate) time: EventTime,
    pub(crate) severity: u8,
    pub(super) stream: u64,
    pub(super) content: u64,
    batch: Arc<Batch>,
    row: u32,
    /// What its row takes in its batch.
    row_bytes: u32,
}

impl Timed for LogLine {
    fn time(&self) -> EventTime {
        self.time
    }

    fn bytes(&self) -> usize {
        size_of::<LogLine>() * 4 / 3 + self.row_bytes as usize
    }
}

impl LogLine {
    /// Row `row` of a log batch, at its (possibly clamped) event time.
    pub(crate) fn new(batch: &Arc<Batch>, columns: &LogColumns<'_>, row: usize, time: EventTime) -> LogLine {
        LogLine {
            time,
            severity: columns.severity[row],
            stream: xxh3_64(columns.entity(row).as_bytes()),
            content: xxh3_64(columns.body(row).as_bytes()),
            batch: batch.clone(),
            row: row as u32,
            row_bytes: columns.bytes(row) as u32,
        }
    }

    /// The hash of the stream the line belongs to.
    pub(crate) fn stream(&self) -> u64 {
        self.stream
    }

    /// Who wrote it.
    pub(crate) fn entity(&self) -> &str {
        LogColumns::of(&self.batch).entity(self.row as usize)
    }

    /// The line.
    pub(crate) fn body(&self) -> &str {
        LogColumns::of(&self.batch).body(self.row as usize)
    }

    /// One of its structured fields.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        LogColumns::of(&self.batch).attributes(self.row as usize).get(name)
    }

    /// The batch and the row that hold it, for a checkpoint.
    pub(crate) fn place(&self) -> (&Arc<Batch>, u32) {
        (&self.batch, self.row)
    }
}

//! What a person asks of a reader: a file beside its cursor, taken by the process that runs it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::cursor::file_name;
use crate::host::{self, How};

/// What is asked of a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Go on where it stands.
    Retry,
    /// Go on elsewhere: what lies between is not delivered, or delivered again.
    Skip {
        /// Where.
        until: Until,
    },
}

/// A place in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// Before the oldest record kept.
    Oldest,
    /// After the newest record.
    Now,
    /// After this record.
    Record(u64),
}

fn path(folder: &Path, reader: &str) -> PathBuf {
    folder.join(format!("{}.request", file_name(reader)))
}

impl Request {
    /// Leaves the request for `reader` in `folder`.
    ///
    /// # Errors
    /// What the system says.
    pub fn leave(self, folder: &Path, reader: &str) -> io::Result<()> {
        host::replace(&*host::disk(), &path(folder, reader), &[&serde_json::to_vec(&self)?])
    }

    /// Whether a request for `reader` waits in `folder`.
    pub fn waits(folder: &Path, reader: &str) -> bool {
        host::disk().open(&path(folder, reader), How::Read).is_ok()
    }

    /// Takes the request for `reader` out of `folder`; one that does not read is put away and told.
    pub(super) fn take(folder: &Path, reader: &str) -> Option<Request> {
        let path = path(folder, reader);
        let disk = host::disk();
        let bytes = host::read(&*disk, &path).ok()?;
        if let Err(error) = disk.remove(&path) {
            tracing::warn!(%error, file = %path.display(), "a request stays where it is and is not followed");
            return None;
        }
        serde_json::from_slice(&bytes)
            .inspect_err(|error| tracing::warn!(%error, reader, "a request does not read and is put away"))
            .ok()
    }
}

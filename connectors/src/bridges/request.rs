//! What a person asks of a ticket: a file for each, taken by the process that runs the bridge.

use std::fs;
use std::io;
use std::path::Path;

use bellwether_engine::time::EventTime;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Key, View};
use super::store::{Store, StoreError};
use crate::host;

/// What files of requests end in.
const SUFFIX: &str = "request";
/// A request is a line of JSON.
const REQUEST_BYTES_MAX: u64 = 64 << 10;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TicketRequest {
    /// Try again what waits or was refused.
    Retry,
    /// This is the incident's ticket.
    Adopt {
        /// Its id in the system.
        ticket: String,
    },
    /// Write to its ticket no more; the next revision looks for one by the key.
    Forget,
}

/// A request, and whose ticket it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) key: Key,
    pub(super) what: TicketRequest,
}

impl TicketRequest {
    /// Leaves the request about the incident `key` for bridge `bridge` in `folder`.
    ///
    /// # Errors
    /// What the system says.
    pub fn leave(self, folder: &Path, bridge: &str, key: &Key) -> io::Result<()> {
        let asked = Asked { key: key.clone(), what: self };
        let name = format!("{bridge}.{}.{SUFFIX}", host::random_name());
        host::replace(&*host::disk(), &folder.join(name), &[&serde_json::to_vec(&asked)?])
    }

    /// Whether requests for bridge `bridge` wait in `folder`.
    pub fn waits(folder: &Path, bridge: &str) -> bool {
        !files(folder, bridge).is_empty()
    }
}

fn files(folder: &Path, bridge: &str) -> Vec<std::path::PathBuf> {
    let ours = |name: &str| name.starts_with(&format!("{bridge}.")) && name.ends_with(&format!(".{SUFFIX}"));
    let entries = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut files: Vec<_> =
        entries.filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(ours)).collect();
    files.sort_by_key(|path| fs::metadata(path).and_then(|meta| meta.modified()).ok());
    files
}

/// Takes the requests for bridge `bridge` out of `folder`; one that does not read is put away and told.
pub(super) fn take_all(folder: &Path, bridge: &str) -> Vec<Asked> {
    let mut all = Vec::new();
    for file in files(folder, bridge) {
        let short = fs::metadata(&file).is_ok_and(|meta| meta.len() <= REQUEST_BYTES_MAX);
        let text = if short { fs::read(&file).unwrap_or_default() } else { Vec::new() };
        if let Err(error) = fs::remove_file(&file) {
            tracing::warn!(%error, file = %file.display(), "a request stays where it is and is not followed");
            continue;
        }
        match serde_json::from_slice(&text) {
            Ok(asked) => all.push(asked),
            Err(error) => tracing::warn!(%error, bridge, "a request does not read and is put away"),
        }
    }
    all
}

/// Does what is asked.
pub(super) fn follow(store: &mut Store, key: &Key, what: TicketRequest, now: EventTime) -> Result<(), StoreError> {
    match what {
        TicketRequest::Forget => {
            store.forget(key)?;
        }
        TicketRequest::Retry => {
            store.change(
                key,
                || None,
                |entry, _| {
                    (entry.parked, entry.trouble, entry.view) = (None, None, View::Unknown);
                    entry.refused.clear();
                    entry.writes.clear();
                },
            )?;
        }
        TicketRequest::Adopt { ticket } => {
            let begin = || Some(Entry::new(key.clone(), "", now));
            store.change(key, begin, |entry, _| {
                let fresh = Entry::new(key.clone(), &entry.dedup_key, now);
                let (revision, wanted) = (entry.revision, entry.wanted.take());
                *entry = Entry {
                    revision,
                    wanted,
                    ticket: Some(ticket),
                    adopted: true,
                    former: entry.former.clone(),
                    ..fresh
                };
            })?;
        }
    }
    store.wake(key, EventTime::MIN);
    Ok(())
}

//! Entries that made the engine panic: set aside on disk, and left out from then on.
//!
//! `<state>/quarantine/<position>.json` says which entry, whose, and why; `<position>.entry` has its bytes. The
//! word is durable before the engine goes on, so that every later reading of the journal leaves out the same.
//! Files are for the owner alone. There is room for 1,000 records and 64 MiB: beyond, the oldest
//! entry makes room, and its bytes are no longer kept where they are too many; met again, it is found again.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bellwether_connectors::host;
use bellwether_connectors::journal::Position;
use bellwether_connectors::private;
use bellwether_engine::Engine;
use bellwether_engine::signal::cut_to;
use serde::{Deserialize, Serialize};

/// The folder of what was set aside, in the folder of a run.
pub const QUARANTINE_FOLDER: &str = "quarantine";

/// Entries set aside: as many bugs are no longer a matter of single entries.
const ENTRIES_MAX: usize = 1_000;
/// Bytes of entries kept to be looked at.
const BYTES_MAX: u64 = 64 << 20;
/// Longest text of a panic kept.
const REASON_BYTES_MAX: usize = 2_000;

/// What was set aside, and what follows from that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// The entry that is left out; `None` when no entry is to blame.
    pub entry: Option<u64>,
    /// The entry at which the panic was met, which may be a later one: signals wait for the watermark.
    pub met_at: u64,
    /// Whose it is; `None`: everybody's.
    pub tenant: Option<String>,
    /// What the panic said.
    pub reason: String,
    /// At `met_at` nothing is left of the tenant: its state itself led to the panic.
    pub anew: bool,
    /// The revisions of incidents that had been told before `met_at` with the entry, where they are fewer without.
    pub told: BTreeMap<String, u64>,
}

/// The folder of what was set aside.
#[derive(Debug)]
pub struct Quarantine {
    /// `None`: kept with the process only.
    dir: Option<PathBuf>,
    known: Vec<SetAside>,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("quarantine: cannot {operation} `{path}`: {reason}; repair it or free space, then start again")]
pub struct QuarantineError {
    operation: &'static str,
    path: PathBuf,
    reason: String,
}

impl SetAside {
    /// An entry that nobody's state has met: it changed nothing.
    pub(super) fn of_everybody(position: Position, reason: &str) -> SetAside {
        let (entry, met_at) = (Some(position.0), position.0);
        SetAside { entry, met_at, tenant: None, reason: reason.to_owned(), anew: false, told: BTreeMap::new() }
    }

    /// Several tenants may meet a bug at one entry of everybody's.
    fn file_name(&self) -> String {
        match (self.entry, &self.tenant) {
            (None, Some(tenant)) => format!("{:020}-{tenant}", self.met_at),
            (entry, _) => format!("{:020}", entry.unwrap_or(self.met_at)),
        }
    }

    /// What happened, for people.
    pub(super) fn in_words(&self) -> String {
        let whose = self.tenant.as_deref().unwrap_or("every");
        let entry = match self.entry {
            Some(entry) => format!("journal entry {entry} is left out, it is in the folder `{QUARANTINE_FOLDER}`"),
            None => "no journal entry is left out".to_owned(),
        };
        let anew = match self.anew {
            true => ", and the tenant begins anew: incidents that were open are not followed any more",
            false => "",
        };
        format!("An entry of tenant `{whose}` met a bug ({}): {entry}{anew}; please report it", self.reason)
    }
}

impl Quarantine {
    /// What was set aside in the folder of a run, if anything was.
    ///
    /// # Errors
    /// [`QuarantineError`] when the folder is there and does not read: leaving nothing out would end in the
    /// same panic.
    pub fn open(state: &Path) -> Result<Quarantine, QuarantineError> {
        let dir = state.join(QUARANTINE_FOLDER);
        let mut known = Vec::new();
        for path in records(&dir)? {
            let failed = |reason: String| QuarantineError { operation: "read", path: path.clone(), reason };
            let bytes = fs::read(&path).map_err(|error| failed(error.to_string()))?;
            known.push(serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()))?);
        }
        known.sort_by_key(|record: &SetAside| record.met_at);
        Ok(Quarantine { dir: Some(dir), known })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing was set aside.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether the entry is left out.
    pub fn leaves_out(&self, position: Position) -> bool {
        self.known.iter().any(|record| record.entry == Some(position.0))
    }

    /// Does to the engine what was done to it before this entry.
    pub fn prepare(&self, engine: &mut Engine, position: Position) {
        for record in self.known.iter().filter(|record| record.met_at == position.0) {
            let Some(tenant) = &record.tenant else { continue };
            if record.anew {
                engine.forget(tenant);
            }
            engine.count_revisions_from(tenant, &record.told);
        }
    }

    /// Sets an entry aside; it is on disk when this returns.
    ///
    /// # Errors
    /// [`QuarantineError`]: the engine must not go on, for a later reading would not know.
    pub fn add(&mut self, mut record: SetAside, bytes: &[u8]) -> Result<(), QuarantineError> {
        record.reason = cut_to(&record.reason, REASON_BYTES_MAX).to_owned();
        if let Some(dir) = self.dir.clone() {
            let failed = |path: &Path, error: io::Error| QuarantineError {
                operation: "write",
                path: path.to_owned(),
                reason: error.to_string(),
            };
            private::folder(&dir).map_err(|error| failed(&dir, error))?;
            let name = record.file_name();
            if record.entry.is_some() && used(&dir) + bytes.len() as u64 <= BYTES_MAX {
                let path = dir.join(format!("{name}.entry"));
                host::replace(&*host::disk(), &path, &[bytes]).map_err(|error| failed(&path, error))?;
            }
            let path = dir.join(format!("{name}.json"));
            let text = serde_json::to_vec_pretty(&record).expect("texts and numbers are JSON");
            host::replace(&*host::disk(), &path, &[&text]).map_err(|error| failed(&path, error))?;
            while self.known.len() >= ENTRIES_MAX {
                let oldest = self.known.remove(0);
                let name = oldest.file_name();
                // What is left over is met at the next start and makes room then.
                let _ = fs::remove_file(dir.join(format!("{name}.json")));
                let _ = fs::remove_file(dir.join(format!("{name}.entry")));
            }
        }
        self.known.push(record);
        Ok(())
    }
}

/// The bytes of entries kept.
fn used(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok);
    let entries = entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "entry"));
    entries.filter_map(|entry| entry.metadata().ok()).map(|file| file.len()).sum()
}

fn records(dir: &Path) -> Result<Vec<PathBuf>, QuarantineError> {
    let failed =
        |error: io::Error| QuarantineError { operation: "list", path: dir.to_owned(), reason: error.to_string() };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn record(entry: u64) -> SetAside {
        SetAside {
            entry: Some(entry),
            met_at: entry + 1,
            tenant: Some("acme".to_owned()),
            reason: "index out of bounds".to_owned(),
            anew: false,
            told: BTreeMap::new(),
        }
    }

    #[test]
    fn what_was_set_aside_is_left_out_after_a_restart_and_is_the_owners_alone() {
        let state = tempfile::tempdir().expect("a folder");
        let mut quarantine = Quarantine::open(state.path()).expect("opens");
        assert!(quarantine.is_empty());
        quarantine.add(record(7), b"bytes").expect("written");
        let again = Quarantine::open(state.path()).expect("opens");
        assert_eq!(again.known, [record(7)]);
        assert!(again.leaves_out(Position(7)) && !again.leaves_out(Position(8)));
        for ending in ["json", "entry"] {
            let path = state.path().join(QUARANTINE_FOLDER).join(format!("{:020}.{ending}", 7));
            assert_eq!(fs::metadata(path).expect("there").permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_full_quarantine_forgets_the_oldest() {
        let state = tempfile::tempdir().expect("a folder");
        let mut quarantine = Quarantine { dir: None, known: (1..=ENTRIES_MAX as u64).map(record).collect() };
        quarantine.dir = Some(state.path().join(QUARANTINE_FOLDER));
        quarantine.add(record(5_000), b"bytes").expect("written");
        assert_eq!(quarantine.len(), ENTRIES_MAX);
        assert!(!quarantine.leaves_out(Position(1)) && quarantine.leaves_out(Position(5_000)));
    }

    #[test]
    fn a_record_that_does_not_read_is_an_error_that_names_it() {
        let state = tempfile::tempdir().expect("a folder");
        fs::create_dir(state.path().join(QUARANTINE_FOLDER)).expect("made");
        fs::write(state.path().join(QUARANTINE_FOLDER).join("7.json"), "{").expect("written");
        let error = Quarantine::open(state.path()).expect_err("it must not be passed over").to_string();
        assert!(error.contains("7.json"), "{error}");
    }
}

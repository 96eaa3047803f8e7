//! What was told of incidents: in the incident log of a run, or in a file of incident events.

use std::fmt;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use bellwether_connectors::outbox;
use bellwether_engine::incident::IncidentRecord;
use serde::Deserialize;

use super::state_folder::{StateArgs, StateFolder};

/// One revision, as sinks and `replay --out` write it on a line.
#[derive(Debug, Deserialize)]
pub(super) struct RecordLine {
    /// `<tenant>/<id>/<revision>`.
    key: String,
    pub(super) record: IncidentRecord,
}

impl RecordLine {
    /// `<tenant>/<id>/<revision>`.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn tenant(&self) -> &str {
        self.key.split('/').next().unwrap_or_default()
    }
}

type Lines = Box<dyn Iterator<Item = Result<RecordLine>>>;

/// Where it is told.
pub(super) enum Told {
    /// In the incident log of a run; what is gone from there, in the files that it writes.
    Folder(StateFolder),
    /// In a file alone.
    File(PathBuf),
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Told::Folder(folder) => write!(f, "`{}`", folder.state.display()),
            Told::File(file) => write!(f, "`{}`", file.display()),
        }
    }
}

impl Told {
    /// Where the run tells; `--from` may also be a file.
    ///
    /// # Errors
    /// When there is neither, or the configuration is not accepted.
    pub(super) fn of(args: &StateArgs) -> Result<Told> {
        if args.config.is_none() && args.from.is_file() {
            return Ok(Told::File(args.from.clone()));
        }
        let folder = args.folder()?;
        if !folder.state.is_dir() {
            bail!(
                "cannot read `{}`: name a run's folder or a file with --from, or its configuration with -c",
                folder.state.display()
            );
        }
        Ok(Told::Folder(folder))
    }

    /// The run; `None` for a file.
    pub(super) fn folder(&self) -> Option<&StateFolder> {
        match self {
            Told::Folder(folder) => Some(folder),
            Told::File(_) => None,
        }
    }

    /// Every revision, oldest first: of the logs, or of the files of a run that has none.
    pub(super) fn lines(&self) -> Result<Lines> {
        match self {
            Told::File(file) => lines_of(file),
            Told::Folder(folder) if folder.places.iter().any(|place| place.log.is_dir()) => logged(folder),
            Told::Folder(folder) => in_files(folder),
        }
    }

    /// The latest revision of the incident.
    pub(super) fn find(&self, incident: &str) -> Result<RecordLine> {
        let found = match (latest(self.lines()?, incident)?, self) {
            (None, Told::Folder(folder)) => latest(in_files(folder)?, incident)?,
            (found, _) => found,
        };
        found.with_context(|| format!("no incident `{incident}` in {self}"))
    }
}

/// The events of the incident logs of all partitions, by the time they tell; each log's in its own order, so that
/// each tenant's are.
fn logged(folder: &StateFolder) -> Result<Lines> {
    let mut logs = Vec::new();
    for place in &folder.places {
        let events = outbox::events(&place.log)?.map(|event| {
            let event = event?;
            Ok(RecordLine { key: event.key(), record: event.record })
        });
        logs.push(events.peekable());
    }
    Ok(Box::new(std::iter::from_fn(move || {
        // What does not read is told at once.
        let next = |line: &Result<RecordLine>| line.as_ref().ok().map(|line| line.record.updated_at);
        let heads = logs.iter_mut().enumerate().filter_map(|(at, log)| Some((next(log.peek()?), at)));
        let first = heads.min()?.1;
        logs[first].next()
    })))
}

/// The lines of the files that a run writes, as far as they are there.
fn in_files(folder: &StateFolder) -> Result<Lines> {
    let mut all: Lines = Box::new(std::iter::empty());
    for file in folder.files.iter().filter(|file| file.is_file()) {
        all = Box::new(all.chain(lines_of(file)?));
    }
    Ok(all)
}

/// The lines of a file of incident events.
fn lines_of(file: &Path) -> Result<Lines> {
    let opened = File::open(file)
        .with_context(|| format!("cannot read `{}`: name a run's folder or a file with --from", file.display()))?;
    let file = file.to_owned();
    Ok(Box::new(BufReader::new(opened).lines().enumerate().map(move |(number, text)| {
        serde_json::from_str(&text?)
            .with_context(|| format!("{}:{}: not an incident event", file.display(), number + 1))
    })))
}

/// The latest revision of the incident whose id ends so.
fn latest(lines: impl Iterator<Item = Result<RecordLine>>, incident: &str) -> Result<Option<RecordLine>> {
    let mut found: Option<RecordLine> = None;
    for line in lines {
        let line = line?;
        if !line.record.id.ends_with(incident) {
            continue;
        }
        if let Some(other) = found.as_ref().filter(|other| other.record.id != line.record.id) {
            bail!("`{incident}` could be {} or {}: write more of it", other.record.id, line.record.id);
        }
        found = Some(line);
    }
    Ok(found)
}

//! Files: read to their end, or followed as they grow.
//!
//! ```yaml
//! sources:
//!   - files:
//!       name: metrics
//!       tenant: acme
//!       paths: ["data/*.csv.gz", "more/metrics.ndjson"]
//!       rows: {signal: metric}
//!   - files:
//!       name: checkout-log
//!       tenant: acme
//!       paths: [/var/log/checkout.log]
//!       follow: true
//!       lines: {entity: "service:checkout"}
//! ```
//!
//! Where a file was read to is a cursor in the journal beside the rows, so after a restart it
//! goes on at the first row that is not in the journal. A followed file that was replaced
//! (rotation) is read to its end first; one that was truncated is read from its beginning.

mod reader;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_engine::input::Input;
use bellwether_engine::signal::{SignalError, check_tenant};
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::declared::{Found, Probe, ProbeError};
use crate::decode::row::RowsError;
use crate::decode::{Format, LinesConfig, RowsConfig};
use crate::intake::{Intake, Source, SourceError, Stop};
use crate::journal::Mark;
use crate::resolve::entity_resolution::EntityResolver;
use crate::sources::DeclaredSource;

pub(crate) use reader::{Chunk, FileError, FileReader};

/// How often a followed file is looked at.
const FOLLOW_PAUSE: Duration = Duration::from_millis(200);
/// Most files of one source: more are a mistaken pattern.
const FILES_MAX: usize = 10_000;

/// Which files, and how to read them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FilesConfig {
    /// Name in logs and cursors.
    #[serde(default = "default_name")]
    pub name: String,
    /// Whose signals these are.
    pub tenant: String,
    /// Files; `*` in the last part of a path stands for any text. `.gz` is unpacked.
    pub paths: Vec<PathBuf>,
    /// Go on when a file ends, as `tail -F` does. Not for Parquet and `.gz`.
    #[serde(default)]
    pub follow: bool,
    /// The format, where the file's name does not say it (`.ndjson`, `.jsonl`, `.json`, `.csv`,
    /// `.parquet`, `.log`, `.txt`).
    #[serde(default)]
    pub format: Option<Format>,
    /// How rows of NDJSON, CSV and Parquet become signals.
    #[serde(default)]
    pub rows: RowsConfig,
    /// How plain log lines become signals.
    #[serde(default)]
    pub lines: LinesConfig,
}

fn default_name() -> String {
    "files".to_owned()
}

impl FilesConfig {
    /// The defaults for `paths` of `tenant`.
    pub fn new(tenant: &str, paths: Vec<String>) -> FilesConfig {
        FilesConfig {
            name: default_name(),
            tenant: tenant.to_owned(),
            paths: paths.into_iter().map(PathBuf::from).collect(),
            follow: false,
            format: None,
            rows: RowsConfig::default(),
            lines: LinesConfig::default(),
        }
    }

    /// The format of `path`.
    ///
    /// # Errors
    /// [`FilesError::Format`].
    pub fn format_of(&self, path: &Path) -> Result<Format, FilesError> {
        let named = self.format.or_else(|| Format::of_name(&path.to_string_lossy()));
        named.ok_or_else(|| FilesError::Format { path: path.to_owned() })
    }

    /// The files there are now, in order of their names.
    ///
    /// # Errors
    /// [`FilesError`] when a path without `*` does not exist (and is not followed), or there are too
    /// many.
    pub fn files(&self) -> Result<Vec<PathBuf>, FilesError> {
        let mut files = BTreeSet::new();
        for path in &self.paths {
            let found = matching(path)?;
            if found.is_empty() && !self.follow {
                return Err(FilesError::Missing { path: path.clone() });
            }
            files.extend(found);
        }
        if files.len() > FILES_MAX {
            return Err(FilesError::Many(files.len()));
        }
        Ok(files.into_iter().collect())
    }

    /// Checks everything that can be checked without reading a file.
    ///
    /// # Errors
    /// [`FilesError`] naming the key.
    pub fn check(&self) -> Result<(), FilesError> {
        check_tenant(&self.tenant)?;
        self.rows.check()?;
        if self.paths.is_empty() {
            return Err(FilesError::NoPaths);
        }
        Ok(())
    }

    /// The files that are there, each of which opens.
    fn found(&self) -> Result<Found, ProbeError> {
        let found = self.files()?;
        for path in &found {
            std::fs::File::open(path).map_err(|error| reader::io_error(path, &error))?;
        }
        Ok(Found::of(match found.len() {
            0 => "no file yet; followed when one comes".to_owned(),
            1 => "1 file".to_owned(),
            more => format!("{more} files"),
        }))
    }
}

impl DeclaredSource for FilesConfig {
    fn name(&self) -> &str {
        &self.name
    }

    fn describe(&self) -> String {
        let paths: Vec<String> = self.paths.iter().map(|path| path.display().to_string()).collect();
        format!("{}: files {}", self.name, paths.join(", "))
    }

    fn paths(&mut self) -> Vec<&mut PathBuf> {
        self.paths.iter_mut().collect()
    }

    fn probe(&self) -> Probe<'_> {
        Some(Box::pin(async { self.found() }))
    }

    fn build(&self, _: &Arc<EntityResolver>) -> Result<Box<dyn Source>, SourceError> {
        Ok(Box::new(FilesSource::new(self.clone())?))
    }
}

/// What is wrong with a configuration, or does not fit the files that are there.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// Nobody's.
    #[error(transparent)]
    Tenant(#[from] SignalError),
    /// `rows` contradicts itself.
    #[error(transparent)]
    Rows(#[from] RowsError),
    /// There is nothing to read.
    #[error("`paths` is empty: name at least one file")]
    NoPaths,
    /// A file of no known format.
    #[error(
        "`{path}`: its name does not say its format; set `format` to ndjson, csv, lines or parquet",
        path = .path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// A file that is named is not there.
    #[error("`{path}`: no such file", path = .path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A pattern that matches a folder's worth.
    #[error("{0} files match, at most {FILES_MAX} are read: name fewer")]
    Many(usize),
    /// A pattern in a folder's name.
    #[error("`{path}`: `*` is only allowed in the last part", path = .path.display())]
    Pattern {
        /// The path.
        path: PathBuf,
    },
    /// A file that has an end.
    #[error("`{path}`: packed files and Parquet cannot be followed: leave `follow` out", path = .path.display())]
    Followed {
        /// The file.
        path: PathBuf,
    },
    /// Log lines of nobody.
    #[error("`lines.entity` is missing: who writes the log, `type:name`")]
    NoEntity,
}

/// The files a path with at most one pattern in its last part stands for.
fn matching(path: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !name.contains('*') {
        return Ok(if path.is_file() { vec![path.to_owned()] } else { Vec::new() });
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if folder.to_string_lossy().contains('*') {
        return Err(FilesError::Pattern { path: path.to_owned() });
    }
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let fits = |p: &PathBuf| {
        let found = p.file_name().unwrap_or_default().to_string_lossy().into_owned();
        p.is_file() && wildcard(&name, &found)
    };
    Ok(entries.filter_map(|e| Some(e.ok()?.path())).filter(fits).collect())
}

/// True when `text` is `pattern` with any text for each `*`.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Files as a source.
pub struct FilesSource {
    config: FilesConfig,
}

impl FilesSource {
    /// A source; opens files when it runs.
    ///
    /// # Errors
    /// [`SourceError::Config`] naming the key.
    pub fn new(config: FilesConfig) -> Result<FilesSource, SourceError> {
        config.check().map_err(|e| SourceError::config(&config.name, e.to_string()))?;
        Ok(FilesSource { config })
    }
}

impl Source for FilesSource {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn run(self: Box<Self>, intake: Intake, stop: Stop) -> BoxFuture<'static, Result<(), SourceError>> {
        Box::pin(async move {
            if self.config.follow {
                follow(self.config, intake, stop).await
            } else {
                read_all(self.config, intake, stop).await
            }
        })
    }
}

async fn read_all(config: FilesConfig, intake: Intake, stop: Stop) -> Result<(), SourceError> {
    let files = config.files().map_err(|e| SourceError::config(&config.name, e.to_string()))?;
    for path in files {
        let mut tail = Tail::open(&config, &path, &intake)?;
        while !stop.is_stopped() && tail.step(&config, &intake).await? {}
    }
    Ok(())
}

async fn follow(config: FilesConfig, intake: Intake, mut stop: Stop) -> Result<(), SourceError> {
    let mut tails: Vec<Tail> = Vec::new();
    loop {
        let files = config.files().map_err(|e| SourceError::config(&config.name, e.to_string()))?;
        for path in files {
            if !tails.iter().any(|t| t.path == path) {
                tails.push(Tail::open(&config, &path, &intake)?);
            }
        }
        let mut moved = false;
        for tail in &mut tails {
            while !stop.is_stopped() && tail.step(&config, &intake).await? {
                moved = true;
            }
            if let Some(reader) = &mut tail.reader
                && reader.replaced()
            {
                // Its last line has no end, and will not get one.
                tail.finish(&config, &intake).await?;
                *tail = Tail::open(&config, &tail.path, &intake)?;
                moved = true;
            }
        }
        tails.retain(|t| t.reader.is_some());
        if stop.is_stopped() || (!moved && stop.sleep(FOLLOW_PAUSE).await) {
            return Ok(());
        }
    }
}

/// One file being read.
struct Tail {
    path: PathBuf,
    cursor_name: String,
    /// Taken while a step runs on a thread of its own; `None` when the file is gone.
    reader: Option<FileReader>,
}

impl Tail {
    fn open(config: &FilesConfig, path: &Path, intake: &Intake) -> Result<Tail, SourceError> {
        let cursor_name = format!("{}:{}", config.name, path.display());
        let cursor = intake.cursor(&cursor_name);
        let reader = match FileReader::open(config, path, cursor.as_deref()) {
            Ok(reader) => Some(reader),
            Err(FileError::Gone { .. }) if config.follow => None,
            // An unreadable file must not keep the others from being read.
            Err(FileError::Bad(rejection)) => {
                tracing::error!(source = config.name, %rejection, "file cannot be read");
                intake.reject(&rejection);
                None
            }
            Err(error) => return Err(SourceError::input(&config.name, error.to_string())),
        };
        Ok(Tail { path: path.to_owned(), cursor_name, reader })
    }

    /// Reads and accepts the next chunk; false when there is none for now.
    async fn step(&mut self, config: &FilesConfig, intake: &Intake) -> Result<bool, SourceError> {
        self.read(config, intake, FileReader::next_chunk).await
    }

    async fn finish(&mut self, config: &FilesConfig, intake: &Intake) -> Result<bool, SourceError> {
        self.read(config, intake, FileReader::finish).await
    }

    async fn read(
        &mut self,
        config: &FilesConfig,
        intake: &Intake,
        read: fn(&mut FileReader) -> Result<Option<Chunk>, FileError>,
    ) -> Result<bool, SourceError> {
        let Some(mut reader) = self.reader.take() else {
            return Ok(false);
        };
        let joined = tokio::task::spawn_blocking(move || {
            let chunk = read(&mut reader);
            (reader, chunk)
        });
        let (reader, chunk) =
            joined.await.map_err(|e| SourceError::input(&config.name, format!("`{}`: {e}", self.path.display())))?;
        match chunk {
            Ok(Some(chunk)) => {
                self.reader = Some(reader);
                self.accept(config, intake, chunk).await?;
                Ok(true)
            }
            Ok(None) => {
                self.reader = Some(reader);
                Ok(false)
            }
            Err(FileError::Bad(rejection)) => {
                tracing::error!(source = config.name, %rejection, "file cannot be read further");
                intake.reject(&rejection);
                Ok(false)
            }
            Err(error) => Err(SourceError::input(&config.name, error.to_string())),
        }
    }

    async fn accept(&mut self, config: &FilesConfig, intake: &Intake, chunk: Chunk) -> Result<(), SourceError> {
        for rejection in &chunk.rejections {
            intake.reject(rejection);
        }
        let inputs: Vec<Input> = chunk.batches.into_iter().map(Input::Batch).collect();
        let mark = Mark { source: self.cursor_name.clone(), cursor: chunk.cursor };
        let accepted = intake.accept(&inputs, Some(mark)).await;
        accepted.map(|_| ()).map_err(|e| SourceError::accept(&config.name, e))
    }
}

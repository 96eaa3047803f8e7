//! A simulation as a folder that people and other programs can read.
//!
//! ```text
//! README.md                 what this folder is
//! truth.json                what broke, and which alert tells of what
//! northmarket/catalogue.yaml
//! northmarket/alert.ndjson  one line a row, in order of arrival; the columns of
//! northmarket/change.ndjson `bellwether schema signals`
//! northmarket/…
//! ```
//!
//! The tenant is the folder, never a column: no payload may name another tenant. What is
//! written here in lines stands beside it as a journal; the lines are for people.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::json::LineDelimitedWriter;
use bellwether_engine::input::Input;
use bellwether_engine::signal::SignalKind;

use crate::truth::Truth;

/// Name of the truth beside a simulated journal.
pub const TRUTH_FILE: &str = "truth.json";

/// Files open at once: few enough for the usual limit of 1,024 descriptors. Beyond it, files
/// are closed and later opened again to append.
const OPEN_MAX: usize = 200;

/// Writes inputs as lines, by tenant and kind.
pub struct FolderWriter {
    root: PathBuf,
    open: BTreeMap<(String, SignalKind), BufWriter<File>>,
    rows: BTreeMap<(String, SignalKind), u64>,
}

/// Why a folder cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write `{path}`: {source}")]
pub struct FolderError {
    path: PathBuf,
    source: std::io::Error,
}

impl FolderWriter {
    /// Writes below `root`, which is made when absent.
    ///
    /// # Errors
    /// [`FolderError`] when it cannot be made.
    pub fn new(root: &Path) -> Result<FolderWriter, FolderError> {
        std::fs::create_dir_all(root).map_err(failed(root))?;
        Ok(FolderWriter { root: root.to_owned(), open: BTreeMap::new(), rows: BTreeMap::new() })
    }

    /// Appends one input; ticks and actions have no line.
    ///
    /// # Errors
    /// [`FolderError`] when a file cannot be written.
    pub fn write(&mut self, input: &Input) -> Result<(), FolderError> {
        match input {
            Input::Batch(batch) => {
                let key = (batch.tenant().to_owned(), batch.kind());
                *self.rows.entry(key.clone()).or_default() += batch.len() as u64;
                let path = self.path(&key);
                let file = self.file(key)?;
                let mut writer = LineDelimitedWriter::new(file);
                let written = writer.write(batch.records()).and_then(|()| writer.finish());
                written.map_err(|error| failed(&path)(std::io::Error::other(error)))
            }
            Input::Catalogue { tenant, catalogue, .. } => {
                let folder = self.root.join(&**tenant);
                std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
                let path = folder.join("catalogue.yaml");
                let yaml = serde_saphyr::to_string(&**catalogue)
                    .map_err(|error| failed(&path)(std::io::Error::other(error.to_string())))?;
                std::fs::write(&path, yaml).map_err(failed(&path))
            }
            Input::Tick(_) | Input::Action { .. } | Input::Settings(_) => Ok(()),
        }
    }

    /// Writes the truth and the page that explains the folder.
    ///
    /// # Errors
    /// [`FolderError`] when a file cannot be written.
    pub fn finish(mut self, truth: &Truth) -> Result<(), FolderError> {
        for (key, file) in &mut self.open {
            file.flush().map_err(failed(&path_of(&self.root, key)))?;
        }
        let path = self.root.join(TRUTH_FILE);
        let json = serde_json::to_vec_pretty(truth).expect("truth is texts and finite numbers");
        std::fs::write(&path, json).map_err(failed(&path))?;
        let path = self.root.join("README.md");
        std::fs::write(&path, self.page(truth)).map_err(failed(&path))
    }

    fn page(&self, truth: &Truth) -> String {
        let mut page = format!(
            "# A simulated estate, seed {}\n\nMade by `bellwether simulate`: the same seed gives the same bytes. \
             `{TRUTH_FILE}` says what broke and which alert tells of what; nothing that reads the signals may \
             read it. Each tenant has a folder with its catalogue and one file of lines for each kind of signal, \
             in order of arrival.\n\n| tenant | signal | rows |\n|---|---|---|\n",
            truth.seed
        );
        for ((tenant, kind), rows) in &self.rows {
            page.push_str(&format!("| {tenant} | {kind} | {rows} |\n"));
        }
        page.push_str("\n| fault | tenant | kind | cause | begins | firings |\n|---|---|---|---|---|---|\n");
        for fault in &truth.faults {
            let FaultRow { kind, cause } = FaultRow::of(fault);
            let (id, tenant, at, firings) = (&fault.id, &fault.tenant, fault.starts_at, fault.firings);
            page.push_str(&format!("| {id} | {tenant} | {kind} | {cause} | {at} | {firings} |\n"));
        }
        page
    }

    fn path(&self, key: &(String, SignalKind)) -> PathBuf {
        path_of(&self.root, key)
    }

    fn file(&mut self, key: (String, SignalKind)) -> Result<&mut BufWriter<File>, FolderError> {
        if !self.open.contains_key(&key) {
            if self.open.len() >= OPEN_MAX {
                for (key, mut file) in std::mem::take(&mut self.open) {
                    file.flush().map_err(failed(&path_of(&self.root, &key)))?;
                }
            }
            let path = self.path(&key);
            let folder = self.root.join(&key.0);
            std::fs::create_dir_all(&folder).map_err(failed(&folder))?;
            let file = File::options().create(true).append(true).open(&path).map_err(failed(&path))?;
            self.open.insert(key.clone(), BufWriter::new(file));
        }
        Ok(self.open.get_mut(&key).expect("it was just put there"))
    }
}

/// What the page says of a fault.
struct FaultRow {
    kind: &'static str,
    cause: String,
}

impl FaultRow {
    fn of(fault: &crate::truth::FaultTruth) -> FaultRow {
        let by = fault.change.as_ref().map_or_else(String::new, |change| format!(" (by {change})"));
        FaultRow { kind: fault.kind.spec().name, cause: format!("{}{by}", fault.cause) }
    }
}

fn path_of(root: &Path, (tenant, kind): &(String, SignalKind)) -> PathBuf {
    root.join(tenant).join(format!("{kind}.ndjson"))
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> FolderError + use<> {
    let path = path.to_owned();
    move |source| FolderError { path, source }
}

#[cfg(test)]
mod tests {
    use bellwether_engine::catalogue::Catalogue;

    use super::*;
    use crate::simulation::Simulation;
    use crate::story::story;

    #[test]
    fn a_story_is_written_and_reads_back() {
        let root = std::env::temp_dir().join(format!("bellwether-folder-{}", std::process::id()));
        let mut simulation = Simulation::new((story("plant-line").expect("a story").plan)(3));
        let mut writer = FolderWriter::new(&root).expect("a temporary folder");
        let (mut alerts, mut told) = (0, None);
        for input in simulation.by_ref() {
            writer.write(&input).expect("a temporary file");
            match input {
                Input::Batch(batch) if batch.kind() == SignalKind::Alert => alerts += batch.len(),
                Input::Catalogue { catalogue, .. } => told = Some(catalogue),
                _ => {}
            }
        }
        let truth = simulation.into_truth();
        writer.finish(&truth).expect("temporary files");
        let read = |name: &str| std::fs::read_to_string(root.join(name)).expect(name);
        let lines = read("granite-works/alert.ndjson");
        assert_eq!(lines.lines().count(), alerts);
        let first: serde_json::Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
        assert!(first["entity"].is_string() && first["labels"].is_object(), "{first}");
        let back: Catalogue = serde_saphyr::from_str(&read("granite-works/catalogue.yaml")).expect("a catalogue");
        assert_eq!(Some(back), told.map(|c| (*c).clone()));
        let truth_back: Truth = serde_json::from_str(&read("truth.json")).expect("a truth");
        assert_eq!(truth_back, truth);
        assert!(read("README.md").contains("switch:body-sw-1"));
        std::fs::remove_dir_all(&root).expect("a temporary folder");
    }
}

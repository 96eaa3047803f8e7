//! Telecom alarms of the NeurIPS 2023 causal structure learning competition:
//! `alarm.csv` (alarm_id, device_id, start_timestamp, end_timestamp, in
//! seconds from the start), `topology.npy` (links of devices). Their truth:
//! `rca_prior.csv` (sets of alarm types with their root), `true_graph.npy` and,
//! as far as experts filled it in, `causal_prior.npy` (row causes column).
//!
//! Folders lack files: `dataset4` has no topology, only the sample has the
//! whole graph. A file that is absent is `None`, a broken one an error.

use super::LoadError;
use super::grid::Grid;
use super::npy::Matrix;
use std::path::{Path, PathBuf};

/// One alarm.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// Type of alarm.
    pub kind: u32,
    /// Device.
    pub device: u32,
    /// Start in seconds.
    pub start_secs: f64,
    /// End in seconds.
    pub end_secs: f64,
}

/// Alarms of a data-set folder, in file order.
///
/// # Errors
/// When the file is absent or broken; the message names file, row and column.
pub fn alarms(folder: &Path) -> Result<Vec<Alarm>, LoadError> {
    let grid = Grid::read(&folder.join("alarm.csv.gz"))?;
    let columns = [grid.position("alarm_id")?, grid.position("device_id")?];
    let times = [grid.position("start_timestamp")?, grid.position("end_timestamp")?];
    let alarm = |row| {
        let whole = |column| grid.text(row, column).parse().map_err(|_| grid.bad(row, column, "a whole number"));
        Ok(Alarm {
            kind: whole(columns[0])?,
            device: whole(columns[1])?,
            start_secs: grid.number(row, times[0])?,
            end_secs: grid.number(row, times[1])?,
        })
    };
    (1..grid.rows.len()).map(alarm).collect()
}

/// Links of devices, `None` where the folder has none.
///
/// # Errors
/// When the file is broken.
pub fn topology(folder: &Path) -> Result<Option<Matrix>, LoadError> {
    let path = folder.join("topology.npy");
    if path.is_file() { Matrix::read(&path).map(Some) } else { Ok(None) }
}

/// Sets of alarm types with the type at their root: `"(6, 51)"` and `51`, in
/// one file `"(51)"`. None where the folder has no such file.
///
/// # Errors
/// When the file is broken.
pub fn truth(folder: &Path) -> Result<Vec<(Vec<u32>, u32)>, LoadError> {
    let path = folder.join("rca_prior.csv");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let grid = Grid::read(&path)?;
    let numbers = |row, column| -> Vec<u32> {
        grid.text(row, column).split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
    };
    let set = |row| {
        let root = numbers(row, 1).first().copied().ok_or_else(|| grid.bad(row, 1, "an alarm type"))?;
        Ok((numbers(row, 0), root))
    };
    (1..grid.rows.len()).map(set).collect()
}

/// Which type causes which, as far as it is known: 1 yes, 0 no, else unknown.
/// The whole graph where the folder has it, else what experts filled in.
///
/// # Errors
/// When the file is broken.
pub fn graph(folder: &Path) -> Result<Option<Matrix>, LoadError> {
    let known = ["true_graph.npy", "causal_prior.npy"].map(|name| folder.join(name));
    known.iter().find(|path| path.is_file()).map(|path| Matrix::read(path)).transpose()
}

/// The folders with alarms below `folder`, in order of their names.
///
/// # Errors
/// When the folder cannot be read.
pub fn folders(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(LoadError::read(folder))? {
        let path = entry.map_err(LoadError::read(folder))?.path();
        if ["alarm.csv", "alarm.csv.gz"].iter().any(|name| path.join(name).is_file()) {
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}
